package gemini

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// DecodeRequest decodes a body in full, in either spelling at every depth. It
// understands what other dialects can say and keeps everything else: unknown
// members in Ext (those of generationConfig, thinkingConfig, toolConfig and
// functionCallingConfig under a dotted name), parts without a word as opaque,
// each part's own bytes in Raw, all sharing memory with body.
// systemInstruction becomes a System item of Turn 0; content i has Turn i+1.
// cachedContent is an opaque item before all others: it is the beginning of
// the conversation, and only this dialect can read it. A countTokens body is
// decoded by its generateContentRequest when it has one. Calls without an id
// get one made from their place, and results are tied to them by position and
// name. Errors are *llm.Error of class InvalidRequest.
func (Codec) DecodeRequest(body []byte) (*llm.Request, error) {
	var room [24]span.Member
	members, err := top(room[:0], body)
	if err != nil {
		return nil, err
	}
	d := requestDecoder{r: &llm.Request{From: llm.Gemini, Raw: body}}
	at := func(i int) jsontext.Value {
		return jsontext.Value(body[members[i].Value.From:members[i].Value.To:members[i].Value.To])
	}
	for i := range members {
		if canon([]byte(members[i].Name)) == "generateContentRequest" && kindOf(at(i)) == '{' {
			inner, err := Codec{}.DecodeRequest(at(i))
			if err != nil {
				return nil, err
			}
			inner.Raw = nil // the body is more than it
			return inner, nil
		}
	}
	var system, contents jsontext.Value
	for i := range members {
		switch name, v := canon([]byte(members[i].Name)), at(i); name {
		case "systemInstruction":
			system = v
		case "contents":
			contents = v
		default:
			if err := d.member(name, v); err != nil {
				return nil, err
			}
		}
	}
	if system != nil && !isNull(system) {
		if err := d.system(system); err != nil {
			return nil, err
		}
	}
	switch kindOf(contents) {
	case '[', '{':
	case 0, 'n':
		return nil, invalid("contents", "contents is not specified")
	default:
		return nil, invalid("contents", "must be an array")
	}
	a := span.ReadMany(contents)
	for i := 0; a.Next(); i++ {
		if err := d.content(i, a.Val); err != nil {
			return nil, err
		}
	}
	return d.r, nil
}

type requestDecoder struct {
	r *llm.Request
	// calls are those that wait for their results, in order.
	calls []waiting
}

type waiting struct {
	id, name string
	answered bool
}

// spelled begins an object whose members the protocol names. As at the top, a
// member in two spellings is refused; and so is a name with a dot, which no
// member of the protocol has: what is unknown is kept under dotted names.
func spelled(path string, v jsontext.Value) (span.ObjectReader, error) {
	if kindOf(v) != '{' {
		return span.ObjectReader{}, invalid(path, "must be an object")
	}
	var room [16]string
	names := room[:0]
	for o := span.ReadObject(v); o.Next(); {
		name := canon(o.Name)
		if strings.IndexByte(name, '.') >= 0 {
			return span.ObjectReader{}, invalid(path, "Unknown name "+strconv.Quote(name)+": Cannot find field.")
		}
		if slices.Contains(names, name) {
			return span.ObjectReader{}, invalid(path+"."+name, "is given in two spellings")
		}
		names = append(names, name)
	}
	return span.ReadObject(v), nil
}

func (d *requestDecoder) keep(name string, v jsontext.Value) {
	d.r.Ext = append(d.r.Ext, llm.Member{Name: name, Value: v})
}

