package responses

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// EncodeRequest writes a request for one target. What came from this dialect
// goes back as it was spelled, but for what the target's capability refuses;
// from other dialects the words are translated, and Losses says what could not
// be. The bytes of a longer conversation begin with those of a shorter one up
// to the end of its items, which come last: prompt caches live on that.
func (Codec) EncodeRequest(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error) {
	return encodeRequest(r, model, c, canonical), nil
}

// EncodeCount writes the request of POST /v1/responses/input_tokens: what of a
// request makes its prompt.
func (Codec) EncodeCount(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error) {
	return encodeRequest(r, model, c, counted), nil
}

func encodeRequest(r *llm.Request, model string, c *llm.Capability, order []string) llm.Encoded {
	e := requestEncoder{r: r, c: c, own: r.From == llm.Responses, model: model, order: order}
	if e.own {
		e.spelled = map[string]jsontext.Value{}
		for k, v := range span.Fields(r.Raw) {
			e.spelled[string(k)] = v
		}
	}
	e.plan()
	e.o = span.Open(make([]byte, 0, 1024+len(r.Raw)+len(r.Raw)/8))
	e.write()
	return llm.Encoded{Body: [][]byte{e.o.Close()}, Losses: e.Losses.All, Names: e.restore}
}

type requestEncoder struct {
	r       *llm.Request
	c       *llm.Capability
	own     bool
	model   string
	order   []string
	spelled map[string]jsontext.Value // the members of r.Raw
	o       span.Object
	llm.Losses
	restore map[string]string // tool names on the wire -> the client's
	wire    map[string]string // the client's tool names -> on the wire
	customs map[string]bool   // ids of calls with free text
	// unanswered holds the calls that no result answers: their items by id.
	unanswered map[string][]int

	effort string // "" leaves it out
	first  int    // the first item that is not in instructions
}

const noMember = "dropped: Responses has no such member"

// dropped tells of members of another dialect that this one has no word for.
func (e *requestEncoder) dropped(path string, ext []llm.Member) {
	for _, m := range ext {
		switch {
		case span.IsNull(m.Value): // says nothing
		case m.Name == "caller":
			if t := span.Text(span.Field(m.Value, "type")); t != "" && t != "direct" {
				e.Lose(llm.LossRefuse, forms.Join(path, m.Name), "Responses cannot take the programmatic calls of another dialect")
			}
		case m.Name == "citations":
			if span.Kind(span.Field(m.Value, "enabled")) == 't' {
				e.Lose(llm.LossRefuse, forms.Join(path, m.Name), "Responses cannot cite documents in Anthropic's way")
			}
		default:
			e.LoseOnce(llm.LossWarn, "ext:"+m.Name, forms.Join(path, m.Name), noMember)
		}
	}
}

// plan decides what several members depend on.
func (e *requestEncoder) plan() {
	e.planEffort()
	e.planNames()
	for i := range e.r.Items {
		if it := &e.r.Items[i]; it.Kind == llm.ItemToolCall && it.Call.Custom {
			if e.customs == nil {
				e.customs = map[string]bool{}
			}
			e.customs[it.Call.ID] = true
		}
	}
	if e.own {
		return
	}
	// Leading instructions of plain text go into the member of that name.
	items := e.r.Items
	for e.first < len(items) && plainInstruction(&items[e.first]) {
		e.first++
	}
}

func plainInstruction(it *llm.Item) bool {
	return it.Kind == llm.ItemMessage && (it.Role == llm.System || it.Role == llm.Developer) &&
		!slices.ContainsFunc(it.Blocks, func(b llm.Block) bool { return b.Kind != llm.BlockText })
}

