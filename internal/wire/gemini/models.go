package gemini

import (
	"slices"
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// AppendModels writes a page of GET /v1beta/models that holds all models.
func (c Codec) AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	dst = append(dst, `{"models":[`...)
	for i := range models {
		dst = c.AppendModel(comma(dst), models[i])
	}
	return append(dst, "]}"...)
}

// AppendModel writes one model as GET /v1beta/models/{id} shows it. Limits that
// are unknown are left out, as protocol buffers do. A model that makes
// embeddings does nothing else; every other one answers and counts.
func (Codec) AppendModel(dst []byte, m llm.ModelInfo) []byte {
	b := append(dst, `{"name":"models/`...)
	b = append(span.Escape(b, m.ID), '"')
	b = append(key(b, "version"), `"001"`...)
	name := m.Name
	if name == "" {
		name = m.ID
	}
	b = span.Quote(key(b, "displayName"), name)
	if m.OwnedBy != "" {
		b = span.Quote(key(b, "description"), name+" of "+m.OwnedBy)
	}
	if m.Window > 0 {
		b = strconv.AppendInt(key(b, "inputTokenLimit"), m.Window, 10)
	}
	if m.MaxOutput > 0 {
		b = strconv.AppendInt(key(b, "outputTokenLimit"), m.MaxOutput, 10)
	}
	b = key(b, "supportedGenerationMethods")
	if slices.Contains(m.Gives, "embedding") {
		b = append(b, `["embedContent","batchEmbedContents"]`...)
	} else {
		b = append(b, `["generateContent","streamGenerateContent","countTokens"]`...)
	}
	if m.Capability.Known {
		b = strconv.AppendBool(key(b, "thinking"), m.Capability.Can(llm.Thinking))
	}
	return append(b, '}')
}
