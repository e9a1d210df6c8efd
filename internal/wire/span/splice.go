package span

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
