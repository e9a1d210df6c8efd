package wiretest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
	"headrace/internal/wire/wiretest/closed"
)

// The tests of this file are named after forty faults that users of other
// gateways reported; the numbers are those of docs/wire/bugs.md. A fault that
// is tested elsewhere has its test named there.

// everyClient runs f for each dialect that has a room.
func everyClient(t *testing.T, f func(t *testing.T, d llm.Dialect, c wiretest.Codec)) {
	t.Helper()
	for _, d := range wiretest.Dialects() {
		if c := codecs[d]; c != nil {
			t.Run(string(d), func(t *testing.T) { f(t, d, c) })
		}
	}
}

// told encodes events for a client and has its SDK read them; the rules of the
// dialect's streams are checked too.
func told(t *testing.T, c wiretest.Codec, events []llm.Event) (wiretest.Answer, error) {
	t.Helper()
	e := c.NewEncoder(llm.StreamOptions{IncludeUsage: true, ID: "id-of-ours", Model: "m", Created: 1, PromptEstimate: 9})
	var out []byte
	for _, ev := range events {
		out = e.Encode(out, ev)
	}
	if err := wiretest.Must(c.Dialect(), out); err != nil {
		t.Errorf("%s: %v in\n%s", c.Dialect(), err, out)
	}
	return wiretest.Read(c.Dialect(), true, out)
}

// chunks is a Chat Completions stream.
func chunks(finish string, deltas ...string) string {
	var b strings.Builder
	for i, d := range append([]string{`{"role":"assistant"}`}, append(deltas, `{}`)...) {
		reason := "null"
		if i == len(deltas)+1 {
			reason = finish
		}
		fmt.Fprintf(&b, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":%s}]}\n\n", d, reason)
	}
	return b.String() + "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}\n\ndata: [DONE]\n\n"
}

func calling(s string) string { return `{"tool_calls":[` + s + `]}` }

// events decodes a stream of the dialect.
func events(t *testing.T, d llm.Dialect, stream string) []llm.Event {
	t.Helper()
	es, err := wiretest.Events(codecs[d], strings.NewReader(stream))
	if err != nil {
		t.Fatalf("%v in %s", err, stream)
	}
	return es
}

// send translates a request from one dialect for a target of another.
func send(t *testing.T, from llm.Dialect, body string, to llm.Dialect, c *llm.Capability) (string, llm.Encoded) {
	t.Helper()
	r, err := codecs[from].DecodeRequest([]byte(body))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	enc, err := codecs[to].EncodeRequest(r, "m", c)
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return string(bytes.Join(enc.Body, nil)), enc
}

func lossAt(enc llm.Encoded, kind llm.LossKind) bool {
	return slices.ContainsFunc(enc.Losses, func(l llm.Loss) bool { return l.Kind == kind })
}

func vendor(name string) *closed.Vendor {
	return closed.Vendors[slices.IndexFunc(closed.Vendors, func(v *closed.Vendor) bool { return v.Name == name })]
}

func TestBug01ArgumentsOfEveryShape(t *testing.T) {
	t.Parallel()
	for shape, c := range map[string]struct {
		deltas []string
		want   string
	}{
		"all in the opening chunk":  {[]string{calling(`{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\": 1.0}"}}`)}, `{"x":1.0}`},
		"in pieces":                 {[]string{calling(`{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}`), calling(`{"index":0,"function":{"arguments":"{\"x\""}}`), calling(`{"index":0,"function":{"arguments":": 1.0}"}}`)}, `{"x":1.0}`},
		"empty":                     {[]string{calling(`{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}`)}, `{}`},
		"pieces and then all again": {[]string{calling(`{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\""}}`), calling(`{"index":0,"function":{"arguments":": 1.0}"}}`), calling(`{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"x\": 1.0}"}}`)}, `{"x":1.0}`},
	} {
		es := events(t, llm.OpenAI, chunks(`"tool_calls"`, c.deltas...))
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			a, err := told(t, client, es)
			if err != nil || len(a.Calls) != 1 || a.Calls[0].Arguments != c.want {
				t.Errorf("%s: %+v, %v; want %s", shape, a.Calls, err, c.want)
			}
		})
	}
}

// TestBug01ArgumentsOfResponses: a Responses upstream may leave the deltas out
// and say the arguments at their end only, with the item, or with the response.
func TestBug01ArgumentsOfResponses(t *testing.T) {
	t.Parallel()
	const (
		head    = `{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","created_at":1,"model":"m","status":"in_progress","output":[]}}`
		added   = `{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"","status":"in_progress"}}`
		delta   = `{"type":"response.function_call_arguments.delta","sequence_number":2,"item_id":"fc_1","output_index":0,"delta":"{\"x\": 1.0}"}`
		argsEnd = `{"type":"response.function_call_arguments.done","sequence_number":3,"item_id":"fc_1","output_index":0,"arguments":"{\"x\": 1.0}"}`
		item    = `{"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{\"x\": 1.0}","status":"completed"}`
		itemEnd = `{"type":"response.output_item.done","sequence_number":4,"output_index":0,"item":` + item + `}`
		end     = `{"type":"response.completed","sequence_number":5,"response":{"id":"r","object":"response","created_at":1,"model":"m","status":"completed","output":[` + item + `],"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":15}}}`
	)
	for name, datas := range map[string][]string{
		"deltas":             {head, added, delta, argsEnd, itemEnd, end},
		".done alone":        {head, added, argsEnd, itemEnd, end},
		"the item alone":     {head, added, itemEnd, end},
		"not even added":     {head, itemEnd, end},
		"the response alone": {head, end},
	} {
		var stream strings.Builder
		for _, d := range datas {
			var v struct{ Type string }
			if err := json.Unmarshal([]byte(d), &v); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&stream, "event: %s\ndata: %s\n\n", v.Type, d)
		}
		es := events(t, llm.Responses, stream.String())
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			a, err := told(t, client, es)
			if err != nil || len(a.Calls) != 1 || a.Calls[0].Name != "f" || a.Calls[0].Arguments != `{"x":1.0}` {
				t.Errorf("%s: %+v, %v", name, a.Calls, err)
			}
		})
	}
}

