package openai

import (
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// extraContent is the member of a tool call in which Google's compatible door
// gives its thought signature and takes it back (2026-11).
const extraContent = "extra_content"

// callState reads what a call's extra_content holds of Google's.
func callState(extra jsontext.Value) []llm.Opaque {
	if s := span.Text(span.At(extra, "google", "thought_signature")); s != "" {
		return []llm.Opaque{{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: s}}
	}
	return nil
}

// appendCallState writes Google's signature of a call as the member
// extra_content, with a comma before it; nothing when there is none.
func appendCallState(dst []byte, os []llm.Opaque) []byte {
	for i := range os {
		if os[i].Issuer == llm.IssuerGemini && os[i].Data != "" {
			dst = append(dst, `,"extra_content":{"google":{"thought_signature":`...)
			dst = span.Quote(dst, os[i].Data)
			return append(dst, "}}"...)
		}
	}
	return dst
}
