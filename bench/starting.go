package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
)

// Start is what the program takes to begin, and what it holds afterwards.
type Start struct {
	// Answered is the time from the start of the process to its first answer.
	Answered time.Duration
	// Resident is how much memory the process held after Settled, in bytes; 0
	// where the system does not tell.
	Resident int64
	Settled  time.Duration
}

// Print writes it for people.
func (s Start) Print(w io.Writer) {
	fmt.Fprintf(w, "start\n  %-13s %9d ms\n", "first answer", s.Answered.Milliseconds())
	if s.Resident > 0 {
		fmt.Fprintf(w, "  %-13s %9.1f MB after %v\n", "resident", float64(s.Resident)/1e6, s.Settled)
	}
}

// startTime is how long a program may take to answer.
const startTime = time.Minute

// Starting starts the program on an empty database of its own, SQLite in a
// folder that is removed again, and measures until its page answers and, after
// it has settled for the time given, what memory it holds.
//
// program is the binary, arguments what goes before --listen, --ops-listen and
// --store: ["serve"].
func Starting(ctx context.Context, wall clock.Clock, program string, arguments []string, settle time.Duration) (s Start, err error) {
	folder, err := os.MkdirTemp("", "milepost-bench-")
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	address, err := freeAddress()
	if err != nil {
		return s, err
	}
	ops, err := freeAddress()
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime+settle+time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program, append(arguments, "--listen", address, "--ops-listen", ops, "--store", "sqlite:"+filepath.Join(folder, "bench.db"))...)
	var said tail
	run.Stdout, run.Stderr = &said, &said
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 15 * time.Second
	begin := wall.Now()
	if err := run.Start(); err != nil {
		return s, fmt.Errorf("bench: start %s: %w", program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	stopped := false
	defer func() {
		cancel()
		if !stopped {
			<-ended
		}
	}()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case err := <-ended:
			stopped = true
			return s, fmt.Errorf("bench: %s ended before it answered: %w\n%s", program, err, &said)
		default:
		}
		if r, err := client.Get("http://" + address + "/"); err == nil {
			r.Body.Close()
			s.Answered = wall.Now().Sub(begin)
			break
		}
		if wall.Now().Sub(begin) > startTime {
			return s, fmt.Errorf("bench: %s did not answer within %v\n%s", program, startTime, &said)
		}
		if err := wall.Sleep(ctx, 2*time.Millisecond); err != nil {
			return s, err
		}
	}
	if settle > 0 {
		if err := wall.Sleep(ctx, settle); err != nil {
			return s, err
		}
		s.Settled = settle
		s.Resident = residentBytes(run.Process.Pid)
	}
	return s, nil
}

// freeAddress is an address on loopback that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// residentBytes reads what memory a process holds, 0 where /proc is not there.
func residentBytes(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0
			}
			return n * 1024
		}
	}
	return 0
}

// tail keeps the last of what a program said.
type tail struct{ said []byte }

// Write implements io.Writer. One goroutine writes, as stdout and stderr are
// the same writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.said = append(t.said, p...)
	if len(t.said) > most {
		t.said = t.said[len(t.said)-most:]
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.said) }
