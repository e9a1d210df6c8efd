// Package direct sends requests over HTTP/1.1 connections without TLS, as model
// servers on this host or in this network take them. It does in the caller's
// own goroutine what http.Transport does in two more for each connection: a
// request costs less, and an open stream holds neither their stacks nor a
// write buffer. What it does not know it leaves to another transport.
package direct

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options set up a Transport.
type Options struct {
	// Base is where all requests go. Required.
	Base *url.URL
	// Dial opens connections. Required.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Else takes the requests that are not for this transport. Required.
	Else http.RoundTripper
	// MaxIdle is how many idle connections are kept; 0 means 512.
	MaxIdle int
	// IdleFor is how long a connection is kept idle; 0 means 90 s.
	IdleFor time.Duration
}

// Transport sends the requests whose Body is a *Body, or which have none, to
// one host. Safe for concurrent use.
type Transport struct {
	o    Options
	addr string

	mu       sync.Mutex // guards what follows
	idle     []*conn    // those used last at the end
	sweeping bool       // a sweep is due
}

// New makes a transport to the host of o.Base; nil when that is not a host
// that it can serve.
func New(o Options) *Transport {
	if o.Base.Scheme != "http" || !checks || !plainHost(o.Base.Host) {
		return nil
	}
	t := &Transport{o: o, addr: o.Base.Host}
	if o.Base.Port() == "" {
		t.addr = net.JoinHostPort(o.Base.Hostname(), "80")
	}
	t.o.MaxIdle = cmp.Or(o.MaxIdle, 512)
	t.o.IdleFor = cmp.Or(o.IdleFor, 90*time.Second)
	return t
}

// plainHost refuses what has to be rewritten before it is sent: names beyond
// ASCII and IPv6 zones.
func plainHost(host string) bool {
	return host != "" && !strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '%' })
}

// Body is a request's body in memory, in segments that are sent one behind the
// other without being copied. Nobody reads them after RoundTrip of a Transport
// has returned, if the request was one for it.
type Body struct {
	segments, rest [][]byte
	at             int
	size           int64
}

// NewBody makes a body of segments.
func NewBody(segments [][]byte) *Body {
	b := &Body{segments: segments, rest: segments}
	for _, s := range segments {
		b.size += int64(len(s))
	}
	return b
}

// Read reads the body as any other transport does.
func (b *Body) Read(p []byte) (int, error) {
	for len(b.rest) > 0 {
		if b.at < len(b.rest[0]) {
			n := copy(p, b.rest[0][b.at:])
			b.at += n
			return n, nil
		}
		b.rest, b.at = b.rest[1:], 0
	}
	return 0, io.EOF
}

// Close does nothing.
func (b *Body) Close() error { return nil }

const (
	// maxBody is the largest body that is written before anything is read. A
	// host that answers early and then waits for its answer to be read would
	// block a larger one for good; a smaller one, too, unless it reads or closes
	// in the end, as HTTP/1.1 asks of it (RFC 9112, section 9.6).
	maxBody = 256 << 10
	// maxHead bounds the head of an answer.
	maxHead = 1 << 20
	// readBuffer is each connection's.
	readBuffer = 4 << 10
	// maxEarly is how many informational answers may come before the real one.
	maxEarly = 5
)

// errHead is the error of an answer whose head is over maxHead.
var errHead = errors.New("the head of the answer is too large")

