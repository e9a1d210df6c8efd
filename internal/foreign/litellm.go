package foreign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// The keys of a LiteLLM proxy's file, as documented in October 2026
// (docs.litellm.ai, proxy/configs, proxy/config_settings, router configuration)
// and as its example files use them.

// litellmProviders are the prefixes of litellm_params.model that are providers
// of the catalogue under another id; all others are looked for by their name.
var litellmProviders = map[string]string{
	"together_ai": "together", "fireworks_ai": "fireworks", "dashscope": "qwen", "ollama_chat": "ollama", "nvidia_nim": "nvidia",
	"perplexity": "perplexity", "hosted_vllm": "vllm", "lm_studio": "lmstudio", "vercel_ai_gateway": "vercel", "gemini": "gemini",
	"openai_like": "", "custom_openai": "", "text-completion-openai": "openai",
}

// litellmClouds are the prefixes that need a way to sign that is not here.
var litellmClouds = []string{"bedrock", "bedrock_converse", "vertex_ai", "vertex_ai_beta", "sagemaker", "sagemaker_chat", "watsonx", "oci", "databricks", "snowflake", "github_copilot", "azure_ai"}

// LiteLLM reads the config.yaml of a LiteLLM proxy.
func LiteLLM(file []byte, c *catalog.Catalog) (*Result, error) {
	var tree map[string]any
	if err := yaml.Unmarshal(file, &tree); err != nil {
		return nil, fmt.Errorf("read the YAML: %s", firstLine(err))
	}
	if object(tree) == nil || tree["model_list"] == nil && tree["litellm_settings"] == nil && tree["general_settings"] == nil && tree["router_settings"] == nil {
		return nil, fmt.Errorf("this is no LiteLLM configuration: it has none of model_list, litellm_settings, router_settings, general_settings")
	}
	l := &litellm{reading: newReading(c), groups: map[string][]deployment{}}
	l.credentials(tree["credential_list"])
	for i, one := range list(tree["model_list"]) {
		l.deployment(fmt.Sprintf("model_list[%d]", i), object(one))
	}
	l.groupRoutes()
	for _, block := range []string{"litellm_settings", "router_settings"} {
		l.settings(block, object(tree[block]))
	}
	l.general(object(tree["general_settings"]))
	if vars := object(tree["environment_variables"]); vars != nil {
		l.note("environment_variables", Approximate, "set them in the environment of headrace serve: the file holds references, not variables")
	}
	for key, word := range map[string]string{
		"include":               "import each of these files by itself",
		"guardrails":            "there are no rules of input and output in the imported file",
		"mcp_servers":           "MCP servers are not proxied",
		"mcp_tools":             "MCP servers are not proxied",
		"vector_store_registry": "vector stores are not proxied",
		"search_tools":          "search tools are not proxied",
		"finetune_settings":     "fine-tuning passes raw under /openai with the provider's key",
		"files_settings":        "files are kept here, for batches",
		"prompts":               "prompts of LiteLLM are not read",
		"callback_settings":     "callbacks are not there; /metrics and traces are",
	} {
		if tree[key] != nil {
			l.note(key, Impossible, "%s", word)
		}
	}
	return l.result(tree), nil
}

// firstLine keeps the parser's error to what is wrong: the rest shows the file,
// which may hold keys.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

type litellm struct {
	*reading
	groups map[string][]deployment
	order  []string // of the groups
	creds  map[string]map[string]any
}

// deployment is one entry of model_list that can be asked.
type deployment struct {
	target string
	first  float64 // its order; those without one come last
	at     string
}

// reference turns os.environ/NAME into a reference of ours.
func reference(v any) string {
	s := text(v)
	if name, ok := strings.CutPrefix(s, "os.environ/"); ok {
		if ref, ok := refer(name); ok {
			return ref
		}
	}
	return strings.ReplaceAll(s, refMark, "")
}

func (l *litellm) credentials(v any) {
	l.creds = map[string]map[string]any{}
	for i, one := range list(v) {
		o := object(one)
		name, at := text(o["credential_name"]), fmt.Sprintf("credential_list[%d]", i)
		l.creds[name] = object(o["credential_values"])
		l.note(at, Exact, "taken over by the models that name it")
	}
}

