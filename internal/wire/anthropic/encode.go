package anthropic

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// The API versions (claude-api 1.1, 2026-11).
const (
	versionOld = "2023-06-01"
	versionNew = "2026-10-21"
)

// fallbackMaxTokens is sent when neither the client nor the catalogue says a
// cap: the API wants one, and a small one would cut answers in silence.
const fallbackMaxTokens = 32000

// EncodeRequest writes a request for a Messages provider. Words of this
// dialect go back exactly as they came (run Head and Patch with EditReshape
// over the result to fit them to a model); words of another dialect are fitted
// to c. The members stand in a fixed order with the messages last, and the
// same words give the same bytes, so that the next turn of a conversation
// begins with the bytes of this one. A loss of kind LossRefuse names what the
// target cannot say; the body is then still the nearest that it can.
func (Codec) EncodeRequest(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error) {
	if r.From == llm.Anthropic {
		return encodeOwn(r, model), nil
	}
	if c == nil {
		c = &llm.Capability{}
	}
	w := requestWriter{c: c}
	w.r, w.Losses.All = llm.Plain(r)
	return w.encode(model), nil
}

type requestWriter struct {
	r *llm.Request
	c *llm.Capability
	llm.Losses
	names map[string]string // wire name to the client's
	// customs are the wire names of custom tools that became functions.
	customs map[string]bool
	turns   []turn
	// calls are those of the last assistant turn, in order.
	calls []pending
	// used counts how often a call id stood in the conversation.
	used map[string]int
}

// turn is one message on the wire.
type turn struct {
	role string
	// results stand first, in the order of the calls; blocks come after.
	results, blocks [][]byte
	// plain is the text when the turn is one bare text.
	plain   string
	isPlain bool
}

// pending is a call that waits for its result.
type pending struct {
	id, name, wire string
	answered       bool
}

func (w *requestWriter) encode(model string) llm.Encoded {
	r, c := w.r, w.c
	w.extensions()
	system := w.conversation()
	tools, choice := w.tools()

	t := thought{raise: true, quiet: true, forced: choice.forced}
	var cap int64
	if r.MaxTokens != nil {
		cap = *r.MaxTokens
		if c.MaxOutput > 0 && cap > c.MaxOutput {
			w.Lose(llm.LossWarn, "max_tokens", "clamped from %d to %d: the model gives no more", cap, c.MaxOutput)
			cap = c.MaxOutput
		}
	} else {
		t.raise = false
		if cap = c.MaxOutput; cap <= 0 {
			cap = fallbackMaxTokens
		}
	}
	t.max, t.limited = cap, true
	switch r.Reasoning.Mode {
	case llm.ThinkOff:
		t.typ = "disabled"
	case llm.ThinkOn:
		t.typ, t.budget = "enabled", max(r.Reasoning.Budget, minBudget)
		if r.Reasoning.Budget == 0 && r.Reasoning.Effort != "" {
			t.typ = "adaptive"
		}
	case llm.ThinkAdaptive:
		t.typ = "adaptive"
	case llm.ThinkBetweenTools:
		t.typ = "between_tools"
	}
	switch t.effort = r.Reasoning.Effort; t.effort {
	case "":
	case "none":
		t.typ, t.effort = "disabled", ""
	default:
		if t.typ == "" {
			t.typ = "adaptive"
		}
		if t.effort == "minimal" && !c.Known {
			t.effort = "low"
			w.Lose(llm.LossWarn, "reasoning_effort", "approximated: minimal became low")
		}
	}
	if t.typ == "disabled" && c.Known && !c.ThinksByDefault {
		t.typ = ""
	}
	from := len(w.Losses.All)
	t = fitThought(t, c, &w.Losses.All)
	for i := from; i < len(w.Losses.All); i++ { // the client knows it by another name
		if w.Losses.All[i].Path == "output_config.effort" {
			w.Losses.All[i].Path = "reasoning_effort"
		}
	}
	if t.typ == "enabled" && w.openLoopUnsigned() {
		// An open tool loop must begin with its thinking on these models, and
		// it did not come back (claude-api 3.4).
		t.typ = ""
		w.Lose(llm.LossWarn, "thinking", "dropped: the thinking of the open tool call did not come back")
	}

	b := make([]byte, 0, w.size())
	b = append(b, '{')
	if model != "" {
		b = span.Quote(key(b, "model"), model)
	}
	b = strconv.AppendInt(key(b, "max_tokens"), t.max, 10)
	if r.Stream {
		b = append(key(b, "stream"), "true"...)
	}
	b, sampled := w.sampling(b, t.typ == "enabled" || t.typ == "adaptive")
	b = w.stops(b)
	if r.EndUser != "" {
		b = append(key(b, "metadata"), `{"user_id":`...)
		b = append(span.Quote(b, r.EndUser), '}')
	}
	if t.typ != "" {
		b = append(key(b, "thinking"), `{"type":`...)
		b = span.Quote(b, t.typ)
		if t.typ == "enabled" {
			b = strconv.AppendInt(key(b, "budget_tokens"), t.budget, 10)
		}
		if r.Reasoning.Display != "" && (t.typ == "enabled" || t.typ == "adaptive") {
			b = span.Quote(key(b, "display"), r.Reasoning.Display)
		}
		b = append(b, '}')
	}
	b = w.outputConfig(b, t.effort)
	for i := range r.Ext {
		if r.Ext[i].Name == "cache_control" && kindOf(r.Ext[i].Value) == '{' {
			b = appendCache(b, r.Ext[i].Value)
		}
	}
	if choice.raw != nil {
		b = append(key(b, "tool_choice"), choice.raw...)
	}
	if tools != nil {
		b = append(append(key(b, "tools"), tools...), ']')
	}
	if system != nil {
		b = append(key(b, "system"), system...)
	}
	b = w.messages(b)
	b = append(b, '}')

	version := versionOld
	if !sampled && c.Known && !c.Can(llm.SamplingParams) {
		// Models that take no sampling values are 4.7 and later, which every
		// platform serves under the new version. For others it may be a model
		// or a compatible server that knows the old one only (Bedrock before
		// 4.7), and the old version serves all of them.
		version = versionNew
	}
	return llm.Encoded{
		Body:    [][]byte{b},
		Header:  http.Header{"Anthropic-Version": {version}},
		Losses:  w.Losses.All,
		Names:   w.names,
		Customs: w.customs,
	}
}

