package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"

	"headrace/internal/learn"
)

// check is a test of an answer: which share of the wrong ones it finds, and of
// the right ones it takes for wrong.
type check struct{ finds, alarms float64 }

// effort is a ladder of one model that thinks more and more, with what each
// level costs (from Aider's GPT-5 runs, which are the nearest known: low 1,
// medium 1.71, high 2.80).
type effort struct {
	file   string
	levels []string
	cost   []float64
}

var efforts = []effort{
	{"lcb_codegen_2025", []string{"O4-Mini (Low)", "O4-Mini (Medium)", "O4-Mini (High)"}, []float64{1, 1.71, 2.80}},
	{"lcb_codegen_o1_tiers", []string{"O1-2024-12-17 (N=1) (Low)", "O1-2024-12-17 (N=1) (Med)", "O1-2024-12-17 (N=1) (High)"}, []float64{1, 1.71, 2.80}},
}

// request is one task as it went up a ladder, and what the highest rung alone
// would have given.
type request struct {
	stages             []learn.Stage
	strong, strongCost float64
}

// climb draws what happens to each problem, repeat times: the outcome of each
// attempt from its pass rate, then the check's verdict. The answer is the last
// attempt's that passed, or else the last one's. rungs are the levels tried, in
// order.
func (e effort) climb(rows []row, rungs []int, c check, repeat int, seed uint64, labelled bool) [][]request {
	r := rand.New(rand.NewPCG(seed, 5))
	var all [][]request
	for _, row := range rows {
		rate := make([]float64, len(e.levels))
		whole := true
		for i, level := range e.levels {
			whole = whole && json.Unmarshal(row.M[level], &rate[i]) == nil
		}
		if !whole {
			continue
		}
		task := row.Group
		if labelled {
			task += " " + row.Difficulty
		}
		var same []request
		for range repeat {
			q := request{strong: rate[len(rate)-1], strongCost: e.cost[len(rate)-1]}
			key := learn.TaskOf("bench", task, nothing)
			answer := -1.0
			for i, level := range rungs {
				right, seen := 0.0, learn.Passed
				if r.Float64() < rate[level] {
					right = 1
				}
				if right == 0 && r.Float64() < c.finds || right == 1 && r.Float64() < c.alarms {
					seen = learn.Failed
				}
				if seen == learn.Passed || answer < 0 || i == len(rungs)-1 {
					answer = right
				}
				key = key.After(level, seen)
				q.stages = append(q.stages, learn.Stage{State: key, Cost: e.cost[level], Score: answer})
			}
			same = append(same, q)
		}
		all = append(all, same)
	}
	return all
}

// run plays requests under what was learned; the interval is over problems.
func run(all [][]request, e *learn.Escalation, value float64) played {
	var p played
	var d, dd, cost, strongCost float64
	for _, same := range all {
		var diff float64
		for _, q := range same {
			score := 0.0
			for j, s := range q.stages {
				cost += s.Cost
				score = s.Score
				if j+1 == len(q.stages) || !e.Onward(s.State, value) {
					break
				}
			}
			p.quality += score
			p.strong += q.strong
			strongCost += q.strongCost
			diff += (score - q.strong) / float64(len(same))
		}
		d += diff
		dd += diff * diff
	}
	n := float64(len(all))
	k := n * float64(len(all[0]))
	p.quality, p.strong, p.cost = p.quality/k, p.strong/k, cost/strongCost
	mean := d / n
	p.se = math.Sqrt(max(dd/n-mean*mean, 0) / n)
	p.low, p.high = mean-1.96*p.se, mean+1.96*p.se
	return p
}

func flat(all [][]request) [][]learn.Stage {
	var l [][]learn.Stage
	for _, same := range all {
		for _, q := range same {
			l = append(l, q.stages)
		}
	}
	return l
}

// learnClimb chooses the value of a success as learnLadder does.
func learnClimb(all [][]request) (e *learn.Escalation, value float64, cv played, ok bool) {
	cv.cost = math.Inf(1)
	const n = 5
	for _, v := range values {
		var sum played
		for f := range n {
			var teach, check [][]request
			for i := range all {
				if i%n == f {
					check = append(check, all[i])
				} else {
					teach = append(teach, all[i])
				}
			}
			e := learn.NewEscalation()
			e.Fit(flat(teach), v)
			p := run(check, e, v)
			w := float64(len(check)) / float64(len(all))
			sum.quality += w * p.quality
			sum.strong += w * p.strong
			sum.cost += w * p.cost
			sum.se += w * w * p.se * p.se
		}
		if sum.quality-few*math.Sqrt(sum.se) >= sum.strong && sum.cost < cv.cost {
			cv, value, ok = sum, v, true
		}
	}
	e = learn.NewEscalation()
	e.Fit(flat(all), value)
	return e, value, cv, ok
}

func thinking(b *bench) ([]figure, error) {
	var figures []figure
	for _, e := range efforts {
		teach, err := b.train.read(e.file)
		if err != nil {
			return figures, err
		}
		score, err := b.test.read(e.file)
		if err != nil {
			return figures, err
		}
		for _, c := range []check{{0.9, 0.02}, {0.7, 0.05}} {
			for _, labelled := range []bool{false, true} {
				if labelled && e.file != efforts[0].file {
					continue
				}
				var up *learn.Escalation
				var value float64
				var rungs []int
				cv, ok := played{cost: math.Inf(1)}, false
				for _, some := range [][]int{{0, 1, 2}, {0, 1}, {0, 2}} {
					if e, v, p, kept := learnClimb(e.climb(teach, some, c, 10, 1, labelled)); kept && p.cost < cv.cost {
						up, value, cv, rungs, ok = e, v, p, some, true
					}
				}
				task := "task: the site"
				if labelled {
					task = "task: site and difficulty"
				}
				f := figure{what: fmt.Sprintf("thinking ladder %s, check %.1f/%.2f, always-high's quality", e.levels[0][:2], c.finds, c.alarms), prototype: "55-57 %", reach: "<= 50 %"}
				f.note = task
				f.measured = "no value of a success keeps the quality in cross-validation"
				if ok {
					f.note += fmt.Sprintf("; levels %v; cross-validated %.1f %%", rungs, 100*cv.cost)
					f.measured = run(e.climb(score, rungs, c, 40, 2, labelled), up, value).String()
				}
				figures = append(figures, f)
			}
		}
	}
	return figures, nil
}
