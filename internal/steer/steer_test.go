package steer_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/steer"
)

var rungs = []route.Rung{
	{Model: "anthropic/claude-haiku-5-5", Think: "off"},
	{Model: "anthropic/claude-sonnet-5-5", Think: "low"},
	{Model: "anthropic/claude-opus-5-5", Think: "high"},
}

// house has a table, and what it needs.
type house struct {
	testing.TB
	catalog *catalog.Catalog
	policy  *route.Policy
	table   *steer.Table
	ids     ledger.IDs

	mu    sync.Mutex // guards what follows
	said  []ledger.Feedback
	rows  map[ledger.ID]ledger.Entry
	store map[string][]byte
	speed map[string]time.Duration
	aside map[string]bool
}

func (h *house) SaveLearned(_ context.Context, name string, data []byte, _ time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.store[name] = data
	return nil
}

func (h *house) Learned(context.Context) (map[string][]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.store), nil
}

func build(tb testing.TB, l route.Ladder) *house {
	tb.Helper()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		tb.Fatal(err)
	}
	h := &house{TB: tb, catalog: c, rows: map[ledger.ID]ledger.Entry{}, store: map[string][]byte{}, speed: map[string]time.Duration{}, aside: map[string]bool{}}
	if l.Name = "r"; l.Rungs == nil {
		l.Rungs = rungs
	}
	h.policy = &route.Policy{Ladders: map[string]*route.Ladder{"r": &l}, Configured: map[string]bool{"anthropic": true, "openai": true}}
	h.open()
	return h
}

// open makes the table anew, as a start of the process does.
func (h *house) open() {
	h.Helper()
	t, err := steer.New(h.Context(), steer.Options{
		Store: h, Seed: 7,
		Say: func(f ledger.Feedback) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said = append(h.said, f)
		},
		Entry: func(_ context.Context, id ledger.ID) (ledger.Entry, bool, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			e, ok := h.rows[id]
			return e, ok, nil
		},
		FirstToken: func(provider, model string) (time.Duration, bool) {
			d, ok := h.speed[model]
			return d, ok
		},
		Aside: func(_, model string) bool { return h.aside[model] },
	})
	if err != nil {
		h.Fatal(err)
	}
	t.Set(h.catalog, h.policy.Ladders)
	h.table = t
}

// turn is a conversation's words: u is the user, a the assistant, c a call, t
// its result, e a result that is an error, s state of a model beside an answer.
func turn(words string) *llm.Request {
	r := &llm.Request{Model: "r"}
	for i, w := range strings.Fields(words) {
		it := llm.Item{Turn: i}
		kind, text, _ := strings.Cut(w, ":")
		say := []llm.Block{{Kind: llm.BlockText, Text: text}}
		switch kind {
		case "u":
			it.Kind, it.Role, it.Blocks = llm.ItemMessage, llm.User, say
		case "a":
			it.Kind, it.Role, it.Blocks = llm.ItemMessage, llm.Assistant, say
		case "s":
			it.Kind, it.Role, it.Opaque = llm.ItemReasoning, llm.Assistant, []llm.Opaque{{Issuer: llm.IssuerAnthropic, Data: "x"}}
		case "c":
			it.Kind, it.Role, it.Call = llm.ItemToolCall, llm.Assistant, llm.Call{ID: text}
		case "t", "e":
			it.Kind, it.Role, it.Result = llm.ItemToolResult, llm.User, llm.Result{CallID: text, IsError: kind == "e"}
		}
		r.Items = append(r.Items, it)
	}
	return r
}

// one is a request on its way.
type one struct {
	plan route.Plan
	trip *steer.Trip
	row  ledger.Entry
}

func (h *house) choose(session, words string) *one {
	h.Helper()
	return h.ask(&steer.Ask{Task: "", Tokens: 2000}, "r", session, words)
}

