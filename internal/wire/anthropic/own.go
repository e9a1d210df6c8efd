package anthropic

import (
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// The members whose own members are words: what is unknown in them is kept
// under a dotted name.
var nested = []string{"tool_choice.", "thinking.", "output_config.", "metadata."}

// encodeOwn writes a request that came in this dialect: every untouched block
// goes back as it came, unknown members return to their place, and nothing is
// fitted to the target. What is left out is only thinking that no Anthropic
// model signed (it is the gateway's own wrapping, or nothing at all) and an
// explicit "stream": false, which is the default.
func encodeOwn(r *llm.Request, model string) llm.Encoded {
	var out llm.Encoded
	b := make([]byte, 0, 4096)
	b = append(b, '{')
	if model != "" {
		b = span.Quote(key(b, "model"), model)
	}
	if r.MaxTokens != nil {
		b = strconv.AppendInt(key(b, "max_tokens"), *r.MaxTokens, 10)
	}
	if r.Stream {
		b = append(key(b, "stream"), "true"...)
	}
	ext := func(name string) bool {
		for i := range r.Ext {
			if r.Ext[i].Name == name {
				return true
			}
		}
		return false
	}
	dotted := func(b []byte, prefix string) []byte {
		for i := range r.Ext {
			name, ok := strings.CutPrefix(r.Ext[i].Name, prefix)
			if ok && !(prefix == "output_config." && strings.HasPrefix(name, "format.")) {
				b = append(key(b, name), r.Ext[i].Value...)
			}
		}
		return b
	}
	hasDotted := func(prefix string) bool {
		for i := range r.Ext {
			if strings.HasPrefix(r.Ext[i].Name, prefix) {
				return true
			}
		}
		return false
	}
	if s := r.Sampling.Temperature; len(s) > 0 {
		b = append(key(b, "temperature"), s...)
	}
	if s := r.Sampling.TopP; len(s) > 0 {
		b = append(key(b, "top_p"), s...)
	}
	if s := r.Sampling.TopK; len(s) > 0 {
		b = append(key(b, "top_k"), s...)
	}
	if r.Stop != nil {
		b = appendStrings(key(b, "stop_sequences"), r.Stop)
	}
	if r.ServiceTier != "" {
		b = span.Quote(key(b, "service_tier"), r.ServiceTier)
	}
	if r.EndUser != "" || hasDotted("metadata.") {
		b = append(key(b, "metadata"), '{')
		if r.EndUser != "" {
			b = span.Quote(key(b, "user_id"), r.EndUser)
		}
		b = append(dotted(b, "metadata."), '}')
	}
	if r.Reasoning.Mode != "" || hasDotted("thinking.") {
		b = append(key(b, "thinking"), '{')
		if t := thinkingType(r.Reasoning.Mode); t != "" {
			b = span.Quote(key(b, "type"), t)
		}
		if r.Reasoning.Budget > 0 {
			b = strconv.AppendInt(key(b, "budget_tokens"), r.Reasoning.Budget, 10)
		}
		if r.Reasoning.Display != "" {
			b = span.Quote(key(b, "display"), r.Reasoning.Display)
		}
		b = append(dotted(b, "thinking."), '}')
	}
	format := r.Format.Kind == llm.FormatJSONSchema && !ext("output_format")
	if r.Reasoning.Effort != "" || format || hasDotted("output_config.") {
		b = append(key(b, "output_config"), '{')
		if r.Reasoning.Effort != "" {
			b = span.Quote(key(b, "effort"), r.Reasoning.Effort)
		}
		if format {
			b = append(key(b, "format"), `{"type":"json_schema","schema":`...)
			b = append(b, r.Format.Schema...)
			b = append(dotted(b, "output_config.format."), '}')
		}
		b = append(dotted(b, "output_config."), '}')
	}
	if r.Choice.Mode != "" || hasDotted("tool_choice.") {
		b = append(key(b, "tool_choice"), '{')
		b = span.Quote(key(b, "type"), choiceType(r.Choice.Mode))
		if r.Choice.Mode == llm.ToolOnly {
			b = span.Quote(key(b, "name"), r.Choice.Name)
		}
		if r.ParallelCalls != nil {
			b = strconv.AppendBool(key(b, "disable_parallel_tool_use"), !*r.ParallelCalls)
		}
		b = append(dotted(b, "tool_choice."), '}')
	}
members:
	for i := range r.Ext {
		for _, prefix := range nested {
			if strings.HasPrefix(r.Ext[i].Name, prefix) {
				continue members
			}
		}
		b = append(key(b, r.Ext[i].Name), r.Ext[i].Value...)
	}
	if r.Tools != nil {
		b = append(key(b, "tools"), '[')
		for i := range r.Tools {
			b = comma(b)
			if t := &r.Tools[i]; len(t.Raw) > 0 && t.From == llm.Anthropic {
				b = append(b, t.Raw...)
			} else {
				b = appendTool(b, t, t.Name, true)
			}
		}
		b = append(b, ']')
	}
	items := r.Items
	if len(items) > 0 && items[0].Path == "system" {
		b = appendContent(key(b, "system"), items[:1], &out)
		items = items[1:]
	}
	b = append(key(b, "messages"), '[')
	for len(items) > 0 {
		n := 1
		for n < len(items) && items[n].Turn == items[0].Turn && items[n].Role == items[0].Role {
			n++
		}
		b = appendOwnMessage(b, items[:n], &out)
		items = items[n:]
	}
	b = append(b, "]}"...)
	out.Body = [][]byte{b}
	return out
}

// appendOwnMessage writes the message that the items of one turn make; nothing
// when all of it was left out.
func appendOwnMessage(b []byte, items []llm.Item, out *llm.Encoded) []byte {
	before := len(b)
	b = append(comma(b), `{"role":`...)
	b = span.Quote(b, string(items[0].Role))
	losses := len(out.Losses)
	b = appendContent(key(b, "content"), items, out)
	if len(out.Losses) > losses && b[len(b)-1] == ']' && b[len(b)-2] == '[' {
		return b[:before]
	}
	for i := range items {
		if items[i].Kind != llm.ItemMessage {
			continue
		}
		for _, m := range items[i].Ext {
			b = append(key(b, m.Name), m.Value...)
		}
	}
	return append(b, '}')
}

// appendContent writes the content that items make: a string if it was one.
func appendContent(b []byte, items []llm.Item, out *llm.Encoded) []byte {
	if len(items) == 1 && items[0].Kind == llm.ItemMessage && len(items[0].Blocks) == 1 {
		if block := &items[0].Blocks[0]; len(block.Raw) == 0 && plainText(block) {
			return span.Quote(b, block.Text)
		}
	}
	b = append(b, '[')
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemMessage:
			for j := range it.Blocks {
				b = appendBlock(comma(b), &it.Blocks[j])
			}
			continue
		case llm.ItemReasoning:
			_, signed := genuine(it.Opaque, llm.OpaqueSignature)
			_, redacted := genuine(it.Opaque, llm.OpaqueRedacted)
			if !signed && !redacted {
				out.Losses = append(out.Losses, llm.Loss{Kind: llm.LossCarry, Path: it.Path, Why: "left out: thinking that no Anthropic model signed"})
				continue
			}
		}
		// Our own wrapping can hold Anthropic's state too; then it is unpacked.
		ours := it.Kind == llm.ItemReasoning && span.Has(it.Raw, ourMark)
		if len(it.Raw) > 0 && it.From == llm.Anthropic && !ours {
			b = append(comma(b), it.Raw...)
			continue
		}
		switch it.Kind {
		case llm.ItemReasoning:
			b = appendThinking(b, it)
		case llm.ItemToolCall:
			b = appendToolUse(comma(b), it, it.Call.ID, it.Call.Name)
		case llm.ItemToolResult:
			b = appendResult(comma(b), it, it.Result.CallID)
		}
	}
	return append(b, ']')
}

