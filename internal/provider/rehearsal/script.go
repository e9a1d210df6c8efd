package rehearsal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// script is a whole answer, decided before its first byte is sent.
type script struct {
	id                string
	items             []llm.Item
	finish            llm.Finish
	output, reasoning int64 // tokens
	usage             llm.Usage
}

// compose decides what to answer. Errors are *llm.Error.
func (c *call) compose(model string, req *llm.Request, sc *scene) (*script, error) {
	s := &script{id: c.answerID()}
	if req.MaxTokens != nil && *req.MaxTokens == 0 {
		s.finish = c.finish(llm.FinishLength) // Anthropic's way to warm a cache
		return s, nil
	}
	left := int64(1) << 40
	if req.MaxTokens != nil {
		left = *req.MaxTokens
	}
	calls, err := wanted(req, sc)
	if err != nil {
		return nil, err
	}
	short := false
	if n := thoughts(model, req, sc); n > 0 {
		thought, cut := limit(thinking(n, sc, calls), &left)
		s.reasoning = tokens(len(thought))
		s.output += s.reasoning
		s.items = append(s.items, c.thinkItem(thought, req.Reasoning.Display))
		short = cut
	}
	var text string
	refused := c.orders.class == llm.ContentRefused
	switch {
	case short:
	case c.orders.hasText:
		text, calls = c.orders.text, nil
	case c.orders.words > 0:
		text, calls = lines(c.orders.words), nil
	case refused:
		text, calls = c.reply(model, req, sc), nil
	case len(calls) > 0:
		if model != Quick {
			text = announce(calls)
		}
	case req.Format.Kind == llm.FormatJSONSchema || req.Format.Kind == llm.FormatJSONObject:
		text = structured(req.Format, c.hint(sc))
	default:
		text = c.reply(model, req, sc)
	}
	stop := ""
	text, stop = stopAt(text, req.Stop)
	text, cut := limit(text, &left)
	if cut {
		short, stop = true, ""
	}
	if refused {
		c.refusal(s, text)
		return s, nil
	}
	if text != "" {
		s.output += tokens(len(text))
		s.items = append(s.items, message(llm.BlockText, text))
	}
	switch {
	case short:
		s.finish = c.finish(llm.FinishLength)
		return s, nil
	case stop != "":
		s.finish = c.finish(llm.FinishStopSequence)
		s.finish.StopSequence = stop
		return s, nil
	case len(calls) == 0:
		s.finish = c.finish(llm.FinishStop)
		return s, nil
	}
	s.finish = c.finish(llm.FinishToolCalls)
	h := c.hint(sc)
	same := map[string]int{}
	for i, t := range calls {
		h.vary = same[t.Name]
		same[t.Name]++
		args := arguments(t, h)
		cost := tokens(len(t.Name)+len(args)) + turnTokens
		if cost > left { // a call that does not fit is not begun
			s.finish = c.finish(llm.FinishLength)
			break
		}
		left -= cost
		s.output += cost
		s.items = append(s.items, llm.Item{Kind: llm.ItemToolCall, Role: llm.Assistant,
			Call: llm.Call{ID: c.callID(i), Name: t.Name, Arguments: args, Custom: freeText(t)}})
	}
	return s, nil
}

// refusal makes the dialect's own form of a refused answer: as many pieces of
// the text as after= says, then the refusal. With none, Anthropic's answer is
// empty and OpenAI's says in message.refusal that it refuses.
func (c *call) refusal(s *script, text string) {
	s.finish = c.finish(llm.FinishRefusal)
	end := 0
	for n := c.orders.after; n > 0 && end < len(text); n-- {
		end += piece(text[end:])
	}
	switch {
	case end > 0:
		s.output += tokens(end)
		s.items = append(s.items, message(llm.BlockText, text[:end]))
	case c.dialect == llm.OpenAI:
		const sorry = "I'm sorry, but I can't help with that. (This is a rehearsal: it was asked to refuse.)"
		s.output += tokens(len(sorry))
		s.items = append(s.items, message(llm.BlockRefusal, sorry))
	default:
		s.items, s.output, s.reasoning = nil, 0, 0
	}
}

func message(kind llm.BlockKind, text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: llm.Assistant, Blocks: []llm.Block{{Kind: kind, Text: text}}}
}

