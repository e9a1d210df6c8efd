// Package closed holds strict stand-ins of the vendors: each refuses what the
// vendor refuses, in the vendor's own words, and answers the rest with thinking
// and tool calls in the vendor's manner. A conversation that passes from one to
// another must not be refused by any. It is imported by external test packages
// only.
//
// What each refuses, and the texts, are those of the vendors' documentation,
// of recorded traffic and of their users' reports as of 2026-11.
package closed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"headrace/internal/llm"
)

// Vendor is a row: who it is, what it refuses and how it answers.
type Vendor struct {
	// Name is what the tests call it.
	Name string
	// Provider and Model name the rows of the catalogue that an encoder writes
	// for; Provider is empty for a server of one's own, which has no row.
	Provider, Model string
	Dialect         llm.Dialect
	// NoTools says that it takes no tools.
	NoTools bool
	// ids makes the id of its n-th call.
	ids func(n int) string
	// indexed says that the calls of its whole answers have an index (recorded
	// of Mistral and DeepSeek).
	indexed bool
	// thinking is the member of a chat message that shows thinking; empty for
	// none.
	thinking string
	// check gives the refusal of a request, or nil.
	check func(u *Upstream, b object) *Refusal
}

// Refusal is an answer with an error status.
type Refusal struct {
	Status int
	Body   []byte
}

func refuse(status int, v any) *Refusal {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own tables
	}
	return &Refusal{status, b}
}

type (
	object = map[string]any
	list   = []any
)

// Upstream is one account at a vendor: it knows the state that it has given
// out. Not safe for concurrent use.
type Upstream struct {
	*Vendor
	// issued holds its signatures and encrypted texts, and what each belongs to.
	issued map[string]seal
	calls  int
	// Arguments are those of its calls, in turn, and Say is its text; both have
	// defaults.
	Arguments []string
	Say       string
}

// seal is who made a piece of state and what it belongs to.
type seal struct{ model, of string }

// Open gives a new account; beside is another one, or nil: models of one
// provider share an account and know one another's state.
func (v *Vendor) Open(beside *Upstream) *Upstream {
	u := &Upstream{Vendor: v, issued: map[string]seal{}}
	if beside != nil && beside.Provider == v.Provider && beside.Dialect == v.Dialect && v.Provider != "" {
		u.issued = beside.issued
	}
	return u
}

