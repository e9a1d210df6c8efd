package cli

import (
	"strings"
	"testing"

	"headrace/internal/admin"
)

func TestReadExport(t *testing.T) {
	t.Parallel()
	day := func(b bill) map[dayModel]bill { return map[dayModel]bill{{"2026-11-23", "m"}: b} }
	for _, c := range []struct {
		name, text string
		want       map[dayModel]bill
		err        string
	}{
		{"anthropic usage", `{"data":[{"starting_at":"2026-11-23T00:00:00Z","ending_at":"2026-11-24T00:00:00Z","results":[
			{"uncached_input_tokens":100,"cache_creation":{"ephemeral_1h_input_tokens":1,"ephemeral_5m_input_tokens":20},"cache_read_input_tokens":300,"output_tokens":7,"server_tool_use":{"web_search_requests":0},"model":"m","service_tier":"standard"},
			{"uncached_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"cache_read_input_tokens":0,"output_tokens":3,"model":"m","service_tier":"batch"}]}],"has_more":false,"next_page":null}`,
			day(bill{Input: 421, Output: 10, HasTokens: true}), ""},
		{"anthropic cost", `{"data":[{"starting_at":"2026-11-23T00:00:00Z","results":[{"currency":"USD","amount":"123.4567","model":"m","cost_type":"tokens"}]}],"has_more":false}`,
			day(bill{Cost: 1_234_567_000, HasCost: true}), ""},
		{"openai usage, two pages", `{"object":"page","data":[{"object":"bucket","start_time":1795392000,"end_time":1795478400,"results":[{"object":"organization.usage.completions.result","input_tokens":1000,"output_tokens":500,"input_cached_tokens":800,"num_model_requests":5,"model":"m"}]}],"has_more":true,"next_page":"x"}
			{"object":"page","data":[{"object":"bucket","start_time":1795435200,"results":[{"input_tokens":1,"output_tokens":2,"model":"m"}]}],"has_more":false}`,
			day(bill{Input: 1001, Output: 502, HasTokens: true}), ""},
		{"openai costs", `{"object":"page","data":[{"object":"bucket","start_time":1795392000,"results":[{"object":"organization.costs.result","amount":{"value":0.06,"currency":"usd"},"line_item":"m, input"},{"amount":{"value":0.01,"currency":"usd"},"line_item":"m, output"}]}]}`,
			day(bill{Cost: 70_000_000, HasCost: true}), ""},
		{"csv of tokens", "\xef\xbb\xbfusage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens\n2026-11-23,m,k,10,5,7\n2026-11-23,m,k2,1,,1\n",
			day(bill{Input: 16, Output: 8, HasTokens: true}), ""},
		{"csv of costs", "date,model,cost_usd\n2026-11-23T00:00:00Z,m,1.25\n", day(bill{Cost: 1_250_000_000, HasCost: true}), ""},
		{"euros", `{"data":[{"start_time":1795392000,"results":[{"amount":{"value":1,"currency":"eur"}}]}]}`, nil, "only US dollars"},
		{"another answer", `{"error":{"message":"no"}}`, nil, "no usage or cost answer"},
		{"no time", `{"data":[{"results":[]}]}`, nil, "without starting_at"},
		{"csv of something else", "a,b\n1,2\n", nil, "needs a column"},
		{"csv with words for numbers", "date,cost\n2026-11-23,much\n", nil, "row 2"},
		{"nothing", "", nil, "neither JSON nor CSV"},
	} {
		got, err := readExport("x", []byte(c.text))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, %v", c.name, got, err)
			}
			continue
		}
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		for k, want := range c.want {
			if got[k] != want {
				t.Errorf("%s: %v has %+v, want %+v", c.name, k, got[k], want)
			}
		}
	}
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	rows := []admin.UsageRow{
		{Name: "2026-11-23 anthropic/claude-x", Input: 90, CacheRead: 10, Output: 50, Cost: 1000},
		{Name: "2026-11-23 anthropic/claude-x-20260101", Input: 100, Output: 50, Cost: 1000},
		{Name: "2026-11-24 anthropic/claude-y", Input: 5, Output: 5},
		{Name: "2026-11-23 openai/claude-x", Input: 7e6},
		{Name: "2026-11-23 "},
	}
	usage := map[dayModel]bill{
		{"2026-11-23", "claude-x-20260101"}: {Input: 200, Output: 102, HasTokens: true},
		{"2026-11-24", "claude-z"}:          {Input: 1, Output: 1, HasTokens: true},
	}
	for _, c := range []struct {
		tolerance float64
		over      string
	}{{1, "x y z"}, {2, "y z"}, {100, ""}} {
		var over []string
		lines := reconcile(usage, rows, "anthropic", c.tolerance)
		for _, l := range lines {
			if l.Over {
				over = append(over, strings.TrimPrefix(l.Model, "claude-"))
			}
		}
		if got := strings.Join(over, " "); got != c.over || len(lines) != 3 || lines[0].Ours.Input != 200 || lines[0].Model != "claude-x" {
			t.Errorf("tolerance %g: over are %q, want %q; %+v", c.tolerance, got, c.over, lines)
		}
	}
	costs := map[dayModel]bill{{"2026-11-23", ""}: {Cost: 2000, HasCost: true}, {"2026-11-24", ""}: {HasCost: true}}
	for _, l := range reconcile(costs, rows, "anthropic", 0) {
		if l.Over {
			t.Errorf("costs of a day: %+v", l)
		}
	}
}
