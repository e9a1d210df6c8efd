package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
)

// allowed gives the models that a caller may use.
func (s *Snapshot) allowed(p *access.Principal) []llm.ModelInfo {
	return slices.DeleteFunc(slices.Clone(s.Models), func(m llm.ModelInfo) bool {
		return !p.MayUse(m.OwnedBy, strings.TrimPrefix(m.ID, m.OwnedBy+"/"), m.ID)
	})
}

// ask answers a question that takes no provider: who may ask, then what. It has
// a row like any request.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request, d *door, answer func(p *access.Principal) ([]byte, *llm.Error)) {
	x := &exchange{g: g, s: g.snapshot.Load(), door: d, start: time.Now()}
	x.entry = ledger.Entry{ID: g.o.Ledger.NewID(x.start), At: x.start, Dialect: d.name, Op: d.op}
	x.reply = newReply(w, d, x)
	defer x.close()
	p, fail := g.caller(r, x)
	var body []byte
	if fail == nil {
		body, fail = answer(&p)
	}
	if fail != nil {
		x.refuse(fail)
		return
	}
	a := &llm.Answer{Native: true, Status: http.StatusOK, ContentType: "application/json", Body: body}
	if err := x.reply.Whole(a, relay.Meta{}); err != nil {
		x.entry.Class = llm.ClientGone
	}
}

// models lists what the caller may use.
func (g *Gateway) models(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		return d.AppendModels(nil, g.snapshot.Load().allowed(p)), nil
	})
}

// model shows one model.
func (g *Gateway) model(w http.ResponseWriter, r *http.Request, d *door) {
	id := r.PathValue("id")
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		for _, m := range g.snapshot.Load().allowed(p) {
			if m.ID == id {
				return d.AppendModel(nil, m), nil
			}
		}
		return nil, llm.Errorf(llm.ModelNotFound, "model: %s", id)
	})
}

// request shows the ledger's row of a request to the key that made it.
func (g *Gateway) request(w http.ResponseWriter, r *http.Request) {
	d := &door{dialects[like(r)], llm.OpModels}
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		id, err := ledger.ParseID(r.PathValue("id"))
		if err != nil {
			return nil, llm.Errorf(llm.NotFound, "request %q: %v", r.PathValue("id"), err)
		}
		e, ok, err := g.o.Ledger.Request(r.Context(), id)
		if err != nil {
			return nil, &llm.Error{Class: llm.Unavailable, Message: "the ledger cannot be read now", Cause: err}
		}
		if !ok || e.KeyID != p.KeyID {
			return nil, llm.Errorf(llm.NotFound, "there is no request %s of this key", id)
		}
		return encodeRow(&e)
	})
}

// nowhere answers every other path, in the dialect that it looks like.
func (g *Gateway) nowhere(w http.ResponseWriter, r *http.Request) {
	d := &door{dialects[like(r)], llm.OpRaw}
	g.ask(w, r, d, func(*access.Principal) ([]byte, *llm.Error) {
		return nil, llm.Errorf(llm.NotFound, "there is no %s %s here", r.Method, r.URL.Path)
	})
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, map[bool]string{false: "ready", true: "draining"}[g.draining.Load()])
}
