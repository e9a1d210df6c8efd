package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

type keysCommand struct {
	Create keysCreate `cmd:"" help:"Make a key and print its token, which is shown this once."`
	List   keysList   `cmd:"" default:"withargs" help:"List keys."`
	Revoke keysRevoke `cmd:"" help:"End a key for ever."`
	Rotate keysRotate `cmd:"" help:"Replace a key; the old one may work on for a while."`
}

type keysCreate struct {
	Name     string   `arg:"" optional:"" help:"What to call it."`
	Team     string   `help:"Who it belongs to."`
	Admin    bool     `help:"Make an admin token: it opens the admin API and nothing else."`
	Expires  string   `placeholder:"30d" help:"How long it works, or until when (2027-01-31T00:00:00Z); for ever when left out."`
	Models   []string `placeholder:"PATTERN" help:"What it may ask for, such as smart,anthropic/*; everything when left out."`
	RPM      int64    `name:"rpm" help:"Requests a minute; 0 is no limit."`
	TPM      int64    `name:"tpm" help:"Tokens a minute; 0 is no limit."`
	Parallel int      `help:"Requests at once; 0 is no limit."`
	Priority string   `enum:"interactive,standard,batch," default:"" help:"Who waits when too much is asked for: interactive before standard before batch; its team's when left out."`
	MayRaise bool     `help:"Let its requests say a higher priority than that (x-headrace-priority)."`
}

func (k *keysCreate) Run(ctx context.Context, p *process) error {
	spec := admin.KeySpec{Name: k.Name, Team: k.Team, Admin: k.Admin, Models: k.Models, Priority: k.Priority, MayRaise: k.MayRaise,
		Limits: admin.Limits{RequestsPerMinute: k.RPM, TokensPerMinute: k.TPM, Parallel: k.Parallel}}
	if until, err := time.Parse(time.RFC3339, k.Expires); err == nil {
		spec.Expires = until
	} else {
		spec.ExpiresIn = k.Expires
	}
	var made admin.Issued
	raw, err := p.ask(ctx, http.MethodPost, "keys", nil, spec, &made)
	return p.issued(raw, made, err)
}

// issued prints a new token. The token alone is on standard output, so that
// it can be piped; the rest is for the person.
func (p *process) issued(raw jsontext.Value, made admin.Issued, err error) error {
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	fmt.Fprintf(p.err, "%s: the token is shown this once\n", clean(strings.TrimSpace(made.Key.ID+" "+made.Key.Name)))
	_, err = fmt.Fprintln(p.out, clean(made.Token))
	return err
}

type keysList struct {
	All bool `help:"Show expired and revoked keys too."`
}

func (k *keysList) Run(ctx context.Context, p *process) error {
	var list admin.KeyList
	raw, err := p.ask(ctx, http.MethodGet, "keys", nil, nil, &list)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	t := table{head: []string{"id", "name", "team", "token", "state", "created", "expires", "models", "limits", "priority"}}
	for _, one := range list.Keys {
		if one.State != "active" && !k.All {
			continue
		}
		models := strings.Join(one.Models, ",")
		if one.Admin {
			models = "(admin)"
		} else if models == "" {
			models = "all"
		}
		t.row(one.ID, dash(one.Name), dash(one.Team), one.Prefix+"...", one.State, date(one.Created), date(one.Expires), models, limits(one.Limits), priority(one))
	}
	return t.write(p.out)
}

// priority shows that of a key, with a plus where its requests may raise it.
func priority(k admin.Key) string {
	s := cmp.Or(k.Priority, "its team's")
	if k.MayRaise {
		s += " +"
	}
	return s
}

func limits(l admin.Limits) string {
	var parts []string
	if l.RequestsPerMinute > 0 {
		parts = append(parts, strconv.FormatInt(l.RequestsPerMinute, 10)+" req/min")
	}
	if l.TokensPerMinute > 0 {
		parts = append(parts, number(l.TokensPerMinute)+" tok/min")
	}
	if l.Parallel > 0 {
		parts = append(parts, strconv.Itoa(l.Parallel)+" at once")
	}
	return dash(strings.Join(parts, ", "))
}

