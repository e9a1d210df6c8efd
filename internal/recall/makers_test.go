package recall_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/llm"
	"headrace/internal/recall"
)

func TestMakers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := recall.NewMakers(time.Hour)
		m.Note("key", "S", "one")
		m.Note("key", "T", "two")
		if m.Of("key", "S") != "one" || m.Of("key", "T") != "two" || m.Of("other", "S") != "" || m.Of("key", "U") != "" {
			t.Error("makers are mixed up")
		}
		m.Note("key", "T", llm.Nobody)
		r := turns(thought("a", "S"), words("x"), thought("b", "T"), thought("c", "U"))
		named := m.Name("key", r)
		got := ""
		for _, it := range named.Items {
			for _, o := range it.Opaque {
				got += fmt.Sprintf("%s by %s; ", o.Data, o.By)
			}
		}
		if got != "S by one; T by -; U by ; " || r.Items[0].Opaque[0].By != "" {
			t.Errorf("named: %s", got)
		}
		if m.Name("other", r) != r {
			t.Error("a request of which nothing is known was copied")
		}
		// What is used stays, the rest goes.
		for range 4 {
			time.Sleep(40 * time.Minute)
			if m.Of("key", "S") != "one" {
				t.Error("what is used is forgotten")
			}
		}
		if m.Of("key", "T") != "" {
			t.Error("what is not used is kept")
		}
		time.Sleep(3 * time.Hour)
		if m.Of("key", "S") != "" {
			t.Error("it is kept for ever")
		}
	})
}

// TestMakersAreBounded: what comes last is known, whatever came before.
func TestMakersAreBounded(t *testing.T) {
	t.Parallel()
	m := recall.NewMakers(0)
	for i := range 300_000 {
		m.Note("key", fmt.Sprint(i), "one")
	}
	known := 0
	for i := range 300_000 {
		if m.Of("key", fmt.Sprint(299_999-i)) != "" {
			known++
		}
	}
	if known < 1<<16 || known > 1<<17 {
		t.Errorf("%d pieces are known", known)
	}
}

// TestForget: a turn whose state was refused does not come back.
func TestForget(t *testing.T) {
	t.Parallel()
	s := recall.NewState(recall.StateOptions{})
	items := []llm.Item{thought("hm", "S"), tool("a", `{}`)}
	s.Note(recall.Turn{Owner: "key", By: "one", Items: items})
	s.Note(recall.Turn{Owner: "other", By: "one", Items: items})
	lost := turns(tool("a", `{}`), result("a"))
	s.Forget("key", lost.Items)
	if s.Restore("key", lost) != lost || s.Maker("key", "a") != "" {
		t.Error("it comes back")
	}
	if s.Restore("other", lost) == lost {
		t.Error("another owner's is forgotten too")
	}
}
