package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/internal/ledger"
)

// A full disk costs rows, which are counted and told, and nothing else; with
// room again everything goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "headrace.db"))
	defer db.Close()
	if err := db.Exec(t.Context(), "PRAGMA max_page_count = 300"); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	l := ledger.New(db, ledger.Options{Keep: 4000, Log: slog.New(slog.NewTextHandler(&log, nil))})
	var ids ledger.IDs
	for range 10 {
		for _, e := range entries(&ids, 1000, time.Now()) {
			l.Note(e) // it never waits
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		// What ends the flush is the store's word, or its time while it is asked.
		if err := l.Flush(ctx); err != nil && !strings.Contains(err.Error(), "full") && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		cancel()
	}
	s := l.Stats()
	if s.Lost == 0 || s.Written == 0 || s.LastError == nil || s.Noted != s.Written+s.Lost+int64(s.Waiting) {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "full") {
		t.Errorf("the log:\n%s", &log)
	}
	if err := db.Exec(t.Context(), "PRAGMA max_page_count = 1073741823"); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s = l.Stats(); s.Waiting != 0 || s.Noted != s.Written+s.Lost {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "are lost") {
		t.Errorf("nobody was told of %d lost rows:\n%s", s.Lost, &log)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Ten times what may be kept is written: the store stays within the bound and
// a tenth.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "headrace.db")
	db := open(t, path)
	defer db.Close()
	const most = 2 << 20
	l := ledger.New(db, ledger.Options{})
	var ids ledger.IDs
	written, top := int64(0), int64(0)
	for written < 10*most {
		list := entries(&ids, 250, time.Now())
		for i := range list {
			list[i].Warnings = []string{strings.Repeat("x", 1000)}
			written += 1000
			l.Note(list[i])
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := ledger.PruneTo(t.Context(), db, ledger.Retention{Bytes: most - 300<<10}, time.Now()); err != nil {
			t.Fatal(err)
		}
		s, err := db.Size(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		top = max(top, s.Bytes)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if top > most || info.Size() > most+most/10 {
		t.Errorf("%d bytes in use at most and a file of %d, where %d may be kept", top, info.Size(), most)
	}
}
