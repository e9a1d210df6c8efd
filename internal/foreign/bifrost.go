package foreign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// The keys of Bifrost's config.json, as its schema (transports/
// config.schema.json) and its documentation had them in autumn 2026 and as its
// example files use them.

// bifrostProviders are those that are in the catalogue under another id.
var bifrostProviders = map[string]string{"nebius": "nebius", "huggingface": "huggingface", "vllm": "vllm", "sgl": "sglang", "fireworks": "fireworks"}

// bifrostClouds need a way to sign that is not here.
var bifrostClouds = []string{"bedrock", "bedrock_mantle", "vertex"}

// Bifrost reads a config.json of Bifrost.
func Bifrost(file []byte, c *catalog.Catalog) (*Result, error) {
	var tree map[string]any
	if err := json.Unmarshal(file, &tree); err != nil {
		return nil, fmt.Errorf("read the JSON: %s", firstLine(err))
	}
	if tree["providers"] == nil && tree["client"] == nil && tree["config_store"] == nil && tree["governance"] == nil {
		return nil, fmt.Errorf("this is no Bifrost configuration: it has none of providers, client, config_store, governance")
	}
	b := &bifrost{reading: newReading(c), byName: map[string][]*provider{}}
	for _, name := range slices.Sorted(maps.Keys(object(tree["providers"]))) {
		b.one(name, object(object(tree["providers"])[name]))
	}
	b.client(object(tree["client"]))
	b.governance(object(tree["governance"]))
	b.stores(tree)
	for i, one := range list(tree["plugins"]) {
		b.plugin(fmt.Sprintf("plugins[%d]", i), object(one))
	}
	for key, word := range map[string]struct {
		grade Grade
		text  string
	}{
		"$schema":           {Exact, "headrace config schema prints ours"},
		"version":           {Exact, "an empty list of models is read as none, or with 1 as all, as it says"},
		"encryption_key":    {Approximate, "what is kept is sealed with a key of its own in the data directory"},
		"mcp":               {Impossible, "MCP servers are not proxied"},
		"vector_store":      {Impossible, "answers are not cached"},
		"local_cache":       {Impossible, "answers are not cached"},
		"websocket":         {Impossible, "there is no realtime socket"},
		"guardrails_config": {Impossible, "rules of input and output are not brought along"},
		"framework":         {Approximate, "headrace models refresh renews the catalogue, with its prices"},
		"server":            {Exact, "headers may have 64 KB"},
		"source_of_truth":   {Exact, "the file is in force, and read again when it changes"},
		"env_label":         {Impossible, "environments have no label"},
	} {
		if tree[key] != nil {
			b.note(key, word.grade, "%s", word.text)
		}
	}
	return b.result(tree), nil
}

type bifrost struct {
	*reading
	byName map[string][]*provider // by their name for it
	repeat float64                // the most repeats of any provider
}

// env turns env.NAME, or an object that says the same, into a reference of ours.
func env(v any) string {
	if o := object(v); o != nil {
		if name := text(o["env_var"]); name != "" {
			if ref, ok := refer(strings.TrimPrefix(name, "env.")); ok {
				return ref
			}
		}
		v = o["value"]
	}
	s := text(v)
	if name, ok := strings.CutPrefix(s, "env."); ok {
		if ref, ok := refer(name); ok {
			return ref
		}
	}
	return strings.ReplaceAll(s, refMark, "")
}

