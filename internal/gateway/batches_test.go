package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/batch"
	"headrace/internal/gateway"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// shelf is Batches and Files in memory.
type shelf struct {
	ids ledger.IDs

	mu     sync.Mutex // guards what follows
	jobs   []batch.Job
	items  map[batch.JobID][]batch.Item
	keys   map[string]kept
	files  []batch.File
	bodies map[batch.FileID][]byte
	seq    int64 // of the last answer
	// count drops items instead of keeping them, and counts them.
	count   bool
	counted int
	late    time.Time
}

type kept struct {
	digest string
	id     batch.JobID
}

func newShelf() *shelf {
	return &shelf{items: map[batch.JobID][]batch.Item{}, keys: map[string]kept{}, bodies: map[batch.FileID][]byte{}}
}

func (s *shelf) Submit(_ context.Context, j batch.Job, key string, items iter.Seq2[batch.Item, error]) (batch.Job, error) {
	digest := sha256.New()
	fmt.Fprintf(digest, "%s %s %s", j.Form, j.Name, j.Meta)
	var list []batch.Item
	n := int64(0)
	for it, err := range items {
		if err != nil {
			return batch.Job{}, fmt.Errorf("read the items: %w", err)
		}
		n++
		if s.count {
			s.counted++
			continue
		}
		it.Index, it.State = len(list), batch.Queued
		it.ID = batch.ItemID(s.ids.New(time.Now()))
		fmt.Fprintf(digest, "%s %s %s", it.CustomID, it.Model, it.Body)
		list = append(list, it)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.late.IsZero() {
		return batch.Job{}, &batch.LateError{Earliest: s.late}
	}
	sum := hex.EncodeToString(digest.Sum(nil))
	if k, ok := s.keys[j.Owner+" "+key]; ok && key != "" {
		if k.digest != sum {
			return batch.Job{}, batch.ErrConflict
		}
		return *s.find(j.Owner, k.id), nil
	}
	j.ID, j.Created = batch.JobID(s.ids.New(time.Now())), time.Now()
	j.Counts = batch.Counts{batch.Queued: n}
	s.keys[j.Owner+" "+key] = kept{sum, j.ID}
	s.jobs, s.items[j.ID] = append(s.jobs, j), list
	return j, nil
}

// find is under mu.
func (s *shelf) find(owner string, id batch.JobID) *batch.Job {
	for i := range s.jobs {
		if s.jobs[i].ID == id && s.jobs[i].Owner == owner {
			return &s.jobs[i]
		}
	}
	return nil
}

func (s *shelf) Job(_ context.Context, owner string, id batch.JobID) (batch.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.find(owner, id)
	if j == nil {
		return batch.Job{}, batch.ErrNotFound
	}
	c := *j
	c.Counts = batch.Counts{}
	for k, v := range j.Counts {
		c.Counts[k] = v
	}
	return c, nil
}

func (s *shelf) Jobs(_ context.Context, owner string, before batch.JobID, limit int) (list []batch.Job, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.jobs) - 1; i >= 0 && len(list) < limit; i-- {
		if j := s.jobs[i]; j.Owner == owner && (before == 0 || j.ID < before) {
			list = append(list, j)
		}
	}
	return list, nil
}

func (s *shelf) Items(_ context.Context, owner string, id batch.JobID) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		s.mu.Lock()
		found, list := s.find(owner, id) != nil, append([]batch.Item(nil), s.items[id]...)
		s.mu.Unlock()
		if !found {
			yield(batch.Item{}, batch.ErrNotFound)
			return
		}
		for _, it := range list {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func (s *shelf) Answered(ctx context.Context, owner string, id batch.JobID, after batch.Cursor) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		var list []batch.Item
		for it, err := range s.Items(ctx, owner, id) {
			if err != nil {
				yield(it, err)
				return
			}
			if it.Seq > after.Seq || it.Seq == after.Seq && it.Seq > 0 && it.Index > after.Index {
				list = append(list, it)
			}
		}
		slices.SortFunc(list, func(a, b batch.Item) int {
			return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Index, b.Index))
		})
		for _, it := range list {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func (s *shelf) Retry(_ context.Context, owner string, id batch.JobID, deadline time.Time) (n int64, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.find(owner, id)
	if j == nil {
		return 0, batch.ErrNotFound
	}
	j.Deadline, j.Ended, j.Canceled = deadline, time.Time{}, time.Time{}
	for i := range s.items[id] {
		if it := &s.items[id][i]; it.State.Final() && it.State != batch.Succeeded {
			j.Counts[it.State]--
			it.State, it.Answer, it.Seq = batch.Queued, nil, 0
			j.Counts[batch.Queued]++
			n++
		}
	}
	return n, nil
}

func (s *shelf) Cancel(_ context.Context, owner string, id batch.JobID) (batch.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.find(owner, id)
	if j == nil {
		return batch.Job{}, batch.ErrNotFound
	}
	j.Canceled = time.Now()
	return *j, nil
}

func (s *shelf) Delete(_ context.Context, owner string, id batch.JobID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.jobs {
		if s.jobs[i].ID == id && s.jobs[i].Owner == owner {
			s.jobs = append(s.jobs[:i], s.jobs[i+1:]...)
			return nil
		}
	}
	return batch.ErrNotFound
}

func (s *shelf) Watch(ctx context.Context, owner string, id batch.JobID) iter.Seq2[batch.Job, error] {
	return func(yield func(batch.Job, error) bool) {
		last := ""
		for {
			j, err := s.Job(ctx, owner, id)
			if now := fmt.Sprint(j.Counts, j.Ended); now != last || err != nil {
				last = now
				if !yield(j, err) || err != nil || !j.Ended.IsZero() {
					return
				}
			}
			select {
			case <-ctx.Done():
				yield(batch.Job{}, ctx.Err())
				return
			case <-time.After(time.Second):
			}
		}
	}
}

// finish answers an item, and ends the job with its last one.
func (s *shelf) finish(id batch.JobID, n int, state batch.State, a *batch.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.jobs {
		if j := &s.jobs[i]; j.ID == id {
			it := &s.items[id][n]
			j.Counts[it.State]--
			s.seq++
			it.State, it.Answer, it.Seq = state, a, s.seq
			j.Counts[state]++
			if j.Counts.Left() == 0 {
				j.Ended = time.Now()
			}
		}
	}
}

func (s *shelf) last() batch.Job { return s.jobs[len(s.jobs)-1] }

func (s *shelf) Put(_ context.Context, owner string, r io.Reader, what func() (batch.File, error)) (batch.File, error) {
	var body []byte
	var n int64
	var err error
	if s.count {
		n, err = io.Copy(io.Discard, r)
	} else {
		body, err = io.ReadAll(r)
		n = int64(len(body))
	}
	if err != nil {
		return batch.File{}, fmt.Errorf("keep a file: %w", err)
	}
	f, err := what()
	if err != nil {
		return f, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.ID, f.Owner, f.Bytes, f.Created = batch.FileID(s.ids.New(time.Now())), owner, n, time.Now()
	s.files, s.bodies[f.ID] = append(s.files, f), body
	return f, nil
}

func (s *shelf) File(_ context.Context, owner string, id batch.FileID) (batch.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		if f.ID == id && f.Owner == owner {
			return f, nil
		}
	}
	return batch.File{}, batch.ErrNotFound
}

func (s *shelf) Files(_ context.Context, owner string, before batch.FileID, limit int) (list []batch.File, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.files) - 1; i >= 0 && len(list) < limit; i-- {
		if f := s.files[i]; f.Owner == owner && (before == 0 || f.ID < before) {
			list = append(list, f)
		}
	}
	return list, nil
}

