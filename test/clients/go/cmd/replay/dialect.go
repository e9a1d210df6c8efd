package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// dialect writes words as a provider of that dialect does, and reads what the
// cases need to know of a request.
type dialect interface {
	whole(words) any
	// frames are the events of a stream. The first three hold the opening and
	// at least one piece of text, if there is text.
	frames(words) [][]byte
	errorFrame(kind, message string) []byte
	fail(w http.ResponseWriter, status int, kind, message string)
	question([]byte) question
}

// question is what a request asks, as far as the cases look at it.
type question struct {
	system, user string
	// results are the texts of the tool results after the last call, in order.
	results []string
	tools   []string
	schema  string
	// answerTool is a tool that stands for the structured answer: a schema
	// that some clients send where a model is unknown to them.
	answerTool string
	image      []byte
	imageType  string
}

// structuredBy notes a tool that asks for the structured answer.
func (q *question) structuredBy(name string, schema []byte) {
	if strings.Contains(string(schema), "length_km") {
		q.answerTool = name
	}
}

func (q question) offers(tool string) bool { return slices.Contains(q.tools, tool) }

type object = map[string]any

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps and strings of ours
	}
	return b
}

// chat is OpenAI's Chat Completions.
type chat struct{}

func (chat) head(kind string) object {
	return object{"id": "chatcmpl-replay", "object": kind, "created": 1790000000, "model": "replay-2026-11-01",
		"service_tier": "default", "system_fingerprint": "fp_replay"}
}

