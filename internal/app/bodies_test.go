package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBodies: what the callers that bodies: names say is stored, redacted, cut
// and sealed; of all others nothing is.
func TestBodies(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(body), "ann@example.com") && !strings.Contains(string(body), "nobody") && !strings.Contains(string(body), "long") {
			t.Errorf("the provider is sent something else than the client wrote: %s", body)
		}
		if strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, piece := range []string{"Her address is ann@exa", "mple.com, I said"} {
				io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"`+piece+`"}}]}`+"\n\n")
			}
			io.WriteString(w, `data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"I wrote to ann@example.com"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	data := t.TempDir()
	env := map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}
	h := startIn(t, data, env, "bodies: {keys: [preset], bytes: 2KB}\n", nil)
	ask := func(token, content string, stream bool) (id string) {
		q, err := http.NewRequest(http.MethodPost, h.base+"/v1/chat/completions", strings.NewReader(`{"model":"openai/gpt-5.5","stream":`+map[bool]string{true: "true", false: "false"}[stream]+`,"messages":[{"role":"user","content":"`+content+`"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK || !stream && !strings.Contains(string(body), "ann@example.com") {
			t.Fatalf("%d %s %v", r.StatusCode, body, err)
		}
		return r.Header.Get("X-Headrace-Request-Id")
	}
	type bodies struct {
		Request, Answer json.RawMessage
		LeftOut         []string `json:"left_out"`
		Redacted        int
	}
	read := func(id, token string) (int, bodies) {
		q, err := http.NewRequest(http.MethodGet, h.base+"/admin/v1/requests/"+id+"/bodies", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+token)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var got struct{ Bodies bodies }
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode == http.StatusOK {
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
		}
		return r.StatusCode, got.Bodies
	}
	stored := func(id string) bodies {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if status, b := read(id, adminToken); status == http.StatusOK {
				return b
			} else if time.Now().After(end) {
				t.Fatalf("nothing is stored of %s: %d\n%s", id, status, h.log)
			}
		}
	}
	b := stored(ask(key, "write to ann@example.com", false))
	if s := string(b.Request) + string(b.Answer); strings.Contains(s, "ann@") || !strings.Contains(string(b.Request), "[EMAIL_1]") || !strings.Contains(string(b.Answer), "[EMAIL_1]") || b.Redacted < 2 || len(b.LeftOut) != 0 {
		t.Errorf("%s %s %+v", b.Request, b.Answer, b)
	}
	b = stored(ask(key, "tell me of ann@example.com", true))
	if want := `{"text":"Her address is [EMAIL_1], I said","finish":"stop"}`; string(b.Answer) != want {
		t.Errorf("a streamed answer: %s, want %s", b.Answer, want)
	}
	b = stored(ask(key, "long "+strings.Repeat("word ", 1000), false))
	var text string
	if err := json.Unmarshal(b.Request, &text); err != nil || len(text) != 2048 || len(b.LeftOut) != 1 || b.LeftOut[0] != "request: cut" {
		t.Errorf("a long request: %v, %d bytes, %v", err, len(text), b.LeftOut)
	}

	// Another key, which nobody named.
	q, err := http.NewRequest(http.MethodPost, h.base+"/admin/v1/keys", strings.NewReader(`{"name":"other"}`))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+adminToken)
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Token string }
	if err := json.NewDecoder(r.Body).Decode(&made); err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	id := ask(made.Token, "nobody hears this", false)
	later := ask(key, "write to ann@example.com", false)
	stored(later) // what was said before is written before
	if status, _ := read(id, adminToken); status != http.StatusNotFound {
		t.Errorf("what nobody named is stored: %d", status)
	}
	if status, _ := read(later, made.Token); status != http.StatusUnauthorized {
		t.Errorf("a virtual key reads what was said: %d", status)
	}
	h.stop()
	for _, name := range []string{"headrace.db", "headrace.db-wal", "audit.log"} {
		file, err := os.ReadFile(filepath.Join(data, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if strings.Contains(string(file), "I wrote to") || strings.Contains(string(file), "[EMAIL_1]") {
			t.Errorf("%s holds what was said in clear", name)
		}
		if name == "audit.log" && !strings.Contains(string(file), "bodies.read") {
			t.Error("the audit log does not say that it was read")
		}
	}
}
