package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/llm"
)

// soon makes what waits for others to share a batch with wait shortly.
const soon = "batch: {window: 10ms}\n"

// field reads a value of an answer in JSON by its path.
func field(t *testing.T, body string, path ...string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %s", name, body)
		}
		v = m[name]
	}
	return v
}

// textAt is a field that is a text.
func textAt(t *testing.T, body string, path ...string) string {
	t.Helper()
	s, _ := field(t, body, path...).(string)
	return s
}

// until polls a path until one field of its answer is want.
func (h *house) until(path, want string, name ...string) answer {
	h.t.Helper()
	var a answer
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if a = h.call("GET", path, ""); a.status == 200 && textAt(h.t, a.body, name...) == want {
			return a
		}
	}
	h.t.Fatalf("%s is not %s: %d %s\n%s", path, want, a.status, a.body, h.log)
	return a
}

// otherKey makes a second key.
func (h *house) otherKey() string {
	h.t.Helper()
	a := h.call("POST", "/admin/v1/keys", `{"name":"other"}`, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
	token := textAt(h.t, a.body, "token")
	if token == "" {
		h.t.Fatalf("no second key: %d %s", a.status, a.body)
	}
	return token
}

// realTime is an upstream without batches, which says Hello.
func realTime(t *testing.T) (*upstream, string) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", chatAnswer) })
	return u, soon + "providers:\n  " + own(llm.OpenAI) + ": {dialect: openai, auth: bearer, base_url: " + u.URL + "/v1, api_key: " + openaiKey + "}\n"
}

// TestMessageBatch: one batch of two providers, through a restart. The one has
// a batch API and is asked by it, the other one is asked in real time, and both
// answer in the client's dialect, once, with rows of their own.
func TestMessageBatch(t *testing.T) {
	t.Parallel()
	u, yaml := realTime(t)
	data := t.TempDir()
	yaml += "models: {rehearsal/quick: {price: {input: 1000, output: 1000}}}\n"
	h := startIn(t, data, map[string]string{}, yaml, nil)
	made := h.call("POST", "/v1/messages/batches", `{"requests":[
		{"custom_id":"cheap","params":{"model":"rehearsal/quick","max_tokens":50,"messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}},
		{"custom_id":"now","params":{"model":"`+own(llm.OpenAI)+`/gpt-4o-mini","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}},
		{"custom_id":"nobody","params":{"model":"nobody/at-all","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}}]}`)
	id := textAt(t, made.body, "id")
	if made.status != 200 || id == "" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	path := "/v1/messages/batches/" + id
	other := "Authorization: Bearer " + h.otherKey()
	for _, p := range []string{path, path + "/results"} {
		if a := h.call("GET", p, "", other); a.status != 404 {
			t.Errorf("another key sees %s: %d %s", p, a.status, a.body)
		}
	}
	if a := h.call("POST", path+"/cancel", "", other); a.status != 404 {
		t.Errorf("another key cancels: %d %s", a.status, a.body)
	}
	h.stop()
	h = startIn(t, data, map[string]string{}, yaml, nil)
	ended := h.until(path, "ended", "processing_status")
	if got := field(t, ended.body, "request_counts").(map[string]any); got["succeeded"] != 2.0 || got["errored"] != 1.0 {
		t.Errorf("counts %v", got)
	}
	results := h.call("GET", path+"/results", "")
	lines := map[string]string{}
	for line := range strings.Lines(results.body) {
		lines[textAt(t, line, "custom_id")] = line
	}
	for name, want := range map[string][]string{
		"cheap": {`"succeeded"`, `"type":"message"`, "pong"}, "now": {`"succeeded"`, `"type":"message"`, "Hello"}, "nobody": {`"errored"`, "not_found_error"},
	} {
		for _, w := range want {
			if !strings.Contains(strings.ReplaceAll(lines[name], ": ", ":"), w) {
				t.Errorf("%s: no %s in %s", name, w, lines[name])
			}
		}
	}
	if n := len(u.asked()); n != 1 {
		t.Errorf("the provider without batches was asked %d times", n)
	}
	asked := map[string][]string{} // ids of rows by the model that was asked for
	waitFor(t, func() bool {
		clear(asked)
		list := h.call("GET", "/admin/v1/requests?limit=200", "", "Authorization: Bearer "+adminToken)
		for _, v := range field(t, list.body, "requests").([]any) {
			row := v.(map[string]any)
			model, id := row["asked"].(string), row["id"].(string)
			asked[model] = append(asked[model], id)
		}
		return len(asked["rehearsal/quick"]) > 0 && len(asked[own(llm.OpenAI)+"/gpt-4o-mini"]) > 0
	}, "a row of each answer")
	for model, batched := range map[string]bool{"rehearsal/quick": true, own(llm.OpenAI) + "/gpt-4o-mini": false} {
		ids := asked[model]
		row := h.call("GET", "/v1/requests/"+ids[0], "")
		if len(ids) != 1 || row.status != 200 || field(t, row.body, "usage").(map[string]any)["output"].(float64) == 0 ||
			strings.Contains(row.body, "in a batch of the provider's") != batched {
			t.Errorf("%s: %d rows, %s", model, len(ids), row.body)
		}
	}
	// A thousand dollars for a million tokens is a million nanodollars each, and half of it in a batch.
	row := h.call("GET", "/v1/requests/"+asked["rehearsal/quick"][0], "").body
	use := field(t, row, "usage").(map[string]any)
	if cost, full := field(t, row, "cost_nanodollars"), 1e6*(use["input"].(float64)+use["output"].(float64)); cost != full/2 || full == 0 {
		t.Errorf("it cost %v, in real time %v: %s", cost, full, row)
	}
	if a := h.call("DELETE", path, ""); a.status != 200 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := h.call("GET", path, ""); a.status != 404 {
		t.Errorf("after the delete: %d %s", a.status, a.body)
	}
}

