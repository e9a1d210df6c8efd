package provider

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// failing answers every request with one error.
type failing struct {
	status int
	header map[string]string
	body   string
}

func (f failing) RoundTrip(r *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	for k, v := range f.header {
		h.Set(k, v)
	}
	return &http.Response{StatusCode: f.status, Header: h, Body: io.NopCloser(strings.NewReader(f.body)), ContentLength: int64(len(f.body))}, nil
}

type headers = map[string]string

// failures says what each provider's errors mean. The bodies are ours, in the
// shapes that the providers were recorded or documented to send (2025, 2026).
// A status of 200 with an event stream is an error inside it.
var failures = []struct {
	provider, name string
	status         int
	header         headers
	body           string
	class          llm.Class
	wait           time.Duration
	noRepeat       bool
}{
	// Anthropic: four kinds of 429, and 529 inside a 200.
	{"anthropic", "pace", 429, headers{"Retry-After": "25"}, `{"type":"error","error":{"type":"rate_limit_error","message":"over the limit of a minute"},"request_id":"req_1"}`, llm.RateLimited, 25 * time.Second, false},
	{"anthropic", "acceleration", 429, headers{"Retry-After": "9"}, `{"type":"error","error":{"type":"rate_limit_error","message":"too sharp a rise","details":{"error_code":"ramp_limit_exceeded"}}}`, llm.RateLimited, 9 * time.Second, false},
	{"anthropic", "spend cap", 429, nil, `{"type":"error","error":{"type":"rate_limit_error","message":"the cap of the month","details":{"error_code":"enforced_spend_limit_reached"}}}`, llm.QuotaExhausted, 0, false},
	{"anthropic", "spend cap by contract", 429, headers{"X-Should-Retry": "false"}, `{"type":"error","error":{"type":"rate_limit_error","message":"the cap","details":{"error_code":"contract_spend_limit_reached"}}}`, llm.QuotaExhausted, 0, true},
	{"anthropic", "money, under 429", 429, nil, `{"type":"error","error":{"type":"rate_limit_error","message":"Your credit balance is too low"}}`, llm.QuotaExhausted, 0, false},
	{"anthropic", "money", 402, nil, `{"type":"error","error":{"type":"billing_error","message":"pay"}}`, llm.QuotaExhausted, 0, false},
	{"anthropic", "the user's own limit", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. Access returns on the 1st"}}`, llm.QuotaExhausted, 0, false},
	{"anthropic", "overloaded", 529, headers{"X-Should-Retry": "true"}, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, llm.Overloaded, 0, false},
	{"anthropic", "overloaded inside 200", 200, nil, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", llm.Overloaded, 0, false},
	{"anthropic", "overloaded inside 200, begun", 200, nil, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n", llm.Overloaded, 0, false},
	{"anthropic", "pace inside 200", 200, nil, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"over the limit of a minute\"}}\n\n", llm.RateLimited, 0, false},
	{"anthropic", "spend cap inside 200", 200, nil, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"the cap of the month\",\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}}}\n\n", llm.QuotaExhausted, 0, false},
	{"anthropic", "a gateway's own budget", 429, headers{"Retry-After": "3600", "X-Should-Retry": "false"}, `{"type":"error","error":{"type":"billing_error","message":"the budget of the team is used up"}}`, llm.QuotaExhausted, time.Hour, true},
	{"anthropic", "pace in milliseconds", 429, headers{"Retry-After-Ms": "1250", "Retry-After": "2"}, `{"type":"error","error":{"type":"rate_limit_error","message":"over the limit of a minute"}}`, llm.RateLimited, 1250 * time.Millisecond, false},
	{"anthropic", "too long", 400, headers{"X-Should-Retry": "false"}, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}`, llm.ContextOverflow, 0, true},
	{"anthropic", "wrong", 400, headers{"X-Should-Retry": "false"}, `{"type":"error","error":{"type":"invalid_request_error","message":"messages.0: no"}}`, llm.InvalidRequest, 0, true},
	{"anthropic", "key", 401, nil, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, llm.Auth, 0, false},
	{"anthropic", "permission", 403, nil, `{"type":"error","error":{"type":"permission_error","message":"not here"}}`, llm.Auth, 0, false},
	{"anthropic", "on hold", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"held","details":{"error_code":"organization_on_hold"}}}`, llm.Auth, 0, false},
	{"anthropic", "model", 404, nil, `{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`, llm.ModelNotFound, 0, false},
	{"anthropic", "too large", 413, nil, `{"type":"error","error":{"type":"request_too_large","message":"over 32 MB"}}`, llm.TooLarge, 0, false},
	{"anthropic", "their fault", 500, nil, `{"type":"error","error":{"type":"api_error","message":"Internal server error"}}`, llm.ServerError, 0, false},
	{"anthropic", "time", 504, nil, `{"type":"error","error":{"type":"timeout_error","message":"late"}}`, llm.Timeout, 0, false},
	{"anthropic", "a page before it", 502, headers{"Content-Type": "text/html"}, `<html>Bad Gateway</html>`, llm.ServerError, 0, false},
	// OpenAI.
	{"openai", "pace", 429, headers{"Retry-After-Ms": "350", "Retry-After": "1"}, `{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 350 * time.Millisecond, false},
	{"openai", "pace, told by the bucket", 429, headers{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "6m0s", "X-Ratelimit-Remaining-Tokens": "100", "X-Ratelimit-Reset-Tokens": "12ms"}, `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 6 * time.Minute, false},
	{"openai", "pace, told in words", 429, nil, `{"error":{"message":"Rate limit reached for m: Limit 3, Used 3. Please try again in 20s. Visit us","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 20 * time.Second, false},
	{"openai", "pace, minutes in words", 429, nil, `{"error":{"message":"Rate limit reached for m. Please try again in 6m0s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 6 * time.Minute, false},
	{"openai", "pace, a duration as the header", 429, headers{"Retry-After": "6m0s"}, `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 6 * time.Minute, false},
	{"openai", "one request over the limit", 429, nil, `{"error":{"message":"Request too large for m on tokens per min (TPM): Limit 1, Requested 30.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`, llm.RateLimited, 0, true},
	{"openai", "quota", 429, headers{"X-Ratelimit-Remaining-Requests": "0", "X-Ratelimit-Reset-Requests": "1s"}, `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, llm.QuotaExhausted, 0, false},
	{"openai", "hard limit", 429, nil, `{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","param":null,"code":"billing_hard_limit_reached"}}`, llm.QuotaExhausted, 0, false},
	{"openai", "too long", 400, nil, `{"error":{"message":"This model's maximum context length is 8 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.ContextOverflow, 0, false},
	{"openai", "policy", 400, nil, `{"error":{"message":"Invalid prompt: your prompt was flagged","type":"invalid_request_error","param":null,"code":"invalid_prompt"}}`, llm.ContentRefused, 0, false},
	{"openai", "key", 401, nil, `{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, llm.Auth, 0, false},
	{"openai", "model not for us", 403, nil, `{"error":{"message":"You are not allowed to sample from this model","type":"invalid_request_error","param":null,"code":null}}`, llm.ModelNotFound, 0, false},
	{"openai", "model", 404, nil, `{"error":{"message":"The model does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}`, llm.ModelNotFound, 0, false},
	{"openai", "member", 400, nil, `{"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`, llm.InvalidRequest, 0, false},
	{"openai", "a page before it, too large", 413, headers{"Content-Type": "text/html"}, `<html>413 Request Entity Too Large</html>`, llm.TooLarge, 0, false},
	{"openai", "overloaded", 503, headers{"Retry-After": "2"}, `{"error":{"message":"That model is overloaded","type":"server_error","param":null,"code":null}}`, llm.Overloaded, 2 * time.Second, false},
	{"openai", "their fault", 500, headers{"X-Should-Retry": "false"}, `{"error":{"message":"no","type":"server_error","param":null,"code":null}}`, llm.ServerError, 0, true},
	{"openai", "inside 200", 200, nil, "data: {\"error\":{\"message\":\"Rate limit reached. Please try again in 11.054s.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}\n\n", llm.RateLimited, 11054 * time.Millisecond, false},
	// Azure.
	{"azure", "filter", 400, nil, `{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`, llm.ContentRefused, 0, false},
	{"azure", "pace", 429, headers{"X-Ratelimit-Remaining-Requests": "-1"}, `{"error":{"code":"RateLimitReached","message":"over the token rate limit. Please retry after 20 seconds."}}`, llm.RateLimited, 20 * time.Second, false},
	{"azure", "pace by number", 429, headers{"Retry-After": "7"}, `{"error":{"code":"429","message":"over the call rate limit"}}`, llm.RateLimited, 7 * time.Second, false},
	{"azure", "deployment", 404, nil, `{"error":{"type":"invalid_request_error","code":"DeploymentNotFound","message":"no such deployment"}}`, llm.ModelNotFound, 0, false},
	{"azure", "key", 401, nil, `{"error":{"code":"401","message":"Access denied due to invalid subscription key"}}`, llm.Auth, 0, false},
	// Google's forms: an array at the compatible door, RetryInfo in the body.
	{"gemini", "pace", 429, nil, `[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"RequestsPerMinutePerProject"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]`, llm.RateLimited, 34 * time.Second, false},
	{"gemini", "pace, told with a fraction", 429, nil, `{"error":{"code":429,"message":"Resource exhausted.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.074824224s"}]}}`, llm.RateLimited, 34074824224, false},
	{"gemini", "quota of a day", 429, nil, `[{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 34.07s.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}]`, llm.QuotaExhausted, 0, false},
	{"gemini", "too long", 400, nil, `[{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}]`, llm.ContextOverflow, 0, false},
	{"gemini", "key", 400, nil, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`, llm.Auth, 0, false},
	{"gemini", "place", 400, nil, `[{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}]`, llm.Auth, 0, false},
	{"gemini", "model", 404, nil, `[{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}]`, llm.ModelNotFound, 0, false},
	{"gemini", "overloaded", 503, nil, `[{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}]`, llm.Overloaded, 0, false},
	{"gemini", "member", 400, nil, `[{"error":{"code":400,"message":"Unknown name \"x\": Cannot find field.","status":"INVALID_ARGUMENT"}}]`, llm.InvalidRequest, 0, false},
	// Mistral.
	{"mistral", "pace", 429, nil, `{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300","raw_status_code":429}`, llm.RateLimited, 0, false},
	{"mistral", "capacity", 429, nil, `{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","param":null,"code":"3505","raw_status_code":429}`, llm.RateLimited, 0, false},
	{"mistral", "member", 422, nil, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","x"]}]},"type":"invalid_request_error","param":null,"code":null,"raw_status_code":422}`, llm.InvalidRequest, 0, false},
	{"mistral", "too long", 400, nil, `{"object":"error","message":"Prompt contains 9 tokens, too large for model with 8 maximum context length","type":"invalid_request_prompt","param":null,"code":"3051","raw_status_code":400}`, llm.ContextOverflow, 0, false},
	{"mistral", "model", 400, nil, `{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500","raw_status_code":400}`, llm.ModelNotFound, 0, false},
	{"mistral", "key", 401, nil, `{"detail":"Invalid API Key"}`, llm.Auth, 0, false},
	// DeepSeek.
	{"deepseek", "money", 402, nil, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, llm.QuotaExhausted, 0, false},
	{"deepseek", "content", 400, nil, `{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, llm.ContentRefused, 0, false},
	{"deepseek", "too long", 400, nil, `{"error":{"message":"This model's maximum context length is 8 tokens. However, you requested 9 tokens","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, llm.ContextOverflow, 0, false},
	{"deepseek", "model", 400, nil, `{"error":{"code":"invalid_request_error","message":"The supported API model names are a or b, but you passed c.","param":null,"type":"invalid_request_error"}}`, llm.ModelNotFound, 0, false},
	{"deepseek", "thinking missing", 400, nil, `{"error":{"message":"The reasoning_content in the thinking mode must be passed back to the API.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, llm.InvalidRequest, 0, false},
	{"deepseek", "too many at once", 429, nil, `{"error":{"message":"too many concurrent requests","type":"rate_limit_error","param":null,"code":null}}`, llm.RateLimited, 0, false},
	// Groq.
	{"groq", "pace", 429, headers{"Retry-After": "12"}, `{"error":{"message":"Rate limit reached for model x on tokens per minute (TPM). Please try again in 1m12.3s.","type":"tokens","code":"rate_limit_exceeded"}}`, llm.RateLimited, 12 * time.Second, false},
	{"groq", "one request over the limit", 413, nil, `{"error":{"message":"Request too large for model x on tokens per minute (TPM): Limit 6000, Requested 7000, please reduce your message size","type":"tokens","code":"rate_limit_exceeded"}}`, llm.RateLimited, 0, true},
	{"groq", "too long", 400, nil, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, llm.ContextOverflow, 0, false},
	{"groq", "gone", 400, nil, `{"error":{"message":"The model x has been decommissioned","type":"invalid_request_error","code":"model_decommissioned"}}`, llm.ModelNotFound, 0, false},
	{"groq", "capacity", 498, nil, `{"error":{"message":"Flex tier capacity exceeded","type":"capacity_exceeded"}}`, llm.Overloaded, 0, false},
	{"groq", "tool form, inside 200", 200, nil, "event: error\ndata: {\"error\":{\"message\":\"tool call validation failed\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\",\"failed_generation\":\"\",\"status_code\":400}}\n\n", llm.InvalidRequest, 0, false},
	// xAI.
	{"xai", "key", 400, nil, `{"code":"invalid-argument","error":"Incorrect API key provided."}`, llm.Auth, 0, false},
	{"xai", "model", 400, nil, `{"code":"invalid-argument","error":"Model not found: x"}`, llm.ModelNotFound, 0, false},
	{"xai", "no credits yet", 403, nil, `{"code":"The caller does not have permission","error":"Your team doesn't have any credits yet."}`, llm.QuotaExhausted, 0, false},
	{"xai", "spent", 429, nil, `{"code":"Some resource has been exhausted","error":"Your team has either used all available credits or reached its monthly spending limit."}`, llm.QuotaExhausted, 0, false},
	{"xai", "pace", 429, nil, `{"code":"Some resource has been exhausted","error":"Too many requests"}`, llm.RateLimited, 0, false},
	{"xai", "too long", 400, nil, `{"code":"invalid-argument","error":"This model's maximum prompt length is 8 but the request contains 9 tokens."}`, llm.ContextOverflow, 0, false},
	{"xai", "inside 200", 200, nil, `{"code":"Service temporarily unavailable","error":"The model is at capacity"}`, llm.Overloaded, 0, false},
	// Cohere.
	{"cohere", "too long", 400, nil, `{"error_type":"TOO_MANY_TOKENS","id":"1","message":"too many tokens: size limit exceeded by 1 tokens"}`, llm.ContextOverflow, 0, false},
	{"cohere", "key", 401, nil, `{"id":"1","message":"Incorrect API key provided"}`, llm.Auth, 0, false},
	{"cohere", "model", 404, nil, `{"id":"1","message":"model 'x' not found"}`, llm.ModelNotFound, 0, false},
	{"cohere", "trial, a minute", 429, nil, `{"id":"1","message":"You are using a Trial key, which is limited to 20 API calls / minute"}`, llm.RateLimited, 0, false},
	{"cohere", "trial, a month", 429, nil, `{"id":"1","message":"You are using a Trial key, which is limited to 1000 API calls / month"}`, llm.QuotaExhausted, 0, false},
	// Perplexity.
	{"perplexity", "key", 401, nil, `{"error":{"message":"Invalid API key provided","type":"invalid_api_key","code":401}}`, llm.Auth, 0, false},
	{"perplexity", "quota", 401, nil, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":401}}`, llm.QuotaExhausted, 0, false},
	{"perplexity", "model", 400, nil, `{"error":{"message":"Invalid model 'x'","type":"invalid_model","code":400}}`, llm.ModelNotFound, 0, false},
	{"perplexity", "turns, inside 200", 200, nil, "data: {\"error\":{\"message\":\"After the system message(s), user and assistant should alternate\",\"type\":\"invalid_message\",\"code\":400}}\n\n", llm.InvalidRequest, 0, false},
	// Moonshot.
	{"moonshot", "key", 401, nil, `{"error":{"message":"Invalid Authentication","type":"invalid_authentication_error"}}`, llm.Auth, 0, false},
	{"moonshot", "money", 429, nil, `{"error":{"message":"Your account is suspended due to insufficient balance","type":"exceeded_current_quota_error"}}`, llm.QuotaExhausted, 0, false},
	{"moonshot", "overloaded", 429, nil, `{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}`, llm.Overloaded, 0, false},
	{"moonshot", "pace", 429, nil, `{"error":{"message":"Your account reached max RPM: 3, please try again after 1 seconds","type":"rate_limit_reached_error"}}`, llm.RateLimited, time.Second, false},
	{"moonshot", "too long", 400, nil, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 8","type":"invalid_request_error"}}`, llm.ContextOverflow, 0, false},
	{"moonshot", "content", 400, nil, `{"error":{"message":"The request was rejected because it was considered high risk","type":"content_filter"}}`, llm.ContentRefused, 0, false},
	{"moonshot", "model", 404, nil, `{"error":{"message":"Not found the model x or Permission denied","type":"resource_not_found_error"}}`, llm.ModelNotFound, 0, false},
	// Z.ai and Zhipu, by number.
	{"zai", "money", 429, nil, `{"error":{"code":"1113","message":"Insufficient balance or no resource package."}}`, llm.QuotaExhausted, 0, false},
	{"zai", "at once", 429, nil, `{"error":{"code":"1302","message":"High concurrency"}}`, llm.RateLimited, 0, false},
	{"zai", "plan", 429, nil, `{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-11-25 10:00:00"}}`, llm.QuotaExhausted, 0, false},
	{"zai", "traffic", 429, nil, `{"error":{"code":"1312","message":"This model is in heavy demand"}}`, llm.Overloaded, 0, false},
	{"zai", "role", 400, nil, `{"error":{"code":"1214","message":"Incorrect role information"}}`, llm.InvalidRequest, 0, false},
	{"zai", "too long", 400, nil, `{"error":{"code":"1261","message":"Prompt exceeds max length"}}`, llm.ContextOverflow, 0, false},
	{"zhipu", "content", 400, nil, `{"contentFilter":[{"level":1,"role":"user"}],"error":{"code":"1301","message":"unsafe or sensitive"}}`, llm.ContentRefused, 0, false},
	{"zhipu", "model", 400, nil, `{"error":{"code":"1211","message":"no such model"}}`, llm.ModelNotFound, 0, false},
	// MiniMax, at its Anthropic door and in its own words.
	{"minimax", "money", 500, nil, `{"type":"error","error":{"type":"insufficient_balance_error","message":"insufficient balance (1008)"}}`, llm.QuotaExhausted, 0, false},
	{"minimax", "too long", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"invalid params, context window exceeds limit (2013)"}}`, llm.ContextOverflow, 0, false},
	{"minimax", "pace", 429, nil, `{"type":"error","error":{"type":"rate_limit_error","message":"rate limit exceeded (1002)"}}`, llm.RateLimited, 0, false},
	{"kimi-coding", "too long", 400, nil, `{"type":"error","error":{"type":"invalid_request_error","message":"Invalid request: Your request exceeded model token limit: 8 (requested: 9)"}}`, llm.ContextOverflow, 0, false},
	{"kimi-coding", "ended", 403, nil, `{"type":"error","error":{"type":"access_terminated_error","message":"your plan has ended"}}`, llm.QuotaExhausted, 0, false},
	// Qwen (DashScope).
	{"qwen", "pace", 429, nil, `{"error":{"message":"You have exceeded your current request limit.","type":"limit_requests","param":null,"code":"limit_requests"}}`, llm.RateLimited, 0, false},
	{"qwen", "tokens of a minute", 429, nil, `{"error":{"message":"Allocated quota exceeded, please increase your quota limit.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, llm.RateLimited, 0, false},
	{"qwen", "money", 400, nil, `{"error":{"message":"Access denied, please make sure your account is in good standing.","type":"Arrearage","param":null,"code":"Arrearage"}}`, llm.QuotaExhausted, 0, false},
	{"qwen", "too long", 400, nil, `{"error":{"message":"<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 8]","type":"invalid_request_error","param":null,"code":"invalid_parameter_error"}}`, llm.ContextOverflow, 0, false},
	{"qwen", "content", 400, nil, `{"error":{"message":"Input data may contain inappropriate content.","type":"data_inspection_failed","param":null,"code":"data_inspection_failed"}}`, llm.ContentRefused, 0, false},
	{"qwen", "key", 401, nil, `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`, llm.Auth, 0, false},
	{"qwen", "model", 404, nil, `{"error":{"message":"The model x does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}`, llm.ModelNotFound, 0, false},
	// OpenRouter.
	{"openrouter", "money", 402, nil, `{"error":{"code":402,"message":"Insufficient credits","metadata":{}}}`, llm.QuotaExhausted, 0, false},
	{"openrouter", "key's own limit", 403, nil, `{"error":{"code":403,"message":"Key limit exceeded"}}`, llm.QuotaExhausted, 0, false},
	{"openrouter", "moderation", 403, nil, `{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}}`, llm.ContentRefused, 0, false},
	{"openrouter", "pace", 429, headers{"Date": "Mon, 23 Nov 2026 10:00:00 GMT", "X-Ratelimit-Limit": "1", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1795428030000"}, `{"error":{"message":"Rate limit exceeded: limit_rpm","code":429,"metadata":{}}}`, llm.RateLimited, 30 * time.Second, false},
	{"openrouter", "their provider's pace", 429, nil, `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream","provider_name":"X"}}}`, llm.RateLimited, 0, false},
	{"openrouter", "too long", 400, nil, `{"error":{"message":"This endpoint's maximum context length is 8 tokens.","code":400}}`, llm.ContextOverflow, 0, false},
	{"openrouter", "no endpoint", 404, nil, `{"error":{"message":"No endpoints found that support tool use","code":404}}`, llm.ModelNotFound, 0, false},
	{"openrouter", "model", 400, nil, `{"error":{"message":"x/y is not a valid model ID","code":400}}`, llm.ModelNotFound, 0, false},
	{"openrouter", "late", 524, nil, `{"error":{"message":"late","code":524}}`, llm.Timeout, 0, false},
	{"openrouter", "inside 200", 200, nil, "data: {\"id\":\"g\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}],\"error\":{\"message\":\"Provider returned error\",\"code\":502}}\n\n", llm.ServerError, 0, false},
	// Hosts.
	{"together", "too long", 422, nil, `{"id":"1","error":{"message":"Input validation error: ` + "`inputs` tokens + `max_new_tokens`" + ` must be <= 8","type":"invalid_request_error","param":null,"code":null}}`, llm.ContextOverflow, 0, false},
	{"together", "pace", 429, headers{"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1"}, `{"error":{"message":"Request rate limit exceeded","type":"model_rate_limit","code":"dynamic_request_limited"}}`, llm.RateLimited, time.Second, false},
	{"together", "money", 402, nil, `{"error":{"message":"Credit limit exceeded","type":"credit_limit","code":null}}`, llm.QuotaExhausted, 0, false},
	{"together", "overloaded", 503, nil, `{"error":{"message":"The server is overloaded","type":"service_unavailable","code":null}}`, llm.Overloaded, 0, false},
	{"fireworks", "suspended", 412, nil, `{"error":{"message":"Account is suspended","type":"error","code":"PRECONDITION_FAILED"}}`, llm.QuotaExhausted, 0, false},
	{"fireworks", "overloaded", 503, nil, `{"error":{"message":"busy","type":"error"}}`, llm.Overloaded, 0, false},
	{"fireworks", "too long", 400, nil, `{"error":{"object":"error","type":"invalid_request_error","code":"invalid_request_error","message":"The prompt is too long: 9, model maximum context length: 8"}}`, llm.ContextOverflow, 0, false},
	{"cerebras", "tokens", 429, headers{"X-Ratelimit-Remaining-Tokens-Minute": "0", "X-Ratelimit-Reset-Tokens-Minute": "11.5"}, `{"message":"Tokens per minute limit exceeded","type":"too_many_tokens_error","param":"quota","code":"token_quota_exceeded"}`, llm.RateLimited, 11500 * time.Millisecond, false},
	{"cerebras", "queue", 429, nil, `{"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}`, llm.Overloaded, 0, false},
	{"cerebras", "key", 401, nil, `{"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"}`, llm.Auth, 0, false},
	{"cerebras", "too long", 400, nil, `{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}`, llm.ContextOverflow, 0, false},
	{"huggingface", "money", 402, nil, `{"error":"You have exceeded your monthly included credits for Inference Providers."}`, llm.QuotaExhausted, 0, false},
	{"huggingface", "loading", 503, nil, `{"error":"Model x is currently loading","estimated_time":20.5}`, llm.Overloaded, 20500 * time.Millisecond, false},
	{"huggingface", "model", 400, nil, `{"error":{"message":"The requested model 'x' is not supported by any provider you have enabled.","type":"invalid_request_error","param":"model","code":"model_not_supported"}}`, llm.ModelNotFound, 0, false},
	{"nvidia", "money", 402, nil, `{"type":"urn:x","title":"Payment Required","status":402,"detail":"Cloud credits expired"}`, llm.QuotaExhausted, 0, false},
	{"nvidia", "model", 404, nil, `{"status":404,"title":"Not Found","detail":"Function 'x': Not found for account 'y'"}`, llm.ModelNotFound, 0, false},
	{"tokenmix", "pace", 429, headers{"Retry-After": "1.5"}, `{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":null}}`, llm.RateLimited, 1500 * time.Millisecond, false},
	// Servers of the operator.
	{"ollama", "model", 404, nil, `{"error":"model 'x' not found"}`, llm.ModelNotFound, 0, false},
	{"ollama", "busy", 503, nil, `{"error":"server busy, please try again. maximum pending requests exceeded"}`, llm.Overloaded, 0, false},
	{"ollama", "a page before it, too large", 413, headers{"Content-Type": "text/html"}, `<html>413 Request Entity Too Large</html>`, llm.TooLarge, 0, false},
	{"ollama", "memory", 500, nil, `{"error":"model requires more system memory (9 GiB) than is available"}`, llm.ServerError, 0, false},
	{"ollama-cloud", "too long", 400, nil, `{"error":{"message":"prompt too long; exceeded max context length by 1 tokens","type":"invalid_request_error","param":null,"code":null}}`, llm.ContextOverflow, 0, false},
	{"ollama-cloud", "week", 429, nil, `{"error":{"message":"you have reached your weekly usage limit","type":"rate_limit_error","param":null,"code":null}}`, llm.QuotaExhausted, 0, false},
	{"vllm", "too long", 400, nil, `{"object":"error","message":"This model's maximum context length is 8 tokens.","type":"BadRequestError","param":null,"code":400}`, llm.ContextOverflow, 0, false},
	{"vllm", "model", 404, nil, `{"object":"error","message":"The model x does not exist.","type":"NotFoundError","param":null,"code":404}`, llm.ModelNotFound, 0, false},
	{"vllm", "inside 200", 200, nil, "data: {\"object\":\"error\",\"message\":\"CUDA error\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}\n\n", llm.ServerError, 0, false},
	{"sglang", "too long", 400, nil, `{"object":"error","message":"The input (9 tokens) is longer than the model's context length (8 tokens).","type":"BadRequestError","param":null,"code":400}`, llm.ContextOverflow, 0, false},
	{"llamacpp", "too long", 400, nil, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}`, llm.ContextOverflow, 0, false},
	{"llamacpp", "loading", 503, nil, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, llm.Overloaded, 0, false},
	{"lmstudio", "too long", 400, nil, `{"error":"Trying to keep the first 9 tokens when context the overflows. However, the model is loaded with context length of only 8 tokens"}`, llm.ContextOverflow, 0, false},
	{"lmstudio", "model", 400, nil, `{"error":{"message":"No models loaded. Please load a model","type":"invalid_request_error","param":"model","code":null}}`, llm.ModelNotFound, 0, false},
}

// TestFailures reads each failure as its provider's row would.
func TestFailures(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range failures {
		seen[f.provider] = true
		t.Run(f.provider+"/"+f.name, func(t *testing.T) {
			row, ok := c.Provider(f.provider)
			if !ok {
				t.Fatal("no such row")
			}
			header := headers{}
			for k, v := range f.header {
				header[k] = v
			}
			stream := f.status == 200
			if stream && !strings.HasPrefix(f.body, "{") {
				header["Content-Type"] = "text/event-stream"
			}
			o := Options{Row: row, Key: "sk-of-the-gateway", BaseURL: "https://x.test", Transport: failing{f.status, header, f.body}}
			p, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			body := `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
			if stream {
				body = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
			}
			ans, err := p.Send(context.Background(), "m", &llm.Capability{}, draft(t, llm.OpenAI, body))
			if err == nil {
				err = streamedError(ans)
			}
			e, ok := errors.AsType[*llm.Error](err)
			if !ok {
				t.Fatalf("no error of ours: %v", err)
			}
			if e.Class != f.class || e.RetryAfter != f.wait || e.NoRepeat != f.noRepeat || e.Provider != row.ID {
				t.Errorf("%s, wait %v, no repeat %v: %v", e.Class, e.RetryAfter, e.NoRepeat, e)
			}
			if f.status != 200 && e.Status != f.status {
				t.Errorf("status %d", e.Status)
			}
			if (e.Class == llm.ContentRefused) != (e.Refused.Phase != "") {
				t.Errorf("refused %+v", e.Refused)
			}
			// Overflows are told in the words and codes that clients look for.
			if e.Class == llm.ContextOverflow {
				for d, codec := range codecs {
					enc, ok := codec.Codec.(interface {
						EncodeError(*llm.Error) (int, []byte)
					})
					if !ok {
						continue
					}
					status, b := enc.EncodeError(e)
					magic := map[llm.Dialect]string{llm.OpenAI: `"context_length_exceeded"`, llm.Anthropic: "prompt is too long"}[d]
					if magic != "" && (status != 400 || !strings.Contains(string(b), magic)) {
						t.Errorf("a client of %s is told %d %s", d, status, b)
					}
				}
			}
		})
	}
	// Every provider with a row of its own manners has its failures here.
	for _, p := range c.Providers() {
		if p.Kind == catalog.Vendor && !p.Explicit && p.Source != "" && !seen[p.ID] && manners[p.ID] == "" {
			t.Errorf("no failure of %s", p.ID)
		}
	}
}

// manners are vendors whose errors are plainly OpenAI's, or are not known.
var manners = map[string]string{
	"upstage": "unknown", "inception": "unknown", "llama": "unknown", "v0": "unknown", "stepfun": "unknown", "xiaomi": "unknown",
}

// streamedError reads a stream up to its error.
func streamedError(ans *llm.Answer) error {
	if ans.Stream == nil {
		return errors.New("a whole answer")
	}
	defer ans.Stream.Close()
	for {
		p, err := ans.Stream.Next()
		if err != nil {
			return err
		}
		for i := range p.Events {
			if p.Events[i].Kind == llm.EventError {
				return p.Events[i].Err
			}
		}
	}
}
