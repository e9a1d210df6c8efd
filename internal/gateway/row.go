package gateway

import (
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// requestRow is how GET /v1/requests/{id} shows a request to its owner. Times
// are in milliseconds, cost in nanodollars (1e-9 US dollars).
type requestRow struct {
	ID          string          `json:"id"`
	Object      string          `json:"object"`
	Created     time.Time       `json:"created"`
	Dialect     llm.Dialect     `json:"dialect"`
	Op          llm.Op          `json:"op"`
	Model       string          `json:"model"`
	Stream      bool            `json:"stream"`
	Status      int             `json:"status"`
	Class       llm.Class       `json:"class"`
	FirstByteMS int64           `json:"first_byte_ms"`
	TotalMS     int64           `json:"total_ms"`
	Warnings    []string        `json:"warnings"`
	Usage       usageRow        `json:"usage"`
	Cost        llm.Nanodollars `json:"cost_nanodollars"`
	Priced      bool            `json:"priced"`
	// Experiment and Arm are left out for requests that took part in none.
	Experiment string       `json:"experiment,omitzero"`
	Arm        string       `json:"arm,omitzero"`
	Attempts   []attemptRow `json:"attempts"`
}

type attemptRow struct {
	N           int              `json:"n"`
	Provider    string           `json:"provider"`
	Model       string           `json:"model"`
	Why         string           `json:"why"`
	Status      int              `json:"status"`
	Class       llm.Class        `json:"class"`
	Message     string           `json:"message"`
	Finish      llm.FinishReason `json:"finish"`
	Refused     *refusedRow      `json:"refused"`
	FirstByteMS int64            `json:"first_byte_ms"`
	TotalMS     int64            `json:"total_ms"`
	Usage       usageRow         `json:"usage"`
	Cost        llm.Nanodollars  `json:"cost_nanodollars"`
	Priced      bool             `json:"priced"`
	UpstreamID  string           `json:"upstream_id"`
}

// refusedRow says when ("prompt" or "output") and why the content was refused;
// the category is empty where the provider does not say.
type refusedRow struct {
	Phase    llm.RefusalPhase `json:"phase"`
	Category string           `json:"category"`
}

func refusedOf(r llm.Refused) *refusedRow {
	if r.Phase == "" {
		return nil
	}
	return &refusedRow{r.Phase, r.Category}
}

// usageRow is tokens in disjoint buckets; reasoning is a part of output.
type usageRow struct {
	Input        int64           `json:"input"`
	CacheRead    int64           `json:"cache_read"`
	CacheWrite5m int64           `json:"cache_write_5m"`
	CacheWrite1h int64           `json:"cache_write_1h"`
	Output       int64           `json:"output"`
	Reasoning    int64           `json:"reasoning"`
	Source       llm.UsageSource `json:"source"`
}

func usageOf(u llm.Usage) usageRow {
	return usageRow{u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning, u.Source}
}

func rowOf(e *ledger.Entry) requestRow {
	row := requestRow{
		ID: e.ID.String(), Object: "request", Created: e.At.UTC(), Dialect: e.Dialect, Op: e.Op, Model: e.Asked, Stream: e.Streamed,
		Status: e.Status, Class: e.Class, FirstByteMS: e.FirstByte.Milliseconds(), TotalMS: e.Total.Milliseconds(),
		Warnings: e.Warnings, Usage: usageOf(e.Usage), Cost: e.Cost, Priced: e.Priced,
	}
	if e.Trial != nil {
		row.Experiment, row.Arm = e.Trial.Experiment, e.Trial.Arm
	}
	for i := range e.Attempts {
		a := &e.Attempts[i]
		row.Attempts = append(row.Attempts, attemptRow{
			N: a.N, Provider: a.Provider, Model: a.Model, Why: a.Why, Status: a.Status, Class: a.Class, Message: a.Message, Finish: a.Finish, Refused: refusedOf(a.Refused),
			FirstByteMS: a.FirstByte.Milliseconds(), TotalMS: a.Total.Milliseconds(), Usage: usageOf(a.Usage), Cost: a.Cost, Priced: a.Priced, UpstreamID: a.UpstreamID,
		})
	}
	return row
}

func encodeRow(e *ledger.Entry) ([]byte, *llm.Error) {
	body, err := json.Marshal(rowOf(e))
	if err != nil {
		return nil, &llm.Error{Class: llm.Unavailable, Message: "the row cannot be shown", Cause: err}
	}
	return body, nil
}
