package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
)

// results gathers what a batch gives, by id.
func results(t *testing.T, b *Bulk, id string) map[string]llm.BatchResult {
	t.Helper()
	got := map[string]llm.BatchResult{}
	for r, err := range b.Results(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := got[r.ID]; twice {
			t.Errorf("%s came twice", r.ID)
		}
		got[r.ID] = r
	}
	return got
}

// sentAs compares a body that was sent with JSON.
func sentAs(t *testing.T, s *bulkServer, at, want string) {
	t.Helper()
	if got := s.sent[at]; !reflect.DeepEqual(plain(t, got), plain(t, []byte(want))) {
		t.Errorf("%s: sent %s\nwant %s", at, got, want)
	}
}

// uploaded gives the lines of a file that was sent.
func uploaded(t *testing.T, s *bulkServer, at string) []string {
	t.Helper()
	return uploadedFor(t, s, at, "batch")
}

func uploadedFor(t *testing.T, s *bulkServer, at, purpose string) []string {
	t.Helper()
	_, edge, _ := strings.Cut(s.kinds[at], "boundary=")
	form := &http.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + edge}}, Body: newBody([][]byte{s.sent[at]})}
	file, _, err := form.FormFile("file")
	if err != nil || form.FormValue("purpose") != purpose {
		t.Fatalf("uploaded: %v, purpose %q", err, form.FormValue("purpose"))
	}
	defer file.Close()
	var lines []string
	for dec := json.NewDecoder(file); dec.More(); {
		var l json.RawMessage
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(l))
	}
	return lines
}

