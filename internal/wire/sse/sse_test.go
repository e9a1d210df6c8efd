package sse_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	oracle "github.com/tmaxmax/go-sse"

	"headrace/internal/wire/sse"
)

type frame struct {
	Raw, Event, Data string
	NoData           bool
	Other            bool
}

// read gives all frames as copies and the error behind them.
func read(r *sse.Reader) (frames []frame, err error) {
	for {
		f, err := r.Next()
		if err != nil {
			if _, again := r.Next(); again != err {
				return frames, fmt.Errorf("error %v is followed by %v", err, again)
			}
			return frames, err
		}
		frames = append(frames, frame{string(f.Raw), string(f.Event), string(f.Data), f.Data == nil, f.Other})
	}
}

func raws(frames []frame) string {
	var s strings.Builder
	for _, f := range frames {
		s.WriteString(f.Raw)
	}
	return s.String()
}

// cuts is a reader that gives its text in pieces of the given sizes, the rest
// at once.
type cuts struct {
	text  string
	sizes []int
}

func (c *cuts) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := len(c.text)
	if len(c.sizes) > 0 {
		n, c.sizes = min(c.sizes[0], n), c.sizes[1:]
	}
	n = copy(p, c.text[:n])
	c.text = c.text[n:]
	return n, nil
}

var streams = []struct {
	name, text string
	want       []frame
	err        error
}{
	{"empty", "", nil, io.EOF},
	{"one", "data: a\n\n", []frame{{Raw: "data: a\n\n", Data: "a"}}, io.EOF},
	{"no space, two spaces", "data:a\n\ndata:  b\n\n", []frame{{Raw: "data:a\n\n", Data: "a"}, {Raw: "data:  b\n\n", Data: " b"}}, io.EOF},
	{"event", "event: ping\ndata: {\"a\":1}\n\n", []frame{{Raw: "event: ping\ndata: {\"a\":1}\n\n", Event: "ping", Data: `{"a":1}`}}, io.EOF},
	{"last event name holds", "event: a\nevent:b\ndata: 1\n\n", []frame{{Raw: "event: a\nevent:b\ndata: 1\n\n", Event: "b", Data: "1"}}, io.EOF},
	{"crlf", "event: e\r\ndata: a\r\n\r\ndata: b\r\n\r\n", []frame{{Raw: "event: e\r\ndata: a\r\n\r\n", Event: "e", Data: "a"}, {Raw: "data: b\r\n\r\n", Data: "b"}}, io.EOF},
	{"lf then crlf blank", "data: a\n\r\ndata: b\r\n\n", []frame{{Raw: "data: a\n\r\n", Data: "a"}, {Raw: "data: b\r\n\n", Data: "b"}}, io.EOF},
	{"cr", "data: a\r\rdata: b\r\r", []frame{{Raw: "data: a\r\r", Data: "a"}, {Raw: "data: b\r\r", Data: "b"}}, io.EOF},
	{"lines of data", "data: a\ndata: b\ndata:\ndata: c\n\n", []frame{{Raw: "data: a\ndata: b\ndata:\ndata: c\n\n", Data: "a\nb\n\nc"}}, io.EOF},
	{"empty data", "data\n\ndata:\n\n", []frame{{Raw: "data\n\n"}, {Raw: "data:\n\n"}}, io.EOF},
	{"comment frame", ": PROCESSING\n\ndata: a\n\n", []frame{{Raw: ": PROCESSING\n\n", NoData: true}, {Raw: "data: a\n\n", Data: "a"}}, io.EOF},
	{"comment inside", ": x\ndata: a\n: y\n\n", []frame{{Raw: ": x\ndata: a\n: y\n\n", Data: "a"}}, io.EOF},
	{"leading blank lines", "\n\r\ndata: a\n\n", []frame{{Raw: "\n", NoData: true}, {Raw: "\r\n", NoData: true}, {Raw: "data: a\n\n", Data: "a"}}, io.EOF},
	{"byte order mark", "\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", []frame{{Raw: "\xef\xbb\xbfdata: a\n\n", Data: "a"}, {Raw: "\xef\xbb\xbfdata: b\n\n", NoData: true, Other: true}}, io.EOF},
	{"id and retry", "id: 1\nretry: 5\ndata: a\n\n", []frame{{Raw: "id: 1\nretry: 5\ndata: a\n\n", Data: "a"}}, io.EOF},
	{"a line that is no field", "error: {\"m\":1}\n\n", []frame{{Raw: "error: {\"m\":1}\n\n", Data: `{"m":1}`, Other: true}}, io.EOF},
	{"data wins over the error line", "data: a\nerror: b\n\n", []frame{{Raw: "data: a\nerror: b\n\n", Data: "a", Other: true}}, io.EOF},
	{"HTML", "<html>\n<body>\n", []frame{{Raw: "<html>\n<body>\n", NoData: true, Other: true}}, io.EOF},
	{"no blank line at the end", "data: a\n\ndata: [DONE]\n", []frame{{Raw: "data: a\n\n", Data: "a"}, {Raw: "data: [DONE]\n", Data: "[DONE]"}}, io.EOF},
	{"cr at the end", "data: a\r", []frame{{Raw: "data: a\r", Data: "a"}}, io.EOF},
	{"cut inside a line", "data: a\n\ndata: {\"x", []frame{{Raw: "data: a\n\n", Data: "a"}, {Raw: "data: {\"x", Data: `{"x`}}, sse.ErrCut},
	{"cut inside a rune", "data: \xe2\x82", []frame{{Raw: "data: \xe2\x82", Data: "\xe2\x82"}}, sse.ErrCut},
}

