package provider

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

func (p *Provider) stream(body io.ReadCloser, frames *sse.Reader, model string, out *outgoing) *stream {
	runs, _ := out.codec.(runner)
	decoder := out.codec.NewDecoder()
	skims, _ := decoder.(skimmer)
	if p, ok := decoder.(passer); ok && out.native {
		p.Pass()
	}
	return &stream{
		runs: runs, skims: skims,
		body: body, frames: frames, codec: out.codec, decoder: decoder,
		native: out.native, dropUsage: out.DropUsage, names: out.Names, customs: out.Customs, provider: p, model: model,
	}
}

// runner is a codec of a dialect whose frames each tell the usage so far.
type runner interface {
	// SoFar reports whether all that a frame tells beside its text is the usage
	// so far.
	SoFar(data []byte) bool
}

// skimmer is a decoder of a dialect whose last frame repeats the whole answer.
type skimmer interface {
	// Skim is Decode for a native stream whose content has begun: it gives usage,
	// finish and error alone.
	Skim(dst []llm.Event, name, data []byte) ([]llm.Event, error)
}

// passer is a decoder of a dialect whose start repeats the request.
type passer interface {
	// Pass says before the first frame that the stream is native: of the start it
	// is asked that there was one.
	Pass()
}

// stream reads a provider's event stream. Until its content begins every frame
// is decoded; after that a native stream only looks into frames that may hold
// usage, an end or an error.
type stream struct {
	body      io.ReadCloser
	frames    *sse.Reader
	codec     Codec
	decoder   llm.StreamDecoder
	native    bool
	dropUsage bool
	names     map[string]string
	customs   map[string]bool
	provider  *Provider
	model     string

	events  []llm.Event
	room    *[]llm.Event // what events is in; nil with it
	ahead   sse.Frame    // read before its turn
	has     bool         // ahead is set
	custom  bool         // a call of a custom tool is open: its arguments wait in text
	text    []byte       // until they are whole and can be unwrapped
	begun   bool
	ended   bool
	wrapper int // bytes of a content frame that are not its text
	silent  int // frames without a meaning, one after another
	// runs is nil where usage does not run along; last is the last frame whose
	// usage nobody has read.
	runs runner
	last []byte
	// skims is nil where no frame repeats the answer.
	skims skimmer
	// broken is the error that the next call returns.
	broken error
	// over ends what a provider may still send behind the terminal event; nil
	// before that.
	over atomic.Pointer[time.Timer]
}

// tail is how long a provider may take to end its stream behind the terminal
// event, so that the connection can be used again. Then it is closed: the client
// has all of its answer, and waits for the end.
const tail = time.Second

// maxSilent is how many frames in a row may say nothing: far more than the
// keep-alives of hours, far less than a flood can send while nobody looks.
const maxSilent = 1 << 14

// Next gives the next frame as a piece, or several that are only passed on and
// are in memory already: each piece costs the client's side a write.
func (s *stream) Next() (llm.Piece, error) {
	if s.broken != nil {
		return llm.Piece{}, s.broken
	}
	for {
		if s.native && s.begun && !s.Buffered() {
			s.rest() // what follows mostly needs none, and may be long in coming
		}
		f, err := s.ahead, error(nil)
		if s.has {
			s.has = false
		} else if f, err = s.frames.Next(); err != nil {
			return s.end(err)
		}
		if s.passes(f) {
			return s.run(f), nil
		}
		if s.events == nil {
			s.room = rooms.Get().(*[]llm.Event)
			s.events = *s.room
		}
		if s.skims != nil && s.native && s.begun {
			s.events, err = s.skims.Skim(s.events[:0], f.Event, f.Data)
		} else {
			s.events, err = s.decoder.Decode(s.events[:0], f.Event, f.Data)
		}
		if err != nil {
			return s.fail(s.unread(), s.provider.malformed(err, s.model))
		}
		s.last = s.last[:0]
		if s.customs != nil {
			s.unwrap()
		}
		if s.silent++; meant(s.events) {
			s.silent = 0
		} else if s.silent > maxSilent {
			return llm.Piece{}, s.provider.malformed(llm.Errorf(llm.MalformedUpstream, "the stream has said nothing in %d events", s.silent), s.model)
		}
		if s.over.Load() == nil && terminal(s.events) {
			s.over.Store(time.AfterFunc(tail, func() { s.body.Close() }))
		}
		p := llm.Piece{Events: s.events}
		onlyUsage, hidden := len(s.events) > 0, false
		for i := range s.events {
			e := &s.events[i]
			switch e.Kind {
			case llm.EventDelta:
				p.TextBytes += len(e.Delta.Text)
				if e.Delta.Kind == llm.DeltaOpaque {
					s.provider.signOne(&e.Delta.Opaque)
				}
			case llm.EventError:
				e.Err = s.provider.own(e.Err, s.model)
				// A frame that repeats our credential is not passed on.
				hidden = hidden || !bytes.Equal(s.provider.hide(f.Raw), f.Raw)
			case llm.EventUsage:
				s.provider.fixUsage(s.model, &e.Usage)
			case llm.EventBlockStart:
				for k := range e.Block.Opaque {
					s.provider.signOne(&e.Block.Opaque[k])
				}
				if own, ok := s.names[e.Block.Name]; ok {
					e.Block.Name = own
				}
			}
			s.begun = s.begun || e.Content() && !mayRefuse(e)
			onlyUsage = onlyUsage && e.Kind == llm.EventUsage
		}
		if p.TextBytes > 0 {
			s.wrapper = len(f.Data) - p.TextBytes
		}
		if s.native && !hidden && !(s.dropUsage && onlyUsage) {
			p.Raw, p.Data = f.Raw, f.Data
		}
		if len(p.Raw) > 0 || len(p.Events) > 0 {
			return p, nil
		}
	}
}

