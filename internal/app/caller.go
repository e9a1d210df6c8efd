package app

import (
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/config"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// callerLimits holds callers to the limits of their key (or of the
// configuration where the key has none), of their team, and of the key at the
// model that they ask for.
type callerLimits struct{ a *App }

// Reserve takes room for one request under all of them, or under none.
func (c callerLimits) Reserve(p *access.Principal, plan *route.Plan, tokens int64, now time.Time) (func(int64), *llm.Error) {
	cfg := c.a.config()
	var room [4]limit.Claim
	claims := room[:0]
	if l := keyLimits(p, cfg); l != (limit.Limits{}) {
		claims = append(claims, limit.Claim{ID: p.KeyID, Who: "this key", Limits: l})
	}
	if l := limit.Limits(cfg.Teams[p.Team].Limits); l != (limit.Limits{}) {
		claims = append(claims, limit.Claim{ID: "team " + p.Team, Who: "the team " + p.Team, Limits: l})
	}
	for name, l := range cfg.Limits.Models {
		if asksFor(plan, name) {
			claims = append(claims, limit.Claim{ID: p.KeyID + " at " + name, Who: "this key at " + name, Limits: limit.Limits(l)})
		}
	}
	if len(claims) == 0 {
		return noSettle, nil
	}
	r, err := c.a.limits.All(claims, tokens, now)
	if err != nil {
		return nil, err
	}
	return func(actual int64) {
		r.Settle(actual, time.Now())
		r.Release()
	}, nil
}

func keyLimits(p *access.Principal, cfg *config.Config) limit.Limits {
	if l := limit.Limits(p.Limits); l != (limit.Limits{}) {
		return l
	}
	return limit.Limits(cfg.Limits.Key)
}

// asksFor reports whether a request may go to a model: by the name that was
// asked for, by a model's id at any provider, or by provider/model. One that may
// go to several counts at each, wherever it ends.
func asksFor(plan *route.Plan, name string) bool {
	if name == plan.Asked {
		return true
	}
	for i := range plan.Targets {
		t := &plan.Targets[i]
		provider, model, _ := strings.Cut(name, "/")
		if name == t.Model || provider == t.Provider && model == t.Model {
			return true
		}
	}
	return false
}

// NeedsTokens reports whether a reservation of the caller counts tokens.
func (c callerLimits) NeedsTokens(p *access.Principal) bool {
	cfg := c.a.config()
	if p.Limits.TokensPerMinute > 0 || cfg.Limits.Key.TokensPerMinute > 0 || cfg.Teams[p.Team].Limits.TokensPerMinute > 0 {
		return true
	}
	for _, l := range cfg.Limits.Models {
		if l.TokensPerMinute > 0 {
			return true
		}
	}
	return false
}

func noSettle(int64) {}
