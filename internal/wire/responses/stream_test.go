package responses

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// decoded runs a stream through the decoder.
func decoded(stream []byte) (events []llm.Event) {
	r, d := sse.NewReader(bytes.NewReader(stream), 0), Codec{}.NewDecoder()
	for {
		f, err := r.Next()
		if err != nil {
			return d.Close(events)
		}
		if events, err = d.Decode(events, f.Event, f.Data); err != nil {
			return append(events, llm.Event{Kind: llm.EventError, Err: err.(*llm.Error)})
		}
	}
}

// tale is what a stream told.
type tale struct {
	text, thought string
	calls         int
	args          string
	opaque        string
	err           *llm.Error
	finish        llm.FinishReason
}

func tell(events []llm.Event) (t tale) {
	for _, e := range events {
		switch e.Kind {
		case llm.EventBlockStart:
			if e.Block.Kind == llm.ItemToolCall {
				t.calls++
			}
		case llm.EventDelta:
			switch e.Delta.Kind {
			case llm.DeltaText, llm.DeltaRefusal:
				t.text += e.Delta.Text
			case llm.DeltaReasoning:
				t.thought += e.Delta.Text
			case llm.DeltaArguments:
				t.args += e.Delta.Text
			case llm.DeltaOpaque:
				t.opaque = e.Delta.Opaque.Data
			}
		case llm.EventError:
			t.err = e.Err
		case llm.EventFinish:
			t.finish = e.Finish.Reason
		}
	}
	return t
}

