package anthropic

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// DecodeRequest decodes a body in full. It understands what other dialects can
// say and keeps everything else: unknown members in Ext (a member of
// tool_choice, thinking, output_config or metadata under a dotted name),
// unknown blocks as opaque, each block's own bytes in Raw, all sharing memory
// with body. Top-level system text becomes a System item of Turn 0 and Path
// "system"; message i has Turn i+1. A model or max_tokens that is missing is no
// error here, since Vertex and count_tokens bodies have none. Errors are
// *llm.Error of class InvalidRequest whose message begins with the path.
func (Codec) DecodeRequest(body []byte) (*llm.Request, error) {
	var room [24]span.Member
	members, err := span.Members(room[:0], body, heads)
	if err != nil {
		return nil, unreadable(err)
	}
	d := requestDecoder{r: &llm.Request{From: llm.Anthropic}}
	var system, messages jsontext.Value
	for i := range members {
		name, v := members[i].Name, jsontext.Value(body[members[i].Value.From:members[i].Value.To:members[i].Value.To])
		switch name {
		case "system":
			system = v
		case "messages":
			messages = v
		default:
			if err := d.member(name, v); err != nil {
				return nil, err
			}
		}
	}
	if messages == nil {
		return nil, invalid("messages", "Field required")
	}
	if kindOf(messages) != '[' {
		return nil, invalid("messages", "must be an array")
	}
	if system != nil {
		if err := d.system(system); err != nil {
			return nil, err
		}
	}
	a := span.ReadArray(messages)
	for i := 0; a.Next(); i++ {
		if err := d.message(i, a.Val); err != nil {
			return nil, err
		}
	}
	if d.unusable != nil {
		return nil, d.unusable
	}
	return d.r, nil
}

type requestDecoder struct {
	r *llm.Request
	// unusable is the first member that cannot be kept; nil for none.
	unusable *llm.Error
}

func (d *requestDecoder) keep(name string, v jsontext.Value) { d.under("", name, v) }

// under keeps a member of an object whose own name ends in a dot; "" is the
// top. The API has no names with dots, and one would be taken for a member of
// another object when it is written again.
func (d *requestDecoder) under(object, name string, v jsontext.Value) {
	if d.unusable == nil && strings.Contains(name, ".") {
		d.unusable = invalid(object+name, "Extra inputs are not permitted")
	}
	d.r.Ext = append(d.r.Ext, llm.Member{Name: object + name, Value: v})
}

// member decodes one top-level member.
func (d *requestDecoder) member(name string, v jsontext.Value) error {
	r := d.r
	if isNull(v) && name != "model" {
		d.keep(name, v)
		return nil
	}
	switch name {
	case "model":
		s, ok := str(v)
		if !ok {
			return invalid(name, "must be a string")
		}
		r.Model = s
	case "max_tokens":
		n, ok := integer(v)
		if !ok {
			return invalid(name, "must be a whole number")
		}
		r.MaxTokens = &n
	case "stream":
		switch kindOf(v) {
		case 't':
			r.Stream = true
		case 'f':
		default:
			return invalid(name, "must be true or false")
		}
	case "temperature", "top_p", "top_k":
		if _, ok := number(v); !ok {
			return invalid(name, "must be a number")
		}
		switch name {
		case "temperature":
			r.Sampling.Temperature = v
		case "top_p":
			r.Sampling.TopP = v
		default:
			r.Sampling.TopK = v
		}
	case "stop_sequences":
		if kindOf(v) != '[' {
			return invalid(name, "must be an array of strings")
		}
		r.Stop = []string{}
		for a := span.ReadArray(v); a.Next(); {
			s, ok := str(a.Val)
			if !ok {
				return invalid(name, "must be an array of strings")
			}
			r.Stop = append(r.Stop, s)
		}
	case "service_tier":
		s, ok := str(v)
		if !ok || s == "" {
			d.keep(name, v)
			break
		}
		r.ServiceTier = s
	case "tools":
		return d.tools(v)
	case "tool_choice":
		return d.choice(v)
	case "thinking":
		return d.thinking(v)
	case "output_config":
		return d.outputConfig(v)
	case "output_format":
		// The older name of output_config.format. It stays in Ext too, so that
		// it goes back under this name.
		d.format(v, "")
		d.keep(name, v)
	case "metadata":
		if kindOf(v) != '{' {
			return invalid(name, "must be an object")
		}
		n := 0
		for o := span.ReadObject(v); o.Next(); n++ {
			if s, ok := str(o.Val); ok && s != "" && string(o.Name) == "user_id" {
				r.EndUser = s
				continue
			}
			d.under("metadata.", string(o.Name), o.Val)
		}
		if n == 0 {
			d.keep(name, v)
		}
	default:
		d.keep(name, v)
	}
	return nil
}

