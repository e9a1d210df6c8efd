package wiretest

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"headrace/internal/llm"
	"headrace/internal/wire/span"
)

// Options steers Run. Its zero value runs the codec alone on a slice.
type Options struct {
	// Others are the codecs to translate to.
	Others []Codec
	// Operation picks the records by what they do, in the recordings' words;
	// empty means "chat".
	Operation string
	// Table sums up what is found, if set.
	Table *Table
	// OneIn is the share of the recorded traffic that a slice takes: one
	// record in so many; 0 means 4. HEADRACE_FULL=1 takes all.
	OneIn int
}

// Run checks a codec against its contract on our own cases and on the recorded
// traffic of its dialect: see the checks in this file. Each failure names the
// check and the record; testdata/wire/exceptions.tsv excepts by both.
func Run(t *testing.T, c Codec, o Options) {
	if o.OneIn == 0 {
		o.OneIn = 4
	}
	o.Operation = cmp.Or(o.Operation, "chat")
	records := Cases(t, c.Dialect())
	records = append(records, Slice(Corpus(t, Filter{Dialect: c.Dialect(), Operation: o.Operation}), o.OneIn)...)
	name := string(c.Dialect())
	if o.Operation != "chat" {
		name += "-" + o.Operation
	}
	s := &suite{tally: newTally(t, name, c.Dialect(), o.Table), c: c, op: o.Operation, others: o.Others}
	defer s.report()
	for i, r := range records {
		s.rnd = rand.New(rand.NewPCG(uint64(i), uint64(len(r.ID))))
		s.request(r)
		s.answer(r)
	}
}

type suite struct {
	*tally
	c      Codec
	op     string
	others []Codec
	rnd    *rand.Rand
}

// run does one check and turns a panic into its failure.
func (s *suite) run(r *Record, name string, f func() error) {
	s.t.Helper()
	var err error
	func() {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		err = f()
	}()
	s.check(r, name, err)
}

func diff(want, got any) error {
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		return fmt.Errorf("(-want +got):\n%s", d)
	}
	return nil
}

// ---- requests

