package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"headrace/internal/batch"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// spread writes 60 requests over three days and gives them, the latest first.
func (f *fixture) spread() []ledger.Entry {
	f.begin()
	var ids ledger.IDs
	var all []ledger.Entry
	for i := range 60 {
		e := sample(&ids, noon.Add(time.Duration(i)*70*time.Minute))
		e.KeyID, e.KeyName, e.Team = fmt.Sprintf("key_%d", i%3), fmt.Sprintf("k%d", i%3), fmt.Sprintf("team%d", i%2)
		e.Asked = fmt.Sprintf("m%d", i%4)
		e.Label = ledger.Label{}
		e.Session = ""
		switch i % 5 {
		case 0:
			e.Label = ledger.Label{Route: "smart", Task: "sum", Tags: ledger.MakeTags([]string{"red", "blue"})}
			e.Session = "conversation"
		case 1:
			e.Label = ledger.Label{Task: "code", Tags: ledger.MakeTags([]string{"red_"})}
		case 2:
			e.Class, e.Status = llm.Timeout, 504
		}
		e.Attempts = slices.Clone(e.Attempts)
		e.Attempts[1].Model = fmt.Sprintf("gpt-%d", i%2)
		all = append(all, e)
	}
	for at := 0; at < len(all); at += 7 {
		f.write(all[at:min(at+7, len(all))]...)
	}
	for i := range all {
		all[i].Seq = int64(i + 1)
	}
	slices.Reverse(all)
	return all
}

// search holds Search to what each filter says, whole and in pages.
func search(f *fixture) {
	all := f.spread()
	for name, c := range map[string]struct {
		q   ledger.Query
		has func(e *ledger.Entry) bool
	}{
		"everything": {ledger.Query{}, func(*ledger.Entry) bool { return true }},
		"key":        {ledger.Query{KeyID: "key_1"}, func(e *ledger.Entry) bool { return e.KeyID == "key_1" }},
		"team":       {ledger.Query{Team: "team1"}, func(e *ledger.Entry) bool { return e.Team == "team1" }},
		"asked":      {ledger.Query{Asked: "m3"}, func(e *ledger.Entry) bool { return e.Asked == "m3" }},
		"model":      {ledger.Query{Provider: "openai", Model: "gpt-1"}, func(e *ledger.Entry) bool { return e.Attempts[1].Model == "gpt-1" }},
		"provider":   {ledger.Query{Provider: "anthropic"}, func(*ledger.Entry) bool { return true }},
		"nobody":     {ledger.Query{Provider: "mistral"}, func(*ledger.Entry) bool { return false }},
		"route":      {ledger.Query{Route: "smart"}, func(e *ledger.Entry) bool { return e.Label.Route == "smart" }},
		"task":       {ledger.Query{Task: "code"}, func(e *ledger.Entry) bool { return e.Label.Task == "code" }},
		"tag":        {ledger.Query{Tag: "red"}, func(e *ledger.Entry) bool { return strings.Contains(e.Label.Tags, ",red,") }},
		"tag alike":  {ledger.Query{Tag: "red_"}, func(e *ledger.Entry) bool { return strings.Contains(e.Label.Tags, ",red_,") }},
		"session":    {ledger.Query{Session: "conversation"}, func(e *ledger.Entry) bool { return e.Session != "" }},
		"no session": {ledger.Query{Session: "another"}, func(*ledger.Entry) bool { return false }},
		"class":      {ledger.Query{Class: llm.Timeout}, func(e *ledger.Entry) bool { return e.Class == llm.Timeout }},
		"status":     {ledger.Query{Status: 200}, func(e *ledger.Entry) bool { return e.Status == 200 }},
		"failed":     {ledger.Query{Failed: true}, func(e *ledger.Entry) bool { return e.Class != "" }},
		"time": {ledger.Query{Since: noon.Add(20 * time.Hour), Until: noon.Add(40 * time.Hour)}, func(e *ledger.Entry) bool {
			return !e.At.Before(noon.Add(20*time.Hour)) && e.At.Before(noon.Add(40*time.Hour))
		}},
		"ids": {ledger.Query{First: all[40].ID, Last: all[10].ID}, func(e *ledger.Entry) bool { return e.ID >= all[40].ID && e.ID <= all[10].ID }},
		"several": {ledger.Query{KeyID: "key_0", Tag: "blue", Since: noon.Add(time.Hour)}, func(e *ledger.Entry) bool {
			return e.KeyID == "key_0" && strings.Contains(e.Label.Tags, ",blue,") && !e.At.Before(noon.Add(time.Hour))
		}},
	} {
		var want, got, paged []ledger.Entry
		for i := range all {
			if c.has(&all[i]) {
				want = append(want, all[i])
			}
		}
		q := c.q
		q.Limit = ledger.MaxLimit
		page, err := f.store.Search(f.ctx, &q)
		f.must(err)
		got = page.Entries
		if page.Next != 0 {
			f.Errorf("%s: there is more after all of it", name)
		}
		f.same(name, want, got)
		q.Limit = 4
		for range 60 {
			page, err := f.store.Search(f.ctx, &q)
			f.must(err)
			if len(page.Entries) > 4 {
				f.Errorf("%s: a page of %d", name, len(page.Entries))
			}
			paged = append(paged, page.Entries...)
			if q.Before = page.Next; q.Before == 0 {
				break
			}
		}
		f.same(name+", in pages", want, paged)
	}
}

