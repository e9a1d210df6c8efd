package provider

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// bulkServer answers by method and path, and keeps what it was sent.
type bulkServer struct {
	t       *testing.T
	answers map[string]string // "GET /path?query" to a body; "!" before it makes it a 429
	sent    map[string][]byte
	kinds   map[string]string
}

func (s *bulkServer) RoundTrip(r *http.Request) (*http.Response, error) {
	at := r.Method + " " + r.URL.RequestURI()
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if int64(len(b)) != r.ContentLength {
			s.t.Errorf("%s: %d bytes, announced as %d", at, len(b), r.ContentLength)
		}
		s.sent[at], s.kinds[at] = b, r.Header.Get("Content-Type")
	}
	body, ok := s.answers[at]
	status := 200
	if !ok {
		s.t.Errorf("unexpected %s", at)
		status = 404
	}
	if rest, limited := strings.CutPrefix(body, "!"); limited {
		status, body = 429, rest
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1}, nil
}

// bulkAt is the batch API of a provider with a row of the catalogue.
func bulkAt(t *testing.T, id string, answers map[string]string) (*Bulk, *bulkServer) {
	t.Helper()
	s := &bulkServer{t: t, answers: answers, sent: map[string][]byte{}, kinds: map[string]string{}}
	d, base := llm.OpenAI, "https://x.test/v1"
	switch id {
	case "anthropic":
		d, base = llm.Anthropic, "https://x.test"
	case "gemini":
		d, base = llm.Gemini, "https://x.test"
	}
	p, err := New(Options{Row: &catalog.Provider{ID: id, Dialect: d, Auth: catalog.NoAuth, BaseURL: base}, Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := p.Bulk(0)
	if !ok {
		t.Fatalf("%s has no batch API", id)
	}
	return b, s
}

const (
	claudeAsks = "{\n \"model\":\"m\",\"max_tokens\":5,\n \"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"}]}"
	gptAsks    = "{\n \"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\n \"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"}]}"
)

func bulkLine(t *testing.T, b *Bulk, d *llm.Draft, id string) llm.BatchLine {
	t.Helper()
	l, err := b.Line("target", &llm.Capability{}, d)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(l.Body, "\n") || bytes.Contains(l.Body, []byte(`"stream`)) {
		t.Errorf("a line of a batch: %s", l.Body)
	}
	l.ID = id
	return l
}

func TestMessageBatches(t *testing.T) {
	const running = `{"id":"b/1","processing_status":"in_progress","created_at":"2026-11-25T01:00:00Z","expires_at":"2026-11-26T01:00:00Z","ended_at":null,"request_counts":{"processing":2,"succeeded":0,"errored":0,"canceled":0,"expired":0}}`
	b, s := bulkAt(t, "anthropic", map[string]string{
		"POST /v1/messages/batches":              running,
		"POST /v1/messages/batches/b%2F1/cancel": strings.Replace(running, "in_progress", "canceling", 1),
		"GET /v1/messages/batches/b%2F1/results": `{"custom_id":"2","result":{"type":"expired"}}
{"custom_id":"3","result":{"type":"errored","error":{"type":"error","request_id":"req_1","error":{"type":"overloaded_error","message":"busy"}}}}
{"custom_id":"1","result":{"type":"succeeded","message":{"id":"msg_1","type":"message","role":"assistant","model":"target","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":3}}}}
`,
		"GET /v1/messages/batches?limit=100":                `{"data":[` + running + `],"has_more":true}`,
		"GET /v1/messages/batches?limit=100&after_id=b%2F1": `{"data":[` + strings.NewReplacer("b/1", "old", "2026-11-25T01", "2026-11-24T01").Replace(running) + `],"has_more":true}`,
	})
	own, other := draft(t, llm.Anthropic, claudeAsks), draft(t, llm.OpenAI, gptAsks)
	st, err := b.Create(t.Context(), "9", []llm.BatchLine{bulkLine(t, b, own, "1"), bulkLine(t, b, other, "2")})
	if err != nil || st.Phase != llm.BatchRunning || st.Total != 2 || st.Expires.Sub(st.Created) != 24*time.Hour {
		t.Fatalf("created: %+v %v", st, err)
	}
	var body struct {
		Requests []struct {
			ID     string `json:"custom_id"`
			Params map[string]any
		}
	}
	if err := json.Unmarshal(s.sent["POST /v1/messages/batches"], &body); err != nil {
		t.Fatal(err)
	}
	if r := body.Requests; len(r) != 2 || r[0].ID != "1" || r[1].ID != "2" || r[0].Params["model"] != "target" || r[1].Params["model"] != "target" {
		t.Errorf("sent %+v", body)
	}
	if st, err = b.Cancel(t.Context(), "b/1"); err != nil || st.Phase != llm.BatchCanceling {
		t.Errorf("canceled: %+v %v", st, err)
	}
	got := map[string]llm.BatchResult{}
	for r, err := range b.Results(t.Context(), "b/1") {
		if err != nil {
			t.Fatal(err)
		}
		got[r.ID] = r
	}
	if got["2"].Outcome != llm.BatchExpired || got["3"].Outcome != llm.BatchErrored || got["3"].Err.Class != llm.Overloaded || got["3"].UpstreamID != "req_1" {
		t.Errorf("results: %+v", got)
	}
	one := got["1"]
	for _, d := range []*llm.Draft{own, other} { // for a client of its own dialect and of another
		ans, bad := b.Answer("target", &llm.Capability{}, d, &one)
		if bad != nil {
			t.Fatal(bad)
		}
		if ans.Native != (d == own) || ans.Stream != nil || ans.Glance.Usage.Input != 7 || ans.Glance.Usage.Output != 3 || ans.Glance.Usage.Tier != "batch" {
			t.Errorf("answer to %s: %+v", d.Dialect, ans)
		}
		if d == other && ans.Response.Items[0].Text() != "hello" {
			t.Errorf("answer in words: %+v", ans.Response)
		}
	}
	n := 0
	for st, err := range b.List(t.Context(), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)) {
		if n++; err != nil || st.ID != "b/1" {
			t.Errorf("listed %+v %v", st, err)
		}
	}
	if n != 1 {
		t.Errorf("%d batches since then, want the one that began after", n)
	}
}

