package openai

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// TestOwnMessages: what a client of this dialect said in its history goes back
// to an unknown model of this dialect as it was said.
func TestOwnMessages(t *testing.T) {
	t.Parallel()
	for name, history := range map[string]string{
		"one name for thinking":    `{"role":"assistant","content":"a","reasoning":"hm"}`,
		"empty thinking":           `{"role":"assistant","content":"a","reasoning_content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}`,
		"two names":                `{"role":"assistant","content":"a","reasoning":"hm","reasoning_content":"hm"}`,
		"a name and details":       `{"role":"assistant","content":"a","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","format":"anthropic-claude-v1","signature":"S","index":0}]}`,
		"cut details":              `{"role":"assistant","content":null,"reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"h","index":0},{"type":"reasoning.text","text":"m","index":0},{"type":"reasoning.text","signature":"S","index":0}]}`,
		"unknown details":          `{"role":"assistant","content":"a","reasoning_details":[{"id":"x","other":1}]}`,
		"thinking parts":           `{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}`,
		"calls without ids":        `{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":""}}]},{"role":"tool","content":"1"},{"role":"tool","content":"2"}`,
		"calls with empty ids":     `{"role":"assistant","content":null,"tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"","content":"1"}`,
		"a result without its id":  `{"role":"assistant","content":null,"tool_calls":[{"id":"call_-1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","name":"f","content":"1"}`,
		"the old form of one call": `{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(`{"model":"m","messages":[{"role":"user","content":"q"},` + history + `,{"role":"user","content":"go on"}]}`)
			r, err := Codec{}.DecodeRequest(body)
			if err != nil {
				t.Fatal(err)
			}
			enc, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(plain(t, body), plain(t, bytes.Join(enc.Body, nil))); d != "" || len(enc.Losses) > 0 {
				t.Errorf("losses %v (-said +sent):\n%s", enc.Losses, d)
			}
		})
	}
}

// TestOwnThinkingIsToldLost: thinking that a known model does not take back, or
// takes without its state, is told as carried.
func TestOwnThinkingIsToldLost(t *testing.T) {
	t.Parallel()
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"S","format":"anthropic-claude-v1"}]},{"role":"user","content":"q"}]}`)
	for field, want := range map[string]string{
		"":                  "carry messages.1",
		"reasoning_content": "carry messages.1", // the signature
		"reasoning_details": "",
	} {
		r, err := Codec{}.DecodeRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		_, b, enc := encoded(t, r, llm.Capability{Known: true, Has: llm.AllFeatures, ReasoningField: field})
		if got := losses(enc); got != want {
			t.Errorf("field %q: losses %q, want %q", field, got, want)
		}
		if has := bytes.Contains([]byte(b), []byte("hm")); has != (field != "") {
			t.Errorf("field %q: %s", field, b)
		}
	}
}

