// Package access knows who is calling: virtual keys, the tokens that prove
// them, and the Principal that a token stands for. Tokens are never stored;
// a store holds their SHA-256. A check on the request path touches memory
// only: the Directory holds a snapshot of all keys and follows the store from
// outside the request path.
package access

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Key is one virtual key as it is stored. The token itself is not in it.
// Times are kept to the millisecond.
type Key struct {
	// ID names the key for ever, such as "key_3f9c0a...". It is no secret.
	ID string
	// Name and Team are the operator's words; both may be empty.
	Name, Team string
	// Admin keys open the admin routes and nothing else; all other keys open
	// the data routes and nothing else.
	Admin bool
	// Hash is the SHA-256 of the whole token. It is unique among keys.
	Hash [32]byte
	// Prefix is the first 7 characters of the token, to recognise it by.
	Prefix string
	// Created, Expires and Revoked are zero when they do not apply. A key is
	// refused from Expires on, and always once Revoked is set.
	Created, Expires, Revoked time.Time
	// Models are the patterns of what may be asked for; see
	// [Principal.MayUse]. Empty means everything.
	Models []string
	// Limits are the rates of this key; the zero value has none.
	Limits Limits
	// Priority is what its requests have when too much is asked for, one of
	// Priorities; empty is what its team has. They may say less, and more only with
	// MayRaise.
	Priority string
	MayRaise bool
	// RotatedTo is the ID of the key that replaces this one, or empty.
	RotatedTo string
}

// State says what a key is worth at a time: "active", "expired" or "revoked".
func (k *Key) State(now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked"
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return "expired"
	}
	return "active"
}

// Priorities are what a request can have, the first one first.
var Priorities = []string{"interactive", "standard", "batch"}

// Limits are the rates of a key. Zero means no limit.
type Limits struct {
	RequestsPerMinute, TokensPerMinute int64
	// Parallel is how many requests may run at once.
	Parallel int
}

// Principal is who is calling: what a valid token stands for. Its slices are
// shared and must not be written to.
type Principal struct {
	KeyID, Name, Team string
	Models            []string
	Limits            Limits
	Priority          string
	MayRaise          bool
	// Admin is set for admin tokens, which open no data route.
	Admin bool
}

// MayUse reports whether the principal may send a request, which asked for
// the name asked, to model at provider. No patterns at all allow everything.
// A pattern is compared case by case exactly:
//
//	"*"               everything
//	"provider/*"      every model of that provider
//	"provider/model"  that model at that provider, however it was asked for
//	"name"            what was asked for (a route, a bare model id, auto), or
//	                  a model of that id at any provider
//
// A pattern with a slash is never compared with asked or with a bare model
// id: an aggregator that sells "anthropic/claude-x" under its own roof is not
// what the pattern "anthropic/claude-x" allows. Write
// "openrouter/anthropic/claude-x" for that. Raw passes have no model; only
// "*" and "provider/*" allow them.
func (p *Principal) MayUse(provider, model, asked string) bool {
	if len(p.Models) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Models, func(pattern string) bool {
		if pattern == "*" {
			return true
		}
		of, rest, slash := strings.Cut(pattern, "/")
		if slash {
			return of != "" && of == provider && (rest == "*" || rest != "" && rest == model)
		}
		return pattern != "" && (pattern == asked || pattern == model)
	})
}

// Store keeps keys. Implementations are safe for concurrent use and by
// several processes at once.
type Store interface {
	// Keys returns every key, revoked and expired ones too, oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// PutKey adds a key or replaces the one with its ID, and raises the
	// version. Revocation is final: a Revoked time that is stored stays,
	// whatever is put later, so a stale copy cannot bring a key back. A Hash
	// that another ID has is an error. Hash, Admin and Created of a key that
	// is there never change.
	PutKey(ctx context.Context, k Key) error
	// KeysVersion returns a number that rises with every PutKey, by whatever
	// process. It is cheap.
	KeysVersion(ctx context.Context) (int64, error)
}
