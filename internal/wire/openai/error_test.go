package openai

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
)

func TestDecodeError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		status     int
		class      llm.Class
		message    string
		code       string
	}{
		{"openai", `{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"context_length_exceeded"}}`, 400, llm.ContextOverflow, "m", "context_length_exceeded"},
		{"quota", `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, 429, llm.QuotaExhausted, "You exceeded your current quota", "insufficient_quota"},
		{"pace", `{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, 429, llm.RateLimited, "Rate limit reached", "rate_limit_exceeded"},
		{"flat", `{"message":"wait","type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"}`, 429, llm.RateLimited, "wait", "request_quota_exceeded"},
		{"ollama", `{"error":"model \"x\" not found"}`, 404, llm.ModelNotFound, `model "x" not found`, ""},
		{"xai", `{"code":"Client specified an invalid argument","error":"Argument not supported"}`, 400, llm.InvalidRequest, "Argument not supported", "Client specified an invalid argument"},
		{"detail", `{"detail":"Invalid API Key"}`, 401, llm.Auth, "Invalid API Key", ""},
		{"detail list", `{"detail":[{"type":"extra_forbidden","loc":["body","x"]}]}`, 422, llm.InvalidRequest, `"[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"x\"]}]"`, ""},
		{"array", `[{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED"}}]`, 429, llm.RateLimited, "Resource exhausted", "429"},
		{"numeric code", `{"error":{"message":"Invalid API key","type":"invalid_api_key","code":401}}`, 401, llm.Auth, "Invalid API key", "401"},
		{"openrouter", `{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"message\":\"maximum context length is 5\"}}","provider_name":"X"}},"user_id":"u"}`, 400, llm.ContextOverflow, "Provider returned error: ", "400"},
		{"openrouter moderation", `{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}}`, 403, llm.ContentRefused, "Your input was flagged", "403"},
		{"azure filter", `{"error":{"code":"content_filter","message":"The response was filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, 400, llm.ContentRefused, "The response was filtered", "content_filter"},
		{"llama.cpp", `{"error":{"code":400,"message":"request (9 tokens) exceeds the available context size (5 tokens)","type":"exceed_context_size_error"}}`, 400, llm.ContextOverflow, "request", "400"},
		{"model we may not use", `{"error":{"code":null,"message":"You are not allowed to sample from this model","param":null,"type":"invalid_request_error"}}`, 403, llm.ModelNotFound, "You are not", ""},
		{"forbidden", `{"error":{"code":"forbidden","message":"Forbidden"}}`, 403, llm.Auth, "Forbidden", "forbidden"},
		{"payment", `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, 402, llm.QuotaExhausted, "Insufficient Balance", "invalid_request_error"},
		{"html", `<html><body>502 Bad Gateway</body></html>`, 502, llm.ServerError, "Bad Gateway", ""},
		{"empty", ``, 503, llm.Overloaded, "Service Unavailable", ""},
		{"gateway timeout", `upstream request timeout`, 504, llm.Timeout, "Gateway Timeout", ""},
		{"overloaded", `{"error":{"message":"x","type":"overloaded_error"}}`, 529, llm.Overloaded, "x", ""},
		{"too large, of tokens", `{"error":{"message":"Request too large: maximum context length is 5 tokens"}}`, 413, llm.ContextOverflow, "Request too large", ""},
		{"a string", `"no"`, 500, llm.ServerError, "no", ""},
		{"an empty string", `""`, 400, llm.InvalidRequest, "Bad Request", ""},
		{"google key", `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`, 400, llm.Auth, "API key not valid", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Codec{}.DecodeError(c.status, nil, []byte(c.body))
			if e.Class != c.class || !strings.HasPrefix(e.Message, c.message) || e.Code != c.code || e.Status != c.status || e.From != llm.OpenAI {
				t.Errorf("%+v", e)
			}
			if string(e.Body) != c.body {
				t.Errorf("body %q", e.Body)
			}
			fourKeys(t, e)
		})
	}
}

