// Package signon knows who a person is by the word of another: OpenID Connect,
// the authorization code flow with PKCE.
package signon

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// Options say who is asked.
type Options struct {
	// Name is what people call it; Issuer its URL, from which the rest is found.
	Name, Issuer string
	ClientID     string
	ClientSecret llm.Secret
	// Return is the URL that browsers come back to.
	Return string
	// Scopes are asked for beside openid.
	Scopes []string
	// Groups is the claim that lists a person's groups. Roles says which role each
	// group gives; the one that may do most counts. Default is that of who is in
	// none of them; empty lets them not in.
	Groups  string
	Roles   map[string]access.Role
	Default access.Role
}

const (
	// flowFor is how long somebody may take to sign in, flows how many may be at
	// it at once.
	flowFor = 10 * time.Minute
	flows   = 1000
	// answerIn bounds each question to the issuer.
	answerIn = 10 * time.Second
)

// SignOn asks an issuer who people are. Safe for concurrent use.
type SignOn struct {
	o      Options
	client *http.Client

	mu       sync.Mutex // guards all below; held while the issuer is looked up
	provider *oidc.Provider
	flows    map[string]flow // by state
}

// flow is somebody who has been sent to the issuer.
type flow struct {
	cookie          [32]byte // its SHA-256
	nonce, verifier string
	ends            time.Time
}

// New makes a SignOn. The issuer is asked when somebody wants to sign in.
func New(o Options) *SignOn {
	if o.Groups == "" {
		o.Groups = "groups"
	}
	return &SignOn{o: o, flows: map[string]flow{}, client: &http.Client{Timeout: answerIn, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: answerIn, MaxIdleConns: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}}}
}

// Name is what it is called.
func (s *SignOn) Name() string { return s.o.Name }

// Close lets go of connections.
func (s *SignOn) Close() { s.client.CloseIdleConnections() }

// issuer looks the issuer up, once. mu is held.
func (s *SignOn) issuer() (*oidc.Provider, *llm.Error) {
	if s.provider != nil {
		return s.provider, nil
	}
	// Keys of the issuer are read later with this context, so it must not end.
	p, err := oidc.NewProvider(oidc.ClientContext(context.Background(), s.client), s.o.Issuer)
	if err != nil {
		return nil, &llm.Error{Class: llm.Unavailable, Message: "the single sign-on cannot be reached now", Cause: err}
	}
	s.provider = p
	return p, nil
}

func (s *SignOn) config(p *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: s.o.ClientID, ClientSecret: s.o.ClientSecret.Reveal(), Endpoint: p.Endpoint(), RedirectURL: s.o.Return,
		Scopes: append([]string{oidc.ScopeOpenID}, s.o.Scopes...)}
}

func random() string {
	var raw [32]byte
	rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// Begin gives the URL to send a browser to, and a cookie that it must come back
// with: an answer that was meant for another browser is refused.
func (s *SignOn) Begin(now time.Time) (url, cookie string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, fail := s.issuer()
	if fail != nil {
		return "", "", fail
	}
	for state, f := range s.flows {
		if now.After(f.ends) {
			delete(s.flows, state)
		}
	}
	if len(s.flows) >= flows {
		return "", "", llm.Errorf(llm.Unavailable, "too many people are signing in: try again in a minute")
	}
	state, cookie := random(), random()
	f := flow{cookie: sha256.Sum256([]byte(cookie)), nonce: random(), verifier: oauth2.GenerateVerifier(), ends: now.Add(flowFor)}
	s.flows[state] = f
	return s.config(p).AuthCodeURL(state, oidc.Nonce(f.nonce), oauth2.S256ChallengeOption(f.verifier)), cookie, nil
}

// Finish says who has come back: with a state and a code of the issuer's, and
// with the cookie of Begin. Each flow ends once.
func (s *SignOn) Finish(ctx context.Context, state, cookie, code string, now time.Time) (access.Identity, error) {
	s.mu.Lock()
	f, ok := s.flows[state]
	delete(s.flows, state)
	p := s.provider
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(cookie))
	if !ok || now.After(f.ends) || subtle.ConstantTimeCompare(sum[:], f.cookie[:]) != 1 || p == nil {
		return access.Identity{}, llm.Errorf(llm.Unauthenticated, "this sign-in was not begun in this browser, or took too long: begin again")
	}
	ctx = oidc.ClientContext(ctx, s.client)
	token, err := s.config(p).Exchange(ctx, code, oauth2.VerifierOption(f.verifier))
	if err != nil {
		return access.Identity{}, &llm.Error{Class: llm.Unauthenticated, Message: "the single sign-on does not vouch for this sign-in", Cause: err}
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return access.Identity{}, llm.Errorf(llm.Unauthenticated, "the single sign-on gave no id token")
	}
	id, err := p.Verifier(&oidc.Config{ClientID: s.o.ClientID, Now: func() time.Time { return now }}).Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, &llm.Error{Class: llm.Unauthenticated, Message: "the id token of the single sign-on is not valid", Cause: err}
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.nonce)) != 1 {
		return access.Identity{}, llm.Errorf(llm.Unauthenticated, "the id token was made for another sign-in")
	}
	return s.identity(id)
}

// identity reads the claims of a token that was verified.
func (s *SignOn) identity(id *oidc.IDToken) (access.Identity, error) {
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return access.Identity{}, &llm.Error{Class: llm.Unauthenticated, Message: "the claims of the id token cannot be read", Cause: err}
	}
	text := func(name string) string { t, _ := claims[name].(string); return t }
	who := access.Identity{Issuer: id.Issuer, Subject: id.Subject, Email: text("email"), Role: s.role(claims[s.o.Groups])}
	for _, name := range []string{text("name"), text("preferred_username"), who.Email, id.Subject} {
		if who.Name = name; name != "" {
			break
		}
	}
	if who.Role == "" {
		return access.Identity{}, llm.Errorf(llm.Forbidden, "%s may not use this gateway: none of their groups has a role here", who.Name)
	}
	return who, nil
}

// role is the one that may do most of those that the groups give.
func (s *SignOn) role(claim any) access.Role {
	var groups []string
	switch c := claim.(type) {
	case string:
		groups = []string{c}
	case []any:
		for _, one := range c {
			groups = append(groups, fmt.Sprint(one))
		}
	}
	for _, role := range access.Roles() {
		if slices.ContainsFunc(groups, func(g string) bool { return s.o.Roles[g] == role }) {
			return role
		}
	}
	return s.o.Default
}