// plainText reports whether a text block has nothing but text.
func plainText(b *llm.Block) bool {
	return b.Kind == llm.BlockText && len(b.Cache) == 0 && len(b.Citations) == 0 && (len(b.Ext) == 0 || b.From != llm.Anthropic)
}

// appendBlock writes a block of content: its own bytes if it has some, else
// from the words. The caller has seen to it that the block can be written.
func appendBlock(b []byte, block *llm.Block) []byte {
	if len(block.Raw) > 0 && block.From == llm.Anthropic {
		return append(b, block.Raw...)
	}
	switch block.Kind {
	case llm.BlockText, llm.BlockRefusal:
		b = append(b, `{"type":"text","text":`...)
		b = span.Quote(b, block.Text)
		if len(block.Citations) > 0 && block.From == llm.Anthropic {
			b = append(key(b, "citations"), block.Citations...)
		}
	case llm.BlockImage:
		b = append(b, `{"type":"image","source":`...)
		b = appendSource(b, &block.Media)
	case llm.BlockFile:
		b = append(b, `{"type":"document","source":`...)
		b = appendSource(b, &block.Media)
		if block.Media.Name != "" {
			b = span.Quote(key(b, "title"), block.Media.Name)
		}
	default:
		b = append(b, `{"type":"text","text":`...)
		b = span.Quote(b, "["+string(block.Kind)+"]")
	}
	b = appendCache(b, block.Cache)
	if block.From == llm.Anthropic {
		for _, m := range block.Ext {
			b = append(key(b, m.Name), m.Value...)
		}
	}
	return append(b, '}')
}

