package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
)

const (
	gemKey     = "gem-canary-key-0003"
	gemBody    = `{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}`
	gemAnswer  = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7},"modelVersion":"g"}`
	gemArray   = "[" + gemFirst + "\n,\r\n" + gemLast + "\n]\n"
	gemEvents  = "data: " + gemFirst + "\r\n\r\ndata: " + gemLast + "\r\n\r\n"
	gemFirst   = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hel"}]},"index":0}],"modelVersion":"g"}`
	gemLast    = `{"candidates":[{"content":{"role":"model","parts":[{"text":"lo"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7},"modelVersion":"g"}`
	lamaAnswer = `{"model":"q","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hello"},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}`
	lamaLines  = `{"model":"q","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hel"},"done":false}` + "\n" +
		`{"model":"q","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"lo"},"done":false}` + "\n" +
		`{"model":"q","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}` + "\n"
)

// posted is asked without what is fetched, such as lists of models.
func (u *upstream) posted() []seen {
	return slices.DeleteFunc(u.asked(), func(s seen) bool { return s.method != http.MethodPost })
}

// world is an upstream that answers in every dialect, by path.
func world(t *testing.T) (*upstream, string) {
	u := newUpstream(t, nil)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r) // no list of models
			return
		}
		all := u.posted()
		body := all[len(all)-1].body
		streamed := strings.Contains(body, `"stream":true`)
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, ":generateContent"):
			write(w, "application/json; charset=UTF-8", gemAnswer)
		case strings.HasSuffix(path, ":streamGenerateContent") && r.URL.Query().Get("alt") == "sse":
			write(w, "text/event-stream", gemEvents)
		case strings.HasSuffix(path, ":streamGenerateContent"):
			write(w, "application/json; charset=UTF-8", gemArray)
		case strings.HasSuffix(path, ":countTokens"):
			write(w, "application/json", `{"totalTokens":31,"x":1}`)
		case strings.HasSuffix(path, ":embedContent"):
			write(w, "application/json", `{"embedding":{"values":[0.10,2]}}`)
		case strings.HasSuffix(path, ":batchEmbedContents"):
			n := strings.Count(body, `"content"`)
			write(w, "application/json", `{"embeddings":[`+strings.TrimSuffix(strings.Repeat(`{"values":[0.10,2]},`, n), ",")+`]}`)
		case path == "/api/chat" && strings.Contains(body, `"stream":false`):
			write(w, "application/json; charset=utf-8", lamaAnswer)
		case path == "/api/chat":
			write(w, "application/x-ndjson", lamaLines)
		case path == "/api/generate":
			write(w, "application/x-ndjson", strings.NewReplacer(`"message":{"role":"assistant","content":"Hel"}`, `"response":"Hel"`, `"message":{"role":"assistant","content":"lo"}`, `"response":"lo"`, `"message":{"role":"assistant","content":""}`, `"response":""`).Replace(lamaLines))
		case path == "/api/embed":
			write(w, "application/json", `{"model":"q","embeddings":[[0.10,2]],"prompt_eval_count":3}`)
		case path == "/api/embeddings":
			write(w, "application/json", `{"embedding":[0.10,2]}`)
		case path == "/v1/responses/input_tokens":
			write(w, "application/json", `{"object":"response.input_tokens","input_tokens":33}`)
		case path == "/v1/messages/count_tokens":
			write(w, "application/json", `{"input_tokens":32}`)
		case path == "/v1/messages" && streamed:
			write(w, "text/event-stream", claudeStream)
		case path == "/v1/messages":
			write(w, "application/json", msgAnswer)
		case path == "/v1/embeddings":
			write(w, "application/json", strings.Replace(embedAnswer, "-2.5E-07, 1.0", "2", 1))
		case path == "/v1/chat/completions" && streamed:
			write(w, "text/event-stream", chatStream+usageChunk+doneChunk)
		case path == "/v1/chat/completions":
			write(w, "application/json", chatAnswer)
		default:
			t.Errorf("nobody answers %s %s", r.Method, path)
		}
	}
	return u, "providers:\n" +
		"  gem: {dialect: gemini, auth: x-goog-api-key, base_url: " + u.URL + ", api_key: " + gemKey + "}\n" +
		"  lama: {dialect: ollama, auth: none, base_url: " + u.URL + "}\n" +
		"  mistral: {api_key: x, base_url: " + u.URL + "/deep/v1}\n" // its models are those of the catalogue
}

