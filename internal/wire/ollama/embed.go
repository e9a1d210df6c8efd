package ollama

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// DecodeEmbed reads a request of /api/embed or of the older /api/embeddings.
// Errors are *llm.Error of class InvalidRequest.
func (c Codec) DecodeEmbed(body []byte) (*llm.EmbedRequest, error) {
	h, err := c.Head(llm.OpEmbed, body)
	if err != nil {
		return nil, err
	}
	r := &llm.EmbedRequest{From: llm.Ollama, Raw: body, Model: h.Model}
	_, hasInput := h.At("input")
	old := c.Form == FormEmbeddings || c.Form == "" && !hasInput
	for _, m := range h.Members {
		v := jsontext.Value(body[m.Value.From:m.Value.To])
		switch name := m.Name; {
		case name == "model" || span.IsNull(v):
		case old && name == "prompt":
			if !span.IsString(v) {
				return nil, wrong(name, m.Value.From, "must be a string")
			}
			r.Inputs, r.Single = []llm.EmbedInput{{Text: span.Text(v)}}, true
		case !old && name == "input":
			switch {
			case span.IsString(v):
				r.Inputs, r.Single = []llm.EmbedInput{{Text: span.Text(v)}}, true
			case span.IsArray(v):
				for _, s := range span.Elements(v) {
					if !span.IsString(s) {
						return nil, wrong(name, m.Value.From, "must be a string or an array of strings")
					}
					r.Inputs = append(r.Inputs, llm.EmbedInput{Text: span.Text(s)})
				}
			default:
				return nil, wrong(name, m.Value.From, "must be a string or an array of strings")
			}
		case !old && name == "truncate":
			if k := span.Kind(v); k != 't' && k != 'f' {
				return nil, wrong(name, m.Value.From, "must be true or false")
			}
			truncate := span.Kind(v) == 't'
			r.Truncate = &truncate
		case !old && name == "dimensions":
			n, ok := span.Integer(v)
			if !ok || n < 0 {
				return nil, wrong(name, m.Value.From, "must be a whole number, not negative")
			}
			r.Dimensions = n
		default:
			r.Ext = append(r.Ext, llm.Member{Name: name, Value: v})
		}
	}
	if len(r.Inputs) == 0 {
		param := "input"
		if old {
			param = "prompt"
		}
		return nil, &llm.Error{Class: llm.InvalidRequest, Param: param, Message: param + " is required"}
	}
	return r, nil
}

// AppendEmbeddings appends the answer to an embedding request in the codec's
// form.
func (c Codec) AppendEmbeddings(dst []byte, r *llm.EmbedRequest, e *llm.Embeddings) []byte {
	if c.Form == FormEmbeddings {
		dst = append(dst, `{"embedding":`...)
		if len(e.Vectors) > 0 {
			dst = appendVector(dst, &e.Vectors[0])
		} else {
			dst = append(dst, "[]"...)
		}
		return append(dst, '}')
	}
	own := e.From == llm.Ollama
	model := e.Model
	if model == "" {
		model = r.Model
	}
	o := span.Open(dst)
	o.Str("model", model)
	o.Name("embeddings")
	o.B = append(o.B, '[')
	for i := range e.Vectors {
		if i > 0 {
			o.B = append(o.B, ',')
		}
		o.B = appendVector(o.B, &e.Vectors[i])
	}
	o.B = append(o.B, ']')
	if own {
		for _, m := range e.Ext {
			o.Raw(m.Name, m.Value)
		}
	} else if e.Took.Total > 0 {
		o.Int("total_duration", int64(e.Took.Total))
		o.Int("load_duration", int64(e.Took.Wait))
	}
	if e.Usage.Source != "" {
		o.Int("prompt_eval_count", e.Usage.Prompt())
	}
	return o.Close()
}

// appendVector writes a vector as numbers; base64 is little-endian float32,
// each of which is written with as many digits as give it back.
func appendVector(b []byte, v *llm.Vector) []byte {
	if v.Base64 == "" {
		if !span.IsArray(v.Floats) {
			return append(b, "[]"...)
		}
		return append(b, v.Floats...)
	}
	raw, err := base64.StdEncoding.DecodeString(v.Base64)
	if err != nil {
		raw = nil // decoders have seen to it that it is base64
	}
	b = append(b, '[')
	for i := 0; i+4 <= len(raw); i += 4 {
		if i > 0 {
			b = append(b, ',')
		}
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:])))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			b = append(b, '0') // JSON has no such number, nor has a vector
			continue
		}
		b = strconv.AppendFloat(b, f, 'g', -1, 32)
	}
	return append(b, ']')
}

