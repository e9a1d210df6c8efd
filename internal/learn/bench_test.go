package learn_test

import (
	"fmt"
	"strings"
	"testing"

	"headrace/internal/learn"
)

// prose makes a text of n bytes with the word lengths and repetitions of prose.
func prose(n, seed int) string {
	words := []string{"the", "of", "and", "a", "to", "in", "is", "that", "which", "system", "answer", "following", "contract", "value", "22", "1987", "function", "x", "=", "(", ")", ",", "."}
	var s strings.Builder
	for i := 0; s.Len() < n; i++ {
		k := (i*7919 + seed*104729 + i*i*31) % 97
		if k < 60 {
			s.WriteString(words[k%len(words)])
		} else {
			fmt.Fprintf(&s, "w%cord%c", 'a'+rune(k%26), 'a'+rune((i*k+seed)%26))
		}
		s.WriteByte(' ')
	}
	return s.String()[:n]
}

// taught is a learner with four rungs that has seen many prompts.
func taught(tb testing.TB) *learn.Learner {
	tb.Helper()
	l := learn.New([]learn.Rung{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}, learn.Options{})
	var f learn.Features
	for i := range 2000 {
		f.Read(prose(700, i))
		l.Teach(&learn.Outcome{Task: learn.Key(i % 50), Text: &f, Rung: i % 4, Score: float64((i / 4) % 2)})
	}
	return l
}

// BenchmarkDecide is the whole decision about a prompt of 2 KB: 8 us at most
// were aimed at, and no allocation.
func BenchmarkDecide(b *testing.B) {
	l := taught(b)
	var f learn.Features
	var c learn.Choice
	ask := learn.Ask{Text: &f, Explore: true, Cost: [learn.MostRungs]float64{1, 2, 4, 8}}
	texts := make([]string, 64)
	for i := range texts {
		texts[i] = prose(learn.MostText, 5000+i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.Read(texts[i%len(texts)])
		ask.Task = learn.Key(i % 50)
		l.Decide(&ask, &c)
	}
}

// BenchmarkDecideTask is a decision by the task alone.
func BenchmarkDecideTask(b *testing.B) {
	l := taught(b)
	var c learn.Choice
	ask := learn.Ask{Explore: true, Cost: [learn.MostRungs]float64{1, 2, 4, 8}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		ask.Task = learn.Key(i % 50)
		l.Decide(&ask, &c)
	}
}

// BenchmarkRead is the text alone.
func BenchmarkRead(b *testing.B) {
	var f learn.Features
	text := prose(learn.MostText, 1)
	b.ReportAllocs()
	for b.Loop() {
		f.Read(text)
	}
}

// BenchmarkTeach is one label, its text included.
func BenchmarkTeach(b *testing.B) {
	l := taught(b)
	var f learn.Features
	f.Read(prose(learn.MostText, 1))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Teach(&learn.Outcome{Task: learn.Key(i % 50), Text: &f, Rung: i % 4, Score: 1})
	}
}
