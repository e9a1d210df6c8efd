package ollama

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

func newLines(s string) *sse.Reader            { return sse.NewLineReader(strings.NewReader(s), 0) }
func newCapped(s string, most int) *sse.Reader { return sse.NewLineReader(strings.NewReader(s), most) }

func TestErrorCases(t *testing.T) {
	for name, body := range files(t, "error.json") {
		var meta struct {
			Status int
			Class  llm.Class
		}
		if err := json.Unmarshal(oneCase(t, name, "meta.json"), &meta); err != nil {
			t.Fatal(err)
		}
		e := Codec{}.DecodeError(meta.Status, nil, body)
		if e.Class != meta.Class || e.Status != meta.Status || e.Message == "" || e.From != llm.Ollama {
			t.Errorf("%s: %+v", name, e)
		}
		status, out := Codec{}.EncodeError(e)
		switch {
		case e.Class == llm.Auth:
			if status != 502 || strings.Contains(string(out), "signin_url") {
				t.Errorf("%s: %d %s", name, status, out)
			}
		case formOf(e).back:
			if status != meta.Status || string(out) != string(body) {
				t.Errorf("%s: %d %s", name, status, out)
			}
		}
	}
}

func TestDecodeError(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   llm.Class
	}{
		{404, `{"error":"model \"x\" not found, try pulling it first"}`, llm.ModelNotFound},
		{404, `404 page not found`, llm.ModelNotFound},
		{400, `{"error":"invalid model name"}`, llm.ModelNotFound},
		{500, `{"error":"the input length exceeds the context length"}`, llm.ContextOverflow},
		{413, `{"error":"the input length exceeds the context length"}`, llm.ContextOverflow},
		{500, `{"error":"model requires more system memory (9.1 GiB) than is available (4.0 GiB)"}`, llm.ServerError},
		{429, `{"error":"you have reached your weekly usage limit"}`, llm.QuotaExhausted},
		{429, `{"error":"slow down"}`, llm.RateLimited},
		{403, `{"error":"this model requires a subscription"}`, llm.ModelNotFound},
		{403, `{"error":"no"}`, llm.Auth},
		{401, ``, llm.Auth},
		{499, ``, llm.ClientGone},
		{502, `<html>bad gateway</html>`, llm.ServerError},
		{504, ``, llm.Timeout},
		{400, `{"error":{"message":"odd","type":"api_error"}}`, llm.InvalidRequest},
		{400, `{"error":"model is required"}`, llm.InvalidRequest},
	} {
		e := Codec{}.DecodeError(tt.status, http.Header{"Retry-After": {"2"}}, []byte(tt.body))
		if e.Class != tt.want || e.Message == "" || e.RetryAfter != 2*time.Second {
			t.Errorf("%d %s: %+v", tt.status, tt.body, e)
		}
	}
	es, err := events(t, strings.NewReader(`{"error":"rate limit exceeded","status_code":429}`+"\n"))
	if err != nil || len(es) != 1 || es[0].Err.Class != llm.RateLimited || es[0].Err.Status != 429 {
		t.Errorf("%+v, %v", es, err)
	}
}

// Every class has a form, and every form is {"error":"text"}.
func TestEncodeError(t *testing.T) {
	for _, class := range llm.Classes() {
		if _, ok := forms[class]; !ok {
			t.Errorf("no row for %s", class)
		}
		for _, e := range []*llm.Error{{Class: class}, {Class: class, Message: "because", From: llm.Anthropic, Status: 418, Body: []byte(`{"a":1}`)}} {
			status, body := Codec{}.EncodeError(e)
			var v map[string]string
			if err := json.Unmarshal(body, &v); err != nil || v["error"] == "" || len(v) != 1 || status < 400 || status > 599 || status == 418 {
				t.Errorf("%s: %d %s", class, status, body)
			}
		}
	}
	for _, tt := range []struct {
		e    llm.Error
		want string
	}{
		{llm.Error{Class: llm.ModelNotFound, Model: "x", Message: "no such thing"}, `{"error":"model 'x' not found: no such thing"}`},
		{llm.Error{Class: llm.ModelNotFound, Message: "The model x was not found"}, `{"error":"The model x was not found"}`},
		{llm.Error{Class: llm.ContextOverflow, Message: "prompt is too long"}, `{"error":"the input length exceeds the context length: prompt is too long"}`},
		{llm.Error{Class: llm.Unauthenticated, Message: "no key"}, `{"error":"unauthorized: no key"}`},
	} {
		if _, body := (Codec{}).EncodeError(&tt.e); string(body) != tt.want {
			t.Errorf("%s, want %s", body, tt.want)
		}
	}
}

