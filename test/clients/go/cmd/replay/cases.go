package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// words are one answer, before a dialect writes it.
type words struct {
	Thinking, Signature string
	// Text comes in these pieces when streamed.
	Text  []string
	Calls []call
}

type call struct{ ID, Name, Arguments string }

// answer is an answer that is being given.
type answer struct {
	w      http.ResponseWriter
	r      *http.Request
	rc     *http.ResponseController
	d      dialect
	stream bool
	body   []byte
	broken error
}

// send writes bytes and flushes them; false means that the client is gone.
func (a *answer) send(b []byte) bool {
	if a.broken == nil {
		if _, a.broken = a.w.Write(b); a.broken == nil {
			a.broken = a.rc.Flush()
		}
	}
	return a.broken == nil && a.r.Context().Err() == nil
}

// say gives the words, whole or streamed as was asked.
func (a *answer) say(w words) {
	if !a.stream {
		writeJSON(a.w, 200, a.d.whole(w))
		return
	}
	a.open()
	for _, frame := range a.d.frames(w) {
		if !a.send(frame) {
			return
		}
	}
}

// open says what the stream is made of.
func (a *answer) open() {
	kind := "text/event-stream; charset=utf-8"
	if d, ok := a.d.(interface{ streamType() string }); ok {
		kind = d.streamType()
	}
	a.w.Header().Set("Content-Type", kind)
}

func text(s string) words {
	var pieces []string
	for len(s) > 0 { // pieces of runes, so that a piece is valid UTF-8
		n := 0
		for i := range s {
			if n == 7 {
				n = i
				break
			}
			n++
		}
		if n < 7 || n >= len(s) {
			n = len(s)
		}
		pieces, s = append(pieces, s[:n]), s[n:]
	}
	return words{Text: pieces}
}

const weather, clock = `{"city":"Zürich","unit":"celsius"}`, `{"zone":"Europe/Zurich"}`

// retryAfter is long, so that nobody waits for it: the client must be told.
const retryAfter = "600"

// cases are what a model named "replay-" and the key does.
var cases = map[string]func(*answer){
	// echo repeats the system prompt and the last user text.
	"echo": func(a *answer) {
		q := a.d.question(a.body)
		a.say(text("system: " + q.system + "\nuser: " + q.user))
	},
	"think": func(a *answer) {
		w := text("The gate is open.")
		w.Thinking, w.Signature = "Is the gate open? It is.", "c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk="
		a.say(w)
	},
	"tools": func(a *answer) {
		if q := a.d.question(a.body); len(q.results) > 0 {
			a.say(text("results: " + strings.Join(q.results, " | ")))
			return
		}
		w := text("I will look.")
		w.Calls = []call{{"call_Replay1", "get_weather", weather}}
		a.say(w)
	},
	"parallel": func(a *answer) {
		if q := a.d.question(a.body); len(q.results) > 0 {
			a.say(text("results: " + strings.Join(q.results, " | ")))
			return
		}
		a.say(words{Calls: []call{{"call_Replay1", "get_weather", weather}, {"call_Replay2", "get_time", clock}}})
	},
	// structured gives the object only to those whose schema arrived.
	"structured": func(a *answer) {
		q := a.d.question(a.body)
		const river = `{"name":"Aare","length_km":288,"tributaries":["Emme","Reuss"]}`
		switch {
		case strings.Contains(q.schema, "length_km"):
			a.say(text(river))
		case q.answerTool != "":
			a.say(words{Calls: []call{{"call_Replay1", q.answerTool, river}}})
		default:
			a.d.fail(a.w, 400, "invalid_request_error", "replay: the schema did not arrive: "+q.schema)
		}
	},
	// picture tells what image came: type and digest. (An "image" in its name would
	// make some clients take it for a model that paints.)
	"picture": func(a *answer) {
		q := a.d.question(a.body)
		if len(q.image) == 0 {
			a.d.fail(a.w, 400, "invalid_request_error", "replay: no image arrived")
			return
		}
		sum := sha256.Sum256(q.image)
		a.say(text(q.imageType + " " + hex.EncodeToString(sum[:6])))
	},
	"429": func(a *answer) {
		a.w.Header().Set("Retry-After", retryAfter)
		a.d.fail(a.w, 429, "rate_limit_error", "replay: slow down")
	},
	"529": func(a *answer) { a.d.fail(a.w, 529, "overloaded_error", "replay: overloaded") },
	"400": func(a *answer) {
		a.d.fail(a.w, 400, "invalid_request_error", "replay: this cannot be done")
	},
	// error-late breaks off with the dialect's own error after some text;
	// error-early does so before any, under the same status 200.
	"error-late": func(a *answer) {
		a.open()
		frames := a.d.frames(text("The water is rising and then"))
		for _, f := range frames[:4] {
			a.send(f)
		}
		a.send(a.d.errorFrame("overloaded_error", "replay: overloaded in the middle"))
	},
	"error-early": func(a *answer) {
		a.open()
		a.send(a.d.errorFrame("overloaded_error", "replay: overloaded before a word"))
	},
	// cut ends the connection in the middle of a stream, without a word.
	"cut": func(a *answer) {
		a.open()
		for _, f := range a.d.frames(text("The water is rising and then"))[:4] {
			a.send(f)
		}
		panic(http.ErrAbortHandler)
	},
	// drip streams a word every 50 ms for as long as somebody reads.
	"drip": func(a *answer) {
		if !a.stream {
			<-a.r.Context().Done()
			return
		}
		a.open()
		frames := a.d.frames(text("drop by drop by drop by drop"))
		for i := 0; ; i++ {
			if !a.send(frames[min(i, 2)]) {
				return
			}
			if i > 1200 {
				return // a minute: nobody is there and nobody told us
			}
			select {
			case <-a.r.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	},
	// codex lets Codex run one harmless command, once.
	"codex": func(a *answer) {
		q := a.d.question(a.body)
		switch {
		case len(q.results) > 0:
			a.say(text("The shell printed: " + strings.Join(q.results, " | ")))
		case q.offers("exec_command"):
			w := text("I will run it.")
			w.Calls = []call{{"call_Replay1", "exec_command", `{"cmd":"echo replayed-$((40+2))"}`}}
			a.say(w)
		default:
			a.say(text(fmt.Sprintf("Nothing to run among the tools %v.", q.tools)))
		}
	},
	// claude-code lets Claude Code run one harmless command, once.
	"claude-code": func(a *answer) {
		q := a.d.question(a.body)
		switch {
		case len(q.results) > 0:
			a.say(text("The shell printed: " + strings.Join(q.results, " | ")))
		case q.offers("Bash"):
			w := text("I will run it.")
			w.Calls = []call{{"toolu_replay1", "Bash", `{"command":"echo replayed-$((40+2))","description":"Print a word"}`}}
			a.say(w)
		default:
			a.say(text(fmt.Sprintf("Nothing to run among %d tools.", len(q.tools))))
		}
	},
}
