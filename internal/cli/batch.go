package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

// batchCommand works on jobs by the doors of the gateway: they belong to a key.
type batchCommand struct {
	Submit  batchSubmit  `cmd:"" help:"Submit a file of requests, one in JSON a line."`
	List    batchList    `cmd:"" default:"withargs" help:"List jobs, the newest first."`
	Status  batchStatus  `cmd:"" help:"Show how far a job has come."`
	Cancel  batchCancel  `cmd:"" help:"Ask for a job's end; what is answered stays."`
	Results batchResults `cmd:"" help:"Print the answers that there are, one in JSON a line."`
	Retry   batchRetry   `cmd:"" help:"Ask again for what failed, expired or was canceled."`
}

// jobSeen is a job as the doors show it.
type jobSeen struct {
	ID       string           `json:"id"`
	Status   string           `json:"status"`
	Form     string           `json:"form"`
	Created  time.Time        `json:"created_at"`
	Deadline time.Time        `json:"deadline"`
	Ended    time.Time        `json:"ended_at"`
	Total    int64            `json:"total"`
	Counts   map[string]int64 `json:"counts"`
	Spent    llm.Nanodollars  `json:"spent_nanodollars"`
	RealTime llm.Nanodollars  `json:"realtime_nanodollars"`
	Saved    llm.Nanodollars  `json:"saved_nanodollars"`
	Double   llm.Nanodollars  `json:"double_nanodollars"`
	Forecast *struct {
		Saving   float64   `json:"saving"`
		Risk     *float64  `json:"risk"`
		LeavesAt time.Time `json:"leaves_batch_at"`
	} `json:"forecast"`
}

// hope says what is expected of it.
func (j *jobSeen) hope() string {
	switch f := j.Forecast; {
	case f == nil:
		return "-"
	case f.Risk == nil:
		return "all in real time"
	default:
		return fmt.Sprintf("%.0f %% saved; in real time with a chance of %.0f %%, from %s on", f.Saving*100, *f.Risk*100, date(f.LeavesAt))
	}
}

func (j *jobSeen) in(states ...string) (n int64) {
	for _, s := range states {
		n += j.Counts[s]
	}
	return n
}

// What a person calls the states of items.
func (j *jobSeen) done() int64     { return j.in("succeeded") }
func (j *jobSeen) failed() int64   { return j.in("failed", "expired", "canceled") }
func (j *jobSeen) batched() int64  { return j.in("submitted", "running", "ended") }
func (j *jobSeen) realTime() int64 { return j.in("realtime") }
func (j *jobSeen) waits() int64    { return j.in("queued", "coalescing", "retrying") }

// doors speaks to the doors of a gateway with a virtual key.
type doors struct {
	http *http.Client
	base string
	key  llm.Secret
}

// doors finds the gateway that the flags and the environment name, else the one
// that the configuration would serve on this machine.
func (p *process) doors() (*doors, error) {
	base := cmp.Or(p.URL, p.env.URL)
	if base == "" {
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		host, port, err := net.SplitHostPort(c.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base = "http://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, &failure{ExitUsage, errors.New("the gateway's URL is http:// or https:// with a host, such as http://127.0.0.1:8080")}
	}
	if p.env.Key == "" {
		return nil, &failure{ExitUsage, errors.New("HEADRACE_KEY is not set: jobs belong to a key; serve printed the first one at its first start, and headrace keys create makes another")}
	}
	// Uploads and results take as long as they take; the key must not follow a
	// redirect.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &doors{client, strings.TrimSuffix(base, "/"), p.env.Key}, nil
}

// send asks one thing; the caller closes the answer's body.
func (d *doors) send(ctx context.Context, method, path string, header map[string]string, body io.Reader) (*http.Response, error) {
	q, err := http.NewRequestWithContext(ctx, method, d.base+path, body)
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+d.key.Reveal())
	for name, v := range header {
		if v != "" {
			q.Header.Set(name, v)
		}
	}
	r, err := d.http.Do(q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &failure{ExitUnreached, fmt.Errorf("cannot reach the gateway at %s: %w", d.base, rootCause(err))}
	}
	if r.StatusCode >= 200 && r.StatusCode <= 299 {
		return r, nil
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return nil, &failure{ExitUnreached, fmt.Errorf("read the gateway's answer: %w", err)}
	}
	var told struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &told); err != nil || told.Error.Message == "" {
		return nil, &failure{ExitUnreached, fmt.Errorf("%s answered %s: it does not look like a Headrace", d.base, r.Status)}
	}
	err = errors.New(told.Error.Message)
	if r.StatusCode == http.StatusUnauthorized {
		err = &failure{ExitUnreached, err}
	}
	return nil, err
}

