package provider

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// fileBatches is OpenAI's: the requests are a file, and so are the results.
type fileBatches struct{}

func (fileBatches) drops(string) bool { return false }
func (fileBatches) sorted() bool      { return true }

func (fileBatches) page(_ int, body []byte) ([]jsontext.Value, string, error) {
	return listed(body, "after")
}

func (fileBatches) path(id string) string {
	if id == "" {
		return "/batches"
	}
	return "/batches/" + url.PathEscape(id)
}

func (s fileBatches) cancel(id string) (string, bool) { return s.path(id) + "/cancel", true }

func (fileBatches) refused(map[string]jsontext.Value) string { return "" }

func (s fileBatches) create(ctx context.Context, b *Bulk, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	file, err := b.upload(ctx, lines, func(l *llm.BatchLine) string { return `"method":"POST","url":"/v1` + l.Path + `",` })
	if err != nil {
		return llm.BatchStatus{}, err
	}
	return b.begin(ctx, map[string]any{"input_file_id": file, "endpoint": "/v1" + lines[0].Path, "completion_window": "24h", "metadata": map[string]string{b.api.RefIn: ref}})
}

// upload sends the lines as a file and gives its id; more are the members of a
// line beside its id and its body.
func (b *Bulk) upload(ctx context.Context, lines []llm.BatchLine, more func(*llm.BatchLine) string) (string, error) {
	return b.uploadFor(ctx, "batch", lines, more)
}

// uploadFor is upload for a purpose.
func (b *Bulk) uploadFor(ctx context.Context, purpose string, lines []llm.BatchLine, more func(*llm.BatchLine) string) (string, error) {
	file := make([][]byte, 0, 2*len(lines)+3)
	edge := "headrace-" + rand.Text()
	file = append(file, []byte("--"+edge+"\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n"+purpose+"\r\n--"+edge+
		"\r\nContent-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"))
	between := ""
	for i := range lines {
		file = append(file, []byte(between+`{"custom_id":"`+lines[i].ID+`",`+more(&lines[i])+`"body":`), lines[i].Body)
		between = "}\n"
	}
	file = append(file, []byte("}\n"))
	if err := b.fits(file[1:]); err != nil {
		return "", err
	}
	answer, err := b.read(ctx, http.MethodPost, "/files", "", "multipart/form-data; boundary="+edge, append(file, []byte("\r\n--"+edge+"--\r\n")))
	if err != nil {
		return "", err
	}
	var up struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(answer, &up); err != nil || up.ID == "" {
		return "", &llm.Error{Class: llm.MalformedUpstream, Provider: b.p.row.ID, Message: "the answer to an upload names no file", Cause: err}
	}
	return up.ID, nil
}

// begin asks for a batch.
func (b *Bulk) begin(ctx context.Context, ask map[string]any) (llm.BatchStatus, error) {
	body, err := json.Marshal(ask, json.Deterministic(true))
	if err != nil {
		return llm.BatchStatus{}, err
	}
	answer, err := b.read(ctx, http.MethodPost, b.shape.path(""), "", "application/json", [][]byte{body})
	if err != nil {
		return llm.BatchStatus{}, err
	}
	st, err := b.shape.status(b, answer)
	return st, b.p.malformed(err, "")
}

// fileBatch is OpenAI's batch.
type fileBatch struct {
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	Created   int64          `json:"created_at"`
	Expires   int64          `json:"expires_at"`
	Completed int64          `json:"completed_at"`
	Failed    int64          `json:"failed_at"`
	Expired   int64          `json:"expired_at"`
	Cancelled int64          `json:"cancelled_at"`
	Output    string         `json:"output_file_id"`
	Error     string         `json:"error_file_id"`
	Metadata  map[string]any `json:"metadata"`
	Counts    struct {
		Total     int64 `json:"total"`
		Completed int64 `json:"completed"`
		Failed    int64 `json:"failed"`
	} `json:"request_counts"`
	Errors jsontext.Value `json:"errors"` // not of one form everywhere
}

var filePhases = map[string]llm.BatchPhase{
	"validating": llm.BatchRunning, "in_progress": llm.BatchRunning, "finalizing": llm.BatchRunning, "cancelling": llm.BatchCanceling,
	"completed": llm.BatchEnded, "expired": llm.BatchEnded, "cancelled": llm.BatchEnded, "failed": llm.BatchFailed,
}