func (e *requestEncoder) planEffort() {
	rs := e.r.Reasoning
	want, path := rs.Effort, "reasoning.effort"
	if !e.own {
		path = "reasoning_effort"
		if e.r.From == llm.Anthropic {
			path = "thinking"
		}
		switch {
		case rs.Mode == llm.ThinkOff:
			want = "none"
		case want == "" && rs.Budget > 0:
			want = llm.EffortOf(rs.Budget)
		}
		if rs.Mode == llm.ThinkBetweenTools {
			e.Lose(llm.LossWarn, "thinking.type", "dropped: between_tools has no equal here")
		}
	}
	got, warn := fitEffort(want, e.c)
	if want == "none" && !e.own && got == "" {
		warn = "" // a model that does not think needs no word for it
		if e.c.Known && e.c.ThinksByDefault {
			warn = "dropped: thinking of this model cannot be turned off"
		}
	}
	if warn != "" {
		e.Lose(llm.LossWarn, path, "%s", warn)
	}
	e.effort = got
}

// fitEffort gives the effort to send to a target, "" for none at all, and what
// the client must be told. Unlike Chat Completions this wire takes tools at
// every effort.
func fitEffort(want string, c *llm.Capability) (got, warn string) {
	got, exact := c.Effort(want)
	switch {
	case exact:
	case got == "":
		warn = "dropped: the model takes no effort"
	default:
		warn = fmt.Sprintf("approximated: %s instead of %s", got, want)
	}
	return got, warn
}

// sampling says whether sampling values may be sent: a model that reasons
// refuses them.
func sampling(c *llm.Capability, effort string) bool {
	return c.Can(llm.SamplingParams) || effort == "none"
}

// planNames maps tool names that the wire does not take, stably: the same name
// gives the same wire name in every request.
func (e *requestEncoder) planNames() {
	if e.own {
		return // the client chose names for this wire
	}
	note := func(name string) {
		w := toolName(name)
		if w == name {
			return
		}
		if e.wire == nil {
			e.wire, e.restore = map[string]string{}, map[string]string{}
		}
		e.wire[name], e.restore[w] = w, name
	}
	for i := range e.r.Tools {
		note(e.r.Tools[i].Name)
	}
	for i := range e.r.Items {
		if e.r.Items[i].Kind == llm.ItemToolCall {
			note(e.r.Items[i].Call.Name)
		}
	}
}

// maxToolName is what OpenAI takes here since 2026 (openapi.yaml, 2026-08);
// compatible servers and older snapshots stop at 64, which is what we write.
const maxToolName = 64

// maxCallID is the longest call_id (openapi.yaml, 2026-08).
const maxCallID = 64

// toolName gives name itself when it fits OpenAI's rule, else its legal
// beginning and a hash of the whole.
func toolName(name string) string {
	legal := name != "" && len(name) <= maxToolName
	clean := make([]byte, 0, maxToolName)
	for i := 0; i < len(name); i++ {
		ch := name[i]
		if ch == '_' || ch == '-' || ch >= '0' && ch <= '9' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z' {
			clean = append(clean, ch)
		} else {
			legal = false
			clean = append(clean, '_')
		}
	}
	if legal {
		return name
	}
	if len(clean) > maxToolName-11 {
		clean = clean[:maxToolName-11]
	}
	return string(clean) + "_" + hashOf(name, 10)
}

func (e *requestEncoder) toolName(name string) string {
	if w, ok := e.wire[name]; ok {
		return w
	}
	return name
}

// callID gives the id of a call as the wire takes it: the same for the call
// and its result, in this turn and in every later one.
func (e *requestEncoder) callID(id string) string {
	if id != "" && len(id) <= maxCallID || e.own {
		return id
	}
	return "call_" + hashOf(id, 32)
}

// canonical is the order of members for requests that were written in another
// dialect. Everything that stays the same from turn to turn comes before the
// input.
var canonical = []string{"model", "stream", "store", "include", "max_output_tokens", "temperature", "top_p",
	"top_k", "frequency_penalty", "presence_penalty", "seed", "stop", "n", "reasoning", "text", "safety_identifier",
	"service_tier", "metadata", "prompt_cache_key", "prompt_cache_retention", "tools", "tool_choice",
	"parallel_tool_calls", "instructions", "input"}

