package limit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Kind is what a provider's limit counts.
type Kind int

// The kinds.
const (
	// Requests and RequestsPerDay count requests.
	Requests Kind = iota
	RequestsPerDay
	// Tokens and TokensPerDay count prompt and answer together.
	Tokens
	TokensPerDay
	// Input counts the tokens of prompts, Output those of answers.
	Input
	Output
	kinds
)

// String says it in an error.
func (k Kind) String() string {
	return [...]string{"requests", "requests", "tokens", "tokens", "input tokens", "output tokens"}[k]
}

// Name says it in figures: unlike String, each kind has its own.
func (k Kind) Name() string {
	return [...]string{"requests_minute", "requests_day", "tokens_minute", "tokens_day", "input_tokens_minute", "output_tokens_minute"}[k]
}

// family is how a provider writes its limits into the headers of its answers.
type family struct {
	headers []header
	// account says that the limits are of the account and not of a model.
	account bool
	// asks says that a request counts with the output that it asks for
	// (max_tokens), not with what it made.
	asks bool
}

// header is one limit: the canonical names of the headers that tell it.
type header struct {
	kind                    Kind
	limit, remaining, reset string
	// per is the period of the limit; 0 means that the provider does not say it,
	// so that only an empty bucket is believed, until its reset.
	per time.Duration
	// full says that reset tells when the bucket will be full again: it fills
	// steadily, and how fast shows the period. Otherwise reset tells when there
	// will be room.
	full bool
}

const day = 24 * time.Hour

