package config

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting bounds how deep lists and sections stand in each other. The
// deepest place this file has is a setting of an account.
const maxNesting = 16

// entry is one key of the file with its value.
type entry struct {
	key   string
	line  int
	value value
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
	text    string  // of text
	items   []value // of list
	entries []entry // of section
}

// parse reads the file's top keys. What it cannot take it adds to found.
func parse(data []byte, found *problems) []entry {
	// The parser calls itself for each level of nesting and knows no bound,
	// so the depth is counted on the tokens, which are read in a loop.
	tokens := lexer.Tokenize(string(data))
	if line := tooDeep(tokens); line > 0 {
		found.add(line, "nested more than %d deep", maxNesting)
		return nil
	}
	file, err := parser.Parse(tokens, 0)
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil {
			found.add(at.GetToken().Position.Line, "%s", at.GetMessage())
		} else {
			// Without a token the message may quote the source, secrets and all.
			found.add(0, "not YAML")
		}
		return nil
	}
	var top []entry
	for i, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if i > 0 && top != nil {
			found.add(line(doc.Body), "a second document; the file must be one")
			return nil
		}
		v := read(doc.Body, found)
		switch v.kind {
		case section:
			top = v.entries
		case nothing:
		default:
			found.add(v.line, "the file must be made of keys and values, such as listen: 127.0.0.1:8080")
		}
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

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func read(n ast.Node, found *problems) value {
	v := value{line: line(n)}
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
		// As written: 007 is an account number, 1e3 may be a password.
		v.kind, v.text = text, strings.TrimSpace(n.GetToken().Value)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		found.add(v.line, "anchors, aliases and merges are not taken; write the value out")
	case *ast.TagNode:
		found.add(v.line, "tags are not taken; values are read as written")
	default:
		found.add(v.line, "%s is not taken here", n.Type())
	}
	return v
}

func readEntry(pair *ast.MappingValueNode, found *problems) entry {
	key := read(pair.Key, found)
	if key.kind != text {
		found.add(key.line, "a key must be a single value")
	}
	v := value{line: key.line}
	if pair.Value != nil {
		v = read(pair.Value, found)
	}
	return entry{key: key.text, line: key.line, value: v}
}
