package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// chunks makes a stream of the given deltas, the finish chunk and [DONE].
func chunks(finish string, deltas ...string) string {
	var b strings.Builder
	for _, d := range deltas {
		fmt.Fprintf(&b, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}\n\n", d)
	}
	if finish != "" {
		fmt.Fprintf(&b, "data: {\"id\":\"c1\",\"created\":5,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":%q}]}\n\n", finish)
	}
	return b.String() + "data: [DONE]\n\n"
}

func callsOf(s tale) string {
	var out []string
	for _, c := range s.Calls {
		out = append(out, c.Name+string(c.Arguments))
	}
	return strings.Join(out, " ")
}

func TestToolCallMerging(t *testing.T) {
	t.Parallel()
	tc := func(s string) string { return `{"tool_calls":[` + s + `]}` }
	for _, c := range []struct {
		name   string
		deltas []string
		want   string
	}{
		{"pieces", []string{tc(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}`), tc(`{"index":0,"function":{"arguments":"{\"x\""}}`), tc(`{"index":0,"function":{"arguments":":1}"}}`)}, `f{"x":1}`},
		{"whole call in one chunk", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`)}, `f{}`},
		{"no arguments", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":null}}`)}, `f`},
		{"arguments as object", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":{"x":1}}}`)}, `f{"x":1}`},
		{"two, index 0 for both, one chunk", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}`)}, `f{} f{}`},
		{"two, index 0 for both, two chunks", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`), tc(`{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}`)}, `f{} g{}`},
		{"two, index 0, no ids", []string{tc(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), tc(`{"index":0,"function":{"name":"f","arguments":"{\"y\":2}"}}`)}, `f{} f{"y":2}`},
		{"two, no index", []string{tc(`{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}`)}, `f{} g{}`},
		{"two, no index, no id", []string{tc(`{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}`)}, `f{} g{}`},
		{"no index, pieces by id", []string{tc(`{"id":"a","function":{"name":"f","arguments":"{"}}`), tc(`{"id":"b","function":{"name":"g","arguments":"{"}}`), tc(`{"id":"a","function":{"arguments":"}"}}`), tc(`{"id":"b","function":{"arguments":"}"}}`)}, `f{} g{}`},
		{"no index, pieces by place", []string{tc(`{"id":"a","function":{"name":"f","arguments":"{"}},{"id":"b","function":{"name":"g","arguments":"{"}}`), tc(`{"function":{"arguments":"}"}},{"function":{"arguments":"}"}}`)}, `f{} g{}`},
		{"index -1", []string{tc(`{"index":-1,"id":"a","function":{"name":"f","arguments":"{"}}`), tc(`{"index":-1,"function":{"arguments":"}"}}`), tc(`{"index":-1,"id":"b","function":{"name":"g","arguments":"{}"}}`)}, `f{} g{}`},
		{"index with gaps", []string{tc(`{"index":3,"id":"a","function":{"name":"f","arguments":"{}"}}`), tc(`{"index":7,"id":"b","function":{"name":"g","arguments":"{}"}}`)}, `f{} g{}`},
		{"interleaved", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}`), tc(`{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\":"}}`), tc(`{"index":0,"function":{"arguments":"1}"}}`), tc(`{"index":1,"function":{"arguments":"2}"}}`)}, `f{"x":1} g{"y":2}`},
		{"empty ids later", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), tc(`{"index":0,"id":"","function":{"name":"","arguments":"}"}}`)}, `f{}`},
		{"another id for each piece", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), tc(`{"index":0,"id":"zz","function":{"arguments":"}"}}`)}, `f{}`},
		{"name said again", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}`)}, `f{}`},
		{"said a second time in full", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}`), tc(`{"index":0,"function":{"arguments":":1}"}}`), tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}`)}, `f{"x":1}`},
		{"without arguments before another", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":""}}`), tc(`{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}`)}, `f g{}`},
		{"braces in strings", []string{tc(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"}\\\"{\""}}`), tc(`{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}`), tc(`{"index":0,"function":{"arguments":"}"}}`)}, `f{"x":"}\"{"} g{}`},
		{"old form", []string{`{"function_call":{"name":"f","arguments":""}}`, `{"function_call":{"arguments":"{}"}}`}, `f{}`},
		{"custom", []string{tc(`{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":"1 + "}}`), tc(`{"index":0,"custom":{"input":"1"}}`)}, `f1 + 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := follow(t, decodeStream(t, []byte(chunks("stop", c.deltas...))))
			if got := callsOf(s); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if s.Reason != llm.FinishToolCalls {
				t.Errorf("finish is %s", s.Reason)
			}
			ids := map[string]bool{}
			for _, call := range s.Calls {
				if call.ID == "" || ids[call.ID] {
					t.Errorf("ids are not distinct: %+v", s.Calls)
				}
				ids[call.ID] = true
			}
		})
	}
}

