package config

import (
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/llm"
)

func TestEnvProvider(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		env       []string
		id        string
		names     []string
		key, base string
		advice    string
	}{
		{name: "key", env: []string{"OPENAI_API_KEY", " sk-1 "}, id: "openai", names: []string{"OPENAI_API_KEY"}, key: "sk-1"},
		{name: "second name", env: []string{"B", "sk-2"}, id: "x", names: []string{"A", "B"}, key: "sk-2"},
		{name: "first name wins", env: []string{"A", "sk-1", "B", "sk-2"}, id: "x", names: []string{"A", "B"}, key: "sk-1"},
		{name: "nothing", id: "openai", names: []string{"OPENAI_API_KEY"}},
		{name: "our key", env: []string{"OPENAI_API_KEY", "hr-abc"}, id: "openai", names: []string{"OPENAI_API_KEY"}, advice: "OPENAI_API_KEY holds a key of Headrace itself"},
		{name: "our key, then a good one", env: []string{"A", "hr-abc", "B", "sk-2"}, id: "x", names: []string{"A", "B"}, key: "sk-2", advice: "A holds a key"},
		{name: "the preset key", env: []string{"HEADRACE_KEY", strings.Repeat("k", 32), "A", strings.Repeat("k", 32)}, id: "x", names: []string{"A"}, advice: "A holds a key of Headrace"},
		{name: "broken key", env: []string{"A", "sk 1"}, id: "x", names: []string{"A"}, advice: "cannot stand in a header"},
		{name: "moved", env: []string{"A", "sk-1", "HEADRACE_MY_PROVIDER_X_BASE_URL", "http://10.1.1.1/v1"}, id: "my-provider.x", names: []string{"A"}, key: "sk-1", base: "http://10.1.1.1/v1"},
		{name: "moved badly", env: []string{"A", "sk-1", "HEADRACE_X_BASE_URL", "10.1.1.1"}, id: "x", names: []string{"A"}, advice: "HEADRACE_X_BASE_URL: a base URL begins with http://"},
		{name: "moved without key", env: []string{"HEADRACE_X_BASE_URL", "http://h/v1"}, id: "x", names: []string{"A"}, base: "http://h/v1"},
		{name: "needs no key", env: []string{"HEADRACE_VLLM_BASE_URL", "http://h/v1"}, id: "vllm", base: "http://h/v1"},
		{name: "the SDKs' own variables are not read", env: []string{"OPENAI_BASE_URL", "http://h/v1", "OPENAI_API_KEY", "sk-1"}, id: "openai", names: []string{"OPENAI_API_KEY"}, key: "sk-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := FromEnv(env(c.env...)).Provider(c.id, c.names)
			if l.Key.Reveal() != c.key || l.BaseURL != c.base || (l.From != "") != (c.key != "") || !strings.Contains(l.Advice, c.advice) || c.advice == "" && l.Advice != "" {
				t.Errorf("got key %q from %q, base %q, advice %q", l.Key.Reveal(), l.From, l.BaseURL, l.Advice)
			}
		})
	}
}

func TestEnvCheck(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 32)
	for _, c := range []struct {
		key, token llm.Secret
		want       string
	}{
		{"", "", ""},
		{llm.Secret(long), llm.Secret(long + "b"), ""},
		{"short-secret", "", "HEADRACE_KEY has 12 characters"},
		{"", "short-secret", "HEADRACE_ADMIN_TOKEN has 12"},
		{llm.Secret(long + " x"), "", "cannot stand in a header"},
		{llm.Secret(long), llm.Secret(long), "are the same"},
	} {
		err := Env{Key: c.key, AdminToken: c.token}.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "short-secret") {
			t.Errorf("repeats the secret: %v", err)
		}
	}
}

func TestOllamaURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "http://127.0.0.1:11434",
		"0.0.0.0":                 "http://127.0.0.1:11434",
		"0.0.0.0:1234":            "http://127.0.0.1:1234",
		":1234":                   "http://127.0.0.1:1234",
		"box":                     "http://box:11434",
		"box:1":                   "http://box:1",
		"http://box":              "http://box:80",
		"https://box":             "https://box:443",
		"https://box:1/ollama/":   "https://box:1/ollama",
		"[::1]":                   "http://[::1]:11434",
		"[::]:1":                  "http://[::1]:1",
		`"box:1"`:                 "http://box:1",
		"ftp://box":               "",
		"http://user:pw@box:1":    "",
		"http://box:1/a?key=hide": "",
	} {
		got, set, err := FromEnv(env("OLLAMA_HOST", in)).OllamaURL()
		if got != want || set != (in != "") || (err != nil) != (want == "") {
			t.Errorf("%q: got %q %v %v, want %q", in, got, set, err, want)
		}
	}
}

func TestDataDir(t *testing.T) {
	t.Parallel()
	if filepath.Separator != '/' {
		t.Skip("the cases are written with slashes")
	}
	for _, c := range []struct {
		system string
		env    []string
		want   string
	}{
		{"linux", []string{"HOME", "/home/a"}, "/home/a/.local/share/headrace"},
		{"linux", []string{"HOME", "/home/a", "XDG_DATA_HOME", "/data"}, "/data/headrace"},
		{"linux", []string{"HOME", "/home/a", "XDG_DATA_HOME", "relative"}, "/home/a/.local/share/headrace"},
		{"linux", nil, ""},
		{"darwin", []string{"HOME", "/Users/a", "XDG_DATA_HOME", "/data"}, "/Users/a/Library/Application Support/headrace"},
		{"windows", []string{"LocalAppData", "/l"}, "/l/headrace"},
		{"windows", []string{"HOME", "/home/a"}, ""},
	} {
		got, err := FromEnv(env(c.env...)).dataDir(c.system)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s %v: got %q, %v", c.system, c.env, got, err)
		}
	}
}

func TestLeadsTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url, listen string
		want        bool
	}{
		{"http://127.0.0.1:8080/v1", "127.0.0.1:8080", true},
		{"http://localhost:8080", "127.0.0.1:8080", true},
		{"http://LOCALHOST.:8080", "0.0.0.0:8080", true},
		{"http://[::1]:8080", ":8080", true},
		{"http://127.0.0.1:8081", "127.0.0.1:8080", false},
		{"http://127.0.0.1", "127.0.0.1:80", true},
		{"https://gw.example", "gw.example:443", true},
		{"http://10.0.0.1:8080", "127.0.0.1:8080", false},
		{"http://127.0.0.1:8080", "127.0.0.1:0", false},
	} {
		if got := LeadsTo(c.url, c.listen); got != c.want {
			t.Errorf("%s from %s: %v", c.url, c.listen, got)
		}
	}
}
