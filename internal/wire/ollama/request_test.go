package ollama

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

func txt(s string) llm.Block { return llm.Block{Kind: llm.BlockText, Text: s} }

func said(turn int, role llm.Role, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Blocks: blocks}
}

func called(turn int, id, name, args string) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Call: llm.Call{ID: id, Name: name, Arguments: []byte(args)}}
}

func answered(turn int, id, s string) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Result: llm.Result{CallID: id}, Blocks: []llm.Block{txt(s)}}
}

// foreign writes a request of another dialect.
func foreign(t testing.TB, r *llm.Request, c llm.Capability) (string, []llm.Loss) {
	t.Helper()
	if r.From == "" {
		r.From = llm.Anthropic
	}
	if r.Items == nil {
		r.Items = []llm.Item{said(0, llm.User, txt("hi"))}
	}
	enc, err := Codec{}.EncodeRequest(r, "pebble:4b", &c)
	return joined(t, enc, err), enc.Losses
}

// get gives the member at a path of a JSON text, as JSON.
func get(t testing.TB, body string, path ...any) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatal(err)
	}
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return ""
			}
			v = l[p]
		}
	}
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func kinds(losses []llm.Loss) string {
	var s []string
	for _, l := range losses {
		s = append(s, string(l.Kind)+" "+l.Path)
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

func TestForeignRequest(t *testing.T) {
	n := int64(100)
	no := false
	tool := llm.Tool{Name: "tide", Schema: jsontext.Value(`{"type":"object","properties":{"h":{"type":"string"}}}`)}
	odd := llm.Tool{Name: "odd", Schema: jsontext.Value(`{"type":"object","additionalProperties":false,"properties":{"h":{"type":"string","pattern":"^a","minLength":2}}}`)}
	image := llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "iVBORw0K"}}
	for _, tt := range []struct {
		name   string
		r      llm.Request
		c      llm.Capability
		at     []any
		want   string // what stands there
		losses string
	}{
		{"stream is said", llm.Request{}, llm.Capability{}, []any{"stream"}, `false`, ""},
		{"a stream too", llm.Request{Stream: true}, llm.Capability{}, []any{"stream"}, `true`, ""},
		{"cap", llm.Request{MaxTokens: &n}, llm.Capability{}, []any{"options", "num_predict"}, `100`, ""},
		{"cap over the model's", llm.Request{MaxTokens: &n}, llm.Capability{MaxOutput: 50}, []any{"options", "num_predict"}, `50`, "warn max_tokens"},
		{"stop and seed", llm.Request{Stop: []string{"a", "b"}, Sampling: llm.Sampling{Seed: jsontext.Value("7")}}, llm.Capability{}, []any{"options", "stop"}, `["a","b"]`, ""},
		{"seed", llm.Request{Sampling: llm.Sampling{Seed: jsontext.Value("7")}}, llm.Capability{}, []any{"options", "seed"}, `7`, ""},
		{"n", llm.Request{N: 2}, llm.Capability{}, nil, "", "refuse n"},
		{"tools", llm.Request{Tools: []llm.Tool{tool}}, llm.Capability{}, []any{"tools", 0, "function", "parameters", "type"}, `"object"`, ""},
		{"lost keywords, once a tool", llm.Request{Tools: []llm.Tool{tool, odd}}, llm.Capability{}, []any{"tools", 1, "function", "parameters", "additionalProperties"}, `false`, "warn tools.1"},
		{"no schema", llm.Request{Tools: []llm.Tool{{Name: "x"}}}, llm.Capability{}, []any{"tools", 0, "function", "parameters"}, `{"properties":{},"type":"object"}`, ""},
		{"forced", llm.Request{Tools: []llm.Tool{tool}, Choice: llm.ToolChoice{Mode: llm.ToolAny}}, llm.Capability{}, []any{"tools"}, "", "refuse tool_choice"},
		{"forced one", llm.Request{Tools: []llm.Tool{tool}, Choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "tide"}}, llm.Capability{}, []any{"tools"}, "", "refuse tool_choice"},
		{"none", llm.Request{Tools: []llm.Tool{tool}, Choice: llm.ToolChoice{Mode: llm.ToolNone}}, llm.Capability{}, []any{"tools"}, "", ""},
		{"subset", llm.Request{Tools: []llm.Tool{odd, tool}, Choice: llm.ToolChoice{Mode: llm.ToolSubset, Names: []string{"tide"}}}, llm.Capability{}, []any{"tools", 0, "function", "name"}, `"tide"`, ""},
		{"one at a time", llm.Request{Tools: []llm.Tool{tool}, ParallelCalls: &no}, llm.Capability{}, nil, "", "warn parallel_tool_calls"},
		{"a server tool", llm.Request{Tools: []llm.Tool{{Name: "web", Type: "web_search_20250305"}}}, llm.Capability{}, []any{"tools"}, "", "refuse tools.0"},
		{"no tools at all", llm.Request{Tools: []llm.Tool{tool}}, llm.Capability{Known: true}, []any{"tools"}, "", "refuse tools"},
		{"schema", llm.Request{Format: llm.Format{Kind: llm.FormatJSONSchema, Schema: jsontext.Value(`{"type":"object"}`)}}, llm.Capability{}, []any{"format"}, `{"type":"object"}`, ""},
		{"json", llm.Request{Format: llm.Format{Kind: llm.FormatJSONObject}}, llm.Capability{}, []any{"format"}, `"json"`, ""},
		{"an image", llm.Request{Items: []llm.Item{said(0, llm.User, image, txt("what?"))}}, llm.Capability{}, []any{"messages", 0}, `{"content":"what?","images":["iVBORw0K"],"role":"user"}`, ""},
		{"an image behind text", llm.Request{Items: []llm.Item{said(0, llm.User, txt("what?"), image)}}, llm.Capability{}, []any{"messages", 1}, `{"content":"","images":["iVBORw0K"],"role":"user"}`, ""},
		{"an image by URL", llm.Request{Items: []llm.Item{said(0, llm.User, llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "https://example.com/a.png"}}, txt("what?"))}}, llm.Capability{}, nil, "", "refuse messages.0"},
		{"an image for the blind", llm.Request{Items: []llm.Item{said(0, llm.User, image)}}, llm.Capability{Known: true}, nil, "", "refuse messages.0"},
		{"a PDF", llm.Request{Items: []llm.Item{said(0, llm.User, llm.Block{Kind: llm.BlockFile, Media: llm.Media{MIME: "application/pdf", Data: "JVBERi0="}})}}, llm.Capability{}, nil, "", "refuse messages.0"},
		{"audio", llm.Request{Items: []llm.Item{said(0, llm.User, llm.Block{Kind: llm.BlockAudio, Media: llm.Media{MIME: "audio/wav", Data: "AAAA"}})}}, llm.Capability{}, nil, "", "refuse messages.0"},
		{"a text document", llm.Request{Items: []llm.Item{said(0, llm.User, llm.Block{Kind: llm.BlockFile, Media: llm.Media{Text: "a,b", Name: "t.csv"}})}}, llm.Capability{}, []any{"messages", 0, "content"}, `"t.csv\n\na,b"`, ""},
		{"developer", llm.Request{Items: []llm.Item{said(0, llm.Developer, txt("a")), said(1, llm.User, txt("b"))}}, llm.Capability{}, []any{"messages", 0, "role"}, `"system"`, ""},
		{"system in the middle", llm.Request{Items: []llm.Item{said(0, llm.User, txt("a")), said(1, llm.System, txt("b"))}}, llm.Capability{Known: true}, []any{"messages", 1}, `{"content":"\u003csystem\u003e\nb\n\u003c/system\u003e","role":"user"}`, "warn messages.1"},
		{"a begun answer", llm.Request{Items: []llm.Item{said(0, llm.User, txt("a")), said(1, llm.Assistant, txt("b"))}}, llm.Capability{Known: true}, nil, "", "refuse messages.1"},
		{"signed thinking", llm.Request{Items: []llm.Item{said(0, llm.User, txt("a")),
			{Kind: llm.ItemReasoning, Role: llm.Assistant, Turn: 1, Path: "messages.1", Blocks: []llm.Block{txt("hm")}, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "x"}}},
			said(1, llm.Assistant, txt("b")), said(2, llm.User, txt("c"))}}, llm.Capability{}, []any{"messages", 1}, `{"content":"b","role":"assistant","thinking":"hm"}`, "carry messages.1"},
		{"a member that means something", llm.Request{Ext: []llm.Member{{Name: "logprobs", Value: jsontext.Value("true")}, {Name: "logit_bias", Value: jsontext.Value(`{"1":2}`)}, {Name: "store", Value: jsontext.Value("null")}}}, llm.Capability{}, nil, "", "refuse logprobs, warn logit_bias"},
		{"an empty answer", llm.Request{MaxTokens: new(int64)}, llm.Capability{}, nil, "", "refuse max_tokens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body, losses := foreign(t, &tt.r, tt.c)
			if tt.at != nil {
				if got := get(t, body, tt.at...); got != tt.want {
					t.Errorf("%v is %s, want %s\n%s", tt.at, got, tt.want, body)
				}
			}
			if got := kinds(losses); got != tt.losses {
				t.Errorf("losses %q, want %q: %v", got, tt.losses, losses)
			}
		})
	}
}

