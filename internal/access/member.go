package access

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Role says what a person may do with the gateway itself. What each one may is a
// table of the admin API.
type Role string

// The roles.
const (
	RoleOwner   Role = "owner"
	RoleAdmin   Role = "admin"
	RoleViewer  Role = "viewer"
	RoleBilling Role = "billing"
)

// Roles lists the roles, the one that may do most first.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleViewer, RoleBilling} }

// Member is a person who runs the gateway with others.
type Member struct {
	// ID names the member for ever, such as "mem_3f9c0a...".
	ID          string
	Name, Email string
	Role        Role
	// Hash is the SHA-256 of the member's token; zero is none. Prefix is the
	// token's beginning, to recognise it by.
	Hash   [32]byte
	Prefix string
	// Issuer and Subject say who they are at a single sign-on; both are empty for
	// those who sign in with a token.
	Issuer, Subject string
	// Created is when they came, Ended when they left; zero while they are here.
	Created, Ended time.Time
}

// Session is a browser that has signed in. The cookie itself is not in it.
type Session struct {
	// Hash is the SHA-256 of the cookie.
	Hash [32]byte
	// Member or Key is the id of who signed in: one of the two.
	Member, Key string
	// Began is when they signed in, Seen when they last asked for something (to
	// the minute), Ends when the session is over in any case.
	Began, Seen, Ends time.Time
}

// Person is who is calling the admin API.
type Person struct {
	// ID is a member's or an admin key's.
	ID, Name, Email string
	Role            Role
}

// StaffStore keeps members and sessions. Implementations are safe for concurrent
// use and by several processes at once.
type StaffStore interface {
	// Members returns all members, those that have left too, oldest first.
	Members(ctx context.Context) ([]Member, error)
	// PutMember adds a member or replaces the one with its ID. Ended is final:
	// one that is stored stays. A Hash that another one has is an error, and so
	// is an Issuer and Subject of another one who has not left.
	PutMember(ctx context.Context, m Member) error
	// PutSession adds a session or replaces the one with its hash.
	PutSession(ctx context.Context, s Session) error
	// Session returns one, also when it is over.
	Session(ctx context.Context, hash [32]byte) (Session, bool, error)
	// DropSession ends one; one that is not there is no error.
	DropSession(ctx context.Context, hash [32]byte) error
	// SweepSessions drops those that were over, or last seen, before a time.
	SweepSessions(ctx context.Context, over, seen time.Time) error
}

// AdminKeys knows admin tokens; a Directory does.
type AdminKeys interface {
	CheckAdmin(token string, now time.Time) (Principal, error)
	// AdminPrincipal is [Directory.Principal] for an admin key.
	AdminPrincipal(id string, now time.Time) (Principal, error)
}

// The bounds of a session.
const (
	// SessionIdle is how long one lasts without a request.
	SessionIdle = 30 * time.Minute
	// SessionMost is how long one lasts at most.
	SessionMost = 12 * time.Hour
	// seenEvery is how often it is written down that a session is in use.
	seenEvery = time.Minute
)

// Staff lets people in and keeps who they are. A value without state of its own,
// safe for concurrent use.
type Staff struct {
	Store StaffStore
	Keys  AdminKeys
}

// CheckAdmin says who a token belongs to: an admin key, which is an owner's, or a
// member's. The error is an *llm.Error of class Unauthenticated, or Unavailable
// when nobody can tell now.
func (s Staff) CheckAdmin(ctx context.Context, token string, now time.Time) (Person, error) {
	p, _, err := s.who(ctx, token, now)
	return p, err
}

// who says who a token belongs to, and whether that is a member.
func (s Staff) who(ctx context.Context, token string, now time.Time) (p Person, member bool, err error) {
	k, err := s.Keys.CheckAdmin(token, now)
	if err == nil {
		return ofKey(k), false, nil
	}
	if len(token) < minPreset || len(token) > maxToken || mistyped(token) {
		return Person{}, false, err
	}
	all, failed := s.Store.Members(ctx)
	if failed != nil {
		return Person{}, false, &llm.Error{Class: llm.Unavailable, Message: "members cannot be read now", Cause: failed}
	}
	// The hash is compared, so that time tells nothing about the token.
	hash := Hash(token)
	for i := range all {
		if m := &all[i]; m.Hash == hash && m.Ended.IsZero() {
			return ofMember(m), true, nil
		}
	}
	return Person{}, false, err
}