// TestBug05And06ReasoningStaysWhole: the encrypted thought of a Responses model
// goes through a client of every dialect and comes back with its id, its
// summary and what follows it, or not at all; to another vendor it never goes.
// A thought that another vendor made never goes to a Responses model.
func TestBug05And06ReasoningStaysWhole(t *testing.T) {
	t.Parallel()
	u := vendor("responses").Open(nil)
	answer, no := u.Serve([]byte(`{"model":"m","store":false,"input":"q","tools":[{"type":"function","name":"get_weather","parameters":{"type":"object","properties":{}},"strict":false}]}`))
	if no != nil {
		t.Fatalf("%s", no.Body)
	}
	var sealed struct {
		Output []struct {
			Encrypted string `json:"encrypted_content"`
		}
	}
	if err := json.Unmarshal(answer, &sealed); err != nil {
		t.Fatal(err)
	}
	r, err := codecs[llm.Responses].DecodeResponse(answer)
	if err != nil {
		t.Fatal(err)
	}
	foreign := &llm.Response{ID: "i", Model: "m", From: llm.OpenAI, Finish: llm.Finish{Reason: llm.FinishToolCalls}, Items: []llm.Item{
		{Kind: llm.ItemReasoning, Role: llm.Assistant, From: llm.OpenAI, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}},
		{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: llm.Call{ID: "call_1", Name: "f", Arguments: []byte("{}")}}}}
	keeps := map[llm.Dialect]bool{llm.OpenAI: true, llm.Anthropic: true, llm.Responses: true, llm.Gemini: true}
	everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
		again := func(r *llm.Response) []byte {
			next, err := wiretest.NextTurn(d, client.AppendResponse(nil, r))
			if err != nil {
				t.Fatal(err)
			}
			return next
		}
		// through the words, and for the client of its own dialect as it stands
		bodies := func(next []byte, to llm.Dialect) (all [][]byte) {
			req, err := client.DecodeRequest(next)
			if err != nil {
				t.Fatal(err)
			}
			enc, err := codecs[to].EncodeRequest(req, "m", &llm.Capability{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, bytes.Join(enc.Body, nil))
			if d == to {
				head, err := client.Head(llm.OpChat, next)
				if err != nil {
					t.Fatal(err)
				}
				draft := llm.NewDraft(d, llm.OpChat, next, head, client.DecodeRequest)
				if enc, err = client.Patch(&draft, &llm.Capability{}); err != nil {
					t.Fatal(err)
				}
				all = append(all, bytes.Join(enc.Body, nil))
			}
			return all
		}
		next := again(r)
		for _, body := range bodies(next, llm.Responses) {
			if _, no := u.Serve(body); no != nil {
				t.Errorf("refused: %s\n%s", no.Body, body)
			}
			if bytes.Contains(body, []byte(sealed.Output[0].Encrypted)) != keeps[d] {
				t.Errorf("keeps it: %v, in %s", keeps[d], body)
			}
		}
		for to := range codecs {
			if to == llm.Responses || to == d {
				continue
			}
			for _, body := range bodies(next, to) {
				if bytes.Contains(body, []byte(sealed.Output[0].Encrypted)) {
					t.Errorf("it goes to %s: %s", to, body)
				}
			}
		}
		for _, body := range bodies(again(foreign), llm.Responses) {
			if _, no := vendor("responses").Open(nil).Serve(body); no != nil {
				t.Errorf("refused: %s\n%s", no.Body, body)
			}
		}
	})
}