func file(t testing.TB, name string) []byte {
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "wire", "responses", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStreams: what streams of several manners say, with the arguments of
// calls whole, in one place and once.
func TestStreams(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]tale{
		"text":             {text: "Lima é a capital 🏔.", finish: llm.FinishStop},
		"thinking":         {text: "I look it up.Lima.", thought: "**First** look at it\n\n**Then** answer it", opaque: "gAAAAB-enc", finish: llm.FinishStop},
		"tools":            {calls: 2, args: `{"city":"Lima", "n": 12345678901234567890}{}`, finish: llm.FinishToolCalls},
		"done-only-call":   {calls: 1, args: `{"a":1}`, finish: llm.FinishToolCalls},
		"added-whole-call": {calls: 1, args: `{"a":1}`, finish: llm.FinishToolCalls},
		"interleaved":      {calls: 2, args: `{"a":1}{"b":2}`, finish: llm.FinishToolCalls},
		"custom-call":      {calls: 1, args: `echo "hi"`, finish: llm.FinishToolCalls},
		"terminal-only":    {text: "All at once.", finish: llm.FinishStop},
		"refusal":          {text: "I cannot help with that.", finish: llm.FinishRefusal},
		"cut-by-length":    {text: "Once upon", finish: llm.FinishLength},
		"filtered":         {text: "Once", finish: llm.FinishRefusal},
		"open-thinking":    {text: "5", thought: "We count.", finish: llm.FinishStop},
		"server-tool":      {text: "Found.", finish: llm.FinishStop},
	} {
		if got := tell(decoded(file(t, name+"/stream.sse"))); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// TestBrokenStreams: every bad end is an error with its class, and a client of
// this dialect sees response.failed with the code that it acts upon, at every
// byte at which the connection may break.
func TestBrokenStreams(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		class llm.Class
		code  string
	}{
		"cut":           {llm.MalformedUpstream, "server_error"},
		"failed":        {llm.RateLimited, "rate_limit_exceeded"},
		"failed-midway": {llm.ServerError, "server_error"},
		"error-event":   {llm.QuotaExhausted, "insufficient_quota"},
		"error-flat":    {llm.ContextOverflow, "context_length_exceeded"},
	} {
		events := decoded(file(t, name+"/stream.sse"))
		got := tell(events)
		if got.err == nil || got.err.Class != want.class {
			t.Errorf("%s: error %v, want the class %s", name, got.err, want.class)
			continue
		}
		out := written(events)
		if code := terminal(t, out); code != want.code {
			t.Errorf("%s: the code %q, want %q in\n%s", name, code, want.code, out)
		}
	}
	for name, step := range map[string]int{"done-only-call": 1, "thinking": 53, "tools": 53, "server-tool": 53, "interleaved": 53} {
		stream := file(t, name+"/stream.sse")
		end := bytes.LastIndex(stream, []byte("event: response.completed"))
		for n := 0; n < end; n += step {
			out := written(decoded(stream[:n]))
			if code := terminal(t, out); code == "" {
				t.Fatalf("%s cut at byte %d ends well:\n%s", name, n, out)
			}
		}
	}
}

func written(events []llm.Event) string {
	e := Codec{}.NewEncoder(llm.StreamOptions{ID: "resp_x", Model: "m", Created: 1})
	var out []byte
	for _, ev := range events {
		out = e.Encode(out, ev)
	}
	return string(out)
}

// terminal checks that there is one terminal event, at the end, and that the
// numbers rise by one; it gives the code of a failure.
func terminal(t *testing.T, out string) (code string) {
	t.Helper()
	seen, next := 0, int64(0)
	for frame := range strings.SplitSeq(strings.TrimSpace(out), "\n\n") {
		if frame == ": keep-alive" {
			continue
		}
		name, data, ok := strings.Cut(frame, "\ndata: ")
		if !ok || seen > 0 {
			t.Fatalf("frame %q in\n%s", frame, out)
		}
		raw := []byte(data)
		name = strings.TrimPrefix(name, "event: ")
		if n, _ := span.Integer(span.Field(raw, "sequence_number")); n != next || span.Text(span.Field(raw, "type")) != name {
			t.Fatalf("%s is number %d, want %d", frame, n, next)
		}
		next++
		switch name {
		case "response.completed", "response.incomplete":
			seen++
		case "response.failed":
			seen++
			code = span.Text(span.At(raw, "response", "error", "code"))
		}
	}
	if seen != 1 {
		t.Fatalf("%d terminal events in\n%s", seen, out)
	}
	return code
}

// TestForeignStream: what other dialects tell comes out as items, each added
// and done, with state wrapped and calls without arguments made whole.
func TestForeignStream(t *testing.T) {
	t.Parallel()
	ev := func(k llm.EventKind, i int) llm.Event { return llm.Event{Kind: k, Index: i, From: llm.Anthropic} }
	delta := func(i int, d llm.Delta) llm.Event {
		return llm.Event{Kind: llm.EventDelta, Index: i, From: llm.Anthropic, Delta: d}
	}
	start := func(i int, b llm.BlockHead) llm.Event {
		return llm.Event{Kind: llm.EventBlockStart, Index: i, From: llm.Anthropic, Block: b}
	}
	signature := llm.Opaque{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: "SIG"}
	out := written([]llm.Event{{Kind: llm.EventStart, ID: "msg_1", Model: "claude"},
		start(0, llm.BlockHead{Kind: llm.ItemReasoning, Name: llm.IssuerAnthropic}),
		delta(0, llm.Delta{Kind: llm.DeltaReasoning, Text: "hm\n\nwell"}), delta(0, llm.Delta{Kind: llm.DeltaOpaque, Opaque: signature}), ev(llm.EventBlockStop, 0),
		start(1, llm.BlockHead{Kind: llm.ItemMessage}), ev(llm.EventBlockStop, 1), // nothing said
		start(2, llm.BlockHead{Kind: llm.ItemMessage}),
		delta(2, llm.Delta{Kind: llm.DeltaNative, Type: "citations_delta", Raw: []byte(`{"citation":{"url":"https://a","title":"A"}}`)}),
		delta(2, llm.Delta{Kind: llm.DeltaText, Text: "é!"}), ev(llm.EventBlockStop, 2),
		start(3, llm.BlockHead{Kind: llm.ItemToolCall, ID: "toolu_1", Name: "f"}), ev(llm.EventBlockStop, 3),
		{Kind: llm.EventUsage, Usage: llm.Usage{Source: llm.UsageProvider, Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 9, Reasoning: 5}},
		{Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishToolCalls, Native: "tool_use"}}})
	if code := terminal(t, out); code != "" {
		t.Fatalf("failed with %q", code)
	}
	frames := strings.Split(strings.TrimSpace(out), "\n\n")
	last := []byte(frames[len(frames)-1][strings.Index(frames[len(frames)-1], "data: ")+6:])
	r, err := Codec{}.DecodeResponse(span.Field(last, "response"))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Items) != 3 || r.Items[0].Text() != "hm\n\nwell" || len(r.Items[0].Opaque) != 1 || r.Items[0].Opaque[0] != signature ||
		r.Items[1].Text() != "é!" || string(r.Items[1].Blocks[0].Citations) != `[{"type":"url_citation","start_index":0,"end_index":2,"url":"https://a","title":"A"}]` ||
		r.Items[2].Call.ID != "toolu_1" || string(r.Items[2].Call.Arguments) != "{}" {
		t.Errorf("%+v", r.Items)
	}
	if u := r.Usage; u.Input != 1 || u.CacheRead != 2 || u.CacheWrite5m != 7 || u.Output != 9 || u.Reasoning != 5 {
		t.Errorf("usage %+v", u)
	}
	if n := strings.Count(out, "event: response.output_item.added"); n != 3 || n != strings.Count(out, "event: response.output_item.done") {
		t.Errorf("added %d in\n%s", n, out)
	}
	again := decoded([]byte(out))
	if got := tell(again); got.text != "é!" || got.thought != "hm\n\nwell" || got.args != "{}" || got.opaque != "SIG" {
		t.Errorf("read again: %+v", got)
	}
}

