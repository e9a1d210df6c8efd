package gateway

import (
	"context"
	"errors"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/llm"
)

// This file is about OpenAI's files: what clients upload for their batches, and
// the results of those, which are files too but made of the job when asked for.

// Files keeps what clients upload, sealed and until it expires: who uploads has
// chosen that it is stored. Each method gives batch.ErrNotFound for another
// owner's file. Safe for concurrent use.
type Files interface {
	// Put reads r to its end and then asks what it was. Nothing stays when either
	// gives an error, which comes back. It sets the file's id, owner, length and
	// creation.
	Put(ctx context.Context, owner string, r io.Reader, what func() (batch.File, error)) (batch.File, error)
	File(ctx context.Context, owner string, id batch.FileID) (batch.File, error)
	// Files lists files below before (0: all), the newest first.
	Files(ctx context.Context, owner string, before batch.FileID, limit int) ([]batch.File, error)
	Open(ctx context.Context, owner string, id batch.FileID) (io.ReadCloser, error)
	Delete(ctx context.Context, owner string, id batch.FileID) error
}

// keepFiles is how long a file is kept that says nothing of it (OpenAI: batch
// files expire after 30 days by default).
const keepFiles = 30 * 24 * time.Hour

// The prefixes of the files that a job's results are.
const (
	outputPrefix = filePrefix + "out"
	errorPrefix  = filePrefix + "err"
)

// fileObject is OpenAI's File.
type fileObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Bytes   int64  `json:"bytes"`
	Created int64  `json:"created_at"`
	Expires *int64 `json:"expires_at"`
	Name    string `json:"filename"`
	Purpose string `json:"purpose"`
	Status  string `json:"status"`
	Details any    `json:"status_details"`
}

func fileOf(f *batch.File) fileObject {
	return fileObject{ID: shown(filePrefix, f.ID), Object: "file", Bytes: f.Bytes, Created: f.Created.Unix(), Expires: seconds(f.Expires),
		Name: f.Name, Purpose: f.Purpose, Status: "processed"}
}

// seconds is a time that may not have come; nil then.
func seconds(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	s := t.Unix()
	return &s
}

// filing is counter for the doors that need Files.
func (g *Gateway) filing(w http.ResponseWriter, req *http.Request, d *door, answer func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error) {
	g.counter(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		if g.o.Files == nil {
			return llm.Errorf(llm.Unsupported, "no files are kept here")
		}
		return answer(ctx, x, p)
	})
}

// createFile keeps an upload while it is being read.
func (g *Gateway) createFile(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		// The form's own lines come on top of the file.
		src, done, fail := x.upload(req, batchBytes+step)
		if fail != nil {
			return fail
		}
		defer done()
		kind := req.Header.Get("Content-Type")
		if !strings.HasPrefix(kind, "multipart/form-data") {
			return llm.Errorf(llm.InvalidRequest, "a file is uploaded as multipart/form-data, not as %q", kind)
		}
		kept := &tape{src: src, x: x, off: !x.vendors()}
		req.Body = io.NopCloser(kept)
		parts, err := req.MultipartReader()
		if err != nil {
			return asError(err, llm.InvalidRequest)
		}
		form := fileForm{parts: parts, keep: keepFiles}
		file, fail := form.file()
		switch {
		case kept.fail != nil:
			return kept.fail
		case fail != nil:
			return fail
		case form.purpose == "batch":
			kept.stop()
		case form.purpose != "" && !kept.off:
			return x.handFile(ctx, req, p, kept)
		}
		form.name = file.FileName()
		f, err := g.o.Files.Put(ctx, p.KeyID, &bounded{src: file, left: batchBytes, limit: batchBytes, span: batchBytes}, func() (batch.File, error) {
			if fail := form.rest(); fail != nil {
				return batch.File{}, fail
			}
			return batch.File{Name: form.name, Purpose: form.purpose, Expires: x.reply.start.Add(form.keep)}, nil
		})
		switch {
		case src.fail != nil:
			return src.fail
		case kept.fail != nil:
			return kept.fail
		case form.ended && form.purpose != "" && form.purpose != "batch" && !kept.off:
			return x.handFile(ctx, req, p, kept)
		case err != nil:
			return batchFail(err, "file")
		}
		return x.tell(http.StatusOK, fileOf(&f))
	})
}

// handFile passes an upload on to the vendor.
func (x *exchange) handFile(ctx context.Context, req *http.Request, p *access.Principal, kept *tape) *llm.Error {
	body, fail := kept.rest()
	if fail != nil {
		return fail
	}
	return x.hand(ctx, req, p, body)
}

// fileForm is the form that a file comes in; its fields stand before the file or
// after it.
type fileForm struct {
	parts         *multipart.Reader
	name, purpose string
	keep          time.Duration
	// wrong is what is wrong with a field of a file that is kept here; ended says
	// that the form was read to its end.
	wrong *llm.Error
	ended bool
}