func (s *suite) request(r *Record) {
	body := r.Request.Body()
	if len(body) == 0 {
		s.skip(r, "no request was recorded")
		return
	}
	if r.Operation != s.op {
		s.skip(r, "no "+s.op+" request")
		return
	}
	head, err := s.c.Head(llm.OpChat, body)
	if r.Case != nil && r.Case.Refused {
		s.run(r, "refused", func() error {
			if err == nil {
				_, err = s.c.DecodeRequest(body)
			}
			e, ok := errors.AsType[*llm.Error](err)
			if !ok || e.Class != llm.InvalidRequest {
				return fmt.Errorf("got %v, want an InvalidRequest", err)
			}
			if at := r.Case.RefusedAt; at != nil && !strings.Contains(e.Message, fmt.Sprint(*at)) {
				return fmt.Errorf("the message %q does not name byte %d", e.Message, *at)
			}
			return nil
		})
		return
	}
	if !r.OK() && r.Response.Status >= 400 && r.Response.Status < 500 && err != nil {
		s.skip(r, "a request that the provider refused, and so do we")
		return
	}
	if err != nil && (strings.Contains(r.Path, "/deployments/") || strings.Contains(r.Path, "awPredict")) {
		s.skip(r, "no model in the body (it stands in the path)")
		return
	}
	if err != nil && s.c.Dialect() == llm.Responses && storedPrompt(body) {
		s.skip(r, "no model in the body (it stands in a prompt that is stored at the provider)")
		return
	}
	s.run(r, "head", func() error { return err })
	if err != nil {
		return
	}
	// The model is spliced, no other byte changes; where the path names it, no
	// byte at all does.
	s.run(r, "patch", func() error {
		d := llm.NewDraft(s.c.Dialect(), llm.OpChat, body, head, s.c.DecodeRequest).With(llm.Edit{Kind: llm.EditModel, Text: `new/"mödel"`})
		enc, err := s.c.Patch(&d, &llm.Capability{})
		if err != nil {
			return err
		}
		want := body
		if o := of(s.c.Dialect()).door(r.Operation); o != nil && o.modelInPath() {
			// A body may name it too; then it must not say another.
			if at, ok := head.At("model"); ok {
				name, err := json.Marshal(`new/"mödel"`)
				if err != nil {
					return err
				}
				if bytes.HasPrefix(body[at.From:], []byte(`"models/`)) {
					name = append([]byte(`"models/`), name[1:]...)
				}
				want = slices.Concat(body[:at.From], name, body[at.To:])
			}
		} else {
			at, ok := head.At("model")
			if !ok {
				return errors.New("the head has no place of the model")
			}
			name, err := json.Marshal(`new/"mödel"`)
			if err != nil {
				return err
			}
			want = slices.Concat(body[:at.From], name, body[at.To:])
		}
		if got := bytes.Join(enc.Body, nil); !bytes.Equal(got, want) {
			return fmt.Errorf("bytes differ from the splice: %s", around(want, got))
		}
		return nil
	})
	req, err := s.c.DecodeRequest(body)
	if err != nil && !r.OK() {
		s.skip(r, "a request that the provider refused, and so do we")
		return
	}
	s.run(r, "request", func() error { return err })
	if err != nil {
		return
	}
	s.run(r, "request-same", func() error {
		enc, err := s.c.EncodeRequest(req, req.Model, &llm.Capability{})
		if err != nil {
			return err
		}
		return sameJSON(body, bytes.Join(enc.Body, nil), func(place string) bool {
			told := slices.ContainsFunc(enc.Losses, func(l llm.Loss) bool { return l.Kind == llm.LossCarry })
			return place == ".stream is gone (false)" || enc.DropUsage && strings.HasPrefix(place, ".stream_options") ||
				told && strings.Contains(place, ".reasoning")
		})
	})
	s.run(r, "request-words", func() error { // without what was received: from the words alone
		bare := *req
		bare.Raw = nil
		enc, err := s.c.EncodeRequest(&bare, req.Model, &llm.Capability{})
		if err != nil {
			return err
		}
		back, err := s.c.DecodeRequest(bytes.Join(enc.Body, nil))
		if err != nil {
			return fmt.Errorf("own bytes do not decode: %w", err)
		}
		return diff(talk(req, s.c.Dialect(), s.c.Dialect()), talk(back, s.c.Dialect(), s.c.Dialect()))
	})
	for _, other := range s.others {
		s.run(r, "request-to-"+string(other.Dialect()), func() error {
			enc, err := other.EncodeRequest(req, "m", &llm.Capability{})
			if err != nil {
				return err
			}
			s.table.lost(s.c.Dialect(), other.Dialect(), enc.Losses)
			if l := llm.Refusal(enc.Losses); l != nil {
				if r.Case != nil && r.Case.Losses != nil && !slices.Contains(r.Case.Losses, l.Path) {
					return fmt.Errorf("refused: %s: %s", l.Path, l.Why)
				}
				return nil // told, as it must be; what it says is the codec's own test
			}
			out := bytes.Join(enc.Body, nil)
			if err := closedRequest(other.Dialect(), out); err != nil {
				return err
			}
			back, err := other.DecodeRequest(out)
			if err != nil {
				return fmt.Errorf("%s does not decode its own bytes: %w\n%.500s", other.Dialect(), err, out)
			}
			plain, _ := llm.Plain(req) // which tools there are, without namespaces
			want, got := talk(plain, s.c.Dialect(), other.Dialect()), talk(back, s.c.Dialect(), other.Dialect())
			told := func(why string) bool {
				return slices.ContainsFunc(enc.Losses, func(l llm.Loss) bool { return strings.Contains(l.Why, why) })
			}
			if told("inside the conversation became") {
				want, got = folded(want), folded(got)
			}
			if told("approximated: what a tool showed") {
				want, got = shown(want), shown(got)
			}
			if told(`"[no result]" was put in`) {
				got.Steps = slices.DeleteFunc(got.Steps, func(st step) bool { return st.Role == "tool" && st.Text == "[noresult]" })
			}
			if told("only the allowed tools are offered") {
				want.Tools = slices.DeleteFunc(want.Tools, func(n string) bool { return !slices.Contains(req.Choice.Names, n) })
			}
			got = titled(got, want, req)
			for i := range got.Tools {
				if n, ok := enc.Names[got.Tools[i]]; ok {
					got.Tools[i] = n
				}
			}
			for i := range got.Steps {
				if n, ok := enc.Names[got.Steps[i].Tool]; ok {
					got.Steps[i].Tool = n
				}
			}
			if err := diff(want, got); err != nil {
				return fmt.Errorf("losses told: %v\n%w", enc.Losses, err)
			}
			return nil
		})
	}
}

// storedPrompt says that a Responses request leaves its model to a prompt that
// the provider keeps.
func storedPrompt(body []byte) bool {
	var v struct {
		Model  string
		Prompt *struct{ ID string }
	}
	return json.Unmarshal(body, &v) == nil && v.Model == "" && v.Prompt != nil && v.Prompt.ID != ""
}

// conversation is what must survive a request's translation.
type conversation struct {
	Tools []string
	Steps []step
}

type step struct {
	Role       llm.Role
	Text, Tool string
	Arguments  string
	// Call numbers the call that is made or answered, from 1.
	Call  int
	Media int
}

