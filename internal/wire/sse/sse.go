// Package sse splits an event stream into frames, byte for byte, and writes
// frames: server-sent events and newline-delimited JSON.
package sse

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
)

// DefaultMaxFrame is the largest frame that a Reader takes unless told
// otherwise. A frame holds at most one event of a model; the largest recorded
// is under 1 MB, images in a stream run to a few.
const DefaultMaxFrame = 16 << 20

// ErrCut says that the stream ended inside a frame.
var ErrCut = errors.New("the stream ended inside a frame")

// ErrTooLarge says that a frame is larger than the reader's cap.
var ErrTooLarge = errors.New("a stream frame is over the size limit")

// Frame is one event of a stream with the bytes it came in.
type Frame struct {
	// Raw is everything from the end of the frame before to the end of this
	// one: comments and the blank line that closes it too. The Raws of a
	// stream, joined, are the stream.
	Raw []byte
	// Event is the event name; nil when the frame has none.
	Event []byte
	// Data is the data lines joined by a line feed; nil when there are none (a
	// comment, a ping of bare newlines); empty, not nil, for an empty line.
	Data []byte
	// Other says that the frame has a line that is no field of the SSE
	// grammar, such as GPUStack's "error: {...}"; Data is then that line's
	// value if its name is "error" and there is no data line. A frame that is
	// bare JSON, as Google tells an error inside a stream, is all of it Data.
	Other bool
}

// Reader reads frames. Not safe for concurrent use.
//
// It holds a buffer of less than 4 KB, grown to the largest frame and given
// back as soon as that frame is out, so that a stream that waits costs little;
// what comes faster than it is read is read through a larger one. Every byte
// is searched for line ends once, however small the pieces in which it comes.
type Reader struct {
	src   io.Reader
	max   int
	lines bool
	array *array // set for a growing array; holds how far it is read
	buf   []byte // buf[start:end] is read and not yet given out
	start int
	end   int
	// What is known of the first frame in the buffer; all are indexes of buf.
	whole  int  // behind its end, or 0 when that is not known
	line   int  // the start of the line being looked for
	lf, cr int  // no LF (CR) stands in buf[line:lf] (buf[line:cr])
	bare   bool // the line before ended in a CR alone
	begun  bool // a frame was given out: no byte order mark from here on
	cut    bool
	// marks are the first lines of the frame, counted from start, so that
	// parse need not look for them again.
	marks  [4]mark
	marked int
	joined []byte // holds Data of frames with several data lines
	// burst is the larger buffer while it is in use, small the one to go back to.
	burst *[burstBuf]byte
	small []byte
	first *[firstBuf]byte // the buffer that it began with
	got   int             // how much the last read gave
	err   error
}

// mark is where a line's content ends and where the next line begins.
type mark struct{ to, next int }

// NewReader reads server-sent events from r. maxFrame is the cap in bytes; 0
// means DefaultMaxFrame.
func NewReader(r io.Reader, maxFrame int) *Reader { return newReader(r, maxFrame, false) }

// NewLineReader reads newline-delimited JSON from r: each line is a frame
// whose Data is the line without its end, nil for a blank line.
func NewLineReader(r io.Reader, maxFrame int) *Reader { return newReader(r, maxFrame, true) }

// NewArrayReader reads one JSON array as it grows, such as Gemini's streams
// without alt=sse: each object of it is a frame as soon as it is whole. Data is
// the object; Raw has what stands before it too, and the closing bracket is a
// frame without data. A single object that stands in no array is a frame too. An
// array that is never closed ends in ErrCut.
func NewArrayReader(r io.Reader, maxFrame int) *Reader {
	a := newReader(r, maxFrame, false)
	a.array = &array{}
	return a
}

func newReader(r io.Reader, maxFrame int, lines bool) *Reader {
	if maxFrame <= 0 {
		maxFrame = DefaultMaxFrame
	}
	return &Reader{src: r, max: maxFrame, lines: lines}
}

