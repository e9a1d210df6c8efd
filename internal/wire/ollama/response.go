package ollama

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// whole checks that body is a JSON object and no error under status 200.
func whole(body []byte) (jsontext.Value, error) {
	raw := jsontext.Value(bytes.TrimSpace(body))
	switch {
	case len(raw) == 0:
		return nil, malformed("the provider answered with an empty body", body)
	case !span.Valid(raw):
		return nil, malformed("the provider's answer is not JSON", body)
	case !span.IsObject(raw):
		return nil, malformed("the provider's answer is not a JSON object", body)
	}
	if e := errorIn(raw, 200); e != nil {
		return nil, e
	}
	return raw, nil
}

func malformed(why string, body []byte) *llm.Error {
	return &llm.Error{Class: llm.MalformedUpstream, Message: why + ": " + excerpt(body), From: llm.Ollama}
}

// excerpt shows the beginning of a body in a message.
func excerpt(body []byte) string {
	const most = 120
	b := bytes.Join(bytes.Fields(body[:min(len(body), 4*most)]), []byte{' '})
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.Valid(b) {
			b = b[:len(b)-1]
		}
		return strconv.Quote(string(b)) + "..."
	}
	return strconv.Quote(string(b))
}

// answer is one object of an answer: a whole one, or a line of a stream.
type answer struct {
	model    string
	created  jsontext.Value
	role     jsontext.Value
	said     jsontext.Value // message.content or response
	thinking jsontext.Value
	calls    jsontext.Value
	spoken   bool // there is a message or a response
	done     bool
	reason   string
	prompt   jsontext.Value
	output   jsontext.Value
	ext      []llm.Member // what no word of ours holds; those of the message as "message.x"
}

// read takes an object apart. Without ext the rest is passed over.
func read(raw jsontext.Value, ext bool) (a answer) {
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "model":
			a.model = span.Text(v)
		case "created_at":
			a.created = v
		case "message":
			if !span.IsObject(v) {
				continue
			}
			a.spoken = true
			for k, v := range span.Fields(v) {
				switch string(k) {
				case "role":
					a.role = v
				case "content":
					a.said = v
				case "thinking":
					a.thinking = v
				case "tool_calls":
					a.calls = v
				default:
					if ext {
						a.ext = append(a.ext, llm.Member{Name: inMessage + string(k), Value: bytes.Clone(v)})
					}
				}
			}
		case "response":
			a.said, a.spoken = v, true
		case "thinking":
			a.thinking = v
		case "tool_calls":
			a.calls = v
		case "done":
			a.done = span.Kind(v) == 't'
		case "done_reason":
			a.reason = span.Text(v)
		case "prompt_eval_count":
			a.prompt = v
		case "eval_count":
			a.output = v
		default:
			if ext {
				a.ext = append(a.ext, llm.Member{Name: string(k), Value: bytes.Clone(v)})
			}
		}
	}
	return a
}

// inMessage begins the names of members of the message in Ext.
const inMessage = "message."

// usage reads the counts. Where prompt_eval_count is missing, as it is when
// older servers had the whole prompt in their cache, there is no usage that
// could be told: the zero Source lets the gateway estimate it. A prompt is
// never taken for empty.
func (a *answer) usage() llm.Usage {
	const most = 1 << 50
	u := llm.Usage{Input: min(span.Count(a.prompt), most), Output: min(span.Count(a.output), most)}
	if u.Input > 0 {
		u.Source = llm.UsageProvider
	}
	return u
}

// unix reads created_at; 0 when it is no time.
func (a *answer) unix() int64 {
	t, err := time.Parse(time.RFC3339Nano, span.Text(a.created))
	if err != nil {
		return 0
	}
	return max(t.Unix(), 0)
}

// id makes an id for the answer, which has none on this wire and needs one on
// others: the same each time that the same answer is read.
func (a *answer) id() string {
	if a.created == nil {
		return ""
	}
	h := sha256.Sum256([]byte(span.Text(a.created) + "\x00" + a.model))
	return "ollama-" + hex.EncodeToString(h[:9])
}

