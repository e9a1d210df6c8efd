package relay

import (
	"time"

	"headrace/internal/llm"
)

// Limits bound one attempt. Before the commit point what exceeds them goes to
// the next target; after it the stream ends with an error. The zero value of
// each says its default.
type Limits struct {
	// Total bounds the whole attempt; 0: no bound.
	Total time.Duration
	// FirstByte is how long a target may take to its first byte, or to a whole
	// answer; 0: 10 min, as long as the official SDKs wait.
	FirstByte time.Duration
	// FirstContent is how long it may take to the first content of a stream; 0: no
	// bound.
	FirstContent time.Duration
	// Idle is the longest silence inside a stream; 0: 5 min.
	Idle time.Duration
	// Floor is how many bytes of text a second a stream must bring within WarmUp
	// of its first text, unless no other target is left; 0: any number. Until it
	// has brought so many (Floor x WarmUp) it is held back, so that another target
	// may be tried.
	Floor  int
	WarmUp time.Duration
}

func (l Limits) orDefault() Limits {
	if l.FirstByte == 0 {
		l.FirstByte = 10 * time.Minute
	}
	if l.Idle == 0 {
		l.Idle = 5 * time.Minute
	}
	return l
}

// need is how many bytes of text a stream is held back for.
func (l *Limits) need() int { return int(float64(l.Floor) * l.WarmUp.Seconds()) }

// A tooSlow ends an attempt that exceeds a limit; as the cause of its context it
// says which one.
type tooSlow struct {
	class llm.Class
	did   string // what the provider did, as the client is told
}

func (s *tooSlow) Error() string { return "it " + s.did }

var (
	errFirstByte    = &tooSlow{llm.SlowStart, "gave no first byte in time"}
	errFirstContent = &tooSlow{llm.SlowStart, "gave no content in time"}
	errIdle         = &tooSlow{llm.SlowStream, "was silent for too long"}
	errFloor        = &tooSlow{llm.SlowStream, "was too slow"}
	errTotal        = &tooSlow{llm.Timeout, "took too long over its answer"}
)
