package openai

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// Names that Item.Type carries for items of this dialect, so that they go back
// in the form in which they came.
const (
	typeLegacyCall = "function_call"     // the old functions form
	typeThinking   = "thinking"          // Mistral's content part
	typeContent    = "reasoning_content" // a bare text member of that name
	typeReasoning  = "reasoning"         // likewise
)

// DecodeRequest decodes a whole request body. Errors are *llm.Error of class
// InvalidRequest whose message begins with the path of what is wrong.
func (Codec) DecodeRequest(body []byte) (*llm.Request, error) {
	if _, err := span.Members(nil, body, heads); err != nil {
		return nil, broken(err)
	}
	d := requestDecoder{r: &llm.Request{From: llm.OpenAI, Raw: body}}
	d.top(body)
	if d.Err != nil {
		return nil, d.Err
	}
	return d.r, nil
}

// requestDecoder keeps the first error; what comes after it does not matter.
type requestDecoder struct {
	r *llm.Request
	forms.Body
	turn int
	// last are the latest assistant message's calls that no result without an
	// id was tied to yet: such results go by name, else by place.
	last []llm.Call
}

func (d *requestDecoder) string(path string, v []byte) string {
	switch span.Kind(v) {
	case '"':
		return span.Text(v)
	case 'n':
		return ""
	}
	d.Fail(path, "must be a string")
	return ""
}

func (d *requestDecoder) integer(path string, v []byte) *int64 {
	if span.IsNull(v) {
		return nil
	}
	n, ok := span.Integer(v)
	if !ok || n < 0 {
		d.Fail(path, "must be a whole number, not negative")
		return nil
	}
	return &n
}

func (d *requestDecoder) top(body []byte) {
	r := d.r
	var messages jsontext.Value
	var oldTokens *int64
	user := ""
	var legacyChoice jsontext.Value
	for name, v := range span.Fields(body) {
		switch n := string(name); n {
		case "model":
			if r.Model = d.string(n, v); r.Model == "" {
				d.Fail(n, "must be a string that is not empty")
			}
		case "messages":
			messages = v
		case "tools":
			d.tools(v)
		case "functions":
			d.functions(v)
			r.Ext = append(r.Ext, llm.Member{Name: n, Value: v})
		case "tool_choice":
			d.choice(v)
		case "function_call":
			legacyChoice = v
		case "parallel_tool_calls":
			r.ParallelCalls = d.Boolean(n, v)
		case "max_completion_tokens":
			r.MaxTokens = d.integer(n, v)
		case "max_tokens":
			oldTokens = d.integer(n, v)
		case "temperature":
			r.Sampling.Temperature = d.Number(n, v)
		case "top_p":
			r.Sampling.TopP = d.Number(n, v)
		case "top_k":
			r.Sampling.TopK = d.Number(n, v)
		case "frequency_penalty":
			r.Sampling.FrequencyPenalty = d.Number(n, v)
		case "presence_penalty":
			r.Sampling.PresencePenalty = d.Number(n, v)
		case "seed":
			r.Sampling.Seed = d.Number(n, v)
		case "stop":
			d.stop(v)
		case "stream":
			if b := d.Boolean(n, v); b != nil {
				r.Stream = *b
			}
		case "stream_options":
			d.streamOptions(v)
		case "reasoning_effort":
			d.effort(n, v)
		case "reasoning":
			d.reasoning(v)
		case "thinking":
			d.thinking(v)
		case "enable_thinking":
			if b := d.Boolean(n, v); b != nil {
				d.mode(*b)
			}
		case "thinking_budget":
			if b := d.integer(n, v); b != nil {
				r.Reasoning.Budget = *b
			}
		case "response_format":
			d.format(v)
		case "n":
			if k := d.integer(n, v); k != nil {
				r.N = int(min(*k, 1<<20))
			}
		case "safety_identifier":
			if id := d.string(n, v); id != "" {
				r.EndUser = id
			}
		case "user":
			user = d.string(n, v)
		case "service_tier":
			r.ServiceTier = d.string(n, v)
		default:
			r.Ext = append(r.Ext, llm.Member{Name: n, Value: v})
		}
	}
	if r.MaxTokens == nil {
		r.MaxTokens = oldTokens
	}
	if r.EndUser == "" {
		r.EndUser = user
	}
	if legacyChoice != nil && r.Choice.Mode == "" {
		d.legacyChoice(legacyChoice)
	}
	if r.Model == "" {
		d.Fail("model", "is missing")
	}
	if !span.IsArray(messages) {
		d.Fail("messages", "must be an array")
	}
	for i, m := range span.Elements(messages) {
		if d.Err != nil {
			return
		}
		d.turn = i
		d.message("messages."+strconv.Itoa(i), m)
	}
}

