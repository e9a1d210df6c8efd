package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

const (
	key        = "test-key-0123456789-0123456789-abc"
	adminToken = "test-admin-0123456789-0123456789-x"
	openaiKey  = "sk-canary-openai-0001"
	claudeKey  = "sk-canary-anthropic-0002"
)

// upstream is a provider whose answers a test scripts. It writes down what it
// was asked.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex // guards seen and gone
	seen   []seen
	gone   chan struct{}
	answer func(w http.ResponseWriter, r *http.Request)
}

type seen struct {
	method, path, query string
	header              http.Header
	body                string
}

func newUpstream(t *testing.T, answer func(w http.ResponseWriter, r *http.Request)) *upstream {
	t.Helper()
	u := &upstream{answer: answer, gone: make(chan struct{}, 16)}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/models" && r.Method == http.MethodGet { // discovery
			io.WriteString(w, `{"data":[]}`)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the upstream could not read the body: %v", err)
		}
		u.mu.Lock()
		u.seen = append(u.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), string(body)})
		u.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body)) // for answers that look at it
		u.answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) asked() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]seen(nil), u.seen...)
}

// house is a running gateway.
type house struct {
	t    *testing.T
	base string
	log  *buffer
	stop func()
}

type buffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// open starts a gateway on a free port. Both vendors lead to u when it is not
// nil. yaml is laid over the defaults.
func open(t *testing.T, u *upstream, yaml string) *house {
	t.Helper()
	env := map[string]string{}
	if u != nil {
		env["OPENAI_API_KEY"], env["HEADRACE_OPENAI_BASE_URL"] = openaiKey, u.URL+"/v1"
		env["ANTHROPIC_API_KEY"], env["HEADRACE_ANTHROPIC_BASE_URL"] = claudeKey, u.URL
	}
	return start(t, env, yaml, nil)
}

// own is the id of a provider of the operator's own that speaks one dialect:
// those of the catalogue may speak two.
func own(d llm.Dialect) string { return "own-" + string(d) }

// openFor starts a gateway with one provider, own(d).
func openFor(t *testing.T, upstream string, d llm.Dialect, slow func() bool) *house {
	t.Helper()
	// The records fail as they were recorded, one after another, and nothing is
	// gained by asking again.
	yaml := "retries:\n  failures: 0\n  classes:\n"
	for _, c := range llm.Classes() {
		yaml += "    " + string(c) + ": {repeat: 0}\n"
	}
	yaml += "limits: {learn: false}\n"
	auth := map[llm.Dialect]string{llm.OpenAI: "bearer", llm.Responses: "bearer", llm.Anthropic: "x-api-key", llm.Gemini: "x-goog-api-key", llm.Ollama: "none"}[d]
	yaml += "providers:\n  " + own(d) + ": {dialect: " + string(d) + ", auth: " + auth + ", base_url: " + upstream
	if d != llm.Ollama {
		yaml += ", api_key: " + openaiKey
	}
	yaml += "}\n"
	return start(t, map[string]string{}, yaml, slow)
}

func start(t *testing.T, env map[string]string, yaml string, slow func() bool) *house {
	t.Helper()
	return startIn(t, t.TempDir(), env, yaml, slow)
}

// startIn starts a gateway over a data directory. It ends with the test, or
// with stop.
func startIn(t *testing.T, data string, env map[string]string, yaml string, slow func() bool) *house {
	t.Helper()
	env["HEADRACE_KEY"], env["HEADRACE_ADMIN_TOKEN"] = key, adminToken
	if env["OLLAMA_HOST"] == "" {
		env["OLLAMA_HOST"] = "127.0.0.1:1" // nobody is there
	}
	getenv := func(name string) string { return env[name] }
	if !strings.HasPrefix(yaml, "log:") {
		yaml = "log: {level: debug}\n" + yaml
	}
	cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndata: "+data+"\n"+yaml), getenv)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, log: &buffer{}}
	ready := make(chan app.Info, 1)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Version: "test", Log: h.log, Slow: slow,
			Ready: func(i app.Info) error { ready <- i; return nil }})
	}()
	select {
	case i := <-ready:
		h.base = "http://" + i.Address
	case err := <-done:
		t.Fatalf("serve: %v", err)
	}
	h.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	t.Cleanup(h.stop)
	return h
}

type answer struct {
	status int
	header http.Header
	body   string
}

