package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/milepost-gateway/milepost/graph"
)

// Exports gives the change log away in bulk. It must be safe for concurrent use.
type Exports interface {
	// ExportChanges calls page with all that a merchant's log holds behind a
	// cursor, from the oldest row kept if after is empty: some whole lines of
	// JSON at a time, in the log's order, each with its cursor. It returns an
	// error of kind parcel.ErrInvalid for what is no cursor,
	// *graph.CursorExpired for one that is older than the log, and what page
	// returned.
	ExportChanges(ctx context.Context, merchantID, after string, page func(lines []byte) error) error
}

const (
	// exportsAtOnce is how many exports run at the same time: each keeps a
	// reader of the store busy, and shoppers need readers too.
	exportsAtOnce = 4
	mediaLines    = "application/x-ndjson"
	// maxCursorBytes is the longest cursor, as in the schema.
	maxCursorBytes = 512
)

// serveExport gives the rows of the change log behind a cursor as JSON lines,
// page by page, as fast as the client takes them, and ends at the end of the
// log. A line is whole or not there: an answer that ends without its last chunk
// was broken off, and goes on behind the last line that came.
func (g *Gateway) serveExport(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "private, no-store")
	h.Add("Vary", "Authorization")
	g.allowOrigin(h, r)
	fail := func(status int, e *gqlerror.Error) { g.refuseHTTP(w, r, status, e) }
	if g.Exports == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet {
		h.Set("Allow", "GET")
		fail(http.StatusMethodNotAllowed, g.invalid("An export is asked with GET."))
		return
	}
	c, err := g.callerOf(r)
	if err != nil {
		g.refuseCaller(w, r, err)
		return
	}
	switch {
	case c.anonymous():
		h.Set("WWW-Authenticate", challenge)
		fail(http.StatusUnauthorized, g.unauthenticated("An export takes an API key with the scope SHIPMENTS_READ."))
		return
	case !c.viewer.May(graph.ShipmentsRead, ""):
		fail(http.StatusForbidden, g.forbidden("An export takes the scope SHIPMENTS_READ."))
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	after := query["after"]
	delete(query, "after")
	switch {
	case err != nil || len(query) > 0 || len(after) > 1:
		fail(http.StatusBadRequest, g.invalid("An export takes one parameter, after: the cursor behind which it begins."))
		return
	case len(after) == 1 && len(after[0]) > maxCursorBytes:
		fail(http.StatusBadRequest, g.invalid("after: a cursor has at most 512 bytes."))
		return
	}
	select {
	case g.exportTurns <- struct{}{}:
		defer func() { <-g.exportTurns }()
	default:
		h.Set("Retry-After", "5")
		g.refuseHTTP(w, r, http.StatusServiceUnavailable, g.unavailable("Too many exports are under way; ask again."))
		return
	}
	ctx, cancel := context.WithCancelCause(graphContext(r.Context(), c))
	defer cancel(nil)
	d := &download{cancel: cancel}
	if !g.open.enter(d, g.Limits.Sockets) {
		fail(http.StatusServiceUnavailable, g.unavailable("Too many streams are open."))
		return
	}
	defer g.open.leave(d)
	g.export(ctx, w, r, c, append(after, "")[0])
}

func (g *Gateway) export(ctx context.Context, w http.ResponseWriter, r *http.Request, c *caller, after string) {
	control, h := http.NewResponseController(w), w.Header()
	began := false
	begin := func() {
		began = true
		h.Set("Content-Type", mediaLines+"; charset=utf-8")
		h.Set("Content-Disposition", `attachment; filename="changes.jsonl"`)
		h.Set("X-Accel-Buffering", "no")
	}
	err := g.Exports.ExportChanges(ctx, c.viewer.MerchantID, after, func(lines []byte) error {
		if began {
			// A key that was revoked meanwhile opens nothing more.
			if err := g.still(ctx, c); err != nil {
				return err
			}
		} else {
			begin()
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		control.SetWriteDeadline(g.Wall.Now().Add(g.Limits.WriteTime))
		if _, err := w.Write(lines); err != nil {
			return err
		}
		return control.Flush()
	})
	switch {
	case err == nil && !began:
		begin() // nothing came after the cursor
		control.SetWriteDeadline(g.Wall.Now().Add(g.Limits.WriteTime))
		w.WriteHeader(http.StatusOK)
	case err == nil:
	case began:
		// The status is gone. Without the last chunk no client takes what it
		// has for all there is; with its last cursor it hears why.
		panic(http.ErrAbortHandler)
	default:
		g.refuseExport(ctx, w, r, err)
	}
}

// refuseExport answers an export that did not begin.
func (g *Gateway) refuseExport(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(context.Cause(ctx), errGoAway) {
		g.refuseHTTP(w, r, http.StatusServiceUnavailable, g.unavailable("The gateway is going down; ask again."))
		return
	}
	e := g.present(ctx, err)
	status := http.StatusInternalServerError
	switch graph.CodeOf(err) {
	case graph.CodeInvalidInput:
		status = http.StatusBadRequest
	case graph.CodeCursorExpired:
		status = http.StatusGone
	case graph.CodeUnavailable:
		status = http.StatusServiceUnavailable
	}
	g.refuseHTTP(w, r, status, e)
}

// download is an export under way.
type download struct{ cancel context.CancelCauseFunc }

var _ connection = (*download)(nil)

// beat implements connection: an export is never silent for long.
func (*download) beat(time.Time) {}

// goAway implements connection: the client goes on elsewhere.
func (d *download) goAway() { d.cancel(errGoAway) }
