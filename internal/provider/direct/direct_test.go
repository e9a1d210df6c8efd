//go:build unix

package direct

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench is a host with a transport to it.
type bench struct {
	*Transport
	url   string
	conns atomic.Int64 // how many were opened by the transport
	other atomic.Int64 // how many requests went to the other transport
}

func (b *bench) RoundTrip(r *http.Request) (*http.Response, error) { return b.Transport.RoundTrip(r) }

type elsewhere struct {
	n *atomic.Int64
	*http.Transport
}

func (e elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	e.n.Add(1)
	return e.Transport.RoundTrip(r)
}

func to(t *testing.T, base string) *bench {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{url: base}
	var d net.Dialer
	b.Transport = New(Options{Base: u, Else: elsewhere{&b.other, &http.Transport{DisableCompression: true}}, Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		b.conns.Add(1)
		return d.DialContext(ctx, network, addr)
	}})
	if b.Transport == nil {
		t.Fatalf("no transport to %s", base)
	}
	t.Cleanup(b.CloseIdleConnections)
	return b
}

func serve(t *testing.T, h http.HandlerFunc) *bench {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return to(t, s.URL)
}

// raw is a host that answers each connection by a function.
func raw(t *testing.T, f func(c net.Conn, r *bufio.Reader)) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			})
		}
	})
	return to(t, "http://"+l.Addr().String())
}

func post(ctx context.Context, t *testing.T, base, path string, segments ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	var body [][]byte
	for _, s := range segments {
		body = append(body, []byte(s))
	}
	if b := NewBody(body); b.size > 0 {
		r.Body, r.ContentLength = b, b.size
	}
	return r
}

func text(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return string(b)
}

// TestSameAsTransport: a host sees the same request as from http.Transport, and
// the same answer comes back.
func TestSameAsTransport(t *testing.T) {
	t.Parallel()
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		dump, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		w.Header()["X-Twice"] = []string{"a", "b"}
		if r.Method != http.MethodHead {
			w.Write(dump)
		}
	})
	for name, change := range map[string]func(*http.Request){
		"a body":            func(r *http.Request) {},
		"a query":           func(r *http.Request) { r.URL.RawQuery = "beta=true&x=%20" },
		"an escaped path":   func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b c", "/a%2Fb%20c" },
		"another host name": func(r *http.Request) { r.Host = "model.test:99" },
		"no body":           func(r *http.Request) { r.Body, r.ContentLength = nil, 0 },
		"get":               func(r *http.Request) { r.Method, r.Body, r.ContentLength = "GET", nil, 0 },
		"head":              func(r *http.Request) { r.Method, r.Body, r.ContentLength = "HEAD", nil, 0 },
		"delete, a body":    func(r *http.Request) { r.Method = "DELETE" },
		"headers": func(r *http.Request) {
			r.Header["X-Two"] = []string{"1", "2, 3"}
			r.Header["Content-Length"] = []string{"7"}
		},
		"close": func(r *http.Request) { r.Close = true },
	} {
		var said [2]string
		var heads [2]http.Header
		for i, rt := range []http.RoundTripper{b.Transport, b.o.Else} {
			r := post(context.Background(), t, b.url, "/v1/x", "one ", "two ", "", "three")
			r.Header.Set("User-Agent", "headrace")
			r.Header.Set("Accept-Encoding", "identity")
			r.Header.Set("Content-Type", "application/json")
			change(r)
			resp, err := rt.RoundTrip(r)
			said[i] = text(t, resp, err)
			heads[i] = resp.Header
			delete(heads[i], "Date")
		}
		if d := cmp.Diff(said[1], said[0]); d != "" {
			t.Errorf("%s: request (-http.Transport +direct):\n%s", name, d)
		}
		if d := cmp.Diff(heads[1], heads[0]); d != "" {
			t.Errorf("%s: answer (-http.Transport +direct):\n%s", name, d)
		}
	}
	if n := b.other.Load(); n != 10 {
		t.Errorf("%d requests went the other way, want 10: only those that the test sent there", n)
	}
}