const (
	// firstBuf is less than 4 KB: net/http writes to a client through a buffer
	// of that size, and the head of the answer and the frames that come first
	// shall go out by one write.
	firstBuf = 3456
	// burstBuf is for streams that come faster than they are read: the more frames
	// go out by one write the better.
	burstBuf = 16 << 10
	// A waiting reader keeps no more than idleBuf: a thousand idle streams
	// must not each hold on to the largest frame that they ever saw.
	idleBuf = burstBuf
	// As in bufio: a source that gives nothing this often never will.
	maxEmptyReads = 100
)

// bursts keeps the larger buffers, which streams use for moments. What paid for
// them: 64 frames of 300 bytes that come at once go out by 5 writes, not 8.
var bursts = sync.Pool{New: func() any { return new([burstBuf]byte) }}

// firsts keeps the buffers that readers begin with, of streams that were read to
// their end. What paid for them: they were a sixth of what a stream allocates.
var firsts = sync.Pool{New: func() any { return new([firstBuf]byte) }}

// Next returns the next frame, valid until the next call. After the last one
// it returns io.EOF when the stream ended between frames. When it ended
// inside one, that piece comes first as a frame, parsed as far as it goes, and
// the call after gives ErrCut (or io.EOF if all that was missing was the blank
// line). Any other read error comes after the whole frames before it, and what
// came of a frame behind them is not given out. ErrTooLarge comes instead of a
// frame that is over the cap; there is no way on after it. Errors are sticky.
//
// A blank line ends a frame, also one with nothing before it, so that a
// keep-alive of bare newlines goes out at once. Where a frame ends does not
// depend on the pieces in which the stream comes, with one exception: in a
// stream whose lines end in a bare CR, the CR of a blank line ends the frame
// at once, and an LF that comes later is a frame of its own with no data. (WHATWG HTML, Server-sent events; read
// 2026-11.)
func (r *Reader) Next() (Frame, error) {
	for empty := 0; ; {
		if end := r.frameEnd(); end > 0 {
			raw := r.buf[r.start:end]
			if len(raw) > r.max {
				r.fail(ErrTooLarge)
				continue
			}
			r.start = end
			r.whole, r.line, r.bare = 0, end, false
			f := r.parse(raw)
			r.marked = 0
			return f, nil
		}
		if r.err != nil {
			rest := r.buf[r.start:r.end]
			if len(rest) == 0 || r.err != io.EOF {
				if (r.cut || r.array != nil && !r.array.closed()) && r.err == io.EOF {
					r.err = ErrCut
				}
				r.fail(r.err)
				if r.first != nil && r.err == io.EOF { // else a frame may still be in use
					firsts.Put(r.first)
					r.first = nil
				}
				return Frame{}, r.err
			}
			if len(rest) > r.max {
				r.fail(ErrTooLarge)
				continue
			}
			r.start, r.line, r.marked = r.end, r.end, 0
			// A last line end shows that the last line is whole.
			r.cut = r.array == nil && rest[len(rest)-1] != '\n' && rest[len(rest)-1] != '\r'
			return r.parse(rest), nil
		}
		if r.end-r.start > r.max {
			r.fail(ErrTooLarge)
			continue
		}
		if n := r.fill(); n > 0 || r.err != nil {
			empty = 0
		} else if empty++; empty == maxEmptyReads {
			r.err = io.ErrNoProgress
		}
	}
}

// fail ends the stream with err and lets go of the buffer.
func (r *Reader) fail(err error) {
	r.err = err
	r.calm()
	r.buf, r.joined = nil, nil
	r.start, r.end, r.whole, r.line, r.lf, r.cr = 0, 0, 0, 0, 0, 0
}

// Buffered reports whether a whole frame is already in memory, so that Next
// will not wait. The frame that Next then returns leaves the Raw of the frame
// before valid and stands right behind it in the same array: a run of frames
// can be passed on as one slice.
func (r *Reader) Buffered() bool { return r.frameEnd() > 0 }

