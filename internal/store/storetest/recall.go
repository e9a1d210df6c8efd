package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

// row makes the i-th turn of owner_0, which expires i seconds after one o'clock.
func row(i int) recall.Sealed {
	return recall.Sealed{SealedID: recall.SealedID{Kind: recall.KindTurn, Owner: "owner_0", ID: fmt.Sprintf("%04d", i)},
		Created: noon, Expires: noon.Add(time.Hour + time.Duration(i)*time.Second), Key: "k1", Data: []byte{0, 1, 0xff, byte(i)}}
}

func (f *fixture) lastSealed(kind recall.Kind, now time.Time) []recall.Sealed {
	f.Helper()
	var all []recall.Sealed
	for r, err := range f.store.LastSealed(f.ctx, kind, now) {
		f.must(err)
		r.Data = bytes.Clone(r.Data)
		all = append(all, r)
	}
	return all
}

func (f *fixture) sealed(id recall.SealedID, now time.Time) (recall.Sealed, bool) {
	f.Helper()
	r, ok, err := f.store.Sealed(f.ctx, id, now)
	f.must(err)
	return r, ok
}

func third[T, U any](_ T, _ U, err error) error { return err }

func lastErr(rows iter.Seq2[recall.Sealed, error]) error {
	var last error
	for _, err := range rows {
		last = err
	}
	return last
}

func sealed(f *fixture) {
	a, b := row(1), row(2)
	b.Data, b.Expires = []byte{}, noon.Add(time.Hour)
	c := row(3)
	c.Kind = recall.KindResponse
	c.Owner, c.ID, c.Data = "owner \"1'", "resp_ü\x00☃", bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	f.must(f.store.PutSealed(f.ctx, []recall.Sealed{a, b, c}, nil))
	for _, want := range []recall.Sealed{a, b, c} {
		got, ok := f.sealed(want.SealedID, noon)
		f.same("there", true, ok)
		f.same("row "+want.ID, want, got)
	}
	_, ok := f.sealed(recall.SealedID{Kind: recall.KindResponse, Owner: a.Owner, ID: a.ID}, noon)
	f.same("under another kind", false, ok)
	f.same("last to expire first", []recall.Sealed{a, b}, f.lastSealed(recall.KindTurn, noon))
	for range f.store.LastSealed(f.ctx, recall.KindTurn, noon) {
		break // must let go of what it holds
	}

	again := a
	again.Created, again.Expires, again.Key, again.Data = noon.Add(time.Second), noon.Add(9*time.Hour), "k2", []byte("other")
	f.must(f.store.PutSealed(f.ctx, []recall.Sealed{again}, nil))
	got, _ := f.sealed(a.SealedID, noon)
	f.same("put again", again, got)

	was, err := f.store.DropSealed(f.ctx, a.SealedID, noon)
	f.must(err)
	f.same("was there", true, was)
	was, err = f.store.DropSealed(f.ctx, a.SealedID, noon)
	f.must(err)
	f.same("was there again", false, was)
	_, ok = f.sealed(a.SealedID, noon)
	f.same("after the drop", false, ok)
}

func sealedOwners(f *fixture) {
	mine, theirs := row(1), row(1)
	theirs.Owner, theirs.Data = "owner_1", []byte("theirs")
	f.must(f.store.PutSealed(f.ctx, []recall.Sealed{mine, theirs}, nil))
	got, _ := f.sealed(mine.SealedID, noon)
	f.same("mine", mine, got)
	was, err := f.store.DropSealed(f.ctx, mine.SealedID, noon)
	f.must(err)
	f.same("dropped", true, was)
	got, ok := f.sealed(theirs.SealedID, noon)
	f.same("theirs is left", true, ok)
	f.same("theirs", theirs, got)
	f.must(f.store.PutSealed(f.ctx, nil, []recall.SealedID{mine.SealedID}))
	_, ok = f.sealed(theirs.SealedID, noon)
	f.same("theirs after a batch that drops mine", true, ok)
}

