package app_test

import (
	"io"
	"net/http"
	"testing"
)

// A key that its provider refuses is left for another one, at once and from
// then on.
func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") == "Bearer "+openaiKey+"-bad" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"no such key","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`)
			return
		}
		io.WriteString(w, `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	h := start(t, map[string]string{"OPENAI_API_KEY": openaiKey + "-bad", "OPENAI_API_KEY_2": openaiKey + "-good", "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}, "", nil)
	for range 6 {
		if a := h.call("POST", "/v1/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	bad := 0
	for _, s := range u.asked() {
		if s.header.Get("Authorization") == "Bearer "+openaiKey+"-bad" {
			bad++
		}
	}
	if bad > 1 {
		t.Errorf("the refused key was used %d times", bad)
	}
}
