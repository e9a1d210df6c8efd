package gateway

import (
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
)

// This file is about single requests that are answered later, and about any job
// as we show it ourselves.

// later says that a request is not waited for (RFC 7240, 4.1). Others than chats
// and embeddings do not know that preference and are answered at once.
func (x *exchange) later(req *http.Request) bool {
	if x.g.o.Batches == nil || x.reply.door.op != llm.OpChat && x.reply.door.op != llm.OpEmbed {
		return false
	}
	for _, line := range req.Header["Prefer"] {
		for pref := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(pref, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

// leave leaves a request behind as a job and tells the client where it is.
func (x *exchange) leave(ctx context.Context, req *http.Request, p *access.Principal, d *llm.Draft) {
	x.about(d)
	x.row.Streamed = false
	if fail := x.left(ctx, req, p, d); fail != nil {
		x.refuse(fail)
	}
}

func (x *exchange) left(ctx context.Context, req *http.Request, p *access.Principal, d *llm.Draft) *llm.Error {
	door := x.reply.door
	if d.Head.Stream {
		return &llm.Error{Class: llm.InvalidRequest, Param: "stream", Message: "stream: an answer that is not waited for is not streamed; its job's events are"}
	}
	j, fail := x.newJob(p, req.Header, batch.FormSingle, batchWindow)
	if fail != nil {
		return fail
	}
	if fail := x.leads(p, door, d.Op, d.Head.Model); fail != nil {
		return fail
	}
	if j.Name = door.at; strings.HasPrefix(j.Name, ":") {
		j.Name = geminiPaths[0] + d.Head.Model + door.at
	}
	it := batch.Item{CustomID: x.row.ID.String(), Dialect: d.Dialect, Op: d.Op, Model: d.Head.Model, Body: d.Raw}
	if req.Header.Get("Idempotency-Key") != "" {
		it.CustomID = "request" // what is sent again must be the same
	}
	j, fail = x.submit(ctx, req, j, about{}, func(yield func(batch.Item, error) bool) { yield(it, nil) })
	if fail != nil {
		return fail
	}
	h := x.reply.w.Header()
	h["Location"] = []string{"/v1/jobs/" + shown(jobPrefix, j.ID)}
	h["Preference-Applied"] = []string{"respond-async"}
	return x.tell(http.StatusAccepted, jobOf(&j))
}

// jobObject is how a job is shown. Money is in nanodollars (1e-9 US dollars).
type jobObject struct {
	ID       string          `json:"id"`
	Object   string          `json:"object"`
	Status   string          `json:"status"`
	Form     batch.Form      `json:"form"`
	Created  time.Time       `json:"created_at"`
	Deadline time.Time       `json:"deadline"`
	Canceled *time.Time      `json:"canceled_at"`
	Ended    *time.Time      `json:"ended_at"`
	Total    int64           `json:"total"`
	Counts   batch.Counts    `json:"counts"`
	Spent    llm.Nanodollars `json:"spent_nanodollars"`
	RealTime llm.Nanodollars `json:"realtime_nanodollars"`
	Saved    llm.Nanodollars `json:"saved_nanodollars"`
	Double   llm.Nanodollars `json:"double_nanodollars"`
	// Forecast is what was expected when the ways were chosen; null before.
	Forecast *forecastObject `json:"forecast"`
	// Response is the answer of a job of one request.
	Response *outputResponse `json:"response,omitzero"`
}

// forecastObject is what is expected of a job.
type forecastObject struct {
	// Saving is the part of the price of real time that should be saved.
	Saving float64 `json:"saving"`
	// Risk is the chance that a batch does not end before LeavesAt, and what is
	// left of it is asked in real time; null when nothing goes by batch.
	Risk     *float64   `json:"risk"`
	LeavesAt *time.Time `json:"leaves_batch_at"`
}

func forecastOf(f *batch.Forecast) *forecastObject {
	if *f == (batch.Forecast{}) {
		return nil
	}
	o := &forecastObject{Saving: thousandth(1 - f.Share), LeavesAt: moment(f.Leaves)}
	if o.LeavesAt != nil {
		risk := thousandth(1 - f.InTime)
		o.Risk = &risk
	}
	return o
}

func thousandth(v float64) float64 { return math.Round(v*1000) / 1000 }

func jobOf(j *batch.Job) jobObject {
	o := jobObject{ID: shown(jobPrefix, j.ID), Object: "job", Form: j.Form, Created: j.Created.UTC(), Deadline: j.Deadline.UTC(),
		Canceled: moment(j.Canceled), Ended: moment(j.Ended), Total: j.Counts.Total(), Counts: j.Counts,
		Spent: j.Spent, RealTime: j.RealTime, Saved: j.RealTime - j.Spent, Double: j.Double, Forecast: forecastOf(&j.Forecast)}
	if o.Counts == nil {
		o.Counts = batch.Counts{}
	}
	c := j.Counts
	switch {
	case o.Ended == nil && o.Canceled != nil:
		o.Status = "canceling"
	case o.Ended == nil && c[batch.Queued] == o.Total:
		o.Status = "queued"
	case o.Ended == nil:
		o.Status = "running"
	case j.Form != batch.FormSingle:
		o.Status = "ended"
	default:
		for _, s := range []batch.State{batch.Succeeded, batch.Failed, batch.Canceled, batch.Expired} {
			if c[s] > 0 {
				o.Status = string(s)
			}
		}
	}
	return o
}

// singleAnswer is the answer of a job of one request; nil when there is none.
func singleAnswer(it *batch.Item) *outputResponse {
	if !it.State.Final() {
		return nil
	}
	r := &outputResponse{}
	if a := it.Answer; a != nil {
		r.RequestID = a.RequestID
	}
	if it.State == batch.Succeeded {
		r.Status, r.Body = it.Answer.Status, flat(it.Answer.Body)
		return r
	}
	status, body := answerError(it)
	r.Status, r.Body = status, flat(body)
	return r
}

var anyPrefix = []string{jobPrefix, batchPrefix, messageBatchPrefix}

// job shows one, with its answer if it has one request.
func (g *Gateway) job(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail != nil {
			return fail
		}
		o := jobOf(&j)
		if j.Form == batch.FormSingle && !j.Ended.IsZero() {
			for it, err := range g.o.Batches.Items(ctx, j.Owner, j.ID) {
				if err != nil {
					return batchFail(err, "job")
				}
				o.Response = singleAnswer(&it)
			}
		}
		return x.tell(http.StatusOK, o)
	})
}

// jobs lists the caller's, of every form.
func (g *Gateway) jobs(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		limit, fail := limitOf(req, 100)
		if fail != nil {
			return fail
		}
		after, fail := cursor(req, "after", jobPrefix)
		if fail != nil {
			return fail
		}
		found, fail := x.pageOf(ctx, p.KeyID, after, 0, limit, batch.FormSingle, batch.FormMessages, batch.FormFiles, batch.FormLines)
		if fail != nil {
			return fail
		}
		list := openAIList[jobObject]{Object: "list", Data: []jobObject{}, More: found.more}
		for i := range found.jobs {
			list.Data = append(list.Data, jobOf(&found.jobs[i]))
		}
		if n := len(list.Data); n > 0 {
			list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
		}
		return x.tell(http.StatusOK, list)
	})
}