// one reads a provider.
func (b *bifrost) one(name string, p map[string]any) {
	at := "providers." + name
	if slices.Contains(bifrostClouds, name) {
		b.note(at, Impossible, "%s needs a cloud's own way to sign, which is not there", name)
		return
	}
	id := cmp.Or(bifrostProviders[name], name)
	network, custom := object(p["network_config"]), object(p["custom_provider_config"])
	base := strings.TrimRight(env(network["base_url"]), "/")
	row, known := b.catalog.Provider(id)
	var made []*provider
	switch {
	case name == "azure":
		made = b.azure(at, p)
	case custom != nil:
		made = []*provider{b.custom(at, name, base, custom)}
	case known:
		if base != "" && row.Dialect == llm.OpenAI && !strings.HasSuffix(base, "/v1") && !strings.Contains(base, "/v1/") && !strings.HasPrefix(base, refMark) {
			base += "/v1" // theirs are written without
		}
		made = []*provider{b.provider(id, "", "", base, name)}
	}
	if len(made) == 0 || made[0] == nil {
		b.note(at, Impossible, "there is no provider %q", name)
		return
	}
	b.byName[name] = made
	if name != "azure" {
		b.keys(at, made[0], p)
	}
	if base != "" {
		b.note(at+".network_config.base_url", Exact, "providers.%s.base_url", made[0].id)
	}
	b.network(at+".network_config", network, made)
	for _, key := range slices.Sorted(maps.Keys(p)) {
		switch path := at + "." + key; key {
		case "keys", "network_config", "custom_provider_config":
		case "concurrency_and_buffer_size":
			if f, ok := figure(object(p[key])["concurrency"]); ok && f >= 1 {
				for _, one := range made {
					one.limits["parallel"] = whole(f)
				}
				b.note(path+".concurrency", Approximate, "providers.%s.limits.parallel, for each key", made[0].id)
			}
			if object(p[key])["buffer_size"] != nil {
				b.note(path+".buffer_size", Impossible, "what waits is bounded for all providers together: overload.queue")
			}
		case "proxy_config":
			b.note(path, Impossible, "a proxy is said by HTTPS_PROXY in the environment, for all providers")
		case "send_back_raw_response", "send_back_raw_request", "store_raw_request_response":
			if truth(p[key]) {
				b.note(path, Impossible, "a provider's bytes are passed on as they are where client and provider speak the same dialect, and not beside the answer")
			} else {
				b.note(path, Exact, "nothing is sent back beside the answer")
			}
		default:
			b.note(path, Impossible, "nothing here knows it")
		}
	}
	if len(made[0].keys) == 0 && made[0].row != nil && made[0].row.Auth != catalog.NoAuth {
		b.note(at, Approximate, "it has no key in the file: its usual variable is looked for")
	}
}

// custom is a provider of the operator's own.
func (b *bifrost) custom(at, name, base string, custom map[string]any) *provider {
	path := at + ".custom_provider_config"
	if base == "" {
		b.note(path, Impossible, "it has no base_url")
		return nil
	}
	kind := text(custom["base_provider_type"])
	dialect, auth, grade, word := "openai", "bearer", Exact, "a server with OpenAI's API"
	switch kind {
	case "openai":
	case "anthropic":
		dialect, auth, word = "anthropic", "x-api-key", "a server with Anthropic's API"
	case "gemini":
		dialect, auth, word = "gemini", "x-goog-api-key", "a server with Gemini's API"
	default:
		grade, word = Approximate, "taken for a server with OpenAI's API"
	}
	if dialect == "openai" && !strings.HasSuffix(base, "/v1") && !strings.HasPrefix(base, refMark) {
		base += "/v1"
	}
	b.note(path+".base_provider_type", grade, "%s", word)
	for _, key := range slices.Sorted(maps.Keys(custom)) {
		switch key {
		case "base_provider_type":
		case "is_key_less":
			b.note(path+"."+key, Exact, "auth: none where there is no key")
		default:
			b.note(path+"."+key, Impossible, "which requests a server takes is found out by asking")
		}
	}
	return b.provider("", dialect, auth, base, name)
}

// azure makes a provider of each endpoint.
func (b *bifrost) azure(at string, p map[string]any) (made []*provider) {
	for i, one := range list(p["keys"]) {
		k, path := object(one), fmt.Sprintf("%s.keys[%d]", at, i)
		own := object(k["azure_key_config"])
		endpoint := strings.TrimRight(env(own["endpoint"]), "/")
		if endpoint == "" {
			b.note(path, Impossible, "it has no endpoint")
			continue
		}
		to := b.provider("azure", "openai", "api-key", endpoint+"/openai/v1", hostOf(endpoint))
		if !slices.Contains(made, to) {
			made = append(made, to)
		}
		b.key(path, to, k)
		b.note(path+".azure_key_config", Approximate, "%s asks Azure's v1 API, which takes no api_version; deployments are asked for by their names", to.id)
		deployments := object(own["deployments"])
		for _, alias := range slices.Sorted(maps.Keys(deployments)) {
			name, same := b.routeNameOf(alias)
			if b.routes[name] == nil {
				b.routes[name] = &routeOut{}
			}
			b.routes[name].add(to.id + "/" + text(deployments[alias]))
			grade, word := Exact, "a target of routes."+name
			if !same {
				grade, word = Approximate, word+": clients must ask for "+name
			}
			b.note(path+".azure_key_config.deployments."+alias, grade, "%s", word)
			to.asks(text(deployments[alias]))
		}
	}
	return made
}

