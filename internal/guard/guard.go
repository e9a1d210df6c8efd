// Package guard holds what requests and answers must not say: rules with the
// patterns that find it, and what is done where they do.
package guard

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"headrace/internal/llm"
)

// Side is where a rule looks.
type Side string

// The sides.
const (
	Input  Side = "input"
	Output Side = "output"
	Both   Side = "both"
)

// Do is what is done about what a rule finds.
type Do string

// What can be done.
const (
	// Block refuses the request, or ends the answer with an error.
	Block Do = "block"
	// Redact replaces what was found by a placeholder such as [EMAIL_1]. The
	// answer gets what stood there back; what is redacted in an answer stays so.
	Redact Do = "redact"
	// Flag only counts it.
	Flag Do = "flag"
)

// Rule is one rule as the operator writes it. Exactly one of Find, Words,
// Pattern, Schema and Webhook is set; the last two look at whole texts and block.
type Rule struct {
	Name string
	On   Side
	Do   Do
	// Find names detectors or groups of them (Detectors).
	Find []string
	// Words are found as whole words in any case.
	Words []string
	// Pattern is a regular expression (RE2).
	Pattern string
	// Schema is the JSON Schema that an answer's text must fit.
	Schema []byte
	// Webhook is asked about each text.
	Webhook *Webhook
}

// Finding is one place where a rule applies: the bytes [From, To) of a text.
type Finding struct {
	// Rule is the rule's name, Kind what was found: the detector's name, "word" or
	// "pattern".
	Rule, Kind string
	Do         Do
	From, To   int
}

// Rules are compiled rules. Safe for concurrent use.
type Rules struct {
	in, out []matcher
	checks  []check
	// window is how much of a streamed text is held back, in bytes.
	window int
}

// matcher finds one thing.
type matcher struct {
	rule string
	kind string
	do   Do
	// may reports cheaply whether there can be a match; nil tries the pattern
	// always.
	may     func(text string) bool
	pattern *regexp.Regexp
	// after is pattern in a text whose first character is not searched, only seen
	// by word boundaries; group 1 is the match. Nil on the input side.
	after *regexp.Regexp
	// check looks at a match more closely; nil takes it.
	check func(match string) bool
}

// Compile makes rules usable. A streamed text is held back by window bytes; 0
// means DefaultWindow. The error names the rule.
func Compile(rules []Rule, window int) (*Rules, error) {
	r := &Rules{window: cmp.Or(window, DefaultWindow)}
	for i := range rules {
		rule := &rules[i]
		if c, err := checks(rule); err != nil {
			return nil, fmt.Errorf("rule %q: %w", rule.Name, err)
		} else if c != nil {
			r.checks = append(r.checks, *c)
			continue
		}
		found, err := compile(rule)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", rule.Name, err)
		}
		if rule.On != Output {
			r.in = append(r.in, found...)
		}
		if rule.On != Input {
			for k := range found {
				found[k].after = regexp.MustCompile(`\A(?s:.)(?s:.*?)(` + found[k].pattern.String() + `)`)
			}
			r.out = append(r.out, found...)
		}
	}
	return r, nil
}

func compile(rule *Rule) ([]matcher, error) {
	var found []matcher
	switch {
	case len(rule.Find) > 0:
		for _, name := range rule.Find {
			some := named(name)
			if len(some) == 0 {
				return nil, fmt.Errorf("there is no detector %q; there are: %s", name, strings.Join(Detectors(), ", "))
			}
			for _, d := range some {
				found = append(found, matcher{kind: d.name, may: d.may, pattern: d.pattern, check: d.check})
			}
		}
	case len(rule.Words) > 0:
		p, err := regexp.Compile(words(rule.Words))
		if err != nil {
			return nil, err
		}
		found = append(found, matcher{kind: "word", pattern: p})
	default:
		p, err := regexp.Compile(rule.Pattern)
		if err != nil {
			return nil, err
		}
		if p.MatchString("") {
			return nil, fmt.Errorf("the pattern finds the empty text, so it would find everything")
		}
		found = append(found, matcher{kind: "pattern", pattern: p})
	}
	for i := range found {
		found[i].rule, found[i].do = rule.Name, rule.Do
	}
	return found, nil
}

