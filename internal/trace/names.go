package trace

import "go.opentelemetry.io/otel/attribute"

// The names of attributes. Those of generative AI stand in no stable release:
// this is what open-telemetry/semantic-conventions-genai had in November 2026,
// where cache_creation had become cache_write and names from before 1.36
// (gen_ai.system, prompt_tokens) were gone. error.type and the http and server
// names are stable (semantic conventions 1.42.0, 2026-06-12). There is no name
// for what a call costs, so that one is ours.
const schemaURL = "https://opentelemetry.io/schemas/1.42.0"

const (
	operationName   = attribute.Key("gen_ai.operation.name")
	providerName    = attribute.Key("gen_ai.provider.name")
	requestModel    = attribute.Key("gen_ai.request.model")
	requestStream   = attribute.Key("gen_ai.request.stream")
	responseModel   = attribute.Key("gen_ai.response.model")
	responseID      = attribute.Key("gen_ai.response.id")
	finishReasons   = attribute.Key("gen_ai.response.finish_reasons")
	firstChunk      = attribute.Key("gen_ai.response.time_to_first_chunk") // seconds
	inputTokens     = attribute.Key("gen_ai.usage.input_tokens")           // cached ones count
	outputTokens    = attribute.Key("gen_ai.usage.output_tokens")          // reasoning counts
	cacheReadTokens = attribute.Key("gen_ai.usage.cache_read.input_tokens")
	cacheWriteToken = attribute.Key("gen_ai.usage.cache_write.input_tokens")
	reasoningTokens = attribute.Key("gen_ai.usage.reasoning.output_tokens")

	errorType  = attribute.Key("error.type")
	httpStatus = attribute.Key("http.response.status_code")

	requestID = attribute.Key("headrace.request_id")
	dialect   = attribute.Key("headrace.dialect")
	keyID     = attribute.Key("headrace.key_id")
	team      = attribute.Key("headrace.team")
	attempts  = attribute.Key("headrace.attempts")
	attempt   = attribute.Key("headrace.attempt")
	why       = attribute.Key("headrace.why")
	costUSD   = attribute.Key("headrace.cost_usd")
	unpriced  = attribute.Key("headrace.unpriced")
)

// operations are the well-known names of what is asked for.
var operations = map[string]string{"chat": "chat", "embed": "embeddings"}

// providers are the well-known names of those that have one; all others are
// called by their id.
var providers = map[string]string{"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai", "azure": "azure.ai.openai"}

// finishes are the well-known words for why an answer ended.
var finishes = map[string]string{"tool_use": "tool_call", "refusal": "content_filter"}
