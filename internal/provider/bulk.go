package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// Bulk is the batch API of one credential of a provider. An error is an
// *llm.Error, or that of ctx. Safe for concurrent use.
type Bulk struct {
	// p speaks only what batches are written in, so that a line and its answer
	// go over the same wire, however long lies between them.
	p          *Provider
	credential int
	api        catalog.Bulk
	shape      bulkShape
}

// bulkShape is what batch APIs differ in.
type bulkShape interface {
	// refused names the first member of a request that a batch cannot take;
	// empty when there is none.
	refused(members map[string]jsontext.Value) string
	// drops reports whether a member of a request is not sent in a line.
	drops(member string) bool
	create(ctx context.Context, b *Bulk, ref string, lines []llm.BatchLine) (llm.BatchStatus, error)
	// path is where a batch is found, or all of them when id is empty; cancel is
	// where its end is asked for, and told says that the answer to that is the
	// batch.
	path(id string) string
	cancel(id string) (path string, told bool)
	// status reads a batch.
	status(b *Bulk, body []byte) (llm.BatchStatus, error)
	// page reads a page of the list of batches and gives the query of the next
	// one, empty after the last. n is how many were read, this one too; with no
	// body it gives the query of the first.
	page(n int, body []byte) (batches []jsontext.Value, next string, err error)
	// sorted says that the newest batches are listed first.
	sorted() bool
	results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool)
}

var bulkShapes = map[catalog.BulkShape]bulkShape{
	catalog.BulkMessages: messageBatches{}, catalog.BulkFiles: fileBatches{}, catalog.BulkJobs: jobBatches{}, catalog.BulkInline: inlineBatches{},
	catalog.BulkWrapped: wrappedBatches{},
}

// Bulk gives the batch API of the credential with that index; false when the
// provider has none that is spoken.
func (p *Provider) Bulk(credential int) (*Bulk, bool) {
	api, ok := p.row.Bulk()
	if !ok {
		return nil, false
	}
	var spoken []wire
	for _, w := range p.wires {
		if slices.ContainsFunc(w.ways, func(way way) bool { return slices.Contains(api.Paths, way.path) }) {
			spoken = append(spoken, w)
		}
	}
	own := &Provider{row: p.row, base: p.base, signers: p.signers, keys: p.keys, hear: p.hear, header: p.header, client: p.client, direct: p.direct,
		plays: p.plays, slow: p.slow, wires: spoken, quirk: p.quirk, maxAnswer: p.maxAnswer, maxEvent: p.maxEvent}
	return &Bulk{own, credential, api, bulkShapes[api.Shape]}, len(spoken) > 0
}

// Terms are the bounds of one batch.
func (b *Bulk) Terms() llm.BatchTerms { return b.api.Terms }

// Line writes a request in the provider's form, without an ID. An error says
// that the request cannot go by batch there.
func (b *Bulk) Line(model string, c *llm.Capability, d *llm.Draft) (llm.BatchLine, *llm.Error) {
	line := llm.BatchLine{Op: d.Op, Model: model}
	if !b.api.Takes(model) {
		return line, b.unfit(model, "model", b.p.row.ID+" does not take "+model+" in batches")
	}
	d = single(d)
	out, err := b.p.encode(model, c, d)
	if err != nil {
		return line, b.ours(err, model)
	}
	if !slices.Contains(b.api.Paths, out.path) {
		return line, b.unfit(model, string(d.Op), "batches of "+b.p.row.ID+" do not take it")
	}
	if loss := llm.Refusal(out.Losses); loss != nil {
		return line, b.unfit(model, loss.Path, loss.Why)
	}
	// One header serves a whole batch, and so none of one request's can be sent.
	for _, h := range []http.Header{out.Header, d.Header} {
		if h.Get("Anthropic-Beta") != "" {
			return line, b.unfit(model, "anthropic-beta", "a line of a batch has no headers")
		}
	}
	members := map[string]jsontext.Value{}
	if line.Body, err = b.written(bytes.Join(out.Body, nil), members); err != nil {
		return line, &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Model: model, Message: "the request is not a JSON object", Cause: err}
	}
	if name := b.shape.refused(members); name != "" {
		return line, b.unfit(model, name, "batches do not take it")
	}
	if b.api.Terms.OneOp {
		line.Path = out.fill(model, false)
	}
	return line, nil
}

// Answer reads a succeeded result for the client that wrote d.
func (b *Bulk) Answer(model string, c *llm.Capability, d *llm.Draft, r *llm.BatchResult) (*llm.Answer, *llm.Error) {
	d = single(d)
	out, err := b.p.encode(model, c, d)
	if err != nil {
		return nil, b.ours(err, model)
	}
	ans := &llm.Answer{Native: out.native, Status: http.StatusOK, ContentType: "application/json", Losses: out.Losses, UpstreamID: r.UpstreamID}
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body))}
	if err := b.p.whole(context.Background(), model, d, &out, resp, ans); err != nil {
		return nil, b.ours(err, model)
	}
	ans.Glance.Usage.Tier = "batch"
	return ans, nil
}

