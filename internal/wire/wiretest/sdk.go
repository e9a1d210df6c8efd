package wiretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicstream "github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/openai/openai-go/v3"
	openaistream "github.com/openai/openai-go/v3/packages/ssestream"

	"headrace/internal/llm"
)

// Read reads an answer with status 200 as the official Go SDK of the dialect
// does: the whole body, or the stream through its own decoder and accumulator.
// An error is one that the SDK itself raises; what it read until then is
// given too, with Err set.
func Read(d llm.Dialect, streamed bool, body []byte) (Answer, error) {
	switch {
	case d == llm.OpenAI && streamed:
		return openaiStream(body)
	case d == llm.OpenAI:
		return openaiWhole(body)
	case d == llm.Anthropic && streamed:
		return anthropicStream(body)
	case d == llm.Anthropic:
		return anthropicWhole(body)
	}
	return Answer{}, fmt.Errorf("no SDK for the dialect %q", d)
}

func httpAnswer(body []byte) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(body)),
		Request: &http.Request{Method: "POST"}}
}

var openaiFinish = map[string]llm.FinishReason{
	"stop": llm.FinishStop, "length": llm.FinishLength, "tool_calls": llm.FinishToolCalls, "function_call": llm.FinishToolCalls,
	"content_filter": llm.FinishRefusal, "": "",
}

func openaiAnswer(c *openai.ChatCompletion) Answer {
	var a Answer
	if len(c.Choices) > 0 {
		m := &c.Choices[0].Message
		a.Text, a.Refusal = m.Content, m.Refusal
		for _, f := range m.ToolCalls {
			call := ToolCall{f.ID, f.Function.Name, arguments([]byte(f.Function.Arguments))}
			if f.Type == "custom" {
				call.Name, call.Arguments = f.Custom.Name, arguments([]byte(f.Custom.Input))
			}
			a.Calls = append(a.Calls, call)
		}
		f, ok := openaiFinish[c.Choices[0].FinishReason]
		if !ok {
			f = llm.FinishOther
		}
		a.Finish = f
	}
	a.Usage = openaiTokens(&c.Usage)
	return a
}

func openaiTokens(u *openai.CompletionUsage) Tokens {
	t := Tokens{Prompt: u.PromptTokens, CacheRead: u.PromptTokensDetails.CachedTokens, CacheWrite: u.PromptTokensDetails.CacheWriteTokens,
		Output: u.CompletionTokens, Reasoning: u.CompletionTokensDetails.ReasoningTokens}
	// xAI and DeepInfra leave thinking out of completion_tokens; the total
	// gives them away (facts of 2026-11).
	if t.Reasoning > 0 && t.Prompt+t.Output+t.Reasoning == u.TotalTokens {
		t.Output += t.Reasoning
	}
	return t
}

// openaiReasoning reads the members that the SDK keeps as extra fields: the
// text members first, the details where there is no text.
func openaiReasoning(raw string) string {
	var m struct {
		Content *string `json:"reasoning_content"`
		Text    any     `json:"reasoning"`
		Details []struct {
			Type, Text, Summary string
		} `json:"reasoning_details"`
	}
	if json.Unmarshal([]byte(raw), &m) != nil {
		return ""
	}
	if m.Content != nil && *m.Content != "" {
		return *m.Content
	}
	if s, ok := m.Text.(string); ok && s != "" {
		return s
	}
	var s string
	for _, d := range m.Details {
		s += d.Text + d.Summary
	}
	return s
}

func openaiWhole(body []byte) (Answer, error) {
	var c openai.ChatCompletion
	if err := json.Unmarshal(body, &c); err != nil {
		return Answer{Err: true}, err
	}
	var e struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &e) == nil && len(e.Error) > 0 && string(e.Error) != "null" && len(c.Choices) == 0 {
		return Answer{Err: true}, fmt.Errorf("an error under status 200: %s", e.Error)
	}
	a := openaiAnswer(&c)
	if len(c.Choices) > 0 {
		a.Reasoning = openaiReasoning(c.Choices[0].Message.RawJSON())
	}
	return a, nil
}

func openaiStream(body []byte) (Answer, error) {
	stream := openaistream.NewStream[openai.ChatCompletionChunk](openaistream.NewDecoder(httpAnswer(body)), nil)
	var acc openai.ChatCompletionAccumulator
	var reasoning string
	var usage Tokens
	var failed error
	for stream.Next() {
		chunk := stream.Current()
		if chunk.JSON.Usage.Valid() { // the accumulator adds them up; some vendors tell a running total
			usage = openaiTokens(&chunk.Usage)
		}
		for _, c := range chunk.Choices {
			if c.Index == 0 {
				reasoning += openaiReasoning(c.Delta.RawJSON())
			}
		}
		if !acc.AddChunk(chunk) && failed == nil {
			failed = fmt.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
	}
	a := openaiAnswer(&acc.ChatCompletion)
	a.Reasoning, a.Usage = reasoning, usage
	if err := errors.Join(stream.Err(), failed); err != nil {
		a.Err = true
		return a, err
	}
	return a, nil
}

var anthropicFinish = map[anthropic.StopReason]llm.FinishReason{
	"end_turn": llm.FinishStop, "stop_sequence": llm.FinishStopSequence, "max_tokens": llm.FinishLength, "tool_use": llm.FinishToolCalls,
	"model_context_window_exceeded": llm.FinishContext, "refusal": llm.FinishRefusal, "pause_turn": llm.FinishPaused, "": "",
}

func anthropicAnswer(m *anthropic.Message) Answer {
	var a Answer
	for i := range m.Content {
		b := &m.Content[i]
		switch b.Type {
		case "text":
			a.Text += b.Text
		case "thinking":
			a.Reasoning += b.Thinking
		case "tool_use":
			a.Calls = append(a.Calls, ToolCall{b.ID, b.Name, arguments(b.Input)})
		}
	}
	f, ok := anthropicFinish[m.StopReason]
	if !ok {
		f = llm.FinishOther
	}
	a.Finish = f
	u := &m.Usage
	a.Usage = Tokens{Prompt: u.InputTokens + u.CacheReadInputTokens + u.CacheCreationInputTokens, CacheRead: u.CacheReadInputTokens,
		CacheWrite: u.CacheCreationInputTokens, Output: u.OutputTokens, Reasoning: u.OutputTokensDetails.ThinkingTokens}
	return a
}

func anthropicWhole(body []byte) (Answer, error) {
	var m anthropic.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Answer{Err: true}, err
	}
	if m.Type == "error" {
		return Answer{Err: true}, fmt.Errorf("an error under status 200: %.300s", body)
	}
	return anthropicAnswer(&m), nil
}

func anthropicStream(body []byte) (Answer, error) {
	stream := anthropicstream.NewStream[anthropic.MessageStreamEventUnion](anthropicstream.NewDecoder(httpAnswer(body)), nil)
	var m anthropic.Message
	var failed error
	stopped := false
	for stream.Next() {
		e := stream.Current()
		if err := m.Accumulate(e); err != nil && failed == nil {
			failed = err
		}
		stopped = stopped || e.Type == "message_stop"
		if stopped {
			break // what follows is no event of the dialect (OpenRouter's [DONE])
		}
	}
	if !stopped && stream.Err() == nil {
		failed = errors.Join(failed, errors.New("the stream ended without message_stop"))
	}
	a := anthropicAnswer(&m)
	err := failed
	if !stopped {
		err = errors.Join(stream.Err(), failed)
	}
	a.Err = err != nil
	return a, err
}
