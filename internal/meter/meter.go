// Package meter shows the gateway's figures in Prometheus' form. It keeps none
// of them: each scrape reads them where they are.
package meter

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"headrace/internal/admission"
	"headrace/internal/guard"
	"headrace/internal/health"
	"headrace/internal/limit"
)

// Options say where the figures are. All are required.
type Options struct {
	// Health has the targets; at most a thousand, which bounds the series.
	Health *health.Table
	// Requests is how many requests are being answered now.
	Requests func() int
	// Rows says how many ledger rows wait to be written and how many were lost.
	Rows func() (waiting, lost int64)
	// Credentials gives the credentials of the providers of which something is
	// kept. There are as many as the configuration names.
	Credentials func() []Credentials
	// Guards says what the rules on requests and answers have found.
	Guards func() []guard.Total
	// Load says how many requests run and wait.
	Load func() admission.Reading
	// Successes gives what the requests of the present UTC day came to, at most a
	// few hundred groups; nil shows none.
	Successes func() []Success
}

// Success is what the requests of one group came to.
type Success struct {
	// Route is the name that was asked for; Task is empty where no client names one.
	Route, Task, Model            string
	Requests, EndedWell, Explicit int64
	Implicit                      int64
	Successes                     float64
	// Dollars is what all attempts cost; PerSuccess means something if HasPerSuccess.
	Dollars, PerSuccess float64
	HasPerSuccess       bool
}

// Credentials are those of one provider.
type Credentials struct {
	Provider string
	States   []limit.State
}

// recent is what the quantiles and ratios look back on.
const recent = 5 * time.Minute

var (
	target = []string{"provider", "model"}
	holder = []string{"provider", "credential"}

	attempts = prometheus.NewDesc("headrace_attempts_total",
		"Attempts at a target that ended, by error class; class is ok for those that succeeded.", append(target, "class"), nil)
	output = prometheus.NewDesc("headrace_output_tokens_total",
		"Tokens that a target generated.", target, nil)
	cost = prometheus.NewDesc("headrace_cost_dollars_total",
		"What the attempts at a target cost in US dollars, as far as their price is known.", target, nil)
	unpriced = prometheus.NewDesc("headrace_unpriced_attempts_total",
		"Attempts at a target whose price is unknown.", target, nil)
	perSuccess = prometheus.NewDesc("headrace_cost_per_success_dollars",
		"Cost of an attempt that succeeded, the failed ones charged to it, over the last 5 minutes. Missing without a success or with an unknown price.", target, nil)
	success = prometheus.NewDesc("headrace_success_ratio",
		"Share of the attempts that succeeded, of those where the target could be at fault, over the last 5 minutes.", target, nil)
	latency = prometheus.NewDesc("headrace_latency_seconds",
		"Percentiles of how long a phase of an attempt took over the last 5 minutes: first_byte, per_token, total.", append(target, "phase", "percentile"), nil)
	aside = prometheus.NewDesc("headrace_breaker_open",
		"1 while a target is set aside or being probed, else 0.", target, nil)
	running = prometheus.NewDesc("headrace_attempts_running",
		"Attempts at a target that are under way.", target, nil)
	requests = prometheus.NewDesc("headrace_requests_running",
		"Requests that are being answered.", nil, nil)
	waiting = prometheus.NewDesc("headrace_ledger_rows_waiting",
		"Ledger rows that are not written yet.", nil, nil)
	lost = prometheus.NewDesc("headrace_ledger_rows_lost_total",
		"Ledger rows lost because the store failed and no room was left.", nil, nil)

	guarded = prometheus.NewDesc("headrace_guard_findings_total",
		"What rules on requests (input) and answers (output) have found, by rule, kind of finding and what was done about it.", []string{"side", "rule", "kind", "action"}, nil)

	group    = []string{"route", "task", "model"}
	answered = prometheus.NewDesc("headrace_route_requests",
		"Requests since the UTC day began, by the name that was asked for, the task and who answered.", group, nil)
	wellEnded = prometheus.NewDesc("headrace_route_ended_well",
		"Those of them that were answered whole and in whose answers no check found a fault.", group, nil)
	spoken = prometheus.NewDesc("headrace_route_feedback",
		"Those of them that something is known of later: explicit is what clients said, implicit a sign of failure.", append(group, "kind"), nil)
	succeeded = prometheus.NewDesc("headrace_route_successes",
		"What they count for: the last explicit score, else 0 after a sign of failure, else 1 if they ended well.", group, nil)
	routeCost = prometheus.NewDesc("headrace_route_cost_dollars",
		"What all attempts at them cost in US dollars, checks, second opinions and failures included, as far as it is known.", group, nil)
	routeEach = prometheus.NewDesc("headrace_route_cost_per_success_dollars",
		"The same for each success. Missing without a success or with an unknown price.", group, nil)

	keyAside = prometheus.NewDesc("headrace_credential_set_aside",
		"1 while a credential is set aside for some operation because its provider refuses it or it has nothing left, else 0.", holder, nil)
	keyPaused = prometheus.NewDesc("headrace_credential_rate_limited",
		"1 while some requests of a credential wait for a rate limit that the provider told, else 0.", holder, nil)
	keyRunning = prometheus.NewDesc("headrace_credential_attempts_running",
		"Attempts with a credential that are under way.", holder, nil)
	keyLeft = prometheus.NewDesc("headrace_credential_limit_left_ratio",
		"What is left of the fullest limit of a kind of a credential, as a share of it.", append(holder, "kind"), nil)

	admitted = prometheus.NewDesc("headrace_admission_running",
		"Requests that were let in and have not ended.", nil, nil)
	queued = prometheus.NewDesc("headrace_admission_waiting",
		"Requests that wait for their turn, by priority.", []string{"priority"}, nil)
	room = prometheus.NewDesc("headrace_admission_limit",
		"How many requests may run now; 0 is no limit.", nil, nil)
	bodies = prometheus.NewDesc("headrace_admission_body_bytes",
		"Bytes that the bodies of the requests that run take.", nil, nil)
	shed = prometheus.NewDesc("headrace_admission_shed_total",
		"Requests that were turned away, by reason.", []string{"reason"}, nil)
)

