package webhook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Sender brings messages to their endpoints, each at least once. Set the fields
// before Run.
type Sender struct {
	Store Store
	Seal  Sealer
	Rules *Rules
	// Body is what is told of the end of a job; not ok when there is nothing to
	// tell any more.
	Body func(ctx context.Context, d *Delivery) (body []byte, ok bool, err error)
	// Worker names this process among others, the same after a restart.
	Worker string
	Log    *slog.Logger

	once sync.Once
	wake chan struct{}
}

// schedule is how long after a try the next one comes (Standard Webhooks 1.0,
// "Retry schedule"). After the last one the message is given up.
var schedule = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
	14 * time.Hour, 20 * time.Hour, 24 * time.Hour}

const (
	// leased is longer than one try takes.
	leased = time.Minute
	// look is the time between two looks at what is due.
	look = 5 * time.Second
	// atOnce is how many messages are sent at once.
	atOnce = 8
)

func (s *Sender) init() { s.once.Do(func() { s.wake = make(chan struct{}, 1) }) }

// Wake says that there is a new message.
func (s *Sender) Wake() {
	s.init()
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run sends until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	s.init()
	if err := s.Store.FreeDeliveries(ctx, s.Worker); err != nil {
		s.Log.Error("webhooks: what was being sent before the start waits until its leases end", "error", err)
	}
	client := s.Rules.client()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		n, err := s.some(ctx, client)
		if err != nil && ctx.Err() == nil {
			s.Log.Error("webhooks: a round failed", "error", err)
		}
		if n == atOnce && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// some sends what is due, and says how many were.
func (s *Sender) some(ctx context.Context, client *http.Client) (int, error) {
	now := time.Now()
	due, err := s.Store.ClaimDeliveries(ctx, s.Worker, now, now.Add(leased), atOnce)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	for i := range due {
		wg.Go(func() {
			if err := s.one(ctx, client, &due[i]); err != nil && ctx.Err() == nil {
				s.Log.Error("webhooks: a message", "id", due[i].ID(), "error", err)
			}
		})
	}
	wg.Wait()
	return len(due), nil
}

// one tries a message once and writes what became of it.
func (s *Sender) one(ctx context.Context, client *http.Client, d *Delivery) error {
	id, ok := ParseID(d.Endpoint)
	var e Endpoint
	var err error
	if ok {
		if e, ok, err = s.Store.Endpoint(ctx, id); err != nil {
			return err
		}
	}
	if !ok { // it was deleted
		return s.Store.EndDelivery(ctx, d)
	}
	if len(d.Body) == 0 {
		if d.Body, ok, err = s.Body(ctx, d); err != nil {
			return err
		}
		if !ok {
			return s.Store.EndDelivery(ctx, d)
		}
		if err := s.Store.KeepBody(ctx, d); err != nil {
			return err
		}
	}
	key, err := s.Seal.Open(label(e.ID), e.Sealed)
	if err != nil {
		return fmt.Errorf("the secret of %s: %w", e.ID, err)
	}
	d.Tries++
	wait, err := send(ctx, client, &e, key, d)
	done := context.WithoutCancel(ctx) // what was heard is not sent again because the process ends
	switch {
	case err == nil:
		return s.Store.EndDelivery(done, d)
	case ctx.Err() != nil:
		return nil // the lease is freed at the next start
	case d.Tries > len(schedule):
		s.Log.Error("webhooks: a message is given up", "id", d.ID(), "webhook", e.ID.String(), "tries", d.Tries, "error", err)
		return s.Store.EndDelivery(done, d)
	}
	next := schedule[d.Tries-1]
	next = max(next+rand.N(next/10+1), min(wait, 24*time.Hour)) // so that not all come back at once
	d.Due = time.Now().Add(next)
	s.Log.Warn("webhooks: a message was not taken", "id", d.ID(), "webhook", e.ID.String(), "tries", d.Tries, "again_in", next.Round(time.Second), "error", err)
	return s.Store.PutOff(done, d)
}

// send tries a message. wait is how long the endpoint wants to be left alone.
func send(ctx context.Context, client *http.Client, e *Endpoint, key []byte, d *Delivery) (wait time.Duration, err error) {
	return post(ctx, client, e.URL, key, d.ID(), d.Body)
}

// post sends a message once, signed.
func post(ctx context.Context, client *http.Client, address string, key []byte, id string, body []byte) (wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "headrace")
	// The time is that of the try: receivers refuse old ones, so that what was
	// overheard cannot be played again.
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Webhook-Signature", Sign(key, id, now, body))
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, 64<<10); err != nil && err != io.EOF {
		return 0, fmt.Errorf("its answer: %w", err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return 0, nil
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		wait = time.Duration(n) * time.Second
	}
	return wait, fmt.Errorf("it answered %s", resp.Status)
}
