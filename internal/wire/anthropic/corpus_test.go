package anthropic

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

// exceptions lists recordings that do not follow the rules, with the reason.
var exceptions = map[string]string{
	"7c05e37c1a05fb0a": "three streams that the recorder put into one body; the first is read",
	"bb2c713fafa8ea0b": "three streams that the recorder put into one body; the first is read",
	"d446e8f74057071a": "a second message_start, made by the recorder; it is taken as nothing new",
	"3a871d261467a354": "the vendor's own broken body: a block is never stopped, and is closed by message_stop",
	"ec0f6f23313030bd": "an empty text block, which is never written",
}

// TestRecordedRequests decodes every recorded request and writes it again in
// the same dialect: the two must be the same JSON.
func TestRecordedRequests(t *testing.T) {
	n, unsigned := 0, 0
	for _, r := range recordings(t) {
		if r.Request == nil || r.Request.Body == "" {
			continue
		}
		body := []byte(r.Request.Body)
		if r.Response.Status == 400 {
			// The provider refused it as well; it only must not crash here.
			_, _ = Codec{}.DecodeRequest(body)
			continue
		}
		n++
		req, err := Codec{}.DecodeRequest(body)
		if err != nil {
			t.Errorf("%s (%s): %v", r.ID, r.Provider, err)
			continue
		}
		e, err := Codec{}.EncodeRequest(req, req.Model, nil)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		if len(e.Losses) > 0 {
			t.Errorf("%s: losses in the same dialect: %v", r.ID, e.Losses)
			unsigned++
		}
		drop := func(path, name string, v any) bool { return path == "" && name == "stream" && v == false }
		if diff := cmp.Diff(canonical(t, body, drop), canonical(t, joined(e), drop)); diff != "" {
			t.Errorf("%s: written differently (-received +written):\n%s", r.ID, diff)
		}
		op := llm.OpChat
		if r.Operation == "count_tokens" {
			op = llm.OpCountTokens
		}
		if h, err := (Codec{}).Head(op, body); err != nil && req.Model != "" {
			t.Errorf("%s: head: %v", r.ID, err)
		} else if err == nil {
			if h.Model != req.Model || h.Stream != req.Stream || h.Tools != (len(req.Tools) > 0) || h.EndUser != req.EndUser {
				t.Errorf("%s: the head says %q %v %v, the request %q %v %v", r.ID, h.Model, h.Stream, h.Tools, req.Model, req.Stream, len(req.Tools) > 0)
			}
		}
	}
	t.Logf("%d requests, %d with unsigned thinking", n, unsigned)
}

// nulls leaves out what typed clients read as null and some recordings lack.
func nulls(_, name string, v any) bool { return v == nil }

// TestRecordedAnswers decodes every recorded whole answer and writes it again.
func TestRecordedAnswers(t *testing.T) {
	n := 0
	for _, r := range recordings(t) {
		if r.Transport != "json" {
			continue
		}
		body := []byte(r.Response.Body)
		if r.Response.Status != 200 {
			e := Codec{}.DecodeError(r.Response.Status, nil, body)
			want := map[int]llm.Class{400: llm.InvalidRequest, 401: llm.Auth, 404: llm.ModelNotFound}[r.Response.Status]
			if e.Class != want && e.Class != llm.ContextOverflow || e.Message == "" {
				t.Errorf("%s: %d became %v", r.ID, r.Response.Status, e)
			}
			continue
		}
		n++
		if r.Operation == "count_tokens" {
			if c, err := (Codec{}).DecodeCount(body); err != nil || c <= 0 {
				t.Errorf("%s: count %d, %v", r.ID, c, err)
			}
			continue
		}
		a, err := Codec{}.DecodeResponse(body)
		if err != nil {
			t.Errorf("%s (%s): %v", r.ID, r.Provider, err)
			continue
		}
		if diff := cmp.Diff(canonical(t, body, nulls), canonical(t, Codec{}.AppendResponse(nil, a), nulls)); diff != "" {
			t.Errorf("%s: written differently (-received +written):\n%s", r.ID, diff)
		}
		g, err := Codec{}.Glance(body)
		if err != nil || g.ID != a.ID || g.Model != a.Model || !cmp.Equal(g.Usage, a.Usage) || !cmp.Equal(g.Finish, a.Finish) {
			t.Errorf("%s: the glance is %+v, %v", r.ID, g, err)
		}
		if a.Finish.Reason == "" || a.Finish.Reason == llm.FinishOther && a.Finish.Native != "compaction" {
			t.Errorf("%s: finish %+v", r.ID, a.Finish)
		}
	}
	t.Logf("%d answers", n)
}