func TestToolLoop(t *testing.T) {
	image := llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "iVBORw0K"}}
	failed := answered(2, "b", "no such harbour")
	failed.Result.IsError = true
	failed.Blocks = append(failed.Blocks, image)
	custom := called(1, "d", "patch", "*** begin")
	custom.Call.Custom = true
	r := &llm.Request{Items: []llm.Item{said(0, llm.User, txt("tides?")),
		said(1, llm.Assistant, txt("I look.")), called(1, "a", "tide", `{ "h": "Husum" }`), called(1, "b", "tide", ``), called(1, "c", "tide", `{"h":`), custom,
		failed, answered(2, "d", "ok"), answered(2, "a", "eight"), said(2, llm.User, txt("well?")),
	}}
	body, losses := foreign(t, r, llm.Capability{})
	same(t, []byte(get(t, body, "messages")), []byte(`[{"role":"user","content":"tides?"},
		{"role":"assistant","content":"I look.","tool_calls":[
			{"id":"a","function":{"index":0,"name":"tide","arguments":{"h":"Husum"}}},
			{"id":"b","function":{"index":1,"name":"tide","arguments":{}}},
			{"id":"c","function":{"index":2,"name":"tide","arguments":{"_raw":"{\"h\":"}}},
			{"id":"d","function":{"index":3,"name":"patch","arguments":{"input":"*** begin"}}}]},
		{"role":"tool","content":"eight","tool_name":"tide","tool_call_id":"a"},
		{"role":"tool","content":"Error: no such harbour","images":["iVBORw0K"],"tool_name":"tide","tool_call_id":"b"},
		{"role":"tool","content":"[no result]","tool_name":"tide","tool_call_id":"c"},
		{"role":"tool","content":"ok","tool_name":"patch","tool_call_id":"d"},
		{"role":"user","content":"well?"}]`))
	if got := kinds(losses); got != "warn messages.1" {
		t.Error(losses)
	}
	if !strings.Contains(body, `"arguments":{ "h": "Husum" }`) {
		t.Errorf("the model's bytes are changed: %s", body)
	}
	// A result that answers nothing is refused.
	_, losses = foreign(t, &llm.Request{Items: []llm.Item{said(0, llm.User, txt("a")), called(1, "a", "tide", `{}`), answered(2, "z", "x")}}, llm.Capability{})
	if got := kinds(losses); got != "refuse messages.2, warn messages.1" {
		t.Error(losses)
	}
}

