package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/admin"
	"headrace/internal/llm"
)

// maxAnswer bounds what is read from a gateway.
const maxAnswer = 64 << 20

// client speaks the admin API, over the network or to a handler in this
// process.
type client struct {
	http  *http.Client
	base  string
	token llm.Secret
	close func() error
}

// connect opens the admin API that the flags and the environment name.
func (p *process) connect(ctx context.Context) (*client, error) {
	base := p.URL
	if base == "" {
		base = p.env.URL
	}
	if base == "" {
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		h, end, err := p.app.Admin(ctx, c, p.env)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", c.Data, err)
		}
		return &client{http: &http.Client{Transport: inside{h}}, base: "http://headrace", close: end}, nil
	}
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, &failure{ExitUsage, errors.New("the gateway's URL is http:// or https:// with a host, such as http://127.0.0.1:8080")}
	}
	if p.env.AdminToken == "" {
		return nil, &failure{ExitUsage, errors.New("HEADRACE_ADMIN_TOKEN is not set: serve printed the token at its first start")}
	}
	return &client{
		http: &http.Client{
			Timeout: 60 * time.Second,
			// The token must not follow a redirect.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base:  strings.TrimSuffix(base, "/"),
		token: p.env.AdminToken,
		close: func() error { return nil },
	}, nil
}

// inside is a RoundTripper over a handler. The answers of the admin API are
// whole, so they are recorded and handed over at their end.
type inside struct{ handler http.Handler }

func (i inside) RoundTrip(q *http.Request) (*http.Response, error) {
	served := q.Clone(q.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	served.RequestURI = q.URL.RequestURI()
	served.Host = q.URL.Host
	w := recorder{header: http.Header{}}
	i.handler.ServeHTTP(&w, served)
	w.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		Body:          io.NopCloser(&w.body),
		ContentLength: int64(w.body.Len()),
		Request:       q,
	}, nil
}

// recorder is a ResponseWriter in memory. net/http/httptest has one too, but
// it brings flags of its own into the binary.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// call asks one thing. in is sent as JSON unless it is nil or bytes already;
// the answer is decoded into out, and given raw as well.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) (jsontext.Value, error) {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(v)
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	address := c.base + "/admin/v1/" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		q.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	r, err := c.http.Do(q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &failure{ExitUnreached, fmt.Errorf("cannot reach the gateway at %s: %w", c.base, rootCause(err))}
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, &failure{ExitUnreached, fmt.Errorf("read the gateway's answer: %w", err)}
	case len(text) > maxAnswer:
		return nil, errors.New("the gateway's answer is over 64 MB")
	}
	if r.StatusCode < 200 || r.StatusCode > 299 {
		var p admin.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Error.Message == "" {
			return nil, &failure{ExitUnreached, fmt.Errorf("%s answered %s: it does not look like a Headrace admin API", c.base, r.Status)}
		}
		err := error(fmt.Errorf("%s: %s", p.Error.Code, p.Error.Message))
		if r.StatusCode == http.StatusUnauthorized || r.StatusCode == http.StatusForbidden {
			err = &failure{ExitUnreached, err}
		}
		return nil, err
	}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, fmt.Errorf("the gateway's answer cannot be read: %w", err)
	}
	return text, nil
}

// rootCause takes the method and URL off a client error; the URL is said
// already.
func rootCause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	return err
}

// ask connects, calls once and closes.
func (p *process) ask(ctx context.Context, method, path string, query url.Values, in, out any) (raw jsontext.Value, err error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if end := c.close(); err == nil {
			err = end
		}
	}()
	return c.call(ctx, method, path, query, in, out)
}

// printJSON writes a value for machines; raw answers go out as they came.
func (p *process) printJSON(v any) error {
	raw, ok := v.(jsontext.Value)
	if !ok {
		var err error
		if raw, err = json.Marshal(v, json.Deterministic(true)); err != nil {
			return err
		}
	}
	if err := raw.Indent(); err != nil {
		return err
	}
	_, err := p.out.Write(append(raw, '\n'))
	return err
}

// marshalLine writes a value as one line of JSON.
func marshalLine(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(text, '\n'), err
}
