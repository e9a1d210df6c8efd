package gemini

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// encodeOwn writes a request that came in this dialect; nothing is fitted to
// the target. As long as the words say what was received, that goes back as it
// was spelled; else every untouched part and declaration goes back as it came
// and the members between them are written from the words, in camelCase. What
// is left out is only state that we wrapped for the client and Google cannot
// read.
func (c Codec) encodeOwn(r *llm.Request, model string) (llm.Encoded, error) {
	if len(r.Raw) > 0 {
		if again, err := c.DecodeRequest(r.Raw); err == nil && reflect.DeepEqual(again, r) {
			head, err := c.Head(llm.OpChat, r.Raw)
			if err != nil {
				return llm.Encoded{}, err
			}
			d := llm.NewDraft(llm.Gemini, llm.OpChat, r.Raw, head, nil).With(llm.Edit{Kind: llm.EditModel, Text: model})
			return c.Patch(&d, nil)
		}
	}
	w := ownWriter{r: r}
	b := make([]byte, 0, 4096)
	b = append(b, '{')
	if w.ext("model") && model != "" {
		b = span.Quote(key(b, "model"), "models/"+model)
	}
	items := r.Items
	for len(items) > 0 && items[0].Kind == llm.ItemOpaque && items[0].Type == "cachedContent" {
		b = append(key(b, "cachedContent"), items[0].Raw...)
		items = items[1:]
	}
	n := 0
	for n < len(items) && items[n].Role == llm.System {
		n++
	}
	if n > 0 {
		b = w.content(key(b, "systemInstruction"), items[:n])
		items = items[n:]
	}
	if r.Tools != nil {
		b = w.tools(key(b, "tools"))
	}
	b = w.toolConfig(b)
	b = w.generation(b)
	if r.ServiceTier != "" {
		b = span.Quote(key(b, "serviceTier"), r.ServiceTier)
	}
	for i := range r.Ext {
		if m := &r.Ext[i]; !strings.Contains(m.Name, ".") && m.Name != "model" {
			b = member(b, m)
		}
	}
	b = append(key(b, "contents"), '[')
	for len(items) > 0 {
		n := 1
		for n < len(items) && items[n].Turn == items[0].Turn && items[n].Role == items[0].Role {
			n++
		}
		before := len(b)
		b = w.content(comma(b), items[:n])
		if bytes.HasSuffix(b, []byte(`"parts":[]}`)) && w.dropped {
			b = b[:before] // all of it was ours
		}
		items = items[n:]
	}
	b = append(b, "]}"...)
	return llm.Encoded{Body: [][]byte{b}, Losses: w.losses}, nil
}

type ownWriter struct {
	r      *llm.Request
	losses []llm.Loss
	// dropped says that a part of the content being written was left out.
	dropped bool
}

func (w *ownWriter) ext(name string) bool {
	for i := range w.r.Ext {
		if w.r.Ext[i].Name == name {
			return true
		}
	}
	return false
}

// under writes the kept members of a prefix, but for those of deeper ones.
func (w *ownWriter) under(b []byte, prefix string) []byte {
	for i := range w.r.Ext {
		if name, ok := strings.CutPrefix(w.r.Ext[i].Name, prefix); ok && !strings.Contains(name, ".") {
			b = member(b, &llm.Member{Name: name, Value: w.r.Ext[i].Value})
		}
	}
	return b
}

// closed closes an object, or takes it away again when nothing is in it.
func closed(b []byte, from int) []byte {
	if b[len(b)-1] == '{' {
		return b[:from]
	}
	return append(b, '}')
}

func (w *ownWriter) tools(b []byte) []byte {
	b = append(b, '[')
	functions := false
	for i := range w.r.Tools {
		t := &w.r.Tools[i]
		if t.Type != "" {
			continue
		}
		if !functions {
			b = append(b, `{"functionDeclarations":[`...)
			functions = true
		}
		b = comma(b)
		if t.From == llm.Gemini && len(t.Raw) > 0 {
			b = append(b, t.Raw...)
		} else {
			b = appendDeclaration(b, t, t.Name)
		}
	}
	if functions {
		b = append(b, "]}"...)
	}
	for i := range w.r.Tools {
		if t := &w.r.Tools[i]; t.Type != "" && t.From == llm.Gemini {
			b = append(comma(b), t.Raw...)
		}
	}
	return append(b, ']')
}

