package responses

import (
	"bytes"
	"fmt"
	"testing"

	"headrace/internal/llm"
)

// stream64 is a streamed text of 64 pieces, as events and as frames.
func stream64() (events []llm.Event, frames [][]byte) {
	events = []llm.Event{{Kind: llm.EventStart, ID: "resp_1", Model: "gpt-6-luna", Created: 1790000000}, {Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}}}
	for i := range 64 {
		events = append(events, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: fmt.Sprintf(" words of %d", i)}})
	}
	events = append(events, llm.Event{Kind: llm.EventBlockStop}, llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{Source: llm.UsageProvider, Input: 10, Output: 64}},
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
	for frame := range bytes.SplitSeq(bytes.TrimSpace([]byte(written(events))), []byte("\n\n")) {
		_, data, _ := bytes.Cut(frame, []byte("\ndata: "))
		frames = append(frames, data)
	}
	return events, frames
}

func BenchmarkEncodeStream64(b *testing.B) {
	events, _ := stream64()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		e := Codec{}.NewEncoder(llm.StreamOptions{ID: "x", Model: "m"})
		buf = buf[:0]
		for i := range events {
			buf = e.Encode(buf, events[i])
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeStream64(b *testing.B) {
	_, frames := stream64()
	var events []llm.Event
	b.ReportAllocs()
	for b.Loop() {
		d := Codec{}.NewDecoder()
		for _, f := range frames {
			var err error
			if events, err = d.Decode(events[:0], nil, f); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkTelling(b *testing.B) {
	_, frames := stream64()
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range frames {
			Codec{}.Telling(f)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	body := file(b, "history/request.json")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).Head(llm.OpChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	body := file(b, "history/request.json")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).DecodeRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEncoderAllocations: a delta costs no allocation, and no map is made.
func TestEncoderAllocations(t *testing.T) {
	e := Codec{}.NewEncoder(llm.StreamOptions{ID: "x", Model: "m"})
	buf := make([]byte, 0, 1<<16)
	for _, ev := range []llm.Event{{Kind: llm.EventStart}, {Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}},
		{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "begin"}}} {
		buf = e.Encode(buf, ev)
	}
	e.(*encoder).text = make([]byte, 0, 1<<16)
	ev := llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "some words"}}
	if n := testing.AllocsPerRun(100, func() { buf = e.Encode(buf[:0], ev) }); n > 0 {
		t.Errorf("%v allocations a delta", n)
	}
}
