package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// inlineBatches is Gemini's: the requests are in the body that starts it, and
// the answers in the batch.
type inlineBatches struct{}

func (inlineBatches) refused(map[string]jsontext.Value) string { return "" }
func (inlineBatches) drops(string) bool                        { return false }
func (inlineBatches) sorted() bool                             { return false }

func (inlineBatches) path(id string) string {
	if id == "" {
		return "/v1beta/batches"
	}
	return "/v1beta/batches/" + url.PathEscape(id)
}

func (s inlineBatches) cancel(id string) (string, bool) { return s.path(id) + ":cancel", false }

func (inlineBatches) page(_ int, body []byte) ([]jsontext.Value, string, error) {
	const most = "pageSize=100"
	if body == nil {
		return nil, most, nil
	}
	var page struct {
		Operations []jsontext.Value `json:"operations"`
		Next       string           `json:"nextPageToken"`
	}
	if err := json.Unmarshal(body, &page); err != nil || page.Next == "" {
		return page.Operations, "", err
	}
	return page.Operations, most + "&pageToken=" + url.QueryEscape(page.Next), nil
}

func (s inlineBatches) create(ctx context.Context, b *Bulk, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	name, err := jsontext.AppendQuote(nil, ref)
	if err != nil {
		return llm.BatchStatus{}, &llm.Error{Class: llm.InvalidRequest, Provider: b.p.row.ID, Message: "the name of a batch is no text", Cause: err}
	}
	body := make([][]byte, 0, 2*len(lines)+1)
	before := `{"batch":{"displayName":` + string(name) + `,"inputConfig":{"requests":{"requests":[`
	for i := range lines {
		body = append(body, []byte(before+`{"metadata":{"custom_id":"`+lines[i].ID+`"},"request":`), lines[i].Body)
		before = "},"
	}
	body = append(body, []byte("}]}}}}"))
	if err := b.fits(body); err != nil {
		return llm.BatchStatus{}, err
	}
	path := strings.TrimSuffix(lines[0].Path, ":generateContent") + ":batchGenerateContent"
	answer, err := b.read(ctx, http.MethodPost, path, "", "application/json", body)
	if err != nil {
		return llm.BatchStatus{}, err
	}
	st, err := s.status(b, answer)
	return st, b.p.malformed(err, "")
}

// inlinePhases are by the state's name behind BATCH_STATE_ or JOB_STATE_.
var inlinePhases = map[string]llm.BatchPhase{
	"QUEUED": llm.BatchRunning, "PENDING": llm.BatchRunning, "RUNNING": llm.BatchRunning, "PAUSED": llm.BatchRunning, "UPDATING": llm.BatchRunning,
	"CANCELLING": llm.BatchCanceling, "FAILED": llm.BatchFailed,
	"SUCCEEDED": llm.BatchEnded, "PARTIALLY_SUCCEEDED": llm.BatchEnded, "CANCELLED": llm.BatchEnded, "EXPIRED": llm.BatchEnded,
}

