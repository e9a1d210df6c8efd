package anthropic

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

// TestHeadRefuses: bad bodies are refused with the byte or the name.
func TestHeadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		op               llm.Op
	}{
		{"not JSON", `{"model":`, "byte", llm.OpChat},
		{"an array", `[]`, "not a JSON object", llm.OpChat},
		{"a model twice", `{"model":"a","max_tokens":1,"messages":[],"model":"b"}`, "byte 42", llm.OpChat},
		{"a model in capitals", `{"Model":"a","model":"b","max_tokens":1,"messages":[]}`, "byte 1", llm.OpChat},
		{"a hidden model", `{"m\u006fdel":"a","model":"b","max_tokens":1,"messages":[]}`, "byte", llm.OpChat},
		{"the long s", `{"model":"b","\u017ftream":true,"max_tokens":1,"messages":[]}`, "byte 13", llm.OpChat},
		{"no model", `{"max_tokens":1,"messages":[]}`, "model: Field required", llm.OpChat},
		{"an empty model", `{"model":"","max_tokens":1,"messages":[]}`, "model", llm.OpChat},
		{"a model number", `{"model":5,"max_tokens":1,"messages":[]}`, "at byte 9", llm.OpChat},
		{"a stream string", `{"model":"m","stream":"true","max_tokens":1,"messages":[]}`, "stream", llm.OpChat},
		{"no max_tokens", `{"model":"m","messages":[]}`, "max_tokens: Field required", llm.OpChat},
		{"max_tokens null", `{"model":"m","max_tokens":null,"messages":[]}`, "max_tokens: Field required", llm.OpChat},
		{"max_tokens string", `{"model":"m","max_tokens":"9","messages":[]}`, "max_tokens", llm.OpChat},
		{"max_tokens below", `{"model":"m","max_tokens":-1,"messages":[]}`, "max_tokens", llm.OpChat},
		{"max_tokens in parts", `{"model":"m","max_tokens":1.5,"messages":[]}`, "max_tokens", llm.OpCountTokens},
		{"no messages", `{"model":"m","max_tokens":1}`, "messages: Field required", llm.OpChat},
		{"messages of no kind", `{"model":"m","max_tokens":1,"messages":{}}`, "messages", llm.OpChat},
		{"invalid UTF-8", "{\"model\":\"m\xff\",\"max_tokens\":1,\"messages\":[]}", "byte", llm.OpChat},
		{"deep", `{"model":"m","max_tokens":1,"messages":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "100", llm.OpChat},
	} {
		_, err := Codec{}.Head(c.op, []byte(c.body))
		e, ok := err.(*llm.Error)
		if !ok || e.Class != llm.InvalidRequest || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	h, err := Codec{}.Head(llm.OpChat, []byte(`{"model":"m","max_tokens":0,"stream":null,"messages":[],"tools":[ ]}`))
	if err != nil || h.Tools || h.Stream || h.MaxTokens != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

// TestDecodeRefuses: errors of the full decode begin with the path.
func TestDecodeRefuses(t *testing.T) {
	for body, path := range map[string]string{
		`{"model":"m"}`:                   "messages",
		`{"model":"m","messages":[7]}`:    "messages.0",
		`{"messages":[{"role":"robot"}]}`: "messages.0.role",
		`{"messages":[{"role":"user"}]}`:  "messages.0.content",
		`{"messages":[{"role":"user","content":[{"type":"text","text":7}]}]}`:                               "messages.0.content.0.text",
		`{"messages":[{"role":"user","content":[{"text":"a"}]}]}`:                                           "messages.0.content.0.type",
		`{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[7]}]}]}`: "messages.0.content.0.content.0",
		`{"messages":[],"system":7}`:               "system",
		`{"messages":[],"tools":[7]}`:              "tools.0",
		`{"messages":[],"temperature":"hot"}`:      "temperature",
		`{"messages":[],"thinking":true}`:          "thinking",
		`{"messages":[],"stop_sequences":["a",1]}`: "stop_sequences",
	} {
		_, err := Codec{}.DecodeRequest([]byte(body))
		e, ok := err.(*llm.Error)
		if !ok || e.Class != llm.InvalidRequest || !strings.HasPrefix(e.Message, path+":") {
			t.Errorf("%s: %v, want path %s", body, err, path)
		}
	}
}

// TestUnknownMembers puts a member that nobody knows into every object of
// every case: it comes back in the same dialect (bug 40).
func TestUnknownMembers(t *testing.T) {
	for _, c := range wireCases(t) {
		if c.request == "" {
			continue
		}
		for i := range len(c.request) {
			if c.request[i] != '{' || strings.Count(c.request[:i], `"`)%2 == 1 {
				continue
			}
			body := c.request[:i+1] + `"zz_new":{"a":[1.0]}`
			if rest := strings.TrimSpace(c.request[i+1:]); rest[0] != '}' {
				body += ","
			}
			body += c.request[i+1:]
			if !validJSON([]byte(body)) {
				continue // a brace inside a string
			}
			r, err := Codec{}.DecodeRequest([]byte(body))
			if err != nil {
				t.Fatalf("%s: %v\n%s", c.name, err, body)
			}
			e, err := Codec{}.EncodeRequest(r, r.Model, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(canonical(t, []byte(body), nil), canonical(t, joined(e), nil)); diff != "" {
				t.Fatalf("%s at %d (-received +written):\n%s", c.name, i, diff)
			}
		}
	}
}

