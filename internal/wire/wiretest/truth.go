package wiretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// Truth reads what a provider said: as the dialect's own client does, but with
// the manners of vendors that the client takes offence at put right. It is what
// answers of ours are compared with; they themselves are read by Read alone.
func Truth(d llm.Dialect, streamed bool, body []byte) (Answer, error) {
	switch d {
	case llm.OpenAI:
		return openaiTruth(streamed, body)
	case llm.Anthropic:
		if streamed {
			body = oneStart(body)
		}
	}
	return Read(d, streamed, body)
}

// isChat says that a whole answer is of the kind that a chat has. Some
// recordings hold other answers under the name of a chat (embeddings,
// transcriptions, counts of tokens).
func isChat(d llm.Dialect, body []byte) bool {
	var v map[string]json.RawMessage
	if json.Unmarshal(body, &v) != nil {
		return true // broken: the codec must say so
	}
	var needs []string
	switch d {
	case llm.OpenAI:
		needs = []string{"choices"}
	case llm.Gemini:
		needs = []string{"candidates", "promptFeedback"}
	default:
		return true
	}
	for _, k := range append(needs, "error") {
		if _, ok := v[k]; ok {
			return true
		}
	}
	return len(v) == 0
}

// unfinished says that a whole answer is one that is still being made
// (Responses, in the background): there is nothing to translate yet.
func unfinished(d llm.Dialect, body []byte) bool {
	var v struct{ Status string }
	return d == llm.Responses && json.Unmarshal(body, &v) == nil && (v.Status == "queued" || v.Status == "in_progress")
}

// openaiTruth: what is told apart from OpenAI's own manner is that chunks have
// one id (Avian, Perplexity), that calls have an index (Mistral has none,
// others have 0 for each), that an error comes in a data field (llama.cpp
// behind GPUStack) and that there is a reason for the end (Snowflake, and some
// at OpenRouter, give none or an empty one).
func openaiTruth(streamed bool, body []byte) (Answer, error) {
	done := true
	if streamed {
		var err error
		if body, done, err = settled(body); err != nil {
			return Answer{Err: true}, err
		}
	}
	a, err := Read(llm.OpenAI, streamed, body)
	if err == nil && a.Finish == "" && done {
		a.Finish = llm.FinishStop
		if len(a.Calls) > 0 {
			a.Finish = llm.FinishToolCalls
		}
	}
	return a, err
}

// settled gives a Chat Completions stream in OpenAI's own manner; done says
// that it has the end mark.
func settled(body []byte) (out []byte, done bool, err error) {
	var first json.RawMessage // the id of the first chunk
	type call struct {
		ID    string
		named bool
	}
	calls := map[string][]call{} // by choice: the calls so far
	last := map[string]int{}     // by choice and index as it came: which of them
	in := sse.NewReader(bytes.NewReader(body), 0)
	for {
		f, err := in.Next()
		if err != nil {
			return append(out, f.Raw...), done, nil
		}
		if f.Other && bytes.Contains(f.Raw, []byte(`"error"`)) {
			return nil, false, fmt.Errorf("an error that is no field of a stream: %.300s", f.Raw)
		}
		done = done || bytes.HasPrefix(bytes.TrimSpace(f.Data), []byte("[DONE]"))
		var chunk map[string]json.RawMessage
		if len(f.Data) == 0 || json.Unmarshal(f.Data, &chunk) != nil || chunk["choices"] == nil {
			out = append(out, f.Raw...)
			continue
		}
		changed := false
		put := func(in map[string]json.RawMessage, k string, v json.RawMessage) {
			if !bytes.Equal(in[k], v) {
				in[k], changed = v, true
			}
		}
		var choices []map[string]json.RawMessage
		if json.Unmarshal(chunk["choices"], &choices) != nil {
			out = append(out, f.Raw...)
			continue
		}
		if first == nil && len(choices) > 0 {
			first = chunk["id"]
		}
		if first != nil {
			put(chunk, "id", first)
		}
		put(chunk, "object", json.RawMessage(`"chat.completion.chunk"`))
		for _, choice := range choices {
			n := string(choice["index"])
			var delta map[string]json.RawMessage
			var parts []map[string]json.RawMessage
			if json.Unmarshal(choice["delta"], &delta) != nil || json.Unmarshal(delta["tool_calls"], &parts) != nil {
				continue
			}
			for _, p := range parts {
				var id string
				if p["id"] != nil {
					json.Unmarshal(p["id"], &id) // null stays empty
				}
				var function struct{ Name string }
				if p["function"] != nil {
					json.Unmarshal(p["function"], &function)
				}
				where := n + "/" + string(p["index"])
				at, known := last[where]
				if id != "" {
					found := false
					for i := range calls[n] {
						if calls[n][i].ID == id {
							at, found = i, true
						}
					}
					known = found
				} else if known && p["index"] == nil && function.Name != "" && calls[n][at].named {
					known = false // neither id nor index: a name begins the next one
				}
				if !known {
					at = len(calls[n])
					calls[n] = append(calls[n], call{ID: id})
				}
				calls[n][at].named = calls[n][at].named || function.Name != ""
				last[where] = at
				put(p, "index", json.RawMessage(fmt.Sprint(at)))
			}
			if changed {
				delta["tool_calls"] = raw(parts)
				choice["delta"] = raw(delta)
			}
		}
		if !changed {
			out = append(out, f.Raw...)
			continue
		}
		chunk["choices"] = raw(choices)
		if len(f.Event) > 0 {
			out = append(append(append(out, "event: "...), f.Event...), '\n')
		}
		out = append(append(append(out, "data: "...), raw(chunk)...), "\n\n"...)
	}
}

func raw(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // it was JSON
	}
	return bytes.TrimSpace(b.Bytes())
}

// oneStart leaves a second message_start out, at which Anthropic's SDK begins
// again and forgets what it had; the blocks behind it are counted on.
func oneStart(body []byte) (out []byte) {
	started := false
	blocks, before := 0, 0
	in := sse.NewReader(bytes.NewReader(body), 0)
	for {
		f, err := in.Next()
		if err != nil {
			return append(out, f.Raw...)
		}
		if strings.Contains(string(f.Data), `"message_start"`) {
			if started {
				before = blocks
				continue
			}
			started = true
		}
		var e map[string]json.RawMessage
		if json.Unmarshal(f.Data, &e) == nil && e["index"] != nil {
			if string(e["type"]) == `"content_block_start"` {
				blocks++
			}
			var n int
			if before > 0 && json.Unmarshal(e["index"], &n) == nil {
				e["index"] = raw(n + before)
				out = append(append(append(append(append(out, "event: "...), f.Event...), "\ndata: "...), raw(e)...), "\n\n"...)
				continue
			}
		}
		out = append(out, f.Raw...)
	}
}