// keyID is the id of the key that a person means: by its id, or by its name if
// one key alone that still works has it. What is neither stays as it is, for the
// answer to say so.
func (p *process) keyID(ctx context.Context, meant string) (string, error) {
	var list admin.KeyList
	if _, err := p.ask(ctx, http.MethodGet, "keys", nil, nil, &list); err != nil {
		return "", err
	}
	var ids []string
	for _, one := range list.Keys {
		if one.ID == meant {
			return meant, nil
		}
		if one.Name == meant && one.State == "active" {
			ids = append(ids, one.ID)
		}
	}
	switch len(ids) {
	case 0:
		return meant, nil
	case 1:
		return ids[0], nil
	}
	return "", llm.Errorf(llm.InvalidRequest, "%d keys are named %q: give the id, one of %s", len(ids), meant, strings.Join(ids, ", "))
}

type keysRevoke struct {
	Key string `arg:"" help:"The key's id, or its name if no other has it."`
}

func (k *keysRevoke) Run(ctx context.Context, p *process) error {
	id, err := p.keyID(ctx, k.Key)
	if err != nil {
		return err
	}
	var ended admin.KeyAnswer
	raw, err := p.ask(ctx, http.MethodDelete, "keys/"+url.PathEscape(id), nil, nil, &ended)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	_, err = fmt.Fprintf(p.out, "%s is %s\n", clean(ended.Key.ID), clean(ended.Key.State))
	return err
}

type keysRotate struct {
	Key     string `arg:"" help:"The key's id, or its name if no other has it."`
	Overlap string `placeholder:"24h" help:"How long the old key still works; it ends now when left out."`
}

func (k *keysRotate) Run(ctx context.Context, p *process) error {
	id, err := p.keyID(ctx, k.Key)
	if err != nil {
		return err
	}
	var made admin.Issued
	raw, err := p.ask(ctx, http.MethodPost, "keys/"+url.PathEscape(id)+"/rotate", nil, admin.Rotation{Overlap: k.Overlap}, &made)
	return p.issued(raw, made, err)
}

type modelsCommand struct {
	List    modelsList    `cmd:"" default:"withargs" help:"List models."`
	Refresh modelsRefresh `cmd:"" help:"Read newer rows into the catalogue."`
}

type modelsList struct {
	Provider string   `help:"Only this provider's."`
	Needs    []string `placeholder:"FEATURE" help:"Only models with all of these, such as tools,vision."`
	Sort     string   `placeholder:"id|price|window" help:"The order; price is three parts input to one part output."`
	All      bool     `help:"Show models of providers that are not configured too."`
}

func (m *modelsList) Run(ctx context.Context, p *process) error {
	q := url.Values{}
	for name, v := range map[string]string{"provider": m.Provider, "needs": strings.Join(m.Needs, ","), "sort": m.Sort} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if m.All {
		q.Set("all", "true")
	}
	var list admin.ModelList
	raw, err := p.ask(ctx, http.MethodGet, "models", q, nil, &list)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	t := table{head: []string{"model", "window", "output", "in $/M", "out $/M", "state", "features"}, right: columns(1, 2, 3, 4)}
	for _, one := range list.Models {
		in, out := "?", "?"
		if one.Price != nil {
			in, out = rate(one.Price.Input), rate(one.Price.Output)
		}
		t.row(one.ID, tokens(one.Window), tokens(one.MaxOutput), in, out, dash(one.State), dash(strings.Join(one.Features, ",")))
	}
	return t.write(p.out)
}

// tokens writes a window: 200k, 1M, or the number.
func tokens(n int64) string {
	switch {
	case n == 0:
		return "?"
	case n%1_000_000 == 0:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	case n%1000 == 0:
		return strconv.FormatInt(n/1000, 10) + "k"
	}
	return number(n)
}

type modelsRefresh struct {
	From string `placeholder:"FILE|URL" help:"A catalogue file; - is standard input. Without it the providers are asked for their own lists."`
}

func (m *modelsRefresh) Run(ctx context.Context, p *process) error {
	var file any
	if m.From != "" {
		text, err := p.fetch(ctx, m.From)
		if err != nil {
			return err
		}
		if len(text) == 0 {
			return fmt.Errorf("%s is empty", m.From)
		}
		file = text
	}
	var done admin.Refreshed
	raw, err := p.ask(ctx, http.MethodPost, "models/refresh", nil, file, &done)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	for _, n := range done.Notes {
		fmt.Fprintln(p.err, clean(n))
	}
	_, err = fmt.Fprintf(p.out, "%d added, %d changed, %d gone\n", done.Added, done.Changed, done.Gone)
	return err
}

// maxCatalogue is the largest catalogue file.
const maxCatalogue = 64 << 20

