package openai

import (
	"bytes"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// TestGeminiOnly: what only a Gemini model gives is refused, not dropped.
func TestGeminiOnly(t *testing.T) {
	for _, c := range []struct {
		name, value string
		refused     bool
	}{
		{"generationConfig.responseModalities", `["TEXT","IMAGE"]`, true},
		{"generationConfig.responseModalities", `["TEXT"]`, false},
		{"generationConfig.responseLogprobs", `true`, true},
		{"generationConfig.responseLogprobs", `false`, false},
		{"generationConfig.responseMimeType", `"text/x.enum"`, true},
		{"generationConfig.responseMimeType", `"text/plain"`, false},
	} {
		r := &llm.Request{From: llm.Gemini, Ext: []llm.Member{{Name: c.name, Value: []byte(c.value)}},
			Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: "hi"}}}}}
		e, err := Codec{}.EncodeRequest(r, "m", &llm.Capability{})
		if err != nil {
			t.Fatal(err)
		}
		if got := llm.Refusal(e.Losses) != nil; got != c.refused {
			t.Errorf("%s %s: refused %v, losses %v", c.name, c.value, got, e.Losses)
		}
	}
	audio := &llm.Request{From: llm.Gemini, Items: []llm.Item{{Kind: llm.ItemMessage, Role: llm.User,
		Blocks: []llm.Block{{Kind: llm.BlockAudio, Media: llm.Media{URL: "https://x.example/a.wav"}}}}}}
	if e, err := (Codec{}).EncodeRequest(audio, "m", &llm.Capability{}); err != nil || llm.Refusal(e.Losses) == nil {
		t.Errorf("audio by reference: %v %v", e.Losses, err)
	}
}

// TestExtraContent: Google's signature of a call goes to a client in
// extra_content, whole and streamed, comes back from there, and goes to no
// target that is known not to be Google's.
func TestExtraContent(t *testing.T) {
	const member = `"extra_content":{"google":{"thought_signature":"SIG"}}`
	state := []llm.Opaque{{Issuer: llm.IssuerGemini, Kind: llm.OpaqueSignature, Data: "SIG"}}
	call := llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, From: llm.Gemini, Call: llm.Call{ID: "a", Name: "f", Arguments: []byte("{}")}, Opaque: state}
	whole := string(Codec{}.AppendResponse(nil, &llm.Response{ID: "i", Model: "m", From: llm.Gemini, Items: []llm.Item{call}, Finish: llm.Finish{Reason: llm.FinishToolCalls}}))
	streams := map[string][]llm.Event{
		"with the head": {{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "a", Name: "f", Opaque: state}}},
		"behind the head": {{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "a", Name: "f"}},
			{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaOpaque, Opaque: state[0]}}},
	}
	for name, events := range streams {
		e := Codec{}.NewEncoder(llm.StreamOptions{ID: "i", Model: "m"})
		var out []byte
		for _, ev := range events {
			out = e.Encode(out, ev)
		}
		if strings.Count(string(out), member) != 1 || strings.Contains(string(out), "reasoning_details") {
			t.Errorf("%s: %s", name, out)
		}
		frames := strings.Split(strings.ReplaceAll(string(out), "data: ", ""), "\n\n")
		d := Codec{}.NewDecoder()
		var back []llm.Event
		for _, f := range frames[:len(frames)-1] {
			var err error
			if back, err = d.Decode(back, nil, []byte(f)); err != nil {
				t.Fatal(err)
			}
		}
		found := false
		for _, ev := range d.Close(back) {
			found = found || len(ev.Block.Opaque) == 1 && ev.Block.Opaque[0] == state[0] || ev.Kind == llm.EventDelta && ev.Delta.Opaque == state[0]
		}
		if !found {
			t.Errorf("%s: no state in %+v", name, back)
		}
	}
	if strings.Count(whole, member) != 1 {
		t.Errorf("whole: %s", whole)
	}
	answer, err := Codec{}.DecodeResponse([]byte(whole))
	if err != nil || len(answer.Items) != 1 || len(answer.Items[0].Opaque) != 1 || answer.Items[0].Opaque[0] != state[0] {
		t.Errorf("the answer read again: %+v, %v", answer, err)
	}
	body := []byte(`{"model":"m","messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},` + member + `}]},{"role":"tool","tool_call_id":"a","content":"r"}]}`)
	r, err := Codec{}.DecodeRequest(body)
	if err != nil || len(r.Items[1].Opaque) != 1 || r.Items[1].Opaque[0] != state[0] {
		t.Fatalf("the request: %+v, %v", r, err)
	}
	for _, known := range []bool{false, true} {
		c := &llm.Capability{Known: known, Has: llm.AllFeatures}
		enc, err := Codec{}.EncodeRequest(r, "m", c)
		if err != nil || bytes.Contains(bytes.Join(enc.Body, nil), []byte(member)) == known {
			t.Errorf("through the words, known %v: %s, %v", known, bytes.Join(enc.Body, nil), err)
		}
		head, err := Codec{}.Head(llm.OpChat, body)
		if err != nil {
			t.Fatal(err)
		}
		d := llm.NewDraft(llm.OpenAI, llm.OpChat, body, head, Codec{}.DecodeRequest).With(llm.Edit{Kind: llm.EditReshape})
		enc, err = Codec{}.Patch(&d, c)
		if err != nil || bytes.Contains(bytes.Join(enc.Body, nil), []byte(member)) == known {
			t.Errorf("patched, known %v: %s, %v", known, bytes.Join(enc.Body, nil), err)
		}
	}
}