// Eight calls whose results come in any order: the order of the calls stands.
func TestManyCalls(t *testing.T) {
	items := []llm.Item{said(0, llm.User, txt("go"))}
	want := ""
	for i := range 8 {
		items = append(items, called(1, fmt.Sprintf("c%d", i), "f", "{}"))
		want += fmt.Sprintf("c%d ", i)
	}
	for i := range 8 {
		items = append(items, answered(2, fmt.Sprintf("c%d", (i*3+5)%8), "r"))
	}
	for range 100 {
		body, losses := foreign(t, &llm.Request{Items: items}, llm.Capability{})
		got := ""
		for i := 2; i < 10; i++ {
			got += strings.Trim(get(t, body, "messages", i, "tool_call_id"), `"`) + " "
		}
		if got != want || len(losses) > 0 {
			t.Fatalf("%s, %v", got, losses)
		}
	}
}

func TestWindow(t *testing.T) {
	n := int64(20000)
	image := llm.Block{Kind: llm.BlockImage, Media: llm.Media{Data: strings.Repeat("AAAA", 100000)}}
	for _, tt := range []struct {
		name string
		r    llm.Request
		c    llm.Capability
		want string
	}{
		{"small", llm.Request{}, llm.Capability{}, "8192"}, // the answer's own room
		{"long", llm.Request{Items: []llm.Item{said(0, llm.User, txt(strings.Repeat("word ", 9000)))}}, llm.Capability{}, "32768"},
		{"long answer", llm.Request{MaxTokens: &n}, llm.Capability{}, "32768"},
		{"bounded", llm.Request{MaxTokens: &n}, llm.Capability{Window: 16000}, "16000"},
		{"a picture is not its bytes", llm.Request{Items: []llm.Item{said(0, llm.User, image)}}, llm.Capability{}, "8192"},
	} {
		body, _ := foreign(t, &tt.r, tt.c)
		if got := get(t, body, "options", "num_ctx"); got != tt.want {
			t.Errorf("%s: num_ctx %s, want %s", tt.name, got, tt.want)
		}
	}
	short := int64(10)
	if body, _ := foreign(t, &llm.Request{MaxTokens: &short}, llm.Capability{}); get(t, body, "options", "num_ctx") != "4096" {
		t.Error(body)
	}
	// What an Ollama client asks for is its own business.
	r := decoded(t, oneCase(t, "text", "request.json"))
	enc, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
	if body := joined(t, enc, err); strings.Contains(body, "num_ctx") {
		t.Error(body)
	}
}

