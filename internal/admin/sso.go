package admin

import (
	"context"
	"html"
	"net/http"
	"strconv"
	"time"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// SSO is a single sign-on.
type SSO interface {
	// Name is what it is called.
	Name() string
	// Begin gives the URL to send a browser to, and a cookie that it must come back
	// with.
	Begin(now time.Time) (url, cookie string, err error)
	// Finish says who has come back. The error is an *llm.Error.
	Finish(ctx context.Context, state, cookie, code string, now time.Time) (access.Identity, error)
}

var ssoRoutes = []route{
	{method: "GET", path: prefix + "session/oidc", name: "beginSSO", summary: "Send a browser to the single sign-on.", open: true, out: Nothing{}, status: 302, stream: (*server).beginSSO},
	{method: "GET", path: prefix + "session/oidc/callback", name: "finishSSO", summary: "Take a browser back from the single sign-on: a page that sets the cookie of a session and leads to the dashboard.", open: true, query: []param{{"state", "the single sign-on's", ""}, {"code", "the single sign-on's", ""}, {"error", "why it does not vouch", ""}, {"error_description", "the same in words", ""}, {"iss", "the single sign-on's own name", ""}, {"session_state", "the single sign-on's, not used", ""}, {"scope", "the single sign-on's, not used", ""}}, out: Nothing{}, status: 200, kind: "text/html", stream: (*server).finishSSO},
}

// ssoCookie ties a sign-in to the browser that began it. It comes back from
// another site, so it cannot be strict.
const ssoCookie = "headrace_sso"

func setSSOCookie(w http.ResponseWriter, q *http.Request, value string) {
	c := &http.Cookie{Name: ssoCookie, Value: value, Path: prefix + "session/oidc", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure(q), MaxAge: 600}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (s *server) beginSSO(w http.ResponseWriter, q *http.Request) {
	if s.SSO == nil || s.Staff == nil {
		s.refuse(w, q, llm.Errorf(llm.NotFound, "there is no single sign-on here: sign in with a token"))
		return
	}
	url, cookie, err := s.SSO.Begin(time.Now())
	if err != nil {
		s.Log.Error("single sign-on", "error", err)
		s.refuse(w, q, err)
		return
	}
	setSSOCookie(w, q, cookie)
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, q, url, http.StatusFound)
}

func (s *server) finishSSO(w http.ResponseWriter, q *http.Request) {
	if s.SSO == nil || s.Staff == nil {
		s.refuse(w, q, llm.Errorf(llm.NotFound, "there is no single sign-on here: sign in with a token"))
		return
	}
	var cookie string
	if c, err := q.Cookie(ssoCookie); err == nil {
		cookie = c.Value
	}
	setSSOCookie(w, q, "")
	v := q.URL.Query()
	if why := v.Get("error"); why != "" {
		s.Log.Warn("the single sign-on does not vouch", "error", why, "description", v.Get("error_description"))
		s.page(w, http.StatusForbidden, "The single sign-on does not vouch for you: "+why, "")
		return
	}
	who, err := s.SSO.Finish(q.Context(), v.Get("state"), cookie, v.Get("code"), time.Now())
	if err != nil {
		s.refusePage(w, q, err)
		return
	}
	value, one, p, err := s.Staff.Welcome(q.Context(), who, time.Now())
	if err != nil {
		s.refusePage(w, q, err)
		return
	}
	s.Audit.Audit(context.WithoutCancel(q.Context()), p.ID, "session.begin", p.Name+" by "+s.SSO.Name())
	setCookie(w, q, value.Reveal(), one.Ends)
	// Not a redirect: that would still be the other site's doing, and the browser
	// would keep the strict cookie to itself.
	s.page(w, http.StatusOK, "You are signed in.", "/ui/")
}

// refusePage tells a person why they are not let in. Causes go to the log.
func (s *server) refusePage(w http.ResponseWriter, q *http.Request, err error) {
	status, message := http.StatusInternalServerError, "Something went wrong here; the log knows more."
	if e, ok := err.(*llm.Error); ok && statuses[e.Class] != 0 {
		status, message = statuses[e.Class], e.Message
	}
	s.Log.Warn("a single sign-on is refused", "from", remote(q), "error", err)
	s.Audit.Audit(context.WithoutCancel(q.Context()), "", "session.refused", message)
	s.page(w, status, message, "")
}

// page writes a small page without a script; next is where it leads to.
func (s *server) page(w http.ResponseWriter, status int, text, next string) {
	head := ""
	link := `<p><a href="/ui/">Back</a></p>`
	if next != "" {
		head = `<meta http-equiv="refresh" content="0;url=` + html.EscapeString(next) + `">`
		link = `<p><a href="` + html.EscapeString(next) + `">Go on</a></p>`
	}
	out := `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Headrace</title>` + head + `</head><body><p>` + html.EscapeString(text) + `</p>` + link + `</body></html>` + "\n"
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	if _, err := w.Write([]byte(out)); err != nil {
		s.Log.Debug("a page was not taken", "error", err)
	}
}
