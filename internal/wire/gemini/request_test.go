package gemini

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
)

// joined is a body in one piece.
func joined(e llm.Encoded) string { return string(bytes.Join(e.Body, nil)) }

func txt(s string) llm.Block { return llm.Block{Kind: llm.BlockText, Text: s} }

func said(role llm.Role, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Path: "messages", Blocks: blocks}
}

func called(id, name, args string, state ...llm.Opaque) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Path: "call", Call: llm.Call{ID: id, Name: name, Arguments: []byte(args)}, Opaque: state}
}

func answered(id, text string) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Path: "result", Result: llm.Result{CallID: id}, Blocks: []llm.Block{txt(text)}}
}

func signed(s string) llm.Opaque {
	return llm.Opaque{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: s}
}

// encoded writes words of another dialect and gives the body and the losses in
// short: kind and path.
func encoded(t *testing.T, c Codec, r *llm.Request, model string, to *llm.Capability) (string, []string) {
	t.Helper()
	r.From = llm.OpenAI
	e, err := c.EncodeRequest(r, model, to)
	if err != nil {
		t.Fatal(err)
	}
	body := joined(e)
	if !jsontext.Value(body).IsValid() {
		t.Fatalf("not JSON: %s", body)
	}
	var losses []string
	for _, l := range e.Losses {
		losses = append(losses, string(l.Kind)+" "+l.Path)
	}
	return body, losses
}

const skipped = `"thoughtSignature":"skip_thought_signature_validator"`

