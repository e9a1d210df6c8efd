package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// account is a provider with the Responses API that encrypts its reasoning and
// refuses that of others, as OpenAI does (2026-11). down makes it fail; forgets
// makes it refuse its own.
type account struct {
	*upstream
	name          string
	down, forgets atomic.Bool
}

func newAccount(t *testing.T, name string) *account {
	a := &account{name: name}
	a.upstream = newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body := a.last().body
		foreign := strings.Count(body, `"encrypted_content":"`) - strings.Count(body, `"encrypted_content":"SECRET-`+name)
		switch {
		case a.down.Load():
			http.Error(w, `{"error":{"message":"overloaded"}}`, http.StatusServiceUnavailable)
			return
		case foreign > 0, a.forgets.Load() && strings.Contains(body, "SECRET-"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"message":"The encrypted content gAAA could not be verified. Reason: Encrypted content could not be decrypted or parsed.","type":"invalid_request_error","param":null,"code":"invalid_encrypted_content"}}`)
			return
		case strings.Contains(body, `"id":"rs_`) && !strings.Contains(body, "SECRET-"):
			t.Errorf("a thought without its state: %s", body)
		}
		whole := strings.Replace(native("resp_"+name, "Hello"), `"output":[`, `"output":[`+a.output()+`,`, 1)
		if a.forgets.Load() { // nothing new either
			whole = native("resp_"+name, "Hello")
		}
		if !strings.Contains(body, `"stream":true`) {
			write(w, "application/json", whole)
			return
		}
		event := func(kind, rest string) string {
			return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"," + rest + "}\n\n"
		}
		s := event("response.created", `"response":{"id":"resp_`+name+`","status":"in_progress","output":[]}`)
		for i, item := range []string{a.reasoning(), a.call()} {
			s += event("response.output_item.added", fmt.Sprintf(`"output_index":%d,"item":%s`, i, item)) +
				event("response.output_item.done", fmt.Sprintf(`"output_index":%d,"item":%s`, i, item))
		}
		write(w, "text/event-stream", s+event("response.completed", `"response":`+whole))
	})
	return a
}

func (a *account) reasoning() string {
	return `{"id":"rs_` + a.name + `","type":"reasoning","summary":[],"encrypted_content":"SECRET-` + a.name + `=="}`
}

func (a *account) call() string {
	return `{"id":"fc_` + a.name + `","type":"function_call","status":"completed","call_id":"call_` + a.name + `","name":"f","arguments":"{}"}`
}

func (a *account) output() string { return a.reasoning() + "," + a.call() }

// result is what the client sends behind the output.
func (a *account) result() string {
	return `,{"type":"function_call_output","call_id":"call_` + a.name + `","output":"rain"}`
}

// accounts opens a gateway with two accounts under one route.
func accounts(t *testing.T) (one, two *account, h *house, again func() *house) {
	one, two = newAccount(t, "one"), newAccount(t, "two")
	data := t.TempDir()
	const row = "{dialect: responses, auth: bearer, api_key: k, base_url: "
	yaml := "providers:\n  one: " + row + one.URL + "/v1}\n  two: " + row + two.URL + "/v1}\n" +
		"routes: {smart: [one/gpt-x, two/gpt-x], other: [two/gpt-x, one/gpt-x]}\nretries: {failures: 0, classes: {overloaded: {repeat: 0}}}\n"
	again = func() *house { return startIn(t, data, map[string]string{}, yaml, nil) }
	return one, two, again(), again
}

const f = `,"tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":false}]`

