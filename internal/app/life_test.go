package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// life is a gateway whose end a test decides.
type life struct {
	*house
	data, file string
	reload     chan struct{}
	force      chan struct{}
	end        context.CancelCauseFunc
	done       chan error
}

// live starts a gateway that reads its configuration from a file.
func live(t *testing.T, env map[string]string, yaml string) *life {
	t.Helper()
	if env == nil {
		env = map[string]string{}
	}
	env["HEADRACE_KEY"], env["HEADRACE_ADMIN_TOKEN"], env["OLLAMA_HOST"] = key, adminToken, "127.0.0.1:1"
	getenv := func(name string) string { return env[name] }
	l := &life{house: &house{t: t, log: &buffer{}}, data: t.TempDir(), reload: make(chan struct{}, 1), force: make(chan struct{}), done: make(chan error, 1)}
	l.file = filepath.Join(t.TempDir(), "headrace.yaml")
	l.write(yaml)
	load := func() (*config.Config, error) {
		c, err := config.Load(l.file, getenv)
		if err != nil {
			return nil, err
		}
		return c, app.Program{}.Check(c, config.FromEnv(getenv))
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(context.Background())
	l.end = end
	ready := make(chan app.Info, 1)
	go func() {
		l.done <- app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(getenv), Version: "test", Log: l.log, Load: load, Reload: l.reload, Force: l.force,
			Ready: func(i app.Info) error { ready <- i; return nil }})
		close(l.done)
	}()
	select {
	case i := <-ready:
		l.base = "http://" + i.Address
	case err := <-l.done:
		t.Fatalf("serve: %v", err)
	}
	t.Cleanup(func() {
		end(nil)
		if err := <-l.done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	return l
}

// write replaces the configuration's file.
func (l *life) write(yaml string) {
	l.t.Helper()
	text := "listen: 127.0.0.1:0\ndata: " + l.data + "\n" + yaml
	if err := os.WriteFile(l.file+".new", []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(l.file+".new", l.file); err != nil {
		l.t.Fatal(err)
	}
}

// ended waits for the end of Serve, which must be clean.
func (l *life) ended(within time.Duration) {
	l.t.Helper()
	select {
	case err := <-l.done:
		if err != nil {
			l.t.Errorf("serve ended with %v", err)
		}
	case <-time.After(within):
		l.t.Fatalf("serve has not ended after %v; the log:\n%s", within, l.log)
	}
}

// tongues are the five dialects as a client asks in them, and as a provider
// streams in them: a first part that holds content, and the rest.
var tongues = []struct {
	dialect               llm.Dialect
	path, body            string
	kind, head, tail      string
	ping, broken, refused string // what a keep-alive, an error in a stream and one before it look like
}{
	{llm.OpenAI, "/v1/chat/completions", `{"model":"MODEL","stream":true,"messages":[{"role":"user","content":"Hi"}]}`, "text/event-stream",
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}` + "\n\n",
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}` + "\n\n" +
			`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}` + "\n\ndata: [DONE]\n\n",
		": keep-alive", `"error":{`, `"error":{`},
	{llm.Responses, "/v1/responses", `{"model":"MODEL","stream":true,"input":"Hi"}`, "text/event-stream",
		respEvent("response.created", `"response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}`) +
			respEvent("response.output_item.added", `"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}`) +
			respEvent("response.content_part.added", `"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}`) +
			respEvent("response.output_text.delta", `"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hel"`),
		respEvent("response.output_text.delta", `"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lo"`) +
			respEvent("response.output_text.done", `"item_id":"msg_1","output_index":0,"content_index":0,"text":"Hello"`) +
			respEvent("response.content_part.done", `"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello","annotations":[]}`) +
			respEvent("response.output_item.done", `"output_index":0,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}`) +
			respEvent("response.completed", `"response":{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"m","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}`),
		": keep-alive", `response.failed`, `"error":{`},
	{llm.Anthropic, "/v1/messages", `{"model":"MODEL","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`, "text/event-stream",
		claudeStream[:strings.Index(claudeStream, "event: content_block_stop")], claudeStream[strings.Index(claudeStream, "event: content_block_stop"):],
		"event: ping", "event: error", `"type":"error"`},
	{llm.Gemini, "/v1beta/models/MODEL:streamGenerateContent?alt=sse", gemBody, "text/event-stream",
		"data: " + gemFirst + "\r\n\r\n", "data: " + gemLast + "\r\n\r\n", "", `"error":{`, `"error":{`},
	{llm.Ollama, "/api/chat", `{"model":"MODEL","messages":[{"role":"user","content":"Hi"}]}`, "application/x-ndjson",
		lamaLines[:strings.Index(lamaLines, "\n")+1], lamaLines[strings.Index(lamaLines, "\n")+1:], "", `{"error":"`, `{"error":"`},
}

func respEvent(kind, rest string) string {
	return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\",\"sequence_number\":0," + rest + "}\n\n"
}

// babel is an upstream that streams in the dialect it is asked in. what says
// how, between the head and the tail; it may take the whole answer over.
func babel(t *testing.T, what func(w http.ResponseWriter, r *http.Request, head, tail string)) (*upstream, string) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		for _, g := range tongues {
			path, _, _ := strings.Cut(g.path, "?")
			_, verb, isGemini := strings.Cut(path, "MODEL")
			if r.URL.Path == path || isGemini && strings.HasSuffix(r.URL.Path, verb) {
				w.Header().Set("Content-Type", g.kind)
				what(w, r, g.head, g.tail)
				return
			}
		}
		what(w, r, "", "")
	})
	return u, "providers:\n" +
		"  p-openai: {dialect: openai, api_key: x, base_url: " + u.URL + "/v1}\n" +
		"  p-responses: {dialect: responses, api_key: x, base_url: " + u.URL + "/v1}\n" +
		"  p-anthropic: {dialect: anthropic, auth: x-api-key, api_key: x, base_url: " + u.URL + "}\n" +
		"  p-gemini: {dialect: gemini, auth: x-goog-api-key, api_key: x, base_url: " + u.URL + "}\n" +
		"  p-ollama: {dialect: ollama, auth: none, base_url: " + u.URL + "}\n"
}