func appendSource(b []byte, m *llm.Media) []byte {
	switch {
	case m.Data != "":
		b = append(b, `{"type":"base64","media_type":`...)
		b = span.Quote(b, m.MIME)
		b = span.Quote(key(b, "data"), m.Data)
	case m.URL != "":
		b = append(b, `{"type":"url","url":`...)
		b = span.Quote(b, m.URL)
	case m.FileID != "":
		b = append(b, `{"type":"file","file_id":`...)
		b = span.Quote(b, m.FileID)
	default:
		b = append(b, `{"type":"text","media_type":"text/plain","data":`...)
		b = span.Quote(b, m.Text)
	}
	return append(b, '}')
}

// appendThinking writes genuine thinking, each with its comma; nothing else.
func appendThinking(b []byte, it *llm.Item) []byte {
	if s, ok := genuine(it.Opaque, llm.OpaqueSignature); ok {
		b = append(comma(b), `{"type":"thinking","thinking":`...)
		b = span.Quote(b, it.Text())
		b = span.Quote(key(b, "signature"), s)
		b = append(b, '}')
	}
	for i := range it.Opaque {
		if o := &it.Opaque[i]; o.Issuer == llm.IssuerAnthropic && o.Kind == llm.OpaqueRedacted && o.Data != "" {
			b = append(comma(b), `{"type":"redacted_thinking","data":`...)
			b = span.Quote(b, o.Data)
			b = append(b, '}')
		}
	}
	return b
}

// appendToolUse writes a call under the given id and name.
func appendToolUse(b []byte, it *llm.Item, id, name string) []byte {
	b = append(b, `{"type":"tool_use","id":`...)
	b = span.Quote(b, id)
	b = span.Quote(key(b, "name"), name)
	b = appendInput(key(b, "input"), &it.Call)
	b = appendCache(b, it.Cache)
	if it.From == llm.Anthropic {
		for _, m := range it.Ext {
			b = append(key(b, m.Name), m.Value...)
		}
	}
	return append(b, '}')
}

// appendResult writes a tool result for the call of the given id. Empty text
// is left out, since the API refuses it.
func appendResult(b []byte, it *llm.Item, id string) []byte {
	b = append(b, `{"type":"tool_result","tool_use_id":`...)
	b = span.Quote(b, id)
	switch {
	case len(it.Blocks) == 1 && plainText(&it.Blocks[0]) && len(it.Blocks[0].Raw) == 0 || len(it.Blocks) == 1 && it.From != llm.Anthropic && plainText(&it.Blocks[0]):
		if !blank(it.Blocks[0].Text) {
			b = span.Quote(key(b, "content"), it.Blocks[0].Text)
		}
	default:
		from := len(b)
		b = append(key(b, "content"), '[')
		open := len(b)
		for i := range it.Blocks {
			if block := &it.Blocks[i]; block.Kind == llm.BlockText && blank(block.Text) && block.From != llm.Anthropic {
				continue
			}
			b = appendBlock(comma(b), &it.Blocks[i])
		}
		if len(b) == open {
			b = b[:from]
			break
		}
		b = append(b, ']')
	}
	if it.Result.IsError {
		b = append(key(b, "is_error"), "true"...)
	}
	b = appendCache(b, it.Cache)
	if it.From == llm.Anthropic {
		for _, m := range it.Ext {
			b = append(key(b, m.Name), m.Value...)
		}
	}
	return append(b, '}')
}