// rooms keeps room for events, which a stream needs when it begins and when it
// ends. What paid for it: a fresh one grew to 4 KB or 8 KB twice a stream, a
// sixth of all that a stream of Responses allocated.
var rooms = sync.Pool{New: func() any { r := make([]llm.Event, 0, 8); return &r }}

// rest gives the room of the events back; no piece is valid any more.
func (s *stream) rest() {
	if s.room == nil {
		return
	}
	if cap(s.events) <= 64 {
		clear(s.events[:cap(s.events)])
		*s.room = s.events[:0]
		rooms.Put(s.room)
	}
	s.events, s.room = nil, nil
}

// mayRefuse reports whether content is, or may become, a refusal in words, which
// relay wants to hear of: until there is anything else frames are decoded.
func mayRefuse(e *llm.Event) bool {
	if e.Kind == llm.EventBlockStart {
		return e.Block.Kind == llm.ItemMessage
	}
	return e.Delta.Kind == llm.DeltaRefusal
}

// meant reports whether events say anything but that the provider is alive.
func meant(events []llm.Event) bool {
	for i := range events {
		if events[i].Kind != llm.EventPing {
			return true
		}
	}
	return false
}

// terminal reports whether the answer ends with these events.
func terminal(events []llm.Event) bool {
	return slices.ContainsFunc(events, func(e llm.Event) bool { return e.Terminal() })
}

// passes reports whether nobody need look into a frame.
func (s *stream) passes(f sse.Frame) bool {
	if s.runs != nil {
		return s.native && s.begun && s.runs.SoFar(f.Data)
	}
	return s.native && s.begun && !s.codec.Telling(f.Data)
}

// run gives f and those behind it that pass too, up to one that is not in
// memory as a whole.
func (s *stream) run(f sse.Frame) llm.Piece {
	p := llm.Piece{Raw: f.Raw, TextBytes: max(0, len(f.Data)-s.wrapper)}
	last := f.Data
	for s.frames.Buffered() {
		f, err := s.frames.Next()
		if err != nil {
			break // it comes again
		}
		if !s.passes(f) {
			s.ahead, s.has = f, true
			break
		}
		p.Raw = p.Raw[:len(p.Raw)+len(f.Raw)] // they stand one behind the other
		p.TextBytes += max(0, len(f.Data)-s.wrapper)
		if bytes.HasSuffix(f.Data, brace) {
			last = f.Data
		}
	}
	if s.runs != nil && bytes.HasSuffix(last, brace) {
		s.last = append(s.last[:0], last...)
	}
	return p
}

// brace ends a frame that was not cut.
var brace = []byte("}")

// fail ends the stream with an error, behind the usage that nobody has read.
func (s *stream) fail(usage []llm.Event, err error) (llm.Piece, error) {
	s.broken = err
	if len(usage) > 0 {
		return llm.Piece{Events: usage}, nil
	}
	return llm.Piece{}, err
}

