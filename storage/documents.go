package storage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Documents are the durable forms of what cannot be derived again: JSON with
// names of its own, so that a field renamed in Go does not lose what was
// stored, and an older row lacks nothing but what was not known then. A field
// may be added; none is renamed or given another meaning.

// stamp is an instant in microseconds.
type stamp int64

func stampOf(t time.Time) stamp { return stamp(micros(t)) }
func (s stamp) time() time.Time { return instant(int64(s)) }
func decodeDoc(doc []byte, v any) error {
	if err := json.Unmarshal(doc, v); err != nil {
		return fmt.Errorf("document: %w: %w", parcel.ErrMalformed, err)
	}
	return nil
}

type momentDoc struct {
	At        stamp            `json:"at"`
	Wall      string           `json:"wall,omitempty"`
	Text      string           `json:"text,omitempty"`
	Zone      string           `json:"zone,omitempty"`
	Offset    *int             `json:"offset,omitempty"` // seconds; absent if not known
	Certainty parcel.Certainty `json:"certainty,omitempty"`
}

func momentDocOf(m *parcel.Moment) *momentDoc {
	if *m == (parcel.Moment{}) {
		return nil
	}
	d := &momentDoc{At: stampOf(m.At), Wall: m.Wall, Text: m.Text, Zone: m.Zone, Certainty: m.Certainty}
	if m.HasOffset {
		d.Offset = &m.OffsetSeconds
	}
	return d
}

func (d *momentDoc) moment() parcel.Moment {
	if d == nil {
		return parcel.Moment{}
	}
	m := parcel.Moment{At: d.At.time(), Wall: d.Wall, Text: d.Text, Zone: d.Zone, Certainty: d.Certainty}
	if d.Offset != nil {
		m.OffsetSeconds, m.HasOffset = *d.Offset, true
	}
	return m
}

func placeDocOf(p *parcel.Place) *parcel.Place {
	if p.IsZero() {
		return nil
	}
	return p
}

func placeOf(d *parcel.Place) parcel.Place {
	if d == nil {
		return parcel.Place{}
	}
	return *d
}

type retractionDoc struct {
	Target     string                `json:"target"`
	Kind       parcel.RetractionKind `json:"kind"`
	Reason     string                `json:"reason,omitempty"`
	At         stamp                 `json:"at"`
	ReplacedBy string                `json:"replacedBy,omitempty"`
}

// eventDoc is a row of the event log without what its columns say: merchant,
// shipment, key, digest, id, carrier, number, received and payload.
type eventDoc struct {
	Teller      string             `json:"teller,omitempty"`
	Parcel      string             `json:"parcel,omitempty"`
	OwnCode     string             `json:"ownCode,omitempty"`
	Code        parcel.Code        `json:"code,omitempty"`
	Reason      parcel.Reason      `json:"reason,omitempty"`
	Words       string             `json:"words,omitempty"`
	Language    string             `json:"language,omitempty"`
	Occurred    *momentDoc         `json:"occurred,omitempty"`
	Reported    stamp              `json:"reported,omitempty"`
	Place       *parcel.Place      `json:"place,omitempty"`
	DeliveredTo parcel.DeliveredTo `json:"deliveredTo,omitempty"`
	NextCarrier string             `json:"nextCarrier,omitempty"`
	NextNumber  string             `json:"nextNumber,omitempty"`
	Retracts    bool               `json:"retracts,omitempty"`
	Rule        string             `json:"rule,omitempty"`
	RuleVersion string             `json:"ruleVersion,omitempty"`
	Source      parcel.SourceKind  `json:"source,omitempty"`
	Retraction  *retractionDoc     `json:"retraction,omitempty"`
}

func encodeEvent(e *parcel.Event) string {
	o := &e.Observation
	d := eventDoc{
		Teller: o.Teller, Parcel: o.Parcel, OwnCode: o.OwnCode, Code: o.Code, Reason: o.Reason, Words: o.Words, Language: o.Language,
		Occurred: momentDocOf(&o.Occurred), Reported: stampOf(o.Reported), Place: placeDocOf(&o.Place),
		DeliveredTo: o.DeliveredTo, NextCarrier: o.NextCarrier, NextNumber: o.NextNumber, Retracts: o.Retracts,
		Rule: o.Rule, RuleVersion: o.RuleVersion, Source: e.Source,
	}
	if r := e.Retraction; r != nil {
		d.Retraction = &retractionDoc{Target: r.Target, Kind: r.Kind, Reason: r.Reason, At: stampOf(r.At), ReplacedBy: r.ReplacedBy}
	}
	return jsonText(&d)
}

