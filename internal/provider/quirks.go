package provider

import (
	"strings"

	"headrace/internal/llm"
)

// Quirk is how one provider differs from its dialect. Each hook is nil-able and
// changes one value; none replaces a step of a codec.
type Quirk struct {
	// Usage corrects the figures that the dialect's rules gave.
	Usage func(model string, u *llm.Usage)
	// Error corrects the class that the dialect's rules gave.
	Error func(*llm.Error)
}

// quirks has a row for every quirk that a catalogue row names; "" is none.
var quirks = map[string]Quirk{
	"": {},
	// xAI's completion_tokens leave the reasoning tokens out (wire facts 5.7,
	// 2026-11).
	"xai": {Usage: func(_ string, u *llm.Usage) { u.Output += u.Reasoning }},
	// So do DeepInfra's, for Google's models only.
	"deepinfra": {Usage: func(model string, u *llm.Usage) {
		if strings.HasPrefix(model, "google/") {
			u.Output += u.Reasoning
		}
	}},
	// Fireworks says 412 for a suspended account and 503 for overload.
	"fireworks": {Error: func(e *llm.Error) {
		switch e.Status {
		case 412:
			e.Class = llm.QuotaExhausted
		case 503:
			e.Class = llm.Overloaded
		}
	}},
}
