package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/relay"
)

// reply is the client's side of one request, in the door's dialect. It is the
// only place that writes to the client.
type reply struct {
	w     http.ResponseWriter
	flush http.Flusher // nil where w cannot
	door  *door
	id    ledger.ID
	start time.Time
	// catalog says what answers cost.
	catalog *catalog.Catalog
	// draft is what is answered; nil before there is one. size counts its prompt,
	// keep is what it leaves behind, bill who pays for it.
	draft *llm.Draft
	opts  llm.StreamOptions
	size  sizer
	keep  keeping
	bill  *bill
	// warned is what the client is told before a provider is asked.
	warned []string
	// guarded looks at the answer; nil where no rule applies.
	guarded *guarded
	// trip is its way up a ladder; nil mostly.
	trip Trip

	native  bool
	begun   bool
	encoder llm.StreamEncoder
	buf     []byte
	// word is when the first word of a translated stream came, where its dialect
	// says how long that took.
	word time.Time
	// meta says how a streamed answer came about.
	meta relay.Meta
	// instead answers in place of an error of a provider's, where it can; nil
	// mostly.
	instead func() error
	// status and first are for the ledger: what the client saw, and when.
	status int
	first  time.Duration
	// writeIn bounds a write to a client that does not read; deadline is when
	// the one in force was set.
	writeIn  time.Duration
	deadline time.Time
	// abort says that the stream cannot be ended in the dialect's own form, so
	// the connection must break: a cut answer must not look whole.
	abort bool
}

// headers writes what every answer carries. Keys are canonical already.
func (r *reply) headers(m relay.Meta) http.Header {
	h := r.w.Header()
	id := r.id.String()
	h[r.door.idHeader] = []string{id}
	h["X-Headrace-Request-Id"] = []string{id}
	if m.Target != nil && m.Target.Model != "" {
		h["X-Headrace-Model"] = []string{m.Target.String()}
	}
	if m.Attempts > 0 {
		h["X-Headrace-Attempts"] = []string{strconv.Itoa(m.Attempts)}
	}
	if w := r.warnings(m.Warnings); len(w) > 0 {
		h["X-Headrace-Warnings"] = []string{headerText(strings.Join(w, "; "))}
	}
	return h
}

// warnings are all that the client is warned of: what came up on the way to a
// provider, and before and after that.
func (r *reply) warnings(onTheWay []string) []string {
	return slices.Concat(onTheWay, r.warned, r.keep.warnings, r.guarded.warnings())
}

// headerText keeps a header on one line and of a bounded size.
func headerText(s string) string {
	clean := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	if len(clean) > 2000 {
		clean = clean[:1997] + "..."
	}
	return clean
}

func (r *reply) send(status int, h http.Header, body []byte) error {
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	r.status, r.first = status, time.Since(r.start)
	r.begun = true
	r.hurry()
	r.w.WriteHeader(status)
	_, err := r.w.Write(body)
	return err
}

// Whole gives a whole answer.
func (r *reply) Whole(a *llm.Answer, m relay.Meta) error {
	if r.guarded.looks() && r.door.op == llm.OpChat {
		looked, fail := r.look(a)
		if fail != nil {
			return fail
		}
		a = looked
	}
	body := a.Body
	if a.Native {
		r.keep.heed(body, m)
	} else {
		var err error
		if body, err = r.translate(a, m); err != nil {
			return err
		}
		if r.keep.failed != nil {
			return r.Fail(r.keep.failed, m)
		}
	}
	if r.door.op == llm.OpChat && m.Target != nil {
		if w := r.size.cut(r.catalog, m.Target.Provider, m.Target.Model, a.Glance.Usage); w != "" {
			m.Warnings = append(slices.Clip(m.Warnings), w)
		}
	}
	h := r.headers(m)
	if m.Target != nil && a.Glance.Usage.Source != "" {
		cost, ok := r.catalog.Cost(m.Target.Provider, m.Target.Model, a.Glance.Usage, r.start)
		for i := range m.Held {
			before, priced := r.catalog.Cost(m.Held[i].Provider, m.Held[i].Model, m.Held[i].Usage, r.start)
			cost, ok = cost+before, ok && priced
		}
		if ok {
			h["X-Headrace-Cost"] = []string{dollars(cost)}
		}
	}
	if a.Native {
		pass(h, a)
		return r.send(a.Status, h, body)
	}
	h["Content-Type"] = []string{"application/json"}
	return r.send(http.StatusOK, h, body)
}