// TestKeptConnections: a connection serves again once its answer was read, and
// only then.
func TestKeptConnections(t *testing.T) {
	t.Parallel()
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/chunked":
			for range 3 {
				io.WriteString(w, "piece ")
				w.(http.Flusher).Flush()
			}
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/close":
			w.Header().Set("Connection", "close")
			io.WriteString(w, "last")
		case "/early":
			w.Header().Set("Link", "</x>")
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "whole")
		default:
			io.WriteString(w, "whole")
		}
	})
	get := func(path string) (string, int64) {
		before := b.conns.Load()
		resp, err := b.RoundTrip(post(context.Background(), t, b.url, path, "body"))
		return text(t, resp, err), b.conns.Load() - before
	}
	for i, c := range []struct {
		path, want string
		opened     int64
	}{
		{"/whole", "whole", 1}, {"/chunked", "piece piece piece ", 0}, {"/nothing", "", 0}, {"/early", "whole", 0}, {"/close", "last", 0}, {"/whole", "whole", 1},
	} {
		if got, opened := get(c.path); got != c.want || opened != c.opened {
			t.Errorf("request %d, %s: %q over %d new connections, want %q over %d", i, c.path, got, opened, c.want, c.opened)
		}
	}
	resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/chunked", "body"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // unread
	if _, opened := get("/whole"); opened != 1 {
		t.Error("a connection whose answer was not read to the end was used again")
	}
	b.mu.Lock()
	for _, c := range b.idle {
		c.since = c.since.Add(-b.o.IdleFor)
	}
	b.mu.Unlock()
	b.sweep()
	if len(b.idle) != 0 || b.sweeping {
		t.Errorf("%d connections are left that were idle for too long", len(b.idle))
	}
}

// TestClosedWhileIdle: a connection that the host closed, or said something
// unasked on, is replaced without the request being sent twice.
func TestClosedWhileIdle(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{"closed": "", "unasked": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"} {
		var served atomic.Int64
		gone := make(chan struct{}, 9)
		b := raw(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			served.Add(1)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			<-gone
			io.WriteString(c, last)
		})
		for range 3 {
			resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/", "x"))
			if got := text(t, resp, err); got != "ok" {
				t.Errorf("%s: %q", name, got)
			}
			b.mu.Lock()
			c := b.idle[0]
			b.mu.Unlock()
			gone <- struct{}{}
			for c.usable() { // until the end has arrived
				runtime.Gosched()
			}
		}
		if served.Load() != 3 || b.conns.Load() != 3 {
			t.Errorf("%s: %d requests over %d connections", name, served.Load(), b.conns.Load())
		}
	}
}

// TestClientLeaves: the end of the context closes the connection at once,
// whatever the exchange is waiting for.
func TestClientLeaves(t *testing.T) {
	t.Parallel()
	left := errors.New("left")
	for _, at := range []string{"head", "body"} {
		closed := make(chan time.Time, 1)
		began := make(chan struct{})
		b := raw(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			if at == "body" {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
			}
			close(began)
			r.ReadByte()
			closed <- time.Now()
		})
		ctx, cancel := context.WithCancelCause(context.Background())
		var when time.Time
		leave := func() {
			<-began
			when = time.Now()
			cancel(left)
		}
		if at == "head" {
			go leave()
		}
		resp, err := b.RoundTrip(post(ctx, t, b.url, "/", "x"))
		switch {
		case at == "head" && err != left:
			t.Errorf("a request that was given up ended with %v", err)
		case at == "body" && err != nil:
			t.Fatal(err)
		case at == "body":
			go leave()
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("an answer that was given up was whole")
			}
		}
		if late := (<-closed).Sub(when); late > 100*time.Millisecond {
			t.Errorf("%s: the connection was closed after %s", at, late)
		}
	}
	b := raw(t, func(net.Conn, *bufio.Reader) {})
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(left)
	if _, err := b.RoundTrip(post(ctx, t, b.url, "/", "x")); err != left || b.conns.Load() != 0 {
		t.Errorf("a context that is over: %v", err)
	}
}

// TestCloseWhileRead: Close frees who reads.
func TestCloseWhileRead(t *testing.T) {
	t.Parallel()
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/", "x"))
	if err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, one); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := resp.Body.Read(one)
		ended <- err
	}()
	resp.Body.Close()
	if err := <-ended; err == nil || err == io.EOF {
		t.Errorf("the read ended with %v", err)
	}
}

