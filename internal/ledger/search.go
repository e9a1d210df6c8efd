package ledger

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Label is what a request says of itself beside the model, and what usage can be
// summed up by.
type Label struct {
	// Route is the operator's route that was asked for; empty for a model.
	Route string
	// Task is x-headrace-task, or how a route that learns names the kind of request;
	// mostly empty.
	Task string
	// Tags are those of x-headrace-tags as MakeTags writes them.
	Tags string
}

// MakeTags writes tags for a Label: each between commas (",a,b,"), sorted; empty
// for none. No tag holds a comma.
func MakeTags(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	sorted := slices.Clone(tags)
	slices.Sort(sorted)
	return "," + strings.Join(slices.Compact(sorted), ",") + ","
}

// TagList gives the tags of a label.
func (l Label) TagList() []string {
	if l.Tags == "" {
		return nil
	}
	return strings.Split(strings.Trim(l.Tags, ","), ",")
}

// settle cuts what is too long.
func (l *Label) settle() {
	l.Route, l.Task = cut(l.Route, maxName), cut(l.Task, maxName)
	if len(l.Tags) > maxText {
		l.Tags = ""
	}
}

// Searcher finds entries and sums them up by whatever they have.
type Searcher interface {
	// Search gives a page of what the query lets through, the latest ID first. It
	// looks for a bounded time: a page may have fewer entries than there is room
	// for, or none, and yet a Next.
	Search(ctx context.Context, q *Query) (Page, error)
	// Sums adds up tallies. Hours are whole, as for Reader.Usage.
	Sums(ctx context.Context, q *SumQuery) ([]Sum, error)
	// Briefs gives how the latest requests since a time went, at most so many.
	Briefs(ctx context.Context, since time.Time, limit int) ([]Brief, error)
}

// Query says what to look for. Zero fields let everything through.
type Query struct {
	// Before gives only IDs below it: the Next of the page before.
	Before ID
	// First and Last bound IDs: First <= ID <= Last.
	First, Last ID
	// Since and Until bound the start of a request: Since <= At < Until. Stores
	// look among the IDs of that time and a minute around it.
	Since, Until              time.Time
	KeyID, Team, Asked        string
	Provider, Model           string // of any attempt
	Route, Task, Tag, Session string
	Class                     llm.Class
	Status                    int
	// Failed lets only requests with a class through.
	Failed bool
	// Limit is as in Filter.
	Limit int
}

// Lines is the limit that applies.
func (q *Query) Lines() int { return (&Filter{Limit: q.Limit}).Lines() }

// Page is what a search found.
type Page struct {
	Entries []Entry
	// Next is where the next page begins; 0 when nothing is left.
	Next ID
}

// SumQuery says what to add up, and by what.
type SumQuery struct {
	Since, Until time.Time
	// Bucket is the length of time that a Sum is for: a minute, an hour, a day or
	// 0, all of it. Minutes are read from the entries and not from roll-ups.
	Bucket time.Duration
	// Callers, Targets and Labels say what else sums are apart by.
	Callers, Targets, Labels     bool
	KeyID, Team, Provider, Model string
	Route, Task, Tag             string
}

// Sum is the tally of what is the same in all that it was asked to be apart by;
// the other words are empty.
type Sum struct {
	// Bucket is when it begins; zero when there is one for all time.
	Bucket               time.Time
	KeyID, KeyName, Team string
	Provider, Model      string
	Label                Label
	Tally                Tally
}

// Brief is how a request went.
type Brief struct {
	ID               ID
	Class            llm.Class
	Status           int
	FirstByte, Total time.Duration
}

// match is the query for entries that are not in the store yet.
func (q *Query) match(e *Entry) bool {
	f := Filter{Since: q.Since, Until: q.Until, KeyID: q.KeyID, Asked: q.Asked, Provider: q.Provider, Model: q.Model, Class: q.Class, Failed: q.Failed}
	switch {
	case !f.match(e),
		q.Before != 0 && e.ID >= q.Before,
		e.ID < q.First, q.Last != 0 && e.ID > q.Last,
		q.Team != "" && e.Team != q.Team,
		q.Route != "" && e.Label.Route != q.Route,
		q.Task != "" && e.Label.Task != q.Task,
		q.Tag != "" && !strings.Contains(e.Label.Tags, ","+q.Tag+","),
		q.Session != "" && e.Session != q.Session,
		q.Status != 0 && e.Status != q.Status:
		return false
	}
	return true
}

// Search finds entries, those not written yet among them. The store must be a
// Searcher.
func (l *Ledger) Search(ctx context.Context, q *Query) (Page, error) {
	// Memory first: what is written in between is then seen twice, not never.
	var found []Entry
	l.mu.Lock()
	for _, list := range [...][]Entry{l.waiting, l.writing} {
		for i := range list {
			if q.match(&list[i]) {
				found = append(found, list[i])
			}
		}
	}
	l.mu.Unlock()
	s, err := l.searcher()
	if err != nil {
		return Page{}, err
	}
	page, err := s.Search(ctx, q)
	if err != nil || len(found) == 0 {
		return page, err
	}
	for i := range found {
		has := slices.ContainsFunc(page.Entries, func(e Entry) bool { return e.ID == found[i].ID })
		if !has && found[i].ID >= page.Next {
			l.settleCopy(&found[i])
			page.Entries = append(page.Entries, found[i])
		}
	}
	slices.SortFunc(page.Entries, func(a, b Entry) int { return cmp.Compare(b.ID, a.ID) })
	if n := q.Lines(); len(page.Entries) > n {
		page.Entries, page.Next = page.Entries[:n], page.Entries[n-1].ID
	}
	return page, nil
}

// Sums adds up tallies; what is not written yet is not in them.
func (l *Ledger) Sums(ctx context.Context, q *SumQuery) ([]Sum, error) {
	s, err := l.searcher()
	if err != nil {
		return nil, err
	}
	return s.Sums(ctx, q)
}

// Briefs gives how the latest requests went, without those not written yet.
func (l *Ledger) Briefs(ctx context.Context, since time.Time, limit int) ([]Brief, error) {
	s, err := l.searcher()
	if err != nil {
		return nil, err
	}
	return s.Briefs(ctx, since, limit)
}

func (l *Ledger) searcher() (Searcher, error) {
	if s, ok := l.store.(Searcher); ok {
		return s, nil
	}
	return nil, llm.Errorf(llm.Unsupported, "this store cannot be searched")
}