// call makes a request with the key; header holds "Name: value" lines.
func (h *house) call(method, path, body string, header ...string) answer {
	h.t.Helper()
	req, err := http.NewRequest(method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// row gives the ledger's row of an answer.
func (h *house) row(a answer) map[string]any {
	h.t.Helper()
	id := a.header.Get("X-Headrace-Request-Id")
	got := h.call("GET", "/v1/requests/"+id, "")
	var row map[string]any
	if err := json.Unmarshal([]byte(got.body), &row); err != nil || got.status != 200 {
		h.t.Fatalf("row of %s: %d %s (%v)", id, got.status, got.body, err)
	}
	return row
}

const (
	chatBody = `{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}`
	msgBody  = `{"model":"anthropic/claude-haiku-4-5","max_tokens":64,"messages":[{"role":"user","content":"Hi"}]}`

	chatAnswer = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	msgAnswer  = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`
)

// claudeStream is a streamed answer of the Messages dialect.
const claudeStream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n" +
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n" +
	"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":2}}\n\n" +
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

func write(w http.ResponseWriter, kind, body string) {
	w.Header().Set("Content-Type", kind)
	io.WriteString(w, body)
}

// TestBytesPass: with one dialect on both sides nothing but the model changes,
// and the provider gets its own credential and no header of ours.
func TestBytesPass(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ratelimit-Remaining-Requests", "9")
		w.Header().Set("Set-Cookie", "a=b")
		if r.URL.Path == "/v1/messages" {
			write(w, "application/json", " \n"+msgAnswer+"\n")
			return
		}
		write(w, "application/json; charset=utf-8", chatAnswer)
	})
	h := open(t, u, "")
	odd := "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"\\u00e9 <&> 9007199254740993\"}],\n \"model\"\t: \"openai/gpt-4o-mini\" , \"x_unknown\":{\"b\":1.50,\"a\":[ ]} }"
	a := h.call("POST", "/v1/chat/completions", odd, "X-Headrace-Secret: no", "Cookie: c=d", "User-Agent: sdk/1", "X-Stainless-Lang: python", "Openai-Organization: org-1")
	if a.status != 200 || a.body != chatAnswer || a.header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("answer: %d %q %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	if a.header.Get("X-Ratelimit-Remaining-Requests") != "9" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("answer headers: %v", a.header)
	}
	got := u.asked()[0]
	if want := strings.Replace(odd, "openai/gpt-4o-mini", "gpt-4o-mini", 1); got.body != want {
		t.Errorf("the provider got\n%q, want\n%q", got.body, want)
	}
	if got.header.Get("Authorization") != "Bearer "+openaiKey || got.header.Get("User-Agent") != "sdk/1" || got.header.Get("X-Stainless-Lang") != "python" {
		t.Errorf("the provider got headers %v", got.header)
	}
	for name, values := range got.header {
		if strings.HasPrefix(name, "X-Headrace") || name == "Cookie" || name == "Openai-Organization" || strings.Contains(strings.Join(values, ""), key) {
			t.Errorf("the provider got %s: %v", name, values)
		}
	}
	a = h.call("POST", "/v1/messages?beta=true", msgBody, "Anthropic-Version: 2023-06-01", "Anthropic-Beta: x-1,y-2")
	if a.body != " \n"+msgAnswer+"\n" {
		t.Errorf("answer %q", a.body)
	}
	got = u.asked()[1]
	if got.query != "beta=true" || got.header.Get("X-Api-Key") != claudeKey || got.header.Get("Anthropic-Beta") != "x-1,y-2" || got.header.Get("Authorization") != "" {
		t.Errorf("the provider got %s %v", got.query, got.header)
	}
	if row := h.row(a); row["status"] != 200.0 || row["class"] != "" || row["priced"] != true || row["cost_nanodollars"] != 15000.0 {
		t.Errorf("row: %v", row) // 5 in at $1/M, 2 out at $5/M
	}
}

const chatStream = ": hello\n\ndata: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"obfuscation\":\"xY\"}\n\n" +
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n" +
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":null}]}\n\n" +
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"

const (
	usageChunk = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n"
	doneChunk  = "data: [DONE]\n\n"
)

// TestUsageIsAskedAndTakenOut: the gateway needs the usage of a stream; a
// client that did not ask for it sees the stream as if nobody had.
func TestUsageIsAskedAndTakenOut(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		write(w, "text/event-stream", chatStream+usageChunk+doneChunk)
	})
	h := open(t, u, "")
	for _, c := range []struct{ name, body, want string }{
		{"not asked", `{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, chatStream + doneChunk},
		{"asked", `{"model":"openai/gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`, chatStream + usageChunk + doneChunk},
		{"refused", `{"model":"openai/gpt-4o-mini","stream":true,"stream_options":{"include_usage":false,"x":1},"messages":[{"role":"user","content":"Hi"}]}`, chatStream + doneChunk},
	} {
		a := h.call("POST", "/v1/chat/completions", c.body)
		if a.body != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, a.body, c.want)
		}
		if sent := u.asked()[len(u.asked())-1].body; !strings.Contains(sent, `"include_usage":true`) {
			t.Errorf("%s: the provider was not asked for usage: %s", c.name, sent)
		}
		row := h.row(a)
		if use := row["usage"].(map[string]any); use["input"] != 5.0 || use["output"] != 2.0 || use["source"] != "provider" {
			t.Errorf("%s: usage %v", c.name, use)
		}
	}
}