// TestRespondAsync: a single request that is not waited for.
func TestRespondAsync(t *testing.T) {
	t.Parallel()
	_, yaml := realTime(t)
	h := start(t, map[string]string{}, yaml, nil)
	for model, want := range map[string]string{own(llm.OpenAI) + "/m": "Hello", "rehearsal/quick": "pong"} {
		a := h.call("POST", "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}`,
			"Prefer: respond-async", "X-Headrace-Deadline: 10h")
		at := a.header.Get("Location")
		if a.status != 202 || !strings.HasPrefix(at, "/v1/jobs/") {
			t.Fatalf("%d %q %s", a.status, at, a.body)
		}
		got := h.until(at, "succeeded", "status")
		if !strings.Contains(got.body, want) || !strings.Contains(got.body, "chat.completion") {
			t.Errorf("%s: %s", model, got.body)
		}
		if a := h.call("GET", at, "", "Authorization: Bearer "+h.otherKey()); a.status != 404 {
			t.Errorf("another key sees the job: %d", a.status)
		}
	}
}

// TestFileBatch: OpenAI's files and batches, for models of two providers.
func TestFileBatch(t *testing.T) {
	t.Parallel()
	_, yaml := realTime(t)
	h := start(t, map[string]string{}, yaml, nil)
	const edge = "edge-of-a-part"
	lines := `{"custom_id":"cheap","method":"POST","url":"/v1/chat/completions","body":{"model":"rehearsal/quick","messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}}
{"custom_id":"now","method":"POST","url":"/v1/chat/completions","body":{"model":"` + own(llm.OpenAI) + `/gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}}
`
	up := h.call("POST", "/v1/files", "--"+edge+"\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--"+edge+
		"\r\nContent-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"+lines+"\r\n--"+edge+"--\r\n",
		"Content-Type: multipart/form-data; boundary="+edge)
	file := textAt(t, up.body, "id")
	if up.status != 200 || file == "" {
		t.Fatalf("%d %s", up.status, up.body)
	}
	if a := h.call("GET", "/v1/files/"+file+"/content", ""); a.body != lines {
		t.Errorf("the file is %q", a.body)
	}
	made := h.call("POST", "/v1/batches", `{"input_file_id":"`+file+`","endpoint":"/v1/chat/completions","completion_window":"24h"}`)
	id := textAt(t, made.body, "id")
	if made.status != 200 || id == "" {
		t.Fatalf("%d %s", made.status, made.body)
	}
	other := "Authorization: Bearer " + h.otherKey()
	for _, p := range []string{"/v1/batches/" + id, "/v1/files/" + file, "/v1/files/" + file + "/content"} {
		if a := h.call("GET", p, "", other); a.status != 404 {
			t.Errorf("another key sees %s: %d %s", p, a.status, a.body)
		}
	}
	ended := h.until("/v1/batches/"+id, "completed", "status")
	out := h.call("GET", "/v1/files/"+textAt(t, ended.body, "output_file_id")+"/content", "")
	got := map[string]string{}
	for line := range strings.Lines(out.body) {
		got[textAt(t, line, "custom_id")] = line
	}
	for name, want := range map[string]string{"cheap": "pong", "now": "Hello"} {
		if !strings.Contains(got[name], want) || !strings.Contains(got[name], "chat.completion") || field(t, got[name], "response", "status_code") != 200.0 {
			t.Errorf("%s: %s", name, got[name])
		}
	}
}

