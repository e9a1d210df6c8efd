package provider

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// trickle gives the next part of a body only once the one before was used.
type trickle struct {
	*io.PipeReader
}

func (t trickle) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: t.PipeReader, ContentLength: -1}, nil
}

// A result is given before the next one has come: nothing is read whole.
func TestBulkResultsAreStreamed(t *testing.T) {
	for id, parts := range map[string][]string{
		"anthropic": {`{"custom_id":"1","result":{"type":"expired"}}` + "\n", `{"custom_id":"2","result":{"type":"expired"}}` + "\n"},
		"gemini": {`{"response":{"inlinedResponses":{"inlinedResponses":[{"metadata":{"custom_id":"1"},"error":{"code":1}}`,
			`,{"metadata":{"custom_id":"2"},"error":{"code":1}}]}}}`},
	} {
		synctest.Test(t, func(t *testing.T) { // a wait for all of it is a deadlock
			b, _ := bulkAt(t, id, nil)
			r, w := io.Pipe()
			b.p.client = trickle{r}
			used := make(chan struct{})
			go func() { // ends with the last part
				for _, part := range parts {
					if _, err := io.WriteString(w, part); err != nil {
						t.Error(err)
					}
					<-used
				}
				w.Close()
			}()
			n := 0
			for r, err := range b.Results(t.Context(), "b") {
				if n++; err != nil || r.ID != fmt.Sprint(n) {
					t.Fatalf("%s: %+v %v", id, r, err)
				}
				used <- struct{}{}
			}
			if n != len(parts) {
				t.Errorf("%s: %d results", id, n)
			}
		})
	}
}

// Where a provider speaks more than batches are written in, a line is written
// in what they are.
func TestBulkSpeaksOneWire(t *testing.T) {
	p, err := New(Options{Row: &catalog.Provider{ID: "rehearsal", Dialect: llm.Anthropic, Also: []llm.Dialect{llm.OpenAI}, Auth: catalog.NoAuth, BaseURL: "https://x.test"}})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := p.Bulk(0)
	if !ok {
		t.Fatal("the rehearsal has no batches")
	}
	body := plain(t, bulkLine(t, b, draft(t, llm.OpenAI, gptAsks), "1").Body).(map[string]any)
	if body["max_tokens"] == nil {
		t.Errorf("not a request for a message: %v", body)
	}
	// What a server turns out not to have does not move lines that were sent.
	if p, err = New(Options{Row: &catalog.Provider{ID: "openai", Dialect: llm.OpenAI, Also: []llm.Dialect{llm.Responses}, Auth: catalog.NoAuth, BaseURL: "https://x.test/v1"}}); err != nil {
		t.Fatal(err)
	}
	if b, ok = p.Bulk(0); !ok {
		t.Fatal("OpenAI has no batches")
	}
	c := &llm.Capability{Wire: llm.Responses}
	before, bad := b.Line("target", c, draft(t, llm.Anthropic, claudeAsks))
	if bad != nil || before.Path != "/responses" {
		t.Fatalf("written for %s: %v", before.Path, bad)
	}
	p.chatOnly.Store(1 << 62)
	if b, ok = p.Bulk(0); !ok {
		t.Fatal("OpenAI has no batches")
	}
	if after, bad := b.Line("target", c, draft(t, llm.Anthropic, claudeAsks)); bad != nil || after.Path != before.Path {
		t.Errorf("written for %s, then for %s: %v", before.Path, after.Path, bad)
	}
}
