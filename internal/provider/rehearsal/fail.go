package rehearsal

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
)

// vendorError is how a vendor says that something is wrong. Messages may hold
// one %s, which is the model. details is the raw details object of Anthropic's
// form.
type vendorError struct {
	status      int
	typ, code   string
	param       string
	message     string
	details     string
	shouldRetry string // x-should-retry, where the vendor sends it
}

// vendorErrors are the words of the two vendors by class: recorded ones where
// there is a recording (401, 404, context length; read 2026-11), else from
// their published error tables and SDKs.
var vendorErrors = map[llm.Dialect]map[llm.Class]vendorError{
	llm.Anthropic: {
		llm.RateLimited: {status: 429, typ: "rate_limit_error",
			message: "This request would exceed your organization's rate limit of 50 requests per minute (model: %s). For details, refer to: https://docs.claude.com/en/api/rate-limits."},
		llm.QuotaExhausted: {status: 429, typ: "rate_limit_error", details: `{"error_code":"enforced_spend_limit_reached"}`,
			message: "You have reached your specified API usage limits. You will regain access on the first day of next month at 00:00 UTC."},
		llm.Overloaded:      {status: 529, typ: "overloaded_error", message: "Overloaded", shouldRetry: "true"},
		llm.ServerError:     {status: 500, typ: "api_error", message: "Internal server error", shouldRetry: "true"},
		llm.Timeout:         {status: 504, typ: "timeout_error", message: "Request timed out"},
		llm.ContextOverflow: {status: 400, typ: "invalid_request_error", message: "prompt is too long: 1048577 tokens > 1000000 maximum", shouldRetry: "false"},
		llm.InvalidRequest:  {status: 400, typ: "invalid_request_error", message: "messages.0: Input does not match the expected shape.", shouldRetry: "false"},
		llm.Auth:            {status: 401, typ: "authentication_error", message: "invalid x-api-key", shouldRetry: "false"},
		llm.ModelNotFound:   {status: 404, typ: "not_found_error", message: "model: %s", shouldRetry: "false"},
	},
	llm.OpenAI: {
		llm.RateLimited: {status: 429, typ: "requests", code: "rate_limit_exceeded",
			message: "Rate limit reached for %s in organization org-rehearsal on requests per min (RPM): Limit 500, Used 500, Requested 1. Visit https://platform.openai.com/account/rate-limits to learn more."},
		llm.QuotaExhausted: {status: 429, typ: "insufficient_quota", code: "insufficient_quota",
			message: "You exceeded your current quota, please check your plan and billing details. For more information on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."},
		llm.Overloaded: {status: 503, typ: "service_unavailable_error", code: "server_is_overloaded",
			message: "Our servers are currently overloaded. Please try again later."},
		llm.ServerError: {status: 500, typ: "server_error",
			message: "The server had an error while processing your request. Sorry about that!"},
		llm.Timeout: {status: 504, typ: "server_error", code: "timeout", message: "Request timed out."},
		llm.ContextOverflow: {status: 400, typ: "invalid_request_error", param: "messages", code: "context_length_exceeded",
			message: "This model's maximum context length is 1000000 tokens. However, your messages resulted in 1048577 tokens. Please reduce the length of the messages."},
		llm.InvalidRequest: {status: 400, typ: "invalid_request_error", param: "messages[0].content", code: "invalid_value",
			message: "Invalid value for 'messages[0].content': this request was refused because the rehearsal was asked to."},
		llm.Auth: {status: 401, typ: "invalid_request_error", code: "invalid_api_key",
			message: "Incorrect API key provided: rehearsal. You can find your API key at https://platform.openai.com/account/api-keys."},
		llm.ModelNotFound: {status: 404, typ: "invalid_request_error", code: "model_not_found",
			message: "The model `%s` does not exist or you do not have access to it."},
	},
}

// statusTypes are the error types by status where no class gives them
// (Anthropic errors page, OpenAI error codes; read 2026-11).
var statusTypes = map[llm.Dialect]map[int]string{
	llm.Anthropic: {402: "billing_error", 403: "permission_error", 404: "not_found_error", 409: "conflict_error", 413: "request_too_large"},
	llm.OpenAI:    {},
}

// classOf says which class's words go with a bare status.
func classOf(status int) llm.Class {
	switch {
	case status == 401:
		return llm.Auth
	case status == 429:
		return llm.RateLimited
	case status == 408 || status == 504:
		return llm.Timeout
	case status == 503 || status == 529:
		return llm.Overloaded
	case status >= 500:
		return llm.ServerError
	}
	return llm.InvalidRequest
}

