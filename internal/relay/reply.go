package relay

import (
	"context"
	"time"

	"headrace/internal/llm"
	"headrace/internal/route"
)

// Reply is the client's side of one request, in the client's dialect. Its
// methods are called by one goroutine at a time. An error means that the
// client cannot be reached any more; an *llm.Error, that it is not to be given
// the answer, but that error.
type Reply interface {
	// Whole gives a whole answer.
	Whole(a *llm.Answer, m Meta) error
	// Begin sends the status and headers of a streamed answer.
	Begin(a *llm.Answer, m Meta) error
	// Piece gives one piece of the streamed answer; it is not flushed.
	Piece(p llm.Piece) error
	// Flush sends what Piece gave.
	Flush() error
	// Ping keeps a streamed answer alive; between pieces only.
	Ping() error
	// Fail gives an error: with its real status when nothing was sent, else as
	// the dialect's own error event.
	Fail(e *llm.Error, m Meta) error
}

// Meta is what the client is told about how its answer came about.
type Meta struct {
	// Target is who answered; nil when nobody did.
	Target *route.Target
	// Began is when the attempt began that answered.
	Began time.Time
	// Attempts counts the requests that were sent to providers.
	Attempts int
	Warnings []string
	// Held are the attempts whose answers were not what the route wants; they are
	// paid for too.
	Held []Attempt
}

// Mender is a Reply that can mend a request which a target has refused.
type Mender interface {
	// Mend gives another draft for the same target, or reports that there is
	// none. It must not say yes for ever.
	Mend(t *route.Target, d *llm.Draft, e *llm.Error) (llm.Draft, bool)
}

// Payer is the optional power of a Reply to hold money for an attempt before
// it is made.
type Payer interface {
	// Pays says whether the request is under a budget at all; then it is not
	// hedged either.
	Pays() bool
	// Pay holds what the draft can cost at most at the target, beside what the
	// attempts so far have cost, and gives the draft, which it may have cut to
	// what can be paid for, with a warning for the client. An error leaves the
	// target out.
	Pay(ctx context.Context, t *route.Target, d llm.Draft, past []Attempt) (draft llm.Draft, warning string, err *llm.Error)
}

// Climber is the optional power of a Reply to say what a further rung is worth.
type Climber interface {
	// Climb reports whether the next rung is to be asked after an answer that is
	// not as the route wants it, which is that of the last attempt.
	Climb(next *route.Target, past []Attempt) bool
}

func pays(reply Reply) bool {
	p, ok := reply.(Payer)
	return ok && p.Pays()
}