// TestBug12SchemasOfTools: the schemas that tools publish, such as those of MCP
// servers, arrive byte for byte where the target takes JSON Schema, and in the
// member of Gemini's that does; what a target would lose is told.
func TestBug12SchemasOfTools(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(wiretest.Root(), "testdata", "wire", "schemas.json"))
	if err != nil {
		t.Fatal(err)
	}
	var shapes []struct {
		Name   string
		Schema json.RawMessage
	}
	if err := json.Unmarshal(b, &shapes); err != nil {
		t.Fatal(err)
	}
	if len(shapes) < 40 {
		t.Errorf("only %d shapes", len(shapes))
	}
	cat, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range shapes {
		var flat bytes.Buffer
		if err := json.Compact(&flat, shape.Schema); err != nil {
			t.Fatal(err)
		}
		for from, body := range map[llm.Dialect]string{
			llm.Anthropic: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"}],"tools":[{"name":"f","description":"d","input_schema":` + flat.String() + `}]}`,
			llm.OpenAI:    `{"model":"m","messages":[{"role":"user","content":"q"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":` + flat.String() + `}}]}`,
			llm.Gemini:    `{"contents":[{"role":"user","parts":[{"text":"q"}]}],"tools":[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":` + flat.String() + `}]}]}`,
		} {
			r, err := codecs[from].DecodeRequest([]byte(body))
			if err != nil {
				t.Fatalf("%s from %s: %v", shape.Name, from, err)
			}
			for _, v := range closed.Vendors {
				if v.NoTools {
					continue
				}
				c := cat.Capability(v.Provider, v.Model)
				enc, err := codecs[v.Dialect].EncodeRequest(r, v.Model, &c)
				if err != nil {
					t.Fatalf("%s from %s: %v", shape.Name, from, err)
				}
				out := bytes.Join(enc.Body, nil)
				if l := llm.Refusal(enc.Losses); l != nil {
					t.Errorf("%s, %s to %s: refused: %+v", shape.Name, from, v.Name, l)
					continue
				}
				if _, no := v.Open(nil).Serve(out); no != nil {
					t.Errorf("%s, %s to %s: %s\n%s", shape.Name, from, v.Name, no.Body, out)
				}
				// What Google's own subset spells in another way is JSON Schema's
				// spelling for the others.
				same := from != llm.Gemini || v.Dialect == llm.Gemini || !strings.Contains(flat.String(), "nullable") && !strings.Contains(flat.String(), `"example"`)
				if same && c.Manners.Schema == "" && !bytes.Contains(out, flat.Bytes()) {
					t.Errorf("%s, %s to %s: the schema is not as it was: %s", shape.Name, from, v.Name, out)
				}
				if v.Dialect == llm.Gemini && !bytes.Contains(out, []byte(`"parametersJsonSchema":`)) {
					t.Errorf("%s, %s to %s: %s", shape.Name, from, v.Name, out)
				}
			}
		}
	}
}

func TestBug03ThinkingComesFirstInAnOpenLoop(t *testing.T) {
	t.Parallel()
	u := vendor("anthropic").Open(nil)
	first, no := u.Serve([]byte(`{"model":"m","max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024},"tools":[{"name":"get_weather","input_schema":{}}],"messages":[{"role":"user","content":"q"}]}`))
	if no != nil {
		t.Fatalf("%s", no.Body)
	}
	r, err := codecs[llm.Anthropic].DecodeResponse(first)
	if err != nil {
		t.Fatal(err)
	}
	everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
		next, err := wiretest.NextTurn(d, client.AppendResponse(nil, r))
		if err != nil {
			t.Fatal(err)
		}
		req, err := client.DecodeRequest(next)
		if err != nil {
			t.Fatal(err)
		}
		asked := *req
		asked.Raw, asked.Reasoning = nil, llm.Reasoning{Mode: llm.ThinkOn, Budget: 1024}
		enc, err := codecs[llm.Anthropic].EncodeRequest(&asked, "m", &llm.Capability{Known: true, Has: llm.AllFeatures, ThinkTypes: []string{"enabled", "disabled"}, MaxOutput: 32000})
		if err != nil {
			t.Fatal(err)
		}
		if _, no := u.Serve(bytes.Join(enc.Body, nil)); no != nil {
			t.Errorf("refused: %s\n%s", no.Body, bytes.Join(enc.Body, nil))
		}
	})
}

