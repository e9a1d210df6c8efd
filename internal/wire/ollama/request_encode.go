package ollama

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// EncodeRequest writes a request for one target. What came from this dialect
// goes back in the form and order in which it came; from other dialects the
// words become an /api/chat request, and Losses says what could not be said.
// The options, and with them num_ctx, stand behind the messages, so that the
// bytes of a longer conversation begin with those of a shorter one.
func (c Codec) EncodeRequest(r *llm.Request, model string, cap *llm.Capability) (llm.Encoded, error) {
	e := requestEncoder{r: r, c: cap, own: r.From == llm.Ollama, model: model}
	if !e.own {
		e.r, e.Losses.All = llm.Plain(r)
	} else {
		for k, v := range span.Fields(r.Raw) {
			e.spelled = append(e.spelled, llm.Member{Name: string(k), Value: v})
		}
		_, messages := e.raw("messages")
		_, prompt := e.raw("prompt")
		e.generate = !messages && (prompt || c.Form == FormGenerate) && generable(r.Items)
	}
	e.o = span.Open(make([]byte, 0, 1024+len(r.Raw)+len(r.Raw)/8))
	e.write()
	return llm.Encoded{Body: [][]byte{e.o.Close()}, Losses: e.Losses.All, Customs: e.customs}, nil
}

// generable reports whether items can be said by /api/generate.
func generable(items []llm.Item) bool {
	user := 0
	for i := range items {
		it := &items[i]
		switch {
		case it.Kind == llm.ItemOpaque && it.From == llm.Ollama:
		case it.Kind == llm.ItemMessage && it.Role == llm.System && user == 0:
		case it.Kind == llm.ItemMessage && it.Role == llm.User && user == 0:
			user++
		default:
			return false
		}
	}
	return true
}

type requestEncoder struct {
	r        *llm.Request
	c        *llm.Capability
	own      bool
	generate bool
	model    string
	spelled  []llm.Member // the members of r.Raw
	o        span.Object
	llm.Losses
	customs  map[string]bool
	pictures int // images in the messages, and how many bytes they are
	pixels   int
}

func (e *requestEncoder) raw(name string) (jsontext.Value, bool) {
	for i := range e.spelled {
		if e.spelled[i].Name == name {
			return e.spelled[i].Value, true
		}
	}
	return nil, false
}

// The order of members for requests that were written in another dialect, or
// from the words alone.
var (
	chatOrder     = []string{"model", "stream", "think", "format", "tools", "messages", "logprobs", "options"}
	generateOrder = []string{"model", "stream", "think", "format", "system", "prompt", "images", typeSuffix, typeTemplate, typeRaw, typeContext, "logprobs", "options"}
)

func (e *requestEncoder) write() {
	order := chatOrder
	if e.generate {
		order = generateOrder
	}
	for _, m := range e.spelled {
		e.member(m.Name, m.Value)
	}
	for _, name := range order {
		if _, done := e.raw(name); !done {
			e.member(name, nil)
		}
	}
	if !e.own {
		e.foreign()
		return
	}
	for _, m := range e.r.Ext {
		if _, done := e.raw(m.Name); !done && !strings.HasPrefix(m.Name, "options.") {
			e.o.Raw(m.Name, m.Value)
		}
	}
}

// member writes one top-level member, or nothing when it is unsaid; raw is how
// it was spelled, nil when it was not there.
func (e *requestEncoder) member(name string, raw jsontext.Value) {
	r, o := e.r, &e.o
	switch name {
	case "model":
		o.Str(name, e.model)
	case "stream":
		if raw != nil && span.IsNull(raw) && r.Stream {
			o.Raw(name, raw)
		} else if raw != nil || !e.own || len(e.spelled) == 0 || !r.Stream {
			o.Bool(name, r.Stream) // unsaid it would be true
		}
	case "think":
		value, why := "", ""
		if e.own && !e.c.Known {
			if value = string(raw); raw == nil {
				value, _ = fitThink(r.Reasoning, e.c)
			}
		} else {
			value, why = fitThink(r.Reasoning, e.c)
		}
		if why != "" {
			e.Lose(llm.LossWarn, e.thinkPath(), "%s", why)
		}
		if value != "" {
			o.Raw(name, []byte(value))
		}
	case "format":
		e.format(raw)
	case "tools":
		e.tools(raw)
	case "messages":
		o.Name(name)
		e.messages()
	case "options":
		e.options(raw)
	case "system", "prompt", "images":
		if e.generate {
			e.prompt(name, raw)
		} else if raw != nil {
			o.Raw(name, raw)
		}
	case typeSuffix, typeTemplate, typeRaw, typeContext, typeLogprobs:
		if raw == nil {
			for i := range r.Items {
				if it := &r.Items[i]; it.Kind == llm.ItemOpaque && it.From == llm.Ollama && it.Type == name {
					raw = it.Raw
				}
			}
		}
		if raw != nil {
			o.Raw(name, raw)
		}
	default: // only from our own dialect: carried
		o.Raw(name, raw)
	}
}

