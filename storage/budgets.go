package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	budgetColumns = `spent, cell, turn_at, barred_until, strikes, taken_at`
	lockBudget    = `SELECT ` + budgetColumns + ` FROM budgets WHERE carrier = ? AND account = ? FOR UPDATE`
	makeBudget    = `INSERT INTO budgets (carrier, account, ` + budgetColumns + `) VALUES (?, ?, '[]', 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING`
	putBudget     = `UPDATE budgets SET spent = ?, cell = ?, turn_at = ?, barred_until = ?, strikes = ?, taken_at = ? WHERE carrier = ? AND account = ?`
)

// LeaseBudget takes calls out of a carrier account's budget, for all replicas on
// this database together: the row of the account is locked while the rules of
// [parcel.CallBudget] decide. It costs two statements in a transaction.
func (s *Store) LeaseBudget(ctx context.Context, key parcel.BudgetKey, ask parcel.BudgetAsk) (parcel.BudgetGrant, error) {
	var g parcel.BudgetGrant
	err := s.changeBudget(ctx, "lease budget", key, func(b *parcel.CallBudget) { g = b.Lease(ask) })
	return g, err
}

// BarBudget notes that a carrier asked to be left alone through an account, as
// [parcel.CallBudget.Bar] reads it, and tells until when the door is closed.
func (s *Store) BarBudget(ctx context.Context, key parcel.BudgetKey, now time.Time, wait time.Duration) (until time.Time, err error) {
	err = s.changeBudget(ctx, "bar budget", key, func(b *parcel.CallBudget) {
		b.Bar(now, wait)
		until = b.BarredUntil
	})
	return until, err
}

// ReturnBudget gives back calls that were leased and not made.
func (s *Store) ReturnBudget(ctx context.Context, key parcel.BudgetKey, unused []parcel.BudgetCell) error {
	return s.changeBudget(ctx, "return budget", key, func(b *parcel.CallBudget) { b.GiveBack(unused) })
}

func (s *Store) changeBudget(ctx context.Context, op string, key parcel.BudgetKey, change func(b *parcel.CallBudget)) error {
	return s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.lockBudget(ctx, op, key)
		if errors.Is(err, parcel.ErrNotFound) {
			if _, err = tx.exec(ctx, op, makeBudget, key.Carrier, column(key.Account)); err == nil {
				b, err = tx.lockBudget(ctx, op, key)
			}
		}
		if err != nil {
			return err
		}
		change(&b)
		_, err = tx.exec(ctx, op, putBudget, jsonText(cells(b.Spent)), b.Cell.Microseconds(), micros(b.TurnAt), micros(b.BarredUntil),
			int64(b.Strikes), micros(b.At), key.Carrier, column(key.Account))
		return err
	})
}

func (tx *Tx) lockBudget(ctx context.Context, op string, key parcel.BudgetKey) (parcel.CallBudget, error) {
	var b parcel.CallBudget
	found := false
	err := tx.query(ctx, op, lockBudget, func(rows *sql.Rows) (err error) {
		found = true
		b, err = scanBudget(rows)
		return err
	}, key.Carrier, column(key.Account))
	if err == nil && !found {
		return b, parcel.ErrNotFound
	}
	return b, err
}

// cells writes what was spent as pairs.
func cells(spent []parcel.BudgetCell) [][2]int64 {
	out := make([][2]int64, len(spent))
	for i, c := range spent {
		out[i] = [2]int64{c.Index, int64(c.Calls)}
	}
	return out
}

// scanBudget reads budgetColumns, behind what before takes.
func scanBudget(rows *sql.Rows, before ...any) (parcel.CallBudget, error) {
	var b parcel.CallBudget
	var spent sql.RawBytes
	var cell, turn, barred, at int64
	if err := rows.Scan(append(before, &spent, &cell, &turn, &barred, &b.Strikes, &at)...); err != nil {
		return b, err
	}
	var pairs [][2]int64
	if err := json.Unmarshal(spent, &pairs); err != nil {
		return b, fmt.Errorf("budget: %w: %w", parcel.ErrMalformed, err)
	}
	for _, p := range pairs {
		b.Spent = append(b.Spent, parcel.BudgetCell{Index: p[0], Calls: int(p[1])})
	}
	b.Cell = time.Duration(cell) * time.Microsecond
	b.TurnAt, b.BarredUntil, b.At = instant(turn), instant(barred), instant(at)
	return b, nil
}

// Budgets reads what was taken of each account's allowance.
func (s *Store) Budgets(ctx context.Context) (map[parcel.BudgetKey]parcel.CallBudget, error) {
	out := map[parcel.BudgetKey]parcel.CallBudget{}
	err := s.reading().query(ctx, "budgets", `SELECT carrier, account, `+budgetColumns+` FROM budgets`, func(rows *sql.Rows) error {
		var k parcel.BudgetKey
		b, err := scanBudget(rows, &k.Carrier, &k.Account)
		out[k] = b
		return err
	})
	return out, err
}