func (l *litellm) deployment(at string, d map[string]any) {
	group, p := text(d["model_name"]), object(d["litellm_params"])
	params := at + ".litellm_params"
	if p == nil || text(p["model"]) == "" {
		l.note(at, Impossible, "it names no model")
		return
	}
	if name := text(p["litellm_credential_name"]); name != "" {
		if values, ok := l.creds[name]; ok {
			merged := maps.Clone(p)
			for k, v := range values {
				if merged[k] == nil {
					merged[k] = v
				}
			}
			p = merged
			l.note(params+".litellm_credential_name", Exact, "its values are written to the provider")
		} else {
			l.note(params+".litellm_credential_name", Impossible, "credential_list has no such name")
		}
	}
	prov, model, why := l.target(p)
	if prov == nil {
		l.note(at, Impossible, "%s", why)
		return
	}
	if why != "" {
		l.note(params+".model", Approximate, "%s/%s: %s", prov.id, model, why)
	} else {
		l.note(params+".model", Exact, "%s/%s", prov.id, model)
	}
	prov.asks(model)
	if p["api_key"] != nil {
		key := reference(p["api_key"])
		prov.key("", key)
		if len(prov.keys) > 1 {
			l.note(params+".api_key", Approximate, "one of the keys of %s: requests for all of its models are spread over them", prov.id)
		} else {
			l.note(params+".api_key", Exact, "the key of %s", prov.id)
		}
	}
	if p["api_base"] != nil {
		l.note(params+".api_base", Exact, "providers.%s.base_url", prov.id)
	}
	target := prov.id + "/" + model
	l.params(params, p, prov, target)
	l.info(at+".model_info", object(d["model_info"]), target)
	if wildcard(group) || wildcard(model) {
		switch {
		case group == prov.id+"/*" || group == text(p["model"]) && strings.HasPrefix(group, prov.id+"/"):
			l.note(at+".model_name", Exact, "provider/model is always taken")
		default:
			l.note(at+".model_name", Approximate, "any model of %s may be asked for as %s/MODEL, and by its bare name where the catalogue knows it", prov.id, prov.id)
		}
		return
	}
	first, ok := figure(p["order"])
	if !ok {
		first = 1e9
	}
	if l.groups[group] == nil {
		l.order = append(l.order, group)
	}
	l.groups[group] = append(l.groups[group], deployment{target, first, at})
}

func wildcard(s string) bool { return strings.Contains(s, "*") }

// target finds the provider and the model of litellm_params; why says what
// differs, or, without a provider, what is missing.
func (l *litellm) target(p map[string]any) (prov *provider, model, why string) {
	full := text(p["model"])
	base := strings.TrimRight(reference(p["api_base"]), "/")
	prefix, rest, cut := strings.Cut(full, "/")
	if own := text(p["custom_llm_provider"]); own != "" {
		prefix, rest, cut = own, strings.TrimPrefix(full, own+"/"), true
	}
	if !cut { // a bare name is one of OpenAI's, or of whoever makes it
		id := "openai"
		if row, ok := l.maker(full); ok && base == "" {
			id = row
		}
		prefix, rest = id, full
	}
	switch {
	case slices.Contains(litellmClouds, prefix):
		return nil, "", prefix + " needs a cloud's own way to sign, which is not there"
	case prefix == "azure" || prefix == "azure_text":
		if base == "" {
			return nil, "", "azure needs api_base"
		}
		if !strings.Contains(base, "/openai/v1") {
			base += "/openai/v1"
		}
		return l.provider("azure", "openai", "api-key", base, hostOf(base)), rest, "the deployment is asked for over Azure's v1 API, and api_version is not sent"
	}
	id, listed := litellmProviders[prefix]
	if !listed {
		id = prefix
	}
	row, known := l.catalog.Provider(id)
	switch {
	case known && (base == "" || base == row.BaseURL):
		return l.provider(id, "", "", "", ""), rest, ""
	case base == "" && listed:
		return nil, "", prefix + " needs api_base"
	case base == "":
		return nil, "", "there is no provider " + strconv.Quote(prefix)
	}
	dialect, auth := "openai", "bearer"
	if known {
		dialect, auth = string(row.Dialect), string(row.Auth)
	}
	if !known && cut && !listed {
		// org/model of a server with OpenAI's API: the prefix belongs to the model.
		rest, why = full, "taken for a server with OpenAI's API, since there is no provider "+strconv.Quote(prefix)
	}
	return l.provider("", dialect, auth, base, hostOf(base)), rest, why
}

