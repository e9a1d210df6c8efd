package ledger

import (
	"strings"
	"time"
	"unicode/utf8"

	"headrace/internal/llm"
)

// Entry is one request and how it ended: exactly one for every request, with
// one Attempt for every time a provider was asked. Times are kept to the
// millisecond, durations to the microsecond.
type Entry struct {
	ID ID
	// Seq is the place in the order of writing, which is not the order of ID:
	// a long request is written after short ones that began later. A store
	// gives it; 0 means that the entry is not written yet.
	Seq int64
	// At is when the request began.
	At time.Time
	// KeyID, KeyName and Team are who asked, as named at that time.
	KeyID, KeyName, Team string
	// Dialect is the client's.
	Dialect llm.Dialect
	Op      llm.Op
	// Asked is the model or route name as the client wrote it.
	Asked    string
	Streamed bool
	// Label is what it says of itself, Session the conversation that it belongs to
	// as far as its client says one.
	Label   Label
	Session string
	// Needs are the features that a model must have for it, as far as they were
	// known without reading all of it: tools and schemas always are, pictures,
	// documents and sounds only where it was decoded.
	Needs llm.Feature
	// Status is what the client saw; Class is empty when all went well. An
	// answer that refuses the content has the class content_refused and the
	// status with which it was told, mostly 200.
	Status int
	Class  llm.Class
	// Committed says that content had gone to the client.
	Committed bool
	// FirstByte and Total are seen from the client's side; FirstByte 0 means
	// that none went out.
	FirstByte, Total time.Duration
	Warnings         []string
	// Attempts are in order; the last one decided how it ended.
	Attempts []Attempt
	// Choice is how a route came to ask one of its rungs first; nil mostly.
	Choice *Choice
	// Feedback is what came to be known of the answer later; a store gives it.
	Feedback []Feedback
	// Charges are what budgets paid for the request: its cost with an estimate
	// of what no price is known for, once for each budget that it came under.
	Charges []Charge
	// Trace is its place in a trace, nil when nobody is told. It is not stored.
	Trace *llm.Trace
	// Trial is the experiment that it took part in; nil for none.
	Trial *Trial

	// What follows is worked out from the attempts, outside the request path.

	// Usage is the sum over all attempts. Its Source is the weakest of theirs:
	// empty when one that may have used tokens says nothing.
	Usage llm.Usage
	// Cost is the sum over the attempts that could be priced; unless Priced is
	// set it is only the part that is known, never the price.
	Cost   llm.Nanodollars
	Priced bool
}

// Charge is what a request took from one window of a budget.
type Charge struct {
	// Budget names the budget, and Start when the window began; zero for one
	// that never begins anew.
	Budget string
	Start  time.Time
	Amount llm.Nanodollars
}

// Attempt is one try at one provider.
type Attempt struct {
	// N counts from 1.
	N               int
	Provider, Model string
	// Why says why this target was tried.
	Why              string
	Start            time.Time
	FirstByte, Total time.Duration
	// Status is the provider's; 0 when none came.
	Status int
	// Class is empty when the attempt succeeded.
	Class   llm.Class
	Message string
	// Refused says when and why, when the content was refused.
	Refused llm.Refused
	// Usage is kept without Raw.
	Usage  llm.Usage
	Finish llm.FinishReason
	// UpstreamID is the provider's id of the answer.
	UpstreamID string
	// Cost means something only when Priced is set: what has no known price is
	// unpriced, never free.
	Cost   llm.Nanodollars
	Priced bool
	// Listed is what the catalogue says of an attempt whose provider reports a
	// cost of its own, which is then Cost; HasListed says that it says something.
	Listed    llm.Nanodollars
	HasListed bool
}

// PriceFunc is what an attempt costs by the catalogue; priced is false when
// it has no price. It is called outside the request path.
type PriceFunc func(provider, model string, u llm.Usage, at time.Time) (cost llm.Nanodollars, priced bool)

// The bounds of what is kept: figures that a provider invents must not be able
// to overflow a sum, nor texts to fill the disk. A trillion tokens and a
// hundred thousand dollars are more than any one attempt.
const (
	maxTokens = 1 << 40
	maxCost   = llm.Nanodollars(1e14)
	maxText   = 2048
	maxName   = 256
)

// settle works out prices and sums and cuts what is too long. The entry is
// the ledger's own by now.
func (e *Entry) settle(price PriceFunc) {
	e.Asked, e.Session = cut(e.Asked, maxName), cut(e.Session, maxName)
	e.Label.settle()
	for i, w := range e.Warnings {
		e.Warnings[i] = cut(w, maxText)
	}
	for i := range e.Attempts {
		e.Attempts[i].settle(e.Op, price)
	}
	for i := range e.Charges {
		e.Charges[i].Amount = min(max(e.Charges[i].Amount, 0), maxCost)
	}
	if e.Trial != nil {
		e.Trial.settle()
	}
	e.Sum()
}

