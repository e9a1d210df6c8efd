package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"headrace/internal/llm"
)

// table is aligned text for people. Columns are two spaces apart; nothing is
// cut.
type table struct {
	head []string
	rows [][]string
	// right marks columns that are aligned to the right, by index.
	right map[int]bool
}

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(w io.Writer) error {
	var widths []int
	all := t.rows
	if t.head != nil {
		upper := make([]string, len(t.head))
		for i, h := range t.head {
			upper[i] = strings.ToUpper(h)
		}
		all = append([][]string{upper}, all...)
	}
	for _, r := range all {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, r := range all {
		var one strings.Builder
		for i, c := range r {
			if i > 0 {
				one.WriteString("  ")
			}
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if t.right[i] {
				one.WriteString(space + c)
			} else {
				one.WriteString(c + space)
			}
		}
		b.WriteString(strings.TrimRight(one.String(), " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func columns(right ...int) map[int]bool {
	m := map[int]bool{}
	for _, i := range right {
		m[i] = true
	}
	return m
}

// dollars writes money with as many places as it needs, four at least.
func dollars(n llm.Nanodollars) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	frac := strings.TrimRight(fmt.Sprintf("%09d", int64(n)%1e9), "0")
	for len(frac) < 4 {
		frac += "0"
	}
	return sign + "$" + strconv.FormatInt(int64(n)/1e9, 10) + "." + frac
}

// number groups digits: 1,234,567.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// date writes a time for a table, in UTC; zero is a dash.
func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// dash stands for nothing.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func rate(p *float64) string {
	if p == nil {
		return "?"
	}
	return "$" + strconv.FormatFloat(*p, 'f', -1, 64)
}
