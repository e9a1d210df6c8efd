package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
)

// This file is about OpenAI's batches.

// endpoints is what the lines of a batch may ask for.
var endpoints = map[string]itemKind{
	"/v1/chat/completions": {llm.OpenAI, llm.OpChat},
	"/v1/responses":        {llm.Responses, llm.OpChat},
	"/v1/embeddings":       {llm.OpenAI, llm.OpEmbed},
}

// badLines is how many lines that cannot be read a batch names.
const badLines = 1000

// numbered is a line of a file; text is nil when it is too long.
type numbered struct {
	n    int64
	text []byte
}

// cutLines gives the lines that are not empty, each valid until the next one.
func cutLines(src io.Reader, most int64) iter.Seq2[numbered, error] {
	return func(yield func(numbered, error) bool) {
		in := bufio.NewReaderSize(src, step)
		var buf []byte
		for n := int64(1); ; n++ {
			buf = buf[:0]
			long := false
			var err error
			for {
				var part []byte
				part, err = in.ReadSlice('\n')
				if long = long || int64(len(buf)+len(part)) > most; !long {
					buf = append(buf, part...)
				}
				if !errors.Is(err, bufio.ErrBufferFull) {
					break
				}
			}
			if err != nil && err != io.EOF {
				yield(numbered{}, err)
				return
			}
			switch text := bytes.TrimSpace(buf); {
			case long:
				if !yield(numbered{n, nil}, nil) {
					return
				}
			case len(text) > 0:
				if !yield(numbered{n, text}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}
}

// input is the file that a batch is made of.
type input struct {
	x        *exchange
	caller   *access.Principal
	file     batch.FileID
	endpoint string
	kind     itemKind
	door     *door
}

// read gives the file's items, or what is wrong with a line of it.
func (in *input) read(ctx context.Context) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		seen, models := map[string]bool{}, map[string]*llm.Error{}
		most := in.x.s.MaxBody
		for l, err := range in.x.fileLines(ctx, in.caller.KeyID, in.file, most) {
			if err != nil {
				yield(batch.Item{}, err)
				return
			}
			it, bad := in.item(l, seen, models)
			if bad != nil {
				bad.Line = l.n
				if !yield(batch.Item{}, bad) {
					return
				}
				continue
			}
			if !yield(it, nil) {
				return
			}
		}
	}
}

// Error says what is wrong with the line.
func (b *badLine) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Message) }

func bad(code, param, format string, args ...any) *badLine {
	return &badLine{Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// item reads a line. seen has the custom ids so far, models what became of the
// names so far.
func (in *input) item(l numbered, seen map[string]bool, models map[string]*llm.Error) (it batch.Item, wrong *badLine) {
	var v struct {
		CustomID string         `json:"custom_id"`
		Method   string         `json:"method"`
		URL      string         `json:"url"`
		Body     jsontext.Value `json:"body"`
	}
	if l.text == nil {
		return it, bad("line_too_long", "", "the line is over the limit of %d bytes", in.x.s.MaxBody)
	}
	if err := json.Unmarshal(l.text, &v); err != nil {
		return it, bad("invalid_json_line", "", "the line is not the JSON of a request: %v", err)
	}
	switch {
	case v.CustomID == "" || len(v.CustomID) > 512:
		return it, bad("missing_required_parameter", "custom_id", "custom_id must have 1 to 512 bytes")
	case seen[v.CustomID]:
		return it, bad("duplicate_custom_id", "custom_id", "the custom_id %q is there already", v.CustomID)
	case v.Method != http.MethodPost:
		return it, bad("invalid_method", "method", "method must be POST, not %q", v.Method)
	case v.URL != in.endpoint:
		return it, bad("mismatched_url", "url", "url must be %q like the batch's endpoint, not %q", in.endpoint, v.URL)
	case v.Body.Kind() != '{':
		return it, bad("missing_required_parameter", "body", "body must be an object")
	}
	seen[v.CustomID] = true
	head, err := in.door.Head(in.kind.op, v.Body)
	switch {
	case err != nil:
		return it, bad("invalid_request", "body", "%s", asError(err, llm.InvalidRequest).Message)
	case head.Stream:
		return it, bad("invalid_value", "body.stream", "a batch does not stream")
	}
	fail, known := models[head.Model]
	if !known {
		fail = in.x.leads(in.caller, in.door, in.kind.op, head.Model)
		models[head.Model] = fail
	}
	if fail != nil {
		return it, bad(string(fail.Class), "body.model", "%s", fail.Message)
	}
	return batch.Item{CustomID: v.CustomID, Dialect: in.kind.dialect, Op: in.kind.op, Model: head.Model, Body: v.Body}, nil
}

// good gives the items alone.
func (in *input) good(ctx context.Context) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		for it, err := range in.read(ctx) {
			if _, wrong := errors.AsType[*badLine](err); wrong {
				continue
			}
			if !yield(it, err) {
				return
			}
		}
	}
}

