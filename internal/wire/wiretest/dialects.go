package wiretest

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/wire/sse"
)

// row is what the kit knows of a dialect beside its codec.
type row struct {
	name llm.Dialect
	// wire is the dialect's name in the recordings.
	wire string
	// base stands behind the host in the base URL that the vendor's SDK takes.
	base string
	// doors are the ways in to a chat, the usual one first.
	doors []door
	// key is the header of the credential; empty means a bearer token.
	key string
	// header is sent with every call, forward are the recorded request headers
	// that are sent again.
	header  map[string]string
	forward []string
	// members are the top-level members of a request that the vendor takes.
	members []string
	// read reads an answer with status 200 as the dialect's own client does.
	read func(streamed bool, body []byte) (Answer, error)
	// must checks what a stream that we wrote owes beyond being readable.
	must func(body []byte) error
	// failure checks the members of an error's body that the SDKs need.
	failure func(body []byte) error
	// early says of an answer's first JSON values whether one is an error, or
	// content (decided), or neither.
	early func(event string, data []byte) (failed, decided bool)
	// next makes the request that a client sends after an answer.
	next func(answer []byte) (any, error)
	// seen reduces an answer to what a client of the dialect can be told.
	seen func(a Answer) Answer
	// slot says that clients of the dialect keep the state of any issuer and
	// send it back; state of the others is kept for them by the gateway.
	slot bool
	// callSlot says the same of Google's signature of a call.
	callSlot bool
}

// door is a way in: a path behind the base, and a small call that a client
// makes there. {model} and {stream} stand for what they say; both may be
// missing from either place.
type door struct {
	// form is empty for the usual door.
	form string
	// op is the operation in the recordings' words.
	op              string
	whole, streamed string
	call            string
	// seen reduces an answer to what this form can tell; nil when it tells what
	// the dialect does.
	seen func(a Answer) Answer
}

// table has a row for every dialect. Sources: the members are those of the
// vendors' own request types (openai-go v3.96.0 ChatCompletionNewParams and
// ResponseNewParams, anthropic-sdk-go v1.84.0 MessageNewParams and
// BetaMessageNewParams, the API reference of Gemini and ollama's api/types.go
// as of 2026-11).
var table = []*row{
	{
		name: llm.OpenAI, wire: "openai-chat", base: "/v1",
		doors: []door{{op: "chat", whole: "/chat/completions", streamed: "/chat/completions",
			call: `{"model":{model},"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the weather?"}],"stream":{stream},"stream_options":{"include_usage":true}}`}},
		members: strings.Fields(`messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
			max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
			prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options
			temperature tool_choice tools top_logprobs top_p user verbosity web_search_options`),
		read: either(openaiWhole, openaiStream), must: openaiMust, failure: openaiFailure, early: openaiEarly, next: openaiNext, seen: openaiSeen, slot: true, callSlot: true,
	},
	{
		name: llm.Anthropic, wire: "anthropic",
		doors: []door{{op: "chat", whole: "/v1/messages", streamed: "/v1/messages",
			call: `{"model":{model},"max_tokens":4096,"system":"Be brief.","messages":[{"role":"user","content":"What is the weather?"}],"stream":{stream}}`}},
		key: "x-api-key", header: map[string]string{"anthropic-version": "2023-06-01"}, forward: []string{"Anthropic-Beta"},
		members: strings.Fields(`model messages max_tokens cache_control container context_management diagnostics fallbacks
			fallback_credit_token inference_geo mcp_servers metadata output_config output_format service_tier speed stop_sequences stream
			system task_budget temperature thinking tool_choice tools top_k top_p user_profile_id betas`),
		read: either(anthropicWhole, anthropicStream), must: anthropicMust, failure: anthropicFailure, early: anthropicEarly, next: anthropicNext, seen: anthropicSeen, slot: true,
	},
	{
		name: llm.Responses, wire: "openai-responses", base: "/v1",
		doors: []door{{op: "chat", whole: "/responses", streamed: "/responses",
			call: `{"model":{model},"instructions":"Be brief.","input":"What is the weather?","store":false,"stream":{stream}}`}},
		members: strings.Fields(`access_programs background context_management conversation cyber include input instructions max_output_tokens
			max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options
			prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools
			top_logprobs top_p truncation user`),
		read: either(responsesWhole, responsesStream), must: responsesMust, failure: openaiFailure, early: responsesEarly, next: responsesNext, seen: responsesSeen, slot: true,
	},
	{
		name: llm.Gemini, wire: "gemini",
		doors: []door{
			{op: "chat", whole: "/v1beta/models/{model}:generateContent", streamed: "/v1beta/models/{model}:streamGenerateContent?alt=sse", call: geminiCall},
			{form: "array", op: "chat", whole: "/v1beta/models/{model}:generateContent", streamed: "/v1beta/models/{model}:streamGenerateContent", call: geminiCall},
		},
		key: "x-goog-api-key",
		members: strings.Fields(`contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent serviceTier store
			labels modelArmorConfig`),
		read: either(geminiWhole, geminiStream), must: geminiMust, failure: geminiFailure, early: geminiEarly, next: geminiNext, seen: geminiSeen,
	},
	{
		name: llm.Ollama, wire: "ollama",
		doors: []door{
			{op: "chat", whole: "/api/chat", streamed: "/api/chat",
				call: `{"model":{model},"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the weather?"}],"stream":{stream}}`},
			{form: "generate", op: "generate", whole: "/api/generate", streamed: "/api/generate",
				call: `{"model":{model},"system":"Be brief.","prompt":"What is the weather?","stream":{stream}}`, seen: generateSeen},
		},
		members: strings.Fields(`model messages stream format keep_alive tools think options truncate shift logprobs top_logprobs
			prompt suffix system template context raw images width height steps`),
		read: either(ollamaWhole, ollamaStream), must: ollamaMust, failure: ollamaFailure, early: ollamaEarly, next: ollamaNext, seen: ollamaSeen,
	},
}

