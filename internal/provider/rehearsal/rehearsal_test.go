package rehearsal

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

// both asks whole and streamed, on both dialects; the two must agree.
func both(t *testing.T, req llm.Request, directive string, check func(t *testing.T, d llm.Dialect, a answered)) {
	t.Helper()
	for _, d := range dialects {
		t.Run(string(d), func(t *testing.T) {
			p := provider()
			req.Stream = false
			whole := ask(t, p, d, req, directive)
			req.Stream = true
			stream := ask(t, p, d, req, directive)
			if whole.status != 200 || stream.status != 200 || whole.err != nil || stream.err != nil {
				t.Fatalf("status %d and %d, errors %v and %v: %s", whole.status, stream.status, whole.err, stream.err, whole.body)
			}
			check(t, d, whole)
			check(t, d, stream)
			// Ids follow from the body, which says "stream".
			opts := cmp.Options{cmpopts.IgnoreFields(llm.Call{}, "ID"), cmpopts.IgnoreFields(llm.Opaque{}, "Data"),
				cmpopts.IgnoreFields(llm.Response{}, "ID", "From"), cmpopts.EquateEmpty()}
			if diff := cmp.Diff(whole.words, stream.words, opts); diff != "" {
				t.Errorf("whole and streamed differ:\n%s", diff)
			}
		})
	}
}

func has(parts ...string) func(*testing.T, llm.Dialect, answered) {
	return func(t *testing.T, d llm.Dialect, a answered) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(a.text(), p) {
				t.Errorf("%q is not in the answer %q", p, a.text())
			}
		}
		if len(a.calls()) > 0 {
			t.Errorf("it calls %v", a.calls())
		}
	}
}

func says(text string) func(*testing.T, llm.Dialect, answered) {
	return func(t *testing.T, d llm.Dialect, a answered) {
		t.Helper()
		if a.text() != text {
			t.Errorf("it says %q, not %q", a.text(), text)
		}
	}
}

func TestReplies(t *testing.T) {
	steady := user("What is a headrace?")
	steady.Model = Steady
	prefixed := user("Hello")
	prefixed.Model = "rehearsal/quick"
	image := user("What is this?")
	image.Items[0].Blocks = append(image.Items[0].Blocks,
		llm.Block{Kind: llm.BlockImage, Media: llm.Media{MIME: "image/png", Data: "aGVsbG8="}},
		llm.Block{Kind: llm.BlockImage, Media: llm.Media{URL: "https://example.com/a.jpg"}},
		llm.Block{Kind: llm.BlockFile, Media: llm.Media{MIME: "application/pdf", Data: "aGVsbG8="}})
	reminded := user("<system-reminder>\nUse get_weather.\n</system-reminder>")
	reminded.Items[0].Blocks = append(reminded.Items[0].Blocks, llm.Block{Kind: llm.BlockText, Text: "Good morning"})
	reminded.Items = append(reminded.Items, said(llm.System, 1, "Effort is medium."))
	reminded.Tools = []llm.Tool{tool("get_weather", `{}`)}
	titled := user("Please repair the login page of the shop")
	titled.Items = append([]llm.Item{said(llm.System, -1, "Write a short title for this conversation.")}, titled.Items...)
	topic := user("Please repair the login page")
	topic.Items = append([]llm.Item{said(llm.System, -1, "Analyze if this message is a new topic. Format your response as a JSON object with two fields: 'isNewTopic' (boolean) and 'title' (string, or null if not).")}, topic.Items...)
	example := user("Fix the bug in parser.go")
	example.Items = append([]llm.Item{said(llm.System, -1, `Generate a title. Return JSON with a single "title" field. Good: {"title": "Fix login button"}`)}, example.Items...)
	for name, c := range map[string]struct {
		req   llm.Request
		check func(*testing.T, llm.Dialect, answered)
	}{
		"quick quotes":      {user("Tell me about\nwater mills, please."), has("“Tell me about water mills, please.”", "rehearsal, not a model")},
		"prefixed":          {prefixed, has("“Hello”")},
		"steady is longer":  {steady, has("“What is a headrace?”", "not a model", "1 message", "0 tools")},
		"no text":           {llm.Request{Model: Quick, Items: []llm.Item{said(llm.User, 0, "")}}, has("You sent no text", "not a model")},
		"say exactly":       {user("Please say exactly: Grüße, 世界! 👩‍🚀"), says("Grüße, 世界! 👩‍🚀")},
		"reply with":        {user(`Reply with: "OK"`), says("OK")},
		"reply with exact":  {user("Reply with exactly: two\nlines"), says("two\nlines")},
		"repeat":            {user("repeat: a; b"), says("a; b")},
		"say quoted":        {user(`Just say "pong" and stop.`), says("pong")},
		"reply quoted":      {user(`Reply only with the word "pong"`), says("pong")},
		"a quoted question": {user(`Answer the question "why?"`), has("“Answer the question \"why?\"”")},
		"media":             {image, has("2 images (image/png, by URL) and 1 document (application/pdf)", "“What is this?”")},
		"reminders":         {reminded, has("“Good morning”")},
		"title":             {titled, says("Rehearsal: Please repair the login page of")},
		"topic": {topic, func(t *testing.T, d llm.Dialect, a answered) {
			if a.text() != `{"isNewTopic":false,"title":"Rehearsal: Please repair the login page"}` {
				t.Errorf("got %s", a.text())
			}
		}},
		"title by example": {example, says(`{"title":"Rehearsal: Fix the bug in parser go"}`)},
		"unusable tool forced": {func() llm.Request {
			r := user("Search")
			r.Tools = []llm.Tool{{Name: "web_search", Type: "web_search_20260318"}}
			r.Choice = llm.ToolChoice{Mode: llm.ToolOnly, Name: "web_search"}
			return r
		}(), has("“Search”")},
	} {
		t.Run(name, func(t *testing.T) { both(t, c.req, "", c.check) })
	}
}

