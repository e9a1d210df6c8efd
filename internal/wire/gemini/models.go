package gemini

import (
	"net/url"
	"slices"
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// AppendPage writes the page of GET /v1beta/models that a query asks for:
// pageSize, which is cut to 1000, and the pageToken of the page before. Without
// a size the page holds all that there is, where the API itself would stop after
// 50: clients that do not page see every model. Errors are *llm.Error of class
// InvalidRequest.
func (c Codec) AppendPage(dst []byte, models []llm.ModelInfo, query url.Values) ([]byte, error) {
	ask := func(names ...string) (int, error) {
		for _, name := range names {
			if v := query.Get(name); v != "" {
				n, err := strconv.Atoi(v)
				if err != nil || n < 0 {
					return 0, &llm.Error{Class: llm.InvalidRequest, Param: name, Message: name + ": must be a whole number of a page, not " + strconv.Quote(v)}
				}
				return n, nil
			}
		}
		return 0, nil
	}
	size, err := ask("pageSize", "page_size")
	if err != nil {
		return nil, err
	}
	from, err := ask("pageToken", "page_token")
	if err != nil {
		return nil, err
	}
	from = min(from, len(models))
	to := len(models)
	if size > 0 {
		to = min(to, from+min(size, 1000))
	}
	dst = c.AppendModels(dst, models[from:to])
	if to < len(models) {
		dst = append(dst[:len(dst)-1], `,"nextPageToken":"`...)
		dst = append(strconv.AppendInt(dst, int64(to), 10), `"}`...)
	}
	return dst, nil
}

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
