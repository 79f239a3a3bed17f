package resolvers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/graph/view"
	"github.com/milepost-gateway/milepost/parcel"
)

// door is the shopper's door: what a number, and perhaps a postcode, opens.
type door struct {
	r        *Resolver
	lens     *view.Lens
	number   string // normalised
	carrier  string
	postcode string // folded
	// asked tells that a postcode was given, be it empty or of no letters.
	asked bool
}

// opened is a shipment that the door lets through.
type opened struct {
	*Loaded
	proof view.ProofLevel
}

// knock finds what may be shown. A number that nobody registered and a wrong
// postcode read the same and answer the same.
func (d *door) knock(ctx context.Context) ([]opened, error) {
	k := Knock{Number: d.number, Carrier: d.carrier, Asked: d.asked, Postcode: d.postcode}
	if v := d.lens.Viewer; v.May(graph.ShipmentsRead, v.MerchantID) {
		k.MerchantID = v.MerchantID
	}
	loaded, err := d.r.Store.ShipmentsByNumber(ctx, k)
	if err != nil {
		return nil, err
	}
	var open []opened
	for _, l := range loaded {
		proof, err := d.proofFor(ctx, l.Shipment)
		if err != nil {
			return nil, err
		}
		if proof != "" {
			open = append(open, opened{l, proof})
		}
	}
	return open, nil
}

// proofFor is how much the caller has proved; empty if it opens nothing.
func (d *door) proofFor(ctx context.Context, s *parcel.Shipment) (view.ProofLevel, error) {
	if d.lens.Viewer.May(graph.ShipmentsRead, s.MerchantID) {
		return view.ProofOwner, nil
	}
	if d.asked {
		// A shipment without a postcode is opened by none.
		if d.postcode != "" && d.postcode == parcel.FoldPostcode(s.Destination.Postcode) {
			return view.ProofPostcode, nil
		}
		return "", nil
	}
	m, err := d.r.request(ctx).tenant(ctx, s.MerchantID)
	switch {
	case errors.Is(err, parcel.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case m.TrackPublic:
		return view.ProofNumber, nil
	default:
		return "", nil
	}
}

// nothingTakes is the least wall time that finding nothing takes: longer than
// the work, so that the wait does not tell a wrong postcode from a number that
// nobody registered.
const nothingTakes = 10 * time.Millisecond

// answer decides between what was opened.
func (d *door) answer(ctx context.Context, p patience) (view.TrackResult, error) {
	began := d.r.Wall.Now()
	open, err := d.knock(ctx)
	if err != nil {
		return nil, err
	}
	if len(open) == 0 {
		nothing := view.TrackNothing{All: d.hints()}
		if err := d.r.Wall.Sleep(ctx, nothingTakes-d.r.Wall.Now().Sub(began)); err != nil {
			return nil, err
		}
		return nothing, nil
	}
	if choice, unsure := d.choice(open); unsure {
		return choice, nil
	}
	// What is left is one parcel, or one number used again: the newest.
	found := open[0]
	mask := func(*Loaded) view.Mask {
		return view.Mask{Hide: found.proof == view.ProofNumber, Number: d.number}
	}
	lens, err := d.spoken(ctx, found.Shipment.MerchantID)
	if err != nil {
		return nil, err
	}
	shown, err := d.r.show(ctx, lens, []*Loaded{found.Loaded}, p, mask)
	if err != nil {
		return nil, err
	}
	return view.TrackFound{Shipment: shown[0], Proof: found.proof}, nil
}

// spoken is the lens with the shop's language where the shopper asked for none.
func (d *door) spoken(ctx context.Context, merchantID string) (*view.Lens, error) {
	if d.lens.Locale != "" {
		return d.lens, nil
	}
	m, err := d.r.request(ctx).tenant(ctx, merchantID)
	if err != nil && !errors.Is(err, parcel.ErrNotFound) {
		return nil, err
	}
	lens := *d.lens
	lens.Locale = m.DefaultLocale
	return &lens, nil
}

// choice tells that the number alone is not enough: several carriers have it, or
// parcels to several postcodes.
func (d *door) choice(open []opened) (view.TrackChoice, bool) {
	var carriers, postcodes []string
	for _, o := range open {
		for i := range o.Shipment.Journey.Legs {
			l := &o.Shipment.Journey.Legs[i]
			if l.Number == d.number && l.Carrier != "" && !slices.Contains(carriers, l.Carrier) {
				carriers = append(carriers, l.Carrier)
			}
		}
		if code := parcel.FoldPostcode(o.Shipment.Destination.Postcode); !slices.Contains(postcodes, code) {
			postcodes = append(postcodes, code)
		}
	}
	c := view.TrackChoice{PostcodeDecides: !d.asked && len(postcodes) > 1}
	if len(open) < 2 || !c.PostcodeDecides && (d.carrier != "" || len(carriers) < 2) {
		return c, false
	}
	slices.Sort(carriers)
	for _, code := range carriers {
		c.All = append(c.All, view.Candidate{Code: code, Confidence: 1 / float64(len(carriers)), Rule: "registered", Directory: d.r.carriers})
	}
	return c, true
}

// hints tell what may be wrong with the number, from its form alone: whether it
// is registered shows in none of them.
func (d *door) hints() []view.Hint {
	var out []view.Hint
	known := d.r.likeness(d.number)
	for _, other := range parcel.LookAlikes(d.number) {
		// Another reading helps only where it is sooner a number of some
		// carrier than what was typed.
		if d.r.likeness(other) > known {
			out = append(out, view.Hint{Kind: view.HintLookAlike, Meant: other, Lens: d.lens})
		}
	}
	s10, isS10 := parcel.ParseS10(d.number)
	upsValid, isUPS := parcel.CheckUPS(d.number)
	if isS10 && !s10.CheckValid || isUPS && !upsValid {
		out = append(out, view.Hint{Kind: view.HintCheckDigit, Lens: d.lens})
	}
	if known == 0 {
		out = append(out, view.Hint{Kind: view.HintPattern, Lens: d.lens})
	}
	return out
}

// likeness is how sure it is, from 0 to 1, that a number is some carrier's.
func (r *Resolver) likeness(number string) (most float64) {
	for _, g := range r.Identify(number, "", "") {
		most = max(most, g.Confidence)
	}
	return most
}

// guesses are the carriers whose number it may be.
func (r *Resolver) guesses(number string, origin, destination parcel.Country, first *int) []view.Candidate {
	found := r.Identify(parcel.NormalizeNumber(number), origin, destination)
	n := 10
	if first != nil {
		n = *first
	}
	out := make([]view.Candidate, 0, len(found))
	for _, g := range found[:min(n, len(found))] {
		out = append(out, view.Candidate{Code: g.Carrier, Confidence: g.Confidence, Rule: g.Rule, CheckDigitValid: g.CheckDigitValid, Needed: g.Needs, Home: g.Country, Way: g.Fit, Directory: r.carriers})
	}
	return out
}
