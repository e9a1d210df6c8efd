package rehearsal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// bulks holds the files and batches of the process, the newest of them.
type bulks struct {
	mu    sync.Mutex // guards all below
	made  int
	files map[string][]byte
	all   []*bulk // oldest first
}

// maxBulks is how many batches are kept, and how many files.
const maxBulks = 100

// bulk is one batch. It ends at ends: what is done by then has a result.
type bulk struct {
	id, file, path string
	meta           jsontext.Value
	openai         bool
	lines          []bulkLine
	created, ends  time.Time
	canceled       time.Time
	results        []byte // nil before it has ended
	good, bad      int
}

type bulkLine struct {
	ID     string         `json:"custom_id"`
	Params jsontext.Value `json:"params"`
	Body   jsontext.Value `json:"body"`
	URL    string         `json:"url"`
}

// bulkPath gives what follows the root of the batch APIs, and which it is:
// "messages", "batches" or "files"; empty when the path is none of theirs.
func bulkPath(path string) (api string, rest []string) {
	for _, root := range []struct{ api, at string }{{"messages", "/v1/messages/batches"}, {"batches", "/batches"}, {"files", "/files"}} {
		if _, after, ok := strings.Cut(path, root.at); ok && (after == "" || after[0] == '/') {
			return root.api, strings.FieldsFunc(after, func(r rune) bool { return r == '/' })
		}
	}
	return "", nil
}

// bulk answers a request to a batch API. A batch ends at once, or after the
// delay that the request which makes it asks for.
func (p *Provider) bulk(c *call, r *http.Request, body []byte, api string, rest []string) (*http.Response, error) {
	orders, err := parseOrders(strings.Join(r.Header.Values(Header), ";"))
	if err != nil {
		return c.refuse(err), nil
	}
	c.orders = orders
	if resp, err := c.fail(); resp != nil || err != nil {
		return resp, err
	}
	p.bulks.mu.Lock()
	defer p.bulks.mu.Unlock()
	made := r.Method == http.MethodPost && len(rest) == 0
	switch {
	case made && api == "files":
		return p.upload(c, r, body), nil
	case made:
		return p.begin(c, api, body), nil
	case api == "files":
		if content, ok := p.bulks.files[at(rest, 0)]; ok && at(rest, 1) == "content" {
			return c.send(http.StatusOK, "application/octet-stream", content, nil), nil
		}
	case len(rest) == 0:
		return p.listed(c, api), nil
	default:
		return p.one(c, api, r.Method, rest), nil
	}
	return c.refuse(llm.Errorf(llm.NotFound, "there is no %s", r.URL.Path)), nil
}

func at(parts []string, i int) string {
	if i < len(parts) {
		return parts[i]
	}
	return ""
}

func (p *Provider) upload(c *call, r *http.Request, body []byte) *http.Response {
	form := &http.Request{Method: http.MethodPost, Header: r.Header, Body: io.NopCloser(bytes.NewReader(body))}
	f, _, err := form.FormFile("file")
	if err != nil {
		return c.refuse(llm.Errorf(llm.InvalidRequest, "no file: %v", err))
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return c.refuse(llm.Errorf(llm.InvalidRequest, "the file: %v", err))
	}
	if len(p.bulks.files) >= 3*maxBulks {
		return c.refuse(llm.Errorf(llm.QuotaExhausted, "the rehearsal provider keeps %d files", 3*maxBulks))
	}
	id := p.keep(content)
	return c.json(http.StatusOK, fmt.Appendf(nil, `{"id":%q,"object":"file","bytes":%d,"created_at":%d,"filename":"batch.jsonl","purpose":"batch","status":"processed"}`, id, len(content), time.Now().Unix()))
}

// keep stores a file under a new id.
func (p *Provider) keep(content []byte) string {
	p.bulks.made++
	id := fmt.Sprintf("file-%06d", p.bulks.made)
	if p.bulks.files == nil {
		p.bulks.files = map[string][]byte{}
	}
	p.bulks.files[id] = content
	return id
}

