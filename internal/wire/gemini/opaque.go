package gemini

import (
	"bytes"
	"encoding/base64"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// SkipSignature is what Google documents for a call whose signature is lost or
// was never made: it turns the check off (thought signatures, 2026-11).
const SkipSignature = "skip_thought_signature_validator"

// wrapped begins a thoughtSignature that the gateway made to carry another
// issuer's state through a Gemini client. The field is bytes, so all of it is
// base64: these eight characters are hr1.{" and stand for themselves wherever
// they occur.
const wrapped = "aHIxLnsi"

// wrap puts foreign state into a thoughtSignature: the base64 of "hr1." and
// {"i":issuer,"b":provider,"k":kind,"d":data}.
func wrap(dst []byte, o *llm.Opaque) []byte {
	b := append([]byte(nil), `hr1.{"i":`...)
	b = span.Quote(b, o.Issuer)
	if o.By != "" {
		b = span.Quote(key(b, "b"), o.By)
	}
	b = span.Quote(key(b, "k"), o.Kind)
	b = span.Quote(key(b, "d"), o.Data)
	return base64.StdEncoding.AppendEncode(dst, append(b, '}'))
}

// signatureOf turns a thoughtSignature into state. An empty one is none, and
// the sentinel is none; one of ours is unwrapped; a broken one of ours is kept
// as unknown, so that it goes to nobody. SDKs that hold bytes may have changed
// the alphabet and the padding.
func signatureOf(s string) (llm.Opaque, bool) {
	if s == "" || sentinel(s) {
		return llm.Opaque{}, false
	}
	if !strings.HasPrefix(s, wrapped) {
		return llm.Opaque{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: s}, true
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(plain)
	if err == nil {
		b = bytes.TrimPrefix(b, []byte("hr1."))
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

// sentinel reports whether a signature is the documented stand-in, as it is or
// as an SDK that holds bytes spells it.
func sentinel(s string) bool {
	if s == SkipSignature || s == "context_engineering_is_the_way_to_go" {
		return true
	}
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && string(b) == SkipSignature
}

// genuine gives the thought signature that Google itself made; "" when there
// is none.
func genuine(os []llm.Opaque) string {
	for i := range os {
		if os[i].Issuer == llm.IssuerGemini && os[i].Data != "" {
			return os[i].Data
		}
	}
	return ""
}

// appendSignature writes the thoughtSignature member for a client: Google's
// own as it is, the state of another issuer wrapped; nothing when there is no
// state.
func appendSignature(b []byte, os []llm.Opaque) []byte {
	if s := genuine(os); s != "" {
		return span.Quote(key(b, "thoughtSignature"), s)
	}
	for i := range os {
		if os[i].Data != "" {
			b = append(key(b, "thoughtSignature"), '"')
			return append(wrap(b, &os[i]), '"')
		}
	}
	return b
}

// maxToolName is the longest tool name that every model takes; newer ones take
// 128 (facts of 2026-11).
const maxToolName = 64

// toolName gives a name that the wire takes: a letter or an underscore, then
// letters, digits and _ . : -. One that does not fit keeps its beginning and
// gets a hash of the whole.
func toolName(name string) string {
	ok := name != "" && len(name) <= maxToolName && starts(name[0])
	for i := 0; ok && i < len(name); i++ {
		ok = follows(name[i])
	}
	if ok {
		return name
	}
	b := make([]byte, 0, maxToolName)
	for i := 0; i < len(name) && len(b) < maxToolName-13; i++ {
		switch c := name[i]; {
		case len(b) == 0 && !starts(c):
			b = append(b, '_')
			if follows(c) {
				b = append(b, c)
			}
		case follows(c):
			b = append(b, c)
		case b[len(b)-1] != '_':
			b = append(b, '_')
		}
	}
	if len(b) == 0 {
		b = append(b, '_')
	}
	return string(b) + "_" + hash(name)[:12]
}

func starts(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func follows(c byte) bool {
	return starts(c) || '0' <= c && c <= '9' || c == '.' || c == ':' || c == '-'
}
