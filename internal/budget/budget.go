// Package budget knows how much money a key, a team or a tag may still spend.
// A budget is spent through leases: amounts that are taken out of the store
// into memory ahead of use, so that the request path never asks the store and
// a process that dies can only have spent what it had taken.
package budget

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Scope is what a budget bounds.
type Scope string

// The scopes.
const (
	Key  Scope = "key"
	Team Scope = "team"
	Tag  Scope = "tag"
)

// Window is how often a budget begins anew.
type Window string

// The windows, by the UTC calendar: a day begins at 00:00, a week on Monday, a
// month on the first. Total never begins anew.
const (
	Daily   Window = "daily"
	Weekly  Window = "weekly"
	Monthly Window = "monthly"
	Total   Window = "total"
)

// Windows lists the windows, shortest first.
func Windows() []Window { return []Window{Daily, Weekly, Monthly, Total} }

// Bounds gives the window that a time is in: from start on, before end. Of
// Total both are zero.
func (w Window) Bounds(at time.Time) (start, end time.Time) {
	y, m, d := at.UTC().Date()
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	switch w {
	case Daily:
		return day(y, m, d), day(y, m, d+1)
	case Weekly:
		d -= (int(at.UTC().Weekday()) + 6) % 7 // days since Monday
		return day(y, m, d), day(y, m, d+7)
	case Monthly:
		return day(y, m, 1), day(y, m+1, 1)
	}
	return time.Time{}, time.Time{}
}

// ID names a budget: there is one for each scope, subject and window.
type ID struct {
	Scope Scope
	// Subject is a key's id, a team's name or a tag.
	Subject string
	Window  Window
}

// String is the ID as people and the store write it, "team/monthly/research".
func (id ID) String() string {
	return string(id.Scope) + "/" + string(id.Window) + "/" + id.Subject
}

// ParseID reads what String writes.
func ParseID(s string) (ID, error) {
	parts := strings.SplitN(s, "/", 3)
	if len(parts) != 3 {
		return ID{}, llm.Errorf(llm.InvalidRequest, "a budget is named scope/window/subject, such as team/monthly/research")
	}
	id := ID{Scope(parts[0]), parts[2], Window(parts[1])}
	return id, id.Check()
}

// Check says what is wrong with an ID, as an *llm.Error of InvalidRequest.
func (id ID) Check() error {
	switch id.Scope {
	case Key, Team, Tag:
	default:
		return llm.Errorf(llm.InvalidRequest, "a budget is of a key, a team or a tag, not of %q", id.Scope)
	}
	switch id.Window {
	case Daily, Weekly, Monthly, Total:
	default:
		return llm.Errorf(llm.InvalidRequest, "a budget is daily, weekly, monthly or total, not %q", id.Window)
	}
	if id.Subject == "" || len(id.Subject) > 256 {
		return llm.Errorf(llm.InvalidRequest, "a budget needs a key id, team or tag of at most 256 bytes")
	}
	if id.Scope == Tag && !tag.MatchString(id.Subject) {
		return llm.Errorf(llm.InvalidRequest, "%q is no tag: letters, digits and . _ : = - , at most 64", id.Subject)
	}
	return nil
}

// Budget is a bound on what may be spent in a window.
type Budget struct {
	ID
	// Limit is the hard stop; 0 lets nothing through.
	Limit llm.Nanodollars
	// Alerts are percentages of Limit, rising, that are told when they are
	// reached.
	Alerts []int
	// Fixed says that the configuration declares it: the store does not have
	// it and nobody else may change it.
	Fixed bool
}

// DefaultAlerts are the thresholds of a budget that names none.
func DefaultAlerts() []int { return []int{80, 100} }

// Check says what is wrong with a budget, as an *llm.Error of InvalidRequest.
func (b *Budget) Check() error {
	if err := b.ID.Check(); err != nil {
		return err
	}
	if b.Limit < 0 || b.Limit > MaxLimit {
		return llm.Errorf(llm.InvalidRequest, "a budget's limit is 0 to a billion dollars")
	}
	last := 0
	for _, a := range b.Alerts {
		if a <= last || a > 1000 {
			return llm.Errorf(llm.InvalidRequest, "alerts are rising percentages of the limit, such as 50, 80, 100")
		}
		last = a
	}
	return nil
}

