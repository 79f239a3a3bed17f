package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/storage"
)

// cursorsOf are the cursors of a deployment: they hold on every replica, in
// every verb and after a restart.
func cursorsOf(ctx context.Context, s *storage.Store) (secret []byte, c *graph.Cursors, err error) {
	text, err := s.Setting(ctx, "cursor-secret", func() string { return base64.StdEncoding.EncodeToString(randomBytes(32)) })
	if err != nil {
		return nil, nil, err
	}
	if secret, err = base64.StdEncoding.DecodeString(text); err != nil {
		return nil, nil, fmt.Errorf("the database's cursor secret is damaged: %w", err)
	}
	c, err = graph.NewCursors(secret)
	return secret, c, err
}

// exportedChange is a line of an export. What does not apply is left out, but
// for event, which is null where a clock or a person decided.
type exportedChange struct {
	Cursor    string             `json:"cursor"`
	Kind      parcel.ChangeKind  `json:"kind"`
	LoggedAt  time.Time          `json:"loggedAt"`
	Merchant  string             `json:"merchant,omitempty"`
	Shipment  exportedShipment   `json:"shipment"`
	Event     *exportedEvent     `json:"event"`
	Rule      string             `json:"rule"`
	Leg       string             `json:"leg,omitempty"`
	LegAction parcel.LegAction   `json:"legAction,omitempty"`
	Exception *exportedException `json:"exception,omitempty"`
	Retracted string             `json:"retractedEvent,omitempty"`
	Before    exportedState      `json:"before"`
	After     exportedState      `json:"after"`
}

type exportedShipment struct {
	ID        string `json:"id"`
	Reference string `json:"reference"`
	Order     string `json:"order,omitempty"`
}

type exportedEvent struct {
	ID         string         `json:"id"`
	OccurredAt time.Time      `json:"occurredAt,omitzero"`
	Local      *exportedLocal `json:"local,omitempty"`
	Place      *parcel.Place  `json:"place,omitempty"`
}

type exportedLocal struct {
	Text      string           `json:"text"`
	Offset    string           `json:"offset,omitempty"`
	TimeZone  string           `json:"timeZone,omitempty"`
	Certainty parcel.Certainty `json:"certainty"`
}

type exportedException struct {
	ID       string                 `json:"id"`
	Kind     parcel.ExceptionKind   `json:"kind"`
	Action   parcel.ExceptionAction `json:"action"`
	Severity parcel.Severity        `json:"severity"`
}

// exportedState is one side of a change.
type exportedState struct {
	Milestone parcel.Milestone `json:"milestone,omitempty"`
	Outcome   parcel.Outcome   `json:"outcome,omitempty"`
	Number    string           `json:"number,omitempty"`
	Promise   *parcel.Promise  `json:"promise,omitempty"`
}

func exported(c *parcel.Change, cursors *graph.Cursors, merchant string, name storage.ShipmentName) exportedChange {
	line := exportedChange{
		Cursor: cursors.SealPosition(c.Position), Kind: c.Kind, LoggedAt: c.LoggedAt.UTC(), Merchant: merchant,
		Shipment: exportedShipment{graph.MakeID(graph.TypeShipment, c.ShipmentID), name.Reference, name.Order},
		Rule:     c.Rule, LegAction: c.LegAction,
		Before: exportedState{Milestone: c.From, Outcome: c.OutcomeBefore, Number: c.NumberBefore, Promise: promised(c.PromiseBefore)},
		After:  exportedState{Milestone: c.To, Outcome: c.Outcome, Number: c.Number, Promise: promised(c.Promise)},
	}
	if line.After.Milestone == "" {
		line.After.Milestone = parcel.MilestoneRegistered
	}
	if c.EventID != "" {
		line.Event = &exportedEvent{ID: graph.MakeID(graph.TypeEvent, c.EventID), OccurredAt: c.Occurred.At}
		if !c.Occurred.IsZero() {
			line.Event.Local = &exportedLocal{Text: c.Occurred.Written(), TimeZone: c.Occurred.Zone, Certainty: parcel.CertaintyUnknown}
			if c.Occurred.Certainty != "" {
				line.Event.Local.Certainty = c.Occurred.Certainty
			}
			if c.Occurred.HasOffset {
				line.Event.Local.Offset = c.Occurred.Offset()
			}
		}
		if !c.Place.IsZero() {
			line.Event.Place = &c.Place
		}
	}
	if c.LegKey != "" {
		line.Leg = graph.MakeID(graph.TypeLeg, c.ShipmentID+"."+c.LegKey)
	}
	if c.Kind == parcel.ChangeException {
		line.Exception = &exportedException{graph.MakeID(graph.TypeException, c.ShipmentID+"."+c.ExceptionKey), c.ExceptionKind, c.ExceptionAction, c.Severity}
	}
	if c.RetractedEventID != "" {
		line.Retracted = graph.MakeID(graph.TypeEvent, c.RetractedEventID)
	}
	return line
}