func TestPiecesAreWords(t *testing.T) {
	both(t, user("say exactly: one two three four  five\n\nsix seven"), "", func(t *testing.T, d llm.Dialect, a answered) {
		want := []string{"one two three ", "four  five\n\nsix ", "seven"}
		if a.pieces != nil && !cmp.Equal(a.pieces, want) { // nil: whole
			t.Errorf("pieces %q", a.pieces)
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String().Draw(rt, "text")
		joined := ""
		for rest := text; rest != ""; {
			n := piece(rest)
			if n <= 0 || n > 4*pieceBytes+4 {
				rt.Fatalf("a piece of %d bytes of %q", n, rest)
			}
			joined, rest = joined+rest[:n], rest[n:]
		}
		if joined != text {
			rt.Fatalf("%q is not %q", joined, text)
		}
	})
}

func TestLimits(t *testing.T) {
	num := func(n int64) *int64 { return &n }
	short := user("say exactly: one two three four five six")
	short.MaxTokens = num(3)
	both(t, short, "", func(t *testing.T, d llm.Dialect, a answered) {
		if a.text() != "one two thre" || a.words.Finish.Reason != llm.FinishLength || a.words.Usage.Output != 3 {
			t.Errorf("%q, %+v, %+v", a.text(), a.words.Finish, a.words.Usage)
		}
	})
	none := user("hello")
	none.MaxTokens = num(0)
	both(t, none, "", func(t *testing.T, d llm.Dialect, a answered) {
		if len(a.words.Items) != 0 || a.words.Finish.Reason != llm.FinishLength || a.words.Usage.Output != 0 {
			t.Errorf("%+v", a.words)
		}
	})
	stop := user("say exactly: one two END three STOP")
	stop.Stop = []string{"STOP", "END"}
	both(t, stop, "", func(t *testing.T, d llm.Dialect, a answered) {
		if a.text() != "one two " || a.words.Finish.Reason != llm.FinishStopSequence || a.words.Finish.StopSequence != "END" {
			t.Errorf("%q, %+v", a.text(), a.words.Finish)
		}
	})
	tight := user("call get_weather")
	tight.Tools = []llm.Tool{tool("get_weather", `{"properties":{"city":{"type":"string"}},"required":["city"]}`)}
	tight.MaxTokens = num(2)
	both(t, tight, "", func(t *testing.T, d llm.Dialect, a answered) {
		if len(a.calls()) != 0 || a.words.Finish.Reason != llm.FinishLength {
			t.Errorf("a call that does not fit: %+v", a.words)
		}
	})
	thinker := user("hello")
	thinker.Model, thinker.MaxTokens = Thinker, num(4)
	both(t, thinker, "", func(t *testing.T, d llm.Dialect, a answered) {
		if len(a.words.Items) != 1 || a.words.Items[0].Kind != llm.ItemReasoning || a.words.Finish.Reason != llm.FinishLength {
			t.Errorf("thinking counts: %+v", a.words)
		}
	})
	many := user("hello")
	many.N = 2
	for _, d := range dialects {
		if a := ask(t, provider(), d, many, ""); a.status != 400 || !bytes.Contains(a.body, []byte("one answer")) {
			t.Errorf("n=2 on %s: %d %s", d, a.status, a.body)
		}
	}
}

func TestThinking(t *testing.T) {
	for name, c := range map[string]struct {
		model  string
		r      llm.Reasoning
		tools  bool // after a tool result
		thinks map[llm.Dialect]bool
	}{
		"thinker by itself": {model: Thinker, thinks: map[llm.Dialect]bool{llm.OpenAI: true, llm.Anthropic: true}},
		"thinker off":       {model: Thinker, r: llm.Reasoning{Mode: llm.ThinkOff}},
		"thinker none":      {model: Thinker, r: llm.Reasoning{Effort: "none"}},
		"quick":             {model: Quick},
		"quick adaptive":    {model: Quick, r: llm.Reasoning{Mode: llm.ThinkAdaptive}, thinks: map[llm.Dialect]bool{llm.OpenAI: true, llm.Anthropic: true}},
		"steady budget":     {model: Steady, r: llm.Reasoning{Mode: llm.ThinkOn, Budget: 2000}, thinks: map[llm.Dialect]bool{llm.OpenAI: true, llm.Anthropic: true}},
		"quick effort":      {model: Quick, r: llm.Reasoning{Effort: "high"}, thinks: map[llm.Dialect]bool{llm.OpenAI: true}},
		"between, none yet": {model: Thinker, r: llm.Reasoning{Mode: llm.ThinkBetweenTools}},
		"between tools":     {model: Thinker, r: llm.Reasoning{Mode: llm.ThinkBetweenTools}, tools: true, thinks: map[llm.Dialect]bool{llm.OpenAI: true, llm.Anthropic: true}},
	} {
		t.Run(name, func(t *testing.T) {
			req := user("Think of a number")
			req.Model, req.Reasoning = c.model, c.r
			if c.tools {
				req.Items = append(req.Items, called(1, "x", "number"), result(2, "x", "7"))
			}
			both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
				first := a.words.Items[0]
				if thinks := first.Kind == llm.ItemReasoning; thinks != c.thinks[d] {
					t.Fatalf("thinks: %v", thinks)
				} else if !thinks {
					if a.words.Usage.Reasoning != 0 {
						t.Errorf("usage %+v", a.words.Usage)
					}
					return
				}
				if len(a.words.Items) != 2 || first.Text() == "" || a.text() == "" || a.words.Usage.Reasoning == 0 || a.words.Usage.Reasoning >= a.words.Usage.Output {
					t.Errorf("%+v", a.words)
				}
				if signed := len(first.Opaque) == 1; signed != (d == llm.Anthropic) {
					t.Errorf("signed: %v", signed)
				} else if signed {
					if _, err := base64.StdEncoding.DecodeString(first.Opaque[0].Data); err != nil || first.Opaque[0].Issuer != llm.IssuerAnthropic || first.Opaque[0].Kind != llm.OpaqueSignature {
						t.Errorf("signature %+v: %v", first.Opaque[0], err)
					}
				}
			})
		})
	}
	req := user("hello")
	req.Model, req.Reasoning = Thinker, llm.Reasoning{Mode: llm.ThinkAdaptive, Display: "omitted"}
	a := ask(t, provider(), llm.Anthropic, req, "")
	if first := a.words.Items[0]; first.Kind != llm.ItemReasoning || len(first.Blocks) != 0 || len(first.Opaque) != 1 || a.words.Usage.Reasoning == 0 {
		t.Errorf("omitted thinking: %+v", a.words)
	}
}

