package admin

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// DirectoryDoor lets the admin tokens of a Directory in.
type DirectoryDoor struct{ Directory *access.Directory }

// CheckAdmin names the token's key by id: an admin key is an owner's.
func (d DirectoryDoor) CheckAdmin(_ context.Context, token string, now time.Time) (access.Person, error) {
	p, err := d.Directory.CheckAdmin(token, now)
	return access.Person{ID: p.KeyID, Name: p.Name, Role: access.RoleOwner}, err
}

// RingKeys shows the keys of a Ring.
type RingKeys struct{ Ring access.Ring }

// Keys lists all keys.
func (r RingKeys) Keys(ctx context.Context) ([]Key, error) {
	keys, err := r.Ring.Store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	now, list := time.Now(), make([]Key, len(keys))
	for i := range keys {
		list[i] = showKey(keys[i], now)
	}
	return list, nil
}

// CreateKey makes a key.
func (r RingKeys) CreateKey(ctx context.Context, s KeySpec) (llm.Secret, Key, error) {
	now := time.Now()
	token, k, err := r.Ring.Create(ctx, access.Spec{Name: s.Name, Team: s.Team, Admin: s.Admin, Expires: s.Expires,
		Models: s.Models, Limits: access.Limits(s.Limits), Priority: s.Priority, MayRaise: s.MayRaise}, now)
	return token, showKey(k, now), err
}

// ChangeKey sets what a key may do.
func (r RingKeys) ChangeKey(ctx context.Context, id string, s KeySpec) (Key, error) {
	now := time.Now()
	k, err := r.Ring.Change(ctx, id, access.Spec{Name: s.Name, Team: s.Team, Expires: s.Expires,
		Models: s.Models, Limits: access.Limits(s.Limits), Priority: s.Priority, MayRaise: s.MayRaise}, now)
	return showKey(k, now), err
}

// RevokeKey ends a key.
func (r RingKeys) RevokeKey(ctx context.Context, id string) (Key, error) {
	now := time.Now()
	k, err := r.Ring.Revoke(ctx, id, now)
	return showKey(k, now), err
}

// RotateKey replaces a key.
func (r RingKeys) RotateKey(ctx context.Context, id string, overlap time.Duration) (llm.Secret, Key, error) {
	now := time.Now()
	token, k, err := r.Ring.Rotate(ctx, id, overlap, now)
	return token, showKey(k, now), err
}

