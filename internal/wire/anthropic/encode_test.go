package anthropic

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

// write encodes words for a model and checks what must hold of every body.
func write(t *testing.T, r *llm.Request, c *llm.Capability) (string, llm.Encoded) {
	t.Helper()
	e, err := Codec{}.EncodeRequest(r, "m", c)
	if err != nil {
		t.Fatal(err)
	}
	body := joined(e)
	if !validJSON(body) {
		t.Fatalf("not JSON: %s", body)
	}
	if llm.Refusal(e.Losses) == nil {
		lawful(t, body)
	}
	return string(body), e
}

// lawful holds a body against the message-shape rules whose breach is a 400.
func lawful(t *testing.T, body []byte) {
	t.Helper()
	if _, err := (Codec{}).Head(llm.OpChat, body); err != nil {
		t.Errorf("head: %v\n%s", err, body)
	}
	r, err := Codec{}.DecodeRequest(body)
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	open := map[string]bool{}
	last := llm.Role("")
	turn := -1
	for i := range r.Items {
		it := &r.Items[i]
		if it.Path == "system" {
			continue
		}
		if it.Turn != turn {
			if it.Role == last {
				t.Errorf("two turns of %s in a row\n%s", last, body)
			}
			if turn < 0 && it.Role != llm.User {
				t.Errorf("the first turn is the %s's\n%s", it.Role, body)
			}
			if it.Role == llm.System && last != llm.User {
				t.Errorf("a system message after %s\n%s", last, body)
			}
			if len(open) > 0 && it.Kind != llm.ItemToolResult {
				t.Errorf("calls %v without results at once\n%s", open, body)
			}
			last, turn = it.Role, it.Turn
		}
		for _, b := range it.Blocks {
			if b.Kind == llm.BlockText && it.Kind != llm.ItemReasoning && blank(b.Text) {
				t.Errorf("an empty text block\n%s", body)
			}
		}
		switch it.Kind {
		case llm.ItemToolCall:
			if !plainName(it.Call.ID) || it.Call.ID == "" || len(it.Call.Name) > 64 || !plainName(it.Call.Name) || open[it.Call.ID] {
				t.Errorf("call %q %q\n%s", it.Call.ID, it.Call.Name, body)
			}
			if kindOf(it.Call.Arguments) != '{' {
				t.Errorf("input %s", it.Call.Arguments)
			}
			open[it.Call.ID] = true
		case llm.ItemToolResult:
			if !open[it.Result.CallID] {
				t.Errorf("a result for %q\n%s", it.Result.CallID, body)
			}
			delete(open, it.Result.CallID)
		}
	}
}

func losses(e llm.Encoded) string {
	var s []string
	for _, l := range e.Losses {
		s = append(s, string(l.Kind)+" "+l.Path)
	}
	return strings.Join(s, ", ")
}

func ptr[T any](v T) *T { return &v }

