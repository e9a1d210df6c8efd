package tokens

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

func TestFamilyOf(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]Family{
		"claude-3-5-sonnet-20241022": Claude4, "claude-3-opus-20240229": Claude4, "claude-sonnet-4-20250514": Claude4, "claude-opus-4-1": Claude4,
		"claude-haiku-4-5": Claude4, "claude-opus-4-6": Claude4, "anthropic/claude-opus-4.6": Claude4, "claude-haiku-4-5@20251001": Claude4,
		"claude-opus-4-7": Claude5, "anthropic/claude-opus-4.8": Claude5, "claude-opus-5": Claude5, "anthropic/claude-fable-5-2": Claude5,
		"claude-2.1": Claude4, "claude-next": Claude5, "us.anthropic.claude-sonnet-4-5-20250929-v1:0": Claude4,
		"gpt-5.5": GPT, "openai/gpt-4o": GPT, "o3-mini": GPT, "openai/gpt-oss-120b": Other, "gemini-4-argon": Gemini, "google/gemma-4": Gemini,
		"deepseek-flash": Other, "": Other, "olmo-3": Other,
	} {
		if got := FamilyOf(model); got != want {
			t.Errorf("%q: %s, want %s", model, got, want)
		}
	}
}

func chat(text string) []byte {
	b, err := json.Marshal(map[string]any{"model": "m", "messages": []any{map[string]any{"role": "user", "content": text}}})
	if err != nil {
		panic(err)
	}
	return b
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	prose := strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds. ", 200)
	for _, tc := range []struct {
		name     string
		body     []byte
		low, top int64
	}{
		// Counts by the public o200k and Claude tokenizers: 15 a sentence.
		{"English prose", chat(prose), 2600, 3400},
		{"Chinese", chat(strings.Repeat("敏捷的棕色狐狸跳过懒狗。", 100)), 700, 1400},
		{"escaped Chinese", []byte(`{"content":"` + strings.Repeat(`\u654f\u6377\u7684`, 100) + `"}`), 200, 400},
		{"digits", chat(strings.Repeat("123456 ", 300)), 500, 1400},
		{"indented code", chat(strings.Repeat("if (x > 0) {\n        return y;\n}\n", 100)), 900, 2200},
		{"nothing", nil, 1, 1},
		{"a long run of another kind is text", chat(strings.Repeat("=", 5000)), 400, 3000},
	} {
		if got := Estimate(tc.body, GPT); got < tc.low || got > tc.top {
			t.Errorf("%s: %d, want %d to %d", tc.name, got, tc.low, tc.top)
		}
	}
	old, now := Estimate(chat(prose), Claude4), Estimate(chat(prose), Claude5)
	if r := float64(now) / float64(old); r < 1.2 || r > 1.5 {
		t.Errorf("Claude 4.7 and later count about 30 %% more for the same text, not %.2f times", r)
	}
	// Samples of a large body give what the whole does.
	small, large := Estimate(chat(prose), GPT), Estimate(chat(strings.Repeat(prose, 30)), GPT)
	if r := float64(large) / float64(small) / 30; r < 0.9 || r > 1.15 {
		t.Errorf("sampled: %d for 30 times what is %d (%.2f)", large, small, r)
	}
}

func pictures(t testing.TB, w, h int) map[string]string {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range im.Pix {
		im.Pix[i] = byte(i * 31)
	}
	// A palette of its own spares the GIF encoder looking for colours.
	pal := image.NewPaletted(im.Rect, palette.Plan9)
	copy(pal.Pix, im.Pix)
	out := map[string]string{}
	for name, enc := range map[string]func(io.Writer) error{
		"png":  func(b io.Writer) error { return png.Encode(b, im) },
		"jpeg": func(b io.Writer) error { return jpeg.Encode(b, im, nil) },
		"gif":  func(b io.Writer) error { return gif.Encode(b, pal, nil) },
	} {
		var b bytes.Buffer
		if err := enc(&b); err != nil {
			t.Fatal(err)
		}
		out[name] = base64.StdEncoding.EncodeToString(b.Bytes())
	}
	vp8x := []byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00")
	vp8x = append(vp8x, byte(w-1), byte((w-1)>>8), 0, byte(h-1), byte((h-1)>>8), 0)
	out["webp"] = base64.StdEncoding.EncodeToString(append(vp8x, im.Pix[:3000]...))
	return out
}