func (d *requestDecoder) streamOptions(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsObject(v) {
		d.Fail("stream_options", "must be an object")
	}
	for name, v := range span.Fields(v) {
		n := "stream_options." + string(name)
		switch string(name) {
		case "include_usage":
			if b := d.Boolean(n, v); b != nil {
				d.r.IncludeUsage = *b
			}
		case "include_obfuscation": // only how this wire pads its chunks
		default:
			d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
		}
	}
}

func (d *requestDecoder) stop(v jsontext.Value) {
	switch span.Kind(v) {
	case '"':
		d.r.Stop = []string{span.Text(v)}
	case 'n':
	case '[':
		for i, s := range span.Elements(v) {
			if !span.IsString(s) {
				d.Fail("stop."+strconv.Itoa(i), "must be a string")
			}
			d.r.Stop = append(d.r.Stop, span.Text(s))
		}
	default:
		d.Fail("stop", "must be a string or an array of strings")
	}
}

func (d *requestDecoder) mode(on bool) {
	if on {
		d.r.Reasoning.Mode = llm.ThinkOn
	} else {
		d.r.Reasoning.Mode = llm.ThinkOff
	}
}

func (d *requestDecoder) effort(path string, v jsontext.Value) {
	switch e := d.string(path, v); e {
	case "":
	case "none":
		d.r.Reasoning.Effort = e
		d.r.Reasoning.Mode = llm.ThinkOff
	default:
		d.r.Reasoning.Effort = e
	}
}

// reasoning reads OpenRouter's object.
func (d *requestDecoder) reasoning(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsObject(v) {
		d.r.Ext = append(d.r.Ext, llm.Member{Name: "reasoning", Value: v})
		return
	}
	for name, v := range span.Fields(v) {
		n := "reasoning." + string(name)
		switch string(name) {
		case "effort":
			d.effort(n, v)
		case "max_tokens":
			if b := d.integer(n, v); b != nil {
				d.r.Reasoning.Budget = *b
			}
		case "enabled":
			if b := d.Boolean(n, v); b != nil {
				d.mode(*b)
			}
		case "exclude":
			if b := d.Boolean(n, v); b != nil && *b {
				d.r.Reasoning.Display = "omitted"
			}
		default:
			d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
		}
	}
}

// thinking reads the object that DeepSeek, Z.ai and Moonshot took over from
// Anthropic.
func (d *requestDecoder) thinking(v jsontext.Value) {
	if !span.IsObject(v) {
		if !span.IsNull(v) {
			d.r.Ext = append(d.r.Ext, llm.Member{Name: "thinking", Value: v})
		}
		return
	}
	for name, v := range span.Fields(v) {
		n := "thinking." + string(name)
		switch string(name) {
		case "type":
			switch t := d.string(n, v); t {
			case "enabled":
				d.r.Reasoning.Mode = llm.ThinkOn
			case "disabled":
				d.r.Reasoning.Mode = llm.ThinkOff
			case "adaptive", "auto":
				d.r.Reasoning.Mode = llm.ThinkAdaptive
			default:
				d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
			}
		case "budget_tokens":
			if b := d.integer(n, v); b != nil {
				d.r.Reasoning.Budget = *b
			}
		default:
			d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
		}
	}
}

