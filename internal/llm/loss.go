package llm

import (
	"fmt"
	"slices"
)

// LossKind says what becomes of something that a target cannot express.
type LossKind string

// The kinds of loss (facts: translate what can be, refuse what changes the
// meaning, warn about hints, carry opaque state).
const (
	// LossRefuse: leaving it out would change meaning, shape, safety, privacy
	// or the bill. The target is skipped; with none left the request is
	// refused.
	LossRefuse LossKind = "refuse"
	// LossWarn: a hint that is left out or approximated; the client is told in
	// x-headrace-warnings.
	LossWarn LossKind = "warn"
	// LossCarry: opaque state that does not travel to this target and that the
	// client keeps; nobody is told.
	LossCarry LossKind = "carry"
)

// Loss is one thing that an encoder could not express.
type Loss struct {
	Kind LossKind
	// Path is where it stood in the source, such as "seed" or
	// "messages.2.content.0".
	Path string
	// Why says what happened, short: "dropped: the model refuses it".
	Why string
}

// Refusal returns the first loss that refuses the target, or nil.
func Refusal(losses []Loss) *Loss {
	for i := range losses {
		if losses[i].Kind == LossRefuse {
			return &losses[i]
		}
	}
	return nil
}

// Losses collects what an encoder could not express. The zero value is ready.
type Losses struct {
	All  []Loss
	told []string
}

// Lose notes a loss.
func (l *Losses) Lose(kind LossKind, path, format string, args ...any) {
	l.All = append(l.All, Loss{Kind: kind, Path: path, Why: fmt.Sprintf(format, args...)})
}

// LoseOnce notes a loss once for each key, however often it occurs in a
// history.
func (l *Losses) LoseOnce(kind LossKind, key, path, why string) {
	if !slices.Contains(l.told, key) {
		l.told = append(l.told, key)
		l.Lose(kind, path, "%s", why)
	}
}