// look holds a whole answer to the rules. What has come in bytes is read, for the
// client is given what the rules leave of it.
func (r *reply) look(a *llm.Answer) (*llm.Answer, *llm.Error) {
	own := *a
	if a.Native {
		words, err := r.door.Codec.(interface {
			DecodeResponse([]byte) (*llm.Response, error)
		}).DecodeResponse(a.Body)
		if err != nil {
			return nil, asError(err, llm.MalformedUpstream)
		}
		own.Native, own.Response = false, words
	}
	words, fail := r.guarded.response(own.Response)
	own.Response = words
	return &own, fail
}

// translate writes a whole answer in words and keeps of it what must be. With
// r.keep.failed the client is told that instead.
func (r *reply) translate(a *llm.Answer, m relay.Meta) ([]byte, error) {
	if a.Response != nil {
		r.keep.note(a.Response.Items, m)
	}
	stored := r.keep.keeps()
	body, err := r.spell(a, m, stored)
	if err != nil || a.Response == nil || !stored {
		return body, err
	}
	if a.Response.From == r.door.name { // its provider has it
		r.keep.noted(body, m)
		return body, nil
	}
	if warned, _ := r.keep.saved(body, m); warned != "" {
		return r.spell(a, m, false)
	}
	return body, nil
}

// spell writes a whole answer in the door's dialect; stored says whether it is
// kept.
func (r *reply) spell(a *llm.Answer, m relay.Meta, stored bool) ([]byte, error) {
	switch r.door.op {
	case llm.OpCountTokens:
		return r.door.Codec.(counter).AppendCount(nil, a.Count), nil
	case llm.OpEmbed:
		asked, err := r.draft.Embed()
		if err != nil {
			return nil, err
		}
		answer := *a.Embeddings
		if r.door.echoes {
			answer.Model, answer.Took = r.opts.Model, r.took(m, time.Time{})
		}
		return r.door.Codec.(embedder).AppendEmbeddings(nil, asked, &answer), nil
	}
	answer := *a.Response
	if answer.Created == 0 { // a dialect without a time of its own
		answer.Created = r.opts.Created
	}
	answer.ID, answer.Model = cmp.Or(answer.ID, r.opts.ID), cmp.Or(answer.Model, r.opts.Model) // a provider that does not say
	if r.door.echoes {
		answer.Model, answer.Finish.Took = r.opts.Model, r.took(m, time.Time{})
	}
	if answer.From != r.door.name {
		answer.Echo = r.keep.echo(stored)
		if r.door.storer != nil { // what goes on from it comes to us
			answer.ID = r.opts.ID
		}
	}
	return r.door.AppendResponse(nil, &answer), nil
}

// took says how long an answer took; first is when its first word went out, zero
// for one that came whole.
func (r *reply) took(m relay.Meta, first time.Time) llm.Took {
	end, began := time.Now(), m.Began
	if began.IsZero() {
		began = r.start
	}
	if first.IsZero() {
		all := end.Sub(began)
		return llm.Took{Total: end.Sub(r.start), Wait: began.Sub(r.start), Prompt: all, Output: all}
	}
	return llm.Took{Total: end.Sub(r.start), Wait: began.Sub(r.start), Prompt: first.Sub(began), Output: end.Sub(first)}
}

// pass takes over the provider's own headers.
func pass(h http.Header, a *llm.Answer) {
	for k, v := range a.Header {
		h[k] = v
	}
	if a.ContentType != "" {
		h["Content-Type"] = []string{a.ContentType}
	}
}

// Begin sends the status and headers of a streamed answer.
func (r *reply) Begin(a *llm.Answer, m relay.Meta) error {
	h := r.headers(m)
	if r.door.op != llm.OpRaw {
		kind := r.door.streamType
		if r.door.array {
			kind = "application/json"
		}
		h["Content-Type"] = []string{kind}
		h["Cache-Control"] = []string{"no-cache"}
	}
	h["X-Accel-Buffering"] = []string{"no"} // nginx would hold the stream back
	r.native, r.meta = a.Native, m
	if a.Native {
		pass(h, a)
	} else {
		if r.door.promptFirst && m.Target != nil {
			r.opts.PromptEstimate = r.size.of(m.Target.Model)
		}
		r.opts.Echo = r.keep.echo(r.keep.keeps())
		r.encoder = r.door.NewEncoder(r.opts)
		r.keep.listen()
	}
	status := http.StatusOK
	if a.Native {
		status = a.Status
	}
	r.status, r.first = status, time.Since(r.start)
	r.begun = true
	r.w.WriteHeader(status)
	return nil
}

