package catalog

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// header is the first line of a file of model rows that travels alone.
const header = "# headrace models 1\n"

// Refresh is a list of models read from outside, checked and ready to be
// kept: its Bytes go into Overrides.Refresh at the next start.
type Refresh struct {
	// Form is "rows" or "models.dev".
	Form string
	// Models is how many models the list names; Skipped are the providers in it
	// that this program has no row for, sorted.
	Models  int
	Skipped []string
	rows    []byte
}

// Bytes returns the list in the program's own form.
func (r *Refresh) Bytes() []byte { return r.rows }

// ParseRefresh reads a list of models in the program's own form (see
// docs/catalog.md) or in the form of models.dev's api.json, as of 2026-07. The
// list's prices count from its date on. An error names the line or the path at
// fault; nothing of a faulty list is taken.
func ParseRefresh(data []byte, date time.Time) (*Refresh, error) {
	base, err := baseRows()
	if err != nil {
		return nil, err
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	r := &Refresh{Form: "rows"}
	switch {
	case len(data) == 0:
		return nil, errf("refresh: the list is empty")
	case data[0] == '{':
		r.Form = "models.dev"
		if r.rows, err = r.modelsDev(base, data, date); err != nil {
			return nil, fmt.Errorf("refresh: %w", err)
		}
	case bytes.HasPrefix(data, []byte(strings.TrimSpace(header))):
		r.rows = data
	default:
		return nil, errf("refresh: the list is neither rows (first line %q) nor models.dev JSON", strings.TrimSpace(header))
	}
	if err := base.lines("refresh", string(r.rows), func(line string) error {
		r.Models++
		return base.model(line)
	}); err != nil {
		return nil, err
	}
	if r.Models == 0 {
		return nil, errf("refresh: the list names no model of a known provider")
	}
	if _, err := build(base.providers, base.order); err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	return r, nil
}

// WriteFile keeps the list in a file, whole or not at all.
func (r *Refresh) WriteFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("keep models: %w", err)
	}
	_, err = f.Write(r.rows)
	err = cmp.Or(err, f.Sync())
	err = cmp.Or(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) // the first error is the one that matters
		return fmt.Errorf("keep models: %w", err)
	}
	return nil
}

// devProvider and devModel are what we read of models.dev's api.json. Members
// that differ in shape over time are raw.
type devProvider struct {
	Models map[string]devModel `json:"models"`
}

type devModel struct {
	Name       string `json:"name"`
	Family     string `json:"family"`
	Tools      bool   `json:"tool_call"`
	Reasoning  bool   `json:"reasoning"`
	Structured bool   `json:"structured_output"`
	Sampling   bool   `json:"temperature"`
	Released   string `json:"release_date"`
	Open       bool   `json:"open_weights"`
	Status     string `json:"status"`
	Modalities struct {
		Input  []string `json:"input"`
		Output []string `json:"output"`
	} `json:"modalities"`
	Limit struct {
		Context int64 `json:"context"`
		Output  int64 `json:"output"`
	} `json:"limit"`
	Cost    *devCost    `json:"cost"`
	Options []devOption `json:"reasoning_options"`
}

type devOption struct {
	Type   string   `json:"type"`
	Values []string `json:"values"`
}

type devCost struct {
	devRates
	Over200k *devRates `json:"context_over_200k"`
	Tiers    []struct {
		devRates
		Tier struct {
			Size int64 `json:"size"`
		} `json:"tier"`
	} `json:"tiers"`
}

type devRates struct {
	Input      jsontext.Value `json:"input"`
	Output     jsontext.Value `json:"output"`
	CacheRead  jsontext.Value `json:"cache_read"`
	CacheWrite jsontext.Value `json:"cache_write"`
}

