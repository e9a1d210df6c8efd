package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// The statements, one file each, named after what they do. They run unchanged
// on PostgreSQL too, but for the batch inserts (question marks, widened rows).
//
//go:embed sql/*.sql
var statements embed.FS

// wide is how many rows one statement of a batch inserts. Measured with rows of
// 22 values (2026-11-23, CPU of 512 rows): 1 a statement 9.5 to 10.2 us a row,
// 8 a statement 6.7 to 7.2, 32 about 8, 128 about 10.
const wide = 8

// The names of statements, as their files are called.
const (
	insertRequests = "ledger_insert_requests"
	insertAttempts = "ledger_insert_attempts"
	widened        = "_wide"
	// stand is prepared for readers and, under the other name, for the writer.
	stand        = "budget_stand"
	standWriting = "budget_stand_writing"
	// So is feedback.
	feedback        = "ledger_feedback"
	feedbackWriting = "ledger_feedback_writing"
)

// onWriter are the statements that write.
var onWriter = map[string]bool{
	"staff_put_member": true, "staff_put_session": true, "staff_drop_session": true, "staff_sweep_sessions": true,
	"ledger_label": true, "ledger_insert_mark": true, "ledger_prune_marks": true, "ledger_day_word": true,
	"audit_last": true, "audit_append": true, "vault_put_credential": true, "vault_drop_credential": true,
	"vault_put_version": true, "vault_drop_versions": true,
	"access_put_key": true, "access_raise_version": true,
	"ledger_caller": true, "ledger_ask": true, "ledger_target": true, "ledger_end": true, "ledger_try": true,
	insertRequests: true, insertRequests + widened: true,
	insertAttempts: true, insertAttempts + widened: true,
	"ledger_add_hour": true, "ledger_add_day": true, "ledger_add_hour_label": true, "ledger_add_day_label": true, "ledger_last_seq": true, "ledger_seq": true,
	"ledger_begin_run": true, "ledger_killed_runs": true, "ledger_run_batch": true,
	"ledger_note_batch": true, "ledger_end_run": true,
	"ledger_insert_choice": true, "ledger_put_feedback": true, "ledger_add_success": true, "ledger_judged": true, "ledger_judged_attempts": true,
	feedbackWriting: true, "learned_save": true, "ledger_prune_choices": true, "ledger_prune_feedback": true,
	"ledger_insert_charge": true, "ledger_prune_attempts": true, "ledger_prune_charges": true, "ledger_prune_requests": true,
	standWriting:          true,
	"ledger_insert_trial": true, "ledger_prune_trials": true,
	"study_put_run": true, "study_put_unit": true, "study_move": true, "study_add_order": true, "study_put_verdict": true, "study_prune_verdicts": true,
	"budget_put": true, "budget_drop": true, "budget_raise_version": true, "budget_account": true,
	"budget_own": true, "budget_lease": true, "budget_charge": true, "budget_settle_lost": true,
	"recall_put": true, "recall_drop": true, "recall_drop_live": true, "recall_sweep": true,
	"batch_begin_job": true, "batch_add_item": true, "batch_add_body": true, "batch_put_key": true,
	"batch_ready_job": true, "batch_drop_bodies": true, "batch_drop_items": true, "batch_drop_job": true,
	"batch_end_jobs": true, "batch_cancel_job": true, "batch_claim_items": true, "batch_move_item": true,
	"batch_move_job": true, "batch_finish_item": true, "batch_finish_body": true, "batch_drop_answer": true,
	"batch_reopen_job": true, "batch_reopen_items": true, "batch_intend": true, "batch_intend_item": true,
	"batch_size": true, "batch_save": true, "batch_run_items": true, "batch_end_items": true,
	"batch_claim_sent": true, "batch_sweep_keys": true, "batch_get_key": true, "batch_owner": true,
	"webhook_put": true, "webhook_drop": true, "webhook_drop_deliveries": true, "webhook_claim": true, "webhook_keep_body": true,
	"webhook_put_off": true, "webhook_end": true, "webhook_free": true, "webhook_add": true,
	"batch_add_part": true, "batch_put_file": true, "batch_drop_file": true, "batch_drop_parts": true,
	"batch_add_time": true, "batch_prune_times": true, "batch_forecast": true, "batch_hold": true, "batch_number": true, "batch_add_usage": true, "batch_number_job": true, "batch_sweep_files": true, "batch_sweep_parts": true,
}

// prepare reads and prepares every statement, so that a wrong one is found at
// the start.
func (d *DB) prepare(ctx context.Context) error {
	files, err := statements.ReadDir("sql")
	if err != nil {
		return err
	}
	d.text = make(map[string]string, len(files)+2)
	for _, f := range files {
		raw, err := statements.ReadFile(path.Join("sql", f.Name()))
		if err != nil {
			return err
		}
		d.text[strings.TrimSuffix(f.Name(), ".sql")] = strings.TrimSpace(string(raw))
	}
	for _, name := range []string{insertRequests, insertAttempts} {
		d.text[name+widened] = widen(d.text[name], wide)
	}
	d.text[standWriting], d.text[feedbackWriting] = d.text[stand], d.text[feedback]
	return d.PrepareAll(ctx)
}

// PrepareAll prepares every statement anew; an error names the statement.
func (d *DB) PrepareAll(ctx context.Context) error {
	old := d.stmts
	next := make(map[string]*sql.Stmt, len(d.text))
	for _, name := range slices.Sorted(maps.Keys(d.text)) {
		db := d.read
		if onWriter[name] {
			db = d.write
		}
		s, err := db.PrepareContext(ctx, d.text[name])
		if err != nil {
			return fmt.Errorf("statement %s: %w", name, err)
		}
		next[name] = s
	}
	if old == nil {
		d.stmts = next
		return nil
	}
	for _, s := range next {
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// widen repeats the row of an insert, which stands on a line of its own.
func widen(text string, rows int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "(?") {
			lines[i] = strings.Repeat(line+",\n", rows-1) + line
		}
	}
	return strings.Join(lines, "\n")
}