func TestThink(t *testing.T) {
	booleans := llm.Capability{Known: true, Has: llm.Thinking}
	levels := llm.Capability{Known: true, Has: llm.Thinking, Efforts: []string{"low", "medium", "high"}, DefaultEffort: "medium"}
	blind := llm.Capability{Known: true}
	for _, tt := range []struct {
		name string
		r    llm.Reasoning
		c    llm.Capability
		want string
		warn bool
	}{
		{"unsaid", llm.Reasoning{}, levels, "", false},
		{"on", llm.Reasoning{Mode: llm.ThinkAdaptive}, llm.Capability{}, "true", false},
		{"on, booleans", llm.Reasoning{Mode: llm.ThinkAdaptive}, booleans, "true", false},
		{"on, levels", llm.Reasoning{Mode: llm.ThinkAdaptive}, levels, `"medium"`, false},
		{"off", llm.Reasoning{Mode: llm.ThinkOff}, llm.Capability{}, "false", false},
		{"off by effort", llm.Reasoning{Effort: "none"}, booleans, "false", false},
		{"off, levels", llm.Reasoning{Mode: llm.ThinkOff}, levels, `"low"`, true},
		{"off where nothing thinks", llm.Reasoning{Mode: llm.ThinkOff}, blind, "", false},
		{"on where nothing thinks", llm.Reasoning{Mode: llm.ThinkOn, Budget: 9}, blind, "", true},
		{"effort", llm.Reasoning{Effort: "high"}, levels, `"high"`, false},
		{"effort over the top", llm.Reasoning{Effort: "max"}, levels, `"high"`, true},
		{"effort, nobody knows", llm.Reasoning{Effort: "xhigh"}, llm.Capability{}, `"max"`, true},
		{"effort, booleans", llm.Reasoning{Effort: "high"}, booleans, "true", true},
		{"budget, levels", llm.Reasoning{Mode: llm.ThinkOn, Budget: 2000}, levels, `"low"`, true},
		{"budget, nobody knows", llm.Reasoning{Mode: llm.ThinkOn, Budget: 2000}, llm.Capability{}, `true`, true},
	} {
		got, why := fitThink(tt.r, &tt.c)
		if got != tt.want || (why != "") != tt.warn {
			t.Errorf("%s: %s, %q", tt.name, got, why)
		}
		body, losses := foreign(t, &llm.Request{Reasoning: tt.r}, tt.c)
		if get(t, body, "think") != tt.want || (len(losses) > 0) != tt.warn {
			t.Errorf("%s: %s, %v", tt.name, body, losses)
		}
	}
}

