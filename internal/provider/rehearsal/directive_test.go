package rehearsal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

// failure is what a client sees of a failure, per dialect.
type failure struct {
	status  int
	header  map[string]string
	typ     string
	code    string // OpenAI's code, Anthropic's details.error_code
	message string // a part of it
}

func TestFailures(t *testing.T) {
	o, a := llm.OpenAI, llm.Anthropic
	for directive, want := range map[string]map[llm.Dialect]failure{
		"rate_limited": {
			o: {429, map[string]string{"Retry-After": "2", "X-Ratelimit-Remaining-Requests": "0"}, "requests", "rate_limit_exceeded", "Rate limit reached for quick"},
			a: {429, map[string]string{"Retry-After": "2", "Anthropic-Ratelimit-Requests-Remaining": "0"}, "rate_limit_error", "", "exceed your organization's rate limit"}},
		"rate_limited; retry_after=7": {
			o: {429, map[string]string{"Retry-After": "7"}, "requests", "rate_limit_exceeded", ""},
			a: {429, map[string]string{"Retry-After": "7", "Retry-After-Ms": ""}, "rate_limit_error", "", ""}},
		"rate_limited=250ms": {
			o: {429, map[string]string{"Retry-After": "1", "Retry-After-Ms": "250"}, "requests", "rate_limit_exceeded", ""},
			a: {429, map[string]string{"Retry-After": "1", "Retry-After-Ms": "250"}, "rate_limit_error", "", ""}},
		"quota_exhausted": {
			o: {429, map[string]string{"Retry-After": ""}, "insufficient_quota", "insufficient_quota", "current quota"},
			a: {429, map[string]string{"Retry-After": ""}, "rate_limit_error", "enforced_spend_limit_reached", "usage limits"}},
		"overloaded": {
			o: {503, nil, "service_unavailable_error", "server_is_overloaded", "overloaded"},
			a: {529, nil, "overloaded_error", "", "Overloaded"}},
		"overloaded, retry_after=1s": {
			o: {503, map[string]string{"Retry-After": "1"}, "service_unavailable_error", "server_is_overloaded", ""},
			a: {529, map[string]string{"Retry-After": "1"}, "overloaded_error", "", ""}},
		"server_error":     {o: {500, nil, "server_error", "", "had an error"}, a: {500, nil, "api_error", "", "Internal server error"}},
		"timeout=20ms":     {o: {504, nil, "server_error", "timeout", "timed out"}, a: {504, nil, "timeout_error", "", "timed out"}},
		"context_overflow": {o: {400, nil, "invalid_request_error", "context_length_exceeded", "maximum context length is"}, a: {400, nil, "invalid_request_error", "", "prompt is too long: 1048577 tokens > 1000000 maximum"}},
		"invalid_request":  {o: {400, nil, "invalid_request_error", "invalid_value", "Invalid value"}, a: {400, map[string]string{"X-Should-Retry": "false"}, "invalid_request_error", "", "expected shape"}},
		"auth":             {o: {401, nil, "invalid_request_error", "invalid_api_key", "Incorrect API key"}, a: {401, nil, "authentication_error", "", "invalid x-api-key"}},
		"model_not_found":  {o: {404, nil, "invalid_request_error", "model_not_found", "The model `quick` does not exist"}, a: {404, nil, "not_found_error", "", "model: quick"}},
		"status=418":       {o: {418, nil, "invalid_request_error", "", "418"}, a: {418, nil, "invalid_request_error", "", "418"}},
		"status=403":       {o: {403, nil, "invalid_request_error", "", "Forbidden"}, a: {403, nil, "permission_error", "", "Forbidden"}},
		"status=502":       {o: {502, nil, "server_error", "", ""}, a: {502, nil, "api_error", "", ""}},
		"status=429; retry_after=9": {
			o: {429, map[string]string{"Retry-After": "9"}, "requests", "rate_limit_exceeded", ""}, a: {429, map[string]string{"Retry-After": "9"}, "rate_limit_error", "", ""}},
		"server_error; text=Oh; dear, no": {o: {500, nil, "server_error", "", "Oh; dear, no"}, a: {500, nil, "api_error", "", "Oh; dear, no"}},
	} {
		for _, d := range dialects {
			for _, how := range []string{"header", "text", "stream"} {
				t.Run(directive+" "+string(d)+" "+how, func(t *testing.T) {
					req, header := user("hello"), directive
					if how == "text" {
						req, header = user("hello [[rehearse: "+directive+"]] there"), ""
					}
					req.Stream = how == "stream"
					checkFailure(t, d, ask(t, provider(), d, req, header), want[d])
				})
			}
		}
	}
	for _, d := range dialects {
		req := user("hello")
		req.Model = "gpt-nonesuch"
		if got := ask(t, provider(), d, req, ""); got.status != 404 || !bytes.Contains(got.body, []byte("gpt-nonesuch")) {
			t.Errorf("an unknown model on %s: %d %s", d, got.status, got.body)
		}
	}
}

