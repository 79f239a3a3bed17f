package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	countDue  = `SELECT count(*) FROM (SELECT 1 FROM numbers WHERE carrier = ? AND next_at > 0 AND next_at <= ? AND leased_until <= ? LIMIT ?) AS due`
	oldestDue = `SELECT next_at FROM numbers WHERE carrier = ? AND next_at > 0 AND next_at <= ? AND leased_until <= ? ORDER BY next_at LIMIT 1`
	leaseDue  = `UPDATE numbers SET leased_until = ?, lease_token = ? FROM
	(SELECT d.carrier, d.number FROM numbers d WHERE d.carrier = ? AND d.next_at > 0 AND d.next_at <= ? AND d.leased_until <= ?
	ORDER BY d.next_at LIMIT ? FOR UPDATE SKIP LOCKED) AS t
WHERE numbers.carrier = t.carrier AND numbers.number = t.number
` + returningTracking

	// Each step finds the next merchant by one look into the index.
	dueOwners = `WITH RECURSIVE o(owner, step) AS (
	SELECT (SELECT n.owner FROM numbers n WHERE n.carrier = ? AND n.next_at > 0 AND n.owner > ? ORDER BY n.owner LIMIT 1), 1
	UNION ALL
	SELECT (SELECT n.owner FROM numbers n WHERE n.carrier = ? AND n.next_at > 0 AND n.owner > o.owner ORDER BY n.owner LIMIT 1), o.step + 1 FROM o WHERE o.owner IS NOT NULL AND o.step < ?
) SELECT owner FROM o WHERE owner IS NOT NULL`

	// ownersAtOnce is how many merchants get their turn in one look; the next
	// look begins with the next.
	ownersAtOnce = 32
	// turnsALook bounds how many times so many one look passes over.
	turnsALook = 16
)

// leaseDueOfOwner takes the most urgent of one merchant's due numbers: of each
// worth the longest overdue, and of all those by when they would be too late.
// The few found are looked up by their key: next_at is hidden from the planner
// there (+ 0), both parts of the key come from what was found, and SQLite is held
// to the order of the join, since without statistics both would rather go through
// all that is due, or look for the few again beside every number, which is
// seconds for 100,000 numbers instead of a tenth of a millisecond.
func leaseDueOfOwner() string {
	var b strings.Builder
	b.WriteString(`UPDATE numbers SET leased_until = ?, lease_token = ? FROM
	(SELECT d.carrier, d.number FROM (`)
	for w := parcel.WorthLittle; w <= parcel.WorthToday; w++ {
		if w > parcel.WorthLittle {
			b.WriteString("\n\tUNION ALL ")
		}
		fmt.Fprintf(&b, `SELECT * FROM (SELECT n.carrier, n.number, n.next_at + %d AS late FROM numbers n
		WHERE n.carrier = ? AND n.owner = ? AND n.worth = %d AND n.next_at > 0 AND n.next_at <= ? AND n.leased_until <= ? ORDER BY n.next_at LIMIT ?) AS w%d`,
			w.Slack().Microseconds(), w, w)
	}
	b.WriteString(`) AS u CROSS JOIN numbers d WHERE d.carrier = u.carrier AND d.number = u.number AND d.next_at + 0 BETWEEN 1 AND ? AND d.leased_until <= ?
	ORDER BY u.late LIMIT ? FOR UPDATE OF d SKIP LOCKED) AS t
WHERE numbers.carrier = t.carrier AND numbers.number = t.number
`)
	b.WriteString(returningTracking)
	return b.String()
}

// LeaseDue leases numbers of a carrier whose planned look is due and returns
// them with the lease set, and the merchant at whom the look ended. Replicas
// that ask at once get different numbers.
//
// Where all that is due may be asked for, the longest overdue come first. Where
// it may not, merchants take turns, so that one with a million numbers takes
// nothing from one with ten, and within a merchant's share the most urgent come
// first: by when they were due, and by how late their worth may be. The cost
// grows with the limit and the merchants that get a turn, not with the number of
// numbers.
func (s *Store) LeaseDue(ctx context.Context, ask parcel.Due) (leased []parcel.Tracking, after string, err error) {
	const op = "lease due"
	if ask.Token == "" || ask.Carrier == "" || !ask.Until.After(ask.Now) || ask.Limit < 1 {
		return nil, "", fmt.Errorf("storage: %s: no carrier, token, time or limit: %w", op, parcel.ErrInvalid)
	}
	now := micros(ask.Now)
	// Most looks find nothing due, and a look should not cost a transaction.
	var due int
	err = s.reading().row(ctx, op, countDue, []any{ask.Carrier, now, now, int64(ask.Limit + 1)}, &due)
	if err != nil || due == 0 {
		return nil, ask.After, err
	}
	if due <= ask.Limit && ask.Room == nil {
		err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
			leased = nil
			return tx.query(ctx, op, leaseDue, keepTrackings(&leased), micros(ask.Until), ask.Token, ask.Carrier, now, now, int64(ask.Limit))
		})
		after = ask.After
	} else {
		// Merchants whose turn it is may have nothing due: the turn goes on.
		for range turnsALook {
			if leased, after, err = s.leaseInTurns(ctx, op, ask); err != nil || len(leased) > 0 || after == ask.After {
				break
			}
			ask.After = after
		}
	}
	if err != nil {
		return nil, ask.After, err
	}
	slices.SortFunc(leased, func(a, b parcel.Tracking) int {
		return cmp.Or(a.NextAt.Add(a.Worth.Slack()).Compare(b.NextAt.Add(b.Worth.Slack())), a.NumberKey.Compare(b.NumberKey))
	})
	return leased, after, nil
}

