package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"

	"headrace/internal/access"
	"headrace/internal/catalog"
	"headrace/internal/gateway"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/tokens"
)

// house is a gateway among fakes of all that it asks. Each writes down what it
// was asked.
type house struct {
	*gateway.Gateway
	handler http.Handler

	mu sync.Mutex // guards what follows
	// What the fakes answer.
	keysDown, full, noRoom, limited bool
	send                            func(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error)
	// What they were asked.
	rows              []ledger.Entry
	entered, left     int
	taken, given      int64
	priorities        []string
	reserved, settled int
	tokens            int64
	sent              int
}

func newHouse(t *testing.T) *house { return newHouseWith(t, func(*gateway.Options) {}) }

// newHouseWith lets more be set.
func newHouseWith(t *testing.T, set func(*gateway.Options)) *house {
	t.Helper()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{send: whole("hi")}
	policy := &route.Policy{Configured: map[string]bool{"rehearsal": true, "openai": true, "anthropic": true}, Routes: map[string][]string{"smart": {"openai/gpt-5.5"}}}
	o := gateway.Options{Keys: h, Limits: h, Ledger: h, Admission: h, Tokens: &tokens.Learner{}}
	set(&o)
	h.Gateway = gateway.New(o, &gateway.Snapshot{
		Catalog: c, Policy: policy, Relay: relay.New(relay.Options{Sender: h}), MaxBody: 64 << 10,
		Models: []llm.ModelInfo{{ID: "openai/gpt-5.5", OwnedBy: "openai"}},
		Counts: func(string, llm.Dialect) (own, also bool) { return false, false },
	})
	h.handler = h.Handler()
	return h
}

const key = "hr-key"

func (h *house) Check(token string, _ time.Time) (access.Principal, error) {
	switch {
	case h.keysDown:
		return access.Principal{}, errors.New("the disk is gone")
	case token == key:
		return access.Principal{KeyID: "key_1", Name: "one", Team: "red"}, nil
	case token == "hr-narrow":
		return access.Principal{KeyID: "key_2", Models: []string{"anthropic/*"}}, nil
	}
	return access.Principal{}, llm.Errorf(llm.Unauthenticated, "no such key")
}

func (h *house) Reserve(_ *access.Principal, _ *route.Plan, n int64, _ time.Time) (func(int64), *llm.Error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.limited {
		return nil, llm.Errorf(llm.RateLimited, "this key has used its tokens")
	}
	h.reserved++
	return func(n int64) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.settled++
		h.tokens += n
	}, nil
}

func (h *house) NeedsTokens(*access.Principal) bool { return true }

func (h *house) Enter(_ context.Context, _ access.Principal, priority string) *llm.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full {
		return llm.Errorf(llm.Overloaded, "too much to do")
	}
	h.entered++
	h.priorities = append(h.priorities, priority)
	return nil
}

func (h *house) Leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left++
}

func (h *house) Take(n int64) *llm.Error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.noRoom {
		return llm.Errorf(llm.Overloaded, "no room for the body")
	}
	h.taken += n
	return nil
}

func (h *house) Give(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.given += n
}

func (h *house) Note(e ledger.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows = append(h.rows, e)
}

func (h *house) Say(ledger.Feedback) {}

func (h *house) NewID(now time.Time) ledger.ID { return ledger.ID(now.UnixNano() / 1e6 << 16) }

func (h *house) Request(context.Context, ledger.ID) (ledger.Entry, bool, error) {
	return ledger.Entry{}, false, nil
}

func (h *house) Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error) {
	h.mu.Lock()
	h.sent++
	h.mu.Unlock()
	return h.send(ctx, t, d)
}

// whole is a provider that answers in the client's dialect, for 7 tokens.
func whole(body string) func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
	return func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
		a := &llm.Answer{Native: true, Status: 200, ContentType: "application/json", Body: []byte(body)}
		a.Glance.Usage = llm.Usage{Input: 3, Output: 4, Source: llm.UsageProvider}
		return a, nil
	}
}

