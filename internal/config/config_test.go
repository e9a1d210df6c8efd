package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

var noOrigins = cmpopts.IgnoreUnexported(Config{})

func TestEmptyFileIsDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "{}\n", "~\n", "providers:\nroutes:\nlimits:\n", "\ufeff"} {
		c, err := Parse("x.yaml", []byte(text), env())
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if d := cmp.Diff(Default(), c, noOrigins, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%q:\n%s", text, d)
		}
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(Example, "${file:/run/secrets/openai}", "${OPENAI}")
	c, err := Parse("x.yaml", []byte(text), env("ANTHROPIC_API_KEY", "sk-ant-1", "OPENAI", "sk-2"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Providers["anthropic"].APIKey.Reveal(); got != "sk-ant-1" {
		t.Errorf("anthropic key %q", got)
	}
	m := c.Models["house/qwen3-coder"]
	if *m.Window != 131072 || m.Capabilities["vision"] || !m.Capabilities["tools"] || *m.Price.Input != 0 || m.Price.CacheRead != nil {
		t.Errorf("model %+v", m)
	}
	if p := c.Retries.Classes["overloaded"]; *p.Repeat != 1 || !*p.Next || p.Backoff != nil {
		t.Errorf("policy %+v", p)
	}
	if c.Timeouts.FirstByte.Std() != 2*time.Minute || c.Timeouts.Idle != Default().Timeouts.Idle {
		t.Errorf("timeouts %+v", c.Timeouts)
	}
}

// TestErrors states the exact text of what people get wrong.
func TestErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, maxSecret+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "providers:\n  openai:\n    api_kee: x\n",
			"f.yaml:3:5: providers.openai.api_kee: unknown key (did you mean \"api_key\"?)\n    3 |     api_kee: x\n      |     ^"},
		{"unknown key at the top, nothing near", "zzz: 1\n",
			"f.yaml:1:1: zzz: unknown key\n    1 | zzz: 1\n      | ^"},
		{"doubled key", "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n",
			"f.yaml:2:1: mapping key \"listen\" already defined at [1:1]\n    2 | listen: 127.0.0.1:2\n      | ^"},
		{"doubled key in braces", "log: {level: info, level: warn}\n",
			"f.yaml:1:20: mapping key \"level\" already defined at [1:7]\n    1 | log: {level: info, level: warn}\n      |                    ^"},
		{"wrong type: text for a number", "retries:\n  attempts: deep\n",
			"f.yaml:2:13: retries.attempts: want a whole number, got the text \"deep\"\n    2 |   attempts: deep\n      |             ^"},
		{"wrong type: quoted number", "retries: {attempts: \"5\"}\n",
			"f.yaml:1:21: retries.attempts: want a whole number, got the text \"5\"\n    1 | retries: {attempts: \"5\"}\n      |                     ^"},
		{"wrong type: list for keys", "limits: [1]\n",
			"f.yaml:1:9: limits: want keys with values, got a list\n    1 | limits: [1]\n      |         ^"},
		{"wrong type: keys for a list", "providers:\n  x:\n    models:\n      b: c\n",
			"f.yaml:4:7: providers.x.models: want a list, got keys with values\n    4 |       b: c\n      |       ^"},
		{"a route's unknown key", "routes:\n  a:\n    lader: []\n",
			"f.yaml:3:5: routes.a.lader: unknown key (did you mean \"ladder\"?)\n    3 |     lader: []\n      |     ^"},
		{"a route that is text", "routes:\n  a: anthropic/claude\n",
			"f.yaml:2:6: routes.a: want keys with values, got text\n    2 |   a: anthropic/claude\n      |      ^"},
		{"a ladder without rungs", "routes:\n  a: {ladder: []}\n",
			"f.yaml:2:3: routes.a: the route has no targets: write [provider/model, ...] or ladder: [{model: provider/model}, ...]\n    2 |   a: {ladder: []}\n      |   ^"},
		{"a rung's level", "routes:\n  a:\n    ladder:\n      - {model: a/b, thinking: hi}\n",
			"f.yaml:4:32: routes.a.ladder.0.thinking: want one of off, low, medium, high, max, got \"hi\"\n    4 |       - {model: a/b, thinking: hi}\n      |                                ^"},
		{"a rung's model", "routes:\n  a:\n    ladder:\n      - {model: gpt-5}\n",
			"f.yaml:4:17: routes.a.ladder.0.model: \"gpt-5\" is not provider/model\n    4 |       - {model: gpt-5}\n      |                 ^"},
		{"a rung twice", "routes:\n  a:\n    ladder:\n      - {model: a/b}\n      - {model: a/b}\n",
			"f.yaml:5:9: routes.a.ladder.1: this rung is in the ladder already\n    5 |       - {model: a/b}\n      |         ^"},
		{"an aim's key", "routes:\n  a:\n    ladder: [{model: a/b}]\n    aim:\n      qualty: 0.9\n",
			"f.yaml:5:7: routes.a.aim.qualty: unknown key (did you mean \"quality\"?)\n    5 |       qualty: 0.9\n      |       ^"},
		{"an aim that nothing can reach", "routes:\n  a:\n    ladder: [{model: a/b}]\n    aim: {quality: 1.5}\n",
			"f.yaml:4:20: routes.a.aim.quality: want at most 1\n    4 |     aim: {quality: 1.5}\n      |                    ^"},
		{"an aim that is worth less than it may cost", "routes:\n  a:\n    ladder: [{model: a/b}]\n    aim: {max_cost: $0.20, value_of_success: 0.10}\n",
			"f.yaml:4:21: routes.a.aim.max_cost: a request may cost more (0.2) than its success is worth (0.1)\n    4 |     aim: {max_cost: $0.20, value_of_success: 0.10}\n      |                     ^"},
		{"an aim without a ladder", "routes:\n  a:\n    aim: {quality: 0.9}\n",
			"f.yaml:2:3: routes.a: the route has no targets: write [provider/model, ...] or ladder: [{model: provider/model}, ...]\n    2 |   a:\n      |   ^\nf.yaml:3:10: routes.a.aim: only a ladder has it: write ladder: [{model: provider/model}, ...]\n    3 |     aim: {quality: 0.9}\n      |          ^"},
		{"a rule that says nothing", "routes:\n  a:\n    ladder: [{model: a/b}]\n    when: [{use: a/c}]\n",
			"f.yaml:4:12: routes.a.when.0: the rule says nothing that must hold: script, has or task\n    4 |     when: [{use: a/c}]\n      |            ^"},
		{"a rule's script", "routes:\n  a:\n    ladder: [{model: a/b}]\n    when: [{script: chinese, use: a/c}]\n",
			"f.yaml:4:21: routes.a.when.0.script: want one of latin, han, kana, hangul, cyrillic, arabic, devanagari, hebrew, greek, thai, got \"chinese\"\n    4 |     when: [{script: chinese, use: a/c}]\n      |                     ^"},
		{"a rule without a model", "routes:\n  a:\n    ladder: [{model: a/b}]\n    when: [{task: x}]\n",
			"f.yaml:4:12: routes.a.when.0.use: \"\" is not provider/model\n    4 |     when: [{task: x}]\n      |            ^"},
		{"wrong type: keys for text", "listen:\n  host: x\n",
			"f.yaml:2:3: listen: want text, got keys with values\n    2 |   host: x\n      |   ^"},
		{"wrong type: word for a switch", "discover: yes\n",
			"f.yaml:1:11: discover: want true or false, got the text \"yes\"\n    1 | discover: yes\n      |           ^"},
		{"root is a list", "- a\n", "f.yaml:1:1: want keys with values, got a list\n    1 | - a\n      | ^"},
		{"bad duration", "timeouts:\n  idle: 5 minutes\n",
			"f.yaml:2:9: timeouts.idle: \"5 minutes\" is not a duration such as 500ms, 10s or 1h30m\n    2 |   idle: 5 minutes\n      |         ^"},
		{"duration without unit", "timeouts: {idle: 30}\n",
			"f.yaml:1:18: timeouts.idle: the duration 30 has no unit: write 30s, 30ms or 30m\n    1 | timeouts: {idle: 30}\n      |                  ^"},
		{"negative duration", "timeouts: {idle: -3s}\n",
			"f.yaml:1:18: timeouts.idle: the duration -3s is negative\n    1 | timeouts: {idle: -3s}\n      |                  ^"},
		{"bad size", "limits: {body: 3 apples}\n",
			"f.yaml:1:16: limits.body: \"3 apples\" is not a size such as 512KB, 32MB or 1GB\n    1 | limits: {body: 3 apples}\n      |                ^"},
		{"size too small", "limits: {body: 10}\n",
			"f.yaml:1:16: limits.body: want at least 1KB\n    1 | limits: {body: 10}\n      |                ^"},
		{"enum", "log: {level: warning}\n",
			"f.yaml:1:14: log.level: want one of debug, info, warn, error, got \"warning\" (did you mean \"warn\"?)\n    1 | log: {level: warning}\n      |              ^"},
		{"over the maximum", "retries: {attempts: 101}\n",
			"f.yaml:1:21: retries.attempts: want at most 100\n    1 | retries: {attempts: 101}\n      |                     ^"},
		{"under the minimum", "retries: {attempts: -1}\n",
			"f.yaml:1:21: retries.attempts: want at least 0\n    1 | retries: {attempts: -1}\n      |                     ^"},
		{"unset variable, caret at the reference", "listen: \"127.0.0.1:${PORT}\"\n",
			"f.yaml:1:20: listen: the environment variable PORT is not set: set it, or write ${PORT:-default}\n    1 | listen: \"127.0.0.1:${PORT}\"\n      |                    ^"},
		{"file without path", "providers: {openai: {api_key: \"${file}\"}}\n",
			"f.yaml:1:32: providers.openai.api_key: ${file} names no file: write ${file:/path}\n    1 | providers: {openai: {api_key: \"${file}\"}}\n      |                                ^"},
		{"unknown kind of reference", "data: ${vault:x/y}\n",
			"f.yaml:1:7: data: unknown reference ${vault:x/y}: ${NAME}, ${NAME:-default} and ${file:/path} are known\n    1 | data: ${vault:x/y}\n      |       ^"},
		{"open reference", "data: ${HOME\n",
			"f.yaml:1:7: data: a ${ without its }: write $${ for the characters themselves\n    1 | data: ${HOME\n      |       ^"},
		{"a value from outside is not repeated", "retries: {attempts: \"${SECRET}\"}\n",
			"f.yaml:1:21: retries.attempts: want a whole number, which the expanded value is not\n    1 | retries: {attempts: \"${SECRET}\"}\n      |                     ^"},
		{"a line break from outside", "providers: {openai: {headers: {x-a: \"${BROKEN}\"}}}\n",
			"f.yaml:1:37: providers.openai.headers.x-a: the value holds a control character or a line break\n    1 | providers: {openai: {headers: {x-a: \"${BROKEN}\"}}}\n      |                                     ^"},
		{"base URL to ourselves", "providers:\n  openai:\n    base_url: http://localhost:8080/v1\n",
			"f.yaml:3:15: providers.openai.base_url: the base URL leads back to this gateway (127.0.0.1:8080)\n    3 |     base_url: http://localhost:8080/v1\n      |               ^"},
		{"base URL without scheme", "providers: {x: {base_url: example.com/v1}}\n",
			"f.yaml:1:27: providers.x.base_url: a base URL begins with http:// or https://\n    1 | providers: {x: {base_url: example.com/v1}}\n      |                           ^"},
		{"route target", "routes:\n  smart: [anthropic/claude, gpt-5]\n",
			"f.yaml:2:29: routes.smart.1: \"gpt-5\" is not provider/model\n    2 |   smart: [anthropic/claude, gpt-5]\n      |                             ^"},
		{"route target twice", "routes: {s: [a/b, a/b]}\n",
			"f.yaml:1:19: routes.s.1: a/b is in this route already\n    1 | routes: {s: [a/b, a/b]}\n      |                   ^"},
		{"empty route", "routes: {s: []}\n",
			"f.yaml:1:10: routes.s: the route has no targets: write [provider/model, ...] or ladder: [{model: provider/model}, ...]\n    1 | routes: {s: []}\n      |          ^"},
		{"empty entry", "routes:\n  s:\n    - a/b\n    -\n",
			"f.yaml:4:7: routes.s.1: the list has an empty entry\n    4 |     -\n      |      ^"},
		{"route name", "routes: {auto: [a/b]}\n",
			"f.yaml:1:10: routes.auto: the name \"auto\" is taken\n    1 | routes: {auto: [a/b]}\n      |          ^"},
		{"error class", "retries: {classes: {overload: {next: true}}}\n",
			"f.yaml:1:21: retries.classes.overload: unknown error class (did you mean \"overloaded\"?)\n    1 | retries: {classes: {overload: {next: true}}}\n      |                     ^"},
		{"capability", "models: {a/b: {capabilities: {tool: true}}}\n",
			"f.yaml:1:31: models.a/b.capabilities.tool: unknown capability (did you mean \"tools\"?)\n    1 | models: {a/b: {capabilities: {tool: true}}}\n      |                               ^"},
		{"header of the connection", "providers: {a: {headers: {Host: b}}}\n",
			"f.yaml:1:27: providers.a.headers.Host: this header is the gateway's own to set\n    1 | providers: {a: {headers: {Host: b}}}\n      |                           ^"},
		{"price", "models: {a/b: {price: {input: free}}}\n",
			"f.yaml:1:31: models.a/b.price.input: \"free\" is not a price: write US dollars per million tokens, such as 1.25\n    1 | models: {a/b: {price: {input: free}}}\n      |                               ^"},
		{"tab", "log:\n\tlevel: info\n",
			"f.yaml:2:1: found character '\t' that cannot start any token\n    2 | \tlevel: info\n      | ^"},
		{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n",
			"f.yaml:2:1: the file holds more than one document: only one is read\n    2 | ---\n      | ^"},
		{"not UTF-8", "listen: \"a\xff\"\n",
			"f.yaml:1:11: the file is not UTF-8\n    1 | listen: \"a\xff\"\n      |           ^"},
		{"wide characters before the place", "routes: {\"é\": [é]}\n",
			"f.yaml:1:10: routes.é: a route's name is letters, digits, dots, dashes and underscores\n    1 | routes: {\"é\": [é]}\n      |          ^\nf.yaml:1:16: routes.é.0: \"é\" is not provider/model\n    1 | routes: {\"é\": [é]}\n      |                ^"},
		{"unknown alias", "log: *nope\n",
			"f.yaml:1:6: log: unknown alias *nope\n    1 | log: *nope\n      |      ^"},
		{"alias inside itself", "log: &l\n  <<: *l\n",
			"f.yaml:2:7: log: the alias *l holds itself\n    2 |   <<: *l\n      |       ^"},
		{"reference without quotes in braces", "log: {level: ${LEVEL}}\n",
			"f.yaml:1:15: ',' or '}' must be specified; inside braces and brackets write \"${...}\" in quotes\n    1 | log: {level: ${LEVEL}}\n      |               ^"},
		{"tag", "listen: !!str 5\n",
			"f.yaml:1:9: listen: tags such as !!str are not taken\n    1 | listen: !!str 5\n      |         ^"},
		{"all errors at once, in order", "zzz: 1\nlog: {level: loud, format: xml}\n",
			"f.yaml:1:1: zzz: unknown key\n    1 | zzz: 1\n      | ^\nf.yaml:2:14: log.level: want one of debug, info, warn, error, got \"loud\"\n    2 | log: {level: loud, format: xml}\n      |              ^\nf.yaml:2:28: log.format: want one of text, json, got \"xml\"\n    2 | log: {level: loud, format: xml}\n      |                            ^"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f.yaml", []byte(c.text), env("SECRET", "sk-do-not-show", "BROKEN", "a\nb", "OURS", "hr-0123"))
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			var all Errors
			if !errors.As(err, &all) || all[0].Line == 0 {
				t.Errorf("no place in %#v", err)
			}
			if strings.Contains(err.Error(), "do-not-show") {
				t.Error("the error shows a value from the environment")
			}
		})
	}
}