func (d *requestDecoder) tools(v jsontext.Value) error {
	if kindOf(v) != '[' {
		return invalid("tools", "must be an array")
	}
	d.r.Tools = []llm.Tool{}
	a := span.ReadArray(v)
	for i := 0; a.Next(); i++ {
		if kindOf(a.Val) != '{' {
			return invalid("tools."+strconv.Itoa(i), "must be an object")
		}
		t := llm.Tool{From: llm.Anthropic, Raw: a.Val}
		for o := span.ReadObject(a.Val); o.Next(); {
			known := false
			switch string(o.Name) {
			case "name":
				t.Name, known = str(o.Val)
			case "description":
				t.Description, known = str(o.Val)
			case "type":
				t.Type, known = str(o.Val)
				if t.Type == "custom" {
					t.Type = ""
				}
				known = known || isNull(o.Val)
			case "input_schema":
				if known = kindOf(o.Val) == '{'; known {
					t.Schema = o.Val
				}
			case "strict":
				if known = kindOf(o.Val) == 't' || kindOf(o.Val) == 'f'; known {
					strict := kindOf(o.Val) == 't'
					t.Strict = &strict
				}
			case "cache_control":
				if known = kindOf(o.Val) == '{'; known {
					t.Cache = o.Val
				}
				known = known || isNull(o.Val)
			}
			if !known {
				t.Ext = append(t.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
			}
		}
		d.r.Tools = append(d.r.Tools, t)
	}
	return nil
}

func (d *requestDecoder) choice(v jsontext.Value) error {
	if kindOf(v) != '{' {
		return invalid("tool_choice", "must be an object")
	}
	c := llm.ToolChoice{}
	switch text(get(v, "type")) {
	case "auto":
		c.Mode = llm.ToolAuto
	case "none":
		c.Mode = llm.ToolNone
	case "any":
		c.Mode = llm.ToolAny
	case "tool":
		c.Mode = llm.ToolOnly
	default:
		d.keep("tool_choice", v)
		return nil
	}
	for o := span.ReadObject(v); o.Next(); {
		switch name := string(o.Name); {
		case name == "type":
		case name == "name" && c.Mode == llm.ToolOnly && kindOf(o.Val) == '"':
			c.Name = text(o.Val)
		case name == "disable_parallel_tool_use" && (kindOf(o.Val) == 't' || kindOf(o.Val) == 'f'):
			parallel := kindOf(o.Val) == 'f'
			d.r.ParallelCalls = &parallel
		default:
			d.under("tool_choice.", name, o.Val)
		}
	}
	d.r.Choice = c
	return nil
}

func (d *requestDecoder) thinking(v jsontext.Value) error {
	if kindOf(v) != '{' {
		return invalid("thinking", "must be an object")
	}
	r := &d.r.Reasoning
	switch text(get(v, "type")) {
	case "enabled":
		r.Mode = llm.ThinkOn
	case "disabled":
		r.Mode = llm.ThinkOff
	case "adaptive":
		r.Mode = llm.ThinkAdaptive
	case "between_tools":
		r.Mode = llm.ThinkBetweenTools
	default:
		d.keep("thinking", v)
		return nil
	}
	for o := span.ReadObject(v); o.Next(); {
		name := string(o.Name)
		switch name {
		case "type":
			continue
		case "budget_tokens":
			if n, ok := integer(o.Val); ok && n > 0 && r.Mode == llm.ThinkOn {
				r.Budget = n
				continue
			}
		case "display":
			if s, ok := str(o.Val); ok && s != "" {
				r.Display = s
				continue
			}
		}
		d.under("thinking.", name, o.Val)
	}
	return nil
}

func (d *requestDecoder) outputConfig(v jsontext.Value) error {
	if kindOf(v) != '{' {
		return invalid("output_config", "must be an object")
	}
	n := 0
	for o := span.ReadObject(v); o.Next(); n++ {
		switch name := string(o.Name); name {
		case "effort":
			if s, ok := str(o.Val); ok && s != "" {
				d.r.Reasoning.Effort = s
				continue
			}
			d.under("output_config.", name, o.Val)
		case "format":
			if !d.format(o.Val, "output_config.format.") {
				d.under("output_config.", name, o.Val)
			}
		default:
			d.under("output_config.", name, o.Val)
		}
	}
	if n == 0 {
		d.keep("output_config", v)
	}
	return nil
}

// format decodes a json_schema format; its unknown members are kept under
// prefix, unless that is empty. false means that it is none.
func (d *requestDecoder) format(v jsontext.Value, prefix string) bool {
	if text(get(v, "type")) != "json_schema" || kindOf(get(v, "schema")) != '{' {
		return false
	}
	f := llm.Format{Kind: llm.FormatJSONSchema}
	for o := span.ReadObject(v); o.Next(); {
		switch string(o.Name) {
		case "type":
		case "schema":
			f.Schema = o.Val
		default:
			if prefix != "" {
				d.under(prefix, string(o.Name), o.Val)
			}
		}
	}
	d.r.Format = f
	return true
}

func (d *requestDecoder) system(v jsontext.Value) error {
	if isNull(v) {
		d.keep("system", v)
		return nil
	}
	it := llm.Item{Kind: llm.ItemMessage, Role: llm.System, Path: "system", From: llm.Anthropic}
	switch kindOf(v) {
	case '"':
		it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: text(v), From: llm.Anthropic}}
	case '[':
		it.Blocks = []llm.Block{}
		a := span.ReadArray(v)
		for i := 0; a.Next(); i++ {
			b, err := decodeBlock(a.Val, "system."+strconv.Itoa(i))
			if err != nil {
				return err
			}
			it.Blocks = append(it.Blocks, b)
		}
	default:
		return invalid("system", "must be a string or an array of text blocks")
	}
	d.r.Items = append(d.r.Items, it)
	return nil
}

