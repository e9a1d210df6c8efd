package gemini

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// maxErrorBody is how much of a provider's error body is kept.
const maxErrorBody = 64 << 10

// shape is how a class looks to a client of this dialect.
type shape struct {
	status int
	word   string
	// verbatim: a provider's own body of this dialect goes back unchanged.
	verbatim bool
}

// shapes has a row for every class.
var shapes = map[llm.Class]shape{
	llm.RateLimited:       {429, "RESOURCE_EXHAUSTED", true},
	llm.QuotaExhausted:    {429, "RESOURCE_EXHAUSTED", false}, // the operator's account is not the client's business
	llm.Overloaded:        {503, "UNAVAILABLE", true},
	llm.ServerError:       {500, "INTERNAL", true},
	llm.Timeout:           {504, "DEADLINE_EXCEEDED", true},
	llm.SlowStart:         {504, "DEADLINE_EXCEEDED", false},
	llm.SlowStream:        {504, "DEADLINE_EXCEEDED", false},
	llm.ContentRefused:    {400, "INVALID_ARGUMENT", true},
	llm.ContextOverflow:   {400, "INVALID_ARGUMENT", true},
	llm.InvalidRequest:    {400, "INVALID_ARGUMENT", true},
	llm.Auth:              {502, "INTERNAL", false}, // our credential was refused, not the client's
	llm.ModelNotFound:     {404, "NOT_FOUND", true},
	llm.ClientGone:        {499, "CANCELLED", false},
	llm.MalformedUpstream: {502, "INTERNAL", false},
	llm.Unauthenticated:   {401, "UNAUTHENTICATED", false},
	llm.Forbidden:         {403, "PERMISSION_DENIED", true},
	llm.PolicyBlocked:     {400, "INVALID_ARGUMENT", true},
	llm.NotFound:          {404, "NOT_FOUND", false},
	llm.TooLarge:          {413, "INVALID_ARGUMENT", true},
	llm.Unsupported:       {400, "INVALID_ARGUMENT", false},
	llm.Unavailable:       {503, "UNAVAILABLE", false},
}

func shapeOf(c llm.Class) shape {
	s, ok := shapes[c]
	if !ok {
		s = shape{500, "INTERNAL", false}
	}
	return s
}

// EncodeError writes an error for a client of this dialect. A provider's own
// body of this dialect goes back as it came where the class allows it.
func (Codec) EncodeError(e *llm.Error) (status int, body []byte) {
	s := shapeOf(e.Class)
	if verbatim(e, s) {
		if e.Status >= 400 && e.Status <= 599 {
			s.status = e.Status
		}
		return s.status, e.Body
	}
	return s.status, appendError(nil, e, s)
}

// verbatim reports whether the provider's body can go back as it came.
func verbatim(e *llm.Error, s shape) bool {
	return s.verbatim && e.From == llm.Gemini && len(e.Body) > 0 && validJSON(e.Body) && text(get(get(e.Body, "error"), "message")) != ""
}

func appendError(b []byte, e *llm.Error, s shape) []byte {
	b = append(b, `{"error":{"code":`...)
	b = strconv.AppendInt(b, int64(s.status), 10)
	b = span.Quote(key(b, "message"), told(e))
	b = span.Quote(key(b, "status"), s.word)
	if e.RetryAfter > 0 {
		b = append(key(b, "details"), `[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"`...)
		b = strconv.AppendFloat(b, e.RetryAfter.Seconds(), 'f', -1, 64)
		b = append(b, `s"}]`...)
	}
	return append(b, "}}"...)
}

// told is the message that the client reads.
func told(e *llm.Error) string {
	switch e.Class {
	case llm.Auth:
		s := "the provider refused the gateway's credential"
		if e.Provider != "" {
			s += " (" + e.Provider + ")"
		}
		return s
	case llm.ContextOverflow:
		if !overflow(strings.ToLower(e.Message)) {
			return "The input token count exceeds the maximum number of tokens allowed: " + e.Message
		}
	}
	if e.Message == "" {
		return strings.ReplaceAll(string(e.Class), "_", " ")
	}
	return e.Message
}

// AppendStreamError writes what ends a stream badly; nothing may follow it. In
// an event stream that is the bare JSON of the error, which Google's SDKs look
// for, and no blank line: the JavaScript SDK overlooks a bare event that it has
// read together with the one before it, and fails at what is left unfinished
// (@google/genai 2.32.0, 2026-11). Its Go SDK took an error behind "data:" for
// an empty answer until 2026. In an array, to which something has been written,
// it is the last element.
func (c Codec) AppendStreamError(dst []byte, e *llm.Error) []byte {
	return appendStreamError(dst, e, c.Array, true)
}

