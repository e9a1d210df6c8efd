package anthropic

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// maxErrorBody is how much of a provider's error body is kept.
const maxErrorBody = 64 << 10

// shape is how a class looks to a client of this dialect.
type shape struct {
	status int
	typ    string
	// verbatim: a provider's own body of this dialect goes back unchanged,
	// since Claude Code heals itself by its wording (claude-api 9.2).
	verbatim bool
}

// shapes has a row for every class (claude-api 4 and 9.3, 2026-11).
var shapes = map[llm.Class]shape{
	llm.RateLimited:       {429, "rate_limit_error", true},
	llm.QuotaExhausted:    {429, "billing_error", false}, // the operator's account is not the client's business
	llm.Overloaded:        {529, "overloaded_error", true},
	llm.ServerError:       {500, "api_error", true},
	llm.Timeout:           {504, "timeout_error", true},
	llm.SlowStart:         {504, "timeout_error", false},
	llm.SlowStream:        {504, "timeout_error", false},
	llm.ContentRefused:    {400, "invalid_request_error", true},
	llm.ContextOverflow:   {400, "invalid_request_error", true},
	llm.InvalidRequest:    {400, "invalid_request_error", true},
	llm.Auth:              {502, "api_error", false}, // our credential was refused, not the client's
	llm.ModelNotFound:     {404, "not_found_error", true},
	llm.ClientGone:        {499, "api_error", false},
	llm.MalformedUpstream: {502, "api_error", false},
	llm.Unauthenticated:   {401, "authentication_error", false},
	llm.Forbidden:         {403, "permission_error", true},
	llm.PolicyBlocked:     {400, "policy_blocked", false}, // Claude Code shows its message (claude-api 9.3)
	llm.NotFound:          {404, "not_found_error", false},
	llm.TooLarge:          {413, "request_too_large", true},
	llm.Unsupported:       {400, "invalid_request_error", false},
	llm.Unavailable:       {503, "api_error", false},
}

// EncodeError is EncodeErrorFor without a request id.
func (c Codec) EncodeError(e *llm.Error) (status int, body []byte) { return c.EncodeErrorFor(e, "") }

// EncodeErrorFor writes an error for a client of this dialect, with its
// request_id unless that is empty. A provider's own body of this dialect goes
// back as it came where the class allows it.
func (Codec) EncodeErrorFor(e *llm.Error, requestID string) (status int, body []byte) {
	s, ok := shapes[e.Class]
	if !ok {
		s = shape{500, "api_error", false}
	}
	if verbatim(e, s) {
		if e.Status >= 400 && e.Status <= 599 {
			s.status = e.Status
		}
		return s.status, e.Body
	}
	return s.status, appendError(nil, e, s, requestID)
}

// verbatim reports whether the provider's body can go back as it came.
func verbatim(e *llm.Error, s shape) bool {
	if e.Class == llm.ContextOverflow && !magic(e.Message) {
		return false
	}
	return s.verbatim && e.From == llm.Anthropic && len(e.Body) > 0 && validJSON(e.Body) &&
		text(get(e.Body, "type")) == "error" && text(get(get(e.Body, "error"), "type")) != ""
}

func appendError(b []byte, e *llm.Error, s shape, requestID string) []byte {
	b = append(b, `{"type":"error","error":{"type":`...)
	b = span.Quote(b, s.typ)
	b = span.Quote(key(b, "message"), told(e))
	b = append(b, '}')
	if requestID != "" {
		b = span.Quote(key(b, "request_id"), requestID)
	}
	return append(b, '}')
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
		// Claude Code compacts when it reads one of these.
		if !magic(e.Message) {
			return "prompt is too long: " + e.Message
		}
	}
	if e.Message == "" {
		return strings.ReplaceAll(string(e.Class), "_", " ")
	}
	return e.Message
}

// AppendStreamError writes the event that ends a stream badly; nothing may
// follow it.
func (Codec) AppendStreamError(dst []byte, e *llm.Error) []byte {
	s, ok := shapes[e.Class]
	if !ok {
		s = shape{500, "api_error", false}
	}
	if verbatim(e, s) {
		return sse.AppendEvent(dst, "error", e.Body)
	}
	return sse.AppendEvent(dst, "error", appendError(nil, e, s, ""))
}