func (w *ownWriter) toolConfig(b []byte) []byte {
	from := len(b)
	b = append(key(b, "toolConfig"), '{')
	inner := len(b)
	b = append(key(b, "functionCallingConfig"), '{')
	const prefix = "toolConfig.functionCallingConfig."
	if c := &w.r.Choice; c.Mode != "" {
		if !w.ext(prefix + "mode") {
			b = span.Quote(key(b, "mode"), modeOf(c))
		}
		if names := allowed(c); len(names) > 0 {
			b = appendStrings(key(b, "allowedFunctionNames"), names)
		}
	}
	b = closed(w.under(b, prefix), inner)
	return closed(w.under(b, "toolConfig."), from)
}

func modeOf(c *llm.ToolChoice) string {
	switch c.Mode {
	case llm.ToolNone:
		return "NONE"
	case llm.ToolAny, llm.ToolOnly:
		return "ANY"
	case llm.ToolSubset:
		if c.Forced {
			return "ANY"
		}
		return "VALIDATED"
	}
	return "AUTO"
}

func allowed(c *llm.ToolChoice) []string {
	switch c.Mode {
	case llm.ToolOnly:
		return []string{c.Name}
	case llm.ToolSubset:
		return c.Names
	}
	return nil
}

func (w *ownWriter) generation(b []byte) []byte {
	r := w.r
	from := len(b)
	b = append(key(b, "generationConfig"), '{')
	for _, s := range samplingOf(&r.Sampling) {
		if len(s.value) > 0 {
			b = append(key(b, s.name), s.value...)
		}
	}
	if r.MaxTokens != nil {
		b = strconv.AppendInt(key(b, "maxOutputTokens"), *r.MaxTokens, 10)
	}
	if r.N > 0 {
		b = strconv.AppendInt(key(b, "candidateCount"), int64(r.N), 10)
	}
	if r.Stop != nil {
		b = appendStrings(key(b, "stopSequences"), r.Stop)
	}
	if k := r.Format.Kind; k == llm.FormatJSONObject || k == llm.FormatJSONSchema {
		if !w.ext("generationConfig.responseMimeType") {
			b = append(key(b, "responseMimeType"), `"application/json"`...)
		}
		if k == llm.FormatJSONSchema {
			b = append(key(b, "responseJsonSchema"), r.Format.Schema...)
		}
	}
	const prefix = "generationConfig."
	inner := len(b)
	b = append(key(b, "thinkingConfig"), '{')
	switch r.Reasoning.Display {
	case "":
	case "omitted":
		b = append(key(b, "includeThoughts"), "false"...)
	default:
		b = append(key(b, "includeThoughts"), "true"...)
	}
	switch r.Reasoning.Mode {
	case llm.ThinkOff:
		b = append(key(b, "thinkingBudget"), '0')
	case llm.ThinkAdaptive:
		b = append(key(b, "thinkingBudget"), "-1"...)
	case llm.ThinkOn:
		if r.Reasoning.Budget > 0 {
			b = strconv.AppendInt(key(b, "thinkingBudget"), r.Reasoning.Budget, 10)
		}
	}
	if r.Reasoning.Effort != "" {
		b = span.Quote(key(b, "thinkingLevel"), r.Reasoning.Effort)
	}
	b = closed(w.under(b, prefix+"thinkingConfig."), inner)
	return closed(w.under(b, prefix), from)
}

// content writes the content that the items of one turn make.
func (w *ownWriter) content(b []byte, items []llm.Item) []byte {
	w.dropped = false
	role := "user"
	if items[0].Role == llm.Assistant {
		role = "model"
	}
	b = append(b, '{')
	named := false
	for i := range items {
		for k := range items[i].Ext {
			if name, ok := strings.CutPrefix(items[i].Ext[k].Name, "content."); ok {
				named = named || name == "role"
				b = member(b, &llm.Member{Name: name, Value: items[i].Ext[k].Value})
			}
		}
	}
	if !named && items[0].Role != llm.System {
		b = span.Quote(key(b, "role"), role)
	}
	b = append(key(b, "parts"), '[')
	for i := range items {
		b = w.item(b, &items[i])
	}
	return append(b, "]}"...)
}

