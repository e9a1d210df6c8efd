package app_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is one answer of a model that thinks between its tool calls.
type step struct {
	thinking, signature, text string
	// calls are ids and arguments.
	calls [][2]string
}

var steps = []step{
	{"Two cities, so two calls.", "SIG-1==", "Let me look.", [][2]string{{"toolu_a", `{"city":"Oslo","days":[1, 2]}`}, {"toolu_b", `{"city":"Bergen"}`}}},
	{"", "SIG-2==", "", [][2]string{{"toolu_c", `{"city":"Trondheim"}`}}},
	{"Enough.", "SIG-3==", "It rains.", nil},
}

// blocks is the content of a step as the Messages API gives it.
func (s step) blocks() []map[string]any {
	b := []map[string]any{{"type": "thinking", "thinking": s.thinking, "signature": s.signature}}
	if s.text != "" {
		b = append(b, map[string]any{"type": "text", "text": s.text})
	}
	for _, c := range s.calls {
		b = append(b, map[string]any{"type": "tool_use", "id": c[0], "name": "weather", "input": json.RawMessage(c[1])})
	}
	return b
}

// strict is an upstream of Anthropic's dialect that goes on with a tool loop
// only when every assistant turn of it comes back as it was given: the thinking
// with its signature first, nothing moved. Without that it answers as the real
// one does.
func strict(t *testing.T) *upstream {
	return newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			Stream   bool
			Messages []struct {
				Role    string
				Content json.RawMessage
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
			t.Errorf("the upstream cannot read what it is asked: %v", err)
		}
		n := 0
		for i, m := range ask.Messages {
			if m.Role != "assistant" {
				continue
			}
			want, err := json.Marshal(steps[n].blocks())
			if err != nil {
				t.Error(err)
			}
			if !sameJSON(t, want, m.Content) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"type":"error","error":{"type":"invalid_request_error","message":"messages.%d.content.0.type: Expected `+"`thinking` or `redacted_thinking`, but found `tool_use`"+`"},"request_id":"req_1"}`, i)
				return
			}
			n++
		}
		reason := "tool_use"
		if len(steps[n].calls) == 0 {
			reason = "end_turn"
		}
		if !ask.Stream {
			content, err := json.Marshal(steps[n].blocks())
			if err != nil {
				t.Error(err)
			}
			write(w, "application/json", fmt.Sprintf(`{"id":"msg_%d","type":"message","role":"assistant","model":"claude-haiku-4-5","content":%s,"stop_reason":%q,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`, n, content, reason))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		event := func(kind string, rest string, args ...any) {
			fmt.Fprintf(w, "event: %s\ndata: {\"type\":\"%s\"%s}\n\n", kind, kind, fmt.Sprintf(rest, args...))
		}
		event("message_start", `,"message":{"id":"msg_%d","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":1}}`, n)
		for i, b := range steps[n].blocks() {
			switch b["type"] {
			case "thinking":
				event("content_block_start", `,"index":%d,"content_block":{"type":"thinking","thinking":"","signature":""}`, i)
				for _, word := range strings.SplitAfter(steps[n].thinking, " ") {
					event("content_block_delta", `,"index":%d,"delta":{"type":"thinking_delta","thinking":%q}`, i, word)
				}
				event("content_block_delta", `,"index":%d,"delta":{"type":"signature_delta","signature":%q}`, i, steps[n].signature)
			case "text":
				event("content_block_start", `,"index":%d,"content_block":{"type":"text","text":""}`, i)
				event("content_block_delta", `,"index":%d,"delta":{"type":"text_delta","text":%q}`, i, b["text"])
			case "tool_use":
				event("content_block_start", `,"index":%d,"content_block":{"type":"tool_use","id":%q,"name":"weather","input":{}}`, i, b["id"])
				for _, piece := range strings.SplitAfter(string(b["input"].(json.RawMessage)), ":") {
					event("content_block_delta", `,"index":%d,"delta":{"type":"input_json_delta","partial_json":%q}`, i, piece)
				}
			}
			event("content_block_stop", `,"index":%d`, i)
		}
		event("message_delta", `,"delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":9}`, reason)
		event("message_stop", "")
	})
}

// sameJSON compares two values but for the white space in them.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Error(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		return false
	}
	p, _ := json.Marshal(x)
	q, _ := json.Marshal(y)
	return string(p) == string(q)
}

// plain is a Chat client that keeps of an answer what the API's own reference
// has: role, content and tool_calls.
type plain struct {
	h        *house
	stream   bool
	header   []string
	messages []any
}

// ask sends the conversation and takes the answer in; it gives the status and
// whether tools are called.
func (p *plain) ask() (status int, calls bool) {
	p.h.t.Helper()
	body, err := json.Marshal(map[string]any{"model": "anthropic/claude-haiku-4-5", "messages": p.messages, "stream": p.stream,
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{"name": "weather", "parameters": map[string]any{"type": "object"}}}}})
	if err != nil {
		p.h.t.Fatal(err)
	}
	a := p.h.call("POST", "/v1/chat/completions", string(body), p.header...)
	if a.status != 200 {
		return a.status, false
	}
	type call struct {
		Index    int    `json:"index"`
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	}
	type said struct {
		Content   string `json:"content"`
		ToolCalls []call `json:"tool_calls"`
	}
	var whole said
	type answer struct {
		Choices []struct{ Message, Delta said }
	}
	if !p.stream {
		var got answer
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			p.h.t.Fatal(err)
		}
		whole = got.Choices[0].Message
	}
	for lines := bufio.NewReader(strings.NewReader(a.body)); p.stream; {
		line, err := lines.ReadString('\n')
		data, ok := strings.CutPrefix(line, "data: {")
		if ok {
			var got answer
			if err := json.Unmarshal([]byte("{"+data), &got); err != nil {
				p.h.t.Fatal(err)
			}
			for _, c := range got.Choices {
				whole.Content += c.Delta.Content
				for _, d := range c.Delta.ToolCalls {
					if d.Index == len(whole.ToolCalls) {
						whole.ToolCalls = append(whole.ToolCalls, call{Index: d.Index, ID: d.ID, Type: "function"})
					}
					w := &whole.ToolCalls[d.Index]
					w.Function.Name += d.Function.Name
					w.Function.Arguments += d.Function.Arguments
				}
			}
		}
		if err == io.EOF {
			break
		}
	}
	message := map[string]any{"role": "assistant", "content": whole.Content}
	var results []any
	if len(whole.ToolCalls) > 0 {
		var made []any
		for _, c := range whole.ToolCalls {
			made = append(made, map[string]any{"id": c.ID, "type": c.Type, "function": c.Function})
			results = append(results, map[string]any{"role": "tool", "tool_call_id": c.ID, "content": "rain"})
		}
		message["tool_calls"] = made
	}
	p.messages = append(append(p.messages, message), results...)
	return 200, len(results) > 0
}

func firstQuestion() []any { return []any{map[string]any{"role": "user", "content": "Weather?"}} }

// TestThinkingComesBack: a tool loop of three steps, over a provider that wants
// its signed thinking back, through a client that has no place for it.
func TestThinkingComesBack(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			u := strict(t)
			p := &plain{h: open(t, u, ""), stream: stream, messages: firstQuestion()}
			for i := range steps {
				status, calls := p.ask()
				if status != 200 || calls != (i < len(steps)-1) {
					t.Fatalf("step %d: status %d, calls %v; the provider was sent %s", i, status, calls, u.asked()[len(u.asked())-1].body)
				}
			}
			// The next question has all of it in front, as it was sent before: what
			// the provider has cached stays.
			before := u.asked()[len(steps)-1].body
			p.messages = append(p.messages[:len(p.messages)-1], map[string]any{"role": "assistant", "content": "It rains."}, map[string]any{"role": "user", "content": "And tomorrow?"})
			p.ask()
			after := u.asked()[len(steps)].body
			from, to := strings.Index(before, `"messages"`), strings.LastIndex(before, "rain")
			if from < 0 || !strings.Contains(after, before[from:to]) {
				t.Errorf("the prompt has changed:\n%s\nwas\n%s", after, before)
			}
		})
	}
}

// TestThinkingIsTheOwnersAlone: another key that brings the same call ids gets
// nothing of it.
func TestThinkingIsTheOwnersAlone(t *testing.T) {
	t.Parallel()
	u := strict(t)
	h := open(t, u, "")
	p := &plain{h: h, messages: firstQuestion()}
	if status, _ := p.ask(); status != 200 {
		t.Fatal(status)
	}
	made := h.call("POST", "/admin/v1/keys", `{"name":"second"}`, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
	var second struct{ Token string }
	if err := json.Unmarshal([]byte(made.body), &second); err != nil || second.Token == "" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	thief := &plain{h: h, messages: p.messages, header: []string{"Authorization: Bearer " + second.Token}}
	status := 0
	waitFor(t, func() bool { status, _ = thief.ask(); return status != 401 }, "the second key to work")
	if body := u.asked()[len(u.asked())-1].body; status != 400 || strings.Contains(body, "SIG-") || strings.Contains(body, "Two cities") {
		t.Errorf("status %d; the provider was sent %s", status, body)
	}
	if status, _ := p.ask(); status != 200 {
		t.Errorf("the owner cannot go on: %d", status)
	}
}

// TestThinkingOutlivesARestart, sealed, and not when it is switched off.
func TestThinkingOutlivesARestart(t *testing.T) {
	t.Parallel()
	for yaml, want := range map[string]int{"": 200, "recall: {state: 0}\n": 400} {
		u := strict(t)
		data := t.TempDir()
		env := func() map[string]string {
			return map[string]string{"ANTHROPIC_API_KEY": claudeKey, "HEADRACE_ANTHROPIC_BASE_URL": u.URL}
		}
		first := startIn(t, data, env(), yaml, nil)
		p := &plain{h: first, stream: true, messages: firstQuestion()}
		if status, _ := p.ask(); status != 200 {
			t.Fatal(status)
		}
		first.stop()
		files, err := os.ReadDir(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(data, f.Name()))
			if err != nil || strings.Contains(string(b), "SIG-1") || strings.Contains(string(b), "Two cities") {
				t.Errorf("%s holds what the model thought in the clear (%v)", f.Name(), err)
			}
		}
		if strings.Contains(first.log.String(), "SIG-1") || strings.Contains(first.log.String(), "Two cities") {
			t.Error("the log holds what the model thought")
		}
		p.h = startIn(t, data, env(), yaml, nil)
		if status, _ := p.ask(); status != want {
			t.Errorf("with %q the second turn got %d, want %d", yaml, status, want)
		}
	}
}

// TestPlainThinkingComesBack: DeepSeek wants the bare text of its thinking
// back, and a provider's odd call ids are known in the form that a Messages
// client sees.
func TestPlainThinkingComesBack(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		write(w, "application/json", `{"id":"c1","object":"chat.completion","created":1,"model":"deepseek-v4","choices":[{"index":0,"message":{"role":"assistant","content":"","reasoning_content":"I must look.","tool_calls":[{"id":"functions.weather:0","type":"function","function":{"name":"weather","arguments":"{\"city\": \"Oslo\"}"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`)
	})
	h := start(t, map[string]string{"DEEPSEEK_API_KEY": "sk-d", "HEADRACE_DEEPSEEK_BASE_URL": u.URL}, "", nil)
	const head = `{"model":"deepseek/deepseek-v4-pro","max_tokens":64,"tools":[{"name":"weather","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"Weather?"}`
	a := h.call("POST", "/v1/messages", head+`]}`)
	var got struct {
		Content []struct {
			Type, ID, Name string
			Input          json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	call := got.Content[len(got.Content)-1]
	if call.Type != "tool_use" || call.ID == "functions.weather:0" {
		t.Fatalf("the client was given %s", a.body)
	}
	a = h.call("POST", "/v1/messages", head+fmt.Sprintf(`,{"role":"assistant","content":[{"type":"tool_use","id":%q,"name":"weather","input":%s}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":%q,"content":"rain"}]}]}`, call.ID, call.Input, call.ID))
	if body := u.asked()[len(u.asked())-1].body; a.status != 200 || !strings.Contains(body, `"reasoning_content":"I must look."`) {
		t.Errorf("%d; the provider was sent %s", a.status, body)
	}
}
