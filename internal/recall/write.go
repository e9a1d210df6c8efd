package recall

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// This file is the side of a State that its store sees: what is noted is
// written behind the requests, and read once at the start.

const (
	// batchRows is how many rows are written at once.
	batchRows = 128
	// The pause between two tries at a store that fails, doubling with jitter.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// writeIn bounds one try.
	writeIn = 10 * time.Second
)

// write puts a turn on the list of those to be written. mu is held.
func (s *State) write(t *turn) {
	if s.o.Store == nil || t.waiting {
		return
	}
	t.waiting = true
	s.waiting = append(s.waiting, t)
	if len(s.waiting) == 1 {
		select {
		case s.some <- struct{}{}:
		default:
		}
	}
}

// Load brings back what the store has, the last used first, as far as there is
// room. Rows that cannot be opened are left out and counted in the log.
func (s *State) Load(ctx context.Context) error {
	if s.o.Store == nil {
		return nil
	}
	now := time.Now()
	var lost int
	var why error
	for row, err := range s.o.Store.LastSealed(ctx, KindTurn, now) {
		if err != nil {
			return fmt.Errorf("load kept turns: %w", err)
		}
		t, err := s.read(&row)
		if err != nil {
			lost, why = lost+1, err
			continue
		}
		if !s.load(t) {
			break
		}
	}
	if lost > 0 {
		s.o.Log.Warn("state of tool loops cannot be read and is left out", "turns", lost, "error", why)
	}
	return nil
}

func (s *State) read(row *Sealed) (*turn, error) {
	plain, err := s.o.Seal.open(row)
	if err != nil {
		return nil, err
	}
	t, err := unmarshal(row.Owner, row.ID, plain)
	if err != nil {
		return nil, err
	}
	t.expires, t.told = row.Expires, row.Expires
	return t, nil
}

// load puts a turn in behind all others and reports whether there was room.
func (s *State) load(t *turn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+t.size > s.o.Bytes || len(s.byID) >= s.o.Turns {
		return false
	}
	if s.byID[rowKey{t.owner, t.id}] == nil {
		s.insert(t, false)
	}
	return true
}

// Run writes what is noted until ctx ends, then what is left, within
// StateOptions.StopIn. Its error says what could not be written at the end.
// The caller owns its goroutine; Run is called once.
func (s *State) Run(ctx context.Context) error {
	if s.o.Store == nil {
		<-ctx.Done()
		return nil
	}
	// What was said to the client has to be known after a restart.
	if err := inRounds(ctx, s.some, s.o.Every, s.o.StopIn, s.drain); err != nil {
		return fmt.Errorf("the state of %d turns is not written: %w", s.Stats().Waiting, err)
	}
	return nil
}

// inRounds drains whenever some says that something waits, every later so that
// others come with it, until ctx ends; then what is left, within stopIn. After a
// failure it pauses, longer each time. Its error is that of the last try.
func inRounds(ctx context.Context, some <-chan struct{}, every, stopIn time.Duration, drain func(context.Context) error) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		wait := every
		if pause == 0 {
			select {
			case <-ctx.Done():
				continue
			case <-some:
			}
		} else {
			wait = pause - rand.N(pause/4)
		}
		sleep(ctx, wait)
		if ctx.Err() != nil {
			break
		}
		if err := drain(ctx); err != nil {
			pause = min(max(2*pause, firstPause), lastPause)
		} else {
			pause = 0
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopIn)
	defer cancel()
	for pause = firstPause; ; pause = min(2*pause, lastPause) {
		err := drain(last)
		if err == nil {
			return nil
		}
		sleep(last, pause)
		if last.Err() != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// drain writes all that waits, batch by batch.
func (s *State) drain(ctx context.Context) error {
	for {
		turns, drops := s.take()
		if len(turns)+len(drops) == 0 {
			return nil
		}
		turns, rows := s.rows(turns)
		err := s.put(ctx, rows, drops)
		s.settle(turns, rows, drops, err)
		if err != nil {
			return err
		}
	}
}

func (s *State) put(ctx context.Context, rows []Sealed, drops []SealedID) error {
	ctx, cancel := context.WithTimeout(ctx, writeIn)
	defer cancel()
	return s.o.Store.PutSealed(ctx, rows, drops)
}

// take takes a batch off the lists.
func (s *State) take() (turns []*turn, drops []SealedID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 && len(turns) < batchRows {
		t := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		t.waiting = false
		if !t.gone {
			turns = append(turns, t)
		}
	}
	n := min(len(s.drops), batchRows)
	for _, d := range s.drops[:n] {
		if s.byID[rowKey{d.Owner, d.ID}] == nil { // it may have been noted again
			drops = append(drops, d)
		}
	}
	if s.drops = s.drops[n:]; len(s.drops) == 0 {
		s.drops = nil
	}
	return turns, drops
}

// rows seals turns. One that cannot be written stays in memory only: it must
// not hold up the others.
func (s *State) rows(turns []*turn) ([]*turn, []Sealed) {
	now := time.Now()
	rows, written := make([]Sealed, 0, len(turns)), turns[:0]
	for _, t := range turns {
		plain, err := t.marshal()
		if err != nil {
			s.o.Log.Error("the state of a turn cannot be written", "error", err)
			continue
		}
		s.mu.Lock()
		row := Sealed{SealedID: SealedID{KindTurn, t.owner, t.id}, Created: now, Expires: t.expires}
		s.mu.Unlock()
		s.o.Seal.close(&row, plain)
		rows, written = append(rows, row), append(written, t)
	}
	return written, rows
}

// settle notes what the store has taken, or puts it back on the lists.
func (s *State) settle(turns []*turn, rows []Sealed, drops []SealedID, err error) {
	s.mu.Lock()
	back := s.failing && err == nil
	first := !s.failing && err != nil && !errors.Is(err, context.Canceled)
	s.failing = err != nil
	for i, t := range turns {
		switch {
		case err == nil:
			t.told = rows[i].Expires
			if t.gone && s.byID[rowKey{t.owner, t.id}] == nil { // while it was written
				s.drops = append(s.drops, rows[i].SealedID)
			}
		case !t.gone:
			s.write(t)
		}
	}
	if err != nil {
		s.drops = append(drops, s.drops...)
	}
	waiting := len(s.waiting)
	s.mu.Unlock()
	switch {
	case first:
		s.o.Log.Error("the state of tool loops cannot be written: it is kept in memory only", "error", err, "waiting", waiting)
	case back:
		s.o.Log.Info("the state of tool loops is written again")
	}
}
