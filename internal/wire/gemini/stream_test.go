package gemini

import (
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// eventsOf decodes a whole event stream that comes in the given pieces.
func eventsOf(t testing.TB, pieces ...string) []llm.Event {
	t.Helper()
	d := Codec{}.NewDecoder()
	var readers []io.Reader
	for _, p := range pieces {
		readers = append(readers, strings.NewReader(p))
	}
	frames := sse.NewReader(io.MultiReader(readers...), 0)
	var events []llm.Event
	for {
		f, err := frames.Next()
		if err != nil {
			return d.Close(events)
		}
		if events, err = d.Decode(events, f.Event, f.Data); err != nil {
			return append(events, llm.Event{Kind: llm.EventError, Err: err.(*llm.Error)})
		}
	}
}

// elementsOf decodes the elements of an array.
func elementsOf(t testing.TB, body string) []llm.Event {
	t.Helper()
	d := Codec{}.NewDecoder()
	var events []llm.Event
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	for _, e := range all {
		var err error
		if events, err = d.Decode(events, nil, e); err != nil {
			t.Fatal(err)
		}
	}
	return d.Close(events)
}

// TestCutAnywhere: a stream that arrives in two pieces, cut at any byte, gives
// the same events; one that ends at any byte before its last frame gives an
// error and no finish.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range wireCases(t) {
		if c.stream == "" {
			continue
		}
		whole := eventsOf(t, c.stream)
		last := strings.LastIndex(strings.TrimRight(c.stream, "\r\n"), "\r\n\r\n") + 4
		if len(c.stream) > 6000 {
			t.Fatalf("%s is too long to be cut everywhere", c.name)
		}
		for at := range len(c.stream) {
			if pieces := eventsOf(t, c.stream[:at], c.stream[at:]); !reflect.DeepEqual(whole, pieces) {
				t.Fatalf("%s cut at byte %d (-whole +cut):\n%s", c.name, at, cmp.Diff(whole, pieces))
			}
			if events := eventsOf(t, c.stream[:at]); at < last {
				end := events[len(events)-1]
				if end.Kind != llm.EventError || end.Err.Class == "" {
					t.Fatalf("%s ends at byte %d with %+v", c.name, at, end)
				}
			}
		}
	}
}

// short tells events in a line each.
func short(events []llm.Event) (out []string) {
	for _, e := range events {
		s := string(e.Kind)
		switch e.Kind {
		case llm.EventBlockStart:
			s += " " + string(e.Block.Kind) + " " + e.Block.Name
			for _, o := range e.Block.Opaque {
				s += " signed " + o.Data
			}
		case llm.EventDelta:
			s += " " + string(e.Delta.Kind) + " " + e.Delta.Text + string(e.Delta.Raw)
		case llm.EventFinish:
			s += " " + string(e.Finish.Reason) + " " + e.Finish.Native
		case llm.EventError:
			s += " " + string(e.Err.Class)
		case llm.EventUsage:
			continue
		}
		out = append(out, s)
	}
	return out
}

// TestDecoder: the events of our own cases.
func TestDecoder(t *testing.T) {
	t.Parallel()
	const sig = "Q2lnc2lnc2ln+/8="
	want := map[string][]string{
		"text":            {"start", "block_start message ", "delta text The ", "delta text Rhine ☂.", "block_stop", "finish stop STOP"},
		"thinking":        {"start", "block_start reasoning ", "delta reasoning I count", "delta reasoning  twice.", "block_stop", "block_start message ", "delta text Fo", "delta text ur.", "block_stop", "block_start message  signed " + sig, "block_stop", "finish stop STOP"},
		"parallel-calls":  {"start", "block_start tool_call get_weather signed " + sig, `delta arguments {"city": "Köln", "n": 9007199254740993}`, "block_stop", "block_start tool_call get_weather", `delta arguments {"city": "Rom"}`, "block_stop", "finish tool_calls STOP"},
		"growing-call":    {"start", "block_start tool_call cook signed " + sig, `delta arguments {"recipe":{"name":"Lasagna","steps":["Boil.","Bake."],"servings":4,"spicy":false}}`, "block_stop", "finish tool_calls STOP"},
		"blocked":         {"start", "finish refusal SAFETY"},
		"safety":          {"start", "block_start message ", "delta text Well, ", "block_stop", "finish refusal SAFETY"},
		"grounding":       {"start", "block_start opaque ", "block_stop", "block_start message ", "delta text Rome ", `delta native {"citationMetadata":{"citationSources": [{"startIndex": 0}]}}`, "delta text won.", "block_stop", "finish stop STOP"},
		"in-stream-error": {"start", "block_start message ", "delta text The ", "error overloaded"},
		"cut":             {"start", "block_start message ", "delta text The ", "error malformed_upstream"},
	}
	for _, c := range wireCases(t) {
		if w, ok := want[c.name]; ok {
			if d := cmp.Diff(w, short(eventsOf(t, c.stream))); d != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, d)
			}
		}
	}
}

