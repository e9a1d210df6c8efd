package openai

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// recording is one recorded exchange with a provider.
type recording struct {
	ID        string `json:"id"`
	Provider  string `json:"provider"`
	Dialect   string `json:"dialect"`
	Operation string `json:"operation"`
	Transport string `json:"transport"`
	Request   *struct {
		Body         string `json:"body"`
		BodyEncoding string `json:"body_encoding"`
	} `json:"request"`
	Response struct {
		Status       int                 `json:"status"`
		Headers      map[string][]string `json:"headers"`
		Body         string              `json:"body"`
		BodyEncoding string              `json:"body_encoding"`
	} `json:"response"`
}

func body(s, encoding string) []byte {
	if encoding == "base64" {
		b, err := base64.StdEncoding.DecodeString(s)
		if err == nil {
			return b
		}
	}
	return []byte(s)
}

// recordings gives all recorded Chat exchanges; they are not part of this
// repository.
func recordings(t testing.TB) []recording {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		root, err := filepath.Abs("../../..") // the module root
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if len(files) == 0 {
		t.Skipf("no recorded traffic in %s; set HEADRACE_CORPUS", dir)
	}
	var all []recording
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(f, 1<<20)
		for {
			line, err := r.ReadBytes('\n')
			if len(line) > 1 && strings.Contains(string(line), `"openai-chat"`) {
				var rec recording
				if e := json.Unmarshal(line, &rec); e != nil {
					t.Fatalf("%s: %v", name, e)
				}
				if rec.Dialect == "openai-chat" {
					all = append(all, rec)
				}
			}
			if err != nil {
				break
			}
		}
		f.Close()
	}
	return all
}

// decodeStream runs a whole stream through the decoder, and through a twin
// that remembers no frame: both must say the same.
func decodeStream(t testing.TB, stream []byte) []llm.Event {
	r := sse.NewReader(strings.NewReader(string(stream)), 0)
	d, twin := Codec{}.NewDecoder(), Codec{}.NewDecoder().(*decoder)
	var events, same []llm.Event
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		from := len(events)
		twin.last.known = false
		var slow error
		same, slow = twin.Decode(same[:0], f.Event, f.Data)
		events, err = d.Decode(events, f.Event, f.Data)
		if (err == nil) != (slow == nil) || len(same) != len(events)-from || len(same) > 0 && !reflect.DeepEqual(same, events[from:]) {
			t.Fatalf("%s\ngives %+v, %v\nand without the frame before %+v, %v", f.Data, events[from:], err, same, slow)
		}
		if err != nil {
			e, ok := err.(*llm.Error)
			if !ok {
				t.Fatalf("the decoder's error is %T", err)
			}
			return append(events, llm.Event{Kind: llm.EventError, Err: e})
		}
	}
	return d.Close(events)
}

// tale is what an answer says, however it came.
type tale struct {
	Text, Refusal, Thinking string
	Calls                   []llm.Call
	Opaque                  []llm.Opaque
	Reason                  llm.FinishReason
	Usage                   llm.Usage
	Err                     string
	ID, Model               string
}

