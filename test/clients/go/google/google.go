// Package google runs the checks through Google's own Go SDK for Gemini, with
// nothing changed but base URL and key.
package google

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/genai"

	"headrace/test/clients/check"
)

type suite struct {
	env check.Env
}

// Run runs all checks on all backends.
func Run(env check.Env) {
	s := &suite{env}
	c := &check.Client{Name: "go-google"}
	for _, b := range env.Backends {
		for _, one := range []struct {
			name string
			fn   func(string) string
		}{
			{"text", s.text}, {"streaming", s.streaming}, {"tools, two turns", func(b string) string { return s.tools(b, "tools", 1, false) }},
			{"parallel tools", func(b string) string { return s.tools(b, "parallel", 2, false) }},
			{"parallel tools, streamed", func(b string) string { return s.tools(b, "parallel", 2, true) }},
			{"structured output", s.structured}, {"image", s.image}, {"thinking", s.thinking}, {"429", s.rateLimited},
			{"529", s.overloaded}, {"400", s.refused}, {"error in the stream", s.errorLate}, {"cancel a stream", s.cancelStream},
		} {
			c.Check(one.name, b, func() string { return one.fn(b) })
		}
		if b == "openai" || b == "gemini" || b == "ollama" || b == "direct" {
			c.Check("embeddings", b, func() string { return s.embeddings(b) })
		}
	}
	if env.Backends[0] != "direct" {
		c.Check("401", "-", s.badKey)
		c.Check("models", "-", s.models)
	}
	c.Done()
}

// client is made for each check: its headers are the check's.
func (s *suite) client(a *check.Ask, key string) *genai.Client {
	o := genai.HTTPOptions{BaseURL: s.env.Base}
	if a != nil && a.HeaderValue != "" {
		o.Headers = http.Header{a.HeaderName: {a.HeaderValue}}
	}
	c, err := genai.NewClient(context.Background(), &genai.ClientConfig{APIKey: key, Backend: genai.BackendGeminiAPI, HTTPOptions: o})
	check.Must(err)
	return c
}

// ask gives the parts of an answer, and the answer's last piece.
func (s *suite) ask(a *check.Ask, stream bool, config *genai.GenerateContentConfig, contents ...*genai.Content) ([]*genai.Part, *genai.GenerateContentResponse, error) {
	c := s.client(a, s.env.Key)
	if len(contents) == 0 {
		contents = genai.Text(a.Prompt)
	}
	var parts []*genai.Part
	var last *genai.GenerateContentResponse
	add := func(r *genai.GenerateContentResponse) {
		last = r
		for _, x := range r.Candidates {
			if x.Content != nil {
				parts = append(parts, x.Content.Parts...)
			}
		}
	}
	if !stream {
		r, err := c.Models.GenerateContent(context.Background(), a.Model, contents, config)
		if err == nil {
			add(r)
		}
		return parts, last, err
	}
	for r, err := range c.Models.GenerateContentStream(context.Background(), a.Model, contents, config) {
		if err != nil {
			return parts, last, err
		}
		add(r)
	}
	return parts, last, nil
}

func said(parts []*genai.Part, thought bool) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Thought == thought {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

func (s *suite) text(b string) string {
	a := s.env.NewAsk("echo", b)
	parts, r, err := s.ask(a, false, &genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText(check.System, "user")})
	check.Must(err)
	a.Echoed(said(parts, false))
	check.Want(r.Candidates[0].FinishReason, genai.FinishReasonStop, "finish")
	u := r.UsageMetadata
	check.Expect(u != nil && u.PromptTokenCount > 0 && u.CandidatesTokenCount > 0, "usage %+v", u)
	return ""
}

func (s *suite) streaming(b string) string {
	a := s.env.NewAsk("echo", b)
	parts, r, err := s.ask(a, true, &genai.GenerateContentConfig{SystemInstruction: genai.NewContentFromText(check.System, "user")})
	check.Must(err)
	a.Echoed(said(parts, false))
	check.Expect(len(parts) >= 2, "the text came in one piece")
	check.Want(r.Candidates[0].FinishReason, genai.FinishReasonStop, "finish of the last piece")
	return ""
}

func (s *suite) tools(b, name string, n int, stream bool) string {
	a := s.env.NewAsk(name, b)
	config := &genai.GenerateContentConfig{Tools: []*genai.Tool{{FunctionDeclarations: []*genai.FunctionDeclaration{
		{Name: "get_weather", Description: "The weather in a city", ParametersJsonSchema: check.Object(check.WeatherSchema)},
		{Name: "get_time", Description: "The time in a zone", ParametersJsonSchema: check.Object(check.ClockSchema)},
	}}}}
	user := genai.NewContentFromText(a.Prompt, genai.RoleUser)
	parts, _, err := s.ask(a, stream, config, user)
	check.Must(err)
	var names, want []string
	var results []*genai.Part
	for _, p := range parts {
		if k := p.FunctionCall; k != nil {
			results = append(results, &genai.Part{FunctionResponse: &genai.FunctionResponse{ID: k.ID, Name: k.Name,
				Response: map[string]any{"output": fmt.Sprintf("result %d", len(names))}}})
			names = append(names, k.Name)
			if k.Name == "get_weather" {
				a.Is(k.Args, map[string]any{"city": "Zürich", "unit": "celsius"}, "arguments")
			}
		}
	}
	check.Want(names, []string{"get_weather", "get_time"}[:n], "calls")
	parts, _, err = s.ask(a, stream, config, user, genai.NewContentFromParts(parts, genai.RoleModel), genai.NewContentFromParts(results, genai.RoleUser))
	check.Must(err)
	for i := range n {
		want = append(want, fmt.Sprintf("result %d", i))
	}
	a.Or(said(parts, false), "results: "+strings.Join(want, " | "))
	return ""
}