// TestAnswersBeforeBody: a host that refuses without reading is heard, and its
// connection not used again.
func TestAnswersBeforeBody(t *testing.T) {
	t.Parallel()
	b := raw(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		io.Copy(io.Discard, req.Body) // a lingering close
	})
	resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/", strings.Repeat("x", maxBody)))
	if got := text(t, resp, err); resp.StatusCode != 413 || got != "no" || len(b.idle) != 0 {
		t.Errorf("%s %q, %d kept", resp.Status, got, len(b.idle))
	}
}

// TestBrokenAnswers: each is an error, and nothing is kept of it.
func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"nothing":             "",
		"no HTTP":             "SSH-2.0-x\r\n\r\n",
		"half a head":         "HTTP/1.1 200 OK\r\nContent-",
		"an endless head":     "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n",
		"only hints":          strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9),
		"another protocol":    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		"half a body":         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
		"half a chunk":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nx",
		"an endless chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 9000),
		"two lengths":         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"an unknown encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: zip\r\n\r\nxx",
	} {
		b := raw(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, said)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, r)
		})
		resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/", "x"))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		if err == nil || len(b.idle) != 0 || b.conns.Load() != 1 {
			t.Errorf("%s: error %v, %d connections kept, %d opened", name, err, len(b.idle), b.conns.Load())
		}
	}
}

// TestMoreThanAnswered: bytes behind an answer are never those of the next.
func TestMoreThanAnswered(t *testing.T) {
	t.Parallel()
	b := raw(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		io.Copy(io.Discard, r)
	})
	for range 3 {
		resp, err := b.RoundTrip(post(context.Background(), t, b.url, "/", "x"))
		if got := text(t, resp, err); got != "ok" {
			t.Errorf("%q", got)
		}
	}
}

// TestLeftToOthers: what this transport does not know goes the other way, whole
// and repeatable.
func TestLeftToOthers(t *testing.T) {
	t.Parallel()
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n != r.ContentLength && r.ContentLength >= 0 {
			t.Errorf("%d bytes of %d", n, r.ContentLength)
		}
	})
	for name, change := range map[string]func(*http.Request){
		"a large body": func(r *http.Request) {
			r.Body = NewBody([][]byte{bytes.Repeat([]byte("x"), maxBody+1)})
			r.ContentLength = maxBody + 1
		},
		"another body": func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")); r.ContentLength = 1 },
		"an upgrade":   func(r *http.Request) { r.Header.Set("Connection", "x") },
		"a trailer":    func(r *http.Request) { r.Trailer = http.Header{"X": nil}; r.ContentLength = -1 },
	} {
		r := post(context.Background(), t, b.url, "/", "x")
		change(r)
		before := b.other.Load()
		resp, err := b.RoundTrip(r)
		if text(t, resp, err); b.other.Load() != before+1 {
			t.Errorf("%s was not left to the other transport", name)
		}
	}
	for _, bad := range []func(*http.Request){
		func(r *http.Request) { r.Header["X"] = []string{"a\r\nY: b"} },
		func(r *http.Request) { r.Header["X y"] = []string{"a"} },
		func(r *http.Request) { r.Method = "GET /x" },
	} {
		r := post(context.Background(), t, b.url, "/", "x")
		bad(r)
		if _, err := b.RoundTrip(r); err == nil {
			t.Errorf("%s %v was sent", r.Method, r.Header)
		}
	}
	for _, base := range []string{"https://x.test", "http://bücher.test", "http://[fe80::1%25eth0]:80", "ftp://x.test"} {
		if u, err := url.Parse(base); err != nil || New(Options{Base: u}) != nil {
			t.Errorf("%s has a transport (%v)", base, err)
		}
	}
}

// TestManyAtOnce: no answer goes to another's request.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			w.Write(body)
		}
	})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				want := strings.Repeat(string(rune('a'+i)), 1+k*97)
				resp, err := b.RoundTrip(post(ctx, t, b.url, "/", want[:1], want[1:]))
				if err != nil {
					t.Error(err)
					cancel()
					return
				}
				if k%7 == 0 {
					cancel()
				}
				got, err := io.ReadAll(resp.Body)
				if err == nil && string(got) != want {
					t.Errorf("%.20q for %.20q", got, want)
				}
				if err != nil && k%7 != 0 {
					t.Error(err)
				}
				resp.Body.Close()
				cancel()
			}
		})
	}
	wg.Wait()
}
