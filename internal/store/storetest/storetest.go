// Package storetest states what every store of keys, of the ledger and of what
// must come back does, whatever engine it stands on. It imports no engine.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/access"
	"headrace/internal/audit"
	"headrace/internal/batch"
	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/study"
	"headrace/internal/vault"
	"headrace/internal/webhook"
)

// Store is what is tested.
type Store interface {
	access.Store
	ledger.Store
	recall.Store
	budget.Store
	ledger.Pruner
	batch.Store
	batch.FileStore
	webhook.Store
	Learned
	batch.Overseer
	access.StaffStore
	ledger.Searcher
	audit.Store
	vault.Store
	study.Store
	Close() error
}

// Open gives a fresh, empty store; the suite closes it. Again opens the same
// data a second time, as another process would; it is closed as well.
type Open func(t testing.TB) (store Store, again func(testing.TB) Store)

// Preparer is the optional power to prepare every SQL statement at once.
type Preparer interface {
	PrepareAll(ctx context.Context) error
}

// Checker is the optional power to check the data's integrity.
type Checker interface {
	Check(ctx context.Context) error
}

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		why  string
		run  func(*fixture)
	}{
		{"prepare", "every statement must be one that the engine understands", prepare},
		{"keys", "a key must come back as it was put", keys},
		{"key conflict", "two keys must never share a token", keyConflict},
		{"revocation is final", "a stale copy must not bring a revoked key back", revocation},
		{"version", "every change of a key must be seen by other processes", version},
		{"keys at once", "changes at the same time must all be there", keysAtOnce},
		{"entry", "an entry must come back as it was written", entry},
		{"odd entries", "what clients and providers invent must be kept or cut, never fail the batch", oddEntries},
		{"batch twice", "a batch of unknown fate must not be counted twice", batchTwice},
		{"taken ids", "one request has exactly one outcome row", takenIDs},
		{"all or nothing", "a batch that fails must leave nothing", allOrNothing},
		{"many", "a batch larger than one statement must be written whole", many},
		{"recent", "filters must let through what they say", recent},
		{"follow", "a follower must see each entry once, also those that end late", follow},
		{"usage", "roll-ups must be the sum of the rows", usage},
		{"usage hours", "hours are whole and bounded as the interface says", usageHours},
		{"runs", "a killed run must be told of, once", runs},
		{"two processes", "a second process must see and add to the same data", twoProcesses},
		{"cancelled", "a context that is over must be an error, not a result", cancelled},
		{"ledger", "the ledger over this store must lose nothing", wholeLedger},
		{"budgets", "a budget must come back as it was put, and every change be seen by other processes", budgets},
		{"leases", "what is leased and spent must never be over the limit", leases},
		{"leases at once", "leases that are taken at the same time must not be over the limit together", leasesAtOnce},
		{"charges", "an account must be the sum of the ledger's rows, also when a batch is tried again", charges},
		{"lost leases", "what a run that was killed had leased must count until it is settled", lostLeases},
		{"prune", "old entries must go in the order of writing, and leave sums and budgets as they were", prune},
		{"choices", "how a route chose must come back as it was written", choices},
		{"successes", "what requests came to must follow what is said of them", successes},
		{"learned", "what was learned must outlive the process", learned},
		{"sealed", "a sealed row must come back as it was put", sealed},
		{"sealed owners", "the row of one owner must never be another's", sealedOwners},
		{"sealed expiry", "what has expired is not there, swept or not", sealedExpiry},
		{"sealed batch", "a batch is written and dropped whole, or not at all", sealedBatch},
		{"sealed at once", "writers at the same time must all be heard, and readers see whole rows", sealedAtOnce},
		{"sealed and closed", "a store that is closed must give errors, not results", sealedClosed},
		{"state", "a tool loop must go on after a restart", wholeState},
		{"batch items", "an item must be worked on by one, be in one batch and be answered once", batchItems},
		{"webhooks", "a message must be there from the end of its job until it is heard", webhooks},
		{"batch holds", "money held for items in batches must be known after a restart", batchHolds},
		{"batch times", "what was learned of batches must outlive the process, and stay small", batchTimes},
		{"files", "a file must be there once it is whole, for its owner, until it expires", files},
		{"members", "a member must come back as it was put, and who has left stays away", members},
		{"sessions", "a session must be seen by every process, and end when it is over", sessions},
		{"audit", "the rows of all processes must be one chain", auditChain},
		{"credentials", "a sealed credential must come back as it was put, and never be replaced unseen", credentials},
		{"versions", "past configurations must be kept, the oldest only for so long", versions},
		{"search", "a search must find what its filters say, once, in the order of time", search},
		{"sums", "sums must be those of the rows, whatever they are apart by", sums},
		{"briefs", "the latest requests must be told in order", briefs},
		{"oversee", "everybody's jobs must be seen, but for those that are not there yet", oversee},
		{"experiments", "what experiments have shown must outlive the process and the rows that it came from", experiments},
		{"responses", "a stored response must outlive the process, for its owner alone", wholeResponses},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, again := open(t)
			f := &fixture{T: t, ctx: t.Context(), store: store}
			f.anew = func() Store { return again(t) }
			f.again = func() Store {
				s := again(t)
				t.Cleanup(func() { f.ok(s.Close()) })
				return s
			}
			defer func() {
				if ch, ok := store.(Checker); ok {
					f.ok(ch.Check(context.WithoutCancel(f.ctx)))
				}
				f.ok(store.Close())
				if t.Failed() {
					t.Log("reason of this case: " + c.why)
				}
			}()
			c.run(f)
		})
	}
}

