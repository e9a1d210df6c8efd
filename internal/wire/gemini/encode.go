package gemini

import (
	"encoding/base64"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// maxStops is how many stop sequences are taken.
const maxStops = 5

// EncodeRequest writes a request for a Gemini provider. Words of this dialect
// go back as they came (run Head and Patch with EditReshape over the result to
// fit them to a model); words of another dialect are fitted to model and c.
// Nothing unknown is written, since this wire refuses what it does not know.
// The model stands in the path; its name decides only how it is asked to
// think. The members stand in a fixed order with the contents last, and the
// same words give the same bytes, so that the next turn of a conversation
// begins with the bytes of this one. A loss of kind LossRefuse names what the
// target cannot say; the body is then still the nearest that it can.
func (c Codec) EncodeRequest(r *llm.Request, model string, to *llm.Capability) (llm.Encoded, error) {
	if r.From == llm.Gemini {
		return c.encodeOwn(r, model)
	}
	if to == nil {
		to = &llm.Capability{}
	}
	w := requestWriter{codec: c, c: to, model: model, signs: signs(model)}
	w.r, w.Losses.All = llm.Plain(r)
	return w.encode(), nil
}

type requestWriter struct {
	codec Codec
	r     *llm.Request
	c     *llm.Capability
	model string
	signs bool
	llm.Losses
	names map[string]string // wire name to the client's
	// customs are the wire names of custom tools that became functions.
	customs map[string]bool
	turns   []turn
	// calls are those of the last model turn, in order.
	calls []pending
	used  map[string]int
}

// turn is one content on the wire: the model's, the user's, or one of results
// alone, in the order of the calls.
type turn struct {
	model   bool
	results bool
	parts   [][]byte
	// beside stand behind the results of models that take no media in them.
	beside [][]byte
	// called says that the turn has a call, whose first one is signed.
	called bool
}

// pending is a call that waits for its result.
type pending struct {
	id, name, wireID, wireName string
	answered                   bool
}

func (w *requestWriter) encode() llm.Encoded {
	w.extensions()
	system := w.conversation()
	tools, choice := w.tools()
	n := 1024
	for i := range w.turns {
		for _, p := range w.turns[i].parts {
			n += len(p) + 32
		}
	}
	b := make([]byte, 0, n+len(tools)+len(system))
	b = append(b, '{')
	if !w.codec.Vertex {
		// New projects keep what is sent unless told not to (2026-10-26).
		b = append(key(b, "store"), "false"...)
	}
	b = w.tier(b)
	b = w.generation(b)
	if choice != nil {
		b = append(key(b, "toolConfig"), choice...)
	}
	if tools != nil {
		b = append(key(b, "tools"), `[{"functionDeclarations":`...)
		b = append(append(b, tools...), "]}]"...)
	}
	if system != nil {
		b = append(append(key(b, "systemInstruction"), `{"parts":[`...), system...)
		b = append(b, "]}"...)
	}
	b = append(key(b, "contents"), '[')
	for i := range w.turns {
		t := &w.turns[i]
		role := "user"
		if t.model {
			role = "model"
		}
		b = append(comma(b), `{"role":"`...)
		b = append(append(b, role...), `","parts":[`...)
		for _, p := range t.parts {
			b = append(comma(b), p...)
		}
		for _, p := range t.beside {
			b = append(comma(b), p...)
		}
		b = append(b, "]}"...)
	}
	b = append(b, "]}"...)
	return llm.Encoded{Body: [][]byte{b}, Losses: w.Losses.All, Names: w.names, Customs: w.customs}
}

// refused are members of other dialects that change what the answer is: they
// cannot be left out in silence.
var refused = map[string]string{
	"logprobs":             "log probabilities do not come back in your dialect",
	"top_logprobs":         "log probabilities do not come back in your dialect",
	"audio":                "no sound is asked for across dialects",
	"web_search_options":   "the dialect has another search",
	"functions":            "the old form of tools",
	"function_call":        "the old form of tool_choice",
	"previous_response_id": "the dialect keeps no state",
	"conversation":         "the dialect keeps no state",
	"mcp_servers":          "the dialect has no equal of it",
	"container":            "the dialect has no equal of it",
	"fallbacks":            "the dialect has no equal of it",
	"output_format":        "of a form that the dialect does not have",
	"output_config.format": "of a form that the dialect does not have",
	"tool_choice":          "of a form that the dialect does not have",
}

// silent are members that only steer a cache or the wire of their own dialect.
var silent = map[string]bool{
	"prompt_cache_key": true, "prompt_cache_options": true, "prompt_cache_retention": true,
	"stream_options": true, "cache_control": true, "anthropic_version": true,
}

// extensions judges the members that no word holds.
func (w *requestWriter) extensions() {
	r := w.r
	for i := range r.Ext {
		m := &r.Ext[i]
		v := string(m.Value)
		if isNull(m.Value) || silent[m.Name] || v == "[]" || v == "{}" {
			continue
		}
		switch m.Name {
		case "modalities":
			if strings.Contains(v, `"audio"`) {
				w.Lose(llm.LossRefuse, m.Name, "no sound is asked for across dialects")
			}
			continue
		case "store":
			if v == "false" {
				continue // and so it is sent
			}
		case "output_format":
			if r.Format.Kind != "" {
				continue // its older name
			}
		case "context_management":
			if strings.Contains(v, `"compact_`) {
				w.Lose(llm.LossRefuse, m.Name, "compaction is asked for and the dialect cannot do it")
				continue
			}
		}
		if why, ok := refused[m.Name]; ok {
			if v != "false" && v != "0" && v != `"none"` && v != `"auto"` {
				w.Lose(llm.LossRefuse, m.Name, "%s", why)
			}
			continue
		}
		w.Lose(llm.LossWarn, m.Name, "dropped: the dialect has no such member")
	}
	if r.EndUser != "" {
		w.Lose(llm.LossWarn, "user", "dropped: the dialect has no end users")
	}
	if r.ParallelCalls != nil && !*r.ParallelCalls && len(r.Tools) > 0 {
		w.Lose(llm.LossWarn, "parallel_tool_calls", "dropped: the dialect cannot forbid several calls at once")
	}
	if r.N > 1 {
		w.Lose(llm.LossRefuse, "n", "one answer is asked for across dialects")
	}
}

func (w *requestWriter) tier(b []byte) []byte {
	switch t := w.r.ServiceTier; t {
	case "", "auto", "default", "standard", "standard_only":
	case "flex", "priority":
		if !w.codec.Vertex {
			return span.Quote(key(b, "serviceTier"), t)
		}
		w.Lose(llm.LossWarn, "service_tier", "dropped: the platform has no tiers")
	default:
		w.Lose(llm.LossWarn, "service_tier", "dropped: %q has no equal", t)
	}
	return b
}

func (w *requestWriter) generation(b []byte) []byte {
	r, c := w.r, w.c
	from := len(b)
	b = append(key(b, "generationConfig"), '{')
	for _, s := range samplingOf(&r.Sampling) {
		if len(s.value) == 0 {
			continue
		}
		name := map[string]string{"topP": "top_p", "topK": "top_k", "presencePenalty": "presence_penalty", "frequencyPenalty": "frequency_penalty"}[s.name]
		if name == "" {
			name = s.name
		}
		keep, why := fitSampling(&s, c)
		if !keep {
			if why != "" {
				w.Lose(llm.LossWarn, name, "%s", why)
			}
			continue
		}
		if f, _ := number(s.value); s.name == "temperature" && f > 2 {
			w.Lose(llm.LossWarn, name, "clamped from %s to 2", s.value)
			s.value = []byte("2")
		}
		b = append(key(b, s.name), s.value...)
	}
	if r.MaxTokens != nil {
		limit := *r.MaxTokens
		if c.MaxOutput > 0 && limit > c.MaxOutput {
			w.Lose(llm.LossWarn, "max_tokens", "clamped from %d to %d: the model gives no more", limit, c.MaxOutput)
			limit = c.MaxOutput
		}
		if limit <= 0 {
			w.Lose(llm.LossRefuse, "max_tokens", "the dialect answers with a token at least")
			limit = 1
		}
		b = strconv.AppendInt(key(b, "maxOutputTokens"), limit, 10)
	}
	if stops := r.Stop; len(stops) > 0 {
		if !c.Can(llm.StopSequences) {
			w.Lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
		}
		most := maxStops
		if c.MaxStops > 0 {
			most = c.MaxStops
		}
		if len(stops) > most {
			w.Lose(llm.LossRefuse, "stop", "%d stop sequences are taken at most", most)
			stops = stops[:most]
		}
		b = appendStrings(key(b, "stopSequences"), stops)
	}
	switch r.Format.Kind {
	case llm.FormatJSONObject, llm.FormatJSONSchema:
		g := generation(w.model)
		switch {
		case r.Format.Kind == llm.FormatJSONSchema && !c.Can(llm.JSONSchema):
			w.Lose(llm.LossRefuse, "response_format", "the model takes no JSON Schema")
		case len(r.Tools) > 0 && g > 0 && g < 3 && r.Choice.Mode != llm.ToolNone:
			w.Lose(llm.LossRefuse, "response_format", "the model takes no format beside tools")
		default:
			b = append(key(b, "responseMimeType"), `"application/json"`...)
			if kindOf(r.Format.Schema) == '{' && r.Format.Kind == llm.FormatJSONSchema {
				b = append(key(b, "responseJsonSchema"), r.Format.Schema...)
			}
		}
	}
	t := fitThought(&r.Reasoning, w.model, c, true, w.Lose)
	if r.MaxTokens != nil && t.limited && t.budget >= *r.MaxTokens && t.budget > minBudget(w.model) {
		// Thoughts count in the cap: all of it thought would leave no answer.
		t.budget = max(minBudget(w.model), *r.MaxTokens/2)
		w.Lose(llm.LossWarn, "thinking", "clamped to %d tokens: the budget counts in max_tokens", t.budget)
	}
	if t.said() {
		b = appendThinking(key(b, "thinkingConfig"), &t)
	}
	return closed(b, from)
}

// customSchema is how a tool with free-text input is offered as a function.
const customSchema = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`

// tools writes the declarations, without the closing bracket, and toolConfig.
func (w *requestWriter) tools() (b, choice []byte) {
	r := w.r
	for i := range r.Tools {
		t := r.Tools[i]
		at := "tools." + strconv.Itoa(i)
		switch t.Type {
		case "", "function":
		case "custom":
			t.Schema, t.Strict = jsontext.Value(customSchema), nil
			if w.customs == nil {
				w.customs = map[string]bool{}
			}
			w.customs[w.name(t.Name)] = true
			w.Lose(llm.LossCarry, at, "a custom tool became a function with one string, input")
		default:
			w.Lose(llm.LossRefuse, at, "a tool of type %q has no equal", t.Type)
			continue
		}
		for _, m := range t.Ext {
			if !isNull(m.Value) && t.Type == "" && string(m.Value) != "[]" && string(m.Value) != "false" {
				w.Lose(llm.LossWarn, at+"."+m.Name, "dropped: the dialect has no such member")
			}
		}
		if t.Strict != nil && *t.Strict {
			w.Lose(llm.LossWarn, at+".strict", "dropped: the dialect has no strict tools")
		}
		if b == nil {
			b = append(b, '[')
		}
		b = appendDeclaration(comma(b), &t, w.name(t.Name))
	}
	if b == nil {
		return nil, nil
	}
	if !w.c.Can(llm.Tools) {
		w.Lose(llm.LossRefuse, "tools", "the model takes no tools")
	}
	if most := w.c.MaxTools; most > 0 && len(r.Tools) > most {
		w.Lose(llm.LossRefuse, "tools", "the provider takes at most %d tools, not %d", most, len(r.Tools))
	}
	if r.Choice.Mode == "" {
		return b, nil
	}
	c := r.Choice
	mode := modeOf(&c)
	if mode == "ANY" && !w.c.Can(llm.ForcedTool) {
		w.Lose(llm.LossRefuse, "tool_choice", "the model refuses a forced tool choice")
		mode = "AUTO"
		c.Mode = llm.ToolAuto
	}
	choice = append(choice, `{"functionCallingConfig":{`...)
	choice = span.Quote(key(choice, "mode"), mode)
	if names := allowed(&c); len(names) > 0 {
		wire := make([]string, len(names))
		for i := range names {
			wire[i] = w.name(names[i])
		}
		choice = appendStrings(key(choice, "allowedFunctionNames"), wire)
	}
	return b, append(choice, "}}"...)
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

// conversation turns the items into turns and returns the parts of the system
// instruction.
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
		w.open(false)
		w.content(&last)
	}
	var system []byte
	for i := range lead {
		w.itemExt(&lead[i])
		for j := range lead[i].Blocks {
			bl := &lead[i].Blocks[j]
			if bl.Kind != llm.BlockText {
				w.Lose(llm.LossRefuse, lead[i].Path, "a system message takes text only")
				continue
			}
			if strings.HasPrefix(bl.Text, billing) {
				w.Lose(llm.LossCarry, lead[i].Path, "a line for Anthropic's accounting")
				continue
			}
			if bl.Text == "" {
				continue
			}
			w.blockExt(&lead[i], bl)
			system = append(span.Quote(append(comma(system), `{"text":`...), bl.Text), '}')
		}
	}
	for i := range rest {
		w.item(&rest[i])
	}
	w.settle()
	w.ends()
	return system
}

// billing begins a line that Claude Code puts first in its system prompt for
// Anthropic's accounting; it changes with every request.
const billing = "x-anthropic-billing-header:"

func isSystem(it *llm.Item) bool {
	return it.Kind == llm.ItemMessage && (it.Role == llm.System || it.Role == llm.Developer)
}

// open makes the last turn the model's or the user's; results always have a
// turn of their own, which new models want.
func (w *requestWriter) open(model bool) *turn {
	if n := len(w.turns); n > 0 && w.turns[n-1].model == model && !w.turns[n-1].results {
		return &w.turns[n-1]
	}
	if model {
		w.settle()
		w.calls = nil
	}
	w.turns = append(w.turns, turn{model: model})
	return &w.turns[len(w.turns)-1]
}

// answers gives the turn that holds the results of the last calls, and makes
// it right behind them.
func (w *requestWriter) answers() *turn {
	for i := len(w.turns) - 1; i >= 0; i-- {
		if w.turns[i].results {
			return &w.turns[i]
		}
		if w.turns[i].model {
			w.turns = append(w.turns, turn{})
			copy(w.turns[i+2:], w.turns[i+1:])
			w.turns[i+1] = turn{results: true, parts: make([][]byte, len(w.calls))}
			return &w.turns[i+1]
		}
	}
	w.turns = append(w.turns, turn{results: true})
	return &w.turns[len(w.turns)-1]
}

// settle answers the calls that nobody answered.
func (w *requestWriter) settle() {
	for i := range w.calls {
		p := &w.calls[i]
		if p.answered {
			continue
		}
		p.answered = true
		w.Lose(llm.LossRefuse, "messages", "the call %q has no result", p.id)
		none := llm.Item{Blocks: []llm.Block{{Kind: llm.BlockText, Text: "[no result]"}}}
		w.answers().parts[i] = appendResult(nil, &none, p.wireID, p.wireName, false)
	}
}

// itemExt warns of what an item's own members said.
func (w *requestWriter) itemExt(it *llm.Item) {
	if it.Name != "" && it.Kind == llm.ItemMessage {
		w.Lose(llm.LossWarn, it.Path+".name", "dropped: the dialect has no speakers' names")
	}
	for _, m := range it.Ext {
		if !isNull(m.Value) && string(m.Value) != "[]" {
			w.Lose(llm.LossWarn, it.Path+"."+m.Name, "dropped: the dialect has no such member")
		}
	}
}

func (w *requestWriter) blockExt(it *llm.Item, b *llm.Block) {
	for _, m := range b.Ext {
		if !isNull(m.Value) && m.Name != "prompt_cache_breakpoint" && string(m.Value) != "[]" {
			w.Lose(llm.LossWarn, it.Path+"."+m.Name, "dropped: the dialect has no such member")
		}
	}
	if len(b.Citations) > 0 {
		w.Lose(llm.LossWarn, it.Path+".citations", "dropped: citations of another vendor")
	}
}

// item adds one item to the turns.
func (w *requestWriter) item(it *llm.Item) {
	switch it.Kind {
	case llm.ItemMessage:
		switch {
		case isSystem(it):
			w.instruction(it)
		default:
			w.open(it.Role == llm.Assistant)
			w.content(it)
		}
	case llm.ItemReasoning:
		s := genuine(it.Opaque)
		if s == "" {
			w.Lose(llm.LossCarry, it.Path, "left out: thinking that no Gemini model signed")
			return
		}
		t := w.open(true)
		b := span.Quote([]byte(`{"text":`), it.Text())
		b = append(key(b, "thought"), "true"...)
		t.parts = append(t.parts, append(span.Quote(key(b, "thoughtSignature"), s), '}'))
	case llm.ItemToolCall:
		t := w.open(true)
		w.itemExt(it)
		id := ""
		if !w.codec.Vertex {
			id = w.callID(it)
		}
		name := w.name(it.Call.Name)
		w.calls = append(w.calls, pending{id: it.Call.ID, name: it.Call.Name, wireID: id, wireName: name})
		s := genuine(it.Opaque)
		if s == "" && w.signs && !t.called {
			// The first call of a step must be signed; this documented word
			// stands for a signature that was lost or never made. It is
			// written in earlier turns too, where nobody checks it, so that
			// the conversation's bytes stay as they were.
			s = SkipSignature
		}
		t.called = true
		t.parts = append(t.parts, appendCall(nil, it, id, name, s))
	case llm.ItemToolResult:
		w.result(it)
	case llm.ItemOpaque:
		if it.From == llm.Gemini && len(it.Raw) > 0 && it.Type != "cachedContent" {
			t := w.open(it.Role == llm.Assistant)
			t.parts = append(t.parts, it.Raw)
			return
		}
		w.Lose(llm.LossRefuse, it.Path, "an item of type %q has no equal", it.Type)
	}
}

// instruction puts a system message from inside the conversation where it
// stood, as tagged text of the user.
func (w *requestWriter) instruction(it *llm.Item) {
	w.itemExt(it)
	for j := range it.Blocks {
		bl := &it.Blocks[j]
		if bl.Kind != llm.BlockText {
			w.Lose(llm.LossRefuse, it.Path, "a system message takes text only")
			continue
		}
		if bl.Text == "" || strings.HasPrefix(bl.Text, billing) {
			continue
		}
		t := w.open(false)
		t.parts = append(t.parts, append(span.Quote([]byte(`{"text":`), "<system-message>\n"+bl.Text+"\n</system-message>"), '}'))
		w.Lose(llm.LossWarn, it.Path, "approximated: a system message inside the conversation became tagged text of the user's turn")
	}
}

// callID gives the wire id of a call: the client's. One that stood before in
// the conversation gets a number, and an empty one is made from its place.
func (w *requestWriter) callID(it *llm.Item) string {
	if w.used == nil {
		w.used = map[string]int{}
	}
	id := it.Call.ID
	if id == "" {
		id = "call_" + hash(strconv.Itoa(len(w.turns))+"."+strconv.Itoa(len(w.calls)))
	}
	w.used[id]++
	if n := w.used[id]; n > 1 {
		id = "call_" + hash(id+"\x00"+strconv.Itoa(n))
	}
	return id
}

// result puts a tool result at the place of its call.
func (w *requestWriter) result(it *llm.Item) {
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
	kept.Blocks = nil
	var beside [][]byte
	inside := w.c.Can(llm.ImageInResult)
	for i := range it.Blocks {
		bl, ok := w.block(it, &it.Blocks[i])
		if !ok {
			continue
		}
		kept.Blocks = append(kept.Blocks, bl)
		if bl.Kind == llm.BlockText || bl.Kind == llm.BlockRefusal || bl.Kind == llm.BlockFile && bl.Media.Text != "" {
			continue
		}
		if !inside {
			w.Lose(llm.LossWarn, it.Path, "approximated: what a tool showed stands behind its result")
			beside = append(beside, append(appendBlock([]byte{'{'}, &bl), '}'))
		}
	}
	if at < 0 {
		w.Lose(llm.LossRefuse, it.Path, "a result for the call %q, which the turn before did not make", it.Result.CallID)
		t := w.open(false)
		t.parts = append(t.parts, append(span.Quote([]byte(`{"text":`), "[result of a tool call that is not shown]\n"+kept.Text()), '}'))
		return
	}
	p := &w.calls[at]
	p.answered = true
	t := w.answers()
	t.parts[at] = appendResult(nil, &kept, p.wireID, p.wireName, inside)
	t.beside = append(t.beside, beside...)
}

// content adds a message's blocks to the last turn. State of Google's own goes
// back on the part that it came with; a part that is nothing but state too.
func (w *requestWriter) content(it *llm.Item) {
	t := &w.turns[len(w.turns)-1]
	w.itemExt(it)
	var parts [][]byte
	for i := range it.Blocks {
		bl, ok := w.block(it, &it.Blocks[i])
		if !ok {
			continue
		}
		w.blockExt(it, &it.Blocks[i])
		parts = append(parts, append(appendBlock([]byte{'{'}, &bl), '}'))
	}
	if s := genuine(it.Opaque); s != "" && t.model {
		if len(parts) == 0 {
			parts = append(parts, []byte(`{"text":""}`))
		}
		last := parts[len(parts)-1]
		parts[len(parts)-1] = append(span.Quote(key(last[:len(last)-1], "thoughtSignature"), s), '}')
	}
	t.parts = append(t.parts, parts...)
}

// block makes a block ready to be written: the media type sniffed, the source
// in a form that the API takes. ok is false when it is empty or cannot be.
func (w *requestWriter) block(it *llm.Item, b *llm.Block) (_ llm.Block, ok bool) {
	out := *b
	out.Raw, out.From = nil, ""
	m := &out.Media
	refuse := func(format string, args ...any) (llm.Block, bool) {
		w.Lose(llm.LossRefuse, it.Path, format, args...)
		return out, false
	}
	switch b.Kind {
	case llm.BlockText, llm.BlockRefusal:
		if strings.HasPrefix(b.Text, billing) {
			w.Lose(llm.LossCarry, it.Path, "a line for Anthropic's accounting")
			return out, false
		}
		return out, b.Text != ""
	case llm.BlockOpaque:
		return refuse("a part of type %q has no equal", b.Type)
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
	} else if m.URL != "" && m.MIME == "" {
		m.MIME = mimeOf(m.URL)
	}
	switch b.Kind {
	case llm.BlockImage:
		if !w.c.Can(llm.Vision) {
			return refuse("the model takes no images")
		}
		switch m.MIME {
		case "image/jpg":
			m.MIME = "image/jpeg"
		case "":
			if m.Data != "" {
				return refuse("an image of an unknown type")
			}
		}
		if m.Detail != "" && m.Detail != "auto" {
			w.Lose(llm.LossWarn, it.Path, "dropped: detail %q of an image", m.Detail)
		}
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
			if m.Text == "" {
				w.Lose(llm.LossWarn, it.Path, "dropped: an empty document")
				return out, false
			}
			return out, true
		case m.Data != "" && m.MIME != "application/pdf":
			return refuse("a file of type %q", m.MIME)
		case !w.c.Can(llm.PDF):
			return refuse("the model takes no PDF")
		case m.MIME == "":
			m.MIME = "application/pdf"
		}
	case llm.BlockAudio:
		if !w.c.Can(llm.AudioInput) {
			return refuse("the model takes no audio")
		}
		if m.MIME == "" {
			m.MIME = "audio/wav"
		}
	}
	return out, true
}

// mimeOf guesses the media type of an address; "" when it does not tell.
func mimeOf(url string) string {
	url, _, _ = strings.Cut(url, "?")
	url, _, _ = strings.Cut(url, "#")
	switch strings.ToLower(path.Ext(url)) {
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".webp":
		return "image/webp"
	case ".pdf":
		return "application/pdf"
	}
	return ""
}

// sniff tells an image's or a document's media type from the first bytes of
// its base64, since clients mislabel; "" when unknown.
func sniff(data string) string {
	head := data[:min(len(data), 24)]
	head = head[:len(head)/4*4]
	b, err := base64.StdEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	s := string(b)
	switch {
	case strings.HasPrefix(s, "\x89PNG\r\n\x1a\n"):
		return "image/png"
	case strings.HasPrefix(s, "\xff\xd8\xff"):
		return "image/jpeg"
	case strings.HasPrefix(s, "GIF8"):
		return "image/gif"
	case len(s) >= 12 && s[:4] == "RIFF" && s[8:12] == "WEBP":
		return "image/webp"
	case strings.HasPrefix(s, "%PDF-"):
		return "application/pdf"
	}
	return ""
}

// ends sees to empty turns, to neighbours of one role, and to the first and
// the last turn.
func (w *requestWriter) ends() {
	kept := w.turns[:0]
	for _, t := range w.turns {
		if len(t.parts)+len(t.beside) == 0 {
			continue // nothing but empty text
		}
		if n := len(kept); n > 0 && kept[n-1].model == t.model && !kept[n-1].results && !t.results {
			kept[n-1].parts = append(kept[n-1].parts, t.parts...)
			continue
		}
		kept = append(kept, t)
	}
	w.turns = kept
	if len(w.turns) == 0 {
		w.Lose(llm.LossRefuse, "messages", "there is no text in the conversation")
		return
	}
	if w.turns[0].model {
		w.Lose(llm.LossWarn, "messages", "approximated: the conversation begins with the assistant, a user turn was put before it")
		first := turn{parts: [][]byte{[]byte(`{"text":"[The conversation begins with the assistant.]"}`)}}
		w.turns = append([]turn{first}, w.turns...)
	}
	if w.turns[len(w.turns)-1].model && !w.c.Can(llm.Prefill) {
		w.Lose(llm.LossRefuse, "messages", "the model does not go on from an assistant's turn")
	}
}
