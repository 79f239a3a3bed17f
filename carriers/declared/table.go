package declared

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/parcel"
)

// textRule begins the rule of what was read by its words. An event without a
// code of its own is known by its rule, so words that nobody mapped have the
// rule that a row with the same words would give them.
const textRule = "text:"

// maxRule bounds a rule made of words, in runes.
const maxRule = 120

// table reads codes and phrases. It is immutable.
type table struct {
	version string
	rows    []row
	exact   map[string]int // rows of a code alone
	both    map[string][]int
	// whole are rows of a phrase alone that has no star. No star before them
	// takes what they do (add sees to that), so they are looked for first.
	whole map[string]int
	// patterns and phrases are the other rows, in the order of the file.
	patterns, phrases []int
}

func newTable(version string) *table {
	return &table{version: version, exact: map[string]int{}, both: map[string][]int{}, whole: map[string]int{}}
}

// row is one line of the table: a code, a pattern or neither, and a phrase or
// none.
type row struct {
	carriers.Row
	line    int
	code    string         // exact
	glob    string         // as written
	raw     string         // the regular expression as written
	pattern *regexp.Regexp // of glob or regexp
	phrase  string         // folded, with stars
	words   string         // the phrase as written
	match   *regexp.Regexp // of phrase
}

var _ carriers.Table = (*table)(nil)

// Version implements [carriers.Table].
func (t *table) Version() string { return t.version }

// Lookup implements [carriers.Table]: it reads a code without words, or the
// rule of words.
func (t *table) Lookup(code string) (carriers.Row, bool) {
	if words, ok := strings.CutPrefix(code, textRule); ok {
		return t.Read("", words)
	}
	return t.Read(code, "")
}

// Rows implements [carriers.Table].
func (t *table) Rows() []carriers.Row {
	out := make([]carriers.Row, len(t.rows))
	for i := range t.rows {
		out[i] = t.rows[i].Row
	}
	return out
}

// Read finds the row of a code and of the words beside it: one that names both,
// then the code alone, then patterns, then words alone. ok is false for what
// nobody mapped.
func (t *table) Read(code, words string) (r carriers.Row, ok bool) {
	folded := ""
	if words != "" {
		folded = fold(words, false)
	}
	if code != "" {
		for _, i := range t.both[code] {
			if t.rows[i].match.MatchString(folded) {
				return t.rows[i].Row, true
			}
		}
		if i, ok := t.exact[code]; ok {
			return t.rows[i].Row, true
		}
		for _, i := range t.patterns {
			if r := &t.rows[i]; r.pattern.MatchString(code) && (r.match == nil || r.match.MatchString(folded)) {
				return r.Row, true
			}
		}
	}
	if folded != "" {
		if i, ok := t.whole[folded]; ok {
			return t.rows[i].Row, true
		}
		for _, i := range t.phrases {
			if t.rows[i].match.MatchString(folded) {
				return t.rows[i].Row, true
			}
		}
	}
	rule := carrierkit.UnmappedRule
	if code == "" && folded != "" {
		rule = textRule + clip(folded)
	}
	return carriers.Row{Rule: rule, Code: parcel.CodeUnknown}, false
}

func clip(s string) string {
	if r := []rune(s); len(r) > maxRule {
		return string(r[:maxRule])
	}
	return s
}

// add puts a row in and says which earlier one leaves nothing for it, if any.
func (t *table) add(r row) (covered *row, why string) {
	for _, i := range t.rivals(&r) {
		if e := &t.rows[i]; e.covers(&r) {
			if e.code == r.code && e.phrase == r.phrase && e.glob == r.glob {
				return e, "stands in the table already"
			}
			return e, "can never match"
		}
	}
	i := len(t.rows)
	t.rows = append(t.rows, r)
	switch {
	case r.code != "" && r.match != nil:
		t.both[r.code] = append(t.both[r.code], i)
	case r.code != "":
		t.exact[r.code] = i
	case r.pattern != nil:
		t.patterns = append(t.patterns, i)
	case !strings.Contains(r.phrase, "*"):
		t.whole[r.phrase] = i
	default:
		t.phrases = append(t.phrases, i)
	}
	return nil, ""
}

// rivals are the rows that could take what a new one matches.
func (t *table) rivals(r *row) []int {
	of := func(m map[string]int, key string) []int {
		if i, ok := m[key]; ok {
			return []int{i}
		}
		return nil
	}
	switch {
	case r.code != "" && r.match != nil:
		return t.both[r.code]
	case r.code != "":
		return of(t.exact, r.code)
	case r.pattern != nil:
		return t.patterns
	}
	return slices.Concat(of(t.whole, r.phrase), t.phrases)
}