func (s *shelf) Open(ctx context.Context, owner string, id batch.FileID) (io.ReadCloser, error) {
	if _, err := s.File(ctx, owner, id); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(s.bodies[id])), nil
}

type filesOf struct{ *shelf }

func (f filesOf) Delete(_ context.Context, owner string, id batch.FileID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.files {
		if f.files[i].ID == id && f.files[i].Owner == owner {
			f.files = append(f.files[:i], f.files[i+1:]...)
			return nil
		}
	}
	return batch.ErrNotFound
}

// newShop is a house with batches.
func newShop(t *testing.T) (*house, *shelf) {
	s := newShelf()
	h := newHouseWith(t, func(o *gateway.Options) { o.Batches, o.Files = s, filesOf{s} })
	return h, s
}

// decode reads an answer with a status.
func decode[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return v
}

// tidy checks that nothing stays taken and that each request has its row.
func (h *house) tidy(t *testing.T, rows int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.entered != h.left || h.taken != h.given || h.Running() != 0 || len(h.rows) != rows || h.sent != 0 {
		t.Errorf("entered %d, left %d, took %d, gave %d, running %d, %d rows (want %d), %d sent", h.entered, h.left, h.taken, h.given, h.Running(), len(h.rows), rows, h.sent)
	}
}

type object = map[string]any

const twoMessages = `{"requests":[{"custom_id":"a","params":{"model":"openai/gpt-5.5","max_tokens":9,"messages":[]}},{"params":{"model":"nobody","max_tokens":9,"messages":[]},"custom_id":"b"}]}`

