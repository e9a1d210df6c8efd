package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"headrace/internal/learn"
)

// answer is what one model gave: how right it is, what it cost, its canonical
// form (empty: none that can be compared) and whether it passed the free checks.
type answer struct {
	right, cost float64
	form        string
	valid       bool
}

// question is a prompt with the answers of the rungs of a ladder, in order, the
// last the one that is measured against.
type question struct {
	task    string
	text    *learn.Features
	answers []answer
}

// ladder is a list of models to be asked in order.
type ladder struct {
	name   string
	models []string
}

// stages plays a question through: after each attempt what is known, what it
// cost, and how good the answer is that most of the answers so far agree on; of
// equals the first, for it is the one in hand, but the last rung is always
// believed. The evidence is which answers agree with which, which are valid,
// and how hard the prompt looks (0 to 2).
func (q *question) stages(hard int) []learn.Stage {
	l := make([]learn.Stage, 0, len(q.answers))
	key := learn.TaskOf("bench", fmt.Sprint(q.task, " ", hard), nothing)
	for i, a := range q.answers {
		var pattern learn.Evidence = 16
		best, most := 0, 0
		for j := 0; j <= i; j++ {
			first, votes := j, 0
			for k := i; k >= 0; k-- {
				if q.answers[k].form == q.answers[j].form && q.answers[j].form != "" {
					first, votes = k, votes+1
				}
			}
			pattern = pattern*10 + learn.Evidence(first)*2
			if q.answers[j].valid {
				pattern++
			}
			if votes > most {
				best, most = j, votes
			}
		}
		if i == len(q.answers)-1 {
			best = i
		}
		key = key.After(i, pattern)
		l = append(l, learn.Stage{State: key, Cost: a.cost, Score: q.answers[best].right})
	}
	return l
}

// played is what a policy did on a list of questions against always asking the
// last rung.
type played struct {
	quality, strong, low, high float64 // the interval is of the difference
	cost                       float64 // share of the strong one's
	perSuccess, strongPer      float64
	se                         float64 // of quality less the strong one's
}

func play(qs []question, hard func(*question) int, e *learn.Escalation, value float64) played {
	var p played
	var d, dd, cost, strongCost float64
	for i := range qs {
		q := &qs[i]
		stages := q.stages(hard(q))
		last := q.answers[len(q.answers)-1]
		score := 0.0
		for j, s := range stages {
			cost += s.Cost
			score = s.Score
			if j+1 == len(stages) || !e.Onward(s.State, value) {
				break
			}
		}
		p.quality += score
		p.strong += last.right
		strongCost += last.cost
		d += score - last.right
		dd += (score - last.right) * (score - last.right)
	}
	n := float64(len(qs))
	p.perSuccess, p.strongPer = cost/p.quality, strongCost/p.strong
	p.quality, p.strong, p.cost = p.quality/n, p.strong/n, cost/strongCost
	mean := d / n
	se := math.Sqrt(max(dd/n-mean*mean, 0) / n)
	p.low, p.high, p.se = mean-1.96*se, mean+1.96*se, se
	return p
}

// trained is a ladder that has been learned: how hard prompts look, and what to
// do in each state.
type trained struct {
	hard  func(*question) int
	steps *learn.Escalation
	value float64
}

// teachHard learns how likely the first rung is to be right from the prompt,
// and cuts that into three equal parts. A list without texts has one part.
func teachHard(qs []question, seed uint64) func(*question) int {
	if qs[0].text == nil {
		return func(*question) int { return 0 }
	}
	l := learn.New([]learn.Rung{{Name: "first"}}, learn.Options{Seed: seed})
	r := rand.New(rand.NewPCG(seed, 4))
	for _, i := range r.Perm(len(qs)) {
		l.Teach(&learn.Outcome{Task: learn.TaskOf("bench", qs[i].task, nothing), Text: qs[i].text, Score: qs[i].answers[0].right})
	}
	look := func(q *question) float32 {
		var c learn.Choice
		l.Decide(&learn.Ask{Task: learn.TaskOf("bench", q.task, nothing), Text: q.text, Draw: 1}, &c)
		return c.Success[0]
	}
	var all []float32
	for i := range qs {
		all = append(all, look(&qs[i]))
	}
	slices.Sort(all)
	a, b := all[len(all)/3], all[len(all)*2/3]
	return func(q *question) int {
		switch v := look(q); {
		case v < a:
			return 2
		case v < b:
			return 1
		}
		return 0
	}
}

func fit(qs []question, hard func(*question) int, value float64) *learn.Escalation {
	e := learn.NewEscalation()
	all := make([][]learn.Stage, len(qs))
	for i := range qs {
		all[i] = qs[i].stages(hard(&qs[i]))
	}
	e.Fit(all, value)
	return e
}