func TestModels(t *testing.T) {
	known := llm.ModelInfo{ID: "anthropic/opus", Name: "Opus", OwnedBy: "anthropic", Created: 1763900000, Window: 200000,
		Capability: llm.Capability{Known: true, Has: llm.Tools | llm.Vision | llm.Thinking}}
	unknown := llm.ModelInfo{ID: "local/x"}
	plain := llm.ModelInfo{ID: "plain", Capability: llm.Capability{Known: true}}
	tags := string(Codec{}.AppendModels(nil, []llm.ModelInfo{known, unknown, plain, {ID: "ollama/qwen3:8b"}}))
	for _, tt := range []struct {
		at   []any
		want string
	}{
		{[]any{"models", 0, "name"}, `"anthropic/opus:latest"`},
		{[]any{"models", 0, "model"}, `"anthropic/opus:latest"`},
		{[]any{"models", 3, "name"}, `"ollama/qwen3:8b"`},
		{[]any{"models", 0, "modified_at"}, `"2025-11-23T12:13:20Z"`},
		{[]any{"models", 0, "capabilities"}, `["completion","tools","vision","thinking"]`},
		{[]any{"models", 0, "details", "context_length"}, `200000`},
		{[]any{"models", 1, "capabilities"}, `["completion","tools"]`},
		{[]any{"models", 1, "details", "context_length"}, ``},
		{[]any{"models", 2, "capabilities"}, `["completion"]`},
	} {
		if got := get(t, tags, tt.at...); got != tt.want {
			t.Errorf("%v: %s", tt.at, got)
		}
	}
	if a, b := get(t, tags, "models", 0, "digest"), get(t, tags, "models", 1, "digest"); len(a) != 66 || a == b {
		t.Errorf("digests %s %s", a, b)
	}
	show := string(Codec{}.AppendModel(nil, known))
	arch := strings.Trim(get(t, show, "model_info", "general.architecture"), `"`)
	if get(t, show, "model_info", arch+".context_length") != `200000` || get(t, show, "capabilities") != `["completion","tools","vision","thinking"]` || get(t, show, "details", "family") != `"anthropic"` {
		t.Error(show)
	}
	ps := string(Codec{}.AppendPS(nil, []llm.ModelInfo{known}))
	if get(t, ps, "models", 0, "context_length") != `200000` || get(t, ps, "models", 0, "expires_at") == "" {
		t.Error(ps)
	}
	if got := string(Codec{}.AppendPS(nil, nil)); got != `{"models":[]}` {
		t.Error(got)
	}
	if got := string(Codec{}.AppendVersion(nil)); got != `{"version":"0.40.8"}` {
		t.Error(got)
	}
	for body, want := range map[string]string{`{"model":"a"}`: "a", `{"name":"b"}`: "b", `{"name":"b","model":"a","verbose":true}`: "a", `{}`: "", `x`: "", `{"Model":"a"}`: ""} {
		got, err := Codec{}.DecodeShow([]byte(body))
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", body, got, err)
		}
	}
}

func TestLoad(t *testing.T) {
	for body, want := range map[string][2]bool{
		`{"model":"m","messages":[]}`:                              {true, false},
		`{"model":"m","prompt":"","keep_alive":0}`:                 {true, true},
		`{"model":"m","keep_alive":"0s"}`:                          {true, true},
		`{"model":"m","messages":[{"role":"user","content":"x"}]}`: {false, false},
	} {
		load, unload := Loads(decoded(t, []byte(body)))
		if load != want[0] || unload != want[1] {
			t.Errorf("%s: %v %v", body, load, unload)
		}
	}
	for _, c := range []Codec{{}, {Form: FormGenerate}} {
		out := c.AppendLoaded(nil, "m", 0, true)
		r, err := c.DecodeResponse(out)
		if err != nil || len(r.Items) != 0 || r.Finish.Native != "unload" {
			t.Errorf("%s: %+v, %v", out, r, err)
		}
	}
}

