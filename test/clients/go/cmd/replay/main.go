// Command replay is the provider behind the gateway in the acceptance tests:
// it speaks Chat Completions, Responses, Messages, Gemini's and Ollama's API
// and answers by the name of the model, "replay-" and a case of cases.go (what follows a point is free), or
// "recorded-" and the id of a recorded answer. What was asked, and how each answer ended, can be read
// back under /control.
//
//	replay -listen 127.0.0.1:0 [-corpus DIR]
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; the one that is taken is printed")
	corpus := flag.String("corpus", "", "folder with recorded traffic (open/*.jsonl); empty serves only the cases")
	flag.Parse()
	s := &server{recordings: map[string]*recording{}}
	if *corpus != "" {
		if err := s.loadCorpus(*corpus); err != nil {
			log.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	os.Stdout.Close() // whoever started it waits for the line, not for more
	log.Fatal(http.Serve(l, s.routes()))
}

type server struct {
	recordings map[string]*recording
	order      []*recording

	mu   sync.Mutex // guards seen
	seen []*exchange
}

// exchange is one request as the provider saw it.
type exchange struct {
	Model   string          `json:"model"`
	Path    string          `json:"path"`
	Stream  bool            `json:"stream"`
	Tag     string          `json:"tag"`
	Headers http.Header     `json:"headers"`
	Body    json.RawMessage `json:"body"`
	// Ended is "" while the answer goes on, then complete or client_gone.
	Ended string `json:"ended"`
	// GoneAt is when the provider saw the client leave, in unix ms.
	GoneAt int64 `json:"gone_at,omitempty"`
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, prefix := range []string{"/openai", "/anthropic", ""} {
		mux.HandleFunc("POST "+prefix+"/v1/chat/completions", s.serve(chat{}))
		mux.HandleFunc("POST "+prefix+"/v1/responses", s.serve(responses{}))
		mux.HandleFunc("POST "+prefix+"/v1/responses/input_tokens", func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, 200, object{"object": "response.input_tokens", "input_tokens": 42})
		})
		mux.HandleFunc("POST "+prefix+"/v1/embeddings", s.serve(chat{}))
		mux.HandleFunc("POST "+prefix+"/v1/messages", s.serve(messages{}))
		mux.HandleFunc("POST "+prefix+"/v1/messages/count_tokens", func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, 200, map[string]any{"input_tokens": 42})
		})
		mux.HandleFunc("GET "+prefix+"/v1/models", listModels)
	}
	for _, prefix := range []string{"/gemini", ""} {
		mux.HandleFunc("POST "+prefix+"/v1beta/models/{call}", s.gemini)
		mux.HandleFunc("GET "+prefix+"/v1beta/models", listModels)
	}
	mux.HandleFunc("POST /api/chat", s.serve(ollama{}))
	mux.HandleFunc("POST /api/generate", s.serve(ollama{generate: true}))
	mux.HandleFunc("POST /api/embed", s.serve(ollama{}))
	mux.HandleFunc("POST /api/embeddings", s.serve(ollama{}))
	mux.HandleFunc("GET /api/tags", listModels)
	mux.HandleFunc("GET /api/version", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, 200, object{"version": "0.40.0"}) })
	mux.HandleFunc("GET /control/requests", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := []*exchange{}
		for _, e := range s.seen {
			if tag := r.FormValue("tag"); tag == "" || e.Tag == tag {
				out = append(out, e)
			}
		}
		writeJSON(w, 200, out)
	})
	mux.HandleFunc("GET /control/recordings", s.listRecordings)
	return mux
}

var tagPattern = regexp.MustCompile(`\btag-([0-9a-z]+)`)

// serve answers one request of a dialect.
func (s *server) serve(d dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var head struct {
			Model  string `json:"model"`
			Stream *bool  `json:"stream"`
		}
		if err := json.Unmarshal(body, &head); err != nil {
			d.fail(w, 400, "invalid_request_error", "replay: "+err.Error())
			return
		}
		stream := head.Stream != nil && *head.Stream
		switch d := d.(type) {
		case gemini:
			head.Model, stream = d.model, d.stream
		case ollama: // streams unless told not to
			stream = head.Stream == nil || *head.Stream
		}
		e := &exchange{Model: head.Model, Path: r.URL.Path, Stream: stream, Headers: r.Header.Clone(), Body: body}
		if m := tagPattern.FindSubmatch(body); m != nil {
			e.Tag = string(m[1])
		}
		// A key must arrive, and never the client's own.
		for _, h := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key"} {
			if v := e.Headers.Get(h); v != "" {
				if strings.Contains(v, "hr-") || !strings.Contains(v, "sk-replay") {
					d.fail(w, 401, "authentication_error", "replay: the key in "+h+" is not this provider's")
					return
				}
				e.Headers.Set(h, "present")
			}
		}
		s.mu.Lock()
		s.seen = append(s.seen, e)
		s.mu.Unlock()
		a := &answer{w: w, r: r, rc: http.NewResponseController(w), d: d, stream: stream, body: body}
		if e, ok := d.(embedder); ok && e.embeds(r.URL.Path) {
			e.embed(w, body)
		} else if id, ok := strings.CutPrefix(head.Model, "recorded-"); ok {
			s.replay(a, id)
		} else if c, ok := cases[caseOf(head.Model)]; ok {
			c(a)
		} else {
			d.fail(w, 404, "not_found_error", "replay: no case "+head.Model)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.Ended = "complete"; r.Context().Err() != nil || a.broken != nil {
			e.Ended, e.GoneAt = "client_gone", time.Now().UnixMilli()
		}
	}
}

// caseOf takes the name of a case out of a model's, which may go on behind a
// point.
func caseOf(model string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(model, "replay-"), ".")
	return name
}

// listModels lists one model that every catalogue knows and one that none
// does, in the form that the path or the header asks for.
func listModels(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/anthropic") || r.Header.Get("Anthropic-Version") != "" {
		one := func(id, name string) object {
			return object{"type": "model", "id": id, "display_name": name, "created_at": "2026-10-01T00:00:00Z"}
		}
		writeJSON(w, 200, object{"data": []any{one("claude-opus-5-5", "Claude Opus 5.5"), one("replay-claude-code", "Replay")},
			"has_more": false, "first_id": "claude-opus-5-5", "last_id": "replay-claude-code"})
		return
	}
	if strings.Contains(r.URL.Path, "/v1beta") {
		one := func(id string) object {
			return object{"name": "models/" + id, "displayName": id, "inputTokenLimit": 1048576, "outputTokenLimit": 65536,
				"supportedGenerationMethods": []string{"generateContent", "countTokens"}}
		}
		writeJSON(w, 200, object{"models": []any{one("gemini-3.5-flash"), one("replay-echo")}})
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		writeJSON(w, 200, object{"models": []any{object{"name": "replay-echo", "model": "replay-echo", "modified_at": "2026-10-01T00:00:00Z",
			"size": 1, "digest": strings.Repeat("0", 64), "details": object{"family": "replay"}, "capabilities": []string{"completion", "tools", "vision", "thinking"}}}})
		return
	}
	one := func(id string) object {
		return object{"id": id, "object": "model", "created": 1790000000, "owned_by": "replay"}
	}
	writeJSON(w, 200, object{"object": "list", "data": []any{one("gpt-5.5"), one("replay-echo")}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b)
}