// ask begins a request of tongue i for a model.
func (h *house) ask(ctx context.Context, i int, model string, change ...string) (*http.Response, error) {
	g := tongues[i]
	rename := strings.NewReplacer(append([]string{"MODEL", model}, change...)...)
	req, err := http.NewRequestWithContext(ctx, "POST", h.base+rename.Replace(g.path), strings.NewReader(rename.Replace(g.body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	return http.DefaultClient.Do(req)
}

// hears reads a stream up to some text.
func hears(b *bufio.Reader, text string) error {
	for got := ""; !strings.Contains(got, text); {
		line, err := b.ReadString('\n')
		got += line
		if err != nil {
			return errors.New("the stream ended with " + err.Error() + " after " + got)
		}
	}
	return nil
}

func flushed(w http.ResponseWriter, s string) {
	io.WriteString(w, s)
	http.NewResponseController(w).Flush()
}

// TestDrain: SIGTERM says no at /readyz while requests are still taken, then
// closes the listener and cuts nothing that runs.
func TestDrain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		flushed(w, head)
		<-release
		flushed(w, tail)
	})
	l := live(t, nil, yaml+"shutdown: {listen: 700ms, drain: 2m}\n")
	const each = 20
	var started, ended sync.WaitGroup
	for i, g := range tongues {
		for range each {
			started.Add(1)
			ended.Go(func() {
				resp, err := l.ask(context.Background(), i, "p-"+string(tongues[(i+1)%5].dialect)+"/m")
				if err != nil {
					t.Errorf("%s: %v", g.dialect, err)
					started.Done()
					return
				}
				defer resp.Body.Close()
				b := bufio.NewReader(resp.Body)
				err = hears(b, "Hel")
				started.Done()
				if err != nil {
					t.Errorf("%s: %v", g.dialect, err)
				}
				rest, err := io.ReadAll(b)
				if err != nil || strings.Contains(string(rest), g.broken) || !strings.Contains(string(rest), "lo") && tongues[(i+1)%5].dialect != llm.Anthropic {
					t.Errorf("%s: the rest is %q, %v", g.dialect, rest, err)
				}
			})
		}
	}
	started.Wait()
	l.end(app.ErrTerminated)
	waitFor(t, func() bool { return l.call("GET", "/readyz", "").status == http.StatusServiceUnavailable }, "/readyz to say no")
	if resp, err := http.Get(l.base + "/livez"); err != nil || resp.StatusCode != 200 || !resp.Close {
		t.Errorf("while the listener is open: %+v, %v", resp, err)
	}
	waitFor(t, func() bool {
		_, err := http.Get(l.base + "/livez")
		return err != nil
	}, "the listener to close")
	close(release)
	ended.Wait()
	l.ended(10 * time.Second)
	if strings.Contains(l.log.String(), "they are cut") {
		t.Errorf("the log:\n%s", l.log)
	}
}

