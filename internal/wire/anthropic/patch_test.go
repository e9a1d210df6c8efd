package anthropic

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// patched applies edits to a body.
func patched(t *testing.T, op llm.Op, body string, c *llm.Capability, edits ...llm.Edit) (string, llm.Encoded) {
	t.Helper()
	h, err := Codec{}.Head(op, []byte(body))
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	d := llm.NewDraft(llm.Anthropic, op, []byte(body), h, nil)
	for _, e := range edits {
		d = d.With(e)
	}
	p, err := Codec{}.Patch(&d, c)
	if err != nil {
		t.Fatal(err)
	}
	return string(joined(p)), p
}

var reshape = llm.Edit{Kind: llm.EditReshape}

// TestReshape checks what a route's target makes of a Messages request.
func TestReshape(t *testing.T) {
	const head, tail = `{"model":"m","messages":[]`, `}`
	for _, c := range []struct {
		name, in, want string
		cap            *llm.Capability
		losses         string
	}{
		{"unknown model", `,"max_tokens":9,"temperature":0.1,"thinking":{"type":"disabled"}`, `,"max_tokens":9,"temperature":0.1,"thinking":{"type":"disabled"}`, &llm.Capability{}, ""},
		{"fits", `,"max_tokens":9,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}`, `,"max_tokens":9,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}`, opus55(), ""},
		{"max_tokens", `,"max_tokens": 128000 `, `,"max_tokens": 64000 `, haiku45(), "warn max_tokens"},
		{"budget to effort", `,"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":8000,"display":"summarized"}`, `,"max_tokens":9000,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"medium"}`, opus55(), "warn thinking.budget_tokens"},
		{"budget beside effort", `,"max_tokens":9000,"output_config":{"effort":"low"},"thinking":{"type":"enabled","budget_tokens":8000}`, `,"max_tokens":9000,"output_config":{"effort":"low"},"thinking":{"type":"adaptive"}`, opus55(), ""},
		{"budget into other config", `,"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000},"output_config":{"format":{"type":"json_schema","schema":{}}}`, `,"max_tokens":9000,"thinking":{"type":"adaptive"},"output_config":{"format":{"type":"json_schema","schema":{}},"effort":"low"}`, opus55(), "warn thinking.budget_tokens"},
		{"adaptive to budget", `,"max_tokens":64000,"thinking":{"type":"adaptive","block_binding":{"x":1}},"output_config":{"effort":"low"}`, `,"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":2048}`, haiku45(), "warn thinking"},
		{"adaptive to a budget below max_tokens", `,"max_tokens":3000,"thinking":{"type":"adaptive"}`, `,"max_tokens":3000,"thinking":{"type":"enabled","budget_tokens":1500}`, haiku45(), "warn thinking, warn thinking.budget_tokens"},
		{"no room for a budget", `,"max_tokens":900,"thinking":{"type":"adaptive"}`, `,"max_tokens":900`, haiku45(), "warn thinking, warn thinking"},
		{"clamped budget", `,"max_tokens":100000,"thinking":{"type":"enabled","budget_tokens":80000}`, `,"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":32000}`, haiku45(), "warn max_tokens, warn thinking.budget_tokens"},
		{"disabled to between_tools", `,"max_tokens":9,"thinking":{"type":"disabled"},"output_config":{"effort":"max"}`, `,"max_tokens":9,"thinking":{"type":"between_tools"},"output_config":{"effort":"high"}`, sonnet55(), "warn thinking, warn output_config.effort"},
		{"disabled where it cannot be", `,"max_tokens":9,"thinking":{"type":"disabled"},"output_config":{"effort":"medium"}`, `,"max_tokens":9,"output_config":{"effort":"medium"}`, opus55(), "warn thinking"},
		{"disabled at high effort", `,"max_tokens":9,"thinking":{"type":"disabled"},"output_config":{"effort":"xhigh"}`, `,"max_tokens":9,"thinking":{"type":"disabled"},"output_config":{"effort":"high"}`, haiku55(), "warn output_config.effort"},
		{"between_tools to disabled", `,"max_tokens":9,"thinking":{"type":"between_tools"}`, `,"max_tokens":9,"thinking":{"type":"disabled"}`, haiku55(), "warn thinking"},
		{"between_tools to adaptive", `,"max_tokens":9,"thinking":{"type":"between_tools"}`, `,"max_tokens":9,"thinking":{"type":"adaptive"}`, opus55(), "warn thinking"},
		{"effort clamped", `,"max_tokens":9,"output_config":{"effort":"xhigh","task_budget":{"total":20000}}`, `,"max_tokens":9,"output_config":{"effort":"high","task_budget":{"total":20000}}`, opus46(), "warn output_config.effort"},
		{"effort refused", `,"max_tokens":9,"output_config":{"effort":"xhigh"}`, `,"max_tokens":9`, haiku45(), "warn output_config.effort"},
		{"forced choice", `,"max_tokens":9,"tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}`, `,"max_tokens":9,"tools":[{"name":"f"}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`, opus55(), "refuse tool_choice"},
		{"forced choice beside adaptive", `,"max_tokens":9000,"tools":[{"name":"f"}],"tool_choice":{"type":"any"},"thinking":{"type":"adaptive"}`, `,"max_tokens":9000,"tools":[{"name":"f"}],"tool_choice":{"type":"any"}`, haiku45(), "warn thinking, warn thinking"},
		{"sampling", `,"temperature":0.5,"max_tokens":9,"top_p":1,"top_k":3`, `,"max_tokens":9`, opus55(), "warn temperature, warn top_k"},
		{"sampling that is taken", `,"temperature":0.5,"max_tokens":9,"top_k":3`, `,"temperature":0.5,"max_tokens":9,"top_k":3`, haiku45(), ""},
		{"sampling while thinking", `,"temperature":0.5,"max_tokens":9000,"top_p":0.99,"thinking":{"type":"enabled","budget_tokens":2000}`, `,"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":2000}`, haiku45(), "warn temperature, warn top_p"},
		{"a type of tomorrow", `,"max_tokens":9,"thinking":{"type":"dreaming"}`, `,"max_tokens":9,"thinking":{"type":"dreaming"}`, opus55(), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, p := patched(t, llm.OpChat, head+c.in+tail, c.cap, reshape)
			if got != head+c.want+tail {
				t.Errorf("\nwant %s\n got %s", head+c.want+tail, got)
			}
			if s := losses(p); s != c.losses {
				t.Errorf("losses %q, want %q", s, c.losses)
			}
		})
	}
}

