package forms

import (
	"cmp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Filtered gives the category of the first filter that acted, in the results of
// Azure's content filters; empty when none did.
func Filtered(results jsontext.Value) string {
	if !span.IsObject(results) {
		return ""
	}
	for name, v := range span.Fields(results) {
		if acted := string(span.Field(v, "filtered")); acted == "true" || string(span.Field(v, "detected")) == "true" && acted == "" {
			return llm.CategoryOf(string(name))
		}
	}
	return ""
}

// refusedBy says more of an error that is a refusal; inner is its object, where
// it has one.
func refusedBy(e *llm.Error, inner jsontext.Value) llm.Refused {
	r := llm.Refused{Phase: llm.RefusedPrompt, Category: cmp.Or(llm.CategoryIn(e.Code), llm.CategoryIn(e.Type))}
	// DashScope and MiniMax look at what was made, too (2026-11).
	if strings.HasPrefix(strings.ToLower(e.Message), "output data") || e.Code == "1027" {
		r.Phase = llm.RefusedOutput
	}
	if r.Category == "" {
		r.Category = Filtered(span.At(inner, "innererror", "content_filter_result"))
	}
	if r.Category == "" { // OpenRouter
		for _, why := range span.Elements(span.At(inner, "metadata", "reasons")) {
			r.Category = llm.CategoryOf(span.Text(why))
			break
		}
	}
	return r
}
