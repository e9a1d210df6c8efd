// Package foreign reads the configuration files of other gateways and says the
// same in our words, item by item: what becomes exactly the same, what only
// nearly, and what cannot be had. Every value of the file is accounted for.
package foreign

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/llm"
)

// Grade says how well an item of the file can be said in our words.
type Grade string

// The grades.
const (
	// Exact: it works as it did, or nothing need be said for it.
	Exact Grade = "exact"
	// Approximate: something near it is there; Item.Word says what differs.
	Approximate Grade = "approximate"
	// Impossible: it is left out.
	Impossible Grade = "not possible"
)

// Grades are all of them, best first.
func Grades() []Grade { return []Grade{Exact, Approximate, Impossible} }

// Item is one item of the file.
type Item struct {
	// Path is where it stands, such as model_list[0].litellm_params.rpm.
	Path  string `json:"path"`
	Grade Grade  `json:"grade"`
	// Word says what became of it. It never holds the value.
	Word string `json:"word"`
}

// Result is what became of a file.
type Result struct {
	// Blocks are the parts of our file.
	Blocks []config.Block `json:"-"`
	// Items accounts for every value of the file, in its order by path.
	Items []Item `json:"items"`
	// Commands are for what no file of ours holds: keys and their budgets.
	Commands []string `json:"commands,omitzero"`
	// Needs are the environment variables that our file refers to.
	Needs []string `json:"needs,omitzero"`
}

// Count is how many items have a grade.
func (r *Result) Count(g Grade) (n int) {
	for _, i := range r.Items {
		if i.Grade == g {
			n++
		}
	}
	return n
}

// reading is a file that is being read. Each value of it is noted once by
// whoever understands it; what nobody noted is not possible.
type reading struct {
	catalog *catalog.Catalog
	items   map[string]Item
	order   []string

	providers []*provider
	routes    map[string]*routeOut
	models    map[string]map[string]string // by provider/model: member to YAML
	top       map[string]map[string]string // by top-level key: member to YAML
	listen    string
	commands  []string
	needs     map[string]bool
}

func newReading(c *catalog.Catalog) *reading {
	return &reading{catalog: c, items: map[string]Item{}, routes: map[string]*routeOut{}, models: map[string]map[string]string{},
		top: map[string]map[string]string{}, needs: map[string]bool{}}
}

// note says what became of the value at a path, and of all below it that has
// no note of its own.
func (r *reading) note(path string, g Grade, format string, args ...any) {
	if _, ok := r.items[path]; !ok {
		r.order = append(r.order, path)
	}
	r.items[path] = Item{Path: path, Grade: g, Word: fmt.Sprintf(format, args...)}
}

// set writes a member of a top-level block: limits.body and the like.
func (r *reading) set(block, member, yaml string) {
	if r.top[block] == nil {
		r.top[block] = map[string]string{}
	}
	r.top[block][member] = yaml
}

func (r *reading) model(ref, member, yaml string) {
	if r.models[ref] == nil {
		r.models[ref] = map[string]string{}
	}
	r.models[ref][member] = yaml
}

// provider is one of ours that is being put together.
type provider struct {
	id                  string
	row                 *catalog.Provider // nil for one of the operator's own
	dialect, auth, base string
	keys                []keyOut
	headers             map[string]string
	models              []string // that it is asked for
	limits, timeouts    map[string]string
}

// keyOut is one of its keys, with limits of its own.
type keyOut struct {
	name, value string
	limits      map[string]string
}

// provider finds or makes the one with an id of the catalogue, or of its own
// when base is not the catalogue's. name is what an own one is called after.
func (r *reading) provider(id, dialect, auth, base, name string) *provider {
	row, known := r.catalog.Provider(id)
	if known {
		id = row.ID
		if strings.TrimRight(base, "/") == row.BaseURL {
			base = ""
		}
	}
	for _, p := range r.providers {
		if p.base == base && (known && p.row == row || !known && p.dialect == dialect && p.auth == auth && base != "") {
			return p
		}
	}
	p := &provider{id: id, base: base, headers: map[string]string{}, limits: map[string]string{}, timeouts: map[string]string{}}
	if known {
		p.row = row
	}
	taken := slices.ContainsFunc(r.providers, func(o *provider) bool { return o.id == id })
	if !known || taken {
		p.id, p.dialect, p.auth = r.freeID(cmp.Or(name, hostOf(base), "own")), dialect, auth
		if known {
			p.row = nil
			p.dialect, p.auth = cmp.Or(dialect, string(row.Dialect)), cmp.Or(auth, string(row.Auth))
			p.base = cmp.Or(base, row.BaseURL)
		}
	}
	r.providers = append(r.providers, p)
	return p
}

