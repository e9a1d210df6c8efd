package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

func ptr[T any](v T) *T { return &v }

func said(turn int, role llm.Role, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Path: fmt.Sprintf("messages.%d.content.0", turn), Blocks: blocks, From: llm.Anthropic}
}

func called(turn int, id, name, args string) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: turn, Path: fmt.Sprintf("messages.%d.content.1", turn), From: llm.Anthropic,
		Call: llm.Call{ID: id, Name: name, Arguments: []byte(args)}}
}

func answered(turn int, id string, bad bool, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Turn: turn, Path: fmt.Sprintf("messages.%d.content.2", turn), From: llm.Anthropic,
		Result: llm.Result{CallID: id, IsError: bad}, Blocks: blocks}
}

func txt(s string) llm.Block {
	return llm.Block{Kind: llm.BlockText, Text: s, From: llm.Anthropic}
}

func img() llm.Block {
	return llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "AAAA"}, From: llm.Anthropic}
}

func encoded(t testing.TB, r *llm.Request, c llm.Capability) (map[string]any, string, llm.Encoded) {
	t.Helper()
	enc, err := Codec{}.EncodeRequest(r, "target", &c)
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Join(enc.Body, nil)
	m := plain(t, b).(map[string]any)
	return m, string(b), enc
}

func losses(enc llm.Encoded) string {
	var out []string
	for _, l := range enc.Losses {
		out = append(out, string(l.Kind)+" "+l.Path)
	}
	return strings.Join(out, ", ")
}

