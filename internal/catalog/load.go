package catalog

import (
	_ "embed"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"headrace/internal/llm"
)

//go:embed data/providers.rows
var providerRows string

//go:embed data/tiers.rows
var tierRows string

//go:embed data/models.rows
var modelRows string

//go:embed data/newer.rows
var newerRows string

// Overrides are what the operator says about the world. The zero value says
// nothing.
type Overrides struct {
	// Refresh is a list of models as Refresh.Bytes gives it; nil for none.
	Refresh []byte
	// Providers are by id: of a row that is to be changed, or of a new one.
	Providers map[string]ProviderOverride
	// Models are by "provider/model": of a row that is to be changed, or of a
	// new one.
	Models map[string]ModelOverride
}

// ProviderOverride changes a provider or makes one. What is zero stays as the
// row says; a new provider speaks the OpenAI dialect with a bearer key unless it
// says otherwise or is Like another.
type ProviderOverride struct {
	// Like names a provider whose row a new one starts from, without its base
	// URL and its environment variables.
	Like    string
	Name    string
	Dialect llm.Dialect
	BaseURL string
	Auth    Auth
	Headers map[string]string
	// Usage is "ask", "always" or "never".
	Usage          string
	MaxTokensField string
	ReasoningField string
	ModelsPath     string
	Closed         *bool
	Local          *bool
}

// ModelOverride changes a model or makes one. What is zero stays as the row
// says.
type ModelOverride struct {
	Name string
	// Window and MaxOutput are in tokens.
	Window, MaxOutput int64
	// Price replaces every price of the row.
	Price *PriceOverride
	// Has and Lacks name features to add and to take away.
	Has, Lacks []string
	// Efforts replaces the accepted efforts.
	Efforts []string
}

// PriceOverride is a price in US dollars per million tokens; nil means
// unknown.
type PriceOverride struct {
	Input, Output, CacheRead, CacheWrite5m, CacheWrite1h *float64
	// Batch is the factor of batch prices, such as 0.5; 0 means unknown.
	Batch float64
}

// baseRows reads the embedded rows.
func baseRows() (*builder, error) {
	b := newBuilder()
	if err := b.lines("providers.rows", providerRows, b.provider); err != nil {
		return nil, err
	}
	if err := b.lines("tiers.rows", tierRows, b.tier); err != nil {
		return nil, err
	}
	if err := b.lines("models.rows", modelRows, b.model); err != nil {
		return nil, err
	}
	if err := b.lines("newer.rows", newerRows, b.model); err != nil {
		return nil, err
	}
	return b, nil
}

// Load makes the catalogue from the embedded rows and the overrides. An error
// names the line of a refreshed list, or the path of an override, that is at
// fault.
func Load(o Overrides) (*Catalog, error) {
	b, err := baseRows()
	if err != nil {
		return nil, err
	}
	if len(o.Refresh) > 0 {
		if err := b.lines("refresh", string(o.Refresh), b.model); err != nil {
			return nil, err
		}
	}
	for _, id := range sortedKeys(o.Providers) {
		if err := b.overrideProvider(id, o.Providers[id]); err != nil {
			return nil, fmt.Errorf("providers.%s.%w", id, err)
		}
	}
	for _, name := range sortedKeys(o.Models) {
		if err := b.overrideModel(name, o.Models[name]); err != nil {
			return nil, fmt.Errorf("models.%s%w", name, err)
		}
	}
	return build(b.providers, b.order)
}

