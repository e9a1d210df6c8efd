package forms

import (
	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// AppendModels appends the GET /v1/models page.
func AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendModel(dst, m)
	}
	return append(dst, `]}`...)
}

// AppendModel appends the GET /v1/models/{id} object. Beside OpenAI's four
// members it names what is known of the model under OpenRouter's names.
func AppendModel(dst []byte, m llm.ModelInfo) []byte {
	o := span.Open(dst)
	o.Str("id", m.ID)
	o.Str("object", "model")
	o.Int("created", m.Created)
	owner := m.OwnedBy
	if owner == "" {
		owner = "headrace"
	}
	o.Str("owned_by", owner)
	if m.Name != "" {
		o.Str("name", m.Name)
	}
	if m.Window > 0 {
		o.Int("context_length", m.Window)
	}
	if m.MaxOutput > 0 {
		o.Name("top_provider")
		t := span.Open(o.B)
		t.Int("max_completion_tokens", m.MaxOutput)
		o.B = t.Close()
	}
	return o.Close()
}