func (p *Provider) begin(c *call, api string, body []byte) *http.Response {
	var ask struct {
		Requests []bulkLine     `json:"requests"`
		File     string         `json:"input_file_id"`
		Endpoint string         `json:"endpoint"`
		Metadata jsontext.Value `json:"metadata"`
	}
	if err := json.Unmarshal(body, &ask); err != nil {
		return c.refuse(llm.Errorf(llm.InvalidRequest, "the body: %v", err))
	}
	p.bulks.made++
	b := &bulk{id: fmt.Sprintf("msgbatch_%06d", p.bulks.made), lines: ask.Requests, meta: jsontext.Value("null"), created: time.Now()}
	if api == "batches" {
		content, ok := p.bulks.files[ask.File]
		if !ok {
			return c.refuse(llm.Errorf(llm.InvalidRequest, "there is no file %q", ask.File))
		}
		if _, _, known := door(ask.Endpoint); !known {
			return c.refuse(llm.Errorf(llm.InvalidRequest, "there are no batches for %q", ask.Endpoint))
		}
		b.id, b.openai, b.file, b.path = fmt.Sprintf("batch_%06d", p.bulks.made), true, ask.File, ask.Endpoint
		if ask.Metadata != nil {
			b.meta = ask.Metadata
		}
		n := 0
		for line := range bytes.Lines(content) {
			var l bulkLine
			n++
			if err := json.Unmarshal(line, &l); err != nil || l.URL != b.path {
				return c.refuse(llm.Errorf(llm.InvalidRequest, "line %d is no request to %s", n, b.path))
			}
			b.lines = append(b.lines, l)
		}
	}
	if len(b.lines) == 0 {
		return c.refuse(llm.Errorf(llm.InvalidRequest, "a batch has at least one request"))
	}
	delay := c.orders.delay
	for i := range b.lines {
		delay = max(delay, p.asked(b, &b.lines[i]))
	}
	b.ends = b.created.Add(delay)
	p.bulks.all = append(p.bulks.all, b)
	if len(p.bulks.all) > maxBulks {
		old := p.bulks.all[0]
		delete(p.bulks.files, old.file)
		delete(p.bulks.files, old.id+"-out")
		p.bulks.all = p.bulks.all[1:]
	}
	return c.json(http.StatusOK, b.status(false))
}

// asked is the delay that the text of a line asks for: the whole batch waits
// for it.
func (p *Provider) asked(b *bulk, l *bulkLine) time.Duration {
	path, body := l.request(b)
	if !bytes.Contains(body, []byte("rehearse")) {
		return 0
	}
	dialect, op, known := door(path)
	codec := p.o.Codecs[dialect]
	if !known || op != llm.OpChat || codec == nil {
		return 0
	}
	req, err := codec.DecodeRequest(body)
	if err != nil {
		return 0 // its result says so
	}
	orders, err := parseOrders(look(req).directives)
	if err != nil {
		return 0
	}
	return orders.delay
}

// request is a line as a request of its own.
func (l *bulkLine) request(b *bulk) (path string, body []byte) {
	if b.openai {
		return l.URL, l.Body
	}
	return "/v1/messages", l.Params
}

// worked marks the context of the requests that are the lines of a batch: they
// do not wait, since the batch has.
type worked struct{}

func inBatch(ctx context.Context) bool { return ctx.Value(worked{}) != nil }

// one answers what is asked of one batch.
func (p *Provider) one(c *call, api, method string, rest []string) *http.Response {
	i := slices.IndexFunc(p.bulks.all, func(b *bulk) bool { return b.id == rest[0] && b.openai == (api == "batches") })
	if i < 0 {
		return c.refuse(llm.Errorf(llm.NotFound, "there is no batch %q", rest[0]))
	}
	b := p.bulks.all[i]
	switch did := at(rest, 1); {
	case did == "cancel" && method == http.MethodPost:
		if b.results == nil && time.Now().Before(b.ends) {
			b.canceled = time.Now()
			b.ends = b.canceled
			return c.json(http.StatusOK, b.status(true))
		}
	case did == "results" && !b.openai:
		p.finish(c.ctx, b)
		if b.results == nil {
			return c.refuse(llm.Errorf(llm.NotFound, "%s has no available results", b.id))
		}
		return c.send(http.StatusOK, "application/x-jsonl", b.results, nil)
	case did != "":
		return c.refuse(llm.Errorf(llm.NotFound, "a batch has no %q", did))
	}
	p.finish(c.ctx, b)
	return c.json(http.StatusOK, b.status(false))
}

func (p *Provider) listed(c *call, api string) *http.Response {
	out := []byte(`{"object":"list","data":[`)
	for i, b := range slices.Backward(p.bulks.all) {
		if b.openai != (api == "batches") {
			continue
		}
		p.finish(c.ctx, p.bulks.all[i])
		if out[len(out)-1] == '}' {
			out = append(out, ',')
		}
		out = append(out, b.status(false)...)
	}
	return c.json(http.StatusOK, append(out, `],"has_more":false}`...))
}

