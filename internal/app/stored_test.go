package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// native is an answer of the Responses API with an id, and ended the same as a
// stream.
func native(id, text string) string {
	return `{"id":"` + id + `","object":"response","created_at":1,"status":"completed","model":"gpt-x","output":[{"id":"msg_` + id + `","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"` + text + `"}]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}`
}

func nativeStream(id, text string) string {
	event := func(kind, rest string) string {
		return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\"," + rest + "}\n\n"
	}
	return event("response.created", `"sequence_number":0,"response":{"id":"`+id+`","object":"response","created_at":1,"status":"in_progress","model":"gpt-x","output":[]}`) +
		event("response.output_item.added", `"sequence_number":1,"output_index":0,"item":{"id":"m","type":"message","status":"in_progress","role":"assistant","content":[]}`) +
		event("response.output_text.delta", `"sequence_number":2,"item_id":"m","output_index":0,"content_index":0,"delta":"`+text+`"`) +
		event("response.completed", `"sequence_number":3,"response":`+native(id, text))
}

// both is an upstream that is Anthropic's and that of a provider with the
// Responses API, whose answers count up.
func both(t *testing.T) *upstream {
	u := newUpstream(t, nil)
	n := 0
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		all := u.asked()
		body := all[len(all)-1].body
		streamed := strings.Contains(body, `"stream":true`)
		switch path := r.URL.Path; {
		case path == "/v1/messages" && streamed:
			write(w, "text/event-stream", claudeStream)
		case path == "/v1/messages":
			write(w, "application/json", msgAnswer)
		case path == "/v1/responses" && strings.Contains(body, "FAIL"):
			http.Error(w, `{"error":{"message":"down"}}`, http.StatusServiceUnavailable)
		case path == "/v1/responses" && streamed:
			n++
			write(w, "text/event-stream", nativeStream(fmt.Sprint("resp_native", n), "Hello"))
		case path == "/v1/responses":
			n++
			write(w, "application/json", native(fmt.Sprint("resp_native", n), "Hello"))
		case strings.HasPrefix(path, "/v1/responses/resp_native"):
			write(w, "application/json", `{"from":"`+r.Method+" "+path+`"}`)
		default:
			t.Errorf("nobody answers %s %s", r.Method, path)
		}
	}
	return u
}

// last is what the upstream was asked last.
func (u *upstream) last() seen {
	all := u.asked()
	return all[len(all)-1]
}

const claude = "anthropic/claude-haiku-4-5"

func sdk(h *house, token string) *openai.Client {
	c := openai.NewClient(option.WithBaseURL(h.base+"/v1"), option.WithAPIKey(token), option.WithMaxRetries(0))
	return &c
}

// say asks through the SDK, whole or streamed, and gives the response.
func say(t *testing.T, c *openai.Client, stream bool, p responses.ResponseNewParams) (*responses.Response, error) {
	t.Helper()
	if !stream {
		return c.Responses.New(t.Context(), p)
	}
	s := c.Responses.NewStreaming(t.Context(), p)
	var whole *responses.Response
	ids := map[string]bool{}
	for s.Next() {
		e := s.Current()
		if e.Response.ID != "" {
			ids[e.Response.ID] = true
		}
		switch e.Type {
		case "response.completed":
			whole = &e.Response
		case "response.failed":
			return nil, errors.New(e.Response.Error.Message)
		}
	}
	if len(ids) > 1 {
		t.Errorf("one stream, several ids: %v", ids)
	}
	if s.Err() == nil && whole == nil {
		return nil, errors.New("the stream has no end")
	}
	return whole, s.Err()
}

func text(s string) responses.ResponseNewParamsInputUnion {
	return responses.ResponseNewParamsInputUnion{OfString: openai.String(s)}
}

// status gives that of an SDK's error; 0 when it is none.
func status(err error) (int, *openai.Error) {
	var e *openai.Error
	if errors.As(err, &e) {
		return e.StatusCode, e
	}
	return 0, nil
}