// MaxLimit keeps sums of a few budgets far from the end of int64.
const MaxLimit = llm.Nanodollars(1e18)

// The bounds of x-headrace-tags.
const (
	// MaxTags is how many tags one request may have.
	MaxTags = 8
)

var tag = regexp.MustCompile(`^[A-Za-z0-9._:=-]{1,64}$`)

// ParseTags reads an x-headrace-tags header: names between commas. A tag that
// stands twice counts once. The error is an *llm.Error of InvalidRequest.
func ParseTags(header string) ([]string, error) {
	var tags []string
	for part := range strings.SplitSeq(header, ",") {
		name := strings.TrimSpace(part)
		switch {
		case name == "":
			continue
		case !tag.MatchString(name):
			return nil, llm.Errorf(llm.InvalidRequest, "x-headrace-tags: a tag is 1 to 64 letters, digits and . _ : = -")
		case contains(tags, name):
			continue
		case len(tags) == MaxTags:
			return nil, llm.Errorf(llm.InvalidRequest, "x-headrace-tags: a request has at most %d tags", MaxTags)
		}
		tags = append(tags, name)
	}
	return tags, nil
}

func contains(list []string, s string) bool {
	for _, one := range list {
		if one == s {
			return true
		}
	}
	return false
}

// Slot is one window of a budget.
type Slot struct {
	ID
	// Start is when the window began; zero for Total.
	Start time.Time
}

// Ask wants to change what a run has leased of a slot.
type Ask struct {
	Slot
	// Limit is the budget's; no lease goes beyond it.
	Limit llm.Nanodollars
	// Take is how much to lease at most; a negative amount is given back.
	Take llm.Nanodollars
}

// Account is how a slot stands in the store. What counts against the limit is
// Spent + Leased.
type Account struct {
	Slot
	// Spent is what the ledger's rows say.
	Spent llm.Nanodollars
	// Leased is the part of all leases that is neither spent nor given back;
	// Lost that of them which belongs to runs that are over.
	Leased, Lost llm.Nanodollars
	// Took is what an Ask was granted; negative when it gave back.
	Took llm.Nanodollars
}

// Store keeps budgets and leases. Implementations are safe for concurrent use
// and by several processes at once. What is spent is written by the ledger,
// with the rows it belongs to, and taken off the run's leases there.
type Store interface {
	// Budgets returns all budgets, in the order of their names.
	Budgets(ctx context.Context) ([]Budget, error)
	// PutBudget adds a budget or replaces the one with its ID.
	PutBudget(ctx context.Context, b Budget) error
	// DropBudget removes a budget; what was spent is kept. It reports whether it
	// was there.
	DropBudget(ctx context.Context, id ID) (bool, error)
	// BudgetsVersion returns a number that rises with every change of a budget
	// and every SettleLost, by whatever process. It is cheap.
	BudgetsVersion(ctx context.Context) (int64, error)
	// Lease does all the asks of a run in one transaction and returns the
	// accounts afterwards, in the order of the asks.
	Lease(ctx context.Context, run int64, asks []Ask) ([]Account, error)
	// Accounts returns how slots stand, in their order.
	Accounts(ctx context.Context, slots []Slot) ([]Account, error)
	// SettleLost gives back what runs that are over had leased of a slot and
	// never spent by the ledger's rows, and returns how much that was.
	SettleLost(ctx context.Context, s Slot) (llm.Nanodollars, error)
}

// Dollars writes money for messages: "$1.25".
func Dollars(n llm.Nanodollars) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%d.%09d", n/1e9, n%1e9)
	s = strings.TrimRight(s, "0")
	if at := strings.IndexByte(s, '.'); len(s)-at < 3 {
		s += strings.Repeat("0", 3-(len(s)-at))
	}
	return sign + "$" + s
}
