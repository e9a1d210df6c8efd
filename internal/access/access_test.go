package access_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// shelf is a Store in memory that can be told to fail.
type shelf struct {
	mu      sync.Mutex // guards all below
	keys    []access.Key
	version int64
	down    error
	reads   int
}

func (s *shelf) Keys(context.Context) ([]access.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return slices.Clone(s.keys), s.down
}

func (s *shelf) PutKey(_ context.Context, k access.Key) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
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
	return s.version, s.down
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func class(err error) llm.Class {
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e.Class
	}
	return ""
}

func TestTokenShape(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]bool{}
	for range 2000 {
		token, hash, prefix := access.NewToken()
		s := token.Reveal()
		if len(s) != 52 || !strings.HasPrefix(s, "hr-") || prefix != s[:7] || hash != access.Hash(s) {
			t.Fatalf("token of %d characters, prefix %q, hash fits: %v", len(s), prefix, hash == access.Hash(s))
		}
		if !access.Ours(s) || access.OursAdmin(s) {
			t.Fatal("a new data token is not taken for one")
		}
		if seen[hash] {
			t.Fatal("the same token twice")
		}
		seen[hash] = true
	}
	admin, _, _ := access.NewAdminToken()
	if a := admin.Reveal(); !access.OursAdmin(a) || access.Ours(a) || !strings.HasPrefix(a, "hra-") {
		t.Error("a new admin token is not taken for one")
	}
}

// Every slip of one character, every swap of neighbours and every cut must be
// seen by the checksum alone.
func TestTypoIsSeen(t *testing.T) {
	t.Parallel()
	token, _, _ := access.NewToken()
	s := token.Reveal()
	bad := func(v string) {
		t.Helper()
		if v != s && access.Ours(v) {
			t.Errorf("the typo at distance one passes: lengths %d and %d", len(s), len(v))
		}
	}
	for i := range len(s) {
		for _, c := range []byte("0aZ-_ \x00\xff") {
			bad(s[:i] + string([]byte{c}) + s[i+1:])
		}
		bad(s[:i] + s[i+1:])
		bad(s[:i])
		bad(s[:i] + "x" + s[i:])
		if i > 0 {
			bad(s[:i-1] + string([]byte{s[i], s[i-1]}) + s[i+1:])
		}
	}
	bad(strings.ToLower(s))
	bad(s + "\n")
}

func TestMayUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		patterns               string
		provider, model, asked string
		want                   bool
	}{
		{"", "openai", "gpt-5.5", "gpt-5.5", true},
		{"*", "openai", "gpt-5.5", "smart", true},
		{"smart", "anthropic", "claude-opus-5-5", "smart", true},
		{"smart", "anthropic", "claude-opus-5-5", "Smart", false},
		{"smart", "anthropic", "claude-opus-5-5", "claude-opus-5-5", false},
		{"smart,fast", "x", "y", "fast", true},
		{"anthropic/*", "anthropic", "claude-opus-5-5", "smart", true},
		{"anthropic/*", "anthropic", "", "", true},
		{"anthropic/*", "openai", "gpt-5.5", "smart", false},
		{"anthropic/*", "Anthropic", "m", "m", false},
		{"anthropic/*", "anthropic-eu", "m", "m", false},
		{"anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5", "smart", true},
		{"anthropic/claude-opus-5-5", "anthropic", "claude-opus-5-5-mini", "smart", false},
		{"anthropic/claude-opus-5-5", "openrouter", "anthropic/claude-opus-5-5", "anthropic/claude-opus-5-5", false},
		{"openrouter/anthropic/claude-x", "openrouter", "anthropic/claude-x", "smart", true},
		{"openrouter/*", "openrouter", "anthropic/claude-x", "x", true},
		{"gpt-5.5", "openai", "gpt-5.5", "smart", true},
		{"gpt-5.5", "azure", "gpt-5.5", "gpt-5.5", true},
		{"gpt-5.5", "openai", "GPT-5.5", "smart", false},
		{"gpt-5.5", "openai", "", "", false},
		{"anthropic/", "anthropic", "", "", false},
		{"/x", "", "x", "x", false},
		{"gpt-*", "openai", "gpt-5.5", "gpt-5.5", false},
	} {
		p := access.Principal{}
		if c.patterns != "" {
			p.Models = strings.Split(c.patterns, ",")
		}
		if got := p.MayUse(c.provider, c.model, c.asked); got != c.want {
			t.Errorf("patterns %q: %s/%s asked for as %q gives %v", c.patterns, c.provider, c.model, c.asked, got)
		}
	}
	if p := (access.Principal{Models: []string{""}}); p.MayUse("", "", "") {
		t.Error("an empty pattern allows an empty name")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	store := &shelf{}
	ring, dir := access.Ring{Store: store}, access.NewDirectory(store, nil)

	good, key, err := ring.Create(ctx, access.Spec{Name: "ci", Team: "core", Models: []string{"smart"}, Expires: now.Add(time.Hour),
		Limits: access.Limits{RequestsPerMinute: 3}}, now)
	if err != nil {
		t.Fatal(err)
	}
	admin, _, err := ring.Create(ctx, access.Spec{Name: "root", Admin: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	gone, goneKey, err := ring.Create(ctx, access.Spec{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ring.Revoke(ctx, goneKey.ID, now); err != nil {
		t.Fatal(err)
	}
	const chosen = "a preset must have no spaces in it ...."
	if _, _, err := ring.Import(ctx, chosen, access.Spec{}, now); class(err) != llm.InvalidRequest {
		t.Errorf("a preset with spaces gives %v", err)
	}
	preset := llm.Secret("correct.horse.battery.staple.0123456789")
	if _, made, err := ring.Import(ctx, preset, access.Spec{}, now); err != nil || !made {
		t.Fatal(made, err)
	}

	if _, err := dir.Principal(goneKey.ID, now); class(err) != llm.Unavailable {
		t.Errorf("by id before the first reload: %v", err)
	}
	// Before the first reload nothing is known, and nobody is sent away.
	if _, err := dir.Check(good.Reveal(), now); class(err) != llm.Unavailable {
		t.Errorf("before the first reload: %v", err)
	}
	if err := dir.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	who, err := dir.Check(good.Reveal(), now)
	want := access.Principal{KeyID: key.ID, Name: "ci", Team: "core", Models: []string{"smart"}, Limits: access.Limits{RequestsPerMinute: 3}}
	if diff := cmp.Diff(want, who); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if who, err := dir.CheckAdmin(admin.Reveal(), now); err != nil || !who.Admin {
		t.Errorf("the admin token at the admin door: %+v, %v", who, err)
	}
	if _, err := dir.Check(preset.Reveal(), now); err != nil {
		t.Errorf("the preset token: %v", err)
	}

	if who, err := dir.Principal(key.ID, now); err != nil || cmp.Diff(want, who) != "" {
		t.Errorf("by id: %+v %v", who, err)
	}
	for id, at := range map[string]time.Time{goneKey.ID: now, "key_nobody": now, key.ID: now.Add(time.Hour)} {
		if who, err := dir.Principal(id, at); class(err) != llm.Unauthenticated || who.KeyID != "" {
			t.Errorf("%s by id: %+v %v", id, who, err)
		}
	}
	unknown, _, _ := access.NewToken()
	typo := []byte(good.Reveal())
	typo[20] ^= 1
	for name, c := range map[string]struct {
		check func(string, time.Time) (access.Principal, error)
		token string
		now   time.Time
		says  string
	}{
		"nothing":          {dir.Check, "", now, "no key was sent"},
		"short":            {dir.Check, "sk-123", now, "no key of this gateway"},
		"huge":             {dir.Check, strings.Repeat("x", 1<<20), now, "no key of this gateway"},
		"typo":             {dir.Check, string(typo), now, "checksum"},
		"cut":              {dir.Check, good.Reveal()[:20], now, "checksum"},
		"unknown":          {dir.Check, unknown.Reveal(), now, "not known"},
		"first 20 only":    {dir.Check, preset.Reveal()[:20] + strings.Repeat("z", 19), now, "not known"},
		"expired":          {dir.Check, good.Reveal(), now.Add(time.Hour), "expired"},
		"revoked":          {dir.Check, gone.Reveal(), now, "revoked"},
		"admin at data":    {dir.Check, admin.Reveal(), now, "opens no data route"},
		"data at admin":    {dir.CheckAdmin, good.Reveal(), now, "opens no admin route"},
		"preset at admin":  {dir.CheckAdmin, preset.Reveal(), now, "opens no admin route"},
		"unknown at admin": {dir.CheckAdmin, unknown.Reveal(), now, "not known"},
	} {
		who, err := c.check(c.token, c.now)
		if class(err) != llm.Unauthenticated || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want unauthenticated and %q", name, err, c.says)
		}
		if who.KeyID != "" {
			t.Errorf("%s: a principal came with the refusal", name)
		}
		if len(c.token) > 7 && err != nil && strings.Contains(err.Error(), c.token[3:]) {
			t.Errorf("%s: the token is in the error", name)
		}
	}
	if _, err := dir.Check(good.Reveal(), now.Add(time.Hour-1)); err != nil {
		t.Errorf("just before its end: %v", err)
	}
}

func TestImportAgain(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.UnixMilli(1764000000000).UTC()
	ring := access.Ring{Store: &shelf{}}
	data, _, _ := access.NewToken()
	admin, _, _ := access.NewAdminToken()
	plain := llm.Secret(strings.Repeat("k", 32))

	first, made, err := ring.Import(ctx, plain, access.Spec{Name: "first"}, now)
	if err != nil || !made {
		t.Fatal(made, err)
	}
	again, made, err := ring.Import(ctx, plain, access.Spec{Name: "other"}, now.Add(time.Hour))
	if diff := cmp.Diff(first, again); err != nil || made || diff != "" {
		t.Errorf("the second import: made %v, %v %s", made, err, diff)
	}
	for name, c := range map[string]struct {
		token llm.Secret
		admin bool
	}{
		"31 characters":         {plain[:31], false},
		"too long":              {llm.Secret(strings.Repeat("k", 513)), false},
		"newline":               {plain + "\n", false},
		"not ASCII":             {plain + "é", false},
		"data as admin":         {data, true},
		"admin as data":         {admin, false},
		"same token, two kinds": {plain, true},
	} {
		_, _, err := ring.Import(ctx, c.token, access.Spec{Admin: c.admin}, now)
		if class(err) != llm.InvalidRequest {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), c.token.Reveal()) {
			t.Errorf("%s: the token is in the error", name)
		}
	}
	if _, err := ring.Revoke(ctx, first.ID, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ring.Import(ctx, plain, access.Spec{}, now); class(err) != llm.InvalidRequest || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("a revoked token comes back: %v", err)
	}
}

// An operator may choose a token that begins as ours do, whatever follows.
func TestPresetLikeOurs(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.UnixMilli(1764000000000).UTC()
	store := &shelf{}
	ring, dir := access.Ring{Store: store}, access.NewDirectory(store, nil)
	data, _, _ := access.NewToken()
	for _, c := range []struct {
		token llm.Secret
		admin bool
	}{
		{"hr-local-test-key-0123456789abcdefghij", false},
		{"hra-local-test-key-0123456789abcdefghi", false},
		{"hr-admin-of-the-house-0123456789abcdef", true},
		{"hra-0123456789abcdef0123456789abcdef", true},
		{data[:50] + "..", false},
	} {
		if _, made, err := ring.Import(ctx, c.token, access.Spec{Admin: c.admin}, now); err != nil || !made {
			t.Errorf("%s: made %v, %v", c.token.Reveal(), made, err)
			continue
		}
		if err := dir.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		check := dir.Check
		if c.admin {
			check = dir.CheckAdmin
		}
		if _, err := check(c.token.Reveal(), now); err != nil {
			t.Errorf("%s: %v", c.token.Reveal(), err)
		}
		slip := c.token.Reveal()[:len(c.token)-1] + "_"
		if _, err := check(slip, now); class(err) != llm.Unauthenticated || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("%s: %v, want unauthenticated and a word on the checksum", slip, err)
		}
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	ctx, now := t.Context(), time.UnixMilli(1764000000000).UTC()
	store := &shelf{}
	ring, dir := access.Ring{Store: store}, access.NewDirectory(store, nil)
	old, key, err := ring.Create(ctx, access.Spec{Name: "bot", Team: "t", Models: []string{"a/*"}, Limits: access.Limits{Parallel: 2}}, now)
	if err != nil {
		t.Fatal(err)
	}
	next, heir, err := ring.Rotate(ctx, key.ID, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	if heir.Name != "bot" || heir.Team != "t" || heir.Limits != key.Limits || !slices.Equal(heir.Models, key.Models) || heir.Admin {
		t.Errorf("the heir has other rights: %+v", heir)
	}
	if err := dir.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token llm.Secret
		after time.Duration
		ok    bool
	}{{old, 0, true}, {next, 0, true}, {old, time.Hour - time.Millisecond, true}, {old, time.Hour, false}, {next, time.Hour, true}} {
		if _, err := dir.Check(c.token.Reveal(), now.Add(c.after)); (err == nil) != c.ok {
			t.Errorf("%s later: %v", c.after, err)
		}
	}
	if _, _, err := ring.Rotate(ctx, key.ID, time.Hour, now); class(err) != llm.InvalidRequest {
		t.Errorf("a second rotation of the same key: %v", err)
	}
	if _, _, err := ring.Rotate(ctx, "key_none", time.Hour, now); class(err) != llm.NotFound {
		t.Errorf("rotation of nothing: %v", err)
	}
	// An overlap never makes a key live longer than it would have.
	_, soon, err := ring.Create(ctx, access.Spec{Expires: now.Add(time.Minute)}, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ring.Rotate(ctx, soon.ID, time.Hour, now); err != nil {
		t.Fatal(err)
	}
	if k, err := ring.Find(ctx, soon.ID); err != nil || !k.Expires.Equal(now.Add(time.Minute)) {
		t.Errorf("expires %v, %v", k.Expires, err)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		store := &shelf{}
		var log bytes.Buffer
		ring, dir := access.Ring{Store: store}, access.NewDirectory(store, slog.New(slog.NewTextHandler(&log, nil)))
		known, key, err := ring.Create(ctx, access.Spec{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := dir.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); dir.Watch(ctx) }()
		wait := func() { time.Sleep(access.PollEvery + time.Millisecond); synctest.Wait() }
		ask := func(s llm.Secret) llm.Class { _, err := dir.Check(s.Reveal(), time.Now()); return class(err) }

		other, _, err := ring.Create(ctx, access.Spec{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(other); got != llm.Unauthenticated {
			t.Errorf("a new key before the poll: %q", got)
		}
		wait()
		if got := ask(other); got != "" {
			t.Errorf("a new key after the poll: %q", got)
		}
		reads := store.reads
		for range 10 {
			wait()
		}
		if store.reads != reads {
			t.Errorf("%d reads of all keys although nothing changed", store.reads-reads)
		}

		store.fail(errors.New("disk gone"))
		wait()
		unknown, _, _ := access.NewToken()
		if a, b := ask(known), ask(unknown); a != "" || b != llm.Unavailable {
			t.Errorf("while the store is down: known %q, unknown %q", a, b)
		}
		if got := ask(unknown[:40]); got != llm.Unauthenticated {
			t.Errorf("a typo while the store is down: %q", got)
		}
		for range 10 {
			wait()
		}
		store.fail(nil)
		if _, err := ring.Revoke(ctx, key.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		wait()
		if a, b := ask(known), ask(unknown); a != llm.Unauthenticated || b != llm.Unauthenticated {
			t.Errorf("after the store is back: revoked %q, unknown %q", a, b)
		}
		cancel()
		<-done
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 || !strings.Contains(log.String(), "read again") {
			t.Errorf("one outage gives one error and one end, not:\n%s", &log)
		}
		if strings.Contains(log.String(), known.Reveal()) {
			t.Error("a token is in the log")
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	ctx, now := b.Context(), time.Now()
	store := &shelf{}
	ring, dir := access.Ring{Store: store}, access.NewDirectory(store, nil)
	var tokens []string
	for i := range 1000 {
		token, _, err := ring.Create(ctx, access.Spec{Name: fmt.Sprint(i)}, now)
		if err != nil {
			b.Fatal(err)
		}
		tokens = append(tokens, token.Reveal())
	}
	if err := dir.Reload(ctx); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := dir.Check(tokens[i%len(tokens)], now); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