type fixture struct {
	*testing.T
	ctx   context.Context
	store Store
	again func() Store
	// anew is again without a Close at the end.
	anew func() Store
	run  ledger.ID
	n    int64
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Error(err)
	}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) same(what string, want, got any) {
	f.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		f.Errorf("%s (- want, + got):\n%s", what, diff)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newKey(i int) access.Key {
	return access.Key{ID: fmt.Sprintf("key_%04d", i), Name: fmt.Sprintf("key %d", i), Team: "team", Hash: access.Hash(fmt.Sprint("token", i)),
		Prefix: "hr-abcd", Created: noon.Add(time.Duration(i) * time.Second)}
}

func prepare(f *fixture) {
	p, ok := f.store.(Preparer)
	if !ok {
		f.Skip("this store has no PrepareAll: its statements are not prepared apart")
	}
	f.must(p.PrepareAll(f.ctx))
}

func (f *fixture) key(id string) access.Key {
	f.Helper()
	all, err := f.store.Keys(f.ctx)
	f.must(err)
	for _, k := range all {
		if k.ID == id {
			return k
		}
	}
	f.Fatalf("key %s is not there", id)
	return access.Key{}
}

func keys(f *fixture) {
	all, err := f.store.Keys(f.ctx)
	f.must(err)
	f.same("keys of an empty store", []access.Key{}, all)
	full := access.Key{ID: "key_full", Name: "näme 'quoted'; --", Team: "日本", Admin: true, Hash: access.Hash("x"), Prefix: "hra-abc",
		Created: noon, Expires: noon.Add(time.Hour), Revoked: noon.Add(time.Minute),
		Models: []string{"smart", "anthropic/*", `odd"name\`}, RotatedTo: "key_next", Priority: "batch", MayRaise: true,
		Limits: access.Limits{RequestsPerMinute: 60, TokensPerMinute: math.MaxInt64, Parallel: 7}}
	plain := newKey(1)
	f.must(f.store.PutKey(f.ctx, full))
	f.must(f.store.PutKey(f.ctx, plain))
	all, err = f.store.Keys(f.ctx)
	f.must(err)
	f.same("keys, oldest first", []access.Key{full, plain}, all)
	change := plain
	change.Name, change.Team, change.Models, change.Expires, change.Limits.Parallel = "new", "", []string{"x"}, noon.Add(time.Hour), 2
	f.must(f.store.PutKey(f.ctx, change))
	f.same("a changed key", change, f.key(plain.ID))
	change.Hash, change.Admin, change.Created = access.Hash("other"), true, noon.Add(time.Hour)
	f.must(f.store.PutKey(f.ctx, change))
	if got := f.key(plain.ID); got.Hash != plain.Hash || got.Admin || !got.Created.Equal(plain.Created) {
		f.Error("hash, kind or creation of a key were changed")
	}
}

func keyConflict(f *fixture) {
	a, b := newKey(1), newKey(2)
	b.Hash = a.Hash
	f.must(f.store.PutKey(f.ctx, a))
	before, err := f.store.KeysVersion(f.ctx)
	f.must(err)
	if err := f.store.PutKey(f.ctx, b); err == nil {
		f.Error("a second key with the same hash is taken")
	}
	all, err := f.store.Keys(f.ctx)
	f.must(err)
	f.same("keys", []access.Key{a}, all)
	after, err := f.store.KeysVersion(f.ctx)
	f.must(err)
	f.same("the version after a refused change", before, after)
}

func revocation(f *fixture) {
	k := newKey(1)
	f.must(f.store.PutKey(f.ctx, k))
	stale := k
	k.Revoked = noon
	f.must(f.store.PutKey(f.ctx, k))
	stale.Name = "renamed"
	f.must(f.store.PutKey(f.ctx, stale))
	later := k
	later.Revoked = noon.Add(time.Hour)
	f.must(f.store.PutKey(f.ctx, later))
	if got := f.key(k.ID); !got.Revoked.Equal(noon) {
		f.Errorf("revoked at %v, want %v", got.Revoked, noon)
	}
}

func version(f *fixture) {
	last, err := f.store.KeysVersion(f.ctx)
	f.must(err)
	other := f.again()
	for i := range 5 {
		s := f.store
		if i%2 == 1 {
			s = other
		}
		f.must(s.PutKey(f.ctx, newKey(i/2)))
		for _, from := range []Store{f.store, other} {
			now, err := from.KeysVersion(f.ctx)
			f.must(err)
			if now <= last {
				f.Fatalf("change %d: version %d after %d", i, now, last)
			}
		}
		now, err := f.store.KeysVersion(f.ctx)
		f.must(err)
		last = now
	}
}

func keysAtOnce(f *fixture) {
	other := f.again()
	var wg sync.WaitGroup
	for i := range 40 {
		s := f.store
		if i%2 == 1 {
			s = other
		}
		wg.Go(func() { f.ok(s.PutKey(f.ctx, newKey(i))) })
	}
	wg.Wait()
	all, err := f.store.Keys(f.ctx)
	f.must(err)
	f.same("keys", 40, len(all))
}

// sample is an entry with every field set.
func sample(ids *ledger.IDs, at time.Time) ledger.Entry {
	return ledger.Entry{ID: ids.New(at), At: at, KeyID: "key_1", KeyName: "ci", Team: "core", Dialect: llm.Anthropic, Op: llm.OpChat,
		Asked: "smart", Streamed: true, Status: 200, Committed: true, FirstByte: 1234 * time.Microsecond, Total: 5 * time.Second,
		Warnings: []string{"dropped: seed", `quo"te`},
		Attempts: []ledger.Attempt{
			{N: 1, Provider: "anthropic", Model: "claude-x", Why: "first of route smart", Start: at, FirstByte: time.Millisecond,
				Total: 2 * time.Millisecond, Status: 529, Class: llm.Overloaded, Message: "Overloaded 'now'", Priced: true},
			{N: 2, Provider: "openai", Model: "gpt-x", Why: "after overloaded", Start: at.Add(time.Second), FirstByte: time.Second,
				Total: 4 * time.Second, Status: 200, Finish: llm.FinishStop, Refused: llm.Refused{Phase: llm.RefusedOutput, Category: "bio"}, UpstreamID: "chatcmpl-1", Cost: 12_345, Priced: true,
				Usage: llm.Usage{Input: 10, CacheRead: 20, CacheWrite5m: 30, CacheWrite1h: 40, Output: 50, Reasoning: 5, Source: llm.UsageProvider}},
		}}
}

func (f *fixture) begin() {
	f.Helper()
	var ids ledger.IDs
	f.run = ids.New(noon)
	_, err := f.store.Begin(f.ctx, ledger.Run{ID: f.run, Written: noon})
	f.must(err)
}

func (f *fixture) batch(entries []ledger.Entry) *ledger.Batch {
	f.n++
	for i := range entries {
		entries[i].Sum()
	}
	return &ledger.Batch{Run: f.run, N: f.n, At: noon, Entries: entries, Hours: ledger.RollUp(entries)}
}

func (f *fixture) write(entries ...ledger.Entry) {
	f.Helper()
	f.must(f.store.WriteBatch(f.ctx, f.batch(entries)))
}

func (f *fixture) recent(filter ledger.Filter) []ledger.Entry {
	f.Helper()
	got, err := f.store.Recent(f.ctx, filter)
	f.must(err)
	return got
}

func (f *fixture) total() ledger.Tally {
	f.Helper()
	var sum ledger.Tally
	rows, err := f.store.Usage(f.ctx, ledger.ByProvider, time.Time{}, time.Time{})
	f.must(err)
	for _, r := range rows {
		sum.Requests += r.Tally.Requests
		sum.Attempts += r.Tally.Attempts
		sum.Cost += r.Tally.Cost
	}
	return sum
}

var seqless = cmpopts.IgnoreFields(ledger.Entry{}, "Seq")

func entry(f *fixture) {
	f.begin()
	var ids ledger.IDs
	e := sample(&ids, noon)
	f.write(e)
	e.Sum()
	got, ok, err := f.store.Request(f.ctx, e.ID)
	f.must(err)
	if diff := cmp.Diff(e, got, seqless, cmpopts.EquateEmpty()); !ok || diff != "" {
		f.Errorf("found %v (- want, + got):\n%s", ok, diff)
	}
	if got.Seq <= 0 {
		f.Error("a written entry has no place")
	}
	if _, ok, err := f.store.Request(f.ctx, e.ID+1); ok || err != nil {
		f.Errorf("a request that is not there: %v, %v", ok, err)
	}
	// Unpriced is not free, and free is not unpriced.
	free, unknown := sample(&ids, noon), sample(&ids, noon)
	free.Attempts = []ledger.Attempt{{N: 1, Provider: "local", Model: "m", Start: noon, Priced: true}}
	unknown.Attempts = []ledger.Attempt{{N: 1, Provider: "local", Model: "m", Start: noon}}
	f.write(free, unknown)
	for _, c := range []struct {
		e      ledger.Entry
		priced bool
	}{{free, true}, {unknown, false}} {
		got, _, err := f.store.Request(f.ctx, c.e.ID)
		f.must(err)
		if got.Priced != c.priced || got.Attempts[0].Priced != c.priced || got.Cost != 0 {
			f.Errorf("priced %v and %v, want %v", got.Priced, got.Attempts[0].Priced, c.priced)
		}
	}
}

func oddEntries(f *fixture) {
	f.begin()
	var ids ledger.IDs
	bare := ledger.Entry{ID: ids.New(noon), At: noon}
	words := sample(&ids, noon)
	words.Asked, words.KeyName = "'; DROP TABLE ledger_request; --", "\u2028 ü \U0001F600 \x7f"
	words.Warnings = []string{"", "\n\t\x01", strings.Repeat("w", 2000)}
	words.Attempts[0].Message = strings.Repeat("\U0001F600", 500)
	large := sample(&ids, noon)
	large.Attempts[1].Usage.Input, large.Attempts[1].Cost = 1<<40, 1e14
	large.Attempts = slices.Concat(large.Attempts, slices.Repeat(large.Attempts[1:], 40))
	for i := range large.Attempts {
		large.Attempts[i].N = i + 1
	}
	f.write(bare, words, large)
	for _, want := range []ledger.Entry{bare, words, large} {
		want.Sum()
		got, ok, err := f.store.Request(f.ctx, want.ID)
		f.must(err)
		if diff := cmp.Diff(want, got, seqless, cmpopts.EquateEmpty()); !ok || diff != "" {
			f.Errorf("found %v (- want, + got):\n%s", ok, diff)
		}
	}
	for range 30 { // sums over many enormous rows must stay whole numbers
		large.ID = ids.New(noon)
		f.write(large)
	}
	rows, err := f.store.Usage(f.ctx, ledger.ByKey, time.Time{}, time.Time{})
	f.must(err)
	for _, r := range rows {
		if r.Tally.Cost < 0 || r.Tally.Input < 0 {
			f.Errorf("a sum ran over: %+v", r)
		}
	}
}

func batchTwice(f *fixture) {
	f.begin()
	var ids ledger.IDs
	b := f.batch([]ledger.Entry{sample(&ids, noon), sample(&ids, noon)})
	for range 3 {
		f.must(f.store.WriteBatch(f.ctx, b))
	}
	f.same("entries", 2, len(f.recent(ledger.Filter{})))
	f.same("tally", ledger.Tally{Requests: 2, Attempts: 4, Cost: 2 * 12_345}, f.total())
	f.write(sample(&ids, noon))
	f.same("entries after the next batch", 3, len(f.recent(ledger.Filter{})))
}

func takenIDs(f *fixture) {
	f.begin()
	var ids ledger.IDs
	a, b, c := sample(&ids, noon), sample(&ids, noon), sample(&ids, noon)
	f.write(a)
	other := a
	other.Asked = "other"
	batch := f.batch([]ledger.Entry{b, other, c, b})
	err := f.store.WriteBatch(f.ctx, batch)
	taken, ok := errors.AsType[*ledger.TakenError](err)
	if !ok {
		f.Fatalf("ids that are there already: %v, want a *TakenError", err)
	}
	f.same("places of the taken ids", []int{1, 3}, taken.At)
	f.same("entries after the refusal", 1, len(f.recent(ledger.Filter{})))
	f.same("tally after the refusal", int64(1), f.total().Requests)
	batch.Entries = []ledger.Entry{b, c}
	batch.Hours = ledger.RollUp(batch.Entries)
	f.must(f.store.WriteBatch(f.ctx, batch))
	f.same("entries", 3, len(f.recent(ledger.Filter{})))
	got, _, err := f.store.Request(f.ctx, a.ID)
	f.must(err)
	f.same("the first outcome", "smart", got.Asked)
	f.same("its attempts", 2, len(got.Attempts))
	f.same("tally", int64(3), f.total().Requests)
}

func allOrNothing(f *fixture) {
	f.begin()
	var ids ledger.IDs
	b := f.batch([]ledger.Entry{sample(&ids, noon)})
	b.Run++ // a run that was never begun
	if err := f.store.WriteBatch(f.ctx, b); err == nil {
		f.Fatal("a batch of an unknown run is taken")
	}
	f.same("entries", 0, len(f.recent(ledger.Filter{})))
	f.same("tally", ledger.Tally{}, f.total())
	// The names of the batch that was taken back must be good for the next.
	b.Run--
	f.must(f.store.WriteBatch(f.ctx, b))
	f.same("entries", 1, len(f.recent(ledger.Filter{})))
}

func many(f *fixture) {
	f.begin()
	var ids ledger.IDs
	count := 0
	for _, n := range []int{0, 1, 7, 8, 9, 63, 500, 1003} {
		var entries []ledger.Entry
		for i := range n {
			e := sample(&ids, noon.Add(time.Duration(i)*time.Millisecond))
			e.Asked = fmt.Sprint("model ", i%9000)
			entries = append(entries, e)
		}
		f.write(entries...)
		count += n
		f.same("requests so far", int64(count), f.total().Requests)
	}
	f.same("at most this many", ledger.MaxLimit, len(f.recent(ledger.Filter{Limit: 1 << 30})))
	f.same("the usual many", ledger.DefaultLimit, len(f.recent(ledger.Filter{})))
}

func recent(f *fixture) {
	f.begin()
	var ids ledger.IDs
	var all []ledger.Entry
	for i := range 20 {
		e := sample(&ids, noon.Add(time.Duration(i)*time.Hour))
		e.KeyID = fmt.Sprint("key_", i%2)
		e.Asked = fmt.Sprint("m", i%4)
		if i%5 == 0 {
			e.Class, e.Status = llm.RateLimited, 429
			e.Attempts = nil
		}
		if i%3 == 0 {
			for j := range e.Attempts {
				e.Attempts[j].Provider = "third"
			}
		}
		all = append(all, e)
	}
	f.write(all...)
	for _, c := range []struct {
		name   string
		filter ledger.Filter
		pass   func(i int) bool
	}{
		{"all", ledger.Filter{}, func(int) bool { return true }},
		{"key", ledger.Filter{KeyID: "key_1"}, func(i int) bool { return i%2 == 1 }},
		{"no such key", ledger.Filter{KeyID: "key_9"}, func(int) bool { return false }},
		{"asked", ledger.Filter{Asked: "m3"}, func(i int) bool { return i%4 == 3 }},
		{"failed", ledger.Filter{Failed: true}, func(i int) bool { return i%5 == 0 }},
		{"class", ledger.Filter{Class: llm.RateLimited}, func(i int) bool { return i%5 == 0 }},
		{"other class", ledger.Filter{Class: llm.Overloaded}, func(int) bool { return false }},
		{"provider", ledger.Filter{Provider: "third"}, func(i int) bool { return i%3 == 0 && i%5 != 0 }},
		{"provider of the first attempt", ledger.Filter{Provider: "anthropic"}, func(i int) bool { return i%3 != 0 && i%5 != 0 }},
		{"model", ledger.Filter{Model: "gpt-x"}, func(i int) bool { return i%5 != 0 }},
		{"both of one attempt", ledger.Filter{Provider: "anthropic", Model: "gpt-x"}, func(int) bool { return false }},
		{"since", ledger.Filter{Since: noon.Add(5 * time.Hour)}, func(i int) bool { return i >= 5 }},
		{"until", ledger.Filter{Until: noon.Add(5 * time.Hour)}, func(i int) bool { return i < 5 }},
		{"before", ledger.Filter{Before: all[7].ID}, func(i int) bool { return i < 7 }},
		{"together", ledger.Filter{KeyID: "key_1", Asked: "m1", Before: all[10].ID, Since: noon.Add(2 * time.Hour)}, func(i int) bool { return i == 5 || i == 9 }},
	} {
		var want, got []ledger.ID
		for i := len(all) - 1; i >= 0; i-- {
			if c.pass(i) {
				want = append(want, all[i].ID)
			}
		}
		for _, e := range f.recent(c.filter) {
			got = append(got, e.ID)
		}
		f.same(c.name+", latest first", want, got)
		c.filter.After = -1
		got = nil
		for _, e := range f.recent(c.filter) {
			got = append(got, e.ID)
		}
		slices.Reverse(want)
		f.same(c.name+", in the order of writing", want, got)
	}
	f.same("limit", 3, len(f.recent(ledger.Filter{Limit: 3})))
}

func follow(f *fixture) {
	f.begin()
	var ids ledger.IDs
	long := sample(&ids, noon) // begins first, ends last
	var seen []ledger.ID
	after := int64(-1)
	read := func() {
		for {
			got := f.recent(ledger.Filter{After: after, Limit: 2})
			if len(got) == 0 {
				return
			}
			for _, e := range got {
				if e.Seq <= after {
					f.Fatalf("place %d after %d", e.Seq, after)
				}
				after = e.Seq
				seen = append(seen, e.ID)
			}
		}
	}
	var want []ledger.ID
	for range 3 {
		var entries []ledger.Entry
		for range 5 {
			e := sample(&ids, noon.Add(time.Second))
			entries = append(entries, e)
			want = append(want, e.ID)
		}
		f.write(entries...)
		read()
	}
	f.write(long)
	read()
	f.same("what a follower saw", append(want, long.ID), seen)
}

func usage(f *fixture) {
	f.begin()
	var ids ledger.IDs
	a := sample(&ids, noon)
	b := sample(&ids, noon.Add(26*time.Hour))
	b.KeyID, b.KeyName, b.Class, b.Status = "key_2", "old name", llm.Timeout, 504
	b.Attempts[1].Priced, b.Attempts[1].Cost, b.Attempts[1].Class = false, 0, llm.Timeout
	b.Attempts[1].Usage = llm.Usage{Input: 7, Source: llm.UsageEstimated}
	c := sample(&ids, noon.Add(27*time.Hour))
	c.KeyID, c.KeyName, c.Attempts, c.Class = "key_2", "new name", nil, llm.Forbidden
	f.write(a, b)
	f.write(c)
	good := ledger.Tally{Requests: 1, Attempts: 1, Input: 10, CacheRead: 20, CacheWrite5m: 30, CacheWrite1h: 40, Output: 50, Reasoning: 5, Cost: 12_345}
	bad := ledger.Tally{Requests: 1, Failed: 1, Attempts: 1, FailedAttempts: 1, Estimated: 1, Unpriced: 1, Input: 7}
	over := ledger.Tally{Attempts: 1, FailedAttempts: 1}
	none := ledger.Tally{Requests: 1, Failed: 1}
	for _, x := range []struct {
		by   ledger.By
		want []ledger.UsageRow
	}{
		{ledger.ByProvider, []ledger.UsageRow{{Group: "openai", Tally: plus(good, bad)}, {Group: "", Tally: none}, {Group: "anthropic", Tally: plus(over, over)}}},
		{ledger.ByModel, []ledger.UsageRow{{Group: "openai/gpt-x", Tally: plus(good, bad)}, {Group: "", Tally: none}, {Group: "anthropic/claude-x", Tally: plus(over, over)}}},
		{ledger.ByKey, []ledger.UsageRow{{Group: "key_1", Label: "ci", Tally: plus(good, over)}, {Group: "key_2", Label: "new name", Tally: plus(bad, over, none)}}},
		{ledger.ByDay, []ledger.UsageRow{{Group: "2026-11-24", Tally: plus(bad, over, none)}, {Group: "2026-11-23", Tally: plus(good, over)}}},
		{ledger.ByDayModel, []ledger.UsageRow{{Group: "2026-11-24", Tally: none}, {Group: "2026-11-24 openai/gpt-x", Tally: bad}, {Group: "2026-11-24 anthropic/claude-x", Tally: over},
			{Group: "2026-11-23 openai/gpt-x", Tally: good}, {Group: "2026-11-23 anthropic/claude-x", Tally: over}}},
	} {
		got, err := f.store.Usage(f.ctx, x.by, time.Time{}, time.Time{})
		f.must(err)
		f.same("usage by "+string(x.by), x.want, got)
	}
	if _, err := f.store.Usage(f.ctx, "colour", time.Time{}, time.Time{}); err == nil {
		f.Error("usage by colour is no error")
	}
}

func plus(all ...ledger.Tally) (t ledger.Tally) {
	for _, o := range all {
		t.Requests += o.Requests
		t.Failed += o.Failed
		t.Attempts += o.Attempts
		t.FailedAttempts += o.FailedAttempts
		t.Estimated += o.Estimated
		t.Unpriced += o.Unpriced
		t.Input += o.Input
		t.CacheRead += o.CacheRead
		t.CacheWrite5m += o.CacheWrite5m
		t.CacheWrite1h += o.CacheWrite1h
		t.Output += o.Output
		t.Reasoning += o.Reasoning
		t.Cost += o.Cost
	}
	return t
}

func usageHours(f *fixture) {
	f.begin()
	var ids ledger.IDs
	for i := range 6 { // 12:00, 12:30 ... 14:30
		f.write(sample(&ids, noon.Add(time.Duration(i)*30*time.Minute)))
	}
	for _, c := range []struct {
		since, until time.Duration
		want         int64
	}{{0, 3 * time.Hour, 6}, {0, time.Hour, 2}, {0, time.Hour + 1, 4}, {59 * time.Minute, 3 * time.Hour, 6}, {time.Hour, 3 * time.Hour, 4}, {3 * time.Hour, 9 * time.Hour, 0}} {
		rows, err := f.store.Usage(f.ctx, ledger.ByKey, noon.Add(c.since), noon.Add(c.until))
		f.must(err)
		var got int64
		for _, r := range rows {
			got += r.Tally.Requests
		}
		f.same(fmt.Sprintf("requests from %s to %s after noon", c.since, c.until), c.want, got)
	}
	// Over days, where sums of whole days take the place of hours.
	from := noon.AddDate(0, 1, 0)
	var at []time.Time
	for i := range 20 {
		at = append(at, from.Add(time.Duration(i)*5*time.Hour))
		f.write(sample(&ids, at[i]))
	}
	for since := -13 * time.Hour; since < 100*time.Hour; since += 9 * time.Hour {
		for _, long := range []time.Duration{time.Hour, 11 * time.Hour, 24 * time.Hour, 47 * time.Hour, 85 * time.Hour} {
			want := int64(0)
			for _, t := range at {
				if d := t.Sub(from); d >= since && d < since+long {
					want++
				}
			}
			rows, err := f.store.Usage(f.ctx, ledger.ByProvider, from.Add(since), from.Add(since+long))
			f.must(err)
			var got int64
			for _, r := range rows {
				got += r.Tally.Requests
			}
			f.same(fmt.Sprintf("requests of %s from %s on", long, since), want, got)
		}
	}
}

func runs(f *fixture) {
	var ids ledger.IDs
	first, second, third, fourth := ids.New(noon), ids.New(noon), ids.New(noon), ids.New(noon)
	begin := func(id ledger.ID) []ledger.Run {
		f.Helper()
		killed, err := f.store.Begin(f.ctx, ledger.Run{ID: id, Written: noon})
		f.must(err)
		return killed
	}
	f.same("runs before the first", 0, len(begin(first)))
	later := noon.Add(90 * time.Second)
	f.must(f.store.WriteBatch(f.ctx, &ledger.Batch{Run: first, N: 1, At: later, Entries: []ledger.Entry{sample(&ids, noon)}}))
	f.same("a killed run and when it last wrote", []ledger.Run{{ID: first, Written: later}}, begin(second))
	f.must(f.store.End(f.ctx, second, later))
	f.same("a clean stop", 0, len(begin(third)))
	f.same("a run that is begun twice", 0, len(begin(third)))
	f.same("told once", []ledger.Run{{ID: third, Written: noon}}, begin(fourth))
}

func twoProcesses(f *fixture) {
	f.begin()
	other := f.again()
	var ids ledger.IDs
	a := sample(&ids, noon)
	f.write(a)
	got, ok, err := other.Request(f.ctx, a.ID)
	f.must(err)
	f.same("seen by the other", true, ok && got.Asked == "smart")
	run := ids.New(noon)
	_, err = other.Begin(f.ctx, ledger.Run{ID: run, Written: noon})
	f.must(err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range int64(20) {
			e := sample(&ids, noon)
			e.Asked = fmt.Sprint("word ", n)
			f.ok(other.WriteBatch(f.ctx, &ledger.Batch{Run: run, N: n + 1, At: noon, Entries: []ledger.Entry{e}}))
		}
	})
	for n := range 20 {
		e := sample(&ids, noon)
		e.Asked = fmt.Sprint("word ", n)
		f.write(e)
	}
	wg.Wait()
	all := f.recent(ledger.Filter{After: -1, Limit: 1000})
	f.same("entries of both", 41, len(all))
	seqs := map[int64]bool{}
	for _, e := range all {
		seqs[e.Seq] = true
	}
	f.same("places of both", 41, len(seqs))
}

func cancelled(f *fixture) {
	f.begin()
	var ids ledger.IDs
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for name, err := range map[string]error{
		"Keys":        second(f.store.Keys(ctx)),
		"PutKey":      f.store.PutKey(ctx, newKey(1)),
		"KeysVersion": second(f.store.KeysVersion(ctx)),
		"WriteBatch":  f.store.WriteBatch(ctx, f.batch([]ledger.Entry{sample(&ids, noon)})),
		"Recent":      second(f.store.Recent(ctx, ledger.Filter{})),
		"Usage":       second(f.store.Usage(ctx, ledger.ByDay, noon, noon)),
		"Budgets":     second(f.store.Budgets(ctx)),
		"PutBudget":   f.store.PutBudget(ctx, budgetOf("x", 1)),
		"Lease":       second(f.store.Lease(ctx, 1, []budget.Ask{{Slot: slotOf("x"), Limit: 1, Take: 1}})),
		"PutSealed":   f.store.PutSealed(ctx, []recall.Sealed{row(1)}, nil),
		"Sealed":      third(f.store.Sealed(ctx, row(1).SealedID, noon)),
		"LastSealed":  lastErr(f.store.LastSealed(ctx, recall.KindTurn, noon)),
		"DropSealed":  second(f.store.DropSealed(ctx, row(1).SealedID, noon)),
		"SweepSealed": second(f.store.SweepSealed(ctx, noon)),
	} {
		if !errors.Is(err, context.Canceled) {
			f.Errorf("%s with a context that is over: %v", name, err)
		}
	}
	f.same("entries", 0, len(f.recent(ledger.Filter{})))
	f.same("sealed rows", 0, len(f.lastSealed(recall.KindTurn, noon)))
}

func second[T any](_ T, err error) error { return err }

func wholeLedger(f *fixture) {
	price := func(_, model string, u llm.Usage, _ time.Time) (llm.Nanodollars, bool) {
		return llm.Nanodollars(u.Output), model != "unknown"
	}
	l := ledger.New(f.store, ledger.Options{Price: price, Every: 10 * time.Millisecond, BatchRows: 50})
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var wg sync.WaitGroup
	const each = 250
	for range 4 {
		wg.Go(func() {
			for range each {
				at := time.Now()
				e := sample(&ledger.IDs{}, at)
				e.ID = l.NewID(at)
				l.Note(e)
				if got, ok, err := l.Request(ctx, e.ID); err != nil || !ok || !got.Priced || got.Cost != 50 {
					f.Errorf("just noted: %v, %v, priced %v, cost %d", ok, err, got.Priced, got.Cost)
					return
				}
			}
		})
	}
	wg.Wait()
	cancel()
	f.must(<-done)
	s := l.Stats()
	if s.Written != 4*each || s.Waiting != 0 || s.Lost != 0 || s.Taken != 0 {
		f.Errorf("%+v", s)
	}
	f.same("tally", ledger.Tally{Requests: 4 * each, Attempts: 8 * each, Cost: 4 * each * 50}, f.total())
	killed, err := f.store.Begin(f.ctx, ledger.Run{ID: 1, Written: noon})
	f.must(err)
	f.same("runs that were killed", 0, len(killed))
}
