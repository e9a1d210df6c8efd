package relay

import (
	"bytes"
	"context"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"headrace/internal/llm"
)

// reach is how much of an attempt the client has seen.
type reach int

const (
	// nothing: any target may still be tried.
	nothing reach = iota
	// content: the answer has begun and cannot be taken back.
	content
	// told: the answer has begun and the client has been given its error too,
	// in the provider's own bytes.
	told
)

// copier passes one streamed answer on.
type copier struct {
	reply   Reply
	answer  *llm.Answer
	meta    Meta
	attempt *Attempt
	idle    *time.Timer // ends the attempt; reset at every piece
	idleFor time.Duration
	holdFor time.Duration
	first   *time.Timer // ends the attempt that has no content; nil is none
	// need is how many bytes of text commit; with fewer within warmUp of the first
	// of them cancel ends the attempt.
	need   int
	warmUp time.Duration
	cancel context.CancelCauseFunc
	leaves *leaving
	// turnsAway says with which end an answer is left for the next target if the
	// client has been given nothing of it; nil is none.
	turnsAway func(llm.Finish) bool
	// refusal is the answer that was left for the next target.
	refusal *refusal

	// mu guards reply and the fields below: the hold timer writes too.
	mu      sync.Mutex
	held    []llm.Piece // lifecycle pieces, not yet given to the client
	reached reach       // content after the commit point
	done    bool
	failed  error // what the hold timer could not write
	hold    *time.Timer
	content bool // content has come
	text    int  // bytes of text that have come before the commit point
	warm    *time.Timer
	touched bool // something was written since the last ping
}

// run copies pieces until the stream ends. It returns nil when the client has
// a complete answer.
func (c *copier) run(ctx context.Context) error {
	c.hold = time.AfterFunc(c.holdFor, c.silence)
	defer func() {
		c.mu.Lock()
		c.done = true
		c.hold.Stop()
		if c.warm != nil {
			c.warm.Stop()
		}
		c.mu.Unlock()
	}()
	finished, refused := false, false
	var broken *llm.Error // the provider's own error, which the client was given
	for {
		p, err := c.answer.Stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if finished || broken != nil {
				break // all is said; how the connection went down is its own affair
			}
			return err
		}
		c.idle.Reset(c.idleFor)
		c.attempt.OutputBytes += p.TextBytes
		commits, answers := false, false
		for i := range p.Events {
			e := &p.Events[i]
			switch {
			case e.Kind == llm.EventUsage:
				c.attempt.Usage = e.Usage
			case e.Kind == llm.EventFinish:
				c.attempt.Finish, finished = e.Finish, true
				refused = c.turnsAway != nil && c.turnsAway(e.Finish)
			case e.Kind == llm.EventError && broken != nil:
			case e.Kind == llm.EventError:
				if !c.tells(p) {
					return e.Err
				}
				broken = e.Err // what follows it is passed on too: usage, an end
			case e.Content():
				answers = true
				commits = commits || c.turnsAway == nil || !mayRefuse(e)
			}
		}
		if answers && c.first != nil {
			c.first.Stop()
		}
		if c.leaves.draining() {
			c.leaves.read(max(len(p.Raw), p.TextBytes))
			continue
		}
		err = c.give(p, commits, finished && !refused)
		if err == nil && !c.answer.Stream.Buffered() {
			err = c.flush()
		}
		if err != nil && !c.leaves.left(ctx) {
			return unreachable(ctx, err)
		}
	}
	if refused && broken == nil && c.untold() {
		c.refusal = &refusal{answer: c.answer, meta: c.meta, pieces: c.held}
		return turnedAway(c.meta.Target, c.answer, c.attempt.Finish)
	}
	switch err := c.flush(); {
	case err != nil && !c.leaves.left(ctx):
		return unreachable(ctx, err)
	case broken != nil:
		c.mu.Lock()
		c.reached = told
		c.mu.Unlock()
		return broken
	case !finished:
		return llm.Errorf(llm.MalformedUpstream, "the stream of %s ended without a finish", c.attempt.Provider)
	}
	return nil
}