// finish derives why the answer ended. There is no word for tool calls on this
// wire: they are told from the calls. load and unload end the answer to a
// request that had no prompt.
func (a *answer) finish(calls bool) llm.Finish {
	f := llm.Finish{Native: a.reason, Reason: llm.FinishOther}
	switch a.reason {
	case "", "stop", "load", "unload":
		f.Reason = llm.FinishStop
		if calls {
			f.Reason = llm.FinishToolCalls
		}
	case "length":
		f.Reason = llm.FinishLength
	case reasonFilter: // our own words, see writeFinish
		f.Reason = llm.FinishRefusal
		f.Refused.Phase = llm.RefusedOutput
	case reasonError:
		f.Reason = llm.FinishFailed
	}
	return f
}

// Reasons that Ollama itself does not give: its clients show done_reason and
// take any word for an end, and neither a filter nor a failure is a "stop".
const (
	reasonFilter = "content_filter"
	reasonError  = "error"
)

// writeFinish gives done_reason. The word of a provider of this dialect goes
// back as it was; own says that it is one.
func writeFinish(f llm.Finish, own bool) string {
	if own && f.Native != "" {
		return f.Native
	}
	switch f.Reason {
	case llm.FinishLength, llm.FinishContext, llm.FinishPaused:
		return "length"
	case llm.FinishRefusal:
		return reasonFilter
	case llm.FinishFailed:
		return reasonError
	}
	return "stop"
}

// Glance reads model, usage and finish of a whole answer; the id is made.
func (Codec) Glance(body []byte) (llm.Glance, error) {
	raw, err := whole(body)
	if err != nil {
		return llm.Glance{}, err
	}
	a := read(raw, false)
	if err := a.complete(body); err != nil {
		return llm.Glance{}, err
	}
	return llm.Glance{ID: a.id(), Model: a.model, Usage: a.usage(), Finish: a.finish(span.IsArray(a.calls) && span.Kind(a.calls[1:]) != ']')}, nil
}

// complete says what is wrong with a whole answer.
func (a *answer) complete(body []byte) error {
	if !a.spoken {
		return malformed("the provider's answer has neither message nor response", body)
	}
	if !a.done {
		return malformed("the provider's answer is not done", body)
	}
	return nil
}

// DecodeResponse reads a whole answer of /api/chat or /api/generate.
func (Codec) DecodeResponse(body []byte) (*llm.Response, error) {
	raw, err := whole(body)
	if err != nil {
		return nil, err
	}
	a := read(raw, true)
	if err := a.complete(body); err != nil {
		return nil, err
	}
	r := &llm.Response{From: llm.Ollama, ID: a.id(), Model: a.model, Created: a.unix(), Usage: a.usage(), Ext: a.ext}
	if a.created != nil {
		r.Ext = append(r.Ext, llm.Member{Name: "created_at", Value: bytes.Clone(a.created)})
	}
	if s := span.Text(a.thinking); s != "" {
		r.Items = append(r.Items, llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, From: llm.Ollama,
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Ollama}}})
	}
	if s := span.Text(a.said); s != "" {
		r.Items = append(r.Items, llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, From: llm.Ollama,
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Ollama}}})
	}
	calls := false
	for i, raw := range span.Elements(a.calls) {
		call, ok := readCall(bytes.Clone(raw))
		if !ok {
			return nil, malformed("the provider's answer calls a tool without a name", body)
		}
		calls = true
		if call.Call.ID == "" {
			call.Call.ID = madeID(span.Text(a.created)+a.model, i, &call.Call)
		}
		r.Items = append(r.Items, call)
	}
	r.Finish = a.finish(calls)
	return r, nil
}

