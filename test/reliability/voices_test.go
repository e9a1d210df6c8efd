package reliability_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// A voice is one dialect: as a client asks in it, and as a provider of it
// answers, whole, streamed and with errors. The text of an answer is words; each
// word says which attempt it belongs to, so that text which came twice shows.
type voice struct {
	dialect llm.Dialect
	kind    string // content type of a stream
	// ask is a request for a model, streamed or not; NUMBER in it says which.
	ask func(model string, stream bool) string
	// opening are the frames before content, word one with content, and ending
	// what ends a stream well.
	opening func() string
	word    func(text string) string
	ending  func(text string) string
	whole   func(text string) string
	// wrap makes a frame of what is no JSON.
	wrap func(data string) string
	// refusals say each class as an answer of its own, inside says them as a frame
	// of a stream and whole under status 200, where the dialect can.
	refusals map[llm.Class]refusal
	inside   map[llm.Class]said
	// good and bad mark what ends a stream in the dialect.
	good, bad []string
}

// A refusal is an error answer. KEY in its body is the credential that the
// request was sent with: careless providers say it back.
type refusal struct {
	status int
	body   string
}

// said is an error inside a 200: a frame, and the class that it must have.
type said struct {
	frame string
	whole string
}

func sse(data string) string { return "data: " + data + "\n\n" }

func named(data string) string {
	var v struct{ Type string }
	if json.Unmarshal([]byte(data), &v) != nil || v.Type == "" {
		v.Type = "message"
	}
	return "event: " + v.Type + "\ndata: " + data + "\n\n"
}

func plain(member, more string) func(model string, stream bool) string {
	return func(model string, stream bool) string {
		said := `[{"role":"user","content":"Count NUMBER."}]`
		return fmt.Sprintf(`{"model":%q,%s"stream":%t,%q:%s}`, model, more, stream, member, said)
	}
}

