package llm

import "github.com/go-json-experiment/json/jsontext"

// EmbedRequest asks for the vectors of some inputs, in the gateway's own
// words. Read-only once made.
type EmbedRequest struct {
	// From is the dialect it was written in, Raw the body as received.
	From Dialect
	Raw  jsontext.Value
	// Model is the model name as the client wrote it.
	Model string
	// Inputs are what is to be embedded, in order; the answer has a vector for
	// each.
	Inputs []EmbedInput
	// Single says that the client wrote one bare input, not a list of one:
	// dialects with a form of their own for it answer in that form.
	Single bool
	// Dimensions is the length of the vectors wanted; 0 when unsaid.
	Dimensions int64
	// Base64 asks for the vectors as base64 of little-endian float32 (OpenAI's
	// encoding_format).
	Base64 bool
	// Task is what the vectors are for, in Gemini's words, such as
	// "RETRIEVAL_QUERY"; empty when unsaid.
	Task string
	// Truncate says whether an input over the window is cut; nil when unsaid.
	Truncate *bool
	// EndUser is the opaque id of the client's own user, empty when unsaid.
	EndUser string
	// Ext holds the members that no word of ours holds, in source order.
	Ext []Member
}

// EmbedInput is one input: a text, or OpenAI's list of token numbers.
type EmbedInput struct {
	Text string
	// Tokens is the list of token numbers as received; empty for a text.
	Tokens jsontext.Value
	// Title belongs to Gemini's documents, mostly empty.
	Title string
}

// Embeddings is the answer to an EmbedRequest.
type Embeddings struct {
	From  Dialect
	Model string
	// Vectors has one vector for each input, in order.
	Vectors []Vector
	Usage   Usage
	Ext     []Member
	// Took is as in Finish; Prompt and Output say nothing here.
	Took Took
}

// Vector is one embedding as the provider spelled it: exactly one of Floats and
// Base64 is set. Floats read as float32 and Base64 mean the same numbers.
type Vector struct {
	// Floats is a JSON array of numbers.
	Floats jsontext.Value
	// Base64 is little-endian float32.
	Base64 string
}
