package recall

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// Turn is what an assistant said in one answer, as it is noted.
type Turn struct {
	// Owner is the id of the key that asked, By that of the provider that
	// answered.
	Owner, By string
	// Items are what the answer held, in order. They are copied.
	Items []llm.Item
	// Shown gives the id under which the client sees a call; nil when it is the
	// provider's.
	Shown func(id string) string
}

// turn is a Turn as it is kept: a skeleton of the answer.
type turn struct {
	owner, id, by string
	// items are the thoughts whole; of a call its id, its name and its state;
	// of a message only that it stood here. They are never changed.
	items []llm.Item
	calls []call
	// stateful says that a thought has state, beside its text.
	stateful, thinks, signs bool
	size                    int64

	// State.mu guards what follows. The list is by last use.
	newer, older *turn
	expires      time.Time
	// told is the end that the store was last told; zero when it has no row.
	told    time.Time
	waiting bool // for the writer
	gone    bool // out of memory
}

// call is a call of a turn. Providers reuse their ids ("call_0",
// "functions.bash:3"), so a call is known by what it says, too.
type call struct {
	id, name string
	// raw and canonical are of the arguments, as they were and in canonical
	// form: some clients read them and write them anew.
	raw, canonical uint64
	// at is the call's place in items.
	at int
}

