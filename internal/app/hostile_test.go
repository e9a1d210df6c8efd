package app_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/wiretest"
)

// vendorSays is what a good provider of a dialect answers: whole, and as a stream
// of frames.
type vendorSays struct {
	model        string
	whole        string
	frames       []string
	kind, stream string // content types
	// sick is an error as the provider says it under status 200, whole and as a
	// frame.
	sick, sickFrame string
	// strange is a good answer with a block of a kind that nobody knows, whole
	// and as the frames in place of the first with content.
	strange, strangeFrame string
	// odd is a reason to finish that nobody knows, in place of the real one.
	reason, odd string
	// wrap makes a frame of JSON.
	wrap func(data string) string
}

func event(data string) string { return "data: " + data + "\n\n" }

func namedEvent(data string) string {
	var v struct{ Type string }
	if json.Unmarshal([]byte(data), &v) != nil {
		v.Type = "message"
	}
	return "event: " + v.Type + "\ndata: " + data + "\n\n"
}

func line(data string) string { return data + "\n" }

// split splits a stream behind each frame.
func split(stream, end string) []string {
	all := strings.SplitAfter(stream, end)
	return all[:len(all)-1]
}

// providers are the upstreams by dialect.
var providers = map[llm.Dialect]vendorSays{
	llm.OpenAI: {model: "openai/gpt-4o-mini", whole: chatAnswer, frames: split(chatStream+usageChunk+doneChunk, "\n\n"), kind: "application/json", stream: "text/event-stream", wrap: event,
		sick: `{"error":{"message":"boom","type":"server_error","param":null,"code":null}}`, sickFrame: event(`{"error":{"message":"boom","type":"server_error","param":null,"code":null}}`),
		strange: strings.Replace(chatAnswer, `"content":"Hello"`, `"content":[{"type":"hologram","x":1},{"type":"text","text":"Hello"}]`, 1), strangeFrame: event(`{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"hologram":{"x":1}},"finish_reason":null}]}`),
		reason: `"finish_reason":"stop"`, odd: `"finish_reason":"bored"`},
	llm.Anthropic: {model: "anthropic/claude-haiku-4-5", whole: msgAnswer, frames: split(claudeStream, "\n\n"), kind: "application/json", stream: "text/event-stream", wrap: namedEvent,
		sick: `{"type":"error","error":{"type":"api_error","message":"boom"}}`, sickFrame: namedEvent(`{"type":"error","error":{"type":"api_error","message":"boom"}}`),
		strange: strings.Replace(msgAnswer, `[{"type":"text"`, `[{"type":"hologram","x":1},{"type":"text"`, 1), strangeFrame: namedEvent(`{"type":"hologram_event","x":1}`),
		reason: `"stop_reason":"end_turn"`, odd: `"stop_reason":"bored"`},
	llm.Responses: {model: "resp/g", whole: gptAnswer, frames: split(gptStream(), "\n\n"), kind: "application/json", stream: "text/event-stream", wrap: namedEvent,
		sick: `{"error":{"message":"boom","type":"server_error","param":null,"code":"server_error"}}`, sickFrame: namedEvent(`{"type":"error","sequence_number":9,"code":"server_error","message":"boom","param":null}`),
		strange: strings.Replace(gptAnswer, `"output":[`, `"output":[{"id":"h1","type":"hologram","x":1},`, 1), strangeFrame: namedEvent(`{"type":"response.hologram.delta","sequence_number":2,"x":1}`),
		reason: `"status":"completed","error"`, odd: `"status":"bored","error"`},
	llm.Gemini: {model: "gem/g", whole: gemAnswer, frames: []string{event(gemFirst), event(gemLast)}, kind: "application/json", stream: "text/event-stream", wrap: event,
		sick: `{"error":{"code":500,"message":"boom","status":"INTERNAL"}}`, sickFrame: event(`{"error":{"code":500,"message":"boom","status":"INTERNAL"}}`),
		strange: strings.Replace(gemAnswer, `"parts":[`, `"parts":[{"hologram":{"x":1}},`, 1), strangeFrame: event(`{"candidates":[{"content":{"role":"model","parts":[{"hologram":{"x":1}}]},"index":0}],"modelVersion":"g"}`),
		reason: `"finishReason":"STOP"`, odd: `"finishReason":"BORED"`},
	llm.Ollama: {model: "lama/q", whole: lamaAnswer, frames: split(lamaLines, "\n"), kind: "application/json", stream: "application/x-ndjson", wrap: line,
		sick: `{"error":"boom"}`, sickFrame: line(`{"error":"boom"}`),
		strange: strings.Replace(lamaAnswer, `"content":"Hello"`, `"hologram":{"x":1},"content":"Hello"`, 1), strangeFrame: line(`{"model":"q","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","hologram":{"x":1}},"done":false}`),
		reason: `"done_reason":"stop"`, odd: `"done_reason":"bored"`},
}

