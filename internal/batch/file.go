package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"headrace/internal/ledger"
)

// File is what a client has uploaded: lines of a batch.
type File struct {
	ID FileID
	// Owner is the id of the virtual key that it belongs to; nobody else sees it.
	Owner string
	// Name and Purpose are the client's.
	Name, Purpose string
	// Bytes is the length of the content.
	Bytes int64
	// Expires is when it is deleted.
	Created, Expires time.Time
}

// FileID is time-ordered; it is shown as file-... by the door.
type FileID int64

// FileStore keeps files whose parts are sealed already. Those that have expired
// are not there. Safe for concurrent use.
type FileStore interface {
	// AddFilePart writes part n, from 0, of a file that nobody sees before PutFile.
	AddFilePart(ctx context.Context, id FileID, n int, sealed []byte) error
	PutFile(ctx context.Context, f *File) error
	// File gives ErrNotFound for another owner's.
	File(ctx context.Context, owner string, id FileID, now time.Time) (File, error)
	// Files lists the owner's below before (0: all), the newest first.
	Files(ctx context.Context, owner string, before FileID, limit int, now time.Time) ([]File, error)
	// FilePart gives ErrNotFound for a part that is not there.
	FilePart(ctx context.Context, id FileID, n int) ([]byte, error)
	// DropFile gives ErrNotFound for another owner's.
	DropFile(ctx context.Context, owner string, id FileID) error
	// SweepFiles deletes what has expired, and parts without a file that are older
	// than begun. It says how many files went.
	SweepFiles(ctx context.Context, now time.Time, begun FileID) (int64, error)
}

// Shelf keeps the files of clients, sealed and until they expire. Safe for
// concurrent use.
type Shelf struct {
	Store FileStore
	Seal  Sealer
	ids   ledger.IDs
}

const (
	// partBytes is how much of a file is sealed at once, and held in memory.
	partBytes = 1 << 20
	// uploadTime is how long an upload may take before it is given up.
	uploadTime = 24 * time.Hour
)

func partLabel(id FileID, n int) string { return fmt.Sprintf("batch file %d part %d", id, n) }

// Put reads r to its end and then asks what it was; nothing is seen of it when
// either gives an error. It sets id, owner, length and creation. What has
// expired goes first.
func (s *Shelf) Put(ctx context.Context, owner string, r io.Reader, what func() (File, error)) (File, error) {
	now := time.Now()
	if _, err := s.Sweep(ctx, now); err != nil {
		return File{}, err
	}
	id, size := FileID(s.ids.New(now)), int64(0)
	buf := make([]byte, partBytes)
	for n := 0; ; n++ {
		got, err := io.ReadFull(r, buf)
		end := err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return File{}, err
		}
		if got > 0 {
			if err := s.Store.AddFilePart(ctx, id, n, s.Seal.Close(partLabel(id, n), buf[:got])); err != nil {
				return File{}, err
			}
		}
		if size += int64(got); end {
			break
		}
	}
	f, err := what()
	if err != nil {
		return File{}, err
	}
	f.ID, f.Owner, f.Bytes, f.Created = id, owner, size, now
	return f, s.Store.PutFile(ctx, &f)
}

// Sweep deletes what has expired, and what is left of uploads that ended early.
func (s *Shelf) Sweep(ctx context.Context, now time.Time) (int64, error) {
	return s.Store.SweepFiles(ctx, now, FileID(ledger.FirstID(now.Add(-uploadTime))))
}

// File gives one; ErrNotFound.
func (s *Shelf) File(ctx context.Context, owner string, id FileID) (File, error) {
	return s.Store.File(ctx, owner, id, time.Now())
}

// Files lists the owner's below before (0: all), the newest first.
func (s *Shelf) Files(ctx context.Context, owner string, before FileID, limit int) ([]File, error) {
	return s.Store.Files(ctx, owner, before, limit, time.Now())
}

// Open reads one; ErrNotFound. A file that is deleted meanwhile ends in an
// error, never early.
func (s *Shelf) Open(ctx context.Context, owner string, id FileID) (io.ReadCloser, error) {
	f, err := s.File(ctx, owner, id)
	if err != nil {
		return nil, err
	}
	return &opened{ctx: ctx, s: s, id: id, left: f.Bytes}, nil
}

// Delete deletes one; ErrNotFound.
func (s *Shelf) Delete(ctx context.Context, owner string, id FileID) error {
	return s.Store.DropFile(ctx, owner, id)
}

// opened is a file that is being read, for the time of its context.
type opened struct {
	ctx  context.Context
	s    *Shelf
	id   FileID
	n    int
	part []byte
	left int64
}

func (o *opened) Read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	if len(o.part) == 0 {
		sealed, err := o.s.Store.FilePart(o.ctx, o.id, o.n)
		if err != nil {
			return 0, err
		}
		if o.part, err = o.s.Seal.Open(partLabel(o.id, o.n), sealed); err != nil {
			return 0, fmt.Errorf("part %d of a file: %w", o.n, err)
		}
		o.n++
	}
	n := copy(p, o.part)
	o.part, o.left = o.part[n:], o.left-int64(n)
	return n, nil
}

func (o *opened) Close() error { return nil }
