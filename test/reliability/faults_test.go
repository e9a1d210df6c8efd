package reliability_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/relay"
	"headrace/internal/wire/wiretest"
)

// stage is the provider of all faults. What goes wrong stands in the path.
type stage struct {
	*httptest.Server
	t       *testing.T
	acts    map[string]*fault
	running atomic.Int64 // attempts that it still works on

	mu       sync.Mutex // guards attempts
	attempts map[int][]string
	next     int
}

var numbered = regexp.MustCompile(`Count (\d+)\.`)

func newStage(t *testing.T, faults []*fault) *stage {
	s := &stage{t: t, acts: map[string]*fault{}, attempts: map[int][]string{}}
	for _, f := range faults {
		s.acts[f.name] = f
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP plays the fault of the path /NAME/...
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	s.running.Add(1)
	defer s.running.Add(-1)
	body, err := io.ReadAll(r.Body)
	m := numbered.FindSubmatch(body)
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	v, f := spoken("/"+rest), s.acts[name]
	if err != nil || m == nil || v == nil || f == nil {
		s.t.Errorf("the provider cannot answer %s: %v %.200s", r.URL.Path, err, body)
		return
	}
	cell, _ := strconv.Atoi(string(m[1]))
	s.mu.Lock()
	s.next++
	p := &play{w: w, r: r, v: v, stream: strings.Contains(string(body), `"stream":true`) || strings.Contains(r.URL.Path, ":stream")}
	for i := range 4 {
		p.words = append(p.words, fmt.Sprintf("a%d.%d ", s.next, i))
	}
	s.attempts[cell] = append(s.attempts[cell], p.text())
	s.mu.Unlock()
	for _, name := range []string{"Authorization", "X-Api-Key", "X-Goog-Api-Key"} {
		if k := strings.TrimPrefix(r.Header.Get(name), "Bearer "); k != "" {
			p.key = k
		}
	}
	f.play(p)
}

// of gives the texts of a cell's attempts in order.
func (s *stage) of(cell int) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts[cell])
}

// play is one attempt, as the provider sees it.
type play struct {
	w      http.ResponseWriter
	r      *http.Request
	v      *voice
	stream bool
	words  []string
	key    string
}

func (p *play) text() string { return strings.Join(p.words, "") }

// full is the whole answer.
func (p *play) full() string {
	if !p.stream {
		return p.v.whole(p.text())
	}
	return p.begun(len(p.words)) + p.v.ending(p.text())
}

// begun is a stream up to its nth word.
func (p *play) begun(n int) string {
	s := p.v.opening()
	for _, w := range p.words[:n] {
		s += p.v.word(w)
	}
	return s
}

func (p *play) kind() string {
	if p.stream {
		return p.v.kind
	}
	return "application/json"
}

// say sends a part of an answer with status 200.
func (p *play) say(s string) {
	p.w.Header().Set("Content-Type", p.kind())
	io.WriteString(p.w, strings.ReplaceAll(s, "KEY", p.key))
	http.NewResponseController(p.w).Flush()
}

// silence waits until nobody listens any more.
func (p *play) silence() { <-p.r.Context().Done() }

// raw sends these bytes and ends the connection, with a reset or a clean end.
func (p *play) raw(s string, reset bool) {
	c, b, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		return
	}
	b.WriteString(s)
	b.Flush()
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		tcp.SetLinger(0)
	}
	c.Close()
}

