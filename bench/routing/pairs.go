package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"headrace/internal/learn"
	"headrace/internal/llm"
)

// item is a prompt with what each rung of a ladder made of it.
type item struct {
	task  learn.Key
	text  *learn.Features
	right []float64
	cost  []float64
}

func features(prompt string) *learn.Features {
	f := new(learn.Features)
	f.Read(prompt)
	return f
}

// readPair reads the outcomes of a weak and a strong model. With tasks the
// client is taken to have named the subject as its task; otherwise there is one
// task.
func (s set) readPair(name string, tasks bool) ([]item, error) {
	rows, err := s.read(name)
	if err != nil {
		return nil, err
	}
	var items []item
	for _, r := range rows {
		if r.Contaminated || r.Weak == nil || r.Strong == nil {
			continue
		}
		var task learn.Key
		if tasks {
			task = learn.TaskOf("bench", r.Group, nothing)
		}
		items = append(items, item{task: task, text: features(r.Prompt), right: []float64{*r.Weak, *r.Strong}, cost: []float64{1, 10}})
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%s: no rows in %s", name, s.dir)
	}
	return items, nil
}

// teachPair teaches a fresh learner both outcomes of every prompt.
func teachPair(items []item, seed uint64) *learn.Learner {
	l := learn.New([]learn.Rung{{Name: "weak"}, {Name: "strong"}}, learn.Options{Seed: seed})
	r := rand.New(rand.NewPCG(seed, 2))
	for _, i := range r.Perm(len(items)) {
		for rung, score := range items[i].right {
			l.Teach(&learn.Outcome{Task: items[i].task, Text: items[i].text, Rung: rung, Score: score})
		}
	}
	for range 3 { // as a gateway does between labels
		l.Review()
	}
	return l
}

// apgr is the area under the performance gap recovered as the share of prompts
// that go to the strong model grows, by the score of each.
func apgr(items []item, score []float64) float64 {
	order := make([]int, len(items))
	var gap float64
	for i := range order {
		order[i] = i
		gap += items[i].right[1] - items[i].right[0]
	}
	// Equal scores must not stand in the order of the file.
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case score[a] > score[b]:
			return -1
		case score[a] < score[b]:
			return 1
		}
		return 0
	})
	var area, got float64
	for _, i := range order {
		before := got
		got += (items[i].right[1] - items[i].right[0]) / gap
		area += (before + got) / 2
	}
	return area / float64(len(items))
}

// gains gives what the strong model is expected to do better on each prompt.
func gains(l *learn.Learner, items []item) []float64 {
	score := make([]float64, len(items))
	var c learn.Choice
	for i := range items {
		l.Decide(&learn.Ask{Task: items[i].task, Text: items[i].text, Draw: 1}, &c)
		score[i] = float64(c.Success[1] - c.Success[0])
	}
	return score
}

// pairs is the area with so many labelled prompts, the mean over several draws
// of them.
func pairs(b *bench) ([]figure, error) {
	measure := func(name string, tasks bool, labels, draws int) (float64, error) {
		teach, err := b.train.readPair(name, tasks)
		if err != nil {
			return 0, err
		}
		check, err := b.test.readPair(name, tasks)
		if err != nil {
			return 0, err
		}
		var sum float64
		for d := range draws {
			r := rand.New(rand.NewPCG(uint64(d), 3))
			r.Shuffle(len(teach), func(i, j int) { teach[i], teach[j] = teach[j], teach[i] })
			part := teach
			if labels > 0 && labels < len(part) {
				part = part[:labels]
			}
			sum += apgr(check, gains(teachPair(part, uint64(d)), check))
		}
		return sum / float64(draws), nil
	}
	var figures []figure
	for _, m := range []struct {
		what, name, prototype, reach string
		tasks                        bool
		labels, draws                int
	}{
		{"APGR MMLU, 150 labelled prompts", "routellm_mmlu", ".60", ".62", false, 150, 20},
		{"APGR MMLU, 1,500", "routellm_mmlu", ".667", ".67", false, 1500, 8},
		{"APGR MMLU, all", "routellm_mmlu", ".694", ".70", false, 0, 3},
		{"the same, the subject named as the task", "routellm_mmlu", "-", "-", true, 0, 3},
		{"APGR GSM8K, all", "routellm_gsm8k", ".637-.667", ".66", false, 0, 5},
	} {
		v, err := measure(m.name, m.tasks, m.labels, m.draws)
		if err != nil {
			return figures, err
		}
		seen := "the prompt alone"
		if m.tasks {
			seen = "prompt and task"
		}
		figures = append(figures, figure{m.what, m.prototype, m.reach, fmt.Sprintf("%.3f", v), fmt.Sprintf("%s; mean of %d draws", seen, m.draws)})
	}
	return figures, nil
}

// nothing is the request of tasks that are named.
var nothing = &llm.Request{}
