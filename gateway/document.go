package gateway

import (
	"container/list"
	"errors"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// document is a parsed document that is within the limits. Once valid it is
// not changed any more and serves any number of requests at a time.
type document struct {
	*ast.QueryDocument
	text  string
	valid bool
}

// parse reads a document and holds its shape against the limits. The error is
// an *excess, an *invalidDocument, or a *gqlerror.Error of the parser.
func (g *Gateway) parse(text string) (*document, error) {
	if len(text) > g.Limits.DocumentBytes {
		return nil, &excess{"document bytes", int64(g.Limits.DocumentBytes), int64(len(text))}
	}
	if d := g.documents.get(text); d != nil {
		return d, nil
	}
	tree, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, g.Limits.Tokens)
	if err != nil {
		if parsed := (*gqlerror.Error)(nil); !errors.As(err, &parsed) || len(parsed.Locations) == 0 {
			// The one error that the parser gives no place.
			return nil, &excess{limit: "tokens", max: int64(g.Limits.Tokens)}
		}
		return nil, err
	}
	if len(tree.Operations) == 0 {
		return nil, &invalidDocument{"The document has no operation."}
	}
	if err := checkShape(tree, &g.Limits); err != nil {
		return nil, err
	}
	return &document{QueryDocument: tree, text: text}, nil
}

// validate holds a document against the schema, and remembers it if it is
// valid. It must not be called for one document by two requests: those that
// share one got it valid.
func (g *Gateway) validate(d *document) gqlerror.List {
	if d.valid {
		return nil
	}
	if found := validator.ValidateWithRules(g.schema, d.QueryDocument, g.rules); len(found) > 0 {
		return found
	}
	d.valid = true
	g.documents.put(d)
	return nil
}

const (
	// Documents longer than this are not remembered: they are written by
	// hand for once, or by a program that writes another one each time.
	maxKeptDocument = 32 << 10
	// All remembered documents together, by their text: a parsed document
	// takes some thirty times its text.
	maxKeptDocuments = 1 << 20
)

// documentCache remembers the valid documents that were used last. It is safe
// for concurrent use.
type documentCache struct {
	mu    sync.Mutex
	bytes int
	index map[string]*list.Element
	order list.List // of *document, last used first
}

func newDocumentCache() *documentCache {
	return &documentCache{index: map[string]*list.Element{}}
}

func (c *documentCache) get(text string) *document {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.index[text]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*document)
}

func (c *documentCache) put(d *document) {
	if len(d.text) > maxKeptDocument {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index[d.text] != nil {
		return // another request was faster
	}
	c.index[d.text] = c.order.PushFront(d)
	for c.bytes += len(d.text); c.bytes > maxKeptDocuments; {
		oldest := c.order.Remove(c.order.Back()).(*document)
		delete(c.index, oldest.text)
		c.bytes -= len(oldest.text)
	}
}

func (c *documentCache) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.index)
}
