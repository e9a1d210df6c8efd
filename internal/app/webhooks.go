package app

import (
	"context"
	"errors"
	"fmt"

	"headrace/internal/batch"
	"headrace/internal/config"
	"headrace/internal/gateway"
	"headrace/internal/webhook"
)

// newWebhooks makes what tells clients of the end of their jobs.
func (a *App) newWebhooks(c *config.Config, seal webhook.Sealer) (gateway.Webhooks, error) {
	rules, err := webhook.NewRules(c.Webhooks.Allow)
	if err != nil {
		return nil, c.ErrorAt("webhooks.allow", "%v", err)
	}
	a.webhooks = &webhook.Sender{Store: a.db, Seal: seal, Rules: rules, Worker: batchWorker, Log: a.log, Body: a.jobEnded}
	a.batches.engine.Ended = func(context.Context, batch.JobID) { a.webhooks.Wake() }
	return &webhook.Book{Store: a.db, Seal: seal, Rules: rules}, nil
}

// jobEnded is what is told of the end of a job; not ok when it was deleted.
func (a *App) jobEnded(ctx context.Context, d *webhook.Delivery) (body []byte, ok bool, err error) {
	j, ok, err := a.db.BatchJobOf(ctx, batch.JobID(d.Job))
	if err != nil || !ok {
		return nil, false, err
	}
	j, err = a.db.BatchJob(ctx, j.Owner, j.ID)
	switch {
	case errors.Is(err, batch.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("read the job that ended: %w", err)
	}
	j.Ended = d.At // it may be asked again by now
	return gateway.JobEnded(&j), true, nil
}

// tellWebhooks tells them.
func (a *App) tellWebhooks(ctx context.Context) {
	if a.webhooks != nil {
		a.webhooks.Run(ctx)
	}
}
