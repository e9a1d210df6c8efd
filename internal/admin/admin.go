// Package admin is the JSON API for whoever runs the gateway: keys, usage,
// requests, models, providers and status, all under /admin/v1/.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/budget"
	"headrace/internal/llm"
)

// Options are the parts that the API shows. Every interface must be set.
type Options struct {
	// Door checks admin tokens. Nil is allowed only with Trusted, or with Staff,
	// which is then the door.
	Door Door
	// Staff has members and sessions; nil keeps none.
	Staff Staff
	// SSO is the single sign-on; nil is none.
	SSO SSO
	// Ends is closed when streams of events are to end; nil never is.
	Ends <-chan struct{}
	// Trusted, when it is not empty, names who is calling and switches the
	// token, host and origin checks off. It is for a handler that no listener
	// serves: a command that works on the data directory in its own process.
	Trusted string
	// Loopback says that the listener is bound to this machine alone; then a
	// Host that is not this machine is refused (DNS rebinding).
	Loopback bool
	// Host is another host name, without a port, that this gateway is reached by,
	// such as that of a proxy before it; empty is none.
	Host string

	Keys     Keys
	Budgets  Budgets
	Usage    Usage
	Requests Requests
	Success  Success
	Catalog  Catalog
	// These may be nil: then there are none.
	Jobs        Jobs
	Figures     Figures
	Credentials Credentials
	Configs     Configs
	AuditLog    AuditLog
	// Experiments may be nil: then there are none.
	Experiments Experiments
	// WhatIf may be nil: then nothing is compared and replayed.
	WhatIf WhatIf
	// Errors is the table of error classes of a route, or of all requests when it
	// is empty, in the order to show. An unknown route is an *llm.Error of class
	// NotFound.
	Errors func(route string) ([]ErrorClass, error)
	// Bodies gives what is kept of what was said in a request of a key; ok is false
	// when nothing is.
	Bodies func(ctx context.Context, key, request string) (text jsontext.Value, ok bool, err error)
	// Status is asked for each status request.
	Status func(ctx context.Context) Status
	// Overview is asked for each overview; nil gives none.
	Overview OverviewFunc
	// Pulse says how much there is to do now; nil says nothing. It is cheap.
	Pulse func() Pulse
	Audit Audit
	// Log takes the causes of internal errors, which the answer does not show.
	// Nil means slog.Default.
	Log *slog.Logger
}

// Door knows admin tokens. A data key is never one of them.
type Door interface {
	// CheckAdmin says whose the token is. The error is an *llm.Error of class
	// Unauthenticated, or Unavailable when nobody can tell now. It compares by
	// the token's hash, so that time tells nothing about it.
	CheckAdmin(ctx context.Context, token string, now time.Time) (access.Person, error)
}

// DoorFunc makes a Door of a function that names owners.
type DoorFunc func(token string, now time.Time) (who string, err error)

// CheckAdmin calls the function.
func (f DoorFunc) CheckAdmin(_ context.Context, token string, now time.Time) (access.Person, error) {
	who, err := f(token, now)
	return access.Person{ID: who, Name: who, Role: access.RoleOwner}, err
}

// Keys are the virtual keys. Errors are *llm.Error of class NotFound or
// InvalidRequest where the caller is to blame.
type Keys interface {
	// Keys lists all keys, ended ones too, oldest first.
	Keys(ctx context.Context) ([]Key, error)
	// CreateKey makes a key; the token can never be read again.
	CreateKey(ctx context.Context, s KeySpec) (token llm.Secret, k Key, err error)
	// ChangeKey sets what a key may do and is called; its token stays.
	ChangeKey(ctx context.Context, id string, s KeySpec) (Key, error)
	// RevokeKey ends a key for ever; ending it twice changes nothing.
	RevokeKey(ctx context.Context, id string) (Key, error)
	// RotateKey makes a key with the same rights and lets the old one end
	// after the overlap, 0 meaning now.
	RotateKey(ctx context.Context, id string, overlap time.Duration) (token llm.Secret, k Key, err error)
}

