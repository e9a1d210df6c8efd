package wiretest_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
	"headrace/internal/wire/wiretest"
)

// gateway runs the gateway suite against the least gateway that there is: the
// codecs, one attempt, everything in memory. It shows that the suite can be
// passed, and what a gateway owes is the codecs' work and not the relay's.
func gateway(t *testing.T, table *wiretest.Table) {
	spoken := slices.Sorted(maps.Keys(codecs))
	wiretest.RunGateway(t, func(t *testing.T, upstream string, d llm.Dialect) (string, string) {
		g := &least{upstream: upstream, dialect: d}
		s := httptest.NewServer(g)
		t.Cleanup(s.Close)
		return s.URL, "a-key-of-our-own"
	}, wiretest.GatewayOptions{Clients: spoken, Providers: spoken, Table: table})
}

type least struct {
	upstream string
	dialect  llm.Dialect
}

func (g *least) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, form, named, streamed, ok := wiretest.Door(r.URL.Path, r.URL.RawQuery)
	if !ok {
		http.NotFound(w, r)
		return
	}
	client, up := codec(d, form), codecs[g.dialect]
	fail := func(err error) {
		e, ok := err.(*llm.Error)
		if !ok {
			e = llm.Errorf(llm.MalformedUpstream, "%v", err)
		}
		status, body := client.EncodeError(e)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(body)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fail(err)
		return
	}
	head, err := client.Head(llm.OpChat, body)
	if err != nil {
		fail(err)
		return
	}
	if named != "" { // the path says it
		head.Model, head.Stream = named, streamed
	}
	model := strings.TrimPrefix(head.Model, string(g.dialect)+"/")
	draft := llm.NewDraft(client.Dialect(), llm.OpChat, body, head, client.DecodeRequest).With(llm.Edit{Kind: llm.EditModel, Text: model})
	same := client.Dialect() == up.Dialect()
	var enc llm.Encoded
	if same {
		enc, err = up.Patch(&draft, &llm.Capability{})
	} else {
		var req *llm.Request
		if req, err = draft.Request(); err == nil {
			asked := *req
			asked.Stream = head.Stream // the path may say it
			enc, err = up.EncodeRequest(&asked, model, &llm.Capability{})
		}
	}
	if err != nil {
		fail(err)
		return
	}
	if !same {
		form = ""
	}
	path := wiretest.Path(g.dialect, form, model, head.Stream)
	if same && r.URL.RawQuery != "" {
		path, _, _ = strings.Cut(path, "?")
		path += "?" + r.URL.RawQuery
	}
	resp, err := http.Post(g.upstream+path, "application/json", bytes.NewReader(bytes.Join(enc.Body, nil)))
	if err != nil {
		fail(err)
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		out, _ := io.ReadAll(resp.Body) // what there is of it says enough
		fail(up.DecodeError(resp.StatusCode, resp.Header, out))
		return
	}
	if !head.Stream {
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			fail(err)
			return
		}
		if same {
			if _, err := up.Glance(out); err != nil {
				fail(err)
				return
			}
			w.Write(out)
			return
		}
		a, err := up.DecodeResponse(out)
		if err != nil {
			fail(err)
			return
		}
		w.Write(client.AppendResponse(nil, a))
		return
	}
	// Frames are held back until content comes, so that an error before it
	// still has a status.
	frames, dec := sse.NewReader(resp.Body, 0), up.NewDecoder()
	if up.Dialect() == llm.Ollama {
		frames = sse.NewLineReader(resp.Body, 0)
	}
	coder := client.NewEncoder(llm.StreamOptions{IncludeUsage: head.IncludeUsage, Model: model})
	var held []byte
	committed := false
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		var events []llm.Event
		var raw []byte
		f, broken := frames.Next()
		if broken == nil {
			raw = f.Raw
			if events, err = dec.Decode(nil, f.Event, f.Data); err != nil {
				events = append(events, llm.Event{Kind: llm.EventError, Err: err.(*llm.Error)})
			}
		} else {
			events = dec.Close(nil)
		}
		ended := broken != nil || err != nil
		for _, e := range events {
			if e.Kind == llm.EventError && !committed {
				fail(e.Err)
				return
			}
			committed = committed || e.Kind == llm.EventBlockStart || e.Kind == llm.EventDelta || e.Kind == llm.EventFinish
			if same {
				if e.Kind == llm.EventError && broken != nil {
					held = client.AppendStreamError(held, e.Err)
				}
				continue
			}
			held = coder.Encode(held, e)
		}
		if same {
			held = append(held, raw...)
		}
		if committed {
			w.Write(held)
			held = held[:0]
		}
		if ended {
			return
		}
	}
}