func (fileBatches) status(b *Bulk, body []byte) (llm.BatchStatus, error) {
	var v fileBatch
	if err := json.Unmarshal(body, &v); err != nil {
		return llm.BatchStatus{}, err
	}
	phase, ok := filePhases[v.Status]
	if !ok || v.ID == "" {
		return llm.BatchStatus{}, fmt.Errorf("a batch %q with the status %q", v.ID, v.Status)
	}
	st := llm.BatchStatus{ID: v.ID, Phase: phase, Created: unix(v.Created), Expires: unix(v.Expires), Ended: unix(cmp.Or(v.Completed, v.Failed, v.Expired, v.Cancelled)),
		Total: v.Counts.Total, Succeeded: v.Counts.Completed, Errored: v.Counts.Failed, Ref: b.ref(v.Metadata)}
	if phase == llm.BatchFailed {
		st.Why = b.why(v.Errors)
	}
	return st, nil
}

// ref is our name in the metadata of a batch.
func (b *Bulk) ref(metadata map[string]any) string {
	ref, _ := metadata[b.api.RefIn].(string)
	return ref
}

// why is what a batch failed with: the first of its errors, which are a list or
// hold one.
func (b *Bulk) why(errs jsontext.Value) string {
	type cause struct {
		Message string `json:"message"`
		Line    int    `json:"line"`
	}
	var in struct {
		Data []cause `json:"data"`
	}
	if json.Unmarshal(errs, &in) != nil && json.Unmarshal(errs, &in.Data) != nil || len(in.Data) == 0 || in.Data[0].Message == "" {
		return "no reason was given"
	}
	text := b.p.hidden(in.Data[0].Message)
	if line := in.Data[0].Line; line > 0 {
		return fmt.Sprintf("line %d: %s", line, text)
	}
	return text
}

// unix is the time of seconds; zero stays zero.
func unix(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0)
}

func (s fileBatches) results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool) {
	var v fileBatch
	body, err := b.read(ctx, http.MethodGet, s.path(id), "", "", nil)
	if err == nil {
		err = b.p.malformed(json.Unmarshal(body, &v), "")
	}
	if err != nil {
		yield(llm.BatchResult{}, err)
		return
	}
	b.files(ctx, []string{v.Output, v.Error}, yield)
}

// files gives the results of files in OpenAI's form.
func (b *Bulk) files(ctx context.Context, ids []string, yield func(llm.BatchResult, error) bool) {
	for _, id := range ids {
		if id != "" && !b.file(ctx, "/files/"+url.PathEscape(id)+"/content", fileBatches{}.result, yield) {
			return
		}
	}
}

// fileFailure is why a line has no response.
type fileFailure struct{ Code, Message string }

// failureOf reads the error of a line: an object, or a text; nil is none.
func failureOf(v jsontext.Value) *fileFailure {
	var f fileFailure
	switch v.Kind() {
	case '{':
		var in struct {
			Code    any `json:"code"`
			Message any `json:"message"`
		}
		if json.Unmarshal(v, &in) == nil {
			f.Code, _ = in.Code.(string)
			f.Message, _ = in.Message.(string)
		}
	case '"':
		if json.Unmarshal(v, &f.Message) != nil {
			f.Message = string(v)
		}
	default:
		return nil
	}
	return &f
}

func (fileBatches) result(b *Bulk, line []byte) (llm.BatchResult, error) {
	var v struct {
		ID       string `json:"custom_id"`
		Response *struct {
			Status    int            `json:"status_code"`
			RequestID string         `json:"request_id"`
			Body      jsontext.Value `json:"body"`
		} `json:"response"`
		Failed jsontext.Value `json:"error"` // not of one form everywhere
		Error  *fileFailure   `json:"-"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return llm.BatchResult{}, err
	}
	v.Error = failureOf(v.Failed)
	r := llm.BatchResult{ID: v.ID}
	if v.Response != nil {
		r.UpstreamID = v.Response.RequestID
	}
	switch {
	case v.Error != nil && v.Error.Code == "batch_expired":
		r.Outcome = llm.BatchExpired
	case v.Error != nil && v.Error.Code == "batch_cancelled":
		r.Outcome = llm.BatchCanceled
	case v.Response != nil && v.Response.Status >= 200 && v.Response.Status <= 299 && v.Error == nil:
		r.Outcome, r.Body = llm.BatchSucceeded, v.Response.Body
	case v.Response != nil && v.Response.Status >= 300:
		r.Outcome, r.Err = llm.BatchErrored, b.lineError(v.Response.Status, v.Response.Body)
	case v.Error != nil:
		r.Outcome = llm.BatchErrored
		r.Err = b.p.own(&llm.Error{Class: llm.ServerError, Code: v.Error.Code, Message: v.Error.Message}, "")
	default:
		return r, fmt.Errorf("the line of %q has neither an answer nor an error", v.ID)
	}
	return r, nil
}
