package gateway

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// This file is about what stands at the batch doors and is not kept here: files
// for other purposes than batches, and what was made at the vendor itself. It is
// passed to the vendor as it is, if that is configured.

// vendors reports whether what is not kept here may be the vendor's.
func (x *exchange) vendors() bool {
	return x.s.Policy.Configured[x.reply.door.vendor]
}

// ourPrefixes are those of all ids that the batch doors give.
var ourPrefixes = []string{messageBatchPrefix, batchPrefix, jobPrefix, outputPrefix, errorPrefix, filePrefix}

// theirs reports whether a request names what cannot be ours: by the id in its
// path, or by the purpose of the files that it lists.
func theirs(req *http.Request) bool {
	if id := req.PathValue("id"); id != "" {
		return hidden[ledger.ID](id, ourPrefixes...) == 0
	}
	purpose := req.URL.Query().Get("purpose")
	return purpose != "" && purpose != "batch"
}

// hand passes a request of a batch door on to the vendor. body is what was read
// of it already; nil is nothing.
func (x *exchange) hand(ctx context.Context, req *http.Request, p *access.Principal, body []byte) *llm.Error {
	end, fail := deadline(req.Header.Get("X-Headrace-Deadline"), x.reply.start)
	if fail != nil {
		return fail
	}
	if !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	if body == nil {
		if body, fail = x.body(req); fail != nil {
			return fail
		}
	}
	draft, fail := x.drafted(body, req, asked{rest: strings.TrimPrefix(req.URL.EscapedPath(), x.reply.door.prefix)})
	if fail != nil {
		return fail
	}
	return x.run(ctx, p, &draft, req.Header["X-Headrace-Tags"])
}

// names reports whether the body of a new batch names a file that cannot be
// ours. One that cannot be read names none.
func names(body []byte) bool {
	var v struct {
		Input string `json:"input_file_id"`
	}
	return json.Unmarshal(body, &v) == nil && v.Input != "" && hidden[batch.FileID](v.Input, filePrefix) == 0
}

// tape keeps what is read of an upload as long as it may have to be passed on.
type tape struct {
	src io.Reader
	x   *exchange
	// pieces are what was read so far, size bytes; over says that it is more than
	// may be passed on, and no longer kept.
	pieces [][]byte
	size   int64
	over   bool
	off    bool
	fail   *llm.Error
}

// Read reads on, and keeps.
func (t *tape) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	if n == 0 || t.off || t.over {
		return n, err
	}
	if t.size+int64(n) > t.x.s.MaxBody {
		t.forget()
		t.over = true
		return n, err
	}
	for in := p[:n]; len(in) > 0; {
		last := len(t.pieces) - 1
		if last < 0 || len(t.pieces[last]) == cap(t.pieces[last]) {
			if t.fail = t.x.place.take(step); t.fail != nil {
				return 0, t.fail
			}
			t.pieces = append(t.pieces, make([]byte, 0, step))
			last++
		}
		piece := t.pieces[last]
		took := copy(piece[len(piece):cap(piece)], in)
		t.pieces[last], in = piece[:len(piece)+took], in[took:]
	}
	t.size += int64(n)
	return n, err
}

// forget lets go of what was kept.
func (t *tape) forget() {
	t.x.place.give(int64(len(t.pieces)) * step)
	t.pieces, t.size = nil, 0
}

// stop ends the keeping.
func (t *tape) stop() {
	t.forget()
	t.off = true
}

// rest reads the upload to its end and gives the whole of it.
func (t *tape) rest() ([]byte, *llm.Error) {
	buf := make([]byte, step)
	for !t.over {
		_, err := t.Read(buf)
		switch {
		case t.fail != nil:
			return nil, t.fail
		case err == io.EOF:
			return slices.Concat(t.pieces...), nil
		case err != nil:
			return nil, asError(err, llm.InvalidRequest)
		}
	}
	return nil, llm.Errorf(llm.TooLarge, "a file that is not for a batch is passed to %s, and is over the limit of %d bytes", t.x.reply.door.vendor, t.x.s.MaxBody)
}
