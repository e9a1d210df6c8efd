package anthropic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

func start() llm.Event { return llm.Event{Kind: llm.EventStart, ID: "x-1", Model: "gpt"} }
func open(i int, b llm.BlockHead) llm.Event {
	return llm.Event{Kind: llm.EventBlockStart, Index: i, Block: b}
}
func delta(i int, k llm.DeltaKind, s string) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Index: i, Delta: llm.Delta{Kind: k, Text: s}}
}
func state(i int, o llm.Opaque) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Index: i, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: o}}
}
func shut(i int) llm.Event { return llm.Event{Kind: llm.EventBlockStop, Index: i} }
func finish(r llm.FinishReason) llm.Event {
	return llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: r, Native: "stop"}}
}
func used(u llm.Usage) llm.Event {
	u.Source = llm.UsageProvider
	return llm.Event{Kind: llm.EventUsage, Usage: u}
}

// TestEncodeStream: what another vendor's stream becomes, read by an
// independent reader that holds it to the dialect's rules.
func TestEncodeStream(t *testing.T) {
	message0 := llm.BlockHead{Kind: llm.ItemMessage}
	call := llm.BlockHead{Kind: llm.ItemToolCall, ID: "call_1", Name: "f"}
	thinking := llm.BlockHead{Kind: llm.ItemReasoning}
	enc := llm.Opaque{Issuer: llm.IssuerOpenAI, Kind: llm.OpaqueEncrypted, Data: "ZW5j"}
	for _, c := range []struct {
		name   string
		events []llm.Event
		want   string // content
		stop   string
	}{
		{"text", []llm.Event{start(), open(0, message0), delta(0, llm.DeltaText, "a"), delta(0, llm.DeltaText, ""), delta(0, llm.DeltaText, "\"\n<"), shut(0), finish(llm.FinishStop)},
			`[{"citations":null,"text":"a\"\n<","type":"text"}]`, "end_turn"},
		{"empty text", []llm.Event{start(), open(0, message0), delta(0, llm.DeltaText, ""), shut(0), open(1, call), delta(1, llm.DeltaArguments, `{"a":`), delta(1, llm.DeltaArguments, `1}`), shut(1), finish(llm.FinishStop)},
			`[{"id":"call_1","input":{"a":1},"name":"f","type":"tool_use"}]`, "tool_use"},
		{"no arguments (bug 1)", []llm.Event{start(), open(0, call), shut(0), finish(llm.FinishToolCalls)},
			`[{"id":"call_1","input":{},"name":"f","type":"tool_use"}]`, "tool_use"},
		{"a reason without a call (bug 10)", []llm.Event{start(), open(0, message0), delta(0, llm.DeltaText, "a"), shut(0), finish(llm.FinishToolCalls)},
			`[{"citations":null,"text":"a","type":"text"}]`, "end_turn"},
		{"no start, no ends", []llm.Event{open(0, message0), delta(0, llm.DeltaText, "a"), open(1, thinking), delta(1, llm.DeltaReasoning, "b"), finish(llm.FinishLength)},
			`[{"citations":null,"text":"a","type":"text"},{"signature":"","thinking":"b","type":"thinking"}]`, "max_tokens"},
		{"deltas without blocks", []llm.Event{start(), delta(0, llm.DeltaReasoning, "b"), delta(1, llm.DeltaText, "a"), finish(llm.FinishStop)},
			`[{"signature":"","thinking":"b","type":"thinking"},{"citations":null,"text":"a","type":"text"}]`, "end_turn"},
		{"foreign state", []llm.Event{start(), open(0, thinking), delta(0, llm.DeltaReasoning, "b"), state(0, enc), shut(0), finish(llm.FinishStop)},
			`[{"signature":"` + wrapOpaque(enc) + `","thinking":"b","type":"thinking"}]`, "end_turn"},
		{"foreign state at the start", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemReasoning, Opaque: []llm.Opaque{enc}}), shut(0), finish(llm.FinishStop)},
			`[{"signature":"` + wrapOpaque(enc) + `","thinking":"","type":"thinking"}]`, "end_turn"},
		{"Anthropic's state through another dialect", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemReasoning, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: "cmVk"}}}), shut(0), open(1, thinking), state(1, llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "old"}), state(1, llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "sig"}), shut(1), finish(llm.FinishStop)},
			`[{"data":"cmVk","type":"redacted_thinking"},{"signature":"sig","thinking":"","type":"thinking"}]`, "end_turn"},
		{"a refusal", []llm.Event{start(), open(0, message0), delta(0, llm.DeltaRefusal, "no"), shut(0), finish(llm.FinishStop)},
			`[{"citations":null,"text":"no","type":"text"}]`, "refusal"},
		{"a filter (bug 36)", []llm.Event{start(), finish(llm.FinishRefusal)}, `[]`, "refusal"},
		{"a custom call", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemToolCall, ID: "c", Name: "f", Custom: true}), delta(0, llm.DeltaArguments, `say "`), delta(0, llm.DeltaArguments, "x\n"), shut(0), finish(llm.FinishStop)},
			`[{"id":"c","input":{"input":"say \"x\n"},"name":"f","type":"tool_use"}]`, "tool_use"},
		{"an empty custom call", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemToolCall, ID: "c", Name: "f", Custom: true}), shut(0), finish(llm.FinishStop)},
			`[{"id":"c","input":{"input":""},"name":"f","type":"tool_use"}]`, "tool_use"},
		{"a foreign id", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemToolCall, ID: "functions.f:0", Name: "f"}), shut(0), finish(llm.FinishStop)},
			`[{"id":"toolu_` + hash("functions.f:0") + `","input":{},"name":"f","type":"tool_use"}]`, "tool_use"},
		{"an opaque block of nobody here", []llm.Event{start(), open(0, llm.BlockHead{Kind: llm.ItemOpaque, Type: "x", Raw: raw(`{"type":"x"}`)}), shut(0), finish(llm.FinishStop)}, `[]`, "end_turn"},
		{"a second start (bug 23)", []llm.Event{start(), start(), delta(0, llm.DeltaText, "a"), finish(llm.FinishStop), finish(llm.FinishStop), delta(0, llm.DeltaText, "late")},
			`[{"citations":null,"text":"a","type":"text"}]`, "end_turn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := message(encode(c.events, llm.StreamOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			content, _ := json.Marshal(got["content"])
			if diff := cmp.Diff(c.want, strings.ReplaceAll(string(content), `\u003c`, "<")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got["stop_reason"] != c.stop {
				t.Errorf("stop_reason %v", got["stop_reason"])
			}
			if (got["stop_details"] != nil) != (c.stop == "refusal") {
				t.Errorf("stop_details %v", got["stop_details"])
			}
		})
	}
}

