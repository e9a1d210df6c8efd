package catalog

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Query selects models. The zero value selects every model that answers in
// text and is not retired, in the order of Models.
type Query struct {
	// Provider is an id or alias; empty means all.
	Provider string
	// Name is a part of the id or name, in any case; empty means all.
	Name string
	// Needs are features that the model must be known to have.
	Needs llm.Feature
	// Window is the least window in tokens; 0 means any, and a model whose
	// window is unknown has none.
	Window int64
	// Retired includes retired models, Any those that do not answer in text.
	Retired, Any bool
	// Listed leaves out models that the provider's own list does not name.
	Listed bool
	// Sort is "", "price", "window" or "released"; see SortKeys. Prices rise,
	// the others fall; what is unknown comes last.
	Sort string
	// At is the time for prices and retirement; zero means that no model has a
	// date and the last price counts.
	At time.Time
}

// SortKeys are the values of Query.Sort.
func SortKeys() []string { return []string{"price", "window", "released"} }

// Find returns the models that a query selects, in a new slice.
func (c *Catalog) Find(q Query) []*Model {
	if q.Provider != "" {
		p, ok := c.byName[q.Provider]
		if !ok {
			return nil
		}
		q.Provider = p.ID
	}
	name := strings.ToLower(q.Name)
	var found []*Model
	for _, m := range c.models {
		status := m.Status
		if !q.At.IsZero() {
			status = m.StatusAt(q.At)
		}
		switch {
		case q.Provider != "" && m.Provider != q.Provider,
			!q.Retired && status == Retired,
			!q.Any && !m.Text(),
			q.Listed && m.Listed == Absent,
			m.Window < q.Window,
			name != "" && !strings.Contains(strings.ToLower(m.ID), name) && !strings.Contains(strings.ToLower(m.Name), name):
			continue
		}
		if q.Needs != 0 {
			if has := c.byName[m.Provider].capability(m); !has.Known || has.Has&q.Needs != q.Needs {
				continue
			}
		}
		found = append(found, m)
	}
	switch q.Sort {
	case "price":
		sortBy(found, func(m *Model) float64 { return m.blended(q.At) })
	case "window":
		sortBy(found, func(m *Model) float64 { return -float64(m.Window) })
	case "released":
		sortBy(found, func(m *Model) float64 {
			if m.Released.IsZero() {
				return math.Inf(1)
			}
			return -float64(m.Released.Unix())
		})
	}
	return found
}

func sortBy(ms []*Model, by func(*Model) float64) {
	slices.SortStableFunc(ms, func(a, b *Model) int { return cmp.Compare(by(a), by(b)) })
}

// blended is the price of three tokens of prompt to one of answer, the usual
// yardstick; infinite when it is unknown.
func (m *Model) blended(at time.Time) float64 {
	var p *Price
	if at.IsZero() {
		if len(m.Prices) > 0 {
			p = &m.Prices[len(m.Prices)-1]
		}
	} else {
		p, _ = m.PriceAt(at)
	}
	if p == nil || !p.Input.Known || !p.Output.Known {
		return math.Inf(1)
	}
	return 3*float64(p.Input.PerMillion) + float64(p.Output.PerMillion)
}