// unread gives the usage of the last frame when nobody has read it: the stream
// was cut.
func (s *stream) unread() (events []llm.Event) {
	if len(s.last) == 0 {
		return nil
	}
	all, err := s.decoder.Decode(nil, nil, s.last)
	s.last = nil
	if err != nil {
		return nil // its reader would have ended here; the cut is told all the same
	}
	for i := range all {
		if all[i].Kind == llm.EventUsage {
			s.provider.fixUsage(s.model, &all[i].Usage)
			events = append(events, all[i])
		}
	}
	return events
}

// unwrap makes calls of custom tools of the calls of functions that stood for
// them. Their arguments come whole with the end of the block; until then pings
// say that the provider is alive.
func (s *stream) unwrap() {
	for i := 0; i < len(s.events); i++ {
		e := &s.events[i]
		switch {
		case e.Kind == llm.EventBlockStart:
			if s.custom = s.customs[e.Block.Name]; s.custom {
				e.Block.Custom, s.text = true, s.text[:0]
			}
		case !s.custom:
		case e.Kind == llm.EventDelta && e.Delta.Kind == llm.DeltaArguments:
			s.text = append(s.text, e.Delta.Text...)
			*e = llm.Event{Kind: llm.EventPing}
		case e.Kind == llm.EventBlockStop:
			s.custom = false
			whole := llm.Event{Kind: llm.EventDelta, Index: e.Index, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: string(unwrapped(s.text))}}
			s.events = slices.Insert(s.events, i, whole)
			i++
		}
	}
}

// end turns the end of the frames into the end of the answer.
func (s *stream) end(err error) (llm.Piece, error) {
	s.rest()
	over := s.over.Load()
	if over != nil {
		over.Stop()
	}
	if s.ended || over != nil {
		return llm.Piece{}, io.EOF // all was said; how the connection ends says nothing
	}
	switch {
	case err == io.EOF || err == sse.ErrCut:
		s.ended = true
		if events := s.decoder.Close(s.unread()); len(events) > 0 {
			return llm.Piece{Events: events}, nil
		}
		return llm.Piece{}, io.EOF
	case errors.Is(err, sse.ErrTooLarge):
		return llm.Piece{}, &llm.Error{Class: llm.MalformedUpstream, Message: "a frame of the stream is over the size limit", Cause: err}
	default:
		s.ended = true
		usage := s.unread()
		events := s.decoder.Close(usage)
		if len(events) > 0 && events[len(events)-1].Kind == llm.EventFinish {
			return llm.Piece{Events: events}, nil // it was whole before it broke
		}
		return s.fail(usage, &llm.Error{Class: llm.MalformedUpstream, Message: "the connection broke inside the stream", Cause: err})
	}
}

func (s *stream) Buffered() bool { return s.has || s.frames.Buffered() }

func (s *stream) Close() error {
	if over := s.over.Load(); over != nil {
		over.Stop()
	}
	return s.body.Close()
}

// eventStream gives events that are all there already.
type eventStream struct{ events []llm.Event }

func (s *eventStream) Next() (llm.Piece, error) {
	if len(s.events) == 0 {
		return llm.Piece{}, io.EOF
	}
	p := llm.Piece{Events: s.events}
	s.events = nil
	return p, nil
}

func (s *eventStream) Buffered() bool { return len(s.events) > 0 }

func (s *eventStream) Close() error { return nil }

// rawStream passes the body of an operation that is not understood. Its first
// bytes commit.
type rawStream struct {
	body io.ReadCloser
	buf  []byte
	done bool
}

func (s *rawStream) Next() (llm.Piece, error) {
	if s.done {
		return llm.Piece{}, io.EOF
	}
	if s.buf == nil {
		s.buf = make([]byte, 16<<10)
	}
	n, err := s.body.Read(s.buf)
	p := llm.Piece{Raw: s.buf[:n]}
	switch {
	case err == io.EOF:
		s.done = true
		p.Events = []llm.Event{{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}}}
	case err != nil:
		return llm.Piece{}, &llm.Error{Class: llm.MalformedUpstream, Message: "the connection broke inside the answer", Cause: err}
	case n > 0:
		p.Events = []llm.Event{{Kind: llm.EventDelta}}
	}
	return p, nil
}

func (s *rawStream) Buffered() bool { return false }

func (s *rawStream) Close() error { return s.body.Close() }
