package guard

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Report is what was found in a request or an answer.
type Report struct {
	// Found counts by rule and what was done.
	Found []Count
	// Block is the rule that forbids it; empty when none does.
	Block string
}

// Count is how often a rule found something.
type Count struct {
	Rule, Kind string
	Do         Do
	N          int
}

func (r *Report) add(found []Finding) {
	for _, f := range found {
		if f.Do == Block && r.Block == "" {
			r.Block = f.Rule
		}
		i := slices.IndexFunc(r.Found, func(c Count) bool { return c.Rule == f.Rule && c.Kind == f.Kind })
		if i < 0 {
			i = len(r.Found)
			r.Found = append(r.Found, Count{Rule: f.Rule, Kind: f.Kind, Do: f.Do})
		}
		r.Found[i].N++
	}
}

// Request looks at all that a request says: instructions, messages, tool calls
// and results; not at thoughts, which are bound to their signatures. It returns
// the request as it is, or a copy with placeholders, whose values v holds then.
func (r *Rules) Request(q *llm.Request, v *Vault) (*llm.Request, Report) {
	var told Report
	if !r.In() {
		return q, told
	}
	each(q.Items, func(text *string, _ bool) { v.note(*text) })
	items, changed := r.items(r.in, q.Items, &told, v.redact)
	if told.Block != "" || !changed {
		return q, told
	}
	c := *q
	c.Items = items
	return &c, told
}

// Response looks at a whole answer and gives the client back what was redacted
// in its request. It returns the answer as it is, or a copy.
func (r *Rules) Response(a *llm.Response, v *Vault) (*llm.Response, Report) {
	var told Report
	items, changed := a.Items, false
	if r.Out() {
		items, changed = r.items(r.out, items, &told, strike)
	}
	if told.Block != "" {
		return a, told
	}
	if !v.Empty() {
		items, changed = slices.Clone(items), true
		rewrite(items, func(text string, inJSON bool) string {
			if inJSON {
				return v.restoreJSON(text)
			}
			return v.Restore(text)
		})
	}
	if !changed {
		return a, told
	}
	c := *a
	c.Items = items
	return &c, told
}

// Texts looks at bare texts, such as what is to be embedded, and redacts them in
// place.
func (r *Rules) Texts(texts []string, v *Vault) Report {
	var told Report
	if !r.In() {
		return told
	}
	for _, t := range texts {
		v.note(t)
	}
	for i, t := range texts {
		found := find(r.in, t)
		told.add(found)
		texts[i] = v.redact(t, found)
	}
	return told
}

// Raw looks at a body that nobody decodes. What is to be redacted is reported as
// blocked: such a body is never rewritten.
func (r *Rules) Raw(body []byte) Report {
	var told Report
	if !r.In() {
		return told
	}
	look := func(text string) {
		found := find(r.in, text)
		told.add(found)
		for _, f := range found {
			if f.Do == Redact && told.Block == "" {
				told.Block = f.Rule
			}
		}
	}
	if !jsontext.Value(body).IsValid() {
		look(string(body))
		return told
	}
	for text := range literals(body) {
		look(text)
	}
	return told
}

// items looks at items with the matchers and rewrites what is to be redacted, in
// a copy.
func (r *Rules) items(ms []matcher, items []llm.Item, told *Report, redact func(string, []Finding) string) (_ []llm.Item, changed bool) {
	texts := map[string]string{}
	each(items, func(text *string, inJSON bool) {
		found := find(ms, *text)
		told.add(found)
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Do == Redact }) {
			return
		}
		clean := redact(*text, found)
		if inJSON && !jsontext.Value(clean).IsValid() {
			// The pattern reaches over the arguments' own quotes.
			for _, f := range found {
				if f.Do == Redact && told.Block == "" {
					told.Block = f.Rule
				}
			}
			return
		}
		texts[*text] = clean
	})
	if len(texts) == 0 {
		return items, false
	}
	items = slices.Clone(items)
	rewrite(items, func(text string, _ bool) string {
		if clean, ok := texts[text]; ok {
			return clean
		}
		return text
	})
	return items, true
}

// each shows every text of items that a rule looks at, in order. inJSON marks
// the arguments of a call.
func each(items []llm.Item, f func(text *string, inJSON bool)) {
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemMessage, llm.ItemToolResult:
			for k := range it.Blocks {
				if t := said(&it.Blocks[k]); t != nil && *t != "" {
					f(t, false)
				}
			}
		case llm.ItemToolCall:
			if len(it.Call.Arguments) > 0 {
				args := string(it.Call.Arguments)
				f(&args, !it.Call.Custom)
			}
		}
	}
}

// rewrite gives the texts of items new words. The items are the caller's own;
// what they point to is copied.
func rewrite(items []llm.Item, f func(text string, inJSON bool) string) {
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemMessage, llm.ItemToolResult:
			it.Blocks = slices.Clone(it.Blocks)
			for k := range it.Blocks {
				if t := said(&it.Blocks[k]); t != nil {
					*t = f(*t, false)
				}
			}
		case llm.ItemToolCall:
			it.Call.Arguments = []byte(f(string(it.Call.Arguments), !it.Call.Custom))
		}
	}
}

// said is where a block's words stand; nil when it has none.
func said(b *llm.Block) *string {
	switch b.Kind {
	case llm.BlockText, llm.BlockRefusal:
		return &b.Text
	case llm.BlockFile:
		return &b.Media.Text
	}
	return nil
}

// strike blanks what a model itself has written.
func strike(text string, found []Finding) string {
	out, at := []byte(nil), 0
	for _, f := range found {
		if f.Do == Redact {
			out = append(out, text[at:f.From]...)
			out = append(out, blank(f.Kind)...)
			at = f.To
		}
	}
	return string(append(out, text[at:]...))
}
