package provider

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/sse"
)

// streams64 are streams of 64 pieces of text as their vendors write them.
func streams64() map[string]string {
	out := map[string]string{}
	b := &strings.Builder{}
	take := func(name string) {
		out[name] = b.String()
		b.Reset()
	}
	const chat = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini","service_tier":"default","system_fingerprint":"fp_1","choices":`
	fmt.Fprint(b, chat+`[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n")
	for i := range 64 {
		fmt.Fprintf(b, chat+`[{"index":0,"delta":{"content":" word %d"},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n", i)
	}
	fmt.Fprint(b, chat+`[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`+"\n\n"+
		chat+`[],"usage":{"prompt_tokens":130,"completion_tokens":64,"total_tokens":194}}`+"\n\ndata: [DONE]\n\n")
	take("openai")

	event := func(name, data string) { fmt.Fprintf(b, "event: %s\ndata: {\"type\":%q%s}\n\n", name, name, data) }
	event("message_start", `,"message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":130,"output_tokens":1}}`)
	event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)
	for i := range 64 {
		event("content_block_delta", fmt.Sprintf(`,"index":0,"delta":{"type":"text_delta","text":" word %d"}`, i))
	}
	event("content_block_stop", `,"index":0`)
	event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":64}`)
	event("message_stop", "")
	take("anthropic")

	text := strings.Repeat(" words", 64)
	said := fmt.Sprintf(`{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":%q}],"role":"assistant"}`, text)
	response := func(status, output, usage string) string {
		return `,"response":{"id":"resp_1","object":"response","created_at":1790000000,"status":"` + status + `","background":false,"error":null,"incomplete_details":null,` +
			`"instructions":"Answer shortly.","max_output_tokens":256,"model":"gpt-5.5","output":[` + output + `],"parallel_tool_calls":true,"previous_response_id":null,` +
			`"reasoning":{"effort":null,"summary":null},"store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":` + usage + `,"user":null,"metadata":{}}`
	}
	const at = `,"item_id":"msg_1","output_index":0,"content_index":0`
	event("response.created", response("in_progress", "", "null"))
	event("response.in_progress", response("in_progress", "", "null"))
	event("response.output_item.added", `,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[],"role":"assistant"}`)
	event("response.content_part.added", at+`,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}`)
	for range 64 {
		event("response.output_text.delta", at+`,"delta":" words","logprobs":[],"obfuscation":"x7Kp2mQ9vT"`)
	}
	event("response.output_text.done", at+fmt.Sprintf(`,"text":%q,"logprobs":[]`, text))
	event("response.content_part.done", at+fmt.Sprintf(`,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":%q}`, text))
	event("response.output_item.done", `,"output_index":0,"item":`+said)
	event("response.completed", response("completed", said, `{"input_tokens":130,"input_tokens_details":{"cached_tokens":0},"output_tokens":64,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":194}`))
	take("responses")

	for i := range 64 {
		finish := map[bool]string{true: `,"finishReason":"STOP"`}[i == 63]
		fmt.Fprintf(b, `data: {"candidates":[{"content":{"parts":[{"text":" word %d"}],"role":"model"}%s,"index":0}],"usageMetadata":{"promptTokenCount":130,"candidatesTokenCount":%d,"totalTokenCount":%d,`+
			`"promptTokensDetails":[{"modality":"TEXT","tokenCount":130}]},"modelVersion":"gemini-3.5-flash","responseId":"r"}`+"\r\n\r\n", i, finish, i+1, i+131)
	}
	take("gemini")
	return out
}

// come is a stream that comes in pieces of at most a size.
type come struct {
	text string
	size int
}

func (c *come) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}

var passing = map[string]Codec{"openai": openai.Codec{}, "anthropic": anthropic.Codec{}, "responses": responses.Codec{}, "gemini": gemini.Codec{}}

// TestPass64: the streams that the benchmark measures are passed whole, with
// their usage and their end.
func TestPass64(t *testing.T) {
	for name, text := range streams64() {
		p := &Provider{row: &catalog.Provider{ID: "p"}}
		s := p.stream(io.NopCloser(&come{text, 3000}), sse.NewReader(&come{text, 3000}, 0), "m", &outgoing{codec: passing[name], native: true})
		var got bytes.Buffer
		var usage llm.Usage
		finished := false
		for {
			piece, err := s.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(name, err)
			}
			got.Write(piece.Raw)
			for _, e := range piece.Events {
				if e.Kind == llm.EventUsage {
					usage = e.Usage
				}
				finished = finished || e.Kind == llm.EventFinish && e.Finish.Reason == llm.FinishStop
			}
		}
		if got.String() != text || !finished || usage.Input != 130 || usage.Output != 64 {
			t.Errorf("%s: passed %v, finished %v, usage %+v", name, got.String() == text, finished, usage)
		}
	}
}

// BenchmarkPass64 is what passing a stream costs beside reading and writing it.
func BenchmarkPass64(b *testing.B) {
	for name, text := range streams64() {
		b.Run(name, func(b *testing.B) {
			p := &Provider{row: &catalog.Provider{ID: "p"}}
			b.ReportAllocs()
			for b.Loop() {
				c := &come{text, 3000}
				s := p.stream(io.NopCloser(c), sse.NewReader(c, 0), "m", &outgoing{codec: passing[name], native: true})
				for {
					if _, err := s.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				s.Close()
			}
		})
	}
}
