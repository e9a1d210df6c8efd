package main

import (
	"fmt"
	"math/rand/v2"

	"headrace/internal/learn"
)

// stream is a learner that serves drawn requests and learns from the answers
// that it gets to hear about.
type stream struct {
	learner  *learn.Learner
	random   *rand.Rand
	feedback float64 // share of the requests that somebody labels
	text     bool
	cost     [learn.MostRungs]float64 // expected, for the choice
}

// serve answers one question and returns the rung.
func (s *stream) serve(q *question, right func(rung int) float64) int {
	ask := learn.Ask{Task: learn.TaskOf("bench", q.task, nothing), Cost: s.cost, Explore: true, Draw: max(s.random.Uint64(), 1)}
	if s.text {
		ask.Text = q.text
	}
	var c learn.Choice
	s.learner.Decide(&ask, &c)
	if s.random.Float64() < s.feedback {
		s.learner.Teach(&learn.Outcome{Task: ask.Task, Text: ask.Text, Rung: c.Rung, Score: right(c.Rung), Choice: &c})
	}
	return c.Rung
}

// bfclRungs is the ladder of the online run: of the priced models those that
// no other beats in both success and cost on the train rows, opus left out for
// its price. More rungs learn more slowly.
var bfclRungs = []string{"gemini-1.5-flash-preview-0514", "gpt-4o-mini-2024-07-18", "claude-3-5-sonnet-20240620"}

var bfclPrices = map[string]string{
	"gemini-1.5-flash-preview-0514": "gemini-1.5-flash", "gpt-4o-mini-2024-07-18-FC": "gpt-4o-mini-2024-07-18",
	"gpt-4o-2024-08-06-FC": "gpt-4o-2024-08-06", "gpt-4-turbo-2024-04-09-FC": "gpt-4-turbo-2024-04-09",
}

// online draws 30,000 requests from the test rows and starts knowing nothing.
// Quality and cost are shares of those of the single model that does best on
// the same requests.
func online(b *bench) ([]figure, error) {
	known, err := b.train.readCalls(bfclRungs, b.prices, bfclPrices)
	if err != nil {
		return nil, err
	}
	qs, err := b.test.readCalls(bfclRungs, b.prices, bfclPrices)
	if err != nil {
		return nil, err
	}
	if len(qs) == 0 || len(known) == 0 {
		return nil, errNone
	}
	var figures []figure
	for _, m := range []struct {
		feedback       float64
		text           bool
		proto, reach   string
		what           string
		delta, explore float64
	}{
		{1, false, "99.0 @ .44", "99 @ .40", "online, BFCL, 30,000 requests, all feedback", 0.03, 0},
		{0.2, false, "97.2 @ .55", "98.5 @ .55", "the same, 20 % feedback", 0.03, 0},
		{1, true, "99.0 @ .44", "99 @ .40", "all feedback, prompts read as well (each comes about 90 times)", 0.03, 0},
		{0.2, true, "97.2 @ .55", "98.5 @ .55", "20 % feedback, prompts read as well (each comes about 90 times)", 0.03, 0},
	} {
		var quality, cost float64
		const repeats = 3
		for seed := range uint64(repeats) {
			q, c := runOnline(known, qs, m.feedback, m.text, m.delta, m.explore, seed)
			quality += q / repeats
			cost += c / repeats
		}
		figures = append(figures, figure{m.what, m.proto, m.reach, fmt.Sprintf("%.1f @ %.2f", 100*quality, cost),
			fmt.Sprintf("delta %.2f, 5 %% explored; mean of %d runs", m.delta, repeats)})
	}
	return figures, nil
}