// member decodes one top-level member.
func (d *requestDecoder) member(name string, v jsontext.Value) error {
	r := d.r
	if isNull(v) {
		return nil // the same as not there
	}
	switch name {
	case "model":
		s, ok := str(v)
		if !ok {
			return invalid(name, "must be a string")
		}
		r.Model = strings.TrimPrefix(s, "models/")
		d.keep(name, v)
	case "tools":
		return d.tools(v)
	case "toolConfig":
		return d.toolConfig(v)
	case "generationConfig":
		return d.generation(v)
	case "cachedContent":
		r.Items = append(r.Items, llm.Item{Kind: llm.ItemOpaque, Role: llm.User, Path: name, Type: name, From: llm.Gemini, Raw: v})
	case "serviceTier":
		if s, ok := str(v); ok && s != "" {
			r.ServiceTier = strings.ToLower(s)
			return nil
		}
		d.keep(name, v)
	default:
		d.keep(name, v)
	}
	return nil
}

func (d *requestDecoder) tools(v jsontext.Value) error {
	if k := kindOf(v); k != '[' && k != '{' {
		return invalid("tools", "must be an array")
	}
	d.r.Tools = []llm.Tool{}
	a := span.ReadMany(v)
	for i := 0; a.Next(); i++ {
		path := "tools." + strconv.Itoa(i)
		if kindOf(a.Val) != '{' {
			return invalid(path, "must be an object")
		}
		for o := span.ReadObject(a.Val); o.Next(); {
			name := canon(o.Name)
			if name != "functionDeclarations" {
				// A built-in tool: {"googleSearch": {}}.
				raw := append(span.Quote([]byte{'{'}, o.Name), ':')
				raw = append(append(raw, o.Val...), '}')
				d.r.Tools = append(d.r.Tools, llm.Tool{Type: name, From: llm.Gemini, Raw: raw})
				continue
			}
			f := span.ReadMany(o.Val)
			for k := 0; f.Next(); k++ {
				if kindOf(f.Val) != '{' {
					return invalid(path+".functionDeclarations."+strconv.Itoa(k), "must be an object")
				}
				d.r.Tools = append(d.r.Tools, declaration(f.Val))
			}
		}
	}
	return nil
}

func declaration(v jsontext.Value) llm.Tool {
	t := llm.Tool{From: llm.Gemini, Raw: v}
	for o := span.ReadObject(v); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch name := canon(o.Name); name {
		case "name":
			t.Name = text(o.Val)
		case "description":
			t.Description = text(o.Val)
		case "parametersJsonSchema":
			t.Schema = o.Val
		case "parameters":
			t.Schema = jsonSchema(o.Val)
		default:
			t.Ext = append(t.Ext, llm.Member{Name: name, Value: o.Val})
		}
	}
	return t
}

func (d *requestDecoder) toolConfig(v jsontext.Value) error {
	o, err := spelled("toolConfig", v)
	if err != nil {
		return err
	}
	for o.Next() {
		name := canon(o.Name)
		if name != "functionCallingConfig" || kindOf(o.Val) != '{' {
			d.keep("toolConfig."+name, o.Val)
			continue
		}
		const path = "toolConfig.functionCallingConfig"
		in, err := spelled(path, o.Val)
		if err != nil {
			return err
		}
		var rawMode, rawNames jsontext.Value
		for in.Next() {
			switch name := canon(in.Name); name {
			case "mode":
				rawMode = in.Val
			case "allowedFunctionNames":
				rawNames = in.Val
			default:
				d.keep(path+"."+name, in.Val)
			}
		}
		mode := strings.ToUpper(text(rawMode))
		var names []string
		for a := span.ReadArray(rawNames); a.Next(); {
			names = append(names, text(a.Val))
		}
		c := &d.r.Choice
		switch mode {
		case "AUTO":
			c.Mode = llm.ToolAuto
		case "NONE":
			c.Mode = llm.ToolNone
		case "ANY":
			switch c.Mode = llm.ToolAny; len(names) {
			case 0:
			case 1:
				c.Mode, c.Name = llm.ToolOnly, names[0]
			default:
				c.Mode, c.Names, c.Forced = llm.ToolSubset, names, true
			}
		case "VALIDATED":
			// Text or calls that fit their schemas.
			c.Mode = llm.ToolAuto
			if len(names) > 0 {
				c.Mode, c.Names = llm.ToolSubset, names
			}
			d.keep(path+".mode", jsontext.Value(`"VALIDATED"`))
		default: // none, or one that no word holds
			if rawMode != nil {
				d.keep(path+".mode", rawMode)
			}
		}
		if rawNames != nil && len(allowed(c)) == 0 {
			d.keep(path+".allowedFunctionNames", rawNames)
		}
	}
	return nil
}

