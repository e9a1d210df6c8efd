package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// responses is OpenAI's Responses. It keeps nothing.
type responses struct{}

func (responses) response(status string, output []object) object {
	out := object{"id": "resp_replay", "object": "response", "created_at": 1790000000, "status": status, "error": nil, "incomplete_details": nil,
		"instructions": nil, "metadata": object{}, "model": "replay-2026-11-01", "output": output, "parallel_tool_calls": true, "temperature": 1.0,
		"tool_choice": "auto", "tools": []any{}, "top_p": 1.0, "previous_response_id": nil, "reasoning": object{"effort": nil, "summary": nil},
		"service_tier": "default", "store": false, "text": object{"format": object{"type": "text"}}, "truncation": "disabled", "usage": nil}
	if status == "completed" {
		out["usage"] = object{"input_tokens": 31, "input_tokens_details": object{"cached_tokens": 8, "cache_write_tokens": 0}, "output_tokens": 17,
			"output_tokens_details": object{"reasoning_tokens": 0}, "total_tokens": 48}
	}
	return out
}

func (responses) output(w words) []object {
	out := []object{}
	if w.Thinking != "" {
		out = append(out, object{"type": "reasoning", "id": "rs_replay", "summary": []any{object{"type": "summary_text", "text": w.Thinking}}, "encrypted_content": w.Signature})
	}
	if len(w.Text) > 0 {
		out = append(out, object{"type": "message", "id": "msg_replay", "status": "completed", "role": "assistant",
			"content": []any{object{"type": "output_text", "annotations": []any{}, "logprobs": []any{}, "text": strings.Join(w.Text, "")}}})
	}
	for i, k := range w.Calls {
		out = append(out, object{"type": "function_call", "id": fmt.Sprintf("fc_replay%d", i+1), "status": "completed", "call_id": k.ID, "name": k.Name, "arguments": k.Arguments})
	}
	return out
}

func (r responses) whole(w words) any { return r.response("completed", r.output(w)) }

func (responses) event(n int, kind string, data object) []byte {
	data["type"], data["sequence_number"] = kind, n
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, mustJSON(data))
}

// frames begins with one event that says the response has been made, so that
// the third holds a piece of text: the opening of a message goes with it.
func (r responses) frames(w words) [][]byte {
	n := 0
	var out [][]byte
	add := func(kind string, data object) { out, n = append(out, r.event(n, kind, data)), n+1 }
	glue := func(kind string, data object) { // to the event before it
		out[len(out)-1] = append(out[len(out)-1], r.event(n, kind, data)...)
		n++
	}
	add("response.created", object{"response": r.response("in_progress", []object{})})
	glue("response.in_progress", object{"response": r.response("in_progress", []object{})})
	for i, item := range r.output(w) {
		shell := object{}
		for k, v := range item {
			shell[k] = v
		}
		in := object{"output_index": i, "item_id": item["id"]}
		with := func(more object) object {
			for k, v := range in {
				more[k] = v
			}
			return more
		}
		shell["status"] = "in_progress"
		switch item["type"] {
		case "reasoning":
			delete(shell, "status")
			shell["summary"] = []any{}
			glue("response.output_item.added", object{"output_index": i, "item": shell})
			part := object{"type": "summary_text", "text": ""}
			glue("response.reasoning_summary_part.added", with(object{"summary_index": 0, "part": part}))
			add("response.reasoning_summary_text.delta", with(object{"summary_index": 0, "delta": w.Thinking}))
			add("response.reasoning_summary_text.done", with(object{"summary_index": 0, "text": w.Thinking}))
			add("response.reasoning_summary_part.done", with(object{"summary_index": 0, "part": object{"type": "summary_text", "text": w.Thinking}}))
		case "message":
			shell["content"] = []any{}
			glue("response.output_item.added", object{"output_index": i, "item": shell})
			part := object{"type": "output_text", "annotations": []any{}, "logprobs": []any{}, "text": ""}
			glue("response.content_part.added", with(object{"content_index": 0, "part": part}))
			for _, piece := range w.Text {
				add("response.output_text.delta", with(object{"content_index": 0, "delta": piece, "logprobs": []any{}}))
			}
			full := strings.Join(w.Text, "")
			add("response.output_text.done", with(object{"content_index": 0, "text": full, "logprobs": []any{}}))
			add("response.content_part.done", with(object{"content_index": 0, "part": object{"type": "output_text", "annotations": []any{}, "logprobs": []any{}, "text": full}}))
		case "function_call":
			args := item["arguments"].(string)
			shell["arguments"] = ""
			glue("response.output_item.added", object{"output_index": i, "item": shell})
			add("response.function_call_arguments.delta", with(object{"delta": args[:5]}))
			add("response.function_call_arguments.delta", with(object{"delta": args[5:]}))
			add("response.function_call_arguments.done", with(object{"arguments": args, "name": item["name"]}))
		}
		add("response.output_item.done", object{"output_index": i, "item": item})
	}
	add("response.completed", object{"response": r.response("completed", r.output(w))})
	return out
}

func (r responses) errorFrame(kind, message string) []byte {
	failed := r.response("failed", []object{})
	failed["error"] = object{"code": "server_is_overloaded", "message": message}
	return r.event(99, "response.failed", object{"response": failed})
}

func (responses) fail(w http.ResponseWriter, status int, kind, message string) {
	chat{}.fail(w, status, kind, message)
}

func (responses) question(body []byte) (q question) {
	var r struct {
		Instructions string
		Input        json.RawMessage
		Tools        []struct {
			Name       string
			Parameters json.RawMessage
		}
		Text json.RawMessage
	}
	if json.Unmarshal(body, &r) != nil {
		return q
	}
	q.system, q.schema = r.Instructions, string(r.Text)
	for _, t := range r.Tools {
		q.tools = append(q.tools, t.Name)
		q.structuredBy(t.Name, t.Parameters)
	}
	if json.Unmarshal(r.Input, &q.user) == nil {
		return q
	}
	var items []struct {
		Type, Role string
		Content    json.RawMessage
		Output     json.RawMessage
	}
	if json.Unmarshal(r.Input, &items) != nil {
		return q
	}
	for _, it := range items {
		switch {
		case it.Type == "function_call_output":
			q.results = append(q.results, join(parse(it.Output)))
		case it.Type == "function_call", it.Role == "assistant":
			q.results = nil
		case it.Role == "system", it.Role == "developer":
			q.system = join(parse(it.Content))
		case it.Role == "user":
			q.user = join(parse(it.Content))
			var parts []struct {
				URL string `json:"image_url"`
			}
			json.Unmarshal(it.Content, &parts) // a string has no images
			for _, p := range parts {
				if head, data, ok := strings.Cut(p.URL, ";base64,"); ok {
					q.imageType = strings.TrimPrefix(head, "data:")
					q.image, _ = base64.StdEncoding.DecodeString(data) // nothing arrived then, and the case says so
				}
			}
		}
	}
	return q
}
