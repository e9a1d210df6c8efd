package wiretest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// StartGateway starts a gateway with one provider: its id is the dialect's
// name ("openai", "anthropic"), it speaks the dialect, and it is found at
// upstream, which is what that vendor's SDK takes as base URL (OpenAI's ends
// in /v1). It gives the gateway's own address, without a path, and a key for
// it, and registers with t what stops it. Retries must be off or follow the
// default policy; every answer is put up as often as it may take.
type StartGateway func(t *testing.T, upstream string, dialect llm.Dialect) (baseURL, key string)

// RunGateway runs the recorded traffic through a gateway: the same dialect on
// both sides passes byte for byte, cut in any way, and every pair of dialects
// gives a client the answer that the provider gave, as the client's own SDK
// reads it. oneIn picks the slice as in Options; 0 means 4.
func RunGateway(t *testing.T, start StartGateway, oneIn int) { runGateway(t, start, oneIn, true) }

// RunGatewayWords is RunGateway for a gateway whose fast path is off, now and
// then or always: bytes may differ, but not what the client's SDK reads.
func RunGatewayWords(t *testing.T, start StartGateway, oneIn int) {
	runGateway(t, start, oneIn, false)
}

func runGateway(t *testing.T, start StartGateway, oneIn int, exact bool) {
	if oneIn == 0 {
		oneIn = 4
	}
	for _, upstream := range Dialects() {
		records := append(Cases(t, upstream), Slice(Corpus(t, Filter{Dialect: upstream, Operation: "chat"}), oneIn)...)
		t.Run(string(upstream), func(t *testing.T) {
			g := &gateway{tally: newTally(t, "gateway-"+string(upstream)), up: NewReplay(t), dialect: upstream, exact: exact, client: &http.Client{Timeout: 30 * time.Second}}
			defer g.report()
			url := g.up.URL
			if upstream == llm.OpenAI {
				url += "/v1"
			}
			g.base, g.key = start(t, url, upstream)
			for i, r := range records {
				g.rnd = rand.New(rand.NewPCG(uint64(i), 7))
				if r.Operation != "chat" || len(r.Response.Body()) == 0 {
					g.skip(r, "no chat answer")
					continue
				}
				if exact {
					g.pass(r)
				}
				for _, client := range Dialects() {
					g.pair(r, client)
				}
				g.cut(r)
			}
		})
	}
}

type gateway struct {
	*tally
	up        *Replay
	dialect   llm.Dialect
	base, key string
	exact     bool
	client    *http.Client
	rnd       *rand.Rand
}

// answered is what the gateway's client got.
type answered struct {
	status int
	header http.Header
	body   []byte
	// broken is how the body ended when not well.
	broken error
}