// TestEncryptedContentStaysWithItsAccount: a loop goes on where its state was
// made; where that account fails, the other one is not sent it.
func TestEncryptedContentStaysWithItsAccount(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			one, two, h, again := accounts(t)
			ask := func(model, items string) answer {
				return h.call("POST", "/v1/responses", fmt.Sprintf(`{"model":%q,"store":false,"stream":%v%s,"input":[{"role":"user","content":"Hi"}%s]}`, model, stream, f, items))
			}
			one.down.Store(true)
			if a := ask("smart", ""); a.status != 200 || !strings.Contains(a.body, "SECRET-two") {
				t.Fatalf("%d %s", a.status, a.body)
			}
			one.down.Store(false)
			loop := "," + two.output() + two.result()
			// The route's first is there again, the loop is elsewhere.
			n := len(one.asked())
			if a := ask("smart", loop); a.status != 200 || len(one.asked()) != n || !strings.Contains(two.last().body, loop) {
				t.Errorf("%d %s; sent on: %s", a.status, a.body, two.last().body)
			}
			// Its account fails: the call goes on without the state, at the first try.
			two.down.Store(true)
			n = len(one.asked())
			if a := ask("smart", loop); a.status != 200 || len(one.asked()) != n+1 || strings.Contains(one.last().body, "SECRET-") || !strings.Contains(one.last().body, "call_two") {
				t.Errorf("%d %s; sent on: %s", a.status, a.body, one.last().body)
			}
			// So when the client names another one.
			if a := ask("one/gpt-x", loop); a.status != 200 || strings.Contains(one.last().body, "SECRET-") {
				t.Errorf("%d %s; sent on: %s", a.status, a.body, one.last().body)
			}
			two.down.Store(false)
			// The client has moved on, and the order of the route counts again.
			if a := ask("smart", loop+`,{"role":"user","content":"And?"}`); a.status != 200 || strings.Contains(one.last().body, "SECRET-") || !strings.Contains(one.last().body, "And?") {
				t.Errorf("%d %s; sent on: %s", a.status, a.body, one.last().body)
			}

			// After a restart nobody knows whose it is: it is refused, left out once,
			// and not tried again.
			h.stop()
			h = again()
			n = len(one.asked())
			a := ask("smart", loop)
			if a.status != 200 || len(one.asked()) != n+2 || strings.Contains(one.last().body, "SECRET-") || !strings.Contains(a.header.Get("X-Headrace-Warnings"), "one refused the state") {
				t.Errorf("%d %v %s; sent on: %s", a.status, a.header, a.body, one.last().body)
			}
			if a := ask("smart", loop); a.status != 200 || len(one.asked()) != n+3 || strings.Contains(one.last().body, "SECRET-") {
				t.Errorf("the state is sent again: %d %s", a.status, a.body)
			}
		})
	}
}

// TestToolLoopStaysWithItsMaker: also through a Chat client, which keeps
// nothing: the state comes back, to its maker, and never to the other account.
func TestToolLoopStaysWithItsMaker(t *testing.T) {
	t.Parallel()
	one, two, h, _ := accounts(t)
	ask := func(model, messages string) answer {
		return h.call("POST", "/v1/chat/completions", `{"model":"`+model+`","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":"Hi"}`+messages+`]}`)
	}
	loop := func(a *account) string {
		return `,{"role":"assistant","content":null,"tool_calls":[{"id":"call_` + a.name + `","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_` + a.name + `","content":"rain"}`
	}
	if a := ask("other", ""); a.status != 200 || !strings.Contains(a.body, "call_two") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	n := len(one.asked())
	if a := ask("smart", loop(two)); a.status != 200 || len(one.asked()) != n || !strings.Contains(two.last().body, "SECRET-two") {
		t.Errorf("%d %s; sent on: %s", a.status, a.body, two.last().body)
	}
	if row := h.row(ask("smart", loop(two))); !strings.Contains(fmt.Sprint(row["attempts"]), "it made the state") {
		t.Errorf("the row does not say why: %v", row["attempts"])
	}
	two.down.Store(true)
	if a := ask("smart", loop(two)); a.status != 200 || len(one.asked()) != n+1 || strings.Contains(one.last().body, "SECRET-") || !strings.Contains(one.last().body, "call_two") {
		t.Errorf("%d %s; sent on: %s", a.status, a.body, one.last().body)
	}
	// It is refused by its own maker: left out once, and forgotten.
	two.down.Store(false)
	two.forgets.Store(true)
	n = len(two.asked())
	a := ask("other", loop(two))
	if a.status != 200 || len(two.asked()) != n+2 || strings.Contains(two.last().body, "SECRET-") || !strings.Contains(a.header.Get("X-Headrace-Warnings"), "two refused the state") {
		t.Errorf("%d %v %s; sent on: %s", a.status, a.header, a.body, two.last().body)
	}
	if a := ask("other", loop(two)); a.status != 200 || len(two.asked()) != n+3 {
		t.Errorf("the state is sent again: %d %s", a.status, a.body)
	}
}

