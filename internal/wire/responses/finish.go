package responses

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// readFinish derives the finish from the status, from why the answer is
// incomplete, and from what it really holds: text says that a refusal does not
// stand alone.
func readFinish(status string, details jsontext.Value, calls, refused, text bool) llm.Finish {
	f := llm.Finish{Native: status}
	if span.IsObject(details) {
		f.Details = bytes.Clone(details)
	}
	switch status {
	case "completed", "": // some compatible servers leave it out
		switch {
		case refused:
			f.Reason = llm.FinishRefusal
			f.Refused.Phase = llm.RefusedPrompt
			if text {
				f.Refused.Phase = llm.RefusedOutput
			}
		case calls:
			f.Reason = llm.FinishToolCalls
		default:
			f.Reason = llm.FinishStop
		}
	case "incomplete":
		switch span.Text(span.Field(details, "reason")) {
		case "content_filter":
			f.Reason = llm.FinishRefusal
			f.Refused.Phase = llm.RefusedOutput
		default: // max_output_tokens; some say nothing
			f.Reason = llm.FinishLength
		}
	case "in_progress", "queued": // made in the background
		f.Reason = llm.FinishPaused
	case "failed", "cancelled":
		f.Reason = llm.FinishFailed
	default:
		f.Reason = llm.FinishOther
	}
	return f
}

// writeFinish gives the status and the incomplete_details for a client; own
// says that the finish was made on this wire, and said that the answer holds a
// refusal in words, which is a complete answer here.
func writeFinish(f *llm.Finish, own, said bool) (status string, details jsontext.Value) {
	if own && f.Native != "" {
		return f.Native, f.Details
	}
	switch f.Reason {
	case llm.FinishLength, llm.FinishContext, llm.FinishPaused:
		return "incomplete", jsontext.Value(`{"reason":"max_output_tokens"}`)
	case llm.FinishRefusal:
		if !said {
			return "incomplete", jsontext.Value(`{"reason":"content_filter"}`)
		}
	case llm.FinishFailed:
		return "failed", nil
	}
	return "completed", nil
}
