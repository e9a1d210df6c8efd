// Package check is what all Go checks share: where the gateway is, what to ask
// it, and one line of output for each check.
package check

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

// Env is where things are; run.sh says so.
type Env struct {
	Base, Key, Replay string
	Backends          []string
	cases             map[string]struct{ Prompt, Rehearse string }
}

// FromEnv reads CLIENT_BASE and its kin.
func FromEnv() (Env, error) {
	e := Env{Base: os.Getenv("CLIENT_BASE"), Key: os.Getenv("CLIENT_KEY"), Replay: os.Getenv("CLIENT_REPLAY"),
		Backends: strings.Fields(os.Getenv("CLIENT_BACKENDS"))}
	b, err := os.ReadFile(os.Getenv("CLIENT_CASES"))
	if err != nil {
		return e, err
	}
	return e, json.Unmarshal(b, &e.cases)
}

// Png is a red pixel; PngSum is what the replay says of it.
const Png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="

// PngSum gives what the replay says when Png has arrived.
func PngSum() string {
	b, err := base64.StdEncoding.DecodeString(Png)
	Must(err)
	sum := sha256.Sum256(b)
	return "image/png " + hex.EncodeToString(sum[:6])
}

// What the tools take and what the structured answer holds.
const (
	System        = "You are brief."
	Slow          = "[[rehearse: delay=300s]] Say something." // a batch of it takes as long
	WeatherSchema = `{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["city"],"additionalProperties":false}`
	ClockSchema   = `{"type":"object","properties":{"zone":{"type":"string"}},"required":["zone"],"additionalProperties":false}`
	RiverSchema   = `{"type":"object","properties":{"name":{"type":"string"},"length_km":{"type":"integer"},"tributaries":{"type":"array","items":{"type":"string"}}},"required":["name","length_km","tributaries"],"additionalProperties":false}`
)

// River is the structured answer.
type River struct {
	Name        string   `json:"name"`
	LengthKm    int      `json:"length_km"`
	Tributaries []string `json:"tributaries"`
}

// Object parses a JSON object.
func Object(s string) (m map[string]any) {
	Must(json.Unmarshal([]byte(s), &m))
	return m
}

// Ask is one case on one backend.
type Ask struct {
	env           Env
	Backend       string
	Tag           string
	Model, Prompt string
	Rehearsal     bool
	HeaderName    string
	HeaderValue   string
}

// NewAsk gives the case on the backend, with a tag of its own.
func (e Env) NewAsk(name, backend string) *Ask {
	a := &Ask{env: e, Backend: backend, Rehearsal: backend == "rehearsal", Tag: strings.ToLower(rand.Text()[:12]), HeaderName: "X-Headrace-Rehearse"}
	replayed := "replay-" + name
	if name == "stall" {
		replayed = "replay-drip"
	}
	replayed += "." + a.Tag // of its own, so that the failures of one check do not set the next one's model aside
	switch {
	case a.Rehearsal && name == "think":
		a.Model = "rehearsal/thinker"
	case a.Rehearsal:
		a.Model = "rehearsal/quick"
	case backend == "direct":
		a.Model = replayed
	default:
		a.Model = backend + "/" + replayed
	}
	a.Prompt = e.cases[name].Prompt
	if a.Rehearsal {
		a.HeaderValue = e.cases[name].Rehearse
	} else {
		a.Prompt += " tag-" + a.Tag
	}
	return a
}

// Echoed checks the text of the case echo.
func (a *Ask) Echoed(text string) {
	if a.Rehearsal {
		Expect(len(text) > 3, "no text: %q", text)
		return
	}
	Want(text, "system: "+System+"\nuser: "+a.Prompt, "text")
}

// Or checks the text of a replayed answer, or that the rehearsal said
// something.
func (a *Ask) Or(text, replayed string) {
	if a.Rehearsal {
		Expect(text != "", "no text")
		return
	}
	Want(text, replayed, "text")
}

// Is checks a value of a replayed answer.
func (a *Ask) Is(got, replayed any, what string) {
	if !a.Rehearsal {
		Want(got, replayed, what)
	}
}

type exchange struct {
	Ended  string `json:"ended"`
	GoneAt int64  `json:"gone_at"`
}

// SeenGone waits until the provider has seen the client leave, and the ledger
// says so; it gives a remark.
func (a *Ask) SeenGone(left time.Time, requestID string) string {
	until := time.Now().Add(5 * time.Second)
	remark := ""
	if !a.Rehearsal {
		var seen []exchange
		for {
			get(a.env.Replay+"/control/requests?tag="+a.Tag, "", &seen)
			Want(len(seen), 1, "requests that the provider saw")
			if seen[0].Ended != "" {
				break
			}
			Expect(time.Now().Before(until), "5 s after the client left the provider is still sending")
			time.Sleep(10 * time.Millisecond)
		}
		Want(seen[0].Ended, "client_gone", "how it ended at the provider")
		ms := seen[0].GoneAt - left.UnixMilli()
		Expect(ms <= 1000, "the provider saw the client leave only after %d ms", ms) // 100 ms is promised; the rest is for a busy machine
		remark = fmt.Sprintf("provider saw it after %d ms", max(ms, 0))
	}
	if a.Backend != "direct" && requestID != "" {
		for {
			row, status := body(a.env.Base+"/v1/requests/"+requestID, a.env.Key)
			if status == 200 && strings.Contains(row, "client_gone") {
				break
			}
			Expect(time.Now().Before(until), "5 s after the client left GET /v1/requests/%s does not say client_gone: %d %s", requestID, status, row)
			time.Sleep(20 * time.Millisecond)
		}
		remark += "; row says client_gone"
	}
	return remark
}

func body(url, key string) (string, int) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	Must(err)
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := http.DefaultClient.Do(req)
	Must(err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	Must(err)
	return string(b), resp.StatusCode
}

func get(url, key string, v any) {
	b, status := body(url, key)
	Want(status, 200, url)
	Must(json.Unmarshal([]byte(b), v))
}

// Client prints the lines of one SDK.
type Client struct {
	Name string
	n    int
}

// Check runs one check and prints its line. fn panics through Want, Expect and
// Must when something is wrong; what it returns is a remark.
func (c *Client) Check(name, backend string, fn func() string) {
	c.n++
	begin := time.Now()
	status, remark := "ok", ""
	func() {
		defer func() {
			if r := recover(); r != nil {
				status, remark = "FAIL", strings.NewReplacer("\n", " ", "\t", " ").Replace(fmt.Sprint(r))
				if _, ours := r.(failure); !ours {
					remark += " " + strings.NewReplacer("\n", " ", "\t", " ").Replace(string(debug.Stack()))
				}
				remark = remark[:min(len(remark), 600)]
			}
		}()
		remark = fn()
	}()
	fmt.Printf("%s\t%s\t%s\t%s\t%d\t%s\n", status, c.Name, name, backend, time.Since(begin).Milliseconds(), remark)
}

// Done says how many lines there were, so that a missing one is seen.
func (c *Client) Done() { fmt.Printf("done\t%s\t%d\n", c.Name, c.n) }

type failure string

// Want fails unless got is want.
func Want(got, want any, what string) {
	if !reflect.DeepEqual(got, want) {
		panic(failure(fmt.Sprintf("%s: got %#v, want %#v", what, got, want)))
	}
}

// Expect fails unless ok.
func Expect(ok bool, format string, args ...any) {
	if !ok {
		panic(failure(fmt.Sprintf(format, args...)))
	}
}

// Must fails when err is not nil.
func Must(err error) {
	if err != nil {
		panic(failure(fmt.Sprintf("%T: %v", err, err)))
	}
}
