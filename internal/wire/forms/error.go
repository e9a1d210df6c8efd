// Package forms holds the forms that OpenAI's two dialects have in common: the
// error, in the spellings of everything compatible, and the model list.
package forms

import (
	"bytes"
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

var errorKey = []byte(`"error"`)

// maxErrorBody is how much of an error body is kept.
const maxErrorBody = 64 << 10

// DecodeError reads an error answer in any of the forms that compatible
// vendors use: {error:{message,type,param,code}}, the same flat (Cerebras,
// Mistral), {error:"text"} (Ollama), {code,error:"text"} (xAI), {detail}
// (FastAPI servers), arrays of these (Vertex), numeric codes (OpenRouter,
// Perplexity), or no JSON at all.
func DecodeError(from llm.Dialect, status int, h http.Header, body []byte) *llm.Error {
	trimmed := jsontext.Value(bytes.TrimSpace(body))
	var e *llm.Error
	if len(trimmed) <= 1<<20 && span.Valid(trimmed) {
		e = ErrorIn(from, trimmed, status)
	}
	if e == nil {
		e = &llm.Error{Message: http.StatusText(status)}
		if len(trimmed) > 0 {
			e.Message = strings.TrimSpace(http.StatusText(status) + " " + Excerpt(trimmed))
		}
		if e.Class = classify(status, e, strings.ToLower(string(trimmed[:min(len(trimmed), 4096)]))); e.Class == llm.ContentRefused {
			e.Refused = refusedBy(e, nil)
		}
	}
	if e.Message == "" {
		e.Message = cmp.Or(http.StatusText(status), "the provider gave no reason")
	}
	e.Status = status
	e.From = from
	e.Body = bytes.Clone(body[:min(len(body), maxErrorBody)])
	e.ReadHeader(h)
	return e
}

// ErrorIn finds the error in a JSON value, or gives nil when there is none.
// status is that of the answer; under 200 only an unmistakable error counts.
func ErrorIn(from llm.Dialect, raw jsontext.Value, status int) *llm.Error {
	if span.IsArray(raw) {
		for _, first := range span.Elements(raw) {
			if e := ErrorIn(from, first, status); e != nil {
				return e
			}
			break
		}
		return nil
	}
	if span.IsString(raw) && status >= 400 {
		e := &llm.Error{From: from, Message: span.Text(raw)}
		e.Class = classify(status, e, strings.ToLower(e.Message))
		return e
	}
	if !span.IsObject(raw) {
		return nil
	}
	e := &llm.Error{From: from}
	loading := time.Duration(0)
	var inner, detail, base, choices jsontext.Value
	flat := map[string]jsontext.Value{}
	for k, v := range span.Fields(raw) {
		switch n := string(k); n {
		case "error":
			inner = v
		case "detail":
			detail = v
		case "base_resp":
			base = v
		case "choices":
			choices = v
		case "message", "type", "error_type", "param", "code", "object", "raw_status_code", "status_code", "status":
			flat[n] = v
		case "estimated_time": // Hugging Face, while a model is loaded
			if f, ok := span.Number(v); ok && status == http.StatusServiceUnavailable {
				loading = time.Duration(min(max(f, 0), 3600) * float64(time.Second))
			}
		}
	}
	hint := int64(0) // a status that the body itself names
	all := ""        // everything it says, for the search of telling words
	switch {
	case span.IsObject(inner):
		for k, v := range span.Fields(inner) {
			switch string(k) {
			case "message":
				e.Message = span.Text(v)
			case "type":
				e.Type = span.Word(v)
			case "param":
				e.Param = span.Text(v)
			case "code":
				e.Code = span.Word(v)
				if n, ok := span.Integer(v); ok {
					hint = n
				}
			case "status_code":
				hint = span.Count(v)
			case "status":
				if e.Type == "" {
					e.Type = span.Word(v)
				}
				if n, ok := span.Integer(v); ok {
					hint = n
				}
			case "error_type": // Cohere
				if e.Type == "" {
					e.Type = span.Word(v)
				}
			case "details":
				for _, d := range span.Elements(v) {
					if s := span.Text(span.Field(d, "retryDelay")); s != "" { // google.rpc.RetryInfo
						if delay, ok := llm.ParseWait(s); ok {
							e.RetryAfter = delay
						}
					}
					for _, q := range span.Elements(span.Field(d, "violations")) { // google.rpc.QuotaFailure
						all += " " + strings.ToLower(span.Text(span.Field(q, "quotaId")))
					}
				}
			case "metadata", "innererror":
				all += " " + strings.ToLower(string(v[:min(len(v), 8192)]))
			}
		}
		// OpenRouter gives what its provider said beside its own empty words.
		if s := span.Text(span.At(inner, "metadata", "raw")); s != "" && e.Message == "Provider returned error" {
			e.Message += ": " + Excerpt([]byte(s))
		}
		if e.Message == "" {
			e.Message = cmp.Or(span.Text(detail), Excerpt(inner))
		}
	case span.IsString(inner):
		if span.Text(inner) == "" && status < 400 {
			return nil
		}
		e.Message = span.Text(inner)
		e.Code = span.Word(flat["code"])
		if n, ok := span.Integer(flat["code"]); ok {
			hint = n
		}
	case detail != nil && !span.IsNull(detail) && choices == nil:
		e.Message = span.Text(detail)
		if e.Message == "" {
			e.Message = Excerpt(detail)
		}
	case span.IsObject(base) && span.Count(span.Field(base, "status_code")) != 0 && !span.IsArray(choices):
		e.Message = span.Text(span.Field(base, "status_msg"))
		e.Code = span.Word(span.Field(base, "status_code"))
		e.Class = minimax[e.Code]
	case status >= 400 || choices == nil && (span.Text(flat["object"]) == "error" || span.Text(flat["type"]) == "error" ||
		span.IsString(flat["message"]) && (flat["code"] != nil || flat["type"] != nil || flat["status_code"] != nil)):
		e.Message = span.Text(flat["message"])
		if e.Message == "" && flat["message"] != nil {
			e.Message = Excerpt(flat["message"])
		}
		e.Type, e.Code, e.Param = cmp.Or(span.Word(flat["type"]), span.Word(flat["error_type"])), span.Word(flat["code"]), span.Text(flat["param"])
		for _, v := range []jsontext.Value{flat["code"], flat["status"], flat["status_code"], flat["raw_status_code"]} {
			if n, ok := span.Integer(v); ok {
				hint = n
			}
		}
		if e.Message == "" {
			e.Message = Excerpt(raw)
		}
	default:
		return nil
	}
	if status < 400 {
		status = 0
		if hint >= 400 && hint < 600 {
			status = int(hint)
		}
		e.Status = status
	}
	if e.Class == "" {
		e.Class = classify(status, e, strings.ToLower(e.Message)+" "+all)
	}
	switch e.Class {
	case llm.ContentRefused:
		e.Refused = refusedBy(e, inner)
	case llm.RateLimited:
		if e.RetryAfter == 0 {
			e.RetryAfter = llm.WaitIn(e.Message)
		}
		// One request that is over the account's limit of a minute will never
		// fit (OpenAI, Groq).
		e.NoRepeat = strings.Contains(strings.ToLower(e.Message), "request too large")
	case llm.Overloaded:
		e.RetryAfter = loading
	}
	return e
}

// minimax maps base_resp.status_code (platform.minimax.io, 2026-08).
var minimax = map[string]llm.Class{
	"1000": llm.ServerError, "1001": llm.Timeout, "1002": llm.RateLimited, "1004": llm.Auth, "1008": llm.QuotaExhausted,
	"1013": llm.ServerError, "1024": llm.ServerError, "1026": llm.ContentRefused, "1027": llm.ContentRefused,
	"1033": llm.ServerError, "1039": llm.RateLimited, "1041": llm.RateLimited, "2013": llm.InvalidRequest, "2049": llm.Auth,
}

// words maps codes and types that decide by themselves, whatever the status.
var words = map[string]llm.Class{
	"context_length_exceeded":        llm.ContextOverflow,
	"exceed_context_size_error":      llm.ContextOverflow, // llama.cpp
	"model_context_window_exceeded":  llm.ContextOverflow,
	"too_many_tokens":                llm.ContextOverflow, // Cohere
	"insufficient_quota":             llm.QuotaExhausted,
	"billing_hard_limit_reached":     llm.QuotaExhausted,
	"billing_not_active":             llm.QuotaExhausted,
	"insufficient_balance":           llm.QuotaExhausted,
	"insufficient_credits":           llm.QuotaExhausted,
	"access_terminated":              llm.QuotaExhausted,
	"access_terminated_error":        llm.QuotaExhausted, // Moonshot
	"exceeded_current_quota_error":   llm.QuotaExhausted, // Moonshot
	"arrearage":                      llm.QuotaExhausted, // DashScope
	"credit_limit":                   llm.QuotaExhausted, // Together
	"rate_limit_exceeded":            llm.RateLimited,
	"rate_limit_error":               llm.RateLimited,
	"rate_limit_reached_error":       llm.RateLimited, // Moonshot
	"rate_limited":                   llm.RateLimited, // Mistral
	"ratelimitreached":               llm.RateLimited, // Azure
	"too_many_requests":              llm.RateLimited,
	"resource_exhausted":             llm.RateLimited,
	"requests":                       llm.RateLimited,
	"tokens":                         llm.RateLimited,
	"content_policy_violation":       llm.ContentRefused,
	"content_filter":                 llm.ContentRefused,
	"responsibleaipolicyviolation":   llm.ContentRefused,
	"invalid_prompt":                 llm.ContentRefused,
	"bio_policy":                     llm.ContentRefused,
	"misalignment_policy_violation":  llm.ContentRefused,
	"image_content_policy_violation": llm.ContentRefused,
	"moderation":                     llm.ContentRefused,
	"data_inspection_failed":         llm.ContentRefused, // DashScope
	"datainspectionfailed":           llm.ContentRefused,
	"model_not_found":                llm.ModelNotFound,
	"model_not_supported":            llm.ModelNotFound, // Hugging Face
	"model_decommissioned":           llm.ModelNotFound, // Groq
	"model_terms_required":           llm.ModelNotFound, // Groq
	"deploymentnotfound":             llm.ModelNotFound,
	"invalid_model":                  llm.ModelNotFound,
	"model_not_exist":                llm.ModelNotFound,
	"invalid_api_key":                llm.Auth,
	"wrong_api_key":                  llm.Auth, // Cerebras
	"invalid_authentication_error":   llm.Auth, // Moonshot
	"authentication_error":           llm.Auth,
	"unauthenticated":                llm.Auth,
	"permission_denied":              llm.Auth,
	"organization_restricted":        llm.Auth, // Groq
	"overloaded_error":               llm.Overloaded,
	"engine_overloaded":              llm.Overloaded,
	"engine_overloaded_error":        llm.Overloaded,
	"overloaded":                     llm.Overloaded,
	"queue_exceeded":                 llm.Overloaded, // Cerebras
	"unavailable":                    llm.Overloaded,
	"server_overloaded":              llm.Overloaded,
	"server_is_overloaded":           llm.Overloaded,
	"slow_down":                      llm.Overloaded,
	"invalid_image":                  llm.InvalidRequest,
	"invalid_image_format":           llm.InvalidRequest,
	"invalid_base64_image":           llm.InvalidRequest,
	"invalid_image_url":              llm.InvalidRequest,
	"image_too_large":                llm.InvalidRequest,
	"image_too_small":                llm.InvalidRequest,
	"image_parse_error":              llm.InvalidRequest,
	"invalid_image_mode":             llm.InvalidRequest,
	"image_file_too_large":           llm.InvalidRequest,
	"unsupported_image_media_type":   llm.InvalidRequest,
	"empty_image_file":               llm.InvalidRequest,
	"failed_to_download_image":       llm.InvalidRequest,
	"image_file_not_found":           llm.InvalidRequest,
	"tool_use_failed":                llm.InvalidRequest, // Groq: the model broke the tool's form
	"timeout":                        llm.Timeout,
	"deadline_exceeded":              llm.Timeout,
}

// overflows are how vendors say that a prompt is too long (recorded 2025 and
// 2026, and vendors' documentation).
var overflows = []string{"maximum context length", "context length exceeded", "context_length_exceeded", "context window",
	"exceeds the available context size", "exceeded max context length", "prompt too long", "prompt is too long",
	"too many tokens", "input is too long", "exceeds the maximum number of tokens", "exceed context limit",
	"maximum prompt length", "input length and `max_tokens`", "reduce the length of the messages", "input token count",
	"exceeded model token limit",                // Moonshot
	"range of input length",                     // DashScope
	"prompt exceeds max length",                 // Z.ai
	"longer than the model's context length",    // SGLang
	"context the overflows", "context overflow", // LM Studio
	"`inputs` tokens + `max_new_tokens`", // Together, Hugging Face
	"is too large to process",            // llama.cpp, embeddings
	"number of input tokens exceeds",     // Amazon's models
}

// refusals are how they say that they will not answer.
var refusals = []string{"content_filter", "content management policy", "content policy", "usage policies", "usage guidelines", "safety system",
	"flagged_input", "data_inspection_failed", "inappropriate content", "content exists risk", "moderation"}

// filters are those of them that no limit of a rate is told in: what is sent
// with 429 and says so is a refusal.
var filters = []string{"content_filter", "content management policy", "safety system", "data_inspection_failed", "inappropriate content", "content exists risk"}

// spent are how they say that an account's money or quota is used up, which
// waiting does not mend.
var spent = []string{"insufficient balance", "insufficient_quota", "credit balance", "monthly spending limit", "monthly included credits",
	"used all available credits", "any credits yet", "calls / month", "out of credits", "in arrears", "good standing",
	"weekly usage limit", "perday"}

// unknown are how they say that they have no such model.
var unknown = []string{"is not a valid model", "supported api model names", "model not exist", "model not found", "no models loaded"}

func holds(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

// classify decides what an error means: telling codes first, then telling
// words, then the status.
func classify(status int, e *llm.Error, said string) llm.Class {
	code, kind := strings.ToLower(e.Code), strings.ToLower(e.Type)
	clientSide := status == 0 || status == 400 || status == 413 || status == 422 || status == 500
	if clientSide && holds(said, overflows) {
		return llm.ContextOverflow
	}
	// DashScope means its limits of a minute (help.aliyun.com, 2026-11).
	pace := strings.Contains(said, "allocated quota exceeded")
	for _, w := range [...]string{code, kind} {
		c, ok := words[w]
		switch {
		case !ok:
		case status == 429 && c != llm.QuotaExhausted && c != llm.Overloaded && c != llm.RateLimited && c != llm.ContentRefused:
			// the status knows better than a word about something else
		case status == 429 && c == llm.RateLimited && !pace && holds(said, spent):
			return llm.QuotaExhausted
		case status == 403 && c == llm.RateLimited, pace && c == llm.QuotaExhausted:
		default:
			return c
		}
	}
	switch status {
	case 400, 422:
		switch {
		case holds(said, refusals):
			return llm.ContentRefused
		case strings.Contains(said, "api key") && (strings.Contains(said, "not valid") || strings.Contains(said, "invalid") || strings.Contains(said, "incorrect")):
			return llm.Auth
		case holds(said, unknown) || strings.Contains(said, "model") && strings.Contains(said, "does not exist"):
			return llm.ModelNotFound
		case holds(said, spent):
			return llm.QuotaExhausted
		case strings.Contains(said, "user location is not supported"): // Google
			return llm.Auth
		}
		return llm.InvalidRequest
	case 401:
		return llm.Auth
	case 402, 412: // 412: Fireworks, account suspended
		return llm.QuotaExhausted
	case 403:
		switch {
		case holds(said, refusals) || strings.Contains(said, "flagged"):
			return llm.ContentRefused
		case holds(said, spent) || strings.Contains(said, "quota") || strings.Contains(said, "key limit exceeded") || strings.Contains(said, "credits"):
			return llm.QuotaExhausted
		case strings.Contains(said, "model"): // the credential is good, but not for this model
			return llm.ModelNotFound
		}
		return llm.Auth
	case 404:
		return llm.ModelNotFound
	case 408, 504, 522, 524:
		return llm.Timeout
	case 409, 425:
		return llm.ServerError
	case 413: // a proxy before the provider
		return llm.TooLarge
	case 429:
		switch {
		case pace:
		case holds(said, filters) && !strings.Contains(said, "rate limit"):
			return llm.ContentRefused
		case strings.Contains(said, "exceeded your current quota") && strings.Contains(said, "billing") && !strings.Contains(said, "retry"), holds(said, spent):
			return llm.QuotaExhausted
		case strings.Contains(said, "high traffic") || strings.Contains(said, "overloaded"):
			return llm.Overloaded
		}
		return llm.RateLimited
	case 498, 503, 529: // 498: Groq, flex capacity
		return llm.Overloaded
	case 0: // an error inside a 200
		switch {
		case holds(said, refusals):
			return llm.ContentRefused
		case strings.Contains(said, "rate limit") || strings.Contains(said, "rate-limit"):
			return llm.RateLimited
		case strings.Contains(said, "overloaded") || strings.Contains(said, "capacity"):
			return llm.Overloaded
		case strings.Contains(said, "timed out") || strings.Contains(said, "timeout"):
			return llm.Timeout
		case kind == "invalid_request_error":
			return llm.InvalidRequest
		}
		return llm.ServerError
	}
	if status >= 400 && status < 500 {
		return llm.InvalidRequest
	}
	return llm.ServerError
}

// form is how a class looks to a client of this dialect.
type form struct {
	status     int
	kind, code string // an empty code is null
	back       bool   // the provider's own body and words go back
}

// forms has a row for every class.
var forms = map[llm.Class]form{
	llm.Unauthenticated:   {401, "invalid_request_error", "invalid_api_key", false},
	llm.Forbidden:         {403, "invalid_request_error", "forbidden", true},
	llm.PolicyBlocked:     {400, "invalid_request_error", "content_policy_violation", true},
	llm.NotFound:          {404, "invalid_request_error", "not_found", false},
	llm.ModelNotFound:     {404, "invalid_request_error", "model_not_found", true},
	llm.TooLarge:          {413, "invalid_request_error", "request_too_large", false},
	llm.RateLimited:       {429, "requests", "rate_limit_exceeded", true},
	llm.QuotaExhausted:    {429, "insufficient_quota", "insufficient_quota", false},
	llm.Overloaded:        {503, "server_error", "overloaded", false},
	llm.ServerError:       {502, "server_error", "server_error", false},
	llm.Timeout:           {504, "server_error", "timeout", false},
	llm.SlowStart:         {504, "server_error", "timeout", false},
	llm.SlowStream:        {504, "server_error", "timeout", false},
	llm.ContextOverflow:   {400, "invalid_request_error", "context_length_exceeded", true},
	llm.ContentRefused:    {400, "invalid_request_error", "content_policy_violation", true},
	llm.InvalidRequest:    {400, "invalid_request_error", "", true},
	llm.Unsupported:       {400, "invalid_request_error", "unsupported_value", false},
	llm.Auth:              {502, "server_error", "provider_auth", false},
	llm.MalformedUpstream: {502, "server_error", "malformed_upstream", false},
	llm.Unavailable:       {503, "server_error", "unavailable", false},
	llm.ClientGone:        {499, "invalid_request_error", "client_gone", false},
}

// EncodeError gives the status and the body with which a client of this
// dialect sees the error: always the four members message, type, param and
// code. The body of a provider of the same dialect goes back verbatim for the
// classes that are the client's to see; never for auth, which is about our
// credential, not the client's. A prompt that is too long is always told with
// the code context_length_exceeded, which clients look for, whatever the
// provider calls it.
func EncodeError(e *llm.Error) (status int, body []byte) {
	f := formOf(e)
	status = f.status
	if f.back && ours(e.From) && e.Status >= 400 && e.Status < 500 && e.Status != 401 && e.Status != 402 && e.Status != 403 {
		status = e.Status
	}
	if e.Class == llm.ContextOverflow {
		status = f.status // llama.cpp says 500, Groq 413
	}
	if f.back && ours(e.From) && len(e.Body) < maxErrorBody && (e.Class != llm.ContextOverflow || e.Code == f.code) {
		if b := complete(e.Body); b != nil {
			return status, b
		}
	}
	return status, append(append([]byte(`{"error":`), AppendError(nil, e)...), '}')
}

func formOf(e *llm.Error) form {
	f, ok := forms[e.Class]
	if !ok {
		f = forms[llm.ServerError]
	}
	return f
}

// complete gives a provider's error body when it has the form that SDKs read,
// with those of the four members that it lacks put in; nil for other forms.
func complete(body []byte) []byte {
	raw := bytes.TrimSpace(body)
	if !span.IsObject(raw) || !span.Valid(raw) {
		return nil
	}
	inner := span.Field(raw, "error")
	if !span.IsObject(inner) || !span.IsString(span.Field(inner, "message")) {
		return nil
	}
	var add []byte
	for _, m := range [...]struct{ name, value string }{{"type", `"invalid_request_error"`}, {"param", "null"}, {"code", "null"}} {
		if span.Field(inner, m.name) == nil {
			add = append(add, `,"`+m.name+`":`+m.value...)
		}
	}
	if add == nil {
		return body
	}
	// Behind the last member of the inner object.
	from := bytes.Index(raw, errorKey)
	if from < 0 { // spelled with escapes
		return nil
	}
	i := bytes.Index(raw[from:], inner)
	if i < 0 {
		return nil
	}
	stop := from + i + len(inner) - 1
	out := make([]byte, 0, len(raw)+len(add))
	out = append(out, bytes.TrimRight(raw[:stop], " \t\r\n")...)
	out = append(out, add...)
	return append(out, raw[stop:]...)
}

// AppendError appends the inner error object, as a client sees it.
func AppendError(b []byte, e *llm.Error) []byte {
	f := formOf(e)
	kind, code := f.kind, f.code
	message := e.Message
	switch {
	case e.Class == llm.Auth: // what the provider says may quote the credential
		message = "the provider " + cmp.Or(e.Provider, "behind this model") + " refused the gateway's credential"
	case message == "":
		message = string(e.Class)
	}
	if f.back && ours(e.From) { // the provider's own words, in our form
		if e.Type != "" && kind == "invalid_request_error" {
			kind = e.Type
		}
		if e.Code != "" && code == "" {
			code = e.Code
		}
	}
	o := span.Open(b)
	o.Str("message", message)
	o.Str("type", kind)
	o.Name("param")
	if e.Param != "" {
		o.B = span.Quote(o.B, e.Param)
	} else {
		o.B = append(o.B, "null"...)
	}
	o.Name("code")
	if code != "" {
		o.B = span.Quote(o.B, code)
	} else {
		o.B = append(o.B, "null"...)
	}
	return o.Close()
}

// ours says that the dialect's own errors have this form.
func ours(d llm.Dialect) bool { return d == llm.OpenAI || d == llm.Responses }

// Malformed is the error of an answer that is not what its dialect says.
func Malformed(from llm.Dialect, why string, body []byte) *llm.Error {
	return &llm.Error{Class: llm.MalformedUpstream, Message: why + ": " + Excerpt(body), From: from}
}

// Excerpt shows the beginning of a body in a message.
func Excerpt(body []byte) string {
	const most = 120
	b := bytes.Join(bytes.Fields(body[:min(len(body), 4*most)]), []byte{' '})
	if len(b) > most {
		b = b[:most]
		for len(b) > 0 && !utf8.Valid(b) {
			b = b[:len(b)-1]
		}
		return strconv.Quote(string(b)) + "..."
	}
	return strconv.Quote(string(b))
}