func (e *requestEncoder) thinkPath() string {
	switch e.r.From {
	case llm.Ollama:
		return "think"
	case llm.Anthropic:
		return "thinking"
	}
	return "reasoning_effort"
}

// prompt writes the members of a generate request.
func (e *requestEncoder) prompt(name string, raw jsontext.Value) {
	var said, pictures []byte
	for i := range e.r.Items {
		it := &e.r.Items[i]
		if it.Kind != llm.ItemMessage || (it.Role == llm.System) != (name == "system") {
			continue
		}
		for k := range it.Blocks {
			switch bl := &it.Blocks[k]; bl.Kind {
			case llm.BlockImage:
				pictures = e.image(pictures, bl, it.Path)
			default:
				said = append(said, bl.Text...)
			}
		}
	}
	switch {
	case name == "images":
		if len(pictures) > 0 {
			e.o.Raw(name, append(pictures, ']'))
		} else if raw != nil {
			e.o.Raw(name, raw)
		}
	case len(said) > 0 || name == "prompt":
		e.o.Name(name)
		e.o.B = span.Quote(e.o.B, said)
	case raw != nil:
		e.o.Raw(name, raw)
	}
}

func (e *requestEncoder) format(raw jsontext.Value) {
	f := e.r.Format
	switch f.Kind {
	case llm.FormatJSONSchema:
		if !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "response_format", "the model cannot keep to a JSON Schema")
			return
		}
		if span.IsObject(f.Schema) {
			e.o.Raw("format", f.Schema)
			return
		}
		e.o.Str("format", "json")
	case llm.FormatJSONObject:
		if !e.c.Can(llm.JSONObject) && !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "response_format", "the model cannot promise JSON")
			return
		}
		e.o.Str("format", "json")
	default:
		if raw != nil {
			e.o.Raw("format", raw)
		}
	}
}

// noSchema is what a tool without parameters is given.
const noSchema = `{"type":"object","properties":{}}`

// customSchema is how a tool of free text is offered.
const customSchema = `{"type":"object","properties":{"input":{"type":"string","description":"the whole input, as plain text"}},"required":["input"]}`

func (e *requestEncoder) tools(raw jsontext.Value) {
	choice := &e.r.Choice
	if choice.Mode == llm.ToolAny || choice.Mode == llm.ToolOnly || choice.Forced {
		e.Lose(llm.LossRefuse, "tool_choice", "Ollama cannot be made to call a tool")
		return
	}
	if len(e.r.Tools) == 0 {
		if raw != nil {
			e.o.Raw("tools", raw)
		}
		return
	}
	if !e.c.Can(llm.Tools) {
		e.Lose(llm.LossRefuse, "tools", "the model takes no tools")
		return
	}
	if most := e.c.MaxTools; most > 0 && !e.own && len(e.r.Tools) > most {
		e.Lose(llm.LossRefuse, "tools", "the provider takes at most %d tools, not %d", most, len(e.r.Tools))
		return
	}
	if choice.Mode == llm.ToolNone {
		return // there is no other way to say so
	}
	b, n := []byte{'['}, 0
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if choice.Mode == llm.ToolSubset && !among(choice.Names, t.Name) {
			continue
		}
		if n > 0 {
			b = append(b, ',')
		}
		mark := len(b)
		if b = e.tool(b, i, t); len(b) > mark {
			n++
		} else if n > 0 {
			b = b[:mark-1]
		}
	}
	if n > 0 {
		e.o.Raw("tools", append(b, ']'))
	}
	if p := e.r.ParallelCalls; p != nil && !*p {
		e.Lose(llm.LossWarn, "parallel_tool_calls", "dropped: Ollama takes no such wish")
	}
}

