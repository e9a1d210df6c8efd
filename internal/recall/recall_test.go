package recall_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

// shelf is a store in memory that fails when it is told to.
type shelf struct {
	mu   sync.Mutex // guards all
	rows map[recall.SealedID]recall.Sealed
	fail error
	puts int
}

func newShelf() *shelf { return &shelf{rows: map[recall.SealedID]recall.Sealed{}} }

func (s *shelf) PutSealed(_ context.Context, rows []recall.Sealed, drop []recall.SealedID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.puts++
	for _, r := range rows {
		s.rows[r.SealedID] = r
	}
	for _, id := range drop {
		delete(s.rows, id)
	}
	return nil
}

// written is how many writes there were.
func (s *shelf) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

func (s *shelf) Sealed(_ context.Context, id recall.SealedID, now time.Time) (recall.Sealed, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[id]
	return r, ok && now.Before(r.Expires), s.fail
}

func (s *shelf) LastSealed(_ context.Context, kind recall.Kind, now time.Time) iter.Seq2[recall.Sealed, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []recall.Sealed
	for id, r := range s.rows {
		if id.Kind == kind && now.Before(r.Expires) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b recall.Sealed) int { return b.Expires.Compare(a.Expires) })
	fail := s.fail
	return func(yield func(recall.Sealed, error) bool) {
		if fail != nil {
			yield(recall.Sealed{}, fail)
			return
		}
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (s *shelf) DropSealed(_ context.Context, id recall.SealedID, now time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return false, s.fail
	}
	r, ok := s.rows[id]
	delete(s.rows, id)
	return ok && now.Before(r.Expires), nil
}

func (s *shelf) SweepSealed(_ context.Context, now time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for id, r := range s.rows {
		if !now.Before(r.Expires) {
			delete(s.rows, id)
			n++
		}
	}
	return n, s.fail
}

func (s *shelf) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rows)
}

func newSeal(t testing.TB, n byte) *recall.Seal {
	t.Helper()
	s, err := recall.NewSeal(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Items of tests: a thought with a signature, a bare thought, words, a call, a
// call with state of its own, a result.

func thought(text, sig string) llm.Item {
	it := bare(text)
	it.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: sig}}
	return it
}

func bare(text string) llm.Item {
	it := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant}
	if text != "" {
		it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: text}}
	}
	return it
}

func words(text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

func tool(id, args string) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: llm.Call{ID: id, Name: "f", Arguments: []byte(args)}}
}

func signed(id, args, sig string) llm.Item {
	it := tool(id, args)
	it.Opaque = []llm.Opaque{{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: sig}}
	return it
}

func result(id string) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Result: llm.Result{CallID: id}}
}

func user(text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

// turns numbers the items: each run of one role is a message.
func turns(items ...llm.Item) *llm.Request {
	n := 0
	for i := range items {
		if i > 0 && items[i].Role != items[i-1].Role {
			n++
		}
		items[i].Turn, items[i].Path = n, fmt.Sprint("messages.", n)
	}
	return &llm.Request{From: llm.OpenAI, Model: "m", Items: items}
}

// say writes items down, short: who made the state in brackets.
func say(items []llm.Item) string {
	var b strings.Builder
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			b.WriteString("think " + it.Text())
		case llm.ItemToolCall:
			b.WriteString("call " + it.Call.ID)
		case llm.ItemToolResult:
			b.WriteString("result " + it.Result.CallID)
		default:
			b.WriteString(string(it.Role) + " " + it.Text())
		}
		for _, o := range it.Opaque {
			b.WriteString(" <" + o.Data + ">")
		}
		b.WriteString("; ")
	}
	return b.String()
}

