package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// exportFunc is a log to give away.
type exportFunc func(ctx context.Context, merchantID, after string, page func([]byte) error) error

func (f exportFunc) ExportChanges(ctx context.Context, merchantID, after string, page func([]byte) error) error {
	return f(ctx, merchantID, after, page)
}

// TestExportBrokenOff: an export that cannot go on ends so that its client
// knows, after the lines that came.
func TestExportBrokenOff(t *testing.T) {
	for _, c := range []struct {
		name  string
		cause func(tg *testGateway)
		err   error
	}{
		{name: "the store fails", err: parcel.ErrUnavailable},
		{name: "the key is revoked", cause: func(tg *testGateway) {
			tg.keys.change(tg.secret, func(k *Key) { k.RevokedAt = time.Now() })
		}},
		{name: "the gateway goes down", cause: func(tg *testGateway) {
			ctx, cancel := context.WithTimeout(tg.t.Context(), 10*time.Second)
			defer cancel()
			if err := tg.Shutdown(ctx); err != nil {
				tg.t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			goOn := make(chan struct{})
			tg := start(t, func(o *Options) {
				o.Exports = exportFunc(func(ctx context.Context, merchantID, after string, page func([]byte) error) error {
					if merchantID != "M1" || after != "x" {
						t.Errorf("asked for %s behind %s", merchantID, after)
					}
					if err := page([]byte("{\"n\":1}\n")); err != nil {
						return err
					}
					select {
					case <-goOn:
					case <-ctx.Done():
					}
					if c.err != nil {
						return c.err
					}
					return page([]byte("{\"n\":2}\n"))
				})
			})
			response, err := http.DefaultClient.Do(tg.request(http.MethodGet, "/export/changes.jsonl?after=x", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body := bufio.NewReader(response.Body)
			if line, err := body.ReadString('\n'); line != "{\"n\":1}\n" || err != nil || response.StatusCode != http.StatusOK {
				t.Fatal(line, err, response.Status)
			}
			if c.cause != nil {
				c.cause(tg)
			}
			close(goOn)
			if rest, err := io.ReadAll(body); len(rest) > 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q, %v: want an end that is none", rest, err)
			}
		})
	}
}

// TestExportRefused: what goes wrong before the first line has a status.
func TestExportRefused(t *testing.T) {
	var fails error
	tg := start(t, func(o *Options) {
		o.Exports = exportFunc(func(context.Context, string, string, func([]byte) error) error { return fails })
	})
	for _, c := range []struct {
		name   string
		err    error
		method string
		status int
		code   string
	}{
		{"nothing to give", nil, http.MethodGet, http.StatusOK, ""},
		{"no store", parcel.ErrUnavailable, http.MethodGet, http.StatusServiceUnavailable, "UNAVAILABLE"},
		{"our fault", errors.New("the table is on fire"), http.MethodGet, http.StatusInternalServerError, "INTERNAL"},
		{"posted", nil, http.MethodPost, http.StatusMethodNotAllowed, "INVALID_INPUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fails = c.err
			if got := tg.do(tg.request(c.method, "/export/changes.jsonl", "")); got.status != c.status || got.code() != c.code {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	t.Run("no log", func(t *testing.T) {
		without := start(t, nil)
		if got := without.do(without.request(http.MethodGet, "/export/changes.jsonl", "")); got.status != http.StatusNotFound {
			t.Errorf("%d", got.status)
		}
	})
}

// TestExportsAtOnce: the fifth is asked to come again, and finds a turn when
// another has ended.
func TestExportsAtOnce(t *testing.T) {
	running, end := make(chan struct{}), make(chan struct{})
	tg := start(t, func(o *Options) {
		o.Exports = exportFunc(func(_ context.Context, _, after string, _ func([]byte) error) error {
			if after == "wait" {
				running <- struct{}{}
				<-end
			}
			return nil
		})
	})
	ended := make(chan int, exportsAtOnce)
	for range exportsAtOnce {
		go func() {
			response, err := http.DefaultClient.Do(tg.request(http.MethodGet, "/export/changes.jsonl?after=wait", ""))
			if err != nil {
				ended <- 0
				return
			}
			response.Body.Close()
			ended <- response.StatusCode
		}()
	}
	for range exportsAtOnce {
		<-running
	}
	if got := tg.do(tg.request(http.MethodGet, "/export/changes.jsonl", "")); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	close(end)
	for range exportsAtOnce {
		if status := <-ended; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	until(t, "a turn", func() bool {
		return tg.do(tg.request(http.MethodGet, "/export/changes.jsonl", "")).status == http.StatusOK
	})
}