func among(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func (e *requestEncoder) tool(b []byte, i int, t *llm.Tool) []byte {
	path := "tools." + strconv.Itoa(i)
	if t.From == llm.Ollama && len(t.Raw) > 0 {
		return append(b, t.Raw...)
	}
	custom := t.Type == "custom" && t.From != llm.Anthropic
	if t.Type != "" && t.Type != "custom" {
		e.Lose(llm.LossRefuse, path, "Ollama has no tool of type %q", t.Type)
		return b
	}
	for _, m := range t.Ext {
		if !span.IsNull(m.Value) {
			e.LoseOnce(llm.LossWarn, "tool:"+m.Name, path+"."+m.Name, "dropped: Ollama has no such member")
		}
	}
	o := span.Open(b)
	o.Str("type", "function")
	o.Name("function")
	f := span.Open(o.B)
	f.Str("name", t.Name)
	if t.Description != "" {
		f.Str("description", t.Description)
	}
	switch {
	case custom:
		f.Raw("parameters", []byte(customSchema))
		if e.customs == nil {
			e.customs = map[string]bool{}
		}
		e.customs[t.Name] = true
	case span.IsObject(t.Schema) && string(t.Schema) != "{}":
		f.Raw("parameters", t.Schema)
		if lost := lostKeyword(t.Schema); lost != "" {
			e.Lose(llm.LossWarn, path, "the tool %s: Ollama loses %q of its schema", t.Name, lost)
		}
	default:
		f.Raw("parameters", []byte(noSchema))
	}
	if t.Strict != nil && *t.Strict {
		e.LoseOnce(llm.LossWarn, "strict", path+".strict", "dropped: Ollama has no strict tools")
	}
	o.B = f.Close()
	return o.Close()
}

// options writes the options object: first those that were spelled, then what
// the words add.
func (e *requestEncoder) options(raw jsontext.Value) {
	r := e.r
	o := span.Open(nil)
	had := func(name string) bool { return span.Field(raw, name) != nil }
	for k, v := range span.Fields(raw) {
		switch name := string(k); name {
		case "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "num_predict", "stop":
			e.option(&o, name, v)
		default:
			o.Raw(name, v)
		}
	}
	for _, name := range []string{"num_predict", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop"} {
		if !had(name) {
			e.option(&o, name, nil)
		}
	}
	if e.own {
		for _, m := range r.Ext {
			if name, ok := strings.CutPrefix(m.Name, "options."); ok && !had(name) {
				o.Raw(name, m.Value)
			}
		}
	} else if n := e.window(); n > 0 {
		o.Int("num_ctx", n)
	}
	switch {
	case o.Some():
		e.o.Raw("options", o.Close())
	case raw != nil:
		e.o.Raw("options", raw)
	}
}

// option writes one option that is a word of ours; raw is how it was spelled.
func (e *requestEncoder) option(o *span.Object, name string, raw jsontext.Value) {
	r := e.r
	var v jsontext.Value
	switch name {
	case "num_predict":
		if r.MaxTokens == nil {
			break
		}
		n := *r.MaxTokens
		if n == 0 && !e.own {
			e.Lose(llm.LossRefuse, "max_tokens", "an answer of no tokens cannot be asked for from Ollama")
			return
		}
		if most := e.c.MaxOutput; most > 0 && n > most && !e.own {
			e.Lose(llm.LossWarn, "max_tokens", "lowered to %d: the model gives no more", most)
			n = most
		}
		if spelled, ok := span.Integer(raw); ok && spelled == n {
			break
		}
		o.Int(name, n)
		return
	case "stop":
		if len(r.Stop) == 0 {
			break
		}
		if !e.c.Can(llm.StopSequences) {
			e.Lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
			return
		}
		o.Name(name)
		o.B = append(o.B, '[')
		for i, s := range r.Stop {
			if i > 0 {
				o.B = append(o.B, ',')
			}
			o.B = span.Quote(o.B, s)
		}
		o.B = append(o.B, ']')
		return
	case "temperature":
		v = r.Sampling.Temperature
	case "top_p":
		v = r.Sampling.TopP
	case "top_k":
		v = r.Sampling.TopK
	case "frequency_penalty":
		v = r.Sampling.FrequencyPenalty
	case "presence_penalty":
		v = r.Sampling.PresencePenalty
	case "seed":
		v = r.Sampling.Seed
	}
	need := llm.SamplingParams
	if name == "seed" {
		need = llm.Seed
	}
	switch {
	case len(v) > 0 && !span.IsNull(v):
		if (name != "num_predict") && !e.c.Can(need) {
			e.Lose(llm.LossWarn, name, "dropped: the model refuses it")
			return
		}
		o.Raw(name, v)
	case raw != nil:
		o.Raw(name, raw)
	}
}

// leastWindow is the smallest num_ctx that is asked for: Ollama's own default
// on small machines. A window that differs from request to request would make
// Ollama load the model anew each time, so it grows by doubling.
const leastWindow = 4096

// unsaidOutput is the room for an answer whose length nobody has capped.
const unsaidOutput = 4096

// pictureTokens is about what a picture takes; models of Ollama spend 256 to
// some thousands.
const pictureTokens = 1024

// window is the num_ctx of a request that is written for a client which knows
// nothing of it: without it Ollama takes its default, which may be 4,096, and
// cuts the prompt without a word. The prompt is taken to have a token for
// every three bytes of what has been written, which is more than most models
// need and costs nothing to know.
func (e *requestEncoder) window() int64 {
	need := int64(len(e.o.B)-e.pixels)/3 + int64(e.pictures)*pictureTokens
	if n := e.r.MaxTokens; n != nil {
		need += min(*n, 1<<40)
	} else {
		need += unsaidOutput
	}
	n := int64(leastWindow)
	for n < need {
		n *= 2
	}
	if w := e.c.Window; w > 0 && n > w {
		n = w
	}
	return n
}

// refused are members of other dialects that change what the answer is: they
// cannot be left out in silence.
var refused = map[string]string{
	"logprobs":             "Ollama tells log probabilities in a form of its own",
	"top_logprobs":         "Ollama tells log probabilities in a form of its own",
	"audio":                "Ollama makes no sound",
	"web_search_options":   "Ollama has no such search",
	"previous_response_id": "Ollama keeps no state",
	"conversation":         "Ollama keeps no state",
	"mcp_servers":          "Ollama has no equal of it",
	"container":            "Ollama has no equal of it",
	"fallbacks":            "Ollama has no equal of it",
	"tool_choice":          "of a form that Ollama does not have",
	"output_config.format": "of a form that Ollama does not have",
}

// silent are members that only steer a cache or the wire of their own dialect.
// functions and function_call are the old form of tools, which are words.
var silent = map[string]bool{
	"prompt_cache_key": true, "prompt_cache_options": true, "prompt_cache_retention": true,
	"stream_options": true, "cache_control": true, "anthropic_version": true, "functions": true, "function_call": true,
}

// foreign tells what becomes of what only another dialect knows.
func (e *requestEncoder) foreign() {
	r := e.r
	for _, m := range r.Ext {
		v := string(bytes.TrimSpace(m.Value))
		switch why, not := refused[m.Name]; {
		case span.IsNull(m.Value) || v == "[]" || v == "{}" || v == `""` || silent[m.Name]:
		case m.Name == "modalities":
			if strings.Contains(v, `"audio"`) {
				e.Lose(llm.LossRefuse, m.Name, "Ollama makes no sound")
			}
		case m.Name == "output_format":
			if r.Format.Kind == "" {
				e.Lose(llm.LossRefuse, m.Name, "of a form that Ollama does not have")
			}
		case m.Name == "context_management" && strings.Contains(v, `"compact_`):
			e.Lose(llm.LossRefuse, m.Name, "compaction is asked for and Ollama cannot do it")
		case not:
			if v != "false" && v != "0" {
				e.Lose(llm.LossRefuse, m.Name, "%s", why)
			}
		default:
			e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, "dropped: Ollama has no such member")
		}
	}
	if r.N > 1 {
		e.Lose(llm.LossRefuse, "n", "Ollama gives one answer")
	}
	if r.EndUser != "" {
		e.Lose(llm.LossWarn, "user", "dropped: Ollama has no such member")
	}
	if t := r.ServiceTier; t != "" && t != "auto" && t != "default" && t != "standard_only" {
		e.Lose(llm.LossWarn, "service_tier", "dropped: Ollama has no tiers")
	}
}
