package provider

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// wrappedBatches is Together's: files nearly as OpenAI has them, with a purpose of
// their own, and a job that comes wrapped when it is begun and in which nothing
// of ours can be named.
type wrappedBatches struct{}

func (wrappedBatches) refused(map[string]jsontext.Value) string { return "" }
func (wrappedBatches) drops(string) bool                        { return false }
func (wrappedBatches) sorted() bool                             { return false }

func (wrappedBatches) path(id string) string {
	if id == "" {
		return "/batches"
	}
	return "/batches/" + url.PathEscape(id)
}

func (s wrappedBatches) cancel(id string) (string, bool) { return s.path(id) + "/cancel", false }

// page reads all batches: the list has one page.
func (wrappedBatches) page(_ int, body []byte) (list []jsontext.Value, _ string, err error) {
	if body == nil {
		return nil, "limit=1000", nil
	}
	if jsontext.Value(body).Kind() == '[' {
		return list, "", json.Unmarshal(body, &list)
	}
	var page struct {
		Data []jsontext.Value `json:"data"`
	}
	err = json.Unmarshal(body, &page)
	return page.Data, "", err
}

func (s wrappedBatches) create(ctx context.Context, b *Bulk, _ string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	file, err := b.uploadFor(ctx, "batch-api", lines, func(*llm.BatchLine) string { return "" })
	if err != nil {
		return llm.BatchStatus{}, err
	}
	return b.begin(ctx, map[string]any{"input_file_id": file, "endpoint": "/v1" + lines[0].Path, "completion_window": "24h"})
}

// wrappedJob is Together's batch.
type wrappedJob struct {
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	Created   time.Time      `json:"created_at"`
	Completed time.Time      `json:"completed_at"`
	Expires   time.Time      `json:"job_deadline"`
	Output    string         `json:"output_file_id"`
	Errors    string         `json:"error_file_id"`
	Error     jsontext.Value `json:"error"`
}

var wrappedPhases = map[string]llm.BatchPhase{
	"VALIDATING": llm.BatchRunning, "IN_PROGRESS": llm.BatchRunning, "CANCELLING": llm.BatchCanceling,
	"COMPLETED": llm.BatchEnded, "EXPIRED": llm.BatchEnded, "CANCELLED": llm.BatchEnded, "FAILED": llm.BatchFailed,
}

// job reads a batch, wrapped or not.
func (wrappedBatches) job(body []byte) (v wrappedJob, err error) {
	var in struct {
		Job jsontext.Value `json:"job"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return v, err
	}
	if in.Job != nil {
		body = in.Job
	}
	return v, json.Unmarshal(body, &v)
}

func (s wrappedBatches) status(b *Bulk, body []byte) (llm.BatchStatus, error) {
	v, err := s.job(body)
	if err != nil {
		return llm.BatchStatus{}, err
	}
	phase, ok := wrappedPhases[v.Status]
	if !ok || v.ID == "" {
		return llm.BatchStatus{}, fmt.Errorf("a batch %q with the status %q", v.ID, v.Status)
	}
	st := llm.BatchStatus{ID: v.ID, Phase: phase, Created: v.Created, Expires: v.Expires, Ended: v.Completed}
	if phase == llm.BatchFailed {
		st.Why = "no reason was given"
		var text string
		if json.Unmarshal(v.Error, &text) == nil && text != "" {
			st.Why = b.p.hidden(text)
		}
	}
	return st, nil
}

func (s wrappedBatches) results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool) {
	var v wrappedJob
	body, err := b.read(ctx, http.MethodGet, s.path(id), "", "", nil)
	if err == nil {
		v, err = s.job(body)
		err = b.p.malformed(err, "")
	}
	if err != nil {
		yield(llm.BatchResult{}, err)
		return
	}
	b.files(ctx, []string{v.Output, v.Errors}, yield)
}