func (d *requestDecoder) message(i int, v jsontext.Value) error {
	path := "messages." + strconv.Itoa(i)
	if kindOf(v) != '{' {
		return invalid(path, "must be an object")
	}
	var role llm.Role
	var content jsontext.Value
	var ext []llm.Member
	for o := span.ReadObject(v); o.Next(); {
		switch string(o.Name) {
		case "role":
			role = llm.Role(text(o.Val))
		case "content":
			content = o.Val
		default:
			ext = append(ext, llm.Member{Name: string(o.Name), Value: o.Val})
		}
	}
	switch role {
	case llm.User, llm.Assistant, llm.System:
	default:
		return invalid(path+".role", "must be user, assistant or system")
	}
	first := len(d.r.Items)
	items, err := decodeContent(d.r.Items, content, role, path, i+1)
	if err != nil {
		return err
	}
	if len(ext) > 0 {
		// Members of the message itself sit on its first item, which is then
		// a message, if need be one without content.
		if items[first].Kind != llm.ItemMessage {
			items = append(items, llm.Item{})
			copy(items[first+1:], items[first:])
			items[first] = llm.Item{Kind: llm.ItemMessage, Role: role, Turn: i + 1, Path: path, From: llm.Anthropic}
		}
		items[first].Ext = ext
	}
	d.r.Items = items
	return nil
}