func (g *gateway) call(d llm.Dialect, query string, header http.Header, body []byte) (*answered, error) {
	path := "/v1/chat/completions"
	if d == llm.Anthropic {
		path = "/v1/messages"
	}
	if query != "" {
		path += "?" + query
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if d == llm.Anthropic {
		req.Header.Set("x-api-key", g.key)
		req.Header.Set("anthropic-version", "2023-06-01")
		for _, v := range header.Values("anthropic-beta") {
			req.Header.Add("anthropic-beta", v)
		}
	} else {
		req.Header.Set("Authorization", "Bearer "+g.key)
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	return &answered{resp.StatusCode, resp.Header, out, err}, nil
}

// again puts the answer up as often as a gateway may ask for it.
func (g *gateway) again(s Serve) { g.up.Put(s, s, s, s, s, s) }

// pass: same dialect on both sides, bytes both ways.
func (g *gateway) pass(r *Record) {
	body := r.Request.Body()
	if r.Fidelity.Request != "exact" || r.Fidelity.Response != "exact" || len(body) == 0 {
		g.skip(r, "pass-through needs the bytes of both sides")
		return
	}
	members, err := span.Members(nil, body, nil)
	at := slices.IndexFunc(members, func(m span.Member) bool { return m.Name == "model" })
	if err != nil || at < 0 {
		g.skip(r, "pass-through needs a request with a model")
		return
	}
	var model string
	if json.Unmarshal(body[members[at].Value.From:members[at].Value.To], &model) != nil || model == "" {
		g.skip(r, "pass-through needs a request with a model")
		return
	}
	name, err := json.Marshal(string(g.dialect) + "/" + model)
	if err != nil {
		g.check(r, "pass", err)
		return
	}
	sent := bytes.Join(span.Splice(body, span.Patch{At: members[at].Value, With: name}), nil)
	var flags struct {
		Stream  bool
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &flags); err != nil {
		g.skip(r, "a request with a member of the wrong type")
		return
	}
	if flags.Stream != r.Streaming && r.OK() {
		g.skip(r, "asked for a stream and answered whole, or the other way")
		return
	}
	g.again(Serve{Record: r, Sizes: Recut(g.rnd, r)})
	got, err := g.call(g.dialect, r.Query, r.Request.Header(), sent)
	if err != nil {
		g.check(r, "pass", err)
		return
	}
	requests := g.up.Got()
	if len(requests) == 0 {
		g.check(r, "pass-request", fmt.Errorf("nothing came to the provider; the client got %d: %.300s", got.status, got.body))
		return
	}
	g.check(r, "pass-request", passedRequest(body, requests[0].Body, g.dialect == llm.OpenAI && flags.Stream && !flags.Options.Usage))
	want := r.Response.Body()
	switch {
	case r.OK() && r.Streaming && errorFirst(want):
		g.check(r, "pass-early-error", func() error {
			if got.status < 400 {
				return fmt.Errorf("status %d for a stream that begins with an error", got.status)
			}
			return nil
		}())
		return
	case r.Response.Status == 401 || r.Response.Status == 403:
		g.check(r, "pass-auth", func() error { // the provider's refusal of our key is no business of the client's
			if got.status < 400 || bytes.Equal(got.body, want) {
				return fmt.Errorf("status %d, body %.200s", got.status, got.body)
			}
			return errorBody(g.dialect, got.body)
		}())
		return
	case !r.OK():
		g.check(r, "pass-error", func() error {
			if got.status < 400 {
				return fmt.Errorf("status %d, the provider said %d", got.status, r.Response.Status)
			}
			if bytes.Equal(got.body, want) {
				return nil
			}
			return errorBody(g.dialect, got.body)
		}())
		return
	}
	if g.dialect == llm.OpenAI && flags.Stream && !flags.Options.Usage {
		want, got.body = withoutUsage(want), withoutUsage(got.body)
	}
	g.check(r, "pass-response", func() error {
		if got.status != r.Response.Status {
			return fmt.Errorf("status %d, want %d: %.300s", got.status, r.Response.Status, got.body)
		}
		if got.broken != nil {
			return fmt.Errorf("the body broke: %w", got.broken)
		}
		if !bytes.Equal(got.body, want) {
			return fmt.Errorf("%d bytes, want %d: %s", len(got.body), len(want), around(want, got.body))
		}
		return nil
	}())
}

// passedRequest: the provider got the client's bytes; asked says that the
// gateway may ask for usage in the client's place.
func passedRequest(want, got []byte, asked bool) error {
	if bytes.Equal(want, got) {
		return nil
	}
	if asked {
		var v struct {
			Options struct {
				Usage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if json.Unmarshal(got, &v) == nil && v.Options.Usage {
			err := sameJSON(want, got, func(place string) bool { return strings.HasPrefix(place, ".stream_options") })
			if err != nil {
				return err
			}
			// One splice: all that was there is still there, in order.
			i := 0
			for ; i < len(want) && want[i] == got[i]; i++ {
			}
			if tail := len(want) - i; len(got) > len(want) && bytes.Equal(want[i:], got[len(got)-tail:]) {
				return nil
			}
			return errors.New("more than one place was changed to ask for usage")
		}
	}
	return fmt.Errorf("the request differs: %s", around(want, got))
}

// withoutUsage takes the usage chunk out of a stream that was not to have it.
func withoutUsage(body []byte) []byte {
	var out []byte
	frames := sse.NewReader(bytes.NewReader(body), 0)
	for {
		f, err := frames.Next()
		if err != nil {
			return out
		}
		var v struct {
			Choices []json.RawMessage `json:"choices"`
			Usage   map[string]any    `json:"usage"`
		}
		if json.Unmarshal(f.Data, &v) == nil && v.Choices != nil && len(v.Choices) == 0 && len(v.Usage) > 0 {
			continue
		}
		out = append(out, f.Raw...)
	}
}

// errorFirst says that a stream brings an error before any content.
func errorFirst(body []byte) bool {
	frames := sse.NewReader(bytes.NewReader(body), 0)
	for {
		f, err := frames.Next()
		if err != nil {
			return false
		}
		var v struct {
			Type    string          `json:"type"`
			Error   json.RawMessage `json:"error"`
			Choices []struct {
				Delta map[string]any `json:"delta"`
			} `json:"choices"`
		}
		if json.Unmarshal(f.Data, &v) != nil {
			if f.Other && len(f.Data) > 0 || string(f.Event) == "error" {
				return true
			}
			continue
		}
		if len(v.Error) > 0 && string(v.Error) != "null" || string(f.Event) == "error" || f.Other && len(f.Data) > 0 {
			return true
		}
		if strings.HasPrefix(v.Type, "content_block") || v.Type == "message_delta" {
			return false
		}
		for _, c := range v.Choices {
			for k, d := range c.Delta {
				if k != "role" && !nothing(d) {
					return false
				}
			}
		}
	}
}

// requests are small calls that a client of each dialect makes in a pair.
var requests = map[llm.Dialect]string{
	llm.OpenAI:    `{"model":%s,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the weather?"}],"stream":%v,"stream_options":{"include_usage":true}}`,
	llm.Anthropic: `{"model":%s,"max_tokens":4096,"system":"Be brief.","messages":[{"role":"user","content":"What is the weather?"}],"stream":%v}`,
}

// pair: a client of one dialect, a provider of another (or the same), and the
// recorded answer, read by the client's SDK.
func (g *gateway) pair(r *Record, client llm.Dialect) {
	name := "from-" + string(client)
	if !g.exact && client == g.dialect {
		name = "same-words"
	}
	model := r.Model
	if model == "" {
		model = "some-model"
	}
	quoted, err := json.Marshal(string(g.dialect) + "/" + model)
	if err != nil {
		g.check(r, name, err)
		return
	}
	body := fmt.Sprintf(requests[client], quoted, r.Streaming)
	if !r.Streaming {
		body = strings.Replace(body, `,"stream_options":{"include_usage":true}`, "", 1)
	}
	g.again(Serve{Record: r, Sizes: Recut(g.rnd, r)})
	got, err := g.call(client, "", nil, []byte(body))
	if err != nil {
		g.check(r, name, err)
		return
	}
	if client != g.dialect {
		if up := g.up.Got(); len(up) > 0 {
			g.check(r, name+"-request", closedRequest(g.dialect, up[0].Body))
		}
	}
	truth, sdkErr := Read(g.dialect, r.Streaming, r.Response.Body())
	truth = (&suite{}).expected(r, truth)
	if !r.OK() || errorFirst(r.Response.Body()) && r.Streaming || sdkErr != nil && !r.Streaming {
		g.check(r, name+"-error", func() error {
			if got.status < 400 {
				return fmt.Errorf("status %d for %d %.200s", got.status, r.Response.Status, r.Response.Body())
			}
			if client == g.dialect && bytes.Equal(got.body, r.Response.Body()) {
				return nil
			}
			return errorBody(client, got.body)
		}())
		return
	}
	if sdkErr != nil {
		g.skip(r, "the provider's own SDK does not read the answer")
		return
	}
	g.check(r, name, func() error {
		if got.status != 200 {
			return fmt.Errorf("status %d: %.300s", got.status, got.body)
		}
		if got.broken != nil {
			return fmt.Errorf("the body broke: %w", got.broken)
		}
		a, err := Read(client, r.Streaming, got.body)
		if err != nil && truth.Finish == "" && r.Case != nil {
			return nil // a case of a stream that was cut: the client is told
		}
		if err != nil {
			return fmt.Errorf("the SDK says %w of\n%.1500s", err, got.body)
		}
		want := truth.SeenBy(g.dialect).SeenBy(client)
		if client != g.dialect && (want.Finish == llm.FinishOther || want.Finish == "") {
			want.Finish = a.Finish
		}
		if r.Streaming && client != g.dialect && want.Usage.Prompt == 0 {
			// A stream that names the prompt first has our own estimate where the
			// provider tells nothing.
			want.Usage.Prompt = a.Usage.Prompt
		}
		return same(want, a.SeenBy(client))
	}())
}

// cut: a provider that breaks off inside a stream, for a few of the records:
// the client must see that it is not whole.
func (g *gateway) cut(r *Record) {
	body := r.Response.Body()
	if !r.OK() || !r.Streaming || g.rnd.IntN(4) != 0 || len(body) < 400 || errorFirst(body) {
		return
	}
	client := Dialects()[g.rnd.IntN(len(Dialects()))]
	quoted, err := json.Marshal(string(g.dialect) + "/" + r.Model)
	if err != nil || r.Model == "" {
		return
	}
	at := len(body)/4 + g.rnd.IntN(len(body)/4)
	g.again(Serve{Record: r, CutAfter: at})
	got, err := g.call(client, "", nil, fmt.Appendf(nil, requests[client], quoted, true))
	if err != nil {
		return // a broken connection is a clear sign
	}
	g.check(r, "cut", func() error {
		if got.status >= 400 {
			return errorBody(client, got.body)
		}
		if got.broken != nil {
			return nil
		}
		if early, err := Read(g.dialect, true, body[:at]); err == nil && early.Finish != "" {
			return nil // all but the usage had come
		}
		if _, err := Read(client, true, got.body); err == nil {
			return fmt.Errorf("cut at byte %d, but the %s client sees a whole answer: ...%s", at, client, got.body[max(0, len(got.body)-300):])
		}
		return nil
	}())
}
