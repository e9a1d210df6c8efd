package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
	"headrace/internal/wire/forms"
	"headrace/internal/wire/span"
)

// EncodeRequest writes a request for one target. What came from this dialect
// goes back as it was spelled, but for what the target's capability refuses;
// from other dialects the words are translated, and Losses says what could not
// be. The bytes of a longer conversation begin with those of a shorter one up
// to the end of its messages, which come last: prompt caches live on that.
func (Codec) EncodeRequest(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error) {
	e := requestEncoder{r: r, c: c, own: r.From == llm.OpenAI, model: model}
	if !e.own {
		e.r, e.Losses.All = llm.Plain(r)
	} else {
		e.spelled = map[string]jsontext.Value{}
		for k, v := range span.Fields(r.Raw) {
			e.spelled[string(k)] = v
		}
	}
	e.plan()
	e.o = span.Open(make([]byte, 0, 1024+len(r.Raw)+len(r.Raw)/8))
	e.write()
	return llm.Encoded{
		Body:      [][]byte{e.o.Close()},
		Losses:    e.Losses.All,
		Names:     e.restore,
		DropUsage: r.Stream && !r.IncludeUsage,
	}, nil
}

type requestEncoder struct {
	r       *llm.Request
	c       *llm.Capability
	own     bool
	model   string
	spelled map[string]jsontext.Value // the members of r.Raw
	o       span.Object
	llm.Losses
	restore map[string]string // tool names on the wire -> the client's
	wire    map[string]string // the client's tool names -> on the wire

	effort    string   // "" leaves it out
	quiet     bool     // thinking is switched off by c.ThinkSwitch
	loud      bool     // and on
	goOn      string   // the path of the last assistant message, to be gone on from
	only      []string // the tools that are offered; nil for all
	sampling  bool     // sampling members may be written
	maxTokens string   // the name of the output cap
}

// dropped tells of members of another dialect that this one has no word for.
func (e *requestEncoder) dropped(path string, ext []llm.Member) {
	for _, m := range ext {
		switch {
		case span.IsNull(m.Value): // says nothing
		case m.Name == "phase" || m.Name == "status" || m.Name == "logprobs":
			// What a Responses answer said of itself; its client keeps it.
			e.LoseOnce(llm.LossCarry, "ext:"+m.Name, forms.Join(path, m.Name), "said of an earlier answer")
		default:
			e.LoseOnce(llm.LossWarn, "ext:"+m.Name, forms.Join(path, m.Name), "dropped: Chat Completions has no such member")
		}
	}
}

// plan decides what several members depend on.
func (e *requestEncoder) plan() {
	e.maxTokens = e.c.MaxTokensField
	if e.maxTokens == "" {
		e.maxTokens = "max_completion_tokens"
		if _, ok := e.spelled["max_tokens"]; ok && !e.c.Known {
			e.maxTokens = "max_tokens" // nobody knows better than the client
		}
	}
	e.planEffort()
	e.planChoice()
	e.sampling = e.c.Can(llm.SamplingParams) || e.effort == "none"
	e.planNames()
}

func (e *requestEncoder) planEffort() {
	rs := e.r.Reasoning
	want, path := rs.Effort, "reasoning_effort"
	if !e.own {
		path = "thinking"
		switch {
		case rs.Mode == llm.ThinkOff:
			want = "none"
		case want == "" && rs.Budget > 0:
			want = llm.EffortOf(rs.Budget)
		}
		if rs.Mode == llm.ThinkBetweenTools {
			e.Lose(llm.LossWarn, "thinking.type", "dropped: between_tools has no equal here")
		}
	}
	if e.own { // what other members say of effort is carried in them
		want = span.Text(e.spelled["reasoning_effort"])
	}
	if !e.own && e.c.ThinkSwitch != "" && e.c.Can(llm.Thinking) {
		switch {
		case want == "none" && !slices.Contains(e.c.Efforts, "none"):
			e.quiet, want = true, ""
		case rs.Mode == llm.ThinkOn, rs.Mode == llm.ThinkAdaptive, want != "" && want != "none":
			e.loud = !e.c.ThinksByDefault
		}
	}
	got, warn, refuse := fitEffort(want, offersFunctions(e.r.Tools), e.c)
	if e.loud && got == "" {
		warn = "" // the switch says it
	}
	if want == "none" && !e.own && got == "" {
		warn = "" // a model that does not think needs no word for it
		if e.c.Known && e.c.ThinksByDefault {
			warn = "dropped: thinking of this model cannot be turned off"
		}
	}
	if refuse != "" {
		e.Lose(llm.LossRefuse, "tools", "%s", refuse)
	}
	if warn != "" {
		e.Lose(llm.LossWarn, path, "%s", warn)
	}
	e.effort = got
}