// A longer conversation begins with the bytes of the shorter one.
func TestPrefix(t *testing.T) {
	items := []llm.Item{said(0, llm.System, txt("Be brief.")), said(1, llm.User, txt("a"))}
	tools := []llm.Tool{{Name: "f", Schema: jsontext.Value(`{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"string"}}}`)}}
	short, _ := foreign(t, &llm.Request{Items: items, Tools: tools}, llm.Capability{})
	items = append(items, said(2, llm.Assistant, txt("b")), called(2, "c", "f", `{"z":"<&>"}`), answered(3, "c", "d"))
	long, _ := foreign(t, &llm.Request{Items: items, Tools: tools}, llm.Capability{})
	head := short[:strings.Index(short, `],"options"`)]
	if !strings.HasPrefix(long, head) {
		t.Errorf("\n%s\n%s", short, long)
	}
}

func TestCustomTool(t *testing.T) {
	r := &llm.Request{From: llm.OpenAI, Items: []llm.Item{said(0, llm.User, txt("a"))}, Tools: []llm.Tool{{Name: "patch", Type: "custom"}}}
	enc, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
	body := joined(t, enc, err)
	if !enc.Customs["patch"] || get(t, body, "tools", 0, "function", "parameters", "required") != `["input"]` {
		t.Errorf("%v %s", enc.Customs, body)
	}
}