// encodeAll writes events for a client.
func encodeAll(o llm.StreamOptions, events []llm.Event) string {
	e := Codec{}.NewEncoder(o)
	var out []byte
	for _, ev := range events {
		out = e.Encode(out, ev)
	}
	return string(out)
}

// TestOwnStream: a stream of this dialect that went through the words says the
// same, in either form, with every signature where it stood.
func TestOwnStream(t *testing.T) {
	t.Parallel()
	for _, c := range wireCases(t) {
		if c.stream == "" || c.Meta.Ends == "error" {
			continue
		}
		events := eventsOf(t, c.stream)
		want := short(events)
		if d := cmp.Diff(want, short(eventsOf(t, encodeAll(llm.StreamOptions{}, events)))); d != "" {
			t.Errorf("%s as events (-want +got):\n%s", c.name, d)
		}
		array := encodeAll(llm.StreamOptions{Array: true}, events)
		if d := cmp.Diff(want, short(elementsOf(t, array))); d != "" {
			t.Errorf("%s as an array (-want +got):\n%s", c.name, d)
		}
	}
}

// TestEncoder: the bytes of a foreign stream.
func TestEncoder(t *testing.T) {
	t.Parallel()
	state := llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "s"}
	wrappedState := string(wrap(nil, &state))
	events := []llm.Event{
		{Kind: llm.EventStart, ID: "i", Model: "claude"},
		{Kind: llm.EventPing},
		{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemReasoning}},
		{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaReasoning, Text: "hm"}},
		{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: state}},
		{Kind: llm.EventBlockStop},
		{Kind: llm.EventBlockStart, Index: 1, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "a", Name: "f"}},
		{Kind: llm.EventDelta, Index: 1, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: "{\"x\":\n"}},
		{Kind: llm.EventDelta, Index: 1, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: "1}"}},
		{Kind: llm.EventBlockStop, Index: 1},
		{Kind: llm.EventUsage, Usage: llm.Usage{Input: 3, CacheRead: 2, CacheWrite5m: 1, Output: 9, Reasoning: 4, Source: llm.UsageProvider}},
		{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls, Native: "tool_use"}},
		{Kind: llm.EventPing},
	}
	const tail = `],"role":"model"},"index":0}],"modelVersion":"claude","responseId":"i"}`
	frames := []string{
		`{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}` + tail,
		`{"candidates":[{"content":{"parts":[{"text":"","thought":true,"thoughtSignature":"` + wrappedState + `"}` + tail,
		`{"candidates":[{"content":{"parts":[{"functionCall":{"id":"a","name":"f","args":{"x": 1}}}` + tail,
		`{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":5,"totalTokenCount":15,"cachedContentTokenCount":2,"thoughtsTokenCount":4},"modelVersion":"claude","responseId":"i"}`,
	}
	if d := cmp.Diff("data: "+strings.Join(frames, "\r\n\r\ndata: ")+"\r\n\r\n", encodeAll(llm.StreamOptions{}, events)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if d := cmp.Diff("["+strings.Join(frames, ",\r\n")+"]", encodeAll(llm.StreamOptions{Array: true}, events)); d != "" {
		t.Errorf("array (-want +got):\n%s", d)
	}
	// The next turn brings the state back on its thinking.
	var parts []string
	for _, f := range frames[:3] {
		content := get(get([]byte(f), "candidates")[1:], "content")
		parts = append(parts, strings.Trim(string(get(content, "parts")), "[]"))
	}
	r, err := Codec{}.DecodeRequest([]byte(`{"contents":[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[` + strings.Join(parts, ",") + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Items) != 3 || r.Items[1].Text() != "hm" || cmp.Diff([]llm.Opaque{state}, r.Items[1].Opaque) != "" {
		t.Errorf("the thought came back as %+v", r.Items)
	}
}

// TestStreamErrors: an error ends either form as its client reads it.
func TestStreamErrors(t *testing.T) {
	t.Parallel()
	e := llm.Errorf(llm.RateLimited, "slow\ndown")
	e.RetryAfter = 34e9
	const want = `{"error":{"code":429,"message":"slow\ndown","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}`
	fail := llm.Event{Kind: llm.EventError, Err: e}
	text := llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "a"}}
	if got := encodeAll(llm.StreamOptions{}, []llm.Event{text, fail, text}); !strings.HasSuffix(got, "\r\n\r\n"+want) {
		t.Errorf("%q", got)
	}
	if got := encodeAll(llm.StreamOptions{Array: true}, []llm.Event{fail}); got != "["+want+"]" {
		t.Errorf("%q", got)
	}
	got := encodeAll(llm.StreamOptions{Array: true}, []llm.Event{text, fail})
	if !json.Valid([]byte(got)) || !strings.HasSuffix(got, want+"]") {
		t.Errorf("%q", got)
	}
	if got := string(Codec{Array: true}.AppendStreamError(nil, e)); got != ",\r\n"+want+"]" {
		t.Errorf("%q", got)
	}
}

