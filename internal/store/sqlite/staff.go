package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"headrace/internal/access"
)

// Members implements [access.StaffStore].
func (d *DB) Members(ctx context.Context) ([]access.Member, error) {
	rows, err := d.stmts["staff_members"].QueryContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	defer rows.Close()
	var all []access.Member
	for rows.Next() {
		var m access.Member
		var hash []byte
		var created, ended int64
		if err := rows.Scan(&m.ID, &m.Name, &m.Email, &m.Role, &hash, &m.Prefix, &m.Issuer, &m.Subject, &created, &ended); err != nil {
			return nil, fmt.Errorf("read a member: %w", err)
		}
		if len(hash) > 0 && copy(m.Hash[:], hash) != len(m.Hash) {
			return nil, fmt.Errorf("read member %s: its hash has %d bytes", m.ID, len(hash))
		}
		m.Created, m.Ended = timeOf(created), timeOf(ended)
		all = append(all, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return all, nil
}

// PutMember implements [access.StaffStore].
func (d *DB) PutMember(ctx context.Context, m access.Member) error {
	var hash any
	if m.Hash != [32]byte{} {
		hash = m.Hash[:]
	}
	_, err := d.stmts["staff_put_member"].ExecContext(ctx, m.ID, m.Name, m.Email, string(m.Role), hash, m.Prefix,
		m.Issuer, m.Subject, milli(m.Created), milli(m.Ended))
	if err != nil {
		return fmt.Errorf("write member %s: %w", m.ID, err)
	}
	return nil
}

// PutSession implements [access.StaffStore].
func (d *DB) PutSession(ctx context.Context, s access.Session) error {
	_, err := d.stmts["staff_put_session"].ExecContext(ctx, s.Hash[:], s.Member, s.Key, milli(s.Began), milli(s.Seen), milli(s.Ends))
	if err != nil {
		return fmt.Errorf("write a session: %w", err)
	}
	return nil
}

// Session implements [access.StaffStore].
func (d *DB) Session(ctx context.Context, hash [32]byte) (access.Session, bool, error) {
	s := access.Session{Hash: hash}
	var began, seen, ends int64
	err := d.stmts["staff_session"].QueryRowContext(ctx, hash[:]).Scan(&s.Member, &s.Key, &began, &seen, &ends)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return access.Session{}, false, nil
	case err != nil:
		return access.Session{}, false, fmt.Errorf("read a session: %w", err)
	}
	s.Began, s.Seen, s.Ends = timeOf(began), timeOf(seen), timeOf(ends)
	return s, true, nil
}

// DropSession implements [access.StaffStore].
func (d *DB) DropSession(ctx context.Context, hash [32]byte) error {
	if _, err := d.stmts["staff_drop_session"].ExecContext(ctx, hash[:]); err != nil {
		return fmt.Errorf("drop a session: %w", err)
	}
	return nil
}

// SweepSessions implements [access.StaffStore].
func (d *DB) SweepSessions(ctx context.Context, over, seen time.Time) error {
	if _, err := d.stmts["staff_sweep_sessions"].ExecContext(ctx, milli(over), milli(seen)); err != nil {
		return fmt.Errorf("drop old sessions: %w", err)
	}
	return nil
}