// EncodeEmbed writes an embedding request for one target: /api/embed, or the
// older form, which takes one text.
func (c Codec) EncodeEmbed(r *llm.EmbedRequest, model string, cap *llm.Capability) (llm.Encoded, error) {
	var losses []llm.Loss
	lose := func(kind llm.LossKind, path, why string) {
		losses = append(losses, llm.Loss{Kind: kind, Path: path, Why: why})
	}
	own := r.From == llm.Ollama
	o := span.Open(make([]byte, 0, 256+len(r.Raw)+len(r.Raw)/8))
	o.Str("model", model)
	for i := range r.Inputs {
		in := &r.Inputs[i]
		if len(in.Tokens) > 0 {
			lose(llm.LossRefuse, "input", "Ollama takes texts, not lists of tokens")
			break
		}
		if in.Title != "" {
			lose(llm.LossWarn, "title", "dropped: Ollama has no titles")
			break
		}
	}
	if c.Form == FormEmbeddings {
		if len(r.Inputs) != 1 {
			lose(llm.LossRefuse, "input", "/api/embeddings takes one text")
		} else {
			o.Str("prompt", r.Inputs[0].Text)
		}
		if r.Dimensions > 0 {
			lose(llm.LossRefuse, "dimensions", "/api/embeddings has no such member")
		}
		if r.Truncate != nil {
			lose(llm.LossWarn, "truncate", "dropped: /api/embeddings has no such member")
		}
	} else {
		o.Name("input")
		if r.Single && len(r.Inputs) == 1 {
			o.B = span.Quote(o.B, r.Inputs[0].Text)
		} else {
			o.B = append(o.B, '[')
			for i := range r.Inputs {
				if i > 0 {
					o.B = append(o.B, ',')
				}
				o.B = span.Quote(o.B, r.Inputs[i].Text)
			}
			o.B = append(o.B, ']')
		}
		if r.Truncate != nil {
			o.Bool("truncate", *r.Truncate)
		}
		if r.Dimensions > 0 {
			o.Int("dimensions", r.Dimensions)
		}
	}
	if r.Task != "" {
		lose(llm.LossWarn, "task_type", "dropped: Ollama has no such member")
	}
	if r.EndUser != "" {
		lose(llm.LossWarn, "user", "dropped: Ollama has no such member")
	}
	for _, m := range r.Ext {
		switch {
		case own:
			o.Raw(m.Name, m.Value)
		case !span.IsNull(m.Value):
			lose(llm.LossWarn, m.Name, "dropped: Ollama has no such member")
		}
	}
	return llm.Encoded{Body: [][]byte{o.Close()}, Losses: losses}, nil
}

// embedAnswer finds the parts of an answer; vectors is nil when there are
// none.
func embedAnswer(body []byte) (model string, vectors jsontext.Value, single bool, u llm.Usage, ext []llm.Member, err error) {
	raw, err := whole(body)
	if err != nil {
		return "", nil, false, u, nil, err
	}
	for k, v := range span.Fields(raw) {
		switch string(k) {
		case "model":
			model = span.Text(v)
		case "embeddings":
			vectors = v
		case "embedding":
			vectors, single = v, true
		case "prompt_eval_count":
			if n := span.Count(v); n > 0 {
				u = llm.Usage{Input: min(n, 1<<50), Source: llm.UsageProvider}
			}
		default:
			ext = append(ext, llm.Member{Name: string(k), Value: bytes.Clone(v)})
		}
	}
	if !span.IsArray(vectors) {
		err = malformed("the provider's answer has no embeddings", body)
	}
	return model, vectors, single, u, ext, err
}

// DecodeEmbeddings reads a whole answer of /api/embed or /api/embeddings. The
// older form names neither model nor usage.
func (Codec) DecodeEmbeddings(body []byte) (*llm.Embeddings, error) {
	model, vectors, single, u, ext, err := embedAnswer(body)
	if err != nil {
		return nil, err
	}
	e := &llm.Embeddings{From: llm.Ollama, Model: model, Usage: u, Ext: ext}
	if single {
		e.Vectors = []llm.Vector{{Floats: bytes.Clone(vectors)}}
		return e, nil
	}
	for _, v := range span.Elements(vectors) {
		if !span.IsArray(v) {
			return nil, malformed("an embedding of the provider's answer is not an array", body)
		}
		e.Vectors = append(e.Vectors, llm.Vector{Floats: bytes.Clone(v)})
	}
	return e, nil
}

// GlanceEmbed reads model and usage of a whole answer without its vectors.
func (Codec) GlanceEmbed(body []byte) (llm.Glance, error) {
	model, _, _, u, _, err := embedAnswer(body)
	return llm.Glance{Model: model, Usage: u}, err
}