const geminiCall = `{"systemInstruction":{"parts":[{"text":"Be brief."}]},"contents":[{"role":"user","parts":[{"text":"What is the weather?"}]}]}`

func either(whole, streamed func([]byte) (Answer, error)) func(bool, []byte) (Answer, error) {
	return func(s bool, body []byte) (Answer, error) {
		if s {
			return streamed(body)
		}
		return whole(body)
	}
}

// of gives the row of a dialect; every dialect has one.
func of(d llm.Dialect) *row {
	for _, r := range table {
		if r.name == d {
			return r
		}
	}
	panic(fmt.Sprintf("wiretest has no row for the dialect %q", d))
}

// Dialects are those that the kit knows, in the order of the suites.
func Dialects() []llm.Dialect {
	var all []llm.Dialect
	for _, r := range table {
		all = append(all, r.name)
	}
	return all
}

// Base is what stands behind the host in the base URL that the vendor's SDK of
// the dialect takes: "/v1" for OpenAI's, nothing for most.
func Base(d llm.Dialect) string { return of(d).base }

// Read reads an answer with status 200 as a client of the dialect does: with
// the official Go SDK where the module has it (OpenAI's two, Anthropic's), else
// with a strict reader of what the vendor's documentation and its SDK demand.
// An error is one that the client itself raises; what was read until then is
// given too, with Err set.
func Read(d llm.Dialect, streamed bool, body []byte) (Answer, error) {
	return of(d).read(streamed, body)
}

// Must checks what a stream that the gateway itself wrote owes its client
// beyond being readable: what must be there, what must not, in which order.
func Must(d llm.Dialect, stream []byte) error { return of(d).must(stream) }

// Path gives the path and query of a chat behind Base. form is empty for the
// usual one.
func Path(d llm.Dialect, form, model string, streamed bool) string {
	r := of(d)
	for _, o := range r.doors {
		if o.form == form {
			return o.path(model, streamed)
		}
	}
	panic(fmt.Sprintf("%s has no form %q", d, form))
}

func (o *door) path(model string, streamed bool) string {
	p := o.whole
	if streamed {
		p = o.streamed
	}
	return strings.Replace(p, "{model}", escaped(model), 1)
}

// escaped escapes a model name as Google's SDKs do: its slashes stay.
func escaped(model string) string {
	return strings.ReplaceAll(url.PathEscape(model), "%2F", "/")
}

// Door finds the door that a path (behind no base: as a server sees it) leads
// to, and what the path says of model and stream where it does.
func Door(path, query string) (d llm.Dialect, form, model string, streamed, ok bool) {
	for _, r := range table {
		for _, o := range r.doors {
			for _, s := range []bool{false, true} {
				want, q, _ := strings.Cut(r.base+o.whole, "?")
				if s {
					want, q, _ = strings.Cut(r.base+o.streamed, "?")
				}
				before, behind, inPath := strings.Cut(want, "{model}")
				switch {
				case !inPath && path == want:
					return r.name, o.form, "", false, true
				case inPath && strings.HasPrefix(path, before) && strings.HasSuffix(path, behind) && (q == "" || strings.Contains(query, q)):
					return r.name, o.form, path[len(before) : len(path)-len(behind)], s, true
				}
			}
		}
	}
	return "", "", "", false, false
}

