package webhook

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// This file is about what operators are told: of budgets, breakers, credentials
// and prices. It goes to addresses of the configuration and is kept in memory
// alone, for as long as it is tried again.

// Notice is something that an operator wants to know.
type Notice struct {
	// Kind is its kind: budget.reached, breaker.opened and so on.
	Kind string
	At   time.Time
	// Text says it to a person, Data to a program; neither holds what was said to
	// a model, nor a credential.
	Text string
	Data map[string]any
}

// Ear is an address that an operator is told at.
type Ear struct {
	URL string
	// Key signs the messages; see Key.
	Key []byte
	// Kinds are what it wants to hear of, by their beginnings; none is all.
	Kinds []string
}

// Key reads a secret: whsec_ with base64 as Standard Webhooks writes it, or any
// other text as it is.
func Key(secret string) []byte {
	if text, ok := strings.CutPrefix(secret, secretPrefix); ok {
		if key, err := base64.StdEncoding.DecodeString(text); err == nil {
			return key
		}
	}
	return []byte(secret)
}

// Check says what is wrong with an address by the rules; nil is nothing.
func (r *Rules) Check(address string) error {
	_, err := r.address(address)
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return errors.New(strings.TrimPrefix(e.Message, "url: "))
	}
	return err
}

// mostWaiting is how many notices wait to be sent, to all ears together.
const mostWaiting = 256

// tryAgain is how long after a try that failed the next one comes. After the
// last one a notice is given up.
var tryAgain = []time.Duration{2 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute}

// Crier tells operators. Set the fields before Run; a nil Crier tells nobody.
// Safe for concurrent use.
type Crier struct {
	Ears  []Ear
	Rules *Rules
	Log   *slog.Logger
	// Again replaces how long after a failed try the next one comes; nil is about
	// half an hour in five steps.
	Again []time.Duration

	ids     ledger.IDs
	once    sync.Once
	wake    chan struct{}
	mu      sync.Mutex // guards waiting and lost
	waiting []cry
	lost    int
}

// cry is a notice on its way to one ear.
type cry struct {
	ear   *Ear
	id    string
	kind  string
	body  []byte
	tries int
	due   time.Time
}

func (c *Crier) init() { c.once.Do(func() { c.wake = make(chan struct{}, 1) }) }

// Tell tells everybody who wants to hear of it. It never waits; when too much
// waits already the notice is lost, and counted in the log.
func (c *Crier) Tell(n Notice) {
	if c == nil {
		return
	}
	c.init()
	body, err := json.Marshal(map[string]any{"type": n.Kind, "timestamp": n.At.UTC().Format(time.RFC3339Nano), "text": n.Text, "data": n.Data}, json.Deterministic(true))
	if err != nil {
		c.Log.Error("alerts: a notice cannot be written", "kind", n.Kind, "error", err)
		return
	}
	id := "msg_" + strings.TrimPrefix(c.ids.New(n.At).String(), "req_")
	c.mu.Lock()
	for i := range c.Ears {
		e := &c.Ears[i]
		if len(e.Kinds) > 0 && !slices.ContainsFunc(e.Kinds, func(k string) bool { return k == n.Kind || strings.HasPrefix(n.Kind, k+".") }) {
			continue
		}
		if len(c.waiting) >= mostWaiting {
			c.lost++
			continue
		}
		c.waiting = append(c.waiting, cry{ear: e, id: id, kind: n.Kind, body: body, due: n.At})
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. What waits then is tried once more, for two seconds
// at most.
func (c *Crier) Run(ctx context.Context) {
	if c == nil {
		return
	}
	c.init()
	client := c.Rules.client()
	for ctx.Err() == nil {
		next := c.round(ctx, client, time.Now())
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-c.wake:
		case <-t.C:
		}
		t.Stop()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	c.round(last, client, time.Now().Add(time.Hour))
	c.mu.Lock()
	left := len(c.waiting)
	c.mu.Unlock()
	if left > 0 {
		c.Log.Warn("alerts: notices were not taken before the end", "notices", left)
	}
}

// round tries what is due and gives how long it is to the next.
func (c *Crier) round(ctx context.Context, client *http.Client, now time.Time) time.Duration {
	c.mu.Lock()
	var due []cry
	c.waiting = slices.DeleteFunc(c.waiting, func(x cry) bool {
		if x.due.After(now) {
			return false
		}
		due = append(due, x)
		return true
	})
	if c.lost > 0 {
		c.Log.Error("alerts: too much waits to be told", "lost", c.lost)
		c.lost = 0
	}
	c.mu.Unlock()
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, x := range due {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			c.one(ctx, client, x)
		})
	}
	running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	next := time.Hour
	for i := range c.waiting {
		next = min(next, max(time.Until(c.waiting[i].due), time.Millisecond))
	}
	return next
}

// one tries one notice at one ear.
func (c *Crier) one(ctx context.Context, client *http.Client, x cry) {
	x.tries++
	wait, err := post(ctx, client, x.ear.URL, x.ear.Key, x.id, x.body)
	if err == nil {
		return
	}
	again := c.Again
	if again == nil {
		again = tryAgain
	}
	if x.tries > len(again) {
		c.Log.Error("alerts: a notice is given up", "id", x.id, "kind", x.kind, "tries", x.tries, "error", err)
		return
	}
	c.Log.Warn("alerts: a notice was not taken", "id", x.id, "kind", x.kind, "tries", x.tries, "error", err)
	x.due = time.Now().Add(max(again[x.tries-1], min(wait, time.Hour)))
	c.mu.Lock()
	c.waiting = append(c.waiting, x)
	c.mu.Unlock()
}
