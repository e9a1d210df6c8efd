package app

import (
	"context"
	"encoding/hex"
	"time"

	"headrace/internal/config"
	"headrace/internal/ledger"
	"headrace/internal/trace"
)

// teller makes what tells a collector of requests; nil when the configuration
// names none.
func (a *App) teller(ctx context.Context, c *config.Telemetry) (*trace.Teller, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	header := map[string]string{}
	for name, v := range c.Headers {
		header[name] = v.Reveal()
	}
	return trace.New(ctx, trace.Options{Endpoint: c.Endpoint, Header: header, Sample: c.Sample, Service: c.Service, Version: a.o.Version, Log: a.log})
}

// told takes each row once it is written: for the log, and for the collector.
func (a *App) told(e *ledger.Entry) {
	switch a.config().Log.Requests {
	case "all":
		a.logRequest(e)
	case "failed":
		if e.Class != "" {
			a.logRequest(e)
		}
	}
	if a.traces != nil {
		a.traces.Tell(e)
	}
	a.alerts.row(e)
}

// logRequest writes a line about a request. Nothing of what was said is in it.
func (a *App) logRequest(e *ledger.Entry) {
	words := []any{"request", e.ID.String(), "key", e.KeyID, "dialect", e.Dialect, "op", e.Op, "asked", e.Asked, "status", e.Status}
	if e.Class != "" {
		words = append(words, "class", e.Class)
	}
	if last := e.Last(); last != nil {
		words = append(words, "provider", last.Provider, "model", last.Model)
	}
	words = append(words, "attempts", len(e.Attempts), "input", e.Usage.Prompt(), "output", e.Usage.Output,
		"first_byte_ms", e.FirstByte.Milliseconds(), "total_ms", e.Total.Milliseconds())
	if e.Priced {
		words = append(words, "cost_usd", float64(e.Cost)/1e9)
	} else {
		words = append(words, "unpriced", true)
	}
	if e.Team != "" {
		words = append(words, "team", e.Team)
	}
	if e.Trace != nil {
		words = append(words, "trace", hex.EncodeToString(e.Trace.ID[:]))
	}
	a.log.Info("request", words...)
}

// tellIn is how long the collector has for the last spans.
const tellIn = 5 * time.Second

// tellLast sends what no collector has taken yet.
func (a *App) tellLast() {
	if a.traces == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellIn)
	defer cancel()
	if err := a.traces.Close(ctx); err != nil {
		a.log.Warn("the last traces could not be told", "error", err)
	}
}