func promised(p parcel.Promise) *parcel.Promise {
	if p.By == "" {
		return nil
	}
	return &p
}

// exportPage is how many rows are in memory at once.
const exportPage = 500

// exporter reads the change log as lines.
type exporter struct {
	store   *storage.Store
	cursors *graph.Cursors
	scope   storage.Scope
	// merchants names the merchant of each line by id; nil names none.
	merchants func(ctx context.Context, id string) (string, error)
}

// start is the place behind a cursor; without one, before the oldest row kept.
func (e *exporter) start(ctx context.Context, after string) (int64, error) {
	if after != "" {
		return e.cursors.OpenPosition(after)
	}
	oldest, _, err := e.store.LogBounds(ctx)
	return oldest - 1, err
}

// walk gives all that there is behind a position to page, in the log's order,
// and returns the place reached, also beside an error. page gets whole lines,
// which it may keep until it returns. What retention has removed, even while
// it was read, is *graph.CursorExpired and never a hole.
func (e *exporter) walk(ctx context.Context, position int64, page func(lines []byte, n int) error) (int64, error) {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	out.SetEscapeHTML(false)
	for {
		// The head is read before the rows: where few come, all up to it is seen.
		_, head, err := e.store.LogBounds(ctx)
		if err != nil {
			return position, err
		}
		rows, err := e.store.Changes(ctx, e.scope, position, exportPage, storage.ChangeFilter{})
		if err != nil {
			return position, err
		}
		// What is kept is read after them: nothing went unnoticed.
		oldest, _, err := e.store.LogBounds(ctx)
		if err != nil {
			return position, err
		}
		if position < oldest-1 {
			return position, &graph.CursorExpired{Oldest: e.cursors.SealPosition(oldest - 1)}
		}
		lines.Reset()
		n, err := e.write(ctx, out, rows)
		if err != nil {
			return position, err
		}
		if n > 0 {
			if err := page(lines.Bytes(), n); err != nil {
				return position, err
			}
		}
		if k := len(rows); k > 0 {
			position = rows[k-1].Position
		}
		if len(rows) < exportPage {
			return max(position, head), nil
		}
	}
}

// write writes rows as lines. As everywhere, a row whose shipment is gone tells
// nothing to anyone.
func (e *exporter) write(ctx context.Context, out *json.Encoder, rows []parcel.Change) (n int, err error) {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ShipmentID
	}
	names, err := e.store.ShipmentNames(ctx, e.scope, ids)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		name, there := names[rows[i].ShipmentID]
		if !there {
			continue
		}
		merchant := ""
		if e.merchants != nil {
			if merchant, err = e.merchants(ctx, rows[i].MerchantID); err != nil {
				return n, err
			}
		}
		if err := out.Encode(exported(&rows[i], e.cursors, merchant, name)); err != nil {
			return n, fmt.Errorf("change %d: %w", rows[i].Position, err)
		}
		n++
	}
	return n, nil
}

// exports is the log as the front door gives it away.
type exports struct {
	store   *storage.Store
	cursors *graph.Cursors
}

var _ gateway.Exports = exports{}

// ExportChanges implements [gateway.Exports].
func (x exports) ExportChanges(ctx context.Context, merchantID, after string, page func(lines []byte) error) error {
	e := exporter{store: x.store, cursors: x.cursors, scope: storage.OfMerchant(merchantID)}
	position, err := e.start(ctx, after)
	if err != nil {
		return err
	}
	_, err = e.walk(ctx, position, func(lines []byte, _ int) error { return page(lines) })
	return err
}