// check reads the file once for what is wrong with it.
func (in *input) check(ctx context.Context, a *about) *llm.Error {
	n := 0
	for _, err := range in.read(ctx) {
		wrong, ok := errors.AsType[*badLine](err)
		switch {
		case ok:
			if a.BadLines++; len(a.Bad) < badLines {
				a.Bad = append(a.Bad, *wrong)
			}
		case err != nil:
			return batchFail(err, "file "+strconv.Quote(a.Input))
		default:
			n++
		}
		if n > batchItems {
			return llm.Errorf(llm.TooLarge, "a batch has up to %d lines", batchItems)
		}
	}
	if n > 0 {
		return nil
	}
	e := &llm.Error{Class: llm.InvalidRequest, Code: "empty_file", Param: "input_file_id", Message: "the input file has no line"}
	if len(a.Bad) > 0 {
		e.Code, e.Message = a.Bad[0].Code, "no line of the input file can be worked on; "+a.Bad[0].Error()
	}
	return e
}

// batchObject is OpenAI's Batch.
type batchObject struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Endpoint string `json:"endpoint"`
	// Model is null: the lines may ask for several.
	Model      *string      `json:"model"`
	Errors     *batchErrors `json:"errors"`
	Input      string       `json:"input_file_id"`
	Window     string       `json:"completion_window"`
	Status     string       `json:"status"`
	Output     *string      `json:"output_file_id"`
	ErrorFile  *string      `json:"error_file_id"`
	Created    int64        `json:"created_at"`
	Started    *int64       `json:"in_progress_at"`
	Expires    *int64       `json:"expires_at"`
	Finalizing *int64       `json:"finalizing_at"`
	Completed  *int64       `json:"completed_at"`
	Failed     *int64       `json:"failed_at"`
	Expired    *int64       `json:"expired_at"`
	Cancelling *int64       `json:"cancelling_at"`
	Cancelled  *int64       `json:"cancelled_at"`
	Counts     batchCounts  `json:"request_counts"`
	// Usage is there once something was answered.
	Usage    *batchUsage    `json:"usage,omitzero"`
	Metadata jsontext.Value `json:"metadata"`
}