var notID = regexp.MustCompile(`[^a-z0-9]+`)

// freeID makes an id of a name that nobody has.
func (r *reading) freeID(name string) string {
	id := strings.Trim(notID.ReplaceAllString(strings.ToLower(name), "-"), "-")
	id = cmp.Or(strings.Trim(id[:min(len(id), 48)], "-"), "own")
	for n, try := 2, id; ; n++ {
		_, known := r.catalog.Provider(try)
		if !known && !slices.ContainsFunc(r.providers, func(p *provider) bool { return p.id == try }) {
			return try
		}
		try = id + "-" + strconv.Itoa(n)
	}
}

// hostOf names a base URL by its host; of a reference it takes the variable.
func hostOf(base string) string {
	if name, ok := strings.CutPrefix(base, refMark); ok {
		name, _, _ = strings.Cut(name, "/")
		return name
	}
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	host := u.Hostname()
	if port := u.Port(); port != "" {
		host += "-" + port
	}
	return host
}

// key adds a key to the provider, once.
func (p *provider) key(name, value string) {
	if value == "" || slices.ContainsFunc(p.keys, func(k keyOut) bool { return k.value == value }) {
		return
	}
	p.keys = append(p.keys, keyOut{name, value, map[string]string{}})
}

// limitsOf are those of a key; of the provider where it has none.
func (p *provider) limitsOf(key string) map[string]string {
	for _, k := range p.keys {
		if k.value == key {
			return k.limits
		}
	}
	return p.limits
}

// asks notes that a model is asked for, for the list of a server of the
// operator's own.
func (p *provider) asks(model string) {
	if model != "*" && !slices.Contains(p.models, model) {
		p.models = append(p.models, model)
	}
}

// routeOut is a route that is being put together.
type routeOut struct {
	targets []string
	// next are the classes of errors after which the next target is asked.
	next []llm.Class
}

func (o *routeOut) add(targets ...string) {
	for _, t := range targets {
		if !slices.Contains(o.targets, t) {
			o.targets = append(o.targets, t)
		}
	}
}

var routeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// routeNameOf is a name of ours for one of theirs; same says that it is the same.
func (r *reading) routeNameOf(name string) (ours string, same bool) {
	if routeName.MatchString(name) && name != "auto" {
		return name, true
	}
	ours = strings.Trim(regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(name, "-"), "-._")
	ours = cmp.Or(ours[:min(len(ours), 120)], "route")
	if ours == "auto" {
		ours = "auto-route"
	}
	return ours, false
}

// account walks the whole file and notes what nobody has noted, then gives the
// items by their place.
func (r *reading) account(tree any) []Item {
	var all []Item
	var walk func(path string, v any, under bool)
	walk = func(path string, v any, under bool) {
		own, noted := r.items[path]
		if noted && path != "" {
			all = append(all, own)
		}
		covered := under || noted && path != ""
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 0 && !covered {
				all = append(all, Item{path, Exact, "empty"})
			}
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(join(path, k), v[k], covered)
			}
		case []any:
			if len(v) == 0 && !covered {
				all = append(all, Item{path, Exact, "empty"})
			}
			for i, one := range v {
				walk(path+"["+strconv.Itoa(i)+"]", one, covered)
			}
		default:
			if !covered {
				all = append(all, Item{path, Impossible, "nothing here knows it"})
			}
		}
	}
	walk("", tree, false)
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// result puts everything together.
func (r *reading) result(tree any) *Result {
	out := &Result{Commands: r.commands, Items: r.account(tree)}
	block := func(key, text string) {
		if text != "" {
			out.Blocks = append(out.Blocks, config.Block{Key: key, Text: key + ":\n" + text})
		}
	}
	if r.listen != "" {
		out.Blocks = append(out.Blocks, config.Block{Key: "listen", Text: "listen: " + config.Quoted(r.listen)})
	}
	block("providers", r.providerText())
	block("models", r.modelText())
	block("routes", r.routeText())
	for _, key := range slices.Sorted(maps.Keys(r.top)) {
		if block, member, nested := strings.Cut(key, "."); nested {
			r.set(block, member, flow(r.top[key]))
			delete(r.top, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.top)) {
		block(key, members("  ", r.top[key]))
	}
	out.Needs = slices.Sorted(maps.Keys(r.needs))
	return out
}

// members writes members in order, as lines.
func members(indent string, m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s%s: %s\n", indent, k, m[k])
	}
	return b.String()
}

