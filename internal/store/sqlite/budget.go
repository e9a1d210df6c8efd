package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/budget"
	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// Budgets implements [budget.Store].
func (d *DB) Budgets(ctx context.Context) ([]budget.Budget, error) {
	return list(ctx, d.stmts["budget_list"], "budgets", func(row *sql.Rows) (b budget.Budget, err error) {
		var alerts string
		if err := row.Scan(&b.Scope, &b.Subject, &b.Window, (*int64)(&b.Limit), &alerts); err != nil {
			return b, err
		}
		if err := json.Unmarshal([]byte(alerts), &b.Alerts); err != nil {
			return b, fmt.Errorf("the alerts of budget %s: %w", b.ID, err)
		}
		return b, nil
	})
}

// PutBudget implements [budget.Store].
func (d *DB) PutBudget(ctx context.Context, b budget.Budget) error {
	alerts, err := array(b.Alerts)
	if err != nil {
		return fmt.Errorf("write the alerts of budget %s: %w", b.ID, err)
	}
	return d.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := d.in(tx, "budget_put").ExecContext(ctx, string(b.Scope), b.Subject, string(b.Window), int64(b.Limit), alerts); err != nil {
			return fmt.Errorf("write budget %s: %w", b.ID, err)
		}
		return d.raiseBudgets(ctx, tx)
	})
}

func (d *DB) raiseBudgets(ctx context.Context, tx *sql.Tx) error {
	if _, err := d.in(tx, "budget_raise_version").ExecContext(ctx); err != nil {
		return fmt.Errorf("raise the version of the budgets: %w", err)
	}
	return nil
}

// DropBudget implements [budget.Store].
func (d *DB) DropBudget(ctx context.Context, id budget.ID) (was bool, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		r, err := d.in(tx, "budget_drop").ExecContext(ctx, string(id.Scope), id.Subject, string(id.Window))
		if err != nil {
			return fmt.Errorf("drop budget %s: %w", id, err)
		}
		n, err := r.RowsAffected()
		if err != nil {
			return fmt.Errorf("drop budget %s: %w", id, err)
		}
		was = n > 0
		return d.raiseBudgets(ctx, tx)
	})
	return was, err
}

// BudgetsVersion implements [budget.Store].
func (d *DB) BudgetsVersion(ctx context.Context) (int64, error) {
	return version(ctx, d.stmts["budget_version"], "budgets")
}

