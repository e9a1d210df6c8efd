package anthropic

import (
	"fmt"
	"slices"

	"headrace/internal/llm"
)

// The budgets that stand for an effort on models that only know budgets, and
// the way back. There is no official table (claude-api, 2026-11); these are
// ours, and docs/wire/anthropic.md shows them.
func budgetOf(effort string) int64 {
	switch effort {
	case "minimal", "low":
		return 2048
	case "medium":
		return 8192
	case "xhigh", "max":
		return 32000
	}
	return 16384
}

// minBudget is the least that budget_tokens may be.
const minBudget = 1024

// thought is how a request asks for thinking, and, after fitting, how the
// target is asked.
type thought struct {
	// typ is the thinking type; "" means that thinking is not mentioned.
	typ    string
	budget int64
	effort string
	// max is the output cap if limited is set; it may be 0. raise lets it
	// grow by a budget that the client did not count in.
	max     int64
	limited bool
	raise   bool
	forced  bool
	// quiet leaves out the warnings for a change of form alone: the client
	// spoke of effort, never of types and budgets.
	quiet bool
}

// fitThought rewrites what is asked into what the model takes (claude-api
// 3.1, 3.2 and 3.7, 2026-11). An unknown model is sent what was asked.
func fitThought(t thought, c *llm.Capability, losses *[]llm.Loss) thought {
	if !c.Known {
		return t
	}
	warn := func(path, format string, args ...any) {
		*losses = append(*losses, llm.Loss{Kind: llm.LossWarn, Path: path, Why: fmt.Sprintf(format, args...)})
	}
	asked := t.effort
	lowest := func() {
		if t.effort == "" && c.ThinksByDefault && len(c.Efforts) > 0 {
			t.effort, asked = c.Efforts[0], c.Efforts[0]
		}
	}
	switch {
	case t.typ == "" || slices.Contains(c.ThinkTypes, t.typ):
	case len(c.ThinkTypes) == 0:
		if t.typ != "disabled" && !t.quiet {
			warn("thinking", "dropped: the model does not think on demand")
		}
		t.typ = ""
	case t.typ == "disabled" && c.CanThink("between_tools"):
		t.typ = "between_tools"
		warn("thinking", "approximated: the model cannot stop thinking, only between tools")
	case t.typ == "disabled":
		t.typ = ""
		if c.ThinksByDefault {
			lowest()
			warn("thinking", "dropped: the model cannot stop thinking")
		}
	case t.typ == "between_tools" && c.CanThink("disabled"):
		t.typ = "disabled"
		warn("thinking", "approximated: the model does not know between_tools, thinking is off")
	case t.typ == "between_tools" && c.CanThink("adaptive"):
		t.typ = "adaptive"
		warn("thinking", "approximated: the model does not know between_tools, thinking is adaptive")
	case t.typ == "enabled" && c.CanThink("adaptive"):
		t.typ = "adaptive"
		if t.effort == "" && t.budget > 0 {
			t.effort = llm.EffortOf(t.budget)
			asked = t.effort
			if got, _ := c.Effort(t.effort); got != "" {
				warn("thinking.budget_tokens", "approximated: the model takes no budget, effort is %s", got)
			} else {
				warn("thinking.budget_tokens", "dropped: the model takes no budget")
			}
		}
	case t.typ == "adaptive" && c.CanThink("enabled"):
		t.typ = "enabled"
		t.budget = budgetOf(t.effort)
		if !t.quiet {
			warn("thinking", "approximated: the model is not adaptive, the budget is %d tokens", t.budget)
		}
	default:
		warn("thinking", "dropped: the model does not take the type %q", t.typ)
		t.typ = ""
	}

	if t.typ == "enabled" {
		t.budget = max(t.budget, minBudget)
		if t.forced {
			t.typ = ""
			warn("thinking", "dropped: a forced tool choice and a thinking budget exclude one another")
		} else if t.raise && t.limited {
			raised := t.max + t.budget
			if c.MaxOutput > 0 {
				raised = min(raised, c.MaxOutput)
			}
			if raised != t.max {
				warn("max_tokens", "raised from %d to %d: the thinking budget counts in it", t.max, raised)
				t.max = raised
			}
		}
		if t.limited && t.typ != "" && t.budget >= t.max {
			if t.max <= minBudget {
				t.typ = ""
				warn("thinking", "dropped: max_tokens leaves no room for the least budget")
			} else {
				t.budget = max(minBudget, t.max/2)
				warn("thinking.budget_tokens", "clamped to %d: it must be below max_tokens", t.budget)
			}
		}
	}

	if t.effort != "" {
		got, exact := c.Effort(t.effort)
		if !exact && !(got == "" && t.typ == "enabled") {
			if got == "" {
				warn("output_config.effort", "dropped: the model does not take effort")
			} else {
				warn("output_config.effort", "clamped from %s to %s", asked, got)
			}
		}
		t.effort = got
	}
	// Opus 5, Sonnet 5.5 and Haiku 5.5 want effort high or below while
	// thinking is off; they are those that think unless told not to.
	if (t.typ == "disabled" || t.typ == "between_tools") && c.ThinksByDefault && (t.effort == "xhigh" || t.effort == "max") {
		if got, _ := c.Effort("high"); got != "" {
			warn("output_config.effort", "clamped from %s to %s: thinking is off", t.effort, got)
			t.effort = got
		}
	}
	return t
}

// isDefault reports whether a sampling value is what the API does anyway.
func isDefault(name string, v []byte) bool {
	f, ok := number(v)
	return ok && f == 1 && name != "top_k" || isNull(v)
}

// fitSampling says what becomes of a sampling value: keep it or not, and why
// (claude-api 3.5). both is set when temperature is sent beside top_p.
func fitSampling(name string, v []byte, c *llm.Capability, thinks, both bool) (keep bool, why string) {
	if isNull(v) {
		return false, ""
	}
	if !c.Can(llm.SamplingParams) {
		if isDefault(name, v) {
			return false, ""
		}
		return false, "dropped: the model takes no sampling values"
	}
	f, _ := number(v)
	switch {
	case name == "top_p" && both && c.Known:
		if f == 1 {
			return false, ""
		}
		return false, "dropped: temperature and top_p exclude one another"
	case !thinks:
	case name == "temperature" && f != 1, name == "top_p" && f < 0.95, name == "top_k":
		return false, "dropped: not taken while the model thinks"
	}
	return true, ""
}