func chunk(delta, finish string) string {
	return sse(`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + `}]}`)
}

func openaiError(kind, code string) string {
	return `{"error":{"message":"It failed for the key KEY","type":"` + kind + `","param":null,"code":"` + code + `"}}`
}

// openaiRefusals are OpenAI's, in Chat Completions and in Responses.
var openaiRefusals = map[llm.Class]refusal{
	llm.RateLimited:     {429, openaiError("requests", "rate_limit_exceeded")},
	llm.QuotaExhausted:  {429, openaiError("insufficient_quota", "insufficient_quota")},
	llm.Overloaded:      {503, `{"error":{"message":"That model is overloaded (KEY)","type":"server_error","param":null,"code":null}}`},
	llm.ServerError:     {500, `{"error":{"message":"The server had an error (KEY)","type":"server_error","param":null,"code":null}}`},
	llm.Timeout:         {504, `{"error":{"message":"It took too long (KEY)","type":"timeout","param":null,"code":"timeout"}}`},
	llm.ContentRefused:  {400, openaiError("invalid_request_error", "invalid_prompt")},
	llm.ContextOverflow: {400, openaiError("invalid_request_error", "context_length_exceeded")},
	llm.InvalidRequest:  {400, openaiError("invalid_request_error", "unsupported_parameter")},
	llm.Auth:            {401, openaiError("invalid_request_error", "invalid_api_key")},
	llm.ModelNotFound:   {404, openaiError("invalid_request_error", "model_not_found")},
	llm.TooLarge:        {413, `<html><body>413 Request Entity Too Large (KEY)</body></html>`},
}

func claudeError(kind, message string) string {
	return `{"type":"error","error":{"type":"` + kind + `","message":"` + message + ` (KEY)"}}`
}

func googleError(code int, word, message string) string {
	return fmt.Sprintf(`{"error":{"code":%d,"message":"%s (KEY)","status":"%s"}}`, code, message, word)
}

// insides makes the frames of errors inside a 200 out of their JSON.
func insides(wrap func(string) string, errors map[llm.Class]string) map[llm.Class]said {
	m := map[llm.Class]said{}
	for c, e := range errors {
		m[c] = said{wrap(e), e}
	}
	return m
}

func responseEvent(kind, rest string) string {
	return named(`{"type":"` + kind + `","sequence_number":0,` + rest + `}`)
}

func responseItem(status, text string) string {
	content := ""
	if status == "completed" {
		content = `{"type":"output_text","text":` + quoted(text) + `,"annotations":[]}`
	}
	return `{"id":"msg_1","type":"message","status":"` + status + `","role":"assistant","content":[` + content + `]}`
}

func response(status, output, more string) string {
	return `{"id":"resp_1","object":"response","created_at":1,"status":"` + status + `","model":"m","output":[` + output + `]` + more + `}`
}

// responseFails are frames and answers that say that a response failed.
func responseFails(codes map[llm.Class]string) map[llm.Class]said {
	m := map[llm.Class]said{}
	for c, code := range codes {
		whole := response("failed", "", `,"error":{"code":"`+code+`","message":"It failed for the key KEY"}`)
		m[c] = said{named(`{"type":"response.failed","sequence_number":9,"response":` + whole + `}`), whole}
	}
	return m
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return string(b)
}

var voices = []*voice{
	{
		dialect: llm.OpenAI, kind: "text/event-stream", ask: plain("messages", ""), wrap: sse,
		opening: func() string { return chunk(`{"role":"assistant","content":""}`, "null") },
		word:    func(s string) string { return chunk(`{"content":`+quoted(s)+`}`, "null") },
		ending: func(string) string {
			return chunk("{}", `"stop"`) + sse(`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`) + sse("[DONE]")
		},
		whole: func(s string) string {
			return `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":` + quoted(s) + `,"refusal":null},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
		},
		refusals: openaiRefusals,
		inside: insides(sse, map[llm.Class]string{
			llm.RateLimited:     openaiError("tokens", "rate_limit_exceeded"),
			llm.QuotaExhausted:  openaiError("insufficient_quota", "insufficient_quota"),
			llm.Overloaded:      `{"error":{"message":"The engine is currently overloaded (KEY)","type":"server_error","param":null,"code":null}}`,
			llm.ServerError:     openaiError("server_error", "server_error"),
			llm.ContextOverflow: openaiError("invalid_request_error", "context_length_exceeded"),
			llm.ContentRefused:  openaiError("invalid_request_error", "content_policy_violation"),
		}),
		// [DONE] only repeats it: a provider may leave it out, and may be cut before it.
		good: []string{`"finish_reason":"stop"`}, bad: []string{`data: {"error":`},
	},
	{
		dialect: llm.Responses, kind: "text/event-stream", ask: plain("input", ""), wrap: named,
		opening: func() string {
			return responseEvent("response.created", `"response":`+response("in_progress", "", "")) +
				responseEvent("response.in_progress", `"response":`+response("in_progress", "", ""))
		},
		word: func(s string) string {
			start := ""
			if strings.HasSuffix(s, ".0 ") { // the first word opens its item
				start = responseEvent("response.output_item.added", `"output_index":0,"item":`+responseItem("in_progress", "")) +
					responseEvent("response.content_part.added", `"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}`)
			}
			return start + responseEvent("response.output_text.delta", `"item_id":"msg_1","output_index":0,"content_index":0,"delta":`+quoted(s))
		},
		ending: func(s string) string {
			return responseEvent("response.output_text.done", `"item_id":"msg_1","output_index":0,"content_index":0,"text":`+quoted(s)) +
				responseEvent("response.content_part.done", `"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":`+quoted(s)+`,"annotations":[]}`) +
				responseEvent("response.output_item.done", `"output_index":0,"item":`+responseItem("completed", s)) +
				responseEvent("response.completed", `"response":`+response("completed", responseItem("completed", s), `,"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}`))
		},
		whole: func(s string) string {
			return response("completed", responseItem("completed", s), `,"error":null,"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}`)
		},
		refusals: openaiRefusals,
		inside: responseFails(map[llm.Class]string{
			llm.RateLimited: "rate_limit_exceeded", llm.QuotaExhausted: "insufficient_quota", llm.Overloaded: "server_is_overloaded",
			llm.ServerError: "server_error", llm.ContextOverflow: "context_length_exceeded", llm.ContentRefused: "invalid_prompt",
		}),
		good: []string{`"type":"response.completed"`, `"type":"response.incomplete"`}, bad: []string{`"type":"response.failed"`, `"type":"error"`},
	},
	{
		dialect: llm.Anthropic, kind: "text/event-stream", ask: plain("messages", `"max_tokens":64,`), wrap: named,
		opening: func() string {
			return named(`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":1}}}`) +
				named(`{"type":"ping"}`)
		},
		word: func(s string) string {
			start := ""
			if strings.HasSuffix(s, ".0 ") { // the first word opens its block
				start = named(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
			}
			return start + named(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":`+quoted(s)+`}}`)
		},
		ending: func(string) string {
			return named(`{"type":"content_block_stop","index":0}`) + named(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`) + named(`{"type":"message_stop"}`)
		},
		whole: func(s string) string {
			return `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":` + quoted(s) + `}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`
		},
		refusals: map[llm.Class]refusal{
			llm.RateLimited:     {429, claudeError("rate_limit_error", "over the limit of a minute")},
			llm.QuotaExhausted:  {429, `{"type":"error","error":{"type":"rate_limit_error","message":"the cap (KEY)","details":{"error_code":"enforced_spend_limit_reached"}}}`},
			llm.Overloaded:      {529, claudeError("overloaded_error", "Overloaded")},
			llm.ServerError:     {500, claudeError("api_error", "Internal server error")},
			llm.Timeout:         {504, claudeError("timeout_error", "late")},
			llm.ContextOverflow: {400, claudeError("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")},
			llm.InvalidRequest:  {400, claudeError("invalid_request_error", "messages.0: no")},
			llm.Auth:            {401, claudeError("authentication_error", "invalid x-api-key")},
			llm.ModelNotFound:   {404, claudeError("not_found_error", "model: x")},
			llm.TooLarge:        {413, claudeError("request_too_large", "over 32 MB")},
		},
		inside: insides(named, map[llm.Class]string{
			llm.RateLimited: claudeError("rate_limit_error", "over the limit"),
			llm.Overloaded:  claudeError("overloaded_error", "Overloaded"),
			llm.ServerError: claudeError("api_error", "Internal server error"),
			llm.Timeout:     claudeError("timeout_error", "late"),
		}),
		good: []string{`"type":"message_stop"`}, bad: []string{"event: error"},
	},
	{
		dialect: llm.Gemini, kind: "text/event-stream", wrap: sse,
		ask:     func(string, bool) string { return `{"contents":[{"role":"user","parts":[{"text":"Count NUMBER."}]}]}` },
		opening: func() string { return "" },
		word: func(s string) string {
			return sse(`{"candidates":[{"content":{"role":"model","parts":[{"text":` + quoted(s) + `}]},"index":0}],"modelVersion":"m"}`)
		},
		ending: func(string) string {
			return sse(`{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7},"modelVersion":"m"}`)
		},
		whole: func(s string) string {
			return `{"candidates":[{"content":{"role":"model","parts":[{"text":` + quoted(s) + `}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":2,"totalTokenCount":7},"modelVersion":"m"}`
		},
		refusals: map[llm.Class]refusal{
			llm.RateLimited:     {429, `{"error":{"code":429,"message":"You exceeded your current quota (KEY)","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"RequestsPerMinutePerProject"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}`},
			llm.QuotaExhausted:  {429, `{"error":{"code":429,"message":"You exceeded your current quota (KEY)","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}`},
			llm.Overloaded:      {503, googleError(503, "UNAVAILABLE", "The model is overloaded")},
			llm.ServerError:     {500, googleError(500, "INTERNAL", "An internal error has occurred")},
			llm.Timeout:         {504, googleError(504, "DEADLINE_EXCEEDED", "Deadline expired")},
			llm.ContextOverflow: {400, googleError(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens allowed (8).")},
			llm.InvalidRequest:  {400, googleError(400, "INVALID_ARGUMENT", "Cannot find field.")},
			llm.Auth:            {400, googleError(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")},
			llm.ModelNotFound:   {404, googleError(404, "NOT_FOUND", "models/x is not found for API version v1beta")},
			llm.TooLarge:        {413, `<html><body>413 Request Entity Too Large (KEY)</body></html>`},
		},
		inside: insides(sse, map[llm.Class]string{
			llm.RateLimited:    googleError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted"),
			llm.Overloaded:     googleError(503, "UNAVAILABLE", "The model is overloaded"),
			llm.ServerError:    googleError(500, "INTERNAL", "An internal error has occurred"),
			llm.Timeout:        googleError(504, "DEADLINE_EXCEEDED", "Deadline expired"),
			llm.InvalidRequest: googleError(400, "INVALID_ARGUMENT", "Cannot find field."),
		}),
		good: []string{`"finishReason":"STOP"`}, bad: []string{`{"error":{`},
	},
	{
		dialect: llm.Ollama, kind: "application/x-ndjson", ask: plain("messages", ""), wrap: func(s string) string { return s + "\n" },
		opening: func() string { return "" },
		word: func(s string) string {
			return `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":` + quoted(s) + `},"done":false}` + "\n"
		},
		ending: func(string) string {
			return `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}` + "\n"
		},
		whole: func(s string) string {
			return `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":` + quoted(s) + `},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2}`
		},
		refusals: map[llm.Class]refusal{
			llm.RateLimited:     {429, `{"error":"rate limit reached (KEY)"}`},
			llm.QuotaExhausted:  {429, `{"error":"you have reached your weekly usage limit (KEY)"}`},
			llm.Overloaded:      {503, `{"error":"server busy, please try again. maximum pending requests exceeded (KEY)"}`},
			llm.ServerError:     {500, `{"error":"model requires more system memory than is available (KEY)"}`},
			llm.Timeout:         {504, `{"error":"late (KEY)"}`},
			llm.ContextOverflow: {400, `{"error":"the input length exceeds the context length (KEY)"}`},
			llm.InvalidRequest:  {400, `{"error":"invalid options (KEY)"}`},
			llm.Auth:            {401, `{"error":"unauthorized (KEY)"}`},
			llm.ModelNotFound:   {404, `{"error":"model 'x' not found (KEY)"}`},
			llm.TooLarge:        {413, `<html><body>413 Request Entity Too Large (KEY)</body></html>`},
		},
		inside: insides(func(s string) string { return s + "\n" }, map[llm.Class]string{
			llm.ServerError: `{"error":"an error was encountered while running the model (KEY)"}`,
			llm.Overloaded:  `{"error":"server busy, please try again. maximum pending requests exceeded (KEY)"}`,
			llm.Timeout:     `{"error":"timed out waiting for the runner (KEY)"}`,
		}),
		good: []string{`"done":true`}, bad: []string{`{"error":`},
	},
}

// path is where a client asks for a model.
func (v *voice) path(model string, stream bool) string {
	return wiretest.Base(v.dialect) + wiretest.Path(v.dialect, "", model, stream)
}

// ends counts what ends a stream: one is right, of an answer that was not cut.
func (v *voice) ends(stream string) (good, bad int) {
	for _, s := range v.good {
		good += strings.Count(stream, s)
	}
	if v.dialect == llm.Gemini { // its error stands bare, without "data:"
		return good, strings.Count(stream, v.bad[0])
	}
	for _, l := range strings.Split(stream, "\n") {
		for _, s := range v.bad {
			if strings.Contains(l, s) && (v.dialect != llm.Responses || strings.HasPrefix(l, "data:")) {
				bad++
				break
			}
		}
	}
	return good, bad
}

// said is the upstream's dialect by the path that it is asked at, behind the
// part that names the fault.
func spoken(path string) *voice {
	for _, v := range voices {
		p, _, _ := strings.Cut(v.path("MODEL", true), "?")
		if v.dialect == llm.Gemini {
			if strings.Contains(path, "/v1beta/models/") {
				return v
			}
		} else if strings.HasSuffix(path, p) {
			return v
		}
	}
	return nil
}