// planChoice sees to what a tool choice asks of the rest of the request.
func (e *requestEncoder) planChoice() {
	c := e.r.Choice
	forced := c.Mode == llm.ToolAny || c.Mode == llm.ToolOnly || c.Forced
	if forced && e.c.QuietForced && e.c.ThinksByDefault && !e.quiet && !e.own {
		e.quiet, e.loud, e.effort = e.c.ThinkSwitch != "", false, ""
		if e.quiet {
			e.Lose(llm.LossWarn, "tool_choice", "thinking was turned off: the model takes no forced tool choice while it thinks")
		} else {
			e.Lose(llm.LossRefuse, "tool_choice", "the model takes no forced tool choice while it thinks")
		}
	}
	if c.Mode == llm.ToolSubset && e.c.Known && !e.c.Can(llm.DeveloperRole) {
		e.only = c.Names // allowed_tools is OpenAI's alone
		e.Lose(llm.LossWarn, "tool_choice", "approximated: only the allowed tools are offered")
	}
}

func offersFunctions(tools []llm.Tool) bool {
	return slices.ContainsFunc(tools, func(t llm.Tool) bool { return t.Type == "" || t.Type == "custom" })
}

// fitEffort gives the effort to send to a target, "" for none at all, and what
// the client must be told. GPT-5.4 and later refuse function tools on this
// wire while they reason, whether effort was sent or not
// (openai-openapi issue 541, 2026-08): only "none" passes. Where a provider has
// Responses too, such a request goes there and does not come here.
func fitEffort(want string, tools bool, c *llm.Capability) (got, warn, refuse string) {
	got, exact := c.Effort(want)
	if !exact {
		if got == "" {
			warn = "dropped: the model takes no effort"
		} else {
			warn = fmt.Sprintf("approximated: %s instead of %s", got, want)
		}
	}
	reasons := len(c.Efforts) > 0 || c.Has&llm.Thinking != 0
	if !tools || !c.Known || c.Has&llm.ToolEffortFree != 0 || !reasons || got == "none" {
		return got, warn, ""
	}
	if got == "" && c.DefaultEffort == "none" {
		return got, warn, ""
	}
	if slices.Contains(c.Efforts, "none") {
		return "none", "set to none: with function tools the model does not reason on Chat Completions", ""
	}
	return got, warn, "the model takes no function tools on Chat Completions, only on Responses"
}

// planNames maps tool names that the wire does not take, stably: the same name
// gives the same wire name in every request.
func (e *requestEncoder) planNames() {
	if e.own {
		return // the client chose names for this wire
	}
	note := func(name string) {
		w := toolName(name, e.c)
		if w == name {
			return
		}
		if e.wire == nil {
			e.wire, e.restore = map[string]string{}, map[string]string{}
		}
		e.wire[name], e.restore[w] = w, name
	}
	for i := range e.r.Tools {
		note(e.r.Tools[i].Name)
	}
	for i := range e.r.Items {
		if e.r.Items[i].Kind == llm.ItemToolCall {
			note(e.r.Items[i].Call.Name)
		}
	}
}

const maxToolName = 64

