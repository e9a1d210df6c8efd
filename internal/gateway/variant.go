package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
	"headrace/internal/variant"
)

// Variants gives requests the arms of experiments. Nothing in it waits.
type Variants interface {
	// Stands reports whether any experiment stands on a name.
	Stands(on string) bool
	// Assign gives a request its arm; nil when it takes no part.
	Assign(a *variant.Ask) *variant.Given
	// Fit gives a draft as an arm wants it, and what it could not express.
	Fit(d llm.Draft, a *variant.Arm) (llm.Draft, []string)
}

// vary gives the request its arm, if an experiment stands on what it asks for,
// and notes that whatever becomes of it: what counts is what was meant to be
// done. The draft becomes what the arm wants.
func (x *exchange) vary(p *access.Principal, d *llm.Draft) {
	v := x.g.o.Variants
	if v == nil || x.apart || d.Op != llm.OpChat {
		return
	}
	name := x.s.plain(d.Head.Model)
	if !v.Stands(name) {
		return
	}
	owner := p.Team
	if owner == "" {
		owner = p.KeyID
	}
	g := v.Assign(&variant.Ask{On: name, Owner: owner, KeyID: p.KeyID, User: endUser(d.Head.EndUser), Now: x.reply.start,
		Session: func() string { return session(d) }})
	if g == nil {
		return
	}
	x.takes(g, d)
}

// takes gives the request an arm.
func (x *exchange) takes(g *variant.Given, d *llm.Draft) {
	was := *d
	x.given, x.unvaried = g, &was
	if g.Counts {
		x.row.Trial = &ledger.Trial{Experiment: g.Experiment.Name, Run: g.Experiment.Run, Arm: g.The().Name, Unit: g.Unit, Shares: g.Shares}
	}
	fitted, lost := x.g.o.Variants.Fit(*d, g.The())
	if d.Whole != nil {
		whole, _ := x.g.o.Variants.Fit(*d.Whole, g.The())
		fitted.Whole = &whole
	}
	*d = fitted
	for _, what := range lost {
		x.reply.warned = append(x.reply.warned, "experiment "+g.Experiment.Name+": "+what+": left out")
	}
}

// lead fits a plan to the arm. An arm that cannot answer this request leaves it
// as it is, which the client is told.
func (x *exchange) lead(plan *route.Plan, f route.Facts) {
	g := x.given
	if g == nil {
		return
	}
	a := g.The()
	why := "experiment " + g.Experiment.Name + ", arm " + a.Name
	trouble := ""
	switch {
	case a.Model != "" && x.s.Policy.Is(a.Model):
		f.Model = a.Model
		f.Allowed = allowedAs(f.Allowed, plan.Asked)
		other, fail := route.Make(f, x.s.Catalog, x.s.Policy)
		if fail != nil {
			trouble = fail.Message
			break
		}
		other.Asked, other.Name = plan.Asked, plan.Name
		for i := range other.Targets {
			other.Targets[i].Why = why + ": " + other.Targets[i].Why
		}
		*plan = other
		if a.Thinking != "" {
			plan.Think(a.Thinking, "thinking "+a.Thinking)
		}
	case a.Model != "":
		trouble = plan.Lead(f, a.Model, a.Thinking, why, x.s.Catalog, x.s.Policy)
	case a.Thinking != "":
		plan.Think(a.Thinking, why+", thinking "+a.Thinking)
	default:
		for i := range plan.Targets {
			plan.Targets[i].Why += ", " + why
		}
	}
	if trouble != "" {
		x.reply.warned = append(x.reply.warned, why+" cannot answer this request: "+trouble)
	}
}

// allowedAs asks what a key may use in the name of a route.
func allowedAs(may func(provider, model, asked string) bool, asked string) func(provider, model, _ string) bool {
	if may == nil {
		return nil
	}
	return func(provider, model, _ string) bool { return may(provider, model, asked) }
}

// session is the id of the conversation that a request belongs to: what its
// client says, else a hash of how it began.
func session(d *llm.Draft) string {
	switch {
	case d.Session != "":
		return d.Session
	case d.Head.CacheKey != "":
		return "cache key " + d.Head.CacheKey
	}
	from := d
	if d.Whole != nil {
		from = d.Whole
	}
	r, err := from.Request()
	if err != nil {
		return ""
	}
	h := sha256.New()
	for i := range r.Items {
		it := &r.Items[i]
		if it.Kind != llm.ItemMessage {
			continue
		}
		h.Write([]byte(it.Role))
		for k := range it.Blocks {
			b := &it.Blocks[k]
			h.Write([]byte(b.Kind))
			h.Write([]byte(b.Text))
		}
		h.Write([]byte{0})
		if it.Role == llm.User {
			break // the first turn: it stays as the conversation grows
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// endUser is the user in the client's own word for it. Claude Code's names the
// session too: as JSON, or behind _session_ (2026-11).
func endUser(id string) string {
	if strings.HasPrefix(id, "{") {
		var who struct {
			Device  string `json:"device_id"`
			Account string `json:"account_uuid"`
		}
		if json.Unmarshal([]byte(id), &who) == nil && who.Device+who.Account != "" {
			return who.Account + "/" + who.Device
		}
	}
	if user, _, ok := strings.Cut(id, "_session_"); ok && user != "" {
		return user
	}
	return id
}

// foretold notes what success the route foretold before it chose, where that is the
// same for every arm: an arm with a model of its own is asked without a choice.
func (x *exchange) foretold() {
	t, c := x.row.Trial, x.row.Choice
	if t == nil || c == nil || !x.given.Experiment.Foretold() {
		return
	}
	sum, n := 0.0, 0
	for i := range c.Candidates {
		if one := &c.Candidates[i]; one.Left == "" && one.Success > 0 {
			sum, n = sum+one.Success, n+1
		}
	}
	if n > 0 {
		t.Predicted = sum / float64(n)
	}
}