// TestMadeIDs: a call without an id has one in our words, which its result
// names; a target with ids of its own length is sent that.
func TestMadeIDs(t *testing.T) {
	t.Parallel()
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{}"}},{"type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"1"},{"role":"tool","content":"2"}]}`)
	r, err := Codec{}.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	var calls, results []string
	for _, it := range r.Items {
		switch it.Kind {
		case llm.ItemToolCall:
			calls = append(calls, it.Call.ID)
		case llm.ItemToolResult:
			results = append(results, it.Result.CallID)
		}
	}
	if len(calls) != 2 || calls[0] == calls[1] || cmp.Diff(calls, results) != "" {
		t.Errorf("calls %q, results %q", calls, results)
	}
	_, b, _ := encoded(t, r, llm.Capability{ToolIDLength: 9})
	again, err := Codec{}.DecodeRequest([]byte(b))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, it := range again.Items {
		if id := it.Call.ID + it.Result.CallID; it.Kind == llm.ItemToolCall || it.Kind == llm.ItemToolResult {
			seen[id]++
			if len(id) != 9 {
				t.Errorf("the id %q has not nine characters", id)
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("ids %v, want two, each of a call and its result", seen)
	}
}

// TestOwnAnswer: an answer of this dialect goes to a client of this dialect as
// it came.
func TestOwnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ choice, more string }{
		"thinking under three names": {`"message":{"role":"assistant","content":"a","refusal":null,"reasoning":"hm","reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]},"logprobs":null,"finish_reason":"stop"`, ``},
		"thinking as parts":          {`"message":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}],"refusal":null},"logprobs":null,"finish_reason":"stop"`, ``},
		"an object as content":       {`"message":{"role":"assistant","content":{"a":[1]},"refusal":null},"logprobs":null,"finish_reason":"stop"`, ``},
		"calls without id and type":  {`"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"","function":{"name":"f","arguments":{}}},{"index":1,"function":{"name":"g","arguments":"{\"a\": 1}"}}]},"logprobs":null,"finish_reason":"stop"`, ``},
		"a vendor's finish":          {`"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"eos"`, ``},
		"a refusal":                  {`"message":{"role":"assistant","content":null,"refusal":"no"},"logprobs":null,"finish_reason":"stop"`, ``},
		"an empty function_call":     {`"message":{"role":"assistant","content":"a","refusal":null,"function_call":{"name":"","arguments":""}},"logprobs":null,"finish_reason":"stop"`, ``},
		"a delta beside the message": {`"message":{"role":"assistant","content":"a","refusal":null},"delta":{"content":""},"text":"a","logprobs":null,"finish_reason":"stop"`, ``},
		"created as a string":        {`"message":{"role":"assistant","content":"a","refusal":null},"logprobs":null,"finish_reason":"stop"`, `"created":"1715361795",`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.more == "" {
				c.more = `"created":5,`
			}
			body := []byte(`{"id":"x","object":"chat.completion",` + c.more + `"model":"m","choices":[{"index":0,` + c.choice + `}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
			r, err := Codec{}.DecodeResponse(body)
			if err != nil {
				t.Fatal(err)
			}
			if r.Created == 0 {
				t.Error("created is lost")
			}
			if d := cmp.Diff(plain(t, body), plain(t, Codec{}.AppendResponse(nil, r))); d != "" {
				t.Errorf("(-came +went):\n%s", d)
			}
		})
	}
}

// TestNullsAreNoLoss: a member of another dialect that is null says nothing,
// wherever it stands.
func TestNullsAreNoLoss(t *testing.T) {
	t.Parallel()
	null := []llm.Member{{Name: "later", Value: []byte("null")}}
	text, call, result := said(1, llm.User, txt("hi")), called(2, "a", "f", "{}"), answered(3, "a", false, txt("x"))
	text.Blocks[0].Ext, text.Ext, call.Ext, result.Ext = null, null, null, null
	r := &llm.Request{From: llm.Anthropic, Model: "m", Ext: null, Items: []llm.Item{text, call, result},
		Tools: []llm.Tool{{Name: "f", From: llm.Anthropic, Ext: null}}}
	if _, _, enc := encoded(t, r, llm.Capability{}); len(enc.Losses) > 0 {
		t.Errorf("losses %v", enc.Losses)
	}
}

// TestOlderFormat: output_format is honoured without a word, and refused when
// it is of a form that has no equal.
func TestOlderFormat(t *testing.T) {
	t.Parallel()
	r := &llm.Request{From: llm.Anthropic, Model: "m", Items: []llm.Item{said(1, llm.User, txt("hi"))},
		Ext:    []llm.Member{{Name: "output_format", Value: []byte(`{"type":"json_schema","schema":{"type":"object"}}`)}},
		Format: llm.Format{Kind: llm.FormatJSONSchema, Schema: []byte(`{"type":"object"}`)}}
	m, _, enc := encoded(t, r, llm.Capability{})
	if len(enc.Losses) > 0 || m["response_format"] == nil {
		t.Errorf("losses %v, format %v", enc.Losses, m["response_format"])
	}
	r.Format, r.Ext[0].Value = llm.Format{}, []byte(`{"type":"grammar"}`)
	if _, _, enc := encoded(t, r, llm.Capability{}); losses(enc) != "refuse output_format" {
		t.Errorf("losses %v", enc.Losses)
	}
}

// TestUnsignedThinking: thinking that nobody signed is plain text to a client,
// whole and streamed, and comes back as no state; the format is named with the
// signature alone.
func TestUnsignedThinking(t *testing.T) {
	t.Parallel()
	item := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}}
	for name, c := range map[string]struct {
		opaque []llm.Opaque
		signed bool
	}{
		"nothing":           {nil, false},
		"an empty one":      {[]llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature}}, false},
		"an empty redacted": {[]llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted}}, false},
		"a signature":       {[]llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "S"}}, true},
	} {
		it := item
		it.Opaque = c.opaque
		r := &llm.Response{From: llm.Anthropic, ID: "i", Model: "m", Items: []llm.Item{it}, Finish: llm.Finish{Reason: llm.FinishStop}}
		answer := plain(t, Codec{}.AppendResponse(nil, r)).(map[string]any)["choices"].([]any)[0].(map[string]any)["message"].(map[string]any)
		if answer["reasoning_content"] != "hm" || (answer["reasoning_details"] != nil) != c.signed {
			t.Errorf("%s: whole %v", name, answer)
		}
		stream := encode(llm.StreamOptions{}, llm.Replay(r)...)
		if strings.Contains(stream, "reasoning_details") != c.signed || strings.Count(stream, llm.IssuerAnthropic) != strings.Count(stream, `"signature"`) {
			t.Errorf("%s: streamed\n%s", name, stream)
		}
	}
	// A provider that signs may yet not do it.
	stream := encode(llm.StreamOptions{}, llm.Event{Kind: llm.EventStart},
		llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemReasoning, Name: llm.IssuerAnthropic}},
		llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaReasoning, Text: "hm"}},
		llm.Event{Kind: llm.EventBlockStop}, llm.Event{Kind: llm.EventFinish})
	if strings.Contains(stream, llm.IssuerAnthropic) {
		t.Errorf("unsigned text is labelled:\n%s", stream)
	}
	for _, history := range []string{
		`"reasoning_content":"hm"`,
		`"reasoning_details":[{"type":"reasoning.text","text":"hm","format":"anthropic-claude-v1","index":0}]`,
		`"reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"","format":"anthropic-claude-v1","index":0}]`,
		`"reasoning_details":[{"type":"reasoning.encrypted","data":"","format":"anthropic-claude-v1","index":0}]`,
	} {
		r, err := Codec{}.DecodeRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a",` + history + `},{"role":"user","content":"q"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.Items {
			if len(it.Opaque) > 0 {
				t.Errorf("%s: state %v", history, it.Opaque)
			}
		}
	}
}