// ask asks for something that is whole.
func (d *doors) ask(ctx context.Context, method, path string, header map[string]string, body io.Reader, out any) error {
	r, err := d.send(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return &failure{ExitUnreached, fmt.Errorf("read the gateway's answer: %w", err)}
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the gateway's answer cannot be read: %w", err)
	}
	return nil
}

func (d *doors) job(ctx context.Context, method, id, more string, header map[string]string) (j jobSeen, err error) {
	err = d.ask(ctx, method, "/v1/jobs/"+url.PathEscape(id)+more, header, nil, &j)
	return j, err
}

type batchSubmit struct {
	File     string        `arg:"" help:"The requests: bodies of chat completions, OpenAI's or Anthropic's batch lines, also mixed; - is standard input."`
	Model    string        `short:"m" placeholder:"NAME" help:"Asked by lines that name no model."`
	Endpoint string        `placeholder:"PATH" help:"What lines ask that do not say it: /v1/chat/completions (the default), /v1/responses, /v1/embeddings or /v1/messages."`
	Deadline string        `placeholder:"4h" help:"When every answer must be there: from now, or a full time; 24h when left out."`
	Watch    bool          `short:"w" help:"Stay until the job has ended and show how far it is."`
	Out      string        `short:"o" placeholder:"FILE" help:"Write the answers there at the end; with --watch."`
	Key      string        `name:"idempotency-key" placeholder:"TEXT" help:"The same key and file give the same job for seven days, however often they are submitted."`
	Webhook  string        `placeholder:"URL" help:"Tell this webhook of the end: one that POST /v1/webhooks has registered, by its id or URL."`
	Every    time.Duration `hidden:"" default:"1s"`
}

func (b *batchSubmit) Run(ctx context.Context, p *process) error {
	if b.Out != "" && !b.Watch {
		return &failure{ExitUsage, errors.New("--out is written at the end: it goes with --watch")}
	}
	d, err := p.doors()
	if err != nil {
		return err
	}
	from := p.in
	if b.File != "-" {
		f, err := os.Open(b.File)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	query := url.Values{}
	for name, v := range map[string]string{"model": b.Model, "endpoint": b.Endpoint} {
		if v != "" {
			query.Set(name, v)
		}
	}
	path := "/v1/jobs"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var j jobSeen
	err = d.ask(ctx, http.MethodPost, path, map[string]string{"Content-Type": "application/x-ndjson", "X-Headrace-Deadline": b.Deadline,
		"Idempotency-Key": b.Key, "X-Headrace-Webhook": b.Webhook}, io.NopCloser(from), &j)
	if err != nil {
		return err
	}
	if !b.Watch {
		return p.showJob(&j)
	}
	fmt.Fprintf(p.err, "%s: %s requests, until %s\n", clean(j.ID), number(j.Total), date(j.Deadline))
	if j, err = p.watch(ctx, d, j.ID, b.Every); err != nil {
		return err
	}
	if b.Out != "" {
		if err := p.saveResults(ctx, d, j.ID, b.Out); err != nil {
			return err
		}
	}
	if err := p.showJob(&j); err != nil {
		return err
	}
	if n := j.Total - j.done(); n > 0 {
		return fmt.Errorf("%s of %s requests have no answer: headrace batch results %s says why, headrace batch retry asks again", number(n), number(j.Total), clean(j.ID))
	}
	return nil
}

// showJob prints a job.
func (p *process) showJob(j *jobSeen) error {
	if p.JSON {
		return p.printJSON(j)
	}
	t := table{}
	t.row("job", j.ID)
	t.row("status", j.Status)
	t.row("requests", number(j.Total))
	for _, s := range []string{"succeeded", "failed", "expired", "canceled", "queued", "coalescing", "submitted", "running", "ended", "retrying", "realtime"} {
		if n := j.Counts[s]; n > 0 {
			t.row("  "+s, number(n))
		}
	}
	t.row("created", date(j.Created))
	t.row("deadline", date(j.Deadline))
	t.row("ended", date(j.Ended))
	t.row("expected", j.hope())
	t.row("spent", dollars(j.Spent))
	t.row("saved", dollars(j.Saved))
	if j.Double > 0 {
		t.row("paid twice", dollars(j.Double))
	}
	return t.write(p.out)
}

type batchList struct {
	Limit int `short:"n" default:"20" help:"How many of the latest to show."`
}

func (b *batchList) Run(ctx context.Context, p *process) error {
	if b.Limit < 1 || b.Limit > 100 {
		return &failure{ExitUsage, errors.New("--limit is 1 to 100")}
	}
	d, err := p.doors()
	if err != nil {
		return err
	}
	var list struct {
		Data []jobSeen `json:"data"`
	}
	if err := d.ask(ctx, http.MethodGet, "/v1/jobs?limit="+strconv.Itoa(b.Limit), nil, nil, &list); err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(list.Data)
	}
	t := table{head: []string{"job", "form", "status", "requests", "done", "failed", "created", "deadline", "spent", "saved"}, right: columns(3, 4, 5, 8, 9)}
	for i := range list.Data {
		j := &list.Data[i]
		t.row(j.ID, j.Form, j.Status, number(j.Total), number(j.done()), number(j.failed()), date(j.Created), date(j.Deadline), dollars(j.Spent), dollars(j.Saved))
	}
	return t.write(p.out)
}

