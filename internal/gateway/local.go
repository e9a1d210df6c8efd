package gateway

import (
	"net/http"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/tokens"
	"headrace/internal/wire/ollama"
)

// This file is about requests with a plan that are answered without a provider.

// local answers a request that needs no provider; ok says that it did.
func (x *exchange) local(plan *route.Plan, d *llm.Draft) (ok bool, fail *llm.Error) {
	if d.Op == llm.OpCountTokens {
		return x.counted(&plan.Targets[0], d)
	}
	return x.loaded(&plan.Targets[0], d)
}

// counted answers a count_tokens request for a model whose provider cannot
// count, with our own estimate.
func (x *exchange) counted(t *route.Target, d *llm.Draft) (ok bool, fail *llm.Error) {
	own, also := x.s.Counts(t.Provider, d.Dialect)
	if own {
		return false, nil
	}
	if also {
		x.reply.instead = func() error { return x.count(t, d, t.Provider+" did not count") }
		return false, nil
	}
	if err := x.count(t, d, t.Provider+" does not count"); err != nil {
		return true, asError(err, llm.InvalidRequest)
	}
	return true, nil
}

// count answers with our own estimate. An error is the request's.
func (x *exchange) count(t *route.Target, d *llm.Draft, why string) error {
	r, err := d.Request()
	if err != nil {
		return err
	}
	n := x.g.o.Tokens.Adjust(t.Model, tokens.EstimateRequest(r, tokens.FamilyOf(t.Model)))
	x.give(&llm.Answer{Status: http.StatusOK, Count: n}, relay.Meta{Target: t, Warnings: []string{"count: estimated, " + why}})
	return nil
}

// loads is the size in bytes of the largest request that only loads a model.
const loads = 4 << 10

// loaded answers a request of an Ollama client that only wants its model in
// memory, or out of it again: models of other providers are always there.
func (x *exchange) loaded(t *route.Target, d *llm.Draft) (ok bool, fail *llm.Error) {
	codec, ok := x.reply.door.Codec.(ollama.Codec)
	if !ok || d.Op != llm.OpChat || len(d.Raw) > loads {
		return false, nil
	}
	if row, ok := x.s.Catalog.Provider(t.Provider); ok && row.Dialect == llm.Ollama {
		return false, nil
	}
	r, err := d.Request()
	if err != nil {
		return true, asError(err, llm.InvalidRequest)
	}
	load, unload := ollama.Loads(r)
	if !load {
		return false, nil
	}
	body := append(codec.AppendLoaded(nil, d.Head.Model, x.reply.start.Unix(), unload), '\n')
	x.give(&llm.Answer{Native: true, Status: http.StatusOK, ContentType: x.reply.door.streamType, Body: body}, relay.Meta{Target: t})
	return true, nil
}
