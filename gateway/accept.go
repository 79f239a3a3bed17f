package gateway

import (
	"strconv"
	"strings"
)

// The media types of answers.
const (
	mediaResponse = "application/graphql-response+json"
	mediaJSON     = "application/json"
	mediaEvents   = "text/event-stream"
)

// answerMedia chooses by the Accept header (RFC 9110, 12.5.1) how one answer
// is written, "" if in no way that the client takes. events reports whether
// the client asks for an event stream by name.
//
// Without a header, or for a range that covers everything, the answer is
// application/json: such a client did not say that it knows the newer type.
func answerMedia(accept []string) (media string, events bool) {
	if len(accept) == 0 {
		return mediaJSON, false
	}
	response, named := qualityOf(accept, mediaResponse)
	plain, _ := qualityOf(accept, mediaJSON)
	stream, streamNamed := qualityOf(accept, mediaEvents)
	events = streamNamed && stream > 0
	switch {
	case named && response > 0 && response >= plain:
		return mediaResponse, events
	case plain > 0:
		return mediaJSON, events
	case response > 0:
		return mediaResponse, events
	}
	return "", events
}

// qualityOf is how much an Accept header likes a media type, from 0 to 1: the
// most specific range decides. named reports whether that is the type itself.
func qualityOf(accept []string, media string) (quality float64, named bool) {
	specific := -1
	for _, header := range accept {
		for element := range strings.SplitSeq(header, ",") {
			r, q, ok := mediaRange(element)
			if !ok {
				continue
			}
			s := -1
			switch {
			case r == media:
				s = 2
			case r == "*/*":
				s = 0
			case strings.HasSuffix(r, "/*") && strings.HasPrefix(media, r[:len(r)-1]):
				s = 1
			}
			if s > specific {
				specific, quality = s, q
			}
		}
	}
	return quality, specific == 2
}

// mediaRange reads one element of an Accept header. An element that cannot be
// read is as if it were not there.
func mediaRange(s string) (media string, quality float64, ok bool) {
	media, parameters, _ := strings.Cut(s, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if !strings.Contains(media, "/") {
		return "", 0, false
	}
	quality = 1
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "q":
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return "", 0, false
			}
			quality = q
		case "charset":
			if c := strings.ToLower(strings.Trim(strings.TrimSpace(value), `"`)); c != "utf-8" && c != "utf8" {
				return "", 0, false
			}
		}
	}
	return media, quality, true
}

// isMedia reports whether a Content-Type header names the media type, in
// UTF-8 or without a charset.
func isMedia(contentType, media string) bool {
	got, _, ok := mediaRange(contentType)
	return ok && got == media
}

// preferredLanguage is the language tag that an Accept-Language header likes
// best, "" if it names none. Tags are not looked up: whoever has words in
// some languages finds the nearest.
func preferredLanguage(header string) string {
	const longest = 35 // BCP 47, 4.4.1
	best, bestQuality := "", 0.0
	for element := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(element, ";")
		tag = strings.TrimSpace(tag)
		if tag == "" || tag == "*" || len(tag) > longest || strings.Trim(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			continue
		}
		quality := 1.0
		if value, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				continue
			}
			quality = q
		}
		if quality > bestQuality {
			best, bestQuality = tag, quality
		}
	}
	return best
}
