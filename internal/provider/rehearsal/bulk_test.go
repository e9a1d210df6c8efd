package rehearsal_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
	"headrace/internal/provider/rehearsal"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
)

func TestBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := rehearsal.New(rehearsal.Options{Codecs: map[llm.Dialect]rehearsal.Codec{llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{}}})
		ask := func(method, path, kind, order, body string) string {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, "http://x"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", kind)
			if order != "" {
				r.Header.Set(rehearsal.Header, order)
			}
			resp, err := p.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		id := func(body string) string {
			t.Helper()
			var v struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal([]byte(body), &v); err != nil || v.ID == "" {
				t.Fatalf("%v in %s", err, body)
			}
			return v.ID
		}
		has := func(body string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(body, part) {
					t.Errorf("no %s in %s", part, body)
				}
			}
		}
		const good = `{"model":"quick","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`
		requests := `{"requests":[{"custom_id":"1","params":` + good + `},{"custom_id":"2","params":` + strings.Replace(good, "quick", "none", 1) + `}]}`
		const messages = "/v1/messages/batches"
		b := id(ask("POST", messages, "application/json", "delay=40s", requests))
		has(ask("GET", messages+"/"+b, "", "", ""), `"in_progress"`, `"processing":2`)
		has(ask("GET", messages+"/"+b+"/results", "", "", ""), "not_found_error")
		time.Sleep(40 * time.Second)
		has(ask("GET", messages+"/"+b, "", "", ""), `"ended"`, `"succeeded":1`, `"errored":1`)
		has(ask("GET", messages+"/"+b+"/results", "", "", ""), `{"custom_id":"1","result":{"type":"succeeded","message":{`, `{"custom_id":"2","result":{"type":"errored","error":{`)
		b = id(ask("POST", messages, "application/json", "delay=40s", requests))
		has(ask("POST", messages+"/"+b+"/cancel", "", "", ""), `"canceling"`)
		has(ask("GET", messages+"/"+b, "", "", ""), `"ended"`, `"canceled":2`)
		has(ask("GET", messages, "", "", ""), `"canceled":2`, `"succeeded":1`)

		// A delay in the text of a line is the batch's, and no line waits again.
		slow := func(orders string) string { return strings.Replace(good, "hello", "hello [[rehearse: "+orders+"]]", 1) }
		b = id(ask("POST", messages, "application/json", "", `{"requests":[{"custom_id":"1","params":`+slow("delay=20s")+`},{"custom_id":"2","params":`+slow("delay=50s")+`},{"custom_id":"3","params":`+slow("timeout")+`}]}`))
		time.Sleep(49 * time.Second)
		has(ask("GET", messages+"/"+b, "", "", ""), `"in_progress"`)
		time.Sleep(time.Second)
		began := time.Now()
		has(ask("GET", messages+"/"+b, "", "", ""), `"ended"`, `"succeeded":2`, `"errored":1`)
		if d := time.Since(began); d != 0 {
			t.Errorf("the lines of a batch took %v", d)
		}

		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		f, err := w.CreateFormFile("file", "a.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, `{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":`+good+"}\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file := id(ask("POST", "/v1/files", w.FormDataContentType(), "", form.String()))
		has(ask("POST", "/v1/batches", "application/json", "", `{"input_file_id":"`+file+`","endpoint":"/v1/batches"}`), "there are no batches for")
		b = id(ask("POST", "/v1/batches", "application/json", "delay=40s", `{"input_file_id":"`+file+`","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":"b"}}`))
		has(ask("GET", "/v1/batches/"+b, "", "", ""), `"in_progress"`, `{"a":"b"}`)
		time.Sleep(40 * time.Second)
		has(ask("GET", "/v1/batches/"+b, "", "", ""), `"completed"`, `"completed":1`, `"output_file_id":"`+b+`-out"`)
		has(ask("GET", "/v1/files/"+b+"-out/content", "", "", ""), `"custom_id":"1"`, `"status_code":200`)
	})
}
