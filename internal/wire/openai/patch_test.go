package openai

import (
	"bytes"
	"strings"
	"testing"

	"headrace/internal/llm"
)

func draft(t testing.TB, body string, edits ...llm.Edit) *llm.Draft {
	t.Helper()
	h, err := Codec{}.Head(llm.OpChat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, []byte(body), h, Codec{}.DecodeRequest)
	for _, e := range edits {
		d = d.With(e)
	}
	return &d
}

func patched(t testing.TB, body string, c llm.Capability, edits ...llm.Edit) (string, llm.Encoded) {
	t.Helper()
	enc, err := Codec{}.Patch(draft(t, body, edits...), &c)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.Join(enc.Body, nil)), enc
}

func known(has llm.Feature, efforts ...string) llm.Capability {
	return llm.Capability{Known: true, Has: has, Efforts: efforts}
}

var (
	reshape = llm.Edit{Kind: llm.EditReshape}
	usage   = llm.Edit{Kind: llm.EditUsage}
	toModel = llm.Edit{Kind: llm.EditModel, Text: `new "model"`}
)

func TestPatch(t *testing.T) {
	t.Parallel()
	const all = llm.AllFeatures
	for _, c := range []struct {
		name, in, out string
		c             llm.Capability
		edits         []llm.Edit
		losses        string
		drop          bool
	}{
		{"nothing", ` { "model" : "a" , "x":[1, 2]}` + "\n", ` { "model" : "a" , "x":[1, 2]}` + "\n", llm.Capability{}, nil, "", false},
		{"model only", ` { "model" : "a" , "temperature":2 }`, ` { "model" : "new \"model\"" , "temperature":2 }`, known(0), []llm.Edit{toModel}, "", false},
		{"usage", `{"model":"a","stream":true}`, `{"model":"a","stream":true,"stream_options":{"include_usage":true}}`, llm.Capability{}, []llm.Edit{usage}, "", true},
		{"usage inside", `{"stream_options":{"include_obfuscation":false},"model":"a","stream":true}`, `{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"a","stream":true}`, llm.Capability{}, []llm.Edit{usage}, "", true},
		{"usage false", `{"stream_options":{"include_usage":false},"model":"a","stream":true}`, `{"stream_options":{"include_usage":true},"model":"a","stream":true}`, llm.Capability{}, []llm.Edit{usage}, "", true},
		{"usage null", `{"stream_options":null,"model":"a","stream":true}`, `{"stream_options":{"include_usage":true},"model":"a","stream":true}`, llm.Capability{}, []llm.Edit{usage}, "", true},
		{"usage asked", `{"stream_options":{"include_usage":true},"model":"a","stream":true}`, `{"stream_options":{"include_usage":true},"model":"a","stream":true}`, llm.Capability{}, []llm.Edit{usage}, "", false},
		{"usage whole", `{"model":"a","stream":false}`, `{"model":"a","stream":false}`, llm.Capability{}, []llm.Edit{usage}, "", false},
		{"max absent", `{"model":"a"}`, `{"model":"a","max_tokens":7}`, llm.Capability{MaxTokensField: "max_tokens"}, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 7}}, "", false},
		{"max there", `{"max_tokens":1,"model":"a"}`, `{"max_tokens":7,"model":"a"}`, llm.Capability{}, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 7}}, "", false},
		{"max renamed", `{"max_tokens":1,"model":"a"}`, `{"max_completion_tokens":1,"model":"a"}`, known(all), []llm.Edit{reshape}, "", false},
		{"max renamed back", `{"max_completion_tokens":1,"model":"a"}`, `{"max_tokens":9,"model":"a"}`, llm.Capability{MaxTokensField: "max_tokens"}, []llm.Edit{reshape, {Kind: llm.EditMaxTokens, Number: 9}}, "", false},
		{"both names", `{"max_tokens":1,"max_completion_tokens":2,"model":"a"}`, `{"max_completion_tokens":2,"model":"a"}`, known(all), []llm.Edit{reshape}, "", false},
		{"one name null", `{"max_tokens":1,"max_completion_tokens":null,"model":"a"}`, `{"max_completion_tokens":1,"model":"a"}`, known(all), []llm.Edit{reshape}, "", false},
		{"unknown target", `{"max_tokens":1,"temperature":0,"model":"a"}`, `{"max_tokens":1,"temperature":0,"model":"a"}`, llm.Capability{}, []llm.Edit{reshape}, "", false},
		{"sampling", `{"temperature":0.2,"top_p":1.0,"model":"a","seed":1}`, `{"model":"a","seed":1}`, known(all&^llm.SamplingParams, "low"), []llm.Edit{reshape}, "warn temperature", false},
		{"sampling with effort none", `{"temperature":0.2,"model":"a","reasoning_effort":"none"}`, `{"temperature":0.2,"model":"a","reasoning_effort":"none"}`, known(all&^llm.SamplingParams, "none", "low"), []llm.Edit{reshape}, "", false},
		{"effort clamped", `{"reasoning_effort":"minimal","model":"a"}`, `{"reasoning_effort":"low","model":"a"}`, known(all, "low", "high"), []llm.Edit{reshape}, "warn reasoning_effort", false},
		{"effort refused", `{"reasoning_effort":"low","model":"a"}`, `{"model":"a"}`, known(all), []llm.Edit{reshape}, "warn reasoning_effort", false},
		{"tools need effort none", `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}],"reasoning_effort":"none"}`, known(all&^llm.ToolEffortFree, "none", "low"), []llm.Edit{reshape}, "warn reasoning_effort", false},
		{"tools need Responses", `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, known(all&^llm.ToolEffortFree, "low"), []llm.Edit{reshape}, "refuse tools", false},
		{"tools with default effort none", `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, `{"model":"a","tools":[{"type":"function","function":{"name":"f"}}]}`, llm.Capability{Known: true, Has: all &^ llm.ToolEffortFree, Efforts: []string{"none", "low"}, DefaultEffort: "none"}, []llm.Edit{reshape}, "", false},
		{"no tools at all", `{"model":"a","tools":[]}`, `{"model":"a","tools":[]}`, known(0), []llm.Edit{reshape}, "", false},
		{"forced tool", `{"model":"a","tool_choice":"required"}`, `{"model":"a","tool_choice":"required"}`, known(all &^ llm.ForcedTool), []llm.Edit{reshape}, "refuse tool_choice", false},
		{"developer", `{"messages":[{"role":"developer","content":"developer"},{"content":"x","role":"user"}],"model":"a"}`, `{"messages":[{"role":"system","content":"developer"},{"content":"x","role":"user"}],"model":"a"}`, known(all &^ llm.DeveloperRole), []llm.Edit{reshape}, "", false},
		{"developer stays", `{"messages":[{"role":"developer","content":"a"}],"model":"a"}`, `{"messages":[{"role":"developer","content":"a"}],"model":"new \"model\""}`, known(all &^ llm.DeveloperRole), []llm.Edit{toModel}, "", false},
		{"thinking refused", `{"messages":[{"role":"assistant","reasoning_content":"t","content":"x","reasoning_details":[{"type":"reasoning.text"}]}],"model":"a"}`, `{"messages":[{"role":"assistant","content":"x"}],"model":"a"}`, llm.Capability{Closed: true}, []llm.Edit{reshape}, "carry messages", false},
		{"thinking renamed", `{"messages":[{"role":"assistant","content":"x","reasoning":"t"}],"model":"a"}`, `{"messages":[{"role":"assistant","content":"x","reasoning_content":"t"}],"model":"a"}`, llm.Capability{Known: true, Has: all, ReasoningField: "reasoning_content"}, []llm.Edit{reshape}, "", false},
		{"thinking required", `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}],"model":"a"}`, `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}],"reasoning_content":""}],"model":"a"}`, llm.Capability{Known: true, Has: all, ReasoningField: "reasoning_content", ReasoningRequired: true}, []llm.Edit{reshape}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, enc := patched(t, c.in, c.c, c.edits...)
			if out != c.out {
				t.Errorf("\n got %s\nwant %s", out, c.out)
			}
			var losses []string
			for _, l := range enc.Losses {
				losses = append(losses, string(l.Kind)+" "+l.Path)
			}
			if got := strings.Join(losses, ","); got != c.losses {
				t.Errorf("losses %q, want %q", got, c.losses)
			}
			if enc.DropUsage != c.drop {
				t.Errorf("DropUsage is %v", enc.DropUsage)
			}
		})
	}
}

