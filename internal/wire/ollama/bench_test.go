package ollama

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// stream64 is a stream of 64 pieces of text, as words and as lines.
func stream64() (es []llm.Event, lines [][]byte) {
	es = append(es, llm.Event{Kind: llm.EventStart, ID: "msg_1", Model: "claude-opus-5-5", Created: 1763900000},
		llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}})
	for i := range 64 {
		s := fmt.Sprintf(" and so piece %d of it", i)
		es = append(es, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: s}})
		lines = append(lines, fmt.Appendf(nil, `{"model":"pebble:4b","created_at":"2026-11-20T09:30:01.123456Z","message":{"role":"assistant","content":%q},"done":false}`, s))
	}
	es = append(es, llm.Event{Kind: llm.EventBlockStop}, llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{Input: 10, Output: 64, Source: llm.UsageProvider}},
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
	lines = append(lines, []byte(`{"model":"pebble:4b","created_at":"2026-11-20T09:30:02.123456Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":1,"load_duration":1,"prompt_eval_count":10,"prompt_eval_duration":1,"eval_count":64,"eval_duration":1}`))
	return es, lines
}

func BenchmarkEncodeStream64(b *testing.B) {
	es, _ := stream64()
	buf := make([]byte, 0, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		e := Codec{}.NewEncoder(llm.StreamOptions{})
		buf = buf[:0]
		for i := range es {
			buf = e.Encode(buf, es[i])
		}
	}
	b.SetBytes(int64(len(buf)))
}

// A stream costs its encoder and two buffers, whatever its length.
func TestEncoderAllocations(t *testing.T) {
	es, _ := stream64()
	buf := make([]byte, 0, 32<<10)
	if n := testing.AllocsPerRun(20, func() {
		e := Codec{}.NewEncoder(llm.StreamOptions{})
		buf = buf[:0]
		for i := range es {
			buf = e.Encode(buf, es[i])
		}
	}); n > 6 {
		t.Errorf("%v allocations for a stream of 64 pieces", n)
	}
}

func BenchmarkDecodeStream64(b *testing.B) {
	_, lines := stream64()
	es := make([]llm.Event, 0, 8)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		d := Codec{}.NewDecoder()
		n = 0
		for _, l := range lines {
			var err error
			if es, err = d.Decode(es[:0], nil, l); err != nil {
				b.Fatal(err)
			}
			n += len(l)
		}
		es = d.Close(es[:0])
	}
	b.SetBytes(int64(n))
}

func BenchmarkTelling(b *testing.B) {
	_, lines := stream64()
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range lines {
			Codec{}.Telling(l)
		}
	}
}

// agentRequest is about 8 KB with tools, as an agent sends it.
func agentRequest() []byte {
	var b strings.Builder
	b.WriteString(`{"model":"pebble:4b","options":{"num_predict":4000},"tools":[`)
	for i := range 8 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"does the thing number %d","parameters":{"type":"object","properties":{"path":{"type":"string"},"n":{"type":"integer"}},"required":["path"]}}}`, i, i)
	}
	b.WriteString(`],"messages":[{"role":"system","content":"You are a careful agent."}`)
	for i := range 12 {
		fmt.Fprintf(&b, `,{"role":"user","content":"please do step %d %s"},{"role":"assistant","content":"","tool_calls":[{"id":"call_%d","function":{"index":0,"name":"tool_1","arguments":{"path":"/a/b"}}}]},{"role":"tool","tool_call_id":"call_%d","tool_name":"tool_1","content":"ok"}`, i, strings.Repeat("carefully ", 20), i, i)
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
	r := decoded(b, agentRequest())
	for name, from := range map[string]llm.Dialect{"own": llm.Ollama, "foreign": llm.Anthropic} {
		b.Run(name, func(b *testing.B) {
			req := *r
			if req.From = from; from != llm.Ollama {
				req.Raw = nil
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (Codec{}).EncodeRequest(&req, "m", &llm.Capability{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGlanceEmbed(b *testing.B) {
	body := append([]byte(`{"model":"m","embeddings":[[0.1`), bytes.Repeat([]byte(`,0.12345678`), 1024)...)
	body = append(body, `]],"prompt_eval_count":5}`...)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).GlanceEmbed(body); err != nil {
			b.Fatal(err)
		}
	}
}
