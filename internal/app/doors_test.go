package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const (
	embedAnswer = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2.5E-07, 1.0]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":100000,"total_tokens":100000}}`
	embedBody   = `{"model":"openai/text-embedding-3-small","input":"Hi",  "encoding_format":"float","dimensions":3}`
)

// TestEmbeddings: at a provider of the client's dialect the bytes pass but for
// the model; the row has tokens and a price; a bare name finds its provider.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", embedAnswer) })
	h := open(t, u, "")
	for _, model := range []string{"openai/text-embedding-3-small", "text-embedding-3-small"} {
		a := h.call("POST", "/v1/embeddings", strings.Replace(embedBody, "openai/text-embedding-3-small", model, 1))
		if a.status != 200 || a.body != embedAnswer {
			t.Fatalf("%s: %d %s", model, a.status, a.body)
		}
		all := u.asked()
		got := all[len(all)-1]
		if got.path != "/v1/embeddings" || got.body != strings.Replace(embedBody, "openai/", "", 1) {
			t.Errorf("%s: the provider got %s %s", model, got.path, got.body)
		}
		row := h.row(a)
		if use := row["usage"].(map[string]any); use["input"] != 100000.0 || use["output"] != 0.0 || row["op"] != "embed" || row["priced"] != true || row["cost_nanodollars"] != 2e6 {
			t.Errorf("%s: row %v", model, row)
		}
		if a.header.Get("X-Headrace-Cost") != "0.002" {
			t.Errorf("cost %q", a.header.Get("X-Headrace-Cost"))
		}
	}
	if list := h.call("GET", "/v1/models", "").body; !strings.Contains(list, `"openai/text-embedding-3-small"`) {
		t.Error("the list of models has no embeddings")
	}
	for name, c := range map[string]struct {
		path, body, want string
		status           int
	}{
		"no model":             {"/v1/embeddings", `{"input":"a"}`, "model", 400},
		"unknown model":        {"/v1/embeddings", `{"model":"nobody/x","input":"a"}`, "nobody", 404},
		"a model that chats":   {"/v1/embeddings", `{"model":"anthropic/claude-haiku-4-5","input":"a"}`, "makes no embeddings", 404},
		"no embeddings there":  {"/v1/embeddings", `{"model":"anthropic/brand-new","input":"a"}`, "anthropic has no embed", 400},
		"the dialect's prefix": {"/openai/v1/embeddings", `{"model":"nobody/x","input":"a"}`, "nobody", 404},
		"without the version":  {"/openai/embeddings", `{"model":"nobody/x","input":"a"}`, "nobody", 404},
	} {
		a := h.call("POST", c.path, c.body)
		if text := errorText(t, "/v1/chat/completions", a.body); a.status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// TestEmbeddingsThroughTheWords: the slow path keeps every number as it was
// spelled, and turns floats into base64 where the provider will not.
func TestEmbeddingsThroughTheWords(t *testing.T) {
	t.Parallel()
	answer := embedAnswer
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", answer) })
	h := start(t, map[string]string{"OPENAI_API_KEY": openaiKey, "HEADRACE_OPENAI_BASE_URL": u.URL + "/v1"}, "retries: {failures: 0}\n", func() bool { return true })
	a := h.call("POST", "/v1/embeddings", embedBody)
	if a.status != 200 || a.body != embedAnswer {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = h.call("POST", "/v1/embeddings", `{"model":"text-embedding-3-small","input":["Hi"],"encoding_format":"base64"}`)
	var got struct{ Data []struct{ Embedding string } }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err, a.body)
	}
	if b, err := base64.StdEncoding.DecodeString(got.Data[0].Embedding); err != nil || !bytes.Equal(b, []byte{0xcd, 0xcc, 0xcc, 0x3d, 0xbd, 0x37, 0x86, 0xb4, 0, 0, 0x80, 0x3f}) {
		t.Errorf("%x %v", b, err)
	}
	if got := u.asked()[1].body; !strings.Contains(got, `"encoding_format":"base64"`) {
		t.Errorf("the provider got %s", got)
	}
	a = h.call("POST", "/v1/embeddings", `{"model":"text-embedding-3-small","input":["a","b"]}`)
	if a.status != 502 || !strings.Contains(a.body, "1 embeddings for 2 inputs") {
		t.Errorf("too few vectors: %d %s", a.status, a.body)
	}
	for _, answer = range []string{``, `{"data":[]}`, `<html>`, `{"object":"list","data":[{"index":0,"embedding":"x"}]}`} {
		a := h.call("POST", "/v1/embeddings", embedBody)
		if a.status != 502 || h.row(a)["class"] != "malformed_upstream" {
			t.Errorf("%q: %d %s", answer, a.status, a.body)
		}
	}
}

