package cainiao

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// Redact hides persons named in fields of their own, and phones and names of
// couriers and recipients inside descriptions.
func (c *cainiao) Redact(p parcel.Payload) parcel.Payload {
	s, ok := c.shapes[p.Kind]
	if !ok {
		return p
	}
	if p.Kind != kindPush || bytes.HasPrefix(bytes.TrimSpace(carrierkit.TrimMark(p.Body)), []byte("{")) {
		p.Body = s.redact(p.Body)
		return p
	}
	// The other fields of the form stay as they came; the digest among them no
	// longer fits, and is not asked for again.
	pairs := strings.Split(string(p.Body), "&")
	changed := false
	for i, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(key); err != nil || name != "logistics_interface" {
			continue
		}
		message, err := url.QueryUnescape(value)
		if err != nil {
			return p
		}
		if clean := s.redact([]byte(message)); string(clean) != message {
			pairs[i], changed = key+"="+url.QueryEscape(string(clean)), true
		}
	}
	if changed {
		p.Body = []byte(strings.Join(pairs, "&"))
	}
	return p
}

// redact cleans a message of JSON; anything else comes back unchanged.
func (s *shape) redact(message []byte) []byte {
	message = carrierkit.RedactJSON(message, func(path []string) bool {
		key := path[len(path)-1]
		// What the reading is made of stays; descriptions are cleaned below.
		return personal(key) && !s.names(key)
	})
	return carrierkit.EditJSON(message, func(path []string, said string) string {
		key := ""
		if len(path) > 0 {
			key = path[len(path)-1]
		}
		switch {
		case s.names(key, fieldWords), described(key) && !s.names(key):
			return carrierkit.CleanText(said)
		case s.names(key):
			return said
		case inner(said) != any(said): // JSON in a text
			return string(s.redact([]byte(said)))
		}
		return said
	})
}

// personal tells whether a field is about a person by its name.
func personal(key string) bool {
	key = strings.ToLower(key)
	for _, prefix := range []string{"receiver", "recipient", "consignee", "buyer", "sender", "shipper", "signer", "signedby", "courier", "idcard"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	switch key {
	case "mobile", "phone", "telephone", "email", "contact", "contactname", "contactphone":
		return true
	}
	return false
}

// described tells whether a field holds a sentence by its name.
func described(key string) bool {
	switch strings.ToLower(key) {
	case "desc", "standerddesc", "standarddesc", "actiondesc", "statusdesc", "remark", "note":
		return true
	}
	return false
}