// TestBug07And11And23 cuts a stream of every provider's dialect behind every
// byte: every client sees one end, an error unless all had come, and never a
// second start.
func TestBug07And11And23CutAtEveryByte(t *testing.T) {
	t.Parallel()
	streams := map[llm.Dialect]string{llm.OpenAI: chunks(`"tool_calls"`, `{"reasoning_content":"hm"}`, `{"content":"hé"}`, calling(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}`), calling(`{"index":0,"function":{"arguments":":1}"}}`))}
	for _, d := range wiretest.Dialects() {
		if codecs[d] == nil || d == llm.OpenAI {
			continue
		}
		e := codecs[d].NewEncoder(llm.StreamOptions{IncludeUsage: true, ID: "i", Model: "m", Created: 1})
		var out []byte
		for _, ev := range events(t, llm.OpenAI, streams[llm.OpenAI]) {
			out = e.Encode(out, ev)
		}
		streams[d] = string(out)
	}
	for up, stream := range streams {
		for k := range len(stream) {
			if !wiretest.Full() && k%5 != len(stream)%5 {
				continue
			}
			es, err := wiretest.Events(codecs[up], strings.NewReader(stream[:k]))
			if err != nil {
				es = append(es, llm.Event{Kind: llm.EventError, Err: err.(*llm.Error)})
			}
			if err := wiretest.Grammar(es); err != nil {
				t.Fatalf("%s cut at %d: %v", up, k, err)
			}
			// OpenAI's own client waits for a blank line that adds nothing.
			ended := es[len(es)-1].Kind == llm.EventFinish
			if whole, err := wiretest.Read(up, true, []byte(stream[:k])); ended && up != llm.OpenAI && (err != nil || whole.Finish == "") {
				t.Fatalf("%s cut at %d: we see a good end, its own client does not: %v", up, k, err)
			}
			for _, c := range codecs {
				if a, err := told(t, c, es); (err == nil) != ended || err == nil && a.Finish == "" {
					t.Fatalf("%s cut at %d: the %s client sees %v, ended %v", up, k, c.Dialect(), err, ended)
				}
			}
			if t.Failed() {
				t.Fatalf("%s cut at %d", up, k)
			}
		}
	}
}

func TestBug08CachedTokensAreCountedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d     llm.Dialect
		usage string
		want  llm.Usage
	}{
		"OpenAI includes them":      {llm.OpenAI, `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":5}}`, llm.Usage{Input: 40, CacheRead: 60, Output: 20, Reasoning: 5}},
		"DeepSeek splits":           {llm.OpenAI, `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":60,"prompt_cache_miss_tokens":40}`, llm.Usage{Input: 40, CacheRead: 60, Output: 20}},
		"Moonshot at the top":       {llm.OpenAI, `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"cached_tokens":60}`, llm.Usage{Input: 40, CacheRead: 60, Output: 20}},
		"DashScope includes writes": {llm.OpenAI, `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":60,"cache_creation_input_tokens":10}}`, llm.Usage{Input: 30, CacheRead: 60, CacheWrite5m: 10, Output: 20}},
		"Anthropic excludes them":   {llm.Anthropic, `{"input_tokens":40,"cache_read_input_tokens":50,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"output_tokens":20}`, llm.Usage{Input: 40, CacheRead: 50, CacheWrite5m: 4, CacheWrite1h: 6, Output: 20}},
	} {
		body := `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + c.usage + `}`
		if c.d == llm.Anthropic {
			body = `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":` + c.usage + `}`
		}
		r, err := codecs[c.d].DecodeResponse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got := r.Usage
		got.Source, got.Raw = "", nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			if d == c.d {
				return // is given what the provider said
			}
			a, err := wiretest.Read(d, false, client.AppendResponse(nil, r))
			want := wiretest.Answer{Usage: wiretest.TokensOf(c.want)}.SeenBy(c.d).SeenBy(d).Usage
			if err != nil || a.SeenBy(d).Usage != want {
				t.Errorf("%s: the client reads %+v, %v; want %+v", name, a.Usage, err, want)
			}
		})
	}
}

func TestBug09ParallelCallsStayApart(t *testing.T) {
	t.Parallel()
	one := func(index, id, name, arguments string) string {
		return `{` + index + `"id":"` + id + `","type":"function","function":{"name":"` + name + `","arguments":"` + arguments + `"}}`
	}
	for name, deltas := range map[string][]string{
		"index 0 twice":   {calling(one(`"index":0,`, "a", "f", `{\"n\":1}`)), calling(one(`"index":0,`, "b", "g", `{\"n\":2}`))},
		"no index":        {calling(one(``, "a", "f", `{\"n\":1}`) + `,` + one(``, "b", "g", `{\"n\":2}`))},
		"index -1":        {calling(one(`"index":-1,`, "a", "f", `{\"n\":1}`)), calling(one(`"index":-1,`, "b", "g", `{\"n\":2}`))},
		"gaps":            {calling(one(`"index":3,`, "a", "f", `{\"n\":1}`)), calling(one(`"index":9,`, "b", "g", `{\"n\":2}`))},
		"interleaved":     {calling(one(`"index":0,`, "a", "f", `{\"n\"`)), calling(one(`"index":1,`, "b", "g", `{\"n\"`)), calling(`{"index":0,"function":{"arguments":":1}"}}`), calling(`{"index":1,"function":{"arguments":":2}"}}`)},
		"text in between": {calling(one(`"index":0,`, "a", "f", `{\"n\":1}`)), `{"content":"x"}`, calling(one(`"index":1,`, "b", "g", `{\"n\":2}`))},
	} {
		es := events(t, llm.OpenAI, chunks(`"tool_calls"`, deltas...))
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			a, err := told(t, client, es)
			if err != nil || len(a.Calls) != 2 || a.Calls[0].Name != "f" || a.Calls[1].Name != "g" || a.Calls[0].Arguments != `{"n":1}` || a.Calls[1].Arguments != `{"n":2}` || a.Calls[0].ID == a.Calls[1].ID {
				t.Errorf("%s: %+v, %v", name, a.Calls, err)
			}
		})
	}
}