// Lease implements [budget.Store].
func (d *DB) Lease(ctx context.Context, run int64, asks []budget.Ask) ([]budget.Account, error) {
	accounts := make([]budget.Account, len(asks))
	err := d.inTx(ctx, func(tx *sql.Tx) error {
		for i := range asks {
			a, err := d.leaseOne(ctx, tx, run, &asks[i])
			if err != nil {
				return fmt.Errorf("lease of budget %s: %w", asks[i].ID, err)
			}
			accounts[i] = a
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return accounts, nil
}

func (d *DB) leaseOne(ctx context.Context, tx *sql.Tx, run int64, ask *budget.Ask) (budget.Account, error) {
	id, err := d.accountID(ctx, tx, ask.ID.String(), ask.Start)
	if err != nil {
		return budget.Account{}, err
	}
	stand := d.in(tx, standWriting)
	a, err := standing(ctx, stand, ask.Slot)
	if err != nil || ask.Take == 0 {
		return a, err
	}
	var own int64
	if err := d.in(tx, "budget_own").QueryRowContext(ctx, id, run).Scan(&own); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return budget.Account{}, err
	}
	take := ask.Take
	if take < 0 {
		take = -min(-take, max(llm.Nanodollars(own), 0))
	} else {
		// A lease that is overdrawn counts as nothing, so filling it up takes
		// nothing from the limit.
		take = min(take, max(ask.Limit-a.Spent-a.Leased, 0)+max(-llm.Nanodollars(own), 0))
	}
	if take == 0 {
		return a, nil
	}
	if _, err := d.in(tx, "budget_lease").ExecContext(ctx, id, run, int64(take)); err != nil {
		return budget.Account{}, err
	}
	a, err = standing(ctx, stand, ask.Slot)
	a.Took = take
	return a, err
}

func (d *DB) accountID(ctx context.Context, tx *sql.Tx, name string, start time.Time) (id int64, err error) {
	err = d.in(tx, "budget_account").QueryRowContext(ctx, name, milli(start)).Scan(&id)
	return id, err
}

// standing reads how a slot stands; one that was never asked for has nothing.
func standing(ctx context.Context, stand *sql.Stmt, s budget.Slot) (budget.Account, error) {
	a := budget.Account{Slot: s}
	err := stand.QueryRowContext(ctx, s.ID.String(), milli(s.Start)).Scan((*int64)(&a.Spent), (*int64)(&a.Leased), (*int64)(&a.Lost))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return a, err
}

// Accounts implements [budget.Store].
func (d *DB) Accounts(ctx context.Context, slots []budget.Slot) ([]budget.Account, error) {
	accounts := make([]budget.Account, len(slots))
	for i, s := range slots {
		a, err := standing(ctx, d.stmts[stand], s)
		if err != nil {
			return nil, fmt.Errorf("read how budget %s stands: %w", s.ID, err)
		}
		accounts[i] = a
	}
	return accounts, nil
}

// SettleLost implements [budget.Store].
func (d *DB) SettleLost(ctx context.Context, s budget.Slot) (lost llm.Nanodollars, err error) {
	err = d.inTx(ctx, func(tx *sql.Tx) error {
		a, err := standing(ctx, d.in(tx, standWriting), s)
		if err != nil {
			return err
		}
		id, err := d.accountID(ctx, tx, s.ID.String(), s.Start)
		if err != nil {
			return err
		}
		if _, err := d.in(tx, "budget_settle_lost").ExecContext(ctx, id); err != nil {
			return err
		}
		lost = a.Lost
		return d.raiseBudgets(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("settle budget %s: %w", s.ID, err)
	}
	return lost, nil
}

// charge books what the entries of a batch took from budgets: a row for each,
// their sum on the account, and off the lease of the run.
func (d *DB) charge(ctx context.Context, tx *sql.Tx, b *ledger.Batch) error {
	type slot struct {
		name  string
		start int64
	}
	var ids map[slot]int64
	var sums map[int64]llm.Nanodollars
	for i := range b.Entries {
		for _, c := range b.Entries[i].Charges {
			if ids == nil {
				ids, sums = map[slot]int64{}, map[int64]llm.Nanodollars{}
			}
			at := slot{c.Budget, milli(c.Start)}
			id, ok := ids[at]
			if !ok {
				var err error
				if id, err = d.accountID(ctx, tx, c.Budget, c.Start); err != nil {
					return fmt.Errorf("find the account of budget %s: %w", c.Budget, err)
				}
				ids[at] = id
			}
			sums[id] += c.Amount
			if _, err := d.in(tx, "ledger_insert_charge").ExecContext(ctx, int64(b.Entries[i].ID), id, int64(c.Amount)); err != nil {
				return fmt.Errorf("insert a charge of %s: %w", b.Entries[i].ID, err)
			}
		}
	}
	for id, sum := range sums {
		if _, err := d.in(tx, "budget_charge").ExecContext(ctx, id, int64(sum)); err != nil {
			return fmt.Errorf("charge an account: %w", err)
		}
		if _, err := d.in(tx, "budget_lease").ExecContext(ctx, id, int64(b.Run), -int64(sum)); err != nil {
			return fmt.Errorf("take a charge off the lease: %w", err)
		}
	}
	return nil
}

func (d *DB) chargesOf(ctx context.Context, tx *sql.Tx, e *ledger.Entry) error {
	rows, err := d.in(tx, "ledger_charges").QueryContext(ctx, int64(e.ID))
	if err != nil {
		return fmt.Errorf("read the charges of %s: %w", e.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var c ledger.Charge
		var start int64
		if err := rows.Scan(&c.Budget, &start, (*int64)(&c.Amount)); err != nil {
			return fmt.Errorf("read a charge of %s: %w", e.ID, err)
		}
		c.Start = timeOf(start)
		e.Charges = append(e.Charges, c)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the charges of %s: %w", e.ID, err)
	}
	return nil
}
