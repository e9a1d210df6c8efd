package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/access"
	"headrace/internal/admission"
)

// queued is a gateway that serves one request at a time, before a provider that
// answers none until it is told to.
type queued struct {
	*life
	release chan struct{}
	all     sync.WaitGroup
	mu      sync.Mutex // guards order
	order   []string   // of the models, as the provider was asked
}

func newQueued(t *testing.T) *queued {
	l := &queued{release: make(chan struct{})}
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		var asked struct{ Model string }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		l.order = append(l.order, asked.Model)
		l.mu.Unlock()
		flushed(w, head)
		<-l.release
		flushed(w, tail)
	})
	l.life = live(t, nil, yaml+"overload: {requests: 1, least: 1, queue: 3, wait: 30s}\n")
	return l
}

// send asks a model; a key that says a priority waits with it.
func (l *queued) send(key, model, priority string) {
	l.all.Go(func() {
		a := l.call("POST", "/v1/chat/completions", strings.Replace(tongues[0].body, "MODEL", "p-openai/"+model, 1),
			"Authorization: Bearer "+key, "X-Headrace-Priority: "+priority)
		if a.status != 200 {
			l.t.Errorf("%s: %d %s", model, a.status, a.body)
		}
	})
}

// first waits until the first request is being answered.
func (l *queued) first() {
	l.t.Helper()
	waitFor(l.t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.order) == 1 }, "the first request")
}

// served lets the provider answer, and gives the order in which it was asked.
func (l *queued) served() string {
	close(l.release)
	l.all.Wait()
	return strings.Join(l.order, " ")
}

// TestOverload: what finds no place is told so at once in its dialect, with a
// word on when to come back; what waits is served by priority.
func TestOverload(t *testing.T) {
	t.Parallel()
	l := newQueued(t)
	l.send(key, "first", "interactive")
	l.first()
	// They join the queue one after another; only their priority counts.
	for _, p := range []string{"batch", "standard", "interactive"} {
		l.send(key, p, p)
		time.Sleep(50 * time.Millisecond)
	}
	status := []int{503, 503, 529, 503, 503}
	for i, g := range tongues {
		began := time.Now()
		a := l.call("POST", strings.Replace(g.path, "MODEL", "p-openai/m", 1), strings.Replace(g.body, "MODEL", "p-openai/m", 1), "X-Headrace-Priority: batch")
		if a.status != status[i] || a.header.Get("Retry-After") == "" || a.header.Get("X-Should-Retry") != "" || !strings.Contains(a.body, g.refused) || !strings.Contains(a.body, "too much to do") {
			t.Errorf("%s: %d %v %s", g.dialect, a.status, a.header, a.body)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v to say so", g.dialect, took)
		}
	}
	if got := l.served(); got != "first interactive standard batch" {
		t.Errorf("the order is %s", got)
	}
	if a := l.call("POST", "/v1/chat/completions", chatBody, "X-Headrace-Priority: urgent"); a.status != 400 {
		t.Errorf("an unknown priority: %d %s", a.status, a.body)
	}
}

// TestBodiesInFlight: the bodies of all requests together are bounded, whether
// they say their length or not, and the room comes back.
func TestBodiesInFlight(t *testing.T) {
	t.Parallel()
	var release atomic.Pointer[chan struct{}]
	first := make(chan struct{})
	release.Store(&first)
	came := make(chan struct{}, 8)
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		came <- struct{}{}
		<-*release.Load()
		flushed(w, head+tail)
	})
	l := live(t, nil, yaml+"overload: {bytes: 1MB}\n")
	send := func(size int, chunked bool) (int, string) {
		text := strings.Replace(strings.Replace(tongues[0].body, "MODEL", "p-openai/m", 1), "Hi", strings.Repeat("x", size), 1)
		var body io.Reader = strings.NewReader(text)
		if chunked {
			body = struct{ io.Reader }{body}
		}
		req, err := http.NewRequest("POST", l.base+"/v1/chat/completions", body)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(b)
	}
	var held sync.WaitGroup
	held.Go(func() {
		if status, body := send(700<<10, false); status != 200 {
			t.Errorf("the first: %d %s", status, body)
		}
	})
	<-came
	for _, chunked := range []bool{false, true} {
		if status, body := send(400<<10, chunked); status != 503 || !strings.Contains(body, "too much to do") {
			t.Errorf("chunked %v: %d %s", chunked, status, body)
		}
	}
	if status, body := send(2<<20, false); status != 413 {
		t.Errorf("larger than all room: %d %s", status, body)
	}
	close(first)
	held.Wait()
	for _, chunked := range []bool{false, true, false, true} {
		if status, body := send(700<<10, chunked); status != 200 {
			t.Errorf("afterwards, chunked %v: %d %s", chunked, status, body)
		}
	}
}

