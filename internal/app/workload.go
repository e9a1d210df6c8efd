package app

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/gateway"
	"headrace/internal/llm"
	"headrace/internal/tokens"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
)

// Workload reads requests as JSON lines: bodies of any dialect, or the lines of an
// OpenAI or Anthropic batch. Their answers are taken to be output tokens long, or
// as long as their cap where that is less. It asks nobody.
func (Program) Workload(text []byte, output int64) ([]admin.WorkItem, error) {
	var items []admin.WorkItem
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		one, err := workItem(line, output)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		items = append(items, one)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("there is no request in it")
	}
	return items, nil
}

func workItem(line []byte, output int64) (i admin.WorkItem, err error) {
	var of struct {
		URL    string         `json:"url"`
		Body   jsontext.Value `json:"body"`
		Params jsontext.Value `json:"params"`
	}
	if err := json.Unmarshal(line, &of); err != nil {
		return i, fmt.Errorf("it is no JSON object")
	}
	body, dialect := jsontext.Value(line), llm.Dialect("")
	switch {
	case len(of.Params) > 0:
		body, dialect = of.Params, llm.Anthropic
	case len(of.Body) > 0:
		body = of.Body
		if strings.HasSuffix(of.URL, "/messages") {
			dialect = llm.Anthropic
		}
	}
	var has struct {
		Messages jsontext.Value              `json:"messages"`
		Input    jsontext.Value              `json:"input"`
		Contents jsontext.Value              `json:"contents"`
		System   jsontext.Value              `json:"system"`
		Tools    []map[string]jsontext.Value `json:"tools"`
	}
	if err := json.Unmarshal(body, &has); err != nil {
		return i, fmt.Errorf("it is no request")
	}
	if dialect == "" {
		dialect = guess(len(has.Messages) > 0, len(has.Input) > 0, len(has.Contents) > 0, len(has.System) > 0 || len(has.Tools) > 0 && has.Tools[0]["input_schema"] != nil)
	}
	codec := map[llm.Dialect]gateway.Codec{llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{}, llm.Responses: responses.Codec{}, llm.Gemini: gemini.Codec{}}[dialect]
	if codec == nil {
		return i, fmt.Errorf("it has neither messages nor input nor contents")
	}
	head, err := codec.Head(llm.OpChat, body)
	if err != nil {
		return i, err
	}
	d := llm.NewDraft(dialect, llm.OpChat, body, head, codec.DecodeRequest)
	if _, err := d.Request(); err != nil {
		return i, err
	}
	count := func(f tokens.Family) int64 { return tokens.Estimate(body, f) }
	if head.MaxTokens > 0 {
		output = min(output, head.MaxTokens)
	}
	return admin.WorkItem{Claude5: count(tokens.Claude5), Claude4: count(tokens.Claude4), GPT: count(tokens.GPT), Gemini: count(tokens.Gemini), Other: count(tokens.Other),
		Output: output, Needs: strings.Join(catalog.NamesOf(gateway.Features(&d)), ",")}, nil
}

// guess says which dialect a body is in, by its members.
func guess(messages, input, contents, claude bool) llm.Dialect {
	switch {
	case messages && claude:
		return llm.Anthropic
	case messages:
		return llm.OpenAI
	case input:
		return llm.Responses
	case contents:
		return llm.Gemini
	}
	return ""
}