// fail answers as the orders say, when they say that there is no good answer;
// nil, nil when there is one.
func (c *call) fail() (*http.Response, error) {
	o := &c.orders
	switch {
	case o.class == llm.Timeout:
		if o.silence == 0 && !inBatch(c.ctx) {
			<-c.ctx.Done()
			return nil, context.Cause(c.ctx)
		}
		if err := wait(c.ctx, nil, o.silence); err != nil {
			return nil, err
		}
		return c.failWith(llm.Timeout), nil
	case o.status != 0:
		return c.failStatus(), nil
	case o.class != "" && o.class != llm.ContentRefused:
		return c.failWith(o.class), nil
	case o.malformed != "":
		return c.malformed(), nil
	case o.inStream != "" && !c.stream:
		return c.failWith(o.inStream), nil // a whole answer has no inside
	}
	return nil, nil
}

// failWith answers with the vendor's own error of a class.
func (c *call) failWith(class llm.Class) *http.Response {
	return c.failAs(class, vendorErrors[c.dialect][class])
}

func (c *call) failStatus() *http.Response {
	status := c.orders.status
	class := classOf(status)
	v := vendorErrors[c.dialect][class]
	v.status = status
	if class == llm.InvalidRequest {
		v.param, v.code, v.shouldRetry = "", "", ""
		v.message = fmt.Sprintf("The rehearsal was asked for status %d (%s).", status, http.StatusText(status))
	}
	if t := statusTypes[c.dialect][status]; t != "" {
		v.typ = t
	}
	return c.failAs(class, v)
}

func (c *call) failAs(class llm.Class, v vendorError) *http.Response {
	h := http.Header{}
	if v.shouldRetry != "" {
		h.Set("X-Should-Retry", v.shouldRetry)
	}
	after := c.orders.retryAfter
	if class == llm.RateLimited {
		if after == 0 {
			after = defaultRetryAfter
		}
		// No reset time in Anthropic's form: it is a date, and there is no clock.
		if c.dialect == llm.Anthropic {
			h.Set("Anthropic-Ratelimit-Requests-Limit", "50")
			h.Set("Anthropic-Ratelimit-Requests-Remaining", "0")
		} else {
			h.Set("X-Ratelimit-Limit-Requests", "500")
			h.Set("X-Ratelimit-Remaining-Requests", "0")
			h.Set("X-Ratelimit-Reset-Requests", after.String())
		}
	}
	if after > 0 {
		if after%time.Second != 0 {
			h.Set("Retry-After-Ms", strconv.FormatInt(after.Milliseconds(), 10))
		}
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(after.Seconds())), 10))
	}
	return c.send(v.status, "application/json", c.vendorBody(v), h)
}

// message gives the words of a failure: the ones asked for by text=, else the
// vendor's.
func (c *call) message(v vendorError) string {
	if c.orders.hasText {
		return c.orders.text
	}
	return strings.ReplaceAll(v.message, "%s", c.model)
}

// vendorBody writes an error body in the vendor's form.
func (c *call) vendorBody(v vendorError) []byte {
	message := quote(c.message(v))
	if c.dialect == llm.Anthropic {
		b := append([]byte(`{"type":"error","error":{"type":`), quote(v.typ)...)
		b = append(append(b, `,"message":`...), message...)
		if v.details != "" {
			b = append(append(b, `,"details":`...), v.details...)
		}
		b = append(append(b, `},"request_id":`...), quote(c.requestID())...)
		return append(b, '}')
	}
	b := append([]byte("{\n  \"error\": {\n    \"message\": "), message...)
	b = append(append(b, ",\n    \"type\": "...), quote(v.typ)...)
	b = append(append(b, ",\n    \"param\": "...), orNull(v.param)...)
	b = append(append(b, ",\n    \"code\": "...), orNull(v.code)...)
	return append(b, "\n  }\n}\n"...)
}

func orNull(s string) []byte {
	if s == "" {
		return []byte("null")
	}
	return quote(s)
}

const htmlPage = `<!DOCTYPE html>
<html><head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>rehearsal</center></body></html>
`

// malformed answers with status 200 and something that is no answer; nil for a
// stream that only breaks later.
func (c *call) malformed() *http.Response {
	switch c.orders.malformed {
	case "html":
		return c.send(http.StatusOK, "text/html; charset=utf-8", []byte(htmlPage), nil)
	case "empty":
		return c.send(http.StatusOK, "application/json", nil, nil)
	case "frame":
		if c.stream {
			return nil
		}
	}
	return c.json(http.StatusOK, append([]byte(`{"id":"`+c.answerID()+`","model":`), append(quote(c.model), `,"usage":{"`...)...))
}
