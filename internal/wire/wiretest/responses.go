package wiretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	openaistream "github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// responsesAnswer reads a whole response; items are its output, or what a
// stream gave one by one.
func responsesAnswer(r *responses.Response, items []responses.ResponseOutputItemUnion) (a Answer, err error) {
	defer func() { a.Err = err != nil }()
	for i := range items {
		switch it := &items[i]; it.Type {
		case "message":
			for _, c := range it.AsMessage().Content {
				a.Text += c.Text
				a.Refusal += c.Refusal
			}
		case "reasoning":
			m := it.AsReasoning()
			for _, s := range m.Summary {
				a.Reasoning += s.Text
			}
			for _, c := range m.Content {
				a.Reasoning += c.Text
			}
		case "function_call":
			c := it.AsFunctionCall()
			a.Calls = append(a.Calls, ToolCall{c.CallID, c.Name, arguments([]byte(c.Arguments))})
		case "custom_tool_call":
			c := it.AsCustomToolCall()
			a.Calls = append(a.Calls, ToolCall{c.CallID, c.Name, arguments([]byte(c.Input))})
		}
	}
	u := &r.Usage
	a.Usage = Tokens{Prompt: u.InputTokens, CacheRead: u.InputTokensDetails.CachedTokens, CacheWrite: u.InputTokensDetails.CacheWriteTokens,
		Output: u.OutputTokens, Reasoning: u.OutputTokensDetails.ReasoningTokens}
	switch r.Status {
	case "completed":
		a.Finish = llm.FinishStop
	case "incomplete":
		switch r.IncompleteDetails.Reason {
		case "max_output_tokens":
			a.Finish = llm.FinishLength
		case "content_filter":
			a.Finish = llm.FinishRefusal
		case "": // recorded without a reason: there is no other than length
			a.Finish = llm.FinishLength
		default:
			a.Finish = llm.FinishOther
		}
	case "failed":
		return a, fmt.Errorf("the response failed: %s", r.Error.RawJSON())
	case "queued", "in_progress": // made in the background: to be asked for again
		a.Finish = llm.FinishPaused
	default: // cancelled: nothing that a chat ends with
		a.Finish = llm.FinishOther
	}
	return a, nil
}

func responsesWhole(body []byte) (Answer, error) {
	var r responses.Response
	if err := json.Unmarshal(body, &r); err != nil {
		return Answer{Err: true}, err
	}
	if r.Object != "response" {
		return Answer{Err: true}, fmt.Errorf("no response under status 200: %.300s", body)
	}
	return responsesAnswer(&r, r.Output)
}

