package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// maxBody is the largest JSON body; maxFile the largest catalogue file.
const (
	maxBody = 64 << 10
	maxFile = 64 << 20
)

// statuses says which status each class has here. What is not in it is an
// internal error.
var statuses = map[llm.Class]int{
	llm.InvalidRequest:  http.StatusBadRequest,
	llm.Unauthenticated: http.StatusUnauthorized,
	llm.Forbidden:       http.StatusForbidden,
	llm.NotFound:        http.StatusNotFound,
	llm.TooLarge:        http.StatusRequestEntityTooLarge,
	llm.Unsupported:     http.StatusNotImplemented,
	llm.Unavailable:     http.StatusServiceUnavailable,
}

// callerKey carries who is calling from the door to the routes.
type callerKey struct{}

// caller is who is calling: in person, and until when if by a session.
type caller struct {
	person access.Person
	until  time.Time
}

// callerOf is who came in by the door; nil is nobody.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

// trusted is who calls a handler that no listener serves.
func (s *server) trusted() access.Person {
	return access.Person{ID: s.Trusted, Name: s.Trusted, Role: access.RoleOwner}
}

// caller is who is calling. Nobody, who only gets to open routes, has no role.
func (s *server) caller(ctx context.Context) access.Person {
	switch c := callerOf(ctx); {
	case c != nil:
		return c.person
	case s.Trusted != "":
		return s.trusted()
	}
	return access.Person{}
}

// audit notes a change, also when the caller has left meanwhile: the change
// was made.
func (s *server) audit(ctx context.Context, action, subject string) {
	s.Audit.Audit(context.WithoutCancel(ctx), s.caller(ctx).ID, action, subject)
}

// signedIn lets only admin tokens and sessions through. It is asked for before
// anything else is said about the request, so that strangers cannot list what
// exists.
func (s *server) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		c, err := s.who(q)
		if err != nil {
			if _, pattern := s.mux.Handler(q); !s.open[pattern] {
				s.refuse(w, q, err)
				return
			}
		}
		next.ServeHTTP(w, q.WithContext(context.WithValue(q.Context(), callerKey{}, c)))
	})
}

// who says who a request is of: by its token, else by its cookie.
func (s *server) who(q *http.Request) (*caller, error) {
	kind, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); token != "" && strings.EqualFold(kind, "Bearer") {
		p, err := s.Door.CheckAdmin(q.Context(), token, time.Now())
		if err != nil {
			return nil, err
		}
		return &caller{person: p}, nil
	}
	cookie := cookieOf(q)
	if cookie == "" || s.Staff == nil {
		return nil, llm.Errorf(llm.Unauthenticated, "no admin token was sent: use Authorization: Bearer, or sign in")
	}
	p, one, err := s.Staff.Resume(q.Context(), cookie, time.Now())
	if err != nil {
		return nil, err
	}
	return &caller{p, one.Ends}, nil
}

// host refuses names that are not this machine when only this machine is
// served: a page whose name was pointed at 127.0.0.1 must not get in.
func (s *server) host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.Loopback && !localName(q.Host) && (s.Host == "" || !strings.EqualFold(hostName(q.Host), s.Host)) {
			s.refuse(w, q, llm.Errorf(llm.Forbidden, "the host name of this request is not this machine"))
			return
		}
		next.ServeHTTP(w, q)
	})
}