func TestEncodeMessages(t *testing.T) {
	t.Parallel()
	reasoning := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Turn: 2, Path: "messages.1.content.0", From: llm.Anthropic,
		Blocks: []llm.Block{txt("hm")}, Opaque: []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "S"}}}
	cached := txt("cached")
	cached.Cache = jsontext.Value(`{"type":"ephemeral"}`)
	tool := `"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"x\": 9007199254740993}"}}]`
	for _, c := range []struct {
		name   string
		items  []llm.Item
		c      llm.Capability
		want   string
		losses string
	}{
		{"system", []llm.Item{said(0, llm.System, txt("a"), txt("b")), said(1, llm.User, txt("hi"))}, llm.Capability{},
			`[{"role":"system","content":"a\n\nb"},{"role":"user","content":"hi"}]`, ""},
		{"developer", []llm.Item{said(0, llm.System, txt("a")), said(1, llm.User, txt("hi"))}, known(llm.AllFeatures),
			`[{"role":"developer","content":"a"},{"role":"user","content":"hi"}]`, ""},
		{"system with marks", []llm.Item{said(0, llm.System, txt("a"), cached)}, llm.Capability{CacheMarks: true},
			`[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"cached","cache_control":{"type":"ephemeral"}}]}]`, ""},
		{"marks dropped", []llm.Item{said(0, llm.System, cached)}, llm.Capability{}, `[{"role":"system","content":"cached"}]`, ""},
		{"accounting line", []llm.Item{said(0, llm.System, txt(billing+" cc_version=1"), txt("a"))}, llm.Capability{}, `[{"role":"system","content":"a"}]`, ""},
		{"system in between", []llm.Item{said(1, llm.User, txt("hi")), said(2, llm.Assistant, txt("yo")), said(3, llm.User, txt("go")), said(4, llm.System, txt("now"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"},{"role":"user","content":"go"},{"role":"system","content":"now"}]`, ""},
		{"system in between, refused", []llm.Item{said(1, llm.User, txt("hi")), said(2, llm.System, txt("now"))}, known(llm.AllFeatures &^ llm.MidSystem &^ llm.DeveloperRole),
			`[{"role":"user","content":"hi"},{"role":"user","content":"<system>\nnow\n</system>"}]`, "warn messages.2.content.0"},
		{"call and result", []llm.Item{said(1, llm.User, txt("hi")), reasoning, said(2, llm.Assistant, txt("ok")), called(2, "toolu_1", "f", `{"x": 9007199254740993}`), answered(3, "toolu_1", false, txt("done")), said(3, llm.User, txt("and"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"ok",` + tool + `},{"role":"tool","tool_call_id":"toolu_1","content":"done"},{"role":"user","content":"and"}]`, "carry messages.1.content.0"},
		{"thinking goes along", []llm.Item{said(1, llm.User, txt("hi")), reasoning, called(2, "toolu_1", "f", `{"x": 9007199254740993}`), answered(3, "toolu_1", false, txt("done"))}, llm.Capability{ReasoningField: "reasoning_content"},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"reasoning_content":"hm",` + tool + `},{"role":"tool","tool_call_id":"toolu_1","content":"done"}]`, "carry messages.1.content.0"},
		{"thinking as details", []llm.Item{said(1, llm.User, txt("hi")), reasoning, said(2, llm.Assistant, txt("yo")), said(3, llm.User, txt("go"))}, llm.Capability{ReasoningField: "reasoning_details"},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"yo","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"S","format":"anthropic-claude-v1","index":0}]},{"role":"user","content":"go"}]`, ""},
		{"thinking required and lost", []llm.Item{said(1, llm.User, txt("hi")), called(2, "toolu_1", "f", `{"x": 9007199254740993}`), answered(3, "toolu_1", false, txt("done"))}, llm.Capability{ReasoningField: "reasoning_content", ReasoningRequired: true},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"reasoning_content":"",` + tool + `},{"role":"tool","tool_call_id":"toolu_1","content":"done"}]`, ""},
		{"results in call order, images behind", []llm.Item{said(1, llm.User, txt("hi")), called(2, "a", "f", ``), called(2, "b", "g", `{}`), answered(3, "b", false, txt("B"), img()), said(3, llm.User, txt("text")), answered(3, "a", false, txt("A"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"a","content":"A"},{"role":"tool","tool_call_id":"b","content":"B\n\n[image 1 of b follows below]"},` +
				`{"role":"user","content":[{"type":"text","text":"[image 1 of b]"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"user","content":"text"}]`, "warn messages.3.content.2"},
		{"failed results", []llm.Item{said(1, llm.User, txt("hi")), called(2, "a", "f", `{}`), called(2, "b", "f", `{}`), called(2, "c", "f", `{}`), answered(3, "a", true, txt("no such file")), answered(3, "b", true, txt("Error: denied")), answered(3, "c", true)}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"a","content":"Error: no such file"},{"role":"tool","tool_call_id":"b","content":"Error: denied"},{"role":"tool","tool_call_id":"c","content":"Error: the tool failed"}]`, ""},
		{"call without a result", []llm.Item{said(1, llm.User, txt("hi")), called(2, "a", "f", `{}`), said(3, llm.User, txt("never mind"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"[no result]"},{"role":"user","content":"never mind"}]`, "warn messages"},
		{"result without a call", []llm.Item{said(1, llm.User, txt("hi")), answered(1, "z", false, txt("x"))}, llm.Capability{}, `[{"role":"user","content":"hi"}]`, "refuse messages.1.content.2"},
		{"empty texts", []llm.Item{said(1, llm.User, txt(""), txt("hi")), said(2, llm.Assistant, txt("")), said(3, llm.User, txt("go"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":""},{"role":"user","content":"go"}]`, ""},
		{"broken arguments", []llm.Item{said(1, llm.User, txt("hi")), called(2, "a", "f", `{"x":`), answered(3, "a", false, txt("?"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}]},{"role":"tool","tool_call_id":"a","content":"?"}]`, ""},
		{"server tool", []llm.Item{said(1, llm.User, txt("hi")), {Kind: llm.ItemOpaque, Role: llm.Assistant, Turn: 2, Path: "messages.1.content.0", Type: "server_tool_use", From: llm.Anthropic}, said(3, llm.User, txt("go"))}, llm.Capability{},
			`[{"role":"user","content":"hi"},{"role":"user","content":"go"}]`, "refuse messages.1.content.0"},
		{"pdf and text document", []llm.Item{said(1, llm.User, llm.Block{Kind: llm.BlockFile, Media: llm.Media{MIME: "application/pdf", Data: "JVBE", Name: "a.pdf"}, From: llm.Anthropic}, llm.Block{Kind: llm.BlockFile, Media: llm.Media{Text: "body", Name: "title"}, From: llm.Anthropic})}, llm.Capability{},
			`[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},{"type":"text","text":"title\n\nbody"}]}]`, ""},
		{"pdf that cannot be read", []llm.Item{said(1, llm.User, txt("x"), llm.Block{Kind: llm.BlockFile, Media: llm.Media{MIME: "application/pdf", Data: "JVBE"}, From: llm.Anthropic})}, known(llm.AllFeatures &^ llm.PDF &^ llm.DeveloperRole),
			`[{"role":"user","content":[{"type":"text","text":"x"}]}]`, "refuse messages.1.content.0"},
		{"image that cannot be seen", []llm.Item{said(1, llm.User, txt("x"), img())}, known(llm.AllFeatures &^ llm.Vision),
			`[{"role":"user","content":[{"type":"text","text":"x"}]}]`, "refuse messages.1.content.0"},
		{"prefill that cannot be", []llm.Item{said(1, llm.User, txt("x")), said(2, llm.Assistant, txt("{"))}, known(llm.AllFeatures &^ llm.Prefill),
			`[{"role":"user","content":"x"},{"role":"assistant","content":"{"}]`, "refuse messages.2.content.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &llm.Request{From: llm.Anthropic, Model: "m", Items: c.items}
			_, body, enc := encoded(t, r, c.c)
			if got := string(span.Field([]byte(body), "messages")); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if got := losses(enc); got != c.losses {
				t.Errorf("losses: %s, want %s", got, c.losses)
			}
		})
	}
}

func TestEncodeTopLevel(t *testing.T) {
	t.Parallel()
	const all = llm.AllFeatures
	tools := []llm.Tool{{Name: "f", Description: "d", Schema: jsontext.Value(`{"type":"object","b":1,"a":2}`), From: llm.Anthropic}}
	for _, c := range []struct {
		name   string
		r      llm.Request
		c      llm.Capability
		want   string // members, without model and messages
		losses string
	}{
		{"stream", llm.Request{Stream: true}, llm.Capability{}, `{"stream":true,"stream_options":{"include_usage":true}}`, ""},
		{"max tokens", llm.Request{MaxTokens: ptr[int64](5)}, llm.Capability{}, `{"max_completion_tokens":5}`, ""},
		{"max tokens, old", llm.Request{MaxTokens: ptr[int64](5)}, llm.Capability{MaxTokensField: "max_tokens"}, `{"max_tokens":5}`, ""},
		{"max tokens, too many", llm.Request{MaxTokens: ptr[int64](50)}, llm.Capability{MaxOutput: 8}, `{"max_completion_tokens":8}`, "warn max_tokens"},
		{"max tokens, none", llm.Request{MaxTokens: ptr[int64](0)}, llm.Capability{}, `{}`, "refuse max_tokens"},
		{"sampling", llm.Request{Sampling: llm.Sampling{Temperature: jsontext.Value("0.50"), TopK: jsontext.Value("3")}}, llm.Capability{}, `{"temperature":0.50}`, "warn top_k"},
		{"sampling refused", llm.Request{Sampling: llm.Sampling{Temperature: jsontext.Value("0.5"), TopP: jsontext.Value("1.0")}}, known(all&^llm.SamplingParams, "low"), `{}`, "warn temperature"},
		{"stops", llm.Request{Stop: []string{"a", "b"}}, llm.Capability{}, `{"stop":["a","b"]}`, ""},
		{"too many stops", llm.Request{Stop: []string{"a", "b", "c", "d", "e"}}, llm.Capability{}, `{}`, "refuse stop_sequences"},
		{"tools", llm.Request{Tools: tools, Choice: llm.ToolChoice{Mode: llm.ToolAny}, ParallelCalls: ptr(false)}, llm.Capability{},
			`{"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","b":1,"a":2}}}],"tool_choice":"required","parallel_tool_calls":false}`, ""},
		{"one tool", llm.Request{Tools: []llm.Tool{{Name: "f", From: llm.Anthropic}}, Choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "f"}}, llm.Capability{},
			`{"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":{"type":"function","function":{"name":"f"}}}`, ""},
		{"choice without tools", llm.Request{Choice: llm.ToolChoice{Mode: llm.ToolAuto}, ParallelCalls: ptr(true)}, llm.Capability{}, `{}`, ""},
		{"server tool", llm.Request{Tools: []llm.Tool{{Name: "web_search", Type: "web_search_20250305", From: llm.Anthropic}}}, llm.Capability{}, `{}`, "refuse tools.0"},
		{"forced tool refused", llm.Request{Tools: tools[:1:1], Choice: llm.ToolChoice{Mode: llm.ToolAny}}, known(all &^ llm.ForcedTool), `{"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","b":1,"a":2}}}]}`, "refuse tool_choice"},
		{"effort", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkAdaptive, Effort: "max"}}, known(all, "low", "high"), `{"reasoning_effort":"high"}`, "warn thinking"},
		{"adaptive", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkAdaptive}}, llm.Capability{}, `{}`, ""},
		{"budget", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOn, Budget: 8192}}, llm.Capability{}, `{"reasoning_effort":"medium"}`, ""},
		{"budget, high", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOn, Budget: 31999}}, llm.Capability{}, `{"reasoning_effort":"xhigh"}`, ""},
		{"off", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, known(all, "none", "low"), `{"reasoning_effort":"none"}`, ""},
		{"off, cannot", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, known(all, "low", "high"), `{"reasoning_effort":"low"}`, "warn thinking"},
		{"off, does not think", llm.Request{Reasoning: llm.Reasoning{Mode: llm.ThinkOff}}, known(all &^ llm.Thinking), `{}`, ""},
		{"tools or thinking", llm.Request{Tools: tools, Reasoning: llm.Reasoning{Effort: "high"}}, known(all&^llm.ToolEffortFree, "none", "high"),
			`{"reasoning_effort":"none","tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","b":1,"a":2}}}]}`, "warn thinking"},
		{"tools and thinking, refused", llm.Request{Tools: tools}, known(all&^llm.ToolEffortFree, "low", "high"),
			`{"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","b":1,"a":2}}}]}`, "refuse tools"},
		{"schema", llm.Request{Format: llm.Format{Kind: llm.FormatJSONSchema, Schema: jsontext.Value(`{"type":"object"}`)}}, llm.Capability{},
			`{"response_format":{"type":"json_schema","json_schema":{"name":"response","schema":{"type":"object"}}}}`, ""},
		{"schema refused", llm.Request{Format: llm.Format{Kind: llm.FormatJSONSchema}}, known(all &^ llm.JSONSchema), `{}`, "refuse response_format"},
		{"user", llm.Request{EndUser: "u1"}, llm.Capability{}, `{"user":"u1"}`, ""},
		{"user at OpenAI", llm.Request{EndUser: "u1"}, known(all), `{"safety_identifier":"u1"}`, ""},
		{"user, long", llm.Request{EndUser: strings.Repeat("u", 65)}, llm.Capability{}, `{"user":"` + sha(strings.Repeat("u", 65)) + `"}`, ""},
		{"user, closed", llm.Request{EndUser: "u1"}, llm.Capability{Closed: true}, `{}`, "warn metadata.user_id"},
		{"context edits", llm.Request{Ext: []llm.Member{{Name: "context_management", Value: jsontext.Value(`{"edits":[{"type":"clear_thinking_20251015"}]}`)}, {Name: "speed", Value: jsontext.Value(`"fast"`)}}}, llm.Capability{}, `{}`, "warn context_management, warn speed"},
		{"compaction", llm.Request{Ext: []llm.Member{{Name: "context_management", Value: jsontext.Value(`{"edits":[{"type":"compact_20260112"}]}`)}}}, llm.Capability{}, `{}`, "refuse context_management"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.r.From = llm.Anthropic
			c.r.Items = []llm.Item{said(1, llm.User, txt("hi"))}
			_, body, enc := encoded(t, &c.r, c.c)
			got := strings.Replace(body, `"model":"target",`, "", 1)
			got = strings.Replace(got, `"messages":[{"role":"user","content":"hi"}]`, "", 1)
			got = strings.Replace(got, ",}", "}", 1)
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			if got := losses(enc); got != c.losses {
				t.Errorf("losses: %s, want %s", got, c.losses)
			}
		})
	}
}

// TestPrefixStable: a longer conversation begins with the bytes of the shorter
// one, up to the end of its messages (prompt caches; bug 24 of the field).
func TestPrefixStable(t *testing.T) {
	t.Parallel()
	all := []llm.Item{said(0, llm.System, txt("s<>&\u2028")), said(1, llm.User, txt("hi"))}
	for n := range 6 {
		turn := 2 + 2*n
		all = append(all, said(turn, llm.Assistant, txt("t")))
		for k := range 8 {
			all = append(all, called(turn, fmt.Sprintf("id.%d.%d", n, k), "tool.with.dots", `{"n":9007199254740993}`))
		}
		for k := 7; k >= 0; k-- {
			all = append(all, answered(turn+1, fmt.Sprintf("id.%d.%d", n, k), k%2 == 0, txt("r"), img()))
		}
	}
	for _, c := range []llm.Capability{{}, {ToolIDLength: 9}, {CacheMarks: true}} {
		var before string
		for n := 2; n <= len(all); n++ {
			if n < len(all) && (all[n].Role != llm.Assistant || all[n-1].Role == llm.Assistant) {
				continue // only whole requests
			}
			r := &llm.Request{From: llm.Anthropic, Items: all[:n], Tools: []llm.Tool{{Name: "tool.with.dots", From: llm.Anthropic}}}
			_, body, enc := encoded(t, r, c)
			if llm.Refusal(enc.Losses) != nil {
				t.Fatal(enc.Losses)
			}
			if before != "" && !strings.HasPrefix(body, strings.TrimSuffix(before, "]}")) {
				t.Fatalf("the prefix changed:\n%s\n%s", before, body)
			}
			before = body
			if len(enc.Names) != 1 {
				t.Fatalf("names %v", enc.Names)
			}
		}
	}
}

func TestToolNames(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, n := range []string{"f", "a.b", "a/b", "a_b", "größe", "", strings.Repeat("x", 63), strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 128), strings.Repeat("x", 127) + "y"} {
		w := toolName(n, &llm.Capability{})
		if len(w) > 64 || len(w) == 0 || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			t.Errorf("%q becomes %q", n, w)
		}
		if other, ok := seen[w]; ok {
			t.Errorf("%q and %q both become %q", n, other, w)
		}
		seen[w] = n
	}
}

func TestMistralIDs(t *testing.T) {
	t.Parallel()
	e := requestEncoder{c: &llm.Capability{ToolIDLength: 9}}
	seen := map[string]bool{}
	for i := range 100000 {
		id := e.callID(fmt.Sprintf("call_%d", i))
		if len(id) != 9 || seen[id] {
			t.Fatalf("%s for %d", id, i)
		}
		seen[id] = true
	}
	if e.callID("abcDEF123") != "abcDEF123" {
		t.Error("a fitting id changes")
	}
}

func TestDecodeRequest(t *testing.T) {
	t.Parallel()
	r, err := Codec{}.DecodeRequest([]byte(`{"model":"m","messages":[
		{"role":"developer","content":"d"},
		{"role":"user","name":"bob","content":[{"type":"text","text":"t","cache_control":{"type":"ephemeral"}},
			{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,QUJD","detail":"low"}},
			{"type":"image_url","image_url":{"url":"https://x/y.png"}},
			{"type":"input_audio","input_audio":{"data":"QQ==","format":"mp3"}},
			{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBE"}},
			{"type":"video_url","video_url":{"url":"v"}}]},
		{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
		{"role":"function","name":"f","content":"1"},
		{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"T"}]},{"type":"text","text":"A"}]},
		{"role":"assistant","refusal":"no","content":null},
		{"role":"assistant","content":"x","reasoning":"R","reasoning_content":"R","reasoning_details":[
			{"type":"reasoning.text","text":"R","format":"anthropic-claude-v1anthropic-claude-v1","index":0},{"type":"reasoning.text","signature":"S","format":"anthropic-claude-v1","index":0},
			{"type":"reasoning.encrypted","data":"E","format":"openai-responses-v1","index":1,"id":"rs_1"}]}],
		"functions":[{"name":"f","parameters":{"type":"object"}}],"function_call":{"name":"f"},
		"stop":"s","max_tokens":4,"reasoning_effort":"none","response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"a":1}}},
		"logit_bias":{"1":2}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range r.Items {
		s := fmt.Sprintf("%d %s %s", it.Turn, it.Role, it.Kind)
		for _, b := range it.Blocks {
			s += fmt.Sprintf(" %s:%s%s%s%s", b.Kind, b.Text, b.Media.MIME, b.Media.Data, b.Media.URL)
		}
		for _, o := range it.Opaque {
			s += " " + o.Issuer + "/" + o.Kind + "/" + o.Data
		}
		got = append(got, s+" "+it.Call.ID+it.Result.CallID)
	}
	want := []string{
		"0 developer message text:d ",
		"1 user message text:t image:image/jpegQUJD image:https://x/y.png audio:audio/mp3QQ== file:application/pdfJVBE opaque: ",
		"2 assistant tool_call call_2",
		"3 user tool_result text:1 call_2",
		"4 assistant reasoning text:T ",
		"4 assistant message text:A ",
		"5 assistant message refusal:no ",
		"6 assistant reasoning text:R anthropic-claude-v1/signature/S ",
		"6 assistant reasoning openai-responses-v1/encrypted/E ",
		"6 assistant message text:x ",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if r.Choice.Mode != llm.ToolOnly || len(r.Tools) != 1 || *r.MaxTokens != 4 || r.Reasoning.Mode != llm.ThinkOff ||
		r.Format.Name != "n" || r.Stop[0] != "s" || len(r.Ext) != 2 || r.Items[1].Name != "bob" || string(r.Items[1].Blocks[0].Cache) != `{"type":"ephemeral"}` {
		t.Errorf("%+v", r)
	}
	for _, c := range []struct{ name, body, says string }{
		{"messages missing", `{"model":"m"}`, "messages"},
		{"messages no array", `{"model":"m","messages":{}}`, "messages"},
		{"message no object", `{"model":"m","messages":[1]}`, "messages.0"},
		{"role missing", `{"model":"m","messages":[{"content":"x"}]}`, "messages.0.role"},
		{"role unknown", `{"model":"m","messages":[{"role":"king","content":"x"}]}`, "messages.0.role"},
		{"content number", `{"model":"m","messages":[{"role":"user","content":5}]}`, "messages.0.content"},
		{"part no object", `{"model":"m","messages":[{"role":"user","content":[5]}]}`, "messages.0.content.0"},
		{"text no string", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":5}]}]}`, "messages.0.content.0.text"},
		{"call without function", `{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]}`, "messages.0.tool_calls.0"},
		{"tool without name", `{"model":"m","messages":[],"tools":[{"type":"function","function":{}}]}`, "tools.0.function.name"},
		{"choice unknown", `{"model":"m","messages":[],"tool_choice":"maybe"}`, "tool_choice"},
		{"temperature", `{"model":"m","messages":[],"temperature":"hot"}`, "temperature"},
		{"doubled inside", `{"model":"m","messages":[{"role":"user","role":"user"}]}`, "byte"},
	} {
		_, err := Codec{}.DecodeRequest([]byte(c.body))
		e, ok := err.(*llm.Error)
		if !ok || e.Class != llm.InvalidRequest || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v does not name %s", c.name, err, c.says)
		}
	}
}

