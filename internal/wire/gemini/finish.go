package gemini

import (
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// finishOf reads a finishReason; older servers and some SDKs write the number
// of the enum. calls says that the answer holds tool calls, for which this
// dialect has no word.
func finishOf(native string, calls bool) llm.FinishReason {
	switch native {
	case "":
		return ""
	case "STOP", "1":
		if calls {
			return llm.FinishToolCalls
		}
		return llm.FinishStop
	case "MAX_TOKENS", "2":
		return llm.FinishLength
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "3", "4":
		return llm.FinishRefusal
	case "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
		"LANGUAGE", "OTHER", "NO_IMAGE", "IMAGE_OTHER", "5":
		return llm.FinishFailed
	}
	return llm.FinishOther
}

// blocked reports the reason for which a prompt was blocked, "" when it was
// not: then there are no candidates, and that is no success.
func blocked(feedback []byte) string {
	v := get(feedback, "blockReason")
	if s, ok := str(v); ok {
		if s == "BLOCK_REASON_UNSPECIFIED" || s == "BLOCKED_REASON_UNSPECIFIED" {
			return ""
		}
		return s
	}
	if isNull(v) {
		return ""
	}
	return string(v)
}

// category gives that of a refusal: for SAFETY that of the rating that blocked.
func category(reason string, ratings jsontext.Value) string {
	switch reason {
	case "SAFETY", "IMAGE_SAFETY", "3":
		for a := span.ReadArray(ratings); a.Next(); {
			if string(get(a.Val, "blocked")) == "true" {
				return llm.CategoryOf(text(get(a.Val, "category")))
			}
		}
		return "safety"
	case "4":
		return "copyright"
	case "OTHER":
		return "other"
	}
	return llm.CategoryOf(reason)
}

// finishReason writes a finish for a client of this dialect. refusal says that
// the model declined in words.
func finishReason(f *llm.Finish, from llm.Dialect, refusal bool) string {
	if from == llm.Gemini && f.Native != "" {
		return f.Native
	}
	switch f.Reason {
	case llm.FinishLength, llm.FinishContext, llm.FinishPaused:
		return "MAX_TOKENS"
	case llm.FinishRefusal:
		return "SAFETY"
	case llm.FinishFailed, llm.FinishOther:
		return "OTHER"
	}
	if refusal {
		return "SAFETY"
	}
	return "STOP"
}
