// Package gpt runs the checks through the official Go SDK for OpenAI, with
// nothing changed but base URL and key.
package gpt

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"headrace/test/clients/check"
)

type suite struct {
	env    check.Env
	client openai.Client
}

// Run runs all checks on all backends.
func Run(env check.Env) {
	s := &suite{env: env, client: openai.NewClient(option.WithBaseURL(env.Base+"/v1"), option.WithAPIKey(env.Key))}
	c := &check.Client{Name: "go-openai"}
	for _, b := range env.Backends {
		for _, one := range []struct {
			name string
			fn   func(string) string
		}{
			{"text", s.text}, {"streaming", s.streaming}, {"tools, two turns", s.tools},
			{"parallel tools", func(b string) string { return s.parallel(b, false) }},
			{"parallel tools, streamed", func(b string) string { return s.parallel(b, true) }},
			{"structured output", s.structured}, {"image", s.image}, {"429 with retry-after", s.rateLimited},
			{"529", s.overloaded}, {"400", s.refused}, {"error in the stream", s.errorLate}, {"stream cut off", s.cut},
			{"cancel a stream", s.cancelStream}, {"cancel a whole answer", s.cancelWhole},
		} {
			c.Check(one.name, b, func() string { return one.fn(b) })
		}
	}
	if env.Backends[0] != "direct" {
		c.Check("401", "-", s.badKey)
		c.Check("models", "-", s.models)
	}
	c.Done()
	if env.Backends[0] != "direct" {
		s.batches()
	}
}

func (s *suite) params(a *check.Ask, messages ...openai.ChatCompletionMessageParamUnion) openai.ChatCompletionNewParams {
	if messages == nil {
		messages = []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(check.System), openai.UserMessage(a.Prompt)}
	}
	return openai.ChatCompletionNewParams{Model: a.Model, Messages: messages}
}

func (s *suite) options(a *check.Ask, more ...option.RequestOption) []option.RequestOption {
	if a.HeaderValue != "" {
		more = append(more, option.WithHeader(a.HeaderName, a.HeaderValue))
	}
	if a.Backend == "direct" {
		more = append(more, option.WithMaxRetries(0))
	}
	return more
}

func (s *suite) call(a *check.Ask, p openai.ChatCompletionNewParams, more ...option.RequestOption) (*openai.ChatCompletion, error) {
	return s.client.Chat.Completions.New(context.Background(), p, s.options(a, more...)...)
}

func (s *suite) must(a *check.Ask, p openai.ChatCompletionNewParams) openai.ChatCompletionChoice {
	r, err := s.call(a, p)
	check.Must(err)
	check.Want(len(r.Choices), 1, "choices")
	return r.Choices[0]
}

// stream reads a stream into the SDK's own accumulator, which refuses chunks
// that do not belong together.
func (s *suite) stream(a *check.Ask, p openai.ChatCompletionNewParams) (acc openai.ChatCompletionAccumulator, pieces int, err error) {
	p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	st := s.client.Chat.Completions.NewStreaming(context.Background(), p, s.options(a)...)
	defer st.Close()
	for st.Next() {
		check.Expect(acc.AddChunk(st.Current()), "the accumulator refuses %s", st.Current().RawJSON())
		if k := st.Current().Choices; len(k) > 0 && k[0].Delta.Content != "" {
			pieces++
		}
	}
	return acc, pieces, st.Err()
}

func (s *suite) text(b string) string {
	a := s.env.NewAsk("echo", b)
	r, err := s.call(a, s.params(a))
	check.Must(err)
	a.Echoed(r.Choices[0].Message.Content)
	check.Want(r.Choices[0].FinishReason, "stop", "finish")
	check.Expect(r.Usage.PromptTokens > 0 && r.Usage.CompletionTokens > 0, "usage %s", r.Usage.RawJSON())
	return ""
}

func (s *suite) streaming(b string) string {
	a := s.env.NewAsk("echo", b)
	acc, pieces, err := s.stream(a, s.params(a))
	check.Must(err)
	a.Echoed(acc.Choices[0].Message.Content)
	check.Expect(pieces >= 2, "the text came in one piece")
	check.Want(acc.Choices[0].FinishReason, "stop", "finish")
	check.Expect(acc.Usage.CompletionTokens > 0, "no usage")
	a.Is(acc.Usage.TotalTokens, int64(48), "total tokens")
	return ""
}

func offered() []openai.ChatCompletionToolUnionParam {
	return []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Description: openai.String("The weather in a city"), Parameters: check.Object(check.WeatherSchema)}),
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_time", Description: openai.String("The time in a zone"), Parameters: check.Object(check.ClockSchema)}),
	}
}

func (s *suite) tools(b string) string {
	a := s.env.NewAsk("tools", b)
	p := s.params(a, openai.UserMessage(a.Prompt))
	p.Tools = offered()
	first := s.must(a, p)
	check.Want(first.FinishReason, "tool_calls", "finish")
	check.Want(len(first.Message.ToolCalls), 1, "calls")
	k := first.Message.ToolCalls[0]
	check.Want(k.Function.Name, "get_weather", "name")
	a.Is(check.Object(k.Function.Arguments), check.Object(`{"city":"Zürich","unit":"celsius"}`), "arguments")
	p.Messages = append(p.Messages, first.Message.ToParam(), openai.ToolMessage("12 °C, rain", k.ID))
	a.Or(s.must(a, p).Message.Content, "results: 12 °C, rain")
	return ""
}

