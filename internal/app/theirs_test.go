package app_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// form is an upload; its fields stand before the file or behind it.
func form(fileFirst bool, content string, fields ...string) string {
	const part = "--edge\r\nContent-Disposition: form-data; name="
	file := part + "\"file\"; filename=\"x.pdf\"\r\nContent-Type: application/pdf\r\n\r\n" + content + "\r\n"
	text := ""
	for i := 0; i < len(fields); i += 2 {
		text += part + "\"" + fields[i] + "\"\r\n\r\n" + fields[i+1] + "\r\n"
	}
	if fileFirst {
		return file + text + "--edge--\r\n"
	}
	return text + file + "--edge--\r\n"
}

// TestTheirFiles: what stands at the batch doors and cannot be ours is the
// vendor's, byte for byte; what is ours, or may be, never leaves.
func TestTheirFiles(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"theirs": true }`)
	})
	h := open(t, u, "limits: {body: 1MB}\n")
	const isForm, isClaude = "Content-Type: multipart/form-data; boundary=edge", "Anthropic-Version: 2023-06-01"
	keep := func() string {
		return textAt(t, h.call("POST", "/v1/files", form(true, "{}\n", "purpose", "batch"), isForm).body, "id")
	}
	ours, gone := keep(), keep()
	if a := h.call("DELETE", "/v1/files/"+gone, ""); ours == "" || a.status != 200 {
		t.Fatalf("no file of ours, or none that is gone: %d %s", a.status, a.body)
	}
	long := strings.Repeat("%PDF\x00\xff\r\n", 30_000) // of several pieces
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		// asked is the path that the vendor sees; "" is none.
		asked  string
		claude bool
		status int
	}{
		{name: "a file for another purpose", method: "POST", path: "/v1/files", body: form(false, long, "purpose", "user_data", "expires_after[seconds]", "5", "new_field", "x"), header: []string{isForm}, asked: "/v1/files"},
		{name: "the purpose behind the file", method: "POST", path: "/v1/files", body: form(true, long, "purpose", "vision"), header: []string{isForm}, asked: "/v1/files"},
		{name: "fields behind the file that are not ours", method: "POST", path: "/openai/v1/files", body: form(true, "x", "new_field", "x", "purpose", "vision"), header: []string{isForm}, asked: "/v1/files"},
		{name: "without v1", method: "POST", path: "/openai/files", body: form(false, "x", "purpose", "fine-tune"), header: []string{isForm}, asked: "/v1/files"},
		{name: "larger than a body may be", method: "POST", path: "/v1/files", body: form(true, strings.Repeat(long, 5), "purpose", "vision"), header: []string{isForm}, status: 413},
		{name: "larger, the purpose before it", method: "POST", path: "/v1/files", body: form(false, strings.Repeat(long, 5), "purpose", "vision"), header: []string{isForm}, status: 413},
		{name: "a batch's may be", method: "POST", path: "/v1/files", body: form(true, strings.Repeat(long, 5), "purpose", "batch"), header: []string{isForm}, status: 200},
		{name: "without a purpose", method: "POST", path: "/v1/files", body: form(true, "x"), header: []string{isForm}, status: 400},
		{name: "a file", method: "GET", path: "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL", asked: "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL"},
		{name: "its content", method: "GET", path: "/openai/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL/content", asked: "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL/content"},
		{name: "its end", method: "DELETE", path: "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL", asked: "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL"},
		{name: "files for another purpose", method: "GET", path: "/v1/files?purpose=vision&after=x", asked: "/v1/files"},
		{name: "a batch of a file", method: "POST", path: "/v1/batches", body: `{"input_file_id":"file-6F2ksmvXxt4VdoqmHRw6kL","endpoint":"/v1/new","new":1 }`, asked: "/v1/batches"},
		{name: "a batch", method: "GET", path: "/v1/batches/batch_6744e1f2a0b08190b1f5e3c0a5d4b2c1", asked: "/v1/batches/batch_6744e1f2a0b08190b1f5e3c0a5d4b2c1"},
		{name: "a batch's end", method: "POST", path: "/openai/v1/batches/batch_6744e1f2a0b08190b1f5e3c0a5d4b2c1/cancel", asked: "/v1/batches/batch_6744e1f2a0b08190b1f5e3c0a5d4b2c1/cancel"},
		{name: "a message batch", method: "GET", path: "/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", asked: "/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d", claude: true},
		{name: "its results", method: "GET", path: "/anthropic/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d/results", asked: "/v1/messages/batches/msgbatch_01HkcTjaV5uDC8jWR4ZsDV8d/results", claude: true},
		{name: "Claude's file", method: "POST", path: "/v1/files?beta=true", body: form(false, long), header: []string{isForm, isClaude}, asked: "/v1/files", claude: true},
		{name: "Claude's file under its prefix", method: "POST", path: "/anthropic/v1/files", body: form(false, long), header: []string{isForm}, asked: "/v1/files", claude: true},
		{name: "what Claude's file is", method: "GET", path: "/v1/files/file_011CNha8iCJcU1wXNR6q4V8w", header: []string{isClaude}, asked: "/v1/files/file_011CNha8iCJcU1wXNR6q4V8w", claude: true},
		{name: "a file of ours", method: "GET", path: "/v1/files/" + ours, status: 200},
		{name: "a file that was ours", method: "GET", path: "/v1/files/" + gone, status: 404},
		{name: "our files", method: "GET", path: "/openai/v1/files", status: 200},
		{name: "our batches", method: "GET", path: "/openai/v1/batches?after=x", status: 400},
		{name: "a job", method: "GET", path: "/v1/jobs/job_6744e1f2a0b08190b1f5e3c0a5d4b2c1", status: 404},
	} {
		before := len(u.asked())
		a := h.call(c.method, c.path, c.body, c.header...)
		got := u.asked()[before:]
		if c.asked == "" {
			if len(got) != 0 || a.status != c.status {
				t.Errorf("%s: %d %s, the vendor was asked %d times", c.name, a.status, a.body, len(got))
			}
			continue
		}
		if a.status != 200 || a.body != `{"theirs": true }` || len(got) != 1 {
			t.Errorf("%s: %d %s, the vendor was asked %d times", c.name, a.status, a.body, len(got))
			continue
		}
		_, query, _ := strings.Cut(c.path, "?")
		if s := got[0]; s.method != c.method || s.path != c.asked || s.query != query || s.body != c.body || len(c.header) > 0 && c.header[0] == isForm && s.header.Get("Content-Type") != isForm[len("Content-Type: "):] {
			t.Errorf("%s: the vendor got %s %s?%s of %d bytes, %v", c.name, s.method, s.path, s.query, len(s.body), s.header)
		} else if claude := s.header.Get("X-Api-Key") == claudeKey; claude != c.claude {
			t.Errorf("%s: asked Claude's vendor: %v", c.name, claude)
		}
		if row := h.row(a); row["op"] != "raw" || row["attempts"] == nil {
			t.Errorf("%s: row %v", c.name, row)
		}
	}

	alone := start(t, map[string]string{}, "", nil)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
	}{
		{"a file for another purpose", "POST", "/v1/files", form(true, "x", "purpose", "vision"), []string{isForm}, 400},
		{"a file", "GET", "/v1/files/file-6F2ksmvXxt4VdoqmHRw6kL", "", nil, 404},
		{"a batch of a file", "POST", "/v1/batches", `{"input_file_id":"file-x","endpoint":"/v1/responses","completion_window":"24h"}`, nil, 404},
		{"Claude's file", "GET", "/v1/files/file_x", "", []string{isClaude}, 404},
	} {
		if a := alone.call(c.method, c.path, c.body, c.header...); a.status != c.status {
			t.Errorf("without a vendor, %s: %d %s", c.name, a.status, a.body)
		}
	}
}
