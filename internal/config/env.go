package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"

	"headrace/internal/llm"
)

// Env is what the environment says. No other package reads it, and nothing
// but this package's functions reads it again later.
type Env struct {
	// Key is HEADRACE_KEY: the first virtual key, preset.
	Key llm.Secret
	// AdminToken is HEADRACE_ADMIN_TOKEN, preset or used to call a gateway.
	AdminToken llm.Secret
	// URL is HEADRACE_URL: the gateway that commands talk to.
	URL string
	// ConfigPath, Listen and Data are HEADRACE_CONFIG, HEADRACE_LISTEN and
	// HEADRACE_DATA.
	ConfigPath, Listen, Data string

	getenv func(string) string
}

// FromEnv reads the environment through getenv (os.Getenv, or a test's).
func FromEnv(getenv func(string) string) Env {
	return Env{
		Key:        llm.Secret(strings.TrimSpace(getenv("HEADRACE_KEY"))),
		AdminToken: llm.Secret(strings.TrimSpace(getenv("HEADRACE_ADMIN_TOKEN"))),
		URL:        strings.TrimSpace(getenv("HEADRACE_URL")),
		ConfigPath: getenv("HEADRACE_CONFIG"),
		Listen:     strings.TrimSpace(getenv("HEADRACE_LISTEN")),
		Data:       getenv("HEADRACE_DATA"),
		getenv:     getenv,
	}
}

// MinToken is the least length of a preset key or admin token in characters:
// 32 hex digits are 128 bit.
const MinToken = 32

// Check says what is wrong with the preset credentials, without repeating
// them.
func (e Env) Check() error {
	for _, one := range []struct {
		name   string
		secret llm.Secret
	}{{"HEADRACE_KEY", e.Key}, {"HEADRACE_ADMIN_TOKEN", e.AdminToken}} {
		v := one.secret.Reveal()
		switch {
		case v == "":
		case len(v) < MinToken:
			return fmt.Errorf("%s has %d characters, it needs at least %d: try openssl rand -hex 32", one.name, len(v), MinToken)
		case strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
			return fmt.Errorf("%s holds a character that cannot stand in a header", one.name)
		}
	}
	if e.Key != "" && e.Key == e.AdminToken {
		return errors.New("HEADRACE_KEY and HEADRACE_ADMIN_TOKEN are the same: a data key must not open the admin API")
	}
	return nil
}

// Ours reports whether a provider key is one of Headrace's own.
func Ours(key llm.Secret) bool { return strings.HasPrefix(key.Reveal(), "hr-") }

// Lookup is what the environment says of one provider.
type Lookup struct {
	// Key is the first usable key, From the variable that holds it; both empty
	// when there is none.
	Key  llm.Secret
	From string
	// More are the keys under From_2, From_3 and so on.
	More []llm.Secret
	// BaseURL is where HEADRACE_<ID>_BASE_URL moves the provider; empty when
	// nobody moves it.
	BaseURL string
	// Advice is for the operator when something was found that cannot be used;
	// a later name may have done better.
	Advice string
}

// Provider looks for a provider of the catalogue: its key under one of names,
// in order, and HEADRACE_<ID>_BASE_URL, dashes and dots of the id written as
// underscores.
//
// The vendors' own ANTHROPIC_BASE_URL, OPENAI_BASE_URL and their kin are not
// read on purpose: people point those at Headrace, for the clients.
func (e Env) Provider(id string, names []string) Lookup {
	var l Lookup
	for _, name := range names {
		key, advice := e.providerKey(id, name)
		if advice != "" {
			l.Advice = advice
		}
		if key == "" {
			continue
		}
		l.Key, l.From = key, name
		for n := 2; len(l.More) < mostKeys-1; n++ {
			key, advice := e.providerKey(id, fmt.Sprintf("%s_%d", name, n))
			if advice != "" {
				l.Advice = advice
			}
			if key == "" {
				break
			}
			l.More = append(l.More, key)
		}
		break
	}
	name := BaseURLVariable(id)
	if base := strings.TrimSpace(e.getenv(name)); base != "" {
		if wrong := checkURL(base); wrong != "" {
			return Lookup{Advice: name + ": " + wrong}
		}
		l.BaseURL = base
	}
	return l
}

