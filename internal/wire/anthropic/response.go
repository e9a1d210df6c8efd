package anthropic

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// DecodeResponse decodes a whole answer. Each content block is an item of its
// own that keeps its bytes in Raw; members that no word holds are in Ext. A
// body that is an error under status 200 gives its *llm.Error, and so does one
// that is no message (class MalformedUpstream).
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	if !readable(body) {
		return nil, malformed("the answer is not JSON", body)
	}
	if err := notMessage(body); err != nil {
		return nil, err
	}
	r := &llm.Response{From: llm.Anthropic}
	var details jsontext.Value
	for o := span.ReadObject(body); o.Next(); {
		switch string(o.Name) {
		case "type", "role":
		case "id":
			r.ID = text(o.Val)
		case "model":
			r.Model = text(o.Val)
		case "content":
			i := 0
			a := span.ReadArray(o.Val)
			for ; a.Next(); i++ {
				it, err := decodeOutput(a.Val, "content."+strconv.Itoa(i))
				if err != nil {
					return nil, malformed(err.Error(), nil)
				}
				r.Items = append(r.Items, it)
			}
			if a.Bad {
				return nil, malformed("content is not an array", body)
			}
		case "stop_reason":
			if s, ok := str(o.Val); ok {
				r.Finish.Native = s
			}
		case "stop_sequence":
			r.Finish.StopSequence = text(o.Val)
		case "stop_details":
			if !isNull(o.Val) {
				details = o.Val
			}
		case "usage":
			u := usage{}
			u.merge(o.Val)
			r.Usage = u.total()
		default:
			r.Ext = append(r.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
		}
	}
	r.Finish.Details = details
	r.Finish.Reason = finishOf(r.Finish.Native)
	r.Finish.Refused = refusedBy(&r.Finish, len(r.Items) == 0)
	return r, nil
}

// notMessage tells whether a valid JSON answer is something else: an error
// under 200, or no message at all.
func notMessage(body []byte) *llm.Error {
	content := false
	for o := span.ReadObject(body); o.Next(); {
		switch string(o.Name) {
		case "content":
			content = true
		case "error":
			if !isNull(o.Val) {
				return streamError(body)
			}
		case "type":
			if text(o.Val) == "error" {
				return streamError(body)
			}
		}
	}
	if !content {
		return malformed("the answer is not a message", body)
	}
	return nil
}

// malformed is an answer that is not what the dialect says; a little of what
// came is shown.
func malformed(why string, body []byte) *llm.Error {
	e := llm.Errorf(llm.MalformedUpstream, "%s", why)
	if s := excerpt(body); s != "" {
		e.Message += ": " + s
	}
	e.From = llm.Anthropic
	return e
}

// decodeOutput decodes one block of an answer.
func decodeOutput(v jsontext.Value, path string) (llm.Item, error) {
	it, whole, err := decodeItem(v, llm.Assistant, path)
	if err != nil || whole {
		return it, err
	}
	b, err := decodeBlock(v, path)
	if err != nil {
		return it, err
	}
	return llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, Path: path, From: llm.Anthropic, Blocks: []llm.Block{b}}, nil
}

// finishOf reads a stop reason.
func finishOf(native string) llm.FinishReason {
	switch native {
	case "":
		return ""
	case "end_turn":
		return llm.FinishStop
	case "stop_sequence":
		return llm.FinishStopSequence
	case "max_tokens":
		return llm.FinishLength
	case "model_context_window_exceeded":
		return llm.FinishContext
	case "tool_use":
		return llm.FinishToolCalls
	case "refusal":
		return llm.FinishRefusal
	case "pause_turn":
		return llm.FinishPaused
	}
	return llm.FinishOther
}

