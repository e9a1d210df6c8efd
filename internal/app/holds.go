package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"headrace/internal/access"
	"headrace/internal/batch"
	"headrace/internal/budget"
	"headrace/internal/gateway"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/route"
)

// holds is the money that is held for items while they are in batches of
// providers: as much as each can cost at most. Safe for concurrent use.
type holds struct {
	mu   sync.Mutex // guards tabs
	tabs map[batch.ItemID]*budget.Tab
}

// take gives what is held for an item, which nobody else has then.
func (h *holds) take(id batch.ItemID) *budget.Tab {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tabs[id]
	delete(h.tabs, id)
	return t
}

func (h *holds) put(id batch.ItemID, t *budget.Tab) {
	if t == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tabs == nil {
		h.tabs = map[batch.ItemID]*budget.Tab{}
	}
	h.tabs[id] = t
}

// end gives all of it back; what counts as spent otherwise is held again by the
// next process.
func (h *holds) end() {
	for _, id := range h.ids() {
		h.release(id)
	}
}

// release gives back what is held for an item.
func (h *holds) release(id batch.ItemID) { h.take(id).Close(0) }

// of says how much is held for items.
func (h *holds) of(lines []llm.BatchLine, id func(*llm.BatchLine) batch.ItemID) map[batch.ItemID]llm.Nanodollars {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.tabs) == 0 {
		return nil
	}
	out := map[batch.ItemID]llm.Nanodollars{}
	for i := range lines {
		if t := h.tabs[id(&lines[i])]; t != nil {
			out[id(&lines[i])] = t.Held()
		}
	}
	return out
}

func (h *holds) ids() (list []batch.ItemID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id := range h.tabs {
		list = append(list, id)
	}
	return list
}

// holdsEvery is how often it is looked for items that have left their batches
// without a result.
const holdsEvery = 10 * time.Second

// watchHolds runs that of the batches.
func (a *App) watchHolds(ctx context.Context) {
	if a.batches != nil {
		a.batches.watchHolds(ctx)
	}
}

// watchHolds gives back what is held for items that are in no batch any more.
func (b *batches) watchHolds(ctx context.Context) {
	tick := time.NewTicker(holdsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range b.holds.ids() {
			state, err := b.a.db.BatchItemState(ctx, id)
			if err != nil {
				if ctx.Err() == nil {
					b.a.log.Warn("what is held for items cannot be looked at", "error", err)
				}
				break
			}
			if state != batch.Submitted && state != batch.Running && state != batch.Ended {
				b.holds.release(id)
			}
		}
	}
}

// holdingAgain is how long a start waits at most for the money of items that
// are in batches.
const holdingAgain = 5 * time.Second

// holdAgain holds what the last process has held for items that are in batches
// still.
func (b *batches) holdAgain(ctx context.Context) {
	var all []batch.Held
	if err := b.a.db.HeldBatchItems(ctx, func(h batch.Held) { all = append(all, h) }); err != nil {
		b.a.log.Error("what items in batches can cost is not held for them", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, holdingAgain)
	defer cancel()
	for _, h := range all {
		j, fail := b.job(context.WithoutCancel(ctx), h.Job)
		if fail != nil {
			b.a.log.Error("what an item in a batch can cost is not held for it", "item", h.Item, "error", fail)
			continue
		}
		req, err := gateway.JobOf(j, &batch.Item{Dialect: j.Dialect, Op: llm.OpChat})
		if err != nil {
			req = gateway.Job{}
		}
		req.Caller = b.owner(j)
		b.holds.put(h.Item, b.a.gateway.HoldAgain(ctx, &req, h.Amount))
	}
}

// owner is who a job belongs to, also when the key is not valid any more.
func (b *batches) owner(j *batch.Job) access.Principal {
	p, fail := b.principal(j)
	if fail != nil {
		return access.Principal{KeyID: j.Owner, Team: j.Team}
	}
	return p
}

// refused writes the row of an item that ends without a call of its own.
func (b *batches) refused(it *batch.Item, t *route.Target, fail *llm.Error) batch.Answer {
	j, gone := b.job(context.Background(), it.Job)
	if gone != nil {
		return failed(fail)
	}
	b.holds.release(it.ID)
	req, wrong := b.request(j, it, b.owner(j))
	if wrong != nil {
		return failed(fail)
	}
	a := b.heard(func(w http.ResponseWriter) ledger.Entry { return b.a.gateway.Refuse(req, it.Model, t, fail, w) })
	a.Err = fail
	return a
}
