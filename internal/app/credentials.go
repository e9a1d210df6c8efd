package app

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/gateway"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/vault"
)

// theStore is where credentials come from that the admin API was given.
const theStore = "the store"

// look finds the providers, with the credentials of the store behind those that
// the file and the environment have.
func (a *App) look(cfg *config.Config, c *catalog.Catalog) []Found {
	stored := a.stored.Load()
	var all []Found
	for _, row := range c.Providers() {
		f, ok := lookFor(row, cfg, a.o.Env)
		if stored != nil && row.ID != rehearsalID {
			for _, k := range *stored {
				if k.Provider == row.ID {
					own, _ := inFile(row, cfg)
					f.credentials = append(slices.Clip(f.credentials), credential{name: k.Name, key: k.Key, rates: limit.Rates(own.Limits)})
					f.Advice, ok = "", true
					if f.Source == "" {
						f.Source = theStore
					}
				}
			}
			if ok && !f.Ready {
				f.settle(cfg)
			}
		}
		if ok {
			all = append(all, f)
		}
	}
	return all
}

// readStored reads the credentials of the store; those that cannot be opened are
// told of.
func (a *App) readStored(ctx context.Context) error {
	keys, broken, err := a.vault.Keys(ctx)
	if err != nil {
		return err
	}
	for _, err := range broken {
		a.log.Error("a stored credential cannot be used", "error", err)
		a.info.Notes = append(a.info.Notes, err.Error())
	}
	a.stored.Store(&keys)
	return nil
}

// lookAgain brings the credentials of the store into force.
func (a *App) lookAgain(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if err := a.readStored(ctx); err != nil {
		return err
	}
	cfg := a.config()
	found := a.look(cfg, a.catalogNow())
	a.change(func() {
		if f, ok := watched(a.found); ok && a.watchesOllama(cfg, a.catalog) {
			found = append(found, watchedOllama(f.BaseURL, cfg, a.catalog))
		}
		a.found = found
		a.forget(found)
	})
	return nil
}

// keyring shows and keeps credentials for the admin API.
type keyring struct{ a *App }

// row is a provider of the catalogue.
func (k keyring) row(id string) (*catalog.Provider, error) {
	row, ok := k.a.catalogNow().Provider(id)
	if !ok {
		return nil, llm.Errorf(llm.NotFound, "there is no provider %q: a new one is named in the configuration", id)
	}
	return row, nil
}

// find is a provider as it was found; ok is false when nobody spoke of it.
func (k keyring) find(id string) (Found, bool) {
	for _, f := range k.a.foundNow() {
		if f.Row.ID == id {
			return f, true
		}
	}
	return Found{}, false
}

// Provider shows a provider.
func (k keyring) Provider(ctx context.Context, id string) (admin.ProviderDetail, error) {
	row, err := k.row(id)
	if err != nil {
		return admin.ProviderDetail{}, err
	}
	d := admin.ProviderDetail{Credentials: []admin.Credential{}, Targets: []admin.TargetHealth{}}
	f, ok := k.find(row.ID)
	if ok {
		d.Provider = providersView([]Found{f}, k.a.catalogNow())[0]
	} else {
		d.Provider = admin.Provider{ID: row.ID, Name: row.Name, Dialect: row.Dialect, BaseURL: row.BaseURL, State: "skipped", Advice: "it has no key"}
	}
	stored, err := k.a.db.Credentials(ctx)
	if err != nil {
		return d, err
	}
	states := map[string]*admin.CredentialState{}
	all := credentialsView(k.a.credentialStates(), time.Now())
	for i := range all {
		if all[i].Provider == row.ID {
			states[all[i].Name] = &all[i]
		}
	}
	inUse := map[string]bool{}
	for _, c := range f.credentials {
		one := admin.Credential{Name: c.name, Last: last(c.key), Source: f.Source, State: states[c.name]}
		if i := slices.IndexFunc(stored, func(s vault.Credential) bool { return s.Provider == row.ID && s.Name == c.name }); i >= 0 {
			s := stored[i]
			one.Source, one.Stored, one.Added, one.By, one.Last = theStore, true, s.Added, s.By, s.Last
			inUse[s.Name] = true
		}
		d.Credentials = append(d.Credentials, one)
	}
	for _, s := range stored {
		if s.Provider == row.ID && !inUse[s.Name] { // it cannot be opened, or the provider is disabled
			d.Credentials = append(d.Credentials, admin.Credential{Name: s.Name, Last: s.Last, Source: theStore, Stored: true, Added: s.Added, By: s.By})
		}
	}
	for _, t := range targetsView(k.a.health) {
		if t.Provider == row.ID {
			d.Targets = append(d.Targets, t)
		}
	}
	return d, nil
}

