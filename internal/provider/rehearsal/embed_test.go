package rehearsal_test

import (
	"math"
	"testing"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
	"headrace/internal/wire/openai"
)

// TestEmbed: unit vectors that follow from the text alone and do not heed case,
// punctuation and spaces.
func TestEmbed(t *testing.T) {
	t.Parallel()
	vectors := func(body string) [][]float64 {
		t.Helper()
		resp, b, err := post(t, "/v1/embeddings", body, "")
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%d %v %s", resp.StatusCode, err, b)
		}
		e, err := openai.Codec{}.DecodeEmbeddings(b)
		if err != nil || e.Usage.Source != llm.UsageProvider || e.Usage.Input < 1 || e.Usage.Output != 0 {
			t.Fatalf("%v %+v in %s", err, e, b)
		}
		var all [][]float64
		for _, v := range e.Vectors {
			all = append(all, numbers(t, v.Floats))
		}
		return all
	}
	for name, body := range map[string]string{
		"letters":      `{"model":"embed","input":["Hello, world!","hello   WORLD"]}`,
		"same again":   `{"model":"rehearsal/embed","input":["你好，世界","你好 世界"]}`,
		"nothing said": `{"model":"embed","input":["",""]}`,
		"one place":    `{"model":"embed","input":["anything","anything."],"dimensions":1}`,
		"tokens":       `{"model":"embed","input":[[1,2,3],[1,2,3]],"dimensions":4096}`,
	} {
		v := vectors(body)
		length, differs := 0.0, false
		for i := range v[0] {
			length += v[0][i] * v[0][i]
			differs = differs || v[0][i] != v[1][i]
		}
		if differs || math.Abs(length-1) > 1e-5 {
			t.Errorf("%s: length %g, differ %t", name, math.Sqrt(length), differs)
		}
	}
	for body, want := range map[string]int{
		`{"model":"embed","input":"x","dimensions":4097}`: 400, `{"model":"embed","input":[]}`: 400, `{"model":"embed"}`: 400, `[`: 400,
		`{"model":"quick","input":"x"}`: 404,
	} {
		if resp, b, err := post(t, "/v1/embeddings", body, ""); err != nil || resp.StatusCode != want {
			t.Errorf("%s: %d %v %s, want %d", body, resp.StatusCode, err, b, want)
		}
	}
}

func numbers(t *testing.T, v []byte) (f []float64) {
	t.Helper()
	if err := json.Unmarshal(v, &f); err != nil {
		t.Fatal(err)
	}
	return f
}