// natives are the dialects' own words for how an answer ended.
var natives = map[llm.Dialect]map[llm.FinishReason]string{
	llm.OpenAI: {llm.FinishStop: "stop", llm.FinishStopSequence: "stop", llm.FinishLength: "length",
		llm.FinishToolCalls: "tool_calls", llm.FinishRefusal: "content_filter"},
	llm.Anthropic: {llm.FinishStop: "end_turn", llm.FinishStopSequence: "stop_sequence", llm.FinishLength: "max_tokens",
		llm.FinishToolCalls: "tool_use", llm.FinishRefusal: "refusal"},
}

func (c *call) finish(r llm.FinishReason) llm.Finish {
	f := llm.Finish{Reason: r, Native: natives[c.dialect][r]}
	if r == llm.FinishRefusal && c.dialect == llm.Anthropic {
		f.Details = jsontext.Value(`{"type":"refusal","category":"general_harms","explanation":null}`)
	}
	return f
}

// thoughts gives how many sentences of thinking there are; 0 for none.
func thoughts(model string, req *llm.Request, sc *scene) int {
	r := req.Reasoning
	// On Anthropic's wire effort alone does not ask for thinking.
	on := model == Thinker || r.Mode == llm.ThinkOn || r.Mode == llm.ThinkAdaptive || r.Effort != "" && req.From != llm.Anthropic
	if r.Mode == llm.ThinkBetweenTools {
		on = len(sc.results) > 0
	}
	if !on || r.Mode == llm.ThinkOff || r.Effort == "none" {
		return 0
	}
	switch r.Effort {
	case "minimal", "low":
		return 1
	case "high":
		return 3
	case "xhigh":
		return 4
	case "max":
		return 5
	}
	return 2
}

func thinking(n int, sc *scene, calls []*llm.Tool) string {
	steps := []string{"The user wrote: " + excerpt(sc.text, 100) + ".", "", "I am a rehearsal, so there is nothing to think through.",
		"What matters here is that thinking arrives in a block of its own.", "Whoever reads this can see where it ends and the answer begins."}
	if sc.text == "" {
		steps[0] = "The user wrote nothing that I could quote."
	}
	switch {
	case len(calls) > 0:
		steps[1] = "That names a tool, so I call " + toolNames(calls) + "."
	case len(sc.results) > 0:
		steps[1] = fmt.Sprintf("There are %d tool results to read back.", len(sc.results))
	default:
		steps[1] = "No tool is called for, so I answer in words."
	}
	return strings.Join(steps[:n], " ")
}

func toolNames(calls []*llm.Tool) string {
	times := map[string]int{}
	var names []string
	for _, t := range calls {
		if times[t.Name]++; times[t.Name] == 1 {
			names = append(names, t.Name)
		}
	}
	for i, name := range names {
		if n := times[name]; n > 1 {
			names[i] = fmt.Sprintf("%s %d times", name, n)
		}
	}
	return join(names)
}

func announce(calls []*llm.Tool) string { return "I will call " + toolNames(calls) + "." }

// thinkItem makes a thinking block. On Anthropic's wire it is signed, with or
// without its text; on the other there is text alone.
func (c *call) thinkItem(thought, display string) llm.Item {
	it := llm.Item{Kind: llm.ItemReasoning, Role: llm.Assistant}
	if c.dialect != llm.Anthropic || display != "omitted" {
		it.Blocks = []llm.Block{{Kind: llm.BlockText, Text: thought}}
	}
	if c.dialect == llm.Anthropic {
		signature := base64.StdEncoding.EncodeToString(append([]byte("headrace rehearsal, no model: "), bytesOf(c.seed+"/signature/"+thought, 120)...))
		it.Opaque = []llm.Opaque{{Issuer: llm.IssuerAnthropic, Kind: llm.OpaqueSignature, Data: signature}}
	}
	return it
}

// excerpt quotes the beginning of a text on one line.
func excerpt(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if short := cutWords(text, n); short != text {
		text = short + " …"
	}
	return "“" + text + "”"
}

const notAModel = "This is a rehearsal, not a model"

