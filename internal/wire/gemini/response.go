package gemini

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// answer is an answer (or a piece of a streamed one) taken apart.
type answer struct {
	id, model string
	created   int64
	parts     jsontext.Value
	// finish is the native finishReason, "" when there is none.
	finish   string
	feedback jsontext.Value
	usage    jsontext.Value
	// failed is an error that came in place of an answer.
	failed jsontext.Value
	// candidates is all of them; several says that there are more than one,
	// of which the first is told in words.
	candidates       jsontext.Value
	known, several   bool
	candidate, outer []llm.Member
}

// take reads the members of an answer. Members of the first candidate that no
// word holds are in candidate, those beside the candidates in outer.
func take(body []byte) answer {
	var a answer
	for o := span.ReadObject(body); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch name := canon(o.Name); name {
		case "candidates":
			a.candidates, a.known = o.Val, true
			n := 0
			for c := span.ReadArray(o.Val); c.Next(); n++ {
				if n == 0 {
					a.takeCandidate(c.Val)
				}
			}
			a.several = n > 1
		case "promptFeedback":
			a.feedback, a.known = o.Val, true
		case "usageMetadata":
			a.usage, a.known = o.Val, true
		case "modelVersion":
			a.model = text(o.Val)
		case "responseId":
			a.id = text(o.Val)
		case "error":
			a.failed = o.Val
		case "createTime":
			if at, err := time.Parse(time.RFC3339, text(o.Val)); err == nil {
				a.created = at.Unix()
			}
			a.outer = append(a.outer, llm.Member{Name: name, Value: o.Val})
		default:
			a.outer = append(a.outer, llm.Member{Name: name, Value: o.Val})
		}
	}
	return a
}

func (a *answer) takeCandidate(v jsontext.Value) {
	var role jsontext.Value
	for o := span.ReadObject(v); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch name := canon(o.Name); name {
		case "content":
			for in := span.ReadObject(o.Val); in.Next(); {
				switch name := canon(in.Name); name {
				case "parts":
					a.parts = in.Val
				case "role":
					role = in.Val
				default:
					a.candidate = append(a.candidate, llm.Member{Name: "content." + name, Value: in.Val})
				}
			}
		case "finishReason":
			if s, ok := str(o.Val); ok {
				if s != "FINISH_REASON_UNSPECIFIED" {
					a.finish = s
				}
			} else {
				a.finish = string(o.Val)
			}
		default:
			a.candidate = append(a.candidate, llm.Member{Name: name, Value: o.Val})
		}
	}
	if a.parts == nil && role != nil { // a content without anything in it
		a.candidate = append(a.candidate, llm.Member{Name: "content.role", Value: role})
	}
}

// DecodeResponse decodes a whole answer. Each part is an item, or a block of
// one, that keeps its bytes in Raw; members of the candidate that no word
// holds are in Ext under "candidate.", those beside it under their names. Of
// several candidates the first is told in words, and all are in Ext. A blocked
// prompt is an answer without items that ends in a refusal. A body that is an
// error under status 200 gives its *llm.Error, and so does one that is no
// answer (class MalformedUpstream). Streamed answers may come as one array.
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	if !readable(body) {
		return nil, malformed("the answer is not JSON", body)
	}
	a := take(body)
	if a.failed != nil {
		return nil, streamError(body)
	}
	if !a.known {
		return nil, malformed("the answer has no candidates", body)
	}
	r := &llm.Response{From: llm.Gemini, ID: a.id, Model: a.model, Created: a.created, Usage: usageOf(a.usage)}
	calls := 0
	p := partDecoder{role: llm.Assistant,
		call: func(id, name string) string {
			calls++
			if id == "" {
				id = madeID(a.id, 0, calls, name)
			}
			return id
		},
		result: func(id, _ string) string { return id },
	}
	items, err := p.decode(nil, a.parts, "candidates.0.content")
	if err != nil {
		return nil, malformed(err.Error(), body)
	}
	for i := range items {
		items[i].Turn = 0
	}
	r.Items = items
	for _, m := range a.candidate {
		r.Ext = append(r.Ext, llm.Member{Name: "candidate." + m.Name, Value: m.Value})
	}
	if a.several {
		r.Ext = append(r.Ext, llm.Member{Name: "candidates", Value: a.candidates})
	}
	if a.feedback != nil {
		r.Ext = append(r.Ext, llm.Member{Name: "promptFeedback", Value: a.feedback})
	}
	r.Ext = append(r.Ext, a.outer...)
	r.Finish = a.finished(calls > 0)
	return r, nil
}

