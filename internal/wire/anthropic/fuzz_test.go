package anthropic

import (
	"bytes"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// FuzzDecodeRequest: no body crashes a reader; what is taken is written again
// as JSON, and reading that gives the same bytes once more; patches keep a
// body JSON.
func FuzzDecodeRequest(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.request != "" {
			f.Add([]byte(c.request))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Codec{}.DecodeRequest(body)
		if err != nil {
			if _, ok := err.(*llm.Error); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		e, err := Codec{}.EncodeRequest(r, r.Model, nil)
		if err != nil || !validJSON(joined(e)) {
			t.Fatalf("%v: %s", err, joined(e))
		}
		again, err := Codec{}.DecodeRequest(joined(e))
		if err != nil {
			t.Fatalf("%v: %s", err, joined(e))
		}
		twice, err := Codec{}.EncodeRequest(again, again.Model, nil)
		if err != nil || !bytes.Equal(joined(e), joined(twice)) && len(e.Losses) == 0 {
			t.Fatalf("not stable, %v:\n%s\n%s", err, joined(e), joined(twice))
		}
		// As if another dialect had written it.
		foreign := *r
		foreign.From = llm.OpenAI
		for _, c := range []*llm.Capability{nil, opus55(), haiku45()} {
			if e, err := (Codec{}).EncodeRequest(&foreign, "m", c); err != nil || !validJSON(joined(e)) {
				t.Fatalf("%v: %s", err, joined(e))
			}
		}
		h, err := Codec{}.Head(llm.OpChat, body)
		if err != nil {
			return
		}
		d := llm.NewDraft(llm.Anthropic, llm.OpChat, body, h, nil).With(llm.Edit{Kind: llm.EditModel, Text: "other"}).With(llm.Edit{Kind: llm.EditReshape})
		for _, c := range []*llm.Capability{opus55(), sonnet5(), haiku45()} {
			p, err := Codec{}.Patch(&d, c)
			if err != nil || !validJSON(joined(p)) {
				t.Fatalf("%v: %s", err, joined(p))
			}
		}
	})
}

// FuzzDecodeResponse: no answer and no error body crashes a reader.
func FuzzDecodeResponse(f *testing.F) {
	for _, c := range wireCases(f) {
		for _, s := range []string{c.response, c.error} {
			if s != "" {
				f.Add([]byte(s))
			}
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = Codec{}.Glance(body)
		_, _ = Codec{}.DecodeCount(body)
		e := Codec{}.DecodeError(429, nil, body)
		if _, b := (Codec{}).EncodeErrorFor(e, "req"); !validJSON(b) {
			t.Fatalf("%s", b)
		}
		r, err := Codec{}.DecodeResponse(body)
		if err != nil {
			if _, ok := err.(*llm.Error); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if out := (Codec{}).AppendResponse(nil, r); !readable(out) {
			t.Fatalf("%s", out)
		}
	})
}

// FuzzStream: no stream crashes the decoder, its events keep their order, and
// what the encoder makes of them obeys the dialect or ends in an error.
func FuzzStream(f *testing.F) {
	for _, c := range wireCases(f) {
		if c.stream != "" {
			f.Add([]byte(c.stream))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		es, err := events(t, string(stream))
		if err != nil {
			return
		}
		gather(t, es)
		for _, own := range []bool{true, false} {
			if !own {
				for i := range es {
					es[i].From = "" // as if another dialect had decoded it
				}
			}
			out := encode(es, llm.StreamOptions{})
			if _, err := message(out); err != nil && !strings.HasPrefix(err.Error(), "error event") {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	})
}