// TestExcerptHidesKeys: what serve prints is kept by log collectors.
func TestExcerptHidesKeys(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"    api_kee: SECRETSECRETSECRET",
		"api_key: [SECRETSECRETSECRET]",
		"  openai: {api_key: SECRETSECRETSECRET, zzz: 1}",
		`  "x-api-key" : "SECRETSECRETSECRET"`,
		"  Authorization: Bearer SECRETSECRETSECRET",
		"  password: SECRETSECRETSECRET # mine",
		"  api_key: ${X:-SECRETSECRETSECRET}",
		"  other: sk-SECRETSECRETSECRET",
		"  - sk-SECRETSECRETSECRET",
		"listen: hr-SECRETSECRETSECRET",
	} {
		got := masked(line)
		if strings.Contains(got, "SECRET") {
			t.Errorf("%q gives %q", line, got)
		}
		if len([]rune(got)) != len([]rune(line)) {
			t.Errorf("%q changes its width: %q", line, got)
		}
	}
	for _, line := range []string{"  auth: bearer", "  api_key: ${OPENAI_API_KEY}", "tokens_per_minute: 10", "listen: 127.0.0.1:8080", "key: {requests_per_minute: 100000}"} {
		if got := masked(line); got != line {
			t.Errorf("%q need not become %q", line, got)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	get := env("A", "1", "EVIL", "x: {y: z}\n- [", "REF", "${A}", "TOKEN", "23")
	for _, c := range []struct{ in, want, wrong string }{
		{"${A}", "1", ""},
		{"a${A}b${A}", "a1b1", ""},
		{"$A $ {A} {A} $", "$A $ {A} {A} $", ""},
		{"$${A}", "${A}", ""},
		{"$$${A}", "$${A}", ""},
		{"${B:-}", "", ""},
		{"${B:-x:-y}", "x:-y", ""},
		{"${A:-x}", "1", ""},
		{"${EVIL}", "x: {y: z}\n- [", ""},
		{"${REF}", "${A}", ""},
		{"${file:" + secret + "}", "from file", ""},
		{"${file:secret}", "from file", ""},
		{"${B}", "", "not set"},
		{"${}", "", "unknown reference"},
		{"${1A}", "", "unknown reference"},
		{"${A-x}", "", "unknown reference"},
		{"${file:}", "", "names no file"},
		{"${file:/nowhere/at/all}", "", "no such file"},
		{"${file:" + dir + "}", "", "is a directory"},
		{"${A", "", "without its }"},
	} {
		got, _, err := expand(c.in, get, dir)
		switch {
		case c.wrong == "" && (err != nil || got != c.want):
			t.Errorf("%q: got %q, %v; want %q", c.in, got, err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.message, c.wrong)):
			t.Errorf("%q: got %q, %v; want an error with %q", c.in, got, err, c.wrong)
		}
	}
	// Numbers and switches may come from outside; text that looks like YAML
	// stays text; a key is never expanded.
	c, err := Parse(filepath.Join(dir, "f.yaml"), []byte("retries: {attempts: \"${TOKEN}\"}\nlimits: {body: \"${A}MB\"}\ndiscover: ${NO:-false}\nproviders:\n  a: {api_key: 0x10, headers: {x: \"${file:secret}\"}}\n"), get)
	if err != nil {
		t.Fatal(err)
	}
	if c.Retries.Attempts != 23 || c.Limits.Body != MB || c.Discover {
		t.Errorf("got %+v", c)
	}
	if got := c.Providers["a"].APIKey.Reveal(); got != "0x10" {
		t.Errorf("a key that looks like a number became %q", got)
	}
	if got := c.Providers["a"].Headers["x"].Reveal(); got != "from file" {
		t.Errorf("header %q", got)
	}
	if _, err := Parse("f.yaml", []byte("providers: {\"${A}\": {}}\n"), get); err == nil {
		t.Error("a key with a reference was taken")
	}
}

