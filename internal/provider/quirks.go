package provider

import (
	"strings"

	"github.com/go-json-experiment/json"

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
	// xAI's completion_tokens leave the reasoning tokens out (recorded in 40
	// answers of 40, 2026).
	"xai": {Usage: func(_ string, u *llm.Usage) { reasoningBeside(u) }},
	// So do DeepInfra's, for Google's models only.
	"deepinfra": {Usage: func(model string, u *llm.Usage) {
		if strings.HasPrefix(model, "google/") {
			reasoningBeside(u)
		}
	}},
	// Z.ai and Zhipu tell everything by numbers, under 429 and 400 alike
	// (docs.z.ai/api-reference/api-code, 2026-11).
	"zai": {Error: func(e *llm.Error) {
		if c, ok := zai[e.Code]; ok {
			e.Class = c
			if c == llm.ContentRefused {
				e.Refused.Phase = llm.RefusedPrompt
			}
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

// reasoningBeside counts the output of a Chat usage object in which
// completion_tokens do not hold the reasoning tokens. It starts from what the
// provider sent: the dialect's rules may have seen it by the total already.
func reasoningBeside(u *llm.Usage) {
	var raw struct {
		Completion *int64 `json:"completion_tokens"`
		Details    struct {
			Reasoning int64 `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	}
	if json.Unmarshal(u.Raw, &raw) != nil || raw.Completion == nil || *raw.Completion < 0 || raw.Details.Reasoning <= 0 {
		return
	}
	const most = 1 << 50
	u.Reasoning = min(raw.Details.Reasoning, most)
	u.Output = min(*raw.Completion, most) + u.Reasoning
}

// zai maps the business codes of Z.ai and Zhipu.
var zai = map[string]llm.Class{
	"500": llm.ServerError, "1000": llm.Auth, "1001": llm.Auth, "1002": llm.Auth, "1003": llm.Auth, "1004": llm.Auth,
	"1110": llm.Auth, "1111": llm.Auth, "1112": llm.Auth, "1113": llm.QuotaExhausted, "1120": llm.ServerError, "1121": llm.Auth,
	"1211": llm.ModelNotFound, "1220": llm.ModelNotFound, "1221": llm.ModelNotFound, "1230": llm.ServerError, "1234": llm.ServerError,
	"1261": llm.ContextOverflow, "1300": llm.ContentRefused, "1301": llm.ContentRefused, "1302": llm.RateLimited,
	"1303": llm.RateLimited, "1304": llm.QuotaExhausted, "1305": llm.RateLimited, "1308": llm.QuotaExhausted,
	"1309": llm.QuotaExhausted, "1310": llm.QuotaExhausted, "1311": llm.ModelNotFound, "1312": llm.Overloaded, "1313": llm.QuotaExhausted,
}
