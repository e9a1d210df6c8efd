package learn

import "math"

// watch notices that a rung has become worse (CUSUM of the likelihood ratio of
// a quarter fewer successes against what was expected).
type watch struct {
	// expect is a slow mean of the scores, of seen labels at most slowest.
	expect float64
	seen   float64
	sum    float64
	closed bool
	// since counts the labels after it was closed.
	since float64
}

const (
	// known is how many labels a rung has before it can collapse.
	known = 30
	// slowest is how many labels the slow mean looks back.
	slowest = 400
	// alarm is the sum at which a rung is closed: by Lorden's bound at most once in
	// e^9, or 8,000, labels for nothing; a rung that falls from .85 to .25 is closed
	// after 16. With a floor to hold it is earlyAlarm: a false one costs money
	// there, a late one costs the floor.
	alarm      = 9
	earlyAlarm = 6
	// trial is how many labels a closed rung gets before it is judged by what is
	// then believed of it.
	trial = 20
	// left is what remains of a rung's success when it has collapsed.
	left = 0.75
)

// note takes one score and reports whether the rung has just collapsed.
func (w *watch) note(score, weight, expected, alarm float64) bool {
	if w.closed {
		if w.since += weight; w.since >= trial {
			*w = watch{} // what is believed of it has been learned anew
		}
		return false
	}
	if w.seen >= known {
		p := min(max(expected, 0.02), 0.98)
		q := left * p
		w.sum = max(w.sum+weight*(score*math.Log(q/p)+(1-score)*math.Log((1-q)/(1-p))), 0)
		if w.sum > alarm {
			w.closed, w.since, w.sum = true, 0, 0
			return true
		}
	}
	w.seen = min(w.seen+weight, slowest)
	w.expect += (score - w.expect) * weight / w.seen
	return false
}

// watch looks for a collapse of the rung at the task and over all tasks. A
// closed rung is asked only to explore until it has been learned anew; what was
// believed of it is nearly forgotten.
func (l *Learner) watch(k *cell, rung int, score, weight, believed float64) {
	w, limit := &k.slow[rung], float64(alarm)
	if l.o.Floor > 0 {
		limit = earlyAlarm
	}
	if w.note(score, weight, believed, limit) {
		forget(k, rung, w.expect)
		l.guard.reset()
		l.caution()
	}
	// Of a task with few labels what was believed says little.
	if l.root.slow[rung].note(score, weight*k.n[rung]/(k.n[rung]+l.o.PriorLabels), believed, limit) {
		forget(&l.root, rung, l.root.slow[rung].expect)
		for _, k := range l.tasks {
			forget(k, rung, float64(k.mean[rung]))
			k.slow[rung] = watch{}
			l.refresh(k, &l.root)
		}
		l.guard.reset()
		l.caution()
	}
}

// forget leaves of a rung's labels a few that say how far it has fallen.
func forget(k *cell, rung int, expected float64) {
	k.n[rung] = min(k.n[rung], 10)
	k.s[rung] = k.n[rung] * expected * left
}

// caution lets only the best answer until the guard has seen enough anew.
func (l *Learner) caution() {
	if l.o.Floor > 0 {
		l.setDelta(strongest)
	}
}