// TestBadInput: each is a clear error in the caller's dialect, with a row, and
// nothing reaches a provider.
func TestBadInput(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("a provider was asked: %s", r.URL) })
	h := open(t, u, "limits: {body: 64KB}\nroutes: {gone: [mistral/x]}\n")
	deep := `{"model":"openai/m","messages":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`
	for _, c := range []struct {
		name, body, says string
		status           int
		header           []string
	}{
		{"too large", `{"model":"openai/m","messages":"` + strings.Repeat("x", 70<<10) + `"}`, "limit", 413, nil},
		{"too deep", deep, "nesting", 400, nil},
		{"invalid UTF-8", "{\"model\":\"openai/m\",\"messages\":\"\xff\"}", "byte 3", 400, nil},
		{"no JSON", "hello", "byte 0", 400, nil},
		{"cut off", `{"model":"openai/m"`, "", 400, nil},
		{"an array", `[1]`, "object", 400, nil},
		{"empty body", "", "", 400, nil},
		{"wrong type of model", `{"model":5,"messages":[]}`, "model", 400, nil},
		{"empty model", `{"model":"","max_tokens":5,"messages":[]}`, "model", 400, nil},
		{"wrong type of stream", `{"model":"openai/m","max_tokens":5,"stream":"yes","messages":[]}`, "stream", 400, nil},
		{"doubled key", `{"model":"openai/m","max_tokens":5,"model":"openai/n","messages":[]}`, "byte 35", 400, nil},
		{"key that differs in case", `{"model":"openai/m","max_tokens":5,"Model":"openai/n","messages":[]}`, "byte 35", 400, nil},
		{"escaped key that differs in case", `{"model":"openai/m","max_tokens":5,"M\u006fdel":"openai/n","messages":[]}`, "byte 35", 400, nil},
		{"folded key", `{"model":"openai/m","max_tokens":5,"\u017ftream":true,"messages":[]}`, "byte 35", 400, nil},
		{"unknown bare model at an unconfigured vendor's", `{"model":"mistral/mistral-large","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "MISTRAL_API_KEY", 404, nil},
		{"unknown provider", `{"model":"nobody/m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "nobody", 404, nil},
		{"route without a provider", `{"model":"gone","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "route", 404, nil},
		{"unknown encoding", `x`, "content-encoding", 400, []string{"Content-Encoding: br"}},
		{"not gzip", `x`, "gzip", 400, []string{"Content-Encoding: gzip"}},
		{"bad deadline", `{"model":"openai/m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`, "deadline", 400, []string{"X-Headrace-Deadline: soon"}},
	} {
		for _, d := range []struct{ path, id string }{{"/v1/chat/completions", "X-Request-Id"}, {"/v1/messages", "Request-Id"}} {
			a := h.call("POST", d.path, c.body, c.header...)
			message := errorText(t, d.path, a.body)
			if a.status != c.status || !strings.Contains(message, c.says) {
				t.Errorf("%s %s: %d %s; want %d saying %q", d.path, c.name, a.status, a.body, c.status, c.says)
			}
			if a.header.Get(d.id) == "" || a.header.Get("X-Should-Retry") != "false" {
				t.Errorf("%s %s: headers %v", d.path, c.name, a.header)
			}
			if row := h.row(a); row["status"] != float64(c.status) || row["class"] == "" {
				t.Errorf("%s %s: row %v", d.path, c.name, row)
			}
		}
	}
}

// errorText reads an error body as the dialect's SDKs do.
func errorText(t *testing.T, path, body string) string {
	t.Helper()
	var e struct {
		Type  string
		Error map[string]any
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Errorf("%s: error body %q: %v", path, body, err)
		return ""
	}
	keys := []string{"message", "type", "param", "code"}
	if strings.HasPrefix(path, "/v1/messages") {
		keys = keys[:2]
		if e.Type != "error" {
			t.Errorf("%s: the error's type is %q", path, e.Type)
		}
	}
	for _, k := range keys {
		if _, ok := e.Error[k]; !ok {
			t.Errorf("%s: the error has no %q: %s", path, k, body)
		}
	}
	m, _ := e.Error["message"].(string)
	return m
}

// TestBadUpstream: what a provider does wrong is an error in the caller's
// dialect, on both paths, and its credential shows nowhere.
func TestBadUpstream(t *testing.T) {
	t.Parallel()
	var mode string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch mode {
		case "html":
			write(w, "text/html", "<html>"+r.Header.Get("Authorization")+r.Header.Get("X-Api-Key")+"</html>")
		case "html 503":
			w.WriteHeader(503)
			io.WriteString(w, "<html>busy</html>")
		case "auth":
			w.WriteHeader(401)
			io.WriteString(w, `{"error":{"message":"Incorrect API key provided: `+r.Header.Get("Authorization")+r.Header.Get("X-Api-Key")+`","type":"invalid_request_error","code":"invalid_api_key","param":null}}`)
		case "redirect":
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		case "huge line":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: ")
			chunk := bytes.Repeat([]byte("x"), 1<<20)
			for range 30 { // 30 MB against a limit of 2
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		case "empty":
			write(w, "application/json", "")
		case "cut":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "{")
		case "hang up":
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				c.Close()
			}
		}
	})
	h := open(t, u, "limits: {event: 2MB}\nretries: {failures: 0}\n")
	for _, c := range []struct {
		mode   string
		status int
	}{{"html", 502}, {"html 503", 503}, {"auth", 502}, {"redirect", 502}, {"huge line", 502}, {"empty", 502}, {"cut", 502}, {"hang up", 502}} {
		mode = c.mode
		for _, door := range []string{"/v1/chat/completions", "/v1/messages"} {
			for _, model := range []string{"openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"} {
				for _, stream := range []bool{false, true} {
					if c.mode == "huge line" && !stream {
						continue
					}
					body := fmt.Sprintf(`{"model":%q,"max_tokens":64,"stream":%v,"messages":[{"role":"user","content":"Hi"}]}`, model, stream)
					a := h.call("POST", door, body)
					errorText(t, door, a.body)
					want := c.status
					if c.mode == "html 503" && door == "/v1/messages" {
						want = a.status // 529 or 503: both say busy
					}
					if a.status != want && !(c.mode == "hang up" && a.status >= 500) {
						t.Errorf("%s %s %s stream %v: %d %s, want %d", c.mode, door, model, stream, a.status, a.body, c.status)
					}
					if strings.Contains(a.body, "canary") {
						t.Errorf("%s %s: the credential leaks: %s", c.mode, door, a.body)
					}
					if row := h.row(a); row["class"] == "" || strings.Contains(fmt.Sprint(row), "canary") {
						t.Errorf("%s: row %v", c.mode, row)
					}
				}
			}
		}
	}
	if strings.Contains(h.log.String(), "canary") || strings.Contains(h.log.String(), key) {
		t.Errorf("the log holds a credential:\n%s", h.log)
	}
}

