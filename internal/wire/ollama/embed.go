package ollama

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
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
		case name == "model" || isNull(v):
		case old && name == "prompt":
			if !isString(v) {
				return nil, wrong(name, m.Value.From, "must be a string")
			}
			r.Inputs, r.Single = []llm.EmbedInput{{Text: text(v)}}, true
		case !old && name == "input":
			switch {
			case isString(v):
				r.Inputs, r.Single = []llm.EmbedInput{{Text: text(v)}}, true
			case isArray(v):
				for _, s := range elements(v) {
					if !isString(s) {
						return nil, wrong(name, m.Value.From, "must be a string or an array of strings")
					}
					r.Inputs = append(r.Inputs, llm.EmbedInput{Text: text(s)})
				}
			default:
				return nil, wrong(name, m.Value.From, "must be a string or an array of strings")
			}
		case !old && name == "truncate":
			if k := kind(v); k != 't' && k != 'f' {
				return nil, wrong(name, m.Value.From, "must be true or false")
			}
			truncate := kind(v) == 't'
			r.Truncate = &truncate
		case !old && name == "dimensions":
			n, ok := integer(v)
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
	o := open(dst)
	o.str("model", model)
	o.name("embeddings")
	o.b = append(o.b, '[')
	for i := range e.Vectors {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.b = appendVector(o.b, &e.Vectors[i])
	}
	o.b = append(o.b, ']')
	if own {
		for _, m := range e.Ext {
			o.raw(m.Name, m.Value)
		}
	} else {
		o.int("total_duration", 0)
		o.int("load_duration", 0)
	}
	if e.Usage.Source != "" {
		o.int("prompt_eval_count", e.Usage.Prompt())
	}
	return o.close()
}

// appendVector writes a vector as numbers; base64 is little-endian float32,
// each of which is written with as many digits as give it back.
func appendVector(b []byte, v *llm.Vector) []byte {
	if v.Base64 == "" {
		if !isArray(v.Floats) {
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
	o := open(make([]byte, 0, 256+len(r.Raw)+len(r.Raw)/8))
	o.str("model", model)
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
			o.str("prompt", r.Inputs[0].Text)
		}
		if r.Dimensions > 0 {
			lose(llm.LossRefuse, "dimensions", "/api/embeddings has no such member")
		}
		if r.Truncate != nil {
			lose(llm.LossWarn, "truncate", "dropped: /api/embeddings has no such member")
		}
	} else {
		o.name("input")
		if r.Single && len(r.Inputs) == 1 {
			o.b = quote(o.b, r.Inputs[0].Text)
		} else {
			o.b = append(o.b, '[')
			for i := range r.Inputs {
				if i > 0 {
					o.b = append(o.b, ',')
				}
				o.b = quote(o.b, r.Inputs[i].Text)
			}
			o.b = append(o.b, ']')
		}
		if r.Truncate != nil {
			o.bool("truncate", *r.Truncate)
		}
		if r.Dimensions > 0 {
			o.int("dimensions", r.Dimensions)
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
			o.raw(m.Name, m.Value)
		case !isNull(m.Value):
			lose(llm.LossWarn, m.Name, "dropped: Ollama has no such member")
		}
	}
	return llm.Encoded{Body: [][]byte{o.close()}, Losses: losses}, nil
}

// embedAnswer finds the parts of an answer; vectors is nil when there are
// none.
func embedAnswer(body []byte) (model string, vectors jsontext.Value, single bool, u llm.Usage, ext []llm.Member, err error) {
	raw, err := whole(body)
	if err != nil {
		return "", nil, false, u, nil, err
	}
	for k, v := range members(raw) {
		switch string(k) {
		case "model":
			model = text(v)
		case "embeddings":
			vectors = v
		case "embedding":
			vectors, single = v, true
		case "prompt_eval_count":
			if n := count(v); n > 0 {
				u = llm.Usage{Input: min(n, 1<<50), Source: llm.UsageProvider}
			}
		default:
			ext = append(ext, llm.Member{Name: string(k), Value: bytes.Clone(v)})
		}
	}
	if !isArray(vectors) {
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
	for _, v := range elements(vectors) {
		if !isArray(v) {
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