// refusedBy says more of a refusal: Claude names the category in stop_details,
// and one without content was refused before it began.
func refusedBy(f *llm.Finish, empty bool) (r llm.Refused) {
	if f.Reason != llm.FinishRefusal {
		return r
	}
	r.Phase, r.Category = llm.RefusedOutput, llm.CategoryOf(text(get(f.Details, "category")))
	if empty {
		r.Phase = llm.RefusedPrompt
	}
	return r
}

// stopReason writes a finish for this dialect's client. Whether tools were
// called is taken from the content, not from the provider's word.
func stopReason(f *llm.Finish, from llm.Dialect, calls, refusal bool) string {
	if from == llm.Anthropic && f.Native != "" {
		return f.Native
	}
	switch f.Reason {
	case llm.FinishStop, llm.FinishToolCalls, llm.FinishFailed, llm.FinishOther, "":
		switch {
		case calls:
			return "tool_use"
		case refusal:
			return "refusal"
		}
		return "end_turn"
	case llm.FinishStopSequence:
		if calls {
			return "tool_use"
		}
		if f.StopSequence == "" {
			return "end_turn" // clients read the sequence when told of one
		}
		return "stop_sequence"
	case llm.FinishLength:
		return "max_tokens"
	case llm.FinishContext:
		return "model_context_window_exceeded"
	case llm.FinishRefusal:
		return "refusal"
	case llm.FinishPaused:
		return "pause_turn"
	}
	return "end_turn"
}

// appendStop writes stop_reason, stop_sequence and stop_details.
func appendStop(b []byte, f *llm.Finish, from llm.Dialect, calls, refusal bool) []byte {
	reason := stopReason(f, from, calls, refusal)
	b = append(key(b, "stop_reason"), '"')
	b = append(span.Escape(b, reason), '"')
	b = key(b, "stop_sequence")
	if f.StopSequence != "" && reason == "stop_sequence" {
		b = span.Quote(b, f.StopSequence)
	} else {
		b = append(b, "null"...)
	}
	b = key(b, "stop_details")
	switch {
	case from == llm.Anthropic && kindOf(f.Details) == '{':
		b = appendFlat(b, f.Details)
	case reason == "refusal":
		b = append(b, `{"type":"refusal","category":null,"explanation":null}`...)
	default:
		b = append(b, "null"...)
	}
	return b
}

// usage merges the usage objects of one answer: a figure that is null or
// missing leaves the one before it (claude-api 2.1, 2026-11).
type usage struct {
	input, read, write, write1h, output, thinking int64
	cost                                          llm.Nanodollars
	hasCost                                       bool
	tier, geo                                     string
	fast                                          bool
	// rounds is the sum of the iterations, nil when there are none; round says
	// that this is one of them.
	rounds *usage
	round  bool
	raw    jsontext.Value
}

func (u *usage) merge(v jsontext.Value) {
	if kindOf(v) != '{' {
		return
	}
	u.raw = v
	u.rounds = nil // as old as the figures beside them
	for o := span.ReadObject(v); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch string(o.Name) {
		case "input_tokens":
			u.input = count(o.Val)
		case "cache_read_input_tokens":
			u.read = count(o.Val)
		case "cache_creation_input_tokens":
			u.write = count(o.Val)
		case "cache_creation":
			if kindOf(o.Val) == '{' {
				u.write1h = count(get(o.Val, "ephemeral_1h_input_tokens"))
				if sum := u.write1h + count(get(o.Val, "ephemeral_5m_input_tokens")); sum > u.write {
					u.write = sum
				}
			}
		case "output_tokens":
			u.output = count(o.Val)
		case "output_tokens_details":
			if n := get(o.Val, "thinking_tokens"); n != nil {
				u.thinking = count(n)
			}
		case "iterations":
			if !u.round {
				u.rounds = sumOf(o.Val)
			}
		case "service_tier":
			u.tier = strings.ToLower(text(o.Val))
		case "speed":
			u.fast = text(o.Val) == "fast"
		case "inference_geo":
			u.geo = strings.ToLower(text(o.Val))
		case "cost":
			// OpenRouter tells what it charges, in dollars (recorded).
			if f, ok := number(o.Val); ok && f >= 0 && f < 1e9 {
				u.cost, u.hasCost = llm.Nanodollars(math.Round(f*1e9)), true
			}
		}
	}
}

