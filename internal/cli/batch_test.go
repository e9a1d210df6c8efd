package cli

import (
	"bytes"
	"context"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"headrace/internal/app"
	"headrace/internal/config"
)

// TestBatch: the commands against a gateway that works: lines go to a model
// with a batch API, one of them is wrong, and all is seen, repeated and ended.
func TestBatch(t *testing.T) {
	t.Parallel()
	const key = "hr-test-key-that-is-long-enough-00"
	dir := t.TempDir()
	env := map[string]string{"HEADRACE_KEY": key, "OLLAMA_HOST": "127.0.0.1:1"}
	getenv := func(name string) string { return env[name] }
	cfg, err := config.Parse("test.yaml", []byte("listen: 127.0.0.1:0\ndata: "+dir+"/data\nbatch: {window: 10ms}\n"+
		"models: {rehearsal/quick: {price: {input: 1000, output: 1000}}}\n"), getenv)
	if err != nil {
		t.Fatal(err)
	}
	of := maps.Clone(env) // the server goes on reading its own
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan app.Info, 1), make(chan error, 1)
	go func() {
		done <- app.Program{}.Serve(ctx, app.Options{Config: cfg, Env: config.FromEnv(func(name string) string { return of[name] }), Version: "test",
			Ready: func(i app.Info) error { ready <- i; return nil }})
	}()
	select {
	case i := <-ready:
		env["HEADRACE_URL"] = "http://" + i.Address
	case err := <-done:
		t.Fatal(err)
	}
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(dir, "items.jsonl")
	lines := `{"custom_id":"a","messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}
{"custom_id":"b","params":{"max_tokens":20,"messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}}
{"custom_id":"c"
`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	headrace := func(in string, args ...string) (code int, out, told string) {
		var o, e bytes.Buffer
		code = run(t.Context(), args, app.Program{}, strings.NewReader(in), &o, &e, getenv)
		return code, o.String(), e.String()
	}
	answers := filepath.Join(dir, "out.jsonl")
	code, out, told := headrace("", "batch", "submit", file, "--model", "rehearsal/quick", "--deadline", "4h", "--watch", "--out", answers)
	if code != ExitFailed || !strings.Contains(told, "1 of 3 requests have no answer") || !regexp.MustCompile(`\[#{24}\] 2/3 done, 1 failed, 0 in provider batch, .*saved \$0\.0*[1-9].*ended\n`).MatchString(told) {
		t.Errorf("submit: %d %s\n%s", code, out, told)
	}
	saved, err := os.ReadFile(answers)
	if err != nil || strings.Count(string(saved), "\n") != 3 || strings.Count(string(saved), "pong") != 2 || !strings.Contains(string(saved), "line 3: ") {
		t.Errorf("answers: %s, %v", saved, err)
	}
	id := regexp.MustCompile(`job_\w+`).FindString(out)
	for _, c := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"batch", "list"}, ExitOK, []string{id, "lines", "ended"}},
		{[]string{"batch", "status", id}, ExitOK, []string{"succeeded", "failed", "saved"}},
		{[]string{"batch", "status", id, "--json"}, ExitOK, []string{`"saved_nanodollars"`}},
		{[]string{"batch", "results", id}, ExitOK, []string{string(saved)}},
		{[]string{"batch", "retry", id, "--deadline", "2h", "--watch"}, ExitOK, []string{"failed", "ended"}},
		{[]string{"batch", "cancel", id}, ExitOK, []string{id}},
		{[]string{"batch", "status", "job_none"}, ExitFailed, []string{"there is no job"}},
		{[]string{"batch", "submit", file, "--model", "nobody/nothing"}, ExitFailed, []string{"line 1"}},
		{[]string{"batch", "submit", file, "--deadline", "soon"}, ExitFailed, []string{"deadline"}},
		{[]string{"batch", "submit", file, "--out", "x"}, ExitUsage, []string{"--watch"}},
		{[]string{"batch", "submit", file + "no"}, ExitFailed, []string{"no such file"}},
	} {
		code, out, told := headrace("", c.args...)
		for _, w := range c.says {
			if code != c.code || !strings.Contains(out+told, w) {
				t.Errorf("%v: %d, no %q in %s%s", c.args, code, w, out, told)
			}
		}
	}
	one, _, _ := strings.Cut(lines, "\n")
	code, first, told := headrace(one, "batch", "submit", "-", "-m", "rehearsal/quick", "--idempotency-key", "k")
	code2, second, _ := headrace(one, "batch", "submit", "-", "-m", "rehearsal/quick", "--idempotency-key", "k")
	is := regexp.MustCompile(`job_\w+`)
	if code != ExitOK || code2 != ExitOK || is.FindString(first) == "" || is.FindString(first) != is.FindString(second) {
		t.Errorf("twice under a key: %d %s %s, %d %s", code, first, told, code2, second)
	}
	delete(env, "HEADRACE_KEY")
	if code, _, told := headrace("", "batch", "list"); code != ExitUsage || !strings.Contains(told, "HEADRACE_KEY") {
		t.Errorf("without a key: %d %s", code, told)
	}
	env["HEADRACE_KEY"], env["HEADRACE_URL"] = key, "http://127.0.0.1:1"
	if code, _, told := headrace("", "batch", "list"); code != ExitUnreached {
		t.Errorf("nobody there: %d %s", code, told)
	}
}

// TestProgressLine: what is done, where the rest is, and when it should end.
func TestProgressLine(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	j := jobSeen{Total: 1000, Deadline: now.Add(3*time.Hour + 12*time.Minute), Spent: 120_000_000, Saved: 110_000_000,
		Counts: map[string]int64{"succeeded": 450, "failed": 30, "expired": 20, "submitted": 10, "running": 390, "realtime": 60, "queued": 40}}
	want := "[############............] 450/1,000 done, 50 failed, 400 in provider batch, 60 in real time, 40 waiting, spent $0.1200, saved $0.1100, within 3h12m"
	if got := progressLine(&j, 0, now); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b := progress{out: io.Discard}
	j.Counts = map[string]int64{"succeeded": 450, "realtime": 550}
	b.show(&j, now)
	j.Counts = map[string]int64{"succeeded": 500, "realtime": 500}
	b.show(&j, now.Add(time.Minute))
	if !strings.HasSuffix(b.last, "ETA 10m0s") {
		t.Errorf("50 in a minute and 500 left: %s", b.last)
	}
}
