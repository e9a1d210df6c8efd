package recall_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

func said(id, text string) recall.Record {
	return recall.Record{ID: id, Owner: "key", Provider: "p", Input: []byte(`"hi"`), Response: []byte(`"` + text + `"`)}
}

func saying(t *testing.T, s *recall.Responses, id string) string {
	t.Helper()
	r, err := s.Find(t.Context(), "key", id)
	if err != nil {
		return string(class(t, err))
	}
	return strings.Trim(string(r.Response), `"`)
}

// TestLater: what was kept for later is found at once, costs no use of the store
// meanwhile, and is known to another process and after the end.
func TestLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		s := responses(t, db)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		for i := range 300 {
			if err := s.Later(said(fmt.Sprint(i), fmt.Sprint("answer ", i))); err != nil {
				t.Fatal(err)
			}
			if got := saying(t, s, fmt.Sprint(i)); got != fmt.Sprint("answer ", i) {
				t.Fatalf("%d at once: %s", i, got)
			}
		}
		if db.written() != 0 {
			t.Error("the store was used while a request waited")
		}
		time.Sleep(time.Second)
		if db.written() != 3 || s.Waiting() != 0 {
			t.Errorf("%d writes, %d wait", db.written(), s.Waiting())
		}
		if got := saying(t, responses(t, db), "299"); got != "answer 299" {
			t.Errorf("from the store: %s", got)
		}
		// The last of an id counts, whichever way it came.
		for _, text := range []string{"first", "second"} {
			if err := s.Later(said("same", text)); err != nil {
				t.Fatal(err)
			}
		}
		if got := saying(t, s, "same"); got != "second" {
			t.Errorf("the last of an id: %s", got)
		}
		if err := s.Save(t.Context(), said("same", "third")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, stored := saying(t, s, "same"), saying(t, responses(t, db), "same"); got != "third" || stored != "third" {
			t.Errorf("saved over what waits: %s, in the store %s", got, stored)
		}
		// What is deleted stays so, though it was waiting.
		if err := s.Later(said("gone", "x")); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "key", "gone"); err != nil {
			t.Errorf("delete: %v", err)
		}
		time.Sleep(time.Second)
		if got, stored := saying(t, s, "gone"), saying(t, responses(t, db), "gone"); got != string(llm.NotFound) || stored != string(llm.NotFound) {
			t.Errorf("deleted: %s, in the store %s", got, stored)
		}
		// The end writes what is left.
		if err := s.Later(said("last", "word")); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := saying(t, responses(t, db), "last"); got != "word" {
			t.Errorf("after the end: %s", got)
		}
	})
}

// TestLaterStoreDown: a store that fails holds nobody up; what waits is bounded,
// and is written when the store works again.
func TestLaterStoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		s := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: newSeal(t, 1), Bytes: 100_000})
		db.set(errors.New("disk on fire"))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		kept := 0
		for i := range 200 {
			began := time.Now()
			err := s.Later(said(fmt.Sprint(i), strings.Repeat("x", 1000)))
			if time.Since(began) != 0 {
				t.Fatal("it waited")
			}
			if err == nil {
				kept++
			} else if class(t, err) != llm.Unavailable {
				t.Fatal(err)
			}
		}
		if kept < 30 || kept > 100 {
			t.Errorf("%d are kept", kept)
		}
		time.Sleep(time.Minute)
		if s.Waiting() != kept || len(saying(t, s, "0")) != 1000 {
			t.Errorf("%d of %d wait", s.Waiting(), kept)
		}
		db.set(nil)
		time.Sleep(10 * time.Second)
		if s.Waiting() != 0 || len(saying(t, responses(t, db), fmt.Sprint(kept-1))) != 1000 {
			t.Errorf("%d wait", s.Waiting())
		}
		db.set(errors.New("disk on fire"))
		if err := s.Later(said("late", "x")); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "1 responses are not stored") {
			t.Errorf("the end: %v", err)
		}
	})
}