// single is the request as it would be for one whole answer.
func single(d *llm.Draft) *llm.Draft {
	whole := *d
	whole.Head.Stream = false
	return &whole
}

// written is a request on one line and without what asks for a stream; the
// members that stay are put into kept.
func (b *Bulk) written(body []byte, kept map[string]jsontext.Value) ([]byte, error) {
	v := jsontext.Value(bytes.Clone(body))
	if err := v.Compact(); err != nil {
		return nil, err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(v))
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, errors.Join(errors.New("no object"), err)
	}
	out := []byte{'{'}
	for dec.PeekKind() != '}' {
		t, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := t.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if name == "stream" || name == "stream_options" || b.shape.drops(name) {
			continue
		}
		value = value.Clone()
		kept[name] = value
		if len(out) > 1 {
			out = append(out, ',')
		}
		if out, err = jsontext.AppendQuote(out, name); err != nil {
			return nil, err
		}
		out = append(append(out, ':'), value...)
	}
	return append(out, '}'), nil
}

// lineID is what every provider takes as a custom_id; it needs no escapes.
var lineID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// Create starts a batch. It may have been started although an error comes
// back. ref names it where Terms.Refs is set.
func (b *Bulk) Create(ctx context.Context, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	switch most := b.api.Terms.Items; {
	case len(lines) == 0:
		return llm.BatchStatus{}, &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Message: "a batch has at least one line"}
	case most > 0 && len(lines) > most:
		return llm.BatchStatus{}, &llm.Error{Class: llm.TooLarge, Provider: b.p.row.ID, Message: fmt.Sprintf("a batch has at most %d lines, not %d", most, len(lines))}
	}
	for i := range lines {
		if !lineID.MatchString(lines[i].ID) {
			return llm.BatchStatus{}, &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Message: fmt.Sprintf("line %d has the id %q", i+1, lines[i].ID)}
		}
		if l, first := &lines[i], &lines[0]; b.api.Terms.OneModel && l.Model != first.Model || l.Path != first.Path {
			return llm.BatchStatus{}, &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Message: fmt.Sprintf("line %d is of another model or endpoint than the first", i+1)}
		}
	}
	return b.shape.create(ctx, b, ref, lines)
}

// fits refuses a body that is over the bound of a batch.
func (b *Bulk) fits(body [][]byte) error {
	size := int64(0)
	for _, s := range body {
		size += int64(len(s))
	}
	if b.api.Terms.Bytes > 0 && size > b.api.Terms.Bytes {
		return &llm.Error{Class: llm.TooLarge, Provider: b.p.row.ID, Message: fmt.Sprintf("the batch has %d bytes, over %d", size, b.api.Terms.Bytes)}
	}
	return nil
}

// Get asks how far a batch has come.
func (b *Bulk) Get(ctx context.Context, id string) (llm.BatchStatus, error) {
	return b.asked(ctx, http.MethodGet, b.shape.path(id))
}

// Cancel asks that what has not begun is left out.
func (b *Bulk) Cancel(ctx context.Context, id string) (llm.BatchStatus, error) {
	path, told := b.shape.cancel(id)
	if !told {
		if _, err := b.read(ctx, http.MethodPost, path, "", "", nil); err != nil {
			return llm.BatchStatus{}, err
		}
		st, err := b.Get(ctx, id)
		if st.Phase == llm.BatchRunning {
			st.Phase = llm.BatchCanceling
		}
		return st, err
	}
	return b.asked(ctx, http.MethodPost, path)
}

func (b *Bulk) asked(ctx context.Context, method, path string) (llm.BatchStatus, error) {
	body, err := b.read(ctx, method, path, "", "", nil)
	if err != nil {
		return llm.BatchStatus{}, err
	}
	s, err := b.shape.status(b, body)
	return s, b.p.malformed(err, "")
}

// List gives the account's batches that began at since or later. Some
// providers tell times in whole seconds, and since is taken as they would tell
// it.
func (b *Bulk) List(ctx context.Context, since time.Time) iter.Seq2[llm.BatchStatus, error] {
	since = since.Truncate(time.Second)
	return func(yield func(llm.BatchStatus, error) bool) {
		_, query, err := b.shape.page(0, nil)
		for n := 1; query != "" && err == nil; n++ {
			var body []byte
			if body, err = b.read(ctx, http.MethodGet, b.shape.path(""), query, "", nil); err != nil {
				break
			}
			var page []jsontext.Value
			if page, query, err = b.shape.page(n, body); err != nil {
				err = b.p.malformed(err, "")
				break
			}
			for _, v := range page {
				s, err := b.shape.status(b, v)
				switch {
				case err != nil:
					yield(s, b.p.malformed(err, ""))
					return
				case !s.Created.Before(since):
					if !yield(s, nil) {
						return
					}
				case b.shape.sorted():
					return
				}
			}
		}
		if err != nil {
			yield(llm.BatchStatus{}, err)
		}
	}
}

