package declared

import (
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// recipe makes a signature: what is signed, and what is done with it step by
// step. Digests give raw bytes, so that base64 after md5 and base64 after md5
// and hex are two recipes, as they are with carriers.
type recipe struct {
	line  int
	over  template
	key   template // of the hmac steps
	steps []string

	// parameters, for ${parameters}: sorted by name.
	except                []string
	pairJoin, joinBetween string
	of                    string // query, form or both
	skipEmpty             bool
}

func recipeSteps() []string {
	return []string{
		"md5", "sha1", "sha256", "sha512", "hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha512",
		"hex", "hex-upper", "base64", "base64url", "url-encode", "url-encode-java", "upper", "lower",
	}
}

// signedNames are what a recipe may name besides settings and values, and
// besides query.NAME, form.NAME and header.NAME.
func signedNames() []string { return []string{"body", "method", "path", "query", "parameters"} }

func hasher(name string) func() hash.Hash {
	switch name {
	case "md5":
		return md5.New
	case "sha1":
		return sha1.New
	case "sha256":
		return sha256.New
	}
	return sha512.New
}

// run makes the signature over a text.
func (r *recipe) run(over, key string) string {
	b := []byte(over)
	for _, s := range r.steps {
		if name, ok := strings.CutPrefix(s, "hmac-"); ok {
			h := hmac.New(hasher(name), []byte(key))
			h.Write(b)
			b = h.Sum(nil)
			continue
		}
		switch s {
		case "hex":
			b = []byte(hex.EncodeToString(b))
		case "hex-upper":
			b = []byte(strings.ToUpper(hex.EncodeToString(b)))
		case "base64":
			b = []byte(base64.StdEncoding.EncodeToString(b))
		case "base64url":
			b = []byte(base64.RawURLEncoding.EncodeToString(b))
		case "url-encode":
			b = []byte(url.QueryEscape(string(b)))
		case "url-encode-java":
			// As java.net.URLEncoder has it: the star stays, the tilde does not.
			b = []byte(strings.NewReplacer("%2A", "*", "~", "%7E").Replace(url.QueryEscape(string(b))))
		case "upper":
			b = []byte(strings.ToUpper(string(b)))
		case "lower":
			b = []byte(strings.ToLower(string(b)))
		default:
			h := hasher(s)()
			h.Write(b)
			b = h.Sum(nil)
		}
	}
	return string(b)
}

// message is what a signature is made over: a request about to be sent, or one
// that has come in.
type message struct {
	method, path, rawQuery string
	query, form            url.Values
	header                 http.Header
	body                   string
}

// sign makes the signature of a message. Parameters that hold the signature
// itself are left out by name.
func (r *recipe) sign(m *message, v vars, signed []string) string {
	known := make(vars, len(v)+8)
	for k, val := range v {
		known[k] = val
	}
	for _, name := range r.over.names() {
		switch place, inner, _ := strings.Cut(name, "."); {
		case inner != "" && place == "query":
			known[name] = m.query.Get(inner)
		case inner != "" && place == "form":
			known[name] = m.form.Get(inner)
		case inner != "" && place == "header":
			known[name] = m.header.Get(inner)
		case name == "body":
			known[name] = m.body
		case name == "method":
			known[name] = m.method
		case name == "path":
			known[name] = m.path
		case name == "query":
			known[name] = m.rawQuery
		case name == "parameters":
			known[name] = r.parameters(m, signed)
		}
	}
	return r.run(r.over.fill(known, plain, nil), r.key.fill(known, plain, nil))
}

// parameters joins names and values in the order of the names.
func (r *recipe) parameters(m *message, signed []string) string {
	type pair struct{ name, value string }
	var all []pair
	take := func(values url.Values) {
		for name, list := range values {
			if slices.Contains(signed, name) || slices.Contains(r.except, name) {
				continue
			}
			for _, v := range list {
				if v != "" || !r.skipEmpty {
					all = append(all, pair{name, v})
				}
			}
		}
	}
	if r.of != "form" {
		take(m.query)
	}
	if r.of != "query" {
		take(m.form)
	}
	slices.SortStableFunc(all, func(a, b pair) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	texts := make([]string, len(all))
	for i, p := range all {
		texts[i] = p.name + r.pairJoin + p.value
	}
	return strings.Join(texts, r.joinBetween)
}