func (d *requestDecoder) format(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsObject(v) {
		d.Fail("response_format", "must be an object")
	}
	f := &d.r.Format
	var schema jsontext.Value
	for name, v := range span.Fields(v) {
		n := "response_format." + string(name)
		switch string(name) {
		case "type":
			switch t := d.string(n, v); t {
			case "text":
				f.Kind = llm.FormatText
			case "json_object":
				f.Kind = llm.FormatJSONObject
			case "json_schema":
				f.Kind = llm.FormatJSONSchema
			default:
				d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
			}
		case "json_schema":
			schema = v
		default:
			d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
		}
	}
	for name, v := range span.Fields(schema) {
		n := "response_format.json_schema." + string(name)
		switch string(name) {
		case "name":
			f.Name = d.string(n, v)
		case "description":
			f.Description = d.string(n, v)
		case "schema":
			f.Schema = v
		case "strict":
			f.Strict = d.Boolean(n, v)
		default:
			d.r.Ext = append(d.r.Ext, llm.Member{Name: n, Value: v})
		}
	}
	if f.Kind == llm.FormatJSONSchema && !span.IsObject(schema) {
		d.Fail("response_format.json_schema", "must be an object")
	}
}

func (d *requestDecoder) tools(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsArray(v) {
		d.Fail("tools", "must be an array")
	}
	for i, raw := range span.Elements(v) {
		path := "tools." + strconv.Itoa(i)
		if !span.IsObject(raw) {
			d.Fail(path, "must be an object")
			return
		}
		t := llm.Tool{From: llm.OpenAI, Raw: raw}
		var function, custom jsontext.Value
		for name, v := range span.Fields(raw) {
			switch n := string(name); n {
			case "type":
				t.Type = d.string(path+".type", v)
			case "function":
				function = v
			case "custom":
				custom = v
			case "cache_control":
				t.Cache = v
			default:
				t.Ext = append(t.Ext, llm.Member{Name: n, Value: v})
			}
		}
		switch {
		case (t.Type == "function" || t.Type == "") && span.IsObject(function):
			t.Type = ""
			d.function(&t, path+".function", function)
		case t.Type == "custom" && span.IsObject(custom):
			t.Name = d.string(path+".custom.name", span.Field(custom, "name"))
			t.Description = span.Text(span.Field(custom, "description"))
		case t.Type == "function" || t.Type == "custom" || t.Type == "":
			d.Fail(path, "needs its %s object", or(t.Type, "function"))
		default: // a vendor's own tool
			t.Name = span.Text(span.Field(raw, "name"))
		}
		d.r.Tools = append(d.r.Tools, t)
	}
}

func (d *requestDecoder) function(t *llm.Tool, path string, raw jsontext.Value) {
	for name, v := range span.Fields(raw) {
		switch n := string(name); n {
		case "name":
			t.Name = d.string(path+".name", v)
		case "description":
			t.Description = d.string(path+".description", v)
		case "parameters":
			if !span.IsNull(v) {
				t.Schema = v
			}
		case "strict":
			t.Strict = d.Boolean(path+".strict", v)
		default:
			t.Ext = append(t.Ext, llm.Member{Name: n, Value: v})
		}
	}
	if t.Name == "" {
		d.Fail(path+".name", "is missing")
	}
}

// functions reads the old form of tools.
func (d *requestDecoder) functions(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsArray(v) {
		d.Fail("functions", "must be an array")
	}
	for i, raw := range span.Elements(v) {
		t := llm.Tool{From: llm.OpenAI, Raw: raw}
		d.function(&t, "functions."+strconv.Itoa(i), raw)
		d.r.Tools = append(d.r.Tools, t)
	}
}

