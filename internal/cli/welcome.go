package cli

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"

	"headrace/internal/app"
)

// Welcome prints what a person needs for the first five minutes: where the
// gateway is, the credentials that were made just now, what it found, one
// curl line that works when pasted, and the settings of the usual clients. A
// start that made no credentials prints none; the lines then use
// $HEADRACE_KEY. It writes once, so that a log line cannot come between.
func Welcome(w io.Writer, version string, info app.Info) error {
	var b bytes.Buffer
	base := "http://" + reachable(info.Address)
	fmt.Fprintf(&b, "\nHeadrace %s is ready on %s", clean(version), base)
	if info.Took > 0 {
		fmt.Fprintf(&b, " after %d ms", max(1, info.Took.Milliseconds()))
	}
	fmt.Fprintf(&b, "\nThe dashboard is at %s/ui/\nState is in %s\n", base, clean(info.Data))
	if h, _, err := net.SplitHostPort(info.Address); err == nil && wildcard(h) {
		b.WriteString("It listens on every address of this machine; every request needs a key.\n")
	}
	for _, n := range info.Notes {
		fmt.Fprintf(&b, "Note: %s\n", clean(n))
	}

	b.WriteByte('\n')
	quoted := `"$HEADRACE_KEY"`
	bearer := `"Authorization: Bearer $HEADRACE_KEY"`
	if info.Key != "" {
		key := info.Key.Reveal()
		quoted = quote(key)
		bearer = quote("Authorization: Bearer " + key)
		fmt.Fprintf(&b, "Key          %s   (shown this once)\n", clean(key))
	} else {
		b.WriteString("Keys         as before: headrace keys list; a new one: headrace keys create\n")
		b.WriteString("             the lines below take yours from HEADRACE_KEY\n")
	}
	if info.AdminToken != "" {
		fmt.Fprintf(&b, "Admin token  %s   (shown this once)\n", clean(info.AdminToken.Reveal()))
	}

	b.WriteString("\nProviders\n")
	var t table
	for _, p := range info.Providers {
		word := p.Source
		if p.State != "ready" {
			word = p.State
			if p.Advice != "" {
				word += ": " + p.Advice
			}
		}
		t.row("  "+p.ID, word)
	}
	if err := t.write(&b); err != nil {
		return err
	}

	const model = "rehearsal/quick"
	fmt.Fprintf(&b, "\nTry it\n  curl -sS %s/v1/chat/completions -H %s -H 'Content-Type: application/json' -d %s\n",
		base, bearer, quote(fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"Hello"}]}`, model)))

	b.WriteString("\nPoint your tools here\n")
	claude := ""
	if info.Claude != "" { // it would ask for a model that nobody has
		claude = " ANTHROPIC_MODEL=" + quote(info.Claude)
	}
	for _, c := range []struct{ name, urlName, url, keyName, more string }{
		{"Claude Code", "ANTHROPIC_BASE_URL", base, "ANTHROPIC_AUTH_TOKEN", claude},
		{"OpenAI SDK", "OPENAI_BASE_URL", base + "/v1", "OPENAI_API_KEY", ""},
		{"Anthropic SDK", "ANTHROPIC_BASE_URL", base, "ANTHROPIC_API_KEY", ""},
		{"Gemini SDK", "GOOGLE_GEMINI_BASE_URL", base, "GEMINI_API_KEY", ""},
	} {
		fmt.Fprintf(&b, "  %-14s export %s=%s %s=%s%s\n", c.name, c.urlName, c.url, c.keyName, quoted, c.more)
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// reachable turns an address to bind into one to call.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if wildcard(host) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// quote writes a word for a shell, in single quotes unless it needs none.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