// toolName gives name itself when it fits the target's rule (OpenAI's, unless
// its manners say otherwise), else its legal beginning and a hash of the whole.
func toolName(name string, c *llm.Capability) string {
	most := maxToolName
	if n := c.ToolNameLength; n > 11 {
		most = n
	}
	legal := name != "" && len(name) <= most
	clean := make([]byte, 0, maxToolName)
	for i := 0; i < len(name); i++ {
		ch := name[i]
		letter := ch == '_' || ch >= 'A' && ch <= 'Z' || ch >= 'a' && ch <= 'z'
		if i == 0 && !letter && c.ToolNameLetter {
			legal = false
			clean = append(clean, 't', '_')
		}
		if letter || ch == '-' || ch >= '0' && ch <= '9' {
			clean = append(clean, ch)
		} else {
			legal = false
			clean = append(clean, '_')
		}
	}
	if legal {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	if len(clean) > most-11 {
		clean = clean[:most-11]
	}
	return string(clean) + "_" + hex.EncodeToString(sum[:5])
}

func (e *requestEncoder) toolName(name string) string {
	if w, ok := e.wire[name]; ok {
		return w
	}
	return name
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// callID gives the id of a call as this target takes it: the same for the call
// and its result, in this turn and in every later one.
func (e *requestEncoder) callID(id string) string {
	if n := e.c.ToolIDLength; n > 0 {
		fits := len(id) == n
		for i := 0; fits && i < n; i++ {
			fits = strings.IndexByte(base62, id[i]) >= 0
		}
		if fits {
			return id
		}
		sum := sha256.Sum256([]byte(id))
		short := make([]byte, n)
		for i := range short {
			short[i] = base62[int(sum[i%len(sum)])%len(base62)]
		}
		return string(short)
	}
	if len(id) <= 40 || e.own && !e.c.Known {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:16])
}

// canonical is the order of members for requests that were written in another
// dialect. Everything that stays the same from turn to turn comes before the
// messages.
var canonical = []string{"model", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k",
	"frequency_penalty", "presence_penalty", "seed", "stop", "n", "reasoning_effort", "think_switch", "response_format",
	"safety_identifier", "service_tier", "tools", "tool_choice", "parallel_tool_calls", "messages"}

func (e *requestEncoder) write() {
	wrote := map[string]bool{}
	if e.own {
		for k := range span.Fields(e.r.Raw) {
			name := string(k)
			if !wrote[name] {
				wrote[name] = true
				e.member(name)
			}
		}
	}
	for _, name := range canonical {
		switch name {
		case "max_tokens":
			if wrote["max_tokens"] || wrote["max_completion_tokens"] {
				continue
			}
		case "safety_identifier":
			if wrote["user"] {
				continue
			}
		}
		if !wrote[name] {
			wrote[name] = true
			e.member(name)
		}
	}
	if e.own {
		for _, m := range e.r.Ext {
			if !wrote[m.Name] && !strings.Contains(m.Name, ".") {
				wrote[m.Name] = true
				e.o.Raw(m.Name, m.Value)
			}
		}
		return
	}
	for _, m := range e.r.Ext {
		e.foreign(m)
	}
}

// foreign tells what becomes of a member that only another dialect knows.
func (e *requestEncoder) foreign(m llm.Member) {
	if span.IsNull(m.Value) || span.Blank(m.Value) {
		return
	}
	if e.r.From == llm.Responses && e.fromResponses(m) {
		return
	}
	switch m.Name {
	case "anthropic_version": // the wire's own business
	case "output_format": // the older name of output_config.format
		if e.r.Format.Kind == "" {
			e.Lose(llm.LossRefuse, m.Name, "of a form that Chat Completions does not have")
		}
	case "tool_choice", "output_config.format", "text.format":
		e.Lose(llm.LossRefuse, m.Name, "of a form that Chat Completions does not have")
	case "cache_control", "prompt_cache_key":
		// An automatic cache does without. (A mark on the whole body has no
		// place on this wire even where blocks may carry marks.)
	case "context_management":
		if bytes.Contains(m.Value, []byte(`"compact`)) {
			e.Lose(llm.LossRefuse, m.Name, "compaction is asked for and Chat Completions cannot do it")
			return
		}
		e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, "dropped: Chat Completions does not edit contexts")
	case "generationConfig.responseModalities":
		if bytes.Contains(m.Value, []byte("IMAGE")) || bytes.Contains(m.Value, []byte("AUDIO")) {
			e.Lose(llm.LossRefuse, m.Name, "Chat Completions gives text")
		}
	case "generationConfig.responseLogprobs":
		if string(m.Value) == "true" {
			e.Lose(llm.LossRefuse, m.Name, "log probabilities are not told across dialects")
		}
	case "generationConfig.responseMimeType":
		if string(m.Value) != `"text/plain"` {
			e.Lose(llm.LossRefuse, m.Name, "of a form that Chat Completions does not have")
		}
	case "mcp_servers", "container", "fallbacks":
		e.Lose(llm.LossRefuse, m.Name, "Chat Completions has no equal of it")
	default:
		e.LoseOnce(llm.LossWarn, "ext:"+m.Name, m.Name, "dropped: Chat Completions has no such member")
	}
}

// fromResponses takes the members of a Responses request that have a place
// here, that say nothing here, or without which the answer would be another.
func (e *requestEncoder) fromResponses(m llm.Member) bool {
	openai := e.c.Known && e.c.Can(llm.DeveloperRole) && !e.c.Closed
	switch m.Name {
	case "store": // the gateway keeps what is to be kept
	case "previous_response_id", "conversation", "prompt":
		e.Lose(llm.LossRefuse, m.Name, "Chat Completions keeps no state")
	case "background":
		if span.Kind(m.Value) == 't' {
			e.Lose(llm.LossRefuse, m.Name, "Chat Completions makes no answer in the background")
		}
	case "include":
		if bytes.Contains(m.Value, []byte("logprobs")) {
			e.Lose(llm.LossRefuse, m.Name, "log probabilities are told in another form here")
		}
	case "top_logprobs":
		if span.Count(m.Value) > 0 {
			e.Lose(llm.LossRefuse, m.Name, "log probabilities are told in another form here")
		}
	case "truncation":
		return span.Text(m.Value) == "disabled"
	case "metadata", "prompt_cache_key", "prompt_cache_retention":
		if !openai {
			return m.Name == "prompt_cache_key"
		}
		e.o.Raw(m.Name, m.Value)
	case "text.verbosity":
		if !openai {
			return false
		}
		e.o.Raw("verbosity", m.Value)
	default:
		return false
	}
	return true
}