// TestWebhook: who is registered is told of the end of a job, signed with the
// secret that was shown once.
func TestWebhook(t *testing.T) {
	t.Parallel()
	type message struct {
		header http.Header
		body   string
	}
	told := make(chan message, 4)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- message{r.Header, string(body)}
	}))
	defer hook.Close()
	h := start(t, map[string]string{}, soon+"webhooks: {allow: [127.0.0.1]}\n", nil)
	made := h.call("POST", "/v1/webhooks", `{"url":"`+hook.URL+`"}`)
	secret, id := textAt(t, made.body, "secret"), textAt(t, made.body, "id")
	if made.status != 201 || !strings.HasPrefix(secret, "whsec_") {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if list := h.call("GET", "/v1/webhooks", ""); !strings.Contains(list.body, id) || strings.Contains(list.body, "secret") {
		t.Errorf("listed %s", list.body)
	}
	const ask = `{"model":"rehearsal/quick","messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}`
	if a := h.call("POST", "/v1/chat/completions", ask, "Prefer: respond-async", "X-Headrace-Webhook: https://example.com/nobody"); a.status != 400 {
		t.Errorf("nobody is told: %d %s", a.status, a.body)
	}
	other := "Authorization: Bearer " + h.otherKey()
	if a := h.call("POST", "/v1/chat/completions", ask, "Prefer: respond-async", "X-Headrace-Webhook: "+id, other); a.status != 400 {
		t.Errorf("another's is told: %d %s", a.status, a.body)
	}
	job := h.call("POST", "/v1/chat/completions", ask, "Prefer: respond-async", "X-Headrace-Webhook: "+hook.URL)
	if job.status != 202 {
		t.Fatalf("%d %s", job.status, job.body)
	}
	var m message
	select {
	case m = <-told:
	case <-time.After(40 * time.Second):
		t.Fatalf("nobody is told of the end: %s", h.log)
	}
	if textAt(t, m.body, "type") != "job.ended" || textAt(t, m.body, "data", "id") != textAt(t, job.body, "id") || textAt(t, m.body, "data", "status") != "succeeded" {
		t.Errorf("told %s", m.body)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	io.WriteString(mac, m.header.Get("webhook-id")+"."+m.header.Get("webhook-timestamp")+"."+m.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); m.header.Get("webhook-signature") != want {
		t.Errorf("signed %s, want %s", m.header.Get("webhook-signature"), want)
	}
	if a := h.call("DELETE", "/v1/webhooks/"+id, "", other); a.status != 404 {
		t.Errorf("another deletes it: %d", a.status)
	}
	if a := h.call("DELETE", "/v1/webhooks/"+id, ""); a.status != 200 {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
	for _, url := range []string{"https://10.0.0.1/", "https://localhost/", "http://example.com/"} {
		want := 400
		if url == "https://localhost/" { // a name is looked at when it is dialled
			want = 201
		}
		if a := h.call("POST", "/v1/webhooks", `{"url":"`+url+`"}`); a.status != want {
			t.Errorf("%s: %d %s", url, a.status, a.body)
		}
	}
}

// TestBatchBudget: what an item can cost at most in a batch is held before it is
// sent, over a restart too; what the budget cannot pay is not sent, and what
// was held is spent at the price of the batch or given back.
func TestBatchBudget(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	// A thousand dollars for a million tokens of answer, half of it in a batch.
	yaml := soon + "models: {rehearsal/quick: {price: {input: 0, output: 1000, cache_read: 0}}}\n"
	h := startIn(t, data, map[string]string{}, yaml, nil)
	id := h.budget("key", h.myKey(), "total", 2.0)
	const line = `{"custom_id":"%s","model":"rehearsal/quick","max_tokens":3000,"messages":[{"role":"user","content":"[[rehearse: delay=%s]] Just say \"pong\" and stop."}]}` + "\n"
	made := h.call("POST", "/v1/jobs", fmt.Sprintf(line, "a", "600s"), "X-Headrace-Deadline: 20h")
	first := "/v1/jobs/" + textAt(t, made.body, "id")
	if made.status != 202 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	running := func() bool {
		n, _ := field(t, h.call("GET", first, "").body, "counts", "running").(float64)
		return n == 1
	}
	waitFor(t, running, "the item is in a batch")
	if p := h.purse(id); p.Reserved != 1.5e9 {
		t.Errorf("3,000 tokens at half price hold %+v", p)
	}
	// The rest buys 1,000 tokens in a batch, fewer than an answer is cut to.
	made = h.call("POST", "/v1/jobs", fmt.Sprintf(line, "b", "600s"), "X-Headrace-Deadline: 20h")
	second := "/v1/jobs/" + textAt(t, made.body, "id")
	waitFor(t, func() bool {
		list := h.admin("GET", "requests?limit=50", "")
		return strings.Contains(list.body, string(llm.QuotaExhausted))
	}, "the second item is refused for want of money")
	if a := h.call("GET", second, ""); textAt(t, a.body, "status") != "running" && textAt(t, a.body, "status") != "queued" {
		t.Errorf("the second job %s", a.body)
	}
	h.call("POST", second+"/cancel", "")
	h.until(second, "ended", "status")
	h.stop()
	h = startIn(t, data, map[string]string{}, yaml, nil)
	waitFor(t, func() bool { return h.purse(id).Reserved == 1.5e9 }, "it is held again")
	h.call("POST", first+"/cancel", "")
	h.until(first, "ended", "status")
	waitFor(t, func() bool { return h.purse(id).Reserved == 0 }, "what was held is given back")
	if p := h.purse(id); p.Spent != 0 || p.Lost != 0 {
		t.Errorf("nothing was answered: %+v", p)
	}
	made = h.call("POST", "/v1/jobs", fmt.Sprintf(line, "c", "0s"), "X-Headrace-Deadline: 20h")
	got := h.until("/v1/jobs/"+textAt(t, made.body, "id"), "ended", "status")
	spent := int64(field(t, got.body, "spent_nanodollars").(float64))
	waitFor(t, func() bool { p := h.purse(id); return p.Reserved == 0 && p.Spent == spent }, "the answer is spent")
	if full := int64(field(t, got.body, "realtime_nanodollars").(float64)); spent == 0 || full != 2*spent {
		t.Errorf("it cost %d, in real time %d", spent, full)
	}
}

// TestFailedItemRows: an item that ends without a call of its own has a row all
// the same.
func TestFailedItemRows(t *testing.T) {
	t.Parallel()
	h := start(t, map[string]string{}, soon+"models: {rehearsal/quick: {price: {input: 1000, output: 1000}}}\n", nil)
	made := h.call("POST", "/v1/messages/batches", `{"requests":[
		{"custom_id":"nobody","params":{"model":"nobody/at-all","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]}},
		{"custom_id":"bad","params":{"model":"rehearsal/quick","max_tokens":50,"messages":[{"role":"user","content":"[[rehearse: invalid_request]]"}]}}]}`)
	path := "/v1/messages/batches/" + textAt(t, made.body, "id")
	h.until(path, "ended", "processing_status")
	for asked, want := range map[string]string{"nobody/at-all": string(llm.ModelNotFound), "rehearsal/quick": string(llm.InvalidRequest)} {
		var rows []string
		waitFor(t, func() bool {
			rows = nil
			list := h.admin("GET", "requests?limit=50", "")
			for _, v := range field(t, list.body, "requests").([]any) {
				if row := v.(map[string]any); row["asked"] == asked {
					rows = append(rows, fmt.Sprint(row["class"]))
				}
			}
			return len(rows) > 0
		}, "the row of "+asked)
		if len(rows) != 1 || rows[0] != want {
			t.Errorf("%s has the rows %v, want %s", asked, rows, want)
		}
	}
}

// TestBatchAccounts: batches go by all keys of a provider, and each is asked
// for with the key that it was begun with.
func TestBatchAccounts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	owner, lines, posts := map[string]string{}, map[string]string{}, map[string]int{}
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		mine := func(id string) bool {
			if owner[id] == key {
				return true
			}
			t.Errorf("%s %s with the key %s", r.Method, r.URL.Path, key)
			http.Error(w, `{"error":{"message":"no such object","type":"invalid_request_error"}}`, 404)
			return false
		}
		id := fmt.Sprintf("%d", len(owner))
		status := func(id string) {
			write(w, "application/json", `{"id":"`+id+`","object":"batch","status":"completed","created_at":1764000000,"output_file_id":"out`+lines[id]+`"}`)
		}
		switch path := strings.TrimPrefix(r.URL.Path, "/v1"); {
		case r.Method == "POST" && path == "/files":
			file, _, err := r.FormFile("file")
			if err != nil {
				t.Error(err)
				return
			}
			text, _ := io.ReadAll(file)
			owner["f"+id], lines["f"+id] = key, textAt(t, string(text), "custom_id")
			write(w, "application/json", `{"id":"f`+id+`"}`)
		case r.Method == "POST" && path == "/batches":
			body, _ := io.ReadAll(r.Body)
			in := textAt(t, string(body), "input_file_id")
			if mine(in) {
				posts[key]++
				owner["b"+id], lines["b"+id], owner["out"+lines[in]] = key, lines[in], key
				status("b" + id)
			}
		case strings.HasPrefix(path, "/batches/"):
			if id := strings.TrimPrefix(path, "/batches/"); mine(id) {
				status(id)
			}
		case strings.HasSuffix(path, "/content"):
			if id := strings.Split(path, "/")[2]; mine(id) {
				write(w, "application/json", `{"custom_id":"`+strings.TrimPrefix(id, "out")+`","response":{"status_code":200,"body":`+strings.ReplaceAll(chatAnswer, "\n", " ")+`}}`)
			}
		default:
			t.Errorf("%s %s", r.Method, path)
		}
	})
	h := start(t, map[string]string{}, soon+"providers:\n  openai: {base_url: "+u.URL+"/v1, api_keys: [{key: sk-one-one-one}, {key: sk-two-two-two}]}\n", nil)
	for range 4 {
		made := h.call("POST", "/v1/jobs?model=openai/gpt-4o-mini", `{"messages":[{"role":"user","content":"Hi"}]}`, "X-Headrace-Deadline: 20h")
		got := h.until("/v1/jobs/"+textAt(t, made.body, "id"), "ended", "status")
		if n := field(t, got.body, "counts", "succeeded"); n != 1.0 {
			t.Fatalf("%s\n%s", got.body, h.log)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if posts["sk-one-one-one"] != 2 || posts["sk-two-two-two"] != 2 {
		t.Errorf("batches by key: %v", posts)
	}
}
