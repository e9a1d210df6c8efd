package anthropic

import (
	"strings"
	"testing"

	"headrace/internal/llm"
)

// TestRawValuesStayOnALine: what a provider wrote over several lines is written
// on one in a stream.
func TestRawValuesStayOnALine(t *testing.T) {
	t.Parallel()
	ext := []llm.Member{{Name: "later", Value: raw("{\n\"x\":\r\n1}")}}
	stream := encode([]llm.Event{
		{Kind: llm.EventStart, From: llm.Anthropic, ID: "i", Model: "m", Ext: ext,
			Usage: llm.Usage{Source: llm.UsageProvider, Raw: raw("{\n\"input_tokens\": 1}")}},
		{Kind: llm.EventBlockStart, From: llm.Anthropic, Index: 0, Block: llm.BlockHead{Kind: llm.ItemOpaque, Type: "a", Raw: raw("{\r\"type\":\n\"a\"}")}},
		{Kind: llm.EventDelta, From: llm.Anthropic, Index: 0, Delta: llm.Delta{Kind: llm.DeltaNative, Type: "b", Raw: raw("{\n\"type\": \"b\"}")}},
		{Kind: llm.EventBlockStop, Index: 0},
		{Kind: llm.EventBlockStart, From: llm.Anthropic, Index: 1, Block: llm.BlockHead{Kind: llm.ItemMessage}, Ext: ext},
		{Kind: llm.EventDelta, From: llm.Anthropic, Index: 1, Delta: llm.Delta{Kind: llm.DeltaText, Text: "x\ny"}, Ext: ext},
		{Kind: llm.EventBlockStop, Index: 1},
		{Kind: llm.EventUsage, From: llm.Anthropic, Usage: llm.Usage{Source: llm.UsageProvider, Raw: raw("{\n\"output_tokens\": 1}")}},
		{Kind: llm.EventFinish, From: llm.Anthropic, Finish: llm.Finish{Reason: llm.FinishRefusal, Native: "refusal", Details: raw("{\n\"type\":\"refusal\"}")},
			Ext: append([]llm.Member{{Name: "delta.more", Value: raw("[\n]")}}, ext...)},
	}, llm.StreamOptions{})
	frames := 0
	for frame := range strings.SplitSeq(strings.TrimSpace(stream), "\n\n") {
		_, data, ok := strings.Cut(frame, "\ndata: ")
		if frames++; !ok || strings.ContainsAny(data, "\r\n") || !validJSON([]byte(data)) {
			t.Errorf("%q", frame)
		}
	}
	if frames != 9 {
		t.Errorf("%d frames:\n%s", frames, stream)
	}
}

// TestThinkingThatMayBeSigned: a block that begins with a signature, empty or
// not, is of a model that signs; one without is of nobody we know.
func TestThinkingThatMayBeSigned(t *testing.T) {
	t.Parallel()
	for begin, want := range map[string]string{
		`{"type":"thinking","thinking":"","signature":""}`: llm.IssuerAnthropic,
		`{"type":"thinking","thinking":""}`:                "",
	} {
		es, err := decodeAll(t, `{"type":"message_start","message":{"id":"i"}}`, `{"type":"content_block_start","index":0,"content_block":`+begin+`}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			if e.Kind == llm.EventBlockStart && e.Block.Name != want {
				t.Errorf("%s: %q, want %q", begin, e.Block.Name, want)
			}
		}
	}
	// An empty redacted block is no state.
	it, _, err := decodeItem(raw(`{"type":"redacted_thinking","data":""}`), llm.Assistant, "x")
	if err != nil || len(it.Opaque) > 0 {
		t.Errorf("%v, %v", it.Opaque, err)
	}
}