// TestErrorRows: every class has a status and a type, and nothing leaks.
func TestErrorRows(t *testing.T) {
	want := map[llm.Class]struct {
		status int
		typ    string
	}{
		llm.Unauthenticated: {401, "authentication_error"}, llm.Forbidden: {403, "permission_error"}, llm.PolicyBlocked: {400, "policy_blocked"},
		llm.NotFound: {404, "not_found_error"}, llm.ModelNotFound: {404, "not_found_error"},
		llm.TooLarge: {413, "request_too_large"}, llm.RateLimited: {429, "rate_limit_error"},
		llm.QuotaExhausted: {429, "billing_error"}, llm.Overloaded: {529, "overloaded_error"},
		llm.Timeout: {504, "timeout_error"}, llm.SlowStart: {504, "timeout_error"}, llm.SlowStream: {504, "timeout_error"},
		llm.ContextOverflow: {400, "invalid_request_error"}, llm.ContentRefused: {400, "invalid_request_error"},
		llm.InvalidRequest: {400, "invalid_request_error"}, llm.Unsupported: {400, "invalid_request_error"},
		llm.Auth: {502, "api_error"}, llm.MalformedUpstream: {502, "api_error"}, llm.Unavailable: {503, "api_error"},
		llm.ServerError: {500, "api_error"}, llm.ClientGone: {499, "api_error"},
	}
	for _, class := range llm.Classes() {
		if _, ok := shapes[class]; !ok {
			t.Errorf("%s has no row", class)
		}
		status, body := Codec{}.EncodeErrorFor(&llm.Error{Class: class, Message: `a "b"` + "\n", From: llm.OpenAI, Body: []byte(`{"error":{"message":"SECRET"}}`), Status: 418}, "req_1")
		var out struct {
			Type  string
			Error struct{ Type, Message string }
			ID    string `json:"request_id"`
		}
		if err := json.Unmarshal(body, &out); err != nil || out.Type != "error" || out.ID != "req_1" || strings.Contains(string(body), "SECRET") {
			t.Errorf("%s: %s %v", class, body, err)
		}
		if w := want[class]; status != w.status || out.Error.Type != w.typ {
			t.Errorf("%s: %d %s, want %v", class, status, out.Error.Type, w)
		}
		if class == llm.ContextOverflow && !strings.HasPrefix(out.Error.Message, "prompt is too long: ") {
			t.Errorf("Claude Code would not compact on %s", body)
		}
	}
	_, body := Codec{}.EncodeError(&llm.Error{Class: llm.Auth, From: llm.Anthropic, Status: 401, Provider: "p", Message: "key sk-1 bad", Body: []byte(`{"type":"error","error":{"type":"authentication_error","message":"key sk-1 bad"}}`)})
	if strings.Contains(string(body), "sk-1") || strings.Contains(string(body), "request_id") {
		t.Errorf("leaked: %s", body)
	}
}