// TestDrainEnds: what outlasts the drain ends with an error in its client's
// dialect, and has its row.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	for _, forced := range []bool{false, true} {
		_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
			if head != "" && !strings.Contains(r.URL.Path, "waits") {
				flushed(w, head)
			}
			<-r.Context().Done()
		})
		drain := "300ms"
		if forced {
			drain = "10m"
		}
		l := live(t, nil, yaml+"shutdown: {drain: "+drain+"}\n")
		var started, ended sync.WaitGroup
		for i, g := range tongues {
			started.Add(1)
			ended.Go(func() {
				resp, err := l.ask(context.Background(), i, "p-"+string(tongues[(i+1)%5].dialect)+"/m")
				if err != nil {
					t.Errorf("%s: %v", g.dialect, err)
					started.Done()
					return
				}
				defer resp.Body.Close()
				b := bufio.NewReader(resp.Body)
				err = hears(b, "Hel")
				started.Done()
				rest, end := io.ReadAll(b)
				if err != nil || end != nil || !strings.Contains(string(rest), g.broken) || !strings.Contains(string(rest), "the gateway is stopping") {
					t.Errorf("%s: %v, the rest is %q, %v", g.dialect, err, rest, end)
				}
			})
		}
		started.Wait()
		began := time.Now()
		l.end(nil)
		if forced {
			close(l.force)
		}
		ended.Wait()
		l.ended(10 * time.Second)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		c, err := config.Load(l.file, func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		admin, stop, err := app.Program{}.Admin(t.Context(), c, config.FromEnv(func(string) string { return "" }))
		if err != nil {
			t.Fatal(err)
		}
		w := newRecorder()
		req, _ := http.NewRequest("GET", "/admin/v1/requests", nil)
		admin.ServeHTTP(w, req)
		if n := strings.Count(w.body.String(), `"class":"unavailable"`); n < len(tongues) {
			t.Errorf("forced %v: %d rows of those that were cut: %s", forced, n, w.body.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// recorder is the least of a ResponseWriter.
type recorder struct {
	header http.Header
	body   strings.Builder
}

func newRecorder() *recorder                    { return &recorder{header: http.Header{}} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// TestReload: a changed file is in force for what comes after it, also on a
// hangup; one that is wrong changes nothing, and the log says why.
func TestReload(t *testing.T) {
	t.Parallel()
	u, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) { flushed(w, head+tail) })
	l := live(t, nil, yaml+"routes: {smart: [p-ollama/one]}\n")
	model := func() string {
		resp, err := l.ask(t.Context(), 0, "smart")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.Header.Get("X-Headrace-Model")
	}
	if got := model(); got != "p-ollama/one" {
		t.Fatalf("at first %s answers", got)
	}
	l.write(yaml + "routes: {smart: [p-openai/two]}\nlimits: {answer: 1MB}\n")
	waitFor(t, func() bool { return model() == "p-openai/two" }, "the changed file")
	for _, wrong := range []string{"routes: {smart: [nobody/three]}\n", "routes: [\n", "nonsense: 1\n"} {
		before := strings.Count(l.log.String(), "is not reloaded")
		l.write(yaml + wrong)
		l.reload <- struct{}{}
		waitFor(t, func() bool { return strings.Count(l.log.String(), "is not reloaded") > before }, "the log to say why")
		if got := model(); got != "p-openai/two" {
			t.Errorf("after a wrong file %s answers", got)
		}
	}
	if log := l.log.String(); !strings.Contains(log, "nobody") || !strings.Contains(log, "nonsense") {
		t.Errorf("the log:\n%s", log)
	}
	l.write(yaml + "routes: {smart: [p-gemini/four]}\nlog: {format: json}\n")
	l.reload <- struct{}{}
	waitFor(t, func() bool { return model() == "p-gemini/four" }, "the right file again")
	waitFor(t, func() bool { return strings.Contains(l.log.String(), "log.format") }, "the word that the log's format stays")
	if len(u.posted()) == 0 {
		t.Error("the upstream was not asked")
	}
}

// TestReloadUnderLoad: reloads without a pause, some of them wrong, while
// requests run: none fails, and the provider that stays as it is keeps its
// connections.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	var opened sync.Map // by the client's address
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		opened.Store(r.RemoteAddr, true)
		flushed(w, head)
		time.Sleep(5 * time.Millisecond)
		flushed(w, tail)
	})
	l := live(t, nil, yaml+"routes: {smart: [p-ollama/one]}\n")
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var asked, failed atomic.Int64
	const parallel = 8
	for c := range parallel {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				i := (c + n) % len(tongues)
				resp, err := l.ask(context.Background(), i, "smart")
				if err != nil {
					failed.Add(1)
					t.Errorf("%s: %v", tongues[i].dialect, err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if asked.Add(1); err != nil || resp.StatusCode != 200 || strings.Contains(string(b), tongues[i].broken) {
					failed.Add(1)
					t.Errorf("%s: %d %v %s", tongues[i].dialect, resp.StatusCode, err, b)
				}
			}
		})
	}
	const reloads = 100 // 50 a second, as long as this machine can
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := range reloads {
		<-tick.C
		text := yaml + "routes: {smart: [p-ollama/one]}\nlimits: {key: {parallel: " + strconv.Itoa(1000+n) + "}}\n"
		if n%5 == 4 {
			text = yaml + "nonsense: 1\n"
		}
		l.write(text)
		l.reload <- struct{}{}
	}
	waitFor(t, func() bool { return len(l.reload) == 0 }, "the last reload")
	close(stop)
	clients.Wait()
	log := l.log.String()
	good, wrong := strings.Count(log, "the configuration is reloaded"), strings.Count(log, "is not reloaded")
	if good < reloads/2 || wrong < reloads/10 {
		t.Errorf("%d reloads, %d refused", good, wrong)
	}
	if asked.Load() < parallel || failed.Load() > 0 {
		t.Errorf("%d requests, %d failed", asked.Load(), failed.Load())
	}
	// The requests of one client may find no idle connection now and then.
	n := 0
	opened.Range(func(any, any) bool { n++; return true })
	if n > 3*parallel {
		t.Errorf("%d connections for %d clients: they are not kept", n, parallel)
	}
	t.Logf("%d requests over %d reloads and %d refusals, %d connections", asked.Load(), good, wrong, n)
}

