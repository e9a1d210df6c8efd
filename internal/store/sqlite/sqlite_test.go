package sqlite_test

import (
	"path/filepath"
	"testing"

	"headrace/internal/store/sqlite"
	"headrace/internal/store/storetest"
)

func open(t testing.TB, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t testing.TB) (storetest.Store, func(testing.TB) storetest.Store) {
		path := filepath.Join(t.TempDir(), "state", "headrace.db")
		return open(t, path), func(t testing.TB) storetest.Store { return open(t, path) }
	})
}
