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
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
	"headrace/internal/wire/sse"
)

// StartGateway starts a gateway with one provider: its id is GatewayOptions.ID,
// it speaks the dialect and no other, and it is found at
// upstream, which is what that vendor's SDK takes as base URL (see Base). It
// gives the gateway's own address, without a path, and a key for it, and
// registers with t what stops it. Retries must be off or follow the default
// policy; every answer is put up as often as it may take.
type StartGateway func(t *testing.T, upstream string, dialect llm.Dialect) (baseURL, key string)

// GatewayOptions steer RunGateway.
type GatewayOptions struct {
	// OneIn is the share of the recorded traffic that a slice takes; 0 means 4.
	OneIn int
	// Clients and Providers are the dialects that the gateway speaks on either
	// side; nil means all that the kit knows.
	Clients, Providers []llm.Dialect
	// Table sums up what is found, if set.
	Table *Table
	// ID gives the id of the provider that speaks a dialect; nil means the
	// dialect's name.
	ID func(llm.Dialect) string
	// Words says that the gateway's fast path is off, now and then or always:
	// bytes may differ, but not what the client reads.
	Words bool
}

// RunGateway runs the recorded traffic through a gateway: the same dialect on
// both sides passes byte for byte, cut in any way, and every pair of dialects
// gives a client the answer that the provider gave, as the client's own SDK
// reads it: from a provider that streams and from one that does not.
func RunGateway(t *testing.T, start StartGateway, o GatewayOptions) {
	if o.OneIn == 0 {
		o.OneIn = 4
	}
	if o.ID == nil {
		o.ID = func(d llm.Dialect) string { return string(d) }
	}
	if o.Clients == nil {
		o.Clients = Dialects()
	}
	if o.Providers == nil {
		o.Providers = Dialects()
	}
	for _, upstream := range o.Providers {
		records := append(Cases(t, upstream), Slice(chats(t, upstream), o.OneIn)...)
		t.Run(string(upstream), func(t *testing.T) {
			g := &gateway{tally: newTally(t, "gateway-"+string(upstream), upstream, o.Table), id: o.ID(upstream), up: NewReplay(t), row: of(upstream), exact: !o.Words, client: &http.Client{Timeout: 30 * time.Second}}
			defer g.report()
			g.base, g.key = start(t, g.up.URL+Base(upstream), upstream)
			for i, r := range records {
				g.rnd = rand.New(rand.NewPCG(uint64(i), 7))
				door := g.row.door(r.Operation)
				if door == nil || len(r.Response.Body()) == 0 {
					g.skip(r, "no chat answer")
					continue
				}
				if g.exact {
					g.pass(r, door)
				}
				if r.Operation != "chat" {
					continue // a form that the gateway passes and never writes
				}
				for _, client := range o.Clients {
					for k := range of(client).doors {
						g.pair(r, client, &of(client).doors[k])
					}
				}
				g.cut(r, o.Clients[g.rnd.IntN(len(o.Clients))])
			}
		})
	}
}

// chats gives the recordings that went through one of the dialect's doors.
func chats(t testing.TB, d llm.Dialect) (records []*Record) {
	for _, r := range Corpus(t, Filter{Dialect: d}) {
		if of(d).door(r.Operation) != nil {
			records = append(records, r)
		}
	}
	return records
}