func (h *house) ask(a *steer.Ask, model, session, words string) *one {
	h.Helper()
	now := time.Now()
	plan, fail := route.Make(route.Facts{Model: model}, h.catalog, h.policy)
	if fail != nil {
		h.Fatal(fail)
	}
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte("{}"), llm.Head{Model: model}, func([]byte) (*llm.Request, error) { return turn(words), nil })
	d.Session = session
	a.ID, a.At, a.Key, a.Draft = h.ids.New(now), now, "key_1", &d
	o := &one{plan: plan, row: ledger.Entry{ID: a.ID, At: now, Asked: model, Op: llm.OpChat}}
	o.trip = h.table.Choose(a, &o.plan)
	return o
}

// first is the model that is asked first.
func (o *one) first() string {
	return strings.TrimPrefix(o.plan.Targets[0].Model, "claude-")
}

// ends lets a request be answered by the first target of its plan.
func (h *house) ends(o *one, change func(a *relay.Attempt)) *ledger.Choice {
	h.Helper()
	t := &o.plan.Targets[0]
	a := relay.Attempt{N: 1, Provider: t.Provider, Model: t.Model, Rung: t.Rung, Sent: true, Checked: true,
		Usage: llm.Usage{Input: 2000, Output: 300, Source: llm.UsageProvider}, Finish: llm.Finish{Reason: llm.FinishStop}}
	if change != nil {
		change(&a)
	}
	o.trip.Ended(&o.row, &steer.End{Attempts: []relay.Attempt{a}, OK: a.Class == "", Cost: func(*relay.Attempt) llm.Nanodollars { return 1000 }})
	o.row.Class = a.Class
	o.row.Attempts = []ledger.Attempt{{N: 1, Provider: a.Provider, Model: a.Model, Class: a.Class, Finish: a.Finish.Reason}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows[o.row.ID] = o.row
	return o.row.Choice
}

// teach gives explicit feedback on n requests: each rung succeeds as often as
// said.
func (h *house) teach(n int, success map[string]float64) {
	h.Helper()
	count := map[string]float64{}
	for i := range n {
		o := h.choose("", fmt.Sprintf("u:question-%d", i))
		name := o.first()
		h.ends(o, nil)
		count[name] += success[name]
		score := 0.0
		if count[name] >= 1 {
			count[name]--
			score = 1
		}
		h.table.Feedback(ledger.Feedback{Request: o.row.ID, At: time.Now(), Explicit: true, Score: score})
	}
}

// share is how often a rung is asked first.
func (h *house) share(name string) float64 {
	h.Helper()
	n := 0
	for i := range 200 {
		if o := h.choose("", fmt.Sprintf("u:question-%d", 300+i)); o.first() == name {
			n++
		}
	}
	return float64(n) / 200
}

// TestChoice: before anything is known the ladder is climbed as it is written;
// feedback moves requests to the cheapest rung that does about as well as the
// best, and away from one that does not.
func TestChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		success map[string]float64
		want    string
	}{
		{"the cheap one is as good", map[string]float64{"haiku-5-5": 0.95, "sonnet-5-5": 0.95, "opus-5-5": 0.95}, "haiku-5-5"},
		{"the middle one is as good as the best", map[string]float64{"haiku-5-5": 0.3, "sonnet-5-5": 0.95, "opus-5-5": 0.95}, "sonnet-5-5"},
		{"only the dearest is good", map[string]float64{"haiku-5-5": 0.2, "sonnet-5-5": 0.2, "opus-5-5": 0.95}, "opus-5-5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := build(t, route.Ladder{})
			o := h.choose("", "u:hello")
			if o.first() != "haiku-5-5" {
				t.Errorf("at first %s is asked", o.first())
			}
			if k := h.ends(o, nil); k.Rule != ledger.RuleFirst || k.Chance != 1 || k.Rung != 1 || len(k.Candidates) != 3 || !k.Candidates[0].Priced {
				t.Errorf("the first choice is %+v", k)
			}
			h.teach(1500, c.success)
			for name, success := range c.success {
				// What the words of a prompt seem to say moves near ties.
				if s := h.share(name); success < 0.5 && s > 0.15 || name == c.want && s < 0.15 {
					t.Errorf("%s is asked first by %.0f %% of the requests; beliefs %+v", name, 100*s, h.table.Read())
				}
			}
		})
	}
}

