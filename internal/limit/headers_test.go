package limit

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// The shapes are those of recorded answers, the figures partly others.
func TestHeaders(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, family string
		h            http.Header
		want         []reading
	}{
		{"anthropic", "anthropic", headers(
			"anthropic-ratelimit-input-tokens-limit", "5000000", "anthropic-ratelimit-input-tokens-remaining", "4998000", "anthropic-ratelimit-input-tokens-reset", "2026-11-25T03:00:01Z",
			"anthropic-ratelimit-output-tokens-limit", "1000000", "anthropic-ratelimit-output-tokens-remaining", "0", "anthropic-ratelimit-output-tokens-reset", "2026-11-25T03:00:31Z",
			"anthropic-ratelimit-requests-limit", "10000", "anthropic-ratelimit-requests-remaining", "9999", "anthropic-ratelimit-requests-reset", "2026-11-25T03:00:00Z",
			"anthropic-ratelimit-tokens-limit", "6000000", "anthropic-ratelimit-tokens-remaining", "6000000", "anthropic-ratelimit-tokens-reset", "2026-11-25T03:00:00Z",
			"date", "Wed, 25 Nov 2026 03:00:01 GMT"), []reading{
			{Requests, 10000, 1, time.Minute, 0}, {Input, 5000000, 2000, time.Minute, 0}, {Output, 1000000, 1000000, time.Minute, 30 * time.Second}}},
		{"anthropic, scrubbed", "anthropic", headers("anthropic-ratelimit-requests-limit", "4000", "anthropic-ratelimit-requests-remaining", "3999",
			"anthropic-ratelimit-input-tokens-limit", "XXX", "anthropic-ratelimit-input-tokens-remaining", "XXX"), []reading{{Requests, 4000, 1, time.Minute, 0}}},
		{"openai", "openai", headers("x-ratelimit-limit-requests", "5000", "x-ratelimit-remaining-requests", "4999", "x-ratelimit-reset-requests", "12ms",
			"x-ratelimit-limit-tokens", "4000000", "x-ratelimit-remaining-tokens", "3999959", "x-ratelimit-reset-tokens", "0s",
			"x-ratelimit-limit-tokens_usage_based", "250000", "x-ratelimit-limit-project-requests", "9"),
			[]reading{{Requests, 5000, 1, time.Minute, 0}, {Tokens, 4000000, 41, time.Minute, 0}}},
		{"openai, a small account's requests a day", "openai", headers("x-ratelimit-limit-requests", "200", "x-ratelimit-remaining-requests", "199", "x-ratelimit-reset-requests", "7m12s"),
			[]reading{{Requests, 200, 1, day, 0}}},
		{"openai, empty", "openai", headers("x-ratelimit-limit-requests", "3", "x-ratelimit-remaining-requests", "0", "x-ratelimit-reset-requests", "59.8s"),
			[]reading{{Requests, 3, 3, time.Minute, 0}}},
		{"azure, resets of 0", "azure", headers("x-ratelimit-limit-requests", "250", "x-ratelimit-remaining-requests", "249", "x-ratelimit-reset-requests", "0",
			"x-ratelimit-limit-tokens", "250000", "x-ratelimit-remaining-tokens", "249991", "x-ratelimit-reset-tokens", "0", "x-ratelimit-renewalperiod-tokens", "60"),
			[]reading{{Requests, 250, 1, time.Minute, 0}, {Tokens, 250000, 9, time.Minute, 0}}},
		{"azure, -1", "azure", headers("x-ratelimit-limit-tokens", "-1", "x-ratelimit-remaining-tokens", "-1", "x-ratelimit-reset-tokens", "0"), nil},
		{"azure, what remains without a limit", "azure", headers("x-ratelimit-remaining-requests", "118", "x-ratelimit-remaining-tokens", "119982"), nil},
		{"azure, a limit without what remains", "azure", headers("x-ratelimit-limit-tokens", "4000000", "x-ratelimit-remaining-tokens", "-1"), []reading{{Tokens, 4000000, 0, time.Minute, 0}}},
		{"groq, a day's requests", "groq", headers("x-ratelimit-limit-requests", "1000", "x-ratelimit-remaining-requests", "984", "x-ratelimit-reset-requests", "23m2.4s",
			"x-ratelimit-limit-tokens", "30000", "x-ratelimit-remaining-tokens", "26720", "x-ratelimit-reset-tokens", "6.56s"),
			[]reading{{RequestsPerDay, 1000, 16, day, 0}, {Tokens, 30000, 3280, time.Minute, 0}}},
		{"cerebras", "cerebras", headers("x-ratelimit-limit-requests-day", "1440000", "x-ratelimit-remaining-requests-day", "1439990", "x-ratelimit-reset-requests-day", "24483.583845615387",
			"x-ratelimit-limit-tokens-minute", "1000000", "x-ratelimit-remaining-tokens-minute", "0", "x-ratelimit-reset-tokens-minute", "3.5"),
			[]reading{{RequestsPerDay, 1440000, 10, day, 0}, {Tokens, 1000000, 1000000, time.Minute, 3500 * time.Millisecond}}},
		{"mistral", "mistral", headers("x-ratelimit-limit-req-minute", "5", "x-ratelimit-remaining-req-minute", "4", "x-ratelimit-limit-tokens-minute", "75000",
			"x-ratelimit-remaining-tokens-minute", "74932", "x-ratelimit-tokens-query-cost", "68"), []reading{{Requests, 5, 1, time.Minute, 0}, {Tokens, 75000, 68, time.Minute, 0}}},
		{"mistral, requests in 10 s", "mistral", headers("x-ratelimit-limit-req-10-second", "60", "x-ratelimit-remaining-req-10-second", "59",
			"x-ratelimit-limit-tokens-month", "10000000000", "x-ratelimit-remaining-tokens-month", "9999999893"), []reading{{Requests, 60, 1, 10 * time.Second, 0}}},
		{"fireworks", "fireworks", headers("x-ratelimit-limit-tokens-prompt", "3600000", "x-ratelimit-limit-tokens-generated", "36000"),
			[]reading{{Input, 3600000, 0, time.Minute, 0}, {Output, 36000, 0, time.Minute, 0}}},
		{"together, an unknown unit", "together", headers("x-ratelimit-limit", "30", "x-ratelimit-remaining", "59", "x-ratelimit-limit-tokens", "3000", "x-ratelimit-remaining-tokens", "3000", "x-ratelimit-reset", "2"), nil},
		{"together, empty", "together", headers("x-ratelimit-limit", "30", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "2"), []reading{{Requests, 0, 0, 0, 2 * time.Second}}},
		{"openrouter, empty until a time", "openrouter", headers("x-ratelimit-limit", "1", "x-ratelimit-remaining", "0", "x-ratelimit-reset", "1754667660000", "date", "Fri, 08 Aug 2025 15:40:34 GMT"),
			[]reading{{Requests, 0, 0, 0, 26 * time.Second}}},
		{"xai", "xai", headers("x-ratelimit-limit-requests", "1800", "x-ratelimit-remaining-requests", "1799", "x-ratelimit-limit-tokens", "10000000", "x-ratelimit-remaining-tokens", "10000000"),
			[]reading{{Requests, 1800, 1, time.Minute, 0}, {Tokens, 10000000, 0, time.Minute, 0}}},
		{"nonsense", "openai", headers("x-ratelimit-limit-requests", "9223372036854775807", "x-ratelimit-remaining-requests", "-9223372036854775808", "x-ratelimit-limit-tokens", "1e9", "x-ratelimit-reset-requests", "-5"),
			[]reading{{Requests, 9223372036854775807, 0, time.Minute, 0}}},
	} {
		f := families[c.family]
		if got := f.read(c.h, now, nil); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestHeaderNamesAreCanonical(t *testing.T) {
	t.Parallel()
	for name, f := range families {
		for _, row := range f.headers {
			for _, h := range []string{row.limit, row.remaining, row.reset} {
				if h != http.CanonicalHeaderKey(h) {
					t.Errorf("%s: %s is written %s", name, h, http.CanonicalHeaderKey(h))
				}
			}
		}
	}
}

// What the table says of the period agrees with what the recorded answers of
// steadily filled buckets show, wherever they show it.
func TestRecordedHeaders(t *testing.T) {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		dir = "../../../shared/corpus"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if len(files) == 0 {
		t.Skip("no recorded traffic here; HEADRACE_CORPUS names its directory")
	}
	read, shown := map[string]int{}, map[string]int{}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for r := bufio.NewReaderSize(f, 1<<20); ; {
			line, err := r.ReadBytes('\n')
			var rec struct {
				ID, Provider string
				Response     struct{ Headers map[string][]string }
			}
			if len(line) > 1 {
				if err := json.Unmarshal(line, &rec); err != nil {
					t.Fatal(file, err)
				}
			}
			if fam, ok := families[rec.Provider]; ok {
				h := http.Header{}
				for k, v := range rec.Response.Headers {
					h[http.CanonicalHeaderKey(k)] = v
				}
				var out []reading
				for _, got := range fam.read(h, time.Now(), nil) {
					read[rec.Provider]++
					out = append(out, got)
				}
				for _, row := range fam.headers {
					reset := resetIn(h, row.reset, time.Now())
					for _, got := range out {
						if row.full && got.kind == row.kind && got.used > 0 && reset > time.Second {
							shown[rec.Provider]++
							implied := reset.Seconds() * float64(got.limit) / float64(got.used)
							if r := implied / got.period.Seconds(); r < 0.5 || r > 2 {
								t.Errorf("%s: %d of %d %s and %s to full: not %s", rec.ID, got.used, got.limit, row.kind, reset, got.period)
							}
						}
					}
				}
			}
			if err != nil {
				break
			}
		}
		f.Close()
	}
	for _, p := range strings.Fields("anthropic openai azure groq cerebras mistral xai") {
		if read[p] == 0 {
			t.Errorf("no recorded answer of %s tells a limit", p)
		}
	}
	t.Logf("read %v, periods shown %v", read, shown)
}