// statusOf is the status of an error type, for errors that came under 200.
var statusOf = map[string]int{
	"invalid_request_error": 400,
	"authentication_error":  401,
	"billing_error":         402,
	"permission_error":      403,
	"not_found_error":       404,
	"conflict_error":        409,
	"request_too_large":     413,
	"rate_limit_error":      429,
	"api_error":             500,
	"timeout_error":         504,
	"overloaded_error":      529,
}

// streamError is the error that came inside a 200: as a stream event or as
// the whole body. Its status is that of its type, 500 for an unknown one.
func streamError(data []byte) *llm.Error {
	return Codec{}.DecodeError(0, nil, data)
}

// magic finds the words by which Claude Code knows that it must compact
// (claude-api 4.2, 9.2): Anthropic's, Bedrock's and Vertex's.
func magic(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "prompt is too long") ||
		strings.Contains(m, "input length and `max_tokens` exceed context limit") ||
		strings.Contains(m, "input length and max_tokens exceed context limit") ||
		strings.HasPrefix(m, "input is too long")
}

// overflow finds the texts that say that the prompt does not fit: the magic
// ones, and what compatible vendors say (Moonshot, MiniMax, Z.ai, llama.cpp,
// vLLM, Ollama, DeepSeek; documentation and recordings of 2026).
func overflow(message string) bool {
	if magic(message) {
		return true
	}
	m := strings.ToLower(message)
	for _, s := range [...]string{"exceeded model token limit", "context window", "context length", "context size", "prompt exceeds max length", "input tokens exceeded", "prompt too long"} {
		if strings.Contains(m, s) {
			return true
		}
	}
	return false
}

// filtered finds the texts in which a filter says, under any status, that it
// refused the content; the message is in lower case. "Output blocked by content
// filtering policy" is Anthropic's own, the others are those of compatible
// vendors (DashScope, DeepSeek, Moonshot; 2026-11).
func filtered(m string) bool {
	for _, s := range [...]string{"content filtering policy", "content_filter", "inappropriate content", "data_inspection_failed", "content exists risk"} {
		if strings.Contains(m, s) {
			return true
		}
	}
	return false
}

// DecodeError reads a provider's error answer: Anthropic's envelope, Google's
// and Amazon's shapes that stand before it on the clouds, a bare string, or
// something that is no JSON at all. status 0 means that it came inside a 200,
// and is filled by the type. The class follows the type and error_code first,
// then the status, then the wording.
func (Codec) DecodeError(status int, h http.Header, body []byte) *llm.Error {
	e := &llm.Error{Status: status, From: llm.Anthropic, ContentType: h.Get("Content-Type")}
	if len(body) > maxErrorBody {
		body = body[:maxErrorBody]
	}
	e.Body = append([]byte(nil), body...)
	readError(e, body)
	if e.Message == "" {
		e.Message = excerpt(body)
	}
	if e.Message == "" {
		e.Message = http.StatusText(status)
	}
	if e.Status == 0 {
		e.Status = statusOf[e.Type]
		if e.Status == 0 {
			if n, err := strconv.Atoi(e.Code); err == nil && n >= 400 && n <= 599 {
				e.Status = n
			} else {
				e.Status = 500
			}
		}
	}
	e.Class = classOf(e)
	switch e.Class {
	case llm.ContentRefused:
		e.Refused = llm.Refused{Phase: llm.RefusedPrompt, Category: cmp.Or(llm.CategoryIn(e.Code), llm.CategoryIn(e.Type))}
		if strings.HasPrefix(strings.ToLower(e.Message), "output ") {
			e.Refused.Phase = llm.RefusedOutput
		}
	case llm.RateLimited:
		e.RetryAfter = llm.WaitIn(e.Message)
	}
	e.ReadHeader(h)
	return e
}

// readError finds type, code and message in the shapes that are about.
func readError(e *llm.Error, body []byte) {
	b := body[span.SkipSpace(body, 0):]
	if kindOf(b) == '[' { // Google wraps some errors in an array
		a := span.ReadArray(b)
		if !a.Next() {
			return
		}
		b = a.Val
	}
	for o := span.ReadObject(b); o.Next(); {
		switch string(o.Name) {
		case "error":
			if s, ok := str(o.Val); ok {
				e.Message = s
				continue
			}
			for in := span.ReadObject(o.Val); in.Next(); {
				switch string(in.Name) {
				case "type":
					e.Type = text(in.Val)
				case "message":
					e.Message = text(in.Val)
				case "status":
					if e.Type == "" {
						e.Type = text(in.Val)
					}
				case "code":
					if s, ok := str(in.Val); ok {
						e.Code = s
					} else if e.Code == "" {
						e.Code = string(in.Val)
					}
				case "param":
					e.Param = text(in.Val)
				case "details":
					if s := text(get(in.Val, "error_code")); s != "" {
						e.Code = s
					}
				}
			}
		case "message", "Message":
			if e.Message == "" {
				e.Message = text(o.Val)
			}
		case "detail":
			if e.Message == "" {
				e.Message = text(o.Val)
			}
		case "__type":
			e.Type = text(o.Val)
		}
	}
	if e.Code == "null" {
		e.Code = ""
	}
}

