package responses

import (
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
	typeInstructions = "instructions"            // the top-level member
	typeContent      = "reasoning_text"          // a thought shown in full, not in summary
	typeCustomResult = "custom_tool_call_output" // the result of a free-text call
	typeMoreTools    = "additional_tools"        // tools that are offered from there on
)

// gap stands between the parts of a summary, so that other dialects, which
// join them, show paragraphs.
const gap = "\n\n"

// DecodeRequest decodes a whole request body. Errors are *llm.Error of class
// InvalidRequest whose message begins with the path of what is wrong.
func (Codec) DecodeRequest(body []byte) (*llm.Request, error) {
	if _, err := span.Members(nil, body, heads); err != nil {
		return nil, broken(err)
	}
	d := requestDecoder{r: &llm.Request{From: llm.Responses, Raw: body}, turn: -1}
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
	// turn numbers runs of items: what the assistant did in a row is one, any
	// other item is its own.
	turn int
	last llm.Role
}

func (d *requestDecoder) string(path string, v []byte) string {
	switch span.Kind(v) {
	case '"':
		return span.Text(v)
	case 'n', 0:
		return ""
	}
	d.Fail(path, "must be a string")
	return ""
}

func (d *requestDecoder) extra(name string, v jsontext.Value) {
	d.r.Ext = append(d.r.Ext, llm.Member{Name: name, Value: v})
}

func (d *requestDecoder) top(body []byte) {
	r := d.r
	var input, instructions, prompt jsontext.Value
	user := ""
	for name, v := range span.Fields(body) {
		switch n := string(name); n {
		case "model":
			if r.Model = d.string(n, v); r.Model == "" {
				d.Fail(n, "must be a string that is not empty")
			}
		case "input":
			input = v
		case "instructions":
			instructions = v
		case "tools":
			d.tools(v)
		case "tool_choice":
			d.choice(v)
		case "parallel_tool_calls":
			r.ParallelCalls = d.Boolean(n, v)
		case "max_output_tokens":
			if span.IsNull(v) {
				continue
			}
			k, ok := span.Integer(v)
			if !ok || k < 0 {
				d.Fail(n, "must be a whole number, not negative")
			}
			r.MaxTokens = &k
		case "temperature":
			r.Sampling.Temperature = d.Number(n, v)
		case "top_p":
			r.Sampling.TopP = d.Number(n, v)
		case "frequency_penalty": // not OpenAI's; some compatible servers take them
			r.Sampling.FrequencyPenalty = d.Number(n, v)
		case "presence_penalty":
			r.Sampling.PresencePenalty = d.Number(n, v)
		case "stream":
			if b := d.Boolean(n, v); b != nil {
				r.Stream = *b
			}
		case "stream_options":
			for k, v := range span.Fields(v) {
				if string(k) != "include_obfuscation" { // only how this wire pads its events
					d.extra(n+"."+string(k), v)
				}
			}
		case "reasoning":
			d.reasoning(v)
		case "text":
			d.text(v)
		case "safety_identifier":
			if id := d.string(n, v); id != "" {
				r.EndUser = id
			}
		case "user":
			user = d.string(n, v)
		case "service_tier":
			r.ServiceTier = d.string(n, v)
		default:
			if n == "prompt" {
				prompt = v
			}
			d.extra(n, v)
		}
	}
	if r.EndUser == "" {
		r.EndUser = user
	}
	if r.Model == "" {
		d.Fail("model", "is missing")
	}
	switch span.Kind(instructions) {
	case '"':
		if s := span.Text(instructions); s != "" {
			d.add(llm.Item{Kind: llm.ItemMessage, Role: llm.System, Type: typeInstructions, Path: "instructions",
				Blocks: []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Responses}}})
		}
	case 0, 'n':
	default:
		d.Fail("instructions", "must be a string")
	}
	switch span.Kind(input) {
	case '"':
		d.add(llm.Item{Kind: llm.ItemMessage, Role: llm.User, Path: "input",
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: span.Text(input), From: llm.Responses}}})
	case '[':
		for i, raw := range span.Elements(input) {
			if d.Err != nil {
				return
			}
			d.item("input."+strconv.Itoa(i), raw)
		}
	case 0, 'n':
		if span.IsNull(prompt) && !d.goesOn() {
			d.Fail("input", "is missing")
		}
	default:
		d.Fail("input", "must be a string or an array of items")
	}
}

