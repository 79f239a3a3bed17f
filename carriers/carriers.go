// Package carriers is the contract between Milepost and the world's carriers:
// what an adapter says about itself (Spec), what it must do (Carrier), what it
// may do besides (Fetcher, Verifier, Splitter), and the registry in which each
// adapter enters itself.
package carriers

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/milepost-gateway/milepost/parcel"
)

// Carrier is an adapter bound to one carrier account. Its methods are safe for
// concurrent use.
type Carrier interface {
	// Decode reads a payload. It is pure: no network, clock or randomness, so a
	// stored payload can be decoded again after a fix. It says what the carrier
	// said; what depends on other events is the fold's. One bad item never
	// hides a good one: a reading and a joined error may both come back. A
	// payload that cannot be read at all gives an error of kind ErrMalformed;
	// a carrier's refusal inside an answer gives ErrDenied, ErrThrottled or
	// ErrUnavailable.
	Decode(p parcel.Payload) (parcel.Reading, error)
	// Redact replaces personal fields (names, signatures, phones) and secrets
	// in a payload, after verification and before it is kept. It is pure, keeps
	// the payload decodable to the same reading, and is idempotent. A payload
	// that it cannot read comes back unchanged.
	Redact(p parcel.Payload) parcel.Payload
}

// Query is one number to be asked for.
type Query struct {
	// Number is the carrier's name for the parcel.
	Number string
	// Postcode of the destination, for carriers that ask for it; may be empty.
	Postcode string
	// Language wanted, BCP 47; empty for the adapter's default.
	Language string
}

// Fetcher is a carrier that can be asked.
type Fetcher interface {
	// Fetch asks for at most Spec.Batch numbers and returns what came back,
	// undecoded: usually one payload. Payloads received before a failure are
	// returned beside the error. Errors are of kind ErrUnavailable,
	// ErrThrottled (as *parcel.Throttled where the carrier names a wait),
	// ErrDenied or ErrMalformed, or the context's own. Fetch honours ctx.
	Fetch(ctx context.Context, queries []Query) ([]parcel.Payload, error)
}

// Delivery is a push as it arrived at the door.
type Delivery struct {
	Header http.Header
	Query  map[string][]string
	// Body is the raw bytes: verification reads these and nothing re-made.
	Body []byte
}

// Reply is what the carrier expects to hear after a push.
type Reply struct {
	Status      int
	ContentType string
	Body        []byte
}

// Verifier is a carrier that calls us.
type Verifier interface {
	// Verify tells whether the delivery comes from the carrier, over the raw
	// bytes and in constant time, and names the payload's kind. It returns an
	// error of kind ErrDenied for a bad signature or secret, ErrMalformed for
	// bytes that cannot hold one.
	Verify(d Delivery) (kind string, err error)
	// Reply is the answer for the carrier: err is nil once the payload is
	// durable, else the reason why it was not taken.
	Reply(err error) Reply
}

// Splitter is a carrier that drops files.
type Splitter interface {
	// Split cuts a file into payloads that can be kept and decoded one by one.
	// A bad line comes as an error that names its number, and the lines after
	// it still come.
	Split(r io.Reader, name string) iter.Seq2[parcel.Payload, error]
}

// Clock is the part of a clock that adapters need. Trade time for what is
// said about parcels, wall time for tokens and pacing: Env has both.
type Clock interface {
	Now() time.Time
	// Sleep waits for d of this clock's time, or until ctx is done.
	Sleep(ctx context.Context, d time.Duration) error
}

// Env is what an adapter is given when it is bound to an account.
type Env struct {
	// Account is the name of the carrier account.
	Account string
	// BaseURL replaces Spec.BaseURL; empty for the carrier's own.
	BaseURL string
	// Settings are the account's values by Setting.Name, secrets included.
	Settings map[string]string
	// HTTP sends requests: time-out, pacing and retries are carrierkit's. Nil
	// gives a client that fails every call.
	HTTP *http.Client
	// Wall runs tokens, pacing and deadlines.
	Wall Clock
	// Gate holds calls to the account's quota, together with every other
	// process that calls through the account. Nil leaves the quota to the
	// client alone.
	Gate Gate
	// Log never gets a secret or a number's owner.
	Log *slog.Logger
}

// Setting is a value that an account needs or may have.
type Setting struct {
	// Name in configuration: client_id.
	Name string
	// Doc is one line for a person.
	Doc string
	// Default if not set.
	Default string
	// Secret values come from the environment or a file and are never shown.
	Secret bool
	// Required: New fails without it.
	Required bool
}

