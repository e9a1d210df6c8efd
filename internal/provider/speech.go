package provider

import (
	"bytes"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/span"
)

// speech is how a dialect is spoken to a provider.
type speech struct {
	Codec
	// ways are the operations that providers of the dialect have, in each of
	// their forms. The first one of an operation is what encoders write for.
	ways []way
	// events says how a streamed answer is cut where its content type does not.
	events framing
	// streamQuery is set in the query of streamed requests that are written
	// here; a client's own request keeps its own.
	streamQuery [2]string
}

// way is one operation in one of its forms.
type way struct {
	op llm.Op
	// form is llm.Draft.Form of a client's own request that takes this way.
	form string
	// path stands behind the base URL, with {model} for the model's name;
	// streamed is the path of streamed answers when it is another one. A version
	// at its beginning is left out where the base URL ends with it.
	path, streamed string
	// query is that of requests that no client wrote.
	query string
	// codec speaks the form when it is not the dialect's own.
	codec Codec
}

// framing is how a streamed answer is cut into frames.
type framing int

const (
	events framing = iota // server-sent events
	lines                 // JSON, one value a line
	array                 // JSON, one array that grows, where the client asks for no event stream
)

// codecs has a row for every dialect that a provider can speak.
var codecs = map[llm.Dialect]*speech{
	llm.OpenAI: {Codec: openai.Codec{}, ways: []way{
		{op: llm.OpChat, path: "/chat/completions"},
		{op: llm.OpEmbed, path: "/embeddings"},
		{op: llm.OpModerate, path: "/moderations"},
		{op: llm.OpModels, path: "/models"},
		{op: llm.OpRaw},
	}},
	llm.Responses: {Codec: responses.Codec{}, ways: []way{
		{op: llm.OpChat, path: "/responses"},
		{op: llm.OpCountTokens, path: "/responses/input_tokens"},
		{op: llm.OpModels, path: "/models"},
		{op: llm.OpRaw},
	}},
	llm.Anthropic: {Codec: anthropic.Codec{}, ways: []way{
		{op: llm.OpChat, path: "/v1/messages"},
		{op: llm.OpCountTokens, path: "/v1/messages/count_tokens"},
		{op: llm.OpModels, path: "/v1/models"},
		{op: llm.OpRaw},
	}},
	llm.Gemini: {Codec: gemini.Codec{}, events: array, streamQuery: [2]string{"alt", "sse"}, ways: []way{
		{op: llm.OpChat, path: "/v1beta/models/{model}:generateContent", streamed: "/v1beta/models/{model}:streamGenerateContent"},
		{op: llm.OpCountTokens, path: "/v1beta/models/{model}:countTokens"},
		{op: llm.OpEmbed, path: "/v1beta/models/{model}:batchEmbedContents"},
		{op: llm.OpEmbed, form: "embedContent", path: "/v1beta/models/{model}:embedContent"},
		{op: llm.OpModels, path: "/v1beta/models", query: "pageSize=1000"},
		{op: llm.OpRaw},
	}},
	llm.Ollama: {Codec: ollama.Codec{}, events: lines, ways: []way{
		{op: llm.OpChat, path: "/api/chat"},
		{op: llm.OpChat, form: ollama.FormGenerate, path: "/api/generate", codec: ollama.Codec{Form: ollama.FormGenerate}},
		{op: llm.OpEmbed, path: "/api/embed"},
		{op: llm.OpEmbed, form: ollama.FormEmbeddings, path: "/api/embeddings", codec: ollama.Codec{Form: ollama.FormEmbeddings}},
		{op: llm.OpModels, path: "/api/tags"},
		{op: llm.OpRaw},
	}},
}

// embedder is what a codec of a dialect with embeddings has beside Codec.
type embedder interface {
	DecodeEmbed(body []byte) (*llm.EmbedRequest, error)
	EncodeEmbed(r *llm.EmbedRequest, model string, c *llm.Capability) (llm.Encoded, error)
	DecodeEmbeddings(body []byte) (*llm.Embeddings, error)
	GlanceEmbed(body []byte) (llm.Glance, error)
}

// counter is what a codec of a dialect with token counting has beside Codec.
type counter interface {
	EncodeCount(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error)
	DecodeCount(body []byte) (int64, error)
}

