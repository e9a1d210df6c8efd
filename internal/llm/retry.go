package llm

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ReadHeader takes over what the headers of an error answer say about a
// repeat. Class, RetryAfter and NoRepeat must hold what the body said. It asks
// no clock: a time of day is measured against the answer's own Date, as the
// provider's clock may be wrong.
//
// x-should-retry wins over the class, as it does in the vendors' SDKs. The wait
// is that of retry-after-ms, else of retry-after, else what the body said, else
// (rate limits alone) the reset of the bucket that is empty.
func (e *Error) ReadHeader(h http.Header) {
	if h == nil {
		return
	}
	e.ContentType = h.Get("Content-Type")
	switch strings.ToLower(strings.TrimSpace(h.Get("X-Should-Retry"))) {
	case "false":
		e.NoRepeat = true
	case "true":
		e.NoRepeat = false
		if e.Class == InvalidRequest {
			e.Class = ServerError
		}
	}
	if d := retryAfter(h); d > 0 {
		e.RetryAfter = d
	}
	if e.RetryAfter == 0 && e.Class == RateLimited {
		e.RetryAfter = bucketReset(h)
	}
}

func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After-Ms")), 64); err == nil && ms > 0 {
		return seconds(ms / 1000)
	}
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if d, ok := ParseWait(v); ok {
		return d
	}
	until, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return sinceDate(h, until)
}

// bucketReset finds the longest reset among the buckets of which nothing
// remains: x-ratelimit-remaining-X beside x-ratelimit-reset-X, where X is
// requests, tokens and the like (OpenAI, Groq, xAI, Cerebras) or absent
// (OpenRouter, Together). Azure says -1 where it does not know.
func bucketReset(h http.Header) time.Duration {
	const remaining, reset = "X-Ratelimit-Remaining", "X-Ratelimit-Reset"
	longest := time.Duration(0)
	for name, v := range h {
		bucket, ok := strings.CutPrefix(name, remaining)
		if !ok || len(v) == 0 || strings.TrimSpace(v[0]) != "0" {
			continue
		}
		said := strings.TrimSpace(h.Get(reset + bucket))
		d, ok := ParseWait(said)
		if at, err := strconv.ParseInt(said, 10, 64); err == nil && at > 1e9 { // a time of day
			if at > 1e12 {
				at /= 1000 // OpenRouter counts milliseconds
			}
			d, ok = sinceDate(h, time.Unix(at, 0)), true
		}
		if ok {
			longest = max(longest, d)
		}
	}
	return longest
}

func sinceDate(h http.Header, until time.Time) time.Duration {
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(until.Sub(now), 0)
}

// ParseWait reads a wait as vendors spell it: seconds ("3", "0.5") or a
// duration ("6m0s", "12ms", "34.07s", "1d2h").
func ParseWait(s string) (time.Duration, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return seconds(f), true
	}
	days := time.Duration(0)
	if d, rest, ok := strings.Cut(s, "d"); ok {
		if n, err := strconv.Atoi(d); err == nil && n >= 0 && n < 1000 {
			days, s = time.Duration(n)*24*time.Hour, rest
			if s == "" {
				return days, true
			}
		}
	}
	d, err := time.ParseDuration(s)
	return max(days+d, 0), err == nil
}

// WaitIn finds a wait that a message names in words: "try again in 6m0s",
// "retry in 34.07s", "retry after 20 seconds"; 0 when there is none.
func WaitIn(message string) time.Duration {
	m := strings.ToLower(message)
	for _, cue := range [...]string{"try again in ", "retry in ", "retry after ", "try again after "} {
		_, rest, ok := strings.Cut(m, cue)
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(rest, " ")
		word = strings.TrimRight(word, ".,;:)")
		d, ok := ParseWait(word)
		if !ok {
			continue
		}
		unit, _, _ := strings.Cut(rest, " ")
		switch {
		case word[len(word)-1] > '9': // has its unit
		case strings.HasPrefix(unit, "minute"):
			d *= 60
		case strings.HasPrefix(unit, "hour"):
			d *= 3600
		case strings.HasPrefix(unit, "ms"), strings.HasPrefix(unit, "milli"):
			d /= 1000
		}
		return d
	}
	return 0
}

// seconds keeps nonsense (negative, decades, not a number) out of a wait.
func seconds(s float64) time.Duration {
	if !(s > 0) || s > 1e9 {
		return 0
	}
	return time.Duration(s * float64(time.Second))
}
