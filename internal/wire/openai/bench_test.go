package openai

import (
	"fmt"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// stream64 is a stream of 64 pieces of text, as words and as frames.
func stream64() (events []llm.Event, frames [][]byte) {
	events = append(events, llm.Event{Kind: llm.EventStart, ID: "msg_013Zva2CMHLNnXjNJJKqJ2EF", Model: "claude-opus-5-5", Created: 1763900000},
		llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}})
	var b strings.Builder
	for i := range 64 {
		s := fmt.Sprintf(" and so piece %d of it", i)
		events = append(events, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: s}})
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-ABC","object":"chat.completion.chunk","created":1763900000,"model":"gpt-5.5","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":%q},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"Xy12"}`+"\n\n", s)
	}
	events = append(events, llm.Event{Kind: llm.EventBlockStop}, llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{Input: 10, Output: 64, Source: llm.UsageProvider}},
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
	b.WriteString(`data: {"id":"chatcmpl-ABC","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n")
	b.WriteString(`data: {"id":"chatcmpl-ABC","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":64,"total_tokens":74}}` + "\n\ndata: [DONE]\n\n")
	r := sse.NewReader(strings.NewReader(b.String()), 0)
	for {
		f, err := r.Next()
		if err != nil {
			return events, frames
		}
		frames = append(frames, append([]byte(nil), f.Data...))
	}
}

func BenchmarkEncodeStream64(b *testing.B) {
	events, _ := stream64()
	buf := make([]byte, 0, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		e := Codec{}.NewEncoder(llm.StreamOptions{IncludeUsage: true})
		buf = buf[:0]
		for i := range events {
			buf = e.Encode(buf, events[i])
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeStream64(b *testing.B) {
	_, frames := stream64()
	events := make([]llm.Event, 0, 8)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		d := Codec{}.NewDecoder()
		n = 0
		for _, f := range frames {
			var err error
			if events, err = d.Decode(events[:0], nil, f); err != nil {
				b.Fatal(err)
			}
			n += len(f)
		}
		events = d.Close(events[:0])
	}
	b.SetBytes(int64(n))
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

// agentRequest is about 8 KB with tools, as an agent sends it.
func agentRequest() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"gpt-5.5","stream":true,"max_tokens":4000,"tools":[`)
	for i := range 8 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"does the thing number %d","parameters":{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"}},"required":["path"]}}}`, i, i)
	}
	b.WriteString(`],"messages":[{"role":"system","content":"You are a careful agent."}`)
	for i := range 12 {
		fmt.Fprintf(&b, `,{"role":"user","content":"please do step %d %s"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_%d","type":"function","function":{"name":"tool_1","arguments":"{\"path\":\"/a/b\"}"}}]},{"role":"tool","tool_call_id":"call_%d","content":"ok"}`, i, strings.Repeat("carefully ", 20), i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkHead(b *testing.B) {
	body := agentRequest()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).Head(llm.OpChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatch(b *testing.B) {
	body := agentRequest()
	d := draft(b, string(body), toModel, usage)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).Patch(d, &llm.Capability{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	body := agentRequest()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).DecodeRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	r, err := Codec{}.DecodeRequest(agentRequest())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).EncodeRequest(r, "m", &llm.Capability{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGlance(b *testing.B) {
	body := fmt.Appendf(nil, `{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"gpt-5.5","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":130,"completion_tokens":72,"total_tokens":202,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default"}`, strings.Repeat("some words of an answer ", 12))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).Glance(body); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEncoderAllocations: a delta costs no allocation, so that no map is made
// for it either.
func TestEncoderAllocations(t *testing.T) {
	e := Codec{}.NewEncoder(llm.StreamOptions{ID: "x", Model: "m"})
	buf := make([]byte, 0, 1<<16)
	for _, ev := range []llm.Event{{Kind: llm.EventStart}, {Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}},
		{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "begin"}}} {
		buf = e.Encode(buf, ev)
	}
	ev := llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "some words"}}
	if n := testing.AllocsPerRun(100, func() { buf = e.Encode(buf[:0], ev) }); n > 0 {
		t.Errorf("%v allocations a delta", n)
	}
}