func checkFailure(t *testing.T, d llm.Dialect, a answered, want failure) {
	t.Helper()
	if a.status != want.status {
		t.Errorf("status %d, not %d", a.status, want.status)
	}
	for name, value := range want.header {
		if got := a.header.Get(name); got != value {
			t.Errorf("%s is %q, not %q", name, got, value)
		}
	}
	var body struct {
		Type  string
		Error struct {
			Type, Message string
			Code, Param   *string
			Details       struct {
				Code string `json:"error_code"`
			}
		}
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &body, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	code := body.Error.Details.Code
	id := a.header.Get("Request-Id")
	if d == llm.OpenAI {
		if body.Error.Code != nil {
			code = *body.Error.Code
		}
		for _, key := range []string{`"message"`, `"type"`, `"param"`, `"code"`} {
			if !bytes.Contains(a.body, []byte(key)) {
				t.Errorf("no %s in %s", key, a.body)
			}
		}
		id = a.header.Get("X-Request-Id")
	} else if body.Type != "error" || body.RequestID != id {
		t.Errorf("type %q, request_id %q against %q", body.Type, body.RequestID, id)
	}
	if !strings.HasPrefix(id, "req_") {
		t.Errorf("request id %q", id)
	}
	if body.Error.Type != want.typ || code != want.code || !strings.Contains(body.Error.Message, want.message) {
		t.Errorf("%s\nwant type %q, code %q, message with %q", a.body, want.typ, want.code, want.message)
	}
}

func TestRefusal(t *testing.T) {
	both(t, user("hello"), "content_refused", func(t *testing.T, d llm.Dialect, a answered) {
		if a.words.Finish.Reason != llm.FinishRefusal {
			t.Errorf("%+v", a.words.Finish)
		}
		if d == llm.Anthropic {
			if len(a.words.Items) != 0 || !bytes.Contains(a.words.Finish.Details, []byte(`"category"`)) {
				t.Errorf("%+v", a.words)
			}
		} else if len(a.words.Items) != 1 || a.words.Items[0].Blocks[0].Kind != llm.BlockRefusal || a.words.Finish.Native != "content_filter" {
			t.Errorf("%+v", a.words)
		}
	})
	both(t, user("hello"), "content_refused; after=2; text=one two three four five six seven", func(t *testing.T, d llm.Dialect, a answered) {
		if a.text() != "one two three four five six " || a.words.Finish.Reason != llm.FinishRefusal {
			t.Errorf("%+v", a.words)
		}
	})
}

func TestMalformed(t *testing.T) {
	for _, d := range dialects {
		for directive, start := range map[string]string{"malformed_upstream": "<!DOCTYPE html>", "malformed_upstream=html": "<!DOCTYPE html>", "malformed_upstream=json": `{"id":"`, "malformed_upstream=frame": "", "malformed_upstream=empty": ""} {
			for _, stream := range []bool{false, true} {
				req := user("hello")
				req.Stream = stream
				resp, err := provider().RoundTrip(request(t.Context(), d, encode(req), directive))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(body), start) {
					t.Errorf("%s on %s: %d %v %s", directive, d, resp.StatusCode, err, body)
				}
				var v any
				if err := json.Unmarshal(body, &v); err == nil {
					t.Errorf("%s on %s is good JSON: %s", directive, d, body)
				}
				if strings.HasSuffix(directive, "frame") && stream && !bytes.HasSuffix(body, []byte("\n\n")) {
					t.Errorf("%s on %s: not a whole frame: %s", directive, d, body)
				}
			}
		}
	}
}

