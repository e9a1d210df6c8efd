package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/route"
)

// This file is about what the batch doors share, and Anthropic's.

// Batches answers what is not waited for; batch.Service is one. Each method
// gives batch.ErrNotFound for another owner's job. Safe for concurrent use.
type Batches interface {
	// Submit keeps a job whose items are read one by one; nothing of it stays
	// when they end in an error, which comes back. The same key and items give the
	// job that was first; other errors are batch.ErrConflict, batch.ErrDuplicate
	// and *batch.LateError.
	Submit(ctx context.Context, j batch.Job, key string, items iter.Seq2[batch.Item, error]) (batch.Job, error)
	Job(ctx context.Context, owner string, id batch.JobID) (batch.Job, error)
	// Jobs lists jobs below before (0: all), the newest first.
	Jobs(ctx context.Context, owner string, before batch.JobID, limit int) ([]batch.Job, error)
	// Items gives a job's items in their order, with what answers there are.
	Items(ctx context.Context, owner string, id batch.JobID) iter.Seq2[batch.Item, error]
	// Answered gives the answers that are there behind a place, in the order they
	// came, with their Seq.
	Answered(ctx context.Context, owner string, id batch.JobID, after batch.Cursor) iter.Seq2[batch.Item, error]
	// Retry queues what failed, expired or was canceled again, and says how many;
	// *batch.LateError.
	Retry(ctx context.Context, owner string, id batch.JobID, deadline time.Time) (int64, error)
	// Cancel asks for a job's end.
	Cancel(ctx context.Context, owner string, id batch.JobID) (batch.Job, error)
	// Delete removes a job that has ended; batch.ErrBusy.
	Delete(ctx context.Context, owner string, id batch.JobID) error
	// Watch gives the job now and whenever its counts have changed, and ends with
	// it.
	Watch(ctx context.Context, owner string, id batch.JobID) iter.Seq2[batch.Job, error]
}

// The bounds of one batch, which are Anthropic's (and more than OpenAI's).
const (
	batchItems = 100_000
	batchBytes = 256 << 20
	// batchWindow is the deadline of a batch that names none.
	batchWindow = 24 * time.Hour
)

// priorityBatch lets everybody else go first.
const priorityBatch = "batch"

// about is what a job's Meta holds: what its door has to know again.
type about struct {
	// Header are the request headers that the items are asked with.
	Header http.Header `json:"header,omitzero"`
	// What follows is of OpenAI's batches.
	Endpoint string `json:"endpoint,omitzero"`
	Input    string `json:"input_file_id,omitzero"`
	Window   string `json:"completion_window,omitzero"`
	// Keep is for how many seconds after the end the results are shown; 0 is as
	// long as the job is.
	Keep     int64          `json:"keep,omitzero"`
	Metadata jsontext.Value `json:"metadata,omitzero"`
	// Bad are the first lines that could not be read, BadLines is how many.
	Bad      []badLine `json:"bad,omitzero"`
	BadLines int64     `json:"bad_lines,omitzero"`
}

// badLine is a line of an input file that is not worked on.
type badLine struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Param   string `json:"param"`
	Line    int64  `json:"line"`
}

func aboutOf(j *batch.Job) (a about, fail *llm.Error) {
	if len(j.Meta) == 0 {
		return a, nil
	}
	if err := json.Unmarshal(j.Meta, &a); err != nil {
		return a, &llm.Error{Class: llm.Unavailable, Message: "the job cannot be read", Cause: err}
	}
	return a, nil
}

// JobOf makes the request of an item, for Do; the Caller is the caller's to set.
func JobOf(j *batch.Job, it *batch.Item) (Job, error) {
	a, fail := aboutOf(j)
	if fail != nil {
		return Job{}, fail
	}
	path := j.Name
	if j.Form != batch.FormSingle {
		path = itemPaths[itemKind{it.Dialect, it.Op}]
	}
	if path == "" {
		return Job{}, llm.Errorf(llm.Unsupported, "no door takes %s of the dialect %s as an item", it.Op, it.Dialect)
	}
	return Job{Path: path, Header: a.Header, Body: it.Body, Priority: priorityBatch}, nil
}

type itemKind struct {
	dialect llm.Dialect
	op      llm.Op
}

