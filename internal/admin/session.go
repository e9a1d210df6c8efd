package admin

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// Staff lets people in and keeps who they are; access.Staff does.
type Staff interface {
	Door
	// SignIn begins a session and returns its cookie.
	SignIn(ctx context.Context, token string, now time.Time) (llm.Secret, access.Session, access.Person, error)
	// Resume says whose a cookie is.
	Resume(ctx context.Context, cookie string, now time.Time) (access.Person, access.Session, error)
	SignOut(ctx context.Context, cookie string) error
	// Welcome begins a session for who a single sign-on vouches for.
	Welcome(ctx context.Context, id access.Identity, now time.Time) (llm.Secret, access.Session, access.Person, error)

	Find(ctx context.Context, id string) (access.Member, error)
	Hire(ctx context.Context, m access.Member, now time.Time) (llm.Secret, access.Member, error)
	Renew(ctx context.Context, id string) (llm.Secret, access.Member, error)
	Change(ctx context.Context, to access.Member) (access.Member, error)
	Leave(ctx context.Context, id string, now time.Time) (access.Member, error)
	// Everyone lists the members, those that have left too.
	Everyone(ctx context.Context) ([]access.Member, error)
}

// SignIn is what a browser sends to begin a session.
type SignIn struct {
	// Token is an admin token, or a member's.
	Token string `json:"token"`
}

// Session says who is calling and what they may do.
type Session struct {
	// ID is that of a member or of an admin key.
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email,omitzero"`
	Role  string `json:"role" enum:"owner,admin,viewer,billing"`
	// May lists the rows of the table of rights that the role has.
	May []string `json:"may"`
	// Until is when the session is over in any case; left out for who sends a
	// token.
	Until time.Time `json:"until,omitzero"`
}

// SessionAnswer is a session.
type SessionAnswer struct {
	Session Session `json:"session"`
}

// SignedOut says that there is no session any more.
type SignedOut struct {
	SignedOut bool `json:"signed_out"`
}

// SignInWays says how one can sign in.
type SignInWays struct {
	// Token says that an admin token or a member's does.
	Token bool `json:"token"`
	// OIDC is what the single sign-on is called; empty when there is none. It
	// begins at GET /admin/v1/session/oidc.
	OIDC string `json:"oidc"`
}

// Right is a row of the table of who may do what.
type Right struct {
	Do string `json:"do"`
	// May lists the roles.
	May   []string `json:"may"`
	Means string   `json:"means"`
}

// RightList is the table of who may do what.
type RightList struct {
	Rights []Right `json:"rights"`
}

var sessionRoutes = []route{
	{method: "POST", path: prefix + "session", name: "signIn", summary: "Sign a browser in: the answer sets a cookie that scripts cannot read.", open: true, in: SignIn{}, out: SessionAnswer{}, status: 201, write: (*server).signIn},
	{method: "GET", path: prefix + "session", name: "session", summary: "Say who is calling and what they may do.", may: "status.read", out: SessionAnswer{}, status: 200, serve: (*server).session},
	{method: "DELETE", path: prefix + "session", name: "signOut", summary: "Sign a browser out.", open: true, out: SignedOut{}, status: 200, write: (*server).signOut},
	{method: "GET", path: prefix + "session/ways", name: "signInWays", summary: "Say how one can sign in.", open: true, out: SignInWays{}, status: 200, serve: (*server).signInWays},
	{method: "GET", path: prefix + "rights", name: "listRights", summary: "Show who may do what.", may: "status.read", out: RightList{}, status: 200, serve: (*server).listRights},
}

// The names of the cookie: a browser takes the first one only over TLS, for this
// host alone and every path of it.
const (
	safeCookie  = "__Host-headrace"
	plainCookie = "headrace"
)

// secure says whether the browser speaks TLS, to us or to a proxy before us. A
// stranger who lies about it only spoils a cookie of their own.
func secure(q *http.Request) bool {
	return q.TLS != nil || q.Header.Get("X-Forwarded-Proto") == "https"
}

