package storetest

import (
	"errors"
	"fmt"
	"time"

	"headrace/internal/batch"
	"headrace/internal/llm"
)

// batchJob puts a ready job of n items.
func (f *fixture) batchJob(id batch.JobID, n int) {
	f.Helper()
	f.must(f.store.BeginBatchJob(f.ctx, &batch.Job{ID: id, Owner: "o", Created: noon, Deadline: noon.Add(time.Hour)}))
	var rows []batch.Row
	for i := range n {
		rows = append(rows, batch.Row{Item: batch.Item{ID: batch.ItemID(int64(id)*100 + int64(i)), Job: id, Index: i, CustomID: fmt.Sprint(i),
			State: batch.Queued, Changed: noon, Body: []byte{0, byte(i)}}, Deadline: noon.Add(time.Hour), Size: 2})
	}
	f.must(f.store.AddBatchItems(f.ctx, rows))
	if _, err := f.store.BatchJob(f.ctx, "o", id); !errors.Is(err, batch.ErrNotFound) {
		f.Errorf("a job is seen before it is ready: %v", err)
	}
	f.same("claimed before it is ready", 0, len(f.claimItems("w", noon, batch.Queued)))
	is, err := f.store.CommitBatchJob(f.ctx, "o", id, batch.Idempotency{}, noon, time.Hour)
	f.must(err)
	f.same("job", id, is)
}