// TestStoredAnswers: an answer that was translated is kept under an id of ours;
// the SDK goes on from it, shows it, lists its input and deletes it.
func TestStoredAnswers(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			u := both(t)
			data := t.TempDir()
			env := func() map[string]string {
				return map[string]string{"ANTHROPIC_API_KEY": claudeKey, "HEADRACE_ANTHROPIC_BASE_URL": u.URL}
			}
			h := startIn(t, data, env(), "", nil)
			c := sdk(h, key)
			first, err := say(t, c, stream, responses.ResponseNewParams{Model: claude, Instructions: openai.String("Be brief."), Input: text("One?")})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(first.ID, "resp_") || first.OutputText() != "Hello" || !strings.Contains(first.RawJSON(), `"store":true`) {
				t.Fatalf("the first answer: %s", first.RawJSON())
			}
			second, err := say(t, c, stream, responses.ResponseNewParams{Model: claude, Input: text("Two?"), PreviousResponseID: openai.String(first.ID)})
			if err != nil {
				t.Fatal(err)
			}
			if second.ID == first.ID || second.PreviousResponseID != first.ID {
				t.Errorf("the second answer: %s", second.RawJSON())
			}
			if got := roles(t, u.last().body); got != "user One?, assistant Hello, user Two?" || strings.Contains(u.last().body, "brief") {
				t.Errorf("the provider was asked %s: %s", got, u.last().body)
			}

			// After a restart all is there.
			h.stop()
			h = startIn(t, data, env(), "", nil)
			c = sdk(h, key)
			got, err := c.Responses.Get(t.Context(), second.ID, responses.ResponseGetParams{})
			if err != nil || got.RawJSON() != second.RawJSON() {
				t.Errorf("shown: %v\n%s\nwant\n%s", err, got.RawJSON(), second.RawJSON())
			}
			var texts []string
			pages := c.Responses.InputItems.ListAutoPaging(t.Context(), second.ID, responses.InputItemListParams{Limit: openai.Int(2)})
			for pages.Next() {
				it := pages.Current()
				if it.ID == "" || it.Type != "message" {
					t.Errorf("item %s", it.RawJSON())
				}
				var m struct {
					Role    string
					Content []struct{ Text string }
				}
				if err := json.Unmarshal([]byte(it.RawJSON()), &m); err != nil || len(m.Content) != 1 {
					t.Fatalf("item %s: %v", it.RawJSON(), err)
				}
				texts = append(texts, m.Role+" "+m.Content[0].Text)
			}
			if got := strings.Join(texts, ", "); pages.Err() != nil || got != "user Two?, assistant Hello, user One?" {
				t.Errorf("the input items: %s (%v)", got, pages.Err())
			}
			asc, err := c.Responses.InputItems.List(t.Context(), second.ID, responses.InputItemListParams{Order: responses.InputItemListParamsOrderAsc, Limit: openai.Int(1)})
			if err != nil || !asc.HasMore || len(asc.Data) != 1 || !strings.Contains(asc.Data[0].RawJSON(), "One?") {
				t.Errorf("the oldest item: %v %s", err, asc.RawJSON())
			}

			_, err = c.Responses.Cancel(t.Context(), second.ID)
			if s, _ := status(err); s != 400 {
				t.Errorf("cancel: %v", err)
			}
			if a := h.call("GET", "/v1/responses/"+second.ID+"?stream=true", ""); a.status != 400 || !strings.Contains(a.body, `"param":"stream"`) {
				t.Errorf("its stream: %d %s", a.status, a.body)
			}
			if a := h.call("GET", "/v1/responses/"+second.ID+"/input_items?limit=0", ""); a.status != 400 || !strings.Contains(a.body, `"param":"limit"`) {
				t.Errorf("a page of nothing: %d %s", a.status, a.body)
			}
			if a := h.call("GET", "/openai/v1/responses/"+second.ID, ""); a.status != 200 || a.body != second.RawJSON() {
				t.Errorf("under the prefix: %d %s", a.status, a.body)
			}

			// Another key sees nothing of it.
			other := sdk(h, secondKey(h))
			_, err = other.Responses.Get(t.Context(), second.ID, responses.ResponseGetParams{})
			if s, _ := status(err); s != 404 {
				t.Errorf("another key was shown it: %v", err)
			}
			_, err = other.Responses.InputItems.List(t.Context(), second.ID, responses.InputItemListParams{})
			if s, _ := status(err); s != 404 {
				t.Errorf("another key was shown its input: %v", err)
			}
			_, err = say(t, other, stream, responses.ResponseNewParams{Model: claude, Input: text("Two?"), PreviousResponseID: openai.String(first.ID)})
			if s, e := status(err); s != 400 || e.Code != "previous_response_not_found" || e.Param != "previous_response_id" {
				t.Errorf("another key goes on from it: %v", err)
			}
			if s, _ := status(other.Responses.Delete(t.Context(), second.ID)); s != 404 {
				t.Error("another key may delete it")
			}

			if err := c.Responses.Delete(t.Context(), second.ID); err != nil {
				t.Error(err)
			}
			_, err = c.Responses.Get(t.Context(), second.ID, responses.ResponseGetParams{})
			if s, _ := status(err); s != 404 {
				t.Errorf("deleted and shown: %v", err)
			}
			// What the client does not want kept is not.
			third, err := say(t, c, stream, responses.ResponseNewParams{Model: claude, Input: text("x"), Store: openai.Bool(false)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Responses.Get(t.Context(), third.ID, responses.ResponseGetParams{})
			if s, _ := status(err); s != 404 || !strings.Contains(third.RawJSON(), `"store":false`) {
				t.Errorf("it was kept: %v, %s", err, third.RawJSON())
			}
		})
	}
}