// follow adds up the events of a stream and checks the rules of streams on the
// way: Start first, one block open at a time, one terminal event, the last.
func follow(t testing.TB, events []llm.Event) tale {
	t.Helper()
	var s tale
	open, next, over, thoughts := -1, 0, false, 0
	var kind llm.ItemKind
	gap := false
	for i, ev := range events {
		if over {
			t.Fatalf("event %d (%s) after the terminal event", i, ev.Kind)
		}
		switch ev.Kind {
		case llm.EventStart:
			if s.ID != "" || s.Model != "" {
				t.Fatal("a second start")
			}
			s.ID, s.Model = ev.ID, ev.Model
		case llm.EventBlockStart:
			if open >= 0 {
				t.Fatalf("block %d begins while %d is open", ev.Index, open)
			}
			if ev.Index != next {
				t.Fatalf("block index %d, want %d", ev.Index, next)
			}
			open, kind = ev.Index, ev.Block.Kind
			next++
			switch kind {
			case llm.ItemToolCall:
				s.Calls = append(s.Calls, llm.Call{ID: ev.Block.ID, Name: ev.Block.Name, Custom: ev.Block.Custom})
			case llm.ItemReasoning:
				s.Opaque = append(s.Opaque, ev.Block.Opaque...)
				gap = thoughts > 0
			}
		case llm.EventDelta:
			if ev.Delta.Kind == llm.DeltaNative {
				continue
			}
			if ev.Index != open {
				t.Fatalf("a delta of block %d while %d is open", ev.Index, open)
			}
			switch ev.Delta.Kind {
			case llm.DeltaText:
				s.Text += ev.Delta.Text
			case llm.DeltaRefusal:
				s.Refusal += ev.Delta.Text
			case llm.DeltaReasoning:
				if gap {
					s.Thinking += "\n\n"
					gap = false
				}
				thoughts++
				s.Thinking += ev.Delta.Text
			case llm.DeltaArguments:
				c := &s.Calls[len(s.Calls)-1]
				c.Arguments = append(c.Arguments, ev.Delta.Text...)
			case llm.DeltaOpaque:
				s.Opaque = append(s.Opaque, ev.Delta.Opaque)
			}
		case llm.EventBlockStop:
			if ev.Index != open {
				t.Fatalf("block %d stops while %d is open", ev.Index, open)
			}
			open = -1
		case llm.EventUsage:
			s.Usage = ev.Usage
		case llm.EventFinish:
			if open >= 0 {
				t.Fatal("the stream finished in an open block")
			}
			s.Reason, over = ev.Finish.Reason, true
		case llm.EventError:
			s.Err, over = string(ev.Err.Class), true
		}
	}
	if !over {
		t.Fatal("the stream has no terminal event")
	}
	s.Usage.Raw = nil
	return s
}

func tell(r *llm.Response) tale {
	s := tale{Reason: r.Finish.Reason, Usage: r.Usage, ID: r.ID, Model: r.Model}
	for i := range r.Items {
		it := &r.Items[i]
		s.Opaque = append(s.Opaque, it.Opaque...)
		switch it.Kind {
		case llm.ItemReasoning:
			if txt := it.Text(); txt != "" {
				if s.Thinking != "" {
					s.Thinking += "\n\n"
				}
				s.Thinking += txt
			}
		case llm.ItemToolCall:
			s.Calls = append(s.Calls, it.Call)
		case llm.ItemMessage:
			for _, b := range it.Blocks {
				switch b.Kind {
				case llm.BlockText:
					s.Text += b.Text
				case llm.BlockRefusal:
					s.Refusal += b.Text
				}
			}
		}
	}
	s.Usage.Raw = nil
	return s
}

var sameTale = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b llm.Call) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Custom == b.Custom && string(a.Arguments) == string(b.Arguments)
})}

// plain unmarshals for comparing; numbers stay as they are spelled.
func plain(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v\n%.300s", err, b)
	}
	return v
}

// refused are recorded requests that we refuse, with the reason.
var refused = map[string]string{
	"04e0c01e5fde963e": "temperature is a string; the server refused it too",
}

