package provider

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// server answers Chat Completions, and whatever else with one status and body.
type server struct {
	status int
	body   string
	kind   string
	paths  []string
	bodies []string
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	b, _ := io.ReadAll(r.Body)
	s.paths, s.bodies = append(s.paths, r.URL.Path), append(s.bodies, string(b))
	status, kind, body := s.status, s.kind, s.body
	if strings.HasSuffix(r.URL.Path, "/chat/completions") {
		status, kind, body = 200, "application/json", `{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
}

// moved gives OpenAI's row at such a server, and a request with a tool for a
// model that Chat Completions refuses tools from.
func moved(t *testing.T, s *server) (p *Provider, ask func() error) {
	t.Helper()
	all, err := catalog.Load(catalog.Overrides{Providers: map[string]catalog.ProviderOverride{"openai": {BaseURL: "http://server.test/v1"}}})
	if err != nil {
		t.Fatal(err)
	}
	row, _ := all.Provider("openai")
	if p, err = New(Options{Row: row, Key: "k", Transport: s}); err != nil {
		t.Fatal(err)
	}
	d := draft(t, llm.OpenAI, `{"model":"gpt-6.1-sol","reasoning_effort":"high","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"messages":[{"role":"user","content":"x"}]}`)
	c := all.Capability("openai", "gpt-6.1-sol")
	return p, func() error {
		_, err := p.Send(t.Context(), "gpt-6.1-sol", &c, d)
		return err
	}
}

// TestServerWithoutResponses: a request that would go over Responses goes over
// Chat Completions to a server that has no such path, at once and from then on,
// until it is asked anew.
func TestServerWithoutResponses(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{
		"Go":         {status: 404, kind: "text/plain", body: "404 page not found\n"},
		"FastAPI":    {status: 404, kind: "application/json", body: `{"detail":"Not Found"}`},
		"a method":   {status: 405, kind: "application/json", body: `{"detail":"Method Not Allowed"}`},
		"llama.cpp":  {status: 404, kind: "application/json", body: `{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}`},
		"OpenAI's":   {status: 404, kind: "application/json", body: `{"error":{"message":"Invalid URL (POST /v1/responses)","type":"invalid_request_error","param":null,"code":null}}`},
		"nginx":      {status: 404, kind: "text/html", body: "<html>\r\n<head><title>404 Not Found</title></head>\r\n</html>"},
		"Express":    {status: 404, kind: "text/html", body: "<pre>Cannot POST /v1/responses</pre>"},
		"no content": {status: 501},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, ask := moved(t, s)
				for range 2 {
					if err := ask(); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(chatOnlyFor)
				if err := ask(); err != nil {
					t.Fatal(err)
				}
				const chat, responses = "/v1/chat/completions", "/v1/responses"
				if want := []string{responses, chat, chat, responses, chat}; !slices.Equal(s.paths, want) {
					t.Errorf("asked %q", s.paths)
				}
				if b := s.bodies[1]; !strings.Contains(b, `"f"`) || !strings.Contains(b, `"reasoning_effort":"high"`) {
					t.Errorf("sent %s", b)
				}
			})
		})
	}
}

// TestResponsesStay: what a server with Responses says about a model or an item
// is the answer.
func TestResponsesStay(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*server{
		"no such model":       {status: 404, kind: "application/json", body: `{"error":{"message":"The model 'gpt-6.1-sol' does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}`},
		"no such model, vLLM": {status: 404, kind: "application/json", body: "{\"error\":{\"message\":\"The model `gpt-6.1-sol` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}}"},
		"no such item":        {status: 404, kind: "application/json", body: `{"error":{"message":"Item with id 'rs_1' not found. Items are not persisted when store is set to false.","type":"invalid_request_error","param":"input","code":null}}`},
		"no such model, bare": {status: 404, kind: "application/json", body: `{"error":"model 'gpt-6.1-sol' not found"}`},
		"refused":             {status: 400, kind: "application/json", body: `{"error":{"message":"Invalid URL in image_url","type":"invalid_request_error"}}`},
	} {
		_, ask := moved(t, s)
		var e *llm.Error
		if err := ask(); !errors.As(err, &e) || e.Status != s.status || !slices.Equal(s.paths, []string{"/v1/responses"}) {
			t.Errorf("%s: %v, asked %q", name, err, s.paths)
		}
	}
}

// TestDialectOfAMovedProvider: the operator can say that there is only Chat
// Completions.
func TestDialectOfAMovedProvider(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		o    catalog.ProviderOverride
		also int
	}{
		{catalog.ProviderOverride{}, 1},
		{catalog.ProviderOverride{BaseURL: "http://server.test/v1"}, 1},
		{catalog.ProviderOverride{Dialect: llm.OpenAI}, 1},
		{catalog.ProviderOverride{Dialect: llm.OpenAI, BaseURL: "http://server.test/v1"}, 0},
	} {
		all, err := catalog.Load(catalog.Overrides{Providers: map[string]catalog.ProviderOverride{"openai": c.o}})
		if err != nil {
			t.Fatal(err)
		}
		if row, _ := all.Provider("openai"); len(row.Also) != c.also {
			t.Errorf("%+v: also %v", c.o, row.Also)
		}
	}
}
