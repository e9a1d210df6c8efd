package gateway

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
)

// This file is about our own door for many requests at once: lines of any of the
// forms below, which may be mixed.

// lineForm is how a line of a job says what it asks: Anthropic's has params,
// OpenAI's has a url and a body, and any other one is the body itself.
type lineForm struct {
	CustomID string         `json:"custom_id"`
	Method   string         `json:"method"`
	URL      string         `json:"url"`
	Body     jsontext.Value `json:"body"`
	Params   jsontext.Value `json:"params"`
}

// linesIn reads the lines of a job.
type linesIn struct {
	x      *exchange
	caller *access.Principal
	// model is asked by lines that name none; kind is what a line asks that does
	// not say it.
	model string
	kind  itemKind
	seen  map[string]bool
	// leads is what became of the names so far.
	leads map[leadKey]*llm.Error
	first error // of the first line that is wrong
	good  int
}

type leadKey struct {
	kind  itemKind
	model string
}

// createJob takes a job while it is being read. A line that is wrong fails
// alone.
func (g *Gateway) createJob(w http.ResponseWriter, req *http.Request, d *door) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		j, fail := x.newJob(p, req.Header, batch.FormLines, batchWindow)
		if fail != nil {
			return fail
		}
		query := req.URL.Query()
		in := linesIn{x: x, caller: p, model: query.Get("model"), kind: itemKind{llm.OpenAI, llm.OpChat}, seen: map[string]bool{}, leads: map[leadKey]*llm.Error{}}
		if at := query.Get("endpoint"); at != "" {
			if in.kind = lineEndpoints[at]; in.kind.op == "" {
				return &llm.Error{Class: llm.InvalidRequest, Param: "endpoint", Message: "endpoint: " + strconv.Quote(at) + " cannot be asked in a job"}
			}
		}
		src, done, fail := x.upload(req, batchBytes)
		if fail != nil {
			return fail
		}
		defer done()
		j.Name = in.model
		if j, fail = x.submit(ctx, req, j, about{Endpoint: query.Get("endpoint")}, in.items(src)); fail != nil {
			return fail
		}
		x.reply.w.Header()["Location"] = []string{"/v1/jobs/" + shown(jobPrefix, j.ID)}
		return x.tell(http.StatusAccepted, jobOf(&j))
	})
}

// lineEndpoints is what a line of a job may ask for.
var lineEndpoints = map[string]itemKind{
	"/v1/chat/completions": {llm.OpenAI, llm.OpChat},
	"/v1/responses":        {llm.Responses, llm.OpChat},
	"/v1/embeddings":       {llm.OpenAI, llm.OpEmbed},
	"/v1/messages":         {llm.Anthropic, llm.OpChat},
}

func (in *linesIn) items(src *bounded) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		n := 0
		for l, err := range cutLines(src, in.x.s.MaxBody) {
			if err == nil {
				if n++; n > batchItems {
					err = llm.Errorf(llm.TooLarge, "a job has up to %d lines", batchItems)
				}
			}
			if err != nil {
				yield(batch.Item{}, asError(err, llm.InvalidRequest))
				return
			}
			it, wrong := in.item(l)
			if wrong != nil {
				it = in.failed(l, it, wrong)
			} else {
				in.good++
			}
			if !yield(it, nil) {
				return
			}
		}
		switch {
		case in.good > 0:
		case in.first != nil:
			yield(batch.Item{}, &llm.Error{Class: llm.InvalidRequest, Message: "no line can be worked on; " + in.first.Error()})
		default:
			yield(batch.Item{}, llm.Errorf(llm.InvalidRequest, "the body has no line: it is one request in JSON a line"))
		}
	}
}

// failed is the item of a line that is wrong: its answer says so.
func (in *linesIn) failed(l numbered, it batch.Item, wrong *llm.Error) batch.Item {
	e := *wrong
	e.Message = "line " + strconv.FormatInt(l.n, 10) + ": " + e.Message
	if in.first == nil {
		in.first = errors.New(e.Message)
	}
	if it.CustomID == "" || in.seen[it.CustomID] {
		it.CustomID = in.numbered(l)
	}
	in.seen[it.CustomID] = true
	if it.Op == "" {
		it.Dialect, it.Op = in.kind.dialect, in.kind.op
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
		if e.Class == llm.ModelNotFound || e.Class == llm.NotFound {
			status = http.StatusNotFound
		}
	}
	it.Body, it.Answer = []byte(string(l.text)), &batch.Answer{Status: status, Err: &e}
	return it
}

