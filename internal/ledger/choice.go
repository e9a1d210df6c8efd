package ledger

import (
	"slices"
	"time"

	"headrace/internal/llm"
)

// Rule says by what the first rung of a route was chosen.
type Rule string

// The rules.
const (
	// RuleLearned: the cheapest rung that is believed to do about as well as the
	// best.
	RuleLearned Rule = "learned"
	// RuleExplored: a rung that was drawn evenly, to learn.
	RuleExplored Rule = "explored"
	// RuleFirst: too little is known; the first rung that can take the request.
	RuleFirst Rule = "first"
	// RuleSession: the rung that the conversation is at.
	RuleSession Rule = "session"
	// RuleLatch: the next rung, after two signs of trouble in the conversation.
	RuleLatch Rule = "latch"
	// RuleWhen: a rule of the route named the model.
	RuleWhen Rule = "when"
	// RuleSorted: the name asks for the cheapest or the fastest first.
	RuleSorted Rule = "sorted"
	// RuleOnly: no other rung can take the request.
	RuleOnly Rule = "only"
)

// Choice is how a route came to ask one of its rungs first, and all that later
// estimates and explanations need.
type Choice struct {
	// Route is the name of the route without an order behind it.
	Route string `json:"route"`
	// Key is the task as it is learned by.
	Key  uint64 `json:"key,string"`
	Rule Rule   `json:"rule"`
	// Why says it in a sentence.
	Why string `json:"why,omitzero"`
	// Rung is the place of the first rung in the ladder, from 1.
	Rung int `json:"rung"`
	// Chance is the chance that it had to be the first.
	Chance float64 `json:"chance"`
	// Labels is the weight of what the beliefs rest on, Delta what may be given up
	// against the best rung; negative is that only the best one answers.
	Labels float64 `json:"labels,omitzero"`
	Delta  float64 `json:"delta,omitzero"`
	// Answered is the place of the attempt whose answer the client got, from 1; 0
	// is the last one. Held is how many answers were not passed on.
	Answered int `json:"answered,omitzero"`
	Held     int `json:"held,omitzero"`
	// Fault is what was wrong with the answer that the client got, "" for nothing.
	Fault string `json:"fault,omitzero"`
	// Candidates are the rungs in the order of the ladder, those that were left
	// out too.
	Candidates []Candidate `json:"candidates"`
}

// Candidate is one rung as it looked when the choice was made.
type Candidate struct {
	Rung   int    `json:"rung"`
	Target string `json:"target"`
	Think  string `json:"think,omitzero"`
	// Left says why it was left out; empty for one that could be chosen.
	Left string `json:"left,omitzero"`
	// Cost is what it was expected to cost, if Priced.
	Cost   llm.Nanodollars `json:"cost,omitzero"`
	Priced bool            `json:"priced,omitzero"`
	// FirstTokenMS is the 95th percentile of its first bytes; 0 when not known.
	FirstTokenMS int64 `json:"first_token_ms,omitzero"`
	// Success is how likely it was believed to succeed, Chance how likely to be
	// chosen.
	Success float64 `json:"success,omitzero"`
	Chance  float64 `json:"chance,omitzero"`
	// Closed says that it had collapsed.
	Closed bool `json:"closed,omitzero"`
}

// Feedback is what is known of an answer after it was given: from the client
// itself (explicit), or from what it did next.
type Feedback struct {
	Request ID
	At      time.Time
	// Explicit says that somebody gave it on purpose.
	Explicit bool
	// Signal is what it was: "feedback", or the name of an implicit signal.
	Signal string
	// Score is from 0 to 1.
	Score float64
	// Value is what the success was worth to the client, if HasValue.
	Value    llm.Nanodollars
	HasValue bool
}

// faults are the ends of an answer that no client wants.
var faults = []llm.FinishReason{llm.FinishRefusal, llm.FinishLength, llm.FinishContext}

// EndedWell reports whether a request ended as it should as far as the gateway
// can see: answered, whole, and with nothing that the checks of its route found.
func (e *Entry) EndedWell() bool {
	last := e.Answered()
	if e.Class != "" || last == nil || last.Class != "" || slices.Contains(faults, last.Finish) {
		return false
	}
	return e.Choice == nil || e.Choice.Fault == ""
}