// TestMessageBatch takes a batch of Anthropic's through its life, as its SDKs do.
func TestMessageBatch(t *testing.T) {
	t.Parallel()
	h, s := newShop(t)
	const base = "/v1/messages/batches"
	made := decode[object](t, h.ask("POST", base, twoMessages, "Anthropic-Beta: output-300k-2026-03-24"), 200)
	id, _ := made["id"].(string)
	for _, name := range []string{"id", "type", "processing_status", "request_counts", "ended_at", "created_at", "expires_at", "archived_at", "cancel_initiated_at", "results_url"} {
		if _, ok := made[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	if !strings.HasPrefix(id, "msgbatch_") || made["processing_status"] != "in_progress" || made["results_url"] != nil ||
		made["request_counts"].(object)["processing"] != 2.0 {
		t.Errorf("made %v", made)
	}
	job := s.last()
	if got := job.Deadline.Sub(job.Created); got < 23*time.Hour || got > 24*time.Hour || job.Owner != "key_1" || job.Form != batch.FormMessages || job.Priority != "batch" {
		t.Errorf("kept %+v", job)
	}
	j, err := gateway.JobOf(&job, &s.items[job.ID][0])
	if err != nil || j.Path != "/v1/messages" || j.Header.Get("Anthropic-Beta") == "" || !bytes.Contains(j.Body, []byte("gpt-5.5")) {
		t.Errorf("to be asked: %+v, %v", j, err)
	}
	if w := h.ask("GET", base+"/"+id+"/results", ""); w.Code != 404 {
		t.Errorf("results before the end: %d", w.Code)
	}
	if w := h.ask("DELETE", base+"/"+id, ""); w.Code != 400 {
		t.Errorf("deleted before the end: %d", w.Code)
	}
	if got := decode[object](t, h.ask("POST", base+"/"+id+"/cancel", ""), 200); got["processing_status"] != "canceling" || got["cancel_initiated_at"] == nil {
		t.Errorf("canceled: %v", got)
	}
	s.finish(job.ID, 0, batch.Succeeded, &batch.Answer{Status: 200, Body: []byte("{\n \"type\":\"message\"}")})
	if got := decode[object](t, h.ask("GET", base+"/"+id, ""), 200); got["request_counts"].(object)["succeeded"] != 0.0 || got["request_counts"].(object)["processing"] != 2.0 {
		t.Errorf("counted before the end: %v", got)
	}
	s.finish(job.ID, 1, batch.Failed, &batch.Answer{Status: 404, RequestID: "req_1", Err: llm.Errorf(llm.ModelNotFound, "model: nobody")})
	got := decode[object](t, h.ask("GET", "/anthropic"+base+"/"+id, ""), 200)
	if got["results_url"] != "http://example.com/anthropic"+base+"/"+id+"/results" || got["processing_status"] != "ended" {
		t.Errorf("ended: %v", got)
	}
	w := h.ask("GET", base+"/"+id+"/results", "", "Accept: application/binary")
	want := `{"custom_id":"a","result":{"type":"succeeded","message":{"type":"message"}}}` + "\n" +
		`{"custom_id":"b","result":{"type":"errored","error":{"type":"error","error":{"type":"not_found_error","message":"model: nobody"},"request_id":"req_1"}}}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("results %d:\n%s\nwant\n%s", w.Code, w.Body, want)
	}
	for _, c := range []struct{ method, path string }{{"GET", ""}, {"GET", "/results"}, {"GET", "/events"}, {"POST", "/cancel"}, {"DELETE", ""}} {
		w := h.ask(c.method, base+"/"+id+c.path, "", "X-Api-Key: hr-narrow")
		if text := told(t, llm.Anthropic, w.Code, w.Body.Bytes()); w.Code != 404 || !strings.Contains(text, "no ") {
			t.Errorf("another's %s %s: %d %s", c.method, c.path, w.Code, text)
		}
	}
	if got := decode[object](t, h.ask("DELETE", base+"/"+id, ""), 200); got["type"] != "message_batch_deleted" || got["id"] != id {
		t.Errorf("deleted: %v", got)
	}
	if w := h.ask("GET", base+"/"+id, ""); w.Code != 404 {
		t.Errorf("after it was deleted: %d", w.Code)
	}
	h.tidy(t, len(h.rows))
	if len(h.rows) != 14 {
		t.Errorf("%d rows", len(h.rows))
	}
}

// TestMessageBatchPages: lists go both ways, and hold no job of another form or
// owner.
func TestMessageBatchPages(t *testing.T) {
	t.Parallel()
	h, s := newShop(t)
	var ids []string // the newest first
	for range 5 {
		made := decode[object](t, h.ask("POST", "/v1/messages/batches", twoMessages), 200)
		ids = append([]string{made["id"].(string)}, ids...)
		s.Submit(t.Context(), batch.Job{Owner: "key_1", Form: batch.FormSingle}, "", func(func(batch.Item, error) bool) {})
		s.Submit(t.Context(), batch.Job{Owner: "key_2", Form: batch.FormMessages}, "", func(func(batch.Item, error) bool) {})
	}
	cases := []struct {
		query string
		want  []string
		more  bool
	}{
		{"", ids, false},
		{"?limit=2", ids[:2], true},
		{"?limit=2&after_id=" + ids[1], ids[2:4], true},
		{"?limit=2&after_id=" + ids[3], ids[4:], false},
		{"?limit=2&before_id=" + ids[4], ids[2:4], true},
		{"?limit=2&before_id=" + ids[1], ids[:1], false},
	}
	for _, c := range cases {
		got := decode[struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
			More  bool   `json:"has_more"`
			First string `json:"first_id"`
			Last  string `json:"last_id"`
		}](t, h.ask("GET", "/v1/messages/batches"+c.query, ""), 200)
		var list []string
		for _, d := range got.Data {
			list = append(list, d.ID)
		}
		if fmt.Sprint(list) != fmt.Sprint(c.want) || got.More != c.more || got.First != c.want[0] || got.Last != c.want[len(c.want)-1] {
			t.Errorf("%s: %v more %v, want %v more %v", c.query, list, got.More, c.want, c.more)
		}
	}
	for _, q := range []string{"?limit=0", "?limit=1001", "?limit=x", "?after_id=batch_1", "?after_id=" + ids[0] + "&before_id=" + ids[1]} {
		if w := h.ask("GET", "/v1/messages/batches"+q, ""); w.Code != 400 {
			t.Errorf("%s: %d", q, w.Code)
		}
	}
}

// TestBadMessageBatches: what is no batch is refused whole, with the place that
// is wrong, and nothing of it stays.
func TestBadMessageBatches(t *testing.T) {
	t.Parallel()
	one := func(id, params string) string { return `{"custom_id":"` + id + `","params":` + params + `}` }
	const good = `{"model":"openai/gpt-5.5","max_tokens":1,"messages":[]}`
	cases := []struct {
		name, body, header, says string
		status                   int
	}{
		{"no JSON", `{"requests":[`, "", "", 400},
		{"no object", `[]`, "", "not an object", 400},
		{"no list", `{"requests":{}}`, "", "not a list", 400},
		{"no requests", `{"requests":[]}`, "", "at least one", 400},
		{"nothing", `{}`, "", "at least one", 400},
		{"cut", `{"requests":[` + one("a", good), "", "requests.1", 400},
		{"more behind", `{"requests":[` + one("a", good) + `]}{}`, "", "follows", 400},
		{"an id twice", `{"requests":[` + one("a", good) + `,` + one("a", good) + `]}`, "", `requests.1.custom_id: "a" is there twice`, 400},
		{"an id of no form", `{"requests":[` + one("a b", good) + `]}`, "", "requests.0.custom_id", 400},
		{"no params", `{"requests":[{"custom_id":"a"}]}`, "", "requests.0.params", 400},
		{"a stream", `{"requests":[` + one("a", good) + `,` + one("b", `{"model":"m","stream":true,"max_tokens":1,"messages":[]}`) + `]}`, "", "requests.1.params.stream", 400},
		{"a request over the limit", `{"requests":[` + one("a", good) + `,` + one("b", `{"x":"`+strings.Repeat("x", 300<<10)+`"}`) + `]}`, "", "one request of the batch", 413},
		{"a deadline in the past", twoMessages, "X-Headrace-Deadline: 2020-01-01T00:00:00Z", "in the past", 400},
		{"a deadline of no form", twoMessages, "X-Headrace-Deadline: soon", "x-headrace-deadline", 400},
		{"no key", twoMessages, "X-Api-Key: ", "no API key", 401},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, s := newShop(t)
			w := h.ask("POST", "/v1/messages/batches", c.body, c.header)
			if text := told(t, llm.Anthropic, w.Code, w.Body.Bytes()); w.Code != c.status || !strings.Contains(text, c.says) {
				t.Errorf("%d %q, want %d %q", w.Code, text, c.status, c.says)
			}
			if len(s.jobs) != 0 {
				t.Error("a job stayed")
			}
			h.tidy(t, 1)
		})
	}
}

// TestIdempotency: the same again is the same job, something else is refused.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	h, s := newShop(t)
	submits := []struct{ path, body, other, prefer string }{
		{"/v1/messages/batches", twoMessages, strings.Replace(twoMessages, `"b"`, `"c"`, 1), ""},
		{"/v1/chat/completions", `{"model":"openai/gpt-5.5","messages":[]}`, `{"model":"openai/gpt-5.5","messages":[{}]}`, "respond-async"},
	}
	for n, c := range submits {
		before := len(s.jobs)
		headers := []string{fmt.Sprint("Idempotency-Key: k", n), "Prefer: " + c.prefer}
		first, again := h.ask("POST", c.path, c.body, headers...), h.ask("POST", c.path, c.body, append(headers, "User-Agent: other", "X-Stainless-Retry-Count: 1")...)
		if first.Code >= 300 || again.Code != first.Code || again.Body.String() != first.Body.String() || len(s.jobs) != before+1 {
			t.Errorf("%s: %d %s, again %d %s, %d jobs", c.path, first.Code, first.Body, again.Code, again.Body, len(s.jobs))
		}
		if w := h.ask("POST", c.path, c.other, headers...); w.Code != 409 || w.Header().Get("X-Should-Retry") != "false" {
			t.Errorf("%s: something else: %d %s", c.path, w.Code, w.Body)
		}
		if w := h.ask("POST", c.path, c.other, append(headers, "X-Api-Key: hr-narrow")...); w.Code == 409 {
			t.Errorf("%s: the key of another owner counts", c.path)
		}
	}
	s.late = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	if w := h.ask("POST", "/v1/messages/batches", twoMessages); w.Code != 409 || !strings.Contains(w.Body.String(), "2030-01-01T00:00:00Z") {
		t.Errorf("a deadline that cannot be kept: %d %s", w.Code, w.Body)
	}
}

// endless is a body of size bytes that is made while it is read.
type endless struct {
	head, one, tail string
	left            int64
	buf             []byte
	n               int
	numbered        bool
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.buf) == 0 {
		switch {
		case e.head != "":
			e.buf, e.head = []byte(e.head), ""
		case e.left > 0:
			one := e.one
			if e.numbered {
				one = fmt.Sprintf(e.one, e.n)
			}
			e.n++
			if e.left -= int64(len(one)); e.left <= 0 && e.numbered {
				one = strings.TrimSuffix(one, ",")
			}
			e.buf = []byte(one)
		case e.tail != "":
			e.buf, e.tail = []byte(e.tail), ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, e.buf)
	e.buf = e.buf[n:]
	return n, nil
}

// peak is how much the heap has grown while f ran.
func peak(f func()) uint64 {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	most := uint64(0)
	done, over := make(chan bool), make(chan bool)
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&now)
				if now.HeapAlloc > before.HeapAlloc {
					most = max(most, now.HeapAlloc-before.HeapAlloc)
				}
			}
		}
	}()
	f()
	close(done)
	<-over
	return most
}

// TestLargeBatches: a batch up to 256 MB is taken in flat memory, and one byte
// more is refused. It does not run beside others, which would count too.
func TestLargeBatches(t *testing.T) {
	if testing.Short() {
		t.Skip("256 MB are read three times")
	}
	const limit = 256 << 20
	h, s := newShop(t)
	s.count = true
	one := `{"custom_id":"i%08d","params":{"model":"openai/gpt-5.5","max_tokens":1,"messages":[{"role":"user","content":"` + strings.Repeat("x", 3000) + `"}]}},`
	var w *httptest.ResponseRecorder
	grown := peak(func() {
		w = h.askBody("POST", "/v1/messages/batches", &endless{head: `{"requests":[`, one: one, tail: `]}`, left: limit - 8<<10, numbered: true})
	})
	if w.Code != 200 || s.counted < 80_000 {
		t.Errorf("%d %.300s, %d items", w.Code, w.Body, s.counted)
	}
	if grown > 100<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	jobs := len(s.jobs)
	w = h.askBody("POST", "/v1/messages/batches", &endless{head: `{"requests":[`, one: one, tail: `]}`, left: limit, numbered: true})
	if text := told(t, llm.Anthropic, w.Code, w.Body.Bytes()); w.Code != 413 || !strings.Contains(text, "268435456") || len(s.jobs) != jobs {
		t.Errorf("over the limit: %d %s", w.Code, text)
	}
	line := strings.Repeat("x", 1<<20-1) + "\n"
	upload := func(size int64, extra string) (w *httptest.ResponseRecorder, grown uint64) {
		head := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n" + extra
		tail := "\r\n--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n"
		grown = peak(func() {
			w = h.askBody("POST", "/v1/files", &endless{head: head, one: line, left: size, tail: tail}, "Content-Type: multipart/form-data; boundary=b")
		})
		return w, grown
	}
	w, grown = upload(limit, "")
	if w.Code != 200 || s.files[0].Bytes != limit || grown > 50<<20 {
		t.Errorf("a file of the limit: %d %s, the heap grew by %d MB", w.Code, w.Body, grown>>20)
	}
	w, _ = upload(limit, "x")
	if text := told(t, llm.OpenAI, w.Code, w.Body.Bytes()); w.Code != 413 || !strings.Contains(text, "268435456") || len(s.files) != 1 {
		t.Errorf("a file over the limit: %d %s, %d files", w.Code, text, len(s.files))
	}
}

// upload uploads a file as OpenAI's SDKs do; fileFirst is the order of its parts.
func (h *house) upload(t *testing.T, content string, fileFirst bool, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file := func() {
		part, err := form.CreateFormFile("file", "items.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, content)
	}
	if fileFirst {
		file()
	}
	for i := 0; i < len(fields); i += 2 {
		form.WriteField(fields[i], fields[i+1])
	}
	if !fileFirst {
		file()
	}
	form.Close()
	return h.askBody("POST", "/v1/files", &body, "Content-Type: "+form.FormDataContentType())
}

// TestFiles takes a file through its life.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{false, true} {
		h, _ := newShop(t)
		made := decode[object](t, h.upload(t, "{}\n", first, "purpose", "batch", "expires_after[anchor]", "created_at", "expires_after[seconds]", "3600"), 200)
		id, _ := made["id"].(string)
		if !strings.HasPrefix(id, "file-") || made["object"] != "file" || made["bytes"] != 3.0 || made["filename"] != "items.jsonl" || made["purpose"] != "batch" ||
			made["status"] != "processed" || made["expires_at"].(float64)-made["created_at"].(float64) > 3600 {
			t.Errorf("made %v", made)
		}
		if got := decode[object](t, h.ask("GET", "/v1/files/"+id, ""), 200); got["id"] != id {
			t.Errorf("shown %v", got)
		}
		if w := h.ask("GET", "/openai/v1/files/"+id+"/content", ""); w.Code != 200 || w.Body.String() != "{}\n" {
			t.Errorf("content %d %s", w.Code, w.Body)
		}
		second := decode[object](t, h.upload(t, "", first, "purpose", "batch"), 200)["id"]
		if got := decode[object](t, h.ask("GET", "/v1/files?limit=1", ""), 200); got["has_more"] != true || got["first_id"] != second {
			t.Errorf("listed %v", got)
		}
		if got := decode[object](t, h.ask("GET", "/v1/files?limit=1&after="+second.(string), ""), 200); got["has_more"] != false || got["first_id"] != id {
			t.Errorf("listed %v", got)
		}
		for _, c := range []struct{ method, path string }{{"GET", ""}, {"GET", "/content"}, {"DELETE", ""}} {
			if w := h.ask(c.method, "/v1/files/"+id+c.path, "", "X-Api-Key: hr-narrow"); w.Code != 404 {
				t.Errorf("another's %s %s: %d", c.method, c.path, w.Code)
			}
		}
		if got := decode[object](t, h.ask("DELETE", "/v1/files/"+id, ""), 200); got["deleted"] != true {
			t.Errorf("deleted %v", got)
		}
		if w := h.ask("GET", "/v1/files/"+id, ""); w.Code != 404 {
			t.Errorf("after it was deleted: %d", w.Code)
		}
		for _, c := range []struct {
			says   string
			fields []string
		}{{"purpose", nil}, {"seconds", []string{"purpose", "batch", "expires_after[seconds]", "5"}}, {"other", []string{"other", "x"}}} {
			w := h.upload(t, "{}", first, c.fields...)
			if text := told(t, llm.OpenAI, w.Code, w.Body.Bytes()); w.Code != 400 || !strings.Contains(text, c.says) {
				t.Errorf("%v: %d %s", c.fields, w.Code, text)
			}
		}
		if got := decode[object](t, h.ask("GET", "/v1/files", ""), 200); len(got["data"].([]any)) != 1 {
			t.Errorf("a refused file stayed: %v", got)
		}
	}
}

// TestBatch takes a batch of OpenAI's through its life: lines that are wrong are
// named, and the others go on.
func TestBatch(t *testing.T) {
	t.Parallel()
	line := func(id, more string) string {
		return `{"custom_id":"` + id + `","method":"POST","url":"/v1/chat/completions","body":{"messages":[],` + more + `}}` + "\n"
	}
	const model = `"model":"openai/gpt-5.5"`
	content := line("a", model) + "\n" + line("b", `"model":"anthropic/claude-sonnet-5"`) + "no JSON\n" + line("a", model) + line("c", model+`,"stream":true`) +
		strings.Replace(line("d", model), "/v1/chat", "/v2/chat", 1) + line("e", `"model":"nobody/nothing"`) + line("f", model+`,"x":"`+strings.Repeat("x", 70<<10)+`"`) + strings.TrimSuffix(line("g", model), "\n")
	h, s := newShop(t)
	file := decode[object](t, h.upload(t, content, true, "purpose", "batch"), 200)["id"].(string)
	ask := `{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"k":"v"}}`
	made := decode[object](t, h.ask("POST", "/v1/batches", ask), 200)
	id := made["id"].(string)
	if !strings.HasPrefix(id, "batch_") || made["object"] != "batch" || made["status"] != "in_progress" || made["input_file_id"] != file || made["completion_window"] != "24h" ||
		made["endpoint"] != "/v1/chat/completions" || made["metadata"].(object)["k"] != "v" || made["output_file_id"] != nil {
		t.Errorf("made %v", made)
	}
	if c := made["request_counts"].(object); c["total"] != 9.0 || c["failed"] != 6.0 || c["completed"] != 0.0 {
		t.Errorf("counts %v", c)
	}
	var wrong []string
	for _, e := range made["errors"].(object)["data"].([]any) {
		e := e.(object)
		wrong = append(wrong, fmt.Sprintf("%v %v %v", e["line"], e["code"], e["param"]))
	}
	if got, want := strings.Join(wrong, "; "), "4 invalid_json_line ; 5 duplicate_custom_id custom_id; 6 invalid_value body.stream; 7 mismatched_url url; 8 model_not_found body.model; 9 line_too_long "; got != want {
		t.Errorf("wrong lines %s, want %s", got, want)
	}
	job := s.last()
	var items []string
	for _, it := range s.items[job.ID] {
		items = append(items, it.CustomID+" "+it.Model)
	}
	if got := strings.Join(items, "; "); got != "a openai/gpt-5.5; b anthropic/claude-sonnet-5; g openai/gpt-5.5" {
		t.Errorf("items %s", got)
	}
	s.finish(job.ID, 0, batch.Succeeded, &batch.Answer{Status: 200, RequestID: "req_1", Body: []byte(`{"id":"x"}`)})
	s.finish(job.ID, 1, batch.Failed, &batch.Answer{Status: 400, RequestID: "req_2", Err: llm.Errorf(llm.InvalidRequest, "no")})
	if got := decode[object](t, h.ask("GET", "/v1/batches/"+id, ""), 200); got["request_counts"].(object)["completed"] != 1.0 || got["output_file_id"] != nil {
		t.Errorf("on the way %v", got)
	}
	if got := decode[object](t, h.ask("POST", "/v1/batches/"+id+"/cancel", ""), 200); got["status"] != "cancelling" || got["cancelling_at"] == nil {
		t.Errorf("canceled %v", got)
	}
	s.finish(job.ID, 2, batch.Canceled, nil)
	got := decode[object](t, h.ask("GET", "/v1/batches/"+id, ""), 200)
	output, _ := got["output_file_id"].(string)
	errs, _ := got["error_file_id"].(string)
	if got["status"] != "cancelled" || got["cancelled_at"] == nil {
		t.Errorf("ended %v", got)
	}
	w := h.ask("GET", "/v1/files/"+output+"/content", "")
	if lines := strings.Split(w.Body.String(), "\n"); len(lines) != 2 || !strings.Contains(lines[0], `"custom_id":"a","response":{"status_code":200,"request_id":"req_1","body":{"id":"x"}},"error":null}`) {
		t.Errorf("output %d %s", w.Code, w.Body)
	}
	if f := decode[object](t, h.ask("GET", "/v1/files/"+output, ""), 200); f["bytes"] != float64(w.Body.Len()) || f["purpose"] != "batch_output" {
		t.Errorf("output file %v, want %d bytes", f, w.Body.Len())
	}
	w = h.ask("GET", "/v1/files/"+errs+"/content", "")
	if text := w.Body.String(); strings.Count(text, "\n") != 8 || !strings.Contains(text, `"status_code":400`) || !strings.Contains(text, "batch_cancelled") || !strings.Contains(text, `"line":4`) {
		t.Errorf("errors %d %s", w.Code, text)
	}
	for _, c := range []struct{ method, path string }{{"GET", "/v1/batches/" + id}, {"POST", "/v1/batches/" + id + "/cancel"}, {"GET", "/v1/batches/" + id + "/events"},
		{"GET", "/v1/files/" + output + "/content"}, {"GET", "/v1/files/" + errs}, {"GET", "/v1/jobs/" + strings.Replace(id, "batch_", "job_", 1)}} {
		if w := h.ask(c.method, c.path, "", "X-Api-Key: hr-narrow"); w.Code != 404 {
			t.Errorf("another's %s %s: %d", c.method, c.path, w.Code)
		}
	}
	if w := h.ask("POST", "/v1/batches", ask, "X-Api-Key: hr-narrow"); w.Code != 404 {
		t.Errorf("a batch of another's file: %d", w.Code)
	}
	if got := decode[object](t, h.ask("GET", "/v1/batches?limit=1", ""), 200); got["first_id"] != id || got["has_more"] != false {
		t.Errorf("listed %v", got)
	}
	if w := h.ask("GET", "/v1/messages/batches/"+strings.Replace(id, "batch_", "msgbatch_", 1), ""); w.Code != 404 {
		t.Errorf("seen by the wrong door: %d", w.Code)
	}
	for _, c := range []struct{ old, new, says string }{
		{"/v1/chat/completions", "/v1/images", "endpoint"}, {"24h", "soon", "completion_window"}, {`"metadata":{"k":"v"}`, `"metadata":{"k":1}`, "metadata"},
		{`"metadata"`, `"else"`, `"else"`}, {"/v1/chat/completions", "/v1/responses", "line 1"}, {file, "", "input_file_id"},
	} {
		w := h.ask("POST", "/v1/batches", strings.Replace(ask, c.old, c.new, 1))
		if text := told(t, llm.OpenAI, w.Code, w.Body.Bytes()); w.Code != 400 || !strings.Contains(text, c.says) {
			t.Errorf("%s for %s: %d %s", c.new, c.old, w.Code, text)
		}
	}
	if w := h.ask("POST", "/v1/batches", ask, "X-Headrace-Deadline: 2020-01-01T00:00:00Z"); w.Code != 400 {
		t.Errorf("a deadline in the past: %d", w.Code)
	}
}

// TestOutputExpires: results are not there any more when their client said so.
func TestOutputExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := newShop(t)
		line := `{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"openai/gpt-5.5","messages":[]}}`
		file := decode[object](t, h.upload(t, line, true, "purpose", "batch"), 200)["id"].(string)
		ask := `{"input_file_id":"` + file + `","endpoint":"/v1/chat/completions","completion_window":"24h","output_expires_after":{"anchor":"created_at","seconds":3600}}`
		id := decode[object](t, h.ask("POST", "/v1/batches", ask), 200)["id"].(string)
		s.finish(s.last().ID, 0, batch.Succeeded, &batch.Answer{Status: 200, Body: []byte(`{"id":"x"}`)})
		output := decode[object](t, h.ask("GET", "/v1/batches/"+id, ""), 200)["output_file_id"].(string)
		f := decode[object](t, h.ask("GET", "/v1/files/"+output, ""), 200)
		if f["expires_at"] != f["created_at"].(float64)+3600 {
			t.Errorf("file %v", f)
		}
		time.Sleep(time.Hour)
		if w := h.ask("GET", "/v1/files/"+output+"/content", ""); w.Code != 404 {
			t.Errorf("an hour later: %d %s", w.Code, w.Body)
		}
		if got := decode[object](t, h.ask("GET", "/v1/batches/"+id, ""), 200); got["output_file_id"] != nil || got["status"] != "completed" {
			t.Errorf("an hour later %v", got)
		}
		for _, bad := range []string{`"created_at","seconds":10`, `"ended_at","seconds":3600`, `"created_at","seconds":99999999`} {
			if w := h.ask("POST", "/v1/batches", strings.Replace(ask, `"created_at","seconds":3600`, bad, 1)); w.Code != 400 {
				t.Errorf("%s: %d %s", bad, w.Code, w.Body)
			}
		}
	})
}

// TestRespondAsync: a request of any dialect that is not waited for is a job.
func TestRespondAsync(t *testing.T) {
	t.Parallel()
	all := append(doors[:len(doors):len(doors)], struct {
		dialect    llm.Dialect
		path, body string
	}{llm.OpenAI, "/openai/embeddings", `{"model":"openai/text-embedding-3-small","input":"x"}`})
	for _, d := range all {
		t.Run(d.path, func(t *testing.T) {
			t.Parallel()
			h, s := newShop(t)
			w := h.ask("POST", d.path, d.body, "Prefer: respond-async, wait=1", "X-Headrace-Deadline: 2h")
			made := decode[object](t, w, 202)
			at := w.Header().Get("Location")
			if at != "/v1/jobs/"+made["id"].(string) || made["status"] != "queued" || w.Header().Get("Preference-Applied") != "respond-async" {
				t.Errorf("made %v at %s", made, at)
			}
			job := s.last()
			if left := time.Until(job.Deadline); left > 2*time.Hour || left < 2*time.Hour-time.Minute {
				t.Errorf("deadline in %v", left)
			}
			j, err := gateway.JobOf(&job, &s.items[job.ID][0])
			if err != nil {
				t.Fatal(err)
			}
			// What was left must come by its door again.
			again := httptest.NewRecorder()
			if row := h.Do(t.Context(), &j, again); again.Code != 200 || row.Dialect != d.dialect || row.Asked != s.items[job.ID][0].Model {
				t.Errorf("asked later: %d %s, row %+v", again.Code, again.Body, row)
			}
			if w := h.ask("GET", at, "", "X-Api-Key: hr-narrow"); w.Code != 404 {
				t.Errorf("another's: %d", w.Code)
			}
			s.finish(job.ID, 0, batch.Succeeded, &batch.Answer{Status: 200, RequestID: "req_1", Body: []byte(`{"id":"x"}`)})
			got := decode[object](t, h.ask("GET", at, ""), 200)
			if r, _ := got["response"].(object); got["status"] != "succeeded" || r["status_code"] != 200.0 || r["body"].(object)["id"] != "x" {
				t.Errorf("ended %v", got)
			}
			if got := decode[object](t, h.ask("DELETE", at, ""), 200); got["deleted"] != true {
				t.Errorf("deleted %v", got)
			}
			if w := h.ask("POST", d.path, d.body, "Prefer: respond-async", "X-Headrace-Deadline: 2020-01-01T00:00:00Z"); w.Code != 400 || !strings.Contains(told(t, d.dialect, w.Code, w.Body.Bytes()), "past") {
				t.Errorf("a deadline in the past: %d %s", w.Code, w.Body)
			}
		})
	}
	h, s := newShop(t)
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/v1/messages", `{"model":"openai/gpt-5.5","stream":true,"max_tokens":9,"messages":[]}`, 400},
		{"/v1beta/models/openai/gpt-5.5:streamGenerateContent", `{"contents":[]}`, 400},
		{"/v1/messages", `{"model":"nobody/nothing","max_tokens":9,"messages":[]}`, 404},
	} {
		if w := h.ask("POST", c.path, c.body, "Prefer: respond-async"); w.Code != c.status || len(s.jobs) != 0 {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
	}
	at := h.ask("POST", doors[0].path, doors[0].body, "Prefer: respond-async").Header().Get("Location")
	if got := decode[object](t, h.ask("DELETE", at, ""), 202); got["status"] != "canceling" {
		t.Errorf("canceled %v", got)
	}
	if got := decode[object](t, h.ask("GET", "/v1/jobs", ""), 200); len(got["data"].([]any)) != 1 {
		t.Errorf("listed %v", got)
	}
}

// TestJobEvents: results come as they are there, each once, and a silent job
// keeps its stream alive.
func TestJobEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, s := newShop(t)
		id := decode[object](t, h.ask("POST", "/v1/messages/batches", twoMessages), 200)["id"].(string)
		job := s.last()
		got := make(chan *httptest.ResponseRecorder)
		go func() { got <- h.ask("GET", "/v1/messages/batches/"+id+"/events", "") }()
		time.Sleep(38 * time.Second)
		s.finish(job.ID, 1, batch.Succeeded, &batch.Answer{Status: 200, Body: []byte(`{}`)})
		time.Sleep(5 * time.Second)
		s.finish(job.ID, 0, batch.Expired, nil)
		w := <-got
		var names, ids []string
		for block := range strings.SplitSeq(strings.TrimSpace(w.Body.String()), "\n\n") {
			if rest, ok := strings.CutPrefix(block, "id: "); ok {
				var id string
				id, block, _ = strings.Cut(rest, "\n")
				ids = append(ids, id)
			}
			name, data, _ := strings.Cut(block, "\n")
			names = append(names, strings.TrimPrefix(name, "event: "))
			if data, ok := strings.CutPrefix(data, "data: "); ok && !jsontext.Value(data).IsValid() {
				t.Errorf("no JSON: %s", data)
			}
		}
		if got := strings.Join(names, " "); got != "progress : keep-alive : keep-alive progress result progress result end" {
			t.Errorf("events %s", got)
		}
		if text := w.Body.String(); strings.Index(text, `"custom_id":"b"`) > strings.Index(text, `"custom_id":"a"`) {
			t.Error("the results are not in the order they came")
		}
		// A client that comes again goes on behind the last result that it saw.
		if len(ids) != 2 {
			t.Fatalf("ids of results %q", ids)
		}
		for i, want := range []int{1, 0} {
			w := h.ask("GET", "/v1/messages/batches/"+id+"/events", "", "Last-Event-ID: "+ids[i])
			if got := strings.Count(w.Body.String(), "event: result"); got != want || !strings.Contains(w.Body.String(), "event: end") {
				t.Errorf("after result %d: %s", i, w.Body)
			}
		}
		if w := h.ask("GET", "/v1/messages/batches/"+id+"/events?after=never", ""); w.Code != 400 {
			t.Errorf("after something else: %d %s", w.Code, w.Body)
		}
		// A client that leaves ends the stream.
		id = decode[object](t, h.ask("POST", "/v1/messages/batches", twoMessages), 200)["id"].(string)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan any)
		go func() {
			defer func() { done <- recover() }()
			req := httptest.NewRequest("GET", "/v1/jobs/"+strings.Replace(id, "msgbatch_", "job_", 1)+"/events", nil).WithContext(ctx)
			req.Header.Set("X-Api-Key", key)
			h.handler.ServeHTTP(httptest.NewRecorder(), req)
		}()
		time.Sleep(time.Second)
		cancel(errors.New("gone"))
		if v := <-done; v != http.ErrAbortHandler {
			t.Errorf("the stream ended as if it were whole: %v", v)
		}
		h.tidy(t, len(h.rows))
	})
}

// TestNoBatches: without batches the paths are the vendor's, or nobody's.
func TestNoBatches(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if w := h.ask("POST", "/v1/messages/batches", twoMessages); w.Code != 404 || told(t, llm.Anthropic, w.Code, w.Body.Bytes()) == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/anthropic/v1/messages/batches", "/openai/v1/batches"} {
		if w := h.ask("POST", path, `{}`); w.Code != 200 || w.Body.String() != "hi" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := h.ask("POST", doors[0].path, doors[0].body, "Prefer: respond-async"); w.Code != 200 || w.Body.String() != "hi" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	shop, _ := newShop(t)
	if w := shop.ask("GET", "/v1/files", "", "Anthropic-Version: 2023-06-01"); w.Code != 200 || w.Body.String() != "hi" {
		t.Errorf("Anthropic's files: %d", w.Code)
	}
}
