package anthropic

import (
	"testing"

	"headrace/internal/llm"
)

// Words as the Chat Completions decoder makes them.

func chat(groups ...[]llm.Item) *llm.Request {
	r := &llm.Request{From: llm.OpenAI, Model: "m"}
	for turn, items := range groups {
		for _, it := range items {
			it.Turn = turn
			it.From = llm.OpenAI
			r.Items = append(r.Items, it)
		}
	}
	return r
}

func said(role llm.Role, texts ...string) []llm.Item {
	it := llm.Item{Kind: llm.ItemMessage, Role: role, Path: "messages." + string(role)}
	for _, s := range texts {
		it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockText, Text: s, From: llm.OpenAI})
	}
	return []llm.Item{it}
}

func system(s ...string) []llm.Item    { return said(llm.System, s...) }
func user(s ...string) []llm.Item      { return said(llm.User, s...) }
func assistant(s ...string) []llm.Item { return said(llm.Assistant, s...) }

func assistantCall(id, name, args string) []llm.Item {
	return []llm.Item{{Kind: llm.ItemToolCall, Role: llm.Assistant, Path: "call", Call: llm.Call{ID: id, Name: name, Arguments: []byte(args)}}}
}

func result(id string, texts ...string) []llm.Item {
	it := said("tool", texts...)[0]
	it.Kind, it.Path, it.Result = llm.ItemToolResult, "result", llm.Result{CallID: id}
	return []llm.Item{it}
}

func part(b llm.Block) []llm.Item {
	b.From = llm.OpenAI
	return []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Path: "messages.part", Blocks: []llm.Block{b}}}
}

// Rows of the catalogue, as claude-api 3.1 has them.

func row(has llm.Feature, efforts, types []string, thinks bool) *llm.Capability {
	return &llm.Capability{Known: true, Has: has, Efforts: efforts, ThinkTypes: types, ThinksByDefault: thinks, Window: 1 << 20, MaxOutput: 128000}
}

var allEfforts = []string{"low", "medium", "high", "xhigh", "max"}

const base = llm.Tools | llm.ParallelTools | llm.Vision | llm.PDF | llm.Thinking | llm.JSONSchema | llm.StopSequences | llm.ImageInResult | llm.StrictTools

func opus55() *llm.Capability {
	return row(base|llm.MidSystem, allEfforts, []string{"adaptive"}, true)
}
func sonnet55() *llm.Capability {
	return row(base|llm.MidSystem, allEfforts, []string{"adaptive", "between_tools"}, true)
}
func haiku55() *llm.Capability {
	return row(base|llm.MidSystem|llm.ForcedTool, allEfforts, []string{"adaptive", "disabled"}, true)
}
func sonnet5() *llm.Capability {
	return row(base|llm.ForcedTool, allEfforts, []string{"adaptive", "disabled"}, true)
}
func opus48() *llm.Capability {
	return row(base|llm.ForcedTool|llm.MidSystem, allEfforts, []string{"adaptive", "disabled"}, false)
}
func opus46() *llm.Capability {
	return row(base|llm.ForcedTool|llm.SamplingParams, []string{"low", "medium", "high", "max"}, []string{"adaptive", "enabled", "disabled"}, false)
}
func opus45() *llm.Capability {
	c := row(base|llm.ForcedTool|llm.SamplingParams|llm.Prefill, []string{"low", "medium", "high"}, []string{"enabled", "disabled"}, false)
	c.MaxOutput = 64000
	return c
}
func haiku45() *llm.Capability {
	c := row(base|llm.ForcedTool|llm.SamplingParams|llm.Prefill, nil, []string{"enabled", "disabled"}, false)
	c.MaxOutput = 64000
	return c
}

// TestToolCap: a target over its cap is refused, with the numbers.
func TestToolCap(t *testing.T) {
	r := &llm.Request{From: llm.OpenAI, Tools: make([]llm.Tool, 3), Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "x"}}}}}
	for i := range r.Tools {
		r.Tools[i].Name = string(rune('a' + i))
	}
	for most, fits := range map[int]bool{0: true, 2: false, 3: true} {
		e, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{Manners: llm.Manners{MaxTools: most}})
		if err != nil || (llm.Refusal(e.Losses) == nil) != fits {
			t.Errorf("at most %d: %v %v", most, e.Losses, err)
		}
	}
}