func TestInlineBatches(t *testing.T) {
	const running = `{"name":"batches/b1","metadata":{"@type":"x","state":"BATCH_STATE_RUNNING","displayName":"9","createTime":"2026-11-25T01:00:00.5Z","batchStats":{"requestCount":"4","pendingRequestCount":"4"}}}`
	const answers = `{"inlinedResponses":[
 {"metadata":{"custom_id":"2"},"error":{"code":8,"message":"too many"}},
 {"metadata":{"custom_id":"1"},"response":{"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":3,"totalTokenCount":10}}},
 {"metadata":{"custom_id":"3"},"error":{"code":3,"message":"bad"}},
 {"metadata":{"custom_id":"4"},"error":{"code":1,"message":"gone"}}]}`
	list := func(name, token string) string {
		return `{"operations":[` + strings.NewReplacer("b1", name, "25T01", "24T01").Replace(running) + `,` + strings.Replace(running, "b1", name+"new", 1) + `],"nextPageToken":"` + token + `"}`
	}
	b, s := bulkAt(t, "gemini", map[string]string{
		"POST /v1beta/models/target:batchGenerateContent":  running,
		"GET /v1beta/batches/b1":                           `{"name":"batches/b1","metadata":{"state":"BATCH_STATE_SUCCEEDED","createTime":"2026-11-25T01:00:00Z","endTime":"2026-11-25T02:00:00Z","output":{"inlinedResponses":` + answers + `},"batchStats":{"requestCount":"4","successfulRequestCount":"1","failedRequestCount":"3"}},"done":true,"response":{"@type":"y","inlinedResponses":` + answers + `}}`,
		"GET /v1beta/batches/run":                          strings.Replace(running, "b1", "run", 1),
		"GET /v1beta/batches/bad":                          `{"name":"batches/bad","metadata":{"state":"JOB_STATE_FAILED","createTime":"2026-11-25T01:00:00Z"},"error":{"code":3,"message":"no such model"}}`,
		"GET /v1beta/batches/odd":                          `{"name":"batches/odd","metadata":{"state":"BATCH_STATE_DANCING"}}`,
		"POST /v1beta/batches/run:cancel":                  `{}`,
		"GET /v1beta/batches?pageSize=100":                 list("p1", "t/2"),
		"GET /v1beta/batches?pageSize=100&pageToken=t%2F2": list("p2", ""),
	})
	d := draft(t, llm.Anthropic, claudeAsks)
	if st, err := b.Create(t.Context(), "9", []llm.BatchLine{bulkLine(t, b, d, "1"), bulkLine(t, b, draft(t, llm.OpenAI, gptAsks), "2")}); err != nil || st.ID != "b1" || st.Phase != llm.BatchRunning || st.Ref != "9" || st.Total != 4 {
		t.Errorf("created: %+v %v", st, err)
	}
	sentAs(t, s, "POST /v1beta/models/target:batchGenerateContent", `{"batch":{"displayName":"9","inputConfig":{"requests":{"requests":[
		{"metadata":{"custom_id":"1"},"request":{"store":false,"contents":[{"role":"user","parts":[{"text":"a\nb"}]}],"generationConfig":{"maxOutputTokens":5}}},
		{"metadata":{"custom_id":"2"},"request":{"store":false,"contents":[{"role":"user","parts":[{"text":"a\nb"}]}]}}]}}}}`)
	if st, err := b.Get(t.Context(), "b1"); err != nil || st.Phase != llm.BatchEnded || st.Succeeded != 1 || st.Errored != 3 || st.Ended.Hour() != 2 {
		t.Errorf("ended: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "bad"); err != nil || st.Phase != llm.BatchFailed || st.Why != "no such model" {
		t.Errorf("failed: %+v %v", st, err)
	}
	if _, err := b.Get(t.Context(), "odd"); !isClass(err, llm.MalformedUpstream) {
		t.Errorf("an unknown state: %v", err)
	}
	if st, err := b.Cancel(t.Context(), "run"); err != nil || st.Phase != llm.BatchCanceling {
		t.Errorf("canceled: %+v %v", st, err)
	}
	if got := results(t, b, "run"); len(got) != 0 {
		t.Errorf("results of one that runs: %+v", got)
	}
	got := results(t, b, "b1")
	if len(got) != 4 || got["2"].Err.Class != llm.RateLimited || got["3"].Err.Class != llm.InvalidRequest || got["4"].Outcome != llm.BatchCanceled {
		t.Errorf("results: %+v", got)
	}
	one := got["1"]
	if ans, bad := b.Answer("target", &llm.Capability{}, d, &one); bad != nil || ans.Response.Items[0].Text() != "hello" || ans.Glance.Usage.Input != 7 {
		t.Errorf("answer: %+v %v", ans, bad)
	}
	// Old ones stand between the new ones there.
	var ids []string
	for st, err := range b.List(t.Context(), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
	}
	if fmt.Sprint(ids) != "[p1new p2new]" {
		t.Errorf("listed %v", ids)
	}
}

// An answer over the bound is refused without being read whole.
func TestInlineAnswerTooLarge(t *testing.T) {
	b, _ := bulkAt(t, "gemini", map[string]string{
		"GET /v1beta/batches/b": `{"response":{"inlinedResponses":{"inlinedResponses":[{"metadata":{"custom_id":"1"},"error":{"code":3,"message":"x"}},{"response":"` + strings.Repeat("x", 100_000) + `"}]}}}`,
	})
	b.p.maxAnswer = 10_000
	n, last := 0, error(nil)
	for _, err := range b.Results(t.Context(), "b") {
		if last = err; err == nil {
			n++
		}
	}
	if n != 1 || !isClass(last, llm.MalformedUpstream) {
		t.Errorf("%d results, then %v", n, last)
	}
}

func TestJobBatches(t *testing.T) {
	const running = `{"id":"j1","object":"batch","status":"RUNNING","created_at":1764000000,"input_files":["f1"],"metadata":{"headrace":"9"},"total_requests":2,"succeeded_requests":0,"failed_requests":0,"errors":[],"output_file":null,"error_file":null}`
	b, s := bulkAt(t, "mistral", map[string]string{
		"POST /v1/files":                          `{"id":"f1"}`,
		"POST /v1/batch/jobs":                     running,
		"POST /v1/batch/jobs/j1/cancel":           strings.Replace(running, "RUNNING", "CANCELLATION_REQUESTED", 1),
		"GET /v1/batch/jobs/j1":                   `{"id":"j1","status":"TIMEOUT_EXCEEDED","created_at":1764000000,"completed_at":1764086400,"metadata":null,"total_requests":2,"succeeded_requests":1,"failed_requests":1,"output_file":"out","error_file":"err"}`,
		"GET /v1/batch/jobs/bad":                  `{"id":"bad","status":"FAILED","created_at":1764000000,"errors":[{"message":"no such model","count":2}]}`,
		"GET /v1/files/out/content":               `{"id":"x","custom_id":"1","response":{"status_code":200,"body":{"id":"c","object":"chat.completion","model":"target","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}},"error":null}`,
		"GET /v1/files/err/content":               `{"id":"y","custom_id":"2","response":{"status_code":429,"body":{"object":"error","message":"slow down","type":"rate_limited","code":"1300"}},"error":null}` + "\n",
		"GET /v1/batch/jobs?page=0&page_size=100": `{"object":"list","total":101,"data":[` + strings.Repeat(strings.Replace(running, "1764000000", "1763000000", 1)+",", 99) + running + `]}`,
		"GET /v1/batch/jobs?page=1&page_size=100": `{"object":"list","total":101,"data":[` + strings.Replace(running, "j1", "j2", 1) + `]}`,
	})
	d := draft(t, llm.OpenAI, gptAsks)
	if st, err := b.Create(t.Context(), "9", []llm.BatchLine{bulkLine(t, b, d, "1")}); err != nil || st.ID != "j1" || st.Ref != "9" || st.Phase != llm.BatchRunning {
		t.Errorf("created: %+v %v", st, err)
	}
	if l := uploaded(t, s, "POST /v1/files"); len(l) != 1 || !reflect.DeepEqual(plain(t, []byte(l[0])), plain(t, []byte(`{"custom_id":"1","body":{"messages":[{"role":"user","content":"a\nb"}]}}`))) {
		t.Errorf("uploaded %s", l)
	}
	sentAs(t, s, "POST /v1/batch/jobs", `{"input_files":["f1"],"endpoint":"/v1/chat/completions","model":"target","timeout_hours":24,"metadata":{"headrace":"9"}}`)
	if st, err := b.Cancel(t.Context(), "j1"); err != nil || st.Phase != llm.BatchCanceling {
		t.Errorf("canceled: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "j1"); err != nil || st.Phase != llm.BatchEnded || st.Errored != 1 || st.Ended.Unix() != 1764086400 {
		t.Errorf("ended: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "bad"); err != nil || st.Phase != llm.BatchFailed || st.Why != "no such model" {
		t.Errorf("failed: %+v %v", st, err)
	}
	got := results(t, b, "j1")
	if len(got) != 2 || got["1"].Outcome != llm.BatchSucceeded || got["2"].Err == nil || got["2"].Err.Class != llm.RateLimited {
		t.Errorf("results: %+v", got)
	}
	var ids []string
	for st, err := range b.List(t.Context(), time.Unix(1764000000, 999)) { // told in whole seconds
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
	}
	if fmt.Sprint(ids) != "[j1 j2]" {
		t.Errorf("listed %v", ids)
	}
}

// DashScope keeps our name in a member of its own, and takes some models.
func TestFileBatchesOfQwen(t *testing.T) {
	b, s := bulkAt(t, "qwen", map[string]string{
		"POST /v1/files":   `{"id":"f1"}`,
		"POST /v1/batches": `{"id":"b1","status":"validating","created_at":1764000000,"metadata":{"ds_name":"9"}}`,
	})
	d := draft(t, llm.Anthropic, claudeAsks)
	if _, err := b.Line("qwen-vl", &llm.Capability{}, d); err == nil || err.Class != llm.Unsupported || err.Param != "model" {
		t.Errorf("a model that it does not take: %v", err)
	}
	l, bad := b.Line("qwen-plus", &llm.Capability{}, d)
	if bad != nil {
		t.Fatal(bad)
	}
	l.ID = "1"
	if st, err := b.Create(t.Context(), "9", []llm.BatchLine{l}); err != nil || st.Ref != "9" {
		t.Errorf("created: %+v %v", st, err)
	}
	sentAs(t, s, "POST /v1/batches", `{"input_file_id":"f1","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"ds_name":"9"}}`)
}

// A batch of messages must not answer what asked for something else.
func TestBulkOtherOperations(t *testing.T) {
	for _, id := range []string{"anthropic", "openai", "gemini", "mistral", "groq"} {
		b, _ := bulkAt(t, id, nil)
		d := *draft(t, llm.Anthropic, claudeAsks)
		d.Op = llm.OpCountTokens
		if l, err := b.Line("m", &llm.Capability{}, &d); err == nil || err.Class != llm.Unsupported {
			t.Errorf("%s counts tokens by batch: %+v %v", id, l, err)
		}
	}
}

func TestBulkCreateRefuses(t *testing.T) {
	for _, id := range []string{"anthropic", "openai", "gemini", "mistral", "groq"} {
		b, _ := bulkAt(t, id, nil)
		l := bulkLine(t, b, draft(t, llm.OpenAI, gptAsks), "1")
		other := l
		other.Model = "another"
		unnamed, odd := l, l
		unnamed.ID, odd.ID = "", `a"b`
		for what, lines := range map[string][]llm.BatchLine{"none": nil, "no id": {unnamed}, "an odd id": {odd}, "two models": {l, other}} {
			if id == "anthropic" && what == "two models" {
				continue
			}
			if _, err := b.Create(t.Context(), "9", lines); !isClass(err, llm.InvalidRequest) {
				t.Errorf("%s, %s: %v", id, what, err)
			}
		}
		b.api.Terms.Bytes = 10
		if _, err := b.Create(t.Context(), "9", []llm.BatchLine{l}); !isClass(err, llm.TooLarge) {
			t.Errorf("%s, too many bytes: %v", id, err)
		}
		b.api.Terms.Items = 1
		if _, err := b.Create(t.Context(), "9", []llm.BatchLine{l, l}); !isClass(err, llm.TooLarge) {
			t.Errorf("%s, too many lines: %v", id, err)
		}
	}
}

// refusing answers everything with a status, or not at all.
type refusing struct {
	status int
	err    error
}

func (f refusing) RoundTrip(*http.Request) (*http.Response, error) {
	if f.err != nil {
		return nil, f.err
	}
	return &http.Response{StatusCode: f.status, Header: http.Header{"Location": {"https://elsewhere.test"}}, Body: newBody([][]byte{[]byte(`{}`)})}, nil
}

func TestBulkErrors(t *testing.T) {
	for _, id := range []string{"anthropic", "openai", "gemini", "mistral"} {
		b, _ := bulkAt(t, id, nil)
		lines := []llm.BatchLine{bulkLine(t, b, draft(t, llm.OpenAI, gptAsks), "1")}
		calls := func(ctx context.Context) map[string]error {
			all := map[string]error{}
			_, all["create"] = b.Create(ctx, "9", lines)
			_, all["get"] = b.Get(ctx, "b")
			_, all["cancel"] = b.Cancel(ctx, "b")
			for _, err := range b.Results(ctx, "b") {
				all["results"] = err
			}
			for _, err := range b.List(ctx, time.Time{}) {
				all["list"] = err
			}
			return all
		}
		for status, class := range map[int]llm.Class{400: llm.InvalidRequest, 401: llm.Auth, 413: llm.TooLarge, 429: llm.RateLimited, 500: llm.ServerError, 503: llm.Overloaded, 307: llm.MalformedUpstream, 200: llm.MalformedUpstream} {
			b.p.client = refusing{status: status}
			for what, err := range calls(t.Context()) {
				if status == 200 && (what == "list" || what == "results") {
					continue // an empty object is an empty list to some
				}
				if !isClass(err, class) {
					t.Errorf("%s %s with %d: %v, want %s", id, what, status, err, class)
				}
			}
		}
		b.p.client = refusing{err: errors.New("reset")}
		for what, err := range calls(t.Context()) {
			if !isClass(err, llm.ServerError) {
				t.Errorf("%s %s without an answer: %v", id, what, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.p.client = refusing{err: context.Canceled}
		for what, err := range calls(ctx) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s %s, given up: %v", id, what, err)
			}
		}
	}
}

func TestWrappedBatches(t *testing.T) {
	const running = `{"id":"b1","status":"IN_PROGRESS","created_at":"2026-11-25T01:00:00Z","job_deadline":"2026-11-26T01:00:00Z","input_file_id":"f1","endpoint":"/v1/chat/completions","progress":10}`
	list := `[` + strings.NewReplacer("b1", "old", "25T01", "23T01").Replace(running) + `,` + running + `]`
	b, s := bulkAt(t, "together", map[string]string{
		"POST /v1/files":             `{"id":"f1"}`,
		"POST /v1/batches":           `{"job":` + running + `,"warning":""}`,
		"POST /v1/batches/b1/cancel": `{}`,
		"GET /v1/batches/b1":         running,
		"GET /v1/batches/done":       `{"id":"done","status":"COMPLETED","created_at":"2026-11-25T01:00:00Z","completed_at":"2026-11-25T02:00:00Z","output_file_id":"out","error_file_id":"err"}`,
		"GET /v1/batches/bad":        `{"id":"bad","status":"FAILED","created_at":"2026-11-25T01:00:00Z","error":"line 3 is no JSON"}`,
		"GET /v1/batches/odd":        `{"id":"odd","status":"DANCING"}`,
		"GET /v1/files/out/content":  `{"custom_id":"1","response":{"status_code":200,"body":{"id":"c","object":"chat.completion","model":"target","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}}}`,
		"GET /v1/files/err/content":  `{"custom_id":"2","error":"the model is busy"}` + "\n" + `{"custom_id":"3","error":{"code":7,"message":"odd"}}` + "\n",
		"GET /v1/batches?limit=1000": list,
	})
	d := draft(t, llm.OpenAI, gptAsks)
	if st, err := b.Create(t.Context(), "9", []llm.BatchLine{bulkLine(t, b, d, "1")}); err != nil || st.ID != "b1" || st.Phase != llm.BatchRunning || st.Expires.IsZero() {
		t.Errorf("created: %+v %v", st, err)
	}
	if l := uploadedFor(t, s, "POST /v1/files", "batch-api"); len(l) != 1 || !reflect.DeepEqual(plain(t, []byte(l[0])), plain(t, []byte(`{"custom_id":"1","body":{"model":"target","messages":[{"role":"user","content":"a\nb"}]}}`))) {
		t.Errorf("uploaded %s", l)
	}
	sentAs(t, s, "POST /v1/batches", `{"input_file_id":"f1","endpoint":"/v1/chat/completions","completion_window":"24h"}`)
	if st, err := b.Cancel(t.Context(), "b1"); err != nil || st.Phase != llm.BatchCanceling {
		t.Errorf("canceled: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "done"); err != nil || st.Phase != llm.BatchEnded || st.Ended.IsZero() {
		t.Errorf("ended: %+v %v", st, err)
	}
	if st, err := b.Get(t.Context(), "bad"); err != nil || st.Phase != llm.BatchFailed || st.Why != "line 3 is no JSON" {
		t.Errorf("failed: %+v %v", st, err)
	}
	if _, err := b.Get(t.Context(), "odd"); err == nil {
		t.Error("a status that nobody knows is taken")
	}
	got := results(t, b, "done")
	if len(got) != 3 || got["1"].Outcome != llm.BatchSucceeded || got["2"].Err == nil || got["2"].Err.Message != "the model is busy" || got["3"].Err == nil {
		t.Errorf("results: %+v", got)
	}
	var ids []string
	for st, err := range b.List(t.Context(), time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, st.ID)
	}
	if fmt.Sprint(ids) != "[b1]" {
		t.Errorf("listed %v", ids)
	}
}
