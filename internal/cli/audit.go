package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"headrace/internal/admin"
)

type auditCommand struct {
	List   auditList   `cmd:"" default:"withargs" help:"List who changed what, the latest first."`
	Verify auditVerify `cmd:"" help:"Look at the whole audit: whether a row was changed, taken out or put in."`
}

type auditList struct {
	Since  string `placeholder:"24h" help:"Leave out what is older."`
	Actor  string `help:"Only of this member or key."`
	Action string `placeholder:"keys.revoke" help:"Only this action."`
	Limit  int    `default:"100" help:"How many at most."`
}

func (a *auditList) Run(ctx context.Context, p *process) error {
	q := url.Values{"limit": {strconv.Itoa(a.Limit)}}
	for name, v := range map[string]string{"since": a.Since, "actor": a.Actor, "action": a.Action} {
		if v != "" {
			q.Set(name, v)
		}
	}
	var list admin.AuditList
	raw, err := p.ask(ctx, http.MethodGet, "audit", q, nil, &list)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	t := table{head: []string{"n", "time", "actor", "action", "subject"}, right: columns(0)}
	for _, r := range list.Rows {
		t.row(strconv.FormatInt(r.N, 10), r.At.UTC().Format("2006-01-02 15:04:05"), r.Actor, r.Action, dash(r.Subject))
	}
	return t.write(p.out)
}

type auditVerify struct {
	Head string `placeholder:"HASH" help:"The hash of a row that was noted before: it must be there."`
}

func (a *auditVerify) Run(ctx context.Context, p *process) error {
	q := url.Values{}
	if a.Head != "" {
		q.Set("head", a.Head)
	}
	var v admin.AuditVerdict
	raw, err := p.ask(ctx, http.MethodGet, "audit/verify", q, nil, &v)
	switch {
	case err != nil:
		return err
	case p.JSON:
		if err := p.printJSON(raw); err != nil {
			return err
		}
	case v.OK:
		_, err = fmt.Fprintf(p.out, "%s rows, all whole; the last one is %s\n", number(v.Rows), clean(v.Head))
		return err
	}
	if !v.OK {
		return fmt.Errorf("row %d of the audit is not whole: %s (%s rows before it are)", v.Broken, clean(v.Why), number(v.Rows))
	}
	return nil
}
