package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

type reconcileCommand struct {
	Provider  string  `required:"" placeholder:"ID" help:"Whose export it is, such as anthropic or openai."`
	File      string  `required:"" placeholder:"FILE" help:"The export: a page of the provider's usage or cost API (JSON), several of them one after another, or CSV. - is standard input."`
	Tolerance float64 `default:"1" placeholder:"PERCENT" help:"How far tokens and cost of a day and model may be apart. Above it the exit code is 1."`
}

// bill is what somebody says of one day and model. Has says which figures it
// names.
type bill struct {
	Input     int64           `json:"input_tokens"`
	Output    int64           `json:"output_tokens"`
	Cost      llm.Nanodollars `json:"cost_nanodollars"`
	HasTokens bool            `json:"has_tokens"`
	HasCost   bool            `json:"has_cost"`
}

func (b *bill) add(o bill) {
	b.Input += o.Input
	b.Output += o.Output
	b.Cost += o.Cost
	b.HasTokens, b.HasCost = b.HasTokens || o.HasTokens, b.HasCost || o.HasCost
}

// dayModel is a UTC day and a model; an export that is not grouped by model has
// none.
type dayModel struct{ day, model string }

// compared is one line of a reconciliation. Drift is theirs against ours in
// percent of theirs; the larger one of tokens and cost.
type compared struct {
	Day    string  `json:"day"`
	Model  string  `json:"model"`
	Theirs bill    `json:"provider"`
	Ours   bill    `json:"ledger"`
	Drift  float64 `json:"drift_percent"`
	Over   bool    `json:"over_tolerance"`
}

func (r *reconcileCommand) Run(ctx context.Context, p *process) error {
	if !(r.Tolerance >= 0) {
		return &failure{ExitUsage, errors.New("--tolerance is a percentage of at least 0")}
	}
	text, err := p.fetch(ctx, r.File)
	if err != nil {
		return err
	}
	theirs, err := readExport(r.Provider, text)
	if err != nil {
		return fmt.Errorf("%s: %w", r.File, err)
	}
	first, last := "9", ""
	for k := range theirs {
		first, last = min(first, k.day), max(last, k.day)
	}
	end, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return fmt.Errorf("%s holds no day with usage", r.File)
	}
	var a admin.UsageAnswer
	if _, err := p.ask(ctx, http.MethodGet, "usage", url.Values{"by": {"day_model"}, "since": {first}, "until": {end.AddDate(0, 0, 1).Format(time.DateOnly)}}, nil, &a); err != nil {
		return err
	}
	lines := reconcile(theirs, a.Rows, r.Provider, r.Tolerance)
	over := 0
	for _, l := range lines {
		if l.Over {
			over++
		}
	}
	if p.JSON {
		err = p.printJSON(map[string]any{"provider": r.Provider, "tolerance_percent": r.Tolerance, "over": over, "rows": lines})
	} else {
		t := table{head: []string{"day", "model", "in (theirs)", "in (ours)", "out (theirs)", "out (ours)", "cost (theirs)", "cost (ours)", "drift", ""}, right: columns(2, 3, 4, 5, 6, 7, 8)}
		for _, l := range lines {
			in, out, cost, word := "-", "-", "-", ""
			if l.Theirs.HasTokens {
				in, out = number(l.Theirs.Input), number(l.Theirs.Output)
			}
			if l.Theirs.HasCost {
				cost = dollars(l.Theirs.Cost)
			}
			if l.Over {
				word = "over"
			}
			t.row(l.Day, dash(l.Model), in, number(l.Ours.Input), out, number(l.Ours.Output), cost, dollars(l.Ours.Cost), fmt.Sprintf("%.2f %%", l.Drift), word)
		}
		err = t.write(p.out)
	}
	if err == nil && over > 0 {
		err = fmt.Errorf("%d of %d rows are over the tolerance of %g %%", over, len(lines), r.Tolerance)
	}
	return err
}