// TestEdits checks the scalar edits.
func TestEdits(t *testing.T) {
	const body = "{ \"max_tokens\" : 10 ,\n \"model\":\"a\\u0062\", \"messages\":[] }\n"
	got, p := patched(t, llm.OpChat, body, nil, llm.Edit{Kind: llm.EditModel, Text: `x"y`}, llm.Edit{Kind: llm.EditMaxTokens, Number: 7}, llm.Edit{Kind: llm.EditUsage})
	if want := "{ \"max_tokens\" : 7 ,\n \"model\":\"x\\\"y\", \"messages\":[] }\n"; got != want || len(p.Losses) > 0 {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, p := patched(t, llm.OpChat, body, nil, llm.Edit{Kind: llm.EditModel, Text: "ab"}); got != body || len(p.Body) != 1 {
		t.Errorf("the same model is no edit, got %q", got)
	}
	if got, _ := patched(t, llm.OpCountTokens, `{"model":"a","messages":[]}`, nil, llm.Edit{Kind: llm.EditMaxTokens, Number: 7}); strings.Contains(got, "max_tokens") {
		t.Errorf("count_tokens got an output cap: %s", got)
	}
}

// TestPatchVersion: the client's version stands, and there is always one.
func TestPatchVersion(t *testing.T) {
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte(`{}`), llm.Head{}, nil)
	if p, err := (Codec{}).Patch(&d, nil); err != nil || p.Header.Get("anthropic-version") != versionOld {
		t.Errorf("%v, %v", p.Header, err)
	}
	d.Header = http.Header{"Anthropic-Version": {versionNew}}
	if p, err := (Codec{}).Patch(&d, nil); err != nil || p.Header != nil {
		t.Errorf("%v, %v", p.Header, err)
	}
}

// TestUnsigned: thinking that nobody signed is left out of a request that is
// reshaped, also where no block of the conversation has a signature at all.
func TestUnsigned(t *testing.T) {
	const body = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x"},{"type":"text","text":"b"}]},{"role":"user","content":"c"}]}`
	got, p := patched(t, llm.OpChat, body, opus55(), reshape)
	if want := strings.Replace(body, `{"type":"thinking","thinking":"x"},`, "", 1); got != want || losses(p) != "carry messages.1.content.0" {
		t.Errorf("\nwant %s\n got %s, losses %q", want, got, losses(p))
	}
	if got, _ := patched(t, llm.OpChat, body, opus55()); got != body {
		t.Errorf("left out without the edit: %s", got)
	}
}

// TestFold: system messages inside the conversation, for a model without them.
func TestFold(t *testing.T) {
	const body = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}, {"role":"system","content":"S"} ,{"role":"assistant","content":"b"},{"role":"user","content":"the \"system\" word"},{"role":"system","content":[{"type":"text","text":"T","cache_control":{"type":"ephemeral"}}],"output_config":{"effort":"low"}},{"role":"system","content":[],"output_config":{"effort":"low"}}]}`
	got, p := patched(t, llm.OpChat, body, sonnet5(), reshape)
	want := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}, {"role":"user","content":"<system-message>\nS\n</system-message>"} ,{"role":"assistant","content":"b"},{"role":"user","content":"the \"system\" word"},{"role":"user","content":[{"type":"text","text":"<system-message>\nT\n</system-message>","cache_control":{"type":"ephemeral"}}]}]}`
	if got != want {
		t.Errorf("\nwant %s\n got %s", want, got)
	}
	if len(p.Losses) != 3 {
		t.Errorf("losses %s", losses(p))
	}
	if got, _ := patched(t, llm.OpChat, body, opus55(), reshape); got != body {
		t.Errorf("folded for a model that has them: %s", got)
	}
	if got, _ := patched(t, llm.OpChat, body, sonnet5()); got != body {
		t.Errorf("folded without the edit: %s", got)
	}
}