// Sum works out Usage, Cost and Priced from the attempts as they are. Stores
// call it on what they read.
func (e *Entry) Sum() {
	e.Usage, e.Cost, e.Priced = llm.Usage{}, 0, true
	missing, estimated, drained := false, false, false
	for i := range e.Attempts {
		a := &e.Attempts[i]
		u := &a.Usage
		e.Usage.Input = min(e.Usage.Input+u.Input, maxTokens)
		e.Usage.CacheRead = min(e.Usage.CacheRead+u.CacheRead, maxTokens)
		e.Usage.CacheWrite5m = min(e.Usage.CacheWrite5m+u.CacheWrite5m, maxTokens)
		e.Usage.CacheWrite1h = min(e.Usage.CacheWrite1h+u.CacheWrite1h, maxTokens)
		e.Usage.Output = min(e.Usage.Output+u.Output, maxTokens)
		e.Usage.Reasoning = min(e.Usage.Reasoning+u.Reasoning, maxTokens)
		switch {
		case u.Source == llm.UsageEstimated:
			estimated = true
		case u.Source == "" && !a.Priced:
			missing = true
		case u.Source == llm.UsageDrained:
			drained = true
		case u.Source == llm.UsageProvider:
			e.Usage.Source = llm.UsageProvider
		}
		if a.Priced {
			e.Cost = min(e.Cost+a.Cost, maxCost)
		} else {
			e.Priced = false
		}
	}
	if missing {
		e.Usage.Source = ""
	} else if estimated {
		e.Usage.Source = llm.UsageEstimated
	} else if drained {
		e.Usage.Source = llm.UsageDrained
	}
}

func (a *Attempt) settle(op llm.Op, price PriceFunc) {
	a.Provider, a.Model = cut(a.Provider, maxName), cut(a.Model, maxName)
	a.Why, a.Message, a.UpstreamID = cut(a.Why, maxText), cut(a.Message, maxText), cut(a.UpstreamID, maxName)
	u := &a.Usage
	for _, n := range []*int64{&u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning} {
		*n = min(max(*n, 0), maxTokens)
	}
	a.Cost, a.Priced = 0, false
	switch {
	case u.Source == "":
		// No usage is known. That costs nothing only when nothing was
		// generated for certain; otherwise the price is not known either.
		a.Priced = free(a, op)
	default:
		if price != nil {
			a.Cost, a.Priced = price(a.Provider, a.Model, *u, a.Start)
		}
		// The provider's own word on its price is better than none.
		if !a.Priced && u.HasReported {
			a.Cost, a.Priced = u.Reported, true
		}
		if a.Cost < 0 || !a.Priced {
			a.Cost, a.Priced = 0, false
		}
		a.Cost = min(a.Cost, maxCost)
	}
	a.Listed, a.HasListed = 0, false
	if u.HasReported = u.HasReported && u.Source != "" && u.Reported >= 0; !u.HasReported {
		u.Reported = 0
	} else if u.Reported = min(u.Reported, maxCost); price != nil {
		ours := *u
		ours.Reported, ours.HasReported = 0, false
		if listed, ok := price(a.Provider, a.Model, ours, a.Start); ok && listed >= 0 {
			a.Listed, a.HasListed = min(listed, maxCost), true
		}
	}
	u.Raw = nil
}

// free reports whether an attempt without usage is known to have cost nothing.
func free(a *Attempt, op llm.Op) bool {
	if op == llm.OpCountTokens || op == llm.OpModels {
		return true
	}
	if a.Status >= 400 {
		return true
	}
	if a.Status != 0 {
		return false
	}
	switch a.Class {
	case "", llm.Timeout, llm.SlowStart, llm.SlowStream, llm.ClientGone, llm.MalformedUpstream:
		// The request may have been at work when we turned away.
		return false
	}
	return true
}

// cut shortens a text to n bytes without breaking a character, and makes it
// valid UTF-8 without NUL, which a store may refuse.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return s
}

// Refused says when and why the content was refused, of a request that ended
// so.
func (e *Entry) Refused() (r llm.Refused) {
	if e.Class != llm.ContentRefused {
		return r
	}
	for i := range e.Attempts {
		if a := &e.Attempts[i]; a.Class == llm.ContentRefused {
			r = a.Refused
		}
	}
	return r
}

// Last is the attempt that decided how the request ended, or nil.
func (e *Entry) Last() *Attempt {
	if len(e.Attempts) == 0 {
		return nil
	}
	return &e.Attempts[len(e.Attempts)-1]
}