// TestClientLeaves: the upstream is closed within 100 ms, before the first
// byte and inside a stream, and the row says client_gone.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	came, gone := make(chan struct{}, 1), make(chan time.Time, 1)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		if strings.Contains(r.Header.Get("User-Agent"), "stream") {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, chatStream[:strings.LastIndex(chatStream, "data: ")])
			http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
		gone <- time.Now()
	})
	h := open(t, u, "")
	for _, mode := range []string{"wait", "stream"} {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		body := `{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`
		req, err := http.NewRequestWithContext(ctx, "POST", h.base+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("User-Agent", mode)
		left := make(chan time.Time, 1)
		if mode == "wait" {
			go func() {
				<-came
				left <- time.Now()
				leave()
			}()
		}
		resp, err := http.DefaultClient.Do(req)
		if mode == "stream" {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			<-came
			left <- time.Now()
			leave()
		}
		if took := (<-gone).Sub(<-left); took > 100*time.Millisecond {
			t.Errorf("%s: the upstream saw it after %v", mode, took)
		}
	}
	waitFor(t, func() bool {
		a := h.call("GET", "/admin/v1/requests", "", "Authorization: Bearer "+adminToken)
		return strings.Count(a.body, `"client_gone"`) == 2 && strings.Contains(a.body, `"estimated"`)
	}, "two rows of class client_gone, one with an estimate")
}

func waitFor(t *testing.T, ok func() bool, what string) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("waited in vain for %s", what)
}

// TestFallback: a route's next target answers when the first fails before its
// first word; a named model is never changed.
func TestFallback(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/messages" {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"+
				"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
			return
		}
		write(w, "text/event-stream", chatStream+usageChunk+doneChunk)
	})
	h := open(t, u, "routes: {smart: [anthropic/claude-haiku-4-5, openai/gpt-4o-mini]}\n")
	body := `{"model":"%s","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`
	a := h.call("POST", "/v1/messages", fmt.Sprintf(body, "smart"))
	if a.status != 200 || strings.Count(a.body, "event: message_start") != 1 || !strings.Contains(a.body, `"text":"Hel"`) || !strings.Contains(a.body, "event: message_stop") {
		t.Errorf("the route answered %d %s", a.status, a.body)
	}
	if a.header.Get("X-Headrace-Model") != "openai/gpt-4o-mini" || a.header.Get("X-Headrace-Attempts") == "1" {
		t.Errorf("headers %v", a.header)
	}
	if row := h.row(a); len(row["attempts"].([]any)) < 2 {
		t.Errorf("row %v", row)
	}
	a = h.call("POST", "/v1/messages", fmt.Sprintf(body, "anthropic/claude-haiku-4-5"))
	if a.status != 529 || !strings.Contains(a.body, "overloaded_error") {
		t.Errorf("the pinned model answered %d %s: the error inside the stream is the real status", a.status, a.body)
	}
}

// TestRawPass: any other path under a vendor's prefix goes there as it is,
// with the key swapped.
func TestRawPass(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "\x00\x01sound")
	})
	h := open(t, u, "")
	a := h.call("POST", "/openai/v1/audio/speech?x=1", "\x00raw", "Content-Type: application/octet-stream")
	got := u.asked()[0]
	if a.status != 202 || a.body != "\x00\x01sound" || a.header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("answer %d %v %q", a.status, a.header, a.body)
	}
	if got.path != "/v1/audio/speech" || got.query != "x=1" || got.body != "\x00raw" || got.header.Get("Authorization") != "Bearer "+openaiKey || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("the provider got %+v", got)
	}
	if row := h.row(a); row["priced"] != false || row["op"] != "raw" {
		t.Errorf("row %v", row)
	}
	a = h.call("GET", "/anthropic/v1/files?limit=2", "", "Anthropic-Version: 2023-06-01")
	if got := u.asked()[1]; got.method != "GET" || got.path != "/v1/files" || got.header.Get("X-Api-Key") != claudeKey {
		t.Errorf("the provider got %+v", got)
	}
	if a.status != 202 {
		t.Errorf("answer %d", a.status)
	}
}

