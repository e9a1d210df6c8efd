package ollama

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

func seeds(f *testing.F, name string) {
	for _, b := range files(f, name) {
		f.Add(b)
	}
}

func FuzzDecodeRequest(f *testing.F) {
	seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Codec{}.DecodeRequest(b)
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Class != llm.InvalidRequest || e.Message == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		h, err := Codec{}.Head(llm.OpChat, b)
		if err != nil || h.Model != r.Model || h.Stream != r.Stream {
			t.Fatalf("head %+v, %v", h, err)
		}
		for _, c := range []llm.Capability{{}, {Known: true, Has: llm.Thinking, Efforts: []string{"low", "high"}}} {
			enc, err := Codec{}.EncodeRequest(r, "m", &c)
			if err != nil {
				t.Fatal(err)
			}
			out := bytes.Join(enc.Body, nil)
			back, err := Codec{}.DecodeRequest(out)
			if err != nil {
				t.Fatalf("written as %s: %v", out, err)
			}
			if back.Stream != r.Stream || !c.Known && len(back.Items) != len(r.Items) {
				t.Fatalf("%d items became %d in %s", len(r.Items), len(back.Items), out)
			}
			// The same conversation from the hands of another dialect.
			other := *r
			other.From, other.Raw = llm.Anthropic, nil
			enc, err = Codec{}.EncodeRequest(&other, "m", &c)
			if out := bytes.Join(enc.Body, nil); err != nil || !jsontext.Value(out).IsValid() {
				t.Fatalf("written as %s, %v", out, err)
			}
			d := llm.NewDraft(llm.Ollama, llm.OpChat, b, h, nil)
			d = d.With(llm.Edit{Kind: llm.EditReshape}).With(llm.Edit{Kind: llm.EditModel, Text: "x"}).With(llm.Edit{Kind: llm.EditMaxTokens, Number: 7})
			enc, err = Codec{}.Patch(&d, &c)
			if err != nil {
				t.Fatal(err)
			}
			patched, err := Codec{}.Head(llm.OpChat, bytes.Join(enc.Body, nil))
			if err != nil || patched.Model != "x" || patched.MaxTokens != 7 {
				t.Fatalf("patched to %s: %+v, %v", bytes.Join(enc.Body, nil), patched, err)
			}
		}
	})
}

func FuzzDecodeResponse(f *testing.F) {
	seeds(f, "response.json")
	seeds(f, "error.json")
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, status := range []int{200, 400, 404, 429, 500} {
			e := Codec{}.DecodeError(status, nil, b)
			if e.Class == "" || e.Message == "" {
				t.Fatalf("%+v", e)
			}
			if _, body := (Codec{}).EncodeError(e); !span.Valid(body) {
				t.Fatalf("error written as %s", body)
			}
		}
		if e, err := (Codec{}).DecodeEmbeddings(b); err == nil {
			if out := (Codec{}).AppendEmbeddings(nil, &llm.EmbedRequest{}, e); !span.Valid(out) {
				t.Fatalf("embeddings written as %s", out)
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
		if glanceErr != nil || g.Model != r.Model || g.Usage.Prompt() != r.Usage.Prompt() {
			t.Fatalf("%+v %v", g, glanceErr)
		}
		for _, c := range []Codec{{}, {Form: FormGenerate}} {
			if _, err := (Codec{}).DecodeResponse(c.AppendResponse(nil, r)); err != nil {
				t.Fatalf("written as %s: %v", c.AppendResponse(nil, r), err)
			}
			foreign := *r
			foreign.From = llm.Anthropic
			if out := c.AppendResponse(nil, &foreign); !span.Valid(out) {
				t.Fatalf("written as %s", out)
			}
		}
	})
}

func FuzzStream(f *testing.F) {
	seeds(f, "stream.ndjson")
	f.Fuzz(func(t *testing.T, b []byte) {
		es, err := events(t, bytes.NewReader(b))
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Class != llm.MalformedUpstream {
				t.Fatalf("%#v", err)
			}
			return
		}
		want := hear(t, es)
		out := encode(Codec{}, es, llm.StreamOptions{Model: "m"})
		back, err := events(t, strings.NewReader(out))
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		got := hear(t, back)
		// What is no UTF-8 cannot stand in JSON: each such byte becomes U+FFFD.
		if got.Text != string([]rune(want.Text)) || len(got.Calls) != len(want.Calls) || got.Failed != want.Failed {
			t.Fatalf("%+v became %+v in\n%s", want, got, out)
		}
	})
}

func FuzzDecodeEmbed(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["a","b"],"truncate":true,"dimensions":4}`))
	f.Add([]byte(`{"model":"m","prompt":"a","options":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Codec{}.DecodeEmbed(b)
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Class != llm.InvalidRequest {
				t.Fatalf("%#v", err)
			}
			return
		}
		enc, err := Codec{}.EncodeEmbed(r, "m", &llm.Capability{})
		if out := bytes.Join(enc.Body, nil); err != nil || !jsontext.Value(out).IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("written as %s, %v", out, err)
		}
	})
}
