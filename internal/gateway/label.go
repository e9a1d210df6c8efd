package gateway

import (
	"strings"

	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// label notes what the request says of itself: the route that it names, its task
// and its tags. Tags that are none are refused where they matter (open), and
// left out here.
func (x *exchange) label(d *llm.Draft, tags []string) {
	if name := x.s.base(d.Head.Model); x.s.Policy.Is(name) {
		x.row.Label.Route = name
	}
	x.row.Label.Task, x.row.Session = d.Task, d.Session
	if len(tags) == 0 {
		return
	}
	if parsed, err := budget.ParseTags(strings.Join(tags, ",")); err == nil {
		x.row.Label.Tags = ledger.MakeTags(parsed)
	}
}
