package bench

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"strconv"
	"time"
)

// cpuMeter adds up what processor time this process and the database's
// processes that serve it have used. It is what a request costs whatever else
// the machine does meanwhile, which a rate on a shared machine is not.
type cpuMeter struct{ db *sql.DB }

// tick is the unit in which Linux counts processor time for its /proc.
const tick = 10 * time.Millisecond

// total is the time used so far, 0 where the system or a database elsewhere
// does not tell.
func (m cpuMeter) total(ctx context.Context) time.Duration {
	sum, ok := used("self")
	if !ok {
		return 0
	}
	rows, err := m.db.QueryContext(ctx, `SELECT pid FROM pg_stat_activity WHERE datname = current_database()`)
	if err != nil {
		return 0
	}
	defer rows.Close()
	for rows.Next() {
		var pid int
		if rows.Scan(&pid) != nil {
			return 0
		}
		name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
		if err != nil || string(bytes.TrimSpace(name)) != "postgres" {
			return 0 // the number is of another machine's process
		}
		time, ok := used(strconv.Itoa(pid))
		if !ok {
			return 0
		}
		sum += time
	}
	if rows.Err() != nil {
		return 0
	}
	return sum
}

// used is the processor time of a process, of the user and of the system.
func used(process string) (time.Duration, bool) {
	stat, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return 0, false
	}
	// The name, in brackets, may hold anything: fields are counted behind it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, false
	}
	user, errUser := strconv.ParseInt(string(fields[11]), 10, 64)
	system, errSystem := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, errUser == nil && errSystem == nil
}