type batchUsage struct {
	Input        int64 `json:"input_tokens"`
	InputDetails struct {
		Cached int64 `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	Output        int64 `json:"output_tokens"`
	OutputDetails struct {
		Reasoning int64 `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	Total int64 `json:"total_tokens"`
}

type batchErrors struct {
	Object string    `json:"object"`
	Data   []badLine `json:"data"`
}

type batchCounts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

// resultFiles are the ids of the files that a job has; nil where there is none.
func resultFiles(j *batch.Job, a *about) (output, errors *string) {
	if j.Ended.IsZero() || a.gone(j, time.Now()) {
		return nil, nil
	}
	if j.Counts[batch.Succeeded] > 0 {
		id := shown(outputPrefix, j.ID)
		output = &id
	}
	if j.Counts.Total()+a.BadLines > j.Counts[batch.Succeeded] {
		id := shown(errorPrefix, j.ID)
		errors = &id
	}
	return output, errors
}

// expires is when the files of a job's results are not there any more; zero when
// they live as long as their job.
func (a *about) expires(j *batch.Job) time.Time {
	if a.Keep == 0 || j.Ended.IsZero() {
		return time.Time{}
	}
	return j.Ended.Add(time.Duration(a.Keep) * time.Second)
}

func (a *about) gone(j *batch.Job, now time.Time) bool {
	at := a.expires(j)
	return !at.IsZero() && !at.After(now)
}

// batchOf shows a job as OpenAI does.
func batchOf(j *batch.Job) (batchObject, *llm.Error) {
	a, fail := aboutOf(j)
	b := batchObject{ID: shown(batchPrefix, j.ID), Object: "batch", Endpoint: a.Endpoint, Input: a.Input, Window: a.Window, Metadata: a.Metadata,
		Created: j.Created.Unix(), Started: seconds(j.Created), Expires: seconds(j.Deadline), Cancelling: seconds(j.Canceled)}
	if len(a.Metadata) == 0 {
		b.Metadata = jsontext.Value("null")
	}
	c := j.Counts
	b.Counts = batchCounts{c.Total() + a.BadLines, c[batch.Succeeded], c[batch.Failed] + a.BadLines}
	if len(a.Bad) > 0 {
		b.Errors = &batchErrors{"list", a.Bad}
	}
	if t := j.Tokens; t != (batch.Tokens{}) {
		b.Usage = &batchUsage{Input: t.Prompt, Output: t.Output, Total: t.Prompt + t.Output}
		b.Usage.InputDetails.Cached, b.Usage.OutputDetails.Reasoning = t.Cached, t.Reasoning
	}
	b.Output, b.ErrorFile = resultFiles(j, &a)
	ended := seconds(j.Ended)
	switch {
	case ended == nil && b.Cancelling != nil:
		b.Status = "cancelling"
	case ended == nil:
		b.Status = "in_progress"
	case b.Cancelling != nil:
		b.Status, b.Cancelled = "cancelled", ended
	case c[batch.Expired] > 0:
		b.Status, b.Expired = "expired", ended
	default:
		b.Status, b.Completed, b.Finalizing = "completed", ended, ended
	}
	return b, fail
}

// showBatch answers with a job.
func (x *exchange) showBatch(j *batch.Job) *llm.Error {
	b, fail := batchOf(j)
	if fail != nil {
		return fail
	}
	return x.tell(http.StatusOK, b)
}

var (
	batchPrefixes = []string{batchPrefix}
	fileForms     = []batch.Form{batch.FormFiles}
)

// createBatch makes a batch of an uploaded file.
func (g *Gateway) createBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		body, fail := x.body(req)
		if fail != nil {
			return fail
		}
		if names(body) && x.vendors() {
			return x.hand(ctx, req, p, body)
		}
		in, a, window, fail := x.asksBatch(p, body)
		if fail != nil {
			return fail
		}
		j, fail := x.newJob(p, req.Header, batch.FormFiles, window)
		if fail != nil {
			return fail
		}
		if fail := in.check(ctx, &a); fail != nil {
			return fail
		}
		if j, fail = x.submit(ctx, req, j, a, in.good(ctx)); fail != nil {
			return fail
		}
		return x.showBatch(&j)
	})
}

// asksBatch reads what a batch is to be.
func (x *exchange) asksBatch(p *access.Principal, body []byte) (in input, a about, window time.Duration, fail *llm.Error) {
	wrong := func(param, format string, args ...any) (input, about, time.Duration, *llm.Error) {
		return in, a, 0, &llm.Error{Class: llm.InvalidRequest, Param: param, Message: param + ": " + fmt.Sprintf(format, args...)}
	}
	var v struct {
		Input    string             `json:"input_file_id"`
		Endpoint string             `json:"endpoint"`
		Window   string             `json:"completion_window"`
		Metadata *map[string]string `json:"metadata"`
		Keep     *struct {
			Anchor  string `json:"anchor"`
			Seconds int64  `json:"seconds"`
		} `json:"output_expires_after"`
	}
	if err := json.Unmarshal(body, &v, json.RejectUnknownMembers(true)); err != nil {
		return in, a, 0, llm.Errorf(llm.InvalidRequest, "the body is not what a batch is made of: %v", err)
	}
	in = input{x: x, caller: p, endpoint: v.Endpoint, kind: endpoints[v.Endpoint], file: hidden[batch.FileID](v.Input, filePrefix)}
	window, err := time.ParseDuration(v.Window)
	switch {
	case in.kind.op == "":
		return wrong("endpoint", "%q is none of /v1/chat/completions, /v1/responses and /v1/embeddings", v.Endpoint)
	case err != nil || window <= 0 || window > 7*24*time.Hour:
		return wrong("completion_window", "%q is not a duration up to 168h, such as 24h", v.Window)
	case v.Input == "":
		return wrong("input_file_id", "is missing")
	case in.file == 0:
		return in, a, 0, batchFail(batch.ErrNotFound, "file "+strconv.Quote(v.Input))
	case v.Keep != nil && (v.Keep.Anchor != "created_at" || v.Keep.Seconds < 3600 || v.Keep.Seconds > int64(keepFiles/time.Second)):
		return wrong("output_expires_after", "the anchor is created_at and seconds are from 3600 to %d", int64(keepFiles/time.Second))
	}
	in.door = dialects[in.kind.dialect].door(in.kind.op)
	a = about{Endpoint: v.Endpoint, Input: v.Input, Window: v.Window}
	if v.Keep != nil {
		a.Keep = v.Keep.Seconds
	}
	if v.Metadata != nil {
		if len(*v.Metadata) > 16 {
			return wrong("metadata", "up to 16 pairs are kept")
		}
		if a.Metadata, err = json.Marshal(*v.Metadata, json.Deterministic(true)); err != nil {
			return wrong("metadata", "%v", err)
		}
	}
	return in, a, window, nil
}