func sealedExpiry(f *fixture) {
	a, b := row(0), row(1)
	f.must(f.store.PutSealed(f.ctx, []recall.Sealed{a, b}, nil))
	there := func(now time.Time) string {
		f.Helper()
		var s strings.Builder
		for _, id := range []recall.SealedID{a.SealedID, b.SealedID} {
			if _, ok := f.sealed(id, now); ok {
				s.WriteString(id.ID + " ")
			}
		}
		for _, r := range f.lastSealed(recall.KindTurn, now) {
			s.WriteString("last " + r.ID + " ")
		}
		return s.String()
	}
	f.same("before", "0000 0001 last 0001 last 0000 ", there(a.Expires.Add(-time.Millisecond)))
	f.same("at the end of the first", "0001 last 0001 ", there(a.Expires))
	was, err := f.store.DropSealed(f.ctx, a.SealedID, a.Expires)
	f.must(err)
	f.same("an expired row is dropped", false, was)
	n, err := f.store.SweepSealed(f.ctx, a.Expires)
	f.must(err)
	f.same("swept", int64(1), n)
	f.same("swept, looked at from before", "0001 last 0001 ", there(noon))
	n, err = f.store.SweepSealed(f.ctx, noon.Add(24*time.Hour))
	f.must(err)
	f.same("swept next day", int64(1), n)
	f.same("all gone", "", there(noon))
}

func sealedBatch(f *fixture) {
	const many = 700
	rows := make([]recall.Sealed, many)
	for i := range rows {
		rows[i] = row(i)
	}
	f.must(f.store.PutSealed(f.ctx, rows, nil))
	f.same("rows", many, len(f.lastSealed(recall.KindTurn, noon)))
	var drop []recall.SealedID
	for i := range 300 {
		drop = append(drop, rows[i].SealedID)
	}
	drop = append(drop, recall.SealedID{Kind: recall.KindTurn, Owner: "nobody", ID: "none"})
	f.must(f.store.PutSealed(f.ctx, []recall.Sealed{row(many)}, drop))
	f.same("rows after the drops", many-300+1, len(f.lastSealed(recall.KindTurn, noon)))
	f.must(f.store.PutSealed(f.ctx, nil, nil))
}

func sealedAtOnce(f *fixture) {
	other := f.again()
	var wg sync.WaitGroup
	for w, store := range []Store{f.store, other, f.store, other} {
		wg.Go(func() {
			for i := range 25 {
				own, shared := row(100*w+i), row(9999)
				own.Owner = fmt.Sprint("owner_", w)
				shared.Data = bytes.Repeat([]byte{byte('a' + w)}, 5000)
				f.ok(store.PutSealed(f.ctx, []recall.Sealed{own, shared}, nil))
				got, ok, err := store.Sealed(f.ctx, own.SealedID, noon)
				if err != nil || !ok || !bytes.Equal(got.Data, own.Data) {
					f.Errorf("writer %d does not see its own row: %v, %v", w, ok, err)
				}
				got, ok, err = store.Sealed(f.ctx, shared.SealedID, noon)
				if err != nil || !ok || len(got.Data) != 5000 || strings.Trim(string(got.Data), string(got.Data[:1])) != "" {
					f.Errorf("the shared row is not whole: %v, %v", ok, err)
				}
			}
		})
	}
	wg.Wait()
	f.same("rows", 4*25+1, len(f.lastSealed(recall.KindTurn, noon)))
}

func sealedClosed(f *fixture) {
	s := f.anew()
	f.must(s.PutSealed(f.ctx, []recall.Sealed{row(1)}, nil))
	f.must(s.Close())
	for name, err := range map[string]error{
		"PutSealed":   s.PutSealed(f.ctx, []recall.Sealed{row(2)}, nil),
		"Sealed":      third(s.Sealed(f.ctx, row(1).SealedID, noon)),
		"LastSealed":  lastErr(s.LastSealed(f.ctx, recall.KindTurn, noon)),
		"DropSealed":  second(s.DropSealed(f.ctx, row(1).SealedID, noon)),
		"SweepSealed": second(s.SweepSealed(f.ctx, noon)),
	} {
		if err == nil {
			f.Errorf("%s of a closed store gives no error", name)
		}
	}
	f.same("rows", 1, len(f.lastSealed(recall.KindTurn, noon)))
}