// TestRestore: what each kind of answer needs to have with it when its calls
// come back without it.
func TestRestore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers [][]llm.Item
		back    *llm.Request
		want    string // empty: nothing changes
	}{
		{"anthropic: the signed thought goes first",
			[][]llm.Item{{thought("hm", "S"), tool("a", `{}`)}},
			turns(user("q"), tool("a", `{}`), result("a")),
			"user q; think hm <S>; call a; result a; "},
		{"before the words that followed it",
			[][]llm.Item{{thought("hm", "S"), words("Let me see."), tool("a", `{}`)}},
			turns(user("q"), words("Let me see."), tool("a", `{}`), result("a")),
			"user q; think hm <S>; assistant Let me see.; call a; result a; "},
		{"a message with empty content was no message",
			[][]llm.Item{{thought("hm", "S"), tool("a", `{}`)}},
			turns(user("q"), words(""), tool("a", `{}`), result("a")),
			"user q; think hm <S>; assistant ; call a; result a; "},
		{"interleaved: each where it stood",
			[][]llm.Item{{thought("1", "S1"), words("x"), thought("2", "S2"), tool("a", `{}`), thought("3", "S3"), tool("b", `{}`), thought("4", "S4")}},
			turns(words("x"), tool("a", `{}`), tool("b", `{}`), result("a"), result("b")),
			"think 1 <S1>; assistant x; think 2 <S2>; call a; think 3 <S3>; call b; think 4 <S4>; result a; result b; "},
		{"words that the client joined",
			[][]llm.Item{{words("x"), thought("1", "S1"), words("y"), thought("2", "S2"), tool("a", `{}`)}},
			turns(words("xy"), tool("a", `{}`), result("a")),
			"assistant xy; think 1 <S1>; think 2 <S2>; call a; result a; "},
		{"redacted and empty thoughts are thoughts",
			[][]llm.Item{{thought("", "S"), thought("", "R"), tool("a", `{}`)}},
			turns(tool("a", `{}`), result("a")),
			"think  <S>; think  <R>; call a; result a; "},
		{"gemini: parallel calls, signature on the first",
			[][]llm.Item{{signed("a", `{"x":1}`, "G"), tool("b", `{"x":2}`)}},
			turns(user("q"), tool("a", `{"x":1}`), tool("b", `{"x":2}`), result("a"), result("b")),
			"user q; call a <G>; call b; result a; result b; "},
		{"gemini: sequential steps",
			[][]llm.Item{{signed("a", `{}`, "G1")}, {signed("b", `{}`, "G2")}, {bare("hm"), signed("c", `{}`, "G3")}},
			turns(user("q"), tool("a", `{}`), result("a"), tool("b", `{}`), result("b"), tool("c", `{}`), result("c")),
			"user q; call a <G1>; result a; call b <G2>; result b; think hm; call c <G3>; result c; "},
		{"deepseek: plain thoughts",
			[][]llm.Item{{bare("because"), tool("a", `{}`)}},
			turns(tool("a", `{}`), result("a")),
			"think because; call a; result a; "},
		{"a result behind each call: parallel calls in two runs",
			[][]llm.Item{{thought("hm", "S"), tool("a", `{}`), thought("on", "T"), tool("b", `{}`)}},
			turns(tool("a", `{}`), result("a"), tool("b", `{}`), result("b")),
			"think hm <S>; call a; result a; think on <T>; call b; result b; "},
		{"the same, where the client kept the first thought",
			[][]llm.Item{{thought("hm", "S"), tool("a", `{}`), tool("b", `{}`)}},
			turns(thought("hm", "S"), tool("a", `{}`), result("a"), tool("b", `{}`), result("b")), ""},
		{"two turns that nothing parts",
			[][]llm.Item{{thought("1", "S1"), tool("a", `{}`)}, {thought("2", "S2"), tool("b", `{}`)}},
			turns(tool("a", `{}`), tool("b", `{}`)),
			"think 1 <S1>; call a; think 2 <S2>; call b; "},
		{"a call that the client left out",
			[][]llm.Item{{thought("1", "S1"), tool("a", `{}`), tool("b", `{}`)}},
			turns(tool("b", `{}`), result("b")),
			"think 1 <S1>; call b; result b; "},
		{"arguments read and written anew",
			[][]llm.Item{{thought("hm", "S"), tool("a", `{"b":1,"a":"é"}`)}},
			turns(tool("a", `{ "a": "\u00e9", "b": 1.0 }`), result("a")),
			"think hm <S>; call a; result a; "},
		{"no arguments are an empty object",
			[][]llm.Item{{thought("hm", "S"), tool("a", ``)}},
			turns(tool("a", `{}`), result("a")),
			"think hm <S>; call a; result a; "},
		{"thoughts that came back without their signature",
			[][]llm.Item{{thought("one\n", "S1"), thought("two", "S2"), tool("a", `{}`)}},
			turns(bare("one\n\n\ntwo"), tool("a", `{}`), result("a")),
			"think one\n <S1>; think two <S2>; call a; result a; "},
		{"thoughts that the client has changed are its own",
			[][]llm.Item{{thought("one", "S1"), tool("a", `{}`)}},
			turns(bare("none"), tool("a", `{}`), result("a")), ""},
		{"thoughts that the client kept",
			[][]llm.Item{{thought("one", "S1"), tool("a", `{}`)}},
			turns(thought("one", "other"), tool("a", `{}`), result("a")), ""},
		{"state of a call that the client kept",
			[][]llm.Item{{signed("a", `{}`, "G")}},
			turns(signed("a", `{}`, "mine"), result("a")), ""},
		{"an id that means another call",
			[][]llm.Item{{thought("hm", "S"), tool("call_0", `{"x":1}`)}},
			turns(tool("call_0", `{"x":2}`), result("call_0")), ""},
		{"an id that is used again and again",
			[][]llm.Item{{thought("1", "S1"), tool("call_0", `{"x":1}`)}, {thought("2", "S2"), tool("call_0", `{"x":2}`)}},
			turns(tool("call_0", `{"x":1}`), result("call_0"), tool("call_0", `{"x":2}`), result("call_0")),
			"think 1 <S1>; call call_0; result call_0; think 2 <S2>; call call_0; result call_0; "},
		{"calls without thoughts have nothing to keep",
			[][]llm.Item{{words("x"), tool("a", `{}`)}},
			turns(words("x"), tool("a", `{}`), result("a")), ""},
		{"thoughts without calls have no key",
			[][]llm.Item{{thought("hm", "S"), words("x")}},
			turns(words("x"), user("go on")), ""},
		{"a call without an id has no key",
			[][]llm.Item{{thought("hm", "S"), tool("", `{}`)}},
			turns(tool("", `{}`), result("")), ""},
	} {
		s := recall.NewState(recall.StateOptions{})
		for _, items := range c.answers {
			s.Note(recall.Turn{Owner: "key", By: "prov", Items: items})
		}
		before := say(c.back.Items)
		for range 2 { // the same each time
			got := s.Restore("key", c.back)
			if c.want == "" && got != c.back {
				t.Errorf("%s: changed to %s", c.name, say(got.Items))
			}
			if c.want != "" && say(got.Items) != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.name, say(got.Items), c.want)
			}
			if say(c.back.Items) != before {
				t.Errorf("%s: the request itself was changed: %s", c.name, say(c.back.Items))
			}
			for i := range got.Items {
				for _, o := range got.Items[i].Opaque {
					if c.want != "" && o.By != "prov" {
						t.Errorf("%s: state without its maker: %+v", c.name, o)
					}
				}
			}
			// What was given back is what a client would bring that keeps it.
			if again := s.Restore("key", got); again != got {
				t.Errorf("%s: a second time changes it to %s", c.name, say(again.Items))
			}
		}
		if got := s.Restore("other", c.back); got != c.back {
			t.Errorf("%s: another key was given %s", c.name, say(got.Items))
		}
	}
}

