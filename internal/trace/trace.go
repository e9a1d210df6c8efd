// Package trace tells a collector of requests and their attempts, as spans by
// OTLP. It makes them of the ledger's rows once these are written, so that no
// request waits for it; what is said and what is answered is never in them.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Options set up a Teller. Endpoint is required, or Exporter.
type Options struct {
	// Endpoint is the collector's base URL; /v1/traces is added unless it ends so.
	Endpoint string
	// Header is sent to the collector with every message.
	Header map[string]string
	// Sample is the share of the traces that begin here which are told; one that
	// a caller began is told if the caller says so.
	Sample float64
	// Service and Version name this program.
	Service, Version string
	// Log is told when the collector takes nothing.
	Log *slog.Logger
	// Exporter takes the spans in place of the collector; tests set it.
	Exporter sdk.SpanExporter
}

// Teller tells of requests. Safe for concurrent use.
type Teller struct {
	provider *sdk.TracerProvider
	tracer   api.Tracer
	sample   float64
}

// New makes a Teller. It sends in the background until Close.
func New(ctx context.Context, o Options) (*Teller, error) {
	exporter := o.Exporter
	if exporter == nil {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("telemetry.endpoint is no URL")
		}
		if !strings.HasSuffix(u.Path, "/v1/traces") {
			u.Path = strings.TrimRight(u.Path, "/") + "/v1/traces"
		}
		// The library tells of failures through a hook of its whole process.
		c := &complainer{log: o.Log}
		otel.SetErrorHandler(otel.ErrorHandlerFunc(c.hear))
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHeaders(o.Header),
			otlptracehttp.WithTimeout(10*time.Second))
		if err != nil {
			return nil, fmt.Errorf("telemetry: %w", err)
		}
	}
	about := resource.NewWithAttributes(schemaURL, attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about), sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(given{}))
	return &Teller{provider: p, tracer: p.Tracer("headrace", api.WithInstrumentationVersion(o.Version), api.WithSchemaURL(schemaURL)), sample: o.Sample}, nil
}

// Close sends what is left, as long as ctx allows.
func (t *Teller) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// complainer logs failures once a minute.
type complainer struct {
	log  *slog.Logger
	mu   sync.Mutex // guards last
	last time.Time
}

func (c *complainer) hear(err error) {
	if c.log == nil {
		return
	}
	c.mu.Lock()
	now := time.Now()
	due := now.Sub(c.last) >= time.Minute
	if due {
		c.last = now
	}
	c.mu.Unlock()
	if due {
		c.log.Warn("traces cannot be told", "error", err)
	}
}

// Begin gives a request its place: in the trace of its caller, or in one of its
// own.
func (t *Teller) Begin(h http.Header) *llm.Trace {
	var fresh [24]byte
	rand.Read(fresh[:]) // never fails
	at, ok := llm.ReadTrace(h)
	if !ok {
		at = llm.Trace{ID: [16]byte(fresh[8:])}
		at.Sampled = t.sample >= 1 || float64(binary.BigEndian.Uint64(at.ID[8:])>>11)/(1<<53) < t.sample
	}
	at.Span = [8]byte(fresh[:8])
	return &at
}

// Tell tells of a request that has ended and is priced.
func (t *Teller) Tell(e *ledger.Entry) {
	at := e.Trace
	if at == nil || !at.Sampled {
		return
	}
	ctx := context.Background()
	if at.Parent != [8]byte{} {
		ctx = api.ContextWithRemoteSpanContext(ctx, api.NewSpanContext(api.SpanContextConfig{
			TraceID: at.ID, SpanID: at.Parent, TraceFlags: api.FlagsSampled, Remote: true}))
	}
	op := operation(e.Op)
	ctx, span := t.tracer.Start(with(ctx, at.ID, at.Span), strings.TrimSpace(op+" "+e.Asked), api.WithTimestamp(e.At), api.WithSpanKind(api.SpanKindServer))
	span.SetAttributes(operationName.String(op), requestModel.String(e.Asked), requestStream.Bool(e.Streamed),
		requestID.String(e.ID.String()), dialect.String(string(e.Dialect)), keyID.String(e.KeyID), httpStatus.Int(e.Status), attempts.Int(len(e.Attempts)))
	if e.Team != "" {
		span.SetAttributes(team.String(e.Team))
	}
	if e.FirstByte > 0 {
		span.SetAttributes(firstChunk.Float64(e.FirstByte.Seconds()))
	}
	usage(span, &e.Usage)
	price(span, e.Cost, e.Priced)
	failed(span, e.Class, "")
	for i := range e.Attempts {
		t.attempt(ctx, at, e, &e.Attempts[i])
	}
	span.End(api.WithTimestamp(e.At.Add(e.Total)))
}

