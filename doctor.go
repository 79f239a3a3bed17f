package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// doctorPatience bounds each question that the doctor asks.
const doctorPatience = 4 * time.Second

// finding is one line of what the doctor says.
type finding struct {
	what, says string
	sick       bool
}

// examination gathers findings.
type examination struct {
	findings []finding
	// strangers are merchants that accounts name and the store does not know,
	// with what to do about it; empty where there is no store to ask.
	strangers map[string]error
	// standings are those of the configured accounts, by their place there; nil
	// where there is no store to ask.
	standings []standing
}

func (x *examination) well(what, format string, args ...any) {
	x.findings = append(x.findings, finding{what, fmt.Sprintf(format, args...), false})
}

func (x *examination) sick(what, format string, args ...any) {
	x.findings = append(x.findings, finding{what, fmt.Sprintf(format, args...), true})
}

// doctor looks for what is wrong and says how to mend it.
func doctor(ctx context.Context, con *console, log *slog.Logger, file *config.File, cat *catalog, c *doctorCommand) error {
	x := &examination{}
	if file.Path != "" {
		x.well("configuration", "%s is in order", file.Path)
	}
	x.clock(con.wall.Now())
	x.store(ctx, c.Store, file, cat, con.wall.Now())
	x.accounts(file, cat, con, log)
	x.drops(file, cat, con, log)
	x.descriptions(cat)
	running := x.server(ctx, c.OpsListen)
	if !running {
		x.port("listen", c.Listen)
		x.port("ops-listen", c.OpsListen)
	}
	sick := 0
	for _, f := range x.findings {
		mark := "ok  "
		if f.sick {
			mark = "FAIL"
			sick++
		}
		con.printf("%s %s: %s\n", mark, f.what, oneLine(errors.New(f.says)))
	}
	if sick > 0 {
		return told{fmt.Errorf("%d findings", sick)}
	}
	return nil
}

// clock finds a machine whose clock was never set: signatures, tokens and
// certificates all fail with one.
func (x *examination) clock(now time.Time) {
	if year := now.Year(); year < 2026 || year > 2100 {
		x.sick("clock", "the machine believes that it is %s; set its clock (NTP)", now.Format(time.RFC3339))
		return
	}
	x.well("clock", "%s", now.Format(time.RFC3339))
}

func (x *examination) store(ctx context.Context, url string, file *config.File, cat *catalog, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	if path, is := strings.CutPrefix(url, "sqlite:"); is && path != ":memory:" {
		// Opening would make the file: the doctor changes nothing.
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
				x.sick("store", "%s: there is no folder %s to make it in; make that first", url, filepath.Dir(path))
				return
			}
			x.well("store", "%s is not there yet; serve, migrate and import make it", url)
			return
		}
	}
	s, err := storage.Open(ctx, url, storage.Options{})
	if err != nil {
		x.sick("store", "%v", err)
		return
	}
	defer s.Close()
	if err := s.Ping(ctx); err != nil {
		x.sick("store", "%v", err)
		return
	}
	if _, head, err := s.LogBounds(ctx); err != nil {
		x.sick("schema", "the database answers, but its tables are not this version's: run milepost migrate (%v)", err)
	} else {
		x.well("store", "%s answers; its log stands at %d", s.Dialect(), head)
		x.strangers = strangersOf(file, merchantIDs(ctx, s))
		if len(file.Accounts) == 0 {
			return
		}
		all, heard, err := standingsOf(ctx, s, file, cat, now)
		switch {
		case err != nil:
			x.sick("carriers", "how the accounts stand cannot be read: %v", err)
		case !heard:
			x.well("carriers", "%s", nobodyTold)
		default:
			x.standings = all
		}
	}
}

// strangersOf finds the merchants of accounts that are not there.
func strangersOf(file *config.File, merchantID func(string) (string, error)) map[string]error {
	out := map[string]error{}
	for i := range file.Accounts {
		if name := file.Accounts[i].Merchant; name != "" {
			if _, err := merchantID(name); errors.Is(err, parcel.ErrNotFound) {
				out[name] = err
			}
		}
	}
	return out
}

func (x *examination) accounts(file *config.File, cat *catalog, con *console, log *slog.Logger) {
	b := binding{catalog: cat, wall: con.wall, log: log}
	for i := range file.Accounts {
		a := &file.Accounts[i]
		spec, c, err := b.bind(a)
		if err == nil {
			err = x.strangers[a.Merchant]
		}
		if err != nil {
			x.sick("account "+a.String(), "%s:%d: %s", file.Path, a.Line, strings.TrimPrefix(plain(err), "account "+a.String()+": "))
			continue
		}
		if x.standings != nil {
			if words, sick := x.standings[i].says(a.Carrier); sick {
				x.sick("account "+a.String(), "%s", words)
			} else {
				x.well("account "+a.String(), "%s", words)
			}
		}
		_, pushes := c.(carriers.Verifier)
		if a.Endpoint != "" && !pushes {
			x.sick("account "+a.String(), "%s:%d: has an endpoint, but %s sends no webhooks; take it out", file.Path, a.Line, spec.Name)
			continue
		}
		if pushes && a.Endpoint == "" && slices.Contains(ways(&spec), "push") {
			x.well("account "+a.String(), "settings are complete; without an endpoint it takes no webhooks")
			continue
		}
		x.well("account "+a.String(), "settings are complete")
	}
	if len(file.Accounts) == 0 {
		x.well("accounts", "none: no carrier is asked; name some in the file that --config reads")
	}
}

// descriptions looks for mistakes in the files of --carriers-dir.
func (x *examination) descriptions(cat *catalog) {
	for _, f := range cat.faults() {
		for line := range strings.Lines(f.Err.Error()) {
			x.sick("carriers-dir", "%s", strings.TrimRight(line, "\n"))
		}
	}
	if n := len(cat.shelf().Carriers); n > 0 {
		x.well("carriers-dir", "%d carriers are described in %s", n, cat.dir)
	}
}

// server asks a running server whether it is ready; running is false if none
// answers there.
func (x *examination) server(ctx context.Context, ops string) (running bool) {
	if ops == "-" {
		return false
	}
	at, err := reachable(ops)
	if err != nil {
		x.sick("ops-listen", "%v", err)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	// Whether anybody listens is one question, whether it is well another.
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
	if err != nil {
		x.well("server", "none is running at %s", at)
		return false
	}
	conn.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/readyz", nil)
	if err != nil {
		x.sick("server", "%v", err)
		return true
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		x.sick("server", "something listens at %s and does not answer: %v", at, err)
		return true
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var said struct {
		Status string            `json:"status"`
		Probes map[string]string `json:"probes"`
	}
	switch {
	case err != nil, json.Unmarshal(body, &said) != nil || said.Status == "":
		x.sick("server", "what answers at %s is not milepost; give another --ops-listen", at)
	case resp.StatusCode != http.StatusOK:
		x.sick("server", "running at %s and not ready: %v", at, said.Probes)
	default:
		x.well("server", "running at %s and ready", at)
	}
	return true
}

// reachable gives the address at which this machine reaches a listener: one
// that listens everywhere is asked on the loopback.
func reachable(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("%q is no address; want HOST:PORT such as 127.0.0.1:9090", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}

func (x *examination) port(flag, address string) {
	if address == "-" {
		return
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		x.sick(flag, "%s cannot be listened on: %v; give another --%s", address, err, flag)
		return
	}
	l.Close()
	x.well(flag, "%s is free", address)
}
