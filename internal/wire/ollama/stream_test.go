package ollama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"headrace/internal/llm"
)

// heard is what a client makes of events.
type heard struct {
	Text, Thought string
	Calls         []string
	Finish        llm.FinishReason
	Usage         llm.Usage
	Failed        bool
}

// hear follows events and checks their grammar.
func hear(t testing.TB, es []llm.Event) (h heard) {
	t.Helper()
	open, next, ended, started := false, 0, false, false
	for i, e := range es {
		if ended {
			t.Fatalf("event %d (%s) is behind the end", i, e.Kind)
		}
		if !started && e.Kind != llm.EventStart && e.Kind != llm.EventPing && e.Kind != llm.EventError {
			t.Fatalf("event %d (%s) is before the start", i, e.Kind)
		}
		switch e.Kind {
		case llm.EventStart:
			if started {
				t.Fatal("a second start")
			}
			started = true
		case llm.EventBlockStart:
			if open || e.Index != next {
				t.Fatalf("event %d opens block %d, want %d, open %v", i, e.Index, next, open)
			}
			open = true
			if e.Block.Kind == llm.ItemToolCall {
				h.Calls = append(h.Calls, e.Block.ID+" "+e.Block.Name+" ")
			}
		case llm.EventDelta:
			if !open || e.Index != next {
				t.Fatalf("event %d is for block %d, want %d, open %v", i, e.Index, next, open)
			}
			switch e.Delta.Kind {
			case llm.DeltaText:
				h.Text += e.Delta.Text
			case llm.DeltaReasoning:
				h.Thought += e.Delta.Text
			case llm.DeltaArguments:
				h.Calls[len(h.Calls)-1] += e.Delta.Text
			}
		case llm.EventBlockStop:
			if !open || e.Index != next {
				t.Fatalf("event %d stops block %d, want %d", i, e.Index, next)
			}
			open = false
			next++
		case llm.EventUsage:
			h.Usage = e.Usage
		case llm.EventFinish:
			if open {
				t.Fatal("the end comes inside a block")
			}
			h.Finish, ended = e.Finish.Reason, true
		case llm.EventError:
			if e.Err == nil || e.Err.Class == "" || e.Err.Message == "" {
				t.Fatalf("error %+v", e.Err)
			}
			h.Failed, ended = true, true
		}
	}
	if !ended {
		t.Fatal("no terminal event")
	}
	return h
}

// lines checks the form of a stream that we wrote, and gives its last line.
func lines(t testing.TB, stream string, member string) map[string]any {
	t.Helper()
	if !strings.HasSuffix(stream, "\n") {
		t.Fatalf("the last line has no end: %q", stream)
	}
	all := strings.Split(strings.TrimSuffix(stream, "\n"), "\n")
	var last map[string]any
	for i, line := range all {
		last = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("line %d: %v: %q", i, err, line)
		}
		if _, failed := last["error"]; failed {
			if i != len(all)-1 {
				t.Fatalf("something stands behind the error: %q", stream)
			}
			return last
		}
		if last["done"] != (i == len(all)-1) || last["model"] == "" || last[member] == nil {
			t.Fatalf("line %d of %d: %s", i, len(all), line)
		}
	}
	return last
}