func TestUsage(t *testing.T) {
	req := user(strings.Repeat("word ", 400))
	plain := ask(t, provider(), llm.Anthropic, req, "").words.Usage
	if plain.Input < 490 || plain.Input > 540 || plain.CacheWrite5m != 0 || plain.CacheRead != 0 || plain.Output == 0 {
		t.Errorf("2,000 bytes: %+v", plain)
	}
	req.Items = append([]llm.Item{said(llm.System, -1, strings.Repeat("rule ", 800))}, req.Items...)
	req.Items[0].Blocks[0].Cache = []byte(`{"type":"ephemeral"}`)
	five := ask(t, provider(), llm.Anthropic, req, "").words.Usage
	if five.CacheWrite5m < 990 || five.CacheWrite5m > 1020 || five.Input > 540 || five.CacheWrite1h != 0 {
		t.Errorf("marked: %+v", five)
	}
	req.Items[0].Blocks[0].Cache = []byte(`{"type":"ephemeral","ttl":"1h"}`)
	hour := ask(t, provider(), llm.Anthropic, req, "").words.Usage
	if hour.CacheWrite1h != five.CacheWrite5m || hour.CacheWrite5m != 0 {
		t.Errorf("marked for an hour: %+v", hour)
	}

	r := request(t.Context(), llm.Anthropic, encode(req), "")
	r.URL.Path += "/count_tokens"
	resp, err := provider().RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var count struct {
		Tokens int64 `json:"input_tokens"`
	}
	if err := json.UnmarshalRead(resp.Body, &count); err != nil || count.Tokens != hour.Prompt() {
		t.Errorf("count_tokens says %d (%v), usage %d", count.Tokens, err, hour.Prompt())
	}
}

