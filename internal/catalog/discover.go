package catalog

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Discovered is one model in a provider's own model list. What the list does
// not say is zero.
type Discovered struct {
	ID, Name, OwnedBy string
	// Created is in Unix seconds.
	Created           int64
	Window, MaxOutput int64
	// Known says that the list tells what the model can do: Says are the
	// features that it speaks of, Has those of them that the model has.
	Known     bool
	Says, Has llm.Feature
	// Gives are the kinds of output where they are not text alone.
	Gives      []string
	Efforts    []string
	ThinkTypes []string
	// Price is nil where the list names none.
	Price      *Price
	Status     Status
	Deprecated time.Time
	Retires    time.Time
}

// maxDiscovered bounds a list: more models than any provider has.
const maxDiscovered = 20_000

// listed is what we read of one entry, over all the shapes that providers give
// (recorded 2025-11 to 2026-11). Members whose shape differs are raw, so that an
// odd one costs that member and not the list.
type listed struct {
	ID          jsontext.Value `json:"id"`
	Model       jsontext.Value `json:"model"`
	Name        jsontext.Value `json:"name"`
	DisplayName jsontext.Value `json:"display_name"`
	OwnedBy     jsontext.Value `json:"owned_by"`
	Created     jsontext.Value `json:"created"`
	CreatedAt   jsontext.Value `json:"created_at"`
	// Windows: Anthropic, OpenRouter and Together, Groq, Mistral, vLLM.
	MaxInput   jsontext.Value `json:"max_input_tokens"`
	Context    jsontext.Value `json:"context_length"`
	ContextWin jsontext.Value `json:"context_window"`
	MaxContext jsontext.Value `json:"max_context_length"`
	MaxLen     jsontext.Value `json:"max_model_len"`
	// Gemini has its own names, Ollama puts the window into details.
	DisplayTitle jsontext.Value `json:"displayName"`
	InputLimit   jsontext.Value `json:"inputTokenLimit"`
	OutputLimit  jsontext.Value `json:"outputTokenLimit"`
	Methods      jsontext.Value `json:"supportedGenerationMethods"`
	Thinks       jsontext.Value `json:"thinking"`
	Details      jsontext.Value `json:"details"`
	// Output caps: Anthropic, Groq, OpenRouter.
	MaxTokens     jsontext.Value `json:"max_tokens"`
	MaxCompletion jsontext.Value `json:"max_completion_tokens"`
	TopProvider   jsontext.Value `json:"top_provider"`

	Capabilities jsontext.Value `json:"capabilities"`
	Architecture jsontext.Value `json:"architecture"`
	Parameters   jsontext.Value `json:"supported_parameters"`
	Reasoning    jsontext.Value `json:"reasoning"`
	Pricing      jsontext.Value `json:"pricing"`

	Lifecycle    jsontext.Value `json:"lifecycle"`
	DeprecatedAt jsontext.Value `json:"deprecated_at"`
	RetiresAt    jsontext.Value `json:"retires_at"`
	Expiration   jsontext.Value `json:"expiration_date"`
	Deprecation  jsontext.Value `json:"deprecation"`
}

// ParseModelList reads a provider's own answer to its models path: an OpenAI
// list (as Groq, Mistral, vLLM, Ollama and others extend it), OpenRouter's with
// prices, Together's bare array, an Anthropic page with capabilities, a Gemini
// page, or Ollama's tags. Order
// is the list's; entries without an id are left out, doubled ones once. An error
// says what is wrong with the body; a page's has_more is the caller's affair.
func ParseModelList(dialect llm.Dialect, body []byte) ([]Discovered, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, errf("model list of the %s dialect: empty", dialect)
	}
	var entries []jsontext.Value
	opts := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if body[0] == '[' {
		if err := json.Unmarshal(body, &entries, opts); err != nil {
			return nil, fmt.Errorf("catalog: model list: %w", err)
		}
	} else {
		var page struct {
			Data   *[]jsontext.Value `json:"data"`
			Models *[]jsontext.Value `json:"models"`
			Error  jsontext.Value    `json:"error"`
		}
		if err := json.Unmarshal(body, &page, opts); err != nil {
			return nil, fmt.Errorf("catalog: model list: %w", err)
		}
		switch {
		case page.Data != nil:
			entries = *page.Data
		case page.Models != nil:
			entries = *page.Models
		case len(page.Error) > 0:
			return nil, errf("model list: the provider answered with an error")
		default:
			return nil, errf("model list: no data in it")
		}
	}
	if len(entries) > maxDiscovered {
		return nil, errf("model list: %d models are too many", len(entries))
	}
	seen := make(map[string]bool, len(entries))
	found := make([]Discovered, 0, len(entries))
	for i, raw := range entries {
		var l listed
		if raw.Kind() != '{' {
			return nil, errf("model list: entry %d is no object", i)
		}
		if err := json.Unmarshal(raw, &l, opts); err != nil {
			return nil, fmt.Errorf("catalog: model list: entry %d: %w", i, err)
		}
		d := l.discovered(dialect)
		if d.ID == "" || strings.ContainsAny(d.ID, "\t\r\n") || seen[d.ID] {
			continue
		}
		seen[d.ID] = true
		found = append(found, d)
	}
	return found, nil
}

