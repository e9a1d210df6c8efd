package rehearsal

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// hint is what is known of a value beside its schema: where it stands and what
// the conversation is about. It is a value; member and element give the hint
// of a part.
type hint struct {
	// tool is the name of the tool whose arguments are made; empty for an
	// answer.
	tool string
	// topic is the user's text in short, reply a sentence that answers it.
	topic, reply string
	// places are capitalised words that may name a place.
	places []string
	// all asks for optional members too.
	all bool
	// name is the property's name; vary numbers equal values so that they
	// differ; depth counts the levels above.
	name  string
	vary  int
	depth int
}

func (h hint) member(name string) hint {
	h.name = name
	h.depth++
	return h
}

func (h hint) element(i int) hint {
	h.vary += i
	h.depth++
	return h
}

// split cuts a name into lower-case words: "oldFilePath" is old, file, path.
func split(name string) []string {
	var out []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])):
			end()
		}
		word = append(word, r)
	}
	end()
	return out
}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// The words by which a property or a tool shows what it is.
var (
	commandWords = set("command commands cmd cmds cmdline commandline script scripts shell bash zsh powershell pwsh exec execute argv code program sql javascript python snippet stdin keystrokes")
	shellTools   = set("bash shell zsh sh powershell pwsh terminal console exec execute cmd command commands repl python script")
	shellInputs  = set("input inputs text args arguments argument arg line lines value values keys chars data body content")
	harmlessText = set("description explanation reason title summary justification name label id note notes path file cwd dir directory workdir timeout")
	pathWords    = set("path paths file files filename filenames filepath filepaths dir dirs directory directories folder folders cwd workdir notebook root")
	folderWords  = set("dir dirs directory directories folder folders cwd workdir root")
	readingTools = set("read reads view cat open get list ls glob grep search find stat show load fetch head tail tree inspect analyze describe lookup")
	writingTools = set("write edit create save delete remove rm move mv rename update append insert patch replace put upload mkdir touch modify set multiedit apply copy cp download")
	destructive  = set("delete remove rm drop destroy kill purge wipe erase truncate reset overwrite uninstall terminate shutdown unlink revoke rollback")
	dangerWords  = set("force delete overwrite recursive dangerously purge destructive hard prune skip bypass disable unsafe")
)

func anyOf(words []string, in map[string]bool) bool {
	return slices.ContainsFunc(words, func(w string) bool { return in[w] })
}

var commandAbout = regexp.MustCompile(`(?i)\b(?:shell|bash|terminal|command[- ]line) (?:command|script|input|code|line)|\bcommands? (?:to|that|which) (?:be |is |will be |should be )?(?:run|execut)|\b(?:run|execut)[a-z]* (?:the |a |an |this )?(?:shell |bash )?(?:command|script|code)`)

// command reports whether a text property looks like something that a client
// would run. Whatever does is "true", which does nothing.
func (h hint) command(about string) bool {
	if h.tool == "" {
		return false
	}
	words := split(h.name)
	if anyOf(words, commandWords) {
		return true
	}
	if anyOf(words, harmlessText) {
		return false
	}
	if commandAbout.MatchString(about) {
		return true
	}
	return anyOf(split(h.tool), shellTools) && (len(words) == 0 || anyOf(words, shellInputs))
}

// path reports whether the property looks like a file or a folder.
func (h hint) path() bool { return h.tool != "" && anyOf(split(h.name), pathWords) }

// dangerous reports whether the property reads like a switch that had better
// stay off.
func (h hint) dangerous() bool { return h.tool != "" && anyOf(split(h.name), dangerWords) }

// scratch is what a tool that may write or delete is pointed at: nothing of
// anybody's is there.
const scratch = "/tmp/headrace-rehearsal"

func (h hint) pathValue(about string) string {
	words := split(h.name)
	tool := split(h.tool)
	reads := anyOf(tool, readingTools) && !anyOf(tool, writingTools)
	switch folder := anyOf(words, folderWords) && !slices.Contains(words, "file"); {
	case !reads && folder:
		return scratch
	case !reads:
		return scratch + ".txt"
	case folder:
		return "."
	case strings.Contains(strings.ToLower(about), "absolute"):
		return "/dev/null"
	default:
		return "README.md"
	}
}

