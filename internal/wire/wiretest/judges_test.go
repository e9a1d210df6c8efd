package wiretest_test

import (
	"bytes"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// TestJudges: each dialect's reader and rules take a plain stream, and each
// fault that the table names is seen by one of them.
func TestJudges(t *testing.T) {
	t.Parallel()
	const (
		created = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"object\":\"response\",\"status\":\"in_progress\",\"output\":[]}}\n\n"
		item    = `{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hi","annotations":[]}]}`
		added   = "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"sequence_number\":1,\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[]}}\n\n"
		delta   = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":2,\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n"
		text    = "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"sequence_number\":3,\"output_index\":0,\"content_index\":0,\"text\":\"hi\"}\n\n"
		done    = "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":4,\"output_index\":0,\"item\":" + item + "}\n\n"
		whole   = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":5,\"response\":{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\",\"output\":[" + item + "]}}\n\n"
	)
	responses := created + added + delta + text + done + whole
	gemini := "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hi\"}]}}]}\n\n" +
		"data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":1,\"totalTokenCount\":1}}\n\n"
	array := "[" + strings.ReplaceAll(strings.TrimSuffix(strings.ReplaceAll(gemini, "data: ", ""), "\n\n"), "\n\n", ",\r\n") + "]"
	ollama := `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"hi"},"done":false}` + "\n" +
		`{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}` + "\n"
	openai := `data: {"id":"c","created":1,"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}` + "\n\n" +
		`data: {"id":"c","created":1,"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	claude := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{}}}\n\n" +
		"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
		"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n" +
		"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n" +
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n" +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	for _, c := range []struct {
		dialect    llm.Dialect
		fault, old string
		new        string
		good       string
	}{
		{llm.OpenAI, "", "", "", openai},
		{llm.OpenAI, "no [DONE]", "data: [DONE]\n\n", "", openai},
		{llm.OpenAI, "another id", `"id":"c","created":1,"object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},`, `"id":"d","created":1,"choices":[{"index":0,"delta":{},`, openai},
		{llm.OpenAI, "no role", `"role":"assistant",`, "", openai},
		{llm.OpenAI, "an empty error", `"model":"m",`, `"error":null,`, openai},
		{llm.Anthropic, "", "", "", claude},
		{llm.Anthropic, "no end", "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", "", claude},
		{llm.Anthropic, "an empty text", `"text":"hi"`, `"text":""`, claude},
		{llm.Anthropic, "an open block", "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n", "", claude},
		{llm.Anthropic, "another name", "event: message_delta", "event: delta", claude},
		{llm.Responses, "", "", "", responses},
		{llm.Responses, "no terminal event", whole, "", responses},
		{llm.Responses, "a gap in the numbers", `"sequence_number":3`, `"sequence_number":4`, responses},
		{llm.Responses, "not done", done, "", responses},
		{llm.Responses, "another whole", `"output":[` + item, `"output":[{"type":"message","id":"m","content":[]}`, responses},
		{llm.Responses, "an error event", whole, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":5,\"message\":\"x\"}\n\n", responses},
		{llm.Responses, "deltas that do not add up", `"delta":"hi"`, `"delta":"h"`, responses},
		{llm.Gemini, "", "", "", gemini},
		{llm.Gemini, "", "", "", array},
		{llm.Gemini, "an open array", "}]", "}", array},
		{llm.Gemini, "no finish", `,"finishReason":"STOP"`, "", gemini},
		{llm.Gemini, "a comment", "data: {", ": ping\n\ndata: {", gemini},
		{llm.Gemini, "an event name", "data: {", "event: x\ndata: {", gemini},
		{llm.Gemini, "[DONE]", "", "data: [DONE]\n\n", gemini},
		{llm.Gemini, "an error in a data line", "", "data: {\"error\":{\"code\":500}}\n\n", gemini},
		{llm.Ollama, "", "", "", ollama},
		{llm.Ollama, "never done", `"done":true`, `"done":false`, ollama},
		{llm.Ollama, "an event stream", `{"model"`, `data: {"model"`, ollama},
		{llm.Ollama, "an error line", "", `{"error":"x"}` + "\n", ollama},
		{llm.Ollama, "done twice", `"done":false`, `"done":true`, ollama},
	} {
		stream := c.good
		switch {
		case c.fault == "":
		case c.old == "":
			stream += c.new
		default:
			if stream = strings.Replace(c.good, c.old, c.new, 1); stream == c.good {
				t.Fatalf("%s: the fault %q changes nothing", c.dialect, c.fault)
			}
		}
		a, readErr := wiretest.Read(c.dialect, true, []byte(stream))
		mustErr := wiretest.Must(c.dialect, []byte(stream))
		if c.fault == "" && (readErr != nil || mustErr != nil || a.Text != "hi" || a.Finish != llm.FinishStop) {
			t.Errorf("%s: a good stream: %+v, %v, %v", c.dialect, a, readErr, mustErr)
		}
		if c.fault != "" && readErr == nil && mustErr == nil {
			t.Errorf("%s: nobody sees the fault %q", c.dialect, c.fault)
		}
	}
}

