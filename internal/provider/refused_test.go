package provider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// refusals are the forms in which providers refuse content: as an error, as an
// ordinary end, in words; of the prompt and of what was made of it (claude-api
// and wire notes of 2026-11).
var refusals = []struct {
	provider, name string
	status         int
	body           string
	want           llm.Refused
}{
	{"anthropic", "prompt", 200, `{"id":"m","type":"message","role":"assistant","model":"m","content":[],"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":"bio","explanation":"no"},"usage":{"input_tokens":1,"output_tokens":0}}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "bio"}},
	{"anthropic", "output", 200, `{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"So"}],"stop_reason":"refusal","stop_sequence":null,"stop_details":null,"usage":{"input_tokens":1,"output_tokens":1}}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"anthropic", "prompt, streamed", 200, claudeStream("", "cyber"), llm.Refused{Phase: llm.RefusedPrompt, Category: "cyber"}},
	{"anthropic", "output, streamed", 200, claudeStream("So", "tomorrow's"), llm.Refused{Phase: llm.RefusedOutput, Category: "other"}},
	{"anthropic", "output, as an error", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"anthropic", "a filter under 429", 429, `{"type":"error","error":{"type":"rate_limit_error","message":"data_inspection_failed"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "in words", 200, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I can't"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "in words, behind text", 200, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"So","refusal":"I can't"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"openai", "in words, streamed", 200, chatStream(`{"role":"assistant","content":null,"refusal":""}`, `{"refusal":"I "}`, `{"refusal":"can't"}`), llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "in words, behind thoughts", 200, chatStream(`{"role":"assistant","content":null}`, `{"reasoning_content":"hm"}`, `{"reasoning_content":"hm"}`, `{"refusal":"I can't"}`), llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "in words, behind text, streamed", 200, chatStream(`{"role":"assistant","content":"So"}`, `{"content":" it"}`, `{"refusal":"I can't"}`), llm.Refused{Phase: llm.RefusedOutput}},
	{"openai", "output", 200, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"So"},"finish_reason":"content_filter"}]}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"openai", "biology", 400, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"bio_policy"}}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "bio"}},
	{"openai", "moderation", 400, `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "responses, in words", 200, `{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"I can't"}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"openai", "responses, output", 200, `{"id":"r","object":"response","created_at":1,"status":"incomplete","incomplete_details":{"reason":"content_filter"},"model":"m","output":[],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"openai", "responses, in words, streamed", 200, responseStream, llm.Refused{Phase: llm.RefusedPrompt}},
	{"azure", "prompt", 400, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":true,"severity":"high"}}}}}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "self_harm"}},
	{"azure", "a filter under 429", 429, `{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "jailbreak"}},
	{"azure", "output", 200, `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"So"},"finish_reason":"content_filter","content_filter_results":{"violence":{"filtered":true,"severity":"medium"}}}]}`, llm.Refused{Phase: llm.RefusedOutput, Category: "violence"}},
	{"azure", "output, streamed", 200, "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"So\"},\"finish_reason\":null}]}\n\ndata: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\",\"content_filter_results\":{\"protected_material_text\":{\"filtered\":true,\"detected\":true}}}]}\n\ndata: [DONE]\n\n", llm.Refused{Phase: llm.RefusedOutput, Category: "copyright"}},
	{"gemini", "prompt", 200, `{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":1},"modelVersion":"m","responseId":"r"}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "minors"}},
	{"gemini", "prompt, streamed", 200, "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\",\"safetyRatings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"probability\":\"HIGH\",\"blocked\":true}]},\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n", llm.Refused{Phase: llm.RefusedPrompt, Category: "harassment"}},
	{"gemini", "output", 200, `{"candidates":[{"content":{"parts":[{"text":"So"}],"role":"model"},"finishReason":"SAFETY","index":0,"safetyRatings":[{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","probability":"HIGH","blocked":true}]}],"modelVersion":"m","responseId":"r"}`, llm.Refused{Phase: llm.RefusedOutput, Category: "dangerous"}},
	{"gemini", "recited, streamed", 200, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"So\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\ndata: {\"candidates\":[{\"finishReason\":\"RECITATION\",\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n", llm.Refused{Phase: llm.RefusedOutput, Category: "copyright"}},
	{"qwen", "prompt", 400, `{"error":{"message":"Input data may contain inappropriate content.","type":"data_inspection_failed","param":null,"code":"data_inspection_failed"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"qwen", "output", 400, `{"error":{"message":"Output data may contain inappropriate content.","type":"data_inspection_failed","param":null,"code":"data_inspection_failed"}}`, llm.Refused{Phase: llm.RefusedOutput}},
	{"qwen", "a filter under 429", 429, `{"error":{"message":"Input data may contain inappropriate content.","type":"data_inspection_failed","param":null,"code":"data_inspection_failed"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"openrouter", "moderation", 403, `{"error":{"code":403,"message":"Your input was flagged","metadata":{"reasons":["self-harm/intent"],"flagged_input":"y"}}}`, llm.Refused{Phase: llm.RefusedPrompt, Category: "self_harm"}},
	{"zhipu", "numbered", 400, `{"error":{"code":"1301","message":"unsafe or sensitive"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
	{"deepseek", "in its words", 400, `{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, llm.Refused{Phase: llm.RefusedPrompt}},
}

func claudeStream(said, category string) string {
	s := "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
	if said != "" {
		s += "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			strings.Repeat("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\""+said+"\"}}\n\n", 3) +
			"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	}
	return s + "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_sequence\":null,\"stop_details\":{\"type\":\"refusal\",\"category\":\"" + category + "\",\"explanation\":null}},\"usage\":{\"output_tokens\":1}}\n\n" +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
}

func chatStream(deltas ...string) string {
	s := ""
	for _, d := range deltas {
		s += `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":` + d + `,"finish_reason":null}]}` + "\n\n"
	}
	return s + `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
}

var responseStream = func() string {
	s := ""
	for _, e := range []string{
		`{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","created_at":1,"status":"in_progress","model":"m","output":[]}}`,
		`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"i","role":"assistant","status":"in_progress","content":[]}}`,
		`{"type":"response.content_part.added","sequence_number":2,"item_id":"i","output_index":0,"content_index":0,"part":{"type":"refusal","refusal":""}}`,
		`{"type":"response.refusal.delta","sequence_number":3,"item_id":"i","output_index":0,"content_index":0,"delta":"I can't"}`,
		`{"type":"response.refusal.done","sequence_number":4,"item_id":"i","output_index":0,"content_index":0,"refusal":"I can't"}`,
		`{"type":"response.content_part.done","sequence_number":5,"item_id":"i","output_index":0,"content_index":0,"part":{"type":"refusal","refusal":"I can't"}}`,
		`{"type":"response.output_item.done","sequence_number":6,"output_index":0,"item":{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"I can't"}]}}`,
		`{"type":"response.completed","sequence_number":7,"response":{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"I can't"}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}`,
	} {
		kind, _, _ := strings.Cut(strings.TrimPrefix(e, `{"type":"`), `"`)
		s += "event: " + kind + "\ndata: " + e + "\n\n"
	}
	return s
}()

// TestRefusals: whatever form a provider refuses in, it is one class with its
// phase and its category, for clients of its own dialect and of another.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	asks := map[llm.Dialect]string{
		llm.OpenAI:    `{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		llm.Anthropic: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`,
		llm.Responses: `{"model":"m","input":"hi"}`,
		llm.Gemini:    `{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`,
	}
	for _, f := range refusals {
		row, ok := c.Provider(f.provider)
		if !ok {
			t.Fatalf("no provider %s", f.provider)
		}
		for from, ask := range asks {
			// These are asked over the client's own of its two dialects.
			if (row.ID == "openai" || row.ID == "azure") && strings.HasPrefix(f.name, "responses") != (from == llm.Responses) {
				continue
			}
			streamed := f.status == 200 && !strings.HasPrefix(f.body, "{")
			t.Run(f.provider+", "+f.name+", asked in "+string(from), func(t *testing.T) {
				t.Parallel()
				header := map[string]string{}
				if streamed {
					header["Content-Type"] = "text/event-stream"
				}
				p, err := New(Options{Row: row, Key: "sk-of-the-gateway", BaseURL: "https://x.test", Transport: failing{f.status, header, f.body}})
				if err != nil {
					t.Fatal(err)
				}
				d := draft(t, from, ask)
				d.Head.Stream = streamed
				got, err := refusedBy(p.Send(context.Background(), "m", &llm.Capability{}, d))
				if err != nil || got != f.want {
					t.Errorf("%+v, %v; want %+v", got, err, f.want)
				}
			})
		}
	}
}

// refusedBy reads an answer to its end and says what is said of its refusal.
func refusedBy(ans *llm.Answer, err error) (llm.Refused, error) {
	if e, ok := errors.AsType[*llm.Error](err); ok && e.Class == llm.ContentRefused {
		return e.Refused, nil
	}
	if err != nil {
		return llm.Refused{}, err
	}
	finish := ans.Glance.Finish
	if ans.Response != nil && ans.Response.Finish.Refused != finish.Refused {
		return llm.Refused{}, errors.New("the words and the glance differ")
	}
	if ans.Stream != nil {
		defer ans.Stream.Close()
		for {
			p, err := ans.Stream.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return llm.Refused{}, err
			}
			for i := range p.Events {
				if p.Events[i].Kind == llm.EventFinish {
					finish = p.Events[i].Finish
				}
			}
		}
	}
	if finish.Reason != llm.FinishRefusal {
		return llm.Refused{}, errors.New("it ends with " + string(finish.Reason) + " " + string(bytes.Clone(ans.Body)))
	}
	return finish.Refused, nil
}

// TestCategories: every word stands for one of the categories that are counted.
func TestCategories(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"": true}
	for _, c := range llm.Categories() {
		known[c] = true
		if got := llm.CategoryOf(c); c != "other" && got == "other" && !map[string]bool{"civic": true, "copyright": true, "minors": true, "misalignment": true, "personal_data": true}[c] {
			t.Errorf("%s is not its own word", c)
		}
	}
	for word, want := range map[string]string{"": "", "HARM_CATEGORY_HATE_SPEECH": "hate", "sexual/minors": "minors", "self-harm": "self_harm", "of tomorrow": "other", strings.Repeat("x", 99): "other"} {
		if got := llm.CategoryOf(word); got != want || !known[got] {
			t.Errorf("%q is %q, want %q", word, got, want)
		}
	}
}