// dialectAt says which dialect a provider is asked in.
func dialectAt(path string) llm.Dialect {
	for end, d := range map[string]llm.Dialect{"/v1/chat/completions": llm.OpenAI, "/v1/messages": llm.Anthropic, "/v1/responses": llm.Responses, "/api/chat": llm.Ollama} {
		if path == end {
			return d
		}
	}
	return llm.Gemini
}

var numbers = regexp.MustCompile(`"(prompt_tokens|completion_tokens|total_tokens|input_tokens|output_tokens|cached_tokens|promptTokenCount|candidatesTokenCount|totalTokenCount|prompt_eval_count|eval_count)":\d+`)

// counting gives an answer other counts of tokens.
func counting(value string) func(s string) string {
	return func(s string) string { return numbers.ReplaceAllString(s, `"$1":`+value) }
}

// played is what a hostile provider has to act with.
type played struct {
	w      http.ResponseWriter
	p      vendorSays
	stream bool
}

// good answers well, but for what change does to the text and header to the
// headers.
func (p *played) good(change func(string) string, header ...string) {
	body, kind := p.p.whole, p.p.kind
	if p.stream {
		body, kind = strings.Join(p.p.frames, ""), p.p.stream
	}
	if change != nil {
		body = change(body)
	}
	p.w.Header().Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		p.w.Header().Set(header[i], header[i+1])
	}
	io.WriteString(p.w, body)
}

// flood writes one text and then another until nobody listens or far more has
// come than any limit allows.
func (p *played) flood(first, again string) {
	p.good(func(string) string { return first })
	chunk := bytes.Repeat([]byte(again), 1+(64<<10)/len(again))
	for range 256 { // 16 MB against limits of 256 KB
		if _, err := p.w.Write(chunk); err != nil {
			return
		}
	}
}

// insert puts a frame, or a whole answer, in place of the nth.
func (p *played) insert(n int, frame, whole string) {
	p.good(func(string) string {
		if !p.stream {
			return whole
		}
		n := min(n, len(p.p.frames)-1)
		return strings.Join(p.p.frames[:n], "") + frame + strings.Join(p.p.frames[n:], "")
	})
}

// reset breaks the connection in the middle of the answer.
func (p *played) reset() {
	body := p.p.whole
	if p.stream {
		body = strings.Join(p.p.frames, "")
	}
	c, b, err := http.NewResponseController(p.w).Hijack()
	if err != nil {
		return
	}
	kind := p.p.kind
	if p.stream {
		kind = p.p.stream
	}
	fmt.Fprintf(b, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body)+100, body[:len(body)/2])
	b.Flush()
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// verdict is what must become of an answer.
type verdict int

const (
	fine   verdict = iota // an answer that holds what was said
	broken                // an error
)

