package closed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"headrace/internal/llm"
)

const (
	common = `model messages temperature top_p max_tokens stream stop n presence_penalty frequency_penalty response_format tools tool_choice `
	parts  = `type text image_url`
)

func hexID(before string, n, size int) string {
	sum := sha256.Sum256(fmt.Append(nil, before, n))
	return before + hex.EncodeToString(sum[:])[:size]
}

// Vendors are all rows.
var Vendors = []*Vendor{
	{Name: "openai", Provider: "openai", Model: "gpt-5.4", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("call_", n, 24) }, check: gpt},
	{Name: "responses", Provider: "openai", Model: "gpt-6-astra", Dialect: llm.Responses, ids: func(n int) string { return hexID("call_", n, 24) }, check: respond},
	{Name: "anthropic", Provider: "anthropic", Model: "claude-opus-4-1-20250805", Dialect: llm.Anthropic, ids: func(n int) string { return hexID("toolu_01", n, 22) }, check: claude},
	{Name: "preserved", Provider: "anthropic", Model: "claude-fable-5-2", Dialect: llm.Anthropic, ids: func(n int) string { return hexID("toolu_01", n, 22) }, check: fable},
	{Name: "gemini", Provider: "gemini", Model: "gemini-3-pro-preview", Dialect: llm.Gemini, ids: func(n int) string { return "" }, check: gemini},
	{Name: "ollama", Provider: "ollama", Model: "qwen3:8b", Dialect: llm.Ollama, ids: func(n int) string { return hexID("call_", n, 8) }, check: ollama},
	{Name: "mistral", Provider: "mistral", Model: "magistral-medium-latest", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("", n, 9) }, thinking: "parts", indexed: true, check: mistral},
	{Name: "groq", Provider: "groq", Model: "openai/gpt-oss-120b", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("fc_", n, 32) }, thinking: "reasoning", check: groq},
	{Name: "deepseek", Provider: "deepseek", Model: "deepseek-v4-pro", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("call_00_", n, 24) }, thinking: "reasoning_content", indexed: true, check: deepseek},
	{Name: "r1", Provider: "azure", Model: "deepseek-r1-0528", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("call_", n, 24) }, thinking: "reasoning_content", check: r1},
	{Name: "moonshot", Provider: "moonshot", Model: "kimi-k2.6", Dialect: llm.OpenAI, ids: func(n int) string { return fmt.Sprintf("functions.get_weather:%d", n) }, thinking: "reasoning_content", check: moonshot},
	{Name: "zai", Provider: "zai", Model: "glm-5.2", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("call_-", n, 19) }, thinking: "reasoning_content", indexed: true, check: zai},
	{Name: "cerebras", Provider: "cerebras", Model: "zai-glm-4.7", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("", n, 9) }, thinking: "reasoning", check: cerebras},
	{Name: "perplexity", Provider: "perplexity", Model: "sonar-pro", Dialect: llm.OpenAI, NoTools: true, ids: func(n int) string { return "" }, check: perplexity},
	{Name: "vllm", Provider: "", Model: "qwen3-32b", Dialect: llm.OpenAI, ids: func(n int) string { return hexID("chatcmpl-tool-", n, 32) }, thinking: "reasoning", check: vllm},
}

// ---- OpenAI, both of its APIs

var gptSchema = chat{
	top: common + `audio function_call functions logit_bias logprobs max_completion_tokens metadata modalities moderation parallel_tool_calls
		prediction prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort safety_identifier seed service_tier store
		stream_options top_logprobs user verbosity web_search_options`,
	system: "role content name", user: "role content name", assistant: "role content name refusal audio tool_calls function_call", tool: "role content tool_call_id",
	roles: "developer", part: parts + " input_audio file refusal prompt_cache_breakpoint", call: "id type function custom",
}