// leaseInTurns shares the limit out among the merchants whose turn it is; what
// one does not need goes to the others.
func (s *Store) leaseInTurns(ctx context.Context, op string, ask parcel.Due) (leased []parcel.Tracking, after string, err error) {
	owners, err := s.dueOwners(ctx, op, ask.Carrier, ask.After)
	if err != nil {
		return nil, "", err
	}
	room := make([]int, len(owners))
	for i, owner := range owners {
		if room[i] = ask.Limit; ask.Room != nil {
			room[i] = min(ask.Limit, ask.Room(owner))
		}
	}
	text := leaseDueOfOwner()
	now, until := micros(ask.Now), micros(ask.Until)
	err = s.Update(ctx, func(ctx context.Context, tx *Tx) error {
		leased, after = nil, ask.After
		open := slices.Clone(room)
		for len(leased) < ask.Limit {
			hungry := 0
			for _, n := range open {
				if n > 0 {
					hungry++
				}
			}
			if hungry == 0 {
				return nil
			}
			share := max(1, (ask.Limit-len(leased))/hungry)
			for i, owner := range owners {
				n := min(share, open[i], ask.Limit-len(leased))
				if n < 1 {
					continue
				}
				had := len(leased)
				args := []any{until, ask.Token}
				for range parcel.WorthToday + 1 {
					args = append(args, ask.Carrier, owner, now, now, int64(n))
				}
				args = append(args, now, now, int64(n))
				if err := tx.query(ctx, op, text, keepTrackings(&leased), args...); err != nil {
					return err
				}
				if open[i] -= n; len(leased)-had < n {
					open[i] = 0 // there is no more of it
				}
				after = owner
			}
		}
		return nil
	})
	return leased, after, err
}

// dueOwners lists merchants with planned numbers at a carrier, beginning behind
// one of them.
func (s *Store) dueOwners(ctx context.Context, op, carrier, after string) ([]string, error) {
	var owners []string
	keep := func(rows *sql.Rows) error {
		var owner string
		err := rows.Scan(&owner)
		if !slices.Contains(owners, owner) && len(owners) < ownersAtOnce {
			owners = append(owners, owner)
		}
		return err
	}
	// Numbers that nobody owns sort first and are nobody's turn: the empty name
	// stands before every other.
	err := s.reading().query(ctx, op, dueOwners, keep, carrier, after, carrier, int64(ownersAtOnce))
	if err == nil && len(owners) < ownersAtOnce {
		owners = append(owners, "")
		err = s.reading().query(ctx, op, dueOwners, keep, carrier, "", carrier, int64(ownersAtOnce))
	}
	return owners, err
}

func keepTrackings(into *[]parcel.Tracking) func(rows *sql.Rows) error {
	return func(rows *sql.Rows) error {
		t, err := scanTracking(rows)
		*into = append(*into, t)
		return err
	}
}

// CountDue tells how many numbers of a carrier are due, at most 10,000, and since
// when the first of them is; those that are being asked for do not count.
func (s *Store) CountDue(ctx context.Context, now time.Time, carrier string) (n int, oldest time.Time, err error) {
	const op = "count due"
	err = s.reading().row(ctx, op, countDue, []any{carrier, micros(now), micros(now), int64(mostCounted)}, &n)
	if err != nil || n == 0 {
		return n, time.Time{}, err
	}
	var at int64
	err = s.reading().row(ctx, op, oldestDue, []any{carrier, micros(now), micros(now)}, &at)
	if errors.Is(err, parcel.ErrNotFound) {
		return n, time.Time{}, nil // leased since it was counted
	}
	return n, instant(at), err
}

// mostCounted bounds what a count of due numbers costs.
const mostCounted = 10_000
