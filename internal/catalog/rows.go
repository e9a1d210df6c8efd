package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Rows are lines of text: fields separated by tabs, one provider or one model a
// line, each field but the leading names written key=value. Blank lines and
// lines that begin with # are skipped; a line that begins with @ says something
// about the lines after it:
//
//	@source TEXT   where they come from, with a date
//	@listing DATE  they are a third party's price list of that date: they do
//	               not change capabilities that a person checked, and a price
//	               that differs holds from that date on
//	@by-hand       capabilities in them were checked by a person
//
// A row for something that an earlier row named changes only what it says.

func errf(format string, args ...any) error { return fmt.Errorf("catalog: "+format, args...) }

// builder collects rows.
type builder struct {
	providers map[string]*Provider
	alias     map[string]string // alias -> provider id
	models    map[key]*Model
	same      map[key]*Model // model aliases
	order     []*Model
	arena     []Model // models are taken from here: one allocation for many
	lists     map[string][]string
	source    string
	listing   bool
	since     time.Time
	byHand    bool
}

func newBuilder() *builder {
	return &builder{
		providers: make(map[string]*Provider, 80),
		alias:     make(map[string]string, 80),
		models:    make(map[key]*Model, 2200),
		same:      make(map[key]*Model, 64),
		order:     make([]*Model, 0, 2200),
		lists:     make(map[string][]string, 64),
	}
}

// lines calls row for every record line of data and handles directives; errors
// name the file and the line.
func (b *builder) lines(file, data string, row func(line string) error) error {
	b.source, b.listing, b.since, b.byHand = "", false, time.Time{}, false
	for n := 1; data != ""; n++ {
		var line string
		line, data, _ = strings.Cut(data, "\n")
		line = strings.TrimSuffix(line, "\r")
		var err error
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '@':
			err = b.directive(line)
		default:
			err = row(line)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
	}
	return nil
}

func (b *builder) directive(line string) error {
	word, rest, _ := strings.Cut(line[1:], " ")
	switch word {
	case "source":
		b.source = rest
	case "listing":
		t, err := time.Parse(time.DateOnly, rest)
		if err != nil {
			return errf("@listing wants a date: %w", err)
		}
		b.listing, b.since, b.byHand = true, t, false
	case "by-hand":
		b.listing, b.byHand = false, true
	default:
		return errf("unknown directive @%s", word)
	}
	return nil
}

// list splits at commas; equal lists share memory.
func (b *builder) list(s string) []string {
	if s == "" {
		return nil
	}
	if l, ok := b.lists[s]; ok {
		return l
	}
	l := strings.Split(s, ",")
	b.lists[s] = l
	return l
}

// fields calls set for every key=value field.
func fields(line string, set func(key, value string) error) error {
	for line != "" {
		var f string
		f, line, _ = strings.Cut(line, "\t")
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			return errf("field %q is not key=value", f)
		}
		if err := set(k, v); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}

func flag(v string) (bool, error) {
	switch v {
	case "1":
		return true, nil
	case "0":
		return false, nil
	}
	return false, errf("%q is neither 0 nor 1", v)
}

func oneOf[T ~string](v string, known ...T) (T, error) {
	if slices.Contains(known, T(v)) {
		return T(v), nil
	}
	return "", errf("%q is none of %v", v, known)
}

// What rows may say.
var (
	dialects = []llm.Dialect{llm.OpenAI, llm.Anthropic, llm.Responses, llm.Gemini, llm.Ollama}
	auths    = []Auth{Bearer, XAPIKey, APIKey, GoogleKey, NoAuth}
)