// TestClosedTarget: nothing of thinking reaches a target that refuses it, nor
// a role that it does not know (bugs 16 and 32 of the field).
func TestClosedTarget(t *testing.T) {
	t.Parallel()
	r, err := Codec{}.DecodeRequest([]byte(`{"model":"m","messages":[{"role":"developer","content":"d"},{"role":"user","content":"q"},
		{"role":"assistant","content":"x","reasoning_content":"R"},{"role":"assistant","content":"y","reasoning":"R","reasoning_details":[{"type":"reasoning.text","text":"R","index":0}]},{"role":"user","content":"q"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, body, enc := encoded(t, r, llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.DeveloperRole, Closed: true})
	if strings.Contains(body, "reasoning") || strings.Contains(body, "developer") || losses(enc) != "carry messages.2" {
		t.Errorf("%s %s", body, losses(enc))
	}
	_, body, _ = encoded(t, r, llm.Capability{Known: true, Has: llm.AllFeatures, ReasoningField: "reasoning"})
	if strings.Count(body, `"reasoning":"R"`) != 2 || strings.Contains(body, "reasoning_") {
		t.Errorf("%s", body)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, raw string
		want      llm.Usage
	}{
		{"openai", `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},"completion_tokens_details":{"reasoning_tokens":20}}`,
			llm.Usage{Input: 10, CacheRead: 60, CacheWrite5m: 30, Output: 50, Reasoning: 20}},
		{"deepseek", `{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_cache_hit_tokens":8,"prompt_cache_miss_tokens":4}`, llm.Usage{Input: 4, CacheRead: 8, Output: 5}},
		{"moonshot", `{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"cached_tokens":8}`, llm.Usage{Input: 4, CacheRead: 8, Output: 5}},
		{"dashscope", `{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":3},"cache_creation_input_tokens":4,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":3}}`, llm.Usage{Input: 5, CacheRead: 3, CacheWrite5m: 1, CacheWrite1h: 3, Output: 5}},
		{"xai leaves thinking out", `{"prompt_tokens":12,"completion_tokens":2,"total_tokens":334,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":320},"cost_in_usd_ticks":1641500}`, llm.Usage{Input: 10, CacheRead: 2, Output: 322, Reasoning: 320, HasReported: true, Reported: 164150}},
		{"google leaves thinking unsaid", `{"completion_tokens":12,"prompt_tokens":35,"total_tokens":109}`, llm.Usage{Input: 35, Output: 74, Reasoning: 62}},
		{"mistral leaves audio out", `{"prompt_tokens":9,"total_tokens":632,"completion_tokens":248,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":375}}`, llm.Usage{Input: 384, Output: 248}},
		{"more thinking than answer", `{"prompt_tokens":5,"completion_tokens":16,"total_tokens":21,"completion_tokens_details":{"reasoning_tokens":19}}`, llm.Usage{Input: 5, Output: 16, Reasoning: 16}},
		{"openrouter cost", `{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.0004970133333333333,"is_byok":false}`, llm.Usage{Input: 1, Output: 1, HasReported: true, Reported: 497013}},
		{"openrouter own key", `{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.000001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0000036}}`, llm.Usage{Input: 1, Output: 1, HasReported: true, Reported: 4600}},
		{"perplexity cost", `{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":{"total_cost":0.006}}`, llm.Usage{Input: 1, Output: 1, HasReported: true, Reported: 6000000}},
		{"cache beside the prompt", `{"prompt_tokens":5,"completion_tokens":1,"cache_read_input_tokens":50}`, llm.Usage{Input: 5, CacheRead: 50, Output: 1}},
		{"nonsense", `{"prompt_tokens":-5,"completion_tokens":1e300,"total_tokens":"x"}`, llm.Usage{}},
	} {
		u := readUsage([]byte(c.raw))
		if string(u.Raw) != c.raw {
			t.Errorf("%s: raw %s", c.name, u.Raw)
		}
		u.Raw, c.want.Source = nil, llm.UsageProvider
		if d := cmp.Diff(c.want, u); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		// Written in our form and read again it is the same.
		again := readUsage(appendUsage(nil, u))
		again.Raw, again.HasReported, again.Reported = nil, u.HasReported, u.Reported
		u.CacheWrite5m, u.CacheWrite1h = u.CacheWrite5m+u.CacheWrite1h, 0
		if d := cmp.Diff(u, again); d != "" {
			t.Errorf("%s, written: %s", c.name, d)
		}
	}
}

