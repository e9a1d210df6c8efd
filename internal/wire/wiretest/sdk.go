package wiretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicstream "github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/openai/openai-go/v3"
	openaistream "github.com/openai/openai-go/v3/packages/ssestream"

	"headrace/internal/llm"
)

func httpAnswer(body []byte) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(bytes.NewReader(body)),
		Request: &http.Request{Method: "POST"}}
}

var openaiFinish = map[string]llm.FinishReason{
	"stop": llm.FinishStop, "length": llm.FinishLength, "tool_calls": llm.FinishToolCalls, "function_call": llm.FinishToolCalls,
	"tool_call":      llm.FinishToolCalls, // Azure's Llama models
	"content_filter": llm.FinishRefusal, "": "",
	"eos": llm.FinishStop, "end_turn": llm.FinishStop, // Together, Snowflake
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
		//lint:ignore SA1019 the recordings hold the deprecated form
		if f := m.FunctionCall; f.Name != "" && len(a.Calls) == 0 { // the form before tools
			a.Calls = append(a.Calls, ToolCall{noID, f.Name, arguments([]byte(f.Arguments))})
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
	audio := u.PromptTokensDetails.AudioTokens
	// Google's compatible door tells of thinking by the total alone (recorded).
	if rest := u.TotalTokens - t.Prompt - t.Output; rest > 0 && t.Reasoning == 0 && t.CacheRead == 0 && rest != audio && t.Prompt+t.Output > 0 {
		t.Output, t.Reasoning = t.Output+rest, rest
	}
	if t.CacheRead == 0 { // DeepSeek, Moonshot and Mistral tell it in members of their own
		for _, k := range []string{"prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"} {
			if f, ok := u.JSON.ExtraFields[k]; ok && json.Unmarshal([]byte(f.Raw()), &t.CacheRead) == nil && t.CacheRead > 0 {
				break
			}
		}
	}
	// Mistral counts audio beside prompt_tokens (recorded 2026).
	if t.Prompt < audio && t.Prompt+audio+t.Output == u.TotalTokens {
		t.Prompt += audio
	}
	// Grok at Azure and at OpenRouter counts a hidden prompt in the cached part;
	// the total says that prompt_tokens is all (recorded).
	if u.TotalTokens > 0 {
		t.CacheRead = min(t.CacheRead, t.Prompt)
		t.CacheWrite = min(t.CacheWrite, t.Prompt-t.CacheRead)
	}
	t.Reasoning = min(t.Reasoning, t.Output) // Doubleword counts more thinking than output
	return t
}

// openaiText reads content, which Mistral sends as a list of parts when the
// model thinks: the SDK then shows the list's bytes as the text.
func openaiText(content string) (text, thinking string) {
	var parts []struct {
		Type, Text string
		Thinking   []struct{ Text string }
	}
	if !strings.HasPrefix(content, "[") || json.Unmarshal([]byte(content), &parts) != nil {
		return content, ""
	}
	for _, p := range parts {
		if p.Type == "" {
			return content, "" // an answer that begins with a bracket
		}
		text += p.Text
		for _, t := range p.Thinking {
			thinking += t.Text
		}
	}
	return text, thinking
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
		text, thinking := openaiText(a.Text)
		a.Text, a.Reasoning = text, thinking+openaiReasoning(c.Choices[0].Message.RawJSON())
	}
	return a, nil
}

// noID stands for the id of a function_call, which has none.
const noID = "function_call"

// customCalls gathers the calls with free text by their index: the SDK's
// accumulator knows functions only (openai-go v3.96.0).
type customCalls map[int]*ToolCall

func (cs customCalls) add(delta string) {
	var d struct {
		Calls []struct {
			Index  int `json:"index"`
			Custom *struct{ Name, Input string }
		} `json:"tool_calls"`
	}
	if !strings.Contains(delta, `"custom"`) || json.Unmarshal([]byte(delta), &d) != nil {
		return
	}
	for _, c := range d.Calls {
		if c.Custom == nil {
			continue
		}
		if cs[c.Index] == nil {
			cs[c.Index] = &ToolCall{}
		}
		cs[c.Index].Name += c.Custom.Name
		cs[c.Index].Arguments += c.Custom.Input
	}
}

