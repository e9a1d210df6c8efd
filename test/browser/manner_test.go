package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestEmpty: a gateway that was just begun says on each page what to do next.
func TestEmpty(t *testing.T) {
	whole(t)
	t.Parallel()
	h := &house{t: t, base: serve(t, t.TempDir(), "")}
	b := launch(t, h.base)
	b.signIn()
	for _, p := range []struct{ path, says, next string }{
		{"/ui/", "No request yet", "Connect a client"},
		{"/ui/requests", "No request in this time", "Ask something"},
		{"/ui/models", "Nothing was used in the last 7 days", "Connect a client"},
		{"/ui/batches", "There is no job yet", "Connect a client"},
		{"/ui/keys", "There is no team yet", "New key"},
		{"/ui/budgets", "There is no budget yet", "Set a budget"},
		{"/ui/providers", "Nothing was asked in the last 15 minutes", "Ask something"},
		{"/ui/members", "Only admin keys so far", "Let somebody in"},
	} {
		b.visit(p.path)
		b.sees(p.says)
		b.until("offer "+p.next, "("+find+")("+quote(p.next)+")")
		b.check(p.path)
		b.axe("empty "+p.path, `{}`)
	}
	b.visit("/ui/nowhere")
	b.sees("There is no such page")
}

// TestKeyboard goes about without a mouse.
func TestKeyboard(t *testing.T) {
	whole(t)
	t.Parallel()
	h := &house{t: t, base: serve(t, t.TempDir(), "")}
	b := launch(t, h.base)
	b.signIn()
	press := func(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }
	focused := `(document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").trim()`

	// The first stop leads past the navigation; what has the focus can be seen.
	b.visit("/ui/keys")
	eval[any](b, `document.activeElement.blur()`)
	press(kb.Tab)
	b.until("reach the skip link", focused+` === "To the content"`)
	if !eval[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none" && document.activeElement.getBoundingClientRect().top >= 0`) {
		t.Error("the skip link has the focus and cannot be seen")
	}
	press(kb.Enter)
	b.until("skip", `location.hash === "#main" && document.activeElement.id === "main"`)

	// A dialog takes the focus, holds it, ends with Escape and gives it back.
	eval[any](b, `(`+find+`)("New key").focus()`)
	press(kb.Enter)
	b.until("the dialog has the focus", `document.querySelector("dialog[open]")?.contains(document.activeElement)`)
	for range 24 {
		press(kb.Tab)
		if !eval[bool](b, `document.activeElement === document.body || document.querySelector("dialog[open]").contains(document.activeElement)`) {
			t.Fatal("the focus leaves the dialog: " + eval[string](b, focused))
		}
	}
	press(kb.Escape)
	b.until("the focus comes back", `!document.querySelector("dialog") && `+focused+` === "New key"`)

	// A page that is gone to has the focus at its heading.
	eval[any](b, `(`+find+`)("Budgets").focus()`)
	press(kb.Enter)
	b.until("the heading has the focus", `document.activeElement.tagName === "H1" && `+focused+` === "Budgets" && document.title.startsWith("Budgets")`)

	// On a phone the navigation opens and closes.
	b.look(390, 844, "light")
	b.visit("/ui/")
	eval[any](b, `(`+find+`)("Menu").focus()`)
	press(kb.Enter)
	b.until("the menu is open", `document.querySelector("nav").checkVisibility() && document.activeElement.getAttribute("aria-expanded") === "true"`)
	b.axe("the menu", `{}`)
	press(kb.Escape)
	b.until("the menu is closed", `!document.querySelector("nav").checkVisibility() && `+focused+` === "Menu"`)
	b.check("the keyboard")
}

// TestSession: who is not signed in sees nothing, the cookie is out of script's
// reach, and an end of the session leads back to the sign-in.
func TestSession(t *testing.T) {
	whole(t)
	t.Parallel()
	h := &house{t: t, base: serve(t, t.TempDir(), "")}
	b := launch(t, h.base)
	b.do(chromedp.Navigate(h.base + "/ui/keys"))
	b.sees("Sign in")
	b.axe("the sign-in", `{}`)
	b.picture("sign-in")
	password := chromedp.CSS("input[type=password]")
	b.do(chromedp.SendKeys(password, "wrong\r"))
	b.until("refuse a wrong token", `document.querySelector("[role=alert]")`)
	eval[any](b, `document.querySelector("input[type=password]").select()`)
	b.enter(adminToken)
	b.sees("Keys and teams")
	if cookies := eval[string](b, `document.cookie`); cookies != "" {
		t.Errorf("script can read %q", cookies)
	}
	if kept := eval[string](b, `JSON.stringify([{...localStorage}, {...sessionStorage}])`); strings.Contains(kept, adminToken) {
		t.Errorf("the token is kept where script can read it: %s", kept)
	}
	// The theme is the system's until one is chosen, which stays.
	b.click("Theme: system. Change")
	b.click("Theme: light. Change")
	b.visit("/ui/keys")
	if got := eval[string](b, `document.documentElement.dataset.theme + getComputedStyle(document.documentElement).colorScheme`); got != "darkdark" {
		t.Errorf("after another visit the theme is %s", got)
	}
	b.click("Sign out")
	b.sees("Sign in")
	b.do(chromedp.Navigate(h.base + "/ui/keys"))
	b.sees("Sign in")
	b.check("the session")
}

// TestQuick: the first paint comes within a fifth of a second, and the page is
// there soon after.
func TestQuick(t *testing.T) {
	whole(t)
	h := open(t)
	b := launch(t, h.base)
	b.signIn()
	best := 1e9
	for range 7 {
		b.do(chromedp.Navigate("about:blank"))
		b.visit("/ui/")
		paint := eval[float64](b, `performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 1e9`)
		best = min(best, paint)
		t.Logf("first paint after %.0f ms, %.0f KB in %.0f requests", paint, eval[float64](b, `performance.getEntriesByType("resource").reduce((n, r) => n + r.encodedBodySize, 0) / 1024`), eval[float64](b, `performance.getEntriesByType("resource").length`))
	}
	// Other work on the machine only ever makes it slower.
	if best > 200 {
		t.Errorf("the first paint took %.0f ms at best", best)
	}
}