// AppendResponse appends a whole answer in the codec's form. What came from
// this dialect has its own unknown members back.
func (c Codec) AppendResponse(dst []byte, r *llm.Response) []byte {
	own := r.From == llm.Ollama
	o := span.Open(dst)
	o.Str("model", r.Model)
	created := false
	for _, m := range r.Ext {
		if own && m.Name == "created_at" {
			o.Raw(m.Name, m.Value)
			created = true
		}
	}
	if !created {
		o.Name("created_at")
		o.B = appendTime(o.B, r.Created)
	}
	var said, thought, calls []byte
	n := 0
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			if t := it.Text(); t != "" {
				if len(thought) > 0 {
					thought = append(thought, "\n\n"...)
				}
				thought = append(thought, t...)
			}
		case llm.ItemMessage:
			for k := range it.Blocks {
				if b := &it.Blocks[k]; b.Kind == llm.BlockText || b.Kind == llm.BlockRefusal {
					said = append(said, b.Text...)
				}
			}
		case llm.ItemToolCall:
			if n > 0 {
				calls = append(calls, ',')
			}
			if own && len(it.Raw) > 0 {
				calls = append(calls, it.Raw...)
			} else {
				calls = appendCall(calls, &it.Call, n)
			}
			n++
		}
	}
	m := &o
	var message span.Object
	if c.Form == FormGenerate {
		o.Name("response")
		o.B = span.Quote(o.B, said)
	} else {
		o.Name("message")
		message = span.Open(o.B)
		message.Str("role", "assistant")
		message.Name("content")
		message.B = span.Quote(message.B, said)
		m = &message
	}
	if len(thought) > 0 {
		m.Name("thinking")
		m.B = span.Quote(m.B, thought)
	}
	if n > 0 {
		m.Name("tool_calls")
		m.B = append(append(append(m.B, '['), calls...), ']')
	}
	if m != &o {
		if own {
			for _, x := range r.Ext {
				if name, ok := cutMessage(x.Name); ok {
					m.Raw(name, x.Value)
				}
			}
		}
		o.B = m.Close()
	}
	o.B = appendEnd(o.B, r.Finish, r.Usage, own, r.Ext, 0)
	return append(o.B, '}')
}

func cutMessage(name string) (string, bool) {
	if len(name) > len(inMessage) && name[:len(inMessage)] == inMessage {
		return name[len(inMessage):], true
	}
	return "", false
}

// appendEnd appends what only the last object has: done and its reason, the
// counts, and the durations that were measured, in nanoseconds; Ollama itself
// leaves out those that are 0. What came before the provider was asked is told
// as the time of loading. estimate stands in for a prompt count that is not
// known.
func appendEnd(b []byte, f llm.Finish, u llm.Usage, own bool, ext []llm.Member, estimate int64) []byte {
	o := span.Resume(b)
	o.Bool("done", true)
	o.Str("done_reason", writeFinish(f, own))
	for _, m := range ext {
		if _, in := cutMessage(m.Name); own && !in && m.Name != "created_at" {
			o.Raw(m.Name, m.Value)
		}
	}
	took := func(name string, d time.Duration) {
		if !own && d > 0 {
			o.Int(name, int64(d))
		}
	}
	took("total_duration", f.Took.Total)
	took("load_duration", f.Took.Wait)
	if n := u.Prompt(); n > 0 {
		o.Int("prompt_eval_count", n)
	} else if estimate > 0 {
		o.Int("prompt_eval_count", estimate)
	}
	took("prompt_eval_duration", f.Took.Prompt)
	if u.Source != "" || u.Output > 0 {
		o.Int("eval_count", u.Output)
	}
	took("eval_duration", f.Took.Output)
	return o.B
}

// appendTime appends a time as RFC 3339, quoted.
func appendTime(b []byte, unix int64) []byte {
	b = append(b, '"')
	b = time.Unix(min(max(unix, 0), 253402300799), 0).UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

// LooksCut gives the warning for a prompt that Ollama has cut to its window
// without a word, or nil: it read less than half of what was estimated. It is
// for whoever has both the estimate and the usage of an answer. Small prompts
// are not judged, nor is a usage that the provider did not tell.
func LooksCut(estimate int64, u llm.Usage) *llm.Loss {
	const least = 2048
	if u.Source != llm.UsageProvider || estimate < least || u.Prompt() == 0 || u.Prompt() >= estimate/2 {
		return nil
	}
	return &llm.Loss{Kind: llm.LossWarn, Path: "options.num_ctx",
		Why: "the model read " + strconv.FormatInt(u.Prompt(), 10) + " of about " + strconv.FormatInt(estimate, 10) + " tokens: Ollama cuts a prompt that is over num_ctx"}
}