func (d *requestDecoder) choice(v jsontext.Value) {
	c := &d.r.Choice
	switch span.Kind(v) {
	case 'n':
		return
	case '"':
		switch s := span.Text(v); s {
		case "auto":
			c.Mode = llm.ToolAuto
		case "none":
			c.Mode = llm.ToolNone
		case "required", "any": // Mistral says any
			c.Mode = llm.ToolAny
		default:
			d.Fail("tool_choice", "has the unknown value %q", s)
		}
		return
	case '{':
	default:
		d.Fail("tool_choice", "must be a string or an object")
		return
	}
	switch t := span.Text(span.Field(v, "type")); t {
	case "function", "custom", "", "tool": // xAI and MiniMax take "tool" as well
		if t == "" || t == "tool" {
			t = "function"
		}
		c.Mode, c.Name = llm.ToolOnly, span.Text(span.At(v, t, "name"))
		if c.Name == "" {
			c.Name = span.Text(span.Field(v, "name"))
		}
		if c.Name == "" {
			d.Fail("tool_choice", "names no tool")
		}
	case "allowed_tools":
		a := span.Field(v, "allowed_tools")
		c.Mode = llm.ToolSubset
		c.Forced = span.Text(span.Field(a, "mode")) == "required"
		for _, tool := range span.Elements(span.Field(a, "tools")) {
			kind := or(span.Text(span.Field(tool, "type")), "function")
			if n := span.Text(span.At(tool, kind, "name")); n != "" {
				c.Names = append(c.Names, n)
			} else if n := span.Text(span.Field(tool, "name")); n != "" {
				c.Names = append(c.Names, n)
			} else {
				d.Fail("tool_choice.allowed_tools", "has a tool without a name")
			}
		}
	case "auto":
		c.Mode = llm.ToolAuto
	case "none":
		c.Mode = llm.ToolNone
	case "required", "any":
		c.Mode = llm.ToolAny
	default:
		d.Fail("tool_choice.type", "has the unknown value %q", t)
	}
}

