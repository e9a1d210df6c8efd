package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/config"
	"headrace/internal/gateway"
	"headrace/internal/guard"
)

// webhookIn is how long a rule's webhook may take when the configuration does
// not say.
const webhookIn = 2 * time.Second

// guards makes the configuration's sets of rules usable, in the order of their
// names. The error has its place in the file.
func guards(cfg *config.Config) ([]gateway.Guard, error) {
	var all []gateway.Guard
	for _, name := range slices.Sorted(maps.Keys(cfg.Guards)) {
		set := cfg.Guards[name]
		var rules []guard.Rule
		for i := range set.Rules {
			r := &set.Rules[i]
			rule := guard.Rule{
				Name: cmp.Or(r.Name, fmt.Sprintf("%s/%d", name, i+1)), On: guard.Side(cmp.Or(r.On, "both")), Do: guard.Do(cmp.Or(r.Do, "block")),
				Find: r.Find, Words: r.Words, Pattern: r.Pattern, Schema: []byte(r.Schema),
			}
			if h := r.Webhook; h != nil {
				rule.Webhook = &guard.Webhook{URL: h.URL, Timeout: cmp.Or(h.Timeout.Std(), webhookIn), Open: h.Fail == "open", Header: map[string]string{}}
				for k, v := range h.Headers {
					rule.Webhook.Header[k] = v.Reveal()
				}
			}
			if _, err := guard.Compile([]guard.Rule{rule}, set.Window); err != nil {
				return nil, cfg.ErrorAt(fmt.Sprintf("guards.%s.rules.%d", name, i), "%v", err)
			}
			rules = append(rules, rule)
		}
		compiled, err := guard.Compile(rules, set.Window)
		if err != nil {
			return nil, cfg.ErrorAt("guards."+name, "%v", err)
		}
		all = append(all, gateway.Guard{Name: name, Rules: compiled, Applies: applies(set.Asked, set.Teams)})
	}
	return all, nil
}

// applies says whether a set is for what a caller asks.
func applies(patterns, teams []string) func(names []string, p *access.Principal) bool {
	return func(names []string, p *access.Principal) bool {
		if len(teams) > 0 && !slices.Contains(teams, p.Team) {
			return false
		}
		return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
			provider, all := strings.CutSuffix(pattern, "/*")
			return slices.ContainsFunc(names, func(name string) bool {
				return name == pattern || all && strings.HasPrefix(name, provider+"/")
			})
		})
	}
}