// TestRetryAfter reads the three spellings.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		h    http.Header
		want time.Duration
	}{
		{http.Header{"Retry-After": {"25"}}, 25 * time.Second},
		{http.Header{"Retry-After": {"1.5"}}, 1500 * time.Millisecond},
		{http.Header{"Retry-After-Ms": {"250"}, "Retry-After": {"9"}}, 250 * time.Millisecond},
		{http.Header{"Retry-After": {"Wed, 21 Oct 2026 07:28:30 GMT"}, "Date": {"Wed, 21 Oct 2026 07:28:00 GMT"}}, 30 * time.Second},
		{http.Header{"Retry-After": {"Wed, 21 Oct 2026 07:28:30 GMT"}}, 0},
		{http.Header{"Retry-After": {"-5"}}, 0},
		{http.Header{"Retry-After": {"1e300"}}, 0},
		{http.Header{"Retry-After": {"soon"}}, 0},
		{nil, 0},
	} {
		if got := (Codec{}).DecodeError(429, c.h, nil).RetryAfter; got != c.want {
			t.Errorf("%v: %v", c.h, got)
		}
	}
}

// TestAnswerOfAnother writes whole answers of another dialect.
func TestAnswerOfAnother(t *testing.T) {
	r := &llm.Response{From: llm.OpenAI, ID: "chatcmpl-1", Model: "gpt", Finish: llm.Finish{Reason: llm.FinishStop, Native: "stop"},
		Usage: llm.Usage{Input: 7, CacheRead: 3, Output: 5, Reasoning: 2, Source: llm.UsageProvider, Raw: raw(`{"prompt_tokens":10}`)},
		Ext:   []llm.Member{{Name: "system_fingerprint", Value: raw(`"x"`)}},
		Items: []llm.Item{
			{Kind: llm.ItemMessage, From: llm.OpenAI, Blocks: []llm.Block{{Kind: llm.BlockText, Text: ""}, {Kind: llm.BlockText, Text: "Hi"}}},
			{Kind: llm.ItemToolCall, From: llm.OpenAI, Call: llm.Call{ID: "call_1", Name: "f", Arguments: []byte(`{"n": 9007199254740993}`)}},
			{Kind: llm.ItemToolCall, From: llm.OpenAI, Call: llm.Call{ID: "", Name: "g", Arguments: []byte("{")}},
		}}
	got := string(Codec{}.AppendResponse(nil, r))
	want := `{"id":"chatcmpl-1","type":"message","role":"assistant","model":"gpt","content":[{"type":"text","text":"Hi","citations":null},{"type":"tool_use","id":"call_1","name":"f","input":{"n": 9007199254740993}},{"type":"tool_use","id":"toolu_` + hash("\x00chatcmpl-1.2") + `","name":"g","input":{"_raw":"{"}}],"stop_reason":"tool_use","stop_sequence":null,"stop_details":null,"container":null,"diagnostics":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":5,"output_tokens_details":{"thinking_tokens":2},"server_tool_use":null,"service_tier":null,"inference_geo":null,"speed":null}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.ID = ""
	a, b := Codec{}.AppendResponse(nil, r), Codec{}.AppendResponse(nil, r)
	if id := text(get(a, "id")); !strings.HasPrefix(id, "msg_") || string(a) != string(b) {
		t.Errorf("an id of its own: %s", id)
	}
}

// TestFinishMatrix: a reason survives decoding and encoding (bug 36).
func TestFinishMatrix(t *testing.T) {
	for native, reason := range map[string]llm.FinishReason{
		"end_turn": llm.FinishStop, "stop_sequence": llm.FinishStopSequence, "max_tokens": llm.FinishLength, "tool_use": llm.FinishToolCalls,
		"model_context_window_exceeded": llm.FinishContext, "refusal": llm.FinishRefusal, "pause_turn": llm.FinishPaused, "compaction": llm.FinishOther,
	} {
		if finishOf(native) != reason {
			t.Errorf("%s became %s", native, finishOf(native))
		}
		if got := stopReason(&llm.Finish{Reason: reason, Native: native}, llm.Anthropic, false, false); got != native {
			t.Errorf("%s went back as %s", native, got)
		}
		// From another dialect only the word of ours counts.
		f := llm.Finish{Reason: reason, Native: "other", StopSequence: "s"}
		if got := stopReason(&f, llm.OpenAI, reason == llm.FinishToolCalls, false); got != native && reason != llm.FinishOther {
			t.Errorf("%s was written as %s", reason, got)
		}
	}
}

// TestNotMessages: answers under 200 that are no message.
func TestNotMessages(t *testing.T) {
	for body, class := range map[string]llm.Class{
		"<html>502</html>": llm.MalformedUpstream,
		"":                 llm.MalformedUpstream,
		`{"id":"x"`:        llm.MalformedUpstream,
		`{"content":7}`:    llm.MalformedUpstream,
		`{"type":"error","error":{"type":"overloaded_error","message":"x"}}`: llm.Overloaded,
		`{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}`: llm.RateLimited,
	} {
		_, err := Codec{}.DecodeResponse([]byte(body))
		if e, ok := err.(*llm.Error); !ok || e.Class != class {
			t.Errorf("%s: %v", body, err)
		}
		if body == `{"content":7}` {
			continue // a glance does not look there
		}
		_, err = Codec{}.Glance([]byte(body))
		if e, ok := err.(*llm.Error); !ok || e.Class != class {
			t.Errorf("glance at %s: %v", body, err)
		}
	}
	if _, err := (Codec{}).DecodeCount([]byte(`{"input_tokens":"x"}`)); err == nil {
		t.Error("a count that is no number")
	}
}

// TestModels reads the lists with the types of a strict client.
func TestModels(t *testing.T) {
	type model struct {
		ID, Type, Lifecycle string
		Name                string `json:"display_name"`
		Created             string `json:"created_at"`
		Line                string `json:"line"`
		Window              *int64 `json:"max_input_tokens"`
		Max                 *int64 `json:"max_tokens"`
		Caps                *struct {
			Effort   struct{ Supported bool }
			Thinking struct {
				Supported bool
				Types     map[string]struct{ Supported bool }
			}
		} `json:"capabilities"`
	}
	var page struct {
		Data    []model
		HasMore *bool   `json:"has_more"`
		First   *string `json:"first_id"`
		Last    *string `json:"last_id"`
	}
	models := []llm.ModelInfo{
		{ID: "anthropic/claude-opus-5-5", Name: "Claude Opus 5.5", Created: 1790000000, Window: 1000000, MaxOutput: 128000, Capability: *opus55()},
		{ID: "local/x"},
	}
	if err := json.Unmarshal(Codec{}.AppendModels(nil, models), &page); err != nil {
		t.Fatal(err)
	}
	a, b := page.Data[0], page.Data[1]
	if a.Type != "model" || a.Line != "opus" || a.Created != "2026-09-21T14:13:20Z" || *a.Window != 1000000 || !a.Caps.Thinking.Types["adaptive"].Supported || a.Caps.Thinking.Types["enabled"].Supported {
		t.Errorf("%+v", a)
	}
	if b.Name != "local/x" || b.Window != nil || b.Caps != nil || *page.HasMore || *page.First != models[0].ID || *page.Last != "local/x" {
		t.Errorf("%+v %+v", b, page)
	}
	if err := json.Unmarshal(Codec{}.AppendModels(nil, nil), &page); err != nil || page.First != nil {
		t.Errorf("an empty page: %v", err)
	}
}
