package rehearsal_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
	"headrace/internal/provider/rehearsal"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/sse"
)

// reader is the provider's side of a codec: what a gateway reads answers with.
type reader interface {
	rehearsal.Codec
	DecodeResponse(body []byte) (*llm.Response, error)
	NewDecoder() llm.StreamDecoder
	DecodeError(status int, h http.Header, body []byte) *llm.Error
	Glance(body []byte) (llm.Glance, error)
}

var codecs = map[llm.Dialect]reader{llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{}}

func real() *rehearsal.Provider {
	m := map[llm.Dialect]rehearsal.Codec{}
	for d, c := range codecs {
		m[d] = c
	}
	return rehearsal.New(rehearsal.Options{Codecs: m, Pause: -1})
}

func post(t *testing.T, path, body, directive string) (*http.Response, []byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rehearsal.invalid"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if directive != "" {
		r.Header.Set(rehearsal.Header, directive)
	}
	resp, err := real().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

var wirePaths = map[llm.Dialect]string{llm.OpenAI: "/v1/chat/completions", llm.Anthropic: "/v1/messages"}

// events decodes a stream with the dialect's own decoder.
func events(t *testing.T, c reader, body []byte) []llm.Event {
	t.Helper()
	dec, frames := c.NewDecoder(), sse.NewReader(bytes.NewReader(body), 0)
	var out []llm.Event
	for {
		f, err := frames.Next()
		if err == io.EOF {
			return dec.Close(out)
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, body)
		}
		if out, err = dec.Decode(out, f.Event, f.Data); err != nil {
			return append(out, llm.Event{Kind: llm.EventError, Err: llm.Errorf(llm.MalformedUpstream, "%v", err)})
		}
	}
}

// gathered puts a stream together.
func gathered(t *testing.T, list []llm.Event) (r llm.Response, failed *llm.Error) {
	t.Helper()
	for _, e := range list {
		switch e.Kind {
		case llm.EventStart:
			r.ID, r.Model, r.Created = e.ID, e.Model, e.Created
		case llm.EventBlockStart:
			r.Items = append(r.Items, llm.Item{Kind: e.Block.Kind, Opaque: e.Block.Opaque, Call: llm.Call{ID: e.Block.ID, Name: e.Block.Name, Custom: e.Block.Custom}})
		case llm.EventDelta:
			it := &r.Items[e.Index]
			switch e.Delta.Kind {
			case llm.DeltaArguments:
				it.Call.Arguments = append(it.Call.Arguments, e.Delta.Text...)
			case llm.DeltaOpaque:
				it.Opaque = []llm.Opaque{e.Delta.Opaque}
			default:
				kind := llm.BlockText
				if e.Delta.Kind == llm.DeltaRefusal {
					kind = llm.BlockRefusal
				}
				if it.Blocks == nil {
					it.Blocks = []llm.Block{{Kind: kind}}
				}
				it.Blocks[0].Text += e.Delta.Text
			}
		case llm.EventUsage:
			r.Usage = e.Usage
		case llm.EventFinish:
			r.Finish = e.Finish
		case llm.EventError:
			failed = e.Err
		}
	}
	return r, failed
}

// seen is what matters of an answer.
type seen struct {
	Thought, Text, Refusal string
	Signed                 bool
	Calls                  []string
	Finish                 llm.FinishReason
	Usage                  llm.Usage
}

func seenIn(r *llm.Response) seen {
	s := seen{Finish: r.Finish.Reason, Usage: r.Usage}
	s.Usage.Raw = nil
	for i := range r.Items {
		it := &r.Items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			s.Thought += it.Text()
			s.Signed = s.Signed || len(it.Opaque) > 0
		case llm.ItemToolCall:
			s.Calls = append(s.Calls, it.Call.Name+" "+string(it.Call.Arguments))
		case llm.ItemMessage:
			for _, b := range it.Blocks {
				if b.Kind == llm.BlockRefusal {
					s.Refusal += b.Text
				} else {
					s.Text += b.Text
				}
			}
		}
	}
	return s
}

const (
	chatTools     = `"tools":[{"type":"function","function":{"name":"get_weather","description":"Weather","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`
	messagesTools = `"tools":[{"name":"get_weather","description":"Weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]`
)