// decodeContent appends the items of one message's content.
func decodeContent(items []llm.Item, v jsontext.Value, role llm.Role, path string, turn int) ([]llm.Item, error) {
	message := llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Path: path + ".content", From: llm.Anthropic}
	switch kindOf(v) {
	case '"':
		message.Path = path
		message.Blocks = []llm.Block{{Kind: llm.BlockText, Text: text(v), From: llm.Anthropic}}
		return append(items, message), nil
	case '[':
	case 0:
		return nil, invalid(path+".content", "Field required")
	default:
		return nil, invalid(path+".content", "must be a string or an array of blocks")
	}
	first := len(items)
	a := span.ReadArray(v)
	for i := 0; a.Next(); i++ {
		at := path + ".content." + strconv.Itoa(i)
		it, whole, err := decodeItem(a.Val, role, at)
		if err != nil {
			return nil, err
		}
		if whole {
			it.Turn = turn
			items = append(items, it)
			continue
		}
		b, err := decodeBlock(a.Val, at)
		if err != nil {
			return nil, err
		}
		if n := len(items); n > first && items[n-1].Kind == llm.ItemMessage {
			items[n-1].Blocks = append(items[n-1].Blocks, b)
			continue
		}
		m := message
		m.Path = at
		m.Blocks = []llm.Block{b}
		items = append(items, m)
	}
	if len(items) == first {
		message.Blocks = []llm.Block{}
		items = append(items, message)
	}
	return items, nil
}

// decodeItem decodes a block that is an item of its own: thinking, calls,
// results, and in an assistant's turn everything that no word holds. whole is
// false when the block is content of a message.
func decodeItem(v jsontext.Value, role llm.Role, path string) (it llm.Item, whole bool, err error) {
	if kindOf(v) != '{' {
		return it, false, invalid(path, "must be an object")
	}
	typ, ok := str(get(v, "type"))
	if !ok {
		return it, false, invalid(path+".type", "Field required")
	}
	it = llm.Item{Role: role, Path: path, From: llm.Anthropic, Raw: v}
	switch typ {
	case "text", "image", "document":
		return it, false, nil
	case "thinking":
		it.Kind = llm.ItemReasoning
		for o := span.ReadObject(v); o.Next(); {
			switch string(o.Name) {
			case "type":
			case "thinking":
				if s := text(o.Val); s != "" {
					it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Anthropic}}
				}
			case "signature":
				if s, ok := signatureOf(text(o.Val)); ok {
					it.Opaque = []llm.Opaque{s}
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
			}
		}
	case "redacted_thinking":
		it.Kind = llm.ItemReasoning
		for o := span.ReadObject(v); o.Next(); {
			switch string(o.Name) {
			case "type":
			case "data":
				if data := text(o.Val); data != "" {
					it.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: data}}
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
			}
		}
	case "tool_use":
		it.Kind = llm.ItemToolCall
		for o := span.ReadObject(v); o.Next(); {
			switch string(o.Name) {
			case "type":
			case "id":
				it.Call.ID = text(o.Val)
			case "name":
				it.Call.Name = text(o.Val)
			case "input":
				it.Call.Arguments = o.Val
			case "cache_control":
				it.Cache = o.Val
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
			}
		}
	case "tool_result":
		it.Kind = llm.ItemToolResult
		for o := span.ReadObject(v); o.Next(); {
			switch string(o.Name) {
			case "type":
			case "tool_use_id":
				it.Result.CallID = text(o.Val)
			case "is_error":
				it.Result.IsError = kindOf(o.Val) == 't'
			case "cache_control":
				it.Cache = o.Val
			case "content":
				if it.Blocks, err = decodeBlocks(o.Val, path+".content"); err != nil {
					return it, false, err
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.Name), Value: o.Val})
			}
		}
	default:
		if role != llm.Assistant {
			return it, false, nil
		}
		it.Kind = llm.ItemOpaque
		it.Type = typ
	}
	return it, true, nil
}

