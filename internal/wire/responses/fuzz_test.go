package responses

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// seeds gives the files of one name from the cases of this repository.
func seeds(f *testing.F, name string) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "wire", "responses", "*", name))
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases with %s: %v", name, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	seeds(f, "request.json")
	f.Add([]byte(`{"model":"m","input":[{"type":"reasoning","id":"","summary":[],"encrypted_content":"hr1.eyJpIjoieCJ9"},{"role":"user","content":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Codec{}.DecodeRequest(b)
		h, headErr := Codec{}.Head(llm.OpChat, b)
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Class != llm.InvalidRequest || e.Message == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		// The full decode looks less closely at what only the head reads.
		if headErr != nil {
			return
		}
		if h.Model != r.Model || h.Stream != r.Stream {
			t.Fatalf("head %+v", h)
		}
		for _, c := range []llm.Capability{{}, {Known: true, Closed: true, Efforts: []string{"low"}, ReasoningField: typeContent}} {
			for _, from := range []llm.Dialect{llm.Responses, llm.OpenAI, llm.Anthropic} {
				other := *r
				if other.From = from; from != llm.Responses {
					other.Raw = nil
				}
				enc, err := Codec{}.EncodeRequest(&other, "m", &c)
				if err != nil {
					t.Fatal(err)
				}
				out := bytes.Join(enc.Body, nil)
				if !jsontext.Value(out).IsValid() {
					t.Fatalf("written as %s", out)
				}
				if from == llm.Responses && llm.Refusal(enc.Losses) == nil {
					if _, err := (Codec{}).DecodeRequest(out); err != nil {
						t.Fatalf("written as %s: %v", out, err)
					}
				}
				if enc, err = (Codec{}).EncodeCount(&other, "m", &c); err != nil || !jsontext.Value(bytes.Join(enc.Body, nil)).IsValid() {
					t.Fatalf("counted as %s: %v", bytes.Join(enc.Body, nil), err)
				}
			}
			d := llm.NewDraft(llm.Responses, llm.OpChat, b, h, nil)
			d = d.With(llm.Edit{Kind: llm.EditReshape}).With(llm.Edit{Kind: llm.EditModel, Text: "x"}).With(llm.Edit{Kind: llm.EditMaxTokens, Number: 1})
			enc, err := Codec{}.Patch(&d, &c)
			if err != nil {
				t.Fatal(err)
			}
			if out := bytes.Join(enc.Body, nil); !jsontext.Value(out).IsValid() {
				t.Fatalf("patched to %s", out)
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	seeds(f, "response.json")
	seeds(f, "error.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, status := range []int{200, 400, 429, 500} {
			e := Codec{}.DecodeError(status, nil, b)
			if e.Class == "" || e.Message == "" {
				t.Fatalf("%+v", e)
			}
			if _, body := (Codec{}).EncodeError(e); !span.Valid(body) {
				t.Fatalf("error written as %s", body)
			}
		}
		g, glanceErr := Codec{}.Glance(b)
		r, err := Codec{}.DecodeResponse(b)
		if err != nil {
			if _, ok := err.(*llm.Error); !ok {
				t.Fatalf("%#v", err)
			}
			return
		}
		if glanceErr != nil || g.ID != r.ID || g.Finish.Reason != r.Finish.Reason {
			t.Fatalf("%+v %v", g, glanceErr)
		}
		out := Codec{}.AppendResponse(nil, r)
		if r.Finish.Native != "failed" {
			if _, err := (Codec{}).DecodeResponse(out); err != nil {
				t.Fatalf("written as %s: %v", out, err)
			}
		}
		r.From = llm.Anthropic
		if out := (Codec{}).AppendResponse(nil, r); !span.Valid(out) {
			t.Fatalf("written as %s", out)
		}
	})
}

func FuzzStream(f *testing.F) {
	seeds(f, "stream.sse")
	f.Add([]byte("data:{\"type\":\"response.output_text.delta\",\"delta\":\"\x88\"}\n\ndata:{\"type\":\"response.completed\"}\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		events := decoded(b)
		want := tell(events)
		var out []byte
		e := Codec{}.NewEncoder(llm.StreamOptions{ID: "x", Model: "m"})
		for _, ev := range events {
			out = e.Encode(out, ev)
		}
		got := tell(decoded(out))
		// What is no UTF-8 cannot stand in JSON: each such byte becomes U+FFFD.
		want.text = string([]rune(want.text))
		if got.text != want.text || got.calls != want.calls || (got.err == nil) != (want.err == nil) {
			t.Fatalf("%+v became %+v in\n%s", want, got, out)
		}
	})
}
