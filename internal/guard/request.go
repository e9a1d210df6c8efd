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
	// Failed are the rules whose service could not say anything.
	Failed []string
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

// Body looks at all strings of a request's body but those that are no words
// (bound). It returns the body as it is, or a copy with placeholders, whose values
// v holds then; every other byte is as it was. The body is valid JSON.
func (r *Rules) Body(body []byte, v *Vault) ([]byte, Report) {
	var told Report
	if len(r.in) == 0 {
		return body, told
	}
	if r.Redacts() {
		for s := range literals(body) {
			v.note(s.text)
		}
	}
	var out []byte
	at := 0
	for s := range literals(body) {
		found := find(r.in, s.text)
		told.add(found)
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Do == Redact }) {
			continue
		}
		quoted, err := jsontext.AppendQuote(nil, v.redact(s.text, found))
		if err != nil { // a body is UTF-8 by now
			continue
		}
		out = append(append(out, body[at:s.from]...), quoted...)
		at = s.to
	}
	if told.Block != "" || at == 0 {
		return body, told
	}
	return append(out, body[at:]...), told
}

// Response looks at a whole answer and gives the client back what was redacted
// in its request. It returns the answer as it is, or a copy.
func (r *Rules) Response(a *llm.Response, v *Vault) (*llm.Response, Report) {
	var told Report
	items, changed := a.Items, false
	if len(r.out) > 0 {
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

// Raw looks at a body of which nobody knows what it is. What is to be redacted
// is reported as blocked: such a body is never rewritten.
func (r *Rules) Raw(body []byte) Report {
	var told Report
	if len(r.in) == 0 {
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
	for s := range literals(body) {
		look(s.text)
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

// each shows every text of items that a rule looks at, in order: not thoughts,
// which are bound to their signatures. inJSON marks
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
