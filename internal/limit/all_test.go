package limit

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAllNamesTheTightest(t *testing.T) {
	t.Parallel()
	var tab Table
	claims := []Claim{
		{ID: "k", Who: "this key", Limits: Limits{RequestsPerMinute: 60}},
		{ID: "t", Who: "the team red", Limits: Limits{TokensPerMinute: 100}},
		{ID: "none", Who: "nobody"},
	}
	r, err := tab.All(claims, 90, start)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tab.All(claims, 20, start)
	if err == nil || err.RetryAfter != 6*time.Second || err.Message != "the team red has 100 tokens a minute and has used them" {
		t.Errorf("%+v", err)
	}
	if _, err = tab.All(claims, 101, start); err == nil || err.RetryAfter != 0 {
		t.Errorf("what can never fit: %+v", err)
	}
	if tab.Parallel("k") != 1 || tab.Parallel("t") != 1 || tab.Len() != 2 {
		t.Errorf("gauges %d and %d, %d remembered", tab.Parallel("k"), tab.Parallel("t"), tab.Len())
	}
	r.Settle(0, start)
	r.Release()
	if tab.Parallel("k") != 0 || tab.Parallel("t") != 0 {
		t.Error("a gauge is not 0")
	}
	if r, err := tab.All(claims[2:], 1e9, start); err != nil || r != (Reservation{}) {
		t.Errorf("no limits at all: %v, %v", r, err)
	}
}

// Several claims together are granted when each alone would be, a refusal
// changes none of them, and each stays what it would be by itself: the model of
// every claim is a Table of its own that only it is reserved in.
func TestAllIsEachOrNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var together Table
		limits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Limits {
			return Limits{
				RequestsPerMinute: rapid.Int64Range(0, 20).Draw(t, "rpm"),
				TokensPerMinute:   rapid.Int64Range(0, 500).Draw(t, "tpm"),
				Parallel:          rapid.IntRange(0, 4).Draw(t, "parallel"),
			}
		}), 3, 5).Draw(t, "limits")
		alone := make([]Table, len(limits))
		name := func(i int) string { return fmt.Sprint("claim", i) }
		for i := range alone { // one epoch for all
			if _, err := alone[i].Reserve("first", Limits{Parallel: 1}, 0, start); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := together.Reserve("first", Limits{Parallel: 1}, 0, start); err != nil {
			t.Fatal(err)
		}
		type open struct {
			all  Reservation
			each []Reservation
		}
		var running []open
		now := start
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(30*time.Second)).Draw(t, "for")))
			},
			"reserve": func(t *rapid.T) {
				tokens := rapid.Int64Range(0, 300).Draw(t, "tokens")
				var claims []Claim
				var with []int
				for i, l := range limits {
					if rapid.Bool().Draw(t, "claims") {
						claims, with = append(claims, Claim{ID: name(i), Limits: l}), append(with, i)
					}
				}
				got, err := together.All(claims, tokens, now)
				fits, longest, never := true, time.Duration(0), false
				for _, i := range with {
					if no := alone[i].refuse(&Claim{ID: name(i), Limits: limits[i]}, tokens, now); no != nil {
						fits, longest, never = false, max(longest, no.RetryAfter), never || no.RetryAfter == 0
					}
				}
				if fits != (err == nil) {
					t.Fatalf("together %v, each alone %v", err, fits)
				}
				if !fits {
					if never && err.RetryAfter != 0 || !never && err.RetryAfter != longest {
						t.Fatalf("RetryAfter %s, want %s (never: %v)", err.RetryAfter, longest, never)
					}
					return
				}
				var each []Reservation
				for _, i := range with {
					r, no := alone[i].Reserve(name(i), limits[i], tokens, now)
					if no != nil {
						t.Fatal(no)
					}
					each = append(each, r)
				}
				running = append(running, open{got, each})
			},
			"settle and release": func(t *rapid.T) {
				if len(running) == 0 {
					return
				}
				i := rapid.IntRange(0, len(running)-1).Draw(t, "which")
				o := running[i]
				running = append(running[:i:i], running[i+1:]...)
				actual, tells := rapid.Int64Range(0, 400).Draw(t, "actual"), rapid.Bool().Draw(t, "tells")
				for _, r := range append(o.each, o.all) {
					if tells {
						r.Settle(actual, now)
					}
					r.Release()
					r.Release()
				}
			},
			"": func(t *rapid.T) {
				for i := range limits {
					mine, model := together.caller(name(i)), alone[i].caller(name(i))
					if mine == nil || model == nil {
						continue
					}
					at := int64(now.Sub(start))
					if mine.parallel != model.parallel || mine.tokens.level(at) != model.tokens.level(at) || mine.requests.level(at) != model.requests.level(at) {
						t.Fatalf("claim %d: %d running at %d and %d, alone %d at %d and %d", i, mine.parallel, mine.tokens.level(at), mine.requests.level(at),
							model.parallel, model.tokens.level(at), model.requests.level(at))
					}
				}
			},
		})
		for _, o := range running {
			o.all.Release()
		}
		for i := range limits {
			if got := together.Parallel(name(i)); got != 0 {
				t.Fatalf("the gauge of claim %d is %d at the end", i, got)
			}
		}
	})
}

// However the work ends, in whatever order and also by a panic, every gauge is
// 0 after it, and requests of several claims in opposite orders do not block one
// another.
func TestGaugesAfterAnyEnd(t *testing.T) {
	t.Parallel()
	var tab Table
	claims := []Claim{
		{ID: "key", Limits: Limits{Parallel: 20, TokensPerMinute: 1e9}},
		{ID: "team", Limits: Limits{Parallel: 30, RequestsPerMinute: 1e9}},
		{ID: "model", Limits: Limits{Parallel: 10}},
	}
	other := []Claim{claims[2], claims[1], claims[0]}
	work := func(how int, claims []Claim) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = errors.New(fmt.Sprint(v))
			}
		}()
		r, full := tab.All(claims, 10, time.Now())
		if full != nil {
			return full
		}
		defer r.Release()
		switch how % 4 {
		case 0: // aborted before anything is known
			return errors.New("aborted")
		case 1:
			r.Settle(int64(how), time.Now())
			return nil
		case 2:
			panic("in the middle")
		}
		r.Settle(0, time.Now())
		r.Release() // and again by the defer
		return nil
	}
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 500 {
				if i%2 == 0 {
					work(g+i, claims)
				} else {
					work(g+i, other)
				}
			}
		})
	}
	wg.Wait()
	for _, c := range claims {
		if got := tab.Parallel(c.ID); got != 0 {
			t.Errorf("the gauge of %s is %d", c.ID, got)
		}
	}
}
