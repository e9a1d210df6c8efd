package reliability_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// asked is a request as a provider sees it.
type asked struct {
	v      *voice
	w      http.ResponseWriter
	r      *http.Request
	body   string
	stream bool
}

// good answers well.
func (a *asked) good() {
	if a.stream {
		a.begin()
		a.more(a.v.ending("a.0 "))
		return
	}
	a.w.Header().Set("Content-Type", "application/json")
	io.WriteString(a.w, a.v.whole("a.0 "))
}

// begin sends a stream up to its first word.
func (a *asked) begin() {
	a.w.Header().Set("Content-Type", a.v.kind)
	a.more(a.v.opening() + a.v.word("a.0 "))
}

func (a *asked) more(s string) {
	io.WriteString(a.w, s)
	http.NewResponseController(a.w).Flush()
}

// refuse answers with an error.
func (a *asked) refuse(c llm.Class) {
	f := a.v.refusals[c]
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(f.status)
	io.WriteString(a.w, f.body)
}

// source starts a provider that speaks all dialects, each as p-DIALECT.
func source(t *testing.T, answer func(a *asked)) (u *httptest.Server, yaml string) {
	u = httptest.NewServer(answers(t, answer))
	t.Cleanup(u.Close)
	return u, configured(u.URL)
}

func answers(t *testing.T, answer func(a *asked)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		b, err := io.ReadAll(r.Body)
		v := spoken(r.URL.Path)
		if err != nil || v == nil {
			if v == nil {
				t.Errorf("the provider is asked at %s", r.URL.Path)
			}
			return
		}
		body := string(b)
		answer(&asked{v, w, r, body, strings.Contains(body, `"stream":true`) || strings.Contains(r.URL.Path, ":stream")})
	}
}

// configured are the providers behind a base URL, with a price each.
func configured(base string) string {
	yaml, models := "providers:\n", "models:\n"
	for _, v := range voices {
		at := base
		if v.dialect == llm.OpenAI || v.dialect == llm.Responses {
			at += wiretest.Base(v.dialect)
		}
		yaml += fmt.Sprintf("  p-%s: {dialect: %s, auth: bearer, api_key: %s-x, models: [m], base_url: %s}\n", v.dialect, v.dialect, canary, at)
		models += fmt.Sprintf("  p-%s/m: {price: {input: 0, output: 1000, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0}}\n", v.dialect)
	}
	return yaml + models
}

// request is one of a voice's, for its own provider.
func (h *house) request(ctx context.Context, client *http.Client, v *voice, model string, stream bool) (*http.Response, error) {
	return h.do(ctx, client, "POST", v.path(model, stream), strings.Replace(v.ask(model, stream), "NUMBER", "1", 1))
}

// finished makes a request and says whether its answer is complete.
func (h *house) finished(ctx context.Context, client *http.Client, v *voice, model string, stream bool) error {
	resp, err := h.request(ctx, client, v, model, stream)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != 200 {
		return fmt.Errorf("%d %.200s", resp.StatusCode, b)
	}
	a, err := wiretest.Read(v.dialect, stream, b)
	if err == nil && a.Text == "" {
		err = errors.New("an empty answer")
	}
	return err
}

// clients makes an HTTP client that keeps enough connections.
func clients(t *testing.T) *http.Client {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// heard reads a stream up to some text.
func heard(b *bufio.Reader, text string) error {
	for got := ""; !strings.Contains(got, text); {
		line, err := b.ReadString('\n')
		if got += line; err != nil {
			return fmt.Errorf("the stream ended with %w after %.300s", err, got)
		}
	}
	return nil
}

func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)*p/100, len(sorted)-1)].Round(100 * time.Microsecond)
}

// TestBudgetRace: many requests at once against a budget for ten of them.
func TestBudgetRace(t *testing.T) {
	var sent atomic.Int64
	_, yaml := source(t, func(a *asked) {
		sent.Add(1)
		a.w.Header().Set("Content-Type", "application/json")
		io.WriteString(a.w, strings.Replace(a.v.whole("Hello"), `"completion_tokens":2,"total_tokens":7`, `"completion_tokens":1000,"total_tokens":1005`, 1))
	})
	p := launch(t, yaml)
	id := p.budget(10)
	many := pick(200, 1000)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 200, MaxIdleConnsPerHost: 200}}
	defer client.CloseIdleConnections()
	var good, refused atomic.Int64
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			resp, err := p.do(t.Context(), client, "POST", "/v1/chat/completions", `{"model":"p-openai/m","max_tokens":1000,"messages":[{"role":"user","content":"Count 1."}]}`)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			switch resp.StatusCode {
			case 200:
				good.Add(1)
			case 429:
				refused.Add(1)
			}
		})
	}
	all.Wait()
	b := p.purse(id)
	over := max(0, b.Spent-10e9)
	record(t, "Budget race", "overspend 0", over == 0 && b.Reserved == 0 && good.Load() == 10 && sent.Load() == 10 && int(refused.Load()) == many-10,
		"%d requests at once, %d served, %d refused, overspend $%.2f", many, good.Load(), refused.Load(), float64(over)/1e9)
}