func (s *suite) structured(b string) string {
	a := s.env.NewAsk("structured", b)
	parts, _, err := s.ask(a, false, &genai.GenerateContentConfig{ResponseMIMEType: "application/json", ResponseJsonSchema: check.Object(check.RiverSchema)})
	check.Must(err)
	var river check.River
	check.Must(json.Unmarshal([]byte(said(parts, false)), &river))
	a.Is(river, check.River{Name: "Aare", LengthKm: 288, Tributaries: []string{"Emme", "Reuss"}}, "parsed")
	return ""
}

func (s *suite) image(b string) string {
	a := s.env.NewAsk("picture", b)
	png, err := base64.StdEncoding.DecodeString(check.Png)
	check.Must(err)
	parts, _, err := s.ask(a, false, nil, genai.NewContentFromParts([]*genai.Part{genai.NewPartFromText(a.Prompt), genai.NewPartFromBytes(png, "image/png")}, genai.RoleUser))
	check.Must(err)
	a.Or(said(parts, false), check.PngSum())
	return ""
}

func (s *suite) thinking(b string) string {
	a := s.env.NewAsk("think", b)
	for _, stream := range []bool{false, true} {
		parts, _, err := s.ask(a, stream, &genai.GenerateContentConfig{ThinkingConfig: &genai.ThinkingConfig{IncludeThoughts: true}})
		check.Must(err)
		a.Or(said(parts, true), "Is the gate open? It is.")
		a.Or(said(parts, false), "The gate is open.")
	}
	return ""
}

// fails gives the error of a request that must fail.
func fails(err error, code int, status string) genai.APIError {
	var e genai.APIError
	check.Expect(errors.As(err, &e), "no APIError: %T %v", err, err)
	check.Want(fmt.Sprint(e.Code, " ", e.Status), fmt.Sprint(code, " ", status), "code and status")
	return e
}

func (s *suite) rateLimited(b string) string {
	begin := time.Now()
	_, _, err := s.ask(s.env.NewAsk("429", b), false, nil)
	e := fails(err, 429, "RESOURCE_EXHAUSTED")
	check.Expect(strings.Contains(fmt.Sprint(e.Details), "600s"), "no RetryInfo: %v", e.Details)
	check.Expect(time.Since(begin) < 10*time.Second, "somebody waits")
	return ""
}

func (s *suite) overloaded(b string) string {
	_, _, err := s.ask(s.env.NewAsk("529", b), false, nil)
	fails(err, 503, "UNAVAILABLE")
	return ""
}

func (s *suite) refused(b string) string {
	_, _, err := s.ask(s.env.NewAsk("400", b), false, nil)
	fails(err, 400, "INVALID_ARGUMENT")
	return ""
}

func (s *suite) errorLate(b string) string {
	parts, _, err := s.ask(s.env.NewAsk("error-late", b), true, nil)
	check.Expect(err != nil, "a clean end: %q", said(parts, false))
	check.Expect(said(parts, false) != "", "no text before the error")
	var e genai.APIError
	check.Expect(errors.As(err, &e), "no APIError: %T %v", err, err)
	return fmt.Sprintf("%d pieces, then %d %s", len(parts), e.Code, e.Status)
}

func (s *suite) cancelStream(b string) string {
	a := s.env.NewAsk("drip", b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n, id := 0, ""
	for r, err := range s.client(a, s.env.Key).Models.GenerateContentStream(ctx, a.Model, genai.Text(a.Prompt), nil) {
		check.Must(err)
		if r.SDKHTTPResponse != nil {
			id = r.SDKHTTPResponse.Headers.Get("X-Headrace-Request-Id")
		}
		if n++; n == 3 {
			break
		}
	}
	left := time.Now()
	cancel()
	return a.SeenGone(left, id)
}

func (s *suite) embeddings(b string) string {
	model := strings.Replace(s.env.NewAsk("echo", b).Model, "echo", "embed", 1)
	r, err := s.client(nil, s.env.Key).Models.EmbedContent(context.Background(), model, []*genai.Content{genai.NewContentFromText("one", "user"), genai.NewContentFromText("two", "user")}, nil)
	check.Must(err)
	var got [][]float32
	for _, e := range r.Embeddings {
		got = append(got, e.Values)
	}
	check.Want(got, [][]float32{{0.25, -0.5, 0.1}, {1.25, -0.5, 0.1}}, "vectors")
	return ""
}

func (s *suite) badKey() string {
	_, err := s.client(nil, "hr-this-is-not-a-key-0123456789abcdef").Models.GenerateContent(context.Background(), "rehearsal/quick", genai.Text("hello"), nil)
	var e genai.APIError
	check.Expect(errors.As(err, &e) && (e.Code == 401 || e.Code == 400), "%T %v", err, err)
	return ""
}

func (s *suite) models() string {
	found := false
	for m, err := range s.client(nil, s.env.Key).Models.All(context.Background()) {
		check.Must(err)
		found = found || m.Name == "models/rehearsal/quick"
	}
	check.Expect(found, "rehearsal/quick is not in the list")
	return ""
}
