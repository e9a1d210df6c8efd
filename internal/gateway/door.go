package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
)

// Codec is what a door needs of its dialect.
type Codec interface {
	Head(op llm.Op, body []byte) (llm.Head, error)
	DecodeRequest(body []byte) (*llm.Request, error)
	AppendResponse(dst []byte, r *llm.Response) []byte
	NewEncoder(o llm.StreamOptions) llm.StreamEncoder
	AppendStreamError(dst []byte, e *llm.Error) []byte
	AppendModels(dst []byte, models []llm.ModelInfo) []byte
	AppendModel(dst []byte, m llm.ModelInfo) []byte
}

// embedder is what a codec of a dialect with embeddings has beside Codec.
type embedder interface {
	DecodeEmbed(body []byte) (*llm.EmbedRequest, error)
	AppendEmbeddings(dst []byte, r *llm.EmbedRequest, e *llm.Embeddings) []byte
}

// counter is what a codec of a dialect with token counting has beside Codec.
type counter interface {
	AppendCount(dst []byte, n int64) []byte
}

// pager is a codec whose model list comes in pages. Errors are *llm.Error.
type pager interface {
	AppendPage(dst []byte, models []llm.ModelInfo, query url.Values) ([]byte, error)
}

// dialect is what a door knows about the dialect it speaks.
type dialect struct {
	Codec
	name llm.Dialect
	// vendor is the provider whose API this is.
	vendor string
	// prefix stands before every path of the vendor, for clients whose base URL
	// holds it; empty for a dialect that shares another one's.
	prefix string
	// idHeader is where its SDKs look for the request id.
	idHeader string
	// encodeError gives the status and the body of an error.
	encodeError func(e *llm.Error, requestID string) (status int, body []byte)
	// ping keeps a stream alive; its clients skip it. Empty means that nothing is
	// safe to send.
	ping string
	// streamType is the content type of a stream.
	streamType string
	// promptFirst says that a stream names the size of the prompt before the
	// provider has told it.
	promptFirst bool
	// idPrefix begins the ids of answers whose provider gives none.
	idPrefix string
	// echoes says that an answer names the model as it was asked for, and how
	// long it took.
	echoes bool
	// forward are the request headers that go on to a provider of the same
	// dialect, beside those in forwardAll.
	forward []string
}

const eventStream = "text/event-stream; charset=utf-8"

var dialects = map[llm.Dialect]*dialect{
	llm.OpenAI: {Codec: openai.Codec{}, name: llm.OpenAI, idPrefix: "chatcmpl-", vendor: "openai", prefix: "/openai", idHeader: "X-Request-Id",
		encodeError: plainError(openai.Codec{}.EncodeError), ping: ": keep-alive\n\n", streamType: eventStream,
		forward: []string{"Openai-Beta"}},
	llm.Responses: {Codec: responses.Codec{}, name: llm.Responses, vendor: "openai", prefix: "/openai", idHeader: "X-Request-Id",
		encodeError: plainError(responses.Codec{}.EncodeError), ping: ": keep-alive\n\n", streamType: eventStream,
		forward: []string{"Openai-Beta"}},
	llm.Anthropic: {Codec: anthropic.Codec{}, name: llm.Anthropic, idPrefix: "msg_", vendor: "anthropic", prefix: "/anthropic", idHeader: "Request-Id",
		encodeError: anthropic.Codec{}.EncodeErrorFor, ping: "event: ping\ndata: {\"type\": \"ping\"}\n\n", streamType: eventStream, promptFirst: true,
		forward: []string{"Anthropic-Version", "Anthropic-Beta", "Anthropic-User-Profile-Id", "Anthropic-Dangerous-Direct-Browser-Access", "X-App", "X-Claude-Code-Session-Id"}},
	// Nothing is safe to send to a Gemini or an Ollama client that waits.
	llm.Gemini: {Codec: gemini.Codec{}, name: llm.Gemini, vendor: "gemini", prefix: "/gemini", idHeader: "X-Request-Id",
		encodeError: plainError(gemini.Codec{}.EncodeError), streamType: "text/event-stream"},
	llm.Ollama: {Codec: ollama.Codec{}, name: llm.Ollama, vendor: "ollama", prefix: "/ollama", idHeader: "X-Request-Id",
		encodeError: plainError(ollama.Codec{}.EncodeError), streamType: "application/x-ndjson", echoes: true},
}

