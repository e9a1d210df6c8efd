package anthropic

import (
	"slices"
	"strconv"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// uncounted are the members of a Messages request that a count_tokens request
// must not have: they say how to answer, not what is asked (API reference,
// 2026-11).
var uncounted = []string{"max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier", "inference_geo", "container"}

// EncodeCount writes POST /v1/messages/count_tokens for one target: the request
// as EncodeRequest writes it, without what only concerns the answer. What that
// loses is no loss to a count.
func (c Codec) EncodeCount(r *llm.Request, model string, target *llm.Capability) (llm.Encoded, error) {
	out, err := c.EncodeRequest(r, model, target)
	if err != nil {
		return out, err
	}
	body := slices.Concat(out.Body...)
	members, err := span.Members(nil, body, nil)
	if err != nil {
		return out, err
	}
	kept := []byte{'{'}
	for i := range members {
		m := &members[i]
		if slices.Contains(uncounted, m.Name) {
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		kept = append(kept, body[m.Key.From:m.Value.To]...)
	}
	out.Body = [][]byte{append(kept, '}')}
	out.Losses = slices.DeleteFunc(out.Losses, func(l llm.Loss) bool { return l.Kind != llm.LossRefuse })
	return out, nil
}

// AppendCount appends the answer to a count_tokens request.
func (Codec) AppendCount(dst []byte, n int64) []byte {
	dst = append(dst, `{"input_tokens":`...)
	return append(strconv.AppendInt(dst, n, 10), '}')
}

// DecodeCount reads the answer to a count_tokens request. Errors are *llm.Error
// of class MalformedUpstream.
func (Codec) DecodeCount(body []byte) (int64, error) {
	n, ok := integer(get(body, "input_tokens"))
	if !ok || n < 0 || !validJSON(body) {
		return 0, malformed("the answer is not a token count", body)
	}
	return n, nil
}