// TestGeminiSignatureRefused: a Gemini client's thought signature that Google
// refuses is replaced by the word that stands for none, once.
func TestGeminiSignatureRefused(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", gemAnswer) })
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		switch body := u.last().body; {
		case r.Method != http.MethodPost:
			http.NotFound(w, r)
		case strings.Contains(body, "U0lH"):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"code":400,"message":"Corrupted thought signature.","status":"INVALID_ARGUMENT"}}`)
		default:
			write(w, "application/json", gemAnswer)
		}
	}
	h := start(t, map[string]string{}, "providers: {gem: {dialect: gemini, auth: x-goog-api-key, api_key: "+gemKey+", base_url: "+u.URL+"}}\n", nil)
	a := h.call("POST", "/v1beta/models/gem/g:generateContent", `{"contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"hm","thought":true},{"functionCall":{"name":"f","args":{"x":1}},"thoughtSignature":"U0lH"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"r":1}}}]}]}`)
	posted := u.posted()
	if last := posted[len(posted)-1].body; a.status != 200 || a.body != gemAnswer || len(posted) != 2 || !strings.Contains(last, `"thoughtSignature":"skip_thought_signature_validator"`) || !strings.Contains(last, `"args":{"x":1}`) {
		t.Errorf("%d %s; sent on: %s", a.status, a.body, last)
	}
}

// TestSignatureRefusedIsToldToItsOwnClient: what Anthropic says to a Messages
// client about its thinking goes back as it is: Claude Code mends it itself.
func TestSignatureRefusedIsToldToItsOwnClient(t *testing.T) {
	t.Parallel()
	const refusal = `{"type":"error","error":{"type":"invalid_request_error","message":"messages.1.content.0: Invalid ` + "`signature` in `thinking`" + ` block"},"request_id":"req_1"}`
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, refusal)
	})
	h := open(t, u, "")
	a := h.call("POST", "/v1/messages", `{"model":"anthropic/claude-haiku-4-5","max_tokens":64,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"U0lH"},{"type":"text","text":"y"}]},{"role":"user","content":"z"}]}`)
	if a.status != 400 || a.body != refusal || len(u.asked()) != 1 {
		t.Errorf("%d %s, %d requests", a.status, a.body, len(u.asked()))
	}
}

// TestPreviousAnswerGoneAtItsProvider: the conversation is written out for the
// provider that has forgotten it, or that says it keeps none.
func TestPreviousAnswerGoneAtItsProvider(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	keeps := `"store":true`
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(u.last().body, "previous_response_id") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}`)
			return
		}
		write(w, "application/json", strings.Replace(native("resp_1", "Hello"), `"created_at":1`, `"created_at":1,`+keeps, 1))
	}
	h := start(t, map[string]string{}, "providers: {own: {dialect: responses, auth: bearer, api_key: k, base_url: "+u.URL+"/v1}}\n", nil)
	for i, want := range []int{3, 2} { // a provider that says it keeps nothing is not asked
		before := len(u.asked())
		if a := h.call("POST", "/v1/responses", `{"model":"own/gpt-x","input":"One?"}`); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		a := h.call("POST", "/v1/responses", `{"model":"own/gpt-x","input":"Two?","previous_response_id":"resp_1"}`)
		if got := len(u.asked()) - before; a.status != 200 || got != want || roles(t, u.last().body) != "user One?, assistant Hello, user Two?" {
			t.Errorf("%d: %d %s, %d requests: %s", i, a.status, a.body, got, u.last().body)
		}
		keeps = `"store":false`
	}
}
