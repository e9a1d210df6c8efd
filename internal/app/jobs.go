package app

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"headrace/internal/admin"
	"headrace/internal/batch"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// overseen shows and changes everybody's jobs for the admin API.
type overseen struct{ a *App }

// jobPrefixes are how the id of a job of each form begins, as at its door.
var jobPrefixes = map[batch.Form]string{batch.FormMessages: "msgbatch_", batch.FormFiles: "batch_", batch.FormSingle: "job_", batch.FormLines: "job_"}

func jobText(form batch.Form, id batch.JobID) string {
	return cmp.Or(jobPrefixes[form], "job_") + strings.TrimPrefix(ledger.ID(id).String(), "req_")
}

func jobID(text string) (batch.JobID, error) {
	for _, prefix := range jobPrefixes {
		if digits, ok := strings.CutPrefix(text, prefix); ok {
			if id, err := ledger.ParseID("req_" + digits); err == nil {
				return batch.JobID(id), nil
			}
		}
	}
	return 0, llm.Errorf(llm.NotFound, "there is no job %q", text)
}

func showJob(j *batch.Job) admin.Job {
	out := admin.Job{ID: jobText(j.Form, j.ID), Key: j.Owner, Team: j.Team, Dialect: j.Dialect, Form: string(j.Form), Name: j.Name,
		Created: j.Created, Deadline: j.Deadline, Ended: j.Ended, Canceled: j.Canceled, Items: j.Counts.Total(), Left: j.Counts.Left(),
		Counts: []admin.Count{}, Spent: j.Spent, RealTime: j.RealTime, Double: j.Double}
	for _, s := range batch.States() {
		if n := j.Counts[s]; n > 0 {
			out.Counts = append(out.Counts, admin.Count{Name: string(s), Count: n})
		}
	}
	return out
}

// Jobs lists jobs.
func (o overseen) Jobs(ctx context.Context, before string, limit int) (admin.JobList, error) {
	list := admin.JobList{Jobs: []admin.Job{}}
	var at batch.JobID
	if before != "" {
		var err error
		if at, err = jobID(before); err != nil {
			return list, llm.Errorf(llm.InvalidRequest, "cursor is the next of the page before")
		}
	}
	jobs, err := o.a.db.AllBatchJobs(ctx, at, limit)
	if err != nil {
		return list, err
	}
	for i := range jobs {
		list.Jobs = append(list.Jobs, showJob(&jobs[i]))
	}
	if len(jobs) == limit {
		list.Next = list.Jobs[limit-1].ID
	}
	return list, nil
}

// find reads a job of anybody, with counts.
func (o overseen) find(ctx context.Context, text string) (batch.Job, error) {
	id, err := jobID(text)
	if err != nil {
		return batch.Job{}, err
	}
	j, ok, err := o.a.db.BatchJobOf(ctx, id)
	if err == nil && ok {
		j, err = o.a.db.BatchJob(ctx, j.Owner, id)
	}
	if !ok || errors.Is(err, batch.ErrNotFound) {
		return batch.Job{}, cmp.Or(err, error(llm.Errorf(llm.NotFound, "there is no job %q", text)))
	}
	return j, err
}

// Job shows a job with a page of its items.
func (o overseen) Job(ctx context.Context, id string, from int, state string, limit int) (admin.JobAnswer, error) {
	j, err := o.find(ctx, id)
	if err != nil {
		return admin.JobAnswer{}, err
	}
	a := admin.JobAnswer{Job: showJob(&j), Steps: []admin.Step{}}
	steps, err := o.a.db.BatchPaths(ctx, j.ID, from, batch.State(state), limit)
	for _, s := range steps {
		a.Steps = append(a.Steps, admin.Step{Index: s.Index, CustomID: s.CustomID, Dialect: s.Dialect, Op: s.Op, Model: s.Model, State: string(s.State),
			Path: string(s.Path), Why: s.Why, Provider: s.Provider, Target: s.Target, Tries: s.Tries, Changed: s.Changed, Cost: s.Cost, RealTime: s.RealTime})
	}
	if len(steps) == limit {
		a.Next = strconv.Itoa(steps[limit-1].Index + 1)
	}
	return a, err
}

// CancelJob asks for the end of a job.
func (o overseen) CancelJob(ctx context.Context, id string) (admin.Job, error) {
	j, err := o.find(ctx, id)
	if err != nil {
		return admin.Job{}, err
	}
	if j.Ended.IsZero() {
		if err := o.a.db.CancelBatchJob(ctx, j.Owner, j.ID, time.Now()); err != nil {
			return admin.Job{}, err
		}
		if j, err = o.find(ctx, id); err != nil {
			return admin.Job{}, err
		}
	}
	return showJob(&j), nil
}

// RetryJob queues what failed, expired or was canceled again.
func (o overseen) RetryJob(ctx context.Context, id string, deadline time.Time) (admin.JobRetried, error) {
	j, err := o.find(ctx, id)
	if err != nil {
		return admin.JobRetried{}, err
	}
	n, err := o.a.db.ReopenBatchItems(ctx, j.Owner, j.ID, deadline, time.Now())
	if err != nil {
		return admin.JobRetried{}, err
	}
	if j, err = o.find(ctx, id); err != nil {
		return admin.JobRetried{}, err
	}
	return admin.JobRetried{Items: n, Job: showJob(&j)}, nil
}