func TestSameRequestSameAnswer(t *testing.T) {
	req := user("call get_weather twice, in Paris and in Lima")
	req.Tools = []llm.Tool{tool("get_weather", `{"properties":{"city":{"type":"string"}},"required":["city"]}`)}
	req.Model, req.Stream = Thinker, true
	for _, d := range dialects {
		a, b := ask(t, provider(), d, req, ""), ask(t, provider(), d, req, "")
		if !bytes.Equal(a.body, b.body) || !cmp.Equal(a.header, b.header) {
			t.Errorf("%s: two answers to one request", d)
		}
		ids := map[string]bool{a.words.ID: true}
		for _, c := range a.calls() {
			ids[c.ID] = true
			if !regexp.MustCompile(`^(call_\w{24}|toolu_01\w{22})$`).MatchString(c.ID) {
				t.Errorf("call id %q", c.ID)
			}
		}
		if len(ids) != 3 {
			t.Errorf("ids %v", ids)
		}
		other := req
		other.Items = []llm.Item{said(llm.User, 0, "call get_weather twice, in Paris and in Rome")}
		if c := ask(t, provider(), d, other, ""); c.words.ID == a.words.ID {
			t.Errorf("%s: two requests, one id", d)
		}
	}
}

func TestStructured(t *testing.T) {
	req := user("Who wrote the first program?")
	req.Format = llm.Format{Kind: llm.FormatJSONSchema, Schema: []byte(`{"type":"object","properties":{"answer":{"type":"string"},"sure":{"type":"number","minimum":0,"maximum":1},"kind":{"enum":["fact","guess"]},"note":{"type":"string"}},"required":["answer","sure","kind"],"additionalProperties":false}`)}
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		checkValue(t, req.Format.Schema, []byte(a.text()))
		if !strings.Contains(a.text(), "rehearsal") {
			t.Errorf("it does not say what it is: %s", a.text())
		}
	})
	req.Format = llm.Format{Kind: llm.FormatJSONObject}
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		var v map[string]any
		if err := json.Unmarshal([]byte(a.text()), &v); err != nil || len(v) == 0 {
			t.Errorf("%s: %v", a.text(), err)
		}
	})
	// After a tool result the answer has the format, too.
	req.Tools = []llm.Tool{tool("lookup", `{}`)}
	req.Items = append(req.Items, called(1, "c1", "lookup"), result(2, "c1", "Ada"))
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		if !strings.HasPrefix(a.text(), "{") || !strings.Contains(a.text(), "Ada") {
			t.Errorf("got %s", a.text())
		}
	})
}