// member writes one top-level member, or nothing when it is unsaid.
func (e *requestEncoder) member(name string) {
	r, o := e.r, &e.o
	if raw, ok := e.spelled[name]; ok && span.IsNull(raw) && name != "stream_options" && (name != "reasoning_effort" || e.effort == "") {
		if e.c.Takes(name) {
			o.Raw(name, raw)
		}
		return
	}
	if !e.takes(name) {
		return
	}
	switch name {
	case "model":
		o.Str(name, e.model)
	case "messages":
		o.Name(name)
		e.messages()
	case "stream":
		if raw, ok := e.spelled[name]; ok && !r.Stream {
			o.Raw(name, raw)
		} else if r.Stream {
			o.Bool(name, true)
		}
	case "stream_options":
		e.streamOptions()
	case "max_tokens", "max_completion_tokens":
		e.maximum(name)
	case "temperature":
		e.sample(name, r.Sampling.Temperature, "1", e.sampling)
	case "top_p":
		e.sample(name, r.Sampling.TopP, "1", e.sampling)
	case "top_k":
		if e.own {
			e.sample(name, r.Sampling.TopK, "", e.sampling && !(e.c.Known && e.c.Closed))
		} else if len(r.Sampling.TopK) > 0 {
			e.Lose(llm.LossWarn, name, "dropped: Chat Completions has no such member")
		}
	case "frequency_penalty":
		e.sample(name, r.Sampling.FrequencyPenalty, "0", e.sampling)
	case "presence_penalty":
		e.sample(name, r.Sampling.PresencePenalty, "0", e.sampling)
	case "seed":
		e.sample(or(e.c.SeedField, name), r.Sampling.Seed, "", e.c.Can(llm.Seed))
	case "logit_bias":
		if v := e.spelled[name]; v != nil {
			e.sample(name, v, "{}", e.sampling)
		}
	case "logprobs", "top_logprobs":
		v := e.spelled[name]
		if !span.IsNull(v) && !e.c.Can(llm.Logprobs) {
			if span.Kind(v) == 't' {
				e.Lose(llm.LossRefuse, name, "the model gives no log probabilities")
			}
			return
		}
		o.Raw(name, v)
	case "stop":
		e.stop()
	case "n":
		if raw, ok := e.spelled[name]; ok {
			o.Raw(name, raw)
		} else if r.N > 0 {
			o.Int(name, int64(r.N))
		}
	case "reasoning_effort":
		e.reasoning()
	case "think_switch":
		e.thinkSwitch()
	case "response_format":
		e.format()
	case "user", "safety_identifier":
		e.endUser(name)
	case "service_tier":
		e.tier()
	case "tools":
		e.tools()
	case "tool_choice":
		e.choice()
	case "parallel_tool_calls":
		e.parallel()
	default: // only from our own dialect: carried
		o.Raw(name, e.spelled[name])
	}
}

// takes reports whether the target takes a top-level member, and tells what is
// lost when it does not.
func (e *requestEncoder) takes(name string) bool {
	onWire := name
	switch name {
	case "seed":
		onWire = or(e.c.SeedField, name)
	case "max_tokens", "max_completion_tokens":
		onWire = e.maxTokens
	case "think_switch":
		return true
	case "safety_identifier": // which of its names is written is decided later
		return true
	}
	if e.c.Takes(onWire) {
		return true
	}
	if kind, why := untaken(name, e.saidBy(name)); why != "" {
		e.Lose(kind, name, "%s", why)
	}
	return false
}

