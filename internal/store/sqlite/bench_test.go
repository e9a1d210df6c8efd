package sqlite_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// entries makes n requests as a busy gateway sees them: 20 keys, 6 targets,
// one attempt each but for every 20th.
func entries(ids *ledger.IDs, n int, at time.Time) []ledger.Entry {
	out := make([]ledger.Entry, n)
	for i := range out {
		key := fmt.Sprint("key_", i%20)
		a := ledger.Attempt{N: 1, Provider: []string{"anthropic", "openai"}[i%2], Model: fmt.Sprint("model-", i%6), Why: "named", Start: at,
			FirstByte: 300 * time.Millisecond, Total: 2 * time.Second, Status: 200, Finish: llm.FinishStop, UpstreamID: fmt.Sprintf("msg_01%022d", i),
			Usage: llm.Usage{Input: 1200, CacheRead: 800, Output: 350, Reasoning: 20, Source: llm.UsageProvider}, Cost: 12_345_678, Priced: true}
		out[i] = ledger.Entry{ID: ids.New(at), At: at, KeyID: key, KeyName: key, Team: "core", Dialect: llm.OpenAI, Op: llm.OpChat, Asked: "smart",
			Streamed: true, Status: 200, Committed: true, FirstByte: 301 * time.Millisecond, Total: 2 * time.Second, Attempts: []ledger.Attempt{a}}
		if i%20 == 0 {
			bad := a
			bad.Status, bad.Class, bad.Message, bad.UpstreamID, bad.Usage = 529, llm.Overloaded, "Overloaded", "", llm.Usage{}
			a.N = 2
			out[i].Attempts = []ledger.Attempt{bad, a}
		}
	}
	return out
}

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