// TestCuts: frames, their bytes and the end are the same however the stream is
// cut into reads.
func TestCuts(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, c := range streams {
		t.Run(c.name, func(t *testing.T) {
			check := func(how string, r io.Reader) {
				t.Helper()
				got, err := read(sse.NewReader(r, 0))
				if err != c.err {
					t.Errorf("%s: ended with %v, want %v", how, err, c.err)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Errorf("%s: frames differ (-want +got):\n%s", how, d)
				}
				if raws(got) != c.text {
					t.Errorf("%s: the raw bytes joined are %q, want %q", how, raws(got), c.text)
				}
			}
			check("whole", strings.NewReader(c.text))
			check("byte by byte", iotest.OneByteReader(strings.NewReader(c.text)))
			check("data with the error", iotest.DataErrReader(strings.NewReader(c.text)))
			for i := range c.text {
				check(fmt.Sprintf("cut at %d", i), &cuts{c.text, []int{i}})
			}
			for range 20 {
				var sizes []int
				for range c.text {
					sizes = append(sizes, rnd.IntN(8))
				}
				check(fmt.Sprint("cut ", sizes), &cuts{c.text, sizes})
			}
		})
	}
}

// A stream of bare CRs must not wait for the byte behind a frame.
func TestBareCRDoesNotWait(t *testing.T) {
	t.Parallel()
	src := &cuts{"data: a\r\rdata: b\r\r", []int{9, 9}}
	r := sse.NewReader(src, 0)
	f, err := r.Next()
	if err != nil || string(f.Data) != "a" || len(src.text) != 9 {
		t.Fatalf("got %q, %v with %q unread; want the frame before any further read", f.Data, err, src.text)
	}
}

// A keep-alive of bare newlines must go on without waiting for a frame.
func TestNewlinesGoOutAtOnce(t *testing.T) {
	t.Parallel()
	r := sse.NewReader(io.MultiReader(strings.NewReader("\n"), iotest.ErrReader(errors.New("asked for more"))), 0)
	if f, err := r.Next(); err != nil || string(f.Raw) != "\n" || f.Data != nil {
		t.Fatalf("got %q, %v; want the newline as a frame", f.Raw, err)
	}
}

func TestBuffered(t *testing.T) {
	t.Parallel()
	src := &cuts{"data: a\n\ndata: b\n\ndata: c\n", []int{20, 3, 100}}
	r := sse.NewReader(src, 0)
	if r.Buffered() {
		t.Error("a new reader has nothing buffered")
	}
	for i, want := range []bool{true, false, false} {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if got := r.Buffered(); got != want {
			t.Errorf("after frame %d Buffered is %v, want %v", i, got, want)
		}
	}
}