func chatUsage() object {
	return object{"prompt_tokens": 31, "completion_tokens": 17, "total_tokens": 48,
		"prompt_tokens_details":     object{"cached_tokens": 8, "audio_tokens": 0},
		"completion_tokens_details": object{"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}
}

func chatFinish(w words) string {
	if len(w.Calls) > 0 {
		return "tool_calls"
	}
	return "stop"
}

func (c chat) whole(w words) any {
	message := object{"role": "assistant", "content": nil, "refusal": nil, "annotations": []any{}}
	if len(w.Text) > 0 {
		message["content"] = strings.Join(w.Text, "")
	}
	if w.Thinking != "" {
		message["reasoning_content"] = w.Thinking
	}
	if len(w.Calls) > 0 {
		calls := []any{}
		for _, k := range w.Calls {
			calls = append(calls, object{"id": k.ID, "type": "function", "function": object{"name": k.Name, "arguments": k.Arguments}})
		}
		message["tool_calls"] = calls
	}
	out := c.head("chat.completion")
	out["choices"] = []any{object{"index": 0, "message": message, "logprobs": nil, "finish_reason": chatFinish(w)}}
	out["usage"] = chatUsage()
	return out
}

func (c chat) chunk(delta object, finish any) []byte {
	out := c.head("chat.completion.chunk")
	out["choices"] = []any{object{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}
	out["usage"] = nil
	return c.frame(out)
}

func (chat) frame(v any) []byte { return fmt.Appendf(nil, "data: %s\n\n", mustJSON(v)) }

func (c chat) frames(w words) [][]byte {
	out := [][]byte{c.chunk(object{"role": "assistant", "content": "", "refusal": nil}, nil)}
	if w.Thinking != "" {
		out = append(out, c.chunk(object{"reasoning_content": w.Thinking}, nil))
	}
	for _, piece := range w.Text {
		out = append(out, c.chunk(object{"content": piece}, nil))
	}
	for i, k := range w.Calls {
		out = append(out, c.chunk(object{"tool_calls": []any{object{"index": i, "id": k.ID, "type": "function",
			"function": object{"name": k.Name, "arguments": ""}}}}, nil))
	}
	// The arguments of parallel calls come interleaved, half by half.
	for half := range 2 {
		for i, k := range w.Calls {
			cut := len(k.Arguments) / 2
			for k.Arguments[cut]&0xC0 == 0x80 {
				cut++ // not within a rune
			}
			part := k.Arguments[:cut]
			if half == 1 {
				part = k.Arguments[cut:]
			}
			out = append(out, c.chunk(object{"tool_calls": []any{object{"index": i, "function": object{"arguments": part}}}}, nil))
		}
	}
	last := c.head("chat.completion.chunk")
	last["choices"], last["usage"] = []any{}, chatUsage()
	return append(out, c.chunk(object{}, chatFinish(w)), c.frame(last), []byte("data: [DONE]\n\n"))
}

func (c chat) errorFrame(kind, message string) []byte {
	return c.frame(object{"error": object{"message": message, "type": kind, "param": nil, "code": kind}})
}

func (chat) fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("X-Request-Id", "req_replay")
	writeJSON(w, status, object{"error": object{"message": message, "type": kind, "param": nil, "code": nil}})
}

func (chat) question(body []byte) (q question) {
	var r struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
		Tools []struct {
			Function struct {
				Name       string
				Parameters json.RawMessage
			}
		}
		ResponseFormat json.RawMessage `json:"response_format"`
	}
	if json.Unmarshal(body, &r) != nil {
		return q
	}
	q.schema = string(r.ResponseFormat)
	for _, t := range r.Tools {
		q.tools = append(q.tools, t.Function.Name)
		q.structuredBy(t.Function.Name, t.Function.Parameters)
	}
	for _, m := range r.Messages {
		parts := parse(m.Content)
		switch m.Role {
		case "system", "developer":
			q.system = join(parts)
		case "assistant":
			q.results = nil
		case "tool":
			q.results = append(q.results, join(parts))
		case "user":
			q.user = join(parts)
			for _, p := range parts {
				if head, data, ok := strings.Cut(p.ImageURL.URL, ";base64,"); ok {
					q.imageType = strings.TrimPrefix(head, "data:")
					q.image, _ = base64.StdEncoding.DecodeString(data) // nothing arrived then, and the case says so
				}
			}
		}
	}
	return q
}

// messages is Anthropic's Messages.
type messages struct{}

func messageUsage(output int) object {
	return object{"input_tokens": 23, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8, "output_tokens": output,
		"cache_creation": object{"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "service_tier": "standard"}
}

func messageStop(w words) string {
	if len(w.Calls) > 0 {
		return "tool_use"
	}
	return "end_turn"
}

func (messages) blocks(w words) []object {
	out := []object{}
	if w.Thinking != "" {
		out = append(out, object{"type": "thinking", "thinking": w.Thinking, "signature": w.Signature})
	}
	if len(w.Text) > 0 {
		out = append(out, object{"type": "text", "text": strings.Join(w.Text, ""), "citations": nil})
	}
	for _, k := range w.Calls {
		out = append(out, object{"type": "tool_use", "id": toolu(k.ID), "name": k.Name, "input": json.RawMessage(k.Arguments)})
	}
	return out
}

func toolu(id string) string {
	return "toolu_" + strings.TrimPrefix(strings.TrimPrefix(id, "call_"), "toolu_")
}

func (m messages) message(content any, stop any, output int) object {
	return object{"id": "msg_replay", "type": "message", "role": "assistant", "model": "replay-2026-11-01", "content": content,
		"stop_reason": stop, "stop_sequence": nil, "usage": messageUsage(output)}
}

func (m messages) whole(w words) any { return m.message(m.blocks(w), messageStop(w), 17) }

func (messages) event(name string, data object) []byte {
	data["type"] = name
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, mustJSON(data))
}

func (m messages) frames(w words) [][]byte {
	out := [][]byte{m.event("message_start", object{"message": m.message([]any{}, nil, 1)})}
	for i, b := range m.blocks(w) {
		delta := func(d object) { out = append(out, m.event("content_block_delta", object{"index": i, "delta": d})) }
		open := func(shell object) {
			out = append(out, m.event("content_block_start", object{"index": i, "content_block": shell}))
		}
		switch b["type"] {
		case "thinking":
			open(object{"type": "thinking", "thinking": "", "signature": ""})
			delta(object{"type": "thinking_delta", "thinking": w.Thinking})
			delta(object{"type": "signature_delta", "signature": w.Signature})
		case "text":
			open(object{"type": "text", "text": ""})
			for _, piece := range w.Text {
				delta(object{"type": "text_delta", "text": piece})
			}
		case "tool_use":
			open(object{"type": "tool_use", "id": b["id"], "name": b["name"], "input": object{}})
			args := string(b["input"].(json.RawMessage))
			delta(object{"type": "input_json_delta", "partial_json": ""})
			delta(object{"type": "input_json_delta", "partial_json": args[:5]})
			delta(object{"type": "input_json_delta", "partial_json": args[5:]})
		}
		out = append(out, m.event("content_block_stop", object{"index": i}))
		if i == 0 {
			out = append(out, m.event("ping", object{}))
		}
	}
	return append(out, m.event("message_delta", object{"delta": object{"stop_reason": messageStop(w), "stop_sequence": nil}, "usage": messageUsage(17)}),
		m.event("message_stop", object{}))
}

func (m messages) errorFrame(kind, message string) []byte {
	return m.event("error", object{"error": object{"type": kind, "message": message}})
}

func (messages) fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Request-Id", "req_replay")
	writeJSON(w, status, object{"type": "error", "error": object{"type": kind, "message": message}, "request_id": "req_replay"})
}

func (messages) question(body []byte) (q question) {
	var r struct {
		System   json.RawMessage
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
		Tools []struct {
			Name        string
			InputSchema json.RawMessage `json:"input_schema"`
		}
		OutputConfig json.RawMessage `json:"output_config"`
	}
	if json.Unmarshal(body, &r) != nil {
		return q
	}
	q.system, q.schema = join(parse(r.System)), string(r.OutputConfig)
	for _, t := range r.Tools {
		q.tools = append(q.tools, t.Name)
		q.structuredBy(t.Name, t.InputSchema)
	}
	for _, m := range r.Messages {
		parts := parse(m.Content)
		switch m.Role {
		case "assistant":
			q.results = nil
		case "user":
			if s := join(parts); s != "" {
				q.user = s
			}
			for _, p := range parts {
				if p.Type == "tool_result" {
					q.results = append(q.results, join(parse(p.Content)))
				}
				if p.Type == "image" {
					q.imageType = p.Source.MediaType
					q.image, _ = base64.StdEncoding.DecodeString(p.Source.Data) // nothing arrived then, and the case says so
				}
			}
		}
	}
	return q
}

// part is a content part of either dialect.
type part struct {
	Type, Text string
	Content    json.RawMessage
	ImageURL   struct{ URL string } `json:"image_url"`
	Source     struct {
		MediaType string `json:"media_type"`
		Data      string
	}
}

// parse reads content that is a string or a list of parts.
func parse(raw json.RawMessage) []part {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []part{{Type: "text", Text: s}}
	}
	var parts []part
	if json.Unmarshal(raw, &parts) != nil {
		return nil
	}
	return parts
}

func join(parts []part) string {
	var s []string
	for _, p := range parts {
		if p.Type == "text" || p.Type == "input_text" || p.Type == "output_text" {
			s = append(s, p.Text)
		}
	}
	return strings.Join(s, "\n")
}