// TestRawFailure: what goes wrong on a raw path is a failure in the row too, is
// done once, and shows no credential.
func TestRawFailure(t *testing.T) {
	t.Parallel()
	status := 0
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if status == 0 {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				c.Close()
			}
			return
		}
		w.Header().Set("X-Request-Id", "up-1")
		w.Header().Set("Location", "http://169.254.169.254/")
		w.WriteHeader(status)
		io.WriteString(w, `{"error":{"message":"no: `+r.Header.Get("Authorization")+`","type":"x","param":null,"code":null}}`)
	})
	h := open(t, u, "")
	for _, c := range []struct{ upstream, client int }{{401, 502}, {429, 429}, {302, 502}, {500, 502}, {0, 502}} {
		status = c.upstream
		before := len(u.asked())
		a := h.call("POST", "/openai/v1/files/a%20b", "{}")
		if a.status != c.client || strings.Contains(a.body, "canary") || a.header.Get("X-Should-Retry") != "false" {
			t.Errorf("%d: %d %v %s, want %d", c.upstream, a.status, a.header, a.body, c.client)
		}
		if n := len(u.asked()) - before; n != 1 {
			t.Errorf("%d: asked %d times", c.upstream, n)
		}
		if got := u.asked()[before].path; got != "/v1/files/a b" {
			t.Errorf("the path is %q", got)
		}
		row := h.row(a)
		attempt := row["attempts"].([]any)[0].(map[string]any)
		if row["class"] == "" || c.upstream >= 400 && attempt["upstream_id"] != "up-1" {
			t.Errorf("%d: row %v", c.upstream, row)
		}
	}
}

// TestRawForbidden: a 403 on a raw path is about the thing that was asked for,
// and goes back as it came; only a 401 is about our credential.
func TestRawForbidden(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"/gemini/v1beta/files/x": `{"error":{"code":403,"message":"You do not have permission to access the File x or it may not exist.","status":"PERMISSION_DENIED"}}`,
		"/anthropic/v1/files/x":  `{"type":"error","error":{"type":"permission_error","message":"not yours"}}`,
		"/openai/v1/images/x":    `{"error":{"message":"not yours","type":"invalid_request_error","param":null,"code":"forbidden"}}`,
	}
	u, yaml := world(t)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		for path, body := range bodies {
			if strings.HasSuffix(path, r.URL.Path) && (r.Header.Get("X-Api-Key") != "") == strings.HasPrefix(path, "/anthropic") {
				io.WriteString(w, body)
			}
		}
	}
	h := open(t, u, strings.Replace(yaml, "  gem:", "  gemini:", 1))
	for path, body := range bodies {
		a := h.call("GET", path, "")
		if a.status != 403 || a.body != body {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		if row := h.row(a); row["class"] != string(llm.Forbidden) {
			t.Errorf("%s: row %v", path, row)
		}
	}
}

// TestErrorAfterContentHidesTheKey: a provider's own error frame passes as it
// is, but for our credential.
func TestErrorAfterContentHidesTheKey(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		write(w, "text/event-stream", chatStream[:strings.LastIndex(chatStream, "data: ")]+"data: {\"error\":{\"message\":\"bad key "+r.Header.Get("Authorization")+"\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n")
	})
	h := open(t, u, "")
	a := h.call("POST", "/v1/chat/completions", `{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`)
	if strings.Contains(a.body, "canary") || !strings.Contains(a.body, `"error":{`) {
		t.Errorf("the client got %s", a.body)
	}
}

// TestNoUsageIsEstimated: an answer without usage is charged for what it holds.
func TestNoUsageIsEstimated(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		write(w, "application/json", strings.Replace(strings.Replace(chatAnswer, `,"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}`, "", 1), "Hello", strings.Repeat("word ", 400), 1))
	})
	h := open(t, u, "")
	for _, door := range []string{"/v1/chat/completions", "/v1/messages"} {
		a := h.call("POST", door, `{"model":"openai/gpt-4o-mini","max_tokens":900,"messages":[{"role":"user","content":"Hi"}]}`)
		use := h.row(a)["usage"].(map[string]any)
		if out := use["output"].(float64); use["source"] != "estimated" || out < 300 || out > 700 {
			t.Errorf("%s: usage %v", door, use)
		}
	}
}

// TestTokenLimitCannotOverflow: a huge max_tokens is a huge reservation.
func TestTokenLimitCannotOverflow(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "limits: {key: {tokens_per_minute: 100}}\n")
	for _, n := range []string{"1000", "9223372036854775807"} {
		a := h.call("POST", "/v1/chat/completions", `{"model":"rehearsal/quick","max_tokens":`+n+`,"messages":[{"role":"user","content":"Hi"}]}`)
		if a.status != 429 || a.header.Get("Retry-After") == "" {
			t.Errorf("max_tokens %s: %d %s", n, a.status, a.body)
		}
	}
}

// TestClientThatDoesNotRead is cut off: it holds neither a request nor memory.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		w.Header().Set("Content-Type", "text/event-stream")
		frame := strings.Replace(chatStream[strings.Index(chatStream, "data: {"):strings.Index(chatStream, "lo\"}")], "Hel", strings.Repeat("x", 4000), 1)
		frame = frame[:strings.Index(frame, "\n\n")+2] + frame[strings.Index(frame, "\n\n")+2:strings.LastIndex(frame, "data: ")]
		for {
			if _, err := io.WriteString(w, frame); err != nil {
				return
			}
		}
	})
	h := open(t, u, "timeouts: {idle: 1s}\n")
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	body := `{"model":"openai/gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`
	fmt.Fprintf(c, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", key, len(body), body)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("the upstream is still written for a client that does not read")
	}
}

