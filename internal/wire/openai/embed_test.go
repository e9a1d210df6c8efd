package openai

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"headrace/internal/llm"
)

func TestDecodeEmbed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, input string
		single      bool
		want        []llm.EmbedInput
	}{
		{"a text", `"a\u0041"`, true, []llm.EmbedInput{{Text: "aA"}}},
		{"an empty text", `""`, true, []llm.EmbedInput{{}}},
		{"texts", `["a", "b"]`, false, []llm.EmbedInput{{Text: "a"}, {Text: "b"}}},
		{"a list of one", `["a"]`, false, []llm.EmbedInput{{Text: "a"}}},
		{"tokens", `[1, 22]`, true, []llm.EmbedInput{{Tokens: []byte(`[1, 22]`)}}},
		{"lists of tokens", `[[1],[2,3]]`, false, []llm.EmbedInput{{Tokens: []byte(`[1]`)}, {Tokens: []byte(`[2,3]`)}}},
	} {
		body := `{"model":"m","input":` + c.input + `,"encoding_format":"base64","dimensions":8,"user":"u","x":[1]}`
		r, err := Codec{}.DecodeEmbed([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := &llm.EmbedRequest{From: llm.OpenAI, Raw: []byte(body), Model: "m", Inputs: c.want, Single: c.single, Dimensions: 8, Base64: true, EndUser: "u",
			Ext: []llm.Member{{Name: "x", Value: []byte("[1]")}}}
		if d := cmp.Diff(want, r); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		enc, err := Codec{}.EncodeEmbed(r, "n", &llm.Capability{})
		if err != nil || len(enc.Losses) > 0 {
			t.Errorf("%s: %v %v", c.name, err, enc.Losses)
		}
		if d := cmp.Diff(plainJSON(t, strings.Replace(body, `"m"`, `"n"`, 1)), plainJSON(t, string(enc.Body[0]))); d != "" {
			t.Errorf("%s written again (-want +got):\n%s", c.name, d)
		}
	}
	for _, bad := range []string{`[]`, `{"model":"m"}`, `{"input":[]}`, `{"input":{}}`, `{"input":["a",1]}`, `{"input":[[1],"a"]}`, `{"input":[[]]}`, `{"input":[["a"]]}`, `{"input":[null]}`,
		`{"input":"a","encoding_format":"int8"}`, `{"input":"a","dimensions":0}`, `{"input":"a","dimensions":1.5}`, `{"input":"a"`} {
		r, err := Codec{}.DecodeEmbed([]byte(bad))
		var e *llm.Error
		if !errors.As(err, &e) || e.Class != llm.InvalidRequest {
			t.Errorf("%s: %v, %v", bad, r, err)
		}
	}
}

func plainJSON(t *testing.T, s string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// TestEmbedLosses: what other dialects say beside the inputs is told when it
// goes missing.
func TestEmbedLosses(t *testing.T) {
	t.Parallel()
	yes := true
	r := &llm.EmbedRequest{From: llm.Gemini, Inputs: []llm.EmbedInput{{Text: "a", Title: "t"}}, Task: "RETRIEVAL_QUERY", Truncate: &yes, Ext: []llm.Member{{Name: "keep_alive", Value: []byte("1")}}}
	enc, err := Codec{}.EncodeEmbed(r, "m", &llm.Capability{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, l := range enc.Losses {
		if l.Kind != llm.LossWarn {
			t.Errorf("%v", l)
		}
		paths = append(paths, l.Path)
	}
	if d := cmp.Diff([]string{"task", "title", "truncate", "keep_alive"}, paths); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if string(enc.Body[0]) != `{"model":"m","input":["a"]}` {
		t.Errorf("%s", enc.Body[0])
	}
}

func packed(f ...float32) string {
	var b []byte
	for _, x := range f {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// TestEmbeddings: vectors keep the provider's spelling, and the two encodings
// turn into each other without a change of any bit.
func TestEmbeddings(t *testing.T) {
	t.Parallel()
	numbers := []float32{0.1, -2.5e-7, 1, math.MaxFloat32, math.SmallestNonzeroFloat32, 0, -0.0069290706}
	spelled := `[0.1, -2.5E-07,1.0,3.4028235e38,1e-45,0,-0.006929070600]`
	tail := `],"model":"text-embedding-3-small","usage":{"prompt_tokens":3,"total_tokens":3}}`
	asFloat := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":` + spelled + `}` + tail
	asBase64 := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"` + packed(numbers...) + `"}` + tail
	for _, c := range []struct{ name, from, to string }{
		{"floats stay", asFloat, asFloat},
		{"base64 stays", asBase64, asBase64},
		{"floats to base64", asFloat, asBase64},
	} {
		e, err := Codec{}.DecodeEmbeddings([]byte(c.from))
		if err != nil {
			t.Fatal(err)
		}
		if e.Usage.Input != 3 || e.Usage.Output != 0 || e.Usage.Source != llm.UsageProvider {
			t.Errorf("usage %+v", e.Usage)
		}
		if got := string(Codec{}.AppendEmbeddings(nil, &llm.EmbedRequest{Base64: c.to == asBase64}, e)); got != c.to {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.to)
		}
	}
	e, err := Codec{}.DecodeEmbeddings([]byte(asBase64))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data []struct{ Embedding []float32 }
	}
	if err := json.Unmarshal(Codec{}.AppendEmbeddings(nil, &llm.EmbedRequest{}, e), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(numbers, got.Data[0].Embedding); d != "" {
		t.Errorf("base64 to floats (-want +got):\n%s", d)
	}
}

// TestEmbeddingsOrder: the index says which input a vector belongs to.
func TestEmbeddingsOrder(t *testing.T) {
	t.Parallel()
	e, err := Codec{}.DecodeEmbeddings([]byte(`{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0]}]}`))
	if err != nil || string(e.Vectors[0].Floats) != "[0]" || string(e.Vectors[1].Floats) != "[1]" {
		t.Errorf("%v %v", e, err)
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"data":{}}`, `{"data":[{"index":0}]}`, `{"data":[{"index":0,"embedding":["x"]}]}`, `{"data":[{"embedding":[]}]}`,
		`{"data":[{"index":1,"embedding":[1]},{"index":1,"embedding":[0]}]}`, `{"data":[{"index":7,"embedding":[1]}]}`,
		`{"data":[{"embedding":"!"}]}`, `{"data":[{"embedding":"AAA="}]}`, `{"data":[{"embedding":"` + packed(float32(math.NaN())) + `"}]}`, `<html>`} {
		_, err := Codec{}.DecodeEmbeddings([]byte(bad))
		var e *llm.Error
		if !errors.As(err, &e) || e.Class != llm.MalformedUpstream {
			t.Errorf("%s: %v", bad, err)
		}
	}
	_, err = Codec{}.DecodeEmbeddings([]byte(`{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}`))
	if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != llm.RateLimited {
		t.Errorf("an error under status 200: %v", err)
	}
}

func TestGlanceEmbed(t *testing.T) {
	t.Parallel()
	g, err := Codec{}.GlanceEmbed([]byte(` {"object":"list","data":[{"embedding":[0.1,2]}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}} `))
	if err != nil || g.Model != "m" || g.Usage.Input != 8 {
		t.Errorf("%+v %v", g, err)
	}
	for bad, class := range map[string]llm.Class{``: llm.MalformedUpstream, `{"object":"list"}`: llm.MalformedUpstream, `{"error":{"message":"no","type":"insufficient_quota","code":"insufficient_quota"}}`: llm.QuotaExhausted, `<html></html>`: llm.MalformedUpstream} {
		_, err := Codec{}.GlanceEmbed([]byte(bad))
		if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class != class {
			t.Errorf("%q: %v, want %s", bad, err, class)
		}
	}
}

func FuzzEmbed(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["a","b"],"encoding_format":"base64"}`), []byte(`{"data":[{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":1}}`))
	f.Add([]byte(`{"input":[[1,2]]}`), []byte(`{"data":[{"index":0,"embedding":"AACAPw=="}]}`))
	f.Fuzz(func(t *testing.T, request, answer []byte) {
		r, err := Codec{}.DecodeEmbed(request)
		if err != nil {
			return
		}
		enc, err := Codec{}.EncodeEmbed(r, "m", &llm.Capability{})
		if err != nil || !json.Valid(enc.Body[0]) {
			t.Fatalf("%v %s", err, enc.Body)
		}
		if _, err := (Codec{}).GlanceEmbed(answer); err != nil {
			return
		}
		e, err := Codec{}.DecodeEmbeddings(answer)
		if err != nil {
			return
		}
		if b := (Codec{}).AppendEmbeddings(nil, r, e); !json.Valid(b) {
			t.Fatalf("%s", b)
		}
	})
}
