package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"headrace/internal/access"
	"headrace/internal/ledger"
	"headrace/internal/llm"
	"headrace/internal/store/sqlite"
)

// payloads are texts that become script where somebody takes them for markup.
var payloads = []string{
	`<script>hurt()</script>`,
	`<img src=x onerror=hurt()>`,
	`"><svg onload=hurt()>`,
	`'><img src=x onerror=hurt()>`,
	`</title><script>hurt()</script>`,
	`</textarea><script>hurt()</script>`,
	`</option></select><img src=x onerror=hurt()>`,
	`<a href="javascript:hurt()">x</a>`,
	`javascript:hurt()`,
	`<iframe srcdoc="<script>parent.hurt()</script>"></iframe>`,
	`<body onload=hurt()>`,
	`<details open ontoggle=hurt()>x</details>`,
	`<video><source onerror=hurt()></video>`,
	`<math><mtext><img src=x onerror=hurt()></mtext></math>`,
	`<style>@import 'javascript:hurt()';</style>`,
	`<input autofocus onfocus=hurt()>`,
	`<form action=javascript:hurt()><button>x</button></form>`,
	`<object data="javascript:hurt()"></object>`,
	`<embed src="javascript:hurt()">`,
	`<base href="javascript:hurt()//">`,
	`<meta http-equiv="refresh" content="0;javascript:hurt()">`,
	`<svg><script>hurt()</script></svg>`,
	`<template><img src=x onerror=hurt()></template>`,
	`<noscript><p title="</noscript><img src=x onerror=hurt()>">`,
	`" onmouseover="hurt()" x="`,
	`' autofocus onfocus='hurt()`,
	`{{constructor.constructor('hurt()')()}}`,
	`${hurt()}`,
	`&lt;script&gt;hurt()&lt;/script&gt;`,
	`%3Cscript%3Ehurt()%3C/script%3E`,
}

// harmless looks for what no text may have become.
const harmless = `(() => {
	if (window.hurt_by) return "script ran: " + window.hurt_by;
	const bad = document.querySelector("iframe, object, embed, base, meta[http-equiv], video, math, style, img[src=x], [onerror], [onload], [onfocus], [ontoggle], [onmouseover], a[href^='javascript:'], form[action], script:not([src]):not([type=importmap])");
	return bad ? "markup came to be: " + bad.outerHTML.slice(0, 200) : "";
})()`

// shown counts the payloads that stand on the page as they are, as text or in a field.
const shownPayloads = `((all) => { const text = document.body.textContent + [...document.querySelectorAll("input, textarea, select")].map((e) => e.value).join("\n"); return all.filter((p) => text.includes(p)).length; })`

// TestHostileText puts every payload into each place that text from outside comes
// to: it is shown as it is, and nothing more.
func TestHostileText(t *testing.T) {
	whole(t)
	t.Parallel()
	if len(payloads) != 30 {
		t.Fatalf("%d payloads", len(payloads))
	}
	data := t.TempDir()
	hostile := seedHostile(t, data)
	h := &house{t: t}
	h.base = serve(t, data, "")
	for i, p := range payloads {
		h.ask("POST", "/v1/chat/completions", key, `{"model":`+quote(p)+`,"messages":[{"role":"user","content":"Hello"}]}`, "x-headrace-task: task", "x-headrace-session: "+p)
		h.call("POST", "/admin/v1/members", adminToken, `{"name":`+quote(p)+`,"email":"m`+fmt.Sprint(i)+`@example.com","role":"viewer"}`, 201)
		h.call("POST", "/admin/v1/budgets", adminToken, `{"scope":"team","subject":`+quote(p)+`,"window":"total","limit_nanodollars":1000000000,"alerts":[80]}`, 200)
	}
	lines := make([]map[string]any, len(payloads))
	for i, p := range payloads {
		lines[i] = map[string]any{"custom_id": fmt.Sprint(i), "params": map[string]any{"model": p, "max_tokens": 10, "messages": []any{map[string]any{"role": "user", "content": "Hello"}}}}
	}
	body, err := json.Marshal(map[string]any{"requests": lines})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := h.call("POST", "/v1/messages/batches", key, string(body), 200)
	var job struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(payloads)
	if err != nil {
		t.Fatal(err)
	}

	b := launch(t, h.base)
	b.signIn()
	eval[any](b, `0`)
	look := func(sink string) {
		t.Helper()
		b.until(sink+": all payloads stand there", shownPayloads+"("+string(list)+") === "+fmt.Sprint(len(payloads)))
		if bad := eval[string](b, harmless); bad != "" {
			t.Errorf("%s: %s", sink, bad)
		}
		b.check(sink)
	}
	for _, s := range []struct{ sink, path string }{
		{"names and teams of keys", "/ui/keys?view=all"},
		{"subjects of budgets", "/ui/budgets"},
		{"names of members", "/ui/members"},
		{"models that were asked for", "/ui/requests?since=all"},
		{"messages of attempts, warnings", "/ui/requests/" + hostile},
		{"models of a job's items", "/ui/batches/" + job.ID},
	} {
		b.visit(s.path)
		look(s.sink)
	}

	b.visit("/ui/playground")
	b.click("Make one for a day")
	b.fill("Model 1", "rehearsal/quick")
	b.fill("Prompt", "say exactly: "+strings.Join(payloads, "\n"))
	b.click("Ask")
	b.until("the answer", `document.querySelectorAll(".answer").length > 0 && !document.querySelector(".answer[aria-busy=true]")`)
	b.until("the answer holds the payloads", `document.querySelector(".answer .text").textContent.includes("onerror=hurt()")`)
	look("an answer")

	// The address: filters, the id of a page, a share link.
	for _, p := range payloads {
		for _, path := range []string{"/ui/requests?since=all&model=" + url.QueryEscape(p), "/ui/routes/" + url.PathEscape(p), "/ui/models?q=" + url.QueryEscape(p), "/ui/playground#" + url.PathEscape(p)} {
			eval[any](b, `history.pushState(null, "", `+quote(path)+`), dispatchEvent(new PopStateEvent("popstate")), new Promise((f) => setTimeout(f, 15))`)
			if bad := eval[string](b, harmless); bad != "" {
				t.Errorf("%s: %s", path, bad)
			}
		}
	}
	b.check("the address")
}

// seedHostile writes keys with the payloads as names and teams, and one request
// whose attempts and warnings hold them; it gives the request's id.
func seedHostile(t *testing.T, data string) string {
	t.Helper()
	ctx, now := context.Background(), time.Now()
	db, err := sqlite.Open(ctx, data+"/headrace.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, p := range payloads {
		if _, _, err := (access.Ring{Store: db}).Create(ctx, access.Spec{Name: p, Team: p}, now); err != nil {
			t.Fatal(err)
		}
	}
	l := ledger.New(db, ledger.Options{Price: func(string, string, llm.Usage, time.Time) (llm.Nanodollars, bool) { return 0, false }})
	if _, err := l.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	e := ledger.Entry{ID: l.NewID(now), At: now, Dialect: llm.OpenAI, Op: llm.OpChat, Asked: payloads[0], Status: 502, Class: llm.ServerError, Total: time.Second, Warnings: payloads, Session: payloads[1]}
	for i, p := range payloads {
		e.Attempts = append(e.Attempts, ledger.Attempt{N: i + 1, Provider: "openai", Model: p, Why: p, Start: now, Total: time.Millisecond, Status: 500, Class: llm.ServerError, Message: p})
	}
	l.Note(e)
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.End(ctx, l.RunID(), now); err != nil {
		t.Fatal(err)
	}
	return e.ID.String()
}
