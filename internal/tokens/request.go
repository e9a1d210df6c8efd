package tokens

import "headrace/internal/llm"

const (
	// perMessage and perTool are what a message and a tool cost beyond their
	// text, about, with every vendor.
	perMessage = 4
	perTool    = 8
	// unseen is what a file costs that only its provider can see.
	unseen = 2_500
)

// EstimateRequest returns about how many prompt tokens a decoded request has.
// It is what answers count_tokens where the provider cannot be asked; the
// figure is an estimate of the same quality as Estimate's, a little better for
// short prompts, since settings do not count.
func EstimateRequest(r *llm.Request, f Family) int64 {
	w := f.weights()
	var n counts
	fixed := int64(perMessage)
	turn := -1
	for i := range r.Items {
		it := &r.Items[i]
		if it.Turn != turn {
			turn = it.Turn
			fixed += perMessage
		}
		for j := range it.Blocks {
			n.block(&it.Blocks[j], w)
		}
		switch it.Kind {
		case llm.ItemToolCall:
			n.text([]byte(it.Call.Name))
			n.text(it.Call.Arguments)
			fixed += perTool
		case llm.ItemOpaque:
			n.body(it.Raw, w)
		}
		for _, o := range it.Opaque {
			n.opaque += int64(len(o.Data))
		}
	}
	if len(r.Tools) > 0 {
		fixed += w.toolSet
	}
	for i := range r.Tools { // one of a namespace is in its Raw
		t := &r.Tools[i]
		n.text([]byte(t.Name))
		n.text([]byte(t.Description))
		if len(t.Schema) > 0 {
			n.text(t.Schema)
		} else {
			n.text(t.Raw)
		}
		fixed += perTool
	}
	n.text(r.Format.Schema)
	n.roles, n.tools = 0, 0
	bare := *w
	bare.base = 0
	return bare.tokens(&n) + fixed
}

func (n *counts) block(b *llm.Block, w *weights) {
	n.text([]byte(b.Text))
	m := &b.Media
	switch b.Kind {
	case llm.BlockImage:
		n.pictures += w.picture([]byte(m.Data))
	case llm.BlockAudio:
		n.documents += audio(len(m.Data))
	case llm.BlockFile:
		switch {
		case m.Text != "":
			n.text([]byte(m.Text))
		case m.Data != "":
			n.documents += document(len(m.Data))
		default:
			n.documents += unseen
		}
	case llm.BlockOpaque:
		n.body(b.Raw, w)
	}
}
