package recall

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Record is a response that its client asked to be stored.
type Record struct {
	// ID is the response's own id; Owner that of the key that asked for it.
	ID, Owner string
	// Provider is the id of the provider that made it.
	Provider string
	// Native says that the provider holds the response itself: what continues
	// it goes there, as it is.
	Native bool
	// Created and Expires are kept to the millisecond. A zero Expires is
	// ResponsesOptions.Keep after Created, a zero Created is now.
	Created, Expires time.Time
	// Previous is the id of the response that this one continues; empty for a
	// first one.
	Previous string
	// Input are the items that the client sent with this request, without those
	// of Previous: a JSON array, or a string as the API takes it.
	Input jsontext.Value
	// Response is the response object; empty for a Native one of which only its
	// provider is known.
	Response jsontext.Value
}

// ResponsesOptions say how Responses works.
type ResponsesOptions struct {
	// Store and Seal are required.
	Store Store
	Seal  *Seal
	// Keep is how long a response is kept; 0 means 30 days.
	Keep time.Duration
	// Bytes bounds the memory that serves the last ones without the store; 0
	// means 32 MB.
	Bytes int64
	// Depth and ChainBytes bound a conversation that is put together again; 0
	// means 1,000 responses, and 32 MB.
	Depth      int
	ChainBytes int64
	// StopIn bounds the writing at the end; 0 means 5 s.
	StopIn time.Duration
	// Log is told of a store that fails; nil is silent.
	Log *slog.Logger
}

// Responses keeps stored responses. One whose client asked by name for it to be
// kept is the one thing that needs the store while a request waits (Save); the
// others are written behind (Later). Its errors are *llm.Error for the client: not_found, invalid_request for a
// broken chain, unavailable while the store is down. Safe for concurrent use.
type Responses struct {
	o ResponsesOptions

	mu    sync.Mutex // guards all below; never held over I/O
	wait  behind
	byID  map[rowKey]*list.Element
	used  *list.List // of *Record, last used first
	bytes int64
}

// NewResponses makes a Responses.
func NewResponses(o ResponsesOptions) *Responses {
	o.Keep = cmp.Or(o.Keep, 30*24*time.Hour)
	o.Bytes = cmp.Or(o.Bytes, 32<<20)
	o.Depth = cmp.Or(o.Depth, 1000)
	o.ChainBytes = cmp.Or(o.ChainBytes, 32<<20)
	o.StopIn, o.Log = cmp.Or(o.StopIn, 5*time.Second), quiet(o.Log)
	return &Responses{o: o, wait: newBehind(), byID: map[rowKey]*list.Element{}, used: list.New()}
}

// storeIn bounds one use of the store by a request.
const storeIn = 5 * time.Second

// Save stores a record before it returns: only then may a client that asked
// for it be told that all went well. A record replaces an earlier one of the
// same owner and id. The error is of class unavailable when the store cannot
// take it.
func (s *Responses) Save(ctx context.Context, r Record) error { return s.save(ctx, r, false) }

// Note is Save for a record of what its provider holds itself: when the store
// cannot take it, it is known until memory is short all the same.
func (s *Responses) Note(ctx context.Context, r Record) error { return s.save(ctx, r, true) }

func (s *Responses) save(ctx context.Context, r Record, anyway bool) error {
	if err := s.complete(&r); err != nil {
		return err
	}
	row, err := s.seal(&r)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, storeIn)
	defer cancel()
	if err = s.settled(bounded, r.Owner, r.ID); err == nil {
		err = s.o.Store.PutSealed(bounded, []Sealed{row}, nil)
	}
	if err != nil {
		if anyway {
			s.remember(&r)
		}
		return unavailable(ctx, "the response cannot be stored now; ask with store: false to go on without", err)
	}
	s.remember(&r)
	return nil
}

// complete fills a record in, and makes it our own.
func (s *Responses) complete(r *Record) error {
	if r.ID == "" || r.Owner == "" {
		return errors.New("a stored response needs an id and an owner")
	}
	if r.Created.IsZero() {
		r.Created = time.Now()
	}
	if r.Expires.IsZero() {
		r.Expires = r.Created.Add(s.o.Keep)
	}
	r.Created, r.Expires = r.Created.UTC().Truncate(time.Millisecond), r.Expires.UTC().Truncate(time.Millisecond)
	r.Input, r.Response = r.Input.Clone(), r.Response.Clone()
	return nil
}

