package ollama

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Root is the answer to GET and HEAD / of an Ollama server.
const Root = "Ollama is running"

// Latest is the tag that stands for none. Ollama's lists show every name with
// its tag, and Open WebUI puts this one behind a name without a colon and looks
// for the result in the list (routers/ollama.py, 2026-11).
const Latest = ":latest"

// Version is what the gateway says when it is asked for Ollama's version:
// clients hide what an older server cannot do. v0.40.8 was current in 2026-11.
const Version = "0.40.8"

// AppendVersion appends the answer to GET /api/version.
func (Codec) AppendVersion(dst []byte) []byte {
	o := span.Open(dst)
	o.Str("version", Version)
	return o.Close()
}

// AppendModels appends the GET /api/tags page.
func (c Codec) AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	return c.AppendTags(dst, models)
}

// AppendModel appends the POST /api/show object.
func (c Codec) AppendModel(dst []byte, m llm.ModelInfo) []byte { return c.AppendShow(dst, m) }

// AppendTags appends the GET /api/tags page.
func (Codec) AppendTags(dst []byte, models []llm.ModelInfo) []byte {
	dst = append(dst, `{"models":[`...)
	for i := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := span.Open(dst)
		listed(&o, &models[i])
		o.Name("modified_at")
		o.B = appendTime(o.B, models[i].Created)
		capabilities(&o, &models[i])
		dst = o.Close()
	}
	return append(dst, "]}"...)
}

// AppendPS appends the GET /api/ps page. What a gateway serves is never
// loaded here and never unloaded, so size_vram is 0 and the end is far.
func (Codec) AppendPS(dst []byte, models []llm.ModelInfo) []byte {
	dst = append(dst, `{"models":[`...)
	for i := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := span.Open(dst)
		listed(&o, &models[i])
		o.Str("expires_at", "9999-12-31T23:59:59Z")
		o.Int("size_vram", 0)
		if w := models[i].Window; w > 0 {
			o.Int("context_length", w)
		}
		dst = o.Close()
	}
	return append(dst, "]}"...)
}

// listed writes what tags and ps share. The digest stands for the name: there
// is no file of which it could be one.
func listed(o *span.Object, m *llm.ModelInfo) {
	name := m.ID
	if !strings.Contains(name, ":") {
		name += Latest
	}
	o.Str("name", name)
	o.Str("model", name)
	o.Int("size", 0)
	sum := sha256.Sum256([]byte(m.ID))
	o.Str("digest", hex.EncodeToString(sum[:]))
	details(o, m)
}

func details(o *span.Object, m *llm.ModelInfo) {
	family := m.OwnedBy
	if family == "" {
		family = architecture
	}
	o.Name("details")
	d := span.Open(o.B)
	d.Str("parent_model", "")
	d.Str("format", "")
	d.Str("family", family)
	d.Name("families")
	d.B = append(d.B, '[')
	d.B = span.Quote(d.B, family)
	d.B = append(d.B, ']')
	d.Str("parameter_size", "")
	d.Str("quantization_level", "")
	if m.Window > 0 {
		d.Int("context_length", m.Window)
	}
	o.B = d.Close()
}

// capabilities writes what the model can do in Ollama's words. Of a model that
// nobody knows only what nearly all can do is said.
func capabilities(o *span.Object, m *llm.ModelInfo) {
	o.Name("capabilities")
	if slices.Contains(m.Gives, "embedding") {
		o.B = append(o.B, `["embedding"]`...)
		return
	}
	b := append(o.B, `["completion"`...)
	c := &m.Capability
	for _, f := range []struct {
		has  bool
		name string
	}{
		{c.Can(llm.Tools), "tools"},
		{c.Known && c.Can(llm.Vision), "vision"},
		{c.Known && c.Can(llm.Thinking), "thinking"},
	} {
		if f.has {
			b = append(b, ',')
			b = span.Quote(b, f.name)
		}
	}
	o.B = append(b, ']')
}

// architecture is the prefix of model_info's members: clients read
// general.architecture, then <that>.context_length.
const architecture = "headrace"

// AppendShow appends the answer to POST /api/show.
func (Codec) AppendShow(dst []byte, m llm.ModelInfo) []byte {
	o := span.Open(dst)
	for _, name := range []string{"license", "modelfile", "parameters", "template"} {
		o.Str(name, "")
	}
	details(&o, &m)
	o.Name("model_info")
	i := span.Open(o.B)
	i.Str("general.architecture", architecture)
	name := m.Name
	if name == "" {
		name = m.ID
	}
	i.Str("general.basename", name)
	if m.Window > 0 {
		i.Int(architecture+".context_length", m.Window)
	}
	o.B = i.Close()
	capabilities(&o, &m)
	o.Name("modified_at")
	o.B = appendTime(o.B, m.Created)
	return o.Close()
}

// DecodeShow reads the body of POST /api/show: the model, also under its old
// name. Errors are *llm.Error of class InvalidRequest.
func (Codec) DecodeShow(body []byte) (model string, err error) {
	found, err := span.Members(nil, body, []string{"model", "name"})
	if err != nil {
		return "", broken(err)
	}
	for _, want := range []string{"model", "name"} {
		for _, m := range found {
			if m.Name == want && model == "" {
				model = span.Text(body[m.Value.From:m.Value.To])
			}
		}
	}
	if model == "" {
		return "", &llm.Error{Class: llm.InvalidRequest, Param: "model", Message: "model is required"}
	}
	return model, nil
}

// Loads reports whether a request has no prompt: it only asks to load the
// model, or, with keep_alive 0, to unload it. AppendLoaded answers it without
// asking anybody.
func Loads(r *llm.Request) (load, unload bool) {
	for i := range r.Items {
		if it := &r.Items[i]; it.Kind == llm.ItemOpaque && it.From == llm.Ollama && it.Type == typeLoad {
			load = true
		}
	}
	if load {
		for _, m := range r.Ext {
			if m.Name != "keep_alive" {
				continue
			}
			if n, ok := span.Number(m.Value); ok && n == 0 {
				unload = true
			}
			if d, err := time.ParseDuration(span.Text(m.Value)); err == nil && d == 0 {
				unload = true
			}
		}
	}
	return load, unload
}

// AppendLoaded appends the answer to a request that only loads or unloads a
// model, in the codec's form; created is in Unix seconds. It is one object, and
// with a line end behind it one line of a stream.
func (c Codec) AppendLoaded(dst []byte, model string, created int64, unload bool) []byte {
	o := span.Open(dst)
	o.Str("model", model)
	o.Name("created_at")
	o.B = appendTime(o.B, created)
	if c.Form == FormGenerate {
		o.Str("response", "")
	} else {
		o.Raw("message", []byte(`{"role":"assistant","content":""}`))
	}
	o.Bool("done", true)
	if unload {
		o.Str("done_reason", "unload")
	} else {
		o.Str("done_reason", "load")
	}
	return o.Close()
}
