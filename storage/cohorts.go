package storage

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	cohortNames = "merchant_id, carrier, service, stage, origin, destination, day"
	cohortCols  = "merchant_id text, carrier text, service text, stage text, origin text, destination text, day text"
	addStarts   = `INSERT INTO cohort_starts (` + cohortNames + `, n) SELECT * FROM {rows} WHERE true
ON CONFLICT (` + cohortNames + `) DO UPDATE SET n = cohort_starts.n + excluded.n`
	addEnds = `INSERT INTO cohort_ends (` + cohortNames + `, age_days, cause, n) SELECT * FROM {rows} WHERE true
ON CONFLICT (` + cohortNames + `, age_days, cause) DO UPDATE SET n = cohort_ends.n + excluded.n`
	addOnTime = `INSERT INTO on_time (` + cohortNames + `, due, kept) SELECT * FROM {rows} WHERE true
ON CONFLICT (` + cohortNames + `) DO UPDATE SET due = on_time.due + excluded.due, kept = on_time.kept + excluded.kept`
)

func compareCohorts(k, o CohortKey) int {
	return cmp.Or(strings.Compare(k.MerchantID, o.MerchantID), strings.Compare(k.Carrier, o.Carrier), strings.Compare(k.Service, o.Service),
		strings.Compare(string(k.Stage), string(o.Stage)), strings.Compare(string(k.Lane.Origin), string(o.Lane.Origin)),
		strings.Compare(string(k.Lane.Destination), string(o.Lane.Destination)), strings.Compare(k.Day, o.Day))
}

func putCohort(k *CohortKey, row []any) {
	row[0], row[1], row[2], row[3], row[4], row[5], row[6] =
		k.MerchantID, k.Carrier, column(k.Service), string(k.Stage), string(k.Lane.Origin), string(k.Lane.Destination), k.Day
}

// AddCohorts adds deltas to the cohort counters. Deltas of one key are summed
// first, and rows are touched in one order, so that concurrent writers do not
// deadlock.
func (tx *Tx) AddCohorts(ctx context.Context, deltas []CohortDelta) error {
	const op = "add cohorts"
	type endKey struct {
		CohortKey
		age   int
		cause EndCause
	}
	starts, ends, onTime := map[CohortKey]int{}, map[endKey]int{}, map[CohortKey][2]int{}
	for i := range deltas {
		d := &deltas[i]
		if d.MerchantID == "" || d.Day == "" || d.Age < 0 || d.Ended != 0 && d.Cause == "" {
			return fmt.Errorf("storage: %s: delta %d without merchant, day, age or cause: %w", op, i, parcel.ErrInvalid)
		}
		starts[d.CohortKey] += d.Started
		ends[endKey{d.CohortKey, d.Age, d.Cause}] += d.Ended
		sum := onTime[d.CohortKey]
		onTime[d.CohortKey] = [2]int{sum[0] + d.Due, sum[1] + d.Kept}
	}
	s := sortedKeys(starts, func(n int) bool { return n != 0 }, compareCohorts)
	if _, err := tx.each(ctx, op, batch{cohortCols + ", n bigint", addStarts}, len(s), func(i int, row []any) {
		putCohort(&s[i], row)
		row[7] = int64(starts[s[i]])
	}); err != nil {
		return err
	}
	e := sortedKeys(ends, func(n int) bool { return n != 0 }, func(a, b endKey) int {
		return cmp.Or(compareCohorts(a.CohortKey, b.CohortKey), cmp.Compare(a.age, b.age), strings.Compare(string(a.cause), string(b.cause)))
	})
	if _, err := tx.each(ctx, op, batch{cohortCols + ", age_days bigint, cause text, n bigint", addEnds}, len(e), func(i int, row []any) {
		putCohort(&e[i].CohortKey, row)
		row[7], row[8], row[9] = int64(e[i].age), string(e[i].cause), int64(ends[e[i]])
	}); err != nil {
		return err
	}
	o := sortedKeys(onTime, func(n [2]int) bool { return n != [2]int{} }, compareCohorts)
	_, err := tx.each(ctx, op, batch{cohortCols + ", due bigint, kept bigint", addOnTime}, len(o), func(i int, row []any) {
		putCohort(&o[i], row)
		n := onTime[o[i]]
		row[7], row[8] = int64(n[0]), int64(n[1])
	})
	return err
}

// sortedKeys gives the keys whose value is wanted.
func sortedKeys[K comparable, V any](m map[K]V, want func(V) bool, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k, v := range m {
		if want(v) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compare)
	return keys
}

// Scores reads the cohort counters of a scope. The deployment's scope gives
// those of every merchant, for a pool that shows none of them apart.
func (s *Store) Scores(ctx context.Context, scope Scope, f ScoreFilter) (Cohorts, error) {
	const op = "scores"
	var out Cohorts
	if scope.nobody() {
		return out, nil
	}
	w := where{s: s, scope: scope}
	w.own()
	anyOf(&w, "s.carrier", f.Carriers)
	w.lanes(f.Lanes)
	if f.From != "" {
		w.and("s.day >= ?", f.From)
	}
	if f.To != "" {
		w.and("s.day <= ?", f.To)
	}
	// Identifiers are constants of this function; only values are bound.
	read := func(columns, table, some string, scan func(rows *sql.Rows) error) error {
		return s.reading().query(ctx, op, `SELECT `+cohortNames+columns+` FROM `+table+` s WHERE `+w.text()+` AND `+some+` ORDER BY `+cohortNames+columns, scan, w.args...)
	}
	key := func(k *CohortKey, rest ...any) []any {
		return append([]any{&k.MerchantID, &k.Carrier, &k.Service, &k.Stage, &k.Lane.Origin, &k.Lane.Destination, &k.Day}, rest...)
	}
	err := read(", n", "cohort_starts", "n <> 0", func(rows *sql.Rows) error {
		var r CohortStart
		err := rows.Scan(key(&r.CohortKey, &r.N)...)
		out.Starts = append(out.Starts, r)
		return err
	})
	if err != nil {
		return Cohorts{}, err
	}
	err = read(", age_days, cause, n", "cohort_ends", "n <> 0", func(rows *sql.Rows) error {
		var r CohortEnd
		err := rows.Scan(key(&r.CohortKey, &r.Age, &r.Cause, &r.N)...)
		out.Ends = append(out.Ends, r)
		return err
	})
	if err != nil {
		return Cohorts{}, err
	}
	err = read(", due, kept", "on_time", "(due <> 0 OR kept <> 0)", func(rows *sql.Rows) error {
		var r CohortPunctuality
		err := rows.Scan(key(&r.CohortKey, &r.Due, &r.Kept)...)
		out.Punctuality = append(out.Punctuality, r)
		return err
	})
	if err != nil {
		return Cohorts{}, err
	}
	return out, nil
}
