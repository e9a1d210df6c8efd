package rehearsal

import (
	"container/list"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Header is the request header that carries directives. Its value has the
// same grammar as what stands in [[rehearse: ...]] in the last user text.
const Header = "X-Headrace-Rehearse"

// orders is what directives ask for; the zero value but for cut asks nothing.
type orders struct {
	// class is the failure to answer with; "" none.
	class llm.Class
	// status answers with this status, whatever the class; 0 unsaid.
	status int
	// silence is how long a timeout lasts before the 504; 0 is without end.
	silence time.Duration
	// malformed is "html", "json", "empty" or "frame".
	malformed string
	// inStream is the class of an error event inside a 200 stream.
	inStream llm.Class
	// after counts the pieces before inStream or before a refusal.
	after int

	retryAfter time.Duration
	delay      time.Duration // before the answer's head
	hold       time.Duration // before the first piece of content
	drip       time.Duration // between pieces
	cut        int64         // bytes of the body that arrive; -1 all
	text       string
	hasText    bool
	words      int

	failFirst int
	key       string
}

// fails reports whether the orders hold something to fail with.
func (o *orders) fails() bool {
	return o.class != "" || o.status != 0 || o.malformed != "" || o.inStream != "" || o.cut >= 0 || o.delay > 0 || o.hold > 0 || o.drip > 0
}

// spare takes the failures out and leaves what is asked of a good answer.
func (o *orders) spare() { *o = orders{cut: -1, text: o.text, hasText: o.hasText, words: o.words} }

// failures are the classes that a directive of the same name gives.
var failures = []llm.Class{llm.RateLimited, llm.QuotaExhausted, llm.Overloaded, llm.ServerError, llm.Timeout,
	llm.SlowStart, llm.SlowStream, llm.ContentRefused, llm.ContextOverflow, llm.InvalidRequest, llm.Auth,
	llm.ModelNotFound, llm.MalformedUpstream}

const (
	defaultRetryAfter = 2 * time.Second
	defaultDelay      = 30 * time.Second
	defaultDrip       = 2 * time.Second
	maxDuration       = time.Hour
	maxWords          = 100_000
	maxFailFirst      = 1_000
)

// parseOrders reads directives: names and name=value pairs with semicolons or
// commas between them. text= takes all that follows it. Errors are of class
// InvalidRequest and name what is wrong.
func parseOrders(s string) (orders, error) {
	o := orders{cut: -1}
	seen := map[string]bool{}
	var main string // the failure that was named
	fail := func(name string) error {
		if main != "" {
			return badOrder("%q and %q cannot be had together", main, name)
		}
		main = name
		return nil
	}
	for rest := s; strings.TrimSpace(rest) != ""; {
		rest = strings.TrimLeft(rest, " \t\r\n;,")
		var part string
		if at := strings.IndexAny(rest, ";,="); at >= 0 && rest[at] == '=' && strings.TrimSpace(rest[:at]) == "text" {
			part, rest = rest, ""
		} else if at := strings.IndexAny(rest, ";,"); at >= 0 {
			part, rest = rest[:at], rest[at+1:]
		} else {
			part, rest = rest, ""
		}
		name, value, has := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if name == "" {
			if has {
				return o, badOrder("there is no name before %q", "="+value)
			}
			continue
		}
		if seen[name] {
			return o, badOrder("%q stands twice", name)
		}
		seen[name] = true
		if err := o.take(name, value, has, fail); err != nil {
			return o, err
		}
	}
	return o, o.check(seen)
}

// take reads one directive.
func (o *orders) take(name, value string, has bool, fail func(string) error) (err error) {
	switch name {
	case "retry_after":
		o.retryAfter, err = duration(name, value)
	case "delay":
		o.delay, err = duration(name, value)
	case "hold":
		o.hold, err = duration(name, value)
	case "drip":
		o.drip, err = duration(name, value)
	case "cut":
		var n int
		n, err = number(name, value, 0, 1<<40)
		o.cut = int64(n)
	case "after":
		o.after, err = number(name, value, 0, maxWords)
	case "words":
		o.words, err = number(name, value, 1, maxWords)
	case "text":
		o.text, o.hasText = value, true
	case "status":
		if err = fail(name); err == nil {
			o.status, err = number(name, value, 300, 599)
		}
	case "fail_first":
		o.failFirst, err = number(name, value, 1, maxFailFirst)
	case "key":
		if o.key = value; value == "" || len(value) > 200 {
			err = badOrder("key wants 1 to 200 characters")
		}
	case "error_in_stream":
		class := llm.Class(value)
		if !has {
			class = llm.Overloaded
		}
		if !slices.Contains([]llm.Class{llm.Overloaded, llm.RateLimited, llm.QuotaExhausted, llm.ServerError, llm.Timeout,
			llm.InvalidRequest, llm.ContextOverflow, llm.Auth, llm.ModelNotFound}, class) {
			return badOrder("error_in_stream cannot be %q; it takes overloaded, rate_limited, quota_exhausted, server_error, timeout, invalid_request, context_overflow, auth or model_not_found", value)
		}
		o.inStream, err = class, fail(name)
	case "client_gone":
		return badOrder("client_gone is not something that a provider does: ask for drip=1s, then leave")
	default:
		class := llm.Class(name)
		if !slices.Contains(failures, class) {
			return badOrder("%q is not a directive; there are: %s", name, strings.Join(names(), ", "))
		}
		return o.takeClass(class, value, has, fail)
	}
	return err
}

// takeClass reads a directive that is named like an error class.
func (o *orders) takeClass(class llm.Class, value string, has bool, fail func(string) error) (err error) {
	switch class {
	case llm.SlowStart:
		if o.delay == 0 {
			o.delay = defaultDelay
		}
		if has {
			o.delay, err = duration(string(class), value)
		}
		return err
	case llm.SlowStream:
		if o.drip == 0 {
			o.drip = defaultDrip
		}
		if has {
			o.drip, err = duration(string(class), value)
		}
		return err
	case llm.MalformedUpstream:
		if o.malformed = value; !has {
			o.malformed = "html"
		}
		if !slices.Contains([]string{"html", "json", "empty", "frame"}, o.malformed) {
			return badOrder("malformed_upstream takes html, json, empty or frame, not %q", value)
		}
		return fail(string(class))
	case llm.Timeout:
		o.class = class
		if has {
			if o.silence, err = duration(string(class), value); err != nil {
				return err
			}
		}
		return fail(string(class))
	case llm.RateLimited, llm.Overloaded:
		o.class = class
		if has {
			if o.retryAfter, err = duration(string(class), value); err != nil {
				return err
			}
		}
		return fail(string(class))
	}
	if has {
		return badOrder("%s takes no value", class)
	}
	o.class = class
	return fail(string(class))
}

// check refuses what makes no sense together.
func (o *orders) check(seen map[string]bool) error {
	switch {
	case seen["after"] && o.inStream == "" && o.class != llm.ContentRefused:
		return badOrder("after belongs to error_in_stream or content_refused")
	case seen["retry_after"] && o.status == 0 && (o.class == "" || o.class == llm.ContentRefused):
		return badOrder("retry_after belongs to a failure with an error status")
	case seen["fail_first"] && o.key == "":
		return badOrder("fail_first needs key=..., a name of your own under which the requests are counted")
	case seen["key"] && o.failFirst == 0:
		return badOrder("key belongs to fail_first")
	case seen["fail_first"] && !o.fails():
		return badOrder("fail_first needs a failure beside it, such as overloaded")
	}
	return nil
}

func names() []string {
	out := []string{"status", "error_in_stream", "after", "retry_after", "delay", "hold", "drip", "cut", "text", "words", "fail_first", "key"}
	for _, c := range failures {
		out = append(out, string(c))
	}
	slices.Sort(out)
	return out
}

func badOrder(format string, args ...any) *llm.Error {
	e := llm.Errorf(llm.InvalidRequest, format, args...)
	e.Message = "x-headrace-rehearse: " + e.Message
	return e
}

// duration reads Go's spelling (1.5s, 300ms) or a bare number of seconds.
func duration(name, value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		seconds, bad := strconv.ParseFloat(value, 64)
		if bad != nil || seconds != seconds || seconds > maxDuration.Seconds() {
			return 0, badOrder("%s wants a duration such as 3s or 300ms, up to %s, not %q", name, maxDuration, value)
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	if d < 0 || d > maxDuration {
		return 0, badOrder("%s wants a duration from 0 to %s, not %q", name, maxDuration, value)
	}
	return d, nil
}

func number(name, value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, badOrder("%s wants a whole number from %d to %d, not %q", name, low, high, value)
	}
	return n, nil
}

var inText = regexp.MustCompile(`(?is)\[\[\s*rehearse\s*:(.*?)\]\]`)

// textOrders takes the directives out of a text: it gives them, joined, and
// the text without them.
func textOrders(text string) (directives, rest string) {
	var parts []string
	for _, m := range inText.FindAllStringSubmatch(text, -1) {
		parts = append(parts, m[1])
	}
	if parts == nil {
		return "", text
	}
	return strings.Join(parts, ";"), strings.TrimSpace(inText.ReplaceAllString(text, ""))
}

// tally counts requests by key, for fail_first. It remembers the keys used
// last and forgets the others. Safe for concurrent use; the zero value is
// ready.
type tally struct {
	mu    sync.Mutex // guards the rest
	by    map[string]*list.Element
	order list.List // of *tallied, last used in front
}

type tallied struct {
	key string
	n   int
}

// maxKeys is how many keys a tally remembers.
const maxKeys = 1024

// next counts one more request of the key and gives its number, from 1.
func (t *tally) next(key string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[string]*list.Element{}
	}
	e, ok := t.by[key]
	if !ok {
		e = t.order.PushFront(&tallied{key: key})
		t.by[key] = e
		if t.order.Len() > maxKeys {
			oldest := t.order.Back()
			t.order.Remove(oldest)
			delete(t.by, oldest.Value.(*tallied).key)
		}
	}
	t.order.MoveToFront(e)
	c := e.Value.(*tallied)
	c.n++
	return c.n
}
