package llm

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Role says who speaks an item.
type Role string

// The roles. Developer is OpenAI's newer name for instructions; targets that
// do not know it get System.
const (
	System    Role = "system"
	Developer Role = "developer"
	User      Role = "user"
	Assistant Role = "assistant"
)

// ItemKind says what an Item is.
type ItemKind string

// The kinds of item.
const (
	// ItemMessage is text and media: Role and Blocks hold it.
	ItemMessage ItemKind = "message"
	// ItemReasoning is thinking of the assistant: Blocks hold the visible text
	// (none when it is withheld), Opaque the signature or encrypted form.
	ItemReasoning ItemKind = "reasoning"
	// ItemToolCall is a call the assistant made: Call holds it.
	ItemToolCall ItemKind = "tool_call"
	// ItemToolResult is the answer to a call: Result names the call, Blocks
	// hold the content.
	ItemToolResult ItemKind = "tool_result"
	// ItemOpaque is anything that only its own dialect can express (server
	// tools, compaction, ...): Raw holds it, Type names it.
	ItemOpaque ItemKind = "opaque"
)

// Item is one step of a conversation. A conversation is an ordered list of
// items; grouping them into turns is the encoder's business.
type Item struct {
	Kind ItemKind
	Role Role
	// Turn numbers the source message that the item came in, from 0. Items of
	// one Turn stood in one message, in this order.
	Turn int
	// Path is where the item stands in the source, such as
	// "messages.2.content.0", for losses and errors.
	Path string
	// Type is the native name of an ItemOpaque, such as "server_tool_use".
	Type string
	// ID is the item's own id where its dialect gives it one.
	ID string
	// Name is the speaker's name (OpenAI's message name), mostly empty.
	Name   string
	Blocks []Block
	Call   Call
	Result Result
	// Tools are those that an ItemOpaque offers from here on.
	Tools []Tool
	// Opaque holds signatures and encrypted state that only Issuer can read.
	Opaque []Opaque
	// Cache is the cache mark on the item itself (a tool call or result), raw
	// as received; empty means none. Marks on content sit on its blocks.
	Cache jsontext.Value
	// From is the dialect that Raw and Ext are written in.
	From Dialect
	// Raw is the item as received, when it was an object of its own.
	Raw jsontext.Value
	// Ext holds members that no word of ours holds.
	Ext []Member
}

// Text joins the text blocks of the item.
func (it *Item) Text() string {
	if len(it.Blocks) == 1 {
		return it.Blocks[0].Text
	}
	var s []byte
	for i := range it.Blocks {
		s = append(s, it.Blocks[i].Text...)
	}
	return string(s)
}

// Member is one member of a JSON object that is carried, not understood.
type Member struct {
	Name  string
	Value jsontext.Value
}

// BlockKind says what a Block is.
type BlockKind string

// The kinds of block.
const (
	BlockText    BlockKind = "text"
	BlockRefusal BlockKind = "refusal"
	BlockImage   BlockKind = "image"
	// BlockFile is a document: a PDF, a text, a file by id.
	BlockFile  BlockKind = "file"
	BlockAudio BlockKind = "audio"
	// BlockOpaque is anything that only its own dialect can express.
	BlockOpaque BlockKind = "opaque"
)

// Block is one piece of content.
type Block struct {
	Kind BlockKind
	// Text is the text of BlockText and BlockRefusal.
	Text string
	// Media is the source of BlockImage, BlockFile and BlockAudio.
	Media Media
	// Type is the native name of a BlockOpaque, such as "search_result".
	Type string
	// Cache is the cache mark of the block, raw as received; empty means none.
	Cache jsontext.Value
	// Citations are the native citations on a text, raw as received.
	Citations jsontext.Value
	// From is the dialect that Raw and Ext are written in.
	From Dialect
	// Raw is the block as received; empty for a bare string.
	Raw jsontext.Value
	Ext []Member
}

// Media is where an image, a document or a sound comes from. Exactly one of
// Data, URL, FileID and Text is set.
type Media struct {
	// MIME is the media type, such as "image/png"; empty when unsaid.
	MIME string
	// Data is base64 as received, without a data: prefix.
	Data string
	URL  string
	// FileID is known only to the provider that gave it.
	FileID string
	// Text is a document given as plain text.
	Text string
	// Name is the file name or title, mostly empty.
	Name string
	// Detail is OpenAI's image detail, mostly empty.
	Detail string
}

// Call is a tool call.
type Call struct {
	ID   string
	Name string
	// Arguments are the bytes that the model wrote, never re-marshalled. They
	// ought to be a JSON object, but a cut call may be broken or empty.
	Arguments []byte
	// Custom marks a call whose input is free text (OpenAI custom tools).
	Custom bool
}

// Result says which call a tool result answers.
type Result struct {
	CallID string
	// Name is the tool's name where the dialect repeats it, mostly empty.
	Name    string
	IsError bool
}

// Opaque is state that one issuer made and only it can read: a thinking
// signature, encrypted reasoning, a thought signature.
type Opaque struct {
	// Issuer names who made it, in OpenRouter's published words for the
	// reasoning formats where there is one: "anthropic-claude-v1",
	// "openai-responses-v1", "google-gemini-v1".
	Issuer string
	// By is the id of the provider that made it, where that is known: what one
	// account made another of the same kind cannot read. Empty when unknown,
	// Nobody when it was refused by whoever made it.
	By string
	// Kind says what it is: "signature", "redacted", "encrypted".
	Kind string
	Data string
}

// Nobody is Opaque.By of state that no provider reads any more.
const Nobody = "-"

// Bound reports whether the state can be read only by the account that made
// it: OpenAI's encrypted reasoning and Gemini's thought signatures. Anthropic
// drops what another account made by itself (claude-api, 2026-11).
func (o *Opaque) Bound() bool {
	return o.Issuer == IssuerGemini || strings.HasSuffix(o.Issuer, "responses-v1")
}

// Readable reports whether a provider can be sent the state, as far as is
// known.
func (o *Opaque) Readable(provider string) bool {
	return o.By == "" || o.By == provider || o.By != Nobody && !o.Bound()
}

// The issuers and kinds in use.
const (
	IssuerAnthropic = "anthropic-claude-v1"
	IssuerOpenAI    = "openai-responses-v1"
	IssuerGemini    = "google-gemini-v1"
	IssuerUnknown   = "unknown"

	OpaqueSignature = "signature"
	OpaqueRedacted  = "redacted"
	OpaqueEncrypted = "encrypted"
)
