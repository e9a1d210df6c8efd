// Package audit knows who changed what: rows of which each holds the hash of
// the one before, so that a row that was changed, taken out or put in shows.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Row is one change, or a refusal of one. Its time is kept to the millisecond.
type Row struct {
	// N counts from 1, without gaps.
	N  int64
	At time.Time
	// Actor is the id of who did it, Action what (such as "keys.revoke"), Subject
	// to which thing (an id, never a secret).
	Actor, Action, Subject string
	// Prev is the Hash of the row before, zero for the first.
	Prev, Hash [32]byte
}

// Sum is what the Hash of a row must be: the SHA-256 of the one before and of all
// that the row says, each text with its length before it.
func (r *Row) Sum() [32]byte {
	b := append([]byte("headrace audit 1\x00"), r.Prev[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.N))
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMilli()))
	for _, text := range []string{r.Actor, r.Action, r.Subject} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return sha256.Sum256(b)
}

// Filter chooses rows. Zero fields let everything through.
type Filter struct {
	// Before gives only rows below it: the next page.
	Before        int64
	Actor, Action string
	Since, Until  time.Time
	Limit         int
}

// Store keeps the rows. Implementations are safe for concurrent use and by
// several processes at once.
type Store interface {
	// AppendAudit adds a row behind the last one, in one step: it sets N, Prev and
	// Hash and returns the row as it is kept.
	AppendAudit(ctx context.Context, r Row) (Row, error)
	// AuditRows lists rows, the latest first.
	AuditRows(ctx context.Context, f Filter) ([]Row, error)
	// AuditAfter lists rows above n, in order.
	AuditAfter(ctx context.Context, n int64, limit int) ([]Row, error)
}

// Verdict is what a look at the whole chain found.
type Verdict struct {
	// Rows is how many are whole, from the first on.
	Rows int64
	// Broken is the place of the first that is not, 0 when all are; Why says what
	// is wrong with it.
	Broken int64
	Why    string
	// Head is the hash of the last row that is whole. Whoever has noted it
	// elsewhere can tell whether the end was cut off or all was written anew.
	Head [32]byte
}

// verifyRows is how many rows are read at once.
const verifyRows = 1000

// Verify looks at every row. head, if it is not zero, is a hash that was noted
// before: some row must have it.
func Verify(ctx context.Context, s Store, head [32]byte) (Verdict, error) {
	var v Verdict
	seen := head == [32]byte{}
	for {
		rows, err := s.AuditAfter(ctx, v.Rows, verifyRows)
		if err != nil {
			return v, fmt.Errorf("read the audit: %w", err)
		}
		for i := range rows {
			r := &rows[i]
			switch {
			case r.N != v.Rows+1:
				v.Broken, v.Why = v.Rows+1, "the row is missing"
			case r.Prev != v.Head:
				v.Broken, v.Why = r.N, "it does not follow the row before it"
			case r.Hash != r.Sum():
				v.Broken, v.Why = r.N, "it was changed"
			}
			if v.Broken != 0 {
				return v, nil
			}
			v.Rows, v.Head = r.N, r.Hash
			seen = seen || r.Hash == head
		}
		if len(rows) < verifyRows {
			break
		}
	}
	if !seen {
		v.Broken, v.Why = v.Rows+1, "no row has the hash "+hex.EncodeToString(head[:])+": the end was cut off, or all was written anew"
	}
	return v, nil
}