// TestOneLine: whatever a provider spells over several lines, a frame is one.
func TestOneLine(t *testing.T) {
	t.Parallel()
	pretty := "{\n\"candidates\": [\n{\"content\": {\"parts\": [{\"functionCall\":\n{\"name\":\"f\",\"args\":{\"a\":\n1}}},{\"executableCode\":\n{}}]},\n\"groundingMetadata\": {\n},\"finishReason\":\"STOP\"}],\n\"usageMetadata\":{\n\"promptTokenCount\":1}}"
	d := Codec{}.NewDecoder()
	events, err := d.Decode(nil, nil, []byte(pretty))
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(strings.TrimSuffix(encodeAll(llm.StreamOptions{}, d.Close(events)), "\r\n\r\n"), "\r\n\r\n") {
		if strings.ContainsAny(block, "\r\n") || !strings.HasPrefix(block, "data: {") || !json.Valid([]byte(block[6:])) {
			t.Errorf("%q", block)
		}
	}
}

// TestUsage: figures as Google counts them (golden), whole and streamed.
func TestUsage(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]llm.Usage{
		`{"promptTokenCount":100,"cachedContentTokenCount":80,"candidatesTokenCount":7,"thoughtsTokenCount":30,"toolUsePromptTokenCount":5,"totalTokenCount":142}`: {Input: 25, CacheRead: 80, Output: 37, Reasoning: 30},
		`{"promptTokenCount":9,"totalTokenCount":9}`: {Input: 9},
		`{"thoughts_token_count":"3"}`:               {Output: 3, Reasoning: 3},
	} {
		want.Source, want.Raw = llm.UsageProvider, []byte(raw)
		if d := cmp.Diff(want, usageOf([]byte(raw))); d != "" {
			t.Errorf("%s (-want +got):\n%s", raw, d)
		}
		u := want
		u.Raw = nil
		again := usageOf(appendUsage(nil, &u, false))
		if again.Total() != u.Total() || again.Reasoning != u.Reasoning || again.CacheRead != u.CacheRead {
			t.Errorf("%s went out as %s", raw, again.Raw)
		}
	}
	if u := usageOf([]byte(`{"trafficType":"ON_DEMAND"}`)); u.Source != "" {
		t.Errorf("no figures, yet %+v", u)
	}
	sum := llm.Usage{}
	for _, e := range eventsOf(t, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":1}}\n\ndata: {\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":4}}\n\n") {
		if e.Kind == llm.EventUsage {
			sum = e.Usage
		}
	}
	if sum.Output != 4 || sum.Input != 5 {
		t.Errorf("the last figures are the true ones, got %+v", sum)
	}
}
