package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"headrace/internal/admin"
	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/demo"
	"headrace/internal/llm"
)

type demoCommand struct {
	Listen string        `placeholder:"HOST:PORT" help:"Address to serve (HEADRACE_LISTEN; default 127.0.0.1:8080)."`
	Rate   float64       `default:"4" help:"Calls a second, up to 50."`
	Calls  int           `help:"Stop the calls after so many; 0 goes on until stopped."`
	For    time.Duration `placeholder:"5m" help:"End the whole demo after so long; until it is stopped when left out."`
	Seed   uint64        `default:"1" help:"What callers and faults are drawn from."`
}

// Run serves a gateway over rehearsed providers, with callers that use it. It
// reads no configuration file and asks no real provider.
func (d *demoCommand) Run(ctx context.Context, p *process) (err error) {
	if d.Rate <= 0 || d.Rate > 50 || d.Calls < 0 || d.For < 0 {
		return &failure{ExitUsage, errors.New("--rate is above 0 and at most 50; --calls and --for are not negative")}
	}
	if err := p.env.Check(); err != nil {
		return err
	}
	data := p.Data
	if data == "" {
		if data, err = os.MkdirTemp("", "headrace-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	} else if p.env.AdminToken == "" {
		if _, err := os.Stat(filepath.Join(data, "headrace.db")); err == nil {
			return &failure{ExitUsage, fmt.Errorf("%s has been used before, so its admin token is not known: give HEADRACE_ADMIN_TOKEN, or leave --data out", data)}
		}
	}
	mesh, err := demo.Open(d.Seed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mesh.Close()) }()
	c, err := d.config(p, mesh, data)
	if err != nil {
		return err
	}
	if d.For > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, d.For, context.Canceled)
		defer end()
	}
	callers, leave := context.WithCancel(ctx)
	done := make(chan error, 1)
	began := false
	load := func() (*config.Config, error) {
		c, err := config.Load(c.File(), p.getenv)
		if err != nil {
			return nil, err
		}
		return c, p.app.Check(c, p.env)
	}
	o := app.Options{Config: c, Env: p.env, Version: Version(), Log: p.err, Load: load, Force: p.force, Ready: func(i app.Info) error {
		if err := d.welcome(p, i, mesh); err != nil {
			return err
		}
		began = true
		go func() { done <- d.traffic(callers, p, i) }() // ends with callers; waited for below
		return nil
	}}
	err = p.app.Serve(ctx, o)
	leave()
	if began {
		err = errors.Join(err, <-done)
	}
	return err
}

// config writes the demo's configuration to the data directory and reads it.
func (d *demoCommand) config(p *process, mesh *demo.Mesh, data string) (*config.Config, error) {
	listen := cmp.Or(d.Listen, p.env.Listen, config.Default().Listen)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(data, "demo.yaml")
	text := mesh.Config(listen, data)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	c, err := config.Parse(file, text, p.getenv)
	if err != nil {
		return nil, err
	}
	return c, p.app.Check(c, p.env)
}

func (d *demoCommand) welcome(p *process, i app.Info, mesh *demo.Mesh) error {
	if err := Welcome(p.out, Version(), i); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.out, `This is a demo. Its providers (%s) are rehearsed: no model is asked, no key of yours is
used, nothing costs money. Five callers make %g calls a second; some of them fail, and one provider is out of order for
12 seconds of every minute. The configuration is %s. Ctrl-C ends it.

`, mesh, d.Rate, clean(filepath.Join(i.Data, "demo.yaml")))
	return err
}

// traffic makes the callers' keys and lets them call until ctx ends.
func (d *demoCommand) traffic(ctx context.Context, p *process, i app.Info) error {
	base := "http://" + reachable(i.Address)
	client := &client{http: &http.Client{Timeout: time.Minute}, base: base, token: llm.Secret(cmp.Or(i.AdminToken, p.env.AdminToken))}
	keys := map[string]string{}
	for _, who := range demo.Callers() {
		var made admin.Issued
		_, err := client.call(ctx, http.MethodPost, "keys", nil, admin.KeySpec{Name: who.Name, Team: who.Team, Priority: who.Priority,
			Limits: admin.Limits{RequestsPerMinute: who.PerMinute}}, &made)
		if ctx.Err() != nil {
			return nil // ended before it began
		}
		if err != nil {
			return fmt.Errorf("make the demo's keys: %w", err)
		}
		keys[who.Name] = made.Token
	}
	// A client of its own: its connections go with it.
	transport := &http.Transport{MaxIdleConnsPerHost: demo.MostRunning}
	defer transport.CloseIdleConnections()
	r := demo.Run(ctx, demo.Options{Base: base, Keys: keys, Rate: d.Rate, Calls: d.Calls, Seed: d.Seed, Client: &http.Client{Transport: transport, Timeout: time.Minute}})
	_, err := fmt.Fprintf(p.out, "%s\n", clean(r.String()))
	return err
}
