package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestOnlyCredential: what a provider said of its only credential a moment ago
// keeps no request away when there is nowhere else to go. What the operator
// said does.
func TestOnlyCredential(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`)
		case 3:
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`)
		case 5:
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`)
		default:
			w.Header().Set("X-Ratelimit-Limit-Requests", "3")
			w.Header().Set("X-Ratelimit-Remaining-Requests", "0")
			w.Header().Set("X-Ratelimit-Reset-Requests", "6m0s")
			write(w, "application/json", chatAnswer)
		}
	})
	h := open(t, u, "retries: {attempts: 1, failures: 0}\nlimits: {learn: true}\n")
	for i, failed := range []bool{true, false, true, false, true, false} {
		if a := h.call("POST", "/v1/chat/completions", chatBody); (a.status != 200) != failed {
			t.Errorf("request %d: %d %s", i, a.status, a.body)
		}
	}
	if got := len(u.posted()); got != 6 {
		t.Errorf("the provider was asked %d times of 6", got)
	}

	own := open(t, u, "providers: {openai: {limits: {requests_per_minute: 2}}}\nlimits: {learn: true}\n")
	for i, status := range []int{200, 200, 429} {
		if a := own.call("POST", "/v1/chat/completions", chatBody); a.status != status || status == 429 && !strings.Contains(a.body, "limits of openai") {
			t.Errorf("with limits of the operator's, request %d: %d %s", i, a.status, a.body)
		}
	}
}