// way gives the way of an operation in a form; nil when there is none.
func (s *speech) way(op llm.Op, form string) *way {
	for i := range s.ways {
		if w := &s.ways[i]; w.op == op && (w.form == form || op == llm.OpRaw) {
			return w
		}
	}
	return nil
}

// first gives the way that encoders write for; nil when there is none.
func (s *speech) first(op llm.Op) *way {
	for i := range s.ways {
		if s.ways[i].op == op {
			return &s.ways[i]
		}
	}
	return nil
}

// of gives the codec of a way.
func (s *speech) of(w *way) Codec {
	if w.codec != nil {
		return w.codec
	}
	return s.Codec
}

// fill writes the path of a request.
func (w *way) fill(model string, stream bool) string {
	path := w.path
	if stream && w.streamed != "" {
		path = w.streamed
	}
	if before, after, ok := strings.Cut(path, "{model}"); ok {
		return before + url.PathEscape(model) + after
	}
	return path
}

// versions are the beginnings of paths that a base URL may hold already.
var versions = []string{"/v1", "/v1beta", "/api"}

// behind takes off what the base URL ends with already.
func behind(base, path string) string {
	for _, v := range versions {
		if rest, ok := strings.CutPrefix(path, v); ok && strings.HasSuffix(base, v) && (rest == "" || rest[0] == '/') {
			return rest
		}
	}
	return path
}

// wire is one dialect that a provider speaks.
type wire struct {
	dialect llm.Dialect
	*speech
}

// wires gives what a provider speaks, its row's own dialect first.
func wires(own llm.Dialect, also []llm.Dialect) ([]wire, llm.Dialect, bool) {
	all := make([]wire, 0, 1+len(also))
	for _, d := range slices.Concat([]llm.Dialect{own}, also) {
		s, ok := codecs[d]
		if !ok {
			return nil, d, false
		}
		all = append(all, wire{d, s})
	}
	return all, "", true
}

// wire picks the wire for a request; nil when none has the operation.
func (p *Provider) wire(d *llm.Draft, c *llm.Capability) *wire {
	if len(p.wires) == 1 {
		return &p.wires[0]
	}
	has := make([]llm.Dialect, 0, len(p.wires))
	chatOnly := p.isChatOnly()
	for i := range p.wires {
		if p.wires[i].first(d.Op) != nil && !(chatOnly && p.wires[i].dialect == llm.Responses) {
			has = append(has, p.wires[i].dialect)
		}
	}
	chat := d.Op == llm.OpChat || d.Op == llm.OpCountTokens
	at := pick(has, d.Dialect, c, chat && (!c.Can(llm.ToolEffortFree) && toolsWithThinking(d, c) || highEffort(d, c)))
	for i := range p.wires {
		if p.wires[i].dialect == at {
			return &p.wires[i]
		}
	}
	return nil
}

// pick chooses among the dialects that a provider has for an operation, its
// row's own first: the one in which the model answers at all; Responses for
// what Chat Completions refuses (tools with thinking, an effort); else the
// client's own, and last the row's. It gives "" when has is empty.
func pick(has []llm.Dialect, from llm.Dialect, c *llm.Capability, refusedByChat bool) llm.Dialect {
	switch {
	case len(has) == 0:
		return ""
	case c.Wire != "" && slices.Contains(has, c.Wire):
		return c.Wire
	case refusedByChat && slices.Contains(has, llm.Responses):
		return llm.Responses
	case slices.Contains(has, from):
		return from
	}
	return has[0]
}

// toolsWithThinking reports whether a request has tools, on offer or in its
// history, and lets the model think. What cannot be decoded has not: the
// provider is to say what is wrong with it.
func toolsWithThinking(d *llm.Draft, c *llm.Capability) bool {
	if !d.Head.Tools && !span.Has(d.Raw, "tool") && !span.Has(d.Raw, "unction") {
		return false
	}
	r, err := d.Request()
	if err != nil {
		return false
	}
	tools := len(r.Tools) > 0 || slices.ContainsFunc(r.Items, func(it llm.Item) bool { return it.Kind == llm.ItemToolCall })
	return tools && thinks(&r.Reasoning, c)
}