// secondKey makes another key and waits until it works.
func secondKey(h *house) string {
	h.t.Helper()
	made := h.call("POST", "/admin/v1/keys", `{"name":"second"}`, "Authorization: Bearer "+adminToken, "Content-Type: application/json")
	var second struct{ Token string }
	if err := json.Unmarshal([]byte(made.body), &second); err != nil || second.Token == "" {
		h.t.Fatalf("%d %s", made.status, made.body)
	}
	waitFor(h.t, func() bool {
		return h.call("GET", "/v1/models", "", "Authorization: Bearer "+second.Token).status == 200
	}, "the second key to work")
	return second.Token
}

// roles gives who says what in a Messages or a Responses request.
func roles(t *testing.T, body string) string {
	t.Helper()
	var r struct {
		Messages, Input []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Errorf("%v in %s", err, body)
	}
	var all []string
	for _, m := range append(r.Messages, r.Input...) {
		var s string
		var parts []struct{ Text string }
		if json.Unmarshal(m.Content, &s) != nil && json.Unmarshal(m.Content, &parts) == nil {
			for _, p := range parts {
				s += p.Text
			}
		}
		all = append(all, m.Role+" "+s)
	}
	return strings.Join(all, ", ")
}

// TestNativeAnswers: an answer that its own provider holds passes byte for
// byte, is continued and asked for there, and is written out for another
// provider when that one cannot.
func TestNativeAnswers(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprint("stream ", stream), func(t *testing.T) {
			t.Parallel()
			u := both(t)
			data := t.TempDir()
			env := func() map[string]string {
				return map[string]string{"ANTHROPIC_API_KEY": claudeKey, "HEADRACE_ANTHROPIC_BASE_URL": u.URL}
			}
			const routes = "routes: {smart: [" + claude + ", own/gpt-x]}\nretries: {failures: 0, classes: {overloaded: {repeat: 0}}}\n"
			yaml := "providers: {own: {dialect: responses, auth: bearer, api_key: own-key, base_url: " + u.URL + "/v1}}\n" + routes
			h := startIn(t, data, env(), yaml, nil)
			ask := func(model, rest string) answer {
				return h.call("POST", "/v1/responses", fmt.Sprintf(`{"model":%q,"stream":%v%s}`, model, stream, rest))
			}
			want := func(id string) string {
				if stream {
					return nativeStream(id, "Hello")
				}
				return native(id, "Hello")
			}
			if a := ask("own/gpt-x", `,"input":"One?"`); a.status != 200 || a.body != want("resp_native1") {
				t.Fatalf("%d %s", a.status, a.body)
			}
			const goOn = `,"input":"Two?","previous_response_id":"resp_native1"`
			// The route has another first; the conversation is where it is.
			if a := ask("smart", goOn); a.status != 200 || a.body != want("resp_native2") || u.last().path != "/v1/responses" || !strings.Contains(u.last().body, goOn) {
				t.Errorf("%d %s\nasked %v", a.status, a.body, u.last())
			}
			// It fails: the other one is given the conversation in full.
			if a := ask("smart", strings.Replace(goOn, "Two?", "FAIL", 1)); a.status != 200 || u.last().path != "/v1/messages" || roles(t, u.last().body) != "user One?, assistant Hello, user FAIL" {
				t.Errorf("%d %s\nasked %v", a.status, a.body, u.last())
			}
			// The client names another model.
			if a := ask(claude, goOn); a.status != 200 || roles(t, u.last().body) != "user One?, assistant Hello, user Two?" {
				t.Errorf("%d %s\nasked %v", a.status, a.body, u.last())
			}
			// Of several turns, made here and there.
			if a := ask(claude, strings.Replace(goOn, "native1", "native2", 1)); a.status != 200 || roles(t, u.last().body) != "user One?, assistant Hello, user Two?, assistant Hello, user Two?" {
				t.Errorf("%d %s\nasked %v", a.status, a.body, u.last())
			}

			// What is asked about it goes to who holds it.
			for _, q := range []string{"GET /v1/responses/resp_native1", "POST /v1/responses/resp_native1/cancel", "GET /v1/responses/resp_native1/input_items", "DELETE /v1/responses/resp_native2"} {
				method, path, _ := strings.Cut(q, " ")
				a := h.call(method, path+"?x=1", "")
				if last := u.last(); a.status != 200 || a.body != `{"from":"`+q+`"}` || last.query != "x=1" || last.header.Get("Authorization") != "Bearer own-key" {
					t.Errorf("%s: %d %s, asked %v", q, a.status, a.body, last)
				}
				if a := h.call(method, path, "", "Authorization: Bearer "+secondKeyOnce(h)); a.status != 404 {
					t.Errorf("%s for another key: %d %s", q, a.status, a.body)
				}
			}
			if a := h.call("GET", "/v1/responses/resp_native2", ""); a.status != 404 {
				t.Errorf("deleted there and known here: %d %s", a.status, a.body)
			}
			if a := ask("own/gpt-x", `,"input":"x","store":false`); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a := ask("own/gpt-x", `,"input":"x","previous_response_id":"resp_native3"`); a.status != 400 || !strings.Contains(a.body, "previous_response_not_found") {
				t.Errorf("an answer that was not stored: %d %s", a.status, a.body)
			}

			// Its provider is gone, and what is known of it is not.
			h.stop()
			h = startIn(t, data, env(), "routes: {smart: ["+claude+"]}\n", nil)
			if a := ask("smart", goOn); a.status != 200 || roles(t, u.last().body) != "user One?, assistant Hello, user Two?" {
				t.Errorf("%d %s\nasked %v", a.status, a.body, u.last())
			}
			if a := h.call("GET", "/v1/responses/resp_native1", ""); a.status != 200 || a.body != native("resp_native1", "Hello") {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

var otherKeys = map[*house]string{}

// secondKeyOnce is secondKey, made once.
func secondKeyOnce(h *house) string {
	if otherKeys[h] == "" {
		otherKeys[h] = secondKey(h)
	}
	return otherKeys[h]
}

// TestConversationsStayAtTheirProvider, which alone knows what they hold.
func TestConversationsStayAtTheirProvider(t *testing.T) {
	t.Parallel()
	u := both(t)
	h := open(t, u, "providers: {own: {dialect: responses, auth: bearer, api_key: own-key, base_url: "+u.URL+"/v1}}\nroutes: {smart: ["+claude+", own/gpt-x]}\n")
	ask := func(model, rest string) answer {
		return h.call("POST", "/v1/responses", fmt.Sprintf(`{"model":%q,"input":"x"%s}`, model, rest))
	}
	if a := ask(claude, `,"conversation":"conv_1"`); a.status != 400 || !strings.Contains(a.body, "conversation") {
		t.Errorf("another dialect: %d %s", a.status, a.body)
	}
	if a := ask("own/gpt-x", `,"conversation":{"id":"conv_1"}`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := ask("smart", `,"conversation":"conv_1"`); a.status != 200 || u.last().path != "/v1/responses" {
		t.Errorf("the route: %d %s", a.status, a.body)
	}
	if a := ask(claude, `,"conversation":"conv_1"`); a.status != 400 || !strings.Contains(a.body, "held by own itself") {
		t.Errorf("another dialect, known: %d %s", a.status, a.body)
	}
	// What it said is not the whole conversation.
	if a := ask(claude, `,"previous_response_id":"resp_native1"`); a.status != 400 || !strings.Contains(a.body, "held by own itself") {
		t.Errorf("an answer inside a conversation: %d %s", a.status, a.body)
	}
	if a := h.call("GET", "/v1/responses/conversation:conv_1", ""); a.status != 404 {
		t.Errorf("the note of a conversation is shown: %d %s", a.status, a.body)
	}
}

// TestStoreLocked: with the store out of reach only a client that asks for its
// answer to be stored is refused.
func TestStoreLocked(t *testing.T) {
	t.Parallel()
	u := both(t)
	data := t.TempDir()
	h := startIn(t, data, map[string]string{"ANTHROPIC_API_KEY": claudeKey, "HEADRACE_ANTHROPIC_BASE_URL": u.URL}, "", nil)
	if a := h.call("GET", "/v1/models", ""); a.status != 200 {
		t.Fatal(a.body)
	}
	files, err := filepath.Glob(filepath.Join(data, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v %v", files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	lock, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { _, err = lock.ExecContext(t.Context(), "BEGIN IMMEDIATE"); return err == nil }, "the store to be locked")
	t.Cleanup(func() { lock.ExecContext(context.Background(), "ROLLBACK") }) // after the subtests
	for _, c := range []struct {
		rest   string
		status int
		has    string
	}{
		{`,"store":false`, 200, `"store":false`},
		{``, 200, `"store":true`},
		{`,"store":true`, 503, "store: false"},
		{`,"store":true,"stream":true`, 200, "response.failed"},
		{`,"stream":true`, 200, "response.completed"},
		{`,"store":false,"previous_response_id":"resp_x"`, 400, "previous_response_not_found"}, // it can be read
	} {
		t.Run(c.rest, func(t *testing.T) {
			t.Parallel()
			a := h.call("POST", "/v1/responses", `{"model":"`+claude+`","input":"x"`+c.rest+`}`)
			if a.status != c.status || !strings.Contains(a.body, c.has) || strings.Count(a.body, "event: response.completed")+strings.Count(a.body, "event: response.failed") > 1 {
				t.Errorf("%d %s", a.status, a.body)
			}
			if warned := strings.Contains(a.header.Get("X-Headrace-Warnings"), "store:"); warned {
				t.Errorf("warnings: %v", a.header)
			}
		})
	}
}

// TestEcho: a translated answer repeats its request in the request's own words.
func TestEcho(t *testing.T) {
	t.Parallel()
	u := both(t)
	h := open(t, u, "")
	echo := map[string]string{
		"instructions": `"Be brief."`, "temperature": `0.50`, "max_output_tokens": `77`, "metadata": `{"a":"b"}`, "truncation": `"auto"`,
		"tools": `[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]`, "tool_choice": `"none"`,
		"text": `{"format":{"type":"text"}}`, "user": `"u1"`, "parallel_tool_calls": `false`, "store": `false`,
	}
	var said []string
	for name, v := range echo {
		said = append(said, fmt.Sprintf("%q:%s", name, v))
	}
	body := `{"model":"` + claude + `","input":"x",` + strings.Join(said, ",")
	check := func(object string) {
		t.Helper()
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(object), &got); err != nil {
			t.Fatal(err, object)
		}
		for name, v := range echo {
			if string(got[name]) != v {
				t.Errorf("%s is %s, want %s", name, got[name], v)
			}
		}
		if string(got["top_p"]) != "null" {
			t.Errorf("top_p is %s", got["top_p"])
		}
	}
	a := h.call("POST", "/v1/responses", body+"}")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	check(a.body)
	n := 0
	for _, line := range strings.Split(h.call("POST", "/v1/responses", body+`,"stream":true}`).body, "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(data, `"response":{`) {
			var e struct{ Response json.RawMessage }
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				t.Fatal(err)
			}
			check(string(e.Response))
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d events have a response", n)
	}
}
