package gateway

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/budget"
	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/wire/span"
)

// Budgets finds the budgets that a caller spends of; nil when there are none.
type Budgets interface {
	Open(c *budget.Caller, now time.Time) *budget.Tab
}

const (
	// leastOutput is how short an answer may be cut for a budget. A shorter one
	// is of no use to most clients, so the request is refused instead.
	leastOutput = 1024
	// unknownOutput is the cap that a request under a budget gets where neither
	// it nor the catalogue names one: its cost would have no bound.
	unknownOutput = 16_384
	// promptMargin is what is put on top of an estimated prompt, as a part of
	// it and in tokens: few estimates are that far off (docs/catalog.md).
	promptMargin, promptExtra = 4, 256
)

// bill is what a request may spend and has spent.
type bill struct {
	tab     *budget.Tab
	catalog *catalog.Catalog
	size    *sizer
	// prompts are estimates by model; counting a long prompt is not cheap.
	prompts map[string]int64
	// choices is how many answers are asked for, hour whether the prompt may be
	// written to a cache for an hour.
	choices int64
	hour    bool
	// tier and geo are what the request asks for that may set the price.
	tier, geo string
	// price is that of a batch in thousandths of the usual one; 0 is no batch.
	price int64
	// known says that cost is; a request that broke down before costs what it
	// holds.
	known bool
	cost  llm.Nanodollars
}

// open finds the budgets that the request spends of; nil when there are none.
func (x *exchange) open(p *access.Principal, tags []string) (*bill, *llm.Error) {
	if x.g.o.Budgets == nil {
		return nil, nil
	}
	var parsed []string
	if len(tags) > 0 {
		var err error
		if parsed, err = budget.ParseTags(strings.Join(tags, ",")); err != nil {
			return nil, asError(err, llm.InvalidRequest)
		}
	}
	tab := x.g.o.Budgets.Open(&budget.Caller{Key: p.KeyID, Team: p.Team, Tags: parsed}, x.reply.start)
	if tab == nil {
		return nil, nil
	}
	return x.billOf(tab), nil
}

func (x *exchange) billOf(tab *budget.Tab) *bill {
	return &bill{tab: tab, catalog: x.s.Catalog, size: &x.reply.size, known: true, choices: 1}
}

// Pays implements relay.Payer.
func (r *reply) Pays() bool { return r.bill != nil }

// Pay implements relay.Payer.
func (r *reply) Pay(ctx context.Context, t *route.Target, d llm.Draft, past []relay.Attempt) (llm.Draft, string, *llm.Error) {
	return r.bill.pay(ctx, t, d, past)
}

func (b *bill) pay(ctx context.Context, t *route.Target, d llm.Draft, past []relay.Attempt) (llm.Draft, string, *llm.Error) {
	b.known = false // until the outcome is
	if d.Op == llm.OpCountTokens {
		_, err := b.tab.Hold(ctx, 0, 0)
		return d, "", err
	}
	if b.prompts == nil {
		b.look(&d)
	}
	answers := d.Op == llm.OpChat
	quote, ok := b.catalog.Quote(t.Provider, t.Model, b.bounded(t), time.Now(), b.hour, answers)
	dearer, sold := b.dearer(t, d.Dialect)
	if !ok || !sold || d.Op == llm.OpRaw {
		what := "a raw pass to " + t.Provider
		if d.Op != llm.OpRaw {
			what = t.String()
		}
		if ok && !sold {
			return d, "", llm.Errorf(llm.Forbidden, "%s has no known price at the service tier that is asked for, and this caller has a budget", what)
		}
		return d, "", llm.Errorf(llm.Forbidden,
			"%s has no known price, and this caller has a budget: set models.%s.price in the configuration, or ask for a model with a price", what, t)
	}
	quote = quote.Times(dearer).Times(cmp.Or(b.price, 1000))
	spent := b.costOf(past)
	if !answers {
		want := spent + quote.Prompt
		_, err := b.tab.Hold(ctx, want, want)
		return d, "", err
	}
	asked, named := d.Head.MaxTokens, d.Head.MaxTokens > 0
	if !named {
		asked = t.Capability.MaxOutput
	}
	if capped := asked > 0; !capped {
		asked = unknownOutput
	}
	least := min(asked, max(leastOutput, thinking(&d)+leastOutput))
	cost := func(n int64) llm.Nanodollars { return spent + quote.Cost(times(n, b.choices)) }
	held, err := b.tab.Hold(ctx, cost(asked), cost(least))
	if err != nil {
		return d, "", err
	}
	bought := asked
	if held < cost(asked) {
		bought = max(quote.Buys(held-spent)/b.choices, least)
	}
	if bought == asked && (named || t.Capability.MaxOutput > 0) {
		return d, "", nil
	}
	d = d.With(llm.Edit{Kind: llm.EditMaxTokens, Number: bought})
	if bought == asked {
		return d, fmt.Sprintf("max_tokens: set to %d, because a request under a budget needs a bound", bought), nil
	}
	return d, fmt.Sprintf("max_tokens: lowered from %d to %d, which is what the budget buys", asked, bought), nil
}

