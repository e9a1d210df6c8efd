package span_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/wire/span"
)

// bodies gives three requests of the sizes that count: a short question, an
// agent's turn with tools, a long conversation.
func bodies() map[string][]byte {
	turn := func(i int, words int) string {
		role := []string{"user", "assistant"}[i%2]
		return fmt.Sprintf(`{"role":%q,"content":%q}`, role, strings.Repeat("some words of a turn, a \"quoted\" one,\nand a new line. ", words))
	}
	tool := func(i int) string {
		return fmt.Sprintf(`{"type":"function","function":{"name":"tool_%d","description":"Does thing %d with a file and says what came of it.","parameters":{"type":"object","properties":{"path":{"type":"string","description":"where it is"},"lines":{"type":"array","items":{"type":"integer"}},"mode":{"type":"string","enum":["read","write"]}},"required":["path"]}}}`, i, i)
	}
	make := func(turns, words, tools int) []byte {
		var ts, fs []string
		for i := range turns {
			ts = append(ts, turn(i, words))
		}
		for i := range tools {
			fs = append(fs, tool(i))
		}
		return fmt.Appendf(nil, `{"model":"openai/gpt-5.5","max_completion_tokens":1024,"messages":[%s],"tools":[%s],"stream":false}`, strings.Join(ts, ","), strings.Join(fs, ","))
	}
	return map[string][]byte{"small": make(3, 1, 0), "agent": make(4, 10, 15), "long": make(40, 87, 15)}
}

func BenchmarkMembers(b *testing.B) {
	all := bodies()
	// Other bodies can be measured by pointing HEADRACE_BODIES at a folder.
	files, err := filepath.Glob(filepath.Join(os.Getenv("HEADRACE_BODIES"), "*.json"))
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		if all[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			b.Fatal(err)
		}
	}
	heads := []string{"model", "stream", "max_tokens", "max_completion_tokens", "stream_options", "tools"}
	for name, body := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			var dst []span.Member
			for b.Loop() {
				var err error
				if dst, err = span.Members(dst[:0], body, heads); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