func openaiStream(body []byte) (Answer, error) {
	stream := openaistream.NewStream[openai.ChatCompletionChunk](openaistream.NewDecoder(httpAnswer(body)), nil)
	var acc openai.ChatCompletionAccumulator
	var reasoning, text, finish string
	var older ToolCall
	customs := customCalls{}
	var usage Tokens
	var failed error
	for stream.Next() {
		chunk := stream.Current()
		if chunk.JSON.Usage.Valid() { // the accumulator adds them up; some vendors tell a running total
			usage = openaiTokens(&chunk.Usage)
		} else if u := ofGroq(&chunk); u != nil {
			usage = openaiTokens(u)
		}
		for _, c := range chunk.Choices {
			if c.Index == 0 {
				if c.FinishReason != "" { // the accumulator forgets it when an empty one follows
					finish = c.FinishReason
				}
				//lint:ignore SA1019 the recordings hold the deprecated form
				f := c.Delta.FunctionCall
				older.Name += f.Name
				older.Arguments += f.Arguments
				customs.add(c.Delta.RawJSON())
				more, thinking := openaiText(c.Delta.Content)
				text += more
				reasoning += thinking + openaiReasoning(c.Delta.RawJSON())
			}
		}
		if !acc.AddChunk(chunk) && failed == nil {
			failed = fmt.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
	}
	if len(acc.Choices) > 0 {
		acc.Choices[0].FinishReason = finish
	}
	a := openaiAnswer(&acc.ChatCompletion)
	a.Text, a.Reasoning, a.Usage = text, reasoning, usage
	if older.Name != "" && len(a.Calls) == 0 { // the form before tools
		older.ID, older.Arguments = noID, arguments([]byte(older.Arguments))
		a.Calls = []ToolCall{older}
	}
	for i, c := range customs {
		if i < len(a.Calls) {
			a.Calls[i].Name, a.Calls[i].Arguments = c.Name, arguments([]byte(c.Arguments))
		}
	}
	if err := errors.Join(stream.Err(), failed); err != nil {
		a.Err = true
		return a, err
	}
	return a, nil
}

// ofGroq gives the usage that Groq tells in a member of its own where the
// client did not ask for it; nil when there is none.
func ofGroq(chunk *openai.ChatCompletionChunk) *openai.CompletionUsage {
	f, ok := chunk.JSON.ExtraFields["x_groq"]
	if !ok {
		return nil
	}
	var v struct{ Usage *openai.CompletionUsage }
	if json.Unmarshal([]byte(f.Raw()), &v) != nil {
		return nil
	}
	return v.Usage
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

// allRounds adds up the iterations of a usage object: the SDK shows the last of
// them, the bill is of all (compaction and fallback, claude-api of 2026-11).
func allRounds(t *Tokens, usage string) {
	var u struct {
		Iterations []struct {
			Input  int64 `json:"input_tokens"`
			Read   int64 `json:"cache_read_input_tokens"`
			Write  int64 `json:"cache_creation_input_tokens"`
			Output int64 `json:"output_tokens"`
		}
	}
	if json.Unmarshal([]byte(usage), &u) != nil || len(u.Iterations) == 0 {
		return
	}
	*t = Tokens{Reasoning: t.Reasoning}
	for _, r := range u.Iterations {
		t.Prompt += r.Input + r.Read + r.Write
		t.CacheRead += r.Read
		t.CacheWrite += r.Write
		t.Output += r.Output
	}
}

func anthropicWhole(body []byte) (Answer, error) {
	var m anthropic.Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Answer{Err: true}, err
	}
	if m.Type == "error" {
		return Answer{Err: true}, fmt.Errorf("an error under status 200: %.300s", body)
	}
	a := anthropicAnswer(&m)
	allRounds(&a.Usage, m.Usage.RawJSON())
	return a, nil
}

func anthropicStream(body []byte) (Answer, error) {
	stream := anthropicstream.NewStream[anthropic.MessageStreamEventUnion](anthropicstream.NewDecoder(httpAnswer(body)), nil)
	var m anthropic.Message
	var failed error
	stopped := false
	rounds := ""
	for stream.Next() {
		e := stream.Current()
		if e.Type == "message_delta" && strings.Contains(e.Usage.RawJSON(), `"iterations"`) {
			rounds = e.Usage.RawJSON()
		}
		if err := m.Accumulate(e); err != nil && failed == nil {
			failed = err
		}
		stopped = stopped || e.Type == "message_stop"
		if stopped {
			break // what follows is no event of the dialect (OpenRouter's [DONE])
		}
	}
	if !stopped && stream.Err() == nil && m.StopReason == "" {
		failed = errors.Join(failed, errors.New("the stream ended without a stop reason"))
	}
	a := anthropicAnswer(&m)
	allRounds(&a.Usage, rounds)
	err := failed
	if !stopped {
		err = errors.Join(stream.Err(), failed)
	}
	a.Err = err != nil
	return a, err
}