// modelsDev turns api.json into rows.
func (r *Refresh) modelsDev(b *builder, data []byte, date time.Time) ([]byte, error) {
	var all map[string]devProvider
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	byID := map[string]devProvider{}
	for name, p := range all {
		id := name
		if a, ok := b.alias[name]; ok {
			id = a
		}
		if b.providers[id] == nil {
			r.Skipped = append(r.Skipped, name)
			continue
		}
		byID[id] = p
	}
	slices.Sort(r.Skipped)
	dst := append([]byte(header), "@source models.dev "...)
	dst = date.AppendFormat(dst, time.DateOnly)
	dst = append(dst, "\n@listing "...)
	dst = append(date.AppendFormat(dst, time.DateOnly), '\n')
	for _, id := range sortedKeys(byID) {
		p := b.providers[id]
		structured := saysStructured(byID[id].Models)
		for _, name := range sortedKeys(byID[id].Models) {
			d := byID[id].Models[name]
			m, err := d.model(p, name, structured)
			if err != nil {
				return nil, fmt.Errorf("%s.models.%s: %w", id, name, err)
			}
			dst = appendModel(dst, m, p.Batch)
		}
	}
	return dst, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// saysStructured reports whether the list's structured_output is filled in for
// a provider. Where it is unset nearly everywhere it says nothing, and a model
// that takes tools is taken to take schemas: its provider will say otherwise.
func saysStructured(models map[string]devModel) bool {
	tools, said := 0, 0
	for _, m := range models {
		if m.Tools {
			tools++
			if m.Structured {
				said++
			}
		}
	}
	return said*3 >= tools
}

func (d *devModel) model(p *Provider, id string, structured bool) (*Model, error) {
	if id == "" || strings.ContainsAny(id, "\t\n\r") {
		return nil, errf("bad model id %q", id)
	}
	m := &Model{
		Provider: p.ID, ID: id, Name: d.Name, Family: d.Family, Known: true, Status: Active,
		Window: max(d.Limit.Context, 0), MaxOutput: max(d.Limit.Output, 0), Open: d.Open,
	}
	if m.Name == id {
		m.Name = ""
	}
	set := func(on bool, f llm.Feature) {
		if on {
			m.Has |= f
		}
	}
	has := func(kind string) bool { return slices.Contains(d.Modalities.Input, kind) }
	set(d.Tools, llm.Tools)
	set(d.Reasoning, llm.Thinking)
	set(d.Sampling, llm.SamplingParams)
	set(d.Structured || d.Tools && !structured, llm.JSONSchema)
	set(has("image"), llm.Vision)
	set(has("pdf"), llm.PDF)
	set(has("audio"), llm.AudioInput)
	switch {
	case strings.Contains(d.Family, "embed") || strings.Contains(id, "embed"):
		m.Gives = []string{"embedding"}
	case len(d.Modalities.Output) > 0 && !slices.Equal(d.Modalities.Output, []string{"text"}):
		m.Gives = d.Modalities.Output
	}
	switch d.Status {
	case "deprecated":
		m.Status = Deprecated
	case "alpha", "beta":
		m.Status = Beta
	}
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if t, err := time.Parse(layout, d.Released); err == nil {
			m.Released = t
			break
		}
	}
	d.thinking(p, m)
	return m, d.price(m)
}

func (d *devModel) thinking(p *Provider, m *Model) {
	if !d.Reasoning {
		return
	}
	off, budget := false, false
	for _, o := range d.Options {
		switch o.Type {
		case "effort":
			// Rising order, and only values that requests can name.
			for _, e := range efforts {
				if slices.Contains(o.Values, e) {
					m.Efforts = append(m.Efforts, e)
					off = off || e == "none"
				}
			}
		case "toggle":
			off = true
		case "budget_tokens":
			budget = true
		}
	}
	m.ThinksByDefault = !off
	if p.Dialect == llm.Anthropic {
		if len(m.Efforts) > 0 {
			m.ThinkTypes = append(m.ThinkTypes, "adaptive")
		}
		if budget || len(m.Efforts) == 0 {
			m.ThinkTypes = append(m.ThinkTypes, "enabled")
		}
		m.ThinkTypes = append(m.ThinkTypes, "disabled")
	}
}

func (d *devModel) price(m *Model) error {
	if d.Cost == nil {
		return nil
	}
	var p Price
	var err error
	if p.Rates, err = d.Cost.rates(m.Family); err != nil || p.Rates == (Rates{}) {
		return err
	}
	for _, t := range d.Cost.Tiers {
		s := Step{Over: t.Tier.Size}
		if s.Rates, err = t.rates(m.Family); err != nil {
			return err
		}
		if s.Rates != (Rates{}) && s.Over > 0 {
			p.Steps = append(p.Steps, s)
		}
	}
	if o := d.Cost.Over200k; o != nil && len(p.Steps) == 0 {
		s := Step{Over: 200_000}
		if s.Rates, err = o.rates(m.Family); err != nil {
			return err
		}
		if s.Rates != (Rates{}) {
			p.Steps = append(p.Steps, s)
		}
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int { return cmp.Compare(a.Over, b.Over) })
	m.Prices = []Price{p}
	return nil
}

func (d *devRates) rates(family string) (Rates, error) {
	var r Rates
	for _, f := range []struct {
		name string
		raw  jsontext.Value
		to   *Rate
	}{{"input", d.Input, &r.Input}, {"output", d.Output, &r.Output}, {"cache_read", d.CacheRead, &r.CacheRead}, {"cache_write", d.CacheWrite, &r.CacheWrite5m}} {
		if len(f.raw) == 0 || f.raw.Kind() == 'n' {
			continue
		}
		n, err := jsonMoney(f.raw)
		if err != nil {
			return Rates{}, fmt.Errorf("cost.%s: %w", f.name, err)
		}
		if n < 0 {
			return Rates{}, nil // "varies": unpriced
		}
		*f.to = Rate{n, true}
	}
	// Anthropic charges a write of five minutes 1.25 times and one of an hour
	// twice the input price, on every model (documentation, 2026-11).
	if strings.HasPrefix(family, "claude") && r.CacheWrite5m.Known && r.CacheWrite5m.PerMillion*4 == r.Input.PerMillion*5 {
		r.CacheWrite1h = Rate{r.Input.PerMillion * 2, true}
	}
	return r, nil
}

// jsonMoney reads a JSON number or string of dollars as nanodollars; a negative
// one gives -1.
func jsonMoney(raw jsontext.Value) (int64, error) {
	s := string(raw)
	if raw.Kind() == '"' {
		u, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return 0, err
		}
		s = string(u)
	}
	if strings.HasPrefix(s, "-") {
		return -1, nil
	}
	if strings.ContainsAny(s, "eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f > 1e6 {
			return 0, errf("%q is no amount of money", s)
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	}
	return money(s)
}
