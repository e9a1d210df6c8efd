package app_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// face is one way in to a chat, in one dialect.
type face struct {
	dialect llm.Dialect
	form    string
	// call is the body around a text, which is quoted; extra are more members.
	call func(model, text string, stream bool, extra string) string
	// tools, schema and thinking are the extra members that ask for them; empty
	// where the form has none.
	tools, schema, thinking string
	// word finds the error of a body, in the dialect's own form: what its
	// clients tell classes apart by.
	word func(body string) string
}

// faces has a row for every chat door.
var faces = []face{
	{dialect: llm.OpenAI, call: plainCall("messages", ""), word: wordAt("error", "code"),
		tools:  `,"tools":[{"type":"function","function":{"name":"get_weather","parameters":PARAMS}},{"type":"function","function":{"name":"get_time","parameters":PARAMS}}]`,
		schema: `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":SCHEMA}}`, thinking: `,"reasoning_effort":"high"`},
	{dialect: llm.Anthropic, call: plainCall("messages", `"max_tokens":4096,`), word: wordAt("error", "type"),
		tools:  `,"tools":[{"name":"get_weather","input_schema":PARAMS},{"name":"get_time","input_schema":PARAMS}]`,
		schema: `,"output_config":{"format":{"type":"json_schema","schema":SCHEMA}}`, thinking: `,"thinking":{"type":"enabled","budget_tokens":1024}`},
	{dialect: llm.Responses, call: plainCall("input", ""), word: wordAt("error", "code"),
		tools:  `,"tools":[{"type":"function","name":"get_weather","parameters":PARAMS},{"type":"function","name":"get_time","parameters":PARAMS}]`,
		schema: `,"text":{"format":{"type":"json_schema","name":"x","schema":SCHEMA}}`, thinking: `,"reasoning":{"effort":"high","summary":"auto"}`},
	{dialect: llm.Gemini, call: geminiCall, word: wordAt("error", "status"), tools: geminiTools, schema: geminiSchema, thinking: geminiThinking},
	{dialect: llm.Gemini, form: "array", call: geminiCall, word: wordAt("error", "status"), tools: geminiTools, schema: geminiSchema, thinking: geminiThinking},
	{dialect: llm.Ollama, call: plainCall("messages", ""), word: wordAt("error"),
		tools:  `,"tools":[{"type":"function","function":{"name":"get_weather","parameters":PARAMS}},{"type":"function","function":{"name":"get_time","parameters":PARAMS}}]`,
		schema: `,"format":SCHEMA`, thinking: `,"think":true`},
	{dialect: llm.Ollama, form: "generate", call: plainCall("prompt", ""), word: wordAt("error"), schema: `,"format":SCHEMA`, thinking: `,"think":true`},
}

const (
	geminiTools    = `,"tools":[{"functionDeclarations":[{"name":"get_weather","parametersJsonSchema":PARAMS},{"name":"get_time","parametersJsonSchema":PARAMS}]}]`
	geminiSchema   = `,"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":SCHEMA}`
	geminiThinking = `,"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2048}}`
)

func plainCall(member, more string) func(model, text string, stream bool, extra string) string {
	return func(model, text string, stream bool, extra string) string {
		said := quoted(text)
		if member != "prompt" {
			said = `[{"role":"user","content":` + said + `}]`
		}
		return fmt.Sprintf(`{"model":%q,%s"stream":%t,%q:%s%s}`, model, more, stream, member, said, extra)
	}
}

func geminiCall(_, text string, _ bool, extra string) string {
	return `{"contents":[{"role":"user","parts":[{"text":` + quoted(text) + `}]}]` + extra + `}`
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(b)
}

