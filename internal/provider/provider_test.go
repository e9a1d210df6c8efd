package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
)

// upstream answers one request and keeps it.
type upstream struct {
	kind, answer string
	request      *http.Request
	body         []byte
}

func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	u.request = r
	u.body, _ = io.ReadAll(r.Body)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {u.kind}}, Body: io.NopCloser(strings.NewReader(u.answer)), ContentLength: int64(len(u.answer))}, nil
}

func at(t *testing.T, d llm.Dialect, u *upstream, slow bool) *Provider {
	t.Helper()
	p, err := New(Options{Row: &catalog.Provider{ID: "x", Dialect: d, Auth: catalog.NoAuth, BaseURL: "https://x.test", Usage: "ask"}, Transport: u, Slow: func() bool { return slow }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func draft(t *testing.T, d llm.Dialect, body string) *llm.Draft {
	t.Helper()
	decode, head := anthropic.Codec{}.DecodeRequest, anthropic.Codec{}.Head
	switch d {
	case llm.OpenAI:
		decode, head = openai.Codec{}.DecodeRequest, openai.Codec{}.Head
	case llm.Responses:
		decode, head = responses.Codec{}.DecodeRequest, responses.Codec{}.Head
	case llm.Gemini:
		decode, head = gemini.Codec{}.DecodeRequest, gemini.Codec{}.Head
	}
	h, err := head(llm.OpChat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out := llm.NewDraft(d, llm.OpChat, []byte(body), h, decode)
	return &out
}

func plain(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

const message = `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`

// TestSlowPathOfOneDialect: what is sent through the words to a provider of the
// client's dialect is what the fast path would have sent, edits, headers and
// query alike; only the answer is not passed byte for byte.
func TestSlowPathOfOneDialect(t *testing.T) {
	t.Parallel()
	known := &llm.Capability{Known: true, Has: llm.AllFeatures &^ (llm.SamplingParams | llm.MidSystem), MaxOutput: 500, ThinkTypes: []string{"adaptive", "disabled"}, Efforts: []string{"low", "high"}}
	for name, c := range map[string]struct {
		dialect llm.Dialect
		body    string
		answer  string
		edits   []llm.Edit
	}{
		"messages": {llm.Anthropic, `{"model":"x/m","max_tokens":900,"later":1,"thinking":{"type":"enabled","budget_tokens":2000},"temperature":0.5,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},{"role":"system","content":"s"}]}`, message, []llm.Edit{{Kind: llm.EditReshape}}},
		"messages, named": {llm.Anthropic, `{"model":"x/m","max_tokens":900,"temperature":0.5,"messages":[{"role":"user","content":"hi"}]}`, message,
			[]llm.Edit{{Kind: llm.EditMaxTokens, Number: 700}}},
		"chat": {llm.OpenAI, `{"model":"x/m","max_tokens":900,"temperature":0.5,"later":1,"stream":true,"messages":[{"role":"developer","content":"s"},{"role":"user","content":"hi"},{"role":"assistant","content":"a","reasoning":"hm"},{"role":"user","content":"b"}]}`,
			`{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`, []llm.Edit{{Kind: llm.EditReshape}}},
		"chat, named": {llm.OpenAI, `{"model":"x/m","max_tokens":900,"temperature":0.5,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"a","reasoning":"hm"},{"role":"user","content":"b"}]}`,
			`{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var sent [2]*upstream
			var answers [2]*llm.Answer
			for i, slow := range []bool{false, true} {
				d := draft(t, c.dialect, c.body)
				for _, e := range c.edits {
					*d = d.With(e)
				}
				d.Header = http.Header{"Anthropic-Beta": {"some-beta"}, "User-Agent": {"client/1"}}
				d.Query = "beta=true"
				if c.dialect == llm.Anthropic {
					d.Header["Anthropic-Version"] = []string{"2026-10-21"}
				}
				sent[i] = &upstream{kind: "application/json", answer: c.answer}
				ans, err := at(t, c.dialect, sent[i], slow).Send(context.Background(), "m", known, d)
				if err != nil {
					t.Fatal(err)
				}
				answers[i] = ans
			}
			if d := cmp.Diff(plain(t, sent[0].body), plain(t, sent[1].body)); d != "" {
				t.Errorf("bodies (-fast +slow):\n%s", d)
			}
			if d := cmp.Diff(sent[0].request.Header, sent[1].request.Header); d != "" {
				t.Errorf("headers (-fast +slow):\n%s", d)
			}
			if sent[1].request.URL.RawQuery != "beta=true" || sent[1].request.Header.Get("Anthropic-Beta") != "some-beta" {
				t.Errorf("%s %v", sent[1].request.URL, sent[1].request.Header)
			}
			if d := cmp.Diff(answers[0].Losses, answers[1].Losses); d != "" {
				t.Errorf("losses (-fast +slow):\n%s", d)
			}
			if answers[0].Native == d(c.body) || answers[1].Native || answers[1].Response == nil {
				t.Errorf("native: fast %v, slow %v", answers[0].Native, answers[1].Native)
			}
		})
	}
}

// d says that a request asks for a stream, whose whole answer is not native.
func d(body string) bool { return strings.Contains(body, `"stream":true`) }

// TestOtherDialectGetsNoHeaders: a client's headers mean nothing to a provider
// of another dialect.
func TestOtherDialectGetsNoHeaders(t *testing.T) {
	t.Parallel()
	u := &upstream{kind: "application/json", answer: message}
	d := draft(t, llm.OpenAI, `{"model":"x/m","messages":[{"role":"user","content":"hi"}]}`)
	d.Header, d.Query = http.Header{"Openai-Organization": {"o"}}, "a=b"
	if _, err := at(t, llm.Anthropic, u, false).Send(context.Background(), "m", &llm.Capability{}, d); err != nil {
		t.Fatal(err)
	}
	if u.request.Header["Openai-Organization"] != nil || u.request.URL.RawQuery != "" || u.request.Header.Get("Anthropic-Version") == "" {
		t.Errorf("%s %v", u.request.URL, u.request.Header)
	}
}

// TestCustomTools: a custom tool is a function to a Messages provider, and its
// call is a custom call to the client again, with the text that the model
// meant, whole and streamed.
func TestCustomTools(t *testing.T) {
	t.Parallel()
	const request = `{"model":"x/m","stream":STREAM,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"custom","custom":{"name":"a.patch"}},{"type":"function","function":{"name":"f"}}]}`
	const wire = "a_patch_"
	type call struct {
		Name, Text string
		Custom     bool
	}
	for name, c := range map[string]struct{ input, want string }{
		"the text":     {`{"input":"*** Begin\n\"x\""}`, "*** Begin\n\"x\""},
		"no text":      {`{"input":""}`, ""},
		"another form": {`{"text":"x"}`, `{"text":"x"}`},
	} {
		want := []call{{"a.patch", c.want, true}, {"f", `{"input":"y"}`, false}}
		// The name on the wire has a hash: it is read from the request.
		for _, streamed := range []bool{false, true} {
			u := &upstream{}
			d := draft(t, llm.OpenAI, strings.ReplaceAll(request, "STREAM", map[bool]string{true: "true", false: "false"}[streamed]))
			p := at(t, llm.Anthropic, u, false)
			enc, err := p.encode("m", &llm.Capability{}, d)
			if err != nil {
				t.Fatal(err)
			}
			var sent struct{ Tools []struct{ Name string } }
			if err := json.Unmarshal(bytes.Join(enc.Body, nil), &sent); err != nil || !strings.HasPrefix(sent.Tools[0].Name, wire) {
				t.Fatal(err, sent)
			}
			u.kind = "application/json"
			u.answer = `{"id":"i","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"1","name":"` + sent.Tools[0].Name + `","input":` + c.input + `},{"type":"tool_use","id":"2","name":"f","input":{"input":"y"}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`
			if streamed {
				u.kind = "text/event-stream"
				u.answer = frames(sent.Tools[0].Name, c.input)
			}
			ans, err := p.Send(context.Background(), "m", &llm.Capability{}, d)
			if err != nil {
				t.Fatal(err)
			}
			var got []call
			if !streamed {
				for _, it := range ans.Response.Items {
					got = append(got, call{it.Call.Name, string(it.Call.Arguments), it.Call.Custom})
				}
			} else {
				for {
					piece, err := ans.Stream.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range piece.Events {
						switch e.Kind {
						case llm.EventBlockStart:
							got = append(got, call{Name: e.Block.Name, Custom: e.Block.Custom})
						case llm.EventDelta:
							got[e.Index].Text += e.Delta.Text
						}
					}
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, streamed %v (-want +got):\n%s", name, streamed, d)
			}
		}
	}
}

// frames is a stream of two calls, the input of the first in pieces of two
// bytes.
func frames(name, input string) string {
	var b strings.Builder
	put := func(s string) { b.WriteString("data: " + s + "\n\n") }
	piece := func(i, s string) {
		quoted, _ := json.Marshal(s)
		put(`{"type":"content_block_delta","index":` + i + `,"delta":{"type":"input_json_delta","partial_json":` + string(quoted) + `}}`)
	}
	put(`{"type":"message_start","message":{"id":"i","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}}`)
	put(`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"1","name":"` + name + `","input":{}}}`)
	for len(input) > 0 {
		n := min(2, len(input))
		piece("0", input[:n])
		input = input[n:]
	}
	put(`{"type":"content_block_stop","index":0}`)
	put(`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"2","name":"f","input":{}}}`)
	piece("1", `{"input":"y"}`)
	put(`{"type":"content_block_stop","index":1}`)
	put(`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}`)
	put(`{"type":"message_stop"}`)
	return b.String()
}

// TestContentType: a provider is told that the body is JSON, whatever the client
// called it (curl -d calls it a form), and otherwise what the client said.
func TestContentType(t *testing.T) {
	for said, want := range map[string]string{
		"": "application/json", "application/x-www-form-urlencoded": "application/json",
		"application/json": "application/json", "Application/JSON; charset=utf-8": "Application/JSON; charset=utf-8",
	} {
		u := &upstream{kind: "application/json", answer: message}
		d := draft(t, llm.Anthropic, `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`)
		d.Header = http.Header{}
		if said != "" {
			d.Header.Set("Content-Type", said)
		}
		if _, err := at(t, llm.Anthropic, u, false).Send(t.Context(), "m", &llm.Capability{}, d); err != nil {
			t.Fatal(err)
		}
		if got := u.request.Header.Get("Content-Type"); got != want {
			t.Errorf("%q was sent as %q, want %q", said, got, want)
		}
	}
}
