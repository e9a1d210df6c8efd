package provider

import (
	"bytes"
	"slices"

	"headrace/internal/llm"
	"headrace/internal/wire/gemini"
)

// This file is about state that only its maker can read: what an answer brings
// is marked as this provider's, and what is another's is not sent here.

// sign marks the state in an answer as made here.
func (p *Provider) sign(r *llm.Response) {
	for i := range r.Items {
		for k := range r.Items[i].Opaque {
			p.signOne(&r.Items[i].Opaque[k])
		}
	}
}

func (p *Provider) signOne(o *llm.Opaque) {
	if o.By == "" && o.Bound() {
		o.By = p.row.ID
	}
}

// unreadable reports whether the bytes of a draft hold state that cannot be
// sent here.
func (p *Provider) unreadable(d *llm.Draft) bool {
	if _, ok := d.Edit(llm.EditStrip); ok {
		return true
	}
	return slices.ContainsFunc(d.MadeBy, func(by string) bool { return by != p.row.ID })
}

// readable gives the request without the state that this provider cannot read,
// and with EditStrip without any. The request itself is not changed.
func (p *Provider) readable(w *wire, r *llm.Request, d *llm.Draft) (*llm.Request, []llm.Loss) {
	strip, all := d.Edit(llm.EditStrip)
	var items []llm.Item
	var losses []llm.Loss
	for i := range r.Items {
		it := &r.Items[i]
		foreign := func(o llm.Opaque) bool { return all || !o.Readable(p.row.ID) }
		if !slices.ContainsFunc(it.Opaque, foreign) {
			if items != nil {
				items = append(items, *it)
			}
			continue
		}
		if items == nil {
			items = append(make([]llm.Item, 0, len(r.Items)), r.Items[:i]...)
			losses = append(losses, llm.Loss{Kind: llm.LossCarry, Path: it.Path, Why: "left out: state that another provider made"})
		}
		if it.Kind == llm.ItemReasoning && it.From == llm.Responses && w.dialect == llm.Responses {
			continue // what is left of it is an id that nobody knows
		}
		items = append(items, bare(it, w, foreign))
	}
	if items == nil {
		return r, nil
	}
	if all {
		losses = []llm.Loss{{Kind: llm.LossWarn, Path: "thinking", Why: strip.Text}}
	}
	c := *r
	c.Items = items
	return &c, losses
}

var signatureMark = []byte("ignature") // thoughtSignature, thought_signature

// bare gives an item without the state that drop names, and without the raw
// bytes that hold it too.
func bare(it *llm.Item, w *wire, drop func(llm.Opaque) bool) llm.Item {
	c := *it
	c.Raw = nil
	c.Opaque = slices.DeleteFunc(slices.Clone(it.Opaque), drop)
	c.Blocks = slices.Clone(it.Blocks)
	for k := range c.Blocks {
		if bytes.Contains(c.Blocks[k].Raw, signatureMark) {
			c.Blocks[k].Raw = nil
		}
	}
	if it.Kind == llm.ItemToolCall && it.From == llm.Gemini && w.dialect == llm.Gemini {
		// A call of Gemini's own is refused bare (wire facts 2.2, 2026-11).
		c.Opaque = append(c.Opaque, llm.Opaque{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: gemini.SkipSignature})
	}
	return c
}

// sieve writes a request of the provider's own dialect, already spliced, again
// without the state that cannot be sent here. The answer's bytes may go to the
// client all the same.
func (p *Provider) sieve(w *wire, d *llm.Draft, out *outgoing, model string) error {
	known, err := d.Request()
	if err != nil {
		return err
	}
	r, err := out.codec.DecodeRequest(bytes.Join(out.Body, nil))
	if err != nil {
		return err
	}
	// The words made of the splices do not know the makers; those of the draft do.
	by := map[string]string{}
	for i := range known.Items {
		for _, o := range known.Items[i].Opaque {
			by[o.Data] = o.By
		}
	}
	for i := range r.Items {
		for k := range r.Items[i].Opaque {
			o := &r.Items[i].Opaque[k]
			if o.By == "" {
				o.By = by[o.Data]
			}
		}
	}
	r, lost := p.readable(w, r, d)
	enc, err := out.codec.EncodeRequest(r, model, &llm.Capability{})
	enc.Header, enc.DropUsage = out.Header, out.DropUsage
	enc.Losses = append(append(out.Losses, enc.Losses...), lost...)
	out.Encoded = enc
	return err
}
