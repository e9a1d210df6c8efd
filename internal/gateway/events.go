package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// This file is about the answers of a job as they come.

// stillHere is how often a stream of events shows that it lives.
const stillHere = 15 * time.Second

// jobEvents streams a job's results as they come: "progress" with the job
// whenever it has moved, "result" with each answer, and "end" with the job. Who
// comes again with the id of the last result (Last-Event-ID, or ?after=) goes on
// behind it; without one all results come.
func (g *Gateway) jobEvents(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "job", anyPrefix)
		if fail != nil {
			return fail
		}
		after, fail := lastEvent(req)
		if fail != nil {
			return fail
		}
		ctx, cancel := context.WithCancel(ctx)
		e := events{x: x, out: x.stream(eventStream), after: after}
		watched := make(chan watching)
		go func() { // ends with ctx, at the latest below
			defer close(watched)
			for j, err := range g.o.Batches.Watch(ctx, j.Owner, j.ID) {
				select {
				case watched <- watching{j, err}:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() {
			cancel()
			for range watched {
			}
		}()
		e.follow(ctx, watched)
		return nil
	})
}

// eventID is the id of the event of an answer: its number and its place in the
// job.
func eventID(it *batch.Item) string { return fmt.Sprintf("%d-%d", it.Seq, it.Index) }

// lastEvent reads where a client has been.
func lastEvent(req *http.Request) (at batch.Cursor, fail *llm.Error) {
	id := req.Header.Get("Last-Event-ID")
	if id == "" {
		id = req.URL.Query().Get("after")
	}
	if id == "" {
		return at, nil
	}
	seq, index, ok := strings.Cut(id, "-")
	n, err := strconv.ParseInt(seq, 10, 64)
	i, err2 := strconv.Atoi(index)
	if !ok || err != nil || err2 != nil || n < 0 || i < 0 {
		return at, llm.Errorf(llm.InvalidRequest, "last-event-id %q is no id of a result", id)
	}
	return batch.Cursor{Seq: n, Index: i}, nil
}

type watching struct {
	job batch.Job
	err error
}

// events is a stream of a job's events.
type events struct {
	x   *exchange
	out *bufio.Writer
	// after is the last result that was written.
	after batch.Cursor
	buf   []byte
}

// follow writes until the job has ended, or the client is gone.
func (e *events) follow(ctx context.Context, watched <-chan watching) {
	tick := time.NewTicker(stillHere)
	defer tick.Stop()
	for {
		if !e.flush() {
			return
		}
		select {
		case <-ctx.Done():
			e.x.cut(llm.ClientGone)
			return
		case <-tick.C:
			e.buf = sse.AppendComment(e.buf, "keep-alive")
		case at, ok := <-watched:
			if !ok || at.err != nil { // it was deleted, or cannot be read
				e.x.cut(llm.Unavailable)
				return
			}
			e.event("progress", jobOf(&at.job))
			if !e.results(ctx, &at.job) {
				return
			}
			if !at.job.Ended.IsZero() {
				e.event("end", jobOf(&at.job))
				e.flush()
				return
			}
		}
	}
}

func (e *events) event(name string, v any) {
	line := mustLine(v)
	e.buf = sse.AppendEvent(e.buf, name, line[:len(line)-1])
}

// flush sends what there is; not ok means that the client is gone.
func (e *events) flush() bool {
	_, err := e.out.Write(e.buf)
	e.buf = e.buf[:0]
	if err == nil {
		err = e.out.Flush()
	}
	if err == nil {
		err = e.x.reply.Flush()
	}
	if err != nil {
		e.x.cut(llm.ClientGone)
	}
	return err == nil
}

// results writes the answers that are new; not ok means that the stream is over.
func (e *events) results(ctx context.Context, j *batch.Job) bool {
	for it, err := range e.x.g.o.Batches.Answered(ctx, j.Owner, j.ID, e.after) {
		if err != nil {
			e.x.cut(llm.Unavailable)
			return false
		}
		e.after = batch.Cursor{Seq: it.Seq, Index: it.Index}
		e.buf = append(append(append(e.buf, "id: "...), eventID(&it)...), '\n')
		e.buf = sse.AppendEvent(e.buf, "result", resultOf(j, &it))
		if len(e.buf) > step && !e.flush() {
			return false
		}
	}
	return true
}
