package config

import (
	"maps"
	"slices"
	"strconv"
)

// validateGuards checks the sets of rules. What only their room can say, such as
// whether a pattern is one, it says itself.
func (c *Config) validateGuards(bad func(path, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(c.Guards)) {
		g, at := c.Guards[name], join("guards", name)
		if !routeName.MatchString(name) {
			bad(at, "a set's name is letters, digits, dots, dashes and underscores")
		}
		if len(g.Rules) == 0 {
			bad(at, "the set has no rules: write rules: [{find: [secret]}]")
		}
		for i := range g.Rules {
			r, at := &g.Rules[i], join(join(at, "rules"), strconv.Itoa(i))
			whats := 0
			for _, has := range []bool{len(r.Find) > 0, len(r.Words) > 0, r.Pattern != "", r.Schema != "", r.Webhook != nil} {
				if has {
					whats++
				}
			}
			if whats != 1 {
				bad(at, "a rule has one of find, words, pattern, schema and webhook")
			}
			if slices.Contains(r.Words, "") {
				bad(join(at, "words"), "a word is not empty")
			}
			if r.Schema != "" && r.On != "output" {
				bad(join(at, "schema"), "a schema is for answers: write on: output")
			}
			if (r.Schema != "" || r.Webhook != nil) && r.Do != "" && r.Do != "block" {
				bad(join(at, "do"), "what looks at whole texts can only block")
			}
			if r.Webhook != nil {
				if message := checkURL(r.Webhook.URL); message != "" {
					bad(join(join(at, "webhook"), "url"), "%s", message)
				}
			}
		}
	}
}
