package gemini

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// generation gives the number of a model's generation: 2 for
// gemini-2.5-flash, 3 for gemini-3-pro; 0 when the name does not tell
// (gemini-flash-latest, a tuned model).
func generation(model string) int {
	at := strings.Index(model, "gemini-")
	if at < 0 {
		return 0
	}
	rest := model[at+len("gemini-"):]
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	g, err := strconv.Atoi(rest[:n])
	if err != nil {
		return 0
	}
	return g
}

// signs reports whether a model wants thought signatures back, and the
// sentinel where they are lost: Gemini 3 and later. A name that does not tell
// is taken for a new one, unless it is another family's.
func signs(model string) bool {
	g := generation(model)
	return g >= 3 || g == 0 && (model == "" || strings.Contains(model, "gemini") || !strings.Contains(model, "gemma") && !strings.Contains(model, "learnlm"))
}

// levels reports whether a model takes thinkingLevel; older ones take
// thinkingBudget. Sending the wrong one, or both, is a 400.
func levels(model string, c *llm.Capability) bool {
	if len(c.Efforts) > 0 {
		return true
	}
	g := generation(model)
	return g >= 3 || g == 0
}

// Budgets that stand for an effort on models that only know budgets, and the
// way back. There is no official table; docs/wire/gemini.md shows this one.
func budgetOf(effort, model string) int64 {
	switch effort {
	case "minimal":
		return 512
	case "low":
		return 2048
	case "medium":
		return 8192
	}
	return maxBudget(model)
}

func effortOf(budget int64) string {
	switch {
	case budget <= 512:
		return "minimal"
	case budget <= 2048:
		return "low"
	case budget <= 8192:
		return "medium"
	}
	return "high"
}

// maxBudget is the most that thinkingBudget may be (Gemini 2.5).
func maxBudget(model string) int64 {
	if strings.Contains(model, "pro") {
		return 32768
	}
	return 24576
}

// minBudget is the least: the Pro models cannot stop thinking.
func minBudget(model string) int64 {
	if strings.Contains(model, "pro") {
		return 128
	}
	return 0
}

// thought is how a model is asked to think.
type thought struct {
	level string
	// budget is set when limited is; -1 lets the model decide.
	budget  int64
	limited bool
	// show is includeThoughts: "true", "false" or "" for unsaid.
	show string
}

func (t *thought) said() bool { return t.level != "" || t.limited || t.show != "" }

// appendThinking writes a thinkingConfig.
func appendThinking(b []byte, t *thought) []byte {
	b = append(b, '{')
	if t.show != "" {
		b = append(key(b, "includeThoughts"), t.show...)
	}
	if t.level != "" {
		b = span.Quote(key(b, "thinkingLevel"), t.level)
	} else if t.limited {
		b = strconv.AppendInt(key(b, "thinkingBudget"), t.budget, 10)
	}
	return append(b, '}')
}

// fitThought turns what is asked into what the model takes. quiet leaves out
// the warnings for a change of form alone, from clients of other dialects.
func fitThought(r *llm.Reasoning, model string, c *llm.Capability, quiet bool, lose func(kind llm.LossKind, path, format string, args ...any)) thought {
	var t thought
	switch r.Display {
	case "omitted":
		t.show = "false"
	case "":
	default:
		t.show = "true"
	}
	off := r.Mode == llm.ThinkOff || r.Effort == "none" && r.Mode == ""
	effort := r.Effort
	if effort == "none" {
		effort = ""
	}
	if r.Mode == "" && effort == "" && !off {
		return t
	}
	if c.Known && !c.Can(llm.Thinking) {
		if !off {
			lose(llm.LossWarn, "thinking", "dropped: the model does not think")
		}
		return thought{}
	}
	if t.show == "" && !off && quiet {
		t.show = "true" // clients of other dialects are shown thinking
	}
	if r.Mode == llm.ThinkBetweenTools {
		lose(llm.LossWarn, "thinking", "approximated: the model cannot think between tools only")
	}
	if !levels(model, c) {
		t.limited = true
		switch {
		case off:
			t.budget = minBudget(model)
			if t.budget > 0 {
				lose(llm.LossWarn, "thinking", "approximated: the model cannot stop thinking, its budget is %d tokens", t.budget)
			}
		case r.Budget > 0:
			t.budget = min(max(r.Budget, minBudget(model)), maxBudget(model))
			if t.budget != r.Budget {
				lose(llm.LossWarn, "thinking", "clamped from %d to %d tokens", r.Budget, t.budget)
			}
		case effort != "":
			t.budget = budgetOf(effort, model)
			if !quiet {
				lose(llm.LossWarn, "thinking", "approximated: the model takes no level, its budget is %d tokens", t.budget)
			}
		default:
			t.budget = -1
		}
		return t
	}
	lowest := "low"
	if len(c.Efforts) > 0 {
		lowest = c.Efforts[0]
	}
	asked := effort
	switch {
	case off:
		asked = lowest
		lose(llm.LossWarn, "thinking", "approximated: the model cannot stop thinking, its level is %s", lowest)
	case effort == "" && r.Budget > 0:
		asked = effortOf(r.Budget)
		if got, _ := fitLevel(asked, c); got != "" {
			lose(llm.LossWarn, "thinking", "approximated: the model takes no budget, its level is %s", got)
		}
		t.level, _ = fitLevel(asked, c)
		return t
	case effort == "":
		return t // the model decides
	}
	got, exact := fitLevel(asked, c)
	if !exact {
		lose(llm.LossWarn, "reasoning_effort", "clamped from %s to %s", asked, got)
	}
	t.level = got
	return t
}

// fitLevel gives the level nearest to an effort. No model takes "none" or
// "max", and what is known of an unknown one is low to high.
func fitLevel(effort string, c *llm.Capability) (string, bool) {
	if len(c.Efforts) > 0 {
		known := *c
		known.Known = true
		known.Efforts = slices.DeleteFunc(slices.Clone(c.Efforts), func(e string) bool { return e == "none" })
		return known.Effort(effort)
	}
	switch effort {
	case "xhigh", "max":
		return "high", false
	}
	return effort, true
}

// isDefault reports whether a sampling value is what the API does anyway.
func isDefault(name string, v []byte) bool {
	f, ok := number(v)
	switch name {
	case "temperature", "topP":
		return ok && f == 1
	case "presencePenalty", "frequencyPenalty":
		return ok && f == 0
	}
	return false
}

// sampled is a sampling value under this dialect's name.
type sampled struct {
	name  string
	value []byte
	needs llm.Feature
}

func samplingOf(s *llm.Sampling) [6]sampled {
	return [6]sampled{
		{"temperature", s.Temperature, llm.SamplingParams},
		{"topP", s.TopP, llm.SamplingParams},
		{"topK", s.TopK, llm.SamplingParams},
		{"presencePenalty", s.PresencePenalty, llm.SamplingParams},
		{"frequencyPenalty", s.FrequencyPenalty, llm.SamplingParams},
		{"seed", s.Seed, llm.Seed},
	}
}

// fitSampling says what becomes of a sampling value. Gemini 4 refuses the
// penalties and ignores the rest; the catalogue says so by SamplingParams.
func fitSampling(s *sampled, c *llm.Capability) (keep bool, why string) {
	if isNull(s.value) {
		return false, ""
	}
	if c.Can(s.needs) {
		return true, ""
	}
	if isDefault(s.name, s.value) {
		return false, ""
	}
	return false, fmt.Sprintf("dropped: the model does not take %s", s.name)
}
