package rehearsal

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

const citySchema = `{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`

func tools(names ...string) []llm.Tool {
	var out []llm.Tool
	for _, n := range names {
		out = append(out, tool(n, citySchema))
	}
	return out
}

func TestWhichToolsAreCalled(t *testing.T) {
	no := false
	weather := tools("get_weather", "get_time", "search", "Read", "Write", "Bash", "mcp__local__fetch_weather")
	for _, c := range []struct {
		text   string
		choice llm.ToolChoice
		serial bool
		want   string
	}{
		{text: "Hello there", want: ""},
		{text: "Please call get_weather for Paris", want: "get_weather"},
		{text: "Use the GET_WEATHER tool.", want: "get_weather"},
		{text: "get_weather_v2 is not offered", want: ""},
		{text: "Do not call get_weather now", want: ""},
		{text: "call get_weather and get_time", want: "get_weather get_time"},
		{text: "get_time first, then get_weather", want: "get_time get_weather"},
		{text: "call get_weather and get_time", serial: true, want: "get_weather"},
		{text: "call get_weather twice", want: "get_weather get_weather"},
		{text: "call get_weather three times", want: "get_weather get_weather get_weather"},
		{text: "call get_weather in parallel", want: "get_weather get_weather"},
		{text: "call get_weather and get_time in parallel", want: "get_weather get_time"},
		{text: "call get_weather 900 times", want: strings.TrimSpace(strings.Repeat("get_weather ", 16))},
		{text: "search the web", want: "search"},
		{text: "Search the web", want: "search"},
		{text: "some research is due", want: ""},
		{text: "Write a poem about reading", want: ""},
		{text: "read this and write that", want: ""},
		{text: "Use the Bash tool, then Read.", want: "Bash Read"},
		{text: "run bash", want: "Bash"},
		{text: "please `Read` it", want: "Read"},
		{text: "Bash: list files", want: "Bash"},
		{text: "then Bash it", want: "Bash"},
		{text: "fetch_weather for NY", want: "mcp__local__fetch_weather"},
		{text: "call get_weather", choice: llm.ToolChoice{Mode: llm.ToolNone}, want: ""},
		{text: "Hello there", choice: llm.ToolChoice{Mode: llm.ToolAny}, want: "get_weather"},
		{text: "Hello, in parallel", choice: llm.ToolChoice{Mode: llm.ToolAny}, want: "get_weather get_time"},
		{text: "call get_time", choice: llm.ToolChoice{Mode: llm.ToolAny}, want: "get_time"},
		{text: "Hello there", choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "search"}, want: "search"},
		{text: "call get_weather", choice: llm.ToolChoice{Mode: llm.ToolOnly, Name: "search"}, want: "search"},
		{text: "call get_weather", choice: llm.ToolChoice{Mode: llm.ToolSubset, Names: []string{"search"}}, want: ""},
		{text: "Hello there", choice: llm.ToolChoice{Mode: llm.ToolSubset, Names: []string{"search"}, Forced: true}, want: "search"},
		{text: `say exactly: get_weather is a tool`, want: ""},
		{text: `call get_time, then say exactly: get_weather`, want: "get_time"},
		{text: "KELVIN SIGN \u212a moves bytes: get_weather", want: "get_weather"},
	} {
		t.Run(c.text+" "+string(c.choice.Mode), func(t *testing.T) {
			req := user(c.text)
			req.Tools, req.Choice = weather, c.choice
			if c.serial {
				req.ParallelCalls = &no
			}
			both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
				var got []string
				for _, call := range a.calls() {
					got = append(got, call.Name)
					checkValue(t, []byte(citySchema), call.Arguments)
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("called %q, not %q", strings.Join(got, " "), c.want)
				}
				if want := map[bool]llm.FinishReason{true: llm.FinishToolCalls, false: llm.FinishStop}[len(got) > 0]; a.words.Finish.Reason != want {
					t.Errorf("finish %q", a.words.Finish.Reason)
				}
				if len(got) == 0 && a.text() == "" {
					t.Error("neither a call nor a text")
				}
			})
		})
	}
}