func appendStreamError(dst []byte, e *llm.Error, array, begun bool) []byte {
	s := shapeOf(e.Class)
	switch {
	case !array:
	case begun:
		dst = append(dst, ",\r\n"...)
	default:
		dst = append(dst, '[')
	}
	if verbatim(e, s) {
		dst = flat(dst, trim(e.Body))
	} else {
		dst = appendError(dst, e, s)
	}
	if array {
		dst = append(dst, ']')
	}
	return dst
}

// statusOf is the status of an error word, for errors that came under 200.
var statusOf = map[string]int{
	"INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400,
	"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "ALREADY_EXISTS": 409,
	"RESOURCE_EXHAUSTED": 429, "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500,
	"UNIMPLEMENTED": 501, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504,
}

// streamError is the error that came inside a 200: as a frame or as the whole
// body.
func streamError(data []byte) *llm.Error { return Codec{}.DecodeError(0, nil, data) }

// overflow finds the texts that say that the prompt does not fit; message is
// in lower case.
func overflow(message string) bool {
	return strings.Contains(message, "input token count") && (strings.Contains(message, "exceed") || strings.Contains(message, "only supports up to")) ||
		strings.Contains(message, "exceeds the maximum number of tokens") ||
		strings.Contains(message, "exceeds the maximum number of input tokens") ||
		strings.Contains(message, "input context is too long")
}

