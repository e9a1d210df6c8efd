package span

// change is what becomes of one member.
type change struct {
	remove bool
	name   string  // a new name, or ""
	value  []byte  // a new value, or nil
	inside []Patch // patches within the value, in order
}

// Plan collects changes to one object and turns them into patches that are in
// order and do not overlap, whatever is removed beside what.
type Plan struct {
	// On are the members of the object, places as in the whole body.
	On      []Member
	changes []change // of each member; nil when there are none
	add     []struct {
		name  string
		value []byte
	}
}

// Find gives the place of the named member in On, or -1.
func (p *Plan) Find(name string) int {
	for i := range p.On {
		if p.On[i].Name == name {
			return i
		}
	}
	return -1
}

func (p *Plan) change(i int, f func(*change)) {
	if p.changes == nil {
		p.changes = make([]change, len(p.On))
	}
	f(&p.changes[i])
}

// Put sets a member's value, adding the member when it is not there.
func (p *Plan) Put(name string, value []byte) {
	if i := p.Find(name); i >= 0 {
		p.change(i, func(c *change) { c.value, c.remove = value, false })
		return
	}
	for i := range p.add {
		if p.add[i].name == name {
			p.add[i].value = value
			return
		}
	}
	p.add = append(p.add, struct {
		name  string
		value []byte
	}{name, value})
}

// Remove takes a member out, if it is there.
func (p *Plan) Remove(name string) {
	if i := p.Find(name); i >= 0 {
		p.change(i, func(c *change) { c.remove = true })
	}
}

// Rename changes a name and leaves the value.
func (p *Plan) Rename(from, to string) {
	if i := p.Find(from); i >= 0 {
		p.change(i, func(c *change) { c.name = to })
	}
}

// Inside puts patches within the value of member i; they are in rising order.
func (p *Plan) Inside(i int, patches []Patch) {
	p.change(i, func(c *change) { c.inside = patches })
}

// Empty reports whether nothing is to change.
func (p *Plan) Empty() bool { return p.changes == nil && len(p.add) == 0 }

// Now gives the name that member i will have, and whether it stays.
func (p *Plan) Now(i int) (name string, stays bool) {
	c := p.at(i)
	if c.name != "" {
		return c.name, !c.remove
	}
	return p.On[i].Name, !c.remove
}

// at is what becomes of a member.
func (p *Plan) at(i int) change {
	if p.changes == nil {
		return change{}
	}
	return p.changes[i]
}

// Patches appends the patches of the plan, in rising order.
func (p *Plan) Patches(dst []Patch) []Patch {
	last := -1 // the last member that stays
	for i := range p.On {
		if !p.at(i).remove {
			last = i
		}
	}
	kept := false
	for i := 0; i < len(p.On); i++ {
		c := p.at(i)
		if c.remove {
			if i > last {
				break
			}
			n := i + 1
			for p.at(n).remove {
				n++
			}
			// With the comma behind it: the next member that stays takes its place.
			dst = append(dst, Patch{At: Span{From: p.On[i].Key.From, To: p.On[n].Key.From}})
			i = n - 1
			continue
		}
		kept = true
		if c.name != "" {
			dst = append(dst, Patch{At: p.On[i].Key, With: Quote(nil, c.name)})
		}
		if c.value != nil {
			dst = append(dst, Patch{At: p.On[i].Value, With: c.value})
		} else {
			dst = append(dst, c.inside...)
		}
	}
	var added []byte
	for _, a := range p.add {
		if kept || len(added) > 0 {
			added = append(added, ',')
		}
		added = Quote(added, a.name)
		added = append(added, ':')
		added = append(added, a.value...)
	}
	end := len(p.On) - 1
	switch {
	case end < 0: // an object without members is never patched
	case last < 0:
		dst = append(dst, Patch{At: Span{From: p.On[0].Key.From, To: p.On[end].Value.To}, With: added})
	case last < end:
		dst = append(dst, Patch{At: Span{From: p.On[last].Value.To, To: p.On[end].Value.To}, With: added})
	case len(added) > 0:
		dst = append(dst, Patch{At: Span{From: p.On[last].Value.To, To: p.On[last].Value.To}, With: added})
	}
	return dst
}
