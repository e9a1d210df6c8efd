package gemini

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

// TestCaseErrors: the class of each recorded-like error, and what of it goes on.
func TestCaseErrors(t *testing.T) {
	t.Parallel()
	n := 0
	for _, c := range wireCases(t) {
		if c.error == "" {
			continue
		}
		n++
		e := Codec{}.DecodeError(c.Meta.Status, http.Header{}, []byte(c.error))
		if e.Class != c.Meta.Class || e.Status != c.Meta.Status || e.Message == "" {
			t.Errorf("%s: %s %d %q, want %s %d", c.name, e.Class, e.Status, e.Message, c.Meta.Class, c.Meta.Status)
		}
		inside := Codec{}.DecodeError(0, nil, []byte(c.error)) // the same inside a 200
		if c.name != "error-html" && (inside.Class != e.Class || inside.Status != e.Status) {
			t.Errorf("%s inside a 200: %s %d", c.name, inside.Class, inside.Status)
		}
	}
	if n < 15 {
		t.Errorf("only %d errors", n)
	}
}

// TestRetryInfo: what Google says about waiting stands in the details.
func TestRetryInfo(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}`: 34400 * time.Millisecond,
		`{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"x","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"}]}}`:  7 * time.Second,
		`{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}`: 7 * time.Second,
	} {
		if e := (Codec{}).DecodeError(429, http.Header{"Retry-After": {"7"}}, []byte(body)); e.RetryAfter != want {
			t.Errorf("%s: %v, want %v", body, e.RetryAfter, want)
		}
	}
}

// TestClasses: every class has a row, and looks to a client as it should.
func TestClasses(t *testing.T) {
	t.Parallel()
	for _, class := range llm.Classes() {
		if _, ok := shapes[class]; !ok {
			t.Errorf("%s has no row", class)
		}
		e := llm.Errorf(class, "secret-%s", class)
		e.Provider, e.RetryAfter = "p", 1500*time.Millisecond
		status, body := Codec{}.EncodeError(e)
		if status != shapes[class].status || get(get(body, "error"), "message") == nil || !strings.Contains(string(body), `"retryDelay":"1.5s"`) || !validJSON(body) {
			t.Errorf("%s: %d %s", class, status, body)
		}
		if class == llm.Auth && strings.Contains(string(body), "secret") {
			t.Errorf("the client reads what the provider said of our credential: %s", body)
		}
		if class == llm.ContextOverflow && (Codec{}).DecodeError(status, nil, body).Class != class {
			t.Errorf("another gateway would not see the overflow in %s", body)
		}
	}
	const own = `{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{"x":1}]}}`
	if _, body := (Codec{}).EncodeError(Codec{}.DecodeError(400, nil, []byte(own))); string(body) != own {
		t.Errorf("the provider's own words became %s", body)
	}
	if _, body := (Codec{}).EncodeError(Codec{}.DecodeError(400, nil, []byte("["+own+"]"))); body[0] != '{' {
		t.Errorf("no SDK of this dialect reads %s", body)
	}
}

// TestEmbeddings: both forms, both sides.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	r, err := Codec{}.DecodeEmbed([]byte(`{"model":"models/e","content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"RETRIEVAL_DOCUMENT","title":"t","outputDimensionality":3}`))
	if err != nil {
		t.Fatal(err)
	}
	want := llm.EmbedRequest{From: llm.Gemini, Raw: r.Raw, Model: "e", Single: true, Task: "RETRIEVAL_DOCUMENT", Dimensions: 3, Inputs: []llm.EmbedInput{{Text: "ab", Title: "t"}}}
	if d := cmp.Diff(&want, r); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	encode := func(r *llm.EmbedRequest) (string, int) {
		e, err := Codec{}.EncodeEmbed(r, "x", nil)
		if err != nil {
			t.Fatal(err)
		}
		return joined(e), len(e.Losses)
	}
	if got, n := encode(r); got != `{"model":"models/x","content":{"parts":[{"text":"ab"}]},"taskType":"RETRIEVAL_DOCUMENT","title":"t","outputDimensionality":3}` || n != 0 {
		t.Errorf("%s %d", got, n)
	}
	if got, n := encode(&llm.EmbedRequest{From: llm.OpenAI, Single: true, Inputs: []llm.EmbedInput{{Text: "a"}}, EndUser: "u"}); got != `{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]}}]}` || n != 1 {
		t.Errorf("%s %d", got, n)
	}
	e, err := Codec{}.EncodeEmbed(&llm.EmbedRequest{From: llm.OpenAI, Inputs: []llm.EmbedInput{{Tokens: []byte(`[1]`)}}}, "x", nil)
	if err != nil || llm.Refusal(e.Losses) == nil {
		t.Errorf("token numbers: %v %v", e.Losses, err)
	}
	batch, err := Codec{}.DecodeEmbed([]byte(`{"requests":[{"model":"models/e","content":{"parts":[{"text":"a"}]}},{"model":"models/e","content":{"parts":{"text":"b"}}}]}`))
	if err != nil || batch.Single || len(batch.Inputs) != 2 || batch.Model != "e" {
		t.Errorf("%+v %v", batch, err)
	}
	for body, class := range map[string]llm.Class{
		`{"requests":[]}`: llm.InvalidRequest, `{}`: llm.InvalidRequest,
		`{"content":{"parts":[{"inlineData":{"data":"x"}}]}}`:                                                     llm.Unsupported,
		`{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"a"}]},"taskType":"X"}]}`: llm.Unsupported,
	} {
		if _, err := (Codec{}).DecodeEmbed([]byte(body)); err == nil || err.(*llm.Error).Class != class {
			t.Errorf("%s: %v", body, err)
		}
	}
	answer, err := Codec{}.DecodeEmbeddings([]byte(`{"embeddings":[{"values":[0.5,-1e-3]},{"values":[1]}],"usageMetadata":{"promptTokenCount":4}}`))
	if err != nil || len(answer.Vectors) != 2 || answer.Usage.Input != 4 {
		t.Fatalf("%+v %v", answer, err)
	}
	if got := string(Codec{}.AppendEmbeddings(nil, batch, answer)); got != `{"embeddings":[{"values":[0.5,-1e-3]},{"values":[1]}],"usageMetadata":{"promptTokenCount":4}}` {
		t.Error(got)
	}
	if got := string(Codec{}.AppendEmbeddings(nil, r, &llm.Embeddings{Vectors: []llm.Vector{{Base64: "AAAAPwAAgL8="}}})); got != `{"embedding":{"values":[0.5,-1]}}` {
		t.Error(got)
	}
	if g, err := (Codec{}).GlanceEmbed([]byte(`{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}`)); err != nil || g.Usage.Input != 4 {
		t.Errorf("%+v %v", g, err)
	}
	if _, err := (Codec{}).DecodeEmbeddings([]byte(`{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}`)); err == nil || err.(*llm.Error).Class != llm.RateLimited {
		t.Errorf("%v", err)
	}
}