// size guesses the length of the body.
func (w *requestWriter) size() int {
	n := 1024
	for i := range w.turns {
		for _, b := range w.turns[i].blocks {
			n += len(b) + 64
		}
		for _, b := range w.turns[i].results {
			n += len(b) + 64
		}
		n += len(w.turns[i].plain) + 64
	}
	for i := range w.r.Tools {
		n += len(w.r.Tools[i].Schema) + len(w.r.Tools[i].Description) + 128
	}
	return n
}

// refused are members of other dialects that change what the answer is: they
// cannot be left out in silence (facts of wire translation, rule E).
var refused = map[string]string{
	"logprobs":             "the dialect has no log probabilities",
	"top_logprobs":         "the dialect has no log probabilities",
	"audio":                "the dialect makes no sound",
	"web_search_options":   "the dialect has no such search",
	"include":              "the dialect has no log probabilities",
	"functions":            "the old form of tools",
	"function_call":        "the old form of tool_choice",
	"previous_response_id": "the dialect keeps no state",
	"conversation":         "the dialect keeps no state",
	"prompt":               "the dialect keeps no state",
	"background":           "the dialect makes no answer in the background",
	"text.format":          "of a form that the dialect does not have",
	"tool_choice":          "of a form that the dialect does not have",
	"context_management":   "compaction is asked for in another dialect's way",

	"generationConfig.responseLogprobs": "the dialect has no log probabilities",
}

// silent are members that only steer a cache or the wire of their own dialect.
var silent = map[string]bool{
	"prompt_cache_key": true, "prompt_cache_options": true, "prompt_cache_retention": true,
	"stream_options": true, "cache_control": true,
}