// words is a stream of raw words in the client's dialect.
type words struct {
	list []string
	end  error // in place of the finish
}

func (w *words) Next() (llm.Piece, error) {
	if len(w.list) == 0 {
		return llm.Piece{}, w.end
	}
	p := llm.Piece{Raw: []byte(w.list[0]), TextBytes: len(w.list[0]), Events: []llm.Event{{Kind: llm.EventDelta}}}
	if w.list = w.list[1:]; len(w.list) == 0 && w.end == io.EOF {
		p.Events = append(p.Events, llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{Input: 3, Output: 4, Source: llm.UsageProvider}}, llm.Event{Kind: llm.EventFinish})
	}
	return p, nil
}
func (w *words) Buffered() bool { return false }
func (w *words) Close() error   { return nil }

// ask sends a request with the key, unless a header says another.
func (h *house) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	return h.askBody(method, path, strings.NewReader(body), header...)
}

func (h *house) askBody(method, path string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, body)
	req.Header.Set("X-Api-Key", key)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, req)
	return w
}

// settles checks what must hold whatever became of a request: one row, and
// everything that was taken given back once.
func (h *house) settles(t *testing.T) ledger.Entry {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.entered != h.left || h.taken != h.given || h.reserved != h.settled || h.Running() != 0 {
		t.Errorf("entered %d and left %d, took %d bytes and gave %d, reserved %d and settled %d, %d running",
			h.entered, h.left, h.taken, h.given, h.reserved, h.settled, h.Running())
	}
	if len(h.rows) != 1 {
		t.Fatalf("%d rows, want 1", len(h.rows))
	}
	return h.rows[0]
}

// doors has a chat of each dialect.
var doors = []struct {
	dialect    llm.Dialect
	path, body string
}{
	{llm.OpenAI, "/v1/chat/completions", `{"model":"openai/gpt-5.5","messages":[]}`},
	{llm.Responses, "/v1/responses", `{"model":"openai/gpt-5.5","input":"hi"}`},
	{llm.Anthropic, "/v1/messages", `{"model":"openai/gpt-5.5","max_tokens":9,"messages":[]}`},
	{llm.Gemini, "/v1beta/models/openai/gpt-5.5:generateContent", `{"contents":[]}`},
	{llm.Ollama, "/api/chat", `{"model":"openai/gpt-5.5","stream":false,"messages":[{"role":"user","content":"hi"}]}`},
}