// TestRestoredThoughtsAreOfTheirMessage: an encoder groups by it.
func TestRestoredThoughtsAreOfTheirMessage(t *testing.T) {
	t.Parallel()
	s := recall.NewState(recall.StateOptions{})
	s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought("hm", "S"), tool("a", `{}`)}})
	r := turns(user("q"), tool("a", `{}`), result("a"))
	got := s.Restore("key", r)
	if it := got.Items[1]; it.Kind != llm.ItemReasoning || it.Turn != r.Items[1].Turn || it.Path != r.Items[1].Path || it.Role != llm.Assistant {
		t.Errorf("%+v", it)
	}
	if got.From != r.From || got.Model != r.Model {
		t.Error("the copy lost what the request says beside its items")
	}
}

func TestShownIDs(t *testing.T) {
	t.Parallel()
	s := recall.NewState(recall.StateOptions{})
	s.Note(recall.Turn{Owner: "key", By: "moonshot", Items: []llm.Item{bare("hm"), tool("functions.f:0", `{}`)},
		Shown: func(id string) string { return "toolu_" + strings.NewReplacer(".", "_", ":", "_").Replace(id) }})
	if got := s.Restore("key", turns(tool("toolu_functions_f_0", `{}`), result("x"))); len(got.Items) != 3 {
		t.Errorf("the client's id is not known: %s", say(got.Items))
	}
	if got := s.Maker("key", "toolu_functions_f_0"); got != "moonshot" {
		t.Errorf("maker %q", got)
	}
	if got := s.Maker("other", "toolu_functions_f_0") + s.Maker("key", "functions.f:0"); got != "" {
		t.Errorf("maker for others %q", got)
	}
}

