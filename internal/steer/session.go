package steer

import (
	"hash/maphash"
	"sync"
	"time"

	"headrace/internal/learn"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// session is what is remembered of a conversation: where its last request went
// and how that was.
type session struct {
	id ledger.ID // of the last request
	at time.Time // it began
	// route, rung, provider and model are where it was answered; no route where a
	// model was named. rung is a place in the ladder, from 0.
	route           string
	rung            int
	provider, model string
	// turns counts its requests; prompt and output are the tokens of the last one.
	turns          int
	prompt, output int64
	// said tells the same prompt from another one.
	said uint64
	// trouble counts signs of failure since the last turn without; well says that
	// the last answer was given and nothing is known to be wrong with it.
	trouble int
	well    bool
	// latched says that it was moved up for trouble: it does not go down again.
	latched bool
}

// most is how many conversations are remembered at least; twice as many at most.
const most = 8192

// sessions remembers conversations, those asked for least recently not for ever.
type sessions struct {
	mu         sync.Mutex // guards what follows
	young, old map[uint64]session
}

// get gives what is remembered; ok is false for a conversation that is not known.
func (s *sessions) get(key uint64) (v session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok = s.young[key]; !ok {
		v, ok = s.old[key]
	}
	return v, ok
}

// change makes what is remembered anew from what it was.
func (s *sessions) change(key uint64, f func(v *session)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.young[key]
	if !ok {
		v = s.old[key]
	}
	f(&v)
	if s.young == nil {
		s.young = map[uint64]session{}
	}
	if s.young[key] = v; len(s.young) >= most {
		s.young, s.old = map[uint64]session{}, s.young
	}
}

// named is the key of a conversation that its client names. Keys of
// conversations are good for this process alone.
func (t *Table) named(owner, name string) uint64 {
	h := t.hash(owner, 's')
	h.WriteString(name)
	return h.Sum64()
}

// hash begins the key of something of an owner's.
func (t *Table) hash(owner string, kind byte) (h maphash.Hash) {
	h.SetSeed(t.seed)
	h.WriteString(owner)
	h.WriteByte(0)
	h.WriteByte(kind)
	return h
}

// look is what a conversation says of itself.
type look struct {
	// later: it has answers already. open: a tool's result waits for the answer.
	// bound: it holds state that a model has made.
	later, open, bound bool
	// errors counts results of the last round of tools that are errors.
	errors int
	// opening tells conversations apart that have no name, said the last prompt.
	opening, said uint64
}

// look looks at a request.
func (t *Table) look(owner string, r *llm.Request) (l look) {
	h := t.hash(owner, 'o')
	opened, result := false, -1
	for i := range r.Items {
		it := &r.Items[i]
		switch {
		case it.Kind == llm.ItemToolResult:
			l.open, result = true, it.Turn
			if it.Result.IsError {
				l.errors++
			}
		case it.Kind == llm.ItemMessage && it.Role == llm.User:
			if it.Turn != result { // a word beside the results ends no round
				l.open = false
			}
			if !opened {
				opened = true
				h.WriteString(text(it))
			}
		case it.Kind == llm.ItemMessage && it.Role != llm.Assistant:
			if !opened {
				h.WriteString(text(it))
				h.WriteByte(0)
			}
		default:
			l.later, l.open, l.errors = true, false, 0
			for k := range it.Opaque {
				if it.Opaque[k].By != llm.Nobody {
					l.bound = true
				}
			}
		}
	}
	l.opening = h.Sum64()
	h = t.hash(owner, 'p')
	h.WriteString(learn.Prompt(r))
	l.said = h.Sum64() + uint64(len(r.Items))
	return l
}

// text is the beginning of what an item says.
func text(it *llm.Item) string {
	if len(it.Blocks) == 0 {
		return ""
	}
	s := it.Blocks[0].Text
	return s[:min(len(s), learn.MostText)]
}