// wordAt finds a text under these names.
func wordAt(names ...string) func(body string) string {
	return func(body string) string {
		var v any
		if json.Unmarshal([]byte(body), &v) != nil {
			return "no JSON"
		}
		for _, name := range names {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		s, _ := v.(string)
		return s
	}
}

// ask asks a question through the door.
func (f *face) ask(h *house, model, text string, stream bool, extra, rehearse string) answer {
	extra = strings.NewReplacer("PARAMS", `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`,
		"SCHEMA", `{"type":"object","properties":{"city":{"type":"string"},"degrees":{"type":"integer"}},"required":["city","degrees"],"additionalProperties":false}`).Replace(extra)
	var header []string
	if rehearse != "" {
		header = []string{"X-Headrace-Rehearse: " + rehearse}
	}
	return h.call("POST", wiretest.Base(f.dialect)+wiretest.Path(f.dialect, f.form, model, stream), f.call(model, text, stream, extra), header...)
}

func (f *face) String() string { return strings.TrimSuffix(string(f.dialect)+" "+f.form, " ") }

// told is how a class looks to a client.
type told struct {
	status int
	// word is what word of face finds; of Ollama's, whose errors are sentences, a
	// part of it.
	word string
}

// TestRehearsedFailures: each failure that can be asked for, through every
// door, by header and by text: the dialect's own status and form, whole and
// streamed, and a row with the class.
func TestRehearsedFailures(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "retries: {failures: 0}\n")
	cases := []struct {
		directive                        string
		class                            llm.Class
		openai, anthropic, gemini, llama told
	}{
		{"rate_limited=90", llm.RateLimited, told{429, "rate_limit_exceeded"}, told{429, "rate_limit_error"}, told{429, "RESOURCE_EXHAUSTED"}, told{429, "rate limit"}},
		{"quota_exhausted", llm.QuotaExhausted, told{429, "insufficient_quota"}, told{429, "billing_error"}, told{429, "RESOURCE_EXHAUSTED"}, told{429, "usage limits"}},
		{"overloaded=90", llm.Overloaded, told{503, "overloaded"}, told{529, "overloaded_error"}, told{503, "UNAVAILABLE"}, told{503, "Overloaded"}},
		{"server_error; retry_after=90", llm.ServerError, told{502, "server_error"}, told{500, "api_error"}, told{500, "INTERNAL"}, told{502, "Internal server error"}},
		{"timeout=5ms; retry_after=90", llm.Timeout, told{504, "timeout"}, told{504, "timeout_error"}, told{504, "DEADLINE_EXCEEDED"}, told{504, "timed out"}},
		{"context_overflow", llm.ContextOverflow, told{400, "context_length_exceeded"}, told{400, "invalid_request_error"}, told{400, "INVALID_ARGUMENT"}, told{400, "exceeds the context length"}},
		{"invalid_request", llm.InvalidRequest, told{400, ""}, told{400, "invalid_request_error"}, told{400, "INVALID_ARGUMENT"}, told{400, "does not match"}},
		{"auth", llm.Auth, told{502, "provider_auth"}, told{502, "api_error"}, told{502, "INTERNAL"}, told{502, "refused the gateway's credential"}},
		{"model_not_found", llm.ModelNotFound, told{404, "model_not_found"}, told{404, "not_found_error"}, told{404, "NOT_FOUND"}, told{404, "not found"}},
		{"malformed_upstream", llm.MalformedUpstream, told{502, "malformed_upstream"}, told{502, "api_error"}, told{502, "INTERNAL"}, told{502, "not JSON"}},
		{"malformed_upstream=empty", llm.MalformedUpstream, told{502, "malformed_upstream"}, told{502, "api_error"}, told{502, "INTERNAL"}, told{502, "empty|not JSON"}},
		{"error_in_stream=quota_exhausted", llm.QuotaExhausted, told{429, "insufficient_quota"}, told{429, "billing_error"}, told{429, "RESOURCE_EXHAUSTED"}, told{429, "usage limits"}},
		{"cut=100", llm.MalformedUpstream, told{502, "malformed_upstream"}, told{502, "api_error"}, told{502, "INTERNAL"}, told{502, "broke|cut off"}},
		{"no_such_thing", llm.InvalidRequest, told{400, ""}, told{400, "invalid_request_error"}, told{400, "INVALID_ARGUMENT"}, told{400, "is not a directive"}},
	}
	for i := range faces {
		t.Run(faces[i].String(), func(t *testing.T) {
			t.Parallel()
			f := &faces[i]
			for _, c := range cases {
				want := map[llm.Dialect]told{llm.OpenAI: c.openai, llm.Responses: c.openai, llm.Anthropic: c.anthropic, llm.Gemini: c.gemini, llm.Ollama: c.llama}[f.dialect]
				if f.dialect == llm.OpenAI && c.directive == "invalid_request" {
					want.word = "invalid_value" // in the rehearsal's own words: it speaks this dialect itself
				}
				for _, way := range []string{"header", "text"} {
					for _, stream := range []bool{false, true} {
						if c.class == llm.MalformedUpstream && (way == "text") != stream {
							continue // it is tried again, which takes its time: once for each
						}
						var a answer
						if way == "header" {
							a = f.ask(h, "rehearsal/quick", "Hello", stream, "", c.directive)
						} else {
							a = f.ask(h, "rehearsal/quick", "Hello [[rehearse: "+c.directive+"]]", stream, "", "")
						}
						word := f.word(a.body)
						good := word == want.word
						if f.dialect == llm.Ollama {
							good = slices.ContainsFunc(strings.Split(want.word, "|"), func(part string) bool { return strings.Contains(word, part) })
						}
						if a.status != want.status || !good || a.header.Get("Content-Type") != "application/json" {
							t.Errorf("%s by %s, streamed %t: %d %q %s, want %d %q", c.directive, way, stream, a.status, word, a.body, want.status, want.word)
						}
						if row := h.row(a); row["class"] != string(c.class) {
							t.Errorf("%s by %s, streamed %t: the row says %v, want %s", c.directive, way, stream, row["class"], c.class)
						}
					}
				}
			}
		})
	}
}