// responsesStream reads a stream as clients of this dialect do: the last event
// has the response. The ChatGPT backend leaves its output empty (recorded);
// then the items are those that were done on the way.
func responsesStream(body []byte) (Answer, error) {
	stream := openaistream.NewStream[responses.ResponseStreamEventUnion](openaistream.NewDecoder(httpAnswer(body)), nil)
	var items []responses.ResponseOutputItemUnion
	for stream.Next() {
		e := stream.Current()
		switch e.Type {
		case "response.output_item.done":
			items = append(items, e.Item)
		case "response.completed", "response.incomplete", "response.failed":
			if len(e.Response.Output) > 0 {
				items = e.Response.Output
			}
			return responsesAnswer(&e.Response, items)
		case "error":
			return Answer{Err: true}, fmt.Errorf("an error event: %s", e.RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		return Answer{Err: true}, err
	}
	return Answer{Err: true}, errors.New("the stream closed before response.completed")
}

// responsesMust: events named as their data is, numbered without a gap; what
// is added is done, deltas add up to what is done, and one terminal event has
// the whole response: the items that were done, in order.
func responsesMust(stream []byte) error {
	var (
		next     int64
		started  bool
		terminal string
		items    = map[int64]string{} // by output index: what was done, "" while it is open
		parts    = map[string]string{}
		done     []json.RawMessage
	)
	in := sse.NewReader(bytes.NewReader(stream), 0)
	for {
		f, err := in.Next()
		if err != nil {
			break
		}
		if f.Data == nil {
			continue
		}
		var e struct {
			Type     string
			Sequence *int64 `json:"sequence_number"`
			Output   int64  `json:"output_index"`
			Content  int64  `json:"content_index"`
			Summary  int64  `json:"summary_index"`
			Item     json.RawMessage
			Delta    string
			Text     *string
			Refusal  *string
			Args     *string `json:"arguments"`
			Input    *string
			Response struct {
				ID, Status string
				Output     []json.RawMessage
			}
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return fmt.Errorf("%w in %.200q", err, f.Data)
		}
		if string(f.Event) != e.Type {
			return fmt.Errorf("the event %q says %q of itself", f.Event, e.Type)
		}
		if e.Sequence == nil || *e.Sequence != next {
			return fmt.Errorf("%s has no number %d: %.200s", e.Type, next, f.Data)
		}
		next++
		if terminal != "" {
			return fmt.Errorf("%s comes behind %s", e.Type, terminal)
		}
		if !started && e.Type != "response.created" {
			return fmt.Errorf("%s comes before response.created", e.Type)
		}
		part := fmt.Sprintf("%d/%d/%d/", e.Output, e.Content, e.Summary)
		switch e.Type {
		case "response.created":
			if started {
				return errors.New("a second response.created")
			}
			started = true
		case "response.output_item.added":
			if _, ok := items[e.Output]; ok || e.Output != int64(len(items)) {
				return fmt.Errorf("item %d is added; %d are there", e.Output, len(items))
			}
			items[e.Output] = ""
		case "response.output_item.done":
			if s, ok := items[e.Output]; !ok || s != "" {
				return fmt.Errorf("item %d is done, but not open", e.Output)
			}
			items[e.Output] = "done"
			done = append(done, e.Item)
		case "response.completed", "response.incomplete", "response.failed":
			terminal = e.Type
			if e.Response.ID == "" || "response."+e.Response.Status != e.Type {
				return fmt.Errorf("%s holds a response of status %q and id %q", e.Type, e.Response.Status, e.Response.ID)
			}
			if e.Type == "response.failed" {
				return nil
			}
			for i, s := range items {
				if s == "" {
					return fmt.Errorf("item %d was never done", i)
				}
			}
			if len(e.Response.Output) != len(done) {
				return fmt.Errorf("%s holds %d items, %d were done", e.Type, len(e.Response.Output), len(done))
			}
			for i := range done {
				if err := sameJSON(done[i], e.Response.Output[i], func(string) bool { return false }); err != nil {
					return fmt.Errorf("item %d in the terminal event: %w", i, err)
				}
			}
		case "error":
			return errors.New("an error event, which Codex passes over; response.failed is the terminal one")
		}
		kind, isDelta := strings.CutSuffix(e.Type, ".delta")
		if isDelta {
			parts[part+kind] += e.Delta
		}
		if kind, ok := strings.CutSuffix(e.Type, ".done"); ok {
			for _, whole := range []*string{e.Text, e.Refusal, e.Args, e.Input} {
				if whole != nil && *whole != parts[part+kind] {
					return fmt.Errorf("%s says %.100q, the deltas %.100q", e.Type, *whole, parts[part+kind])
				}
			}
		}
	}
	if terminal == "" {
		return errors.New("there is no terminal event")
	}
	return nil
}

func responsesEarly(event string, data []byte) (failed, decided bool) {
	var v struct {
		Type  string
		Error json.RawMessage
	}
	if json.Unmarshal(data, &v) != nil {
		return event == "error", event == "error"
	}
	switch {
	case v.Type == "error" || v.Type == "response.failed" || event == "error" || v.Type == "" && len(v.Error) > 0 && string(v.Error) != "null":
		return true, true
	case v.Type == "response.created" || v.Type == "response.in_progress" || v.Type == "response.queued" || v.Type == "":
		return false, false
	}
	return false, true
}

func responsesNext(answer []byte) (any, error) {
	var a struct{ Output []json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	question := object{"type": "message", "role": "user", "content": "Go on."}
	input := []any{question}
	var results []any
	for _, item := range a.Output {
		var v struct {
			Type string
			Call string `json:"call_id"`
		}
		if err := json.Unmarshal(item, &v); err != nil {
			return nil, err
		}
		input = append(input, item)
		switch v.Type {
		case "function_call", "custom_tool_call":
			results = append(results, object{"type": v.Type + "_output", "call_id": v.Call, "output": "done"})
		}
	}
	return object{"model": "m", "input": append(append(input, results...), question)}, nil
}

func responsesSeen(a Answer) Answer {
	switch a.Finish {
	case llm.FinishStopSequence:
		a.Finish = llm.FinishStop
	case llm.FinishContext, llm.FinishPaused:
		a.Finish = llm.FinishLength
	}
	if a.Refusal != "" && a.Finish == llm.FinishStop {
		a.Finish = llm.FinishRefusal // content tells, the word does not
	}
	return a
}
