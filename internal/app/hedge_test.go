package app_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHedge: where the first bytes of a target have a long tail a second target
// is asked beside it; one answer goes to the client, both attempts have rows
// with usage, and the loser is closed.
func TestHedge(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 100)
	_, yaml := babel(t, func(w http.ResponseWriter, r *http.Request, head, tail string) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case r.URL.Path != "/v1/chat/completions":
		case strings.Contains(string(b), "slow"):
			time.Sleep(time.Second)
		case strings.Contains(string(b), "stuck"):
			<-r.Context().Done()
			closed <- struct{}{}
			return
		}
		flushed(w, head+tail)
	})
	l := live(t, nil, yaml+"routes: {smart: [p-openai/a, p-ollama/b], calm: [p-openai/a, p-ollama/b]}\nretries: {hedge: [smart]}\n")
	ask := func(i int, model, word string, span time.Duration) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(t.Context(), span)
		defer cancel()
		resp, err := l.ask(ctx, i, model, "Hi", word)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return resp, err
	}
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if _, err := ask(0, "calm", "slow", time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	for range 150 {
		if _, err := ask(0, "smart", "quick", time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	// A reading is used for 5 s, so the first tries may come too early.
	var resp *http.Response
	waitFor(t, func() bool {
		var err error
		resp, err = ask(0, "smart", "stuck", 2*time.Second)
		return err == nil
	}, "a hedged answer")
	if t.Failed() {
		return
	}
	if got := resp.Header.Get("X-Headrace-Model"); got != "p-ollama/b" || resp.Header.Get("X-Headrace-Attempts") != "2" {
		t.Errorf("%s answered after %s attempts", got, resp.Header.Get("X-Headrace-Attempts"))
	}
	<-closed
	row := l.row(answer{header: resp.Header})
	attempts := row["attempts"].([]any)
	if len(attempts) != 2 || row["class"] != nil && row["class"] != "" {
		t.Fatalf("the row is %v", row)
	}
	loser, winner := attempts[0].(map[string]any), attempts[1].(map[string]any)
	if use := loser["usage"].(map[string]any); loser["class"] != "client_gone" || use["source"] != "estimated" || use["input"] == 0.0 {
		t.Errorf("the loser's row is %v", loser)
	}
	if use := winner["usage"].(map[string]any); use["source"] != "provider" || !strings.Contains(winner["why"].(string), "beside a slow p-openai") {
		t.Errorf("the winner's row is %v", winner)
	}
	// A translated request reads its words on both sides.
	if resp, err := ask(2, "smart", "stuck", 5*time.Second); err != nil || resp.Header.Get("X-Headrace-Model") != "p-ollama/b" {
		t.Errorf("translated: %v", err)
	}
	// Another route of the same targets is not hedged.
	if _, err := ask(0, "calm", "stuck", 300*time.Millisecond); err == nil {
		t.Error("a route was hedged that is not named")
	}
}