// providerKey reads one variable that may hold a provider's key; advice says
// what is wrong with what it holds.
func (e Env) providerKey(id, name string) (key llm.Secret, advice string) {
	v := strings.TrimSpace(e.getenv(name))
	switch {
	case v == "":
		return "", ""
	case Ours(llm.Secret(v)), llm.Secret(v) == e.Key, llm.Secret(v) == e.AdminToken:
		return "", fmt.Sprintf("%s holds a key of Headrace itself: it is for the client; give serve the key that %s gave you", name, id)
	case strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", fmt.Sprintf("%s holds a character that cannot stand in a header", name)
	}
	return llm.Secret(v), ""
}

// BaseURLVariable names the variable that moves a provider.
func BaseURLVariable(id string) string {
	upper := strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(id))
	return "HEADRACE_" + upper + "_BASE_URL"
}

// OllamaURL is where Ollama should be, without a path: OLLAMA_HOST read as
// Ollama itself reads it (envconfig.Host, 2026-11), else 127.0.0.1:11434. An
// address to bind (0.0.0.0) becomes one to call. set says that OLLAMA_HOST was
// given; what is no host is an error.
func (e Env) OllamaURL() (base string, set bool, err error) {
	s := strings.Trim(strings.TrimSpace(e.getenv("OLLAMA_HOST")), `"'`)
	set = s != ""
	scheme, port := "http", "11434"
	if before, rest, ok := strings.Cut(s, "://"); ok {
		scheme, s = before, rest
		switch scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		default:
			return "", set, fmt.Errorf("OLLAMA_HOST: the scheme %q is neither http nor https", scheme)
		}
	}
	s, path, _ := strings.Cut(s, "/")
	host := strings.Trim(s, "[]")
	if h, p, err := net.SplitHostPort(s); err == nil {
		host = h
		if p != "" {
			port = p
		}
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	base = scheme + "://" + net.JoinHostPort(host, port)
	if path = strings.Trim(path, "/"); path != "" {
		base += "/" + path
	}
	if u, err := url.Parse(base); err != nil || u.User != nil || u.RawQuery != "" {
		return "", set, errors.New("OLLAMA_HOST is not a host, host:port or URL")
	}
	return base, set, nil
}

// DataDir is the directory for state when nobody names one: the user's data
// directory of this system.
func (e Env) DataDir() (string, error) { return e.dataDir(runtime.GOOS) }

func (e Env) dataDir(system string) (string, error) {
	home := e.getenv("HOME")
	switch system {
	case "windows":
		if dir := e.getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "headrace"), nil
		}
		return "", errors.New("no place for data: %LocalAppData% is not set; use --data")
	case "darwin":
		if home != "" {
			return filepath.Join(home, "Library", "Application Support", "headrace"), nil
		}
	default:
		// The base directory specification (2021-05-08) says that a relative
		// path here is invalid and to be ignored.
		if dir := e.getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "headrace"), nil
		}
		if home != "" {
			return filepath.Join(home, ".local", "share", "headrace"), nil
		}
	}
	return "", errors.New("no place for data: HOME is not set; use --data or HEADRACE_DATA")
}

// Variable is one environment variable that Headrace reads.
type Variable struct{ Name, Meaning string }

// Variables lists what is read from the environment, for the documentation.
// The names of the providers' keys are rows of the catalogue.
func Variables() []Variable {
	return []Variable{
		{"HEADRACE_CONFIG", "the configuration file, when --config is not given"},
		{"HEADRACE_LISTEN", "wins over listen in the file"},
		{"HEADRACE_DATA", "wins over data in the file"},
		{"HEADRACE_KEY", "presets the first virtual key: 32 characters or more"},
		{"HEADRACE_ADMIN_TOKEN", "presets the admin token, and is what commands show to a gateway: 32 characters or more"},
		{"HEADRACE_URL", "the gateway that commands ask: keys, budgets, usage, logs, models, reconcile, explain, status; without it they open the data directory, and status has nobody to ask"},
		{"HEADRACE_<PROVIDER>_BASE_URL", "moves a provider, such as HEADRACE_OPENAI_BASE_URL"},
		{"ANTHROPIC_API_KEY, OPENAI_API_KEY, ...", "the providers' own keys; `headrace models` shows the names"},
		{"OPENAI_API_KEY_2, _3, ...", "further keys of the same provider: requests are spread over them"},
		{"OLLAMA_HOST", "where Ollama is, else 127.0.0.1:11434"},
		{"ANTHROPIC_BASE_URL, OPENAI_BASE_URL", "ignored on purpose: clients use them to reach Headrace"},
	}
}
