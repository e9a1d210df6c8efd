package gemini

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// part is one part of a content, read but not yet in words.
type part struct {
	raw     jsontext.Value
	text    string
	hasText bool
	thought bool
	// signature is the thoughtSignature as received; "" is none.
	signature string
	// call, result, inline and file are the members of that kind; other is
	// whatever else the part is, otherName its name.
	call, result, inline, file, other jsontext.Value
	otherName                         string
	ext                               []llm.Member
}

// readPart reads one part.
func readPart(v jsontext.Value) part {
	p := part{raw: v}
	for o := span.ReadObject(v); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch name := canon(o.Name); name {
		case "text":
			p.text, p.hasText = str(o.Val)
		case "thought":
			p.thought = kindOf(o.Val) == 't'
		case "thoughtSignature":
			p.signature = text(o.Val)
		case "functionCall":
			p.call = o.Val
		case "functionResponse":
			p.result = o.Val
		case "inlineData":
			p.inline = o.Val
		case "fileData":
			p.file = o.Val
		case "executableCode", "codeExecutionResult", "toolCall", "toolResponse":
			p.other, p.otherName = o.Val, name
		default:
			p.ext = append(p.ext, llm.Member{Name: name, Value: o.Val})
		}
	}
	if !p.hasText && p.call == nil && p.result == nil && p.inline == nil && p.file == nil && p.other == nil && p.signature == "" && len(p.ext) > 0 {
		p.other, p.otherName = p.ext[0].Value, p.ext[0].Name
	}
	return p
}

// opaque is the state of the part.
func (p *part) opaque() []llm.Opaque {
	if o, ok := signatureOf(p.signature); ok {
		return []llm.Opaque{o}
	}
	return nil
}

// streaming reports whether the part is a piece of a call whose arguments
// arrive bit by bit (Vertex, only when asked for).
func streaming(call []byte) bool {
	return get(call, "partialArgs") != nil || string(get(call, "willContinue")) == "true"
}

// partDecoder turns the parts of one content into items.
type partDecoder struct {
	role llm.Role
	turn int
	// call is told of each call and gives its id; result of each result and
	// gives the id of the call that it answers.
	call   func(id, name string) string
	result func(id, name string) string
}

// decode appends the items of parts. A run of unsigned texts (or thoughts) is
// one item; whatever is signed, called or answered is an item of its own, so
// that no signature moves.
func (d *partDecoder) decode(items []llm.Item, parts jsontext.Value, path string) ([]llm.Item, error) {
	first := len(items)
	a := span.ReadMany(parts)
	for i := 0; a.Next(); i++ {
		at := path + ".parts." + strconv.Itoa(i)
		if kindOf(a.Val) != '{' {
			return items, invalid(at, "must be an object")
		}
		p := readPart(a.Val)
		it := llm.Item{Role: d.role, Turn: d.turn, Path: at, From: llm.Gemini, Opaque: p.opaque()}
		var last *llm.Item
		if len(items) > first && len(items[len(items)-1].Opaque) == 0 {
			last = &items[len(items)-1]
		}
		switch {
		case p.call != nil && !streaming(p.call):
			it.Kind, it.Raw, it.Ext = llm.ItemToolCall, a.Val, p.ext
			d.decodeCall(&it, p.call)
		case p.result != nil:
			it.Kind, it.Raw, it.Ext = llm.ItemToolResult, a.Val, p.ext
			d.decodeResult(&it, p.result)
		case p.call != nil:
			it.Kind, it.Type, it.Raw = llm.ItemOpaque, "functionCall", a.Val
		case p.thought && (p.hasText || p.signature != ""):
			if p.text == "" && strings.HasPrefix(p.signature, wrapped) && last != nil && last.Kind == llm.ItemReasoning {
				last.Opaque = it.Opaque // what we wrote behind the streamed thought
				continue
			}
			it.Kind = llm.ItemReasoning
			if p.hasText {
				if last != nil && last.Kind == llm.ItemReasoning && len(it.Opaque) == 0 {
					last.Blocks = append(last.Blocks, p.textBlock())
					continue
				}
				it.Blocks = []llm.Block{p.textBlock()}
			} else {
				it.Raw = a.Val
			}
		case p.other != nil && d.role == llm.Assistant:
			it.Kind, it.Type, it.Raw = llm.ItemOpaque, p.otherName, a.Val
		default:
			it.Kind = llm.ItemMessage
			var b llm.Block
			switch {
			case p.inline != nil || p.file != nil:
				b = p.mediaBlock()
			case p.other != nil:
				b = llm.Block{Kind: llm.BlockOpaque, Type: p.otherName, From: llm.Gemini, Raw: a.Val}
			case !p.hasText && len(it.Opaque) > 0:
				it.Raw = a.Val
				items = append(items, it)
				continue
			default:
				b = p.textBlock()
			}
			if last != nil && last.Kind == llm.ItemMessage && len(it.Opaque) == 0 {
				last.Blocks = append(last.Blocks, b)
				continue
			}
			it.Blocks = []llm.Block{b}
		}
		items = append(items, it)
	}
	return items, nil
}