// covers tells whether everything that the later row matches is taken by r. It
// errs on the side of no.
func (r *row) covers(later *row) bool {
	phrase := r.match == nil || later.match != nil && globCovers(r.match, later.phrase)
	switch {
	case r.code != "":
		return r.code == later.code && (r.match == nil) == (later.match == nil) && phrase
	case r.pattern != nil:
		if later.pattern == nil || !phrase {
			return false
		}
		if r.glob == later.glob && r.pattern.String() == later.pattern.String() {
			return true
		}
		if later.glob == "" {
			// Of a regular expression only its beginning is told for sure.
			literal, whole := later.literal()
			stem, isPrefix := strings.CutSuffix(r.glob, "*")
			return whole && r.pattern.MatchString(literal) ||
				isPrefix && !strings.ContainsAny(stem, "*?") && strings.HasPrefix(literal, stem)
		}
		return globCovers(r.pattern, later.glob)
	case later.code != "" || later.pattern != nil:
		return false
	}
	return phrase
}

// literal is what every match of a row's regular expression begins with; whole
// where it is all of it.
func (r *row) literal() (prefix string, whole bool) {
	re, err := regexp.Compile(r.raw)
	if err != nil {
		return "", false // it was compiled before
	}
	return re.LiteralPrefix()
}

// A glob's signs, while it is held against another pattern.
const (
	anyRun = "\x00"
	anyOne = "\x01"
)

// globCovers tells whether a compiled pattern matches all that a glob can: the
// glob's stars are put before it as a sign that only a star takes.
func globCovers(earlier *regexp.Regexp, glob string) bool {
	return earlier.MatchString(strings.NewReplacer("*", anyRun, "?", anyOne).Replace(glob))
}

// compileGlob makes a pattern of which a star stands for any run of signs and,
// where marks is set, a question mark for any one.
func compileGlob(glob string, marks bool) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for _, r := range glob {
		switch {
		case r == '*':
			b.WriteString(`.*`)
		case r == '?' && marks:
			b.WriteString(`[^\x00]`)
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

// fold brings words to the form in which phrases are compared: compatibility
// forms as one, lower case, no accents, and whatever is neither letter nor
// digit as one space. Marks that are part of a letter in their script, as in
// Thai or Hindi, stay. With stars, the star stays too.
func fold(s string, stars bool) string {
	var b strings.Builder
	space := false
	for _, r := range norm.NFKD.String(s) {
		switch {
		case isAccent(r):
			continue
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r), stars && r == '*':
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			if r = unicode.ToLower(r); r == 'ß' {
				b.WriteString("ss")
				continue
			}
			b.WriteRune(r)
		default:
			space = true
		}
	}
	return b.String()
}

// isAccent tells whether a mark only tells how a letter sounds: Latin, Greek
// and Cyrillic accents, Hebrew points, Arabic vowels.
func isAccent(r rune) bool {
	return r >= 0x0300 && r <= 0x036f || r >= 0x0591 && r <= 0x05c7 || r >= 0x064b && r <= 0x065f || r == 0x0670
}

// sayable gives a code and words that are read as the row, for the fake; ok is
// false for a row that only a regular expression reaches.
func (t *table) sayable(r *row, city string) (code, words string, ok bool) {
	code = r.code
	if r.glob != "" {
		code = strings.NewReplacer("*", "1", "?", "1").Replace(r.glob)
	} else if r.pattern != nil {
		literal, whole := r.literal()
		if !whole {
			return "", "", false
		}
		code = literal
	}
	if r.words != "" {
		fill := city
		if fill == "" {
			fill = "1"
		}
		words = strings.ReplaceAll(r.words, "*", fill)
	}
	got, ok := t.Read(code, words)
	return code, words, ok && got == r.Row
}

// saying finds the row that says most of a scan.
func (t *table) saying(s carriers.FakeScan) (best *row, code, words string) {
	most := -1
	for i := range t.rows {
		r := &t.rows[i]
		if r.Code != s.Code || r.Retracts || r.Code == parcel.CodeUnknown {
			continue
		}
		said := 0
		if r.Reason == s.Reason {
			said += 2
		}
		if r.DeliveredTo == s.DeliveredTo {
			said++
		}
		if said <= most {
			continue
		}
		if c, w, ok := t.sayable(r, s.Place.City); ok {
			best, code, words, most = r, c, w, said
		}
	}
	return best, code, words
}

// speaks lists the codes that the table has words for.
func (t *table) speaks() []parcel.Code {
	return slices.DeleteFunc(parcel.Codes(), func(c parcel.Code) bool {
		row, _, _ := t.saying(carriers.FakeScan{Code: c})
		return row == nil
	})
}