func cookieOf(q *http.Request) string {
	for _, name := range []string{safeCookie, plainCookie} {
		if c, err := q.Cookie(name); err == nil && c.Value != "" {
			return c.Value
		}
	}
	return ""
}

func setCookie(w http.ResponseWriter, q *http.Request, value string, ends time.Time) {
	c := &http.Cookie{Name: plainCookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: ends}
	if secure(q) {
		c.Name, c.Secure = safeCookie, true
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func showSession(p access.Person, until time.Time) SessionAnswer {
	return SessionAnswer{Session{ID: p.ID, Name: p.Name, Email: p.Email, Role: string(p.Role), May: mays(p.Role), Until: until}}
}

func (s *server) signIn(w http.ResponseWriter, q *http.Request) (int, any, error) {
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	var in SignIn
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	from := remote(q)
	if !s.guesses.may(from) {
		return 0, nil, refusal(http.StatusTooManyRequests, "too_many_attempts", "too many wrong tokens: wait a minute")
	}
	cookie, one, p, err := s.Staff.SignIn(q.Context(), strings.TrimSpace(in.Token), time.Now())
	if err != nil {
		s.guesses.wrong(from)
		return 0, nil, err
	}
	s.Audit.Audit(context.WithoutCancel(q.Context()), p.ID, "session.begin", p.Name)
	setCookie(w, q, cookie.Reveal(), one.Ends)
	return http.StatusCreated, showSession(p, one.Ends), nil
}

func (s *server) session(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	c := callerOf(q.Context())
	if c == nil {
		return http.StatusOK, showSession(s.trusted(), time.Time{}), nil
	}
	return http.StatusOK, showSession(c.person, c.until), nil
}

func (s *server) signOut(w http.ResponseWriter, q *http.Request) (int, any, error) {
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	if cookie := cookieOf(q); cookie != "" {
		if err := s.Staff.SignOut(q.Context(), cookie); err != nil {
			return 0, nil, err
		}
	}
	setCookie(w, q, "", time.Unix(1, 0))
	return http.StatusOK, SignedOut{true}, nil
}

func (s *server) signInWays(q *http.Request) (int, any, error) {
	ways := SignInWays{Token: true}
	if s.SSO != nil {
		ways.OIDC = s.SSO.Name()
	}
	return http.StatusOK, ways, nil
}

func (s *server) listRights(q *http.Request) (int, any, error) {
	list := RightList{}
	for _, r := range rights {
		one := Right{Do: r.do, Means: r.means}
		for _, role := range r.may {
			one.May = append(one.May, string(role))
		}
		list.Rights = append(list.Rights, one)
	}
	return http.StatusOK, list, nil
}

func noStaff() error {
	return llm.Errorf(llm.Unsupported, "this handler keeps no sessions and no members")
}

// remote is the address that a request comes from, without its port.
func remote(q *http.Request) string {
	host, _, err := net.SplitHostPort(q.RemoteAddr)
	if err != nil {
		return q.RemoteAddr
	}
	return host
}

// guesses bounds how fast wrong tokens can be tried from one address. The zero
// value is ready. Safe for concurrent use.
type guesses struct {
	mu   sync.Mutex // guards from
	from map[string]*rate.Limiter
}

// The bounds of wrong tokens: so many at once, then one in so long; and of how
// many addresses that is remembered.
const (
	guessBurst = 10
	guessEvery = 6 * time.Second
	guessFrom  = 4096
)

// may says whether a token may be tried.
func (g *guesses) may(from string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.from[from]
	return l == nil || l.Tokens() >= 1
}

// wrong counts a wrong one.
func (g *guesses) wrong(from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.from == nil || len(g.from) >= guessFrom {
		g.from = map[string]*rate.Limiter{}
	}
	l := g.from[from]
	if l == nil {
		l = rate.NewLimiter(rate.Every(guessEvery), guessBurst)
		g.from[from] = l
	}
	l.Allow()
}
