// Command bench measures what Headrace costs against Go's bare reverse proxy:
// CPU per request from the operating system, both sides in turn within one
// run, and the median of the per-round ratios; then memory and start-up time.
// It prints a markdown report. run.sh builds all that it needs.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"headrace/bench/body"
)

// options say how long to measure, and with which programs.
type options struct {
	bin      string
	rounds   int
	duration time.Duration
	warm     time.Duration
	clients  int
	streams  int
	requests int
	starts   int
	only     string
	skipRest bool
	lenient  float64
	few      bool
}

// aCase is one line of the report: what is sent where, and what it may cost
// in multiples of the floor.
type aCase struct {
	name   string
	path   string
	body   []byte
	stream bool
	// target is the aim (the project's design, section 6). A translated
	// stream is held against the proxy passing the stream that the client
	// sees: same path, same body.
	target float64
	// rare cases are left out of a quick run.
	rare bool
}

// Routes of the configuration below: every request goes through the router.
const (
	chatRoute    = "bench-chat"
	messageRoute = "bench-messages"
	plainRoute   = "bench-plain"
	geminiRoute  = "bench-gemini"
	ollamaRoute  = "bench-ollama"
)

func cases() []aCase {
	const chat, messages, responses, ollama = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"
	whole := func(route string) string { return "/v1beta/models/" + route + ":generateContent" }
	stream := func(route string) string { return "/v1beta/models/" + route + ":streamGenerateContent?alt=sse" }
	return []aCase{
		{"small", chat, body.OpenAI(body.Small, chatRoute, false), false, 1.2, false},
		{"agent", chat, body.OpenAI(body.Agent, chatRoute, false), false, 1.2, false},
		{"long", chat, body.OpenAI(body.Long, chatRoute, false), false, 2.0, false},
		{"stream64", chat, body.OpenAI(body.Small, chatRoute, true), true, 1.25, false},
		{"agent, Messages", messages, body.Anthropic(body.Agent, messageRoute, false), false, 1.2, false},
		{"stream64, Messages", messages, body.Anthropic(body.Small, messageRoute, true), true, 1.25, false},
		{"translate: Chat in, Anthropic out, stream64", chat, body.OpenAI(body.Small, messageRoute, true), true, 2.7, false},
		{"translate: Messages in, OpenAI out, stream64", messages, body.Anthropic(body.Small, chatRoute, true), true, 2.7, false},
		{"small, Responses", responses, body.Responses(body.Small, chatRoute, false), false, 1.2, true},
		{"stream64, Responses", responses, body.Responses(body.Small, chatRoute, true), true, 1.25, false},
		{"small, Gemini", whole(geminiRoute), body.Gemini(body.Small), false, 1.2, true},
		{"stream64, Gemini", stream(geminiRoute), body.Gemini(body.Small), true, 1.25, true},
		{"small, Ollama", ollama, body.Ollama(body.Small, ollamaRoute, false), false, 1.2, true},
		{"stream64, Ollama", ollama, body.Ollama(body.Small, ollamaRoute, true), true, 1.25, true},
		{"translate: Responses in, Anthropic out, stream64", responses, body.Responses(body.Small, messageRoute, true), true, 2.7, false},
		{"translate: Responses in, OpenAI out, stream64", responses, body.Responses(body.Small, plainRoute, true), true, 2.7, true},
		{"translate: Gemini in, Anthropic out, stream64", stream(messageRoute), body.Gemini(body.Small), true, 2.7, true},
		{"translate: Gemini in, OpenAI out, stream64", stream(chatRoute), body.Gemini(body.Small), true, 2.7, true},
		{"translate: Ollama in, Anthropic out, stream64", ollama, body.Ollama(body.Small, messageRoute, true), true, 2.7, true},
		{"translate: Ollama in, OpenAI out, stream64", ollama, body.Ollama(body.Small, chatRoute, true), true, 2.7, true},
	}
}

const (
	targetIdle  = 64 << 10
	targetRSS   = 60 << 20
	targetStart = 300 * time.Millisecond
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	var o options
	flag.StringVar(&o.bin, "bin", "", "folder with headrace, floor and upstream")
	flag.IntVar(&o.rounds, "rounds", 9, "rounds for each case; at least 7 for figures that are quoted")
	flag.DurationVar(&o.duration, "d", 2*time.Second, "length of one side of one round")
	flag.DurationVar(&o.warm, "warm", 500*time.Millisecond, "before each of them, not counted")
	flag.IntVar(&o.clients, "clients", 16, "requests at once")
	flag.IntVar(&o.streams, "streams", 1000, "idle streams to hold open")
	flag.IntVar(&o.requests, "requests", 100_000, "requests after which memory is read")
	flag.IntVar(&o.starts, "starts", 7, "starts to time")
	flag.StringVar(&o.only, "only", "", "only cases whose name begins so")
	flag.BoolVar(&o.few, "few", false, "leave out the cases that stand for others")
	flag.BoolVar(&o.skipRest, "cpu-only", false, "no memory, no start-up")
	flag.Float64Var(&o.lenient, "fail-over", 1.5, "exit 1 when a figure is more than this many times its aim")
	flag.Parse()
	if o.bin == "" {
		log.Fatal("-bin is needed; run.sh gives it")
	}
	bad, err := run(context.Background(), os.Stdout, o)
	if err != nil {
		log.Fatal(err)
	}
	if len(bad) > 0 {
		log.Fatalf("over %g times the aim: %s", o.lenient, strings.Join(bad, ", "))
	}
}

