package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// gemini is Google's generateContent and its kin. The path says what is asked.
type gemini struct {
	model  string
	stream bool
	// array: the stream is a JSON array that grows, which is what those get that
	// do not ask for events.
	array bool
}

// gemini serves what stands behind /models/: a model, a colon, a method.
func (s *server) gemini(w http.ResponseWriter, r *http.Request) {
	model, method, _ := strings.Cut(r.PathValue("call"), ":")
	d := gemini{model: model, stream: method == "streamGenerateContent", array: r.FormValue("alt") != "sse"}
	switch method {
	case "countTokens":
		writeJSON(w, 200, object{"totalTokens": 42})
	case "generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents":
		s.serve(d)(w, r)
	default:
		d.fail(w, 404, "", "replay: no method "+method)
	}
}

func (g gemini) streamType() string {
	if g.array {
		return "application/json; charset=UTF-8"
	}
	return "text/event-stream"
}

func (g gemini) parts(w words) []object {
	out := []object{}
	if w.Thinking != "" {
		out = append(out, object{"text": w.Thinking, "thought": true})
	}
	for _, piece := range w.Text {
		out = append(out, object{"text": piece})
	}
	for i, k := range w.Calls {
		part := object{"functionCall": object{"id": k.ID, "name": k.Name, "args": json.RawMessage(k.Arguments)}}
		if i == 0 {
			part["thoughtSignature"] = "c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk="
		}
		out = append(out, part)
	}
	if w.Signature != "" && len(w.Calls) == 0 {
		out = append(out, object{"text": "", "thoughtSignature": w.Signature})
	}
	return out
}

func (g gemini) answer(parts []object, finish string) object {
	candidate := object{"content": object{"role": "model", "parts": parts}, "index": 0}
	if finish != "" {
		candidate["finishReason"] = finish
	}
	return object{"candidates": []any{candidate}, "modelVersion": "replay-2026-11-01", "responseId": "r-replay",
		"usageMetadata": object{"promptTokenCount": 31, "cachedContentTokenCount": 8, "candidatesTokenCount": 17, "totalTokenCount": 48}}
}

func (g gemini) whole(w words) any {
	if len(w.Text) > 0 {
		w.Text = []string{strings.Join(w.Text, "")}
	}
	return g.answer(g.parts(w), "STOP")
}

func (g gemini) frame(i int, v any) []byte {
	switch {
	case !g.array:
		return fmt.Appendf(nil, "data: %s\r\n\r\n", mustJSON(v))
	case i == 0:
		return append([]byte("["), mustJSON(v)...)
	}
	return append([]byte(",\r\n"), mustJSON(v)...)
}

func (g gemini) frames(w words) [][]byte {
	var out [][]byte
	for i, p := range g.parts(w) {
		out = append(out, g.frame(i, g.answer([]object{p}, "")))
	}
	out = append(out, g.frame(len(out), g.answer([]object{{"text": ""}}, "STOP")))
	if g.array {
		out = append(out, []byte("]"))
	}
	return out
}

// geminiStatus are the words for a status.
var geminiStatus = map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE", 529: "UNAVAILABLE"}

// errorFrame is a bare object behind the events.
func (g gemini) errorFrame(kind, message string) []byte {
	e := object{"error": object{"code": 503, "message": message, "status": "UNAVAILABLE"}}
	if g.array {
		return append(append([]byte(",\r\n"), mustJSON(e)...), ']')
	}
	return mustJSON(e)
}

func (g gemini) fail(w http.ResponseWriter, status int, kind, message string) {
	e := object{"code": status, "message": message, "status": geminiStatus[status]}
	if status == 529 { // which Google does not know
		status = 503
		e["code"] = status
	}
	if after := w.Header().Get("Retry-After"); after != "" { // it is said in the body alone
		w.Header().Del("Retry-After")
		e["details"] = []any{object{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": after + "s"}}
	}
	writeJSON(w, status, object{"error": e})
}

func (g gemini) question(body []byte) (q question) {
	type content struct {
		Role  string
		Parts []struct {
			Text       string
			InlineData struct{ MimeType, Data string }
			Function   struct {
				Name     string
				Response json.RawMessage
			} `json:"functionResponse"`
			Call json.RawMessage `json:"functionCall"`
		}
	}
	var r struct {
		System   content `json:"systemInstruction"`
		Contents []content
		Tools    []struct {
			Functions []struct {
				Name       string
				Parameters json.RawMessage
				Schema     json.RawMessage `json:"parametersJsonSchema"`
			} `json:"functionDeclarations"`
		}
		Config struct {
			Schema     json.RawMessage `json:"responseSchema"`
			JSONSchema json.RawMessage `json:"responseJsonSchema"`
		} `json:"generationConfig"`
	}
	if json.Unmarshal(camel(body), &r) != nil {
		return q
	}
	said := func(c content) string {
		var s []string
		for _, p := range c.Parts {
			if p.Text != "" {
				s = append(s, p.Text)
			}
		}
		return strings.Join(s, "\n")
	}
	q.system, q.schema = said(r.System), string(r.Config.Schema)+string(r.Config.JSONSchema)
	for _, t := range r.Tools {
		for _, f := range t.Functions {
			q.tools = append(q.tools, f.Name)
			q.structuredBy(f.Name, append(f.Parameters, f.Schema...))
		}
	}
	for _, c := range r.Contents {
		if c.Role == "model" {
			q.results = nil
			continue
		}
		if s := said(c); s != "" {
			q.user = s
		}
		for _, p := range c.Parts {
			if p.Function.Name != "" {
				text := string(p.Function.Response)
				var response struct{ Output *string }
				if json.Unmarshal(p.Function.Response, &response) == nil && response.Output != nil { // else the whole is the result
					text = *response.Output
				}
				q.results = append(q.results, text)
			}
			if p.InlineData.Data != "" {
				q.imageType = p.InlineData.MimeType
				q.image, _ = base64.StdEncoding.DecodeString(p.InlineData.Data) // nothing arrived then, and the case says so
			}
		}
	}
	return q
}

var snake = regexp.MustCompile(`"(system_instruction|generation_config|response_schema|response_json_schema|inline_data|mime_type|` +
	`function_call|function_response|function_declarations|parameters_json_schema)"\s*:`)

// camel writes the keys of a body that question reads in camelCase; Google
// takes both.
func camel(body []byte) []byte {
	return snake.ReplaceAllFunc(body, func(key []byte) []byte {
		words := strings.Split(string(key), "_")
		for i, w := range words[1:] {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
		return []byte(strings.Join(words, ""))
	})
}
