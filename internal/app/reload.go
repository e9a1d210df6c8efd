package app

import (
	"context"
	"crypto/sha256"
	"os"
	"reflect"
	"slices"
	"time"

	"headrace/internal/config"
)

// configEvery is how often the configuration's file is looked at.
const configEvery = time.Second

// watchConfig reloads the configuration when its file changes and when it is
// asked to.
func (a *App) watchConfig(ctx context.Context) {
	if a.o.Load == nil {
		return
	}
	file := newWatched(a.config().File())
	tick := time.NewTicker(configEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.o.Reload:
			file.changed()
		case <-tick.C:
			if !file.changed() {
				continue
			}
		}
		if err := a.reload(); err != nil {
			a.log.Error("the configuration is not reloaded; the one in force stays as it is", "error", err)
			continue
		}
		a.keepConfig(ctx, "the file was changed")
	}
}

// watchedFile is a file whose changes are seen by its contents: editors and
// mounted volumes replace files, and keep or set times as they like.
type watchedFile struct {
	name string
	sum  [sha256.Size]byte
	size int64
	time time.Time
}

func newWatched(name string) *watchedFile {
	f := &watchedFile{name: name}
	f.changed()
	return f
}

// changed reports whether the file is another one than at the last call. One
// that cannot be read now has not changed: it may be in the midst of it.
func (f *watchedFile) changed() bool {
	if f.name == "" {
		return false
	}
	i, err := os.Stat(f.name)
	if err != nil || i.Size() == f.size && i.ModTime().Equal(f.time) {
		return false
	}
	text, err := os.ReadFile(f.name)
	if err != nil {
		return false
	}
	f.size, f.time = i.Size(), i.ModTime()
	sum := sha256.Sum256(text)
	if sum == f.sum {
		return false
	}
	f.sum = sum
	return true
}

// reload reads the configuration anew and puts all of it in force, or nothing:
// requests that run keep what they began with. Providers that are as they were
// keep their connections.
func (a *App) reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	next, err := a.o.Load()
	if err != nil {
		return err
	}
	c, err := loadCatalog(next, a.data)
	if err != nil {
		return err
	}
	rules, err := guards(next)
	if err != nil {
		return err
	}
	found := a.look(next, c)
	var before *config.Config
	a.change(func() {
		for id, list := range a.discovered {
			c = c.WithDiscovered(id, list)
		}
		if f, ok := watched(a.found); ok && a.watchesOllama(next, c) {
			found = append(found, watchedOllama(f.BaseURL, next, c))
		}
		before = a.config()
		a.catalog, a.found, a.guards = c, found, rules
		a.forget(found)
		a.cfg.Store(next)
	})
	setLevel(&a.level, next.Log)
	a.gate.Set(gateOptions(next))
	a.budgets.Declare(declared(next))
	if err := a.declare(next); err != nil { // config has read all of it before
		a.log.Error("the experiments stay as they were", "error", err)
	}
	for _, name := range later(before, next) {
		a.log.Warn("this change of the configuration takes effect at the next start", "setting", name)
	}
	for _, note := range astray(next, found, c) {
		a.log.Warn(note)
	}
	a.log.Info("the configuration is reloaded", "file", next.File())
	return nil
}

// forget lets go of what was made of providers that are not there any more.
// a.mu is held.
func (a *App) forget(found []Found) {
	for id, m := range a.made {
		if !slices.ContainsFunc(found, func(f Found) bool { return f.Row.ID == id }) {
			m.provider.Rest()
			delete(a.made, id)
		}
	}
}

// later names the settings that differ and that a reload does not reach.
func later(was, is *config.Config) []string {
	var names []string
	for _, s := range []struct {
		name string
		same bool
	}{
		{"listen", was.Listen == is.Listen},
		{"data", was.Data == is.Data},
		{"log.format", was.Log.Format == is.Log.Format},
		{"recall", was.Recall == is.Recall},
		{"alerts", reflect.DeepEqual(was.Alerts, is.Alerts)},
		{"telemetry", reflect.DeepEqual(was.Telemetry, is.Telemetry)},
		{"admin", reflect.DeepEqual(was.Admin, is.Admin)},
		{"retention", was.Retention == is.Retention},
		{"budgets.wait", was.Budgets.Wait == is.Budgets.Wait},
		{"budgets.store_down", was.Budgets.StoreDown == is.Budgets.StoreDown},
		{"retries.failures", was.Retries.Failures == is.Retries.Failures || is.Retries.Failures == 0},
		{"retries.probe", was.Retries.Probe == is.Retries.Probe},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	return names
}
