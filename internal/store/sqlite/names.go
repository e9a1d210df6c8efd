package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// maxNames bounds each of the maps below: clients choose some of the words.
const maxNames = 8192

// names remembers the ids of words, callers and targets. Rows of these tables
// are never changed or deleted, so an id that was committed stays true.
type names struct {
	words   map[string]int64
	callers map[[3]string]int64
	targets map[[2]string]int64
}

func (n *names) forget() {
	n.words = make(map[string]int64)
	n.callers = make(map[[3]string]int64)
	n.targets = make(map[[2]string]int64)
}

// namer gives ids in a transaction and keeps the first error.
type namer struct {
	ctx context.Context
	d   *DB
	tx  *sql.Tx
	err error
}

func (n *namer) word(w string) int64 {
	if id, ok := n.d.names.words[w]; ok {
		return id
	}
	return named(n, n.d.names.words, w, "ledger_word", w)
}

func (n *namer) caller(keyID, name, team string) int64 {
	k := [3]string{keyID, name, team}
	if id, ok := n.d.names.callers[k]; ok {
		return id
	}
	return named(n, n.d.names.callers, k, "ledger_caller", keyID, name, team)
}

func (n *namer) target(provider, model string) int64 {
	k := [2]string{provider, model}
	if id, ok := n.d.names.targets[k]; ok {
		return id
	}
	return named(n, n.d.names.targets, k, "ledger_target", provider, model)
}

func named[K comparable](n *namer, known map[K]int64, k K, statement string, args ...any) int64 {
	id, ok := known[k]
	if ok || n.err != nil {
		return id
	}
	if err := n.d.in(n.tx, statement).QueryRowContext(n.ctx, args...).Scan(&id); err != nil {
		n.err = fmt.Errorf("name in %s: %w", statement, err)
		return 0
	}
	if len(known) >= maxNames {
		clear(known)
	}
	known[k] = id
	return id
}
