package provider_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/wire/wiretest"
)

// always answers everything with one body.
type always []byte

func (a always) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a)), ContentLength: int64(len(a))}, nil
}

// Every recorded batch, and every recorded line of results, is read.
func TestBulkRecorded(t *testing.T) {
	batches, results := 0, 0
	for _, r := range wiretest.Corpus(t, wiretest.Filter{Operation: "batch"}) {
		row, ok := map[string]catalog.Provider{
			"anthropic":       {ID: "anthropic", Dialect: llm.Anthropic},
			"openai-platform": {ID: "openai", Dialect: llm.OpenAI},
		}[r.Wire]
		if !ok || !r.OK() {
			continue
		}
		row.Auth, row.BaseURL = catalog.NoAuth, "https://x.test"
		body := r.Response.Body()
		p, err := provider.New(provider.Options{Row: &row, Transport: always(body)})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := p.Bulk(0)
		if strings.HasSuffix(r.Path, "/results") {
			for got, err := range b.Results(t.Context(), "b") {
				if err != nil || got.ID == "" || got.Outcome == llm.BatchSucceeded && len(got.Body) == 0 {
					t.Errorf("%s: %+v %v", r.ID, got, err)
				}
				results++
			}
			continue
		}
		var v struct {
			Object string `json:"object"`
			Type   string `json:"type"`
			ID     string `json:"id"`
		}
		if err := json.Unmarshal(body, &v); err != nil || v.Object != "batch" && v.Type != "message_batch" {
			continue // a list
		}
		if st, err := b.Get(t.Context(), v.ID); err != nil || st.ID != v.ID || st.Created.IsZero() {
			t.Errorf("%s: %+v %v", r.ID, st, err)
		}
		batches++
	}
	if batches < 10 || results == 0 {
		t.Errorf("only %d batches and %d results were read", batches, results)
	}
}
