package provider

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// endless reads a text and then another one every now and then, until it is
// closed; with no other text it stays silent.
type endless struct {
	text, more string
	ended      bool // the text is followed by a clean end
	closed     chan struct{}
	closes     atomic.Int32
}

func (e *endless) Read(b []byte) (int, error) {
	if e.text == "" {
		if e.ended {
			return 0, io.EOF
		}
		var next <-chan time.Time
		if e.more != "" {
			next = time.After(100 * time.Millisecond)
		}
		select {
		case <-e.closed:
			return 0, errors.New("read on a closed body")
		case <-next:
			e.text = e.more
		}
	}
	n := copy(b, e.text)
	e.text = e.text[n:]
	return n, nil
}

func (e *endless) Close() error {
	if e.closes.Add(1) == 1 {
		close(e.closed)
	}
	return nil
}

// TestTail: behind the terminal event a stream ends in bounded time, whatever
// the provider does then; one that ends by itself is not closed before it has.
func TestTail(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Row: &catalog.Provider{ID: "p", Dialect: llm.OpenAI, Auth: catalog.NoAuth, BaseURL: "http://p.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	whole := map[llm.Dialect]struct{ text, more string }{
		llm.OpenAI: {`data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n", ": keep-alive\n\n"},
		llm.Anthropic: {"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n" +
			"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n"},
		llm.Responses: {"data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n", "data: {\"type\":\"keepalive\"}\n\n"},
		llm.Ollama:    {`{"model":"m","message":{"role":"assistant","content":"a"},"done":true,"done_reason":"stop"}` + "\n", "{}\n"},
	}
	for d, text := range whole {
		for _, native := range []bool{false, true} {
			for name, body := range map[string]*endless{
				"goes on":     {text: text.text, more: text.more},
				"says no end": {text: text.text},
				"ends":        {text: text.text, ended: true},
			} {
				t.Run(string(d)+" "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						body.closed = make(chan struct{})
						frames := sse.NewReader(body, 0)
						if d == llm.Ollama {
							frames = sse.NewLineReader(body, 0)
						}
						s := p.stream(body, frames, "m", &outgoing{codec: codecs[d].Codec, native: native})
						began, finished := time.Now(), 0
						for {
							piece, err := s.Next()
							if err == io.EOF {
								break
							}
							if err != nil {
								t.Fatal(err)
							}
							for _, e := range piece.Events {
								if e.Kind == llm.EventFinish {
									finished++
								}
							}
						}
						took := time.Since(began)
						if finished != 1 {
							t.Errorf("native %t: %d ends", native, finished)
						}
						if body.ended && (took > 0 || body.closes.Load() > 0) || !body.ended && (took < tail || took > 2*tail) {
							t.Errorf("native %t: the stream ended after %v, closed %d times", native, took, body.closes.Load())
						}
						s.Close()
						if body.closes.Load() == 0 {
							t.Errorf("native %t: not closed", native)
						}
						time.Sleep(2 * tail)
						if body.ended && body.closes.Load() != 1 {
							t.Errorf("native %t: closed again when it was over", native)
						}
					})
				})
			}
		}
	}
}