// TestCutCall: a call that was cut off is never shown as done.
func TestCutCall(t *testing.T) {
	t.Parallel()
	out := written([]llm.Event{{Kind: llm.EventStart}, {Kind: llm.EventBlockStart, Block: llm.BlockHead{Kind: llm.ItemToolCall, ID: "c", Name: "rm"}},
		{Kind: llm.EventDelta, Delta: llm.Delta{Kind: llm.DeltaArguments, Text: `{"path":"/`}}, {Kind: llm.EventError, Err: llm.Errorf(llm.Timeout, "late")}})
	if strings.Contains(out, "output_item.done") || strings.Contains(out, "arguments.done") || terminal(t, out) != "server_error" {
		t.Error(out)
	}
}

// TestNativeNames: what a provider says is an event's name cannot break out of
// its line.
func TestNativeNames(t *testing.T) {
	t.Parallel()
	out := written([]llm.Event{{Kind: llm.EventStart}, {Kind: llm.EventDelta, From: llm.Responses, Delta: llm.Delta{Kind: llm.DeltaNative,
		Type: "response.x\n\ndata: {}", Raw: []byte(`{"a":1}`)}}, {Kind: llm.EventFinish, Finish: llm.Finish{Reason: llm.FinishStop}}})
	if terminal(t, out) != "" || strings.Contains(out, `"a":1`) {
		t.Error(out)
	}
}

// TestSkim: of a stream that is passed on from its first content the decoder
// tells usage, finish and error as of one that it reads to its end, and nothing
// of the answer again.
func TestSkim(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "wire", "responses", "*", "stream.sse"))
	if err != nil || len(names) < 10 {
		t.Fatalf("%d streams, %v", len(names), err)
	}
	skimmed := 0
	for _, name := range names {
		stream, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, d := sse.NewReader(bytes.NewReader(stream), 0), &decoder{}
		var got []llm.Event
		for begun := false; ; {
			f, err := r.Next()
			if err != nil {
				got = d.Close(got)
				break
			}
			before := len(got)
			switch {
			case !begun:
				got, err = d.Decode(got, f.Event, f.Data)
			case Codec{}.Telling(f.Data):
				got, err = d.Skim(got, f.Event, f.Data)
				skimmed++
				for _, e := range got[before:] {
					if e.Kind != llm.EventUsage && e.Kind != llm.EventFinish && e.Kind != llm.EventError {
						t.Errorf("%s: %s tells an event of kind %v", name, f.Data, e.Kind)
					}
				}
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range got[before:] {
				begun = begun || got[before:][i].Content()
			}
		}
		if got, want := ends(got), ends(decoded(stream)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if skimmed < 10 {
		t.Errorf("only %d events were skimmed", skimmed)
	}
}

// ends writes usage, finish and error of a stream.
func ends(events []llm.Event) string {
	var b strings.Builder
	for i := range events {
		switch e := &events[i]; e.Kind {
		case llm.EventUsage:
			fmt.Fprintf(&b, "usage %+v; ", e.Usage)
		case llm.EventFinish:
			fmt.Fprintf(&b, "finish %+v; ", e.Finish)
		case llm.EventError:
			fmt.Fprintf(&b, "error %s %s; ", e.Err.Class, e.Err.Message)
		}
	}
	return b.String()
}