// sums holds Sums to the rows, for hours, days, minutes and all time.
func sums(f *fixture) {
	all := f.spread()
	add := func(t *ledger.Tally, h *ledger.Hour) {
		t.Requests += h.Tally.Requests
		t.Failed += h.Tally.Failed
		t.Attempts += h.Tally.Attempts
		t.FailedAttempts += h.Tally.FailedAttempts
		t.Estimated += h.Tally.Estimated
		t.Unpriced += h.Tally.Unpriced
		t.Input += h.Tally.Input
		t.CacheRead += h.Tally.CacheRead
		t.CacheWrite5m += h.Tally.CacheWrite5m
		t.CacheWrite1h += h.Tally.CacheWrite1h
		t.Output += h.Tally.Output
		t.Reasoning += h.Tally.Reasoning
		t.Cost += h.Tally.Cost
		t.Reported += h.Tally.Reported
		t.Listed += h.Tally.Listed
	}
	type word struct {
		bucket          time.Time
		key, team       string
		provider, model string
		label           ledger.Label
	}
	since, until := noon.Add(5*time.Hour).Truncate(time.Hour), noon.Add(55*time.Hour).Truncate(time.Hour)
	for name, q := range map[string]ledger.SumQuery{
		"all time":             {},
		"hours":                {Bucket: time.Hour},
		"days":                 {Bucket: 24 * time.Hour},
		"minutes":              {Bucket: time.Minute, Since: noon, Until: noon.Add(80 * time.Hour)},
		"callers":              {Callers: true, Since: since, Until: until},
		"targets by day":       {Targets: true, Bucket: 24 * time.Hour, Since: since, Until: until},
		"labels":               {Labels: true, Since: since},
		"all of it by minute":  {Callers: true, Targets: true, Labels: true, Bucket: time.Minute, Since: since, Until: until},
		"one key":              {KeyID: "key_1", Targets: true},
		"one team, one model":  {Team: "team1", Provider: "openai", Model: "gpt-1", Labels: true},
		"one route":            {Route: "smart", Callers: true},
		"one task by the hour": {Task: "code", Bucket: time.Hour, Until: until},
		"one tag":              {Tag: "red", Labels: true},
		"one tag by minute":    {Tag: "red", Labels: true, Bucket: time.Minute, Since: since, Until: until},
	} {
		want := map[word]ledger.Tally{}
		for i := range all {
			e := &all[i]
			if !q.Since.IsZero() && e.At.Before(q.Since) || !q.Until.IsZero() && !e.At.Before(q.Until) ||
				q.KeyID != "" && e.KeyID != q.KeyID || q.Team != "" && e.Team != q.Team || q.Route != "" && e.Label.Route != q.Route ||
				q.Task != "" && e.Label.Task != q.Task || q.Tag != "" && !strings.Contains(e.Label.Tags, ","+q.Tag+",") {
				continue
			}
			hours := ledger.RollUp(all[i : i+1])
			for j := range hours {
				h := &hours[j]
				if q.Provider != "" && h.Provider != q.Provider || q.Model != "" && h.Model != q.Model {
					continue
				}
				var w word
				if q.Bucket > 0 {
					w.bucket = e.At.Truncate(q.Bucket)
				}
				if q.Callers {
					w.key, w.team = h.KeyID, h.Team
				}
				if q.Targets {
					w.provider, w.model = h.Provider, h.Model
				}
				if q.Labels {
					w.label = h.Label
				}
				t := want[w]
				add(&t, h)
				want[w] = t
			}
		}
		rows, err := f.store.Sums(f.ctx, &q)
		f.must(err)
		got := map[word]ledger.Tally{}
		for _, r := range rows {
			got[word{r.Bucket, r.KeyID, r.Team, r.Provider, r.Model, r.Label}] = r.Tally
		}
		if len(rows) != len(want) {
			f.Errorf("%s: %d rows, want %d", name, len(rows), len(want))
		}
		for w, t := range want {
			f.same(fmt.Sprintf("%s, %+v", name, w), t, got[w])
		}
	}
}