// provider reads one row of providers.
func (b *builder) provider(line string) error {
	id, rest, _ := strings.Cut(line, "\t")
	if id == "" || strings.ContainsAny(id, "/ =") {
		return errf("bad provider id %q", id)
	}
	p := b.providers[id]
	if p == nil {
		p = &Provider{ID: id, Dialect: llm.OpenAI, Auth: Bearer, Kind: Host, Usage: "ask", MaxTokensField: "max_tokens", Source: b.source}
		b.providers[id] = p
	}
	var plus, minus llm.Feature
	path := ""
	err := fields(rest, func(k, v string) (err error) {
		switch k {
		case "name":
			p.Name = v
		case "alias":
			p.Aliases = b.list(v)
		case "kind":
			p.Kind, err = oneOf(v, Vendor, Cloud, Host, Router, LocalServer, Builtin)
		case "makes":
			p.Makes = b.list(v)
		case "env":
			p.Env = b.list(v)
		case "explicit":
			p.Explicit, err = flag(v)
		case "dialect":
			p.Dialect, err = oneOf(v, dialects...)
		case "also":
			p.Also = nil
			for _, one := range b.list(v) {
				var d llm.Dialect
				if d, err = oneOf(one, dialects...); err != nil {
					return err
				}
				p.Also = append(p.Also, d)
			}
		case "base":
			p.BaseURL = v
		case "auth":
			p.Auth, err = oneOf(v, auths...)
		case "header":
			name, value, ok := strings.Cut(v, ": ")
			if !ok {
				return errf("header %q is not \"name: value\"", v)
			}
			if p.Headers == nil {
				p.Headers = map[string]string{}
			}
			p.Headers[name] = value
		case "usage":
			p.Usage, err = oneOf(v, "ask", "always", "never")
		case "max_tokens":
			p.MaxTokensField, err = oneOf(v, "max_tokens", "max_completion_tokens")
		case "reasoning":
			p.ReasoningField, err = oneOf(v, "reasoning_content", "reasoning", "reasoning_details")
		case "reasoning_required":
			p.ReasoningRequired, err = flag(v)
		case "tool_id":
			p.ToolIDLength, err = strconv.Atoi(v)
		case "closed":
			p.Closed, err = flag(v)
		case "cache_marks":
			p.CacheMarks, err = flag(v)
		case "takes":
			p.Accepts = b.list(v)
		case "refuses":
			p.Refuses = b.list(v)
		case "max_tools":
			p.MaxTools, err = strconv.Atoi(v)
		case "max_stops":
			p.MaxStops, err = strconv.Atoi(v)
		case "embed_inputs":
			p.EmbedInputs, err = strconv.Atoi(v)
		case "name_length":
			p.ToolNameLength, err = strconv.Atoi(v)
		case "name_letter":
			p.ToolNameLetter, err = flag(v)
		case "schema":
			p.Schema, err = oneOf(v, llm.SchemaTyped)
		case "alternate":
			p.Alternate, err = flag(v)
		case "tool_any":
			p.ToolAny = v
		case "quiet_forced":
			p.QuietForced, err = flag(v)
		case "seed":
			p.SeedField = v
		case "prefill":
			p.PrefillMark = v
		case "think_switch":
			p.ThinkSwitch, err = oneOf(v, "thinking", "enable_thinking")
		case "reserve":
			p.OutputReserve, err = count(v)
		case "developer":
			p.DeveloperRole, err = flag(v)
		case "plus":
			plus, err = Features(v)
		case "lacks":
			minus, err = Features(v)
		case "models":
			path = v
		case "local":
			p.Local, err = flag(v)
		case "batch":
			p.Batch, err = factor(v)
		case "errors":
			p.ErrorForm, err = oneOf(v, "openai", "anthropic", "flat", "string", "array", "detail")
		case "rates":
			p.Rates = v
		case "cache_free":
			p.CacheFree, err = flag(v)
		case "quirk":
			p.Quirk = v
		case "doc":
			p.Doc = v
		case "source":
			p.Source = v
		case "note":
			p.Note = v
		default:
			return errf("unknown field")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	p.finish(plus, minus, path)
	for _, a := range p.Aliases {
		b.alias[a] = id
	}
	return nil
}

// modelsPath is where a provider of the dialect lists its models; /models for
// those that are not here.
var modelsPath = map[llm.Dialect]string{llm.Anthropic: "/v1/models", llm.Gemini: "/v1beta/models", llm.Ollama: "/api/tags"}

// finish fills in what follows from the dialect.
func (p *Provider) finish(plus, minus llm.Feature, path string) {
	p.Has = dialectHas[p.Dialect] | plus
	if p.DeveloperRole {
		p.Has |= llm.DeveloperRole
	}
	p.Has &^= minus
	p.Lacks = minus
	p.ModelsPath = path
	switch path {
	case "":
		p.ModelsPath = "/models"
		if own, ok := modelsPath[p.Dialect]; ok {
			p.ModelsPath = own
		}
	case "none":
		p.ModelsPath = ""
	}
	if p.Dialect == llm.Anthropic {
		p.Usage, p.MaxTokensField = "always", "max_tokens"
		p.CacheMarks = true
	}
	if p.ErrorForm == "" {
		p.ErrorForm = string(p.Dialect)
	}
}

// newModel takes a model from the arena.
func (b *builder) newModel(k key) *Model {
	if len(b.arena) == 0 {
		b.arena = make([]Model, 256)
	}
	m := &b.arena[0]
	b.arena = b.arena[1:]
	m.Provider, m.ID, m.Known, m.Status, m.Source = k.provider, k.model, true, Active, b.source
	b.models[k] = m
	b.order = append(b.order, m)
	return m
}

// model reads one row of models.
func (b *builder) model(line string) error {
	prov, rest, _ := strings.Cut(line, "\t")
	id, rest, _ := strings.Cut(rest, "\t")
	if a, ok := b.alias[prov]; ok {
		prov = a
	}
	p, ok := b.providers[prov]
	if !ok {
		return errf("no provider %q", prov)
	}
	if id == "" {
		return errf("a model of %s has no id", prov)
	}
	k := key{p.ID, id}
	m := b.models[k]
	if a := b.same[k]; a != nil {
		if b.listing {
			return nil // lists name moving aliases beside the models they mean
		}
		m = a
	}
	old := m != nil
	if !old {
		m = b.newModel(k)
	}
	locked := old && b.listing && m.byHand
	var prices []Price
	err := fields(rest, func(f, v string) (err error) {
		if locked {
			switch f {
			case "has", "lacks", "known", "efforts", "responses_efforts", "effort", "think", "thinks", "status", "family", "alias", "wire", "pool", "parallel":
				return nil
			}
		}
		switch f {
		case "name":
			m.Name = v
		case "family":
			m.Family = v
		case "alias":
			m.Aliases = b.list(v)
			for _, a := range m.Aliases {
				b.same[key{p.ID, a}] = m
			}
		case "window":
			m.Window, err = count(v)
		case "out":
			m.MaxOutput, err = count(v)
		case "known":
			m.Known, err = flag(v)
		case "has":
			m.Has, err = Features(v)
		case "lacks":
			m.Lacks, err = Features(v)
		case "efforts":
			m.Efforts = b.list(v)
			err = checkNames("effort", m.Efforts, efforts)
		case "responses_efforts":
			m.ResponsesEfforts = b.list(v)
			err = checkNames("effort", m.ResponsesEfforts, efforts)
		case "effort":
			m.DefaultEffort = v
			err = checkNames("effort", []string{v}, efforts)
		case "think":
			m.ThinkTypes = b.list(v)
			err = checkNames("thinking type", m.ThinkTypes, thinkTypes)
		case "thinks":
			m.ThinksByDefault, err = flag(v)
		case "wire":
			m.Wire, err = oneOf(v, dialects...)
		case "pool":
			m.Pool = v
		case "parallel":
			m.Parallel, err = strconv.Atoi(v)
			if m.Parallel < 0 {
				err = errf("negative")
			}
		case "gives":
			m.Gives = b.list(v)
		case "price":
			var p Price
			p, err = parsePrice(v)
			prices = append(prices, p)
		case "status":
			m.Status, err = oneOf(v, Active, Beta, Deprecated, Retired)
		case "released":
			m.Released, err = time.Parse(time.DateOnly, v)
		case "deprecated":
			m.Deprecated, err = time.Parse(time.DateOnly, v)
		case "retires":
			m.Retires, err = time.Parse(time.DateOnly, v)
		case "lasts":
			m.NotBefore, err = time.Parse(time.DateOnly, v)
		case "open":
			m.Open, err = flag(v)
		case "note":
			m.Note = v
		case "source":
			m.Source = v
		default:
			return errf("unknown field")
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s/%s: %w", prov, id, err)
	}
	for i := range prices {
		if i > 0 && !prices[i].Since.After(prices[i-1].Since) {
			return errf("%s/%s: prices must stand in the order of their dates", prov, id)
		}
		if prices[i].Batch == 0 {
			prices[i].Batch = p.Batch
		}
	}
	switch {
	case len(prices) == 0:
	case old && b.listing:
		m.relist(prices, b.since)
	default:
		m.Prices = prices
	}
	if b.byHand {
		m.byHand = true
		m.Source = b.source
	}
	return nil
}

// relist takes over a listed price. Where its input and output are what is in
// force already, the row stays: it may know more (cache writes of an hour,
// hours of the day). Otherwise the listed price holds from the list's date on.
func (m *Model) relist(listed []Price, since time.Time) {
	for _, p := range listed {
		if p.Since.IsZero() && len(m.Prices) > 0 {
			p.Since = since
		}
		if now, ok := m.PriceAt(p.Since); ok && now.Input == p.Input && now.Output == p.Output {
			continue
		}
		keep := 0
		for keep < len(m.Prices) && m.Prices[keep].Since.Before(p.Since) {
			keep++
		}
		m.Prices = append(m.Prices[:keep:keep], p)
	}
}

func count(v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && n < 0 {
		err = errf("%d is negative", n)
	}
	return n, err
}

// factor reads a factor such as 0.5 as thousandths.
func factor(v string) (int64, error) {
	n, err := money(v)
	if err == nil && (n <= 0 || n > 10e9) {
		err = errf("factor %q is out of range", v)
	}
	return n / 1e6, err
}

// maxRate is a million dollars per million tokens.
const maxRate = 1_000_000 * 1_000_000_000

// money reads a decimal number of dollars as nanodollars. Digits beyond the
// ninth are rounded up.
func money(s string) (int64, error) {
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || point && frac == "" {
		return 0, errf("%q is no amount of money", s)
	}
	var n int64
	for i := 0; i < len(whole); i++ {
		if whole[i] < '0' || whole[i] > '9' {
			return 0, errf("%q is no amount of money", s)
		}
		if n = n*10 + int64(whole[i]-'0'); n > 1_000_000 {
			return 0, errf("%q is too much", s)
		}
	}
	up := false
	for i := 0; i < max(9, len(frac)); i++ {
		d := byte('0')
		if i < len(frac) {
			if d = frac[i]; d < '0' || d > '9' {
				return 0, errf("%q is no amount of money", s)
			}
		}
		if i < 9 {
			n = n*10 + int64(d-'0')
		} else if d != '0' {
			up = true
		}
	}
	if up {
		n++
	}
	if n > maxRate {
		return 0, errf("%q is too much", s)
	}
	return n, nil
}

func appendMoney(dst []byte, n int64) []byte {
	dst = strconv.AppendInt(dst, n/1e9, 10)
	if f := n % 1e9; f != 0 {
		s := strconv.FormatInt(f+1e9, 10)[1:]
		dst = append(append(dst, '.'), strings.TrimRight(s, "0")...)
	}
	return dst
}

const minuteLayout = "2006-01-02T15:04Z"

// parsePrice reads a price:
//
//	[DATE] RATES [batch FACTOR] {| over TOKENS RATES} {| at DAYS/HOURS RATES}
//
// RATES are pairs of a bucket (in, out, read, write, write1h) and US dollars per
// million tokens. DATE is 2026-10-07 or 2026-08-16T16:00Z; DAYS/HOURS such as
// mon-fri/01-04,06-10 is in UTC, an hour range ends before its last hour.
func parsePrice(s string) (Price, error) {
	var p Price
	base, steps, more := strings.Cut(s, " | ")
	if base != "" && base[0] == '2' && strings.IndexByte(base, '-') == 4 {
		date, rest, _ := strings.Cut(base, " ")
		layout := time.DateOnly
		if len(date) > len(layout) {
			layout = minuteLayout
		}
		t, err := time.Parse(layout, date)
		if err != nil {
			return p, errf("bad date %q", date)
		}
		p.Since, base = t, rest
	}
	if err := p.Rates.parse(base, &p.Batch); err != nil {
		return p, err
	}
	for more {
		var step string
		step, steps, more = strings.Cut(steps, " | ")
		word, rest, _ := strings.Cut(step, " ")
		value, rest, _ := strings.Cut(rest, " ")
		var st Step
		var err error
		switch word {
		case "over":
			st.Over, err = count(value)
		case "at":
			st.When, err = parseHours(value)
		default:
			err = errf("unknown step %q", word)
		}
		if err == nil {
			err = st.Rates.parse(rest, nil)
		}
		if err != nil {
			return p, err
		}
		p.Steps = append(p.Steps, st)
	}
	return p, nil
}

func (r *Rates) parse(s string, batch *int64) error {
	if s == "" {
		return errors.New("a price without rates")
	}
	for s != "" {
		var word, value string
		word, s, _ = strings.Cut(s, " ")
		value, s, _ = strings.Cut(s, " ")
		if word == "batch" && batch != nil {
			f, err := factor(value)
			if err != nil {
				return err
			}
			*batch = f
			continue
		}
		to := r.bucket(word)
		if to == nil {
			return errf("unknown rate %q", word)
		}
		n, err := money(value)
		if err != nil {
			return err
		}
		if to.Known {
			return errf("two rates %q", word)
		}
		*to = Rate{n, true}
	}
	return nil
}

var buckets = []string{"in", "out", "read", "write", "write1h"}

func (r *Rates) bucket(name string) *Rate {
	switch name {
	case "in":
		return &r.Input
	case "out":
		return &r.Output
	case "read":
		return &r.CacheRead
	case "write":
		return &r.CacheWrite5m
	case "write1h":
		return &r.CacheWrite1h
	}
	return nil
}

func (r *Rates) append(dst []byte) []byte {
	for _, b := range buckets {
		if rate := r.bucket(b); rate.Known {
			dst = append(append(append(dst, ' '), b...), ' ')
			dst = appendMoney(dst, rate.PerMillion)
		}
	}
	return dst
}

func (p *Price) append(dst []byte, batch int64) []byte {
	from := len(dst)
	if !p.Since.IsZero() {
		layout := time.DateOnly
		if p.Since.Hour() != 0 || p.Since.Minute() != 0 {
			layout = minuteLayout
		}
		dst = append(dst, ' ')
		dst = p.Since.AppendFormat(dst, layout)
	}
	dst = p.Rates.append(dst)
	if p.Batch != 0 && p.Batch != batch {
		dst = append(dst, " batch "...)
		dst = appendMoney(dst, p.Batch*1e6)
	}
	for _, s := range p.Steps {
		if s.When != (Hours{}) {
			dst = append(dst, " | at "...)
			dst = append(dst, s.When.String()...)
		} else {
			dst = append(dst, " | over "...)
			dst = strconv.AppendInt(dst, s.Over, 10)
		}
		dst = s.Rates.append(dst)
	}
	return append(dst[:from], dst[from+1:]...) // without the leading blank
}

// String shows the price as a row spells it.
func (p *Price) String() string { return string(p.append(nil, 0)) }

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func parseHours(s string) (Hours, error) {
	var h Hours
	days, hours, ok := strings.Cut(s, "/")
	if !ok {
		return h, errf("hours %q are not DAYS/HOURS", s)
	}
	var mask uint32
	for r := range strings.SplitSeq(hours, ",") {
		a, b, ok := strings.Cut(r, "-")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if !ok || err1 != nil || err2 != nil || from < 0 || to > 24 || from >= to {
			return h, errf("bad hours %q", r)
		}
		mask |= 1<<to - 1<<from
	}
	for r := range strings.SplitSeq(days, ",") {
		a, b, ok := strings.Cut(r, "-")
		if !ok {
			b = a
		}
		from, to := slices.Index(dayNames, a), slices.Index(dayNames, b)
		if from < 0 || to < 0 {
			return h, errf("bad days %q", r)
		}
		for d := from; ; d = (d + 1) % 7 {
			h.day[d] |= mask
			if d == to {
				break
			}
		}
	}
	return h, nil
}

// String shows the hours as a row spells them, day by day where they differ.
func (h Hours) String() string {
	var days []string
	var mask uint32
	for d, m := range h.day {
		if m == 0 {
			continue
		}
		if mask != 0 && m != mask {
			return "mixed" // rows cannot say so
		}
		mask = m
		days = append(days, dayNames[d])
	}
	var hours []string
	for from := 0; from < 24; from++ {
		if mask&(1<<from) == 0 {
			continue
		}
		to := from
		for to < 24 && mask&(1<<to) != 0 {
			to++
		}
		hours = append(hours, fmt.Sprintf("%02d-%02d", from, to))
		from = to
	}
	return strings.Join(days, ",") + "/" + strings.Join(hours, ",")
}

// appendModel writes a model as a row that reads back as the same model but
// for Source and Listed, which do not belong to it.
func appendModel(dst []byte, m *Model, batch int64) []byte {
	dst = append(append(append(dst, m.Provider...), '\t'), m.ID...)
	str := func(k, v string) {
		if v != "" {
			dst = append(append(append(append(dst, '\t'), k...), '='), clean(v)...)
		}
	}
	num := func(k string, n int64) {
		if n != 0 {
			str(k, strconv.FormatInt(n, 10))
		}
	}
	date := func(k string, t time.Time) {
		if !t.IsZero() {
			str(k, t.Format(time.DateOnly))
		}
	}
	str("name", m.Name)
	str("family", m.Family)
	str("alias", strings.Join(m.Aliases, ","))
	date("released", m.Released)
	num("window", m.Window)
	num("out", m.MaxOutput)
	if !m.Known {
		str("known", "0")
	}
	str("has", strings.Join(NamesOf(m.Has), ","))
	str("lacks", strings.Join(NamesOf(m.Lacks), ","))
	str("efforts", strings.Join(m.Efforts, ","))
	str("responses_efforts", strings.Join(m.ResponsesEfforts, ","))
	str("effort", m.DefaultEffort)
	str("think", strings.Join(m.ThinkTypes, ","))
	if m.ThinksByDefault {
		str("thinks", "1")
	}
	str("wire", string(m.Wire))
	str("pool", m.Pool)
	if m.Parallel > 0 {
		str("parallel", strconv.Itoa(m.Parallel))
	}
	str("gives", strings.Join(m.Gives, ","))
	for i := range m.Prices {
		str("price", string(m.Prices[i].append(nil, batch)))
	}
	if m.Status != Active {
		str("status", string(m.Status))
	}
	date("deprecated", m.Deprecated)
	date("retires", m.Retires)
	date("lasts", m.NotBefore)
	if m.Open {
		str("open", "1")
	}
	str("note", m.Note)
	return append(dst, '\n')
}

// clean keeps separators out of a value.
func clean(s string) string {
	if !strings.ContainsAny(s, "\t\n\r") {
		return s
	}
	return strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(s)
}