func TestErrorInStream(t *testing.T) {
	for _, d := range dialects {
		for _, c := range []struct {
			directive string
			class     llm.Class
			pieces    int
		}{
			{"error_in_stream", llm.Overloaded, 0},
			{"error_in_stream=overloaded", llm.Overloaded, 0},
			{"error_in_stream=rate_limited, after=3", llm.RateLimited, 3},
			{"error_in_stream=server_error; after=9999", llm.ServerError, 8},
		} {
			req := user("say exactly: " + strings.Repeat("a b c ", 8))
			req.Stream = true
			a := ask(t, provider(), d, req, c.directive)
			if a.status != 200 || a.failed == nil || a.failed.Type != vendorErrors[d][c.class].typ || len(a.pieces) != c.pieces {
				t.Errorf("%s on %s: %d, %v after %d pieces", c.directive, d, a.status, a.failed, len(a.pieces))
				continue
			}
			if last := a.events[len(a.events)-1]; last.Kind != llm.EventError || a.events[0].Kind != llm.EventStart {
				t.Errorf("%s on %s: from %s to %s", c.directive, d, a.events[0].Kind, last.Kind)
			}
		}
		// A whole answer has no inside: the error is its status.
		if a := ask(t, provider(), d, user("hello"), "error_in_stream=overloaded"); a.status != vendorErrors[d][llm.Overloaded].status {
			t.Errorf("%s, whole: %d", d, a.status)
		}
	}
}

func TestCut(t *testing.T) {
	for _, d := range dialects {
		for _, stream := range []bool{false, true} {
			req := user("hello")
			req.Stream = stream
			whole := ask(t, provider(), d, req, "")
			for _, n := range []int{0, 1, 57, len(whole.body) - 1} {
				a := ask(t, provider(), d, req, fmt.Sprintf("cut=%d", n))
				if a.err != io.ErrUnexpectedEOF || !bytes.Equal(a.body, whole.body[:n]) {
					t.Errorf("cut=%d on %s: %v after %d bytes", n, d, a.err, len(a.body))
				}
			}
			if a := ask(t, provider(), d, req, fmt.Sprintf("cut=%d", len(whole.body))); a.err != nil || !bytes.Equal(a.body, whole.body) {
				t.Errorf("a cut behind the end on %s: %v", d, a.err)
			}
		}
	}
}

func TestTextAndWords(t *testing.T) {
	both(t, user("hello"), "text=a; b, c=d ", func(t *testing.T, d llm.Dialect, a answered) { says("a; b, c=d")(t, d, a) })
	both(t, user("hello"), "words=1000", func(t *testing.T, d llm.Dialect, a answered) {
		if n := len(strings.Fields(a.text())); n != 1000 {
			t.Errorf("%d words", n)
		}
	})
	// The header alone counts where there are both.
	both(t, user("hello [[rehearse: auth]]"), "text=from the header", says("from the header"))
	// Directives do not show in the answer, and those of an older turn are over.
	old := user("hello [[rehearse: auth]]")
	old.Items = append(old.Items, said(llm.Assistant, 1, "no"), said(llm.User, 2, "and now [[rehearse: words=3]]?"))
	both(t, old, "", says("The water runs"))
}

