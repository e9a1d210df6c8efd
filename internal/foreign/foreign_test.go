package foreign

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"pgregory.net/rapid"

	"headrace/internal/catalog"
	"headrace/internal/config"
)

func rows(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// leaves are the paths of all values that hold no others.
func leaves(path string, v any, out *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			leaves(join(path, k), v[k], out)
		}
		if len(v) == 0 && path != "" {
			*out = append(*out, path)
		}
	case []any:
		for i, one := range v {
			leaves(fmt.Sprintf("%s[%d]", path, i), one, out)
		}
		if len(v) == 0 {
			*out = append(*out, path)
		}
	default:
		*out = append(*out, path)
	}
}

// accounted checks that every value of a file has an item, its own or one
// above it, and that no item is about what is not there.
func accounted(t interface {
	Errorf(string, ...any)
}, tree any, r *Result) {
	var all []string
	leaves("", tree, &all)
	items := map[string]bool{}
	for _, i := range r.Items {
		if items[i.Path] {
			t.Errorf("%s has two items", i.Path)
		}
		items[i.Path] = true
		if i.Word == "" || !slices.Contains(Grades(), i.Grade) {
			t.Errorf("%+v says nothing", i)
		}
		if !slices.ContainsFunc(all, func(l string) bool { return below(l, i.Path) }) {
			t.Errorf("%s is not in the file", i.Path)
		}
	}
	for _, l := range all {
		if !slices.ContainsFunc(r.Items, func(i Item) bool { return below(l, i.Path) }) {
			t.Errorf("nothing is said of %s", l)
		}
	}
}

func below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// parse reads what was made as config check does, with what it needs set.
func parse(r *Result) (*config.Config, error) {
	return config.Parse("made.yaml", config.Template(r.Blocks), func(name string) string {
		if slices.Contains(r.Needs, name) {
			if strings.Contains(name, "URL") || strings.Contains(name, "BASE") || strings.Contains(name, "ENDPOINT") {
				return "https://set.example/" + strings.ToLower(name)
			}
			return "value-of-" + name
		}
		return ""
	})
}

// TestFiles reads the files of testdata: each has beside it what is wanted of it,
// a line each: a path and the beginning of its grade and word, or "yaml" and a
// line of what is made.
func TestFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.want")
	if err != nil || len(files) < 8 {
		t.Fatalf("%v %v", files, err)
	}
	c := rows(t)
	for _, want := range files {
		t.Run(filepath.Base(want), func(t *testing.T) {
			t.Parallel()
			lines, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimSuffix(want, ".want")
			file, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			var r *Result
			if strings.HasSuffix(name, ".json") {
				if err := json.Unmarshal(file, &tree); err != nil {
					t.Fatal(err)
				}
				r, err = Bifrost(file, c)
			} else {
				if err := yaml.Unmarshal(file, &tree); err != nil {
					t.Fatal(err)
				}
				r, err = LiteLLM(file, c)
			}
			if err != nil {
				t.Fatal(err)
			}
			accounted(t, tree, r)
			made := string(config.Template(r.Blocks))
			if _, err := parse(r); err != nil {
				t.Fatalf("what is made is no configuration: %v\n%s", err, uncommented(made))
			}
			words, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(words), "SECRET") {
				t.Errorf("an item or a command repeats a secret: %s", words)
			}
			for line := range strings.Lines(string(lines)) {
				path, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
				switch path {
				case "", "#":
				case "yaml":
					if !strings.Contains(made, "\n"+strings.TrimRight(strings.SplitN(line, "yaml ", 2)[1], "\n")+"\n") {
						t.Errorf("not made: %q in\n%s", rest, uncommented(made))
					}
				case "command":
					if !slices.Contains(r.Commands, rest) {
						t.Errorf("no command %q in %q", rest, r.Commands)
					}
				default:
					i := slices.IndexFunc(r.Items, func(i Item) bool { return i.Path == path })
					if i < 0 || !strings.HasPrefix(string(r.Items[i].Grade)+": "+r.Items[i].Word, rest) {
						t.Errorf("%s: want %q, items %+v", path, rest, r.Items[max(i, 0)])
					}
				}
			}
		})
	}
}

