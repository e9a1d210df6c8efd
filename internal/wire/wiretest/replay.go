package wiretest

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Replay is an upstream that serves recorded answers, byte for byte, in the
// order in which they are put up, and keeps the requests that it got. Safe for
// concurrent use, but answers go out in order.
type Replay struct {
	*httptest.Server

	mu    sync.Mutex // guards what follows
	queue []Serve
	got   []Got
}

// Serve is how an answer goes out.
type Serve struct {
	Record *Record
	// Sizes cuts the body into writes, each flushed; nil sends it at once.
	Sizes []int
	// CutAfter breaks the connection behind so many bytes; 0 sends all.
	CutAfter int
	// Drip waits between two writes; for tests under testing/synctest or with
	// a handful of pieces.
	Drip time.Duration
}

// Got is a request that a Replay received.
type Got struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte
}

// allowed are the recorded headers that are served again: the rest belongs to
// the connection on which it was recorded.
var allowed = []string{"Content-Type", "Retry-After", "Retry-After-Ms", "Request-Id", "X-Request-Id", "X-Should-Retry"}

// NewReplay starts an upstream that is closed when the test ends.
func NewReplay(t testing.TB) *Replay {
	p := &Replay{}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Server.Close)
	return p
}

// Put puts up the answer to the next request, dropping answers that nobody
// asked for and forgetting earlier requests.
func (p *Replay) Put(s ...Serve) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.got = slices.Clone(s), nil
}

// Got gives the requests since the last Put.
func (p *Replay) Got() []Got {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *Replay) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	if r.Method == http.MethodGet { // a look at the model list is no call
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}`)
		return
	}
	p.mu.Lock()
	p.got = append(p.got, Got{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Clone(), body})
	if len(p.queue) == 0 {
		p.mu.Unlock()
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, `{"error":{"message":"the replay has no answer left","type":"invalid_request_error"}}`)
		return
	}
	s := p.queue[0]
	p.queue = p.queue[1:]
	p.mu.Unlock()

	from := s.Record.Response.Header()
	for _, k := range allowed {
		if v := from.Values(k); len(v) > 0 {
			w.Header()[k] = v
		}
	}
	out := s.Record.Response.Body()
	if s.CutAfter > 0 {
		out = out[:min(s.CutAfter, len(out))]
	}
	w.WriteHeader(s.Record.Response.Status)
	sizes := s.Sizes
	for len(out) > 0 {
		n := len(out)
		if len(sizes) > 0 {
			n, sizes = min(max(sizes[0], 1), n), sizes[1:]
		}
		if _, err := w.Write(out[:n]); err != nil {
			return
		}
		if s.Sizes != nil {
			w.(http.Flusher).Flush()
		}
		if out = out[n:]; len(out) > 0 && s.Drip > 0 {
			select {
			case <-time.After(s.Drip):
			case <-r.Context().Done():
				return
			}
		}
	}
	if s.CutAfter > 0 {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Recut gives a way to cut the record's body: as it was recorded where that is
// known, else at random; one stream in eight at every byte if it is short.
func Recut(rnd *rand.Rand, r *Record) []int {
	n := len(r.Response.Body())
	switch {
	case len(r.Fidelity.Chunks) > 0 && rnd.IntN(2) == 0:
		return r.Fidelity.Chunks
	case n < 4<<10 && rnd.IntN(8) == 0:
		return slices.Repeat([]int{1}, n)
	default:
		return RandomCuts(rnd, n)
	}
}