func TestBug10CallsDecideTheFinish(t *testing.T) {
	t.Parallel()
	call := calling(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}`)
	for _, reason := range []string{`"stop"`, `"tool_calls"`, `"function_call"`, `"tool_call"`, `"end_turn"`, `"eos"`} {
		with, without := events(t, llm.OpenAI, chunks(reason, call)), events(t, llm.OpenAI, chunks(reason, `{"content":"x"}`))
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			raw := func(es []llm.Event) llm.FinishReason {
				a, err := told(t, client, es)
				if err != nil {
					t.Errorf("%s: %v", reason, err)
				}
				return a.Finish
			}
			want := llm.FinishToolCalls
			if d == llm.Gemini || d == llm.Ollama || d == llm.Responses {
				want = llm.FinishStop // there is no other word; the calls tell
			}
			if d == llm.OpenAI {
				// The provider's own word goes to a client of its dialect.
				for calls, es := range [][]llm.Event{without, with} {
					if a, err := told(t, client, es); err != nil || len(a.Calls) != calls || a.Finish == "" {
						t.Errorf("%s: %+v, %v", reason, a, err)
					}
				}
				return
			}
			if got := raw(with); got != want {
				t.Errorf("%s with a call became %s", reason, got)
			}
			if got := raw(without); got == llm.FinishToolCalls {
				t.Errorf("%s without a call became %s", reason, got)
			}
		})
	}
}

func TestBug13OneNameForTheOutputCap(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := codecs[llm.Anthropic].DecodeRequest([]byte(`{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"q"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, m := range cat.Models() {
		p, ok := cat.Provider(m.Provider)
		if !ok || p.Dialect != llm.OpenAI || !m.Text() {
			continue
		}
		n++
		c := cat.Capability(m.Provider, m.ID)
		enc, err := codecs[llm.OpenAI].EncodeRequest(r, m.ID, &c)
		if err != nil {
			t.Fatal(err)
		}
		var b map[string]any
		if err := json.Unmarshal(bytes.Join(enc.Body, nil), &b); err != nil {
			t.Fatal(err)
		}
		want := c.MaxTokensField
		if want == "" {
			want = "max_completion_tokens"
		}
		if len(enc.Losses) == 0 && (b[want] == nil || (b["max_tokens"] != nil) == (b["max_completion_tokens"] != nil)) {
			t.Errorf("%s/%s: want %s in %v", m.Provider, m.ID, want, b)
		}
	}
	if n < 500 {
		t.Errorf("only %d models were tried", n)
	}
}

func TestBug15And16EachTakesItsOwnThinking(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range closed.Vendors {
		if codecs[v.Dialect] == nil || v.NoTools {
			continue
		}
		for _, said := range []string{`"reasoning_content":"hm",`, `"reasoning":"hm",`, `"reasoning_content":"",`, ``} {
			body := `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,` + said + `"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"r"}]}`
			r, err := codecs[llm.OpenAI].DecodeRequest([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			c := cat.Capability(v.Provider, v.Model)
			enc, err := codecs[v.Dialect].EncodeRequest(r, v.Model, &c)
			if err != nil {
				t.Fatal(err)
			}
			if v.Provider == "" {
				continue // nothing is known of it
			}
			if _, no := v.Open(nil).Serve(bytes.Join(enc.Body, nil)); no != nil {
				t.Errorf("%s, %q: %s\n%s", v.Name, said, no.Body, bytes.Join(enc.Body, nil))
			}
		}
	}
}

func TestBug17CacheMarksStay(t *testing.T) {
	t.Parallel()
	body := `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"f","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r","cache_control":{"type":"ephemeral"}}]}]}`
	marks := strings.Count(body, "cache_control")
	if out, _ := send(t, llm.Anthropic, body, llm.Anthropic, &llm.Capability{}); strings.Count(out, "cache_control") != marks {
		t.Errorf("%d marks of %d in %s", strings.Count(out, "cache_control"), marks, out)
	}
	if out, _ := send(t, llm.Anthropic, body, llm.OpenAI, &llm.Capability{Known: true, Has: llm.AllFeatures, CacheMarks: true}); strings.Count(out, "cache_control") != marks {
		t.Errorf("%d marks of %d in %s", strings.Count(out, "cache_control"), marks, out)
	}
	if out, _ := send(t, llm.Anthropic, body, llm.OpenAI, &llm.Capability{Known: true, Has: llm.AllFeatures}); strings.Contains(out, "cache_control") {
		t.Errorf("marks for a target that takes none: %s", out)
	}
}

func TestBug19ChunksWithoutChoicesOrDelta(t *testing.T) {
	t.Parallel()
	stream := "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{}}]}\n\n" +
		strings.Replace(chunks(`"stop"`, `{"content":"hi"}`), "data: [DONE]", "data: {\"choices\":[{\"index\":0,\"finish_reason\":null,\"content_filter_results\":{},\"content_filter_offsets\":{}}],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\"}\n\ndata: [DONE]", 1)
	es := events(t, llm.OpenAI, stream)
	everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
		if a, err := told(t, client, es); err != nil || a.Text != "hi" || a.Finish != llm.FinishStop {
			t.Errorf("%+v, %v", a, err)
		}
	})
}

func TestBug20ImagesArriveOrAreRefused(t *testing.T) {
	t.Parallel()
	image := `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}`
	for place, body := range map[string]string{
		"a user's message": `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[` + image + `,{"type":"text","text":"q"}]}]}`,
		"a later turn":     `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"q"},` + image + `]}]}`,
		"a tool's result":  `{"model":"m","max_tokens":9,"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[` + image + `]}]}]}`,
	} {
		for to, sees := range codecs {
			for _, has := range []llm.Feature{llm.AllFeatures, llm.AllFeatures &^ llm.ImageInResult, llm.AllFeatures &^ llm.Vision} {
				out, enc := send(t, llm.Anthropic, body, to, &llm.Capability{Known: true, Has: has})
				arrived := strings.Contains(out, "iVBORw0KGgo=")
				if refused := lossAt(enc, llm.LossRefuse); !arrived && !refused && !lossAt(enc, llm.LossWarn) {
					t.Errorf("an image in %s is dropped on the way to %s without a word", place, sees.Dialect())
				} else if has&llm.Vision == 0 && !refused && to != llm.Anthropic { // no model of its own dialect is blind
					t.Errorf("an image in %s goes to a model of %s that sees none: losses %v", place, sees.Dialect(), enc.Losses)
				}
			}
		}
	}
}

func TestBug21StartSaysThePrompt(t *testing.T) {
	t.Parallel()
	e := codecs[llm.Anthropic].NewEncoder(llm.StreamOptions{PromptEstimate: 9, Model: "m"})
	var out []byte
	for _, ev := range events(t, llm.OpenAI, strings.Replace(chunks(`"stop"`, `{"content":"hi"}`), `"prompt_tokens":10`, `"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":4}`, 1)) {
		out = e.Encode(out, ev)
	}
	var start, last struct {
		Message struct {
			Usage struct {
				Input int64 `json:"input_tokens"`
			}
		}
		Usage struct {
			Input int64 `json:"input_tokens"`
			Read  int64 `json:"cache_read_input_tokens"`
		}
	}
	for line := range strings.Lines(string(out)) {
		data, ok := strings.CutPrefix(line, "data: ")
		if ok && strings.Contains(data, `"message_start"`) {
			json.Unmarshal([]byte(data), &start)
		}
		if ok && strings.Contains(data, `"message_delta"`) {
			json.Unmarshal([]byte(data), &last)
		}
	}
	if start.Message.Usage.Input != 9 || last.Usage.Input != 6 || last.Usage.Read != 4 {
		t.Errorf("start %+v, end %+v: want 9, then 6 and 4, in\n%s", start.Message.Usage, last.Usage, out)
	}
}

func TestBug22ErrorsInsideAnAnswer(t *testing.T) {
	t.Parallel()
	error502 := `{"error":{"message":"upstream died","type":"server_error","param":null,"code":502}}`
	good := chunks(`"stop"`, `{"content":"hi"}`)
	for place, stream := range map[string]string{
		"first":              "data: " + error502 + "\n\n",
		"in the middle":      good[:strings.Index(good, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},")] + "data: " + error502 + "\n\n",
		"by event name":      "event: error\ndata: " + error502 + "\n\n",
		"bare JSON":          error502,
		"a line of no field": "error: " + error502 + "\n\n",
	} {
		es, err := wiretest.Events(codecs[llm.OpenAI], strings.NewReader(stream))
		if err != nil {
			es = append(es, llm.Event{Kind: llm.EventError, Err: err.(*llm.Error)})
		}
		if last := es[len(es)-1]; last.Kind != llm.EventError {
			t.Errorf("%s: ends with %s", place, last.Kind)
		}
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			if _, err := told(t, client, es); err == nil {
				t.Errorf("%s: the client sees no error", place)
			}
		})
	}
	if _, err := codecs[llm.OpenAI].DecodeResponse([]byte(error502)); err == nil {
		t.Error("an error under status 200 is taken for an answer")
	}
}