// TestRehearsedStreams: what goes wrong inside a stream after content reaches
// the client as its dialect's own error, behind the content, and never as an
// end that looks good.
func TestRehearsedStreams(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "retries: {failures: 0}\n")
	const text = "say exactly: one two three four five six seven eight nine ten eleven twelve"
	for i := range faces {
		f := &faces[i]
		for directive, class := range map[string]llm.Class{
			"error_in_stream=overloaded, after=3":   llm.Overloaded,
			"error_in_stream=rate_limited, after=2": llm.RateLimited,
			"malformed_upstream=frame":              llm.MalformedUpstream,
			"cut=900":                               llm.MalformedUpstream,
		} {
			a := f.ask(h, "rehearsal/quick", text, true, "", directive)
			row := h.row(a)
			if row["class"] != string(class) {
				t.Errorf("%s to %s: the row says %v, want %s", directive, f, row["class"], class)
			}
			if a.status != 200 {
				if directive != "malformed_upstream=frame" { // breaks before any content
					t.Errorf("%s to %s: %d %s", directive, f, a.status, a.body)
				}
				continue
			}
			got, err := wiretest.Read(f.dialect, true, []byte(a.body))
			if err == nil || !got.Err || got.Text != "" && !strings.HasPrefix("one two three four five six seven eight nine ten eleven twelve", got.Text) {
				t.Errorf("%s to %s: the client reads %+v, %v in\n%s", directive, f, got, err, a.body)
			}
			if strings.HasPrefix(directive, "error_in_stream=overloaded") && !strings.Contains(a.body, "seven eight nine") {
				t.Errorf("%s to %s: the content before it is lost:\n%s", directive, f, a.body)
			}
			if err := wiretest.Must(f.dialect, []byte(a.body)); err != nil {
				t.Errorf("%s to %s: %v in\n%s", directive, f, err, a.body)
			}
		}
		for _, stream := range []bool{false, true} {
			a := f.ask(h, "rehearsal/quick", text, stream, "", "content_refused; after=2")
			got, err := wiretest.Read(f.dialect, stream, []byte(a.body))
			if err != nil || a.status != 200 || got.Finish == llm.FinishStop || got.Finish == llm.FinishLength {
				t.Errorf("content_refused to %s, streamed %t: %+v, %v in\n%s", f, stream, got, err, a.body)
			}
		}
		start := time.Now()
		a := f.ask(h, "rehearsal/quick", text, true, "", "drip=20ms")
		if got, err := wiretest.Read(f.dialect, true, []byte(a.body)); err != nil || got.Text != strings.TrimPrefix(text, "say exactly: ") || time.Since(start) < 60*time.Millisecond {
			t.Errorf("drip to %s: %+v, %v after %s", f, got, err, time.Since(start))
		}
	}
}

