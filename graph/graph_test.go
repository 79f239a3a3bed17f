package graph_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"pgregory.net/rapid"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

func TestIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom([]string{graph.TypeShipment, graph.TypeLeg, graph.TypeEvent}).Draw(t, "type")
		key := rapid.StringOfN(rapid.RuneFrom(nil, unicode.L, unicode.N, unicode.P, unicode.S), 1, 80, -1).Draw(t, "key")
		id := graph.MakeID(typ, key)
		gotType, gotKey, err := graph.ParseID(id)
		if err != nil || gotType != typ || gotKey != key {
			t.Fatalf("%q gives %q %q %v", id, gotType, gotKey, err)
		}
		if strings.ContainsAny(id, "=+/") {
			t.Fatalf("%q is not base64url without padding", id)
		}
	})
	for _, bad := range []string{"", "x", "====", graph.MakeID("", "k"), graph.MakeID("Shipment", ""), "U2hpcG1lbnQ6MB", graph.MakeID("Shipment", "1") + "=",
		graph.MakeID("Shipment", "\x00"), graph.MakeID("Leg", "1.a\nb"), graph.MakeID("Shipment", "\xff")} {
		if _, _, err := graph.ParseID(bad); !errors.Is(err, parcel.ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := graph.ParseIDOf(graph.TypeLeg, graph.MakeID(graph.TypeShipment, "1")); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("another type: %v", err)
	}
}

func cursors(t interface{ Fatal(...any) }, secret string) *graph.Cursors {
	c, err := graph.NewCursors([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCursors(t *testing.T) {
	ours, theirs := cursors(t, "our secret of 16 bytes"), cursors(t, "another secret, as long")
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.SliceOf(rapid.Byte()).Draw(t, "place")
		sealed := ours.Seal("list", place)
		if again := ours.Seal("list", place); again != sealed {
			t.Fatal("one place has two cursors")
		}
		got, err := ours.Open("list", sealed)
		if err != nil || !bytes.Equal(got, place) {
			t.Fatalf("%x gives %x %v", place, got, err)
		}
		if _, err := ours.Open("another list", sealed); !errors.Is(err, parcel.ErrInvalid) {
			t.Fatalf("opens in another list: %v", err)
		}
		if _, err := theirs.Open("list", sealed); !errors.Is(err, parcel.ErrInvalid) {
			t.Fatalf("opens under another secret: %v", err)
		}
		// No edited cursor opens.
		edited := []byte(sealed)
		i := rapid.IntRange(0, len(edited)-1).Draw(t, "at")
		edited[i] ^= 1 << rapid.IntRange(0, 6).Draw(t, "bit")
		if _, err := ours.Open("list", string(edited)); err == nil {
			t.Fatalf("edited %q opens", edited)
		}
		position := rapid.Int64().Draw(t, "position")
		if got, err := ours.OpenPosition(ours.SealPosition(position)); err != nil || got != position {
			t.Fatalf("position %d gives %d %v", position, got, err)
		}
	})
	if _, err := ours.OpenPosition(ours.SealFields("changes", "ab")); err == nil {
		t.Error("two bytes are no position")
	}
	if _, err := ours.OpenFields("list", ours.SealFields("list", "a", "b"), 3); err == nil {
		t.Error("two fields open as three")
	}
	// Neighbours must not look alike: a counter would tell others' volume.
	a, b := ours.SealPosition(1), ours.SealPosition(2)
	if a[:8] == b[:8] || a[len(a)-8:] == b[len(b)-8:] {
		t.Errorf("%s and %s look alike", a, b)
	}
	if _, err := graph.NewCursors([]byte("too short")); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("a short secret: %v", err)
	}
}

