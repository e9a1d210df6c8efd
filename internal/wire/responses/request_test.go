package responses

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

func txt(s string) llm.Block { return llm.Block{Kind: llm.BlockText, Text: s} }

func said(turn int, role llm.Role, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Blocks: blocks}
}

func called(turn int, id, name, args string) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Call: llm.Call{ID: id, Name: name, Arguments: []byte(args)}}
}

func answered(turn int, id string, bad bool, blocks ...llm.Block) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Turn: turn, Path: fmt.Sprintf("messages.%d", turn), Result: llm.Result{CallID: id, IsError: bad}, Blocks: blocks}
}

func plain(t testing.TB, b []byte) map[string]any {
	t.Helper()
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return v
}

// encoded writes a request and gives its body and its losses, sorted.
func encoded(t testing.TB, r *llm.Request, c llm.Capability) (string, []string) {
	t.Helper()
	enc, err := Codec{}.EncodeRequest(r, "m", &c)
	if err != nil {
		t.Fatal(err)
	}
	var losses []string
	for _, l := range enc.Losses {
		losses = append(losses, string(l.Kind)+" "+l.Path)
	}
	sort.Strings(losses)
	return string(bytes.Join(enc.Body, nil)), losses
}

// TestForeignRequest: requests of other dialects in full, member by member.
func TestForeignRequest(t *testing.T) {
	t.Parallel()
	yes, n := true, int64(4)
	thought := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant, Turn: 3, Path: "messages.3", Blocks: []llm.Block{txt("hm")}}
	mine, other := thought, thought
	mine.ID, mine.Opaque = "rs_1", []llm.Opaque{{Issuer: llm.IssuerOpenAI, Kind: llm.OpaqueEncrypted, Data: "ENC"}}
	other.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "SIG"}}
	image := llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "aGk="}}
	custom := called(3, "c2", "sh", "ls")
	custom.Call.Custom = true
	for name, c := range map[string]struct {
		r      llm.Request
		c      llm.Capability
		want   string
		losses []string
	}{
		"instructions of plain text lead": {r: llm.Request{From: llm.Anthropic, Items: []llm.Item{said(0, llm.System, txt("x-anthropic-billing-header: cc_version=1;"), txt("a"), txt("b")), said(1, llm.User, txt("q"))}},
			want: `{"model":"m","store":false,"include":["reasoning.encrypted_content"],"instructions":"a\n\nb","input":[{"type":"message","role":"user","content":"q"}]}`, losses: []string{"carry messages.0"}},
		"a model that does not think is asked for no state": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q"))}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want: `{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"q"}]}`},
		"thinking that the client shows": {r: llm.Request{From: llm.Anthropic, Stream: true, Reasoning: llm.Reasoning{Mode: llm.ThinkOn, Budget: 9000}, Items: []llm.Item{said(1, llm.User, txt("q"))}},
			want: `{"model":"m","stream":true,"store":false,"include":["reasoning.encrypted_content"],"reasoning":{"effort":"high","summary":"auto"},"input":[{"type":"message","role":"user","content":"q"}]}`},
		"thoughts of ours and of others": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q")), mine, other, said(3, llm.Assistant, txt("a"), llm.Block{Kind: llm.BlockRefusal, Text: "no"}), said(4, llm.User, txt("q"))}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want: `{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"q"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"ENC"},` +
				`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"refusal","refusal":"no"}]},{"type":"message","role":"user","content":"q"}]}`, losses: []string{"carry messages.3"}},
		"calls, failed results, images in results, free text": {r: llm.Request{From: llm.Anthropic, Items: []llm.Item{said(1, llm.User, txt("q")), called(3, "c1", "f", ""), custom, answered(4, "c1", true, txt("boom")), answered(4, "c2", false, txt("x"), image), said(4, llm.User, txt("go"))}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want: `{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"q"},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"custom_tool_call","call_id":"c2","name":"sh","input":"ls"},` +
				`{"type":"function_call_output","call_id":"c1","output":"Error: boom"},{"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"data:image/png;base64,aGk="}]},{"type":"message","role":"user","content":"go"}]}`},
		"a call without a result, a result without a call": {r: llm.Request{From: llm.Anthropic, Items: []llm.Item{called(3, "c1", "f", "{}"), answered(4, "c9", false, txt("x"))}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want:   `{"model":"m","store":false,"input":[{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c1","output":"[no result]"},{"type":"function_call_output","call_id":"c9","output":"x"}]}`,
			losses: []string{"refuse messages.4", "warn messages"}},
		"tools say whether they are strict": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q"))}, Choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "sh"},
			Tools: []llm.Tool{{Name: "f"}, {Name: "g", Strict: &yes, Schema: []byte(`{"type":"object","properties":{"b":{},"a":{}}}`)},
				{Name: "sh", Type: "custom", From: llm.OpenAI, Raw: []byte(`{"type":"custom","custom":{"name":"sh","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"d"}}}}`)}}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want: `{"model":"m","store":false,"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false},{"type":"function","name":"g","parameters":{"type":"object","properties":{"b":{},"a":{}}},"strict":true},` +
				`{"type":"custom","name":"sh","format":{"type":"grammar","syntax":"lark","definition":"d"}}],"tool_choice":{"type":"custom","name":"sh"},"input":[{"type":"message","role":"user","content":"q"}]}`},
		"what this wire has not": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q"))}, Stop: []string{"x"}, N: 2, MaxTokens: &n, Sampling: llm.Sampling{Seed: []byte("1"), TopK: []byte("4"), PresencePenalty: []byte("0"), Temperature: []byte("0.5")},
			Ext: []llm.Member{{Name: "logit_bias", Value: []byte(`{"1":2}`)}, {Name: "logprobs", Value: []byte("true")}, {Name: "metadata", Value: []byte(`{"a":"b"}`)}, {Name: "verbosity", Value: []byte(`"low"`)}, {Name: "store", Value: []byte("true")}}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking},
			want:   `{"model":"m","store":true,"max_output_tokens":16,"temperature":0.5,"text":{"verbosity":"low"},"metadata":{"a":"b"},"input":[{"type":"message","role":"user","content":"q"}]}`,
			losses: []string{"refuse logprobs", "refuse n", "refuse stop", "warn logit_bias", "warn max_tokens", "warn seed", "warn top_k"}},
		"a model that takes no sampling": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q"))}, Reasoning: llm.Reasoning{Effort: "max"}, Sampling: llm.Sampling{Temperature: []byte("0.5"), TopP: []byte("1.0")}}, c: llm.Capability{Known: true, Efforts: []string{"low", "high"}},
			want: `{"model":"m","store":false,"reasoning":{"effort":"high"},"input":[{"type":"message","role":"user","content":"q"}]}`, losses: []string{"warn reasoning_effort", "warn temperature"}},
		"thinking as text for open models": {r: llm.Request{From: llm.OpenAI, Items: []llm.Item{said(1, llm.User, txt("q")), thought, called(3, "c", "f", "{}"), answered(4, "c", false, txt("r"))}}, c: llm.Capability{Known: true, Has: llm.AllFeatures &^ llm.Thinking, ReasoningField: typeContent},
			want: `{"model":"m","store":false,"input":[{"type":"message","role":"user","content":"q"},{"type":"reasoning","id":"rs_` + hashOf("\x00hm", 48) + `","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},` +
				`{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}]}`},
	} {
		c.r.Model = "m"
		got, losses := encoded(t, &c.r, c.c)
		if d := cmp.Diff(plain(t, []byte(c.want)), plain(t, []byte(got))); d != "" {
			t.Errorf("%s: (-want +got)\n%s", name, d)
		}
		if d := cmp.Diff(c.losses, losses); d != "" {
			t.Errorf("%s: losses (-want +got)\n%s", name, d)
		}
		if !strings.HasSuffix(got, "]}") || strings.Index(got, `"input"`) < strings.Index(got, `"store"`) {
			t.Errorf("%s: the input does not come last: %s", name, got)
		}
	}
}

