package provider

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"headrace/internal/catalog"
	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// again reads the same text for ever.
type again struct{ text string }

func (a again) Read(b []byte) (n int, err error) {
	for n < len(b) {
		n += copy(b[n:], a.text)
	}
	return n, nil
}

// TestSilentFlood: a stream that says nothing, as fast as it can, ends in an
// error; a client's own dialect is no way round.
func TestSilentFlood(t *testing.T) {
	t.Parallel()
	p, err := New(Options{Row: &catalog.Provider{ID: "p", Dialect: llm.OpenAI, Auth: catalog.NoAuth, BaseURL: "http://p.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dialect llm.Dialect
		text    string
	}{
		"newlines": {llm.OpenAI, "\n"},
		"comments": {llm.Responses, ": x\n\n"},
		"pings":    {llm.Anthropic, "event: ping\ndata: {\"type\":\"ping\"}\n\n"},
		"lines":    {llm.Ollama, "\n"},
	} {
		for _, native := range []bool{false, true} {
			frames := sse.NewReader(again{c.text}, 0)
			if c.dialect == llm.Ollama {
				frames = sse.NewLineReader(again{c.text}, 0)
			}
			s := p.stream(io.NopCloser(again{}), frames, "m", &outgoing{codec: codecs[c.dialect].Codec, native: native})
			var e *llm.Error
			for n := 0; e == nil; n++ {
				_, err := s.Next()
				if errors.As(err, &e) && e.Class != llm.MalformedUpstream || err != nil && e == nil || n > 1<<20 {
					t.Errorf("%s, native %t: after %d pieces: %v", name, native, n, err)
					break
				}
			}
		}
	}
}

// TestCodings: gzip is taken off, also where it was not asked for; what cannot
// be read is an error that names it.
func TestCodings(t *testing.T) {
	t.Parallel()
	var packed strings.Builder
	z := gzip.NewWriter(&packed)
	io.WriteString(z, "plain")
	z.Close()
	p, err := New(Options{Row: &catalog.Provider{ID: "p", Dialect: llm.OpenAI, Auth: catalog.NoAuth, BaseURL: "http://p.invalid"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		coding []string
		body   string
		want   string
		fails  string
	}{
		{nil, "plain", "plain", ""},
		{[]string{"identity"}, "plain", "plain", ""},
		{[]string{"gzip"}, packed.String(), "plain", ""},
		{[]string{" GZIP "}, packed.String(), "plain", ""},
		{[]string{"gzip"}, "plain, and long enough for a header", "", "gzip: invalid header"},
		{[]string{"br"}, "plain", "", "in the coding br"},
		{[]string{"gzip", "br"}, packed.String(), "", "in the coding gzip,br"},
		{[]string{strings.Repeat("x", 500)}, "plain", "", "in the coding " + strings.Repeat("x", 40) + ","},
	} {
		resp := answerOf(c.coding, c.body)
		err := p.decompress(resp, "m")
		var got []byte
		if err == nil {
			got, err = io.ReadAll(resp.Body)
		}
		if c.fails == "" && (err != nil || string(got) != c.want) || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%q: %q, %v", c.coding, got, err)
		}
	}
}

func answerOf(coding []string, body string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Encoding": coding}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}
