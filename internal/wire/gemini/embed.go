package gemini

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// DecodeEmbed decodes a body of embedContent (one content) or of
// batchEmbedContents (requests), in either spelling. All requests of a batch
// must ask for the same length and task, as no other dialect could say it. Only
// text has words; anything else is an *llm.Error of class Unsupported, any
// other error one of class InvalidRequest.
func (Codec) DecodeEmbed(body []byte) (*llm.EmbedRequest, error) {
	var room [8]span.Member
	members, err := top(room[:0], body)
	if err != nil {
		return nil, err
	}
	r := &llm.EmbedRequest{From: llm.Gemini, Raw: body}
	for i := range members {
		if v := body[members[i].Value.From:members[i].Value.To]; members[i].Name == "requests" && !isNull(v) {
			if kindOf(v) != '[' {
				return nil, invalid("requests", "must be an array")
			}
			a := span.ReadArray(v)
			for n := 0; a.Next(); n++ {
				one := llm.EmbedRequest{}
				if err := embedOne(&one, a.Val, "requests."+strconv.Itoa(n)+"."); err != nil {
					return nil, err
				}
				if n > 0 && (one.Task != r.Task || one.Dimensions != r.Dimensions) {
					return nil, llm.Errorf(llm.Unsupported, "requests.%d: another task or length than the first", n)
				}
				r.Task, r.Dimensions = one.Task, one.Dimensions
				if r.Model == "" {
					r.Model = one.Model
				}
				r.Inputs = append(r.Inputs, one.Inputs...)
				if n == 0 {
					r.Ext = one.Ext
				}
			}
			if len(r.Inputs) == 0 {
				return nil, invalid("requests", "is empty")
			}
			return r, nil
		}
	}
	r.Single = true
	return r, embedOne(r, body, "")
}

func embedOne(r *llm.EmbedRequest, v []byte, path string) error {
	in := llm.EmbedInput{}
	var content jsontext.Value
	for o := span.ReadObject(v); o.Next(); {
		if isNull(o.Val) {
			continue
		}
		switch name := canon(o.Name); name {
		case "model":
			r.Model = strings.TrimPrefix(text(o.Val), "models/")
		case "content":
			content = o.Val
		case "taskType":
			if r.Task = text(o.Val); r.Task == "TASK_TYPE_UNSPECIFIED" {
				r.Task = ""
			}
		case "title":
			in.Title = text(o.Val)
		case "outputDimensionality":
			n, ok := integer(o.Val)
			if !ok || n <= 0 {
				return invalid(path+name, "must be a whole number above 0")
			}
			r.Dimensions = n
		default:
			r.Ext = append(r.Ext, llm.Member{Name: name, Value: o.Val})
		}
	}
	if kindOf(content) != '{' {
		return invalid(path+"content", "content is not specified")
	}
	for a := span.ReadMany(get(content, "parts")); a.Next(); {
		p := readPart(a.Val)
		if !p.hasText {
			return llm.Errorf(llm.Unsupported, "%scontent: only text can be embedded by another provider", path)
		}
		in.Text += p.text
	}
	r.Inputs = append(r.Inputs, in)
	return nil
}

// AppendEmbeddings writes the answer in the form of the request: one embedding
// or a list. Vectors in base64 are written as numbers, which this dialect
// alone has.
func (Codec) AppendEmbeddings(dst []byte, r *llm.EmbedRequest, e *llm.Embeddings) []byte {
	b := append(dst, '{')
	if r.Single && len(e.Vectors) == 1 {
		b = appendVector(append(b, `"embedding":`...), &e.Vectors[0])
	} else {
		b = append(b, `"embeddings":[`...)
		for i := range e.Vectors {
			b = appendVector(comma(b), &e.Vectors[i])
		}
		b = append(b, ']')
	}
	if e.From == llm.Gemini {
		for i := range e.Ext {
			b = member(b, &e.Ext[i])
		}
	}
	if e.Usage.Source != "" {
		b = strconv.AppendInt(append(key(b, "usageMetadata"), `{"promptTokenCount":`...), e.Usage.Prompt(), 10)
		b = append(b, '}')
	}
	return append(b, '}')
}

