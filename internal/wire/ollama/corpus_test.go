package ollama_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/sse"
	"headrace/internal/wire/wiretest"
)

// recordings gives the recorded exchanges of this dialect.
func recordings(t *testing.T) (all []*wiretest.Record) {
	for _, r := range wiretest.Corpus(t, wiretest.Filter{}) {
		if r.Wire == "ollama" {
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		t.Skip("no recorded traffic of this dialect")
	}
	return all
}

func canonical(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %.300s", err, b)
	}
	return v
}

// form is the codec of a recording's door.
func form(r *wiretest.Record) ollama.Codec {
	switch r.Path {
	case "/api/generate":
		return ollama.Codec{Form: ollama.FormGenerate}
	case "/api/embeddings":
		return ollama.Codec{Form: ollama.FormEmbeddings}
	case "/api/embed":
		return ollama.Codec{Form: ollama.FormEmbed}
	}
	return ollama.Codec{}
}

// Every recorded request goes through the words and comes back the same, and
// goes to the other dialects with nothing lost that is not told.
func TestRecordedRequests(t *testing.T) {
	n := map[string]int{}
	for _, r := range recordings(t) {
		body := r.Request.Body()
		if len(body) == 0 || r.Operation != "chat" && r.Operation != "generate" {
			continue
		}
		c := form(r)
		req, err := c.DecodeRequest(body)
		if err != nil {
			t.Errorf("%s: %v", r.ID, err)
			continue
		}
		n[r.Operation]++
		enc, err := c.EncodeRequest(req, req.Model, &llm.Capability{})
		if err != nil {
			t.Fatal(err)
		}
		got, want := canonical(t, bytes.Join(enc.Body, nil)), canonical(t, body)
		tidy(got)
		tidy(want)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %.600s\nwant %.600s", r.ID, bytes.Join(enc.Body, nil), body)
		}
		for _, other := range []wiretest.Codec{openai.Codec{}, anthropic.Codec{}} {
			enc, err := other.EncodeRequest(req, "m", &llm.Capability{})
			if err != nil {
				t.Errorf("%s to %s: %v", r.ID, other.Dialect(), err)
				continue
			}
			if l := llm.Refusal(enc.Losses); l != nil {
				n["refused by "+string(other.Dialect())+": "+l.Path]++
				continue
			}
			back, err := other.DecodeRequest(bytes.Join(enc.Body, nil))
			if err != nil {
				t.Errorf("%s to %s: %v", r.ID, other.Dialect(), err)
				continue
			}
			told := slices.ContainsFunc(enc.Losses, func(l llm.Loss) bool { return strings.HasPrefix(l.Why, "approximated") })
			if a, b := tally(req), tally(back); !reflect.DeepEqual(a, b) && !told {
				t.Errorf("%s to %s: %v became %v; told %v", r.ID, other.Dialect(), a, b, enc.Losses)
			}
			n["to "+string(other.Dialect())]++
		}
	}
	t.Logf("%v", n)
}

// tally counts what must survive a translation.
func tally(r *llm.Request) map[string]int {
	n := map[string]int{"tools": len(r.Tools)}
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case llm.ItemMessage, llm.ItemToolResult:
			for _, b := range it.Blocks {
				if b.Kind == llm.BlockText {
					n["text"] += len(bytes.Join(bytes.Fields([]byte(b.Text)), nil))
				} else {
					n[string(b.Kind)]++
				}
			}
			if it.Kind == llm.ItemToolResult {
				n["results"]++
			}
		case llm.ItemToolCall:
			n["calls"]++
			n[string(it.Call.Name)+string(it.Call.Arguments)]++
		}
	}
	return n
}

// tidy takes out members that say nothing.
func tidy(v any) {
	switch x := v.(type) {
	case map[string]any:
		for k, m := range x {
			if l, ok := m.([]any); m == nil || m == "" || ok && len(l) == 0 {
				delete(x, k)
				continue
			}
			tidy(m)
		}
	case []any:
		for _, m := range x {
			tidy(m)
		}
	}
}

// Every recorded answer, whole or streamed, is read and comes back the same.
func TestRecordedAnswers(t *testing.T) {
	n := map[string]int{}
	for _, r := range recordings(t) {
		body, c := r.Response.Body(), form(r)
		switch {
		case len(body) == 0:
		case !r.OK():
			if e := c.DecodeError(r.Response.Status, r.Response.Header(), body); e.Class != llm.ModelNotFound {
				t.Errorf("%s: %+v", r.ID, e)
			}
			n["errors"]++
		case r.Operation == "embeddings":
			e, err := c.DecodeEmbeddings(body)
			if err != nil || len(e.Vectors) == 0 {
				t.Errorf("%s: %v", r.ID, err)
				continue
			}
			if got, want := canonical(t, c.AppendEmbeddings(nil, &llm.EmbedRequest{}, e)), canonical(t, body); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: the vectors differ", r.ID)
			}
			if g, err := c.GlanceEmbed(body); err != nil || g.Usage.Input != e.Usage.Input {
				t.Errorf("%s: %+v, %v", r.ID, g, err)
			}
			if q := r.Request.Body(); len(q) > 0 {
				if _, err := c.DecodeEmbed(q); err != nil {
					t.Errorf("%s: %v", r.ID, err)
				}
			}
			n["embeddings"]++
		case r.Operation == "show":
			if model, err := c.DecodeShow(r.Request.Body()); err != nil || model == "" {
				t.Errorf("%s: %v", r.ID, err)
			}
			n["show"]++
		case r.Operation != "chat" && r.Operation != "generate":
		case r.Streaming:
			lines, d := sse.NewLineReader(bytes.NewReader(body), 0), c.NewDecoder()
			var es []llm.Event
			for {
				f, err := lines.Next()
				if err != nil {
					break
				}
				before := len(es)
				if es, err = d.Decode(es, f.Event, f.Data); err != nil {
					t.Fatalf("%s: %v", r.ID, err)
				}
				for _, e := range es[before:] {
					if e.Terminal() && !c.Telling(f.Data) {
						t.Errorf("%s: %s is passed over", r.ID, f.Data)
					}
				}
			}
			es = d.Close(es)
			if err := wiretest.Grammar(es); err != nil || es[len(es)-1].Kind != llm.EventFinish {
				t.Errorf("%s: %v, %+v", r.ID, err, es[len(es)-1])
			}
			n["streams"]++
		default:
			resp, err := c.DecodeResponse(body)
			if err != nil {
				t.Errorf("%s: %v", r.ID, err)
				continue
			}
			got, want := canonical(t, c.AppendResponse(nil, resp)), canonical(t, body)
			tidy(got)
			tidy(want)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %.600s\nwant %.600s", r.ID, c.AppendResponse(nil, resp), body)
			}
			n["whole"]++
		}
	}
	t.Logf("%v", n)
}
