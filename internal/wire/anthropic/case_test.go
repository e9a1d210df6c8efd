package anthropic

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

const cases = "../../../testdata/wire/anthropic"

// wireCase is one folder of testdata/wire/anthropic.
type wireCase struct {
	name string
	Meta struct {
		Op, What, Ends string
		Class          llm.Class
		Status         int
		Headers        map[string]string
	}
	request, response, stream, error string
}

func wireCases(t testing.TB) []wireCase {
	t.Helper()
	dirs, err := os.ReadDir(cases)
	if err != nil {
		t.Fatal(err)
	}
	var out []wireCase
	for _, d := range dirs {
		c := wireCase{name: d.Name()}
		for name, to := range map[string]*string{"request.json": &c.request, "response.json": &c.response, "stream.sse": &c.stream, "error.json": &c.error} {
			b, err := os.ReadFile(filepath.Join(cases, c.name, name))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			*to = string(b)
		}
		meta, err := os.ReadFile(filepath.Join(cases, c.name, "meta.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(meta, &c.Meta); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		out = append(out, c)
	}
	return out
}

// TestCaseRequests writes each request again in the same dialect.
func TestCaseRequests(t *testing.T) {
	for _, c := range wireCases(t) {
		if c.request == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			h, err := Codec{}.Head(llm.Op(c.Meta.Op), []byte(c.request))
			if err != nil {
				t.Fatal(err)
			}
			r, err := Codec{}.DecodeRequest([]byte(c.request))
			if err != nil {
				t.Fatal(err)
			}
			e, err := Codec{}.EncodeRequest(r, h.Model, nil)
			if err != nil || len(e.Losses) > 0 {
				t.Fatal(err, e.Losses)
			}
			if diff := cmp.Diff(canonical(t, []byte(c.request), nil), canonical(t, joined(e), nil)); diff != "" {
				t.Errorf("written differently (-received +written):\n%s", diff)
			}
			// Big numbers are compared as they are spelled.
			if strings.Count(c.request, "9007199254740993") != strings.Count(string(joined(e)), "9007199254740993") {
				t.Error("a number was changed")
			}
			// Patching nothing is forwarding the bytes.
			d := llm.NewDraft(llm.Anthropic, llm.Op(c.Meta.Op), []byte(c.request), h, nil)
			p, err := Codec{}.Patch(&d, nil)
			if err != nil || string(joined(p)) != c.request || len(p.Body) != 1 {
				t.Errorf("patched without an edit: %v, %d segments", err, len(p.Body))
			}
		})
	}
}

// TestCaseAnswers writes each whole answer again.
func TestCaseAnswers(t *testing.T) {
	for _, c := range wireCases(t) {
		if c.response == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			if c.Meta.Op == string(llm.OpCountTokens) {
				n, err := Codec{}.DecodeCount([]byte(c.response))
				if err != nil || string(Codec{}.AppendCount(nil, n)) != `{"input_tokens":14}` {
					t.Errorf("count %d, %v", n, err)
				}
				return
			}
			r, err := Codec{}.DecodeResponse([]byte(c.response))
			if err != nil {
				t.Fatal(err)
			}
			out := Codec{}.AppendResponse([]byte("x"), r)[1:]
			drop := func(path, name string, v any) bool { return path == "" && name == "diagnostics" }
			if diff := cmp.Diff(canonical(t, []byte(c.response), drop), canonical(t, out, drop)); diff != "" {
				t.Errorf("written differently (-received +written):\n%s", diff)
			}
		})
	}
}