// PayloadKind is a form of payload that Decode reads.
type PayloadKind struct {
	Name   string
	Source parcel.SourceKind
	// Doc says what it is.
	Doc string
	// Sniff tells whether bytes look like this kind; for `carriers decode`.
	Sniff func(body []byte) bool
}

// Quota is how much a carrier lets us ask, per account. Zero values are
// unlimited.
type Quota struct {
	// PerSecond and Burst pace calls.
	PerSecond float64
	Burst     int
	// Calls in Window is the budget.
	Calls  int
	Window time.Duration
}

// Product is a service level that a carrier sells.
type Product struct {
	Code, Name string
	// Class is POSTAL, DEDICATED_LINE, EXPRESS, OVERSEAS_WAREHOUSE or DOMESTIC.
	Class string
	// StatedDays is what the carrier states; 0 if nothing.
	StatedDays int
	// NoDeliveryScan marks services whose delivery is never scanned.
	NoDeliveryScan bool
}

// Spec is what an adapter says about itself. It is written once, at start, and
// never changed.
type Spec struct {
	// Name is folder, configuration key, GraphQL code, and the name kept with
	// every event: "russian-post".
	Name string
	// Title is the name as the carrier writes it.
	Title string
	// Country is the carrier's home; empty if it has none.
	Country parcel.Country
	// Stages that it serves, in order; the first is where a number of its
	// usually begins.
	Stages []parcel.Stage
	// API names what it speaks, with edition, for the docs.
	API string
	// BaseURL is the carrier's own address; empty for carriers that are never
	// asked.
	BaseURL string
	// TrackingPage is the carrier's public page; "{number}" is replaced. Empty
	// if none.
	TrackingPage string
	// Batch is the most numbers in one Fetch; at least 1 for a Fetcher.
	Batch int
	// Quota is the carrier's published or presumed limit.
	Quota Quota
	// Timeout bounds one call; 0 gives 10 s.
	Timeout time.Duration
	// Grace is how long UNKNOWN is normal after registration; 0 gives 72 h.
	Grace time.Duration
	// NextCarrier tells whether it names who carries on.
	NextCarrier bool
	// Aggregator marks one that carries nothing and repeats what others said.
	// Its observations may name the carrier whose scan they tell; those of any
	// other adapter are always its own.
	Aggregator bool
	// Settings that an account has.
	Settings []Setting
	// Kinds of payload that Decode reads, the commonest first.
	Kinds []PayloadKind
	// Codes is the code table.
	Codes Table
	// Products that it sells; may be empty.
	Products []Product
	// New binds the adapter to an account. It does no I/O. Missing or bad
	// settings give an error of kind ErrInvalid that names the setting.
	New func(env Env) (Carrier, error)
	// Fake is the carrier's side for the simulator and tests: it checks auth,
	// signatures and limits as the real one would, and speaks the exact wire
	// format.
	Fake func(f FakeEnv) Fake
}

// FakeEnv is what a fake is given.
type FakeEnv struct {
	// Settings are those of the account that will call: the fake accepts these
	// credentials and no others.
	Settings map[string]string
	// Now is trade time.
	Now func() time.Time
	// Journeys tells what the carrier knows: the scans of a number up to now in
	// order of occurrence, or ok false for a number it does not know.
	Journeys func(number string) (history FakeHistory, ok bool)
}

// FakeHistory is what a simulated carrier knows about one number.
type FakeHistory struct {
	Origin, Destination parcel.Country
	Postcode            string
	Scans               []FakeScan
	// NextNumber under which the last mile goes on; empty if it does not.
	NextCarrier, NextNumber string
	// Estimated is the carrier's own estimate of delivery; zero if none.
	Estimated time.Time
}

// FakeScan is one simulated scan in the canonical vocabulary; the fake writes
// it as its carrier would.
type FakeScan struct {
	Code  parcel.Code
	At    time.Time
	Place parcel.Place
	// Reason and DeliveredTo refine the code; may be empty.
	Reason      parcel.Reason
	DeliveredTo parcel.DeliveredTo
}

// Fake is a carrier's side.
type Fake interface {
	// Handler serves the carrier's API.
	Handler() http.Handler
	// Push makes the request that the carrier would send for the newest scan of
	// a number, signed as the carrier signs; ok is false for carriers that do
	// not push. The URL's path is the caller's business.
	Push(number string, h FakeHistory) (d Delivery, ok bool)
	// Speaks lists the canonical codes that the carrier has words for; a
	// simulated journey asks for no others.
	Speaks() []parcel.Code
}

// ErrNoAccount is returned by a client that was given no credentials; it is of
// kind ErrDenied.
var ErrNoAccount = errors.Join(parcel.ErrDenied, errors.New("no account for this carrier"))
