package ollama

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Types of the opaque items that stand for members which change what is asked
// and which no other dialect has: each makes the request unfit for any other.
const (
	typeSuffix   = "suffix"
	typeTemplate = "template"
	typeRaw      = "raw"
	typeContext  = "context"
	typeLogprobs = "logprobs"
	// typeLoad is a request without a prompt, which only loads or unloads the
	// model. It has no member of its own.
	typeLoad = "load"
)

// generates says whether the members are those of /api/generate.
func (c Codec) generates(h *llm.Head) bool {
	_, chat := h.At("messages")
	_, prompt := h.At("prompt")
	return !chat && (prompt || c.Form == FormGenerate)
}

// DecodeRequest reads a chat or a generate request. Errors are *llm.Error of
// class InvalidRequest.
func (c Codec) DecodeRequest(body []byte) (*llm.Request, error) {
	h, err := c.Head(llm.OpChat, body)
	if err != nil {
		return nil, err
	}
	d := requestDecoder{r: &llm.Request{From: llm.Ollama, Raw: body, Model: h.Model, Stream: h.Stream}}
	if n := h.MaxTokens; n > 0 {
		d.r.MaxTokens = &n
	}
	generate := c.generates(&h)
	var system, prompt, images, messages jsontext.Value
	for _, m := range h.Members {
		v := jsontext.Value(body[m.Value.From:m.Value.To])
		if span.IsNull(v) {
			continue
		}
		switch name := m.Name; {
		case name == "model" || name == "stream":
		case name == "options":
			err = d.options(v)
		case name == "format":
			err = d.format(v)
		case name == "think":
			err = d.think(v)
		case name == "tools":
			err = d.tools(v)
		case name == "logprobs":
			if span.Kind(v) == 't' {
				d.require(typeLogprobs, v)
			} else {
				d.extra(name, v)
			}
		case !generate && name == "messages":
			if !span.IsArray(v) {
				err = refuse(name, "must be an array")
			}
			messages = v
		case generate && (name == "prompt" || name == "system"):
			if !span.IsString(v) {
				err = refuse(name, "must be a string")
			}
			if name == "prompt" {
				prompt = v
			} else {
				system = v
			}
		case generate && name == "images":
			images = v
		case generate && (name == typeSuffix || name == typeTemplate):
			if !span.IsString(v) {
				err = refuse(name, "must be a string")
			} else if span.Text(v) != "" {
				d.require(name, v)
			}
		case generate && name == typeRaw:
			if span.Kind(v) == 't' {
				d.require(name, v)
			}
		case generate && name == typeContext:
			if span.IsArray(v) && span.Kind(v[1:]) != ']' {
				d.require(name, v)
			}
		default:
			d.extra(name, v)
		}
		if err != nil {
			return nil, err
		}
	}
	if generate {
		err = d.generate(system, prompt, images)
	} else {
		err = d.messages(messages)
	}
	if err != nil {
		return nil, err
	}
	return d.r, nil
}

type requestDecoder struct {
	r     *llm.Request
	turn  int
	calls []pending // of the latest assistant turn
}

// pending is a call that waits for its result.
type pending struct {
	id, name string
	made     bool // the id is ours
	answered bool
}

func (d *requestDecoder) extra(name string, v jsontext.Value) {
	d.r.Ext = append(d.r.Ext, llm.Member{Name: name, Value: v})
}

// require notes a member that only this dialect can express.
func (d *requestDecoder) require(name string, v jsontext.Value) {
	d.r.Items = append(d.r.Items, llm.Item{Kind: llm.ItemOpaque, Role: llm.User, Turn: d.turn, Path: name, Type: name, From: llm.Ollama, Raw: v})
	d.turn++
}

