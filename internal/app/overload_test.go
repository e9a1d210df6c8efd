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

// TestOverload: what finds no place is told so at once in its dialect, with a
// word on when to come back; what waits is served by priority.
func TestOverload(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex // guards order
	var order []string
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		for _, name := range []string{"first", "batch", "standard", "interactive"} {
			if strings.Contains(string(b), name) {
				order = append(order, name)
			}
		}
		mu.Unlock()
		flushed(w, head)
		<-release
		flushed(w, tail)
	})
	l := live(t, nil, yaml+"overload: {requests: 1, least: 1, queue: 3, wait: 30s}\n")
	var all sync.WaitGroup
	send := func(model, priority string) {
		req, err := http.NewRequest("POST", l.base+"/v1/chat/completions", strings.NewReader(strings.Replace(tongues[0].body, "MODEL", "p-openai/"+model, 1)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-Headrace-Priority", priority)
		all.Go(func() {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("%s: %v", model, err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %d %v %s", model, resp.StatusCode, err, b)
			}
		})
	}
	send("first", "interactive")
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == 1 }, "the first request")
	// They join the queue one after another; only their priority counts.
	for _, p := range []string{"batch", "standard", "interactive"} {
		send(p, p)
		time.Sleep(50 * time.Millisecond)
	}
	status := []int{503, 503, 529, 503, 503}
	for i, g := range tongues {
		began := time.Now()
		req, err := http.NewRequest("POST", l.base+strings.Replace(g.path, "MODEL", "p-openai/m", 1), strings.NewReader(strings.Replace(g.body, "MODEL", "p-openai/m", 1)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("X-Headrace-Priority", "batch")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != status[i] || resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-Should-Retry") != "" || !strings.Contains(string(b), g.refused) || !strings.Contains(string(b), "too much to do") {
			t.Errorf("%s: %d %v %s %v", g.dialect, resp.StatusCode, resp.Header, b, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v to say so", g.dialect, took)
		}
	}
	close(release)
	all.Wait()
	if got := strings.Join(order, " "); got != "first interactive standard batch" {
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
	release := make(chan struct{})
	var mu sync.Mutex // guards order
	var order []string
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		for _, name := range []string{"first", "slow", "quick"} {
			if strings.Contains(string(b), `"`+name+`"`) {
				order = append(order, name)
			}
		}
		mu.Unlock()
		flushed(w, head)
		<-release
		flushed(w, tail)
	})
	l := live(t, nil, yaml+"overload: {requests: 1, least: 1, queue: 3, wait: 30s}\n")
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
	var all sync.WaitGroup
	send := func(token, model, says string) {
		req, err := http.NewRequest("POST", l.base+"/v1/chat/completions", strings.NewReader(strings.Replace(tongues[0].body, "MODEL", "p-openai/"+model, 1)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("X-Headrace-Priority", says)
		all.Go(func() {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Errorf("%s: %v", model, err)
				return
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: %d %v %s", model, resp.StatusCode, err, b)
			}
		})
	}
	waiting := func(n string) {
		t.Helper()
		waitFor(t, func() bool { return strings.Contains(l.call("GET", "/metrics", "").body, n+"\n") }, n)
	}
	send(key, "first", "")
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(order) == 1 }, "the first request")
	send(slow, "slow", "interactive")
	waiting(`headrace_admission_waiting{priority="batch"} 1`)
	send(quick, "quick", "interactive")
	waiting(`headrace_admission_waiting{priority="interactive"} 1`)
	close(release)
	all.Wait()
	if got := strings.Join(order, " "); got != "first quick slow" {
		t.Errorf("the order is %s", got)
	}
}