// hostilities are what providers do wrong.
var hostilities = []struct {
	name string
	play func(p *played)
	want verdict
}{
	{"nothing", func(p *played) { p.good(nil) }, fine},
	{"text-plain", func(p *played) { p.good(nil, "Content-Type", "text/plain; charset=utf-8") }, fine},
	{"octet-stream", func(p *played) { p.good(nil, "Content-Type", "application/octet-stream") }, fine},
	{"text-html", func(p *played) { p.good(nil, "Content-Type", "text/html") }, fine},
	{"html-200", func(p *played) {
		p.good(func(string) string { return "<html><body>502</body></html>" }, "Content-Type", "text/html")
	}, broken},
	{"html-as-said", func(p *played) { p.good(func(string) string { return "<!DOCTYPE html>\n<html>\n\n<body>\n</html>\n" }) }, broken},
	{"html-500", func(p *played) { p.w.WriteHeader(500); io.WriteString(p.w, "<html>no</html>") }, broken},
	{"html-503", func(p *played) { p.w.WriteHeader(503); io.WriteString(p.w, "<html>busy</html>") }, broken},
	{"empty-500", func(p *played) { p.w.WriteHeader(500) }, broken},
	{"empty-200", func(p *played) { p.good(func(string) string { return "" }) }, broken},
	{"blank-200", func(p *played) { p.good(func(string) string { return " \n\n \n" }) }, broken},
	{"gzip", func(p *played) { p.good(packed, "Content-Encoding", "gzip") }, fine},
	{"gzip-500", func(p *played) {
		p.w.Header().Set("Content-Encoding", "gzip")
		p.w.WriteHeader(500)
		io.WriteString(p.w, packed(p.p.sick))
	}, broken},
	{"gzip-cut", func(p *played) {
		p.good(func(s string) string { s = packed(s); return s[:len(s)/2] }, "Content-Encoding", "gzip")
	}, broken},
	{"gzip-bomb", func(p *played) { p.good(func(string) string { return bomb() }, "Content-Encoding", "gzip") }, broken},
	{"no-gzip", func(p *played) { p.good(nil, "Content-Encoding", "gzip") }, broken},
	{"brotli", func(p *played) { p.good(nil, "Content-Encoding", "br") }, broken},
	{"endless-line", func(p *played) {
		if p.stream && p.p.wrap("") != "\n" {
			p.flood("data: {\"x\":\"", "y")
		} else {
			p.flood("{\"x\":\"", "y")
		}
	}, broken},
	{"endless-spaces", func(p *played) { p.flood("", " ") }, broken},
	{"endless-newlines", func(p *played) { p.flood("", "\n") }, broken},
	{"endless-crlf", func(p *played) { p.flood("", "\r\n") }, broken},
	{"endless-brackets", func(p *played) { p.flood("", "[") }, broken},
	{"endless-objects", func(p *played) { p.flood("", p.p.wrap("{}")) }, broken},
	{"usage-negative", func(p *played) { p.good(counting("-5")) }, fine},
	{"usage-huge", func(p *played) { p.good(counting("9223372036854775807")) }, fine},
	{"usage-beyond", func(p *played) { p.good(counting("99999999999999999999999999")) }, fine},
	{"usage-exponent", func(p *played) { p.good(counting("1e300")) }, fine},
	{"usage-fraction", func(p *played) { p.good(counting("1.5")) }, fine},
	{"usage-text", func(p *played) { p.good(counting(`"many"`)) }, fine},
	{"usage-object", func(p *played) { p.good(counting(`{"a":[1]}`)) }, fine},
	{"usage-null", func(p *played) { p.good(counting("null")) }, fine},
	{"odd-finish", func(p *played) { p.good(func(s string) string { return strings.ReplaceAll(s, p.p.reason, p.p.odd) }) }, fine},
	{"odd-block", func(p *played) { p.insert(1, p.p.strangeFrame, p.p.strange) }, fine},
	{"truncated", func(p *played) { p.good(func(s string) string { return s[:len(s)*2/3] }) }, broken},
	{"truncated-frame", func(p *played) { p.insert(1, p.p.wrap(`{"id":"x","choices":[{"del`), `{"id":"x","choices":[{"del`) }, broken},
	{"array", func(p *played) { p.insert(0, p.p.wrap(`[1,{"a":2}]`), `[1,{"a":2}]`) }, broken},
	{"number", func(p *played) { p.insert(0, p.p.wrap(`42`), `42`) }, broken},
	{"null", func(p *played) { p.insert(0, p.p.wrap(`null`), `null`) }, broken},
	{"error-first", func(p *played) { p.insert(0, p.p.sickFrame, p.p.sick) }, broken},
	{"error-second", func(p *played) { p.insert(1, p.p.sickFrame, p.p.sick) }, broken},
	{"error-third", func(p *played) { p.insert(2, p.p.sickFrame, p.p.sick) }, broken},
	{"deep", func(p *played) { deep := strings.Repeat("[", 20000); p.insert(0, p.p.wrap(deep), deep) }, broken},
	{"not-utf8", func(p *played) { p.good(func(s string) string { return strings.Replace(s, "Hel", "H\xff\xfel", 1) }) }, fine},
	{"reset", func(p *played) { p.reset() }, broken},
}

// bomb is small and unpacks to 64 times the limit of an answer.
var bomb = sync.OnceValue(func() string { return packed(strings.Repeat(" ", 16<<20)) })