// told gives the message of an error in the form of a dialect.
func told(t *testing.T, d llm.Dialect, status int, body []byte) string {
	t.Helper()
	var v struct {
		Type      string `json:"type"`
		RequestID string `json:"request_id"`
		Error     any    `json:"error"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%s: %v in %s", d, err, body)
	}
	if d == llm.Ollama {
		text, _ := v.Error.(string)
		return text
	}
	e, _ := v.Error.(map[string]any)
	text, _ := e["message"].(string)
	switch d {
	case llm.Anthropic:
		if v.Type != "error" || v.RequestID == "" || e["type"] == "" {
			t.Errorf("not an error of %s: %s", d, body)
		}
	case llm.Gemini:
		if e["code"] != float64(status) || e["status"] == "" {
			t.Errorf("not an error of %s: %s", d, body)
		}
	default:
		if _, ok := e["param"]; !ok || e["type"] == "" {
			t.Errorf("not an error of %s: %s", d, body)
		}
	}
	return text
}

// TestRefusals: whatever a request is refused for, its client is told in its own
// dialect, there is one row, and nothing stays taken.
func TestRefusals(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		house   func(h *house)
		header  string
		body    string // in place of the door's; "big" is one over the limit
		status  int
		class   llm.Class
		says    string
		entered bool
	}{
		{name: "no key", header: "X-Api-Key: ", status: 401, class: llm.Unauthenticated, says: "no API key"},
		{name: "a wrong key", header: "X-Api-Key: other", status: 401, class: llm.Unauthenticated, says: "no such key"},
		{name: "keys that cannot be read", house: func(h *house) { h.keysDown = true }, status: 503, class: llm.Unavailable, says: "keys cannot be checked"},
		{name: "a deadline of no form", header: "X-Headrace-Deadline: soon", status: 400, class: llm.InvalidRequest, says: "x-headrace-deadline"},
		{name: "a house that is full", house: func(h *house) { h.full = true }, class: llm.Overloaded, says: "too much to do"},
		{name: "no room for the body", house: func(h *house) { h.noRoom = true }, class: llm.Overloaded, says: "no room", entered: true},
		{name: "a body over the limit", body: "big", status: 413, class: llm.TooLarge, says: "limit of 65536 bytes", entered: true},
		{name: "a coding that is not taken", header: "Content-Encoding: br", status: 400, class: llm.InvalidRequest, says: "content-encoding", entered: true},
		{name: "a body that is not gzip", header: "Content-Encoding: gzip", status: 400, class: llm.InvalidRequest, says: "gzip", entered: true},
		{name: "a body that is not zstd", header: "Content-Encoding: zstd", status: 400, class: llm.InvalidRequest, says: "damaged", entered: true},
		{name: "a body that is not JSON", body: "{", status: 400, class: llm.InvalidRequest, entered: true},
		{name: "a model that the key may not use", header: "X-Api-Key: hr-narrow", status: 403, class: llm.Forbidden, says: "may not use", entered: true},
		{name: "a limit", house: func(h *house) { h.limited = true }, status: 429, class: llm.RateLimited, says: "used its tokens", entered: true},
		{name: "tokens that run out upstream", house: func(h *house) {
			h.send = func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
				return nil, &llm.Error{Class: llm.QuotaExhausted, Status: 429, Provider: "openai", Message: "spent"}
			}
		}, class: llm.QuotaExhausted, says: "spent", entered: true},
	}
	for _, c := range cases {
		for _, d := range doors {
			t.Run(c.name+"/"+string(d.dialect), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				if c.house != nil {
					c.house(h)
				}
				body := d.body
				if c.body == "big" {
					body = `{"x":"` + strings.Repeat("x", 64<<10) + `"}`
				} else if c.body != "" {
					body = c.body
				}
				w := h.ask("POST", d.path, body, c.header)
				row := h.settles(t)
				if c.status != 0 && w.Code != c.status || w.Code < 400 {
					t.Errorf("status %d, want %d", w.Code, c.status)
				}
				if text := told(t, d.dialect, w.Code, w.Body.Bytes()); text == "" || !strings.Contains(text, c.says) {
					t.Errorf("the client was told %q, want %q", text, c.says)
				}
				if row.Class != c.class || row.Status != w.Code || row.Dialect != d.dialect || row.Op != llm.OpChat {
					t.Errorf("the row is of class %q, status %d, %s %s; want %q, %d", row.Class, row.Status, row.Dialect, row.Op, c.class, w.Code)
				}
				if id := w.Header().Get("X-Headrace-Request-Id"); id != row.ID.String() {
					t.Errorf("request id %q, the row's is %s", id, row.ID)
				}
				if (h.entered > 0) != c.entered {
					t.Errorf("let in: %v, want %v", h.entered > 0, c.entered)
				}
				if c.class == llm.RateLimited && w.Header().Get("Retry-After") != "1" {
					t.Errorf("retry-after %q", w.Header().Get("Retry-After"))
				}
			})
		}
	}
}

// TestRefusedModel: a name that leads nowhere, and embeddings of a model that
// has none.
func TestRefusedModel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, body, says string
		status           int
		class            llm.Class
	}{
		{"/v1/chat/completions", `{"model":"mistral/x","messages":[]}`, "MISTRAL_API_KEY", 404, llm.ModelNotFound},
		{"/v1/embeddings", `{"model":"openai/gpt-5.5","input":"hi"}`, "makes no embeddings", 404, llm.ModelNotFound},
		{"/v1/embeddings", `{"model":"smart","input":"hi"}`, "makes no embeddings", 404, llm.ModelNotFound},
		{"/api/embed", `{"model":"openai/gpt-5.5","input":"hi"}`, "makes no embeddings", 404, llm.ModelNotFound},
		{"/v1beta/models/:generateContent", `{"contents":[]}`, "names no model", 400, llm.InvalidRequest},
		{"/gemini/v1beta/models/:streamGenerateContent?alt=sse", `{"contents":[]}`, "names no model", 400, llm.InvalidRequest},
		{"/gemini/v1beta/whatever", ``, "gemini", 404, llm.NotFound},
	} {
		h := newHouse(t)
		w := h.ask("POST", c.path, c.body)
		if row := h.settles(t); w.Code != c.status || row.Class != c.class || !strings.Contains(w.Body.String(), c.says) || h.sent != 0 {
			t.Errorf("%s: %d %s, class %q, %d sent", c.path, w.Code, w.Body, row.Class, h.sent)
		}
	}
}

// TestWaysOut: a request that was sent settles once with what it took, on every
// way out.
func TestWaysOut(t *testing.T) {
	t.Parallel()
	stream := func(w words) func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
		return func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
			return &llm.Answer{Native: true, Status: 200, ContentType: "text/event-stream", Stream: &w}, nil
		}
	}
	const chat = `{"model":"openai/gpt-5.5","messages":[{"role":"user","content":"hi"}]}`
	const streamed = `{"model":"openai/gpt-5.5","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	cases := []struct {
		name   string
		path   string
		body   string
		send   func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error)
		status int
		class  llm.Class
		tokens int64 // -1: an estimate
		panics any
	}{
		{name: "a whole answer", body: chat, send: whole("hi"), status: 200, tokens: 7},
		{name: "a stream", body: streamed, send: stream(words{[]string{"a", "b"}, io.EOF}), status: 200, tokens: 7},
		{name: "a stream that is cut", body: streamed, send: stream(words{[]string{"a", "b"}, io.ErrUnexpectedEOF}), status: 200, class: llm.ServerError, tokens: -1},
		{name: "an error", body: chat, send: func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) {
			return nil, llm.Errorf(llm.ContentRefused, "no")
		}, status: 400, class: llm.ContentRefused},
		{name: "a panic", body: chat, send: func(context.Context, *route.Target, *llm.Draft) (*llm.Answer, error) { panic("a bug") }, class: llm.Unavailable, panics: "a bug"},
		{name: "a raw stream that is cut", path: "/openai/v1/anything", body: "x", send: stream(words{[]string{"a"}, io.ErrUnexpectedEOF}), status: 200, class: llm.ServerError, panics: http.ErrAbortHandler},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.send = c.send
			var panicked any
			var w *httptest.ResponseRecorder
			func() {
				defer func() { panicked = recover() }()
				if c.path == "" {
					c.path = "/v1/chat/completions"
				}
				w = h.ask("POST", c.path, c.body)
			}()
			if panicked != c.panics {
				t.Errorf("it panicked with %v, want %v", panicked, c.panics)
			}
			row := h.settles(t)
			if row.Class != c.class || row.Status != c.status || w != nil && w.Code != c.status {
				t.Errorf("the row is of class %q, status %d; want %q, %d", row.Class, row.Status, c.class, c.status)
			}
			if h.settled != 1 || c.tokens >= 0 && h.tokens != c.tokens || c.tokens < 0 && h.tokens == 0 {
				t.Errorf("settled %d times, %d tokens; want 1, %d", h.settled, h.tokens, c.tokens)
			}
			if c.panics == nil && len(row.Attempts) != 1 {
				t.Errorf("attempts %+v", row.Attempts)
			}
		})
	}
}

