package study

import (
	"strings"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// callers are the classes of failure that say nothing of whoever answers: the
// caller's own, and those of the door.
var callers = map[llm.Class]bool{
	llm.InvalidRequest: true, llm.ContextOverflow: true, llm.Unauthenticated: true, llm.Forbidden: true, llm.NotFound: true,
	llm.TooLarge: true, llm.ClientGone: true,
}

// Good says whether a request went well, as far as its row tells: it was
// answered, and the answer was neither refused nor cut nor kept back for not
// being what its route wants. judged is false where nobody can tell: the client
// left, or asked for what cannot be answered.
func Good(e *ledger.Entry) (good, judged bool) {
	if callers[e.Class] {
		return false, false
	}
	last := e.Last()
	if e.Class != "" || last == nil {
		return false, last != nil || e.Class != ""
	}
	switch last.Finish {
	case llm.FinishRefusal, llm.FinishLength, llm.FinishContext:
		return false, true
	}
	return !strings.HasPrefix(last.Message, "not passed on"), true
}

// sumOf is what one request came to. slow is the time that the guard on latency
// allows; 0: none.
func sumOf(e *ledger.Entry, slow time.Duration) Sum {
	s := Sum{N: 1}
	good, judged := Good(e)
	if judged {
		s.Judged = 1
		if good {
			s.Good = 1
		}
	}
	if e.Class != "" && !callers[e.Class] && e.Class != llm.ContentRefused {
		s.Failed = 1
	}
	if last := e.Last(); e.Class == llm.ContentRefused || e.Class == "" && last != nil && last.Finish == llm.FinishRefusal {
		s.Refused = 1
	}
	took := e.Total
	if e.Streamed {
		took = e.FirstByte
	}
	if e.Class == "" && took > 0 {
		s.Timed, s.Millis = 1, float64(took)/1e6
		if slow > 0 && took > slow {
			s.Slow = 1
		}
	}
	s.Cost = e.Cost
	if !e.Priced {
		s.Unknown = 1
	}
	return s
}
