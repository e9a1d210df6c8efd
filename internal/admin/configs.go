package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"headrace/internal/llm"
)

// Config is the configuration in force.
type Config struct {
	// File is where it is read from; empty when there is none: then it cannot be
	// changed here.
	File string `json:"file"`
	// Writable says that it can be changed here; ReadOnly says why not.
	Writable bool   `json:"writable"`
	ReadOnly string `json:"read_only,omitzero"`
	// Text is the file as it is, with everything that is or looks like a secret in
	// the form "(kept 1f2e3d4c5b6a)": what still says so when the text comes back
	// stays as it was.
	Text string `json:"text"`
	// Effective is everything that is in force, defaults too, each value with where
	// it comes from. Secrets are redacted.
	Effective string `json:"effective"`
}

// ConfigAnswer is the configuration.
type ConfigAnswer struct {
	Config Config `json:"config"`
}

// ConfigText is a configuration that is to be.
type ConfigText struct {
	Text string `json:"text"`
	// Note is a line for the history.
	Note string `json:"note"`
}

// ConfigProblem is one thing that is wrong with a configuration.
type ConfigProblem struct {
	// Line and Column are counted from 1; 0 when there is no place.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the key, such as "providers.openai.api_key"; empty for an error of
	// the YAML itself.
	Path    string `json:"path"`
	Message string `json:"message"`
	// Source is the line, without secrets.
	Source string `json:"source"`
}

// ConfigCheck says whether a configuration would be taken.
type ConfigCheck struct {
	OK       bool            `json:"ok"`
	Problems []ConfigProblem `json:"problems"`
	// Diff is what would change, in the unified form; empty when nothing does.
	Diff string `json:"diff"`
	// Later are the settings that would take effect at the next start only.
	Later []string `json:"later"`
	// Notes are things that a person ought to know, one line each.
	Notes []string `json:"notes"`
}

// ConfigVersion is a configuration that was in force.
type ConfigVersion struct {
	ID int64     `json:"id"`
	At time.Time `json:"at"`
	// By is who brought it into force: a member, a key, or the file itself.
	By string `json:"by"`
	// Why says how, or what they noted.
	Why string `json:"why"`
	// Sum is the SHA-256 of the text.
	Sum string `json:"sum"`
	// Current says that the file says the same now.
	Current bool `json:"current"`
}

// ConfigHistory is a page of past configurations, the latest first.
type ConfigHistory struct {
	Versions []ConfigVersion `json:"versions"`
	Next     string          `json:"next,omitzero"`
}

// ConfigPast is a past configuration with its text, as Config shows one.
type ConfigPast struct {
	Version ConfigVersion `json:"version"`
	Text    string        `json:"text"`
	// Diff is what going back to it would change.
	Diff string `json:"diff"`
}

// ConfigBack says which configuration to go back to.
type ConfigBack struct {
	ID int64 `json:"id"`
}

// Configs reads and changes the configuration. Errors are *llm.Error where the
// caller is to blame, and *Conflict when the file cannot be changed here.
type Configs interface {
	Config(ctx context.Context) (Config, error)
	// Check says whether a text would be taken and what it would change.
	Check(ctx context.Context, text string) (ConfigCheck, error)
	// Apply checks a text, writes it to the file and brings it into force. A text
	// that is not taken changes nothing: its check says why.
	Apply(ctx context.Context, text, by, note string) (ConfigCheck, error)
	History(ctx context.Context, before int64, limit int) ([]ConfigVersion, error)
	// Past shows one of the history.
	Past(ctx context.Context, id int64) (ConfigPast, error)
	// Back is Apply with the text of one of the history.
	Back(ctx context.Context, id int64, by string) (ConfigCheck, error)
}

// Conflict is why something cannot be changed as things are.
type Conflict struct {
	Code, Message string
}

func (c *Conflict) Error() string { return c.Message }