// talk reduces a request to what both dialects can say: texts by speaker in
// order, calls and results tied to one another, and the number of media.
func talk(r *llm.Request, from, to llm.Dialect) conversation {
	var c conversation
	for _, t := range r.Tools {
		if to == llm.Ollama && r.Choice.Mode == llm.ToolNone {
			break // there is no other way to say so than to send no tools
		}
		if t.Type == "" || t.Type == "function" || t.Type == "custom" {
			c.Tools = append(c.Tools, t.Name)
		}
	}
	calls := map[string]int{}
	for i := range r.Items {
		it := &r.Items[i]
		st := step{Role: it.Role}
		for _, b := range it.Blocks {
			switch b.Kind {
			case llm.BlockText, llm.BlockRefusal:
				st.Text += b.Text + "\n"
			case llm.BlockOpaque:
			default:
				if b.Media.Text != "" { // a document of text may go on as text
					st.Text += b.Media.Text
				} else if text, err := base64.StdEncoding.DecodeString(b.Media.Data); err == nil && b.Kind == llm.BlockFile && strings.HasPrefix(b.Media.MIME, "text/") {
					st.Text += string(text)
				} else {
					st.Media++
				}
			}
		}
		switch it.Kind {
		case llm.ItemToolCall:
			calls[it.Call.ID] = len(calls) + 1
			st = step{Tool: it.Call.Name, Call: calls[it.Call.ID], Arguments: arguments(it.Call.Arguments)}
			if !json.Valid([]byte(st.Arguments)) {
				st.Arguments = "broken"
			}
			if bytes.HasPrefix(it.Call.Arguments, []byte(`{"_raw":`)) {
				st.Arguments = "broken"
			}
			if it.Call.Custom { // becomes a function with one string, told with the tool
				st.Arguments = arguments(raw(map[string]string{"input": string(it.Call.Arguments)}))
			}
		case llm.ItemToolResult:
			st.Role, st.Call = "tool", calls[it.Result.CallID]
			st.Text = strings.TrimPrefix(squeeze(st.Text), "Error:") // is the flag of dialects that have none
		case llm.ItemMessage:
			if st.Role == llm.Developer {
				st.Role = llm.System
			}
			// Neighbours of one speaker may be joined; blank ones may go.
			st.Text = squeeze(st.Text)
			if st.Text == "" && st.Media == 0 || strings.EqualFold(st.Text, "[theconversationbeginswiththeassistant.]") {
				continue
			}
			if n := len(c.Steps); n > 0 && c.Steps[n-1].Role == st.Role && c.Steps[n-1].Call == 0 {
				c.Steps[n-1].Text += st.Text
				c.Steps[n-1].Media += st.Media
				continue
			}
		default:
			continue
		}
		st.Text = squeeze(st.Text)
		c.Steps = append(c.Steps, st)
	}
	if to == llm.OpenAI || to == llm.Ollama {
		// A message has one text, before its calls.
		for i := 1; i < len(c.Steps); i++ {
			for k := i; k > 0 && c.Steps[k].Role == llm.Assistant && c.Steps[k-1].Tool != ""; k-- {
				c.Steps[k], c.Steps[k-1] = c.Steps[k-1], c.Steps[k]
			}
		}
		for i := 1; i < len(c.Steps); i++ {
			if c.Steps[i].Role == llm.Assistant && c.Steps[i-1].Role == llm.Assistant && c.Steps[i].Tool == "" && c.Steps[i-1].Tool == "" {
				c.Steps[i-1].Text += c.Steps[i].Text
				c.Steps[i-1].Media += c.Steps[i].Media
				c.Steps = slices.Delete(c.Steps, i, i+1)
				i--
			}
		}
	}
	// Results of one turn may come in any order.
	for i := 1; i < len(c.Steps); i++ {
		for k := i; k > 0 && c.Steps[k].Role == "tool" && c.Steps[k-1].Role == "tool" && c.Steps[k].Call < c.Steps[k-1].Call; k-- {
			c.Steps[k], c.Steps[k-1] = c.Steps[k-1], c.Steps[k]
		}
	}
	return c
}

var showing = regexp.MustCompile(`\[[a-z]+[0-9]+of[-_A-Za-z0-9]+(?:followsbelow)?\]`)

// shown takes media out of tool results and out of the user messages to which
// they moved, with the words that tie them together; their number must stay.
func shown(c conversation) (out conversation) {
	out.Tools = c.Tools
	all := step{Role: "media"}
	for _, st := range c.Steps {
		if st.Role == "tool" || st.Role == llm.User {
			all.Media += st.Media
			st.Media = 0
			st.Text = showing.ReplaceAllString(st.Text, "")
			if st.Role == llm.User && st.Text == "" {
				continue
			}
		}
		out.Steps = append(out.Steps, st)
	}
	out.Steps = append(out.Steps, all)
	return out
}

