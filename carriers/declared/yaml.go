package declared

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// MaxFileBytes is how long a description may be.
	MaxFileBytes = 512 << 10

	// maxNesting bounds how deep lists and sections stand in each other; the
	// deepest place of a description is about half of it.
	maxNesting = 24
	// maxItems bounds a list or a section; code tables are the longest.
	maxItems = 5000
	// maxProblems bounds how many mistakes of one file are told at once.
	maxProblems = 50
)

// Problem is a mistake in a description.
type Problem struct {
	Path string // the file, as it was named
	Line int    // counted from 1; 0 when the file as a whole is meant
	Text string // what is wrong, and what would be right
}

// Error gives "file:line: text".
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Path + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.Path, p.Line, p.Text)
}

// faults gathers what is wrong with one file, so that its author mends it
// once.
type faults struct {
	path string
	all  []*Problem
	more int
}

func (f *faults) add(line int, format string, args ...any) {
	if len(f.all) == maxProblems {
		f.more++
		return
	}
	f.all = append(f.all, &Problem{Path: f.path, Line: line, Text: fmt.Sprintf(format, args...)})
}

// err joins the problems in the order of their lines.
func (f *faults) err() error {
	slices.SortStableFunc(f.all, func(a, b *Problem) int { return a.Line - b.Line })
	out := make([]error, 0, len(f.all)+1)
	for _, p := range f.all {
		out = append(out, p)
	}
	if f.more > 0 {
		out = append(out, fmt.Errorf("%s: and %d more", f.path, f.more))
	}
	return errors.Join(out...)
}

type kind int

const (
	nothing kind = iota // the key stands alone, or says null
	text                // one value, as written
	list
	section // keys with values
)

// value is what stands behind a key.
type value struct {
	kind    kind
	line    int
	text    string
	items   []value
	entries []entry
}

type entry struct {
	key   string
	line  int
	value value
}

// parse reads the file's top section. What it cannot take it adds to found.
func parse(data []byte, found *faults) value {
	// The parser calls itself for each level and knows no bound, so the depth
	// is counted on the tokens, which are read in a loop.
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		found.add(line, "nested more than %d deep", maxNesting)
		return value{}
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			found.add(at.GetToken().Position.Line, "not YAML: %s", at.GetMessage())
		} else {
			found.add(0, "not YAML")
		}
		return value{}
	}
	var top value
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if top.kind != nothing {
			found.add(lineOf(doc.Body), "a second document; put each carrier into a file of its own")
			return value{}
		}
		top = read(doc.Body, found)
	}
	if top.kind != section {
		found.add(max(top.line, 1), "a description is made of keys and values, such as name: kite-parcel")
		return value{}
	}
	return top
}

// tooDeep returns the line at which nesting passes maxNesting, or 0.
func tooDeep(tokens token.Tokens) int {
	flow, onLine, last := 0, 0, 0
	var indents []int // columns at which block levels begin
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue // stands at any column
		}
		if t.Position.Line != last {
			last, onLine = t.Position.Line, 0
			for len(indents) > 0 && t.Position.Column <= indents[len(indents)-1] {
				indents = indents[:len(indents)-1]
			}
			indents = append(indents, t.Position.Column)
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			onLine++ // these nest without a new line
		}
		if flow+onLine+len(indents) > maxNesting {
			return t.Position.Line
		}
	}
	return 0
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func read(n ast.Node, found *faults) value {
	v := value{line: lineOf(n)}
	switch n := n.(type) {
	case *ast.MappingNode:
		v.kind = section
		for _, pair := range n.Values {
			v.entries = append(v.entries, readEntry(pair, found))
		}
		if len(v.entries) > 0 {
			v.line = v.entries[0].line // the node itself points at its first colon
		}
	case *ast.MappingValueNode:
		e := readEntry(n, found)
		v.kind, v.line, v.entries = section, e.line, []entry{e}
	case *ast.SequenceNode:
		v.kind = list
		for _, item := range n.Values {
			v.items = append(v.items, read(item, found))
		}
	case *ast.NullNode:
	case *ast.LiteralNode:
		v.kind, v.text = text, n.Value.Value
	case *ast.StringNode:
		v.kind, v.text = text, n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		// As written: 007 is a code, and so is 1e3.
		v.kind, v.text = text, strings.TrimSpace(n.GetToken().Value)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		found.add(v.line, "anchors, aliases and merges are not taken; write the value out")
	case *ast.TagNode:
		found.add(v.line, "tags are not taken; values are read as written")
	default:
		found.add(v.line, "%s is not taken here", n.Type())
	}
	if len(v.items) > maxItems || len(v.entries) > maxItems {
		found.add(v.line, "more than %d entries", maxItems)
		v.items, v.entries = nil, nil
	}
	return v
}

func readEntry(pair *ast.MappingValueNode, found *faults) entry {
	key := read(pair.Key, found)
	if key.kind != text {
		found.add(key.line, "a key must be a single value")
	}
	v := value{line: key.line}
	if pair.Value != nil {
		v = read(pair.Value, found)
		if v.kind == text || v.line == 0 {
			v.line = key.line // a folded text is told by the line of its key
		}
	}
	return entry{key: key.text, line: key.line, value: v}
}

// suggest returns "; did you mean ...?" for the known name nearest to what
// was written, or nothing where none is near.
func suggest(written string, known []string) string {
	if at := nearest(written, known); at != "" {
		return fmt.Sprintf("; did you mean %q?", at)
	}
	return ""
}

func nearest(written string, known []string) string {
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
	}
	best, at := max(2, len(written)/3)+1, ""
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(fold(written), fold(k)); d < best {
			best, at = d, k
		}
	}
	return at
}

// distance counts the insertions, deletions and replacements of bytes that
// turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b) // no name is that long: not worth the square
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
