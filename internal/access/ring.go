package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"headrace/internal/llm"
)

// Spec is what an operator says about a new key; see [Key] for the fields.
type Spec struct {
	Name, Team string
	Admin      bool
	// Expires is when the key ends; zero means never.
	Expires time.Time
	Models  []string
	Limits  Limits
	// Priority and MayRaise are as in [Key].
	Priority string
	MayRaise bool
}

// Ring makes and ends keys in a Store. It is a value without state of its
// own, safe for concurrent use. Directories in this and other processes see
// what it does at their next poll.
type Ring struct{ Store Store }

// Create makes a key and returns the token, which nobody can see again.
func (r Ring) Create(ctx context.Context, s Spec, now time.Time) (llm.Secret, Key, error) {
	token, k, err := fresh(s, now)
	if err != nil {
		return "", Key{}, err
	}
	if err := r.Store.PutKey(ctx, k); err != nil {
		return "", Key{}, fmt.Errorf("store key %s: %w", k.ID, err)
	}
	return token, k, nil
}

// Find returns the key with this ID; an unknown one is an *llm.Error of class
// NotFound.
func (r Ring) Find(ctx context.Context, id string) (Key, error) {
	keys, err := r.Store.Keys(ctx)
	if err != nil {
		return Key{}, fmt.Errorf("read keys: %w", err)
	}
	for _, k := range keys {
		if k.ID == id {
			return k, nil
		}
	}
	return Key{}, llm.Errorf(llm.NotFound, "there is no key %q", id)
}

// Change sets what a key may do and is called; the token and its kind stay. A key
// that has ended cannot be changed: that is an *llm.Error InvalidRequest.
func (r Ring) Change(ctx context.Context, id string, s Spec, now time.Time) (Key, error) {
	k, err := r.Find(ctx, id)
	if err != nil {
		return k, err
	}
	if state := k.State(now); state != "active" {
		return Key{}, llm.Errorf(llm.InvalidRequest, "key %s is %s", id, state)
	}
	k.Name, k.Team, k.Expires, k.Models, k.Limits, k.Priority, k.MayRaise = s.Name, s.Team, stamp(s.Expires), s.Models, s.Limits, s.Priority, s.MayRaise
	if err := s.check(); err != nil {
		return Key{}, err
	}
	if err := r.Store.PutKey(ctx, k); err != nil {
		return Key{}, fmt.Errorf("change key %s: %w", id, err)
	}
	return k, nil
}

// Revoke ends a key for ever. Revoking a revoked key changes nothing.
func (r Ring) Revoke(ctx context.Context, id string, now time.Time) (Key, error) {
	k, err := r.Find(ctx, id)
	if err != nil || !k.Revoked.IsZero() {
		return k, err
	}
	k.Revoked = stamp(now)
	if err := r.Store.PutKey(ctx, k); err != nil {
		return Key{}, fmt.Errorf("revoke key %s: %w", id, err)
	}
	return k, nil
}

// Rotate makes a new key with the rights of an old one and lets the old one
// end after overlap, or earlier if it would have. The new key keeps the old
// one's expiry. A key that has ended cannot be rotated, and a key is rotated
// once: its heir is what to rotate next. Both are *llm.Error InvalidRequest.
func (r Ring) Rotate(ctx context.Context, id string, overlap time.Duration, now time.Time) (llm.Secret, Key, error) {
	old, err := r.Find(ctx, id)
	if err != nil {
		return "", Key{}, err
	}
	if state := old.State(now); state != "active" {
		return "", Key{}, llm.Errorf(llm.InvalidRequest, "key %s is %s and cannot be rotated", id, state)
	}
	if old.RotatedTo != "" {
		return "", Key{}, llm.Errorf(llm.InvalidRequest, "key %s was rotated to %s already", id, old.RotatedTo)
	}
	if overlap < 0 {
		return "", Key{}, llm.Errorf(llm.InvalidRequest, "the overlap must not be negative")
	}
	token, heir, err := fresh(Spec{Name: old.Name, Team: old.Team, Admin: old.Admin, Expires: old.Expires,
		Models: old.Models, Limits: old.Limits, Priority: old.Priority, MayRaise: old.MayRaise}, now)
	if err != nil {
		return "", Key{}, err
	}
	// The heir first: dying in between leaves two good keys, not none.
	if err := r.Store.PutKey(ctx, heir); err != nil {
		return "", Key{}, fmt.Errorf("store key %s: %w", heir.ID, err)
	}
	end := stamp(now.Add(overlap))
	if old.Expires.IsZero() || end.Before(old.Expires) {
		old.Expires = end
	}
	old.RotatedTo = heir.ID
	if err := r.Store.PutKey(ctx, old); err != nil {
		return "", Key{}, fmt.Errorf("end key %s after its rotation to %s: %w", id, heir.ID, err)
	}
	return token, heir, nil
}

