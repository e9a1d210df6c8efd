package app

import (
	"bytes"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"headrace/internal/llm"
	"headrace/internal/provider"
	"headrace/internal/route"
)

// judge checks whole answers for routes that say what an answer must be. What
// it cannot read it does not find fault with.
type judge struct{}

// Judge says what is wrong with an answer; "" for nothing.
func (judge) Judge(must *route.Success, d *llm.Draft, a *llm.Answer) string {
	got, err := provider.Words(d, a)
	if err != nil {
		return ""
	}
	asked, err := d.Request()
	if err != nil {
		return ""
	}
	return trouble(must, asked, got)
}

// Canonical gives the calls of an answer, or else its text where that is to be
// JSON, in a form in which order of members, spelling of numbers and white space
// make no difference; ids of calls and the order of calls neither.
func (judge) Canonical(d *llm.Draft, a *llm.Answer) []byte {
	got, err := provider.Words(d, a)
	if err != nil {
		return nil
	}
	asked, err := d.Request()
	if err != nil {
		return nil
	}
	var calls []string
	var text strings.Builder
	for i := range got.Items {
		it := &got.Items[i]
		switch it.Kind {
		case llm.ItemToolCall:
			arguments := canonical(it.Call.Arguments)
			if arguments == nil {
				return nil
			}
			calls = append(calls, it.Call.Name+" "+string(arguments))
		case llm.ItemMessage:
			for k := range it.Blocks {
				if it.Blocks[k].Kind == llm.BlockText {
					text.WriteString(it.Blocks[k].Text)
				}
			}
		}
	}
	if len(calls) > 0 {
		slices.Sort(calls)
		return []byte(strings.Join(calls, "\n"))
	}
	if asked.Format.Kind == llm.FormatJSONObject || asked.Format.Kind == llm.FormatJSONSchema {
		return canonical([]byte(text.String()))
	}
	return nil
}

// canonical is the canonical form of a JSON value (RFC 8785); nil when it is
// none.
func canonical(value []byte) []byte {
	v := jsontext.Value(bytes.Clone(bytes.TrimSpace(value)))
	if len(v) == 0 {
		v = jsontext.Value("{}")
	}
	if v.Canonicalize() != nil {
		return nil
	}
	return v
}

func trouble(must *route.Success, asked *llm.Request, got *llm.Response) string {
	var text strings.Builder
	calls, refused, other := 0, got.Finish.Reason == llm.FinishRefusal, false
	for i := range got.Items {
		it := &got.Items[i]
		switch it.Kind {
		case llm.ItemToolCall:
			calls++
		case llm.ItemOpaque:
			other = true
		case llm.ItemMessage:
			for k := range it.Blocks {
				switch b := &it.Blocks[k]; b.Kind {
				case llm.BlockText:
					text.WriteString(b.Text)
				case llm.BlockRefusal:
					refused = true
				default:
					other = true
				}
			}
		}
	}
	cut := got.Finish.Reason == llm.FinishLength || got.Finish.Reason == llm.FinishContext
	said := strings.TrimSpace(text.String())
	switch {
	case refused:
		if must.Refusal {
			return "it was refused"
		}
		return "" // a refusal is not in the form of an answer
	case cut && must.Truncated:
		return "it was cut at " + map[bool]string{true: "the output cap", false: "the end of the window"}[got.Finish.Reason == llm.FinishLength]
	case must.Empty && said == "" && calls == 0 && !other && got.Finish.Reason != llm.FinishPaused:
		return "it was empty"
	}
	if must.ToolsValid {
		if why := callTrouble(asked, got); why != "" {
			return why
		}
	}
	if must.Schema && calls == 0 && !other && said != "" {
		return formTrouble(&asked.Format, []byte(said))
	}
	return ""
}

// formTrouble says how a text misses the form that was asked for.
func formTrouble(f *llm.Format, text []byte) string {
	switch f.Kind {
	case llm.FormatJSONObject:
		var v map[string]any
		if json.Unmarshal(text, &v) != nil {
			return "it was no JSON object"
		}
	case llm.FormatJSONSchema:
		if !fits(f.Schema, text) {
			return "it did not fit the schema"
		}
	}
	return ""
}

// callTrouble says what is wrong with the tool calls.
func callTrouble(asked *llm.Request, got *llm.Response) string {
	offered := map[string]*llm.Tool{}
	var offer func(tools []llm.Tool)
	offer = func(tools []llm.Tool) {
		for i := range tools {
			offered[tools[i].Name] = &tools[i]
			offer(tools[i].Tools)
		}
	}
	offer(asked.Tools)
	for i := range asked.Items {
		offer(asked.Items[i].Tools)
	}
	for i := range got.Items {
		it := &got.Items[i]
		if it.Kind != llm.ItemToolCall {
			continue
		}
		tool := offered[it.Call.Name]
		arguments := bytes.TrimSpace(it.Call.Arguments)
		if len(arguments) == 0 {
			arguments = []byte("{}")
		}
		switch {
		case tool == nil:
			return "it called a tool that was not offered"
		case tool.Type != "" || it.Call.Custom:
		case !fits(tool.Schema, arguments):
			return "its arguments did not fit the tool's schema"
		}
	}
	return ""
}

// fits reports whether a value is JSON and fits a schema. A schema that our
// library cannot read asks for JSON alone.
func fits(schema, value []byte) bool {
	var v any
	if json.Unmarshal(value, &v) != nil {
		return false
	}
	if len(schema) == 0 {
		return true
	}
	s := &jsonschema.Schema{}
	if json.Unmarshal(schema, s) != nil {
		return true
	}
	r, err := s.Resolve(nil)
	return err != nil || r.Validate(v) == nil
}