// seal makes the row of a record.
func (s *Responses) seal(r *Record) (Sealed, error) {
	plain, err := json.Marshal(savedRecord{Provider: r.Provider, Native: r.Native, Previous: r.Previous, Input: r.Input, Response: r.Response})
	if err != nil {
		return Sealed{}, fmt.Errorf("write response %s: %w", r.ID, err)
	}
	row := Sealed{SealedID: SealedID{KindResponse, r.Owner, r.ID}, Created: r.Created, Expires: r.Expires}
	s.o.Seal.close(&row, plain)
	return row, nil
}

// savedRecord is how a record is written inside its seal. JSON is kept as
// bytes: not a space of it changes.
type savedRecord struct {
	Provider string `json:"provider"`
	Native   bool   `json:"native,omitzero"`
	Previous string `json:"previous,omitzero"`
	Input    []byte `json:"input"`
	Response []byte `json:"response"`
}

func unavailable(ctx context.Context, message string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &llm.Error{Class: llm.Unavailable, Message: message, Cause: err}
}

// NotFound is what OpenAI says of a response that it does not have (2026-11).
func NotFound(id string) *llm.Error {
	return &llm.Error{Class: llm.NotFound, Type: "invalid_request_error", Message: fmt.Sprintf("Response with id '%s' not found.", id)}
}

// Find returns a record of this owner. One that another owner has, that was
// deleted or that has expired is not found. The record is shared and must not
// be written to.
func (s *Responses) Find(ctx context.Context, owner, id string) (*Record, error) {
	now := time.Now()
	if r := s.remembered(owner, id, now); r != nil {
		return r, nil
	}
	bounded, cancel := context.WithTimeout(ctx, storeIn)
	defer cancel()
	row, ok, err := s.o.Store.Sealed(bounded, SealedID{KindResponse, owner, id}, now)
	if err != nil {
		return nil, unavailable(ctx, "stored responses cannot be read now", err)
	}
	if !ok {
		return nil, NotFound(id)
	}
	plain, err := s.o.Seal.open(&row)
	var in savedRecord
	if err == nil {
		err = json.Unmarshal(plain, &in)
	}
	if err != nil {
		return nil, &llm.Error{Class: llm.Unavailable, Message: "the stored response cannot be opened", Cause: err}
	}
	r := &Record{ID: id, Owner: owner, Provider: in.Provider, Native: in.Native, Created: row.Created, Expires: row.Expires,
		Previous: in.Previous, Input: in.Input, Response: in.Response}
	s.remember(r)
	return r, nil
}

// Delete drops a record of this owner. What continues it can then not be
// continued any more.
func (s *Responses) Delete(ctx context.Context, owner, id string) error {
	bounded, cancel := context.WithTimeout(ctx, storeIn)
	defer cancel()
	err := s.settled(bounded, owner, id)
	was := false
	if err == nil {
		was, err = s.o.Store.DropSealed(bounded, SealedID{KindResponse, owner, id}, time.Now())
	}
	if err != nil {
		return unavailable(ctx, "stored responses cannot be changed now", err)
	}
	s.forget(owner, id)
	if !was {
		return NotFound(id)
	}
	return nil
}

// Items gives the whole conversation that ends with a response, in order: of
// each response its input items, then its output. It is what a request with
// this previous_response_id goes on from. An error of class invalid_request
// names previous_response_id: the conversation is broken, too long, or held by
// the provider itself. The items are shared and must not be written to.
func (s *Responses) Items(ctx context.Context, owner, id string) ([]jsontext.Value, error) {
	return s.chain(ctx, owner, id, true)
}

// InputItems gives what a response was an answer to: the conversation without
// its own output.
func (s *Responses) InputItems(ctx context.Context, owner, id string) ([]jsontext.Value, error) {
	return s.chain(ctx, owner, id, false)
}

