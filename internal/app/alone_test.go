package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlone(t *testing.T) {
	const wait = 10 * time.Second
	for _, c := range []struct {
		name string
		// holds is how long the server before holds the directory; stop is when the
		// new one is told to end.
		holds, stop time.Duration
		took        time.Duration
		says        string
	}{
		{name: "free", holds: -1},
		{name: "the one before ends", holds: 5 * time.Second, took: 5 * time.Second},
		{name: "the one before stays", holds: time.Hour, took: wait, says: "another headrace serves from"},
		{name: "nobody waits any more", holds: time.Hour, stop: time.Second, took: time.Second, says: "canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				told := 0
				if c.holds >= 0 {
					release, err := alone(ctx, dir, 0, nil)
					if err != nil {
						t.Fatal(err)
					}
					time.AfterFunc(c.holds, func() {
						if err := release(); err != nil {
							t.Error(err)
						}
					})
				}
				if c.stop > 0 {
					time.AfterFunc(c.stop, cancel)
				}
				began := time.Now()
				release, err := alone(ctx, dir, wait, func() { told++ })
				if took := time.Since(began); took < c.took || took > c.took+time.Second {
					t.Errorf("waited %s, want %s", took, c.took)
				}
				if c.says == "" {
					if err = errors.Join(err, release()); err != nil {
						t.Error(err)
					}
				} else if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want one that says %q", err, c.says)
				}
				if waited := map[bool]int{true: 1}[c.holds >= 0]; told != waited {
					t.Errorf("told %d times that it waits, want %d", told, waited)
				}
				time.Sleep(max(0, c.holds)) // the hour of the one before ends
			})
		})
	}
}
