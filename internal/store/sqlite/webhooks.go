package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"headrace/internal/webhook"
)

// PutEndpoint implements [webhook.Store].
func (d *DB) PutEndpoint(ctx context.Context, e *webhook.Endpoint) error {
	if _, err := d.stmts["webhook_put"].ExecContext(ctx, int64(e.ID), e.Owner, e.URL, blob(e.Sealed), milli(e.Created)); err != nil {
		return fmt.Errorf("write a webhook: %w", err)
	}
	return nil
}

func (d *DB) endpoints(ctx context.Context, statement string, args ...any) (list []webhook.Endpoint, _ error) {
	err := each(ctx, d.stmts[statement], args, func(rows *sql.Rows) error {
		var e webhook.Endpoint
		var created int64
		err := rows.Scan(&e.ID, &e.Owner, &e.URL, &e.Sealed, &created)
		e.Created = timeOf(created)
		list = append(list, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return list, nil
}

// Endpoints implements [webhook.Store].
func (d *DB) Endpoints(ctx context.Context, owner string) ([]webhook.Endpoint, error) {
	return d.endpoints(ctx, "webhook_list", owner)
}

// Endpoint implements [webhook.Store].
func (d *DB) Endpoint(ctx context.Context, id webhook.EndpointID) (webhook.Endpoint, bool, error) {
	list, err := d.endpoints(ctx, "webhook_get", int64(id))
	if err != nil || len(list) == 0 {
		return webhook.Endpoint{}, false, err
	}
	return list[0], true, nil
}

// DropEndpoint implements [webhook.Store].
func (d *DB) DropEndpoint(ctx context.Context, owner string, id webhook.EndpointID) (was bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		n, err := affected(d.in(tx, "webhook_drop").ExecContext(ctx, int64(id), owner))
		was = n > 0
		if err == nil && was {
			_, err = d.in(tx, "webhook_drop_deliveries").ExecContext(ctx, id.String())
		}
		if err != nil {
			return fmt.Errorf("delete a webhook: %w", err)
		}
		return nil
	})
	return was, err
}

// ClaimDeliveries implements [webhook.Store].
func (d *DB) ClaimDeliveries(ctx context.Context, worker string, now, until time.Time, limit int) (list []webhook.Delivery, _ error) {
	err := each(ctx, d.stmts["webhook_claim"], []any{worker, milli(until), milli(now), limit}, func(rows *sql.Rows) error {
		var one webhook.Delivery
		var at, due int64
		err := rows.Scan(&one.Job, &at, &one.Endpoint, &one.Body, &one.Tries, &due)
		one.At, one.Due = timeOf(at), timeOf(due)
		list = append(list, one)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return list, nil
}

// KeepBody implements [webhook.Store].
func (d *DB) KeepBody(ctx context.Context, one *webhook.Delivery) error {
	return d.saved(ctx, "webhook_keep_body", blob(one.Body), one.Job, milli(one.At))
}

// PutOff implements [webhook.Store].
func (d *DB) PutOff(ctx context.Context, one *webhook.Delivery) error {
	return d.saved(ctx, "webhook_put_off", one.Tries, milli(one.Due), one.Job, milli(one.At))
}

// EndDelivery implements [webhook.Store].
func (d *DB) EndDelivery(ctx context.Context, one *webhook.Delivery) error {
	return d.saved(ctx, "webhook_end", one.Job, milli(one.At))
}

// FreeDeliveries implements [webhook.Store].
func (d *DB) FreeDeliveries(ctx context.Context, worker string) error {
	return d.saved(ctx, "webhook_free", worker)
}

func (d *DB) saved(ctx context.Context, statement string, args ...any) error {
	if _, err := d.stmts[statement].ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("write a message: %w", err)
	}
	return nil
}