// sumOf tells calls of one owner apart. Both sums are done by the processor's
// own instructions, at several bytes a cycle.
func sumOf(b []byte) uint64 {
	return uint64(crc32.ChecksumIEEE(b))<<32 | uint64(crc32.Checksum(b, castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// canonicalSum is the same for every spelling of the same arguments.
func canonicalSum(arguments []byte) uint64 {
	v := jsontext.Value(bytes.TrimSpace(arguments))
	if len(v) == 0 {
		v = jsontext.Value("{}")
	}
	v = v.Clone()
	if err := v.Canonicalize(); err != nil {
		return sumOf(arguments) // free text, or a call that was cut
	}
	return sumOf(v)
}

// overhead is about what a turn costs beside its texts.
const overhead = 1024

// newTurn makes the skeleton of an answer, or nil when nothing of it needs to
// come back.
func newTurn(n *Turn) *turn {
	if !worth(n.Items) {
		return nil
	}
	t := &turn{owner: n.Owner, by: n.By, size: overhead}
	for i := range n.Items {
		it := &n.Items[i]
		switch it.Kind {
		case llm.ItemReasoning:
			th := llm.Item{Kind: it.Kind, Role: llm.Assistant, Type: strings.Clone(it.Type), ID: strings.Clone(it.ID), Name: strings.Clone(it.Name),
				Opaque: stateOf(it.Opaque, n.By), From: it.From, Raw: bytes.Clone(it.Raw)}
			for j := range it.Blocks {
				if s := it.Blocks[j].Text; s != "" {
					th.Blocks = append(th.Blocks, llm.Block{Kind: llm.BlockText, Text: strings.Clone(s), From: it.Blocks[j].From})
				}
			}
			if len(th.Blocks) > 0 || len(th.Opaque) > 0 {
				t.items = append(t.items, th)
			}
		case llm.ItemMessage:
			if it.Text() != "" {
				t.items = append(t.items, llm.Item{Kind: it.Kind, Role: llm.Assistant})
			}
		case llm.ItemToolCall:
			id := it.Call.ID
			if n.Shown != nil && id != "" {
				id = n.Shown(id)
			}
			c := call{id: strings.Clone(id), name: strings.Clone(it.Call.Name), at: len(t.items)}
			if c.id != "" {
				c.raw, c.canonical = sumOf(it.Call.Arguments), canonicalSum(it.Call.Arguments)
				t.calls = append(t.calls, c)
			}
			t.items = append(t.items, llm.Item{Kind: it.Kind, Role: llm.Assistant, Call: llm.Call{ID: c.id, Name: c.name}, Opaque: stateOf(it.Opaque, n.By)})
		}
	}
	if len(t.calls) == 0 {
		return nil
	}
	t.weigh()
	t.id = t.name()
	return t
}

// worth reports whether an answer has a call, and thoughts or state to go with
// it. Most have not, and are done with here.
func worth(items []llm.Item) bool {
	calls, more := false, false
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemToolCall:
			calls = true
			more = more || hasState(it.Opaque)
		case llm.ItemReasoning:
			more = more || hasState(it.Opaque) || it.Text() != ""
		}
	}
	return calls && more
}

// stateOf copies the state that says something, with its maker.
func stateOf(os []llm.Opaque, by string) []llm.Opaque {
	var out []llm.Opaque
	for _, o := range os {
		if o.Data == "" {
			continue
		}
		if o.By == "" {
			o.By = by
		}
		o.Data = strings.Clone(o.Data)
		out = append(out, o)
	}
	return out
}

// weigh fills in what follows from items and calls.
func (t *turn) weigh() {
	for i := range t.items {
		it := &t.items[i]
		t.size += 512 + int64(len(it.Raw))
		for j := range it.Blocks {
			t.size += int64(len(it.Blocks[j].Text))
		}
		for _, o := range it.Opaque {
			t.size += int64(len(o.Data))
		}
		switch it.Kind {
		case llm.ItemReasoning:
			t.thinks = true
			t.stateful = t.stateful || len(it.Opaque) > 0
		case llm.ItemToolCall:
			t.signs = t.signs || len(it.Opaque) > 0
		}
	}
}

// name is the id of the turn's row: the same calls are the same turn.
func (t *turn) name() string {
	h := sha256.New()
	for i := range t.calls {
		c := &t.calls[i]
		fmt.Fprintf(h, "%q %q %x\n", c.id, c.name, c.canonical)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// saved is how a turn is written inside its seal.
type saved struct {
	By    string      `json:"by"`
	Items []savedItem `json:"items"`
}

type savedItem struct {
	Kind   llm.ItemKind `json:"kind"`
	Type   string       `json:"type,omitzero"`
	ID     string       `json:"id,omitzero"`
	Name   string       `json:"name,omitzero"`
	From   llm.Dialect  `json:"from,omitzero"`
	Texts  []savedText  `json:"texts,omitempty"`
	Opaque []savedState `json:"opaque,omitempty"`
	Raw    []byte       `json:"raw,omitempty"` // as base64: it need not be UTF-8
	// Sums are a call's, raw and canonical.
	Sums []uint64 `json:"sums,omitempty"`
}

type savedText struct {
	Text string      `json:"text"`
	From llm.Dialect `json:"from,omitzero"`
}

type savedState struct {
	Issuer string `json:"issuer"`
	By     string `json:"by,omitzero"`
	Kind   string `json:"kind"`
	Data   string `json:"data"`
}

// marshal writes the turn for the store.
func (t *turn) marshal() ([]byte, error) {
	s := saved{By: t.by, Items: make([]savedItem, len(t.items))}
	calls := t.calls
	for i := range t.items {
		it := &t.items[i]
		o := savedItem{Kind: it.Kind, Type: it.Type, ID: it.ID, Name: it.Name, From: it.From, Raw: it.Raw}
		for j := range it.Blocks {
			o.Texts = append(o.Texts, savedText{it.Blocks[j].Text, it.Blocks[j].From})
		}
		for _, q := range it.Opaque {
			o.Opaque = append(o.Opaque, savedState(q))
		}
		if it.Kind == llm.ItemToolCall {
			o.ID, o.Name = it.Call.ID, it.Call.Name
			if len(calls) > 0 && calls[0].at == i {
				o.Sums, calls = []uint64{calls[0].raw, calls[0].canonical}, calls[1:]
			}
		}
		s.Items[i] = o
	}
	return json.Marshal(s, jsontext.AllowInvalidUTF8(true))
}

// unmarshal reads what marshal wrote.
func unmarshal(owner, id string, data []byte) (*turn, error) {
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read a kept turn: %w", err)
	}
	t := &turn{owner: owner, id: id, by: s.By, items: make([]llm.Item, len(s.Items)), size: overhead}
	for i := range s.Items {
		o := &s.Items[i]
		it := llm.Item{Kind: o.Kind, Role: llm.Assistant, Type: o.Type, From: o.From, Raw: o.Raw}
		for _, x := range o.Texts {
			it.Blocks = append(it.Blocks, llm.Block{Kind: llm.BlockText, Text: x.Text, From: x.From})
		}
		for _, q := range o.Opaque {
			it.Opaque = append(it.Opaque, llm.Opaque(q))
		}
		if o.Kind == llm.ItemToolCall {
			it.Call = llm.Call{ID: o.ID, Name: o.Name}
			if len(o.Sums) == 2 {
				t.calls = append(t.calls, call{id: o.ID, name: o.Name, raw: o.Sums[0], canonical: o.Sums[1], at: i})
			}
		} else {
			it.ID, it.Name = o.ID, o.Name
		}
		t.items[i] = it
	}
	t.weigh()
	return t, nil
}

// sameText reports whether the client's thoughts say what the kept ones say.
// White space is not compared: dialects join thoughts differently.
func sameText(client, kept []llm.Item) bool {
	x, y := spelled{items: client}, spelled{items: kept}
	for {
		a, more := x.next()
		b, too := y.next()
		if more != too || a != b {
			return false
		}
		if !more {
			return true
		}
	}
}

// spelled reads the text of the thoughts among items, byte by byte.
type spelled struct {
	items       []llm.Item
	i, block, n int
}

func (s *spelled) next() (byte, bool) {
	for ; s.i < len(s.items); s.i, s.block, s.n = s.i+1, 0, 0 {
		it := &s.items[s.i]
		if it.Kind != llm.ItemReasoning {
			continue
		}
		for ; s.block < len(it.Blocks); s.block, s.n = s.block+1, 0 {
			for text := it.Blocks[s.block].Text; s.n < len(text); {
				c := text[s.n]
				s.n++
				if !slices.Contains([]byte(" \t\r\n"), c) {
					return c, true
				}
			}
		}
	}
	return 0, false
}
