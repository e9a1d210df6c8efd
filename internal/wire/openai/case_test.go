package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// TestCases runs every case of testdata/wire/openai: requests and answers go
// through the slow path and must come out as they went in; a whole answer and
// a stream beside one another must say the same.
func TestCases(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("../../../testdata/wire/openai/*")
	if err != nil || len(dirs) == 0 {
		t.Fatal("no cases", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var meta struct {
				What, Ends string
				Class      llm.Class
				Status     int
				Refused    bool
				RefusedAt  int `json:"refused_at"`
			}
			file := func(name string) []byte {
				b, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
				return b
			}
			if err := json.Unmarshal(file("meta.json"), &meta); err != nil {
				t.Fatal(err)
			}
			if b := file("request.json"); b != nil {
				if meta.Refused {
					_, err := Codec{}.Head(llm.OpChat, b)
					if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("byte %d", meta.RefusedAt)) {
						t.Errorf("%v does not name byte %d", err, meta.RefusedAt)
					}
				} else {
					caseRequest(t, b)
				}
			}
			var fromWhole, fromStream *tale
			if b := file("response.json"); b != nil {
				r, err := Codec{}.DecodeResponse(b)
				if err != nil {
					t.Fatal(err)
				}
				s := tell(r)
				fromWhole = &s
				missing(t, "response.json", "", plain(t, bytes.TrimSpace(b)), plain(t, Codec{}.AppendResponse(nil, r)))
			}
			if b := file("stream.sse"); b != nil {
				s := follow(t, decodeStream(t, b))
				if meta.Ends == "error" {
					if s.Err != string(meta.Class) {
						t.Errorf("error %q, want %q", s.Err, meta.Class)
					}
					return
				}
				if s.Err != "" {
					t.Fatalf("the stream fails: %s", s.Err)
				}
				fromStream = &s
			}
			if fromWhole != nil && fromStream != nil {
				if fromStream.Usage.Source == "" {
					fromStream.Usage = fromWhole.Usage
				}
				fromStream.Usage.Reported, fromStream.Usage.HasReported = fromWhole.Usage.Reported, fromWhole.Usage.HasReported
				if d := cmp.Diff(fromWhole, fromStream, sameTale); d != "" {
					t.Errorf("whole and stream differ (-whole +stream)\n%s", d)
				}
			}
			if b := file("error.json"); b != nil {
				e := Codec{}.DecodeError(meta.Status, nil, b)
				if e.Class != meta.Class {
					t.Errorf("class %s, want %s (%s)", e.Class, meta.Class, e.Message)
				}
				fourKeys(t, e)
			}
		})
	}
}

func caseRequest(t *testing.T, b []byte) {
	r, err := Codec{}.DecodeRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := Codec{}.EncodeRequest(r, r.Model, &llm.Capability{})
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Join(enc.Body, nil)
	want, got := plain(t, b).(map[string]any), plain(t, out).(map[string]any)
	if r.Stream {
		so, _ := want["stream_options"].(map[string]any)
		if so == nil {
			so = map[string]any{}
		}
		so["include_usage"] = true
		want["stream_options"] = so
	}
	for _, v := range []map[string]any{want, got} {
		for _, m := range v["messages"].([]any) {
			tidy(m.(map[string]any))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the slow path changes the request (-sent +written)\n%s", d)
	}
	// In source order, too.
	var names []string
	for k := range span.Fields(out) {
		names = append(names, string(k))
	}
	i := 0
	for k := range span.Fields(b) {
		if i >= len(names) || names[i] != string(k) {
			t.Errorf("member %s is out of its place in %v", k, names)
			break
		}
		i++
	}
}