// TestClientLeaves: a client that leaves has its row and gives back its place.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, _ *route.Target, _ *llm.Draft) (*llm.Answer, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		req := httptest.NewRequestWithContext(ctx, "POST", "/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-5.5","messages":[]}`))
		req.Header.Set("Authorization", "Bearer "+key)
		h.handler.ServeHTTP(httptest.NewRecorder(), req)
		if row := h.settles(t); row.Class != llm.ClientGone || row.Total != time.Second {
			t.Errorf("class %q after %v", row.Class, row.Total)
		}
	})
}

// TestDeadline: x-headrace-deadline bounds the request, as a span or a time.
func TestDeadline(t *testing.T) {
	for _, form := range []func() string{
		func() string { return "2s" },
		func() string { return time.Now().Add(2 * time.Second).Format(time.RFC3339) },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			h.send = func(ctx context.Context, _ *route.Target, _ *llm.Draft) (*llm.Answer, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			w := h.ask("POST", "/v1/messages", `{"model":"openai/gpt-5.5","max_tokens":9,"messages":[]}`, "X-Headrace-Deadline: "+form())
			row := h.settles(t)
			if row.Class != llm.Timeout || row.Total != 2*time.Second || w.Code != 504 {
				t.Errorf("class %q after %v, status %d", row.Class, row.Total, w.Code)
			}
			if text := told(t, llm.Anthropic, w.Code, w.Body.Bytes()); !strings.Contains(text, "deadline") {
				t.Errorf("the client was told %q", text)
			}
		})
	}
}

