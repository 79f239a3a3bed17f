package view

// TrackResult is what the shopper's door answers.
type TrackResult interface{ IsTrackResult() }

// ProofLevel is how much a caller has proved.
type ProofLevel string

// The levels.
const (
	ProofNumber   ProofLevel = "NUMBER"
	ProofPostcode ProofLevel = "POSTCODE"
	ProofOwner    ProofLevel = "OWNER"
)

// TrackFound is a parcel found.
type TrackFound struct {
	Shipment *Shipment
	Proof    ProofLevel
}

// IsTrackResult marks it.
func (TrackFound) IsTrackResult() {}

// TrackChoice says that the number alone is not enough.
type TrackChoice struct {
	All             []Candidate
	PostcodeDecides bool
}

// IsTrackResult marks it.
func (TrackChoice) IsTrackResult() {}

// Candidates are the carriers that may have it.
func (t TrackChoice) Candidates(first *int) []Candidate { return head(t.All, first, 10) }

// TrackNothing is nothing that can be shown.
type TrackNothing struct{ All []Hint }

// IsTrackResult marks it.
func (TrackNothing) IsTrackResult() {}

// Hints are what may be wrong with the number.
func (t TrackNothing) Hints(first *int) []Hint { return head(t.All, first, 5) }

// HintKind is a kind of hint.
type HintKind string

// The kinds.
const (
	HintLookAlike  HintKind = "LOOK_ALIKE"
	HintCheckDigit HintKind = "CHECK_DIGIT"
	HintPattern    HintKind = "PATTERN"
)

// Hint is what may be wrong with a number.
type Hint struct {
	Kind HintKind
	// Meant is the number that may be meant; empty if none.
	Meant string
	Lens  *Lens
}

// Text is the hint in words.
func (h Hint) Text(locale *string) Text { return h.Lens.label(locale, groupHint, string(h.Kind)) }

// Suggestion is the number that may be meant.
func (h Hint) Suggestion() (string, bool) { return given(h.Meant) }