// keys reads the keys of a provider.
func (b *bifrost) keys(at string, to *provider, p map[string]any) {
	for i, one := range list(p["keys"]) {
		b.key(fmt.Sprintf("%s.keys[%d]", at, i), to, object(one))
	}
}

func (b *bifrost) key(at string, to *provider, k map[string]any) {
	value := env(k["value"])
	to.key(text(k["name"]), value)
	for _, name := range slices.Sorted(maps.Keys(k)) {
		path := at + "." + name
		switch name {
		case "value":
			if value == "" {
				b.note(path, Exact, "empty")
			} else {
				b.note(path, Exact, "a key of %s", to.id)
			}
		case "name":
			b.note(path, Exact, "the key's name")
		case "id":
			b.note(path, Impossible, "provider keys are picked by nobody: requests are spread over them")
		case "weight":
			if f, ok := figure(k[name]); ok && f == 1 {
				b.note(path, Exact, "requests are spread evenly, a conversation staying with one key")
			} else {
				b.note(path, Approximate, "requests are spread evenly, a conversation staying with one key")
			}
		case "models", "blacklisted_models":
			all := list(k[name])
			switch {
			case name == "models" && len(all) == 1 && text(all[0]) == "*":
				b.note(path, Exact, "a key serves all models of its provider")
			case len(all) == 0:
				b.note(path, Approximate, "a key serves all models of its provider")
			default:
				for _, m := range all {
					if name == "models" {
						to.asks(text(m))
					}
				}
				b.note(path, Approximate, "a key serves all models of its provider; what callers may ask for is said by their keys (keys create --models)")
			}
		case "azure_key_config":
		case "use_for_batch_api":
			if truth(k[name]) {
				b.note(path, Approximate, "batches go with the provider's first key")
			} else {
				b.note(path, Approximate, "batches go with the provider's first key; batch.enabled switches them off for all")
			}
		case "enabled":
			if truth(k[name]) {
				b.note(path, Exact, "it is used")
			} else {
				b.note(path, Impossible, "keys are not switched off one by one: take it out of the list")
			}
		case "aliases":
			for _, alias := range slices.Sorted(maps.Keys(object(k[name]))) {
				ours, same := b.routeNameOf(alias)
				if b.routes[ours] == nil {
					b.routes[ours] = &routeOut{}
				}
				b.routes[ours].add(to.id + "/" + text(object(k[name])[alias]))
				grade := Exact
				if !same {
					grade = Approximate
				}
				b.note(path+"."+alias, grade, "routes.%s", ours)
			}
		default:
			b.note(path, Impossible, "nothing here knows it")
		}
	}
}

// network reads network_config.
func (b *bifrost) network(at string, n map[string]any, made []*provider) {
	for _, key := range slices.Sorted(maps.Keys(n)) {
		path := at + "." + key
		f, isFigure := figure(n[key])
		switch key {
		case "base_url":
		case "extra_headers":
			for name, v := range object(n[key]) {
				for _, p := range made {
					p.headers[name] = env(v)
				}
			}
			b.note(path, Exact, "providers.%s.headers", made[0].id)
		case "default_request_timeout_in_seconds":
			if isFigure {
				for _, p := range made {
					p.timeouts["total"] = span(f)
				}
				b.note(path, Exact, "providers.%s.timeouts.total", made[0].id)
			}
		case "stream_idle_timeout_in_seconds":
			if isFigure {
				for _, p := range made {
					p.timeouts["idle"] = span(f)
				}
				b.note(path, Exact, "providers.%s.timeouts.idle", made[0].id)
			}
		case "max_retries":
			if isFigure {
				b.repeat = max(b.repeat, min(f, 10))
				for _, class := range []llm.Class{llm.Overloaded, llm.ServerError} {
					b.set("retries.classes", string(class), "{repeat: "+whole(b.repeat)+"}")
				}
				b.note(path, Approximate, "repeats for overloaded and server_error at every provider, the most that any of them has; all repeats together are at most a tenth of the requests")
			}
		case "retry_backoff_initial", "retry_backoff_initial_ms", "retry_backoff_max", "retry_backoff_max_ms":
			b.note(path, Impossible, "pauses are those of the error table (headrace explain errors), by class: retries.classes")
		default:
			b.note(path, Impossible, "nothing here knows it")
		}
	}
}

