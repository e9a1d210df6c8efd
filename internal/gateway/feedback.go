package gateway

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// verdict is what POST /v1/feedback takes: success or score, and what the
// success was worth in US dollars.
type verdict struct {
	RequestID string   `json:"request_id"`
	Success   *bool    `json:"success"`
	Score     *float64 `json:"score"`
	Value     *float64 `json:"value"`
}

// noted is what it answers.
type noted struct {
	Object    string    `json:"object"`
	RequestID string    `json:"request_id"`
	Score     float64   `json:"score"`
	Noted     time.Time `json:"noted"`
}

// feedback takes what the key that made a request says of its answer. Saying it
// again replaces what was said.
func (g *Gateway) feedback(w http.ResponseWriter, r *http.Request) {
	d := like(r).door(llm.OpModels)
	g.ask(w, r, d, func(p *access.Principal) ([]byte, *llm.Error) {
		body, fail := readBody(r, 64<<10, anySize)
		if fail != nil {
			return nil, fail
		}
		var v verdict
		if err := json.Unmarshal(body, &v, json.RejectUnknownMembers(true)); err != nil {
			return nil, llm.Errorf(llm.InvalidRequest, `the body is {"request_id": "req_...", "success": true} or, in place of success, "score" from 0 to 1; "value" in US dollars may stand beside it`)
		}
		f := ledger.Feedback{At: time.Now(), Explicit: true, Signal: "feedback"}
		switch {
		case (v.Success == nil) == (v.Score == nil):
			return nil, llm.Errorf(llm.InvalidRequest, "one of success and score says how the answer was")
		case v.Score != nil && !(*v.Score >= 0 && *v.Score <= 1):
			return nil, llm.Errorf(llm.InvalidRequest, "score is from 0 to 1")
		case v.Value != nil && !(*v.Value >= 0 && *v.Value < 1e6):
			return nil, llm.Errorf(llm.InvalidRequest, "value is a sum of US dollars")
		case v.Score != nil:
			f.Score = *v.Score
		case *v.Success:
			f.Score = 1
		}
		if v.Value != nil {
			f.Value, f.HasValue = llm.Nanodollars(*v.Value*1e9), true
		}
		id, err := ledger.ParseID(v.RequestID)
		if err != nil {
			return nil, llm.Errorf(llm.NotFound, "request %q: %v", v.RequestID, err)
		}
		e, ok, err := g.o.Ledger.Request(r.Context(), id)
		if err != nil {
			return nil, &llm.Error{Class: llm.Unavailable, Message: "the ledger cannot be read now", Cause: err}
		}
		if !ok || e.KeyID != p.KeyID {
			return nil, llm.Errorf(llm.NotFound, "there is no request %s of this key", id)
		}
		if e.Op != llm.OpChat {
			return nil, llm.Errorf(llm.InvalidRequest, "request %s was no chat: there is nothing to learn of it", id)
		}
		f.Request = id
		g.tell(f)
		out, err := json.Marshal(noted{"feedback", id.String(), f.Score, f.At.UTC()})
		if err != nil {
			return nil, &llm.Error{Class: llm.Unavailable, Message: "the answer cannot be written", Cause: err}
		}
		return out, nil
	})
}
