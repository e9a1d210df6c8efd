// Package sse splits an event stream into frames, byte for byte, and writes
// frames: server-sent events and newline-delimited JSON.
package sse

import (
	"bytes"
	"errors"
	"io"
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
	// one: the blank line that closes it, comments and stray line ends too.
	// The Raws of a stream, joined, are the stream.
	Raw []byte
	// Event is the event name; nil when the frame has none.
	Event []byte
	// Data is the data lines joined by a line feed; nil when there are none (a
	// comment, a ping of bare newlines).
	Data []byte
	// Other says that the frame has a line that is no field of the SSE
	// grammar, such as GPUStack's "error: {...}"; Data is then that line's
	// value if its name is "error" and there is no data line.
	Other bool
}

// Reader reads frames. Not safe for concurrent use.
type Reader struct {
	src    io.Reader
	max    int
	lines  bool
	buf    []byte // buf[start:end] is read and not yet given out
	start  int
	end    int
	joined []byte // holds Data of frames with several data lines
	err    error
	cut    bool
}

// NewReader reads server-sent events from r. maxFrame is the cap in bytes; 0
// means DefaultMaxFrame.
func NewReader(r io.Reader, maxFrame int) *Reader { return newReader(r, maxFrame, false) }

// NewLineReader reads newline-delimited JSON from r: each line is a frame
// whose Data is the line without its end.
func NewLineReader(r io.Reader, maxFrame int) *Reader { return newReader(r, maxFrame, true) }

func newReader(r io.Reader, maxFrame int, lines bool) *Reader {
	if maxFrame <= 0 {
		maxFrame = DefaultMaxFrame
	}
	return &Reader{src: r, max: maxFrame, lines: lines}
}

const firstBuf = 4 << 10

// Next returns the next frame, valid until the next call. After the last one
// it returns io.EOF when the stream ended between frames. When it ended
// inside one, that piece comes first as a frame, parsed as far as it goes, and
// the call after gives ErrCut (or io.EOF if all that was missing was the blank
// line). Any other read error comes after the whole frames before it.
// (WHATWG HTML, Server-sent events; read 2026-11.)
func (r *Reader) Next() (Frame, error) {
	for {
		if n := r.frameEnd(); n > 0 {
			raw := r.buf[r.start : r.start+n]
			r.start += n
			return r.parse(raw), nil
		}
		if r.err != nil {
			rest := r.buf[r.start:r.end]
			r.start = r.end
			if len(rest) == 0 || r.err != io.EOF {
				if r.cut && r.err == io.EOF {
					return Frame{}, ErrCut
				}
				return Frame{}, r.err
			}
			// A last line end shows that the last line is whole.
			r.cut = rest[len(rest)-1] != '\n' && rest[len(rest)-1] != '\r'
			return r.parse(rest), nil
		}
		if err := r.fill(); err != nil {
			return Frame{}, err
		}
	}
}

// Buffered reports whether a whole frame is already in memory, so that Next
// will not wait.
func (r *Reader) Buffered() bool { return r.frameEnd() > 0 }

// fill reads once more into the buffer.
func (r *Reader) fill() error {
	if r.start == r.end {
		r.start, r.end = 0, 0
		if cap(r.buf) > 16*firstBuf { // do not keep a giant for the rest of the stream
			r.buf = nil
		}
	}
	if r.buf == nil {
		r.buf = make([]byte, firstBuf)
	}
	if r.end == len(r.buf) {
		if r.start > 0 {
			copy(r.buf, r.buf[r.start:r.end])
			r.end -= r.start
			r.start = 0
		} else {
			if len(r.buf) >= r.max {
				return ErrTooLarge
			}
			grown := make([]byte, min(2*len(r.buf), r.max))
			copy(grown, r.buf[:r.end])
			r.buf = grown
		}
	}
	n, err := r.src.Read(r.buf[r.end:])
	r.end += n
	r.err = err
	return nil
}

// frameEnd gives the length of the first whole frame in the buffer, or 0.
func (r *Reader) frameEnd() int {
	b := r.buf[r.start:r.end]
	if r.lines {
		return bytes.IndexByte(b, '\n') + 1
	}
	content := false // a line with something in it was seen
	for i := 0; i < len(b); {
		n := bytes.IndexAny(b[i:], "\n\r")
		if n < 0 {
			return 0
		}
		end := i + n + 1
		if b[end-1] == '\r' {
			if end == len(b) && r.err == nil {
				return 0 // a line feed may follow
			}
			if end < len(b) && b[end] == '\n' {
				end++
			}
		}
		if n == 0 {
			if content {
				return end
			}
		} else {
			content = true
		}
		i = end
	}
	return 0
}

var bom = []byte("\xef\xbb\xbf")

// parse reads the fields of a frame.
func (r *Reader) parse(raw []byte) Frame {
	f := Frame{Raw: raw}
	if r.lines {
		if line := bytes.TrimRight(raw, "\r\n"); len(line) > 0 {
			f.Data = line
		}
		return f
	}
	b := bytes.TrimPrefix(raw, bom)
	datas := 0
	for len(b) > 0 {
		n := bytes.IndexAny(b, "\n\r")
		line := b
		if n >= 0 {
			line, b = b[:n], b[n+1:]
		} else {
			b = nil
		}
		if len(line) == 0 || line[0] == ':' {
			continue
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		if len(value) > 0 && value[0] == ' ' {
			value = value[1:]
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
	return f
}

// AppendEvent appends a frame with an event name and one data line per line
// of data.
func AppendEvent(dst []byte, event string, data []byte) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, event...)
	dst = append(dst, '\n')
	return AppendData(dst, data)
}

// AppendData appends a frame of data alone.
func AppendData(dst []byte, data []byte) []byte {
	for {
		line, rest, more := bytes.Cut(data, []byte{'\n'})
		dst = append(dst, "data: "...)
		dst = append(dst, line...)
		dst = append(dst, '\n')
		if !more {
			return append(dst, '\n')
		}
		data = rest
	}
}

// AppendComment appends a comment frame, which clients ignore.
func AppendComment(dst []byte, text string) []byte {
	dst = append(dst, ": "...)
	dst = append(dst, text...)
	return append(dst, "\n\n"...)
}
