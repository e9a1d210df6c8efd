package provider

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// messageBatches is Anthropic's: the requests are in the body that starts it.
type messageBatches struct{}

func (messageBatches) drops(string) bool { return false }
func (messageBatches) sorted() bool      { return true }

func (messageBatches) page(_ int, body []byte) ([]jsontext.Value, string, error) {
	return listed(body, "after_id")
}

func (messageBatches) path(id string) string {
	if id == "" {
		return "/v1/messages/batches"
	}
	return "/v1/messages/batches/" + url.PathEscape(id)
}

func (s messageBatches) cancel(id string) (string, bool) { return s.path(id) + "/cancel", true }

func (messageBatches) refused(members map[string]jsontext.Value) string {
	for _, name := range []string{"speed", "fallbacks", "thread"} {
		if members[name] != nil {
			return name
		}
	}
	switch {
	case string(members["max_tokens"]) == "0":
		return "max_tokens"
	case strings.Contains(string(members["billing_policy"]), `"user_profile"`):
		return "billing_policy"
	}
	return ""
}

func (s messageBatches) create(ctx context.Context, b *Bulk, _ string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	body := make([][]byte, 0, 2*len(lines)+1)
	before := `{"requests":[`
	for i := range lines {
		body = append(body, []byte(before+`{"custom_id":"`+lines[i].ID+`","params":`), lines[i].Body)
		before = "},"
	}
	body = append(body, []byte("}]}"))
	if err := b.fits(body); err != nil {
		return llm.BatchStatus{}, err
	}
	answer, err := b.read(ctx, http.MethodPost, s.path(""), "", "application/json", body)
	if err != nil {
		return llm.BatchStatus{}, err
	}
	st, err := s.status(b, answer)
	return st, b.p.malformed(err, "")
}

var messagePhases = map[string]llm.BatchPhase{"in_progress": llm.BatchRunning, "canceling": llm.BatchCanceling, "ended": llm.BatchEnded}

func (messageBatches) status(_ *Bulk, body []byte) (llm.BatchStatus, error) {
	var v struct {
		ID      string     `json:"id"`
		Status  string     `json:"processing_status"`
		Created time.Time  `json:"created_at"`
		Expires time.Time  `json:"expires_at"`
		Ended   *time.Time `json:"ended_at"`
		Counts  struct {
			Processing int64 `json:"processing"`
			Succeeded  int64 `json:"succeeded"`
			Errored    int64 `json:"errored"`
			Canceled   int64 `json:"canceled"`
			Expired    int64 `json:"expired"`
		} `json:"request_counts"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return llm.BatchStatus{}, err
	}
	phase, ok := messagePhases[v.Status]
	if !ok || v.ID == "" {
		return llm.BatchStatus{}, fmt.Errorf("a batch %q with the status %q", v.ID, v.Status)
	}
	c := v.Counts
	st := llm.BatchStatus{ID: v.ID, Phase: phase, Created: v.Created, Expires: v.Expires,
		Total:     c.Processing + c.Succeeded + c.Errored + c.Canceled + c.Expired,
		Succeeded: c.Succeeded, Errored: c.Errored, Canceled: c.Canceled, Expired: c.Expired}
	if v.Ended != nil {
		st.Ended = *v.Ended
	}
	return st, nil
}

func (s messageBatches) results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool) {
	b.file(ctx, s.path(id)+"/results", s.result, yield) // not results_url, which could lead elsewhere with our key
}

// messageStatuses are the statuses that go with the error types of Anthropic:
// an errored line has none of its own.
var messageStatuses = map[string]int{
	"invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
	"not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "timeout_error": 504, "overloaded_error": 529,
}

func (messageBatches) result(b *Bulk, line []byte) (llm.BatchResult, error) {
	var v struct {
		ID     string `json:"custom_id"`
		Result struct {
			Type    llm.BatchOutcome `json:"type"`
			Message jsontext.Value   `json:"message"`
			Error   jsontext.Value   `json:"error"`
		} `json:"result"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return llm.BatchResult{}, err
	}
	r := llm.BatchResult{ID: v.ID, Outcome: v.Result.Type}
	switch r.Outcome {
	case llm.BatchSucceeded:
		r.Body = v.Result.Message
	case llm.BatchErrored:
		var e struct {
			RequestID string                `json:"request_id"`
			Error     struct{ Type string } `json:"error"`
		}
		if err := json.Unmarshal(v.Result.Error, &e, json.MatchCaseInsensitiveNames(true)); err != nil {
			return r, err
		}
		r.UpstreamID = e.RequestID
		r.Err = b.lineError(cmp.Or(messageStatuses[e.Error.Type], 500), v.Result.Error)
	case llm.BatchCanceled, llm.BatchExpired:
	default:
		return r, fmt.Errorf("a result of type %q", r.Outcome)
	}
	return r, nil
}
