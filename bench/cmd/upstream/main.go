// Command upstream is a provider whose answers are ready-made, so that what a
// measurement shows is the cost of what stands before it. It speaks Chat
// Completions, Responses, Messages, Gemini and Ollama, whole and streamed; the model "idle" opens a
// stream, says one word and then nothing until the client leaves.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
)

const sentence = "the wheel turns as long as the water comes "

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	pieces := flag.Int("pieces", 64, "text pieces in a stream")
	flag.Parse()

	mux := http.NewServeMux()
	mux.Handle("POST /v1/chat/completions", canned(eventStream, chatWhole(), chatStream(*pieces)))
	mux.Handle("POST /v1/messages", canned(eventStream, messageWhole(), messageStream(*pieces)))
	mux.Handle("POST /v1/responses", canned(eventStream, responseWhole(), responseStream(*pieces)))
	mux.Handle("POST /v1beta/models/{call}", canned(eventStream, geminiWhole(), geminiStream(*pieces)))
	mux.Handle("POST /api/chat", canned("application/x-ndjson", ollamaWhole(), ollamaStream(*pieces)))
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}`)
	})
	log.Fatal(http.ListenAndServe(*listen, mux))
}

const eventStream = "text/event-stream; charset=utf-8"

// canned answers with the whole body, or with the frames one by one, each
// flushed as a provider would.
func canned(kind string, whole []byte, frames [][]byte) http.HandlerFunc {
	length := strconv.Itoa(len(whole))
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !bytes.Contains(request, []byte(`"stream":true`)) && !strings.Contains(r.URL.Path, ":stream") {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", length)
			w.Write(whole)
			return
		}
		w.Header().Set("Content-Type", kind)
		flusher := http.NewResponseController(w)
		idle := bytes.Contains(request, []byte(`"model":"idle"`))
		for i, frame := range frames {
			if _, err := w.Write(frame); err != nil {
				return
			}
			if err := flusher.Flush(); err != nil {
				return
			}
			if idle && i == 1 { // the opening frame and one piece of text are out
				<-r.Context().Done()
				return
			}
		}
	}
}

func chatWhole() []byte {
	return fmt.Appendf(nil, `{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini-2024-07-18",`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],`+
		`"usage":{"prompt_tokens":130,"completion_tokens":72,"total_tokens":202,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}`, strings.Repeat(sentence, 8))
}

func chatStream(pieces int) [][]byte {
	head := `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_bench",`
	out := [][]byte{[]byte(head + `"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n")}
	for range pieces {
		out = append(out, []byte(head+`"choices":[{"index":0,"delta":{"content":"water "},"logprobs":null,"finish_reason":null}],"usage":null}`+"\n\n"))
	}
	return append(out,
		[]byte(head+`"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}`+"\n\n"),
		fmt.Appendf(nil, head+`"choices":[],"usage":{"prompt_tokens":130,"completion_tokens":%d,"total_tokens":%d}}`+"\n\n", pieces, pieces+130),
		[]byte("data: [DONE]\n\n"))
}

func messageWhole() []byte {
	return fmt.Appendf(nil, `{"id":"msg_bench","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[{"type":"text","text":%q}],`+
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":130,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,`+
		`"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":72,"service_tier":"standard"}}`, strings.Repeat(sentence, 8))
}

