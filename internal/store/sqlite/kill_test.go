package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/store/sqlite"
)

// victim makes this test binary a process that notes entries until it dies.
const victim = "HEADRACE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		if err := beVictim(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(spender); path != "" {
		if err := beSpender(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(batcher); path != "" {
		if err := beBatcher(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// beVictim notes an entry about every 100 us and prints, one line each, its id
// and when it was noted. The line is out before the next entry.
func beVictim(path string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	l := ledger.New(db, ledger.Options{})
	go l.Run(ctx)
	var ids ledger.IDs
	for {
		e := entries(&ids, 1, time.Now())[0]
		l.Note(e)
		if _, err := fmt.Printf("%d %d\n", e.ID, time.Now().UnixNano()); err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// A process that is killed while it writes loses at most its last second, the
// file is whole, and the next start says so.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	noted := map[ledger.ID]time.Time{}
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		died := killOne(t, path, time.Duration(300+170*round)*time.Millisecond, noted)

		var log bytes.Buffer
		db := open(t, path)
		l := ledger.New(db, ledger.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		killed, err := l.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(killed) != 1 || !strings.Contains(log.String(), "did not stop cleanly") {
			t.Errorf("round %d: the loss is not told: %v\n%s", round, killed, &log)
		} else if ago := died.Sub(killed[0].Written); ago > time.Second {
			t.Errorf("round %d: the last write was %s before the end", round, ago)
		}
		if err := db.Check(t.Context()); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		lost := 0
		for id, at := range noted {
			e, ok, err := db.Request(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if ok && len(e.Attempts) == 0 {
				t.Fatalf("round %d: request %s without its attempts", round, id)
			}
			if !ok {
				lost++
				if ago := died.Sub(at); ago > time.Second {
					t.Errorf("round %d: an entry of %s before the end is lost", round, ago)
				}
				delete(noted, id)
			}
		}
		rows, err := db.Usage(t.Context(), ledger.ByDay, time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var tally int64
		for _, r := range rows {
			tally += r.Tally.Requests
		}
		if tally != int64(len(noted)) {
			// One more entry may have been noted and written than printed.
			if tally < int64(len(noted)) || tally > int64(len(noted)+round+1) {
				t.Errorf("round %d: the roll-up has %d requests, the rows %d", round, tally, len(noted))
			}
		}
		t.Logf("round %d: %d entries there, %d of the last moment lost", round, len(noted), lost)
		if err := l.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.End(t.Context(), runOf(t, db), time.Now()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// runOf ends the run that the test itself began, by beginning another.
func runOf(t *testing.T, db *sqlite.DB) ledger.ID {
	t.Helper()
	var ids ledger.IDs
	id := ids.New(time.Now())
	if _, err := db.Begin(t.Context(), ledger.Run{ID: id, Written: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return id
}

func killOne(t *testing.T, path string, after time.Duration, noted map[ledger.ID]time.Time) (died time.Time) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), victim+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var deadline <-chan time.Time
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	for lines.Scan() {
		id, at, ok := strings.Cut(lines.Text(), " ")
		n, err1 := strconv.ParseInt(id, 10, 64)
		ns, err2 := strconv.ParseInt(at, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			break // the line that it died in
		}
		noted[ledger.ID(n)] = time.Unix(0, ns)
		if deadline == nil {
			deadline = time.After(after)
		}
		select {
		case <-deadline:
			died = time.Now()
			if err := cmd.Process.Kill(); err != nil { // SIGKILL
				t.Fatal(err)
			}
			deadline = make(chan time.Time)
		default:
		}
	}
	err = cmd.Wait()
	if died.IsZero() {
		t.Fatalf("the process ended by itself: %v\n%s", err, &stderr)
	}
	return died
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such file modes")
	}
	dir := filepath.Join(t.TempDir(), "new folder", "with #odd? 100% name")
	path := filepath.Join(dir, "headrace.db")
	db := open(t, path)
	if err := db.PutKey(t.Context(), access.Key{ID: "k", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	modes := func(want map[string]os.FileMode) {
		t.Helper()
		for name, mode := range want {
			info, err := os.Stat(name)
			if err != nil {
				t.Error(err)
			} else if info.Mode().Perm() != mode {
				t.Errorf("%s has mode %o, want %o", name, info.Mode().Perm(), mode)
			}
		}
	}
	modes(map[string]os.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("after Close the folder has %v, %v: not all is in the main file", left, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	db = open(t, path)
	modes(map[string]os.FileMode{path: 0o600})
	keys, err := db.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Errorf("%d keys after opening again, %v", len(keys), err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(junk, bytes.Repeat([]byte("this is no database "), 500), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"junk": junk, "a folder": dir} {
		if db, err := sqlite.Open(t.Context(), path); err == nil {
			t.Errorf("%s is opened", name)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: the error does not name the file: %v", name, err)
		}
	}
	newer := filepath.Join(dir, "newer.db")
	db := open(t, newer)
	if err := db.Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), newer); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("a file of a newer version: %v", err)
	}
}

// Many processes may start at once on a fresh file.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	errs := make(chan error)
	for range 6 {
		go func() {
			db, err := sqlite.Open(t.Context(), path)
			if err == nil {
				_, err = db.Keys(t.Context())
				if e := db.Close(); err == nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