func (f *fixture) claimItems(worker string, now time.Time, s batch.State) []batch.ItemID {
	f.Helper()
	rows, err := f.store.ClaimBatchItems(f.ctx, s, batch.Claim{Worker: worker, Now: now, Until: now.Add(time.Minute), Limit: 100})
	f.must(err)
	var ids []batch.ItemID
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func batchItems(f *fixture) {
	f.batchJob(1, 3)
	got := f.claimItems("a", noon, batch.Queued)
	f.same("claimed", 3, len(got))
	f.same("claimed again", 0, len(f.claimItems("b", noon.Add(time.Second), batch.Queued)))
	f.must(f.store.FreeBatches(f.ctx, "b"))
	f.same("another's is not free", 0, len(f.claimItems("b", noon.Add(time.Second), batch.Queued)))
	f.must(f.store.FreeBatches(f.ctx, "a"))
	f.same("freed at its start", 3, len(f.claimItems("a", noon, batch.Queued)))
	f.same("after the lease", 3, len(f.claimItems("b", noon.Add(time.Minute), batch.Queued)))
	if _, err := f.store.MoveBatchItems(f.ctx, batch.Move{Items: got, From: batch.Queued, To: batch.Running}); err == nil {
		f.Error("an item went from queued to running")
	}
	n, err := f.store.MoveBatchItems(f.ctx, batch.Move{Items: got, From: batch.Queued, To: batch.Coalescing, Path: batch.PathBatch, Provider: "p", Model: "m"})
	f.must(err)
	f.same("moved", int64(3), n)
	s := batch.Sent{ID: 7, Provider: "p", Created: noon, Due: noon}
	n, err = f.store.IntendBatch(f.ctx, &s, got[:2])
	f.must(err)
	f.same("intended", int64(2), n)
	n, err = f.store.IntendBatch(f.ctx, &batch.Sent{ID: 8, Provider: "p", Created: noon, Due: noon.Add(time.Hour)}, got)
	f.must(err)
	f.same("an item is in one batch only", int64(1), n)
	sent, err := f.store.ClaimBatches(f.ctx, batch.PhaseIntent, batch.Claim{Worker: "a", Now: noon, Until: noon.Add(time.Minute), Limit: 9})
	f.must(err)
	f.same("batches due", 1, len(sent))
	f.same("items in it", 2, sent[0].Items)
	again, err := f.store.ClaimBatches(f.ctx, batch.PhaseIntent, batch.Claim{Worker: "a", Now: noon, Until: noon.Add(time.Minute), Limit: 9})
	f.must(err)
	f.same("batches that are leased", 0, len(again))
	f.must(f.store.FreeBatches(f.ctx, "a"))
	again, err = f.store.ClaimBatches(f.ctx, batch.PhaseIntent, batch.Claim{Worker: "a", Now: noon, Until: noon.Add(time.Minute), Limit: 9})
	f.must(err)
	f.same("batches that are freed", 1, len(again))
	s.Upstream, s.Phase = "up", batch.PhaseRunning
	f.must(f.store.SaveBatch(f.ctx, &s))
	rows, err := f.store.SentItems(f.ctx, 7)
	f.must(err)
	f.same("in the batch", 2, len(rows))
	f.same("state", batch.Running, rows[0].State)
	f.same("body", []byte{0, 0}, rows[0].Body)
	known, err := f.store.KnownBatch(f.ctx, "p", "up")
	f.must(err)
	f.same("known", true, known)

	for i, want := range []bool{true, false} {
		first, err := f.store.FinishBatchItem(f.ctx, batch.Final{Item: got[0], State: batch.Succeeded, Sealed: []byte{byte(i)}, Cost: 5, RealTime: 9}, noon)
		f.must(err)
		f.same("answered first", want, first)
	}
	row, ok, err := f.store.BatchItem(f.ctx, got[0])
	f.must(err)
	f.same("there", true, ok)
	f.same("the first answer stays", []byte{0}, row.Sealed)
	j, err := f.store.BatchJob(f.ctx, "o", 1)
	f.must(err)
	f.same("counts", batch.Counts{batch.Succeeded: 1, batch.Running: 1, batch.Submitted: 1}, j.Counts)
	f.same("spent and paid twice", []int64{5, 9, 5}, []int64{int64(j.Spent), int64(j.RealTime), int64(j.Double)})
	answers := func(after batch.Cursor, limit int) (list []batch.Cursor) {
		rows, err := f.store.AnsweredBatchItems(f.ctx, 1, after, limit)
		f.must(err)
		for _, r := range rows {
			list = append(list, batch.Cursor{Seq: r.Seq, Index: r.Index})
		}
		return list
	}
	f.same("answered", []int{0}, indexes(answers(batch.Cursor{}, 9)))
	first := answers(batch.Cursor{}, 9)[0]
	f.same("answered behind it", 0, len(answers(first, 9)))
	if _, err := f.store.MoveBatchItems(f.ctx, batch.Move{Items: got[1:2], From: batch.Running, To: batch.Expired}); err == nil {
		f.Error("an item was moved to an answer")
	}
	for _, from := range []batch.State{batch.Running, batch.Submitted} {
		_, err := f.store.MoveBatchJob(f.ctx, 1, batch.Move{From: from, To: batch.Canceled})
		f.must(err)
	}
	f.same("canceled behind it", []int{1, 2}, indexes(answers(first, 9)))
	f.same("one of them", []int{1}, indexes(answers(first, 1)))
	f.same("the other one", []int{2}, indexes(answers(answers(first, 1)[0], 1)))
	ids, err := f.store.EndBatchJobs(f.ctx, noon)
	f.must(err)
	f.same("ended", []batch.JobID{1}, ids)
	n, err = f.store.ReopenBatchItems(f.ctx, "o", 1, noon.Add(time.Hour), noon)
	f.must(err)
	f.same("asked again", int64(2), n)
	f.same("answered still", []int{0}, indexes(answers(batch.Cursor{}, 9)))
	f.same("dropped by another", true, errors.Is(f.store.DropBatchJob(f.ctx, "other", 1), batch.ErrNotFound))
	f.must(f.store.DropBatchJob(f.ctx, "o", 1))
	_, ok, err = f.store.BatchItem(f.ctx, got[0])
	f.must(err)
	f.same("there after the job is gone", false, ok)
}

// batchHolds: what is held for items is told of those in batches alone.
func batchHolds(f *fixture) {
	f.batchJob(1, 2)
	ids := f.claimItems("w", noon, batch.Queued)
	_, err := f.store.MoveBatchItems(f.ctx, batch.Move{Items: ids, From: batch.Queued, To: batch.Coalescing})
	f.must(err)
	_, err = f.store.IntendBatch(f.ctx, &batch.Sent{ID: 7, Provider: "p", Created: noon, Due: noon}, ids[:1])
	f.must(err)
	f.must(f.store.HoldBatchItems(f.ctx, map[batch.ItemID]llm.Nanodollars{ids[0]: 5, ids[1]: 6}))
	var got []batch.Held
	f.must(f.store.HeldBatchItems(f.ctx, func(h batch.Held) { got = append(got, h) }))
	f.same("held", []batch.Held{{Item: ids[0], Job: 1, Amount: 5}}, got)
	state, err := f.store.BatchItemState(f.ctx, ids[0])
	f.must(err)
	f.same("state", batch.Submitted, state)
	state, err = f.store.BatchItemState(f.ctx, 999)
	f.must(err)
	f.same("state of nothing", batch.State(""), state)
}

// batchTimes: how long batches took is remembered, so many of each.
func batchTimes(f *fixture) {
	for i := range 5 {
		f.must(f.store.AddBatchTime(f.ctx, "p", "m", batch.SentID(i+1), time.Duration(i)*time.Second, 3))
	}
	f.must(f.store.AddBatchTime(f.ctx, "p", "other", 9, time.Hour, 3))
	var got []string
	f.must(f.store.BatchTimes(f.ctx, func(provider, model string, took time.Duration) {
		got = append(got, fmt.Sprint(provider, " ", model, " ", took))
	}))
	f.same("times", []string{"p m 2s", "p m 3s", "p m 4s", "p other 1h0m0s"}, got)
}

func indexes(at []batch.Cursor) (list []int) {
	for _, c := range at {
		list = append(list, c.Index)
	}
	return list
}
