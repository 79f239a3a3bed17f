package carrierkit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
)

// The parts of a document that sniffing reads at most.
const (
	sniffDepth    = 5   // a SOAP answer names its method at depth 3
	sniffElements = 256 // start tags
)

// SniffJSON tells whether body is a JSON object whose top level has all the
// keys named, or an array whose first element is such an object. Without keys
// any object or array will do.
func SniffJSON(body []byte, topLevelKeys ...string) bool {
	dec := json.NewDecoder(bytes.NewReader(trimBOM(body)))
	open, err := dec.Token()
	if err != nil {
		return false
	}
	if open == json.Delim('[') {
		if len(topLevelKeys) == 0 {
			return true
		}
		if open, err = dec.Token(); err != nil {
			return false
		}
	}
	if open != json.Delim('{') {
		return false
	}
	missing := make(map[string]bool, len(topLevelKeys))
	for _, k := range topLevelKeys {
		missing[k] = true
	}
	for len(missing) > 0 && dec.More() {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		name, _ := key.(string)
		delete(missing, name)
		var skipped json.RawMessage
		if len(missing) > 0 && dec.Decode(&skipped) != nil {
			return false
		}
	}
	return len(missing) == 0
}

// SniffXML tells whether body is XML that has all the elements named, by
// local name, at or near its root. Without names any XML will do, but HTML
// will not.
func SniffXML(body []byte, localNames ...string) bool {
	body = trimBOM(body)
	if !bytes.HasPrefix(body, []byte("<")) || IsHTML("", body) {
		return false
	}
	missing := make(map[string]bool, len(localNames))
	for _, n := range localNames {
		missing[n] = true
	}
	dec := xml.NewDecoder(bytes.NewReader(body))
	dec.Strict = false
	dec.CharsetReader = passCharset
	depth := 0
	for seen := 0; seen < sniffElements; {
		token, err := dec.RawToken()
		if err != nil {
			return false
		}
		switch t := token.(type) {
		case xml.StartElement:
			seen++
			depth++
			if depth <= sniffDepth {
				delete(missing, t.Name.Local)
			}
			if len(missing) == 0 {
				return true
			}
		case xml.EndElement:
			depth--
		}
	}
	return false
}

// IsHTML tells whether an answer is a web page: what proxies, firewalls and
// sleeping sites send where data was asked for.
func IsHTML(contentType string, body []byte) bool {
	body = trimBOM(body)
	head := strings.ToLower(string(body[:min(len(body), 512)]))
	for strings.HasPrefix(head, "<!--") {
		_, after, ok := strings.Cut(head, "-->")
		if !ok {
			break
		}
		head = strings.TrimSpace(after)
	}
	for _, start := range [...]string{"<!doctype html", "<html", "<head", "<body"} {
		if strings.HasPrefix(head, start) {
			return true
		}
	}
	// Some services label data as text/html, so the label alone proves nothing
	// unless the body is markup of an unnamed kind.
	return strings.HasPrefix(strings.ToLower(contentType), "text/html") &&
		strings.HasPrefix(head, "<") && !strings.HasPrefix(head, "<?xml")
}

// trimBOM drops what may stand before the first byte of a document.
func trimBOM(body []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
}