// TestKeys: made by the admin API, held to their models, gone within a second
// of their revocation, and no key opens the admin API.
func TestKeys(t *testing.T) {
	t.Parallel()
	h := open(t, nil, "")
	token := "Authorization: Bearer " + adminToken
	a := h.call("POST", "/admin/v1/keys", `{"name":"narrow","models":["rehearsal/quick"]}`, token, "Content-Type: application/json")
	var made struct {
		Token string
		Key   struct{ ID string }
	}
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || a.status != 201 {
		t.Fatalf("create: %d %s", a.status, a.body)
	}
	narrow := "Authorization: Bearer " + made.Token
	ask := func(model string) int {
		return h.call("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"Hi"}]}`, narrow).status
	}
	waitFor(t, func() bool { return ask("rehearsal/quick") == 200 }, "the new key to work")
	if got := ask("rehearsal/steady"); got != 403 {
		t.Errorf("a model outside of the key's list: %d, want 403", got)
	}
	if list := h.call("GET", "/v1/models", "", narrow).body; strings.Contains(list, "steady") || !strings.Contains(list, "quick") {
		t.Errorf("the key is shown %s", list)
	}
	if got := h.call("GET", "/admin/v1/keys", "", narrow).status; got != 401 {
		t.Errorf("a key opened the admin API: %d", got)
	}
	if got := h.call("POST", "/v1/chat/completions", chatBody, token).status; got != 401 {
		t.Errorf("the admin token opened a door: %d", got)
	}
	revoked := time.Now()
	if got := h.call("DELETE", "/admin/v1/keys/"+made.Key.ID, "", token).status; got != 200 {
		t.Fatalf("revoke: %d", got)
	}
	waitFor(t, func() bool { return ask("rehearsal/quick") == 401 }, "the revocation to hold")
	if took := time.Since(revoked); took > time.Second+200*time.Millisecond {
		t.Errorf("the revocation held after %v", took)
	}
}

// TestCountTokens: asked of a provider that counts, estimated for one that
// does not.
func TestCountTokens(t *testing.T) {
	t.Parallel()
	var counts atomic.Bool
	counts.Store(true)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/messages/count_tokens":
			write(w, "application/json", `{"input_tokens":4711}`)
		case r.URL.Path == "/v1/responses/input_tokens" && counts.Load():
			write(w, "application/json", `{"object":"response.input_tokens","input_tokens":815}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	h := open(t, u, "")
	count := func(model string) (int, answer) {
		a := h.call("POST", "/v1/messages/count_tokens", `{"model":"`+model+`","messages":[{"role":"user","content":"How many tokens is this?"}]}`)
		var n struct {
			N int `json:"input_tokens"`
		}
		if err := json.Unmarshal([]byte(a.body), &n); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s %v", model, a.status, a.body, err)
		}
		return n.N, a
	}
	if n, a := count("anthropic/claude-haiku-4-5"); n != 4711 || a.body != `{"input_tokens":4711}` {
		t.Errorf("in the provider's own dialect: %s", a.body)
	}
	if n, a := count("openai/gpt-4o-mini"); n != 815 || a.header.Get("X-Headrace-Warnings") != "" {
		t.Errorf("in another dialect of the provider: %d %v", n, a.header)
	}
	counts.Store(false)
	n, a := count("openai/gpt-4o-mini")
	if n < 5 || n > 30 || !strings.Contains(a.header.Get("X-Headrace-Warnings"), "estimated, openai did not count") {
		t.Errorf("where that fails: %d %v", n, a.header)
	}
	asked := len(u.asked())
	n, a = count("rehearsal/quick")
	if n < 5 || n > 30 || len(u.asked()) != asked {
		t.Errorf("the rehearsal provider: %d %v", n, a.header)
	}
}

// TestFourPairs: both doors against both dialects, whole and streamed.
func TestFourPairs(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {})
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		all := u.asked()
		streamed := strings.Contains(all[len(all)-1].body, `"stream":true`)
		switch {
		case r.URL.Path == "/v1/messages" && streamed:
			write(w, "text/event-stream", claudeStream)
		case r.URL.Path == "/v1/messages":
			write(w, "application/json", msgAnswer)
		case streamed:
			write(w, "text/event-stream", chatStream+usageChunk+doneChunk)
		default:
			write(w, "application/json", chatAnswer)
		}
	}
	h := open(t, u, "")
	for _, door := range []string{"/v1/chat/completions", "/v1/messages"} {
		for _, model := range []string{"openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"} {
			for _, stream := range []bool{false, true} {
				a := h.call("POST", door, fmt.Sprintf(`{"model":%q,"max_tokens":64,"stream":%v,"messages":[{"role":"user","content":"Hi"}]}`, model, stream))
				wants := map[string]string{"/v1/chat/completions": `"finish_reason":"stop"`, "/v1/messages": `"stop_reason":"end_turn"`}
				if a.status != 200 || !strings.Contains(a.body, wants[door]) || !(strings.Contains(a.body, "Hello") || strings.Contains(a.body, "Hel") && strings.Contains(a.body, "lo")) {
					t.Errorf("%s to %s, stream %v: %d %s", door, model, stream, a.status, a.body)
				}
				row := h.row(a)
				if use := row["usage"].(map[string]any); use["input"] != 5.0 || use["output"] != 2.0 || row["priced"] != true {
					t.Errorf("%s to %s, stream %v: row %v", door, model, stream, row)
				}
			}
		}
	}
}

// TestOllamaComesLater: Ollama is found when it starts after the gateway, and
// its models can be asked for; when it stops they are gone.
func TestOllamaComesLater(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	h := start(t, map[string]string{"OLLAMA_HOST": address}, "", nil)
	if list := h.call("GET", "/v1/models", "").body; strings.Contains(list, "ollama/") {
		t.Fatalf("Ollama is there before it started: %s", list)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/version", func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", `{"version":"0.40.0"}`) })
	mux.HandleFunc("GET /api/tags", func(w http.ResponseWriter, r *http.Request) {
		write(w, "application/json", `{"models":[{"name":"qwen3:8b","model":"qwen3:8b","capabilities":["completion","tools"]}]}`)
	})
	mux.HandleFunc("POST /api/chat", func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", lamaAnswer) })
	ollama := &http.Server{Handler: mux}
	go ollama.Serve(l)
	waitFor(t, func() bool { return strings.Contains(h.call("GET", "/v1/models", "").body, `"ollama/qwen3:8b"`) }, "Ollama's model in the list")
	a := h.call("POST", "/v1/messages", `{"model":"ollama/qwen3:8b","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`)
	if a.status != 200 || !strings.Contains(a.body, "Hello") || h.row(a)["priced"] != false {
		t.Errorf("Ollama answered %d %s", a.status, a.body)
	}
	if err := ollama.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return !strings.Contains(h.call("GET", "/v1/models", "").body, "ollama/") }, "Ollama's models to go")
}

// TestOurOwnKeyIsNoProviderKey: a provider key that is one of ours skips that
// provider with a word of advice, in the environment and in the file; serve
// starts.
func TestOurOwnKeyIsNoProviderKey(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{"OPENAI_API_KEY": "hr-oops"}, "providers: {anthropic: {api_key: hr-oops-too}, mistral: {base_url: \"http://127.0.0.1:9/v1\", api_key: k}}\n", nil)
	a := h.call("GET", "/admin/v1/providers", "", "Authorization: Bearer "+adminToken)
	var list struct {
		Providers []struct{ ID, State, Advice string }
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil {
		t.Fatal(err)
	}
	state := map[string]string{}
	for _, p := range list.Providers {
		state[p.ID] = p.State + " " + p.Advice
	}
	for id, want := range map[string]string{"openai": "skipped OPENAI_API_KEY holds a key of Headrace", "anthropic": "skipped its api_key is a key of Headrace", "mistral": "ready", "rehearsal": "ready"} {
		if !strings.HasPrefix(state[id], want) {
			t.Errorf("%s is %q, want %q", id, state[id], want)
		}
	}
	if got := h.call("POST", "/v1/chat/completions", `{"model":"rehearsal/quick","messages":[{"role":"user","content":"Hi"}]}`).status; got != 200 {
		t.Errorf("status %d", got)
	}
}

// TestSecondStartIsSilent: keys are found again and nothing secret is shown.
func TestSecondStartIsSilent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	getenv := func(string) string { return "" }
	run := func() app.Info {
		cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndiscover: false\ndata: "+dir+"\n"), getenv)
		if err != nil {
			t.Fatal(err)
		}
		var info app.Info
		ctx, stop := context.WithCancel(t.Context())
		err = app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Ready: func(i app.Info) error { info = i; stop(); return nil }})
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first, second := run(), run()
	if first.Key == "" || first.AdminToken == "" || !strings.HasPrefix(first.Key.Reveal(), "hr-") {
		t.Error("the first start made no credentials")
	}
	if second.Key != "" || second.AdminToken != "" || len(second.Notes) != 0 {
		t.Errorf("the second start shows %+v", second)
	}
}