// goesOn says that the conversation stands elsewhere.
func (d *requestDecoder) goesOn() bool {
	for _, m := range d.r.Ext {
		if (m.Name == "previous_response_id" || m.Name == "conversation") && !span.IsNull(m.Value) {
			return true
		}
	}
	return false
}

func (d *requestDecoder) reasoning(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsObject(v) {
		d.Fail("reasoning", "must be an object")
	}
	for name, v := range span.Fields(v) {
		n := "reasoning." + string(name)
		switch string(name) {
		case "effort":
			if e := d.string(n, v); e != "" {
				d.r.Reasoning.Effort = e
				if e == "none" {
					d.r.Reasoning.Mode = llm.ThinkOff
				}
			}
		case "summary", "generate_summary":
			if s := d.string(n, v); s != "" {
				d.r.Reasoning.Display = "summarized"
				if s != "auto" || n != "reasoning.summary" {
					d.extra(n, v)
				}
			}
		default:
			if !span.IsNull(v) {
				d.extra(n, v)
			}
		}
	}
}

func (d *requestDecoder) text(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsObject(v) {
		d.Fail("text", "must be an object")
	}
	f := &d.r.Format
	for name, v := range span.Fields(v) {
		if string(name) != "format" {
			if !span.IsNull(v) {
				d.extra("text."+string(name), v)
			}
			continue
		}
		if span.IsNull(v) {
			continue
		}
		if !span.IsObject(v) {
			d.Fail("text.format", "must be an object")
		}
		switch t := span.Text(span.Field(v, "type")); t {
		case "text":
			f.Kind = llm.FormatText
		case "json_object":
			f.Kind = llm.FormatJSONObject
		case "json_schema":
			f.Kind = llm.FormatJSONSchema
			for k, v := range span.Fields(v) {
				n := "text.format." + string(k)
				switch string(k) {
				case "type":
				case "name":
					f.Name = d.string(n, v)
				case "description":
					f.Description = d.string(n, v)
				case "schema":
					if !span.IsNull(v) {
						f.Schema = v
					}
				case "strict":
					f.Strict = d.Boolean(n, v)
				default:
					d.extra(n, v)
				}
			}
		default:
			d.extra("text.format", v)
		}
	}
}

func (d *requestDecoder) tools(v jsontext.Value) {
	if span.IsNull(v) {
		return
	}
	if !span.IsArray(v) {
		d.Fail("tools", "must be an array")
	}
	d.r.Tools = append(d.r.Tools, d.list("tools.", "", v)...)
}

// list reads tools; those of a namespace get its name before their own.
func (d *requestDecoder) list(path, namespace string, v jsontext.Value) []llm.Tool {
	var tools []llm.Tool
	for i, raw := range span.Elements(v) {
		if d.Err != nil {
			return nil
		}
		tools = append(tools, d.tool(path+strconv.Itoa(i), namespace, raw))
	}
	return tools
}

