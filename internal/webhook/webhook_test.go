package webhook_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/internal/batch"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/recall"
	"headrace/internal/store/sqlite"
	"headrace/internal/webhook"
)

// TestSign: the example of the specification (standard-webhooks, libraries).
func TestSign(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// house has a store with one job that has ended and whose webhook is to be told.
type house struct {
	*testing.T
	db   *sqlite.DB
	seal *recall.Seal
	ids  ledger.IDs
	book *webhook.Book
}

func newHouse(t *testing.T, allow ...string) *house {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "h.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seal, err := recall.NewSeal([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := webhook.NewRules(allow)
	if err != nil {
		t.Fatal(err)
	}
	return &house{T: t, db: db, seal: seal, book: &webhook.Book{Store: db, Seal: seal, Rules: rules}}
}

// end ends a job that has a webhook.
func (h *house) end(hook string) {
	h.Helper()
	now := time.Now()
	id := batch.JobID(h.ids.New(now))
	if err := h.db.BeginBatchJob(h.Context(), &batch.Job{ID: id, Owner: "o", Webhook: hook, Created: now, Deadline: now.Add(time.Hour)}); err != nil {
		h.Fatal(err)
	}
	if _, err := h.db.CommitBatchJob(h.Context(), "o", id, batch.Idempotency{}, now, time.Hour); err != nil {
		h.Fatal(err)
	}
	if ids, err := h.db.EndBatchJobs(h.Context(), now); err != nil || len(ids) != 1 {
		h.Fatalf("%d jobs ended, %v", len(ids), err)
	}
}

// run runs a sender until stop, like a process that is killed then: nothing is
// told of its end.
func (h *house) run(store webhook.Store) (stop func()) {
	s := &webhook.Sender{Store: store, Seal: h.seal, Rules: h.book.Rules, Worker: "w", Log: slog.New(slog.DiscardHandler),
		Body: func(_ context.Context, d *webhook.Delivery) ([]byte, bool, error) {
			return fmt.Appendf(nil, `{"job":"%d"}`, d.Job), true, nil
		}}
	ctx, cancel := context.WithCancel(h.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	return func() { cancel(); <-done }
}

// early is the store on a clock of its own: what is due in a day is due now.
type early struct{ *sqlite.DB }

func (e early) ClaimDeliveries(ctx context.Context, worker string, now, until time.Time, limit int) ([]webhook.Delivery, error) {
	return e.DB.ClaimDeliveries(ctx, worker, now.Add(24*time.Hour), until.Add(24*time.Hour), limit)
}

// TestDelivery: a message comes signed, again until it is heard, with the same
// id and body, and by another process when one dies in between.
func TestDelivery(t *testing.T) {
	t.Parallel()
	type got struct{ id, stamp, signature, body string }
	seen := make(chan got, 16)
	var fail atomic.Int32
	fail.Store(2)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- got{r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), r.Header.Get("webhook-signature"), string(body)}
		if fail.Add(-1) >= 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	h := newHouse(t, "127.0.0.0/8")
	e, secret, err := h.book.Register(t.Context(), "o", srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	h.end(e.ID.String())
	stop := h.run(h.db)
	first := <-seen
	stop() // the second try is minutes away: another process makes it
	stop = h.run(early{h.db})
	var last got
	for range 2 {
		select {
		case last = <-seen:
		case <-time.After(20 * time.Second):
			t.Fatal("it does not come again")
		}
	}
	waiting := func() int {
		// A claim that is over at once changes nothing.
		all, err := h.db.ClaimDeliveries(t.Context(), "looks", time.Now().Add(100*time.Hour), time.Now(), 9)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for end := time.Now().Add(10 * time.Second); waiting() > 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
	}
	stop()
	if last.id != first.id || last.body != first.body || first.id == "" {
		t.Errorf("first %+v, last %+v", first, last)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), "whsec_"))
	if err != nil || len(key) != 32 || !strings.HasPrefix(secret.Reveal(), "whsec_") {
		t.Fatalf("the secret has %d bytes, %v", len(key), err)
	}
	at, err := strconv.ParseInt(last.stamp, 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("the time of the try is %s", last.stamp)
	}
	if want := webhook.Sign(key, last.id, time.Unix(at, 0), []byte(last.body)); last.signature != want {
		t.Errorf("signed %s, want %s", last.signature, want)
	}
	if n := waiting(); n != 0 {
		t.Errorf("after it was heard %d messages are left", n)
	}
	// Nothing is sent to whom was deleted.
	h.end(e.ID.String())
	if was, err := h.book.Drop(t.Context(), "other", e.ID); was || err != nil {
		t.Errorf("another's is deleted: %v", err)
	}
	if was, err := h.book.Drop(t.Context(), "o", e.ID); !was || err != nil {
		t.Errorf("it is not deleted: %v", err)
	}
	if n := waiting(); n != 0 {
		t.Errorf("to whom was deleted %d messages are left", n)
	}
}

