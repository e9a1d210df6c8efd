package wiretest_test

import (
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// folded is a request as Codex sends them (0.169.0, 2026-11): functions in
// namespaces, tools that come as an item, and a search that is always offered.
const folded = `{"model":"m","stream":true,"tools":[
 {"type":"function","name":"exec","parameters":{"type":"object","properties":{"cmd":{"type":"string"}}},"strict":false},
 {"type":"namespace","name":"agents","description":"Agents of yours.","tools":[
  {"type":"function","name":"spawn","description":"Starts one.","parameters":{"type":"object","properties":{}},"strict":false},
  {"type":"custom","name":"exec","description":"Free text."}]},
 {"type":"web_search","external_web_access":true}],
"tool_choice":"auto","input":[
 {"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"clock","description":"","tools":[{"type":"function","name":"sleep","parameters":{"type":"object","properties":{}}}]}]},
 {"type":"message","role":"user","content":"q"},
 {"type":"function_call","call_id":"c1","namespace":"agents","name":"spawn","arguments":"{}"},
 {"type":"function_call_output","call_id":"c1","output":"ok"}]}`

// TestNamespaces: a dialect without namespaces is offered each function under
// one name of its own, in definitions and history alike, and a call comes back
// in the form in which the client knows it.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	names := []string{"exec", "agents::spawn", "agents::exec", "clock::sleep"}
	for d, codec := range codecs {
		if d == llm.Responses {
			continue
		}
		out, enc := send(t, llm.Responses, folded, d, &llm.Capability{})
		if r := llm.Refusal(enc.Losses); r != nil {
			t.Errorf("%s: refused: %+v", d, r)
		}
		if !slices.ContainsFunc(enc.Losses, func(l llm.Loss) bool { return l.Kind == llm.LossWarn && l.Path == "tools.2" }) {
			t.Errorf("%s: nothing says that there is no search: %+v", d, enc.Losses)
		}
		back, err := codec.DecodeRequest([]byte(out))
		if err != nil {
			t.Fatalf("%s: %v in %s", d, err, out)
		}
		var got []string
		for i := range back.Tools {
			n := back.Tools[i].Name
			if own, ok := enc.Names[n]; ok {
				n = own
			}
			got = append(got, n)
		}
		if !slices.Equal(got, names) {
			t.Errorf("%s: the tools come back as %q", d, got)
		}
		if want := "Starts one.\n\n(agents: Agents of yours.)"; len(back.Tools) == 4 && back.Tools[1].Description != want {
			t.Errorf("%s: described as %q", d, back.Tools[1].Description)
		}
		at := slices.IndexFunc(back.Items, func(it llm.Item) bool { return it.Kind == llm.ItemToolCall })
		if at < 0 || len(back.Tools) < 2 || back.Items[at].Call.Name != back.Tools[1].Name {
			t.Errorf("%s: the history does not call the tool by its name: %s", d, out)
		}
		if strings.Contains(out, "additional_tools") || strings.Contains(out, "web_search") {
			t.Errorf("%s: %s", d, out)
		}
	}
}

// TestNamespaceAnswers: the call of an answer names its namespace beside it,
// whole and streamed, and reads back as one name.
func TestNamespaceAnswers(t *testing.T) {
	t.Parallel()
	c := codecs[llm.Responses]
	for _, custom := range []bool{false, true} {
		call := llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Call: llm.Call{ID: "c1", Name: "agents::spawn", Arguments: []byte(`{"a":1}`), Custom: custom}}
		whole := string(c.AppendResponse(nil, &llm.Response{ID: "r", Model: "m", Items: []llm.Item{call}, Finish: llm.Finish{Reason: llm.FinishToolCalls}, From: llm.OpenAI}))
		var streamed []byte
		e := c.NewEncoder(llm.StreamOptions{ID: "r", Model: "m"})
		for _, ev := range []llm.Event{{Kind: llm.EventStart}, {Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "c1", Name: "agents::spawn", Custom: custom}},
			{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: `{"a":1}`}}, {Kind: llm.EventBlockStop}, {Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls}}} {
			streamed = e.Encode(streamed, ev)
		}
		for _, out := range []string{whole, string(streamed)} {
			if !strings.Contains(out, `"name":"spawn","namespace":"agents"`) || strings.Contains(out, "::") {
				t.Errorf("custom %v: %s", custom, out)
			}
		}
		again, err := c.DecodeResponse([]byte(whole))
		if err != nil || again.Items[0].Call.Name != "agents::spawn" {
			t.Errorf("custom %v: read as %+v, %v", custom, again, err)
		}
		es := events(t, llm.Responses, string(streamed))
		if at := slices.IndexFunc(es, func(e llm.Event) bool { return e.Kind == llm.EventBlockStart }); at < 0 || es[at].Block.Name != "agents::spawn" {
			t.Errorf("custom %v: read as %+v", custom, es)
		}
	}
}

// TestNamespaceStays: the dialect that has namespaces gets its own back, also
// when the body is written from the words.
func TestNamespaceStays(t *testing.T) {
	t.Parallel()
	c := codecs[llm.Responses]
	r, err := c.DecodeRequest([]byte(folded))
	if err != nil {
		t.Fatal(err)
	}
	bare := *r
	bare.Raw = nil
	bare.Items = slices.Clone(r.Items)
	for i := range bare.Items {
		if bare.Items[i].Kind == llm.ItemToolCall {
			bare.Items[i].Raw = nil
		}
	}
	bare.Choice = llm.ToolChoice{Mode: llm.ToolOnly, Name: "agents::spawn"}
	enc, err := c.EncodeRequest(&bare, "m", &llm.Capability{})
	if err != nil || len(enc.Losses) > 0 {
		t.Fatalf("%v %+v", err, enc.Losses)
	}
	out := string(slices.Concat(enc.Body...))
	for _, want := range []string{`{"type":"namespace","name":"agents"`, `"type":"web_search"`, `"type":"additional_tools"`, `"name":"spawn","namespace":"agents","arguments":"{}"`, `"tool_choice":{"type":"function","name":"spawn","namespace":"agents"}`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in %s", want, out)
		}
	}
	again, err := c.DecodeRequest([]byte(out))
	if err != nil || again.Choice.Name != "agents::spawn" {
		t.Errorf("%v %+v", err, again)
	}
}

// TestSearchIsRefused: a search that is all there is, or asked for, cannot be
// left out.
func TestSearchIsRefused(t *testing.T) {
	t.Parallel()
	const search, fn = `{"type":"web_search"}`, `{"type":"function","name":"f","parameters":{"type":"object","properties":{}}}`
	for name, members := range map[string]string{
		"alone":                  `"tools":[` + search + `]`,
		"chosen":                 `"tools":[` + fn + `,` + search + `],"tool_choice":{"type":"web_search"}`,
		"some tool must be used": `"tools":[` + fn + `,` + search + `],"tool_choice":"required"`,
		"another tool":           `"tools":[` + fn + `,{"type":"code_interpreter","container":{"type":"auto"}}]`,
	} {
		for d := range codecs {
			if d == llm.Responses {
				continue
			}
			if _, enc := send(t, llm.Responses, `{"model":"m","input":"q",`+members+`}`, d, &llm.Capability{}); llm.Refusal(enc.Losses) == nil {
				t.Errorf("%s: %s goes through: %+v", name, d, enc.Losses)
			}
		}
	}
}