// counted are the members that the counting endpoint takes (openai-go v3.96.0
// InputTokenCountParams).
var counted = []string{"model", "reasoning", "text", "tools", "tool_choice", "parallel_tool_calls", "instructions",
	"previous_response_id", "conversation", "truncation", "input"}

func (e *requestEncoder) counting() bool { return len(e.order) == len(counted) }

func (e *requestEncoder) write() {
	wrote := map[string]bool{}
	if e.own {
		for k := range span.Fields(e.r.Raw) {
			name := string(k)
			if !wrote[name] && (!e.counting() || slices.Contains(counted, name)) {
				wrote[name] = true
				e.member(name)
			}
		}
	}
	for _, name := range e.order {
		if name == "safety_identifier" && wrote["user"] {
			continue
		}
		if !wrote[name] {
			wrote[name] = true
			e.member(name)
		}
	}
	if e.counting() {
		return // what is not counted is no loss
	}
	for _, m := range e.r.Ext {
		switch {
		case !e.own:
			e.foreign(m)
		case !wrote[m.Name] && !strings.Contains(m.Name, "."):
			wrote[m.Name] = true
			e.o.Raw(m.Name, m.Value)
		}
	}
}

// ext gives a member of Request.Ext, or nil.
func (e *requestEncoder) ext(name string) jsontext.Value {
	for i := range e.r.Ext {
		if e.r.Ext[i].Name == name {
			return e.r.Ext[i].Value
		}
	}
	return nil
}

// chat are members of Chat Completions that change what the answer is and that
// this dialect has not, with the values that ask for nothing.
var chat = map[string]string{
	"logprobs": "log probabilities are told in another form here", "top_logprobs": "log probabilities are told in another form here",
	"audio": "Responses makes no sound", "prediction": "Responses takes no prediction",
	"web_search_options": "Responses searches with a tool", "function_call": "the old form of tool_choice",
}

// foreign tells what becomes of a member that only another dialect knows.
func (e *requestEncoder) foreign(m llm.Member) {
	if span.IsNull(m.Value) || span.Blank(m.Value) {
		return
	}
	if why, ok := chat[m.Name]; ok {
		if v := string(m.Value); v != "false" && v != "0" && v != `"none"` && v != `"auto"` {
			e.Lose(llm.LossRefuse, m.Name, "%s", why)
		}
		return
	}
	switch m.Name {
	case "metadata", "prompt_cache_key", "prompt_cache_retention", "verbosity", "store":
		if e.r.From == llm.OpenAI {
			return // written at their places
		}
		e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, noMember)
	case "functions": // read into tools
	case "anthropic_version": // the wire's own business
	case "output_format": // the older name of output_config.format
		if e.r.Format.Kind == "" {
			e.Lose(llm.LossRefuse, m.Name, "of a form that Responses does not have")
		}
	case "modalities":
		if bytes.Contains(m.Value, []byte(`"audio"`)) {
			e.Lose(llm.LossRefuse, m.Name, "Responses makes no sound")
		}
	case "tool_choice", "output_config.format", "response_format.type":
		e.Lose(llm.LossRefuse, m.Name, "of a form that Responses does not have")
	case "cache_control", "prompt_cache_options", "stream_options":
		// An automatic cache does without.
	case "logit_bias":
		e.Lose(llm.LossWarn, m.Name, noMember)
	case "context_management":
		if bytes.Contains(m.Value, []byte(`"compact_`)) {
			e.Lose(llm.LossRefuse, m.Name, "compaction is asked for in another dialect's way")
			return
		}
		e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, "dropped: Responses does not edit contexts in this way")
	case "mcp_servers", "container", "fallbacks":
		e.Lose(llm.LossRefuse, m.Name, "Responses has no equal of it")
	default:
		e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, noMember)
	}
}

