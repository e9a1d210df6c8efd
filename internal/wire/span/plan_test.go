package span_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"headrace/internal/wire/span"
)

// TestPlanProperty removes, renames, replaces and adds members at random: the
// text stays valid, in order, and every member that is not named stays byte
// for byte.
func TestPlanProperty(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	spaces := []string{"", " ", "\n\t"}
	sp := func() string { return spaces[rng.IntN(len(spaces))] }
	for round := range 20000 {
		n := 1 + rng.IntN(6)
		var b strings.Builder
		b.WriteString(sp() + "{" + sp())
		for i := range n {
			if i > 0 {
				b.WriteString(sp() + "," + sp())
			}
			fmt.Fprintf(&b, `"k%d"%s:%s%s`, i, sp(), sp(), []string{`1`, `"a,}\""`, `[1 , {"k0":2}]`, `{ }`}[rng.IntN(4)])
		}
		b.WriteString(sp() + "}" + sp())
		body := []byte(b.String())
		on, err := span.Members(nil, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := span.Plan{On: on}
		want := map[string]string{}
		for _, m := range on {
			want[m.Name] = string(body[m.Value.From:m.Value.To])
		}
		for i := range n {
			name := fmt.Sprintf("k%d", i)
			switch rng.IntN(5) {
			case 0, 1:
				p.Remove(name)
				delete(want, name)
			case 2:
				p.Put(name, []byte(`"new"`))
				want[name] = `"new"`
			case 3:
				p.Rename(name, "r"+name)
				want["r"+name] = want[name]
				delete(want, name)
			}
		}
		for i := range rng.IntN(3) {
			name := fmt.Sprintf("a%d", i)
			p.Put(name, []byte(`[true]`))
			want[name] = `[true]`
		}
		patches := p.Patches(nil)
		at := 0
		for _, x := range patches {
			if x.At.From < at || x.At.To < x.At.From {
				t.Fatalf("round %d: patches overlap: %v in %s", round, patches, body)
			}
			at = x.At.To
		}
		out := bytes.Join(span.Splice(body, patches...), nil)
		got, err := span.Members(nil, out, nil)
		if err != nil {
			t.Fatalf("round %d: %s became %s: %v", round, body, out, err)
		}
		if len(got) != len(want) {
			t.Fatalf("round %d: %s became %s, want %v", round, body, out, want)
		}
		for _, m := range got {
			if string(out[m.Value.From:m.Value.To]) != want[m.Name] {
				t.Fatalf("round %d: %s of %s became %s", round, m.Name, body, out[m.Value.From:m.Value.To])
			}
		}
	}
}
