package recall

import (
	"sync"

	"headrace/internal/llm"
)

// walk goes through the items of a request, run by run. A run is the items
// that an assistant said without anyone between; it is one turn, or some.
type walk struct {
	state *State
	owner string
	items []llm.Item
	// out is the copy, nil as long as nothing has changed.
	out  []llm.Item
	room *room
}

// room is what a walk writes down: the hits of the run it is in, and the turns
// it has met so far.
type room struct {
	hits []hit
	used []use
}

// rooms are used again, so that a long conversation that lacks nothing costs
// no memory.
var rooms = sync.Pool{New: func() any { return new(room) }}

func (r *room) empty() {
	clear(r.hits[:cap(r.hits)])
	clear(r.used)
	r.hits, r.used = r.hits[:0], r.used[:0]
	rooms.Put(r)
}

// hit is a call of the request of which a turn is kept.
type hit struct {
	at   int // in the request
	t    *turn
	call *call
}

// use is how far a turn has been given back; it may have to be over several
// runs, since some clients put each result behind its call.
type use struct {
	t    *turn
	next int  // of t.items
	done bool // nothing is to be inserted (any more)
}

// keep passes the item at i on.
func (w *walk) keep(i int) {
	if w.out != nil {
		w.out = append(w.out, w.items[i])
	}
}

// change begins the copy, with the items before i.
func (w *walk) change(i int) {
	if w.out == nil {
		w.out = append(make([]llm.Item, 0, len(w.items)+8), w.items[:i]...)
	}
}

// run goes through one run.
func (w *walk) run(from, to int) {
	thinks, stateful := false, false
	for i := from; i < to; i++ {
		if it := &w.items[i]; it.Kind == llm.ItemReasoning {
			thinks = true
			stateful = stateful || hasState(it.Opaque)
		}
	}
	hits := w.room.hits[:0]
	for i := from; i < to; i++ {
		if t, c := w.find(&w.items[i]); t != nil {
			hits = append(hits, hit{i, t, c})
		}
	}
	w.room.hits = hits
	if len(hits) == 0 {
		for i := from; i < to; i++ {
			w.keep(i)
		}
		return
	}
	used := w.room.used
	// Thoughts that come back as bare text have lost their state; the kept ones
	// stand in for them if they say the same.
	replace := thinks && !stateful && hits[0].t.stateful && one(hits) &&
		indexOf(used, hits[0].t) < 0 && sameText(w.items[from:to], hits[0].t.items)
	for i := range hits {
		n := indexOf(used, hits[i].t)
		if n < 0 {
			n = len(used)
			used = append(used, use{t: hits[i].t, done: !hits[i].t.thinks})
		}
		if thinks && !replace {
			used[n].done = true // the client keeps its own
		}
	}
	w.room.used = used
	var u *use
	for i := from; i < to; i++ {
		it := &w.items[i]
		if len(hits) > 0 {
			u = &used[indexOf(used, hits[0].t)]
		}
		switch {
		case it.Kind == llm.ItemReasoning && replace:
			w.change(i)
			continue
		case it.Kind == llm.ItemMessage:
			w.insert(u, i, i, len(u.t.items))
			if u.next < len(u.t.items) && u.t.items[u.next].Kind == llm.ItemMessage {
				u.next++
			}
		}
		if len(hits) == 0 || hits[0].at != i {
			w.keep(i)
			continue
		}
		h := hits[0]
		hits = hits[1:]
		for u.next <= h.call.at { // messages that the client has joined are passed over
			w.insert(u, i, i, h.call.at)
			u.next++
		}
		if kept := u.t.items[h.call.at].Opaque; len(kept) > 0 && !hasState(it.Opaque) {
			w.change(i)
			c := *it
			c.Opaque = kept
			w.out = append(w.out, c)
		} else {
			w.keep(i)
		}
		if len(hits) > 0 && hits[0].t != u.t {
			w.rest(u, i+1, i)
		}
	}
	w.rest(u, to, to-1)
}

// rest gives back what stood behind the last call of a turn, once that call
// has gone by.
func (w *walk) rest(u *use, passed, i int) {
	if u.t.calls[len(u.t.calls)-1].at >= u.next {
		return // the client may bring it in a later run
	}
	for ; u.next < len(u.t.items); u.next++ {
		w.insert(u, passed, i, len(u.t.items))
		if u.next == len(u.t.items) {
			return
		}
	}
}

// find gives the turn that a call stood in.
func (w *walk) find(it *llm.Item) (*turn, *call) {
	if it.Kind != llm.ItemToolCall || it.Call.ID == "" {
		return nil, nil
	}
	turns := w.state.lookup(w.owner, it.Call.ID)
	if len(turns) == 0 {
		return nil, nil
	}
	raw, again := sumOf(it.Call.Arguments), false
	for _, t := range turns {
		for i := range t.calls {
			if c := &t.calls[i]; c.id == it.Call.ID && c.name == it.Call.Name {
				if c.raw == raw {
					return t, c
				}
				again = true
			}
		}
	}
	if !again {
		return nil, nil
	}
	canonical := canonicalSum(it.Call.Arguments)
	for _, t := range turns {
		for i := range t.calls {
			if c := &t.calls[i]; c.id == it.Call.ID && c.name == it.Call.Name && c.canonical == canonical {
				return t, c
			}
		}
	}
	return nil, nil
}

// insert gives back the thoughts of a turn that stood from where it is up to
// the next call or message, or to the place to. passed is how many items of the
// request went before; the thoughts count as of the message of item i.
func (w *walk) insert(u *use, passed, i, to int) {
	for ; u.next < to && u.t.items[u.next].Kind == llm.ItemReasoning; u.next++ {
		if u.done {
			continue
		}
		w.change(passed)
		th := u.t.items[u.next]
		th.Turn, th.Path = w.items[i].Turn, w.items[i].Path
		w.out = append(w.out, th)
	}
}

func hasState(os []llm.Opaque) bool {
	for i := range os {
		if os[i].Data != "" {
			return true
		}
	}
	return false
}

// one reports whether all hits are of one turn.
func one(hits []hit) bool {
	for i := range hits {
		if hits[i].t != hits[0].t {
			return false
		}
	}
	return true
}

func indexOf(used []use, t *turn) int {
	for i := len(used) - 1; i >= 0; i-- { // mostly the last
		if used[i].t == t {
			return i
		}
	}
	return -1
}