// TestRehearsedAnswers: tools, structured output and thinking through every
// door.
func TestRehearsedAnswers(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "")
	for i := range faces {
		f := &faces[i]
		for _, stream := range []bool{false, true} {
			read := func(what, model, text, extra string) wiretest.Answer {
				t.Helper()
				a := f.ask(h, model, text, stream, extra, "")
				got, err := wiretest.Read(f.dialect, stream, []byte(a.body))
				if err != nil || a.status != 200 {
					t.Errorf("%s of %s, streamed %t: %d, %v in\n%s", what, f, stream, a.status, err, a.body)
				}
				if stream {
					if err := wiretest.Must(f.dialect, []byte(a.body)); err != nil {
						t.Errorf("%s of %s: %v in\n%s", what, f, err, a.body)
					}
				}
				return got
			}
			if f.tools != "" {
				got := read("tools", "rehearsal/quick", "call get_weather and get_time in parallel", f.tools)
				var names []string
				for _, c := range got.Calls {
					names = append(names, c.Name)
					if !strings.Contains(c.Arguments, `"city":`) {
						t.Errorf("tools of %s, streamed %t: arguments %s", f, stream, c.Arguments)
					}
				}
				if !slices.Equal(names, []string{"get_weather", "get_time"}) {
					t.Errorf("tools of %s, streamed %t: %v", f, stream, names)
				}
			}
			got := read("schema", "rehearsal/quick", "Where is it warm?", f.schema)
			var made struct {
				City    *string
				Degrees *int
			}
			if err := json.Unmarshal([]byte(got.Text), &made); err != nil || made.City == nil || made.Degrees == nil {
				t.Errorf("schema of %s, streamed %t: %q (%v)", f, stream, got.Text, err)
			}
			got = read("thinking", "rehearsal/thinker", "say exactly: forty-two", f.thinking)
			if got.Text != "forty-two" || got.Reasoning == "" {
				t.Errorf("thinking of %s, streamed %t: %+v", f, stream, got)
			}
		}
	}
}