func TestMergeAndAlias(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte(`providers:
  a: &base
    base_url: http://10.0.0.1/v1
    dialect: openai
    headers: &h {x-a: one}
  b:
    <<: *base
    base_url: http://10.0.0.2/v1
  c: {headers: *h}
`), env())
	if err != nil {
		t.Fatal(err)
	}
	b := c.Providers["b"]
	if b.BaseURL != "http://10.0.0.2/v1" || b.Dialect != "openai" || b.Headers["x-a"] != "one" {
		t.Errorf("merge gave %+v", b)
	}
	if c.Providers["c"].Headers["x-a"] != "one" {
		t.Errorf("alias gave %+v", c.Providers["c"])
	}
}

// TestAliasBomb: a small file must not unfold to a large one.
func TestAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("routes: {a: &x0 [a/b, a/c, a/d, a/e, a/f, a/g, a/h, a/i]}\nproviders:\n  p: {models: *x0}\n")
	text := b.String()
	for i := range 40 {
		text += "  n" + strings.Repeat("n", i) + ": {models: *x0}\n"
	}
	if _, err := Parse("f.yaml", []byte(text), env()); err != nil {
		t.Fatal("a harmless number of aliases:", err)
	}
	deep := "routes:\n  k0: &k0 [a/b, a/c]\n"
	for i := 1; i < 40; i++ {
		p, n := string(rune('0'+(i-1)/10))+string(rune('0'+(i-1)%10)), string(rune('0'+i/10))+string(rune('0'+i%10))
		if i == 1 {
			deep = "routes:\n  k00: &k00 [a/b, a/c]\n"
		}
		deep += "  k" + n + ": &k" + n + " [*k" + p + ", *k" + p + "]\n"
	}
	start := time.Now()
	if _, err := Parse("f.yaml", []byte(deep), env()); err == nil {
		t.Error("nested lists were taken")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	text := `listen: 127.0.0.1:9000
providers:
  openai:
    api_key: ${KEY:-none}
    headers: {x-team: "secret value", "x-odd: #": no}
`
	text = strings.Replace(text, `, "x-odd: #": no`, "", 1)
	c, err := Parse("f.yaml", []byte(text+"routes: {smart: [openai/gpt-5.5]}\nmodels: {openai/m.1: {price: {input: 1.25}}}\n"), env("KEY", "sk-very-secret"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With("data", "/var/lib/head race", Origin{From: "flag", Name: "--data"}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	for _, secret := range []string{"very-secret", "secret value"} {
		if strings.Contains(out, secret) {
			t.Errorf("printed a secret:\n%s", out)
		}
	}
	lines := strings.Split(out, "\n")
	has := func(value, origin string) {
		t.Helper()
		for _, l := range lines {
			before, after, _ := strings.Cut(l, "  # ")
			if strings.TrimSpace(before) == value && strings.TrimSpace(after) == origin {
				return
			}
		}
		t.Errorf("no line %q from %q in\n%s", value, origin, out)
	}
	has(`listen: "127.0.0.1:9000"`, "f.yaml:1")
	has(`data: "/var/lib/head race"`, "--data")
	has(`api_key: "[redacted]"`, "f.yaml:4 ${KEY}")
	has("body: 32MB", "default")
	has("input: 1.25", "f.yaml:7")
	has("- openai/gpt-5.5", "f.yaml:6")
	// What is printed is a file that means the same, but for the secrets.
	again, err := Parse("g.yaml", b.Bytes(), env())
	if err != nil {
		t.Fatalf("what was printed does not load: %v\n%s", err, out)
	}
	plain := cmp.Transformer("secret", func(s llm.Secret) bool { return s != "" })
	if d := cmp.Diff(c, again, noOrigins, cmpopts.EquateEmpty(), plain); d != "" {
		t.Errorf("(-config +printed and read)\n%s", d)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "h.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file, env("HEADRACE_LISTEN", "127.0.0.1:2"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || c.Origin("listen").String() != "HEADRACE_LISTEN" {
		t.Errorf("got %s from %s", c.Listen, c.Origin("listen"))
	}
	if _, err := Load("", env("HEADRACE_LISTEN", "nonsense")); err == nil || !strings.Contains(err.Error(), "from HEADRACE_LISTEN") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(file+"x", env()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestErrorAtFindsTheNearestPlace(t *testing.T) {
	t.Parallel()
	c, err := Parse("f.yaml", []byte("routes:\n  smart:\n    - nobody/x\n"), env())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.ErrorAt("routes.smart.0", "no provider %q", "nobody").Error(), "f.yaml:3:7: routes.smart.0: no provider \"nobody\"\n    3 |     - nobody/x\n      |       ^"; got != want {
		t.Errorf("got %q", got)
	}
	if got := c.ErrorAt("routes.smart.0.why.not", "m").Line; got != 3 {
		t.Errorf("line %d", got)
	}
	if got, want := Default().ErrorAt("listen", "m").Error(), "listen: m"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]ByteSize{"0": 0, "7": 7, "7B": 7, "1KB": KB, "1kib": KB, "1.5MB": MB + MB/2, "2 GB": 2 * GB, "3GiB": 3 * GB} {
		var b ByteSize
		if err := b.UnmarshalText([]byte(in)); err != nil || b != want {
			t.Errorf("%q: %d, %v", in, b, err)
		}
		var again ByteSize
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%q does not come back from %s", in, b)
		}
	}
	for _, in := range []string{"", "B", "MB", "-1", "1TB5", "1e3", "99999999999999999999", "9999999999999GB", "1.0000000001KB", "1.5", ".5MB", "1.MB", "0x10"} {
		var b ByteSize
		if err := b.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %d", in, b)
		}
	}
	for in, want := range map[string]USD{"0": 0, "1.25": 1_250_000_000, "0.075": 75_000_000, "15": 15_000_000_000, "0.000000001": 1} {
		var u USD
		if err := u.UnmarshalText([]byte(in)); err != nil || u != want || u.String() != in {
			t.Errorf("%q: %d, %v, %s", in, u, err, u)
		}
	}
	for _, in := range []string{"", "-1", "1.", ".5", "1e3", "$1", "0.0000000001", "1000001", "1.2.3", "1.-5"} {
		var u USD
		if err := u.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %d", in, u)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", time.Hour: "1h", 10 * time.Minute: "10m", 90 * time.Second: "1m30s", time.Hour + time.Second: "1h0m1s", 500 * time.Millisecond: "500ms"} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%s is written %s", want, got)
		}
	}
}

