package guard

import (
	"regexp"
	"strings"
)

// detector finds one kind of thing that should not leave the house.
type detector struct {
	name, group string
	may         func(text string) bool
	pattern     *regexp.Regexp
	check       func(string) bool
}

// The groups.
const (
	personal = "pii"
	secrets  = "secret"
)

// The detectors. They prefer missing an odd spelling to finding what is none:
// numbers must have the right checksum, keys the prefix that their issuer
// documents (GitHub, AWS, Google, Slack, GitLab, Stripe, OpenAI, Anthropic;
// 2026-11).
var detectors = []detector{
	{"email", personal, contains("@"), regexp.MustCompile(`\b[A-Za-z0-9._%+\-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b`), nil},
	{"phone", personal, dense(7, 32), regexp.MustCompile(`(?:\+|\b00)[1-9][0-9]{0,2}[ .\-/]?(?:\(0?[0-9]{1,4}\)[ .\-/]?)?[0-9](?:[ .\-/]?[0-9]){5,12}\b|\(?\b[2-9][0-9]{2}\)?[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}\b`), nil},
	{"card", personal, dense(13, 40), regexp.MustCompile(`\b[2-6](?:[ \-]?[0-9]){12,18}\b`), luhn},
	{"iban", personal, dense(6, 44), regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b`), iban},
	{"ssn", personal, dense(9, 11), regexp.MustCompile(`\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b`), ssn},
	{"private_key", secrets, contains("PRIVATE KEY"), regexp.MustCompile(`-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)`), nil},
	{"jwt", secrets, contains("eyJ"), regexp.MustCompile(`\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}`), nil},
	{"api_key", secrets, contains("sk-", "k_live_", "hr-", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AIza"), regexp.MustCompile(`\b(?:sk-(?:ant-|proj-|or-)?[A-Za-z0-9_\-]{20,}|sk_live_[A-Za-z0-9]{16,}|rk_live_[A-Za-z0-9]{16,}|hr-[A-Za-z0-9_\-]{24,}|(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_\-]{20,}|xox[abeprs]-[A-Za-z0-9\-]{10,}|AIza[A-Za-z0-9_\-]{35})`), nil},
}

// Detectors lists the names that Rule.Find knows, groups first.
func Detectors() []string {
	names := []string{personal, secrets}
	for i := range detectors {
		names = append(names, detectors[i].name)
	}
	return names
}

func named(name string) []detector {
	var some []detector
	for _, d := range detectors {
		if d.name == name || d.group == name {
			some = append(some, d)
		}
	}
	return some
}

// digits keeps the digits of a text.
func digits(s string) string {
	return strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return c
		}
		return -1
	}, s)
}

// luhn is the checksum of card numbers (ISO/IEC 7812-1).
func luhn(s string) bool {
	d := digits(s)
	if len(d) < 13 || len(d) > 19 {
		return false
	}
	sum := 0
	for i := range len(d) {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0 && strings.Trim(d, d[:1]) != ""
}

// iban is the checksum of bank accounts (ISO 13616, mod 97).
func iban(s string) bool {
	s = strings.ReplaceAll(s, " ", "")
	if len(s) < 15 || len(s) > 34 {
		return false
	}
	rest := 0
	for _, c := range s[4:] + s[:4] {
		if '0' <= c && c <= '9' {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}

// ssn leaves out the numbers that are never given out (000, 666 and 9xx in
// front, groups of zeros).
func ssn(s string) bool {
	parts := strings.Split(s, "-")
	return parts[0] != "000" && parts[0] != "666" && parts[1] != "00" && parts[2] != "0000"
}

// contains finds texts with one of the words.
func contains(words ...string) func(string) bool {
	return func(text string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
}

// dense finds texts with n digits within so many bytes.
func dense(n, within int) func(string) bool {
	return func(text string) bool {
		have := 0
		for i := range len(text) {
			if isDigit(text[i]) {
				have++
			}
			if i >= within && isDigit(text[i-within]) {
				have--
			}
			if have >= n {
				return true
			}
		}
		return false
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