// TestBodies: a compressed body is the same request, and is bounded by what it
// unpacks to; what is read of it is taken from the gate beforehand.
func TestBodies(t *testing.T) {
	t.Parallel()
	pack := map[string]func(w io.Writer) io.WriteCloser{
		"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		"zstd": func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z },
		"":     func(w io.Writer) io.WriteCloser { return plain{w} },
	}
	chat := func(n int) []byte {
		return fmt.Appendf(nil, `{"model":"openai/gpt-5.5","messages":[{"role":"user","content":%q}]}`, strings.Repeat("x", n))
	}
	for coding, packer := range pack {
		for _, c := range []struct {
			name   string
			size   int
			cut    bool
			status int
		}{{"small", 10, false, 200}, {"large", 60 << 10, false, 200}, {"over the limit", 64 << 10, false, 413}, {"a bomb", 8 << 20, false, 413}, {"cut", 60 << 10, true, 400}} {
			t.Run(coding+" "+c.name, func(t *testing.T) {
				t.Parallel()
				var b bytes.Buffer
				z := packer(&b)
				z.Write(chat(c.size))
				z.Close()
				if c.cut && coding != "" {
					b.Truncate(b.Len() / 2)
				}
				h := newHouse(t)
				var got int
				h.send = func(ctx context.Context, rt *route.Target, d *llm.Draft) (*llm.Answer, error) {
					got = len(d.Raw)
					return whole("hi")(ctx, rt, d)
				}
				body := io.Reader(io.MultiReader(&b)) // of unknown length
				if c.cut && coding == "" {
					body = io.MultiReader(&b, broken{})
				}
				w := h.askBody("POST", "/v1/chat/completions", body, "Content-Encoding: "+coding)
				h.settles(t)
				if w.Code != c.status || c.status == 200 && (got != len(chat(c.size)) || h.taken < int64(got)) {
					t.Errorf("status %d %s, %d bytes arrived and %d were taken", w.Code, w.Body, got, h.taken)
				}
				if h.taken > 3*64<<10 {
					t.Errorf("%d bytes were unpacked for a limit of %d", h.taken, 64<<10)
				}
			})
		}
	}
	h := newHouse(t)
	if w := h.ask("POST", "/v1/chat/completions", string(chat(10))); w.Code != 200 || h.taken != int64(len(chat(10))) {
		t.Errorf("a body of known length: status %d, %d bytes taken", w.Code, h.taken)
	}
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestMethods: a path that is there says which methods it takes, in the dialect
// of the caller; one that is not is not found.
func TestMethods(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, path, header string
		dialect              llm.Dialect
		status               int
		allow                string
	}{
		{"GET", "/v1/chat/completions", "", llm.OpenAI, 405, "POST"},
		{"GET", "/v1/responses", "", llm.Responses, 405, "POST"},
		{"PUT", "/v1/responses/resp_1", "", llm.Responses, 405, "GET, HEAD, DELETE"},
		{"DELETE", "/v1/messages", "", llm.Anthropic, 405, "POST"},
		{"GET", "/v1/messages/count_tokens", "", llm.Anthropic, 405, "POST"},
		{"GET", "/api/chat", "", llm.Ollama, 405, "POST"},
		{"POST", "/api/tags", "", llm.Ollama, 405, "GET, HEAD"},
		{"POST", "/v1/models", "", llm.OpenAI, 405, "GET, HEAD"},
		{"POST", "/v1/models", "Anthropic-Version: 2023-06-01", llm.Anthropic, 405, "GET, HEAD"},
		{"DELETE", "/v1/models/x", "", llm.OpenAI, 405, "GET, HEAD, POST"},
		{"DELETE", "/v1/models/x", "X-Goog-Api-Key: " + key, llm.Gemini, 404, ""},
		{"POST", "/v1/nothing", "", llm.OpenAI, 404, ""},
		{"POST", "/v1/messages/nothing", "", llm.Anthropic, 404, ""},
		{"GET", "/v1/models", "", "", 200, ""},
		{"GET", "/v1/models/openai/gpt-5.5", "", "", 200, ""},
		{"HEAD", "/v1/models", "", "", 200, ""},
		{"GET", "/livez", "", "", 200, ""},
	} {
		h := newHouse(t)
		w := h.ask(c.method, c.path, "", c.header)
		if w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, allow %q; want %d, %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
			continue
		}
		if c.dialect == "" {
			continue
		}
		row := h.settles(t)
		if text := told(t, c.dialect, w.Code, w.Body.Bytes()); !strings.Contains(text, c.path) || row.Dialect != c.dialect || row.Status != c.status {
			t.Errorf("%s %s: told %q, the row says %s %d", c.method, c.path, text, row.Dialect, row.Status)
		}
	}
}