// TestClaudeCodeHasAModel: what the start tells Claude Code to ask for is
// answered, with a provider that has Claude and without.
func TestClaudeCodeHasAModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ yaml, want string }{
		{"", "auto"},
		{"providers: {openai: {api_key: sk-x}}\n", "auto"},
		{"providers: {anthropic: {api_key: sk-x}}\n", ""},
	} {
		getenv := func(string) string { return "" }
		cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndiscover: false\ndata: "+t.TempDir()+"\n"+c.yaml), getenv)
		if err != nil {
			t.Fatal(err)
		}
		var info app.Info
		ctx, stop := context.WithCancel(t.Context())
		if err := (app.Program{}).Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Ready: func(i app.Info) error { info = i; stop(); return nil }}); err != nil {
			t.Fatal(err)
		}
		if info.Claude != c.want {
			t.Errorf("%q: Claude Code is told to ask for %q, want %q", c.yaml, info.Claude, c.want)
		}
	}
}

// TestRoutesAstray: a route that leads to a provider which cannot be called is
// mentioned at the start, with what to do.
func TestRoutesAstray(t *testing.T) {
	t.Parallel()
	getenv := func(string) string { return "" }
	cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndiscover: false\nroutes:\n  smart: [mistral/x, rehearsal/steady]\n  good: [rehearsal/quick]\ndata: "+t.TempDir()+"\n"), getenv)
	if err != nil {
		t.Fatal(err)
	}
	var info app.Info
	ctx, stop := context.WithCancel(t.Context())
	err = app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Ready: func(i app.Info) error { info = i; stop(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	want := "route smart passes mistral/x over: provider mistral is not configured; set MISTRAL_API_KEY"
	if len(info.Notes) != 1 || info.Notes[0] != want {
		t.Errorf("the notes are %q, want %q", info.Notes, want)
	}
}

// TestErrorsRead: the table of errors counts as people do.
func TestErrorsRead(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse("test.yaml", nil, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	classes, err := app.Program{}.Errors(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range classes {
		once, often := strings.Contains(e.Does, "again once from"), strings.Contains(e.Does, fmt.Sprintf("again up to %d times from", e.Repeat))
		if once != (e.Repeat == 1) || often != (e.Repeat > 1) {
			t.Errorf("%s, repeated %d times: %s", e.Class, e.Repeat, e.Does)
		}
	}
}

// TestOneServerToADirectory: a second server waits for the first one to end.
func TestOneServerToADirectory(t *testing.T) {
	t.Parallel()
	getenv := func(string) string { return "" }
	cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndiscover: false\ndata: "+t.TempDir()+"\n"), getenv)
	if err != nil {
		t.Fatal(err)
	}
	var ended atomic.Bool
	serve := func(log io.Writer, ready func(app.Info) error) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Log: log, Ready: func(i app.Info) error {
			defer stop()
			return ready(i)
		}})
	}
	waits, second := make(signal, 1), make(chan error, 1)
	err = serve(nil, func(app.Info) error {
		go func() {
			second <- serve(waits, func(app.Info) error {
				if !ended.Load() {
					t.Error("two servers share a directory")
				}
				return nil
			})
		}()
		<-waits
		ended.Store(true)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Errorf("the second server: %v", err)
	}
}

// signal is a log that tells when a server waits for another one.
type signal chan struct{}

func (s signal) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("waiting for it to end")) {
		s <- struct{}{}
	}
	return len(line), nil
}

