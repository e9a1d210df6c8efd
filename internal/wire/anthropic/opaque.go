package anthropic

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// wrapped begins a signature that the gateway made to carry another issuer's
// state through a Messages client, which keeps signatures and returns them.
const wrapped = "hr1."

// wrapOpaque puts foreign state into a signature: "hr1." and the base64url of
// {"i":issuer,"b":provider,"k":kind,"d":data}.
func wrapOpaque(o llm.Opaque) string {
	b := append([]byte(nil), `{"i":`...)
	b = span.Quote(b, o.Issuer)
	if o.By != "" {
		b = append(b, `,"b":`...)
		b = span.Quote(b, o.By)
	}
	b = append(b, `,"k":`...)
	b = span.Quote(b, o.Kind)
	b = append(b, `,"d":`...)
	b = span.Quote(b, o.Data)
	b = append(b, '}')
	return wrapped + base64.RawURLEncoding.EncodeToString(b)
}

// signatureOf turns a signature as a client sends it into state. An empty one
// is none; one of ours is unwrapped; a broken one of ours is kept as unknown,
// so that it goes to nobody.
func signatureOf(s string) (llm.Opaque, bool) {
	if s == "" {
		return llm.Opaque{}, false
	}
	rest, ours := strings.CutPrefix(s, wrapped)
	if !ours {
		return llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: s}, true
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(rest, "="))
	if err == nil && kindOf(b) == '{' {
		var o llm.Opaque
		m := span.ReadObject(b)
		for m.Next() {
			switch string(m.Name) {
			case "i":
				o.Issuer = text(m.Val)
			case "b":
				o.By = text(m.Val)
			case "k":
				o.Kind = text(m.Val)
			case "d":
				o.Data = text(m.Val)
			}
		}
		if !m.Bad && o.Issuer != "" {
			return o, true
		}
	}
	return llm.Opaque{Issuer: llm.IssuerUnknown, Kind: llm.OpaqueSignature, Data: s}, true
}

// genuine finds the state of a reasoning item that Anthropic can read: its own
// signature or redacted block. Anything else is a 400 there, or read by nobody
// (claude-api, replaying thinking, 2026-11).
func genuine(os []llm.Opaque, kind string) (string, bool) {
	for i := range os {
		if os[i].Issuer == llm.IssuerAnthropic && os[i].Kind == kind && os[i].Data != "" {
			return os[i].Data, true
		}
	}
	return "", false
}

// foreignSignature gives the signature under which a Messages client may keep
// the state of another issuer; "" when there is none.
func foreignSignature(os []llm.Opaque) string {
	for i := range os {
		if os[i].Data != "" {
			return wrapOpaque(os[i])
		}
	}
	return ""
}

// toolID gives an id that the wire takes: ^[a-zA-Z0-9_-]+$. One that does not
// fit is replaced by a hash of itself, the same on call and result, now and in
// later turns. seed stands in for an empty id.
func toolID(id, seed string) string {
	if id != "" && plainName(id) {
		return id
	}
	if id == "" {
		id = "\x00" + seed
	}
	return "toolu_" + hash(id)
}

// CallID gives the id under which a client of this dialect sees a call of
// another provider: its own where that fits.
func (Codec) CallID(id string) string { return toolID(id, "") }

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:12])
}

func plainName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		return false
	}
	return true
}

// maxToolName is the longest tool name that the Messages API takes (define
// tools, 2026-08: ^[a-zA-Z0-9_-]{1,64}$).
const maxToolName = 64

// toolName gives a name that the wire takes; one that does not fit keeps its
// beginning and gets a hash of the whole.
func toolName(name string) string {
	if name != "" && len(name) <= maxToolName && plainName(name) {
		return name
	}
	b := make([]byte, 0, maxToolName)
	for i := 0; i < len(name) && len(b) < maxToolName-13; i++ {
		if plainName(name[i : i+1]) {
			b = append(b, name[i])
		} else if len(b) > 0 && b[len(b)-1] != '_' {
			b = append(b, '_')
		}
	}
	return string(b) + "_" + hash(name)[:12]
}

// sniff tells an image's or a document's media type from the first bytes of
// its base64, since clients mislabel and the API checks; "" when unknown.
func sniff(data string) string {
	head := data[:min(len(data), 24)]
	head = head[:len(head)/4*4]
	b, err := base64.StdEncoding.DecodeString(head)
	if err != nil {
		return ""
	}
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(b, []byte("GIF8")):
		return "image/gif"
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return "image/webp"
	case bytes.HasPrefix(b, []byte("%PDF-")):
		return "application/pdf"
	}
	return ""
}