func (l *listed) discovered(dialect llm.Dialect) Discovered {
	d := Discovered{OwnedBy: text(l.OwnedBy), Name: text(l.DisplayName)}
	if d.Name == "" {
		d.Name = text(l.DisplayTitle)
	}
	d.ID = text(l.ID)
	if d.ID == "" {
		d.ID = text(l.Model)
	}
	if d.ID == "" {
		d.ID = text(l.Name)
	}
	if d.Name == "" {
		if n := text(l.Name); n != d.ID {
			d.Name = n
		}
	}
	d.Created = number(l.Created)
	if t := date(l.CreatedAt); !t.IsZero() {
		d.Created = t.Unix()
	}
	if dialect == llm.Gemini {
		d.ID = strings.TrimPrefix(d.ID, "models/")
	}
	d.Window = first(l.MaxInput, l.Context, l.ContextWin, l.MaxContext, l.MaxLen, l.InputLimit, member(l.Details, "context_length"))
	d.MaxOutput = first(l.MaxCompletion, l.OutputLimit)
	if dialect == llm.Anthropic {
		d.MaxOutput = first(l.MaxTokens, l.MaxCompletion)
	}
	if d.MaxOutput == 0 {
		d.MaxOutput = number(member(l.TopProvider, "max_completion_tokens"))
	}
	l.capabilities(&d)
	l.price(&d)
	switch text(l.Lifecycle) {
	case "active":
		d.Status = Active
	case "deprecated":
		d.Status = Deprecated
	case "retired":
		d.Status = Retired
	}
	d.Deprecated = date(l.DeprecatedAt)
	for _, v := range []jsontext.Value{l.RetiresAt, l.Expiration, l.Deprecation} {
		if t := date(v); !t.IsZero() && d.Retires.IsZero() {
			d.Retires = t
		}
	}
	return d
}

