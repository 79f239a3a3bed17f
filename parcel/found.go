package parcel

import (
	"slices"
	"time"
)

// FoundRule is how a shipment came by a number that its merchant never declared
// and no event named.
type FoundRule string

// The rules.
const (
	// FoundAlias: a carrier gave it as another name of the same parcel.
	FoundAlias FoundRule = "number.alias"
	// FoundTold: an aggregator told whose scans it repeats.
	FoundTold FoundRule = "number.told"
	// FoundNamed: an event named the next carrier and no number, and the number
	// at hand has a form of that carrier.
	FoundNamed FoundRule = "number.named"
	// FoundPost: by UPU S10 the post of the destination knows a postal item by
	// the number that the post of origin gave it.
	FoundPost FoundRule = "number.s10"
	// FoundNetwork: the network of posts knows it by the same number.
	FoundNetwork FoundRule = "number.s10_network"
	// FoundHabit: on this lane this carrier usually comes next.
	FoundHabit FoundRule = "number.habit"
	// FoundIdentified: the carrier it was registered with does not know it, and
	// another whose numbers look so does.
	FoundIdentified FoundRule = "number.identified"
)

// FoundNumber is a number that was found for a parcel after its registration.
// It is a fact like a declared one: a journey is folded from it.
type FoundNumber struct {
	// Carrier and Number are what was found.
	Carrier string `json:"carrier"`
	Number  string `json:"number"`
	// FromCarrier and From are the number by which it was found.
	FromCarrier string    `json:"fromCarrier,omitempty"`
	From        string    `json:"from,omitempty"`
	Rule        FoundRule `json:"rule"`
	// At is when it was found, trade time.
	At time.Time `json:"at,omitzero"`
}

// Knows tells whether a number is among those found.
func (f *Facts) Knows(key NumberKey) bool {
	return slices.ContainsFunc(f.Found, func(n FoundNumber) bool { return n.Carrier == key.Carrier && n.Number == key.Number })
}

// foundElsewhere tells whether a number turned out to be another carrier's than
// the one it was registered with.
func (f *Facts) foundElsewhere(key NumberKey) bool {
	return slices.ContainsFunc(f.Found, func(n FoundNumber) bool {
		return n.Rule == FoundIdentified && n.Number == key.Number && n.Carrier != key.Carrier
	})
}