func TestParallelCallsDiffer(t *testing.T) {
	req := user("call get_weather twice, for Lima and Nairobi")
	req.Tools = tools("get_weather")
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		if c := a.calls(); len(c) != 2 || string(c[0].Arguments) != `{"city":"Lima"}` || string(c[1].Arguments) != `{"city":"Nairobi"}` || c[0].ID == c[1].ID {
			t.Errorf("%+v", c)
		}
		if want := []string{`{"city":"Lim`, `a"}`, `{"city":"Nai`, `robi"}`}; a.pieces != nil && !slices.Equal(a.pieces, want) {
			t.Errorf("fragments %q", a.pieces)
		}
	})
}

func TestUnknownForcedTool(t *testing.T) {
	req := user("hello")
	req.Tools, req.Choice = tools("a"), llm.ToolChoice{Mode: llm.ToolOnly, Name: "b"}
	for _, d := range dialects {
		if a := ask(t, provider(), d, req, ""); a.status != 400 {
			t.Errorf("%s: %d", d, a.status)
		}
	}
}

// TestResults plays turns until the rehearsal answers in words, and says what
// was called in each.
func TestResults(t *testing.T) {
	no := false
	for name, c := range map[string]struct {
		text   string
		serial bool
		repeat bool // the client says its text again behind every result
		want   []string
	}{
		"one":             {text: "call get_weather", want: []string{"get_weather"}},
		"two at once":     {text: "call get_weather and get_time", want: []string{"get_weather,get_time"}},
		"two in turn":     {text: "call get_weather and get_time", serial: true, want: []string{"get_weather", "get_time"}},
		"twice in turn":   {text: "call get_weather twice", serial: true, want: []string{"get_weather", "get_weather"}},
		"a stubborn host": {text: "call get_weather", repeat: true, want: []string{"get_weather"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := user(c.text)
			req.Tools = tools("get_weather", "get_time")
			if c.serial {
				req.ParallelCalls = &no
			}
			var got []string
			for turn := 1; ; turn += 2 {
				if turn > 20 {
					t.Fatalf("it calls and calls: %v", got)
				}
				a := ask(t, provider(), llm.OpenAI, req, "")
				calls := a.calls()
				if len(calls) == 0 {
					for _, want := range []string{"get_weather answered: “sunny, 21", "not a model"} {
						if !strings.Contains(a.text(), want) && !strings.HasSuffix(got[len(got)-1], "get_time") {
							t.Errorf("%q is not in %q", want, a.text())
						}
					}
					break
				}
				var names []string
				for _, call := range calls {
					it := called(turn, call.ID, call.Name)
					req.Items = append(req.Items, it)
					names = append(names, call.Name)
				}
				for _, call := range calls {
					req.Items = append(req.Items, result(turn+1, call.ID, "sunny, 21\ndegrees"))
				}
				if c.repeat {
					req.Items = append(req.Items, said(llm.User, turn+1, c.text))
				}
				got = append(got, strings.Join(names, ","))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			// A new question after the answer starts over.
			req.Items = append(req.Items, said(llm.Assistant, 90, "It is sunny."), said(llm.User, 91, "call get_time"))
			if calls := ask(t, provider(), llm.OpenAI, req, "").calls(); len(calls) != 1 || calls[0].Name != "get_time" {
				t.Errorf("the next question calls %+v", calls)
			}
		})
	}
}

func TestResultKinds(t *testing.T) {
	req := user("go")
	failed := result(2, "c2", "no such city")
	failed.Result.IsError = true
	empty := result(2, "c3", "")
	req.Items = append(req.Items, called(1, "c1", "a_tool"), called(1, "c2", "b_tool"), called(1, "c3", "c_tool"),
		result(2, "c1", strings.Repeat("long ", 100)), failed, empty)
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		has("a_tool answered: “long long", "…”", "b_tool reported an error: “no such city”", "c_tool gave no text")(t, d, a)
	})
}

