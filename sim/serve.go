package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"
)

// Endpoints are the carriers' services on loopback. Close them after use.
type Endpoints struct {
	urls     map[string]string
	settings map[string]map[string]string
	cancel   context.CancelFunc
	work     sync.WaitGroup
}

// shutdownPatience is how long calls under way may take to notice the end.
const shutdownPatience = 5 * time.Second

// Serve opens each carrier's service on an address of its own at 127.0.0.1, in
// front of the adapter's fake and behind the carrier's weather. The services
// end with ctx or with Close.
func (n *Network) Serve(ctx context.Context) (*Endpoints, error) {
	ctx, cancel := context.WithCancel(ctx)
	e := &Endpoints{urls: map[string]string{}, settings: map[string]map[string]string{}, cancel: cancel}
	for name, h := range n.houses {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sim: serve %s: %w", name, err), e.Close())
		}
		server := &http.Server{
			Handler:           h.weather.through(h.fake.Handler(), n.wall),
			ReadHeaderTimeout: 10 * time.Second,
			BaseContext:       func(net.Listener) context.Context { return ctx },
			// Clients that give up are part of the play.
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		}
		e.urls[name], e.settings[name] = "http://"+listener.Addr().String(), maps.Clone(h.settings)
		e.work.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				n.log.Error("simulated carrier ended", "carrier", name, "error", err)
			}
		})
		e.work.Go(func() {
			<-ctx.Done()
			patience, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownPatience)
			defer done()
			if server.Shutdown(patience) != nil {
				_ = server.Close() // what is still open then is cut
			}
		})
	}
	return e, nil
}

// BaseURL is where a carrier's service answers, for carriers.Env; empty for a
// carrier that is not served.
func (e *Endpoints) BaseURL(carrier string) string { return e.urls[carrier] }

// Settings are the credentials that a carrier's service takes, for
// carriers.Env; the map is the caller's own.
func (e *Endpoints) Settings(carrier string) map[string]string {
	return maps.Clone(e.settings[carrier])
}

// Close ends the services and waits for every goroutine.
func (e *Endpoints) Close() error {
	e.cancel()
	e.work.Wait()
	return nil
}