// maker is who makes a model of a bare name.
func (l *litellm) maker(model string) (string, bool) {
	for _, row := range l.catalog.Providers() {
		if row.Kind == catalog.Vendor && !row.Explicit {
			if m, ok := l.catalog.Model(row.ID, model); ok && m.Known {
				return row.ID, true
			}
		}
	}
	return "", false
}

// params are the members of litellm_params beside model and key.
func (l *litellm) params(at string, p map[string]any, prov *provider, target string) {
	for _, key := range slices.Sorted(maps.Keys(p)) {
		v, path := p[key], at+"."+key
		f, isFigure := figure(v)
		switch key {
		case "model", "api_key", "api_base", "litellm_credential_name":
		case "custom_llm_provider":
			l.note(path, Exact, "it is %s here", prov.id)
		case "api_version":
			l.note(path, Approximate, "Azure's v1 API takes none")
		case "rpm", "tpm", "max_parallel_requests":
			member := map[string]string{"rpm": "requests_per_minute", "tpm": "tokens_per_minute", "max_parallel_requests": "parallel"}[key]
			if !isFigure {
				l.note(path, Impossible, "it is no number")
			} else if several(prov.limitsOf(reference(p["api_key"])), member, f) {
				l.note(path, Approximate, "limits.%s of the key of %s is the sum over its models", member, prov.id)
			} else {
				l.note(path, Exact, "limits.%s of the key of %s", member, prov.id)
			}
		case "timeout", "stream_timeout":
			member := map[string]string{"timeout": "total", "stream_timeout": "first_byte"}[key]
			if !isFigure {
				l.note(path, Impossible, "it is no number of seconds")
				break
			}
			prov.timeouts[member] = span(f)
			l.note(path, Approximate, "providers.%s.timeouts.%s, for each attempt at any of its models", prov.id, member)
		case "organization":
			prov.headers["OpenAI-Organization"] = reference(v)
			l.note(path, Exact, "a header of %s", prov.id)
		case "extra_headers", "headers":
			for name, value := range object(v) {
				prov.headers[name] = reference(value)
			}
			l.note(path, Approximate, "headers of %s, sent with requests for any of its models", prov.id)
		case "order":
			l.note(path, Exact, "the order of the route's targets")
		case "weight":
			l.note(path, Impossible, "targets are asked in their order, not by weight")
		case "max_retries", "num_retries":
			l.note(path, Impossible, "how often the same target is asked again is said by class of error: retries.classes and retries.routes")
		case "tags":
			l.note(path, Impossible, "tags are told with requests (x-headrace-tags) and pick no deployment")
		case "drop_params":
			l.dropParams(path, v)
		case "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost":
			l.price(path, key, v, target)
		case "max_tokens", "temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty", "reasoning_effort", "thinking", "response_format":
			l.note(path, Impossible, "defaults of requests are not set for a client")
		case "mock_response":
			l.note(path, Impossible, "rehearsal/quick answers without a provider")
		case "region_name":
			l.note(path, Impossible, "deployments are not filtered by region")
		default:
			l.note(path, Impossible, "nothing here knows it")
		}
	}
}

var litellmPrices = map[string]string{"input_cost_per_token": "input", "output_cost_per_token": "output",
	"cache_read_input_token_cost": "cache_read", "cache_creation_input_token_cost": "cache_write_5m"}

func (l *litellm) price(path, key string, v any, target string) {
	f, ok := figure(v)
	if !ok || f < 0 || f >= 1 {
		l.note(path, Impossible, "it is no price")
		return
	}
	l.model(target, "price."+litellmPrices[key], perMillion(f))
	l.note(path, Exact, "models.%s.price.%s, by the million tokens", target, litellmPrices[key])
}

// litellmCan are the members of model_info that are capabilities of ours.
var litellmCan = map[string]string{"supports_vision": "vision", "supports_function_calling": "tools", "supports_parallel_function_calling": "parallel_tools",
	"supports_pdf_input": "pdf", "supports_audio_input": "audio", "supports_reasoning": "thinking", "supports_response_schema": "json_schema",
	"supports_assistant_prefill": "prefill"}