type batchStatus struct {
	Job   string        `arg:"" help:"Its id: job_..., batch_... or msgbatch_..."`
	Watch bool          `short:"w" help:"Stay until the job has ended and show how far it is."`
	Every time.Duration `hidden:"" default:"1s"`
}

func (b *batchStatus) Run(ctx context.Context, p *process) error {
	d, err := p.doors()
	if err != nil {
		return err
	}
	var j jobSeen
	if b.Watch {
		j, err = p.watch(ctx, d, b.Job, b.Every)
	} else {
		j, err = d.job(ctx, http.MethodGet, b.Job, "", nil)
	}
	if err != nil {
		return err
	}
	return p.showJob(&j)
}

type batchCancel struct {
	Job string `arg:"" help:"Its id: job_..., batch_... or msgbatch_..."`
}

func (b *batchCancel) Run(ctx context.Context, p *process) error {
	d, err := p.doors()
	if err != nil {
		return err
	}
	j, err := d.job(ctx, http.MethodPost, b.Job, "/cancel", nil)
	if err != nil {
		return err
	}
	return p.showJob(&j)
}

type batchRetry struct {
	Job      string        `arg:"" help:"Its id: job_..., batch_... or msgbatch_..."`
	Deadline string        `placeholder:"4h" help:"The new deadline: from now, or a full time; 24h when left out."`
	Watch    bool          `short:"w" help:"Stay until the job has ended and show how far it is."`
	Every    time.Duration `hidden:"" default:"1s"`
}

func (b *batchRetry) Run(ctx context.Context, p *process) error {
	d, err := p.doors()
	if err != nil {
		return err
	}
	j, err := d.job(ctx, http.MethodPost, b.Job, "/retry", map[string]string{"X-Headrace-Deadline": b.Deadline})
	if err == nil && b.Watch {
		j, err = p.watch(ctx, d, b.Job, b.Every)
	}
	if err != nil {
		return err
	}
	return p.showJob(&j)
}

type batchResults struct {
	Job string `arg:"" help:"Its id: job_..., batch_... or msgbatch_..."`
	Out string `short:"o" placeholder:"FILE" help:"Write them there; to standard output when left out."`
}

func (b *batchResults) Run(ctx context.Context, p *process) error {
	d, err := p.doors()
	if err != nil {
		return err
	}
	return p.saveResults(ctx, d, b.Job, b.Out)
}

// saveResults writes a job's answers to a file, or to standard output when the
// name is empty.
func (p *process) saveResults(ctx context.Context, d *doors, id, name string) (err error) {
	r, err := d.send(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(id)+"/results", nil, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	to := p.out
	if name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = f
	}
	out := bufio.NewWriter(to)
	if _, err := io.Copy(out, r.Body); err != nil {
		return &failure{ExitUnreached, fmt.Errorf("the results broke off: %w", rootCause(err))}
	}
	return out.Flush()
}
