package config

import (
	"strings"
	"testing"
)

// TestMask: no secret is shown, and what comes back is what was there.
func TestMask(t *testing.T) {
	t.Parallel()
	text := strings.Join([]string{
		"# api_key: sk-old-commented-out-1234567890abcdef",
		"providers:",
		"  openai: {api_key: sk-live-in-braces-1234567890}",
		"  mistral:",
		`    api_key: "quoted-secret-value-123"   # do not lose`,
		"  anthropic:",
		"    api_key: ${ANTHROPIC_API_KEY}",
		"  mine:",
		"    base_url: https://example.com/v1",
		"    dialect: openai",
		"    api_keys:",
		"      - {key: first-of-several-keys, name: a}",
		"      - key: second-of-several-keys",
		"    headers:",
		"      X-Team-Token: header-secret-99",
		"routes:",
		"  smart: [openai/gpt-5.2]",
		"",
	}, "\n")
	c, err := Parse("x.yaml", []byte(text), func(name string) string { return "from-the-environment" })
	if err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]*Config{"read": c, "unreadable": nil} {
		hidden, kept := by.Mask(text, []byte("salt"))
		for _, secret := range []string{"sk-old-commented-out", "sk-live-in-braces", "quoted-secret", "first-of-several", "second-of-several", "header-secret"} {
			if strings.Contains(hidden, secret) && by != nil {
				t.Errorf("%s: %s is shown:\n%s", name, secret, hidden)
			}
		}
		for _, plain := range []string{"${ANTHROPIC_API_KEY}", "https://example.com/v1", "smart: [openai/gpt-5.2]"} {
			if !strings.Contains(hidden, plain) {
				t.Errorf("%s: %s is not shown:\n%s", name, plain, hidden)
			}
		}
		if back, lost := Unmask(hidden, kept); back != text || lost != nil {
			t.Errorf("%s: came back as\n%s\n%v", name, back, lost)
		}
	}
	other, _ := c.Mask(text, []byte("another"))
	if same, _ := c.Mask(text, []byte("salt")); same == other {
		t.Error("a mark is the same whatever the salt")
	}
	if _, lost := Unmask("a: 1\nb: (kept 000000000000)", nil); len(lost) != 1 || lost[0].Line != 2 || lost[0].Column != 4 {
		t.Errorf("%v", lost)
	}
}