// plainError is an error without a place for the request id.
func plainError(encode func(*llm.Error) (int, []byte)) func(*llm.Error, string) (int, []byte) {
	return func(e *llm.Error, _ string) (int, []byte) { return encode(e) }
}

// forwardAll go on to any provider of the client's dialect: they say what the
// client is, never who.
var forwardAll = []string{"Accept", "Content-Type", "User-Agent"}

// forwardPrefixes begin the SDKs' own descriptions of themselves.
var forwardPrefixes = []string{"X-Stainless-", "X-Goog-Api-Client"}

// door is one way in: a dialect and an operation, in one of its forms.
type door struct {
	*dialect
	// Codec speaks the form.
	Codec
	// storer is the codec of a dialect with stored answers; nil for the others.
	storer
	op   llm.Op
	form string
	// at is its path, without the vendor's prefix and, for Gemini, without the
	// model and what stands before it.
	at string
	// stream says whether an answer is streamed, where the path says it and not
	// the body; array, that it is streamed as a JSON array that grows.
	stream, array bool
}

func (d *dialect) door(op llm.Op) *door {
	stores, _ := d.Codec.(storer)
	return &door{dialect: d, Codec: d.Codec, storer: stores, op: op}
}

// draft makes the draft of a body that came in by the door. What the path says
// is written to the words too, once they are made.
func (d *door) draft(body []byte, path asked) (out llm.Draft, fail *llm.Error) {
	var head llm.Head
	if d.op != llm.OpRaw {
		var err error
		if head, err = d.Head(d.op, body); err != nil {
			return out, asError(err, llm.InvalidRequest)
		}
	}
	if path.model != "" {
		head.Model, head.Stream = path.model, d.stream
	}
	head.Stream = head.Stream && d.op == llm.OpChat
	if embed, ok := d.Codec.(embedder); ok && d.op == llm.OpEmbed {
		out = llm.NewEmbedDraft(d.name, body, head, func(body []byte) (*llm.EmbedRequest, error) {
			r, err := embed.DecodeEmbed(body)
			if err == nil && path.model != "" {
				r.Model = path.model
			}
			return r, err
		})
	} else if decode := d.DecodeRequest; path.model == "" {
		out = llm.NewDraft(d.name, d.op, body, head, decode)
	} else {
		out = llm.NewDraft(d.name, d.op, body, head, func(body []byte) (*llm.Request, error) {
			r, err := decode(body)
			if err == nil {
				r.Model, r.Stream = path.model, head.Stream
			}
			return r, err
		})
	}
	out.Form = d.form
	return out, nil
}

// heed writes to a draft what the headers of its request say.
func (d *door) heed(out *llm.Draft, h http.Header) {
	out.Header = d.forwarded(h)
	out.Rehearse = h.Get("X-Headrace-Rehearse")
	out.Session = cmp.Or(h.Get("X-Headrace-Session"), h.Get("X-Claude-Code-Session-Id"))
	out.Task = h.Get("X-Headrace-Task")
}

// forwarded gives the client's headers that may go on.
func (d *door) forwarded(h http.Header) http.Header {
	out := make(http.Header, min(len(h), 16))
	for _, list := range [][]string{forwardAll, d.forward} {
		for _, name := range list {
			if v, ok := h[name]; ok {
				out[name] = v
			}
		}
	}
	for name, v := range h {
		for _, prefix := range forwardPrefixes {
			if strings.HasPrefix(name, prefix) {
				out[name] = v
			}
		}
	}
	return out
}

// entry is a path of a dialect, which stands under the vendor's prefix and
// without.
type entry struct {
	method, path string
	dialect      llm.Dialect
	op           llm.Op
	// form and codec are those of llm.Draft.Form and of the door; nil is the
	// dialect's own codec.
	form  string
	codec Codec
	// handle answers what no provider is asked; nil means that the request goes
	// through the rooms.
	handle func(g *Gateway, w http.ResponseWriter, r *http.Request, d *door)
}