// saidBy gives what the request says under a name that the target does not
// take; nil when it says nothing.
func (e *requestEncoder) saidBy(name string) jsontext.Value {
	if v, ok := e.spelled[name]; ok {
		return v
	}
	r := e.r
	switch name {
	case "temperature":
		return r.Sampling.Temperature
	case "top_p":
		return r.Sampling.TopP
	case "top_k":
		return r.Sampling.TopK
	case "frequency_penalty":
		return r.Sampling.FrequencyPenalty
	case "presence_penalty":
		return r.Sampling.PresencePenalty
	case "seed":
		return r.Sampling.Seed
	case "n":
		if r.N > 1 {
			return jsontext.Value(strconv.Itoa(r.N))
		}
	case "stop":
		if len(r.Stop) > 0 {
			return jsontext.Value("[0]")
		}
	case "reasoning_effort":
		if e.effort != "" {
			return span.Quote(nil, e.effort)
		}
	case "response_format":
		if r.Format.Kind == llm.FormatJSONObject || r.Format.Kind == llm.FormatJSONSchema {
			return jsontext.Value("{}")
		}
	case "service_tier":
		if r.ServiceTier != "" && r.ServiceTier != "auto" {
			return span.Quote(nil, r.ServiceTier)
		}
	case "tools":
		if len(r.Tools) > 0 {
			return jsontext.Value("[0]")
		}
	case "tool_choice":
		if m := r.Choice.Mode; m != "" && m != llm.ToolAuto {
			return span.Quote(nil, string(m))
		}
	case "parallel_tool_calls":
		if p := r.ParallelCalls; p != nil && !*p {
			return jsontext.Value("false")
		}
	}
	return nil
}

// untaken says what becomes of a member that a closed wire does not take: what
// changes the meaning of the answer is refused, a hint is dropped with a word,
// and what only steers the wire without one (rules E and W of translation).
func untaken(name string, v jsontext.Value) (kind llm.LossKind, why string) {
	if span.IsNull(v) || span.Blank(v) || string(v) == "false" && name != "parallel_tool_calls" {
		return "", ""
	}
	switch name {
	case "stream_options", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options":
		return "", ""
	case "n":
		if string(v) == "1" {
			return "", ""
		}
		return llm.LossRefuse, "the provider gives one answer"
	case "stop", "response_format", "tools", "functions", "tool_choice", "function_call", "audio", "web_search_options", "logprobs", "prediction":
		return llm.LossRefuse, "the provider takes no such member"
	case "modalities":
		if !bytes.Contains(v, []byte(`"audio"`)) {
			return "", ""
		}
		return llm.LossRefuse, "the provider makes no sound"
	}
	return llm.LossWarn, "dropped: the provider takes no such member"
}

// sample writes a sampling value, or tells that the model refuses it; its own
// default is left out without a word.
func (e *requestEncoder) sample(name string, v jsontext.Value, normal string, allowed bool) {
	if len(v) == 0 {
		return
	}
	if allowed {
		e.o.Raw(name, v)
		return
	}
	if !sameNumber(v, normal) {
		e.Lose(llm.LossWarn, name, "dropped: the model refuses it")
	}
}

func sameNumber(v []byte, normal string) bool {
	if string(v) == normal {
		return true
	}
	f, ok := span.Number(v)
	g, err := strconv.ParseFloat(normal, 64)
	return ok && err == nil && f == g
}

func (e *requestEncoder) streamOptions() {
	if !e.r.Stream {
		if raw, ok := e.spelled["stream_options"]; ok {
			e.o.Raw("stream_options", raw)
		}
		return
	}
	e.o.Name("stream_options")
	e.o.B = append(e.o.B, withUsage(e.spelled["stream_options"])...)
}

// withUsage gives stream_options that ask for usage, all else as it was.
func withUsage(raw []byte) []byte {
	o := span.Open(nil)
	asked := false
	for k, v := range span.Fields(raw) {
		if string(k) == "include_usage" {
			asked, v = true, jsontext.Value("true")
		}
		o.Raw(string(k), v)
	}
	if !asked {
		o.Bool("include_usage", true)
	}
	return o.Close()
}

func (e *requestEncoder) maximum(name string) {
	reserve := e.c.OutputReserve
	if e.r.MaxTokens == nil {
		if reserve > 0 && !e.own {
			e.Lose(llm.LossWarn, "max_tokens", "set to %d: the provider reserves the whole cap in advance", reserve)
			e.o.Int(e.maxTokens, reserve)
		}
		return
	}
	// Both names at once: the one that the target takes.
	if name != e.maxTokens && e.spelled[e.maxTokens] != nil && e.spelled[name] != nil {
		return
	}
	n := *e.r.MaxTokens
	if n == 0 && !e.own {
		e.Lose(llm.LossRefuse, "max_tokens", "an answer of no tokens cannot be asked for on Chat Completions")
		return
	}
	if most := e.c.MaxOutput; most > 0 && n > most && !e.own {
		e.Lose(llm.LossWarn, "max_tokens", "lowered to %d: the model gives no more", most)
		n = most
	}
	if reserve > 0 && n > reserve && !e.own {
		e.Lose(llm.LossWarn, "max_tokens", "lowered to %d: the provider reserves the whole cap in advance", reserve)
		n = reserve
	}
	e.o.Int(e.maxTokens, n)
}

