package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
	"headrace/internal/provider"
)

// Probe is how one credential of a provider did when the provider was asked
// for its list of models, which costs nothing.
type Probe struct {
	Provider string
	// Credential is its name where there are several.
	Credential string
	BaseURL    string
	Took       time.Duration
	Models     int
	// Ahead is how far the provider's clock was ahead of ours at least, negative
	// when it was behind; Dated says whether it told a time.
	Ahead time.Duration
	Dated bool
	// Skipped says that the provider was not asked, since it has no such list.
	Skipped bool
	Err     error
}

// probeWithin is how long one probe may take, mostProbes how many run at once.
const (
	probeWithin = 15 * time.Second
	mostProbes  = 8
)

// Probe asks every provider that can be called for its models, once with each
// of its credentials. It touches no state.
func (Program) Probe(ctx context.Context, c *config.Config, env config.Env) ([]Probe, error) {
	rows, err := loadCatalog(c, "")
	if err != nil {
		return nil, err
	}
	found := look(c, env, rows)
	if f, ok := ollamaNow(ctx, c, env, rows); ok {
		found = append(found, f)
	}
	var probes []Probe
	var asked []Found
	for _, f := range found {
		if !f.Ready || f.Row.ID == rehearsalID {
			continue
		}
		keys := f.credentials
		if len(keys) == 0 {
			keys = make([]credential, 1)
		}
		for i := range keys {
			one := f
			one.credentials = keys[i : i+1]
			p := Probe{Provider: f.Row.ID, BaseURL: f.BaseURL, Skipped: f.Row.ModelsPath == ""}
			if len(keys) > 1 {
				p.Credential = keys[i].name
			}
			probes, asked = append(probes, p), append(asked, one)
		}
	}
	places := make(chan struct{}, mostProbes)
	var running sync.WaitGroup
	for i := range probes {
		if probes[i].Skipped {
			continue
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			probes[i].ask(ctx, &asked[i])
		})
	}
	running.Wait()
	return probes, nil
}

// ask makes the probe.
func (p *Probe) ask(ctx context.Context, f *Found) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	began := time.Now()
	o := provider.Options{Row: f.Row, BaseURL: f.BaseURL, Header: f.header, Connect: f.connect, MaxAnswer: f.answer, MaxEvent: f.event,
		Keys: []llm.Secret{f.credentials[0].key}, Hear: func(_ int, _ llm.Op, _ string, h http.Header) {
			at, err := http.ParseTime(h.Get("Date"))
			if p.Dated = err == nil; !p.Dated {
				return
			}
			// The date was written between these two, and it has whole seconds.
			switch now := time.Now(); {
			case at.Add(time.Second).Before(began):
				p.Ahead = at.Add(time.Second).Sub(began)
			case at.After(now):
				p.Ahead = at.Sub(now)
			}
		}}
	callable, err := provider.New(o)
	if err != nil {
		p.Err = err
		return
	}
	defer callable.Rest()
	body, err := callable.Models(ctx)
	p.Took = time.Since(began)
	if err != nil {
		p.Err = err
		return
	}
	list, err := catalog.ParseModelList(f.Row.Dialect, body)
	if err != nil {
		p.Err = fmt.Errorf("its list of models cannot be read: %w", err)
	}
	p.Models = len(list)
}

// ollamaNow is the Ollama on this host, if one answers that nobody configured.
func ollamaNow(ctx context.Context, c *config.Config, env config.Env, rows *catalog.Catalog) (f Found, ok bool) {
	row, ok := rows.Provider(ollamaID)
	if !ok || !c.Discover {
		return f, false
	}
	_, named := inFile(row, c)
	base, _, err := env.OllamaURL()
	if named || err != nil || env.Provider(ollamaID, nil).BaseURL != "" {
		return f, false
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return watchedOllama(base, c, rows), answers(ctx, client, base+"/api/version")
}