// Handler serves the figures.
func Handler(o Options) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(gauges{o}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

type gauges struct{ o Options }

// Describe names the figures.
func (gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{attempts, output, cost, unpriced, perSuccess, success, latency, aside, running, requests, waiting, lost,
		answered, wellEnded, spoken, succeeded, routeCost, routeEach,
		keyAside, keyPaused, keyRunning, keyLeft, admitted, queued, room, bodies, shed, guarded} {
		ch <- d
	}
}

// Collect reads the figures.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, r := range g.o.Health.Ever() {
		count(attempts, float64(r.Successes), r.Provider, r.Model, "ok")
		for class, n := range r.Classes {
			count(attempts, float64(n), r.Provider, r.Model, string(class))
		}
		count(output, float64(r.Output), r.Provider, r.Model)
		count(cost, float64(r.Cost)/1e9, r.Provider, r.Model)
		count(unpriced, float64(r.Unpriced), r.Provider, r.Model)
		open := 0.0
		if r.State != health.Closed {
			open = 1
		}
		gauge(aside, open, r.Provider, r.Model)
		gauge(running, float64(r.Running), r.Provider, r.Model)
	}
	for _, r := range g.o.Health.ReadAll(recent) {
		if r.Attempts == 0 {
			continue
		}
		gauge(success, r.SuccessRate(), r.Provider, r.Model)
		if c, ok := r.CostPerSuccess(); ok {
			gauge(perSuccess, float64(c)/1e9, r.Provider, r.Model)
		}
		for phase, q := range r.Latency {
			if q.Count == 0 {
				continue
			}
			name := health.Phases[phase]
			gauge(latency, q.P50.Seconds(), r.Provider, r.Model, name, "50")
			gauge(latency, q.P90.Seconds(), r.Provider, r.Model, name, "90")
			gauge(latency, q.P99.Seconds(), r.Provider, r.Model, name, "99")
		}
	}
	gauge(requests, float64(g.o.Requests()))
	rows, gone := g.o.Rows()
	gauge(waiting, float64(rows))
	count(lost, float64(gone))
	for _, t := range g.o.Guards() {
		count(guarded, float64(t.N), string(t.Side), t.Rule, t.Kind, string(t.Do))
	}
	for _, c := range g.o.Credentials() {
		for i := range c.States {
			s := &c.States[i]
			gauge(keyAside, float64(min(len(s.Off), 1)), c.Provider, s.Name)
			gauge(keyPaused, float64(min(len(s.Pauses), 1)), c.Provider, s.Name)
			gauge(keyRunning, float64(s.Running), c.Provider, s.Name)
			told := map[limit.Kind]bool{}
			for _, l := range s.Limits { // the fullest first
				if !told[l.Kind] {
					told[l.Kind] = true
					gauge(keyLeft, 1-float64(l.Full)/1000, c.Provider, s.Name, l.Kind.Name())
				}
			}
		}
	}
	if g.o.Successes != nil {
		for _, s := range g.o.Successes() {
			gauge(answered, float64(s.Requests), s.Route, s.Task, s.Model)
			gauge(wellEnded, float64(s.EndedWell), s.Route, s.Task, s.Model)
			gauge(spoken, float64(s.Explicit), s.Route, s.Task, s.Model, "explicit")
			gauge(spoken, float64(s.Implicit), s.Route, s.Task, s.Model, "implicit")
			gauge(succeeded, s.Successes, s.Route, s.Task, s.Model)
			gauge(routeCost, s.Dollars, s.Route, s.Task, s.Model)
			if s.HasPerSuccess {
				gauge(routeEach, s.PerSuccess, s.Route, s.Task, s.Model)
			}
		}
	}
	load := g.o.Load()
	gauge(admitted, float64(load.Running))
	for p, n := range load.Queued {
		gauge(queued, float64(n), admission.Priorities[p])
	}
	gauge(room, float64(load.Limit))
	gauge(bodies, float64(load.Bytes))
	for why, n := range load.Shed {
		count(shed, float64(n), admission.Reasons[why])
	}
}