func TestImages(t *testing.T) {
	t.Parallel()
	for name, data := range pictures(t, 500, 375) {
		if w, h := dimensions([]byte(data)); w != 500 || h != 375 {
			t.Errorf("%s: %d by %d", name, w, h)
		}
		for f, want := range map[Family]int64{Claude4: 250, Claude5: 250, GPT: 85 + 170, Gemini: 258} {
			for form, body := range map[string]string{
				"anthropic": `{"type":"image","source":{"type":"base64","media_type":"image/` + name + `","data":"` + data + `"}}`,
				"openai":    `{"type":"image_url","image_url":{"url":"data:image/` + name + `;base64,` + data + `"}}`,
			} {
				var n counts
				n.body([]byte(body), f.weights())
				if n.pictures != want || n.words > 20 {
					t.Errorf("%s, %s, %s: %d tokens of pictures, want %d; %d words", f, name, form, n.pictures, want, n.words)
				}
			}
		}
	}
	if got := Claude4.weights().pixels(8000, 4000); got != 1568 {
		t.Errorf("a large image: %d", got)
	}
	if got := Claude5.weights().pixels(8000, 8000); got != 4784 {
		t.Errorf("a large image of Claude 4.7: %d", got)
	}
	pdf := strings.Repeat("JVBERi0xLjQK", 20_000)
	var n counts
	n.body([]byte(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"`+pdf+`"}}`), GPT.weights())
	if n.documents != 4*pageTokens || n.words > 20 {
		t.Errorf("document: %d, %d words", n.documents, n.words)
	}
	n = counts{}
	n.body([]byte(`{"type":"thinking","thinking":"","signature":"`+strings.Repeat("EqQB9kYIBx", 300)+`"}`), Claude5.weights())
	if n.opaque != 3000 {
		t.Errorf("signature: %d", n.opaque)
	}
}

func TestEstimateRequest(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 50)
	r := &llm.Request{Items: []llm.Item{
		{Kind: llm.ItemMessage, Role: llm.User, Blocks: []llm.Block{{Kind: llm.BlockText, Text: text}}},
		{Kind: llm.ItemToolCall, Turn: 1, Call: llm.Call{Name: "look", Arguments: []byte(`{"at":"fox"}`)}},
		{Kind: llm.ItemToolResult, Turn: 2, Blocks: []llm.Block{{Kind: llm.BlockImage, Media: llm.Media{Data: pictures(t, 300, 250)["png"]}}}},
	}}
	bare := EstimateRequest(r, Claude4)
	if bare < 450+100 || bare > 750+100 {
		t.Errorf("%d", bare)
	}
	r.Tools = []llm.Tool{{Name: "look", Description: "Looks at a thing.", Schema: []byte(`{"type":"object","properties":{"at":{"type":"string"}}}`)}}
	if with := EstimateRequest(r, Claude4); with < bare+400 {
		t.Errorf("tools cost %d", with-bare)
	}
	if got := EstimateRequest(&llm.Request{}, Other); got < 1 {
		t.Errorf("an empty request: %d", got)
	}
}

func TestLearner(t *testing.T) {
	t.Parallel()
	var l Learner
	if l.Adjust("m", 1000) != 1000 {
		t.Error("a model never heard of")
	}
	for range 200 {
		l.Learn("m", 1000, 1300)
	}
	if got := l.Adjust("m", 1000); got < 1290 || got > 1310 {
		t.Errorf("%d", got)
	}
	l.Learn("m", 1000, 40_000)
	l.Learn("m", 10, 20)
	l.Learn("m", 1000, 0)
	l.Learn("m", -1, 5)
	if got := l.Adjust("m", 1000); got < 1290 || got > 1310 {
		t.Errorf("odd observations: %d", got)
	}
	l.Learn("one", 1000, 2000)
	if got := l.Ratio("one"); got > 1.5 {
		t.Errorf("one observation is not the truth: %.2f", got)
	}
	for i := range maxModels + 10 {
		l.Learn("x"+strconv.Itoa(i), 1000, 1000)
	}
	if len(l.models) > maxModels || l.models["m"] != nil {
		t.Errorf("%d models", len(l.models))
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				l.Learn("c"+strconv.Itoa(j%7), 1000, int64(900+i*50))
				l.Adjust("c1", 1000)
			}
		})
	}
	wg.Wait()
}

// A rough figure reserves room: it must not hold back a caller who has enough,
// nor let one in who has far too little.
func TestRough(t *testing.T) {
	t.Parallel()
	prose := strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds. ", 200)
	var noise [200_000]byte
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	picture := `{"url":"data:image/png;base64,` + pictures(t, 1200, 900)["png"]
	for name, body := range map[string][]byte{
		"prose":           chat(prose),
		"long prose":      chat(strings.Repeat(prose, 20)),
		"code":            chat(strings.Repeat("if (x > 0) {\n        return y;\n}\n", 2000)),
		"picture":         []byte(picture + `"}`),
		"picture in text": []byte(picture + `","text":"` + prose + `"}`),
		"signature":       []byte(`{"thinking":"` + prose + `","signature":"` + base64.StdEncoding.EncodeToString(noise[:]) + `"}`),
	} {
		want, got := Estimate(body, Claude5), Rough(body, Claude5)
		if got < want/2 || got > 2*want {
			t.Errorf("%s, %d bytes: roughly %d, estimated %d", name, len(body), got, want)
		}
	}
	if n := Rough(nil, GPT); n != 1 {
		t.Errorf("nothing: %d", n)
	}
}

func BenchmarkRough(b *testing.B) {
	long := chat(strings.Repeat("The quick brown fox jumps over the lazy dog, \"x\": 12.5;\n", 3600))
	for _, size := range []int{8 << 10, 200 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				Rough(long[:size], Claude5)
			}
		})
	}
}