// cancelJob asks for the end of one.
func (g *Gateway) cancelJob(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail == nil {
			fail = x.stop(ctx, &j)
		}
		if fail != nil {
			return fail
		}
		return x.tell(http.StatusOK, jobOf(&j))
	})
}

// deleteJob forgets a job that has ended, and asks for the end of any other.
func (g *Gateway) deleteJob(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail != nil {
			return fail
		}
		if j.Ended.IsZero() {
			if fail := x.stop(ctx, &j); fail != nil {
				return fail
			}
			return x.tell(http.StatusAccepted, jobOf(&j))
		}
		id := shown(jobPrefix, j.ID)
		if err := g.o.Batches.Delete(ctx, j.Owner, j.ID); err != nil {
			return batchFail(err, "job "+id)
		}
		return x.tell(http.StatusOK, struct {
			ID      string `json:"id"`
			Object  string `json:"object"`
			Deleted bool   `json:"deleted"`
		}{id, "job", true})
	})
}

// retryJob queues what failed, expired or was canceled again.
func (g *Gateway) retryJob(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail != nil {
			return fail
		}
		end, fail := due(req.Header, x.reply.start, batchWindow)
		if fail != nil {
			return fail
		}
		if _, err := g.o.Batches.Retry(ctx, j.Owner, j.ID, end); err != nil {
			return batchFail(err, "job")
		}
		j, err := g.o.Batches.Job(ctx, j.Owner, j.ID)
		if err != nil {
			return batchFail(err, "job")
		}
		return x.tell(http.StatusOK, jobOf(&j))
	})
}

// jobResults streams what answers there are, a line for each in the form of the
// job's door. A job need not have ended for that.
func (g *Gateway) jobResults(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail != nil {
			return fail
		}
		x.lines(ctx, &j, "application/x-ndjson", nil, func(it *batch.Item) []byte {
			if !it.State.Final() {
				return nil
			}
			return append(resultOf(&j, it), '\n')
		})
		return nil
	})
}

// resultOf is an answer in the form of its job's door, without a newline.
func resultOf(j *batch.Job, it *batch.Item) []byte {
	var line []byte
	switch j.Form {
	case batch.FormMessages:
		line = messageLine(it)
	case batch.FormSingle:
		line = mustLine(singleAnswer(it))
	default:
		line = outputLine(it)
	}
	return line[:len(line)-1]
}
