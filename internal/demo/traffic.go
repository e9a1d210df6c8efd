package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Caller is one of those who use the gateway in a demo.
type Caller struct {
	Name, Team string
	// Priority is its key's; empty is its team's.
	Priority string
	// PerMinute bounds its requests; 0 does not.
	PerMinute int64
}

// Callers are all of them: the key of each is for the command to make. The
// interns' team has a budget that is soon used up, and the robot a limit that
// it runs into.
func Callers() []Caller {
	return []Caller{
		{Name: "demo-webshop", Team: "demo-shop", Priority: "interactive"},
		{Name: "demo-helpdesk", Team: "demo-support"},
		{Name: "demo-reports", Team: "demo-research", Priority: "batch"},
		{Name: "demo-intern", Team: teamInterns},
		{Name: "demo-robot", Team: "demo-platform", PerMinute: 6},
	}
}

// MostRunning is how many calls of a demo run at once.
const MostRunning = 16

// Options say what the callers do. All are required but Calls and Seed.
type Options struct {
	// Base is the gateway, without a slash at the end.
	Base string
	// Keys are the callers' tokens by their names.
	Keys map[string]string
	// Rate is how many calls are begun in a second.
	Rate float64
	// Calls ends it after so many; 0 is no bound.
	Calls int
	// Seed is what is drawn from: the same seed makes the same calls.
	Seed uint64
	// Client makes the calls.
	Client *http.Client
}

// Report is what became of the calls.
type Report struct {
	Calls int
	// Status counts the answers by their status; 0 stands for those that the
	// caller did not wait for.
	Status map[int]int
	// Skipped counts the calls that were not begun because too many ran.
	Skipped int
	// Broken are calls that failed otherwise: the gateway did not answer at all,
	// or a stream broke off. The first of them is kept.
	Broken int
	First  error
}

// String says it in a line.
func (r *Report) String() string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Status)) {
		word := strconv.Itoa(status)
		if status == 0 {
			word = "left by the caller"
		}
		parts = append(parts, fmt.Sprintf("%d x %s", r.Status[status], word))
	}
	s := fmt.Sprintf("%d calls: %s", r.Calls, strings.Join(parts, ", "))
	if r.Skipped > 0 {
		s += fmt.Sprintf("; %d were not begun because %d ran already", r.Skipped, MostRunning)
	}
	if r.Broken > 0 {
		s += fmt.Sprintf("; %d broke off, the first of them: %v", r.Broken, r.First)
	}
	return s
}

// Run makes calls until ctx ends or there were enough, and waits for those that
// run. Each kind of call comes once before any comes again by chance, so that
// there is something of everything within a few seconds.
func Run(ctx context.Context, o Options) *Report {
	t := &traffic{o: o, report: Report{Status: map[int]int{}}}
	draw := rand.New(rand.NewPCG(o.Seed, 1))
	tick := time.NewTicker(time.Duration(float64(time.Second) / o.Rate))
	defer tick.Stop()
	places := make(chan struct{}, MostRunning)
	var running sync.WaitGroup
	defer running.Wait()
	for n := 0; o.Calls == 0 || n < o.Calls; n++ {
		k := kinds[n%len(kinds)]
		if n >= len(kinds) {
			k = pick(draw)
		}
		c := call{traffic: t, n: n, draw: draw.Uint64(), key: o.Keys[k.caller]}
		select {
		case places <- struct{}{}:
			running.Go(func() {
				defer func() { <-places }()
				k.make(ctx, &c)
			})
		default:
			t.count(func(r *Report) { r.Skipped++ })
		}
		select {
		case <-ctx.Done():
			running.Wait()
			return &t.report
		case <-tick.C:
		}
	}
	running.Wait()
	return &t.report
}

type traffic struct {
	o      Options
	mu     sync.Mutex // guards report
	report Report
}

func (t *traffic) count(note func(*Report)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	note(&t.report)
}

// kind is one sort of call, made by one caller, with its share of the traffic.
type kind struct {
	name   string
	share  int
	caller string
	make   func(ctx context.Context, c *call)
}