// reply writes the answer in words.
func (c *call) reply(model string, req *llm.Request, sc *scene) string {
	if at, text := exactly(sc.text); at >= 0 {
		return text // once the tools are done, if there were any
	}
	if len(sc.results) > 0 {
		return readBack(sc)
	}
	if len(req.Tools) == 0 {
		if text, ok := background(req, sc, c.hint(sc)); ok {
			return text
		}
	}
	said := "You sent no text."
	if sc.text != "" {
		said = "You said: " + excerpt(sc.text, 160) + "."
	}
	media := ""
	if sc.media != "" {
		media = " With it came " + sc.media + "."
	}
	switch model {
	case Steady:
		return fmt.Sprintf("%s%s %s: Headrace itself wrote this, and nobody has thought about it. "+
			"Your request arrived with %s and %s. "+
			"The answer comes in small pieces with a pause between them, so that a stream can be watched at work. "+
			"Name one of your tools and it will be called; ask for a failure as docs/rehearsal.md says and it will fail.",
			said, media, notAModel, plural(sc.turns, "message"), plural(len(req.Tools), "tool"))
	case Thinker:
		return fmt.Sprintf("%s%s %s, so the thinking before this answer was for show; it arrived with %s and %s.",
			said, media, notAModel, plural(sc.turns, "message"), plural(len(req.Tools), "tool"))
	}
	return said + media + " " + notAModel + "."
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// readBack quotes the beginning of the tool results.
func readBack(sc *scene) string {
	var b strings.Builder
	for i, it := range sc.results {
		if i == 8 {
			fmt.Fprintf(&b, "And %s more. ", plural(len(sc.results)-i, "result"))
			break
		}
		name := sc.tools[i]
		if name == "" {
			name = "a tool"
		}
		text := it.Text()
		switch {
		case it.Result.IsError:
			fmt.Fprintf(&b, "%s reported an error: %s. ", name, excerpt(text, 200))
		case strings.TrimSpace(text) == "":
			fmt.Fprintf(&b, "%s gave no text. ", name)
		default:
			fmt.Fprintf(&b, "%s answered: %s. ", name, excerpt(text, 200))
		}
	}
	if sc.media != "" {
		fmt.Fprintf(&b, "There is also %s. ", sc.media)
	}
	return b.String() + notAModel + "."
}

var (
	exactColon  = regexp.MustCompile(`(?is)\b(?:(?:say|reply|respond|answer|repeat|write|output)(?: (?:back|only|just|with|after me|this|the following|exactly|verbatim))+|repeat)(?: text| words| word)?\s*:\s*(.+)$`)
	exactQuoted = regexp.MustCompile("(?is)\\b(?:say|repeat|(?:reply|respond|answer)\\b[^\"“`.:\n]{0,20}\\bwith)\\b[^\"“`.:\n]{0,40}(?:\"([^\"]+)\"|“([^”]+)”|`([^`]+)`)")
)

// exactly finds the wish to have a text said word for word ("say exactly: X",
// "reply with: X", "repeat: X", say "X"), where it begins and what X is; at is
// -1 when there is none.
func exactly(text string) (at int, say string) {
	at = -1
	if m := exactColon.FindStringSubmatchIndex(text); m != nil {
		at, say = m[0], strings.TrimSpace(text[m[2]:m[3]])
		for _, q := range []string{`""`, "“”", "``", "''"} {
			open, size := utf8.DecodeRuneInString(q)
			end, last := utf8.DecodeLastRuneInString(q)
			if first, _ := utf8.DecodeRuneInString(say); first == open {
				if r, _ := utf8.DecodeLastRuneInString(say); r == end && len(say) > size+last {
					say = say[size : len(say)-last]
				}
			}
		}
	}
	if m := exactQuoted.FindStringSubmatchIndex(text); m != nil && (at < 0 || m[0] < at) {
		for i := 2; i < len(m); i += 2 {
			if m[i] >= 0 {
				at, say = m[0], text[m[i]:m[i+1]]
			}
		}
	}
	if strings.TrimSpace(say) == "" {
		return -1, ""
	}
	return at, say
}

// hint gives what generated values may draw on.
func (c *call) hint(sc *scene) hint {
	topic := cutWords(strings.Join(strings.Fields(sc.text), " "), 80)
	reply := notAModel + "."
	if topic != "" {
		reply += " You said: " + excerpt(sc.text, 120) + "."
	}
	if len(sc.results) > 0 {
		reply = readBack(sc)
	}
	return hint{topic: topic, reply: reply, places: placesIn(sc.text)}
}

// structured writes an answer in the format that was asked for.
func structured(f llm.Format, h hint) string {
	h.all = true
	if root := parse(f.Schema); root != nil && root.kind == '{' && len(root.names) > 0 {
		return string(compact(generate(f.Schema, h)))
	}
	return `{"answer":` + string(quote(h.reply)) + `}`
}

var (
	asksJSON  = regexp.MustCompile(`(?i)\b(?:return|respond|reply|answer|output|format|produce|generate|write)\b[^.\n]{0,80}\bJSON\b`)
	asksTitle = regexp.MustCompile(`(?i)\b(?:write|generate|create|come up with|give|suggest)\b[^.\n]{0,80}\btitle\b`)
	fieldName = regexp.MustCompile("['\"`]([A-Za-z_][A-Za-z0-9_]{0,40})['\"`](?:\\s*\\((\\w+)\\))?")
)

// background answers the small calls that clients make beside the
// conversation, for a title or a verdict in JSON, in the shape they ask for.
// ok is false for any other request.
func background(req *llm.Request, sc *scene, h hint) (text string, ok bool) {
	ask := sc.system
	if !asksJSON.MatchString(ask) {
		ask = sc.text
	}
	if asksJSON.MatchString(ask) {
		if s := described(ask); s != nil {
			return structured(llm.Format{Schema: s}, h), true
		}
		return structured(llm.Format{}, h), true
	}
	if asksTitle.MatchString(sc.system) {
		return title(h.topic), true
	}
	return "", false
}

// described makes a schema of the JSON that a prompt describes: by an example
// object in it, else by quoted names behind the word JSON.
func described(prompt string) jsontext.Value {
	if len(prompt) > 64<<10 {
		prompt = prompt[:64<<10]
	}
	for i, tries := 0, 0; i < len(prompt) && tries < 64; tries++ {
		at := strings.IndexByte(prompt[i:], '{')
		if at < 0 {
			break
		}
		i += at
		dec := jsontext.NewDecoder(strings.NewReader(prompt[i:]))
		if v, err := dec.ReadValue(); err == nil {
			if n := parse(v.Clone()); n != nil && len(n.names) > 0 {
				return like(n)
			}
		}
		i++
	}
	at := asksJSON.FindStringIndex(prompt)
	if at == nil {
		return nil
	}
	seen := map[string]bool{}
	props, required := []byte(nil), []byte(nil)
	for _, m := range fieldName.FindAllStringSubmatch(prompt[at[0]:], 16) {
		if seen[m[1]] {
			continue
		}
		seen[m[1]] = true
		kind := "string"
		switch t := strings.ToLower(m[2]); t {
		case "boolean", "bool":
			kind = "boolean"
		case "number", "integer", "array", "object":
			kind = t
		case "int", "float":
			kind = "number"
		}
		if props != nil {
			props, required = append(props, ','), append(required, ',')
		}
		props = append(append(props, quote(m[1])...), `:{"type":"`+kind+`"}`...)
		required = append(required, quote(m[1])...)
	}
	if props == nil {
		return nil
	}
	return jsontext.Value(`{"type":"object","properties":{` + string(props) + `},"required":[` + string(required) + `]}`)
}

// stopAt cuts a text before the stop sequence that comes first.
func stopAt(text string, stops []string) (cut, which string) {
	at := len(text)
	for _, s := range stops {
		if i := strings.Index(text, s); s != "" && i >= 0 && i < at {
			at, which = i, s
		}
	}
	return text[:at], which
}

// limit cuts a text to the tokens that are left, and takes them.
func limit(text string, left *int64) (string, bool) {
	if n := tokens(len(text)); n <= *left {
		*left -= n
		return text, false
	}
	at := int(*left) * 4
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	*left = 0
	return text[:at], true
}

// lines writes n words, for long streams.
func lines(n int) string {
	words := strings.Fields("The water runs along the headrace to the mill and turns the wheel again.")
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(words[i%len(words)])
	}
	return b.String()
}

// seed makes one short key of what an answer depends on.
func seed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return string(h.Sum(nil))
}

// bytesOf gives n bytes that follow from the key.
func bytesOf(key string, n int) []byte {
	var out []byte
	for i := byte(0); len(out) < n; i++ {
		sum := sha256.Sum256(append([]byte(key), i))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func letters(key string, n int) string {
	out := bytesOf(key, n)
	for i, b := range out {
		out[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(out)
}

func hexes(key string, n int) string { return hex.EncodeToString(bytesOf(key, (n+1)/2))[:n] }

func (c *call) answerID() string {
	if c.dialect == llm.Anthropic {
		return "msg_01" + letters(c.seed+"/answer", 22)
	}
	return "chatcmpl-" + letters(c.seed+"/answer", 29)
}

func (c *call) callID(i int) string {
	key := fmt.Sprintf("%s/call/%d", c.seed, i)
	if c.dialect == llm.Anthropic {
		return "toolu_01" + letters(key, 22)
	}
	return "call_" + letters(key, 24)
}