func TestCorpusRequests(t *testing.T) {
	t.Parallel()
	n := 0
	for _, rec := range recordings(t) {
		if rec.Request == nil || rec.Request.Body == "" || rec.Operation != "chat" {
			continue
		}
		b := body(rec.Request.Body, rec.Request.BodyEncoding)
		if rec.Provider == "azure" && span.At(b, "model") == nil {
			// Azure's old paths name the deployment; the body has no model.
			b = append([]byte(`{"model":"deployment",`), bytes.TrimSpace(b)[1:]...)
		}
		n++
		r, err := Codec{}.DecodeRequest(b)
		if _, ok := refused[rec.ID]; ok {
			if err == nil {
				t.Errorf("%s: decodes, but is on the list of refused ones", rec.ID)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", rec.ID, rec.Provider, err)
			continue
		}
		h, err := Codec{}.Head(llm.OpChat, b)
		if err != nil {
			t.Errorf("%s %s: %v", rec.ID, rec.Provider, err)
			continue
		}
		if h.Model != r.Model || h.Stream != r.Stream || h.IncludeUsage != r.IncludeUsage || h.Tools != (len(r.Tools) > 0) {
			t.Errorf("%s: head %+v and request disagree", rec.ID, h)
		}
		// The forced slow path: the same request comes out.
		enc, err := Codec{}.EncodeRequest(r, r.Model, &llm.Capability{})
		if err != nil || len(enc.Losses) > 0 {
			t.Errorf("%s %s: %v %v", rec.ID, rec.Provider, err, enc.Losses)
		}
		want, got := plain(t, b), plain(t, bytes.Join(enc.Body, nil))
		for _, v := range []any{want, got} {
			m := v.(map[string]any)
			delete(m, "stream_options")
			for _, msg := range m["messages"].([]any) {
				tidy(msg.(map[string]any))
			}
		}
		if d := cmp.Diff(want, got); d != "" && respelled[rec.ID] == "" {
			t.Errorf("%s %s: the slow path changes the request (-sent +written)\n%.1500s", rec.ID, rec.Provider, d)
		}
	}
	t.Logf("%d requests", n)
}

// respelled are recorded requests that the slow path may change, with the reason.
var respelled = map[string]string{
	"03f9b86f024207f7": "a call without an id gets one, and so does its result",
	"70df0900e86eb1ec": "a result without an id gets that of its call",
	"10ee693ee6b7cd0b": "a result without an id gets that of its call",
	"56bcd803e6aefef0": "a result without an id gets that of its call",
}

// tidy takes out of a message what the slow path leaves out on purpose.
func tidy(m map[string]any) {
	for k, v := range m {
		if v == nil && k != "content" {
			delete(m, k)
		}
	}
	if m["content"] == nil {
		delete(m, "content")
	}
	if c, ok := m["tool_calls"].([]any); ok && len(c) == 0 {
		delete(m, "tool_calls")
	}
	if m["role"] != "assistant" {
		delete(m, "tool_calls")
	}
	// One name for a thought is enough.
	if d, ok := m["reasoning_details"].([]any); ok && len(d) > 0 {
		delete(m, "reasoning")
		delete(m, "reasoning_content")
	} else {
		delete(m, "reasoning_details")
	}
	if _, ok := m["reasoning_content"]; ok {
		delete(m, "reasoning")
	}
}

// undecodable are recorded answers that are no chat answers.
func undecodable(rec *recording) bool {
	b := []byte(rec.Response.Body)
	return span.At(b, "choices") == nil && (span.Text(span.At(b, "object")) == "list" || span.At(b, "segments") != nil || span.At(b, "pages") != nil)
}

// failing are recorded streams that end in an error, by what it is.
var failing = map[string]llm.Class{
	"09abc59f52c79c12": llm.ServerError,    // GPUStack: a line "error: {...}"
	"2e17aac5d07deba0": llm.InvalidRequest, // Groq: event: error
	"a537263322727a28": llm.InvalidRequest, // Groq: event: error
	"5c4a3f1ec334004a": llm.ServerError,    // OpenRouter: a chunk with error, code 502
}

func TestCorpusStreams(t *testing.T) {
	t.Parallel()
	n := 0
	for _, rec := range recordings(t) {
		if rec.Transport != "sse" || rec.Response.Status != 200 {
			continue
		}
		n++
		events := decodeStream(t, body(rec.Response.Body, rec.Response.BodyEncoding))
		want := follow(t, events)
		if class, ok := failing[rec.ID]; ok {
			if want.Err != string(class) {
				t.Errorf("%s %s: error %q, want %q", rec.ID, rec.Provider, want.Err, class)
			}
			continue
		}
		if want.Err != "" {
			t.Errorf("%s %s: %v", rec.ID, rec.Provider, events[len(events)-1].Err)
			continue
		}
		// The forced slow path: written and read again it says the same.
		e := Codec{}.NewEncoder(llm.StreamOptions{IncludeUsage: true, ID: "x", Model: "m"})
		var out []byte
		for _, ev := range events {
			out = e.Encode(out, ev)
		}
		got := follow(t, decodeStream(t, out))
		if want.ID == "" || want.Model == "" {
			want.ID, want.Model, got.ID, got.Model = "", "", "", ""
		}
		if d := cmp.Diff(want, got, sameTale); d != "" {
			t.Errorf("%s %s: the slow path changes the stream (-received +written)\n%.1500s", rec.ID, rec.Provider, d)
		}
	}
	t.Logf("%d streams", n)
}

func TestCorpusAnswers(t *testing.T) {
	t.Parallel()
	n := 0
	for _, rec := range recordings(t) {
		if rec.Transport == "sse" || rec.Response.Status != 200 || undecodable(&rec) {
			continue
		}
		n++
		b := body(rec.Response.Body, rec.Response.BodyEncoding)
		r, err := Codec{}.DecodeResponse(b)
		if err != nil {
			t.Errorf("%s %s: %v", rec.ID, rec.Provider, err)
			continue
		}
		g, err := Codec{}.Glance(b)
		if err != nil || g.ID != r.ID || g.Model != r.Model || g.Finish.Reason != r.Finish.Reason ||
			!cmp.Equal(g.Usage, r.Usage) {
			t.Errorf("%s %s: a glance sees %+v (%v), the answer is %+v %+v", rec.ID, rec.Provider, g, err, r.Finish, r.Usage)
		}
		out := Codec{}.AppendResponse(nil, r)
		again, err := Codec{}.DecodeResponse(out)
		if err != nil {
			t.Errorf("%s %s: written: %v", rec.ID, rec.Provider, err)
			continue
		}
		if d := cmp.Diff(tell(r), tell(again), sameTale); d != "" {
			t.Errorf("%s %s: the slow path changes the answer (-received +written)\n%.1500s", rec.ID, rec.Provider, d)
		}
		// Every member that was received is written again.
		missing(t, rec.ID+" "+rec.Provider, "", plain(t, b), plain(t, out))
	}
	t.Logf("%d answers", n)
}

// missing reports members that were there and are not, empty ones aside.
func missing(t *testing.T, id, path string, want, got any) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			if !strings.HasSuffix(path, ".content") { // an object as content becomes text
				t.Errorf("%s: %s is %T", id, path, got)
			}
			return
		}
		for k, v := range w {
			p := path + "." + k
			if empty(v) || passed(p) {
				continue
			}
			if _, ok := g[k]; !ok {
				t.Errorf("%s: %s is missing", id, p)
				continue
			}
			missing(t, id, p, v, g[k])
		}
	case []any:
		g, ok := got.([]any)
		if !ok {
			if !strings.HasSuffix(path, ".content") {
				t.Errorf("%s: %s is %T", id, path, got)
			}
			return
		}
		if len(g) != len(w) {
			t.Errorf("%s: %s has %d elements, not %d", id, path, len(g), len(w))
			return
		}
		for i := range w {
			missing(t, id, path+"."+strconv.Itoa(i), w[i], g[i])
		}
	}
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, x := range v {
			if !empty(x) {
				return false
			}
		}
		return true
	case json.Number:
		return v == "0"
	}
	return false
}