func appendVector(b []byte, v *llm.Vector) []byte {
	b = append(b, `{"values":`...)
	if len(v.Floats) > 0 {
		return append(append(b, v.Floats...), '}')
	}
	b = append(b, '[')
	raw, err := base64.StdEncoding.DecodeString(v.Base64)
	if err != nil {
		raw = nil
	}
	for ; len(raw) >= 4; raw = raw[4:] {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = 0
		}
		b = strconv.AppendFloat(comma(b), f, 'g', -1, 32)
	}
	return append(b, "]}"...)
}

// EncodeEmbed writes a request for a Gemini provider: embedContent when it came
// in this dialect as one content, else batchEmbedContents, whatever the number
// of inputs.
func (c Codec) EncodeEmbed(r *llm.EmbedRequest, model string, _ *llm.Capability) (llm.Encoded, error) {
	var e llm.Encoded
	lose := func(kind llm.LossKind, path, why string) {
		e.Losses = append(e.Losses, llm.Loss{Kind: kind, Path: path, Why: why})
	}
	own := r.From == llm.Gemini
	one := func(b []byte, in *llm.EmbedInput) []byte {
		b = span.Quote(append(b, `{"model":`...), "models/"+model)
		b = span.Quote(append(key(b, "content"), `{"parts":[{"text":`...), in.Text)
		b = append(b, "}]}"...)
		if r.Task != "" {
			b = span.Quote(key(b, "taskType"), r.Task)
		}
		if in.Title != "" {
			b = span.Quote(key(b, "title"), in.Title)
		}
		if r.Dimensions > 0 {
			b = strconv.AppendInt(key(b, "outputDimensionality"), r.Dimensions, 10)
		}
		if own {
			for i := range r.Ext {
				b = member(b, &r.Ext[i])
			}
		}
		return append(b, '}')
	}
	if r.EndUser != "" && !own {
		lose(llm.LossWarn, "user", "dropped: the dialect has no end users")
	}
	if r.Truncate != nil && !*r.Truncate {
		lose(llm.LossWarn, "truncate", "dropped: the dialect cuts what is too long")
	}
	if !own {
		for _, m := range r.Ext {
			if !isNull(m.Value) {
				lose(llm.LossWarn, m.Name, "dropped: the dialect has no such member")
			}
		}
	}
	for i := range r.Inputs {
		if len(r.Inputs[i].Tokens) > 0 {
			lose(llm.LossRefuse, "input", "the dialect embeds text, not token numbers")
			break
		}
	}
	var b []byte
	if own && r.Single && len(r.Inputs) == 1 {
		b = one(nil, &r.Inputs[0])
	} else {
		b = append(b, `{"requests":[`...)
		for i := range r.Inputs {
			b = one(comma(b), &r.Inputs[i])
		}
		b = append(b, "]}"...)
	}
	e.Body = [][]byte{b}
	return e, nil
}

// DecodeEmbeddings reads the answer to either form.
func (Codec) DecodeEmbeddings(body []byte) (*llm.Embeddings, error) {
	if !readable(body) {
		return nil, malformed("the answer is not JSON", body)
	}
	e := &llm.Embeddings{From: llm.Gemini}
	take := func(v jsontext.Value) error {
		values := get(v, "values")
		if kindOf(values) != '[' {
			return malformed("an embedding without values", body)
		}
		e.Vectors = append(e.Vectors, llm.Vector{Floats: values})
		return nil
	}
	for o := span.ReadObject(body); o.Next(); {
		switch name := canon(o.Name); name {
		case "embedding":
			if err := take(o.Val); err != nil {
				return nil, err
			}
		case "embeddings":
			for a := span.ReadArray(o.Val); a.Next(); {
				if err := take(a.Val); err != nil {
					return nil, err
				}
			}
		case "usageMetadata":
			e.Usage = usageOf(o.Val)
		case "error":
			return nil, streamError(body)
		default:
			e.Ext = append(e.Ext, llm.Member{Name: name, Value: o.Val})
		}
	}
	if len(e.Vectors) == 0 {
		return nil, malformed("the answer has no embeddings", body)
	}
	return e, nil
}

// GlanceEmbed reads the usage of a whole answer without its vectors.
func (Codec) GlanceEmbed(body []byte) (llm.Glance, error) {
	var g llm.Glance
	o := span.ReadObject(body)
	for o.Next() {
		switch canon(o.Name) {
		case "usageMetadata":
			g.Usage = usageOf(o.Val)
		case "error":
			if !isNull(o.Val) {
				return g, streamError(body)
			}
		}
	}
	if o.Bad {
		return g, malformed("the answer is not JSON", body)
	}
	return g, nil
}
