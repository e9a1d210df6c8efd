package browser_test

import (
	"os"
	"strings"
	"testing"
)

// pages are all pages, and what stands on them.
var pages = []struct{ name, path, sees string }{
	{"overview", "/ui/", "Spent today"},
	{"requests", "/ui/requests?since=30d", "claude-code"},
	{"models", "/ui/models", "anthropic/claude-opus-5-5"},
	{"routes", "/ui/routes", "smart"},
	{"experiments", "/ui/experiments", "cheaper"},
	{"experiment", "/ui/experiments/cheaper", "Against the control"},
	{"batches", "/ui/batches", "msgbatch_"},
	{"people", "/ui/members", "Grace"},
	{"keys", "/ui/keys", "support-bot"},
	{"budgets", "/ui/budgets", "budget"},
	{"providers", "/ui/providers", "anthropic"},
	{"provider", "/ui/providers/anthropic", "Ask for one word"},
	{"audit", "/ui/audit", "members.create"},
	{"settings", "/ui/settings", "YAML"},
	{"connect", "/ui/connect?client=claude-code", "ANTHROPIC_BASE_URL"},
	{"playground", "/ui/playground", "Ask"},
}

// TestPages visits every page in three forms: it has what it should, nothing
// against the policy, no violation of axe, nothing that jumps.
func TestPages(t *testing.T) {
	whole(t)
	t.Parallel()
	only := os.Getenv("PAGES")
	h := open(t)
	for range 6 {
		h.call("POST", "/v1/chat/completions", key, `{"model":"smart","stream":true,"messages":[{"role":"user","content":"Hello"}]}`, 200)
		h.chat(key, "anthropic/claude-sonnet-5", "Hello", 200)
		h.chat(key, "quick", "Hello", 200)
	}
	h.stage()
	b := launch(t, h.base)
	b.signIn()
	for _, form := range []struct {
		name, scheme  string
		width, height int64
		// rules are those of axe that can differ from the first form's.
		rules string
	}{{"", "light", 1280, 800, `{}`}, {"-dark", "dark", 1280, 800, `{runOnly: ["color-contrast"]}`}, {"-phone", "light", 390, 844, `{rules: {"color-contrast": {enabled: false}}}`}} {
		b.look(form.width, form.height, form.scheme)
		for _, p := range pages {
			where := p.name + form.name
			if only != "" && !strings.Contains(where, only) {
				continue
			}
			b.visit(p.path)
			b.sees(p.sees)
			b.check(where)
			b.axe(where, form.rules)
			shift := eval[float64](b, `new Promise((done) => { let sum = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) sum += e.value; }).observe({type: "layout-shift", buffered: true}); setTimeout(() => done(sum), 60); })`)
			if shift > 0.02 {
				t.Errorf("%s: things jump by %.3f", where, shift)
			}
			if wide := eval[string](b, tooWide); wide != "" {
				t.Errorf("%s: the page is too wide: %s", where, wide)
			}
			b.picture(where)
		}
	}
}

// tooWide names what reaches beyond the window, unless the page fits.
const tooWide = `(() => {
	const most = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth <= most) return "";
	return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1 && !e.parentElement.closest(".scroll, .tabs, pre")).map((e) => e.outerHTML.slice(0, 120)).slice(0, 3).join(" | ") || "something hidden";
})()`