// DecodeError reads a provider's error answer: Google's envelope, the same in
// an array, or something that is no JSON at all. status 0 means that it came
// inside a 200, and is filled by the word or code in the body. The class
// follows the word first, then the status, then the wording; what Google says
// about waiting stands in its details.
func (Codec) DecodeError(status int, h http.Header, body []byte) *llm.Error {
	e := &llm.Error{Status: status, From: llm.Gemini, ContentType: h.Get("Content-Type"), RetryAfter: retryAfter(h)}
	if len(body) > maxErrorBody {
		body = body[:maxErrorBody]
	}
	e.Body = append([]byte(nil), body...)
	d := readError(e, body)
	if e.Message == "" {
		e.Message = excerpt(body)
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	if e.Status == 0 {
		e.Status = statusOf[e.Type]
		if n, err := strconv.Atoi(e.Code); e.Status == 0 && err == nil && n >= 400 && n <= 599 {
			e.Status = n
		}
		if e.Status == 0 {
			e.Status = 500
		}
	}
	e.Class = classOf(e, &d)
	if d.reason != "" {
		e.Code = d.reason
	}
	if e.Class == llm.ContentRefused {
		e.Refused = llm.Refused{Phase: llm.RefusedPrompt, Category: cmp.Or(llm.CategoryIn(e.Code), llm.CategoryIn(e.Type))}
	}
	return e
}

// details are what the details of an error say.
type details struct {
	// reason is that of google.rpc.ErrorInfo.
	reason string
	// quotas says that quotas are named; daily that one of them is of the day
	// or longer.
	quotas, daily bool
}

// readError finds code, status and message in the shapes that are about.
func readError(e *llm.Error, body []byte) (d details) {
	b := trim(body)
	if kindOf(b) == '[' { // the OpenAI-compatible endpoints wrap it so
		a := span.ReadArray(b)
		if !a.Next() {
			return d
		}
		b = a.Val
	}
	v := get(b, "error")
	if s, ok := str(v); ok {
		e.Message = s
		if s := text(get(b, "error_description")); s != "" { // OAuth
			e.Message += ": " + s
		}
		return d
	}
	for o := span.ReadObject(v); o.Next(); {
		switch string(o.Name) {
		case "message":
			e.Message = text(o.Val)
		case "status":
			e.Type = text(o.Val)
		case "code":
			if s, ok := str(o.Val); ok {
				e.Code = s
			} else if !isNull(o.Val) {
				e.Code = string(o.Val)
			}
		case "details":
			for a := span.ReadArray(o.Val); a.Next(); {
				d.read(e, a.Val)
			}
		}
	}
	return d
}

func (d *details) read(e *llm.Error, v []byte) {
	switch typ := text(get(v, "@type")); {
	case strings.HasSuffix(typ, "RetryInfo"):
		if wait, err := time.ParseDuration(text(get(v, "retryDelay"))); err == nil && wait > 0 {
			e.RetryAfter = wait
		}
	case strings.HasSuffix(typ, "ErrorInfo"):
		d.reason = text(get(v, "reason"))
		if limit := text(get(get(v, "metadata"), "quota_limit")); limit != "" {
			d.quota(limit)
		}
	case strings.HasSuffix(typ, "QuotaFailure"):
		for a := span.ReadArray(get(v, "violations")); a.Next(); {
			d.quota(text(get(a.Val, "quotaId")) + " " + text(get(a.Val, "quotaMetric")) + " " + text(get(a.Val, "subject")))
		}
	case strings.HasSuffix(typ, "BadRequest"):
		for a := span.ReadArray(get(v, "fieldViolations")); a.Next() && e.Param == ""; {
			e.Param = text(get(a.Val, "field"))
		}
	}
}

func (d *details) quota(name string) {
	d.quotas = true
	low := strings.ToLower(name)
	d.daily = d.daily || strings.Contains(low, "perday") || strings.Contains(low, "per_day") || strings.Contains(low, "permonth") || strings.Contains(low, "per_month")
}

// classOf decides the class of an error whose word, code and message are read.
func classOf(e *llm.Error, d *details) llm.Class {
	m := strings.ToLower(e.Message)
	switch d.reason {
	case "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED", "API_KEY_EXPIRED", "SERVICE_DISABLED", "CONSUMER_INVALID", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING":
		return llm.Auth
	case "BILLING_DISABLED":
		return llm.QuotaExhausted
	}
	word := e.Type
	if word == "" {
		for w, s := range map[string]int{"RESOURCE_EXHAUSTED": 429, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "UNAVAILABLE": 503, "DEADLINE_EXCEEDED": 504, "UNIMPLEMENTED": 501} {
			if s == e.Status {
				word = w
			}
		}
	}
	switch word {
	case "RESOURCE_EXHAUSTED":
		switch {
		case d.daily, strings.Contains(m, "spending cap"), strings.Contains(m, "credits are depleted"),
			!d.quotas && e.RetryAfter == 0 && strings.Contains(m, "billing"):
			return llm.QuotaExhausted
		}
		return llm.RateLimited
	case "UNAUTHENTICATED", "PERMISSION_DENIED":
		return llm.Auth
	case "NOT_FOUND":
		if strings.Contains(m, "cache content") || strings.Contains(m, "cached content") || strings.Contains(m, "cachedcontent") || strings.Contains(m, "file") {
			return llm.InvalidRequest
		}
		return llm.ModelNotFound
	case "UNAVAILABLE":
		return llm.Overloaded
	case "DEADLINE_EXCEEDED":
		return llm.Timeout
	case "UNIMPLEMENTED":
		return llm.Unsupported
	case "CANCELLED", "INTERNAL", "UNKNOWN", "ABORTED", "DATA_LOSS":
		if e.Status < 500 && overflow(m) {
			return llm.ContextOverflow
		}
		return llm.ServerError
	case "FAILED_PRECONDITION":
		// The account's place or its billing is not the request's fault.
		if strings.Contains(m, "location is not supported") || strings.Contains(m, "billing") {
			return llm.Auth
		}
	}
	if e.Status < 500 && overflow(m) {
		return llm.ContextOverflow
	}
	switch e.Status {
	case 402:
		return llm.QuotaExhausted
	case 407:
		return llm.Auth
	case 408:
		return llm.Timeout
	case 409, 499:
		return llm.ServerError
	case 413:
		return llm.TooLarge
	case 529:
		return llm.Overloaded
	}
	switch {
	case e.Status >= 500:
		return llm.ServerError
	case e.Status < 400:
		return llm.MalformedUpstream
	case strings.Contains(m, "api key not valid") || strings.Contains(m, "api key expired"):
		return llm.Auth
	case strings.Contains(m, "responsible ai") || strings.Contains(m, "sensitive words") || strings.Contains(m, "blocked by") && strings.Contains(m, "safety"):
		return llm.ContentRefused
	}
	return llm.InvalidRequest
}

// retryAfter reads how long to wait. A date is measured against the answer's
// own Date, since this package reads no clock.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if s > 0 && s < 1e9 {
			return time.Duration(s * float64(time.Second))
		}
		return 0
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}

// excerpt shows a little of a body that is not what it should be: one line of
// printable text.
func excerpt(body []byte) string {
	const most = 200
	s := strings.ToValidUTF8(string(body[:min(len(body), 4*most)]), "?")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > most {
		cut := most
		for cut > 0 && s[cut]&0xc0 == 0x80 {
			cut--
		}
		s = s[:cut] + "..."
	}
	return s
}
