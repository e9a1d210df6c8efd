package llm

import (
	"net/http"
	"testing"
	"time"
)

func TestReadHeader(t *testing.T) {
	t.Parallel()
	const date = "Mon, 23 Nov 2026 10:00:00 GMT"
	for _, c := range []struct {
		name     string
		class    Class
		said     time.Duration
		h        map[string]string
		want     time.Duration
		noRepeat bool
		becomes  Class
	}{
		{"nothing", RateLimited, 0, nil, 0, false, RateLimited},
		{"seconds", RateLimited, 0, map[string]string{"Retry-After": "3"}, 3 * time.Second, false, RateLimited},
		{"fraction", RateLimited, 0, map[string]string{"Retry-After": " 0.5"}, 500 * time.Millisecond, false, RateLimited},
		{"duration", RateLimited, 0, map[string]string{"Retry-After": "6m0s"}, 6 * time.Minute, false, RateLimited},
		{"ms wins", RateLimited, 0, map[string]string{"Retry-After": "3", "Retry-After-Ms": "250"}, 250 * time.Millisecond, false, RateLimited},
		{"ms of nothing", RateLimited, 0, map[string]string{"Retry-After": "3", "Retry-After-Ms": "0"}, 3 * time.Second, false, RateLimited},
		{"date", RateLimited, 0, map[string]string{"Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT", "Date": date}, 30 * time.Second, false, RateLimited},
		{"past", RateLimited, 0, map[string]string{"Retry-After": "Mon, 23 Nov 2026 09:00:30 GMT", "Date": date}, 0, false, RateLimited},
		{"date without a date", RateLimited, 0, map[string]string{"Retry-After": "Mon, 23 Nov 2026 10:00:30 GMT"}, 0, false, RateLimited},
		{"negative", RateLimited, 0, map[string]string{"Retry-After": "-5"}, 0, false, RateLimited},
		{"nonsense", RateLimited, 0, map[string]string{"Retry-After": "soon"}, 0, false, RateLimited},
		{"infinite", RateLimited, 0, map[string]string{"Retry-After": "Inf"}, 0, false, RateLimited},
		{"the header wins over the body", RateLimited, 9 * time.Second, map[string]string{"Retry-After": "3"}, 3 * time.Second, false, RateLimited},
		{"the body alone", RateLimited, 9 * time.Second, map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1s"}, 9 * time.Second, false, RateLimited},
		{"the empty bucket", RateLimited, 0, map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s", "X-Ratelimit-Remaining-Tokens": "5", "X-Ratelimit-Reset-Tokens": "9h"}, 6 * time.Minute, false, RateLimited},
		{"both empty", RateLimited, 0, map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "12ms", "X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "2m59.56s"}, 2*time.Minute + 59560*time.Millisecond, false, RateLimited},
		{"bare seconds", RateLimited, 0, map[string]string{"X-Ratelimit-Remaining-Tokens-Minute": "0", "X-Ratelimit-Reset-Tokens-Minute": "11.5"}, 11500 * time.Millisecond, false, RateLimited},
		{"a time of day in ms", RateLimited, 0, map[string]string{"Date": date, "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1795428060000"}, time.Minute, false, RateLimited},
		{"a time of day in s", RateLimited, 0, map[string]string{"Date": date, "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1795428060"}, time.Minute, false, RateLimited},
		{"unknown at Azure", RateLimited, 0, map[string]string{"X-Ratelimit-Remaining-Requests": "-1", "X-Ratelimit-Reset-Requests": "5"}, 0, false, RateLimited},
		{"no rate limit", ServerError, 0, map[string]string{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s"}, 0, false, ServerError},
		{"not again", ServerError, 0, map[string]string{"X-Should-Retry": "false"}, 0, true, ServerError},
		{"again", InvalidRequest, 0, map[string]string{"X-Should-Retry": "true"}, 0, false, ServerError},
		{"again, overloaded", Overloaded, 0, map[string]string{"X-Should-Retry": "true"}, 0, false, Overloaded},
	} {
		h := http.Header{}
		for k, v := range c.h {
			h.Set(k, v)
		}
		e := &Error{Class: c.class, RetryAfter: c.said}
		e.ReadHeader(h)
		if e.RetryAfter != c.want || e.NoRepeat != c.noRepeat || e.Class != c.becomes {
			t.Errorf("%s: %v %v %s, want %v %v %s", c.name, e.RetryAfter, e.NoRepeat, e.Class, c.want, c.noRepeat, c.becomes)
		}
	}
	(&Error{}).ReadHeader(nil)
}

func TestWaitIn(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]time.Duration{
		"Limit 3, used 3. Please try again in 20s. Visit": 20 * time.Second,
		"please try again in 6m0s":                        6 * time.Minute,
		"Please try again in 120ms.":                      120 * time.Millisecond,
		"Please retry in 34.074824224s.":                  34074824224,
		"Please retry after 20 seconds.":                  20 * time.Second,
		"retry after 2 minutes":                           2 * time.Minute,
		"try again in 1 hour":                             time.Hour,
		"Try again in 1d2h":                               26 * time.Hour,
		"Please retry after some time":                    0,
		"Please try again in a little while, or in 5s":    0,
		"try again in -5s":                                0,
		"try again in ":                                   0,
		"":                                                0,
		"the tool says: come back in 3s":                  0,
	} {
		if got := WaitIn(said); got != want {
			t.Errorf("%q: %v, want %v", said, got, want)
		}
	}
}