func (d *requestDecoder) tool(path, namespace string, raw jsontext.Value) llm.Tool {
	if !span.IsObject(raw) {
		d.Fail(path, "must be an object")
		return llm.Tool{}
	}
	t := llm.Tool{From: llm.Responses, Raw: raw, Type: span.Text(span.Field(raw, "type"))}
	plain := t.Type == "function" || t.Type == "custom"
	var inner jsontext.Value
	for name, v := range span.Fields(raw) {
		switch n := string(name); {
		case n == "type":
		case n == "name":
			t.Name = span.Text(v)
		case n == "description" && (plain || t.Type == llm.ToolNamespace):
			t.Description = d.string(path+".description", v)
		case n == "tools" && t.Type == llm.ToolNamespace && namespace == "":
			inner = v
		case n == "parameters" && t.Type == "function":
			if !span.IsNull(v) {
				t.Schema = v
			}
		case n == "strict" && t.Type == "function":
			t.Strict = d.Boolean(path+".strict", v)
		case plain && !span.IsNull(v):
			t.Ext = append(t.Ext, llm.Member{Name: n, Value: v})
		}
	}
	if plain && t.Name == "" {
		d.Fail(path+".name", "is missing")
	}
	if t.Type == "" {
		d.Fail(path+".type", "is missing")
	}
	if t.Type == "function" {
		t.Type = ""
	}
	if inner != nil && t.Name != "" {
		t.Tools = d.list(path+".tools.", t.Name, inner)
	}
	t.Name = llm.Within(namespace, t.Name)
	return t
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
		case "required":
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
	case "function", "custom":
		name := span.Text(span.Field(v, "name"))
		if name == "" {
			d.Fail("tool_choice", "names no tool")
		}
		c.Mode, c.Name = llm.ToolOnly, llm.Within(span.Text(span.Field(v, "namespace")), name)
	case "allowed_tools":
		var names []string
		for _, tool := range span.Elements(span.Field(v, "tools")) {
			n := span.Text(span.Field(tool, "name"))
			if t := span.Text(span.Field(tool, "type")); n == "" || t != "function" && t != "custom" {
				d.extra("tool_choice", v) // tools of OpenAI's own are among them
				return
			}
			names = append(names, llm.Within(span.Text(span.Field(tool, "namespace")), n))
		}
		c.Mode, c.Names = llm.ToolSubset, names
		c.Forced = span.Text(span.Field(v, "mode")) == "required"
	default: // a tool of OpenAI's own: only this dialect can say it
		d.extra("tool_choice", v)
	}
}

// add puts an item into its turn.
func (d *requestDecoder) add(it llm.Item) {
	if d.turn < 0 || it.Role != llm.Assistant || d.last != llm.Assistant {
		d.turn++
	}
	d.last = it.Role
	it.Turn, it.From = d.turn, llm.Responses
	d.r.Items = append(d.r.Items, it)
}

func (d *requestDecoder) item(path string, raw jsontext.Value) {
	if !span.IsObject(raw) {
		d.Fail(path, "must be an object")
		return
	}
	it, problem := readItem(raw)
	it.Path = path
	if problem != "" {
		d.Fail(path, "%s", problem)
		return
	}
	if it.Kind == llm.ItemOpaque && it.Type == typeMoreTools {
		it.Tools = d.list(path+".tools.", "", span.Field(raw, "tools"))
	}
	d.add(it)
}

// answers are the items that the client, not the model, has made.
var answers = map[string]bool{
	"computer_call_output": true, "local_shell_call_output": true, "shell_call_output": true,
	"apply_patch_call_output": true, "mcp_approval_response": true, "program_output": true,
	"tool_search_output": true, "compaction_trigger": true,
}

// readItem reads an item of input or output. A problem is what a request is
// refused for.
func readItem(raw jsontext.Value) (it llm.Item, problem string) {
	it = llm.Item{Role: llm.Assistant, From: llm.Responses, Raw: raw}
	kind := span.Text(span.Field(raw, "type"))
	if kind == "" && span.Field(raw, "role") != nil {
		kind = "message" // the easy form
	}
	if kind == "" && span.Field(raw, "id") != nil {
		kind = "item_reference"
	}
	switch kind {
	case "message":
		return readMessage(it)
	case "reasoning":
		return readReasoning(it), ""
	case "function_call", "custom_tool_call":
		return readCall(it, kind)
	case "function_call_output", typeCustomResult:
		return readResult(it, kind)
	case "":
		return it, "has no type"
	}
	it.Kind, it.Type = llm.ItemOpaque, kind
	it.ID = span.Text(span.Field(raw, "id"))
	switch role := span.Text(span.Field(raw, "role")); {
	case role == "developer":
		it.Role = llm.Developer
	case role == "system":
		it.Role = llm.System
	case role == "user" || answers[kind]:
		it.Role = llm.User
	}
	return it, ""
}

// carry keeps a member that no word of ours holds. A status of "completed"
// says nothing.
func carry(it *llm.Item, name []byte, v jsontext.Value) {
	if span.IsNull(v) || string(name) == "status" && string(v) == `"completed"` {
		return
	}
	it.Ext = append(it.Ext, llm.Member{Name: string(name), Value: v})
}

