package recall

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"headrace/internal/llm"
)

// This file is the side of Responses that is written behind the requests: the
// answers that their clients did not ask by name to be stored, but that the API
// stores all the same.

// behind is what waits to be written.
type behind struct {
	// list is in order; at has what waits by key, the last of each.
	list    []*Record
	at      map[rowKey]*Record
	bytes   int64
	failing bool
	some    chan struct{}
	// turn is held by who writes.
	turn chan struct{}
}

// writeEvery is how long a record waits for others to be written with.
const writeEvery = 200 * time.Millisecond

// Later is Save for a record whose client did not ask by name for it to be
// stored: it can be found from now on, and is written behind the request. What
// is not written when the process is killed is lost. The error is of class
// unavailable when too much waits already, because the store has failed for long.
func (s *Responses) Later(r Record) error {
	if err := s.complete(&r); err != nil {
		return err
	}
	k := rowKey{r.Owner, r.ID}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wait.bytes+r.size() > s.o.Bytes {
		return llm.Errorf(llm.Unavailable, "too many responses wait to be stored")
	}
	s.drop(k) // an earlier one
	s.wait.list = append(s.wait.list, &r)
	s.wait.at[k] = &r
	s.wait.bytes += r.size()
	select {
	case s.wait.some <- struct{}{}:
	default:
	}
	return nil
}

// Run writes what Later was given until ctx ends, then what is left, within
// ResponsesOptions.StopIn. Its error says what could not be written at the end.
// The caller owns its goroutine; Run is called once.
func (s *Responses) Run(ctx context.Context) error {
	// What clients were given ids of has to be known after a restart.
	if err := inRounds(ctx, s.wait.some, writeEvery, s.o.StopIn, s.drain); err != nil {
		return fmt.Errorf("%d responses are not stored: %w", s.Waiting(), err)
	}
	return nil
}

// Waiting is how many records are not written yet.
func (s *Responses) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wait.list)
}

// drain writes all that waits, batch by batch.
func (s *Responses) drain(ctx context.Context) error {
	select {
	case s.wait.turn <- struct{}{}:
		defer func() { <-s.wait.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		s.mu.Lock()
		batch := s.wait.list[:min(len(s.wait.list), batchRows)]
		s.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		rows := make([]Sealed, 0, len(batch))
		last := make(map[rowKey]int, len(batch))
		for _, r := range batch {
			row, err := s.seal(r)
			if err != nil { // it stays in memory only: it must not hold up the others
				s.o.Log.Error("a response cannot be stored", "error", err)
				continue
			}
			k := rowKey{r.Owner, r.ID}
			if i, ok := last[k]; ok {
				rows[i] = row
				continue
			}
			last[k], rows = len(rows), append(rows, row)
		}
		bounded, cancel := context.WithTimeout(ctx, writeIn)
		err := s.o.Store.PutSealed(bounded, rows, nil)
		cancel()
		s.written(len(batch), err)
		if err != nil {
			return fmt.Errorf("store %d responses: %w", len(rows), err)
		}
	}
}

// written takes what the store has off the list.
func (s *Responses) written(n int, err error) {
	s.mu.Lock()
	first, back := err != nil && !s.wait.failing, err == nil && s.wait.failing
	s.wait.failing = err != nil
	if err == nil {
		for i, r := range s.wait.list[:n] {
			k := rowKey{r.Owner, r.ID}
			s.wait.bytes -= r.size()
			s.wait.list[i] = nil
			if s.wait.at[k] == r { // it is the last of its key
				delete(s.wait.at, k)
				s.put(r)
			}
		}
		if s.wait.list = s.wait.list[n:]; len(s.wait.list) == 0 {
			s.wait.list = nil
		}
	}
	waiting := len(s.wait.list)
	s.mu.Unlock()
	switch {
	case first:
		s.o.Log.Error("responses cannot be stored: they are kept in memory", "error", err, "waiting", waiting)
	case back:
		s.o.Log.Info("responses are stored again")
	}
}

// settled writes what waits of a key before something else is done with it.
func (s *Responses) settled(ctx context.Context, owner, id string) error {
	s.mu.Lock()
	_, waits := s.wait.at[rowKey{owner, id}]
	s.mu.Unlock()
	if !waits {
		return nil
	}
	return s.drain(ctx)
}

func newBehind() behind {
	return behind{at: map[rowKey]*Record{}, some: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
}

func quiet(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