func TestBug25NoEmptyText(t *testing.T) {
	t.Parallel()
	for _, content := range []string{`""`, `null`, `" \n"`, `[]`, `[{"type":"text","text":""}]`, `null,"refusal":"no"`} {
		for _, calls := range []string{``, `,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]`} {
			body := `{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":` + content + calls + `}`
			if calls != "" {
				body += `,{"role":"tool","tool_call_id":"a","content":""}`
			}
			body += `,{"role":"user","content":"q"}]}`
			for _, v := range []string{"anthropic", "gemini", "responses", "ollama"} {
				if codecs[vendor(v).Dialect] == nil {
					continue
				}
				out, _ := send(t, llm.OpenAI, body, vendor(v).Dialect, &llm.Capability{})
				if _, no := vendor(v).Open(nil).Serve([]byte(out)); no != nil {
					t.Errorf("%s refuses: %s\n%s", v, no.Body, out)
				}
			}
		}
	}
}

func TestBug26ResultsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var calls, results []string
	for i := range 8 {
		calls = append(calls, fmt.Sprintf(`{"id":"call_%d","type":"function","function":{"name":"f%d","arguments":"{}"}}`, i, i))
		results = append(results, fmt.Sprintf(`{"role":"tool","tool_call_id":"call_%d","content":"r%d"}`, 7-i, 7-i)) // answered backwards
	}
	body := `{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[` + strings.Join(calls, ",") + `]},` + strings.Join(results, ",") + `,{"role":"user","content":"go on"}]}`
	for to := range codecs {
		if to == llm.OpenAI {
			continue
		}
		first, _ := send(t, llm.OpenAI, body, to, &llm.Capability{})
		for range 200 {
			if again, _ := send(t, llm.OpenAI, body, to, &llm.Capability{}); again != first {
				t.Fatalf("%s: not the same twice:\n%s\n%s", to, first, again)
			}
		}
		at := -1
		for i := range 8 {
			now := strings.Index(first, fmt.Sprintf(`r%d"`, i))
			if now < at {
				t.Errorf("%s: result %d stands before an earlier one: %s", to, i, first)
			}
			at = now
		}
		if i := slices.IndexFunc(closed.Vendors, func(v *closed.Vendor) bool { return v.Dialect == to }); i >= 0 {
			if _, no := closed.Vendors[i].Open(nil).Serve([]byte(first)); no != nil {
				t.Errorf("%s: %s", to, no.Body)
			}
		}
	}
}