// TestModerations: passed as it is, with or without a model.
func TestModerations(t *testing.T) {
	t.Parallel()
	const said = `{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false}]}`
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", said) })
	h := open(t, u, "")
	for _, body := range []string{`{"input":"Hi"}`, `{"model":"omni-moderation-latest","input":["Hi"]}`} {
		a := h.call("POST", "/v1/moderations", body)
		if a.status != 200 || a.body != said || h.row(a)["op"] != "moderate" {
			t.Errorf("%d %s", a.status, a.body)
		}
		all := u.asked()
		if got := all[len(all)-1]; got.path != "/v1/moderations" || got.body != body {
			t.Errorf("the provider got %s %s", got.path, got.body)
		}
	}
	if a := h.call("POST", "/v1/moderations", `{"model":"anthropic/claude-haiku-4-5","input":"Hi"}`); a.status != 400 || !strings.Contains(a.body, "anthropic has no moderate") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := open(t, nil, "").call("POST", "/v1/moderations", `{"input":"Hi"}`); a.status != 404 || !strings.Contains(a.body, "not configured") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestCompressedBodies: gzip and zstd are unpacked up to the limit and no
// further.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { write(w, "application/json", chatAnswer) })
	h := open(t, u, "limits: {body: 1MiB}\n")
	zipped := func(s []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write(s)
		w.Close()
		return b.Bytes()
	}
	packed := func(s []byte, o ...zstd.EOption) []byte {
		w, err := zstd.NewWriter(nil, o...)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(s, nil)
	}
	streamed := func(s []byte, o ...zstd.EOption) []byte { // as Codex sends it: no size in the frame
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, o...)
		if err != nil {
			t.Fatal(err)
		}
		for len(s) > 0 {
			n := min(len(s), 64<<10)
			w.Write(s[:n])
			w.Flush()
			s = s[n:]
		}
		w.Close()
		return b.Bytes()
	}
	long := []byte(`{"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("long ", 150_000) + `"}]}`)
	bomb := bytes.Repeat([]byte(" "), 64<<20)
	for _, c := range []struct {
		name, encoding string
		body           []byte
		status         int
	}{
		{"gzip", "gzip", zipped([]byte(chatBody)), 200},
		{"zstd", "zstd", packed([]byte(chatBody)), 200},
		{"zstd, long", "zstd", packed(long), 200},
		{"zstd, streamed", "ZSTD", streamed(long), 200},
		{"no zstd", "zstd", []byte(chatBody), 400},
		{"cut zstd", "zstd", packed(long)[:40], 400},
		{"a gzip bomb", "gzip", zipped(bomb), 413},
		{"a zstd bomb", "zstd", packed(bomb), 413},
		{"a streamed zstd bomb", "zstd", streamed(bomb), 413},
		{"a window over the bound", "zstd", streamed(bomb, zstd.WithWindowSize(64<<20)), 400},
		{"an encoding that is not taken", "br", []byte(chatBody), 400},
	} {
		before := len(u.asked())
		a := h.call("POST", "/v1/chat/completions", string(c.body), "Content-Encoding: "+c.encoding)
		if a.status != c.status {
			t.Errorf("%s: %d %.300s, want %d", c.name, a.status, a.body, c.status)
		}
		asked := u.asked()[before:]
		if (c.status == 200) != (len(asked) == 1) {
			t.Errorf("%s: the provider was asked %d times", c.name, len(asked))
		} else if c.status == 200 && asked[0].header.Get("Content-Encoding") != "" {
			t.Errorf("%s: the provider was told %v", c.name, asked[0].header)
		}
	}
}