// titled takes the title out of a document that goes on as text: where a target
// has no member for it, it stands before the text.
func titled(got, want conversation, r *llm.Request) conversation {
	for i := range r.Items {
		for _, b := range r.Items[i].Blocks {
			name := squeeze(b.Media.Name)
			if b.Kind != llm.BlockFile || name == "" {
				continue
			}
			for k := range got.Steps {
				if k < len(want.Steps) && strings.Count(got.Steps[k].Text, name) > strings.Count(want.Steps[k].Text, name) {
					got.Steps[k].Text = strings.Replace(got.Steps[k].Text, name, "", 1)
				}
			}
		}
	}
	return got
}

// folded takes instructions inside a conversation for the user's words, as a
// target without them is given them.
func folded(c conversation) (out conversation) {
	out.Tools = c.Tools
	spoken := false
	for _, st := range c.Steps {
		if st.Role == llm.System && spoken {
			st.Role = llm.User
		}
		spoken = spoken || st.Role != llm.System
		if n := len(out.Steps); n > 0 && st.Call == 0 && out.Steps[n-1].Call == 0 && out.Steps[n-1].Role == st.Role {
			out.Steps[n-1].Text += st.Text
			out.Steps[n-1].Media += st.Media
			continue
		}
		out.Steps = append(out.Steps, st)
	}
	return out
}

// squeeze takes out what may differ between two tellings of a text: white
// space, the wrapping of a document, and the line about its version that
// Claude Code sends as the first system block, which is for Anthropic alone,
// and the name of a document.
func squeeze(s string) string {
	return strings.Join(strings.Fields(wrapping.ReplaceAllString(s, "")), "")
}

var wrapping = regexp.MustCompile(`</?(?:file|document|system)\b[^>]*>|x-anthropic-billing-header:(?: ?[a-z_]+=[0-9a-zA-Z.-]+;?)*`)

// closedRequest checks a request that we wrote against the members that the
// dialect's own vendor takes.
func closedRequest(d llm.Dialect, body []byte) error {
	members, err := span.Members(nil, body, nil)
	if err != nil {
		return err
	}
	for _, m := range members {
		if !of(d).knows(m.Name) {
			return fmt.Errorf("the %s request has the member %q, which its vendor does not take", d, m.Name)
		}
	}
	return nil
}

// ---- answers

func (s *suite) answer(r *Record) {
	body := r.Response.Body()
	switch {
	case r.Operation != s.op:
		s.skip(r, "no "+s.op+" answer")
	case len(body) == 0:
		s.skip(r, "no answer was recorded")
	case !r.OK():
		s.failure(r, body)
	case r.Streaming:
		s.streamed(r, body)
	default:
		s.whole(r, body)
	}
}

// failure: an answer with an error status has a class, and goes out in both
// dialects with the members that their SDKs need.
func (s *suite) failure(r *Record, body []byte) {
	s.run(r, "error", func() error {
		e := s.c.DecodeError(r.Response.Status, r.Response.Header(), body)
		if e == nil || !slices.Contains(llm.Classes(), e.Class) {
			return fmt.Errorf("no class: %+v", e)
		}
		if r.Case != nil && r.Case.Class != "" && e.Class != r.Case.Class {
			return fmt.Errorf("class %s, want %s", e.Class, r.Case.Class)
		}
		if e.Status != r.Response.Status || e.Message == "" {
			return fmt.Errorf("status %d, message %q; want status %d and a message", e.Status, e.Message, r.Response.Status)
		}
		for _, c := range append([]Codec{s.c}, s.others...) {
			status, out := c.EncodeError(e)
			if status < 400 || status > 599 {
				return fmt.Errorf("%s client gets status %d", c.Dialect(), status)
			}
			foreign := c.Dialect() != s.c.Dialect()
			if foreign || !bytes.Equal(out, body) {
				if err := errorBody(c.Dialect(), out); err != nil {
					return fmt.Errorf("%s client gets %s: %w", c.Dialect(), out, err)
				}
			}
			event := c.AppendStreamError(nil, e)
			if _, err := Read(c.Dialect(), true, event); err == nil {
				return fmt.Errorf("the %s SDK sees no error in %q", c.Dialect(), event)
			}
		}
		return nil
	})
}

// errorBody checks the members that the SDKs need.
func errorBody(d llm.Dialect, body []byte) error { return of(d).failure(body) }

