package track17

import (
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// Redact hides streets, the consignee's data that the caller gave (param), and
// phones and names that carriers put into descriptions.
func (t *track17) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, carrierkit.Named("street", "coordinates", "param", "customer_number", "signed_by", "recipient", "phone", "email"))
	p.Body = carrierkit.CleanSentences(p.Body, carrierkit.Named("description", "sub_status_descr"))
	return p
}
