package span

import "slices"

// Patch puts With in the place of a span; an empty span inserts.
type Patch struct {
	At   Span
	With []byte
}

// Splice returns the body with the patches applied, as segments that share
// memory with body and the patches: nothing is copied. Patches must be in
// rising order and must not overlap.
func Splice(body []byte, patches ...Patch) [][]byte {
	segments := make([][]byte, 0, 2*len(patches)+1)
	at := 0
	for _, p := range patches {
		if p.At.From > at {
			segments = append(segments, body[at:p.At.From])
		}
		if len(p.With) > 0 {
			segments = append(segments, p.With)
		}
		at = p.At.To
	}
	if at < len(body) {
		segments = append(segments, body[at:])
	}
	return segments
}

// Remove returns the patch that takes a member out of its object, with the
// comma that belongs to it. i is the member's place in members, which must
// list the whole object.
func Remove(members []Member, i int) Patch {
	switch {
	case i+1 < len(members):
		return Patch{At: Span{members[i].Key.From, members[i+1].Key.From}}
	case i > 0:
		return Patch{At: Span{members[i-1].Value.To, members[i].Value.To}}
	default:
		return Patch{At: Span{members[i].Key.From, members[i].Value.To}}
	}
}

// Insert returns the patch that puts a member behind the last one of an object
// whose members are listed; name is written as it is, so it needs no escapes.
// With no members, open is the offset just behind the opening brace.
func Insert(members []Member, open int, name string, value []byte) Patch {
	var with []byte
	at := open
	if n := len(members); n > 0 {
		at = members[n-1].Value.To
		with = append(with, ',')
	}
	with = append(with, '"')
	with = append(with, name...)
	with = append(with, '"', ':')
	with = append(with, value...)
	return Patch{At: Span{at, at}, With: with}
}

// Edits gathers changes to one object and gives them as patches that are in
// order and do not overlap, in whatever combination they were asked for:
// neighbours, the first member, the last, all of them. Make one with Edit. Not
// safe for concurrent use.
type Edits struct {
	members []Member
	open    int
	changes []change // by place in members; grown on the first change
	added   []byte   // `"name":value` of what is inserted, joined by commas
}

type change struct {
	kind  changeKind
	key   []byte
	value []byte
	inner []Patch
}

type changeKind uint8

const (
	keep changeKind = iota
	replace
	remove
)

// Edit starts to change the object whose members are given, all of them and in
// source order; open is the offset just behind its opening brace, which counts
// only when there are no members. Members are named by their place.
func Edit(members []Member, open int) Edits { return Edits{members: members, open: open} }

func (e *Edits) at(i int) *change {
	if e.changes == nil {
		e.changes = make([]change, len(e.members))
	}
	return &e.changes[i]
}

// find gives the place of the last member of a name, or -1.
func (e *Edits) find(name string) int {
	for i := len(e.members) - 1; i >= 0; i-- {
		if e.members[i].Name == name {
			return i
		}
	}
	return -1
}

// Replace puts value in the place of member i's value. A removed member stays
// removed.
func (e *Edits) Replace(i int, value []byte) {
	if c := e.at(i); c.kind != remove {
		c.kind, c.value, c.inner = replace, value, nil
	}
}

// Within changes member i inside its value, such as an object in the object;
// the patches must be in rising order, must not overlap and must lie inside
// the value. They count for nothing once the value is replaced or removed.
func (e *Edits) Within(i int, patches ...Patch) {
	if c := e.at(i); c.kind == keep {
		c.inner = patches
	}
}

// Rename gives member i another name, written as it is: it needs no escapes.
func (e *Edits) Rename(i int, name string) {
	c := e.at(i)
	c.key = append(append(append(c.key[:0], '"'), name...), '"')
}

// Remove takes member i out, with the comma that belongs to it.
func (e *Edits) Remove(i int) { e.at(i).kind = remove }

// Insert puts a member behind all others, and behind those inserted before;
// name is written as it is, so it needs no escapes.
func (e *Edits) Insert(name string, value []byte) {
	if len(e.added) > 0 {
		e.added = append(e.added, ',')
	}
	e.added = append(e.added, '"')
	e.added = append(e.added, name...)
	e.added = append(e.added, '"', ':')
	e.added = append(e.added, value...)
}

// Set replaces the value of the named member, or inserts it when there is none.
func (e *Edits) Set(name string, value []byte) {
	if i := e.find(name); i >= 0 && (e.changes == nil || e.changes[i].kind != remove) {
		e.Replace(i, value)
		return
	}
	e.Insert(name, value)
}

// Drop takes out the named member and says whether there was one.
func (e *Edits) Drop(name string) bool {
	i := e.find(name)
	if i < 0 {
		return false
	}
	e.Remove(i)
	return true
}

// Empty says that nothing was changed.
func (e *Edits) Empty() bool {
	return len(e.added) == 0 && !slices.ContainsFunc(e.changes, func(c change) bool {
		return c.kind != keep || c.key != nil || len(c.inner) > 0
	})
}

// Patches gives the changes for Splice, appended to dst. They share memory
// with the values that were given and stay true when more is changed.
func (e *Edits) Patches(dst []Patch) []Patch {
	kept := -1 // the last member that stays
	for i := 0; i < len(e.members); i++ {
		m := &e.members[i]
		var c change
		if e.changes != nil {
			c = e.changes[i]
		}
		if c.kind == remove {
			run := i + 1 // behind the members that go together
			for run < len(e.members) && e.changes[run].kind == remove {
				run++
			}
			switch {
			case run < len(e.members):
				dst = append(dst, Patch{At: Span{m.Key.From, e.members[run].Key.From}})
			case kept >= 0:
				dst = append(dst, Patch{At: Span{e.members[kept].Value.To, e.members[run-1].Value.To}})
			default:
				dst = append(dst, Patch{At: Span{m.Key.From, e.members[run-1].Value.To}})
			}
			i = run - 1
			continue
		}
		kept = i
		if c.key != nil {
			dst = append(dst, Patch{At: m.Key, With: c.key})
		}
		if c.kind == replace {
			dst = append(dst, Patch{At: m.Value, With: c.value})
		}
		dst = append(dst, c.inner...)
	}
	if len(e.added) == 0 {
		return dst
	}
	with := slices.Clone(e.added)
	if kept >= 0 {
		with = append([]byte{','}, with...)
	}
	switch n := len(e.members); {
	case n == 0:
		return append(dst, Patch{At: Span{e.open, e.open}, With: with})
	case kept == n-1:
		end := e.members[n-1].Value.To
		return append(dst, Patch{At: Span{end, end}, With: with})
	default: // the last patch takes the end of the object out
		dst[len(dst)-1].With = with
		return dst
	}
}