func ofKey(k Principal) Person {
	name := k.Name
	if name == "" {
		name = k.KeyID
	}
	return Person{ID: k.KeyID, Name: name, Role: RoleOwner}
}

func ofMember(m *Member) Person {
	return Person{ID: m.ID, Name: m.Name, Email: m.Email, Role: m.Role}
}

// SignIn begins a session for who a token belongs to and returns its cookie.
func (s Staff) SignIn(ctx context.Context, token string, now time.Time) (llm.Secret, Session, Person, error) {
	p, member, err := s.who(ctx, token, now)
	if err != nil {
		return "", Session{}, Person{}, err
	}
	one := Session{Key: p.ID}
	if member {
		one = Session{Member: p.ID}
	}
	cookie, one, err := s.begin(ctx, one, now)
	return cookie, one, p, err
}

func (s Staff) begin(ctx context.Context, one Session, now time.Time) (llm.Secret, Session, error) {
	raw := make([]byte, 32)
	rand.Read(raw) // never fails
	cookie := hex.EncodeToString(raw)
	one.Hash, one.Began, one.Seen, one.Ends = Hash(cookie), stamp(now), stamp(now), stamp(now.Add(SessionMost))
	if err := s.Store.SweepSessions(ctx, now, now.Add(-SessionIdle-seenEvery)); err != nil {
		return "", Session{}, fmt.Errorf("drop old sessions: %w", err)
	}
	if err := s.Store.PutSession(ctx, one); err != nil {
		return "", Session{}, fmt.Errorf("begin a session: %w", err)
	}
	return llm.Secret(cookie), one, nil
}

// Resume says whose a cookie is. A session is worth what its member or key is
// worth now. The error is as that of CheckAdmin.
func (s Staff) Resume(ctx context.Context, cookie string, now time.Time) (Person, Session, error) {
	over := llm.Errorf(llm.Unauthenticated, "you are not signed in, or your session is over")
	if len(cookie) != 64 {
		return Person{}, Session{}, over
	}
	one, ok, err := s.Store.Session(ctx, Hash(cookie))
	switch {
	case err != nil:
		return Person{}, Session{}, &llm.Error{Class: llm.Unavailable, Message: "sessions cannot be read now", Cause: err}
	case !ok || !now.Before(one.Ends) || now.Sub(one.Seen) >= SessionIdle+seenEvery:
		return Person{}, Session{}, over
	}
	p, err := s.holder(ctx, &one, now)
	if err != nil {
		return Person{}, Session{}, err
	}
	if now.Sub(one.Seen) >= seenEvery {
		one.Seen = stamp(now)
		if err := s.Store.PutSession(ctx, one); err != nil {
			return Person{}, Session{}, &llm.Error{Class: llm.Unavailable, Message: "the session cannot be kept now", Cause: err}
		}
	}
	return p, one, nil
}

// holder is who a session belongs to, as they are now.
func (s Staff) holder(ctx context.Context, one *Session, now time.Time) (Person, error) {
	if one.Key != "" {
		k, err := s.Keys.AdminPrincipal(one.Key, now)
		if err != nil {
			return Person{}, err
		}
		return ofKey(k), nil
	}
	m, err := s.Find(ctx, one.Member)
	switch e, _ := err.(*llm.Error); {
	case e != nil && e.Class == llm.NotFound, err == nil && !m.Ended.IsZero():
		return Person{}, llm.Errorf(llm.Unauthenticated, "you are no member of this gateway any more")
	case err != nil:
		return Person{}, &llm.Error{Class: llm.Unavailable, Message: "members cannot be read now", Cause: err}
	}
	return ofMember(&m), nil
}

// SignOut ends the session of a cookie.
func (s Staff) SignOut(ctx context.Context, cookie string) error {
	return s.Store.DropSession(ctx, Hash(cookie))
}

// Identity is what a single sign-on says of a person.
type Identity struct {
	Issuer, Subject, Name, Email string
	Role                         Role
}