// spellings of addresses inside a network, as names, numbers and what resolvers
// make of them.
var spellings = []string{
	"127.0.0.1", "127.1", "127.255.255.254", "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.", "localhost", "LOCALHOST",
	"10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254", "169.254.169.254", "169.254.0.1", "2852039166",
	"100.64.0.1", "100.127.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1",
	"[::]", "[::1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:0:127.0.0.1]",
	"[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::]", "[2002:a9fe:a9fe::]",
	"[2001::1]", "[2001:db8::1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[ff02::1]", "[100::1]", "[5f00::1]", "[3fff::1]",
}

// TestNothingPrivate: no spelling of an inner address is ever dialled, and no
// redirect leads there.
func TestNothingPrivate(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) })}
	go srv.Serve(inner)
	defer srv.Close()
	_, port, err := net.SplitHostPort(inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := webhook.NewRules(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := webhook.ClientOf(rules)
	if len(spellings) < 60 {
		t.Errorf("only %d spellings", len(spellings))
	}
	for _, host := range spellings {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		req, err := http.NewRequestWithContext(ctx, "POST", "http://"+host+":"+port, nil)
		if err == nil {
			var resp *http.Response
			if resp, err = client.Do(req); err == nil {
				resp.Body.Close()
				t.Errorf("%s was asked", host)
			}
		}
		cancel()
	}
	// A host that is allowed sends the client elsewhere.
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:"+port, http.StatusTemporaryRedirect))
	defer away.Close()
	u, err := url.Parse(away.URL)
	if err != nil {
		t.Fatal(err)
	}
	if rules, err = webhook.NewRules([]string{u.Hostname()}); err != nil {
		t.Fatal(err)
	}
	resp, err := webhook.ClientOf(rules).Post(away.URL, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 307 || asked.Load() != 0 {
		t.Errorf("the redirect gave %d; inside was asked %d times", resp.StatusCode, asked.Load())
	}
}

// TestRegister: what may be registered, and by whom it is found.
func TestRegister(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "hooks.internal", "10.1.0.0/16")
	for _, c := range []struct {
		url string
		ok  bool
	}{
		{"https://example.com/hook?x=1", true}, {"http://hooks.internal/a", true}, {"http://10.1.2.3/", true}, {"https://10.1.2.3:8443/", true}, {"https://93.184.216.34/", true},
		{"http://example.com/", false}, {"https://10.2.0.1/", false}, {"https://127.0.0.1/", false}, {"https://[::1]/", false}, {"https://u:p@example.com/", false},
		{"ftp://example.com", false}, {"", false}, {"example.com", false}, {"https://", false}, {"https://example.com/#x", false}, {"https://example.com/" + strings.Repeat("a", 2048), false},
	} {
		e, secret, err := h.book.Register(t.Context(), "o", c.url)
		if (err == nil) != c.ok {
			t.Errorf("%q: %v", c.url, err)
		}
		if err != nil {
			if f, is := err.(*llm.Error); !is || f.Class != llm.InvalidRequest {
				t.Errorf("%q: %T %v", c.url, err, err)
			}
			continue
		}
		if fmt.Sprint(secret) == secret.Reveal() {
			t.Error("the secret prints itself")
		}
		for _, name := range []string{e.ID.String(), e.URL} {
			if found, ok, err := h.book.Find(t.Context(), "o", name); !ok || err != nil || found.ID != e.ID {
				t.Errorf("%s: found %v %v, %v", name, found, ok, err)
			}
			if _, ok, err := h.book.Find(t.Context(), "other", name); ok || err != nil {
				t.Errorf("%s: another finds it, %v", name, err)
			}
		}
	}
	for i := range 20 {
		if _, _, err := h.book.Register(t.Context(), "o", fmt.Sprintf("https://example.com/%d", i)); err != nil && i < 15 {
			t.Errorf("webhook %d: %v", i, err)
		}
	}
	if _, _, err := h.book.Register(t.Context(), "o", "https://example.com/more"); err == nil {
		t.Error("more than 20 are taken")
	}
	for _, bad := range []string{"http://x", "", "a b", "10.0.0.0/99"} {
		if _, err := webhook.NewRules([]string{bad}); err == nil {
			t.Errorf("%q is a rule", bad)
		}
	}
}