func runOnline(known, qs []question, feedback float64, text bool, delta, explore float64, seed uint64) (quality, cost float64) {
	rungs := make([]learn.Rung, len(bfclRungs))
	for i, name := range bfclRungs {
		rungs[i].Name = name
	}
	s := stream{learner: learn.New(rungs, learn.Options{Delta: delta, Explore: explore, Seed: seed}), random: rand.New(rand.NewPCG(seed, 6)), feedback: feedback, text: text}
	for i := range known {
		for r, a := range known[i].answers {
			s.cost[r] += a.cost / float64(len(known))
		}
	}
	single := make([]struct{ right, cost float64 }, len(rungs))
	var right, spent float64
	for range 30_000 {
		q := &qs[s.random.IntN(len(qs))]
		r := s.serve(q, func(r int) float64 { return q.answers[r].right })
		right += q.answers[r].right
		spent += q.answers[r].cost
		for i, a := range q.answers {
			single[i].right += a.right
			single[i].cost += a.cost
		}
	}
	best := 0
	for i := range single {
		if single[i].right > single[best].right {
			best = i
		}
	}
	return right / single[best].right, spent / single[best].cost
}

// qualityFloor: a weak and a strong model on MMLU and GSM8K; half way through
// the weak one collapses to 60 % of its success. The least share of the strong
// one's successes that any 1,500 requests in a row got, from the first on.
func qualityFloor(b *bench) ([]figure, error) {
	mmlu, err := b.test.readPair("routellm_mmlu", false)
	if err != nil {
		return nil, err
	}
	gsm, err := b.test.readPair("routellm_gsm8k", false)
	if err != nil {
		return nil, err
	}
	var qs []question
	for i, list := range [][]item{mmlu, gsm} {
		for _, it := range list {
			qs = append(qs, question{task: []string{"mmlu", "gsm8k"}[i], text: it.text, answers: []answer{{right: it.right[0]}, {right: it.right[1]}}})
		}
	}
	var figures []figure
	for _, feedback := range []float64{1, 0.2} {
		const repeats = 5
		worst, after, whole, strongShare := 2.0, 2.0, 0.0, 0.0
		for seed := range uint64(repeats) {
			w, a, q, s := runFloor(qs, feedback, seed)
			worst, after = min(worst, w), min(after, a)
			whole += q / repeats
			strongShare += s / repeats
		}
		f := figure{what: "floor of 95 %: least share of the strong model's successes in 1,500 requests, the weak one collapsing half way", prototype: "96.4", reach: ">= 95",
			measured: fmt.Sprintf("%.1f (after the collapse %.1f; over all %.1f @ %.2f strong)", 100*worst, 100*after, 100*whole, strongShare),
			note:     fmt.Sprintf("%.0f %% feedback; worst of %d runs of 20,000, 10 %% explored", 100*feedback, repeats)}
		figures = append(figures, f)
	}
	return figures, nil
}

func runFloor(qs []question, feedback float64, seed uint64) (worst, after, whole, strongShare float64) {
	const requests, window = 20_000, 1_500
	s := stream{learner: learn.New([]learn.Rung{{Name: "weak"}, {Name: "strong"}}, learn.Options{Floor: 0.95, Explore: 0.1, Seed: seed}),
		random: rand.New(rand.NewPCG(seed, 7)), feedback: feedback, text: true}
	s.cost[0], s.cost[1] = 1, 10
	var got, strong [requests + 1]float64
	worst, after = 2, 2
	for i := range requests {
		q := &qs[s.random.IntN(len(qs))]
		broken := i >= requests/2 && s.random.Float64() > 0.6
		right := func(r int) float64 {
			if r == 0 && broken {
				return 0
			}
			return q.answers[r].right
		}
		r := s.serve(q, right)
		if r == 1 {
			strongShare += 1. / requests
		}
		got[i+1] = got[i] + right(r)
		strong[i+1] = strong[i] + right(1)
		if i+1 >= window {
			share := (got[i+1] - got[i+1-window]) / (strong[i+1] - strong[i+1-window])
			worst = min(worst, share)
			if i+1-window >= requests/2 {
				after = min(after, share)
			}
		}
	}
	return worst, after, got[requests] / strong[requests], strongShare
}