// file reads the fields before the file.
func (f *fileForm) file() (*multipart.Part, *llm.Error) {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF:
			return nil, &llm.Error{Class: llm.InvalidRequest, Param: "file", Message: "the form has no file"}
		case err != nil:
			return nil, asError(err, llm.InvalidRequest)
		case part.FormName() == "file":
			return part, nil
		}
		if fail := f.field(part); fail != nil {
			return nil, fail
		}
	}
}

// rest reads the fields behind the file, and says whether all of them will do.
func (f *fileForm) rest() *llm.Error {
	for {
		part, err := f.parts.NextPart()
		switch {
		case err == io.EOF && f.purpose != "batch" && f.wrong == nil:
			f.ended = true
			return &llm.Error{Class: llm.InvalidRequest, Param: "purpose", Message: "purpose: only \"batch\" is kept here, not " + strconv.Quote(f.purpose)}
		case err == io.EOF:
			f.ended = true
			return f.wrong
		case err != nil:
			return asError(err, llm.InvalidRequest)
		case part.FormName() == "file":
			return &llm.Error{Class: llm.InvalidRequest, Param: "file", Message: "the form has two files"}
		}
		if fail := f.field(part); fail != nil {
			return fail
		}
	}
}

// field reads a field. What is wrong with its value is noted in f.wrong, since
// it is only wrong for a file that is kept here.
func (f *fileForm) field(part *multipart.Part) *llm.Error {
	const most = 1 << 10
	text, err := io.ReadAll(io.LimitReader(part, most+1))
	if err != nil {
		return asError(err, llm.InvalidRequest)
	}
	if len(text) > most {
		return llm.Errorf(llm.InvalidRequest, "%s: longer than %d bytes", part.FormName(), most)
	}
	switch part.FormName() {
	case "purpose":
		f.purpose = string(text)
	case "expires_after[seconds]":
		n, err := strconv.ParseInt(string(text), 10, 32)
		if err != nil || n < 3600 || n > int64(keepFiles/time.Second) {
			f.wrong = llm.Errorf(llm.InvalidRequest, "expires_after.seconds: %q is not a number from 3600 to %d", text, int64(keepFiles/time.Second))
		}
		f.keep = time.Duration(n) * time.Second
	case "expires_after[anchor]":
		if string(text) != "created_at" {
			f.wrong = llm.Errorf(llm.InvalidRequest, "expires_after.anchor: only created_at is known, not %q", text)
		}
	default:
		f.wrong = llm.Errorf(llm.InvalidRequest, "%s: not a field of a file", part.FormName())
	}
	return nil
}

// files lists what the caller has uploaded.
func (g *Gateway) files(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		limit, fail := limitOf(req, 10_000)
		if fail != nil {
			return fail
		}
		query := req.URL.Query()
		if order := query.Get("order"); order != "" && order != "desc" {
			return llm.Errorf(llm.InvalidRequest, "order: files are listed the newest first (desc), not %q", order)
		}
		after := hidden[batch.FileID](query.Get("after"), filePrefix)
		if after == 0 && query.Get("after") != "" {
			return llm.Errorf(llm.InvalidRequest, "after: %q is no id of a file", query.Get("after"))
		}
		list := openAIList[fileObject]{Object: "list", Data: []fileObject{}}
		if purpose := query.Get("purpose"); purpose == "" || purpose == "batch" {
			found, err := g.o.Files.Files(ctx, p.KeyID, after, limit+1)
			if err != nil {
				return batchFail(err, "file")
			}
			list.More = len(found) > limit
			for _, f := range found[:min(limit, len(found))] {
				list.Data = append(list.Data, fileOf(&f))
			}
		}
		if n := len(list.Data); n > 0 {
			list.First, list.Last = &list.Data[0].ID, &list.Data[n-1].ID
		}
		return x.tell(http.StatusOK, list)
	})
}

// openAIList is a page of OpenAI's.
type openAIList[T any] struct {
	Object string  `json:"object"`
	Data   []T     `json:"data"`
	First  *string `json:"first_id"`
	Last   *string `json:"last_id"`
	More   bool    `json:"has_more"`
}

// results is a job whose results are asked for as a file.
type results struct {
	job   batch.Job
	about about
	// errs says that it is the file of errors.
	errs bool
}

// resultsAt finds the job whose results an id of a file stands for; nil is an
// uploaded file.
func (x *exchange) resultsAt(ctx context.Context, id string) (*results, *llm.Error) {
	errs := strings.HasPrefix(id, errorPrefix)
	job := hidden[batch.JobID](id, outputPrefix, errorPrefix)
	if job == 0 {
		return nil, nil
	}
	j, err := x.g.o.Batches.Job(ctx, x.row.KeyID, job)
	r := &results{job: j, errs: errs}
	if err == nil {
		var fail *llm.Error
		if r.about, fail = aboutOf(&j); fail != nil {
			return nil, fail
		}
		output, errors := resultFiles(&j, &r.about)
		if j.Owner != x.row.KeyID || j.Form != batch.FormFiles || !errs && output == nil || errs && errors == nil {
			err = batch.ErrNotFound
		}
	}
	return r, batchFail(err, "file "+strconv.Quote(id))
}