func TestEmbed(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		c      Codec
		body   string
		inputs int
		single bool
	}{
		{Codec{Form: FormEmbed}, `{"model":"m","input":"a"}`, 1, true},
		{Codec{Form: FormEmbed}, `{"model":"m","input":["a"]}`, 1, false},
		{Codec{}, `{"model":"m","input":["a","b"],"truncate":true,"dimensions":256,"options":{"num_ctx":512},"keep_alive":"1m"}`, 2, false},
		{Codec{Form: FormEmbeddings}, `{"model":"m","prompt":"a","options":{"temperature":0}}`, 1, true},
		{Codec{}, `{"model":"m","prompt":"a"}`, 1, true},
	} {
		r, err := tt.c.DecodeEmbed([]byte(tt.body))
		if err != nil || len(r.Inputs) != tt.inputs || r.Single != tt.single || r.Inputs[0].Text != "a" {
			t.Errorf("%s: %+v, %v", tt.body, r, err)
			continue
		}
		if tt.c.Form == "" && tt.inputs == 1 {
			tt.c.Form = FormEmbeddings
		}
		enc, err := tt.c.EncodeEmbed(r, r.Model, &llm.Capability{})
		same(t, []byte(joined(t, enc, err)), []byte(tt.body))
		if len(enc.Losses) > 0 {
			t.Error(enc.Losses)
		}
	}
	for _, body := range []string{`{"model":"m"}`, `{"model":"m","input":[]}`, `{"model":"m","input":[1]}`, `{"model":"m","input":{}}`, `{"input":"a"}`, `{"model":"m","input":"a","truncate":1}`, `{"model":"m","input":"a","dimensions":-1}`} {
		if _, err := (Codec{Form: FormEmbed}).DecodeEmbed([]byte(body)); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
	for _, tt := range []struct {
		c    Codec
		r    llm.EmbedRequest
		want string
	}{
		{Codec{}, llm.EmbedRequest{Inputs: []llm.EmbedInput{{Tokens: jsontext.Value("[1,2]")}}}, "refuse input"},
		{Codec{}, llm.EmbedRequest{Inputs: []llm.EmbedInput{{Text: "a"}}, Task: "RETRIEVAL_QUERY", EndUser: "u", Base64: true}, "warn task_type, warn user"},
		{Codec{Form: FormEmbeddings}, llm.EmbedRequest{Inputs: []llm.EmbedInput{{Text: "a"}, {Text: "b"}}, Dimensions: 4, Truncate: &yes}, "refuse dimensions, refuse input, warn truncate"},
	} {
		enc, err := tt.c.EncodeEmbed(&tt.r, "m", &llm.Capability{})
		joined(t, enc, err)
		if got := kinds(enc.Losses); got != tt.want {
			t.Errorf("%+v: %s", tt.r, got)
		}
	}
}

// Vectors keep their numbers, whichever way they were spelled.
func TestVectors(t *testing.T) {
	numbers := []float32{0.1, -1e-30, 3.4e38, 0, 1, -0.017756894, float32(math.Pi)}
	var raw []byte
	for _, f := range numbers {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
	}
	e := &llm.Embeddings{From: llm.OpenAI, Model: "m", Usage: llm.Usage{Input: 5, Source: llm.UsageProvider},
		Vectors: []llm.Vector{{Base64: base64.StdEncoding.EncodeToString(raw)}, {Floats: jsontext.Value(`[0.10, 1e-3]`)}}}
	r := &llm.EmbedRequest{Model: "m"}
	out := Codec{Form: FormEmbed}.AppendEmbeddings(nil, r, e)
	var v struct {
		Embeddings [][]float32
		Prompt     int64 `json:"prompt_eval_count"`
	}
	if err := json.Unmarshal(out, &v); err != nil || v.Prompt != 5 || len(v.Embeddings) != 2 || len(v.Embeddings[0]) != len(numbers) {
		t.Fatalf("%v %s", err, out)
	}
	for i, f := range numbers {
		if v.Embeddings[0][i] != f {
			t.Errorf("%v became %v", f, v.Embeddings[0][i])
		}
	}
	back, err := Codec{}.DecodeEmbeddings(out)
	if err != nil || len(back.Vectors) != 2 || string(back.Vectors[1].Floats) != `[0.10, 1e-3]` || back.Usage.Input != 5 {
		t.Errorf("%+v, %v", back, err)
	}
	old := Codec{Form: FormEmbeddings}.AppendEmbeddings(nil, r, e)
	back, err = Codec{}.DecodeEmbeddings(old)
	if err != nil || len(back.Vectors) != 1 || back.Usage.Source != "" || !strings.HasPrefix(string(old), `{"embedding":[0.1,`) {
		t.Errorf("%s: %+v, %v", old, back, err)
	}
	g, err := Codec{}.GlanceEmbed(out)
	if err != nil || g.Model != "m" || g.Usage.Input != 5 {
		t.Errorf("%+v, %v", g, err)
	}
	for _, body := range []string{`{}`, `{"error":"x"}`, `{"embeddings":[1]}`, `x`} {
		if _, err := (Codec{}).DecodeEmbeddings([]byte(body)); err == nil {
			t.Errorf("%s is an answer", body)
		}
	}
}
