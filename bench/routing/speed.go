package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/learn"
	"headrace/internal/trial"
)

// speed times single decisions over prompts of 2 KB: reading the text, four
// rungs, a learner that has been taught.
func speed(b *bench) ([]figure, error) {
	rows, err := b.test.read("routellm_mmlu")
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNone
	}
	var texts []string
	for i := range 200 {
		var s strings.Builder
		for j := i; s.Len() < learn.MostText; j++ {
			s.WriteString(rows[j%len(rows)].Prompt)
			s.WriteByte('\n')
		}
		texts = append(texts, s.String()[:learn.MostText])
	}
	rungs := []learn.Rung{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	l := learn.New(rungs, learn.Options{})
	var f learn.Features
	ask := learn.Ask{Text: &f, Explore: true, Cost: [learn.MostRungs]float64{1, 2, 4, 8}}
	for i := range 4000 {
		f.Read(texts[i%len(texts)])
		l.Teach(&learn.Outcome{Task: learn.Key(i % 50), Text: &f, Rung: i % 4, Score: float64(i % 3 / 2)})
	}
	var c learn.Choice
	var times []time.Duration
	for i := range 50_000 {
		text := texts[i%len(texts)]
		ask.Task = learn.Key(i % 50)
		begin := time.Now()
		f.Read(text)
		l.Decide(&ask, &c)
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	allocs := testing.AllocsPerRun(1000, func() {
		f.Read(texts[0])
		l.Decide(&ask, &c)
	})
	us := func(p float64) float64 { return float64(times[int(p*float64(len(times)))].Nanoseconds()) / 1000 }
	return []figure{{"decision, 2 KB prompt", "5-8 us", "p50 <= 10 us, p99 <= 50 us, 0 allocations",
		fmt.Sprintf("p50 %.1f us, p99 %.1f us, %.0f allocations", us(0.5), us(0.99), allocs), "four rungs, 50,000 decisions, the text read each time"}}, nil
}

// experiments are simulated: nothing here is taken from the data.
func experiments(*bench) ([]figure, error) {
	const runs = 1000
	draw := func(r *rand.Rand, p float64) float64 {
		if r.Float64() < p {
			return 1
		}
		return 0
	}
	r := rand.New(rand.NewPCG(1, 8))
	q := trial.Sequence{Effect: 0.03}
	alarms := 0
	for range runs {
		var x, y trial.Sums
		for range 20_000 {
			x.Add(draw(r, 0.8), 0)
			y.Add(draw(r, 0.8), 0)
			if x.N >= 100 && q.Evidence(x.Mean().Minus(y.Mean())) >= 1/trial.Alpha {
				alarms++
				break
			}
		}
	}
	var ns []float64
	fixed := float64(trial.FixedN(0.03, 0.8*0.2, 0.83*0.17, trial.Alpha, 0.8))
	for range runs {
		var x, y trial.Sums
		for x.N < 100 || q.Interval(y.Mean().Minus(x.Mean())).Has(0) {
			x.Add(draw(r, 0.80), 0)
			y.Add(draw(r, 0.83), 0)
		}
		ns = append(ns, float64(x.N))
	}
	slices.Sort(ns)
	shares := 0
	for range runs {
		counts := []int64{0, 0}
		for range 20_000 {
			counts[r.IntN(2)]++
			if trial.ShareEvidence(counts, []float64{0.5, 0.5}) > trial.ShareAlarm {
				shares++
				break
			}
		}
	}
	median := ns[len(ns)/2]
	return []figure{
		{"A/B false positives, a look after every unit up to 20,000 an arm", "2.4 %", "<= 5 %", fmt.Sprintf("%.1f %%", 100*float64(alarms)/runs), "rate .80 in both arms, 1,000 experiments"},
		{"A/B median n until .80 to .83 is found", "1.03 x fixed n", "<= 1.1 x fixed n", fmt.Sprintf("%.2f x (%.0f for %.0f)", median/fixed, median, fixed), "power .8, 1,000 experiments"},
		{"sample-ratio false alarms", ".5 %", "<= 1 %", fmt.Sprintf("%.1f %%", 100*float64(shares)/runs), "a look after every unit up to 20,000, 1,000 experiments"},
	}, nil
}
