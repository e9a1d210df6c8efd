package gemini

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"headrace/internal/llm"
)

const cases = "../../../testdata/wire/gemini"

// wireCase is one folder of testdata/wire/gemini.
type wireCase struct {
	name string
	Meta struct {
		Op, What, Ends string
		Class          llm.Class
		Status         int
		Refused        bool
	}
	request, response, stream, array, error string
}

func wireCases(t testing.TB) []wireCase {
	t.Helper()
	dirs, err := os.ReadDir(cases)
	if err != nil {
		t.Fatal(err)
	}
	var out []wireCase
	for _, d := range dirs {
		c := wireCase{name: d.Name()}
		for name, to := range map[string]*string{"request.json": &c.request, "response.json": &c.response, "stream.sse": &c.stream, "stream.json": &c.array, "error.json": &c.error} {
			b, err := os.ReadFile(filepath.Join(cases, c.name, name))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			*to = string(b)
		}
		meta, err := os.ReadFile(filepath.Join(cases, c.name, "meta.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(meta, &c.Meta); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		out = append(out, c)
	}
	return out
}
