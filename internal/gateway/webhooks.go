package gateway

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
	"headrace/internal/webhook"
)

// Webhooks keeps whom clients want to be told; webhook.Book is one. Safe for
// concurrent use.
type Webhooks interface {
	// Register notes an address; the secret is seen this once.
	Register(ctx context.Context, owner, address string) (webhook.Endpoint, llm.Secret, error)
	List(ctx context.Context, owner string) ([]webhook.Endpoint, error)
	Drop(ctx context.Context, owner string, id webhook.EndpointID) (bool, error)
	// Find finds an owner's by id or address.
	Find(ctx context.Context, owner, name string) (webhook.Endpoint, bool, error)
}

// webhookObject is how a webhook is shown.
type webhookObject struct {
	ID      string    `json:"id"`
	Object  string    `json:"object"`
	URL     string    `json:"url"`
	Created time.Time `json:"created_at"`
	// Secret is there once, in the answer that made it.
	Secret string `json:"secret,omitzero"`
}

func webhookOf(e *webhook.Endpoint) webhookObject {
	return webhookObject{ID: e.ID.String(), Object: "webhook", URL: e.URL, Created: e.Created.UTC()}
}

// hooked is counter for the doors that need Webhooks.
func (g *Gateway) hooked(w http.ResponseWriter, req *http.Request, d *door, answer func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		if g.o.Webhooks == nil {
			return llm.Errorf(llm.Unsupported, "no webhooks are told here")
		}
		return answer(ctx, x, p)
	})
}

// createWebhook registers an address and shows its secret, this once.
func (g *Gateway) createWebhook(w http.ResponseWriter, req *http.Request, d *door) {
	g.hooked(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		body, fail := x.body(req)
		if fail != nil {
			return fail
		}
		var v struct {
			URL string `json:"url"`
		}
		if err := json.Unmarshal(body, &v, json.RejectUnknownMembers(true)); err != nil {
			return llm.Errorf(llm.InvalidRequest, "the body is not what a webhook is made of: %v", err)
		}
		e, secret, err := g.o.Webhooks.Register(ctx, p.KeyID, v.URL)
		if err != nil {
			return asError(err, llm.Unavailable)
		}
		o := webhookOf(&e)
		o.Secret = secret.Reveal()
		return x.tell(http.StatusCreated, o)
	})
}

// webhooks lists the caller's.
func (g *Gateway) webhooks(w http.ResponseWriter, req *http.Request, d *door) {
	g.hooked(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		found, err := g.o.Webhooks.List(ctx, p.KeyID)
		if err != nil {
			return asError(err, llm.Unavailable)
		}
		list := openAIList[webhookObject]{Object: "list", Data: []webhookObject{}}
		for i := range found {
			list.Data = append(list.Data, webhookOf(&found[i]))
		}
		if n := len(list.Data); n > 0 {
			list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
		}
		return x.tell(http.StatusOK, list)
	})
}

// deleteWebhook forgets one, and what is on its way to it.
func (g *Gateway) deleteWebhook(w http.ResponseWriter, req *http.Request, d *door) {
	g.hooked(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		name := req.PathValue("id")
		id, ok := webhook.ParseID(name)
		if ok {
			var err error
			if ok, err = g.o.Webhooks.Drop(ctx, p.KeyID, id); err != nil {
				return asError(err, llm.Unavailable)
			}
		}
		if !ok {
			return llm.Errorf(llm.NotFound, "there is no webhook %s of this key", strconv.Quote(name))
		}
		return x.tell(http.StatusOK, struct {
			ID      string `json:"id"`
			Object  string `json:"object"`
			Deleted bool   `json:"deleted"`
		}{name, "webhook", true})
	})
}

// hook finds whom a new job wants to be told of its end: x-headrace-webhook is
// the id or the address of one that is registered.
func (x *exchange) hook(ctx context.Context, h http.Header) (id string, fail *llm.Error) {
	name := h.Get("X-Headrace-Webhook")
	if name == "" {
		return "", nil
	}
	if x.g.o.Webhooks == nil {
		return "", llm.Errorf(llm.Unsupported, "no webhooks are told here")
	}
	e, ok, err := x.g.o.Webhooks.Find(ctx, x.row.KeyID, name)
	switch {
	case err != nil:
		return "", asError(err, llm.Unavailable)
	case !ok:
		return "", llm.Errorf(llm.InvalidRequest, "x-headrace-webhook: %q is not registered by this key; POST /v1/webhooks registers it", name)
	}
	return e.ID.String(), nil
}

// JobEnded is what a webhook is told of the end of a job. It holds no answers:
// who is told fetches them with a key.
func JobEnded(j *batch.Job) []byte {
	line := mustLine(struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Data      jobObject `json:"data"`
	}{"job.ended", j.Ended.UTC(), jobOf(j)})
	return line[:len(line)-1]
}