// TestEncodeUsage: the prompt's size stands at the start, estimated if need
// be, and the truth at the end (bugs 8 and 21).
func TestEncodeUsage(t *testing.T) {
	u := llm.Usage{Input: 100, CacheRead: 20, CacheWrite5m: 3, CacheWrite1h: 4, Output: 50, Reasoning: 30}
	s := encode([]llm.Event{start(), delta(0, llm.DeltaText, "a"), used(llm.Usage{Input: 1}), used(u), finish(llm.FinishStop)}, llm.StreamOptions{PromptEstimate: 117})
	first := get(get([]byte(strings.TrimPrefix(strings.Split(s, "\n")[1], "data: ")), "message"), "usage")
	if string(get(first, "input_tokens")) != "117" || string(get(first, "output_tokens")) != "1" {
		t.Errorf("message_start has %s", first)
	}
	m, err := message(s)
	if err != nil {
		t.Fatal(err)
	}
	final, _ := json.Marshal(m["usage"])
	want := `{"cache_creation":{"ephemeral_1h_input_tokens":4,"ephemeral_5m_input_tokens":3},"cache_creation_input_tokens":7,"cache_read_input_tokens":20,"inference_geo":null,"input_tokens":100,"output_tokens":50,"output_tokens_details":{"thinking_tokens":30},"server_tool_use":null,"service_tier":null,"speed":null}`
	if string(final) != want {
		t.Errorf("message_delta has %s", final)
	}
	var back usage
	back.merge(final)
	got := back.total()
	got.Raw, got.Source = nil, ""
	if !cmp.Equal(got, u) {
		t.Errorf("read back as %+v", got)
	}
}

// TestEncodeErrors: a stream that cannot go on says so and nothing after.
func TestEncodeErrors(t *testing.T) {
	for name, es := range map[string][]llm.Event{
		"a provider's error":       {start(), delta(0, llm.DeltaText, "a"), {Kind: llm.EventError, Err: llm.Errorf(llm.Overloaded, "busy")}, finish(llm.FinishStop)},
		"arguments without a call": {start(), delta(0, llm.DeltaArguments, "{"), finish(llm.FinishStop)},
		"interleaved calls":        {start(), open(0, llm.BlockHead{Kind: llm.ItemToolCall, ID: "a", Name: "f"}), open(1, llm.BlockHead{Kind: llm.ItemToolCall, ID: "b", Name: "f"}), delta(0, llm.DeltaArguments, "{}"), finish(llm.FinishStop)},
		"a model that failed":      {start(), {Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishFailed, Native: "MALFORMED_FUNCTION_CALL"}}},
		"an error before all":      {{Kind: llm.EventError, Err: llm.Errorf(llm.Auth, "key sk-123 refused")}},
	} {
		s := encode(es, llm.StreamOptions{})
		if strings.Count(s, "event: error\n") != 1 || strings.Contains(s, "message_stop") || !strings.HasSuffix(s, "}}\n\n") {
			t.Errorf("%s: %s", name, s)
		}
		if strings.Contains(s, "sk-123") {
			t.Errorf("%s: leaked %s", name, s)
		}
		if _, err := message(s); err == nil || !strings.HasPrefix(err.Error(), "error event") {
			t.Errorf("%s: read as %v", name, err)
		}
	}
	if got := encode([]llm.Event{{Kind: llm.EventPing}}, llm.StreamOptions{}); got != "event: ping\ndata: {\"type\":\"ping\"}\n\n" {
		t.Errorf("ping is %q", got)
	}
}

