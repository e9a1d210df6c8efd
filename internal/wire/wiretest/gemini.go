package wiretest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"headrace/internal/llm"
)

// The reader of Gemini's answers is our own: it demands what go-genai does of
// a stream (v1.71, iterateResponseStream: blocks divided by blank lines, each
// "data:" and one JSON text, anything else an error) and what the API
// reference says of the values.

type geminiChunk struct {
	Candidates []struct {
		Index   int
		Content struct {
			Role  string
			Parts []struct {
				Text    *string
				Thought bool
				Call    *struct {
					ID, Name string
					Args     json.RawMessage
					Partial  []partialArg `json:"partialArgs"`
					More     bool         `json:"willContinue"`
				} `json:"functionCall"`
			}
		}
		Finish any `json:"finishReason"`
	}
	Feedback *struct {
		Reason any `json:"blockReason"`
	} `json:"promptFeedback"`
	Usage *struct {
		Prompt    int64 `json:"promptTokenCount"`
		Cached    int64 `json:"cachedContentTokenCount"`
		Candidate int64 `json:"candidatesTokenCount"`
		Tools     int64 `json:"toolUsePromptTokenCount"`
		Thoughts  int64 `json:"thoughtsTokenCount"`
	} `json:"usageMetadata"`
	Error json.RawMessage
}

// geminiFinish has the finish reasons by name, and by the number that the
// parameter $alt=json;enum-encoding=int gives them (recorded).
var geminiFinish = map[string]llm.FinishReason{
	"STOP": llm.FinishStop, "1": llm.FinishStop, "MAX_TOKENS": llm.FinishLength, "2": llm.FinishLength,
	"SAFETY": llm.FinishRefusal, "3": llm.FinishRefusal, "RECITATION": llm.FinishRefusal, "4": llm.FinishRefusal,
	"BLOCKLIST": llm.FinishRefusal, "PROHIBITED_CONTENT": llm.FinishRefusal, "SPII": llm.FinishRefusal,
	"IMAGE_SAFETY": llm.FinishRefusal, "IMAGE_PROHIBITED_CONTENT": llm.FinishRefusal, "IMAGE_RECITATION": llm.FinishRefusal,
	"MODEL_ARMOR": llm.FinishRefusal,
}

// partialArg is a piece of arguments that arrive bit by bit (Vertex).
type partialArg struct {
	Path   string          `json:"jsonPath"`
	String *string         `json:"stringValue"`
	Number json.RawMessage `json:"numberValue"`
	Bool   *bool           `json:"boolValue"`
}

// grown is a value that is put together of pieces; its members are in the
// order in which they came.
type grown struct {
	names []string // of an object
	under []*grown // the values of an object or list
	list  bool
	text  *string // of a string
	value json.RawMessage
}

var pathStep = regexp.MustCompile(`^(?:\.([^.\[]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\])`)

func (g *grown) put(path string, arg partialArg) {
	if m := pathStep.FindStringSubmatch(path); m != nil {
		rest := path[len(m[0]):]
		if m[2] != "" {
			g.list = true
			n, _ := strconv.Atoi(m[2]) // digits
			for len(g.under) <= n {
				g.under = append(g.under, &grown{})
			}
			g.under[n].put(rest, arg)
			return
		}
		name := m[1] + m[3] + m[4]
		i := slices.Index(g.names, name)
		if i < 0 {
			i = len(g.names)
			g.names, g.under = append(g.names, name), append(g.under, &grown{})
		}
		g.under[i].put(rest, arg)
		return
	}
	switch {
	case arg.String != nil:
		if g.text == nil {
			g.text = new(string)
		}
		*g.text += *arg.String
	case arg.Number != nil:
		g.value = arg.Number
	case arg.Bool != nil:
		g.value = raw(*arg.Bool)
	default:
		g.value = json.RawMessage("null")
	}
}

func (g *grown) json() []byte {
	switch {
	case g.text != nil:
		return raw(*g.text)
	case g.value != nil:
		return g.value
	}
	var parts []string
	for i, u := range g.under {
		if g.list {
			parts = append(parts, string(u.json()))
		} else {
			parts = append(parts, string(raw(g.names[i]))+":"+string(u.json()))
		}
	}
	if g.list {
		return []byte("[" + strings.Join(parts, ",") + "]")
	}
	return []byte("{" + strings.Join(parts, ",") + "}")
}