func (inlineBatches) status(b *Bulk, body []byte) (llm.BatchStatus, error) {
	var v struct {
		Name string `json:"name"`
		Meta struct {
			State   string    `json:"state"`
			Name    string    `json:"displayName"`
			Created time.Time `json:"createTime"`
			Ended   time.Time `json:"endTime"`
			Stats   struct {
				Total     string `json:"requestCount"`
				Succeeded string `json:"successfulRequestCount"`
				Failed    string `json:"failedRequestCount"`
			} `json:"batchStats"`
		} `json:"metadata"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return llm.BatchStatus{}, err
	}
	id, named := strings.CutPrefix(v.Name, "batches/")
	_, state, _ := strings.Cut(v.Meta.State, "_STATE_")
	phase, ok := inlinePhases[state]
	if !ok || !named || id == "" {
		return llm.BatchStatus{}, fmt.Errorf("a batch %q in the state %q", v.Name, v.Meta.State)
	}
	st := llm.BatchStatus{ID: id, Phase: phase, Created: v.Meta.Created, Ended: v.Meta.Ended, Ref: v.Meta.Name}
	for text, n := range map[string]*int64{v.Meta.Stats.Total: &st.Total, v.Meta.Stats.Succeeded: &st.Succeeded, v.Meta.Stats.Failed: &st.Errored} {
		if text == "" {
			continue
		}
		var err error
		if *n, err = strconv.ParseInt(text, 10, 64); err != nil {
			return st, fmt.Errorf("a count of a batch: %w", err)
		}
	}
	if phase == llm.BatchFailed {
		if st.Why = b.p.hidden(v.Error.Message); st.Why == "" {
			st.Why = "no reason was given"
		}
	}
	return st, nil
}

// results reads the answers out of the batch one after another; it holds one.
func (s inlineBatches) results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool) {
	resp, err := b.send(ctx, http.MethodGet, s.path(id), "", "", nil)
	if err != nil {
		yield(llm.BatchResult{}, err)
		return
	}
	defer resp.Body.Close()
	bound := &allowance{r: resp.Body, left: b.p.maxAnswer}
	dec := jsontext.NewDecoder(bound)
	for _, name := range []string{"response", "inlinedResponses", "inlinedResponses"} {
		if ok, err := enter(dec, bound, b.p.maxAnswer, name); err != nil {
			yield(llm.BatchResult{}, b.cut(ctx, err))
			return
		} else if !ok {
			return // it has no answers, or not yet
		}
	}
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '[' {
		yield(llm.BatchResult{}, b.cut(ctx, errors.Join(errors.New("the answers are no list"), err)))
		return
	}
	for dec.PeekKind() != ']' {
		bound.left = b.p.maxAnswer
		v, err := dec.ReadValue()
		if err != nil {
			yield(llm.BatchResult{}, b.cut(ctx, err))
			return
		}
		r, err := s.result(b, v.Clone())
		if !yield(r, b.p.malformed(err, "")) || err != nil {
			return
		}
	}
}

// enter reads into the object that comes next, up to the value of a member;
// false when there is none.
func enter(dec *jsontext.Decoder, bound *allowance, most int64, member string) (bool, error) {
	if t, err := dec.ReadToken(); err != nil || t.Kind() != '{' {
		return false, errors.Join(err)
	}
	for dec.PeekKind() == '"' {
		bound.left = most
		name, err := dec.ReadToken()
		if err != nil {
			return false, err
		}
		if name.String() == member {
			return true, nil
		}
		// Of a list of answers that stands there too no more than a token is held.
		for depth := dec.StackDepth(); ; {
			bound.left = most
			if _, err := dec.ReadToken(); err != nil {
				return false, err
			}
			if dec.StackDepth() == depth {
				break
			}
		}
	}
	_, err := dec.ReadToken()
	return false, err
}

// allowance reads no more than left bytes, which its owner renews.
type allowance struct {
	r    io.Reader
	left int64
}

func (a *allowance) Read(b []byte) (int, error) {
	if a.left <= 0 {
		return 0, errors.New("one answer is too large")
	}
	n, err := a.r.Read(b[:min(int64(len(b)), a.left)])
	a.left -= int64(n)
	return n, err
}

// rpcStatuses are the HTTP statuses and the names of the codes of
// google.rpc.Status, which an errored line has in place of them.
var rpcStatuses = map[int]struct {
	http int
	name string
}{
	3: {400, "INVALID_ARGUMENT"}, 4: {504, "DEADLINE_EXCEEDED"}, 5: {404, "NOT_FOUND"}, 7: {403, "PERMISSION_DENIED"}, 8: {429, "RESOURCE_EXHAUSTED"},
	9: {400, "FAILED_PRECONDITION"}, 13: {500, "INTERNAL"}, 14: {503, "UNAVAILABLE"}, 16: {401, "UNAUTHENTICATED"},
}

// rpcCancelled is the code of a line that was not worked on.
const rpcCancelled = 1

func (inlineBatches) result(b *Bulk, line []byte) (llm.BatchResult, error) {
	var v struct {
		Meta struct {
			ID string `json:"custom_id"`
		} `json:"metadata"`
		Response jsontext.Value `json:"response"`
		Error    *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return llm.BatchResult{}, err
	}
	r := llm.BatchResult{ID: v.Meta.ID}
	switch {
	case v.Error != nil && v.Error.Code == rpcCancelled:
		r.Outcome = llm.BatchCanceled
	case v.Error != nil:
		status, ok := rpcStatuses[v.Error.Code]
		if !ok {
			status.http, status.name = 500, "UNKNOWN"
		}
		body, err := json.Marshal(map[string]any{"error": map[string]any{"code": status.http, "message": v.Error.Message, "status": status.name}})
		if err != nil {
			return r, err
		}
		r.Outcome, r.Err = llm.BatchErrored, b.lineError(status.http, body)
	case v.Response != nil:
		r.Outcome, r.Body = llm.BatchSucceeded, v.Response
	default:
		return r, fmt.Errorf("the line of %q has neither an answer nor an error", r.ID)
	}
	return r, nil
}
