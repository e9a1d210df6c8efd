package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/app"
	"headrace/internal/config"
	"headrace/internal/llm"
)

type doctorCommand struct {
	Listen  string `placeholder:"HOST:PORT" help:"Look at this address instead of the configured one."`
	Offline bool   `help:"Ask no provider."`
}

// The states of a finding, rising.
const (
	findingOK    = "ok"
	findingNote  = "note"
	findingWrong = "wrong"
)

// finding is one thing that was looked at.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`
	// Found says what there is, Advice what to do about it.
	Found  string `json:"found"`
	Advice string `json:"advice,omitzero"`
}

// findings is a list of what was found.
type findings struct {
	Findings []finding `json:"findings"`
}

func (f *findings) add(check, state, found, advice string) {
	f.Findings = append(f.Findings, finding{check, state, found, advice})
}

// Run looks at all that a gateway needs and says what to do about it. The exit
// code is 1 when something is wrong; a note alone is no failure.
func (d *doctorCommand) Run(ctx context.Context, p *process) error {
	var f findings
	p.Serve.Listen = d.Listen
	d.environment(p, &f)
	if c := d.configuration(p, &f); c != nil {
		d.data(ctx, p, c, &f)
		running := d.port(ctx, c, &f)
		if err := d.providers(ctx, p, c, &f); err != nil {
			return err
		}
		d.gateway(ctx, p, running, &f)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	wrong := 0
	for _, one := range f.Findings {
		if one.State == findingWrong {
			wrong++
		}
	}
	if err := d.show(p, &f); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d of %d checks found something wrong", wrong, len(f.Findings))
	}
	return nil
}

func (d *doctorCommand) show(p *process, f *findings) error {
	if p.JSON {
		return p.printJSON(f)
	}
	t := table{head: []string{"check", "state", "found"}}
	for _, one := range f.Findings {
		t.row(one.Check, one.State, one.Found)
		if one.Advice != "" {
			t.row("", "", "-> "+one.Advice)
		}
	}
	return t.write(p.out)
}

// environment looks at the preset credentials.
func (d *doctorCommand) environment(p *process, f *findings) {
	if err := p.env.Check(); err != nil {
		f.add("environment", findingWrong, err.Error(), "serve does not start with it")
		return
	}
	var set []string
	for _, v := range []struct {
		name  string
		value string
	}{{"HEADRACE_KEY", p.env.Key.Reveal()}, {"HEADRACE_ADMIN_TOKEN", p.env.AdminToken.Reveal()}, {"HEADRACE_URL", p.env.URL}, {"HEADRACE_CONFIG", p.env.ConfigPath}, {"HEADRACE_DATA", p.env.Data}} {
		if v.value != "" {
			set = append(set, v.name)
		}
	}
	f.add("environment", findingOK, cmp.Or(strings.Join(set, ", "), "nothing preset"), "")
}

// configuration reads the file; nil when it cannot be used.
func (d *doctorCommand) configuration(p *process, f *findings) *config.Config {
	c, err := p.load()
	if err == nil {
		err = p.app.Check(c, p.env)
	}
	if err != nil {
		found := err.Error()
		if list, ok := errors.AsType[config.Errors](err); ok && len(list) > 0 {
			found = fmt.Sprintf("%s:%d: %s: %s", list[0].File, list[0].Line, list[0].Path, list[0].Message)
			if len(list) > 1 {
				found += fmt.Sprintf(" (and %d more)", len(list)-1)
			}
		}
		f.add("configuration", findingWrong, found, "headrace config check shows the place; headrace init writes a new file")
		return nil
	}
	name := c.File()
	if name == "" {
		f.add("configuration", findingOK, "no file; the defaults", "")
		return c
	}
	if literal := literalKeys(c); literal != "" && runtime.GOOS != "windows" {
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o044 != 0 {
			f.add("configuration", findingNote, name+" can be read by others of this machine and holds "+literal,
				"chmod 600 it, or write the key as ${NAME} or ${file:/path}")
			return c
		}
	}
	f.add("configuration", findingOK, name, "")
	return c
}

// literalKeys names a credential that stands in the file itself.
func literalKeys(c *config.Config) string {
	for id, one := range c.Providers {
		path := "providers." + id + ".api_key"
		if o := c.Origin(path); one.APIKey != "" && o.From == "file" && o.Ref == "" {
			return path
		}
	}
	return ""
}