func messageStream(pieces int) [][]byte {
	event := func(name, data string) []byte {
		return []byte("event: " + name + "\ndata: {\"type\":\"" + name + "\"" + data + "}\n\n")
	}
	start := append(event("message_start", `,"message":{"id":"msg_bench","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[],`+
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":130,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}`),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`)...)
	out := [][]byte{start}
	for range pieces {
		out = append(out, event("content_block_delta", `,"index":0,"delta":{"type":"text_delta","text":"water "}`))
	}
	return append(out,
		event("content_block_stop", `,"index":0`),
		event("message_delta", fmt.Sprintf(`,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}`, pieces)),
		event("message_stop", ""))
}

// response is a whole answer of Responses with these items.
func response(status, output, usage string) string {
	return `{"id":"resp_bench","object":"response","created_at":1790000000,"status":"` + status + `","background":false,"error":null,"incomplete_details":null,` +
		`"instructions":null,"max_output_tokens":256,"model":"gpt-4o-mini-2024-07-18","output":[` + output + `],"parallel_tool_calls":true,"previous_response_id":null,` +
		`"reasoning":{"effort":null,"summary":null},"store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":` + usage + `,"user":null,"metadata":{}}`
}

// said is the message of an answer of Responses.
func said(text string) string {
	return fmt.Sprintf(`{"id":"msg_bench","type":"message","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":%q}],"role":"assistant"}`, text)
}

func responseUsage(n int) string {
	return fmt.Sprintf(`{"input_tokens":130,"input_tokens_details":{"cached_tokens":0},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}`, n, n+130)
}

func responseWhole() []byte {
	return []byte(response("completed", said(strings.Repeat(sentence, 8)), responseUsage(72)))
}

func responseStream(pieces int) [][]byte {
	n := 0
	event := func(name, data string) []byte {
		b := fmt.Appendf(nil, "event: %s\ndata: {\"type\":%q,\"sequence_number\":%d%s}\n\n", name, name, n, data)
		n++
		return b
	}
	const at = `,"item_id":"msg_bench","output_index":0,"content_index":0`
	text := strings.Repeat("water ", pieces)
	out := [][]byte{
		event("response.created", `,"response":`+response("in_progress", "", "null")),
		event("response.in_progress", `,"response":`+response("in_progress", "", "null")),
		event("response.output_item.added", `,"output_index":0,"item":{"id":"msg_bench","type":"message","status":"in_progress","content":[],"role":"assistant"}`),
		event("response.content_part.added", at+`,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}`),
	}
	for range pieces {
		out = append(out, event("response.output_text.delta", at+`,"delta":"water ","logprobs":[],"obfuscation":"x7Kp2mQ9vT"`))
	}
	return append(out,
		event("response.output_text.done", at+fmt.Sprintf(`,"text":%q,"logprobs":[]`, text)),
		event("response.content_part.done", at+fmt.Sprintf(`,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":%q}`, text)),
		event("response.output_item.done", `,"output_index":0,"item":`+said(text)),
		event("response.completed", `,"response":`+response("completed", said(text), responseUsage(pieces))))
}

func geminiChunk(text, finish string, n int) []byte {
	return fmt.Appendf(nil, `{"candidates":[{"content":{"parts":[{"text":%q}],"role":"model"}%s,"index":0}],"usageMetadata":{"promptTokenCount":130,"candidatesTokenCount":%d,"totalTokenCount":%d,`+
		`"promptTokensDetails":[{"modality":"TEXT","tokenCount":130}]},"modelVersion":"gemini-3.5-flash","responseId":"bench"}`, text, finish, n, n+130)
}

func geminiWhole() []byte {
	return geminiChunk(strings.Repeat(sentence, 8), `,"finishReason":"STOP"`, 72)
}

func geminiStream(pieces int) (out [][]byte) {
	for i := range pieces {
		finish := ""
		if i == pieces-1 {
			finish = `,"finishReason":"STOP"`
		}
		out = append(out, fmt.Appendf(nil, "data: %s\r\n\r\n", geminiChunk("water ", finish, i+1)))
	}
	return out
}

func ollamaLine(text, end string) []byte {
	return fmt.Appendf(nil, `{"model":"llama3.2","created_at":"2026-11-20T09:30:02.123456Z","message":{"role":"assistant","content":%q},"done":%s}`, text, end)
}

// ollamaEnd is what the last line says.
func ollamaEnd(n int) string {
	return fmt.Sprintf(`true,"done_reason":"stop","total_duration":1000000,"load_duration":1000,"prompt_eval_count":130,"prompt_eval_duration":1000,"eval_count":%d,"eval_duration":1000`, n)
}

func ollamaWhole() []byte { return ollamaLine(strings.Repeat(sentence, 8), ollamaEnd(72)) }

func ollamaStream(pieces int) (out [][]byte) {
	for range pieces {
		out = append(out, append(ollamaLine("water ", "false"), '\n'))
	}
	return append(out, append(ollamaLine("", ollamaEnd(pieces)), '\n'))
}