func (s *suite) whole(r *Record, body []byte) {
	if r.Case == nil && !isChat(s.c.Dialect(), body) {
		s.skip(r, "another answer under the name of a chat")
		return
	}
	truth, sdkErr := Truth(s.c.Dialect(), false, body)
	resp, err := s.c.DecodeResponse(body)
	if sdkErr != nil && err != nil {
		s.run(r, "error-under-200", func() error {
			if e, ok := errors.AsType[*llm.Error](err); !ok || e.Class == "" {
				return fmt.Errorf("%v is no *llm.Error with a class", err)
			}
			return nil
		})
		return
	}
	truth = s.expected(r, truth)
	s.run(r, "decode", func() error {
		if err := errors.Join(err, sdkErr); err != nil {
			return err
		}
		return same(truth.SeenBy(s.c.Dialect()), OfResponse(resp).SeenBy(s.c.Dialect()))
	})
	if err != nil || sdkErr != nil {
		return
	}
	if unfinished(s.c.Dialect(), body) {
		s.skip(r, "an answer that is still being made")
		return
	}
	s.run(r, "glance", func() error {
		g, err := s.c.Glance(body)
		if err != nil {
			return err
		}
		if g.ID != resp.ID || g.Model != resp.Model || TokensOf(g.Usage) != TokensOf(resp.Usage) || g.Usage.Source != resp.Usage.Source {
			return fmt.Errorf("at first sight %s %s %+v, in full %s %s %+v", g.ID, g.Model, TokensOf(g.Usage), resp.ID, resp.Model, TokensOf(resp.Usage))
		}
		return nil
	})
	s.run(r, "same", func() error {
		return sameJSON(body, s.c.AppendResponse(nil, resp), func(place string) bool {
			// The SDKs' types need the first two; the third is a stream's
			// member that some vendors leave in whole answers.
			return strings.HasPrefix(place, ".object is new") || strings.HasPrefix(place, ".created is new") ||
				strings.Contains(place, ".tool_calls.") && strings.Contains(place, ".index is gone") ||
				// An end without a reason is given one, from the content.
				strings.Contains(place, ".finish_reason was <nil>, ") || strings.Contains(place, ".finish_reason was , ") || strings.Contains(place, ".finish_reason is new")
		})
	})
	for _, c := range append([]Codec{s.c}, s.others...) {
		name := "to-" + string(c.Dialect())
		want := OfResponse(resp).SeenBy(s.c.Dialect()).SeenBy(c.Dialect())
		if c.Dialect() != s.c.Dialect() {
			s.run(r, name, func() error { return s.read(c, false, c.AppendResponse(nil, resp), want) })
		}
		if c.Dialect() != s.c.Dialect() {
			s.run(r, "two-turns-"+string(c.Dialect()), func() error { return s.twoTurns(c, resp) })
		}
		s.run(r, name+"-streamed", func() error {
			return s.read(c, true, encode(c, Play(resp)), want)
		})
	}
}

// twoTurns: an answer goes to a client of the other dialect, comes back as
// history in its next request, and goes to the provider again. What the
// provider wrote (text, calls with their ids, signed thinking) must be there.
func (s *suite) twoTurns(c Codec, resp *llm.Response) error {
	next, err := NextTurn(c.Dialect(), c.AppendResponse(nil, resp))
	if err != nil {
		return err
	}
	req, err := c.DecodeRequest(next)
	if err != nil {
		return fmt.Errorf("the second turn does not decode: %w\n%.1000s", err, next)
	}
	enc, err := s.c.EncodeRequest(req, "m", &llm.Capability{})
	if err != nil {
		return err
	}
	if l := llm.Refusal(enc.Losses); l != nil {
		return fmt.Errorf("the second turn is refused: %s: %s", l.Path, l.Why)
	}
	back, err := s.c.DecodeRequest(bytes.Join(enc.Body, nil))
	if err != nil {
		return fmt.Errorf("the second turn, written again, does not decode: %w", err)
	}
	want, got := spoken(resp.Items, s.c.Dialect()), spoken(back.Items, s.c.Dialect())
	if !of(c.Dialect()).slot {
		want.Signed, got.Signed = nil, nil // the gateway keeps it for such a client
	}
	if !of(c.Dialect()).callSlot {
		want.SignedCalls, got.SignedCalls = nil, nil // the gateway keeps it, under the call's id
	}
	for i := range want.Calls {
		if i < len(got.Calls) && mustChange(want.Calls[i].ID) {
			want.Calls[i].ID = got.Calls[i].ID
		}
		if i < len(got.Calls) && !json.Valid([]byte(want.Calls[i].Arguments)) {
			want.Calls[i].Arguments = got.Calls[i].Arguments
		}
	}
	if err := diff(want, got); err != nil {
		return err
	}
	calls := map[string]bool{}
	for _, it := range back.Items {
		switch it.Kind {
		case llm.ItemToolCall:
			calls[it.Call.ID] = true
		case llm.ItemToolResult:
			if !calls[it.Result.CallID] {
				return fmt.Errorf("the result of %q answers no call", it.Result.CallID)
			}
		}
	}
	return nil
}

// said is what an assistant's turn must keep.
type said struct {
	Text   string
	Calls  []ToolCall
	Signed []llm.Opaque
	// SignedCalls are Google's signatures of calls, with the call's name.
	SignedCalls []string
}

