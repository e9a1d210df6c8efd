package ollama

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

const casesDir = "../../../testdata/wire/ollama"

// files gives the cases' files of a name: folder to contents.
func files(t testing.TB, name string) map[string][]byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(casesDir, "*", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases with %s: %v", name, err)
	}
	all := map[string][]byte{}
	for _, f := range found {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(f))] = b
	}
	return all
}

func oneCase(t testing.TB, folder, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(casesDir, folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func codecOf(folder string) Codec {
	if strings.HasPrefix(folder, "generate") {
		return Codec{Form: FormGenerate}
	}
	return Codec{}
}

func decoded(t testing.TB, body []byte) *llm.Request {
	t.Helper()
	r, err := Codec{}.DecodeRequest(body)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return r
}

func joined(t testing.TB, e llm.Encoded, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Join(e.Body, nil)
	if !json.Valid(b) {
		t.Fatalf("no JSON: %s", b)
	}
	return string(b)
}

// events decodes a stream that comes from in, line by line.
func events(t testing.TB, in io.Reader) ([]llm.Event, error) {
	t.Helper()
	r, d := sse.NewLineReader(in, 0), Codec{}.NewDecoder()
	var out []llm.Event
	for {
		f, err := r.Next()
		if err != nil {
			return d.Close(out), nil
		}
		if out, err = d.Decode(out, f.Event, f.Data); err != nil {
			return out, err
		}
	}
}

func encode(c Codec, es []llm.Event, o llm.StreamOptions) string {
	enc := c.NewEncoder(o)
	var out []byte
	for _, e := range es {
		out = enc.Encode(out, e)
	}
	return string(out)
}

// same compares two JSON texts by meaning.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatalf("%v: %s", err, want)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// Through the words and back to the same dialect nothing changes.
func TestOwnRequests(t *testing.T) {
	for name, body := range files(t, "request.json") {
		if strings.HasPrefix(name, "refused") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r, err := codecOf(name).DecodeRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			enc, err := codecOf(name).EncodeRequest(r, r.Model, &llm.Capability{})
			same(t, []byte(joined(t, enc, err)), body)
			if len(enc.Losses) > 0 {
				t.Errorf("losses: %v", enc.Losses)
			}
			zero, err := Codec{}.DecodeRequest(body) // the form is told by the members
			if err != nil || !reflect.DeepEqual(zero, r) {
				t.Errorf("the zero codec reads %+v, %v", zero, err)
			}
		})
	}
}

func TestRefusedRequests(t *testing.T) {
	for name, body := range files(t, "request.json") {
		if !strings.HasPrefix(name, "refused") {
			continue
		}
		_, err := Codec{}.DecodeRequest(body)
		if e, ok := err.(*llm.Error); !ok || e.Class != llm.InvalidRequest || e.Message == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOwnAnswers(t *testing.T) {
	for name, body := range files(t, "response.json") {
		t.Run(name, func(t *testing.T) {
			r, err := Codec{}.DecodeResponse(body)
			if err != nil {
				t.Fatal(err)
			}
			got := codecOf(name).AppendResponse(nil, r)
			if name == "load" { // an empty count of nothing is not told
				return
			}
			same(t, got, body)
			g, err := Codec{}.Glance(body)
			if err != nil || g.Model != r.Model || !reflect.DeepEqual(g.Usage, r.Usage) || !reflect.DeepEqual(g.Finish, r.Finish) {
				t.Errorf("at first sight %+v, %v", g, err)
			}
		})
	}
}

func TestRequestWords(t *testing.T) {
	r := decoded(t, oneCase(t, "tools-history", "request.json"))
	var ids []string
	byCall := map[string]string{}
	for _, it := range r.Items {
		switch it.Kind {
		case llm.ItemToolCall:
			ids = append(ids, it.Call.ID)
		case llm.ItemToolResult:
			byCall[it.Result.CallID] = it.Text()
		}
	}
	if len(ids) != 5 {
		t.Fatalf("calls %q", ids)
	}
	for i, want := range []string{"at eight", "at nine", "at ten", "at eleven", "full"} {
		if got := byCall[ids[i]]; got != want {
			t.Errorf("call %d (%s) is answered %q, want %q", i, ids[i], got, want)
		}
	}
	again := decoded(t, oneCase(t, "tools-history", "request.json"))
	if !reflect.DeepEqual(again.Items, r.Items) {
		t.Error("ids differ from reading to reading")
	}
	if got := string(r.Items[2].Call.Arguments); got != `{"harbour":"Büsum","b":1,"a":2.0}` {
		t.Errorf("arguments %s", got)
	}

	r = decoded(t, oneCase(t, "images", "request.json"))
	if b := r.Items[0].Blocks; len(b) != 3 || b[0].Media.MIME != "image/png" || b[2].Text != "What is this?" || !r.Stream {
		t.Errorf("%+v, stream %v", b, r.Stream)
	}
	r = decoded(t, oneCase(t, "options", "request.json"))
	if r.MaxTokens != nil || r.Stream || string(r.Sampling.TopP) != "0.90" || len(r.Stop) != 2 {
		t.Errorf("%+v", r)
	}
	var ext []string
	for _, m := range r.Ext {
		ext = append(ext, m.Name+"="+string(m.Value))
	}
	if got := strings.Join(ext, " "); got != `options.num_ctx=8192 options.min_p=0.05 options.repeat_penalty=1.1 keep_alive="10m" truncate=true shift=false made_up={"a":[1,2.50]}` {
		t.Error(got)
	}
	for think, want := range map[string]llm.Reasoning{`true`: {Mode: llm.ThinkAdaptive}, `false`: {Mode: llm.ThinkOff}, `"max"`: {Effort: "max"}, `null`: {}} {
		r := decoded(t, []byte(`{"model":"m","think":`+think+`,"messages":[{"role":"user","content":"x"}]}`))
		if r.Reasoning != want {
			t.Errorf("think %s: %+v", think, r.Reasoning)
		}
	}
}

func TestHead(t *testing.T) {
	for _, tt := range []struct {
		op   llm.Op
		body string
		want llm.Head
	}{
		{llm.OpChat, `{"model":"a"}`, llm.Head{Model: "a", Stream: true}},
		{llm.OpChat, `{"model":"a","stream":null}`, llm.Head{Model: "a", Stream: true}},
		{llm.OpChat, `{"model":"a","stream":false,"options":{"num_predict":7}}`, llm.Head{Model: "a", MaxTokens: 7}},
		{llm.OpChat, `{"model":"a","stream":true,"options":{"num_predict":-2},"tools":[{}]}`, llm.Head{Model: "a", Stream: true, Tools: true}},
		{llm.OpChat, `{"model":"a","options":null,"tools":[]}`, llm.Head{Model: "a", Stream: true}},
		{llm.OpEmbed, `{"model":"a","input":"x"}`, llm.Head{Model: "a"}},
	} {
		h, err := Codec{}.Head(tt.op, []byte(tt.body))
		h.Members = nil
		if err != nil || !reflect.DeepEqual(h, tt.want) {
			t.Errorf("%s: %+v, %v", tt.body, h, err)
		}
	}
	for _, body := range []string{`{"model":""}`, `{"model":1}`, `{}`, `{"model":"a","stream":"yes"}`, `{"model":"a","options":[]}`,
		`{"model":"a","options":{"num_predict":"x"}}`, `{"model":"a","Stream":false}`, `[`} {
		if _, err := (Codec{}).Head(llm.OpChat, []byte(body)); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}