// values are the worths of a success that are tried, as multiples of the strong
// rung's mean cost.
var values = func() (v []float64) {
	for x := 0.5; x < 120; x *= 1.2 {
		v = append(v, x)
	}
	return v
}()

// crossed plays the train questions with what the other folds taught, for each
// of the values: the honest estimate by which a value is chosen.
func crossed(qs []question, unit float64, text bool) []played {
	const n = 5
	results := make([]played, len(values))
	for f := range n {
		var teach, check []question
		for i := range qs {
			if i%n == f {
				check = append(check, qs[i])
			} else {
				teach = append(teach, qs[i])
			}
		}
		hard := func(*question) int { return 0 }
		if text {
			hard = teachHard(teach, uint64(f))
		}
		for v := range values {
			p := play(check, hard, fit(teach, hard, values[v]*unit), values[v]*unit)
			w := float64(len(check)) / float64(len(qs))
			results[v].quality += w * p.quality
			results[v].strong += w * p.strong
			results[v].cost += w * p.cost
			results[v].se += w * w * p.se * p.se
		}
	}
	for v := range results {
		results[v].se = math.Sqrt(results[v].se)
	}
	return results
}

// margin is how many standard errors of doubt the quality must bear when one
// of many ladders and values is chosen: the best of many looks better than it
// is. few is the margin where there is little to choose from (thinking levels).
// Of 0, 1/2 and 1 they were chosen by folds of the train rows.
const (
	margin = 1
	few    = 0.5
)

// learnLadder chooses on the train questions alone: with the prompt or without
// it, and the least value of a success at which cross-validation, less a
// margin, keeps target times the strong rung's quality. ok is false when
// no value does.
func learnLadder(qs []question, target float64) (t trained, cv played, ok bool) {
	var unit float64
	for i := range qs {
		unit += qs[i].answers[len(qs[i].answers)-1].cost / float64(len(qs))
	}
	cv.cost = math.Inf(1)
	best, withText := 0, false
	for _, text := range []bool{false, true} {
		if text && qs[0].text == nil {
			continue
		}
		for v, p := range crossed(qs, unit, text) {
			if p.quality-margin*p.se >= target*p.strong && p.cost < cv.cost {
				cv, best, withText, ok = p, v, text, true
			}
		}
	}
	t.hard = func(*question) int { return 0 }
	if withText {
		t.hard = teachHard(qs, 1)
	}
	t.value = values[best] * unit
	t.steps = fit(qs, t.hard, t.value)
	return t, cv, ok
}

var errNone = errors.New("no rows")

// bestLadder learns several ladders and takes the one that cross-validation
// says is cheapest.
func bestLadder(ladders []ladder, target float64, read func(ladder, bool) ([]question, error)) (played, played, string, error) {
	var result, best played
	name := ""
	best.cost = math.Inf(1)
	for _, l := range ladders {
		teach, err := read(l, true)
		if err != nil {
			return result, best, "", err
		}
		check, err := read(l, false)
		if err != nil {
			return result, best, "", err
		}
		if len(teach) < 50 || len(check) == 0 {
			return result, best, "", errNone
		}
		t, cv, ok := learnLadder(teach, target)
		if ok && cv.cost < best.cost {
			best, name = cv, l.name
			result = play(check, t.hard, t.steps, t.value)
		}
	}
	if name == "" {
		return result, best, "", errors.New("no ladder keeps the quality in cross-validation")
	}
	return result, best, name, nil
}

func (p played) String() string {
	in := "contains 0"
	if p.low > 0 || p.high < 0 {
		in = "does not contain 0"
	}
	return fmt.Sprintf("%.1f %% of its cost, %.1f for %.1f (%+.1f to %+.1f, %s)", 100*p.cost, 100*p.quality, 100*p.strong, 100*p.low, 100*p.high, in)
}