// files counts the open files of this process.
func files(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("the open files of a process cannot be counted here")
	}
	return len(list)
}

// TestAbortedStreams: a thousand streams that their clients leave, in every
// dialect in and out, leave no goroutine, no open file and no place taken. It
// runs alone: it counts those of the whole process.
func TestAbortedStreams(t *testing.T) {
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		flushed(w, head)
		<-r.Context().Done()
	})
	l := live(t, nil, yaml)
	round := func(n int) {
		var all sync.WaitGroup
		for c := range 20 {
			all.Go(func() {
				for k := range n / 20 {
					i := (c + k) % len(tongues)
					out := tongues[(c+k/len(tongues))%len(tongues)].dialect
					ctx, leave := context.WithCancel(context.Background())
					resp, err := l.ask(ctx, i, "p-"+string(out)+"/m")
					if err != nil {
						t.Error(err)
						leave()
						return
					}
					if err := hears(bufio.NewReader(resp.Body), "Hel"); err != nil {
						t.Error(err)
					}
					leave()
					resp.Body.Close()
				}
			})
		}
		all.Wait()
	}
	settled := func() (goroutines, open int) {
		for range 100 { // as long as either falls
			http.DefaultClient.CloseIdleConnections()
			time.Sleep(50 * time.Millisecond)
			g, f := runtime.NumGoroutine(), files(t)
			if g == goroutines && f == open {
				break
			}
			goroutines, open = g, f
		}
		return goroutines, open
	}
	round(100)
	goroutines, open := settled()
	round(1000)
	var g, f int
	waitFor(t, func() bool {
		g, f = settled()
		return g <= goroutines+5 && f <= open+2
	}, "goroutines and files to go")
	t.Logf("goroutines %d then %d, open files %d then %d", goroutines, g, open, f)
	waitFor(t, func() bool {
		a := l.call("GET", "/admin/v1/requests?limit=1000&errors=true", "", "Authorization: Bearer "+adminToken)
		return strings.Count(a.body, `"class":"client_gone"`) == 1000
	}, "a thousand rows")
}

// TestPriorityOfKeys: what the operator says of a key decides who waits, and
// the header does not raise it.
func TestPriorityOfKeys(t *testing.T) {
	t.Parallel()
	// The two lists of names cannot import one another; this holds them equal.
	if !slices.Equal(access.Priorities, admission.Priorities[:]) {
		t.Errorf("access says %v, admission %v", access.Priorities, admission.Priorities)
	}
	l := newQueued(t)
	issue := func(spec string, status int) string {
		a := l.call("POST", "/admin/v1/keys", spec, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
		if a.status != status {
			t.Fatalf("%s: %d %s", spec, a.status, a.body)
		}
		var made struct {
			Token string
			Key   struct {
				Priority string
				MayRaise bool `json:"may_raise"`
			}
		}
		if err := json.Unmarshal([]byte(a.body), &made); err != nil {
			t.Fatal(err)
		}
		if status == 201 && !strings.Contains(spec, made.Key.Priority) {
			t.Errorf("%s made %s", spec, a.body)
		}
		return made.Token
	}
	issue(`{"name":"k","priority":"urgent"}`, 400)
	slow, quick := issue(`{"name":"s","priority":"batch"}`, 201), issue(`{"name":"q","priority":"standard","may_raise":true}`, 201)
	waiting := func(n string) {
		t.Helper()
		waitFor(t, func() bool { return strings.Contains(l.call("GET", "/metrics", "").body, n+"\n") }, n)
	}
	l.send(key, "first", "")
	l.first()
	l.send(slow, "slow", "interactive")
	waiting(`headrace_admission_waiting{priority="batch"} 1`)
	l.send(quick, "quick", "interactive")
	waiting(`headrace_admission_waiting{priority="interactive"} 1`)
	if got := l.served(); got != "first quick slow" {
		t.Errorf("the order is %s", got)
	}
}