func TestTextAmongCalls(t *testing.T) {
	t.Parallel()
	s := follow(t, decodeStream(t, []byte(chunks("tool_calls",
		`{"role":"assistant","content":"a"}`,
		`{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{"}}]}`,
		`{"content":"b"}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}`,
		`{"content":"c"}`))))
	if s.Text != "abc" && s.Text != "acb" || callsOf(s) != "f{}" {
		t.Errorf("%+v", s)
	}
	if s.Text != "abc" {
		t.Errorf("text came out of order: %q", s.Text)
	}
}

func TestThoughtShownOnce(t *testing.T) {
	t.Parallel()
	s := follow(t, decodeStream(t, []byte(chunks("stop",
		`{"role":"assistant","content":"","reasoning":"one ","reasoning_details":[{"type":"reasoning.text","text":"one ","format":"anthropic-claude-v1","index":0}]}`,
		`{"content":"","reasoning":"two","reasoning_content":"two","reasoning_details":[{"type":"reasoning.text","text":"two","format":"anthropic-claude-v1","index":0}]}`,
		`{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"SIG","format":"anthropic-claude-v1","index":0}]}`,
		`{"content":"answer"}`))))
	if s.Thinking != "one two" || s.Text != "answer" {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff([]llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "SIG"}}, s.Opaque); d != "" {
		t.Error(d)
	}
	// Two plain names, one thought (vLLM 0.11).
	s = follow(t, decodeStream(t, []byte(chunks("stop", `{"reasoning":"x","reasoning_content":"x"}`, `{"content":"y"}`))))
	if s.Thinking != "x" {
		t.Errorf("%+v", s)
	}
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	text := `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]}` + "\n\n"
	finish := `data: {"id":"1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	use := `{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}`
	for _, c := range []struct {
		name, stream, err string
		reason            llm.FinishReason
		out               int64
	}{
		{"done", text + finish + "data: [DONE]\n\n", "", llm.FinishStop, 0},
		{"no done", text + finish, "", llm.FinishStop, 0},
		{"no finish but done", text + "data: [DONE]\n\n", "", llm.FinishStop, 0},
		{"cut", text, string(llm.MalformedUpstream), "", 0},
		{"empty", "", string(llm.MalformedUpstream), "", 0},
		{"only done", "data: [DONE]\n\n", string(llm.MalformedUpstream), "", 0},
		{"half a frame", text + `data: {"id":"1","cho`, string(llm.MalformedUpstream), "", 0},
		{"usage alone", text + finish + `data: {"id":"1","choices":[],"usage":` + use + "}\n\ndata: [DONE]\n\n", "", llm.FinishStop, 2},
		{"usage in the last choice", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":` + use + "}\n\n", "", llm.FinishStop, 2},
		{"usage everywhere", `data: {"id":"1","choices":[{"index":0,"delta":{"content":"h"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}` + "\n\n" + `data: {"id":"1","choices":[{"index":0,"delta":{"content":"i"},"finish_reason":"stop"}],"usage":` + use + "}\n\n", "", llm.FinishStop, 2},
		{"x_groq", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"r","usage":` + use + "}}\n\ndata: [DONE]\n\n", "", llm.FinishStop, 2},
		{"azure first chunk", `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}` + "\n\n" + text + finish + `data: {"id":"1","choices":[{"index":0,"content_filter_offsets":{"x":1}}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishStop, 0},
		{"error event", text + "event: error\ndata: {\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"status_code\":400}}\n\n", string(llm.InvalidRequest), "", 0},
		{"error chunk", `data: {"id":"1","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":429,"message":"slow down"}}` + "\n\n", string(llm.RateLimited), "", 0},
		{"error null", `data: {"id":"1","error":null,"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}` + "\n\n", "", llm.FinishStop, 0},
		{"error line", "error: {\"detail\":\"no\",\"error\":{\"message\":\"no\"}}\n\n", string(llm.ServerError), "", 0},
		{"flat error", `data: {"message":"too many","type":"too_many_requests_error","param":"quota","code":"rate_limit_exceeded"}` + "\n\n", string(llm.RateLimited), "", 0},
		{"error array", `data: [{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]` + "\n\n", string(llm.Overloaded), "", 0},
		{"minimax", `data: {"id":"1","choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}` + "\n\n", string(llm.QuotaExhausted), "", 0},
		{"html", "data: <html>\n\n", string(llm.MalformedUpstream), "", 0},
		{"deepseek busy", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishFailed, 0},
		{"mistral length", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"model_length"}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishContext, 0},
		{"tool_calls without a call", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishStop, 0},
		{"unknown word", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"tired"}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishOther, 0},
		{"filter", text + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}` + "\n\ndata: [DONE]\n\n", "", llm.FinishRefusal, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := follow(t, decodeStream(t, []byte(c.stream)))
			if s.Err != c.err || s.Reason != c.reason || s.Usage.Output != c.out {
				t.Errorf("got %+v", s)
			}
		})
	}
}

// TestCutAnywhere cuts a stream at every byte: no cut may pass for success
// before the finish reason is there.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	stream := chunks("tool_calls", `{"role":"assistant","content":"héllo"}`,
		`{"tool_calls":[{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":"}}]}`,
		`{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}`)
	safe := strings.Index(stream, `"tool_calls"}]}`) // the finish chunk
	safe += len(`"tool_calls"}]}`)
	for cut := range len(stream) {
		s := follow(t, decodeStream(t, []byte(stream[:cut])))
		if whole := cut >= safe; whole != (s.Err == "") {
			t.Fatalf("cut at %d of %d: %+v", cut, len(stream), s)
		}
	}
}

func encode(o llm.StreamOptions, events ...llm.Event) string {
	e := Codec{}.NewEncoder(o)
	var out []byte
	for _, ev := range events {
		out = e.Encode(out, ev)
	}
	return string(out)
}

// anthropicEvents is a stream as the decoder of the other dialect gives it.
var anthropicEvents = []llm.Event{
	{Kind: llm.EventStart, ID: "msg_1", Model: "claude"},
	{Kind: llm.EventPing},
	{Kind: llm.EventBlockStart, Index: 0, Block: llm.BlockHead{Kind: llm.ItemReasoning, Name: llm.IssuerAnthropic}},
	{Kind: llm.EventDelta, Index: 0, Delta: llm.Delta{Kind: llm.DeltaReasoning, Text: "hm"}},
	{Kind: llm.EventDelta, Index: 0, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "SIG"}}},
	{Kind: llm.EventBlockStop, Index: 0},
	{Kind: llm.EventBlockStart, Index: 1, Block: llm.BlockHead{Kind: llm.ItemReasoning, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: "RED"}}}},
	{Kind: llm.EventBlockStop, Index: 1},
	{Kind: llm.EventBlockStart, Index: 2, Block: llm.BlockHead{Kind: llm.ItemMessage}},
	{Kind: llm.EventDelta, Index: 2, Delta: llm.Delta{Kind: llm.DeltaText, Text: "a<b>\n\"é"}},
	{Kind: llm.EventBlockStop, Index: 2},
	{Kind: llm.EventBlockStart, Index: 3, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "toolu_1", Name: "f"}},
	{Kind: llm.EventDelta, Index: 3, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: `{"x":1}`}},
	{Kind: llm.EventBlockStop, Index: 3},
	{Kind: llm.EventBlockStart, Index: 4, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "toolu_2", Name: "g"}},
	{Kind: llm.EventBlockStop, Index: 4},
	{Kind: llm.EventUsage, Usage: llm.Usage{Input: 1, CacheRead: 10, CacheWrite5m: 100, CacheWrite1h: 1000, Output: 7, Reasoning: 3, Source: llm.UsageProvider}},
	{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls, Native: "tool_use"}},
	{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}},
}

func TestEncodeStream(t *testing.T) {
	t.Parallel()
	chunk := func(delta, finish string) string {
		return `data: {"id":"msg_1","object":"chat.completion.chunk","created":9,"model":"claude","choices":[{"index":0,"delta":{` + delta + `},"logprobs":null,"finish_reason":` + finish + `}],"usage":null}` + "\n\n"
	}
	want := chunk(`"role":"assistant","content":"","refusal":null`, "null") +
		": keep-alive\n\n" +
		chunk(`"reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]`, "null") +
		chunk(`"reasoning_details":[{"type":"reasoning.text","signature":"SIG","format":"anthropic-claude-v1","index":0}]`, "null") +
		chunk(`"reasoning_details":[{"type":"reasoning.encrypted","data":"RED","format":"anthropic-claude-v1","index":1}]`, "null") +
		chunk(`"content":"a<b>\n\"é"`, "null") +
		chunk(`"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"f","arguments":""}}]`, "null") +
		chunk(`"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":1}"}}]`, "null") +
		chunk(`"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"g","arguments":""}}]`, "null") +
		chunk(`"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]`, "null") +
		chunk(``, `"tool_calls"`) +
		`data: {"id":"msg_1","object":"chat.completion.chunk","created":9,"model":"claude","choices":[],"usage":{"prompt_tokens":1111,"completion_tokens":7,"total_tokens":1118,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":1100,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}` + "\n\n" +
		"data: [DONE]\n\n"
	got := encode(llm.StreamOptions{IncludeUsage: true, Created: 9}, anthropicEvents...)
	if d := cmp.Diff(strings.Split(want, "\n\n"), strings.Split(got, "\n\n")); d != "" {
		t.Error(d)
	}
	// Not asked for: no usage anywhere.
	if got := encode(llm.StreamOptions{Created: 9}, anthropicEvents...); strings.Contains(got, "usage") {
		t.Errorf("usage was not asked for:\n%s", got)
	}
	// What a client gives back is understood, signature and all.
	s := follow(t, decodeStream(t, []byte(got)))
	if s.Thinking != "hm" || len(s.Opaque) != 2 || callsOf(s) != `f{"x":1} g{}` || s.Usage.Input != 11 && s.Usage.CacheWrite5m != 1100 {
		t.Errorf("%+v", s)
	}
}