// zeroEval: short answers that can be compared.
func zeroEval(b *bench) ([]figure, error) {
	read := func(l ladder, teach bool) ([]question, error) {
		s := b.test
		if teach {
			s = b.train
		}
		var qs []question
		for _, file := range []string{"zeroeval_gsm", "zeroeval_crux", "zeroeval_math_l5"} {
			rows, err := s.read(file)
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				q := question{task: r.Group, text: features(r.Prompt)}
				for _, m := range l.models {
					var v []any
					if json.Unmarshal(r.M[m], &v) != nil || len(v) < 4 {
						break
					}
					price, ok := b.prices[m]
					if !ok {
						return nil, fmt.Errorf("no price of %s", m)
					}
					chars, _ := v[2].(float64)
					form, _ := v[3].(string)
					q.answers = append(q.answers, answer{
						right: v[0].(float64), valid: v[1].(float64) == 1, form: form,
						cost: (float64(r.FullChars)*price[0] + chars*price[1]) / 4e6,
					})
				}
				if len(q.answers) == len(l.models) {
					qs = append(qs, q)
				}
			}
		}
		return qs, nil
	}
	const mini, flash, deep, strong = "gpt-4o-mini-2024-07-18", "gemini-1.5-flash", "deepseek-v2.5-0908", "gpt-4o-2024-08-06"
	proto := ladder{"4o-mini, Flash -> 4o", []string{mini, flash, strong}}
	p, cv, name, err := bestLadder([]ladder{proto}, 1, read)
	if err != nil {
		return nil, err
	}
	figures := []figure{{"ZeroEval, GPT-4o quality, the prototype's ladder", "41 %", "<= 35 %", p.String(), name + fmt.Sprintf("; cross-validated %.1f %%", 100*cv.cost)}}
	p, cv, name, err = bestLadder([]ladder{
		proto,
		{"4o-mini, Flash, DeepSeek -> 4o", []string{mini, flash, deep, strong}},
		{"4o-mini, DeepSeek -> 4o", []string{mini, deep, strong}},
		{"DeepSeek, Flash, 4o-mini -> 4o", []string{deep, flash, mini, strong}},
	}, 1, read)
	if err != nil {
		return nil, err
	}
	return append(figures, figure{"ZeroEval, GPT-4o quality, the ladder chosen on train rows", "41 %", "<= 35 %", p.String(),
		name + fmt.Sprintf("; cross-validated %.1f %%; $%.2f for $%.2f a 1,000 successes", 100*cv.cost, 1000*p.perSuccess, 1000*p.strongPer)}), nil
}

// toolCalls: BFCL, where an answer is a canonical call.
func toolCalls(b *bench) ([]figure, error) {
	list := map[string]string{"gemini-1.5-flash-preview-0514": "gemini-1.5-flash", "gpt-4o-mini-2024-07-18-FC": "gpt-4o-mini-2024-07-18", "claude-3-haiku-20240307": "claude-3-haiku-20240307"}
	read := func(l ladder, teach bool) ([]question, error) {
		s := b.test
		if teach {
			s = b.train
		}
		return s.readCalls(l.models, b.prices, list)
	}
	const mini, minis, flash, haiku, strong = "gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18-FC", "gemini-1.5-flash-preview-0514", "claude-3-haiku-20240307", "claude-3-5-sonnet-20240620"
	ladders := []ladder{
		{"4o-mini, Haiku 3 -> Sonnet", []string{mini, haiku, strong}},
		{"4o-mini, Flash -> Sonnet", []string{mini, flash, strong}},
		{"4o-mini, Flash, 4o-mini native tools -> Sonnet", []string{mini, flash, minis, strong}},
		{"4o-mini, Flash, Haiku 3 -> Sonnet", []string{mini, flash, haiku, strong}},
	}
	var figures []figure
	for _, t := range []struct {
		share            float64
		what, was, reach string
	}{{1, "BFCL, Claude 3.5 Sonnet's quality", "51.8 %", "<= 45 %"}, {0.98, "BFCL, 98 % of it", "-", "<= 9 %"}} {
		p, cv, name, err := bestLadder(ladders, t.share, read)
		if err != nil {
			return figures, err
		}
		figures = append(figures, figure{t.what, t.was, t.reach, p.String(), name + fmt.Sprintf("; cross-validated %.1f %%", 100*cv.cost)})
	}
	return figures, nil
}

// readCalls reads BFCL's outcomes of these models. list gives the name in the
// price list where it is another one.
func (s set) readCalls(models []string, p prices, list map[string]string) ([]question, error) {
	rows, err := s.read("bfcl_2024_08")
	if err != nil {
		return nil, err
	}
	var qs []question
	for _, r := range rows {
		q := question{task: r.Group, text: features(r.Prompt)}
		for _, m := range models {
			var v []any
			if json.Unmarshal(r.M[m], &v) != nil || len(v) < 5 {
				break
			}
			name := m
			if list[m] != "" {
				name = list[m]
			}
			price, ok := p[name]
			if !ok {
				return nil, fmt.Errorf("no price of %s", name)
			}
			in, out := v[1].(float64), v[2].(float64)
			form, _ := v[4].(string)
			q.answers = append(q.answers, answer{right: v[0].(float64), form: form, valid: form != "text", cost: (in*price[0] + out*price[1]) / 1e6})
		}
		if len(q.answers) == len(models) {
			qs = append(qs, q)
		}
	}
	return qs, nil
}
