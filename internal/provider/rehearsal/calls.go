package rehearsal

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// clientTools are the tools that a vendor defines by name and the client runs,
// with harmless arguments for each (Anthropic tool types by prefix, 2026-11).
// Any other typed tool runs at the vendor and cannot be rehearsed.
var clientTools = []struct{ prefix, arguments string }{
	{"bash_", `{"command":"true"}`},
	{"text_editor_", `{"command":"view","path":"README.md"}`},
	{"memory_", `{"command":"view","path":"/memories"}`},
	{"computer_2", `{"action":"screenshot"}`},
	{"local_shell", `{"command":["true"]}`},
}

// usable reports whether the rehearsal can call the tool.
func usable(t *llm.Tool) bool {
	if t.Name == "" {
		return false
	}
	if t.Type == "" || t.Type == "function" || t.Type == "custom" {
		return true
	}
	return slices.ContainsFunc(clientTools, func(c struct{ prefix, arguments string }) bool { return strings.HasPrefix(t.Type, c.prefix) })
}

// freeText reports whether the tool takes text instead of JSON (OpenAI custom
// tools).
func freeText(t *llm.Tool) bool {
	return t.Type == "custom" && t.From != llm.Anthropic && len(t.Schema) == 0
}

// arguments makes the arguments of a call.
func arguments(t *llm.Tool, h hint) []byte {
	h.tool = t.Name
	if freeText(t) {
		h.name = "input"
		if h.command(t.Description) || !h.path() {
			return []byte("true")
		}
	}
	for _, c := range clientTools {
		if t.Type != "" && strings.HasPrefix(t.Type, c.prefix) {
			return []byte(c.arguments)
		}
	}
	return compact(generate(t.Schema, h))
}

// compact takes the white space out of values that were copied from a schema.
func compact(v jsontext.Value) jsontext.Value {
	out := v.Clone()
	if err := out.Compact(); err != nil {
		return v
	}
	return out
}

// wanted lists the tools to call now, in order, one for each call; nil for
// none.
func wanted(req *llm.Request, sc *scene) ([]*llm.Tool, error) {
	c := req.Choice
	if c.Mode == llm.ToolNone || len(req.Tools) == 0 {
		return nil, nil
	}
	var tools []*llm.Tool
	for i := range req.Tools {
		t := &req.Tools[i]
		if c.Mode == llm.ToolOnly && t.Name != c.Name || c.Mode == llm.ToolSubset && !slices.Contains(c.Names, t.Name) {
			continue
		}
		if usable(t) {
			tools = append(tools, t)
		}
	}
	if c.Mode == llm.ToolOnly && len(tools) == 0 {
		if slices.ContainsFunc(req.Tools, func(t llm.Tool) bool { return t.Name == c.Name }) {
			return nil, nil // it runs at the vendor
		}
		return nil, llm.Errorf(llm.InvalidRequest, "Tool '%s' not found in provided tools", c.Name)
	}
	text := sc.text
	if at, _ := exactly(text); at >= 0 {
		text = text[:at] // what is to be said is no wish
	}
	named := mentioned(text, tools)
	forced := c.Mode == llm.ToolAny || c.Mode == llm.ToolOnly || c.Mode == llm.ToolSubset && c.Forced
	times, pair := howOften(text)
	if len(named) == 0 && forced && len(tools) > 0 {
		named = tools[:1]
		if times > 1 && len(tools) > 1 {
			named, times = tools[:min(times, len(tools))], 1
		}
	}
	if len(named) > 1 && pair {
		times = 1 // "call a and b in parallel" is one of each
	}
	times = min(times, maxCalls)
	var calls []*llm.Tool
	for _, t := range named {
		for range times {
			if len(calls) < maxCalls {
				calls = append(calls, t)
			}
		}
	}
	// What was called since the last answer is done: a result is never a
	// reason to call again.
	done := slices.Clone(sc.called)
	left := slices.DeleteFunc(slices.Clone(calls), func(t *llm.Tool) bool {
		i := slices.Index(done, t.Name)
		if i >= 0 {
			done = slices.Delete(done, i, i+1)
		}
		return i >= 0
	})
	if len(left) == 0 && forced && len(calls) > 0 {
		left = calls[:1]
	}
	if len(left) > 1 && req.ParallelCalls != nil && !*req.ParallelCalls {
		left = left[:1]
	}
	return left, nil
}

const maxCalls = 16

