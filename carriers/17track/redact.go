package track17

import (
	"bytes"
	"encoding/json"
	"html"
	"regexp"
	"strings"

	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// Redact hides streets, the consignee's data that the caller gave (param), and
// phones and names that carriers put into descriptions.
func (t *track17) Redact(p parcel.Payload) parcel.Payload {
	p.Body = carrierkit.RedactJSON(p.Body, func(path []string) bool {
		switch strings.ToLower(path[len(path)-1]) {
		case "street", "coordinates", "param", "customer_number", "signed_by", "recipient", "phone", "email":
			return true
		}
		return false
	})
	p.Body = editStrings(p.Body, func(key, said string) string {
		if strings.EqualFold(key, "description") || strings.EqualFold(key, "sub_status_descr") {
			return withoutContacts(said)
		}
		return said
	})
	return p
}

// withoutContacts is a description that reads as words does, with contacts
// gone from its markup too. One without contacts stays as it is.
func withoutContacts(said string) string {
	plain := strings.TrimSpace(carrierkit.StripMarkup(said))
	if words(said) == plain && maskContacts(said) == said {
		return said
	}
	return html.EscapeString(words(said))
}

// words is a description as it is kept with the event.
func words(description string) string {
	return strings.TrimSpace(maskContacts(carrierkit.StripMarkup(description)))
}

// Contacts as they stand in carriers' sentences.
var (
	phoneAbroad = regexp.MustCompile(`\+\d{1,3}[\s()-]{0,2}\d[\d\s()-]{5,14}\d`)
	phoneChina  = regexp.MustCompile(`\b(?:86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}\b`)
	phoneNamed  = regexp.MustCompile(`(?i)(电话|手机|联系方式|телефон|\btel(?:ephone)?\b|\bphone\b|\bmobile\b)([.:：号码\s]*)\+?\d[\d\s()-]{4,}\d`)
	personNamed = regexp.MustCompile(`(快递员|派送员|派件员|投递员|业务员|签收人|收件人)(\s*[:：【]\s*)[^\[\]【】,，。;；:：\s]{1,20}`)
)

// maskContacts hides phones and names in a sentence. Masking twice changes
// nothing more.
func maskContacts(said string) string {
	mark := carrierkit.Redacted("x")
	said = personNamed.ReplaceAllString(said, "${1}${2}"+mark)
	said = phoneNamed.ReplaceAllString(said, "${1}${2}"+mark)
	said = phoneAbroad.ReplaceAllLiteralString(said, mark)
	return phoneChina.ReplaceAllLiteralString(said, mark)
}

// editStrings rewrites string values in JSON, each told with the key nearest
// above it, and leaves every other byte as it was. What is no JSON comes back
// unchanged.
func editStrings(body []byte, edit func(key, value string) string) []byte {
	if !json.Valid(body) {
		return body
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var out []byte
	copied := 0
	var walk func(key string) bool
	walk = func(key string) bool {
		before := int(dec.InputOffset())
		token, err := dec.Token()
		if err != nil {
			return false
		}
		switch token := token.(type) {
		case json.Delim:
			for dec.More() {
				inner := key
				if token == '{' {
					k, err := dec.Token()
					if err != nil {
						return false
					}
					inner, _ = k.(string)
				}
				if !walk(inner) {
					return false
				}
			}
			_, err := dec.Token()
			return err == nil
		case string:
			edited := edit(key, token)
			if edited == token {
				return true
			}
			quoted, err := json.Marshal(edited)
			if err != nil {
				return false // no string fails
			}
			start := before + bytes.IndexByte(body[before:], '"') // past colon, comma and spaces
			out = append(append(out, body[copied:start]...), quoted...)
			copied = int(dec.InputOffset())
		}
		return true
	}
	if !walk("") {
		return body
	}
	return append(out, body[copied:]...)
}
