// Command upstream is a provider whose answers are ready-made, so that what a
// measurement shows is the cost of what stands before it. It speaks Chat
// Completions and Messages, whole and streamed; the model "idle" opens a
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
	mux.Handle("POST /v1/chat/completions", canned(chatWhole(), chatStream(*pieces)))
	mux.Handle("POST /v1/messages", canned(messageWhole(), messageStream(*pieces)))
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}`)
	})
	log.Fatal(http.ListenAndServe(*listen, mux))
}

// canned answers with the whole body, or with the frames one by one, each
// flushed as a provider would.
func canned(whole []byte, frames [][]byte) http.HandlerFunc {
	length := strconv.Itoa(len(whole))
	return func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !bytes.Contains(request, []byte(`"stream":true`)) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", length)
			w.Write(whole)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
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