func TestBug27ToolNamesComeBack(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 63)
	names := []string{long, long + "a", long + "ab", long + "ac", strings.Repeat("y", 128), strings.Repeat("y", 129), "mcp.server/tool", "wéather", "mcp_server_tool", "1st"}
	var tools []string
	for _, n := range names {
		tools = append(tools, fmt.Sprintf(`{"name":%q,"input_schema":{"type":"object","properties":{}}}`, n))
	}
	body := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"}],"tools":[` + strings.Join(tools, ",") + `]}`
	legal := map[llm.Dialect]func(string) bool{
		llm.OpenAI: func(n string) bool { return len(n) <= 64 && !strings.ContainsAny(n, "./é") },
		llm.Gemini: func(n string) bool {
			return len(n) <= 128 && !strings.ContainsAny(n, "/é") && (n[0] < '0' || n[0] > '9')
		},
		llm.Responses: func(n string) bool { return len(n) <= 128 && !strings.ContainsAny(n, "./é") },
	}
	for to, fine := range legal {
		if codecs[to] == nil {
			continue
		}
		out, enc := send(t, llm.Anthropic, body, to, &llm.Capability{})
		back, err := codecs[to].DecodeRequest([]byte(out))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, tool := range back.Tools {
			if !fine(tool.Name) || seen[tool.Name] {
				t.Errorf("%s: %q goes out as %q (seen %v)", to, names[i], tool.Name, seen[tool.Name])
			}
			seen[tool.Name] = true
			own := tool.Name
			if n, ok := enc.Names[own]; ok {
				own = n
			}
			if own != names[i] {
				t.Errorf("%s: %q comes back as %q", to, names[i], own)
			}
		}
	}
}

func TestBug30SignatureAfterItsText(t *testing.T) {
	t.Parallel()
	detail := func(s string) string {
		return `{"reasoning_details":[{` + s + `,"format":"anthropic-claude-v1","index":0}]}`
	}
	es := events(t, llm.OpenAI, chunks(`"stop"`, detail(`"type":"reasoning.text","text":"h"`), detail(`"type":"reasoning.text","text":"m"`), detail(`"type":"reasoning.text","signature":"SIG"`), `{"content":"hi"}`))
	r, failed := wiretest.Collect(llm.OpenAI, es)
	if failed != nil {
		t.Fatal(failed)
	}
	if r.Items[0].Kind != llm.ItemReasoning || r.Items[0].Text() != "hm" || len(r.Items[0].Opaque) != 1 || r.Items[0].Opaque[0].Data != "SIG" {
		t.Fatalf("%+v", r.Items[0])
	}
	next, err := wiretest.NextTurn(llm.OpenAI, codecs[llm.OpenAI].AppendResponse(nil, r))
	if err != nil {
		t.Fatal(err)
	}
	out, _ := send(t, llm.OpenAI, string(next), llm.OpenAI, &llm.Capability{Known: true, Has: llm.AllFeatures, ReasoningField: "reasoning_details"})
	if strings.Count(out, "SIG") != 1 || !strings.Contains(out, "anthropic-claude-v1") {
		t.Errorf("the signature is not sent back: %s", out)
	}
}

func TestBug31NineCharactersForEveryID(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	c := &llm.Capability{ToolIDLength: 9}
	for round := range 100 {
		var calls, results []string
		var ids []string
		for i := range 1000 {
			id := fmt.Sprintf("call_%d_%d", round, i)
			ids = append(ids, id)
			calls = append(calls, `{"id":"`+id+`","type":"function","function":{"name":"f","arguments":"{}"}}`)
			results = append(results, `{"role":"tool","tool_call_id":"`+id+`","content":"r"}`)
		}
		out, _ := send(t, llm.OpenAI, `{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[`+strings.Join(calls, ",")+`]},`+strings.Join(results, ",")+`]}`, llm.OpenAI, c)
		back, err := codecs[llm.OpenAI].DecodeRequest([]byte(out))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, it := range back.Items {
			if it.Kind == llm.ItemToolCall {
				if was, ok := seen[it.Call.ID]; ok || len(it.Call.ID) != 9 {
					t.Fatalf("%s and %s are both %q", was, ids[n], it.Call.ID)
				}
				seen[it.Call.ID] = ids[n]
				n++
			}
		}
		n = 0
		for _, it := range back.Items {
			if it.Kind == llm.ItemToolResult {
				if seen[it.Result.CallID] != ids[n] {
					t.Fatalf("the result of %s answers %s", ids[n], seen[it.Result.CallID])
				}
				n++
			}
		}
	}
}