func TestRealWire(t *testing.T) {
	for name, c := range map[string]struct {
		chat, messages string
		want           func(d llm.Dialect, s seen) bool
	}{
		"text": {`{"model":"quick","messages":[{"role":"user","content":"Hello there"}]`, `{"model":"quick","max_tokens":100,"messages":[{"role":"user","content":"Hello there"}]`,
			func(d llm.Dialect, s seen) bool {
				return strings.Contains(s.Text, "“Hello there”") && s.Finish == llm.FinishStop && s.Usage.Input > 0 && s.Usage.Output > 0
			}},
		"tool": {`{"model":"quick","messages":[{"role":"user","content":"Call get_weather in Paris"}],` + chatTools, `{"model":"quick","max_tokens":100,"messages":[{"role":"user","content":"Call get_weather in Paris"}],` + messagesTools,
			func(d llm.Dialect, s seen) bool {
				return cmp.Equal(s.Calls, []string{`get_weather {"city":"Paris"}`}) && s.Finish == llm.FinishToolCalls
			}},
		"forced, parallel": {`{"model":"steady","messages":[{"role":"user","content":"Twice please"}],"tool_choice":"required",` + chatTools, `{"model":"steady","max_tokens":900,"messages":[{"role":"user","content":"Twice please"}],"tool_choice":{"type":"any"},` + messagesTools,
			func(d llm.Dialect, s seen) bool { return len(s.Calls) == 2 && s.Text != "" }},
		"serial": {`{"model":"quick","messages":[{"role":"user","content":"call get_weather twice"}],"parallel_tool_calls":false,` + chatTools, `{"model":"quick","max_tokens":900,"messages":[{"role":"user","content":"call get_weather twice"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true},` + messagesTools,
			func(d llm.Dialect, s seen) bool { return len(s.Calls) == 1 }},
		"results": {`{"model":"quick","messages":[{"role":"user","content":"Call get_weather"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"sunny"}],` + chatTools,
			`{"model":"quick","max_tokens":900,"messages":[{"role":"user","content":"Call get_weather"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"get_weather","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"sunny"}]}]},{"role":"system","content":"<total_tokens>1</total_tokens>"}],` + messagesTools,
			func(d llm.Dialect, s seen) bool {
				return len(s.Calls) == 0 && strings.Contains(s.Text, "get_weather answered: “sunny”")
			}},
		"thinker": {`{"model":"thinker","messages":[{"role":"user","content":"Hello"}]`, `{"model":"thinker","max_tokens":900,"messages":[{"role":"user","content":"Hello"}]`,
			func(d llm.Dialect, s seen) bool {
				return s.Thought != "" && s.Text != "" && s.Signed == (d == llm.Anthropic) && s.Usage.Reasoning > 0
			}},
		"thinking off": {`{"model":"thinker","reasoning_effort":"none","messages":[{"role":"user","content":"Hello"}]`, `{"model":"thinker","thinking":{"type":"disabled"},"max_tokens":900,"messages":[{"role":"user","content":"Hello"}]`,
			func(d llm.Dialect, s seen) bool { return s.Thought == "" && !s.Signed && s.Text != "" }},
		"quick thinks": {`{"model":"quick","reasoning_effort":"high","messages":[{"role":"user","content":"Hello"}]`, `{"model":"quick","thinking":{"type":"adaptive","display":"summarized"},"max_tokens":900,"messages":[{"role":"user","content":"Hello"}]`,
			func(d llm.Dialect, s seen) bool { return s.Thought != "" }},
		"schema": {`{"model":"quick","messages":[{"role":"user","content":"Hello"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"n":{"type":"integer","minimum":3}},"required":["n"]}}}`, `{"model":"quick","max_tokens":900,"messages":[{"role":"user","content":"Hello"}],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"n":{"type":"integer","minimum":3}},"required":["n"]}}}`,
			func(d llm.Dialect, s seen) bool { return s.Text == `{"n":3}` }},
		"image": {`{"model":"quick","messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]`, `{"model":"quick","max_tokens":900,"messages":[{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]`,
			func(d llm.Dialect, s seen) bool { return strings.Contains(s.Text, "1 image (image/png)") }},
		"limit": {`{"model":"quick","max_completion_tokens":2,"messages":[{"role":"user","content":"Hello"}]`, `{"model":"quick","max_tokens":2,"messages":[{"role":"user","content":"Hello"}]`,
			func(d llm.Dialect, s seen) bool { return s.Finish == llm.FinishLength && s.Usage.Output == 2 }},
		"stop": {`{"model":"quick","stop":["!"],"messages":[{"role":"user","content":"say exactly: a!b"}]`, `{"model":"quick","max_tokens":9,"stop_sequences":["!"],"messages":[{"role":"user","content":"say exactly: a!b"}]`,
			func(d llm.Dialect, s seen) bool {
				return s.Text == "a" && (s.Finish == llm.FinishStopSequence || d == llm.OpenAI && s.Finish == llm.FinishStop)
			}},
		"refused": {`{"model":"quick","messages":[{"role":"user","content":"Hello [[rehearse: content_refused]]"}]`, `{"model":"quick","max_tokens":9,"messages":[{"role":"user","content":"Hello [[rehearse: content_refused]]"}]`,
			func(d llm.Dialect, s seen) bool {
				return s.Finish == llm.FinishRefusal && s.Text == "" && (s.Refusal != "") == (d == llm.OpenAI)
			}},
		"cached": {`{"model":"quick","messages":[{"role":"user","content":"Hello"}]`, `{"model":"quick","max_tokens":90,"system":[{"type":"text","text":"Be kind.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Hello"}]`,
			func(d llm.Dialect, s seen) bool { return (s.Usage.CacheWrite5m > 0) == (d == llm.Anthropic) }},
	} {
		for d, body := range map[llm.Dialect]string{llm.OpenAI: c.chat, llm.Anthropic: c.messages} {
			t.Run(name+" "+string(d), func(t *testing.T) {
				resp, b, err := post(t, wirePaths[d], body+"}", "")
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%v %v %s", resp.Status, err, b)
				}
				r, err := codecs[d].DecodeResponse(b)
				if err != nil {
					t.Fatalf("%v: %s", err, b)
				}
				whole := seenIn(r)
				if !c.want(d, whole) {
					t.Errorf("%+v from\n%s", whole, b)
				}
				more := `,"stream":true}`
				if d == llm.OpenAI {
					more = `,"stream":true,"stream_options":{"include_usage":true}}`
				}
				resp, b, err = post(t, wirePaths[d], body+more, "")
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%v %v %s", resp.Status, err, b)
				}
				g, failed := gathered(t, events(t, codecs[d], b))
				if failed != nil {
					t.Fatalf("%v in\n%s", failed, b)
				}
				if diff := cmp.Diff(whole, seenIn(&g), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("whole and streamed differ:\n%s\n%s", diff, b)
				}
			})
		}
	}
}