// decodeAll decodes data frames without event names.
func decodeAll(t *testing.T, frames ...string) ([]llm.Event, error) {
	t.Helper()
	d := Codec{}.NewDecoder()
	var es []llm.Event
	for _, f := range frames {
		var err error
		if es, err = d.Decode(es, nil, []byte(f)); err != nil {
			return es, err
		}
	}
	return d.Close(es), nil
}

const (
	frameStart = `{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":5,"cache_read_input_tokens":3,"output_tokens":1}}}`
	frameText  = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	frameStop  = `{"type":"message_stop"}`
	frameEnd   = `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":null,"output_tokens":9}}`
)

// TestDecodeOdd: streams that other servers of this dialect send.
func TestDecodeOdd(t *testing.T) {
	call := `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{"whole":1}}}`
	for _, c := range []struct {
		name   string
		frames []string
		want   string // text of the items, joined by "|"
		reason llm.FinishReason
	}{
		{"no event names", []string{frameStart, frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, frameEnd, frameStop}, "a", llm.FinishStop},
		{"members in another order, spaces", []string{frameStart, frameText, "{\"delta\": {\"text\": \"a\", \"type\": \"text_delta\"},\n \"index\": 0, \"type\": \"content_block_delta\"}", frameEnd, frameStop}, "a", llm.FinishStop},
		{"no block start", []string{frameStart, `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"a"}}`, frameEnd, frameStop}, "h|a", llm.FinishStop},
		{"no message_start", []string{frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, frameStop}, "a", llm.FinishStop},
		{"text at the start of a block", []string{frameStart, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}`, frameEnd, frameStop}, "a", llm.FinishStop},
		{"whole input at the start", []string{frameStart, call, `{"type":"content_block_stop","index":1}`, frameEnd, frameStop}, `{"whole":1}`, llm.FinishStop},
		{"whole input and deltas (bug 39)", []string{frameStart, call, `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"whole\":1}"}}`, frameEnd, frameStop}, `{"whole":1}`, llm.FinishStop},
		{"the same index twice (bug 9)", []string{frameStart, frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, `{"type":"content_block_stop","index":0}`, frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}`, frameEnd, frameStop}, "a|b", llm.FinishStop},
		{"an event of tomorrow", []string{frameStart, `{"type":"message_hint","x":1}`, frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"glow_delta","glow":1}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, frameEnd, frameStop}, "a", llm.FinishStop},
		{"a reason of tomorrow", []string{frameStart, `{"type":"message_delta","delta":{"stop_reason":"asleep"}}`, frameStop}, "", llm.FinishOther},
		{"escapes", []string{frameStart, frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\u00e9\ud83d\ude00\\\"\/"}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d"}}`, frameEnd, frameStop}, "é😀\\\"/\ufffd", llm.FinishStop},
	} {
		t.Run(c.name, func(t *testing.T) {
			es, err := decodeAll(t, c.frames...)
			if err != nil {
				t.Fatal(err)
			}
			r := gather(t, es)
			var got []string
			for i := range r.Items {
				got = append(got, r.Items[i].Text()+string(r.Items[i].Call.Arguments))
			}
			if s := strings.Join(got, "|"); s != c.want || r.Finish.Reason != c.reason {
				t.Errorf("%q %s, want %q", s, r.Finish.Reason, c.want)
			}
		})
	}
	t.Run("usage is overwritten only by numbers", func(t *testing.T) {
		es, err := decodeAll(t, frameStart, frameEnd, frameStop)
		if err != nil {
			t.Fatal(err)
		}
		if u := gather(t, es).Usage; u.Input != 5 || u.CacheRead != 3 || u.Output != 9 {
			t.Errorf("%+v", u)
		}
	})
	for name, frame := range map[string]string{
		"HTML":                "<html>502</html>",
		"a broken frame":      `{"type":"content_block_delta","index":0,`,
		"input without call":  `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{"}}`,
		"a block of no type":  `{"type":"content_block_start","index":0,"content_block":{}}`,
		"a delta of no type":  `{"type":"content_block_delta","index":0,"delta":7}`,
		"a control character": "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"\x01\"}}",
	} {
		_, err := decodeAll(t, frameStart, frameText, frame)
		if e, ok := err.(*llm.Error); !ok || e.Class != llm.MalformedUpstream {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		frame  string
		class  llm.Class
		status int
	}{
		"overloaded":         {`{"type":"error","error":{"type":"overloaded_error","message":"x"}}`, llm.Overloaded, 529},
		"rate":               {`{"type":"error","error":{"type":"rate_limit_error","message":"x"}}`, llm.RateLimited, 429},
		"api":                {`{"type":"error","error":{"type":"api_error","message":"x"}}`, llm.ServerError, 500},
		"too long":           {`{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}`, llm.ContextOverflow, 400},
		"another's envelope": {`{"error":{"code":502,"message":"upstream"}}`, llm.ServerError, 502},
		"no type":            {`{"type":"error","error":{"message":"x"}}`, llm.ServerError, 500},
	} {
		es, err := decodeAll(t, frameStart, c.frame, frameStop)
		if err != nil {
			t.Fatal(err)
		}
		last := es[len(es)-1]
		if last.Kind != llm.EventError || last.Err.Class != c.class || last.Err.Status != c.status {
			t.Errorf("%s: %s %v", name, last.Kind, last.Err)
		}
	}
	if es, _ := decodeAll(t, frameStart, frameEnd); es[len(es)-1].Kind != llm.EventError {
		t.Error("a stream without message_stop ended well (bug 11)")
	}
}