// capabilities reads what the list says that the model can do.
func (l *listed) capabilities(d *Discovered) {
	say := func(f llm.Feature, on bool) {
		d.Known = true
		d.Says |= f
		if on {
			d.Has |= f
		}
	}
	// Anthropic: capabilities.X.supported; Mistral: capabilities.X.
	for name, f := range map[string]llm.Feature{
		"image_input": llm.Vision, "pdf_input": llm.PDF, "structured_outputs": llm.JSONSchema, "thinking": llm.Thinking,
		"function_calling": llm.Tools, "vision": llm.Vision, "reasoning": llm.Thinking, "audio": llm.AudioInput,
	} {
		v := member(l.Capabilities, name)
		if v.Kind() == '{' {
			v = member(v, "supported")
		}
		if k := v.Kind(); k == 't' || k == 'f' {
			say(f, k == 't')
		}
	}
	if e := member(l.Capabilities, "effort"); len(e) > 0 {
		d.Efforts = []string{}
		for _, level := range efforts {
			if v := member(member(e, level), "supported"); v.Kind() == 't' {
				d.Efforts = append(d.Efforts, level)
			}
		}
	}
	types := member(member(l.Capabilities, "thinking"), "types")
	for _, t := range thinkTypes {
		if v := member(member(types, t), "supported"); v.Kind() == 't' {
			d.ThinkTypes = append(d.ThinkTypes, t)
		}
	}
	// Ollama: a list of words.
	if words := texts(l.Capabilities); words != nil {
		say(llm.Tools, slices.Contains(words, "tools"))
		say(llm.Vision, slices.Contains(words, "vision"))
		say(llm.Thinking, slices.Contains(words, "thinking"))
		say(llm.AudioInput, slices.Contains(words, "audio"))
		if slices.Contains(words, "embedding") {
			d.Gives = []string{"embedding"}
		}
	}
	// Gemini: methods, and whether it thinks.
	if methods := texts(l.Methods); slices.Contains(methods, "embedContent") && !slices.Contains(methods, "generateContent") {
		d.Gives = []string{"embedding"}
	}
	if k := l.Thinks.Kind(); k == 't' || k == 'f' {
		say(llm.Thinking, k == 't')
	}
	// OpenRouter: supported_parameters and architecture.input_modalities.
	if ps := texts(l.Parameters); ps != nil {
		in := func(names ...string) bool {
			return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(ps, n) })
		}
		say(llm.Tools, in("tools"))
		say(llm.ForcedTool, in("tool_choice"))
		say(llm.SamplingParams, in("temperature"))
		say(llm.Thinking, in("reasoning", "include_reasoning"))
		say(llm.JSONSchema, in("structured_outputs"))
		say(llm.JSONObject, in("response_format", "structured_outputs"))
		say(llm.Logprobs, in("logprobs"))
	}
	if kinds := texts(member(l.Architecture, "input_modalities")); kinds != nil {
		say(llm.Vision, slices.Contains(kinds, "image"))
		say(llm.AudioInput, slices.Contains(kinds, "audio"))
		if slices.Contains(kinds, "file") {
			say(llm.PDF, true)
		}
	}
	if levels := texts(member(l.Reasoning, "supported_efforts")); levels != nil {
		d.Efforts = []string{}
		for _, e := range efforts {
			if slices.Contains(levels, e) {
				d.Efforts = append(d.Efforts, e)
			}
		}
	}
}

// price reads OpenRouter's pricing: decimal strings of dollars per token, "-1"
// for "varies". Other shapes of pricing (Together's numbers per million have the
// names input and output) are read where the names leave no doubt.
func (l *listed) price(d *Discovered) {
	var p Price
	per := func(name string, times int64) Rate {
		raw := member(l.Pricing, name)
		if k := raw.Kind(); k != '"' && k != '0' {
			return Rate{}
		}
		n, err := tokenMoney(raw, times)
		if err != nil || n < 0 {
			return Rate{}
		}
		return Rate{n, true}
	}
	if len(member(l.Pricing, "prompt")) > 0 {
		p.Input, p.Output = per("prompt", 1_000_000), per("completion", 1_000_000)
		p.CacheRead, p.CacheWrite5m = per("input_cache_read", 1_000_000), per("input_cache_write", 1_000_000)
		p.CacheWrite1h = per("input_cache_write_1h", 1_000_000)
	} else if len(member(l.Pricing, "input")) > 0 {
		p.Input, p.Output, p.CacheRead = per("input", 1), per("output", 1), per("cached_input", 1)
	}
	if p.Input.Known && p.Output.Known {
		d.Price = &p
	}
}

// tokenMoney reads a price and multiplies it; the product is exact to a
// nanodollar and rounded up beyond.
func tokenMoney(raw jsontext.Value, times int64) (int64, error) {
	s := string(raw)
	if raw.Kind() == '"' {
		s = text(raw)
	}
	if strings.HasPrefix(s, "-") {
		return -1, nil
	}
	// Shift the decimal point rather than multiply: dollars per token have more
	// than nine digits behind it.
	if times == 1_000_000 && !strings.ContainsAny(s, "eE") {
		whole, frac, _ := strings.Cut(s, ".")
		for len(frac) < 6 {
			frac += "0"
		}
		s = strings.TrimLeft(whole+frac[:6], "0")
		if s == "" {
			s = "0"
		}
		if frac[6:] != "" {
			s += "." + frac[6:]
		}
		return money(s)
	}
	n, err := jsonMoney(jsontext.Value(s))
	if err != nil || n > math.MaxInt64/times {
		return 0, errf("%q is no amount of money", s)
	}
	return n * times, nil
}

