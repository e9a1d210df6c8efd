package catalog

import (
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
)

// BulkShape says whose batch API a provider's is like.
type BulkShape string

// The shapes.
const (
	// BulkMessages is Anthropic's Message Batches.
	BulkMessages BulkShape = "messages"
	// BulkFiles is OpenAI's Files and Batches.
	BulkFiles BulkShape = "files"
	// BulkJobs is Mistral's: OpenAI's files, and jobs of their own form.
	BulkJobs BulkShape = "jobs"
	// BulkInline is Gemini's, with the requests in the body that starts it.
	BulkInline BulkShape = "inline"
	// BulkWrapped is Together's: OpenAI's files with a purpose of their own, and
	// jobs in a wrapper.
	BulkWrapped BulkShape = "wrapped"
)

// Bulk is the batch API of a provider.
type Bulk struct {
	Shape BulkShape
	Terms llm.BatchTerms
	// Paths are the endpoints that a line may ask for, as they stand behind the
	// base URL.
	Paths []string
	// Models are the beginnings of the models that it takes; empty means all.
	Models []string
	// RefIn is the member of a batch's metadata that holds our name for it,
	// where the shape has metadata.
	RefIn string
}

const oneDay = 24 * time.Hour

var chatOnly = []string{"/chat/completions"}

// qwen is DashScope's: OpenAI's shape, for some models.
var qwen = Bulk{Shape: BulkFiles, Paths: chatOnly, RefIn: "ds_name", Models: []string{"qwen-max", "qwen-plus", "qwen-flash", "qwen-turbo"},
	Terms: llm.BatchTerms{Items: 50_000, Bytes: 500_000_000, Window: oneDay, OneModel: true, OneOp: true, Refs: true}}

// bulks are the providers whose batch API is spoken, by id; all read in
// November 2026. Sources: Anthropic, build-with-claude/batch-processing; OpenAI,
// the Batch API reference; Gemini, docs/batch-api (20 MB are for requests in
// the body; results are aimed at within a day, and when it expires is not said
// there); Mistral, capabilities/batch (the window is what we ask for); Groq,
// docs/batch; DashScope, developer-guides/text-generation/batch; Together,
// docs/inference/batch. Where a bound is not published OpenAI's is kept to.
//
// Not there: Azure OpenAI, whose batches want deployments of their own kind, so
// that the name of a model does not say whether it takes any; xAI, whose requests
// are added to a batch in several calls; Bedrock, Vertex and Foundry, whose jobs
// read and write buckets that the operator would have to give.
var bulks = map[string]Bulk{
	"anthropic": {Shape: BulkMessages, Paths: []string{"/v1/messages"},
		Terms: llm.BatchTerms{Items: 100_000, Bytes: 256_000_000, Window: oneDay}},
	"openai": {Shape: BulkFiles, RefIn: "headrace", Paths: []string{"/chat/completions", "/responses", "/embeddings", "/moderations"},
		Terms: llm.BatchTerms{Items: 50_000, Bytes: 200_000_000, Window: oneDay, OneModel: true, OneOp: true, Refs: true}},
	"gemini": {Shape: BulkInline, Paths: []string{"/v1beta/models/{model}:generateContent"},
		Terms: llm.BatchTerms{Bytes: 20_000_000, Window: oneDay, OneModel: true, OneOp: true, Refs: true}},
	"mistral": {Shape: BulkJobs, RefIn: "headrace", Paths: []string{"/chat/completions", "/embeddings"},
		Terms: llm.BatchTerms{Items: 1_000_000, Bytes: 200_000_000, Window: oneDay, OneModel: true, OneOp: true, Refs: true}},
	"groq": {Shape: BulkFiles, RefIn: "headrace", Paths: chatOnly,
		Terms: llm.BatchTerms{Items: 50_000, Bytes: 100_000_000, Window: oneDay, OneModel: true, OneOp: true, Refs: true}},
	"together": {Shape: BulkWrapped, Paths: chatOnly,
		Terms: llm.BatchTerms{Items: 50_000, Bytes: 100_000_000, Window: oneDay, OneModel: true, OneOp: true}},
	"qwen": qwen, "qwen-cn": qwen,
	"rehearsal": {Shape: BulkMessages, Paths: []string{"/v1/messages"},
		Terms: llm.BatchTerms{Items: 100_000, Bytes: 60_000_000, Window: oneDay}},
}

// Bulk gives the provider's batch API; false when none is spoken.
func (p *Provider) Bulk() (Bulk, bool) {
	b, ok := bulks[p.ID]
	return b, ok
}

// Takes reports whether a model can go by batch there.
func (b *Bulk) Takes(model string) bool {
	return len(b.Models) == 0 || slices.ContainsFunc(b.Models, func(m string) bool { return strings.HasPrefix(model, m) })
}
