package wiretest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// crowd is a conversation with n tools, all of which were called at once and
// have answered.
func crowd(n int) *llm.Request {
	r := &llm.Request{Model: "m", Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "all of them"}}}}}
	limit := int64(4096)
	r.MaxTokens = &limit // Anthropic wants one
	for i := range n {
		r.Tools = append(r.Tools, llm.Tool{Name: fmt.Sprintf("tool_%d", i), Description: fmt.Sprintf("Number %d.", i), Schema: []byte(`{"type":"object","properties":{"n":{"type":"integer"}}}`)})
		r.Items = append(r.Items, llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: 1, Call: llm.Call{ID: fmt.Sprintf("call_%d", i), Name: r.Tools[i].Name, Arguments: fmt.Appendf(nil, `{"n":%d}`, i)}})
	}
	for i := range n {
		r.Items = append(r.Items, llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Turn: 2, Result: llm.Result{CallID: fmt.Sprintf("call_%d", i), Name: r.Tools[i].Name},
			Blocks: []llm.Block{{Kind: llm.BlockText, Text: fmt.Sprintf("result %d", i)}}})
	}
	return r
}

// written gives the body of a request in a dialect, as a client would send it.
func written(t *testing.T, d llm.Dialect, r *llm.Request) []byte {
	t.Helper()
	enc, err := codecs[d].EncodeRequest(r, "m", &llm.Capability{})
	if err != nil || llm.Refusal(enc.Losses) != nil {
		t.Fatalf("%s: %v %+v", d, err, enc.Losses)
	}
	return bytes.Join(enc.Body, nil)
}

// sent gives the body in which a client's request reaches a provider.
func sent(t *testing.T, from llm.Dialect, body []byte, to llm.Dialect, c *llm.Capability) llm.Encoded {
	t.Helper()
	var enc llm.Encoded
	head, err := codecs[from].Head(llm.OpChat, body)
	if err == nil {
		d := llm.NewDraft(from, llm.OpChat, body, head, codecs[from].DecodeRequest).With(llm.Edit{Kind: llm.EditReshape})
		if from == to {
			enc, err = codecs[to].Patch(&d, c)
		} else {
			var r *llm.Request
			if r, err = d.Request(); err == nil {
				enc, err = codecs[to].EncodeRequest(r, "m", c)
			}
		}
	}
	if err != nil {
		t.Fatalf("%s to %s: %v", from, to, err)
	}
	return enc
}

// TestManyTools: 128 tools pass from every client to every provider, with 128
// calls in one turn of the history, each beside its own result, and 128 calls
// in one answer, whole and streamed.
func TestManyTools(t *testing.T) {
	t.Parallel()
	const n = 128
	for _, from := range wiretest.Dialects() {
		body := written(t, from, crowd(n))
		for _, to := range wiretest.Dialects() {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				t.Parallel()
				enc := sent(t, from, body, to, &llm.Capability{Manners: llm.Manners{MaxTools: n}})
				if l := llm.Refusal(enc.Losses); l != nil {
					t.Fatalf("refused: %+v", l)
				}
				r, err := codecs[to].DecodeRequest(bytes.Join(enc.Body, nil))
				if err != nil {
					t.Fatal(err)
				}
				if len(r.Tools) != n {
					t.Fatalf("%d tools", len(r.Tools))
				}
				var calls, results []*llm.Item
				for i := range r.Items {
					switch it := &r.Items[i]; it.Kind {
					case llm.ItemToolCall:
						calls = append(calls, it)
					case llm.ItemToolResult:
						results = append(results, it)
					}
				}
				if len(calls) != n || len(results) != n {
					t.Fatalf("%d calls and %d results", len(calls), len(results))
				}
				for i := range n {
					name, args, result := fmt.Sprintf("tool_%d", i), fmt.Sprintf(`{"n":%d}`, i), fmt.Sprintf("result %d", i)
					if r.Tools[i].Name != name || calls[i].Call.Name != name || string(calls[i].Call.Arguments) != args ||
						results[i].Result.CallID != calls[i].Call.ID || results[i].Text() != result {
						t.Fatalf("number %d: %s, %+v, %+v %q", i, r.Tools[i].Name, calls[i].Call, results[i].Result, results[i].Text())
					}
				}
				for _, streamed := range []bool{false, true} {
					answer, err := wiretest.Read(from, streamed, back(t, to, from, streamed, calls))
					if err != nil || len(answer.Calls) != n || answer.Finish != llm.FinishToolCalls && (from == llm.OpenAI || from == llm.Anthropic) {
						t.Fatalf("streamed %t: %d calls, finish %s, %v", streamed, len(answer.Calls), answer.Finish, err)
					}
					ids := map[string]bool{}
					for i, c := range answer.Calls {
						if c.Name != fmt.Sprintf("tool_%d", i) || strings.ReplaceAll(c.Arguments, " ", "") != fmt.Sprintf(`{"n":%d}`, i) || c.ID != "" && ids[c.ID] {
							t.Fatalf("streamed %t: call %d is %+v", streamed, i, c)
						}
						ids[c.ID] = true
					}
				}
			})
		}
	}
}

// back gives an answer of a provider with the calls as its client gets it.
func back(t *testing.T, provider, client llm.Dialect, streamed bool, calls []*llm.Item) []byte {
	t.Helper()
	p, c := codecs[provider], codecs[client]
	if !streamed {
		r := &llm.Response{ID: "r", Model: "m", Created: 1, Finish: llm.Finish{Reason: llm.FinishToolCalls}}
		for _, it := range calls {
			r.Items = append(r.Items, llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: it.Call})
		}
		whole := p.AppendResponse(nil, r)
		if provider == client {
			return whole
		}
		r, err := p.DecodeResponse(whole)
		if err != nil {
			t.Fatal(err)
		}
		return c.AppendResponse(nil, r)
	}
	events := []llm.Event{{Kind: llm.EventStart, ID: "r", Model: "m"}}
	for i, it := range calls {
		events = append(events, llm.Event{Kind: llm.EventBlockStart, Index: i, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: it.Call.ID, Name: it.Call.Name}},
			llm.Event{Kind: llm.EventDelta, Index: i, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: string(it.Call.Arguments)}},
			llm.Event{Kind: llm.EventBlockStop, Index: i})
	}
	events = append(events, llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls}})
	write := func(c wiretest.Codec, events []llm.Event) (out []byte) {
		e := c.NewEncoder(llm.StreamOptions{ID: "r", Model: "m", Created: 1})
		for _, ev := range events {
			out = e.Encode(out, ev)
		}
		return out
	}
	stream := write(p, events)
	if provider == client {
		return stream
	}
	events, err := wiretest.Events(p, bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	return write(c, events)
}

// TestTooManyTools: a target that takes fewer tools than are offered is left
// out, and the reason says so.
func TestTooManyTools(t *testing.T) {
	t.Parallel()
	for _, from := range wiretest.Dialects() {
		body := written(t, from, crowd(129))
		for _, to := range wiretest.Dialects() {
			if from == to && to != llm.OpenAI && to != llm.Gemini {
				continue // it goes on as it came: no provider of these has a cap
			}
			enc := sent(t, from, body, to, &llm.Capability{Known: true, Has: llm.AllFeatures, Manners: llm.Manners{MaxTools: 128}})
			if l := llm.Refusal(enc.Losses); l == nil || l.Path != "tools" || l.Why != "the provider takes at most 128 tools, not 129" {
				t.Errorf("%s to %s: %+v", from, to, enc.Losses)
			}
		}
	}
}