func TestNothingToDoCostsNothing(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool drops what it is given at random, so allocations say nothing")
	}
	s := recall.NewState(recall.StateOptions{})
	for i := range 10 {
		s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought("hm", "S"), tool(fmt.Sprint("call_", i), `{}`)}})
	}
	var items []llm.Item
	for i := range 20 { // half of them known, and the client has kept all that was noted
		items = append(items, thought("hm", "S"), tool(fmt.Sprint("call_", i), `{}`), result(fmt.Sprint("call_", i)))
	}
	for name, r := range map[string]*llm.Request{"kept": turns(items[:24]...), "unknown": turns(tool("x", `{}`), result("x")), "no calls": turns(user("q"))} {
		if n := testing.AllocsPerRun(100, func() {
			if s.Restore("key", r) != r {
				t.Error("changed")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestBoundedMemory: ten thousand turns and more stay within the bounds, and
// what was used longest ago goes first.
func TestBoundedMemory(t *testing.T) {
	t.Parallel()
	s := recall.NewState(recall.StateOptions{Bytes: 1 << 20, Turns: 500})
	ask := func(i int) bool {
		r := turns(tool(fmt.Sprint("call_", i), `{}`))
		return s.Restore("key", r) != r
	}
	for i := range 10_000 {
		s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought(strings.Repeat("x", 100), "S"), tool(fmt.Sprint("call_", i), `{}`)}})
		if st := s.Stats(); st.Bytes > 1<<20 || st.Turns > 500 {
			t.Fatalf("after %d: %+v", i, st)
		}
		if !ask(0) { // in use all the time
			t.Fatalf("after %d a turn in use is gone", i)
		}
	}
	if !ask(9_999) || !ask(9_700) || ask(5_000) || ask(1) {
		t.Errorf("kept: last %v, near the last %v, middle %v, second %v", ask(9_999), ask(9_700), ask(5_000), ask(1))
	}
	if st := s.Stats(); st.Turns < 400 {
		t.Errorf("only %+v", st)
	}
	s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought(strings.Repeat("x", 2<<20), "S"), tool("huge", `{}`)}})
	if st := s.Stats(); st.Turns < 400 {
		t.Errorf("one huge turn drove out all others: %+v", st)
	}
	for i := range 2_000 { // a provider that counts from 0 each time
		s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought("x", "S"), tool("call_0", fmt.Sprint(i))}})
	}
	if st := s.Stats(); st.Turns > 500 {
		t.Errorf("%+v", st)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := recall.NewState(recall.StateOptions{Keep: time.Hour})
		for _, id := range []string{"a", "b"} {
			s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought("x", "S"), tool(id, `{}`)}})
		}
		ask := func(id string) bool { r := turns(tool(id, `{}`)); return s.Restore("key", r) != r }
		for range 5 { // each use is a new beginning
			time.Sleep(50 * time.Minute)
			if !ask("a") {
				t.Fatal("a turn in use has expired")
			}
		}
		if ask("b") || s.Maker("key", "b") != "" {
			t.Error("an unused turn is there after 250 minutes")
		}
		time.Sleep(time.Hour)
		if s.Maker("key", "a") != "" || ask("a") || s.Stats().Bytes != 0 {
			t.Errorf("after an hour without use: %+v", s.Stats())
		}
	})
}

// run starts a State over the shelf; stop ends it and gives Run's error.
func run(t *testing.T, o recall.StateOptions) (s *recall.State, stop func() error) {
	t.Helper()
	s = recall.NewState(o)
	if err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() error { cancel(); return <-done }
}

