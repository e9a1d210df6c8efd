package provider

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"

	"headrace/internal/llm"
)

// decompress takes gzip off an answer that came with it although none was asked
// for, as some proxies send it. Another coding is an error of the class
// MalformedUpstream, which closes the body. The limits of answers and events
// hold for what is unpacked.
func (p *Provider) decompress(resp *http.Response, model string) error {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(resp.Header["Content-Encoding"], ",")))
	switch coding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		resp.Body = &gunzip{packed: resp.Body}
		resp.ContentLength = -1
		return nil
	}
	resp.Body.Close()
	if len(coding) > 40 {
		coding = coding[:40]
	}
	return &llm.Error{Class: llm.MalformedUpstream, Status: resp.StatusCode, Provider: p.row.ID, Model: model, UpstreamID: upstreamID(resp.Header),
		Message: p.row.ID + " answered in the coding " + coding + ", for which nobody asked"}
}

// gunzip unpacks a body. Its first Read, and not its making, waits for the
// header.
type gunzip struct {
	packed io.ReadCloser
	plain  *gzip.Reader
}

func (g *gunzip) Read(b []byte) (n int, err error) {
	if g.plain == nil {
		if g.plain, err = gzip.NewReader(g.packed); err != nil {
			g.plain = nil
			return 0, err
		}
	}
	return g.plain.Read(b)
}

// Close closes the body; it may be called while another goroutine reads.
func (g *gunzip) Close() error { return g.packed.Close() }
