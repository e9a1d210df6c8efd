package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// enter lets a request in: who calls, until when, and whether there is room.
// cancel is never nil.
func (x *exchange) enter(req *http.Request) (ctx context.Context, cancel context.CancelFunc, p access.Principal, fail *llm.Error) {
	ctx, cancel = req.Context(), func() {}
	if p, fail = x.who(req); fail != nil {
		return ctx, cancel, p, fail
	}
	end, fail := deadline(req.Header.Get("X-Headrace-Deadline"), x.reply.start)
	if fail != nil {
		return ctx, cancel, p, fail
	}
	if !end.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, end)
	}
	return ctx, cancel, p, x.place.enter(ctx, p, req.Header.Get("X-Headrace-Priority"))
}

// who says who calls, and notes it.
func (x *exchange) who(req *http.Request) (access.Principal, *llm.Error) {
	query := ""
	if x.reply.door.name == llm.Gemini {
		query = req.URL.Query().Get("key")
	}
	p, fail := x.g.caller(req.Header, query)
	if fail == nil {
		x.called(&p)
	}
	return p, fail
}

// called notes who calls.
func (x *exchange) called(p *access.Principal) {
	x.row.KeyID, x.row.KeyName, x.row.Team = p.KeyID, p.Name, p.Team
}

// caller says who is calling: x-api-key, a bearer token, or Gemini's
// x-goog-api-key and ?key=, which is query. Of several, the key that is ours
// counts.
func (g *Gateway) caller(h http.Header, query string) (access.Principal, *llm.Error) {
	var fail *llm.Error
	now := time.Now()
	for _, token := range [4]string{h.Get("X-Api-Key"), bearer(h.Get("Authorization")), h.Get("X-Goog-Api-Key"), query} {
		if token == "" {
			continue
		}
		p, err := g.o.Keys.Check(token, now)
		if err == nil {
			return p, nil
		}
		if !errors.As(err, &fail) {
			fail = llm.Errorf(llm.Unavailable, "keys cannot be checked now")
		}
	}
	if fail == nil {
		fail = llm.Errorf(llm.Unauthenticated, "no API key: send it as Authorization: Bearer, x-api-key or x-goog-api-key")
	}
	return access.Principal{}, fail
}

func bearer(v string) string {
	scheme, token, ok := strings.Cut(v, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// deadline reads x-headrace-deadline: a duration such as 30s, or a time in RFC
// 3339. Without one it is the zero time.
func deadline(v string, now time.Time) (time.Time, *llm.Error) {
	if v == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		return now.Add(d), nil
	}
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return time.Time{}, llm.Errorf(llm.InvalidRequest, "x-headrace-deadline %q is neither a duration such as 30s nor an RFC 3339 time", v)
	}
	return at, nil
}

// place is the room that a request takes in the house. The zero value has no
// gate and takes none.
type place struct {
	gate Admission
	// inside says that it was let in, held how many bytes of its body count.
	inside bool
	held   int64
}

// enter waits for the request's turn.
func (p *place) enter(ctx context.Context, who access.Principal, says string) *llm.Error {
	if p.gate == nil {
		return nil
	}
	fail := p.gate.Enter(ctx, who, says)
	p.inside = fail == nil
	return fail
}

// take takes room for n more bytes of the body.
func (p *place) take(n int64) *llm.Error {
	if p.gate == nil {
		return nil
	}
	fail := p.gate.Take(n)
	if fail == nil {
		p.held += n
	}
	return fail
}

// give gives back n bytes of what take took.
func (p *place) give(n int64) {
	if p.gate == nil {
		return
	}
	p.gate.Give(n)
	p.held -= n
}

// leave gives back what enter and take took.
func (p *place) leave() {
	if p.held > 0 {
		p.gate.Give(p.held)
	}
	if p.inside {
		p.gate.Leave()
	}
	p.held, p.inside = 0, false
}