// data looks at the data directory and opens the store, where there is one.
func (d *doctorCommand) data(ctx context.Context, p *process, c *config.Config, f *findings) {
	info, err := os.Stat(c.Data)
	if errors.Is(err, os.ErrNotExist) {
		at := c.Data // the first directory above that is there
		for errors.Is(err, os.ErrNotExist) && filepath.Dir(at) != at {
			at = filepath.Dir(at)
			_, err = os.Stat(at)
		}
		if err == nil {
			err = writable(at)
		}
		if err != nil {
			f.add("store", findingWrong, c.Data+" cannot be made: "+err.Error(), "name another directory with --data")
			return
		}
		f.add("store", findingOK, c.Data+" is made by the first start", "")
		return
	}
	switch {
	case err != nil:
		f.add("store", findingWrong, err.Error(), "name another directory with --data")
		return
	case !info.IsDir():
		f.add("store", findingWrong, c.Data+" is no directory", "name another one with --data")
		return
	}
	if err := writable(c.Data); err != nil {
		f.add("store", findingWrong, c.Data+" cannot be written: "+err.Error(), "it must belong to the user that runs the gateway")
		return
	}
	if _, err := os.Stat(filepath.Join(c.Data, "headrace.db")); errors.Is(err, os.ErrNotExist) {
		f.add("store", findingOK, c.Data+" is empty yet", "")
		return
	}
	h, end, err := p.app.Admin(ctx, c, p.env)
	if err != nil {
		f.add("store", findingWrong, err.Error(), "stop the gateway, keep a copy of the directory, and look at the message; a newer headrace may have written it")
		return
	}
	inside := &client{http: &http.Client{Transport: inside{h}}, base: "http://headrace"}
	var keys admin.KeyList
	_, err = inside.call(ctx, http.MethodGet, "keys", nil, nil, &keys)
	if err = errors.Join(err, end()); err != nil {
		f.add("store", findingWrong, err.Error(), "the database may be damaged: keep a copy of the directory before anything else")
		return
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		f.add("store", findingNote, fmt.Sprintf("%s opens (%d keys), and others of this machine may look into it", c.Data, len(keys.Keys)), "chmod 700 it")
		return
	}
	f.add("store", findingOK, fmt.Sprintf("%s opens (%d keys)", c.Data, len(keys.Keys)), "")
}

// writable tries whether a file can be made in a directory.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".headrace-doctor-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// port looks whether the address is free, or who is there; it gives the base of
// a gateway that runs there.
func (d *doctorCommand) port(ctx context.Context, c *config.Config, f *findings) (running string) {
	l, err := net.Listen("tcp", c.Listen)
	if err == nil {
		if err := l.Close(); err != nil {
			f.add("port", findingWrong, err.Error(), "")
			return ""
		}
		f.add("port", findingOK, c.Listen+" is free", "")
		return ""
	}
	base := "http://" + reachable(c.Listen)
	if status, err := look(ctx, base+"/readyz"); err == nil && (status == http.StatusOK || status == http.StatusServiceUnavailable) {
		f.add("port", findingOK, "a gateway serves "+c.Listen+" already", "")
		return base
	}
	f.add("port", findingWrong, rootCause(err).Error()+" ("+c.Listen+")", "stop what listens there, or take another port with --listen or listen:")
	return ""
}

// look asks an address for its status.
func look(ctx context.Context, address string) (int, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	r, err := (&http.Client{Timeout: 2 * time.Second}).Do(q)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<10))
	return r.StatusCode, errors.Join(err, r.Body.Close())
}

// The skews of a clock that matter: signed requests and tokens of some clouds
// fail from five minutes on.
const (
	skewNote  = 30 * time.Second
	skewWrong = 5 * time.Minute
)