// Frames that are in memory stand one behind the other, so that a run of them
// is one slice.
func TestBufferedRun(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "data: %s\n\n", strings.Repeat("x", i%90))
	}
	for _, size := range []int{7, 100, 1000, 5000, 20_000} {
		var sizes []int
		for i := range text.Len() {
			if i%5 == 4 { // a calm after the storm
				sizes = append(sizes, 3)
			}
			sizes = append(sizes, size)
		}
		r := sse.NewReader(&cuts{text.String(), sizes}, 0)
		var got strings.Builder
		for {
			f, err := r.Next()
			if err != nil {
				break
			}
			run, each := f.Raw, string(f.Raw)
			for r.Buffered() {
				if f, err = r.Next(); err != nil {
					t.Fatal(err)
				}
				run, each = run[:len(run)+len(f.Raw)], each+string(f.Raw)
			}
			if string(run) != each {
				t.Fatalf("pieces of %d: the run %q is not its frames %q", size, run, each)
			}
			got.Write(run)
		}
		if got.String() != text.String() {
			t.Errorf("pieces of %d: the runs are not the stream", size)
		}
	}
}

func TestReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken pipe")
	src := io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken))
	got, err := read(sse.NewReader(src, 0))
	if err != broken {
		t.Errorf("ended with %v, want the source's own error", err)
	}
	if d := cmp.Diff([]frame{{Raw: "data: a\n\n", Data: "a"}}, got); d != "" {
		t.Errorf("whole frames come before the error, pieces do not (-want +got):\n%s", d)
	}
	if _, err := sse.NewReader(stuck{}, 0).Next(); err != io.ErrNoProgress {
		t.Errorf("a source that gives nothing for ever: %v, want ErrNoProgress", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestCap(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 100, 4095, 4096, 4097, 5000, 100_000} {
		for _, over := range []int{0, 1} {
			text := "data: " + strings.Repeat("x", size-8+over) + "\n\n"
			want := error(io.EOF)
			if over > 0 {
				want = sse.ErrTooLarge
			}
			for _, src := range []io.Reader{strings.NewReader(text + text), iotest.OneByteReader(strings.NewReader(text + text)), iotest.HalfReader(strings.NewReader(text + text))} {
				got, err := read(sse.NewReader(src, size))
				if err != want || over > 0 && len(got) > 0 || over == 0 && len(got) != 2 {
					t.Errorf("cap %d, frame of %d: %d frames, %v; want %v", size, len(text), len(got), err, want)
				}
			}
		}
	}
	// A line that never ends must be refused before it is all in memory.
	src := &endless{}
	if _, err := sse.NewReader(src, 1<<20).Next(); err != sse.ErrTooLarge {
		t.Errorf("endless line: %v, want ErrTooLarge", err)
	}
	if src.read > 2<<20 {
		t.Errorf("endless line: %d bytes were read for a cap of 1 MB", src.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

func TestLines(t *testing.T) {
	t.Parallel()
	text := "{\"a\":1}\n\r\n{\"b\":\"\r\"}\r\n{\"c\""
	want := []frame{{Raw: "{\"a\":1}\n", Data: `{"a":1}`}, {Raw: "\r\n", NoData: true},
		{Raw: "{\"b\":\"\r\"}\r\n", Data: "{\"b\":\"\r\"}"}, {Raw: `{"c"`, Data: `{"c"`}}
	for i := range text {
		got, err := read(sse.NewLineReader(&cuts{text, []int{i}}, 0))
		if d := cmp.Diff(want, got); d != "" || err != sse.ErrCut {
			t.Fatalf("cut at %d: ended with %v, want ErrCut; frames (-want +got):\n%s", i, err, d)
		}
	}
}

// 10 MB in one frame, read in pieces of 4 KB, takes time in proportion: a scan
// from the start at each read would touch 12 GB and run for seconds.
func TestGiantFrameIsLinear(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n\n", "\r\r", "\r\n\r\n"} {
		text := "data: " + strings.Repeat("x", 10<<20) + end + "data: small" + end
		src := &counted{r: strings.NewReader(text), most: 4 << 10}
		r := sse.NewReader(src, 0)
		f, err := r.Next()
		if err != nil || len(f.Data) != 10<<20 {
			t.Fatalf("giant frame: %d bytes, %v", len(f.Data), err)
		}
		if f, err = r.Next(); err != nil || string(f.Data) != "small" {
			t.Fatalf("the frame behind it: %q, %v", f.Data, err)
		}
	}
}

type counted struct {
	r    io.Reader
	most int
}

func (c *counted) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.most)]) }

