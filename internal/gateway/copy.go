package gateway

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/variant"
)

// Copies takes requests that are to be asked once more, with another arm, when
// their clients have their answers.
type Copies interface {
	// Take takes one for later. It never waits; there may be no room for it.
	Take(c *Copy)
	// Hold holds money of the experiment's for a copy. settle tells what it really
	// cost and must be called once.
	Hold(e *variant.Experiment, cost llm.Nanodollars) (settle func(llm.Nanodollars), ok bool)
}

// Copy is a request that was answered, to be asked once more.
type Copy struct {
	// of is the request, given the arm that it gets this time.
	of     ledger.ID
	given  variant.Given
	caller access.Principal
	door   *door
	draft  llm.Draft
	// output is how long the answer was, in tokens.
	output int64
}

// The bounds of what is copied: the largest body, and how much longer than the
// client's the answer may be, by a factor and in tokens.
const (
	mostCopied             = 4 << 20
	longer, longerBy int64 = 4, 4096
)

// copied has a request copied that ended well, if its experiment wants that.
func (x *exchange) copied(p *access.Principal, d *llm.Draft, out *relay.Outcome) {
	g := x.given
	if x.g.o.Copies == nil || g == nil || !g.Counts || g.Experiment.Shadow == nil || !out.OK || d.Head.Stream || len(d.Raw) > mostCopied ||
		d.HeldBy != "" || len(d.MadeBy) > 0 || x.reply.door.storer != nil && (d.Head.Store == nil || *d.Head.Store) {
		return // what is bound to a provider, or stored there, has no twin
	}
	if rand.Float64() >= g.Experiment.Shadow.Share {
		return
	}
	var others []int
	for i, share := range g.Shares {
		if i != g.Arm && share > 0 {
			others = append(others, i)
		}
	}
	if len(others) == 0 {
		return
	}
	c := &Copy{of: x.row.ID, given: *g, caller: *p, door: x.reply.door, draft: *x.unvaried}
	c.given.Arm = others[rand.IntN(len(others))]
	if n := len(out.Attempts); n > 0 {
		c.output = out.Attempts[n-1].Usage.Output
	}
	x.g.o.Copies.Take(c)
}

// Copy asks a copy. Nobody sees the answer: it leaves a row, charged to the
// experiment and not to the caller, and nothing else.
func (g *Gateway) Copy(ctx context.Context, c *Copy) {
	x := g.begin(nobody{http.Header{}}, c.door)
	defer x.end()
	x.row.KeyID = "experiment/" + c.given.Experiment.Name
	x.row.KeyName = x.row.KeyID
	x.reply.keep = keeping{o: &Options{}, door: c.door, began: x.reply.start}
	d := c.draft
	x.takes(&c.given, &d)
	x.row.Trial.Shadows = c.of
	x.about(&d)
	if fail := x.ask(ctx, c, &d); fail != nil {
		x.refuse(fail)
	}
}

func (x *exchange) ask(ctx context.Context, c *Copy, d *llm.Draft) *llm.Error {
	plan, fail := x.plan(&c.caller, d)
	if fail != nil {
		return fail
	}
	plan.Targets, plan.Success = plan.Targets[:1], nil
	t := &plan.Targets[0]
	prompt := x.reply.size.of(t.Model)
	quote, ok := x.s.Catalog.Quote(t.Provider, t.Model, prompt+prompt/promptMargin+promptExtra, time.Now(), false, true)
	if !ok {
		return llm.Errorf(llm.Forbidden, "%s has no known price, and a copy has a budget", t)
	}
	most := longer*c.output + longerBy
	if d.Head.MaxTokens > 0 {
		most = min(most, d.Head.MaxTokens)
	}
	if t.Capability.MaxOutput > 0 {
		most = min(most, t.Capability.MaxOutput)
	}
	held := quote.Cost(most)
	settle, ok := x.g.o.Copies.Hold(c.given.Experiment, held)
	if !ok {
		return llm.Errorf(llm.Forbidden, "the experiment's budget for copies is spent")
	}
	cost := held // if it ends in a panic
	defer func() { settle(cost) }()
	capped := d.With(llm.Edit{Kind: llm.EditMaxTokens, Number: most})
	out := x.s.Relay.Run(ctx, &plan, &capped, &x.reply)
	x.ended(out, d)
	cost = 0
	for i := range x.row.Attempts {
		a := &x.row.Attempts[i]
		if a.Usage.Source == "" {
			continue
		}
		one, priced := x.s.Catalog.Cost(a.Provider, a.Model, a.Usage, a.Start)
		if !priced {
			one = held
		}
		cost += one
	}
	return nil
}

// nobody is a client that is not there.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header       { return n.header }
func (nobody) Write(b []byte) (int, error) { return len(b), nil }
func (nobody) WriteHeader(int)             {}
