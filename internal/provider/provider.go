// Package provider makes a row of the catalogue callable: it writes a request
// in the provider's dialect, sends it with the provider's credential, and
// reads what comes back.
package provider

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/provider/cred"
	"headrace/internal/provider/direct"
	"headrace/internal/wire/sse"
)

// Codec is what a provider needs of its dialect.
type Codec interface {
	Head(op llm.Op, body []byte) (llm.Head, error)
	DecodeRequest(body []byte) (*llm.Request, error)
	Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error)
	EncodeRequest(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error)
	DecodeResponse(body []byte) (*llm.Response, error)
	Glance(body []byte) (llm.Glance, error)
	NewDecoder() llm.StreamDecoder
	Telling(data []byte) bool
	DecodeError(status int, h http.Header, body []byte) *llm.Error
}

// Options set up a Provider.
type Options struct {
	// Row is the catalogue's row. Required.
	Row *catalog.Provider
	// BaseURL replaces the row's when set.
	BaseURL string
	// Key is the credential; empty when the row needs none.
	Key llm.Secret
	// Keys are several of them, in place of Key: Draft.Credential is the index of
	// the one that a request is sent with.
	Keys []llm.Secret
	// Hear is told the headers of every answer, as soon as they are there; nil
	// tells nobody. It must not wait and must not keep them.
	Hear func(credential int, op llm.Op, model string, h http.Header)
	// Header is added to every request.
	Header map[string]string
	// Transport replaces the network; nil means an http.Transport of its own.
	Transport http.RoundTripper
	// Rehearsal says that this is the rehearsal provider, which alone is sent
	// what a client asks it to play.
	Rehearsal bool
	// Slow is asked before each request whether to leave the fast path; nil
	// means never. Tests use it to send everything through the words.
	Slow func() bool
	// MaxAnswer and MaxEvent bound a whole answer and one event of a stream, in
	// bytes; 0 means 64 MiB and sse.DefaultMaxFrame.
	MaxAnswer, MaxEvent int64
	// Connect is how long a connection may take; 0 means 10 s.
	Connect time.Duration
}

// Provider is one provider that can be called. Safe for concurrent use.
type Provider struct {
	row     *catalog.Provider
	base    *url.URL
	signers []cred.Signer // one a key
	keys    []llm.Secret
	hear    func(credential int, op llm.Op, model string, h http.Header)
	header  http.Header
	client  http.RoundTripper
	direct  bool // client takes bodies in segments
	plays   bool
	slow    func() bool
	wires   []wire // what it speaks, its row's own dialect first
	quirk   Quirk
	// chatOnly is until when the server at the base URL is known to have no
	// Responses, in nanoseconds of Unix time; 0 is unknown.
	chatOnly atomic.Int64

	maxAnswer, maxEvent int64
}