// TestRealErrors: the gateway reads each failure as the class it rehearses.
func TestRealErrors(t *testing.T) {
	bodies := map[llm.Dialect]string{llm.OpenAI: `{"model":"quick","messages":[{"role":"user","content":"Hello"}]}`, llm.Anthropic: `{"model":"quick","max_tokens":9,"messages":[{"role":"user","content":"Hello"}]}`}
	streams := map[llm.Dialect]string{}
	for d, b := range bodies {
		streams[d] = strings.TrimSuffix(b, "}") + `,"stream":true}`
	}
	for _, class := range []llm.Class{llm.RateLimited, llm.QuotaExhausted, llm.Overloaded, llm.ServerError, llm.Timeout, llm.ContextOverflow, llm.InvalidRequest, llm.Auth, llm.ModelNotFound} {
		for d, c := range codecs {
			directive := string(class)
			if class == llm.Timeout {
				directive += "=1ms"
			}
			resp, b, err := post(t, wirePaths[d], bodies[d], directive)
			if err != nil {
				t.Fatal(err)
			}
			if e := c.DecodeError(resp.StatusCode, resp.Header, b); e.Class != class || (class == llm.RateLimited) != (e.RetryAfter > 0) {
				t.Errorf("%s on %s is read as %s, retry after %s: %d %s", class, d, e.Class, e.RetryAfter, resp.StatusCode, b)
			}
			for _, after := range []string{"", ", after=1"} {
				resp, b, err = post(t, wirePaths[d], streams[d], "error_in_stream="+string(class)+after)
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%v %s", err, b)
				}
				list := events(t, c, b)
				content := 0
				for _, e := range list {
					if e.Kind == llm.EventDelta {
						content++
					}
				}
				if _, failed := gathered(t, list); failed == nil || failed.Class != class || (content > 0) != (after != "") {
					t.Errorf("%s in a stream of %s is read as %v after %d pieces:\n%s", class, d, failed, content, b)
				}
			}
		}
	}
	for d, c := range codecs {
		for _, kind := range []string{"html", "json", "empty"} {
			_, b, _ := post(t, wirePaths[d], bodies[d], "malformed_upstream="+kind)
			if _, err := c.Glance(b); err == nil {
				t.Errorf("%s on %s reads as good: %s", kind, d, b)
			}
		}
		_, b, _ := post(t, wirePaths[d], streams[d], "malformed_upstream=frame")
		if _, failed := gathered(t, events(t, c, b)); failed == nil {
			t.Errorf("a broken frame on %s reads as good: %s", d, b)
		}
		_, b, err := post(t, wirePaths[d], streams[d], "cut=120")
		if err != io.ErrUnexpectedEOF || len(b) != 120 {
			t.Errorf("cut on %s: %v", d, err)
		}
		resp, b, err := post(t, wirePaths[d], bodies[d], "nonsense")
		if err != nil || resp.StatusCode != 400 || !bytes.Contains(b, []byte("x-headrace-rehearse")) {
			t.Errorf("a bad directive on %s: %d %s", d, resp.StatusCode, b)
		}
	}
}

