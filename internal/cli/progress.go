package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// watch shows how far a job has come until it has ended, and gives it. On a
// terminal it is one line that changes, elsewhere a line whenever something has.
func (p *process) watch(ctx context.Context, d *doors, id string, every time.Duration) (j jobSeen, err error) {
	bar := progress{out: p.err, screen: terminal(p.err)}
	defer bar.end()
	tick := time.NewTicker(max(every, 10*time.Millisecond))
	defer tick.Stop()
	for misses := 0; ; {
		next, err := d.job(ctx, http.MethodGet, id, "", nil)
		switch {
		case err == nil:
			if j.Forecast == nil && next.Forecast != nil {
				bar.say("expected: " + next.hope())
			}
			misses, j = 0, next
			bar.show(&j, time.Now())
			if !j.Ended.IsZero() {
				return j, nil
			}
		case ctx.Err() != nil:
			return j, ctx.Err()
		case j.ID == "" || misses >= 60:
			return j, err
		default: // the gateway is being restarted; the job goes on after it
			misses++
		}
		select {
		case <-ctx.Done():
			return j, ctx.Err()
		case <-tick.C:
		}
	}
}

// terminal says whether a person looks at it.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress is the line that says how far a job has come.
type progress struct {
	out    io.Writer
	screen bool
	last   string
	width  int
	// began and first are when the job was first seen and how much was done then.
	began time.Time
	first int64
}

// cells is how long the bar is.
const cells = 24

func (b *progress) show(j *jobSeen, now time.Time) {
	over := j.done() + j.failed()
	if b.began.IsZero() {
		b.began, b.first = now, over
	}
	text := progressLine(j, b.left(j, now), now)
	switch {
	case b.screen:
		space := max(b.width-len(text), 0)
		fmt.Fprintf(b.out, "\r%s%s", text, strings.Repeat(" ", space))
		b.width = len(text)
	case text != b.last:
		fmt.Fprintln(b.out, text)
	}
	b.last = text
}

// say writes a line of its own.
func (b *progress) say(text string) {
	b.end()
	fmt.Fprintln(b.out, clean(text))
}

// end leaves the line.
func (b *progress) end() {
	if b.screen && b.last != "" {
		fmt.Fprintln(b.out)
	}
}

// left is how long the rest should take at the pace since the job was first
// seen; 0 is not known. What waits in a batch comes at once, whenever that is.
func (b *progress) left(j *jobSeen, now time.Time) time.Duration {
	over := j.done() + j.failed()
	if over <= b.first || j.batched()+j.waits() > 0 {
		return 0
	}
	return time.Duration(float64(now.Sub(b.began)) / float64(over-b.first) * float64(j.Total-over))
}

// progressLine is the whole line. left is how long the rest should take; when 0
// nothing is known but the deadline.
func progressLine(j *jobSeen, left time.Duration, now time.Time) string {
	over := j.done() + j.failed()
	full := 0
	if j.Total > 0 {
		full = int(over * cells / j.Total)
	}
	eta := "ended"
	switch {
	case !j.Ended.IsZero():
	case left > 0:
		eta = "ETA " + rounded(left)
	default:
		eta = "within " + rounded(j.Deadline.Sub(now))
	}
	return fmt.Sprintf("[%s%s] %s/%s done, %s failed, %s in provider batch, %s in real time, %s waiting, spent %s, saved %s, %s",
		strings.Repeat("#", full), strings.Repeat(".", cells-full), number(j.done()), number(j.Total), number(j.failed()),
		number(j.batched()), number(j.realTime()), number(j.waits()), dollars(j.Spent), dollars(j.Saved), eta)
}

// rounded writes a duration without what nobody reads: 3h12m, 4m10s, 8s.
func rounded(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d >= time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return max(d.Round(time.Second), time.Second).String()
}