// New makes a row callable. The error says what is wrong with the options.
func New(o Options) (*Provider, error) {
	base := o.BaseURL
	if base == "" {
		base = o.Row.BaseURL
	}
	u, err := url.Parse(strings.TrimRight(base, "/"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("provider %s: base URL %q is not an http(s) URL", o.Row.ID, base)
	}
	spoken, unknown, ok := wires(o.Row.Dialect, o.Row.Also)
	if !ok {
		return nil, fmt.Errorf("provider %s: dialect %q is not spoken", o.Row.ID, unknown)
	}
	quirk, ok := quirks[o.Row.Quirk]
	if !ok {
		return nil, fmt.Errorf("provider %s: there is no quirk %q", o.Row.ID, o.Row.Quirk)
	}
	keys := o.Keys
	if len(keys) == 0 {
		keys = []llm.Secret{o.Key}
	}
	var signers []cred.Signer
	for _, key := range keys {
		s, err := signer(o.Row, key)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	p := &Provider{row: o.Row, base: u, signers: signers, keys: keys, hear: o.Hear, header: http.Header{}, client: o.Transport, plays: o.Rehearsal, slow: o.Slow, wires: spoken, quirk: quirk,
		maxAnswer: cmp.Or(o.MaxAnswer, 64<<20), maxEvent: o.MaxEvent}
	for _, h := range []map[string]string{o.Row.Headers, o.Header} {
		for k, v := range h {
			p.header.Set(k, v)
		}
	}
	if p.client == nil {
		p.client, p.direct = connections(u, o.Connect)
	}
	return p, nil
}

func signer(row *catalog.Provider, key llm.Secret) (cred.Signer, error) {
	switch row.Auth {
	case catalog.NoAuth:
		if key == "" {
			return cred.None{}, nil
		}
		return cred.Bearer{Key: key}, nil
	case catalog.Bearer:
		return cred.Bearer{Key: key}, nil
	case catalog.XAPIKey, catalog.APIKey, catalog.GoogleKey:
		return cred.Header{Name: string(row.Auth), Key: key}, nil
	}
	return nil, fmt.Errorf("provider %s: there is no auth kind %q", row.ID, row.Auth)
}

// connections gives what reaches a base URL. segments says that it is a host
// without TLS and behind no proxy, for which there is a cheaper transport.
func connections(base *url.URL, connect time.Duration) (client http.RoundTripper, segments bool) {
	h := transport(connect)
	if proxy, err := h.Proxy(&http.Request{URL: base}); err != nil || proxy != nil {
		return h, false
	}
	if t := direct.New(direct.Options{Base: base, Dial: h.DialContext, Else: h, MaxIdle: h.MaxIdleConnsPerHost, IdleFor: h.IdleConnTimeout}); t != nil {
		return t, true
	}
	return h, false
}

// transport is one provider's own: a provider that hangs fills no other's
// connections. The default of two idle connections a host costs 70 % of CPU
// under load; pings find dead HTTP/2 connections, which Go otherwise keeps
// (golang/go#67812).
func transport(connect time.Duration) *http.Transport {
	if connect == 0 {
		connect = 10 * time.Second
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connect,
		MaxIdleConnsPerHost:   512,
		WriteBufferSize:       writeBuffer,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		ResponseHeaderTimeout: 0, // relay limits the first byte
	}
}

// isJSON says whether a content type is JSON, with or without parameters.
func isJSON(contentType string) bool {
	const j = "application/json"
	return len(contentType) >= len(j) && strings.EqualFold(contentType[:len(j)], j)
}

// ID is the provider's id.
func (p *Provider) ID() string { return p.row.ID }

// BaseURL is where requests go.
func (p *Provider) BaseURL() *url.URL { return p.base }

// Rest closes the connections that no request uses; those in use go on.
func (p *Provider) Rest() {
	if c, ok := p.client.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Send makes one attempt. A failure is an *llm.Error, or the error of ctx. When
// a server turns out not to have Responses, the attempt goes over another wire
// of the provider.
func (p *Provider) Send(ctx context.Context, model string, c *llm.Capability, d *llm.Draft) (*llm.Answer, error) {
	out, err := p.encode(model, c, d)
	if err != nil {
		return nil, err
	}
	out.Losses = append(out.Losses, told(d)...)
	ans, err := p.send(ctx, model, d, &out)
	if err == nil || out.wire.dialect != llm.Responses || !p.lacksResponses(d.Op, err) {
		return ans, err
	}
	p.chatOnly.Store(time.Now().Add(chatOnlyFor).UnixNano())
	if out, err = p.encode(model, c, d); err != nil {
		return nil, err
	}
	out.Losses = append(out.Losses, told(d)...)
	return p.send(ctx, model, d, &out)
}

func (p *Provider) send(ctx context.Context, model string, d *llm.Draft, out *outgoing) (*llm.Answer, error) {
	if loss := llm.Refusal(out.Losses); loss != nil {
		return nil, &llm.Error{Class: llm.Unsupported, Provider: p.row.ID, Model: model, Param: loss.Path, Message: loss.Path + ": " + loss.Why}
	}
	req, err := p.request(ctx, model, d, out)
	if err != nil {
		return nil, err
	}
	resp, err := p.client.RoundTrip(req)
	if err != nil {
		return nil, p.unreached(ctx, model, err)
	}
	if p.hear != nil {
		p.hear(d.Credential, d.Op, model, resp.Header)
	}
	if d.Op != llm.OpRaw {
		if err := p.decompress(resp, model); err != nil {
			return nil, err
		}
	}
	ans := &llm.Answer{
		Native: out.native, Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type"),
		Header: passHeader(resp.Header), Losses: out.Losses, UpstreamID: upstreamID(resp.Header),
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		if d.Op == llm.OpRaw {
			return nil, p.rawFailed(ctx, out.codec, resp)
		}
		return nil, p.failed(ctx, model, out.codec, resp)
	}
	if d.Op == llm.OpRaw {
		ans.Header = rawHeader(ans.Header, resp)
		ans.Stream = &rawStream{body: resp.Body}
		return ans, nil
	}
	if d.Head.Stream {
		if frames := p.frames(resp, out.events); frames != nil {
			ans.Stream = p.stream(resp.Body, frames, model, out)
			return ans, nil
		}
	}
	return ans, p.whole(ctx, model, d, out, resp, ans)
}

// frames gives the reader of a streamed answer; nil when the answer is whole.
// Some providers name the wrong content type, or none; then the first byte says
// it: JSON and HTML begin like nothing that an event stream begins with. Where
// streams are lines of JSON, a whole answer is one line of it.
func (p *Provider) frames(resp *http.Response, cut framing) *sse.Reader {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch kind {
	case "text/event-stream":
		return sse.NewReader(resp.Body, int(p.maxEvent))
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		cut = lines // but some say so of an event stream (OpenRouter, recorded)
	}
	b := bufio.NewReader(resp.Body)
	resp.Body = readCloser{b, resp.Body}
	first := byte(0)
	for n := 1; n <= b.Size() && first == 0; n++ {
		head, err := b.Peek(n)
		if err != nil {
			return nil // nothing but white space: not a stream, and whole says so
		}
		switch head[n-1] {
		case ' ', '\t', '\r', '\n':
		default:
			first = head[n-1]
		}
	}
	switch {
	case first == '{' && cut == lines && kind != "application/json":
		return sse.NewLineReader(resp.Body, int(p.maxEvent))
	case first == '[' && cut == array:
		return sse.NewArrayReader(resp.Body, int(p.maxEvent))
	case first == '{' || first == '[' || first == '<':
		return nil
	}
	return sse.NewReader(resp.Body, int(p.maxEvent))
}

type readCloser struct {
	io.Reader
	io.Closer
}

// outgoing is a request as it goes out.
type outgoing struct {
	llm.Encoded
	*way
	wire   *wire
	codec  Codec
	events framing
	// streamQuery is as in speech.
	streamQuery [2]string
	// same says that it goes out in the client's own dialect; native, that the
	// answer's bytes may go to the client: not so when the request was sent
	// through the words all the same.
	same, native bool
}

// on sets the way of a request.
func (o *outgoing) on(w *wire, way *way) {
	o.way, o.wire, o.codec, o.events, o.streamQuery = way, w, w.of(way), w.speech.events, w.speech.streamQuery
}

// encode writes the request for the target: by splices when the provider speaks
// the client's dialect, else from the words.
func (p *Provider) encode(model string, c *llm.Capability, d *llm.Draft) (out outgoing, err error) {
	w := p.wire(d, c)
	if w != nil {
		c = p.over(w, c)
	}
	if w != nil && d.Dialect == w.dialect {
		if way := w.way(d.Op, d.Form); way != nil {
			out.same, out.native = true, true
			out.on(w, way)
			return out, p.splice(w, model, c, d, &out)
		}
	}
	if w == nil || w.first(d.Op) == nil || !w.translates(d.Op) {
		return out, &llm.Error{Class: llm.Unsupported, Provider: p.row.ID, Model: model, Message: fmt.Sprintf("%s has no %s", p.row.ID, d.Op)}
	}
	out.on(w, w.first(d.Op))
	out.Encoded, err = p.translate(w, out.codec, model, c, d)
	return out, err
}

// splice writes a request of the provider's own dialect.
func (p *Provider) splice(w *wire, model string, c *llm.Capability, d *llm.Draft, out *outgoing) (err error) {
	if d.Op == llm.OpRaw || d.Op == llm.OpModels {
		out.Body = [][]byte{d.Raw}
		return nil
	}
	draft := *d
	if model != d.Head.Model {
		draft = draft.With(llm.Edit{Kind: llm.EditModel, Text: model})
	}
	if d.Op == llm.OpChat && d.Head.Stream && p.row.Usage == "ask" {
		draft = draft.With(llm.Edit{Kind: llm.EditUsage})
	}
	out.Encoded, err = out.codec.Patch(&draft, c)
	if err == nil && d.Op == llm.OpChat && p.unreadable(d) {
		out.native = !d.Words
		return p.sieve(w, d, out, model)
	}
	if err != nil || !w.respells(d.Op) || !d.Words && (p.slow == nil || !p.slow()) {
		return err
	}
	out.native = false
	out.Encoded, err = respell(out.codec, d.Op, out.Encoded, model)
	return err
}

// translate writes a request from its words.
func (p *Provider) translate(w *wire, codec Codec, model string, c *llm.Capability, d *llm.Draft) (llm.Encoded, error) {
	if d.Op == llm.OpEmbed {
		r, err := d.Embed()
		if err != nil {
			return llm.Encoded{}, err
		}
		return codec.(embedder).EncodeEmbed(r, model, c)
	}
	r, err := d.Request()
	if err != nil {
		return llm.Encoded{}, err
	}
	r, lost := p.readable(w, r, d)
	if e, ok := d.Edit(llm.EditMaxTokens); ok {
		changed := *r
		changed.MaxTokens = &e.Number
		r = &changed
	}
	if d.Op == llm.OpCountTokens {
		return codec.(counter).EncodeCount(r, model, c)
	}
	enc, err := codec.EncodeRequest(r, model, c)
	enc.Losses = append(enc.Losses, lost...)
	return enc, err
}

// respells reports whether respell does the operation.
func (w *wire) respells(op llm.Op) bool {
	return op == llm.OpChat || op == llm.OpEmbed && w.translates(op)
}

// respell sends a request of the provider's own dialect through the words. The
// splices have fitted it to the target; it is written for one of which nothing
// is known, so that nothing is fitted twice.
func respell(codec Codec, op llm.Op, spliced llm.Encoded, model string) (llm.Encoded, error) {
	body := slices.Concat(spliced.Body...)
	if op == llm.OpEmbed {
		r, err := codec.(embedder).DecodeEmbed(body)
		if err != nil {
			return spliced, err
		}
		return codec.(embedder).EncodeEmbed(r, model, &llm.Capability{})
	}
	r, err := codec.DecodeRequest(body)
	if err != nil {
		return spliced, err
	}
	enc, err := codec.EncodeRequest(r, model, &llm.Capability{})
	enc.Header = spliced.Header
	enc.Losses = append(spliced.Losses, enc.Losses...)
	enc.DropUsage = spliced.DropUsage
	return enc, err
}

// request builds the HTTP request anew: our framing, allow-listed headers, the
// provider's credential and nothing else. The client's own headers and query go
// on to a provider of the same dialect.
func (p *Provider) request(ctx context.Context, model string, d *llm.Draft, out *outgoing) (*http.Request, error) {
	u := *p.base
	query := out.query
	if out.same && d.Op != llm.OpModels {
		query = d.Query
	}
	if name := out.streamQuery[0]; name != "" && d.Head.Stream && !out.native {
		q, err := url.ParseQuery(query)
		if err != nil {
			return nil, llm.Errorf(llm.InvalidRequest, "the query is not escaped rightly")
		}
		q.Set(name, out.streamQuery[1])
		query = q.Encode()
	}
	path := d.Path
	if d.Op != llm.OpRaw {
		path = out.fill(model, d.Head.Stream)
	}
	path = behind(u.Path, path)
	// d.Path is as the client escaped it, and so is a model in a path; the rest
	// holds nothing to escape.
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, llm.Errorf(llm.InvalidRequest, "the path %q is not escaped rightly", path)
	}
	u.RawPath, u.Path, u.RawQuery = u.EscapedPath()+path, u.Path+plain, query
	method := http.MethodPost
	if d.Method != "" {
		method = d.Method
	}
	h := make(http.Header, len(d.Header)+len(p.header)+len(out.Header)+4)
	if out.same {
		maps.Copy(h, d.Header)
	}
	maps.Copy(h, p.header)
	maps.Copy(h, out.Header)
	if len(d.Raw) > 0 && (h["Content-Type"] == nil || d.Op != llm.OpRaw && !isJSON(h["Content-Type"][0])) {
		h["Content-Type"] = []string{"application/json"} // curl -d says it is a form
	}
	// Without this Go would ask for gzip, and the frames could not be read.
	h["Accept-Encoding"] = []string{"identity"}
	if p.plays && d.Rehearse != "" {
		h["X-Headrace-Rehearse"] = []string{d.Rehearse}
	}
	if t := d.Trace; t != nil {
		h["Traceparent"] = []string{t.Header(t.Attempt(d.Attempt))}
		if t.State != "" {
			h["Tracestate"] = []string{t.State}
		}
	}
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{"headrace"}
	}
	req := (&http.Request{Method: method, URL: &u, Host: u.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
	body, size := out.Body, int64(0)
	for _, s := range body {
		size += int64(len(s))
	}
	switch {
	case size == 0:
	case p.direct:
		req.ContentLength, req.Body = size, direct.NewBody(body)
	default:
		req.ContentLength = size
		if len(body) > 1 && size <= oneWrite {
			body = [][]byte{bytes.Join(body, nil)}
		}
		req.Body = newBody(body)
		req.GetBody = func() (io.ReadCloser, error) { return newBody(body), nil }
	}
	if d.Credential < 0 || d.Credential >= len(p.signers) {
		return nil, llm.Errorf(llm.Unsupported, "%s has no credential %d any more", p.row.ID, d.Credential)
	}
	if err := p.signers[d.Credential].Sign(req); err != nil {
		return nil, &llm.Error{Class: llm.Auth, Provider: p.row.ID, Message: "the credential of " + p.row.ID + " cannot be used", Cause: err}
	}
	return req, nil
}

// writeBuffer is each connection's; a request that fits is sent in one write.
// oneWrite is the largest body that does so behind ordinary headers: it is
// copied together, since net/http flushes the headers on their own before any
// body but a reader that it knows to be in memory (golang/go#22088).
const (
	writeBuffer = 16 << 10
	oneWrite    = writeBuffer - 4<<10
)

// newBody reads a body from its beginning.
func newBody(body [][]byte) io.ReadCloser {
	if len(body) == 1 {
		return io.NopCloser(bytes.NewReader(body[0]))
	}
	return direct.NewBody(body)
}

// unreached is the error of a request that got no answer.
func (p *Provider) unreached(ctx context.Context, model string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &llm.Error{Class: llm.ServerError, Provider: p.row.ID, Model: model, Message: "the connection to " + p.row.ID + " failed", Cause: err}
	var dial *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Class, e.Message = llm.Timeout, p.row.ID+" cannot be reached in time"
	case errors.As(err, &dial) && dial.Op == "dial":
		e.Message = p.row.ID + " cannot be reached"
	}
	return e
}

// maxError bounds what is read of an error.
const maxError = 256 << 10

// failed reads the error that a provider answered with.
func (p *Provider) failed(ctx context.Context, model string, codec Codec, resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		// A redirect would take the prompt, and perhaps the key, elsewhere.
		return &llm.Error{Class: llm.MalformedUpstream, Status: resp.StatusCode, Provider: p.row.ID, Model: model, Message: p.row.ID + " answered with a redirect, which is not followed"}
	}
	e := p.own(codec.DecodeError(resp.StatusCode, resp.Header, p.hide(body)), model)
	e.UpstreamID = upstreamID(resp.Header)
	return e
}

// rawFailed is failed for a raw path.
func (p *Provider) rawFailed(ctx context.Context, codec Codec, resp *http.Response) error {
	err := p.failed(ctx, "", codec, resp)
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Class == llm.Auth && e.Status == http.StatusForbidden {
		// It is about the thing that was asked for: Gemini answers 403 for a file
		// that is not there any more (googleapis/python-genai#1218, 2025-08).
		e.Class = llm.Forbidden
	}
	return err
}

// hide takes our credentials out of a body that repeats one, before anything
// is quoted from it.
func (p *Provider) hide(body []byte) []byte {
	if text := p.hidden(string(body)); len(text) != len(body) || text != string(body) {
		return []byte(text)
	}
	return body
}

func (p *Provider) hidden(text string) string {
	for _, key := range p.keys {
		text = cred.Hide(key, text)
	}
	return text
}

// own fills in whose error it is, and takes our credential out of it.
func (p *Provider) own(e *llm.Error, model string) *llm.Error {
	e.Provider, e.Model = p.row.ID, model
	e.Message, e.Body = p.hidden(e.Message), p.hide(e.Body)
	if p.quirk.Error != nil {
		p.quirk.Error(e)
	}
	return e
}

// whole reads an answer that is not streamed.
func (p *Provider) whole(ctx context.Context, model string, d *llm.Draft, out *outgoing, resp *http.Response, ans *llm.Answer) error {
	defer resp.Body.Close()
	body, err := readAll(resp, p.maxAnswer)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &llm.Error{Class: llm.MalformedUpstream, Status: resp.StatusCode, Provider: p.row.ID, Model: model, Message: "the answer of " + p.row.ID + " was cut off or too large", Cause: err}
	}
	ans.Body = body
	switch d.Op {
	case llm.OpModels, llm.OpModerate:
		return nil
	case llm.OpCountTokens:
		if !ans.Native {
			ans.Count, err = out.codec.(counter).DecodeCount(body)
		}
		return p.wrong(err, model, resp)
	case llm.OpEmbed:
		return p.wrong(p.embedded(model, d, out, ans), model, resp)
	}
	if ans.Native && !d.Head.Stream {
		if ans.Glance, err = out.codec.Glance(body); err != nil {
			_, err = out.codec.Glance(p.hide(body)) // it may quote the body
			return p.wrong(err, model, resp)
		}
		p.fixUsage(model, &ans.Glance.Usage)
		if ans.Glance.Usage.Source == "" { // an estimate needs the text
			if r, err := out.codec.DecodeResponse(body); err == nil {
				ans.TextBytes = textBytes(r)
			}
		}
		return nil
	}
	ans.Native = false
	r, err := out.codec.DecodeResponse(body)
	if err != nil {
		_, err = out.codec.DecodeResponse(p.hide(body))
		return p.wrong(err, model, resp)
	}
	ans.TextBytes = textBytes(r)
	p.sign(r)
	restore(r, &out.Encoded)
	p.fixUsage(model, &r.Usage)
	ans.Response = r
	ans.Glance = llm.Glance{ID: r.ID, Model: r.Model, Usage: r.Usage, Finish: r.Finish}
	if d.Head.Stream { // asked for a stream, answered whole
		ans.Stream = &eventStream{events: llm.Replay(r)}
	}
	return nil
}