// Serve takes a request: a refusal, or an answer with status 200. It calls two
// tools at once for a question, one more for their results, and says a text for
// the results of one.
func (u *Upstream) Serve(body []byte) (answer []byte, no *Refusal) {
	var b object
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&b); err != nil {
		return nil, refuse(400, object{"error": err.Error()})
	}
	if no := u.check(u, b); no != nil {
		return nil, no
	}
	n := 2 - u.results(b) // calls to make: 2, then 1, then none
	if u.NoTools || b["tools"] == nil {
		n = 0
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(u.answer(b, max(n, 0))); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// results counts what the request ends with: 0 for a question, 1 for the
// results of a first round, 2 for those of a second.
func (u *Upstream) results(b object) (rounds int) {
	var steps list
	switch u.Dialect {
	case llm.Responses:
		steps, _ = b["input"].(list)
	case llm.Gemini:
		steps, _ = b["contents"].(list)
	default:
		steps, _ = b["messages"].(list)
	}
	was := false
	for _, s := range slices.Backward(steps) {
		m := s.(object)
		kind := u.kind(m)
		if kind == "question" {
			break
		}
		if kind == "result" && !was {
			rounds++
		}
		was = kind == "result"
	}
	return rounds
}

// kind says what a message or an item is: "question", "result" or something of
// the assistant's.
func (u *Upstream) kind(m object) string {
	role, _ := m["role"].(string)
	switch u.Dialect {
	case llm.OpenAI, llm.Ollama:
		switch role {
		case "tool":
			return "result"
		case "user":
			return "question"
		}
	case llm.Responses:
		switch {
		case strings.HasSuffix(text(m["type"]), "_output"):
			return "result"
		case role == "user":
			return "question"
		}
	case llm.Anthropic:
		if role == "user" {
			for _, b := range blocks(m["content"]) {
				if b["type"] == "tool_result" {
					return "result"
				}
			}
			return "question"
		}
	case llm.Gemini:
		if role != "model" {
			for _, p := range blocks(m["parts"]) {
				if p["functionResponse"] != nil {
					return "result"
				}
			}
			return "question"
		}
	}
	return "said"
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// blocks gives a list of objects; nil for anything else.
func blocks(v any) (all []object) {
	l, _ := v.(list)
	for _, e := range l {
		if o, ok := e.(object); ok {
			all = append(all, o)
		}
	}
	return all
}

// sign makes state that only this account can read.
func (u *Upstream) sign(of string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %p %d %s", u.Name, u, len(u.issued), of))
	s := hex.EncodeToString(sum[:])
	u.issued[s] = seal{u.Model, of}
	return s
}

const thought = "The user wants the weather, so the tool must be asked."

// answer is what the vendor says, with so many calls.
func (u *Upstream) answer(b object, calls int) any {
	type call struct{ id, name, arguments string }
	var made []call
	for k := range calls {
		u.calls++
		// The arguments are what re-encoding spoils: order, a large number,
		// signs that HTML knows, text beyond ASCII.
		arguments := fmt.Sprintf(`{"city":"Zürich <&> %d","b":9007199254740993,"a":1.50}`, k)
		if n := len(u.Arguments); n > 0 {
			arguments = u.Arguments[u.calls%n]
		}
		made = append(made, call{u.ids(u.calls), "get_weather", arguments})
	}
	say := cmp.Or(u.Say, "It is sunny.")
	switch u.Dialect {
	case llm.OpenAI:
		m := object{"role": "assistant", "content": say}
		finish := "stop"
		if len(made) > 0 {
			finish, m["content"] = "tool_calls", nil
			var all list
			for i, c := range made {
				f := object{"id": c.id, "type": "function", "function": object{"name": c.name, "arguments": c.arguments}}
				if u.indexed {
					f["index"] = i
				}
				all = append(all, f)
			}
			m["tool_calls"] = all
		}
		switch u.thinking {
		case "":
		case "parts":
			parts := list{object{"type": "thinking", "thinking": list{object{"type": "text", "text": thought}}}}
			if len(made) == 0 {
				parts = append(parts, object{"type": "text", "text": say})
			}
			m["content"] = parts
		default:
			m[u.thinking] = thought
		}
		return object{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": u.Model,
			"choices": list{object{"index": 0, "message": m, "finish_reason": finish}},
			"usage":   object{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
	case llm.Anthropic:
		content := list{object{"type": "thinking", "thinking": thought, "signature": u.sign(prefix(b, len(blocks(b["messages"]))))}}
		stop := "end_turn"
		if len(made) == 0 {
			content = append(content, object{"type": "text", "text": say})
		}
		for _, c := range made {
			stop = "tool_use"
			content = append(content, object{"type": "tool_use", "id": c.id, "name": c.name, "input": json.RawMessage(c.arguments)})
		}
		return object{"id": "msg_1", "type": "message", "role": "assistant", "model": u.Model, "content": content, "stop_reason": stop,
			"stop_sequence": nil, "usage": object{"input_tokens": 10, "output_tokens": 5}}
	case llm.Responses:
		u.calls++
		out := list{object{"type": "reasoning", "id": fmt.Sprintf("rs_%d", u.calls), "summary": list{object{"type": "summary_text", "text": thought}}, "encrypted_content": u.sign("reasoning")}}
		if len(made) == 0 {
			out = append(out, object{"type": "message", "id": fmt.Sprintf("msg_%d", u.calls), "role": "assistant", "status": "completed",
				"content": list{object{"type": "output_text", "text": say, "annotations": list{}}}})
		}
		for i, c := range made {
			out = append(out, object{"type": "function_call", "id": fmt.Sprintf("fc_%d_%d", u.calls, i), "call_id": c.id, "name": c.name, "arguments": c.arguments, "status": "completed"})
		}
		return object{"id": "resp_1", "object": "response", "created_at": 1, "model": u.Model, "status": "completed", "output": out, "error": nil, "incomplete_details": nil,
			"usage": object{"input_tokens": 10, "input_tokens_details": object{"cached_tokens": 0}, "output_tokens": 5, "output_tokens_details": object{"reasoning_tokens": 2}, "total_tokens": 15}}
	case llm.Gemini:
		parts := list{object{"text": thought, "thought": true}}
		for i, c := range made {
			p := object{"functionCall": object{"name": c.name, "args": json.RawMessage(c.arguments)}}
			if c.id != "" {
				p["functionCall"].(object)["id"] = c.id
			}
			if i == 0 { // the first of a parallel set
				p["thoughtSignature"] = u.sign(c.name)
			}
			parts = append(parts, p)
		}
		if len(made) == 0 {
			parts = append(parts, object{"text": say, "thoughtSignature": u.sign("text")})
		}
		return object{"candidates": list{object{"content": object{"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}},
			"usageMetadata": object{"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 2, "totalTokenCount": 15}, "modelVersion": u.Model, "responseId": "r1"}
	case llm.Ollama:
		m := object{"role": "assistant", "content": "", "thinking": thought}
		var all list
		for i, c := range made {
			all = append(all, object{"id": c.id, "function": object{"index": i, "name": c.name, "arguments": json.RawMessage(c.arguments)}})
		}
		if len(all) > 0 {
			m["tool_calls"] = all
		} else {
			m["content"] = say
		}
		return object{"model": u.Model, "created_at": "2026-11-01T00:00:00Z", "message": m, "done": true, "done_reason": "stop",
			"prompt_eval_count": 10, "eval_count": 5}
	}
	panic(u.Dialect)
}

// ---- checks that several share

// members gives the first member of o that is not among the allowed; "" when
// there is none.
func members(o object, allowed string) string {
	names := strings.Fields(allowed)
	var bad []string
	for k := range o {
		if !slices.Contains(names, k) {
			bad = append(bad, k)
		}
	}
	if len(bad) == 0 {
		return ""
	}
	return slices.Min(bad)
}

// chat walks the messages of a Chat Completions request by the schema of a
// vendor: what each role's message and its parts may hold. It gives the path of
// the first member that is not known.
type chat struct {
	top                           string
	system, user, assistant, tool string
	// roles beyond system, user, assistant and tool.
	roles string
	part  string
	call  string
}

func (c *chat) unknown(b object) (path list) {
	if k := members(b, c.top); k != "" {
		return list{k}
	}
	for i, m := range blocks(b["messages"]) {
		role := text(m["role"])
		allowed, ok := map[string]string{"system": c.system, "developer": c.system, "user": c.user, "assistant": c.assistant, "tool": c.tool}[role]
		if !ok || role == "developer" && !strings.Contains(c.roles, role) {
			return list{"messages", i, "role"}
		}
		if k := members(m, allowed); k != "" {
			return list{"messages", i, k}
		}
		for j, p := range blocks(m["content"]) {
			if k := members(p, c.part); k != "" {
				return list{"messages", i, "content", j, k}
			}
		}
		for j, p := range blocks(m["tool_calls"]) {
			if k := members(p, c.call); k != "" {
				return list{"messages", i, "tool_calls", j, k}
			}
			f, _ := p["function"].(object)
			if k := members(f, "name arguments"); k != "" {
				return list{"messages", i, "tool_calls", j, "function", k}
			}
		}
	}
	for i, t := range blocks(b["tools"]) {
		if k := members(t, "type function"); k != "" {
			return list{"tools", i, k}
		}
		f, _ := t["function"].(object)
		if k := members(f, "name description parameters strict"); k != "" {
			return list{"tools", i, "function", k}
		}
	}
	return nil
}

// path writes a place as messages[1].tool_calls[0].id, or with dots alone.
func place(path list, brackets bool) string {
	var s strings.Builder
	for i, p := range path {
		switch v := p.(type) {
		case int:
			if brackets {
				fmt.Fprintf(&s, "[%d]", v)
				continue
			}
			fmt.Fprintf(&s, ".%d", v)
		default:
			if i > 0 {
				s.WriteByte('.')
			}
			fmt.Fprint(&s, v)
		}
	}
	return s.String()
}

// pairs checks that the calls of each assistant message are answered at once,
// and that no result stands alone. unanswered and alone are ids, "" for none.
func pairs(b object) (unanswered, alone string) {
	open := map[string]bool{}
	for _, m := range blocks(b["messages"]) {
		if m["role"] == "tool" {
			id := text(m["tool_call_id"])
			if !open[id] {
				return "", "id " + id
			}
			delete(open, id)
			continue
		}
		for id := range open {
			return "id " + id, ""
		}
		for _, c := range blocks(m["tool_calls"]) {
			if text(c["id"]) == "" {
				return "id without a name", ""
			}
			open[text(c["id"])] = true
		}
	}
	for id := range open {
		return "id " + id, ""
	}
	return "", ""
}

// openai is the error form that most share.
func openai(status int, code any, param any, format string, args ...any) *Refusal {
	return refuse(status, object{"error": object{"message": fmt.Sprintf(format, args...), "type": "invalid_request_error", "param": param, "code": code}})
}

func paired(b object) *Refusal {
	unanswered, alone := pairs(b)
	if unanswered != "" {
		return openai(400, nil, "messages", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", unanswered)
	}
	if alone != "" {
		return openai(400, nil, "messages", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'. (%s)", alone)
	}
	return nil
}