// itemPaths is by which door an item of a batch goes.
var itemPaths = map[itemKind]string{
	{llm.Anthropic, llm.OpChat}: "/v1/messages",
	{llm.OpenAI, llm.OpChat}:    "/v1/chat/completions",
	{llm.OpenAI, llm.OpEmbed}:   "/v1/embeddings",
	{llm.Responses, llm.OpChat}: "/v1/responses",
	{llm.Ollama, llm.OpChat}:    "/api/chat",
	{llm.Ollama, llm.OpEmbed}:   "/api/embed",
}

// The prefixes of ids that clients see.
const (
	messageBatchPrefix = "msgbatch_"
	batchPrefix        = "batch_"
	jobPrefix          = "job_"
	filePrefix         = "file-"
)

// shown gives the form of an id that clients see.
func shown[T ~int64](prefix string, id T) string {
	return prefix + strings.TrimPrefix(ledger.ID(id).String(), requestPrefix)
}

const requestPrefix = "req_"

// hidden reads what shown writes with one of the prefixes; 0 is anything else.
func hidden[T ~int64](s string, prefixes ...string) T {
	for _, prefix := range prefixes {
		if text, ok := strings.CutPrefix(s, prefix); ok {
			id, err := ledger.ParseID(requestPrefix + text)
			if err == nil {
				return T(id)
			}
		}
	}
	return 0
}

// batchFail says what an error of a Batches or Files is to the client; what is
// what was asked for.
func batchFail(err error, what string) *llm.Error {
	late, ok := errors.AsType[*batch.LateError](err)
	switch {
	case err == nil:
		return nil
	case ok:
		return &llm.Error{Class: llm.InvalidRequest, Status: http.StatusConflict, Code: "deadline_cannot_be_kept", Message: late.Error()}
	case errors.Is(err, batch.ErrConflict):
		return &llm.Error{Class: llm.InvalidRequest, Status: http.StatusConflict, Code: "idempotency_key_reused",
			Message: "the idempotency-key was used before, for another request"}
	case errors.Is(err, batch.ErrDuplicate):
		return llm.Errorf(llm.InvalidRequest, "two requests of the batch have the same custom_id")
	case errors.Is(err, batch.ErrBusy):
		return &llm.Error{Class: llm.InvalidRequest, Status: http.StatusConflict, Message: what + " has not ended: cancel it first"}
	case errors.Is(err, batch.ErrNotFound):
		return llm.Errorf(llm.NotFound, "there is no %s of this key", what)
	}
	if e, ok := errors.AsType[*llm.Error](err); ok {
		return e
	}
	return &llm.Error{Class: llm.Unavailable, Message: "the store of batches cannot serve now", Cause: err}
}

// due reads the deadline of a job: x-headrace-deadline, else the window from
// now. One in the past is refused.
func due(h http.Header, now time.Time, window time.Duration) (time.Time, *llm.Error) {
	end, fail := deadline(h.Get("X-Headrace-Deadline"), now)
	switch {
	case fail != nil:
		return end, fail
	case end.IsZero():
		return now.Add(window), nil
	case !end.After(now):
		return end, llm.Errorf(llm.InvalidRequest, "x-headrace-deadline %q is in the past", h.Get("X-Headrace-Deadline"))
	}
	return end, nil
}

// newJob makes a job of the caller's.
func (x *exchange) newJob(p *access.Principal, h http.Header, form batch.Form, window time.Duration) (batch.Job, *llm.Error) {
	end, fail := due(h, x.reply.start, window)
	return batch.Job{Owner: p.KeyID, Team: p.Team, Dialect: x.reply.door.name, Form: form, Priority: priorityBatch, Deadline: end}, fail
}

// itemHeader is what items are asked with of the headers that a job came with:
// what asks for something, nothing that differs from one try to the next.
func (d *door) itemHeader(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range append([]string{"X-Headrace-Tags", "X-Headrace-Session", "X-Headrace-Task", "X-Headrace-Max-Cost", "X-Headrace-Thinking", "X-Headrace-Rehearse"}, d.forward...) {
		if v, ok := h[name]; ok {
			out[name] = v
		}
	}
	return out
}