// TestRehearsedEmbeddings: the same vectors through every door of embeddings,
// of length one, and near to one another where the texts are.
func TestRehearsedEmbeddings(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "retries: {failures: 0}\n")
	texts := []string{"The cat sat on the mat.", "A cat is sitting on the mat", "Quarterly revenue grew by nine percent"}
	doors := []struct {
		name, path string
		// body asks for the texts, in as many dimensions unless that is 0.
		body func(texts []string, size int) string
		one  bool
		read func(body string) [][]float64
	}{
		{"OpenAI", "/v1/embeddings", func(texts []string, size int) string {
			return `{"model":"rehearsal/embed","input":` + list(texts) + dimensions("dimensions", size) + `}`
		}, false, func(body string) (all [][]float64) {
			var v struct {
				Data []struct{ Embedding []float64 }
			}
			decode(t, body, &v)
			for _, d := range v.Data {
				all = append(all, d.Embedding)
			}
			return all
		}},
		{"OpenAI, base64", "/v1/embeddings", func(texts []string, size int) string {
			return `{"model":"rehearsal/embed","encoding_format":"base64","input":` + list(texts) + dimensions("dimensions", size) + `}`
		}, false, func(body string) (all [][]float64) {
			var v struct{ Data []struct{ Embedding string } }
			decode(t, body, &v)
			for _, d := range v.Data {
				b, err := base64.StdEncoding.DecodeString(d.Embedding)
				if err != nil {
					t.Fatal(err)
				}
				var f []float64
				for ; len(b) >= 4; b = b[4:] {
					f = append(f, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
				}
				all = append(all, f)
			}
			return all
		}},
		{"Gemini", "/v1beta/models/rehearsal/embed:batchEmbedContents", func(texts []string, size int) string {
			var all []string
			for _, s := range texts {
				all = append(all, `{"model":"models/rehearsal/embed","content":{"parts":[{"text":`+quoted(s)+`}]}`+dimensions("outputDimensionality", size)+`}`)
			}
			return `{"requests":[` + strings.Join(all, ",") + `]}`
		}, false, func(body string) (all [][]float64) {
			var v struct{ Embeddings []struct{ Values []float64 } }
			decode(t, body, &v)
			for _, e := range v.Embeddings {
				all = append(all, e.Values)
			}
			return all
		}},
		{"Gemini, one", "/v1beta/models/rehearsal/embed:embedContent", func(texts []string, size int) string {
			return `{"content":{"parts":[{"text":` + quoted(texts[0]) + `}]}` + dimensions("outputDimensionality", size) + `}`
		}, true, func(body string) [][]float64 {
			var v struct{ Embedding struct{ Values []float64 } }
			decode(t, body, &v)
			return [][]float64{v.Embedding.Values}
		}},
		{"Ollama", "/api/embed", func(texts []string, size int) string {
			return `{"model":"rehearsal/embed","input":` + list(texts) + dimensions("dimensions", size) + `}`
		}, false, func(body string) [][]float64 {
			var v struct{ Embeddings [][]float64 }
			decode(t, body, &v)
			return v.Embeddings
		}},
		{"Ollama, old", "/api/embeddings", func(texts []string, size int) string {
			return `{"model":"rehearsal/embed","prompt":` + quoted(texts[0]) + `}`
		}, true, func(body string) [][]float64 {
			var v struct{ Embedding []float64 }
			decode(t, body, &v)
			return [][]float64{v.Embedding}
		}},
	}
	first := map[int][]float64{} // by size: the first text's vector at the first door
	for _, d := range doors {
		for _, size := range []int{0, 64} {
			if size > 0 && d.name == "Ollama, old" {
				continue // it has no such member
			}
			a := h.call("POST", d.path, d.body(texts, size))
			if a.status != 200 {
				t.Errorf("%s: %d %s", d.name, a.status, a.body)
				continue
			}
			vectors, want := d.read(a.body), len(texts)
			if d.one {
				want = 1
			}
			if len(vectors) != want {
				t.Errorf("%s: %d vectors, want %d", d.name, len(vectors), want)
				continue
			}
			for _, v := range vectors {
				if n := max(size, 256*(1-min(size, 1))); len(v) != n || math.Abs(dot(v, v)-1) > 1e-5 {
					t.Errorf("%s: %d dimensions of length %g, want %d", d.name, len(v), math.Sqrt(dot(v, v)), n)
				}
			}
			if first[size] == nil {
				first[size] = vectors[0]
			}
			for i, x := range vectors[0] {
				if math.Abs(x-first[size][i]) > 1e-7 {
					t.Errorf("%s: the vector is another one than at the first door", d.name)
					break
				}
			}
			if !d.one {
				if near, far := dot(vectors[0], vectors[1]), dot(vectors[0], vectors[2]); near < far+0.2 || near < 0.5 {
					t.Errorf("%s, %d dimensions: like texts are %g near, unlike ones %g", d.name, size, near, far)
				}
			}
			if row := h.row(a); row["op"] != "embed" || row["class"] != "" || row["cost_nanodollars"] != 0.0 || row["priced"] != true || row["usage"].(map[string]any)["input"] == 0.0 || row["usage"].(map[string]any)["source"] != "provider" {
				t.Errorf("%s: row %v", d.name, row)
			}
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			for directive, want := range map[string]int{"rate_limited=90": 429, "auth": 502, "context_overflow": 400, "content_refused": 400} {
				a := h.call("POST", d.path, d.body(texts, 0), "X-Headrace-Rehearse: "+directive)
				b := h.call("POST", d.path, d.body([]string{"Hi [[rehearse: " + directive + "]]"}, 0))
				if a.status != want || b.status != want || !strings.Contains(strings.ReplaceAll(a.body, " ", ""), `"error":`) {
					t.Errorf("%s: %d and %d %s, want %d", directive, a.status, b.status, a.body, want)
				}
			}
			for _, directive := range []string{"malformed_upstream=json", "cut=10"} {
				if a := h.call("POST", d.path, d.body(texts, 0), "X-Headrace-Rehearse: "+directive); a.status != 502 || !strings.Contains(a.body, `"error":`) {
					t.Errorf("%s: %d %s", directive, a.status, a.body)
				}
			}
		})
	}
	if a := h.call("POST", "/v1/embeddings", `{"model":"rehearsal/embed","input":"Hi","dimensions":4097}`); a.status != 400 || !strings.Contains(a.body, `"param":"dimensions"`) {
		t.Errorf("too many dimensions: %d %s", a.status, a.body)
	}
	for path, body := range map[string]string{"/v1/embeddings": `{"model":"rehearsal/quick","input":"Hi"}`, "/v1/chat/completions": `{"model":"rehearsal/embed","messages":[{"role":"user","content":"Hi"}]}`} {
		if a := h.call("POST", path, body); a.status != 404 {
			t.Errorf("%s of a model of the other kind: %d %s", path, a.status, a.body)
		}
	}
}

func list(texts []string) string {
	all := make([]string, len(texts))
	for i, s := range texts {
		all[i] = quoted(s)
	}
	return "[" + strings.Join(all, ",") + "]"
}

func dimensions(name string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(",%q:%d", name, n)
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
}

func dot(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
