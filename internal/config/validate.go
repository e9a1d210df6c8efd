package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
)

// Names of things that the operator invents or picks. A provider id must not
// hold a slash, because provider/model is cut at the first one; a route must
// not hold one or a colon, because :floor and :nitro are suffixes.
var (
	providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	routeName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	modelRef   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}/[^\s/][^\s]*$`)
)

// Capabilities are the words that models.*.capabilities knows, in the order of
// llm's features. They are the catalogue's own names, which this package must
// not import; app's tests hold the two lists together.
func Capabilities() []string {
	return []string{"tools", "forced_tool", "parallel_tools", "vision", "pdf", "audio", "thinking",
		"sampling", "json", "json_schema", "mid_system", "developer_role", "prefill",
		"stop", "logprobs", "seed", "image_in_result", "strict_tools", "tool_effort_free"}
}

// hopHeaders belong to the connection or to the gateway, so no operator sets
// them.
var hopHeaders = []string{"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "keep-alive", "accept-encoding"}

// keyRules are the rules for the keys of maps, by the field's "keys" tag.
var keyRules = map[string]func(key string) string{
	"header": func(key string) string {
		if !headerName.MatchString(key) {
			return "not a header name"
		}
		if slices.Contains(hopHeaders, strings.ToLower(key)) {
			return "this header is the gateway's own to set"
		}
		return ""
	},
	"capability": func(key string) string { return oneOf("capability", key, Capabilities()) },
	"class": func(key string) string {
		var words []string
		for _, c := range llm.Classes() {
			words = append(words, string(c))
		}
		return oneOf("error class", key, words)
	},
}

func oneOf(what, got string, words []string) string {
	if slices.Contains(words, got) {
		return ""
	}
	return "unknown " + what + suggest(got, words)
}

// checkKey applies a "keys" rule; no rule takes every key.
func checkKey(rule, key string) string {
	if rule == "" {
		return ""
	}
	return keyRules[rule](key)
}

// validate checks what a single field's rules cannot say. Whether a provider
// or a model exists is for those who hold the catalogue (see ErrorAt).
func (c *Config) validate() error {
	var errs Errors
	bad := func(path, format string, args ...any) {
		errs = append(errs, c.ErrorAt(path, format, args...))
	}
	c.validateAdmin(bad)
	if err := checkListen(c.Listen); err != "" {
		bad("listen", "%s", err)
	}
	for i, a := range c.Alerts {
		at := join("alerts", strconv.Itoa(i))
		if a.URL == "" {
			bad(at, "the url is missing")
		}
		if len(a.Secret.Reveal()) < 24 {
			bad(join(at, "secret"), "the secret has at least 24 characters: try openssl rand -hex 32")
		}
	}
	if c.Telemetry.Endpoint != "" {
		if message := checkURL(c.Telemetry.Endpoint); message != "" {
			bad("telemetry.endpoint", "%s", message)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.Providers)) {
		p, at := c.Providers[id], join("providers", id)
		if !providerID.MatchString(id) {
			bad(at, "a provider id is lower-case letters, digits, dots, dashes and underscores")
		}
		if p.BaseURL != "" {
			if message := checkURL(p.BaseURL); message != "" {
				bad(join(at, "base_url"), "%s", message)
			} else if LeadsTo(p.BaseURL, c.Listen) {
				bad(join(at, "base_url"), "the base URL leads back to this gateway (%s)", c.Listen)
			}
		}
		c.checkKeys(&p, at, bad)
		for i, m := range p.Models {
			if m == "" || strings.ContainsAny(m, " \t") {
				bad(join(join(at, "models"), strconv.Itoa(i)), "a model id is not empty and holds no space")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Routes)) {
		at := join("routes", name)
		switch {
		case name == "auto":
			bad(at, `the name "auto" is taken`)
		case !routeName.MatchString(name):
			bad(at, "a route's name is letters, digits, dots, dashes and underscores")
		}
		r := c.Routes[name]
		if len(r.Targets)+len(r.Ladder) == 0 {
			bad(at, "the route has no targets: write [provider/model, ...] or ladder: [{model: provider/model}, ...]")
		}
		if len(r.Ladder) > MostRungs {
			bad(join(at, "ladder"), "a ladder has at most %d rungs", MostRungs)
		}
		for path, target := range r.Each() {
			if !modelRef.MatchString(target) {
				bad(at+"."+path, "%q is not provider/model", clip(target))
			}
		}
		if r.Success != nil && len(r.Ladder) == 1 {
			bad(join(at, "success"), "a ladder with one rung has no other one to ask")
		}
		c.checkAim(&r, at, bad)
		for i, target := range r.Targets {
			if slices.Index(r.Targets, target) < i {
				bad(join(at, strconv.Itoa(i)), "%s is in this route already", target)
			}
		}
		for i, rung := range r.Ladder {
			if slices.Index(r.Ladder, rung) < i {
				bad(join(join(at, "ladder"), strconv.Itoa(i)), "this rung is in the ladder already")
			}
		}
	}
	for i, name := range c.Retries.Hedge {
		if _, ok := c.Routes[name]; !ok {
			bad(join("retries.hedge", strconv.Itoa(i)), "there is no route %q", clip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Retries.Routes)) {
		if _, ok := c.Routes[name]; !ok {
			bad(join("retries.routes", name), "there is no route %q", clip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Timeouts.Routes)) {
		if _, ok := c.Routes[name]; !ok {
			bad(join("timeouts.routes", name), "there is no route %q", clip(name))
		}
	}
	for _, team := range slices.Sorted(maps.Keys(c.Budgets.Teams)) {
		at := join(join("budgets", "teams"), team)
		if team == "" || len(team) > 128 {
			bad(at, "a team's name is 1 to 128 bytes")
		}
		last := 0
		for i, a := range c.Budgets.Teams[team].Alerts {
			if a <= last || a > 1000 {
				bad(join(join(at, "alerts"), strconv.Itoa(i)), "alerts are rising percentages from 1 to 1000")
			}
			last = a
		}
	}
	c.validateGuards(bad)
	for _, ref := range slices.Sorted(maps.Keys(c.Models)) {
		if !modelRef.MatchString(ref) {
			bad(join("models", ref), "%q is not provider/model", clip(ref))
		}
	}
	c.checkExperiments(bad)
	return errs.sorted()
}

// checkAim checks what a route says beside its rungs.
func (c *Config) checkAim(r *Route, at string, bad func(path, format string, args ...any)) {
	if len(r.Ladder) == 0 {
		for name, there := range map[string]bool{"success": r.Success != nil, "aim": r.Aim != nil, "when": len(r.When) > 0} {
			if there {
				bad(join(at, name), "only a ladder has it: write ladder: [{model: provider/model}, ...]")
			}
		}
		return
	}
	for i, w := range r.When {
		if w.Script == "" && w.Has == "" && w.Task == "" {
			bad(join(join(at, "when"), strconv.Itoa(i)), "the rule says nothing that must hold: script, has or task")
		}
	}
	if a := r.Aim; a != nil && a.MaxCost > 0 && a.ValueOfSuccess > 0 && a.MaxCost > a.ValueOfSuccess {
		bad(join(join(at, "aim"), "max_cost"), "a request may cost more (%s) than its success is worth (%s)", a.MaxCost, a.ValueOfSuccess)
	}
}

// MostRungs is how many rungs a ladder has at most.
const MostRungs = 8

// mostKeys is how many keys a provider may have.
const mostKeys = 64

// checkKeys checks the keys of one provider.
func (c *Config) checkKeys(p *Provider, at string, bad func(path, format string, args ...any)) {
	at = join(at, "api_keys")
	switch {
	case len(p.APIKeys) > mostKeys:
		bad(at, "a provider has at most %d keys", mostKeys)
	case len(p.APIKeys) > 0 && p.APIKey != "":
		bad(at, "api_key is there too: write one of them")
	}
	for i, k := range p.APIKeys {
		under := join(at, strconv.Itoa(i))
		switch {
		case k.Key == "":
			bad(under, "the key is missing")
		case slices.IndexFunc(p.APIKeys, func(o ProviderKey) bool { return o.Key == k.Key }) < i:
			bad(join(under, "key"), "this key is in the list already")
		case slices.IndexFunc(p.APIKeys, func(o ProviderKey) bool { return o.Name != "" && o.Name == k.Name }) < i && k.Name != "":
			bad(join(under, "name"), "this name is in the list already")
		}
	}
}

// checkListen says what is wrong with a listen address.
func checkListen(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Sprintf("%q is not host:port such as 127.0.0.1:8080", clip(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return fmt.Sprintf("%q is not a port", clip(port))
	}
	if strings.ContainsAny(host, " /@") {
		return fmt.Sprintf("%q is not a host", clip(host))
	}
	return ""
}

// checkURL says what is wrong with a base URL. It never repeats the URL: it
// may hold a password.
func checkURL(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "not a URL"
	case u.Scheme != "http" && u.Scheme != "https":
		return "a base URL begins with http:// or https://"
	case u.Hostname() == "":
		return "the base URL has no host"
	case u.User != nil:
		return "the base URL holds a user name or password: use api_key or headers"
	case u.RawQuery != "" || u.Fragment != "":
		return "a base URL has no query and no fragment"
	}
	return ""
}

// LeadsTo reports whether a base URL is this process: same port on a loopback
// name or on the host of the listen address. Requests would go round for
// ever.
func LeadsTo(baseURL, listen string) bool {
	u, err := url.Parse(baseURL)
	if err != nil {
		return false
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return false
	}
	to := u.Port()
	switch {
	case to == "" && u.Scheme == "https":
		to = "443"
	case to == "":
		to = "80"
	}
	if to != port {
		return false
	}
	there := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return strings.EqualFold(there, host) || local(there) && (local(host) || host == "")
}

// local reports whether a host is this machine by its name alone.
func local(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
