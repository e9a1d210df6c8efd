package gateway_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"headrace/internal/batch"
	"headrace/internal/gateway"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/store/sqlite"
)

var (
	_ gateway.Batches = (*batch.Service)(nil)
	_ gateway.Files   = (*batch.Shelf)(nil)
)

// newOffice is a house with the real service and shelf, over a real store.
func newOffice(t *testing.T) (*house, *batch.Service, *batch.Shelf) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), t.TempDir()+"/x.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seal, err := recall.NewSeal(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, f := &batch.Service{Store: db, Seal: seal}, &batch.Shelf{Store: db, Seal: seal}
	return newHouseWith(t, func(o *gateway.Options) { o.Batches, o.Files = s, f }), s, f
}

// TestService: the doors and the service that they are made for fit.
func TestService(t *testing.T) {
	t.Parallel()
	h, _, _ := newOffice(t)
	made := decode[object](t, h.ask("POST", "/v1/messages/batches", twoMessages, "Idempotency-Key: k"), 200)
	id := made["id"].(string)
	if made["request_counts"].(object)["processing"] != 2.0 {
		t.Errorf("made %v", made)
	}
	if again := decode[object](t, h.ask("POST", "/v1/messages/batches", twoMessages, "Idempotency-Key: k"), 200); again["id"] != id {
		t.Errorf("again %v", again)
	}
	if w := h.ask("POST", "/v1/messages/batches", strings.Replace(twoMessages, `"b"`, `"c"`, 1), "Idempotency-Key: k"); w.Code != 409 {
		t.Errorf("something else: %d %s", w.Code, w.Body)
	}
	if w := h.ask("POST", "/v1/messages/batches", strings.Replace(twoMessages, `"b"`, `"a"`, 1)); w.Code != 400 || !strings.Contains(w.Body.String(), "requests.1.custom_id") {
		t.Errorf("an id twice: %d %s", w.Code, w.Body)
	}
	if w := h.ask("GET", "/v1/messages/batches/"+id, "", "X-Api-Key: hr-narrow"); w.Code != 404 {
		t.Errorf("another's: %d", w.Code)
	}
	if w := h.ask("DELETE", "/v1/messages/batches/"+id, ""); w.Code != 400 {
		t.Errorf("deleted before the end: %d %s", w.Code, w.Body)
	}
	if got := decode[object](t, h.ask("POST", "/v1/messages/batches/"+id+"/cancel", ""), 200); got["processing_status"] != "canceling" {
		t.Errorf("canceled %v", got)
	}
	line := `{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"openai/text-embedding-3-small","input":"x"}}` + "\n"
	file := decode[object](t, h.upload(t, line+"x\n", true, "purpose", "batch"), 200)["id"].(string)
	got := decode[object](t, h.ask("POST", "/v1/batches", `{"input_file_id":"`+file+`","endpoint":"/v1/embeddings","completion_window":"24h"}`), 200)
	if c := got["request_counts"].(object); c["total"] != 2.0 || c["failed"] != 1.0 {
		t.Errorf("made %v", got)
	}
	w := h.ask("POST", doors[0].path, doors[0].body, "Prefer: respond-async")
	at := w.Header().Get("Location")
	if got := decode[object](t, h.ask("GET", at, ""), 200); w.Code != 202 || got["status"] != "queued" || got["total"] != 1.0 {
		t.Errorf("made %d %v", w.Code, got)
	}
	list := decode[object](t, h.ask("GET", "/v1/jobs", ""), 200)
	if n := len(list["data"].([]any)); n != 3 {
		t.Errorf("%d jobs, want 3: a refused one stayed, or one is not seen", n)
	}
}