func (l *litellm) info(at string, info map[string]any, target string) {
	for _, key := range slices.Sorted(maps.Keys(info)) {
		v, path := info[key], at+"."+key
		f, isFigure := figure(v)
		if can := litellmCan[key]; can != "" {
			l.model(target, "capabilities."+can, strconv.FormatBool(truth(v)))
			l.note(path, Exact, "models.%s.capabilities.%s", target, can)
			continue
		}
		switch key {
		case "id":
			l.note(path, Impossible, "an attempt is named by provider, model and key")
		case "mode":
			switch text(v) {
			case "chat", "embedding", "completion", "responses":
				l.note(path, Exact, "the request says it")
			case "batch":
				l.note(path, Approximate, "any model takes batches")
			default:
				l.note(path, Impossible, "requests of this kind pass raw to their vendor, under its prefix")
			}
		case "max_input_tokens":
			if isFigure && f >= 1 {
				l.model(target, "window", whole(f))
				l.note(path, Approximate, "models.%s.window, which counts the answer too", target)
			}
		case "max_output_tokens", "max_tokens":
			if isFigure && f >= 1 {
				l.model(target, "max_output", whole(f))
				l.note(path, Exact, "models.%s.max_output", target)
			}
		case "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost":
			l.price(path, key, v, target)
		case "base_model":
			l.baseModel(path, text(v), target)
		default:
			l.note(path, Impossible, "nothing here knows it")
		}
	}
}

// baseModel takes the price of the model that a deployment really is.
func (l *litellm) baseModel(path, base, target string) {
	_, id, cut := strings.Cut(base, "/")
	if !cut {
		id = base
	}
	m, ok := l.catalog.Model("openai", id)
	var now catalog.Rates
	if ok && len(m.Prices) > 0 {
		now = m.Prices[len(m.Prices)-1].Rates
	}
	if !now.Input.Known || !now.Output.Known {
		l.note(path, Impossible, "its price is not known: say models.%s.price, or its requests are unpriced", target)
		return
	}
	for member, rate := range map[string]catalog.Rate{"input": now.Input, "output": now.Output, "cache_read": now.CacheRead} {
		if rate.Known {
			l.model(target, "price."+member, config.USD(rate.PerMillion).String())
		}
	}
	l.note(path, Approximate, "the prices of openai/%s as of today stand in models.%s.price", id, target)
}

// groupRoutes makes routes of the groups of deployments.
func (l *litellm) groupRoutes() {
	for _, group := range l.order {
		all := l.groups[group]
		slices.SortStableFunc(all, func(x, y deployment) int { return cmp.Compare(x.first, y.first) })
		out := &routeOut{}
		for _, d := range all {
			out.add(d.target)
		}
		name, same := l.routeNameOf(group)
		word, grade := "routes."+name, Exact
		switch {
		case len(out.targets) == 1 && group == out.targets[0]:
			for _, d := range all {
				l.note(d.at+".model_name", Exact, "it is asked for by this name anyway")
			}
			continue
		case !same:
			grade, word = Approximate, word+": clients must ask for "+name
		}
		if len(out.targets) > 1 {
			grade, word = Approximate, word+": its targets are asked in this order, each when the one before fails; LiteLLM spreads requests over them"
		}
		for _, d := range all {
			l.note(d.at+".model_name", grade, "%s", word)
		}
		l.routes[name] = out
	}
}

// group gives the targets of a name that clients ask for, or that is a model
// itself.
func (l *litellm) group(name string) []string {
	ours, _ := l.routeNameOf(name)
	if o := l.routes[ours]; o != nil {
		return o.targets
	}
	var targets []string
	for _, d := range l.groups[name] {
		targets = append(targets, d.target)
	}
	if targets == nil {
		if id, model, ok := strings.Cut(name, "/"); ok {
			if row, known := l.catalog.Provider(id); known {
				return []string{row.ID + "/" + model}
			}
		}
	}
	return targets
}

// fallbacks reads a list of {group: [groups]}.
func (l *litellm) fallbacks(path string, v any, class llm.Class) {
	type added struct {
		to      *routeOut
		targets []string
	}
	var later []added // so that one fallback does not bring the fallbacks of another
	for i, one := range list(v) {
		for group, to := range object(one) {
			at := fmt.Sprintf("%s[%d].%s", path, i, group)
			name, _ := l.routeNameOf(group)
			route := l.routes[name]
			if route == nil {
				if own := l.group(group); own != nil && routeName.MatchString(name) {
					route = &routeOut{targets: slices.Clone(own)}
					l.routes[name] = route
				}
			}
			if route == nil || group == "*" {
				l.note(at, Impossible, "there is no such model group")
				continue
			}
			var targets, missing []string
			for _, g := range list(to) {
				if t := l.group(text(g)); t != nil {
					targets = append(targets, t...)
				} else {
					missing = append(missing, text(g))
				}
			}
			later = append(later, added{route, targets})
			grade, word := Exact, "targets of routes."+name
			if class != "" {
				grade, word = Approximate, word+": they are asked after other failures, too"
				route.next = append(route.next, class)
				l.routeClass(name, class)
			}
			if len(missing) > 0 {
				grade, word = Approximate, word+"; there is no group "+strings.Join(missing, ", ")
			}
			l.note(at, grade, "%s", word)
		}
	}
	for _, a := range later {
		a.to.add(a.targets...)
	}
}