// hurry gives the client a new limit for accepting what is written. Once a
// second is often enough.
func (r *reply) hurry() {
	if now := time.Now(); r.writeIn > 0 && now.Sub(r.deadline) > time.Second {
		r.deadline = now
		// Writers without deadlines are those of tests.
		_ = http.NewResponseController(r.w).SetWriteDeadline(now.Add(r.writeIn))
	}
}

// release lifts the limit for the connection's next request.
func (r *reply) release() {
	if !r.deadline.IsZero() {
		_ = http.NewResponseController(r.w).SetWriteDeadline(time.Time{})
	}
}

// Piece gives one piece of the streamed answer.
func (r *reply) Piece(p llm.Piece) error {
	r.hurry()
	if r.native {
		if len(p.Raw) == 0 {
			return nil
		}
		r.keep.overhear(&p, r.meta)
		_, err := r.w.Write(p.Raw)
		return err
	}
	r.buf = r.buf[:0]
	if r.guarded.looks() {
		events, fail := r.guarded.events(p.Events)
		if fail != nil {
			return fail
		}
		p.Events = events
	}
	r.keep.hear(p.Events, r.meta)
	for i := range p.Events {
		e := &p.Events[i]
		if r.door.echoes {
			r.echo(e)
		}
		switch {
		case e.Kind == llm.EventFinish:
			r.buf = r.keep.finish(r.buf, r.encoder, *e, r.meta)
		case e.Kind == llm.EventStart && r.door.storer != nil && e.From != r.door.name:
			own := *e
			own.ID = "" // what goes on from it comes to us
			r.buf = r.encoder.Encode(r.buf, own)
		default:
			r.buf = r.encoder.Encode(r.buf, *e)
		}
	}
	if len(r.buf) == 0 {
		return nil
	}
	_, err := r.w.Write(r.buf)
	return err
}

// echo writes to an event what the door's answers say of their request.
func (r *reply) echo(e *llm.Event) {
	switch {
	case e.Kind == llm.EventStart:
		e.Model = r.opts.Model
	case r.word.IsZero() && e.Content():
		r.word = time.Now()
	case e.Kind == llm.EventFinish:
		e.Finish.Took = r.took(r.meta, r.word)
	}
}

// Flush sends what Piece gave.
func (r *reply) Flush() error {
	if r.flush != nil {
		r.flush.Flush()
	}
	return nil
}

// Ping keeps a streamed answer alive.
func (r *reply) Ping() error {
	if r.door.op == llm.OpRaw || r.door.ping == "" {
		return nil
	}
	_, err := r.w.Write([]byte(r.door.ping))
	return err
}

// Fail gives an error: with its real status when nothing was sent, else as the
// dialect's own error event.
func (r *reply) Fail(e *llm.Error, m relay.Meta) error {
	if r.begun {
		return r.breakOff(e)
	}
	if r.instead != nil && m.Attempts > 0 {
		answer := r.instead
		r.instead = nil
		if answer() == nil {
			return nil
		}
	}
	h := r.headers(m)
	h["Content-Type"] = []string{"application/json"}
	if e.RetryAfter > 0 {
		h["Retry-After"] = []string{strconv.Itoa(int((e.RetryAfter + time.Second - 1) / time.Second))}
	}
	// The SDKs would try twice more, Claude Code ten times: what can be tried
	// again has been.
	if e.Class != llm.Overloaded || m.Attempts > 0 { // else nobody has been asked yet
		h["X-Should-Retry"] = []string{"false"}
	}
	status, body := r.door.encodeError(e, r.id.String())
	if e.Status != 0 && e.Provider == "" && e.From == "" { // our own, and more than its class says
		status = e.Status
	}
	return r.send(status, h, body)
}

func (r *reply) breakOff(e *llm.Error) error {
	switch {
	case r.door.op == llm.OpRaw:
		r.abort = true
		return nil
	case r.encoder != nil:
		r.buf = r.encoder.Encode(r.buf[:0], llm.Event{Kind: llm.EventError, Err: e})
	default:
		r.buf = r.door.AppendStreamError(r.buf[:0], e)
	}
	if _, err := r.w.Write(r.buf); err != nil {
		return err
	}
	return r.Flush()
}

// dollars writes money as a plain decimal number.
func dollars(n llm.Nanodollars) string {
	s := strconv.FormatFloat(float64(n)/1e9, 'f', 9, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
