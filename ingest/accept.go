package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// MaxPayload is the largest payload that is kept, in bytes. Larger ones are
// refused before they are read to the end.
const MaxPayload = 16 << 20

// Receipt is what became of a payload. It is durable when it is returned.
type Receipt struct {
	// PayloadID under which it is kept; an earlier payload's for the same bytes.
	PayloadID string
	// Fresh is false for bytes that were kept before.
	Fresh bool
	// Events is the number of rows that were new.
	Events int
	// Reading is what the adapter read; Problem what it could not.
	Reading parcel.Reading
	Problem error
}

// Accept keeps payloads and takes in what they say. When it returns without an
// error, every payload is durable: nothing of it is lost to a kill -9. A
// payload that cannot be read is kept all the same, and its receipt says why.
//
// It returns ErrInvalid for a payload of no known carrier or over MaxPayload,
// ErrUnavailable while the database cannot be written.
func (g *Ingest) Accept(ctx context.Context, payloads ...parcel.Payload) ([]Receipt, error) {
	return g.acceptVia(ctx, nil, payloads...)
}

// acceptVia is Accept for what came through a lane, whose adapter reads it: the
// account may be bound to another by now, or gone. Without a lane the payload
// names its account.
func (g *Ingest) acceptVia(ctx context.Context, via *lane, payloads ...parcel.Payload) ([]Receipt, error) {
	tasks := make([]*payloadTask, len(payloads))
	for i := range payloads {
		p := payloads[i]
		p.Owner = g.ownerOf(&p, via)
		t, err := g.payloadTask(p, via)
		if err != nil {
			return nil, err
		}
		tasks[i] = t
	}
	receipts := make([]Receipt, len(tasks))
	errs := make([]error, len(tasks))
	var wait sync.WaitGroup
	for i, t := range tasks {
		wait.Go(func() {
			if errs[i] = g.writer.do(ctx, t); errs[i] == nil {
				receipts[i] = t.receipt
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return receipts, nil
}

// decode reads a payload with its adapter. It is pure.
func (g *Ingest) decode(p parcel.Payload, via *lane) (parcel.Reading, error) {
	l := via
	if l == nil {
		l = g.reader(p.Carrier, p.Account)
	}
	if l == nil {
		return parcel.Reading{}, fmt.Errorf("ingest: no adapter for carrier %q: %w", p.Carrier, parcel.ErrInvalid)
	}
	r, err := l.decode(p)
	for i := range r.Observations {
		o := &r.Observations[i]
		o.Carrier, o.Teller = g.whose(o.Carrier, p.Carrier, l.account.Spec.Aggregator)
		o.Number = parcel.NormalizeNumber(o.Number)
		o.NextNumber = parcel.NormalizeNumber(o.NextNumber)
	}
	for i := range r.Aliases {
		a := &r.Aliases[i]
		a.Number, a.Other = parcel.NormalizeNumber(a.Number), parcel.NormalizeNumber(a.Other)
	}
	if bad := bound(&r, p.Carrier); bad != nil {
		err = errors.Join(err, bad)
	}
	return r, err
}

// whose says whose scan an observation is and who told it. Only an aggregator
// tells others' scans, and never those of another aggregator: nobody is asked
// in a circle.
func (g *Ingest) whose(named, told string, aggregator bool) (carrier, teller string) {
	if !aggregator || named == "" || named == told {
		return told, ""
	}
	if s, ok := g.spec(named); ok && s.Aggregator {
		return told, ""
	}
	return named, told
}

// reader is the lane whose adapter reads an account's payloads; where the
// account is gone, any of the carrier reads alike. Nil if there is none.
func (g *Ingest) reader(carrier, account string) *lane {
	r := g.roster.Load()
	if l := r.byName[accountKey{carrier, account}]; l != nil {
		return l
	}
	if all := r.lanes[carrier]; len(all) > 0 {
		return all[0]
	}
	return nil
}

// ownerOf is the merchant whose account a payload comes through; empty for the
// deployment's. What one merchant's credentials bring is for that merchant, and
// is kept with its name: a kept payload's owner is no question of the accounts
// that are there now.
func (g *Ingest) ownerOf(p *parcel.Payload, via *lane) string {
	if via != nil {
		return via.account.MerchantID
	}
	return g.roster.Load().owners[accountKey{p.Carrier, p.Account}]
}

// payloadTask keeps one payload and tells what it says.
type payloadTask struct {
	g       *Ingest
	payload parcel.Payload
	reading parcel.Reading
	problem error
	receipt Receipt
	// numbers that the carrier told of, as its own; beside are those of the
	// carriers whose scans it repeats, next those that it names.
	numbers, beside, next []parcel.NumberKey
	// replayed payloads are in the store already: they are read again, not kept
	// again, and say nothing about when the carrier was heard.
	replayed bool
}

func (g *Ingest) payloadTask(p parcel.Payload, via *lane) (*payloadTask, error) {
	if len(p.Body) > MaxPayload {
		return nil, fmt.Errorf("ingest: payload of %d bytes from %s; at most %d are taken: %w", len(p.Body), p.Carrier, MaxPayload, parcel.ErrInvalid)
	}
	if _, known := g.spec(p.Carrier); !known && via == nil {
		return nil, fmt.Errorf("ingest: payload of carrier %q, which has no account: %w", p.Carrier, parcel.ErrInvalid)
	}
	if p.ID == "" {
		p.ID = g.newID()
	}
	if p.ReceivedAt.IsZero() {
		p.ReceivedAt = g.trade.Now()
	}
	p.ReceivedAt = p.ReceivedAt.UTC().Truncate(time.Microsecond)
	if p.Source == "" {
		p.Source = parcel.SourcePoll
	}
	t := &payloadTask{g: g, payload: p}
	t.reading, t.problem = g.decode(p, via)
	seen := map[parcel.NumberKey]struct{}{}
	note := func(list *[]parcel.NumberKey, carrier, number string) {
		k := parcel.NumberKey{Carrier: carrier, Number: number}
		if _, again := seen[k]; !again && isName(carrier) && isNumber(number) {
			seen[k] = struct{}{}
			*list = append(*list, k)
		}
	}
	for i := range t.reading.Observations {
		o := &t.reading.Observations[i]
		note(&t.numbers, p.Carrier, o.Number)
		if o.Code == parcel.CodeUnknown {
			g.unmapped.count(p.Carrier, o.OwnCode, o.Words)
		}
	}
	for i := range t.reading.Results {
		r := &t.reading.Results[i]
		r.Number = parcel.NormalizeNumber(r.Number)
		note(&t.numbers, p.Carrier, r.Number)
	}
	for i := range t.reading.Observations {
		o := &t.reading.Observations[i]
		note(&t.beside, o.Carrier, o.Number)
	}
	for i := range t.reading.Observations {
		if o := &t.reading.Observations[i]; o.NextNumber != "" {
			note(&t.next, o.NextCarrier, o.NextNumber)
		}
	}
	for _, a := range t.reading.Aliases {
		// A word about the name alone is one about the parcel.
		note(&t.beside, p.Carrier, a.Number)
		k := aliasKey(p.Carrier, a)
		note(&t.next, k.Carrier, k.Number)
	}
	return t, nil
}

func (t *payloadTask) weight() int { return 2 + len(t.reading.Observations) }

func (t *payloadTask) needs(n *needs) {
	if !t.replayed {
		n.payload(&t.payload)
	}
	// Numbers that it names are locked with its own: found late, they would
	// have the whole batch begin again.
	for _, k := range slices.Concat(t.numbers, t.beside, t.next) {
		n.number(k)
	}
}

func (t *payloadTask) apply(u *unit) error {
	kept := parcel.KeptPayload{ID: t.payload.ID}
	if !t.replayed {
		kept = u.kept[&t.payload]
	}
	t.receipt = Receipt{PayloadID: kept.ID, Fresh: kept.Fresh, Reading: t.reading, Problem: t.problem}
	from := &source{owner: t.payload.Owner, kind: t.payload.Source, payloadID: kept.ID, received: t.payload.ReceivedAt}
	told := map[parcel.NumberKey][]parcel.Observation{}
	ahead := 0
	for i := range t.reading.Observations {
		o := &t.reading.Observations[i]
		if u.ahead(o) {
			ahead++
			continue
		}
		t.receipt.Events += u.tell(*o, from)
		key := parcel.NumberKey{Carrier: o.Carrier, Number: o.Number}
		told[key] = append(told[key], *o)
	}
	if ahead > 0 {
		u.g.log.Warn("events that lie in the future are not told; they stay in the payload", "carrier", t.payload.Carrier, "payload", kept.ID, "events", ahead)
	}
	for _, key := range slices.SortedFunc(maps.Keys(told), parcel.NumberKey.Compare) {
		u.weigh(key, told[key], from)
	}
	for _, a := range t.reading.Aliases {
		u.alias(t.payload.Carrier, a, t.payload.Owner)
	}
	// A payload that could not be read at first may name its numbers only now.
	if kept.Fresh || t.replayed {
		for _, k := range slices.Concat(t.numbers, t.beside) {
			u.payNumbers = append(u.payNumbers, parcel.PayloadNumber{NumberKey: k, PayloadID: kept.ID})
		}
	}
	if !t.replayed {
		t.hear(u)
	}
	return nil
}

// hear notes that the carrier was heard about each number.
func (t *payloadTask) hear(u *unit) {
	found := map[string]parcel.Finding{}
	for i := range t.reading.Observations {
		found[t.reading.Observations[i].Number] = parcel.FindingFound
	}
	for _, r := range t.reading.Results {
		if found[r.Number] == "" {
			found[r.Number] = r.Finding
		}
	}
	for _, k := range t.numbers {
		tr := &u.numbers[k].Tracking
		f := found[k.Number]
		if f == parcel.FindingDenied {
			tr.Trouble = parcel.TroubleUnauthorised
			if tr.TroubleSince.IsZero() {
				tr.TroubleSince = u.now
			}
			tr.Failures++
			tr.RetryAt = afterFailure(u.now, tr.Failures, 0)
			if !tr.NextAt.IsZero() {
				tr.NextAt = tr.RetryAt
			}
			u.turn(k, t.payload.Account)
			u.trackings[k] = struct{}{}
			continue
		}
		if t.payload.ReceivedAt.Before(tr.HeardAt) {
			continue
		}
		tr.HeardAt, tr.HeardBy = t.payload.ReceivedAt, t.payload.Source
		// A carrier that forgets a number it once knew (retention over) has not
		// taken back what it said.
		if f == parcel.FindingFound || tr.Finding != parcel.FindingFound {
			tr.Finding = f
		}
		tr.Trouble, tr.TroubleSince, tr.RetryAt, tr.Failures = "", time.Time{}, time.Time{}, 0
		tr.NextAt = u.nextFor(k)
		if t.payload.Source != parcel.SourceWebhook {
			u.turn(k, t.payload.Account)
		}
		u.trackings[k] = struct{}{}
		if t.payload.Source != parcel.SourceWebhook {
			u.quiet(k)
		}
		if f == parcel.FindingUnknown && tr.Finding == parcel.FindingUnknown {
			u.suspect(k)
		}
	}
}

// turn passes the asking for a number on, where merchants with accounts of their
// own at a carrier share it and the deployment has none that could ask for all:
// what one account brings is for its merchant alone. After one account's answer
// the next is asked at once, and after the last one's the round begins again at
// the planned time.
func (u *unit) turn(k parcel.NumberKey, asked string) {
	names := u.ownAccounts(k)
	i := slices.Index(names, asked)
	if len(names) < 2 || i < 0 {
		return
	}
	tr := &u.numbers[k].Tracking
	tr.Account = names[(i+1)%len(names)]
	if i+1 < len(names) {
		tr.NextAt = u.now
		u.turned[k] = struct{}{}
	}
}

// ownAccounts are the merchants' own accounts through which a number is to be
// asked for, by name; nil where the deployment's asks for all.
func (u *unit) ownAccounts(k parcel.NumberKey) (names []string) {
	st := u.numbers[k]
	for i := range st.Holders {
		h := &st.Holders[i]
		l := u.g.accountFor(k.Carrier, h.MerchantID)
		if l == nil || !h.Covers(u.now) {
			continue
		}
		if t := u.shipments[h.ShipmentID]; t != nil && t.final {
			continue
		}
		names = append(names, l.account.Name)
		if l.account.MerchantID == "" {
			return nil
		}
	}
	if all := u.g.accountFor(k.Carrier, ""); all != nil {
		return nil
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nextFor plans the next look at a number by the shipments that hold it.
func (u *unit) nextFor(k parcel.NumberKey) time.Time {
	st := u.numbers[k]
	var next time.Time
	for i := range st.Holders {
		t := u.shipments[st.Holders[i].ShipmentID]
		if t == nil || t.final || !st.Holders[i].Covers(u.now) {
			continue
		}
		lane := u.g.accountFor(k.Carrier, t.now.MerchantID)
		if lane == nil || lane.fetcher == nil {
			continue
		}
		at := nextLook(u.now, t.now, &st.Tracking)
		if h := &st.Holders[i]; !h.Proposed.IsZero() {
			at = nextTry(u.now, t.now, h, k)
		}
		if next.IsZero() || (!at.IsZero() && at.Before(next)) {
			next = at
		}
	}
	return next
}

func (t *payloadTask) settled(err error) {
	t.g.counters.payload(t.payload.Carrier, t.payload.Account, t.payload.Source, t.g.trade.Now(), err)
	if err == nil && t.problem != nil {
		t.g.log.Warn("payload kept but not fully read", "carrier", t.payload.Carrier, "payload", t.receipt.PayloadID, "error", t.problem)
	}
}