// TestTurns checks how conversations become messages.
func TestTurns(t *testing.T) {
	signed := []llm.Item{{Kind: llm.ItemReasoning, Role: llm.Assistant, Path: "r",
		Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "c2ln"}}}}
	redacted := []llm.Item{{Kind: llm.ItemReasoning, Role: llm.Assistant, Path: "r", Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: "cmVk"}}}}
	foreign := []llm.Item{{Kind: llm.ItemReasoning, Role: llm.Assistant, Path: "r",
		Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}, Opaque: []llm.Opaque{{Issuer: llm.IssuerOpenAI, Kind: llm.OpaqueEncrypted, Data: "ZW5j"}}}}
	one := func(groups ...[]llm.Item) []llm.Item { // one source message
		var out []llm.Item
		for _, g := range groups {
			out = append(out, g...)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		items  [][]llm.Item
		cap    *llm.Capability
		want   string // system, if any, and messages
		losses string
	}{
		{"one system as a string", [][]llm.Item{system("S"), user("Hi")}, nil,
			`"system":"S","messages":[{"role":"user","content":"Hi"}]`, ""},
		{"several systems as blocks", [][]llm.Item{system("S"), said(llm.Developer, "D"), user("Hi")}, nil,
			`"system":[{"type":"text","text":"S"},{"type":"text","text":"D"}],"messages":[{"role":"user","content":"Hi"}]`, ""},
		{"empty texts are left out", [][]llm.Item{system(""), user("Hi", " \n"), assistant(""), user("", "Ho")}, nil,
			`"messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"text","text":"Ho"}]}]`, ""},
		{"same roles are joined", [][]llm.Item{user("a"), user("b"), assistant("c"), assistant("d"), user("e")}, nil,
			`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]},{"role":"user","content":"e"}]`, ""},
		{"empty text beside a call (bug 25)", [][]llm.Item{user("a"), one(assistant(""), assistantCall("c1", "f", `{"x": 9007199254740993}`)), result("c1", "r")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"x": 9007199254740993}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r"}]}]`, ""},
		{"results in call order, first, before text (bug 26)", [][]llm.Item{user("a"), one(assistantCall("c1", "f", ""), assistantCall("c2", "g", "{}")), result("c2", "2"), user("and?"), result("c1", "1")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}},{"type":"tool_use","id":"c2","name":"g","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"1"},{"type":"tool_result","tool_use_id":"c2","content":"2"},{"type":"text","text":"and?"}]}]`, ""},
		{"broken input", [][]llm.Item{user("a"), assistantCall("c1", "f", `{"x": "cut`), result("c1", "")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{"_raw":"{\"x\": \"cut"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1"}]}]`, ""},
		{"an orphan result", [][]llm.Item{user("a"), result("c9", "r")}, nil, "", "refuse result"},
		{"an unanswered call", [][]llm.Item{user("a"), assistantCall("c1", "f", ""), user("b")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"[no result]"},{"type":"text","text":"b"}]}]`, "refuse messages"},
		{"a call at the end", [][]llm.Item{user("a"), assistantCall("c1", "f", "")}, nil, "", "refuse messages"},
		{"genuine thinking stays in place (bug 3)", [][]llm.Item{user("a"), one(signed, redacted, assistant("t"), assistantCall("c1", "f", "")), result("c1", "r")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"t"},{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r"}]}]`, ""},
		{"foreign thinking is left out (bug 4)", [][]llm.Item{user("a"), one(foreign, assistant("t")), user("b")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"t"},{"role":"user","content":"b"}]`, "carry r"},
		{"nothing but foreign thinking", [][]llm.Item{user("a"), foreign, user("b")}, nil,
			`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]`, "carry r"},
		{"system after a user turn, last (bug 33)", [][]llm.Item{user("a"), system("S")}, opus55(),
			`"messages":[{"role":"user","content":"a"},{"role":"system","content":"S"}]`, ""},
		{"system after results", [][]llm.Item{user("a"), assistantCall("c1", "f", ""), result("c1", "r"), system("S"), assistant("b"), user("c")}, opus55(),
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r"}]},{"role":"system","content":"S"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, ""},
		{"system between assistant and user", [][]llm.Item{user("a"), assistant("b"), system("S"), user("c")}, opus55(),
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":[{"type":"text","text":"<system-message>\nS\n</system-message>"},{"type":"text","text":"c"}]}]`, "warn messages.system"},
		{"system before results", [][]llm.Item{user("a"), assistantCall("c1", "f", ""), system("S"), result("c1", "r")}, opus55(),
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"r"},{"type":"text","text":"<system-message>\nS\n</system-message>"}]}]`, "warn messages.system"},
		{"system where the model has none", [][]llm.Item{user("a"), system("S"), assistant("b"), user("c")}, sonnet5(),
			`"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"<system-message>\nS\n</system-message>"}]},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, "warn messages.system"},
		{"an empty system inside", [][]llm.Item{user("a"), assistant("b"), system(""), user("c")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]`, ""},
		{"only a system", [][]llm.Item{system("S", "T")}, nil,
			`"messages":[{"role":"user","content":[{"type":"text","text":"S"},{"type":"text","text":"T"}]}]`, "warn messages.system"},
		{"the assistant begins", [][]llm.Item{assistant("Hello!"), user("Hi")}, nil,
			`"messages":[{"role":"user","content":"[The conversation begins with the assistant.]"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"Hi"}]`, "warn messages"},
		{"prefill", [][]llm.Item{user("a"), assistant("{ ")}, haiku45(),
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"{"}]`, ""},
		{"prefill refused", [][]llm.Item{user("a"), assistant("b")}, opus55(), "", "refuse messages"},
		{"nothing", nil, nil, "", "refuse messages"},
		{"ids and repeats", [][]llm.Item{user("a"), assistantCall("functions.f:0", "f", ""), result("functions.f:0", "1"), assistantCall("functions.f:0", "f", ""), result("functions.f:0", "2")}, nil,
			`"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"ID1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"ID1","content":"1"}]},{"role":"assistant","content":[{"type":"tool_use","id":"ID2","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"ID2","content":"2"}]}]`, ""},
		{"no ids: by position", [][]llm.Item{user("a"), one(assistantCall("", "f", ""), assistantCall("", "g", "")), result("", "1"), result("", "2")}, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, e := write(t, chat(c.items...), c.cap)
			if c.want != "" {
				_, got, _ := strings.Cut(body, `,"system"`)
				if got = `"system"` + got; !strings.Contains(body, `,"system":`) || !strings.Contains(c.want, `"system":`) {
					_, got, _ = strings.Cut(body, `,"messages"`)
					got = `"messages"` + got
				}
				want := c.want
				if strings.Contains(want, "ID1") {
					id := "toolu_" + hash("functions.f:0")
					want = strings.ReplaceAll(want, "ID1", id)
					want = strings.ReplaceAll(want, "ID2", "toolu_"+hash(id+"\x002"))
				}
				if diff := cmp.Diff(want+"}", got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			// A refusal may bring others with it.
			if got := losses(e); !strings.HasPrefix(got, c.losses) || c.losses == "" && got != "" {
				t.Errorf("losses %q, want %q", got, c.losses)
			}
		})
	}
}