// batches lists the caller's.
func (g *Gateway) batches(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		limit, fail := limitOf(req, 100)
		if fail != nil {
			return fail
		}
		after, fail := cursor(req, "after", batchPrefix)
		if fail != nil {
			return fail
		}
		found, fail := x.pageOf(ctx, p.KeyID, after, 0, limit, fileForms...)
		if fail != nil {
			return fail
		}
		list := openAIList[batchObject]{Object: "list", Data: []batchObject{}, More: found.more}
		for i := range found.jobs {
			b, fail := batchOf(&found.jobs[i])
			if fail != nil {
				return fail
			}
			list.Data = append(list.Data, b)
		}
		if n := len(list.Data); n > 0 {
			list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
		}
		return x.tell(http.StatusOK, list)
	})
}

// batch shows one.
func (g *Gateway) batch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "batch", batchPrefixes, fileForms...)
		if fail != nil {
			return fail
		}
		return x.showBatch(&j)
	})
}

// cancelBatch asks for the end of one.
func (g *Gateway) cancelBatch(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, _ *access.Principal) *llm.Error {
		j, fail := x.named(ctx, req, "batch", batchPrefixes, fileForms...)
		if fail != nil {
			return fail
		}
		if !j.Ended.IsZero() {
			return &llm.Error{Class: llm.InvalidRequest, Status: http.StatusConflict, Message: "batch " + shown(batchPrefix, j.ID) + " has ended"}
		}
		if fail := x.stop(ctx, &j); fail != nil {
			return fail
		}
		return x.showBatch(&j)
	})
}

// outputError is why a line has no response.
type outputError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Line    int64  `json:"line,omitzero"`
}

type outputResponse struct {
	Status    int            `json:"status_code"`
	RequestID string         `json:"request_id"`
	Body      jsontext.Value `json:"body"`
}

type output struct {
	ID       string          `json:"id"`
	CustomID *string         `json:"custom_id"`
	Response *outputResponse `json:"response"`
	Error    *outputError    `json:"error"`
}

// noAnswer is why an item without an answer has none.
var noAnswer = map[batch.State]outputError{
	batch.Canceled: {Code: "batch_cancelled", Message: "The batch was cancelled before this request was answered."},
	batch.Expired:  {Code: "batch_expired", Message: "This request could not be executed before the completion window expired."},
}

// outputLine is a line of OpenAI's results; nil when there is no answer.
func outputLine(it *batch.Item) []byte {
	o := output{ID: shown("batch_req_", it.ID), CustomID: &it.CustomID}
	switch it.State {
	case batch.Succeeded:
		o.Response = &outputResponse{it.Answer.Status, it.Answer.RequestID, flat(it.Answer.Body)}
	case batch.Failed:
		status, body := answerError(it)
		o.Response = &outputResponse{Status: status, Body: flat(body)}
		if it.Answer != nil {
			o.Response.RequestID = it.Answer.RequestID
		}
	case batch.Canceled, batch.Expired:
		e := noAnswer[it.State]
		o.Error = &e
	default:
		return nil
	}
	return mustLine(o)
}

// output is the line's in the file of errors.
func (b *badLine) output() []byte {
	return mustLine(output{ID: "line_" + strconv.FormatInt(b.Line, 10), Error: &outputError{b.Code, b.Message, b.Line}})
}