// Import stores a token that the operator chose (HEADRACE_KEY,
// HEADRACE_ADMIN_TOKEN) and returns its key; made is false when it was there
// already. Refused, as *llm.Error InvalidRequest that never shows the token:
// one of fewer than 32 or more than 512 characters, one with spaces or control
// characters, one that was made here as a token of the other kind, one that is
// stored as a key of the other kind, and one that was revoked. A token that only
// begins as ours do is as good as any other.
func (r Ring) Import(ctx context.Context, token llm.Secret, s Spec, now time.Time) (k Key, made bool, err error) {
	t := token.Reveal()
	if err := checkPreset(t, s.Admin); err != nil {
		return Key{}, false, err
	}
	hash := Hash(t)
	if k, ok, err := r.byHash(ctx, hash); err != nil || ok {
		return preset(k, s.Admin, err)
	}
	k = Key{ID: "key_" + hex.EncodeToString(hash[:8]), Name: cmp.Or(s.Name, "preset"), Team: s.Team, Admin: s.Admin,
		Hash: hash, Prefix: t[:shown], Created: stamp(now), Expires: stamp(s.Expires), Models: s.Models, Limits: s.Limits, Priority: s.Priority, MayRaise: s.MayRaise}
	if err := r.Store.PutKey(ctx, k); err != nil {
		return Key{}, false, fmt.Errorf("store the preset key: %w", err)
	}
	return k, true, nil
}

// preset judges a preset token whose key is stored already.
func preset(k Key, admin bool, err error) (Key, bool, error) {
	switch {
	case err != nil:
		return Key{}, false, err
	case k.Admin != admin:
		return Key{}, false, llm.Errorf(llm.InvalidRequest,
			"one token cannot be both a key and an admin token; choose two")
	case !k.Revoked.IsZero():
		return Key{}, false, llm.Errorf(llm.InvalidRequest,
			"this token is key %s, which was revoked on %s; choose another", k.ID, k.Revoked.UTC().Format(time.DateTime))
	}
	return k, false, nil
}

func (r Ring) byHash(ctx context.Context, hash [32]byte) (Key, bool, error) {
	keys, err := r.Store.Keys(ctx)
	if err != nil {
		return Key{}, false, fmt.Errorf("read keys: %w", err)
	}
	for _, k := range keys {
		if k.Hash == hash {
			return k, true, nil
		}
	}
	return Key{}, false, nil
}

func checkPreset(t string, admin bool) error {
	if n := len(t); n < minPreset || n > maxToken {
		return llm.Errorf(llm.InvalidRequest, "a preset token has %d to %d characters, this one has %d", minPreset, maxToken, n)
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] > '~' {
			return llm.Errorf(llm.InvalidRequest, "a preset token is printable ASCII without spaces; character %d is not", i+1)
		}
	}
	switch {
	case Ours(t) && admin:
		return llm.Errorf(llm.InvalidRequest, "this is a key, not an admin token (those begin with %q)", adminPrefix)
	case OursAdmin(t) && !admin:
		return llm.Errorf(llm.InvalidRequest, "this is an admin token, not a key (those begin with %q)", dataPrefix)
	}
	return nil
}

func fresh(s Spec, now time.Time) (llm.Secret, Key, error) {
	if !s.Expires.IsZero() && !s.Expires.After(now) {
		return "", Key{}, llm.Errorf(llm.InvalidRequest, "the key would have expired already")
	}
	if err := s.check(); err != nil {
		return "", Key{}, err
	}
	mint := NewToken
	if s.Admin {
		mint = NewAdminToken
	}
	token, hash, prefix := mint()
	var id [8]byte
	rand.Read(id[:])
	return token, Key{ID: "key_" + hex.EncodeToString(id[:]), Name: s.Name, Team: s.Team, Admin: s.Admin, Hash: hash,
		Prefix: prefix, Created: stamp(now), Expires: stamp(s.Expires), Models: s.Models, Limits: s.Limits, Priority: s.Priority, MayRaise: s.MayRaise}, nil
}

// check refuses what no key can be.
func (s *Spec) check() error {
	if l := s.Limits; l.RequestsPerMinute < 0 || l.TokensPerMinute < 0 || l.Parallel < 0 {
		return llm.Errorf(llm.InvalidRequest, "a limit must not be negative")
	}
	for _, m := range s.Models {
		if m == "" {
			return llm.Errorf(llm.InvalidRequest, "a model pattern must not be empty")
		}
	}
	if s.Priority != "" && !slices.Contains(Priorities, s.Priority) {
		return llm.Errorf(llm.InvalidRequest, "a priority is interactive, standard or batch")
	}
	return nil
}

// stamp cuts a time to what stores keep.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}
