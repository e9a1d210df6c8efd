package app

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// handover is how long a new server waits for the one before it, beyond the
// time that an idle one goes on listening when it is asked to end.
const handover = 5 * time.Second

// alone takes the data directory for this process, so that two servers never
// count the same limits and money apart. The operating system lets go of it
// when the process ends, however that happens. One that is taken is waited for:
// at a restart the server before this one is still ending. waits is told so,
// once. Commands that only read or write keys need no such lock.
func alone(ctx context.Context, data string, wait time.Duration, waits func()) (release func() error, err error) {
	l := flock.New(filepath.Join(data, "headrace.lock"), flock.SetPermissions(0o600))
	got, err := l.TryLock()
	if err == nil && !got {
		waits()
		within, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if got, err = l.TryLockContext(within, 50*time.Millisecond); within.Err() != nil {
			err = ctx.Err()
		}
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock the data directory: %w", err)
	case !got:
		return nil, fmt.Errorf("another headrace serves from %s: stop it, or give this one a directory of its own with --data", data)
	}
	return l.Close, nil
}
