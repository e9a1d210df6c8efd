package admin

import (
	"context"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"headrace/internal/audit"
	"headrace/internal/llm"
)

// AuditRow is one change, or a refusal of one.
type AuditRow struct {
	N  int64     `json:"n"`
	At time.Time `json:"at"`
	// Actor is the id of who did it, Action what, Subject to which thing.
	Actor   string `json:"actor"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	// Hash is that of this row, which holds Prev, that of the one before.
	Hash string `json:"hash"`
	Prev string `json:"prev"`
}

// AuditList is a page of the audit, the latest first.
type AuditList struct {
	Rows []AuditRow `json:"rows"`
	Next string     `json:"next,omitzero"`
}

// AuditVerdict says whether the audit is whole.
type AuditVerdict struct {
	OK bool `json:"ok"`
	// Rows is how many are whole, from the first on.
	Rows int64 `json:"rows"`
	// Broken is the place of the first that is not; Why says what is wrong with it.
	Broken int64  `json:"broken,omitzero"`
	Why    string `json:"why,omitzero"`
	// Head is the hash of the last row that is whole. Note it elsewhere: then it
	// shows when the end is cut off or all is written anew.
	Head string `json:"head"`
}

// AuditLog is the audit as it can be read.
type AuditLog interface {
	AuditRows(ctx context.Context, f audit.Filter) ([]audit.Row, error)
	AuditAfter(ctx context.Context, n int64, limit int) ([]audit.Row, error)
	AppendAudit(ctx context.Context, r audit.Row) (audit.Row, error)
}

var auditRoutes = []route{
	{method: "GET", path: prefix + "audit", name: "listAudit", summary: "List who changed what, the latest first.", may: "audit.read", query: []param{sinceParam, untilParam, {"actor", "only of this member or key", ""}, {"action", "only this action, such as keys.revoke", ""}, {"cursor", "the next of the page before", ""}, {"limit", "how many at most, 1 to 1000; 100 when left out", ""}}, out: AuditList{}, status: 200, serve: (*server).listAudit},
	{method: "GET", path: prefix + "audit/verify", name: "verifyAudit", summary: "Look at the whole audit: whether a row was changed, taken out or put in.", may: "audit.read", query: []param{{"head", "the hash of a row that was noted before: it must be there", ""}}, out: AuditVerdict{}, status: 200, serve: (*server).verifyAudit},
}

func (s *server) listAudit(q *http.Request) (int, any, error) {
	if err := params(q, "since", "until", "actor", "action", "cursor", "limit"); err != nil {
		return 0, nil, err
	}
	if s.AuditLog == nil {
		return 0, nil, lacking("audit")
	}
	v, now := q.URL.Query(), time.Now()
	f := audit.Filter{Actor: v.Get("actor"), Action: v.Get("action")}
	var err error
	if f.Since, err = moment("since", v.Get("since"), now); err != nil {
		return 0, nil, err
	}
	if f.Until, err = moment("until", v.Get("until"), now); err != nil {
		return 0, nil, err
	}
	if f.Limit, err = limit(v, 100, 1000); err != nil {
		return 0, nil, err
	}
	if f.Before, err = place(q); err != nil {
		return 0, nil, err
	}
	rows, err := s.AuditLog.AuditRows(q.Context(), f)
	list := AuditList{Rows: make([]AuditRow, len(rows))}
	for i := range rows {
		r := &rows[i]
		list.Rows[i] = AuditRow{r.N, r.At, r.Actor, r.Action, r.Subject, hex.EncodeToString(r.Hash[:]), hex.EncodeToString(r.Prev[:])}
	}
	if len(rows) == f.Limit {
		list.Next = strconv.FormatInt(rows[len(rows)-1].N, 10)
	}
	return http.StatusOK, list, err
}

func (s *server) verifyAudit(q *http.Request) (int, any, error) {
	if err := params(q, "head"); err != nil {
		return 0, nil, err
	}
	if s.AuditLog == nil {
		return 0, nil, lacking("audit")
	}
	var head [32]byte
	if text := q.URL.Query().Get("head"); text != "" {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != len(head) {
			return 0, nil, llm.Errorf(llm.InvalidRequest, "head is the hash of a row: 64 hex digits")
		}
		copy(head[:], raw)
	}
	v, err := audit.Verify(q.Context(), s.AuditLog, head)
	return http.StatusOK, AuditVerdict{OK: v.Broken == 0, Rows: v.Rows, Broken: v.Broken, Why: v.Why, Head: hex.EncodeToString(v.Head[:])}, err
}