// flow writes members on one line.
func flow(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+": "+m[k])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (r *reading) providerText() string {
	var b strings.Builder
	for _, p := range r.providers {
		m := map[string]string{}
		if p.row == nil {
			m["dialect"], m["auth"] = p.dialect, p.auth
			if len(p.models) > 0 {
				var ids []string
				for _, id := range p.models {
					ids = append(ids, config.Quoted(id))
				}
				m["models"] = "[" + strings.Join(ids, ", ") + "]"
			}
		}
		if p.base != "" {
			m["base_url"] = r.text(p.base)
		}
		if len(p.keys) == 0 && p.row == nil {
			m["auth"] = "none"
		}
		switch {
		case len(p.keys) == 1:
			m["api_key"] = r.text(p.keys[0].value)
			maps.Copy(p.limits, p.keys[0].limits)
		case len(p.keys) > 1:
			var keys []string
			for _, k := range p.keys {
				one := map[string]string{"key": r.text(k.value)}
				if k.name != "" {
					one["name"] = config.Quoted(k.name)
				}
				if len(k.limits) > 0 {
					own := maps.Clone(p.limits)
					maps.Copy(own, k.limits)
					one["limits"] = flow(own)
				}
				keys = append(keys, flow(one))
			}
			m["api_keys"] = "[" + strings.Join(keys, ", ") + "]"
		}
		if len(p.headers) > 0 {
			h := map[string]string{}
			for k, v := range p.headers {
				h[config.Quoted(k)] = r.text(v)
			}
			m["headers"] = flow(h)
		}
		if len(p.limits) > 0 {
			m["limits"] = flow(p.limits)
		}
		if len(p.timeouts) > 0 {
			m["timeouts"] = flow(p.timeouts)
		}
		fmt.Fprintf(&b, "  %s:\n%s", p.id, cmp.Or(members("    ", m), "    {}\n"))
	}
	return b.String()
}

// refMark begins a value that is a reference to a variable, with what follows
// it: a value of the file that merely looks like one of ours is none.
const refMark = "\x00"

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// refer makes a reference to a variable.
func refer(name string) (string, bool) {
	name = strings.TrimSpace(name)
	return refMark + name, variable.MatchString(name)
}

// text writes a value that may be a reference to the environment.
func (r *reading) text(v string) string {
	if name, ok := strings.CutPrefix(v, refMark); ok {
		name, rest, more := strings.Cut(name, "/")
		r.needs[name] = true
		if more {
			rest = "/" + rest
		}
		return `"${` + name + `}` + strings.Trim(config.Quoted(rest), `"`) + `"`
	}
	return config.Quoted(v)
}

func (r *reading) modelText() string {
	var b strings.Builder
	for _, ref := range slices.Sorted(maps.Keys(r.models)) {
		m, price, can := map[string]string{}, map[string]string{}, map[string]string{}
		for k, v := range r.models[ref] {
			if name, ok := strings.CutPrefix(k, "price."); ok {
				price[name] = v
			} else if name, ok := strings.CutPrefix(k, "capabilities."); ok {
				can[name] = v
			} else {
				m[k] = v
			}
		}
		if len(price) > 0 {
			m["price"] = flow(price)
		}
		if len(can) > 0 {
			m["capabilities"] = flow(can)
		}
		fmt.Fprintf(&b, "  %s: %s\n", config.Quoted(ref), flow(m))
	}
	return b.String()
}

func (r *reading) routeText() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.routes)) {
		o := r.routes[name]
		if len(o.targets) == 0 {
			continue
		}
		var targets []string
		for _, t := range o.targets {
			targets = append(targets, config.Quoted(t))
		}
		fmt.Fprintf(&b, "  %s: [%s]\n", config.Quoted(name), strings.Join(targets, ", "))
	}
	return b.String()
}

// The forms of values.

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func truth(v any) bool { return strings.EqualFold(text(v), "true") }

// figure reads a number, which some files write as text.
func figure(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case int:
		return float64(v), true
	case string:
		f, err := strconv.ParseFloat(strings.ReplaceAll(v, "_", ""), 64)
		return f, err == nil
	}
	return 0, false
}

// whole writes a number without a fraction.
func whole(f float64) string { return strconv.FormatFloat(f, 'f', 0, 64) }

// span writes seconds as a duration.
func span(seconds float64) string {
	return strconv.FormatFloat(seconds*1000, 'f', 0, 64) + "ms"
}

// perMillion writes a price by the token as one by the million, to nine places.
func perMillion(f float64) string {
	s := strconv.FormatFloat(f*1e6, 'f', 9, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// several adds up what the deployments of a provider say, and reports whether
// they were more than one.
func several(m map[string]string, key string, f float64) (more bool) {
	old, more := m[key]
	sum := f
	if more {
		was, err := strconv.ParseFloat(old, 64)
		if err == nil {
			sum += was
		}
	}
	m[key] = whole(sum)
	return more
}