// fill reads once more into the buffer, and makes room before.
func (r *Reader) fill() int {
	held := r.end - r.start
	switch {
	case r.buf == nil:
		r.first = firsts.Get().(*[firstBuf]byte)
		r.move(r.first[:])
	case r.burst != nil && r.got < firstBuf/2 && held <= firstBuf/2:
		r.move(r.small)
		r.calm()
	case r.burst == nil && len(r.buf) == firstBuf && r.end == firstBuf && r.got > 0 && held <= firstBuf/4:
		r.small, r.burst = r.buf, bursts.Get().(*[burstBuf]byte)
		r.move(r.burst[:])
	case len(r.buf) > idleBuf && held <= firstBuf/2:
		r.move(make([]byte, firstBuf))
		r.joined = nil
	case held == 0, r.start > 0 && held <= firstBuf/4:
		r.move(r.buf)
	case len(r.buf)-r.end >= len(r.buf)/4:
		// There is room behind what is held.
	case r.start >= len(r.buf)/2:
		r.move(r.buf)
	case r.end == len(r.buf):
		// One byte more than the cap shows whether the frame is over it.
		r.move(make([]byte, max(min(2*len(r.buf), r.max+1), held+1)))
		r.calm()
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	r.got = n
	r.err = err
	return n
}

// calm gives the larger buffer back, which is not in use any more.
func (r *Reader) calm() {
	if r.burst != nil {
		bursts.Put(r.burst)
		r.burst, r.small = nil, nil
	}
}

// move puts what is held at the beginning of buf, which may be the buffer.
func (r *Reader) move(buf []byte) {
	copy(buf, r.buf[r.start:r.end])
	by := r.start
	r.buf = buf
	r.start, r.end, r.line = 0, r.end-by, r.line-by
	r.lf, r.cr = max(r.lf-by, 0), max(r.cr-by, 0)
	if r.array != nil {
		r.array.at, r.array.from = r.array.at-by, r.array.from-by
	}
}

// frameEnd gives the index behind the first whole frame in the buffer, or 0.
func (r *Reader) frameEnd() int {
	if r.whole > 0 {
		return r.whole
	}
	b := r.buf[:r.end]
	if r.array != nil {
		r.whole = r.array.end(b)
		return r.whole
	}
	if r.lines {
		r.lf = seek(b, r.lf, r.line, '\n')
		if r.lf < len(b) {
			r.whole = r.lf + 1
		}
		return r.whole
	}
	for r.line < len(b) {
		r.lf = seek(b, r.lf, r.line, '\n')
		r.cr = seek(b, r.cr, r.line, '\r')
		at := min(r.lf, r.cr)
		if at == len(b) {
			return 0
		}
		next, bare := at+1, false
		if b[at] == '\r' {
			bare = true
			switch {
			case next < len(b):
				if b[next] == '\n' {
					next, bare = next+1, false
				}
			case r.err == nil && !(r.bare && at == r.line):
				return 0 // a line feed may follow
			}
		}
		if r.marked < len(r.marks) {
			r.marks[r.marked] = mark{at - r.start, next - r.start}
		}
		r.marked++
		blank := at == r.line
		r.line, r.bare = next, bare
		if blank {
			r.whole = next
			return next
		}
	}
	return 0
}

// seek gives the first index of c in b from line on, or len(b); known says
// that there is none before it.
func seek(b []byte, known, line int, c byte) int {
	if known < line {
		known = line
	}
	if n := bytes.IndexByte(b[known:], c); n >= 0 {
		return known + n
	}
	return len(b)
}

var bom = []byte("\xef\xbb\xbf")

// parse reads the fields of a frame.
func (r *Reader) parse(raw []byte) Frame {
	f := Frame{Raw: raw}
	if r.array != nil {
		// raw ends where the buffer's next frame begins.
		if from := r.array.from - (r.start - len(raw)); from >= 0 && from < len(raw) {
			f.Data = raw[from:]
		}
		return f
	}
	if r.lines {
		if line := bytes.TrimRight(raw, "\r\n"); len(line) > 0 {
			f.Data = line
		}
		return f
	}
	b := raw
	if !r.begun {
		b = bytes.TrimPrefix(b, bom)
		r.begun = true
	}
	whole := b
	known := 0 // lines whose place is known from the search for the frame's end
	if r.marked <= len(r.marks) && len(b) == len(raw) {
		known = r.marked
	}
	datas := 0
	for i, at := 0, 0; len(b) > 0; i++ {
		var line []byte
		if i < known {
			m := r.marks[i]
			line, b, at = raw[at:m.to], raw[m.next:], m.next
		} else {
			line, b = cutLine(b)
		}
		if len(line) == 0 || line[0] == ':' {
			continue
		}
		name, value := line, line[len(line):]
		n := len("data")
		if len(line) <= n || line[n] != ':' || string(line[:n]) != "data" {
			n = bytes.IndexByte(line, ':')
		}
		if n >= 0 {
			name, value = line[:n], line[n+1:]
			if len(value) > 0 && value[0] == ' ' {
				value = value[1:]
			}
		}
		switch string(name) {
		case "data":
			switch datas {
			case 0:
				f.Data = value
			case 1:
				r.joined = append(append(append(r.joined[:0], f.Data...), '\n'), value...)
				f.Data = r.joined
			default:
				r.joined = append(append(r.joined, '\n'), value...)
				f.Data = r.joined
			}
			datas++
		case "event":
			f.Event = value
		case "id", "retry":
		default:
			f.Other = true
			if string(name) == "error" && datas == 0 {
				f.Data = value
			}
		}
	}
	if f.Other && f.Data == nil && (whole[0] == '{' || whole[0] == '[') {
		f.Data = bytes.TrimRight(whole, " \t\r\n")
	}
	return f
}

// cutLine takes the first line off b. A CR LF leaves an empty line behind the
// CR, which the caller passes over like any other.
func cutLine(b []byte) (line, rest []byte) {
	line = b
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		line, rest = b[:n], b[n+1:]
	}
	if n := bytes.IndexByte(line, '\r'); n >= 0 {
		return line[:n], b[n+1:]
	}
	return line, rest
}