// extensions judges the members that no word holds, and the words that this
// dialect has no member for.
func (w *requestWriter) extensions() {
	r := w.r
	for i := range r.Ext {
		m := &r.Ext[i]
		v := string(m.Value)
		if isNull(m.Value) || silent[m.Name] {
			continue
		}
		if m.Name == "modalities" {
			if strings.Contains(v, `"audio"`) {
				w.Lose(llm.LossRefuse, m.Name, "the dialect makes no sound")
			}
			continue
		}
		switch m.Name {
		case "generationConfig.responseModalities":
			if strings.Contains(v, "IMAGE") || strings.Contains(v, "AUDIO") {
				w.Lose(llm.LossRefuse, m.Name, "the dialect gives text")
			}
			continue
		case "generationConfig.responseMimeType":
			if v != `"text/plain"` {
				w.Lose(llm.LossRefuse, m.Name, "the dialect has no such format")
			}
			continue
		}
		if r.From == llm.Responses && fromResponses(m) {
			continue
		}
		if why, ok := refused[m.Name]; ok && (m.Name != "prompt" || r.From == llm.Responses) { // else it has no meaning
			if v != "false" && v != "0" && v != "[]" && v != `"none"` && v != `"auto"` {
				w.Lose(llm.LossRefuse, m.Name, "%s", why)
			}
			continue
		}
		w.Lose(llm.LossWarn, m.Name, "dropped: the dialect has no such member")
	}
	if r.N > 1 {
		w.Lose(llm.LossRefuse, "n", "the dialect gives one answer")
	}
	for _, s := range []struct {
		name  string
		value jsontext.Value
	}{{"seed", r.Sampling.Seed}, {"frequency_penalty", r.Sampling.FrequencyPenalty}, {"presence_penalty", r.Sampling.PresencePenalty}} {
		if len(s.value) == 0 || isNull(s.value) {
			continue
		}
		if f, ok := number(s.value); ok && f == 0 && s.name != "seed" {
			continue
		}
		w.Lose(llm.LossWarn, s.name, "dropped: the dialect has no such member")
	}
	if r.ServiceTier != "" && r.ServiceTier != "auto" && r.ServiceTier != "default" {
		w.Lose(llm.LossWarn, "service_tier", "dropped: %q has no equal", r.ServiceTier)
	}
	switch r.Format.Kind {
	case llm.FormatJSONObject:
		w.Lose(llm.LossRefuse, "response_format", "the dialect has no json_object format")
	case llm.FormatJSONSchema:
		if !w.c.Can(llm.JSONSchema) {
			w.Lose(llm.LossRefuse, "response_format", "the model takes no JSON Schema")
		}
	}
}

// fromResponses knows the members of a Responses request that say nothing here;
// what is to be stored the gateway stores.
func fromResponses(m *llm.Member) bool {
	switch m.Name {
	case "store":
		return true
	case "include":
		return !strings.Contains(string(m.Value), "logprobs")
	case "truncation":
		return string(m.Value) == `"disabled"`
	}
	return false
}

func (w *requestWriter) sampling(b []byte, thinks bool) (_ []byte, wrote bool) {
	s := w.r.Sampling
	both := len(s.Temperature) > 0 && !isDefault("temperature", s.Temperature)
	for _, p := range []struct {
		name  string
		value jsontext.Value
	}{{"temperature", s.Temperature}, {"top_p", s.TopP}, {"top_k", s.TopK}} {
		if len(p.value) == 0 {
			continue
		}
		keep, why := fitSampling(p.name, p.value, w.c, thinks, both)
		if !keep {
			if why != "" {
				w.Lose(llm.LossWarn, p.name, "%s", why)
			}
			continue
		}
		value := p.value
		if f, _ := number(value); p.name == "temperature" && f > 1 {
			w.Lose(llm.LossWarn, p.name, "clamped from %s to 1", value)
			value = jsontext.Value("1")
		}
		b = append(key(b, p.name), value...)
		wrote = true
	}
	return b, wrote
}

