package limit

import (
	"cmp"
	"slices"
	"time"

	"headrace/internal/llm"
)

// State is what there is to see of a credential.
type State struct {
	Name    string
	Running int
	// Parallel is how many requests may run at once by the operator's word; 0 is
	// no limit.
	Parallel int
	// Off are the operations for which it is set aside, the longest first.
	Off []Aside
	// Pauses are the rate limits that the provider told of and that have not
	// ended, the longest first.
	Pauses []Pause
	// Full is how full its fullest bucket is, in thousandths.
	Full int64
	// Limits are those in force, the fullest first: of each kind and class, the
	// operator's and what was learned.
	Limits []Level
}

// Aside is why and until when a credential is not used for an operation.
type Aside struct {
	Op      llm.Op
	Class   llm.Class
	Message string
	// For is how long; 0 when the next request probes it or one does now.
	For time.Duration
}

// Pause is how long requests of a class wait for a rate limit to end.
type Pause struct {
	// Op and Class say of which requests; both are empty when it is all of them.
	Op    llm.Op
	Class string
	For   time.Duration
}

// Level is one limit and what is left of it.
type Level struct {
	Kind Kind
	// Op and Class say of which requests; both are empty when it is all of them.
	Op    llm.Op
	Class string
	// Learned says that the provider's answers told it, not the operator.
	Learned bool
	// Limit is how much there is in a period, Left what could be taken now.
	Limit, Left int64
	Per         time.Duration
	// Full is how full it is, in thousandths.
	Full int64
}

// States gives all credentials, in the order in which they were given.
func (p *Pool) States(now time.Time) []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.time(now)
	out := make([]State, 0, len(p.credentials))
	for _, c := range p.credentials {
		s := State{Name: c.Name, Running: c.all.running, Parallel: c.all.parallel, Full: c.fullness(at)}
		for op, o := range c.off {
			s.Off = append(s.Off, Aside{op, o.class, o.message, max(time.Duration(o.until-at), 0)})
		}
		p.look(&s, c, &c.all, class{}, at)
		for name, m := range c.classes {
			p.look(&s, c, m, name, at)
		}
		slices.SortFunc(s.Off, func(x, y Aside) int { return cmp.Or(cmp.Compare(y.For, x.For), cmp.Compare(x.Op, y.Op)) })
		slices.SortFunc(s.Pauses, func(x, y Pause) int {
			return cmp.Or(cmp.Compare(y.For, x.For), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Op, y.Op))
		})
		slices.SortFunc(s.Limits, func(x, y Level) int {
			return cmp.Or(cmp.Compare(y.Full, x.Full), cmp.Compare(x.Class, y.Class), cmp.Compare(x.Op, y.Op), cmp.Compare(x.Kind, y.Kind))
		})
		out = append(out, s)
	}
	return out
}

// look adds what some meters of a credential show. p.mu is held.
func (p *Pool) look(s *State, c *credential, m *meters, name class, at int64) {
	if left := time.Duration(m.until - at); left > 0 {
		s.Pauses = append(s.Pauses, Pause{name.op, name.name, left})
	}
	for k := range kinds {
		g := &m.meter[k]
		if g.limit == 0 || p.passed(c, m, k) {
			continue
		}
		level := min(g.level(at), g.period)
		// In floating point: a limit times its period may be more than int64 holds.
		left := int64(float64(g.limit) * (1 - float64(level)/float64(g.period)))
		s.Limits = append(s.Limits, Level{Kind: k, Op: name.op, Class: name.name, Learned: !p.own(c, k),
			Limit: g.limit, Left: left, Per: time.Duration(g.period), Full: level / (g.period / 1000)})
	}
}
