package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// ollamaEvery is how often a missing Ollama is looked for again.
const ollamaEvery = 5 * time.Second

// watchOllama looks for Ollama on this host, now and again: it may start after
// us, or stop. What the configuration says of it wins.
func (a *App) watchOllama(ctx context.Context) {
	base, _, err := a.o.Env.OllamaURL()
	if err != nil {
		a.log.Warn("Ollama is not looked for", "error", err)
		return
	}
	if moved := a.o.Env.Provider(ollamaID, nil).BaseURL; moved != "" {
		return // configured by hand: found like any other
	}
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(ollamaEvery)
	defer tick.Stop()
	for {
		if a.watchesOllama(a.config(), a.catalogNow()) {
			a.lookForOllama(ctx, base, answers(ctx, client, base+"/api/version"))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watchesOllama reports whether Ollama is looked for: it is unless the
// configuration says where it is, or that nothing is to be found.
func (a *App) watchesOllama(cfg *config.Config, c *catalog.Catalog) bool {
	row, ok := c.Provider(ollamaID)
	if !ok || !cfg.Discover {
		return false
	}
	_, named := inFile(row, cfg)
	return !named
}

// lookForOllama takes over whether Ollama answers at base.
func (a *App) lookForOllama(ctx context.Context, base string, up bool) {
	if _, was := watched(a.foundNow()); was == up {
		return
	}
	a.log.Info("Ollama", "at", base, "up", up)
	a.change(func() {
		cfg := a.config()
		if !a.watchesOllama(cfg, a.catalog) {
			return // reloaded just now
		}
		a.found = slices.DeleteFunc(a.found, func(f Found) bool { return f.Row.ID == ollamaID })
		if up {
			a.found = append(a.found, watchedOllama(base, cfg, a.catalog))
		}
	})
	if up {
		if _, err := a.discoverOne(ctx, ollamaID); err != nil {
			a.log.Info("Ollama did not list its models", "error", err)
		}
	}
}

// watchedOllama is the Ollama that was found at base.
func watchedOllama(base string, cfg *config.Config, c *catalog.Catalog) Found {
	row, _ := c.Provider(ollamaID)
	return Found{Row: row, Ready: true, Source: "found at " + base, BaseURL: base, connect: time.Second, watched: true,
		answer: int64(cfg.Limits.Answer), event: int64(cfg.Limits.Event)}
}

// watched gives the Ollama that was found by looking for it.
func watched(all []Found) (f Found, ok bool) {
	for _, f := range all {
		if f.watched {
			return f, true
		}
	}
	return Found{}, false
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10))
	return err == nil && resp.StatusCode == http.StatusOK
}

// discover asks every provider for its own model list: what is really there
// for this account. It says how each of them did, a line each.
func (a *App) discover(ctx context.Context) []string {
	var notes []string
	for _, f := range a.foundNow() {
		if !f.Ready || f.Row.ID == rehearsalID || f.Row.ModelsPath == "" {
			continue
		}
		if n, err := a.discoverOne(ctx, f.Row.ID); err != nil {
			notes = append(notes, fmt.Sprintf("%s did not list its models: %v", f.Row.ID, err))
		} else {
			notes = append(notes, fmt.Sprintf("%s lists %d models", f.Row.ID, n))
		}
	}
	return notes
}

// firstDiscovery runs once, in the background of a start.
func (a *App) firstDiscovery(ctx context.Context) {
	for _, note := range a.discover(ctx) {
		a.log.Info(note)
	}
}

// discoverOne lays a provider's own model list over the catalogue. A provider
// that does not answer, or lists nothing, leaves the catalogue as it is.
func (a *App) discoverOne(ctx context.Context, id string) (found int, err error) {
	a.mu.Lock()
	p := a.providers[id]
	a.mu.Unlock()
	if p == nil {
		return 0, llm.Errorf(llm.NotFound, "provider %s is not configured", id)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	body, err := p.Models(ctx)
	if err != nil {
		return 0, err
	}
	row, _ := a.catalogNow().Provider(id)
	list, err := catalog.ParseModelList(row.Dialect, body)
	if err != nil {
		return 0, err
	}
	if len(list) == 0 {
		// Nobody serves no model at all: a gateway in between, or a list that is
		// kept from this key. It says nothing of the catalogue's models.
		return 0, nil
	}
	a.change(func() {
		if a.discovered == nil {
			a.discovered = map[string][]catalog.Discovered{}
		}
		a.discovered[id] = list
		a.catalog = a.catalog.WithDiscovered(id, list)
	})
	return len(list), nil
}

// refreshEvery is how often the file of a refreshed catalogue is looked at: a
// command may have written it.
const refreshEvery = 2 * time.Second

// watchRefresh takes over a refreshed catalogue.
func (a *App) watchRefresh(ctx context.Context) {
	path := filepath.Join(a.data, refreshFile)
	stamp := func() (time.Time, int64) {
		i, err := os.Stat(path)
		if err != nil {
			return time.Time{}, 0
		}
		return i.ModTime(), i.Size()
	}
	at, size := stamp()
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, n := stamp()
		if now.Equal(at) && n == size {
			continue
		}
		at, size = now, n
		if err := a.reloadCatalog(); err != nil {
			a.log.Warn("the refreshed catalogue cannot be read; the one in force stays", "error", err)
		}
	}
}

// reloadCatalog reads the catalogue anew and lays what the providers said over
// it again.
func (a *App) reloadCatalog() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	c, err := loadCatalog(a.config(), a.data)
	if err != nil {
		return err
	}
	a.change(func() {
		for id, list := range a.discovered {
			c = c.WithDiscovered(id, list)
		}
		a.catalog = c
	})
	return nil
}

// change applies a change to what is known and puts the new snapshot in place.
func (a *App) change(what func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	what()
	a.prices.Store(a.catalog)
	a.gateway.Swap(a.snapshot(a.config()))
}

func (a *App) catalogNow() *catalog.Catalog { return a.prices.Load() }

func (a *App) foundNow() []Found {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.found)
}
