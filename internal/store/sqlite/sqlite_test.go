package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/store/sqlite"
	"headrace/internal/store/storetest"
)

func open(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) (storetest.Store, func(testing.TB) storetest.Store) {
		path := filepath.Join(t.TempDir(), "state", "headrace.db")
		return open(t, path), func(t testing.TB) storetest.Store { return open(t, path) }
	})
}

// What the command line does to the file while a server runs is seen by the
// server within a second.
func TestRevocationByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	server, commandLine := open(t, path), open(t, path)
	ring := access.Ring{Store: commandLine}
	dir := access.NewDirectory(server, nil)
	token, key, err := ring.Create(t.Context(), access.Spec{Name: "ci"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); dir.Watch(ctx) }()
	if _, err := dir.Check(token.Reveal(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Revoke(t.Context(), key.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	for {
		_, err := dir.Check(token.Reveal(), time.Now())
		if e, ok := errors.AsType[*llm.Error](err); ok && e.Class == llm.Unauthenticated {
			t.Logf("seen after %s", time.Since(from).Round(time.Millisecond))
			break
		}
		if time.Since(from) > time.Second {
			t.Error("the revocation is not seen within a second")
			break
		}
		time.Sleep(5 * time.Millisecond) // another file handle: no bubble sees it
	}
	cancel()
	<-done
	if err := errors.Join(server.Close(), commandLine.Close()); err != nil {
		t.Error(err)
	}
}

// modernc.org/sqlite works with exactly the modernc.org/libc of its own go.mod
// (its doc.go; cznic/sqlite#177). Raise the two together and this pair with them.
func TestLibcBelongsToSQLite(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join("..", "..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"modernc.org/sqlite v1.61.1", "modernc.org/libc v1.79.0"} {
		if !strings.Contains(string(mod), "\t"+want) {
			t.Errorf("go.mod does not say %s", want)
		}
	}
}

// entries makes n requests as a busy gateway sees them: 20 keys, 6 targets,
// one attempt each but for every 20th.
func entries(ids *ledger.IDs, n int, at time.Time) []ledger.Entry {
	out := make([]ledger.Entry, n)
	for i := range out {
		key := fmt.Sprint("key_", i%20)
		a := ledger.Attempt{N: 1, Provider: []string{"anthropic", "openai"}[i%2], Model: fmt.Sprint("model-", i%6), Why: "named", Start: at,
			FirstByte: 300 * time.Millisecond, Total: 2 * time.Second, Status: 200, Finish: llm.FinishStop, UpstreamID: fmt.Sprintf("msg_01%022d", i),
			Usage: llm.Usage{Input: 1200, CacheRead: 800, Output: 350, Reasoning: 20, Source: llm.UsageProvider}, Cost: 12_345_678, Priced: true}
		out[i] = ledger.Entry{ID: ids.New(at), At: at, KeyID: key, KeyName: key, Team: "core", Dialect: llm.OpenAI, Op: llm.OpChat, Asked: "smart",
			Streamed: true, Status: 200, Committed: true, FirstByte: 301 * time.Millisecond, Total: 2 * time.Second, Attempts: []ledger.Attempt{a}}
		if i%20 == 0 {
			bad := a
			bad.Status, bad.Class, bad.Message, bad.UpstreamID, bad.Usage = 529, llm.Overloaded, "Overloaded", "", llm.Usage{}
			a.N = 2
			out[i].Attempts = []ledger.Attempt{bad, a}
		}
	}
	return out
}

// A file that another process holds locked makes a write of what must come
// back fail within its context, and leaves nothing of it.
func TestLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	db, other := open(t, path), open(t, path)
	row := recall.Sealed{SealedID: recall.SealedID{Kind: recall.KindResponse, Owner: "key", ID: "r"},
		Created: time.Now(), Expires: time.Now().Add(time.Hour), Key: "k", Data: []byte("x")}
	if err := other.Exec(t.Context(), "BEGIN IMMEDIATE"); err != nil { // its one connection keeps the lock
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	from := time.Now()
	err := db.PutSealed(ctx, []recall.Sealed{row}, nil)
	if took := time.Since(from); err == nil || took > 8*time.Second {
		t.Errorf("a write to a locked file: %v after %v", err, took)
	}
	if _, ok, err := db.Sealed(t.Context(), row.SealedID, time.Now()); ok || err != nil {
		t.Errorf("a read beside the lock: %v %v", ok, err)
	}
	if err := other.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := db.PutSealed(t.Context(), []recall.Sealed{row}, nil); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
	if err := errors.Join(db.Close(), other.Close()); err != nil {
		t.Error(err)
	}
}

// TestPageCacheBound: every connection has the small page cache.
func TestPageCacheBound(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	defer db.Close()
	for name, pages := range db.PageCaches(t.Context()) {
		if pages != -512 {
			t.Errorf("the %s has a page cache of %d, want -512 (KiB)", name, pages)
		}
	}
}
