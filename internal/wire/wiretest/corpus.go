package wiretest

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// Record is one recorded exchange between a client and a provider, or one of
// our own cases in the same form.
type Record struct {
	ID         string `json:"id"`
	Repo       string `json:"source_repo"`
	SourcePath string `json:"source_path"`
	Index      int    `json:"source_index"`
	Provider   string `json:"provider"`
	// Wire is the dialect in the corpus's words: "anthropic", "openai-chat",
	// "openai-responses", "gemini", "ollama".
	Wire      string   `json:"dialect"`
	Operation string   `json:"operation"`
	Method    string   `json:"method"`
	Path      string   `json:"path"`
	Query     string   `json:"query"`
	Model     string   `json:"model"`
	Streaming bool     `json:"streaming"`
	Transport string   `json:"transport"`
	Features  []string `json:"features"`
	Fidelity  Fidelity `json:"wire"`
	Request   Message  `json:"request"`
	Response  Message  `json:"response"`

	// Case is the meta of one of our own cases; nil for a recording.
	Case *Meta `json:"-"`
}

// Fidelity says how close to the wire a recording is: "exact" are the bytes.
type Fidelity struct {
	Request  string `json:"request_body"`
	Response string `json:"response_body"`
	// Chunks are the sizes in which the body really arrived, where known.
	Chunks []int `json:"chunk_sizes"`
}

// Message is one side of an exchange.
type Message struct {
	Status   int                 `json:"status"`
	Headers  map[string][]string `json:"headers"`
	Text     *string             `json:"body"`
	Encoding string              `json:"body_encoding"`
}

// Body gives the decoded bytes; nil when there are none.
func (m *Message) Body() []byte {
	if m.Text == nil {
		return nil
	}
	if m.Encoding == "base64" {
		b, err := base64.StdEncoding.DecodeString(*m.Text)
		if err != nil {
			panic(fmt.Sprintf("a recorded body is no base64: %v", err))
		}
		return b
	}
	return []byte(*m.Text)
}

// Header gives the headers in Go's form.
func (m *Message) Header() http.Header {
	h := make(http.Header, len(m.Headers))
	for k, vs := range m.Headers {
		for _, v := range vs {
			h.Add(k, v)
		}
	}
	return h
}

// Dialect gives our name of the record's dialect; "" when we do not know it.
func (r *Record) Dialect() llm.Dialect {
	for _, d := range table {
		if d.wire == r.Wire {
			return d.name
		}
	}
	return ""
}

// Has says whether the record has the feature tag.
func (r *Record) Has(feature string) bool { return slices.Contains(r.Features, feature) }

// OK says whether the answer is a success by its status.
func (r *Record) OK() bool { return r.Response.Status >= 200 && r.Response.Status < 300 }

// Filter picks records; a zero field picks all.
type Filter struct {
	Dialect   llm.Dialect
	Operation string
	// Streaming picks by how the answer came.
	Streaming *bool
	// ExactRequest and ExactResponse pick those of which the bytes are known.
	ExactRequest, ExactResponse bool
}

// Match says whether the filter picks r.
func (f Filter) Match(r *Record) bool {
	return (f.Dialect == "" || r.Dialect() == f.Dialect) &&
		(f.Operation == "" || r.Operation == f.Operation) &&
		(f.Streaming == nil || r.Streaming == *f.Streaming) &&
		(!f.ExactRequest || r.Fidelity.Request == "exact") &&
		(!f.ExactResponse || r.Fidelity.Response == "exact")
}

// CorpusDir gives the folder of the recorded traffic, "" when it is not there.
func CorpusDir() string {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		dir = filepath.Join(Root(), "..", "shared", "corpus")
	}
	if _, err := os.Stat(filepath.Join(dir, "open")); err != nil {
		return ""
	}
	return dir
}

// Corpus gives the recorded exchanges that f picks, in a fixed order. Without
// the recordings it logs that they are missing and gives none.
func Corpus(t testing.TB, f Filter) []*Record {
	t.Helper()
	dir := CorpusDir()
	if dir == "" {
		t.Log("no recorded traffic: set HEADRACE_CORPUS or put it in ../shared/corpus beside the module; running on our own cases alone")
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var records []*Record
	for _, name := range files {
		if records, err = readRecords(records, name, f); err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
	}
	return records
}

func readRecords(dst []*Record, name string, f Filter) ([]*Record, error) {
	file, err := os.Open(name)
	if err != nil {
		return dst, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 && wanted(line, f.Dialect) {
			r := new(Record)
			if err := json.Unmarshal(line, r); err != nil {
				return dst, err
			}
			if f.Match(r) {
				dst = append(dst, r)
			}
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// wanted looks at the beginning of a line, where the dialect stands, so that
// the megabytes of other dialects are not parsed.
func wanted(line []byte, d llm.Dialect) bool {
	head := string(line[:min(len(line), 1500)])
	is := func(name string) bool {
		return strings.Contains(head, `"dialect":"`+name+`"`) || strings.Contains(head, `"dialect": "`+name+`"`)
	}
	return d == "" || is(of(d).wire)
}

// Slice gives the part of the records that this run takes: all of them under
// HEADRACE_FULL=1, else one in every n, picked by the seed and the record's id
// alone, so that adding records changes nothing for the others.
func Slice(records []*Record, n int) []*Record {
	if Full() || n <= 1 {
		return records
	}
	seed := os.Getenv("HEADRACE_SEED")
	var some []*Record
	for _, r := range records {
		h := fnv.New32a()
		io.WriteString(h, seed+r.ID)
		if h.Sum32()%uint32(n) == 0 || r.Case != nil {
			some = append(some, r)
		}
	}
	return some
}
