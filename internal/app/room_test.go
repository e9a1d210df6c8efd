package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/internal/admin"
	"headrace/internal/llm"
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
	if bad != 1 {
		t.Errorf("the refused key was used %d times", bad)
	}
	// Whoever runs the gateway sees which, until when and why, but not the key.
	a := h.call("GET", "/admin/v1/status", "", "Authorization: Bearer "+adminToken)
	var st admin.Status
	if err := json.Unmarshal([]byte(a.body), &st); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, c := range st.Credentials {
		if c.Provider == "openai" {
			seen[c.State] = len(c.SetAside)
			for _, o := range c.SetAside {
				if o.Class != llm.Auth || !strings.Contains(o.Message, "no such key") || time.Until(o.Until) > 10*time.Minute {
					t.Errorf("set aside: %+v", o)
				}
			}
		}
	}
	if len(seen) != 2 || seen["set_aside"] != 1 || seen["ready"] != 0 {
		t.Errorf("credentials: %v in %s", seen, a.body)
	}
	figures := h.call("GET", "/metrics", "").body
	if n := strings.Count(figures, "\nheadrace_credential_set_aside{"); n != 2 || strings.Contains(figures+a.body, openaiKey) {
		t.Errorf("%d series of credentials, or a key in sight", n)
	}
	if strings.Count(figures, "\nheadrace_credential_set_aside{credential=\"1\",provider=\"openai\"} 1") != 1 {
		t.Error("the refused credential is not set aside in the figures")
	}
	if !strings.Contains(figures, "\nheadrace_admission_running 0\n") || len(st.Load.Shed) == 0 || st.Load.Most == 0 {
		t.Errorf("load %+v", st.Load)
	}
}
