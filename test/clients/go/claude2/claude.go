// Code generated from ../claude1/claude.go; DO NOT EDIT.

// Package claude2 is claude1 for the second major version of the SDK.
package claude2

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"headrace/test/clients/check"
)

type suite struct {
	env    check.Env
	client anthropic.Client
}

// Run runs all checks on all backends.
func Run(env check.Env) {
	s := &suite{env: env, client: anthropic.NewClient(option.WithBaseURL(env.Base), option.WithAPIKey(env.Key))}
	c := &check.Client{Name: "go-anthropic-v2"}
	for _, b := range env.Backends {
		for _, one := range []struct {
			name string
			fn   func(string) string
		}{
			{"text", s.text}, {"streaming", s.streaming}, {"tools, two turns", s.tools},
			{"parallel tools", func(b string) string { return s.parallel(b, false) }},
			{"parallel tools, streamed", func(b string) string { return s.parallel(b, true) }},
			{"structured output", s.structured}, {"image", s.image}, {"thinking, streamed", s.thinking}, {"count tokens", s.count},
			{"429 with retry-after", s.rateLimited}, {"529", s.overloaded}, {"400", s.refused},
			{"error in the stream", s.errorLate}, {"stream cut off", s.cut},
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
		c := &check.Client{Name: "go-anthropic-v2-batch"}
		c.Check("create, poll, results", "all", s.batchResults)
		c.Check("cancel", "all", s.batchCancel)
		c.Done()
	}
}

func (s *suite) params(a *check.Ask, messages ...anthropic.MessageParam) anthropic.MessageNewParams {
	if messages == nil {
		messages = []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(a.Prompt))}
	}
	return anthropic.MessageNewParams{Model: anthropic.Model(a.Model), MaxTokens: 2048, Messages: messages}
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

func (s *suite) must(a *check.Ask, p anthropic.MessageNewParams) *anthropic.Message {
	m, err := s.client.Messages.New(context.Background(), p, s.options(a)...)
	check.Must(err)
	return m
}

// stream reads a stream into the SDK's own accumulator.
func (s *suite) stream(a *check.Ask, p anthropic.MessageNewParams) (m anthropic.Message, pieces int, err error) {
	st := s.client.Messages.NewStreaming(context.Background(), p, s.options(a)...)
	defer st.Close()
	for st.Next() {
		check.Must(m.Accumulate(st.Current()))
		if st.Current().Type == "content_block_delta" {
			pieces++
		}
	}
	return m, pieces, st.Err()
}

func textOf(m *anthropic.Message) string {
	var s strings.Builder
	for _, b := range m.Content {
		if b.Type == "text" {
			s.WriteString(b.Text)
		}
	}
	return s.String()
}

func (s *suite) text(b string) string {
	a := s.env.NewAsk("echo", b)
	p := s.params(a)
	p.System = []anthropic.TextBlockParam{{Text: check.System}}
	m := s.must(a, p)
	a.Echoed(textOf(m))
	check.Want(string(m.StopReason), "end_turn", "stop")
	check.Expect(m.Usage.InputTokens > 0 && m.Usage.OutputTokens > 0, "usage %s", m.Usage.RawJSON())
	return ""
}

func (s *suite) streaming(b string) string {
	a := s.env.NewAsk("echo", b)
	p := s.params(a)
	p.System = []anthropic.TextBlockParam{{Text: check.System}}
	m, pieces, err := s.stream(a, p)
	check.Must(err)
	a.Echoed(textOf(&m))
	check.Expect(pieces >= 2, "the text came in one piece")
	check.Want(string(m.StopReason), "end_turn", "stop")
	a.Is(m.Usage.OutputTokens, int64(17), "output tokens")
	return ""
}

func offered() []anthropic.ToolUnionParam {
	one := func(name, description, schema string) anthropic.ToolUnionParam {
		o := check.Object(schema)
		var required []string
		for _, r := range o["required"].([]any) {
			required = append(required, r.(string))
		}
		t := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: o["properties"], Required: required}, name)
		t.OfTool.Description = anthropic.String(description)
		return t
	}
	return []anthropic.ToolUnionParam{one("get_weather", "The weather in a city", check.WeatherSchema), one("get_time", "The time in a zone", check.ClockSchema)}
}

func (s *suite) tools(b string) string {
	a := s.env.NewAsk("tools", b)
	p := s.params(a)
	p.Tools = offered()
	s.results(a, p, s.must(a, p), []string{"get_weather"}, "results: first")
	return ""
}

