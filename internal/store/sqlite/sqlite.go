// Package sqlite keeps keys, budgets, the ledger and what must come back in one SQLite
// file. Several processes may have the file open: one that serves, and the
// command line beside it.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"headrace/internal/access"
	"headrace/internal/audit"
	"headrace/internal/batch"
	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/recall"
	"headrace/internal/study"
	"headrace/internal/vault"
	"headrace/internal/webhook"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is an open store. It is safe for concurrent use.
type DB struct {
	// write has one connection, so that writers of this process queue for it
	// and not for the file's lock; read has a few.
	write, read *sql.DB
	text        map[string]string
	stmts       map[string]*sql.Stmt
	// turn is held by who writes a batch; names, the ids of words in rows, are
	// theirs.
	turn  chan struct{}
	names names
}

var (
	_ access.Store  = (*DB)(nil)
	_ ledger.Store  = (*DB)(nil)
	_ recall.Store  = (*DB)(nil)
	_ budget.Store  = (*DB)(nil)
	_ ledger.Pruner = (*DB)(nil)
	_ batch.Store   = (*DB)(nil)

	_ batch.FileStore   = (*DB)(nil)
	_ webhook.Store     = (*DB)(nil)
	_ access.StaffStore = (*DB)(nil)
	_ ledger.Searcher   = (*DB)(nil)
	_ audit.Store       = (*DB)(nil)
	_ vault.Store       = (*DB)(nil)
	_ batch.Overseer    = (*DB)(nil)
	_ study.Store       = (*DB)(nil)
)

// readers bounds the read pool.
const readers = 4

// pageCache bounds what each connection keeps of the file, in KiB. SQLite's own
// 2,000 fill with the rows of the first 20,000 requests and are never given
// back: 2.8 MB more of resident memory for the writer alone, and no less CPU a
// row, for the system keeps the file in memory anyway (measured
// 2026-11 with 100,000 rows).
const pageCache = 512

// Open opens the file at path and brings its tables up to date. What is
// missing is made: the folder with mode 0700, the file with 0600. A file that
// others may read is closed to them. A file made by a newer version is
// refused.
//
// The file is in WAL mode with synchronous=NORMAL: what was committed survives
// the end of the process at any instant; a loss of power may take back the
// last commits, but never corrupts it.
func Open(ctx context.Context, path string) (*DB, error) {
	if err := prepareFile(path); err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	d := &DB{turn: make(chan struct{}, 1)}
	d.names.forget()
	var err error
	if d.write, err = pool(path, "immediate", 1); err == nil {
		d.read, err = pool(path, "deferred", readers)
	}
	if err == nil {
		err = migrate(ctx, d.write)
	}
	if err == nil {
		err = d.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), d.Close())
	}
	return d, nil
}

func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().Perm()&0o077 != 0:
		return os.Chmod(path, 0o600)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Only a new file is opened here: closing any descriptor of a file that
	// SQLite has open in this process would drop its locks (POSIX).
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// pool opens connections whose transactions take the file's write lock when
// they begin (immediate) or when they first need it (deferred).
func pool(path, begin string, conns int) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"_txlock": {begin},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)",
			"journal_size_limit(67108864)", fmt.Sprintf("cache_size(-%d)", pageCache)},
		"_dqs": {"0"},
	}.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate runs the migrations that the file has not had. Another process may
// be doing the same: the loser of that race looks again.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = migrateOnce(ctx, db, files)
		if err == nil || errors.Is(err, errNewer) || try == 5 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var errNewer = errors.New("it was made by a newer version of this program")

func migrateOnce(ctx context.Context, db *sql.DB, files fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	known := p.ListSources()
	has, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the tables: %w", err)
	}
	if newest := known[len(known)-1].Version; has > newest {
		return fmt.Errorf("its tables have version %d and this program knows %d: %w", has, newest, errNewer)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the tables up to date: %w", err)
	}
	return nil
}

// Close moves everything into the main file and closes it.
func (d *DB) Close() error {
	var errs []error
	for _, s := range d.stmts {
		errs = append(errs, s.Close())
	}
	if d.read != nil {
		errs = append(errs, d.read.Close())
	}
	if d.write != nil {
		// Busy is no error here: another process has the file open and its
		// last Close does this.
		if _, err := d.write.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
			errs = append(errs, fmt.Errorf("checkpoint: %w", err))
		}
		errs = append(errs, d.write.Close())
	}
	return errors.Join(errs...)
}

// Check runs SQLite's integrity check over the whole file.
func (d *DB) Check(ctx context.Context) error {
	var found string
	if err := d.read.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&found); err != nil {
		return fmt.Errorf("check the store: %w", err)
	}
	if found != "ok" {
		return fmt.Errorf("the store is damaged: %s", found)
	}
	return nil
}