// last are the last four characters of a key that is long enough for them to say
// nothing.
func last(key llm.Secret) string {
	text := key.Reveal()
	if len(text) < 16 {
		return ""
	}
	return text[len(text)-4:]
}

// AddCredential seals a key and brings it into force.
func (k keyring) AddCredential(ctx context.Context, id, name string, key llm.Secret, by string) (admin.Credential, error) {
	row, err := k.row(id)
	switch {
	case err != nil:
		return admin.Credential{}, err
	case row.ID == rehearsalID || row.Auth == catalog.NoAuth:
		return admin.Credential{}, llm.Errorf(llm.InvalidRequest, "%s takes no key", row.ID)
	case config.Ours(key):
		return admin.Credential{}, llm.Errorf(llm.InvalidRequest, "this is a key of Headrace itself: give the key that %s gave you", row.ID)
	}
	if f, ok := k.find(row.ID); ok && slices.ContainsFunc(f.credentials, func(c credential) bool { return c.name == name }) {
		return admin.Credential{}, llm.Errorf(llm.InvalidRequest, "%s has a credential %q already", row.ID, name)
	}
	c, err := k.a.vault.Add(ctx, vault.Key{Provider: row.ID, Name: name, Key: key}, by, time.Now())
	if err != nil {
		return admin.Credential{}, err
	}
	return admin.Credential{Name: c.Name, Last: c.Last, Source: theStore, Stored: true, Added: c.Added, By: c.By}, k.a.lookAgain(ctx)
}

// DropCredential removes a key that was put here.
func (k keyring) DropCredential(ctx context.Context, id, name string) error {
	row, err := k.row(id)
	if err != nil {
		return err
	}
	was, err := k.a.db.DropCredential(ctx, row.ID, name)
	switch {
	case err != nil:
		return err
	case !was:
		return llm.Errorf(llm.NotFound, "%s has no stored credential %q", row.ID, name)
	}
	return k.a.lookAgain(ctx)
}

// testWords are what a provider is asked.
const testWords = "Answer with the single word: ready"

// testFor bounds the test of a provider.
const testFor = time.Minute

// TestProvider asks a provider for a word, through the same rooms as any request.
func (k keyring) TestProvider(ctx context.Context, id, model string) (admin.ProviderTested, error) {
	row, err := k.row(id)
	if err != nil {
		return admin.ProviderTested{}, err
	}
	if !k.a.ready.Load() {
		return admin.ProviderTested{}, llm.Errorf(llm.InvalidRequest, "only a running gateway tests its providers: name it with --url")
	}
	if f, ok := k.find(row.ID); !ok || !f.Ready {
		return admin.ProviderTested{}, llm.Errorf(llm.InvalidRequest, "%s is not configured: give it a key first", row.ID)
	}
	if model == "" {
		models := k.a.catalogNow().Find(catalog.Query{Provider: row.ID, At: time.Now(), Sort: "price", Listed: true})
		if len(models) == 0 {
			return admin.ProviderTested{}, llm.Errorf(llm.InvalidRequest, "no model of %s is known: name one", row.ID)
		}
		model = models[0].ID
	}
	model = strings.TrimPrefix(model, row.ID+"/")
	// The door whose dialect every provider can be asked from, with a cap that each
	// of them has its own word for.
	body, err := json.Marshal(map[string]any{"model": row.ID + "/" + model, "max_tokens": 256,
		"messages": []any{map[string]any{"role": "user", "content": testWords}}}, json.Deterministic(true))
	if err != nil {
		return admin.ProviderTested{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, testFor)
	defer cancel()
	w := &page{header: http.Header{}}
	row1 := k.a.gateway.Do(ctx, &gateway.Job{Caller: access.Principal{KeyID: "admin", Name: "test of a provider"}, Path: "/v1/messages", Header: http.Header{}, Body: body}, w)
	t := admin.ProviderTested{OK: row1.Class == "" && w.status/100 == 2, Model: row.ID + "/" + model, Request: row1.ID.String(), Status: w.status, Class: row1.Class,
		FirstByte: row1.FirstByte.Milliseconds(), Total: row1.Total.Milliseconds()}
	t.Cost.Nanodollars, _, _, t.Cost.Priced = (&batches{a: k.a}).cost(&row1)
	var said struct {
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(w.body.Bytes(), &said); err != nil {
		t.OK, t.Message = false, "the answer cannot be read: "+err.Error()
	}
	for _, c := range said.Content {
		t.Answer += c.Text
	}
	if r := []rune(t.Answer); len(r) > 200 {
		t.Answer = string(r[:200])
	}
	if said.Error.Message != "" {
		t.Message = said.Error.Message
	}
	return t, nil
}