func (s *suite) parallel(b string, stream bool) string {
	a := s.env.NewAsk("parallel", b)
	p := s.params(a)
	p.Tools = offered()
	var m *anthropic.Message
	if stream {
		got, _, err := s.stream(a, p)
		check.Must(err)
		m = &got
	} else {
		m = s.must(a, p)
	}
	s.results(a, p, m, []string{"get_weather", "get_time"}, "results: first | second")
	return ""
}

// results checks the calls of m, sends their results back and checks what is
// said then.
func (s *suite) results(a *check.Ask, p anthropic.MessageNewParams, m *anthropic.Message, want []string, then string) {
	var names []string
	var inputs []map[string]any
	var results []anthropic.ContentBlockParamUnion
	for _, b := range m.Content {
		if b.Type == "tool_use" {
			results = append(results, anthropic.NewToolResultBlock(b.ID, []string{"first", "second"}[len(names)%2], false))
			names = append(names, b.Name)
			inputs = append(inputs, check.Object(string(b.Input)))
		}
	}
	check.Want(names, want, "calls")
	check.Want(string(m.StopReason), "tool_use", "stop")
	a.Is(inputs[0], check.Object(`{"city":"Zürich","unit":"celsius"}`), "input")
	p.Messages = append(p.Messages, m.ToParam(), anthropic.NewUserMessage(results...))
	a.Or(textOf(s.must(a, p)), then)
}

func (s *suite) structured(b string) string {
	a := s.env.NewAsk("structured", b)
	p := s.params(a)
	p.OutputConfig = anthropic.OutputConfigParam{Format: anthropic.JSONOutputFormatParam{Schema: check.Object(check.RiverSchema)}}
	var river check.River
	check.Must(json.Unmarshal([]byte(textOf(s.must(a, p))), &river))
	a.Is(river, check.River{Name: "Aare", LengthKm: 288, Tributaries: []string{"Emme", "Reuss"}}, "parsed")
	return ""
}

func (s *suite) image(b string) string {
	a := s.env.NewAsk("picture", b)
	p := s.params(a, anthropic.NewUserMessage(anthropic.NewImageBlockBase64("image/png", check.Png), anthropic.NewTextBlock(a.Prompt)))
	a.Or(textOf(s.must(a, p)), check.PngSum())
	return ""
}

func (s *suite) thinking(b string) string {
	a := s.env.NewAsk("think", b)
	p := s.params(a)
	p.Thinking = anthropic.ThinkingConfigParamOfEnabled(1024)
	m, _, err := s.stream(a, p)
	check.Must(err)
	check.Want(len(m.Content), 2, "blocks")
	check.Want(m.Content[0].Type, "thinking", "first block")
	a.Is(m.Content[0].Thinking, "Is the gate open? It is.", "thinking")
	if b == "anthropic" || b == "direct" {
		check.Want(m.Content[0].Signature, "c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk=", "signature")
	}
	return ""
}

func (s *suite) count(b string) string {
	a := s.env.NewAsk("echo", b)
	n, err := s.client.Messages.CountTokens(context.Background(), anthropic.MessageCountTokensParams{Model: anthropic.Model(a.Model), Messages: s.params(a).Messages})
	check.Must(err)
	check.Expect(n.InputTokens > 0, "%d tokens", n.InputTokens)
	return ""
}

// failed runs the case and gives the SDK's error.
func (s *suite) failed(a *check.Ask) *anthropic.Error {
	m, err := s.client.Messages.New(context.Background(), s.params(a), s.options(a)...)
	e, ok := errors.AsType[*anthropic.Error](err)
	check.Expect(ok, "no API error but %v %v", m, err)
	return e
}

func (s *suite) rateLimited(b string) string {
	begin := time.Now()
	e := s.failed(s.env.NewAsk("429", b))
	check.Want(e.StatusCode, 429, "status")
	check.Want(e.Response.Header.Get("Retry-After"), "600", "retry-after")
	check.Want(string(e.Type()), "rate_limit_error", "type")
	if b != "direct" {
		check.Want(e.Response.Header.Get("X-Should-Retry"), "false", "x-should-retry")
	}
	check.Expect(time.Since(begin) < 10*time.Second, "somebody waits")
	return ""
}

func (s *suite) overloaded(b string) string {
	e := s.failed(s.env.NewAsk("529", b))
	check.Want(e.StatusCode, 529, "status")
	check.Want(string(e.Type()), "overloaded_error", "type")
	return ""
}