// RoundTrip sends one request. The answer's body may be closed at any time,
// also while it is read. A connection that was found closed before anything
// was written to it is replaced; nothing is sent twice. When the request's
// context ends, the connection closes; before the answer has begun the error is
// the context's cause.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, ok := req.Body.(*Body)
	if !ok && req.Body != nil || ok && body.size > maxBody || req.URL.Host != t.o.Base.Host || req.URL.Scheme != t.o.Base.Scheme || !ordinary(req) {
		if ok && req.GetBody == nil {
			req = req.WithContext(req.Context())
			req.GetBody = func() (io.ReadCloser, error) { return NewBody(body.segments), nil }
		}
		return t.o.Else.RoundTrip(req)
	}
	ctx := req.Context()
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		c := t.take()
		fresh := c == nil
		if fresh {
			var err error
			if c, err = t.dial(ctx); err != nil {
				return nil, err
			}
		}
		stop := context.AfterFunc(ctx, c.kill)
		resp, wrote, err := c.exchange(req, body)
		if err != nil {
			stop()
			c.kill()
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if !fresh && !wrote {
				continue
			}
			return nil, err
		}
		a := &answer{t: t, c: c, src: resp.Body, stop: stop, keep: !resp.Close && !req.Close}
		if resp.Body == http.NoBody {
			a.end(true)
		} else {
			resp.Body = a
		}
		return resp, nil
	}
}

// ordinary says whether the request's method and headers are such that they
// can be written as they stand.
func ordinary(req *http.Request) bool {
	if req.Method == "" || !token(req.Method) || req.Method == http.MethodConnect || len(req.TransferEncoding) > 0 || len(req.Trailer) > 0 || !plainHost(req.Host) {
		return false
	}
	for name, values := range req.Header {
		switch name {
		case "Connection", "Upgrade", "Expect", "Te", "Trailer", "Proxy-Connection", "Proxy-Authorization", "Keep-Alive":
			return false
		}
		if !token(name) {
			return false
		}
		for _, v := range values {
			if !fieldValue(v) {
				return false
			}
		}
	}
	return true
}

// token is the grammar of methods and header names (RFC 9110, section 5.6.2).
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && c != '-' && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// fieldValue refuses control characters.
func fieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// conn is one connection. It belongs to one exchange at a time.
type conn struct {
	net  net.Conn
	raw  syscall.RawConn
	read *bufio.Reader
	// left is how much may still be read of an answer's head; negative: no
	// bound.
	left int64
	// head and out are room for what is written.
	head []byte
	room [8][]byte
	out  net.Buffers
	// kill closes the connection, look sees whether it is quiet: both are
	// methods, kept so that they are made once.
	kill  func()
	look  func(fd uintptr) bool
	quiet bool
	since time.Time // idle since then
}

func (t *Transport) dial(ctx context.Context) (*conn, error) {
	n, err := t.o.Dial(ctx, "tcp", t.addr)
	if err != nil {
		return nil, err
	}
	c := &conn{net: n, left: -1}
	if s, ok := n.(syscall.Conn); ok {
		if c.raw, err = s.SyscallConn(); err != nil {
			n.Close()
			return nil, fmt.Errorf("look into a connection: %w", err)
		}
	}
	c.read = bufio.NewReaderSize(c, readBuffer)
	c.kill = func() { c.net.Close() }
	c.look = func(fd uintptr) bool {
		c.quiet = silent(fd)
		return true
	}
	return c, nil
}