// submit keeps a job under the request's idempotency key.
func (x *exchange) submit(ctx context.Context, req *http.Request, j batch.Job, a about, items iter.Seq2[batch.Item, error]) (batch.Job, *llm.Error) {
	var fail *llm.Error
	if j.Webhook, fail = x.hook(ctx, req.Header); fail != nil {
		return j, fail
	}
	a.Header = x.reply.door.itemHeader(req.Header)
	meta, err := json.Marshal(&a, json.Deterministic(true))
	if err != nil {
		return j, asError(err, llm.InvalidRequest)
	}
	j.Meta = meta
	out, err := x.g.o.Batches.Submit(ctx, j, req.Header.Get("Idempotency-Key"), items)
	return out, batchFail(err, "job")
}

// enterNow lets a request in that leaves a job behind: its deadline is the
// job's.
func (x *exchange) enterNow(req *http.Request) (context.Context, context.CancelFunc, access.Principal, *llm.Error) {
	ctx := req.Context()
	p, fail := x.who(req)
	if fail == nil {
		fail = x.place.enter(ctx, p, req.Header.Get("X-Headrace-Priority"))
	}
	return ctx, func() {}, p, fail
}

// counter answers at the counter of the batch doors: it needs Batches and asks
// no provider. Without Batches the path is the vendor's, or nobody's. What
// cannot be ours is the vendor's, if that is configured.
func (g *Gateway) counter(w http.ResponseWriter, req *http.Request, d *door, answer func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error) {
	path := strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, d.prefix), "/v1")
	ours := strings.HasPrefix(path, "/jobs") || strings.HasPrefix(path, "/webhooks")
	if !ours && d.name == llm.OpenAI && like(req).name == llm.Anthropic {
		// Anthropic's client on OpenAI's path wants a file that is not kept here.
		d = dialects[llm.Anthropic].door(llm.OpRaw)
		g.serve(w, req, d, asked{rest: req.URL.EscapedPath()})
		return
	}
	if g.o.Batches == nil {
		if strings.HasPrefix(req.URL.Path, d.prefix+"/") {
			g.serve(w, req, d, asked{rest: strings.TrimPrefix(req.URL.EscapedPath(), d.prefix)})
			return
		}
		g.nowhere(w, req, nil)
		return
	}
	x := g.begin(w, d)
	defer x.end()
	ctx, _, p, fail := x.enterNow(req)
	switch {
	case fail != nil:
	case !ours && theirs(req) && x.vendors():
		fail = x.hand(ctx, req, &p, nil)
	default:
		fail = answer(ctx, x, &p)
	}
	if fail != nil {
		x.refuse(fail)
	}
}

// tell answers with v in JSON.
func (x *exchange) tell(status int, v any) *llm.Error {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return asError(err, llm.Unavailable)
	}
	h := x.reply.headers(relay.Meta{})
	h["Content-Type"] = []string{"application/json"}
	if err := x.reply.send(status, h, body); err != nil {
		x.row.Class = llm.ClientGone
	}
	return nil
}

// stream begins a long answer of our own. It gives its place to others: a
// download takes none of the rooms.
func (x *exchange) stream(kind string) *bufio.Writer {
	x.place.leave()
	r := &x.reply
	h := r.headers(relay.Meta{})
	h["Content-Type"] = []string{kind}
	h["X-Accel-Buffering"] = []string{"no"}
	r.status, r.first, r.begun = http.StatusOK, time.Since(r.start), true
	r.hurry()
	r.w.WriteHeader(r.status)
	return bufio.NewWriterSize(hurried{r}, 32<<10)
}

// hurried is the client of a stream, who may not stop reading.
type hurried struct{ r *reply }

func (h hurried) Write(p []byte) (int, error) {
	h.r.hurry()
	return h.r.w.Write(p)
}

// cut ends a stream that cannot go on: it must not look whole.
func (x *exchange) cut(class llm.Class) {
	x.row.Class = class
	x.reply.abort = true
}

// lines streams what line makes of each item of a job; nil is no line.
func (x *exchange) lines(ctx context.Context, j *batch.Job, kind string, before []byte, line func(*batch.Item) []byte) {
	out := x.stream(kind)
	if _, err := out.Write(before); err != nil {
		x.cut(llm.ClientGone)
		return
	}
	for it, err := range x.g.o.Batches.Items(ctx, j.Owner, j.ID) {
		if err != nil {
			x.cut(llm.Unavailable)
			return
		}
		if _, err := out.Write(line(&it)); err != nil {
			x.cut(llm.ClientGone)
			return
		}
	}
	if out.Flush() != nil {
		x.cut(llm.ClientGone)
	}
}

