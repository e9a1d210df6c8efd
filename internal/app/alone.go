package app

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// alone takes the data directory for this process, so that two servers never
// count the same limits and money apart. The operating system lets go of it
// when the process ends, however that happens. Commands that only read or
// write keys need no such lock.
func alone(data string) (release func() error, err error) {
	l := flock.New(filepath.Join(data, "headrace.lock"), flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !got {
		return nil, fmt.Errorf("another headrace serves from %s: stop it, or give this one a directory of its own with --data", data)
	}
	return l.Close, nil
}