// numbered is a name for a line that has none.
func (in *linesIn) numbered(l numbered) string {
	name := "line-" + strconv.FormatInt(l.n, 10)
	for in.seen[name] {
		name += "-"
	}
	return name
}

// item reads a line. What is known of one that is wrong is given too.
func (in *linesIn) item(l numbered) (it batch.Item, fail *llm.Error) {
	if l.text == nil {
		return it, llm.Errorf(llm.TooLarge, "it is over the limit of %d bytes", in.x.s.MaxBody)
	}
	var v lineForm
	if err := json.Unmarshal(l.text, &v); err != nil {
		return it, llm.Errorf(llm.InvalidRequest, "it is not the JSON of a request: %v", err)
	}
	kind, body := in.kind, jsontext.Value(l.text)
	switch {
	case v.Params != nil:
		kind, body = lineEndpoints["/v1/messages"], v.Params
	case v.URL != "" || v.Body != nil:
		if v.URL != "" {
			kind = lineEndpoints[v.URL]
		}
		body = v.Body
	default:
		var members map[string]jsontext.Value
		if err := json.Unmarshal(l.text, &members); err != nil {
			return it, llm.Errorf(llm.InvalidRequest, "it is not the JSON of a request: %v", err)
		}
		if members["custom_id"] != nil { // ours, not the provider's
			delete(members, "custom_id")
			var err error
			if body, err = json.Marshal(members, json.Deterministic(true)); err != nil {
				return it, asError(err, llm.InvalidRequest)
			}
		}
	}
	it = batch.Item{CustomID: v.CustomID, Dialect: kind.dialect, Op: kind.op}
	if it.CustomID == "" {
		it.CustomID = in.numbered(l)
	}
	switch {
	case kind.op == "":
		return it, llm.Errorf(llm.InvalidRequest, "url: %q cannot be asked in a job", v.URL)
	case v.Method != "" && v.Method != http.MethodPost:
		return it, llm.Errorf(llm.InvalidRequest, "method must be POST, not %q", v.Method)
	case len(it.CustomID) > 512:
		it.CustomID = ""
		return it, llm.Errorf(llm.InvalidRequest, "custom_id has over 512 bytes")
	case in.seen[it.CustomID]:
		return it, llm.Errorf(llm.InvalidRequest, "the custom_id %q is there already", it.CustomID)
	case body.Kind() != '{':
		return it, llm.Errorf(llm.InvalidRequest, "the request must be an object")
	}
	d := dialects[kind.dialect].door(kind.op)
	if in.model != "" {
		body = withModel(body, in.model)
	}
	head, err := d.Head(kind.op, body)
	if err != nil {
		return it, asError(err, llm.InvalidRequest)
	}
	it.Model = head.Model
	if head.Stream {
		return it, llm.Errorf(llm.InvalidRequest, "stream: a job does not stream; its events are")
	}
	key := leadKey{kind, head.Model}
	wrong, known := in.leads[key]
	if !known {
		wrong = in.x.leads(in.caller, d, kind.op, head.Model)
		in.leads[key] = wrong
	}
	if wrong != nil {
		return it, wrong
	}
	in.seen[it.CustomID] = true
	it.Body = []byte(string(body)) // the line is valid until the next one
	return it, nil
}

// withModel puts a model in front of the members of an object that names none.
func withModel(body jsontext.Value, model string) jsontext.Value {
	var members map[string]jsontext.Value
	name, err := jsontext.AppendQuote(nil, model)
	if err != nil || json.Unmarshal(body, &members) != nil || members["model"] != nil {
		return body // what is wrong with it is said by who reads it
	}
	out := append([]byte(`{"model":`), name...)
	if len(members) > 0 {
		out = append(out, ',')
	}
	return append(out, body[1:]...)
}
