package replay

import "headrace/internal/ledger"

// chancesOf are the candidates that a request's first target was chosen from, with
// their chances; none where no chance was involved.
func chancesOf(e *ledger.Entry) []chance {
	if e.Choice == nil || e.Choice.Rule != ledger.RuleLearned && e.Choice.Rule != ledger.RuleExplored {
		return nil
	}
	var all []chance
	for _, c := range e.Choice.Candidates {
		if c.Left == "" && c.Chance > 0 {
			all = append(all, chance{target: c.Target, think: c.Think, success: c.Success, chance: c.Chance, chosen: c.Rung == e.Choice.Rung})
		}
	}
	return all
}