// TestShelf: a file of several parts comes back as it was, sealed at rest, for
// its owner, until it expires.
func TestShelf(t *testing.T) {
	t.Parallel()
	_, _, shelf := newOffice(t)
	ctx := t.Context()
	what := func() (batch.File, error) {
		return batch.File{Name: "n", Purpose: "batch", Expires: time.Now().Add(time.Hour)}, nil
	}
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 1, 3<<20 - 1} {
		content := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
		f, err := shelf.Put(ctx, "o", bytes.NewReader(content), what)
		if err != nil || f.Bytes != int64(size) {
			t.Fatalf("%d bytes: %+v, %v", size, f, err)
		}
		r, err := shelf.Open(ctx, "o", f.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: %d came back, %v", size, len(got), err)
		}
		if _, err := shelf.Open(ctx, "other", f.ID); !errors.Is(err, batch.ErrNotFound) {
			t.Errorf("another's: %v", err)
		}
		if size > 0 {
			sealed, err := shelf.Store.FilePart(ctx, f.ID, 0)
			if err != nil || bytes.Contains(sealed, content[:min(16, size)]) && size >= 16 {
				t.Errorf("%d bytes: not sealed, %v", size, err)
			}
		}
		r, _ = shelf.Open(ctx, "o", f.ID)
		if err := shelf.Delete(ctx, "o", f.ID); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(r); (err == nil) != (size == 0) {
			t.Errorf("%d bytes that were deleted before they were read: %v", size, err)
		}
	}
	broken := llm.Errorf(llm.InvalidRequest, "cut")
	for _, c := range []struct {
		r    io.Reader
		what func() (batch.File, error)
	}{{io.MultiReader(strings.NewReader("x"), failing{broken}), what}, {strings.NewReader("x"), func() (batch.File, error) { return batch.File{}, broken }}} {
		if _, err := shelf.Put(ctx, "o", c.r, c.what); !errors.Is(err, broken) {
			t.Errorf("an error came back as %v", err)
		}
	}
	if _, err := shelf.Put(ctx, "o", strings.NewReader("x"), func() (batch.File, error) { return batch.File{Expires: time.Now()}, nil }); err != nil {
		t.Fatal(err)
	}
	if list, err := shelf.Files(ctx, "o", 0, 9); err != nil || len(list) != 0 {
		t.Errorf("what was refused, deleted or has expired is listed: %v, %v", list, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestJobLines: lines of all forms, for several models; one that is wrong has
// failed, says its line and stops none of the others.
func TestJobLines(t *testing.T) {
	t.Parallel()
	h, s, _ := newOffice(t)
	lines := []string{
		`{"messages":[{"role":"user","content":"a"}]}`,
		`{"custom_id":"two","model":"anthropic/claude-sonnet-5","messages":[{"role":"user","content":"b"}]}`,
		`{"custom_id":"three","params":{"max_tokens":9,"messages":[{"role":"user","content":"c"}]}}`,
		`{"custom_id":"four","method":"POST","url":"/v1/embeddings","body":{"model":"openai/text-embedding-3-small","input":"x"}}`,
		`{"custom_id":"two","messages":[]}`,
		`{"broken`,
		`{"custom_id":"seven","model":"nobody/nothing","messages":[]}`,
		`{"custom_id":"eight","stream":true,"messages":[]}`,
		`{"custom_id":"nine","url":"/v1/images","body":{}}`,
	}
	body := strings.Join(lines, "\n")
	w := h.ask("POST", "/v1/jobs?model=openai/gpt-5.5", body, "X-Headrace-Deadline: 4h", "Idempotency-Key: k")
	made := decode[object](t, w, 202)
	at := "/v1/jobs/" + made["id"].(string)
	if w.Header().Get("Location") != at || made["total"] != 9.0 || made["form"] != "lines" || made["counts"].(object)["failed"] != 5.0 || made["counts"].(object)["queued"] != 4.0 {
		t.Errorf("made %v", made)
	}
	if again := decode[object](t, h.ask("POST", "/v1/jobs?model=openai/gpt-5.5", body, "Idempotency-Key: k"), 202); again["id"] != made["id"] {
		t.Errorf("again %v", again)
	}
	if w := h.ask("POST", "/v1/jobs?model=openai/gpt-5.4", body, "Idempotency-Key: k"); w.Code != 409 {
		t.Errorf("for another model: %d %s", w.Code, w.Body)
	}
	list, err := s.Jobs(t.Context(), "key_1", 0, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d jobs, %v", len(list), err)
	}
	var got []string
	for it, err := range s.Items(t.Context(), "key_1", list[0].ID) {
		if err != nil {
			t.Fatal(err)
		}
		text := string(it.Body)
		if it.Answer != nil {
			text = it.Answer.Err.Message
		}
		got = append(got, strings.Join([]string{it.CustomID, string(it.Dialect), string(it.Op), it.Model, text}, " "))
	}
	want := []string{
		`line-1 openai chat openai/gpt-5.5 {"model":"openai/gpt-5.5","messages":[{"role":"user","content":"a"}]}`,
		`two openai chat anthropic/claude-sonnet-5 {"messages":[{"role":"user","content":"b"}],"model":"anthropic/claude-sonnet-5"}`,
		`three anthropic chat openai/gpt-5.5 {"model":"openai/gpt-5.5","max_tokens":9,"messages":[{"role":"user","content":"c"}]}`,
		`four openai embed openai/text-embedding-3-small {"model":"openai/text-embedding-3-small","input":"x"}`,
		`line-5 openai chat  line 5: the custom_id "two" is there already`,
		`line-6 openai chat  line 6: it is not the JSON of a request`,
		`seven openai chat nobody/nothing line 7: `,
		`eight openai chat openai/gpt-5.5 line 8: stream`,
		`nine openai chat  line 9: url: "/v1/images" cannot be asked`,
	}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("items %d:\n%s\nwant %s", i, strings.Join(got, "\n"), want[i])
		}
	}
	w = h.ask("GET", at+"/results", "")
	if text := w.Body.String(); strings.Count(text, "\n") != 5 || !strings.Contains(text, `"custom_id":"seven"`) || !strings.Contains(text, `"status_code":404`) {
		t.Errorf("results %d %s", w.Code, text)
	}
	for _, c := range []struct{ method, path string }{{"GET", at + "/results"}, {"POST", at + "/retry"}, {"GET", at + "/events"}} {
		if w := h.ask(c.method, c.path, "", "X-Api-Key: hr-narrow"); w.Code != 404 {
			t.Errorf("another's %s %s: %d", c.method, c.path, w.Code)
		}
	}
	if got := decode[object](t, h.ask("POST", at+"/retry", "", "X-Headrace-Deadline: 1h"), 200); got["counts"].(object)["queued"] != 9.0 || got["ended_at"] != nil {
		t.Errorf("retried %v", got)
	}
	for _, c := range []struct{ path, body, says string }{
		{"/v1/jobs", "", "no line"}, {"/v1/jobs", "{\n", "line 1"}, {"/v1/jobs?endpoint=/v1/images", "{}", "endpoint"},
	} {
		if w := h.ask("POST", c.path, c.body); w.Code != 400 || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %q: %d %s", c.path, c.body, w.Code, w.Body)
		}
	}
	if w := h.ask("POST", "/v1/jobs?model=openai/gpt-5.5", lines[0], "X-Headrace-Deadline: 2020-01-01T00:00:00Z"); w.Code != 400 {
		t.Errorf("a deadline in the past: %d %s", w.Code, w.Body)
	}
}