func FuzzEstimate(f *testing.F) {
	f.Add(chat("hello 世界 \\ 123"))
	f.Add([]byte(`{"url":"data:image/png;base64,` + pictures(f, 50, 50)["png"] + `"}`))
	f.Add([]byte(`{"url":"data:image/jpeg;base64,` + pictures(f, 50, 50)["jpeg"] + `"}`))
	f.Add(bytes.Repeat([]byte("A"), 70_000))
	f.Add([]byte(`\u12`))
	// A head that claims a million pixels each way, before much or little data.
	huge := "iVBORw0KGgoAAAANSUhEUgAPQkAAD0JACAYAAAC" // PNG, 1000000 by 1000000
	f.Add([]byte(`{"url":"data:image/png;base64,` + huge + strings.Repeat("aB3d", 140) + `"}`))
	f.Add([]byte(`{"url":"data:image/png;base64,` + huge + strings.Repeat("aB3d", 9000) + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for fam := range families {
			// The bytes as they are, and many of them.
			for _, body := range [][]byte{b, bytes.Repeat(b, 1+40_000/(len(b)+1))} {
				for _, estimate := range []func([]byte, Family) int64{Estimate, Rough} {
					// A run of base64 that is looked at has probe bytes, and no picture
					// costs more than 5,000 tokens.
					most := int64(len(body))*4 + int64(len(body)/probe+1)*5000 + 10_000
					if n := estimate(body, fam); n < 1 || n > most {
						t.Fatalf("%s: %d tokens for %d bytes", fam, n, len(body))
					}
				}
			}
		}
	})
}

func BenchmarkEstimate(b *testing.B) {
	long := chat(strings.Repeat("The quick brown fox jumps over the lazy dog, \"x\": 12.5;\n", 3600))
	im := []byte(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,` + pictures(b, 400, 400)["png"] + `"}}]}]}`)
	for _, c := range []struct {
		name string
		body []byte
	}{{"8KB", long[:8<<10]}, {"200KB", long[:200<<10]}, {fmt.Sprintf("image%dKB", len(im)>>10), im}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.body)))
			for b.Loop() {
				Estimate(c.body, Claude5)
			}
		})
	}
}

// recordings finds the recorded traffic: HEADRACE_CORPUS, or a directory beside
// the module's.
func recordings(t *testing.T) []string {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		t.Skip("the recorded traffic is not read with -short")
	}
	if len(files) == 0 {
		t.Skipf("no recorded traffic at %s: set HEADRACE_CORPUS to measure the estimates", dir)
	}
	return files
}

