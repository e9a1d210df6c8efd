package openai

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// DecodeError reads an error answer in any of the forms that compatible
// vendors use.
func (Codec) DecodeError(status int, h http.Header, body []byte) *llm.Error {
	return forms.DecodeError(llm.OpenAI, status, h, body)
}

// EncodeError gives the status and the body with which a client of this
// dialect sees the error.
func (Codec) EncodeError(e *llm.Error) (status int, body []byte) { return forms.EncodeError(e) }

// AppendStreamError appends the error as a chunk of its own. No [DONE] follows
// it: the stream did not end well. SDKs raise on any chunk with an error.
func (Codec) AppendStreamError(dst []byte, e *llm.Error) []byte {
	dst = append(dst, `data: {"error":`...)
	dst = forms.AppendError(dst, e)
	return append(dst, "}\n\n"...)
}
