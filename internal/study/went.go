package study

import (
	"slices"
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

// Good says how well a request went, from 0 to 1: what somebody said of it on
// purpose, else whether it was answered, with what is neither refused nor cut nor
// faulty, and no sign of failure came after it. judged is false where nobody can
// tell: the client left, or asked for what cannot be answered.
func Good(e *ledger.Entry) (good float64, judged bool) {
	return scored(e, e.Feedback)
}

// scored is Good with the feedback that counts.
func scored(e *ledger.Entry, said []ledger.Feedback) (good float64, judged bool) {
	explicit := slices.ContainsFunc(said, func(f ledger.Feedback) bool { return f.Explicit })
	if callers[e.Class] && !explicit || e.Last() == nil && e.Class == "" {
		return 0, false
	}
	return ledger.Judge(e.EndedWell(), said), true
}

// sumOf is what one request came to. slow is the time that the guard on latency
// allows; 0: none.
func sumOf(e *ledger.Entry, slow time.Duration) Sum {
	s := Sum{N: 1}
	// What is said of it comes later, and is added when it does.
	if good, judged := scored(e, nil); judged {
		s.Judged, s.Good = 1, good
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
