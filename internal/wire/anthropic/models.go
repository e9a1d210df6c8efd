package anthropic

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// AppendModels writes a page of GET /v1/models that holds all models.
func (c Codec) AppendModels(dst []byte, models []llm.ModelInfo) []byte {
	return c.page(dst, models, false)
}

func (c Codec) page(dst []byte, models []llm.ModelInfo, more bool) []byte {
	dst = append(dst, `{"data":[`...)
	for i := range models {
		dst = c.AppendModel(comma(dst), models[i])
	}
	dst = strconv.AppendBool(append(dst, `],"has_more":`...), more)
	if len(models) == 0 {
		return append(dst, `,"first_id":null,"last_id":null}`...)
	}
	dst = span.Quote(key(dst, "first_id"), models[0].ID)
	dst = span.Quote(key(dst, "last_id"), models[len(models)-1].ID)
	return append(dst, '}')
}

// AppendPage writes the page of GET /v1/models that a query asks for: limit (1
// to 1000), and after_id or before_id, each an id of the list. Without a limit
// the page holds all that there is, where the API itself would stop after 20:
// clients that do not page see every model. Errors are *llm.Error of class
// InvalidRequest.
func (c Codec) AppendPage(dst []byte, models []llm.ModelInfo, query url.Values) ([]byte, error) {
	limit := len(models)
	if v := query.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 1000 {
			return nil, invalid("limit", "must be a whole number from 1 to 1000")
		}
		limit = n
	}
	after, before := query.Get("after_id"), query.Get("before_id")
	place := func(name, id string) (int, error) {
		at := slices.IndexFunc(models, func(m llm.ModelInfo) bool { return m.ID == id })
		if at < 0 {
			return 0, invalid(name, "is no id of the list")
		}
		return at, nil
	}
	switch {
	case after != "" && before != "":
		return nil, invalid("before_id", "does not go together with after_id")
	case before != "":
		at, err := place("before_id", before)
		if err != nil {
			return nil, err
		}
		from := max(0, at-limit)
		return c.page(dst, models[from:at], from > 0), nil
	case after != "":
		at, err := place("after_id", after)
		if err != nil {
			return nil, err
		}
		models = models[at+1:]
	}
	n := min(limit, len(models))
	return c.page(dst, models[:n], n < len(models)), nil
}

// AppendModel writes one model as GET /v1/models/{id} shows it. Limits that
// are unknown are null, as are the capabilities of a model that the catalogue
// does not know.
func (Codec) AppendModel(dst []byte, m llm.ModelInfo) []byte {
	b := append(dst, `{"id":`...)
	b = span.Quote(b, m.ID)
	name := m.Name
	if name == "" {
		name = m.ID
	}
	b = append(b, `,"type":"model","display_name":`...)
	b = span.Quote(b, name)
	b = span.Quote(key(b, "created_at"), time.Unix(m.Created, 0).UTC().Format(time.RFC3339))
	for _, line := range []string{"haiku", "sonnet", "opus", "fable", "mythos"} {
		if strings.Contains(m.ID, "claude-") && strings.Contains(m.ID, line) {
			b = span.Quote(key(b, "line"), line)
		}
	}
	b = append(b, `,"lifecycle":"active","deprecated_at":null,"retires_at":null,"max_input_tokens":`...)
	b = orNull(b, m.Window)
	b = orNull(key(b, "max_tokens"), m.MaxOutput)
	b = key(b, "capabilities")
	c := &m.Capability
	if !c.Known {
		return append(b, "null}"...)
	}
	b = append(b, '{')
	flag := func(name string, on bool) {
		b = append(key(b, name), `{"supported":`...)
		b = append(strconv.AppendBool(b, on), '}')
	}
	flag("batch", false)
	flag("citations", false)
	flag("code_execution", false)
	b = append(key(b, "context_management"), `{"supported":false,"clear_thinking_20251015":{"supported":false},"clear_tool_uses_20250919":{"supported":false},"compact_20260112":{"supported":false}}`...)
	b = append(key(b, "effort"), `{"supported":`...)
	b = strconv.AppendBool(b, len(c.Efforts) > 0)
	for _, e := range []string{"low", "medium", "high", "xhigh", "max"} {
		flag(e, slices.Contains(c.Efforts, e))
	}
	b = append(b, '}')
	flag("image_input", c.Can(llm.Vision))
	flag("pdf_input", c.Can(llm.PDF))
	flag("server_tools", false)
	flag("structured_outputs", c.Can(llm.JSONSchema))
	b = append(key(b, "thinking"), `{"supported":`...)
	b = strconv.AppendBool(b, c.Can(llm.Thinking))
	b = append(key(b, "types"), '{')
	for _, t := range []string{"adaptive", "between_tools", "disabled", "enabled"} {
		flag(t, slices.Contains(c.ThinkTypes, t))
	}
	return append(b, "}}}}"...)
}

func orNull(b []byte, n int64) []byte {
	if n <= 0 {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, n, 10)
}