func (b *bifrost) client(m map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v, path := m[key], "client."+key
		f, isFigure := figure(v)
		switch key {
		case "max_request_body_size_mb":
			if isFigure && f >= 1 {
				b.set("limits", "body", whole(f)+"MB")
				b.note(path, Exact, "limits.body")
			}
		case "log_retention_days":
			if isFigure && f >= 1 {
				b.set("retention", "age", whole(f*24)+"h")
				b.note(path, Exact, "retention.age")
			}
		case "enable_logging":
			if truth(v) {
				b.note(path, Exact, "every request has its row in the ledger")
			} else {
				b.note(path, Impossible, "every request has its row in the ledger")
			}
		case "disable_content_logging":
			if truth(v) {
				b.note(path, Exact, "prompts and answers are not stored")
			} else {
				b.note(path, Impossible, "prompts and answers are not stored unless a key is told to")
			}
		case "drop_excess_requests":
			if truth(v) {
				b.set("overload", "queue", "0")
				b.note(path, Exact, "overload.queue: 0")
			} else {
				b.note(path, Approximate, "overload.queue: at most 1000 wait, for overload.wait")
			}
		case "enforce_auth_on_inference", "enforce_governance_header":
			if truth(v) {
				b.note(path, Exact, "every request needs a key")
			} else {
				b.note(path, Impossible, "every request needs a key")
			}
		case "allow_direct_keys":
			if truth(v) {
				b.note(path, Impossible, "a caller's own provider key is not taken")
			} else {
				b.note(path, Exact, "a caller's own provider key is not taken")
			}
		case "initial_pool_size":
			b.note(path, Exact, "memory needs no pool of a size")
		case "allowed_origins", "allowed_headers":
			b.note(path, Impossible, "browsers of other sites are not let in")
		case "prometheus_labels":
			b.note(path, Impossible, "the names and labels of /metrics are fixed: docs/metrics.md")
		case "enable_litellm_fallbacks", "compat":
			b.note(path, Approximate, "requests are fitted to a route's targets, and what is lost is named in x-headrace-warnings")
		case "enable_local_cache":
			if truth(v) {
				b.note(path, Impossible, "answers are not cached")
			} else {
				b.note(path, Exact, "answers are not cached")
			}
		default:
			b.note(path, Impossible, "nothing here knows it")
		}
	}
}

// bifrostWindows are the reset durations that are windows of ours.
var bifrostWindows = map[string]string{"1d": "daily", "24h": "daily", "1w": "weekly", "7d": "weekly", "1M": "monthly", "30d": "monthly"}

// governance reads keys, teams, budgets and limits.
func (b *bifrost) governance(g map[string]any) {
	if g == nil {
		return
	}
	byID := func(kind string) map[string]map[string]any {
		m := map[string]map[string]any{}
		for _, one := range list(g[kind]) {
			m[text(object(one)["id"])] = object(one)
		}
		return m
	}
	budgets, rates, teams := byID("budgets"), byID("rate_limits"), byID("teams")
	for i := range list(g["budgets"]) {
		b.note(fmt.Sprintf("governance.budgets[%d]", i), Exact, "written where a team or a key has it")
	}
	for i := range list(g["rate_limits"]) {
		b.note(fmt.Sprintf("governance.rate_limits[%d]", i), Exact, "written where a team or a key has it")
	}
	for i, one := range list(g["teams"]) {
		b.team(fmt.Sprintf("governance.teams[%d]", i), object(one), budgets, rates)
	}
	for i, one := range list(g["virtual_keys"]) {
		b.virtualKey(fmt.Sprintf("governance.virtual_keys[%d]", i), object(one), budgets, rates, teams)
	}
	for i := range list(g["customers"]) {
		b.note(fmt.Sprintf("governance.customers[%d]", i), Impossible, "budgets are of keys, teams and tags: a customer may be a team")
	}
	for i := range list(g["routing_rules"]) {
		b.note(fmt.Sprintf("governance.routing_rules[%d]", i), Impossible, "rules in CEL are not there: a route or a ladder may say what is meant")
	}
	if g["auth_config"] != nil {
		b.note("governance.auth_config", Approximate, "an admin token opens the admin API: preset HEADRACE_ADMIN_TOKEN, or take the one of the first start")
	}
}

