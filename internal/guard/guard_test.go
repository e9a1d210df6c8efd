package guard

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/quick"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

func compiled(t testing.TB, rules ...Rule) *Rules {
	t.Helper()
	r, err := Compile(rules, 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDetectors(t *testing.T) {
	for _, c := range []struct{ find, text, want string }{
		{"email", "write to Ada.Lovelace+x@mail.example.co.uk, please", "Ada.Lovelace+x@mail.example.co.uk"},
		{"email", "an @mention and a@b are none", ""},
		{"phone", "call +49 (0)30 901820-12 now", "+49 (0)30 901820-12"},
		{"phone", "call (212) 555-0142 now", "(212) 555-0142"},
		{"phone", "order 20261125 of 1,000,000", ""},
		{"card", "pay with 4111 1111 1111 1111.", "4111 1111 1111 1111"},
		{"card", "4111 1111 1111 1112 has a wrong checksum", ""},
		{"card", "0000 0000 0000 0000", ""},
		{"iban", "to DE89 3704 0044 0532 0130 00 today", "DE89 3704 0044 0532 0130 00"},
		{"iban", "GB82WEST12345698765432", "GB82WEST12345698765432"},
		{"iban", "DE89 3704 0044 0532 0130 01", ""},
		{"ssn", "it is 219-09-9999", "219-09-9999"},
		{"ssn", "it is 666-09-9999 or 219-00-9999", ""},
		{"secret", "key AKIAIOSFODNN7EXAMPLE here", "AKIAIOSFODNN7EXAMPLE"},
		{"secret", "ghp_" + strings.Repeat("a1", 18), "ghp_" + strings.Repeat("a1", 18)},
		{"secret", "x-api-key: sk-ant-api03-" + strings.Repeat("Zz9-", 8), "sk-ant-api03-" + strings.Repeat("Zz9-", 8)[:31]},
		{"secret", "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- rest", "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----"},
		{"jwt", "Bearer eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM"},
		{"secret", "skill-based task-runner ask-me", ""},
	} {
		r := compiled(t, Rule{Name: "r", On: Both, Do: Block, Find: []string{c.find}})
		got := ""
		if found := find(r.in, c.text); len(found) > 0 {
			got = c.text[found[0].From:found[0].To]
		}
		if strings.TrimRight(got, "-") != strings.TrimRight(c.want, "-") {
			t.Errorf("%s in %q: %q, want %q", c.find, c.text, got, c.want)
		}
	}
}

func TestWordsAndOrder(t *testing.T) {
	r := compiled(t,
		Rule{Name: "words", On: Both, Do: Redact, Words: []string{"falcon", "C++", "über"}},
		Rule{Name: "all", On: Both, Do: Block, Pattern: `falcon [0-9]+`})
	for text, want := range map[string]int{"Falconer": 0, "the FALCON flies": 1, "c++ code": 1, "über": 1, "falcon 9": 1} {
		if got := find(r.in, text); len(got) != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if got := find(r.in, "falcon 9 and falcon"); len(got) != 2 || got[0].Do != Block || got[1].Do != Redact {
		t.Errorf("what overlaps: %v", got)
	}
	for _, bad := range []Rule{{Name: "x", Pattern: "("}, {Name: "x", Pattern: "a*"}, {Name: "x", Find: []string{"shoe"}}} {
		if _, err := Compile([]Rule{bad}, 0); err == nil || !strings.Contains(err.Error(), `"x"`) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func message(role llm.Role, text string) llm.Item {
	return llm.Item{Kind: llm.ItemMessage, Role: role, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}}
}

// TestRedactAndRestore: what is taken out of a request comes back in its answer,
// also inside the arguments of a call, and the next turn is redacted alike.
func TestRedactAndRestore(t *testing.T) {
	r := compiled(t, Rule{Name: "people", On: Input, Do: Redact, Find: []string{"email"}}, Rule{Name: "code", On: Input, Do: Redact, Pattern: `say "[a-z]+"`})
	first := `{"model":"a@x.org", "system":"Never write [EMAIL_1].",
 "messages":[ {"role":"user","content":"a\u0040x.org and b@x.org, then a@x.org: say \"hello\""}`
	v := NewVault()
	got, told := r.Body([]byte(first+`]}`), v)
	const clean = `{"model":"a@x.org", "system":"Never write [EMAIL_1].",
 "messages":[ {"role":"user","content":"[EMAIL_2] and [EMAIL_3], then [EMAIL_2]: [PATTERN_1]"}`
	if string(got) != clean+`]}` || told.Block != "" || len(told.Found) != 2 || told.Found[0].N != 3 {
		t.Fatalf("%s %+v", got, told)
	}
	answer := &llm.Response{Items: []llm.Item{
		message(llm.Assistant, "To [EMAIL_3], not [EMAIL_1] or [EMAIL_9]."),
		{Kind: llm.ItemToolCall, Call: llm.Call{Arguments: []byte(`{"to":"[EMAIL_2]","what":"[PATTERN_1]"}`)}},
	}}
	back, _ := r.Response(answer, v)
	if back.Items[0].Text() != "To b@x.org, not [EMAIL_1] or [EMAIL_9]." || string(back.Items[1].Call.Arguments) != `{"to":"a@x.org","what":"say \"hello\""}` {
		t.Fatalf("%q %s", back.Items[0].Text(), back.Items[1].Call.Arguments)
	}
	again, _ := r.Body([]byte(first+`,{"role":"assistant","content":"To b@x.org and c@x.org"}]}`), NewVault())
	if want := clean + `,{"role":"assistant","content":"To [EMAIL_3] and [EMAIL_4]"}]}`; string(again) != want {
		t.Errorf("the next turn: %s", again)
	}
}

// TestBoundIsLeft: ids, media, thoughts and their signatures stay as they are.
func TestBoundIsLeft(t *testing.T) {
	r := compiled(t, Rule{Name: "p", On: Both, Do: Redact, Find: []string{"email"}})
	for _, body := range []string{
		`{"messages":[{"content":[{"type":"thinking","thinking":"a@x.org","signature":"a@x.org"}]}]}`,
		`{"messages":[{"images":["a@x.org",["a@x.org"]],"tool_call_id":"a@x.org"}]}`,
		`{"url":"data:text/plain,a@x.org","a@x.org":1}`,
	} {
		if got, told := r.Body([]byte(body), NewVault()); string(got) != body || len(told.Found) > 0 {
			t.Errorf("%s: %+v", got, told)
		}
	}
	if got, _ := r.Body([]byte(`{"images":["a@x.org"],"prompt":"a@x.org"}`), NewVault()); string(got) != `{"images":["a@x.org"],"prompt":"[EMAIL_1]"}` {
		t.Errorf("%s", got)
	}
}

func TestRaw(t *testing.T) {
	r := compiled(t, Rule{Name: "p", On: Input, Do: Redact, Find: []string{"email"}})
	for body, want := range map[string]string{`{"a":["x",{"b":"a\u0040x.org"}]}`: "p", `{"a@x.org":1}`: "", "plain a@x.org": "p", "": ""} {
		if got := r.Raw([]byte(body)); got.Block != want {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

// TestStreamIsWhole: however a text is cut, the client gets what it would have
// got of the whole.
func TestStreamIsWhole(t *testing.T) {
	r := compiled(t, Rule{Name: "p", On: Output, Do: Redact, Find: []string{"pii", "secret"}}, Rule{Name: "w", On: Output, Do: Flag, Words: []string{"river"}})
	v := NewVault()
	v.name("email", "ada@x.org")
	v.name("card", "4111111111111111")
	parts := []string{"hello ", "[EMAIL_1]", " and ", "[CARD_1]", "bob@mail.example.com ", "river", "rivers", "+49 30 901820 ", "[EMAIL_", "ü", "\n", "AKIAIOSFODNN7EXAMPLE ", "[", "]", "219-09-9999 "}
	f := func(seed uint64) bool {
		g := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		for range 25 {
			b.WriteString(parts[g.IntN(len(parts))])
		}
		text := b.String()
		whole, told := r.Response(&llm.Response{Items: []llm.Item{message(llm.Assistant, text)}}, v)
		s := r.Stream(t.Context(), v, false)
		var out strings.Builder
		for rest := text; rest != ""; {
			n := min(1+g.IntN(9), len(rest))
			for n < len(rest) && rest[n]&0xC0 == 0x80 {
				n++
			}
			out.WriteString(s.Add(rest[:n]))
			rest = rest[n:]
		}
		out.WriteString(s.End())
		if out.String() != whole.Items[0].Text() {
			t.Logf("%q\n%q\n%q", text, whole.Items[0].Text(), out.String())
			return false
		}
		sum := func(r *Report) (n int) {
			for _, c := range r.Found {
				n += c.N
			}
			return n
		}
		return sum(&told) == sum(s.Report())
	}
	if err := quick.Check(f, &quick.Config{MaxCount: 100}); err != nil {
		t.Error(err)
	}
}

// TestStreamBlocks: nothing of a forbidden text reaches the client, and nothing
// after it.
func TestStreamBlocks(t *testing.T) {
	r := compiled(t, Rule{Name: "p", On: Output, Do: Block, Words: []string{"top secret plan"}})
	s := r.Stream(t.Context(), NewVault(), false)
	var out strings.Builder
	for _, c := range "this is the top secret plan and more" {
		out.WriteString(s.Add(string(c)))
	}
	out.WriteString(s.End())
	if s.Report().Block != "p" || strings.Contains(out.String(), "top") {
		t.Errorf("%q %+v", out.String(), s.Report())
	}
}

func FuzzStream(f *testing.F) {
	f.Add("a@x.org [EMAIL_1] 4111 1111 1111 1111 -----BEGIN PRIVATE KEY----- x", uint8(3))
	r := compiled(f, Rule{Name: "p", On: Both, Do: Redact, Find: []string{"pii", "secret"}}, Rule{Name: "w", On: Output, Do: Redact, Words: []string{"x y"}})
	f.Fuzz(func(t *testing.T, text string, step uint8) {
		v := NewVault()
		v.name("email", "ada@x.org")
		s := r.Stream(t.Context(), v, false)
		var out strings.Builder
		for rest := text; rest != ""; {
			n := min(int(step)+1, len(rest))
			out.WriteString(s.Add(rest[:n]))
			rest = rest[n:]
		}
		out.WriteString(s.End())
		whole, _ := r.Response(&llm.Response{Items: []llm.Item{message(llm.Assistant, text)}}, v)
		// A match longer than the window may be seen late, never given out twice.
		if len(text) < DefaultWindow && out.String() != whole.Items[0].Text() {
			t.Errorf("%q\n%q\n%q", text, whole.Items[0].Text(), out.String())
		}
	})
}

func BenchmarkFind(b *testing.B) {
	r := compiled(b, Rule{Name: "p", On: Input, Do: Redact, Find: []string{"pii", "secret"}})
	text := strings.Repeat("The quick brown fox jumps over the lazy dog 12 times. ", 4000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		find(r.in, text)
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"a":["x a@x.org",{"b":"4111 1111 1111 1111","images":["a@x.org"]}],"data":"a@x.org"}`))
	r := compiled(f, Rule{Name: "p", On: Both, Do: Redact, Find: []string{"pii", "secret"}}, Rule{Name: "w", On: Input, Do: Redact, Pattern: `"[a-z]*\\n?`})
	f.Fuzz(func(t *testing.T, body []byte) {
		if !jsontext.Value(body).IsValid() {
			return
		}
		out, _ := r.Body(body, NewVault())
		if !jsontext.Value(out).IsValid() {
			t.Errorf("%q became %q", body, out)
		}
		if again, _ := r.Body(body, NewVault()); string(again) != string(out) {
			t.Errorf("%q, then %q", out, again)
		}
	})
}
