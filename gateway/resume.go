package gateway

import (
	"encoding/json"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// lastEventID is the header by which a client of an event stream says after
// which event it lost the stream (HTML Living Standard, 9.2: server-sent
// events). Browsers send it by themselves.
const lastEventID = "Last-Event-ID"

// The names by which a subscription is gone on with: a field that is given the
// cursor of an event as "after" goes on behind that event.
const (
	afterArgument = "after"
	cursorField   = "cursor"
)

// goOnAfter makes a subscription go on behind an event, whatever its document
// and variables say: a browser that comes back asks for the same address
// again. Subscriptions that cannot go on, and an empty id, are left alone.
func goOnAfter(op *operation, id string) {
	if id == "" || op.Operation.Operation != ast.Subscription {
		return
	}
	// The document serves other requests at the same time.
	definition := *op.Operation
	definition.SelectionSet = withAfter(op.Doc, definition.SelectionSet, id)
	op.Operation = &definition
}

// withAfter copies a selection set of the subscription's root. The validator
// has made sure that its fragments are in no circle.
func withAfter(doc *ast.QueryDocument, set ast.SelectionSet, id string) ast.SelectionSet {
	out := make(ast.SelectionSet, len(set))
	for i, selection := range set {
		out[i] = selection
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Definition == nil || selection.Definition.Arguments.ForName(afterArgument) == nil {
				continue
			}
			field := *selection
			field.Arguments = ast.ArgumentList{{
				Name: afterArgument, Position: field.Position,
				Value: &ast.Value{Raw: id, Kind: ast.StringValue, Position: field.Position},
			}}
			for _, a := range selection.Arguments {
				if a.Name != afterArgument {
					field.Arguments = append(field.Arguments, a)
				}
			}
			out[i] = &field
		case *ast.InlineFragment:
			inline := *selection
			inline.SelectionSet = withAfter(doc, inline.SelectionSet, id)
			out[i] = &inline
		case *ast.FragmentSpread:
			if f := doc.Fragments.ForName(selection.Name); f != nil {
				out[i] = &ast.InlineFragment{
					TypeCondition: f.TypeCondition, Directives: selection.Directives, Position: selection.Position,
					SelectionSet: withAfter(doc, f.SelectionSet, id), ObjectDefinition: selection.ObjectDefinition,
				}
			}
		}
	}
	return out
}

// cursorOf finds the cursor in an event's data, if the subscription asks for
// it: the keys are those by which the document renames the root field and its
// cursor. It returns "" where there is none.
func cursorOf(op *operation, data []byte) string {
	for _, root := range graphql.CollectFields(op.OperationContext, op.Operation.SelectionSet, nil) {
		if root.Definition == nil || root.Definition.Arguments.ForName(afterArgument) == nil {
			continue
		}
		for _, f := range graphql.CollectFields(op.OperationContext, root.Selections, []string{root.Definition.Type.Name()}) {
			if f.Name != cursorField {
				continue
			}
			var event map[string]map[string]json.RawMessage
			var cursor string
			if json.Unmarshal(data, &event) != nil || json.Unmarshal(event[root.Alias][f.Alias], &cursor) != nil || strings.ContainsAny(cursor, "\r\n\x00") {
				return ""
			}
			return cursor
		}
	}
	return ""
}
