package catalog

import (
	"slices"
	"time"

	"headrace/internal/llm"
)

// Status says where a model stands in its life.
type Status string

// The states of a model.
const (
	Active Status = "active"
	Beta   Status = "beta"
	// Deprecated models still answer; Model.Retires says until when, if known.
	Deprecated Status = "deprecated"
	// Retired models answer no more.
	Retired Status = "retired"
)

// Presence says whether the provider's own model list names a model.
type Presence string

// The kinds of presence.
const (
	// Unsaid means that the list was not read.
	Unsaid  Presence = ""
	Present Presence = "present"
	Absent  Presence = "absent"
)

// Model is one model at one provider.
type Model struct {
	// Provider is the provider's id; ID is what the provider calls the model,
	// exactly as it is sent upstream.
	Provider, ID string
	// Name is for people; Family groups models of one line.
	Name, Family string
	// Aliases are other ids that the provider takes for the same model.
	Aliases []string
	// Window and MaxOutput are in tokens; 0 means unknown.
	Window, MaxOutput int64
	// Known says that Has was read from a source; without it the model is taken
	// to accept everything.
	Known bool
	// Has are the model's own features, to which the provider adds those of its
	// wire; Lacks are features of the wire that this model refuses.
	Has, Lacks llm.Feature
	// Efforts, ResponsesEfforts, DefaultEffort, ThinkTypes and ThinksByDefault
	// are as in llm.Capability.
	Efforts          []string
	ResponsesEfforts []string
	DefaultEffort    string
	ThinkTypes       []string
	ThinksByDefault  bool
	// Wire is the one dialect in which the model answers, where its provider
	// speaks several; empty means any of them.
	Wire llm.Dialect
	// Pool is what models that share one rate limit have in common; empty means
	// that the model has its own.
	Pool string
	// Parallel is how many requests of the model its provider takes at once; 0
	// means that it does not say.
	Parallel int
	// Gives are the kinds of output; nil means text alone.
	Gives []string
	// Prices in the order in which they came into force; empty means unpriced.
	Prices []Price
	Status Status
	// Released, Deprecated and Retires are UTC dates; zero means unknown.
	// NotBefore is the date before which the vendor promises not to retire it.
	Released, Deprecated, Retires, NotBefore time.Time
	// Open says that the weights are published.
	Open bool
	// Listed is what the provider's own model list said.
	Listed Presence
	// Note is for people; Source says where the row comes from, with a date.
	Note, Source string
	// byHand marks a row whose capabilities were checked by a person; a price
	// list that is read later does not change those.
	byHand bool
}

// StatusAt returns where the model stands at a time: a deprecated model is
// retired from its date on.
func (m *Model) StatusAt(at time.Time) Status {
	if m.Status != Retired && !m.Retires.IsZero() && !at.Before(m.Retires) {
		return Retired
	}
	return m.Status
}

// Embeds reports whether the model makes embeddings.
func (m *Model) Embeds() bool { return slices.Contains(m.Gives, "embedding") }

// Text reports whether the model answers in text: what chat requests need.
func (m *Model) Text() bool {
	if m.Gives == nil {
		return true
	}
	for _, g := range m.Gives {
		if g == "text" {
			return true
		}
	}
	return false
}

// PriceAt returns the price in force at a time: the latest whose Since is not
// after it. Before the first one there is none.
func (m *Model) PriceAt(at time.Time) (*Price, bool) {
	for i := len(m.Prices) - 1; i >= 0; i-- {
		if p := &m.Prices[i]; !p.Since.After(at) {
			return p, true
		}
	}
	return nil, false
}

// Info returns the line that a model list shows. The id is
// "provider/model", as clients ask for it.
func (c *Catalog) Info(m *Model) llm.ModelInfo {
	i := llm.ModelInfo{
		ID: m.Provider + "/" + m.ID, Name: m.Name, OwnedBy: m.Provider,
		Window: m.Window, MaxOutput: m.MaxOutput,
		Capability: c.byName[m.Provider].capability(m),
	}
	i.Gives = m.Gives
	if i.Name == "" {
		i.Name = m.ID
	}
	if !m.Released.IsZero() {
		i.Created = m.Released.Unix()
	}
	return i
}