// TestToolLoops: what is written of conversations with calls, to the byte.
func TestToolLoops(t *testing.T) {
	t.Parallel()
	foreign := llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "claude"}
	for _, c := range []struct {
		name, model string
		codec       Codec
		items       []llm.Item
		want        string // the contents
		losses      []string
	}{
		{"parallel, signed", "gemini-3.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")),
			called("a", "f", `{"x":9007199254740993}`, signed("S+/=")), called("b", "f", ``), answered("b", "two"), answered("a", "one")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{"x":9007199254740993}},"thoughtSignature":"S+/="},{"functionCall":{"id":"b","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"one"}}},{"functionResponse":{"id":"b","name":"f","response":{"output":"two"}}}]}]`, nil},
		{"sequential, the second lost", "gemini-3.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")),
			called("a", "f", `{}`, signed("S1")), answered("a", "one"), called("b", "g", `{}`), called("c", "g", `{}`), answered("b", "two"), answered("c", "three")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{}},"thoughtSignature":"S1"}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"one"}}}]},{"role":"model","parts":[{"functionCall":{"id":"b","name":"g","args":{}},` + skipped + `},{"functionCall":{"id":"c","name":"g","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"b","name":"g","response":{"output":"two"}}},{"functionResponse":{"id":"c","name":"g","response":{"output":"three"}}}]}]`, nil},
		{"another vendor's state", "gemini-4-argon", Codec{}, []llm.Item{said(llm.User, txt("go")),
			{Kind: llm.ItemReasoning, Role: llm.Assistant, Path: "think", Blocks: []llm.Block{txt("hm")}, Opaque: []llm.Opaque{foreign}}, called("a", "f", `{}`, foreign), answered("a", "one")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{}},` + skipped + `}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"one"}}}]}]`, []string{"carry think"}},
		{"an older model", "gemini-2.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")), called("a", "f", `{}`), answered("a", "one")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"one"}}}]}]`, nil},
		{"Vertex has no ids", "gemini-3-pro-preview", Codec{Vertex: true}, []llm.Item{said(llm.User, txt("go")), called("a", "f", `{}`, signed("S")), answered("a", "one")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"S"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"one"}}}]}]`, nil},
		{"results never stand beside text", "gemini-3.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")), called("a", "f", `{}`, signed("S")), said(llm.User, txt("wait")), answered("a", "one"), said(llm.User, txt("on"))},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{}},"thoughtSignature":"S"}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"one"}}}]},{"role":"user","parts":[{"text":"wait"},{"text":"on"}]}]`, nil},
		{"signed text and a signed nothing", "gemini-3.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")),
			{Kind: llm.ItemMessage, Role: llm.Assistant, Blocks: []llm.Block{txt("A")}}, {Kind: llm.ItemMessage, Role: llm.Assistant, Blocks: []llm.Block{txt("B")}, Opaque: []llm.Opaque{signed("S1")}},
			{Kind: llm.ItemMessage, Role: llm.Assistant, Opaque: []llm.Opaque{signed("S2")}}, said(llm.User, txt("on"))},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"text":"A"},{"text":"B","thoughtSignature":"S1"},{"text":"","thoughtSignature":"S2"}]},{"role":"user","parts":[{"text":"on"}]}]`, nil},
		{"no answer, no call", "gemini-3.5-flash", Codec{}, []llm.Item{said(llm.User, txt("go")), called("a", "f", `{`, signed("S")), said(llm.User, txt("on")), answered("z", "who?")},
			`[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{"_raw":"{"}},"thoughtSignature":"S"}]},{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"output":"[no result]"}}}]},{"role":"user","parts":[{"text":"on"},{"text":"[result of a tool call that is not shown]\nwho?"}]}]`, []string{"refuse result", "refuse messages"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body, losses := encoded(t, c.codec, &llm.Request{Items: c.items}, c.model, nil)
			if d := cmp.Diff(c.want, string(get([]byte(body), "contents"))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.losses, losses); d != "" {
				t.Errorf("losses (-want +got):\n%s", d)
			}
		})
	}
}

// TestPrefix: the bytes of a conversation begin those of its next turn, also
// when the sentinel stands in it.
func TestPrefix(t *testing.T) {
	t.Parallel()
	items := []llm.Item{said(llm.System, txt("s<>&")), said(llm.User, txt("go")), called("a", "f", `{}`), answered("a", "one"),
		said(llm.Assistant, txt("done")), said(llm.User, txt("more")), called("b", "f", `{}`), answered("b", "two")}
	var before string
	for _, n := range []int{2, 4, 6, 8} {
		body, _ := encoded(t, Codec{}, &llm.Request{Items: items[:n]}, "gemini-3.5-flash", nil)
		if !strings.HasPrefix(body, strings.TrimSuffix(before, "]}")) {
			t.Errorf("%d items:\n%s\ndo not begin with\n%s", n, body, before)
		}
		before = body
	}
}

func known(efforts ...string) *llm.Capability {
	return &llm.Capability{Known: true, Has: llm.AllFeatures, Efforts: efforts}
}

func number64(n int64) *int64 { return &n }

// TestFields: each word alone, as it is written and what is lost.
func TestFields(t *testing.T) {
	t.Parallel()
	levels := known("low", "medium", "high")
	four := known("low", "medium", "high", "xhigh")
	four.Has &^= llm.SamplingParams | llm.Prefill
	for _, c := range []struct {
		name, model string
		r           llm.Request
		c           *llm.Capability
		member      string
		want        string
		losses      []string
	}{
		{"nothing", "", llm.Request{}, nil, "generationConfig", "", nil},
		{"no storing", "", llm.Request{}, nil, "store", "false", nil},
		{"output cap", "", llm.Request{MaxTokens: number64(9000)}, &llm.Capability{MaxOutput: 8192}, "generationConfig", `{"maxOutputTokens":8192}`, []string{"warn max_tokens"}},
		{"sampling", "", llm.Request{Sampling: llm.Sampling{Temperature: []byte("1.50"), TopK: []byte("3"), Seed: []byte("7")}}, nil, "generationConfig", `{"temperature":1.50,"topK":3,"seed":7}`, nil},
		{"sampling refused", "gemini-4-argon", llm.Request{Sampling: llm.Sampling{Temperature: []byte("1"), TopP: []byte("0.5"), PresencePenalty: []byte("0.5")}}, four, "generationConfig", "", []string{"warn top_p", "warn presence_penalty"}},
		{"stops", "", llm.Request{Stop: []string{"a", "b", "c", "d", "e", "f"}}, nil, "generationConfig", `{"stopSequences":["a","b","c","d","e"]}`, []string{"refuse stop"}},
		{"level", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Effort: "high"}}, levels, "generationConfig", `{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"high"}}`, nil},
		{"level clamped", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Effort: "minimal"}}, levels, "generationConfig", `{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"low"}}`, []string{"warn reasoning_effort"}},
		{"level from a budget", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOn, Budget: 4096}}, levels, "generationConfig", `{"thinkingConfig":{"includeThoughts":true,"thinkingLevel":"medium"}}`, []string{"warn thinking"}},
		{"cannot be off", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, levels, "generationConfig", `{"thinkingConfig":{"thinkingLevel":"low"}}`, []string{"warn thinking"}},
		{"effort none", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Effort: "none"}}, known("minimal", "low", "medium", "high"), "generationConfig", `{"thinkingConfig":{"thinkingLevel":"minimal"}}`, []string{"warn thinking"}},
		{"adaptive, withheld", "gemini-3.5-flash", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkAdaptive, Display: "omitted"}}, levels, "generationConfig", `{"thinkingConfig":{"includeThoughts":false}}`, nil},
		{"budget", "gemini-2.5-flash", llm.Request{Reasoning: llm.Reasoning{Effort: "medium"}}, known(), "generationConfig", `{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":8192}}`, nil},
		{"budget within the cap", "gemini-2.5-flash", llm.Request{MaxTokens: number64(1000), Reasoning: llm.Reasoning{Effort: "high"}}, known(), "generationConfig", `{"maxOutputTokens":1000,"thinkingConfig":{"includeThoughts":true,"thinkingBudget":500}}`, []string{"warn thinking"}},
		{"budget off", "gemini-2.5-flash", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, known(), "generationConfig", `{"thinkingConfig":{"thinkingBudget":0}}`, nil},
		{"budget off, pro", "gemini-2.5-pro", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, known(), "generationConfig", `{"thinkingConfig":{"thinkingBudget":128}}`, []string{"warn thinking"}},
		{"schema", "gemini-3.5-flash", llm.Request{Format: llm.Format{Kind: llm.FormatJSONSchema, Name: "n", Schema: []byte(`{"$ref":"#/$defs/a"}`)}}, nil, "generationConfig", `{"responseMimeType":"application/json","responseJsonSchema":{"$ref":"#/$defs/a"}}`, nil},
		{"schema beside tools, old", "gemini-2.5-flash", llm.Request{Format: llm.Format{Kind: llm.FormatJSONSchema, Schema: []byte(`{}`)}, Tools: []llm.Tool{{Name: "f"}}}, nil, "generationConfig", "", []string{"refuse response_format"}},
		{"json", "", llm.Request{Format: llm.Format{Kind: llm.FormatJSONObject}}, nil, "generationConfig", `{"responseMimeType":"application/json"}`, nil},
		{"tools", "", llm.Request{Tools: []llm.Tool{{Name: "f", Description: "d", Schema: []byte(`{"type":"object","$schema":"x","additionalProperties":false}`)}, {Name: "mcp/strange name"}}}, nil, "tools",
			`[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":{"type":"object","$schema":"x","additionalProperties":false}},{"name":"mcp_strange_name_` + hash("mcp/strange name")[:12] + `","parametersJsonSchema":{"type":"object","properties":{}}}]}]`, nil},
		{"another vendor's tool", "", llm.Request{Tools: []llm.Tool{{Type: "web_search", Name: "w"}}}, nil, "tools", "", []string{"refuse tools.0"}},
		{"only one", "", llm.Request{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "f"}}, nil, "toolConfig", `{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}`, nil},
		{"some", "", llm.Request{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ToolSubset, Names: []string{"f"}}}, nil, "toolConfig", `{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["f"]}}`, nil},
		{"none", "", llm.Request{Tools: []llm.Tool{{Name: "f"}}, Choice: llm.ToolChoice{Mode: llm.ToolNone}}, nil, "toolConfig", `{"functionCallingConfig":{"mode":"NONE"}}`, nil},
		{"tier", "", llm.Request{ServiceTier: "flex"}, nil, "serviceTier", `"flex"`, nil},
		{"unknown members", "", llm.Request{Ext: []llm.Member{{Name: "logit_bias", Value: []byte(`{"1":2}`)}, {Name: "logprobs", Value: []byte("true")}, {Name: "prompt_cache_key", Value: []byte(`"k"`)}}, EndUser: "u", N: 2}, nil, "serviceTier", "", []string{"warn logit_bias", "refuse logprobs", "warn user", "refuse n"}},
		{"prefill", "gemini-4-argon", llm.Request{Items: []llm.Item{said(llm.User, txt("go")), said(llm.Assistant, txt("I"))}}, four, "contents", `[{"role":"user","parts":[{"text":"go"}]},{"role":"model","parts":[{"text":"I"}]}]`, []string{"refuse messages"}},
		{"pictures", "", llm.Request{Items: []llm.Item{said(llm.User, llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "https://x.example/a.png?b"}}, llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "data:image/jpeg;base64,iVBORw0KGgo="}}, llm.Block{Kind: llm.BlockFile, Media: llm.Media{FileID: "file-1"}})}}, nil, "contents",
			`[{"role":"user","parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://x.example/a.png?b"}},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}]`, []string{"refuse messages"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.r.Items == nil {
				c.r.Items = []llm.Item{said(llm.User, txt("hi"))}
			}
			body, losses := encoded(t, Codec{}, &c.r, c.model, c.c)
			if d := cmp.Diff(c.want, string(get([]byte(body), c.member))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.losses, losses); d != "" {
				t.Errorf("losses (-want +got):\n%s", d)
			}
		})
	}
}