// mustLine writes a value that is known to have a form in JSON as one line.
func mustLine(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // a body that is no JSON: it goes as a text
		b, _ = json.Marshal(map[string]string{"error": "the answer is not JSON: " + err.Error()})
	}
	return append(b, '\n')
}

// flat is a body without the newlines that would cut a line of results.
func flat(body []byte) jsontext.Value {
	v := jsontext.Value(slices.Clone(body))
	if err := v.Compact(); err != nil {
		text, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(string(body), "\uFFFD"))
		return text
	}
	return v
}

// jobsOf walks the owner's jobs of a form below before, the newest first.
func (x *exchange) jobsOf(ctx context.Context, owner string, before batch.JobID, forms ...batch.Form) iter.Seq2[batch.Job, error] {
	return func(yield func(batch.Job, error) bool) {
		for {
			page, err := x.g.o.Batches.Jobs(ctx, owner, before, jobsPage)
			if err != nil {
				yield(batch.Job{}, err)
				return
			}
			for _, j := range page {
				before = j.ID
				if slices.Contains(forms, j.Form) && !yield(j, nil) {
					return
				}
			}
			if len(page) < jobsPage {
				return
			}
		}
	}
}

const jobsPage = 100

// page is a part of a list.
type page struct {
	jobs []batch.Job
	more bool
}

// pageOf gives up to limit jobs of the forms: those older than after, or those
// just newer than before; 0 is neither.
func (x *exchange) pageOf(ctx context.Context, owner string, after, before batch.JobID, limit int, forms ...batch.Form) (p page, fail *llm.Error) {
	for j, err := range x.jobsOf(ctx, owner, after, forms...) {
		switch {
		case err != nil:
			return p, batchFail(err, "batch")
		case before != 0 && j.ID <= before:
			return p, nil
		case before != 0 && len(p.jobs) == limit: // only the last of them
			p.jobs, p.more = p.jobs[1:], true
		case len(p.jobs) == limit:
			p.more = true
			return p, nil
		}
		p.jobs = append(p.jobs, j)
	}
	return p, nil
}

// limitOf reads how many a list is to have.
func limitOf(req *http.Request, most int) (int, *llm.Error) {
	v := req.URL.Query().Get("limit")
	if v == "" {
		return 20, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, llm.Errorf(llm.InvalidRequest, "limit: %q is not a number from 1 to %d", v, most)
	}
	return n, nil
}

// cursor reads an id of the query that a list goes on from.
func cursor(req *http.Request, name, prefix string) (batch.JobID, *llm.Error) {
	v := req.URL.Query().Get(name)
	if v == "" {
		return 0, nil
	}
	id := hidden[batch.JobID](v, prefix)
	if id == 0 {
		return 0, llm.Errorf(llm.InvalidRequest, "%s: %q is no id of a batch", name, v)
	}
	return id, nil
}

// named finds the job that the path names, if it came by one of the forms.
func (x *exchange) named(ctx context.Context, req *http.Request, what string, prefixes []string, forms ...batch.Form) (batch.Job, *llm.Error) {
	what += " " + strconv.Quote(req.PathValue("id"))
	id := hidden[batch.JobID](req.PathValue("id"), prefixes...)
	if id == 0 {
		return batch.Job{}, batchFail(batch.ErrNotFound, what)
	}
	j, err := x.g.o.Batches.Job(ctx, x.row.KeyID, id)
	if err == nil && (j.Owner != x.row.KeyID || len(forms) > 0 && !slices.Contains(forms, j.Form)) {
		err = batch.ErrNotFound
	}
	return j, batchFail(err, what)
}

// messageBatch is Anthropic's MessageBatch.
type messageBatch struct {
	ID         string        `json:"id"`
	Type       string        `json:"type"`
	Status     string        `json:"processing_status"`
	Counts     messageCounts `json:"request_counts"`
	Ended      *time.Time    `json:"ended_at"`
	Created    time.Time     `json:"created_at"`
	Expires    time.Time     `json:"expires_at"`
	Archived   *time.Time    `json:"archived_at"`
	Canceled   *time.Time    `json:"cancel_initiated_at"`
	ResultsURL *string       `json:"results_url"`
}

