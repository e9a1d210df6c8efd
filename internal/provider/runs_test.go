package provider

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/sse"
)

// TestUsageSoFar: a native Gemini stream tells its usage in every frame. None
// but the last is read, and that one also when the stream is cut.
func TestUsageSoFar(t *testing.T) {
	frame := func(i int, end string) string {
		return fmt.Sprintf(`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"word %d "}]}%s,"index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":%d,"totalTokenCount":%d},"modelVersion":"g"}`+"\r\n\r\n", i, end, i, 5+i)
	}
	var whole strings.Builder
	for i := 1; i < 50; i++ {
		whole.WriteString(frame(i, ""))
	}
	cut := whole.String()
	called := cut + `data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},"index":0}],"modelVersion":"g"}` + "\r\n\r\n" + frame(50, `,"finishReason":"STOP"`)
	whole.WriteString(frame(50, `,"finishReason":"STOP"`))
	broken := errors.New("reset")
	for name, c := range map[string]struct {
		text   string
		end    error
		output int64
		finish llm.FinishReason
		fails  bool
	}{
		"whole":             {whole.String(), io.EOF, 50, llm.FinishStop, false},
		"cut":               {cut, io.EOF, 49, "", false},
		"cut inside":        {cut[:len(cut)-40], io.EOF, 48, "", false},
		"reset":             {cut, broken, 49, "", true},
		"a call on the way": {called, io.EOF, 50, llm.FinishToolCalls, false},
	} {
		for _, size := range []int{7, 300, 1 << 20} {
			src := &ending{pieces{text: c.text, size: size}, c.end}
			p := &Provider{row: &catalog.Provider{ID: "p"}}
			s := p.stream(src, sse.NewReader(src, 0), "m", &outgoing{codec: gemini.Codec{}, native: true})
			var usage llm.Usage
			var finish llm.Finish
			var failed error
			raw := ""
			for {
				piece, err := s.Next()
				if err != nil {
					if err != io.EOF {
						failed = err
					}
					break
				}
				raw += string(piece.Raw)
				for _, e := range piece.Events {
					switch e.Kind {
					case llm.EventUsage:
						usage = e.Usage
					case llm.EventFinish:
						finish = e.Finish
					case llm.EventError:
						failed = e.Err
					}
				}
			}
			if usage.Output != c.output || usage.Input != 5 {
				t.Errorf("%s, reads of %d: usage %+v, want %d", name, size, usage, c.output)
			}
			if finish.Reason != c.finish || (failed != nil) != (c.finish == "") {
				t.Errorf("%s, reads of %d: finish %+v, failed %v", name, size, finish, failed)
			}
			if c.finish != "" && raw != c.text {
				t.Errorf("%s, reads of %d: the bytes differ", name, size)
			}
		}
	}
}

// ending is pieces with an end of its own.
type ending struct {
	pieces
	end error
}

func (e *ending) Read(b []byte) (int, error) {
	n, err := e.pieces.Read(b)
	if err == io.EOF {
		err = e.end
	}
	return n, err
}