// line is an item's in the file; nil when it has none there.
func (r *results) line(it *batch.Item) []byte {
	if (it.State == batch.Succeeded) == r.errs {
		return nil
	}
	return outputLine(it)
}

// before is what stands before the lines of items.
func (r *results) before() (dst []byte) {
	if !r.errs {
		return nil
	}
	for i := range r.about.Bad {
		dst = append(dst, r.about.Bad[i].output()...)
	}
	return dst
}

// file shows one file.
func (g *Gateway) file(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		id := req.PathValue("id")
		r, fail := x.resultsAt(ctx, id)
		if fail != nil {
			return fail
		}
		if r == nil {
			f, err := x.fileAt(ctx, p, id)
			if err != nil {
				return batchFail(err, "file "+strconv.Quote(id))
			}
			return x.tell(http.StatusOK, fileOf(&f))
		}
		size := int64(len(r.before()))
		for it, err := range x.g.o.Batches.Items(ctx, r.job.Owner, r.job.ID) {
			if err != nil {
				return batchFail(err, "file "+strconv.Quote(id))
			}
			size += int64(len(r.line(&it)))
		}
		f := fileObject{ID: id, Object: "file", Bytes: size, Created: r.job.Ended.Unix(), Expires: seconds(r.about.expires(&r.job)), Purpose: "batch_output", Status: "processed"}
		f.Name = shown(batchPrefix, r.job.ID) + map[bool]string{false: "_output.jsonl", true: "_error.jsonl"}[r.errs]
		return x.tell(http.StatusOK, f)
	})
}

// fileAt finds an uploaded file.
func (x *exchange) fileAt(ctx context.Context, p *access.Principal, id string) (batch.File, error) {
	n := hidden[batch.FileID](id, filePrefix)
	if n == 0 {
		return batch.File{}, batch.ErrNotFound
	}
	f, err := x.g.o.Files.File(ctx, p.KeyID, n)
	if err == nil && f.Owner != p.KeyID {
		err = batch.ErrNotFound
	}
	return f, err
}

// deleteFile forgets an uploaded file. Results go with their batch.
func (g *Gateway) deleteFile(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		id := req.PathValue("id")
		r, fail := x.resultsAt(ctx, id)
		if fail != nil {
			return fail
		}
		if r != nil {
			return llm.Errorf(llm.InvalidRequest, "%s is made of %s: DELETE /v1/jobs/%s deletes both", id, shown(batchPrefix, r.job.ID), shown(jobPrefix, r.job.ID))
		}
		f, err := x.fileAt(ctx, p, id)
		if err == nil {
			err = g.o.Files.Delete(ctx, p.KeyID, f.ID)
		}
		if err != nil {
			return batchFail(err, "file "+strconv.Quote(id))
		}
		return x.tell(http.StatusOK, struct {
			ID      string `json:"id"`
			Object  string `json:"object"`
			Deleted bool   `json:"deleted"`
		}{id, "file", true})
	})
}

// fileContent streams a file.
func (g *Gateway) fileContent(w http.ResponseWriter, req *http.Request, d *door) {
	g.filing(w, req, d, func(ctx context.Context, x *exchange, p *access.Principal) *llm.Error {
		id := req.PathValue("id")
		r, fail := x.resultsAt(ctx, id)
		if fail != nil {
			return fail
		}
		if r != nil {
			x.lines(ctx, &r.job, "application/octet-stream", r.before(), r.line)
			return nil
		}
		f, err := x.fileAt(ctx, p, id)
		if err != nil {
			return batchFail(err, "file "+strconv.Quote(id))
		}
		src, err := g.o.Files.Open(ctx, p.KeyID, f.ID)
		if err != nil {
			return batchFail(err, "file "+strconv.Quote(id))
		}
		defer src.Close()
		out := x.stream("application/octet-stream")
		_, err = io.Copy(out, src)
		if err = errors.Join(err, out.Flush()); err != nil {
			x.cut(llm.Unavailable)
		}
		return nil
	})
}

// fileLines gives the lines of an uploaded file with their numbers, from 1; a
// line is valid until the next one, and nil when it is longer than most.
func (x *exchange) fileLines(ctx context.Context, owner string, id batch.FileID, most int64) iter.Seq2[numbered, error] {
	return func(yield func(numbered, error) bool) {
		src, err := x.g.o.Files.Open(ctx, owner, id)
		if err != nil {
			yield(numbered{}, err)
			return
		}
		defer src.Close()
		for l, err := range cutLines(src, most) {
			if !yield(l, err) {
				return
			}
		}
	}
}
