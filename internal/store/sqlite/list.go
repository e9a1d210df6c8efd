package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/go-json-experiment/json"
)

// list reads all rows that a statement gives; what names them in errors.
func list[T any](ctx context.Context, s *sql.Stmt, what string, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	rows, err := s.QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return all, nil
}

// version reads the one number that a statement gives; what names its things in
// errors.
func version(ctx context.Context, s *sql.Stmt, what string) (v int64, err error) {
	if err := s.QueryRowContext(ctx).Scan(&v); err != nil {
		return 0, fmt.Errorf("read the version of the %s: %w", what, err)
	}
	return v, nil
}

// array writes a list as a column holds it: an empty one as [], too.
func array[T any](values []T) (string, error) {
	if len(values) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(values)
	return string(b), err
}
