package plan

import (
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/vektah/gqlparser/v2/ast"
)

// Cache keeps plans from request to request: those that follow from the
// document alone, since no variable stands in their selection. What it keeps of
// a document goes with the document, so that whoever caches documents bounds
// both. It is safe for concurrent use.
type Cache struct {
	mu   sync.RWMutex
	docs map[weak.Pointer[ast.QueryDocument]]*kept
}

// NewCache makes an empty cache.
func NewCache() *Cache { return &Cache{docs: map[weak.Pointer[ast.QueryDocument]]*kept{}} }

// kept is the plans of one document.
type kept struct {
	mu    sync.RWMutex
	plans map[selectionKey][]keptPlan
}

// selectionKey finds selections that may be the same.
type selectionKey struct {
	first ast.Selection
	n     int
	typ   string
}

type keptPlan struct {
	sel  ast.SelectionSet
	plan any // nil where variables take part
}

func keyOf(typ string, sel ast.SelectionSet) selectionKey {
	return selectionKey{sel[0], len(sel), typ}
}

func same(a, b ast.SelectionSet) bool { return slices.Equal(a, b) }

// Find looks for the plan of a selection of a type. known tells that it was
// looked at before; p is nil then where it must be compiled for each request.
func (c *Cache) Find(doc *ast.QueryDocument, typ string, sel ast.SelectionSet) (p any, known bool) {
	c.mu.RLock()
	k := c.docs[weak.Make(doc)]
	c.mu.RUnlock()
	if k == nil {
		return nil, false
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, e := range k.plans[keyOf(typ, sel)] {
		if same(e.sel, sel) {
			return e.plan, true
		}
	}
	return nil, false
}

// Keep keeps what was compiled of a selection, or that nothing can be kept.
func (c *Cache) Keep(doc *ast.QueryDocument, typ string, sel ast.SelectionSet, p any) {
	if !constant(doc, sel, map[string]bool{}) {
		p = nil
	}
	k := c.of(doc)
	key := keyOf(typ, sel)
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.ContainsFunc(k.plans[key], func(e keptPlan) bool { return same(e.sel, sel) }) {
		k.plans[key] = append(k.plans[key], keptPlan{sel, p})
	}
}

func (c *Cache) of(doc *ast.QueryDocument) *kept {
	at := weak.Make(doc)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.docs[at]
	if k == nil {
		k = &kept{plans: map[selectionKey][]keptPlan{}}
		c.docs[at] = k
		runtime.AddCleanup(doc, c.forget, at)
	}
	return k
}

func (c *Cache) forget(at weak.Pointer[ast.QueryDocument]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.docs, at)
}

// Len is how many documents it holds plans of.
func (c *Cache) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.docs)
}

// constant tells whether no variable stands in a selection or below it. Each
// fragment is entered once.
func constant(doc *ast.QueryDocument, sel ast.SelectionSet, entered map[string]bool) bool {
	for _, s := range sel {
		switch s := s.(type) {
		case *ast.Field:
			if !constantArguments(s.Arguments) || !constantDirectives(s.Directives) || !constant(doc, s.SelectionSet, entered) {
				return false
			}
		case *ast.InlineFragment:
			if !constantDirectives(s.Directives) || !constant(doc, s.SelectionSet, entered) {
				return false
			}
		case *ast.FragmentSpread:
			if !constantDirectives(s.Directives) {
				return false
			}
			f := doc.Fragments.ForName(s.Name)
			if f == nil || entered[s.Name] {
				continue
			}
			entered[s.Name] = true
			if !constantDirectives(f.Directives) || !constant(doc, f.SelectionSet, entered) {
				return false
			}
		}
	}
	return true
}

func constantDirectives(list ast.DirectiveList) bool {
	return !slices.ContainsFunc(list, func(d *ast.Directive) bool { return !constantArguments(d.Arguments) })
}

func constantArguments(list ast.ArgumentList) bool {
	return !slices.ContainsFunc(list, func(a *ast.Argument) bool { return !constantValue(a.Value) })
}

func constantValue(v *ast.Value) bool {
	return v == nil || v.Kind != ast.Variable && !slices.ContainsFunc(v.Children, func(c *ast.ChildValue) bool { return !constantValue(c.Value) })
}