// member writes one top-level member, or nothing when it is unsaid.
func (e *requestEncoder) member(name string) {
	r, o := e.r, &e.o
	raw, spelled := e.spelled[name]
	if spelled && span.IsNull(raw) && !(name == "reasoning" && e.effort != "") {
		o.Raw(name, raw)
		return
	}
	switch name {
	case "model":
		o.Str(name, e.model)
	case "input":
		e.input(raw)
	case "instructions":
		e.instructions()
	case "stream":
		if spelled && !r.Stream {
			o.Raw(name, raw)
		} else if r.Stream {
			o.Bool(name, true)
		}
	case "store":
		switch v := e.ext(name); {
		case spelled:
			o.Raw(name, raw)
		case e.own && v != nil:
			o.Raw(name, v)
		case e.own: // as the client left it
		case r.From == llm.OpenAI && span.Kind(v) == 't':
			o.Bool(name, true)
		default:
			// Nothing is to stay at the provider that the client did not ask for.
			o.Bool(name, false)
		}
	case "include":
		switch v := e.ext(name); {
		case spelled:
			o.Raw(name, raw)
		case e.own && v != nil:
			o.Raw(name, v)
		case e.own:
		case e.c.Can(llm.Thinking):
			// Without it a thought of an answer that is not stored cannot come back.
			o.Raw(name, []byte(`["reasoning.encrypted_content"]`))
		}
	case "max_output_tokens":
		e.maximum()
	case "temperature":
		e.sample(name, r.Sampling.Temperature, 1, sampling(e.c, e.effort))
	case "top_p":
		e.sample(name, r.Sampling.TopP, 1, sampling(e.c, e.effort))
	case "top_k":
		e.sample(name, r.Sampling.TopK, -1, false)
	case "frequency_penalty":
		e.sample(name, r.Sampling.FrequencyPenalty, 0, spelled && sampling(e.c, e.effort) && !e.c.Closed)
	case "presence_penalty":
		e.sample(name, r.Sampling.PresencePenalty, 0, spelled && sampling(e.c, e.effort) && !e.c.Closed)
	case "seed":
		e.sample(name, r.Sampling.Seed, -1, false)
	case "stop":
		if len(r.Stop) > 0 {
			e.Lose(llm.LossRefuse, name, "Responses takes no stop sequences")
		}
	case "n":
		if r.N > 1 {
			e.Lose(llm.LossRefuse, name, "Responses gives one answer")
		}
	case "reasoning":
		e.reasoning(raw)
	case "text":
		e.text(raw)
	case "user", "safety_identifier":
		e.endUser(name, raw)
	case "service_tier":
		e.tier(raw)
	case "metadata", "prompt_cache_key", "prompt_cache_retention":
		switch v := e.ext(name); {
		case spelled:
			o.Raw(name, raw)
		case span.IsNull(v) || !e.own && r.From != llm.OpenAI:
		case e.c.Closed:
			if !e.own {
				e.Lose(llm.LossWarn, name, "dropped: the provider takes no such member")
			}
		default:
			o.Raw(name, v)
		}
	case "tools":
		e.tools(raw)
	case "tool_choice":
		e.choice(raw)
	case "parallel_tool_calls":
		e.parallel(raw)
	default: // only from our own dialect: carried
		if spelled {
			o.Raw(name, raw)
		} else if v := e.ext(name); v != nil && e.own {
			o.Raw(name, v)
		}
	}
}

// sample writes a sampling value, or tells that it is left out; its own
// default is left out without a word.
func (e *requestEncoder) sample(name string, v jsontext.Value, normal float64, allowed bool) {
	if len(v) == 0 {
		return
	}
	if allowed {
		e.o.Raw(name, v)
		return
	}
	if f, ok := span.Number(v); ok && f == normal {
		return
	}
	why := "dropped: the model refuses it"
	if name != "temperature" && name != "top_p" {
		why = noMember
	}
	e.Lose(llm.LossWarn, name, "%s", why)
}

// minOutput is the smallest output cap that OpenAI takes here (recorded: less
// is refused with integer_below_min_value).
const minOutput = 16

