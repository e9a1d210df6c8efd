package rehearsal

import (
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// streamed answers with an event stream that is made as it is read.
func (c *call) streamed(req *llm.Request, s *script, pause time.Duration) *http.Response {
	if c.orders.drip > 0 {
		pause = c.orders.drip
	}
	st := &stream{c: c, s: s, pause: pause, encoder: c.codec.NewEncoder(llm.StreamOptions{
		IncludeUsage: req.IncludeUsage, PromptEstimate: s.usage.Prompt(), ID: s.id, Model: c.model, Created: created})}
	h := http.Header{"Cache-Control": {"no-cache"}}
	return c.response(http.StatusOK, "text/event-stream; charset=utf-8", newBody(c.ctx, c.orders.cut, st.next), h)
}

// stream walks through a script event by event.
type stream struct {
	c       *call
	s       *script
	encoder llm.StreamEncoder
	pause   time.Duration

	state  int // what comes next
	item   int
	rest   string // of the open block, not yet sent
	pieces int    // sent so far
}

const (
	atStart = iota
	atUsage
	atBlock
	atDelta
	atOpaque
	atStop
	atFinish
	atEnd
)

// next appends the bytes of the next event that has any.
func (st *stream) next(dst []byte) (out []byte, wait time.Duration, more bool) {
	for st.state != atEnd {
		before := len(dst)
		if st.breaks() {
			dst = st.broken(dst)
			st.state = atEnd
			return dst, 0, true
		}
		e, content := st.event()
		dst = st.encoder.Encode(dst, e)
		if content {
			if st.pieces++; st.pieces > 1 {
				wait += st.pause
			}
		}
		if e.Kind == llm.EventBlockStart && st.item == 0 {
			wait += st.c.orders.hold
		}
		if len(dst) > before {
			return dst, wait, true
		}
	}
	return dst, 0, false
}

// breaks reports whether it is time for an error inside the stream: after the
// pieces that were asked for, or before the end when there are fewer.
func (st *stream) breaks() bool {
	o := &st.c.orders
	if o.inStream == "" && o.malformed == "" || st.state == atStart || st.state == atUsage {
		return false
	}
	return st.pieces >= o.after || st.state == atFinish
}

func (st *stream) broken(dst []byte) []byte {
	if class := st.c.orders.inStream; class != "" {
		body := compact(st.c.vendorBody(vendorErrors[st.c.dialect][class]))
		if st.c.dialect == llm.Anthropic {
			return sse.AppendEvent(dst, "error", body)
		}
		return sse.AppendData(dst, body)
	}
	if st.c.dialect == llm.Anthropic {
		return sse.AppendEvent(dst, "content_block_delta", []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_`))
	}
	return sse.AppendData(dst, []byte(`{"id":"`+st.s.id+`","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"conte`))
}

// event gives the next event and whether it is a piece of content.
func (st *stream) event() (e llm.Event, content bool) {
	s := st.s
	switch st.state {
	case atStart:
		st.state = atUsage
		first := s.usage
		first.Output, first.Reasoning = min(1, s.usage.Output), 0
		return llm.Event{Kind: llm.EventStart, ID: s.id, Model: st.c.model, Created: created, Usage: first}, false
	case atUsage:
		st.state = atBlock
		if len(s.items) == 0 {
			st.state = atFinish
		}
		return llm.Event{Kind: llm.EventPing}, false
	case atBlock:
		it := &s.items[st.item]
		st.state = atDelta
		head := llm.BlockHead{Kind: it.Kind}
		switch it.Kind {
		case llm.ItemToolCall:
			head.ID, head.Name, head.Custom = it.Call.ID, it.Call.Name, it.Call.Custom
			st.rest = string(it.Call.Arguments)
		default:
			st.rest = it.Text()
		}
		if st.rest == "" {
			st.state = atOpaque
		}
		return llm.Event{Kind: llm.EventBlockStart, Index: st.item, Block: head}, false
	case atDelta:
		it := &s.items[st.item]
		n := piece(st.rest)
		if it.Kind == llm.ItemToolCall {
			n = fragment(st.rest)
		}
		d := llm.Delta{Kind: llm.DeltaText, Text: st.rest[:n]}
		switch {
		case it.Kind == llm.ItemToolCall:
			d.Kind = llm.DeltaArguments
		case it.Kind == llm.ItemReasoning:
			d.Kind = llm.DeltaReasoning
		case it.Blocks[0].Kind == llm.BlockRefusal:
			d.Kind = llm.DeltaRefusal
		}
		if st.rest = st.rest[n:]; st.rest == "" {
			st.state = atOpaque
		}
		return llm.Event{Kind: llm.EventDelta, Index: st.item, Delta: d}, true
	case atOpaque:
		st.state = atStop
		if it := &s.items[st.item]; len(it.Opaque) > 0 {
			return llm.Event{Kind: llm.EventDelta, Index: st.item, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: it.Opaque[0]}}, false
		}
		fallthrough
	case atStop:
		e = llm.Event{Kind: llm.EventBlockStop, Index: st.item}
		st.item++
		if st.state = atBlock; st.item == len(s.items) {
			st.state = atFinish
		}
		return e, false
	default:
		if st.item >= 0 {
			st.item = -1
			return llm.Event{Kind: llm.EventUsage, Usage: s.usage}, false
		}
		st.state = atEnd
		return llm.Event{Kind: llm.EventFinish, From: st.c.dialect, Finish: s.finish}, false
	}
}

// The size of a piece: about that of a vendor's.
const (
	pieceWords = 3
	pieceBytes = 24 // of text without spaces
	// fragmentBytes cuts even the arguments of a small call, inside its words,
	// as vendors do.
	fragmentBytes = 12
)

// fragment gives the length of the first fragment of a call's arguments.
func fragment(text string) int {
	n := min(fragmentBytes, len(text))
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}

// piece gives the length of the first piece of a text: a few words with the
// space behind them, or a few characters where there are no spaces.
func piece(text string) int {
	words, spaces := 0, false
	for i, r := range text {
		switch {
		case i >= 4*pieceBytes, i >= pieceBytes && !spaces:
			return i
		case unicode.IsSpace(r):
			spaces = true
			end := i + utf8.RuneLen(r)
			if next, _ := utf8.DecodeRuneInString(text[end:]); !unicode.IsSpace(next) {
				if words++; words == pieceWords {
					return end
				}
			}
		}
	}
	return len(text)
}