// TestKeepAlive: a silent stream is kept alive in each client's dialect where
// that tolerates it, passed and translated, and reads the same.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		flushed(w, head)
		time.Sleep(700 * time.Millisecond)
		flushed(w, tail)
	})
	l := live(t, nil, yaml+"timeouts: {hold: 100ms}\n")
	var all sync.WaitGroup
	for i, in := range tongues {
		for _, out := range tongues {
			all.Go(func() {
				name := string(in.dialect) + " to " + string(out.dialect)
				resp, err := l.ask(t.Context(), i, "p-"+string(out.dialect)+"/m")
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				got := string(b)
				if n := strings.Count(got, in.ping); in.ping != "" && n < 2 {
					t.Errorf("%s: %d keep-alives in %s", name, n, got)
				}
				if in.ping == "" && (strings.Contains(got, "ping") || strings.Contains(got, "keep-alive") || strings.Contains(got, "\n:")) {
					t.Errorf("%s: a keep-alive that the client does not know: %s", name, got)
				}
				if !strings.Contains(got, "Hel") || strings.Contains(got, in.broken) {
					t.Errorf("%s: %s", name, got)
				}
			})
		}
	}
	all.Wait()
}

// TestTimeouts: the timeouts of one provider send a request on to the next
// target, and leave the other provider alone.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/chat/completions"): // says nothing
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/messages"): // begins, and no word comes
			flushed(w, head[:strings.Index(head, "event: content_block_start")])
			<-r.Context().Done()
		default:
			time.Sleep(400 * time.Millisecond)
			flushed(w, head+tail)
		}
	})
	yaml = strings.Replace(yaml, "p-openai: {", "p-openai: {timeouts: {first_byte: 150ms}, ", 1)
	yaml = strings.Replace(yaml, "p-anthropic: {", "p-anthropic: {timeouts: {first_content: 150ms}, ", 1)
	l := live(t, nil, yaml+"routes: {smart: [p-openai/a, p-anthropic/b, p-ollama/c]}\n")
	for i, g := range tongues {
		resp, err := l.ask(t.Context(), i, "smart")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.Header.Get("X-Headrace-Model") != "p-ollama/c" || strings.Contains(string(b), g.broken) {
			t.Fatalf("%s: %v %s %s", g.dialect, err, resp.Header.Get("X-Headrace-Model"), b)
		}
		row := l.row(answer{header: resp.Header})
		attempts := row["attempts"].([]any)
		for n, want := range []any{"slow_start", "slow_start", nil} {
			if got := attempts[n].(map[string]any)["class"]; got != want && !(want == nil && got == "") {
				t.Errorf("%s: attempt %d is of class %v, want %v", g.dialect, n+1, got, want)
			}
		}
	}
}

