package admin

import (
	"context"
	"net/http"
	"time"

	"headrace/internal/budget"
	"headrace/internal/llm"
)

// Budget is a budget and how it stands. Sums are in billionths of a US dollar.
type Budget struct {
	// ID is "scope/window/subject".
	ID string `json:"id"`
	// Scope says whether Subject is a key's id, a team's name or a tag.
	Scope   string `json:"scope" enum:"key,team,tag"`
	Subject string `json:"subject"`
	Window  string `json:"window" enum:"daily,weekly,monthly,total"`
	// Limit is the hard stop.
	Limit llm.Nanodollars `json:"limit_nanodollars"`
	// Alerts are percentages of the limit; Reached is the largest that is
	// reached, 0 when none is.
	Alerts  []int `json:"alerts"`
	Reached int   `json:"reached"`
	// Declared says that the configuration has it, so that it is changed there.
	Declared bool `json:"declared"`
	// Start is when its window began and Resets when the next one does, in UTC;
	// both are left out of a total.
	Start  time.Time `json:"start,omitzero"`
	Resets time.Time `json:"resets,omitzero"`
	// Spent is what ended requests cost, Reserved what running ones hold at most,
	// Lease what is in memory for the next ones. Lost is what runs that were
	// killed had in memory: it counts as spent until it is settled.
	Spent    llm.Nanodollars `json:"spent_nanodollars"`
	Reserved llm.Nanodollars `json:"reserved_nanodollars"`
	Lease    llm.Nanodollars `json:"lease_nanodollars"`
	Lost     llm.Nanodollars `json:"lost_nanodollars"`
	// Left is what may still be spent.
	Left llm.Nanodollars `json:"left_nanodollars"`
}

// BudgetList is all budgets.
type BudgetList struct {
	Budgets []Budget `json:"budgets"`
}

// BudgetAnswer is one budget.
type BudgetAnswer struct {
	Budget Budget `json:"budget"`
}

// BudgetSpec is what a budget is to be.
type BudgetSpec struct {
	Scope   string `json:"scope" enum:"key,team,tag"`
	Subject string `json:"subject"`
	Window  string `json:"window" enum:"daily,weekly,monthly,total"`
	// Limit is in billionths of a US dollar; 0 lets nothing through.
	Limit llm.Nanodollars `json:"limit_nanodollars"`
	// Alerts are rising percentages of the limit; 80 and 100 when left out.
	Alerts []int `json:"alerts"`
}

// BudgetName names a budget as "scope/window/subject".
type BudgetName struct {
	ID string `json:"id"`
}

// BudgetGone says which budget was removed.
type BudgetGone struct {
	ID string `json:"id"`
}

// BudgetSettled says what settling gave back.
type BudgetSettled struct {
	ID    string          `json:"id"`
	Given llm.Nanodollars `json:"given_back_nanodollars"`
}

// ShowBudget shows a budget and how it stands.
func ShowBudget(s *budget.State) Budget {
	return Budget{ID: s.ID.String(), Scope: string(s.Scope), Subject: s.Subject, Window: string(s.Window), Limit: s.Limit,
		Alerts: s.Alerts, Reached: s.Reached, Declared: s.Fixed, Start: s.Start, Resets: s.Resets,
		Spent: s.Spent, Reserved: s.Reserved, Lease: s.Lease, Lost: s.Lost, Left: s.Left}
}

func (s *server) listBudgets(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	states, err := s.Budgets.Budgets(q.Context())
	list := BudgetList{Budgets: make([]Budget, len(states))}
	for i := range states {
		list.Budgets[i] = ShowBudget(&states[i])
	}
	return http.StatusOK, list, err
}

func (s *server) setBudget(q *http.Request) (int, any, error) {
	var in BudgetSpec
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	b := budget.Budget{ID: budget.ID{Scope: budget.Scope(in.Scope), Subject: in.Subject, Window: budget.Window(in.Window)},
		Limit: in.Limit, Alerts: in.Alerts}
	if len(b.Alerts) == 0 {
		b.Alerts = budget.DefaultAlerts()
	}
	if err := b.Check(); err != nil {
		return 0, nil, err
	}
	if b.Scope == budget.Key {
		if err := s.known(q.Context(), b.Subject); err != nil {
			return 0, nil, err
		}
	}
	if err := s.matchBudget(q, b.ID); err != nil {
		return 0, nil, err
	}
	if err := s.Budgets.SetBudget(q.Context(), b); err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "budgets.set", b.ID.String()+" "+budget.Dollars(b.Limit))
	states, err := s.Budgets.Budgets(q.Context())
	if err != nil {
		return 0, nil, err
	}
	for i := range states {
		if states[i].ID == b.ID {
			return http.StatusOK, BudgetAnswer{ShowBudget(&states[i])}, nil
		}
	}
	return http.StatusOK, BudgetAnswer{ShowBudget(&budget.State{Budget: b})}, nil
}

// known refuses budgets of keys that do not exist: a mistyped id would bound
// nothing.
func (s *server) known(ctx context.Context, id string) error {
	keys, err := s.Keys.Keys(ctx)
	if err != nil {
		return err
	}
	for i := range keys {
		if keys[i].ID == id {
			return nil
		}
	}
	return llm.Errorf(llm.NotFound, "there is no key %q", id)
}

func (s *server) dropBudget(q *http.Request) (int, any, error) {
	id, err := budget.ParseID(q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	if err := s.matchBudget(q, id); err != nil {
		return 0, nil, err
	}
	if err := s.Budgets.DropBudget(q.Context(), id); err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "budgets.drop", id.String())
	return http.StatusOK, BudgetGone{id.String()}, nil
}

func (s *server) settleBudget(q *http.Request) (int, any, error) {
	var in BudgetName
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	id, err := budget.ParseID(in.ID)
	if err != nil {
		return 0, nil, err
	}
	given, err := s.Budgets.SettleBudget(q.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "budgets.settle", id.String()+" "+budget.Dollars(given))
	return http.StatusOK, BudgetSettled{id.String(), given}, nil
}
