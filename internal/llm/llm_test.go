package llm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// TestSecretNeverPrints: no way of printing shows the value.
func TestSecretNeverPrints(t *testing.T) {
	const value = "sk-very-secret"
	s := llm.Secret(value)
	holder := struct {
		Key  llm.Secret
		Keys map[string]llm.Secret
	}{s, map[string]llm.Secret{"a": s}}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s, "holder", holder)
	asJSON, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%s": fmt.Sprintf("%s|", s), "%+v": fmt.Sprintf("%+v", holder), "%#v": fmt.Sprintf("%#v", holder),
		"error": fmt.Errorf("bad %v", s).Error(), "json": string(asJSON), "slog": log.String(),
	} {
		if strings.Contains(got, value) {
			t.Errorf("%s shows the secret: %s", name, got)
		}
		if !strings.Contains(got, "redacted") {
			t.Errorf("%s does not say that it is redacted: %s", name, got)
		}
	}
	if s.Reveal() != value {
		t.Error("Reveal does not give the value")
	}
	if llm.Secret("").String() != "" {
		t.Error("an empty secret prints as something")
	}
}

// TestDraftWithLeavesTheOld: drafts made from one draft do not share edits.
func TestDraftWithLeavesTheOld(t *testing.T) {
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, nil, llm.Head{}, nil)
	base := d.With(llm.Edit{Kind: llm.EditUsage})
	a := base.With(llm.Edit{Kind: llm.EditModel, Text: "a"})
	b := base.With(llm.Edit{Kind: llm.EditModel, Text: "b"})
	if e, _ := a.Edit(llm.EditModel); e.Text != "a" {
		t.Errorf("the first draft's model became %q", e.Text)
	}
	if e, _ := b.Edit(llm.EditModel); e.Text != "b" {
		t.Errorf("the second draft's model is %q", e.Text)
	}
	if len(d.Edits) != 0 || len(base.Edits) != 1 {
		t.Error("an older draft has grown")
	}
}

// TestDraftDecodesOnce: all drafts of one request share one decode, error too.
func TestDraftDecodesOnce(t *testing.T) {
	calls := 0
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, []byte("x"), llm.Head{}, func([]byte) (*llm.Request, error) {
		calls++
		return nil, errors.New("bad")
	})
	e := d.With(llm.Edit{Kind: llm.EditUsage})
	for _, draft := range []*llm.Draft{&d, &e} {
		if _, err := draft.Request(); err == nil {
			t.Error("the error was lost")
		}
	}
	if calls != 1 {
		t.Errorf("decoded %d times", calls)
	}
	var raw llm.Draft
	if _, err := raw.Request(); err == nil {
		t.Error("a draft without a decoder gave a request")
	}
}

func TestEffort(t *testing.T) {
	known := llm.Capability{Known: true, Efforts: []string{"low", "medium", "high"}}
	for _, c := range []struct {
		cap   llm.Capability
		want  string
		got   string
		exact bool
	}{
		{llm.Capability{}, "xhigh", "xhigh", true},
		{known, "medium", "medium", true},
		{known, "max", "high", false},
		{known, "none", "low", false},
		{known, "", "", true},
		{known, "sideways", "", false},
		{llm.Capability{Known: true}, "low", "", false},
	} {
		if got, exact := c.cap.Effort(c.want); got != c.got || exact != c.exact {
			t.Errorf("Effort(%q) with %v gives %q, %v; want %q, %v", c.want, c.cap.Efforts, got, exact, c.got, c.exact)
		}
	}
}

// TestReplayIsAStream: the events of a whole answer keep the rules of a stream.
func TestReplayIsAStream(t *testing.T) {
	r := &llm.Response{ID: "1", Items: []llm.Item{
		{Kind: llm.ItemReasoning, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}, Opaque: []llm.Opaque{{Kind: llm.OpaqueSignature, Data: "sig"}}},
		{Kind: llm.ItemMessage, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hi"}}},
		{Kind: llm.ItemToolCall, Call: llm.Call{ID: "c", Name: "f", Arguments: []byte(`{"a":1}`)}},
	}, Finish: llm.Finish{Reason: llm.FinishToolCalls}, Usage: llm.Usage{Output: 3, Source: llm.UsageProvider}}
	open, terminal, blocks := -1, 0, 0
	var text, args string
	for i, e := range llm.Replay(r) {
		switch e.Kind {
		case llm.EventStart:
			if i != 0 {
				t.Error("the start is not first")
			}
		case llm.EventBlockStart:
			if open >= 0 || e.Index != blocks {
				t.Errorf("block %d opens while %d is open and %d were seen", e.Index, open, blocks)
			}
			open, blocks = e.Index, blocks+1
		case llm.EventDelta:
			if e.Index != open {
				t.Errorf("a delta for block %d while %d is open", e.Index, open)
			}
			if e.Delta.Kind == llm.DeltaText {
				text += e.Delta.Text
			}
			if e.Delta.Kind == llm.DeltaArguments {
				args += e.Delta.Text
			}
		case llm.EventBlockStop:
			open = -1
		}
		if e.Terminal() {
			terminal++
		}
	}
	if terminal != 1 || blocks != 3 || text != "hi" || args != `{"a":1}` {
		t.Errorf("%d terminal events, %d blocks, text %q, arguments %q", terminal, blocks, text, args)
	}
}
