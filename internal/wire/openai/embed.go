package openai

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// DecodeEmbed reads the body of POST /v1/embeddings. input is a text, a list of
// texts, a list of token numbers or a list of such lists. Errors are *llm.Error
// of class InvalidRequest.
func (Codec) DecodeEmbed(body []byte) (*llm.EmbedRequest, error) {
	if !span.Valid(body) || !span.IsObject(body) {
		return nil, llm.Errorf(llm.InvalidRequest, "the request body is not a JSON object")
	}
	r := &llm.EmbedRequest{From: llm.OpenAI, Raw: body}
	said := false
	for k, v := range span.Fields(body) {
		switch name := string(k); name {
		case "model":
			r.Model = span.Text(v)
		case "input":
			said = true
			if err := readInputs(r, v); err != nil {
				return nil, err
			}
		case "encoding_format":
			switch span.Text(v) {
			case "base64":
				r.Base64 = true
			case "float":
			default:
				if !span.IsNull(v) {
					return nil, unusable("encoding_format", `must be "float" or "base64"`)
				}
			}
		case "dimensions":
			if span.IsNull(v) {
				continue
			}
			n, ok := span.Integer(v)
			if !ok || n < 1 {
				return nil, unusable("dimensions", "must be a whole number above 0")
			}
			r.Dimensions = n
		case "user":
			r.EndUser = span.Text(v)
		default:
			r.Ext = append(r.Ext, llm.Member{Name: name, Value: v})
		}
	}
	if !said {
		return nil, unusable("input", "is missing")
	}
	return r, nil
}

func unusable(param, why string) *llm.Error {
	e := llm.Errorf(llm.InvalidRequest, "%s %s", param, why)
	e.Param = param
	return e
}

func readInputs(r *llm.EmbedRequest, v jsontext.Value) *llm.Error {
	switch {
	case span.IsString(v):
		r.Single = true
		r.Inputs = []llm.EmbedInput{{Text: span.Text(v)}}
		return nil
	case !span.IsArray(v):
		return unusable("input", "must be a text, a list of texts or token numbers")
	}
	texts, numbers, lists := 0, 0, 0
	for _, one := range span.Elements(v) {
		switch {
		case span.IsString(one):
			texts++
			r.Inputs = append(r.Inputs, llm.EmbedInput{Text: span.Text(one)})
		case span.IsNumber(one):
			numbers++
		case span.IsArray(one):
			lists++
			some := false
			for _, n := range span.Elements(one) {
				if !span.IsNumber(n) {
					return unusable("input", "holds a list that is not of token numbers")
				}
				some = true
			}
			if !some {
				return unusable("input", "holds an empty list of token numbers")
			}
			r.Inputs = append(r.Inputs, llm.EmbedInput{Tokens: one})
		default:
			return unusable("input", "must be a text, a list of texts or token numbers")
		}
	}
	switch {
	case numbers > 0 && texts+lists == 0: // one input, written as its tokens
		r.Single = true
		r.Inputs = []llm.EmbedInput{{Tokens: v}}
	case numbers > 0 || texts > 0 && lists > 0:
		return unusable("input", "mixes texts and token numbers")
	case texts+lists == 0:
		return unusable("input", "must not be empty")
	}
	return nil
}