// TestPlain holds the quick reading of deltas against the full one.
func TestPlain(t *testing.T) {
	quick, slow := 0, 0
	for _, c := range wireCases(t) {
		for _, line := range strings.Split(c.stream, "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok || !strings.HasPrefix(data, `{"type":"content_block_delta"`) {
				continue
			}
			for _, kind := range []llm.ItemKind{llm.ItemMessage, llm.ItemReasoning, llm.ItemToolCall, llm.ItemOpaque} {
				for index := range 5 {
					a := &decoder{started: true, open: true, native: index, kind: kind}
					b := &decoder{started: true, open: true, native: index, kind: kind}
					got, ok := a.plain(nil, []byte(data))
					if !ok {
						slow++
						continue
					}
					quick++
					want, err := b.frame(nil, nil, []byte(data))
					if err != nil || !cmp.Equal(got, want) {
						t.Errorf("%s: quick %+v, full %+v, %v", data, got, want, err)
					}
				}
			}
		}
	}
	if quick == 0 || slow == 0 {
		t.Errorf("%d quick, %d slow", quick, slow)
	}
}

// TestTelling: the tap must see every frame that says how an answer ended.
func TestTelling(t *testing.T) {
	for _, f := range []string{frameStart, frameEnd, frameStop, `{"type":"error","error":{}}`, `{"type": "message_stop" }`} {
		if !(Codec{}).Telling([]byte(f)) {
			t.Errorf("not telling: %s", f)
		}
	}
	for _, f := range []string{frameText, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"the \"usage\" of \"error\""}}`, `{"type": "ping"}`} {
		if (Codec{}).Telling([]byte(f)) {
			t.Errorf("telling: %s", f)
		}
	}
	// Fed with nothing else, the decoder still tells usage and end.
	for _, c := range wireCases(t) {
		if c.stream == "" || c.Meta.Ends != "" {
			continue
		}
		full, err := events(t, c.stream)
		if err != nil {
			t.Fatal(err)
		}
		d := Codec{}.NewDecoder()
		var es []llm.Event
		for _, line := range strings.Split(c.stream, "\n") {
			if data, ok := strings.CutPrefix(line, "data: "); ok && (Codec{}).Telling([]byte(data)) {
				if es, err = d.Decode(es, nil, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
		}
		es = d.Close(es)
		last := func(es []llm.Event) (u llm.Usage, f llm.Finish) {
			for _, e := range es {
				if e.Kind == llm.EventUsage {
					u = e.Usage
				}
				if e.Kind == llm.EventFinish {
					f = e.Finish
				}
			}
			return u, f
		}
		u1, f1 := last(full)
		u2, f2 := last(es)
		if !cmp.Equal(u1, u2) || !cmp.Equal(f1, f2) || f1.Reason == "" {
			t.Errorf("%s: the tap saw %+v %+v of %+v %+v", c.name, u2, f2, u1, f1)
		}
	}
}