func (e *requestEncoder) maximum() {
	if e.r.MaxTokens == nil {
		return
	}
	n := *e.r.MaxTokens
	if !e.own {
		switch most := e.c.MaxOutput; {
		case n == 0:
			e.Lose(llm.LossRefuse, "max_tokens", "an answer of no tokens cannot be asked for on Responses")
			return
		case most > 0 && n > most:
			e.Lose(llm.LossWarn, "max_tokens", "lowered to %d: the model gives no more", most)
			n = most
		case n < minOutput:
			e.Lose(llm.LossWarn, "max_tokens", "raised to %d: Responses takes no less", minOutput)
			n = minOutput
		}
	}
	e.o.Int("max_output_tokens", n)
}

// shows says that the client asked to see the thinking.
func (e *requestEncoder) shows() bool {
	rs := e.r.Reasoning
	if rs.Display != "" {
		return rs.Display == "summarized"
	}
	return rs.Mode == llm.ThinkOn || rs.Mode == llm.ThinkAdaptive || rs.Mode == llm.ThinkBetweenTools
}

func (e *requestEncoder) reasoning(raw jsontext.Value) {
	if e.own {
		var inner span.Object
		open := func() {
			if inner.B == nil {
				e.o.Name("reasoning")
				inner = span.Open(e.o.B)
			}
		}
		effort, summary := false, false
		for k, v := range span.Fields(raw) {
			name := string(k)
			if name == "effort" && !span.IsNull(v) {
				if effort = true; e.effort == "" {
					continue
				}
				v = span.Quote(nil, e.effort)
			}
			summary = summary || name == "summary" || name == "generate_summary"
			open()
			inner.Raw(name, v)
		}
		if e.effort != "" && !effort {
			open()
			inner.Str("effort", e.effort)
		}
		if raw == nil {
			for _, m := range e.r.Ext {
				if name, ok := strings.CutPrefix(m.Name, "reasoning."); ok && !strings.Contains(name, ".") {
					summary = summary || name == "summary" || name == "generate_summary"
					open()
					inner.Raw(name, m.Value)
				}
			}
			if e.r.Reasoning.Display == "summarized" && !summary {
				open()
				inner.Str("summary", "auto")
			}
		}
		switch {
		case inner.B != nil:
			e.o.B = inner.Close()
		case raw != nil && !effort:
			e.o.Raw("reasoning", raw) // {}
		}
		return
	}
	// A summary is asked for where the model is known to think, or the client
	// says so: a model that does not think refuses the member.
	summary := e.shows() && e.effort != "none" && e.c.Can(llm.Thinking)
	if e.effort == "" && !summary {
		return
	}
	e.o.Name("reasoning")
	o := span.Open(e.o.B)
	if e.effort != "" {
		o.Str("effort", e.effort)
	}
	if summary {
		o.Str("summary", "auto")
	}
	e.o.B = o.Close()
}