func TestPatchSharesMemory(t *testing.T) {
	body := `{"model":"a","messages":[{"role":"user","content":"hello"}]}`
	d := draft(t, body, toModel)
	enc, err := Codec{}.Patch(d, &llm.Capability{})
	if err != nil {
		t.Fatal(err)
	}
	if len(enc.Body) != 3 || &enc.Body[0][0] != &d.Raw[0] || &enc.Body[2][0] != &d.Raw[12] {
		t.Errorf("the segments are copies: %q", enc.Body)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	h, err := Codec{}.Head(llm.OpChat, []byte(`{"model":"a\u0062","stream":true,"max_tokens":3,"max_completion_tokens":4,
		"tools":[ {}],"user":"u","safety_identifier":"s","prompt_cache_key":"c","stream_options":{"include_usage":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.Model != "ab" || !h.Stream || h.MaxTokens != 4 || !h.Tools || h.EndUser != "s" || h.CacheKey != "c" || !h.IncludeUsage || len(h.Members) != 9 {
		t.Errorf("%+v", h)
	}
	for _, c := range []struct{ name, body, says string }{
		{"no object", `[]`, "byte 0"},
		{"cut", `{"model":"a"`, "byte"},
		{"no model", `{}`, "model"},
		{"empty model", `{"model":""}`, "byte 9"},
		{"null model", `{"model":null}`, "byte 9"},
		{"number as model", `{"model":4}`, "byte 9"},
		{"stream as string", `{"model":"a","stream":"true"}`, "stream"},
		{"max as string", `{"model":"a","max_tokens":"5"}`, "max_tokens"},
		{"max negative", `{"model":"a","max_completion_tokens":-5}`, "max_completion_tokens"},
		{"max broken", `{"model":"a","max_tokens":1.5}`, "max_tokens"},
		{"doubled", `{"model":"a","model":"b"}`, "byte 13"},
		{"odd case", `{"model":"a","Stream":true}`, "byte 13"},
		{"folded", "{\"model\":\"a\",\"\\u017ftream\":true}", "byte 13"},
		{"after", `{"model":"a"} {}`, "byte 14"},
		{"utf-8", "{\"model\":\"a\xff\"}", "byte"},
		{"deep", `{"model":"a","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`, "nesting"},
	} {
		_, err := Codec{}.Head(llm.OpChat, []byte(c.body))
		e, ok := err.(*llm.Error)
		if !ok || e.Class != llm.InvalidRequest || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v does not say %q", c.name, err, c.says)
		}
	}
}
