//go:build unix

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"headrace/internal/ledger"
)

func cpu(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWriteBatch prints the CPU that a request costs in the store, from
// the operating system, garbage collection and checkpoints included.
func BenchmarkWriteBatch(b *testing.B) {
	for _, n := range []int{1, 50, 500} {
		b.Run(fmt.Sprint("rows=", n), func(b *testing.B) {
			db := open(b, filepath.Join(b.TempDir(), "headrace.db"))
			defer db.Close()
			var ids ledger.IDs
			run := ids.New(time.Now())
			if _, err := db.Begin(b.Context(), ledger.Run{ID: run, Written: time.Now()}); err != nil {
				b.Fatal(err)
			}
			at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			list := entries(&ids, n, at)
			no := int64(0)
			b.ReportAllocs()
			from := cpu(b)
			for b.Loop() {
				no++
				at = at.Add(250 * time.Millisecond)
				for i := range list {
					list[i].ID, list[i].At = ids.New(at), at
				}
				if err := db.WriteBatch(b.Context(), &ledger.Batch{Run: run, N: no, At: at, Entries: list, Hours: ledger.RollUp(list)}); err != nil {
					b.Fatal(err)
				}
			}
			rows := float64(b.N * n)
			b.ReportMetric(float64((cpu(b)-from).Nanoseconds())/rows/1000, "cpu-us/request")
			b.ReportMetric(rows/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkUsage asks for the usage of a million requests: 30 days, 20 keys,
// 6 targets, every hour with every pair of them.
func BenchmarkUsage(b *testing.B) {
	db := open(b, filepath.Join(b.TempDir(), "headrace.db"))
	defer db.Close()
	var ids ledger.IDs
	run := ids.New(time.Now())
	if _, err := db.Begin(b.Context(), ledger.Run{ID: run, Written: time.Now()}); err != nil {
		b.Fatal(err)
	}
	from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for day := range 30 {
		var hours []ledger.Hour
		for h := range 24 {
			for pair := range 120 {
				hours = append(hours, ledger.Hour{Hour: from.Unix()/3600 + int64(24*day+h), KeyID: fmt.Sprint("key_", pair%20), KeyName: "n",
					Provider: "p" + fmt.Sprint(pair/20%3), Model: fmt.Sprint("m", pair/20), Tally: ledger.Tally{Requests: 12, Attempts: 12, Cost: 1e9, Input: 1000, Output: 10}})
			}
		}
		if err := db.WriteBatch(b.Context(), &ledger.Batch{Run: run, N: int64(day + 1), At: from, Hours: hours}); err != nil {
			b.Fatal(err)
		}
	}
	for _, by := range []ledger.By{ledger.ByModel, ledger.ByKey, ledger.ByDay, ledger.ByProvider} {
		for days := range map[int]bool{1: true, 30: true} {
			b.Run(fmt.Sprintf("by=%s/days=%d", by, days), func(b *testing.B) {
				for b.Loop() {
					rows, err := db.Usage(b.Context(), by, from, from.AddDate(0, 0, days))
					if err != nil || len(rows) == 0 {
						b.Fatal(len(rows), err)
					}
				}
			})
		}
	}
}

// BenchmarkOpen is what the store adds to a start, with a file that is there.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "headrace.db")
	for b.Loop() {
		db := open(b, path)
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
