// Package demo shows the program at work without a key, a model or a network:
// providers that are rehearsed, on addresses of this machine, and callers that
// use them. What they cost, how long they take and how they fail is made up;
// everything between the two is real.
package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"headrace/internal/llm"
	"headrace/internal/provider/rehearsal"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
)

// manner is how one provider of the mesh behaves.
type manner struct {
	id      string
	dialect llm.Dialect
	models  []string
	// in and out are its prices in US dollars per million tokens.
	in, out float64
	// delay is the shortest wait before an answer, spread what comes on top.
	delay, spread time.Duration
	// drip is the pause between the pieces of a stream.
	drip time.Duration
	// faults are drawn for single requests, with their chances.
	faults []fault
	// down is how long it is out of order in each minute, from the twentieth
	// second on.
	down time.Duration
}

type fault struct {
	chance float64
	order  string // a directive of the rehearsal provider
}

// mesh are the three providers. Their names say what they are.
var mesh = []manner{
	{id: "rehearsal-swift", dialect: llm.Anthropic, models: []string{rehearsal.Quick, rehearsal.Steady}, in: 3, out: 15,
		delay: 60 * time.Millisecond, spread: 120 * time.Millisecond, drip: 5 * time.Millisecond,
		faults: []fault{{.02, "overloaded"}, {.01, "rate_limited; retry_after=1"}}},
	{id: "rehearsal-thrift", dialect: llm.OpenAI, models: []string{rehearsal.Quick, rehearsal.Steady}, in: .2, out: .8,
		delay: 250 * time.Millisecond, spread: 500 * time.Millisecond, drip: 20 * time.Millisecond,
		faults: []fault{{.04, "server_error"}, {.03, "rate_limited; retry_after=1"}, {.05, "content_refused"}, {.02, "malformed_upstream=json"}},
		down:   12 * time.Second},
	{id: "rehearsal-deep", dialect: llm.Anthropic, models: []string{rehearsal.Thinker, rehearsal.Steady}, in: 15, out: 75,
		delay: 500 * time.Millisecond, spread: 900 * time.Millisecond, drip: 15 * time.Millisecond,
		faults: []fault{{.02, "error_in_stream=overloaded"}, {.02, "content_refused"}}},
}

// outageFrom is when in each minute an outage begins.
const outageFrom = 20 * time.Second

// Mesh is the three providers, listening on loopback addresses of their own.
type Mesh struct {
	stands []*stand
	served sync.WaitGroup
}

// stand is one provider that listens.
type stand struct {
	manner
	provider *rehearsal.Provider
	server   *http.Server
	address  string
	opened   time.Time

	mu   sync.Mutex // guards draw
	draw *rand.Rand
}

// Open makes the providers listen. The caller closes the Mesh. The same seed
// draws the same faults.
func Open(seed uint64) (*Mesh, error) {
	m := &Mesh{}
	for i, how := range mesh {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for %s: %w", how.id, err), m.Close())
		}
		s := &stand{manner: how, address: l.Addr().String(), opened: time.Now(), draw: rand.New(rand.NewPCG(seed, uint64(i))),
			provider: rehearsal.New(rehearsal.Options{Pause: -1, Codecs: map[llm.Dialect]rehearsal.Codec{
				llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{},
			}})}
		s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
		m.stands = append(m.stands, s)
		m.served.Go(func() { _ = s.server.Serve(l) }) // ends with Close, which says why
	}
	return m, nil
}

// Close ends the providers and all that they answer.
func (m *Mesh) Close() error {
	var errs []error
	for _, s := range m.stands {
		errs = append(errs, s.server.Close())
	}
	m.served.Wait()
	return errors.Join(errs...)
}

// ServeHTTP answers as the rehearsal provider does, in the manner of this one.
func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/models") {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object": "list", "data": [{"id": "%s", "object": "model", "type": "model"}]}`,
			strings.Join(s.models, `", "object": "model", "type": "model"}, {"id": "`))
		return
	}
	r.Header.Set(rehearsal.Header, s.order(time.Since(s.opened)))
	s.provider.ServeHTTP(w, r)
}

// order draws what becomes of a request that comes so long after the start.
func (s *stand) order(at time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := at%time.Minute - outageFrom; since >= 0 && since < s.down {
		return "delay=20ms; server_error"
	}
	parts := []string{"delay=" + (s.delay + time.Duration(s.draw.Float64()*float64(s.spread))).Round(time.Millisecond).String()}
	drawn, fails := s.draw.Float64(), ""
	for _, f := range s.faults {
		if drawn -= f.chance; drawn < 0 {
			fails = f.order
			break
		}
	}
	if fails != "" {
		parts = append(parts, fails)
	} else {
		parts = append(parts, "drip="+s.drip.String())
	}
	return strings.Join(parts, "; ")
}

// The names of what the configuration holds for the callers.
const (
	routeSmart  = "demo-smart"
	routeCheap  = "demo-cheap"
	routeLadder = "demo-ladder"
	teamInterns = "demo-interns"
)

// Config is the configuration of a gateway over the mesh: no other provider is
// asked, whatever keys the environment holds.
func (m *Mesh) Config(listen, data string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# A demo: rehearsed providers on this machine. Nothing here is a model, and nothing costs money.
listen: %q
data: %q
discover: false
shutdown: {listen: 0, drain: 3s}
batch: {window: 1s}
providers:
`, listen, data)
	for _, s := range m.stands {
		base := "http://" + s.address
		if s.dialect == llm.OpenAI {
			base += "/v1"
		}
		fmt.Fprintf(&b, "  %s: {dialect: %s, auth: none, base_url: %q, models: [%s]}\n", s.id, s.dialect, base, strings.Join(s.models, ", "))
	}
	b.WriteString("models:\n")
	for _, s := range m.stands {
		for _, model := range s.models {
			fmt.Fprintf(&b, "  %s/%s: {window: 200000, max_output: 32000, capabilities: {tools: true, vision: true, json: true, json_schema: true, thinking: true}, price: {input: %g, output: %g, cache_read: %g, cache_write_5m: %g, cache_write_1h: %g}}\n",
				s.id, model, s.in, s.out, s.in/10, s.in*5/4, s.in*2)
		}
	}
	fmt.Fprintf(&b, `  rehearsal/quick: {price: {input: 1, output: 5, cache_read: 0.1, cache_write_5m: 1.25, cache_write_1h: 2}}
  rehearsal/embed: {price: {input: 0.02, output: 0}}
routes:
  %s: [rehearsal-swift/steady, rehearsal-deep/steady]
  %s: [rehearsal-thrift/steady, rehearsal-swift/steady]
  %s:
    ladder:
      - {model: rehearsal-thrift/quick, thinking: off}
      - {model: rehearsal-swift/steady, thinking: low}
      - {model: rehearsal-deep/thinker, thinking: high}
    success: {schema: true, tools_valid: true, not: [refusal, truncated, empty]}
experiments:
  demo-faster:
    on: %s
    least: 20
    arms:
      - {name: now}
      - {name: swift, model: rehearsal-swift/steady}
    winner: ask
budgets:
  teams:
    %s: {daily: 0.002}
    demo-shop: {monthly: 25}
    demo-research: {weekly: 10}
`, routeSmart, routeCheap, routeLadder, routeCheap, teamInterns)
	return []byte(b.String())
}

// String names the providers.
func (m *Mesh) String() string {
	var ids []string
	for _, s := range m.stands {
		ids = append(ids, s.id)
	}
	return strings.Join(ids, ", ")
}