// item writes the parts of one item, each with its comma.
func (w *ownWriter) item(b []byte, it *llm.Item) []byte {
	if it.From == llm.Gemini && len(it.Raw) > 0 {
		return w.raw(b, it.Raw, it.Path)
	}
	switch it.Kind {
	case llm.ItemMessage, llm.ItemReasoning:
		for i := range it.Blocks {
			bl := &it.Blocks[i]
			if bl.From == llm.Gemini && len(bl.Raw) > 0 {
				b = w.raw(b, bl.Raw, it.Path)
				continue
			}
			if !writable(bl) {
				continue
			}
			b = append(appendBlock(append(comma(b), '{'), bl), '}')
			if it.Kind == llm.ItemReasoning {
				b = append(append(key(b[:len(b)-1], "thought"), "true"...), '}')
			}
			if s := genuine(it.Opaque); s != "" && i == len(it.Blocks)-1 {
				b = append(span.Quote(key(b[:len(b)-1], "thoughtSignature"), s), '}')
			}
		}
	case llm.ItemToolCall:
		b = appendCall(comma(b), it, it.Call.ID, it.Call.Name, genuine(it.Opaque))
	case llm.ItemToolResult:
		b = appendResult(comma(b), it, it.Result.CallID, it.Result.Name, true)
	}
	return b
}

// raw writes a part as it came, without state that is not Google's.
func (w *ownWriter) raw(b, raw []byte, path string) []byte {
	out, changed := cleaned(raw)
	if changed {
		w.losses = append(w.losses, llm.Loss{Kind: llm.LossCarry, Path: path, Why: "left out: state that another vendor made"})
	}
	if out == nil {
		w.dropped = true
		return b
	}
	return append(comma(b), out...)
}

// cleaned takes out of a part the state that we wrapped for the client. A call
// gets the sentinel in its place; nil means that nothing else was in the part.
func cleaned(raw []byte) (out []byte, changed bool) {
	if !span.Has(raw, wrapped) {
		return raw, false
	}
	p := readPart(raw)
	if !strings.HasPrefix(p.signature, wrapped) {
		return raw, false
	}
	now := ""
	if o, ok := signatureOf(p.signature); ok && o.Issuer == llm.IssuerGemini {
		now = o.Data
	} else if p.call != nil {
		now = SkipSignature
	}
	if now == "" && p.text == "" && p.call == nil && p.result == nil && p.inline == nil && p.file == nil && p.other == nil {
		return nil, true
	}
	b := []byte{'{'}
	for o := span.ReadObject(raw); o.Next(); {
		if canon(o.Name) == "thoughtSignature" {
			if now != "" {
				b = span.Quote(key(b, "thoughtSignature"), now)
			}
			continue
		}
		b = append(append(comma(b), o.Quoted()...), ':')
		b = append(b, o.Val...)
	}
	return append(b, '}'), true
}

// writable reports whether a block can be a part.
func writable(bl *llm.Block) bool {
	return bl.Kind != llm.BlockOpaque || bl.From == llm.Gemini
}

// appendBlock writes the members of a part of content, without braces. The
// caller has seen to it that the block can be written.
func appendBlock(b []byte, bl *llm.Block) []byte {
	m := &bl.Media
	switch bl.Kind {
	case llm.BlockText, llm.BlockRefusal:
		return span.Quote(key(b, "text"), bl.Text)
	}
	switch {
	case m.Data != "":
		b = append(key(b, "inlineData"), '{')
		b = span.Quote(key(b, "mimeType"), m.MIME)
		b = span.Quote(key(b, "data"), m.Data)
		return append(b, '}')
	case m.URL != "" || m.FileID != "":
		b = append(key(b, "fileData"), '{')
		if m.MIME != "" {
			b = span.Quote(key(b, "mimeType"), m.MIME)
		}
		uri := m.URL
		if uri == "" {
			uri = m.FileID
		}
		b = span.Quote(key(b, "fileUri"), uri)
		return append(b, '}')
	}
	return span.Quote(key(b, "text"), document(m))
}