// rank orders enumerated values: the first stays first, but a destructive word
// gives way to any other, and vary turns the list.
func (h hint) rank(enum []*node) []*node {
	out := make([]*node, 0, len(enum))
	for _, bad := range []bool{false, true} {
		for _, e := range enum {
			if (h.tool != "" && e.kind == '"' && anyOf(split(e.text), destructive)) == bad {
				out = append(out, e)
			}
		}
	}
	if k := h.vary % len(out); k > 0 && !(h.tool != "" && out[k].kind == '"' && anyOf(split(out[k].text), destructive)) {
		out = append(append([]*node{}, out[k:]...), out[:k]...)
	}
	return out
}

// phrase is a value for names that hold one of its words.
type phrase struct {
	names map[string]bool
	value string
	more  []string // for the second, third ... of several
}

// phrases are looked through in order; the first match wins. Templates: $topic,
// $title, $reply and $place are filled in.
var phrases = []phrase{
	{names: set("email mail"), value: "ada@example.com"},
	{names: set("phone telephone mobile"), value: "+1 555 0100"},
	{names: set("url uri link href website homepage"), value: "https://example.com/"},
	{names: set("city location place destination town address where"), value: "$place", more: []string{"London", "Tokyo", "Nairobi", "Lima"}},
	{names: set("origin from source departure"), value: "$place", more: []string{"London", "Tokyo"}},
	{names: set("country nation"), value: "France", more: []string{"Japan", "Kenya", "Peru"}},
	{names: set("state province region"), value: "NY", more: []string{"CA", "WA"}},
	{names: set("timezone tz zone"), value: "Europe/Paris"},
	{names: set("unit units"), value: "celsius"},
	{names: set("currency"), value: "EUR", more: []string{"USD", "JPY"}},
	{names: set("language locale lang"), value: "en", more: []string{"fr", "ja"}},
	{names: set("date day"), value: "2026-01-01", more: []string{"2026-01-02", "2026-01-03"}},
	{names: set("datetime timestamp"), value: "2026-01-01T12:00:00Z"},
	{names: set("time hour"), value: "12:00"},
	{names: set("expression formula equation calculation"), value: "1 + 1", more: []string{"2 + 2", "3 + 3"}},
	{names: set("ticker stock"), value: "ACME"},
	{names: set("color colour"), value: "blue", more: []string{"green", "red"}},
	{names: set("regex pattern"), value: "rehearsal"},
	{names: set("glob"), value: "*.md"},
	{names: set("title topic subject headline heading"), value: "$title"},
	{names: set("query question search q keywords term topic"), value: "$topic"},
	{names: set("prompt task instructions instruction"), value: "Say hello, and say that this is a rehearsal."},
	{names: set("answer response reply message summary explanation reasoning rationale conclusion analysis output result description text content body comment feedback thought"), value: "$reply"},
	{names: set("id uuid key"), value: "rehearsal-1", more: []string{"rehearsal-2", "rehearsal-3"}},
	{names: set("username author person user owner"), value: "Ada Lovelace", more: []string{"Alan Turing", "Grace Hopper"}},
	{names: set("first"), value: "Ada", more: []string{"Alan", "Grace"}},
	{names: set("last surname"), value: "Lovelace", more: []string{"Turing", "Hopper"}},
	{names: set("name"), value: "Rehearsal", more: []string{"Second rehearsal", "Third rehearsal"}},
}

// words gives a text for the property, between low and high characters.
func (h hint) words(about string, low, high int) string {
	text := h.phrase(about)
	if utf8.RuneCountInString(text) > high {
		short := cutWords(text, high)
		if utf8.RuneCountInString(short) < max(low, 1) {
			return text // fit cuts it inside a word
		}
		text = short
	}
	for n := 0; utf8.RuneCountInString(text) < low && n < 4096; n++ {
		room := high - utf8.RuneCountInString(text)
		if room < len(" rehearsal") {
			break
		}
		text += " rehearsal"
	}
	return text
}

func (h hint) phrase(about string) string {
	if h.path() {
		return h.pathValue(about)
	}
	words := split(h.name)
	for _, p := range phrases {
		if !anyOf(words, p.names) {
			continue
		}
		value := p.value
		if h.vary > 0 && len(p.more) > 0 {
			value = p.more[(h.vary-1)%len(p.more)]
		}
		switch value {
		case "$place":
			value = "Paris"
			if len(h.places) > 0 {
				value = h.places[0]
			}
		case "$topic":
			value = h.topic
		case "$title":
			value = title(h.topic)
		case "$reply":
			if value = h.reply; h.tool != "" {
				value = "This is a rehearsal, not a model."
			}
		}
		if p.value == "$place" && h.vary > 0 && h.vary < len(h.places) {
			value = h.places[h.vary]
		}
		if h.vary > len(p.more) {
			value += " " + strconv.Itoa(h.vary+1)
		}
		if value != "" {
			return value
		}
	}
	text := "rehearsal"
	if len(words) > 0 && !h.all {
		text += " " + strings.Join(words, " ")
	}
	if h.vary > 0 {
		text += " " + strconv.Itoa(h.vary+1)
	}
	return text
}

