package app_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// tracesHeard is a collector that keeps the spans it was sent.
type tracesHeard struct {
	*httptest.Server
	mu   sync.Mutex // guards list and raw
	list []*spans.Span
	raw  strings.Builder
}

func newTracesHeard(t *testing.T) *tracesHeard {
	t.Helper()
	c := &tracesHeard{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var m collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &m)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Token") != "secret-of-the-collector" {
			t.Errorf("%s %v: %v", r.URL.Path, r.Header, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, rs := range m.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				c.list = append(c.list, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func attributes(s *spans.Span) map[string]any {
	m := map[string]any{}
	for _, a := range s.Attributes {
		switch v := a.Value; {
		case v.GetArrayValue() != nil:
			m[a.Key] = v.GetArrayValue().Values[0].GetStringValue()
		case v.GetStringValue() != "":
			m[a.Key] = v.GetStringValue()
		case v.GetDoubleValue() != 0:
			m[a.Key] = v.GetDoubleValue()
		default:
			m[a.Key] = v.GetIntValue()
		}
	}
	return m
}

// TestTraces: a caller's trace goes on through the gateway to the provider, and
// the collector has a span of the request and one of each attempt, without a
// word of what was said.
func TestTraces(t *testing.T) {
	t.Parallel()
	var failed sync.Once
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		broken := false
		failed.Do(func() { broken = true })
		w.Header().Set("Content-Type", "application/json")
		if broken {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `{"error":{"message":"no room","type":"server_error"}}`)
			return
		}
		io.WriteString(w, `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-5.5","choices":[{"index":0,"message":{"role":"assistant","content":"the-secret-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"prompt_tokens_details":{"cached_tokens":4}}}`)
	})
	c := newTracesHeard(t)
	h := open(t, u, "log: {level: info, format: json, requests: all}\ntelemetry: {endpoint: "+c.URL+", headers: {X-Token: secret-of-the-collector}, sample: 0}\nretries: {classes: {overloaded: {repeat: 1, backoff: 1ms}}}\n")
	ask := func(traceparent string) {
		q, err := http.NewRequest(http.MethodPost, h.base+"/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-5.5","messages":[{"role":"user","content":"the-secret-question"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+key)
		if traceparent != "" {
			q.Header.Set("Traceparent", traceparent)
			q.Header.Set("Tracestate", "vendor=1")
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if r.Body.Close(); err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%d %s %v", r.StatusCode, body, err)
		}
	}
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	ask("00-" + id + "-00f067aa0ba902b7-01")
	ask("00-11112222333344445555666677778888-00f067aa0ba902b7-00") // not sampled: passed on, not told
	ask("")                                                        // sample: 0
	h.stop()                                                       // sends what is left

	lines := 0
	for line := range strings.Lines(h.log.String()) {
		if !strings.Contains(line, `"msg":"request"`) {
			continue
		}
		lines++
		var one struct {
			Request, Key, Asked, Provider, Trace string
			Status, Attempts                     int
			Cost                                 float64 `json:"cost_usd"`
		}
		if err := json.Unmarshal([]byte(line), &one); err != nil || !strings.HasPrefix(one.Request, "req_") || one.Status != 200 || one.Provider != "openai" ||
			len(one.Trace) != 32 || one.Cost <= 0 || strings.Contains(line, "the-secret") {
			t.Errorf("a line of the log: %v %s", err, line)
		}
	}
	if lines != 3 {
		t.Errorf("%d lines about requests in the log, want 3", lines)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) != 3 {
		t.Fatalf("%d spans, want one of the request and two of attempts: %v", len(c.list), c.list)
	}
	var server *spans.Span
	var attempts []*spans.Span
	for _, s := range c.list {
		if hex.EncodeToString(s.TraceId) != id {
			t.Errorf("a span of another trace: %v", s)
		}
		if s.Kind == spans.Span_SPAN_KIND_SERVER {
			server = s
		} else {
			attempts = append(attempts, s)
		}
	}
	if server == nil || hex.EncodeToString(server.ParentSpanId) != "00f067aa0ba902b7" || server.Name != "chat openai/gpt-5.5" {
		t.Fatalf("the request's span: %v", server)
	}
	a := attributes(server)
	for name, want := range map[string]any{"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": int64(11), "gen_ai.usage.output_tokens": int64(7),
		"gen_ai.usage.cache_read.input_tokens": int64(4), "http.response.status_code": int64(200), "headrace.attempts": int64(2), "headrace.dialect": "openai"} {
		if a[name] != want {
			t.Errorf("%s = %v, want %v (%v)", name, a[name], want, a)
		}
	}
	if cost, ok := a["headrace.cost_usd"].(float64); !ok || cost <= 0 {
		t.Errorf("no cost: %v", a)
	}
	took := time.Duration(server.EndTimeUnixNano - server.StartTimeUnixNano)
	if took <= 0 || took > time.Minute {
		t.Errorf("the request took %s", took)
	}
	asked := u.asked()
	if len(asked) != 4 {
		t.Fatalf("%d requests reached the provider", len(asked))
	}
	for i, s := range attempts {
		b := attributes(s)
		if hex.EncodeToString(s.ParentSpanId) != hex.EncodeToString(server.SpanId) || b["gen_ai.provider.name"] != "openai" || b["gen_ai.request.model"] != "gpt-5.5" {
			t.Errorf("attempt %d: %v %v", i, s, b)
		}
		n := b["headrace.attempt"].(int64)
		if got := asked[n-1].header.Get("Traceparent"); got != "00-"+id+"-"+hex.EncodeToString(s.SpanId)+"-01" {
			t.Errorf("attempt %d was sent with %q; its span is %x", n, got, s.SpanId)
		}
		if asked[n-1].header.Get("Tracestate") != "vendor=1" {
			t.Errorf("attempt %d lost the tracestate", n)
		}
		failed := s.Status.Code == spans.Status_STATUS_CODE_ERROR
		if failed != (n == 1) || failed != (b["error.type"] != nil) || failed == (b["gen_ai.response.finish_reasons"] == "stop") {
			t.Errorf("attempt %d: %v %v", n, s.Status, b)
		}
	}
	if got := asked[2].header.Get("Traceparent"); !strings.HasPrefix(got, "00-11112222333344445555666677778888-") || !strings.HasSuffix(got, "-00") {
		t.Errorf("a trace that is not sampled is not passed on: %q", got)
	}
	if asked[3].header.Get("Traceparent") == "" {
		t.Error("a trace that begins here is not passed on")
	}
	for _, word := range []string{"the-secret-question", "the-secret-answer", key, openaiKey, "secret-of-the-collector"} {
		if strings.Contains(c.raw.String(), word) {
			t.Errorf("the collector was told %q", word)
		}
	}
}

// TestNoTraces: without a collector no provider hears of a trace.
func TestNoTraces(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}`)
	})
	h := open(t, u, "")
	q, err := http.NewRequest(http.MethodPost, h.base+"/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-5.5","messages":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+key)
	q.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	for _, s := range u.asked() {
		if s.header.Get("Traceparent") != "" {
			t.Error("a provider was told of a trace")
		}
	}
	if len(u.asked()) == 0 {
		t.Error("nothing was asked")
	}
}