// message is the whole answer as bytes on the connection.
func (p *play) message() string {
	body := p.full()
	head := "HTTP/1.1 200 OK\r\nX-Echo: " + p.key + "\r\nContent-Type: " + p.kind() + "\r\n"
	if !p.stream {
		return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	s := head + "Transfer-Encoding: chunked\r\n\r\n"
	for part := range strings.SplitAfterSeq(body, "\n\n") {
		if part != "" {
			s += fmt.Sprintf("%x\r\n%s\r\n", len(part), part)
		}
	}
	return s + "0\r\n\r\n"
}

// fault is one thing that goes wrong.
type fault struct {
	name string
	play func(p *play)
	// want are the classes that it may have with a provider of the dialect; empty
	// among them when the answer may be complete. None: it cannot happen there.
	want func(v *voice) []llm.Class
	// only is "stream" or "whole" for a fault of one of them.
	only string
	// quick says that the provider has short timeouts.
	quick bool
	// leaves says that the client leaves when the provider has begun.
	leaves bool
	// lone are the classes when no other target is left, if they differ.
	lone []llm.Class
}

func always(classes ...llm.Class) func(*voice) []llm.Class {
	return func(*voice) []llm.Class { return classes }
}

// faults are all of them.
func faults() (all []*fault) {
	for _, c := range llm.Classes() {
		all = append(all, &fault{name: "refused-" + string(c),
			want: func(v *voice) []llm.Class {
				if _, ok := v.refusals[c]; ok {
					return []llm.Class{c}
				}
				return nil
			},
			play: func(p *play) {
				f := p.v.refusals[c]
				p.w.Header().Set("Content-Type", "application/json")
				p.w.Header().Set("X-Echo", p.key)
				p.w.Header().Set("Retry-After", "90")
				p.w.WriteHeader(f.status)
				io.WriteString(p.w, strings.ReplaceAll(f.body, "KEY", p.key))
			}})
		inside := func(v *voice) []llm.Class {
			if _, ok := v.inside[c]; ok {
				return []llm.Class{c}
			}
			return nil
		}
		all = append(all,
			&fault{name: "inside-" + string(c), want: inside, play: func(p *play) {
				if p.stream {
					p.say(p.v.opening() + p.v.inside[c].frame)
				} else {
					p.say(p.v.inside[c].whole)
				}
			}},
			&fault{name: "late-" + string(c), want: inside, only: "stream", play: func(p *play) {
				p.say(p.begun(2))
				p.say(p.v.inside[c].frame)
			}})
	}
	cutShort := always(llm.MalformedUpstream, llm.ServerError)
	all = append(all,
		&fault{name: "nothing", want: always(""), play: func(p *play) { p.say(p.full()) }},
		&fault{name: "byte-by-byte", want: always(""), play: func(p *play) {
			for _, b := range []byte(p.full()) {
				p.say(string(b))
			}
		}},
		&fault{name: "no-listener", want: always(llm.ServerError)},
		&fault{name: "reset", want: always(llm.ServerError), play: func(p *play) { p.raw("", true) }},
		&fault{name: "closed", want: always(llm.ServerError), play: func(p *play) { p.raw("", false) }},
		&fault{name: "no-http", want: cutShort, play: func(p *play) { p.raw("SSH-2.0 "+p.key+"\r\n\r\n", false) }},
		&fault{name: "redirect", want: cutShort, play: func(p *play) {
			p.w.Header().Set("Location", "http://127.0.0.1:9/"+p.key)
			p.w.WriteHeader(http.StatusFound)
		}},
		&fault{name: "no-json", want: always(llm.MalformedUpstream), play: func(p *play) { p.say("<html>KEY</html>\n\n") }},
		&fault{name: "empty", want: always(llm.MalformedUpstream), play: func(p *play) { p.say("") }},
		&fault{name: "broken-frame", want: always(llm.MalformedUpstream), only: "stream", play: func(p *play) { p.say(p.v.opening() + p.v.wrap(`{"x":KEY`)) }},
		&fault{name: "late-broken-frame", want: always(llm.MalformedUpstream), only: "stream", play: func(p *play) {
			p.say(p.begun(2))
			p.say(p.v.wrap(`{"x":`))
		}},
		&fault{name: "late-huge-frame", want: always(llm.MalformedUpstream), only: "stream", play: func(p *play) {
			p.say(p.begun(2))
			p.say(p.v.wrap(`{"x":"` + strings.Repeat("y", 300<<10) + `"}`))
		}},
		&fault{name: "late-no-end", want: always(llm.MalformedUpstream), only: "stream", play: func(p *play) { p.say(p.begun(3)) }},
		&fault{name: "late-reset", want: cutShort, only: "stream", play: func(p *play) {
			m := p.message()
			p.raw(m[:strings.Index(m, p.words[2])], true)
		}},
		&fault{name: "silent", want: always(llm.SlowStart), quick: true, play: func(p *play) { p.silence() }},
		&fault{name: "silent-head", want: always(llm.SlowStart, llm.SlowStream), quick: true, play: func(p *play) {
			p.say("")
			p.silence()
		}},
		&fault{name: "silent-opening", want: always(llm.SlowStart), only: "stream", quick: true, play: func(p *play) {
			p.say(p.v.opening())
			p.silence()
		}},
		&fault{name: "silent-middle", want: always(llm.SlowStart, llm.SlowStream), only: "whole", quick: true, play: func(p *play) {
			p.say(p.full()[:20])
			p.silence()
		}},
		&fault{name: "late-silence", want: always(llm.SlowStream), only: "stream", quick: true, play: func(p *play) {
			p.say(p.begun(2))
			p.silence()
		}},
		// A stream that drips is given up while another target is left, before
		// its first word has gone out; else it is borne.
		&fault{name: "slow-drip", want: always(llm.SlowStream), lone: []llm.Class{""}, only: "stream", quick: true, play: func(p *play) {
			p.say(p.v.opening())
			for _, w := range p.words {
				p.say(p.v.word(w))
				select {
				case <-time.After(300 * time.Millisecond):
				case <-p.r.Context().Done():
					return
				}
			}
			p.say(p.v.ending(p.text()))
		}},
		&fault{name: "left-waiting", leaves: true, want: always(llm.ClientGone), play: func(p *play) { p.silence() }},
		&fault{name: "left-middle", leaves: true, want: always(llm.ClientGone), play: func(p *play) {
			if p.stream {
				p.say(p.begun(2))
			} else {
				p.say(p.full()[:20])
			}
			p.silence()
		}},
	)
	// Cut at byte N of the whole message on the connection.
	step := pick(97, 11)
	for n := step; n < 2400; n += step {
		for _, reset := range []bool{false, true} {
			if reset && (n/step)%4 != 0 {
				continue
			}
			all = append(all, &fault{name: fmt.Sprintf("cut-%d-%t", n, reset), want: always(llm.MalformedUpstream, llm.ServerError, ""), play: func(p *play) {
				m := p.message()
				p.raw(m[:min(n, len(m)-1)], reset)
			}})
		}
	}
	return all
}

// statuses say how a class looks to clients; to Anthropic's and Gemini's where
// that differs.
var statuses = map[llm.Class]struct{ most, anthropic, gemini int }{
	llm.RateLimited: {429, 0, 0}, llm.QuotaExhausted: {429, 0, 0}, llm.Overloaded: {503, 529, 0}, llm.ServerError: {502, 500, 500},
	llm.Timeout: {504, 0, 0}, llm.SlowStart: {504, 0, 0}, llm.SlowStream: {504, 0, 0}, llm.ContentRefused: {400, 0, 0},
	llm.ContextOverflow: {400, 0, 0}, llm.InvalidRequest: {400, 0, 0}, llm.Auth: {502, 0, 0}, llm.ModelNotFound: {404, 0, 0},
	llm.MalformedUpstream: {502, 0, 0}, llm.Unsupported: {400, 0, 0}, llm.Unauthenticated: {401, 0, 0}, llm.Forbidden: {403, 0, 0},
	llm.NotFound: {404, 0, 0}, llm.TooLarge: {413, 0, 0}, llm.Unavailable: {503, 529, 0},
}

func statusOf(d llm.Dialect, c llm.Class) int {
	s := statuses[c]
	switch {
	case d == llm.Anthropic && s.anthropic != 0:
		return s.anthropic
	case d == llm.Gemini && s.gemini != 0:
		return s.gemini
	}
	return s.most
}

// cell is one request of the matrix.
type cell struct {
	n       int
	f       *fault
	in, out *voice
	stream  bool
	// routed says that a good target stands behind the bad one.
	routed bool
	want   []llm.Class
	// late says that the client has seen content; set by the answer.
	late bool
	id   string // of the answer
	seen seen
}

func (c *cell) String() string {
	way, with := "whole", "alone"
	if c.stream {
		way = "streamed"
	}
	if c.routed {
		with = "with a good target behind it"
	}
	return fmt.Sprintf("%s by a provider of %s to a client of %s, %s, %s (request %d)", c.f.name, c.out.dialect, c.in.dialect, way, with, c.n)
}

// stops says which classes end a request whatever targets are left.
var stops = func() map[llm.Class]bool {
	m := map[llm.Class]bool{}
	for _, r := range relay.DefaultPolicy() {
		m[r.Class] = r.Step == relay.StepStop
	}
	return m
}()

// TestFaults: every error class and every fault of the transport, in every
// dialect on both sides, streamed and whole, before and after the first word,
// alone and with another target behind. Seven things hold for each: one terminal
// event; no text twice; one row; no gauge left; the provider's connection closed;
// the class and status that are right; no secret in anything that comes out.
func TestFaults(t *testing.T) {
	all := faults()
	s := newStage(t, all)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	var yaml, routes, models strings.Builder
	yaml.WriteString("limits: {event: 256KB, answer: 256KB, key: {parallel: 5000}}\nretries: {failures: 0, classes: {server_error: {backoff: 20ms}, malformed_upstream: {backoff: 20ms}, overloaded: {backoff: 20ms}, rate_limited: {backoff: 20ms}}}\nproviders:\n")
	routes.WriteString("routes:\n")
	models.WriteString("models:\n")
	auth := map[llm.Dialect]string{llm.OpenAI: "bearer", llm.Responses: "bearer", llm.Anthropic: "x-api-key", llm.Gemini: "x-goog-api-key", llm.Ollama: "bearer"}
	for _, f := range all {
		for i, v := range voices {
			base := s.URL + "/" + f.name + wiretest.Base(v.dialect)
			if f.name == "no-listener" {
				base = nobody
			}
			if v.dialect == llm.Gemini || v.dialect == llm.Ollama || v.dialect == llm.Anthropic {
				base = strings.TrimSuffix(base, wiretest.Base(v.dialect))
			}
			more := ""
			if f.quick {
				more = ", timeouts: {first_byte: 800ms, first_content: 1s, idle: 1200ms, floor: 100, warm_up: 500ms}"
			}
			id := f.name + "-" + string(v.dialect)
			fmt.Fprintf(&yaml, "  %s: {dialect: %s, auth: %s, api_key: %s-%s, base_url: %s, models: [m]%s}\n", id, v.dialect, auth[v.dialect], canary, id, base, more)
			// The good target is of the dialect after, so that a fallback translates.
			fmt.Fprintf(&routes, "  r-%s: [%s/m, nothing-%s/m]\n", id, id, voices[(i+1)%len(voices)].dialect)
			fmt.Fprintf(&models, "  %s/m: {price: {input: 1, output: 1, cache_read: 1, cache_write_5m: 1, cache_write_1h: 1}}\n", id)
		}
	}
	h := open(t, yaml.String()+routes.String()+models.String())
	money := h.budget(1e6)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	defer client.CloseIdleConnections()

	var cells []*cell
	for k, f := range all {
		for i, in := range voices {
			for j, out := range voices {
				// The slice: the client's own dialect, and one more that goes round.
				if !full() && i != j && j != (i+1+k%4)%len(voices) {
					continue
				}
				want := f.want(out)
				for _, stream := range []bool{false, true} {
					for _, routed := range []bool{false, true} {
						if len(want) == 0 || f.only == "stream" && !stream || f.only == "whole" && stream || f.leaves && routed {
							continue
						}
						c := &cell{n: len(cells), f: f, in: in, out: out, stream: stream, routed: routed, want: want}
						if !routed && f.lone != nil {
							c.want = f.lone
						}
						cells = append(cells, c)
					}
				}
			}
		}
	}
	var wait sync.WaitGroup
	turn := make(chan struct{}, 64)
	for _, c := range cells {
		turn <- struct{}{}
		wait.Go(func() {
			defer func() { <-turn }()
			c.run(t, h, s, client)
		})
	}
	wait.Wait()

	within(t, 10*time.Second, "the provider's connections to be closed", func() bool { return s.running.Load() == 0 })
	var all2 []ledgerRow
	within(t, 20*time.Second, "all rows", func() bool { all2 = h.ledger(); return len(all2) >= len(cells) })
	by := map[string][]ledgerRow{}
	gone, cost, unpriced := 0, int64(0), int64(0)
	for _, r := range all2 {
		by[r.ID] = append(by[r.ID], r)
		if r.Class == string(llm.ClientGone) {
			gone++
		}
		cost += r.Cost.Nanodollars
		if !r.Cost.Priced {
			unpriced++
		}
	}
	late, early, left := 0, 0, 0
	for _, c := range cells {
		if c.late {
			late++
		} else {
			early++
		}
		if c.f.leaves {
			left++
			continue
		}
		list := by[c.id]
		if len(list) != 1 {
			t.Errorf("%s: %d rows", c, len(list))
			continue
		}
		c.judge(t, llm.Class(list[0].Class), s)
	}
	if len(all2) != len(cells) || gone != left {
		t.Errorf("%d rows of %d requests; %d say that the client is gone, of %d", len(all2), len(cells), gone, left)
	}
	for _, name := range []string{"headrace_requests_running", "headrace_attempts_running", "headrace_ledger_rows_waiting", "headrace_ledger_rows_lost_total"} {
		if n := h.gauge(name); n != 0 {
			t.Errorf("%s is %v", name, n)
		}
	}
	// The budget has paid what the ledger says, and a guess for each attempt of
	// which nobody knows what it cost: the row of such a request has no price.
	spent := int64(0)
	for range 50 {
		p := h.purse(money)
		if spent = p.Spent; p.Reserved == 0 && spent >= cost {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if p := h.purse(money); p.Reserved != 0 || spent < cost || spent-cost > unpriced*dearest {
		t.Errorf("the budget holds %d and has spent %d, the ledger %d in all but %d unpriced rows", p.Reserved, spent, cost, unpriced)
	}
	secretless(t, "the log", h.log.String())
	secretless(t, "/metrics", h.admin("GET", "/metrics", "", nil))
	secretless(t, "the status", h.admin("GET", "/admin/v1/status", "", nil))
	secretless(t, "the list of requests", h.admin("GET", "/admin/v1/requests?limit=1000", "", nil))
	if n := strings.Count(h.log.String(), "panic"); n > 0 {
		t.Errorf("the log tells of %d panics", n)
	}
	what := "0 exceptions from seven invariants"
	record(t, "Faults, before the first word", what, !t.Failed(), "%d cells, %s", early, exceptions(t))
	record(t, "Faults, after the first word", what, !t.Failed(), "%d cells, %s", late, exceptions(t))
}

// dearest is more than any request of the matrix can cost: three attempts of a
// hundred tokens at a dollar a million.
const dearest = 3 * 100 * 1000

func exceptions(t *testing.T) string {
	if t.Failed() {
		return "some exceptions"
	}
	return "0 exceptions"
}

// secretless fails when a text holds a credential.
func secretless(t *testing.T, what, text string) {
	t.Helper()
	for _, s := range []string{canary, key, adminToken} {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s holds a credential: ...%s...", what, text[max(0, i-200):min(len(text), i+100)])
			return
		}
	}
}

// run makes the request and checks what the client sees.
func (c *cell) run(t *testing.T, h *house, s *stage, client *http.Client) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	id := c.f.name + "-" + string(c.out.dialect)
	model := id + "/m"
	if c.routed {
		model = "r-" + id
	}
	if c.f.leaves {
		go func() {
			for len(s.of(c.n)) == 0 && ctx.Err() == nil {
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(20 * time.Millisecond) // so that a word may be there
			stop()
		}()
	}
	body := strings.ReplaceAll(c.in.ask(model, c.stream), "NUMBER", strconv.Itoa(c.n))
	resp, err := h.do(ctx, client, "POST", c.in.path(model, c.stream), body)
	if err != nil {
		if !c.f.leaves {
			t.Errorf("%s: %v", c, err)
		}
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	c.id = resp.Header.Get("X-Headrace-Request-Id")
	c.late = c.stream && resp.StatusCode == 200
	text := string(b)
	secretless(t, c.String(), text+fmt.Sprint(resp.Header))
	if c.f.leaves {
		return
	}
	good, bad := 0, 0
	if c.late {
		good, bad = c.in.ends(text)
	}
	a, readErr := wiretest.Read(c.in.dialect, c.stream, b)
	switch {
	case resp.StatusCode != 200:
		if err != nil || !strings.Contains(text, `"error"`) || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %v %v %.300s", c, resp.StatusCode, resp.Header, err, text)
		}
	case c.stream && err == nil && good+bad != 1:
		t.Errorf("%s: %d good ends and %d bad ones in %s", c, good, bad, text)
	case c.stream && err != nil && good+bad != 0:
		t.Errorf("%s: the connection broke (%v) after an end in %s", c, err, text)
	case !c.stream && err != nil:
		t.Errorf("%s: %v", c, err)
	}
	c.seen = seen{status: resp.StatusCode, complete: resp.StatusCode == 200 && err == nil && readErr == nil && bad == 0, text: a.Text, body: text, read: readErr}
}

// seen is what a client made of its answer.
type seen struct {
	status   int
	complete bool
	text     string
	body     string
	read     error
}

// judge checks what the client saw against its row.
func (c *cell) judge(t *testing.T, class llm.Class, s *stage) {
	attempts := s.of(c.n)
	short := c.seen.body[:min(len(c.seen.body), 700)]
	want := c.want
	failed := !c.late && c.routed && !slices.ContainsFunc(want, func(w llm.Class) bool { return stops[w] })
	if failed { // the good target answers
		want = []llm.Class{""}
	}
	if c.late && c.routed && slices.Contains(attempts, c.seen.text) && c.seen.complete {
		want = append(slices.Clone(want), "") // by the good target too
	}
	if !slices.Contains(want, class) {
		t.Errorf("%s: class %q, want %q; %d %s", c, class, want, c.seen.status, short)
	}
	if c.seen.complete != (class == "") {
		t.Errorf("%s: the row says %q, the client %+v", c, class, c.seen)
	}
	if !c.late && class != "" {
		want := statusOf(c.in.dialect, class)
		own := c.in.dialect == c.out.dialect && c.out.refusals[class].status == c.seen.status
		if c.seen.status != want && !own {
			t.Errorf("%s: status %d of %q, want %d; %s", c, c.seen.status, class, want, short)
		}
	}
	if len(attempts) > 3 {
		t.Errorf("%s: %d attempts", c, len(attempts))
	}
	if c.seen.text != "" {
		// It is of the last attempt and of no other: what was begun is never repeated.
		if n := len(attempts); n == 0 || !strings.HasPrefix(attempts[n-1], c.seen.text) {
			t.Errorf("%s: the text %q is not that of the last of %q", c, c.seen.text, attempts)
		}
		if c.seen.complete && c.seen.text != attempts[len(attempts)-1] {
			t.Errorf("%s: a complete answer holds %q of %q", c, c.seen.text, attempts)
		}
	} else if c.seen.complete {
		t.Errorf("%s: an empty answer that is complete: %s", c, short)
	}
}