func (e *requestEncoder) stop() {
	if len(e.r.Stop) == 0 {
		if raw, ok := e.spelled["stop"]; ok && e.c.Can(llm.StopSequences) {
			e.o.Raw("stop", raw)
		}
		return
	}
	switch {
	case !e.c.Can(llm.StopSequences):
		e.Lose(llm.LossRefuse, "stop", "the model takes no stop sequences")
		return
	case len(e.r.Stop) > maxStops(e.c) && !e.own:
		e.Lose(llm.LossRefuse, "stop_sequences", "the provider takes at most %d stop sequences, not %d", maxStops(e.c), len(e.r.Stop))
		return
	case span.IsString(e.spelled["stop"]):
		e.o.Str("stop", e.r.Stop[0])
		return
	}
	e.o.Name("stop")
	e.o.B = append(e.o.B, '[')
	for i, s := range e.r.Stop {
		if i > 0 {
			e.o.B = append(e.o.B, ',')
		}
		e.o.B = span.Quote(e.o.B, s)
	}
	e.o.B = append(e.o.B, ']')
}

// maxStops is Chat Completions' four, unless the provider says otherwise.
func maxStops(c *llm.Capability) int {
	if c.MaxStops > 0 {
		return c.MaxStops
	}
	return 4
}

func (e *requestEncoder) reasoning() {
	if e.effort != "" {
		e.o.Str("reasoning_effort", e.effort)
	}
}

// thinkSwitch writes the member that turns thinking on or off.
func (e *requestEncoder) thinkSwitch() {
	if !e.quiet && !e.loud {
		return
	}
	e.o.Raw(e.c.ThinkSwitch, switched(e.c.ThinkSwitch, e.loud))
	if e.loud && e.c.ThinkSwitch == "enable_thinking" && e.r.Reasoning.Budget > 0 {
		e.o.Int("thinking_budget", e.r.Reasoning.Budget)
	}
}

// switched is the value of a switch of thinking.
func switched(name string, on bool) []byte {
	switch {
	case name == "thinking" && on:
		return []byte(`{"type":"enabled"}`)
	case name == "thinking":
		return []byte(`{"type":"disabled"}`)
	}
	return strconv.AppendBool(nil, on)
}

func (e *requestEncoder) format() {
	f := e.r.Format
	switch f.Kind {
	case llm.FormatJSONSchema:
		if !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "response_format", "the model cannot keep to a JSON Schema")
			return
		}
	case llm.FormatJSONObject:
		if !e.c.Can(llm.JSONObject) && !e.c.Can(llm.JSONSchema) {
			e.Lose(llm.LossRefuse, "response_format", "the model cannot promise JSON")
			return
		}
	}
	if raw, ok := e.spelled["response_format"]; ok {
		e.o.Raw("response_format", raw)
		return
	}
	switch f.Kind {
	case llm.FormatJSONObject, llm.FormatText:
		e.o.Name("response_format")
		o := span.Open(e.o.B)
		o.Str("type", string(f.Kind))
		e.o.B = o.Close()
	case llm.FormatJSONSchema:
		e.o.Name("response_format")
		o := span.Open(e.o.B)
		o.Str("type", "json_schema")
		o.Name("json_schema")
		s := span.Open(o.B)
		name := f.Name
		if name == "" {
			name = "response"
		}
		s.Str("name", toolName(name, &llm.Capability{})) // the same rule as for tools
		if f.Description != "" {
			s.Str("description", f.Description)
		}
		if len(f.Schema) > 0 {
			s.Raw("schema", f.Schema)
		}
		switch {
		case f.Strict != nil:
			s.Bool("strict", *f.Strict)
		case e.c.Known && e.c.Has&llm.StrictTools != 0 && e.r.From == llm.Anthropic && forms.ClosedSchema(f.Schema):
			s.Bool("strict", true) // Anthropic always keeps to the schema
		}
		o.B = s.Close()
		e.o.B = o.Close()
	}
}