// TestQuestions: what takes no provider is let in like everything else.
func TestQuestions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if w := h.ask("GET", "/v1/models", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "gpt-5.5") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if row := h.settles(t); h.entered != 1 || h.reserved != 0 || row.Op != llm.OpModels || row.KeyID != "key_1" {
		t.Errorf("let in %d times, %d reserved, row %+v", h.entered, h.reserved, row)
	}
	h = newHouse(t)
	h.full = true
	if w := h.ask("GET", "/v1/models", ""); w.Code < 500 {
		t.Errorf("a full house answers %d", w.Code)
	}
	h.settles(t)
}

// TestCounted: a count for a model whose provider does not count is ours, and
// asks nobody.
func TestCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.ask("POST", "/v1/messages/count_tokens", `{"model":"openai/gpt-5.5","messages":[{"role":"user","content":"hello there"}]}`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "input_tokens") || !strings.Contains(w.Header().Get("X-Headrace-Warnings"), "estimated") {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	if row := h.settles(t); h.sent != 0 || h.reserved != 0 || row.Class != "" {
		t.Errorf("%d sent, %d reserved, class %q", h.sent, h.reserved, row.Class)
	}
}

// TestDraining: while it drains the gateway says so, and serves who comes.
func TestDraining(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if w := h.ask("GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("status %d before", w.Code)
	}
	h.Drain()
	if w := h.ask("GET", "/readyz", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
		t.Errorf("status %d while draining", w.Code)
	}
	if w := h.ask("POST", doors[0].path, doors[0].body); w.Code != 200 {
		t.Errorf("a request while draining: %d", w.Code)
	}
	h.settles(t)
}