func (d *requestDecoder) legacyChoice(v jsontext.Value) {
	switch span.Kind(v) {
	case 'n':
	case '"':
		switch s := span.Text(v); s {
		case "auto":
			d.r.Choice.Mode = llm.ToolAuto
		case "none":
			d.r.Choice.Mode = llm.ToolNone
		default:
			d.Fail("function_call", "has the unknown value %q", s)
		}
	case '{':
		d.r.Choice = llm.ToolChoice{Mode: llm.ToolOnly, Name: span.Text(span.Field(v, "name"))}
	default:
		d.Fail("function_call", "must be a string or an object")
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// message reads one message into one or more items of one turn.
func (d *requestDecoder) message(path string, raw jsontext.Value) {
	if !span.IsObject(raw) {
		d.Fail(path, "must be an object")
		return
	}
	var m struct {
		role, name, id, reasoning, reasoningContent, refusal string
		content, details, calls, legacy, cache               jsontext.Value
		ext, spelled                                         []llm.Member
		hasReasoning, hasReasoningContent, hasRefusal        bool
	}
	for name, v := range span.Fields(raw) {
		switch n := string(name); n {
		case "role":
			m.role = d.string(path+".role", v)
		case "content":
			m.content = v
		case "name":
			m.name = d.string(path+".name", v)
		case "tool_call_id":
			m.id = d.string(path+".tool_call_id", v)
		case "tool_calls":
			if !span.IsNull(v) && !span.IsArray(v) {
				d.Fail(path+".tool_calls", "must be an array")
			}
			m.calls = v
		case "function_call":
			m.legacy = v
		case "refusal":
			m.refusal, m.hasRefusal = span.Text(v), span.IsString(v)
		case "reasoning_content":
			m.reasoningContent, m.hasReasoningContent = span.Text(v), span.IsString(v)
			m.spelled = append(m.spelled, llm.Member{Name: n, Value: v})
		case "reasoning":
			m.reasoning, m.hasReasoning = span.Text(v), span.IsString(v)
			m.spelled = append(m.spelled, llm.Member{Name: n, Value: v})
		case "reasoning_details":
			m.details = v
			m.spelled = append(m.spelled, llm.Member{Name: n, Value: v})
		case "cache_control":
			m.cache = v
		default:
			if !span.IsNull(v) {
				m.ext = append(m.ext, llm.Member{Name: n, Value: v})
			}
		}
	}
	item := llm.Item{Kind: llm.ItemMessage, Turn: d.turn, Path: path, Name: m.name, Cache: m.cache, From: llm.OpenAI}
	switch m.role {
	case "system":
		item.Role = llm.System
	case "developer":
		item.Role = llm.Developer
	case "user":
		item.Role = llm.User
	case "assistant":
		item.Role = llm.Assistant
	case "tool", "function":
		item.Kind, item.Role = llm.ItemToolResult, llm.User
		item.Name = ""
		item.Result = llm.Result{CallID: m.id, Name: m.name}
		if m.role == "function" {
			item.Type = typeLegacyCall
		}
		if m.id == "" {
			item.Result.CallID = d.tie(m.name)
			item.Raw = raw // it has no id to go back with
		}
	case "":
		d.Fail(path+".role", "is missing")
	default:
		d.Fail(path+".role", "has the unknown value %q", m.role)
	}
	var thinking []llm.Item
	item.Blocks, thinking = d.content(path+".content", m.content, m.role)
	item.Ext = m.ext
	if m.role != "assistant" {
		for _, t := range thinking { // only an assistant thinks; keep it in place
			item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockOpaque, Type: t.Type, From: llm.OpenAI, Raw: t.Raw})
		}
		d.r.Items = append(d.r.Items, item)
		return
	}
	items := thinking
	if span.IsArray(m.details) {
		items = append(items, details(m.details)...)
	}
	shown := false
	for i := range items {
		shown = shown || items[i].Text() != ""
	}
	switch { // the same thought under a second name is not a second thought
	case shown:
	case m.hasReasoningContent && (m.reasoningContent != "" || !m.hasReasoning):
		items = withText(items, typeContent, m.reasoningContent)
	case m.hasReasoning:
		items = withText(items, typeReasoning, m.reasoning)
	}
	keepSpelling(items, m.spelled)
	for i := range items {
		items[i].Turn, items[i].Path = d.turn, path
	}
	if m.hasRefusal {
		item.Blocks = append(item.Blocks, llm.Block{Kind: llm.BlockRefusal, Text: m.refusal, From: llm.OpenAI})
	}
	calls := d.calls(path, m.calls, m.legacy)
	if item.Blocks != nil || len(calls) == 0 || len(item.Ext) > 0 || item.Name != "" || len(item.Cache) > 0 {
		items = append(items, item)
	}
	d.r.Items = append(append(d.r.Items, items...), calls...)
}

// tie gives the id of the call that a result without an id answers.
func (d *requestDecoder) tie(name string) string {
	for i, c := range d.last {
		if name == "" || c.Name == name {
			d.last = append(d.last[:i:i], d.last[i+1:]...)
			return c.ID
		}
	}
	return ""
}

// keepSpelling keeps the thinking members of a message as they stood, for the
// way back to this dialect: which of the three names there were, and what each
// said, does not follow from the thoughts. They are in Ext of the first
// thought.
func keepSpelling(thoughts []llm.Item, members []llm.Member) {
	if len(thoughts) > 0 && len(members) > 0 {
		thoughts[0].Ext = members
	}
}

// spelling gives the members that keepSpelling kept.
func spelling(thoughts []*llm.Item) []llm.Member {
	for _, it := range thoughts {
		if it.From == llm.OpenAI && len(it.Ext) > 0 {
			return it.Ext
		}
	}
	return nil
}

