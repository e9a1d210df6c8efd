package openai

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
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "wire", "openai", "*", name))
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
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Codec{}.DecodeRequest(b)
		h, headErr := Codec{}.Head(llm.OpChat, b)
		if err != nil {
			if e, ok := err.(*llm.Error); !ok || e.Class != llm.InvalidRequest || e.Message == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		if headErr != nil {
			t.Fatalf("decodes, but its head does not: %v", headErr)
		}
		if h.Model != r.Model || h.Stream != r.Stream {
			t.Fatalf("head %+v", h)
		}
		for _, c := range []llm.Capability{{}, {Known: true, Closed: true, ToolIDLength: 9, MaxTokensField: "max_tokens"}} {
			enc, err := Codec{}.EncodeRequest(r, "m", &c)
			if err != nil {
				t.Fatal(err)
			}
			out := bytes.Join(enc.Body, nil)
			if !jsontext.Value(out).IsValid() {
				t.Fatalf("written as %s", out)
			}
			if _, err := (Codec{}).DecodeRequest(out); err != nil {
				t.Fatalf("written as %s: %v", out, err)
			}
			// The same conversation in another dialect's hands.
			other := *r
			other.From, other.Raw = llm.Anthropic, nil
			enc, err = Codec{}.EncodeRequest(&other, "m", &c)
			if err != nil {
				t.Fatal(err)
			}
			if out := bytes.Join(enc.Body, nil); !jsontext.Value(out).IsValid() {
				t.Fatalf("written as %s", out)
			}
			d := llm.NewDraft(llm.OpenAI, llm.OpChat, b, h, nil)
			d = d.With(llm.Edit{Kind: llm.EditReshape}).With(llm.Edit{Kind: llm.EditModel, Text: "x"}).With(llm.Edit{Kind: llm.EditUsage}).With(llm.Edit{Kind: llm.EditMaxTokens, Number: 1})
			enc, err = Codec{}.Patch(&d, &c)
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
			if _, body := (Codec{}).EncodeError(e); !jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
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
		if glanceErr != nil || g.ID != r.ID {
			t.Fatalf("%+v %v", g, glanceErr)
		}
		out := Codec{}.AppendResponse(nil, r)
		if _, err := (Codec{}).DecodeResponse(out); err != nil {
			t.Fatalf("written as %s: %v", out, err)
		}
		r.From = llm.Anthropic
		if out := (Codec{}).AppendResponse(nil, r); !span.Valid(out) {
			t.Fatalf("written as %s", out)
		}
	})
}

func FuzzStream(f *testing.F) {
	seeds(f, "stream.sse")
	f.Add([]byte("data:{\"choices\":[{\"delta\":{\"content\":\"\x88\"}}]}\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		events := decodeStream(t, b)
		want := follow(t, events)
		e := Codec{}.NewEncoder(llm.StreamOptions{IncludeUsage: true, ID: "x", Model: "m"})
		var out []byte
		for _, ev := range events {
			out = e.Encode(out, ev)
		}
		got := follow(t, decodeStream(t, out))
		// What is no UTF-8 cannot stand in JSON: each such byte becomes U+FFFD.
		want.Text = string([]rune(want.Text))
		if got.Text != want.Text || len(got.Calls) != len(want.Calls) || (got.Err == "") != (want.Err == "") {
			t.Fatalf("%+v became %+v in\n%s", want, got, out)
		}
	})
}