// TestJob: a request without a connection takes the same way.
func TestJob(t *testing.T) {
	t.Parallel()
	one := access.Principal{KeyID: "key_1", Team: "red"}
	for _, c := range []struct {
		name   string
		job    gateway.Job
		house  func(h *house)
		status int
		class  llm.Class
		asked  string
	}{
		{name: "a chat", job: gateway.Job{Path: doors[0].path, Body: []byte(doors[0].body)}, status: 200, asked: "openai/gpt-5.5"},
		{name: "a message", job: gateway.Job{Path: doors[2].path, Body: []byte(doors[2].body)}, status: 200, asked: "openai/gpt-5.5"},
		{name: "a model in the path", job: gateway.Job{Path: doors[3].path, Body: []byte(doors[3].body)}, status: 200, asked: "openai/gpt-5.5"},
		{name: "a path that is none", job: gateway.Job{Path: "/v1/messages/none"}, status: 404, class: llm.NotFound},
		{name: "a path without a model", job: gateway.Job{Path: "/v1beta/models/:generateContent"}, status: 404, class: llm.NotFound},
		{name: "no JSON", job: gateway.Job{Path: doors[2].path, Body: []byte("{")}, status: 400, class: llm.InvalidRequest},
		{name: "its context bounds it, not a header", job: gateway.Job{Path: doors[2].path, Body: []byte(doors[2].body), Header: http.Header{"X-Headrace-Deadline": {"soon"}}}, status: 200, asked: "openai/gpt-5.5"},
		{name: "a house that is full", job: gateway.Job{Path: doors[2].path, Body: []byte(doors[2].body)}, house: func(h *house) { h.full = true }, status: 529, class: llm.Overloaded},
		{name: "a limit", job: gateway.Job{Path: doors[2].path, Body: []byte(doors[2].body)}, house: func(h *house) { h.limited = true }, status: 429, class: llm.RateLimited, asked: "openai/gpt-5.5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			if c.house != nil {
				c.house(h)
			}
			c.job.Caller, c.job.Priority = one, "batch"
			w := httptest.NewRecorder()
			row := h.Do(t.Context(), &c.job, struct{ http.ResponseWriter }{w}) // one that cannot flush
			if noted := h.settles(t); row.ID != noted.ID || row.Class != noted.Class || row.Status != noted.Status || row.Total != noted.Total {
				t.Errorf("the row is %+v, the ledger has %+v", row, noted)
			}
			if w.Code != c.status || row.Status != c.status || row.Class != c.class || row.Asked != c.asked || row.KeyID != "key_1" || row.Team != "red" {
				t.Errorf("status %d, the row says %d, class %q, asked %q; want %d, %q, %q", w.Code, row.Status, row.Class, row.Asked, c.status, c.class, c.asked)
			}
			if h.entered == 1 && h.priorities[0] != "batch" {
				t.Errorf("priority %q", h.priorities[0])
			}
			if c.class != "" {
				told(t, row.Dialect, w.Code, w.Body.Bytes())
			} else if w.Body.String() != "hi" || h.tokens != 7 {
				t.Errorf("the answer is %s, for %d tokens", w.Body, h.tokens)
			}
		})
	}
}

// TestJobEnds: a job ends with its context.
func TestJobEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, _ *route.Target, _ *llm.Draft) (*llm.Answer, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		row := h.Do(ctx, &gateway.Job{Path: doors[0].path, Body: []byte(doors[0].body)}, httptest.NewRecorder())
		if h.settles(t); row.Class != llm.Timeout || row.Total != time.Minute {
			t.Errorf("class %q after %v", row.Class, row.Total)
		}
	})
}
