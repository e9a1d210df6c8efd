package gemini

import (
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// EncodeCount writes a countTokens request: of the whole request, so that
// tools and instructions count. Vertex takes them bare.
func (c Codec) EncodeCount(r *llm.Request, model string, to *llm.Capability) (llm.Encoded, error) {
	e, err := c.EncodeRequest(r, model, to)
	if err != nil || c.Vertex {
		return e, err
	}
	var whole []byte
	for _, s := range e.Body {
		whole = append(whole, s...)
	}
	b := span.Quote([]byte(`{"generateContentRequest":{"model":`), "models/"+model)
	for o := span.ReadObject(whole); o.Next(); {
		switch canon(o.Name) {
		case "model", "store", "serviceTier":
			continue
		}
		b = append(append(comma(b), o.Quoted()...), ':')
		b = append(b, o.Val...)
	}
	e.Body = [][]byte{append(b, "}}"...)}
	return e, nil
}

// DecodeCount reads the answer to a countTokens request.
func (Codec) DecodeCount(body []byte) (int64, error) {
	n, ok := integer(get(body, "totalTokens"))
	if !ok || !validJSON(body) {
		return 0, malformed("the answer is not a token count", body)
	}
	return n, nil
}

// AppendCount writes the answer to a countTokens request.
func (Codec) AppendCount(dst []byte, n int64) []byte {
	dst = append(dst, `{"totalTokens":`...)
	return append(strconv.AppendInt(dst, n, 10), '}')
}
