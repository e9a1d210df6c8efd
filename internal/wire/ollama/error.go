package ollama

import (
	"bytes"
	"cmp"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// maxErrorBody is how much of an error body is kept.
const maxErrorBody = 64 << 10

// DecodeError reads an error answer: {"error":"text"}, and what stands in its
// place in front of some servers: {"error":{"message":...}}, plain text, a
// proxy's page.
func (Codec) DecodeError(status int, h http.Header, body []byte) *llm.Error {
	trimmed := jsontext.Value(bytes.TrimSpace(body))
	var e *llm.Error
	if len(trimmed) <= 1<<20 && span.Valid(trimmed) {
		e = errorIn(trimmed, status)
	}
	if e == nil {
		e = &llm.Error{Message: http.StatusText(status)}
		if len(trimmed) > 0 {
			e.Message = strings.TrimSpace(http.StatusText(status) + " " + excerpt(trimmed))
		}
		e.Class = classify(status, strings.ToLower(string(trimmed[:min(len(trimmed), 4096)])))
	}
	if e.Message == "" {
		if e.Message = http.StatusText(status); e.Message == "" {
			e.Message = "the provider gave no reason"
		}
	}
	e.Status = status
	e.From = llm.Ollama
	e.Body = bytes.Clone(body[:min(len(body), maxErrorBody)])
	if h != nil {
		e.ContentType = h.Get("Content-Type")
		if s, err := strconv.ParseFloat(strings.TrimSpace(h.Get("Retry-After")), 64); err == nil && s > 0 && !math.IsInf(s, 1) {
			e.RetryAfter = time.Duration(min(s, 1e9) * float64(time.Second))
		}
	}
	return e
}

// errorIn finds the error in a JSON value, or gives nil when there is none.
// status is that of the answer; under 200 it is a line of a stream, or an
// answer that failed after its head was sent.
func errorIn(raw jsontext.Value, status int) *llm.Error {
	e := &llm.Error{From: llm.Ollama}
	switch {
	case span.IsString(raw) && status >= 400:
		e.Message = span.Text(raw)
	case span.IsObject(raw):
		inner := span.Field(raw, "error")
		switch {
		case span.IsString(inner) && (span.Text(inner) != "" || status >= 400):
			e.Message = span.Text(inner)
		case span.IsObject(inner):
			e.Message, e.Type, e.Code = span.Text(span.Field(inner, "message")), span.Text(span.Field(inner, "type")), span.Text(span.Field(inner, "code"))
			if e.Message == "" {
				e.Message = excerpt(inner)
			}
		case status >= 400:
			if e.Message = span.Text(span.Field(raw, "message")); e.Message == "" {
				e.Message = excerpt(raw)
			}
		default:
			return nil
		}
		if status < 400 { // the cloud names the status in the line
			status = 0
			for _, name := range []string{"status_code", "StatusCode"} {
				if n, ok := span.Integer(span.Field(raw, name)); ok && n >= 400 && n < 600 {
					status = int(n)
				}
			}
			e.Status = status
		}
	default:
		return nil
	}
	e.Class = classify(status, strings.ToLower(e.Message+" "+e.Type+" "+e.Code))
	return e
}

func holds(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// classify decides what an error means, by its words where they are telling,
// else by the status. The words are those of Ollama's source (2026-08) and of
// threads about it.
func classify(status int, said string) llm.Class {
	ours := status == 0 || status == 400 || status == 413 || status == 422 || status == 500
	switch {
	case ours && holds(said, "exceeds the context length", "exceeds maximum context length", "context length exceeded", "context window",
		"exceeds the available context size", "exceed_context_size", "prompt is too long", "prompt too long", "no user query found"):
		// The last is a template whose user turn was cut off.
		return llm.ContextOverflow
	case (ours || status == 404) && strings.Contains(said, "model") && holds(said, "not found", "invalid model name", "try pulling it"):
		return llm.ModelNotFound
	case ours && holds(said, "timed out waiting", "deadline exceeded", "timeout"):
		return llm.Timeout
	case ours && holds(said, "server busy", "maximum pending requests", "overloaded"):
		return llm.Overloaded
	case (status == 0 || status == 402 || status == 403 || status == 429) && holds(said, "usage limit", "quota", "insufficient credit"):
		return llm.QuotaExhausted
	}
	switch status {
	case 0:
		switch {
		case holds(said, "unauthorized"):
			return llm.Auth
		case holds(said, "rate limit", "too many requests"):
			return llm.RateLimited
		}
		return llm.ServerError
	case 401:
		return llm.Auth
	case 402:
		return llm.QuotaExhausted
	case 403:
		if holds(said, "subscription", "upgrade", "model") { // the key is good, but not for this model
			return llm.ModelNotFound
		}
		return llm.Auth
	case 404:
		return llm.ModelNotFound
	case 408, 504, 522, 524:
		return llm.Timeout
	case 413: // a proxy before the provider
		return llm.TooLarge
	case 429:
		return llm.RateLimited
	case 499:
		return llm.ClientGone
	case 503, 529:
		return llm.Overloaded
	}
	if status >= 400 && status < 500 {
		return llm.InvalidRequest
	}
	return llm.ServerError
}

// form is how a class looks to a client of this dialect.
type form struct {
	status int
	back   bool // the provider's own status and body go back
}

// forms has a row for every class.
var forms = map[llm.Class]form{
	llm.Unauthenticated:   {401, false},
	llm.Forbidden:         {403, true},
	llm.PolicyBlocked:     {400, true},
	llm.NotFound:          {404, false},
	llm.ModelNotFound:     {404, true},
	llm.TooLarge:          {413, false},
	llm.RateLimited:       {429, true},
	llm.QuotaExhausted:    {429, false},
	llm.Overloaded:        {503, true},
	llm.ServerError:       {502, false},
	llm.Timeout:           {504, false},
	llm.SlowStart:         {504, false},
	llm.SlowStream:        {504, false},
	llm.ContextOverflow:   {400, true},
	llm.ContentRefused:    {400, true},
	llm.InvalidRequest:    {400, true},
	llm.Unsupported:       {400, false},
	llm.Auth:              {502, false},
	llm.MalformedUpstream: {502, false},
	llm.Unavailable:       {503, false},
	llm.ClientGone:        {499, false},
}

func formOf(e *llm.Error) form {
	if f, ok := forms[e.Class]; ok {
		return f
	}
	return form{502, false}
}

// EncodeError gives the status and the body with which a client of this
// dialect sees the error. The body of a provider of the same dialect goes back
// verbatim for the classes that are the client's to see; never for auth, which
// is about our credential, not the client's.
func (Codec) EncodeError(e *llm.Error) (status int, body []byte) {
	f := formOf(e)
	if f.back && e.From == llm.Ollama && e.Status >= 400 && e.Status < 600 && e.Status != 401 && e.Status != 402 && e.Status != 403 {
		status = e.Status
		raw := jsontext.Value(bytes.TrimSpace(e.Body))
		if len(raw) > 0 && len(e.Body) < maxErrorBody && span.Valid(raw) && span.IsString(span.Field(raw, "error")) {
			return status, e.Body
		}
		return status, appendError(nil, e)
	}
	return f.status, appendError(nil, e)
}

// appendError appends {"error":"text"}, in the words for which Ollama's
// clients look: a model that is "not found", an input that "exceeds the
// context length". What a provider says of our credential is not for them.
func appendError(dst []byte, e *llm.Error) []byte {
	said := e.Message
	lower := strings.ToLower(said)
	switch {
	case e.Class == llm.Auth:
		said = "the provider " + cmp.Or(e.Provider, "behind this model") + " refused the gateway's credential"
	case e.Class == llm.ModelNotFound && !strings.Contains(lower, "not found"):
		found := "model not found"
		if e.Model != "" {
			found = "model '" + e.Model + "' not found"
		}
		said = join(found, said)
	case e.Class == llm.ContextOverflow && !strings.Contains(lower, "exceeds the context length"):
		said = join("the input length exceeds the context length", said)
	case e.Class == llm.Unauthenticated && !strings.Contains(lower, "unauthorized"):
		said = join("unauthorized", said)
	case said == "":
		said = strings.ReplaceAll(string(e.Class), "_", " ")
	}
	dst = append(dst, `{"error":`...)
	dst = span.Quote(dst, said)
	return append(dst, '}')
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}

// AppendStreamError appends the line that ends a stream with an error.
func (Codec) AppendStreamError(dst []byte, e *llm.Error) []byte {
	return append(appendError(dst, e), '\n')
}