// highEffort reports whether a request asks for an effort that the model takes
// over Responses only.
func highEffort(d *llm.Draft, c *llm.Capability) bool {
	named := func(effort string) bool { return span.Has(d.Raw, effort) }
	if !slices.ContainsFunc(c.ResponsesEfforts, named) {
		return false
	}
	r, err := d.Request()
	return err == nil && slices.Contains(c.ResponsesEfforts, r.Reasoning.Effort)
}

// thinks reports whether the model will think: as it is told, else as it does
// unasked.
func thinks(r *llm.Reasoning, c *llm.Capability) bool {
	effort := r.Effort
	switch {
	case r.Mode == llm.ThinkOff:
		effort = "none"
	case effort == "" && r.Mode != "":
		return true
	case effort == "":
		effort = c.DefaultEffort
	}
	if effort != "" {
		if effort, _ = c.Effort(effort); effort == "" { // the model takes none, and does as ever
			effort = c.DefaultEffort
		}
	}
	return effort != "none" && (effort != "" || c.ThinksByDefault)
}

// over fits what is known of a model to the wire that it is reached by.
func (p *Provider) over(w *wire, c *llm.Capability) *llm.Capability {
	// A server without Responses is none of OpenAI's: it may take over Chat
	// Completions what OpenAI does not, and says so if not.
	if w.dialect != llm.Responses && !p.isChatOnly() || c.Can(llm.ToolEffortFree) && len(c.ResponsesEfforts) == 0 {
		return c
	}
	// The limits are those of Chat Completions.
	fit := *c
	fit.Has |= llm.ToolEffortFree
	fit.Efforts = slices.Concat(c.Efforts, c.ResponsesEfforts)
	return &fit
}

// chatOnlyFor is how long a server is taken to have no Responses once it has
// said so: it may be replaced by one that has.
const chatOnlyFor = 10 * time.Minute

func (p *Provider) isChatOnly() bool {
	until := p.chatOnly.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// lacksResponses reports whether an error of the Responses wire says that the
// server has no such path, as a base URL that was moved to another server may:
// not that it lacks a model, or an item of a conversation. The provider must
// have another wire for the operation.
func (p *Provider) lacksResponses(op llm.Op, err error) bool {
	var e *llm.Error
	if op != llm.OpChat || !errors.As(err, &e) || e.Status != 404 && e.Status != 405 && e.Status != 501 {
		return false
	}
	if !slices.ContainsFunc(p.wires, func(w wire) bool { return w.dialect != llm.Responses && w.first(op) != nil }) {
		return false
	}
	said := e.Message
	if !span.IsObject(bytes.TrimSpace(e.Body)) {
		return e.Status != 404 || noPath.Match(e.Body) || noPath.MatchString(said)
	}
	if s := span.Text(span.Field(e.Body, "detail")); s != "" { // FastAPI
		said = s
	}
	return noPath.MatchString(said)
}

// noPath are the words of servers for a path that they do not have: Go,
// FastAPI, nginx, Express, llama.cpp (File Not Found), OpenAI (Invalid URL).
var noPath = regexp.MustCompile(`(?i)^\W*(404 )?((file|page|route|path|url|endpoint|resource) )?not found\W*$|404 page not found|<title>404|cannot post /|invalid url|unexpected endpoint|method not allowed|/responses\b`)

// Does reports whether a provider that speaks own, and also the others, does an
// operation for clients of a dialect: in that dialect, or through the words.
func Does(own llm.Dialect, also []llm.Dialect, client llm.Dialect, op llm.Op) bool {
	for _, d := range slices.Concat([]llm.Dialect{own}, also) {
		s, ok := codecs[d]
		if !ok || s.first(op) == nil {
			continue
		}
		if d == client || s.translates(op) {
			return true
		}
	}
	return false
}

// translates reports whether an operation can be written from the words.
func (s *speech) translates(op llm.Op) (ok bool) {
	switch op {
	case llm.OpChat:
		return true
	case llm.OpEmbed:
		_, ok = s.of(s.first(op)).(embedder)
	case llm.OpCountTokens:
		_, ok = s.of(s.first(op)).(counter)
	}
	return ok
}
