package graph

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/milepost-gateway/milepost/parcel"
)

// Types that have a global id.
const (
	TypeShipment  = "Shipment"
	TypeLeg       = "Leg"
	TypeEvent     = "TrackingEvent"
	TypeException = "ShipmentException"
	TypeMerchant  = "Merchant"
	TypeCarrier   = "Carrier"
	TypeRoute     = "Route"
)

// MakeID returns the global id of a thing: base64url("Type:key"), without
// padding. The key is a ULID or what names the thing within one.
func MakeID(typ, key string) string {
	b := make([]byte, 0, 160)
	b = append(b, typ...)
	b = append(b, ':')
	b = append(b, key...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseID reads what MakeID wrote. Anything else is an InputError of kind
// parcel.ErrInvalid; whether the thing exists, and whose it is, is for the
// reader to find out. No key has control characters: databases refuse some of
// them, which would fail the good ids beside them.
func ParseID(id string) (typ, key string, err error) {
	// Strict: one thing has one id, so the bits that base64 leaves over must be
	// zero.
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err == nil {
		if typ, key, ok := strings.Cut(string(b), ":"); ok && typ != "" && key != "" && utf8.ValidString(key) && !strings.ContainsFunc(key, unicode.IsControl) {
			return typ, key, nil
		}
	}
	return "", "", parcel.Invalidf(parcel.FaultMalformed, "", "not an id of this gateway")
}

// ParseIDOf reads the id of a thing of one type. An id of another type is an
// error of kind parcel.ErrInvalid.
func ParseIDOf(want, id string) (key string, err error) {
	typ, key, err := ParseID(id)
	if err != nil {
		return "", err
	}
	if typ != want {
		return "", parcel.Invalidf(parcel.FaultMalformed, "", "the id names a %.20s, want that of a %s", typ, want)
	}
	return key, nil
}

// ShipmentOf returns the shipment's ULID and the rest of a key that names a
// thing within a shipment: "<ULID>.<rest>".
func ShipmentOf(key string) (shipmentID, rest string, ok bool) {
	shipmentID, rest, ok = strings.Cut(key, ".")
	return shipmentID, rest, ok && shipmentID != "" && rest != ""
}
