package signon_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"headrace/internal/access"
	"headrace/internal/llm"
	"headrace/internal/signon"
)

// issuer is a small OpenID provider: it gives codes for whoever asks, checks the
// verifier as RFC 7636 says, and signs what the test wants to be claimed.
type issuer struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex // guards all below
	codes  map[string]url.Values
	claims map[string]any
	asked  url.Values
	// forge signs with another key.
	forge *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	tell := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		tell(w, map[string]any{"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		tell(w, map[string]any{"keys": []any{map[string]any{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())}}})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked = r.PostForm
		auth, ok := i.codes[r.PostForm.Get("code")]
		delete(i.codes, r.PostForm.Get("code"))
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != auth.Get("code_challenge") || auth.Get("code_challenge_method") != "S256" {
			w.WriteHeader(http.StatusBadRequest)
			tell(w, map[string]any{"error": "invalid_grant"})
			return
		}
		claims := map[string]any{"iss": i.URL, "aud": "headrace", "sub": "42", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": auth.Get("nonce"),
			"name": "Ada", "email": "ada@example.com", "groups": []string{"staff", "ai-admins"}}
		for name, v := range i.claims {
			claims[name] = v
		}
		signer := i.key
		if i.forge != nil {
			signer = i.forge
		}
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: signer, KeyID: "k"}}, nil)
		if err != nil {
			t.Error(err)
			return
		}
		text, err := json.Marshal(claims)
		if err != nil {
			t.Error(err)
			return
		}
		signed, err := s.Sign(text)
		if err != nil {
			t.Error(err)
			return
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Error(err)
			return
		}
		tell(w, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": raw})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// authorize is what a person does at the issuer: it gives state and code.
func (i *issuer) authorize(t *testing.T, to string) (state, code string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, i.URL+"/authorize?") {
		t.Fatalf("sent to %s, %v", to, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	code = "code-" + u.Query().Get("state")[:8]
	i.codes[code] = u.Query()
	return u.Query().Get("state"), code
}

func options(i *issuer) signon.Options {
	return signon.Options{Name: "Acme", Issuer: i.URL, ClientID: "headrace", ClientSecret: "secret", Return: "http://127.0.0.1:8080/admin/v1/session/oidc/callback",
		Scopes: []string{"profile", "email"}, Roles: map[string]access.Role{"ai-admins": access.RoleAdmin, "staff": access.RoleViewer, "owners": access.RoleOwner}}
}

func TestSignOn(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := signon.New(options(i))
	t.Cleanup(s.Close)
	to, cookie, err := s.Begin(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	q := must(t, to)
	for name, want := range map[string]string{"response_type": "code", "client_id": "headrace", "scope": "openid profile email", "code_challenge_method": "S256",
		"redirect_uri": "http://127.0.0.1:8080/admin/v1/session/oidc/callback"} {
		if q.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, q.Get(name), want)
		}
	}
	if strings.Contains(to, cookie) || len(q.Get("state")) != 64 || len(q.Get("nonce")) != 64 {
		t.Errorf("sent to %s", to)
	}
	state, code := i.authorize(t, to)
	who, err := s.Finish(t.Context(), state, cookie, code, time.Now())
	if want := (access.Identity{Issuer: i.URL, Subject: "42", Name: "Ada", Email: "ada@example.com", Role: access.RoleAdmin}); err != nil || who != want {
		t.Errorf("%+v, %v", who, err)
	}
	if _, err := s.Finish(t.Context(), state, cookie, code, time.Now()); err == nil {
		t.Error("a flow ends twice")
	}
}

func must(t *testing.T, to string) url.Values {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestRefused: whatever was not made for this browser, this gateway and this
// moment lets nobody in.
func TestRefused(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claims map[string]any
		forge  *rsa.PrivateKey
		edit   func(state, cookie, code *string)
		later  time.Duration
		class  llm.Class
	}{
		"another browser":       {edit: func(_, cookie, _ *string) { *cookie = strings.Repeat("0", 64) }, class: llm.Unauthenticated},
		"no cookie":             {edit: func(_, cookie, _ *string) { *cookie = "" }, class: llm.Unauthenticated},
		"another state":         {edit: func(state, _, _ *string) { *state = strings.Repeat("0", 64) }, class: llm.Unauthenticated},
		"a code of nobody":      {edit: func(_, _, code *string) { *code = "stolen" }, class: llm.Unauthenticated},
		"too late":              {later: 11 * time.Minute, class: llm.Unauthenticated},
		"an expired token":      {claims: map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}, class: llm.Unauthenticated},
		"another gateway":       {claims: map[string]any{"aud": "other"}, class: llm.Unauthenticated},
		"another issuer":        {claims: map[string]any{"iss": "https://evil.example"}, class: llm.Unauthenticated},
		"another nonce":         {claims: map[string]any{"nonce": "other"}, class: llm.Unauthenticated},
		"a forged token":        {forge: stranger, class: llm.Unauthenticated},
		"no group that matters": {claims: map[string]any{"groups": []string{"sales"}}, class: llm.Forbidden},
		"no groups":             {claims: map[string]any{"groups": nil}, class: llm.Forbidden},
	} {
		i.mu.Lock()
		i.claims, i.forge = c.claims, c.forge
		i.mu.Unlock()
		s := signon.New(options(i))
		to, cookie, err := s.Begin(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		state, code := i.authorize(t, to)
		if c.edit != nil {
			c.edit(&state, &cookie, &code)
		}
		who, err := s.Finish(t.Context(), state, cookie, code, time.Now().Add(c.later))
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != c.class || who != (access.Identity{}) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
		s.Close()
	}
}

// TestRoles: the group that may do most counts, and a default is for the rest.
func TestRoles(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for want, groups := range map[access.Role]any{access.RoleOwner: []string{"staff", "owners", "ai-admins"}, access.RoleViewer: "staff", access.RoleBilling: []string{"sales"}} {
		i.mu.Lock()
		i.claims = map[string]any{"roles": groups}
		i.mu.Unlock()
		o := options(i)
		o.Groups, o.Default = "roles", access.RoleBilling
		s := signon.New(o)
		to, cookie, err := s.Begin(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		state, code := i.authorize(t, to)
		if who, err := s.Finish(t.Context(), state, cookie, code, time.Now()); err != nil || who.Role != want {
			t.Errorf("%v: %+v, %v", groups, who, err)
		}
		s.Close()
	}
}

// TestIssuerDown: it is told apart from a refusal, and asked again later.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	o := options(i)
	o.Issuer = "http://127.0.0.1:1"
	s := signon.New(o)
	_, _, err := s.Begin(time.Now())
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.Unavailable {
		t.Errorf("got %v", err)
	}
	s.Close()
}