type gateway struct {
	*tally
	id        string
	up        *Replay
	row       *row
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

func (g *gateway) call(d llm.Dialect, path string, header http.Header, body []byte) (*answered, error) {
	in := of(d)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, g.base+in.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	in.authorise(req.Header, g.key)
	for _, k := range in.forward {
		for _, v := range header.Values(k) {
			req.Header.Add(k, v)
		}
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
func (g *gateway) pass(r *Record, door *door) {
	body := r.Request.Body()
	if r.Fidelity.Request != "exact" || r.Fidelity.Response != "exact" || len(body) == 0 {
		g.skip(r, "pass-through needs the bytes of both sides")
		return
	}
	sent, model, ok := g.named(r, door, body)
	if !ok {
		g.skip(r, "pass-through needs a request with a model")
		return
	}
	streams := door.streams(r.Path, body)
	if streams != r.Streaming && r.OK() {
		g.skip(r, "asked for a stream and answered whole, or the other way")
		return
	}
	path, _, _ := strings.Cut(door.path(g.id+"/"+model, streams), "?")
	if query := withoutKey(r.Query); query != "" {
		path += "?" + query
	}
	var flags struct {
		Options struct {
			Usage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	if err := json.Unmarshal(body, &flags); err != nil {
		g.skip(r, "a request with a member of the wrong type")
		return
	}
	g.again(Serve{Record: r, Sizes: Recut(g.rnd, r)})
	got, err := g.call(g.dialect, path, r.Request.Header(), sent)
	if err != nil {
		g.check(r, "pass", err)
		return
	}
	requests := g.up.Got()
	if len(requests) == 0 && bytes.Contains(body, []byte(`"previous_response_id"`)) && bytes.Contains(got.body, []byte("previous_response_not_found")) {
		g.skip(r, "goes on from an answer that was stored at the provider before")
		return
	}
	if len(requests) == 0 {
		g.check(r, "pass-request", fmt.Errorf("nothing came to the provider; the client got %d: %.300s", got.status, got.body))
		return
	}
	g.check(r, "pass-request", passedRequest(body, requests[0].Body, g.dialect == llm.OpenAI && streams && !flags.Options.Usage))
	g.check(r, "pass-path", g.came(door, requests[0], model, streams, withoutKey(r.Query)))
	want := r.Response.Body()
	switch {
	case r.OK() && r.Streaming && errorFirst(g.dialect, want):
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
	if g.dialect == llm.OpenAI && streams && !flags.Options.Usage {
		want, got.body = withoutUsage(want), withoutUsage(got.body)
	}
	g.check(r, "pass-response", func() error {
		if got.status != r.Response.Status {
			return fmt.Errorf("status %d, want %d: %.300s", got.status, r.Response.Status, got.body)
		}
		if got.broken != nil {
			return fmt.Errorf("the body broke: %w", got.broken)
		}
		if said, err := Truth(g.dialect, r.Streaming, want); r.Streaming && (err != nil || said.Finish == "") && bytes.HasPrefix(got.body, want) && len(got.body) > len(want) {
			// A stream that was recorded without its end: the client is told.
			if _, err := Read(g.dialect, true, got.body); err == nil {
				return fmt.Errorf("a stream without its end is given a good one: %.300s", got.body[len(want):])
			}
			return nil
		}
		if !bytes.Equal(got.body, want) {
			return fmt.Errorf("%d bytes, want %d: %s", len(got.body), len(want), around(want, got.body))
		}
		return nil
	}())
}

// named gives the body as a client of the gateway writes it, with the provider
// in front of the model's name, and the model.
func (g *gateway) named(r *Record, door *door, body []byte) (sent []byte, model string, ok bool) {
	if door.modelInPath() {
		_, rest, _ := strings.Cut(r.Path, "/models/")
		model, _, _ = strings.Cut(rest, ":")
		return body, model, model != ""
	}
	members, err := span.Members(nil, body, nil)
	at := slices.IndexFunc(members, func(m span.Member) bool { return m.Name == "model" })
	if err != nil || at < 0 || json.Unmarshal(body[members[at].Value.From:members[at].Value.To], &model) != nil || model == "" {
		return nil, "", false
	}
	name, err := json.Marshal(g.id + "/" + model)
	if err != nil {
		panic(err) // a string is always JSON
	}
	return bytes.Join(span.Splice(body, span.Patch{At: members[at].Value, With: name}), nil), model, true
}

// withoutKey takes the credential out of a recorded query.
func withoutKey(query string) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(p string) bool { return strings.HasPrefix(p, "key=") })
	return strings.Join(parts, "&")
}

// came checks where a request came to: the vendor's own path with the vendor's
// own model name, the client's query, and no credential of ours.
func (g *gateway) came(door *door, got Got, model string, streamed bool, query string) error {
	want, _, _ := strings.Cut(door.path(model, streamed), "?")
	if got.Path != g.row.base+want && got.Path != g.row.base+strings.ReplaceAll(want, "%", "") {
		if plain, err := url.PathUnescape(want); err != nil || got.Path != g.row.base+plain {
			return fmt.Errorf("it came to %s, want %s", got.Path, g.row.base+want)
		}
	}
	if got.Query != query {
		return fmt.Errorf("its query is %q, the client's was %q", got.Query, query)
	}
	return nil
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

// pair: a client of one dialect, a provider of another (or the same), and the
// recorded answer, read by the client's SDK.
func (g *gateway) pair(r *Record, client llm.Dialect, door *door) {
	name := "from-" + string(client)
	if !g.exact && client == g.dialect {
		name = "same-words"
	}
	if door.form != "" {
		name += "-" + door.form
	}
	model := r.Model
	if model == "" {
		model = "some-model"
	}
	// A provider answers in the form it was asked for, and the replay cannot
	// turn an array into events.
	if client == g.dialect && r.Streaming && door.modelInPath() && (r.Transport == "json-array-stream") != (door.form == "array") {
		return
	}
	g.again(Serve{Record: r, Sizes: Recut(g.rnd, r)})
	full := g.id + "/" + model
	got, err := g.call(client, door.path(full, r.Streaming), nil, door.request(full, r.Streaming))
	if err != nil {
		g.check(r, name, err)
		return
	}
	if client != g.dialect {
		if up := g.up.Got(); len(up) > 0 {
			g.check(r, name+"-request", closedRequest(g.dialect, up[0].Body))
		}
	}
	if r.OK() && !r.Streaming && r.Case == nil && !isChat(g.dialect, r.Response.Body()) {
		g.skip(r, "another answer under the name of a chat")
		return
	}
	if r.OK() && !r.Streaming && unfinished(g.dialect, r.Response.Body()) {
		g.skip(r, "an answer that is still being made")
		return
	}
	truth, sdkErr := Truth(g.dialect, r.Streaming, r.Response.Body())
	truth = (&suite{}).expected(r, truth)
	if !r.OK() || errorFirst(g.dialect, r.Response.Body()) && r.Streaming || sdkErr != nil && !r.Streaming {
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
		read := Read
		if client == g.dialect && (g.exact || bytes.Equal(got.body, r.Response.Body())) {
			read = Truth // the vendor's own manners pass
		}
		a, err := read(client, r.Streaming, got.body)
		if err != nil && truth.Finish == "" && r.Case != nil {
			return nil // a case of a stream that was cut: the client is told
		}
		want := truth.SeenBy(g.dialect).SeenBy(client)
		if err != nil && client != g.dialect && (want.Finish == llm.FinishOther || want.Finish == llm.FinishFailed) {
			return nil // a model that failed may be told as an error
		}
		if err != nil {
			return fmt.Errorf("the SDK says %w of\n%.1500s", err, got.body)
		}
		if door.seen != nil {
			want = door.seen(want)
		}
		if client != g.dialect && truth.Usage == (Tokens{}) {
			want.Usage = a.Usage // our own estimate, where the dialect needs one
		}
		if r.Streaming && client != g.dialect && want.Usage.Prompt == 0 {
			// A stream that names the prompt first has our own estimate where the
			// provider tells nothing.
			want.Usage.Prompt = a.Usage.Prompt
		}
		a = a.SeenBy(client)
		if door.seen != nil {
			a = door.seen(a)
		}
		if f := truth.Finish; client != g.dialect && (f == llm.FinishOther || f == llm.FinishFailed || f == "") {
			want.Finish = a.Finish
		}
		if err := same(want, a); err != nil {
			return err
		}
		if client != g.dialect && r.Streaming {
			return Must(client, got.body)
		}
		return nil
	}())
}

// cut: a provider that breaks off inside a stream, for a few of the records:
// the client must see that it is not whole.
func (g *gateway) cut(r *Record, client llm.Dialect) {
	body := r.Response.Body()
	if !r.OK() || !r.Streaming || g.rnd.IntN(4) != 0 || len(body) < 400 || r.Model == "" || errorFirst(g.dialect, body) {
		return
	}
	door := &of(client).doors[0]
	if client == g.dialect && r.Transport == "json-array-stream" {
		door = &of(client).doors[1]
	}
	full := g.id + "/" + r.Model
	at := len(body)/4 + g.rnd.IntN(len(body)/4)
	g.again(Serve{Record: r, CutAfter: at})
	got, err := g.call(client, door.path(full, true), nil, door.request(full, true))
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
