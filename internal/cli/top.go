package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

type topCommand struct {
	Every time.Duration `default:"2s" help:"How often to look; a second at least."`
	Once  bool          `help:"Show it once, after one look, and end."`
	Rows  int           `default:"10" help:"How many targets and keys to show."`
}

// topWindow is what rates look back on.
const topWindow = time.Minute

// Run shows a running gateway until it is stopped: on a terminal in place, else
// as blocks one below the other.
func (o *topCommand) Run(ctx context.Context, p *process) error {
	if o.Every < time.Second || o.Rows < 1 {
		return &failure{ExitUsage, errors.New("--every is a second at least, --rows one")}
	}
	if p.URL == "" && p.env.URL == "" {
		return &failure{ExitUsage, errors.New("top asks a gateway that runs: give --url or HEADRACE_URL, and HEADRACE_ADMIN_TOKEN")}
	}
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	t := &top{client: c, rows: o.Rows, after: -1, seen: map[string]bool{}}
	if err := t.look(ctx, time.Now()); err != nil {
		return errors.Join(err, c.close())
	}
	screen := !o.Once && terminal(p.out)
	if screen {
		fmt.Fprint(p.out, "\x1b[?1049h\x1b[?25l") // another screen, no cursor
		defer fmt.Fprint(p.out, "\x1b[?25h\x1b[?1049l")
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	for {
		text := t.text(time.Now())
		if screen {
			// Each line is cleared to its end, and the rest of the screen below.
			text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		} else if !o.Once {
			text += "\n"
		}
		if _, err := io.WriteString(p.out, text); err != nil {
			return errors.Join(err, c.close())
		}
		if o.Once {
			return c.close()
		}
		select {
		case <-ctx.Done():
			return c.close()
		case <-tick.C:
		}
		if err := t.look(ctx, time.Now()); err != nil && ctx.Err() == nil {
			return errors.Join(err, c.close())
		}
	}
}

// top is what is known of a gateway from looking at it.
type top struct {
	client *client
	rows   int
	status admin.Status
	// recent are the requests that ended within the window, oldest first; after is
	// the last that was seen, seen are those that are in memory only.
	recent []admin.Request
	after  int64
	seen   map[string]bool
	// today is what was spent since midnight UTC, and what has no price.
	today    llm.Nanodollars
	unpriced int64
	spentAt  time.Time
	began    time.Time
}

// spendEvery is how often what was spent today is asked for anew.
const spendEvery = 10 * time.Second

// look asks the gateway.
func (t *top) look(ctx context.Context, now time.Time) error {
	if t.began.IsZero() {
		t.began = now
	}
	t.status = admin.Status{}
	if _, err := t.client.call(ctx, http.MethodGet, "status", nil, nil, &t.status); err != nil {
		return err
	}
	q := url.Values{"limit": {"1000"}, "since": {now.Add(-topWindow).UTC().Format(time.RFC3339)}}
	if t.after >= 0 {
		q.Set("after", strconv.FormatInt(t.after, 10))
	}
	var page admin.RequestList
	if _, err := t.client.call(ctx, http.MethodGet, "requests", q, nil, &page); err != nil {
		return err
	}
	for _, r := range page.Requests {
		t.after = max(t.after, r.Seq)
		if !t.seen[r.ID] {
			t.seen[r.ID] = true
			t.recent = append(t.recent, r)
		}
	}
	t.recent = slices.DeleteFunc(t.recent, func(r admin.Request) bool {
		old := ended(&r).Before(now.Add(-topWindow))
		if old {
			delete(t.seen, r.ID)
		}
		return old
	})
	slices.SortStableFunc(t.recent, func(x, y admin.Request) int { return ended(&x).Compare(ended(&y)) })
	if now.Sub(t.spentAt) >= spendEvery {
		var day admin.UsageAnswer
		midnight := now.UTC().Truncate(24 * time.Hour)
		if _, err := t.client.call(ctx, http.MethodGet, "usage", url.Values{"by": {"day"}, "since": {midnight.Format(time.RFC3339)}}, nil, &day); err != nil {
			return err
		}
		t.today, t.unpriced, t.spentAt = 0, 0, now
		for _, r := range day.Rows {
			t.today += r.Cost
			t.unpriced += r.Unpriced
		}
	}
	return nil
}

func ended(r *admin.Request) time.Time {
	return r.Start.Add(time.Duration(r.Total) * time.Millisecond)
}

// share is a part of the recent requests.
type share struct {
	name             string
	requests, failed int64
	in, out          int64
	cost             llm.Nanodollars
	unpriced         int64
}

func (s *share) add(r *admin.Request) {
	s.requests++
	if r.Class != "" {
		s.failed++
	}
	s.in += prompt(r.Usage)
	s.out += r.Usage.Output
	if r.Cost.Priced {
		s.cost += r.Cost.Nanodollars
	} else {
		s.unpriced++
	}
}

// text is the whole view.
func (t *top) text(now time.Time) string {
	var b strings.Builder
	s := &t.status
	word := "NOT READY"
	if s.Ready {
		word = "ready"
	}
	fmt.Fprintf(&b, "Headrace %s  %s  %s  up %s  %s\n", clean(s.Version), word, clean(s.Listen), now.Sub(s.Started).Round(time.Second), now.UTC().Format("15:04:05 UTC"))
	var all share
	keys := map[string]*share{}
	var first []int64
	for i := range t.recent {
		r := &t.recent[i]
		all.add(r)
		name := cmp.Or(r.KeyName, r.Key, "-")
		if keys[name] == nil {
			keys[name] = &share{name: name}
		}
		keys[name].add(r)
		if r.FirstByte > 0 {
			first = append(first, r.FirstByte)
		}
	}
	// A look that began just now sees the window before it all the same.
	seconds := topWindow.Seconds()
	if up := now.Sub(s.Started); up > 0 && up < topWindow {
		seconds = max(up.Seconds(), 1)
	}
	failed := 0.0
	if all.requests > 0 {
		failed = 100 * float64(all.failed) / float64(all.requests)
	}
	slices.Sort(first)
	fmt.Fprintf(&b, "Requests  %.1f/s, %s running, %s waiting, %.1f %% failed   First byte p50 %s, p99 %s\n", float64(all.requests)/seconds,
		number(int64(s.Streams)), number(int64(s.Load.Waiting)), failed, at(first, 50), at(first, 99))
	fmt.Fprintf(&b, "Tokens    %s in/s, %s out/s   Spend %s a minute, %s today%s\n", number(int64(float64(all.in)/seconds)), number(int64(float64(all.out)/seconds)),
		about(llm.Nanodollars(float64(all.cost)*60/seconds)), about(t.today), plus(t.unpriced))
	if s.LedgerWaiting > 0 || s.LedgerDropped > 0 {
		fmt.Fprintf(&b, "Ledger    %s rows wait to be written, %s were lost\n", number(s.LedgerWaiting), number(s.LedgerDropped))
	}
	b.WriteByte('\n')
	t.targets(&b)
	t.callers(&b, keys)
	t.failures(&b)
	return b.String()
}

// about writes money to the hundredth of a cent.
func about(n llm.Nanodollars) string { return dollars((n + 50_000) / 100_000 * 100_000) }

func plus(unpriced int64) string {
	if unpriced == 0 {
		return ""
	}
	return " + " + number(unpriced) + " unpriced"
}

// at is a percentile of sorted milliseconds.
func at(sorted []int64, percent int) string {
	if len(sorted) == 0 {
		return "-"
	}
	return millis(max(sorted[(len(sorted)-1)*percent/100], 1))
}

// targets shows how they are, those that are set aside first, then the busiest.
func (t *top) targets(b *strings.Builder) {
	list := slices.Clone(t.status.Targets)
	slices.SortStableFunc(list, func(x, y admin.TargetHealth) int {
		if c := strings.Compare(y.Breaker, x.Breaker); (x.Breaker == "closed") != (y.Breaker == "closed") {
			if x.Breaker == "closed" {
				return 1
			}
			return -1
		} else if c != 0 {
			return c
		}
		return cmp.Compare(y.Attempts, x.Attempts)
	})
	view := table{head: []string{"target (15 min)", "breaker", "running", "attempts", "success", "first p50", "p99", "cost/success"}, right: columns(2, 3, 4, 5, 6, 7)}
	for i := range list[:min(len(list), t.rows)] {
		g := &list[i]
		success, cost := "-", "-"
		if g.Attempts > 0 {
			success = fmt.Sprintf("%.1f %%", 100*g.SuccessRate)
		}
		if g.CostPerSuccess != nil {
			cost = dollars(llm.Nanodollars(*g.CostPerSuccess)) // may be small
		}
		view.row(g.Provider+"/"+g.Model, g.Breaker, number(g.Running), number(g.Attempts), success, seconds(g.FirstByte, g.FirstByte.P50), seconds(g.FirstByte, g.FirstByte.P99), cost)
	}
	if len(view.rows) == 0 {
		b.WriteString("No model has been asked yet.\n")
		return
	}
	_ = view.write(b) // a Builder takes everything
	if more := len(list) - t.rows; more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}

// callers shows who asks most.
func (t *top) callers(b *strings.Builder, keys map[string]*share) {
	list := slices.Collect(maps.Values(keys))
	slices.SortFunc(list, func(x, y *share) int {
		return cmp.Or(cmp.Compare(y.requests, x.requests), strings.Compare(x.name, y.name))
	})
	if len(list) == 0 {
		return
	}
	b.WriteByte('\n')
	view := table{head: []string{"key (1 min)", "requests", "failed", "tokens in", "out", "spend"}, right: columns(1, 2, 3, 4, 5)}
	for _, k := range list[:min(len(list), t.rows)] {
		view.row(k.name, number(k.requests), number(k.failed), number(k.in), number(k.out), about(k.cost)+plus(k.unpriced))
	}
	_ = view.write(b)
	if more := len(list) - t.rows; more > 0 {
		fmt.Fprintf(b, "and %d more\n", more)
	}
}

// failures shows the last requests that did not end well.
func (t *top) failures(b *strings.Builder) {
	view := table{head: []string{"failed last", "request", "status", "class", "model"}}
	for i := len(t.recent) - 1; i >= 0 && len(view.rows) < 5; i-- {
		r := &t.recent[i]
		if r.Class == "" {
			continue
		}
		model := r.Asked
		if r.Provider != "" {
			model = r.Provider + "/" + r.Model
		}
		view.row(ended(r).UTC().Format("15:04:05"), r.ID, strconv.Itoa(r.Status), string(r.Class), dash(model))
	}
	if len(view.rows) > 0 {
		b.WriteByte('\n')
		_ = view.write(b)
	}
}
