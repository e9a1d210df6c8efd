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

// jobBatches is Mistral's: files as OpenAI has them, of which a job is made
// that names the model for all lines.
type jobBatches struct{}

func (jobBatches) refused(map[string]jsontext.Value) string { return "" }
func (jobBatches) drops(member string) bool                 { return member == "model" }
func (jobBatches) sorted() bool                             { return false }

func (jobBatches) path(id string) string {
	if id == "" {
		return "/batch/jobs"
	}
	return "/batch/jobs/" + url.PathEscape(id)
}

func (s jobBatches) cancel(id string) (string, bool) { return s.path(id) + "/cancel", true }

// jobPage is how many jobs are asked for at once.
const jobPage = 100

func (jobBatches) page(n int, body []byte) ([]jsontext.Value, string, error) {
	next := fmt.Sprintf("page=%d&page_size=%d", n, jobPage)
	if body == nil {
		return nil, next, nil
	}
	var page struct {
		Data []jsontext.Value `json:"data"`
	}
	err := json.Unmarshal(body, &page)
	if len(page.Data) < jobPage {
		next = ""
	}
	return page.Data, next, err
}

func (jobBatches) create(ctx context.Context, b *Bulk, ref string, lines []llm.BatchLine) (llm.BatchStatus, error) {
	file, err := b.upload(ctx, lines, func(*llm.BatchLine) string { return "" })
	if err != nil {
		return llm.BatchStatus{}, err
	}
	return b.begin(ctx, map[string]any{"input_files": []string{file}, "endpoint": "/v1" + lines[0].Path, "model": lines[0].Model,
		"timeout_hours": int(b.api.Terms.Window / time.Hour), "metadata": map[string]string{b.api.RefIn: ref}})
}

// job is Mistral's batch.
type job struct {
	ID        string         `json:"id"`
	Status    string         `json:"status"`
	Created   int64          `json:"created_at"`
	Completed int64          `json:"completed_at"`
	Output    string         `json:"output_file"`
	Error     string         `json:"error_file"`
	Metadata  map[string]any `json:"metadata"`
	Total     int64          `json:"total_requests"`
	Succeeded int64          `json:"succeeded_requests"`
	Failed    int64          `json:"failed_requests"`
	Errors    jsontext.Value `json:"errors"`
}

var jobPhases = map[string]llm.BatchPhase{
	"QUEUED": llm.BatchRunning, "RUNNING": llm.BatchRunning, "CANCELLATION_REQUESTED": llm.BatchCanceling,
	"SUCCESS": llm.BatchEnded, "TIMEOUT_EXCEEDED": llm.BatchEnded, "CANCELLED": llm.BatchEnded, "FAILED": llm.BatchFailed,
}

func (jobBatches) status(b *Bulk, body []byte) (llm.BatchStatus, error) {
	var v job
	if err := json.Unmarshal(body, &v); err != nil {
		return llm.BatchStatus{}, err
	}
	phase, ok := jobPhases[v.Status]
	if !ok || v.ID == "" {
		return llm.BatchStatus{}, fmt.Errorf("a job %q with the status %q", v.ID, v.Status)
	}
	st := llm.BatchStatus{ID: v.ID, Phase: phase, Created: unix(v.Created), Ended: unix(v.Completed),
		Total: v.Total, Succeeded: v.Succeeded, Errored: v.Failed, Ref: b.ref(v.Metadata)}
	if phase == llm.BatchFailed {
		st.Why = b.why(v.Errors)
	}
	return st, nil
}

func (s jobBatches) results(ctx context.Context, b *Bulk, id string, yield func(llm.BatchResult, error) bool) {
	var v job
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