// TestParts checks media (bug 20: arrives, or is refused, never absent).
func TestParts(t *testing.T) {
	png := "iVBORw0KGgoAAAANSUhEUg=="
	pdf := "JVBERi0xLjQKJcOkw7w="
	for _, c := range []struct {
		name   string
		block  llm.Block
		cap    *llm.Capability
		want   string
		losses string
	}{
		{"a mislabelled image", llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/jpeg", Data: png}}, nil,
			`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}`, ""},
		{"a data URL", llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "data:image/png;base64," + png}}, nil,
			`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + png + `"}}`, ""},
		{"a URL with detail and a mark", llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "https://e.com/a?b=1&c", Detail: "high"}, Cache: raw(`{"type":"ephemeral","ttl":"1h"}`)}, nil,
			`{"type":"image","source":{"type":"url","url":"https://e.com/a?b=1&c"},"cache_control":{"type":"ephemeral","ttl":"1h"}}`, "warn messages.part"},
		{"a breakpoint", llm.Block{Kind: llm.BlockText, Text: "x", Ext: []llm.Member{{Name: "prompt_cache_breakpoint", Value: raw(`{"mode":"explicit"}`)}}}, nil,
			`{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`, ""},
		{"a file URL", llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "file:///etc/passwd"}}, nil, "", "refuse messages.part"},
		{"a bitmap", llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/bmp", Data: "Qk0="}}, nil, "", "refuse messages.part"},
		{"an image for the blind", llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "https://e.com/a"}}, row(llm.Tools, nil, nil, false), "", "refuse messages.part"},
		{"a PDF", llm.Block{Kind: llm.BlockFile, Media: llm.Media{Data: pdf, Name: "a.pdf"}}, nil,
			`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"` + pdf + `"},"title":"a.pdf"}`, ""},
		{"a text file", llm.Block{Kind: llm.BlockFile, Media: llm.Media{Data: "aMOp", MIME: "text/markdown"}}, nil,
			`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hé"}}`, ""},
		{"a spreadsheet", llm.Block{Kind: llm.BlockFile, Media: llm.Media{Data: "UEsD", MIME: "application/x"}}, nil, "", "refuse messages.part"},
		{"a file id", llm.Block{Kind: llm.BlockFile, Media: llm.Media{FileID: "file-1"}}, nil, "", "refuse messages.part"},
		{"sound", llm.Block{Kind: llm.BlockAudio, Media: llm.Media{Data: "AA=="}}, nil, "", "refuse messages.part"},
		{"an unknown part", llm.Block{Kind: llm.BlockOpaque, Type: "video", Raw: raw(`{}`)}, nil, "", "refuse messages.part"},
		{"a refusal", llm.Block{Kind: llm.BlockRefusal, Text: "no"}, nil, `"no"`, ""},
		{"an unknown member", llm.Block{Kind: llm.BlockText, Text: "x", Ext: []llm.Member{{Name: "p", Value: raw(`1`)}, {Name: "q", Value: raw(`null`)}}}, nil, `"x"`, "warn messages.part.p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, e := write(t, chat(user("see"), part(c.block)), c.cap)
			if c.want != "" && !strings.Contains(body, c.want) {
				t.Errorf("want %s in %s", c.want, body)
			}
			if got := losses(e); !strings.HasPrefix(got, c.losses) || c.losses == "" && got != "" {
				t.Errorf("losses %q, want %q", got, c.losses)
			}
		})
	}
}

