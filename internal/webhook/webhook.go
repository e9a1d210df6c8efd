// Package webhook tells addresses that clients have named what happened to
// their jobs: signed, again until it is heard, and never inside the operator's
// own network.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Endpoint is an address of a client.
type Endpoint struct {
	ID EndpointID
	// Owner is the id of the virtual key that it belongs to; nobody else sees it.
	Owner, URL string
	// Sealed is the secret that messages to it are signed with.
	Sealed  []byte
	Created time.Time
}

// EndpointID is time-ordered.
type EndpointID int64

// String is the id as clients see it, such as "wh_01j...".
func (id EndpointID) String() string {
	return prefix + strings.TrimPrefix(ledger.ID(id).String(), "req_")
}

const prefix = "wh_"

// ParseID reads what String writes.
func ParseID(s string) (EndpointID, bool) {
	text, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return 0, false
	}
	id, err := ledger.ParseID("req_" + text)
	return EndpointID(id), err == nil
}

// Delivery is a message on its way. It is there from the transaction on that
// made what it tells of, and until it is heard or given up.
type Delivery struct {
	// Job is whose end it tells of, At when that was; together they are its id.
	Job int64
	At  time.Time
	// Endpoint is the id of whom it is for.
	Endpoint string
	// Body is empty before the first try; it never changes then.
	Body  []byte
	Tries int
	Due   time.Time
}

// ID is the message's id for its receiver: the same however often it comes.
func (d *Delivery) ID() string {
	return fmt.Sprintf("msg_%s_%d", strings.TrimPrefix(ledger.ID(d.Job).String(), "req_"), d.At.UnixMilli())
}

// Store keeps endpoints and deliveries. Several processes may use the same data
// at once: deliveries are taken by leases. Safe for concurrent use.
type Store interface {
	PutEndpoint(ctx context.Context, e *Endpoint) error
	// Endpoints lists an owner's, the oldest first.
	Endpoints(ctx context.Context, owner string) ([]Endpoint, error)
	Endpoint(ctx context.Context, id EndpointID) (Endpoint, bool, error)
	// DropEndpoint reports whether the owner had it.
	DropEndpoint(ctx context.Context, owner string, id EndpointID) (bool, error)
	// ClaimDeliveries takes what is due and nobody holds a lease of.
	ClaimDeliveries(ctx context.Context, worker string, now, until time.Time, limit int) ([]Delivery, error)
	// KeepBody writes what a delivery says, before it is sent for the first time.
	KeepBody(ctx context.Context, d *Delivery) error
	// PutOff writes when a delivery is tried again and ends its lease.
	PutOff(ctx context.Context, d *Delivery) error
	EndDelivery(ctx context.Context, d *Delivery) error
	// FreeDeliveries ends the leases of a worker that is starting.
	FreeDeliveries(ctx context.Context, worker string) error
}

// Sealer encrypts secrets at rest; label binds a secret to its endpoint.
type Sealer interface {
	Close(label string, plain []byte) []byte
	Open(label string, sealed []byte) ([]byte, error)
}

// Book is what doors ask. Safe for concurrent use.
type Book struct {
	Store Store
	Seal  Sealer
	Rules *Rules
	ids   ledger.IDs
}

// most is how many endpoints one owner may have.
const most = 20

func label(id EndpointID) string { return "webhook " + strconv.FormatInt(int64(id), 10) }

// secretPrefix begins a secret (Standard Webhooks 1.0).
const secretPrefix = "whsec_"

// Register notes an address and gives the secret that its messages are signed
// with, which nobody can see again. Errors that are the client's are *llm.Error.
func (b *Book) Register(ctx context.Context, owner, address string) (Endpoint, llm.Secret, error) {
	u, err := b.Rules.address(address)
	if err != nil {
		return Endpoint{}, "", err
	}
	have, err := b.Store.Endpoints(ctx, owner)
	if err != nil {
		return Endpoint{}, "", err
	}
	if len(have) >= most {
		return Endpoint{}, "", llm.Errorf(llm.InvalidRequest, "a key has at most %d webhooks: delete one", most)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	now := time.Now()
	e := Endpoint{ID: EndpointID(b.ids.New(now)), Owner: owner, URL: u.String(), Created: now}
	e.Sealed = b.Seal.Close(label(e.ID), key)
	return e, llm.Secret(secretPrefix + base64.StdEncoding.EncodeToString(key)), b.Store.PutEndpoint(ctx, &e)
}

// List gives an owner's endpoints.
func (b *Book) List(ctx context.Context, owner string) ([]Endpoint, error) {
	return b.Store.Endpoints(ctx, owner)
}

// Drop forgets an endpoint, and all that is on its way to it. It reports
// whether the owner had it.
func (b *Book) Drop(ctx context.Context, owner string, id EndpointID) (bool, error) {
	return b.Store.DropEndpoint(ctx, owner, id)
}

// Find finds an owner's endpoint by its id or its URL; not ok is none.
func (b *Book) Find(ctx context.Context, owner, name string) (Endpoint, bool, error) {
	list, err := b.Store.Endpoints(ctx, owner)
	for _, e := range list {
		if e.ID.String() == name || e.URL == name {
			return e, true, nil
		}
	}
	return Endpoint{}, false, err
}

// Sign is the signature of a message (Standard Webhooks 1.0, symmetric).
func Sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// address reads the URL of an endpoint. Names that are numbers or have one
// inside are checked here, all others when they are dialled.
func (r *Rules) address(text string) (*url.URL, error) {
	wrong := func(format string, args ...any) (*url.URL, error) {
		return nil, &llm.Error{Class: llm.InvalidRequest, Status: http.StatusBadRequest, Param: "url", Message: "url: " + fmt.Sprintf(format, args...)}
	}
	u, err := url.Parse(text)
	switch {
	case len(text) > 2048:
		return wrong("over 2,048 bytes")
	case err != nil || u.Host == "" || u.Hostname() == "":
		return wrong("%q is no address of a webhook, such as https://example.com/hook", text)
	case u.User != nil || u.Fragment != "":
		return wrong("it may have no user and no fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !r.named(u.Hostname())):
		return wrong("it must be https, or http of a host that the operator allows (webhooks.allow)")
	}
	if err := r.literal(u.Hostname()); err != nil {
		return wrong("%v", err)
	}
	return u, nil
}
