package gateway

import (
	"net/http"
	"time"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// Bodies keeps what was said by callers that the operator names.
type Bodies interface {
	// Wants reports whether the caller is one of them.
	Wants(p *access.Principal) bool
	// Note takes what was said. It must not wait; nobody writes to it any more.
	Note(s *Said)
}

// MostSaid is how much of an answer is gathered, and the largest request of
// which anything is kept, in bytes.
const MostSaid = 1 << 20

// Said is what was said in one request.
type Said struct {
	Owner, ID string
	At        time.Time
	Dialect   llm.Dialect
	Streamed  bool
	// Request is the body as it came; Answer is what the client was sent, and Cut
	// says that there was more of it.
	Request, Answer []byte
	Cut             bool
}

// overhear keeps what is said from here on, where the operator wants that.
func (x *exchange) overhear(p *access.Principal, d *llm.Draft) {
	b := x.g.o.Bodies
	if b == nil || !b.Wants(p) {
		return
	}
	x.hears = &hearing{ResponseWriter: x.reply.w, said: Said{Owner: p.KeyID, ID: x.row.ID.String(), At: x.reply.start,
		Dialect: d.Dialect, Streamed: d.Head.Stream, Request: d.Raw}}
	x.reply.w = x.hears
}

// hearing is a ResponseWriter that keeps a copy of what is written. The reply
// flushes the writer below it.
type hearing struct {
	http.ResponseWriter
	said Said
}

func (h *hearing) Write(p []byte) (int, error) {
	if room := MostSaid - len(h.said.Answer); room >= len(p) {
		h.said.Answer = append(h.said.Answer, p...)
	} else {
		h.said.Answer, h.said.Cut = append(h.said.Answer, p[:room]...), true
	}
	return h.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (h *hearing) Unwrap() http.ResponseWriter { return h.ResponseWriter }