// embedded reads the answer to an OpEmbed request.
func (p *Provider) embedded(model string, d *llm.Draft, out *outgoing, ans *llm.Answer) (err error) {
	codec, ok := out.codec.(embedder)
	switch {
	case !ok:
		return nil // passed as it is
	case ans.Native:
		if ans.Glance, err = codec.GlanceEmbed(ans.Body); err != nil {
			_, err = codec.GlanceEmbed(p.hide(ans.Body)) // it may quote the body
			return err
		}
		p.fixUsage(model, &ans.Glance.Usage)
		return nil
	}
	e, err := codec.DecodeEmbeddings(ans.Body)
	if err != nil {
		_, err = codec.DecodeEmbeddings(p.hide(ans.Body))
		return err
	}
	r, err := d.Embed()
	if err != nil {
		return err
	}
	if len(e.Vectors) != len(r.Inputs) {
		return llm.Errorf(llm.MalformedUpstream, "%s gave %d embeddings for %d inputs", p.row.ID, len(e.Vectors), len(r.Inputs))
	}
	p.fixUsage(model, &e.Usage)
	ans.Embeddings = e
	ans.Glance = llm.Glance{Model: e.Model, Usage: e.Usage}
	return nil
}

func readAll(resp *http.Response, most int64) ([]byte, error) {
	if n := resp.ContentLength; n > 0 && n <= most {
		b := make([]byte, n)
		_, err := io.ReadFull(resp.Body, b)
		return b, err
	}
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(resp.Body, most+1))
	if n > most {
		return nil, fmt.Errorf("the answer is over %d bytes", most)
	}
	return b.Bytes(), err
}

