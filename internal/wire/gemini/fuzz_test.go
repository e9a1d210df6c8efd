package gemini

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// FuzzRequest: whatever is decoded can be written again, from the words alone
// and for a target, and what is written is JSON that decodes.
func FuzzRequest(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.request != "" {
			f.Add([]byte(c.request))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		head, err := Codec{}.Head(llm.OpChat, body)
		r, err2 := Codec{}.DecodeRequest(body)
		if err2 != nil {
			if _, ok := err2.(*llm.Error); !ok {
				t.Fatalf("%v is no *llm.Error", err2)
			}
			return
		}
		if err == nil {
			d := llm.NewDraft(llm.Gemini, llm.OpChat, body, head, nil).With(llm.Edit{Kind: llm.EditMaxTokens, Number: 5}).With(llm.Edit{Kind: llm.EditReshape}).With(llm.Edit{Kind: llm.EditModel, Text: "gemini-4"})
			e, err := Codec{}.Patch(&d, &llm.Capability{Known: true, Efforts: []string{"low"}})
			if err != nil {
				t.Fatal(err)
			}
			out := []byte(joined(e))
			if !jsontext.Value(out).IsValid() {
				t.Fatalf("%s was patched to %s", body, out)
			}
			if h, err := (Codec{}).Head(llm.OpChat, out); err != nil || h.MaxTokens != 5 {
				t.Fatalf("%s was patched to %s: %v", body, out, err)
			}
		}
		r.Raw = nil
		for _, from := range []llm.Dialect{llm.Gemini, llm.OpenAI} {
			r.From = from
			e, err := Codec{}.EncodeRequest(r, "gemini-3", nil)
			if err != nil {
				t.Fatal(err)
			}
			out := joined(e)
			if !jsontext.Value(out).IsValid() {
				t.Fatalf("%s was written as %s", body, out)
			}
			if _, err := (Codec{}).DecodeRequest([]byte(out)); err != nil {
				t.Fatalf("%s was written as %s: %v", body, out, err)
			}
		}
	})
}

// FuzzStream: no frame makes the decoder lie about its grammar, and what the
// encoder makes of the events is one line a frame.
func FuzzStream(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.stream != "" {
			f.Add([]byte(c.stream))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		events := eventsOf(t, string(stream))
		last := len(events) - 1
		for i, e := range events {
			if e.Terminal() != (i == last) {
				t.Fatalf("event %d of %d: %s", i, last, e.Kind)
			}
		}
		out := encodeAll(llm.StreamOptions{}, events)
		for block := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n\r\n"), "\r\n\r\n") {
			if strings.ContainsAny(block, "\r\n") {
				t.Fatalf("%q", block)
			}
			if !readable([]byte(strings.TrimPrefix(block, "data: "))) {
				t.Fatalf("%q became %q", stream, block)
			}
		}
		if array := encodeAll(llm.StreamOptions{Array: true}, events); !readable([]byte(array)) {
			t.Fatalf("%q became %q", stream, array)
		}
	})
}

// FuzzResponse: what is decoded can be written.
func FuzzResponse(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.response != "" {
			f.Add([]byte(c.response))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Codec{}.DecodeResponse(body)
		if err != nil {
			return
		}
		for _, from := range []llm.Dialect{llm.Gemini, llm.OpenAI} {
			r.From = from
			if out := (Codec{}).AppendResponse(nil, r); !readable(out) {
				t.Fatalf("%s was written as %s", body, out)
			}
		}
		if _, err := (Codec{}).Glance(bytes.Clone(body)); err != nil {
			t.Fatalf("%s decodes, but at first sight: %v", body, err)
		}
	})
}

// FuzzError: every error has a class and a form.
func FuzzError(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.error != "" {
			f.Add(c.Meta.Status, []byte(c.error))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := Codec{}.DecodeError(status, nil, body)
		if e.Class == "" {
			t.Fatal("no class")
		}
		if status, out := (Codec{}).EncodeError(e); status < 400 || status > 599 || !readable(out) {
			t.Fatalf("%d %s", status, out)
		}
	})
}