func (e *requestEncoder) text(raw jsontext.Value) {
	f := e.r.Format
	switch f.Kind {
	case llm.FormatJSONSchema:
		if !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "text.format", "the model cannot keep to a JSON Schema")
			return
		}
	case llm.FormatJSONObject:
		if !e.c.Can(llm.JSONObject) && !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "text.format", "the model cannot promise JSON")
			return
		}
	}
	if raw != nil {
		e.o.Raw("text", raw)
		return
	}
	verbosity := e.ext("verbosity")
	if e.own {
		verbosity = e.ext("text.verbosity")
	} else if e.r.From != llm.OpenAI {
		verbosity = nil
	}
	odd := jsontext.Value(nil)
	if e.own {
		odd = e.ext("text.format") // of a kind that we have no word for
	}
	if f.Kind == "" && span.IsNull(verbosity) && odd == nil {
		return
	}
	e.o.Name("text")
	o := span.Open(e.o.B)
	switch {
	case odd != nil:
		o.Raw("format", odd)
	case f.Kind == llm.FormatText || f.Kind == llm.FormatJSONObject:
		o.Name("format")
		t := span.Open(o.B)
		t.Str("type", string(f.Kind))
		o.B = t.Close()
	case f.Kind == llm.FormatJSONSchema:
		o.Name("format")
		s := span.Open(o.B)
		s.Str("type", "json_schema")
		s.Str("name", toolName(cmp.Or(f.Name, "response"))) // the same rule as for tools
		if f.Description != "" {
			s.Str("description", f.Description)
		}
		if len(f.Schema) > 0 {
			s.Raw("schema", f.Schema)
		} else {
			s.Raw("schema", []byte(`{"type":"object"}`))
		}
		switch {
		case f.Strict != nil:
			s.Bool("strict", *f.Strict)
		case !e.own:
			// Left out it would mean "try"; only what the strict mode takes is
			// sent to it, for clients whose own dialect keeps to the schema.
			s.Bool("strict", e.r.From == llm.Anthropic && e.c.Known && e.c.Has&llm.StrictTools != 0 && forms.ClosedSchema(f.Schema))
		}
		o.B = s.Close()
	}
	if !span.IsNull(verbosity) {
		o.Raw("verbosity", verbosity)
	}
	e.o.B = o.Close()
}

func (e *requestEncoder) endUser(name string, raw jsontext.Value) {
	if raw != nil {
		e.o.Raw(name, raw)
		return
	}
	id := e.r.EndUser
	if id == "" || name == "user" {
		return
	}
	if e.c.Closed {
		e.Lose(llm.LossWarn, "metadata.user_id", "dropped: the provider takes no such member")
		return
	}
	// safety_identifier holds 64 characters; Claude Code's id is a JSON text.
	if len(id) > 64 {
		id = hashOf(id, 64)
	}
	e.o.Str("safety_identifier", id)
}

func (e *requestEncoder) tier(raw jsontext.Value) {
	if raw != nil {
		e.o.Raw("service_tier", raw)
		return
	}
	switch t := e.r.ServiceTier; {
	case t == "":
	case e.own || e.r.From == llm.OpenAI:
		e.o.Str("service_tier", t)
	case t == "auto":
	case t == "priority" || t == "flex":
		e.o.Str("service_tier", t)
	case t == "standard_only" && e.c.Known && e.c.Can(llm.DeveloperRole): // OpenAI's own models
		e.o.Str("service_tier", "default")
	default:
		e.Lose(llm.LossWarn, "service_tier", "dropped: Responses has no tier %q", t)
	}
}

// noSchema is what a tool without parameters is given: the member is required.
const noSchema = `{"type":"object","properties":{}}`

func (e *requestEncoder) tools(raw jsontext.Value) {
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
	b, n := []byte{'['}, 0
	for i := range e.r.Tools {
		mark := len(b)
		if n > 0 {
			b = append(b, ',')
		}
		from := len(b)
		if b = e.tool(b, i, &e.r.Tools[i]); len(b) > from {
			n++
		} else {
			b = b[:mark]
		}
	}
	if n > 0 {
		e.o.Raw("tools", append(b, ']'))
	}
}

