package app

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"headrace/internal/llm"
)

// alarmEvery is how often the operator is told of one provider's credential.
const alarmEvery = time.Minute

// alarm tells the operator of a credential that its provider refuses. Safe for
// concurrent use.
type alarm struct {
	log    *slog.Logger
	alerts *alerts

	mu   sync.Mutex // guards told
	told map[string]time.Time
}

// hear takes the error of an attempt.
func (a *alarm) hear(provider string, err error) {
	var e *llm.Error
	if !errors.As(err, &e) || e.Class != llm.Auth && e.Class != llm.QuotaExhausted {
		return
	}
	a.mu.Lock()
	now := time.Now()
	last, heard := a.told[provider]
	due := !heard || now.Sub(last) >= alarmEvery
	if due {
		if a.told == nil {
			a.told = map[string]time.Time{}
		}
		a.told[provider] = now
	}
	a.mu.Unlock()
	if due {
		a.log.Warn("a provider refuses our credential", "provider", provider, "class", e.Class, "status", e.Status, "message", e.Message)
		if a.alerts != nil {
			a.alerts.credential(provider, e)
		}
	}
}
