package rehearsal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"
	"go.uber.org/goleak"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wordCodec is a dialect whose bytes are the words themselves, as JSON, so
// that these tests see what the provider decides; wire_test.go sees the bytes.
type wordCodec struct{ dialect llm.Dialect }

func encode(v any) []byte {
	b, err := json.Marshal(v, json.OmitZeroStructFields(true))
	if err != nil {
		panic(err)
	}
	return b
}

func (w wordCodec) Head(op llm.Op, body []byte) (llm.Head, error) {
	r, err := w.DecodeRequest(body)
	if err != nil {
		return llm.Head{}, err
	}
	return llm.Head{Model: r.Model, Stream: r.Stream}, nil
}

func (w wordCodec) DecodeRequest(body []byte) (*llm.Request, error) {
	r := &llm.Request{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, llm.Errorf(llm.InvalidRequest, "%v", err)
	}
	r.From = w.dialect
	return r, nil
}

func (w wordCodec) AppendResponse(dst []byte, r *llm.Response) []byte {
	return append(dst, encode(r)...)
}

func (w wordCodec) NewEncoder(o llm.StreamOptions) llm.StreamEncoder { return wordEncoder{} }

func (w wordCodec) EncodeError(e *llm.Error) (int, []byte) {
	status := 400
	switch e.Class {
	case llm.NotFound:
		status = 404
	case llm.TooLarge:
		status = 413
	}
	return status, encode(e)
}

type wordEncoder struct{}

func (wordEncoder) Encode(dst []byte, e llm.Event) []byte { return sse.AppendData(dst, encode(e)) }

var dialects = []llm.Dialect{llm.OpenAI, llm.Anthropic}

func provider() *Provider {
	return New(Options{Pause: -1, Codecs: map[llm.Dialect]Codec{
		llm.OpenAI: wordCodec{llm.OpenAI}, llm.Anthropic: wordCodec{llm.Anthropic}}})
}

var paths = map[llm.Dialect]string{
	llm.OpenAI:    "http://rehearsal.invalid/v1/chat/completions",
	llm.Anthropic: "http://rehearsal.invalid/v1/messages",
}

// answered is an answer as a client sees it: whole or put together from its
// stream.
type answered struct {
	status int
	header http.Header
	body   []byte
	err    error // of reading the body
	words  llm.Response
	failed *llm.Error // the error event of a stream
	pieces []string   // the deltas of content
	events []llm.Event
}

func request(ctx context.Context, d llm.Dialect, body []byte, directive string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, paths[d], bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	if directive != "" {
		r.Header.Set(Header, directive)
	}
	return r
}

func ask(t *testing.T, p *Provider, d llm.Dialect, req llm.Request, directive string) answered {
	t.Helper()
	if req.Model == "" {
		req.Model = Quick
	}
	resp, err := p.RoundTrip(request(t.Context(), d, encode(req), directive))
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	return read(t, resp)
}

// read reads an answer to its end.
func read(t *testing.T, resp *http.Response) answered {
	t.Helper()
	defer resp.Body.Close()
	a := answered{status: resp.StatusCode, header: resp.Header}
	a.body, a.err = io.ReadAll(resp.Body)
	if a.status != 200 || a.err != nil {
		return a
	}
	if resp.Header.Get("Content-Type") == "application/json" {
		if resp.ContentLength != int64(len(a.body)) {
			t.Errorf("Content-Length %d for %d bytes", resp.ContentLength, len(a.body))
		}
		if err := json.Unmarshal(a.body, &a.words); err != nil {
			a.err = err
		}
		return a
	}
	frames := sse.NewReader(bytes.NewReader(a.body), 0)
	for {
		f, err := frames.Next()
		if err == io.EOF {
			return a
		}
		if err != nil {
			a.err = err
			return a
		}
		var e llm.Event
		var v struct {
			Error *struct{ Type, Message string } `json:"error"`
		}
		if err := json.Unmarshal(f.Data, &v, json.MatchCaseInsensitiveNames(true)); err == nil && v.Error != nil { // the vendor's own frame
			a.take(t, llm.Event{Kind: llm.EventError, Err: &llm.Error{Type: v.Error.Type, Message: v.Error.Message}})
			continue
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			a.err = err
			return a
		}
		a.take(t, e)
	}
}

// take adds one event, and checks the order that the words prescribe.
func (a *answered) take(t *testing.T, e llm.Event) {
	t.Helper()
	last := llm.EventKind("")
	if n := len(a.events); n > 0 {
		last = a.events[n-1].Kind
	}
	a.events = append(a.events, e)
	items := a.words.Items
	switch e.Kind {
	case llm.EventStart:
		if len(a.events) != 1 {
			t.Error("start is not the first event")
		}
		a.words.ID, a.words.Model, a.words.Created = e.ID, e.Model, e.Created
	case llm.EventBlockStart:
		if e.Index != len(items) {
			t.Errorf("block %d starts after %d blocks", e.Index, len(items))
		}
		it := llm.Item{Kind: e.Block.Kind, Role: llm.Assistant, Call: llm.Call{ID: e.Block.ID, Name: e.Block.Name, Custom: e.Block.Custom}}
		a.words.Items = append(items, it)
	case llm.EventDelta:
		it := &items[e.Index]
		if e.Index != len(items)-1 || last == llm.EventBlockStop {
			t.Errorf("a delta for block %d, which is not open", e.Index)
		}
		switch e.Delta.Kind {
		case llm.DeltaArguments:
			it.Call.Arguments = append(it.Call.Arguments, e.Delta.Text...)
		case llm.DeltaOpaque:
			it.Opaque = []llm.Opaque{e.Delta.Opaque}
			return
		default:
			kind := llm.BlockText
			if e.Delta.Kind == llm.DeltaRefusal {
				kind = llm.BlockRefusal
			}
			if it.Blocks == nil {
				it.Blocks = []llm.Block{{Kind: kind}}
			}
			it.Blocks[0].Text += e.Delta.Text
		}
		if e.Delta.Text == "" {
			t.Error("an empty piece")
		}
		a.pieces = append(a.pieces, e.Delta.Text)
	case llm.EventUsage:
		a.words.Usage = e.Usage
	case llm.EventFinish:
		a.words.Finish = e.Finish
		if e.From != llm.Anthropic {
			a.words.Finish.Details = nil // Anthropic's codec writes its own details alone
		}
	case llm.EventError:
		a.failed = e.Err
	}
}

// text joins the answer's visible text.
func (a answered) text() string {
	s := ""
	for i := range a.words.Items {
		if a.words.Items[i].Kind == llm.ItemMessage {
			s += a.words.Items[i].Text()
		}
	}
	return s
}

func (a answered) calls() []llm.Call {
	var out []llm.Call
	for _, it := range a.words.Items {
		if it.Kind == llm.ItemToolCall {
			out = append(out, it.Call)
		}
	}
	return out
}

// user is a request of one user text.
func user(text string) llm.Request {
	return llm.Request{Model: Quick, Items: []llm.Item{said(llm.User, 0, text)}}
}

func said(role llm.Role, turn int, text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Turn: turn, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

func called(turn int, id, name string) llm.Item {
	return llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant, Turn: turn, Call: llm.Call{ID: id, Name: name, Arguments: []byte(`{}`)}}
}

func result(turn int, id, text string) llm.Item {
	return llm.Item{Kind: llm.ItemToolResult, Role: llm.User, Turn: turn, Result: llm.Result{CallID: id}, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

func tool(name, schema string) llm.Tool {
	return llm.Tool{Name: name, Description: "A tool named " + name + ".", Schema: []byte(schema)}
}

var errLeft = errors.New("the client has left")
