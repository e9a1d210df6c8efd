package storetest

import (
	"time"

	"headrace/internal/batch"
	"headrace/internal/webhook"
)

// webhooks: endpoints belong to their owner, and a message is there from the end
// of its job until it is heard.
func webhooks(f *fixture) {
	e := webhook.Endpoint{ID: 5, Owner: "o", URL: "https://x.test/", Sealed: []byte{0, 1}, Created: noon}
	f.must(f.store.PutEndpoint(f.ctx, &e))
	for owner, want := range map[string]int{"o": 1, "other": 0} {
		list, err := f.store.Endpoints(f.ctx, owner)
		f.must(err)
		f.same("endpoints of "+owner, want, len(list))
	}
	got, ok, err := f.store.Endpoint(f.ctx, 5)
	f.must(err)
	f.same("there", true, ok)
	f.same("secret", e.Sealed, got.Sealed)

	for id, hook := range map[batch.JobID]string{1: e.ID.String(), 2: ""} {
		f.must(f.store.BeginBatchJob(f.ctx, &batch.Job{ID: id, Owner: "o", Webhook: hook, Created: noon, Deadline: noon.Add(time.Hour)}))
		_, err := f.store.CommitBatchJob(f.ctx, "o", id, batch.Idempotency{}, noon, time.Hour)
		f.must(err)
	}
	ended, err := f.store.EndBatchJobs(f.ctx, noon)
	f.must(err)
	f.same("ended", 2, len(ended))
	claim := func(worker string, at time.Time) []webhook.Delivery {
		list, err := f.store.ClaimDeliveries(f.ctx, worker, at, at.Add(time.Minute), 9)
		f.must(err)
		return list
	}
	due := claim("a", noon)
	f.same("messages", 1, len(due))
	one := &due[0]
	f.same("of", []any{int64(1), e.ID.String(), 0, 0}, []any{one.Job, one.Endpoint, len(one.Body), one.Tries})
	f.same("claimed again", 0, len(claim("b", noon)))
	one.Body = []byte("told")
	f.must(f.store.KeepBody(f.ctx, one))
	f.must(f.store.FreeDeliveries(f.ctx, "a"))
	again := claim("b", noon)
	f.same("freed at its worker's start", 1, len(again))
	f.same("it says the same", "told", string(again[0].Body))
	one.Tries, one.Due = 1, noon.Add(time.Hour)
	f.must(f.store.PutOff(f.ctx, one))
	f.same("before it is due", 0, len(claim("a", noon.Add(time.Minute))))
	later := claim("a", noon.Add(time.Hour))
	f.same("when it is due", 1, len(later))
	f.same("tries", 1, later[0].Tries)
	f.must(f.store.EndDelivery(f.ctx, one))
	f.same("after it was heard", 0, len(claim("b", noon.Add(9*time.Hour))))

	was, err := f.store.DropEndpoint(f.ctx, "other", 5)
	f.must(err)
	f.same("dropped by another", false, was)
	was, err = f.store.DropEndpoint(f.ctx, "o", 5)
	f.must(err)
	f.same("dropped", true, was)
}