// TestClientLeaves: how long a provider's connection outlives the client.
func TestClientLeaves(t *testing.T) {
	came, gone := make(chan struct{}, 1), make(chan time.Time, 1)
	var begins atomic.Bool
	_, yaml := source(t, func(a *asked) {
		switch {
		case !begins.Load():
		case a.stream:
			a.begin()
		default:
			a.w.Header().Set("Content-Type", "application/json")
			a.more("{")
		}
		came <- struct{}{}
		<-a.r.Context().Done()
		gone <- time.Now()
	})
	p := launch(t, yaml)
	client := clients(t)
	total := 0
	for _, state := range []struct {
		what           string
		stream, begins bool
	}{{"before the first byte", true, false}, {"in a stream", true, true}, {"whole answer", false, true}} {
		begins.Store(state.begins)
		var took []time.Duration
		for n := range pick(50, 500) {
			v := voices[n%len(voices)]
			model := "p-" + string(voices[n/len(voices)%len(voices)].dialect) + "/m"
			ctx, leave := context.WithCancel(t.Context())
			var asking sync.WaitGroup
			heardIt := make(chan struct{})
			asking.Go(func() {
				resp, err := p.request(ctx, client, v, model, state.stream)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				if err := heard(bufio.NewReader(resp.Body), "a.0"); err == nil {
					close(heardIt)
				}
				<-ctx.Done()
			})
			<-came
			if state.stream && state.begins {
				<-heardIt
			}
			left := time.Now()
			leave()
			select {
			case at := <-gone:
				took = append(took, at.Sub(left))
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: the provider's connection is not closed", state.what)
			}
			asking.Wait()
		}
		total += len(took)
		slices.Sort(took)
		p99 := percentile(took, 99)
		record(t, "Client leaves, "+state.what, "provider closed within 100 ms (p99)", p99 <= 100*time.Millisecond || slice() && p99 <= time.Second,
			"%d requests in 25 pairs of dialects: p50 %v, p99 %v", len(took), percentile(took, 50), p99)
	}
	within(t, 10*time.Second, "a row of client_gone for each", func() bool {
		n := 0
		for _, r := range p.ledger() {
			if r.Class == string(llm.ClientGone) {
				n++
			}
		}
		return n == total
	})
}

// TestDrain: a SIGTERM under streams cuts none of them.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	_, yaml := source(t, func(a *asked) {
		a.begin()
		<-release
		a.more(a.v.ending("a.0 "))
	})
	p := launch(t, yaml+"shutdown: {listen: 1s, drain: 120s}\n")
	many := pick(100, 500)
	client := clients(t)
	var begun, cut atomic.Int64
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			v := voices[n%len(voices)]
			resp, err := p.request(t.Context(), client, v, "p-"+string(v.dialect)+"/m", true)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			b := bufio.NewReader(resp.Body)
			err = heard(b, "a.0")
			begun.Add(1)
			rest, err2 := io.ReadAll(b)
			good, bad := v.ends(string(rest))
			if err != nil || err2 != nil || bad != 0 || good != 1 {
				cut.Add(1)
				t.Errorf("%s: %v %v %.200s", v.dialect, err, err2, rest)
			}
		})
	}
	within(t, 30*time.Second, "all streams", func() bool { return begun.Load() == int64(many) })
	began := time.Now()
	p.signal(syscall.SIGTERM)
	refused := false
	within(t, 10*time.Second, "/readyz to say no", func() bool {
		resp, err := http.Get(p.base + "/readyz")
		if err != nil {
			return true
		}
		resp.Body.Close()
		refused = refused || resp.StatusCode == http.StatusServiceUnavailable
		return refused
	})
	within(t, 10*time.Second, "the listener to be closed", func() bool {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(p.base + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err != nil
	})
	time.Sleep(pick(time.Second, 10*time.Second)) // the streams go on meanwhile
	close(release)
	all.Wait()
	ended := time.Now()
	var err error
	select {
	case err = <-p.exited:
	case <-time.After(20 * time.Second):
		err = errors.New("it has not ended")
	}
	record(t, "Drain", "0 of 500 streams cut, /readyz says no, exit 0", cut.Load() == 0 && err == nil && refused,
		"%d streams, %d cut, the listener open for 1 s more, exit %d %v after the last stream (%v after SIGTERM)", many, cut.Load(), p.cmd.ProcessState.ExitCode(), time.Since(ended).Round(time.Millisecond), time.Since(began).Round(time.Second))
}

