package reliability_test

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/llm"
)

// rss is the resident memory of the gateway as it is, garbage included.
func (p *program) rss() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	f := strings.Fields(string(b))
	pages, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestAbortedStreams: streams that their clients leave, in every pair of
// dialects, leave nothing behind.
func TestAbortedStreams(t *testing.T) {
	needsProc(t)
	_, yaml := source(t, func(a *asked) {
		a.begin()
		<-a.r.Context().Done()
	})
	p := launch(t, yaml)
	round := func(n int) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		var all sync.WaitGroup
		for c := range 20 {
			all.Go(func() {
				for k := range n / 20 {
					v := voices[(c+k)%len(voices)]
					ctx, leave := context.WithCancel(t.Context())
					resp, err := p.request(ctx, client, v, "p-"+string(voices[(c+k/len(voices))%len(voices)].dialect)+"/m", true)
					if err != nil {
						t.Error(err)
						leave()
						return
					}
					if err := heard(bufio.NewReader(resp.Body), "a.0"); err != nil {
						t.Error(err)
					}
					leave()
					resp.Body.Close()
				}
			})
		}
		all.Wait()
	}
	round(100)
	before := p.settled()
	many := pick(200, 1000)
	round(many)
	var after usage
	within(t, 15*time.Second, "what the streams held to be let go", func() bool {
		after = p.settled()
		return after.Goroutines <= before.Goroutines+5 && after.Files <= before.Files+2
	})
	within(t, 10*time.Second, "no request to be running", func() bool { return p.gauge("headrace_requests_running") == 0 })
	record(t, "Aborted streams", "1,000 streams: goroutines within 5, open files within 2, gauges 0",
		after.Goroutines <= before.Goroutines+5 && after.Files <= before.Files+2 && !t.Failed(),
		"%d streams: goroutines %d, then %d; open files %d, then %d", many, before.Goroutines, after.Goroutines, before.Files, after.Files)
}

// TestStreams: many streams at once, each with its events in order, and what
// one holds in memory.
func TestStreams(t *testing.T) {
	needsProc(t)
	for _, c := range []struct {
		what    string
		in, out bool // HTTP/2
		most    int64
	}{
		{"HTTP/1.1 on both sides", false, false, 64 << 10},
		{"HTTP/2 to the provider", false, true, 45 << 10},
		{"HTTP/2 on both sides", true, true, 45 << 10},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "-"), func(t *testing.T) {
			var open atomic.Int64
			stop := make(chan struct{})
			u := httptest.NewUnstartedServer(answers(t, func(a *asked) {
				if c.out != (a.r.ProtoMajor == 2) {
					t.Errorf("the provider is asked over %s", a.r.Proto)
				}
				a.begin()
				open.Add(1)
				defer open.Add(-1)
				// As a model writes: an event now and then, here each second.
				wait := time.Duration(rand.Int64N(int64(time.Second)))
				for n := 1; ; n++ {
					select {
					case <-time.After(wait):
						a.more(a.v.word(fmt.Sprintf("<%d %s>", n, strings.Repeat("x", 100))))
						wait = time.Second
					case <-stop:
						a.more(a.v.word("<end>") + a.v.ending("a.0 "))
						return
					case <-a.r.Context().Done():
						return
					}
				}
			}))
			var env []string
			if c.out {
				u.EnableHTTP2 = true
				u.StartTLS()
				file := filepath.Join(t.TempDir(), "provider.pem")
				if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.Certificate().Raw}), 0o600); err != nil {
					t.Fatal(err)
				}
				env = append(env, "SSL_CERT_FILE="+file, "SSL_CERT_DIR=/nonexistent")
			} else {
				u.Start()
			}
			t.Cleanup(u.Close)
			p := launch(t, configured(u.URL), env...)
			var protocols http.Protocols
			protocols.SetHTTP1(!c.in)
			protocols.SetUnencryptedHTTP2(c.in)
			client := &http.Client{Transport: &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: 10}}
			defer client.CloseIdleConnections()
			var events, wrong atomic.Int64
			var all sync.WaitGroup
			begin := func(n int) {
				turn := make(chan struct{}, 50)
				for range n {
					turn <- struct{}{}
					all.Go(func() {
						resp, err := p.request(t.Context(), client, voices[0], "p-openai/m", true)
						if err != nil {
							t.Error(err)
							<-turn
							return
						}
						defer resp.Body.Close()
						b := bufio.NewReaderSize(resp.Body, 1024)
						err = heard(b, "a.0")
						if <-turn; err != nil {
							t.Error(err)
							return
						}
						for next := 1; ; {
							l, err := b.ReadString('\n')
							if err != nil {
								wrong.Add(1)
								t.Errorf("after event %d: %v", next, err)
								return
							}
							_, text, ok := strings.Cut(l, `"content":"\u003c`)
							if !ok {
								_, text, ok = strings.Cut(l, `"content":"<`)
							}
							switch {
							case !ok:
							case strings.HasPrefix(text, "end"):
								if rest, err := io.ReadAll(b); err != nil || !strings.Contains(string(rest), "[DONE]") {
									wrong.Add(1)
									t.Errorf("the end: %v %q", err, rest)
								}
								return
							default:
								number, _, _ := strings.Cut(text, " ")
								if number != strconv.Itoa(next) {
									wrong.Add(1)
									t.Errorf("event %s in place of %d", number, next)
								}
								next++
								events.Add(1)
							}
						}
					})
				}
				for range cap(turn) {
					turn <- struct{}{}
				}
			}
			begin(50) // what the first ones cost is the program's, not theirs
			time.Sleep(time.Second)
			before := p.rss()
			many := pick(250, 2000)
			begin(many)
			within(t, 60*time.Second, "all streams", func() bool { return open.Load() >= int64(many+50) || t.Failed() })
			time.Sleep(pick(2*time.Second, 8*time.Second))
			each := (p.rss() - before) / int64(many)
			u2 := p.usage()
			close(stop)
			all.Wait()
			if events.Load() == 0 {
				t.Error("no event came")
			}
			// A slice is too few streams to tell their memory from that of the program.
			record(t, "Streams, "+c.what, fmt.Sprintf("2,000 streams: at most %d KB each, 0 events lost or out of order", c.most>>10), (each <= c.most || !full()) && wrong.Load() == 0 && !t.Failed(),
				"%d streams: %.1f KB each, %d events, %d lost or out of order (%d goroutines, %d open files)", many, float64(each)/1024, events.Load(), wrong.Load(), u2.Goroutines, u2.Files)
		})
	}
}