// secret is what must not be readable at rest.
const secret = "the quick brown fox thinks"

func (f *fixture) seal() *recall.Seal {
	f.Helper()
	s, err := recall.NewSeal(bytes.Repeat([]byte{7}, 32))
	f.must(err)
	return s
}

func wholeState(f *fixture) {
	open := func(store Store) (*recall.State, func()) {
		s := recall.NewState(recall.StateOptions{Store: store, Seal: f.seal(), Every: time.Millisecond})
		f.must(s.Load(f.ctx))
		ctx, cancel := context.WithCancel(f.ctx)
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		return s, func() { cancel(); f.must(<-done) }
	}
	first, stop := open(f.store)
	for i := range 300 {
		first.Note(recall.Turn{Owner: "key_1", By: "anthropic", Items: []llm.Item{
			{Kind: llm.ItemReasoning, Blocks: []llm.Block{{Kind: llm.BlockText, Text: secret}},
				Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: fmt.Sprint("sig ", i)}}},
			{Kind: llm.ItemToolCall, Call: llm.Call{ID: fmt.Sprint("call_", i), Name: "f", Arguments: []byte(`{"a": 1}`)}},
		}})
	}
	stop()
	rows := f.lastSealed(recall.KindTurn, time.Now())
	f.same("rows", 300, len(rows))
	for _, r := range rows {
		if bytes.Contains(r.Data, []byte(secret)) || bytes.Contains(r.Data, []byte("sig ")) {
			f.Fatal("what was thought can be read at rest")
		}
	}
	second, stop := open(f.again())
	defer stop()
	for i := range 300 {
		ask := &llm.Request{Items: []llm.Item{{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: llm.Call{ID: fmt.Sprint("call_", i), Name: "f", Arguments: []byte(`{"a":1}`)}}}}
		got := second.Restore("key_1", ask)
		if len(got.Items) != 2 || got.Items[0].Text() != secret || len(got.Items[0].Opaque) != 1 || got.Items[0].Opaque[0].Data != fmt.Sprint("sig ", i) ||
			got.Items[0].Opaque[0].By != "anthropic" {
			f.Fatalf("turn %d after the restart: %+v", i, got.Items)
		}
		if second.Restore("key_2", ask) != ask {
			f.Fatal("another key was given the state")
		}
	}
}

func wholeResponses(f *fixture) {
	first := recall.NewResponses(recall.ResponsesOptions{Store: f.store, Seal: f.seal()})
	for i, prev := range []string{"", "resp_0", "resp_1"} {
		f.must(first.Save(f.ctx, recall.Record{ID: fmt.Sprint("resp_", i), Owner: "key_1", Provider: "anthropic", Previous: prev,
			Input:    jsontext.Value(fmt.Sprintf(`[{"n": %d,"secret":%q}]`, i, secret)),
			Response: jsontext.Value(fmt.Sprintf(`{"output": [{"o":%d.0}], "id":"resp_%d"}`, i, i))}))
	}
	for _, r := range f.lastSealed(recall.KindResponse, time.Now()) {
		if bytes.Contains(r.Data, []byte("fox")) {
			f.Fatal("content can be read at rest")
		}
	}
	// Another process has nothing of it in memory.
	for name, s := range map[string]*recall.Responses{"memory": first,
		"store": recall.NewResponses(recall.ResponsesOptions{Store: f.again(), Seal: f.seal()})} {
		items, err := s.Items(f.ctx, "key_1", "resp_2")
		f.must(err)
		var got []string
		for _, it := range items {
			got = append(got, string(it))
		}
		var want []string
		for i := range 3 {
			want = append(want, fmt.Sprintf(`{"n": %d,"secret":%q}`, i, secret), fmt.Sprintf(`{"o":%d.0}`, i))
		}
		f.same("conversation from "+name, want, got)
		r, err := s.Find(f.ctx, "key_1", "resp_1")
		f.must(err)
		f.same("response from "+name, `{"output": [{"o":1.0}], "id":"resp_1"}`, string(r.Response))
		_, err = s.Find(f.ctx, "key_2", "resp_1")
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.NotFound {
			f.Errorf("another owner finds it in %s: %v", name, err)
		}
	}
}