func (s *suite) parallel(b string, stream bool) string {
	a := s.env.NewAsk("parallel", b)
	p := s.params(a, openai.UserMessage(a.Prompt))
	p.Tools = offered()
	var first openai.ChatCompletionChoice
	if stream {
		acc, _, err := s.stream(a, p)
		check.Must(err)
		first = acc.Choices[0]
	} else {
		first = s.must(a, p)
	}
	var names []string
	p.Messages = append(p.Messages, first.Message.ToParam())
	for i, k := range first.Message.ToolCalls {
		names = append(names, k.Function.Name)
		check.Object(k.Function.Arguments)
		p.Messages = append(p.Messages, openai.ToolMessage([]string{"first", "second"}[i%2], k.ID))
	}
	check.Want(names, []string{"get_weather", "get_time"}, "calls")
	check.Want(first.FinishReason, "tool_calls", "finish")
	a.Or(s.must(a, p).Message.Content, "results: first | second")
	return ""
}

func (s *suite) structured(b string) string {
	a := s.env.NewAsk("structured", b)
	p := s.params(a)
	p.ResponseFormat = openai.ChatCompletionNewParamsResponseFormatUnion{OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "river", Strict: openai.Bool(true), Schema: check.Object(check.RiverSchema)}}}
	var river check.River
	check.Must(json.Unmarshal([]byte(s.must(a, p).Message.Content), &river))
	a.Is(river, check.River{Name: "Aare", LengthKm: 288, Tributaries: []string{"Emme", "Reuss"}}, "parsed")
	return ""
}

func (s *suite) image(b string) string {
	a := s.env.NewAsk("picture", b)
	p := s.params(a, openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{openai.TextContentPart(a.Prompt),
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + check.Png})}))
	a.Or(s.must(a, p).Message.Content, check.PngSum())
	return ""
}

// failed runs the case and gives the SDK's error.
func (s *suite) failed(a *check.Ask) *openai.Error {
	r, err := s.call(a, s.params(a))
	e, ok := errors.AsType[*openai.Error](err)
	check.Expect(ok, "no API error but %v %v", r, err)
	return e
}

func (s *suite) rateLimited(b string) string {
	a := s.env.NewAsk("429", b)
	begin := time.Now()
	e := s.failed(a)
	check.Want(e.StatusCode, 429, "status")
	check.Want(e.Response.Header.Get("Retry-After"), "600", "retry-after")
	if b != "direct" {
		check.Want(e.Response.Header.Get("X-Should-Retry"), "false", "x-should-retry")
	}
	check.Expect(time.Since(begin) < 10*time.Second, "somebody waits")
	check.Expect(e.Message != "", "no message")
	return ""
}

func (s *suite) overloaded(b string) string {
	e := s.failed(s.env.NewAsk("529", b))
	check.Expect(e.StatusCode == 503 || e.StatusCode == 529, "status %d", e.StatusCode)
	return ""
}

func (s *suite) refused(b string) string {
	check.Want(s.failed(s.env.NewAsk("400", b)).StatusCode, http.StatusBadRequest, "status")
	return ""
}

func (s *suite) errorLate(b string) string {
	a := s.env.NewAsk("error-late", b)
	_, pieces, err := s.stream(a, s.params(a))
	check.Expect(err != nil, "a clean end")
	check.Expect(pieces > 0, "no text before the error")
	return ""
}

func (s *suite) cut(b string) string {
	a := s.env.NewAsk("cut", b)
	acc, _, err := s.stream(a, s.params(a))
	check.Expect(err != nil, "a clean end")
	check.Expect(acc.ID != "", "nothing before the cut")
	return ""
}

func (s *suite) cancelStream(b string) string {
	a := s.env.NewAsk("drip", b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var resp *http.Response
	st := s.client.Chat.Completions.NewStreaming(ctx, s.params(a), s.options(a, option.WithResponseInto(&resp))...)
	for range 3 {
		check.Expect(st.Next(), "the stream ended: %v", st.Err())
	}
	left := time.Now()
	cancel()
	st.Close()
	return a.SeenGone(left, resp.Header.Get("X-Headrace-Request-Id"))
}

func (s *suite) cancelWhole(b string) string {
	a := s.env.NewAsk("stall", b)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := s.client.Chat.Completions.New(ctx, s.params(a), s.options(a, option.WithMaxRetries(0))...)
	check.Expect(errors.Is(err, context.DeadlineExceeded), "it ended with %v", err)
	return a.SeenGone(time.Now(), "")
}

func (s *suite) badKey() string {
	api := openai.NewClient(option.WithBaseURL(s.env.Base+"/v1"), option.WithAPIKey("hr-this-is-not-a-key-0123456789abcdef"))
	_, err := api.Chat.Completions.New(context.Background(), openai.ChatCompletionNewParams{Model: "rehearsal/quick", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}})
	e, ok := errors.AsType[*openai.Error](err)
	check.Expect(ok && e.StatusCode == 401, "it ended with %v", err)
	return ""
}

func (s *suite) models() string {
	found := false
	pages := s.client.Models.ListAutoPaging(context.Background())
	for pages.Next() {
		found = found || pages.Current().ID == "rehearsal/quick"
	}
	check.Must(pages.Err())
	check.Expect(found, "rehearsal/quick is not in the list")
	return ""
}