// TestChances: each rung is asked as often as the rows say.
func TestChances(t *testing.T) {
	t.Parallel()
	h := build(t, route.Ladder{Aim: route.Aim{Explore: 0.3}})
	h.teach(400, map[string]float64{"haiku-5-5": 0.8, "sonnet-5-5": 0.8, "opus-5-5": 0.9})
	var said, seen [3]float64
	const n = 3000
	for i := range n {
		o := h.choose("", fmt.Sprintf("u:%d", i%7))
		k := h.ends(o, func(a *relay.Attempt) { a.Class = llm.ServerError }) // teaches nothing
		sum := 0.0
		for _, one := range k.Candidates {
			said[one.Rung-1] += one.Chance / n
			sum += one.Chance
		}
		if sum < 0.999 || sum > 1.001 {
			t.Fatalf("the chances of %+v add up to %v", k, sum)
		}
		seen[k.Rung-1] += 1.0 / n
	}
	for i := range said {
		if d := said[i] - seen[i]; d < -0.03 || d > 0.03 {
			t.Errorf("rung %d: chance %.3f, share %.3f", i+1, said[i], seen[i])
		}
	}
}

// TestOrder: the rungs above the first one follow, then those below it.
func TestOrder(t *testing.T) {
	t.Parallel()
	h := build(t, route.Ladder{})
	h.teach(1500, map[string]float64{"haiku-5-5": 0.1, "sonnet-5-5": 0.95, "opus-5-5": 0.95})
	for range 100 {
		o := h.choose("", "u:x")
		if o.first() != "sonnet-5-5" {
			continue
		}
		var order []string
		for i := range o.plan.Targets {
			order = append(order, strings.TrimPrefix(o.plan.Targets[i].Model, "claude-"))
		}
		if got := strings.Join(order, " "); got != "sonnet-5-5 opus-5-5 haiku-5-5" {
			t.Errorf("order %s", got)
		}
		return
	}
	t.Error("the middle rung was never the first")
}

// TestFilters: price, pace and failures leave rungs out, unless all are.
func TestFilters(t *testing.T) {
	t.Parallel()
	h := build(t, route.Ladder{Aim: route.Aim{MaxCost: 30_000_000, FirstToken: time.Second, Explore: -1}})
	left := func(a *steer.Ask) (all []string, first string) {
		o := h.ask(a, "r", "", "u:x")
		for _, k := range h.ends(o, nil).Candidates {
			all = append(all, k.Left)
		}
		return all, o.first()
	}
	if all, _ := left(&steer.Ask{Tokens: 2000}); all[0] != "" || all[2] != "it would cost more than the most" {
		t.Errorf("left %q", all)
	}
	if all, _ := left(&steer.Ask{Tokens: 2000, MaxCost: 1}); strings.Join(all, "") != "" {
		t.Errorf("nothing would be left: %q", all)
	}
	h.aside["claude-haiku-5-5"] = true
	if all, first := left(&steer.Ask{Tokens: 2000}); all[0] != "it is set aside after failures" || first != "sonnet-5-5" {
		t.Errorf("left %q, first %s", all, first)
	}
}