// TestSoak: a mixture of requests for minutes: memory stays as it is.
func TestSoak(t *testing.T) {
	needsProc(t)
	_, yaml := source(t, func(a *asked) {
		switch rand.IntN(20) {
		case 0:
			a.refuse(llm.ServerError)
		case 1:
			a.begin()
			<-a.r.Context().Done()
		default:
			a.good()
		}
	})
	// What is meant to grow up to a bound has a small one, and is full before it is
	// measured: the ledger, and the responses that are kept in memory.
	p := launch(t, yaml+"retries: {failures: 0}\nretention: {rows: 5000}\nrecall: {responses_memory: 1MB}\ntimeouts: {first_byte: 2s, idle: 2s}\n")
	p.budget(1e6)
	client := clients(t)
	warm, long := pick(3*time.Second, time.Minute), pick(6*time.Second, 5*time.Minute)
	ctx, stop := context.WithTimeout(t.Context(), warm+long)
	defer stop()
	var answered, failed, left atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for n := range pick(6, 12) {
		all.Go(func() {
			for i := n; ctx.Err() == nil; i++ {
				if time.Since(began) > warm {
					time.Sleep(20 * time.Millisecond)
				}
				v, model := voices[i%len(voices)], "p-"+string(voices[i/5%len(voices)].dialect)+"/m"
				each, leave := context.WithCancel(t.Context())
				if i%10 == 0 { // every tenth leaves
					left.Add(1)
					time.AfterFunc(5*time.Millisecond, leave)
				}
				if err := p.finished(each, client, v, model, i%5 < 3); err != nil {
					failed.Add(1)
				}
				leave()
				if time.Since(began) > warm {
					answered.Add(1)
				}
			}
		})
	}
	time.Sleep(warm)
	var at, size []float64
	for began := time.Now(); ctx.Err() == nil; time.Sleep(pick(200*time.Millisecond, time.Second)) {
		at, size = append(at, time.Since(began).Hours()), append(size, float64(p.rss())/(1<<20))
	}
	all.Wait()
	slope, err := line(at, size)
	// Flat: what growth there may be is less than the error of measuring it, or
	// less than 1 MB an hour.
	flat := slope-err <= 1 || !full()
	u := p.settled()
	within(t, 10*time.Second, "no request to be running", func() bool { return p.gauge("headrace_requests_running") == 0 })
	if lost := p.gauge("headrace_ledger_rows_lost_total"); lost != 0 {
		t.Errorf("%v rows are lost", lost)
	}
	record(t, "Soak", "slope of memory at most 1 MB an hour, within the error", flat && !t.Failed(),
		"%v after %v: %.0f requests a second, 1 of 10 left, 1 of 10 failed; %.1f MB, slope %+.1f ± %.1f MB an hour (95 %%); %d goroutines, %d open files", long, warm, float64(answered.Load())/long.Seconds(), size[len(size)-1], slope, err, u.Goroutines, u.Files)
}

// line fits a line by least squares: its slope, and what may be wrong with it.
// Samples one after another are much alike, so they count as if there were a
// tenth as many.
func line(x, y []float64) (slope, err float64) {
	n := float64(len(x))
	var mx, my float64
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	var sxx, sxy float64
	for i := range x {
		sxx += (x[i] - mx) * (x[i] - mx)
		sxy += (x[i] - mx) * (y[i] - my)
	}
	slope = sxy / sxx
	var rest float64
	for i := range x {
		d := y[i] - my - slope*(x[i]-mx)
		rest += d * d
	}
	return slope, 1.96 * math.Sqrt(rest/math.Max(n-2, 1)/sxx*10)
}