// routeClass has the next target asked after an error of a class.
func (l *litellm) routeClass(name string, class llm.Class) {
	var classes []string
	for _, c := range l.routes[name].next {
		classes = append(classes, string(c)+": {next: true}")
	}
	slices.Sort(classes)
	l.set("retries.routes", config.Quoted(name), "{classes: {"+strings.Join(slices.Compact(classes), ", ")+"}}")
}

func (l *litellm) dropParams(path string, v any) {
	if truth(v) {
		l.note(path, Approximate, "what a target cannot take is dropped with a warning (x-headrace-warnings), or the target is passed over")
	} else {
		l.note(path, Approximate, "a route fits requests to each target and says so in x-headrace-warnings; a named model is sent what it was sent")
	}
}

// settings are litellm_settings and router_settings: much stands in either.
func (l *litellm) settings(block string, m map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v, path := m[key], block+"."+key
		f, isFigure := figure(v)
		if strings.HasPrefix(key, "redis_") {
			l.note(path, Impossible, "limits and state are kept by the one process")
			continue
		}
		switch key {
		case "fallbacks":
			l.fallbacks(path, v, "")
		case "context_window_fallbacks":
			l.fallbacks(path, v, llm.ContextOverflow)
		case "content_policy_fallbacks":
			l.fallbacks(path, v, llm.ContentRefused)
		case "default_fallbacks":
			for _, g := range list(v) {
				for _, name := range slices.Sorted(maps.Keys(l.routes)) {
					l.routes[name].add(l.group(text(g))...)
				}
			}
			l.note(path, Exact, "the last targets of every route")
		case "model_group_alias":
			l.aliases(path, object(v))
		case "num_retries", "max_retries":
			if !isFigure {
				l.note(path, Impossible, "it is no number")
				break
			}
			n := whole(min(max(f, 0), 10))
			for _, class := range []llm.Class{llm.Overloaded, llm.ServerError, llm.RateLimited} {
				l.set("retries.classes", string(class), "{repeat: "+n+"}")
			}
			l.note(path, Approximate, "repeats at the same target for overloaded, server_error and rate_limited; all repeats together are at most a tenth of the requests")
		case "request_timeout", "timeout":
			if !isFigure {
				l.note(path, Impossible, "it is no number of seconds")
				break
			}
			l.set("timeouts", "total", span(f))
			l.note(path, Approximate, "timeouts.total, for each attempt")
		case "stream_timeout":
			if isFigure {
				l.set("timeouts", "first_byte", span(f))
				l.note(path, Approximate, "timeouts.first_byte")
			}
		case "allowed_fails":
			if isFigure {
				l.set("retries", "failures", whole(min(f+1, 1000)))
				l.note(path, Approximate, "retries.failures: failures in a row, not in a minute")
			}
		case "cooldown_time":
			if isFigure {
				l.set("retries", "probe", span(max(f, .1)))
				l.note(path, Approximate, "retries.probe: then one request tries the target again")
			}
		case "routing_strategy":
			l.note(path, Impossible, "the targets of a route are asked in their order; :floor and :nitro after a model's name sort by price and speed")
		case "routing_strategy_args", "enable_tag_filtering", "tag_filtering_match_any":
			l.note(path, Impossible, "the targets of a route are asked in their order")
		case "enable_pre_call_checks":
			l.note(path, Exact, "targets that cannot take a request are always passed over")
		case "drop_params":
			l.dropParams(path, v)
		case "callbacks", "success_callback", "failure_callback", "service_callback":
			l.callbacks(path, v)
		case "cache", "cache_params":
			if key == "cache" && !truth(v) {
				l.note(path, Exact, "answers are not cached")
			} else {
				l.note(path, Impossible, "answers are not cached")
			}
		case "set_verbose":
			if truth(v) {
				l.set("log", "level", "debug")
			}
			l.note(path, Exact, "log.level")
		case "json_logs":
			if truth(v) {
				l.set("log", "format", "json")
			}
			l.note(path, Exact, "log.format")
		case "telemetry":
			if truth(v) {
				l.note(path, Impossible, "nothing is ever told to its makers")
			} else {
				l.note(path, Exact, "nothing is ever told to its makers")
			}
		case "turn_off_message_logging", "redact_user_api_key_info", "redact_messages_in_exceptions":
			l.note(path, Exact, "prompts and answers are not logged")
		case "max_budget", "budget_duration":
			l.note(path, Impossible, "budgets are those of keys, teams and tags: headrace budgets set")
		case "modify_params", "forward_traceparent_to_llm_provider":
			l.note(path, Impossible, "nothing here knows it")
		case "default_team_settings", "default_internal_user_params", "upperbound_key_generate_params":
			l.note(path, Impossible, "teams have limits (teams:) and budgets (budgets:) here")
		case "ssl_verify":
			if truth(v) {
				l.note(path, Exact, "certificates are always checked")
			} else {
				l.note(path, Impossible, "certificates are always checked")
			}
		default:
			l.note(path, Impossible, "nothing here knows it")
		}
	}
}