// malformed gives an answer's decoding error its owner; nil stays nil.
func (p *Provider) malformed(err error, model string) error {
	var e *llm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return p.own(e, model)
	default:
		return &llm.Error{Class: llm.MalformedUpstream, Provider: p.row.ID, Model: model, Message: "the answer of " + p.row.ID + " cannot be read", Cause: err}
	}
}

// wrong is malformed with what is known of the answer that was; nil stays nil.
func (p *Provider) wrong(err error, model string, resp *http.Response) error {
	if err == nil {
		return nil
	}
	err = p.malformed(err, model)
	var e *llm.Error
	if errors.As(err, &e) {
		e.UpstreamID = upstreamID(resp.Header)
		if e.Status == 0 {
			e.Status = resp.StatusCode
		}
	}
	return err
}

// textBytes is how much text an answer holds.
func textBytes(r *llm.Response) int {
	n := 0
	for i := range r.Items {
		n += len(r.Items[i].Text()) + len(r.Items[i].Call.Arguments)
	}
	return n
}

func (p *Provider) fixUsage(model string, u *llm.Usage) {
	if p.quirk.Usage != nil && u.Source != "" {
		p.quirk.Usage(model, u)
	}
}

// restore gives the calls of an answer the names and the form of the client's
// tools.
func restore(r *llm.Response, enc *llm.Encoded) {
	for i := range r.Items {
		call := &r.Items[i].Call
		if enc.Customs[call.Name] {
			call.Custom, call.Arguments = true, unwrapped(call.Arguments)
		}
		if own, ok := enc.Names[call.Name]; ok {
			call.Name = own
		}
	}
}

