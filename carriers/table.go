package carriers

import "github.com/milepost-gateway/milepost/parcel"

// Row is one row of a code table: how a carrier's code or words are read.
type Row struct {
	// Rule names the row for people and for identity: "8.3" or "text:customs".
	Rule string
	// Code is the canonical code.
	Code parcel.Code
	// Reason, DeliveredTo refine it; may be empty.
	Reason      parcel.Reason
	DeliveredTo parcel.DeliveredTo
	// Retracts marks a code that takes back the event before it.
	Retracts bool
	// Doc is the carrier's meaning in English.
	Doc string
}

// Table reads a carrier's codes. It is data with a version; a mapping fix is a
// new version. Tables are immutable and safe for concurrent use.
type Table interface {
	// Version is the day of the table's last change, YYYY-MM-DD: newer tables
	// sort after older ones.
	Version() string
	// Lookup reads a code. ok is false for a code nobody mapped; the row is
	// then the rule for UNKNOWN.
	Lookup(code string) (row Row, ok bool)
	// Rows lists the table in its own order, for docs and tests.
	Rows() []Row
}
