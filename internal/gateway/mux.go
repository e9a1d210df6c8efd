package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// Handler gives the front doors. Paths that are not there answer in the
// dialect that they look like.
func (g *Gateway) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		dialect, d := dialects[r.dialect], r.door()
		h := func(w http.ResponseWriter, req *http.Request) { g.serve(w, req, d, asked{}) }
		if r.handle != nil {
			h = func(w http.ResponseWriter, req *http.Request) { r.handle(g, w, req, d) }
		}
		method := strings.TrimLeft(r.method+" ", " ")
		mux.HandleFunc(method+r.path, h)
		mux.HandleFunc(method+dialect.prefix+r.path, h)
		if dialect.vendor == "openai" { // base URLs with and without /v1
			mux.HandleFunc(method+dialect.prefix+strings.TrimPrefix(r.path, "/v1"), h)
		}
	}
	google := dialects[llm.Gemini]
	h := g.gemini(google)
	for _, path := range geminiPaths {
		mux.HandleFunc("POST "+path+"{call...}", h)
		mux.HandleFunc("POST "+google.prefix+path+"{call...}", h)
	}
	unknown := google.door(llm.OpRaw)
	mux.HandleFunc("/v1beta/{rest...}", func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, unknown, asked{rest: r.URL.EscapedPath()}) })
	for _, d := range dialects {
		if d.name == llm.Responses { // its paths are OpenAI's
			continue
		}
		models, raw := d.door(llm.OpModels), d.door(llm.OpRaw)
		if d.name != llm.Ollama {
			for _, base := range []string{d.prefix + "/v1/models", d.prefix + "/models"} {
				mux.HandleFunc("GET "+base, func(w http.ResponseWriter, r *http.Request) { g.models(w, r, models) })
				mux.HandleFunc("GET "+base+"/{id...}", func(w http.ResponseWriter, r *http.Request) { g.model(w, r, models) })
			}
		}
		mux.HandleFunc(d.prefix+"/{rest...}", func(w http.ResponseWriter, r *http.Request) {
			g.serve(w, r, raw, asked{rest: strings.TrimPrefix(r.URL.EscapedPath(), d.prefix)})
		})
	}
	list := func(r *http.Request) *door { return like(r).door(llm.OpModels) }
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) { g.models(w, r, list(r)) })
	mux.HandleFunc("GET /v1/models/{id...}", func(w http.ResponseWriter, r *http.Request) { g.model(w, r, list(r)) })
	mux.HandleFunc("GET /v1/requests/{id}", g.request)
	mux.HandleFunc("POST /v1/feedback", g.feedback)
	// Claude Code asks this before anything else, without a key.
	mux.HandleFunc("GET /api/hello", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", g.ready)
	for _, pattern := range nowhere {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { g.nowhere(w, r, methods(mux, r)) })
	}
	return mux
}

// nowhere are the patterns of what no other one matches. The mux would send
// some of the second to Gemini's paths below it.
var nowhere = []string{"/", "/v1/models"}

// methods are those by which the path of a request can be asked for.
func methods(mux *http.ServeMux, r *http.Request) (list []string) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := *r
		probe.Method = method
		if _, pattern := mux.Handler(&probe); !slices.Contains(nowhere, pattern) {
			list = append(list, method)
		}
	}
	return list
}

// gemini serves the paths whose end says the operation:
// {model}:generateContent. What is no verb of the table is passed as it is.
func (g *Gateway) gemini(dialect *dialect) http.HandlerFunc {
	doors := make(map[*verb]*door, len(verbs))
	for i := range verbs {
		doors[&verbs[i]] = verbs[i].door()
	}
	raw := dialect.door(llm.OpRaw)
	return func(w http.ResponseWriter, r *http.Request) {
		switch v, model := verbAt(r.PathValue("call"), r.URL.Query().Get("alt") == "sse"); {
		case v == nil:
			g.serve(w, r, raw, asked{rest: strings.TrimPrefix(r.URL.EscapedPath(), dialect.prefix)})
		case model == "":
			g.ask(w, r, doors[v], func(*access.Principal) ([]byte, *llm.Error) {
				return nil, llm.Errorf(llm.InvalidRequest, "%s names no model: the path is /v1beta/models/{model}:%s", r.URL.Path, v.name)
			})
		default:
			g.serve(w, r, doors[v], asked{model: model})
		}
	}
}

// likely are the paths that belong to one dialect alone.
var likely = []struct {
	prefix  string
	dialect llm.Dialect
}{
	{"/v1/messages", llm.Anthropic}, {"/anthropic", llm.Anthropic},
	{"/v1/responses", llm.Responses}, {"/openai", llm.OpenAI},
	{"/v1beta", llm.Gemini}, {"/gemini", llm.Gemini},
	{"/api/", llm.Ollama}, {"/ollama", llm.Ollama},
}

// likePath gives the dialect that a path belongs to, else OpenAI's.
func likePath(path string) *dialect {
	for _, l := range likely {
		if strings.HasPrefix(path, l.prefix) {
			return dialects[l.dialect]
		}
	}
	return dialects[llm.OpenAI]
}

// like says which dialect a request on a shared path speaks.
func like(r *http.Request) *dialect {
	if d := likePath(r.URL.Path); d.name != llm.OpenAI {
		return d
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/openai"):
	case r.Header["Anthropic-Version"] != nil, strings.HasPrefix(r.UserAgent(), "claude-"):
		// Claude Code looks for models with its name alone (2.1.330, 2026-11).
		return dialects[llm.Anthropic]
	case r.Header["X-Goog-Api-Key"] != nil || r.URL.Query().Has("key"):
		return dialects[llm.Gemini]
	}
	return dialects[llm.OpenAI]
}

// withoutKey takes the key that Gemini's clients may put into the query out of
// it; the rest stays as it was written.
func withoutKey(query string) string {
	if query == "" {
		return ""
	}
	parts := strings.Split(query, "&")
	kept := parts[:0]
	for _, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil && plain == "key" {
			continue
		}
		kept = append(kept, part)
	}
	if len(kept) == len(parts) {
		return query
	}
	return strings.Join(kept, "&")
}
