// Package rehearsal is the provider that is always there: an upstream inside
// the process that speaks the Chat Completions and the Messages dialect, and
// OpenAI's of embeddings, in real wire bytes. It is not a model. It answers
// every request sensibly and the same way each time, from the request alone
// (no randomness, and no clock but for batches, which it keeps in memory), and
// it fails on demand, so that a first run, a test or a drill needs no key
// and no network. docs/rehearsal.md says what can be asked of it.
package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Codec is what the provider needs of a dialect: the client's side of its
// codec, since an upstream answers clients. Failures that are rehearsed do not
// go through it: a codec hides from clients what is between the gateway and
// its provider (a refused credential), and here that is what must show.
type Codec interface {
	// Head reads what a body says at first sight.
	Head(op llm.Op, body []byte) (llm.Head, error)
	// DecodeRequest decodes the whole body.
	DecodeRequest(body []byte) (*llm.Request, error)
	// AppendResponse appends a whole answer.
	AppendResponse(dst []byte, r *llm.Response) []byte
	// NewEncoder makes an encoder for one streamed answer.
	NewEncoder(o llm.StreamOptions) llm.StreamEncoder
	// EncodeError gives the status and the body of an error.
	EncodeError(e *llm.Error) (status int, body []byte)
}

// DefaultPause is how long the model steady waits between two pieces.
const DefaultPause = 15 * time.Millisecond

// Options are what a Provider can be told.
type Options struct {
	// Codecs holds the dialects that it speaks: llm.OpenAI, llm.Anthropic. A
	// path of a dialect that is not there is answered with a 404.
	Codecs map[llm.Dialect]Codec
	// Pause is how long steady waits between two pieces of a stream; 0 means
	// DefaultPause, less than 0 means no pause.
	Pause time.Duration
	// MaxBody is the largest request body in bytes; 0 means 64 MiB.
	MaxBody int64
}

// Provider answers upstream requests: POST .../chat/completions in the Chat
// Completions dialect, POST .../embeddings, POST .../v1/messages and .../v1/messages/count_tokens
// in the Messages dialect. It is an http.RoundTripper (no network, no
// goroutine: the body makes its bytes as it is read) and an http.Handler over
// the same core. Safe for concurrent use.
type Provider struct {
	o     Options
	tally tally
	bulks bulks
}

// New makes a Provider.
func New(o Options) *Provider {
	if o.Pause == 0 {
		o.Pause = DefaultPause
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 64 << 20
	}
	return &Provider{o: o}
}

// The models.
const (
	// Quick answers in a sentence, at once.
	Quick = "quick"
	// Steady answers in a paragraph, with a pause between the pieces.
	Steady = "steady"
	// Thinker thinks in a block of its own before it answers.
	Thinker = "thinker"
)

// Models lists the ids of the models that converse.
func Models() []string { return []string{Quick, Steady, Thinker} }

// created is what the creation time of an answer is always said to be
// (2026-01-01T00:00:00Z): the same request has the same answer.
const created = 1_767_225_600

// RoundTrip answers an upstream request. It waits for delays that were asked
// for, and returns the cause of the request's context when that ends first.
// The answer's body must be closed; it holds no goroutine either way.
func (p *Provider) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := p.readBody(r)
	if err != nil {
		return nil, fmt.Errorf("read the request body: %w", err)
	}
	resp, err := p.answer(r, body)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.Status = strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)) // 529 has no text
	return resp, nil
}

// ServeHTTP answers the same requests over a real connection. A cut, and a
// delay that outlasts the client, abort the connection.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := p.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler) // nobody is there to be told, or nothing is to be said
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
	flusher := http.NewResponseController(w)
	buf := make([]byte, 8<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
			if err := flusher.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				panic(http.ErrAbortHandler)
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

var errTooLarge = errors.New("the body is too large")

// readBody reads and closes the request body. A body over the limit comes
// back cut one byte behind it.
func (p *Provider) readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	var b bytes.Buffer
	if n := r.ContentLength; n > 0 && n <= p.o.MaxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(r.Body, p.o.MaxBody+1))
	return b.Bytes(), err
}

// call is one request as it is understood.
type call struct {
	ctx     context.Context
	dialect llm.Dialect
	codec   Codec
	op      llm.Op
	seed    string // what ids are made from
	model   string // as asked for
	stream  bool
	orders  orders
}

// door finds the dialect and the operation of a path.
func door(path string) (llm.Dialect, llm.Op, bool) {
	path = strings.TrimRight(path, "/")
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return llm.OpenAI, llm.OpChat, true
	case strings.HasSuffix(path, "/embeddings"):
		return llm.OpenAI, llm.OpEmbed, true
	case strings.HasSuffix(path, "/v1/messages"):
		return llm.Anthropic, llm.OpChat, true
	case strings.HasSuffix(path, "/v1/messages/count_tokens"):
		return llm.Anthropic, llm.OpCountTokens, true
	}
	if strings.Contains(path, "/messages") {
		return llm.Anthropic, llm.OpRaw, false
	}
	return llm.OpenAI, llm.OpRaw, false
}

