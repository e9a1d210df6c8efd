package openai

import (
	"bytes"
	"testing"

	"headrace/internal/llm"
)

// TestReshapeHistory: what another vendor of this dialect said is fitted to a
// known target when a route chose it, and left alone when the client did.
func TestReshapeHistory(t *testing.T) {
	t.Parallel()
	long := "chatcmpl-tool-0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		capability llm.Capability
		said, want string
	}{
		"what only answers have": {llm.Capability{Known: true, Has: llm.AllFeatures},
			`{"role":"assistant","content":null,"refusal":null,"annotations":[],"audio":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"}`,
			`{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"}`},
		"a refusal stays": {llm.Capability{Known: true, Has: llm.AllFeatures},
			`{"role":"assistant","refusal":"no"}`, `{"role":"assistant","refusal":"no"}`},
		"nine characters": {llm.Capability{Known: true, Has: llm.AllFeatures, ToolIDLength: 9},
			`{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"abcdefgh9","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"r"}`,
			`{"role":"assistant","tool_calls":[{"id":"ID1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"abcdefgh9","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"ID1","content":"r"}`},
		"a long id": {llm.Capability{Known: true, Has: llm.AllFeatures},
			`{"role":"assistant","tool_calls":[{"id":"` + long + `","function":{}}]},{"role":"tool","tool_call_id":"` + long + `"}`,
			`{"role":"assistant","tool_calls":[{"id":"ID2","function":{}}]},{"role":"tool","tool_call_id":"ID2"}`},
		"parts of thinking": {llm.Capability{Known: true, Has: llm.AllFeatures},
			`{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"thinking","thinking":[]}]}`,
			`{"role":"assistant","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":null}`},
		"Mistral keeps them": {llm.Capability{Known: true, Has: llm.AllFeatures, ToolIDLength: 9},
			`{"role":"assistant","content":[{"type":"thinking","thinking":[]}]}`, `{"role":"assistant","content":[{"type":"thinking","thinking":[]}]}`},
		"an unknown target": {llm.Capability{},
			`{"role":"assistant","refusal":null,"tool_calls":[{"index":0,"id":"` + long + `"}]}`, `{"role":"assistant","refusal":null,"tool_calls":[{"index":0,"id":"` + long + `"}]}`},
	} {
		e := requestEncoder{c: &c.capability}
		want := []byte(c.want)
		for mark, id := range map[string]string{"ID1": "call_1", "ID2": long} {
			want = bytes.ReplaceAll(want, []byte(mark), []byte(e.callID(id)))
		}
		body := func(messages string) []byte {
			return []byte(`{"model":"m","messages":[{"role":"user","content":"q"},` + messages + `,{"role":"user","content":"q"}]}`)
		}
		for _, reshape := range []bool{true, false} {
			in := body(c.said)
			head, err := Codec{}.Head(llm.OpChat, in)
			if err != nil {
				t.Fatal(err)
			}
			d := llm.NewDraft(llm.OpenAI, llm.OpChat, in, head, Codec{}.DecodeRequest)
			expected := in
			if reshape {
				d, expected = d.With(llm.Edit{Kind: llm.EditReshape}), body(string(want))
			}
			enc, err := Codec{}.Patch(&d, &c.capability)
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Join(enc.Body, nil); !bytes.Equal(got, expected) {
				t.Errorf("%s, reshape %v:\ngot  %s\nwant %s", name, reshape, got, expected)
			}
		}
	}
}
