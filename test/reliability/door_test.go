package reliability_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// TestDoor: what the gateway refuses by itself is refused in each dialect with
// its status and form, streamed or not, costs no attempt and holds nothing; a
// caller who is known has a row of it.
func TestDoor(t *testing.T) {
	s := newStage(t, []*fault{
		{name: "nothing", play: func(p *play) { p.say(p.full()) }},
		{name: "waits", play: func(p *play) {
			p.say(p.begun(1))
			p.silence()
		}},
	})
	yaml := "limits: {body: 4KB}\noverload: {requests: 1, least: 1, queue: 1, wait: 50ms}\nproviders:\n"
	for _, v := range voices {
		base := s.URL + "/NAME"
		if v.dialect == llm.OpenAI || v.dialect == llm.Responses {
			base += wiretest.Base(v.dialect)
		}
		for _, name := range []string{"nothing", "waits"} {
			yaml += fmt.Sprintf("  %s-%s: {dialect: %s, auth: bearer, api_key: %s-x, models: [m], base_url: %s}\n", name, v.dialect, v.dialect, canary, strings.Replace(base, "NAME", name, 1))
		}
	}
	h := open(t, yaml)
	resp, err := h.do(t.Context(), http.DefaultClient, "POST", "/admin/v1/keys", `{"name":"narrow","models":["waits-openai/m"]}`, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	var made struct{ Token string }
	if err != nil || json.Unmarshal(b, &made) != nil || made.Token == "" {
		t.Fatalf("a key: %v %s", err, b)
	}
	narrow := made.Token
	large := strings.Repeat("word ", 2000)
	cells, ids := 0, []string(nil)
	for _, in := range voices {
		for _, out := range voices {
			for _, stream := range []bool{false, true} {
				for _, c := range []struct {
					class llm.Class
					model string
					token string
					text  string
					known bool
				}{
					{llm.Unauthenticated, "nothing-", "no-key-of-this-gateway-0123456789-0123", "", false},
					{llm.Forbidden, "nothing-", narrow, "", true},
					{llm.ModelNotFound, "no-model-", key, "", true},
					{llm.TooLarge, "nothing-", key, large, true},
					{llm.Unsupported, "nothing-", key, "", true},
					{llm.Overloaded, "nothing-", key, "", true},
				} {
					name := fmt.Sprintf("%s to a client of %s who asks for a model of %s, streamed %t", c.class, in.dialect, out.dialect, stream)
					model := c.model + string(out.dialect) + "/m"
					if c.class == llm.ModelNotFound {
						model = c.model + string(out.dialect)
					}
					body := strings.Replace(in.ask(model, stream), "Count NUMBER.", "Count 1."+c.text, 1)
					if c.class == llm.Unsupported {
						if body = twice(in, out, body); body == "" {
							continue
						}
					}
					if c.class == llm.Overloaded { // one request runs, none may wait
						release := h.occupy(t)
						ids = append(ids, h.refused(t, s, in, model, body, c.token, stream, c.class, c.known, name)...)
						release()
					} else {
						ids = append(ids, h.refused(t, s, in, model, body, c.token, stream, c.class, c.known, name)...)
					}
					cells++
				}
			}
		}
	}
	rows := map[string]int{}
	within(t, 5*time.Second, "all rows", func() bool {
		clear(rows)
		for _, r := range h.ledger() {
			rows[r.ID]++
		}
		for _, id := range ids {
			if rows[id] == 0 {
				return false
			}
		}
		return true
	})
	for _, id := range ids {
		if rows[id] != 1 {
			t.Errorf("%d rows of %s", rows[id], id)
		}
	}
	for _, name := range []string{"headrace_requests_running", "headrace_attempts_running"} {
		within(t, 5*time.Second, name+" 0", func() bool { return h.gauge(name) == 0 })
	}
	secretless(t, "the log", h.log.String())
	record(t, "Refusals at the door", "right class and status, no attempt, one row for a known caller", !t.Failed(), "%d cells, %s", cells, exceptions(t))
}

// twice asks for two answers at once, which only some providers can give; empty
// where the dialect cannot ask or the provider can answer.
func twice(in, out *voice, body string) string {
	if out.dialect != llm.Anthropic && out.dialect != llm.Ollama && out.dialect != llm.Responses {
		return ""
	}
	switch in.dialect {
	case llm.OpenAI:
		return strings.Replace(body, `{"model"`, `{"n":2,"model"`, 1)
	case llm.Gemini:
		return strings.Replace(body, `{"contents"`, `{"generationConfig":{"candidateCount":2},"contents"`, 1)
	}
	return ""
}

// occupy begins a stream that stays until it is released.
func (h *house) occupy(t *testing.T) (release func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	v := voices[0]
	for {
		resp, err := h.do(ctx, http.DefaultClient, "POST", v.path("waits-openai/m", true), strings.Replace(v.ask("waits-openai/m", true), "NUMBER", "2", 1))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 { // the one before is not over yet
			resp.Body.Close()
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return func() {
			stop()
			resp.Body.Close()
		}
	}
}

// refused makes a request that the gateway must refuse, and gives its id if it
// is to have a row.
func (h *house) refused(t *testing.T, s *stage, in *voice, model, body, token string, stream bool, class llm.Class, known bool, name string) (id []string) {
	t.Helper()
	before := len(s.of(1))
	resp, err := h.do(t.Context(), http.DefaultClient, "POST", in.path(model, stream), body, "Authorization: Bearer "+token)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != statusOf(in.dialect, class) || resp.Header.Get("Content-Type") != "application/json" || !bytes.Contains(b, []byte(`"error"`)) {
		t.Errorf("%s: %d %v %s", name, resp.StatusCode, err, b)
	}
	if len(s.of(1)) != before {
		t.Errorf("%s: the provider was asked", name)
	}
	secretless(t, name, string(b)+fmt.Sprint(resp.Header))
	if got := resp.Header.Get("X-Headrace-Request-Id"); known && got != "" {
		id = append(id, got)
		var one struct{ Request ledgerRow }
		h.admin("GET", "/admin/v1/requests/"+got, "", &one)
		if llm.Class(one.Request.Class) != class || one.Request.Status != resp.StatusCode {
			t.Errorf("%s: the row says %q and %d", name, one.Request.Class, one.Request.Status)
		}
	} else if known {
		t.Errorf("%s: no request id", name)
	}
	return id
}
