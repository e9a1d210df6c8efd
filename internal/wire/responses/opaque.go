package responses

import (
	"encoding/base64"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// wrapped begins encrypted_content that the gateway made to carry another
// issuer's state through a Responses client, which keeps reasoning items and
// returns them.
const wrapped = "hr1."

// wrapOpaque puts foreign state into encrypted_content: "hr1." and the
// base64url of {"i":issuer,"b":provider,"k":kind,"d":data}.
func wrapOpaque(o llm.Opaque) string {
	w := span.Open(nil)
	w.Str("i", o.Issuer)
	if o.By != "" {
		w.Str("b", o.By)
	}
	w.Str("k", o.Kind)
	w.Str("d", o.Data)
	return wrapped + base64.RawURLEncoding.EncodeToString(w.Close())
}

// opaqueOf turns encrypted_content into state. One of ours is unwrapped; a
// broken one of ours is kept as unknown, so that it goes to nobody. issuer is
// what the item itself says (OpenRouter's format), "" when it does not.
func opaqueOf(s, issuer string) (llm.Opaque, bool) {
	if s == "" {
		return llm.Opaque{}, false
	}
	if issuer == "" {
		issuer = llm.IssuerOpenAI
	}
	rest, ours := strings.CutPrefix(s, wrapped)
	if !ours {
		return llm.Opaque{Issuer: issuer, Kind: llm.OpaqueEncrypted, Data: s}, true
	}
	if b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(rest, "=")); err == nil && span.Valid(b) {
		o := llm.Opaque{Issuer: span.Text(span.Field(b, "i")), By: span.Text(span.Field(b, "b")), Kind: span.Text(span.Field(b, "k")), Data: span.Text(span.Field(b, "d"))}
		if o.Issuer != "" {
			return o, o.Data != ""
		}
	}
	return llm.Opaque{Issuer: llm.IssuerUnknown, Kind: llm.OpaqueEncrypted, Data: s}, true
}

// native says that the state was made on this wire, in whatever vendor's hands:
// OpenRouter's words for these all end alike (openai-responses-v1,
// azure-openai-responses-v1, xai-responses-v1, ...). Which of them can read it
// is decided by Opaque.By, not here.
func native(o *llm.Opaque) bool {
	return o.Kind == llm.OpaqueEncrypted && o.Data != "" && strings.HasSuffix(o.Issuer, "responses-v1")
}

// genuine finds the state of a thought that a provider of this dialect can
// read.
func genuine(os []llm.Opaque) (string, bool) {
	for i := range os {
		if native(&os[i]) {
			return os[i].Data, true
		}
	}
	return "", false
}

// unsigned is the encrypted_content of a thought that has no state and was
// made on another wire. It marks the item as one that no provider of this
// dialect knows: sent there, its id would be looked up in vain (a 404), and
// some clients send no id at all.
var unsigned = wrapOpaque(llm.Opaque{Issuer: llm.IssuerUnknown})

// carried gives the encrypted_content under which a client of this dialect
// keeps the state of a thought, whoever made it; for a foreign thought without
// state it is a mark, for one of our own dialect "".
func carried(os []llm.Opaque, own bool) string {
	if data, ok := genuine(os); ok {
		return data
	}
	for i := range os {
		if os[i].Data != "" {
			return wrapOpaque(os[i])
		}
	}
	if own {
		return ""
	}
	return unsigned
}