// TestSessions: a conversation keeps its rung where it has to, and where a
// switch would cost more than it brings.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// began is the rung of the first turn, later what is said then, after how long.
		began, later string
		after        time.Duration
		tokens       int64
		cheap        float64 // how often the cheapest succeeds
		want         string
		rule         ledger.Rule
		why          string
	}{
		{"an open tool loop", "opus-5-5", "u:x c:1 t:1", 0, 2000, 0.95, "opus-5-5", ledger.RuleSession, "tool's result"},
		{"an open tool loop after an hour", "opus-5-5", "u:x c:1 t:1", time.Hour, 2000, 0.95, "opus-5-5", ledger.RuleSession, "tool's result"},
		{"state of a model", "opus-5-5", "u:x s: a:y u:z", time.Hour, 2000, 0.95, "opus-5-5", ledger.RuleSession, "bound"},
		{"a short conversation, soon", "opus-5-5", "u:x a:y u:z", time.Minute, 2000, 0.2, "opus-5-5", ledger.RuleSession, ""},
		{"when the cache has gone", "opus-5-5", "u:x a:y u:z", time.Hour, 2000, 0.95, "haiku-5-5", ledger.RuleLearned, ""},
		{"where a prompt is cheap to read anew", "opus-5-5", "u:x a:y u:z", time.Minute, 2000, 0.95, "haiku-5-5", ledger.RuleLearned, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := build(t, route.Ladder{Aim: route.Aim{Explore: 0.2}})
				h.teach(1500, map[string]float64{"haiku-5-5": c.cheap, "sonnet-5-5": 0.95, "opus-5-5": 0.95})
				begun, session := false, ""
				for i := 0; !begun && i < 5000; i++ {
					session = fmt.Sprint(i)
					o := h.choose(session, "u:x")
					if begun = o.first() == c.began; begun {
						h.ends(o, func(a *relay.Attempt) { a.Usage.Input = 50_000 })
					}
				}
				if !begun {
					t.Fatal("the first turn never went there")
				}
				time.Sleep(c.after)
				for range 20 { // whatever is drawn
					o := h.choose(session, c.later)
					got := h.ends(o, func(a *relay.Attempt) { a.Class = llm.ServerError })
					if c.rule == ledger.RuleLearned && got.Rule == ledger.RuleLearned {
						return
					}
					if c.rule != ledger.RuleLearned && (o.first() != c.want || got.Rule != c.rule || !strings.Contains(got.Why, c.why) && !strings.Contains(got.Why, "again") || got.Chance != 1) {
						t.Fatalf("%s is asked: %s, %q, chance %v", o.first(), got.Rule, got.Why, got.Chance)
					}
				}
				if c.rule == ledger.RuleLearned {
					t.Error("the conversation never left its rung")
				}
			})
		})
	}
}