func (d *requestDecoder) options(v jsontext.Value) error {
	for k, o := range span.Fields(v) {
		if span.IsNull(o) {
			continue
		}
		name := string(k)
		var to *jsontext.Value
		switch name {
		case "temperature":
			to = &d.r.Sampling.Temperature
		case "top_p":
			to = &d.r.Sampling.TopP
		case "top_k":
			to = &d.r.Sampling.TopK
		case "frequency_penalty":
			to = &d.r.Sampling.FrequencyPenalty
		case "presence_penalty":
			to = &d.r.Sampling.PresencePenalty
		case "seed":
			to = &d.r.Sampling.Seed
		case "num_predict": // Head has read it
			continue
		case "stop":
			if span.IsString(o) { // not Ollama's own form, but there is only one meaning
				d.r.Stop = append(d.r.Stop, span.Text(o))
				continue
			}
			if !span.IsArray(o) {
				return refuse("options.stop", "must be an array of strings")
			}
			for _, s := range span.Elements(o) {
				if !span.IsString(s) {
					return refuse("options.stop", "must be an array of strings")
				}
				d.r.Stop = append(d.r.Stop, span.Text(s))
			}
			continue
		default:
			d.extra("options."+name, o)
			continue
		}
		if !span.IsNumber(o) {
			return refuse("options."+name, "must be a number")
		}
		*to = o
	}
	return nil
}

func (d *requestDecoder) format(v jsontext.Value) error {
	switch {
	case span.IsObject(v):
		d.r.Format = llm.Format{Kind: llm.FormatJSONSchema, Schema: v}
	case span.IsString(v) && span.Text(v) == "":
	case span.IsString(v) && span.Text(v) == "json":
		d.r.Format.Kind = llm.FormatJSONObject
	default:
		return refuse("format", `must be "json" or a JSON Schema`)
	}
	return nil
}

func (d *requestDecoder) think(v jsontext.Value) error {
	switch span.Kind(v) {
	case 't':
		d.r.Reasoning.Mode = llm.ThinkAdaptive
		return nil
	case 'f':
		d.r.Reasoning.Mode = llm.ThinkOff
		return nil
	case '"':
		switch s := span.Text(v); s {
		case "low", "medium", "high", "max":
			d.r.Reasoning.Effort = s
			return nil
		}
	}
	return refuse("think", `must be true, false, "low", "medium", "high" or "max"`)
}

func (d *requestDecoder) tools(v jsontext.Value) error {
	if !span.IsArray(v) {
		return refuse("tools", "must be an array")
	}
	for i, raw := range span.Elements(v) {
		if !span.IsObject(raw) {
			return refuse("tools."+strconv.Itoa(i), "must be an object")
		}
		t := llm.Tool{From: llm.Ollama, Raw: raw}
		for k, m := range span.Fields(raw) {
			switch string(k) {
			case "type":
				if s := span.Text(m); s != "function" {
					t.Type = s
				}
			case "function":
				for k, m := range span.Fields(m) {
					switch string(k) {
					case "name":
						t.Name = span.Text(m)
					case "description":
						t.Description = span.Text(m)
					case "parameters":
						if span.IsObject(m) {
							t.Schema = m
						}
					case "strict": // OpenAI's; Ollama reads past it
						if k := span.Kind(m); k == 't' || k == 'f' {
							strict := k == 't'
							t.Strict = &strict
						}
					default:
						t.Ext = append(t.Ext, llm.Member{Name: "function." + string(k), Value: m})
					}
				}
			default:
				t.Ext = append(t.Ext, llm.Member{Name: string(k), Value: m})
			}
		}
		if t.Type == "" && t.Name == "" {
			return refuse("tools."+strconv.Itoa(i)+".function.name", "is missing")
		}
		d.r.Tools = append(d.r.Tools, t)
	}
	return nil
}

func (d *requestDecoder) generate(system, prompt, images jsontext.Value) error {
	if s := span.Text(system); s != "" {
		d.r.Items = append(d.r.Items, llm.Item{Kind: llm.ItemMessage, Role: llm.System, Turn: d.turn, Path: "system", From: llm.Ollama,
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: s, From: llm.Ollama}}})
		d.turn++
	}
	blocks, err := pictures(images, "images")
	if err != nil {
		return err
	}
	if s := span.Text(prompt); s != "" {
		blocks = append(blocks, llm.Block{Kind: llm.BlockText, Text: s, From: llm.Ollama})
	}
	if len(blocks) == 0 {
		d.require(typeLoad, nil)
		return nil
	}
	d.r.Items = append(d.r.Items, llm.Item{Kind: llm.ItemMessage, Role: llm.User, Turn: d.turn, Path: "prompt", From: llm.Ollama, Blocks: blocks})
	return nil
}