// Budgets are what may be spent. Errors are *llm.Error of class NotFound or
// InvalidRequest where the caller is to blame.
type Budgets interface {
	// Budgets lists all budgets and how they stand, by name.
	Budgets(ctx context.Context) ([]budget.State, error)
	// SetBudget adds a budget or replaces the one with its ID.
	SetBudget(ctx context.Context, b budget.Budget) error
	// DropBudget removes one; what was spent is kept.
	DropBudget(ctx context.Context, id budget.ID) error
	// SettleBudget gives back what runs that are over had leased of the present
	// window and no row of the ledger accounts for, and says how much that was.
	SettleBudget(ctx context.Context, id budget.ID) (llm.Nanodollars, error)
}

// Usage sums up what was used.
type Usage interface {
	// UsageBy gives one row per model, key, day or provider over [since,
	// until), most expensive first (days in order). Zero times are open ends.
	UsageBy(ctx context.Context, by string, since, until time.Time) ([]UsageRow, error)
	// Sums gives what a query says, buckets in order, most expensive first in
	// each.
	Sums(ctx context.Context, q UsageQuery) ([]UsageRow, error)
}

// Requests are the ledger's rows.
type Requests interface {
	// Requests gives a page of what the filter lets through, without attempts.
	Requests(ctx context.Context, f RequestFilter) (RequestList, error)
	// Request gives one with its attempts; an unknown id is an *llm.Error of
	// class NotFound.
	Request(ctx context.Context, id string) (Request, error)
}

// Catalog is what exists: models and the providers that serve them.
type Catalog interface {
	// Models lists the models of the providers that are in use, or of all when
	// all is set, by id.
	Models(ctx context.Context, all bool) ([]Model, error)
	// Providers lists the providers that were found or looked for, by id.
	Providers(ctx context.Context) ([]Provider, error)
	// Refresh reads a catalogue file over the rows that are there. A nil file
	// asks the providers for their own model lists instead.
	Refresh(ctx context.Context, file []byte) (Refreshed, error)
}

// Audit keeps a line for every change. It must not lose one because the
// caller has left; ctx is never cancelled.
type Audit interface {
	// Audit notes that actor did action (such as "keys.revoke") to subject (an
	// id, never a secret).
	Audit(ctx context.Context, actor, action, subject string)
}

// New makes the handler. It serves /admin/v1/ and everything below, and is
// safe for concurrent use.
func New(o Options) http.Handler {
	if o.Door == nil && o.Staff != nil {
		o.Door = o.Staff
	}
	if o.Door == nil && o.Trusted == "" {
		// Serving without any check is a mistake of wiring, not of input.
		panic("admin: neither Door nor Trusted is set")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &server{Options: o, mux: http.NewServeMux(), open: map[string]bool{}}
	for i := range routes {
		r := &routes[i]
		pattern := r.method + " " + r.path
		s.open[pattern] = r.open
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, q *http.Request) { s.dispatch(w, q, r) })
	}
	s.mux.HandleFunc(prefix, s.nothing)
	var h http.Handler = s.mux
	if o.Trusted == "" {
		origins := http.NewCrossOriginProtection()
		origins.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			s.refuse(w, q, llm.Errorf(llm.Forbidden, "a page of another origin may not call the admin API"))
		}))
		h = s.host(origins.Handler(s.signedIn(h)))
	}
	return h
}

const prefix = "/admin/v1/"

type server struct {
	Options
	mux *http.ServeMux
	// open are the patterns of the routes that ask for no sign-in.
	open    map[string]bool
	guesses guesses
	// writing is held by writes that look at what is there first.
	writing sync.Mutex
	// streams is how many streams of events there are.
	streams atomic.Int64
}

// dispatch serves a route for who may have it.
func (s *server) dispatch(w http.ResponseWriter, q *http.Request, r *route) {
	if !r.open {
		if err := allow(s.caller(q.Context()), r.may); err != nil {
			s.audit(q.Context(), "refused", r.name)
			s.refuse(w, q, err)
			return
		}
	}
	if r.stream != nil {
		r.stream(s, w, q)
		return
	}
	if (r.etag || r.turn) && r.method != http.MethodGet {
		s.writing.Lock()
		defer s.writing.Unlock()
	}
	serve := r.write
	if serve == nil {
		serve = func(s *server, _ http.ResponseWriter, q *http.Request) (int, any, error) { return r.serve(s, q) }
	}
	status, body, err := serve(s, w, q)
	if err != nil {
		s.refuse(w, q, err)
		return
	}
	if r.etag {
		w.Header().Set("ETag", etag(body))
	}
	s.answer(w, status, body)
}
