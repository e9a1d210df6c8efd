package anthropic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// record is one recorded interaction.
type record struct {
	ID, Provider, Dialect, Operation, Transport string
	Request                                     *struct{ Body string }
	Response                                    struct {
		Status int
		Body   string
	}
}

// recordings returns every recorded interaction of this dialect, or skips.
func recordings(t testing.TB) []record {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		root, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for root != "/" {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if len(files) == 0 {
		t.Skipf("no recorded traffic at %s; set HEADRACE_CORPUS", dir)
	}
	var out []record
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s := bufio.NewReaderSize(f, 1<<20)
		for {
			line, err := s.ReadBytes('\n')
			if bytes.Contains(line, []byte(`"anthropic"`)) {
				var r record
				if err := json.Unmarshal(line, &r); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if r.Dialect == "anthropic" && (r.Operation == "chat" || r.Operation == "count_tokens") {
					out = append(out, r)
				}
			}
			if err != nil {
				break
			}
		}
		f.Close()
	}
	return out
}

// canonical makes JSON comparable: sorted members, one spelling of numbers and
// strings. Members for which drop says yes are left out at any level.
func canonical(t testing.TB, raw []byte, drop func(path, name string, v any) bool) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%s", err, raw)
	}
	v = prune("", v, drop)
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func prune(path string, v any, drop func(path, name string, v any) bool) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if drop != nil && drop(path, k, m) {
				delete(v, k)
				continue
			}
			v[k] = prune(path+"."+k, m, drop)
		}
	case []any:
		for i := range v {
			v[i] = prune(path+".*", v[i], drop)
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && f == float64(int64(f)) {
			return json.Number(fmt.Sprint(int64(f)))
		}
	}
	return v
}

// joined is a body in one piece.
func joined(e llm.Encoded) []byte { return bytes.Join(e.Body, nil) }

// events decodes a whole stream.
func events(t testing.TB, stream string) ([]llm.Event, error) {
	t.Helper()
	r := sse.NewReader(strings.NewReader(stream), 64<<20)
	d := Codec{}.NewDecoder()
	var out []llm.Event
	for {
		f, err := r.Next()
		if err == io.EOF || err == sse.ErrCut {
			break
		}
		if err != nil {
			return out, err
		}
		if out, err = d.Decode(out, f.Event, f.Data); err != nil {
			return out, err
		}
	}
	return d.Close(out), nil
}

// encode writes events with a fresh encoder.
func encode(es []llm.Event, o llm.StreamOptions) string {
	enc := Codec{}.NewEncoder(o)
	var out []byte
	for _, e := range es {
		out = enc.Encode(out, e)
	}
	return string(out)
}