// codes are the error codes that decide by themselves (claude-api 4, 2026-11).
// Of the four kinds of 429, two have a code: a spend cap, which only the first
// of the next month ends, and a rise of traffic that was too sharp.
var codes = map[string]llm.Class{
	"enforced_spend_limit_reached":          llm.QuotaExhausted,
	"contract_spend_limit_reached":          llm.QuotaExhausted,
	"ramp_limit_exceeded":                   llm.RateLimited,
	"thread_not_found":                      llm.InvalidRequest,
	"file_expired":                          llm.InvalidRequest,
	"content_filter":                        llm.ContentRefused,
	"organization_on_hold":                  llm.Auth,
	"cmek_key_disabled":                     llm.Auth,
	"cmek_key_network_blocked":              llm.Auth,
	"compaction_unavailable":                llm.Overloaded,
	"request_body_too_large_after_decoding": llm.TooLarge,
}

// types are the error types that do.
var types = map[string]llm.Class{
	"billing_error":                llm.QuotaExhausted,
	"insufficient_balance_error":   llm.QuotaExhausted, // MiniMax
	"access_terminated_error":      llm.QuotaExhausted, // Moonshot
	"exceeded_current_quota_error": llm.QuotaExhausted,
	"overloaded_error":             llm.Overloaded,
	"timeout_error":                llm.Timeout,
	"authentication_error":         llm.Auth,
	"permission_error":             llm.Auth,
	"not_found_error":              llm.ModelNotFound,
	"request_too_large":            llm.TooLarge,
	"policy_blocked":               llm.ContentRefused,
	"content_filter":               llm.ContentRefused,
	// Amazon's names, which stand in x-amzn-errortype or in the stream.
	"throttlingexception":         llm.RateLimited,
	"modelnotreadyexception":      llm.Overloaded,
	"serviceunavailableexception": llm.Overloaded,
	"modeltimeoutexception":       llm.Timeout,
	"accessdeniedexception":       llm.Auth,
	"internalserverexception":     llm.ServerError,
	"modelerrorexception":         llm.ServerError,
	"modelstreamerrorexception":   llm.ServerError,
	"resourcenotfoundexception":   llm.ModelNotFound,
}

// spent reports whether a message says that an account's money is used up.
func spent(m string) bool {
	for _, s := range [...]string{"credit balance", "specified api usage limits", "spend limit", "insufficient balance"} {
		if strings.Contains(m, s) {
			return true
		}
	}
	return false
}

// classOf decides the class of an error whose type, code, message and status
// are known.
func classOf(e *llm.Error) llm.Class {
	m := strings.ToLower(e.Message)
	if c, ok := codes[e.Code]; ok {
		return c
	}
	if c, ok := types[strings.ToLower(e.Type)]; ok {
		return c
	}
	if e.Status < 500 && filtered(m) {
		return llm.ContentRefused
	}
	if (e.Status == 400 || e.Status == 429) && spent(m) {
		return llm.QuotaExhausted
	}
	if e.Type == "rate_limit_error" {
		return llm.RateLimited
	}
	if e.Status < 500 && e.Status != 429 && overflow(m) {
		return llm.ContextOverflow
	}
	switch e.Status {
	case 401, 403, 407:
		if strings.Contains(m, "access to the model") { // Bedrock
			return llm.ModelNotFound
		}
		return llm.Auth
	case 402:
		return llm.QuotaExhausted
	case 404:
		return llm.ModelNotFound
	case 408, 504:
		return llm.Timeout
	case 409:
		return llm.ServerError
	case 413:
		return llm.TooLarge
	case 429:
		return llm.RateLimited
	case 501:
		return llm.Unsupported
	case 503, 529:
		return llm.Overloaded
	}
	if e.Status >= 500 || e.Status == 424 {
		return llm.ServerError
	}
	if e.Status < 400 {
		return llm.MalformedUpstream
	}
	return llm.InvalidRequest
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