// TestRecordedStreams decodes every recorded stream, holds the events against
// the whole answer that an independent reader makes of the frames, and writes
// the stream again.
func TestRecordedStreams(t *testing.T) {
	n := 0
	for _, r := range recordings(t) {
		if r.Transport != "sse" {
			continue
		}
		n++
		es, err := events(t, r.Response.Body)
		if err != nil {
			t.Errorf("%s (%s): %v", r.ID, r.Provider, err)
			continue
		}
		if why, ok := exceptions[r.ID]; ok {
			gather(t, es)
			t.Logf("%s: %s", r.ID, why)
			continue
		}
		want, err := message(r.Response.Body)
		if err != nil {
			last := es[len(es)-1]
			t.Logf("%s: the stream is broken: %v; decoded as %v", r.ID, err, last.Err)
			if last.Kind != llm.EventError {
				t.Errorf("%s: a broken stream ended as %s", r.ID, last.Kind)
			}
			continue
		}
		whole, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Codec{}.DecodeResponse(whole)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		same(t, r.ID, gather(t, es), a)

		got, err := message(encode(es, llm.StreamOptions{}))
		if err != nil {
			t.Errorf("%s: the stream as written is broken: %v", r.ID, err)
			continue
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(canonical(t, whole, nulls), canonical(t, again, nulls)); diff != "" {
			t.Errorf("%s: written differently (-received +written):\n%s", r.ID, diff)
		}
	}
	t.Logf("%d streams", n)
}

// same holds a gathered answer against a decoded one.
func same(t *testing.T, id string, got, want *llm.Response) {
	t.Helper()
	type item struct {
		Kind            llm.ItemKind
		Text            string
		ID, Name, Input string
		Opaque          []llm.Opaque
		Type            string
	}
	flat := func(r *llm.Response) []item {
		var out []item
		for i := range r.Items {
			it := &r.Items[i]
			x := item{Kind: it.Kind, ID: it.Call.ID, Name: it.Call.Name, Opaque: it.Opaque, Type: it.Type}
			if it.Kind != llm.ItemOpaque {
				x.Text = it.Text()
			}
			if it.Kind == llm.ItemToolCall {
				x.Input = "{}"
				if len(it.Call.Arguments) > 0 {
					x.Input = canonical(t, it.Call.Arguments, nil)
				}
			}
			out = append(out, x)
		}
		return out
	}
	if diff := cmp.Diff(flat(want), flat(got)); diff != "" {
		t.Errorf("%s: stream and whole differ (-whole +stream):\n%s", id, diff)
	}
	if got.ID != want.ID || got.Model != want.Model {
		t.Errorf("%s: id %q model %q, whole %q %q", id, got.ID, got.Model, want.ID, want.Model)
	}
	got.Usage.Raw, want.Usage.Raw = nil, nil
	if !cmp.Equal(got.Usage, want.Usage) {
		t.Errorf("%s: usage %+v, whole %+v", id, got.Usage, want.Usage)
	}
	got.Finish.Details, want.Finish.Details = nil, nil
	if !cmp.Equal(got.Finish, want.Finish) {
		t.Errorf("%s: finish %+v, whole %+v", id, got.Finish, want.Finish)
	}
}

// TestRecordedStreamsCut cuts recorded streams after every frame: each piece
// ends with exactly one terminal event, and only a whole one ends well.
func TestRecordedStreamsCut(t *testing.T) {
	n := 0
	for i, r := range recordings(t) {
		if r.Transport != "sse" || i%7 != 0 || len(r.Response.Body) > 60000 {
			continue
		}
		n++
		step := max(1, len(r.Response.Body)/400)
		for at := 0; at < len(r.Response.Body); at += step {
			es, err := events(t, r.Response.Body[:at])
			if err != nil {
				var e *llm.Error
				if errors.As(err, &e) && e.Class != llm.MalformedUpstream {
					t.Fatalf("%s cut at %d: %v", r.ID, at, err)
				}
				continue
			}
			terminal := 0
			for _, e := range es {
				if e.Kind == llm.EventError || e.Kind == llm.EventFinish {
					terminal++
				}
			}
			if terminal != 1 {
				t.Fatalf("%s cut at %d: %d terminal events", r.ID, at, terminal)
			}
		}
	}
	t.Logf("%d streams cut", n)
}