// TestTruth: vendors' manners are put right, and nothing else is: a plain stream
// is read as ever, and errors and cuts stay what they are.
func TestTruth(t *testing.T) {
	t.Parallel()
	chunk := func(id, choice string) string {
		return `data: {"id":"` + id + `","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,` + choice + "}]}\n\n"
	}
	call := func(head string) string {
		return `"delta":{"tool_calls":[{` + head + `"type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":null`
	}
	const done = "data: [DONE]\n\n"
	end := chunk("a", `"delta":{},"finish_reason":"tool_calls"`)
	for name, c := range map[string]struct {
		stream string
		calls  int
		finish llm.FinishReason
		failed bool
	}{
		"index 0 twice":        {chunk("a", call(`"index":0,"id":"x",`)) + chunk("a", call(`"index":0,"id":"y",`)) + end + done, 2, llm.FinishToolCalls, false},
		"no index":             {chunk("a", call(`"id":"x",`)) + chunk("a", call(`"id":"y",`)) + end + done, 2, llm.FinishToolCalls, false},
		"neither index nor id": {chunk("a", call(``)) + chunk("a", call(``)) + end + done, 2, llm.FinishToolCalls, false},
		"one call in pieces":   {chunk("a", call(`"index":0,"id":"x",`)) + chunk("a", `"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}`) + end + done, 1, llm.FinishToolCalls, false},
		"another id":           {chunk("a", call(`"index":0,"id":"x",`)) + strings.Replace(end, `"a"`, `"b"`, 1) + done, 1, llm.FinishToolCalls, false},
		"no reason":            {chunk("a", call(`"index":0,"id":"x",`)) + done, 1, llm.FinishToolCalls, false},
		"no end":               {chunk("a", call(`"index":0,"id":"x",`)), 1, "", false},
		"an error's line":      {chunk("a", call(`"index":0,"id":"x",`)) + "error: {\"error\":{\"message\":\"x\"}}\n\n", 0, "", true},
		"an error's chunk":     {chunk("a", call(`"index":0,"id":"x",`)) + "data: {\"error\":{\"message\":\"x\"}}\n\n", 0, "", true},
	} {
		a, err := wiretest.Truth(llm.OpenAI, true, []byte(c.stream))
		if (err != nil) != c.failed || err == nil && (len(a.Calls) != c.calls || a.Finish != c.finish) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// ends are what the last piece of a stream has in it.
var ends = map[llm.Dialect]string{llm.OpenAI: "[DONE]", llm.Anthropic: "message_stop", llm.Responses: `"response.completed"`, llm.Gemini: `"finishReason"`, llm.Ollama: `"done":true`}

// TestReaders: every recorded success is read as a whole answer or as a stream
// that ends, but for those that hold an error, or were recorded without their
// end.
func TestReaders(t *testing.T) {
	t.Parallel()
	for _, d := range wiretest.Dialects() {
		read, failed := 0, 0
		for _, r := range wiretest.Corpus(t, wiretest.Filter{Dialect: d}) {
			body := r.Response.Body()
			if r.Operation != "chat" && r.Operation != "generate" || !r.OK() || len(body) == 0 {
				continue
			}
			a, err := wiretest.Truth(d, r.Streaming, body)
			switch read++; {
			case err != nil && (bytes.Contains(body, []byte(`"error"`)) || r.Streaming && !bytes.Contains(body, []byte(ends[d]))):
				failed++
			case err != nil && !r.Streaming && !bytes.Contains(body, []byte("candidates")) && d == llm.Gemini:
				failed++ // a count of tokens filed under chat
			case err != nil:
				t.Errorf("%s %s (%s, %s): %v", d, r.ID, r.Provider, r.Transport, err)
			case a.Finish == "" && r.Streaming && d != llm.OpenAI:
				t.Errorf("%s %s: no finish", d, r.ID)
			}
		}
		t.Logf("%s: %d read, %d not", d, read, failed)
		if failed*20 > read {
			t.Errorf("%s: %d of %d are not read", d, failed, read)
		}
	}
}