// Answered is the attempt whose answer the client got, or else the last one; nil
// when there was none.
func (e *Entry) Answered() *Attempt {
	if e.Class == "" && e.Choice != nil && e.Choice.Answered > 0 && e.Choice.Answered <= len(e.Attempts) {
		return &e.Attempts[e.Choice.Answered-1]
	}
	return e.Last()
}

// Judge says what a request counts for: the last explicit score if there is
// one; else 0 after any implicit sign of failure; else whether it ended well.
func Judge(endedWell bool, all []Feedback) (score float64) {
	if endedWell {
		score = 1
	}
	var at time.Time
	for _, f := range all {
		switch {
		case f.Explicit && !f.At.Before(at):
			score, at = f.Score, f.At
		case !f.Explicit && at.IsZero():
			score = min(score, f.Score)
		}
	}
	return score
}

// Success is what the requests of one group came to: by the name asked for,
// task and the target that answered.
type Success struct {
	// Asked is a model's or a route's name as clients wrote it, Task what the
	// clients or the route call the kind of request; Target is "provider/model".
	Asked, Task, Target string
	// Requests counts those that any provider was asked for, Escalated those whose
	// first answer was not passed on.
	Requests, Attempts, Escalated int64
	// EndedWell counts those that ended as they should as far as the gateway sees.
	EndedWell int64
	// Explicit counts those with feedback, ExplicitScore is the sum of it; Implicit
	// those with a sign of failure.
	Explicit      int64
	ExplicitScore float64
	Implicit      int64
	// Successes is the sum of Judge over all.
	Successes float64
	// Cost is what all attempts cost, checks and failures too; Unpriced counts
	// attempts that are not in it.
	Cost     llm.Nanodollars
	Unpriced int64
	// Value is the sum of what clients said that their successes were worth.
	Value llm.Nanodollars
}

// Add adds the figures of another group.
func (s *Success) Add(o *Success) {
	s.Requests += o.Requests
	s.Attempts += o.Attempts
	s.Escalated += o.Escalated
	s.EndedWell += o.EndedWell
	s.Explicit += o.Explicit
	s.ExplicitScore += o.ExplicitScore
	s.Implicit += o.Implicit
	s.Successes += o.Successes
	s.Cost = min(s.Cost+o.Cost, maxCost*1000)
	s.Unpriced += o.Unpriced
	s.Value = min(s.Value+o.Value, maxCost*1000)
}

// PerSuccess is what a success cost, the failures charged to it; not ok without
// a success or where a price is not known.
func (s *Success) PerSuccess() (cost llm.Nanodollars, ok bool) {
	if s.Successes <= 0 || s.Unpriced > 0 {
		return 0, false
	}
	return llm.Nanodollars(float64(s.Cost) / s.Successes), true
}

// DaySuccess is the Success of one UTC day, in days since 1970.
type DaySuccess struct {
	Day int64
	Success
}

// Successes rolls settled entries up by day, name, task and target.
func Successes(entries []Entry) []DaySuccess {
	type group struct {
		day                 int64
		asked, task, target string
	}
	at := map[group]int{}
	var out []DaySuccess
	for i := range entries {
		e := &entries[i]
		one, ok := e.success()
		if !ok {
			continue
		}
		g := group{hourOf(e.At) / 24, one.Asked, one.Task, one.Target}
		k, there := at[g]
		if !there {
			k = len(out)
			at[g] = k
			out = append(out, DaySuccess{Day: g.day, Success: Success{Asked: g.asked, Task: g.task, Target: g.target}})
		}
		out[k].Add(&one)
	}
	return out
}

// success is what one entry counts for; not ok for one that no provider was
// asked a chat for.
func (e *Entry) success() (s Success, ok bool) {
	if e.Op != llm.OpChat || len(e.Attempts) == 0 {
		return s, false
	}
	a := e.Answered()
	s = Success{Asked: e.Asked, Task: e.Label.Task, Target: a.Provider + "/" + a.Model, Requests: 1, Attempts: int64(len(e.Attempts)), Cost: e.Cost}
	for i := range e.Attempts {
		if !e.Attempts[i].Priced {
			s.Unpriced++
		}
	}
	if e.Choice != nil && e.Choice.Held > 0 {
		s.Escalated = 1
	}
	if e.EndedWell() {
		s.EndedWell, s.Successes = 1, 1
	}
	return s, true
}