// pictures reads a list of images: base64 without a media type, which is told
// from the first bytes. On this wire they stand before the text.
func pictures(v jsontext.Value, path string) ([]llm.Block, error) {
	if span.IsNull(v) {
		return nil, nil
	}
	if !span.IsArray(v) {
		return nil, refuse(path, "must be an array")
	}
	var blocks []llm.Block
	for i, image := range span.Elements(v) {
		if !span.IsString(image) {
			return nil, refuse(path+"."+strconv.Itoa(i), "must be base64")
		}
		data, mime := span.Text(image), ""
		if rest, ok := strings.CutPrefix(data, "data:"); ok { // not Ollama's form, but there is only one meaning
			if head, body, ok := strings.Cut(rest, ";base64,"); ok {
				data, mime = body, head
			}
		}
		if mime == "" {
			mime = sniff(data)
		}
		blocks = append(blocks, llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: mime, Data: data}, From: llm.Ollama})
	}
	return blocks, nil
}

// sniff tells the media type of base64 data from its first bytes; "" when they
// are no picture's.
func sniff(data string) string {
	head := data[:min(len(data), 64)]
	b, err := base64.StdEncoding.DecodeString(head[:len(head)/4*4])
	if err != nil {
		return ""
	}
	if mime := http.DetectContentType(b); strings.HasPrefix(mime, "image/") {
		return mime
	}
	return ""
}

func (d *requestDecoder) messages(v jsontext.Value) error {
	n := 0
	for i, m := range span.Elements(v) {
		n++
		path := "messages." + strconv.Itoa(i)
		if !span.IsObject(m) {
			return refuse(path, "must be an object")
		}
		if err := d.message(path, m); err != nil {
			return err
		}
		d.turn++
	}
	if n == 0 {
		d.require(typeLoad, nil)
	}
	return nil
}

func (d *requestDecoder) message(path string, raw jsontext.Value) error {
	var role, content, thinking, toolName, callID string
	var blocks []llm.Block
	var calls jsontext.Value
	var ext []llm.Member
	var err error
	for k, v := range span.Fields(raw) {
		if span.IsNull(v) {
			continue
		}
		var to *string
		switch name := string(k); name {
		case "role":
			to = &role
		case "content":
			to = &content
		case "thinking":
			to = &thinking
		case "tool_name":
			to = &toolName
		case "tool_call_id":
			to = &callID
		case "images":
			if blocks, err = pictures(v, path+".images"); err != nil {
				return err
			}
			continue
		case "tool_calls":
			if !span.IsArray(v) {
				return refuse(path+".tool_calls", "must be an array")
			}
			calls = v
			continue
		default:
			ext = append(ext, llm.Member{Name: name, Value: v})
			continue
		}
		if !span.IsString(v) {
			return refuse(path+"."+string(k), "must be a string")
		}
		*to = span.Text(v)
	}
	it := llm.Item{Kind: llm.ItemMessage, Turn: d.turn, Path: path, From: llm.Ollama, Ext: ext}
	if content != "" {
		blocks = append(blocks, llm.Block{Kind: llm.BlockText, Text: content, From: llm.Ollama})
	}
	it.Blocks = blocks
	switch strings.ToLower(role) {
	case "system":
		it.Role = llm.System
	case "developer":
		it.Role = llm.Developer
	case "user":
		it.Role = llm.User
	case "tool":
		it.Kind, it.Role, it.Raw = llm.ItemToolResult, llm.User, raw
		if toolName == "" { // some clients send OpenAI's older name
			for _, m := range ext {
				if m.Name == "name" {
					toolName = span.Text(m.Value)
				}
			}
		}
		it.Result = llm.Result{CallID: d.answer(callID, toolName), Name: toolName}
	case "assistant":
		return d.assistant(it, thinking, calls)
	default:
		return refuse(path+".role", `must be "system", "user", "assistant" or "tool"`)
	}
	if it.Kind == llm.ItemMessage {
		if thinking != "" { // out of place, but said
			it.Ext = append(it.Ext, llm.Member{Name: "thinking", Value: span.Field(raw, "thinking")})
		}
		if calls != nil {
			it.Ext = append(it.Ext, llm.Member{Name: "tool_calls", Value: calls})
		}
	}
	d.r.Items = append(d.r.Items, it)
	return nil
}