// mayRefuse reports whether content is, or may become, a refusal in words: the
// beginning of a message does not say what comes.
func mayRefuse(e *llm.Event) bool {
	if e.Kind == llm.EventBlockStart {
		return e.Block.Kind == llm.ItemMessage
	}
	return e.Delta.Kind == llm.DeltaRefusal
}

// tells reports whether the bytes of a piece tell the client of an error: the
// answer has begun and they are of its dialect. Else an error is the attempt's
// real result before the commit point, and for Reply.Fail to tell after it.
func (c *copier) tells(p llm.Piece) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reached != nothing && c.answer.Native && len(p.Raw) > 0
}

// untold reports whether the client has been given nothing, and sees to it that
// it stays so.
func (c *copier) untold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reached != nothing {
		return false
	}
	c.done = true
	return true
}

// give hands a piece to the client, or holds it back before the commit point:
// until there is content, in time, or the end.
func (c *copier) give(p llm.Piece, content, finished bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	c.touched = true
	if c.reached != nothing {
		return c.reply.Piece(p)
	}
	c.content = c.content || content
	if !finished && !(c.content && c.inTime(p.TextBytes)) {
		c.keep(p)
		return nil
	}
	if err := c.begin(); err != nil {
		return err
	}
	return c.reply.Piece(p)
}

// inTime reports whether the stream has brought enough text; it measures from
// the first text on. c.mu is held.
func (c *copier) inTime(text int) bool {
	c.text += text
	if c.text >= c.need {
		return true
	}
	if c.text > 0 && c.warm == nil {
		c.warm = time.AfterFunc(c.warmUp, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.reached == nothing && !c.done {
				c.need = math.MaxInt // it is too late for more text
				c.cancel(errFloor)
			}
		})
	}
	return false
}

// begin is the commit point. c.mu is held.
func (c *copier) begin() error {
	c.reached = content
	if err := c.reply.Begin(c.answer, c.meta); err != nil {
		return err
	}
	for _, p := range c.held {
		if err := c.reply.Piece(p); err != nil {
			return err
		}
	}
	c.held = nil
	return nil
}

func (c *copier) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reached == nothing {
		return c.failed
	}
	return c.reply.Flush()
}

// silence runs when nothing was given to the client for Hold: what is held
// goes out, and a ping keeps the client's own watchdog quiet (Claude Code
// gives up after 300 s without a byte).
func (c *copier) silence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done || c.failed != nil || c.leaves.draining() {
		return
	}
	c.hold.Reset(c.holdFor)
	if c.reached != nothing && c.touched {
		c.touched = false
		return
	}
	var err error
	switch {
	case c.reached != nothing:
		err = c.reply.Ping()
	case c.warm != nil:
		return // it is decided within the warm-up
	case len(c.held) > 0:
		err = c.begin()
		c.touched = false
	default:
		return // the provider has said nothing: another target may still be tried
	}
	if err == nil {
		err = c.reply.Flush()
	}
	c.failed = err
}

// keep holds a copy of a piece, which must outlive the next read. Bytes that are
// passed on are held one behind the other; what they say counts for Reply at
// their end alone. c.mu is held.
func (c *copier) keep(p llm.Piece) {
	n := len(c.held)
	switch bare := c.answer.Native && !slices.ContainsFunc(p.Events, func(e llm.Event) bool { return e.Terminal() }); {
	case !bare:
		c.held = append(c.held, llm.Piece{Raw: bytes.Clone(p.Raw), Data: bytes.Clone(p.Data), Events: slices.Clone(p.Events)})
	case n > 0 && c.held[n-1].Events == nil:
		c.held[n-1].Raw = append(c.held[n-1].Raw, p.Raw...)
	default:
		c.held = append(c.held, llm.Piece{Raw: bytes.Clone(p.Raw)})
	}
}
