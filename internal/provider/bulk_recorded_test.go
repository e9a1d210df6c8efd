package provider_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/wiretest"
)

// recordedAnswer answers everything as it was recorded, and keeps what it was
// asked.
type recordedAnswer struct {
	status     int
	body, sent []byte
	path       string
}

func (a *recordedAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	a.path = r.URL.Path
	if r.Body != nil {
		var err error
		if a.sent, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body))}, nil
}

// Every recorded batch is asked for as it was recorded and read: starts, looks,
// cancels, lists, results and refusals.
func TestBulkRecorded(t *testing.T) {
	if wiretest.CorpusDir() == "" {
		t.Skip("no recorded traffic: set HEADRACE_CORPUS or put it in ../shared/corpus beside the module")
	}
	rows := map[string]*catalog.Provider{
		"anthropic":       {ID: "anthropic", Dialect: llm.Anthropic},
		"openai-platform": {ID: "openai", Dialect: llm.OpenAI, Also: []llm.Dialect{llm.Responses}},
		"gemini":          {ID: "gemini", Dialect: llm.Gemini},
	}
	n := map[string]int{}
	for _, r := range wiretest.Corpus(t, wiretest.Filter{Operation: "batch"}) {
		row := rows[r.Wire]
		if row == nil {
			continue
		}
		if row.Auth, row.BaseURL = catalog.NoAuth, "https://x.test"; row.ID == "openai" {
			row.BaseURL += "/v1"
		}
		up := &recordedAnswer{status: r.Response.Status, body: r.Response.Body()}
		p, err := provider.New(provider.Options{Row: row, Transport: up})
		if err != nil {
			t.Fatal(err)
		}
		b, ok := p.Bulk(0)
		if !ok {
			t.Fatalf("%s has no batch API", row.ID)
		}
		// .../batches/ID and what is asked of it
		_, id, _ := strings.Cut(r.Path, "/batches/")
		id, _, _ = strings.Cut(id, "/")
		var st llm.BatchStatus
		kind := "get"
		switch {
		case strings.HasSuffix(r.Path, "/results"):
			kind = "results"
			for got, resErr := range b.Results(t.Context(), id) {
				if err = resErr; err == nil {
					readable(t, b, &got)
					n["lines"]++
				}
			}
		case strings.HasSuffix(r.Path, "/cancel"):
			kind = "cancel"
			st, err = b.Cancel(t.Context(), id)
		case r.Method == http.MethodPost:
			kind = "create"
			st, err = recreate(t, b, r, up)
		case strings.HasSuffix(r.Path, "/batches"):
			kind = "list"
			for s, listErr := range b.List(t.Context(), time.Time{}) {
				if st, err = s, listErr; err != nil {
					break
				}
				n["listed"]++
				if n["listed"] > 100 {
					break // what was recorded as one of several pages is all of them here
				}
			}
		default:
			if st, err = b.Get(t.Context(), id); row.ID == "gemini" {
				for got, resErr := range b.Results(t.Context(), id) {
					if resErr != nil || got.ID == "" {
						t.Errorf("%s: %+v %v", r.ID, got, resErr)
					}
					readable(t, b, &got)
					n["lines"]++
				}
			}
		}
		if (err == nil) != r.OK() || err == nil && kind != "results" && (st.ID == "" || st.Created.IsZero()) {
			t.Errorf("%s %s: %+v %v", kind, r.ID, st, err)
		}
		if up.path != r.Path && kind != "create" {
			t.Errorf("%s: asked %s, recorded %s", r.ID, up.path, r.Path)
		}
		n[row.ID+" "+kind]++
	}
	t.Logf("%v", n)
	for _, kind := range []string{"anthropic create", "anthropic cancel", "anthropic get", "anthropic results", "openai create", "openai get", "openai list", "gemini create", "gemini get", "lines"} {
		if n[kind] == 0 {
			t.Errorf("no %s was recorded, or it was not found", kind)
		}
	}
}

// readable reads a result for a client of each dialect.
func readable(t *testing.T, b *provider.Bulk, got *llm.BatchResult) {
	t.Helper()
	if got.Outcome != llm.BatchSucceeded {
		return
	}
	const asks = `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}]}`
	h, err := anthropic.Codec{}.Head(llm.OpChat, []byte(asks))
	if err != nil {
		t.Fatal(err)
	}
	d := llm.NewDraft(llm.Anthropic, llm.OpChat, []byte(asks), h, anthropic.Codec{}.DecodeRequest)
	ans, bad := b.Answer("m", &llm.Capability{}, &d, got)
	if bad != nil || ans.Glance.Usage.Output == 0 || ans.Glance.Usage.Tier != "batch" {
		t.Errorf("answer to %s: %+v %v", got.ID, ans, bad)
	}
}

// recreate starts a recorded batch from its requests as single ones, and
// compares what is sent.
func recreate(t *testing.T, b *provider.Bulk, r *wiretest.Record, up *recordedAnswer) (llm.BatchStatus, error) {
	t.Helper()
	var lines []llm.BatchLine
	add := func(id, model string, body []byte, dialect llm.Dialect, head func(llm.Op, []byte) (llm.Head, error), decode func([]byte) (*llm.Request, error)) {
		t.Helper()
		h, err := head(llm.OpChat, body)
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		if model != "" {
			h.Model = model
		}
		d := llm.NewDraft(dialect, llm.OpChat, body, h, decode)
		l, bad := b.Line(h.Model, &llm.Capability{}, &d)
		if bad != nil {
			t.Fatalf("%s: %v", r.ID, bad)
		}
		l.ID = id
		lines = append(lines, l)
	}
	var in struct {
		Requests []struct {
			ID     string          `json:"custom_id"`
			Params json.RawMessage `json:"params"`
		} `json:"requests"`
		Batch struct {
			Name   string `json:"displayName"`
			Config struct {
				Requests struct {
					Requests []struct {
						Request json.RawMessage `json:"request"`
						Meta    struct {
							ID string `json:"custom_id"`
						} `json:"metadata"`
					} `json:"requests"`
				} `json:"requests"`
			} `json:"inputConfig"`
		} `json:"batch"`
	}
	body := r.Request.Body()
	if err := json.Unmarshal(body, &in); err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	for _, l := range in.Requests {
		add(l.ID, "", l.Params, llm.Anthropic, anthropic.Codec{}.Head, anthropic.Codec{}.DecodeRequest)
	}
	for _, l := range in.Batch.Config.Requests.Requests {
		_, model, _ := strings.Cut(strings.TrimSuffix(r.Path, ":batchGenerateContent"), "models/")
		add(l.Meta.ID, model, l.Request, llm.Gemini, gemini.Codec{}.Head, gemini.Codec{}.DecodeRequest)
	}
	if len(lines) == 0 { // OpenAI's, of which the requests are elsewhere
		return b.Get(t.Context(), "b")
	}
	st, err := b.Create(t.Context(), in.Batch.Name, lines)
	var want, got any
	if err := json.Unmarshal(bytes.ReplaceAll(body, []byte(`"stream":false,`), nil), &want); err != nil { // said of each line there
		t.Fatal(err)
	}
	if err := json.Unmarshal(up.sent, &got); err != nil {
		t.Fatalf("%s: sent %s: %v", r.ID, up.sent, err)
	}
	if up.path != r.Path || !reflect.DeepEqual(want, got) {
		t.Errorf("%s: %s\nsent     %s\nrecorded %s", r.ID, up.path, up.sent, body)
	}
	return st, err
}