func (e *requestEncoder) endUser(name string) {
	if e.own {
		if raw, ok := e.spelled[name]; ok {
			e.o.Raw(name, raw)
		}
		return
	}
	id := e.r.EndUser
	if id == "" {
		return
	}
	if e.c.Closed && e.c.Accepts == nil {
		e.Lose(llm.LossWarn, "metadata.user_id", "dropped: the provider takes no such member")
		return
	}
	field := "user"
	if e.c.Known && e.c.Can(llm.DeveloperRole) {
		// Only OpenAI's own models know the developer role, and with it the newer
		// name; every other server knows the old one.
		field = "safety_identifier"
	}
	if !e.c.Takes(field) {
		e.Lose(llm.LossWarn, "metadata.user_id", "dropped: the provider takes no such member")
		return
	}
	// safety_identifier holds 64 characters; Claude Code's id is a JSON text.
	if len(id) > 64 {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])
	}
	e.o.Str(field, id)
}

func (e *requestEncoder) tier() {
	if raw, ok := e.spelled["service_tier"]; ok {
		e.o.Raw("service_tier", raw)
		return
	}
	switch t := e.r.ServiceTier; t {
	case "", "auto":
	case "standard_only":
		if e.c.Known && e.c.Can(llm.DeveloperRole) {
			e.o.Str("service_tier", "default")
		} else {
			e.Lose(llm.LossWarn, "service_tier", "dropped: the provider has no such tier")
		}
	case "priority", "flex":
		e.o.Str("service_tier", t)
	default:
		e.Lose(llm.LossWarn, "service_tier", "dropped: Chat Completions has no tier %q", t)
	}
}

// noSchema is what a tool without parameters is given: several servers refuse
// an absent or an empty schema.
const noSchema = `{"type":"object","properties":{}}`

func (e *requestEncoder) tools() {
	if len(e.r.Tools) == 0 {
		if raw, ok := e.spelled["tools"]; ok {
			e.o.Raw("tools", raw)
		}
		return
	}
	if !e.c.Can(llm.Tools) {
		e.Lose(llm.LossRefuse, "tools", "the model takes no tools")
		return
	}
	if most := e.c.MaxTools; most > 0 && len(e.r.Tools) > most {
		e.Lose(llm.LossRefuse, "tools", "the provider takes at most %d tools, not %d", most, len(e.r.Tools))
		return
	}
	b, n := []byte{'['}, 0
	for i := range e.r.Tools {
		t := &e.r.Tools[i]
		if e.only != nil && !slices.Contains(e.only, t.Name) {
			continue
		}
		if e.own && len(t.Raw) > 0 && span.Field(t.Raw, "function") == nil && span.Field(t.Raw, "type") == nil {
			continue // stands in functions, which is carried
		}
		if n > 0 {
			b = append(b, ',')
		}
		mark := len(b)
		if b = e.tool(b, i, t); len(b) > mark {
			n++
		} else if n > 0 {
			b = b[:mark-1]
		}
	}
	if n > 0 {
		e.o.Raw("tools", append(b, ']'))
	}
}

func (e *requestEncoder) tool(b []byte, i int, t *llm.Tool) []byte {
	path := "tools." + strconv.Itoa(i)
	if t.From == llm.OpenAI && len(t.Raw) > 0 {
		return append(b, t.Raw...)
	}
	if t.Type == "custom" && t.From == llm.Responses {
		return e.customTool(b, path, t)
	}
	if t.Type != "" && !(t.Type == "custom" && t.From == llm.Anthropic) {
		e.Lose(llm.LossRefuse, path, "Chat Completions has no tool of type %q", t.Type)
		return b
	}
	e.dropped(path, t.Ext)
	o := span.Open(b)
	o.Str("type", "function")
	o.Name("function")
	f := span.Open(o.B)
	f.Str("name", e.toolName(t.Name))
	if t.Description != "" {
		f.Str("description", t.Description)
	}
	if len(t.Schema) > 0 && string(t.Schema) != "{}" {
		schema := t.Schema
		if e.c.Schema == llm.SchemaTyped {
			fit, lossy := typedSchema(schema)
			if schema = fit; lossy {
				e.Lose(llm.LossWarn, path+".schema", "approximated: the provider takes no tuples")
			}
		}
		f.Raw("parameters", schema)
	} else {
		f.Raw("parameters", []byte(noSchema))
	}
	if t.Strict != nil {
		if !*t.Strict || e.c.Can(llm.StrictTools) {
			f.Bool("strict", *t.Strict)
		} else {
			e.LoseOnce(llm.LossWarn, "strict", path+".strict", "dropped: the model has no strict tools")
		}
	}
	o.B = f.Close()
	if len(t.Cache) > 0 && e.c.CacheMarks {
		o.Raw("cache_control", t.Cache)
	}
	return o.Close()
}

