package closed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/wiretest"
	"headrace/internal/wire/wiretest/closed"
)

// codecs has a row for every dialect's room.
var codecs = map[llm.Dialect]wiretest.Codec{
	llm.OpenAI:    openai.Codec{},
	llm.Anthropic: anthropic.Codec{},
	llm.Ollama:    ollama.Codec{},
	llm.Gemini:    gemini.Codec{},
	llm.Responses: responses.Codec{},
}

type (
	object = map[string]any
	list   = []any
)

// client is a program that talks in one dialect. It keeps what it is told, or
// only what the dialect's first version had a member for (plain).
type client struct {
	dialect llm.Dialect
	plain   bool
	tools   bool
	system  string
	history list
}

const schema = `{"type":"object","properties":{"city":{"type":"string"},"a":{"type":"number"},"b":{"type":"integer"}},"required":["city"]}`

func (c *client) ask(s string) {
	switch c.dialect {
	case llm.Gemini:
		c.history = append(c.history, object{"role": "user", "parts": list{object{"text": s}}})
	default:
		c.history = append(c.history, object{"role": "user", "content": s})
	}
}

// hear takes an answer into the history and gives a result for each call; done
// says that there was none.
func (c *client) hear(answer []byte) (done bool, err error) {
	var a struct {
		Choices    []struct{ Message json.RawMessage }
		Content    []json.RawMessage
		Output     []json.RawMessage
		Candidates []struct{ Content json.RawMessage }
		Message    json.RawMessage
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return false, err
	}
	var results list
	switch c.dialect {
	case llm.OpenAI, llm.Ollama:
		said := a.Message
		if c.dialect == llm.OpenAI {
			if len(a.Choices) == 0 {
				return false, fmt.Errorf("no choices in %s", answer)
			}
			said = a.Choices[0].Message
		}
		var m struct {
			Content any `json:"content"`
			Calls   []struct {
				ID       string `json:"id"`
				Type     string `json:"type,omitempty"`
				Function struct {
					Name      string          `json:"name"`
					Arguments json.RawMessage `json:"arguments"`
				} `json:"function"`
			} `json:"tool_calls,omitempty"`
		}
		if err := json.Unmarshal(said, &m); err != nil {
			return false, err
		}
		c.history = append(c.history, said)
		if c.plain {
			kept := object{"role": "assistant", "content": m.Content}
			if len(m.Calls) > 0 {
				kept["tool_calls"] = m.Calls
			}
			c.history[len(c.history)-1] = kept
		}
		for _, f := range m.Calls {
			r := object{"role": "tool", "content": "18 degrees", "tool_call_id": f.ID}
			if c.dialect == llm.Ollama {
				r["tool_name"] = f.Function.Name
			}
			results = append(results, r)
		}
	case llm.Anthropic:
		var blocks list
		for _, b := range a.Content {
			var v struct{ Type, ID string }
			if err := json.Unmarshal(b, &v); err != nil {
				return false, err
			}
			if v.Type == "tool_use" {
				blocks = append(blocks, object{"type": "tool_result", "tool_use_id": v.ID, "content": "18 degrees"})
			}
		}
		c.history = append(c.history, object{"role": "assistant", "content": a.Content})
		if len(blocks) > 0 {
			results = list{object{"role": "user", "content": blocks}}
		}
	case llm.Responses:
		for _, it := range a.Output {
			var v struct {
				Type string
				Call string `json:"call_id"`
			}
			if err := json.Unmarshal(it, &v); err != nil {
				return false, err
			}
			c.history = append(c.history, it)
			if v.Type == "function_call" {
				results = append(results, object{"type": "function_call_output", "call_id": v.Call, "output": "18 degrees"})
			}
		}
	case llm.Gemini:
		if len(a.Candidates) == 0 {
			return false, fmt.Errorf("no candidates in %s", answer)
		}
		var m struct {
			Parts []struct {
				Call *struct{ ID, Name string } `json:"functionCall"`
			}
		}
		if err := json.Unmarshal(a.Candidates[0].Content, &m); err != nil {
			return false, err
		}
		c.history = append(c.history, a.Candidates[0].Content)
		var parts list
		for _, p := range m.Parts {
			if p.Call != nil {
				r := object{"name": p.Call.Name, "response": object{"output": "18 degrees"}}
				if p.Call.ID != "" {
					r["id"] = p.Call.ID
				}
				parts = append(parts, object{"functionResponse": r})
			}
		}
		if len(parts) > 0 {
			results = list{object{"role": "user", "parts": parts}}
		}
	}
	c.history = append(c.history, results...)
	return len(results) == 0, nil
}