func TestBadDirectives(t *testing.T) {
	for _, s := range []string{"nonsense", "overloaded=x", "auth=1", "delay", "delay=", "delay=-1s", "delay=2h", "delay=NaN", "delay=1e300", "drip=soon", "cut=x", "cut=-1", "status=200", "status=600", "status=x",
		"overloaded; auth", "overloaded; status=500", "cut=1; cut=2", "after=3", "retry_after=3", "fail_first=2; overloaded", "key=a", "fail_first=2; key=a", "fail_first=0; key=a; auth", "fail_first=1;key=;auth",
		"error_in_stream=content_refused", "error_in_stream=", "malformed_upstream=xml", "client_gone", "words=0", "=3", "content_refused; retry_after=3"} {
		for _, d := range dialects {
			a := ask(t, provider(), d, user("hello"), s)
			if a.status != 400 || !bytes.Contains(a.body, []byte("x-headrace-rehearse: ")) {
				t.Errorf("%q on %s: %d %s", s, d, a.status, a.body)
			}
		}
	}
	for _, s := range []string{"", " ; , ;", "OVERLOADED", " overloaded ; retry_after = 3 "} {
		if _, err := parseOrders(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestEveryClassHasItsDirective: each class of a provider's answer can be
// rehearsed, or is refused with the reason.
func TestEveryClassHasItsDirective(t *testing.T) {
	ours := []llm.Class{llm.Unauthenticated, llm.Forbidden, llm.PolicyBlocked, llm.NotFound, llm.TooLarge, llm.Unsupported, llm.Unavailable}
	for _, c := range llm.Classes() {
		_, err := parseOrders(string(c))
		if possible := c != llm.ClientGone && !slices.Contains(ours, c); possible != (err == nil) {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestFailFirst(t *testing.T) {
	p := provider()
	status := func(directive string) int { return ask(t, p, llm.OpenAI, user("hello"), directive).status }
	for i, want := range []int{503, 503, 200, 200} {
		if got := status("overloaded; fail_first=2; key=one"); got != want {
			t.Errorf("request %d: %d", i+1, got)
		}
	}
	if got := status("overloaded; fail_first=1; key=two"); got != 503 {
		t.Errorf("another key: %d", got)
	}
	for i := range maxKeys { // push the first key out
		p.tally.next(fmt.Sprint(i))
	}
	if got := status("overloaded; fail_first=2; key=one"); got != 503 || p.tally.order.Len() != maxKeys || len(p.tally.by) != maxKeys {
		t.Errorf("a key that was forgotten: %d; %d keys", got, p.tally.order.Len())
	}
	// Spared, the answer is a good one in time and in full.
	a := ask(t, p, llm.OpenAI, user("hello"), "cut=3; delay=0.001; fail_first=1; key=three")
	b := ask(t, p, llm.OpenAI, user("hello"), "cut=3; delay=1h; fail_first=1; key=three; text=well")
	if a.err != io.ErrUnexpectedEOF || b.err != nil || b.text() != "well" {
		t.Errorf("%v, then %v %q", a.err, b.err, b.text())
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				p.tally.next("shared")
			}
		})
	}
	wg.Wait()
	if n := p.tally.next("shared"); n != 801 {
		t.Errorf("counted %d", n)
	}
}

func TestDelays(t *testing.T) {
	for _, c := range []struct {
		model, directive  string
		stream            bool
		head, first, last time.Duration // when the head, the first piece and the end are there
	}{
		{Quick, "", true, 0, 0, 0},
		{Steady, "", true, 0, 0, 2 * DefaultPause},
		{Steady, "", false, 0, 0, 0},
		{Quick, "delay=3s", false, 3 * time.Second, 3 * time.Second, 3 * time.Second},
		{Quick, "slow_start", true, 30 * time.Second, 30 * time.Second, 30 * time.Second},
		{Quick, "slow_start; delay=4", true, 4 * time.Second, 4 * time.Second, 4 * time.Second},
		{Quick, "hold=5s", true, 0, 5 * time.Second, 5 * time.Second},
		{Quick, "hold=5s", false, 5 * time.Second, 5 * time.Second, 5 * time.Second},
		{Quick, "drip=1s", true, 0, 0, 2 * time.Second},
		{Steady, "slow_stream", true, 0, 0, 4 * time.Second},
		{Quick, "delay=1s; hold=1s; drip=1s", true, time.Second, 2 * time.Second, 4 * time.Second},
	} {
		t.Run(c.model+" "+c.directive, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := provider()
				p.o.Pause = DefaultPause
				req := user("say exactly: a b c d e f g")
				req.Model, req.Stream = c.model, c.stream
				start := time.Now()
				resp, err := p.RoundTrip(request(t.Context(), llm.Anthropic, encode(req), c.directive))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				head := time.Since(start)
				first := time.Duration(-1)
				var all []byte
				buf := make([]byte, 4096)
				for {
					n, err := resp.Body.Read(buf)
					all = append(all, buf[:n]...)
					if first < 0 && bytes.Contains(all, []byte("a b c")) {
						first = time.Since(start)
					}
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if last := time.Since(start); head != c.head || first != c.first || last != c.last {
					t.Errorf("head after %s, first piece %s, end %s", head, first, last)
				}
			})
		})
	}
}

func TestTheClientLeaves(t *testing.T) {
	for _, directive := range []string{"timeout", "delay=1h", "timeout=1h", "hold=1h"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(errLeft) })
			start := time.Now()
			resp, err := provider().RoundTrip(request(ctx, llm.OpenAI, encode(user("hello")), directive))
			if err != errLeft || resp != nil || time.Since(start) != time.Minute {
				t.Errorf("%s: %v after %s", directive, err, time.Since(start))
			}
		})
	}
	for _, how := range []string{"close", "cancel"} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			req := user("hello")
			req.Stream = true
			resp, err := provider().RoundTrip(request(ctx, llm.OpenAI, encode(req), "words=1000; drip=1h"))
			if err != nil {
				t.Fatal(err)
			}
			want := errLeft
			time.AfterFunc(90*time.Minute, func() {
				if how == "close" {
					resp.Body.Close()
				} else {
					cancel(errLeft)
				}
			})
			if how == "close" {
				want = errClosed
			}
			start := time.Now()
			if _, err = io.Copy(io.Discard, resp.Body); err != want || time.Since(start) != 90*time.Minute {
				t.Errorf("%s: %v after %s", how, err, time.Since(start))
			}
			resp.Body.Close()
			resp.Body.Close()
		})
	}
}