// geminiAnswer is an answer on its way in.
type geminiAnswer struct {
	Answer
	growing *grown // the last call, while its arguments arrive bit by bit
}

func (c *geminiChunk) into(a *geminiAnswer) {
	if u := c.Usage; u != nil && (u.Prompt > 0 || u.Candidate > 0 || u.Thoughts > 0) {
		a.Usage = Tokens{Prompt: u.Prompt + u.Tools, CacheRead: u.Cached, Output: u.Candidate + u.Thoughts, Reasoning: u.Thoughts}
	}
	if len(c.Candidates) == 0 && c.Feedback != nil && !nothing(c.Feedback.Reason) {
		a.Finish = llm.FinishRefusal
	}
	for i := range c.Candidates {
		k := &c.Candidates[i]
		if k.Index != 0 {
			continue
		}
		for _, p := range k.Content.Parts {
			switch {
			case p.Call != nil && (a.growing != nil || p.Call.More || p.Call.Partial != nil):
				if a.growing == nil {
					a.growing = &grown{}
					a.Calls = append(a.Calls, ToolCall{cmp.Or(p.Call.ID, noID), p.Call.Name, ""})
				}
				for _, arg := range p.Call.Partial {
					a.growing.put(strings.TrimPrefix(arg.Path, "$"), arg)
				}
				if !p.Call.More {
					a.Calls[len(a.Calls)-1].Arguments = arguments(a.growing.json())
					a.growing = nil
				}
			case p.Call != nil:
				call := ToolCall{p.Call.ID, p.Call.Name, arguments(p.Call.Args)}
				if call.ID == "" {
					call.ID = noID
				}
				a.Calls = append(a.Calls, call)
			case p.Text == nil:
			case p.Thought:
				a.Reasoning += *p.Text
			default:
				a.Text += *p.Text
			}
		}
		if !nothing(k.Finish) {
			var ok bool
			if a.Finish, ok = geminiFinish[fmt.Sprint(k.Finish)]; !ok {
				a.Finish = llm.FinishOther
			}
		}
	}
}

func geminiWhole(body []byte) (Answer, error) {
	var a geminiAnswer
	var c geminiChunk
	if err := json.Unmarshal(body, &c); err != nil {
		return Answer{Err: true}, err
	}
	if len(c.Error) > 0 {
		return Answer{Err: true}, fmt.Errorf("an error under status 200: %.300s", c.Error)
	}
	if len(c.Candidates) == 0 && c.Feedback == nil {
		return Answer{Err: true}, errors.New("neither candidates nor a word about the prompt")
	}
	c.into(&a)
	return a.Answer, nil
}

func geminiStream(body []byte) (Answer, error) {
	a, err := geminiPieces(body)
	a.Err = err != nil
	return a.Answer, err
}

func geminiPieces(body []byte) (a geminiAnswer, err error) {
	chunks, err := geminiChunks(body)
	for i := range chunks {
		if len(chunks[i].Error) > 0 {
			return a, fmt.Errorf("the stream says %s", chunks[i].Error)
		}
		chunks[i].into(&a)
	}
	if err != nil {
		return a, err
	}
	if a.Finish == "" {
		return a, errors.New("the stream ended without a finish reason")
	}
	return a, nil
}

// geminiChunks takes a stream of either form apart; what was read before an
// error is given too.
func geminiChunks(body []byte) (chunks []geminiChunk, err error) {
	if b := bytes.TrimSpace(body); bytes.HasPrefix(b, []byte("[")) {
		d := json.NewDecoder(bytes.NewReader(b))
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		for d.More() {
			var c geminiChunk
			if err := d.Decode(&c); err != nil {
				return chunks, err
			}
			chunks = append(chunks, c)
		}
		if _, err := d.Token(); err != nil {
			return chunks, fmt.Errorf("the array is not closed: %w", err)
		}
		return chunks, nil
	}
	for block := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(body)), "\n\n") {
		if block = strings.TrimSpace(block); block == "" {
			continue
		}
		var c geminiChunk
		data, ok := strings.CutPrefix(block, "data:")
		if !ok {
			if json.Unmarshal([]byte(block), &c) == nil && len(c.Error) > 0 {
				return append(chunks, c), nil
			}
			return chunks, fmt.Errorf("a block that does not begin with data: %.200q", block)
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			return chunks, fmt.Errorf("%w in %.200q", err, data)
		}
		if len(c.Error) > 0 {
			// go-genai reads an answer without candidates here and goes on.
			return chunks, fmt.Errorf("an error inside a data line, which the SDK does not see: %.200s", data)
		}
		chunks = append(chunks, c)
	}
	return chunks, nil
}

