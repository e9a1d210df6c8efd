package budget_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/internal/budget"
	"headrace/internal/llm"
)

const bootID = "7b5f6a1e-0000-4000-8000-000000000001"

func marked(t *testing.T, path string) map[string]llm.Nanodollars {
	t.Helper()
	run, left, err := budget.ReadMarks(path, bootID)
	if err != nil || run != 7 && len(left) > 0 {
		t.Fatalf("run %d, %v", run, err)
	}
	m := map[string]llm.Nanodollars{}
	for _, l := range left {
		m[l.ID.String()+" "+l.Start.Format(time.DateOnly)] += l.Free
	}
	return m
}

// TestMarks: at every moment the file says no more than is free, whatever is
// held, charged, leased and given back.
func TestMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "leases.free")
	m, err := budget.NewMarks(path, bootID, 7, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf(of(budget.Key, "k", budget.Total, 100*usd), of(budget.Team, "t", budget.Daily, 1000*usd))
	k := budget.New(budget.Options{Store: s, Run: func() int64 { return 7 }})
	if err := k.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.SetMarks(m)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { k.Run(ctx); close(ended) }()
	const name = "key/total/k 0001-01-01"
	slot := budget.Slot{ID: budget.ID{Scope: budget.Key, Subject: "k", Window: budget.Total}}
	// used is what requests hold or have cost, none of which is free.
	var used llm.Nanodollars
	check := func() {
		t.Helper()
		// A lease may grow or shrink while this looks: the file is behind the one and
		// ahead of the other.
		before := marked(t, path)[name]
		s.mu.Lock()
		leased := s.lease[slot]
		s.mu.Unlock()
		if free := min(before, marked(t, path)[name]); free > leased-used {
			t.Errorf("%d are free of %d, and %d are used", free, leased, used)
		}
	}
	for range 40 {
		tab := k.Open(&budget.Caller{Key: "k", Team: "t"}, time.Now())
		held, err := tab.Hold(ctx, usd/10, usd/10)
		if err != nil {
			t.Fatal(err)
		}
		used += held
		check()
		tab.Close(usd / 20)
		used += usd/20 - held
		check()
	}
	if free := marked(t, path)[name]; free <= 0 {
		t.Error("nothing is free: the file says nothing")
	}
	stop()
	<-ended
	for at, free := range marked(t, path) {
		if free != 0 {
			t.Errorf("%s: %d are free after all was given back", at, free)
		}
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("the file stays behind")
	}
}

// TestMarksProveNothing: a file of another boot, of nobody, cut or unwritable.
func TestMarksProveNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "leases.free")
	if run, left, err := budget.ReadMarks(path, bootID); run != 0 || left != nil || err != nil {
		t.Errorf("no file: %d %v %v", run, left, err)
	}
	m, err := budget.NewMarks(path, bootID, 7, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf(of(budget.Tag, "x", budget.Total, 100*usd))
	k := budget.New(budget.Options{Store: s, Run: func() int64 { return 7 }})
	if err := k.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.SetMarks(m)
	tab := k.Open(&budget.Caller{Tags: []string{"x"}}, time.Now())
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go k.Run(ctx)
	if _, err := tab.Hold(ctx, usd, usd); err != nil {
		t.Fatal(err)
	}
	tab.Close(usd)
	if len(marked(t, path)) != 1 {
		t.Fatal("nothing was written")
	}
	for _, boot := range []string{"", "another"} {
		if run, left, err := budget.ReadMarks(path, boot); run != 0 || left != nil || err != nil {
			t.Errorf("boot %q: %d %v %v", boot, run, left, err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		cut := filepath.Join(dir, fmt.Sprint("cut", n%2))
		if err := os.WriteFile(cut, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, left, err := budget.ReadMarks(cut, bootID); len(left) != 0 || err != nil && !strings.Contains(err.Error(), "read ") {
			t.Fatalf("cut at %d: %v %v", n, left, err)
		}
	}
}

// BenchmarkTab is a request's hold on one budget, with and without the file.
func BenchmarkTab(b *testing.B) {
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprintf("marks=%v", with), func(b *testing.B) {
			s := newShelf(of(budget.Key, "k", budget.Total, 1e9*usd))
			k := budget.New(budget.Options{Store: s, Run: func() int64 { return 7 }})
			if err := k.Reload(b.Context()); err != nil {
				b.Fatal(err)
			}
			if with {
				m, err := budget.NewMarks(filepath.Join(b.TempDir(), "leases.free"), bootID, 7, func(err error) { b.Error(err) })
				if err != nil {
					b.Fatal(err)
				}
				k.SetMarks(m)
			}
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			go k.Run(ctx)
			b.ReportAllocs()
			for b.Loop() {
				tab := k.Open(&budget.Caller{Key: "k"}, time.Now())
				if _, err := tab.Hold(ctx, 100, 100); err != nil {
					b.Fatal(err)
				}
				tab.Close(50)
			}
		})
	}
}