func uncommented(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		if !strings.HasPrefix(line, "#") && line != "\n" {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestAnything: whatever the file holds, nothing is passed over in silence,
// nothing breaks, and what is made is a configuration.
func TestAnything(t *testing.T) {
	t.Parallel()
	c := rows(t)
	words := []string{"model_list", "model_name", "litellm_params", "model", "api_key", "api_base", "rpm", "timeout", "model_info", "max_tokens", "litellm_settings",
		"router_settings", "general_settings", "fallbacks", "num_retries", "model_group_alias", "order", "extra_headers", "providers", "keys", "value", "models", "weight",
		"network_config", "base_url", "max_retries", "governance", "virtual_keys", "teams", "budgets", "id", "name", "budget_id", "max_limit", "reset_duration", "openai",
		"azure", "azure_key_config", "endpoint", "deployments", "custom_provider_config", "base_provider_type", "client", "plugins", "provider_configs", "provider",
		"allowed_models", "max_request_body_size_mb", "odd key: x", "", "guardrails", "concurrency_and_buffer_size", "aliases", "cooldown_time", "allowed_fails"}
	values := []any{"openai/gpt-4o", "gpt-4o", "azure/x", "https://a.example", "os.environ/NAME", "env.NAME", "1", 1.5, float64(7), -3.0, 1e30, true, nil, "*", "a b/c", "auto", "openai", "1M", "\n${x}", ""}
	var node func(t *rapid.T, depth int) any
	node = func(t *rapid.T, depth int) any {
		switch n := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case depth == 0 || n < 4:
			return rapid.SampledFrom(values).Draw(t, "value")
		case n < 8:
			m := map[string]any{}
			for range rapid.IntRange(0, 5).Draw(t, "members") {
				m[rapid.SampledFrom(words).Draw(t, "key")] = node(t, depth-1)
			}
			return m
		}
		var l []any
		for range rapid.IntRange(0, 3).Draw(t, "entries") {
			l = append(l, node(t, depth-1))
		}
		return l
	}
	rapid.Check(t, func(t *rapid.T) {
		tree := map[string]any{}
		for _, k := range []string{"model_list", "litellm_settings", "router_settings", "general_settings", "providers", "client", "governance", "config_store"} {
			tree[k] = node(t, 6)
		}
		tree["litellm_settings"] = map[string]any{"fallbacks": node(t, 3)}
		file, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		for name, read := range map[string]func([]byte, *catalog.Catalog) (*Result, error){"litellm": LiteLLM, "bifrost": Bifrost} {
			r, err := read(file, c)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, file)
			}
			for _, i := range r.Items {
				if i.Word == "" {
					t.Fatalf("%s: %+v says nothing\n%s", name, i, file)
				}
			}
			var all []string
			leaves("", tree, &all)
			for _, l := range all {
				if !slices.ContainsFunc(r.Items, func(i Item) bool { return below(l, i.Path) }) {
					t.Fatalf("%s: nothing is said of %s\n%s", name, l, file)
				}
			}
		}
	})
}

func TestNotTheirs(t *testing.T) {
	t.Parallel()
	c := rows(t)
	for _, bad := range []string{"", "[]", "a: b", "model_list: [", "key: sk-SECRET\n  broken"} {
		if _, err := LiteLLM([]byte(bad), c); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("LiteLLM %q: %v", bad, err)
		}
	}
	for _, bad := range []string{"", "[]", "{}", `{"a":1}`, `{"providers":`, `{"key":"sk-SECRET" broken`} {
		if _, err := Bifrost([]byte(bad), c); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("Bifrost %q: %v", bad, err)
		}
	}
}