func spoken(items []llm.Item, d llm.Dialect) (v said) {
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case llm.ItemMessage:
			if it.Role == llm.Assistant || it.Role == "" {
				for _, b := range it.Blocks {
					if b.Kind == llm.BlockText || b.Kind == llm.BlockRefusal {
						v.Text += squeeze(b.Text)
					}
				}
			}
		case llm.ItemToolCall:
			v.Calls = append(v.Calls, ToolCall{it.Call.ID, it.Call.Name, arguments(it.Call.Arguments)})
			for _, o := range it.Opaque {
				if d == llm.Gemini && o.Issuer == llm.IssuerGemini && o.Data != "" {
					v.SignedCalls = append(v.SignedCalls, it.Call.Name+" "+o.Data)
				}
			}
		case llm.ItemReasoning:
			for _, o := range it.Opaque {
				// Only its own issuer's comes back to a provider; OpenRouter hands on
				// that of others.
				if o.Data != "" && (d == llm.Anthropic && o.Issuer == llm.IssuerAnthropic || d == llm.Responses && strings.HasSuffix(o.Issuer, "responses-v1")) {
					v.Signed = append(v.Signed, o)
				}
			}
		}
	}
	return v
}

// expected puts a case's own expectation in the place of the SDK's reading.
func (s *suite) expected(r *Record, truth Answer) Answer {
	if r.Case != nil && r.Case.Expect != nil {
		return *r.Case.Expect
	}
	return truth
}

// read has the dialect's SDK read what c wrote.
func (s *suite) read(c Codec, streamed bool, out []byte, want Answer) error {
	got, err := Read(c.Dialect(), streamed, out)
	if err != nil && c.Dialect() != s.c.Dialect() && (want.Finish == llm.FinishOther || want.Finish == llm.FinishFailed) {
		return nil // a model that failed may be told as an error
	}
	if err != nil && !want.Err {
		return fmt.Errorf("the SDK says %w of\n%.2000s", err, out)
	}
	if want.Err {
		if err == nil {
			return fmt.Errorf("the SDK sees no error in\n%.2000s", out)
		}
		return nil
	}
	if streamed {
		if err := Must(c.Dialect(), out); err != nil {
			return fmt.Errorf("%w in\n%.2000s", err, out)
		}
	}
	return same(s.sayable(want, got, c.Dialect()), got.SeenBy(c.Dialect()))
}

// same compares answers, but for call ids that have to change and for
// arguments that are no JSON, which no SDK shows.
func same(want, got Answer) error {
	want, got = sameIDs(want, got)
	for i := range want.Calls {
		if i < len(got.Calls) && (!json.Valid([]byte(want.Calls[i].Arguments)) || strings.HasPrefix(got.Calls[i].Arguments, `{"_raw":`)) {
			want.Calls[i].Arguments = got.Calls[i].Arguments
		}
		if i < len(got.Calls) && !json.Valid([]byte(got.Calls[i].Arguments)) {
			got.Calls[i].Arguments = want.Calls[i].Arguments
		}
	}
	// Blocks of thinking that become one text are set apart by blank lines.
	want.Reasoning, got.Reasoning = strings.ReplaceAll(want.Reasoning, "\n", ""), strings.ReplaceAll(got.Reasoning, "\n", "")
	return diff(want, got)
}

// sayable takes out of want what the target's SDK cannot show.
func (s *suite) sayable(want, got Answer, to llm.Dialect) Answer {
	if to == s.c.Dialect() {
		return want
	}
	if want.Finish == llm.FinishOther || want.Finish == llm.FinishFailed {
		want.Finish = got.Finish // there is no word; the codec's own tests say which it takes
	}
	if want.Usage == (Tokens{}) {
		want.Usage = got.Usage // nothing or half was told, and the dialect may need some
	}
	return want
}

func encode(c Codec, events []llm.Event) []byte {
	e := c.NewEncoder(llm.StreamOptions{IncludeUsage: true, ID: "id-of-ours", Model: "m", Created: 1})
	var out []byte
	for _, ev := range events {
		out = e.Encode(out, ev)
	}
	return out
}

// Events decodes a stream that comes from r, to the end or the first error.
func Events(c Codec, r io.Reader) (events []llm.Event, err error) {
	dec, frames := c.NewDecoder(), framesOf(c.Dialect(), r)
	for {
		f, err := frames.Next()
		if err != nil {
			return dec.Close(events), nil
		}
		if events, err = dec.Decode(events, f.Event, f.Data); err != nil {
			return events, err
		}
	}
}

// Cut gives body in the given sizes, the rest at once, to whoever reads it.
type Cut struct {
	Body  []byte
	Sizes []int
}

