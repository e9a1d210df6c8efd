package span

// Op is what becomes of an element: nothing, patches inside it, or removal.
type Op struct {
	Remove bool
	Inner  []Patch
}

// List edits the elements of one object or array, all of which it lists.
type List struct {
	// Open is the offset behind the opening bracket.
	Open int
	// At says where the elements stand: an object's member from its name to the
	// end of its value. Ops says what becomes of each.
	At  []Span
	Ops []Op
	// More are elements to put behind the last.
	More [][]byte
}

// NewList makes a List of n elements, of which nothing becomes.
func NewList(n int) List { return List{At: make([]Span, n), Ops: make([]Op, n)} }

// Empty reports whether nothing would be left.
func (l *List) Empty() bool {
	for i := range l.Ops {
		if !l.Ops[i].Remove {
			return false
		}
	}
	return len(l.More) == 0
}

// Patches gives the splices in rising order, none touching another's bytes,
// with every comma where it belongs.
func (l *List) Patches() []Patch {
	var ps []Patch
	n := len(l.At)
	last := -1 // the last element that stays
	for i := range l.Ops {
		if !l.Ops[i].Remove {
			last = i
		}
	}
	for i := 0; i <= last; i++ {
		if !l.Ops[i].Remove {
			ps = append(ps, l.Ops[i].Inner...)
			continue
		}
		run := i
		for l.Ops[run].Remove {
			run++
		}
		ps = append(ps, Patch{At: Span{From: l.At[i].From, To: l.At[run].From}})
		i = run - 1
	}
	tail := Patch{At: Span{From: l.Open, To: l.Open}}
	if n > 0 {
		tail.At = Span{From: l.At[0].From, To: l.At[n-1].To}
		if last >= 0 {
			tail.At.From = l.At[last].To
		}
	}
	for _, m := range l.More {
		if last >= 0 || len(tail.With) > 0 {
			tail.With = append(tail.With, ',')
		}
		tail.With = append(tail.With, m...)
	}
	if tail.At.From < tail.At.To || len(tail.With) > 0 {
		ps = append(ps, tail)
	}
	return ps
}
