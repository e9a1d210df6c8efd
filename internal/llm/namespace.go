package llm

import (
	"slices"
	"strconv"
	"strings"
)

// ToolNamespace is the type of a tool of OpenAI's Responses that holds tools
// under a name of their own (Tool.Tools).
const ToolNamespace = "namespace"

// within stands between a namespace and a name in one. No vendor takes it in
// the name of a tool (OpenAI's are letters, digits, _ and -; 2026-11), so that
// what was joined can be taken apart.
const within = "::"

// Within is the name in our words of a tool in a namespace; "" is none, and so
// is the tool's own name, which OpenAI gives for functions that its tool search
// has found (gpt-5.4, recorded).
func Within(namespace, name string) string {
	if namespace == "" || namespace == name {
		return name
	}
	return namespace + within + name
}

// Namespace takes the name of a tool apart again; namespace is "" for a tool
// that stands in none.
func Namespace(full string) (namespace, name string) {
	if i := strings.LastIndex(full, within); i > 0 {
		return full[:i], full[i+len(within):]
	}
	return "", full
}

// Plain gives the request for a dialect that has neither namespaces nor tools
// that come in the midst of a conversation: the tools of both stand in one list
// under their full names, and the description of a namespace stands on the
// first tool in it. A web search that is only offered, beside tools of the
// client's own, is left out with a warning: the model can do without it, and
// Codex offers one always (0.169.0, 2026-11). One that is alone or asked for
// stays, to be refused. A request without any of that is given as it is.
func Plain(r *Request) (*Request, []Loss) {
	folded := func(t *Tool) bool { return len(t.Tools) > 0 }
	later := func(it Item) bool { return len(it.Tools) > 0 }
	offered := -1
	own := 0
	for i := range r.Tools {
		switch t := &r.Tools[i]; {
		case t.searches():
			offered = i
		case t.Type == "" || t.Type == "custom" || folded(t):
			own++
		}
	}
	late := slices.ContainsFunc(r.Items, later)
	if own == 0 && !late || !r.free() {
		offered = -1
	}
	if offered < 0 && !late && !slices.ContainsFunc(r.Tools, func(t Tool) bool { return folded(&t) }) {
		return r, nil
	}
	var losses []Loss
	plain := *r
	plain.Tools = nil
	add := func(tools []Tool) {
		for i := range tools {
			t := &tools[i]
			if !folded(t) {
				plain.Tools = append(plain.Tools, *t)
				continue
			}
			for k, inner := range t.Tools {
				if k == 0 && t.Description != "" {
					inner.Description = strings.TrimSpace(inner.Description + "\n\n(" + t.Name + ": " + t.Description + ")")
				}
				plain.Tools = append(plain.Tools, inner)
			}
		}
	}
	for i := range r.Tools {
		if offered >= 0 && r.Tools[i].searches() {
			losses = append(losses, Loss{Kind: LossWarn, Path: "tools." + strconv.Itoa(i), Why: "dropped: the search runs at its vendor only, and was one tool of several"})
			continue
		}
		add(r.Tools[i : i+1])
	}
	if late {
		plain.Items = nil
		for i := range r.Items {
			if it := &r.Items[i]; later(*it) {
				add(it.Tools)
			} else {
				plain.Items = append(plain.Items, *it)
			}
		}
	}
	return &plain, losses
}

// searches reports whether the tool is the vendor's own web search.
func (t *Tool) searches() bool {
	return t.From == Responses && strings.HasPrefix(t.Type, "web_search")
}

// free reports whether the model may answer without any tool.
func (r *Request) free() bool {
	return (r.Choice.Mode == "" || r.Choice.Mode == ToolAuto || r.Choice.Mode == ToolNone) &&
		!slices.ContainsFunc(r.Ext, func(m Member) bool { return m.Name == "tool_choice" })
}