// Read implements io.Reader; each call gives at most one piece.
func (c *Cut) Read(p []byte) (int, error) {
	if len(c.Body) == 0 {
		return 0, io.EOF
	}
	n := len(c.Body)
	if len(c.Sizes) > 0 {
		n, c.Sizes = min(max(c.Sizes[0], 1), n), c.Sizes[1:]
	}
	n = copy(p, c.Body[:n])
	c.Body = c.Body[n:]
	return n, nil
}

// RandomCuts gives piece sizes for a body of n bytes, most of them small.
func RandomCuts(rnd *rand.Rand, n int) (sizes []int) {
	for n > 0 {
		k := 1 + rnd.IntN(1+rnd.IntN(400))
		sizes = append(sizes, k)
		n -= k
	}
	return sizes
}

func (s *suite) streamed(r *Record, body []byte) {
	truth, sdkErr := Truth(s.c.Dialect(), true, body)
	truth = s.expected(r, truth)
	events, err := Events(s.c, bytes.NewReader(body))
	resp, failed := Collect(s.c.Dialect(), events)
	s.run(r, "stream-decode", func() error {
		if err != nil || failed != nil {
			if sdkErr != nil || r.Case != nil && r.Case.Ends == "error" {
				return nil // both see that it is broken
			}
			return fmt.Errorf("decoder: %v, terminal event: %v; the SDK reads it", err, failed)
		}
		if sdkErr != nil {
			return fmt.Errorf("decoded in full, but the SDK says %w", sdkErr)
		}
		return same(truth.SeenBy(s.c.Dialect()), OfResponse(resp).SeenBy(s.c.Dialect()))
	})
	if err == nil {
		s.run(r, "grammar", func() error { return Grammar(events) })
	}
	s.run(r, "stream-cut", func() error {
		readers := map[string]io.Reader{
			"at random":     &Cut{body, RandomCuts(s.rnd, len(body))},
			"at random too": &Cut{body, RandomCuts(s.rnd, len(body))},
		}
		if len(body) < 8<<10 || s.rnd.IntN(8) == 0 {
			readers["at every byte"] = &Cut{body, slices.Repeat([]int{1}, len(body))}
		}
		for how, in := range readers {
			cut, cutErr := Events(s.c, in)
			if (cutErr == nil) != (err == nil) || !reflect.DeepEqual(cut, events) {
				return fmt.Errorf("cut %s: %v: events %w", how, cutErr, diff(fmt.Sprintf("%+v", events), fmt.Sprintf("%+v", cut)))
			}
		}
		return nil
	})
	s.run(r, "telling", func() error { return s.telling(body) })
	if err != nil {
		return
	}
	if failed == nil {
		s.run(r, "stream-end", func() error { return s.broken(body) })
	}
	want := OfResponse(resp)
	want.Err = failed != nil
	for _, c := range append([]Codec{s.c}, s.others...) {
		name := "stream-to-" + string(c.Dialect())
		seen := want.SeenBy(s.c.Dialect()).SeenBy(c.Dialect())
		s.run(r, name, func() error { return s.read(c, true, encode(c, events), seen) })
		if failed == nil { // stream and whole agree
			s.run(r, name+"-whole", func() error { return s.read(c, false, c.AppendResponse(nil, resp), seen) })
		}
	}
}

// telling: a frame that brings usage, an end or an error is one that Telling
// picks, so that the tap of a passing stream sees it.
func (s *suite) telling(body []byte) error {
	dec, frames := s.c.NewDecoder(), framesOf(s.c.Dialect(), bytes.NewReader(body))
	for {
		f, err := frames.Next()
		if err != nil {
			return nil
		}
		events, err := dec.Decode(nil, f.Event, f.Data)
		tells := err != nil
		for _, e := range events {
			tells = tells || e.Kind == llm.EventUsage || e.Kind == llm.EventError
		}
		if tells && !s.c.Telling(f.Data) {
			return fmt.Errorf("%s brings usage or an error, but Telling passes over it", f.Data)
		}
	}
}