func TestServeHTTP(t *testing.T) {
	srv := httptest.NewServer(provider())
	defer srv.Close()
	post := func(path, directive string, req llm.Request) (*http.Response, []byte, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path, bytes.NewReader(encode(req)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(Header, directive)
		resp, err := srv.Client().Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp, b, err
	}
	req := user("hello")
	resp, b, err := post("/v1/messages", "", req)
	if err != nil || resp.StatusCode != 200 || !bytes.Contains(b, []byte("not a model")) || resp.ContentLength != int64(len(b)) {
		t.Errorf("%v %v %s", resp, err, b)
	}
	req.Stream = true
	if resp, b, err = post("/any/prefix/v1/chat/completions", "", req); err != nil || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || !bytes.Contains(b, []byte("finish")) {
		t.Errorf("%v %v %s", resp, err, b)
	}
	if _, b, err = post("/v1/messages", "cut=20", req); err == nil || len(b) != 20 {
		t.Errorf("a cut: %v after %q", err, b)
	}
	if resp, b, err = post("/v1/nonsense", "", req); err != nil || resp.StatusCode != 404 {
		t.Errorf("%v %v %s", resp, err, b)
	}
	get, err := srv.Client().Get(srv.URL + "/v1/messages")
	if err != nil {
		t.Fatal(err)
	}
	defer get.Body.Close()
	if get.StatusCode != 405 || get.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %v", get)
	}
	// A client that leaves during a silence takes its handler along: Close
	// waits for it.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/v1/messages", bytes.NewReader(encode(req)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(Header, "timeout")
	if resp, err := srv.Client().Do(r); err == nil {
		resp.Body.Close()
		t.Error("a timeout has answered")
	}
}

func TestBadRequests(t *testing.T) {
	p := New(Options{MaxBody: 100, Codecs: map[llm.Dialect]Codec{llm.OpenAI: wordCodec{llm.OpenAI}}})
	for _, c := range []struct {
		dialect llm.Dialect
		body    string
		want    int
	}{{llm.OpenAI, `{"Model":`, 400}, {llm.OpenAI, ``, 400}, {llm.OpenAI, strings.Repeat(" ", 101), 413}, {llm.Anthropic, `{}`, 404}} {
		resp, err := p.RoundTrip(request(t.Context(), c.dialect, []byte(c.body), ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%q on %s: %d, not %d", c.body, c.dialect, resp.StatusCode, c.want)
		}
	}
}

func FuzzParseOrders(f *testing.F) {
	for _, s := range []string{"overloaded", "rate_limited; retry_after=3", "delay=3s, drip=1s", "error_in_stream=overloaded,after=2", "text=a;b", "fail_first=2; key=x; cut=10", "[[;]]=,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrders(s)
		if err == nil && (o.delay < 0 || o.delay > maxDuration || o.drip < 0 || o.drip > maxDuration || o.cut < -1 || o.after < 0 || o.words < 0) {
			t.Errorf("%q gives %+v", s, o)
		}
	})
}