// A frame that differs from the one before only in its text is decoded by
// what was learned of that one; decodeStream holds the result to the full
// decoding.
func TestSameEnvelope(t *testing.T) {
	t.Parallel()
	frame := func(text, rest string) string {
		return `data: {"id":"c1","object":"chat.completion.chunk","created":5,"model":"m","choices":[{"index":0,"delta":{"content":` + text + `},"finish_reason":null}]` + rest + "}\n\n"
	}
	a, b, c := frame(`"a"`, ""), frame(`"b"`, ""), frame(`"c"`, "")
	for _, s := range []struct{ name, stream, want string }{
		{"plain", a + b + c + b, "abcb"},
		{"escapes", a + b + frame(`"\n\"\\\u00e9\ud83d\ude00"`, "") + c, "ab\n\"\\é😀c"},
		{"beyond ASCII", a + b + frame(`"é😀"`, "") + c, "abé😀c"},
		{"broken UTF-8", a + b + frame("\"\xff\"", "") + frame(`"\n`+"\xff\"", "") + c, ""},
		{"empty text", a + b + frame(`""`, "") + c, "abc"},
		{"null", a + b + frame(`null`, "") + c, "abc"},
		{"padding", a + frame(`"b"`, `,"obfuscation":"xY12"`) + frame(`"c"`, `,"obfuscation":"q"`) + frame(`"d"`, `,"obfuscation":""`), "abcd"},
		{"padding with an escape", a + frame(`"b"`, `,"obfuscation":"xY12"`) + frame(`"c"`, `,"obfuscation":"\""`), "abc"},
		{"padding, then usage", a + frame(`"b"`, `,"obfuscation":"xY12","usage":null`) + frame(`"c"`, `,"obfuscation":"xY12","usage":null`) +
			frame(`"d"`, `,"obfuscation":"xY12","usage":{"prompt_tokens":1}`), "abcd"},
		{"other members come and go", a + frame(`"b"`, `,"x":1`) + frame(`"c"`, `,"x":1`) + frame(`"d"`, `,"x":1`) + a + b + frame(`"e"`, `,"x":2`), "abcdabe"},
		{"more members in the delta", a + b + frame(`"c","refusal":null`, "") + frame(`"d","refusal":"no"`, "") + c, "abcdc"},
		{"a text of another choice", a + b + strings.Replace(c, `"index":0`, `"index":1`, 1) + c, "abc"},
		{"content named in the text", a + frame(`"\"content\":\"x\""`, "") + frame(`"\"content\":\"y\""`, "") + c, `a"content":"x""content":"y"c`},
		{"a call between", a + b + frame(`null,"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{"}}]`, "") + c +
			frame(`null,"tool_calls":[{"index":0,"function":{"arguments":"}"}}]`, "") + b, "abcb"},
		{"thinking between", a + b + frame(`null,"reasoning_content":"hm"`, "") + c + b, "abcb"},
	} {
		got := follow(t, decodeStream(t, []byte(s.stream+chunks("stop"))))
		if s.want != "" && got.Text != s.want {
			t.Errorf("%s: %q, want %q", s.name, got.Text, s.want)
		}
	}
	d := &decoder{block: -1}
	for i, f := range []string{a, b, c, b} {
		before := d.last.known
		if _, err := d.Decode(nil, nil, []byte(strings.TrimPrefix(f, "data: "))); err != nil {
			t.Fatal(err)
		}
		if before != (i >= 2) {
			t.Errorf("frame %d: what came before is known: %t", i, before)
		}
	}
}