// TestLatch: after two signs of trouble in a conversation the next turn goes one
// rung up and stays there; a turn without a sign begins to count anew, and the
// signs are told to the ledger.
func TestLatch(t *testing.T) {
	t.Parallel()
	h := build(t, route.Ladder{})
	var asked []string
	for _, words := range []string{
		"u:x", "u:x c:1 e:1", "u:x c:1 e:1 a:y u:z", "u:x c:1 e:1 a:y u:z c:2 e:2", "u:x c:1 e:1 a:y u:z c:2 e:2 c:3 e:3",
		"u:x c:1 e:1 a:y u:z c:2 e:2 c:3 e:3 a:q u:w", "u:x c:1 e:1 a:y u:z c:2 e:2 c:3 e:3 a:q u:w a:k u:v",
	} {
		o := h.choose("s", words)
		k := h.ends(o, nil)
		asked = append(asked, o.first()+" "+string(k.Rule))
	}
	want := "haiku-5-5 first, haiku-5-5 session, haiku-5-5 session, haiku-5-5 session, haiku-5-5 session, sonnet-5-5 latch, sonnet-5-5 session"
	if got := strings.Join(asked, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(h.said) != 3 {
		t.Errorf("signs %+v", h.said)
	}
	for _, f := range h.said {
		if f.Signal != steer.SignToolError || f.Explicit || f.Score != 0 {
			t.Errorf("sign %+v", f)
		}
	}
}

// TestSigns: what a client does next, and how an answer ends, says that it was
// no success.
func TestSigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  func(h *house)
		want string
	}{
		{"nothing", func(h *house) {
			h.ends(h.choose("s", "u:x"), nil)
			h.ends(h.choose("s", "u:x a:y u:z"), nil)
		}, ""},
		{"the same prompt again", func(h *house) {
			h.ends(h.choose("s", "u:x"), nil)
			h.ends(h.choose("s", "u:x"), nil)
		}, steer.SignSameAgain},
		{"the same prompt without a session", func(h *house) {
			h.ends(h.choose("", "u:x"), nil)
			h.ends(h.choose("", "u:x"), nil)
		}, steer.SignSameAgain},
		{"the same after a failure", func(h *house) {
			h.ends(h.choose("s", "u:x"), func(a *relay.Attempt) { a.Class = llm.ServerError })
			h.ends(h.choose("s", "u:x"), nil)
		}, ""},
		{"another one's same prompt", func(h *house) {
			h.ends(h.choose("s", "u:x"), nil)
			h.ends(h.choose("t", "u:x"), nil)
		}, ""},
		{"refused", func(h *house) {
			h.ends(h.choose("s", "u:x"), func(a *relay.Attempt) { a.Finish.Reason = llm.FinishRefusal })
		}, steer.SignRefused},
		{"cut", func(h *house) {
			h.ends(h.choose("s", "u:x"), func(a *relay.Attempt) { a.Finish.Reason = llm.FinishLength })
		}, steer.SignTruncated},
		{"a check", func(h *house) {
			h.ends(h.choose("s", "u:x"), func(a *relay.Attempt) { a.Wrong = "it did not fit the schema" })
		}, steer.SignInvalid},
		{"a dearer model by name", func(h *house) {
			h.ends(h.choose("s", "u:x"), nil)
			h.ask(&steer.Ask{}, "anthropic/claude-opus-5-5", "s", "u:x a:y u:z")
		}, steer.SignMovedUp},
		{"a model by name that is no dearer", func(h *house) {
			h.ends(h.choose("s", "u:x"), nil)
			h.ask(&steer.Ask{}, "anthropic/claude-haiku-5-5", "s", "u:x a:y u:z")
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := build(t, route.Ladder{})
			c.run(h)
			var got []string
			for _, f := range h.said {
				got = append(got, f.Signal)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("signs %q, want %q", got, c.want)
			}
		})
	}
}

// TestSettled: an answer of which nothing is heard counts as a success after a
// while, by a little, and feedback that comes later still counts in full.
func TestSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, route.Ladder{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.table.Run(ctx); close(done) }()
		labels := func() float64 { return h.table.Read()[0].Labels }
		o := h.choose("", "u:x")
		h.ends(o, nil)
		time.Sleep(4 * time.Minute)
		if n := labels(); n != 0 {
			t.Errorf("%v labels before it is settled", n)
		}
		time.Sleep(2 * time.Minute)
		if n := labels(); n < learn.Implicit-0.01 || n > learn.Implicit+0.01 {
			t.Errorf("%v labels after it is settled", n)
		}
		h.table.Feedback(ledger.Feedback{Request: o.row.ID, At: time.Now(), Explicit: true, Score: 0})
		time.Sleep(5 * time.Second)
		if n := labels(); n < 1+learn.Implicit-0.01 {
			t.Errorf("%v labels after feedback", n)
		}
		stop()
		<-done
	})
}