// gpt is GPT-5.4 on Chat Completions.
func gpt(_ *Upstream, b object) *Refusal {
	if at := gptSchema.unknown(b); at != nil {
		return openai(400, "unknown_parameter", place(at, true), "Unknown parameter: '%s'.", place(at, true))
	}
	if b["max_tokens"] != nil {
		return openai(400, "unsupported_parameter", "max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	}
	if e := text(b["reasoning_effort"]); b["tools"] != nil && e != "" && e != "none" {
		return openai(400, nil, "reasoning_effort", "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. Please use /v1/responses instead.")
	}
	for i, m := range blocks(b["messages"]) {
		for j, c := range blocks(m["tool_calls"]) {
			if id := text(c["id"]); len(id) > 40 {
				return openai(400, "string_above_max_length", "messages", "Invalid 'messages[%d].tool_calls[%d].id': string too long. Expected a string with maximum length 40, but got a string with length %d instead.", i, j, len(id))
			}
		}
	}
	return paired(b)
}

// respond is the Responses API, with store:false.
func respond(u *Upstream, b object) *Refusal {
	if k := members(b, `background context_management conversation include input instructions max_output_tokens max_tool_calls metadata model
		moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning
		safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user`); k != "" {
		return openai(400, "unknown_parameter", k, "Unknown parameter: '%s'.", k)
	}
	known := map[string]string{
		"":                     "role content type",
		"message":              "type id role content status phase",
		"reasoning":            "type id summary content encrypted_content status",
		"function_call":        "type id call_id name arguments status caller namespace",
		"function_call_output": "type id call_id output status",
	}
	calls, open := map[string]bool{}, map[string]bool{}
	items := blocks(b["input"])
	for i, it := range items {
		kind := text(it["type"])
		allowed, ok := known[kind]
		if !ok {
			return openai(400, "invalid_value", fmt.Sprintf("input[%d].type", i), "Invalid value: '%s'.", kind)
		}
		if k := members(it, allowed); k != "" {
			return openai(400, "unknown_parameter", fmt.Sprintf("input[%d].%s", i, k), "Unknown parameter: 'input[%d].%s'.", i, k)
		}
		switch kind {
		case "reasoning":
			for _, k := range []string{"id", "summary"} {
				if it[k] == nil {
					return openai(400, "missing_required_parameter", fmt.Sprintf("input[%d].%s", i, k), "Missing required parameter: 'input[%d].%s'.", i, k)
				}
			}
			sealed := text(it["encrypted_content"])
			if sealed == "" {
				return openai(404, nil, "input", "Item with id '%s' not found. Items are not persisted when `store` is set to false.", text(it["id"]))
			}
			if _, ok := u.issued[sealed]; !ok {
				return openai(400, "invalid_encrypted_content", nil, "The encrypted content for item %s could not be verified.", text(it["id"]))
			}
			if i+1 == len(items) || text(items[i+1]["type"]) == "function_call_output" || items[i+1]["role"] == "user" {
				return openai(400, nil, "input", "Item '%s' of type 'reasoning' was provided without its required following item.", text(it["id"]))
			}
		case "function_call":
			id := text(it["call_id"])
			if len(id) > 64 || id == "" {
				return openai(400, "string_above_max_length", fmt.Sprintf("input[%d].call_id", i), "Invalid 'input[%d].call_id': string of length %d.", i, len(id))
			}
			if f := text(it["id"]); f != "" && !strings.HasPrefix(f, "fc") {
				return openai(400, "invalid_value", fmt.Sprintf("input[%d].id", i), "Invalid 'input[%d].id': '%s'. Expected an ID that begins with 'fc'.", i, f)
			}
			calls[id], open[id] = true, true
		case "function_call_output":
			id := text(it["call_id"])
			if !calls[id] {
				return openai(400, nil, "input", "No tool call found for function call output with call_id %s.", id)
			}
			delete(open, id)
		case "message", "":
			role := text(it["role"])
			for j, p := range blocks(it["content"]) {
				want := "input_text input_image input_file"
				if role == "assistant" {
					want = "output_text refusal"
				}
				if !slices.Contains(strings.Fields(want), text(p["type"])) {
					return openai(400, "invalid_value", fmt.Sprintf("input[%d].content[%d]", i, j), "Invalid value: '%s'. Supported values are: %s.", text(p["type"]), want)
				}
			}
		}
	}
	for id := range open {
		return openai(400, nil, "input", "No tool output found for function call %s.", id)
	}
	for i, t := range blocks(b["tools"]) {
		if k := members(t, "type name description parameters strict"); k != "" || text(t["name"]) == "" {
			return openai(400, "missing_required_parameter", fmt.Sprintf("tools[%d].name", i), "Missing required parameter: 'tools[%d].name'. (%s)", i, k)
		}
	}
	return nil
}

// ---- Anthropic

func claudeError(format string, args ...any) *Refusal {
	return refuse(400, object{"type": "error", "error": object{"type": "invalid_request_error", "message": fmt.Sprintf(format, args...)}, "request_id": "req_1"})
}

var toolID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// claude is a model that binds no block to what stands before it, and demands
// that thinking comes first in an open loop while it is enabled.
func claude(u *Upstream, b object) *Refusal {
	if k := members(b, `model messages max_tokens cache_control container context_management metadata output_config service_tier
		stop_sequences stream system temperature thinking tool_choice tools top_k top_p`); k != "" {
		return claudeError("%s: Extra inputs are not permitted", k)
	}
	if b["max_tokens"] == nil {
		return claudeError("max_tokens: Field required")
	}
	thinking, _ := b["thinking"].(object)
	known := map[string]string{
		"text": "type text cache_control citations", "image": "type source cache_control", "document": "type source title context citations cache_control",
		"thinking": "type thinking signature", "redacted_thinking": "type data", "tool_use": "type id name input cache_control caller",
		"tool_result": "type tool_use_id content is_error cache_control",
	}
	open := map[string]bool{}
	last := ""
	messages := blocks(b["messages"])
	for i, m := range messages {
		if k := members(m, "role content"); k != "" {
			return claudeError("messages.%d.%s: Extra inputs are not permitted", i, k)
		}
		role := text(m["role"])
		if i == 0 && role != "user" {
			return claudeError(`messages: first message must use the "user" role`)
		}
		if role == "system" && u.Name == "preserved" && last != "" {
			continue // newer models take instructions in mid-conversation
		}
		if role != "user" && role != "assistant" {
			return claudeError("messages.%d.role: Input should be 'user' or 'assistant'", i)
		}
		content := blocks(m["content"])
		if s, ok := m["content"].(string); ok {
			if strings.TrimSpace(s) == "" {
				return claudeError("messages: text content blocks must be non-empty")
			}
			content = []object{{"type": "text", "text": s}}
		}
		if len(content) == 0 {
			return claudeError("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		answered := map[string]bool{}
		for j, c := range content {
			kind := text(c["type"])
			allowed, ok := known[kind]
			if !ok {
				return claudeError("messages.%d.content.%d: Input tag '%s' found using 'type' does not match any of the expected tags", i, j, kind)
			}
			if k := members(c, allowed); k != "" {
				return claudeError("messages.%d.content.%d.%s.%s: Extra inputs are not permitted", i, j, kind, k)
			}
			switch kind {
			case "text":
				if strings.TrimSpace(text(c["text"])) == "" {
					return claudeError("messages: text content blocks must be non-empty")
				}
			case "thinking":
				if _, ok := u.issued[text(c["signature"])]; !ok {
					return claudeError("messages.%d.content.%d: Invalid `signature` in `thinking` block", i, j)
				}
			case "tool_use":
				if !toolID.MatchString(text(c["id"])) {
					return claudeError("messages.%d.content.%d.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", i, j)
				}
				if _, ok := c["input"].(object); !ok {
					return claudeError("messages.%d.content.%d.tool_use.input: Input should be a valid dictionary", i, j)
				}
			case "tool_result":
				id := text(c["tool_use_id"])
				if !open[id] {
					return claudeError("messages.%d.content.%d: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", i, j, id)
				}
				answered[id] = true
			}
		}
		for id := range open {
			if role != last && !answered[id] {
				return claudeError("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, id)
			}
		}
		if role == "assistant" {
			open = map[string]bool{}
			for _, c := range content {
				if c["type"] == "tool_use" {
					open[text(c["id"])] = true
				}
			}
			if first := text(content[0]["type"]); thinking["type"] == "enabled" && len(open) > 0 && i == len(messages)-2 && first != "thinking" && first != "redacted_thinking" {
				return claudeError("messages.%d.content.0.type: Expected `thinking` or `redacted_thinking`, but found `%s`. When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks).", i, first)
			}
		} else {
			open = map[string]bool{}
		}
		last = role
	}
	if len(open) > 0 {
		return claudeError("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after", len(messages)-1)
	}
	for i, t := range blocks(b["tools"]) {
		if k := members(t, "name description input_schema cache_control strict type eager_input_streaming defer_loading"); k != "" {
			return claudeError("tools.%d.custom.%s: Extra inputs are not permitted", i, k)
		}
	}
	return nil
}

// fable is a model that binds its thinking to all that stood before.
func fable(u *Upstream, b object) *Refusal {
	if no := claude(u, b); no != nil {
		return no
	}
	if t, _ := b["thinking"].(object); t["type"] == "enabled" || t["type"] == "disabled" {
		return claudeError("thinking.type: `%s` is not supported for this model", text(t["type"]))
	}
	if c, _ := b["tool_choice"].(object); c["type"] == "any" || c["type"] == "tool" {
		return claudeError("tool_choice.type: `%s` is not supported for this model", text(c["type"]))
	}
	for i, m := range blocks(b["messages"]) {
		for j, c := range blocks(m["content"]) {
			was := u.issued[text(c["signature"])]
			if c["type"] == "thinking" && was.model == u.Model && was.of != prefix(b, i) {
				return claudeError("messages.%d.content.%d: Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove the block, or set `thinking.block_binding.prefix_mismatch_behavior` to \"drop_block\".", i, j)
			}
		}
	}
	return nil
}

// prefix is what a block of thinking is bound to: instructions, tools and the
// messages before, as the check sees them (no cache marks, the order of tools
// and of keys is all one, one text is as good as a list of one).
func prefix(b object, messages int) string {
	var seen list
	plain := func(v any) list {
		if s, ok := v.(string); ok {
			return list{object{"type": "text", "text": strings.TrimSpace(s)}}
		}
		var out list
		for _, c := range blocks(v) {
			if c["type"] == "thinking" || c["type"] == "redacted_thinking" {
				continue // bound by a chain of its own
			}
			clean := object{}
			for k, x := range c {
				if k != "cache_control" {
					clean[k] = x
				}
			}
			if s, ok := clean["text"].(string); ok {
				clean["text"] = strings.TrimSpace(s)
			}
			out = append(out, clean)
		}
		return out
	}
	seen = append(seen, plain(b["system"]))
	var tools []string
	for _, t := range blocks(b["tools"]) {
		clean := object{}
		for k, x := range t {
			if k != "cache_control" {
				clean[k] = x
			}
		}
		s, err := json.Marshal(clean)
		if err != nil {
			panic(err)
		}
		tools = append(tools, string(s))
	}
	slices.Sort(tools)
	seen = append(seen, tools)
	for i, m := range blocks(b["messages"]) {
		if i < messages {
			seen = append(seen, m["role"], plain(m["content"]))
		}
	}
	out, err := json.Marshal(seen)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// ---- Gemini

func geminiError(field, format string, args ...any) *Refusal {
	e := object{"code": 400, "message": fmt.Sprintf(format, args...), "status": "INVALID_ARGUMENT"}
	if field != "" {
		e["details"] = list{object{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": list{object{"field": field, "description": e["message"]}}}}
	}
	return refuse(400, object{"error": e})
}

// skipSignature turns the check of a signature off, for history that Gemini
// did not write.
const skipSignature = "skip_thought_signature_validator"

func gemini(u *Upstream, b object) *Refusal {
	unknown := func(at string, o object, allowed string) *Refusal {
		if k := members(o, allowed); k != "" {
			return geminiError(at, "Invalid JSON payload received. Unknown name \"%s\"%s: Cannot find field.", k, strings.Repeat(" at '"+at+"'", min(1, len(at))))
		}
		return nil
	}
	if no := unknown("", b, "contents systemInstruction system_instruction tools toolConfig tool_config safetySettings generationConfig generation_config cachedContent serviceTier store model"); no != nil {
		return no
	}
	contents := blocks(b["contents"])
	if len(contents) == 0 {
		return geminiError("", "* GenerateContentRequest.contents: contents is not specified\n")
	}
	turn := 0 // where the current turn begins: behind the last question
	for i, c := range contents {
		if u.kind(c) == "question" {
			turn = i
		}
	}
	calls := 0
	for i, c := range contents {
		at := fmt.Sprintf("contents[%d]", i)
		if no := unknown(at, c, "role parts"); no != nil {
			return no
		}
		if r := text(c["role"]); r != "user" && r != "model" {
			return geminiError(at, "Please use a valid role: user, model.")
		}
		ps := blocks(c["parts"])
		if len(ps) == 0 {
			return geminiError(at, "* GenerateContentRequest.contents[%d].parts: contents.parts must not be empty.\n", i)
		}
		first, answers, made := true, 0, 0
		for j, p := range ps {
			at := fmt.Sprintf("%s.parts[%d]", at, j)
			if no := unknown(at, p, "text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode codeExecutionResult videoMetadata"); no != nil {
				return no
			}
			signature := text(p["thoughtSignature"])
			of, own := u.issued[signature]
			if signature != "" && !own && signature != skipSignature {
				return geminiError("", "Corrupted thought signature.")
			}
			if f, ok := p["functionCall"].(object); ok {
				made++
				if no := unknown(at+".function_call", f, "id name args"); no != nil {
					return no
				}
				if _, ok := f["args"].(object); f["args"] != nil && !ok {
					return geminiError(at, "Invalid value at '%s.function_call.args' (type.googleapis.com/google.protobuf.Struct)", at)
				}
				if own && of.of != text(f["name"]) {
					return geminiError("", "Corrupted thought signature.")
				}
				if first && i > turn && signature == "" {
					return geminiError("", "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:%s` , position %d.", text(f["name"]), i+1)
				}
				first = false
			}
			if f, ok := p["functionResponse"].(object); ok {
				answers++
				if no := unknown(at+".function_response", f, "id name response parts scheduling willContinue"); no != nil {
					return no
				}
				if _, ok := f["response"].(object); !ok || text(f["name"]) == "" {
					return geminiError(at, "* GenerateContentRequest.contents[%d].parts[%d].function_response.name: Name cannot be empty.\n", i, j)
				}
			}
			if len(p) == 0 {
				return geminiError(at, "* GenerateContentRequest.contents[%d].parts[%d].data: required oneof field 'data' must have one initialized field\n", i, j)
			}
		}
		if answers != calls && (calls > 0 || answers > 0) {
			return geminiError("", "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
		}
		calls = made
	}
	if calls > 0 {
		return geminiError("", "Please ensure that function call turn comes immediately after a user turn or after a function response turn.")
	}
	for i, t := range blocks(b["tools"]) {
		if no := unknown(fmt.Sprintf("tools[%d]", i), t, "functionDeclarations function_declarations googleSearch codeExecution urlContext"); no != nil {
			return no
		}
		for j, f := range blocks(t["functionDeclarations"]) {
			at := fmt.Sprintf("tools[%d].function_declarations[%d]", i, j)
			if no := unknown(at, f, "name description parameters parametersJsonSchema response responseJsonSchema behavior"); no != nil {
				return no
			}
			if s, ok := f["parameters"].(object); ok {
				if no := unknown(at+".parameters", s, "type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength maxLength pattern example anyOf propertyOrdering default items minimum maximum"); no != nil {
					return no
				}
			}
		}
	}
	return nil
}

// ---- Ollama

// ollama refuses what its server cannot read, and what it would drop without a
// word.
func ollama(_ *Upstream, b object) *Refusal {
	lost := func(k string) *Refusal {
		return refuse(400, object{"error": "the member " + k + " is dropped in silence"})
	}
	if k := members(b, "model messages stream format keep_alive tools think options truncate shift logprobs top_logprobs"); k != "" {
		return lost(k)
	}
	if s, ok := b["think"].(string); ok && !slices.Contains([]string{"low", "medium", "high", "max"}, s) {
		return refuse(400, object{"error": fmt.Sprintf("invalid think value: %q (must be \"high\", \"medium\", \"low\", \"max\", true, or false)", s)})
	}
	for _, m := range blocks(b["messages"]) {
		if k := members(m, "role content thinking images tool_calls tool_name tool_call_id"); k != "" {
			return lost("messages." + k)
		}
		if _, ok := m["content"].(string); !ok && m["content"] != nil {
			return refuse(400, object{"error": "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string"})
		}
		if r := text(m["role"]); !slices.Contains([]string{"system", "user", "assistant", "tool"}, r) {
			return refuse(400, object{"error": fmt.Sprintf("invalid role %q", r)})
		}
		for _, c := range blocks(m["tool_calls"]) {
			f, _ := c["function"].(object)
			if k := members(c, "id type function"); k != "" || members(f, "index name arguments") != "" {
				return lost("messages.tool_calls." + k)
			}
			if _, ok := f["arguments"].(object); !ok {
				return refuse(400, object{"error": "json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments of type api.ToolCallFunctionArguments"})
			}
		}
		for _, s := range blocks(m["images"]) {
			return refuse(400, object{"error": fmt.Sprintf("illegal base64 data: %v", s)})
		}
	}
	return nil
}

// ---- the others on Chat Completions

var mistralSchema = chat{
	top:    common + "random_seed metadata prediction parallel_tool_calls prompt_mode safe_prompt reasoning_effort",
	system: "role content", user: "role content", assistant: "role content tool_calls prefix", tool: "role content tool_call_id name",
	part: parts + " thinking closed document_url document_name input_audio file_id", call: "id type function index",
}

var mistralID = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

func mistral(_ *Upstream, b object) *Refusal {
	if at := mistralSchema.unknown(b); at != nil {
		return refuse(422, object{"object": "error", "message": object{"detail": list{object{"type": "extra_forbidden", "loc": append(list{"body"}, at...), "msg": "Extra inputs are not permitted"}}},
			"type": "invalid_request_error", "param": nil, "code": nil, "raw_status_code": 422})
	}
	flat := func(code, kind, format string, args ...any) *Refusal {
		return refuse(400, object{"object": "error", "message": fmt.Sprintf(format, args...), "type": kind, "param": nil, "code": code, "raw_status_code": 400})
	}
	for _, m := range blocks(b["messages"]) {
		for _, c := range blocks(m["tool_calls"]) {
			if id := text(c["id"]); !mistralID.MatchString(id) {
				return flat("3280", "invalid_function_call", "Tool call id was %s but must be a-z, A-Z, 0-9, with a length of 9.", id)
			}
		}
	}
	if unanswered, alone := pairs(b); unanswered != "" || alone != "" {
		return flat("3230", "invalid_request_message_order", "Not the same number of function calls and responses (%s%s)", unanswered, alone)
	}
	return nil
}

var groqSchema = chat{
	top: common + `max_completion_tokens parallel_tool_calls reasoning_effort reasoning_format include_reasoning seed service_tier stream_options user
		metadata store search_settings documents citation_options disable_tool_validation compound_custom`,
	system: "role content", user: "role content", assistant: "role content tool_calls reasoning", tool: "role content tool_call_id",
	roles: "developer", part: parts, call: "id type function",
}

func groq(_ *Upstream, b object) *Refusal {
	if at := groqSchema.unknown(b); at != nil {
		return openai(400, nil, nil, "'%s' : property '%v' is unsupported", place(at[:len(at)-1], false), at[len(at)-1])
	}
	return paired(b)
}

// deepseek is V4, which thinks unless told otherwise.
func deepseek(_ *Upstream, b object) *Refusal {
	for i, m := range blocks(b["messages"]) {
		if r := text(m["role"]); !slices.Contains([]string{"system", "user", "assistant", "tool"}, r) {
			return openai(400, "invalid_request_error", nil, "Failed to deserialize the JSON body into the target type: messages[%d].role: unknown variant `%s`, expected one of `system`, `user`, `assistant`, `tool`", i, r)
		}
	}
	thinking, _ := b["thinking"].(object)
	for _, m := range blocks(b["messages"]) {
		if _, ok := m["reasoning_content"].(string); !ok && m["tool_calls"] != nil && thinking["type"] != "disabled" {
			return openai(400, "invalid_request_error", nil, "The `reasoning_content` in the thinking mode must be passed back to the API.")
		}
	}
	if f, _ := b["response_format"].(object); f["type"] == "json_schema" {
		return openai(400, "invalid_request_error", nil, "This response_format type is unavailable now")
	}
	return paired(b)
}

// r1 is a server of the older model, which refuses what V4 demands.
func r1(_ *Upstream, b object) *Refusal {
	for i, m := range blocks(b["messages"]) {
		if m["reasoning_content"] != nil {
			return openai(400, "invalid_request_error", nil, "The reasoning_content is an intermediate result for display purposes only and will not be included in the context for inference. Please remove the reasoning_content from messages[%d].", i)
		}
	}
	return paired(b)
}

func moonshot(_ *Upstream, b object) *Refusal {
	for i, m := range blocks(b["messages"]) {
		if _, ok := m["reasoning_content"].(string); !ok && m["tool_calls"] != nil {
			return openai(400, nil, nil, "thinking is enabled but reasoning_content is missing in assistant tool call message at index %d", i)
		}
	}
	if b["tool_choice"] == "required" {
		return openai(400, nil, nil, "tool_choice 'required' is incompatible with thinking enabled")
	}
	return paired(b)
}

func zai(_ *Upstream, b object) *Refusal {
	for _, m := range blocks(b["messages"]) {
		if r := text(m["role"]); !slices.Contains([]string{"system", "user", "assistant", "tool"}, r) {
			return refuse(400, object{"error": object{"code": "1214", "message": "Incorrect role information"}})
		}
	}
	if c := b["tool_choice"]; c != nil && c != "auto" {
		return refuse(400, object{"error": object{"code": "1210", "message": "Invalid API parameter, please check the documentation."}})
	}
	return nil
}

// cerebras has its errors without an object around them.
func cerebras(_ *Upstream, b object) *Refusal {
	flat := func(format string, args ...any) *Refusal {
		return refuse(400, object{"message": fmt.Sprintf(format, args...), "type": "invalid_request_error", "param": "validation_error", "code": "wrong_api_format"})
	}
	for i, m := range blocks(b["messages"]) {
		if m["reasoning_content"] != nil {
			return flat("body.messages.%d.assistant: property 'reasoning_content' is unsupported", i)
		}
	}
	if unanswered, alone := pairs(b); unanswered != "" || alone != "" {
		return flat("body.messages: a tool call and its result do not match (%s%s)", unanswered, alone)
	}
	return nil
}

func perplexity(_ *Upstream, b object) *Refusal {
	no := func(message string) *Refusal {
		return refuse(400, object{"error": object{"message": message, "type": "invalid_message", "code": 400}})
	}
	if b["tools"] != nil || b["stop"] != nil || b["seed"] != nil {
		return no("Tool calling is not supported for this model.")
	}
	last := "assistant"
	for i, m := range blocks(b["messages"]) {
		role := text(m["role"])
		if role == "system" && (i == 0 || last == "system") {
			last = "system"
			continue
		}
		if last == "system" {
			last = "assistant"
		}
		if role != "user" && role != "assistant" || role == last {
			return no("After the (optional) system message(s), user or tool message(s) should alternate with assistant message(s).")
		}
		last = role
	}
	if last != "user" {
		return no("Last message must have role `user` or `tool`.")
	}
	return nil
}

// vllm runs the chat template of the model, which wants one instruction, first.
func vllm(_ *Upstream, b object) *Refusal {
	no := func(message string) *Refusal {
		return refuse(400, object{"object": "error", "message": message, "type": "BadRequestError", "param": nil, "code": 400})
	}
	for i, m := range blocks(b["messages"]) {
		switch role := text(m["role"]); {
		case role == "system" && i > 0:
			return no("System message must be at the beginning.")
		case !slices.Contains([]string{"system", "user", "assistant", "tool"}, role):
			return no("Unexpected message role.")
		}
	}
	return nil
}