// sumOf adds up the iterations of an answer: the attempts of a fallback on the
// server, compactions, an advisor's messages. The figures beside them leave
// out some of these, and all of them are billed (claude-api 1.10, 2026-11; so
// recorded). It is nil when there are none or they say nothing.
func sumOf(v jsontext.Value) *usage {
	if kindOf(v) != '[' {
		return nil
	}
	const most = 1 << 40 // beyond it a figure is nonsense, and a sum might wrap
	var sum usage
	for a := span.ReadArray(v); a.Next(); {
		one := usage{round: true}
		one.merge(a.Val)
		for _, f := range []struct{ to, from *int64 }{{&sum.input, &one.input}, {&sum.read, &one.read}, {&sum.write, &one.write},
			{&sum.write1h, &one.write1h}, {&sum.output, &one.output}, {&sum.thinking, &one.thinking}} {
			*f.to = min(*f.to+min(*f.from, most), most)
		}
	}
	if sum.input+sum.read+sum.write+sum.output == 0 {
		return nil
	}
	return &sum
}

func (u *usage) total() llm.Usage {
	if u.raw == nil {
		return llm.Usage{}
	}
	if sum := u.rounds; sum != nil {
		all := *u
		all.input, all.read, all.write, all.write1h, all.output = sum.input, sum.read, sum.write, sum.write1h, sum.output
		all.thinking, all.rounds = max(u.thinking, sum.thinking), nil
		return all.total()
	}
	tier := u.tier
	if u.fast { // its price stands beside the tiers' (claude-api 7.4, 2026-11)
		tier = "fast"
	}
	return llm.Usage{
		Input: u.input, CacheRead: u.read, CacheWrite5m: max(u.write-u.write1h, 0), CacheWrite1h: u.write1h,
		Output: u.output, Reasoning: u.thinking, Source: llm.UsageProvider,
		Reported: u.cost, HasReported: u.hasCost, Tier: tier, Geo: u.geo, Raw: u.raw,
	}
}