// fetch reads a file, an address or standard input. The gateway itself never
// fetches what a request names, so this is done here.
func (p *process) fetch(ctx context.Context, from string) (text []byte, err error) {
	var r io.Reader
	switch {
	case from == "-":
		r = p.in
	case strings.HasPrefix(from, "http://"), strings.HasPrefix(from, "https://"):
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
		if err != nil {
			return nil, err
		}
		answer, err := (&http.Client{Timeout: 2 * time.Minute}).Do(q)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", from, rootCause(err))
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("fetch %s: %s", from, answer.Status)
		}
		r = answer.Body
	default:
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	text, err = io.ReadAll(io.LimitReader(r, maxCatalogue+1))
	if err == nil && len(text) > maxCatalogue {
		err = errors.New("over 64 MB")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", from, err)
	}
	return text, nil
}

type usageCommand struct {
	By    string `default:"model" enum:"model,key,day,provider,day_model" help:"What a row stands for: model, key, day, provider or day_model."`
	Since string `placeholder:"7d" help:"Leave out what is older: 24h, 7d, 2026-11-23 or a full time."`
	Until string `placeholder:"TIME" help:"Leave out what is newer, written like --since."`
}

func (u *usageCommand) Run(ctx context.Context, p *process) error {
	q := url.Values{"by": {u.By}}
	if u.Since != "" {
		q.Set("since", u.Since)
	}
	if u.Until != "" {
		q.Set("until", u.Until)
	}
	var a admin.UsageAnswer
	raw, err := p.ask(ctx, http.MethodGet, "usage", q, nil, &a)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	t := table{head: []string{a.By, "requests", "failed", "input", "cache read", "cache write", "output", "cost", ""}, right: columns(1, 2, 3, 4, 5, 6, 7)}
	var all admin.UsageRow
	show := func(r admin.UsageRow) {
		word := ""
		if r.Unpriced > 0 {
			word = fmt.Sprintf("+ %s unpriced", number(r.Unpriced))
		}
		if r.Reported != r.Listed {
			word = strings.TrimSpace(word + " " + drift(r.Reported, r.Listed))
		}
		name := r.Name
		if r.Label != "" {
			name += " " + r.Label
		}
		t.row(dash(name), number(r.Requests), number(r.Failed), number(r.Input), number(r.CacheRead),
			number(r.CacheWrite5m+r.CacheWrite1h), number(r.Output), dollars(r.Cost), word)
	}
	for _, r := range a.Rows {
		show(r)
		all.Requests += r.Requests
		all.Failed += r.Failed
		all.Input += r.Input
		all.CacheRead += r.CacheRead
		all.CacheWrite5m += r.CacheWrite5m
		all.CacheWrite1h += r.CacheWrite1h
		all.Output += r.Output
		all.Cost += r.Cost
		all.Unpriced += r.Unpriced
		all.Reported += r.Reported
		all.Listed += r.Listed
	}
	if len(a.Rows) > 1 {
		all.Name = "all"
		show(all)
	}
	return t.write(p.out)
}

// drift says how far what providers report is from what the catalogue says.
func drift(reported, listed llm.Nanodollars) string {
	s := "reported " + dollars(reported) + " for a list price of " + dollars(listed)
	if listed > 0 {
		s += fmt.Sprintf(" (%+.1f %%)", float64(reported-listed)/float64(listed)*100)
	}
	return s
}

type logsCommand struct {
	Follow bool   `short:"f" help:"Go on with new requests until stopped."`
	Since  string `placeholder:"1h" help:"Leave out what is older."`
	Errors bool   `help:"Only requests that did not end well."`
	Limit  int    `short:"n" default:"50" help:"How many of the latest to show."`
	ID     string `arg:"" optional:"" help:"Show this one request with its attempts."`
}

// pollEvery is how often logs -f asks for more: the ledger writes four times
// a second.
const pollEvery = 500 * time.Millisecond