func note(s *recall.State, id string) {
	s.Note(recall.Turn{Owner: "key", By: "p", Items: []llm.Item{thought("of "+id, "S"), tool(id, `{}`)}})
}

func has(s *recall.State, id string) bool { return s.Maker("key", id) != "" }

func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		o := recall.StateOptions{Store: db, Seal: newSeal(t, 1), Keep: time.Hour}
		s, stop := run(t, o)
		whole := []llm.Item{
			{Kind: llm.ItemReasoning, Role: llm.Assistant, Type: "reasoning.text", ID: "rs_1", Name: "anthropic-claude-v1", From: llm.OpenAI, Raw: []byte(`{"odd": "\ud800"}`),
				Blocks: []llm.Block{{Kind: llm.BlockText, Text: "a☃b", From: llm.OpenAI}}, Opaque: []llm.Opaque{{Issuer: "x", By: "y", Kind: "encrypted", Data: "D"}}},
			words("w"), signed("a", `{"x":1}`, "G"), tool("b", `{}`),
		}
		s.Note(recall.Turn{Owner: "key", By: "p", Items: whole})
		back := turns(words("w"), tool("a", `{"x": 1}`), tool("b", `{}`))
		want := s.Restore("key", back)
		time.Sleep(300 * time.Millisecond)
		if db.len() != 1 || s.Stats().Waiting != 0 {
			t.Errorf("after 300 ms the store has %d rows", db.len())
		}
		killed := recall.NewState(o) // the first one is not asked to stop
		if err := killed.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, killed.Restore("key", back)); d != "" || len(want.Items) != 4 {
			t.Errorf("after a kill (- before, + after):\n%s", d)
		}
		note(s, "late")
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		next := recall.NewState(o)
		if err := next.Load(t.Context()); err != nil || !has(next, "late") || !has(next, "a") {
			t.Errorf("after a stop: %v, %+v", err, next.Stats())
		}
		other := o
		other.Seal = newSeal(t, 2)
		var log bytes.Buffer
		other.Log = slog.New(slog.NewTextHandler(&log, nil))
		lost := recall.NewState(other)
		if err := lost.Load(t.Context()); err != nil || lost.Stats().Turns != 0 || !strings.Contains(log.String(), "turns=2") || strings.Contains(log.String(), "of late") {
			t.Errorf("with another key: %v, %+v, log %s", err, lost.Stats(), log.String())
		}
		time.Sleep(2 * time.Hour)
		if err := next.Load(t.Context()); err != nil || has(next, "a") {
			t.Errorf("expired rows were loaded: %v", err)
		}
	})
}

// TestUseIsWritten: a loop that goes on for longer than Keep outlives a
// restart, without a write for each use.
func TestUseIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		o := recall.StateOptions{Store: db, Seal: newSeal(t, 1), Keep: time.Hour}
		s, stop := run(t, o)
		note(s, "a")
		for range 300 {
			time.Sleep(time.Minute)
			s.Restore("key", turns(tool("a", `{}`)))
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		next := recall.NewState(o)
		if err := next.Load(t.Context()); err != nil || !has(next, "a") {
			t.Errorf("gone after a restart: %v", err)
		}
		if n := db.written(); n < 5 || n > 30 {
			t.Errorf("%d writes in 5 hours of use", n)
		}
	})
}

// TestStoreDown: nothing waits for a store that fails, and once it works
// again it is told everything.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		var log bytes.Buffer
		o := recall.StateOptions{Store: db, Seal: newSeal(t, 1), Log: slog.New(slog.NewTextHandler(&log, nil))}
		s, stop := run(t, o)
		db.set(errors.New("disk on fire"))
		for i := range 200 {
			note(s, fmt.Sprint("call_", i))
			time.Sleep(100 * time.Millisecond)
		}
		if !has(s, "call_0") || !has(s, "call_199") || s.Stats().Waiting != 200 {
			t.Errorf("while the store is down: %+v", s.Stats())
		}
		db.set(nil)
		time.Sleep(10 * time.Second)
		if db.len() != 200 || s.Stats().Waiting != 0 {
			t.Errorf("after it came back the store has %d rows, %+v", db.len(), s.Stats())
		}
		if n := strings.Count(log.String(), "cannot be written"); n != 1 || !strings.Contains(log.String(), "written again") || strings.Contains(log.String(), "of call") {
			t.Errorf("log:\n%s", log.String())
		}
		db.set(errors.New("disk on fire"))
		note(s, "last")
		from := time.Now()
		if err := stop(); err == nil || !strings.Contains(err.Error(), "1 turns") || time.Since(from) > 6*time.Second {
			t.Errorf("a stop without a store: %v after %v", err, time.Since(from))
		}
	})
}

