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
	a := arrayOf(messages)
	for i := 0; a.next(); i++ {
		if err := d.message(i, a.val); err != nil {
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
		for a := arrayOf(v); a.next(); {
			s, ok := str(a.val)
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
		for o := objectOf(v); o.next(); n++ {
			if s, ok := str(o.val); ok && s != "" && string(o.name) == "user_id" {
				r.EndUser = s
				continue
			}
			d.under("metadata.", string(o.name), o.val)
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
	a := arrayOf(v)
	for i := 0; a.next(); i++ {
		if kindOf(a.val) != '{' {
			return invalid("tools."+strconv.Itoa(i), "must be an object")
		}
		t := llm.Tool{From: llm.Anthropic, Raw: a.val}
		for o := objectOf(a.val); o.next(); {
			known := false
			switch string(o.name) {
			case "name":
				t.Name, known = str(o.val)
			case "description":
				t.Description, known = str(o.val)
			case "type":
				t.Type, known = str(o.val)
				if t.Type == "custom" {
					t.Type = ""
				}
				known = known || isNull(o.val)
			case "input_schema":
				if known = kindOf(o.val) == '{'; known {
					t.Schema = o.val
				}
			case "strict":
				if known = kindOf(o.val) == 't' || kindOf(o.val) == 'f'; known {
					strict := kindOf(o.val) == 't'
					t.Strict = &strict
				}
			case "cache_control":
				if known = kindOf(o.val) == '{'; known {
					t.Cache = o.val
				}
				known = known || isNull(o.val)
			}
			if !known {
				t.Ext = append(t.Ext, llm.Member{Name: string(o.name), Value: o.val})
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
	for o := objectOf(v); o.next(); {
		switch name := string(o.name); {
		case name == "type":
		case name == "name" && c.Mode == llm.ToolOnly && kindOf(o.val) == '"':
			c.Name = text(o.val)
		case name == "disable_parallel_tool_use" && (kindOf(o.val) == 't' || kindOf(o.val) == 'f'):
			parallel := kindOf(o.val) == 'f'
			d.r.ParallelCalls = &parallel
		default:
			d.under("tool_choice.", name, o.val)
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
	for o := objectOf(v); o.next(); {
		name := string(o.name)
		switch name {
		case "type":
			continue
		case "budget_tokens":
			if n, ok := integer(o.val); ok && n > 0 && r.Mode == llm.ThinkOn {
				r.Budget = n
				continue
			}
		case "display":
			if s, ok := str(o.val); ok && s != "" {
				r.Display = s
				continue
			}
		}
		d.under("thinking.", name, o.val)
	}
	return nil
}

func (d *requestDecoder) outputConfig(v jsontext.Value) error {
	if kindOf(v) != '{' {
		return invalid("output_config", "must be an object")
	}
	n := 0
	for o := objectOf(v); o.next(); n++ {
		switch name := string(o.name); name {
		case "effort":
			if s, ok := str(o.val); ok && s != "" {
				d.r.Reasoning.Effort = s
				continue
			}
			d.under("output_config.", name, o.val)
		case "format":
			if !d.format(o.val, "output_config.format.") {
				d.under("output_config.", name, o.val)
			}
		default:
			d.under("output_config.", name, o.val)
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
	for o := objectOf(v); o.next(); {
		switch string(o.name) {
		case "type":
		case "schema":
			f.Schema = o.val
		default:
			if prefix != "" {
				d.under(prefix, string(o.name), o.val)
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
		a := arrayOf(v)
		for i := 0; a.next(); i++ {
			b, err := decodeBlock(a.val, "system."+strconv.Itoa(i))
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
	for o := objectOf(v); o.next(); {
		switch string(o.name) {
		case "role":
			role = llm.Role(text(o.val))
		case "content":
			content = o.val
		default:
			ext = append(ext, llm.Member{Name: string(o.name), Value: o.val})
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
	a := arrayOf(v)
	for i := 0; a.next(); i++ {
		at := path + ".content." + strconv.Itoa(i)
		it, whole, err := decodeItem(a.val, role, at)
		if err != nil {
			return nil, err
		}
		if whole {
			it.Turn = turn
			items = append(items, it)
			continue
		}
		b, err := decodeBlock(a.val, at)
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
		for o := objectOf(v); o.next(); {
			switch string(o.name) {
			case "type":
			case "thinking":
				if s := text(o.val); s != "" {
					it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Anthropic}}
				}
			case "signature":
				if s, ok := signatureOf(text(o.val)); ok {
					it.Opaque = []llm.Opaque{s}
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.name), Value: o.val})
			}
		}
	case "redacted_thinking":
		it.Kind = llm.ItemReasoning
		for o := objectOf(v); o.next(); {
			switch string(o.name) {
			case "type":
			case "data":
				if data := text(o.val); data != "" {
					it.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: data}}
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.name), Value: o.val})
			}
		}
	case "tool_use":
		it.Kind = llm.ItemToolCall
		for o := objectOf(v); o.next(); {
			switch string(o.name) {
			case "type":
			case "id":
				it.Call.ID = text(o.val)
			case "name":
				it.Call.Name = text(o.val)
			case "input":
				it.Call.Arguments = o.val
			case "cache_control":
				it.Cache = o.val
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.name), Value: o.val})
			}
		}
	case "tool_result":
		it.Kind = llm.ItemToolResult
		for o := objectOf(v); o.next(); {
			switch string(o.name) {
			case "type":
			case "tool_use_id":
				it.Result.CallID = text(o.val)
			case "is_error":
				it.Result.IsError = kindOf(o.val) == 't'
			case "cache_control":
				it.Cache = o.val
			case "content":
				if it.Blocks, err = decodeBlocks(o.val, path+".content"); err != nil {
					return it, false, err
				}
			default:
				it.Ext = append(it.Ext, llm.Member{Name: string(o.name), Value: o.val})
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
		a := arrayOf(v)
		for i := 0; a.next(); i++ {
			b, err := decodeBlock(a.val, path+"."+strconv.Itoa(i))
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
	for o := objectOf(v); o.next(); {
		switch name := string(o.name); {
		case name == "type":
		case name == "cache_control":
			if !isNull(o.val) {
				b.Cache = o.val
			}
		case name == "text" && typ == "text":
			if b.Text, ok = str(o.val); !ok {
				return b, invalid(path+".text", "must be a string")
			}
		case name == "citations" && typ == "text":
			if kindOf(o.val) == '[' {
				b.Citations = o.val
			}
		case name == "source" && (typ == "image" || typ == "document"):
			source = o.val
		case name == "title" && typ == "document":
			b.Media.Name = text(o.val)
		default:
			b.Ext = append(b.Ext, llm.Member{Name: name, Value: o.val})
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
		for a := arrayOf(content); a.next(); {
			s, ok := str(get(a.val, "text"))
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