// unwrapped gives the free text inside the arguments of a custom tool that was
// offered as a function: the string of {"input":"..."}. What a model wrote in
// another form is the text as it stands.
func unwrapped(arguments []byte) []byte {
	var wrap struct{ Input *string }
	if json.Unmarshal(arguments, &wrap, json.MatchCaseInsensitiveNames(true)) != nil || wrap.Input == nil {
		return arguments
	}
	return []byte(*wrap.Input)
}

// Models asks the provider what models it has, in its own dialect.
func (p *Provider) Models(ctx context.Context) ([]byte, error) {
	d := llm.Draft{Dialect: p.row.Dialect, Op: llm.OpModels, Method: http.MethodGet}
	ans, err := p.Send(ctx, "", &llm.Capability{}, &d)
	if err != nil {
		return nil, err
	}
	return ans.Body, nil
}

// passed are the headers of an answer that may go on to a client.
var passed = map[string]bool{
	"Retry-After": true, "Retry-After-Ms": true, "Openai-Processing-Ms": true, "Openai-Version": true, "Openai-Model": true,
	"Content-Disposition": true, "X-Generation-Id": true,
}

var passedPrefixes = []string{"Anthropic-Ratelimit-", "Anthropic-Priority-", "Anthropic-Fast-", "X-Ratelimit-"}

// rawHeader adds what the bytes of an answer that is not understood need to be
// read.
func rawHeader(h http.Header, resp *http.Response) http.Header {
	for _, name := range []string{"Content-Length", "Content-Encoding"} {
		if v := resp.Header[name]; v != nil {
			if h == nil {
				h = http.Header{}
			}
			h[name] = v
		}
	}
	return h
}

func passHeader(h http.Header) http.Header {
	var out http.Header
	for name, v := range h {
		ok := passed[name]
		for _, prefix := range passedPrefixes {
			ok = ok || strings.HasPrefix(name, prefix)
		}
		if ok {
			if out == nil {
				out = make(http.Header, 8)
			}
			out[name] = v
		}
	}
	return out
}

func upstreamID(h http.Header) string {
	for _, name := range []string{"Request-Id", "X-Request-Id"} {
		if v := h[name]; len(v) > 0 {
			return v[0]
		}
	}
	return ""
}
