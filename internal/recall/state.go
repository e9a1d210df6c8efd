package recall

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// StateOptions say how a State works. The zero value works, and forgets
// everything with the process.
type StateOptions struct {
	// Store takes what is noted, sealed, behind the requests; nil: memory only.
	Store Store
	// Seal is required with a Store.
	Seal *Seal
	// Log is told of failures of the store, never of content; nil is silent.
	Log *slog.Logger
	// Keep is how long a turn is kept after its last use; 0 means 6 h.
	Keep time.Duration
	// Bytes and Turns bound what is in memory; what was used longest ago goes
	// first. 0 means 64 MB, and 100,000.
	Bytes int64
	Turns int
	// Every is how long a turn waits at most before it is written; 0 means
	// 250 ms.
	Every time.Duration
	// StopIn bounds the last write when Run ends; 0 means 5 s.
	StopIn time.Duration
}

// State keeps the opaque state of assistant turns by the tool calls in them,
// and gives it back to requests that bring the calls without it. Requests are
// answered from memory alone. Safe for concurrent use.
type State struct {
	o StateOptions
	// some has a token when turns wait to be written.
	some chan struct{}

	mu sync.Mutex // guards all below and the mutable part of turns; never held over I/O
	// byCall has the turns that a call stands in, the newest first. The slices
	// are never changed, so they may be read after mu is let go.
	byCall map[callKey][]*turn
	byID   map[rowKey]*turn
	// newest and oldest end the list of turns by last use.
	newest, oldest *turn
	bytes          int64
	// waiting are turns to be written, drops rows to be dropped.
	waiting []*turn
	drops   []SealedID
	failing bool
}

type (
	callKey struct{ owner, id string }
	rowKey  struct{ owner, id string }
)

// NewState makes a State. Run writes what it is told; Load brings back what an
// earlier process was told.
func NewState(o StateOptions) *State {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Keep = cmp.Or(o.Keep, 6*time.Hour)
	o.Bytes = cmp.Or(o.Bytes, 64<<20)
	o.Turns = cmp.Or(o.Turns, 100_000)
	o.Every = cmp.Or(o.Every, 250*time.Millisecond)
	o.StopIn = cmp.Or(o.StopIn, 5*time.Second)
	return &State{o: o, some: make(chan struct{}, 1), byCall: map[callKey][]*turn{}, byID: map[rowKey]*turn{}}
}

// Note keeps what a turn must have with it when its calls come back. A turn
// without calls, without thoughts and state, or without an owner is not kept.
// Note never waits for the store.
func (s *State) Note(n Turn) {
	if n.Owner == "" {
		return
	}
	t := newTurn(&n)
	if t == nil || t.size > s.o.Bytes {
		return
	}
	now := time.Now()
	t.expires = now.Add(s.o.Keep)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if old := s.byID[rowKey{t.owner, t.id}]; old != nil {
		t.told = old.told
		s.remove(old)
	}
	s.insert(t, true)
	for s.bytes > s.o.Bytes || len(s.byID) > s.o.Turns {
		s.evict(s.oldest)
	}
	s.write(t)
}

// Maker tells which provider made the turn that a call stands in; "" when no
// state of it is kept. A signed tool loop should go on there: nobody else can
// read its state.
func (s *State) Maker(owner, callID string) string {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.byCall[callKey{owner, callID}] {
		if now.Before(t.expires) {
			return t.by
		}
	}
	return ""
}

// Forget drops the turns that the calls among items stand in: their state was
// refused by whoever made it.
func (s *State) Forget(owner string, items []llm.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range items {
		if it := &items[i]; it.Kind == llm.ItemToolCall {
			for _, t := range s.byCall[callKey{owner, it.Call.ID}] {
				s.evict(t)
			}
		}
	}
}

// Stats are the figures of what is in memory.
type Stats struct {
	Turns int
	Bytes int64
	// Waiting is how many turns the store has not got yet.
	Waiting int
}

// Stats gives the figures as they are now.
func (s *State) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Turns: len(s.byID), Bytes: s.bytes, Waiting: len(s.waiting)}
}

// lookup gives the turns that a call of this id stands in, newest first; they
// are read-only.
func (s *State) lookup(owner, id string) []*turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byCall[callKey{owner, id}]
}

// begin lets go of what has expired and reports whether anything is left.
func (s *State) begin(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	return len(s.byID) > 0
}