func FuzzOpenCursor(f *testing.F) {
	c, err := graph.NewCursors([]byte("our secret of 16 bytes"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.SealPosition(1))
	f.Add("")
	f.Add(strings.Repeat("A", 600))
	f.Fuzz(func(t *testing.T, cursor string) {
		if place, err := c.Open("changes", cursor); err == nil && c.Seal("changes", place) != cursor {
			t.Errorf("%q opens and is not what was sealed", cursor)
		}
	})
}

func TestScopes(t *testing.T) {
	for _, s := range graph.Scopes() {
		for _, text := range []string{string(s), s.CLI(), " " + strings.ToUpper(s.CLI())} {
			if got, err := graph.ParseScope(text); err != nil || got != s {
				t.Errorf("%q gives %q %v", text, got, err)
			}
		}
	}
	if graph.ShipmentsRead.CLI() != "shipments:read" {
		t.Errorf("command line spelling %q", graph.ShipmentsRead.CLI())
	}
	if _, err := graph.ParseScope("everything"); !errors.Is(err, parcel.ErrInvalid) || !strings.Contains(err.Error(), "shipments:read") {
		t.Errorf("an unknown scope: %v", err)
	}
}

func TestMay(t *testing.T) {
	key := graph.Viewer{Kind: graph.APIKey, MerchantID: "M1", Scopes: []graph.Scope{graph.ShipmentsRead}}
	for _, c := range []struct {
		name   string
		viewer graph.Viewer
		scope  graph.Scope
		owner  string
		want   bool
	}{
		{"own", key, graph.ShipmentsRead, "M1", true},
		{"root field", key, graph.ShipmentsRead, "", true},
		{"another's", key, graph.ShipmentsRead, "M2", false},
		{"without the scope", key, graph.CostsRead, "M1", false},
		{"scope without an account", graph.Viewer{Scopes: graph.Scopes()}, graph.ShipmentsRead, "", false},
		{"nobody", graph.Viewer{}, graph.ShipmentsRead, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.viewer.May(c.scope, c.owner); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
	if v := graph.ViewerFrom(t.Context()); v.Kind != graph.Anonymous || v.MerchantID != "" {
		t.Errorf("no viewer gives %+v", v)
	}
}

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want graph.Code
	}{
		{parcel.ErrNotFound, graph.CodeNotFound},
		{parcel.ErrInvalid, graph.CodeInvalidInput},
		{parcel.Invalidf(parcel.FaultConflict, "a", "b"), graph.CodeConflict},
		{parcel.Invalidf(parcel.FaultNotFound, "a", "b"), graph.CodeNotFound},
		{&parcel.Throttled{}, graph.CodeRateLimited},
		{parcel.ErrUnavailable, graph.CodeUnavailable},
		{errors.Join(graph.ErrCarrier, parcel.ErrUnavailable), graph.CodeCarrierUnavailable},
		{context.DeadlineExceeded, graph.CodeUnavailable},
		{graph.ErrForbidden, graph.CodeForbidden},
		{graph.ErrUnauthenticated, graph.CodeUnauthenticated},
		{graph.ErrTooCostly, graph.CodeQueryTooCostly},
		{graph.ErrPersistedNotFound, graph.CodePersistedNotFound},
		{graph.ErrParse, graph.CodeParseFailed},
		{graph.ErrValidation, graph.CodeValidationFailed},
		{&graph.CursorExpired{}, graph.CodeCursorExpired},
		{errors.New("anything else"), graph.CodeInternal},
		{parcel.ErrDenied, graph.CodeInternal},
	} {
		t.Run(string(c.want), func(t *testing.T) {
			if got := graph.CodeOf(fmt.Errorf("somewhere: %w", c.err)); got != c.want {
				t.Errorf("%v gives %s", c.err, got)
			}
		})
	}
}

// What is shown of an error, and what is kept back and logged instead.
func TestPresent(t *testing.T) {
	secret := errors.New("pq: password authentication failed for user milepost")
	for _, c := range []struct {
		name       string
		err        error
		message    string
		extensions map[string]any
		logged     bool
	}{
		{"an input", parcel.Invalidf(parcel.FaultOutOfRange, "filter.ids.3", "want less"), "want less",
			map[string]any{"code": "INVALID_INPUT", "fault": "OUT_OF_RANGE", "input": []string{"filter", "ids", "3"}}, false},
		{"a kind with inner words", fmt.Errorf("storage: table x: %w", parcel.ErrNotFound), "not found", map[string]any{"code": "NOT_FOUND"}, false},
		{"a wait", &parcel.Throttled{RetryAfter: 1500 * time.Millisecond}, "too much was asked", map[string]any{"code": "RATE_LIMITED", "retryAfterSeconds": 2}, false},
		{"a problem", &graph.Problem{Kind: graph.ErrTooCostly, Message: "costs 2000", Extensions: map[string]any{"cost": 2000, "code": "SPOOFED"}}, "costs 2000", map[string]any{"code": "QUERY_TOO_COSTLY", "cost": 2000}, false},
		{"an expired cursor", &graph.CursorExpired{Oldest: "abc"}, "cursor is older than the log that is kept; begin again from `oldest`", map[string]any{"code": "CURSOR_EXPIRED", "oldest": "abc"}, false},
		{"unknown", secret, "internal error", map[string]any{"code": "INTERNAL"}, true},
		{"database gone", fmt.Errorf("%w: %w", secret, parcel.ErrUnavailable), "not available now; try again later", map[string]any{"code": "UNAVAILABLE"}, true},
		{"out of time", context.DeadlineExceeded, "not answered in time", map[string]any{"code": "UNAVAILABLE"}, false},
		{"a panic", graph.Panicked("index out of range"), "internal error", map[string]any{"code": "INTERNAL"}, true},
		{"the validator", &gqlerror.Error{Message: "Cannot query field", Rule: "FieldsOnCorrectType"}, "Cannot query field", map[string]any{"code": "VALIDATION_FAILED"}, false},
		{"gqlgen itself", gqlerror.Errorf("must not be null"), "internal error", map[string]any{"code": "INTERNAL"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log strings.Builder
			got := graph.NewPresenter(slog.New(slog.NewTextHandler(&log, nil))).Present(t.Context(), c.err)
			reference, _ := got.Extensions["reference"].(string)
			if c.logged {
				c.extensions["reference"] = reference
				if reference == "" || strings.Count(log.String(), reference) != 1 {
					t.Errorf("reference %q, log %s", reference, &log)
				}
			} else if log.Len() > 0 {
				t.Errorf("logged %s", &log)
			}
			if diff := cmp.Diff(c.extensions, got.Extensions); diff != "" || got.Message != c.message {
				t.Errorf("%q\n%s", got.Message, diff)
			}
			if strings.Contains(got.Error(), "password") {
				t.Errorf("tells %s", got)
			}
		})
	}
}

func TestLimit(t *testing.T) {
	one, three := 1, 3
	text := func(s string) *string { return &s }
	number := func(n int) *int { return &n }
	for _, c := range []struct {
		name  string
		value any
		fault parcel.Fault
	}{
		{"number within", 3, ""}, {"number above", 4, parcel.FaultOutOfRange}, {"number below", 0, parcel.FaultOutOfRange},
		{"pointer above", number(4), parcel.FaultOutOfRange}, {"no number", (*int)(nil), ""},
		{"characters, not bytes", "äöü", ""}, {"text above", "äöüß", parcel.FaultOutOfRange}, {"empty text", "", parcel.FaultOutOfRange}, {"pointer to text", text("abcd"), parcel.FaultOutOfRange}, {"no text", (*string)(nil), ""},
		{"list within", []string{"a"}, ""}, {"list above", []int{1, 2, 3, 4}, parcel.FaultTooMany}, {"list below", []int{}, parcel.FaultRequired}, {"no list", []int(nil), ""}, {"nothing", nil, ""},
		{"a NUL in a text", "\x00b", parcel.FaultMalformed}, {"a NUL behind a pointer", text("b\x00"), parcel.FaultMalformed}, {"a NUL in a list", []string{"a", "\x00"}, parcel.FaultMalformed},
		{"an escape", "\x1b[", parcel.FaultMalformed}, {"tabs and ends of lines", "\t\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := graph.Limit(t.Context(), nil, func(context.Context) (any, error) { return c.value, nil }, &one, &three)
			var e *parcel.InputError
			if errors.As(err, &e); e == nil && c.fault != "" || e != nil && e.Fault != c.fault {
				t.Errorf("%v", err)
			}
			if err == nil && !cmp.Equal(v, c.value) {
				t.Errorf("value %v", v)
			}
		})
	}
}

