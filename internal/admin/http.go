package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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

// actorKey carries who is calling from the token check to the audit line.
type actorKey struct{}

// actor is who is calling.
func (s *server) actor(ctx context.Context) string {
	if who, ok := ctx.Value(actorKey{}).(string); ok {
		return who
	}
	return s.Trusted
}

// audit notes a change, also when the caller has left meanwhile: the change
// was made.
func (s *server) audit(ctx context.Context, action, subject string) {
	s.Audit.Audit(context.WithoutCancel(ctx), s.actor(ctx), action, subject)
}

// token lets only admin tokens through. It is asked for before anything else
// is said about the request, so that strangers cannot list what exists.
func (s *server) token(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		kind, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
		if !strings.EqualFold(kind, "Bearer") {
			token = ""
		}
		who, err := "", error(llm.Errorf(llm.Unauthenticated, "no admin token was sent: use Authorization: Bearer"))
		if token = strings.TrimSpace(token); token != "" {
			who, err = s.Door.CheckAdmin(token, time.Now())
		}
		if err != nil {
			s.refuse(w, q, err)
			return
		}
		next.ServeHTTP(w, q.WithContext(context.WithValue(q.Context(), actorKey{}, who)))
	})
}

// host refuses names that are not this machine when only this machine is
// served: a page whose name was pointed at 127.0.0.1 must not get in.
func (s *server) host(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if s.Loopback && !localName(q.Host) {
			s.refuse(w, q, llm.Errorf(llm.Forbidden, "the host name of this request is not this machine"))
			return
		}
		next.ServeHTTP(w, q)
	})
}

func localName(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
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
	if e, ok := errors.AsType[*llm.Error](err); ok && statuses[e.Class] != 0 {
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
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
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

// read reads a small strict JSON body into v. An empty body is an empty
// object.
func read(q *http.Request, v any) error {
	text, err := body(q, maxBody)
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
