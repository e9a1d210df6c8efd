package access

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"headrace/internal/llm"
)

// PollEvery is how often Watch asks the store for a new version: a key that
// another process revokes is refused here within that time and one read.
const PollEvery = 500 * time.Millisecond

// readFor bounds one conversation with the store.
const readFor = 2 * time.Second

// Directory answers on the request path who a token belongs to. It holds all
// keys in memory and swaps them whole; while the store is down, the keys it
// knows go on working. Safe for concurrent use.
type Directory struct {
	store Store
	log   *slog.Logger
	now   atomic.Pointer[snapshot]
	// stale is set while the store cannot be read: a key we do not know may
	// be a new one.
	stale atomic.Bool
}

// snapshot is all keys at one version; nobody writes to it.
type snapshot struct {
	version int64
	byHash  map[[32]byte]*entry
	byID    map[string]*entry
}

type entry struct {
	who     Principal
	expires time.Time
	revoked bool
}

// NewDirectory makes an empty directory; until the first Reload every
// well-formed token is answered with Unavailable. A nil log is silent.
func NewDirectory(store Store, log *slog.Logger) *Directory {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{store: store, log: log}
	d.stale.Store(true)
	return d
}

// Check returns who a data token belongs to. Otherwise the error is an
// *llm.Error: Unauthenticated for a token that is missing, mistyped, unknown,
// expired, revoked or of an admin; Unavailable for an unknown one while the
// store cannot be read. The token is in no error.
func (d *Directory) Check(token string, now time.Time) (Principal, error) {
	return d.check(token, now, false)
}

// CheckAdmin is [Directory.Check] for the admin routes, which no data token
// opens.
func (d *Directory) CheckAdmin(token string, now time.Time) (Principal, error) {
	return d.check(token, now, true)
}

func (d *Directory) check(token string, now time.Time, admin bool) (Principal, error) {
	switch {
	case token == "":
		return Principal{}, llm.Errorf(llm.Unauthenticated,
			"no key was sent: use Authorization: Bearer or x-api-key")
	case len(token) < minPreset || len(token) > maxToken:
		if mistyped(token) {
			return Principal{}, llm.Errorf(llm.Unauthenticated, "the key is mistyped or cut: its checksum is wrong")
		}
		return Principal{}, llm.Errorf(llm.Unauthenticated, "this is no key of this gateway")
	}
	var e *entry
	if s := d.now.Load(); s != nil {
		e = s.byHash[Hash(token)]
	}
	switch {
	case e == nil && mistyped(token): // and not what an operator chose to look like one of ours
		return Principal{}, llm.Errorf(llm.Unauthenticated, "the key is mistyped or cut: its checksum is wrong")
	case e == nil && d.stale.Load():
		return Principal{}, llm.Errorf(llm.Unavailable, "keys cannot be read now; this one is not known yet")
	}
	return e.check(now, admin)
}

// Principal returns who a data key's ID belongs to, as Check does for a token:
// for what is done later on behalf of a key.
func (d *Directory) Principal(id string, now time.Time) (Principal, error) {
	var e *entry
	if s := d.now.Load(); s != nil {
		e = s.byID[id]
	}
	if e == nil && d.stale.Load() {
		return Principal{}, llm.Errorf(llm.Unavailable, "keys cannot be read now; %s is not known yet", id)
	}
	return e.check(now, false)
}

// AdminPrincipal is [Directory.Principal] for an admin key.
func (d *Directory) AdminPrincipal(id string, now time.Time) (Principal, error) {
	var e *entry
	if s := d.now.Load(); s != nil {
		e = s.byID[id]
	}
	if e == nil && d.stale.Load() {
		return Principal{}, llm.Errorf(llm.Unavailable, "keys cannot be read now; %s is not known yet", id)
	}
	return e.check(now, true)
}

// check says what the key is worth now; nil is none that is known.
func (e *entry) check(now time.Time, admin bool) (Principal, error) {
	switch {
	case e == nil:
		return Principal{}, llm.Errorf(llm.Unauthenticated, "this key is not known")
	case e.revoked:
		return Principal{}, llm.Errorf(llm.Unauthenticated, "key %s was revoked", e.who.KeyID)
	case !e.expires.IsZero() && !now.Before(e.expires):
		return Principal{}, llm.Errorf(llm.Unauthenticated, "key %s expired on %s", e.who.KeyID,
			e.expires.UTC().Format(time.DateTime))
	case e.who.Admin && !admin:
		return Principal{}, llm.Errorf(llm.Unauthenticated, "an admin token opens no data route: use a key")
	case !e.who.Admin && admin:
		return Principal{}, llm.Errorf(llm.Unauthenticated, "a key opens no admin route: use the admin token")
	}
	return e.who, nil
}

// Len is how many keys are known, ended ones too.
func (d *Directory) Len() int {
	if s := d.now.Load(); s != nil {
		return len(s.byHash)
	}
	return 0
}

// Stale reports whether the store could not be read the last time.
func (d *Directory) Stale() bool { return d.stale.Load() }

// Reload reads all keys. On an error the keys stay what they were.
func (d *Directory) Reload(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readFor)
	defer cancel()
	// The version first: a change in between is then seen again, not missed.
	version, err := d.store.KeysVersion(ctx)
	if err == nil {
		err = d.read(ctx, version)
	}
	d.stale.Store(err != nil)
	return err
}

func (d *Directory) read(ctx context.Context, version int64) error {
	keys, err := d.store.Keys(ctx)
	if err != nil {
		return err
	}
	s := &snapshot{version: version, byHash: make(map[[32]byte]*entry, len(keys)), byID: make(map[string]*entry, len(keys))}
	for _, k := range keys {
		e := &entry{expires: k.Expires, revoked: !k.Revoked.IsZero(),
			who: Principal{KeyID: k.ID, Name: k.Name, Team: k.Team, Models: k.Models, Limits: k.Limits, Priority: k.Priority, MayRaise: k.MayRaise, Admin: k.Admin}}
		s.byHash[k.Hash], s.byID[k.ID] = e, e
	}
	d.now.Store(s)
	return nil
}

// Watch follows the store until ctx ends. The caller owns the goroutine it
// runs in. Failures are logged when they begin and when they end.
func (d *Directory) Watch(ctx context.Context) {
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		was := d.stale.Load()
		err := d.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !was:
			d.log.Error("keys cannot be read: known keys go on, unknown ones get 503", "error", err)
		case err == nil && was:
			d.log.Info("keys can be read again", "keys", d.Len())
		}
	}
}

func (d *Directory) poll(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, readFor)
	defer cancel()
	version, err := d.store.KeysVersion(ctx)
	if s := d.now.Load(); err == nil && (s == nil || s.version != version) {
		err = d.read(ctx, version)
	}
	// A poll that our own stop cut short says nothing about the store.
	if parent.Err() == nil {
		d.stale.Store(err != nil)
	}
	return err
}