// TestPromptIsNamedFirst: a translated stream names an estimate of the prompt
// where the provider tells its size last.
func TestPromptIsNamedFirst(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		write(w, "text/event-stream", chatStream+usageChunk+doneChunk)
	})
	h := open(t, u, "")
	a := h.call("POST", "/v1/messages", fmt.Sprintf(`{"model":"openai/gpt-4o-mini","max_tokens":64,"stream":true,"messages":[{"role":"user","content":%q}]}`, strings.Repeat("word ", 400)))
	_, start, _ := strings.Cut(a.body, "event: message_start\ndata: ")
	line, _, _ := strings.Cut(start, "\n")
	var first struct {
		Message struct {
			Usage struct {
				N int `json:"input_tokens"`
			}
		}
	}
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Message.Usage.N < 300 || first.Message.Usage.N > 700 {
		t.Errorf("%v: message_start says %d in %s", err, first.Message.Usage.N, a.body)
	}
	if use := h.row(a)["usage"].(map[string]any); use["input"] != 5.0 {
		t.Errorf("the row has %v", use)
	}
}

// TestModelPages: Claude Code and Anthropic's SDKs page through the models.
func TestModelPages(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }) // it lists no models
	h := start(t, map[string]string{"ANTHROPIC_API_KEY": claudeKey, "HEADRACE_ANTHROPIC_BASE_URL": u.URL + "/deep"}, "", nil)
	type page struct {
		Data []struct {
			ID           string
			Display      string `json:"display_name"`
			Type         string
			Capabilities map[string]any
		}
		More  bool    `json:"has_more"`
		First *string `json:"first_id"`
		Last  *string `json:"last_id"`
	}
	ask := func(query string, header ...string) (p page) {
		t.Helper()
		a := h.call("GET", "/v1/models"+query, "", header...)
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.status != 200 {
			t.Fatalf("%s: %d %.300s", query, a.status, a.body)
		}
		return p
	}
	version := "Anthropic-Version: 2023-06-01"
	all := ask("?limit=1000", "User-Agent: claude-code/2.1.330")
	if len(all.Data) < 20 || all.More || *all.First != all.Data[0].ID || *all.Last != all.Data[len(all.Data)-1].ID {
		t.Fatalf("%d models, more %v", len(all.Data), all.More)
	}
	named := false
	for _, m := range all.Data {
		if m.ID == "anthropic/claude-opus-5-5" {
			named = m.Display != "" && m.Display != m.ID && m.Type == "model" && m.Capabilities["effort"] != nil
		}
	}
	if !named {
		t.Error("Claude Opus 5.5 is not shown by its name with its capabilities")
	}
	var got []string
	for p := ask("?limit=7", version); ; p = ask("?limit=7&after_id="+*p.Last, version) {
		for _, m := range p.Data {
			got = append(got, m.ID)
		}
		if !p.More {
			break
		}
	}
	var want []string
	for _, m := range all.Data {
		want = append(want, m.ID)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("page by page %d models, at once %d", len(got), len(want))
	}
	back := ask("?limit=2&before_id="+want[3], version)
	if len(back.Data) != 2 || back.Data[0].ID != want[1] || back.Data[1].ID != want[2] || !back.More {
		t.Errorf("before %s: %+v", want[3], back)
	}
	if empty := ask("?before_id="+want[0], version); len(empty.Data) != 0 || empty.More || empty.First != nil {
		t.Errorf("before the first: %+v", empty)
	}
	for _, bad := range []string{"?limit=0", "?limit=1001", "?limit=x", "?after_id=nobody", "?before_id=nobody", "?after_id=" + want[0] + "&before_id=" + want[1]} {
		if a := h.call("GET", "/v1/models"+bad, "", version); a.status != 400 || !strings.Contains(a.body, "invalid_request_error") {
			t.Errorf("%s: %d %s", bad, a.status, a.body)
		}
	}
	for id, path := range map[string]string{"anthropic/claude-opus-5-5": "/v1/models/", "claude-opus-5-5": "/anthropic/v1/models/"} {
		if a := h.call("GET", path+id, "", version); a.status != 200 || !strings.Contains(a.body, `"id":"anthropic/claude-opus-5-5"`) {
			t.Errorf("%s: %d %s", id, a.status, a.body)
		}
	}
}

// TestQueryKeyStaysHere: what a client puts into the query as its key goes
// nowhere.
func TestQueryKeyStaysHere(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") })
	h := open(t, u, "")
	secret := "client-canary-secret-000"
	a := h.call("POST", "/openai/v1/other?a=%20b&k%65y="+secret+"&key="+secret+"&c=1", "{}")
	if got := u.asked()[0]; a.status != 200 || got.query != "a=%20b&c=1" {
		t.Errorf("%d, the provider got the query %q", a.status, got.query)
	}
	h.call("GET", "/v1/nowhere?key="+secret, "")
	if strings.Contains(h.log.String(), secret) {
		t.Error("the log holds the key of a query")
	}
}
