package learn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 1

// ErrSnapshot is what Restore gives for bytes that are no snapshot.
var ErrSnapshot = errors.New("not a snapshot of what was learned")

// AppendSnapshot appends what was learned to dst, for the store: posteriors,
// weights and what watches them, but no prompt, no log of choices and nothing
// drawn. It takes some megabytes at most.
func (l *Learner) AppendSnapshot(dst []byte) []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := len(l.rungs)
	dst = append(dst, snapshotVersion)
	dst = binary.AppendUvarint(dst, uint64(n))
	for _, r := range l.rungs {
		dst = binary.AppendUvarint(dst, uint64(len(r.Name)))
		dst = append(dst, r.Name...)
	}
	dst = appendFloat(dst, float32(l.Delta()))
	dst = appendCell(dst, &l.root, n)
	dst = binary.AppendUvarint(dst, uint64(len(l.tasks)))
	for key, k := range l.tasks {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(key))
		dst = binary.AppendUvarint(dst, k.used)
		dst = appendCell(dst, k, n)
	}
	dst = appendFloat(dst, l.text.seen)
	for r := range n {
		for c := range counts {
			dst = appendFloat(dst, l.text.count[r*counts+c])
			dst = appendFloat(dst, l.text.cpast[r*counts+c])
		}
	}
	stride, last := l.text.stride, 0
	for t := range terms {
		row := l.text.weight[t*stride : (t+1)*stride]
		if row[0] == 0 {
			continue // never seen, so never moved
		}
		dst = binary.AppendUvarint(dst, uint64(t-last)+1)
		last = t
		dst = appendFloat(dst, l.text.past[t*stride])
		for i := 1; i <= n; i++ {
			dst = appendFloat(dst, row[i])
			dst = appendFloat(dst, l.text.past[t*stride+i])
		}
	}
	return binary.AppendUvarint(dst, 0)
}

func appendFloat(dst []byte, f float32) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(f))
}

func appendCell(dst []byte, k *cell, rungs int) []byte {
	for r := range rungs {
		w := &k.slow[r]
		closed := float32(0)
		if w.closed {
			closed = 1
		}
		for _, f := range [...]float64{k.n[r], k.s[r], w.expect, w.seen, w.sum, w.since} {
			dst = appendFloat(dst, float32(f))
		}
		dst = appendFloat(dst, closed)
	}
	return dst
}

// Restore takes up what a snapshot says. Rungs are found by name: what it knows
// of others is left out, and a rung that it does not know starts anew. On an
// error the Learner is as it was.
func (l *Learner) Restore(snapshot []byte) error {
	d := &decoder{b: snapshot}
	if d.byte() != snapshotVersion {
		return ErrSnapshot
	}
	n := d.uvarint()
	if n > MostRungs {
		return fmt.Errorf("%w: %d rungs", ErrSnapshot, n)
	}
	to := make([]int, n) // the rung's place now, or -1
	for i := range to {
		name := d.bytes(int(d.uvarint()))
		to[i] = -1
		for r := range l.rungs {
			if l.rungs[r].Name == string(name) {
				to[i] = r
			}
		}
	}
	delta := float64(d.float())
	root := d.cell(to)
	count := d.uvarint()
	if count > mostTasks {
		return fmt.Errorf("%w: %d tasks", ErrSnapshot, count)
	}
	tasks := make(map[Key]*cell, count)
	var clock uint64
	for range count {
		key := Key(d.uint64())
		used := d.uvarint()
		k := d.cell(to)
		k.used = used
		clock = max(clock, used)
		tasks[key] = k
	}
	text := newResidual(len(l.rungs))
	text.seen = max(d.float(), 0)
	text.all = logOf(text.seen)
	for _, r := range to {
		for c := range counts {
			w, p := d.float(), d.float()
			if r >= 0 {
				text.count[r*counts+c], text.cpast[r*counts+c] = w, max(p, 0)
			}
		}
	}
	stride, t := text.stride, 0
	for {
		step := d.uvarint()
		if step == 0 || d.err != nil {
			break
		}
		if t += int(step - 1); t < 0 || t >= terms {
			return fmt.Errorf("%w: term %d", ErrSnapshot, t)
		}
		text.past[t*stride] = max(d.float(), 0)
		text.weight[t*stride] = logOf(text.past[t*stride])
		for _, r := range to {
			w, p := d.float(), d.float()
			if r >= 0 {
				text.weight[t*stride+1+r], text.past[t*stride+1+r] = w, max(p, 0)
			}
		}
	}
	if d.err != nil || len(d.b) != 0 {
		return ErrSnapshot
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.root, l.tasks, l.text, l.clock = *root, tasks, text, clock
	l.replay, l.lessons, l.guard = nil, 0, guard{}
	l.refresh(&l.root, nil)
	for _, k := range l.tasks {
		l.refresh(k, &l.root)
	}
	if l.o.Floor > 0 && !math.IsNaN(delta) {
		l.setDelta(min(max(delta, strongest), deltas[0]))
	}
	return nil
}

// decoder reads a snapshot; after its end or something impossible it gives
// zeros and err is set.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.err, d.b = ErrSnapshot, nil
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.err, d.b = ErrSnapshot, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// float gives a finite number: one that is none would spread.
func (d *decoder) float() float32 {
	b := d.bytes(4)
	if b == nil {
		return 0
	}
	f := math.Float32frombits(binary.LittleEndian.Uint32(b))
	if x := float64(f); math.IsNaN(x) || math.IsInf(x, 0) || math.Abs(x) > 1e12 {
		d.err = ErrSnapshot
		return 0
	}
	return f
}

func (d *decoder) cell(to []int) *cell {
	k := &cell{}
	for _, r := range to {
		var v [7]float64
		for i := range v {
			v[i] = float64(d.float())
		}
		if r < 0 {
			continue
		}
		k.n[r] = max(v[0], 0)
		k.s[r] = min(max(v[1], 0), k.n[r])
		k.slow[r] = watch{expect: v[2], seen: max(v[3], 0), sum: max(v[4], 0), since: max(v[5], 0), closed: v[6] != 0}
	}
	return k
}
