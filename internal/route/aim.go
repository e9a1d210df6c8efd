package route

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// Aim is what an operator wants of the answers of a route. The zero value wants
// nothing but that they are cheap.
type Aim struct {
	// Quality is the share of the best rung's success that is held to, such as
	// 0.98; 0 holds to none.
	Quality float64
	// FirstToken is how long the 95th percentile of the first tokens may take; 0
	// is as long as it takes.
	FirstToken time.Duration
	// MaxCost is what all attempts at one request may be expected to cost; 0 is
	// anything.
	MaxCost llm.Nanodollars
	// Value is what a success is worth; 0 is not said, and then a failed check is
	// always worth another rung.
	Value llm.Nanodollars
	// Explore is the share of the requests whose rung is drawn evenly, to learn;
	// 0: 0.05. Negative explores nothing.
	Explore float64
}

// When is a rule that names the model of a request. All that it says must hold.
type When struct {
	// Script is what the prompt is written in (ScriptOf), Has a word of HasNames,
	// Task what the client calls its task.
	Script, Has, Task string
	// Use is the model, written provider/model.
	Use string
}

// HasNames are the words of When.Has, with the feature that each needs.
var HasNames = map[string]llm.Feature{"tools": llm.Tools, "image": llm.Vision, "document": llm.PDF, "audio": llm.AudioInput, "schema": llm.JSONSchema}

func (w *When) holds(n *Needs) bool {
	return (w.Script == "" || w.Script == n.Script) && (w.Task == "" || w.Task == n.Task) && (w.Has == "" || n.Has&HasNames[w.Has] != 0)
}

// String says the rule in words.
func (w *When) String() string {
	var says []string
	for _, s := range []struct{ name, value string }{{"script", w.Script}, {"has", w.Has}, {"task", w.Task}} {
		if s.value != "" {
			says = append(says, s.name+": "+s.value)
		}
	}
	return strings.Join(says, ", ")
}

// when puts the model of the first rule that holds before the rungs. Nothing is
// above it: what it says is taken as it is, and only when it fails are the rungs
// asked, the strongest first.
func (l *Ladder) when(plan *Plan, f Facts, c *catalog.Catalog, p *Policy) {
	for i := range l.When {
		w := &l.When[i]
		if f.Embed || !w.holds(&f.Needs) {
			continue
		}
		t, ok := pinned(w.Use, c, p)
		why := ""
		switch {
		case !ok:
			why = "its provider is not configured"
		case f.Allowed != nil && !f.Allowed(t.Provider, t.Model, f.Model):
			why = "this key may not use it"
		default:
			why = f.Needs.lacks(&t.Capability, "")
		}
		if why != "" {
			plan.Left = append(plan.Left, Left{Target: w.Use, Why: "rule " + w.String() + ": " + why})
			continue
		}
		t.Reshape, t.Rung = true, len(l.Rungs)+1
		t.Why = "route " + f.Model + ", rule " + w.String()
		slices.Reverse(plan.Targets)
		plan.Targets = append([]Target{t}, plan.Targets...)
		return
	}
}

// Ruled reports whether a rule chose the first target.
func (p *Plan) Ruled() bool {
	return p.Ladder != nil && len(p.Targets) > 0 && p.Targets[0].Rung > len(p.Ladder.Rungs)
}

// Begin puts the target at a place first, with a reason; those above it in the
// ladder follow, then those below it, the next one first.
func (p *Plan) Begin(at int, why string) {
	first := p.Targets[at].Rung
	slices.SortStableFunc(p.Targets, func(a, b Target) int {
		up, also := a.Rung >= first, b.Rung >= first
		switch {
		case up && also:
			return cmp.Compare(a.Rung, b.Rung)
		case up:
			return -1
		case also:
			return 1
		}
		return cmp.Compare(b.Rung, a.Rung)
	})
	p.Targets[0].Because = why
}

// scripts are those that ScriptOf tells apart.
var scripts = []struct {
	name  string
	table *unicode.RangeTable
}{
	{"latin", unicode.Latin}, {"han", unicode.Han}, {"kana", unicode.Hiragana}, {"kana", unicode.Katakana}, {"hangul", unicode.Hangul},
	{"cyrillic", unicode.Cyrillic}, {"arabic", unicode.Arabic}, {"devanagari", unicode.Devanagari}, {"hebrew", unicode.Hebrew},
	{"greek", unicode.Greek}, {"thai", unicode.Thai},
}

