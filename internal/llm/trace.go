package llm

import (
	"encoding/hex"
	"net/http"
	"strings"
)

// Trace is a request's place in a trace that goes on over several programs (W3C
// Trace Context, 2021-11-23). Nobody writes to it once it is made.
type Trace struct {
	ID [16]byte
	// Parent is the caller's span, zero when the trace begins here; Span is that
	// of the request.
	Parent, Span [8]byte
	// Sampled says that the request is told of.
	Sampled bool
	// State is the caller's tracestate, which is passed on as it came.
	State string
}

// maxState is the longest tracestate that is passed on; the standard asks for
// 512 characters at least.
const maxState = 512

// ReadTrace reads the headers traceparent and tracestate. ok is false when there
// is no trace or none that can be read: then one begins here.
func ReadTrace(h http.Header) (t Trace, ok bool) {
	line := h["Traceparent"]
	if len(line) != 1 {
		return t, false
	}
	// version-trace-parent-flags; a later version may say more behind a dash.
	s := strings.TrimSpace(line[0])
	if len(s) < 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" || s[:2] == "00" && len(s) != 55 || len(s) > 55 && s[55] != '-' {
		return t, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{version[:], s[:2]}, {t.ID[:], s[3:35]}, {t.Parent[:], s[36:52]}, {flags[:], s[53:55]}} {
		if _, err := hex.Decode(part.to, []byte(part.from)); err != nil || strings.ToLower(part.from) != part.from {
			return Trace{}, false
		}
	}
	if t.ID == [16]byte{} || t.Parent == [8]byte{} {
		return Trace{}, false
	}
	t.Sampled = flags[0]&1 != 0
	if state := strings.Join(h["Tracestate"], ","); len(state) <= maxState {
		t.State = state
	}
	return t, true
}

// Attempt is the span of the nth attempt, from 1: it is known before and after
// without being kept.
func (t *Trace) Attempt(n int) [8]byte {
	s := t.Span
	for i, x := 0, uint32(n)*0x9E3779B1; i < 4; i++ {
		s[4+i] ^= byte(x >> (8 * i))
	}
	return s
}

// Header is the traceparent of what is sent under a span.
func (t *Trace) Header(span [8]byte) string {
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	if t.Sampled {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}