// Cut at every byte, a stream says the same; what is cut off is no success.
func TestStreams(t *testing.T) {
	for name, stream := range files(t, "stream.ndjson") {
		t.Run(name, func(t *testing.T) {
			want, err := events(t, bytes.NewReader(stream))
			if err != nil {
				t.Fatal(err)
			}
			pieces, err := events(t, iotest.OneByteReader(bytes.NewReader(stream)))
			if err != nil || !reflect.DeepEqual(pieces, want) {
				t.Errorf("byte by byte: %+v, %v", pieces, err)
			}
			h := hear(t, want)
			if h.Failed != (strings.HasPrefix(name, "error") || name == "cut") {
				t.Errorf("%+v", h)
			}
			lastLine := bytes.LastIndexByte(bytes.TrimSuffix(stream, []byte("\n")), '\n') + 1
			for cut := range stream {
				es, err := events(t, bytes.NewReader(stream[:cut]))
				if err != nil { // inside a line
					if e, ok := err.(*llm.Error); !ok || e.Class != llm.MalformedUpstream {
						t.Fatalf("cut at %d: %v", cut, err)
					}
					continue
				}
				if got := hear(t, es); !got.Failed && cut < len(stream)-1 {
					t.Fatalf("cut at %d of %d (the last line begins at %d) it is a success: %+v", cut, len(stream), lastLine, got)
				}
			}
			// Through the words and back.
			out := encode(codecOf(name), want, llm.StreamOptions{})
			member := "message"
			if strings.HasPrefix(name, "generate") {
				member = "response"
			}
			lines(t, out, member)
			again, err := events(t, strings.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if got := hear(t, again); !reflect.DeepEqual(got, h) {
				t.Errorf("\n got %+v\nwant %+v", got, h)
			}
			if h.Failed {
				return
			}
			if got := out[strings.LastIndexByte(strings.TrimSuffix(out, "\n"), '\n')+1:]; true { // the durations are kept
				var a, b map[string]any
				if err := json.Unmarshal([]byte(got), &a); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal(stream[lastLine:], &b); err != nil {
					t.Fatal(err)
				}
				delete(a, "created_at") // to the second
				delete(b, "created_at")
				if !reflect.DeepEqual(a, b) {
					t.Errorf("\n got %s\nwant %s", got, stream[lastLine:])
				}
			}
			// Whole and streamed are one answer.
			r, err := Codec{}.DecodeResponse(oneCase(t, name, "response.json"))
			if err != nil {
				t.Fatal(err)
			}
			whole := hear(t, llm.Replay(r))
			if name == "tools" { // the stream speaks before it calls
				whole.Text = h.Text
			}
			if name == "tools-bare" { // ids are made of the time
				whole.Calls, h.Calls = whole.Calls[:0], h.Calls[:0]
			}
			if name == "generate" {
				whole.Thought = h.Thought
			}
			if !reflect.DeepEqual(whole, h) {
				t.Errorf("\nwhole  %+v\nstream %+v", whole, h)
			}
		})
	}
}

// Every line that tells is one that Telling picks; those of plain text are not.
func TestTelling(t *testing.T) {
	for name, stream := range files(t, "stream.ndjson") {
		d := Codec{}.NewDecoder()
		for line := range bytes.Lines(stream) {
			es, err := d.Decode(nil, nil, bytes.TrimSpace(line))
			tells := err != nil
			for _, e := range es {
				tells = tells || e.Kind == llm.EventUsage || e.Kind == llm.EventError || e.Kind == llm.EventFinish
			}
			if (Codec{}).Telling(line) != tells {
				t.Errorf("%s: %s tells: %v", name, line, tells)
			}
		}
	}
	for line, want := range map[string]bool{
		`{"message":{"content":"\"done\":true"},"done":false}`: false,
		`{"message":{"content":""},"done" : true}`:             true,
		`{"done":true,"message":{"content":""}}`:               true,
		`{"error":"x"}`:                                        true,
		`{"message":{"content":"x"}}`:                          true,
		`oops`:                                                 true,
		``:                                                     true,
		`{"message":{"content":"x"},"done"`:                    true,
		`{"message":{"content":"x"},"done":`:                   true,
	} {
		if got := (Codec{}).Telling([]byte(line)); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

func TestForeignStream(t *testing.T) {
	start := llm.Event{Kind: llm.EventStart, ID: "x", Model: "opus", Created: 1763900000}
	block := func(i int, b llm.BlockHead, ds ...llm.Delta) (es []llm.Event) {
		es = append(es, llm.Event{Kind: llm.EventBlockStart, Index: i, Block: b})
		for _, d := range ds {
			es = append(es, llm.Event{Kind: llm.EventDelta, Index: i, Delta: d})
		}
		return append(es, llm.Event{Kind: llm.EventBlockStop, Index: i})
	}
	es := []llm.Event{{Kind: llm.EventPing}, start}
	es = append(es, block(0, llm.BlockHead{Kind: llm.ItemReasoning}, llm.Delta{Kind: llm.DeltaReasoning, Text: "hm"}, llm.Delta{Kind: llm.DeltaOpaque, Opaque: llm.Opaque{Issuer: llm.IssuerAnthropic, Data: "s"}})...)
	es = append(es, block(1, llm.BlockHead{Kind: llm.ItemMessage}, llm.Delta{Kind: llm.DeltaText, Text: "a\n\"b\""})...)
	es = append(es, block(2, llm.BlockHead{Kind: llm.ItemToolCall, ID: "c1", Name: "f"}, llm.Delta{Kind: llm.DeltaArguments, Text: "{\n \"a\":"}, llm.Delta{Kind: llm.DeltaArguments, Text: " \"x\\ny\"\r\n}"})...)
	es = append(es, block(3, llm.BlockHead{Kind: llm.ItemToolCall, ID: "c2", Name: "g"})...)
	es = append(es, block(4, llm.BlockHead{Kind: llm.ItemToolCall, ID: "c3", Name: "h", Custom: true}, llm.Delta{Kind: llm.DeltaArguments, Text: "free\ntext"})...)
	es = append(es, llm.Event{Kind: llm.EventUsage, Usage: llm.Usage{Input: 5, CacheRead: 10, Output: 7, Source: llm.UsageProvider}},
		llm.Event{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls, Native: "tool_use", Took: llm.Took{Total: 9, Wait: 1, Prompt: 2, Output: 6}}}, llm.Event{Kind: llm.EventPing})
	for _, c := range []Codec{{}, {Form: FormGenerate}} {
		member := map[string]string{"": "message", FormGenerate: "response"}[c.Form]
		out := encode(c, es, llm.StreamOptions{})
		last := lines(t, out, member)
		if last["done_reason"] != "stop" || last["prompt_eval_count"] != 15.0 || last["eval_count"] != 7.0 || last["total_duration"] != 9.0 || last["eval_duration"] != 6.0 || last["created_at"] != "2025-11-23T12:13:20Z" {
			t.Errorf("%v", last)
		}
		back, err := events(t, strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		want := heard{Text: "a\n\"b\"", Thought: "hm", Finish: llm.FinishToolCalls, Usage: llm.Usage{Input: 15, Output: 7, Source: llm.UsageProvider},
			Calls: []string{`c1 f {  "a": "x\ny"  }`, `c2 g {}`, `c3 h {"input":"free\ntext"}`}}
		if got := hear(t, back); !reflect.DeepEqual(got, want) {
			t.Errorf("\n got %+v\nwant %+v\n%s", got, want, out)
		}
	}
	// The end of a stream in the words of Ollama.
	for reason, want := range map[llm.FinishReason]string{llm.FinishStop: "stop", llm.FinishStopSequence: "stop", llm.FinishLength: "length", llm.FinishContext: "length",
		llm.FinishPaused: "length", llm.FinishRefusal: "content_filter", llm.FinishFailed: "error", llm.FinishOther: "stop", llm.FinishToolCalls: "stop"} {
		out := encode(Codec{}, []llm.Event{start, {Kind: llm.EventFinish, Finish: llm.Finish{Reason: reason, Native: "whatever"}}}, llm.StreamOptions{PromptEstimate: 33})
		if last := lines(t, out, "message"); last["done_reason"] != want || last["prompt_eval_count"] != 33.0 {
			t.Errorf("%s: %v", reason, last)
		}
	}
	out := encode(Codec{}, []llm.Event{{Kind: llm.EventError, Err: llm.Errorf(llm.Overloaded, "too\nmuch")}, {Kind: llm.EventFinish}}, llm.StreamOptions{})
	if out != `{"error":"too\nmuch"}`+"\n" {
		t.Errorf("%q", out)
	}
	if out := encode(Codec{}, []llm.Event{{Kind: llm.EventError}}, llm.StreamOptions{}); !strings.Contains(out, `"error"`) {
		t.Errorf("%q", out)
	}
}

// Without a count of the prompt there is no usage: it is never zero.
func TestNoPromptCount(t *testing.T) {
	const end = `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"x"},"done":true,"done_reason":"stop","eval_count":9}`
	r, err := Codec{}.DecodeResponse([]byte(end))
	if err != nil || r.Usage.Source != "" {
		t.Errorf("%+v, %v", r, err)
	}
	g, err := Codec{}.Glance([]byte(end))
	if err != nil || g.Usage.Source != "" {
		t.Errorf("%+v, %v", g, err)
	}
	es, err := events(t, strings.NewReader(end+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		if e.Kind == llm.EventUsage && (e.Usage.Source != "" || e.Usage.Output != 9) {
			t.Errorf("%+v", e.Usage)
		}
	}
	if out := encode(Codec{}, es, llm.StreamOptions{PromptEstimate: 40}); !strings.Contains(out, `"prompt_eval_count":40`) || !strings.Contains(out, `"eval_count":9`) {
		t.Error(out)
	}
}

func TestFinish(t *testing.T) {
	for _, tt := range []struct {
		body string
		want llm.FinishReason
	}{
		{`{"message":{"content":"x"},"done":true}`, llm.FinishStop},
		{`{"message":{"content":"x"},"done":true,"done_reason":"length"}`, llm.FinishLength},
		{`{"message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true,"done_reason":"stop"}`, llm.FinishToolCalls},
		{`{"message":{"content":""},"done":true,"done_reason":"load"}`, llm.FinishStop},
		{`{"message":{"content":"x"},"done":true,"done_reason":"a new one"}`, llm.FinishOther},
	} {
		r, err := Codec{}.DecodeResponse([]byte(tt.body))
		if err != nil || r.Finish.Reason != tt.want {
			t.Errorf("%s: %+v, %v", tt.body, r, err)
		}
	}
	for _, body := range []string{``, `[]`, `x`, `{}`, `{"message":{"content":"x"},"done":false}`, `{"error":"no"}`, `{"message":{"tool_calls":[{}]},"done":true}`} {
		if _, err := (Codec{}).DecodeResponse([]byte(body)); err == nil {
			t.Errorf("%s is an answer", body)
		} else if e, ok := err.(*llm.Error); !ok || e.Class == "" {
			t.Errorf("%s: %#v", body, err)
		}
	}
}

func TestForeignAnswer(t *testing.T) {
	r := &llm.Response{From: llm.Anthropic, ID: "msg_1", Model: "opus", Created: 1763900000, Finish: llm.Finish{Reason: llm.FinishToolCalls, Took: llm.Took{Total: 9, Wait: 1, Prompt: 2, Output: 6}}, Usage: llm.Usage{Input: 3, Output: 4, Source: llm.UsageProvider},
		Items: []llm.Item{{Kind: llm.ItemReasoning, Blocks: []llm.Block{txt("hm")}}, said(0, llm.Assistant, txt("yes")), called(0, "a", "f", `{"z":1,"a":2}`)}}
	same(t, Codec{}.AppendResponse(nil, r), []byte(`{"model":"opus","created_at":"2025-11-23T12:13:20Z","message":{"role":"assistant","content":"yes","thinking":"hm",
		"tool_calls":[{"id":"a","function":{"index":0,"name":"f","arguments":{"z":1,"a":2}}}]},"done":true,"done_reason":"stop",
		"total_duration":9,"load_duration":1,"prompt_eval_count":3,"prompt_eval_duration":2,"eval_count":4,"eval_duration":6}`))
	r.Items, r.Finish.Took = r.Items[:2], llm.Took{}
	same(t, Codec{Form: FormGenerate}.AppendResponse(nil, r), []byte(`{"model":"opus","created_at":"2025-11-23T12:13:20Z","response":"yes","thinking":"hm","done":true,"done_reason":"stop",
		"prompt_eval_count":3,"eval_count":4}`))
}

func TestLooksCut(t *testing.T) {
	for _, tt := range []struct {
		estimate, read int64
		source         llm.UsageSource
		want           bool
	}{
		{30000, 4096, llm.UsageProvider, true},
		{30000, 24000, llm.UsageProvider, false},
		{1500, 20, llm.UsageProvider, false},
		{30000, 4096, llm.UsageEstimated, false},
		{30000, 0, llm.UsageProvider, false},
	} {
		if got := LooksCut(tt.estimate, llm.Usage{Input: tt.read, Source: tt.source}); (got != nil) != tt.want || got != nil && got.Kind != llm.LossWarn {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A line reader gives back the bytes it was given.
func TestLinesAreByteExact(t *testing.T) {
	stream := "{\"a\":1}\r\n\n{\"b\":\"é\"}\n  {\"c\":3} \n{\"cut\":"
	var raw []byte
	r := newLines(stream)
	for {
		f, err := r.Next()
		raw = append(raw, f.Raw...)
		if err != nil {
			if err == io.EOF {
				t.Error("a cut line ends well")
			}
			break
		}
	}
	if string(raw) != stream {
		t.Errorf("%q", raw)
	}
	if _, err := newCapped(strings.Repeat("x", 100)+"\n", 50).Next(); err == nil || err == io.EOF {
		t.Errorf("no cap: %v", err)
	}
}

func ExampleCodec_NewEncoder() {
	e := Codec{}.NewEncoder(llm.StreamOptions{Model: "m"})
	out := e.Encode(nil, llm.Event{Kind: llm.EventStart, Model: "m"})
	out = e.Encode(out, llm.Event{Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemMessage}})
	out = e.Encode(out, llm.Event{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaText, Text: "Slate."}})
	out = e.Encode(out, llm.Event{Kind: llm.EventBlockStop})
	fmt.Printf("%s", out)
	// Output: {"model":"m","created_at":"1970-01-01T00:00:00Z","message":{"role":"assistant","content":"Slate."},"done":false}
}