func (b *builder) overrideProvider(id string, o ProviderOverride) error {
	if id == "" || strings.ContainsAny(id, "/ \t\n=") {
		return fmt.Errorf("id: %q is no provider id", id)
	}
	if a, ok := b.alias[id]; ok {
		id = a
	}
	p, exists := b.providers[id]
	var plus, minus llm.Feature
	switch {
	case exists && o.Like != "" && o.Like != id:
		return fmt.Errorf("like: %s has a row already", id)
	case exists:
	case o.Like != "":
		like := o.Like
		if a, ok := b.alias[like]; ok {
			like = a
		}
		from, ok := b.providers[like]
		if !ok {
			return fmt.Errorf("like: no provider %q", o.Like)
		}
		c := *from
		p = &c
		p.ID, p.Name, p.Aliases, p.Env, p.BaseURL, p.Explicit, p.Source = id, id, nil, nil, "", false, "configuration"
		p.Headers = maps.Clone(from.Headers)
		b.providers[id] = p
	default:
		p = &Provider{ID: id, Name: id, Dialect: llm.OpenAI, Auth: Bearer, Kind: Host, Usage: "ask", MaxTokensField: "max_tokens", Source: "configuration"}
		p.finish(0, 0, "")
		b.providers[id] = p
	}
	var err error
	if o.Dialect != "" && o.Dialect != p.Dialect {
		if p.Dialect, err = oneOf(string(o.Dialect), dialects...); err != nil {
			return fmt.Errorf("dialect: %w", err)
		}
		p.Also = nil
		p.ErrorForm, p.Quirk, p.MaxTokensField, p.ReasoningField, p.ReasoningRequired = "", "", "max_tokens", "", false
		p.Manners = llm.Manners{}
		p.Usage, p.CacheMarks = "ask", false
		p.finish(plus, minus, "")
	}
	if o.Dialect != "" && o.BaseURL != "" {
		p.Also = nil // a server of the operator's, which speaks what he says
	}
	if o.Auth != "" {
		if p.Auth, err = oneOf(string(o.Auth), auths...); err != nil {
			return fmt.Errorf("auth: %w", err)
		}
	}
	if o.Usage != "" {
		if p.Usage, err = oneOf(o.Usage, "ask", "always", "never"); err != nil {
			return fmt.Errorf("usage: %w", err)
		}
	}
	if o.MaxTokensField != "" {
		if p.MaxTokensField, err = oneOf(o.MaxTokensField, "max_tokens", "max_completion_tokens"); err != nil {
			return fmt.Errorf("max_tokens_field: %w", err)
		}
	}
	if o.ReasoningField != "" {
		if p.ReasoningField, err = oneOf(o.ReasoningField, "reasoning_content", "reasoning", "reasoning_details"); err != nil {
			return fmt.Errorf("reasoning_field: %w", err)
		}
	}
	if o.Name != "" {
		p.Name = o.Name
	}
	if o.BaseURL != "" {
		p.BaseURL = strings.TrimRight(o.BaseURL, "/")
	}
	if o.Headers != nil {
		p.Headers = maps.Clone(o.Headers)
	}
	if o.ModelsPath != "" {
		p.ModelsPath = o.ModelsPath
	}
	if o.Closed != nil {
		p.Closed = *o.Closed
	}
	if o.Local != nil {
		p.Local = *o.Local
	}
	return nil
}

func (b *builder) overrideModel(name string, o ModelOverride) error {
	prov, id, ok := strings.Cut(name, "/")
	if !ok || id == "" {
		return fmt.Errorf(": %q is not provider/model", name)
	}
	if a, ok := b.alias[prov]; ok {
		prov = a
	}
	p := b.providers[prov]
	if p == nil {
		return fmt.Errorf(": no provider %q", prov)
	}
	m := b.same[key{prov, id}]
	if m == nil {
		m = b.models[key{prov, id}]
	}
	if m == nil {
		b.source = "configuration"
		m = b.newModel(key{prov, id})
		// Nothing is known of it but what the operator says.
		m.Known = false
	}
	if o.Window < 0 || o.MaxOutput < 0 {
		return fmt.Errorf(".window: negative")
	}
	if o.Name != "" {
		m.Name = o.Name
	}
	if o.Window > 0 {
		m.Window = o.Window
	}
	if o.MaxOutput > 0 {
		m.MaxOutput = o.MaxOutput
	}
	has, err := Features(strings.Join(o.Has, ","))
	if err != nil {
		return fmt.Errorf(".has: %w", err)
	}
	lacks, err := Features(strings.Join(o.Lacks, ","))
	if err != nil {
		return fmt.Errorf(".lacks: %w", err)
	}
	if has != 0 || lacks != 0 {
		if !m.Known {
			m.Known = true
			if has == 0 {
				m.Has = llm.AllFeatures
			}
		}
		m.Has, m.Lacks = (m.Has|has)&^lacks, (m.Lacks&^has)|lacks
	}
	if o.Efforts != nil {
		if err := checkNames("effort", o.Efforts, efforts); err != nil {
			return fmt.Errorf(".efforts: %w", err)
		}
		m.Efforts, m.ResponsesEfforts = slices.Clone(o.Efforts), nil
	}
	if o.Price != nil {
		price, err := o.Price.price(p.Batch)
		if err != nil {
			return fmt.Errorf(".price.%w", err)
		}
		m.Prices = []Price{price}
	}
	return nil
}

func (o *PriceOverride) price(batch int64) (Price, error) {
	p := Price{Batch: batch}
	for _, f := range []struct {
		name string
		from *float64
		to   *Rate
	}{
		{"input", o.Input, &p.Input},
		{"output", o.Output, &p.Output},
		{"cache_read", o.CacheRead, &p.CacheRead},
		{"cache_write", o.CacheWrite5m, &p.CacheWrite5m},
		{"cache_write_1h", o.CacheWrite1h, &p.CacheWrite1h},
	} {
		if f.from == nil {
			continue
		}
		if v := *f.from; math.IsNaN(v) || v < 0 || v > 1e6 {
			return p, fmt.Errorf("%s: %v is no price in dollars per million tokens", f.name, v)
		}
		*f.to = Dollars(*f.from)
	}
	if o.Batch != 0 {
		if math.IsNaN(o.Batch) || o.Batch < 0.001 || o.Batch > 10 {
			return p, fmt.Errorf("batch: %v is no factor", o.Batch)
		}
		p.Batch = int64(math.Round(o.Batch * 1000))
	}
	if p.Rates == (Rates{}) {
		return p, fmt.Errorf("input: a price needs at least one rate")
	}
	return p, nil
}