// A reader that waits holds little, also after a giant frame, whether or not a
// piece of the next frame has come with it.
func TestIdleMemory(t *testing.T) {
	const streams = 200
	for _, rest := range []string{"", "data: the next fra"} {
		text := []byte("data: " + strings.Repeat("x", 1<<20) + "\ndata: y\n\n" + rest)
		var readers []*sse.Reader
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range streams {
			r := sse.NewReader(io.MultiReader(bytes.NewReader(text), iotest.ErrReader(io.ErrNoProgress)), 0)
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
			// The next call makes room, then meets the end of what has come.
			readers = append(readers, r)
		}
		for _, r := range readers {
			if _, err := r.Next(); err == nil {
				t.Fatal("want the reader to wait at the source")
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if per := int64(after.HeapAlloc-before.HeapAlloc) / streams; after.HeapAlloc > before.HeapAlloc && per > 16<<10 {
			t.Errorf("an idle reader holds %d bytes, want at most 16 KB", per)
		}
		runtime.KeepAlive(readers)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ event, data, want string }{
		{"", "", "data: \n\n"},
		{"", "a", "data: a\n\n"},
		{"e", "a", "event: e\ndata: a\n\n"},
		{"", "a\nb\r\nc\rd\n", "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"},
		{"e\ndata: forged", "a", "event: e\ndata: a\n\n"},
		{"e\rdata: forged", "a", "event: e\ndata: a\n\n"},
	} {
		got := sse.AppendData(nil, []byte(c.data))
		if c.event != "" {
			got = sse.AppendEvent(nil, c.event, []byte(c.data))
		}
		if string(got) != c.want {
			t.Errorf("event %q, data %q: %q, want %q", c.event, c.data, got, c.want)
		}
	}
	if got := sse.AppendComment(nil, "a\r\ndata: b"); string(got) != ": a  data: b\n\n" {
		t.Errorf("comment: %q", got)
	}
}

// dispatched gives the events of a stream as a browser would: no event for a
// frame without data, nor for bare JSON.
func dispatched(frames []frame) (events []string) {
	for _, f := range frames {
		bare := f.Other && strings.TrimRight(strings.TrimPrefix(f.Raw, "\xef\xbb\xbf"), " \t\r\n") == f.Data
		if !bare && !f.NoData && f.Data != "" && !(f.Other && !strings.Contains(f.Raw, "data")) {
			events = append(events, f.Event+"|"+f.Data)
		}
	}
	return events
}

func TestOracle(t *testing.T) {
	t.Parallel()
	for _, c := range streams {
		if c.err == io.EOF {
			against(t, []byte(c.text))
		}
	}
}

// against compares with go-sse, which drops what no blank line closes.
func against(t *testing.T, text []byte) {
	t.Helper()
	if bytes.Contains(text, []byte("error")) || bytes.IndexByte(text, 0) >= 0 {
		return // the one line of no SSE that we read, and ids that it refuses
	}
	if first := bytes.TrimLeft(text, "\r\n"); len(first) < len(text) && bytes.HasPrefix(first, []byte("\ufeff")) {
		return // it drops a byte order mark behind blank lines, the standard one at the very beginning only
	}
	text = append(bytes.Clone(text), "\n\n"...)
	got, err := read(sse.NewReader(bytes.NewReader(text), 0))
	if err != io.EOF {
		t.Fatalf("%q: %v", text, err)
	}
	var want []string
	for e, err := range oracle.Read(bytes.NewReader(text), nil) {
		if err != nil {
			return // it takes less than the standard does
		}
		if e.Data != "" {
			want = append(want, e.Type+"|"+e.Data)
		}
	}
	if d := cmp.Diff(want, dispatched(got)); d != "" {
		t.Errorf("%q: events differ from go-sse (-want +got):\n%s", text, d)
	}
}

func FuzzFrames(f *testing.F) {
	for _, c := range streams {
		f.Add([]byte(c.text), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		whole, end := read(sse.NewReader(bytes.NewReader(text), 1<<20))
		if raws(whole) != string(text) {
			t.Fatalf("the raw bytes joined are %q, want %q", raws(whole), text)
		}
		if end != io.EOF && end != sse.ErrCut {
			t.Fatal(end)
		}
		rnd := rand.New(rand.NewPCG(seed, 0))
		var sizes []int
		for range text {
			sizes = append(sizes, rnd.IntN(5))
		}
		cut, err := read(sse.NewReader(&cuts{string(text), sizes}, 1<<20))
		if raws(cut) != string(text) || err != end {
			t.Fatalf("cut %v: %q, %v; want %q, %v", sizes, raws(cut), err, text, end)
		}
		if d := cmp.Diff(dispatched(whole), dispatched(cut)); d != "" {
			t.Fatalf("cut %v (-whole +cut):\n%s", sizes, d)
		}
		against(t, text)
		lines, _ := read(sse.NewLineReader(&cuts{string(text), sizes}, 1<<20))
		if raws(lines) != string(text) {
			t.Fatalf("lines joined are %q, want %q", raws(lines), text)
		}
		// What is written reads back.
		data := bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
		back, err := read(sse.NewReader(bytes.NewReader(sse.AppendData(nil, text)), 1<<21))
		if err != io.EOF || len(back) != 1 || back[0].Data != string(data) {
			t.Fatalf("%q read back is %v, %v", text, back, err)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	chunk := []byte("data: {\"id\":\"chatcmpl-1234567890\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-5.5\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n")
	event := []byte("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" some words of an answer that go on and on and on for a while, and then end\"}}\n\n")
	for _, c := range []struct {
		name string
		text []byte
		size int
	}{
		{"chat/whole", bytes.Repeat(chunk, 64), 1 << 20},
		{"chat/one-by-one", bytes.Repeat(chunk, 64), len(chunk)},
		{"messages/whole", bytes.Repeat(event, 64), 1 << 20},
		{"10MB", append(append([]byte("data: "), bytes.Repeat([]byte("x"), 10<<20)...), "\n\n"...), 4 << 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			frames := 0
			for b.Loop() {
				r := sse.NewReader(&counted{bytes.NewReader(c.text), c.size}, 0)
				for {
					if _, err := r.Next(); err != nil {
						break
					}
					frames++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
		})
	}
}

// TestBareJSON: a frame that is JSON and no field is all of it data.
func TestBareJSON(t *testing.T) {
	t.Parallel()
	const in = "data: 1\r\n\r\n{\r\n \"error\": {\"code\": 503}\r\n}\r\n\r\n[{\"error\":1}]\n\n{\ndata: {\n\n"
	r := sse.NewReader(strings.NewReader(in), 0)
	var got []string
	raw := ""
	for {
		f, err := r.Next()
		if err != nil {
			break
		}
		raw += string(f.Raw)
		got = append(got, fmt.Sprintf("%s %t", f.Data, f.Other))
	}
	want := []string{"1 false", "{\r\n \"error\": {\"code\": 503}\r\n} true", `[{"error":1}] true`, "{ true"}
	if raw != in || !slices.Equal(got, want) {
		t.Errorf("%q from %q", got, raw)
	}
}

// TestSlowStream: a stream that comes event by event gives up its first buffer,
// takes it back when more comes at once, and loses nothing.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	var pieces, want []string
	for i := range 60 {
		pieces = append(pieces, fmt.Sprintf("data: %d\n\n", i))
		want = append(want, fmt.Sprint(i))
	}
	long := strings.Repeat("x", 3000)
	pieces, want = append(pieces, "data: "+long+"\n\n"), append(want, long)
	for i := range 60 {
		pieces = append(pieces, fmt.Sprintf("data: %d\n\n", i))
		want = append(want, fmt.Sprint(i))
	}
	r := sse.NewReader(&drip{pieces: pieces}, 0)
	for i, w := range want {
		r.Wait()
		f, err := r.Next()
		if err != nil || string(f.Data) != w {
			t.Fatalf("event %d: %.40q, %v; want %.40q", i, f.Data, err, w)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Error(err)
	}
}

// drip gives one piece a read, or what fits.
type drip struct{ pieces []string }

func (d *drip) Read(b []byte) (int, error) {
	if len(d.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, d.pieces[0])
	if d.pieces[0] = d.pieces[0][n:]; d.pieces[0] == "" {
		d.pieces = d.pieces[1:]
	}
	return n, nil
}