func (p *part) textBlock() llm.Block {
	return llm.Block{Kind: llm.BlockText, Text: p.text, From: llm.Gemini, Raw: p.raw, Ext: p.ext}
}

func (d *partDecoder) decodeCall(it *llm.Item, v jsontext.Value) {
	for o := span.ReadObject(v); o.Next(); {
		switch canon(o.Name) {
		case "id":
			it.Call.ID = text(o.Val)
		case "name":
			it.Call.Name = text(o.Val)
		case "args":
			if !isNull(o.Val) {
				it.Call.Arguments = o.Val
			}
		}
	}
	it.Call.ID = d.call(it.Call.ID, it.Call.Name)
}

func (d *partDecoder) decodeResult(it *llm.Item, v jsontext.Value) {
	var response, parts jsontext.Value
	for o := span.ReadObject(v); o.Next(); {
		switch canon(o.Name) {
		case "id":
			it.Result.CallID = text(o.Val)
		case "name":
			it.Result.Name = text(o.Val)
		case "response":
			response = o.Val
		case "parts":
			parts = o.Val
		default:
			it.Ext = append(it.Ext, llm.Member{Name: canon(o.Name), Value: o.Val})
		}
	}
	it.Result.CallID = d.result(it.Result.CallID, it.Result.Name)
	if said, isError := output(response); said != "" || isError {
		it.Result.IsError = isError
		it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockText, Text: said, From: llm.Gemini})
	}
	for a := span.ReadMany(parts); a.Next(); {
		p := readPart(a.Val)
		if p.inline != nil || p.file != nil {
			it.Blocks = append(it.Blocks, p.mediaBlock())
		} else {
			it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockOpaque, Type: "part", From: llm.Gemini, Raw: a.Val})
		}
	}
}

// output reads the response of a function: "output" is its result, "error"
// its failure, and any other object is all of it the result (go-genai,
// FunctionResponse).
func output(v jsontext.Value) (said string, isError bool) {
	if kindOf(v) != '{' {
		if s, ok := str(v); ok {
			return s, false
		}
		return string(v), false
	}
	n := 0
	var out jsontext.Value
	for o := span.ReadObject(v); o.Next(); n++ {
		switch string(o.Name) {
		case "output":
			out = o.Val
		case "error":
			out, isError = o.Val, true
		}
	}
	if n != 1 || out == nil {
		if n == 0 {
			return "", false
		}
		return string(v), false
	}
	if s, ok := str(out); ok {
		return s, isError
	}
	return string(out), isError
}

// mediaBlock reads inlineData and fileData. Video has no word: only this
// dialect takes it.
func (p *part) mediaBlock() llm.Block {
	b := llm.Block{From: llm.Gemini, Raw: p.raw, Ext: p.ext}
	v := p.inline
	if v == nil {
		v = p.file
	}
	for o := span.ReadObject(v); o.Next(); {
		switch canon(o.Name) {
		case "mimeType":
			b.Media.MIME = text(o.Val)
		case "data":
			b.Media.Data = text(o.Val)
		case "fileUri":
			b.Media.URL = text(o.Val)
		case "displayName":
			b.Media.Name = text(o.Val)
		}
	}
	m := &b.Media
	if p.file != nil && !public(m.URL) {
		m.FileID, m.URL = m.URL, ""
	}
	mime := strings.ToLower(m.MIME)
	switch {
	case strings.HasPrefix(mime, "image/"):
		b.Kind = llm.BlockImage
	case strings.HasPrefix(mime, "audio/"):
		b.Kind = llm.BlockAudio
	case strings.HasPrefix(mime, "text/") || mime == "application/json":
		b.Kind = llm.BlockFile
		if raw, err := base64.StdEncoding.DecodeString(m.Data); err == nil && utf8.Valid(raw) && len(raw) > 0 {
			m.Text, m.Data = string(raw), ""
		}
	case strings.HasPrefix(mime, "video/"), strings.Contains(m.URL, "youtube.com/"), strings.Contains(m.URL, "youtu.be/"), m.Data == "" && m.URL == "" && m.FileID == "":
		name := "inlineData"
		if p.file != nil {
			name = "fileData"
		}
		return llm.Block{Kind: llm.BlockOpaque, Type: name, From: llm.Gemini, Raw: p.raw}
	default:
		b.Kind = llm.BlockFile
	}
	return b
}

// public reports whether a file's address is one that anybody can read, and
// not the name of a file that lies with Google.
func public(uri string) bool {
	return (strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://")) && !strings.HasPrefix(uri, "https://generativelanguage.googleapis.com/")
}