// Faults gather for the arguments of a mutation, and only there.
func TestFaults(t *testing.T) {
	field := func(object, alias string) context.Context {
		return graphql.WithFieldContext(graph.WithFaults(t.Context()), &graphql.FieldContext{Object: object, Field: graphql.CollectedField{Field: &ast.Field{Name: "register", Alias: alias}}})
	}
	at := func(ctx context.Context) context.Context {
		for _, p := range []*graphql.PathContext{graphql.NewPathWithField("input"), graphql.NewPathWithIndex(3), graphql.NewPathWithField("country")} {
			ctx = graphql.WithPathContext(ctx, p)
		}
		return ctx
	}
	ctx := field("Mutation", "a")
	if err := graph.Fault(at(ctx), parcel.FaultMalformed, "no country"); err != nil {
		t.Errorf("in a mutation: %v", err)
	}
	found := graph.FaultsOf(ctx)
	if len(found) != 1 || strings.Join(found[0].Path, ".") != "input.3.country" {
		t.Errorf("gathered %v", found)
	}
	if err := graph.Fault(at(field("Shipment", "legs")), parcel.FaultMalformed, "no"); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("below a mutation: %v", err)
	}
	if err := graph.Fault(t.Context(), parcel.FaultMalformed, "no"); !errors.Is(err, parcel.ErrInvalid) {
		t.Errorf("in a query: %v", err)
	}
}

func TestCheckVariables(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		enum Colour { RED GREEN }
		input Paint { colour: Colour coats: [[Colour!]] inner: Paint note: String }
		type Query { a(p: [Paint!], c: Colour): Int }`})
	op := gqlparser.MustLoadQueryWithRules(schema, `query($p: [Paint!], $c: Colour) { a(p: $p, c: $c) }`, nil).Operations[0]
	type object = map[string]any
	for _, c := range []struct {
		name      string
		variables object
		path      string
	}{
		{"nothing", object{}, ""},
		{"null", object{"c": nil}, ""},
		{"right", object{"c": "RED", "p": []any{object{"colour": "GREEN", "coats": []any{[]any{"RED"}, nil}, "note": "red"}}}, ""},
		{"case", object{"c": "red"}, "variable.c"},
		{"number", object{"c": 1}, "variable.c"},
		{"deep", object{"p": []any{object{}, object{"inner": object{"coats": []any{[]any{"RED", "Green"}}}}}}, "variable.p[1].inner.coats[0][1]"},
		{"single for list", object{"p": object{"colour": "blue"}}, "variable.p[0].colour"},
		{"typed list", object{"p": []object{{"colour": "blue"}}}, "variable.p[0].colour"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := graph.CheckVariables(schema, op, c.variables)
			if (err == nil) != (c.path == "") || err != nil && (err.Path.String() != c.path || graph.CodeOf(err) != graph.CodeValidationFailed) {
				t.Errorf("%v", err)
			}
		})
	}
}