func (p *Provider) answer(r *http.Request, body []byte) (*http.Response, error) {
	dialect, op, known := door(r.URL.Path)
	c := &call{ctx: r.Context(), dialect: dialect, op: op, codec: p.o.Codecs[dialect], orders: orders{cut: -1}}
	c.seed = seed(string(dialect), r.URL.Path, string(body))
	if api, rest := bulkPath(r.URL.Path); api != "" && c.codec != nil && int64(len(body)) <= p.o.MaxBody {
		return p.bulk(c, r, body, api, rest)
	}
	if !known || c.codec == nil {
		e := llm.Errorf(llm.NotFound, "The rehearsal provider has no %s %s; it knows POST /v1/chat/completions, /v1/embeddings, /v1/messages and /v1/messages/count_tokens.", r.Method, r.URL.Path)
		if c.codec == nil {
			return c.send(http.StatusNotFound, "text/plain; charset=utf-8", []byte(e.Message+"\n"), nil), nil
		}
		return c.refuse(e), nil
	}
	if r.Method != http.MethodPost {
		resp := c.refuse(llm.Errorf(llm.InvalidRequest, "%s wants POST, not %s.", r.URL.Path, r.Method))
		resp.StatusCode = http.StatusMethodNotAllowed
		resp.Header.Set("Allow", http.MethodPost)
		return resp, nil
	}
	if int64(len(body)) > p.o.MaxBody {
		return c.refuse(&llm.Error{Class: llm.TooLarge, Message: errTooLarge.Error()}), nil
	}
	if op == llm.OpEmbed {
		return p.embed(c, r.Header.Values(Header), body)
	}
	head, err := c.codec.Head(op, body)
	if err != nil {
		return c.refuse(err), nil
	}
	req, err := c.codec.DecodeRequest(body)
	if err != nil {
		return c.refuse(err), nil
	}
	c.model, c.stream = head.Model, head.Stream && op == llm.OpChat

	sc := look(req)
	directives := sc.directives
	if h := r.Header.Values(Header); len(h) > 0 {
		directives = strings.Join(h, ";")
	}
	if resp, err := p.obey(c, directives); resp != nil || err != nil {
		return resp, err
	}
	name := strings.TrimPrefix(c.model, "rehearsal/")
	if !slices.Contains(Models(), name) {
		return c.failWith(llm.ModelNotFound), nil
	}
	prompt := promptUsage(req)
	if op == llm.OpCountTokens {
		return c.json(http.StatusOK, fmt.Appendf(nil, `{"input_tokens":%d}`, prompt.Prompt())), nil
	}
	if req.N > 1 {
		e := llm.Errorf(llm.InvalidRequest, "Invalid value for 'n': the rehearsal provider gives one answer to a request, not %d.", req.N)
		e.Param = "n"
		return c.refuse(e), nil
	}
	script, err := c.compose(name, req, sc)
	if err != nil {
		return c.refuse(err), nil
	}
	script.usage = prompt
	script.usage.Output, script.usage.Reasoning = script.output, script.reasoning
	if c.stream {
		return c.streamed(req, script, p.pause(name)), nil
	}
	if err := wait(c.ctx, nil, c.orders.hold); err != nil {
		return nil, err
	}
	return c.json(http.StatusOK, c.codec.AppendResponse(nil, &llm.Response{
		From: c.dialect, ID: script.id, Model: c.model, Created: created,
		Items: script.items, Finish: script.finish, Usage: script.usage,
	})), nil
}

// obey reads the directives and does what they say before there is an answer;
// nil, nil when there is to be a good one.
func (p *Provider) obey(c *call, directives string) (*http.Response, error) {
	orders, err := parseOrders(directives)
	if err != nil {
		return c.refuse(err), nil
	}
	c.orders = orders
	if c.orders.failFirst > 0 && p.tally.next(c.orders.key) > c.orders.failFirst {
		c.orders.spare()
	}
	if err := wait(c.ctx, nil, c.orders.delay); err != nil {
		return nil, err
	}
	return c.fail()
}

func (p *Provider) pause(model string) time.Duration {
	if model != Steady || p.o.Pause < 0 {
		return 0
	}
	return p.o.Pause
}

// refuse answers with an error of our own making, in the dialect's form.
func (c *call) refuse(err error) *http.Response {
	e, ok := errors.AsType[*llm.Error](err)
	if !ok {
		e = &llm.Error{Class: llm.ServerError, Message: err.Error(), Cause: err}
	}
	status, body := c.codec.EncodeError(e)
	return c.json(status, body)
}

// json answers with a JSON body.
func (c *call) json(status int, body []byte) *http.Response {
	return c.send(status, "application/json", body, nil)
}

// send answers with a whole body, cut short where that was asked for.
func (c *call) send(status int, contentType string, content []byte, more http.Header) *http.Response {
	given := false
	b := newBody(c.ctx, c.orders.cut, func(dst []byte) ([]byte, time.Duration, bool) {
		if given {
			return dst, 0, false
		}
		given = true
		return append(dst, content...), 0, true
	})
	resp := c.response(status, contentType, b, more)
	resp.ContentLength = int64(len(content))
	return resp
}

func (c *call) response(status int, contentType string, b *body, more http.Header) *http.Response {
	h := http.Header{"Content-Type": {contentType}}
	if c.dialect == llm.Anthropic {
		h.Set("Request-Id", c.requestID())
	} else {
		h.Set("X-Request-Id", c.requestID())
	}
	for name, values := range more {
		h[name] = values
	}
	return &http.Response{StatusCode: status, Header: h, Body: b, ContentLength: -1}
}

func (c *call) requestID() string {
	if c.dialect == llm.Anthropic {
		return "req_01" + letters(c.seed+"/request", 22)
	}
	return "req_" + hexes(c.seed+"/request", 32)
}