// TestReload: the configuration is read anew as fast as it goes, valid and not,
// while requests run.
func TestReload(t *testing.T) {
	_, yaml := source(t, func(a *asked) { a.good() })
	p := launch(t, yaml+"log: {level: info}\n")
	client := clients(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var answered, failed atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				time.Sleep(10 * time.Millisecond)
				v := voices[i%len(voices)]
				err := p.finished(context.WithoutCancel(ctx), client, v, "p-"+string(voices[i/5%len(voices)].dialect)+"/m", i%2 == 0)
				if answered.Add(1); err != nil {
					failed.Add(1)
					t.Error(err)
				}
			}
		})
	}
	for tick, n, last := time.NewTicker(16*time.Millisecond), 0, time.Now().Add(pick(2*time.Second, 10*time.Second)); time.Now().Before(last); n++ {
		<-tick.C
		text := yaml + "log: {level: info}\nlimits: {key: {parallel: " + strconv.Itoa(1000+n) + "}}\n"
		if n%5 == 4 {
			text += "nonsense: 1\n"
		}
		p.configure(text)
		p.signal(syscall.SIGHUP)
	}
	stop()
	all.Wait()
	took := pick(2.0, 10.0)
	good, wrong := strings.Count(p.log.String(), "the configuration is reloaded"), strings.Count(p.log.String(), "is not reloaded")
	record(t, "Reload under load", "50 a second, 0 failures", failed.Load() == 0 && (float64(good+wrong) >= 50*took || slice() && good > 0 && wrong > 0),
		"%.0f a second for %.0f s, %d of them with an invalid file: %d requests, %d failures", float64(good+wrong)/took, took, wrong, answered.Load(), failed.Load())
}

// TestBrownOut: a provider that can do so much and refuses the rest is offered
// more. What it can do is still done.
func TestBrownOut(t *testing.T) {
	const (
		slots   = 10
		service = 100 * time.Millisecond
		per     = slots * int(time.Second/service) // requests a second
	)
	for _, times := range []int{2, 5} {
		t.Run(strconv.Itoa(times), func(t *testing.T) {
			room := make(chan struct{}, slots)
			var sent atomic.Int64
			_, yaml := source(t, func(a *asked) {
				sent.Add(1)
				select {
				case room <- struct{}{}:
					defer func() { <-room }()
					time.Sleep(service)
					a.good()
				default:
					a.refuse(llm.Overloaded)
				}
			})
			p := launch(t, yaml)
			client := clients(t)
			var good, offered atomic.Int64
			var all sync.WaitGroup
			warm, long := time.Second, pick(2*time.Second, 20*time.Second)
			var mu sync.Mutex // guards why
			why := map[string]int{}
			began := time.Now()
			for next := began; next.Sub(began) < warm+long; {
				counts := next.Sub(began) >= warm
				all.Go(func() {
					if counts {
						offered.Add(1)
					}
					err := p.finished(t.Context(), client, voices[0], "p-openai/m", false)
					switch {
					case err != nil:
						mu.Lock()
						why[err.Error()]++
						mu.Unlock()
					case counts:
						good.Add(1)
					}
				})
				// Arrivals of their own accord, as of many clients.
				next = next.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / float64(per*times)))
				time.Sleep(time.Until(next))
			}
			all.Wait()
			target := map[int]int{2: 90, 5: 80}[times]
			share := 100 * float64(good.Load()) / (float64(per) * long.Seconds())
			all2 := int64(len(p.ledger()))
			t.Logf("what failed: %v", why)
			record(t, fmt.Sprintf("Brown-out, %d x capacity", times), fmt.Sprintf("goodput >= %d %% of capacity", target), share >= float64(target) || slice() && share >= float64(target)/3,
				"%.0f %% of %d requests a second, offered %.0f a second; %.2f attempts a request", share, per, float64(offered.Load())/long.Seconds(), float64(sent.Load())/float64(all2))
		})
	}
}

// TestProviderOutage: a provider is dead for a while, and another one answers.
func TestProviderOutage(t *testing.T) {
	var dead atomic.Bool
	var tried atomic.Int64
	_, yaml := source(t, func(a *asked) {
		if a.v.dialect == llm.OpenAI && dead.Load() {
			tried.Add(1)
			a.refuse(llm.ServerError)
			return
		}
		a.good()
	})
	p := launch(t, yaml+"routes: {smart: [p-openai/m, p-anthropic/m]}\n")
	client := clients(t)
	long := pick(6*time.Second, 60*time.Second)
	var answered, failed atomic.Int64
	drive := func(d time.Duration) (took []time.Duration) {
		var mu sync.Mutex // guards took
		var all sync.WaitGroup
		for n := range 4 {
			all.Go(func() {
				for last := time.Now().Add(d); time.Now().Before(last); time.Sleep(20 * time.Millisecond) {
					began := time.Now()
					err := p.finished(t.Context(), client, voices[n], "smart", n%2 == 0)
					if answered.Add(1); err != nil {
						failed.Add(1)
						t.Error(err)
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		slices.Sort(took)
		return took
	}
	before := drive(2 * time.Second)
	dead.Store(true)
	drive(time.Second)
	during := drive(long - time.Second)
	most := 5 + int64(long/(5*time.Second))
	record(t, "Provider outage", "at most 5 attempts at the dead one and 1 probe in 5 s, 0 failures", failed.Load() == 0 && (tried.Load() <= most || slice() && tried.Load() <= most+3),
		"%v: %d attempts of at most %d, %d requests, %d failures; p99 %v before, %v after the first second", long, tried.Load(), most, answered.Load(), failed.Load(), percentile(before, 99), percentile(during, 99))
}