type messageCounts struct {
	Processing int64 `json:"processing"`
	Succeeded  int64 `json:"succeeded"`
	Errored    int64 `json:"errored"`
	Canceled   int64 `json:"canceled"`
	Expired    int64 `json:"expired"`
}

// messageBatchOf shows a job as Anthropic does: nothing is counted as done
// before all is.
func messageBatchOf(req *http.Request, j *batch.Job) messageBatch {
	m := messageBatch{ID: shown(messageBatchPrefix, j.ID), Type: "message_batch", Status: "in_progress",
		Created: j.Created.UTC(), Expires: j.Deadline.UTC(), Ended: moment(j.Ended), Canceled: moment(j.Canceled)}
	switch c := j.Counts; {
	case !j.Ended.IsZero():
		m.Status = "ended"
		m.Counts = messageCounts{c.Left(), c[batch.Succeeded], c[batch.Failed], c[batch.Canceled], c[batch.Expired]}
		url := here(req, "/v1/messages/batches") + "/" + m.ID + "/results"
		m.ResultsURL = &url
	case !j.Canceled.IsZero():
		m.Status = "canceling"
		fallthrough
	default:
		m.Counts.Processing = c.Total()
	}
	return m
}

// moment is a time that may not have come; nil then.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// here is the address of a path as the client of a request reaches it.
func here(req *http.Request, path string) string {
	scheme := "http"
	if proto, _, _ := strings.Cut(req.Header.Get("X-Forwarded-Proto"), ","); req.TLS != nil || proto == "https" {
		scheme = "https"
	}
	before, _, _ := strings.Cut(req.URL.Path, path)
	return scheme + "://" + req.Host + before + path
}

var messageForms = []batch.Form{batch.FormMessages}

var messagePrefixes = []string{messageBatchPrefix}

// createMessageBatch takes a batch while it is being read.
func (g *Gateway) createMessageBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		j, fail := x.newJob(p, req.Header, batch.FormMessages, batchWindow)
		if fail != nil {
			return fail
		}
		src, done, fail := x.upload(req, batchBytes)
		if fail != nil {
			return fail
		}
		defer done()
		j, fail = x.submit(ctx, req, j, about{}, x.messageItems(src))
		if fail != nil {
			return fail
		}
		return x.tell(http.StatusOK, messageBatchOf(req, &j))
	})
}

// upload reads a long body piece by piece, in time and within limit.
func (x *exchange) upload(req *http.Request, limit int64) (src *bounded, done func(), fail *llm.Error) {
	if req.ContentLength > limit {
		return nil, nil, tooLong(limit)
	}
	plain, end, fail := uncoded(req)
	if fail != nil {
		return nil, nil, fail
	}
	b := &bounded{src: plain, left: limit, limit: limit, span: limit}
	if x.s.ReadIn <= 0 {
		return b, end, nil
	}
	rc, within, last := http.NewResponseController(x.reply.w), x.s.ReadIn, time.Time{}
	b.before = func() {
		if now := time.Now(); now.Sub(last) > time.Second {
			last = now
			// Writers without deadlines are those of tests.
			_ = rc.SetReadDeadline(now.Add(within))
		}
	}
	return b, func() {
		end()
		_ = rc.SetReadDeadline(time.Time{})
	}, nil
}

func tooLong(limit int64) *llm.Error {
	return llm.Errorf(llm.TooLarge, "the request body is over the limit of %d bytes", limit)
}

// bounded reads up to a limit, of which one part may be span long.
type bounded struct {
	src               io.Reader
	left, limit, span int64
	part              int64
	before            func() // each read; nil is nothing
	fail              *llm.Error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.fail != nil {
		return 0, b.fail
	}
	if b.before != nil {
		b.before()
	}
	n, err := b.src.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	b.part += int64(n)
	switch {
	case b.left < 0:
		b.fail = tooLong(b.limit)
	case b.part > b.span:
		b.fail = llm.Errorf(llm.TooLarge, "one request of the batch is over the limit of %d bytes", b.span)
	case err != nil && err != io.EOF:
		b.fail = cutBody(err)
	default:
		return n, err
	}
	return 0, b.fail
}

// next begins a part; slack is how far the reader has read ahead.
func (b *bounded) next(span int64) { b.part, b.span = 0, span+step }