// request makes the small call of a door.
func (o *door) request(model string, streamed bool) []byte {
	quoted, err := json.Marshal(model)
	if err != nil {
		panic(err) // a string is always JSON
	}
	call := strings.NewReplacer("{model}", string(quoted), "{stream}", fmt.Sprint(streamed)).Replace(o.call)
	if !streamed {
		call = strings.Replace(call, `,"stream_options":{"include_usage":true}`, "", 1)
	}
	return []byte(call)
}

// modelInPath says that the door's path names the model.
func (o *door) modelInPath() bool { return strings.Contains(o.whole, "{model}") }

// streams says whether a request asks for a stream.
func (o *door) streams(path string, body []byte) bool {
	if o.modelInPath() {
		return strings.Contains(path, "stream")
	}
	var v struct{ Stream *bool }
	if json.Unmarshal(body, &v) != nil || v.Stream == nil {
		return strings.HasPrefix(o.whole, "/api/") // the one vendor that streams unless told otherwise
	}
	return *v.Stream
}

func (r *row) door(op string) *door {
	for i := range r.doors {
		if r.doors[i].op == op {
			return &r.doors[i]
		}
	}
	return nil
}

// authorise sets what a client of the dialect sends with a key.
func (r *row) authorise(h http.Header, key string) {
	if r.key == "" {
		h.Set("Authorization", "Bearer "+key)
	} else {
		h.Set(r.key, key)
	}
	for k, v := range r.header {
		h.Set(k, v)
	}
}

// ---- frames

// frames is a stream in its pieces: event-stream frames, lines, or the
// elements of a growing array.
type frames interface{ Next() (sse.Frame, error) }

// Frames splits a stream of the dialect into the pieces that its decoder takes.
func Frames(d llm.Dialect, r io.Reader) interface{ Next() (sse.Frame, error) } {
	return framesOf(d, r)
}

// framesOf splits a stream of the dialect. Which of Gemini's two forms it is
// shows in its first byte.
func framesOf(d llm.Dialect, r io.Reader) frames {
	switch d {
	case llm.Ollama:
		return sse.NewLineReader(r, 0)
	case llm.Gemini:
		b := bufio.NewReader(r)
		for n := 1; n <= b.Size(); n++ {
			head, err := b.Peek(n)
			if err != nil || len(bytes.TrimSpace(head)) > 0 {
				if bytes.HasPrefix(bytes.TrimSpace(head), []byte("[")) {
					return sse.NewArrayReader(b, 0)
				}
				break
			}
		}
		return sse.NewReader(b, 0)
	}
	return sse.NewReader(r, 0)
}

// errorFirst says that a stream brings an error before any content.
func errorFirst(d llm.Dialect, body []byte) bool {
	in := framesOf(d, bytes.NewReader(body))
	for {
		f, err := in.Next()
		if err != nil {
			return false
		}
		data := f.Data
		if data == nil && f.Other {
			data = f.Raw // Gemini's bare error
		}
		if len(data) == 0 {
			continue
		}
		if failed, decided := of(d).early(string(f.Event), data); failed || decided {
			return failed
		}
		if f.Other {
			return true
		}
	}
}

// ---- OpenAI Chat Completions

func openaiEarly(event string, data []byte) (failed, decided bool) {
	var v struct {
		Error   json.RawMessage `json:"error"`
		Choices []struct {
			Delta map[string]any `json:"delta"`
		} `json:"choices"`
	}
	if event == "error" {
		return true, true
	}
	if json.Unmarshal(data, &v) != nil {
		return false, false
	}
	if len(v.Error) > 0 && string(v.Error) != "null" {
		return true, true
	}
	for _, c := range v.Choices {
		for k, d := range c.Delta {
			if k != "role" && !nothing(d) {
				return false, true
			}
		}
	}
	return false, false
}

func openaiFailure(body []byte) error {
	var v struct{ Error map[string]any }
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return has(v.Error, "message", "type", "param", "code")
}

// has says which of the members is missing.
func has(m map[string]any, names ...string) error {
	for _, k := range names {
		if _, ok := m[k]; !ok {
			return fmt.Errorf("the error has no %q", k)
		}
	}
	return nil
}

