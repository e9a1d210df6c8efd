package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"headrace/internal/batch"
)

// AddFilePart implements [batch.FileStore].
func (d *DB) AddFilePart(ctx context.Context, id batch.FileID, n int, sealed []byte) error {
	if _, err := d.stmts["batch_add_part"].ExecContext(ctx, int64(id), n, blob(sealed)); err != nil {
		return fmt.Errorf("write part %d of a file: %w", n, err)
	}
	return nil
}

// PutFile implements [batch.FileStore].
func (d *DB) PutFile(ctx context.Context, f *batch.File) error {
	_, err := d.stmts["batch_put_file"].ExecContext(ctx, int64(f.ID), f.Owner, f.Name, f.Purpose, f.Bytes, milli(f.Created), milli(f.Expires))
	if err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return nil
}

func (d *DB) files(ctx context.Context, statement string, args ...any) (list []batch.File, _ error) {
	err := each(ctx, d.stmts[statement], args, func(rows *sql.Rows) error {
		var id, created, expires int64
		var f batch.File
		if err := rows.Scan(&id, &f.Owner, &f.Name, &f.Purpose, &f.Bytes, &created, &expires); err != nil {
			return err
		}
		f.ID, f.Created, f.Expires = batch.FileID(id), time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC()
		list = append(list, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	return list, nil
}

// File implements [batch.FileStore].
func (d *DB) File(ctx context.Context, owner string, id batch.FileID, now time.Time) (batch.File, error) {
	list, err := d.files(ctx, "batch_file", int64(id), owner, milli(now))
	if err != nil {
		return batch.File{}, err
	}
	if len(list) == 0 {
		return batch.File{}, batch.ErrNotFound
	}
	return list[0], nil
}

// Files implements [batch.FileStore].
func (d *DB) Files(ctx context.Context, owner string, before batch.FileID, limit int, now time.Time) ([]batch.File, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	return d.files(ctx, "batch_files", owner, int64(before), milli(now), limit)
}

// FilePart implements [batch.FileStore].
func (d *DB) FilePart(ctx context.Context, id batch.FileID, n int) ([]byte, error) {
	var body []byte
	err := d.stmts["batch_part"].QueryRowContext(ctx, int64(id), n).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, batch.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read part %d of a file: %w", n, err)
	}
	return body, nil
}

// DropFile implements [batch.FileStore].
func (d *DB) DropFile(ctx context.Context, owner string, id batch.FileID) error {
	return d.inTx(ctx, func(tx *sql.Tx) error {
		n, err := affected(d.in(tx, "batch_drop_file").ExecContext(ctx, int64(id), owner))
		if err == nil && n == 0 {
			err = batch.ErrNotFound
		}
		if err == nil {
			_, err = d.in(tx, "batch_drop_parts").ExecContext(ctx, int64(id))
		}
		return err
	})
}

// SweepFiles implements [batch.FileStore].
func (d *DB) SweepFiles(ctx context.Context, now time.Time, begun batch.FileID) (n int64, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		if n, err = affected(d.in(tx, "batch_sweep_files").ExecContext(ctx, milli(now))); err != nil {
			return fmt.Errorf("delete files that have expired: %w", err)
		}
		if _, err := d.in(tx, "batch_sweep_parts").ExecContext(ctx, int64(begun)); err != nil {
			return fmt.Errorf("delete the content of files: %w", err)
		}
		return nil
	})
	return n, err
}
