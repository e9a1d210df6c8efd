package gemini

import (
	"strings"
	"testing"

	"headrace/internal/llm"
)

const benchFrame = `{"candidates": [{"content": {"parts": [{"text": "some words of an answer, about so many"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 1200,"candidatesTokenCount": 31,"totalTokenCount": 1231,"promptTokensDetails": [{"modality": "TEXT","tokenCount": 1200}]},"modelVersion": "gemini-3.5-flash","responseId": "r-1"}`

func BenchmarkDecoder(b *testing.B) {
	d := Codec{}.NewDecoder()
	var events []llm.Event
	b.ReportAllocs()
	b.SetBytes(int64(len(benchFrame)))
	for b.Loop() {
		var err error
		if events, err = d.Decode(events[:0], nil, []byte(benchFrame)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncoder(b *testing.B) {
	e := Codec{}.NewEncoder(llm.StreamOptions{})
	var out []byte
	out = e.Encode(out, llm.Event{Kind: llm.EventStart, ID: "i", Model: "m"})
	out = e.Encode(out, llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}})
	ev := llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "some words of an answer, about so many"}}
	b.ReportAllocs()
	for b.Loop() {
		out = e.Encode(out[:0], ev)
	}
}

func BenchmarkHead(b *testing.B) {
	body := []byte(`{"contents":[{"role":"user","parts":[{"text":"` + strings.Repeat("some words ", 800) + `"}]}],"generationConfig":{"maxOutputTokens":100}}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := (Codec{}).Head(llm.OpChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEncoderAllocates: a delta costs the client's stream nothing.
func TestEncoderAllocates(t *testing.T) {
	e := Codec{}.NewEncoder(llm.StreamOptions{})
	out := e.Encode(make([]byte, 0, 1<<10), llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}})
	ev := llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "words"}}
	out = e.Encode(out, ev)
	if n := testing.AllocsPerRun(100, func() { out = e.Encode(out[:0], ev) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
