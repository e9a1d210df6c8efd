package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"headrace/internal/audit"
)

// audits keeps every change as a row of the chain in the store, and as a line of
// JSON in a file beside it: whoever copies the file away has what the chain must
// hold.
type audits struct {
	store audit.Store
	path  string
	log   func(error)
	mu    sync.Mutex // one line at a time
}

// Audit notes who did what to which subject. It is written when it returns.
func (a *audits) Audit(ctx context.Context, actor, action, subject string) {
	row, err := a.store.AppendAudit(ctx, audit.Row{At: time.Now().UTC().Truncate(time.Millisecond), Actor: actor, Action: action, Subject: subject})
	if err != nil {
		a.log(err)
	}
	line, err := json.Marshal(map[string]any{"n": row.N, "at": row.At, "actor": actor, "action": action, "subject": subject, "hash": hex.EncodeToString(row.Hash[:])})
	if err == nil {
		err = a.append(append(line, '\n'))
	}
	if err != nil {
		a.log(err)
	}
}

func (a *audits) append(line []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	file, err := os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(line); err != nil {
		return fmt.Errorf("%w; close: %v", err, file.Close())
	}
	return file.Close()
}
