package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/app"
)

// TestWhatIfCommands: experiments, replay and compare over a data directory that
// nobody serves, by the real program.
func TestWhatIfCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	lab := write("lab.yaml", `routes: {support: [rehearsal/quick]}
experiments:
  x:
    on: support
    arms: [{name: now}, {name: new, model: rehearsal/steady, set: {top_p: 0.5}}]
    guardrails: {cost: 0.5}
    shadow: {share: 0.5, budget: 1.50}
`)
	wrong := write("wrong.yaml", "routes: {support: [rehearsal/quick]}\nexperiments: {x: {on: support, arms: [{name: a}]}}\n")
	work := write("work.jsonl", `{"model":"x","messages":[{"role":"user","content":"What is the weather like today, and what will it be tomorrow?"}],"max_tokens":100}`+"\n")
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"experiments", ExitOK, []string{"x", "support", "session", "waiting", "It has not begun."}},
		{"experiments list x", ExitOK, []string{"as planned", "rehearsal/steady, top_p 0.5", "50.0 %", "cost unsure", "0 so far, $0.0000 of $1.5000"}},
		{"experiments list y", ExitFailed, []string{`no experiment "y"`}},
		{"experiments start x", ExitOK, []string{"start is carried out"}},
		{"experiments stop x", ExitOK, []string{"stop is carried out"}},
		{"experiments decide x", ExitFailed, []string{"no winner yet"}},
		{"experiments decide x none", ExitFailed, []string{`no arm "none"`}},
		{"experiments decide x new", ExitOK, []string{"decide is carried out"}},
		{"--json experiments", ExitOK, []string{`"sample_ratio"`}},
		{"replay --since 7d --with " + lab, ExitOK, []string{"0 requests", "by what the new targets did for others"}},
		{"replay --with " + wrong, ExitFailed, []string{"wrong.yaml:2:", "2 to 8 arms"}},
		{"replay --with " + lab + " --since soon", ExitFailed, []string{"since is a time"}},
		{"compare --workload " + work + " --all --list 3", ExitOK, []string{"1 requests", "100 output tokens", "TOKENIZER", "and ", "how well a model answers"}},
		{"compare --workload nobody", ExitOK, []string{"0 requests"}},
		{"compare --workload " + lab, ExitFailed, []string{"line 1: it is no JSON object"}},
	} {
		var out, errOut bytes.Buffer
		args := append([]string{"--config", lab, "--data", filepath.Join(dir, "data")}, strings.Fields(c.args)...)
		code := run(t.Context(), args, app.Program{}, strings.NewReader(""), &out, &errOut, func(name string) string {
			return map[string]string{"HOME": dir, "OLLAMA_HOST": "127.0.0.1:1"}[name]
		})
		all := out.String() + errOut.String()
		if code != c.code {
			t.Errorf("%s: code %d, want %d: %s", c.args, code, c.code, all)
		}
		for _, want := range c.says {
			if !strings.Contains(all, want) {
				t.Errorf("%s does not say %q:\n%s", c.args, want, all)
			}
		}
	}
}