// dearer is by how much more the target may cost for the tier that is asked for,
// in thousandths; the provider may also serve at the standard one. It is false
// where that is not known. What a dialect has no word for is not asked for.
func (b *bill) dearer(t *route.Target, from llm.Dialect) (factor int64, ok bool) {
	factor, ok = b.catalog.TierFactor(t.Provider, t.Model, b.tier, b.geo, time.Now())
	if !ok {
		row, _ := b.catalog.Provider(t.Provider)
		return 1000, row == nil || row.Dialect != from && !slices.Contains(row.Also, from)
	}
	return max(factor, 1000), true
}

// bounded is the prompt's estimate with a margin, within the model's window.
func (b *bill) bounded(t *route.Target) int64 {
	n, ok := b.prompts[t.Model]
	if !ok {
		n = b.size.of(t.Model)
		n += n/promptMargin + promptExtra
		b.prompts[t.Model] = n
	}
	if w := t.Capability.Window; w > 0 {
		n = min(n, w)
	}
	return n
}

// look reads what bounds the cost beside the cap.
func (b *bill) look(d *llm.Draft) {
	b.prompts = map[string]int64{}
	b.hour = span.Has(d.Raw, `"1h"`)
	if at, ok := d.Head.At("n"); ok {
		b.choices = choices(d.Raw[at.From:at.To])
	}
	word := func(name string) string {
		at, ok := d.Head.At(name)
		if !ok {
			return ""
		}
		return strings.ToLower(span.Text(d.Raw[at.From:at.To]))
	}
	b.tier, b.geo = cmp.Or(word("service_tier"), word("serviceTier")), word("inference_geo")
	if word("speed") == "fast" {
		b.tier = "fast"
	}
	for _, name := range [...]string{"generationConfig", "generation_config"} {
		at, ok := d.Head.At(name)
		if !ok {
			continue
		}
		for k, v := range span.Fields(d.Raw[at.From:at.To]) {
			if s := string(k); s == "candidateCount" || s == "candidate_count" {
				b.choices = choices(v)
			}
		}
	}
}

// choices reads a number of answers; nonsense is the provider's to refuse.
func choices(raw []byte) int64 {
	n, ok := span.Integer(raw)
	if !ok {
		return 1
	}
	return min(max(n, 1), 1024)
}

// thinking is the number of thinking tokens that a request names: its cap
// must stay above it (claude-api 3.2).
func thinking(d *llm.Draft) int64 {
	at, ok := d.Head.At("thinking")
	if !ok {
		return 0
	}
	for k, v := range span.Fields(d.Raw[at.From:at.To]) {
		if string(k) == "budget_tokens" {
			if n, ok := span.Integer(v); ok {
				return min(max(n, 0), math.MaxInt32)
			}
		}
	}
	return 0
}

func times(a, b int64) int64 {
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

// costOf is what attempts cost for a budget: by the catalogue, and by an
// estimate where no usage is known but something may have been billed.
func (b *bill) costOf(past []relay.Attempt) llm.Nanodollars {
	sum := llm.Nanodollars(0)
	for i := range past {
		sum = min(sum+b.costOfOne(&past[i]), budget.MaxLimit)
	}
	return sum
}

func (b *bill) costOfOne(a *relay.Attempt) llm.Nanodollars {
	if a.Usage.Source != "" {
		if cost, ok := b.catalog.Cost(a.Provider, a.Model, a.Usage, a.Start); ok {
			return cost
		}
	} else if !a.Sent || !billed(a) {
		return 0
	}
	// The provider may have read the prompt, and written what was seen.
	quote, ok := b.catalog.Quote(a.Provider, a.Model, b.size.of(a.Model), a.Start, false, false)
	if !ok {
		return 0 // it was not sent, for want of a price
	}
	return quote.Cost(max(int64(a.OutputBytes+3)/4, a.Usage.Output))
}

// billed reports whether an attempt without usage may have been billed. It
// says the same as the ledger does of what is free.
func billed(a *relay.Attempt) bool {
	if a.Status >= 400 {
		return false
	}
	if a.Status != 0 {
		return !(a.OutputBytes == 0 && refusedUnread[a.Class])
	}
	switch a.Class {
	case "", llm.Timeout, llm.SlowStart, llm.SlowStream, llm.ClientGone, llm.MalformedUpstream:
		return true
	}
	return false
}

// done says what was attempted, once all is.
func (b *bill) done(all []relay.Attempt) {
	if b != nil {
		b.cost, b.known = b.costOf(all), true
	}
}

// close closes the bill and gives whom it was charged to.
func (b *bill) close() (charges []ledger.Charge) {
	if b == nil {
		return nil
	}
	cost := b.cost
	if !b.known {
		cost = b.tab.Held()
	}
	for _, s := range b.tab.Close(cost) {
		if cost > 0 {
			charges = append(charges, ledger.Charge{Budget: s.ID.String(), Start: s.Start, Amount: cost})
		}
	}
	return charges
}