// withText adds the text of a bare member to thoughts whose details show none:
// to the one that is a signature without its text, else as one of its own.
func withText(thoughts []llm.Item, name, s string) []llm.Item {
	if len(thoughts) == 1 && thoughts[0].Type == "reasoning.text" && len(thoughts[0].Opaque) > 0 && s != "" {
		thoughts[0].Blocks = thought(name, s).Blocks
		thoughts[0].Raw = nil // has no text
		return thoughts
	}
	return append([]llm.Item{thought(name, s)}, thoughts...)
}

func thought(name, s string) llm.Item {
	it := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Type: name, From: llm.OpenAI}
	it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.OpenAI}}
	return it
}

// details reads reasoning_details in OpenRouter's shape: texts of one index
// belong together with the signature of that index; the rest are items of
// their own.
func details(v jsontext.Value) []llm.Item {
	var items []llm.Item
	open := -1 // the index of the text that the last item holds
	for _, raw := range span.Elements(v) {
		kind, format, index := span.Text(span.Field(raw, "type")), issuer(span.Text(span.Field(raw, "format"))), -1
		if n, ok := span.Integer(span.Field(raw, "index")); ok {
			index = int(n)
		}
		if kind == "" { // some client libraries give the type elsewhere
			kind = "reasoning.text"
		}
		it := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Type: kind, From: llm.OpenAI, Raw: raw,
			ID: span.Text(span.Field(raw, "id")), Name: format}
		switch kind {
		case "reasoning.text":
			words, signature := span.Text(span.Field(raw, "text")), span.Text(span.Field(raw, "signature"))
			if n := len(items) - 1; n >= 0 && open >= 0 && open == index && items[n].Type == kind {
				if words != "" {
					items[n].Blocks = append(items[n].Blocks, llm.Block{Kind: llm.BlockText, Text: words, From: llm.OpenAI})
				}
				if signature != "" {
					items[n].Opaque = []llm.Opaque{{Issuer: or(format, llm.IssuerUnknown), Kind: llm.OpaqueSignature, Data: signature}}
				}
				if format != "" {
					items[n].Name = format
				}
				items[n].Raw = nil // it is of several pieces now
				continue
			}
			if words != "" {
				it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: words, From: llm.OpenAI}}
			}
			if signature != "" {
				it.Opaque = []llm.Opaque{{Issuer: or(format, llm.IssuerUnknown), Kind: llm.OpaqueSignature, Data: signature}}
			}
			open = index
		case "reasoning.summary":
			if s := span.Text(span.Field(raw, "summary")); s != "" {
				it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.OpenAI}}
			}
			open = -1
		case "reasoning.encrypted":
			k := llm.OpaqueEncrypted
			if format == llm.IssuerAnthropic {
				k = llm.OpaqueRedacted
			}
			if data := span.Text(span.Field(raw, "data")); data != "" {
				it.Opaque = []llm.Opaque{{Issuer: or(format, llm.IssuerUnknown), Kind: k, Data: data}}
			}
			open = -1
		default:
			open = -1
		}
		items = append(items, it)
	}
	return items
}

// issuer tidies a format. SDKs that add up the strings of stream deltas
// (openai-python's accumulator, 2026-08) send it back several times over.
func issuer(format string) string {
	for n := 1; n <= len(format)/2; n++ {
		if len(format)%n == 0 && strings.Repeat(format[:n], len(format)/n) == format {
			return format[:n]
		}
	}
	return format
}