func TestMessageBatchRefuses(t *testing.T) {
	b, _ := bulkAt(t, "anthropic", nil)
	for param, member := range map[string]string{"speed": `"speed":"fast"`, "fallbacks": `"fallbacks":[]`, "thread": `"thread":{}`, "billing_policy": `"billing_policy":"user_profile"`, "max_tokens": `"max_tokens":0`} {
		body := `{"model":"m","messages":[{"role":"user","content":"a"}],` + member + `}`
		if param != "max_tokens" {
			body = strings.TrimSuffix(body, "}") + `,"max_tokens":5}`
		}
		if _, err := b.Line("m", &llm.Capability{}, draft(t, llm.Anthropic, body)); err == nil || err.Param != param || err.Class != llm.Unsupported {
			t.Errorf("%s: %v", param, err)
		}
	}
	d := draft(t, llm.Anthropic, claudeAsks)
	d.Header = http.Header{"Anthropic-Beta": {"x"}}
	if _, err := b.Line("m", &llm.Capability{}, d); err == nil || err.Param != "anthropic-beta" {
		t.Errorf("a beta: %v", err)
	}
}

func TestFileBatches(t *testing.T) {
	const running = `{"id":"b1","status":"in_progress","created_at":1764000000,"expires_at":1764086400,"completed_at":null,"output_file_id":null,"errors":null,"metadata":{"headrace":"9"},"request_counts":{"total":3,"completed":0,"failed":0}}`
	b, s := bulkAt(t, "openai", map[string]string{
		"POST /v1/files":      `{"id":"file-1"}`,
		"POST /v1/batches":    running,
		"GET /v1/batches/b1":  `{"id":"b1","status":"expired","created_at":1764000000,"expired_at":1764086400,"output_file_id":"out","error_file_id":"err","metadata":{"headrace":"9"},"request_counts":{"total":3,"completed":1,"failed":2}}`,
		"GET /v1/batches/bad": `{"id":"bad","status":"failed","failed_at":5,"errors":{"data":[{"code":"x","message":"no such model","line":7}]}}`,
		"GET /v1/files/out/content": `{"custom_id":"1","response":{"status_code":200,"request_id":"r1","body":{"id":"c","object":"chat.completion","model":"target","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}},"error":null}
`,
		"GET /v1/files/err/content": `{"custom_id":"2","response":{"status_code":400,"request_id":"r2","body":{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}},"error":null}
{"custom_id":"3","response":null,"error":{"code":"batch_expired","message":"late"}}`,
		"POST /v1/batches/b1/cancel": `!{"error":{"message":"slow down","type":"rate_limit","code":"rate_limit_exceeded"}}`,
	})
	own, other := draft(t, llm.OpenAI, gptAsks), draft(t, llm.Anthropic, claudeAsks)
	lines := []llm.BatchLine{bulkLine(t, b, own, "1"), bulkLine(t, b, other, "2")}
	if st, err := b.Create(t.Context(), "9", lines); err != nil || st.Phase != llm.BatchRunning || st.Ref != "9" {
		t.Fatalf("created: %+v %v", st, err)
	}
	_, edge, _ := strings.Cut(s.kinds["POST /v1/files"], "boundary=")
	form := &http.Request{Method: "POST", Header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + edge}}, Body: io.NopCloser(bytes.NewReader(s.sent["POST /v1/files"]))}
	file, _, err := form.FormFile("file")
	if err != nil || form.FormValue("purpose") != "batch" {
		t.Fatalf("uploaded: %v, purpose %q", err, form.FormValue("purpose"))
	}
	n := 0
	for sc := bufio.NewScanner(file); sc.Scan(); n++ {
		var l struct {
			ID     string `json:"custom_id"`
			Method string `json:"method"`
			URL    string `json:"url"`
			Body   map[string]any
		}
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil || l.ID != lines[n].ID || l.URL != "/v1/chat/completions" || l.Method != "POST" || l.Body["model"] != "target" {
			t.Errorf("line %d: %+v %v", n, l, err)
		}
	}
	if n != 2 {
		t.Errorf("%d lines uploaded", n)
	}
	if want := `{"completion_window":"24h","endpoint":"/v1/chat/completions","input_file_id":"file-1","metadata":{"headrace":"9"}}`; string(s.sent["POST /v1/batches"]) != want {
		t.Errorf("asked for %s", s.sent["POST /v1/batches"])
	}
	if st, err := b.Get(t.Context(), "b1"); err != nil || st.Phase != llm.BatchEnded || st.Ended.Unix() != 1764086400 {
		t.Errorf("an expired one: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "bad"); err != nil || st.Phase != llm.BatchFailed || st.Why != "line 7: no such model" {
		t.Errorf("a failed one: %+v %v", st, err)
	}
	if _, err := b.Cancel(t.Context(), "b1"); !isClass(err, llm.RateLimited) {
		t.Errorf("a limit: %v", err)
	}
	got := map[string]llm.BatchResult{}
	for r, err := range b.Results(t.Context(), "b1") {
		if err != nil {
			t.Fatal(err)
		}
		got[r.ID] = r
	}
	if got["2"].Outcome != llm.BatchErrored || got["2"].Err.Class != llm.InvalidRequest || got["3"].Outcome != llm.BatchExpired || got["1"].UpstreamID != "r1" {
		t.Errorf("results: %+v", got)
	}
	one := got["1"]
	if ans, bad := b.Answer("target", &llm.Capability{}, other, &one); bad != nil || ans.Response.Items[0].Text() != "hello" || ans.Glance.Usage.Input != 7 {
		t.Errorf("answer: %+v %v", ans, bad)
	}
	lines[1].Path = "/responses"
	if _, err := b.Create(t.Context(), "9", lines); !isClass(err, llm.InvalidRequest) {
		t.Errorf("two endpoints in one batch: %v", err)
	}
	b.api.Terms.Bytes = 10
	if _, err := b.Create(t.Context(), "9", lines[:1]); !isClass(err, llm.TooLarge) {
		t.Errorf("too many bytes: %v", err)
	}
}

func isClass(err error, c llm.Class) bool {
	var e *llm.Error
	return errors.As(err, &e) && e.Class == c
}

// cutBody ends before its last line does.
type cutBody struct{ io.Reader }

func (cutBody) Close() error { return nil }

type cutServer struct{}

func (cutServer) RoundTrip(*http.Request) (*http.Response, error) {
	r := io.MultiReader(strings.NewReader(`{"custom_id":"1","result":{"type":"expired"}}`+"\n"+`{"custom_id":"2","res`), errReader{})
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: cutBody{r}, ContentLength: -1}, nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// What came before a cut is given, and the cut is told.
func TestBulkResultsCut(t *testing.T) {
	b, _ := bulkAt(t, "anthropic", nil)
	b.p.client = cutServer{}
	var ids []string
	var last error
	for r, err := range b.Results(context.Background(), "b") {
		if last = err; err == nil {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) != 1 || !isClass(last, llm.MalformedUpstream) {
		t.Errorf("got %v, then %v", ids, last)
	}
}