func TestTypedTools(t *testing.T) {
	req := user("use the shell, the bash tool, str_replace_based_edit_tool and web_search")
	req.Tools = []llm.Tool{
		{Name: "shell", Type: "custom", From: llm.OpenAI, Description: "Runs a command."},
		{Name: "bash", Type: "bash_20250124"},
		{Name: "str_replace_based_edit_tool", Type: "text_editor_20250728"},
		{Name: "web_search", Type: "web_search_20260318"},
	}
	both(t, req, "", func(t *testing.T, d llm.Dialect, a answered) {
		var got []string
		for _, c := range a.calls() {
			got = append(got, c.Name+" "+string(c.Arguments))
		}
		want := []string{`shell true`, `bash {"command":"true"}`, `str_replace_based_edit_tool {"command":"view","path":"README.md"}`}
		if diff := cmp.Diff(want, got); diff != "" || !a.calls()[0].Custom {
			t.Error(diff)
		}
	})
}

// TestHarmless: a client that runs what it is told must not come to harm.
func TestHarmless(t *testing.T) {
	for _, c := range []struct{ tool, schema, want string }{
		{"Bash", `{"properties":{"command":{"type":"string","description":"The command to execute"},"description":{"type":"string"},"timeout":{"type":"number"}},"required":["command","description"]}`,
			`{"command":"true","description":"This is a rehearsal, not a model."}`},
		{"shell", `{"properties":{"command":{"type":"array","items":{"type":"string"}}},"required":["command"]}`, `{"command":["true"]}`},
		{"exec", `{"properties":{"input":{"type":"string","default":"rm -rf /"}},"required":["input"]}`, `{"input":"true"}`},
		{"run", `{"properties":{"cmd":{"type":"string","examples":["rm -rf /"]}},"required":["cmd"]}`, `{"cmd":"true"}`},
		{"runner", `{"properties":{"x":{"type":"string","description":"The shell command to run."}},"required":["x"]}`, `{"x":"true"}`},
		{"python", `{"properties":{"code":{"type":"string","minLength":6}},"required":["code"]}`, `{"code":"true  "}`},
		{"Read", `{"properties":{"file_path":{"type":"string","description":"The absolute path to the file to read"}},"required":["file_path"]}`, `{"file_path":"/dev/null"}`},
		{"read_file", `{"properties":{"path":{"type":"string","default":"/etc/shadow"}},"required":["path"]}`, `{"path":"README.md"}`},
		{"list_dir", `{"properties":{"directory":{"type":"string"}},"required":["directory"]}`, `{"directory":"."}`},
		{"Write", `{"properties":{"file_path":{"type":"string"},"content":{"type":"string"}},"required":["file_path","content"]}`,
			`{"file_path":"/tmp/headrace-rehearsal.txt","content":"This is a rehearsal, not a model."}`},
		{"delete_file", `{"properties":{"path":{"type":"string"},"force":{"type":"boolean","default":true}},"required":["path","force"]}`, `{"path":"/tmp/headrace-rehearsal.txt","force":false}`},
		{"manage", `{"properties":{"action":{"enum":["delete","list"]}},"required":["action"]}`, `{"action":"list"}`},
	} {
		var args any
		if err := json.Unmarshal(arguments(&llm.Tool{Name: c.tool, Schema: []byte(c.schema)}, hint{topic: "x"}), &args); err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, args); diff != "" {
			t.Errorf("%s: %s", c.tool, diff)
		}
	}
}

func TestSplit(t *testing.T) {
	for name, want := range map[string]string{"file_path": "file path", "oldFilePath": "old file path", "HTTPServer": "http server", "x-y.z": "x y z", "": ""} {
		if got := split(name); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %q", name, got)
		}
	}
}