// Scripts are the names that ScriptOf gives.
func Scripts() (names []string) {
	for _, s := range scripts {
		if !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

// ScriptOf is the script of most letters of a text's beginning, or "". A text
// with kana is Japanese, however much Han is in it; and where a fifth of the
// letters is not Latin, the text is not: names and code in Latin letters stand in
// every script.
func ScriptOf(text string) string {
	var count [16]int
	all := 0
	for _, r := range text[:min(len(text), 1024)] {
		if r < 0x80 && r|0x20 >= 'a' && r|0x20 <= 'z' {
			count[0]++
			all++
			continue
		}
		if r < 0xaa {
			continue
		}
		for i := range scripts {
			if unicode.Is(scripts[i].table, r) {
				count[i]++
				all++
				break
			}
		}
	}
	if all == 0 {
		return ""
	}
	best := 0
	for i := 1; i < len(scripts); i++ {
		if scripts[i].name == "kana" && count[i]*8 > all {
			return "kana"
		}
		if count[i]*5 > all && (best == 0 || count[i] > count[best]) {
			best = i
		}
	}
	return scripts[best].name
}

// BreakEven is after how many turns a switch to a cheaper model has paid for the
// prompt cache that it loses: the prompt is written anew there, and each turn is
// cheaper from then on. prompt and output are the tokens of a turn, now and then
// the prices of both models. It is negative when the switch never pays.
func BreakEven(prompt, output int64, now, then catalog.Rates) float64 {
	read := func(r catalog.Rates) float64 {
		if r.CacheRead.Known {
			return r.CacheRead.USD()
		}
		return r.Input.USD()
	}
	write := func(r catalog.Rates) float64 {
		if r.CacheWrite5m.Known {
			return r.CacheWrite5m.USD()
		}
		return r.Input.USD()
	}
	l, o := float64(prompt), float64(output)
	once := l * (write(then) - read(now))
	each := l*(read(now)-read(then)) + o*(now.Output.USD()-then.Output.USD())
	switch {
	case once <= 0:
		return 0
	case each <= 0:
		return -1
	}
	return once / each
}

// Base gives what a name names: without the order behind it (:floor, :nitro), if
// that is one.
func Base(name string, c *catalog.Catalog, p *Policy) string {
	base, _ := sorted(name, c, p)
	return base
}

// sorted reads a name that ends in :floor or :nitro, of something that has the
// name before it: the cheapest or the fastest target comes first.
func sorted(name string, c *catalog.Catalog, p *Policy) (base string, by func(*Plan, Facts, *catalog.Catalog)) {
	base, ok := strings.CutSuffix(name, ":floor")
	by = floor
	if !ok {
		base, ok = strings.CutSuffix(name, ":nitro")
		by = nitro
	}
	if !ok || p.Is(name) || len(c.Offers(name)) > 0 || !p.Is(base) && base != "auto" && len(c.Offers(base)) == 0 {
		return name, nil
	}
	return base, by
}

// floor puts the cheapest target first; those of unknown price are last.
func floor(plan *Plan, _ Facts, c *catalog.Catalog) {
	now := time.Now()
	price := func(t *Target) float64 {
		if p, ok := c.PriceAt(t.Provider, t.Model, now); ok && p.Input.Known && p.Output.Known {
			return 3*p.Input.USD() + p.Output.USD()
		}
		return 1e18 // more than anything
	}
	plan.Sorted = "floor"
	slices.SortStableFunc(plan.Targets, func(a, b Target) int { return cmp.Compare(price(&a), price(&b)) })
	say(plan, "the cheapest first")
}

// nitro puts the target first that begins its answers soonest; those of which
// nothing is known follow in their order.
func nitro(plan *Plan, f Facts, _ *catalog.Catalog) {
	wait := func(t *Target) time.Duration {
		if f.Speed != nil {
			if d, ok := f.Speed(t.Provider, t.Model); ok {
				return d
			}
		}
		return 1<<63 - 1
	}
	plan.Sorted = "nitro"
	slices.SortStableFunc(plan.Targets, func(a, b Target) int { return cmp.Compare(wait(&a), wait(&b)) })
	say(plan, "the fastest first")
}

func say(plan *Plan, why string) {
	for i := range plan.Targets {
		plan.Targets[i].Why += ", " + why
	}
}
