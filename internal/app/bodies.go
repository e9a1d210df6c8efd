package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/gateway"
	"headrace/internal/guard"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/gemini"
	"headrace/internal/wire/ollama"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/responses"
	"headrace/internal/wire/sse"
)

// overheard keeps what was said by those that bodies: names.
type overheard struct{ app *App }

// Wants reports whether the configuration names the caller.
func (o overheard) Wants(p *access.Principal) bool {
	c := &o.app.config().Bodies
	return slices.Contains(c.Keys, p.KeyID) || p.Name != "" && slices.Contains(c.Keys, p.Name) || p.Team != "" && slices.Contains(c.Teams, p.Team)
}

// Note takes what was said.
func (o overheard) Note(s *gateway.Said) {
	c := o.app.config().Bodies
	o.app.bodies.Note(s.Owner, s.ID, s.At, c.Keep.Std(), func() []byte { return bodiesOf(s, c.Redact, int(c.Bytes)) })
}

// storedBodies is the text that is kept. A member is a JSON value where the whole
// of it was one and fitted, else a string of its beginning.
type storedBodies struct {
	Request jsontext.Value `json:"request,omitzero"`
	Answer  jsontext.Value `json:"answer,omitzero"`
	// LeftOut says why one of them is not there or not whole.
	LeftOut  []string `json:"left_out"`
	Redacted int      `json:"redacted"`
}

// bodiesOf makes what is kept: redacted first, then cut. What cannot be redacted
// is left out.
func bodiesOf(s *gateway.Said, redact []string, most int) []byte {
	out := storedBodies{LeftOut: []string{}}
	rules, err := guard.Compile([]guard.Rule{{Name: "stored", Find: redact, On: guard.Input, Do: guard.Redact}}, 0)
	if len(redact) == 0 {
		rules, err = nil, nil
	}
	if err != nil {
		return nil // config has checked the words
	}
	answer, whole := s.Answer, !s.Cut
	if s.Streamed && len(answer) > 0 && !isJSONObject(answer) {
		answer, whole = spoken(s), !s.Cut
	}
	out.Request = out.one("request", s.Request, len(s.Request) <= gateway.MostSaid, rules, most)
	out.Answer = out.one("answer", answer, whole, rules, most)
	text, err := json.Marshal(&out, json.Deterministic(true))
	if err != nil {
		return nil
	}
	return text
}

func isJSONObject(b []byte) bool {
	return len(b) > 0 && b[0] == '{' && jsontext.Value(b).IsValid()
}

// one is the form in which a body is kept.
func (o *storedBodies) one(name string, body []byte, whole bool, rules *guard.Rules, most int) jsontext.Value {
	switch {
	case len(body) == 0:
		return nil
	case !whole:
		o.LeftOut = append(o.LeftOut, name+": over 1 MB")
		return nil
	case !jsontext.Value(body).IsValid():
		o.LeftOut = append(o.LeftOut, name+": no JSON")
		return nil
	}
	text := bytes.Clone(body)
	if rules != nil {
		clean, told := rules.Body(text, guard.NewVault())
		for _, c := range told.Found {
			o.Redacted += c.N
		}
		text = clean
	}
	if len(text) <= most {
		return text
	}
	o.LeftOut = append(o.LeftOut, name+": cut")
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	cut, err := jsontext.AppendQuote(nil, string(text[:most]))
	if err != nil {
		return nil
	}
	return cut
}

// streamDecoder is the side of a codec that reads answers.
type streamDecoder interface{ NewDecoder() llm.StreamDecoder }

var answerCodecs = map[llm.Dialect]streamDecoder{llm.OpenAI: openai.Codec{}, llm.Responses: responses.Codec{},
	llm.Anthropic: anthropic.Codec{}, llm.Gemini: gemini.Codec{}, llm.Ollama: ollama.Codec{}}

// spokenCall is a tool call of a streamed answer.
type spokenCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// spoken puts a streamed answer together: the pieces of a word that a rule looks
// for may stand in several frames.
func spoken(s *gateway.Said) []byte {
	codec := answerCodecs[s.Dialect]
	if codec == nil {
		return nil
	}
	frames := sse.NewReader(bytes.NewReader(s.Answer), gateway.MostSaid+1)
	switch trimmed := bytes.TrimSpace(s.Answer); {
	case s.Dialect == llm.Ollama:
		frames = sse.NewLineReader(bytes.NewReader(s.Answer), gateway.MostSaid+1)
	case s.Dialect == llm.Gemini && len(trimmed) > 0 && trimmed[0] == '[':
		frames = sse.NewArrayReader(bytes.NewReader(s.Answer), gateway.MostSaid+1)
	}
	var out struct {
		Text     string       `json:"text"`
		Thinking string       `json:"thinking,omitzero"`
		Calls    []spokenCall `json:"tool_calls,omitzero"`
		Finish   string       `json:"finish,omitzero"`
		Broken   bool         `json:"broken,omitzero"`
	}
	var text, thinking strings.Builder
	decoder := codec.NewDecoder()
	take := func(events []llm.Event) {
		for i := range events {
			e := &events[i]
			switch {
			case e.Kind == llm.EventBlockStart && e.Block.Kind == llm.ItemToolCall:
				out.Calls = append(out.Calls, spokenCall{Name: e.Block.Name})
			case e.Kind == llm.EventFinish:
				out.Finish = string(e.Finish.Reason)
			case e.Kind == llm.EventError:
				out.Broken = true
			case e.Kind == llm.EventDelta:
				switch e.Delta.Kind {
				case llm.DeltaText, llm.DeltaRefusal:
					text.WriteString(e.Delta.Text)
				case llm.DeltaReasoning:
					thinking.WriteString(e.Delta.Text)
				case llm.DeltaArguments:
					if n := len(out.Calls); n > 0 {
						out.Calls[n-1].Arguments += e.Delta.Text
					}
				}
			}
		}
	}
	for {
		f, err := frames.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				out.Broken = true
			}
			break
		}
		events, err := decoder.Decode(nil, f.Event, f.Data)
		take(events)
		if err != nil {
			out.Broken = true
			break
		}
	}
	take(decoder.Close(nil))
	out.Text, out.Thinking = text.String(), thinking.String()
	made, err := json.Marshal(&out, json.Deterministic(true))
	if err != nil {
		return nil
	}
	return made
}

// bodiesFor gives what is kept of a request; ok is false when nothing is.
func (a *App) bodiesFor(ctx context.Context, owner, id string) (jsontext.Value, bool, error) {
	text, ok, err := a.bodies.Of(ctx, owner, id)
	if errors.Is(err, recall.ErrNoKey) {
		return nil, false, llm.Errorf(llm.NotFound, "what was kept of it is sealed with a key that is not here any more")
	}
	return text, ok, err
}
