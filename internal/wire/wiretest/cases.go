package wiretest

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/llm"
)

// Meta is meta.json of a case: what the exchange is and what is expected of
// it. Every member may be left out.
type Meta struct {
	// What says in a sentence what the case is there for.
	What string `json:"what"`
	// Provider is whose manners the case shows; "" means the dialect's own
	// vendor.
	Provider string `json:"provider"`
	// Op is the operation, "chat" when unsaid.
	Op string `json:"op"`
	// Model is the model where the path names it, "some-model" when unsaid.
	Model string `json:"model"`
	// Status of the answer; unsaid it is 200, or 400 beside an error.json.
	Status int `json:"status"`
	// Headers of the answer; content-type is added when unsaid.
	Headers map[string]string `json:"headers"`
	// Refused means that the request itself must be refused by Head or
	// DecodeRequest; RefusedAt is the byte offset that the message must name
	// where it is set.
	Refused   bool `json:"refused"`
	RefusedAt *int `json:"refused_at"`
	// Class is the expected class of an error.
	Class llm.Class `json:"class"`
	// Ends is "error" for a stream with status 200 that ends in an error.
	Ends string `json:"ends"`
	// Expect is the expected answer; nil takes the SDK's reading as truth.
	Expect *Answer `json:"expect"`
	// Losses are the paths that the other dialect's encoder must report for
	// the request, in any order; nil means that they are not checked.
	Losses []string `json:"losses"`
}

// Cases gives our own cases of a dialect: the folders of
// testdata/wire/<dialect>, each with any of request.json, response.json (a
// whole answer), stream.sse, stream.ndjson or stream.json (a streamed one: events,
// lines, a growing array), error.json (an error's body) and meta.json. A folder with several answers gives a record for each, named
// <folder>/<file>.
func Cases(t testing.TB, d llm.Dialect) []*Record {
	t.Helper()
	dir := filepath.Join(Root(), "testdata", "wire", string(d))
	folders, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var records []*Record
	for _, f := range folders {
		if f.IsDir() {
			records = append(records, readCase(t, d, filepath.Join(dir, f.Name()), f.Name())...)
		}
	}
	return records
}

func readCase(t testing.TB, d llm.Dialect, dir, name string) (records []*Record) {
	t.Helper()
	read := func(file string) *string {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		s := string(b)
		return &s
	}
	meta := new(Meta)
	if s := read("meta.json"); s != nil {
		if err := json.Unmarshal([]byte(*s), meta); err != nil {
			t.Fatalf("%s/meta.json: %v", dir, err)
		}
	}
	request := read("request.json")
	base := Record{Provider: meta.Provider, Operation: meta.Op, Case: meta, Method: "POST",
		Fidelity: Fidelity{Request: "exact", Response: "exact"}}
	if base.Operation == "" {
		base.Operation = "chat"
	}
	if base.Provider == "" {
		base.Provider = string(d)
	}
	in := of(d)
	base.Wire = in.wire
	path := func(streamed bool) (path, query string) {
		door := in.door(base.Operation)
		if door == nil {
			return "", ""
		}
		base.Model = meta.Model
		path, query, _ = strings.Cut(door.path(cmp.Or(meta.Model, "some-model"), streamed), "?")
		return in.base + path, query
	}
	base.Path, base.Query = path(false)
	if request != nil {
		base.Request = Message{Text: request}
	} else {
		base.Fidelity.Request = "absent"
	}
	for _, a := range []struct {
		file, kind, transport string
		status                int
	}{
		{"response.json", "application/json", "json", 200},
		{"stream.sse", "text/event-stream; charset=utf-8", "sse", 200},
		{"stream.ndjson", "application/x-ndjson", "ndjson", 200},
		{"stream.json", "application/json", "json-array-stream", 200},
		{"error.json", "application/json", "json", 400},
	} {
		body := read(a.file)
		if body == nil {
			continue
		}
		r := base
		r.ID = name + "/" + a.file
		r.Streaming, r.Transport = strings.HasPrefix(a.file, "stream."), a.transport
		r.Path, r.Query = path(r.Streaming)
		if r.Transport == "json-array-stream" {
			r.Query = ""
		}
		r.Response = Message{Status: a.status, Text: body, Headers: map[string][]string{"content-type": {a.kind}}}
		if meta.Status != 0 && (a.file == "error.json" || meta.Status < 300) {
			r.Response.Status = meta.Status
		}
		for k, v := range meta.Headers {
			r.Response.Headers[k] = []string{v}
		}
		records = append(records, &r)
	}
	if len(records) == 0 && request != nil {
		r := base
		r.ID = name + "/request.json"
		r.Fidelity.Response = "absent"
		records = append(records, &r)
	}
	return records
}