// finish works on the lines of a batch of which the end has come: each is a
// request of its own. It is called with the lock held.
func (p *Provider) finish(ctx context.Context, b *bulk) {
	if b.results != nil || time.Now().Before(b.ends) {
		return
	}
	out, good, bad := []byte{}, 0, 0
	for _, l := range b.lines {
		path, body := l.request(b)
		status, answer := http.StatusInternalServerError, []byte(`{"type":"error","error":{"type":"api_error","message":"the answer was cut off"}}`)
		if b.canceled.IsZero() {
			if r, err := http.NewRequestWithContext(context.WithValue(ctx, worked{}, true), http.MethodPost, path, bytes.NewReader(body)); err == nil {
				if resp, err := p.RoundTrip(r); err == nil {
					whole, err := io.ReadAll(resp.Body)
					if line := jsontext.Value(whole); err == nil && line.Compact() == nil {
						status, answer = resp.StatusCode, line
					}
					resp.Body.Close()
				}
			}
		}
		if status == http.StatusOK {
			good++
		} else {
			bad++
		}
		name := quoted(l.ID)
		switch gone := !b.canceled.IsZero(); {
		case b.openai && gone:
			out = fmt.Appendf(out, `{"custom_id":%s,"response":null,"error":{"code":"batch_cancelled","message":"canceled"}}`+"\n", name)
		case b.openai:
			out = fmt.Appendf(out, `{"custom_id":%s,"response":{"status_code":%d,"request_id":"req_%s","body":%s},"error":null}`+"\n", name, status, hexes(l.ID, 32), answer)
		case gone:
			out = fmt.Appendf(out, `{"custom_id":%s,"result":{"type":"canceled"}}`+"\n", name)
		case status == http.StatusOK:
			out = fmt.Appendf(out, `{"custom_id":%s,"result":{"type":"succeeded","message":%s}}`+"\n", name, answer)
		default:
			out = fmt.Appendf(out, `{"custom_id":%s,"result":{"type":"errored","error":%s}}`+"\n", name, answer)
		}
	}
	if ctx.Err() != nil {
		return // who asked has gone; the next one who asks begins anew
	}
	b.results, b.good, b.bad = out, good, bad
	if b.openai {
		p.bulks.files[b.id+"-out"] = out
	}
}

// status writes what is said of a batch.
func (b *bulk) status(canceling bool) []byte {
	ended := b.results != nil
	waiting, good, bad, gone := len(b.lines)-b.good-b.bad, b.good, b.bad, 0
	if !b.canceled.IsZero() && ended {
		gone, bad = bad, 0
	}
	if b.openai {
		state, out, done := "in_progress", "null", "null"
		switch {
		case canceling || !ended && !b.canceled.IsZero():
			state = "cancelling"
		case ended && !b.canceled.IsZero():
			state = "cancelled"
		case ended:
			state, done = "completed", fmt.Sprint(b.ends.Unix())
		}
		if ended {
			out = fmt.Sprintf("%q", b.id+"-out")
		}
		return fmt.Appendf(nil, `{"id":%q,"object":"batch","endpoint":%s,"errors":null,"input_file_id":%s,"completion_window":"24h","status":%q,"output_file_id":%s,"error_file_id":null,"created_at":%d,"expires_at":%d,"completed_at":%s,"metadata":%s,"request_counts":{"total":%d,"completed":%d,"failed":%d}}`,
			b.id, quoted(b.path), quoted(b.file), state, out, b.created.Unix(), b.created.Add(24*time.Hour).Unix(), done, b.meta, len(b.lines), good, bad)
	}
	state, done := "in_progress", "null"
	switch {
	case ended:
		state, done = "ended", fmt.Sprintf("%q", b.ends.UTC().Format(time.RFC3339Nano))
	case canceling || !b.canceled.IsZero():
		state = "canceling"
	}
	return fmt.Appendf(nil, `{"id":%q,"type":"message_batch","processing_status":%q,"request_counts":{"processing":%d,"succeeded":%d,"errored":%d,"canceled":%d,"expired":0},"created_at":%q,"expires_at":%q,"ended_at":%s,"results_url":null}`,
		b.id, state, waiting, good, bad, gone, b.created.UTC().Format(time.RFC3339Nano), b.created.Add(24*time.Hour).UTC().Format(time.RFC3339Nano), done)
}

// quoted writes a JSON string; what is no UTF-8 is replaced.
func quoted(s string) []byte {
	b, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic(err) // valid UTF-8 can be quoted
	}
	return b
}