// whole turns the request of a tongue into one for an answer that is not
// streamed.
func whole(i int) []string {
	if tongues[i].dialect == llm.Ollama {
		return []string{`{"model"`, `{"stream":false,"model"`}
	}
	return []string{`"stream":true`, `"stream":false`, ":streamGenerateContent?alt=sse", ":generateContent"}
}

// rowOf waits for the row of an answer.
func (h *house) rowOf(id string) map[string]any {
	h.t.Helper()
	var row map[string]any
	waitFor(h.t, func() bool {
		a := h.call("GET", "/v1/requests/"+id, "")
		return a.status == 200 && json.Unmarshal([]byte(a.body), &row) == nil
	}, "the row of "+id)
	return row
}

// TestClientLeavesEverywhere: whatever both sides speak and whenever the client
// leaves, the upstream is closed within 100 ms and the row says client_gone.
func TestClientLeavesEverywhere(t *testing.T) {
	t.Parallel()
	came, gone := make(chan struct{}, 1), make(chan time.Time, 1)
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		all, _ := io.ReadAll(r.Body)
		switch text := r.URL.Path + string(all); {
		case strings.Contains(text, "streamed"):
			flushed(w, head)
		case strings.Contains(text, "unary"):
			w.Header().Set("Content-Type", "application/json")
			flushed(w, "{")
		}
		came <- struct{}{}
		<-r.Context().Done()
		gone <- time.Now()
	})
	l := live(t, nil, yaml)
	var took []time.Duration
	for i, in := range tongues {
		for _, out := range tongues {
			for _, state := range []string{"waiting", "streamed", "unary"} {
				name := string(in.dialect) + " to " + string(out.dialect) + ", " + state
				ctx, leave := context.WithCancel(t.Context())
				var change []string
				if state == "unary" {
					change = whole(i)
				}
				asked := make(chan error, 1)
				var left time.Time
				go func() {
					resp, err := l.ask(ctx, i, "p-"+string(out.dialect)+"/"+state, change...)
					if err == nil {
						err = hears(bufio.NewReader(resp.Body), "Hel")
						defer resp.Body.Close()
					}
					asked <- err
					<-ctx.Done()
				}()
				<-came
				if state == "streamed" {
					if err := <-asked; err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				left = time.Now()
				leave()
				select {
				case at := <-gone:
					took = append(took, at.Sub(left))
				case <-time.After(10 * time.Second):
					t.Fatalf("%s: the upstream is not closed", name)
				}
			}
		}
	}
	slices.Sort(took)
	t.Logf("%d requests: the upstream is closed after %v (median), %v (p99), %v (most)", len(took), took[len(took)/2], took[len(took)*99/100-1], took[len(took)-1])
	if p99 := took[len(took)*99/100-1]; p99 > 100*time.Millisecond {
		t.Errorf("the upstream saw it after %v", p99)
	}
	var got string
	defer func() {
		if t.Failed() {
			t.Logf("the rows: %.3000s", got)
		}
	}()
	waitFor(t, func() bool {
		a := l.call("GET", "/admin/v1/requests?limit=200", "", "Authorization: Bearer "+adminToken)
		got = a.body
		return strings.Count(a.body, `"class":"client_gone"`) == len(took)
	}, "a row of class client_gone for each")
}

