package recall_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

func responses(t *testing.T, db *shelf) *recall.Responses {
	t.Helper()
	return recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: newSeal(t, 1)})
}

// class gives the class of an error; "" for nil.
func class(t *testing.T, err error) llm.Class {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		t.Fatalf("not an *llm.Error: %v", err)
	}
	return e.Class
}

func TestResponses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		s := responses(t, db)
		want := recall.Record{ID: "resp_1", Owner: "key", Provider: "openai", Native: true, Created: time.Now().UTC(), Previous: "resp_0",
			Input: jsontext.Value(`"hi  \u0041"`), Response: jsontext.Value("{\n \"id\": \"resp_1\", \"n\": 1.0}")}
		if err := s.Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		want.Expires = want.Created.Add(30 * 24 * time.Hour)
		for name, s := range map[string]*recall.Responses{"memory": s, "store": responses(t, db)} {
			got, err := s.Find(t.Context(), "key", "resp_1")
			if d := cmp.Diff(&want, got); err != nil || d != "" {
				t.Errorf("from %s: %v\n%s", name, err, d)
			}
			for _, id := range [][2]string{{"other", "resp_1"}, {"key", "resp_2"}} {
				_, err := s.Find(t.Context(), id[0], id[1])
				if class(t, err) != llm.NotFound || class(t, s.Delete(t.Context(), id[0], id[1])) != llm.NotFound {
					t.Errorf("%v from %s: %v", id, name, err)
				}
			}
		}
		again := want
		again.Response = jsontext.Value(`{"status":"cancelled"}`)
		if err := s.Save(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Find(t.Context(), "key", "resp_1"); err != nil || string(got.Response) != `{"status":"cancelled"}` {
			t.Errorf("saved again: %v %v", got, err)
		}
		if err := s.Delete(t.Context(), "key", "resp_1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Find(t.Context(), "key", "resp_1"); class(t, err) != llm.NotFound || db.len() != 0 {
			t.Errorf("after the delete: %v, %d rows", err, db.len())
		}
		if err := s.Save(t.Context(), recall.Record{ID: "r"}); err == nil {
			t.Error("a record of nobody was stored")
		}
	})
}

func TestResponsesExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		s := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: newSeal(t, 1), Keep: 90 * time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); recall.Sweep(ctx, db, nil) }()
		if err := s.Save(t.Context(), recall.Record{ID: "r", Owner: "key", Response: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(89 * time.Minute)
		if _, err := s.Find(t.Context(), "key", "r"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		for _, s := range []*recall.Responses{s, responses(t, db)} {
			if _, err := s.Find(t.Context(), "key", "r"); class(t, err) != llm.NotFound {
				t.Errorf("after its time: %v", err)
			}
		}
		time.Sleep(time.Hour)
		if db.len() != 0 {
			t.Error("what has expired is not swept")
		}
		db.set(errors.New("disk on fire")) // the sweep goes on
		time.Sleep(3 * time.Hour)
		cancel()
		<-done
	})
}