// touch notes that a turn was used.
func (s *State) touch(t *turn, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.gone {
		return
	}
	s.unlink(t)
	s.link(t, true)
	t.expires = now.Add(s.o.Keep)
	// The store need not know to the second.
	if t.expires.Sub(t.told) > s.o.Keep/4 {
		s.write(t)
	}
}

// insert puts a turn in, as the newest or the oldest. mu is held.
func (s *State) insert(t *turn, newest bool) {
	s.byID[rowKey{t.owner, t.id}] = t
	for i := range t.calls {
		k := callKey{t.owner, t.calls[i].id}
		list := s.byCall[k]
		switch {
		case slices.Contains(list, t): // an id that stands twice in one turn
		case newest:
			s.byCall[k] = append([]*turn{t}, list...)
		default:
			s.byCall[k] = append(list[:len(list):len(list)], t)
		}
	}
	s.link(t, newest)
	s.bytes += t.size
	for i := range t.calls {
		if list := s.byCall[callKey{t.owner, t.calls[i].id}]; len(list) > sharedMost {
			s.evict(list[len(list)-1])
		}
	}
}

// sharedMost is how many turns of one owner may have a call of the same id.
const sharedMost = 256

// remove takes a turn out of memory. mu is held.
func (s *State) remove(t *turn) {
	delete(s.byID, rowKey{t.owner, t.id})
	for i := range t.calls {
		k := callKey{t.owner, t.calls[i].id}
		left := make([]*turn, 0, len(s.byCall[k]))
		for _, o := range s.byCall[k] {
			if o != t {
				left = append(left, o)
			}
		}
		if len(left) == 0 {
			delete(s.byCall, k)
		} else {
			s.byCall[k] = left
		}
	}
	s.unlink(t)
	s.bytes -= t.size
	t.gone = true
}

// dropMost bounds the drops that wait for a store that fails; the rows of
// those beyond expire.
const dropMost = 1 << 16

// evict takes a turn out for lack of room. Its row goes too: what a provider
// has once been asked without must not come back in a later turn (claude-api,
// replaying thinking, 2026-11). mu is held.
func (s *State) evict(t *turn) {
	s.remove(t)
	if s.o.Store != nil && !t.told.IsZero() && len(s.drops) < dropMost {
		s.drops = append(s.drops, SealedID{KindTurn, t.owner, t.id})
	}
}

// expire takes out what has expired; the rows are swept. mu is held.
func (s *State) expire(now time.Time) {
	for s.oldest != nil && !now.Before(s.oldest.expires) {
		s.remove(s.oldest)
	}
}

func (s *State) link(t *turn, newest bool) {
	if newest {
		t.older, s.newest = s.newest, t
		if t.older != nil {
			t.older.newer = t
		} else {
			s.oldest = t
		}
		return
	}
	t.newer, s.oldest = s.oldest, t
	if t.newer != nil {
		t.newer.older = t
	} else {
		s.newest = t
	}
}

func (s *State) unlink(t *turn) {
	if t.newer != nil {
		t.newer.older = t.older
	} else {
		s.newest = t.older
	}
	if t.older != nil {
		t.older.newer = t.newer
	} else {
		s.oldest = t.newer
	}
	t.newer, t.older = nil, nil
}

// Restore gives the request with the state that its tool calls have lost: the
// state of the calls, and the thoughts of their turns where they stood. What
// the client brings itself is left as it is, and a request that lacks nothing
// is returned as it came, at no cost. The request is not changed; a call is
// known again by its id, its name and what its arguments mean.
func (s *State) Restore(owner string, r *llm.Request) *llm.Request {
	if r == nil || owner == "" {
		return r
	}
	now := time.Now()
	if !s.begin(now) {
		return r
	}
	room := rooms.Get().(*room)
	defer room.empty()
	w := walk{state: s, owner: owner, items: r.Items, room: room}
	for i := 0; i < len(r.Items); {
		if r.Items[i].Role != llm.Assistant {
			w.keep(i)
			i++
			continue
		}
		end := i + 1
		for end < len(r.Items) && r.Items[end].Role == llm.Assistant {
			end++
		}
		w.run(i, end)
		i = end
	}
	for i := range room.used {
		s.touch(room.used[i].t, now)
	}
	if w.out == nil {
		return r
	}
	c := *r
	c.Items = w.out
	return &c
}