// Read is for c.read alone.
func (c *conn) Read(p []byte) (int, error) {
	if c.left < 0 {
		return c.net.Read(p)
	}
	if c.left == 0 {
		return 0, errHead
	}
	n, err := c.net.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// usable says whether an idle connection is still open and nothing has come
// that nobody asked for.
func (c *conn) usable() bool {
	if c.raw == nil {
		return false
	}
	c.quiet = false
	err := c.raw.Read(c.look)
	return err == nil && c.quiet
}

// exchange writes a request and reads the answer up to its body. wrote says
// whether any byte of the request may have reached the host.
func (c *conn) exchange(req *http.Request, body *Body) (resp *http.Response, wrote bool, err error) {
	c.head = appendHead(c.head[:0], req, body)
	c.out = append(c.room[:0], c.head)
	if body != nil {
		c.out = append(c.out, body.segments...)
	}
	n, failed := c.out.WriteTo(c.net)
	clear(c.room[:]) // the body is its owner's again
	c.out = nil
	if cap(c.head) > readBuffer {
		c.head = nil
	}
	if failed != nil && n == 0 {
		return nil, false, failed
	}
	c.left = maxHead
	for range maxEarly {
		resp, err = http.ReadResponse(c.read, req)
		switch {
		case err != nil && failed != nil:
			return nil, true, failed
		case err != nil:
			return nil, true, err
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return nil, true, errors.New("the host changed the protocol unasked")
		case resp.StatusCode >= 200:
			c.left = -1
			// A host that answers what it has not read has its reasons.
			resp.Close = resp.Close || failed != nil
			return resp, true, nil
		}
	}
	return nil, true, errors.New("the host gave only informational answers")
}

// appendHead writes the request line and the headers.
func appendHead(b []byte, req *http.Request, body *Body) []byte {
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, req.URL.RequestURI()...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, cmp.Or(req.Host, req.URL.Host)...)
	b = append(b, "\r\n"...)
	for name, values := range req.Header {
		if name == "Host" || name == "Content-Length" || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	switch {
	case body != nil:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, body.size, 10)
		b = append(b, "\r\n"...)
	case req.Method == http.MethodPost || req.Method == http.MethodPut || req.Method == http.MethodPatch:
		b = append(b, "Content-Length: 0\r\n"...)
	}
	if req.Close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// answer is the body of an answer. Reading it to its end gives the connection
// back.
type answer struct {
	t     *Transport
	c     *conn
	src   io.Reader
	stop  func() bool
	keep  bool
	ended atomic.Bool
}

// Read reads the body; an error other than io.EOF ends the connection.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.src.Read(p)
	if err != nil {
		a.end(err == io.EOF)
	}
	return n, err
}

// Close ends the connection unless the body was read to its end. It may be
// called while another goroutine reads.
func (a *answer) Close() error {
	a.end(false)
	return nil
}

// end gives the connection back when it is whole, or closes it; once.
func (a *answer) end(whole bool) {
	if a.ended.Swap(true) {
		return
	}
	if !a.stop() || !whole || !a.keep || a.c.read.Buffered() > 0 {
		a.c.kill()
		return
	}
	a.t.give(a.c)
}

// take gives an idle connection that is still good, or nil.
func (t *Transport) take() *conn {
	for {
		t.mu.Lock()
		n := len(t.idle) - 1
		if n < 0 {
			t.mu.Unlock()
			return nil
		}
		c := t.idle[n]
		t.idle[n] = nil
		t.idle = t.idle[:n]
		t.mu.Unlock()
		if c.usable() {
			return c
		}
		c.kill()
	}
}

// give keeps a connection for the next request.
func (t *Transport) give(c *conn) {
	c.since = time.Now()
	t.mu.Lock()
	full := len(t.idle) >= t.o.MaxIdle
	if !full {
		t.idle = append(t.idle, c)
	}
	sweep := !full && !t.sweeping
	t.sweeping = t.sweeping || sweep
	t.mu.Unlock()
	if full {
		c.kill()
	}
	if sweep {
		time.AfterFunc(t.o.IdleFor, t.sweep)
	}
}

// sweep closes the connections that were idle for too long.
func (t *Transport) sweep() {
	t.mu.Lock()
	end := time.Now().Add(-t.o.IdleFor)
	n := 0
	for n < len(t.idle) && !t.idle[n].since.After(end) {
		n++
	}
	old := slices.Clone(t.idle[:n])
	t.idle = slices.Delete(t.idle, 0, n)
	t.sweeping = len(t.idle) > 0
	again := t.sweeping
	var next time.Duration
	if again {
		next = max(time.Until(t.idle[0].since.Add(t.o.IdleFor)), time.Second)
	}
	t.mu.Unlock()
	for _, c := range old {
		c.kill()
	}
	if again {
		time.AfterFunc(next, t.sweep)
	}
}

// CloseIdleConnections closes the connections that nobody uses.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := t.idle
	t.idle = nil
	t.mu.Unlock()
	for _, c := range idle {
		c.kill()
	}
	if e, ok := t.o.Else.(interface{ CloseIdleConnections() }); ok {
		e.CloseIdleConnections()
	}
}