type object = map[string]any

func openaiNext(answer []byte) (any, error) {
	var a struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	if len(a.Choices) == 0 {
		return nil, errors.New("the answer has no choices")
	}
	var m struct {
		Calls []struct{ ID string } `json:"tool_calls"`
	}
	if err := json.Unmarshal(a.Choices[0].Message, &m); err != nil {
		return nil, err
	}
	question := object{"role": "user", "content": "Go on."}
	messages := []any{question, a.Choices[0].Message}
	for _, call := range m.Calls {
		messages = append(messages, object{"role": "tool", "tool_call_id": call.ID, "content": "done"})
	}
	return object{"model": "m", "max_tokens": 1000, "messages": append(messages, question)}, nil
}

func openaiSeen(a Answer) Answer {
	switch a.Finish {
	case llm.FinishStopSequence:
		a.Finish = llm.FinishStop
	case llm.FinishContext, llm.FinishPaused:
		a.Finish = llm.FinishLength
	}
	if a.Refusal != "" && a.Finish == llm.FinishStop {
		a.Finish = llm.FinishRefusal // content tells, the word does not
	}
	return a
}

// openaiMust: one id and time in all chunks, a role in the first, each call
// named once under an index of its own, at most one usage, no "error" member, and
// [DONE] behind the last.
func openaiMust(stream []byte) error {
	var id string
	var created json.Number
	names, finishes, usages, chunks, done := map[[2]int]bool{}, map[int]int{}, 0, 0, false
	in := sse.NewReader(bytes.NewReader(stream), 0)
	for {
		f, err := in.Next()
		if err != nil {
			break
		}
		if f.Data == nil {
			continue
		}
		if done {
			return fmt.Errorf("%s comes behind [DONE]", f.Data)
		}
		if string(f.Data) == "[DONE]" {
			done = true
			continue
		}
		var c struct {
			ID      string
			Created json.Number
			Choices []struct {
				Index int
				Delta struct {
					Role  string
					Calls []struct {
						Index    *int
						Function struct{ Name string }
						Custom   struct{ Name string }
					} `json:"tool_calls"`
				}
				Finish *string `json:"finish_reason"`
			}
			Usage json.RawMessage
			Error json.RawMessage
		}
		if err := json.Unmarshal(f.Data, &c); err != nil {
			return err
		}
		if len(c.Error) > 0 {
			if string(c.Error) == "null" {
				return errors.New(`a chunk says "error":null`)
			}
			return nil // the terminal form of a failure
		}
		if chunks++; chunks == 1 {
			id, created = c.ID, c.Created
			if len(c.Choices) == 0 || c.Choices[0].Delta.Role == "" {
				return fmt.Errorf("the first chunk has no role: %s", f.Data)
			}
		}
		if c.ID != id || c.Created != created || id == "" {
			return fmt.Errorf("chunk %d has id %q and time %s, the first %q and %s", chunks, c.ID, c.Created, id, created)
		}
		for _, ch := range c.Choices {
			for _, call := range ch.Delta.Calls {
				if call.Index == nil {
					return fmt.Errorf("a call without an index: %s", f.Data)
				}
				if name := cmp.Or(call.Function.Name, call.Custom.Name); name != "" {
					if names[[2]int{ch.Index, *call.Index}] {
						return fmt.Errorf("call %d is named twice", *call.Index)
					}
					names[[2]int{ch.Index, *call.Index}] = true
				}
			}
			if ch.Finish != nil && *ch.Finish != "" {
				finishes[ch.Index]++
			}
		}
		if len(c.Usage) > 0 && string(c.Usage) != "null" {
			usages++
		}
	}
	if !done || finishes[0] != 1 || usages > 1 {
		return fmt.Errorf("[DONE]: %v, %d finish reasons, %d usages; want true, 1 and at most 1", done, finishes[0], usages)
	}
	return nil
}

// ---- Anthropic Messages

func anthropicEarly(event string, data []byte) (failed, decided bool) {
	var v struct {
		Type  string          `json:"type"`
		Error json.RawMessage `json:"error"`
	}
	if event == "error" {
		return true, true
	}
	if json.Unmarshal(data, &v) != nil {
		return false, false
	}
	if len(v.Error) > 0 && string(v.Error) != "null" {
		return true, true
	}
	return false, strings.HasPrefix(v.Type, "content_block") || v.Type == "message_delta"
}

