package gateway

import (
	"net/http"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
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

// dialect is what a door knows about the dialect it speaks.
type dialect struct {
	Codec
	name llm.Dialect
	// vendor is the provider whose API this is.
	vendor string
	// idHeader is where its SDKs look for the request id.
	idHeader string
	// encodeError gives the status and the body of an error.
	encodeError func(e *llm.Error, requestID string) (status int, body []byte)
	// ping keeps a stream alive; its clients skip it.
	ping string
	// forward are the request headers that go on to a provider of the same
	// dialect, beside those in forwardAll.
	forward []string
}

var dialects = map[llm.Dialect]*dialect{
	llm.OpenAI: {openai.Codec{}, llm.OpenAI, "openai", "X-Request-Id",
		func(e *llm.Error, _ string) (int, []byte) { return openai.Codec{}.EncodeError(e) }, ": keep-alive\n\n",
		[]string{"Openai-Beta"}},
	llm.Anthropic: {anthropic.Codec{}, llm.Anthropic, "anthropic", "Request-Id",
		anthropic.Codec{}.EncodeErrorFor, "event: ping\ndata: {\"type\": \"ping\"}\n\n",
		[]string{"Anthropic-Version", "Anthropic-Beta", "Anthropic-User-Profile-Id", "Anthropic-Dangerous-Direct-Browser-Access", "X-App", "X-Claude-Code-Session-Id"}},
}

// forwardAll go on to any provider of the client's dialect: they say what the
// client is, never who.
var forwardAll = []string{"Accept", "Content-Type", "User-Agent"}

// forwardPrefix is the SDKs' own description of themselves.
const forwardPrefix = "X-Stainless-"

// door is one way in: a dialect and an operation.
type door struct {
	*dialect
	op llm.Op
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
		if strings.HasPrefix(name, forwardPrefix) {
			out[name] = v
		}
	}
	return out
}

// routes is the table of contents of the front: every path, under the vendor's
// prefix and, where no other dialect claims it, without.
var routes = []struct {
	method, path string
	dialect      llm.Dialect
	op           llm.Op
}{
	{"POST", "/v1/chat/completions", llm.OpenAI, llm.OpChat},
	{"POST", "/v1/messages", llm.Anthropic, llm.OpChat},
	{"POST", "/v1/messages/count_tokens", llm.Anthropic, llm.OpCountTokens},
}

// Handler gives the front doors. Paths that are not there answer in the
// dialect that they look like.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		d := &door{dialects[r.dialect], r.op}
		h := func(w http.ResponseWriter, req *http.Request) { g.serve(w, req, d, "") }
		mux.HandleFunc(r.method+" "+r.path, h)
		prefix := "/" + string(r.dialect)
		mux.HandleFunc(r.method+" "+prefix+r.path, h)
		if r.dialect == llm.OpenAI { // base URLs with and without /v1
			mux.HandleFunc(r.method+" "+prefix+strings.TrimPrefix(r.path, "/v1"), h)
		}
	}
	for _, d := range dialects {
		prefix := "/" + string(d.name)
		models, raw := &door{d, llm.OpModels}, &door{d, llm.OpRaw}
		for _, base := range []string{prefix + "/v1/models", prefix + "/models"} {
			mux.HandleFunc("GET "+base, func(w http.ResponseWriter, r *http.Request) { g.models(w, r, models) })
			mux.HandleFunc("GET "+base+"/{id...}", func(w http.ResponseWriter, r *http.Request) { g.model(w, r, models) })
		}
		mux.HandleFunc(prefix+"/{rest...}", func(w http.ResponseWriter, r *http.Request) {
			g.serve(w, r, raw, strings.TrimPrefix(r.URL.EscapedPath(), prefix))
		})
	}
	list := func(r *http.Request) *door { return &door{dialects[like(r)], llm.OpModels} }
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) { g.models(w, r, list(r)) })
	mux.HandleFunc("GET /v1/models/{id...}", func(w http.ResponseWriter, r *http.Request) { g.model(w, r, list(r)) })
	mux.HandleFunc("GET /v1/requests/{id}", g.request)
	// Claude Code asks this before anything else, without a key.
	mux.HandleFunc("GET /api/hello", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", g.ready)
	mux.HandleFunc("/", g.nowhere)
	return mux
}

// like says which dialect a request on a shared path speaks.
func like(r *http.Request) llm.Dialect {
	if r.Header["Anthropic-Version"] != nil || strings.HasPrefix(r.URL.Path, "/v1/messages") || strings.HasPrefix(r.URL.Path, "/anthropic") {
		return llm.Anthropic
	}
	return llm.OpenAI
}
