// Package vault knows what an operator entrusts to the store: credentials of
// providers and past configurations, sealed.
package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"headrace/internal/llm"
)

// Credential is a key of a provider as it is stored.
type Credential struct {
	Provider, Name string
	// Last are the last four characters of the key, to recognise it by.
	Last string
	// Added is when and By whom it was put here.
	Added time.Time
	By    string
	// Sealed is the key.
	Sealed []byte
}

// Version is a configuration that was in force.
type Version struct {
	// ID rises with time.
	ID int64
	At time.Time
	By string
	// Why says how it came into force.
	Why string
	// Sum is the SHA-256 of the text, in hex.
	Sum string
	// Sealed is the text; lists leave it out.
	Sealed []byte
}

// Store keeps both. Implementations are safe for concurrent use and by several
// processes at once.
type Store interface {
	// Credentials lists all, by provider and time.
	Credentials(ctx context.Context) ([]Credential, error)
	// PutCredential adds one; false says that the provider has one of that name.
	PutCredential(ctx context.Context, c Credential) (bool, error)
	// DropCredential removes one; false says that there is none.
	DropCredential(ctx context.Context, provider, name string) (bool, error)
	// PutVersion adds a configuration and gives its ID; it drops the oldest ones
	// beyond keep.
	PutVersion(ctx context.Context, v Version, keep int) (int64, error)
	// Versions lists those below before (0: all), the latest first, without texts.
	Versions(ctx context.Context, before int64, limit int) ([]Version, error)
	// Version reads one.
	Version(ctx context.Context, id int64) (Version, bool, error)
}

// Sealer encrypts; label binds a text to what it is.
type Sealer interface {
	Close(label string, plain []byte) []byte
	Open(label string, sealed []byte) ([]byte, error)
}

// Vault seals and opens. Safe for concurrent use.
type Vault struct {
	Store Store
	Seal  Sealer
}

// Key is a credential that can be used.
type Key struct {
	Provider, Name string
	Key            llm.Secret
}

// The bounds of what is taken.
const (
	maxKey = 8 << 10
	// keepVersions is how many configurations are kept.
	keepVersions = 200
)

var name = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func credentialLabel(provider, name string) string {
	return "credential " + strconv.Quote(provider) + " " + strconv.Quote(name)
}

// Add seals a key of a provider. A wrong name or key, or a name that is taken, is
// an *llm.Error of InvalidRequest; the key is in no error.
func (v *Vault) Add(ctx context.Context, k Key, by string, now time.Time) (Credential, error) {
	text := []byte(k.Key.Reveal())
	switch {
	case !name.MatchString(k.Name):
		return Credential{}, llm.Errorf(llm.InvalidRequest, "the name of a credential is 1 to 64 letters, digits and . _ -")
	case len(text) < 8 || len(text) > maxKey || bytes.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return Credential{}, llm.Errorf(llm.InvalidRequest, "a key is 8 to %d visible characters without spaces", maxKey)
	}
	c := Credential{Provider: k.Provider, Name: k.Name, Last: string(text[len(text)-4:]), Added: now.UTC().Truncate(time.Millisecond), By: by,
		Sealed: v.Seal.Close(credentialLabel(k.Provider, k.Name), text)}
	added, err := v.Store.PutCredential(ctx, c)
	switch {
	case err != nil:
		return Credential{}, fmt.Errorf("keep a credential of %s: %w", k.Provider, err)
	case !added:
		return Credential{}, llm.Errorf(llm.InvalidRequest, "%s has a credential %q already: remove it first", k.Provider, k.Name)
	}
	c.Sealed = nil
	return c, nil
}

// Keys opens all credentials. One that cannot be opened is told of in broken and
// left out: it is loud, and the others work.
func (v *Vault) Keys(ctx context.Context) (keys []Key, broken []error, err error) {
	all, err := v.Store.Credentials(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the credentials: %w", err)
	}
	for _, c := range all {
		text, err := v.Seal.Open(credentialLabel(c.Provider, c.Name), c.Sealed)
		if err != nil {
			broken = append(broken, fmt.Errorf("credential %q of %s: %w", c.Name, c.Provider, err))
			continue
		}
		keys = append(keys, Key{c.Provider, c.Name, llm.Secret(text)})
	}
	return keys, broken, nil
}

func versionLabel(sum string) string { return "configuration " + sum }

// Sum names a text.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Keep seals a configuration that is in force now, unless the last one that was
// kept says the same.
func (v *Vault) Keep(ctx context.Context, text []byte, by, why string, now time.Time) error {
	sum := Sum(text)
	last, err := v.Store.Versions(ctx, 0, 1)
	if err != nil {
		return fmt.Errorf("read past configurations: %w", err)
	}
	if len(last) > 0 && last[0].Sum == sum {
		return nil
	}
	_, err = v.Store.PutVersion(ctx, Version{At: now, By: by, Why: why, Sum: sum, Sealed: v.Seal.Close(versionLabel(sum), text)}, keepVersions)
	if err != nil {
		return fmt.Errorf("keep the configuration: %w", err)
	}
	return nil
}

// Text opens a configuration; an unknown one is an *llm.Error of NotFound.
func (v *Vault) Text(ctx context.Context, id int64) (Version, []byte, error) {
	one, ok, err := v.Store.Version(ctx, id)
	switch {
	case err != nil:
		return one, nil, fmt.Errorf("read configuration %d: %w", id, err)
	case !ok:
		return one, nil, llm.Errorf(llm.NotFound, "there is no past configuration %d", id)
	}
	text, err := v.Seal.Open(versionLabel(one.Sum), one.Sealed)
	if err != nil {
		return one, nil, fmt.Errorf("open configuration %d: %w", id, err)
	}
	one.Sealed = nil
	return one, text, nil
}