// customTool writes a tool with free-text input that was written for Responses,
// whose grammar lies one level higher there.
func (e *requestEncoder) customTool(b []byte, path string, t *llm.Tool) []byte {
	o := span.Open(b)
	o.Str("type", "custom")
	o.Name("custom")
	f := span.Open(o.B)
	f.Str("name", e.toolName(t.Name))
	if t.Description != "" {
		f.Str("description", t.Description)
	}
	for _, m := range t.Ext {
		if m.Name != "format" {
			e.dropped(path, []llm.Member{m})
			continue
		}
		if span.Text(span.Field(m.Value, "type")) != "grammar" {
			f.Raw("format", m.Value)
			continue
		}
		f.Name("format")
		g := span.Open(f.B)
		g.Str("type", "grammar")
		g.Name("grammar")
		inner := span.Open(g.B)
		for k, v := range span.Fields(m.Value) {
			if string(k) != "type" {
				inner.Raw(string(k), v)
			}
		}
		g.B = inner.Close()
		f.B = g.Close()
	}
	o.B = f.Close()
	return o.Close()
}

func (e *requestEncoder) choice() {
	c := e.r.Choice
	forced := c.Mode == llm.ToolAny || c.Mode == llm.ToolOnly || c.Forced
	if forced && !e.c.Can(llm.ForcedTool) {
		e.Lose(llm.LossRefuse, "tool_choice", "the model cannot be forced to call a tool")
		return
	}
	if raw, ok := e.spelled["tool_choice"]; ok {
		if span.Text(raw) == "required" && e.c.ToolAny != "" {
			raw = span.Quote(nil, e.c.ToolAny)
		}
		e.o.Raw("tool_choice", raw)
		return
	}
	if e.own && e.spelled["function_call"] != nil {
		return // carried in its old form
	}
	if len(e.r.Tools) == 0 {
		return // a choice without tools is refused by this wire
	}
	switch c.Mode {
	case llm.ToolAuto:
		e.o.Str("tool_choice", "auto")
	case llm.ToolNone:
		e.o.Str("tool_choice", "none")
	case llm.ToolAny:
		e.o.Str("tool_choice", or(e.c.ToolAny, "required"))
	case llm.ToolOnly:
		e.o.Name("tool_choice")
		e.o.B = e.namedTool(e.o.B, c.Name)
	case llm.ToolSubset:
		if e.only != nil {
			if c.Forced {
				e.o.Str("tool_choice", or(e.c.ToolAny, "required"))
			} else {
				e.o.Str("tool_choice", "auto")
			}
			return
		}
		e.o.Name("tool_choice")
		o := span.Open(e.o.B)
		o.Str("type", "allowed_tools")
		o.Name("allowed_tools")
		a := span.Open(o.B)
		if c.Forced {
			a.Str("mode", "required")
		} else {
			a.Str("mode", "auto")
		}
		a.Name("tools")
		a.B = append(a.B, '[')
		for i, n := range c.Names {
			if i > 0 {
				a.B = append(a.B, ',')
			}
			a.B = e.namedTool(a.B, n)
		}
		a.B = append(a.B, ']')
		o.B = a.Close()
		e.o.B = o.Close()
	}
}

func (e *requestEncoder) namedTool(b []byte, name string) []byte {
	for i := range e.r.Tools {
		if t := &e.r.Tools[i]; t.Type == "custom" && t.From == llm.Responses && t.Name == name {
			b = append(b, `{"type":"custom","custom":{"name":`...)
			b = span.Quote(b, e.toolName(name))
			return append(b, `}}`...)
		}
	}
	b = append(b, `{"type":"function","function":{"name":`...)
	b = span.Quote(b, e.toolName(name))
	return append(b, `}}`...)
}

func (e *requestEncoder) parallel() {
	p := e.r.ParallelCalls
	if p == nil {
		if raw, ok := e.spelled["parallel_tool_calls"]; ok {
			e.o.Raw("parallel_tool_calls", raw)
		}
		return
	}
	if len(e.r.Tools) == 0 && !e.own {
		return
	}
	switch {
	case e.c.Can(llm.ParallelTools):
		e.o.Bool("parallel_tool_calls", *p)
	case !*p:
		e.Lose(llm.LossWarn, "parallel_tool_calls", "dropped: the model takes no such wish")
	}
}

// dataURL appends the quoted data: URL of media.
func dataURL(b []byte, m *llm.Media, mime string) []byte {
	if m.MIME != "" {
		mime = m.MIME
	}
	b = append(b, `"data:`...)
	quoted := span.Quote(nil, mime)
	b = append(b, quoted[1:len(quoted)-1]...)
	b = append(b, ";base64,"...)
	quoted = span.Quote(nil, m.Data)
	return append(b, quoted[1:]...)
}