// reconcile compares day by day and model by model. Models are the same
// whatever date their ids end with. What only one side knows is compared with
// nothing.
func reconcile(theirs map[dayModel]bill, rows []admin.UsageRow, provider string, tolerance float64) []compared {
	merged := map[dayModel]*compared{}
	at := func(k dayModel) *compared {
		if merged[k] == nil {
			merged[k] = &compared{Day: k.day, Model: k.model}
		}
		return merged[k]
	}
	grouped, tokens, cost := false, false, false
	for k, b := range theirs {
		grouped = grouped || k.model != ""
		tokens, cost = tokens || b.HasTokens, cost || b.HasCost
		at(dayModel{k.day, undated(k.model)}).Theirs.add(b)
	}
	for _, row := range rows {
		day, name, _ := strings.Cut(row.Name, " ")
		of, model, _ := strings.Cut(name, "/")
		if of != provider {
			continue
		}
		if !grouped {
			model = ""
		}
		at(dayModel{day, undated(model)}).Ours.add(bill{Input: row.Input + row.CacheRead + row.CacheWrite5m + row.CacheWrite1h,
			Output: row.Output, Cost: row.Cost, HasTokens: true, HasCost: true})
	}
	var lines []compared
	for _, c := range merged {
		// An export says of every day and model the same kinds of figures.
		c.Theirs.HasTokens, c.Theirs.HasCost = tokens, cost
		if tokens {
			c.Drift = max(apart(float64(c.Theirs.Input), float64(c.Ours.Input)), apart(float64(c.Theirs.Output), float64(c.Ours.Output)))
		}
		if cost {
			c.Drift = max(c.Drift, apart(float64(c.Theirs.Cost), float64(c.Ours.Cost)))
		}
		c.Over = c.Drift > tolerance
		lines = append(lines, *c)
	}
	slices.SortFunc(lines, func(a, b compared) int { return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Model, b.Model)) })
	return lines
}

// apart is the distance in percent of theirs; of nothing it is 100.
func apart(theirs, ours float64) float64 {
	switch {
	case theirs == ours:
		return 0
	case theirs == 0:
		return 100
	}
	return math.Abs(ours-theirs) / math.Abs(theirs) * 100
}

var date8 = regexp.MustCompile(`[-@](20[0-9]{6}|20[0-9]{2}-[0-9]{2}-[0-9]{2})$`)

func undated(model string) string { return date8.ReplaceAllString(model, "") }

// readExport reads an export in whatever form it is.
func readExport(provider string, text []byte) (map[dayModel]bill, error) {
	text = bytes.TrimPrefix(bytes.TrimSpace(text), []byte("\xef\xbb\xbf"))
	if len(text) > 0 && text[0] == '{' {
		return readPages(provider, text)
	}
	return readTable(text)
}

// page is what the usage and cost APIs of Anthropic and OpenAI answer (read on
// 2026-11-25): buckets of time with results in them.
type page struct {
	Data []struct {
		StartingAt string `json:"starting_at"` // Anthropic
		StartTime  int64  `json:"start_time"`  // OpenAI, Unix seconds
		Results    []struct {
			Model    string `json:"model"`
			LineItem string `json:"line_item"` // OpenAI costs: "model, what"

			// Anthropic usage: disjoint buckets.
			Uncached      *int64 `json:"uncached_input_tokens"`
			CacheRead     int64  `json:"cache_read_input_tokens"`
			CacheCreation struct {
				M5 int64 `json:"ephemeral_5m_input_tokens"`
				H1 int64 `json:"ephemeral_1h_input_tokens"`
			} `json:"cache_creation"`
			// OpenAI usage: cached tokens are a part of it.
			Input  *int64 `json:"input_tokens"`
			Output int64  `json:"output_tokens"`
			// Costs: a decimal string of cents (Anthropic), or an object with dollars
			// (OpenAI).
			Amount jsontext.Value `json:"amount"`
		} `json:"results"`
	} `json:"data"`
}

func readPages(provider string, text []byte) (map[dayModel]bill, error) {
	found := map[dayModel]bill{}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for d.PeekKind() == '{' {
		var p page
		if err := json.UnmarshalDecode(d, &p); err != nil {
			return nil, fmt.Errorf("a page that cannot be read: %w", err)
		}
		for _, bucket := range p.Data {
			start := time.Unix(bucket.StartTime, 0)
			if bucket.StartingAt != "" {
				var err error
				if start, err = time.Parse(time.RFC3339, bucket.StartingAt); err != nil {
					return nil, fmt.Errorf("starting_at %q is no time", bucket.StartingAt)
				}
			} else if bucket.StartTime == 0 {
				return nil, errors.New("a bucket without starting_at or start_time")
			}
			day := start.UTC().Format(time.DateOnly)
			for _, r := range bucket.Results {
				model := r.Model
				if model == "" {
					model, _, _ = strings.Cut(r.LineItem, ",")
				}
				var b bill
				switch {
				case r.Uncached != nil:
					b = bill{Input: *r.Uncached + r.CacheRead + r.CacheCreation.M5 + r.CacheCreation.H1, Output: r.Output, HasTokens: true}
				case r.Input != nil:
					b = bill{Input: *r.Input, Output: r.Output, HasTokens: true}
				case len(r.Amount) > 0:
					cost, err := amount(r.Amount)
					if err != nil {
						return nil, err
					}
					b = bill{Cost: cost, HasCost: true}
				default:
					return nil, fmt.Errorf("a result of %s with neither tokens nor an amount", day)
				}
				sum := found[dayModel{day, model}]
				sum.add(b)
				found[dayModel{day, model}] = sum
			}
		}
	}
	if _, err := d.ReadToken(); err == nil || len(found) == 0 {
		return nil, fmt.Errorf("this is no usage or cost answer of %s", provider)
	}
	return found, nil
}

