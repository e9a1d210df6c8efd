package guard

import (
	"context"
	"strings"
	"unicode/utf8"
)

// The bounds of a stream's window, in bytes.
const (
	// DefaultWindow is how much of a streamed text is held back, so that what a
	// rule looks for is found before the client has the first of it.
	DefaultWindow = 160
	// most is how long a match may grow at the end of what has come before it is
	// taken as complete.
	most = 64 << 10
)

// Stream looks at one streamed text through a window that slides along. Not
// safe for concurrent use.
type Stream struct {
	ctx    context.Context
	rules  *Rules
	vault  *Vault
	inJSON bool
	// text has come and waits, but for its first character, seen bytes long, which
	// was given out; seen is 0 before there is one.
	text string
	seen int
	told Report
}

// Stream begins a text: what the model writes, or the arguments of a call.
func (r *Rules) Stream(ctx context.Context, v *Vault, inJSON bool) *Stream {
	return &Stream{ctx: ctx, rules: r, vault: v, inJSON: inJSON}
}

// Add takes the next piece and gives what may go to the client now, which may
// be nothing. After a Report with Block nothing more may be given.
func (s *Stream) Add(piece string) string {
	s.text += piece
	return s.slide(false)
}

// End gives what is left.
func (s *Stream) End() string {
	if s.whole() && s.told.Block == "" {
		s.rules.Whole(s.ctx, Output, s.text, &s.told)
	}
	return s.slide(true)
}

// whole reports whether nothing may be given before all is there.
func (s *Stream) whole() bool { return !s.inJSON && s.rules.wholes() }

// Report is what was found so far.
func (s *Stream) Report() *Report { return &s.told }

func (s *Stream) slide(last bool) string {
	if s.told.Block != "" {
		return ""
	}
	safe := len(s.text)
	switch {
	case last:
	case s.whole():
		return ""
	default:
		safe = s.hold()
	}
	if safe <= s.seen {
		return ""
	}
	var all []Finding
	if len(s.rules.out) > 0 {
		// s.text begins with one character that was given out, if any was.
		all = search(s.rules.out, s.text, s.seen > 0)
	}
	if !last {
		safe = s.between(safe, all)
	}
	found := resolve(all)
	for _, f := range found {
		if f.Do == Block {
			s.told.add([]Finding{f})
			return ""
		}
	}
	if safe <= s.seen {
		return ""
	}
	for i := range found {
		if found[i].From >= safe {
			found = found[:i]
			break
		}
	}
	s.told.add(found)
	for i := range found {
		found[i].From -= s.seen
		found[i].To -= s.seen
	}
	out := strike(s.text[s.seen:safe], found)
	s.seen = safe
	_, size := utf8.DecodeLastRuneInString(s.text[:s.seen])
	s.text, s.seen = s.text[s.seen-size:], size
	if s.inJSON {
		return s.vault.restoreJSON(out)
	}
	return s.vault.Restore(out)
}

// hold is the place behind which what has come waits for more.
func (s *Stream) hold() int {
	safe := len(s.text)
	if len(s.rules.out) > 0 {
		safe -= s.rules.window
	}
	for safe > s.seen && safe < len(s.text) && !utf8.RuneStart(s.text[safe]) {
		safe--
	}
	return safe
}

// between moves a cut forward until it goes through no match, which may grow
// on while it touches the end, and through no placeholder.
func (s *Stream) between(safe int, found []Finding) int {
	if len(s.text) > most {
		return len(s.text)
	}
	for {
		at := safe
		for _, f := range found {
			if f.From < at && (f.To > at || f.To == len(s.text)) {
				at = f.From
			}
		}
		if !s.vault.Empty() {
			at = s.placed(at)
		}
		if at == safe {
			return safe
		}
		safe = at
	}
}

// placed moves a cut before the placeholder that it would go through, or that
// may have begun.
func (s *Stream) placed(at int) int {
	from := max(at-longest, s.seen)
	i := strings.LastIndexByte(s.text[from:at], '[')
	if i < 0 || strings.Contains(s.text[from+i:at], "]") {
		return at
	}
	i += from
	rest := s.text[i:min(i+longest, len(s.text))]
	if end := strings.IndexByte(rest, ']'); end >= 0 && placeholder.MatchString(rest[:end+1]) || end < 0 && len(rest) < longest {
		return i
	}
	return at
}
