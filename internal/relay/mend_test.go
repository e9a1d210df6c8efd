package relay_test

import (
	"context"
	"errors"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// models writes down which model name each target was sent.
type models struct {
	upstream
	sent []string
}

func (m *models) Send(ctx context.Context, t *route.Target, d *llm.Draft) (*llm.Answer, error) {
	m.sent = append(m.sent, t.Model+" "+d.Head.Model)
	return m.upstream.Send(ctx, t, d)
}

// mender mends once.
type mender struct {
	client
	done bool
}

func (m *mender) Mend(t *route.Target, d *llm.Draft, e *llm.Error) (llm.Draft, bool) {
	if m.done {
		return llm.Draft{}, false
	}
	m.done = true
	mended := *d
	mended.Head.Model = "mended"
	return mended, true
}

// TestMendedForOne: what was mended for one target is asked of the next one as
// the client wrote it.
func TestMendedForOne(t *testing.T) {
	u := &models{upstream: upstream{script: map[string][]step{
		"a": {fails(llm.ServerError)}, "b": {{whole: "ok"}},
	}}}
	r := relay.New(relay.Options{Sender: u, Policy: []relay.Rule{{Class: llm.ServerError, Step: relay.StepNext}}})
	plan := route.Plan{Targets: []route.Target{{Provider: "p", Model: "a"}, {Provider: "p", Model: "b"}}}
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, nil, llm.Head{Model: "asked"}, func([]byte) (*llm.Request, error) { return nil, errors.New("not needed") })
	reply := &mender{}
	r.Run(t.Context(), &plan, &d, reply)
	if got := reply.got.String(); got != "whole(ok)" {
		t.Errorf("the client got %q", got)
	}
	want := []string{"a asked", "a mended", "b asked"}
	for i := range want {
		if i >= len(u.sent) || u.sent[i] != want[i] {
			t.Fatalf("sent %v, want %v", u.sent, want)
		}
	}
}
