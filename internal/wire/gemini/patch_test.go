package gemini

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

func patched(t *testing.T, op llm.Op, body string, c *llm.Capability, edits ...llm.Edit) (string, []string) {
	t.Helper()
	head, err := Codec{}.Head(op, []byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if head.Model == "" {
		head.Model = "gemini-3.5-flash"
	}
	d := llm.NewDraft(llm.Gemini, op, []byte(body), head, nil)
	for _, e := range edits {
		d = d.With(e)
	}
	e, err := Codec{}.Patch(&d, c)
	if err != nil {
		t.Fatal(err)
	}
	var losses []string
	for _, l := range e.Losses {
		losses = append(losses, string(l.Kind)+" "+l.Path)
	}
	return joined(e), losses
}

// TestPatch: what an edit changes, and that it changes nothing else.
func TestPatch(t *testing.T) {
	t.Parallel()
	model := llm.Edit{Kind: llm.EditModel, Text: "gemini-4-argon"}
	limit := llm.Edit{Kind: llm.EditMaxTokens, Number: 9}
	reshape := llm.Edit{Kind: llm.EditReshape}
	levels := known("low", "medium", "high")
	four := known("low", "medium", "high")
	four.Has &^= llm.SamplingParams | llm.Prefill | llm.ForcedTool
	two := known()
	for _, c := range []struct {
		name   string
		op     llm.Op
		body   string
		c      *llm.Capability
		edits  []llm.Edit
		want   string
		losses []string
	}{
		{"the path names the model", llm.OpChat, ` { "contents" : [ {} ] } `, nil, []llm.Edit{model}, ` { "contents" : [ {} ] } `, nil},
		{"and a body that does, too", llm.OpChat, `{"model":"models/x","contents":[{}]}`, nil, []llm.Edit{model}, `{"model":"models/gemini-4-argon","contents":[{}]}`, nil},
		{"count", llm.OpCountTokens, `{"generateContentRequest":{"contents":[],"model" : "models/x"}}`, nil, []llm.Edit{model, limit}, `{"generateContentRequest":{"contents":[],"model" : "models/gemini-4-argon"}}`, nil},
		{"a batch", llm.OpEmbed, `{"requests":[{"model":"models/x","content":{}}, {"content":{},"model":"models/y"}]}`, nil, []llm.Edit{model}, `{"requests":[{"model":"models/gemini-4-argon","content":{}}, {"content":{},"model":"models/gemini-4-argon"}]}`, nil},
		{"cap, none there", llm.OpChat, `{"contents":[{}]}`, nil, []llm.Edit{limit}, `{"contents":[{}],"generationConfig":{"maxOutputTokens":9}}`, nil},
		{"cap, no config", llm.OpChat, `{"generationConfig":null,"contents":[{}]}`, nil, []llm.Edit{limit}, `{"contents":[{}],"generationConfig":{"maxOutputTokens":9}}`, nil},
		{"cap, empty config", llm.OpChat, `{"generationConfig":{ },"contents":[{}]}`, nil, []llm.Edit{limit}, `{"generationConfig":{"maxOutputTokens":9 },"contents":[{}]}`, nil},
		{"cap, snake case", llm.OpChat, `{"generation_config":{"top_k":1,"max_output_tokens": 100},"contents":[{}]}`, nil, []llm.Edit{limit}, `{"generation_config":{"top_k":1,"max_output_tokens": 9},"contents":[{}]}`, nil},
		{"reshape of what fits", llm.OpChat, `{"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"},"temperature":0.3},"contents":[{}]}`, levels, []llm.Edit{reshape}, `{"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"},"temperature":0.3},"contents":[{}]}`, nil},
		{"reshape a budget", llm.OpChat, `{"generationConfig":{"thinkingConfig":{"thinkingBudget":0}, "temperature":0.3},"contents":[{}]}`, levels, []llm.Edit{reshape}, `{"generationConfig":{"thinkingConfig":{"thinkingLevel":"low"}, "temperature":0.3},"contents":[{}]}`, []string{"warn thinking"}},
		{"reshape a level", llm.OpChat, `{"generationConfig":{"thinking_config":{"thinking_level":"LOW","include_thoughts":true}},"contents":[{}]}`, two, []llm.Edit{{Kind: llm.EditModel, Text: "gemini-2.5-flash"}, reshape}, `{"generationConfig":{"thinking_config":{"includeThoughts":true,"thinkingBudget":2048}},"contents":[{}]}`, []string{"warn thinking"}},
		{"reshape for Gemini 4", llm.OpChat, `{"generationConfig":{"temperature":0.3,"topP":1,"candidateCount":2,"frequencyPenalty":1},"toolConfig":{"functionCallingConfig":{"mode":"any"}},"contents":[{"role":"model","parts":[{"text":"x"}]}],"cachedContent":"c"}`, four, []llm.Edit{model, reshape},
			`{"generationConfig":{"candidateCount":2},"toolConfig":{"functionCallingConfig":{"mode":"any"}},"contents":[{"role":"model","parts":[{"text":"x"}]}],"cachedContent":"c"}`,
			[]string{"warn generationConfig.temperature", "warn generationConfig.frequencyPenalty", "refuse generationConfig.candidateCount", "refuse toolConfig", "refuse contents", "refuse cachedContent"}},
		{"calls without a signature", llm.OpChat, `{"contents":[{"role":"model","parts":[{"text":"a"},{"functionCall":{"name":"f"} },{"functionCall":{"name":"g"}}]},{"role":"user","parts":[]},{"role":"model","parts":[{"functionCall":{"name":"h"},"thoughtSignature":"S"}]}]}`, levels, []llm.Edit{reshape},
			`{"contents":[{"role":"model","parts":[{"text":"a"},{"functionCall":{"name":"f"} ,` + skipped + `},{"functionCall":{"name":"g"}}]},{"role":"user","parts":[]},{"role":"model","parts":[{"functionCall":{"name":"h"},"thoughtSignature":"S"}]}]}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, losses := patched(t, c.op, c.body, c.c, c.edits...)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.losses, losses); d != "" {
				t.Errorf("losses (-want +got):\n%s", d)
			}
		})
	}
}

// TestPatchWrapped: what we wrapped for the client is taken out on the fast
// path too, wherever it stands, and a content of nothing else with it.
func TestPatchWrapped(t *testing.T) {
	t.Parallel()
	sig := `"thoughtSignature":"` + string(wrap(nil, &llm.Opaque{Issuer: llm.IssuerOpenAI, Kind: llm.OpaqueEncrypted, Data: "x"})) + `"`
	for _, c := range []struct{ body, want string }{
		{`{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"","thought":true,` + sig + `}]}, {"role":"model","parts":[{"text":"b"}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}]}`},
		{`{"contents":[{"role":"model","parts":[{"text":"b",` + sig + `},{` + sig + `,"functionCall":{"name":"f"}}]}]}`,
			`{"contents":[{"role":"model","parts":[{"text":"b"},{` + skipped + `,"functionCall":{"name":"f"}}]}]}`},
	} {
		if got, losses := patched(t, llm.OpChat, c.body, nil); got != c.want || len(losses) == 0 {
			t.Errorf("%s\nbecame %s\nwant   %s, losses %v", c.body, got, c.want, losses)
		}
	}
}

// TestHead: what a body says at first sight, and what is refused.
func TestHead(t *testing.T) {
	t.Parallel()
	h, err := Codec{}.Head(llm.OpChat, []byte(`{"contents":[{}],"generation_config":{"max_output_tokens":"12"},"tools":[{"googleSearch":{}}]}`))
	if err != nil || h.MaxTokens != 12 || !h.Tools || h.Model != "" || h.Stream {
		t.Errorf("%+v, %v", h, err)
	}
	for body, want := range map[string]string{
		`{}`: "contents is not specified",
		`{"contents":[{}],"tools":[],"tools":[]}`:                                             "byte",
		`{"contents":[{}],"Contents":[]}`:                                                     "byte 17",
		`{"tool_config":{},"contents":[{}],"toolConfig":{}}`:                                  "byte 34",
		`{"contents":[{}],"generationConfig":{"maxOutputTokens":1, "max_output_tokens":100}}`: "byte 58",
		`{"contents":[{}],"generationConfig":{"maxOutputTokens":"x"}}`:                        "byte 55",
		`{"contents":{},"generationConfig":[]}`:                                               "byte 34",
		`{"contents":7}`:                                                                      "byte 12",
	} {
		if _, err := (Codec{}).Head(llm.OpChat, []byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}
