package cainiao

import (
	"bytes"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
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
	if p.Kind != kindPush || bytes.HasPrefix(bytes.TrimSpace(p.Body), []byte("{")) {
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
	return editTexts(message, func(key, said string) string {
		switch {
		case s.names(key, fieldWords), described(key) && !s.names(key):
			return cleaned(said)
		case s.names(key):
			return said
		case inner(said) != any(said): // JSON in a text
			return string(s.redact([]byte(said)))
		}
		return said
	})
}

// cleaned is a description without contacts, written such that it reads as
// the masked words do. One without contacts stays as it is, markup included.
func cleaned(said string) string {
	plain := carrierkit.StripMarkup(said)
	masked := maskContacts(plain)
	switch {
	case masked == plain && maskContacts(said) == said:
		return said
	case plain == said:
		return masked
	}
	return html.EscapeString(masked)
}

// editTexts replaces texts in JSON, each under the key nearest above it, and
// leaves every other byte as it was. What is no JSON comes back unchanged.
func editTexts(message []byte, edit func(key, said string) string) []byte {
	if !json.Valid(message) {
		return message
	}
	type container struct {
		key     string // of the array, or of the value at hand in an object
		object  bool
		keyNext bool
	}
	var out []byte
	var open []container
	at := 0
	dec := json.NewDecoder(bytes.NewReader(message))
	dec.UseNumber()
	for {
		from := int(dec.InputOffset())
		token, err := dec.Token()
		if err != nil {
			return append(out, message[at:]...)
		}
		here := &container{}
		if len(open) > 0 {
			here = &open[len(open)-1]
		}
		if said, ok := token.(string); ok {
			if here.keyNext {
				here.key, here.keyNext = said, false
				continue
			}
			if written := edit(here.key, said); written != said {
				from += bytes.IndexByte(message[from:], '"') // after colon, comma and spaces
				out = append(append(out, message[at:from]...), quoted(written)...)
				at = int(dec.InputOffset())
			}
		}
		// From here on a value is over, or a container begins or ends.
		here.keyNext = here.object
		switch token {
		case json.Delim('{'):
			open = append(open, container{object: true, keyNext: true})
		case json.Delim('['):
			open = append(open, container{key: here.key})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
}

// quoted writes a text as JSON, with what browsers would mind left as it is.
func quoted(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return []byte(`""`) // no string fails
	}
	return bytes.TrimSpace(b.Bytes())
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

// Phones and names as they stand in descriptions.
var (
	// phoneAfterWord is any number announced as a phone.
	phoneAfterWord = regexp.MustCompile(`(?i)(电话|手机|联系方式|телефон|\btel(?:ephone)?\b|\bphone\b|\bmobile\b)([.:：号码\s]*)\+?\d[\d\s()-]{4,}\d`)
	// phoneAbroad is a number with a country's prefix.
	phoneAbroad = regexp.MustCompile(`\+\d{1,3}[\s()-]{0,2}\d[\d\s()-]{5,14}\d`)
	// phoneChina is a mobile number of mainland China.
	phoneChina = regexp.MustCompile(`\b(?:86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}\b`)
	// nameAfterWord is the name of a courier or of who signed.
	nameAfterWord = regexp.MustCompile(`(快递员|派送员|派件员|投递员|业务员|签收人|收件人)(\s*[:：【]\s*)[^\[\]【】,，。;；:：\s]{1,20}`)
)

// minPhone is the fewest digits that make a phone number.
const minPhone = 6

// maskContacts hides phones and names in a sentence. Masking twice changes
// nothing more. Most sentences have neither digits enough nor a name announced,
// and cost one pass.
func maskContacts(said string) string {
	digits, announced := 0, false
	for _, r := range said {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == ':', r == '：', r == '【':
			announced = true
		}
	}
	mark := carrierkit.Redacted(said)
	if announced {
		said = nameAfterWord.ReplaceAllString(said, "${1}${2}"+mark)
	}
	if digits < minPhone {
		return said
	}
	said = phoneAfterWord.ReplaceAllString(said, "${1}${2}"+mark)
	said = phoneAbroad.ReplaceAllLiteralString(said, mark)
	return phoneChina.ReplaceAllLiteralString(said, mark)
}