// said gives the text of an answer in any dialect.
func said(t *testing.T, body string) string {
	t.Helper()
	text := ""
	if json.Valid([]byte(body)) {
		body = strings.ReplaceAll(body, "\n", " ")
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, name := range []string{"candidates", "content", "parts", "text", "message", "response", "choices", "delta"} {
				if s, ok := v[name].(string); ok {
					text += s
				} else if v[name] != nil {
					walk(v[name])
				}
			}
		case []any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	for _, line := range strings.Split(strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "data: ", ""), "\n") {
		var v any
		if json.Unmarshal([]byte(line), &v) == nil {
			walk(v)
		}
	}
	return text
}

// TestEveryDoor: each way in of the Gemini and the Ollama dialect, against a
// provider of every dialect: bytes pass where the dialects are the same, and
// everywhere the client reads the same text and the row has the same usage.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	for _, door := range []struct {
		name, path, body string
		// native is what a provider of the dialect answers.
		dialect, native, kind string
		stream                bool
	}{
		{"Gemini", "/v1beta/models/MODEL:generateContent", gemBody, "gem", gemAnswer, "application/json", false},
		{"Gemini, prefixed", "/gemini/v1beta/models/MODEL:generateContent", gemBody, "gem", gemAnswer, "application/json", false},
		{"Gemini, v1", "/v1/models/MODEL:generateContent", gemBody, "gem", gemAnswer, "application/json", false},
		{"Gemini events", "/v1beta/models/MODEL:streamGenerateContent?alt=sse", gemBody, "gem", gemEvents, "text/event-stream", true},
		{"Gemini array", "/v1beta/models/MODEL:streamGenerateContent", gemBody, "gem", gemArray, "application/json", true},
		{"Ollama", "/api/chat", `{"model":"MODEL","stream":false,"messages":[{"role":"user","content":"Hi"}]}`, "lama", lamaAnswer, "application/json", false},
		{"Ollama lines", "/api/chat", `{"model":"MODEL","messages":[{"role":"user","content":"Hi"}]}`, "lama", lamaLines, "application/x-ndjson", true},
		{"Ollama, prefixed", "/ollama/api/chat", `{"model":"MODEL","messages":[{"role":"user","content":"Hi"}]}`, "lama", lamaLines, "application/x-ndjson", true},
		{"Ollama generate", "/api/generate", `{"model":"MODEL","prompt":"Hi"}`, "lama", "", "application/x-ndjson", true},
	} {
		for _, model := range []string{"gem/g", "lama/q:8b", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"} {
			for _, escape := range []bool{false, true} {
				in := model
				if escape {
					in = strings.ReplaceAll(model, "/", "%2F")
				}
				if escape && !strings.Contains(door.path, "MODEL") {
					continue
				}
				a := h.call("POST", strings.ReplaceAll(door.path, "MODEL", in), strings.ReplaceAll(door.body, "MODEL", model))
				name := fmt.Sprintf("%s to %s", door.name, model)
				if a.status != 200 || said(t, a.body) != "Hello" || !strings.HasPrefix(a.header.Get("Content-Type"), door.kind) {
					t.Errorf("%s: %d %s %s", name, a.status, a.header.Get("Content-Type"), a.body)
					continue
				}
				all := u.posted()
				got := all[len(all)-1]
				if strings.HasPrefix(model, door.dialect) {
					if door.native != "" && a.body != door.native {
						t.Errorf("%s: the answer came as\n%s\nnot as\n%s", name, a.body, door.native)
					}
					_, id, _ := strings.Cut(model, "/")
					if want := strings.ReplaceAll(door.body, "MODEL", id); got.body != want {
						t.Errorf("%s: the provider got %s, want %s", name, got.body, want)
					}
				} else if strings.HasPrefix(model, "gem") && door.stream && got.query != "alt=sse" {
					t.Errorf("%s: the query is %q", name, got.query)
				}
				row := h.row(a)
				if use := row["usage"].(map[string]any); use["input"] != 5.0 || use["output"] != 2.0 || row["model"] != model || row["stream"] != door.stream {
					t.Errorf("%s: row %v", name, row)
				}
			}
		}
	}
}