func readMessage(it llm.Item) (llm.Item, string) {
	it.Kind = llm.ItemMessage
	var content jsontext.Value
	role := ""
	for name, v := range span.Fields(it.Raw) {
		switch string(name) {
		case "type":
		case "role":
			role = span.Text(v)
		case "content":
			content = v
		case "id":
			it.ID = span.Text(v)
		default:
			carry(&it, name, v)
		}
	}
	switch role {
	case "system":
		it.Role = llm.System
	case "developer":
		it.Role = llm.Developer
	case "user":
		it.Role = llm.User
	case "assistant":
		it.Role = llm.Assistant
	default:
		return it, fmt.Sprintf("has the unknown role %q", role)
	}
	var problem string
	it.Blocks, problem = readContent(content)
	return it, problem
}

// readContent reads a string or a list of parts.
func readContent(v jsontext.Value) (blocks []llm.Block, problem string) {
	switch span.Kind(v) {
	case 0, 'n':
		return nil, ""
	case '"':
		return []llm.Block{{Kind: llm.BlockText, Text: span.Text(v), From: llm.Responses}}, ""
	case '[':
	default:
		return nil, "has content that is neither a string nor a list"
	}
	blocks = []llm.Block{}
	for i, raw := range span.Elements(v) {
		if span.IsString(raw) {
			blocks = append(blocks, llm.Block{Kind: llm.BlockText, Text: span.Text(raw), From: llm.Responses, Raw: raw})
			continue
		}
		b, problem := readPart(raw)
		if problem != "" {
			return nil, "has a part " + strconv.Itoa(i) + " that " + problem
		}
		blocks = append(blocks, b)
	}
	return blocks, ""
}

func readPart(raw jsontext.Value) (b llm.Block, problem string) {
	if !span.IsObject(raw) {
		return b, "is no object"
	}
	b = llm.Block{From: llm.Responses, Raw: raw}
	kind := span.Text(span.Field(raw, "type"))
	switch kind {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		b.Kind = llm.BlockText
	case "refusal":
		b.Kind = llm.BlockRefusal
	case "input_image":
		b.Kind = llm.BlockImage
	case "input_file":
		b.Kind = llm.BlockFile
	case "input_audio":
		b.Kind = llm.BlockAudio
	default:
		b.Kind, b.Type = llm.BlockOpaque, kind
		return b, ""
	}
	for name, v := range span.Fields(raw) {
		switch n := string(name); {
		case n == "type":
		case n == "text" && b.Kind == llm.BlockText, n == "refusal" && b.Kind == llm.BlockRefusal:
			if !span.IsString(v) {
				return b, "has no text"
			}
			b.Text = span.Text(v)
		case n == "annotations" && b.Kind == llm.BlockText:
			if span.IsArray(v) && !span.Blank(v) {
				b.Citations = v
			}
		case n == "detail":
			b.Media.Detail = span.Text(v)
		case n == "file_id":
			b.Media.FileID = span.Text(v)
		case n == "filename":
			b.Media.Name = span.Text(v)
		case n == "image_url":
			u := v
			if span.IsObject(v) { // written as for Chat Completions
				u = span.Field(v, "url")
			}
			if s := span.Text(u); s != "" {
				forms.Source(&b.Media, s)
			}
		case n == "file_url":
			b.Media.URL = span.Text(v)
		case n == "file_data":
			if s := span.Text(v); s != "" {
				forms.Source(&b.Media, s)
				if b.Media.Data == "" && !strings.Contains(b.Media.URL, ":") { // bare base64
					b.Media.Data, b.Media.URL = b.Media.URL, ""
				}
			}
		case n == "input_audio":
			b.Media.Data = span.Text(span.Field(v, "data"))
			if f := span.Text(span.Field(v, "format")); f != "" {
				b.Media.MIME = "audio/" + f
			}
		case span.IsNull(v) || span.Blank(v):
		default:
			b.Ext = append(b.Ext, llm.Member{Name: n, Value: v})
		}
	}
	m := &b.Media
	switch b.Kind {
	case llm.BlockImage, llm.BlockFile, llm.BlockAudio:
		if m.Data == "" && m.URL == "" && m.FileID == "" {
			return b, "has no source"
		}
		if b.Kind == llm.BlockFile && m.MIME == "" && m.Data != "" &&
			(strings.HasSuffix(strings.ToLower(m.Name), ".pdf") || strings.HasPrefix(m.Data, "JVBERi")) {
			m.MIME = "application/pdf"
		}
	}
	return b, ""
}