// geminiMust: data lines of one line each and nothing else (or one array), the
// finish and the usage on the last.
func geminiMust(stream []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(stream), []byte("[")) {
		for block := range strings.SplitSeq(strings.ReplaceAll(string(stream), "\r\n", "\n"), "\n\n") {
			if block == "" {
				continue
			}
			if strings.HasPrefix(block, "{") {
				return nil // the terminal form of a failure
			}
			if !strings.HasPrefix(block, "data: ") || strings.Contains(block, "\n") {
				return fmt.Errorf("a block that is not one data line: %.200q", block)
			}
		}
		if !bytes.HasSuffix(stream, []byte("\n\n")) && !bytes.HasSuffix(stream, []byte("\r\n\r\n")) {
			return errors.New("the last block is not closed")
		}
	}
	chunks, err := geminiChunks(stream)
	if err != nil {
		return err
	}
	for i, c := range chunks {
		if len(c.Error) > 0 {
			return nil
		}
		ends := len(c.Candidates) == 0 && c.Feedback != nil
		for _, k := range c.Candidates {
			ends = ends || !nothing(k.Finish)
		}
		if last := i == len(chunks)-1; ends != last || last && c.Usage == nil {
			return fmt.Errorf("chunk %d of %d: finish %v, usage %v; both belong on the last", i+1, len(chunks), ends, c.Usage != nil)
		}
	}
	return nil
}

func geminiFailure(body []byte) error {
	var v struct{ Error map[string]any }
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	if err := has(v.Error, "code", "message", "status"); err != nil {
		return err
	}
	if _, ok := v.Error["code"].(float64); !ok {
		return fmt.Errorf("the error's code is %v, which is no number", v.Error["code"])
	}
	return nil
}

func geminiEarly(_ string, data []byte) (failed, decided bool) {
	var c geminiChunk
	if json.Unmarshal(data, &c) != nil {
		return false, false
	}
	if len(c.Error) > 0 {
		return true, true
	}
	for _, k := range c.Candidates {
		if len(k.Content.Parts) > 0 || !nothing(k.Finish) {
			return false, true
		}
	}
	return false, c.Feedback != nil && !nothing(c.Feedback.Reason)
}

func geminiNext(answer []byte) (any, error) {
	var a struct {
		Candidates []struct{ Content json.RawMessage }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, err
	}
	question := object{"role": "user", "parts": []any{object{"text": "Go on."}}}
	contents := []any{question}
	var results []any
	if len(a.Candidates) > 0 && len(a.Candidates[0].Content) > 0 {
		var c struct {
			Parts []struct {
				Call *struct{ ID, Name string } `json:"functionCall"`
			}
		}
		if err := json.Unmarshal(a.Candidates[0].Content, &c); err != nil {
			return nil, err
		}
		if len(c.Parts) > 0 {
			contents = append(contents, a.Candidates[0].Content)
		}
		for _, p := range c.Parts {
			if p.Call != nil {
				result := object{"name": p.Call.Name, "response": object{"output": "done"}}
				if p.Call.ID != "" {
					result["id"] = p.Call.ID
				}
				results = append(results, object{"functionResponse": result})
			}
		}
	}
	if len(results) > 0 {
		contents = append(contents, object{"role": "user", "parts": results})
	}
	return object{"contents": append(contents, question)}, nil
}

func geminiSeen(a Answer) Answer {
	a.Text += a.Refusal
	a.Refusal = ""
	a.Usage.CacheWrite = 0
	switch a.Finish {
	case llm.FinishStopSequence:
		a.Finish = llm.FinishStop
	case llm.FinishContext, llm.FinishPaused:
		a.Finish = llm.FinishLength
	case llm.FinishFailed:
		a.Finish = llm.FinishOther
	}
	return a
}