// broken: a stream that stops before its end is never taken for a whole one,
// and in every dialect the client is told.
func (s *suite) broken(body []byte) error {
	var ends []int
	frames := framesOf(s.c.Dialect(), bytes.NewReader(body))
	for at := 0; ; {
		f, err := frames.Next()
		if err != nil {
			break
		}
		at += len(f.Raw)
		ends = append(ends, at)
	}
	for range 3 {
		cut := ends[s.rnd.IntN(len(ends))]
		events, err := Events(s.c, bytes.NewReader(body[:cut]))
		if err != nil {
			return fmt.Errorf("cut behind a frame, at byte %d: %w", cut, err)
		}
		if err := Grammar(events); err != nil {
			return fmt.Errorf("cut behind a frame, at byte %d: %w", cut, err)
		}
		last := events[len(events)-1]
		if cut < ends[len(ends)-1]/2 && last.Kind == llm.EventFinish && last.Finish.Reason == "" {
			return fmt.Errorf("cut at byte %d the stream finishes for no reason", cut)
		}
		for _, c := range append([]Codec{s.c}, s.others...) {
			out := encode(c, events)
			a, err := Read(c.Dialect(), true, out)
			if last.Kind == llm.EventError && err == nil {
				return fmt.Errorf("cut at byte %d; the %s SDK sees no error in\n...%s", cut, c.Dialect(), out[max(0, len(out)-500):])
			}
			failed := last.Finish.Reason == llm.FinishFailed || last.Finish.Reason == llm.FinishOther
			if last.Kind == llm.EventFinish && a.Finish == "" && !(failed && err != nil) {
				return fmt.Errorf("cut at byte %d; the %s SDK sees no end in\n...%s", cut, c.Dialect(), out[max(0, len(out)-500):])
			}
		}
	}
	return nil
}

// Grammar checks that events are a stream as llm.EventKind describes it.
func Grammar(events []llm.Event) error {
	started, open, next, ended := false, false, 0, false
	for i, e := range events {
		if ended {
			return fmt.Errorf("event %d (%s) comes behind the terminal one", i, e.Kind)
		}
		if !started && e.Kind != llm.EventStart && e.Kind != llm.EventPing && e.Kind != llm.EventError {
			return fmt.Errorf("event %d (%s) comes before the start", i, e.Kind)
		}
		switch e.Kind {
		case llm.EventStart:
			if started {
				return fmt.Errorf("event %d is a second start", i)
			}
			started = true
		case llm.EventBlockStart:
			if open || e.Index != next {
				return fmt.Errorf("event %d opens block %d; %d is next, open: %v", i, e.Index, next, open)
			}
			open = true
		case llm.EventDelta, llm.EventBlockStop:
			if e.Delta.Kind == llm.DeltaNative {
				break // what only its own dialect can express may stand between blocks
			}
			if !open || e.Index != next {
				return fmt.Errorf("event %d (%s) is for block %d; %d is current, open: %v", i, e.Kind, e.Index, next, open)
			}
			if e.Kind == llm.EventBlockStop {
				open = false
				next++
			}
		case llm.EventUsage, llm.EventPing:
		case llm.EventFinish, llm.EventError:
			ended = true
			if open && e.Kind == llm.EventFinish {
				return fmt.Errorf("the stream finishes inside block %d", next)
			}
			if e.Kind == llm.EventError && (e.Err == nil || e.Err.Class == "") {
				return errors.New("an error event without a class")
			}
		default:
			return fmt.Errorf("event %d has no known kind: %q", i, e.Kind)
		}
	}
	if !ended {
		return errors.New("there is no terminal event")
	}
	return nil
}

// ---- JSON

// sameJSON compares two texts by meaning; numbers by their spelling. A member
// that is missing is as good as an empty one. The error shows the first places
// that differ, but for those that fine takes.
func sameJSON(want, got []byte, fine func(place string) bool) error {
	a, err := parse(want)
	if err != nil {
		return fmt.Errorf("the original: %w", err)
	}
	b, err := parse(got)
	if err != nil {
		return fmt.Errorf("what was written: %w: %.500s", err, got)
	}
	var places []string
	differ("", a, b, &places)
	places = slices.DeleteFunc(places, fine)
	if len(places) > 0 {
		return errors.New(strings.Join(places[:min(len(places), 6)], "; "))
	}
	return nil
}

func parse(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func differ(path string, a, b any, places *[]string) {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for k, v := range x {
			if w, ok := y[k]; ok {
				differ(path+"."+k, v, w, places)
			} else if !nothing(v) {
				*places = append(*places, fmt.Sprintf("%s.%s is gone (%.80v)", path, k, v))
			}
		}
		for k, w := range y {
			if _, ok := x[k]; !ok && !nothing(w) {
				*places = append(*places, fmt.Sprintf("%s.%s is new (%.80v)", path, k, w))
			}
		}
		return
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			differ(fmt.Sprintf("%s.%d", path, i), x[i], y[i], places)
		}
		return
	}
	if !reflect.DeepEqual(a, b) && !(nothing(a) && nothing(b)) {
		*places = append(*places, fmt.Sprintf("%s was %.120v, is %.120v", path, a, b))
	}
}

// nothing says that a value is empty: null, "", [] or {}.
func nothing(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

// around shows where two texts part.
func around(want, got []byte) string {
	at := 0
	for at < len(want) && at < len(got) && want[at] == got[at] {
		at++
	}
	show := func(b []byte) string { return fmt.Sprintf("%q", b[max(0, at-30):min(len(b), at+60)]) }
	return fmt.Sprintf("at byte %d: want ...%s, got ...%s", at, show(want), show(got))
}