// readReasoning reads a thought. Where it is shown in full (content), that is
// its text, and a summary beside it is carried.
func readReasoning(it llm.Item) llm.Item {
	it.Kind = llm.ItemReasoning
	var summary, content jsontext.Value
	encrypted, issuer := "", ""
	for name, v := range span.Fields(it.Raw) {
		switch string(name) {
		case "type":
		case "id":
			it.ID = span.Text(v)
		case "summary":
			summary = v
		case "content":
			content = v
		case "encrypted_content":
			encrypted = span.Text(v)
		case "format": // OpenRouter names who made it
			issuer = span.Text(v)
			carry(&it, name, v)
		default:
			carry(&it, name, v)
		}
	}
	shown := summary
	if span.IsArray(content) && !span.Blank(content) {
		shown, it.Type = content, typeContent
		if span.IsArray(summary) && !span.Blank(summary) {
			it.Ext = append(it.Ext, llm.Member{Name: "summary", Value: summary})
		}
	}
	for _, part := range span.Elements(shown) {
		if len(it.Blocks) > 0 {
			it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockText, Text: gap, From: llm.Responses})
		}
		it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockText, Text: span.Text(span.Field(part, "text")), From: llm.Responses, Raw: part})
	}
	if o, ok := opaqueOf(encrypted, issuer); ok {
		it.Opaque = []llm.Opaque{o}
		it.Name = o.Issuer
	}
	return it
}

func readCall(it llm.Item, kind string) (llm.Item, string) {
	it.Kind = llm.ItemToolCall
	it.Call.Custom = kind == "custom_tool_call"
	namespace := ""
	for name, v := range span.Fields(it.Raw) {
		switch n := string(name); {
		case n == "type":
		case n == "id":
			it.ID = span.Text(v)
		case n == "call_id":
			it.Call.ID = span.Text(v)
		case n == "name":
			it.Call.Name = span.Text(v)
		case n == "namespace":
			namespace = span.Text(v)
		case n == "arguments" && !it.Call.Custom:
			if span.IsObject(v) {
				it.Call.Arguments = v
			} else {
				it.Call.Arguments = []byte(span.Text(v))
			}
		case n == "input" && it.Call.Custom:
			it.Call.Arguments = []byte(span.Text(v))
		default:
			carry(&it, name, v)
		}
	}
	if it.Call.ID == "" {
		it.Call.ID = it.ID // a server that gives a call one id only
	}
	switch {
	case it.Call.Name == "":
		return it, "names no tool"
	case it.Call.ID == "":
		return it, "has no call_id"
	}
	if namespace == it.Call.Name {
		carry(&it, []byte("namespace"), span.Quote(nil, namespace))
	}
	it.Call.Name = llm.Within(namespace, it.Call.Name)
	return it, ""
}

func readResult(it llm.Item, kind string) (llm.Item, string) {
	it.Kind, it.Role = llm.ItemToolResult, llm.User
	if kind == typeCustomResult {
		it.Type = kind
	}
	var output jsontext.Value
	for name, v := range span.Fields(it.Raw) {
		switch string(name) {
		case "type":
		case "id":
			it.ID = span.Text(v)
		case "call_id":
			it.Result.CallID = span.Text(v)
		case "name":
			it.Result.Name = span.Text(v)
		case "output":
			output = v
		default:
			carry(&it, name, v)
		}
	}
	if it.Result.CallID == "" {
		return it, "has no call_id"
	}
	if span.IsObject(output) { // one part, or a value that some client did not turn into text
		b, problem := readPart(output)
		if problem == "" && b.Kind != llm.BlockOpaque {
			it.Blocks = []llm.Block{b}
		} else {
			it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: string(output), From: llm.Responses}}
		}
		return it, ""
	}
	var problem string
	it.Blocks, problem = readContent(output)
	return it, problem
}