// TestGeminiKey: the key may come in a header or in the query, and goes no
// further than the gateway.
func TestGeminiKey(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	call := func(path string, header ...string) (int, string) {
		req, err := http.NewRequest("POST", h.base+path, strings.NewReader(gemBody))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	const path = "/v1beta/models/gem/g:generateContent"
	if status, body := call(path, "X-Goog-Api-Key", key); status != 200 {
		t.Errorf("by header: %d %s", status, body)
	}
	if status, body := call("/v1beta/models/gem/g:streamGenerateContent?key=" + key + "&alt=sse"); status != 200 {
		t.Errorf("by query: %d %s", status, body)
	}
	for _, got := range u.posted() {
		if got.header.Get("X-Goog-Api-Key") != gemKey || strings.Contains(got.query, "key") || strings.Contains(fmt.Sprint(got), key) {
			t.Errorf("the provider got %+v", got)
		}
	}
	if got := u.posted()[1].query; got != "alt=sse" {
		t.Errorf("the query is %q", got)
	}
	for _, c := range []struct{ path, header, value string }{{path, "", ""}, {path + "?key=wrong", "", ""}, {path, "X-Goog-Api-Key", "wrong"}} {
		status, body := call(c.path, "X-Other", "x", c.header+"X", c.value)
		if c.header != "" {
			status, body = call(c.path, c.header, c.value)
		}
		var e struct {
			Error struct {
				Code            int
				Message, Status string
			}
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != 401 && status != 403 && status != 400 || e.Error.Code != status || e.Error.Status == "" {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
	// A key in the query is Gemini's way alone.
	if status, _ := call("/v1/chat/completions?key=" + key); status != 401 {
		t.Errorf("a key in the query of another door: %d", status)
	}
	if strings.Contains(h.log.String(), key) {
		t.Error("the log holds the key")
	}
}

// TestEmbedEverywhere: every door of embeddings against providers of every
// dialect that has them; numbers keep their spelling.
func TestEmbedEverywhere(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	for _, c := range []struct{ name, path, body, want string }{
		{"OpenAI", "/v1/embeddings", `{"model":"MODEL","input":"Hi"}`, `"embedding":[0.10,2]`},
		{"OpenAI, base64", "/v1/embeddings", `{"model":"MODEL","input":["Hi"],"encoding_format":"base64"}`, ``},
		{"Gemini", "/v1beta/models/MODEL:embedContent", `{"content":{"parts":[{"text":"Hi"}]}}`, `"embedding":{"values":[0.10,2]}`},
		{"Gemini, many", "/v1beta/models/MODEL:batchEmbedContents", `{"requests":[{"model":"models/MODEL","content":{"parts":[{"text":"Hi"}]}}]}`, `"embeddings":[{"values":[0.10,2]}]`},
		{"Ollama", "/api/embed", `{"model":"MODEL","input":"Hi"}`, `"embeddings":[[0.10,2]]`},
		{"Ollama, old", "/api/embeddings", `{"model":"MODEL","prompt":"Hi"}`, `"embedding":[0.10,2]`},
	} {
		for _, model := range []string{"gem/g", "lama/q", "openai/text-embedding-3-small"} {
			a := h.call("POST", strings.ReplaceAll(c.path, "MODEL", model), strings.ReplaceAll(c.body, "MODEL", model))
			want := c.want
			if want == "" && model != "openai/text-embedding-3-small" {
				want = `"embedding":"zczMPQAAAEA="`
			}
			if a.status != 200 || !strings.Contains(a.body, want) {
				t.Errorf("%s to %s: %d %s, want %s", c.name, model, a.status, a.body, want)
				continue
			}
			if row := h.row(a); row["op"] != "embed" || row["class"] != "" || row["usage"].(map[string]any)["input"] == 0.0 {
				t.Errorf("%s to %s: row %v", c.name, model, row)
			}
		}
	}
}

// TestCountEverywhere: counted by the provider where it can, in whatever
// dialect, else estimated.
func TestCountEverywhere(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	for _, c := range []struct{ path, body, member string }{
		{"/v1/messages/count_tokens", `{"model":"MODEL","messages":[{"role":"user","content":"How many?"}]}`, "input_tokens"},
		{"/v1beta/models/MODEL:countTokens", gemBody, "totalTokens"},
		{"/v1/responses/input_tokens", `{"model":"MODEL","input":"How many?"}`, "input_tokens"},
	} {
		for model, want := range map[string]float64{"gem/g": 31, "anthropic/claude-haiku-4-5": 32, "lama/q": 0, "openai/gpt-4o-mini": 33} {
			a := h.call("POST", strings.ReplaceAll(c.path, "MODEL", model), strings.ReplaceAll(c.body, "MODEL", model))
			var got map[string]any
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
				t.Fatalf("%s of %s: %d %s", c.path, model, a.status, a.body)
			}
			n, _ := got[c.member].(float64)
			if want > 0 && n != want || want == 0 && (n < 1 || n > 30 || !strings.Contains(a.header.Get("X-Headrace-Warnings"), "estimated")) {
				t.Errorf("%s of %s: %s %v", c.path, model, a.body, a.header)
			}
		}
	}
}

// TestRoutesAreDescribed: a route shows what all of its targets have in common,
// and nothing where one of them is unknown.
func TestRoutesAreDescribed(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml+`
routes:
  both: [rehearsal/thinker, rehearsal/quick]
  deep: [rehearsal/thinker, cohere/not-configured]
  blind: [rehearsal/thinker, lama/nobody-knows-it]
  vectors: [rehearsal/embed]
`)
	for name, want := range map[string]struct {
		window       int64
		capabilities string
	}{
		"both":    {1_000_000, "completion tools vision"},
		"deep":    {1_000_000, "completion tools vision thinking"},
		"blind":   {0, "completion tools"},
		"vectors": {1_000_000, "embedding"},
	} {
		var shown struct {
			Capabilities []string
			Details      struct {
				Window int64 `json:"context_length"`
			}
		}
		a := h.call("POST", "/api/show", `{"model":"`+name+`"}`)
		if err := json.Unmarshal([]byte(a.body), &shown); err != nil || shown.Details.Window != want.window || strings.Join(shown.Capabilities, " ") != want.capabilities {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestNamelessAnswer: where the provider does not say which model answered, what
// the answer's id is or when it was made, the client is told the model that it
// asked for, an id of ours and the time of the request: clients read them.
func TestNamelessAnswer(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r) // no list of models
			return
		}
		all := u.posted()
		streamed := strings.Contains(all[len(all)-1].body, `"stream":true`)
		events := func(list ...string) {
			body := ""
			for _, e := range list {
				kind := struct{ Type string }{}
				_ = json.Unmarshal([]byte(e), &kind)
				body += "event: " + kind.Type + "\ndata: " + e + "\n\n"
			}
			write(w, "text/event-stream", body)
		}
		const item = `{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]}`
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, ":generateContent"):
			write(w, "application/json", strings.Replace(gemAnswer, `,"modelVersion":"g"`, "", 1))
		case strings.HasSuffix(path, ":streamGenerateContent"):
			write(w, "text/event-stream", strings.ReplaceAll(gemEvents, `,"modelVersion":"g"`, ""))
		case path == "/api/chat" && streamed:
			write(w, "application/x-ndjson", strings.ReplaceAll(lamaLines, `"model":"q","created_at":"2026-01-01T00:00:00Z",`, ""))
		case path == "/api/chat":
			write(w, "application/json", strings.Replace(lamaAnswer, `"model":"q","created_at":"2026-01-01T00:00:00Z",`, "", 1))
		case path == "/v1/messages" && streamed:
			write(w, "text/event-stream", strings.Replace(claudeStream, `"id":"m",`, "", 1))
		case path == "/v1/messages":
			write(w, "application/json", strings.Replace(strings.Replace(msgAnswer, `"id":"msg_1",`, "", 1), `"model":"claude-haiku-4-5",`, "", 1))
		case path == "/v1/responses" && streamed:
			events(`{"type":"response.created","sequence_number":0,"response":{"object":"response","status":"in_progress","output":[]}}`,
				`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"i","role":"assistant","status":"in_progress","content":[]}}`,
				`{"type":"response.output_text.delta","sequence_number":2,"item_id":"i","output_index":0,"content_index":0,"delta":"Hello"}`,
				`{"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":`+item+`}`,
				`{"type":"response.completed","sequence_number":4,"response":{"object":"response","status":"completed","output":[`+item+`],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}`)
		case path == "/v1/responses":
			write(w, "application/json", `{"object":"response","status":"completed","output":[`+item+`],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`)
		case streamed:
			write(w, "text/event-stream", `data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}`+"\n\n"+`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
		default:
			write(w, "application/json", `{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}`)
		}
	}
	h := open(t, u, `providers:
  gemini: {dialect: gemini, base_url: `+u.URL+`, api_key: k}
  ollama: {dialect: ollama, auth: none, base_url: `+u.URL+`}
  anthropic: {dialect: anthropic, base_url: `+u.URL+`, api_key: k}
  responses: {dialect: responses, base_url: `+u.URL+`/v1, api_key: k}
  openai: {dialect: openai, base_url: `+u.URL+`/v1, api_key: k}
`)
	// What has to be there, by client, in the first object of an answer that has
	// one of them.
	must := map[llm.Dialect][]string{
		llm.OpenAI: {"id", "created", "model"}, llm.Anthropic: {"id", "model"}, llm.Responses: {"id", "created_at", "model"},
		llm.Gemini: {"responseId", "modelVersion"}, llm.Ollama: {"model", "created_at"},
	}
	for i := range faces {
		f := &faces[i]
		for from := range must {
			if from == f.dialect {
				continue // its own bytes
			}
			for _, stream := range []bool{false, true} {
				model := string(from) + "/m"
				a := f.ask(h, model, "Hi", stream, "", "")
				found := false
				for _, line := range strings.Split(strings.Trim(a.body, "[]\r\n"), "\n") {
					var o map[string]any
					if json.Unmarshal([]byte(strings.Trim(strings.TrimPrefix(line, "data: "), ",\r")), &o) != nil {
						continue
					}
					for _, inner := range []string{"message", "response"} { // of the first event
						if in, ok := o[inner].(map[string]any); ok && o["type"] != nil {
							o = in
						}
					}
					if o[must[f.dialect][0]] == nil {
						continue
					}
					found = true
					for _, name := range must[f.dialect] {
						if v := o[name]; v == nil || v == "" || v == 0.0 || v == "1970-01-01T00:00:00Z" {
							t.Errorf("%s of %s, streamed %t: %s is %v in %s", f, from, stream, name, v, line)
						}
					}
				}
				if !found || a.status != 200 {
					t.Errorf("%s of %s, streamed %t: %d %s", f, from, stream, a.status, a.body)
				}
			}
		}
	}
}

// TestOllamaEchoes: answers to Ollama's clients name the model as it was asked
// for, and say in nanoseconds how long they took.
func TestOllamaEchoes(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "routes:\n  smart: [rehearsal/quick]\n")
	for _, model := range []string{"rehearsal/quick", "rehearsal/steady", "smart", "smart:latest"} {
		for _, stream := range []bool{false, true} {
			for path, prompt := range map[string]string{"/api/chat": `"messages":[{"role":"user","content":"Hi"}],"prompt":"a stray one"`, "/api/generate": `"prompt":"Hi"`} {
				a := h.call("POST", path, fmt.Sprintf(`{"model":%q,"stream":%t,%s}`, model, stream, prompt), "X-Headrace-Rehearse: delay=20ms")
				lines := strings.Split(strings.TrimSpace(a.body), "\n")
				for n, line := range lines {
					var o struct {
						Model        string
						Done         bool
						Total        int64 `json:"total_duration"`
						Load         int64 `json:"load_duration"`
						Prompt       int64 `json:"prompt_eval_duration"`
						Eval         int64 `json:"eval_duration"`
						Count        int64 `json:"eval_count"`
						PromptsCount int64 `json:"prompt_eval_count"`
					}
					if err := json.Unmarshal([]byte(line), &o); err != nil || a.status != 200 || o.Model != model {
						t.Errorf("%s %s, streamed %t: %d %s", path, model, stream, a.status, line)
					}
					if o.Done != (n == len(lines)-1) {
						t.Errorf("%s %s, streamed %t: line %d is %s", path, model, stream, n, line)
					}
					if o.Done && (o.Total < 20e6 || o.Load <= 0 || o.Load > o.Total || o.Prompt < 20e6 || o.Prompt > o.Total || o.Eval <= 0 || o.Eval > o.Total || stream && o.Load+o.Prompt+o.Eval != o.Total || o.Count == 0 || o.PromptsCount == 0) {
						t.Errorf("%s %s, streamed %t: %+v", path, model, stream, o)
					}
				}
			}
		}
	}
	var e struct {
		Model string
		Total int64 `json:"total_duration"`
	}
	a := h.call("POST", "/api/embed", `{"model":"rehearsal/embed","input":"Hi"}`)
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != 200 || e.Model != "rehearsal/embed" || e.Total <= 0 {
		t.Errorf("embed: %d %.300s", a.status, a.body)
	}
}

// TestOllamaHouse: what Ollama's clients ask beside models' answers.
func TestOllamaHouse(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	for _, method := range []string{"GET", "HEAD"} {
		a := h.call(method, "/", "", "Authorization: none")
		if want := map[string]string{"GET": "Ollama is running"}[method]; a.status != 200 || a.body != want {
			t.Errorf("%s /: %d %q", method, a.status, a.body)
		}
	}
	if a := h.call("GET", "/api/version", "", "Authorization: none"); a.status != 200 || !strings.Contains(a.body, `"version":"0.`) {
		t.Errorf("version: %d %s", a.status, a.body)
	}
	var tags struct {
		Models []struct{ Name, Model string }
	}
	for _, path := range []string{"/api/tags", "/ollama/api/tags"} {
		a := h.call("GET", path, "")
		if err := json.Unmarshal([]byte(a.body), &tags); err != nil || a.status != 200 || len(tags.Models) < 3 {
			t.Fatalf("tags: %d %s", a.status, a.body)
		}
	}
	for _, m := range tags.Models {
		if !strings.HasPrefix(m.Name, "rehearsal/") {
			continue // the provider may be asked for its list just now
		}
		a := h.call("POST", "/api/show", `{"model":"`+m.Name+`"}`)
		if a.status != 200 || !strings.Contains(a.body, `"capabilities":[`) {
			t.Errorf("show %s: %d %s", m.Name, a.status, a.body)
		}
	}
	for path, asks := range map[string]string{"/api/chat": `"messages":[{"role":"user","content":"Hi"}]`, "/api/generate": `"prompt":"Hi"`, "/v1/chat/completions": `"messages":[{"role":"user","content":"Hi"}]`} {
		for _, name := range []string{"rehearsal/quick:latest", "rehearsal/quick"} {
			a := h.call("POST", path, `{"model":"`+name+`",`+asks+`}`)
			if a.status != 200 || a.header.Get("X-Headrace-Model") != "rehearsal/quick" {
				t.Errorf("%s %s: %d %s", path, name, a.status, a.body)
			}
		}
	}
	if a := h.call("POST", "/api/chat", `{"model":"rehearsal/nobody:latest","messages":[{"role":"user","content":"Hi"}]}`); a.status != 404 || !strings.Contains(a.body, "nobody:latest") {
		t.Errorf("a model that is not there: %d %s", a.status, a.body)
	}
	if !slices.ContainsFunc(tags.Models, func(m struct{ Name, Model string }) bool {
		return m.Name == "rehearsal/quick:latest" && m.Model == m.Name
	}) {
		t.Errorf("tags %v", tags)
	}
	if a := h.call("POST", "/api/show", `{"name":"rehearsal/quick"}`); a.status != 200 {
		t.Errorf("show by the old name: %d %s", a.status, a.body)
	}
	for body, status := range map[string]int{`{"model":"nobody/x"}`: 404, `{}`: 400, `[`: 400} {
		if a := h.call("POST", "/api/show", body); a.status != status || !strings.HasPrefix(a.body, `{"error":"`) {
			t.Errorf("show %s: %d %s", body, a.status, a.body)
		}
	}
	for path, want := range map[string]string{"/api/tags": `"capabilities":["embedding"]`, "/v1beta/models": `"supportedGenerationMethods":["embedContent","batchEmbedContents"]`} {
		if a := h.call("GET", path, ""); !strings.Contains(a.body, want) {
			t.Errorf("%s shows no model that embeds", path)
		}
	}
	if a := h.call("GET", "/api/ps", ""); a.status != 200 || a.body != `{"models":[]}` {
		t.Errorf("ps: %d %s", a.status, a.body)
	}
	for _, c := range []string{"POST /api/pull", "POST /api/push", "POST /api/create", "POST /api/copy", "DELETE /api/delete", "POST /api/blobs/sha256:00", "POST /ollama/api/pull"} {
		method, path, _ := strings.Cut(c, " ")
		if a := h.call(method, path, `{"model":"x"}`); a.status < 400 || a.status >= 500 || !strings.HasPrefix(a.body, `{"error":"`) || !strings.Contains(a.body, "gateway") {
			t.Errorf("%s: %d %s", c, a.status, a.body)
		}
	}
	before := len(u.posted())
	a := h.call("POST", "/api/chat", `{"model":"openai/gpt-4o-mini","messages":[]}`)
	if a.status != 200 || !strings.Contains(a.body, `"done_reason":"load"`) || len(u.posted()) != before {
		t.Errorf("load: %d %s", a.status, a.body)
	}
	if a := h.call("GET", "/api/tags", "", "Authorization: Bearer wrong"); a.status != 401 || !strings.HasPrefix(a.body, `{"error":"`) {
		t.Errorf("a wrong key: %d %s", a.status, a.body)
	}
	if a := h.call("GET", "/api/nothing", ""); a.status != 404 || !strings.HasPrefix(a.body, `{"error":"`) {
		t.Errorf("nowhere: %d %s", a.status, a.body)
	}
	if a := h.call("HEAD", "/api/hello", ""); a.status != 200 {
		t.Errorf("hello: %d", a.status)
	}
}

// TestGeminiHouse: the lists of models, and errors as Google's SDKs read them.
func TestGeminiHouse(t *testing.T) {
	t.Parallel()
	u, yaml := world(t)
	h := open(t, u, yaml)
	for path, header := range map[string]string{"/v1beta/models": "X-A: b", "/gemini/v1beta/models": "X-A: b", "/gemini/v1/models": "X-A: b", "/v1/models": "X-Goog-Api-Key: " + key} {
		if a := h.call("GET", path, "", header); a.status != 200 || !strings.Contains(a.body, `"name":"models/rehearsal/quick"`) {
			t.Errorf("%s: %d %.200s", path, a.status, a.body)
		}
	}
	if a := h.call("GET", "/v1beta/models/rehearsal/quick", ""); a.status != 200 || !strings.Contains(a.body, `"name":"models/rehearsal/quick"`) {
		t.Errorf("one model: %d %s", a.status, a.body)
	}
	for path, status := range map[string]int{"/v1beta/models/nobody/x:generateContent": 404, "/v1beta/models/gem/g:predict": 404, "/v1beta/models/gem/g": 404} {
		a := h.call("POST", path, gemBody)
		var e struct {
			Error struct {
				Code   int
				Status string
			}
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != status || e.Error.Code != status || e.Error.Status != "NOT_FOUND" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if d := llm.Gemini; h.row(h.call("POST", "/v1beta/models/gem/g:generateContent", gemBody))["dialect"] != string(d) {
		t.Error("the row has another dialect")
	}
}

// TestOllamaCutPrompt: a prompt that Ollama has cut to its window is told of,
// on the answer where it is whole and in the row always. A count of the prompt
// that is missing is estimated; the count of the output stays.
func TestOllamaCutPrompt(t *testing.T) {
	t.Parallel()
	counts := `"prompt_eval_count":2048,"eval_count":77`
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		counts := counts
		if strings.Contains(string(body), "uncounted") {
			counts = `"eval_count":77`
		}
		kind, answer := "application/x-ndjson", lamaLines
		if strings.Contains(string(body), `"stream":false`) {
			kind, answer = "application/json", lamaAnswer
		}
		write(w, kind, strings.Replace(answer, `"prompt_eval_count":5,"eval_count":2`, counts, 1))
	})
	h := open(t, nil, "providers: {lama: {dialect: ollama, auth: none, base_url: "+u.URL+"}}\n")
	long, short := strings.Repeat("some words of a long prompt ", 1500), "Hi"
	ask := func(path, text string, stream bool) answer {
		return h.call("POST", path, fmt.Sprintf(`{"model":"lama/q","max_tokens":50,"stream":%t,"messages":[{"role":"user","content":%q}]}`, stream, text))
	}
	for _, path := range []string{"/api/chat", "/v1/chat/completions", "/v1/messages"} {
		for _, stream := range []bool{false, true} {
			for text, cut := range map[string]bool{long: true, short: false} {
				a := ask(path, text, stream)
				row := h.row(a)
				noted := fmt.Sprint(row["warnings"])
				if a.status != 200 || strings.Contains(noted, "options.num_ctx: the model read 2048 of about") != cut {
					t.Errorf("%s, streamed %t, cut %t: %d, the row says %s", path, stream, cut, a.status, noted)
				}
				if told := a.header.Get("X-Headrace-Warnings"); !stream && strings.Contains(told, "num_ctx: the model read") != cut {
					t.Errorf("%s, cut %t: the client is told %q", path, cut, told)
				}
				if strings.Count(noted, "the model read") > 1 {
					t.Errorf("%s, streamed %t: told twice: %s", path, stream, noted)
				}
			}
			use := h.row(ask(path, "uncounted", stream))["usage"].(map[string]any)
			if use["source"] != "estimated" || use["output"] != 77.0 || use["input"].(float64) < 1 {
				t.Errorf("%s, streamed %t: usage without a prompt count: %v", path, stream, use)
			}
		}
	}
	a := h.call("POST", "/api/chat", `{"model":"rehearsal/quick","stream":false,"messages":[{"role":"user","content":"Hi"}]}`, "X-Headrace-Rehearse: auth")
	if strings.Contains(a.body, "x-api-key") || !strings.Contains(a.body, "refused the gateway's credential") {
		t.Errorf("the provider's word on our credential: %s", a.body)
	}
}
