package ollama

import "headrace/internal/llm"

// fitThink gives the value of think for a target ("" leaves it out) and why it
// is not quite what was asked, "" when it is. Most models that think know only
// true and false; those whose capability lists efforts (gpt-oss) take levels
// and pass over booleans.
func fitThink(rs llm.Reasoning, c *llm.Capability) (value, why string) {
	off := rs.Mode == llm.ThinkOff || rs.Effort == "none"
	if !off && rs.Mode == "" && rs.Effort == "" && rs.Budget == 0 {
		return "", ""
	}
	if c.Known && !c.Can(llm.Thinking) {
		if off {
			return "", ""
		}
		return "", "dropped: the model does not think"
	}
	levels := false
	for _, e := range c.Efforts {
		levels = levels || c.Known && e != "none"
	}
	if off {
		if got, exact := c.Effort("none"); levels && !exact {
			return quoted(level(got)), "approximated: the model cannot stop thinking; it became " + level(got)
		}
		return "false", ""
	}
	want := rs.Effort
	if want == "" && rs.Budget > 0 {
		want = effortOf(rs.Budget)
		why = "approximated: a budget of thinking tokens has no equal"
	}
	if rs.Mode == llm.ThinkBetweenTools {
		why = "approximated: between_tools has no equal"
	}
	switch {
	case levels:
		if want == "" {
			if want = c.DefaultEffort; want == "" || want == "none" {
				want = "medium"
			}
		}
		got, exact := c.Effort(want)
		if got == "none" {
			got = "low"
		}
		if !exact {
			why = "approximated: " + want + " became " + level(got)
		}
		return quoted(level(got)), why
	case c.Known && want != "":
		if why == "" {
			why = "approximated: the model knows no levels of thinking"
		}
		return "true", why
	case want != "" && rs.Effort != "":
		if got := level(want); got != want {
			return quoted(got), "approximated: " + want + " became " + got
		}
		return quoted(want), why
	}
	return "true", why
}

// level gives the nearest of the words that Ollama takes.
func level(effort string) string {
	switch effort {
	case "low", "medium", "high", "max":
		return effort
	case "minimal":
		return "low"
	case "xhigh":
		return "max"
	}
	return "medium"
}

func quoted(s string) string { return `"` + s + `"` }

// effortOf turns a budget of thinking tokens into an effort. There is no
// agreed table; these thresholds are those of the Chat Completions codec.
func effortOf(budget int64) string {
	switch {
	case budget <= 2048:
		return "low"
	case budget <= 8192:
		return "medium"
	case budget <= 24576:
		return "high"
	}
	return "max"
}
