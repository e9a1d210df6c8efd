package app

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"headrace/internal/admin"
	"headrace/internal/config"
	"headrace/internal/webhook"
)

// Program is what the command line runs.
type Program struct{}

// Serve runs the gateway until ctx ends and everything is stopped.
func (Program) Serve(ctx context.Context, o Options) error {
	a, err := New(ctx, o)
	if err != nil {
		return err
	}
	collecting, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { collect(collecting) })
	defer done.Wait()
	defer stop()
	return a.Serve(ctx)
}

// Admin opens the data directory and gives the admin API over it, to be called
// in this process alone: it asks for no token. It works while a gateway serves
// the same directory.
func (Program) Admin(ctx context.Context, c *config.Config, env config.Env) (http.Handler, func() error, error) {
	env.Key, env.AdminToken = "", "" // a command imports nothing
	a, err := New(ctx, Options{Config: c, Env: env})
	if err != nil {
		return nil, nil, err
	}
	return admin.New(a.adminOptions(admin.Options{Trusted: "command line"})), a.Close, nil
}

// Check says what is wrong with a configuration beyond its own rules: rows
// that the catalogue refuses, routes that lead to no provider.
func (Program) Check(c *config.Config, env config.Env) error {
	rows, err := loadCatalog(c, "")
	if err != nil {
		return err
	}
	rules, err := webhook.NewRules(c.Webhooks.Allow)
	if err != nil {
		return c.ErrorAt("webhooks.allow", "%v", err)
	}
	for i, one := range c.Alerts {
		if err := rules.Check(one.URL); err != nil {
			return c.ErrorAt(fmt.Sprintf("alerts.%d.url", i), "%v", err)
		}
	}
	if _, err := guards(c); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		r := c.Routes[name]
		for path, target := range r.Each() {
			id, _, _ := strings.Cut(target, "/")
			if _, ok := rows.Provider(id); !ok {
				return c.ErrorAt(fmt.Sprintf("routes.%s.%s", name, path), "there is no provider %q", id)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Experiments)) {
		for i, arm := range c.Experiments[name].Arms {
			id, _, ok := strings.Cut(arm.Model, "/")
			if _, known := rows.Provider(id); ok && !known {
				return c.ErrorAt(fmt.Sprintf("experiments.%s.arms.%d.model", name, i), "there is no provider %q", id)
			}
		}
	}
	return checkAims(c, rows)
}

// Providers says which providers would be there, and from where. It asks no
// network and touches no state.
func (Program) Providers(c *config.Config, env config.Env) []admin.Provider {
	rows, err := loadCatalog(c, "")
	if err != nil {
		return nil // Check says it
	}
	return providersView(look(c, env, rows), rows)
}

// Errors is the table of what is done about each class of error, for a route or,
// when it is empty, for all requests.
func (Program) Errors(c *config.Config, route string) ([]admin.ErrorClass, error) {
	return errorsView(c, route)
}