func (s *Responses) chain(ctx context.Context, owner, id string, output bool) ([]jsontext.Value, error) {
	var all []*Record // last first
	var size int64
	for next := id; next != ""; {
		r, err := s.Find(ctx, owner, next)
		if err != nil {
			e, ok := errors.AsType[*llm.Error](err)
			if !ok || e.Class != llm.NotFound || len(all) == 0 && !output {
				return nil, err
			}
			return nil, Broken(next, id)
		}
		if r.Native && len(r.Response) == 0 {
			return nil, &llm.Error{From: llm.Responses, Class: llm.InvalidRequest, Type: "invalid_request_error", Param: "previous_response_id",
				Message: fmt.Sprintf("Response '%s' is held by %s itself: it can only be continued there.", r.ID, r.Provider)}
		}
		size += int64(len(r.Input) + len(r.Response))
		if len(all) == s.o.Depth || size > s.o.ChainBytes {
			return nil, &llm.Error{From: llm.Responses, Class: llm.InvalidRequest, Type: "invalid_request_error", Param: "previous_response_id",
				Message: fmt.Sprintf("The conversation before '%s' is too long: the limits are %d responses and %d bytes.", id, s.o.Depth, s.o.ChainBytes)}
		}
		all = append(all, r)
		next = r.Previous
	}
	var items []jsontext.Value
	for i, r := range slices.Backward(all) {
		var err error
		if items, err = appendInput(items, r.Input); err == nil && (output || i > 0) {
			items, err = appendOutput(items, r.Response)
		}
		if err != nil {
			return nil, fmt.Errorf("read the items of response %s: %w", r.ID, err)
		}
	}
	return items, nil
}

// Broken is what OpenAI says of a previous_response_id that it does not have
// (2026-11): asked, which goes on from missing, or is it.
func Broken(missing, asked string) *llm.Error {
	m := fmt.Sprintf("Previous response with id '%s' not found.", missing)
	if missing != asked {
		m = fmt.Sprintf("Previous response with id '%s' cannot be continued: '%s', which it goes on from, is not stored any more.", asked, missing)
	}
	return &llm.Error{From: llm.Responses, Class: llm.InvalidRequest, Type: "invalid_request_error", Code: "previous_response_not_found", Param: "previous_response_id", Message: m}
}

// appendInput appends input items. A bare string is a message of the user.
func appendInput(items []jsontext.Value, input jsontext.Value) ([]jsontext.Value, error) {
	switch input.Kind() {
	case jsontext.KindString:
		b := append([]byte(`{"type":"message","role":"user","content":`), input...)
		return append(items, append(b, '}')), nil
	case jsontext.KindBeginArray:
		var list []jsontext.Value
		err := json.Unmarshal(input, &list)
		return append(items, list...), err
	case jsontext.KindNull, jsontext.KindInvalid:
		return items, nil
	}
	return items, fmt.Errorf("the input is neither a string nor an array")
}

func appendOutput(items []jsontext.Value, response jsontext.Value) ([]jsontext.Value, error) {
	if len(response) == 0 {
		return items, nil
	}
	var r struct {
		Output []jsontext.Value `json:"output"`
	}
	err := json.Unmarshal(response, &r)
	return append(items, r.Output...), err
}

func (r *Record) size() int64 { return int64(len(r.Input)+len(r.Response)) + 512 }

func (s *Responses) remember(r *Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(r)
}

// put is remember. mu is held.
func (s *Responses) put(r *Record) {
	s.drop(rowKey{r.Owner, r.ID})
	if r.size() > s.o.Bytes/4 {
		return
	}
	s.byID[rowKey{r.Owner, r.ID}] = s.used.PushFront(r)
	s.bytes += r.size()
	for s.bytes > s.o.Bytes {
		last := s.used.Back().Value.(*Record)
		s.drop(rowKey{last.Owner, last.ID})
	}
}

func (s *Responses) remembered(owner, id string, now time.Time) *Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.wait.at[rowKey{owner, id}]; r != nil {
		return r
	}
	e := s.byID[rowKey{owner, id}]
	if e == nil {
		return nil
	}
	r := e.Value.(*Record)
	if !now.Before(r.Expires) {
		s.drop(rowKey{owner, id})
		return nil
	}
	s.used.MoveToFront(e)
	return r
}

func (s *Responses) forget(owner, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(rowKey{owner, id})
}

// drop takes a record out of memory. mu is held.
func (s *Responses) drop(k rowKey) {
	e := s.byID[k]
	if e == nil {
		return
	}
	s.bytes -= s.used.Remove(e).(*Record).size()
	delete(s.byID, k)
}
