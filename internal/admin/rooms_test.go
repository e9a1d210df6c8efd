package admin_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// shelf is a key store in memory.
type shelf struct {
	mu      sync.Mutex // guards all below
	keys    []access.Key
	version int64
}

func (s *shelf) Keys(context.Context) ([]access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys), nil
}

func (s *shelf) PutKey(_ context.Context, k access.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	for i := range s.keys {
		if s.keys[i].ID == k.ID {
			s.keys[i] = k
			return nil
		}
	}
	s.keys = append(s.keys, k)
	return nil
}

func (s *shelf) KeysVersion(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, nil
}

// TestRealKeys: the API's keys and the directory of the request path agree.
func TestRealKeys(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), &shelf{}
	keys := admin.RingKeys{Ring: access.Ring{Store: store}}
	dir := access.NewDirectory(store, slog.New(slog.DiscardHandler))
	door := admin.DirectoryDoor{Directory: dir}
	data, k, err := keys.CreateKey(ctx, admin.KeySpec{Name: "ci", Models: []string{"smart"}, Limits: admin.Limits{Parallel: 2}})
	if err != nil || k.State != "active" || k.Limits.Parallel != 2 || !k.Expires.IsZero() || k.Created.Location() != time.UTC {
		t.Fatalf("%+v, %v", k, err)
	}
	token, root, err := keys.CreateKey(ctx, admin.KeySpec{Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	if who, err := door.CheckAdmin(ctx, token.Reveal(), time.Now()); err != nil || who.ID != root.ID {
		t.Errorf("admin token: %+v, %v", who, err)
	}
	if _, err := door.CheckAdmin(ctx, data.Reveal(), time.Now()); err == nil {
		t.Error("a data key opens the admin API")
	}
	if _, heir, err := keys.RotateKey(ctx, k.ID, time.Hour); err != nil || heir.Name != "ci" {
		t.Errorf("%+v, %v", heir, err)
	}
	if k, err = keys.RevokeKey(ctx, k.ID); err != nil || k.State != "revoked" || k.RotatedTo == "" {
		t.Errorf("%+v, %v", k, err)
	}
	_, err = keys.RevokeKey(ctx, "key_nobody")
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.NotFound {
		t.Errorf("got %v", err)
	}
	list, err := keys.Keys(ctx)
	if err != nil || len(list) != 3 {
		t.Errorf("%d keys, %v", len(list), err)
	}
}

// rows is a ledger of two entries.
type rows struct{ asked ledger.Filter }

func (r *rows) entry() ledger.Entry {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	return ledger.Entry{ID: 1 << 30, Seq: 7, At: at, KeyID: "key_1", KeyName: "ci", Asked: "smart", Status: 200, FirstByte: 1500 * time.Microsecond, Total: time.Second,
		Usage: llm.Usage{Input: 3, Source: llm.UsageProvider}, Cost: 5, Priced: true,
		Attempts: []ledger.Attempt{{N: 1, Provider: "a", Model: "m", Class: llm.Overloaded, Status: 529}, {N: 2, Provider: "b", Model: "n", Status: 200, UpstreamID: "x"}}}
}

func (r *rows) Request(_ context.Context, id ledger.ID) (ledger.Entry, bool, error) {
	e := r.entry()
	return e, id == e.ID, nil
}

func (r *rows) Recent(_ context.Context, f ledger.Filter) ([]ledger.Entry, error) {
	r.asked = f
	bad := r.entry()
	bad.ID++
	bad.Class, bad.Attempts = llm.Overloaded, bad.Attempts[:1]
	return []ledger.Entry{r.entry(), bad}, nil
}

func (r *rows) Usage(_ context.Context, by ledger.By, _, _ time.Time) ([]ledger.UsageRow, error) {
	return []ledger.UsageRow{{Group: string(by), Label: "ci", Tally: ledger.Tally{Requests: 2, Unpriced: 1, Cost: 9}}}, nil
}

func (r *rows) Success(context.Context, time.Time, time.Time) ([]ledger.Success, error) {
	return []ledger.Success{
		{Asked: "auto", Task: "mail", Target: "a/m", Requests: 3, Successes: 2, Cost: 10},
		{Asked: "auto", Task: "code", Target: "a/m", Requests: 1, Successes: 1, Cost: 20, Explicit: 1, ExplicitScore: 1},
		{Asked: "auto", Target: "b/n", Requests: 1, Cost: 5, Unpriced: 1},
	}, nil
}

func TestSuccessBy(t *testing.T) {
	t.Parallel()
	l := admin.LedgerRows{Reader: &rows{}}
	show := func(by ...string) string {
		got, err := l.SuccessBy(t.Context(), by, time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, r := range got {
			each := "-"
			if r.CostPerSuccess != nil {
				each = fmt.Sprint(int64(*r.CostPerSuccess))
			}
			out = append(out, fmt.Sprintf("%s/%s/%s %d %v %d %s %v", r.Route, r.Task, r.Model, r.Requests, r.Successes, r.Cost, each, r.ExplicitScore))
		}
		return strings.Join(out, "; ")
	}
	for _, c := range []struct {
		by   []string
		want string
	}{
		{[]string{"route", "task", "model"}, "auto/code/a/m 1 1 20 20 1; auto/mail/a/m 3 2 10 5 0; auto//b/n 1 0 5 - 0"},
		{[]string{"model"}, "//a/m 4 3 30 10 1; //b/n 1 0 5 - 0"},
		{[]string{"route"}, "auto// 5 3 35 - 1"}, // one attempt has no price
	} {
		if got := show(c.by...); got != c.want {
			t.Errorf("by %v: %s, want %s", c.by, got, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	l := admin.LedgerRows{Reader: &rows{}}
	page, err := l.Requests(t.Context(), admin.RequestFilter{After: -1})
	if err != nil {
		t.Fatal(err)
	}
	list := page.Requests
	// A request without a ladder: what was tried, and why.
	x, err := l.Explain(t.Context(), list[0].ID)
	if err != nil || len(x.Candidates) != 2 || x.Rule != "" || !x.Candidates[1].Asked || x.Success != 1 {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := l.Explain(t.Context(), list[1].ID); err == nil {
		t.Error("a request that is not there is explained")
	}
}

func TestRealLedger(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), &rows{}
	l := admin.LedgerRows{Reader: r}
	page, err := l.Requests(ctx, admin.RequestFilter{After: -1, Errors: true, Limit: 9})
	list := page.Requests
	if err != nil || len(list) != 2 || r.asked != (ledger.Filter{After: -1, Failed: true, Limit: 9}) {
		t.Fatalf("%+v, %v, asked %+v", list, err, r.asked)
	}
	if one := list[0]; one.Provider != "b" || one.Model != "n" || one.Seq != 7 || one.FirstByte != 1 || one.Attempts != nil {
		t.Errorf("%+v", one)
	}
	if one := list[1]; one.Provider != "" || one.Class != llm.Overloaded {
		t.Errorf("a failed request was answered by %+v", one)
	}
	one, err := l.Request(ctx, list[0].ID)
	if err != nil || len(one.Attempts) != 2 || one.Attempts[1].Upstream != "x" {
		t.Errorf("%+v, %v", one, err)
	}
	for _, id := range []string{"nonsense", list[1].ID} {
		_, err := l.Request(ctx, id)
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.NotFound {
			t.Errorf("%s: got %v", id, err)
		}
	}
	sums, err := l.UsageBy(ctx, "key", time.Time{}, time.Time{})
	if err != nil || sums[0].Name != "key" || sums[0].Label != "ci" || sums[0].Unpriced != 1 || sums[0].Cost != 9 {
		t.Errorf("%+v, %v", sums, err)
	}
	if _, err := l.UsageBy(ctx, "colour", time.Time{}, time.Time{}); err == nil {
		t.Error("usage by colour")
	}
}

func TestRealCatalog(t *testing.T) {
	t.Parallel()
	// The two lists of names cannot import one another; this holds them equal.
	if !slices.Equal(config.Capabilities(), catalog.FeatureNames()) {
		t.Errorf("config says %v, catalog %v", config.Capabilities(), catalog.FeatureNames())
	}
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	var took *catalog.Refresh
	rows := admin.CatalogRows{
		Now: func() *catalog.Catalog { return c },
		Found: func(context.Context) ([]admin.Provider, error) {
			return []admin.Provider{{ID: "openai", State: "ready"}}, nil
		},
		Take: func(_ context.Context, r *catalog.Refresh) (admin.Refreshed, error) {
			took = r
			return admin.Refreshed{}, nil
		},
	}
	few, err := rows.Models(t.Context(), false)
	if err != nil || len(few) == 0 {
		t.Fatalf("%d models, %v", len(few), err)
	}
	priced := 0
	for _, m := range few {
		if m.Provider != "openai" || !m.Usable {
			t.Errorf("%s is not openai's", m.ID)
		}
		if m.Price != nil && m.Price.Input != nil {
			priced++
		}
	}
	if priced == 0 {
		t.Error("no model has a price")
	}
	if all, err := rows.Models(t.Context(), true); err != nil || len(all) <= len(few) {
		t.Errorf("%d of %d models, %v", len(few), len(all), err)
	}
	if _, err := rows.Refresh(t.Context(), []byte("no catalogue")); err == nil || took != nil {
		t.Errorf("took %v, %v", took, err)
	}
	if _, err := rows.Refresh(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