// TestRawValuesStayOnALine: what a provider wrote over several lines is written
// on one in a stream.
func TestRawValuesStayOnALine(t *testing.T) {
	t.Parallel()
	native := func(kind, raw string) llm.Event {
		return llm.Event{Kind: llm.EventDelta, From: llm.OpenAI, Delta: llm.Delta{Kind: llm.DeltaNative, Type: kind, Raw: []byte(raw)}}
	}
	stream := encode(llm.StreamOptions{IncludeUsage: true}, llm.Event{Kind: llm.EventStart},
		native(nativeChunk, "{\r\n\"a\":\n1}"), native(nativeDelta, "{\"b\":\n[\n2]}"), native(nativeChoice, "{\"c\":\r3}"), native(nativeChoices, "{\n\"index\":1}"),
		llm.Event{Kind: llm.EventUsage, From: llm.OpenAI, Usage: llm.Usage{Source: llm.UsageProvider, Raw: []byte("{\n  \"prompt_tokens\": 1\r\n}")}},
		llm.Event{Kind: llm.EventFinish, From: llm.OpenAI, Finish: llm.Finish{Reason: llm.FinishStop}})
	for frame := range strings.SplitSeq(strings.TrimSpace(stream), "\n\n") {
		data, ok := strings.CutPrefix(frame, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n") || data != "[DONE]" && !span.Valid([]byte(data)) {
			t.Errorf("%q", frame)
		}
	}
	for _, want := range []string{`1,"choices"`, `[ 2]`, `"c": 3`, `"index":1`, `"prompt_tokens": 1`} {
		if !strings.Contains(stream, want) {
			t.Errorf("no %s in\n%s", want, stream)
		}
	}
}

