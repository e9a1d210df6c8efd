package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/store/sqlite"
)

// spender makes this test binary a process that spends of a budget until it
// dies or nothing is left.
const spender = "HEADRACE_TEST_SPENDER"

const killLimit = llm.Nanodollars(1_000_000)

var killed = budget.ID{Scope: budget.Key, Subject: "k", Window: budget.Total}

// beSpender spends in small steps. It prints what it has spent before the next
// step, and the request's row is noted after that, as the gateway does.
func beSpender(path string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	l := ledger.New(db, ledger.Options{})
	if _, err := l.Begin(ctx); err != nil {
		return err
	}
	go l.Run(ctx)
	k := budget.New(budget.Options{Store: db, Run: func() int64 { return int64(l.RunID()) }, Wait: 20 * time.Second})
	if err := k.Reload(ctx); err != nil {
		return err
	}
	go k.Run(ctx)
	for i := 0; ; i++ {
		tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
		if _, fail := tab.Hold(ctx, 150, 150); fail != nil {
			fmt.Println("end", fail.Class)
			select {} // until it is killed
		}
		cost := llm.Nanodollars(50 + i%100)
		fmt.Println("spent", int64(cost))
		e := ledger.Entry{ID: l.NewID(time.Now()), At: time.Now()}
		for _, s := range tab.Close(cost) {
			e.Charges = append(e.Charges, ledger.Charge{Budget: s.ID.String(), Start: s.Start, Amount: cost})
		}
		l.Note(e)
		time.Sleep(100 * time.Microsecond)
	}
}

// However often the process is killed, what was really spent is never more
// than what the store holds against the budget, and all runs together never
// spend more than the limit.
func TestKillNeverOpensABudget(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	db := open(t, path)
	if err := db.PutBudget(t.Context(), budget.Budget{ID: killed, Limit: killLimit}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	real := llm.Nanodollars(0)
	slot := budget.Slot{ID: killed}
	ended := false
	for round := 0; !ended && round < 400; round++ {
		var spent llm.Nanodollars
		spent, ended = killSpender(t, path, time.Duration(150+60*(round%5))*time.Millisecond)
		real += spent
		db := open(t, path)
		var ids ledger.IDs
		run := ids.New(time.Now())
		if _, err := db.Begin(t.Context(), ledger.Run{ID: run, Written: time.Now()}); err != nil {
			t.Fatal(err)
		}
		if err := db.End(t.Context(), run, time.Now()); err != nil {
			t.Fatal(err)
		}
		all, err := db.Accounts(t.Context(), []budget.Slot{slot})
		if err != nil {
			t.Fatal(err)
		}
		a := all[0]
		if a.Spent > real || a.Spent+a.Lost < real || a.Spent+a.Leased > killLimit || a.Lost != a.Leased {
			t.Fatalf("round %d: %d was spent, the account is %+v", round, real, a)
		}
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if !ended || real > killLimit || real < killLimit/4 {
		t.Errorf("spent %d of %d, refused in the end: %v", real, killLimit, ended)
	}
	t.Logf("all runs together spent %d of %d before the first refusal", real, killLimit)
}

// killSpender lets a spender run for a while after its first step and kills
// it. ended says that it was refused, for which it is waited longer.
func killSpender(t *testing.T, path string, after time.Duration) (spent llm.Nanodollars, ended bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), spender+"="+path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { cmd.Process.Kill() } // the error says that it is dead already
	timer := time.AfterFunc(30*time.Second, kill)
	first := true
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, text, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseInt(text, 10, 64)
		switch {
		case word == "end":
			ended = true
			kill()
		case word == "spent" && err == nil:
			spent += llm.Nanodollars(n)
		}
		if first {
			first = false
			timer.Reset(after)
		}
	}
	err = cmd.Wait()
	timer.Stop()
	if first {
		t.Fatalf("the process did nothing: %v\n%s", err, &stderr)
	}
	return spent, ended
}