// kinds are what the callers do.
var kinds = []kind{
	{"shop assistant, streamed", 20, "demo-webshop", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1/chat/completions", tags("shop,assistant", "shop-"+c.some(4)), chat(routeSmart, c.line(), true))
	}},
	{"a batch of ten", 2, "demo-reports", func(ctx context.Context, c *call) { c.batch(ctx) }},
	{"helpdesk with a tool", 12, "demo-helpdesk", func(ctx context.Context, c *call) { c.toolLoop(ctx) }},
	{"ladder with a schema", 14, "demo-helpdesk", func(ctx context.Context, c *call) {
		if c.post(ctx, "/v1/chat/completions", tags("triage", ""), triage(c.line())) != nil {
			c.verdict(ctx)
		}
	}},
	{"product search", 8, "demo-webshop", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1/embeddings", tags("search", ""), object{"model": "rehearsal/embed", "input": c.line()})
	}},
	{"report, Responses", 8, "demo-reports", func(ctx context.Context, c *call) {
		if c.post(ctx, "/v1/responses", tags("reports", "report-"+strconv.Itoa(c.n)), object{"model": routeCheap, "input": c.line(), "store": false}) != nil {
			c.verdict(ctx)
		}
	}},
	{"report, Gemini", 6, "demo-reports", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1beta/models/"+routeCheap+":generateContent", tags("reports", ""),
			object{"contents": []object{{"role": "user", "parts": []object{{"text": c.line()}}}}})
	}},
	{"notebook, Ollama", 6, "demo-intern", func(ctx context.Context, c *call) {
		c.post(ctx, "/api/chat", tags("notebook", ""), object{"model": routeSmart, "messages": []object{{"role": "user", "content": c.line()}}})
	}},
	{"deep thought, streamed", 6, "demo-reports", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1/messages", tags("analysis", ""), messages("rehearsal-deep/thinker", c.line(), true))
	}},
	{"long prompt with a cache mark", 5, "demo-helpdesk", func(ctx context.Context, c *call) {
		body := messages(routeSmart, c.line(), false)
		body["system"] = []object{{"type": "text", "text": strings.Repeat("The handbook says what to do. ", 400), "cache_control": object{"type": "ephemeral"}}}
		c.post(ctx, "/v1/messages", tags("handbook", "handbook-1"), body)
	}},
	{"robot over its limit", 10, "demo-robot", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1/chat/completions", tags("robot", ""), chat("rehearsal-thrift/quick", c.line(), false))
	}},
	{"a model that is not there", 2, "demo-robot", func(ctx context.Context, c *call) {
		c.post(ctx, "/v1/chat/completions", nil, chat("rehearsal/no-such-model", c.line(), false))
	}},
	{"a body that is no JSON", 1, "demo-robot", func(ctx context.Context, c *call) {
		c.send(ctx, http.MethodPost, "/v1/chat/completions", nil, []byte(`{"model": "`+routeSmart+`", "messages": [`))
	}},
	{"a caller that leaves", 4, "demo-webshop", func(ctx context.Context, c *call) {
		ctx, leave := context.WithTimeout(ctx, 400*time.Millisecond)
		defer leave()
		c.post(ctx, "/v1/chat/completions", tags("shop,assistant", ""), chat("rehearsal-deep/steady", c.line(), true))
	}},
	{"one request for later", 2, "demo-reports", func(ctx context.Context, c *call) {
		h := tags("nightly", "")
		h.Set("Prefer", "respond-async")
		h.Set("X-Headrace-Deadline", "10m")
		c.post(ctx, "/v1/messages", h, messages(routeCheap, c.line(), false))
	}},
}

func pick(draw *rand.Rand) kind {
	all := 0
	for _, k := range kinds {
		all += k.share
	}
	at := draw.IntN(all)
	for _, k := range kinds {
		if at -= k.share; at < 0 {
			return k
		}
	}
	return kinds[0] // the shares were drawn from, so this is not reached
}

type object = map[string]any

// lines are what the callers say.
var lines = []string{
	"Where is my order?", "I would like to return a pair of boots.", "Which tent stands up to a storm?",
	"Summarise what customers said about delivery this week.", "Write a friendly note to a customer whose parcel is late.",
	"Is the blue jacket waterproof?", "Compare the two stoves for a family of four.", "What does the warranty cover?",
	"Sort this message: my voucher does not work.", "Draft the weekly report on returns.",
}

func chat(model, text string, stream bool) object {
	o := object{"model": model, "max_tokens": 400, "messages": []object{{"role": "user", "content": text}}}
	if stream {
		o["stream"] = true
	}
	return o
}

func messages(model, text string, stream bool) object {
	o := chat(model, text, stream)
	o["max_tokens"] = 1200
	return o
}

func triage(text string) object {
	o := chat(routeLadder, text, false)
	o["response_format"] = object{"type": "json_schema", "json_schema": object{"name": "triage", "strict": true, "schema": object{
		"type": "object", "additionalProperties": false, "required": []string{"topic", "urgent"},
		"properties": object{"topic": object{"type": "string", "enum": []string{"delivery", "returns", "product", "other"}}, "urgent": object{"type": "boolean"}},
	}}}
	return o
}

// tags are the headers of a request; session is empty for none.
func tags(names, session string) http.Header {
	h := http.Header{"X-Headrace-Tags": {names}}
	if session != "" {
		h.Set("X-Headrace-Session", session)
	}
	return h
}