// Results gives what there is, in any order, a line at a time.
func (b *Bulk) Results(ctx context.Context, id string) iter.Seq2[llm.BatchResult, error] {
	return func(yield func(llm.BatchResult, error) bool) { b.shape.results(ctx, b, id, yield) }
}

// file gives the results of one file, each line of which read reads; false when
// no more are wanted.
func (b *Bulk) file(ctx context.Context, path string, read func(b *Bulk, line []byte) (llm.BatchResult, error), yield func(llm.BatchResult, error) bool) bool {
	resp, err := b.send(ctx, http.MethodGet, path, "", "", nil)
	if err != nil {
		yield(llm.BatchResult{}, err)
		return false
	}
	defer resp.Body.Close()
	// The last line may end with the file; a cut inside it is an error of the
	// connection, or of its JSON.
	whole := io.MultiReader(resp.Body, strings.NewReader("\n"))
	for lines := sse.NewLineReader(whole, int(b.p.maxAnswer)); ; {
		f, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			yield(llm.BatchResult{}, b.cut(ctx, err))
			return false
		case len(bytes.TrimSpace(f.Data)) == 0:
			continue
		}
		r, err := read(b, f.Data)
		if err != nil {
			yield(llm.BatchResult{}, b.p.malformed(err, ""))
			return false
		}
		if !yield(r, nil) {
			return false
		}
	}
}

// cut is the error of results that end too soon.
func (b *Bulk) cut(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &llm.Error{Class: llm.MalformedUpstream, Provider: b.p.row.ID, Message: "the results of " + b.p.row.ID + " were cut off", Cause: err}
}

// read sends a request and reads its answer whole.
func (b *Bulk) read(ctx context.Context, method, path, query, kind string, body [][]byte) ([]byte, error) {
	resp, err := b.send(ctx, method, path, query, kind, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := readAll(resp, b.p.maxAnswer)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, &llm.Error{Class: llm.MalformedUpstream, Status: resp.StatusCode, Provider: b.p.row.ID, Message: "the answer of " + b.p.row.ID + " was cut off or too large", Cause: err}
}

// send sends body, in segments that are not copied together; the caller closes
// the answer's body.
func (b *Bulk) send(ctx context.Context, method, path, query, kind string, body [][]byte) (*http.Response, error) {
	out := &outgoing{way: &way{query: query}}
	out.Body = body
	if kind != "" {
		out.Header = http.Header{"Content-Type": {kind}}
	}
	req, err := b.p.request(ctx, "", &llm.Draft{Op: llm.OpRaw, Method: method, Path: path, Credential: b.credential}, out)
	if err != nil {
		return nil, err
	}
	resp, err := b.p.client.RoundTrip(req)
	if err != nil {
		return nil, b.p.unreached(ctx, "", err)
	}
	if err := b.p.decompress(resp, ""); err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, b.p.failed(ctx, "", b.p.wires[0].Codec, resp)
	}
	return resp, nil
}

func (b *Bulk) unfit(model, param, why string) *llm.Error {
	return &llm.Error{Class: llm.Unsupported, Provider: b.p.row.ID, Model: model, Param: param, Message: param + ": " + why}
}

// ours is err as an *llm.Error.
func (b *Bulk) ours(err error, model string) *llm.Error {
	var e *llm.Error
	if errors.As(err, &e) {
		return e
	}
	return &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Model: model, Message: err.Error(), Cause: err}
}

// listed reads a page of a list that goes on after its last id.
func listed(body []byte, after string) (batches []jsontext.Value, next string, err error) {
	const most = "limit=100"
	if body == nil {
		return nil, most, nil
	}
	var page struct {
		Data    []jsontext.Value `json:"data"`
		HasMore bool             `json:"has_more"`
	}
	if err := json.Unmarshal(body, &page); err != nil || !page.HasMore || len(page.Data) == 0 {
		return page.Data, "", err
	}
	var last struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(page.Data[len(page.Data)-1], &last); err != nil || last.ID == "" {
		return nil, "", errors.Join(errors.New("the last batch of a page has no id"), err)
	}
	return page.Data, most + "&" + after + "=" + url.QueryEscape(last.ID), nil
}

// lineError reads the error body of one line.
func (b *Bulk) lineError(status int, body []byte) *llm.Error {
	return b.p.own(b.p.wires[0].DecodeError(status, http.Header{}, b.p.hide(body)), "")
}