// decodeBlocks decodes the content of a tool result: a string or blocks.
func decodeBlocks(v jsontext.Value, path string) ([]llm.Block, error) {
	switch kindOf(v) {
	case 'n':
		return nil, nil
	case '"':
		return []llm.Block{{Kind: llm.BlockText, Text: text(v), From: llm.Anthropic}}, nil
	case '[':
		bs := []llm.Block{}
		a := span.ReadArray(v)
		for i := 0; a.Next(); i++ {
			b, err := decodeBlock(a.Val, path+"."+strconv.Itoa(i))
			if err != nil {
				return nil, err
			}
			bs = append(bs, b)
		}
		return bs, nil
	}
	return nil, invalid(path, "must be a string or an array of blocks")
}

// decodeBlock decodes one content block; what no word holds is opaque.
func decodeBlock(v jsontext.Value, path string) (llm.Block, error) {
	b := llm.Block{From: llm.Anthropic, Raw: v}
	if kindOf(v) != '{' {
		return b, invalid(path, "must be an object")
	}
	typ, ok := str(get(v, "type"))
	if !ok {
		return b, invalid(path+".type", "Field required")
	}
	var source jsontext.Value
	for o := span.ReadObject(v); o.Next(); {
		switch name := string(o.Name); {
		case name == "type":
		case name == "cache_control":
			if !isNull(o.Val) {
				b.Cache = o.Val
			}
		case name == "text" && typ == "text":
			if b.Text, ok = str(o.Val); !ok {
				return b, invalid(path+".text", "must be a string")
			}
		case name == "citations" && typ == "text":
			if kindOf(o.Val) == '[' {
				b.Citations = o.Val
			}
		case name == "source" && (typ == "image" || typ == "document"):
			source = o.Val
		case name == "title" && typ == "document":
			b.Media.Name = text(o.Val)
		default:
			b.Ext = append(b.Ext, llm.Member{Name: name, Value: o.Val})
		}
	}
	switch typ {
	case "text":
		b.Kind = llm.BlockText
		return b, nil
	case "image":
		b.Kind = llm.BlockImage
	case "document":
		b.Kind = llm.BlockFile
	}
	if b.Kind == "" || !decodeSource(&b.Media, source) {
		return llm.Block{Kind: llm.BlockOpaque, Type: typ, Cache: b.Cache, From: llm.Anthropic, Raw: v}, nil
	}
	return b, nil
}

// decodeSource reads the source of an image or document; false means that it
// is of a kind that no word holds.
func decodeSource(m *llm.Media, v jsontext.Value) bool {
	m.MIME = text(get(v, "media_type"))
	switch text(get(v, "type")) {
	case "base64":
		m.Data = text(get(v, "data"))
		return m.Data != ""
	case "url":
		m.URL = text(get(v, "url"))
		return m.URL != ""
	case "file":
		m.FileID = text(get(v, "file_id"))
		return m.FileID != ""
	case "text":
		m.Text = text(get(v, "data"))
		return true
	case "content":
		content := get(v, "content")
		if s, ok := str(content); ok {
			m.Text = s
			return true
		}
		if kindOf(content) != '[' {
			return false
		}
		for a := span.ReadArray(content); a.Next(); {
			s, ok := str(get(a.Val, "text"))
			if !ok {
				return false
			}
			if m.Text != "" {
				m.Text += "\n"
			}
			m.Text += s
		}
		return true
	}
	return false
}
