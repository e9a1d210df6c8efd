package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
	"headrace/internal/wire/wiretest/closed"
)

// forgetful is a client that keeps of an answer what every dialect has from its
// first days: the text, and the calls with their ids. It drops thinking,
// signatures and members that it does not know.
type forgetful struct {
	dialect llm.Dialect
	history []any
}

type fields = map[string]any

func (p *forgetful) ask(s string) {
	p.history = append(p.history, fields{"role": "user", "content": s})
}

// hear takes an answer and gives a result for each of its calls.
func (p *forgetful) hear(a wiretest.Answer) {
	var said, results []any
	for i, c := range a.Calls {
		arguments := json.RawMessage(c.Arguments)
		result := fmt.Sprintf("%d degrees", i)
		switch p.dialect {
		case llm.OpenAI:
			said = append(said, fields{"id": c.ID, "type": "function", "function": fields{"name": c.Name, "arguments": c.Arguments}})
			results = append(results, fields{"role": "tool", "tool_call_id": c.ID, "content": result})
		case llm.Ollama:
			said = append(said, fields{"id": c.ID, "function": fields{"name": c.Name, "arguments": arguments}})
			results = append(results, fields{"role": "tool", "tool_call_id": c.ID, "tool_name": c.Name, "content": result})
		case llm.Anthropic:
			said = append(said, fields{"type": "tool_use", "id": c.ID, "name": c.Name, "input": arguments})
			results = append(results, fields{"type": "tool_result", "tool_use_id": c.ID, "content": result})
		case llm.Responses:
			said = append(said, fields{"type": "function_call", "call_id": c.ID, "name": c.Name, "arguments": c.Arguments})
			results = append(results, fields{"type": "function_call_output", "call_id": c.ID, "output": result})
		}
	}
	switch {
	case len(said) == 0:
		p.history = append(p.history, fields{"role": "assistant", "content": a.Text})
	case p.dialect == llm.Anthropic:
		p.history = append(p.history, fields{"role": "assistant", "content": said}, fields{"role": "user", "content": results})
	case p.dialect == llm.Responses:
		p.history = append(append(p.history, said...), results...)
	default:
		p.history = append(append(p.history, fields{"role": "assistant", "content": a.Text, "tool_calls": said}), results...)
	}
}

func (p *forgetful) request(model string, stream bool) (path, body string) {
	schema := fields{"type": "object", "properties": fields{"city": fields{"type": "string"}}}
	tool := fields{"name": "get_weather", "description": "d", "parameters": schema}
	b := fields{"model": model, "stream": stream, "messages": p.history, "tools": []any{fields{"type": "function", "function": tool}}}
	path = "/v1/chat/completions"
	switch p.dialect {
	case llm.Anthropic:
		path = "/v1/messages"
		b["max_tokens"], b["tools"] = 2000, []any{fields{"name": "get_weather", "description": "d", "input_schema": schema}}
	case llm.Responses:
		path = "/v1/responses"
		tool["type"] = "function"
		b["input"], b["tools"], b["store"] = p.history, []any{tool}, false
		delete(b, "messages")
	case llm.Ollama:
		path = "/api/chat"
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return path, string(out)
}

// TestSignaturesComeBack: a Gemini model signs the first call of each step, and
// refuses the next step when the same call does not bring the same signature.
// Plain clients of the other dialects have no place for it: the gateway brings
// it back. A question has two steps of calls, the first with two at once; the
// second question has them again behind the history of the first.
func TestSignaturesComeBack(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(closed.Vendors, func(v *closed.Vendor) bool { return v.Name == "gemini" })
	for _, d := range []llm.Dialect{llm.OpenAI, llm.Anthropic, llm.Responses, llm.Ollama} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", d, stream), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex // guards vendor and signed
				vendor := closed.Vendors[i].Open(nil)
				signed := 0
				up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					answer, no := vendor.Serve(body)
					signed = strings.Count(string(body), "thoughtSignature")
					if strings.Contains(string(body), "skip_thought_signature_validator") {
						t.Errorf("the check is turned off instead: %s", body)
					}
					mu.Unlock()
					if no != nil {
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(no.Status)
						w.Write(no.Body)
						return
					}
					if strings.Contains(r.URL.Path, "stream") {
						write(w, "text/event-stream", "data: "+string(answer)+"\r\n\r\n")
						return
					}
					write(w, "application/json", string(answer))
				}))
				t.Cleanup(up.Close)
				h := openFor(t, up.URL, llm.Gemini, nil)
				client := forgetful{dialect: d}
				for question := range 2 {
					client.ask("What is the weather?")
					for step, want := range []int{2, 1, 0} {
						path, body := client.request(own(llm.Gemini)+"/gemini-3-pro-preview", stream)
						a := h.call("POST", path, body, "anthropic-version: 2023-06-01")
						if a.status != 200 {
							t.Fatalf("question %d, step %d: %d %s", question+1, step+1, a.status, a.body)
						}
						said, err := wiretest.Read(d, stream, []byte(a.body))
						if err != nil || len(said.Calls) != want {
							t.Fatalf("question %d, step %d: %d calls, want %d; %v in %s", question+1, step+1, len(said.Calls), want, err, a.body)
						}
						client.hear(said)
					}
					mu.Lock()
					if at := 2 * (question + 1); signed < at {
						t.Errorf("question %d: %d signatures came back, want those of %d steps", question+1, signed, at)
					}
					mu.Unlock()
				}
			})
		}
	}
}
