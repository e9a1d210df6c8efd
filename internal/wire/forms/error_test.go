package forms_test

import (
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
)

// TestFailedResponses: the error of a response that failed under status 200
// has a code and a message and nothing else.
func TestFailedResponses(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]llm.Class{
		"server_error":                   llm.ServerError,
		"rate_limit_exceeded":            llm.RateLimited,
		"insufficient_quota":             llm.QuotaExhausted,
		"context_length_exceeded":        llm.ContextOverflow,
		"server_is_overloaded":           llm.Overloaded,
		"slow_down":                      llm.Overloaded,
		"invalid_prompt":                 llm.ContentRefused,
		"bio_policy":                     llm.ContentRefused,
		"image_content_policy_violation": llm.ContentRefused,
		"invalid_image_url":              llm.InvalidRequest,
		"vector_store_timeout":           llm.ServerError,
		"a code of next year":            llm.ServerError,
	} {
		raw := []byte(`{"id":"resp_1","object":"response","status":"failed","error":{"code":"` + code + `","message":"it failed"},"output":[]}`)
		e := forms.ErrorIn(llm.Responses, raw, 200)
		if e == nil || e.Class != want || e.Code != code || e.Message != "it failed" || e.From != llm.Responses {
			t.Errorf("%s: %+v", code, e)
		}
	}
	if e := forms.ErrorIn(llm.Responses, []byte(`{"id":"resp_1","object":"response","status":"completed","error":null,"output":[]}`), 200); e != nil {
		t.Errorf("a good answer has the error %+v", e)
	}
}

// TestOwnForm: the words of a provider go back to a client of either dialect
// of this form, for the classes that are the client's to see.
func TestOwnForm(t *testing.T) {
	t.Parallel()
	body := []byte(`{"error":{"message":"no such","type":"invalid_request_error","param":"input","code":"x"}}`)
	e := forms.DecodeError(llm.Responses, 400, nil, body)
	if status, out := forms.EncodeError(e); status != 400 || string(out) != string(body) {
		t.Errorf("%d %s", status, out)
	}
	e = forms.DecodeError(llm.Anthropic, 400, nil, body)
	if _, out := forms.EncodeError(e); string(out) == string(body) {
		t.Errorf("the body of another dialect goes back: %s", out)
	}
}
