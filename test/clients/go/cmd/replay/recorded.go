package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// recording is a recorded answer of a chat in one of the dialects.
type recording struct {
	ID      string `json:"id"`
	Dialect string `json:"dialect"`
	Stream  bool   `json:"stream"`
	Source  string `json:"source"`

	contentType string
	body        []byte
}

// spoken are the dialects whose answers can be given again.
var spoken = map[string]bool{"openai-chat": true, "openai-responses": true, "anthropic": true, "gemini": true, "ollama": true}

// loadCorpus reads the recorded answers under dir that a client can be given
// as they are: status 200, text, of a chat.
func (s *server) loadCorpus(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no recordings under %s", filepath.Join(dir, "open"))
	}
	for _, name := range files {
		if err := s.loadFile(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *server) loadFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := s.load(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *server) load(line []byte) error {
	var r struct {
		ID         string
		Dialect    string
		Operation  string
		Streaming  bool
		Transport  string
		SourcePath string `json:"source_path"`
		Features   []string
		Response   struct {
			Status   int
			Headers  map[string][]string
			Body     string
			Encoding string `json:"body_encoding"`
		}
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return err
	}
	if !spoken[r.Dialect] || r.Operation != "chat" || r.Response.Status != http.StatusOK || r.Response.Encoding != "text" || r.Response.Body == "" ||
		(r.Transport != "sse" && r.Transport != "json" && r.Transport != "ndjson") {
		return nil
	}
	// A few records stand under a chat's path and are none: embeddings, a transcription.
	if r.Transport == "json" && !strings.Contains(r.Response.Body, `"choices"`) && !strings.Contains(r.Response.Body, `"content"`) &&
		!strings.Contains(r.Response.Body, `"candidates"`) && !strings.Contains(r.Response.Body, `"output"`) {
		return nil
	}
	rec := &recording{ID: r.ID, Dialect: r.Dialect, Stream: r.Transport != "json", Source: r.SourcePath, body: []byte(r.Response.Body)}
	rec.contentType = "application/json"
	switch r.Transport {
	case "sse":
		rec.contentType = "text/event-stream"
	case "ndjson":
		rec.contentType = "application/x-ndjson"
	}
	if v := r.Response.Headers["content-type"]; len(v) > 0 {
		rec.contentType = v[0]
	}
	s.recordings[r.ID] = rec
	s.order = append(s.order, rec)
	return nil
}

// listRecordings names at most n recordings of a dialect, spread evenly over
// all there are; 0 means all.
func (s *server) listRecordings(w http.ResponseWriter, r *http.Request) {
	all := []*recording{}
	for _, rec := range s.order {
		if rec.Dialect == r.FormValue("dialect") {
			all = append(all, rec)
		}
	}
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 0 {
		http.Error(w, "n is a number, 0 for all", http.StatusBadRequest)
		return
	}
	if n == 0 || n > len(all) {
		n = len(all)
	}
	out := []*recording{}
	for i := range n {
		out = append(out, all[i*len(all)/n])
	}
	writeJSON(w, 200, out)
}

// replay gives the recorded bytes.
func (s *server) replay(a *answer, id string) {
	rec := s.recordings[id]
	if rec == nil {
		a.d.fail(a.w, 404, "not_found_error", "replay: no recording "+id)
		return
	}
	a.w.Header().Set("Content-Type", rec.contentType)
	a.send(rec.body)
}
