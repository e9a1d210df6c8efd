package gateway

import (
	"context"
	"net/http"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Job is a request that no connection stands behind, such as an item of a
// batch.
type Job struct {
	Caller access.Principal
	// Path is that of the door that it would have come in by, such as
	// "/v1/messages"; it says the dialect, the operation and its form.
	Path string
	// Header holds the request headers of whoever left the job: x-headrace-tags,
	// -session, and what goes on to a provider of the same dialect. A deadline is
	// that of the context.
	Header http.Header
	// Body is written to by nobody.
	Body []byte
	// Priority is one of x-headrace-priority: "batch" lets everybody else go
	// first.
	Priority string
}

// Do takes a job through the rooms as if it had just come in by its door, but
// for the caller, who is known. The answer goes to w in the dialect of the
// door, errors too; w is used by one goroutine at a time and need not flush.
// When ctx ends the upstream is closed. The row is the one that the ledger has
// been given: it says how the job ended. A panic goes on after the row is
// written, and http.ErrAbortHandler is one that cuts an answer which must not
// look whole.
func (g *Gateway) Do(ctx context.Context, j *Job, w http.ResponseWriter) (row ledger.Entry) {
	d, path, ok := doorAt(j.Path)
	x := g.begin(w, d)
	defer func() { row = x.row }()
	defer x.end()
	x.called(&j.Caller)
	fail := llm.Errorf(llm.NotFound, "nothing can be asked at %s", j.Path)
	if ok {
		fail = x.do(ctx, j, path)
	}
	if fail != nil {
		x.refuse(fail)
	}
	return row
}

func (x *exchange) do(ctx context.Context, j *Job, path asked) *llm.Error {
	if fail := x.place.enter(ctx, j.Caller, j.Priority); fail != nil {
		return fail
	}
	if fail := x.place.take(int64(len(j.Body))); fail != nil {
		return fail
	}
	d, fail := x.reply.door.draft(j.Body, path)
	if fail != nil {
		return fail
	}
	x.reply.door.heed(&d, j.Header)
	return x.run(ctx, &j.Caller, &d, j.Header["X-Headrace-Tags"])
}

// doorAt finds the door at the path of a request that goes through the rooms.
// Not ok gives a door of the dialect that the path looks like, for the refusal.
func doorAt(path string) (d *door, a asked, ok bool) {
	for i := range routes {
		if e := &routes[i]; e.path == path && e.method == http.MethodPost && e.handle == nil {
			return e.door(), asked{}, true
		}
	}
	for _, prefix := range geminiPaths {
		if len(path) > len(prefix) && path[:len(prefix)] == prefix {
			if v, model := verbAt(path[len(prefix):], true); v != nil && model != "" {
				return v.door(), asked{model: model}, true
			}
		}
	}
	return likePath(path).door(llm.OpRaw), asked{}, false
}