// TestCitationsInStreams: a stream tells Anthropic's web citations as
// annotations over their block, in characters, as a whole answer does.
func TestCitationsInStreams(t *testing.T) {
	t.Parallel()
	cite := func(i int, c string) llm.Event {
		return llm.Event{Kind: llm.EventDelta, From: llm.Anthropic, Index: i, Delta: llm.Delta{Kind: llm.DeltaNative, Type: "citations_delta",
			Raw: []byte(`{"type":"citations_delta","citation":` + c + `}`)}}
	}
	say := func(i int, s string) llm.Event {
		return llm.Event{Kind: llm.EventDelta, Index: i, Delta: llm.Delta{Kind: llm.DeltaText, Text: s}}
	}
	begin := func(i int) llm.Event {
		return llm.Event{Kind: llm.EventBlockStart, Index: i, Block: llm.BlockHead{Kind: llm.ItemMessage}}
	}
	stop := func(i int) llm.Event { return llm.Event{Kind: llm.EventBlockStop, Index: i} }
	const web, page = `{"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"x"}`, `{"type":"char_location","document_index":0}`
	stream := encode(llm.StreamOptions{}, llm.Event{Kind: llm.EventStart},
		begin(0), say(0, "é"), stop(0), begin(1), cite(1, web), say(1, "bc"), cite(1, page), say(1, "d"), stop(1), begin(2), cite(2, page), say(2, "e"), stop(2),
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}})
	const want = `"delta":{"annotations":[{"type":"url_citation","url_citation":{"start_index":1,"end_index":4,"url":"https://a","title":"A"}}]}`
	if strings.Count(stream, "annotations") != 1 || !strings.Contains(stream, want) {
		t.Errorf("no %s in\n%s", want, stream)
	}
	whole := Codec{}.AppendResponse(nil, &llm.Response{From: llm.Anthropic, Items: []llm.Item{{Kind: llm.ItemMessage, From: llm.Anthropic, Blocks: []llm.Block{txt("é"),
		{Kind: llm.BlockText, Text: "bcd", From: llm.Anthropic, Citations: []byte(`[` + web + `,` + page + `]`)}, txt("e")}}}})
	if !bytes.Contains(whole, []byte(strings.TrimSuffix(strings.TrimPrefix(want, `"delta":{`), `}`))) {
		t.Errorf("the whole answer says otherwise: %s", whole)
	}
}

// TestSignatureWithoutItsText: a client that gathered a stream may give the
// text back under one name and its signature under another; they belong
// together.
func TestSignatureWithoutItsText(t *testing.T) {
	t.Parallel()
	r, err := Codec{}.DecodeRequest([]byte(`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"hm","reasoning_details":[{"type":"reasoning.text","signature":"S","format":"anthropic-claude-v1","index":0}]},{"role":"user","content":"q"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var thoughts []llm.Item
	for _, it := range r.Items {
		if it.Kind == llm.ItemReasoning {
			thoughts = append(thoughts, it)
		}
	}
	if len(thoughts) != 1 || thoughts[0].Text() != "hm" || len(thoughts[0].Opaque) != 1 || thoughts[0].Opaque[0].Issuer != llm.IssuerAnthropic {
		t.Errorf("%+v", thoughts)
	}
	_, b, enc := encoded(t, r, llm.Capability{ReasoningField: "reasoning_details"})
	if want := `[{"type":"reasoning.text","text":"hm","signature":"S","format":"anthropic-claude-v1","index":0}]`; !strings.Contains(b, want) || len(enc.Losses) > 0 {
		t.Errorf("losses %v: %s", enc.Losses, b)
	}
}
