package storetest

import (
	"errors"
	"time"

	"headrace/internal/batch"
)

// files puts, finds, deletes and sweeps files.
func files(f *fixture) {
	missing := func(what string, err error) {
		f.Helper()
		f.same(what, true, errors.Is(err, batch.ErrNotFound))
	}
	for id := batch.FileID(1); id <= 3; id++ {
		f.must(f.store.AddFilePart(f.ctx, id, 0, []byte{0, byte(id)}))
		f.must(f.store.AddFilePart(f.ctx, id, 1, nil))
		_, err := f.store.File(f.ctx, "o", id, noon)
		missing("found before it is whole", err)
		f.must(f.store.PutFile(f.ctx, &batch.File{ID: id, Owner: "o", Name: "n", Purpose: "p", Bytes: 2, Created: noon, Expires: noon.Add(time.Duration(id) * time.Hour)}))
	}
	f.must(f.store.AddFilePart(f.ctx, 4, 0, []byte{4}))
	got, err := f.store.File(f.ctx, "o", 2, noon)
	f.must(err)
	f.same("file", batch.File{ID: 2, Owner: "o", Name: "n", Purpose: "p", Bytes: 2, Created: noon, Expires: noon.Add(2 * time.Hour)}, got)
	ids := func(before batch.FileID, limit int, now time.Time) (list []batch.FileID) {
		all, err := f.store.Files(f.ctx, "o", before, limit, now)
		f.must(err)
		for i := range all {
			list = append(list, all[i].ID)
		}
		return list
	}
	f.same("listed", []batch.FileID{3, 2}, ids(0, 2, noon))
	f.same("listed below", []batch.FileID{1}, ids(2, 9, noon))
	f.same("listed later", []batch.FileID{3, 2}, ids(0, 9, noon.Add(time.Hour)))
	_, err = f.store.File(f.ctx, "other", 2, noon)
	missing("another's", err)
	_, err = f.store.File(f.ctx, "o", 2, noon.Add(2*time.Hour))
	missing("expired", err)
	part, err := f.store.FilePart(f.ctx, 2, 0)
	f.must(err)
	f.same("part", []byte{0, 2}, part)
	_, err = f.store.FilePart(f.ctx, 2, 2)
	missing("a part too much", err)
	missing("deleted by another", f.store.DropFile(f.ctx, "other", 2))
	f.must(f.store.DropFile(f.ctx, "o", 2))
	missing("deleted twice", f.store.DropFile(f.ctx, "o", 2))
	_, err = f.store.FilePart(f.ctx, 2, 0)
	missing("a part of a deleted file", err)
	n, err := f.store.SweepFiles(f.ctx, noon.Add(time.Hour), 4)
	f.must(err)
	f.same("swept", int64(1), n)
	_, err = f.store.FilePart(f.ctx, 1, 0)
	missing("a part of an expired file", err)
	_, err = f.store.FilePart(f.ctx, 4, 0) // it may still be coming
	f.must(err)
	_, err = f.store.SweepFiles(f.ctx, noon, 5)
	f.must(err)
	_, err = f.store.FilePart(f.ctx, 4, 0)
	missing("a part of an upload that ended early", err)
	f.same("listed at last", []batch.FileID{3}, ids(0, 9, noon))
}