// run prints the report and names the figures that are beyond all noise.
func run(ctx context.Context, w io.Writer, o options) (bad []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "headrace-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	judge := func(name string, figure, aim float64) string {
		if figure > aim*o.lenient {
			bad = append(bad, name)
		}
		if figure > aim {
			return "miss"
		}
		return "pass"
	}

	upstream, err := start(ctx, dir, "upstream", filepath.Join(o.bin, "upstream"), nil, "-listen", "{addr}")
	if err != nil {
		return nil, err
	}
	defer upstream.stop()
	if err := upstream.ready(ctx, "/v1/models"); err != nil {
		return nil, err
	}
	floor, err := start(ctx, dir, "floor", filepath.Join(o.bin, "floor"), nil, "{addr}", "http://"+upstream.addr)
	if err != nil {
		return nil, err
	}
	defer floor.stop()
	if err := floor.ready(ctx, "/v1/models"); err != nil {
		return nil, err
	}
	gateway, err := startGateway(ctx, dir, "gateway", o.bin, upstream.addr)
	if err != nil {
		return nil, err
	}
	defer gateway.stop()
	if err := gateway.ready(ctx, "/api/hello"); err != nil {
		return nil, err
	}

	fmt.Fprintf(w, "%s\n\n", machine(ctx, o))
	fmt.Fprintf(w, "CPU per request, in microseconds, and as a ratio to `httputil.ReverseProxy` in the same round: median of %d rounds (least to greatest ratio).\n\n", o.rounds)
	fmt.Fprintf(w, "| case | body | ReverseProxy | Headrace | ratio | aim | |\n|---|---|---|---|---|---|---|\n")
	client := newClient(o.clients)
	for _, c := range cases() {
		if !strings.HasPrefix(c.name, o.only) || o.few && c.rare {
			continue
		}
		var floors, ours, ratios []float64
		for round := range o.rounds {
			sides := []*process{floor, gateway}
			if round%2 == 1 {
				slices.Reverse(sides) // whoever goes second finds a warmer machine
			}
			costs := map[*process]float64{}
			for _, p := range sides {
				cost, err := measure(ctx, client, p, c, o)
				if err != nil {
					return nil, fmt.Errorf("%s, round %d, %s: %w%s", c.name, round+1, p.name, err, p.tail())
				}
				costs[p] = cost
			}
			floors = append(floors, costs[floor])
			ours = append(ours, costs[gateway])
			ratios = append(ratios, costs[gateway]/costs[floor])
		}
		r := median(ratios)
		fmt.Fprintf(w, "| %s | %.1f KB | %.0f | %.0f | **%.2f** (%.2f to %.2f) | %.2f | %s |\n", c.name, float64(len(c.body))/1000,
			median(floors), median(ours), r, slices.Min(ratios), slices.Max(ratios), c.target, judge(c.name, r, c.target))
	}
	if n := floor.broken.Load(); n > 0 {
		fmt.Fprintf(w, "\nReverseProxy cut %d streams off (golang/go#40747); they count as served. Headrace cut none: one would end the run.\n", n)
	}
	if o.skipRest {
		return bad, nil
	}

	fmt.Fprintf(w, "\n| memory and start | figure | aim | |\n|---|---|---|---|\n")
	for _, p := range []*process{floor, nil} {
		name, aim := "ReverseProxy, for comparison", 0.0
		if p == nil {
			// A process of its own: a heap that a load has grown has room for
			// streams, and would hide what they cost.
			if p, err = startGateway(ctx, dir, "gateway-idle", o.bin, upstream.addr); err != nil {
				return nil, err
			}
			defer p.stop()
			if err := p.ready(ctx, "/api/hello"); err != nil {
				return nil, err
			}
			name, aim = "Headrace", targetIdle
		}
		per, err := idleStreams(ctx, p, o.streams)
		if err != nil {
			return nil, fmt.Errorf("idle streams, %s: %w%s", p.name, err, p.tail())
		}
		verdict := ""
		if aim > 0 {
			verdict = judge("idle streams", per, aim)
		}
		fmt.Fprintf(w, "| memory for each of %d idle streams: %s | %.1f KB | %s | %s |\n", o.streams, name, per/1024, orNone(aim > 0, "64 KB"), verdict)
	}
	samples, err := rssAfter(ctx, dir, o, upstream.addr)
	if err != nil {
		return nil, err
	}
	last := samples[len(samples)-1]
	half := samples[len(samples)/2]
	fmt.Fprintf(w, "| RSS after %d requests | %.1f MB | 60 MB | %s |\n", o.requests, mb(last), judge("RSS", float64(last), targetRSS))
	fmt.Fprintf(w, "| growth over the second half of them (samples: %s MB) | %+.1f MB | flat: within 5 MB | %s |\n",
		joined(samples), mb(last-half), judge("RSS growth", max(0, mb(last-half)), 5))
	for _, again := range []bool{false, true} {
		took, err := startup(ctx, dir, o, upstream.addr, again)
		if err != nil {
			return nil, err
		}
		name := "first start (new database) until it answers"
		if again {
			name = "second start until it answers"
		}
		fmt.Fprintf(w, "| %s, median of %d | %d ms | 300 ms | %s |\n", name, o.starts, took.Milliseconds(), judge(name, float64(took), float64(targetStart)))
	}
	return bad, nil
}

func median[T cmp.Ordered](v []T) T {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

func joined(samples []int64) string {
	var s []string
	for _, n := range samples {
		s = append(s, fmt.Sprintf("%.0f", mb(n)))
	}
	return strings.Join(s, " ")
}

func orNone(ok bool, s string) string {
	if ok {
		return s
	}
	return "-"
}

var errNothing = errors.New("no request was answered")