// budgetOf gives the window and the sum of a budget; grade says how well.
func budgetOf(o map[string]any) (window, sum string, grade Grade) {
	limit, ok := figure(o["max_limit"])
	if !ok {
		return "", "", Impossible
	}
	sum = strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(limit, 'f', 9, 64), "0"), ".")
	if window = bifrostWindows[text(o["reset_duration"])]; window != "" {
		if truth(o["calendar_aligned"]) {
			return window, sum, Exact
		}
		return window, sum, Approximate
	}
	return "", "", Impossible
}

// ratesOf gives limits by the minute: requests and tokens, 0 for none.
func ratesOf(o map[string]any) (rpm, tpm float64, grade Grade) {
	grade = Exact
	by := func(limit, reset any) float64 {
		f, ok := figure(limit)
		if !ok {
			return 0
		}
		switch text(reset) {
		case "1m", "60s":
			return f
		case "1h", "60m":
			grade = Approximate
			return max(1, f/60)
		case "30s":
			grade = Approximate
			return f * 2
		}
		grade = Impossible
		return 0
	}
	return by(o["request_max_limit"], o["request_reset_duration"]), by(o["token_max_limit"], o["token_reset_duration"]), grade
}

func (b *bifrost) team(at string, t map[string]any, budgets, rates map[string]map[string]any) {
	name := config.Quoted(text(t["name"]))
	b.note(at+".name", Exact, "a team is there once a key, a limit or a budget has it")
	b.note(at+".id", Exact, "teams are known by their names")
	if t["customer_id"] != nil {
		b.note(at+".customer_id", Impossible, "there are no customers above teams")
	}
	if id := text(t["budget_id"]); id != "" {
		window, sum, grade := budgetOf(budgets[id])
		if window != "" {
			b.set("budgets.teams", name, "{"+window+": "+sum+"}")
		}
		b.note(at+".budget_id", grade, "%s", cmp.Or(budgetWord(grade, "budgets.teams."+text(t["name"])), ""))
	}
	if id := text(t["rate_limit_id"]); id != "" {
		rpm, tpm, grade := ratesOf(rates[id])
		if rpm > 0 || tpm > 0 {
			b.set("teams", name, fmt.Sprintf("{limits: {requests_per_minute: %s, tokens_per_minute: %s}}", whole(rpm), whole(tpm)))
		}
		b.note(at+".rate_limit_id", grade, "%s", rateWord(grade, "teams."+text(t["name"])+".limits"))
	}
}

func budgetWord(g Grade, where string) string {
	switch g {
	case Exact:
		return where
	case Approximate:
		return where + ": windows follow the UTC calendar"
	}
	return "a budget is daily, weekly, monthly or total"
}

func rateWord(g Grade, where string) string {
	switch g {
	case Exact:
		return where
	case Approximate:
		return where + ", by the minute"
	}
	return "limits are by the minute"
}