func (e *requestEncoder) tool(b []byte, i int, t *llm.Tool) []byte {
	path := "tools." + strconv.Itoa(i)
	own := t.From == llm.Responses
	if own && len(t.Raw) > 0 {
		return append(b, t.Raw...)
	}
	if t.Type != "" && t.Type != "custom" {
		e.Lose(llm.LossRefuse, path, "Responses has no tool of type %q", t.Type)
		return b
	}
	// Anthropic's plain functions may say that they are of type custom.
	custom := t.Type == "custom" && t.From != llm.Anthropic
	o := span.Open(b)
	if custom {
		o.Str("type", "custom")
	} else {
		o.Str("type", "function")
	}
	o.Str("name", e.toolName(t.Name))
	if t.Description != "" {
		o.Str("description", t.Description)
	}
	if custom {
		if f := span.At(t.Raw, "custom", "format"); !own && !span.IsNull(f) {
			o.Name("format")
			o.B = flatFormat(o.B, f)
		}
	} else {
		if len(t.Schema) > 0 && string(t.Schema) != "{}" {
			o.Raw("parameters", t.Schema)
		} else {
			o.Raw("parameters", []byte(noSchema))
		}
		switch {
		case t.Strict == nil:
			// Unsaid it means "no" in every other dialect and "try" in this one.
			if !own {
				o.Bool("strict", false)
			}
		case *t.Strict && !e.c.Can(llm.StrictTools):
			e.LoseOnce(llm.LossWarn, "strict", path+".strict", "dropped: the model has no strict tools")
			o.Bool("strict", false)
		default:
			o.Bool("strict", *t.Strict)
		}
	}
	if own {
		for _, m := range t.Ext {
			o.Raw(m.Name, m.Value)
		}
	} else {
		e.dropped(path, t.Ext)
	}
	return o.Close()
}

// flatFormat writes the format of a free-text tool, whose grammar Chat
// Completions nests one level deeper.
func flatFormat(b []byte, f jsontext.Value) []byte {
	o := span.Open(b)
	for k, v := range span.Fields(f) {
		if string(k) != "grammar" {
			o.Raw(string(k), v)
			continue
		}
		for k, v := range span.Fields(v) {
			o.Raw(string(k), v)
		}
	}
	return o.Close()
}

func (e *requestEncoder) choice(raw jsontext.Value) {
	c := e.r.Choice
	forced := c.Mode == llm.ToolAny || c.Mode == llm.ToolOnly || c.Forced
	if forced && !e.c.Can(llm.ForcedTool) {
		e.Lose(llm.LossRefuse, "tool_choice", "the model cannot be forced to call a tool")
		return
	}
	if raw != nil {
		e.o.Raw("tool_choice", raw)
		return
	}
	if v := e.ext("tool_choice"); e.own && v != nil {
		e.o.Raw("tool_choice", v)
		return
	}
	if len(e.r.Tools) == 0 {
		return // a choice without tools is refused by this wire
	}
	switch c.Mode {
	case llm.ToolAuto:
		e.o.Str("tool_choice", "auto")
	case llm.ToolNone:
		e.o.Str("tool_choice", "none")
	case llm.ToolAny:
		e.o.Str("tool_choice", "required")
	case llm.ToolOnly:
		e.o.Name("tool_choice")
		e.o.B = e.namedTool(e.o.B, c.Name)
	case llm.ToolSubset:
		e.o.Name("tool_choice")
		o := span.Open(e.o.B)
		o.Str("type", "allowed_tools")
		if c.Forced {
			o.Str("mode", "required")
		} else {
			o.Str("mode", "auto")
		}
		o.Name("tools")
		o.B = append(o.B, '[')
		for i, n := range c.Names {
			if i > 0 {
				o.B = append(o.B, ',')
			}
			o.B = e.namedTool(o.B, n)
		}
		o.B = append(o.B, ']')
		e.o.B = o.Close()
	}
}

func (e *requestEncoder) namedTool(b []byte, name string) []byte {
	kind := "function"
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; t.Name == name && t.Type == "custom" && t.From != llm.Anthropic {
			kind = "custom"
		}
	}
	o := span.Open(b)
	o.Str("type", kind)
	appendName(&o, e.toolName(name))
	return o.Close()
}

func (e *requestEncoder) parallel(raw jsontext.Value) {
	p := e.r.ParallelCalls
	if p == nil {
		if raw != nil {
			e.o.Raw("parallel_tool_calls", raw)
		}
		return
	}
	if len(e.r.Tools) == 0 && !e.own {
		return
	}
	switch {
	case e.c.Can(llm.ParallelTools):
		e.o.Bool("parallel_tool_calls", *p)
	case !*p:
		e.Lose(llm.LossWarn, "parallel_tool_calls", "dropped: the model takes no such wish")
	}
}
