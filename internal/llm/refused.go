package llm

import "strings"

// Refused says when and why a provider refused the content. The zero value
// says that it did not.
type Refused struct {
	// Phase is when; it is never empty in a refusal.
	Phase RefusalPhase
	// Category is why, one of Categories; empty when the provider does not say.
	Category string
}

// RefusalPhase is when content was refused.
type RefusalPhase string

// The phases of a refusal.
const (
	// RefusedPrompt: before anything was answered.
	RefusedPrompt RefusalPhase = "prompt"
	// RefusedOutput: the answer had begun, or was made and kept back.
	RefusedOutput RefusalPhase = "output"
)

// Categories are all categories of refusals. They are few, so that refusals can
// be counted by them.
func Categories() []string {
	return []string{"bio", "blocklist", "civic", "copyright", "cyber", "dangerous", "frontier_llm", "general_harms", "harassment",
		"hate", "jailbreak", "minors", "misalignment", "other", "personal_data", "reasoning_extraction", "safety", "self_harm", "sexual", "violence"}
}

// categories are the providers' own words for them, as CategoryOf looks them
// up: Claude's stop_details, Gemini's block and finish reasons and harm
// categories, Azure's filters, OpenAI's codes and moderation (2026-11). Words
// that say no more than that there was a refusal are left out.
var categories = map[string]string{
	"bio": "bio", "bio_policy": "bio",
	"blocklist": "blocklist", "custom_blocklists": "blocklist", "profanity": "blocklist",
	"civic_integrity": "civic",
	"recitation":      "copyright", "image_recitation": "copyright", "protected_material_text": "copyright", "protected_material_code": "copyright",
	"cyber":             "cyber",
	"dangerous_content": "dangerous", "dangerous": "dangerous", "illicit": "dangerous", "illicit_violent": "dangerous",
	"frontier_llm":  "frontier_llm",
	"general_harms": "general_harms",
	"harassment":    "harassment", "harassment_threatening": "harassment",
	"hate": "hate", "hate_speech": "hate", "hate_threatening": "hate",
	"jailbreak": "jailbreak", "indirect_attack": "jailbreak", "model_armor": "jailbreak",
	"prohibited_content": "minors", "image_prohibited_content": "minors", "sexual_minors": "minors",
	"misalignment_policy_violation": "misalignment",
	"spii":                          "personal_data",
	"reasoning_extraction":          "reasoning_extraction",
	"safety":                        "safety", "image_safety": "safety",
	"self_harm": "self_harm", "self_harm_intent": "self_harm", "self_harm_instructions": "self_harm",
	"sexual": "sexual", "sexually_explicit": "sexual",
	"violence": "violence", "violence_graphic": "violence",
}

// CategoryOf gives the category that a provider's word stands for: "other" for
// one that is not known, empty for an empty one.
func CategoryOf(word string) string {
	if word == "" {
		return ""
	}
	if c := known(word); c != "" {
		return c
	}
	return "other"
}

// CategoryIn is CategoryOf for a word that may as well be about something else:
// empty for one that is not known.
func CategoryIn(word string) string { return known(word) }

func known(word string) string {
	if len(word) > 64 {
		return ""
	}
	w := strings.NewReplacer("-", "_", "/", "_", " ", "_").Replace(strings.ToLower(word))
	return categories[strings.TrimPrefix(w, "harm_category_")]
}