// words makes a pattern of a word list. A word boundary is asked for only where
// the word has a letter of ASCII there: RE2's \b knows no others.
func words(list []string) string {
	var b strings.Builder
	b.WriteString(`(?i)(?:`)
	for i, w := range list {
		if i > 0 {
			b.WriteByte('|')
		}
		if isWord(w[0]) {
			b.WriteString(`\b`)
		}
		b.WriteString(regexp.QuoteMeta(w))
		if isWord(w[len(w)-1]) {
			b.WriteString(`\b`)
		}
	}
	b.WriteByte(')')
	return b.String()
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Join makes one set of several.
func Join(sets ...*Rules) *Rules {
	if len(sets) == 1 {
		return sets[0]
	}
	all := &Rules{}
	for _, r := range sets {
		all.in, all.out = append(all.in, r.in...), append(all.out, r.out...)
		all.checks = append(all.checks, r.checks...)
		all.window = max(all.window, r.window)
	}
	return all
}

// Out reports whether answers are looked at.
func (r *Rules) Out() bool { return len(r.out) > 0 || r.wholes() }

// wholes reports whether the whole text of an answer is looked at.
func (r *Rules) wholes() bool {
	return slices.ContainsFunc(r.checks, func(c check) bool { return c.on != Input })
}

// Redacts reports whether requests may be redacted.
func (r *Rules) Redacts() bool {
	return slices.ContainsFunc(r.in, func(m matcher) bool { return m.do == Redact })
}

// find lists what the matchers find in a text by place, without overlaps.
func find(ms []matcher, text string) []Finding { return resolve(search(ms, text, false)) }

// search lists all that the matchers find. behind says that the text's first
// character is only there for word boundaries.
func search(ms []matcher, text string, behind bool) []Finding {
	var all []Finding
	for i := range ms {
		m := &ms[i]
		if m.may != nil && !m.may(text) {
			continue
		}
		for from, to := range m.each(text, behind) {
			if from < to && (m.check == nil || m.check(text[from:to])) {
				all = append(all, Finding{Rule: m.rule, Kind: m.kind, Do: m.do, From: from, To: to})
			}
		}
	}
	return all
}

// each gives a matcher's places in a text.
func (m *matcher) each(text string, behind bool) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		if !behind {
			for _, at := range m.pattern.FindAllStringIndex(text, -1) {
				if !yield(at[0], at[1]) {
					return
				}
			}
			return
		}
		for base := 0; ; {
			at := m.after.FindStringSubmatchIndex(text[base:])
			if at == nil || !yield(base+at[2], base+at[3]) {
				return
			}
			// The next text begins with the last character of the match.
			_, size := utf8.DecodeLastRuneInString(text[:base+at[3]])
			base = max(base+at[3]-size, base+1)
		}
	}
}

// resolve leaves out findings that overlap another one that does more, or begins
// first, or is longer.
func resolve(all []Finding) []Finding {
	if len(all) < 2 {
		return all
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		if d := weight(b.Do) - weight(a.Do); d != 0 {
			return d
		}
		if a.From != b.From {
			return a.From - b.From
		}
		return b.To - a.To
	})
	kept := all[:0:0]
	for _, f := range all {
		if !slices.ContainsFunc(kept, func(k Finding) bool { return f.From < k.To && k.From < f.To }) {
			kept = append(kept, f)
		}
	}
	slices.SortFunc(kept, func(a, b Finding) int { return a.From - b.From })
	return kept
}

func weight(d Do) int {
	switch d {
	case Block:
		return 2
	case Redact:
		return 1
	}
	return 0
}

// Blocked is the error of a text that a rule forbids. It names the rule, not
// what was found.
func Blocked(side Side, rule string) *llm.Error {
	what := "the request"
	if side == Output {
		what = "the answer"
	}
	return llm.Errorf(llm.PolicyBlocked, "%s is blocked by the rule %q of this gateway", what, rule)
}