// TestPatchProperty makes random bodies and edits: what comes out is JSON, and
// every member that no edit may touch has its bytes.
func TestPatchProperty(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(ss ...string) string { return ss[r.IntN(len(ss))] }
	caps := []*llm.Capability{opus55(), sonnet55(), haiku55(), sonnet5(), opus48(), opus46(), opus45(), haiku45(), {}, row(0, nil, nil, false)}
	touched := []string{"model", "max_tokens", "thinking", "output_config", "temperature", "top_p", "top_k", "tool_choice", "messages"}
	for n := range 5000 {
		all := []string{
			`"model":"m"`, `"max_tokens":` + pick("0", "9", "1024", "1500", "70000", "200000"),
			`"messages":` + pick(`[]`, ` [ {"role":"user","content":"\"system\" \"hr1. "} ]`,
				`[{"role":"user","content":"a"},{"role":"system","content":"S"}]`,
				`[{"role":"system","content":""}]`,
				`[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"hr1.e30"}]},{"role":"assistant","content":[ {"type":"thinking","thinking":"","signature":""} , {"type":"text","text":"t"} ]},{"role":"user","content":"b"}]`),
			`"thinking":{"type":"` + pick("adaptive", "enabled", "disabled", "between_tools", "new") + `","budget_tokens":` + pick("0", "1024", "9000", "50000") + pick("", `,"display":"omitted"`, `,"block_binding":{}`) + `}`,
			`"output_config":` + pick(`{}`, `{"effort":"`+pick("low", "high", "xhigh", "max", "odd")+`"}`, `{"format":{"a":[1,{"b":2}]},"effort":"max"}`, `{"x":1}`),
			`"temperature":` + pick("1", "0.5", "1.0", "null"), `"top_p":` + pick("1", "0.3", "0.99"), `"top_k":5`,
			`"tool_choice":{"type":"` + pick("auto", "any", "none", "tool") + `","name":"f"}`, `"tools":[{"name":"f"}]`, `"system":"}],\"{["`, `"stream":true`, `"metadata":{"user_id":"u"}`, `"x\n":{"a":[{}]}`,
		}
		body := []string{all[0], all[1], all[2]}
		for _, m := range all[3:] {
			if r.IntN(2) == 0 {
				body = append(body, m)
			}
		}
		r.Shuffle(len(body), func(i, j int) { body[i], body[j] = body[j], body[i] })
		in := "{" + pick("", " ") + strings.Join(body, pick(",", " ,\n\t", ", ")) + pick("", "\n") + "}"
		var edits []llm.Edit
		for _, e := range []llm.Edit{{Kind: llm.EditModel, Text: "other"}, {Kind: llm.EditMaxTokens, Number: int64(r.IntN(100000))}, reshape} {
			if r.IntN(2) == 0 {
				edits = append(edits, e)
			}
		}
		c := caps[r.IntN(len(caps))]
		out, _ := patched(t, llm.OpChat, in, c, edits...)
		why := fmt.Sprintf("seed %d, round %d, %v\n in %s\nout %s", seed, n, edits, in, out)
		var was, is map[string]json.RawMessage
		if err := json.Unmarshal([]byte(in), &was); err != nil {
			t.Fatal(err, why)
		}
		if err := json.Unmarshal([]byte(out), &is); err != nil {
			t.Fatal(err, why)
		}
		if _, err := (Codec{}).Head(llm.OpChat, []byte(out)); err != nil {
			t.Fatal(err, why)
		}
		for name, v := range was {
			if !slices.Contains(touched, name) && string(is[name]) != string(v) {
				t.Fatalf("%s changed\n%s", name, why)
			}
		}
		for name := range is {
			if _, there := was[name]; !there && name != "output_config" {
				t.Fatalf("%s is new\n%s", name, why)
			}
		}
		if !slices.Contains(edits, reshape) && !strings.Contains(in, `"hr1.e30`) {
			for _, name := range touched[2:] {
				if string(is[name]) != string(was[name]) {
					t.Fatalf("%s changed without the edit\n%s", name, why)
				}
			}
		}
		if slices.Contains(edits, reshape) && c.Known {
			var th struct {
				Type   string `json:"type"`
				Budget int64  `json:"budget_tokens"`
			}
			var limit int64
			_ = json.Unmarshal(is["max_tokens"], &limit)
			if is["thinking"] != nil {
				_ = json.Unmarshal(is["thinking"], &th)
				if th.Type != "new" && !c.CanThink(th.Type) || th.Type == "enabled" && th.Budget >= limit {
					t.Fatalf("thinking %s\n%s", is["thinking"], why)
				}
			}
			if c.MaxOutput > 0 && limit > c.MaxOutput {
				t.Fatal("max_tokens", why)
			}
		}
	}
}