// families is the one table of what the headers mean, by the name in the rates
// field of a provider's catalogue row. Times of reset are read in any form:
// seconds, durations, RFC 3339, Unix seconds or milliseconds. What is -1 or 0
// (Azure) or no number is unknown.
var families = map[string]family{
	// anthropic-ratelimit-tokens-* repeats the tightest of the others and is not
	// read (platform.claude.com rate limits, 2026-11).
	"anthropic": {headers: []header{
		{Requests, "Anthropic-Ratelimit-Requests-Limit", "Anthropic-Ratelimit-Requests-Remaining", "Anthropic-Ratelimit-Requests-Reset", time.Minute, false},
		{Input, "Anthropic-Ratelimit-Input-Tokens-Limit", "Anthropic-Ratelimit-Input-Tokens-Remaining", "Anthropic-Ratelimit-Input-Tokens-Reset", time.Minute, false},
		{Output, "Anthropic-Ratelimit-Output-Tokens-Limit", "Anthropic-Ratelimit-Output-Tokens-Remaining", "Anthropic-Ratelimit-Output-Tokens-Reset", time.Minute, false},
	}},
	// Small accounts have requests a day under the same names: the reset shows it
	// (1 of 200 used and 7m12s to full is a day).
	"openai": {asks: true, headers: []header{
		{Requests, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests", time.Minute, true},
		{Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens", time.Minute, true},
	}},
	// Recorded 2025-11 to 2026-08: limits a minute (renewalperiod 60), resets of 0
	// or none.
	"azure": {asks: true, headers: []header{
		{Requests, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests", time.Minute, false},
		{Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens", time.Minute, false},
	}},
	// Requests are a day's, tokens a minute's (console.groq.com/docs/rate-limits).
	"groq": {asks: true, headers: []header{
		{RequestsPerDay, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests", day, true},
		{Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens", time.Minute, true},
	}},
	// Recorded 2026-08 without resets.
	"xai": {headers: []header{
		{Requests, "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "", time.Minute, false},
		{Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "", time.Minute, false},
	}},
	// The limiter takes the prompt and the whole output cap at once; resets are
	// the ends of fixed windows, in seconds (recorded 2025-11).
	"cerebras": {asks: true, headers: []header{
		{Requests, "X-Ratelimit-Limit-Requests-Minute", "X-Ratelimit-Remaining-Requests-Minute", "X-Ratelimit-Reset-Requests-Minute", time.Minute, false},
		{RequestsPerDay, "X-Ratelimit-Limit-Requests-Day", "X-Ratelimit-Remaining-Requests-Day", "X-Ratelimit-Reset-Requests-Day", day, false},
		{Tokens, "X-Ratelimit-Limit-Tokens-Minute", "X-Ratelimit-Remaining-Tokens-Minute", "X-Ratelimit-Reset-Tokens-Minute", time.Minute, false},
		{TokensPerDay, "X-Ratelimit-Limit-Tokens-Day", "X-Ratelimit-Remaining-Tokens-Day", "X-Ratelimit-Reset-Tokens-Day", day, false},
	}},
	// Recorded 2025-09 to 2026-08; an account has the one or the other form of
	// requests.
	"mistral": {headers: []header{
		{Requests, "X-Ratelimit-Limit-Req-Minute", "X-Ratelimit-Remaining-Req-Minute", "", time.Minute, false},
		{Requests, "X-Ratelimit-Limit-Req-10-Second", "X-Ratelimit-Remaining-Req-10-Second", "", 10 * time.Second, false},
		{Tokens, "X-Ratelimit-Limit-Tokens-Minute", "X-Ratelimit-Remaining-Tokens-Minute", "", time.Minute, false},
	}},
	// The limits rise and fall with use, and are the account's
	// (docs.fireworks.ai/serverless/rate-limits).
	"fireworks": {account: true, headers: []header{
		{Input, "X-Ratelimit-Limit-Tokens-Prompt", "X-Ratelimit-Remaining-Tokens-Prompt", "", time.Minute, false},
		{Output, "X-Ratelimit-Limit-Tokens-Generated", "X-Ratelimit-Remaining-Tokens-Generated", "", time.Minute, false},
	}},
	// The unit of the limit is not written anywhere (recorded 2024 to 2025: 59
	// remain of 30).
	"together": {headers: []header{
		{Requests, "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", 0, false},
		{Tokens, "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset", 0, false},
	}},
	// The reset is in Unix milliseconds (recorded 2025-08).
	"openrouter": {headers: []header{
		{Requests, "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", 0, false},
	}},
}

// Families lists the names of the table, for who checks the catalogue.
func Families() []string {
	names := make([]string, 0, len(families))
	for name := range families {
		names = append(names, name)
	}
	return names
}

// reading is what the headers of one answer say of one limit.
type reading struct {
	kind Kind
	// limit is 0 when only used up is known; used is what the provider has
	// counted of it.
	limit, used int64
	period      time.Duration
	// empty is how long until there is any room again; 0 when there is some, or
	// when that is not said.
	empty time.Duration
}

// read appends what an answer's headers say. now stands for its Date where that
// is missing.
func (f *family) read(h http.Header, now time.Time, out []reading) []reading {
	var seen [kinds]bool
	for i := range f.headers {
		row := &f.headers[i]
		limit, ok := number(h, row.limit)
		if !ok || limit <= 0 || seen[row.kind] {
			continue
		}
		seen[row.kind] = true
		left, known := number(h, row.remaining)
		known = known && left >= 0
		r := reading{kind: row.kind, limit: limit, period: row.per}
		if known {
			r.used = max(limit-left, 0)
		}
		if known && left == 0 && !row.full {
			r.empty = resetIn(h, row.reset, now)
		}
		if row.full && r.used > 0 {
			r.period = periodOf(resetIn(h, row.reset, now), limit, r.used, row.per)
		}
		if r.period == 0 {
			if r.empty == 0 {
				continue
			}
			r.limit, r.used = 0, 0
		}
		out = append(out, r)
	}
	return out
}

// periodOf is the period of a bucket that will be full again in reset, having
// used so much of its limit: a minute or a day, else what the table says. Short
// resets are rounded too much to show anything.
func periodOf(reset time.Duration, limit, used int64, table time.Duration) time.Duration {
	if reset < time.Second {
		return table
	}
	period := reset.Seconds() * float64(limit) / float64(used)
	for _, p := range [...]time.Duration{time.Minute, day} {
		if r := period / p.Seconds(); r > 0.7 && r < 1.4 {
			return p
		}
	}
	return table
}

func number(h http.Header, name string) (int64, bool) {
	v := h[name]
	if len(v) == 0 {
		return 0, false
	}
	return integer(strings.TrimSpace(v[0]))
}

// integer reads a number; most of what is none is seen without making an error.
func integer(s string) (int64, bool) {
	if s == "" || s[len(s)-1] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// resetIn reads a reset in any of its forms; 0 when it says nothing.
func resetIn(h http.Header, name string, now time.Time) time.Duration {
	v := h[name]
	if len(v) == 0 {
		return 0
	}
	said := strings.TrimSpace(v[0])
	var until time.Time
	if unix, ok := integer(said); ok && unix > 1e9 {
		if unix > 1e12 {
			until = time.UnixMilli(unix)
		} else {
			until = time.Unix(unix, 0)
		}
	} else if d, ok := llm.ParseWait(said); ok {
		return d
	} else if at, err := time.Parse(time.RFC3339, said); err == nil {
		until = at
	} else {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date // measured by the provider's own clock
	}
	return min(max(until.Sub(now), 0), 32*day)
}