// call is one call that is made.
type call struct {
	*traffic
	n    int
	draw uint64
	key  string
	id   string // of its last request
}

func (c *call) line() string { return lines[c.draw%uint64(len(lines))] }

// some is one of so many names.
func (c *call) some(n uint64) string { return strconv.FormatUint(c.draw%n, 10) }

// post sends an object; answer is nil unless it is a 2xx.
func (c *call) post(ctx context.Context, path string, h http.Header, body object) (answer []byte) {
	text, err := json.Marshal(body, json.Deterministic(true))
	if err != nil { // of our own making
		panic(err)
	}
	return c.send(ctx, http.MethodPost, path, h, text)
}

// maxAnswer bounds what a caller reads of an answer.
const maxAnswer = 16 << 20

func (c *call) send(ctx context.Context, method, path string, h http.Header, body []byte) (answer []byte) {
	status, text, err := c.do(ctx, method, path, h, body)
	c.count(func(r *Report) {
		r.Calls++
		switch {
		case err == nil:
			r.Status[status]++
		case ctx.Err() != nil:
			r.Status[0]++
		default:
			if r.Broken++; r.First == nil {
				r.First = err
			}
		}
	})
	if err != nil || status < 200 || status > 299 {
		return nil
	}
	return text
}

func (c *call) do(ctx context.Context, method, path string, h http.Header, body []byte) (status int, text []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, method, c.o.Base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for name, v := range h {
		q.Header[name] = v
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("User-Agent", "headrace-demo")
	if strings.HasPrefix(path, "/v1/messages") {
		q.Header.Set("Anthropic-Version", "2023-06-01")
	}
	q.Header.Set("Authorization", "Bearer "+c.key)
	r, err := c.o.Client.Do(q)
	if err != nil {
		return 0, nil, err
	}
	c.id = r.Header.Get("X-Headrace-Request-Id")
	text, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return r.StatusCode, text, errors.Join(err, r.Body.Close())
}

// verdictAfter is how long a caller thinks about an answer.
const verdictAfter = 500 * time.Millisecond

// verdict says how the last answer was: eight of ten were of use.
func (c *call) verdict(ctx context.Context) {
	id := c.id
	t := time.NewTimer(verdictAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return
	}
	c.post(ctx, "/v1/feedback", nil, object{"request_id": id, "success": c.draw/16%10 < 8})
}

// toolLoop asks for a tool call, answers it and reads the end: two requests of
// one conversation.
func (c *call) toolLoop(ctx context.Context) {
	h := tags("helpdesk,tools", "ticket-"+strconv.Itoa(c.n))
	body := messages(routeSmart, "Use find_order, then: "+c.line(), false)
	body["tools"] = []object{{"name": "find_order", "description": "Finds an order.", "input_schema": object{
		"type": "object", "required": []string{"number"}, "properties": object{"number": object{"type": "string", "pattern": "^A[0-9]{6}$"}}}}}
	answer := c.post(ctx, "/v1/messages", h, body)
	if answer == nil {
		return
	}
	var said struct {
		Content jsontext.Value `json:"content"`
	}
	var blocks []struct {
		Type string `json:"type"`
		ID   string `json:"id"`
	}
	if json.Unmarshal(answer, &said) != nil || json.Unmarshal(said.Content, &blocks) != nil {
		c.count(func(r *Report) {
			if r.Broken++; r.First == nil {
				r.First = errors.New("an answer with tool calls cannot be read")
			}
		})
		return
	}
	var results []object
	for _, b := range blocks {
		if b.Type == "tool_use" {
			results = append(results, object{"type": "tool_result", "tool_use_id": b.ID, "content": "Order A123456: sent on Monday, arrives tomorrow."})
		}
	}
	if results == nil {
		return // it answered without the tool
	}
	body["messages"] = []any{body["messages"].([]object)[0], object{"role": "assistant", "content": said.Content}, object{"role": "user", "content": results}}
	c.post(ctx, "/v1/messages", h, body)
}

// batch leaves ten requests behind, one of which fails.
func (c *call) batch(ctx context.Context) {
	var items []object
	for i := range 10 {
		params := messages("rehearsal/quick", lines[i%len(lines)], false)
		if i == 9 {
			params = messages("rehearsal/quick", "[[rehearse: invalid_request]]", false)
		}
		items = append(items, object{"custom_id": fmt.Sprintf("review-%d", i), "params": params})
	}
	h := tags("nightly", "")
	h.Set("X-Headrace-Deadline", "30m")
	c.post(ctx, "/v1/messages/batches", h, object{"requests": items})
}