// Welcome begins a session for who a single sign-on vouches for. Who comes for
// the first time becomes a member; name, e-mail and role are those of this time.
func (s Staff) Welcome(ctx context.Context, id Identity, now time.Time) (llm.Secret, Session, Person, error) {
	all, err := s.Store.Members(ctx)
	if err != nil {
		return "", Session{}, Person{}, fmt.Errorf("read members: %w", err)
	}
	m := Member{ID: memberID(), Issuer: id.Issuer, Subject: id.Subject, Created: stamp(now)}
	for i := range all {
		if all[i].Issuer == id.Issuer && all[i].Subject == id.Subject && all[i].Ended.IsZero() {
			m = all[i]
		}
	}
	m.Name, m.Email, m.Role = id.Name, id.Email, id.Role
	if err := s.Store.PutMember(ctx, m); err != nil {
		return "", Session{}, Person{}, fmt.Errorf("keep member %s: %w", m.ID, err)
	}
	cookie, one, err := s.begin(ctx, Session{Member: m.ID}, now)
	return cookie, one, ofMember(&m), err
}

func memberID() string {
	var raw [8]byte
	rand.Read(raw[:]) // never fails
	return "mem_" + hex.EncodeToString(raw[:])
}

// Find returns the member with this ID; an unknown one is an *llm.Error of class
// NotFound.
func (s Staff) Find(ctx context.Context, id string) (Member, error) {
	all, err := s.Store.Members(ctx)
	if err != nil {
		return Member{}, fmt.Errorf("read members: %w", err)
	}
	for _, m := range all {
		if m.ID == id {
			return m, nil
		}
	}
	return Member{}, llm.Errorf(llm.NotFound, "there is no member %q", id)
}

// Hire makes a member with a token, which nobody can see again.
func (s Staff) Hire(ctx context.Context, m Member, now time.Time) (llm.Secret, Member, error) {
	m.ID, m.Created, m.Ended, m.Issuer, m.Subject = memberID(), stamp(now), time.Time{}, "", ""
	var token llm.Secret
	token, m.Hash, m.Prefix = NewAdminToken()
	if err := s.Store.PutMember(ctx, m); err != nil {
		return "", Member{}, fmt.Errorf("store member %s: %w", m.ID, err)
	}
	return token, m, nil
}

// Renew gives a member a new token; the old one ends at once.
func (s Staff) Renew(ctx context.Context, id string) (llm.Secret, Member, error) {
	m, err := s.here(ctx, id)
	if err != nil {
		return "", Member{}, err
	}
	var token llm.Secret
	token, m.Hash, m.Prefix = NewAdminToken()
	if err := s.Store.PutMember(ctx, m); err != nil {
		return "", Member{}, fmt.Errorf("store member %s: %w", m.ID, err)
	}
	return token, m, nil
}

// Change sets the name, e-mail and role of a member.
func (s Staff) Change(ctx context.Context, to Member) (Member, error) {
	m, err := s.here(ctx, to.ID)
	if err != nil {
		return Member{}, err
	}
	m.Name, m.Email, m.Role = to.Name, to.Email, to.Role
	if err := s.Store.PutMember(ctx, m); err != nil {
		return Member{}, fmt.Errorf("store member %s: %w", m.ID, err)
	}
	return m, nil
}

// Leave ends a member for ever; ending one twice changes nothing.
func (s Staff) Leave(ctx context.Context, id string, now time.Time) (Member, error) {
	m, err := s.Find(ctx, id)
	if err != nil || !m.Ended.IsZero() {
		return m, err
	}
	m.Ended = stamp(now)
	if err := s.Store.PutMember(ctx, m); err != nil {
		return Member{}, fmt.Errorf("end member %s: %w", id, err)
	}
	return m, nil
}

// here is a member who has not left.
func (s Staff) here(ctx context.Context, id string) (Member, error) {
	m, err := s.Find(ctx, id)
	if err == nil && !m.Ended.IsZero() {
		return Member{}, llm.Errorf(llm.InvalidRequest, "member %s has left", id)
	}
	return m, err
}

// Check refuses members without a name, with an e-mail address that is none or
// with a role that there is not.
func (m *Member) Check() error {
	switch {
	case strings.TrimSpace(m.Name) == "":
		return llm.Errorf(llm.InvalidRequest, "a member needs a name")
	case m.Email != "" && (strings.Count(m.Email, "@") != 1 || strings.ContainsAny(m.Email, " \t\r\n<>\"")):
		return llm.Errorf(llm.InvalidRequest, "this is no e-mail address")
	}
	for _, r := range Roles() {
		if m.Role == r {
			return nil
		}
	}
	return llm.Errorf(llm.InvalidRequest, "role is owner, admin, viewer or billing")
}

// Everyone lists the members, those that have left too.
func (s Staff) Everyone(ctx context.Context) ([]Member, error) { return s.Store.Members(ctx) }
