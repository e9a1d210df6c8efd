package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
)

// embedder is a dialect that has embeddings beside answers.
type embedder interface {
	// embeds says whether a path asks for them.
	embeds(path string) bool
	embed(w http.ResponseWriter, body []byte)
}

// vector is what the i-th text of a request is embedded as; its numbers are
// float32, and one of them has no short form in binary.
func vector(i int) []float32 { return []float32{float32(i) + 0.25, -0.5, 0.1} }

// texts counts the texts of an input that is one text or a list.
func texts(input json.RawMessage) int {
	var many []json.RawMessage
	if json.Unmarshal(input, &many) == nil {
		return len(many)
	}
	return 1
}

func (chat) embeds(path string) bool { return strings.HasSuffix(path, "/embeddings") }

func (c chat) embed(w http.ResponseWriter, body []byte) {
	var r struct {
		Input  json.RawMessage
		Format string `json:"encoding_format"`
	}
	if err := json.Unmarshal(body, &r); err != nil || len(r.Input) == 0 {
		c.fail(w, 400, "invalid_request_error", "replay: no input")
		return
	}
	data := []any{}
	for i := range texts(r.Input) {
		var v any = vector(i)
		if r.Format == "base64" {
			var b []byte
			for _, f := range vector(i) {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
			}
			v = base64.StdEncoding.EncodeToString(b)
		}
		data = append(data, object{"object": "embedding", "index": i, "embedding": v})
	}
	writeJSON(w, 200, object{"object": "list", "data": data, "model": "replay-embed", "usage": object{"prompt_tokens": 7, "total_tokens": 7}})
}

func (ollama) embeds(path string) bool { return strings.Contains(path, "/embed") }

func (o ollama) embed(w http.ResponseWriter, body []byte) {
	var r struct{ Input, Prompt json.RawMessage }
	if err := json.Unmarshal(body, &r); err == nil && len(r.Prompt) > 0 { // the old form
		writeJSON(w, 200, object{"embedding": vector(0)})
		return
	} else if err != nil || len(r.Input) == 0 {
		o.fail(w, 400, "", "replay: no input")
		return
	}
	out := []any{}
	for i := range texts(r.Input) {
		out = append(out, vector(i))
	}
	writeJSON(w, 200, object{"model": "replay-embed", "embeddings": out, "total_duration": 9, "load_duration": 1, "prompt_eval_count": 7})
}

func (g gemini) embeds(path string) bool {
	return strings.HasSuffix(path, "Contents") || strings.HasSuffix(path, ":embedContent")
}

func (g gemini) embed(w http.ResponseWriter, body []byte) {
	var r struct {
		Content  json.RawMessage
		Requests []json.RawMessage
	}
	if err := json.Unmarshal(body, &r); err != nil || len(r.Content) == 0 && len(r.Requests) == 0 {
		g.fail(w, 400, "", "replay: no content")
		return
	}
	if len(r.Content) > 0 {
		writeJSON(w, 200, object{"embedding": object{"values": vector(0)}})
		return
	}
	out := []any{}
	for i := range r.Requests {
		out = append(out, object{"values": vector(i)})
	}
	writeJSON(w, 200, object{"embeddings": out})
}
