package ingest

import (
	"context"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

const (
	// unservedEvery is how often the poller looks for numbers that nobody could
	// ask for when they were registered, wall time: a replica with older
	// accounts, or an import without any, may have added some.
	unservedEvery = time.Minute
	// unservedPage bounds the numbers of one such look.
	unservedPage = 500
	// First looks at them are so far apart, and within a day, so that an account
	// that is added is not asked for years at once; trade time.
	unservedApart  = 100 * time.Millisecond
	unservedWithin = 24 * time.Hour
)

// serveUnserved gives numbers of a carrier that were registered while it had no
// account to those that it has: merchants' own first, the deployment's gets what
// is left, and what merchants share.
func (g *Ingest) serveUnserved(ctx context.Context, r *roster, carrier string) error {
	shared := g.accountFor(carrier, "") != nil
	for _, l := range r.lanes[carrier] {
		if l.fetcher == nil {
			continue
		}
		planned := 0
		ask := parcel.Unserved{Carrier: carrier, Account: l.account.Name, MerchantID: l.account.MerchantID, Alone: shared, Now: g.trade.Now(), Limit: unservedPage}
		began := ask.Now
		ask.At = func(i int) time.Time {
			return began.Add(time.Duration(planned+i) * unservedApart % unservedWithin)
		}
		for {
			n, after, err := g.store.ServeUnserved(ctx, ask)
			if err != nil {
				return err
			}
			planned += n
			if after == "" {
				break
			}
			ask.After = after
		}
		if planned > 0 {
			g.log.Info("numbers that no account served are asked for from now on", "carrier", carrier, "account", l.account.Name, "numbers", planned)
		}
	}
	return nil
}