// TestPrefixStable: a longer conversation begins with the bytes of a shorter
// one.
func TestPrefixStable(t *testing.T) {
	t.Parallel()
	items := []llm.Item{said(0, llm.System, txt("s")), said(1, llm.User, txt("q")), called(2, "c", "f", `{"b":1,"a":2}`), answered(3, "c", false, txt("r")), said(4, llm.Assistant, txt("a")), said(5, llm.User, txt("q2"))}
	last := ""
	for _, n := range []int{2, 4, 6} {
		got, _ := encoded(t, &llm.Request{From: llm.Anthropic, Model: "m", Items: items[:n]}, llm.Capability{})
		if !strings.HasPrefix(got, strings.TrimSuffix(last, "]}")) {
			t.Errorf("%s\ndoes not go on from\n%s", got, last)
		}
		last = got
	}
}

// TestTwoTurns: every item of an answer goes back as it came in the next input,
// through the words as well.
func TestTwoTurns(t *testing.T) {
	t.Parallel()
	var items []string
	for _, name := range []string{"server-items", "history"} {
		for _, it := range span.Elements(span.Field(file(t, name+"/request.json"), "input")) {
			if span.Field(it, "type") != nil {
				items = append(items, string(it))
			}
		}
	}
	items = append(items, `{"type":"reasoning","id":"","summary":[]}`, `{"type":"reasoning","id":"rs_5","summary":[],"content":[{"type":"reasoning_text","text":"t"}],"status":"completed"}`,
		`{"type":"something_of_next_year","x":[1,2.50]}`)
	r, err := Codec{}.DecodeResponse([]byte(`{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[` + strings.Join(items, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Items) != len(items) {
		t.Fatalf("%d items, want %d", len(r.Items), len(items))
	}
	output := span.Field(Codec{}.AppendResponse(nil, r), "output")
	req, err := Codec{}.DecodeRequest([]byte(`{"model":"m","input":` + string(output) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	body, losses := encoded(t, req, llm.Capability{})
	n := 0
	for i, it := range span.Elements(span.Field([]byte(body), "input")) {
		n++
		if string(it) != items[i] {
			t.Errorf("item %d was %s, is %s", i, items[i], it)
		}
	}
	if n != len(items) || len(losses) > 0 {
		t.Errorf("%d items go back of %d, losses %v", n, len(items), losses)
	}
}

// TestWrappedState: another issuer's state that a client of this dialect keeps
// comes back as what it was, and goes to no provider of this dialect, neither
// through the words nor by splices.
func TestWrappedState(t *testing.T) {
	t.Parallel()
	sig := llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "SIG+/="}
	answer := Codec{}.AppendResponse(nil, &llm.Response{From: llm.Anthropic, ID: "r", Items: []llm.Item{
		{Kind: llm.ItemReasoning, Blocks: []llm.Block{txt("hm")}, Opaque: []llm.Opaque{sig}}, {Kind: llm.ItemMessage, Blocks: []llm.Block{txt("a")}}}})
	for _, order := range []string{`[%s,{"role":"user","content":"q"}]`, `[{"role":"user","content":"q"},%s]`} {
		output := string(span.Field(answer, "output"))
		if strings.HasSuffix(order, "%s]") { // the thought alone, and last
			for _, it := range span.Elements([]byte(output)) {
				output = "[" + string(it) + "]"
				break
			}
		}
		body := []byte(`{"model":"m","input":` + fmt.Sprintf(order, output[1:len(output)-1]) + `}`)
		r, err := Codec{}.DecodeRequest(body)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, it := range r.Items {
			if it.Kind == llm.ItemReasoning && len(it.Opaque) == 1 && it.Opaque[0] == sig && it.Text() == "hm" {
				found++
			}
		}
		slow, losses := encoded(t, r, llm.Capability{})
		h, err := Codec{}.Head(llm.OpChat, body)
		if err != nil {
			t.Fatal(err)
		}
		d := llm.NewDraft(llm.Responses, llm.OpChat, body, h, nil)
		enc, err := Codec{}.Patch(&d, &llm.Capability{})
		if err != nil {
			t.Fatal(err)
		}
		fast := bytes.Join(enc.Body, nil)
		if found != 1 || len(losses) != 1 || len(enc.Losses) != 1 || strings.Contains(slow, wrapped) {
			t.Errorf("found %d, losses %v and %v in %s", found, losses, enc.Losses, slow)
		}
		if d := cmp.Diff(plain(t, []byte(slow)), plain(t, fast)); d != "" {
			t.Errorf("(-slow +fast)\n%s", d)
		}
	}
}

// TestPatch: what the splices change, and what they tell.
func TestPatch(t *testing.T) {
	t.Parallel()
	thinks := llm.Capability{Known: true, Has: llm.Tools | llm.Thinking, Efforts: []string{"low", "high"}}
	for _, c := range []struct {
		body, want string
		c          llm.Capability
		edits      []llm.Edit
		losses     string
	}{
		{`{"model":"a", "input":"x"}`, `{"model":"b", "input":"x"}`, llm.Capability{}, []llm.Edit{{Kind: llm.EditModel, Text: "b"}, {Kind: llm.EditUsage}}, ""},
		{`{"model":"a","input":"x"}`, `{"model":"a","input":"x","max_output_tokens":7}`, llm.Capability{}, []llm.Edit{{Kind: llm.EditMaxTokens, Number: 7}}, ""},
		{`{"model":"a","reasoning":{"effort":"xhigh","summary":"auto"},"temperature":0.5,"top_p":1,"input":"x"}`, `{"model":"a","reasoning":{"effort":"high","summary":"auto"},"input":"x"}`,
			thinks, []llm.Edit{{Kind: llm.EditReshape}}, "warn reasoning.effort,warn temperature"},
		{`{"model":"a","reasoning":{"effort":"low","summary":"auto"},"tool_choice":"required","input":[{"role":"developer","content":"x"}]}`, `{"model":"a","reasoning":{"summary":"auto"},"tool_choice":"required","input":[{"role":"system","content":"x"}]}`,
			llm.Capability{Known: true}, []llm.Edit{{Kind: llm.EditReshape}}, "warn reasoning.effort,refuse tool_choice"},
	} {
		h, err := Codec{}.Head(llm.OpChat, []byte(c.body))
		if err != nil {
			t.Fatal(err)
		}
		d := llm.NewDraft(llm.Responses, llm.OpChat, []byte(c.body), h, nil)
		for _, e := range c.edits {
			d = d.With(e)
		}
		enc, err := Codec{}.Patch(&d, &c.c)
		if err != nil {
			t.Fatal(err)
		}
		var losses []string
		for _, l := range enc.Losses {
			losses = append(losses, string(l.Kind)+" "+l.Path)
		}
		if got := string(bytes.Join(enc.Body, nil)); got != c.want || strings.Join(losses, ",") != c.losses {
			t.Errorf("%s\nbecame %s\nwant   %s\nlosses %v, want %s", c.body, got, c.want, losses, c.losses)
		}
	}
}

// TestHead: what routing and the store of answers read.
func TestHead(t *testing.T) {
	t.Parallel()
	h, err := Codec{}.Head(llm.OpChat, []byte(`{"model":"m","stream":true,"max_output_tokens":9,"tools":[{}],"user":"u","safety_identifier":"s","prompt_cache_key":"k","previous_response_id":"resp_1","store":false,"background":true,"input":""}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.Model != "m" || !h.Stream || h.MaxTokens != 9 || !h.Tools || h.EndUser != "s" || h.CacheKey != "k" || h.PreviousID != "resp_1" || h.Store == nil || *h.Store || !h.Background {
		t.Errorf("%+v", h)
	}
	for _, body := range []string{`{}`, `{"model":""}`, `{"model":1}`, `{"model":"m","stream":1}`, `{"model":"m","store":"no"}`, `{"model":"m","max_output_tokens":-1}`, `[]`} {
		if _, err := (Codec{}).Head(llm.OpChat, []byte(body)); err == nil {
			t.Errorf("%s is taken", body)
		}
	}
}

// TestCount: the counting endpoint is sent what makes the prompt, and nothing
// else.
func TestCount(t *testing.T) {
	t.Parallel()
	r, err := Codec{}.DecodeRequest([]byte(`{"model":"a","stream":true,"store":true,"instructions":"i","input":[{"role":"user","content":"q"}],"tools":[{"type":"web_search"}],"temperature":1,"metadata":{},"previous_response_id":"resp_1"}`))
	if err != nil {
		t.Fatal(err)
	}
	enc, err := Codec{}.EncodeCount(r, "m", &llm.Capability{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"model":"m","instructions":"i","input":[{"role":"user","content":"q"}],"tools":[{"type":"web_search"}],"previous_response_id":"resp_1"}`
	if got := string(bytes.Join(enc.Body, nil)); got != want || len(enc.Losses) > 0 {
		t.Errorf("%s %v", got, enc.Losses)
	}
	n, err := Codec{}.DecodeCount(Codec{}.AppendCount(nil, 11))
	if n != 11 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := (Codec{}).DecodeCount([]byte(`{"object":"response.input_tokens"}`)); err == nil {
		t.Error("an answer without a count is taken")
	}
}
