package catalog

import (
	"time"

	"headrace/internal/llm"
)

// Bulk is the batch API of a provider.
type Bulk struct {
	// Dialect says of whose shape it is: Anthropic's Message Batches, or OpenAI's
	// Files and Batches.
	Dialect llm.Dialect
	Terms   llm.BatchTerms
}

// bulks are the providers whose batch API is spoken, by id. Sources: Anthropic,
// build-with-claude/batch-processing; OpenAI, the Batch API reference (both
// read in November 2026). OpenAI's files may be 200 MB, of one endpoint and one
// model.
var bulks = map[string]Bulk{
	"anthropic": {llm.Anthropic, llm.BatchTerms{Items: 100_000, Bytes: 256_000_000, Window: 24 * time.Hour}},
	"openai":    {llm.OpenAI, llm.BatchTerms{Items: 50_000, Bytes: 200_000_000, Window: 24 * time.Hour, OneModel: true, OneOp: true, Refs: true}},
}

// Bulk gives the provider's batch API; false when none is spoken.
func (p *Provider) Bulk() (Bulk, bool) {
	b, ok := bulks[p.ID]
	return b, ok
}
