package provider

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/sse"
)

// pieces gives a text in reads of one size.
type pieces struct {
	text  string
	size  int
	reads int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	p.reads++
	n := copy(b[:min(len(b), p.size)], p.text)
	p.text = p.text[n:]
	return n, nil
}

func (p *pieces) Close() error { return nil }

// A native stream comes out byte for byte but for the usage chunk that the
// client did not ask for, with the same events, whatever pieces it comes in,
// and nothing is read while a piece is still in memory.
func TestNativeStream(t *testing.T) {
	t.Parallel()
	var in, want strings.Builder
	add := func(passed bool, data string) {
		fmt.Fprintf(&in, "data: %s\n\n", data)
		if passed {
			fmt.Fprintf(&want, "data: %s\n\n", data)
		}
	}
	add(true, `{"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`)
	for i := range 100 {
		add(true, fmt.Sprintf(`{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"word %d"},"finish_reason":null}],"usage":null}`, i))
		if i == 50 {
			add(false, `{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":50,"total_tokens":53}}`)
			in.WriteString(": a comment\n\n")
			want.WriteString(": a comment\n\n")
		}
	}
	add(true, `{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	add(false, `{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":100,"total_tokens":103}}`)
	add(true, "[DONE]")

	for _, size := range []int{1, 13, 110, 111, 700, 4096, 1 << 20} {
		p := &Provider{row: &catalog.Provider{ID: "p"}}
		src := &pieces{text: in.String(), size: size}
		s := p.stream(src, sse.NewReader(src, 0), "m", &outgoing{codec: openai.Codec{}, native: true, Encoded: llm.Encoded{DropUsage: true}})
		var got strings.Builder
		var usage llm.Usage
		finished, text, count := false, 0, 0
		for {
			waits, reads := !s.Buffered(), src.reads
			piece, err := s.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("reads of %d: %v", size, err)
			}
			if !waits && src.reads != reads {
				t.Errorf("reads of %d: a piece was said to be in memory, but the stream was read", size)
			}
			count++
			got.Write(piece.Raw)
			text += piece.TextBytes
			for _, e := range piece.Events {
				switch e.Kind {
				case llm.EventUsage:
					usage = e.Usage
				case llm.EventFinish:
					finished = true
				}
			}
		}
		if got.String() != want.String() {
			t.Errorf("reads of %d: the stream came out as\n%s", size, got.String())
		}
		if !finished || usage.Output != 100 {
			t.Errorf("reads of %d: finished %t, output %d of 100", size, finished, usage.Output)
		}
		if text < 690 || text > 850 {
			t.Errorf("reads of %d: %d bytes of text, want about 690", size, text)
		}
		if size == 1<<20 && count > 30 {
			t.Errorf("%d pieces of a stream that came at once", count)
		}
	}
}
