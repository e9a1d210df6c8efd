// Package wiretest is the kit that every dialect and the gateway run: recorded
// traffic and our own cases, an upstream that replays them, the official SDKs
// as judges of what a client sees, and suites of contracts over all of these.
// It is imported by external test packages only.
//
// Recorded traffic is found through the environment variable HEADRACE_CORPUS,
// else in shared/corpus beside the module's folder; without it the suites run
// on our own cases alone and say so. A run takes a seeded slice of the records
// (HEADRACE_SEED picks another one); HEADRACE_FULL=1 takes all.
package wiretest

import (
	"net/http"
	"os"
	"path/filepath"

	"headrace/internal/llm"
)

// Codec is what a dialect must be to run the suite: both sides of its wire.
type Codec interface {
	Dialect() llm.Dialect

	Head(op llm.Op, body []byte) (llm.Head, error)
	DecodeRequest(body []byte) (*llm.Request, error)
	AppendResponse(dst []byte, r *llm.Response) []byte
	NewEncoder(o llm.StreamOptions) llm.StreamEncoder
	EncodeError(e *llm.Error) (status int, body []byte)
	AppendStreamError(dst []byte, e *llm.Error) []byte

	Patch(d *llm.Draft, c *llm.Capability) (llm.Encoded, error)
	EncodeRequest(r *llm.Request, model string, c *llm.Capability) (llm.Encoded, error)
	DecodeResponse(body []byte) (*llm.Response, error)
	Glance(body []byte) (llm.Glance, error)
	NewDecoder() llm.StreamDecoder
	Telling(data []byte) bool
	DecodeError(status int, h http.Header, body []byte) *llm.Error
}

// Root gives the module's folder: the nearest one upwards with a go.mod; ""
// when there is none.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// Full says whether everything is to run, not only the seeded slice.
func Full() bool { return os.Getenv("HEADRACE_FULL") == "1" }
