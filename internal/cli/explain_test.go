package cli

import (
	"context"
	"slices"
	"time"

	"headrace/internal/admin"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// fakeSuccess knows one request, which climbed a ladder.
type fakeSuccess struct{}

func (fakeSuccess) SuccessBy(_ context.Context, by []string, _, _ time.Time) ([]admin.SuccessRow, error) {
	each := llm.Nanodollars(6_000_000)
	rows := []admin.SuccessRow{
		{Route: "auto", Task: "mail\x1b[2J", Model: "a/m", Requests: 1200, Escalated: 3, EndedWell: 1100, Explicit: 10, ExplicitScore: 0.75, Implicit: 4, Successes: 1000, Cost: 6_000_000_000, CostPerSuccess: &each},
		{Route: "auto", Requests: 2, Unpriced: 2},
	}
	if !slices.Contains(by, "task") {
		rows = rows[1:]
	}
	return rows, nil
}

func (fakeSuccess) Explain(_ context.Context, id string) (admin.Explanation, error) {
	if id != "req_1" {
		return admin.Explanation{}, llm.Errorf(llm.NotFound, "there is no request %q", id)
	}
	cost := llm.Nanodollars(1_500_000)
	return admin.Explanation{
		Request: admin.Request{ID: id, Start: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Asked: "auto", Provider: "b", Model: "n", Status: 200,
			Attempts: []admin.Attempt{{N: 1, Provider: "a", Model: "m", Why: "rung 1", Status: 200, Total: 900, Message: "not passed on: it was empty", Cost: admin.Cost{Nanodollars: 7000, Priced: true}},
				{N: 2, Provider: "b", Model: "n", Why: "rung 2", Status: 200, Total: 1900}}},
		Route: "auto", Task: "mail", Rule: ledger.RuleExplored, Why: "drawn evenly", Chance: 0.0125, Labels: 31, Delta: 0.02, Success: 0.5,
		Candidates: []admin.Candidate{
			{Rung: 1, Target: "a/m", Thinking: "off", First: true, Asked: true, ExpectedCost: &cost, ExpectedFirstToken: 320, ExpectedSuccess: 0.81, Chance: 0.0125},
			{Rung: 2, Target: "b/n", Asked: true, ExpectedSuccess: 0.9, Chance: 0.9875, Collapsed: true},
			{Rung: 3, Target: "c/o", Left: "it does not take images"},
		},
		Feedback: []admin.Feedback{{At: time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC), Explicit: true, Signal: "feedback", Score: 0.5}},
	}, nil
}