// passed are members that are left out on purpose: second copies.
func passed(path string) bool {
	for _, s := range []string{".0.delta", ".message.reasoning", ".message.reasoning_content", ".function.call_id"} {
		if strings.HasSuffix(path, s) {
			return true
		}
	}
	return strings.Contains(path, ".tool_calls.") && (strings.HasSuffix(path, ".index") || strings.HasSuffix(path, ".custom"))
}

func TestCorpusErrors(t *testing.T) {
	t.Parallel()
	n := map[llm.Class]int{}
	for _, rec := range recordings(t) {
		if rec.Response.Status < 400 {
			continue
		}
		h := http.Header{}
		for k, v := range rec.Response.Headers {
			for _, v := range v {
				h.Add(k, v)
			}
		}
		e := Codec{}.DecodeError(rec.Response.Status, h, body(rec.Response.Body, rec.Response.BodyEncoding))
		n[e.Class]++
		if e.Message == "" || e.Class == "" || e.Status != rec.Response.Status {
			t.Errorf("%s %s: %+v", rec.ID, rec.Provider, e)
		}
		if rec.Response.Status == 401 && e.Class != llm.Auth || rec.Response.Status == 429 && e.Class != llm.RateLimited {
			t.Errorf("%s %s: %d is taken for %s", rec.ID, rec.Provider, rec.Response.Status, e.Class)
		}
		fourKeys(t, e)
	}
	t.Log(n)
}

// fourKeys checks that an encoded error has what SDKs read.
func fourKeys(t *testing.T, e *llm.Error) (int, map[string]any) {
	t.Helper()
	status, b := Codec{}.EncodeError(e)
	top, ok := plain(t, b).(map[string]any)
	if !ok {
		t.Fatalf("the error is no object: %s", b)
	}
	inner, ok := top["error"].(map[string]any)
	if !ok {
		t.Fatalf("no error object in %s", b)
	}
	for _, k := range []string{"message", "type", "param", "code"} {
		if _, ok := inner[k]; !ok {
			t.Errorf("%s: %s is missing in %s", e.Class, k, b)
		}
	}
	if m, _ := inner["message"].(string); m == "" {
		t.Errorf("%s: no message in %s", e.Class, b)
	}
	return status, inner
}