func (t *Teller) attempt(ctx context.Context, at *llm.Trace, e *ledger.Entry, a *ledger.Attempt) {
	op := operation(e.Op)
	_, span := t.tracer.Start(with(ctx, at.ID, at.Attempt(a.N)), strings.TrimSpace(op+" "+a.Model), api.WithTimestamp(a.Start), api.WithSpanKind(api.SpanKindClient))
	name := providers[a.Provider]
	if name == "" {
		name = a.Provider
	}
	span.SetAttributes(operationName.String(op), providerName.String(name), requestModel.String(a.Model), requestStream.Bool(e.Streamed),
		attempt.Int(a.N), why.String(a.Why))
	if a.Status != 0 {
		span.SetAttributes(httpStatus.Int(a.Status))
	}
	if a.UpstreamID != "" {
		span.SetAttributes(responseID.String(a.UpstreamID))
	}
	if a.Class == "" {
		span.SetAttributes(responseModel.String(a.Model))
	}
	if a.Finish != "" {
		word := string(a.Finish)
		if known := finishes[word]; known != "" {
			word = known
		}
		span.SetAttributes(finishReasons.StringSlice([]string{word}))
	}
	if a.FirstByte > 0 {
		span.SetAttributes(firstChunk.Float64(a.FirstByte.Seconds()))
	}
	usage(span, &a.Usage)
	price(span, a.Cost, a.Priced)
	failed(span, a.Class, a.Message)
	span.End(api.WithTimestamp(a.Start.Add(a.Total)))
}

func operation(op llm.Op) string {
	if known := operations[string(op)]; known != "" {
		return known
	}
	return string(op)
}

func usage(span api.Span, u *llm.Usage) {
	if u.Source == "" {
		return
	}
	span.SetAttributes(inputTokens.Int64(u.Prompt()), outputTokens.Int64(u.Output))
	for _, one := range []struct {
		key attribute.Key
		n   int64
	}{{cacheReadTokens, u.CacheRead}, {cacheWriteToken, u.CacheWrite5m + u.CacheWrite1h}, {reasoningTokens, u.Reasoning}} {
		if one.n > 0 {
			span.SetAttributes(one.key.Int64(one.n))
		}
	}
}

// price tells what it cost, or that nobody knows: an unknown price is never 0.
func price(span api.Span, c llm.Nanodollars, priced bool) {
	if priced {
		span.SetAttributes(costUSD.Float64(math.Round(float64(c)) / 1e9))
	} else {
		span.SetAttributes(unpriced.Bool(true))
	}
}

// failed marks what did not end well. The message is a provider's, about an
// error, as the ledger keeps it.
func failed(span api.Span, class llm.Class, message string) {
	if class == "" {
		return
	}
	span.SetAttributes(errorType.String(string(class)))
	span.SetStatus(codes.Error, message)
}

// given are ids that are known beforehand.
type given struct{}

type ids struct {
	trace api.TraceID
	span  api.SpanID
}

type idsKey struct{}

func with(ctx context.Context, trace [16]byte, span [8]byte) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{trace, span})
}

// NewIDs gives the ids of a span that begins a trace.
func (given) NewIDs(ctx context.Context) (api.TraceID, api.SpanID) {
	v, ok := ctx.Value(idsKey{}).(ids)
	if !ok {
		rand.Read(v.trace[:])
		rand.Read(v.span[:])
	}
	return v.trace, v.span
}

// NewSpanID gives the id of a span within a trace.
func (g given) NewSpanID(ctx context.Context, _ api.TraceID) api.SpanID {
	_, span := g.NewIDs(ctx)
	return span
}