// door is the door at the path.
func (e *entry) door() *door {
	d := dialects[e.dialect].door(e.op)
	d.form, d.at = e.form, e.path
	if e.codec != nil {
		d.Codec = e.codec
	}
	return d
}

// routes is the table of contents of the front.
var routes = []entry{
	{method: "POST", path: "/v1/chat/completions", dialect: llm.OpenAI, op: llm.OpChat},
	{method: "POST", path: "/v1/embeddings", dialect: llm.OpenAI, op: llm.OpEmbed},
	{method: "POST", path: "/v1/moderations", dialect: llm.OpenAI, op: llm.OpModerate},

	{method: "POST", path: "/v1/responses", dialect: llm.Responses, op: llm.OpChat},
	{method: "POST", path: "/v1/responses/input_tokens", dialect: llm.Responses, op: llm.OpCountTokens},
	{method: "GET", path: "/v1/responses/{id}", dialect: llm.Responses, op: llm.OpRaw, handle: (*Gateway).response},
	{method: "DELETE", path: "/v1/responses/{id}", dialect: llm.Responses, op: llm.OpRaw, handle: (*Gateway).forget},
	{method: "POST", path: "/v1/responses/{id}/cancel", dialect: llm.Responses, op: llm.OpRaw, handle: (*Gateway).cancel},
	{method: "GET", path: "/v1/responses/{id}/input_items", dialect: llm.Responses, op: llm.OpRaw, handle: (*Gateway).inputItems},

	{method: "POST", path: "/v1/messages", dialect: llm.Anthropic, op: llm.OpChat},
	{method: "POST", path: "/v1/messages/count_tokens", dialect: llm.Anthropic, op: llm.OpCountTokens},

	{method: "POST", path: "/v1/messages/batches", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).createMessageBatch},
	{method: "GET", path: "/v1/messages/batches", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).messageBatches},
	{method: "GET", path: "/v1/messages/batches/{id}", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).messageBatch},
	{method: "DELETE", path: "/v1/messages/batches/{id}", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).deleteMessageBatch},
	{method: "POST", path: "/v1/messages/batches/{id}/cancel", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).cancelMessageBatch},
	{method: "GET", path: "/v1/messages/batches/{id}/results", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).messageBatchResults},
	{method: "GET", path: "/v1/messages/batches/{id}/events", dialect: llm.Anthropic, op: llm.OpRaw, handle: (*Gateway).jobEvents},

	{method: "POST", path: "/v1/files", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).createFile},
	{method: "GET", path: "/v1/files", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).files},
	{method: "GET", path: "/v1/files/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).file},
	{method: "DELETE", path: "/v1/files/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).deleteFile},
	{method: "GET", path: "/v1/files/{id}/content", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).fileContent},

	{method: "POST", path: "/v1/batches", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).createBatch},
	{method: "GET", path: "/v1/batches", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).batches},
	{method: "GET", path: "/v1/batches/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).batch},
	{method: "POST", path: "/v1/batches/{id}/cancel", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).cancelBatch},
	{method: "GET", path: "/v1/batches/{id}/events", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).jobEvents},

	{method: "POST", path: "/v1/jobs", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).createJob},
	{method: "GET", path: "/v1/jobs", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).jobs},
	{method: "GET", path: "/v1/jobs/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).job},
	{method: "DELETE", path: "/v1/jobs/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).deleteJob},
	{method: "POST", path: "/v1/jobs/{id}/cancel", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).cancelJob},
	{method: "POST", path: "/v1/jobs/{id}/retry", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).retryJob},
	{method: "GET", path: "/v1/jobs/{id}/results", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).jobResults},
	{method: "GET", path: "/v1/jobs/{id}/events", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).jobEvents},

	{method: "POST", path: "/v1/webhooks", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).createWebhook},
	{method: "GET", path: "/v1/webhooks", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).webhooks},
	{method: "DELETE", path: "/v1/webhooks/{id}", dialect: llm.OpenAI, op: llm.OpRaw, handle: (*Gateway).deleteWebhook},

	{method: "GET", path: "/v1beta/models", dialect: llm.Gemini, op: llm.OpModels, handle: (*Gateway).models},
	{method: "GET", path: "/v1beta/models/{id...}", dialect: llm.Gemini, op: llm.OpModels, handle: (*Gateway).model},

	{method: "POST", path: "/api/chat", dialect: llm.Ollama, op: llm.OpChat},
	{method: "POST", path: "/api/generate", dialect: llm.Ollama, op: llm.OpChat, form: ollama.FormGenerate, codec: ollama.Codec{Form: ollama.FormGenerate}},
	{method: "POST", path: "/api/embed", dialect: llm.Ollama, op: llm.OpEmbed},
	{method: "POST", path: "/api/embeddings", dialect: llm.Ollama, op: llm.OpEmbed, form: ollama.FormEmbeddings, codec: ollama.Codec{Form: ollama.FormEmbeddings}},
	{method: "GET", path: "/api/tags", dialect: llm.Ollama, op: llm.OpModels, handle: (*Gateway).models},
	{method: "POST", path: "/api/show", dialect: llm.Ollama, op: llm.OpModels, handle: (*Gateway).show},
	{method: "GET", path: "/api/ps", dialect: llm.Ollama, op: llm.OpModels, handle: (*Gateway).loaded},
	{method: "GET", path: "/api/version", dialect: llm.Ollama, op: llm.OpModels, handle: (*Gateway).version},
	{method: "GET", path: "/{$}", dialect: llm.Ollama, op: llm.OpModels, handle: (*Gateway).alive},
	{method: "POST", path: "/api/pull", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
	{method: "POST", path: "/api/push", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
	{method: "POST", path: "/api/create", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
	{method: "POST", path: "/api/copy", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
	{method: "DELETE", path: "/api/delete", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
	{path: "/api/blobs/{digest}", dialect: llm.Ollama, op: llm.OpRaw, handle: (*Gateway).immovable},
}

// verb is a method of a Gemini path: what stands behind the colon.
type verb struct {
	name string
	op   llm.Op
	form string
	// codec speaks the form; nil means the dialect's own.
	codec Codec
	// stream: the answer is streamed; array: as a JSON array that grows, which
	// is what a client gets that does not ask for alt=sse.
	stream, array bool
}

// door is the door of the method.
func (v *verb) door() *door {
	d := dialects[llm.Gemini].door(v.op)
	d.form, d.stream, d.array, d.at = v.form, v.stream, v.array, ":"+v.name
	if v.codec != nil {
		d.Codec = v.codec
	}
	return d
}

// verbs is the table of Gemini's methods.
var verbs = []verb{
	{name: "generateContent", op: llm.OpChat},
	{name: "streamGenerateContent", op: llm.OpChat, stream: true},
	{name: "streamGenerateContent", op: llm.OpChat, stream: true, array: true, codec: gemini.Codec{Array: true}},
	{name: "countTokens", op: llm.OpCountTokens},
	{name: "embedContent", op: llm.OpEmbed, form: "embedContent"},
	{name: "batchEmbedContents", op: llm.OpEmbed},
}

// verbAt reads the end of a Gemini path, {model}:{method}; nil is no method of
// the table. sse says that a stream is asked for as events.
func verbAt(call string, sse bool) (v *verb, model string) {
	at := strings.LastIndexByte(call, ':')
	if at < 0 {
		return nil, ""
	}
	for i := range verbs {
		if v := &verbs[i]; v.name == call[at+1:] && (!v.stream || v.array != sse) {
			return v, strings.TrimPrefix(call[:at], "models/")
		}
	}
	return nil, ""
}

// geminiPaths are where the verbs stand, with and without the prefix.
var geminiPaths = []string{"/v1beta/models/", "/v1/models/"}

// asked is what the path of a request says.
type asked struct {
	// rest is what follows the vendor prefix of a raw path.
	rest string
	// model is the model's name where the path holds it; it may hold slashes.
	model string
}
