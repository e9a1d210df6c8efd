package gemini

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// growing is a call whose arguments arrive bit by bit, each with the path
// where it belongs (Vertex, streamFunctionCallArguments).
type growing struct {
	id, name string
	opaque   []llm.Opaque
	root     node
}

// node is a value that grows: an object, a list, a string, or whole JSON.
type node struct {
	// kind is '{', '[', '"' or 'v'; 0 for a value that has not begun.
	kind byte
	// names are the members' names of an object; kids the values of an object
	// or list, in the order in which they came.
	names []string
	kids  []*node
	text  string
	value jsontext.Value
}

// add takes the partialArgs of one part.
func (g *growing) add(call []byte) {
	if args := get(call, "args"); kindOf(args) == '{' {
		for o := span.ReadObject(args); o.Next(); {
			n := g.root.member(string(o.Name))
			n.kind, n.value = 'v', o.Val
		}
	}
	for a := span.ReadMany(get(call, "partialArgs")); a.Next(); {
		n := g.root.at(text(get(a.Val, "jsonPath")))
		if n == nil {
			continue
		}
		for o := span.ReadObject(a.Val); o.Next(); {
			switch canon(o.Name) {
			case "stringValue":
				n.kind = '"'
				n.text += text(o.Val)
			case "numberValue", "boolValue":
				n.kind, n.value = 'v', o.Val
			case "nullValue":
				n.kind, n.value = 'v', jsontext.Value("null")
			}
		}
	}
}

// maxElement is the highest index that a path may name: beyond it is nonsense,
// and the list would fill the memory.
const maxElement = 1 << 16

// at finds or makes the node of a path such as $.items[0].name; nil for a path
// that is none.
func (n *node) at(path string) *node {
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return nil
	}
	for rest != "" {
		switch rest[0] {
		case '.':
			rest = rest[1:]
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			n, rest = n.member(rest[:end]), rest[end:]
		case '[':
			end := strings.IndexByte(rest, ']')
			if len(rest) > 1 && (rest[1] == '\'' || rest[1] == '"') {
				if close := strings.Index(rest[2:], string(rest[1])+"]"); close >= 0 {
					n, rest = n.member(rest[2:2+close]), rest[2+close+2:]
					continue
				}
			}
			if end < 0 {
				return nil
			}
			i, err := strconv.Atoi(rest[1:end])
			if err != nil || i < 0 || i > maxElement {
				return nil
			}
			n, rest = n.element(i), rest[end+1:]
		default:
			return nil
		}
		if n == nil {
			return nil
		}
	}
	return n
}

func (n *node) member(name string) *node {
	if n.kind != '{' {
		*n = node{kind: '{'}
	}
	for i := range n.names {
		if n.names[i] == name {
			return n.kids[i]
		}
	}
	n.names, n.kids = append(n.names, name), append(n.kids, &node{})
	return n.kids[len(n.kids)-1]
}

func (n *node) element(i int) *node {
	if n.kind != '[' {
		*n = node{kind: '['}
	}
	for len(n.kids) <= i {
		n.kids = append(n.kids, &node{})
	}
	return n.kids[i]
}

// append writes the value; what never came is null, and no arguments at all
// are an object.
func (n *node) append(b []byte) []byte {
	switch n.kind {
	case '{':
		b = append(b, '{')
		for i := range n.kids {
			b = append(span.Quote(comma(b), n.names[i]), ':')
			b = n.kids[i].append(b)
		}
		return append(b, '}')
	case '[':
		b = append(b, '[')
		for i := range n.kids {
			b = n.kids[i].append(comma(b))
		}
		return append(b, ']')
	case '"':
		return span.Quote(b, n.text)
	case 'v':
		return append(b, n.value...)
	}
	if len(b) == 0 {
		return append(b, "{}"...)
	}
	return append(b, "null"...)
}
