package gateway

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"headrace/internal/llm"
)

// read takes the bounded body and makes the draft.
func (x *exchange) read(req *http.Request, path asked) (llm.Draft, *llm.Error) {
	body, fail := x.body(req)
	if fail != nil {
		return llm.Draft{}, fail
	}
	return x.drafted(body, req, path)
}

// drafted makes the draft of a body that is read.
func (x *exchange) drafted(body []byte, req *http.Request, path asked) (llm.Draft, *llm.Error) {
	d, fail := x.reply.door.draft(body, path)
	if fail != nil {
		return d, fail
	}
	x.reply.door.heed(&d, req.Header)
	d.Trace = x.row.Trace
	d.Query = withoutKey(req.URL.RawQuery)
	if d.Op == llm.OpRaw {
		d.Method, d.Path = req.Method, path.rest
	}
	return d, nil
}

// body reads the body of a request whole, in time and within its bounds.
func (x *exchange) body(req *http.Request) ([]byte, *llm.Error) {
	if x.s.ReadIn > 0 && req.ContentLength != 0 {
		rc := http.NewResponseController(x.reply.w)
		if err := rc.SetReadDeadline(x.reply.start.Add(x.s.ReadIn)); err == nil {
			// The connection goes on: for the next request, and to see the client leave.
			defer rc.SetReadDeadline(time.Time{})
		}
	}
	return readBody(req, x.s.MaxBody, x.place.take)
}

// zstdWindow is the largest window of a zstd body in bytes: what every decoder
// must take (RFC 8878, 3.1.1.1.2), and what bounds the memory of ours.
const zstdWindow = 8 << 20

// readBody reads the whole body before anything is sent on: an attempt may
// have to be repeated, and an answer that comes early would otherwise break
// the upload (golang/go#40747).
func readBody(req *http.Request, limit int64, hold func(n int64) *llm.Error) ([]byte, *llm.Error) {
	tooLarge := func() *llm.Error {
		return llm.Errorf(llm.TooLarge, "the request body is over the limit of %d bytes", limit)
	}
	if req.ContentLength > limit {
		return nil, tooLarge()
	}
	if n := req.ContentLength; n >= 0 && coding(req) == "" {
		if fail := hold(n); fail != nil {
			return nil, fail
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(req.Body, body); err != nil {
			return nil, cutBody(err)
		}
		return body, nil
	}
	src, done, fail := uncoded(req)
	if fail != nil {
		return nil, fail
	}
	defer done()
	m := metered{src: io.LimitReader(src, limit+1), hold: hold}
	body, err := io.ReadAll(&m)
	switch {
	case m.fail != nil:
		return nil, m.fail
	case err != nil:
		return nil, cutBody(err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge()
	}
	return body, nil
}

// coding is how the body of a request is compressed; empty when it is not.
func coding(req *http.Request) string {
	if enc := strings.ToLower(req.Header.Get("Content-Encoding")); enc != "identity" {
		return enc
	}
	return ""
}

// uncoded reads the body of a request as it was before it was compressed. done
// ends that and is never nil.
func uncoded(req *http.Request) (src io.Reader, done func(), fail *llm.Error) {
	done = func() {}
	switch enc := coding(req); enc {
	case "":
		return req.Body, done, nil
	case "gzip":
		z, err := gzip.NewReader(req.Body)
		if err != nil {
			return nil, done, llm.Errorf(llm.InvalidRequest, "the request body is not gzip, as content-encoding says")
		}
		return z, done, nil
	case "zstd":
		z, err := zstd.NewReader(req.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(zstdWindow))
		if err != nil {
			return nil, done, llm.Errorf(llm.InvalidRequest, "the request body is not zstd, as content-encoding says")
		}
		return z, z.Close, nil
	default:
		return nil, done, llm.Errorf(llm.InvalidRequest, "content-encoding %q is not taken; send gzip, zstd or none", enc)
	}
}

// anySize holds nothing: for small bodies.
func anySize(int64) *llm.Error { return nil }

// metered takes room for a body of unknown size while it is read.
type metered struct {
	src  io.Reader
	hold func(n int64) *llm.Error
	room int64 // taken and not filled yet
	fail *llm.Error
}

// step is what is taken at a time.
const step = 64 << 10

func (m *metered) Read(p []byte) (int, error) {
	if m.room == 0 {
		if m.fail = m.hold(step); m.fail != nil {
			return 0, m.fail
		}
		m.room = step
	}
	n, err := m.src.Read(p[:min(int64(len(p)), m.room)])
	m.room -= int64(n)
	return n, err
}

func cutBody(err error) *llm.Error {
	return &llm.Error{Class: llm.InvalidRequest, Message: "the request body ended early or is damaged", Cause: err}
}
