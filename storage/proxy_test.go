package storage_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a store and PostgreSQL and fails where it is told to.
type proxy struct {
	t        *testing.T
	listener net.Listener
	server   string

	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	down     bool
	commits  func(n int) verdict // asked for each COMMIT, from 1
	seen     int                 // COMMITs
	answers  int                 // ReadyForQuery messages: round trips
	handlers sync.WaitGroup
}

// verdict is what becomes of a COMMIT.
type verdict int

const (
	pass      verdict = iota
	cutBefore         // the server never hears of it
	cutAfter          // the server does, and its answer is lost
)

// newProxy gives a proxy to a fresh database, and the URL through it.
func newProxy(t *testing.T, at string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	if u.Query().Get("sslmode") != "disable" || u.Hostname() == "" {
		t.Skip("the proxy reads the protocol: the test server's URL must have a host and sslmode=disable")
	}
	p := &proxy{t: t, server: u.Host, conns: map[net.Conn]struct{}{}, commits: func(int) verdict { return pass }}
	if u.Port() == "" {
		p.server = net.JoinHostPort(u.Hostname(), "5432")
	}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	p.handlers.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.setDown(true)
		p.handlers.Wait()
	})
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.handlers.Go(func() { p.serve(c) })
	}
}

// setDown cuts every connection and refuses new ones, or lets them in again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
	if down {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

func (p *proxy) track(c net.Conn) (untrack func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		_ = c.Close()
		return nil, false
	}
	p.conns[c] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
		_ = c.Close()
	}, true
}

func (p *proxy) serve(client net.Conn) {
	untrack, ok := p.track(client)
	if !ok {
		return
	}
	defer untrack()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	untrackServer, ok := p.track(server)
	if !ok {
		return
	}
	defer untrackServer()
	var lose bool // the next answer
	var mu sync.Mutex
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close()
		for {
			head := make([]byte, 5)
			if _, err := io.ReadFull(server, head); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
			if _, err := io.ReadFull(server, body); err != nil {
				return
			}
			mu.Lock()
			lost := lose
			mu.Unlock()
			if lost {
				// The first answer after the commit says that it is done.
				return
			}
			if head[0] == 'Z' {
				p.mu.Lock()
				p.answers++
				p.mu.Unlock()
			}
			if _, err := client.Write(append(head, body...)); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		v := pass
		if bytes.Contains(buffer[:n], []byte("COMMIT\x00")) {
			p.mu.Lock()
			p.seen++
			v = p.commits(p.seen)
			p.mu.Unlock()
		}
		if v == cutBefore {
			break
		}
		mu.Lock()
		lose = v == cutAfter
		mu.Unlock()
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
		if v == cutAfter {
			back.Wait() // until the server has answered
			return
		}
	}
	_ = server.Close()
	back.Wait()
}

// roundTrips counts the answers of the server while do runs.
func (p *proxy) roundTrips(do func()) int {
	p.mu.Lock()
	before := p.answers
	p.mu.Unlock()
	do()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answers - before
}

func (p *proxy) atCommit(f func(n int) verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.commits = 0, f
}
