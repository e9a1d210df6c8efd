package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headrace/bench/proc"
)

// settle is how long is waited after the last answer before CPU time is read:
// work that is put off (ledger rows, collections) belongs to the requests.
const settle = 400 * time.Millisecond

func newClient(conns int) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		MaxIdleConnsPerHost: conns, DisableCompression: true}}
}

// measure gives the CPU microseconds of p for one request of c.
func measure(ctx context.Context, client *http.Client, p *process, c aCase, o options) (float64, error) {
	if _, err := load(ctx, client, p, c, o.clients, o.warm, 0); err != nil {
		return 0, err
	}
	before, err := proc.CPU(p.pid)
	if err != nil {
		return 0, err
	}
	n, err := load(ctx, client, p, c, o.clients, o.duration, 0)
	if err != nil {
		return 0, err
	}
	time.Sleep(settle)
	after, err := proc.CPU(p.pid)
	if err != nil {
		return 0, err
	}
	return float64((after - before).Microseconds()) / float64(n), nil
}

// load sends c to p from as many clients at once, for d or, when limit is set,
// until limit requests are answered. Every answer is checked; the first that
// is wrong ends it. Only the floor may break streams: ReverseProxy does so with
// about 2 % of POSTs that are answered before it has seen the end of the body
// (golang/go#40747). Those count as served, which favours the floor.
func load(ctx context.Context, client *http.Client, p *process, c aCase, clients int, d time.Duration, limit int64) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sent, done atomic.Int64
	var wg sync.WaitGroup
	until := time.Now().Add(d)
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				if limit > 0 && sent.Add(1) > limit || limit == 0 && time.Now().After(until) {
					return
				}
				err := one(ctx, client, p, c)
				if err != nil && p.name == "floor" && c.stream && errors.Is(err, io.ErrUnexpectedEOF) {
					p.broken.Add(1)
					err = nil
				}
				if err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if done.Load() == 0 {
		return 0, errNothing
	}
	return done.Load(), nil
}

func request(ctx context.Context, p *process, path string, payload []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+path, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if strings.HasSuffix(path, "/messages") {
		req.Header.Set("X-Api-Key", key)
		req.Header.Set("Anthropic-Version", "2023-06-01")
	} else {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return req, nil
}

// ends are in the last line of a stream that is whole, one for each dialect.
var ends = [][]byte{[]byte("data: [DONE]"), []byte(`"message_stop"`), []byte(`"response.completed"`), []byte(`"finishReason":"STOP"`), []byte(`"done":true`)}

// one sends c once and reads the answer to its end.
func one(ctx context.Context, client *http.Client, p *process, c aCase) error {
	req, err := request(ctx, p, c.path, c.body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	if !c.stream {
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if !bytes.Contains(b, []byte("the wheel turns")) {
			return fmt.Errorf("not the canned answer: %.200s", b)
		}
		return nil
	}
	pieces, end := 0, false
	lines := bufio.NewReaderSize(resp.Body, 16<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if bytes.Contains(line, []byte(`"water "`)) {
			pieces++
		}
		for _, last := range ends {
			end = end || bytes.Contains(line, last)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if pieces != 64 || !end {
		return fmt.Errorf("stream with %d pieces of 64, end seen: %t", pieces, end)
	}
	return nil
}

// idleStreams gives the bytes of memory that p takes for each of n streams
// which have begun and say nothing more.
func idleStreams(ctx context.Context, p *process, n int) (float64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := newClient(n)
	// A few requests first, so that what is built once is not counted.
	small := cases()[3]
	if _, err := load(ctx, client, p, small, 4, 0, 50); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	before, err := proc.RSS(p.pid)
	if err != nil {
		return 0, err
	}
	payload := []byte(`{"model":"openai/idle","messages":[{"role":"user","content":"wait"}],"stream":true}`)
	if p.name == "floor" {
		payload = bytes.Replace(payload, []byte("openai/idle"), []byte("idle"), 1)
	}
	gate := make(chan struct{}, 32)
	errs := make(chan error, n)
	for range n {
		go func() {
			gate <- struct{}{}
			errs <- func() error {
				defer func() { <-gate }()
				req, err := request(ctx, p, "/v1/chat/completions", payload)
				if err != nil {
					return err
				}
				resp, err := client.Do(req)
				if err != nil {
					return err
				}
				// The body stays open until the context ends.
				context.AfterFunc(ctx, func() { resp.Body.Close() })
				lines := bufio.NewReaderSize(resp.Body, 1<<10)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return fmt.Errorf("an idle stream ended: %s %s%w", resp.Status, line, err)
					}
					if strings.Contains(line, `"water "`) {
						return nil
					}
				}
			}()
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	time.Sleep(2 * time.Second)
	after, err := proc.RSS(p.pid)
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(n), nil
}

// rssAfter gives the resident memory of a fresh gateway, sampled ten times
// along the way to o.requests, the last one at the end.
func rssAfter(ctx context.Context, dir string, o options, upstream string) ([]int64, error) {
	p, err := startGateway(ctx, dir, "gateway-rss", o.bin, upstream)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	if err := p.ready(ctx, "/api/hello"); err != nil {
		return nil, err
	}
	client := newClient(o.clients)
	mixed := []aCase{cases()[0], cases()[1], cases()[3], cases()[5], cases()[6]}
	var samples []int64
	for range 10 {
		for i, c := range mixed {
			n := int64(o.requests) / 10 / int64(len(mixed))
			if i == 0 {
				n += int64(o.requests) / 10 % int64(len(mixed))
			}
			if _, err := load(ctx, client, p, c, o.clients, 0, n); err != nil {
				return nil, fmt.Errorf("memory after many requests, %s: %w%s", c.name, err, p.tail())
			}
		}
		time.Sleep(settle)
		rss, err := proc.RSS(p.pid)
		if err != nil {
			return nil, err
		}
		samples = append(samples, rss)
	}
	return samples, nil
}

// startup gives the median time from the start of the process to its first
// answer, with a new data folder each time or with one that has served.
func startup(ctx context.Context, dir string, o options, upstream string, again bool) (time.Duration, error) {
	var took []time.Duration
	for i := range o.starts {
		name := fmt.Sprintf("gateway-start-%d", i)
		if again {
			name = "gateway-start-0"
		}
		begin := time.Now()
		p, err := startGateway(ctx, dir, name, o.bin, upstream)
		if err != nil {
			return 0, err
		}
		err = p.ready(ctx, "/api/hello")
		took = append(took, time.Since(begin))
		p.stop()
		if err != nil {
			return 0, err
		}
	}
	return median(took), nil
}

// machine says where and when the figures come from.
func machine(ctx context.Context, o options) string {
	cpu := "unknown CPU"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	kernel := "unknown kernel"
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = "Linux " + strings.TrimSpace(string(b))
	}
	version := "headrace of unknown version"
	if out, err := exec.CommandContext(ctx, filepath.Join(o.bin, "headrace"), "version").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("Measured %s on %s, %d cores, %s, %s; %s; %d clients at once, %s a side and round; keys, limits, routes and ledger on.",
		time.Now().UTC().Format("2006-01-02"), cpu, runtime.NumCPU(), kernel, runtime.Version(), version, o.clients, o.duration)
}
