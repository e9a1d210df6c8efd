package learn

import "math"

// residual is a logistic regression on hashed n-grams and counts: what the
// words of a prompt say about success beyond what its task does. One for all
// rungs of a learner, each with its own weights.
//
// Steps are AdaGrad's with so large a start that they are nearly those of plain
// gradient descent: in cross-validation on labelled prompts the steps of rare
// words that AdaGrad takes otherwise cost .02 of the area under the gain curve,
// and weighing n-grams by their rarity won .01 with few labels.
type residual struct {
	rungs int
	// stride is how many numbers a term has: one and rungs.
	stride int
	// seen is how many prompts there were, all the logarithm of that plus one.
	seen, all float32
	// weight holds for each term the logarithm of one plus how often it was seen,
	// so that all less that is its rarity, then a weight for each rung: one place
	// in memory, because a decision reads a thousand of them.
	weight []float32
	// past holds in the same places how often a term was seen, then the sums of
	// squared steps.
	past  []float32
	count [counts * MostRungs]float32
	cpast [counts * MostRungs]float32
}

const (
	rate  = 0.2
	start = 10
)

func newResidual(rungs int) *residual {
	stride := rungs + 1
	return &residual{rungs: rungs, stride: stride, weight: make([]float32, terms*stride), past: make([]float32, terms*stride)}
}

// logits adds to out what the prompt says of each rung.
func (m *residual) logits(f *Features, out *[MostRungs]float32) {
	var sums [2 * MostRungs]float32 // the first is not a rung's
	var norm float32
	stride, all := m.stride, m.all
	if stride == 3 {
		var x, y float32
		for _, t := range f.term[:f.n] {
			w := (*[3]float32)(m.weight[int(t)*3:])
			v := max(all-w[0], 0)
			norm += v * v
			x += v * w[1]
			y += v * w[2]
		}
		sums[1], sums[2] = x, y
	} else {
		for _, t := range f.term[:f.n] {
			row := m.weight[int(t)*stride:][:stride]
			v := max(all-row[0], 0)
			norm += v * v
			for r, w := range row {
				sums[r&15] += v * w
			}
		}
	}
	if norm > 0 {
		norm = 1 / float32(math.Sqrt(float64(norm)))
	}
	for r := range m.rungs {
		s := sums[r+1] * norm
		w := (*[counts]float32)(m.count[r*counts:])
		for i, c := range f.count {
			s += c * w[i]
		}
		out[r] += s
	}
}

// see counts the prompt's terms; once for each prompt.
func (m *residual) see(f *Features) {
	m.seen++
	m.all = logOf(m.seen)
	stride := m.stride
	for _, t := range f.term[:f.n] {
		at := int(t) * stride
		m.past[at]++
		m.weight[at] = logOf(m.past[at])
	}
}

func logOf(n float32) float32 { return float32(math.Log(float64(n + 1))) }

// step moves the weights of a rung by the error of a prediction.
func (m *residual) step(f *Features, rung int, err float32) {
	stride := m.stride
	var norm float32
	for _, t := range f.term[:f.n] {
		v := max(m.all-m.weight[int(t)*stride], 0)
		norm += v * v
	}
	if norm > 0 {
		norm = 1 / float32(math.Sqrt(float64(norm)))
	}
	for _, t := range f.term[:f.n] {
		at := int(t) * stride
		g := err * norm * max(m.all-m.weight[at], 0)
		at += 1 + rung
		m.past[at] += g * g
		m.weight[at] -= rate * g / float32(math.Sqrt(float64(m.past[at]+start)))
	}
	for i, c := range f.count {
		at := rung*counts + i
		g := err * c
		m.cpast[at] += g * g
		m.count[at] -= rate * g / float32(math.Sqrt(float64(m.cpast[at]+start)))
	}
}
