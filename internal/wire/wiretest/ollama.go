package wiretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headrace/internal/llm"
)

// The reader of Ollama's answers is our own; it takes what the types of
// ollama's api package (2026-08) take, of chat and of generate.

type ollamaCall struct {
	ID       string
	Function struct {
		Name      string
		Arguments json.RawMessage
	}
}

type ollamaLine struct {
	Model   string
	Created string `json:"created_at"`
	Message *struct {
		Role, Content, Thinking string
		Calls                   []ollamaCall `json:"tool_calls"`
	}
	Response, Thinking string
	Calls              []ollamaCall `json:"tool_calls"` // of generate
	Done               bool
	Reason             string `json:"done_reason"`
	Prompt             *int64 `json:"prompt_eval_count"`
	Output             int64  `json:"eval_count"`
	Error              string
}

var ollamaFinish = map[string]llm.FinishReason{"stop": llm.FinishStop, "length": llm.FinishLength, "": llm.FinishStop, "load": llm.FinishStop, "unload": llm.FinishStop,
	"content_filter": llm.FinishRefusal, "error": llm.FinishFailed} // words of our own: no reader of Ollama's takes offence

func (l *ollamaLine) into(a *Answer) error {
	calls := l.Calls
	if m := l.Message; m != nil {
		a.Text += m.Content
		a.Reasoning += m.Thinking
		calls = append(calls, m.Calls...)
	}
	for _, c := range calls {
		if b := bytes.TrimSpace(c.Function.Arguments); len(b) > 0 && b[0] != '{' && string(b) != "null" {
			return fmt.Errorf("the arguments %s are no object", b)
		}
		call := ToolCall{c.ID, c.Function.Name, arguments(c.Function.Arguments)}
		if call.ID == "" {
			call.ID = noID
		}
		a.Calls = append(a.Calls, call)
	}
	a.Text += l.Response
	a.Reasoning += l.Thinking
	if l.Done {
		var ok bool
		if a.Finish, ok = ollamaFinish[l.Reason]; !ok {
			a.Finish = llm.FinishOther
		}
		// A prompt that was kept from the call before is not counted (recorded of
		// 2024's servers); half a usage is none.
		if l.Prompt != nil {
			a.Usage = Tokens{Prompt: *l.Prompt, Output: l.Output}
		}
	}
	return nil
}

func ollamaWhole(body []byte) (a Answer, err error) {
	defer func() { a.Err = err != nil }()
	var l ollamaLine
	if err := json.Unmarshal(body, &l); err != nil {
		return a, err
	}
	if l.Error != "" {
		return a, fmt.Errorf("an error under status 200: %s", l.Error)
	}
	if !l.Done {
		return a, errors.New("a whole answer that is not done")
	}
	return a, l.into(&a)
}

func ollamaStream(body []byte) (a Answer, err error) {
	defer func() { a.Err = err != nil }()
	done := false
	for line := range strings.SplitSeq(string(body), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var l ollamaLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return a, fmt.Errorf("%w in the line %.200q", err, line)
		}
		if l.Error != "" {
			return a, fmt.Errorf("the stream says %s", l.Error)
		}
		if done {
			return a, fmt.Errorf("a line behind the one that is done: %.200s", line)
		}
		if err := l.into(&a); err != nil {
			return a, err
		}
		done = l.Done
	}
	if !done {
		return a, errors.New("the stream ended without a line that is done")
	}
	return a, nil
}

// ollamaMust: a line for each object, ended by a line feed, each with a model,
// a time and a message (or a response); only the last is done, and says why.
func ollamaMust(stream []byte) error {
	if !bytes.HasSuffix(stream, []byte("\n")) {
		return errors.New("the last line has no end")
	}
	lines := strings.Split(strings.TrimSuffix(string(stream), "\n"), "\n")
	for i, line := range lines {
		var v map[string]json.RawMessage
		var l ollamaLine
		if err := errors.Join(json.Unmarshal([]byte(line), &v), json.Unmarshal([]byte(line), &l)); err != nil {
			return fmt.Errorf("%w in the line %.200q", err, line)
		}
		if l.Error != "" {
			return nil // the terminal form of a failure
		}
		if l.Model == "" || l.Created == "" || v["message"] == nil && v["response"] == nil || v["done"] == nil {
			return fmt.Errorf("a line without model, created_at, done or content: %.300s", line)
		}
		if last := i == len(lines)-1; l.Done != last || last && l.Reason == "" {
			return fmt.Errorf("line %d of %d: done %v, reason %q", i+1, len(lines), l.Done, l.Reason)
		}
	}
	return nil
}

func ollamaFailure(body []byte) error {
	var v struct{ Error any }
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	if s, ok := v.Error.(string); !ok || s == "" {
		return fmt.Errorf("the error is %v, which is no text", v.Error)
	}
	return nil
}

func ollamaEarly(_ string, data []byte) (failed, decided bool) {
	var l ollamaLine
	if json.Unmarshal(data, &l) != nil {
		return false, false
	}
	if l.Error != "" {
		return true, true
	}
	m := l.Message
	return false, l.Done || l.Response != "" || l.Thinking != "" || m != nil && (m.Content != "" || m.Thinking != "" || len(m.Calls) > 0)
}

func ollamaNext(answer []byte) (any, error) {
	var a struct {
		Message  json.RawMessage
		Response *string
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	question := object{"role": "user", "content": "Go on."}
	messages := []any{question}
	if a.Response != nil {
		messages = append(messages, object{"role": "assistant", "content": *a.Response})
	}
	if len(a.Message) > 0 {
		var m struct {
			Calls []struct {
				ID       string
				Function struct{ Name string }
			} `json:"tool_calls"`
		}
		if err := json.Unmarshal(a.Message, &m); err != nil {
			return nil, err
		}
		messages = append(messages, a.Message)
		for _, c := range m.Calls {
			result := object{"role": "tool", "tool_name": c.Function.Name, "content": "done"}
			if c.ID != "" {
				result["tool_call_id"] = c.ID
			}
			messages = append(messages, result)
		}
	}
	return object{"model": "m", "messages": append(messages, question)}, nil
}

func ollamaSeen(a Answer) Answer {
	a.Text += a.Refusal
	a.Refusal = ""
	a.Usage.CacheRead, a.Usage.CacheWrite, a.Usage.Reasoning = 0, 0, 0
	switch a.Finish {
	case llm.FinishStopSequence:
		a.Finish = llm.FinishStop // there is no other word
	case llm.FinishContext, llm.FinishPaused:
		a.Finish = llm.FinishLength
	}
	return a
}

// generateSeen: the older form has no calls.
func generateSeen(a Answer) Answer {
	a.Calls = nil
	if a.Finish == llm.FinishToolCalls {
		a.Finish = llm.FinishStop
	}
	return a
}