func (l *logsCommand) Run(ctx context.Context, p *process) (err error) {
	if l.Limit < 1 || l.Limit > 1000 {
		return &failure{ExitUsage, errors.New("--limit is 1 to 1000")}
	}
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if end := c.close(); err == nil {
			err = end
		}
	}()
	if l.ID != "" {
		return l.one(ctx, p, c)
	}
	q := url.Values{"limit": {strconv.Itoa(l.Limit)}}
	if l.Since != "" {
		q.Set("since", l.Since)
	}
	if l.Errors {
		q.Set("errors", "true")
	}
	var page admin.RequestList
	if _, err := c.call(ctx, http.MethodGet, "requests", q, nil, &page); err != nil {
		return err
	}
	// Newest first came in; a log reads downwards.
	slices.Reverse(page.Requests)
	if err := l.show(p, page.Requests, true); err != nil {
		return err
	}
	if !l.Follow {
		return nil
	}
	// What was only in memory has no seq yet and comes again once it is written.
	last, seen := int64(-1), map[string]bool{}
	for _, r := range page.Requests {
		last = max(last, r.Seq)
		seen[r.ID] = true
	}
	if last <= 0 {
		last = -1
		if l.Since == "" {
			// Nothing is written yet: everything from now on is new.
			q.Set("since", time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
		}
	}
	q.Set("limit", "1000")
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		q.Set("after", strconv.FormatInt(last, 10))
		page = admin.RequestList{}
		if _, err := c.call(ctx, http.MethodGet, "requests", q, nil, &page); err != nil {
			return err
		}
		var fresh []admin.Request
		for _, r := range page.Requests {
			last = max(last, r.Seq)
			if !seen[r.ID] {
				fresh = append(fresh, r)
			}
		}
		if err := l.show(p, fresh, false); err != nil {
			return err
		}
	}
}

// show prints requests: one JSON object a line, or a table. A follower's later
// lines have no head; widths are fixed so that they line up.
func (l *logsCommand) show(p *process, list []admin.Request, first bool) error {
	if p.JSON {
		for _, r := range list {
			if err := p.printLine(r); err != nil {
				return err
			}
		}
		return nil
	}
	const form = "%-19s  %-20s  %-6s  %-18s  %-34s  %-14s  %8s  %8s  %10s  %7s  %7s\n"
	if first {
		if _, err := fmt.Fprintf(p.out, form, "TIME", "REQUEST", "STATUS", "CLASS", "MODEL", "KEY", "IN", "OUT", "COST", "FIRST", "TOTAL"); err != nil {
			return err
		}
	}
	for _, r := range list {
		answered := r.Asked
		if r.Provider != "" {
			answered = r.Provider + "/" + r.Model
		}
		key := r.KeyName
		if key == "" {
			key = r.Key
		}
		class := string(r.Class)
		if class == "" {
			class = "ok"
		}
		if _, err := fmt.Fprintf(p.out, form, date(r.Start), clean(r.ID), strconv.Itoa(r.Status), clean(class), clean(dash(answered)), clean(dash(key)),
			number(prompt(r.Usage)), number(r.Usage.Output), cost(r.Cost), millis(r.FirstByte), millis(r.Total)); err != nil {
			return err
		}
	}
	return nil
}

// one shows a single request.
func (l *logsCommand) one(ctx context.Context, p *process, c *client) error {
	var a admin.RequestAnswer
	raw, err := c.call(ctx, http.MethodGet, "requests/"+url.PathEscape(l.ID), nil, nil, &a)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(raw)
	}
	if err := l.show(p, []admin.Request{a.Request}, true); err != nil {
		return err
	}
	for _, w := range a.Request.Warnings {
		if _, err := fmt.Fprintf(p.out, "warning: %s\n", clean(w)); err != nil {
			return err
		}
	}
	t := table{head: []string{"#", "target", "why", "status", "class", "in", "out", "cost", "first", "total", "message"}, right: columns(5, 6, 7, 8, 9)}
	for _, at := range a.Request.Attempts {
		class := string(at.Class)
		if class == "" {
			class = "ok"
		}
		t.row(strconv.Itoa(at.N), at.Provider+"/"+at.Model, dash(at.Why), strconv.Itoa(at.Status), class,
			number(prompt(at.Usage)), number(at.Usage.Output), cost(at.Cost), millis(at.FirstByte), millis(at.Total), at.Message)
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	return t.write(p.out)
}

// printLine writes one value as one line of JSON.
func (p *process) printLine(v any) error {
	line, err := marshalLine(v)
	if err != nil {
		return err
	}
	_, err = p.out.Write(line)
	return err
}

func prompt(t admin.Tokens) int64 { return t.Input + t.CacheRead + t.CacheWrite5m + t.CacheWrite1h }

func cost(c admin.Cost) string {
	if !c.Priced {
		return "unpriced"
	}
	return dollars(c.Nanodollars)
}

func millis(n int64) string {
	if n == 0 {
		return "-"
	}
	if n >= 10_000 {
		return strconv.FormatFloat(float64(n)/1000, 'f', 1, 64) + "s"
	}
	return strconv.FormatInt(n, 10) + "ms"
}
