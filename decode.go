package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/config"
	"github.com/milepost-gateway/milepost/parcel"
)

// decoded is one observation as `carriers decode` prints it.
type decoded struct {
	Number      string             `json:"number"`
	Code        parcel.Code        `json:"code"`
	Milestone   parcel.Milestone   `json:"milestone,omitempty"`
	Occurred    string             `json:"occurred"`
	Local       string             `json:"local"`
	Written     string             `json:"written,omitempty"`
	Offset      string             `json:"offset,omitempty"`
	Certainty   parcel.Certainty   `json:"certainty"`
	Place       *parcel.Place      `json:"place,omitempty"`
	OwnCode     string             `json:"ownCode,omitempty"`
	Words       string             `json:"words,omitempty"`
	Language    string             `json:"language,omitempty"`
	Reason      parcel.Reason      `json:"reason,omitempty"`
	DeliveredTo parcel.DeliveredTo `json:"deliveredTo,omitempty"`
	Parcel      string             `json:"parcel,omitempty"`
	NextCarrier string             `json:"nextCarrier,omitempty"`
	NextNumber  string             `json:"nextNumber,omitempty"`
	Retracts    bool               `json:"retracts,omitempty"`
	Rule        string             `json:"rule,omitempty"`
}

func decodedOf(o *parcel.Observation) decoded {
	d := decoded{
		Number: parcel.NormalizeNumber(o.Number), Code: o.Code, Milestone: o.Code.Proves(), Local: o.Occurred.Wall, Written: o.Occurred.Text, Offset: o.Occurred.Offset(),
		Certainty: o.Occurred.Certainty, OwnCode: o.OwnCode, Words: o.Words, Language: o.Language, Reason: o.Reason, DeliveredTo: o.DeliveredTo,
		Parcel: o.Parcel, NextCarrier: o.NextCarrier, NextNumber: o.NextNumber, Retracts: o.Retracts, Rule: o.Rule,
	}
	if !o.Occurred.IsZero() {
		d.Occurred = o.Occurred.At.Format(time.RFC3339Nano)
	}
	if !o.Place.IsZero() {
		d.Place = &o.Place
	}
	return d
}

// maxDecode is the largest file that is read for decoding.
const maxDecode = 64 << 20

// decodeFile reads a payload as the carrier's adapter does and prints what it
// says, one JSON object a line. What is no observation goes to con.err.
func decodeFile(con *console, file *config.File, log *slog.Logger, cat *catalog, carrier, path, kind string, asked []string) error {
	b := binding{catalog: cat, wall: con.wall, log: log}
	spec, c, err := b.decoder(file, carrier)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	body, err := readInput(con, path, maxDecode)
	if err != nil {
		return err
	}
	k, err := kindOf(&spec, c, kind, body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	con.note("%s: read as %s (%s)", name, k.Name, k.Doc)

	d := decoding{con: con, enc: json.NewEncoder(con.out), carrier: c}
	d.enc.SetEscapeHTML(false)
	splitter, isFile := c.(carriers.Splitter)
	if k.Source != parcel.SourceFile || !isFile {
		d.payload(parcel.Payload{Carrier: spec.Name, Kind: k.Name, Source: k.Source, Body: body, Numbers: asked})
	} else {
		for p, err := range splitter.Split(bytes.NewReader(body), name) {
			if err != nil {
				d.fault(err)
				continue
			}
			p.Carrier = spec.Name
			d.payload(p)
		}
	}
	con.note("%s: %d observations, %d results, %d errors", name, d.observations, d.results, d.faults)
	if d.observations+d.results == 0 && d.faults > 0 {
		return told{errors.New("nothing could be read")}
	}
	return d.failed
}

// readInput reads a file, or the standard input for "-".
func readInput(con *console, path string, limit int64) ([]byte, error) {
	r := con.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%s: longer than %d MiB; split it first: %w", path, limit>>20, parcel.ErrInvalid)
	}
	return body, nil
}

// kindOf finds the kind of payload that bytes are: the one named, else the
// first that they look like, else the first in which something can be read, if
// only a refusal.
func kindOf(spec *carriers.Spec, c carriers.Carrier, named string, body []byte) (carriers.PayloadKind, error) {
	names := make([]string, len(spec.Kinds))
	for i, k := range spec.Kinds {
		names[i] = k.Name
		if k.Name == named {
			return k, nil
		}
	}
	if named != "" {
		return carriers.PayloadKind{}, badUsage("--kind: %s has no payload kind %q; it has %s", spec.Name, named, strings.Join(names, ", "))
	}
	for _, k := range spec.Kinds {
		if k.Sniff != nil && k.Sniff(body) {
			return k, nil
		}
	}
	for _, k := range spec.Kinds {
		if _, err := c.Decode(parcel.Payload{Carrier: spec.Name, Kind: k.Name, Source: k.Source, Body: body}); err != nil && !errors.Is(err, parcel.ErrMalformed) {
			return k, nil
		}
	}
	return carriers.PayloadKind{}, fmt.Errorf("looks like no payload of %s; if it is one, name its kind with --kind (%s): %w",
		spec.Name, strings.Join(names, ", "), parcel.ErrMalformed)
}

// decoding counts and prints what payloads say.
type decoding struct {
	con                           *console
	enc                           *json.Encoder
	carrier                       carriers.Carrier
	observations, results, faults int
	failed                        error // of writing
}

func (d *decoding) fault(err error) {
	d.faults++
	for line := range strings.Lines(err.Error()) {
		d.con.note("error: %s", strings.TrimRight(line, "\n"))
	}
}

func (d *decoding) payload(p parcel.Payload) {
	// As on the way in: personal fields are replaced before anything is kept
	// or shown.
	r, err := d.carrier.Decode(d.carrier.Redact(p))
	if err != nil {
		d.fault(err)
	}
	for i := range r.Observations {
		d.observations++
		if err := d.enc.Encode(decodedOf(&r.Observations[i])); err != nil && d.failed == nil {
			d.failed = err
		}
	}
	for _, n := range r.Results {
		d.results++
		if n.Finding != parcel.FindingFound {
			d.con.note("%s: %s %s", n.Number, n.Finding, n.Detail)
		}
	}
	for _, a := range r.Aliases {
		d.con.note("%s: also known as %s %s", a.Number, a.Other, a.Carrier)
	}
	for _, e := range r.Estimates {
		d.con.note("%s: the carrier estimates %s to %s", e.Number, e.Earliest, e.Last)
	}
	if r.RetryAfter > 0 {
		d.results++ // a ticket's answer is something read, too
		d.con.note("the carrier asks to come back after %s", r.RetryAfter)
	}
}