// calls reads tool_calls and the old function_call.
func (d *requestDecoder) calls(path string, calls, legacy jsontext.Value) []llm.Item {
	var items []llm.Item
	d.last = nil
	note := func(it llm.Item) {
		d.last = append(d.last, it.Call)
		items = append(items, it)
	}
	for i, raw := range span.Elements(calls) {
		p := path + ".tool_calls." + strconv.Itoa(i)
		it, err := readCall(raw)
		if err != nil {
			d.Fail(p, "%s", err)
			return nil
		}
		if it.Call.ID == "" { // tied to its result by place
			it.Call.ID = fmt.Sprintf("call_%d_%d", d.turn, i)
		}
		it.Turn, it.Path = d.turn, p
		note(it)
	}
	if span.IsObject(legacy) {
		it := readFunctionCall(legacy)
		it.Call.ID = fmt.Sprintf("call_%d", d.turn)
		it.Turn, it.Path = d.turn, path+".function_call"
		if it.Call.Name == "" {
			d.Fail(it.Path, "names no function")
		}
		note(it)
	}
	return items
}

func readFunctionCall(raw jsontext.Value) llm.Item {
	it := llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Type: typeLegacyCall, From: llm.OpenAI, Raw: raw}
	it.Call.Name = span.Text(span.Field(raw, "name"))
	it.Call.Arguments = arguments(span.Field(raw, "arguments"))
	return it
}

// arguments gives the bytes of a call's arguments: the content of the string,
// or, from servers that put an object there, that object.
func arguments(v jsontext.Value) []byte {
	switch span.Kind(v) {
	case '"':
		return []byte(span.Text(v))
	case '{':
		return v
	}
	return nil
}

func readCall(raw jsontext.Value) (llm.Item, error) {
	it := llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, From: llm.OpenAI, Raw: raw}
	if !span.IsObject(raw) {
		return it, errors.New("must be an object")
	}
	var function, custom jsontext.Value
	kind := ""
	for name, v := range span.Fields(raw) {
		switch n := string(name); n {
		case "id":
			it.Call.ID = span.Text(v)
		case "type":
			kind = span.Text(v)
		case "function":
			function = v
		case "custom":
			custom = v
		case "cache_control":
			it.Cache = v
		case "index": // a trace of the stream that it came in
		default:
			if n == extraContent {
				it.Opaque = callState(v)
			}
			if !span.IsNull(v) {
				it.Ext = append(it.Ext, llm.Member{Name: n, Value: v})
			}
		}
	}
	switch {
	case kind == "custom" || kind == "" && function == nil && span.IsObject(custom):
		it.Call.Custom = true
		it.Call.Name = span.Text(span.Field(custom, "name"))
		it.Call.Arguments = []byte(span.Text(span.Field(custom, "input")))
	case span.IsObject(function):
		it.Call.Name = span.Text(span.Field(function, "name"))
		it.Call.Arguments = arguments(span.Field(function, "arguments"))
	default:
		return it, errors.New("is neither a function nor a custom tool call")
	}
	if it.Call.Name == "" {
		return it, errors.New("names no tool")
	}
	return it, nil
}

// content reads a message's content: blocks, and the thinking parts that
// Mistral puts among them.
func (d *requestDecoder) content(path string, v jsontext.Value, role string) (blocks []llm.Block, thinking []llm.Item) {
	switch span.Kind(v) {
	case 0, 'n':
		return nil, nil
	case '"':
		return []llm.Block{{Kind: llm.BlockText, Text: span.Text(v), From: llm.OpenAI}}, nil
	case '[':
	default:
		d.Fail(path, "must be a string or an array of parts")
		return nil, nil
	}
	for i, raw := range span.Elements(v) {
		p := path + "." + strconv.Itoa(i)
		if span.IsString(raw) { // some templates take bare strings in the array
			blocks = append(blocks, llm.Block{Kind: llm.BlockText, Text: span.Text(raw), From: llm.OpenAI, Raw: raw})
			continue
		}
		if !span.IsObject(raw) {
			d.Fail(p, "must be an object")
			return nil, nil
		}
		if span.Text(span.Field(raw, "type")) == typeThinking {
			thinking = append(thinking, mistralThinking(raw))
			continue
		}
		blocks = append(blocks, d.part(p, raw))
	}
	if len(blocks) == 0 && len(thinking) == 0 { // [] is not null
		blocks = []llm.Block{}
	}
	return blocks, thinking
}