// customIDs is what Anthropic takes as a custom_id.
var customIDs = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// messageItems reads the requests of a batch one by one. What a request says is
// checked when it is asked: one that is wrong is an error of its own.
func (x *exchange) messageItems(src *bounded) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		dec := jsontext.NewDecoder(src)
		stop := func(err error) {
			if src.fail != nil {
				err = src.fail
			}
			yield(batch.Item{}, asError(err, llm.InvalidRequest))
		}
		if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
			stop(cmpErr(err, "the body is not an object"))
			return
		}
		seen := map[string]bool{}
		for dec.PeekKind() == '"' {
			name, err := dec.ReadToken()
			if err != nil {
				stop(err)
				return
			}
			src.next(x.s.MaxBody)
			if name.String() != "requests" {
				if err := dec.SkipValue(); err != nil {
					stop(err)
					return
				}
				continue
			}
			if t, err := dec.ReadToken(); err != nil || t.Kind() != '[' {
				stop(cmpErr(err, "requests: not a list"))
				return
			}
			for dec.PeekKind() != ']' {
				src.next(x.s.MaxBody)
				raw, err := dec.ReadValue()
				if err != nil {
					stop(fmt.Errorf("requests.%d: %w", len(seen), err))
					return
				}
				it, fail := x.messageItem(len(seen), raw, seen)
				if fail != nil {
					stop(fail)
					return
				}
				if !yield(it, nil) {
					return
				}
			}
			if _, err := dec.ReadToken(); err != nil {
				stop(err)
				return
			}
		}
		if _, err := dec.ReadToken(); err != nil {
			stop(err)
			return
		}
		if _, err := dec.ReadToken(); err != io.EOF {
			stop(cmpErr(err, "something follows the body"))
			return
		}
		if len(seen) == 0 {
			stop(errors.New("requests: a batch needs at least one"))
		}
	}
}

// cmpErr is err, or one that says text.
func cmpErr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// messageItem reads the nth request of a batch.
func (x *exchange) messageItem(n int, raw jsontext.Value, seen map[string]bool) (it batch.Item, fail *llm.Error) {
	var r struct {
		CustomID string         `json:"custom_id"`
		Params   jsontext.Value `json:"params"`
	}
	at := fmt.Sprintf("requests.%d.", n)
	if err := json.Unmarshal(raw, &r); err != nil {
		return it, llm.Errorf(llm.InvalidRequest, "%scustom_id: %v", at, err)
	}
	switch {
	case n >= batchItems:
		return it, llm.Errorf(llm.TooLarge, "requests: a batch has up to %d", batchItems)
	case !customIDs.MatchString(r.CustomID):
		return it, llm.Errorf(llm.InvalidRequest, "%scustom_id: %q does not match %s", at, r.CustomID, customIDs)
	case seen[r.CustomID]:
		return it, llm.Errorf(llm.InvalidRequest, "%scustom_id: %q is there twice; it must be unique in the batch", at, r.CustomID)
	case r.Params.Kind() != '{':
		return it, llm.Errorf(llm.InvalidRequest, "%sparams: must be an object", at)
	}
	seen[r.CustomID] = true
	head, err := x.reply.door.Head(llm.OpChat, r.Params)
	if err == nil && head.Stream {
		return it, llm.Errorf(llm.InvalidRequest, "%sparams.stream: a batch does not stream", at)
	}
	return batch.Item{CustomID: r.CustomID, Dialect: llm.Anthropic, Op: llm.OpChat, Model: head.Model, Body: r.Params}, nil
}

// messageBatches lists the caller's.
func (g *Gateway) messageBatches(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		limit, fail := limitOf(req, 1000)
		after, fail2 := cursor(req, "after_id", messageBatchPrefix)
		before, fail3 := cursor(req, "before_id", messageBatchPrefix)
		for _, f := range []*llm.Error{fail, fail2, fail3} {
			if f != nil {
				return f
			}
		}
		if after != 0 && before != 0 {
			return llm.Errorf(llm.InvalidRequest, "after_id and before_id exclude each other")
		}
		found, fail := x.pageOf(ctx, p.KeyID, after, before, limit, messageForms...)
		if fail != nil {
			return fail
		}
		list := struct {
			Data  []messageBatch `json:"data"`
			More  bool           `json:"has_more"`
			First *string        `json:"first_id"`
			Last  *string        `json:"last_id"`
		}{Data: []messageBatch{}, More: found.more}
		for i := range found.jobs {
			list.Data = append(list.Data, messageBatchOf(req, &found.jobs[i]))
		}
		if n := len(list.Data); n > 0 {
			list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
		}
		return x.tell(http.StatusOK, list)
	})
}