// TestResponsesStoreDown: what is not stored is not said to be, and what is in
// memory is served.
func TestResponsesStoreDown(t *testing.T) {
	t.Parallel()
	db := newShelf()
	s := responses(t, db)
	if err := s.Save(t.Context(), recall.Record{ID: "a", Owner: "key", Response: []byte(`{"output":[1]}`)}); err != nil {
		t.Fatal(err)
	}
	db.set(errors.New("disk on fire"))
	err := s.Save(t.Context(), recall.Record{ID: "b", Owner: "key", Response: []byte(`{"output":[2]}`)})
	if class(t, err) != llm.Unavailable || !strings.Contains(err.Error(), "store: false") {
		t.Errorf("save: %v", err)
	}
	if _, err := s.Find(t.Context(), "key", "b"); class(t, err) != llm.Unavailable {
		t.Errorf("a response that could not be stored: %v", err)
	}
	if class(t, s.Delete(t.Context(), "key", "a")) != llm.Unavailable {
		t.Error("a delete that the store did not take was said to be done")
	}
	if items, err := s.Items(t.Context(), "key", "a"); err != nil || len(items) != 1 {
		t.Errorf("from memory: %v %v", items, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Save(gone, recall.Record{ID: "c", Owner: "key"}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
}

func TestConversation(t *testing.T) {
	t.Parallel()
	db := newShelf()
	s := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: newSeal(t, 1), Depth: 5, ChainBytes: 1000})
	save := func(r recall.Record) {
		t.Helper()
		r.Owner = "key"
		if err := s.Save(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	join := func(items []jsontext.Value, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, it := range items {
			b.Write(it)
			b.WriteByte(' ')
		}
		return b.String()
	}
	save(recall.Record{ID: "1", Input: []byte(`"q\n1"`), Response: []byte(`{"output":[{"type":"reasoning"},{"a":1}],"x":2}`)})
	save(recall.Record{ID: "2", Previous: "1", Input: []byte(` [ {"q":2}, {"q": 2.50} ] `), Response: []byte(`{"output":[{"a":2}]}`)})
	save(recall.Record{ID: "3", Previous: "2", Response: []byte(`{"output":[]}`)})
	save(recall.Record{ID: "3b", Previous: "2", Input: []byte(`[]`)}) // no answer yet
	first := `{"type":"message","role":"user","content":"q\n1"} `
	for id, want := range map[string][2]string{
		"1":  {first, first + `{"type":"reasoning"} {"a":1} `},
		"2":  {first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} `, first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} {"a":2} `},
		"3":  {first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} {"a":2} `, first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} {"a":2} `},
		"3b": {first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} {"a":2} `, first + `{"type":"reasoning"} {"a":1} {"q":2} {"q": 2.50} {"a":2} `},
	} {
		if got := join(s.InputItems(t.Context(), "key", id)); got != want[0] {
			t.Errorf("input of %s:\n got %s\nwant %s", id, got, want[0])
		}
		if got := join(s.Items(t.Context(), "key", id)); got != want[1] {
			t.Errorf("conversation of %s:\n got %s\nwant %s", id, got, want[1])
		}
	}
	save(recall.Record{ID: "native", Provider: "openai", Native: true})
	save(recall.Record{ID: "on native", Previous: "native", Input: []byte(`"x"`)})
	save(recall.Record{ID: "circle", Previous: "circle"})
	save(recall.Record{ID: "big", Input: []byte(`"` + strings.Repeat("x", 1000) + `"`)})
	save(recall.Record{ID: "orphan", Previous: "lost"})
	save(recall.Record{ID: "odd", Input: []byte(`7`)})
	for id, want := range map[string]string{
		"nowhere": "Previous response with id 'nowhere' not found", "orphan": "'lost', which it goes on from", "native": "held by openai itself",
		"on native": "held by openai itself", "circle": "too long: the limits are 5 responses", "big": "too long",
	} {
		_, err := s.Items(t.Context(), "key", id)
		e, ok := errors.AsType[*llm.Error](err)
		if !ok || e.Class != llm.InvalidRequest || e.Param != "previous_response_id" || !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := s.Items(t.Context(), "key", "odd"); err == nil {
		t.Error("an input that is no input")
	}
	if _, err := s.InputItems(t.Context(), "key", "nowhere"); class(t, err) != llm.NotFound {
		t.Errorf("input items of a response that is not there: %v", err)
	}
	if _, err := s.Items(t.Context(), "other", "2"); class(t, err) != llm.InvalidRequest {
		t.Errorf("another owner goes on from it: %v", err)
	}
	if err := s.Delete(t.Context(), "key", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Items(t.Context(), "key", "2"); class(t, err) != llm.InvalidRequest {
		t.Errorf("a chain whose beginning was deleted: %v", err)
	}
}

// TestResponsesMemory: what does not fit comes from the store.
func TestResponsesMemory(t *testing.T) {
	t.Parallel()
	db := newShelf()
	s := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: newSeal(t, 1), Bytes: 10_000})
	for i := range 100 {
		if err := s.Save(t.Context(), recall.Record{ID: fmt.Sprint(i), Owner: "key", Response: []byte(`"` + strings.Repeat("x", 500+40*i) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if r, err := s.Find(t.Context(), "key", fmt.Sprint(i)); err != nil || len(r.Response) != 502+40*i {
			t.Errorf("%d: %v", i, err)
		}
	}
	db.set(errors.New("disk on fire"))
	n := 0
	for i := range 100 {
		if _, err := s.Find(t.Context(), "key", fmt.Sprint(i)); err == nil {
			n++
		}
	}
	if n == 0 || n > 10 {
		t.Errorf("%d of 100 are in memory", n)
	}
}
