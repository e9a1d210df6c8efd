package provider

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/catalog"
	"headrace/internal/llm"
)

// bills are usage objects in the shapes that each provider sends (recorded
// 2025 and 2026; the figures are ours), the five buckets that they mean, and
// what the provider's own formula makes of them in nanodollars:
//
//	sum of bucket x price per million tokens, or the cost that it reports.
var bills = []struct {
	provider, model, name string
	at                    string // UTC
	usage                 string
	want                  llm.Usage
	cost                  llm.Nanodollars
}{
	// 1000 x 5 + 4000 x 0.5 + 100 x 6.25 + 200 x 10 + 50 x 25 dollars a million.
	{"anthropic", "claude-opus-5", "writes of both kinds", "", `{"input_tokens":1000,"cache_read_input_tokens":4000,"cache_creation_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":50,"output_tokens_details":{"thinking_tokens":20}}`,
		llm.Usage{Input: 1000, CacheRead: 4000, CacheWrite5m: 100, CacheWrite1h: 200, Output: 50, Reasoning: 20}, 5_000_000 + 2_000_000 + 625_000 + 2_000_000 + 1_250_000},
	{"anthropic", "claude-sonnet-5-5", "reads before the fall of their price", "2026-10-06T12:00:00Z", `{"input_tokens":0,"cache_read_input_tokens":1000,"output_tokens":0}`, llm.Usage{CacheRead: 1000}, 200_000},
	{"anthropic", "claude-sonnet-5-5", "and after it", "2026-10-07T12:00:00Z", `{"input_tokens":0,"cache_read_input_tokens":1000,"output_tokens":0}`, llm.Usage{CacheRead: 1000}, 100_000},
	{"anthropic", "claude-haiku-5-5", "a prompt of 100,000, most of it cached", "", `{"input_tokens":1000,"cache_read_input_tokens":99000,"output_tokens":10}`, llm.Usage{Input: 1000, CacheRead: 99000, Output: 10}, 100_000 + 990_000 + 5_000},
	{"anthropic", "claude-haiku-5-5", "one token more: all of it at the other card", "", `{"input_tokens":1001,"cache_read_input_tokens":99000,"output_tokens":10}`, llm.Usage{Input: 1001, CacheRead: 99000, Output: 10}, 500_500 + 4_950_000 + 25_000},
	{"openai", "gpt-5", "cached, reasoning inside", "", `{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		llm.Usage{Input: 86, CacheRead: 1920, Output: 300, Reasoning: 256}, 86*1250 + 1920*125 + 300*10000},
	{"openai", "gpt-6-sol", "a write to the cache", "", `{"prompt_tokens":3000,"completion_tokens":10,"total_tokens":3010,"prompt_tokens_details":{"cached_tokens":1000,"cache_write_tokens":1500}}`,
		llm.Usage{Input: 500, CacheRead: 1000, CacheWrite5m: 1500, Output: 10}, 500*2000 + 1000*200 + 1500*2500 + 10*10000},
	{"openai", "gpt-6-sol", "over 272,000", "", `{"prompt_tokens":272001,"completion_tokens":1,"total_tokens":272002}`, llm.Usage{Input: 272001, Output: 1}, 272001*4000 + 15000},
	{"azure", "gpt-4.1", "with its timings", "", `{"completion_tokens":40,"completion_tokens_details":{"reasoning_tokens":0},"latency_checkpoint":{"engine_ttft_ms":31},"prompt_tokens":50,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0},"total_tokens":90}`, llm.Usage{Input: 50, Output: 40}, 50*2000 + 40*8000},
	{"deepseek", "deepseek-v4-pro", "a Wednesday, peak hours", "2026-11-25T09:59:59Z", `{"prompt_tokens":3000,"completion_tokens":100,"total_tokens":3100,"prompt_tokens_details":{"cached_tokens":2000},"completion_tokens_details":{"reasoning_tokens":60},"prompt_cache_hit_tokens":2000,"prompt_cache_miss_tokens":1000}`,
		llm.Usage{Input: 1000, CacheRead: 2000, Output: 100, Reasoning: 60}, 1000*1320 + 2000*44 + 100*3960},
	{"deepseek", "deepseek-v4-pro", "a second later", "2026-11-25T10:00:00Z", `{"prompt_tokens":3000,"completion_tokens":100,"total_tokens":3100,"prompt_cache_hit_tokens":2000,"prompt_cache_miss_tokens":1000}`,
		llm.Usage{Input: 1000, CacheRead: 2000, Output: 100}, 1000*660 + 2000*22 + 100*1980},
	{"deepseek", "deepseek-v4-pro", "a Sunday", "2026-11-22T02:00:00Z", `{"prompt_tokens":1000,"completion_tokens":0,"total_tokens":1000,"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":1000}`, llm.Usage{Input: 1000}, 660_000},
	{"deepseek", "deepseek-v4-pro", "before there were peaks", "2026-08-14T02:00:00Z", `{"prompt_tokens":1000,"completion_tokens":0,"total_tokens":1000}`, llm.Usage{Input: 1000}, 435_000},
	{"mistral", "mistral-large-latest", "plain", "", `{"prompt_tokens":10,"total_tokens":25,"completion_tokens":15,"prompt_audio_seconds":null,"num_cached_tokens":0}`, llm.Usage{Input: 10, Output: 15}, 10*500 + 15*1500},
	{"mistral", "mistral-large-latest", "audio beside the prompt", "", `{"completion_tokens":15,"prompt_audio_seconds":5,"prompt_tokens":11,"prompt_tokens_details":{"audio_tokens":375,"cached_tokens":0},"total_tokens":401}`, llm.Usage{Input: 386, Output: 15}, 386*500 + 15*1500},
	{"groq", "openai/gpt-oss-20b", "with its timings", "", `{"queue_time":0.02,"prompt_tokens":1795,"prompt_time":0.1,"completion_tokens":16,"completion_time":0.02,"total_tokens":1811,"total_time":0.02,"prompt_tokens_details":{"cached_tokens":1792},"completion_tokens_details":{"reasoning_tokens":14}}`,
		llm.Usage{Input: 3, CacheRead: 1792, Output: 16, Reasoning: 14}, 3*75 + 67_200 + 16*300},
	{"xai", "grok-4.3", "thinking beside, told by the total", "", `{"prompt_tokens":401,"completion_tokens":44,"total_tokens":630,"prompt_tokens_details":{"cached_tokens":305},"completion_tokens_details":{"reasoning_tokens":185},"num_sources_used":0}`,
		llm.Usage{Input: 96, CacheRead: 305, Output: 229, Reasoning: 185}, 96*1250 + 305*200 + 229*2500},
	{"xai", "grok-4.3", "what it charges wins: ticks of 1e-10", "", `{"prompt_tokens":401,"completion_tokens":44,"total_tokens":630,"prompt_tokens_details":{"cached_tokens":305},"completion_tokens_details":{"reasoning_tokens":185},"cost_in_usd_ticks":1489500}`,
		llm.Usage{Input: 96, CacheRead: 305, Output: 229, Reasoning: 185, Reported: 148_950, HasReported: true}, 148_950},
	{"deepinfra", "google/gemma-4-31B-it", "thinking beside, not in the total", "", `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"completion_tokens_details":{"reasoning_tokens":50}}`, llm.Usage{Input: 100, Output: 70, Reasoning: 50}, 100*130 + 70*380},
	{"deepinfra", "google/gemma-4-31B-it", "what it estimates wins", "", `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"estimated_cost":0.000012}`, llm.Usage{Input: 100, Output: 20, Reported: 12_000, HasReported: true}, 12_000},
	{"cerebras", "gpt-oss-120b", "plain", "", `{"completion_tokens":415,"completion_tokens_details":{"reasoning_tokens":406},"prompt_tokens":17,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":432}`, llm.Usage{Input: 17, Output: 415, Reasoning: 406}, 17*350 + 415*750},
	{"moonshot", "kimi-k2-thinking", "cached at the top level", "", `{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50,"cached_tokens":10,"completion_tokens_details":{"reasoning_tokens":22}}`, llm.Usage{Input: 10, CacheRead: 10, Output: 30, Reasoning: 22}, 10*600 + 10*150 + 30*2500},
	{"zai", "glm-4.5", "plain", "", `{"completion_tokens":252,"completion_tokens_details":{"reasoning_tokens":194},"prompt_tokens":312,"prompt_tokens_details":{"cached_tokens":43},"total_tokens":564}`, llm.Usage{Input: 269, CacheRead: 43, Output: 252, Reasoning: 194}, 269*600 + 43*110 + 252*2200},
	{"qwen", "qwen3-max", "reads and writes inside the prompt", "", `{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,"prompt_tokens_details":{"cached_tokens":300,"cache_creation_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":200}}}`,
		llm.Usage{Input: 500, CacheRead: 300, CacheWrite5m: 200, Output: 10}, 1000*1200 + 10*6000},
	{"minimax", "MiniMax-M2.5", "at its Anthropic door", "", `{"input_tokens":100,"output_tokens":20,"cache_creation_input_tokens":40,"cache_read_input_tokens":60}`, llm.Usage{Input: 100, CacheRead: 60, CacheWrite5m: 40, Output: 20}, 100*300 + 60*30 + 40*375 + 20*1200},
	{"cohere", "command-a-03-2025", "at its OpenAI door", "", `{"prompt_tokens":34,"completion_tokens":70,"total_tokens":104}`, llm.Usage{Input: 34, Output: 70}, 34*2500 + 70*10000},
	{"together", "MiniMaxAI/MiniMax-M3", "plain", "", `{"prompt_tokens":41,"completion_tokens":15,"total_tokens":56,"cached_tokens":11}`, llm.Usage{Input: 30, CacheRead: 11, Output: 15}, 30*300 + 11*60 + 15*1200},
	{"fireworks", "accounts/fireworks/models/glm-5p2", "plain", "", `{"prompt_tokens":100,"total_tokens":120,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":50}}`, llm.Usage{Input: 50, CacheRead: 50, Output: 20}, 50*1400 + 50*260 + 20*4400},
	{"perplexity", "sonar", "its own bill, the request's price in it", "", `{"prompt_tokens":45,"completion_tokens":482,"total_tokens":527,"search_context_size":"low","cost":{"input_tokens_cost":0.00009,"output_tokens_cost":0.00386,"request_cost":0.006,"total_cost":0.00995}}`,
		llm.Usage{Input: 45, Output: 482, Reported: 9_950_000, HasReported: true}, 9_950_000},
	{"openrouter", "anthropic/claude-opus-4.8", "its own bill", "", `{"prompt_tokens":2317,"completion_tokens":53,"total_tokens":2370,"cost":0.0076509169,"is_byok":false,"prompt_tokens_details":{"cached_tokens":300,"cache_write_tokens":17},"cost_details":{"upstream_inference_cost":0.0006509169}}`,
		llm.Usage{Input: 2000, CacheRead: 300, CacheWrite5m: 17, Output: 53, Reported: 7_650_917, HasReported: true}, 7_650_917},
	{"openrouter", "anthropic/claude-opus-4.8", "the caller's own key: its fee and the upstream's bill", "", `{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.0001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.002}}`,
		llm.Usage{Input: 10, Output: 5, Reported: 2_100_000, HasReported: true}, 2_100_000},
	{"gemini", "gemini-2.5-flash", "thinking beside the answer", "", `{"promptTokenCount":35,"candidatesTokenCount":12,"thoughtsTokenCount":62,"totalTokenCount":109}`, llm.Usage{Input: 35, Output: 74, Reasoning: 62}, 35*300 + 74*2500},
	{"gemini", "gemini-4-argon", "before its price doubles", "2026-11-30T23:59:59Z", `{"promptTokenCount":100,"candidatesTokenCount":10,"totalTokenCount":110}`, llm.Usage{Input: 100, Output: 10}, 100*2000 + 10*10000},
	{"gemini", "gemini-4-argon", "and after", "2026-12-01T00:00:00Z", `{"promptTokenCount":100,"candidatesTokenCount":10,"totalTokenCount":110}`, llm.Usage{Input: 100, Output: 10}, 100*4000 + 10*20000},
}