// mistralThinking reads {"type":"thinking","thinking":[{"type":"text",...}]}.
func mistralThinking(raw jsontext.Value) llm.Item {
	it := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Type: typeThinking, From: llm.OpenAI, Raw: raw}
	if s := thinkingText(span.Field(raw, "thinking")); s != "" {
		it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.OpenAI}}
	}
	return it
}

func thinkingText(v jsontext.Value) string {
	if span.IsString(v) {
		return span.Text(v)
	}
	s := ""
	for _, part := range span.Elements(v) {
		s += span.Text(span.Field(part, "text"))
	}
	return s
}

func (d *requestDecoder) part(path string, raw jsontext.Value) llm.Block {
	b := llm.Block{From: llm.OpenAI, Raw: raw}
	var payload jsontext.Value
	kind := span.Text(span.Field(raw, "type"))
	for name, v := range span.Fields(raw) {
		switch n := string(name); n {
		case "type":
		case "cache_control":
			b.Cache = v
		case kind:
			payload = v
		default:
			b.Ext = append(b.Ext, llm.Member{Name: n, Value: v})
		}
	}
	switch kind {
	case "text", "input_text", "output_text":
		if kind != "text" {
			payload = span.Field(raw, "text")
			b.Ext = nil
		}
		if !span.IsString(payload) {
			d.Fail(path+".text", "must be a string")
		}
		b.Kind, b.Text = llm.BlockText, span.Text(payload)
	case "refusal":
		b.Kind, b.Text = llm.BlockRefusal, span.Text(payload)
	case "image_url":
		b.Kind = llm.BlockImage
		url := payload
		if span.IsObject(payload) {
			url = span.Field(payload, "url")
			b.Media.Detail = span.Text(span.Field(payload, "detail"))
		}
		if !span.IsString(url) {
			d.Fail(path+".image_url", "must have a url")
		}
		forms.Source(&b.Media, span.Text(url))
	case "input_audio":
		b.Kind = llm.BlockAudio
		b.Media.Data = span.Text(span.Field(payload, "data"))
		if span.IsString(payload) { // Mistral
			b.Media.Data = span.Text(payload)
		}
		if i := strings.Index(b.Media.Data, ";base64,"); i >= 0 && strings.HasPrefix(b.Media.Data, "data:") {
			b.Media.Data = b.Media.Data[i+len(";base64,"):]
		}
		if f := span.Text(span.Field(payload, "format")); f != "" {
			b.Media.MIME = "audio/" + f
		}
		if b.Media.Data == "" {
			d.Fail(path+".input_audio", "must have data")
		}
	case "file":
		b.Kind = llm.BlockFile
		b.Media.Name = span.Text(span.Field(payload, "filename"))
		b.Media.FileID = span.Text(span.Field(payload, "file_id"))
		if data := span.Text(span.Field(payload, "file_data")); data != "" {
			forms.Source(&b.Media, data)
			if b.Media.Data == "" && !strings.Contains(b.Media.URL, ":") { // bare base64
				b.Media.Data, b.Media.URL = b.Media.URL, ""
			}
			if b.Media.MIME == "" && (strings.HasSuffix(strings.ToLower(b.Media.Name), ".pdf") || strings.HasPrefix(b.Media.Data, "JVBERi")) {
				b.Media.MIME = "application/pdf"
			}
		}
		if b.Media.FileID == "" && b.Media.Data == "" && b.Media.URL == "" {
			d.Fail(path+".file", "must have file_data or file_id")
		}
	case "document_url": // Mistral
		b.Kind = llm.BlockFile
		forms.Source(&b.Media, span.Text(payload))
		b.Media.Name = span.Text(span.Field(raw, "document_name"))
		b.Ext = nil
	default:
		b.Kind, b.Type, b.Ext = llm.BlockOpaque, kind, nil
	}
	return b
}