var configRoutes = []route{
	{method: "GET", path: prefix + "config", name: "config", summary: "Show the configuration, without its secrets.", may: "config.read", etag: true, out: ConfigAnswer{}, status: 200, serve: (*server).config},
	{method: "POST", path: prefix + "config/validate", name: "validateConfig", summary: "Say whether a configuration would be taken, what is wrong with it and where, and what it would change.", may: "config.read", in: ConfigText{}, out: ConfigCheck{}, status: 200, serve: (*server).validateConfig},
	{method: "PUT", path: prefix + "config", name: "applyConfig", summary: "Write a configuration to its file and bring it into force, or say what is wrong (ok is false and nothing has changed). Takes If-Match; 409 without a file that can be written.", may: "config.write", turn: true, in: ConfigText{}, out: ConfigCheck{}, status: 200, serve: (*server).applyConfig},
	{method: "GET", path: prefix + "config/history", name: "configHistory", summary: "List the configurations that were in force, the latest first.", may: "config.read", query: []param{{"cursor", "the next of the page before", ""}, {"limit", "how many at most, 1 to 200; 50 when left out", ""}}, out: ConfigHistory{}, status: 200, serve: (*server).configHistory},
	{method: "GET", path: prefix + "config/history/{id}", name: "configPast", summary: "Show a past configuration, without its secrets.", may: "config.read", out: ConfigPast{}, status: 200, serve: (*server).configPast},
	{method: "POST", path: prefix + "config/rollback", name: "rollbackConfig", summary: "Go back to a past configuration, its secrets too. Takes If-Match, as applying does.", may: "config.write", turn: true, in: ConfigBack{}, out: ConfigCheck{}, status: 200, serve: (*server).rollbackConfig},
}

// maxConfig is the largest body with a configuration, which may be 1 MB.
const maxConfig = 4 << 20

func (s *server) config(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Configs == nil {
		return 0, nil, lacking("configuration")
	}
	c, err := s.Configs.Config(q.Context())
	return http.StatusOK, ConfigAnswer{c}, err
}

func (s *server) validateConfig(q *http.Request) (int, any, error) {
	if s.Configs == nil {
		return 0, nil, lacking("configuration")
	}
	var in ConfigText
	if err := readUpTo(q, &in, maxConfig); err != nil {
		return 0, nil, err
	}
	check, err := s.Configs.Check(q.Context(), in.Text)
	return http.StatusOK, check, err
}

// matchConfig refuses a write that is about another configuration than there is
// now.
func (s *server) matchConfig(q *http.Request) error {
	if s.Configs == nil {
		return lacking("configuration")
	}
	if q.Header.Get("If-Match") == "" {
		return nil
	}
	now, err := s.Configs.Config(q.Context())
	if err != nil {
		return err
	}
	return match(q, ConfigAnswer{now})
}

func (s *server) applyConfig(q *http.Request) (int, any, error) {
	var in ConfigText
	if err := readUpTo(q, &in, maxConfig); err != nil {
		return 0, nil, err
	}
	if len(in.Note) > maxName {
		return 0, nil, llm.Errorf(llm.InvalidRequest, "a note is at most %d bytes", maxName)
	}
	if err := s.matchConfig(q); err != nil {
		return 0, nil, err
	}
	check, err := s.Configs.Apply(q.Context(), in.Text, s.caller(q.Context()).ID, in.Note)
	if err != nil {
		return 0, nil, err
	}
	if check.OK {
		s.audit(q.Context(), "config.apply", in.Note)
	}
	return http.StatusOK, check, nil
}

func (s *server) configHistory(q *http.Request) (int, any, error) {
	if err := params(q, "cursor", "limit"); err != nil {
		return 0, nil, err
	}
	if s.Configs == nil {
		return 0, nil, lacking("configuration")
	}
	n, err := limit(q.URL.Query(), 50, 200)
	if err != nil {
		return 0, nil, err
	}
	before, err := place(q)
	if err != nil {
		return 0, nil, err
	}
	list, err := s.Configs.History(q.Context(), before, n)
	h := ConfigHistory{Versions: list}
	if len(list) == n {
		h.Next = strconv.FormatInt(list[n-1].ID, 10)
	}
	return http.StatusOK, h, err
}

// place reads a cursor that is a number above 0.
func place(q *http.Request) (int64, error) {
	text := q.URL.Query().Get("cursor")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, llm.Errorf(llm.InvalidRequest, "cursor is the next of the page before")
	}
	return n, nil
}

func (s *server) configPast(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Configs == nil {
		return 0, nil, lacking("configuration")
	}
	id, err := strconv.ParseInt(q.PathValue("id"), 10, 64)
	if err != nil {
		return 0, nil, llm.Errorf(llm.NotFound, "there is no past configuration %q", q.PathValue("id"))
	}
	past, err := s.Configs.Past(q.Context(), id)
	return http.StatusOK, past, err
}

func (s *server) rollbackConfig(q *http.Request) (int, any, error) {
	var in ConfigBack
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	if err := s.matchConfig(q); err != nil {
		return 0, nil, err
	}
	check, err := s.Configs.Back(q.Context(), in.ID, s.caller(q.Context()).ID)
	if err != nil {
		return 0, nil, err
	}
	if check.OK {
		s.audit(q.Context(), "config.rollback", strconv.FormatInt(in.ID, 10))
	}
	return http.StatusOK, check, nil
}
