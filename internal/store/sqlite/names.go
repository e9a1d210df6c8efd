package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"headrace/internal/catalog"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// maxNames bounds each of the maps below: clients choose some of the words.
const maxNames = 8192

// names remembers the ids of what many rows share. Rows of these tables are
// never changed or deleted, so an id that was committed stays true.
type names struct {
	callers map[caller]int64
	asks    map[ask]int64
	targets map[target]int64
	ends    map[end]int64
	tries   map[try]int64
	labels  map[ledger.Label]int64
	// days are the words that are written down for a day already.
	days map[dayWord]bool
}

// The shared things, by their values.
type (
	caller struct{ keyID, keyName, team string }
	ask    struct {
		dialect  llm.Dialect
		op       llm.Op
		asked    string
		streamed bool
		needs    llm.Feature
	}
	target struct{ provider, model string }
	end    struct {
		status    int
		class     llm.Class
		committed bool
	}
	try struct {
		why    string
		status int
		class  llm.Class
		finish llm.FinishReason
		source llm.UsageSource
		no     llm.Refused
	}
)

func (n *names) forget() {
	*n = names{callers: map[caller]int64{}, asks: map[ask]int64{}, targets: map[target]int64{}, ends: map[end]int64{}, tries: map[try]int64{},
		labels: map[ledger.Label]int64{}, days: map[dayWord]bool{}}
}

// namer gives ids in a transaction and keeps the first error.
type namer struct {
	ctx context.Context
	d   *DB
	tx  *sql.Tx
	err error
}

func (n *namer) caller(k caller) int64 {
	if id, ok := n.d.names.callers[k]; ok {
		return id
	}
	return named(n, n.d.names.callers, k, "ledger_caller", k.keyID, k.keyName, k.team)
}

func (n *namer) ask(k ask) int64 {
	if id, ok := n.d.names.asks[k]; ok {
		return id
	}
	return named(n, n.d.names.asks, k, "ledger_ask", string(k.dialect), string(k.op), k.asked, k.streamed, strings.Join(catalog.NamesOf(k.needs), ","))
}

func (n *namer) target(k target) int64 {
	if id, ok := n.d.names.targets[k]; ok {
		return id
	}
	return named(n, n.d.names.targets, k, "ledger_target", k.provider, k.model)
}

func (n *namer) end(k end) int64 {
	if id, ok := n.d.names.ends[k]; ok {
		return id
	}
	return named(n, n.d.names.ends, k, "ledger_end", k.status, string(k.class), k.committed)
}

func (n *namer) try(k try) int64 {
	if id, ok := n.d.names.tries[k]; ok {
		return id
	}
	return named(n, n.d.names.tries, k, "ledger_try", k.why, k.status, string(k.class), string(k.finish), string(k.source),
		string(k.no.Phase), k.no.Category)
}

// named asks the store for an id; the callers above have looked in known.
func named[K comparable](n *namer, known map[K]int64, k K, statement string, args ...any) int64 {
	if n.err != nil {
		return 0
	}
	var id int64
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