func TestBug32And33RolesThatTheTargetKnows(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for place, messages := range map[string]string{
		"first":                  `{"role":"developer","content":"d"},{"role":"user","content":"q"}`,
		"behind a user":          `{"role":"user","content":"q"},{"role":"system","content":"d"},{"role":"user","content":"q"}`,
		"behind a tool's result": `{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"},{"role":"system","content":"d"},{"role":"user","content":"q"}`,
		"last":                   `{"role":"user","content":"q"},{"role":"system","content":"d"}`,
	} {
		r, err := codecs[llm.OpenAI].DecodeRequest([]byte(`{"model":"m","messages":[` + messages + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range closed.Vendors {
			if codecs[v.Dialect] == nil || v.Provider == "" || v.NoTools {
				continue
			}
			c := cat.Capability(v.Provider, v.Model)
			enc, err := codecs[v.Dialect].EncodeRequest(r, v.Model, &c)
			if err != nil {
				t.Fatal(err)
			}
			out := bytes.Join(enc.Body, nil)
			if _, no := v.Open(nil).Serve(out); no != nil {
				t.Errorf("%s, an instruction %s: %s\n%s", v.Name, place, no.Body, out)
			}
			if !bytes.Contains(out, []byte("d")) {
				t.Errorf("%s, an instruction %s is gone: %s", v.Name, place, out)
			}
		}
	}
}

func TestBug35OverflowIsToldInTheClientsWords(t *testing.T) {
	t.Parallel()
	magic := map[llm.Dialect][]string{
		llm.OpenAI:    {`"context_length_exceeded"`},
		llm.Anthropic: {"prompt is too long"},
		llm.Responses: {`"context_length_exceeded"`},
		llm.Gemini:    {"INVALID_ARGUMENT"},
		llm.Ollama:    {`"error"`},
	}
	for _, c := range []struct {
		d    llm.Dialect
		body string
	}{
		{llm.OpenAI, `{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`},
		{llm.OpenAI, `{"error":{"message":"This model's maximum context length is 1048565 tokens. However, you requested 1250025 tokens (1250025 in the messages, 0 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`},
		{llm.OpenAI, `{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","param":null,"code":"3051","raw_status_code":400}`},
		{llm.OpenAI, `{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":4}}`},
		{llm.OpenAI, `[{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`},
		{llm.Anthropic, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3333404 tokens > 200000 maximum"}}`},
		{llm.Anthropic, `{"type":"error","error":{"type":"invalid_request_error","message":"input length and ` + "`max_tokens`" + ` exceed context limit: 190000 + 20000 > 200000"}}`},
		{llm.Gemini, `{"error":{"code":400,"message":"The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}`},
		{llm.Responses, `{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}`},
	} {
		if codecs[c.d] == nil {
			continue
		}
		e := codecs[c.d].DecodeError(400, http.Header{}, []byte(c.body))
		if e.Class != llm.ContextOverflow {
			t.Errorf("%s is %s", c.body, e.Class)
			continue
		}
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			status, body := client.EncodeError(e)
			for _, m := range magic[d] {
				if !strings.Contains(string(body), m) && !(d == llm.Anthropic && strings.Contains(string(body), "exceed context limit")) || status >= 500 {
					t.Errorf("%d %s for %s", status, body, c.body)
				}
			}
		})
	}
}

func TestBug36FinishSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	for _, reason := range []llm.FinishReason{llm.FinishStop, llm.FinishStopSequence, llm.FinishLength, llm.FinishContext, llm.FinishToolCalls, llm.FinishRefusal, llm.FinishPaused} {
		r := &llm.Response{ID: "i", Model: "m", Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.Assistant, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hi"}}}},
			Finish: llm.Finish{Reason: reason, StopSequence: "END"}, Usage: llm.Usage{Input: 1, Output: 1, Source: llm.UsageProvider}}
		if reason == llm.FinishToolCalls {
			r.Items = append(r.Items, llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: llm.Call{ID: "a", Name: "f", Arguments: []byte("{}")}})
		}
		everyClient(t, func(t *testing.T, d llm.Dialect, client wiretest.Codec) {
			back, err := client.DecodeResponse(client.AppendResponse(nil, r))
			if err != nil {
				t.Fatal(err)
			}
			want := wiretest.OfResponse(r).SeenBy(d)
			if got := wiretest.OfResponse(back).SeenBy(d); got.Finish != want.Finish {
				t.Errorf("%s comes back as %s, want %s", reason, got.Finish, want.Finish)
			}
			a, err := told(t, client, llm.Replay(r))
			if got := a.SeenBy(d).Finish; err != nil || got != want.Finish {
				t.Errorf("%s is read as %s (%v), want %s", reason, got, err, want.Finish)
			}
		})
	}
}

func TestBug40UnknownMembersAnywhere(t *testing.T) {
	t.Parallel()
	requests := map[llm.Dialect]string{
		llm.Anthropic: `{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r"}]}]}`,
		llm.OpenAI:    `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"}]}`,
		llm.Responses: `{"model":"m","tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}],"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"q"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":"r"}]}`,
		llm.Gemini:    `{"tools":[{"functionDeclarations":[{"name":"f"}]}],"contents":[{"role":"user","parts":[{"text":"q"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}`,
		llm.Ollama:    `{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},{"role":"tool","tool_name":"f","content":"r"}]}`,
	}
	for from, body := range requests {
		if codecs[from] == nil {
			continue
		}
		for at := range len(body) {
			if body[at] != '{' {
				continue
			}
			comma := ","
			if body[at+1] == '}' {
				comma = ""
			}
			odd := body[:at+1] + `"x_unheard_of":{"deep":[1.0]}` + comma + body[at+1:]
			if strings.Count(body[:at], `"`)%2 == 1 || strings.HasSuffix(body[:at], `"arguments":"`) {
				continue // inside a text
			}
			out, _ := send(t, from, odd, from, &llm.Capability{})
			if !strings.Contains(out, "x_unheard_of") {
				t.Errorf("%s drops an unknown member of its own: %s", from, odd)
			}
			for to := range codecs {
				if to != from {
					send(t, from, odd, to, &llm.Capability{}) // an error fails the test
				}
			}
		}
	}
}