// WithDiscovered returns a catalogue that knows what a provider's own list
// said: listed models are Present, others of the provider Absent, unknown ones
// get a row, and what the list says of window, capabilities, life and price
// takes the place of what the row said. A provider that is not known changes
// nothing. The receiver stays as it was.
func (c *Catalog) WithDiscovered(provider string, found []Discovered) *Catalog {
	p, ok := c.byName[provider]
	if !ok {
		return c
	}
	models := make([]*Model, 0, len(c.models)+len(found))
	mine := map[string]*Model{}
	for _, m := range c.models {
		if m.Provider != p.ID {
			models = append(models, m)
			continue
		}
		copied := *m
		copied.Listed = Absent
		models = append(models, &copied)
		mine[m.ID] = &copied
		for _, a := range m.Aliases {
			mine[a] = &copied
		}
	}
	for _, d := range found {
		m := mine[d.ID]
		if m == nil {
			m = &Model{Provider: p.ID, ID: d.ID, Status: Active, Source: "the provider's own model list"}
			mine[d.ID] = m
			models = append(models, m)
		}
		m.take(&d)
	}
	providers := make(map[string]*Provider, len(c.providers))
	for _, q := range c.providers {
		providers[q.ID] = q
	}
	next, err := build(providers, models)
	if err != nil {
		// Names were unique before and the new rows have ids of their own.
		panic(err)
	}
	return next
}

// take takes over what a list says of a model.
func (m *Model) take(d *Discovered) {
	m.Listed = Present
	if m.Name == "" {
		m.Name = d.Name
	}
	if d.Window > 0 {
		m.Window = d.Window
	}
	if d.MaxOutput > 0 {
		m.MaxOutput = d.MaxOutput
	}
	if m.Released.IsZero() && d.Created > 0 && d.Created < 1<<33 {
		m.Released = time.Unix(d.Created, 0).UTC()
	}
	if d.Known {
		if !m.Known {
			// The list speaks of some features only; the model is taken to have
			// the others.
			m.Has, m.Lacks = llm.AllFeatures&^d.Says, 0
			m.Known = true
		}
		m.Has = m.Has&^d.Says | d.Has
		m.Lacks = m.Lacks&^d.Has | d.Says&^d.Has
	}
	if d.Gives != nil {
		m.Gives = d.Gives
	}
	if d.Efforts != nil {
		m.Efforts = d.Efforts
	}
	if d.ThinkTypes != nil {
		m.ThinkTypes = d.ThinkTypes
	}
	if d.Status != "" {
		m.Status = d.Status
	}
	if !d.Deprecated.IsZero() {
		m.Deprecated = d.Deprecated
	}
	if !d.Retires.IsZero() {
		m.Retires = d.Retires
	}
	if d.Price != nil {
		prices := slices.Clone(m.Prices)
		// A price of the row that agrees may know more (steps, dates).
		if n := len(prices); n == 0 || prices[n-1].Input != d.Price.Input || prices[n-1].Output != d.Price.Output {
			prices = []Price{*d.Price}
		}
		m.Prices = prices
	}
}

// text gives a JSON string, or "".
func text(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	s, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(s)
}

// number gives a JSON number that is not negative as an integer, or 0.
func number(v jsontext.Value) int64 {
	if v.Kind() != '0' {
		return 0
	}
	var f float64
	if err := json.Unmarshal(v, &f); err != nil || f < 0 || f >= 1<<62 {
		return 0
	}
	return int64(f)
}

func first(vs ...jsontext.Value) int64 {
	for _, v := range vs {
		if n := number(v); n > 0 {
			return n
		}
	}
	return 0
}

// texts gives a list of strings; nil when it is none.
func texts(v jsontext.Value) []string {
	if v.Kind() != '[' {
		return nil
	}
	list := []string{}
	if json.Unmarshal(v, &list) != nil {
		return nil
	}
	return list
}

// member gives a member of an object; nil when there is none.
func member(v jsontext.Value, name string) jsontext.Value {
	if v.Kind() != '{' {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return nil
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return nil
		}
		found := t.String() == name
		val, err := d.ReadValue()
		if err != nil {
			return nil
		}
		if found {
			return val.Clone()
		}
	}
	return nil
}

// date reads a date or a time, or gives zero.
func date(v jsontext.Value) time.Time {
	s := text(v)
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
