package recall

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Makers knows by whom a piece of state was made, for as long as a
// conversation lives: clients send it back without a word about that, and what
// one account made another of the same kind cannot read. It is known by its
// hash alone, and forgotten with the process. The zero value is not ready; use
// NewMakers. Safe for concurrent use.
type Makers struct {
	seed maphash.Seed
	keep time.Duration
	most int

	mu sync.Mutex // guards all below
	// young takes what is new, old is what was young before; what is used moves
	// to young, the rest goes with old.
	young, old map[uint64]string
	turned     time.Time
}

// makersMost is how many pieces of state one generation of Makers holds: about
// 3 MB.
const makersMost = 1 << 16

// NewMakers makes a Makers that knows what it is told for between keep and
// twice keep, or less when there is very much; 0 means 6 h.
func NewMakers(keep time.Duration) *Makers {
	if keep == 0 {
		keep = 6 * time.Hour
	}
	return &Makers{seed: maphash.MakeSeed(), keep: keep, most: makersMost, young: map[uint64]string{}}
}

func (m *Makers) sum(owner, data string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	h.WriteString(owner)
	h.WriteByte(0)
	h.WriteString(data)
	return h.Sum64()
}

// turn lets a generation go when it is time. mu is held.
func (m *Makers) turn(now time.Time) {
	switch age := now.Sub(m.turned); {
	case age >= 2*m.keep:
		m.young, m.old, m.turned = map[uint64]string{}, nil, now
	case age >= m.keep, len(m.young) >= m.most:
		m.young, m.old, m.turned = map[uint64]string{}, m.young, now
	}
}

// Note says that a provider made a piece of state that an owner was given;
// by llm.Nobody, that it is of no more use.
func (m *Makers) Note(owner, data, by string) {
	if owner == "" || data == "" || by == "" {
		return
	}
	k := m.sum(owner, data)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(time.Now())
	m.young[k] = by
}

// Of gives who made a piece of state; "" when that is not known.
func (m *Makers) Of(owner, data string) string {
	k := m.sum(owner, data)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(time.Now())
	by, ok := m.young[k]
	if !ok {
		if by, ok = m.old[k]; ok {
			m.young[k] = by
		}
	}
	return by
}

// Name gives the request with the makers of its state, as far as they are
// known; the request itself is not changed.
func (m *Makers) Name(owner string, r *llm.Request) *llm.Request {
	if r == nil || owner == "" {
		return r
	}
	var items []llm.Item
	for i := range r.Items {
		var named []llm.Opaque
		for k := range r.Items[i].Opaque {
			o := &r.Items[i].Opaque[k]
			by := ""
			if o.Data != "" {
				by = m.Of(owner, o.Data)
			}
			if by == "" || by == o.By {
				continue
			}
			if named == nil {
				named = slices.Clone(r.Items[i].Opaque)
			}
			named[k].By = by
		}
		if named == nil {
			continue
		}
		if items == nil {
			items = slices.Clone(r.Items)
		}
		items[i].Opaque = named
	}
	if items == nil {
		return r
	}
	c := *r
	c.Items = items
	return &c
}