func (w *requestWriter) stops(b []byte) []byte {
	var stops []string
	for _, s := range w.r.Stop {
		if blank(s) {
			w.Lose(llm.LossWarn, "stop", "dropped: a stop sequence of white space is refused")
			continue
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 {
		return b
	}
	if !w.c.Can(llm.StopSequences) {
		w.Lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
	}
	return appendStrings(key(b, "stop_sequences"), stops)
}

func (w *requestWriter) outputConfig(b []byte, effort string) []byte {
	format := w.r.Format.Kind == llm.FormatJSONSchema && w.c.Can(llm.JSONSchema)
	if effort == "" && !format {
		return b
	}
	b = append(key(b, "output_config"), '{')
	if effort != "" {
		b = span.Quote(key(b, "effort"), effort)
	}
	if format {
		b = append(key(b, "format"), `{"type":"json_schema","schema":`...)
		if schema := w.r.Format.Schema; kindOf(schema) == '{' {
			b = append(b, schema...)
		} else {
			b = append(b, `{"type":"object"}`...)
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

type wireChoice struct {
	raw    []byte
	forced bool
}

// customSchema is how a tool with free-text input is offered as a function.
const customSchema = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`

// tools writes the tools, without the closing bracket, and the tool choice.
func (w *requestWriter) tools() ([]byte, wireChoice) {
	r := w.r
	var allowed map[string]bool
	if r.Choice.Mode == llm.ToolSubset {
		allowed = map[string]bool{}
		for _, n := range r.Choice.Names {
			allowed[n] = true
		}
		w.Lose(llm.LossWarn, "tool_choice", "approximated: only the allowed tools are offered")
	}
	var b []byte
	for i := range r.Tools {
		t := r.Tools[i]
		path := "tools." + strconv.Itoa(i)
		if allowed != nil && !allowed[t.Name] {
			continue
		}
		switch t.Type {
		case "":
		case "custom":
			t.Schema, t.Strict = jsontext.Value(customSchema), nil
			if w.customs == nil {
				w.customs = map[string]bool{}
			}
			w.customs[w.name(t.Name)] = true
			w.Lose(llm.LossCarry, path, "a custom tool became a function with one string, input")
		default:
			w.Lose(llm.LossRefuse, path, "a tool of type %q has no equal", t.Type)
			continue
		}
		for _, m := range t.Ext {
			if !isNull(m.Value) && t.Type == "" {
				w.Lose(llm.LossWarn, path+"."+m.Name, "dropped: the dialect has no such member")
			}
		}
		strict := w.c.Can(llm.StrictTools)
		if t.Strict != nil && *t.Strict && !strict {
			w.Lose(llm.LossWarn, path+".strict", "dropped: the model has no strict tools")
		}
		if b == nil {
			b = append(b, '[')
		}
		b = appendTool(comma(b), &t, w.name(t.Name), strict)
	}
	if b == nil {
		return nil, wireChoice{}
	}
	if !w.c.Can(llm.Tools) {
		w.Lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	if most := w.c.MaxTools; most > 0 && len(r.Tools) > most {
		w.Lose(llm.LossRefuse, "tools", "the provider takes at most %d tools, not %d", most, len(r.Tools))
	}
	typ, name := "", ""
	switch r.Choice.Mode {
	case llm.ToolNone:
		return b, wireChoice{raw: []byte(`{"type":"none"}`)}
	case llm.ToolAuto:
		typ = "auto"
	case llm.ToolAny:
		typ = "any"
	case llm.ToolOnly:
		typ, name = "tool", w.name(r.Choice.Name)
	case llm.ToolSubset:
		typ = "auto"
		if r.Choice.Forced {
			typ = "any"
		}
	}
	parallel := r.ParallelCalls == nil || *r.ParallelCalls
	if typ == "" && parallel {
		return b, wireChoice{}
	}
	forced := typ == "any" || typ == "tool"
	if forced && !w.c.Can(llm.ForcedTool) {
		w.Lose(llm.LossRefuse, "tool_choice", "the model refuses a forced tool choice")
		forced = false
	}
	if !forced {
		typ, name = "auto", ""
	}
	raw := span.Quote([]byte(`{"type":`), typ)
	if name != "" {
		raw = span.Quote(key(raw, "name"), name)
	}
	if !parallel {
		raw = append(key(raw, "disable_parallel_tool_use"), "true"...)
	}
	return b, wireChoice{raw: append(raw, '}'), forced: forced}
}

// name gives the wire's name of a tool and notes the way back.
func (w *requestWriter) name(name string) string {
	wire := toolName(name)
	if wire != name {
		if w.names == nil {
			w.names = map[string]string{}
		}
		w.names[wire] = name
	}
	return wire
}

// conversation turns the items into turns and returns the top-level system.
func (w *requestWriter) conversation() []byte {
	items := w.r.Items
	n := 0
	for n < len(items) && isSystem(&items[n]) {
		n++
	}
	lead, rest := items[:n], items[n:]
	if len(rest) == 0 && len(lead) > 0 {
		// The API wants a user turn; the last instruction is the question.
		last := lead[len(lead)-1]
		lead = lead[:len(lead)-1]
		w.Lose(llm.LossWarn, last.Path, "approximated: with no other message the system message is sent as the user's")
		w.open("user")
		w.content(&last)
	}
	system := w.system(lead)
	var waiting []*llm.Item // system messages whose place is not decided yet
	for i := range rest {
		it := &rest[i]
		if isSystem(it) {
			waiting = append(waiting, it)
			continue
		}
		role := "user"
		if it.Kind == llm.ItemToolCall || it.Kind == llm.ItemReasoning || it.Kind == llm.ItemOpaque || it.Kind == llm.ItemMessage && it.Role == llm.Assistant {
			role = "assistant"
		}
		w.place(waiting, role == "assistant")
		waiting = nil
		w.item(it, role)
	}
	w.place(waiting, true)
	w.settle()
	w.ends()
	return system
}

func isSystem(it *llm.Item) bool {
	return it.Kind == llm.ItemMessage && (it.Role == llm.System || it.Role == llm.Developer)
}

// system writes the leading instructions: one bare text as a string, else a
// text block each, never joined, since cache marks sit on blocks.
func (w *requestWriter) system(items []llm.Item) []byte {
	var blocks [][]byte
	plain := ""
	for i := range items {
		w.itemExt(&items[i])
		for j := range items[i].Blocks {
			b := &items[i].Blocks[j]
			if b.Kind != llm.BlockText {
				w.Lose(llm.LossRefuse, items[i].Path, "a system message takes text only")
				continue
			}
			if blank(b.Text) {
				continue
			}
			block, cached := w.text(b, b.Text)
			blocks = append(blocks, block)
			if plain = b.Text; cached {
				plain = ""
			}
		}
	}
	switch {
	case len(blocks) == 0:
		return nil
	case len(blocks) == 1 && plain != "":
		return span.Quote(nil, plain)
	}
	return join(blocks)
}

// join makes an array of blocks.
func join(blocks ...[][]byte) []byte {
	b := []byte{'['}
	for _, bs := range blocks {
		for _, block := range bs {
			b = append(comma(b), block...)
		}
	}
	return append(b, ']')
}

// open makes role the role of the last turn.
func (w *requestWriter) open(role string) *turn {
	if n := len(w.turns); n > 0 && w.turns[n-1].role == role {
		return &w.turns[n-1]
	}
	if role == "assistant" {
		w.settle()
		w.calls = nil
	}
	w.turns = append(w.turns, turn{role: role})
	t := &w.turns[len(w.turns)-1]
	if role == "user" && len(w.calls) > 0 {
		t.results = make([][]byte, len(w.calls))
	}
	return t
}

// settle answers the calls that nobody answered.
func (w *requestWriter) settle() {
	for i := range w.calls {
		if w.calls[i].answered {
			continue
		}
		w.calls[i].answered = true
		w.Lose(llm.LossRefuse, "messages", "the call %q has no result", w.calls[i].id)
		t := w.open("user")
		b := span.Quote([]byte(`{"type":"tool_result","tool_use_id":`), w.calls[i].wire)
		t.results[i] = append(b, `,"content":"[no result]"}`...)
	}
}

// place puts system messages from inside the conversation where they stood: as
// such where the model has that and it is legal (after a user turn, last or
// before an assistant turn), else as text of the neighbouring user turn.
func (w *requestWriter) place(items []*llm.Item, before bool) {
	if len(items) == 0 {
		return
	}
	n := len(w.turns)
	legal := before && n > 0 && w.turns[n-1].role == "user"
	if legal && w.c.Can(llm.MidSystem) {
		w.settle()
		w.calls = nil
		var t turn
		t.role = "system"
		for _, it := range items {
			w.itemExt(it)
			for j := range it.Blocks {
				if b := &it.Blocks[j]; b.Kind == llm.BlockText && !blank(b.Text) {
					block, cached := w.text(b, b.Text)
					t.add(block, b.Text, cached)
				}
			}
		}
		if len(t.blocks) > 0 {
			w.turns = append(w.turns, t)
		}
		return
	}
	t := w.open("user")
	for _, it := range items {
		w.itemExt(it)
		said := false
		for j := range it.Blocks {
			if b := &it.Blocks[j]; b.Kind == llm.BlockText && !blank(b.Text) {
				s := tagged(b.Text)
				block, cached := w.text(b, s)
				t.add(block, s, cached)
				said = true
			}
		}
		if said {
			w.Lose(llm.LossWarn, it.Path, "approximated: a system message inside the conversation became tagged text of the user's turn")
		}
	}
	if len(t.blocks) == 0 && len(t.results) == 0 {
		w.turns = w.turns[:len(w.turns)-1]
	}
}

// tagged marks text that was an instruction of the operator.
func tagged(s string) string { return "<system-message>\n" + s + "\n</system-message>" }

func (t *turn) add(block []byte, plain string, cached bool) {
	t.blocks = append(t.blocks, block)
	t.plain, t.isPlain = plain, len(t.blocks) == 1 && !cached
}

// itemExt warns of what an item's own members said.
func (w *requestWriter) itemExt(it *llm.Item) {
	if it.Name != "" {
		w.Lose(llm.LossWarn, it.Path+".name", "dropped: the dialect has no speakers' names")
	}
	for _, m := range it.Ext {
		if it.From == llm.Responses && (m.Name == "phase" || m.Name == "status") {
			// What an answer said of itself; its client keeps it.
			w.Lose(llm.LossCarry, it.Path+"."+m.Name, "said of an earlier answer")
			continue
		}
		if it.From == llm.Responses && m.Name == "caller" { // the model itself, unless it says otherwise
			if t := text(get(m.Value, "type")); t != "direct" {
				w.Lose(llm.LossRefuse, it.Path+".caller", "the programmatic calls of another dialect")
			}
			continue
		}
		if !isNull(m.Value) && string(m.Value) != "[]" {
			w.Lose(llm.LossWarn, it.Path+"."+m.Name, "dropped: the dialect has no such member")
		}
	}
}

// text writes a text block and says whether it has a cache mark.
func (w *requestWriter) text(b *llm.Block, s string) (block []byte, cached bool) {
	block = span.Quote([]byte(`{"type":"text","text":`), s)
	mark := mark(b)
	block = appendCache(block, mark)
	return append(block, '}'), len(mark) > 0
}

// mark is a block's cache mark; OpenAI's explicit breakpoint is one.
func mark(b *llm.Block) jsontext.Value {
	if kindOf(b.Cache) == '{' {
		return b.Cache
	}
	for i := range b.Ext {
		if b.Ext[i].Name == "prompt_cache_breakpoint" && kindOf(b.Ext[i].Value) == '{' {
			return b.Ext[i].Value
		}
	}
	return nil
}

// item adds one item to the turns.
func (w *requestWriter) item(it *llm.Item, role string) {
	switch it.Kind {
	case llm.ItemMessage:
		w.open(role)
		w.content(it)
	case llm.ItemReasoning:
		raw := appendThinking(nil, it)
		if len(raw) == 0 {
			w.Lose(llm.LossCarry, it.Path, "left out: thinking that no Anthropic model signed")
			return
		}
		t := w.open(role)
		for a := span.ReadArray(append(append([]byte{'['}, raw...), ']')); a.Next(); {
			t.add(a.Val, "", true)
		}
	case llm.ItemToolCall:
		t := w.open(role)
		id := w.callID(it)
		w.itemExt(it)
		w.calls = append(w.calls, pending{id: it.Call.ID, name: it.Call.Name, wire: id})
		t.add(appendToolUse(nil, it, id, w.name(it.Call.Name)), "", true)
	case llm.ItemToolResult:
		w.result(it)
	case llm.ItemOpaque:
		if it.From == llm.Anthropic && len(it.Raw) > 0 {
			w.open(role).add(it.Raw, "", true)
			return
		}
		w.Lose(llm.LossRefuse, it.Path, "an item of type %q has no equal", it.Type)
	}
}

// callID gives the wire id of a call. An id that stood before in the
// conversation gets a number, since ids must be unique there.
func (w *requestWriter) callID(it *llm.Item) string {
	if w.used == nil {
		w.used = map[string]int{}
	}
	id := toolID(it.Call.ID, strconv.Itoa(len(w.turns))+"."+strconv.Itoa(len(w.calls)))
	w.used[id]++
	if n := w.used[id]; n > 1 {
		id = "toolu_" + hash(id+"\x00"+strconv.Itoa(n))
	}
	return id
}

// result puts a tool result at the place of its call.
func (w *requestWriter) result(it *llm.Item) {
	t := w.open("user")
	w.itemExt(it)
	at := -1
	for i := range w.calls {
		p := &w.calls[i]
		if !p.answered && (p.id == it.Result.CallID || it.Result.CallID == "" && (it.Result.Name == "" || it.Result.Name == p.name)) {
			at = i
			break
		}
	}
	kept := *it
	kept.Blocks = kept.Blocks[:0:0]
	for i := range it.Blocks {
		b, ok := w.media(&it.Blocks[i], it.Path, true)
		if ok {
			kept.Blocks = append(kept.Blocks, b)
		}
	}
	if at < 0 {
		w.Lose(llm.LossRefuse, it.Path, "a result for the call %q, which the turn before did not make", it.Result.CallID)
		s := "[result of a tool call that is not shown]\n" + kept.Text()
		t.add(append(span.Quote([]byte(`{"type":"text","text":`), s), '}'), s, false)
		return
	}
	w.calls[at].answered = true
	t.results[at] = appendResult(nil, &kept, w.calls[at].wire)
}

// content adds a message's blocks to the last turn.
func (w *requestWriter) content(it *llm.Item) {
	t := &w.turns[len(w.turns)-1]
	w.itemExt(it)
	for i := range it.Blocks {
		b := &it.Blocks[i]
		switch b.Kind {
		case llm.BlockText, llm.BlockRefusal:
			if blank(b.Text) {
				continue
			}
			w.blockExt(it, b)
			block, cached := w.text(b, b.Text)
			t.add(block, b.Text, cached)
		default:
			if kept, ok := w.media(b, it.Path, false); ok {
				if t.role == "assistant" {
					w.Lose(llm.LossRefuse, it.Path, "an assistant's turn takes no %s", b.Kind)
					continue
				}
				w.blockExt(it, b)
				t.add(appendBlock(nil, &kept), "", true)
			}
		}
	}
}

func (w *requestWriter) blockExt(it *llm.Item, b *llm.Block) {
	for _, m := range b.Ext {
		if !isNull(m.Value) && m.Name != "prompt_cache_breakpoint" && string(m.Value) != "[]" {
			w.Lose(llm.LossWarn, it.Path+"."+m.Name, "dropped: the dialect has no such member")
		}
	}
	if len(b.Citations) > 0 && b.From != llm.Anthropic {
		w.Lose(llm.LossWarn, it.Path+".annotations", "dropped: citations of another vendor")
	}
}

// media makes a block ready to be written: the media type sniffed, the source
// in a form that the API takes. ok is false when it cannot be.
func (w *requestWriter) media(b *llm.Block, path string, result bool) (_ llm.Block, ok bool) {
	out := *b
	out.Cache = mark(b)
	m := &out.Media
	if b.Kind == llm.BlockText || b.Kind == llm.BlockRefusal {
		return out, !blank(b.Text)
	}
	if b.From == llm.Anthropic && len(b.Raw) > 0 {
		return out, true
	}
	refuse := func(format string, args ...any) (llm.Block, bool) {
		w.Lose(llm.LossRefuse, path, format, args...)
		return out, false
	}
	if m.FileID != "" {
		return refuse("a file id of another provider")
	}
	if data, isData := strings.CutPrefix(m.URL, "data:"); isData {
		mime, payload, ok := strings.Cut(data, ";base64,")
		if !ok {
			return refuse("a data URL that is not base64")
		}
		m.MIME, m.Data, m.URL = mime, payload, ""
	}
	if m.URL != "" && !strings.HasPrefix(m.URL, "https://") && !strings.HasPrefix(m.URL, "http://") {
		return refuse("a URL that is neither http nor data")
	}
	if m.Data != "" {
		if seen := sniff(m.Data); seen != "" {
			m.MIME = seen
		}
	}
	switch b.Kind {
	case llm.BlockImage:
		if !w.c.Can(llm.Vision) || result && !w.c.Can(llm.ImageInResult) {
			return refuse("the model takes no image here")
		}
		switch m.MIME {
		case "image/png", "image/jpeg", "image/gif", "image/webp":
		case "image/jpg":
			m.MIME = "image/jpeg"
		default:
			if m.Data != "" {
				return refuse("an image of type %q", m.MIME)
			}
		}
		if m.Detail != "" && m.Detail != "auto" {
			w.Lose(llm.LossWarn, path, "dropped: detail %q of an image", m.Detail)
		}
		return out, true
	case llm.BlockFile:
		if m.Text == "" && m.Data != "" && m.MIME != "application/pdf" && (strings.HasPrefix(m.MIME, "text/") || m.MIME == "application/json") {
			raw, err := base64.StdEncoding.DecodeString(m.Data)
			if err != nil || !utf8.Valid(raw) {
				return refuse("a text file that is not base64 of UTF-8")
			}
			m.Text, m.Data = string(raw), ""
		}
		switch {
		case m.Data == "" && m.URL == "":
			if blank(m.Text) {
				w.Lose(llm.LossWarn, path, "dropped: an empty document")
				return out, false
			}
			return out, true
		case m.MIME != "application/pdf" && m.Data != "":
			return refuse("a file of type %q", m.MIME)
		case !w.c.Can(llm.PDF):
			return refuse("the model takes no PDF")
		}
		return out, true
	case llm.BlockAudio:
		return refuse("the model takes no audio")
	}
	return refuse("a part of type %q has no equal", b.Type)
}

// ends sees to the first and the last turn.
func (w *requestWriter) ends() {
	kept := w.turns[:0]
	for _, t := range w.turns {
		if len(t.blocks)+len(t.results) == 0 {
			continue // nothing but empty text
		}
		if n := len(kept); n > 0 && kept[n-1].role == t.role {
			// What stood between them was empty.
			kept[n-1].results = append(kept[n-1].results, t.results...)
			kept[n-1].blocks = append(kept[n-1].blocks, t.blocks...)
			kept[n-1].isPlain = false
			continue
		}
		kept = append(kept, t)
	}
	w.turns = kept
	if len(w.turns) == 0 {
		w.Lose(llm.LossRefuse, "messages", "there is no text in the conversation")
		return
	}
	if w.turns[0].role != "user" {
		w.Lose(llm.LossWarn, "messages", "approximated: the conversation begins with the assistant, a user turn was put before it")
		first := turn{role: "user"}
		const s = "[The conversation begins with the assistant.]"
		first.add(append(span.Quote([]byte(`{"type":"text","text":`), s), '}'), s, false)
		w.turns = append([]turn{first}, w.turns...)
	}
	last := &w.turns[len(w.turns)-1]
	if last.role != "assistant" {
		return
	}
	if !w.c.Can(llm.Prefill) {
		w.Lose(llm.LossRefuse, "messages", "the model does not go on from an assistant's turn")
	}
	if last.isPlain { // trailing white space of a prefill is refused
		last.plain = strings.TrimRight(last.plain, " \t\r\n")
	}
}

// openLoopUnsigned reports whether the conversation waits for an answer to
// tool results whose calls came back without their thinking.
func (w *requestWriter) openLoopUnsigned() bool {
	n := len(w.turns)
	if n < 2 || len(w.turns[n-1].results) == 0 || w.turns[n-2].role != "assistant" || len(w.turns[n-2].blocks) == 0 {
		return false
	}
	first := text(get(w.turns[n-2].blocks[0], "type"))
	return first != "thinking" && first != "redacted_thinking"
}

func (w *requestWriter) messages(b []byte) []byte {
	b = append(key(b, "messages"), '[')
	for i := range w.turns {
		t := &w.turns[i]
		b = append(comma(b), `{"role":"`...)
		b = append(b, t.role...)
		b = append(b, `","content":`...)
		if t.isPlain && len(t.results) == 0 && len(t.blocks) == 1 {
			b = span.Quote(b, t.plain)
		} else {
			b = append(b, '[')
			for _, block := range t.results {
				b = append(comma(b), block...)
			}
			for _, block := range t.blocks {
				b = append(comma(b), block...)
			}
			b = append(b, ']')
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// validJSON reports whether b is one JSON value. Doubled names are the
// model's own business.
func validJSON(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true))
}

// readable is validJSON for what a provider sent: a lone surrogate or a broken
// rune costs that character, not the answer.
func readable(b []byte) bool {
	return jsontext.Value(b).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}
