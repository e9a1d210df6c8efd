package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"headrace/internal/llm"
)

// ErrTerminated is the cause of the end of Serve's context when a process
// manager stops the program: load balancers may still send requests then, so
// the listener stays open for shutdown.listen. Any other cause, such as a
// person's Ctrl-C, closes it at once.
var ErrTerminated = errors.New("the process is asked to end")

// errStopping is what the requests are told that outlast the drain.
var errStopping = &llm.Error{Class: llm.Unavailable, Message: "the gateway is stopping", RetryAfter: time.Second}

// lastWords is how long the streams that are cut in the end have to give their
// clients the error and to note their rows.
const lastWords = 2 * time.Second

// drain ends a server that answers requests: it says so at /readyz, listens on
// for a while, lets what runs end by itself, and in the end cuts what is left
// with an error in the client's dialect. cut ends the context of all requests;
// rested waits for what runs without a client.
func (a *App) drain(ctx context.Context, server *http.Server, cut context.CancelCauseFunc, rested func(context.Context)) error {
	limits := a.config().Shutdown
	a.gateway.Drain()
	a.ready.Store(false)
	a.stopping.Store(true)
	a.endOnce.Do(func() { close(a.ends) })
	drain, forced := context.WithCancel(context.WithoutCancel(ctx))
	defer forced()
	if a.o.Force != nil {
		go func() { // ends with drain
			select {
			case <-a.o.Force:
				forced()
			case <-drain.Done():
			}
		}()
	}
	if grace := limits.Listen.Std(); grace > 0 && errors.Is(context.Cause(ctx), ErrTerminated) {
		a.log.Info("stopping: not ready any more, but still listening", "for", grace)
		sleep(drain, grace)
	}
	a.log.Info("stopping: new requests are refused, those that run may end; a second signal ends them now", "running", a.gateway.Running(), "for", limits.Drain.Std())
	left, cancel := context.WithTimeout(drain, limits.Drain.Std())
	defer cancel()
	err := server.Shutdown(left)
	rested(left)
	if left.Err() == nil {
		return err
	}
	if n := a.gateway.Running(); n > 0 {
		a.log.Warn("requests were still running when the drain ended; they are cut", "running", n)
	}
	cut(errStopping)
	a.closeDrains()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	rested(last)
	if err := server.Shutdown(last); err == nil {
		return nil
	}
	err = server.Close()
	a.awaitRows()
	return err
}

// awaitRows waits for the handlers of closed connections: they have rows to
// note yet.
func (a *App) awaitRows() {
	for end := time.Now().Add(lastWords); a.gateway.Running() > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