var (
	timesText    = regexp.MustCompile(`(?i)\b(\d{1,3}|two|three|four|five|six|seven|eight) times\b`)
	twiceText    = regexp.MustCompile(`(?i)\btwice\b`)
	thriceText   = regexp.MustCompile(`(?i)\bthrice\b`)
	parallelText = regexp.MustCompile(`(?i)\b(?:in parallel|parallel (?:tool )?calls|simultaneously|at the same time|at once)\b`)
)

// howOften reads how many calls of each tool a text wants. "In parallel"
// without a number means two, as a pair of one tool or of two.
func howOften(text string) (times int, pair bool) {
	if m := timesText.FindStringSubmatch(text); m != nil {
		if n := slices.Index([]string{"two", "three", "four", "five", "six", "seven", "eight"}, strings.ToLower(m[1])); n >= 0 {
			return n + 2, false
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			return n, false
		}
	}
	switch {
	case thriceText.MatchString(text):
		return 3, false
	case twiceText.MatchString(text):
		return 2, false
	case parallelText.MatchString(text):
		return 2, true
	}
	return 1, false
}

// mentioned gives the tools whose names stand in the text, in that order.
func mentioned(text string, tools []*llm.Tool) []*llm.Tool {
	type at struct {
		pos int
		t   *llm.Tool
	}
	var found []at
	for _, t := range tools {
		pos := mention(text, t.Name)
		// "mcp__server__get_weather" is also called get_weather.
		if i := strings.LastIndex(t.Name, "__"); pos < 0 && i > 0 && !plain(t.Name[i+2:]) {
			pos = mention(text, t.Name[i+2:])
		}
		if pos >= 0 {
			found = append(found, at{pos, t})
		}
	}
	slices.SortStableFunc(found, func(a, b at) int { return a.pos - b.pos })
	out := make([]*llm.Tool, len(found))
	for i, f := range found {
		out[i] = f.t
	}
	return out
}

// plain reports whether a tool's name is an ordinary word, such as Read or
// search, that a text may hold without meaning the tool.
func plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', i == 0 && 'A' <= c && c <= 'Z':
		default:
			return false
		}
	}
	return true
}

var (
	callBefore = regexp.MustCompile("(?i)(?:\\b(?:call|calls|calling|use|using|invoke|invoking|run|tool|function)(?: both| the| only| just)?[ :]+|[`'\"“‘*])$")
	callList   = regexp.MustCompile(`(?i)\b(?:call|use|using|invoke|run)\b[^.!?\n]*(?:,| and| then| or)\s*(?:the )?$`)
	callAfter  = regexp.MustCompile("^(?i)(?: (?:tool|function)\\b|[(`'\"”’*:])")
	notBefore  = regexp.MustCompile(`(?i)\b(?:do not|don't|don’t|never|without|not)\s+(?:(?:call|use|using|run|calling|invoke)\s+)?(?:the\s+)?[` + "`" + `'"]?$`)
)

// mention gives the place where a text names a tool, or -1. A name that is an
// ordinary word must be spelled as it is and be no sentence's first word, or
// have "call", "use", "tool", a quote or the like beside it.
func mention(text, name string) int {
	lower, want := strings.ToLower(text), strings.ToLower(name)
	if want == "" || len(lower) != len(text) { // folding moved the bytes: compare exactly
		lower, want = text, name
	}
	for from := 0; from <= len(lower); {
		i := strings.Index(lower[from:], want)
		if i < 0 || want == "" {
			return -1
		}
		i += from
		end := i + len(want)
		from = i + 1
		if i > 0 && nameByte(text[i-1]) || end < len(text) && nameByte(text[end]) {
			continue
		}
		before, after := text[max(0, i-120):i], text[end:]
		if notBefore.MatchString(before) {
			continue
		}
		if !plain(name) || callBefore.MatchString(before) || callAfter.MatchString(after) || callList.MatchString(before) && text[i:end] == name {
			return i
		}
		if len(name) < 3 {
			continue
		}
		capital := 'A' <= name[0] && name[0] <= 'Z'
		if text[i:end] == name && !(capital && sentenceStart(before)) || !capital && sentenceStart(before) {
			return i
		}
	}
	return -1
}

func nameByte(c byte) bool {
	return c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func sentenceStart(before string) bool {
	before = strings.TrimRight(before, " \t")
	return before == "" || strings.ContainsRune(".!?:\n", rune(before[len(before)-1]))
}
