package parcel

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"time"
)

// SourceKind is the door through which knowledge came.
type SourceKind string

// The doors.
const (
	SourcePoll      SourceKind = "POLL"      // we asked
	SourceWebhook   SourceKind = "WEBHOOK"   // the carrier called us
	SourceFile      SourceKind = "FILE"      // a file
	SourceReport    SourceKind = "REPORT"    // the merchant or a partner reported it
	SourceSimulator SourceKind = "SIMULATOR" // the simulated network of the demo, or seed
)

// Payload is bytes as received from a carrier, with what is needed to decode
// them again at any later time.
type Payload struct {
	// ID is a ULID, given by ingest when the payload is kept.
	ID string
	// Carrier is the adapter's name; Account the carrier account that it came
	// through.
	Carrier, Account string
	// Owner is the merchant whose own account that was; empty for the
	// deployment's. Ingest fills it in: what one merchant's credentials bring is
	// that merchant's for good, also when the account is gone.
	Owner string
	// Kind is the adapter's own name for this form of payload ("track",
	// "ticket", "push"): Decode reads it first.
	Kind string
	// Source is the door.
	Source SourceKind
	// ContentType is the media type as received.
	ContentType string
	// Body is the bytes, personal fields replaced by Redact before they are
	// kept.
	Body []byte
	// Numbers are the tracking numbers asked for; empty for pushes and files,
	// whose numbers only Decode knows.
	Numbers []string
	// ReceivedAt is when the bytes reached us, trade time.
	ReceivedAt time.Time
}

// Observation is what an adapter reads in a payload about one parcel: one scan,
// one message, before it is tied to a shipment.
type Observation struct {
	// Carrier is whose scan it is: the adapter's name, which ingest fills in;
	// empty where a merchant reports. An adapter whose spec says Aggregator may
	// name another carrier by its code, and leaves it empty where it does not
	// know.
	Carrier string
	// Teller is who told it, where that is not the carrier whose scan it is: the
	// aggregator that repeats it. Ingest fills it in; empty where the carrier
	// itself told it.
	Teller string
	// Number is the carrier's name for the parcel, normalised.
	Number string
	// Parcel tells apart parcels of one re-used number where the carrier does
	// (its unique id or posting date); empty where it does not.
	Parcel string
	// OwnCode is the carrier's own code: the part that all payload kinds of
	// that carrier share. Empty where the carrier has none; then Rule is the
	// identity.
	OwnCode string
	// Code is the canonical code.
	Code Code
	// Reason says why, for holds, failures and refusals; empty if not said.
	Reason Reason
	// Words is the carrier's sentence, markup removed and nothing else.
	Words string
	// Language is the BCP 47 tag of Words; empty if not known.
	Language string
	// Occurred is when it happened.
	Occurred Moment
	// Reported is when the carrier entered it; zero if it does not say.
	Reported time.Time
	// Place is where it happened, as far as told.
	Place Place
	// DeliveredTo is to whom, for deliveries.
	DeliveredTo DeliveredTo
	// NextCarrier and NextNumber name who carries on, and under which number,
	// where the carrier says so. NextCarrier is empty if only the number is
	// known.
	NextCarrier, NextNumber string
	// Retracts marks a message that takes back the latest earlier event, by
	// wall clock, of the same carrier and number.
	Retracts bool
	// Rule is the row of the code table that read the code, and RuleVersion the
	// table's version.
	Rule, RuleVersion string
}

// Key is the identity of the event as its teller tells it: carrier, number,
// parcel, own code (or the text rule where there is none), wall clock as
// written, and the teller where that is another than the carrier. Never the
// canonical code, the place, the words or the computed instant: all of those
// change with language, time and mapping version. That two tellers' events are
// one is for Fold to find.
func (o *Observation) Key() string {
	h := sha256.New()
	own := o.OwnCode
	if own == "" {
		own = "\x00" + o.Rule
	}
	hashStrings(h, o.Carrier, o.Number, o.Parcel, own, o.Occurred.Wall)
	if o.Teller != "" {
		hashStrings(h, o.Teller)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Digest is a hash of everything the observation says. Two tellings of one
// event (same Key) with different digests are two witnesses; the same telling
// again adds nothing.
func (o *Observation) Digest() string {
	h := sha256.New()
	hashStrings(h, o.Carrier, o.Teller, o.Number, o.Parcel, o.OwnCode, string(o.Code), string(o.Reason), o.Words, o.Language,
		o.Occurred.Wall, o.Occurred.Text, o.Occurred.Zone, string(o.Occurred.Certainty),
		string(o.Place.Country), o.Place.Region, o.Place.City, o.Place.Postcode, o.Place.Facility, o.Place.Unlocode,
		string(o.DeliveredTo), o.NextCarrier, o.NextNumber, o.Rule, o.RuleVersion)
	var b [25]byte
	binary.BigEndian.PutUint64(b[:], uint64(o.Occurred.At.UnixMicro()))
	binary.BigEndian.PutUint64(b[8:], uint64(int64(o.Occurred.OffsetSeconds)))
	if !o.Reported.IsZero() {
		binary.BigEndian.PutUint64(b[16:], uint64(o.Reported.UnixMicro()))
	}
	if o.Retracts {
		b[24] = 1
	}
	h.Write(b[:])
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func hashStrings(h hash.Hash, parts ...string) {
	var n [4]byte
	for _, p := range parts {
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
}

// Finding is what a carrier answered about a number.
type Finding string

// The answers.
const (
	FindingFound   Finding = "FOUND"   // the carrier knows the number
	FindingUnknown Finding = "UNKNOWN" // it does not, or not yet
	FindingDenied  Finding = "DENIED"  // it will not tell this account
)

// NumberResult is what became of one number that was asked for.
type NumberResult struct {
	Number  string
	Finding Finding
	// Detail is the carrier's own code or sentence, for support.
	Detail string
}

// Alias is another name the carrier gave to the same parcel.
type Alias struct {
	Number, Other string
	// Carrier under whose name Other goes; empty for the same carrier.
	Carrier string
}

// Estimate is a carrier's own date of delivery: never an event. Days are in
// DayLayout, both included, equal for a single day.
type Estimate struct {
	Number         string
	Earliest, Last string
}

// Reading is everything one payload says.
type Reading struct {
	Observations []Observation
	Results      []NumberResult
	Aliases      []Alias
	Estimates    []Estimate
	// RetryAfter asks not to be asked about these numbers sooner; zero if the
	// carrier does not mind. A batch ticket that is not ready uses it.
	RetryAfter time.Duration
}