// briefs gives the latest requests, the latest first.
func briefs(f *fixture) {
	all := f.spread()
	got, err := f.store.Briefs(f.ctx, all[20].At, 10)
	f.must(err)
	if len(got) != 10 {
		f.Fatalf("%d briefs", len(got))
	}
	for i, b := range got {
		f.same("a brief", ledger.Brief{ID: all[i].ID, Class: all[i].Class, Status: all[i].Status, FirstByte: all[i].FirstByte, Total: all[i].Total}, b)
	}
	some, err := f.store.Briefs(f.ctx, all[2].At, 100)
	f.must(err)
	f.same("briefs since a time", 3, len(some))
}

// oversee lists everybody's jobs and what batches saved.
func oversee(f *fixture) {
	var ids ledger.IDs
	var jobs []batch.JobID
	for i := range 3 {
		at := noon.Add(time.Duration(i) * time.Minute)
		j := batch.Job{ID: batch.JobID(ids.New(at)), Owner: fmt.Sprintf("key_%d", i), Created: at, Deadline: at.Add(time.Hour), Form: batch.FormFiles}
		jobs = append(jobs, j.ID)
		f.must(f.store.BeginBatchJob(f.ctx, &j))
		var rows []batch.Row
		for n := range 4 {
			rows = append(rows, batch.Row{Item: batch.Item{ID: batch.ItemID(ids.New(at)), Job: j.ID, Index: n, CustomID: fmt.Sprint(n), Model: "m", State: batch.Queued, Body: []byte("{}")}, Deadline: j.Deadline})
		}
		f.must(f.store.AddBatchItems(f.ctx, rows))
		if i == 2 {
			break // never committed: nobody sees it
		}
		_, err := f.store.CommitBatchJob(f.ctx, j.Owner, j.ID, batch.Idempotency{}, at, time.Hour)
		f.must(err)
	}
	all, err := f.store.AllBatchJobs(f.ctx, 0, 10)
	f.must(err)
	if len(all) != 2 || all[0].ID != jobs[1] || all[0].Counts[batch.Queued] != 4 {
		f.Fatalf("jobs: %+v", all)
	}
	rest, err := f.store.AllBatchJobs(f.ctx, jobs[1], 10)
	f.must(err)
	f.same("the next page", jobs[0], rest[0].ID)
	steps, err := f.store.BatchPaths(f.ctx, jobs[0], 1, "", 2)
	f.must(err)
	f.same("items from the second on", []int{1, 2}, []int{steps[0].Index, steps[1].Index})
	none, err := f.store.BatchPaths(f.ctx, jobs[0], 0, batch.Failed, 10)
	f.must(err)
	f.same("failed items", 0, len(none))
	saved, err := f.store.BatchSaved(f.ctx, noon.Add(-time.Hour))
	f.must(err)
	f.same("what nothing saved", batch.Saved{}, saved)
}