// EncodeEmbed writes POST /v1/embeddings for one target.
func (Codec) EncodeEmbed(r *llm.EmbedRequest, model string, c *llm.Capability) (llm.Encoded, error) {
	var out llm.Encoded
	lose := func(kind llm.LossKind, path, why string) {
		out.Losses = append(out.Losses, llm.Loss{Kind: kind, Path: path, Why: why})
	}
	if most := c.EmbedInputs; most > 0 && len(r.Inputs) > most {
		lose(llm.LossRefuse, "input", "the provider takes at most "+strconv.Itoa(most)+" inputs, not "+strconv.Itoa(len(r.Inputs)))
	}
	o := span.Open(make([]byte, 0, len(r.Raw)+64))
	o.Str("model", model)
	o.Name("input")
	one := func(in *llm.EmbedInput) {
		if len(in.Tokens) > 0 {
			o.B = append(o.B, in.Tokens...)
		} else {
			o.B = span.Quote(o.B, in.Text)
		}
	}
	titles := false
	if r.Single && len(r.Inputs) == 1 {
		one(&r.Inputs[0])
		titles = r.Inputs[0].Title != ""
	} else {
		o.B = append(o.B, '[')
		for i := range r.Inputs {
			if i > 0 {
				o.B = append(o.B, ',')
			}
			one(&r.Inputs[i])
			titles = titles || r.Inputs[i].Title != ""
		}
		o.B = append(o.B, ']')
	}
	if r.Base64 {
		o.Str("encoding_format", "base64")
	} else if r.From == llm.OpenAI && span.Field(r.Raw, "encoding_format") != nil {
		o.Raw("encoding_format", span.Field(r.Raw, "encoding_format"))
	}
	if r.Dimensions > 0 {
		o.Int("dimensions", r.Dimensions)
	}
	if r.EndUser != "" {
		o.Str("user", r.EndUser)
	}
	if r.Task != "" {
		lose(llm.LossWarn, "task", "dropped: embeddings here have no task")
	}
	if titles {
		lose(llm.LossWarn, "title", "dropped: inputs here have no title")
	}
	if r.Truncate != nil && *r.Truncate {
		lose(llm.LossWarn, "truncate", "dropped: an input over the window is an error here")
	}
	for _, m := range r.Ext {
		if r.From == llm.OpenAI {
			o.Raw(m.Name, m.Value)
		} else {
			lose(llm.LossWarn, m.Name, "dropped: it has no place in this dialect")
		}
	}
	out.Body = [][]byte{o.Close()}
	return out, nil
}

// DecodeEmbeddings reads a whole answer to POST /v1/embeddings. Vectors stay as
// they were spelled, in the order of their index. Errors are *llm.Error: an
// error under status 200, or MalformedUpstream.
func (Codec) DecodeEmbeddings(body []byte) (*llm.Embeddings, error) {
	raw, err := whole(body)
	if err != nil {
		return nil, err
	}
	e := &llm.Embeddings{From: llm.OpenAI}
	var data jsontext.Value
	for k, v := range span.Fields(raw) {
		switch name := string(k); name {
		case "data":
			data = v
		case "model":
			e.Model = span.Text(v)
		case "usage":
			if span.IsObject(v) {
				e.Usage = readUsage(v)
			}
		case "object":
		default:
			e.Ext = append(e.Ext, llm.Member{Name: name, Value: v})
		}
	}
	if !span.IsArray(data) {
		return nil, forms.Malformed(llm.OpenAI, "the provider's answer has no data", body)
	}
	var order []int64
	sorted := true
	for i, d := range span.Elements(data) {
		v, ok := readVector(span.Field(d, "embedding"))
		if !ok {
			return nil, forms.Malformed(llm.OpenAI, "the provider's answer holds an embedding that cannot be read", body)
		}
		at, ok := span.Integer(span.Field(d, "index"))
		if !ok {
			at = int64(i)
		}
		sorted = sorted && at == int64(i)
		e.Vectors, order = append(e.Vectors, v), append(order, at)
	}
	if sorted {
		return e, nil
	}
	placed := make([]llm.Vector, len(e.Vectors))
	taken := make([]bool, len(placed))
	for i, at := range order {
		if at < 0 || at >= int64(len(placed)) || taken[at] {
			return nil, forms.Malformed(llm.OpenAI, "the provider's answer has embeddings with wrong indexes", body)
		}
		placed[at], taken[at] = e.Vectors[i], true
	}
	e.Vectors = placed
	return e, nil
}