// TestResultImages: where what a tool showed is written.
func TestResultImages(t *testing.T) {
	t.Parallel()
	items := []llm.Item{said(llm.User, txt("go")), called("a", "f", `{}`, signed("S")),
		{Kind: llm.ItemToolResult, Path: "result", Result: llm.Result{CallID: "a", IsError: true}, Blocks: []llm.Block{txt("x"), {Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "iVBORw0KGgo="}}}}}
	old := known()
	old.Has &^= llm.ImageInResult
	for _, c := range []struct {
		to     *llm.Capability
		want   string
		losses []string
	}{
		{nil, `{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"error":"x"},"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}}]}`, nil},
		{old, `{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":{"error":"x"}}},{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}`, []string{"warn result"}},
	} {
		body, losses := encoded(t, Codec{}, &llm.Request{Items: items}, "gemini-3.5-flash", c.to)
		if !strings.Contains(body, c.want) {
			t.Errorf("%s\ndoes not hold\n%s", body, c.want)
		}
		if d := cmp.Diff(c.losses, losses); d != "" {
			t.Errorf("losses (-want +got):\n%s", d)
		}
	}
}

// TestDecodeRequest: what the words say of a request in snake_case.
func TestDecodeRequest(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile(filepath.Join(cases, "snake-case", "request.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Codec{}.DecodeRequest(body)
	if err != nil {
		t.Fatal(err)
	}
	want := &llm.Request{
		From: llm.Gemini, MaxTokens: number64(64), Choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "look_up"},
		Reasoning: llm.Reasoning{Mode: llm.ThinkOn, Budget: 1024, Display: "summarized"},
		Tools:     []llm.Tool{{Name: "look_up", From: llm.Gemini, Schema: []byte(`{"type":"object","properties":{"a_b":{"type":["integer","null"]}}}`)}},
		Ext:       []llm.Member{{Name: "generationConfig.responseMimeType", Value: []byte(`"text/plain"`)}},
		Items: []llm.Item{
			{Kind: llm.ItemMessage, Role: llm.System, Path: "systemInstruction.parts.0", From: llm.Gemini, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "Be brief.", From: llm.Gemini}}},
			{Kind: llm.ItemMessage, Role: llm.User, Turn: 1, Path: "contents.0.parts.0", From: llm.Gemini, Blocks: []llm.Block{
				{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "iVBORw0KGgo="}, From: llm.Gemini}, {Kind: llm.BlockText, Text: "What is it?", From: llm.Gemini}}},
			{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: 2, Path: "contents.1.parts.0", From: llm.Gemini, Opaque: []llm.Opaque{signed("c2ln")},
				Call: llm.Call{ID: madeID("contents", 2, 1, "look_up"), Name: "look_up"}},
			{Kind: llm.ItemToolResult, Role: llm.User, Turn: 3, Path: "contents.2.parts.0", From: llm.Gemini,
				Result: llm.Result{CallID: madeID("contents", 2, 1, "look_up"), Name: "look_up"}, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "a cat", From: llm.Gemini}}},
		},
	}
	raw := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Raw" || p.Last().String() == ".Arguments" }, cmp.Ignore())
	if d := cmp.Diff(want, r, raw, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestWrapped: another vendor's state travels through a Gemini client, whatever
// its SDK does to bytes, and never reaches Google.
func TestWrapped(t *testing.T) {
	t.Parallel()
	state := llm.Opaque{Issuer: llm.IssuerAnthropic, By: "anthropic", Kind: llm.OpaqueSignature, Data: strings.Repeat("ÿ>?", 7)}
	answer := string(Codec{}.AppendResponse(nil, &llm.Response{From: llm.Anthropic, ID: "i", Model: "m", Finish: llm.Finish{Reason: llm.FinishToolCalls}, Items: []llm.Item{
		{Kind: llm.ItemReasoning, Blocks: []llm.Block{txt("hm")}, Opaque: []llm.Opaque{state}}, called("a", "f", `{}`)}}))
	content := string(get(get([]byte(answer), "candidates")[1:], "content"))
	for _, change := range []func(string) string{
		func(s string) string { return s },
		strings.NewReplacer("+", "-", "/", "_").Replace,
		func(s string) string { return strings.ReplaceAll(s, `="`, `"`) },
	} {
		body := `{"contents":[{"role":"user","parts":[{"text":"go"}]},` + change(content) + `]}`
		r, err := Codec{}.DecodeRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Items) != 3 || r.Items[1].Kind != llm.ItemReasoning || cmp.Diff([]llm.Opaque{state}, r.Items[1].Opaque) != "" {
			t.Errorf("%s came back as %+v", body, r.Items)
		}
		for _, bare := range []bool{false, true} {
			if bare {
				r.Raw = nil
			}
			e, err := Codec{}.EncodeRequest(r, "gemini-3.5-flash", nil)
			if err != nil {
				t.Fatal(err)
			}
			if out := joined(e); strings.Contains(out, wrapped) || !jsontext.Value(out).IsValid() || !strings.Contains(out, `"hm"`) || len(e.Losses) != 1 {
				t.Errorf("to Google, bare %v: %s %v", bare, out, e.Losses)
			}
		}
	}
}
