package wiretest_test

import (
	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/wiretest"
)

// codecs has a row for every dialect's room.
var codecs = map[llm.Dialect]wiretest.Codec{
	llm.OpenAI:    openai.Codec{},
	llm.Anthropic: anthropic.Codec{},
	llm.Ollama:    ollama.Codec{},
	llm.Gemini:    gemini.Codec{},
	llm.Responses: responses.Codec{},
}

// forms has the codecs of the forms that are not the usual one of their
// dialect, by dialect and form.
var forms = map[llm.Dialect]map[string]wiretest.Codec{
	llm.Ollama: {"generate": ollama.Codec{Form: ollama.FormGenerate}},
}

// codec gives the codec of a door.
func codec(d llm.Dialect, form string) wiretest.Codec {
	if c, ok := forms[d][form]; ok {
		return c
	}
	return codecs[d]
}