// message puts a stream's frames together as Anthropic's SDKs do, from plain
// JSON, without the code under test. It fails on a stream that breaks the
// dialect's rules.
func message(stream string) (map[string]any, error) {
	r := sse.NewReader(strings.NewReader(stream), 64<<20)
	var msg map[string]any
	open := -1
	stopped, done := false, false
	partial := ""
	word := func(v any) string { s, _ := v.(string); return s }
	for {
		f, err := r.Next()
		if err == io.EOF || err == sse.ErrCut {
			break
		}
		if err != nil {
			return nil, err
		}
		if f.Data == nil || strings.HasPrefix(string(f.Data), "[DONE]") {
			continue
		}
		var v map[string]any
		dec := json.NewDecoder(bytes.NewReader(f.Data))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		typ, _ := v["type"].(string)
		if typ != string(f.Event) {
			return nil, fmt.Errorf("event %q has type %q", f.Event, typ)
		}
		if done {
			return nil, fmt.Errorf("%s after the end", typ)
		}
		index := func() int { n, _ := v["index"].(json.Number); i, _ := n.Int64(); return int(i) }
		content := func() []any { c, _ := msg["content"].([]any); return c }
		switch typ {
		case "ping":
		case "message_start":
			if msg != nil {
				return nil, fmt.Errorf("a second message_start")
			}
			msg = v["message"].(map[string]any)
		case "content_block_start":
			if open >= 0 || index() != len(content()) {
				return nil, fmt.Errorf("block %d opened while %d is open and %d exist", index(), open, len(content()))
			}
			open, partial = index(), ""
			msg["content"] = append(content(), v["content_block"])
		case "content_block_delta":
			if index() != open {
				return nil, fmt.Errorf("a delta for block %d while %d is open", index(), open)
			}
			b := content()[open].(map[string]any)
			d := v["delta"].(map[string]any)
			switch d["type"] {
			case "text_delta":
				b["text"] = word(b["text"]) + word(d["text"])
			case "thinking_delta":
				b["thinking"] = word(b["thinking"]) + word(d["thinking"])
			case "signature_delta":
				b["signature"] = d["signature"]
			case "input_json_delta":
				partial += word(d["partial_json"])
			case "citations_delta":
				c, _ := b["citations"].([]any)
				b["citations"] = append(c, d["citation"])
			default:
				for k, m := range d {
					if k != "type" {
						b[k] = m
					}
				}
			}
		case "content_block_stop":
			if index() != open {
				return nil, fmt.Errorf("block %d stopped while %d is open", index(), open)
			}
			if partial != "" {
				var in any
				dec := json.NewDecoder(strings.NewReader(partial))
				dec.UseNumber()
				if err := dec.Decode(&in); err != nil {
					in = partial
				}
				content()[open].(map[string]any)["input"] = in
			}
			open = -1
		case "message_delta":
			if open >= 0 {
				return nil, fmt.Errorf("message_delta while block %d is open", open)
			}
			for k, m := range v {
				switch k {
				case "type":
				case "delta":
					for k, m := range m.(map[string]any) {
						msg[k] = m
					}
				case "usage":
					u, _ := msg["usage"].(map[string]any)
					for k, m := range m.(map[string]any) {
						if m != nil {
							u[k] = m
						}
					}
				default:
					msg[k] = m
				}
			}
			stopped = true
		case "message_stop":
			if !stopped {
				return nil, fmt.Errorf("message_stop without message_delta")
			}
			done = true
		case "error":
			return msg, fmt.Errorf("error event: %s", f.Data)
		default:
			return nil, fmt.Errorf("unknown event %q", typ)
		}
	}
	if !done {
		return msg, fmt.Errorf("no message_stop")
	}
	return msg, nil
}

// gather makes a whole answer from events, as a client of the words would.
func gather(t testing.TB, es []llm.Event) *llm.Response {
	t.Helper()
	r := &llm.Response{From: llm.Anthropic}
	var it *llm.Item
	terminal := 0
	for i, e := range es {
		if terminal > 0 {
			t.Fatalf("event %d (%s) comes after the terminal one", i, e.Kind)
		}
		switch e.Kind {
		case llm.EventStart:
			if i > 0 && es[0].Kind == llm.EventStart {
				t.Fatalf("a second start")
			}
			r.ID, r.Model = e.ID, e.Model
		case llm.EventBlockStart:
			if it != nil {
				t.Fatalf("block %d opened inside another", e.Index)
			}
			if e.Index != len(r.Items) {
				t.Fatalf("block %d is number %d", e.Index, len(r.Items))
			}
			it = &llm.Item{Kind: e.Block.Kind, Role: llm.Assistant, Type: e.Block.Type, Opaque: e.Block.Opaque,
				Call: llm.Call{ID: e.Block.ID, Custom: e.Block.Custom}}
			if e.Block.Kind == llm.ItemToolCall { // that of thinking only says that it may be signed
				it.Call.Name = e.Block.Name
			}
		case llm.EventDelta:
			if it == nil || e.Index != len(r.Items) {
				t.Fatalf("a delta outside its block")
			}
			switch d := e.Delta; d.Kind {
			case llm.DeltaText, llm.DeltaReasoning, llm.DeltaRefusal:
				if len(it.Blocks) == 0 {
					it.Blocks = []llm.Block{{Kind: llm.BlockText}}
				}
				it.Blocks[0].Text += d.Text
			case llm.DeltaArguments:
				it.Call.Arguments = append(it.Call.Arguments, d.Text...)
			case llm.DeltaOpaque:
				it.Opaque = []llm.Opaque{d.Opaque}
			}
		case llm.EventBlockStop:
			if it == nil || e.Index != len(r.Items) {
				t.Fatalf("a stop outside its block")
			}
			r.Items = append(r.Items, *it)
			it = nil
		case llm.EventUsage:
			r.Usage = e.Usage
		case llm.EventFinish:
			r.Finish = e.Finish
			terminal++
		case llm.EventError:
			terminal++
		}
	}
	if terminal != 1 {
		t.Fatalf("%d terminal events", terminal)
	}
	return r
}

func raw(s string) jsontext.Value { return jsontext.Value(s) }