// request writes the whole conversation, as the client would send it.
func (c *client) request() []byte {
	raw := json.RawMessage(schema)
	var b object
	switch c.dialect {
	case llm.OpenAI:
		b = object{"model": "m", "messages": append(list{object{"role": "system", "content": c.system}}, c.history...), "reasoning_effort": "low"}
		if c.tools {
			b["tools"] = list{object{"type": "function", "function": object{"name": "get_weather", "description": "d", "parameters": raw}}}
		}
	case llm.Anthropic:
		b = object{"model": "m", "max_tokens": 8000, "system": c.system, "messages": c.history, "thinking": object{"type": "enabled", "budget_tokens": 2000}}
		if c.tools {
			b["tools"] = list{object{"name": "get_weather", "description": "d", "input_schema": raw}}
		}
	case llm.Responses:
		b = object{"model": "m", "instructions": c.system, "input": c.history, "store": false, "reasoning": object{"effort": "low"}, "include": list{"reasoning.encrypted_content"}}
		if c.tools {
			b["tools"] = list{object{"type": "function", "name": "get_weather", "description": "d", "parameters": raw, "strict": false}}
		}
	case llm.Gemini:
		b = object{"systemInstruction": object{"parts": list{object{"text": c.system}}}, "contents": c.history}
		if c.tools {
			b["tools"] = list{object{"functionDeclarations": list{object{"name": "get_weather", "description": "d", "parametersJsonSchema": raw}}}}
		}
	case llm.Ollama:
		b = object{"model": "m", "messages": append(list{object{"role": "system", "content": c.system}}, c.history...), "stream": false, "think": true}
		if c.tools {
			b["tools"] = list{object{"type": "function", "function": object{"name": "get_weather", "description": "d", "parameters": raw}}}
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(b); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

// step sends the conversation to an upstream and takes its answer: what a
// gateway does when the client names a route. slow goes through the words
// where the dialects are the same, too.
func step(c *client, u *closed.Upstream, capability *llm.Capability, slow bool) (done bool, sent []byte, err error) {
	from, to := codecs[c.dialect], codecs[u.Dialect]
	body := c.request()
	head, err := from.Head(llm.OpChat, body)
	if err != nil {
		return false, nil, fmt.Errorf("the client's own request: %w: %s", err, body)
	}
	d := llm.NewDraft(c.dialect, llm.OpChat, body, head, from.DecodeRequest).
		With(llm.Edit{Kind: llm.EditModel, Text: u.Model}).With(llm.Edit{Kind: llm.EditReshape})
	var enc llm.Encoded
	same := c.dialect == u.Dialect
	if same {
		enc, err = to.Patch(&d, capability)
		if err == nil && slow {
			var r *llm.Request
			if r, err = to.DecodeRequest(bytes.Join(enc.Body, nil)); err == nil {
				enc, err = to.EncodeRequest(r, u.Model, capability)
			}
		}
	} else {
		var r *llm.Request
		if r, err = d.Request(); err == nil {
			enc, err = to.EncodeRequest(r, u.Model, capability)
		}
	}
	if err != nil {
		return false, nil, err
	}
	if l := llm.Refusal(enc.Losses); l != nil {
		return false, nil, fmt.Errorf("refused by ourselves: %s: %s", l.Path, l.Why)
	}
	sent = bytes.Join(enc.Body, nil)
	answer, no := u.Serve(sent)
	if no != nil {
		e := to.DecodeError(no.Status, nil, no.Body)
		return false, sent, fmt.Errorf("%s refuses with %d %s (%s)\nsent: %s", u.Name, no.Status, no.Body, e.Class, sent)
	}
	if !same {
		r, err := to.DecodeResponse(answer)
		if err != nil {
			return false, sent, fmt.Errorf("the answer: %w", err)
		}
		answer = from.AppendResponse(nil, r)
	}
	done, err = c.hear(answer)
	return done, sent, err
}

// known are refusals that stand, by "client from-to" with * for any, and why.
// One that no run needs fails the test.
var known = []struct{ client, from, to, why string }{}

// TestConversationsMove: a conversation with tools and thinking moves from one
// vendor to another, at any of its steps, and no vendor refuses it. Two turns
// are a question and the results of its calls; five are a question with two
// rounds of calls, and a second question with one.
func TestConversationsMove(t *testing.T) {
	t.Parallel()
	cat, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	capability := func(v *closed.Vendor) *llm.Capability { return capabilityOf(t, cat, v) }
	pair, ran, skipped, failed := 0, 0, map[string]int{}, map[string]int{}
	examples := map[string]string{}
	needed := map[int]bool{}
	for _, d := range slices.Sorted(maps.Keys(codecs)) {
		for _, plain := range []bool{false, true} {
			if plain && d != llm.OpenAI && d != llm.Ollama {
				continue // their clients keep what they are told
			}
			for _, a := range closed.Vendors {
				for _, b := range closed.Vendors {
					if codecs[a.Dialect] == nil || codecs[b.Dialect] == nil {
						skipped[fmt.Sprintf("no room for the dialect of %s or %s", a.Dialect, b.Dialect)]++
						continue
					}
					for _, run := range []struct {
						turns, move int
						slow        bool
					}{{2, 1, false}, {5, 1, false}, {5, 2, false}, {5, 3, false}, {5, 4, false}, {2, 1, true}, {5, 1, true}, {5, 2, true}, {5, 3, true}, {5, 4, true}} {
						turns, move := run.turns, run.move
						if run.slow && d != a.Dialect && d != b.Dialect {
							continue // there is no other way
						}
						if pair++; !wiretest.Full() && pair%4 != 0 {
							continue // a fourth of the conversations
						}
						ran++
						err := converse(d, plain, a, b, capability(a), capability(b), turns, move, run.slow)
						if err == nil {
							continue
						}
						excepted := false
						for i, k := range known {
							if (k.client == "*" || k.client == string(d)) && (k.from == "*" || k.from == a.Name) && (k.to == "*" || k.to == b.Name) {
								excepted, needed[i] = true, true
							}
						}
						if !excepted {
							key := fmt.Sprintf("%s (plain %v): %s to %s", d, plain, a.Name, b.Name)
							if failed[key]++; examples[key] == "" {
								examples[key] = fmt.Sprintf("turn %d of %d: %v", move, turns, err)
							}
						}
					}
				}
			}
		}
	}
	for i, key := range slices.Sorted(maps.Keys(failed)) {
		if i < 40 {
			t.Errorf("%s: %d times: %.1800s", key, failed[key], examples[key])
		} else {
			t.Errorf("%s: %d times", key, failed[key])
		}
	}
	for i, k := range known {
		if !needed[i] {
			t.Errorf("the exception %v is not needed any more", k)
		}
	}
	t.Logf("%d conversations; failed pairs %d; skipped %v", ran, len(failed), skipped)
}

// capabilityOf gives the catalogue's row; what a vendor without one takes is
// unknown.
func capabilityOf(t interface{ Errorf(string, ...any) }, cat *catalog.Catalog, v *closed.Vendor) *llm.Capability {
	c := cat.Capability(v.Provider, v.Model)
	p, ok := cat.Provider(v.Provider)
	if v.Provider != "" && codecs[v.Dialect] != nil && !c.Known && !(ok && p.Local) {
		t.Errorf("the catalogue has no row for %s/%s", v.Provider, v.Model)
	}
	return &c
}

func converse(d llm.Dialect, plain bool, a, b *closed.Vendor, ca, cb *llm.Capability, turns, move int, slow bool) error {
	c := &client{dialect: d, plain: plain, tools: !a.NoTools && !b.NoTools, system: "Be brief."}
	ua := a.Open(nil)
	ub := ua
	if a != b {
		ub = b.Open(ua)
	}
	c.ask("What is the weather?")
	for turn := range turns {
		u, capability := ua, ca
		if turn >= move {
			u, capability = ub, cb
		}
		done, _, err := step(c, u, capability, slow)
		if err != nil {
			return fmt.Errorf("step %d: %w", turn+1, err)
		}
		if done {
			c.ask("And tomorrow?")
		}
	}
	return nil
}

// TestVendorsRefuse: each stand-in refuses what it is there for, and the
// refusal has a class that its dialect's decoder knows.
func TestVendorsRefuse(t *testing.T) {
	t.Parallel()
	call := `{"role":"user","content":"q"},{"role":"assistant","content":null,%s"tool_calls":[{"id":"%s","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"%[2]s","content":"r"}`
	msgs := func(format string, args ...any) string {
		return `{"model":"m","messages":[` + fmt.Sprintf(format, args...) + `]}`
	}
	claude := func(messages string) string {
		return `{"model":"m","max_tokens":10,"messages":[` + messages + `]}`
	}
	gem := func(contents string) string {
		return `{"contents":[{"role":"user","parts":[{"text":"q"}]}` + contents + `]}`
	}
	for _, c := range []struct{ vendor, body, says string }{
		{"mistral", msgs(call, "", "call_123456789"), "length of 9"},
		{"mistral", msgs(call, `"reasoning_content":"x",`, "abcdefghi"), "extra_forbidden"},
		{"mistral", `{"model":"m","messages":[],"seed":1}`, "extra_forbidden"},
		{"groq", msgs(call, `"reasoning_content":"x",`, "a"), "'reasoning_content' is unsupported"},
		{"deepseek", msgs(call, "", "a"), "must be passed back"},
		{"deepseek", msgs(`{"role":"developer","content":"x"}`), "unknown variant"},
		{"r1", msgs(call, `"reasoning_content":"x",`, "a"), "remove the reasoning_content"},
		{"moonshot", msgs(call, "", "a"), "reasoning_content is missing"},
		{"zai", msgs(`{"role":"developer","content":"x"}`), "1214"},
		{"vllm", msgs(`{"role":"user","content":"x"},{"role":"system","content":"x"}`), "must be at the beginning"},
		{"perplexity", msgs(`{"role":"user","content":"x"},{"role":"user","content":"x"}`), "should alternate"},
		{"cerebras", msgs(call, `"reasoning_content":"x",`, "a"), "wrong_api_format"},
		{"openai", `{"model":"m","messages":[],"max_tokens":1}`, "max_completion_tokens"},
		{"openai", `{"model":"m","messages":[],"tools":[],"reasoning_effort":"low"}`, "Please use /v1/responses"},
		{"openai", msgs(`{"role":"user","content":"x"},{"role":"tool","tool_call_id":"a","content":"x"}`), "must be a response to"},
		{"responses", `{"model":"m","input":[{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"foreign"}]}`, "could not be verified"},
		{"responses", `{"model":"m","input":[{"type":"reasoning","id":"rs","encrypted_content":"x"}]}`, "summary"},
		{"responses", `{"model":"m","input":[{"type":"function_call_output","call_id":"a","output":"x"}]}`, "No tool call found"},
		{"anthropic", claude(`{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"foreign"}]}`), "Invalid `signature`"},
		{"anthropic", claude(`{"role":"user","content":""}`), "non-empty"},
		{"anthropic", claude(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}`), "unexpected `tool_use_id`"},
		{"anthropic", claude(`{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":"q"}`), "without `tool_result`"},
		{"anthropic", strings.Replace(claude(`{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"x"}]}`), `"model"`, `"thinking":{"type":"enabled","budget_tokens":1024},"model"`, 1), "found `tool_use`"},
		{"preserved", `{"model":"m","max_tokens":10,"tool_choice":{"type":"any"},"messages":[{"role":"user","content":"q"}]}`, "tool_choice"},
		{"gemini", gem(`,{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}`), "missing a thought_signature"},
		{"gemini", gem(`,{"role":"model","parts":[{"thoughtSignature":"foreign","functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}`), "Corrupted"},
		{"gemini", `{"contents":[{"role":"user","parts":[{"text":"q"}]}],"seed":1}`, "Unknown name"},
		{"ollama", msgs(`{"role":"user","content":[{"type":"text","text":"x"}]}`), "cannot unmarshal"},
		{"ollama", `{"model":"m","messages":[],"seed":1}`, "dropped in silence"},
	} {
		i := slices.IndexFunc(closed.Vendors, func(v *closed.Vendor) bool { return v.Name == c.vendor })
		if i < 0 {
			t.Fatalf("no vendor %q", c.vendor)
		}
		v := closed.Vendors[i]
		_, no := v.Open(nil).Serve([]byte(c.body))
		if no == nil || !bytes.Contains(no.Body, []byte(c.says)) {
			t.Errorf("%s does not say %q of %s: %v", c.vendor, c.says, c.body, no)
			continue
		}
		if codec := codecs[v.Dialect]; codec != nil {
			if e := codec.DecodeError(no.Status, nil, no.Body); e == nil || e.Class != llm.InvalidRequest {
				t.Errorf("%s: %s is %v, want an invalid request", c.vendor, no.Body, errors.Join(e))
			}
		}
	}
}
