package russianpost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// ticket is a promise of the service to answer about numbers.
type ticket struct {
	id      string
	numbers []string
	// due is the earliest moment to ask for the answer; expires is when the
	// answer is thrown away.
	due, expires time.Time
}

// desk keeps the tickets of an account until they are answered. They live in
// memory alone: a restart forgets them, which costs a quarter of an hour and
// no call that is counted, while a ticket kept elsewhere could outlive its
// answer.
type desk struct {
	wall   carriers.Clock
	client *carrierkit.Client
	wait   time.Duration
	// turn lets one Fetch at a time work at the desk, so that two of them never
	// take a ticket for the same number.
	turn chan struct{}
	// byNumber is guarded by turn.
	byNumber map[string]*ticket
}

func newDesk(env carriers.Env, wait time.Duration, client *carrierkit.Client) *desk {
	return &desk{wall: env.Wall, client: client, wait: wait, turn: make(chan struct{}, 1), byNumber: map[string]*ticket{}}
}

// fetchByTicket collects the answers that are due and takes tickets for the
// numbers that have none. A number is on one ticket at most, however the
// numbers are grouped from call to call, and the answer to a ticket is handed
// over whole: its payload may hold numbers that this call did not ask for.
//
// It never waits for an answer: fifteen minutes are the planner's to keep, and
// the payload of a fresh ticket says so when it is decoded.
func (p *post) fetchByTicket(ctx context.Context, numbers []string) ([]parcel.Payload, error) {
	d := p.tickets
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var (
		payloads []parcel.Payload
		errs     []error
		tooSoon  time.Duration
	)
	held, fresh := d.lookup(numbers)
	for _, t := range held {
		if wait := t.due.Sub(d.wall.Now()); wait > 0 {
			if tooSoon == 0 || wait < tooSoon {
				tooSoon = wait
			}
			continue
		}
		payload, gone, err := p.collect(ctx, t)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: fetch %d numbers by ticket: %w", name, len(t.numbers), err))
		case gone:
			fresh = append(fresh, intersect(numbers, t.numbers)...)
		default:
			payloads = append(payloads, payload)
		}
	}
	for part := range slices.Chunk(fresh, batchLimit) {
		payload, err := p.takeTicket(ctx, part)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: take a ticket for %d numbers: %w", name, len(part), err))
			break
		}
		payloads = append(payloads, payload)
	}
	if tooSoon > 0 {
		errs = append(errs, fmt.Errorf("%s: answer not due yet: %w", name, &parcel.Throttled{RetryAfter: tooSoon}))
	}
	return payloads, errors.Join(errs...)
}

// lookup parts numbers into the tickets that hold some of them and the numbers
// that no ticket holds.
func (d *desk) lookup(numbers []string) (held []*ticket, fresh []string) {
	now := d.wall.Now()
	for _, n := range numbers {
		t := d.byNumber[n]
		if t != nil && !now.Before(t.expires) {
			d.forget(t)
			t = nil
		}
		switch {
		case t == nil:
			fresh = append(fresh, n)
		case !slices.Contains(held, t):
			held = append(held, t)
		}
	}
	return held, fresh
}

func (d *desk) keep(t *ticket) {
	for _, n := range t.numbers {
		d.byNumber[n] = t
	}
}

func (d *desk) forget(t *ticket) {
	for _, n := range t.numbers {
		if d.byNumber[n] == t {
			delete(d.byNumber, n)
		}
	}
}

// takeTicket asks for a ticket.
func (p *post) takeTicket(ctx context.Context, numbers []string) (parcel.Payload, error) {
	d := p.tickets
	payload, a, err := p.call(ctx, d.client, kindTicket, p.ticketRequest(numbers), numbers)
	if err == nil {
		err = errors.Join(a.torn, a.refusal())
	}
	if err == nil && a.ticket == "" {
		err = fmt.Errorf("no ticket in the answer: %w", parcel.ErrMalformed)
	}
	if err != nil {
		return parcel.Payload{}, err
	}
	now := d.wall.Now()
	d.keep(&ticket{id: a.ticket, numbers: numbers, due: now.Add(d.wait), expires: now.Add(ticketLife)})
	return payload, nil
}

// collect asks for the answer to a ticket that is due; gone tells that it is
// no longer kept. An answer that is not ready is a payload too: decoded, it
// asks to come again later.
func (p *post) collect(ctx context.Context, t *ticket) (payload parcel.Payload, gone bool, err error) {
	d := p.tickets
	payload, a, err := p.call(ctx, d.client, kindBatch, p.answerRequest(t.id), t.numbers)
	if err != nil {
		return parcel.Payload{}, false, err
	}
	switch refusal := a.refusal(); {
	case a.failed(errDeleted):
		d.forget(t)
		return parcel.Payload{}, true, nil
	case a.failed(errNotReady), a.torn != nil:
		// A torn answer is kept for what it holds, and its ticket goes on: the
		// whole one is still there.
		t.due = d.wall.Now().Add(d.wait)
		return payload, false, nil
	case refusal != nil:
		t.due = d.wall.Now().Add(d.wait)
		return parcel.Payload{}, false, refusal
	}
	d.forget(t)
	return payload, false, nil
}

func intersect(numbers, with []string) []string {
	var both []string
	for _, n := range numbers {
		if slices.Contains(with, n) {
			both = append(both, n)
		}
	}
	return both
}