// TestEvictedRowsGo: what was driven out of memory, and so was not sent, must
// not come back with a restart.
func TestEvictedRowsGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := newShelf()
		o := recall.StateOptions{Store: db, Seal: newSeal(t, 1), Turns: 10}
		s, stop := run(t, o)
		for i := range 40 {
			note(s, fmt.Sprint("call_", i))
			if i%3 == 0 {
				time.Sleep(time.Second)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if db.len() != 10 {
			t.Errorf("the store has %d rows, memory has %d", db.len(), s.Stats().Turns)
		}
		o.Turns = 4
		next := recall.NewState(o)
		if err := next.Load(t.Context()); err != nil || next.Stats().Turns != 4 {
			t.Errorf("loaded %+v (%v)", next.Stats(), err)
		}
	})
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	db := newShelf()
	s, stop := run(t, recall.StateOptions{Store: db, Seal: newSeal(t, 1), Turns: 50, Every: time.Microsecond})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			owner := fmt.Sprint("key_", w%2)
			for i := range 300 {
				id := fmt.Sprint("call_", i%70)
				s.Note(recall.Turn{Owner: owner, By: "p", Items: []llm.Item{thought(owner, "S"), tool(id, `{}`)}})
				for _, it := range s.Restore(owner, turns(tool(id, `{}`))).Items {
					if it.Kind == llm.ItemReasoning && it.Text() != owner {
						t.Errorf("%s was given the thought of %s", owner, it.Text())
					}
				}
			}
		})
	}
	wg.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Turns != db.len() || st.Turns != 50 {
		t.Errorf("memory %+v, store %d", st, db.len())
	}
}

func TestSealFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "recall.key")
	var wg sync.WaitGroup
	seals := make([]*recall.Seal, 8)
	for i := range seals {
		wg.Go(func() {
			var err error
			if seals[i], err = recall.OpenSeal(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("files left behind: %v", files)
	}
	db := newShelf()
	save := func(s *recall.Seal, id string) error {
		return recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: s}).Save(t.Context(), recall.Record{ID: id, Owner: "key", Response: []byte(`{}`)})
	}
	find := func(s *recall.Seal, id string) error {
		_, err := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: s}).Find(t.Context(), "key", id)
		return err
	}
	if err := save(seals[0], "r"); err != nil {
		t.Fatal(err)
	}
	for i, s := range seals {
		if err := find(s, "r"); err != nil {
			t.Errorf("process %d made another key: %v", i, err)
		}
	}
	// A new key in front: it seals, and the old one still opens.
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte(strings.Repeat("ab", 32)+"\n"), old...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	turned, err := recall.OpenSeal(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("a key file that all can read was left so: %v", info.Mode())
	}
	if err := errors.Join(find(turned, "r"), save(turned, "s"), find(turned, "s")); err != nil {
		t.Error(err)
	}
	if err := find(seals[0], "s"); !errors.Is(err, recall.ErrNoKey) {
		t.Errorf("a row of a key that is not here: %v", err)
	}
	// A row under another name does not open.
	row := db.rows[recall.SealedID{Kind: recall.KindResponse, Owner: "key", ID: "s"}]
	row.Owner = "thief"
	db.rows[row.SealedID] = row
	if _, err := recall.NewResponses(recall.ResponsesOptions{Store: db, Seal: turned}).Find(t.Context(), "thief", "s"); err == nil {
		t.Error("a row that was moved to another owner opens")
	}
	for _, bad := range []string{"", "zz", "abcd\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := recall.OpenSeal(path); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("key file %q: %v", bad, err)
		}
	}
}
