package anthropic

import (
	"fmt"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// chunks is a stream of 64 text deltas, padded as the API pads them.
func chunks() [][2][]byte {
	add := func(fs [][2][]byte, name, data string) [][2][]byte {
		return append(fs, [2][]byte{[]byte(name), []byte(data)})
	}
	fs := add(nil, "message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}`)
	fs = add(fs, "content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for i := range 64 {
		text := " some words of an answer"
		if i%8 == 7 {
			text = `\n- a \"quoted\" é`
		}
		fs = add(fs, "content_block_delta", fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}%s}`, text, strings.Repeat(" ", i%12)))
	}
	fs = add(fs, "content_block_stop", `{"type":"content_block_stop","index":0}`)
	fs = add(fs, "message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":400}}`)
	return add(fs, "message_stop", `{"type":"message_stop"}`)
}

// BenchmarkDecodeStream is the provider's side of a translated stream.
func BenchmarkDecodeStream(b *testing.B) {
	fs := chunks()
	var es []llm.Event
	b.ReportAllocs()
	for b.Loop() {
		d := Codec{}.NewDecoder()
		for _, f := range fs {
			var err error
			if es, err = d.Decode(es[:0], f[0], f[1]); err != nil {
				b.Fatal(err)
			}
		}
		es = d.Close(es[:0])
	}
}

// BenchmarkEncodeStream is the client's side of a translated stream.
func BenchmarkEncodeStream(b *testing.B) {
	d := Codec{}.NewDecoder()
	var es []llm.Event
	for _, f := range chunks() {
		es, _ = d.Decode(es, f[0], f[1])
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		e := Codec{}.NewEncoder(llm.StreamOptions{})
		out = out[:0]
		for i := range es {
			out = e.Encode(out, es[i])
		}
	}
}

// BenchmarkTelling is the tap's byte search over a passed stream.
func BenchmarkTelling(b *testing.B) {
	fs := chunks()
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range fs {
			Codec{}.Telling(f[1])
		}
	}
}

// BenchmarkHeadPatch is the request side of a pass within the dialect.
func BenchmarkHeadPatch(b *testing.B) {
	body := []byte(`{"model":"a","max_tokens":100,"messages":[{"role":"user","content":"` + strings.Repeat("words ", 1000) + `"}],"stream":true}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		h, err := Codec{}.Head(llm.OpChat, body)
		if err != nil {
			b.Fatal(err)
		}
		d := llm.NewDraft(llm.Anthropic, llm.OpChat, body, h, nil).With(llm.Edit{Kind: llm.EditModel, Text: "b"})
		if _, err := (Codec{}).Patch(&d, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEncodeRequest writes a chat request of another dialect.
func BenchmarkEncodeRequest(b *testing.B) {
	r := chat(user("Hello"), assistantCall("call_1", "f", `{"a":1}`), result("call_1", strings.Repeat("words ", 500)))
	c := opus55()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Codec{}).EncodeRequest(r, "claude-opus-5-5", c); err != nil {
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
