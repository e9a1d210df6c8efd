package llm

// Replay turns a whole answer into the events of a stream that would have
// given it: for a client that asked for a stream of a provider that answered
// whole.
func Replay(r *Response) []Event {
	events := []Event{{Kind: EventStart, ID: r.ID, Model: r.Model, Created: r.Created}}
	for i := range r.Items {
		it := &r.Items[i]
		block := BlockHead{Kind: it.Kind, ID: it.Call.ID, Name: it.Call.Name, Custom: it.Call.Custom, Type: it.Type, Raw: it.Raw}
		if it.Kind != ItemOpaque {
			block.Raw = nil
		}
		var deltas []Delta
		switch it.Kind {
		case ItemToolCall:
			block.Opaque = it.Opaque
			deltas = append(deltas, Delta{Kind: DeltaArguments, Text: string(it.Call.Arguments)})
		case ItemReasoning:
			for j := range it.Blocks {
				deltas = append(deltas, Delta{Kind: DeltaReasoning, Text: it.Blocks[j].Text})
			}
			block.ID, block.Name = it.ID, it.Name
			for _, o := range it.Opaque {
				if block.Name == "" && o.Data != "" {
					block.Name = o.Issuer
				}
				if o.Kind == OpaqueRedacted {
					block.Opaque = append(block.Opaque, o)
				} else {
					deltas = append(deltas, Delta{Kind: DeltaOpaque, Opaque: o})
				}
			}
		case ItemMessage:
			for j := range it.Blocks {
				kind := DeltaText
				if it.Blocks[j].Kind == BlockRefusal {
					kind = DeltaRefusal
				}
				deltas = append(deltas, Delta{Kind: kind, Text: it.Blocks[j].Text})
			}
		}
		events = append(events, Event{Kind: EventBlockStart, From: r.From, Index: i, Block: block})
		for _, d := range deltas {
			events = append(events, Event{Kind: EventDelta, Index: i, Delta: d})
		}
		events = append(events, Event{Kind: EventBlockStop, Index: i})
	}
	if r.Usage.Source != "" {
		events = append(events, Event{Kind: EventUsage, From: r.From, Usage: r.Usage})
	}
	return append(events, Event{Kind: EventFinish, From: r.From, Finish: r.Finish})
}