func anthropicFailure(body []byte) error {
	var v struct {
		Type  string
		Error map[string]any
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	if v.Type != "error" {
		return errors.New(`its type is not "error"`)
	}
	return has(v.Error, "message", "type")
}

func anthropicNext(answer []byte) (any, error) {
	var a struct{ Content json.RawMessage }
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	var blocks []struct{ Type, ID string }
	if err := json.Unmarshal(a.Content, &blocks); err != nil {
		return nil, err
	}
	var results []any
	for _, b := range blocks {
		if b.Type == "tool_use" {
			results = append(results, object{"type": "tool_result", "tool_use_id": b.ID, "content": "done"})
		}
	}
	results = append(results, object{"type": "text", "text": "Go on."})
	messages := []any{object{"role": "user", "content": "Go on."}}
	if len(blocks) > 0 {
		messages = append(messages, object{"role": "assistant", "content": a.Content})
	}
	return object{"model": "m", "max_tokens": 1000, "messages": append(messages, object{"role": "user", "content": results})}, nil
}

func anthropicSeen(a Answer) Answer {
	a.Text += a.Refusal
	a.Refusal = ""
	return a
}

// anthropicMust: one message_start, blocks one after another, each closed and
// none an empty text, a message_delta with a stop reason, a message_stop and
// nothing behind it; each event is named as its data is.
func anthropicMust(stream []byte) error {
	open, next, started, stopped, reason := -1, 0, false, false, false
	empty := false // the open block is a text with nothing in it so far
	in := sse.NewReader(bytes.NewReader(stream), 0)
	for {
		f, err := in.Next()
		if err != nil {
			break
		}
		if f.Data == nil {
			continue
		}
		var e struct {
			Type  string
			Index int
			Block struct{ Type, Text string } `json:"content_block"`
			Delta struct {
				Stop *string `json:"stop_reason"`
				Text string
			}
		}
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return err
		}
		if string(f.Event) != e.Type {
			return fmt.Errorf("the event %q says %q of itself", f.Event, e.Type)
		}
		if stopped {
			return fmt.Errorf("%s comes behind message_stop", e.Type)
		}
		if !started && e.Type != "message_start" && e.Type != "ping" && e.Type != "error" {
			return fmt.Errorf("%s comes before message_start", e.Type)
		}
		switch e.Type {
		case "message_start":
			if started {
				return errors.New("a second message_start")
			}
			started = true
		case "content_block_start":
			if open >= 0 || e.Index != next {
				return fmt.Errorf("block %d opens; %d is next, %d is open", e.Index, next, open)
			}
			open, empty = e.Index, e.Block.Type == "text" && e.Block.Text == ""
		case "content_block_delta":
			if e.Index != open {
				return fmt.Errorf("a delta for block %d, open is %d", e.Index, open)
			}
			empty = empty && e.Delta.Text == ""
		case "content_block_stop":
			if e.Index != open {
				return fmt.Errorf("block %d closes, open is %d", e.Index, open)
			}
			if empty {
				return fmt.Errorf("block %d is a text with nothing in it", open)
			}
			open = -1
			next++
		case "message_delta":
			if open >= 0 {
				return fmt.Errorf("message_delta inside block %d", open)
			}
			reason = reason || e.Delta.Stop != nil
		case "message_stop":
			stopped = true
		case "error":
			return nil
		}
	}
	if !stopped || !reason {
		return fmt.Errorf("message_stop: %v, stop reason: %v", stopped, reason)
	}
	return nil
}

// ---- what all seen have in common

// SeenBy reduces an answer to what a client of the dialect can be told.
func (a Answer) SeenBy(d llm.Dialect) Answer {
	a = of(d).seen(a)
	// Which of two words it is follows from the content (calls or none).
	if len(a.Calls) > 0 && (a.Finish == llm.FinishStop || a.Finish == llm.FinishStopSequence) {
		a.Finish = llm.FinishToolCalls
	}
	if len(a.Calls) == 0 && a.Finish == llm.FinishToolCalls {
		a.Finish = llm.FinishStop
	}
	return a
}

// NextTurn makes the request that a client sends after an answer: the answer
// as it came, a result for each call or a next question.
func NextTurn(d llm.Dialect, answer []byte) ([]byte, error) {
	v, err := of(d).next(answer)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // arguments that are an object are compared by their bytes
	err = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// knows says whether the dialect's own vendor takes the member in a request.
func (r *row) knows(member string) bool { return slices.Contains(r.members, member) }
