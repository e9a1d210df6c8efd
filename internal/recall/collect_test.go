package recall_test

import (
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

// collect plays events to a Collector.
func collect(events ...llm.Event) []llm.Item {
	var c recall.Collector
	for i := range events {
		c.Event(&events[i])
	}
	return c.Items()
}

func start(index int, b llm.BlockHead) llm.Event {
	return llm.Event{Kind: llm.EventBlockStart, Index: index, Block: b}
}

func delta(index int, kind llm.DeltaKind, s string) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Index: index, Delta: llm.Delta{Kind: kind, Text: s}}
}

func sig(index int, o llm.Opaque) llm.Event {
	return llm.Event{Kind: llm.EventDelta, Index: index, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: o}}
}

func stop(index int) llm.Event { return llm.Event{Kind: llm.EventBlockStop, Index: index} }

var finish = llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls}}

// TestCollect: what a stream says is what a whole answer says.
func TestCollect(t *testing.T) {
	t.Parallel()
	anthropic := llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "S"}
	gemini := llm.Opaque{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: "G"}
	call := func(id string) llm.BlockHead { return llm.BlockHead{Kind: llm.ItemToolCall, ID: id, Name: "f"} }
	think := llm.BlockHead{Kind: llm.ItemReasoning}
	for _, c := range []struct {
		name   string
		events []llm.Event
		want   string
	}{
		{"anthropic: thought and signature before the call", []llm.Event{{Kind: llm.EventStart}, start(0, think), delta(0, llm.DeltaReasoning, "h"), {Kind: llm.EventPing},
			delta(0, llm.DeltaReasoning, "m"), sig(0, anthropic), stop(0), start(1, llm.BlockHead{Kind: llm.ItemMessage}), delta(1, llm.DeltaText, "Let"), delta(1, llm.DeltaText, " me."), stop(1),
			start(2, call("a")), delta(2, llm.DeltaArguments, `{"x"`), delta(2, llm.DeltaArguments, `:1}`), stop(2), {Kind: llm.EventUsage}, finish},
			"think hm <S>; assistant Let; call a; "},
		{"redacted", []llm.Event{start(0, llm.BlockHead{Kind: llm.ItemReasoning, Opaque: []llm.Opaque{{Issuer: "x", Kind: llm.OpaqueRedacted, Data: "R"}}}), stop(0), start(1, call("a")), stop(1), finish},
			"think  <R>; call a; "},
		{"a later signature replaces an earlier one", []llm.Event{start(0, think), sig(0, llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "half"}), sig(0, anthropic), sig(0, gemini), stop(0), start(1, call("a")), stop(1), finish},
			"think  <S> <G>; call a; "},
		{"gemini: parallel calls, signature on the first", []llm.Event{start(0, llm.BlockHead{Kind: llm.ItemToolCall, ID: "a", Name: "f", Opaque: []llm.Opaque{gemini}}), delta(0, llm.DeltaArguments, "{}"), stop(0), start(1, call("b")), stop(1), finish},
			"call a <G>; call b; "},
		{"gemini: signature in a delta", []llm.Event{start(0, call("a")), delta(0, llm.DeltaArguments, "{}"), sig(0, gemini), stop(0), finish},
			"call a <G>; "},
		{"cut", []llm.Event{start(0, think), sig(0, anthropic), stop(0), start(1, call("a"))}, ""},
		{"failed", []llm.Event{start(0, think), sig(0, anthropic), stop(0), start(1, call("a")), stop(1), {Kind: llm.EventError}}, ""},
		{"a delta before any block", []llm.Event{delta(0, llm.DeltaReasoning, "x"), finish}, ""},
	} {
		got := collect(c.events...)
		if say(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, say(got), c.want)
		}
	}
	items := collect(start(0, call("a")), delta(0, llm.DeltaArguments, `{"x"`), delta(0, llm.DeltaArguments, `:1}`), stop(0), start(1, call("b")), delta(1, llm.DeltaArguments, `[]`), stop(1), finish)
	if len(items) != 2 || string(items[0].Call.Arguments) != `{"x":1}` || string(items[1].Call.Arguments) != `[]` {
		t.Errorf("arguments: %+v", items)
	}
	detail := llm.Event{Kind: llm.EventBlockStart, From: llm.OpenAI, Block: llm.BlockHead{Kind: llm.ItemReasoning, Type: "reasoning.summary", ID: "rs_1", Name: "openai-responses-v1"}}
	items = collect(detail, delta(0, llm.DeltaReasoning, "sum"), stop(0), start(1, call("a")), stop(1), finish)
	if it := items[0]; it.Type != "reasoning.summary" || it.ID != "rs_1" || it.Name != "openai-responses-v1" || it.From != llm.OpenAI {
		t.Errorf("openrouter's detail: %+v", it)
	}
	huge := collect(start(0, think), delta(0, llm.DeltaReasoning, strings.Repeat("x", 9<<20)), stop(0), start(1, call("a")), stop(1), finish)
	if huge != nil {
		t.Error("an answer without bounds is kept")
	}
}

// TestReplayCollects: a whole answer that is given as a stream is noted alike.
func TestReplayCollects(t *testing.T) {
	t.Parallel()
	whole := []llm.Item{thought("hm", "S"), words("x"), signed("a", `{"x":1}`, "G"), tool("b", `{}`)}
	var c recall.Collector
	for _, e := range llm.Replay(&llm.Response{From: llm.Anthropic, Items: whole, Finish: finish.Finish}) {
		c.Event(&e)
	}
	if got := say(c.Items()); got != say(whole) {
		t.Errorf("got %s, want %s", got, say(whole))
	}
}
