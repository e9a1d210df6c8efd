package provider_test

import (
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/provider/rehearsal"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
)

// What is written here is taken there, and what is answered there is read
// here: from the first line to the answer in the client's words.
func TestBulkAgainstRehearsal(t *testing.T) {
	stage := rehearsal.New(rehearsal.Options{Codecs: map[llm.Dialect]rehearsal.Codec{llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{}}})
	for _, row := range []catalog.Provider{
		{ID: "anthropic", Dialect: llm.Anthropic, Auth: catalog.NoAuth, BaseURL: "https://x.test"},
		{ID: "openai", Dialect: llm.OpenAI, Auth: catalog.NoAuth, BaseURL: "https://x.test/v1"},
		{ID: "rehearsal", Dialect: llm.Anthropic, Also: []llm.Dialect{llm.OpenAI}, Auth: catalog.NoAuth, BaseURL: "http://rehearsal.invalid"},
	} {
		p, err := provider.New(provider.Options{Row: &row, Transport: stage})
		if err != nil {
			t.Fatal(err)
		}
		b, ok := p.Bulk(0)
		if !ok {
			t.Fatalf("%s has no batch API", row.ID)
		}
		body := []byte(`{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"Just say \"pong\" and stop."}]}`)
		head, err := anthropic.Codec{}.Head(llm.OpChat, body)
		if err != nil {
			t.Fatal(err)
		}
		d := llm.NewDraft(llm.Anthropic, llm.OpChat, body, head, anthropic.Codec{}.DecodeRequest)
		line, bad := b.Line(rehearsal.Quick, &llm.Capability{}, &d)
		if bad != nil {
			t.Fatal(bad)
		}
		line.ID = "17"
		st, err := b.Create(t.Context(), "9", []llm.BatchLine{line})
		if err != nil {
			t.Fatal(err)
		}
		if st, err = b.Get(t.Context(), st.ID); err != nil || st.Phase != llm.BatchEnded || st.Succeeded != 1 {
			t.Errorf("%s: %+v %v", row.ID, st, err)
		}
		n := 0
		for r, err := range b.Results(t.Context(), st.ID) {
			if n++; err != nil || r.ID != "17" || r.Outcome != llm.BatchSucceeded {
				t.Fatalf("%s: %+v %v", row.ID, r, err)
			}
			ans, bad := b.Answer(rehearsal.Quick, &llm.Capability{}, &d, &r)
			if bad != nil {
				t.Fatal(bad)
			}
			if ans.Native != (row.Dialect == llm.Anthropic) || !ans.Native && ans.Response.Items[0].Text() != "pong" || ans.Glance.Usage.Output == 0 {
				t.Errorf("%s: %+v", row.ID, ans)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d results", row.ID, n)
		}
	}
}
