// Package llm holds the words that every room of the gateway shares: what is
// asked (Request, Item, Block, Tool), what comes back (Response, Event, Usage,
// Finish), what goes wrong (Error and its classes), what a model can do
// (Capability) and what travels through the rooms (Draft). It does nothing
// with them and imports nothing of ours.
package llm

// Dialect names a wire format that clients and providers speak.
type Dialect string

// The dialects. The value is what configuration, logs and the ledger show.
const (
	// OpenAI is the Chat Completions dialect.
	OpenAI Dialect = "openai"
	// Anthropic is the Messages dialect.
	Anthropic Dialect = "anthropic"
	// Responses is OpenAI's Responses dialect.
	Responses Dialect = "responses"
	// Gemini is Google's generateContent dialect.
	Gemini Dialect = "gemini"
	// Ollama is Ollama's own dialect (/api/...).
	Ollama Dialect = "ollama"
)

// Op is what a request asks a provider to do.
type Op string

// The operations that have a door.
const (
	// OpChat asks for one completion, whole or streamed.
	OpChat Op = "chat"
	// OpCountTokens asks how large a prompt is; nothing is generated.
	OpCountTokens Op = "count_tokens"
	// OpEmbed asks for the vectors of texts.
	OpEmbed Op = "embed"
	// OpModerate asks a provider's filter about a text; it is passed as it is,
	// never translated.
	OpModerate Op = "moderate"
	// OpModels lists models. It is answered by the gateway itself.
	OpModels Op = "models"
	// OpRaw is any other path of a vendor: passed as it is, never translated.
	OpRaw Op = "raw"
)

// Ops lists every operation, for tables that must have a row for each.
func Ops() []Op { return []Op{OpChat, OpCountTokens, OpEmbed, OpModerate, OpModels, OpRaw} }