func readVector(v jsontext.Value) (llm.Vector, bool) {
	switch {
	case span.IsString(v):
		s := span.Text(v)
		_, ok := floats(s)
		return llm.Vector{Base64: s}, ok
	case span.IsArray(v):
		n := 0
		for _, f := range span.Elements(v) {
			if !span.IsNumber(f) {
				return llm.Vector{}, false
			}
			n++
		}
		return llm.Vector{Floats: v}, n > 0
	}
	return llm.Vector{}, false
}

// floats gives the numbers of a base64 vector: little-endian float32, all of
// them finite.
func floats(s string) ([]float32, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) == 0 || len(b)%4 != 0 {
		return nil, false
	}
	f := make([]float32, len(b)/4)
	for i := range f {
		f[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		if x := float64(f[i]); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, false
		}
	}
	return f, true
}

// GlanceEmbed reads model and usage of a whole answer to POST /v1/embeddings
// and passes over its vectors. Errors are as those of DecodeEmbeddings.
func (Codec) GlanceEmbed(body []byte) (llm.Glance, error) {
	var g llm.Glance
	raw := bytes.TrimSpace(body)
	data := false
	if len(raw) > 1 && raw[0] == '{' && raw[len(raw)-1] == '}' {
		for k, v := range span.Fields(raw) {
			switch string(k) {
			case "data":
				data = span.IsArray(v)
			case "model":
				g.Model = span.Text(v)
			case "usage":
				if span.IsObject(v) && span.Valid(v) {
					g.Usage = readUsage(v)
				}
			}
		}
	}
	if data {
		return g, nil
	}
	if _, err := whole(body); err != nil {
		return llm.Glance{}, err
	}
	return llm.Glance{}, forms.Malformed(llm.OpenAI, "the provider's answer has no data", body)
}

// AppendEmbeddings appends an answer to POST /v1/embeddings in the encoding
// that the request asks for. Numbers that a provider spelled keep their
// spelling; base64 and float32 are turned into each other exactly.
func (Codec) AppendEmbeddings(dst []byte, r *llm.EmbedRequest, e *llm.Embeddings) []byte {
	o := span.Open(dst)
	o.Str("object", "list")
	o.Name("data")
	o.B = append(o.B, '[')
	for i := range e.Vectors {
		if i > 0 {
			o.B = append(o.B, ',')
		}
		d := span.Open(o.B)
		d.Str("object", "embedding")
		d.Int("index", int64(i))
		d.Name("embedding")
		d.B = appendVector(d.B, &e.Vectors[i], r.Base64)
		o.B = d.Close()
	}
	o.B = append(o.B, ']')
	o.Str("model", or(e.Model, r.Model))
	o.Name("usage")
	if e.From == llm.OpenAI && span.IsObject(e.Usage.Raw) {
		o.B = append(o.B, e.Usage.Raw...)
	} else {
		u := span.Open(o.B)
		u.Int("prompt_tokens", e.Usage.Prompt())
		u.Int("total_tokens", e.Usage.Total())
		o.B = u.Close()
	}
	if e.From == llm.OpenAI {
		for _, m := range e.Ext {
			o.Raw(m.Name, m.Value)
		}
	}
	return o.Close()
}

func appendVector(dst []byte, v *llm.Vector, base64ed bool) []byte {
	switch {
	case base64ed && v.Base64 != "":
		return span.Quote(dst, v.Base64)
	case base64ed:
		var b []byte
		for _, n := range span.Elements(v.Floats) {
			// Decoders let only numbers in; one beyond float32 becomes infinite, as
			// in any reader of float32.
			f, _ := strconv.ParseFloat(string(n), 32)
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(f)))
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, b)
		return append(dst, '"')
	case v.Base64 == "":
		return append(dst, v.Floats...)
	}
	numbers, _ := floats(v.Base64) // checked when it was read
	dst = append(dst, '[')
	for i, f := range numbers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']')
}