// TestMembers checks the members beside the messages, model by model.
func TestMembers(t *testing.T) {
	effort := func(s string) func(*llm.Request) { return func(r *llm.Request) { r.Reasoning.Effort = s } }
	tool := func(r *llm.Request) {
		r.Tools = []llm.Tool{{Name: "f", Schema: raw(`{"properties":{"a":{"type":"string"}}}`), From: llm.OpenAI}}
	}
	for _, c := range []struct {
		name    string
		edit    func(*llm.Request)
		cap     *llm.Capability
		want    string // "|"-separated, all must be there; "!" must not
		losses  string
		version string
	}{
		{"no max_tokens", nil, opus55(), `"max_tokens":128000`, "", versionNew},
		{"no max_tokens, unknown model", nil, nil, `"max_tokens":32000`, "", versionOld},
		{"max_tokens too high", func(r *llm.Request) { r.MaxTokens = ptr(int64(200000)) }, opus55(), `"max_tokens":128000`, "warn max_tokens", versionNew},
		{"temperature clamped", func(r *llm.Request) { r.Sampling.Temperature = raw("1.7") }, haiku45(), `"temperature":1`, "warn temperature", versionOld},
		{"temperature kept as spelled", func(r *llm.Request) { r.Sampling.Temperature = raw("0.70") }, haiku45(), `"temperature":0.70`, "", versionOld},
		{"sampling refused", func(r *llm.Request) { r.Sampling.Temperature, r.Sampling.TopP = raw("0.2"), raw("1") }, opus55(), `!temperature|!top_p`, "warn temperature", versionNew},
		{"sampling at its default", func(r *llm.Request) { r.Sampling.Temperature, r.Sampling.TopP = raw("1.0"), raw("1") }, opus55(), `!temperature|!top_p`, "", versionNew},
		{"both", func(r *llm.Request) { r.Sampling.Temperature, r.Sampling.TopP = raw("0.2"), raw("0.5") }, haiku45(), `"temperature":0.2|!top_p`, "warn top_p", versionOld},
		{"effort and adaptive", effort("high"), opus48(), `"thinking":{"type":"adaptive"}|"output_config":{"effort":"high"}`, "", versionNew},
		{"minimal", effort("minimal"), opus55(), `"effort":"low"`, "warn reasoning_effort", versionNew},
		{"xhigh where there is none", effort("xhigh"), opus46(), `"type":"adaptive"|"effort":"high"`, "warn reasoning_effort", versionOld},
		{"effort as a budget", effort("medium"), haiku45(), `"thinking":{"type":"enabled","budget_tokens":8192}|"max_tokens":64000|!output_config`, "", versionOld},
		{"a budget on top of max_tokens", func(r *llm.Request) { effort("low")(r); r.MaxTokens = ptr(int64(1000)) }, haiku45(), `"budget_tokens":2048|"max_tokens":3048`, "warn max_tokens", versionOld},
		{"effort and budget", effort("high"), opus45(), `"budget_tokens":16384|"effort":"high"`, "", versionOld},
		{"effort on a model that cannot", effort("high"), row(base, nil, nil, false), `!thinking|!output_config`, "warn reasoning_effort", versionNew},
		{"none where it can be off", effort("none"), haiku55(), `"thinking":{"type":"disabled"}`, "", versionNew},
		{"none where it is off", effort("none"), opus48(), `!thinking`, "", versionNew},
		{"none between tools", effort("none"), sonnet55(), `"thinking":{"type":"between_tools"}`, "warn thinking", versionNew},
		{"none where it cannot be off", effort("none"), opus55(), `!thinking|"effort":"low"`, "warn thinking", versionNew},
		{"temperature while thinking", func(r *llm.Request) { effort("low")(r); r.Sampling.Temperature = raw("0") }, opus46(), `!temperature|adaptive`, "warn temperature", versionOld},
		{"n", func(r *llm.Request) { r.N = 2 }, nil, "", "refuse n", ""},
		{"hints", func(r *llm.Request) {
			r.Sampling.Seed, r.Sampling.FrequencyPenalty, r.Sampling.PresencePenalty = raw("7"), raw("0"), raw("0.5")
			r.ServiceTier = "flex"
			r.Ext = []llm.Member{{Name: "verbosity", Value: raw(`"low"`)}, {Name: "metadata", Value: raw(`{"a":"b"}`)}, {Name: "store", Value: raw("true")}, {Name: "logit_bias", Value: raw("{}")}, {Name: "prompt_cache_key", Value: raw(`"k"`)}, {Name: "x", Value: raw("null")}}
		}, nil, "", "warn verbosity, warn metadata, warn store, warn logit_bias, warn seed, warn presence_penalty, warn service_tier", ""},
		{"logprobs", func(r *llm.Request) { r.Ext = []llm.Member{{Name: "logprobs", Value: raw("true")}} }, nil, "", "refuse logprobs", ""},
		{"no logprobs", func(r *llm.Request) {
			r.Ext = []llm.Member{{Name: "logprobs", Value: raw("false")}, {Name: "modalities", Value: raw(`["text"]`)}}
		}, nil, "", "", ""},
		{"stops", func(r *llm.Request) { r.Stop = []string{"END", "\n"} }, nil, `"stop_sequences":["END"]`, "warn stop", ""},
		{"end user", func(r *llm.Request) { r.EndUser = "u" }, nil, `"metadata":{"user_id":"u"}`, "", ""},
		{"schema", func(r *llm.Request) {
			r.Format = llm.Format{Kind: llm.FormatJSONSchema, Name: "n", Schema: raw(`{"type": "object"}`)}
		}, opus55(), `"output_config":{"format":{"type":"json_schema","schema":{"type": "object"}}}`, "", ""},
		{"schema refused", func(r *llm.Request) { r.Format = llm.Format{Kind: llm.FormatJSONSchema} }, row(llm.Tools, nil, nil, false), "!output_config", "refuse response_format", ""},
		{"json_object", func(r *llm.Request) { r.Format = llm.Format{Kind: llm.FormatJSONObject} }, nil, "", "refuse response_format", ""},
		{"a schema without a type", tool, nil, `"tools":[{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]`, "", ""},
		{"no schema", func(r *llm.Request) { r.Tools = []llm.Tool{{Name: "f"}} }, nil, `"input_schema":{"type":"object","properties":{}}`, "", ""},
		{"strict and a mark", func(r *llm.Request) {
			r.Tools = []llm.Tool{{Name: "f", Description: "d", Schema: raw(`{"type":"object"}`), Strict: ptr(true), Cache: raw(`{"type":"ephemeral"}`)}}
		}, nil, `{"name":"f","description":"d","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"}}`, "", ""},
		{"a custom tool", func(r *llm.Request) { r.Tools = []llm.Tool{{Name: "f", Type: "custom"}} }, nil, customSchema, "carry tools.0", ""},
		{"another's server tool", func(r *llm.Request) { r.Tools = []llm.Tool{{Type: "web_search"}} }, nil, "!tools", "refuse tools.0", ""},
		{"any", func(r *llm.Request) { tool(r); r.Choice.Mode = llm.ToolAny }, haiku55(), `"tool_choice":{"type":"any"}`, "", ""},
		{"any refused", func(r *llm.Request) { tool(r); r.Choice.Mode = llm.ToolAny }, opus55(), `"tool_choice":{"type":"auto"}`, "refuse tool_choice", ""},
		{"only, alone", func(r *llm.Request) {
			tool(r)
			r.Choice = llm.ToolChoice{Mode: llm.ToolOnly, Name: "f"}
			r.ParallelCalls = ptr(false)
		}, nil, `"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}`, "", ""},
		{"not parallel", func(r *llm.Request) { tool(r); r.ParallelCalls = ptr(false) }, nil, `"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, "", ""},
		{"not parallel without tools", func(r *llm.Request) { r.ParallelCalls = ptr(false); r.Choice.Mode = llm.ToolAuto }, nil, `!tool_choice`, "", ""},
		{"never", func(r *llm.Request) { tool(r); r.Choice.Mode = llm.ToolNone; r.ParallelCalls = ptr(false) }, nil, `"tool_choice":{"type":"none"}`, "", ""},
		{"subset", func(r *llm.Request) {
			r.Tools = []llm.Tool{{Name: "f"}, {Name: "g"}}
			r.Choice = llm.ToolChoice{Mode: llm.ToolSubset, Names: []string{"g"}, Forced: true}
		}, haiku55(), `!"f"|"name":"g"|"type":"any"`, "warn tool_choice", ""},
		{"forced beside a budget", func(r *llm.Request) { tool(r); r.Choice.Mode = llm.ToolAny; effort("high")(r) }, haiku45(), `!thinking|"type":"any"`, "warn thinking, warn reasoning_effort", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := chat(user("Hi"))
			if c.edit != nil {
				c.edit(r)
			}
			body, e := write(t, r, c.cap)
			for _, want := range strings.Split(c.want, "|") {
				if not, ok := strings.CutPrefix(want, "!"); ok {
					if strings.Contains(body, not) {
						t.Errorf("%s is in %s", not, body)
					}
				} else if !strings.Contains(body, want) {
					t.Errorf("%s is not in %s", want, body)
				}
			}
			if got := losses(e); got != c.losses {
				t.Errorf("losses %q, want %q", got, c.losses)
			}
			if v := e.Header.Get("anthropic-version"); c.version != "" && v != c.version {
				t.Errorf("version %s", v)
			}
		})
	}
}

// TestOpenLoop: on models with budgets an open tool loop must begin with its
// thinking; lost thinking turns it off (bug 3).
func TestOpenLoop(t *testing.T) {
	r := chat(user("a"), assistantCall("c1", "f", ""), result("c1", "r"))
	r.Reasoning.Effort = "high"
	body, e := write(t, r, haiku45())
	if strings.Contains(body, `"thinking"`) || losses(e) != "warn thinking" {
		t.Errorf("%s: %s", losses(e), body)
	}
}

// TestToolNames: names that the wire refuses are mapped and come back (bug 27).
func TestToolNames(t *testing.T) {
	long := strings.Repeat("n", 63)
	names := []string{"ok_Name-1", long, long + "x", long + "xy", long + "xz", "a.b/c", "a_b_c", "größe", "", "日本"}
	r := chat(user("a"))
	for _, n := range names {
		r.Tools = append(r.Tools, llm.Tool{Name: n})
		call := assistantCall("c"+hash(n), n, "")
		r.Items = append(r.Items, call[0])
		r.Items = append(r.Items, result("c"+hash(n), "r")...)
	}
	r.Choice = llm.ToolChoice{Mode: llm.ToolOnly, Name: "a.b/c"}
	body, e := write(t, r, nil)
	q, err := Codec{}.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	back := func(wire string) string {
		if len(wire) > 64 || wire == "" || !plainName(wire) {
			t.Errorf("%q is no name", wire)
		}
		if n, ok := e.Names[wire]; ok {
			return n
		}
		return wire
	}
	seen := map[string]bool{}
	for i, tool := range q.Tools {
		if seen[tool.Name] {
			t.Errorf("%q stands for two tools", tool.Name)
		}
		seen[tool.Name] = true
		if back(tool.Name) != names[i] {
			t.Errorf("%q came back as %q", names[i], back(tool.Name))
		}
	}
	if back(q.Choice.Name) != "a.b/c" {
		t.Errorf("the choice is %q", q.Choice.Name)
	}
	if _, same := e.Names[long]; same {
		t.Error("a good name was mapped")
	}
}

// TestPrefix: the bytes of one turn begin the bytes of the next (bug 24).
func TestPrefix(t *testing.T) {
	all := [][]llm.Item{
		system("S"), user("<&> \u2028 é"), assistantCall("call:1", "f.x", `{"b": 1e400, "a": 9007199254740993}`), result("call:1", "r1"),
		assistant("done"), user("next"), append(assistantCall("call:1", "f.x", ""), assistantCall("call:2", "g", "")...), append(result("call:1", "a"), result("call:2", "b")...), assistant("bye"), user("last"),
	}
	before := ""
	for n := 2; n <= len(all); n++ {
		if k := all[n-1][0]; k.Kind == llm.ItemToolCall || k.Role == llm.Assistant {
			continue
		}
		r := chat(all[:n]...)
		r.Tools = []llm.Tool{{Name: "f.x", Schema: raw(`{"type":"object"}`)}, {Name: "g"}}
		for range 20 {
			body, _ := write(t, r, opus55())
			stem := strings.TrimSuffix(body, "]}")
			if before != "" && !strings.HasPrefix(body, before) {
				t.Fatalf("turn %d does not begin with the turn before:\n%s\n%s", n, before, body)
			}
			if again, _ := write(t, r, opus55()); again != body {
				t.Fatal("the same words gave other bytes")
			}
			_ = stem
		}
		body, _ := write(t, r, opus55())
		before = strings.TrimSuffix(body, "]}")
	}
}

// TestManyResults: many parallel calls keep their order (bug 26).
func TestManyResults(t *testing.T) {
	var calls, results []llm.Item
	for i := range 8 {
		calls = append(calls, assistantCall(fmt.Sprint("c", i), "f", "")...)
		results = append(result(fmt.Sprint("c", i), fmt.Sprint("r", i)), results...)
	}
	body, _ := write(t, chat(user("a"), calls, results), nil)
	at := -1
	for i := range 8 {
		n := strings.Index(body, fmt.Sprintf(`"tool_use_id":"c%d","content":"r%d"`, i, i))
		if n < at {
			t.Fatalf("result %d out of order: %s", i, body)
		}
		at = n
	}
}

// TestCacheMarks: as many marks go out as came in (bug 17).
func TestCacheMarks(t *testing.T) {
	mark := raw(`{"type":"ephemeral"}`)
	r := chat(system("S"), user("a"), assistantCall("c1", "f", ""), result("c1", "r"))
	r.Items[0].Blocks[0].Cache = mark
	r.Items[1].Blocks[0].Cache = mark
	r.Items[2].Cache = mark
	r.Items[3].Blocks[0].Cache = mark
	r.Items[3].Cache = mark
	r.Tools = []llm.Tool{{Name: "f", Cache: mark}}
	body, _ := write(t, r, nil)
	if n := bytes.Count([]byte(body), []byte("cache_control")); n != 6 {
		t.Errorf("%d marks of 6: %s", n, body)
	}
}

// TestWrappedState: another vendor's state goes through a Messages client and
// comes back as it was; Anthropic never sees it.
func TestWrappedState(t *testing.T) {
	o := llm.Opaque{Issuer: llm.IssuerOpenAI, Kind: llm.OpaqueEncrypted, Data: "ZW5j\"\n"}
	a := &llm.Response{From: llm.OpenAI, ID: "x", Items: []llm.Item{
		{Kind: llm.ItemReasoning, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hm"}}, Opaque: []llm.Opaque{o}},
		{Kind: llm.ItemReasoning, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "bare"}}},
		{Kind: llm.ItemReasoning, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueRedacted, Data: "cmVk"}}},
	}}
	content := get(Codec{}.AppendResponse(nil, a), "content")
	body := `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":` + string(content) + `},{"role":"user","content":"b"}]}`
	r, err := Codec{}.DecodeRequest([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Items[1]; got.Text() != "hm" || len(got.Opaque) != 1 || got.Opaque[0] != o {
		t.Errorf("came back as %+v", got)
	}
	if got := r.Items[2]; got.Text() != "bare" || len(got.Opaque) != 0 {
		t.Errorf("came back as %+v", got)
	}
	if got := r.Items[3]; len(got.Opaque) != 1 || got.Opaque[0].Kind != llm.OpaqueRedacted {
		t.Errorf("came back as %+v", got)
	}
	e, _ := Codec{}.EncodeRequest(r, "m", nil)
	if out := string(joined(e)); strings.Contains(out, wrapped) || strings.Contains(out, "bare") || !strings.Contains(out, "cmVk") {
		t.Errorf("the provider would see %s", out)
	}
	// The fast path takes the same blocks out.
	h, err := Codec{}.Head(llm.OpChat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte(body), h, nil)
	p, err := Codec{}.Patch(&d, nil)
	if out := string(joined(p)); err != nil || strings.Contains(out, wrapped) || !strings.Contains(out, "bare") || !validJSON(joined(p)) {
		t.Errorf("patched to %s, %v", out, err)
	}
	d = d.With(llm.Edit{Kind: llm.EditReshape})
	p, err = Codec{}.Patch(&d, opus55())
	if out := string(joined(p)); err != nil || strings.Contains(out, "bare") || !strings.Contains(out, "cmVk") || !validJSON(joined(p)) {
		t.Errorf("reshaped to %s, %v", out, err)
	}
	for _, bad := range []string{"hr1.", "hr1.!!!", "hr1.e30"} {
		if o, ok := signatureOf(bad); !ok || o.Issuer != llm.IssuerUnknown {
			t.Errorf("%q became %+v", bad, o)
		}
	}
}

// TestPromptOfOthers: the prompt template of a Responses request cannot be left
// out; a member of that name that has no meaning in its own dialect can.
func TestPromptOfOthers(t *testing.T) {
	for from, want := range map[llm.Dialect]llm.LossKind{llm.Responses: llm.LossRefuse, llm.Ollama: llm.LossWarn, llm.OpenAI: llm.LossWarn} {
		r := &llm.Request{From: from, Model: "m", Ext: []llm.Member{{Name: "prompt", Value: []byte(`"x"`)}},
			Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hi"}}}}}
		enc, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, l := range enc.Losses {
			found = found || l.Path == "prompt" && l.Kind == want
		}
		if !found {
			t.Errorf("of %s: %+v", from, enc.Losses)
		}
	}
}