// messageBatch shows one.
func (g *Gateway) messageBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "message batch", messagePrefixes, messageForms...)
		if fail != nil {
			return fail
		}
		return x.tell(http.StatusOK, messageBatchOf(req, &j))
	})
}

// cancelMessageBatch asks for the end of one; one that has ended stays as it is.
func (g *Gateway) cancelMessageBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "message batch", messagePrefixes, messageForms...)
		if fail == nil {
			fail = x.stop(ctx, &j)
		}
		if fail != nil {
			return fail
		}
		return x.tell(http.StatusOK, messageBatchOf(req, &j))
	})
}

// stop asks for the end of a job that has not ended.
func (x *exchange) stop(ctx context.Context, j *batch.Job) *llm.Error {
	if !j.Ended.IsZero() || !j.Canceled.IsZero() {
		return nil
	}
	stopped, err := x.g.o.Batches.Cancel(ctx, j.Owner, j.ID)
	if err == nil {
		*j = stopped
	}
	return batchFail(err, "batch")
}

// deleteMessageBatch forgets one that has ended.
func (g *Gateway) deleteMessageBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "message batch", messagePrefixes, messageForms...)
		if fail != nil {
			return fail
		}
		id := shown(messageBatchPrefix, j.ID)
		if j.Ended.IsZero() {
			return llm.Errorf(llm.InvalidRequest, "message batch %s has not ended: cancel it first", id)
		}
		if err := x.g.o.Batches.Delete(ctx, j.Owner, j.ID); err != nil {
			return batchFail(err, "message batch "+id)
		}
		return x.tell(http.StatusOK, map[string]string{"id": id, "type": "message_batch_deleted"})
	})
}

// messageBatchResults streams a line for each request.
func (g *Gateway) messageBatchResults(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "message batch", messagePrefixes, messageForms...)
		if fail != nil {
			return fail
		}
		if j.Ended.IsZero() {
			return llm.Errorf(llm.NotFound, "message batch %s has no available results: it has not ended", shown(messageBatchPrefix, j.ID))
		}
		x.lines(ctx, &j, "application/x-jsonl", nil, func(it *batch.Item) []byte { return messageLine(it) })
		return nil
	})
}

// messageLine is a line of Anthropic's results; nil when there is no answer.
func messageLine(it *batch.Item) []byte {
	type result struct {
		Type    string         `json:"type"`
		Message jsontext.Value `json:"message,omitzero"`
		Error   jsontext.Value `json:"error,omitzero"`
	}
	r := result{Type: map[batch.State]string{batch.Succeeded: "succeeded", batch.Failed: "errored", batch.Canceled: "canceled", batch.Expired: "expired"}[it.State]}
	switch a := it.Answer; {
	case r.Type == "":
		return nil
	case it.State == batch.Succeeded:
		r.Message = flat(a.Body)
	case it.State == batch.Failed:
		_, body := answerError(it)
		r.Error = flat(body)
	}
	return mustLine(struct {
		CustomID string `json:"custom_id"`
		Result   result `json:"result"`
	}{it.CustomID, r})
}

// answerError is the status and the body that a failed item would have had as a
// request of its own.
func answerError(it *batch.Item) (int, []byte) {
	a := it.Answer
	if a == nil {
		a = &batch.Answer{Err: llm.Errorf(llm.Unavailable, "the request failed and nothing is known of it")}
	}
	if len(a.Body) > 0 {
		return a.Status, a.Body
	}
	e := a.Err
	if e == nil {
		e = llm.Errorf(llm.Unavailable, "the request failed and nothing is known of it")
	}
	status, body := dialects[it.Dialect].encodeError(e, a.RequestID)
	if a.Status >= 400 {
		status = a.Status
	}
	return status, body
}

// leads says whether a model's name leads anywhere that the caller may go.
func (x *exchange) leads(p *access.Principal, d *door, op llm.Op, model string) *llm.Error {
	_, fail := route.Make(route.Facts{Model: x.s.plain(model), Vendor: d.vendor, Allowed: p.MayUse, Embed: op == llm.OpEmbed}, x.s.Catalog, x.s.Policy)
	return fail
}
