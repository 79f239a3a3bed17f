package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/parcel"
)

// Push takes in what a carrier sends to /hooks/{carrier}/{endpoint}: verified
// over the raw bytes, personal fields replaced, kept, and only then
// acknowledged in the carrier's own words. An unknown endpoint answers 404 and
// says nothing more.
func (g *Ingest) Push(ctx context.Context, carrier, endpoint string, d carriers.Delivery) carriers.Reply {
	l := g.roster.Load().byHook[hookKey{carrier, endpoint}]
	if l == nil {
		return carriers.Reply{Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", Body: []byte("not found\n")}
	}
	v, ok := l.account.Carrier.(carriers.Verifier)
	if !ok {
		return carriers.Reply{Status: http.StatusNotFound, ContentType: "text/plain; charset=utf-8", Body: []byte("not found\n")}
	}
	kind, err := v.Verify(d)
	if err != nil {
		g.counters.payload(carrier, l.account.Name, parcel.SourceWebhook, g.trade.Now(), err)
		g.log.Info("push refused", "carrier", carrier, "account", l.account.Name, "error", err)
		return v.Reply(err)
	}
	p, err := l.stamp(parcel.Payload{Carrier: carrier, Kind: kind, ContentType: d.Header.Get("Content-Type"), Body: d.Body})
	if err != nil {
		g.counters.payload(carrier, l.account.Name, parcel.SourceWebhook, g.trade.Now(), err)
		return v.Reply(err)
	}
	p.Source = parcel.SourceWebhook
	receipts, err := g.acceptVia(ctx, l, p)
	switch {
	case err != nil && !errors.Is(err, parcel.ErrInvalid):
		// Not durable: the carrier must send it again.
		return v.Reply(fmt.Errorf("%w: try again", parcel.ErrUnavailable))
	case err != nil:
		return v.Reply(err)
	case receipts[0].Problem != nil && len(receipts[0].Reading.Observations) == 0:
		// Kept, but nothing in it can be read: sending it again would bring the
		// same bytes. It waits for a better mapping.
		g.log.Warn("push kept but not read", "carrier", carrier, "payload", receipts[0].PayloadID, "error", receipts[0].Problem)
	}
	return v.Reply(nil)
}

// pushesAtOnce is how many pushes of one account are taken in at a time: one
// carrier's flood waits for itself, and takes a bounded share of the writer.
const pushesAtOnce = 8

// AdmitPush says whether a push may come in, before anything of its body is
// read: not to an endpoint that does not exist, which then nobody can keep busy,
// and not beyond what one account may push at a time. leave must be called once
// it is over.
func (g *Ingest) AdmitPush(carrier, endpoint string) (leave func(), known, admitted bool) {
	l := g.roster.Load().byHook[hookKey{carrier, endpoint}]
	if l == nil {
		return nil, false, false
	}
	if _, ok := l.account.Carrier.(carriers.Verifier); !ok {
		return nil, false, false
	}
	select {
	case l.doors <- struct{}{}:
		return func() { <-l.doors }, true, true
	default:
		return nil, true, false
	}
}