func (l *litellm) aliases(path string, m map[string]any) {
	for _, alias := range slices.Sorted(maps.Keys(m)) {
		at := path + "." + alias
		group := text(m[alias])
		if o := object(m[alias]); o != nil {
			group = text(o["model"])
			l.note(at+".hidden", Impossible, "model lists show every route")
		}
		name, same := l.routeNameOf(alias)
		targets := l.group(group)
		switch {
		case targets == nil:
			l.note(at, Impossible, "there is no model group %q", group)
		case same:
			l.routes[name] = &routeOut{targets: slices.Clone(targets)}
			l.note(at, Exact, "routes.%s", name)
		default:
			l.routes[name] = &routeOut{targets: slices.Clone(targets)}
			l.note(at, Approximate, "routes.%s: clients must ask for %s", name, name)
		}
	}
}

func (l *litellm) callbacks(path string, v any) {
	names := list(v)
	if names == nil {
		names = []any{v}
	}
	for i, one := range names {
		at := path
		if list(v) != nil {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		switch text(one) {
		case "prometheus":
			l.note(at, Approximate, "/metrics is always there, with names of its own")
		case "otel", "arize", "langfuse_otel", "arize_phoenix":
			l.note(at, Approximate, "traces go by OTLP (telemetry:): say where with telemetry.endpoint")
		default:
			l.note(at, Impossible, "there is no callback %q", text(one))
		}
	}
}

func (l *litellm) general(m map[string]any) {
	const block = "general_settings"
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v, path := m[key], block+"."+key
		f, isFigure := figure(v)
		switch key {
		case "master_key":
			l.note(path, Approximate, "preset HEADRACE_KEY for clients and HEADRACE_ADMIN_TOKEN for administration, 32 characters or more each; one key cannot be both")
		case "database_url", "store_model_in_db", "database_connection_pool_limit", "database_connection_timeout", "disable_spend_logs", "proxy_batch_write_at", "use_redis_transaction_buffer":
			l.note(path, Impossible, "state is one SQLite file in the data directory; keys and spend are not brought along")
		case "global_max_parallel_requests", "max_parallel_requests":
			if isFigure && key == "global_max_parallel_requests" {
				l.set("overload", "requests", whole(f))
				l.note(path, Exact, "overload.requests")
			} else if isFigure {
				l.set("limits.key", "parallel", whole(f))
				l.note(path, Exact, "limits.key.parallel")
			}
		case "max_request_size_mb":
			if isFigure && f >= 1 {
				l.set("limits", "body", whole(f)+"MB")
				l.note(path, Exact, "limits.body")
			}
		case "background_health_checks", "health_check_interval":
			l.note(path, Impossible, "targets are found out by the requests that go to them")
		case "alerting", "alerting_threshold", "alert_types", "alerting_args":
			l.note(path, Approximate, "alerts go to webhooks (alerts:): say where with alerts.webhooks")
		case "completion_model":
			l.note(path, Impossible, "requests say their model")
		case "pass_through_endpoints":
			l.note(path, Impossible, "other paths pass raw under /openai, /anthropic, /gemini and /ollama only")
		default:
			l.note(path, Impossible, "nothing here knows it")
		}
	}
}
