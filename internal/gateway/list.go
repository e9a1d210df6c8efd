package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/wire/ollama"
)

// allowed gives the models that a caller may use.
func (s *Snapshot) allowed(p *access.Principal) []llm.ModelInfo {
	return slices.DeleteFunc(slices.Clone(s.Models), func(m llm.ModelInfo) bool {
		return !p.MayUse(m.OwnedBy, strings.TrimPrefix(m.ID, m.OwnedBy+"/"), m.ID)
	})
}

// plain takes off the tag that Ollama's clients put behind names without one,
// at whatever door they ask then: what the list shows as smart:latest is smart.
// A model whose own name ends so keeps it.
func (s *Snapshot) plain(name string) string {
	short, ok := strings.CutSuffix(name, ollama.Latest)
	if !ok || s.shows(name) || !s.shows(short) {
		return name
	}
	return short
}

// base is what a name names: plain, and without an order behind it.
func (s *Snapshot) base(name string) string { return route.Base(s.plain(name), s.Catalog, s.Policy) }

// shows reports whether a model or a route has this name.
func (s *Snapshot) shows(name string) bool {
	return slices.ContainsFunc(s.Models, func(m llm.ModelInfo) bool { return m.ID == name }) || len(s.Catalog.Offers(name)) > 0
}

// ask answers a question that takes no provider: who may ask, then what. It is
// let in like any request, and has a row like any.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request, d *door, answer func(p *access.Principal) ([]byte, *llm.Error)) {
	x := g.begin(w, d)
	defer x.end()
	_, cancel, p, fail := x.enter(r)
	defer cancel()
	var body []byte
	if fail == nil {
		body, fail = answer(&p)
	}
	if fail != nil {
		x.refuse(fail)
		return
	}
	x.give(plain(body), relay.Meta{})
}

// plain is a whole answer of our own in JSON.
func plain(body []byte) *llm.Answer {
	return &llm.Answer{Native: true, Status: http.StatusOK, ContentType: "application/json", Body: body}
}

// models lists what the caller may use.
func (g *Gateway) models(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		all := g.snapshot.Load().allowed(p)
		paged, ok := d.Codec.(pager)
		if !ok {
			return d.AppendModels(nil, all), nil
		}
		page, err := paged.AppendPage(nil, all, r.URL.Query())
		if err != nil {
			return nil, asError(err, llm.InvalidRequest)
		}
		return page, nil
	})
}

// model shows one model.
func (g *Gateway) model(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) { return g.shown(p, d, r.PathValue("id")) })
}

// shown gives one model: by the name that the list shows, else by any name that
// it can be asked for.
func (g *Gateway) shown(p *access.Principal, d *door, id string) ([]byte, *llm.Error) {
	s := g.snapshot.Load()
	all := s.allowed(p)
	find := func(id string) *llm.ModelInfo {
		for i := range all {
			if all[i].ID == id {
				return &all[i]
			}
		}
		return nil
	}
	m := find(s.plain(id))
	if m == nil {
		plan, fail := route.Make(route.Facts{Model: s.plain(id), Vendor: d.vendor, Allowed: p.MayUse}, s.Catalog, s.Policy)
		for i := range plan.Targets {
			t := &plan.Targets[i]
			if row, ok := s.Catalog.Model(t.Provider, t.Model); ok && fail == nil && m == nil {
				m = find(row.Provider + "/" + row.ID)
			}
		}
	}
	if m == nil {
		return nil, llm.Errorf(llm.ModelNotFound, "model: %s", id)
	}
	return d.AppendModel(nil, *m), nil
}

// show shows the model that the body names, as Ollama's clients ask for it.
func (g *Gateway) show(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		body, fail := readBody(r, 1<<20, anySize)
		if fail != nil {
			return nil, fail
		}
		id, err := ollama.Codec{}.DecodeShow(body)
		if err != nil {
			return nil, asError(err, llm.InvalidRequest)
		}
		return g.shown(p, d, id)
	})
}

// loaded answers what models are in memory: none, they are at their providers.
func (g *Gateway) loaded(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(*access.Principal) ([]byte, *llm.Error) { return ollama.Codec{}.AppendPS(nil, nil), nil })
}

// version and alive answer without a key, as Ollama does: clients look with
// them whether anybody is there.
func (g *Gateway) version(w http.ResponseWriter, _ *http.Request, _ *door) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(ollama.Codec{}.AppendVersion(nil))
}

func (g *Gateway) alive(w http.ResponseWriter, _ *http.Request, _ *door) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, ollama.Root)
}

// immovable refuses to fetch, make, copy and delete models.
func (g *Gateway) immovable(w http.ResponseWriter, r *http.Request, d *door) {
	g.ask(w, r, d, func(*access.Principal) ([]byte, *llm.Error) {
		return nil, llm.Errorf(llm.Unsupported, "%s is not done here: this is a gateway, and models stay with their providers; GET /api/tags lists them", r.URL.Path)
	})
}

// request shows the ledger's row of a request to the key that made it.
func (g *Gateway) request(w http.ResponseWriter, r *http.Request) {
	d := like(r).door(llm.OpModels)
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

// nowhere answers every other path, in the dialect that it looks like; methods
// are those that the path does take.
func (g *Gateway) nowhere(w http.ResponseWriter, r *http.Request, methods []string) {
	d := like(r).door(llm.OpRaw)
	fail := llm.Errorf(llm.NotFound, "there is no %s %s here", r.Method, r.URL.Path)
	if len(methods) > 0 && d.name != llm.Gemini { // whose errors hold their status, and have none for this
		allow := strings.Join(methods, ", ")
		w.Header().Set("Allow", allow)
		fail = &llm.Error{Class: llm.InvalidRequest, Status: http.StatusMethodNotAllowed,
			Message: fmt.Sprintf("there is no %s %s here; the path takes %s", r.Method, r.URL.Path, allow)}
	}
	g.ask(w, r, d, func(*access.Principal) ([]byte, *llm.Error) { return nil, fail })
}

func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	if g.draining.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, map[bool]string{false: "ready", true: "draining"}[g.draining.Load()])
}