// finished is how the answer ended.
func (a *answer) finished(calls bool) llm.Finish {
	if a.finish == "" && a.parts == nil {
		if why := blocked(a.feedback); why != "" {
			return llm.Finish{Reason: llm.FinishRefusal, Native: why, Details: a.feedback,
				Refused: llm.Refused{Phase: llm.RefusedPrompt, Category: category(why, get(a.feedback, "safetyRatings"))}}
		}
	}
	f := llm.Finish{Reason: finishOf(a.finish, calls), Native: a.finish}
	if f.Reason == llm.FinishRefusal {
		var ratings jsontext.Value
		for i := range a.candidate {
			if a.candidate[i].Name == "safetyRatings" {
				ratings = a.candidate[i].Value
			}
		}
		f.Refused = llm.Refused{Phase: llm.RefusedOutput, Category: category(a.finish, ratings)}
	}
	return f
}

// malformed is an answer that is not what the dialect says; a little of what
// came is shown.
func malformed(why string, body []byte) *llm.Error {
	e := llm.Errorf(llm.MalformedUpstream, "%s", why)
	if s := excerpt(body); s != "" {
		e.Message += ": " + s
	}
	e.From = llm.Gemini
	return e
}

// AppendResponse writes a whole answer. One of this dialect goes back as it
// came, part by part; one of another keeps its id, and state of its thinking
// and calls is wrapped into their thoughtSignature.
func (Codec) AppendResponse(dst []byte, r *llm.Response) []byte {
	own := r.From == llm.Gemini
	b := append(dst, '{')
	if own {
		for i := range r.Ext {
			if r.Ext[i].Name == "candidates" {
				return appendRest(append(key(b, "candidates"), r.Ext[i].Value...), r)
			}
		}
		if len(r.Items) == 0 && isBlock(&r.Finish) {
			return appendRest(b, r)
		}
	}
	b = append(key(b, "candidates"), `[{`...)
	refusal, empty := false, own && len(r.Items) == 0
	from := len(b)
	b = append(b, `"content":{`...)
	if !empty {
		b = append(b, `"parts":[`...)
		for i := range r.Items {
			b = appendOutput(b, &r.Items[i], own, i)
			for k := range r.Items[i].Blocks {
				refusal = refusal || r.Items[i].Blocks[k].Kind == llm.BlockRefusal
			}
		}
		b = append(b, `],"role":"model"`...)
	}
	if own {
		for i := range r.Ext {
			if name, ok := strings.CutPrefix(r.Ext[i].Name, "candidate.content."); ok && (empty || name != "role") {
				b = member(b, &llm.Member{Name: name, Value: r.Ext[i].Value})
			}
		}
	}
	if b = closed(b, from); len(b) == from && !own {
		b = append(b, `"content":{"parts":[],"role":"model"}`...)
	}
	index := false
	if s := finishReason(&r.Finish, r.From, refusal); s != "" && (r.Finish.Reason != "" || !own) {
		b = appendFinish(b, s)
	}
	if own {
		for i := range r.Ext {
			if name, ok := strings.CutPrefix(r.Ext[i].Name, "candidate."); ok && !strings.HasPrefix(name, "content.") {
				index = index || name == "index"
				b = member(b, &llm.Member{Name: name, Value: r.Ext[i].Value})
			}
		}
	}
	if !index && !own {
		b = append(b, `,"index":0`...)
	}
	return appendRest(append(b, `}]`...), r)
}