func TestErrorUnder200(t *testing.T) {
	t.Parallel()
	for body, class := range map[string]llm.Class{
		`{"error":{"code":502,"message":"Provider returned error"}}`:                  llm.ServerError,
		`{"error":{"code":429,"message":"slow"}}`:                                     llm.RateLimited,
		`{"code":"x","error":"The service is overloaded"}`:                            llm.Overloaded,
		`{"base_resp":{"status_code":1004,"status_msg":"login fail"},"choices":null}`: llm.Auth,
		`{"object":"error","message":"m","type":"BadRequestError","code":400}`:        llm.InvalidRequest,
		`<html>`:                         llm.MalformedUpstream,
		``:                               llm.MalformedUpstream,
		`{"id":"x"}`:                     llm.MalformedUpstream,
		`{"id":"x","choices":[]}`:        llm.MalformedUpstream,
		`[]`:                             llm.MalformedUpstream,
		`{"choices":[{"message":{}}]} x`: llm.MalformedUpstream,
	} {
		_, err := Codec{}.DecodeResponse([]byte(body))
		e, ok := err.(*llm.Error)
		if !ok || e.Class != class {
			t.Errorf("%s: %v, want %s", body, err, class)
		}
		if body == `{"id":"x","choices":[]}` {
			continue // a glance does not look so closely
		}
		if _, err := (Codec{}).Glance([]byte(body)); err == nil {
			t.Errorf("%s: a glance sees no error", body)
		}
	}
	// Keep-alive lines before the JSON are none.
	if _, err := (Codec{}).DecodeResponse([]byte("\n\n   \n{\"error\":null,\"base_resp\":{\"status_code\":0},\"choices\":[{\"message\":{\"content\":\"x\"}}]}")); err != nil {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		h    map[string]string
		want time.Duration
	}{
		{"none", nil, 0},
		{"seconds", map[string]string{"Retry-After": "3"}, 3 * time.Second},
		{"fraction", map[string]string{"Retry-After": " 0.5"}, 500 * time.Millisecond},
		{"ms wins", map[string]string{"Retry-After": "3", "Retry-After-Ms": "250"}, 250 * time.Millisecond},
		{"date", map[string]string{"Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30 * time.Second},
		{"past", map[string]string{"Retry-After": "Mon, 23 Nov 2026 09:00:30 GMT", "Date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 0},
		{"negative", map[string]string{"Retry-After": "-5"}, 0},
		{"nonsense", map[string]string{"Retry-After": "soon"}, 0},
		{"infinite", map[string]string{"Retry-After": "Inf"}, 0},
		{"not a number", map[string]string{"Retry-After": "NaN"}, 0},
	} {
		h := http.Header{}
		for k, v := range c.h {
			h.Set(k, v)
		}
		if got := (Codec{}).DecodeError(429, h, nil).RetryAfter; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	e := Codec{}.DecodeError(429, nil, []byte(`[{"error":{"code":429,"message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"12s"}]}}]`))
	if e.RetryAfter != 12*time.Second {
		t.Errorf("RetryInfo: %v", e.RetryAfter)
	}
}

func TestEncodeError(t *testing.T) {
	t.Parallel()
	want := map[llm.Class]struct {
		status int
		code   any
	}{
		llm.Unauthenticated: {401, "invalid_api_key"}, llm.Forbidden: {403, "forbidden"}, llm.PolicyBlocked: {400, "content_policy_violation"}, llm.NotFound: {404, "not_found"},
		llm.ModelNotFound: {404, "model_not_found"}, llm.TooLarge: {413, "request_too_large"}, llm.RateLimited: {429, "rate_limit_exceeded"},
		llm.QuotaExhausted: {429, "insufficient_quota"}, llm.Overloaded: {503, "overloaded"}, llm.ServerError: {502, "server_error"},
		llm.Timeout: {504, "timeout"}, llm.SlowStart: {504, "timeout"}, llm.SlowStream: {504, "timeout"},
		llm.ContextOverflow: {400, "context_length_exceeded"}, llm.ContentRefused: {400, "content_policy_violation"},
		llm.InvalidRequest: {400, nil}, llm.Unsupported: {400, "unsupported_value"}, llm.Auth: {502, "provider_auth"},
		llm.MalformedUpstream: {502, "malformed_upstream"}, llm.Unavailable: {503, "unavailable"}, llm.ClientGone: {499, "client_gone"},
	}
	for _, class := range llm.Classes() {
		w, ok := want[class]
		if !ok {
			t.Errorf("no row for %s", class)
		}
		status, inner := fourKeys(t, &llm.Error{Class: class, Message: "why"})
		if status != w.status || inner["code"] != w.code {
			t.Errorf("%s: %d %v", class, status, inner)
		}
	}
	// A provider's own body goes back as it is, what it lacks is put in.
	body := `{"error": {"message":"no","type":"t","param":null,"code":null}, "x": 1}`
	if status, b := (Codec{}).EncodeError(&llm.Error{Class: llm.InvalidRequest, Status: 422, From: llm.OpenAI, Body: []byte(body)}); status != 422 || string(b) != body {
		t.Errorf("%d %s", status, b)
	}
	if _, b := (Codec{}).EncodeError(&llm.Error{Class: llm.InvalidRequest, Status: 400, From: llm.OpenAI, Body: []byte(`{"type":"error","error":{"message":"no","failed_generation":"x" },"y":2}`)}); string(b) !=
		`{"type":"error","error":{"message":"no","failed_generation":"x","type":"invalid_request_error","param":null,"code":null},"y":2}` {
		t.Errorf("%s", b)
	}
	// Never what is said about our credential, nor its status.
	status, b := Codec{}.EncodeError(&llm.Error{Class: llm.Auth, Status: 401, From: llm.OpenAI, Provider: "openai", Message: "Incorrect API key provided: sk-secret",
		Body: []byte(`{"error":{"message":"Incorrect API key provided: sk-secret","type":"t","param":null,"code":null}}`)})
	if status != 502 || strings.Contains(string(b), "sk-secret") {
		t.Errorf("%d %s", status, b)
	}
	// Another dialect's body does not.
	if _, b := (Codec{}).EncodeError(&llm.Error{Class: llm.InvalidRequest, Status: 400, From: llm.Anthropic, Message: "m", Body: []byte(`{"type":"error"}`)}); strings.Contains(string(b), `"type":"error"`) {
		t.Errorf("%s", b)
	}
}