// virtualKey gives the command that makes a key; its token cannot be kept.
func (b *bifrost) virtualKey(at string, k map[string]any, budgets, rates, teams map[string]map[string]any) {
	name := cmp.Or(text(k["name"]), text(k["id"]))
	words := []string{"headrace keys create", shell(name)}
	b.note(at+".name", Exact, "the key's name")
	active := k["is_active"] == nil || truth(k["is_active"])
	var after []string
	for _, key := range slices.Sorted(maps.Keys(k)) {
		v, path := k[key], at+"."+key
		switch key {
		case "name":
		case "id":
			b.note(path, Exact, "a key has an id of its own")
		case "value":
			b.note(path, Impossible, "tokens are made here and shown once: hand out new ones (HEADRACE_KEY presets one of 32 characters or more)")
		case "is_active":
			if active {
				b.note(path, Exact, "the key is made")
			} else {
				b.note(path, Exact, "the key is not made")
			}
		case "description":
			b.note(path, Impossible, "keys have a name alone")
		case "team_id":
			if t := teams[text(v)]; t != nil {
				words = append(words, "--team", shell(text(t["name"])))
				b.note(path, Exact, "keys create --team")
			} else {
				b.note(path, Impossible, "there is no team of this id in the file")
			}
		case "customer_id":
			b.note(path, Impossible, "there are no customers")
		case "budget_id":
			window, sum, grade := budgetOf(budgets[text(v)])
			if window != "" {
				after = append(after, "headrace budgets set --key "+shell(name)+" "+window+" "+sum)
			}
			b.note(path, grade, "%s", budgetWord(grade, "headrace budgets set --key"))
		case "rate_limit_id":
			rpm, tpm, grade := ratesOf(rates[text(v)])
			if rpm > 0 {
				words = append(words, "--rpm", whole(rpm))
			}
			if tpm > 0 {
				words = append(words, "--tpm", whole(tpm))
			}
			b.note(path, grade, "%s", rateWord(grade, "keys create --rpm, --tpm"))
		case "provider_configs":
			if models := b.allowed(path, list(v)); len(models) > 0 {
				words = append(words, "--models", shell(strings.Join(models, ",")))
			}
		case "mcp_configs":
			b.note(path, Impossible, "MCP servers are not proxied")
		default:
			b.note(path, Impossible, "nothing here knows it")
		}
	}
	if active {
		b.commands = append(b.commands, strings.Join(words, " "))
		b.commands = append(b.commands, after...)
	}
}

// allowed are the patterns of models that a key may ask for.
func (b *bifrost) allowed(at string, configs []any) (models []string) {
	for i, one := range configs {
		c, path := object(one), fmt.Sprintf("%s[%d]", at, i)
		made := b.byName[text(c["provider"])]
		if made == nil {
			b.note(path, Impossible, "its provider is not brought along")
			continue
		}
		names, all := list(c["allowed_models"]), false
		for _, m := range names {
			all = all || text(m) == "*"
		}
		for _, p := range made {
			if all {
				models = append(models, p.id+"/*")
				continue
			}
			for _, m := range names {
				if name, _ := b.routeNameOf(text(m)); b.routes[name] != nil { // an alias: what it stands for
					for _, target := range b.routes[name].targets {
						if strings.HasPrefix(target, p.id+"/") {
							models = append(models, target)
						}
					}
					continue
				}
				models = append(models, p.id+"/"+text(m))
			}
		}
		b.note(path+".provider", Exact, "keys create --models")
		for _, key := range slices.Sorted(maps.Keys(c)) {
			under := path + "." + key
			switch key {
			case "provider":
			case "allowed_models":
				if len(names) == 0 {
					b.note(under, Approximate, "an empty list lets nothing through there; here the provider is left out of the key's models")
				} else {
					b.note(under, Exact, "keys create --models")
				}
			case "weight":
				b.note(under, Impossible, "the request or a route says the provider: requests are not spread by weight")
			case "key_ids":
				if ids := list(c[key]); len(ids) == 1 && text(ids[0]) == "*" {
					b.note(under, Exact, "any key of the provider")
				} else {
					b.note(under, Impossible, "a caller is not bound to a key of the provider")
				}
			default:
				b.note(under, Impossible, "nothing here knows it")
			}
		}
	}
	return models
}

// shell writes a word for a shell.
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\n", " "), "'", `'\''`) + "'"
}

// stores reads where state is kept.
func (b *bifrost) stores(tree map[string]any) {
	for _, key := range []string{"config_store", "logs_store"} {
		s := object(tree[key])
		switch {
		case s == nil:
		case text(s["type"]) == "postgres":
			b.note(key, Impossible, "state is one SQLite file in the data directory")
		default:
			b.note(key, Approximate, "state is one SQLite file in the data directory (data:, --data)")
		}
	}
}

func (b *bifrost) plugin(at string, p map[string]any) {
	if p["enabled"] != nil && !truth(p["enabled"]) {
		b.note(at, Exact, "switched off")
		return
	}
	switch text(p["name"]) {
	case "governance":
		b.note(at, Exact, "keys, budgets and limits are always in force")
	case "otel":
		b.note(at, Approximate, "traces go by OTLP (telemetry:): say where with telemetry.endpoint")
	case "prometheus", "telemetry":
		b.note(at, Approximate, "/metrics is always there, with names of its own")
	case "logging":
		b.note(at, Exact, "every request has its row in the ledger")
	default:
		b.note(at, Impossible, "there is no plugin %q", text(p["name"]))
	}
}
