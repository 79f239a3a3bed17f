package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/internal/clock"
)

// target is a server under load.
type target struct {
	addr string
	// request writes the bytes of the i-th request, head and body.
	request func(to []byte, i int) []byte
}

// Load is how hard a server is asked.
type Load struct {
	// Connections are kept alive and ask one thing after the other: 8 if zero.
	Connections int
	// Time is how long a round lasts: 2 s if zero.
	Time time.Duration
	// Requests is the most of one round: 1,000,000 if zero.
	Requests int
	// Rounds are measured for each side, in turns: 3 if zero.
	Rounds int
}

func (l Load) withDefaults() Load {
	if l.Connections <= 0 {
		l.Connections = 8
	}
	if l.Time <= 0 {
		l.Time = 2 * time.Second
	}
	if l.Requests <= 0 {
		l.Requests = 1_000_000
	}
	if l.Rounds <= 0 {
		l.Rounds = 3
	}
	return l
}

// Rate is what a server did under load.
type Rate struct {
	Requests int
	Took     time.Duration
	// Bytes of all answers, heads not counted.
	Bytes int64
	// P50 and P99 are of the time from the first byte sent to the last read.
	P50, P99 time.Duration
	// CPU is the processor time of server, client and database; 0 if not known.
	CPU time.Duration
}

// Each is the processor time of one request, 0 if not known.
func (r Rate) Each() time.Duration {
	if r.Requests == 0 {
		return 0
	}
	return r.CPU / time.Duration(r.Requests)
}

// PerSecond is how many requests were answered in a second.
func (r Rate) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Took.Seconds()
}

// round asks a server until the time is up, or the requests are. The client
// does next to nothing itself, since it shares the machine with what is
// measured.
func round(ctx context.Context, wall clock.Clock, t target, l Load) (Rate, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Time+30*time.Second)
	defer cancel()
	type share struct {
		times []time.Duration
		bytes int64
		err   error
	}
	shares := make([]share, l.Connections)
	begin := wall.Now()
	end := begin.Add(l.Time)
	var group sync.WaitGroup
	for c := range shares {
		group.Go(func() {
			s := &shares[c]
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.addr)
			if err != nil {
				s.err = err
				return
			}
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			r := bufio.NewReaderSize(conn, 64<<10)
			var buffer []byte
			for i := c; i < l.Requests; i += l.Connections {
				sent := wall.Now()
				if !sent.Before(end) {
					return
				}
				buffer = t.request(buffer[:0], i)
				if _, err := conn.Write(buffer); err != nil {
					s.err = err
					return
				}
				n, err := readAnswer(r, nil)
				if err != nil {
					s.err = err
					return
				}
				s.bytes += n
				s.times = append(s.times, wall.Now().Sub(sent))
			}
		})
	}
	group.Wait()
	rate := Rate{Took: wall.Now().Sub(begin)}
	var times []time.Duration
	for i := range shares {
		if err := shares[i].err; err != nil {
			return rate, fmt.Errorf("bench: %s: %w", t.addr, err)
		}
		times = append(times, shares[i].times...)
		rate.Bytes += shares[i].bytes
	}
	if len(times) == 0 {
		return rate, errors.New("bench: nothing was answered")
	}
	slices.Sort(times)
	rate.Requests = len(times)
	rate.P50, rate.P99 = times[len(times)/2], times[len(times)*99/100]
	return rate, nil
}

// readAnswer reads one answer that tells its length, and puts its body into
// body unless that is nil.
func readAnswer(r *bufio.Reader, body *bytes.Buffer) (length int64, err error) {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answered with %q", status)
	}
	length = -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) == 2 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(line[len(name):])), 10, 64); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("an answer without its length")
	}
	if body != nil {
		_, err = io.CopyN(body, r, length)
		return length, err
	}
	_, err = r.Discard(int(length))
	return length, err
}

// once asks a server one thing and gives the body of the answer.
func once(ctx context.Context, t target, i int) ([]byte, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write(t.request(nil, i)); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	_, err = readAnswer(bufio.NewReader(conn), &body)
	return body.Bytes(), err
}

// serve opens a server on loopback.
func serve(handler http.Handler) (addr string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(listener)
	}()
	return listener.Addr().String(), func() { server.Close(); <-ended }, nil
}