// TestCountAndModels: the small answers.
func TestCountAndModels(t *testing.T) {
	t.Parallel()
	r := &llm.Request{From: llm.OpenAI, Items: []llm.Item{said(llm.System, txt("s")), said(llm.User, txt("hi"))}, Tools: []llm.Tool{{Name: "f"}}}
	e, err := Codec{}.EncodeCount(r, "m", nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"generateContentRequest":{"model":"models/m","tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object","properties":{}}}]}],"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}}`
	if d := cmp.Diff(want, joined(e)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	back, err := Codec{}.DecodeRequest([]byte(want))
	if err != nil || len(back.Items) != 2 || len(back.Tools) != 1 || back.Model != "m" {
		t.Errorf("%+v %v", back, err)
	}
	if n, err := (Codec{}).DecodeCount(Codec{}.AppendCount(nil, 31)); n != 31 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if _, err := (Codec{}).DecodeCount([]byte(`{}`)); err == nil {
		t.Error("no count is a count")
	}
	got := string(Codec{}.AppendModels(nil, []llm.ModelInfo{{ID: "openai/gpt-5.5", OwnedBy: "openai", Window: 400000, MaxOutput: 128000, Capability: llm.Capability{Known: true, Has: llm.Thinking}}, {ID: "x"}}))
	if d := cmp.Diff(`{"models":[{"name":"models/openai/gpt-5.5","version":"001","displayName":"openai/gpt-5.5","description":"openai/gpt-5.5 of openai","inputTokenLimit":400000,"outputTokenLimit":128000,"supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"],"thinking":true},{"name":"models/x","version":"001","displayName":"x","supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]}]}`, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestPage: every model stands on one page, in order, however they are asked for.
func TestPage(t *testing.T) {
	t.Parallel()
	models := []llm.ModelInfo{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}, {ID: "e"}}
	for _, size := range []string{"", "0", "1", "2", "5", "7", "5000"} {
		var names []string
		token := ""
		for range 6 {
			page, err := Codec{}.AppendPage(nil, models, url.Values{"pageSize": {size}, "pageToken": {token}})
			if err != nil {
				t.Fatalf("size %s, token %q: %v", size, token, err)
			}
			var got struct {
				Models        []struct{ Name string }
				NextPageToken string
			}
			if err := json.Unmarshal(page, &got, json.MatchCaseInsensitiveNames(true)); err != nil {
				t.Fatalf("%s: %v", page, err)
			}
			if n, _ := strconv.Atoi(size); n > 0 && len(got.Models) > n {
				t.Errorf("size %s: %d models", size, len(got.Models))
			}
			for _, m := range got.Models {
				names = append(names, strings.TrimPrefix(m.Name, "models/"))
			}
			if token = got.NextPageToken; token == "" {
				break
			}
		}
		if got := strings.Join(names, ""); got != "abcde" {
			t.Errorf("size %q: %s", size, got)
		}
	}
	for _, bad := range []url.Values{{"pageSize": {"x"}}, {"page_size": {"-1"}}, {"pageToken": {"later"}}} {
		if page, err := (Codec{}).AppendPage(nil, models, bad); err == nil {
			t.Errorf("%v: %s", bad, page)
		}
	}
}
