package recall

import (
	"slices"

	"headrace/internal/llm"
)

// collectMost bounds what a Collector gathers of one answer; of a larger one
// nothing is kept.
const collectMost = 8 << 20

// Collector gathers from the events of a streamed answer what [State.Note]
// takes. The zero value is ready. Not safe for concurrent use.
type Collector struct {
	items []llm.Item
	text  []byte // of the block that is open
	size  int
	done  bool
}

// Event hears one event. It keeps nothing of the event's own memory.
func (c *Collector) Event(e *llm.Event) {
	if c.size > collectMost {
		return
	}
	switch e.Kind {
	case llm.EventBlockStart:
		c.settle()
		b := &e.Block
		it := llm.Item{Kind: b.Kind, Role: llm.Assistant, Type: b.Type, From: e.From, Opaque: slices.Clone(b.Opaque)}
		switch b.Kind {
		case llm.ItemToolCall:
			it.Call = llm.Call{ID: b.ID, Name: b.Name, Custom: b.Custom}
		case llm.ItemReasoning:
			it.ID, it.Name = b.ID, b.Name
		}
		c.items = append(c.items, it)
	case llm.EventDelta:
		if len(c.items) > 0 {
			c.delta(&c.items[len(c.items)-1], &e.Delta)
		}
	case llm.EventFinish:
		c.settle()
		c.done = true
	}
}

func (c *Collector) delta(it *llm.Item, d *llm.Delta) {
	switch d.Kind {
	case llm.DeltaReasoning, llm.DeltaArguments:
		c.text = append(c.text, d.Text...)
		c.size += len(d.Text)
	case llm.DeltaText, llm.DeltaRefusal:
		if len(c.text) == 0 {
			c.text = append(c.text, d.Text...) // that something was said is enough
		}
	case llm.DeltaOpaque:
		c.size += len(d.Opaque.Data)
		same := func(o llm.Opaque) bool { return o.Issuer == d.Opaque.Issuer && o.Kind == d.Opaque.Kind }
		it.Opaque = append(slices.DeleteFunc(it.Opaque, same), d.Opaque)
	}
}

// settle gives the open block its text.
func (c *Collector) settle() {
	if len(c.items) == 0 || len(c.text) == 0 {
		return
	}
	it := &c.items[len(c.items)-1]
	switch it.Kind {
	case llm.ItemToolCall:
		it.Call.Arguments = slices.Clone(c.text)
	case llm.ItemReasoning, llm.ItemMessage:
		it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: string(c.text), From: it.From}}
	}
	c.text = c.text[:0]
}

// Items gives what an answer that ended well held: its thoughts and calls in
// order, and where its messages stood. It is nil before the finish, after an
// error, and when the answer was too large to be kept.
func (c *Collector) Items() []llm.Item {
	if !c.done || c.size > collectMost {
		return nil
	}
	return c.items
}