// TestEveryFieldHasARule: a member of a kind that the decoder does not know
// would only be found by the first person who writes it.
func TestEveryFieldHasARule(t *testing.T) {
	t.Parallel()
	var walk func(path string, f reflect.Type, tag reflect.StructTag)
	walk = func(path string, f reflect.Type, tag reflect.StructTag) {
		switch {
		case f.Kind() == reflect.Pointer, f.Kind() == reflect.Slice, f.Kind() == reflect.Map:
			walk(path+".*", f.Elem(), tag)
		case reflect.PointerTo(f).Implements(textUnmarshaler):
		case f.Kind() == reflect.Struct:
			for _, m := range fields(f) {
				walk(path+"."+m.Tag.Get("yaml"), m.Type, m.Tag)
			}
		default:
			if message := set(reflect.New(f).Elem(), "\x00", true, false, ""); strings.Contains(message, "no rule") {
				t.Errorf("%s: %s", path, message)
			}
		}
		if rule := tag.Get("keys"); rule != "" && keyRules[rule] == nil {
			t.Errorf("%s: unknown keys rule %q", path, rule)
		}
		for _, bound := range []string{tag.Get("min"), tag.Get("max")} {
			if bound == "" {
				continue
			}
			v := reflect.New(f).Elem()
			if f.Kind() != reflect.Pointer {
				if message := set(v, bound, false, false, ""); message != "" {
					t.Errorf("%s: bound %s: %s", path, bound, message)
				}
			}
		}
	}
	walk("", reflect.TypeFor[Config](), "")
	if err := Default().validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Example))
	f.Add([]byte("a: &x [*x]\n<<: *x\n"))
	f.Add([]byte("retries: {attempts: ${A}}\nlog: |\n  x\n"))
	f.Add([]byte("- - - -\n? x\n: y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f.yaml", text, env("A", "1", "ANTHROPIC_API_KEY", "k"))
		if err != nil {
			_ = err.Error()
			return
		}
		var b bytes.Buffer
		if err := c.Print(&b); err != nil {
			t.Fatal(err)
		}
		again, err := Parse("g.yaml", b.Bytes(), env())
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		plain := cmp.Transformer("secret", func(s llm.Secret) bool { return s != "" })
		if d := cmp.Diff(c, again, noOrigins, cmpopts.EquateEmpty(), plain); d != "" {
			t.Fatalf("%s\n%s", d, b.String())
		}
	})
}

// TestLadderPrinted: what a ladder is printed as reads back the same.
func TestLadderPrinted(t *testing.T) {
	none := func(string) string { return "" }
	c, err := Parse("f.yaml", []byte("routes:\n  list: [a/b, c/d]\n  up:\n    ladder:\n      - {model: a/b, thinking: off}\n      - {model: c/d}\n    success: {not: [empty], second_opinion: e/f}\n    aim: {quality: 0.98, p95_first_token: 2s, max_cost: $0.02, explore: 0}\n    when: [{has: image, use: g/h}]\n"), none)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("g.yaml", []byte(b.String()), none)
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if d := cmp.Diff(c.Routes, again.Routes, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	var paths []string
	for _, name := range []string{"list", "up"} {
		r := again.Routes[name]
		for path, model := range r.Each() {
			paths = append(paths, path+"="+model)
		}
	}
	if got := strings.Join(paths, " "); got != "0=a/b 1=c/d ladder.0.model=a/b ladder.1.model=c/d success.second_opinion=e/f when.0.use=g/h" {
		t.Error(got)
	}
}