// hostName is a host without its port and brackets.
func hostName(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func localName(hostport string) bool {
	host := hostName(hostport)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (s *server) answer(w http.ResponseWriter, status int, body any) {
	out, err := json.Marshal(body)
	if err != nil {
		s.Log.Error("admin answer", "error", err)
		status, out = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer could not be written"}}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(out)+1))
	w.WriteHeader(status)
	if _, err := w.Write(append(out, '\n')); err != nil {
		s.Log.Debug("admin answer not taken", "error", err)
	}
}

// refuse writes an error. Causes of our own failures go to the log, not to
// the caller.
func (s *server) refuse(w http.ResponseWriter, q *http.Request, err error) {
	var p Problem
	status := http.StatusInternalServerError
	p.Error.Code, p.Error.Message = "internal", "something went wrong here; the log knows more"
	if e, ok := errors.AsType[*Conflict](err); ok {
		status, p.Error.Code, p.Error.Message = http.StatusConflict, e.Code, e.Message
	} else if e, ok := errors.AsType[*refused](err); ok {
		status, p.Error.Code, p.Error.Message = e.status, e.code, e.message
	} else if e, ok := errors.AsType[*llm.Error](err); ok && statuses[e.Class] != 0 {
		status = statuses[e.Class]
		p.Error.Code, p.Error.Message = string(e.Class), e.Message
	} else if !errors.Is(err, context.Canceled) {
		s.Log.Error("admin request failed", "method", q.Method, "path", q.URL.Path, "error", err)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="headrace admin"`)
	}
	s.answer(w, status, p)
}

// nothing answers paths and methods that have no route.
func (s *server) nothing(w http.ResponseWriter, q *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := q.Clone(q.Context())
		other.Method = m
		if _, pattern := s.mux.Handler(other); pattern != prefix {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		var p Problem
		p.Error.Code, p.Error.Message = "method_not_allowed", "this path takes "+strings.Join(allow, ", ")
		s.answer(w, http.StatusMethodNotAllowed, p)
		return
	}
	s.refuse(w, q, llm.Errorf(llm.NotFound, "there is no such path: GET %sopenapi.json lists all", prefix))
}

// refused is a refusal that no class of error stands for.
type refused struct {
	status        int
	code, message string
}

func (r *refused) Error() string { return r.message }

func refusal(status int, code, format string, args ...any) error {
	return &refused{status, code, fmt.Sprintf(format, args...)}
}

// etag names what an answer says.
func etag(body any) string {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		return `""` // the answer itself cannot be written then
	}
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

// match refuses a write that says (If-Match) that it is about something else than
// what is there now, as an answer would show it.
func match(q *http.Request, now any) error {
	want := q.Header.Get("If-Match")
	if want == "" || want == "*" {
		return nil
	}
	is := etag(now)
	for one := range strings.SplitSeq(want, ",") {
		if strings.TrimSpace(one) == is {
			return nil
		}
	}
	return refusal(http.StatusPreconditionFailed, "changed", "it was changed since you have read it: read it again")
}

// read reads a small strict JSON body into v. An empty body is an empty
// object.
func read(q *http.Request, v any) error { return readUpTo(q, v, maxBody) }

// readUpTo is read for a body of at most so many bytes.
func readUpTo(q *http.Request, v any, most int64) error {
	text, err := body(q, most)
	if err != nil || len(text) == 0 {
		return err
	}
	if kind, _, err := mime.ParseMediaType(q.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return llm.Errorf(llm.InvalidRequest, "the body must have Content-Type: application/json")
	}
	if err := json.Unmarshal(text, v, json.RejectUnknownMembers(true)); err != nil {
		return llm.Errorf(llm.InvalidRequest, "the body is wrong%s", explain(err))
	}
	return nil
}

// explain says what is wrong with a body and where, in words of the wire: the
// library's own name Go types.
func explain(err error) string {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		at := ""
		if e.JSONPointer != "" {
			at = " at " + string(e.JSONPointer)
		}
		if errors.Is(err, json.ErrUnknownName) {
			return at + ": there is no such member"
		}
		return at + ": the value has the wrong type"
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return " at byte " + strconv.FormatInt(e.ByteOffset, 10) + ": not valid JSON, or a doubled member"
	}
	return ": not valid JSON"
}

// body reads a body of at most limit bytes.
func body(q *http.Request, limit int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(q.Body, limit+1))
	switch {
	case err != nil:
		return nil, llm.Errorf(llm.InvalidRequest, "the body could not be read")
	case n > limit:
		return nil, llm.Errorf(llm.TooLarge, "the body is over %d bytes", limit)
	}
	return b.Bytes(), nil
}