func TestRealCount(t *testing.T) {
	const words = `"model":"quick","system":"Be kind.","messages":[{"role":"user","content":"Hello"}],` + messagesTools
	_, b, err := post(t, "/v1/messages/count_tokens", `{`+words+`}`, "")
	var count struct {
		Tokens int64 `json:"input_tokens"`
	}
	if err != nil || json.Unmarshal(b, &count) != nil {
		t.Fatalf("%v %s", err, b)
	}
	_, b, err = post(t, "/v1/messages", `{"max_tokens":100,`+words+`}`, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := anthropic.Codec{}.DecodeResponse(b)
	if err != nil || r.Usage.Prompt() != count.Tokens || count.Tokens < 20 {
		t.Errorf("%v: counted %d, used %+v", err, count.Tokens, r.Usage)
	}
}

// TestClaudeCode plays what Claude Code sends: billing text first, reminders,
// a system message behind the user's, thinking with its text omitted.
func TestClaudeCode(t *testing.T) {
	const body = `{"model":"thinker","max_tokens":128000,"stream":true,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"medium"},
	"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},"metadata":{"user_id":"{\"session_id\":\"x\"}"},
	"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2"},{"type":"text","text":"You are a coding agent. Use Read to read.","cache_control":{"type":"ephemeral","ttl":"1h"}}],
	"tools":[{"name":"Bash","description":"Runs a command","input_schema":{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"command":{"description":"The command to execute","type":"string"},"description":{"type":"string"}},"required":["command"],"additionalProperties":false}},
	{"name":"Read","description":"Reads a file","input_schema":{"type":"object","properties":{"file_path":{"description":"The absolute path","type":"string"}},"required":["file_path"]}}],
	"messages":[{"role":"user","content":[{"type":"text","text":"<system-reminder>\nUse Read.\n</system-reminder>"},{"type":"text","text":"Please run the Bash tool"}]},
	{"role":"system","content":[{"type":"text","text":"Effort: medium","cache_control":{"type":"ephemeral"}}],"output_config":{"effort":"medium"}}]}`
	resp, b, err := post(t, "/v1/messages", body, "")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%d %v %s", resp.StatusCode, err, b)
	}
	r, failed := gathered(t, events(t, anthropic.Codec{}, b))
	s := seenIn(&r)
	if failed != nil || s.Thought != "" || !s.Signed || !cmp.Equal(s.Calls, []string{`Bash {"command":"true"}`}) || s.Usage.Reasoning == 0 || s.Usage.CacheWrite5m == 0 {
		t.Errorf("%v %+v\n%s", failed, s, b)
	}
	if _, err := base64.StdEncoding.DecodeString(r.Items[0].Opaque[0].Data); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(b, []byte("event: message_start")) || !bytes.Contains(b, []byte("event: ping")) || !bytes.Contains(b, []byte("event: message_stop")) {
		t.Errorf("%s", b)
	}
}
