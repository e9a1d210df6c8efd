// Package body makes the request bodies of the benchmark: what a chat window,
// a coding agent and a long conversation send, in every dialect, always the
// same bytes for the same arguments.
package body

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// Shape is how much a request carries.
type Shape struct {
	// Turns is how many user, assistant and tool messages follow the system
	// prompt; odd, so that the last one is the user's.
	Turns int
	// Words is the length of each turn.
	Words int
	// Tools is how many tools are offered.
	Tools int
}

// The shapes that design aims are given for: about 0.5 KB, 8 KB and 208 KB.
var (
	Small = Shape{Turns: 1, Words: 30}
	Agent = Shape{Turns: 9, Words: 68, Tools: 8}
	Long  = Shape{Turns: 41, Words: 1000, Tools: 8}
)

var vocabulary = strings.Fields(`water leaves the river above the weir and runs along the contour to the mill
	where a gate lets in as much as the wheel can use while the rest goes over the spillway and back below`)

type object = map[string]any

// OpenAI gives the body of a Chat Completions request for model. A streamed
// one asks for usage, as most clients do.
func OpenAI(s Shape, model string, stream bool) []byte {
	r := rand.New(rand.NewPCG(11, uint64(s.Turns)))
	messages := []any{object{"role": "system", "content": words(r, 40)}}
	for i := range s.Turns {
		switch {
		case i%2 == 0:
			messages = append(messages, object{"role": "user", "content": words(r, s.Words)})
		case s.Tools > 0 && i%4 == 1:
			id := fmt.Sprintf("call_%024d", i)
			args, _ := json.Marshal(object{"path": words(r, 3)})
			messages = append(messages,
				object{"role": "assistant", "content": nil, "tool_calls": []any{object{"id": id, "type": "function",
					"function": object{"name": toolName(i % s.Tools), "arguments": string(args)}}}},
				object{"role": "tool", "tool_call_id": id, "content": words(r, s.Words)})
		default:
			messages = append(messages, object{"role": "assistant", "content": words(r, s.Words)})
		}
	}
	out := []member{{"model", model}, {"messages", messages}, {"max_tokens", 256}}
	if s.Tools > 0 {
		tools := []any{}
		for i := range s.Tools {
			tools = append(tools, object{"type": "function", "function": object{
				"name": toolName(i), "description": words(r, 24), "parameters": schema(r)}})
		}
		out = append(out, member{"tools", tools})
	}
	if stream {
		out = append(out, member{"stream", true}, member{"stream_options", object{"include_usage": true}})
	}
	return ordered(out)
}

// Anthropic gives the body of a Messages request that says the same.
func Anthropic(s Shape, model string, stream bool) []byte {
	r := rand.New(rand.NewPCG(11, uint64(s.Turns)))
	system := words(r, 40)
	messages := []any{}
	for i := range s.Turns {
		switch {
		case i%2 == 0:
			messages = append(messages, object{"role": "user", "content": words(r, s.Words)})
		case s.Tools > 0 && i%4 == 1:
			id := fmt.Sprintf("toolu_%024d", i)
			messages = append(messages,
				object{"role": "assistant", "content": []any{object{"type": "tool_use", "id": id,
					"name": toolName(i % s.Tools), "input": object{"path": words(r, 3)}}}},
				object{"role": "user", "content": []any{object{"type": "tool_result", "tool_use_id": id, "content": words(r, s.Words)}}})
		default:
			messages = append(messages, object{"role": "assistant", "content": words(r, s.Words)})
		}
	}
	out := []member{{"model", model}, {"max_tokens", 256}, {"system", system}, {"messages", messages}}
	if s.Tools > 0 {
		tools := []any{}
		for i := range s.Tools {
			tools = append(tools, object{"name": toolName(i), "description": words(r, 24), "input_schema": schema(r)})
		}
		out = append(out, member{"tools", tools})
	}
	if stream {
		out = append(out, member{"stream", true})
	}
	return ordered(out)
}

// turns gives the texts of a conversation without tools: the system prompt,
// then user and assistant in turn.
func turns(s Shape) (system string, texts []string) {
	r := rand.New(rand.NewPCG(11, uint64(s.Turns)))
	system = words(r, 40)
	for range s.Turns {
		texts = append(texts, words(r, s.Words))
	}
	return system, texts
}

func role(i int, assistant string) string {
	if i%2 == 0 {
		return "user"
	}
	return assistant
}

// Responses gives the body of a Responses request that says the same. The tools
// of the shape are left out, here and below.
func Responses(s Shape, model string, stream bool) []byte {
	system, texts := turns(s)
	input := []any{}
	for i, text := range texts {
		input = append(input, object{"role": role(i, "assistant"), "content": text})
	}
	out := []member{{"model", model}, {"instructions", system}, {"input", input}, {"max_output_tokens", 256}, {"store", false}}
	if stream {
		out = append(out, member{"stream", true})
	}
	return ordered(out)
}

// Gemini gives the body of a generateContent request that says the same; the
// path says the model, and whether the answer is streamed.
func Gemini(s Shape) []byte {
	system, texts := turns(s)
	contents := []any{}
	for i, text := range texts {
		contents = append(contents, object{"role": role(i, "model"), "parts": []any{object{"text": text}}})
	}
	return ordered([]member{{"contents", contents}, {"systemInstruction", object{"parts": []any{object{"text": system}}}},
		{"generationConfig", object{"maxOutputTokens": 256}}})
}

// Ollama gives the body of an /api/chat request that says the same.
func Ollama(s Shape, model string, stream bool) []byte {
	system, texts := turns(s)
	messages := []any{object{"role": "system", "content": system}}
	for i, text := range texts {
		messages = append(messages, object{"role": role(i, "assistant"), "content": text})
	}
	return ordered([]member{{"model", model}, {"messages", messages}, {"stream", stream}, {"options", object{"num_predict": 256}}})
}

func toolName(i int) string {
	return []string{"read_file", "write_file", "list_folder", "search", "run_tests", "apply_patch", "fetch", "ask_user"}[i%8]
}

func schema(r *rand.Rand) object {
	properties := object{}
	for _, k := range []string{"path", "pattern", "limit"} {
		properties[k] = object{"type": "string", "description": words(r, 7)}
	}
	return object{"type": "object", "properties": properties, "required": []string{"path"}, "additionalProperties": false}
}

func words(r *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = vocabulary[r.IntN(len(vocabulary))]
	}
	return strings.Join(out, " ")
}

type member struct {
	name  string
	value any
}

// ordered writes an object whose members keep their order: SDKs send the
// model first, and where it stands decides how a gateway splices it.
func ordered(members []member) []byte {
	out := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			panic(err) // strings, numbers and maps of them always marshal
		}
		out = fmt.Appendf(out, "%q:%s", m.name, value)
	}
	return append(out, '}')
}