// TestBills reads each usage object as its provider's row would and prices it.
func TestBills(t *testing.T) {
	t.Parallel()
	c, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bills {
		t.Run(b.provider+"/"+b.name, func(t *testing.T) {
			row, _ := c.Provider(b.provider)
			at, err := time.Parse(time.RFC3339, b.at)
			if b.at == "" {
				at, err = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), nil
			}
			if err != nil {
				t.Fatal(err)
			}
			// Whole and streamed, for a client of the same dialect and of the other.
			whole := `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":` + b.usage + `}`
			stream := "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"x\",\"model\":\"m\",\"choices\":[],\"usage\":" + b.usage + "}\n\ndata: [DONE]\n\n"
			if row.Dialect == llm.Anthropic {
				whole = `{"id":"x","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":` + b.usage + `}`
				stream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":" + b.usage + "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
			}
			if row.Dialect == llm.Gemini {
				whole = `{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":` + b.usage + `}`
				stream = "data: " + whole + "\n\n"
			}
			for _, d := range []llm.Dialect{llm.OpenAI, llm.Anthropic} {
				for _, streamed := range []bool{false, true} {
					u := &upstream{kind: "application/json", answer: whole}
					body := `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`
					if streamed {
						u = &upstream{kind: "text/event-stream", answer: stream}
						body = `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`
					}
					p, err := New(Options{Row: row, Key: "sk-of-the-gateway", BaseURL: "https://x.test", Transport: u})
					if err != nil {
						t.Fatal(err)
					}
					ans, err := p.Send(context.Background(), b.model, &llm.Capability{}, draft(t, d, body))
					if err != nil {
						t.Fatal(err)
					}
					got := ans.Glance.Usage
					if ans.Stream != nil {
						got = streamedUsage(t, ans.Stream)
					}
					b.want.Source = llm.UsageProvider
					if diff := cmp.Diff(b.want, got, cmpopts.IgnoreFields(llm.Usage{}, "Raw")); diff != "" {
						t.Errorf("client of %s, streamed %v (-want +got):\n%s", d, streamed, diff)
					}
					cost, priced := c.Cost(b.provider, b.model, got, at)
					if !priced || cost != b.cost {
						t.Errorf("client of %s, streamed %v: costs %d (priced %v), the provider's bill says %d", d, streamed, cost, priced, b.cost)
					}
				}
			}
		})
	}
}

func streamedUsage(t *testing.T, s llm.Stream) (u llm.Usage) {
	t.Helper()
	defer s.Close()
	for {
		p, err := s.Next()
		for i := range p.Events {
			if p.Events[i].Kind == llm.EventUsage {
				u = p.Events[i].Usage
			}
		}
		if err != nil {
			return u
		}
	}
}