// isBlock reports whether a finish tells of a blocked prompt.
func isBlock(f *llm.Finish) bool {
	return f.Reason == llm.FinishRefusal && blocked(f.Details) != "" && blocked(f.Details) == f.Native
}

// appendFinish writes finishReason; the number of an enum stays one.
func appendFinish(b []byte, s string) []byte {
	if _, err := strconv.Atoi(s); err == nil {
		return append(key(b, "finishReason"), s...)
	}
	return span.Quote(key(b, "finishReason"), s)
}

// appendRest writes what stands beside the candidates.
func appendRest(b []byte, r *llm.Response) []byte {
	own := r.From == llm.Gemini
	feedback := !isBlock(&r.Finish)
	if own {
		for i := range r.Ext {
			feedback = feedback || r.Ext[i].Name == "promptFeedback"
			if m := &r.Ext[i]; m.Name != "candidates" && !strings.HasPrefix(m.Name, "candidate.") {
				b = member(b, m)
			}
		}
	}
	if own && !feedback {
		b = append(key(b, "promptFeedback"), r.Finish.Details...)
	}
	if r.Usage.Source != "" || !own {
		b = appendUsage(key(b, "usageMetadata"), &r.Usage, own)
	}
	if r.Model != "" {
		b = span.Quote(key(b, "modelVersion"), r.Model)
	}
	if r.ID != "" {
		b = span.Quote(key(b, "responseId"), r.ID)
	}
	return append(b, '}')
}

// appendOutput writes the parts of one item of an answer, each with its comma.
func appendOutput(b []byte, it *llm.Item, own bool, at int) []byte {
	if own && it.From == llm.Gemini && len(it.Raw) > 0 {
		return append(comma(b), it.Raw...)
	}
	switch it.Kind {
	case llm.ItemMessage, llm.ItemReasoning:
		wrote := len(b)
		for i := range it.Blocks {
			bl := &it.Blocks[i]
			if own && bl.From == llm.Gemini && len(bl.Raw) > 0 {
				b = append(comma(b), bl.Raw...)
				continue
			}
			if !writable(bl) {
				continue
			}
			b = appendBlock(append(comma(b), '{'), bl)
			if it.Kind == llm.ItemReasoning {
				b = append(key(b, "thought"), "true"...)
			}
			if i == len(it.Blocks)-1 {
				b = appendSignature(b, it.Opaque)
			}
			b = append(b, '}')
		}
		if wrote == len(b) && hasState(it.Opaque) {
			b = append(comma(b), `{"text":""`...)
			if it.Kind == llm.ItemReasoning {
				b = append(key(b, "thought"), "true"...)
			}
			b = append(appendSignature(b, it.Opaque), '}')
		}
	case llm.ItemToolCall:
		id := it.Call.ID
		if id == "" {
			id = madeID("", 0, at, it.Call.Name)
		}
		b = appendCall(comma(b), it, id, it.Call.Name, "")
		b = append(appendSignature(b[:len(b)-1], it.Opaque), '}')
	case llm.ItemOpaque:
		if it.From == llm.Gemini && len(it.Raw) > 0 {
			b = append(comma(b), it.Raw...)
		}
	}
	return b
}

func hasState(os []llm.Opaque) bool {
	for i := range os {
		if os[i].Data != "" {
			return true
		}
	}
	return false
}

// Glance reads the head of a whole answer without decoding its content. An
// error under status 200 gives its *llm.Error; what is no JSON object, or is
// cut off, gives one of class MalformedUpstream.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	var g llm.Glance
	o := span.ReadObject(body)
	for o.Next() {
	}
	if o.Bad {
		return g, malformed("the answer is not JSON", body)
	}
	a := take(body)
	if a.failed != nil {
		return g, streamError(body)
	}
	calls := false
	for p := span.ReadMany(a.parts); p.Next() && !calls; {
		calls = get(p.Val, "functionCall") != nil
	}
	g.ID, g.Model, g.Usage, g.Finish = a.id, a.model, usageOf(a.usage), a.finished(calls)
	return g, nil
}