// generation decodes generationConfig.
func (d *requestDecoder) generation(v jsontext.Value) error {
	r := d.r
	o, err := spelled("generationConfig", v)
	if err != nil {
		return err
	}
	mime := ""
	for o.Next() {
		if isNull(o.Val) {
			continue
		}
		name := canon(o.Name)
		path := "generationConfig." + name
		number := func(to *jsontext.Value) error {
			if k := kindOf(o.Val); k != '-' && (k < '0' || k > '9') {
				return invalid(path, "must be a number")
			}
			*to = o.Val
			return nil
		}
		switch name {
		case "temperature":
			err = number(&r.Sampling.Temperature)
		case "topP":
			err = number(&r.Sampling.TopP)
		case "topK":
			err = number(&r.Sampling.TopK)
		case "presencePenalty":
			err = number(&r.Sampling.PresencePenalty)
		case "frequencyPenalty":
			err = number(&r.Sampling.FrequencyPenalty)
		case "seed":
			err = number(&r.Sampling.Seed)
		case "maxOutputTokens":
			n, ok := integer(o.Val)
			if !ok {
				return invalid(path, "must be a whole number")
			}
			r.MaxTokens = &n
		case "candidateCount":
			n, ok := integer(o.Val)
			if !ok {
				return invalid(path, "must be a whole number")
			}
			r.N = int(n)
		case "stopSequences":
			if kindOf(o.Val) != '[' {
				return invalid(path, "must be an array of strings")
			}
			r.Stop = []string{}
			for a := span.ReadArray(o.Val); a.Next(); {
				s, ok := str(a.Val)
				if !ok {
					return invalid(path, "must be an array of strings")
				}
				r.Stop = append(r.Stop, s)
			}
		case "responseMimeType":
			mime = text(o.Val)
		case "responseSchema", "responseJsonSchema":
			if kindOf(o.Val) != '{' {
				return invalid(path, "must be an object")
			}
			if r.Format.Schema != nil {
				return invalid(path, "only one of response_schema and response_json_schema may be set")
			}
			r.Format.Kind = llm.FormatJSONSchema
			if name == "responseSchema" {
				r.Format.Schema = jsonSchema(o.Val)
			} else {
				r.Format.Schema = o.Val
			}
		case "thinkingConfig":
			err = d.thinking(o.Val)
		default:
			d.keep(path, o.Val)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case mime == "" || mime == "text/plain" && r.Format.Kind == "":
		if mime != "" {
			d.keep("generationConfig.responseMimeType", span.Quote(nil, mime))
		}
	case mime == "application/json":
		if r.Format.Kind == "" {
			r.Format.Kind = llm.FormatJSONObject
		}
	default: // text/x.enum and what comes
		d.keep("generationConfig.responseMimeType", span.Quote(nil, mime))
	}
	return nil
}

func (d *requestDecoder) thinking(v jsontext.Value) error {
	o, err := spelled("generationConfig.thinkingConfig", v)
	if err != nil {
		return err
	}
	r := &d.r.Reasoning
	for o.Next() {
		name := canon(o.Name)
		switch name {
		case "includeThoughts":
			switch kindOf(o.Val) {
			case 't':
				r.Display = "summarized"
				continue
			case 'f':
				r.Display = "omitted"
				continue
			}
		case "thinkingBudget":
			n, ok := integer(o.Val)
			switch {
			case !ok:
			case n == 0:
				r.Mode = llm.ThinkOff
				continue
			case n < 0:
				r.Mode = llm.ThinkAdaptive
				continue
			default:
				r.Mode, r.Budget = llm.ThinkOn, n
				continue
			}
		case "thinkingLevel":
			if s, ok := str(o.Val); ok && s != "" && s != "THINKING_LEVEL_UNSPECIFIED" {
				r.Effort = strings.ToLower(strings.TrimPrefix(s, "THINKING_LEVEL_"))
				continue
			}
		}
		d.keep("generationConfig.thinkingConfig."+name, o.Val)
	}
	return nil
}

func (d *requestDecoder) system(v jsontext.Value) error {
	if kindOf(v) != '{' {
		return invalid("systemInstruction", "must be an object")
	}
	first := len(d.r.Items)
	if err := d.parts(v, llm.System, "systemInstruction", 0); err != nil {
		return err
	}
	for i := first; i < len(d.r.Items); i++ {
		if k := d.r.Items[i].Kind; k != llm.ItemMessage {
			return invalid(d.r.Items[i].Path, "a system instruction holds text")
		}
	}
	return nil
}

func (d *requestDecoder) content(i int, v jsontext.Value) error {
	path := "contents." + strconv.Itoa(i)
	if kindOf(v) != '{' {
		return invalid(path, "must be an object")
	}
	role := llm.User
	switch s := text(get(v, "role")); s {
	case "user", "", "function", "tool":
	case "model":
		role = llm.Assistant
	default:
		return invalid(path+".role", "Please use a valid role: user, model.")
	}
	if role == llm.Assistant {
		// A call of an earlier turn gets no answer any more.
		d.calls = d.calls[:0]
	}
	return d.parts(v, role, path, i+1)
}

// parts decodes the parts of one content; members beside them that no word
// holds are kept on the first item under a dotted name.
func (d *requestDecoder) parts(v jsontext.Value, role llm.Role, path string, turn int) error {
	first := len(d.r.Items)
	n := 0
	p := partDecoder{role: role, turn: turn,
		call: func(id, name string) string {
			n++
			if id == "" {
				id = madeID("contents", turn, n, name)
			}
			d.calls = append(d.calls, waiting{id: id, name: name})
			return id
		},
		result: func(id, name string) string {
			n++
			return d.answer(id, name, madeID("results", turn, n, name))
		},
	}
	var parts jsontext.Value
	var ext []llm.Member
	o, err := spelled(path, v)
	if err != nil {
		return err
	}
	for o.Next() {
		switch name := canon(o.Name); name {
		case "parts":
			parts = o.Val
		case "role":
			if s := text(o.Val); s != "user" && s != "model" && s != "" {
				ext = append(ext, llm.Member{Name: "content.role", Value: o.Val})
			}
		default:
			ext = append(ext, llm.Member{Name: "content." + name, Value: o.Val})
		}
	}
	if k := kindOf(parts); k != '[' && k != '{' && k != 0 && k != 'n' {
		return invalid(path+".parts", "must be an array")
	}
	items, err := p.decode(d.r.Items, parts, path)
	if err != nil {
		return err
	}
	if len(items) == first {
		items = append(items, llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Path: path, From: llm.Gemini, Blocks: []llm.Block{}})
	}
	items[first].Ext = append(items[first].Ext, ext...)
	d.r.Items = items
	return nil
}

// answer finds the call that a result answers: by id, else the first of its
// name that waits, else the first that waits when the result has no name.
func (d *requestDecoder) answer(id, name, made string) string {
	at := -1
	for i := range d.calls {
		if c := &d.calls[i]; !c.answered && id != "" && c.id == id {
			at = i
			break
		}
	}
	for i := range d.calls {
		if c := &d.calls[i]; at < 0 && !c.answered && (name == "" || c.name == name) {
			at = i
		}
	}
	if at < 0 {
		if id == "" {
			id = made
		}
		return id
	}
	d.calls[at].answered = true
	return d.calls[at].id
}

// madeID is the id of a call that came without one: always the same for the
// same place, so that what we send for a conversation begins alike each time.
func madeID(where string, turn, n int, name string) string {
	return "call_" + hash(where+"\x00"+strconv.Itoa(turn)+"\x00"+strconv.Itoa(n)+"\x00"+name)
}