// appendUsage writes a usage object with every member that typed clients
// read; the provider's own one when it is of this dialect.
func appendUsage(b []byte, u *llm.Usage, own bool) []byte {
	if own && kindOf(u.Raw) == '{' {
		return appendFlat(b, u.Raw)
	}
	b = append(b, `{"input_tokens":`...)
	b = strconv.AppendInt(b, u.Input, 10)
	b = append(b, `,"cache_creation_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite5m+u.CacheWrite1h, 10)
	b = append(b, `,"cache_read_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheRead, 10)
	b = append(b, `,"cache_creation":{"ephemeral_5m_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite5m, 10)
	b = append(b, `,"ephemeral_1h_input_tokens":`...)
	b = strconv.AppendInt(b, u.CacheWrite1h, 10)
	b = append(b, `},"output_tokens":`...)
	b = strconv.AppendInt(b, u.Output, 10)
	b = append(b, `,"output_tokens_details":{"thinking_tokens":`...)
	b = strconv.AppendInt(b, u.Reasoning, 10)
	return append(b, `},"server_tool_use":null,"service_tier":null,"inference_geo":null,"speed":null}`...)
}

// AppendResponse writes a whole answer with every key that the official
// clients read. An answer of this dialect goes back as it came, block by
// block; one of another keeps its id, and foreign state of its thinking is
// wrapped into the signature.
func (Codec) AppendResponse(dst []byte, r *llm.Response) []byte {
	own := r.From == llm.Anthropic
	b := append(dst, `{"id":`...)
	id := r.ID
	if id == "" {
		id = "msg_" + hash(r.Model+"\x00"+strconv.FormatInt(r.Created, 10)+"\x00"+firstText(r.Items))
	}
	b = span.Quote(b, id)
	b = append(b, `,"type":"message","role":"assistant","model":`...)
	b = span.Quote(b, r.Model)
	b = append(b, `,"content":[`...)
	calls, refusal := false, false
	for i := range r.Items {
		it := &r.Items[i]
		calls = calls || it.Kind == llm.ItemToolCall
		if it.From == llm.Anthropic && len(it.Raw) > 0 {
			b = append(comma(b), it.Raw...)
			continue
		}
		switch it.Kind {
		case llm.ItemMessage:
			for j := range it.Blocks {
				block := &it.Blocks[j]
				if block.From == llm.Anthropic && len(block.Raw) > 0 {
					b = append(comma(b), block.Raw...)
					continue
				}
				refusal = refusal || block.Kind == llm.BlockRefusal
				if block.Text != "" && (block.Kind == llm.BlockText || block.Kind == llm.BlockRefusal) {
					b = append(comma(b), `{"type":"text","text":`...)
					b = span.Quote(b, block.Text)
					b = append(b, `,"citations":null}`...)
				}
			}
		case llm.ItemReasoning:
			if raw := appendThinking(b, it); len(raw) > len(b) {
				b = raw
				continue
			}
			b = append(comma(b), `{"type":"thinking","thinking":`...)
			b = span.Quote(b, it.Text())
			b = span.Quote(key(b, "signature"), foreignSignature(it.Opaque))
			b = append(b, '}')
		case llm.ItemToolCall:
			b = appendToolUse(comma(b), it, toolID(it.Call.ID, id+"."+strconv.Itoa(i)), it.Call.Name)
		}
	}
	b = append(b, ']')
	b = appendStop(b, &r.Finish, r.From, calls, refusal)
	container, diagnostics := false, false
	if own {
		for _, m := range r.Ext {
			container = container || m.Name == "container"
			diagnostics = diagnostics || m.Name == "diagnostics"
			b = append(key(b, m.Name), m.Value...)
		}
	}
	if !container {
		b = append(b, `,"container":null`...)
	}
	if !diagnostics {
		b = append(b, `,"diagnostics":null`...)
	}
	b = appendUsage(key(b, "usage"), &r.Usage, own)
	return append(b, '}')
}

// firstText gives something of an answer to make an id from.
func firstText(items []llm.Item) string {
	for i := range items {
		if s := items[i].Text() + string(items[i].Call.Arguments); s != "" {
			return s
		}
	}
	return ""
}

// Glance reads the head of a whole answer without decoding its content. An
// error under status 200 gives its *llm.Error; what is no JSON object, or is
// cut off, gives one of class MalformedUpstream.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	var g llm.Glance
	var u usage
	bad, empty := false, true
	o := span.ReadObject(body)
	for o.Next() {
		switch string(o.Name) {
		case "id":
			g.ID = text(o.Val)
		case "model":
			g.Model = text(o.Val)
		case "usage":
			u.merge(o.Val)
		case "content":
			some := span.ReadArray(o.Val)
			empty = !some.Next()
		case "stop_reason":
			g.Finish.Native = text(o.Val)
		case "stop_sequence":
			g.Finish.StopSequence = text(o.Val)
		case "stop_details":
			if !isNull(o.Val) {
				g.Finish.Details = o.Val
			}
		case "error":
			bad = bad || !isNull(o.Val)
		case "type":
			bad = bad || text(o.Val) == "error"
		}
	}
	if o.Bad {
		return g, malformed("the answer is not JSON", body)
	}
	if bad {
		return g, streamError(body)
	}
	g.Finish.Reason = finishOf(g.Finish.Native)
	g.Finish.Refused = refusedBy(&g.Finish, empty)
	g.Usage = u.total()
	return g, nil
}