// TestDrainedAnswers: where a provider bills an answer whole anyway it is read
// to its end for nobody, a few at once, and its usage is marked.
func TestDrainedAnswers(t *testing.T) {
	t.Parallel()
	var cut atomic.Int64
	came := make(chan struct{}, 8)
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		all, _ := io.ReadAll(r.Body)
		body := string(all)
		if !strings.Contains(body, "unary") {
			flushed(w, head)
		}
		came <- struct{}{}
		wait := 400 * time.Millisecond
		if strings.Contains(body, "endless") {
			wait = time.Hour
		}
		select {
		case <-r.Context().Done():
			cut.Add(1)
		case <-time.After(wait):
			if strings.Contains(body, "unary") {
				write(w, "application/json", chatAnswer)
			} else {
				flushed(w, tail)
			}
		}
	})
	yaml = strings.Replace(yaml, "p-openai: {", "p-openai: {drain: 2, ", 1)
	l := live(t, nil, yaml)
	// begin leaves a stream after its first word and gives the request's id.
	begin := func(i int, model string) string {
		ctx, leave := context.WithCancel(t.Context())
		resp, err := l.ask(ctx, i, model)
		if err != nil {
			t.Fatal(err)
		}
		if err := hears(bufio.NewReader(resp.Body), "Hel"); err != nil {
			t.Error(err)
		}
		<-came
		leave()
		return resp.Header.Get("X-Headrace-Request-Id")
	}
	source := func(id string) any {
		row := l.rowOf(id)
		if row["class"] != "client_gone" {
			t.Errorf("a row of class %v", row["class"])
		}
		use := row["usage"].(map[string]any)
		if use["source"] == "drained" && (use["input"] != 5.0 || use["output"] != 2.0) {
			t.Errorf("usage %v", use)
		}
		return use["source"]
	}
	for i := range tongues {
		if got := source(begin(i, "p-openai/m")); got != "drained" {
			t.Errorf("%s: the usage is %v", tongues[i].dialect, got)
		}
	}
	if cut.Load() != 0 {
		t.Errorf("%d answers were cut", cut.Load())
	}
	// Other providers are closed at once.
	if got := source(begin(0, "p-ollama/m")); got != "estimated" || cut.Load() == 0 {
		t.Errorf("of another provider the usage is %v, %d were cut", got, cut.Load())
	}
	// A whole answer, which has no header to know its row by.
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-came
		leave()
	}()
	if _, err := l.ask(ctx, 0, "p-openai/unary", whole(0)...); err == nil {
		t.Error("a whole answer came before its client left")
	}
	waitFor(t, func() bool {
		a := l.call("GET", "/admin/v1/requests?limit=1", "", "Authorization: Bearer "+adminToken)
		return strings.Contains(a.body, `"drained"`) && strings.Contains(a.body, "p-openai/unary")
	}, "the row of the whole answer")
	// Two at once, and the end of the program ends them.
	cut.Store(0)
	ids := []string{begin(0, "p-openai/endless"), begin(1, "p-openai/endless")}
	begin(0, "p-openai/endless")
	waitFor(t, func() bool { return cut.Load() == 1 }, "the third to be cut")
	close(l.force)
	l.end(nil)
	l.ended(10 * time.Second)
	waitFor(t, func() bool { return cut.Load() == 3 }, "the others to be cut")
	c, err := config.Load(l.file, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	admin, stop, err := app.Program{}.Admin(t.Context(), c, config.FromEnv(func(string) string { return "" }))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, id := range ids {
		w := newRecorder()
		req, _ := http.NewRequest("GET", "/admin/v1/requests/"+id, nil)
		admin.ServeHTTP(w, req)
		if !strings.Contains(w.body.String(), `"client_gone"`) {
			t.Errorf("the row of %s: %s", id, w.body.String())
		}
	}
}