// AppendEvent appends a frame with an event name and one data line per line
// of data. What stands behind a line end in the name is left out, so that no
// name can add fields of its own.
func AppendEvent(dst []byte, event string, data []byte) []byte {
	if n := strings.IndexAny(event, "\r\n"); n >= 0 {
		event = event[:n]
	}
	dst = append(dst, "event: "...)
	dst = append(dst, event...)
	dst = append(dst, '\n')
	return AppendData(dst, data)
}

// AppendData appends a frame of data alone: one data line per line of data,
// whose ends may be LF, CR or CR LF and read back as LF.
func AppendData(dst []byte, data []byte) []byte {
	for {
		line, rest, more := data, []byte(nil), false
		if n := bytes.IndexByte(line, '\n'); n >= 0 {
			line, rest, more = data[:n], data[n+1:], true
		}
		if n := bytes.IndexByte(line, '\r'); n >= 0 {
			rest, more = data[n+1:], true
			if len(rest) > 0 && rest[0] == '\n' {
				rest = rest[1:]
			}
			line = line[:n]
		}
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
		if !more {
			return append(dst, '\n')
		}
		data = rest
	}
}

// AppendComment appends a comment frame, which clients ignore: one line; line
// ends in text become spaces.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	at := len(dst)
	dst = append(dst, text...)
	for i := at; i < len(dst); i++ {
		if dst[i] == '\n' || dst[i] == '\r' {
			dst[i] = ' '
		}
	}
	return append(dst, "\n\n"...)
}
