package llm

import "github.com/go-json-experiment/json/jsontext"

// EventKind says what a stream event is.
type EventKind string

// The kinds of event. A stream is Start, then blocks (BlockStart, Delta...,
// BlockStop, one block open at a time), with UsageEvents and native deltas
// anywhere, and exactly one terminal event: FinishEvent or ErrorEvent.
const (
	// EventStart opens the stream: ID, Model, Created.
	EventStart EventKind = "start"
	// EventBlockStart opens block Index: Block.
	EventBlockStart EventKind = "block_start"
	// EventDelta adds to block Index: Delta.
	EventDelta EventKind = "delta"
	// EventBlockStop closes block Index.
	EventBlockStop EventKind = "block_stop"
	// EventUsage carries Usage; the last one of a stream is the true one and
	// replaces all before it (decoders merge partial figures themselves).
	EventUsage EventKind = "usage"
	// EventFinish ends the stream well: Finish.
	EventFinish EventKind = "finish"
	// EventError ends the stream badly: Err.
	EventError EventKind = "error"
	// EventPing says only that the provider is alive.
	EventPing EventKind = "ping"
)

// Event is one step of a streamed answer.
type Event struct {
	Kind EventKind
	// Index numbers the block, from 0, rising by one.
	Index int
	// ID, Model and Created belong to EventStart; Created is in Unix seconds.
	ID, Model string
	Created   int64
	Block     BlockHead
	Delta     Delta
	// Usage belongs to EventUsage. EventStart has it too when the provider
	// names the prompt's size first; an EventUsage follows all the same.
	Usage  Usage
	Finish Finish
	Err    *Error
	// From is the dialect that Block.Raw, Delta.Raw and Ext are written in;
	// empty when the event has none of them.
	From Dialect
	// Ext holds the native members of the message, block or delta that no word
	// of ours holds; encoders of the same dialect write them back.
	Ext []Member
}

// BlockHead opens a block of a streamed answer.
type BlockHead struct {
	// Kind is ItemMessage (text or refusal), ItemReasoning, ItemToolCall or
	// ItemOpaque.
	Kind ItemKind
	// ID and Name belong to a tool call. Of reasoning, ID is the item's own id
	// where its dialect gives it one, and Name the format in which its provider
	// may sign it, in the words of Opaque.Issuer; empty when there is no sign
	// that it will.
	ID, Name string
	// Custom marks a tool call with free-text input.
	Custom bool
	// Opaque is state that arrives whole with the block (redacted thinking).
	Opaque []Opaque
	// Type and Raw are the native name and bytes of an ItemOpaque.
	Type string
	Raw  jsontext.Value
}

// DeltaKind says what a Delta adds.
type DeltaKind string

// The kinds of delta.
const (
	DeltaText      DeltaKind = "text"
	DeltaRefusal   DeltaKind = "refusal"
	DeltaReasoning DeltaKind = "reasoning"
	// DeltaArguments adds bytes to a tool call's arguments; the bytes of all
	// deltas joined are the arguments as the model wrote them.
	DeltaArguments DeltaKind = "arguments"
	// DeltaOpaque gives state of the block, such as a signature; it replaces
	// any state of the same issuer and kind before it.
	DeltaOpaque DeltaKind = "opaque"
	// DeltaNative is a delta that only its own dialect can express. It may
	// stand outside blocks, anywhere behind the start; then it belongs to the
	// message, and its Index says nothing.
	DeltaNative DeltaKind = "native"
)

// Delta is what an event adds to a block.
type Delta struct {
	Kind   DeltaKind
	Text   string
	Opaque Opaque
	// Type and Raw are the native name and bytes of a DeltaNative.
	Type string
	Raw  jsontext.Value
}