// TestOutage: a provider that fails is set aside after five attempts and the
// fallback answers at once; the failure of the only target is told at once too.
func TestOutage(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if dead.Load() && strings.HasSuffix(r.URL.Path, "/chat/completions") {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/messages") {
			write(w, "application/json", msgAnswer)
			return
		}
		write(w, "application/json", chatAnswer)
	})
	h := open(t, u, "routes: {smart: [openai/gpt-4o-mini, anthropic/claude-haiku-4-5]}\nretries: {classes: {server_error: {repeat: 0}}}\n")
	dead.Store(true)
	body := strings.Replace(chatBody, "openai/gpt-4o-mini", "smart", 1)
	for i := range 20 {
		if a := h.call("POST", "/v1/chat/completions", body); a.status != 200 {
			t.Fatalf("request %d: %d %s", i, a.status, a.body)
		}
	}
	asked := 0
	for _, s := range u.asked() {
		if strings.HasSuffix(s.path, "/chat/completions") {
			asked++
		}
	}
	if asked < 5 || asked > 6 { // a probe, should this machine be slow
		t.Errorf("the dead provider was asked %d times", asked)
	}
	a := h.call("POST", "/v1/chat/completions", chatBody)
	if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "set aside") {
		t.Errorf("the only target is set aside: %d %v %s", a.status, a.header, a.body)
	}
}

// TestFigures: what the targets did shows in /metrics and in the status.
func TestFigures(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/input_tokens") {
			write(w, "application/json", `{"object":"response.input_tokens","input_tokens":3}`)
			return
		}
		write(w, "application/json", chatAnswer)
	})
	h := open(t, u, "")
	// The first byte of a whole answer is its last, and a count is no answer.
	count := strings.Replace(msgBody, "anthropic/claude-haiku-4-5", "openai/gpt-4o-mini", 1)
	if a := h.call("POST", "/v1/messages/count_tokens", count); a.status != 200 {
		t.Fatal(a.body)
	}
	for range 3 {
		if a := h.call("POST", "/v1/chat/completions", chatBody); a.status != 200 {
			t.Fatal(a.body)
		}
	}
	body := h.call("GET", "/metrics", "").body
	if strings.Contains(body, `phase="first_byte"`) {
		t.Error("whole answers were measured by their first byte")
	}
	for _, want := range []string{
		`headrace_attempts_total{class="ok",model="gpt-4o-mini",provider="openai"} 3`,
		`headrace_latency_seconds{model="gpt-4o-mini",percentile="99",phase="total",provider="openai"}`,
		`headrace_cost_per_success_dollars{model="gpt-4o-mini",provider="openai"} 1.95e-06`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if strings.Contains(body, key) || strings.Contains(body, openaiKey) {
		t.Error("/metrics holds a key")
	}
	streamed := strings.Replace(chatBody, `{"model"`, `{"stream":true,"model"`, 1)
	if a := h.call("POST", "/v1/chat/completions", streamed); a.status != 200 {
		t.Fatal(a.body)
	}
	if !strings.Contains(h.call("GET", "/metrics", "").body, `phase="first_byte"`) {
		t.Error("a streamed answer was not measured by its first byte")
	}
	a := h.call("GET", "/admin/v1/status", "", "Authorization: Bearer "+adminToken)
	if !strings.Contains(a.body, `"model":"gpt-4o-mini","breaker":"closed"`) || !strings.Contains(a.body, `"cost_per_success_nanodollars":1950`) {
		t.Errorf("the status: %s", a.body)
	}
}
