package study_test

import (
	"testing"

	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/study"
)

// TestGood: what an answer counts for, by its row and by what was said of it.
func TestGood(t *testing.T) {
	t.Parallel()
	asked := []ledger.Attempt{{N: 1, Provider: "a", Model: "b", Finish: llm.FinishStop}}
	cut := []ledger.Attempt{{N: 1, Provider: "a", Model: "b", Finish: llm.FinishLength}}
	yes := []ledger.Feedback{{Explicit: true, Score: 1}}
	for name, c := range map[string]struct {
		e      ledger.Entry
		good   float64
		judged bool
	}{
		"answered":                   {ledger.Entry{Attempts: asked}, 1, true},
		"cut":                        {ledger.Entry{Attempts: cut}, 0, true},
		"refused":                    {ledger.Entry{Class: llm.ContentRefused, Attempts: asked}, 0, true},
		"faulty":                     {ledger.Entry{Attempts: asked, Choice: &ledger.Choice{Fault: "it did not fit the schema"}}, 0, true},
		"failed":                     {ledger.Entry{Class: llm.ServerError, Attempts: asked}, 0, true},
		"the client left":            {ledger.Entry{Class: llm.ClientGone, Attempts: asked}, 0, false},
		"the caller's fault":         {ledger.Entry{Class: llm.InvalidRequest, Attempts: asked}, 0, false},
		"over a limit of its own":    {ledger.Entry{Class: llm.RateLimited}, 0, false},
		"cut, but liked":             {ledger.Entry{Attempts: cut, Feedback: yes}, 1, true},
		"left, but liked":            {ledger.Entry{Class: llm.ClientGone, Attempts: asked, Feedback: yes}, 1, true},
		"answered, and asked again":  {ledger.Entry{Attempts: asked, Feedback: []ledger.Feedback{{Signal: "again"}}}, 0, true},
		"asked again, yet it's fine": {ledger.Entry{Attempts: asked, Feedback: append([]ledger.Feedback{{Signal: "again"}}, yes...)}, 1, true},
	} {
		if good, judged := study.Good(&c.e); good != c.good || judged != c.judged {
			t.Errorf("%s: %v %v, want %v %v", name, good, judged, c.good, c.judged)
		}
	}
}