func packed(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// TestHostileProviders: whatever a provider of any dialect answers, the client
// has a sane answer or an error of a class, soon, and the ledger has one row.
func TestHostileProviders(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, nil)
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Method == http.MethodGet || err != nil {
			http.NotFound(w, r)
			return
		}
		p := &played{w: w, p: providers[dialectAt(r.URL.Path)], stream: strings.Contains(string(body), `"stream":true`) || strings.Contains(r.URL.Path, ":stream")}
		for _, h := range hostilities {
			if strings.Contains(string(body), "play "+h.name+" now") {
				h.play(p)
				return
			}
		}
		t.Errorf("nothing to play in %s", body)
	}
	h := open(t, u, "limits: {event: 256KB, answer: 256KB}\nretries: {failures: 0}\ntimeouts: {idle: 5s}\nproviders:\n"+
		"  gem: {dialect: gemini, auth: x-goog-api-key, base_url: "+u.URL+", api_key: "+gemKey+"}\n"+
		"  lama: {dialect: ollama, auth: none, base_url: "+u.URL+"}\n"+
		"  resp: {dialect: responses, auth: bearer, api_key: resp-canary-key, base_url: "+u.URL+"/v1}\n")
	// Failures are tried once more after a pause, so that many wait at once.
	var wait sync.WaitGroup
	turn := make(chan struct{}, 24)
	calls := 0
	for out, p := range providers {
		clients := []llm.Dialect{llm.OpenAI, llm.Anthropic}
		if out != llm.OpenAI && out != llm.Anthropic {
			clients = append(clients, out)
		} else {
			clients = append(clients, llm.Gemini)
		}
		for _, client := range clients {
			for _, stream := range []bool{false, true} {
				for i := range hostilities {
					c := &hostilities[i]
					calls++
					turn <- struct{}{}
					wait.Go(func() {
						defer func() { <-turn }()
						name := fmt.Sprintf("%s to a client of %s by a provider of %s, streamed %t", c.name, client, out, stream)
						a, err := h.try(faceOf(client), p.model, "play "+c.name+" now", stream)
						if err != nil {
							t.Errorf("%s: %v", name, err)
							return
						}
						h.judge(t, name, client, out, stream, a, c.want)
					})
				}
			}
		}
	}
	wait.Wait()
	waitFor(t, func() bool { return h.chats(t) >= calls }, "all rows are written")
	if rows := h.chats(t); rows != calls {
		t.Errorf("%d rows of %d requests", rows, calls)
	}
	if log := h.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "canary") {
		t.Errorf("the log holds a panic or a credential")
	}
}

// chats counts the ledger's rows of chats.
func (h *house) chats(t *testing.T) (n int) {
	t.Helper()
	for after := "-1"; ; {
		a := h.call("GET", "/admin/v1/requests?limit=1000&after="+after, "", "Authorization: Bearer "+adminToken)
		var page struct {
			Requests []struct {
				Seq int64
				Op  string
			}
		}
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
			t.Fatalf("the list of requests: %d %v %.300s", a.status, err, a.body)
		}
		if len(page.Requests) == 0 {
			return n
		}
		for _, r := range page.Requests {
			if r.Op == "chat" {
				n++
			}
			after = fmt.Sprint(r.Seq)
		}
	}
}

// try asks as ask of face does; a failure is returned, also that nothing came
// in time.
func (h *house) try(f *face, model, text string, stream bool) (answer, error) {
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, "POST", h.base+wiretest.Base(f.dialect)+wiretest.Path(f.dialect, f.form, model, stream), strings.NewReader(f.call(model, text, stream, "")))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

// judge checks one answer and its row.
func (h *house) judge(t *testing.T, name string, client, out llm.Dialect, stream bool, a answer, want verdict) {
	row, err := h.tryRow(a)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	class := llm.Class(fmt.Sprint(row["class"]))
	short := a.body
	if len(short) > 700 {
		short = short[:700] + "..."
	}
	if class == llm.Unavailable || want == fine && class != "" || want == broken && class == "" {
		t.Errorf("%s: class %q of %d %s", name, class, a.status, short)
	}
	if class != "" && class != llm.MalformedUpstream && class != llm.ServerError && class != llm.Overloaded && class != llm.SlowStream && class != llm.ContentRefused {
		t.Errorf("%s: class %q of %d %s", name, class, a.status, short)
	}
	if a.status == 200 && client != out {
		got, err := wiretest.Read(client, stream, []byte(a.body))
		if (err == nil) != (class == "") {
			t.Errorf("%s: the row says %q, the client reads %+v, %v in %s", name, class, got, err, short)
		}
		if err == nil && got.Text != "Hello" && len(got.Calls) != 1 && !strings.Contains(name, "not-utf8") {
			t.Errorf("%s: the answer is lost: %+v in %s", name, got, short)
		}
	}
	if a.status != 200 && (class == "" || faceOf(client).word(a.body) == "no JSON") {
		t.Errorf("%s: class %q of %d %s", name, class, a.status, short)
	}
	use := row["usage"].(map[string]any)
	for _, n := range []string{"input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning"} {
		if v, _ := use[n].(float64); v < 0 || v > 1e18 {
			t.Errorf("%s: usage %v", name, use)
		}
	}
	if cost, _ := row["cost_nanodollars"].(float64); cost < 0 {
		t.Errorf("%s: cost %v of %v", name, cost, use)
	}
}

// tryRow is row for any goroutine.
func (h *house) tryRow(a answer) (row map[string]any, err error) {
	req, err := http.NewRequest("GET", h.base+"/v1/requests/"+a.header.Get("X-Headrace-Request-Id"), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("its row: %d %s", resp.StatusCode, b)
	}
	if err != nil {
		return nil, err
	}
	return row, json.Unmarshal(b, &row)
}