// TestRestart: what was learned is there again, also for a ladder with a rung
// more; and in a process that was only just begun.
func TestRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := build(t, route.Ladder{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { h.table.Run(ctx); close(done) }()
		h.teach(1500, map[string]float64{"haiku-5-5": 0.2, "sonnet-5-5": 0.95, "opus-5-5": 0.95})
		stop()
		<-done
		h.open()
		if s := h.share("haiku-5-5"); s > 0.15 {
			t.Errorf("after a restart the rung that fails is asked first by %.0f %%", 100*s)
		}
		more := *h.policy.Ladders["r"]
		more.Rungs = append([]route.Rung{{Model: "anthropic/claude-haiku-4-5"}}, more.Rungs...)
		h.policy.Ladders = map[string]*route.Ladder{"r": &more}
		h.table.Set(h.catalog, h.policy.Ladders)
		for _, r := range h.table.Read() {
			if strings.Contains(r.Rung, "haiku-5-5") {
				t.Error("nothing has been asked, and a mind is there")
			}
		}
		h.choose("", "u:x")
		known := 0.0
		for _, r := range h.table.Read() {
			known += r.Labels
		}
		if known < 500 {
			t.Errorf("%v labels are left with a rung more", known)
		}
	})
}

// TestClimb: without a value every failed check asks the next rung; with one the
// rung has to be worth its price, within what the request may cost.
func TestClimb(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		aim  route.Aim
		want bool
	}{
		{"no value", route.Aim{}, true},
		{"worth a dollar", route.Aim{Value: 1e9}, true},
		{"worth a hundredth of a cent", route.Aim{Value: 1e5}, false},
		{"over the most", route.Aim{Value: 1e9, MaxCost: 2e6}, false},
	} {
		h := build(t, route.Ladder{Aim: c.aim})
		o := h.choose("", "u:x")
		past := []relay.Attempt{{N: 1, Rung: 1, Sent: true, Checked: true, Wrong: "it was empty"}}
		if got := o.trip.Wants(&o.plan.Targets[1], past, func(*relay.Attempt) llm.Nanodollars { return 1e6 }); got != c.want {
			t.Errorf("%s: climbs %v", c.name, got)
		}
	}
}

// TestAllocations: putting the rungs in order allocates nothing.
func TestAllocations(t *testing.T) { // not in parallel: it counts
	h := build(t, route.Ladder{})
	h.teach(200, map[string]float64{"haiku-5-5": 1, "sonnet-5-5": 1, "opus-5-5": 1})
	r := turn("u:x a:y u:z")
	r.Items[0].Blocks[0].Text = strings.Repeat("words of a long prompt, again and again; ", 60)
	plan, fail := route.Make(route.Facts{Model: "r"}, h.catalog, h.policy)
	if fail != nil {
		t.Fatal(fail)
	}
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte("{}"), llm.Head{Model: "r"}, func([]byte) (*llm.Request, error) { return r, nil })
	ask := &steer.Ask{At: time.Now(), Key: "key_1", Draft: &d, Tokens: 500}
	targets := plan.Targets
	own := make([]route.Target, len(targets))
	if n := testing.AllocsPerRun(500, func() {
		plan.Targets = own
		copy(own, targets)
		h.table.Choose(ask, &plan).Dropped()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkChoose is all that stands between a plan and its order for a prompt
// of 2 KB: conversation, task, prices, words and the decision.
func BenchmarkChoose(b *testing.B) {
	h := build(b, route.Ladder{})
	h.teach(500, map[string]float64{"haiku-5-5": 0.7, "sonnet-5-5": 0.8, "opus-5-5": 0.9})
	r := turn("u:x")
	r.Items[0].Blocks[0].Text = strings.Repeat("the following contract has a clause of 22 words, which is (not) usual; ", 29)
	plan, fail := route.Make(route.Facts{Model: "r"}, h.catalog, h.policy)
	if fail != nil {
		b.Fatal(fail)
	}
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte("{}"), llm.Head{Model: "r"}, func([]byte) (*llm.Request, error) { return r, nil })
	ask := &steer.Ask{At: time.Now(), Key: "key_1", Draft: &d, Tokens: 500}
	targets := plan.Targets
	own := make([]route.Target, len(targets))
	var times []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		plan.Targets = own
		copy(own, targets)
		began := time.Now()
		p := h.table.Choose(ask, &plan)
		times = append(times, time.Since(began))
		p.Dropped()
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "us/p50")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "us/p99")
}
