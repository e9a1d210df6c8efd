package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// TestProbe: each key of each provider is asked once, by its list of models
// alone, and what is wrong with it is told by its class.
func TestProbe(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("a probe sent %s %s", r.Method, r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.Header.Get("Authorization") {
		case "Bearer good":
			w.Header().Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
			io.WriteString(w, `{"object":"list","data":[{"id":"one","object":"model"},{"id":"two","object":"model"}]}`)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}`)
		}
	}))
	defer upstream.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	env := map[string]string{"OLLAMA_HOST": "127.0.0.1:1"}
	getenv := func(name string) string { return env[name] }
	c, err := config.Parse("probe.yaml", []byte(fmt.Sprintf(`
providers:
  house: {dialect: openai, base_url: %[1]s/v1, api_keys: [{key: good, name: first}, {key: bad, name: second}]}
  gone: {dialect: openai, base_url: %[2]s/v1, auth: none}
  unused: {dialect: openai, base_url: %[2]s/v1, auth: none, disabled: true}
`, upstream.URL, gone.URL)), getenv)
	if err != nil {
		t.Fatal(err)
	}
	probes, err := app.Program{}.Probe(t.Context(), c, config.FromEnv(getenv))
	if err != nil || len(probes) != 3 {
		t.Fatalf("%v, %+v", err, probes)
	}
	for _, p := range probes {
		e, _ := p.Err.(*llm.Error)
		switch p.Provider + " " + p.Credential {
		case "house first":
			if p.Err != nil || p.Models != 2 || !p.Dated || p.Ahead < 9*time.Minute || p.Ahead > 11*time.Minute {
				t.Errorf("%+v", p)
			}
		case "house second":
			if e == nil || e.Class != llm.Auth || !p.Dated || p.Ahead != 0 {
				t.Errorf("%+v", p)
			}
		case "gone ":
			if e == nil || e.Class != llm.ServerError && e.Class != llm.Timeout {
				t.Errorf("%+v", p)
			}
		default:
			t.Errorf("%+v", p)
		}
	}
}