// unseenByUs says that the prompt held what the request does not: results of
// server tools, files by id or address.
var unseenByUs = []string{"web_search", "web_fetch", "code_execution", "advisor_", "mcp_servers", "tool_search", `"file_id"`,
	`"type":"url"`, `"type": "url"`, `"url":"http`, `"url": "http`, `"container"`, ":online", `"plugins"`, "search_context", `"openrouter:`}

// TestAccuracy compares estimates of recorded requests with the usage that
// their providers reported, prints the errors and holds them to bounds.
func TestAccuracy(t *testing.T) {
	type sample struct{ estimate, actual int64 }
	samples := map[string][]sample{}
	left := 0
	for _, file := range recordings(t) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReaderSize(f, 1<<20)
		for {
			line, err := r.ReadBytes('\n')
			// Most records are of other dialects and not worth decoding.
			if bytes.Contains(line, []byte(`"anthropic"`)) || bytes.Contains(line, []byte(`"openai-chat"`)) {
				var rec struct {
					Dialect   string `json:"dialect"`
					Operation string `json:"operation"`
					Model     string `json:"model"`
					Request   struct {
						Body string `json:"body"`
					} `json:"request"`
					Response struct {
						Body   string `json:"body"`
						Status int    `json:"status"`
					} `json:"response"`
				}
				if err := json.Unmarshal(line, &rec); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				var actual int64
				switch {
				case rec.Operation != "chat" || rec.Response.Status != 200 || rec.Request.Body == "":
				case rec.Dialect == "anthropic":
					actual = reported(rec.Response.Body, "input_tokens") + reported(rec.Response.Body, "cache_creation_input_tokens") + reported(rec.Response.Body, "cache_read_input_tokens")
				case rec.Dialect == "openai-chat":
					actual = reported(rec.Response.Body, "prompt_tokens")
				}
				switch {
				case actual == 0:
				case slices.ContainsFunc(unseenByUs, func(w string) bool { return strings.Contains(rec.Request.Body, w) }):
					left++
				default:
					s := sample{Estimate([]byte(rec.Request.Body), FamilyOf(rec.Model)), actual}
					k := rec.Dialect + " under 200"
					if actual >= 2000 {
						k = rec.Dialect + " from 2000"
					} else if actual >= 200 {
						k = rec.Dialect + " from 200"
					}
					samples[k] = append(samples[k], s)
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	// Of prompts under 200 tokens only the error in tokens means anything.
	bounds := map[string]float64{"anthropic from 200": 0.25, "anthropic from 2000": 0.15, "openai-chat from 200": 0.40, "openai-chat from 2000": 0.20}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range samples {
			if !yield(k) {
				return
			}
		}
	}) {
		var relative, absolute []float64
		for _, s := range samples[k] {
			d := float64(max(s.estimate-s.actual, s.actual-s.estimate))
			relative = append(relative, d/float64(s.actual))
			absolute = append(absolute, d)
		}
		slices.Sort(relative)
		slices.Sort(absolute)
		at := func(v []float64, q float64) float64 { return v[int(float64(len(v)-1)*q)] }
		fmt.Printf("token estimates, %-22s %4d requests: median error %3.0f %%, p90 %3.0f %%; median %.0f tokens, p90 %.0f\n",
			k+":", len(relative), 100*at(relative, 0.5), 100*at(relative, 0.9), at(absolute, 0.5), at(absolute, 0.9))
		if b, ok := bounds[k]; ok && len(relative) >= 10 && at(relative, 0.5) > b {
			t.Errorf("%s: median error %.2f is over %.2f", k, at(relative, 0.5), b)
		}
	}
	fmt.Printf("token estimates: %d requests left out, whose prompts hold what the request only names\n", left)
}

// reported finds the largest figure of a name in an answer, whole or streamed.
func reported(body, name string) int64 {
	var most int64
	name = `"` + name + `"`
	for {
		i := strings.Index(body, name)
		if i < 0 {
			return most
		}
		body = strings.TrimLeft(body[i+len(name):], ": ")
		end := 0
		for end < len(body) && body[end] >= '0' && body[end] <= '9' {
			end++
		}
		if v, err := strconv.ParseInt(body[:end], 10, 64); err == nil {
			most = max(most, v)
		}
	}
}