// amount reads a cost: "123.45" in cents, or {"value":1.23,"currency":"usd"}.
func amount(raw jsontext.Value) (llm.Nanodollars, error) {
	if raw.Kind() == '"' {
		var cents string
		if err := json.Unmarshal(raw, &cents); err != nil {
			return 0, err
		}
		return money(cents, 1e7)
	}
	var a struct {
		Value    jsontext.Value `json:"value"`
		Currency string         `json:"currency"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return 0, fmt.Errorf("an amount that cannot be read: %w", err)
	}
	if a.Currency != "" && !strings.EqualFold(a.Currency, "usd") {
		return 0, fmt.Errorf("an amount in %s: only US dollars are compared", a.Currency)
	}
	return money(strings.Trim(string(a.Value), `"`), 1e9)
}

func money(s string, unit float64) (llm.Nanodollars, error) {
	f, err := strconv.ParseFloat(strings.TrimPrefix(s, "$"), 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e9 {
		return 0, fmt.Errorf("%q is no sum of money", s)
	}
	return llm.Nanodollars(math.Round(f * unit)), nil
}

// columnNames are what a CSV export may call what is compared; columns of one
// kind are added up.
var columnNames = map[string][]string{
	"day":    {"day", "date", "usage_date", "usage_date_utc", "start_time_iso"},
	"model":  {"model", "model_version", "line_item"},
	"input":  {"input", "input_tokens", "uncached_input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "usage_input_tokens_no_cache", "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h", "usage_input_tokens_cache_read"},
	"output": {"output", "output_tokens", "usage_output_tokens"},
	"cost":   {"cost", "cost_usd", "amount_usd", "amount_value"},
}

func readTable(text []byte) (map[dayModel]bill, error) {
	r := csv.NewReader(bytes.NewReader(text))
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("neither JSON nor CSV: %w", err)
	}
	kinds, has := make([]string, len(head)), map[string]bool{}
	for i, h := range head {
		for kind, names := range columnNames {
			if slices.Contains(names, strings.ToLower(strings.TrimSpace(h))) {
				kinds[i], has[kind] = kind, true
			}
		}
	}
	if !has["day"] || !has["cost"] && !(has["input"] && has["output"]) {
		return nil, fmt.Errorf("the CSV needs a column for the day and columns for input and output tokens or for the cost; it has %s", strings.Join(head, ", "))
	}
	found := map[dayModel]bill{}
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	for n, row := range rows {
		var k dayModel
		b := bill{HasTokens: has["input"] && has["output"], HasCost: has["cost"]}
		for i, cell := range row {
			cell = strings.TrimSpace(cell)
			var err error
			switch kinds[i] {
			case "day":
				k.day = cell[:min(len(cell), 10)]
				_, err = time.Parse(time.DateOnly, k.day)
			case "model":
				k.model, _, _ = strings.Cut(cell, ",")
			case "input", "output":
				var v int64
				if cell != "" {
					v, err = strconv.ParseInt(cell, 10, 64)
				}
				if kinds[i] == "input" {
					b.Input += v
				} else {
					b.Output += v
				}
			case "cost":
				b.Cost, err = money(cmp.Or(cell, "0"), 1e9)
			}
			if err != nil {
				return nil, fmt.Errorf("row %d, %s: %q cannot be read", n+2, head[i], cell)
			}
		}
		sum := found[k]
		sum.add(b)
		found[k] = sum
	}
	if len(found) == 0 {
		return nil, errors.New("the CSV has no rows")
	}
	return found, nil
}