func TestEncodeStreamError(t *testing.T) {
	t.Parallel()
	got := encode(llm.StreamOptions{ID: "x", Model: "m"},
		llm.Event{Kind: llm.EventError, Err: &llm.Error{Class: llm.Overloaded, Message: "busy"}},
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
	if want := `data: {"error":{"message":"busy","type":"server_error","param":null,"code":"overloaded"}}` + "\n\n"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTelling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data string
		want bool
	}{
		{`{"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}`, false},
		{`{"choices":[{"delta":{"content":"x"},"finish_reason" : null}],"obfuscation":"aa"}`, false},
		{`{"choices":[{"delta":{},"finish_reason":"stop"}]}`, true},
		{`{"choices":[{"finish_reason":null},{"finish_reason":"stop"}]}`, true},
		{`{"choices":[],"usage":{"prompt_tokens":1}}`, true},
		{`{"choices":[],"x_groq":{"usage":{}},"usage":null}`, true},
		{`{"choices":[],"error":{"message":"x"}}`, true},
		{`[DONE]`, true},
		{`{"message":"x","code":"y"}`, true},
		{`[{"error":1}]`, true},
	} {
		if got := (Codec{}).Telling([]byte(c.data)); got != c.want {
			t.Errorf("%s: %v", c.data, got)
		}
	}
}

// TestTellingMissesNothing: whatever gives usage, a finish or an error is a
// telling frame.
func TestTellingMissesNothing(t *testing.T) {
	t.Parallel()
	for _, rec := range recordings(t) {
		if rec.Transport != "sse" || rec.Response.Status != 200 {
			continue
		}
		r := sse.NewReader(strings.NewReader(rec.Response.Body), 0)
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			if len(f.Data) == 0 || (Codec{}).Telling(f.Data) {
				continue
			}
			events, err := Codec{}.NewDecoder().Decode(nil, f.Event, f.Data)
			if err != nil {
				t.Errorf("%s: a frame that fails is not telling: %s", rec.ID, f.Data)
			}
			for _, ev := range events {
				if ev.Kind == llm.EventUsage || ev.Kind == llm.EventFinish || ev.Kind == llm.EventError {
					t.Errorf("%s: %s is not telling: %s", rec.ID, ev.Kind, f.Data)
				}
			}
		}
	}
}
