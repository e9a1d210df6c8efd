package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

const (
	gptCall    = `{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}`
	gptAnswer  = `{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"g","output":[` + gptCall + `],"usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":7}}`
	gptStarted = `{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","error":null,"incomplete_details":null,"model":"g","output":[],"usage":null}`
	gptChat    = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"g","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]},"finish_reason":"tool_calls","logprobs":null}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	gptChunk   = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}]},"finish_reason":null}]}` + "\n\n" +
		`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"g","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}` + "\n\n" + "data: [DONE]\n\n"
)

// gptStream is a streamed answer of Responses.
func gptStream() string {
	var b strings.Builder
	for i, e := range []string{
		`{"type":"response.created","sequence_number":%d,"response":` + gptStarted + `}`,
		`{"type":"response.in_progress","sequence_number":%d,"response":` + gptStarted + `}`,
		`{"type":"response.output_item.added","sequence_number":%d,"output_index":0,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"call_1","name":"get_weather","arguments":""}}`,
		`{"type":"response.function_call_arguments.delta","sequence_number":%d,"item_id":"fc_1","output_index":0,"delta":"{\"city\":\"Oslo\"}"}`,
		`{"type":"response.function_call_arguments.done","sequence_number":%d,"item_id":"fc_1","output_index":0,"name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}`,
		`{"type":"response.output_item.done","sequence_number":%d,"output_index":0,"item":` + gptCall + `}`,
		`{"type":"response.completed","sequence_number":%d,"response":` + gptAnswer + `}`,
	} {
		kind := strings.Split(e, `"`)[3]
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, fmt.Sprintf(e, i))
	}
	return b.String()
}

// TestBug14ToolsGoToResponses: tools with thinking, and models that only
// Responses has, go there for clients of Chat Completions and of Messages too,
// and come back in the client's own form; the rest stays on Chat Completions.
// The models are those of OpenAI's tables (2026-07 and the releases until
// 2026-11).
func TestBug14ToolsGoToResponses(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		all := u.posted()
		if r.Method == http.MethodGet || len(all) == 0 {
			http.NotFound(w, r)
			return
		}
		streamed := strings.Contains(all[len(all)-1].body, `"stream":true`)
		switch {
		case r.URL.Path == "/v1/responses" && streamed:
			write(w, "text/event-stream", gptStream())
		case r.URL.Path == "/v1/responses":
			write(w, "application/json", gptAnswer)
		case r.URL.Path == "/v1/chat/completions" && streamed:
			write(w, "text/event-stream", gptChunk)
		case r.URL.Path == "/v1/chat/completions":
			write(w, "application/json", gptChat)
		default:
			t.Errorf("nobody answers %s", r.URL.Path)
		}
	}
	h := open(t, u, "")
	const chat, responses = "/v1/chat/completions", "/v1/responses"
	for _, c := range []struct {
		models string
		// unsaid is the way of tools at the model's own effort; high and none of
		// tools at that effort; plain of a request without tools.
		unsaid, high, none, plain string
	}{
		{"gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.2 gpt-5.1-chat-latest gpt-5.2-chat-latest gpt-5.3-chat-latest gpt-4o-mini gpt-4.1 o3 o4-mini", chat, chat, chat, chat},
		{"gpt-5-pro gpt-5-codex gpt-5.1-codex gpt-5.1-codex-mini gpt-5.1-codex-max gpt-5.2-pro gpt-5.2-codex gpt-5.3-codex gpt-5.4-pro gpt-5.5-pro", responses, responses, responses, responses},
		{"gpt-5.4 gpt-5.4-mini gpt-5.4-nano", chat, responses, chat, chat},
		{"gpt-5.5 gpt-5.6-sol gpt-5.6 gpt-5.6-terra gpt-5.6-luna gpt-6-sol gpt-6-luna gpt-6.1-terra", responses, responses, chat, chat},
		{"gpt-6-astra gpt-6.1-sol", responses, responses, responses, chat},
	} {
		for model := range strings.FieldsSeq(c.models) {
			for _, d := range []llm.Dialect{llm.OpenAI, llm.Anthropic} {
				f := faceOf(d)
				for _, stream := range []bool{false, true} {
					high, none := `,"reasoning_effort":"high"`, `,"reasoning_effort":"none"`
					if d == llm.Anthropic {
						high, none = `,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}`, `,"thinking":{"type":"disabled"}`
					}
					for _, way := range []struct{ name, extra, want string }{
						{"unsaid", f.tools, c.unsaid}, {"high", f.tools + high, c.high}, {"none", f.tools + none, c.none}, {"plain", "", c.plain},
					} {
						before := len(u.posted())
						a := f.ask(h, "openai/"+model, "Weather in Oslo?", stream, way.extra, "")
						sent := u.posted()[before:]
						if len(sent) != 1 || sent[0].path != way.want {
							t.Errorf("%s, %s from %s, streamed %t: sent %v, want one to %s (%d %s)", model, way.name, f, stream, sent, way.want, a.status, a.body)
							continue
						}
						if functions := strings.Contains(sent[0].body, `"get_weather"`); functions != (way.extra != "") {
							t.Errorf("%s, %s from %s: the tools are lost in %s", model, way.name, f, sent[0].body)
						}
						got, err := wiretest.Read(d, stream, []byte(a.body))
						if err != nil || a.status != 200 || got.Finish != llm.FinishToolCalls || len(got.Calls) != 1 || got.Calls[0].Name != "get_weather" || got.Calls[0].Arguments != `{"city":"Oslo"}` {
							t.Errorf("%s, %s from %s, streamed %t: %d, %+v, %v in\n%s", model, way.name, f, stream, a.status, got, err, a.body)
						}
					}
				}
			}
		}
	}
}

// faceOf gives the usual door of a dialect.
func faceOf(d llm.Dialect) *face {
	for i := range faces {
		if faces[i].dialect == d && faces[i].form == "" {
			return &faces[i]
		}
	}
	panic("no door of " + d)
}