// TestCaseStreams decodes each stream, whole and cut at every byte, and writes
// it again.
func TestCaseStreams(t *testing.T) {
	for _, c := range wireCases(t) {
		if c.stream == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			es, err := events(t, c.stream)
			if err != nil {
				t.Fatal(err)
			}
			gather(t, es)
			last := es[len(es)-1]
			if c.Meta.Ends == "error" {
				if last.Kind != llm.EventError || last.Err.Class != c.Meta.Class || last.Err.Status != c.Meta.Status {
					t.Fatalf("ended with %s %v", last.Kind, last.Err)
				}
				if out := encode(es, llm.StreamOptions{}); !strings.HasSuffix(out, "event: error\ndata: "+string(last.Err.Body)+"\n\n") {
					t.Errorf("the error was written as %s", out)
				}
				return
			}
			plain := strings.NewReplacer(": OPENROUTER PROCESSING\n\n", "", "event: data\ndata: [DONE]\n\n", "").Replace(c.stream)
			want, err := message(plain)
			if err != nil {
				if c.name != "cut-call" {
					t.Fatal(err)
				}
			} else {
				got, err := message(encode(es, llm.StreamOptions{}))
				if err != nil {
					t.Fatal(err)
				}
				a, _ := json.Marshal(want)
				b, _ := json.Marshal(got)
				if diff := cmp.Diff(canonical(t, a, nulls), canonical(t, b, nulls)); diff != "" {
					t.Errorf("written differently (-received +written):\n%s", diff)
				}
			}
			whole := strings.Index(c.stream, "event: message_stop") + len("event: message_stop\ndata: {\"type\":\"message_stop\"}")
			for at := range len(c.stream) {
				es, err := events(t, c.stream[:at])
				if err != nil {
					continue // the piece of the last frame is no JSON, and said so
				}
				if last := es[len(es)-1].Kind; (last == llm.EventFinish) != (at >= whole) {
					t.Fatalf("cut at %d of %d (whole from %d) ended with %s", at, len(c.stream), whole, last)
				}
				if out := encode(es, llm.StreamOptions{}); strings.Count(out, "event: message_start") > 1 ||
					strings.Count(out, "event: message_stop")+strings.Count(out, "event: error") != 1 {
					t.Fatalf("cut at %d: written as %s", at, out)
				}
			}
		})
	}
}

// TestCaseErrors reads each error and writes it for a client of this dialect.
func TestCaseErrors(t *testing.T) {
	for _, c := range wireCases(t) {
		if c.error == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range c.Meta.Headers {
				h.Set(k, v)
			}
			e := Codec{}.DecodeError(c.Meta.Status, h, []byte(c.error))
			if e.Class != c.Meta.Class {
				t.Errorf("class %s, want %s", e.Class, c.Meta.Class)
			}
			if e.Message == "" || strings.ContainsAny(e.Message, "\n\r") {
				t.Errorf("message %q", e.Message)
			}
			if (e.RetryAfter > 0) != (h.Get("Retry-After") != "") {
				t.Errorf("retry after %v", e.RetryAfter)
			}
			status, body := Codec{}.EncodeErrorFor(e, "req_ours")
			var out struct {
				Type  string
				Error struct{ Type, Message string }
				ID    string `json:"request_id"`
			}
			if err := json.Unmarshal(body, &out); err != nil || out.Type != "error" || out.Error.Type == "" || out.Error.Message == "" || out.ID == "" {
				t.Fatalf("written as %s: %v", body, err)
			}
			switch {
			case e.Class == llm.Auth:
				if status != 502 || strings.Contains(string(body), "x-api-key") || strings.Contains(string(body), "denied") {
					t.Errorf("our credential's error reached the client: %d %s", status, body)
				}
			case e.Class == llm.QuotaExhausted:
				if status != 429 || out.Error.Type != "billing_error" {
					t.Errorf("%d %s", status, body)
				}
			case strings.Contains(c.error, `"type": "error"`):
				if status != c.Meta.Status || string(body) != c.error {
					t.Errorf("not as it came: %d %s", status, body)
				}
			case e.Class == llm.ContextOverflow:
				if !strings.HasPrefix(out.Error.Message, "prompt is too long") && !strings.HasPrefix(out.Error.Message, "Input is too long") {
					t.Errorf("Claude Code would not compact on %s", body)
				}
			}
		})
	}
}
