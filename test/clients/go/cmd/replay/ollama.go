package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// ollama is Ollama's native chat: a line of JSON for each piece.
type ollama struct {
	// generate is the form without messages.
	generate bool
}

func (ollama) streamType() string { return "application/x-ndjson" }

func (o ollama) line(message object, done bool) object {
	message["role"] = "assistant"
	if message["content"] == nil {
		message["content"] = ""
	}
	out := object{"model": "replay-2026-11-01", "created_at": "2026-11-20T09:30:01.123456789Z", "message": message, "done": done}
	if o.generate {
		delete(out, "message")
		out["response"] = message["content"]
		if message["thinking"] != nil {
			out["thinking"] = message["thinking"]
		}
	}
	if done {
		out["done_reason"], out["total_duration"], out["load_duration"] = "stop", 913000000, 81000000
		out["prompt_eval_count"], out["prompt_eval_duration"], out["eval_count"], out["eval_duration"] = 31, 120000000, 17, 640000000
	}
	return out
}

func (ollama) calls(w words) []any {
	out := []any{}
	for i, k := range w.Calls {
		out = append(out, object{"id": k.ID, "function": object{"index": i, "name": k.Name, "arguments": json.RawMessage(k.Arguments)}})
	}
	return out
}

func (o ollama) whole(w words) any {
	message := object{"content": strings.Join(w.Text, "")}
	if w.Thinking != "" {
		message["thinking"] = w.Thinking
	}
	if len(w.Calls) > 0 {
		message["tool_calls"] = o.calls(w)
	}
	return o.line(message, true)
}

func (o ollama) frames(w words) [][]byte {
	var out [][]byte
	line := func(message object, done bool) { out = append(out, append(mustJSON(o.line(message, done)), '\n')) }
	if w.Thinking != "" {
		line(object{"thinking": w.Thinking}, false)
	}
	for _, piece := range w.Text {
		line(object{"content": piece}, false)
	}
	for _, call := range o.calls(w) {
		line(object{"tool_calls": []any{call}}, false)
	}
	line(object{}, true)
	return out
}

func (o ollama) errorFrame(kind, message string) []byte {
	return append(mustJSON(object{"error": message}), '\n')
}

func (ollama) fail(w http.ResponseWriter, status int, kind, message string) {
	writeJSON(w, status, object{"error": message})
}

func (ollama) question(body []byte) (q question) {
	var r struct {
		Messages []struct {
			Role, Content string
			Images        []string
		}
		Tools []struct {
			Function struct {
				Name       string
				Parameters json.RawMessage
			}
		}
		Format         json.RawMessage
		System, Prompt string
	}
	if json.Unmarshal(body, &r) != nil {
		return q
	}
	q.schema, q.system, q.user = string(r.Format), r.System, r.Prompt
	for _, t := range r.Tools {
		q.tools = append(q.tools, t.Function.Name)
		q.structuredBy(t.Function.Name, t.Function.Parameters)
	}
	for _, m := range r.Messages {
		switch m.Role {
		case "system":
			q.system = m.Content
		case "assistant":
			q.results = nil
		case "tool":
			q.results = append(q.results, m.Content)
		case "user":
			q.user = m.Content
			for _, image := range m.Images {
				q.image, _ = base64.StdEncoding.DecodeString(image) // nothing arrived then, and the case says so
				q.imageType = http.DetectContentType(q.image)
			}
		}
	}
	return q
}
