package app_test

import (
	"fmt"
	"regexp"
	"testing"

	"headrace/internal/wire/wiretest"
)

// TestRefusalsAreOneClass: an answer that refuses the content comes whole to
// the clients of every dialect, and is a refusal in the ledger, the figures and
// the history, with its phase. A route that declares another model for it asks
// that one, and tells the refusal when it fails.
func TestRefusalsAreOneClass(t *testing.T) {
	t.Parallel()
	h := open(t, nil, `routes:
  declared: [rehearsal/quick, anthropic/claude-haiku-4-5]
retries:
  routes: {declared: {classes: {content_refused: {next: true}}}}
providers:
  anthropic: {base_url: "http://127.0.0.1:1", api_key: k}
`)
	for i := range faces {
		f := &faces[i]
		for _, stream := range []bool{false, true} {
			for directive, phase := range map[string]string{"content_refused": "prompt", "content_refused; after=3": "output"} {
				for _, model := range []string{"rehearsal/quick", "declared"} {
					name := fmt.Sprintf("%s to %s, streamed %t, %s", directive, f, stream, model)
					a := f.ask(h, model, "say exactly: one two three four five six", stream, "", directive)
					got, err := wiretest.Read(f.dialect, stream, []byte(a.body))
					if err != nil || got.Err || a.status != 200 {
						t.Errorf("%s: %d, the client reads %+v, %v in\n%s", name, a.status, got, err, a.body)
					}
					row := h.row(a)
					attempts := row["attempts"].([]any)
					first := attempts[0].(map[string]any)
					refused, _ := first["refused"].(map[string]any)
					if row["class"] != "content_refused" || row["status"] != 200.0 || first["class"] != "content_refused" || first["status"] != 200.0 || refused["phase"] != phase {
						t.Errorf("%s: the row is %v", name, row)
					}
					// Words that were shown stand in the way of another model.
					asked := model == "declared" && !(stream && phase == "output")
					if asked != (len(attempts) > 1) {
						t.Errorf("%s: %d attempts", name, len(attempts))
					}
				}
			}
		}
	}
	if m := h.call("GET", "/metrics", ""); !regexp.MustCompile(`headrace_attempts_total\{[^}]*class="content_refused"[^}]*\} [1-9]`).MatchString(m.body) {
		t.Errorf("the figures know of no refusal:\n%s", m.body)
	}
}