func showKey(k access.Key, now time.Time) Key {
	return Key{ID: k.ID, Name: k.Name, Team: k.Team, Admin: k.Admin, Prefix: k.Prefix, State: k.State(now),
		Created: utc(k.Created), Expires: utc(k.Expires), Revoked: utc(k.Revoked),
		Models: k.Models, Limits: Limits(k.Limits), Priority: k.Priority, MayRaise: k.MayRaise, RotatedTo: k.RotatedTo}
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// LedgerRows shows a ledger's rows as Usage and Requests. The Reader is a
// Ledger, which sees rows before they are written, or a store.
type LedgerRows struct {
	Reader   ledger.Reader
	Searcher ledger.Searcher
}

// UsageBy sums up whole UTC hours.
func (l LedgerRows) UsageBy(ctx context.Context, by string, since, until time.Time) ([]UsageRow, error) {
	group, err := ledger.ParseBy(by)
	if err != nil {
		return nil, llm.Errorf(llm.InvalidRequest, "%s", err)
	}
	rows, err := l.Reader.Usage(ctx, group, since, until)
	if err != nil {
		return nil, err
	}
	list := make([]UsageRow, len(rows))
	for i := range rows {
		list[i] = ShowTally(&rows[i].Tally)
		list[i].Name, list[i].Label = rows[i].Group, rows[i].Label
	}
	return list, nil
}

// ShowTally shows a tally as a row without a name.
func ShowTally(t *ledger.Tally) UsageRow {
	return UsageRow{Requests: t.Requests, Failed: t.Failed,
		Attempts: t.Attempts, FailedAttempts: t.FailedAttempts, Estimated: t.Estimated,
		Input: t.Input, CacheRead: t.CacheRead, CacheWrite5m: t.CacheWrite5m, CacheWrite1h: t.CacheWrite1h,
		Output: t.Output, Reasoning: t.Reasoning, Cost: t.Cost, Unpriced: t.Unpriced, Reported: t.Reported, Listed: t.Listed}
}

// Sums sums up by what the query says.
func (l LedgerRows) Sums(ctx context.Context, q UsageQuery) ([]UsageRow, error) {
	ask := ledger.SumQuery{Since: q.Since, Until: q.Until, Bucket: q.Bucket, KeyID: q.Key, Team: q.Team, Provider: q.Provider, Model: q.Model,
		Route: q.Route, Task: q.Task, Tag: q.Tag}
	var named func(s *ledger.Sum) (names []string, label string)
	one := func(name string) []string { return []string{name} }
	switch q.By {
	case "":
		named = func(s *ledger.Sum) ([]string, string) { return one(s.Bucket.Format(time.RFC3339)), "" }
	case "model":
		ask.Targets = true
		named = func(s *ledger.Sum) ([]string, string) {
			if s.Provider == "" {
				return one(""), ""
			}
			return one(s.Provider + "/" + s.Model), ""
		}
	case "provider":
		ask.Targets = true
		named = func(s *ledger.Sum) ([]string, string) { return one(s.Provider), "" }
	case "key":
		ask.Callers = true
		named = func(s *ledger.Sum) ([]string, string) { return one(s.KeyID), s.KeyName }
	case "team":
		ask.Callers = true
		named = func(s *ledger.Sum) ([]string, string) { return one(s.Team), "" }
	case "route":
		ask.Labels = true
		named = func(s *ledger.Sum) ([]string, string) { return one(s.Label.Route), "" }
	case "task":
		ask.Labels = true
		named = func(s *ledger.Sum) ([]string, string) { return one(s.Label.Task), "" }
	case "tag":
		ask.Labels = true
		named = func(s *ledger.Sum) ([]string, string) {
			if tags := s.Label.TagList(); len(tags) > 0 {
				return tags, ""
			}
			return one(""), ""
		}
	default:
		return nil, llm.Errorf(llm.InvalidRequest, "usage is not summed up by %q", q.By)
	}
	sums, err := l.Searcher.Sums(ctx, &ask)
	if err != nil {
		return nil, err
	}
	type place struct {
		bucket int64
		name   string
	}
	at := map[place]int{}
	list := []UsageRow{}
	for i := range sums {
		s := &sums[i]
		names, label := named(s)
		for _, name := range names {
			if q.Tag != "" && q.By == "tag" && name != q.Tag {
				continue // another tag of the same requests
			}
			k := place{s.Bucket.Unix(), name}
			j, ok := at[k]
			if !ok {
				j = len(list)
				at[k] = j
				list = append(list, UsageRow{Name: name, Bucket: s.Bucket})
			}
			list[j].Add(&s.Tally)
			if label != "" {
				list[j].Label = label
			}
		}
	}
	slices.SortStableFunc(list, func(a, b UsageRow) int {
		return cmp.Or(a.Bucket.Compare(b.Bucket), cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Add adds a tally to a row.
func (r *UsageRow) Add(t *ledger.Tally) {
	r.Requests += t.Requests
	r.Failed += t.Failed
	r.Attempts += t.Attempts
	r.FailedAttempts += t.FailedAttempts
	r.Estimated += t.Estimated
	r.Unpriced += t.Unpriced
	r.Input += t.Input
	r.CacheRead += t.CacheRead
	r.CacheWrite5m += t.CacheWrite5m
	r.CacheWrite1h += t.CacheWrite1h
	r.Output += t.Output
	r.Reasoning += t.Reasoning
	r.Cost += t.Cost
	r.Reported += t.Reported
	r.Listed += t.Listed
}

// Requests lists requests without their attempts.
func (l LedgerRows) Requests(ctx context.Context, f RequestFilter) (RequestList, error) {
	var page ledger.Page
	var err error
	if f.After != 0 {
		page.Entries, err = l.Reader.Recent(ctx, ledger.Filter{Since: f.Since, After: f.After, Failed: f.Errors, Limit: f.Limit})
	} else {
		page, err = l.Searcher.Search(ctx, &ledger.Query{Before: f.Before, First: f.First, Last: f.Last, Since: f.Since, Until: f.Until,
			KeyID: f.Key, Team: f.Team, Asked: f.Asked, Provider: f.Provider, Model: f.Model, Route: f.Route, Task: f.Task, Tag: f.Tag,
			Session: f.Session, Class: f.Class, Status: f.Status, Failed: f.Errors, Limit: f.Limit})
	}
	if err != nil {
		return RequestList{}, err
	}
	list := RequestList{Requests: make([]Request, len(page.Entries))}
	for i := range page.Entries {
		list.Requests[i] = showEntry(&page.Entries[i])
		list.Requests[i].Attempts = nil
	}
	if page.Next != 0 {
		list.Next = page.Next.String()
	}
	return list, nil
}

// Request shows one request with its attempts.
func (l LedgerRows) Request(ctx context.Context, id string) (Request, error) {
	e, err := l.entry(ctx, id)
	if err != nil {
		return Request{}, err
	}
	return showEntry(&e), nil
}

func (l LedgerRows) entry(ctx context.Context, id string) (ledger.Entry, error) {
	unknown := llm.Errorf(llm.NotFound, "there is no request %q", id)
	number, err := ledger.ParseID(id)
	if err != nil {
		return ledger.Entry{}, unknown
	}
	e, ok, err := l.Reader.Request(ctx, number)
	if err == nil && !ok {
		err = unknown
	}
	return e, err
}

func showEntry(e *ledger.Entry) Request {
	r := Request{ID: e.ID.String(), Seq: e.Seq, Start: e.At.UTC(), Key: e.KeyID, KeyName: e.KeyName, Team: e.Team,
		Route: e.Label.Route, Task: e.Label.Task, Tags: e.Label.TagList(), Session: e.Session, Dialect: e.Dialect, Op: e.Op,
		Asked: e.Asked, Status: e.Status, Class: e.Class, Stream: e.Streamed,
		FirstByte: e.FirstByte.Milliseconds(), Total: e.Total.Milliseconds(),
		Usage: showTokens(e.Usage), Cost: Cost{e.Cost, e.Priced}, Warnings: e.Warnings}
	if last := e.Last(); last != nil && (last.Class == "" || last.Class == llm.ContentRefused && last.Status/100 == 2) {
		r.Provider, r.Model = last.Provider, last.Model
	}
	if t := e.Trial; t != nil {
		r.Experiment, r.Arm = t.Experiment, t.Arm
		if t.Shadows != 0 {
			r.Copy = t.Shadows.String()
		}
	}
	for _, a := range e.Attempts {
		var refused *Refused
		if a.Refused.Phase != "" {
			refused = &Refused{a.Refused.Phase, a.Refused.Category}
		}
		r.Attempts = append(r.Attempts, Attempt{N: a.N, Provider: a.Provider, Model: a.Model, Why: a.Why, Start: a.Start.UTC(),
			FirstByte: a.FirstByte.Milliseconds(), Total: a.Total.Milliseconds(), Status: a.Status, Class: a.Class, Message: a.Message, Refused: refused,
			Usage: showTokens(a.Usage), Cost: Cost{a.Cost, a.Priced}, Upstream: a.UpstreamID, Finish: a.Finish})
	}
	return r
}

func showTokens(u llm.Usage) Tokens {
	return Tokens{Input: u.Input, CacheRead: u.CacheRead, CacheWrite5m: u.CacheWrite5m, CacheWrite1h: u.CacheWrite1h,
		Output: u.Output, Reasoning: u.Reasoning, Source: u.Source}
}

// CatalogRows shows a catalogue. Now gives the one in force; Found the
// providers that are in use or were skipped; Take brings a refreshed list into
// force (nil asks the providers) and keeps it for the next start.
type CatalogRows struct {
	Now   func() *catalog.Catalog
	Found func(ctx context.Context) ([]Provider, error)
	Take  func(ctx context.Context, r *catalog.Refresh) (Refreshed, error)
}

// Models lists models that answer in text and are not retired.
func (c CatalogRows) Models(ctx context.Context, all bool) ([]Model, error) {
	found, err := c.Found(ctx)
	if err != nil {
		return nil, err
	}
	usable := map[string]bool{}
	for _, p := range found {
		usable[p.ID] = p.State == "ready"
	}
	now, rows := time.Now(), c.Now()
	list := []Model{}
	for _, m := range rows.Find(catalog.Query{At: now}) {
		if usable[m.Provider] || all {
			one := ShowModel(rows, m, now)
			one.Usable = usable[m.Provider]
			list = append(list, one)
		}
	}
	return list, nil
}

// Providers lists the providers that were found or skipped.
func (c CatalogRows) Providers(ctx context.Context) ([]Provider, error) { return c.Found(ctx) }

// Refresh checks a list and brings it into force.
func (c CatalogRows) Refresh(ctx context.Context, file []byte) (Refreshed, error) {
	if file == nil {
		return c.Take(ctx, nil)
	}
	r, err := catalog.ParseRefresh(file, time.Now())
	if err != nil {
		return Refreshed{}, llm.Errorf(llm.InvalidRequest, "%s", err)
	}
	done, err := c.Take(ctx, r)
	if err == nil && len(r.Skipped) > 0 {
		done.Notes = append(done.Notes, "left out, because there is no such provider here: "+strings.Join(r.Skipped, ", "))
	}
	return done, err
}

// ShowModel shows a model with its price now.
func ShowModel(rows *catalog.Catalog, m *catalog.Model, now time.Time) Model {
	can := rows.Capability(m.Provider, m.ID)
	one := Model{ID: m.Provider + "/" + m.ID, Provider: m.Provider, Name: m.Name, Aliases: m.Aliases,
		Window: m.Window, MaxOutput: m.MaxOutput, Efforts: can.Efforts, State: string(m.StatusAt(now))}
	if can.Known {
		// What an unknown model is taken to accept is no promise.
		one.Features = catalog.NamesOf(can.Has)
	}
	if p, ok := m.PriceAt(now); ok {
		at := p.At(0, now)
		one.Price = &Price{Input: usd(at.Input), Output: usd(at.Output), CacheRead: usd(at.CacheRead),
			CacheWrite5m: usd(at.CacheWrite5m), CacheWrite1h: usd(at.CacheWrite1h)}
		if len(p.Steps) > 0 {
			one.Price.Note = p.String()
		}
	}
	return one
}

func usd(r catalog.Rate) *float64 {
	if !r.Known {
		return nil
	}
	v := r.USD()
	return &v
}