// appendTool writes a function tool under the given name.
func appendTool(b []byte, t *llm.Tool, name string, strict bool) []byte {
	b = append(b, '{')
	b = span.Quote(key(b, "name"), name)
	if t.Description != "" {
		b = span.Quote(key(b, "description"), t.Description)
	}
	b = appendSchema(key(b, "input_schema"), t.Schema)
	if strict && t.Strict != nil && *t.Strict {
		b = append(key(b, "strict"), "true"...)
	}
	b = appendCache(b, t.Cache)
	if t.From == llm.Anthropic {
		for _, m := range t.Ext {
			b = append(key(b, m.Name), m.Value...)
		}
	}
	return append(b, '}')
}

// appendSchema writes an input_schema: the bytes as received, with the
// "type" that the API wants put in front when the client left it out.
func appendSchema(b, schema []byte) []byte {
	if kindOf(schema) != '{' {
		return append(b, `{"type":"object","properties":{}}`...)
	}
	if get(schema, "type") != nil {
		return append(b, schema...)
	}
	b = append(b, `{"type":"object"`...)
	rest := schema[span.SkipSpace(schema, 1):]
	if kindOf(rest) != '}' {
		b = append(b, ',')
	}
	return append(b, rest...)
}

// appendInput writes a call's arguments as the object that the wire wants:
// the model's bytes when they are one, {} for nothing, and what is broken (a
// call that was cut) under a name of its own, never dropped.
func appendInput(b []byte, c *llm.Call) []byte {
	if c.Custom {
		b = append(b, `{"input":`...)
		return append(span.Quote(b, c.Arguments), '}')
	}
	i := span.SkipSpace(c.Arguments, 0)
	if i == len(c.Arguments) {
		return append(b, "{}"...)
	}
	if c.Arguments[i] == '{' && validJSON(c.Arguments) {
		end := len(c.Arguments)
		for c.Arguments[end-1] != '}' {
			end--
		}
		return append(b, c.Arguments[i:end]...)
	}
	b = append(b, `{"_raw":`...)
	return append(span.Quote(b, c.Arguments), '}')
}

// appendCache writes a cache mark. OpenAI's breakpoint means the same and is
// written as the plain mark.
func appendCache(b, mark []byte) []byte {
	if kindOf(mark) != '{' {
		return b
	}
	if get(mark, "type") == nil {
		mark = []byte(`{"type":"ephemeral"}`)
	}
	return append(key(b, "cache_control"), mark...)
}

func appendStrings(b []byte, ss []string) []byte {
	b = append(b, '[')
	for _, s := range ss {
		b = span.Quote(comma(b), s)
	}
	return append(b, ']')
}

// comma appends a comma unless an object or array has just been opened.
func comma(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] != '{' && b[n-1] != '[' {
		return append(b, ',')
	}
	return b
}

// key appends a member's name, with the comma before it.
func key(b []byte, name string) []byte {
	b = span.Quote(comma(b), name)
	return append(b, ':')
}

// blank reports whether s has nothing but white space: such text is refused.
func blank(s string) bool { return strings.TrimSpace(s) == "" }

func thinkingType(m llm.ThinkMode) string {
	switch m {
	case llm.ThinkOff:
		return "disabled"
	case llm.ThinkOn:
		return "enabled"
	case llm.ThinkAdaptive:
		return "adaptive"
	case llm.ThinkBetweenTools:
		return "between_tools"
	}
	return ""
}

func choiceType(m llm.ToolMode) string {
	switch m {
	case llm.ToolNone:
		return "none"
	case llm.ToolAny:
		return "any"
	case llm.ToolOnly:
		return "tool"
	}
	return "auto"
}
