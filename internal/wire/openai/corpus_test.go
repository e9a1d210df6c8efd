package openai

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// recording is one recorded exchange with a provider.
type recording struct {
	ID        string `json:"id"`
	Provider  string `json:"provider"`
	Dialect   string `json:"dialect"`
	Operation string `json:"operation"`
	Transport string `json:"transport"`
	Request   *struct {
		Body         string `json:"body"`
		BodyEncoding string `json:"body_encoding"`
	} `json:"request"`
	Response struct {
		Status       int                 `json:"status"`
		Headers      map[string][]string `json:"headers"`
		Body         string              `json:"body"`
		BodyEncoding string              `json:"body_encoding"`
	} `json:"response"`
}

func body(s, encoding string) []byte {
	if encoding == "base64" {
		b, err := base64.StdEncoding.DecodeString(s)
		if err == nil {
			return b
		}
	}
	return []byte(s)
}

// recordings gives all recorded Chat exchanges; they are not part of this
// repository.
func recordings(t testing.TB) []recording {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		root, err := filepath.Abs("../../..")
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared", "corpus")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if len(files) == 0 {
		t.Skipf("no recorded traffic in %s; set HEADRACE_CORPUS", dir)
	}
	var all []recording
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(f, 1<<20)
		for {
			line, err := r.ReadBytes('\n')
			if len(line) > 1 && strings.Contains(string(line), `"openai-chat"`) {
				var rec recording
				if e := json.Unmarshal(line, &rec); e != nil {
					t.Fatalf("%s: %v", name, e)
				}
				if rec.Dialect == "openai-chat" {
					all = append(all, rec)
				}
			}
			if err != nil {
				break
			}
		}
		f.Close()
	}
	return all
}

// decodeStream runs a whole stream through the decoder.
func decodeStream(t testing.TB, stream []byte) []llm.Event {
	r := sse.NewReader(strings.NewReader(string(stream)), 0)
	d := Codec{}.NewDecoder()
	var events []llm.Event
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		if events, err = d.Decode(events, f.Event, f.Data); err != nil {
			e, ok := err.(*llm.Error)
			if !ok {
				t.Fatalf("the decoder's error is %T", err)
			}
			return append(events, llm.Event{Kind: llm.EventError, Err: e})
		}
	}
	return d.Close(events)
}

func TestCorpusRequests(t *testing.T) {
	bad := map[string]int{}
	n := 0
	for _, rec := range recordings(t) {
		if rec.Request == nil || rec.Request.Body == "" || rec.Operation != "chat" {
			continue
		}
		b := body(rec.Request.Body, rec.Request.BodyEncoding)
		n++
		if _, err := (Codec{}).Head(llm.OpChat, b); err != nil {
			t.Logf("%s %s head: %v", rec.ID, rec.Provider, err)
			bad["head"]++
			continue
		}
		if _, err := (Codec{}).DecodeRequest(b); err != nil {
			t.Logf("%s %s %d: %v", rec.ID, rec.Provider, rec.Response.Status, err)
			bad["decode"]++
		}
	}
	t.Log(n, bad)
}

func TestCorpusAnswers(t *testing.T) {
	n := map[string]int{}
	for _, rec := range recordings(t) {
		b := body(rec.Response.Body, rec.Response.BodyEncoding)
		switch {
		case rec.Response.Status >= 400:
			n["error"]++
			e := Codec{}.DecodeError(rec.Response.Status, rec.Response.Headers, b)
			t.Logf("E %d %s %s: %s | %.80s", rec.Response.Status, rec.Provider, rec.ID, e.Class, e.Message)
		case rec.Transport == "sse":
			n["sse"]++
			ev := decodeStream(t, b)
			last := ev[len(ev)-1]
			if last.Kind != llm.EventFinish {
				t.Logf("S %s %s: %v", rec.Provider, rec.ID, last.Err)
			} else if last.Finish.Reason != llm.FinishStop && last.Finish.Reason != llm.FinishToolCalls && last.Finish.Reason != llm.FinishLength {
				t.Logf("S %s %s: %v", rec.Provider, rec.ID, last.Finish)
			}
		default:
			n["whole"]++
			if _, err := (Codec{}).DecodeResponse(b); err != nil {
				t.Logf("W %s %s %s: %v", rec.Provider, rec.ID, rec.Operation, err)
			}
		}
	}
	t.Log(n)
}