// TestFinishRoundTrip: wherever the wire has a word, the reason survives.
func TestFinishRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f     llm.Finish
		calls bool
		want  llm.FinishReason
	}{
		{llm.Finish{Reason: llm.FinishStop, Native: "end_turn"}, false, llm.FinishStop},
		{llm.Finish{Reason: llm.FinishStopSequence, Native: "stop_sequence"}, false, llm.FinishStop},
		{llm.Finish{Reason: llm.FinishLength, Native: "max_tokens"}, false, llm.FinishLength},
		{llm.Finish{Reason: llm.FinishLength, Native: "max_tokens"}, true, llm.FinishLength},
		{llm.Finish{Reason: llm.FinishContext, Native: "model_context_window_exceeded"}, false, llm.FinishLength},
		{llm.Finish{Reason: llm.FinishContext, Native: "model_length"}, false, llm.FinishContext},
		{llm.Finish{Reason: llm.FinishToolCalls, Native: "tool_use"}, true, llm.FinishToolCalls},
		{llm.Finish{Reason: llm.FinishToolCalls, Native: "stop"}, true, llm.FinishToolCalls},
		{llm.Finish{Reason: llm.FinishRefusal, Native: "refusal"}, false, llm.FinishRefusal},
		{llm.Finish{Reason: llm.FinishFailed, Native: "insufficient_system_resource"}, false, llm.FinishFailed},
		{llm.Finish{Reason: llm.FinishFailed, Native: "error"}, false, llm.FinishFailed},
		{llm.Finish{Reason: llm.FinishPaused, Native: "pause_turn"}, false, llm.FinishLength},
		{llm.Finish{Reason: llm.FinishOther, Native: "tired"}, false, llm.FinishOther},
	} {
		if got := readFinish(writeFinish(c.f, false, false), c.calls, false, false, nil); got.Reason != c.want {
			t.Errorf("%+v becomes %+v, want %s", c.f, got, c.want)
		}
	}
}

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