func TestPatch(t *testing.T) {
	levels := llm.Capability{Known: true, Has: llm.AllFeatures, Efforts: []string{"low", "medium", "high"}}
	none := llm.Capability{Known: true}
	reshape := llm.Edit{Kind: llm.EditReshape}
	for _, tt := range []struct {
		name, body string
		edits      []llm.Edit
		c          llm.Capability
		want       string
		losses     string
	}{
		{"model", `{"messages":[], "model" : "a" ,"x":1.0}`, []llm.Edit{{Kind: llm.EditModel, Text: "b\"c"}}, llm.Capability{}, `{"messages":[], "model" : "b\"c" ,"x":1.0}`, ""},
		{"usage is always told", `{"model":"a"}`, []llm.Edit{{Kind: llm.EditUsage}}, llm.Capability{}, `{"model":"a"}`, ""},
		{"cap, no options", `{"model":"a"}`, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 5}}, llm.Capability{}, `{"model":"a","options":{"num_predict":5}}`, ""},
		{"cap, empty options", `{"model":"a","options":{ }}`, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 5}}, llm.Capability{}, `{"model":"a","options":{"num_predict":5}}`, ""},
		{"cap, null options", `{"options":null,"model":"a"}`, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 5}}, llm.Capability{}, `{"options":{"num_predict":5},"model":"a"}`, ""},
		{"cap, other options", `{"options":{"seed": 1 },"model":"a"}`, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 5}, {Kind: llm.EditModel, Text: "b"}}, llm.Capability{}, `{"options":{"seed": 1,"num_predict":5 },"model":"b"}`, ""},
		{"cap, replaced", `{"options":{"num_predict":-1,"seed":1},"model":"a"}`, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 5}}, llm.Capability{}, `{"options":{"num_predict":5,"seed":1},"model":"a"}`, ""},
		{"think to a level", `{"model":"a","think":true}`, []llm.Edit{reshape}, levels, `{"model":"a","think":"medium"}`, ""},
		{"a level that is there", `{"model":"a","think":"high"}`, []llm.Edit{reshape}, levels, `{"model":"a","think":"high"}`, ""},
		{"think off", `{"model":"a","think":false}`, []llm.Edit{reshape}, levels, `{"model":"a","think":"low"}`, "warn think"},
		{"think where nothing thinks", `{"think":true,"model":"a"}`, []llm.Edit{reshape}, none, `{"model":"a"}`, "warn think"},
		{"what it cannot do", `{"model":"a","tools":[{}],"format":"json","messages":[{"images":["x"]}]}`, []llm.Edit{reshape}, none, `{"model":"a","tools":[{}],"format":"json","messages":[{"images":["x"]}]}`, "refuse format, refuse images, refuse tools"},
		{"nobody knows", `{"model":"a","tools":[{}],"think":"max"}`, []llm.Edit{reshape}, llm.Capability{}, `{"model":"a","tools":[{}],"think":"max"}`, ""},
		{"without reshape", `{"model":"a","think":true,"tools":[{}]}`, nil, none, `{"model":"a","think":true,"tools":[{}]}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := Codec{}.Head(llm.OpChat, []byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			d := llm.NewDraft(llm.Ollama, llm.OpChat, []byte(tt.body), h, nil)
			for _, e := range tt.edits {
				d = d.With(e)
			}
			enc, err := Codec{}.Patch(&d, &tt.c)
			if got := joined(t, enc, err); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
			if got := kinds(enc.Losses); got != tt.losses || enc.DropUsage {
				t.Errorf("losses %q", got)
			}
		})
	}
	d := llm.NewDraft(llm.OpenAI, llm.OpChat, []byte(`{}`), llm.Head{}, nil)
	if _, err := (Codec{}).Patch(&d, &llm.Capability{}); err == nil {
		t.Error("another dialect's draft is patched")
	}
}

// The words of this dialect alone, without what was received.
func TestBareWords(t *testing.T) {
	for name, body := range files(t, "request.json") {
		if strings.HasPrefix(name, "refused") {
			continue
		}
		r, err := codecOf(name).DecodeRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		bare := *r
		bare.Raw = nil
		enc, err := codecOf(name).EncodeRequest(&bare, r.Model, &llm.Capability{})
		back, err := codecOf(name).DecodeRequest([]byte(joined(t, enc, err)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(back.Items) != len(r.Items) || back.Stream != r.Stream || !reflect.DeepEqual(back.Stop, r.Stop) || back.Reasoning != r.Reasoning || back.Format.Kind != r.Format.Kind {
			t.Errorf("%s: %+v became %+v", name, r, back)
		}
		for i := range back.Items {
			a, b := &r.Items[i], &back.Items[i]
			if a.Kind != b.Kind || a.Role != b.Role || a.Text() != b.Text() || a.Call.ID != b.Call.ID || string(a.Call.Arguments) != string(b.Call.Arguments) || a.Type != b.Type || a.Result.CallID != b.Result.CallID {
				t.Errorf("%s: item %d %+v became %+v", name, i, a, b)
			}
		}
	}
}