func (s *suite) refused(b string) string {
	e := s.failed(s.env.NewAsk("400", b))
	check.Want(e.StatusCode, http.StatusBadRequest, "status")
	check.Want(string(e.Type()), "invalid_request_error", "type")
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
	m, _, err := s.stream(a, s.params(a))
	check.Expect(err != nil, "a clean end")
	check.Expect(m.ID != "", "nothing before the cut")
	return ""
}

func (s *suite) cancelStream(b string) string {
	a := s.env.NewAsk("drip", b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var resp *http.Response
	st := s.client.Messages.NewStreaming(ctx, s.params(a), s.options(a, option.WithResponseInto(&resp))...)
	for range 4 {
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
	_, err := s.client.Messages.New(ctx, s.params(a), s.options(a, option.WithMaxRetries(0))...)
	check.Expect(errors.Is(err, context.DeadlineExceeded), "it ended with %v", err)
	return a.SeenGone(time.Now(), "")
}

func (s *suite) badKey() string {
	api := anthropic.NewClient(option.WithBaseURL(s.env.Base), option.WithAPIKey("hr-this-is-not-a-key-0123456789abcdef"))
	_, err := api.Messages.New(context.Background(), anthropic.MessageNewParams{Model: "rehearsal/quick", MaxTokens: 10,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("hello"))}})
	e, ok := errors.AsType[*anthropic.Error](err)
	check.Expect(ok && e.StatusCode == 401 && e.Type() == "authentication_error", "it ended with %v", err)
	return ""
}

func (s *suite) models() string {
	found := false
	pages := s.client.Models.ListAutoPaging(context.Background(), anthropic.ModelListParams{Limit: anthropic.Int(1000)})
	for pages.Next() {
		found = found || pages.Current().ID == "rehearsal/quick"
	}
	check.Must(pages.Err())
	check.Expect(found, "rehearsal/quick is not in the list")
	return ""
}

func batchRequest(id, model, prompt string) anthropic.MessageBatchNewParamsRequest {
	return anthropic.MessageBatchNewParamsRequest{CustomID: id, Params: anthropic.MessageBatchNewParamsRequestParams{
		Model: anthropic.Model(model), MaxTokens: 1024, System: []anthropic.TextBlockParam{{Text: check.System}},
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(prompt))}}}
}

// batchEnded waits for a batch and gives its results.
func (s *suite) batchEnded(id string) map[string]anthropic.MessageBatchResultUnion {
	for until := time.Now().Add(45 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		b, err := s.client.Messages.Batches.Get(context.Background(), id, anthropic.MessageBatchGetParams{})
		check.Must(err)
		if b.ProcessingStatus == anthropic.MessageBatchProcessingStatusEnded {
			break
		}
		check.Expect(time.Now().Before(until), "no end after 45 s: %s", b.RawJSON())
	}
	out := map[string]anthropic.MessageBatchResultUnion{}
	results := s.client.Messages.Batches.ResultsStreaming(context.Background(), id, anthropic.MessageBatchResultsParams{})
	defer results.Close()
	for results.Next() {
		r := results.Current()
		out[r.CustomID] = r.Result
	}
	check.Must(results.Err())
	return out
}

func (s *suite) batchResults() string {
	var asks []*check.Ask
	var p anthropic.MessageBatchNewParams
	for _, b := range s.env.Backends {
		a := s.env.NewAsk("echo", b)
		asks = append(asks, a)
		p.Requests = append(p.Requests, batchRequest(b, a.Model, a.Prompt))
	}
	made, err := s.client.Messages.Batches.New(context.Background(), p)
	check.Must(err)
	out := s.batchEnded(made.ID)
	for _, a := range asks {
		check.Want(out[a.Backend].Type, "succeeded", a.Backend)
		text := ""
		for _, b := range out[a.Backend].Message.Content {
			text += b.Text
		}
		a.Echoed(text)
	}
	return ""
}

func (s *suite) batchCancel() string {
	made, err := s.client.Messages.Batches.New(context.Background(),
		anthropic.MessageBatchNewParams{Requests: []anthropic.MessageBatchNewParamsRequest{batchRequest("slow", "rehearsal/quick", check.Slow)}})
	check.Must(err)
	_, err = s.client.Messages.Batches.Cancel(context.Background(), made.ID, anthropic.MessageBatchCancelParams{})
	check.Must(err)
	check.Want(s.batchEnded(made.ID)["slow"].Type, "canceled", "result")
	return ""
}