// assistant adds the items of an assistant's message: what it thought, what it
// said, what it called.
func (d *requestDecoder) assistant(it llm.Item, thinking string, calls jsontext.Value) error {
	d.calls = d.calls[:0]
	it.Role = llm.Assistant
	var items []llm.Item
	if thinking != "" {
		items = append(items, llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Turn: it.Turn, Path: it.Path + ".thinking", From: llm.Ollama,
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: thinking, From: llm.Ollama}}})
	}
	hasCalls := span.Kind(calls) == '[' && span.Kind(calls[1:]) != ']'
	if len(it.Blocks) > 0 || len(it.Ext) > 0 || thinking == "" && !hasCalls {
		items = append(items, it)
	}
	for i, raw := range span.Elements(calls) {
		path := it.Path + ".tool_calls." + strconv.Itoa(i)
		call, ok := readCall(raw)
		if !ok {
			return refuse(path+".function.name", "is missing")
		}
		call.Role, call.Turn, call.Path = llm.Assistant, it.Turn, path
		made := call.Call.ID == ""
		if made {
			call.Call.ID = madeID(strconv.Itoa(d.turn), i, &call.Call)
		}
		d.calls = append(d.calls, pending{id: call.Call.ID, name: call.Call.Name, made: made})
		items = append(items, call)
	}
	d.r.Items = append(d.r.Items, items...)
	return nil
}

// readCall reads a tool call; ok is false when it has no name.
func readCall(raw jsontext.Value) (it llm.Item, ok bool) {
	it = llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, From: llm.Ollama, Raw: raw}
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "id":
			it.Call.ID = span.Text(v)
		case "type":
		case "function":
			for k, v := range span.Fields(v) {
				switch string(k) {
				case "name":
					it.Call.Name = span.Text(v)
				case "arguments":
					if span.IsString(v) { // OpenAI's form, which some clients replay
						it.Call.Arguments = []byte(span.Text(v))
					} else if !span.IsNull(v) {
						it.Call.Arguments = v
					}
				case "index":
				default:
					it.Ext = append(it.Ext, llm.Member{Name: "function." + string(k), Value: v})
				}
			}
		default:
			it.Ext = append(it.Ext, llm.Member{Name: string(k), Value: v})
		}
	}
	return it, it.Call.Name != ""
}

// madeID gives a call an id when there is none: the same each time that the
// same conversation or answer is read. where tells answers or turns apart.
func madeID(where string, n int, c *llm.Call) string {
	h := sha256.New()
	for _, s := range []string{where, strconv.Itoa(n), c.Name, string(c.Arguments)} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return "call_" + hex.EncodeToString(h.Sum(nil)[:9])
}

// answer gives the id of the call that a result answers: the one it names,
// else the first call of the tool that has no result yet, else the first call
// without one.
func (d *requestDecoder) answer(id, name string) string {
	for _, by := range []func(p *pending) bool{
		func(p *pending) bool { return id != "" && p.id == id },
		func(p *pending) bool { return !p.answered && name != "" && p.name == name },
		func(p *pending) bool { return !p.answered && name == "" && (id == "" || p.made) },
	} {
		for i := range d.calls {
			if p := &d.calls[i]; by(p) {
				p.answered = true
				return p.id
			}
		}
	}
	return id
}