// decodeEvent fills what the document says into an event that has its columns.
func decodeEvent(doc []byte, e *parcel.Event) error {
	var d eventDoc
	if err := decodeDoc(doc, &d); err != nil {
		return err
	}
	o := &e.Observation
	o.Teller, o.Parcel, o.OwnCode, o.Code, o.Reason, o.Words, o.Language = d.Teller, d.Parcel, d.OwnCode, d.Code, d.Reason, d.Words, d.Language
	o.Occurred, o.Reported, o.Place = d.Occurred.moment(), d.Reported.time(), placeOf(d.Place)
	o.DeliveredTo, o.NextCarrier, o.NextNumber, o.Retracts = d.DeliveredTo, d.NextCarrier, d.NextNumber, d.Retracts
	o.Rule, o.RuleVersion, e.Source = d.Rule, d.RuleVersion, d.Source
	if r := d.Retraction; r != nil {
		e.Retraction = &parcel.Retraction{Target: r.Target, Kind: r.Kind, Reason: r.Reason, At: r.At.time(), ReplacedBy: r.ReplacedBy}
	}
	return nil
}

// changeDoc is a row of the change log without position, merchant, shipment,
// kind and time.
type changeDoc struct {
	EventID          string                 `json:"event,omitempty"`
	Occurred         *momentDoc             `json:"occurred,omitempty"`
	Place            *parcel.Place          `json:"place,omitempty"`
	Rule             string                 `json:"rule,omitempty"`
	LegKey           string                 `json:"leg,omitempty"`
	From             parcel.Milestone       `json:"from,omitempty"`
	To               parcel.Milestone       `json:"to,omitempty"`
	OutcomeBefore    parcel.Outcome         `json:"outcomeBefore,omitempty"`
	Outcome          parcel.Outcome         `json:"outcome,omitempty"`
	ExceptionKey     string                 `json:"exception,omitempty"`
	ExceptionKind    parcel.ExceptionKind   `json:"exceptionKind,omitempty"`
	ExceptionAction  parcel.ExceptionAction `json:"exceptionAction,omitempty"`
	Severity         parcel.Severity        `json:"severity,omitempty"`
	LegAction        parcel.LegAction       `json:"legAction,omitempty"`
	NumberBefore     string                 `json:"numberBefore,omitempty"`
	Number           string                 `json:"number,omitempty"`
	RetractedEventID string                 `json:"retracted,omitempty"`
	PromiseBefore    *promiseDoc            `json:"promiseBefore,omitempty"`
	Promise          *promiseDoc            `json:"promise,omitempty"`
}

type promiseDoc struct {
	By      string               `json:"by,omitempty"`
	From    string               `json:"from,omitempty"`
	ShownAt stamp                `json:"shownAt,omitempty"`
	Source  parcel.PromiseSource `json:"source,omitempty"`
}

func promiseDocOf(p *parcel.Promise) *promiseDoc {
	if *p == (parcel.Promise{}) {
		return nil
	}
	return &promiseDoc{By: p.By, From: p.From, ShownAt: stampOf(p.ShownAt), Source: p.Source}
}

func (d *promiseDoc) promise() parcel.Promise {
	if d == nil {
		return parcel.Promise{}
	}
	return parcel.Promise{By: d.By, From: d.From, ShownAt: d.ShownAt.time(), Source: d.Source}
}

func encodeChange(c *parcel.Change) string {
	return jsonText(&changeDoc{
		EventID: c.EventID, Occurred: momentDocOf(&c.Occurred), Place: placeDocOf(&c.Place), Rule: c.Rule, LegKey: c.LegKey,
		From: c.From, To: c.To, OutcomeBefore: c.OutcomeBefore, Outcome: c.Outcome,
		ExceptionKey: c.ExceptionKey, ExceptionKind: c.ExceptionKind, ExceptionAction: c.ExceptionAction, Severity: c.Severity,
		LegAction: c.LegAction, NumberBefore: c.NumberBefore, Number: c.Number, RetractedEventID: c.RetractedEventID,
		PromiseBefore: promiseDocOf(&c.PromiseBefore), Promise: promiseDocOf(&c.Promise),
	})
}

func decodeChange(doc []byte, c *parcel.Change) error {
	var d changeDoc
	if err := decodeDoc(doc, &d); err != nil {
		return err
	}
	c.EventID, c.Occurred, c.Place, c.Rule, c.LegKey = d.EventID, d.Occurred.moment(), placeOf(d.Place), d.Rule, d.LegKey
	c.From, c.To, c.OutcomeBefore, c.Outcome = d.From, d.To, d.OutcomeBefore, d.Outcome
	c.ExceptionKey, c.ExceptionKind, c.ExceptionAction, c.Severity = d.ExceptionKey, d.ExceptionKind, d.ExceptionAction, d.Severity
	c.LegAction, c.NumberBefore, c.Number, c.RetractedEventID = d.LegAction, d.NumberBefore, d.Number, d.RetractedEventID
	c.PromiseBefore, c.Promise = d.PromiseBefore.promise(), d.Promise.promise()
	return nil
}