// document is a document of plain text as text.
func document(m *llm.Media) string {
	if m.Name == "" {
		return "<document>\n" + m.Text + "\n</document>"
	}
	return "<document name=" + strconv.Quote(m.Name) + ">\n" + m.Text + "\n</document>"
}

// appendCall writes a part that is a call.
func appendCall(b []byte, it *llm.Item, id, name, signature string) []byte {
	b = append(b, `{"functionCall":{`...)
	if id != "" {
		b = span.Quote(key(b, "id"), id)
	}
	b = span.Quote(key(b, "name"), name)
	b = appendArguments(key(b, "args"), &it.Call)
	b = append(b, '}')
	if signature != "" {
		b = span.Quote(key(b, "thoughtSignature"), signature)
	}
	return append(b, '}')
}

// appendArguments writes a call's arguments as the object that the wire wants:
// the model's bytes when they are one, {} for nothing, and what is broken (a
// call that was cut) under a name of its own, never dropped.
func appendArguments(b []byte, c *llm.Call) []byte {
	if c.Custom {
		b = append(b, `{"input":`...)
		return append(span.Quote(b, c.Arguments), '}')
	}
	args := trim(c.Arguments)
	switch {
	case len(args) == 0:
		return append(b, "{}"...)
	case args[0] == '{' && validJSON(args):
		return append(b, args...)
	}
	b = append(b, `{"_raw":`...)
	return append(span.Quote(b, c.Arguments), '}')
}

// appendResult writes a part that answers a call: its text under "output", or
// "error" for a failure. Images stand in parts when inside is set; else the
// caller puts them beside it.
func appendResult(b []byte, it *llm.Item, id, name string, inside bool) []byte {
	b = append(b, `{"functionResponse":{`...)
	if id != "" {
		b = span.Quote(key(b, "id"), id)
	}
	b = span.Quote(key(b, "name"), name)
	what := "output"
	if it.Result.IsError {
		what = "error"
	}
	b = append(key(b, "response"), '{')
	b = append(key(b, what), '"')
	texts, media := 0, 0
	for i := range it.Blocks {
		bl := &it.Blocks[i]
		s := bl.Text
		switch {
		case bl.Kind == llm.BlockFile && bl.Media.Text != "":
			s = document(&bl.Media)
		case bl.Kind != llm.BlockText && bl.Kind != llm.BlockRefusal:
			media++
			continue
		}
		if texts > 0 {
			b = append(b, `\n\n`...)
		}
		texts++
		b = span.Escape(b, s)
	}
	b = append(b, `"}`...)
	if media > 0 && inside {
		b = append(key(b, "parts"), '[')
		for i := range it.Blocks {
			bl := &it.Blocks[i]
			if bl.Kind == llm.BlockText || bl.Kind == llm.BlockRefusal || bl.Kind == llm.BlockFile && bl.Media.Text != "" {
				continue
			}
			if bl.From == llm.Gemini && len(bl.Raw) > 0 {
				b = append(comma(b), bl.Raw...)
				continue
			}
			b = append(appendBlock(append(comma(b), '{'), bl), '}')
		}
		b = append(b, ']')
	}
	return append(b, "}}"...)
}

// appendDeclaration writes a function under the given name.
func appendDeclaration(b []byte, t *llm.Tool, name string) []byte {
	b = append(b, '{')
	b = span.Quote(key(b, "name"), name)
	if t.Description != "" {
		b = span.Quote(key(b, "description"), t.Description)
	}
	b = key(b, "parametersJsonSchema")
	if kindOf(t.Schema) == '{' {
		b = append(b, t.Schema...)
	} else {
		b = append(b, `{"type":"object","properties":{}}`...)
	}
	return append(b, '}')
}

func appendStrings(b []byte, ss []string) []byte {
	b = append(b, '[')
	for _, s := range ss {
		b = span.Quote(comma(b), s)
	}
	return append(b, ']')
}
