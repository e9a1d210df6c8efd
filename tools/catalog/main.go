// Command catalog makes internal/catalog/data/models.rows from a table of
// models: a TSV file whose first line names its columns, with one model a line,
// distilled from models.dev. Run it in tools/:
//
//	go run ./catalog -models models.tsv -date 2026-07-02 -from "models.dev f3fc692" -skip azure/claude- -o ../internal/catalog/data/models.rows
//
// Claude at Azure is left out: it speaks Anthropic's dialect, the row azure
// OpenAI's.
//
// Providers that the program has no row for are left out and named on standard
// error.
package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/catalog"
)

func main() {
	models := flag.String("models", "", "table of models, TSV")
	date := flag.String("date", "", "date of the table, 2006-01-02")
	from := flag.String("from", "models.dev", "where the table comes from")
	skip := flag.String("skip", "", "comma-separated beginnings of provider/model to leave out")
	out := flag.String("o", "", "file to write; empty means standard output")
	flag.Parse()
	if err := run(*models, *date, *from, *skip, *out); err != nil {
		fmt.Fprintln(os.Stderr, "catalog:", err)
		os.Exit(1)
	}
}

func run(models, date, from, skip, out string) error {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return err
	}
	f, err := os.Open(models)
	if err != nil {
		return err
	}
	defer f.Close()
	listing, err := convert(f, strings.FieldsFunc(skip, func(r rune) bool { return r == ',' }))
	if err != nil {
		return fmt.Errorf("%s: %w", models, err)
	}
	r, err := catalog.ParseRefresh(listing, day)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d models; no provider row for %s\n", r.Models, strings.Join(r.Skipped, ", "))
	rows := bytes.Replace(r.Bytes(), []byte("@source models.dev "), []byte("@source "+from+" "), 1)
	if out == "" {
		_, err = os.Stdout.Write(rows)
		return err
	}
	return os.WriteFile(out, rows, 0o644)
}

// convert turns the table into the form of models.dev's api.json.
func convert(r io.Reader, skip []string) ([]byte, error) {
	t := csv.NewReader(bufio.NewReader(r))
	t.Comma = '\t'
	t.LazyQuotes = true
	head, err := t.Read()
	if err != nil {
		return nil, err
	}
	type provider struct {
		Models map[string]any `json:"models"`
	}
	all := map[string]provider{}
	for {
		rec, err := t.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		row := map[string]string{}
		for i, name := range head {
			row[name] = rec[i]
		}
		if slices.ContainsFunc(skip, func(s string) bool { return strings.HasPrefix(row["provider"]+"/"+row["model"], s) }) {
			continue
		}
		m, err := model(row)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", row["provider"], row["model"], err)
		}
		p := all[row["provider"]]
		if p.Models == nil {
			p.Models = map[string]any{}
		}
		p.Models[row["model"]] = m
		all[row["provider"]] = p
	}
	return json.Marshal(all, json.Deterministic(true))
}

func model(row map[string]string) (map[string]any, error) {
	number := func(name string) (int64, error) {
		if row[name] == "" {
			return 0, nil
		}
		return strconv.ParseInt(row[name], 10, 64)
	}
	context, err1 := number("context")
	output, err2 := number("max_output")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	m := map[string]any{
		"name": row["name"], "family": row["family"],
		"tool_call": row["tools"] == "1", "reasoning": row["reasoning"] == "1",
		"structured_output": row["structured_output"] == "1", "temperature": row["temperature_ok"] == "1",
		"release_date": row["released"], "open_weights": row["open_weights"] == "1", "status": row["status"],
		"modalities": map[string]any{"input": strings.Split(row["in_modalities"], "+"), "output": strings.Split(row["out_modalities"], "+")},
		"limit":      map[string]any{"context": context, "output": output},
	}
	cost := map[string]any{}
	for to, name := range map[string]string{"input": "usd_in_per_m", "output": "usd_out_per_m", "cache_read": "usd_cache_read_per_m", "cache_write": "usd_cache_write_per_m"} {
		if v := row[name]; v != "" {
			cost[to] = jsontext.Value(v)
		}
	}
	if v := row["price_tiers"]; v != "" {
		cost["tiers"] = jsontext.Value(v)
	}
	if len(cost) > 0 {
		m["cost"] = cost
	}
	var options []any
	for o := range strings.SplitSeq(row["reasoning_options"], ";") {
		kind, values, _ := strings.Cut(o, ":")
		switch kind {
		case "":
		case "effort":
			options = append(options, map[string]any{"type": kind, "values": strings.Split(values, ",")})
		default:
			options = append(options, map[string]any{"type": kind})
		}
	}
	if options != nil {
		m["reasoning_options"] = options
	}
	return m, nil
}
