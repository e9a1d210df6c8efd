package recall_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

// anAnswer draws an assistant turn; n makes its call ids.
func anAnswer(t *rapid.T, n *int) []llm.Item {
	var items []llm.Item
	for range rapid.IntRange(1, 6).Draw(t, "items") {
		switch rapid.SampledFrom([]string{"signed thought", "bare thought", "words", "call", "signed call"}).Draw(t, "item") {
		case "signed thought":
			items = append(items, thought(rapid.SampledFrom([]string{"", "hm", "ah so"}).Draw(t, "text"), fmt.Sprint("S", len(items))))
		case "bare thought":
			items = append(items, bare("because"))
		case "words":
			items = append(items, words("x"))
		case "call":
			items = append(items, tool(fmt.Sprint("call_", *n), `{"n":1}`))
			*n++
		case "signed call":
			items = append(items, signed(fmt.Sprint("call_", *n), `{"n":1}`, fmt.Sprint("G", *n)))
			*n++
		}
	}
	return items
}

// TestRestoreProperties: a request that has its state is never changed; one
// that has lost it gets back what was noted, where it stood; what the client
// said stays, in its order; and given back once, nothing is left to give.
func TestRestoreProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := recall.NewState(recall.StateOptions{})
		n := 0
		var whole, stripped, want []llm.Item
		for range rapid.IntRange(1, 4).Draw(t, "turns") {
			said := anAnswer(t, &n)
			s.Note(recall.Turn{Owner: "key", By: "p", Items: said})
			calls, signs := 0, false
			for i := range said {
				if said[i].Kind == llm.ItemToolCall {
					calls++
				}
				signs = signs || said[i].Kind == llm.ItemReasoning || len(said[i].Opaque) > 0
			}
			known := calls > 0 && signs
			for i := range said {
				it := said[i]
				whole = append(whole, it)
				if it.Kind != llm.ItemReasoning || known {
					want = append(want, it)
				}
				if it.Kind != llm.ItemReasoning {
					it.Opaque = nil
					stripped = append(stripped, it)
				}
			}
			for i := range said {
				if said[i].Kind == llm.ItemToolCall {
					r := result(said[i].Call.ID)
					whole, stripped, want = append(whole, r), append(stripped, r), append(want, r)
				}
			}
			whole, stripped, want = append(whole, user("u")), append(stripped, user("u")), append(want, user("u"))
		}
		if r := turns(whole...); s.Restore("key", r) != r {
			t.Fatalf("a request with its state was changed:\n%s\n%s", say(r.Items), say(s.Restore("key", r).Items))
		}
		r := turns(stripped...)
		before := say(r.Items)
		got := s.Restore("key", r)
		if say(got.Items) != say(want) {
			t.Fatalf("given back:\n%s\nwant\n%s\nnoted\n%s", say(got.Items), say(want), say(whole))
		}
		if again := s.Restore("key", got); again != got {
			t.Fatalf("given back twice:\n%s", say(again.Items))
		}
		if say(r.Items) != before {
			t.Fatal("the request was written to")
		}
		if s.Restore("other", r) != r {
			t.Fatal("another owner was given something")
		}
	})
}