// providers looks at the keys that were found and asks each provider for its
// models.
func (d *doctorCommand) providers(ctx context.Context, p *process, c *config.Config, f *findings) error {
	ready := 0
	for _, one := range p.app.Providers(c, p.env) {
		switch {
		case one.Source == "built in":
		case one.State == "ready":
			ready++
		case one.State == "skipped":
			f.add("provider "+one.ID, findingWrong, one.Advice, "it is left out until then")
		}
	}
	if d.Offline {
		f.add("providers", findingNote, fmt.Sprintf("%d have a key; none was asked", ready), "")
		return nil
	}
	probes, err := p.app.Probe(ctx, c, p.env)
	if err != nil {
		return err
	}
	if len(probes) == 0 {
		f.add("providers", findingNote, "none but the rehearsal provider, which is no model", "set ANTHROPIC_API_KEY, OPENAI_API_KEY or another one, or start Ollama")
		return nil
	}
	ahead, dated := time.Duration(0), ""
	for i := range probes {
		one := &probes[i]
		name := "provider " + one.Provider
		if one.Credential != "" {
			name += " key " + one.Credential
		}
		if one.Dated && (dated == "" || one.Ahead.Abs() < ahead.Abs()) { // it is theirs that is wrong, unless all agree
			ahead, dated = one.Ahead, one.Provider
		}
		switch {
		case one.Skipped:
			f.add(name, findingOK, one.BaseURL+" has no list of models, so it was not asked", "")
		case one.Err != nil:
			found, advice := d.failed(one)
			f.add(name, findingWrong, found, advice)
		default:
			f.add(name, findingOK, fmt.Sprintf("%s lists %s models after %d ms", one.BaseURL, number(int64(one.Models)), max(1, one.Took.Milliseconds())), "")
		}
	}
	switch {
	case dated == "":
	case ahead.Abs() >= skewWrong:
		f.add("clock", findingWrong, "this machine is off by "+ahead.Abs().Round(time.Second).String()+" at least ("+dated+")", "set it by NTP: budgets and deadlines follow it, and clouds refuse what is signed with it")
	case ahead.Abs() >= skewNote:
		f.add("clock", findingNote, "this machine is off by "+ahead.Abs().Round(time.Second).String()+" at least ("+dated+")", "set it by NTP")
	default:
		f.add("clock", findingOK, "agrees with "+dated, "")
	}
	return nil
}

// failed says in plain words why a provider could not be asked.
func (d *doctorCommand) failed(one *app.Probe) (found, advice string) {
	e, ok := errors.AsType[*llm.Error](one.Err)
	if !ok {
		return one.Err.Error(), ""
	}
	found = fmt.Sprintf("%s: %s", one.BaseURL, e.Message)
	host := one.BaseURL
	if u, err := url.Parse(one.BaseURL); err == nil {
		host = u.Host
	}
	switch e.Class {
	case llm.Auth:
		return found, "the key is refused: take a fresh one from the provider, and look for a space or a quote in it"
	case llm.QuotaExhausted:
		return found, "the account has no credit left"
	case llm.RateLimited:
		return found, "it is reachable, and its rate limit is reached: try again later"
	case llm.ModelNotFound, llm.NotFound:
		return found, "the path is not there: OpenAI's base URLs end in /v1, the others' do not"
	case llm.Timeout, llm.ServerError, llm.Overloaded:
		return found, "look for " + host + " from this machine: name lookup, firewall, HTTPS_PROXY, or the provider's own status page"
	}
	return found, ""
}

// gateway asks the gateway that runs how it is.
func (d *doctorCommand) gateway(ctx context.Context, p *process, running string, f *findings) {
	if p.URL == "" && p.env.URL == "" {
		if running == "" || p.env.AdminToken == "" {
			return
		}
		p.URL = running
	}
	var s admin.Status
	if _, err := p.ask(ctx, http.MethodGet, "status", nil, nil, &s); err != nil {
		f.add("gateway", findingWrong, err.Error(), "HEADRACE_URL and HEADRACE_ADMIN_TOKEN say where it is and who asks")
		return
	}
	state, found, advice := findingOK, fmt.Sprintf("%s, ready, %d providers, %d keys", s.Version, s.Providers, s.Keys), ""
	if !s.Ready {
		state, found = findingNote, "it runs and is not ready"
	}
	if s.LedgerDropped > 0 {
		state, advice = findingWrong, fmt.Sprintf("%s ledger rows were lost: the disk may be full or slow", number(s.LedgerDropped))
	}
	f.add("gateway", state, found, advice)
	for _, g := range s.Targets {
		if g.Breaker != "closed" {
			f.add("target "+g.Provider+"/"+g.Model, findingNote, "it fails and is set aside ("+strings.ReplaceAll(g.Breaker, "_", " ")+")", "headrace status shows how it failed")
		}
	}
	for _, one := range s.Credentials {
		for _, o := range one.SetAside {
			f.add("credential "+one.Provider+" "+one.Name, findingNote, string(o.Class)+": "+o.Message, "it is set aside "+until(o.Until, time.Now()))
		}
	}
	for _, n := range s.Notes {
		f.add("gateway", findingNote, n, "")
	}
}