// title makes a short title of a text.
func title(topic string) string {
	words := strings.Fields(strings.Map(func(r rune) rune {
		if unicode.IsPunct(r) && r != '\'' && r != '-' && r != '_' {
			return ' '
		}
		return r
	}, topic))
	if len(words) == 0 {
		return "Rehearsal"
	}
	text := strings.Join(words[:min(len(words), 6)], " ")
	return cutWords("Rehearsal: "+text, 48)
}

// cutWords cuts a text to n characters, at a space where there is one.
func cutWords(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)[:n]
	if at := strings.LastIndexByte(string(r), ' '); at > len(string(r))/2 {
		return strings.TrimRight(string(r)[:at], " ,;:")
	}
	return string(r)
}

// sample is a value of a string format and how to make more of them.
type sample struct{ value, more string }

func (s sample) again(n int) string {
	if s.more == "" {
		return s.value
	}
	return fmt.Sprintf(s.more, n%10)
}

// formats are the formats of JSON Schema 2020-12 and OpenAPI 3.1.
var formats = map[string]sample{
	"date-time":             {"2026-01-01T12:00:00Z", "2026-01-01T12:00:0%dZ"},
	"date":                  {"2026-01-01", "2026-01-1%d"},
	"time":                  {"12:00:00Z", "12:00:0%dZ"},
	"duration":              {"PT1H", "PT1%dM"},
	"email":                 {"ada@example.com", "ada%d@example.com"},
	"idn-email":             {"ada@example.com", "ada%d@example.com"},
	"hostname":              {"example.com", "www%d.example.com"},
	"idn-hostname":          {"example.com", "www%d.example.com"},
	"ipv4":                  {"192.0.2.1", "192.0.2.1%d"},
	"ipv6":                  {"2001:db8::1", "2001:db8::1%d"},
	"uri":                   {"https://example.com/", "https://example.com/%d"},
	"url":                   {"https://example.com/", "https://example.com/%d"},
	"uri-reference":         {"https://example.com/", "https://example.com/%d"},
	"iri":                   {"https://example.com/", "https://example.com/%d"},
	"iri-reference":         {"https://example.com/", "https://example.com/%d"},
	"uri-template":          {"https://example.com/{id}", ""},
	"uuid":                  {"00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-00000000000%d"},
	"json-pointer":          {"/rehearsal", "/rehearsal/%d"},
	"relative-json-pointer": {"0", "%d"},
	"regex":                 {"rehearsal", ""},
	"byte":                  {"cmVoZWFyc2Fs", ""},
	"binary":                {"rehearsal", ""},
	"password":              {"rehearsal", ""},
	"color":                 {"#336699", "#33669%d"},
}

var placeText = regexp.MustCompile(`\b(?:in|for|at|of|near|to|from|and|or)\s+(\p{Lu}[\p{L}'’-]+(?:\s+\p{Lu}[\p{L}'’-]+)*)`)

// placesIn gives the capitalised words of a text that may name places.
func placesIn(text string) []string {
	var out []string
	for _, m := range placeText.FindAllStringSubmatch(text, 8) {
		if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}

// like gives a schema for values that look like an example.
func like(n *node) jsontext.Value {
	switch n.kind {
	case '{':
		raw := []byte(`{"type":"object","properties":{`)
		for i, name := range n.names {
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = append(append(append(raw, quote(name)...), ':'), like(n.members[name])...)
		}
		raw = append(raw, `},"required":[`...)
		for i, name := range n.names {
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = append(raw, quote(name)...)
		}
		return append(raw, `]}`...)
	case '[':
		if len(n.elems) == 0 {
			return jsontext.Value(`{"type":"array"}`)
		}
		return append(append([]byte(`{"type":"array","items":`), like(n.elems[0])...), '}')
	case '0':
		return jsontext.Value(`{"type":"number"}`)
	case 't', 'f':
		return jsontext.Value(`{"type":"boolean"}`)
	case 'n':
		return jsontext.Value(`{"type":"null"}`)
	}
	return jsontext.Value(`{"type":"string"}`)
}
