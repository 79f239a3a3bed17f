package resolvers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
	"github.com/milepost-gateway/milepost/resolvers"
)

// stream is an open subscription.
type stream struct {
	t    testing.TB
	next func() *graphql.Response
	stop func()
}

func (w *world) follow(v graph.Viewer, query string) *stream {
	w.t.Helper()
	return w.followNamed(v, query, "")
}

// followNamed follows one operation of a document.
func (w *world) followNamed(v graph.Viewer, query, name string) *stream {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(graph.WithViewer(w.t.Context(), v), 30*time.Second)
	ctx = graphql.StartOperationTrace(ctx)
	op, errs := w.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, OperationName: name})
	if errs != nil {
		w.t.Fatal(errs)
	}
	responses, ctx := w.exec.DispatchOperation(ctx, op)
	s := &stream{w.t, func() *graphql.Response { return responses(ctx) }, cancel}
	w.t.Cleanup(cancel)
	return s
}

// change is what the tests ask of a message.
type change struct {
	Cursor, Kind, To, Outcome, Number string
	Shipment                          struct{ Reference string }
}

const followed = "{ cursor kind to outcome number shipment { reference } }"

func (s *stream) message() change {
	s.t.Helper()
	r := s.next()
	if r == nil || len(r.Errors) > 0 {
		s.t.Fatalf("no message: %+v", r)
	}
	var m struct{ MilestoneChanged change }
	if err := json.Unmarshal(r.Data, &m); err != nil {
		s.t.Fatal(err)
	}
	return m.MilestoneChanged
}

// report tells events of a number registered with the last carrier, one call
// each.
func (w *world) report(v graph.Viewer, number string, codes ...parcel.Code) {
	w.t.Helper()
	w.reportOf(v, key("correios", number), codes...)
}

func (w *world) reportOf(v graph.Viewer, number parcel.NumberKey, codes ...parcel.Code) {
	w.t.Helper()
	for i, code := range codes {
		w.trade.Advance(time.Minute)
		done, err := w.ingest.Report(w.t.Context(), v.MerchantID, []parcel.Report{{Key: number, Observation: parcel.Observation{
			Code: code, Occurred: parcel.ReportedMoment("", w.trade.Now().Add(time.Duration(i)*time.Second))}}})
		if err != nil || done[0].Outcome != parcel.WriteCreated {
			w.t.Fatal(err, done)
		}
	}
}

// register registers a number of the last carrier, and legs before it.
func (w *world) register(v graph.Viewer, reference, number string, before ...parcel.DeclaredLeg) {
	w.t.Helper()
	done, err := w.ingest.Register(w.t.Context(), v.MerchantID, []parcel.Registration{{Facts: parcel.Facts{Reference: reference, Order: "O-" + reference,
		Origin: parcel.Place{Country: "CN"}, Destination: parcel.Place{Country: "BR"}, Legs: append(before, parcel.DeclaredLeg{Carrier: "correios", Number: number})}}})
	if err != nil || done[0].Outcome != parcel.WriteCreated {
		w.t.Fatal(err, done)
	}
}

// A stream gives each row once and in order: what came before, what comes, and
// after a reconnect exactly what follows the last cursor.
func TestMilestoneChanged(t *testing.T) {
	w := newWorld(t)
	v, other := w.merchant("lantern"), w.merchant("other")
	w.register(v, "A", "BR1000")
	w.register(other, "X", "BR2000")
	s := w.follow(v, "subscription { milestoneChanged "+followed+" }")
	go func() {
		w.report(v, "BR1000", parcel.CodePickedUp, parcel.CodeOriginCountryDeparted)
		w.report(other, "BR2000", parcel.CodePickedUp)
		w.report(v, "BR1000", parcel.CodeImportCustomsHeld, parcel.CodeOutForDelivery, parcel.CodeDelivered)
	}()
	var got []change
	var steps []string
	for range 5 {
		m := s.message()
		if m.Shipment.Reference != "A" || m.Kind != "MILESTONE" {
			t.Fatalf("%+v", m)
		}
		got = append(got, m)
		steps = append(steps, strings.TrimSpace(m.To+" "+m.Outcome))
	}
	if diff := cmp.Diff([]string{"PICKED_UP", "ORIGIN_DEPARTED", "DESTINATION_ARRIVED", "OUT_FOR_DELIVERY", "DELIVERED DELIVERED"}, steps); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.stop()
	for s.next() != nil { // the end of the stream
	}

	for i := range got {
		again := w.follow(v, fmt.Sprintf("subscription { milestoneChanged(after: %q) %s }", got[i].Cursor, followed))
		for _, want := range got[i+1:] {
			if diff := cmp.Diff(want, again.message()); diff != "" {
				t.Errorf("after message %d (-want +got):\n%s", i, diff)
			}
		}
		again.stop()
	}

	// The same cursors page the same rows.
	var page struct {
		Changes struct {
			Nodes []change
			Head  string
		}
	}
	w.get(v, fmt.Sprintf(`{ changes(after: %q, filter: { kinds: [MILESTONE] }) { nodes { ... on MilestoneChange %s } head } }`, got[0].Cursor, followed), nil, &page)
	if diff := cmp.Diff(got[1:], page.Changes.Nodes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestMilestoneChangedFilter(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	w.register(v, "A", "BR1000")
	w.register(v, "B", "BR2000")
	s := w.follow(v, `subscription { milestoneChanged(filter: { orders: ["O-B"], milestones: [PICKED_UP, DELIVERED] }) `+followed+` }`)
	w.report(v, "BR1000", parcel.CodePickedUp, parcel.CodeDelivered)
	w.report(v, "BR2000", parcel.CodePickedUp, parcel.CodeOutForDelivery, parcel.CodeDelivered)
	for _, want := range []string{"B PICKED_UP", "B DELIVERED"} {
		if m := s.message(); m.Shipment.Reference+" "+m.To != want {
			t.Errorf("%+v, want %s", m, want)
		}
	}
}

func TestMilestoneChangedRefuses(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	w.register(v, "A", "BR1000")
	w.report(v, "BR1000", parcel.CodePickedUp)
	page := w.ask(v, "{ changes(first: 1) { pageInfo { endCursor } } }", nil)
	var first struct {
		Changes struct{ PageInfo struct{ EndCursor string } }
	}
	if err := json.Unmarshal(page.Data, &first); err != nil {
		t.Fatal(err)
	}
	w.trade.Advance(500 * 24 * time.Hour)
	w.report(v, "BR1000", parcel.CodeOutForDelivery, parcel.CodeDelivered)
	if _, err := w.store.PruneChanges(t.Context(), w.trade.Now().Add(-400*24*time.Hour), 1000); err != nil {
		t.Fatal(err)
	}
	reader := v
	reader.Scopes = []graph.Scope{graph.RoutesRead}
	for _, c := range []struct {
		name   string
		viewer graph.Viewer
		after  string
		code   graph.Code
	}{
		{"a cursor that has expired", v, first.Changes.PageInfo.EndCursor, graph.CodeCursorExpired},
		{"no cursor", v, "x", graph.CodeInvalidInput},
		{"a key without the scope", reader, "", graph.CodeForbidden},
		{"nobody", graph.Viewer{}, "", graph.CodeUnauthenticated},
	} {
		t.Run(c.name, func(t *testing.T) {
			arguments := ""
			if c.after != "" {
				arguments = fmt.Sprintf("(after: %q)", c.after)
			}
			r := w.follow(c.viewer, "subscription { milestoneChanged"+arguments+" { cursor } }").next()
			if r == nil || len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != string(c.code) {
				t.Fatalf("%+v", r)
			}
			if c.code != graph.CodeCursorExpired {
				return
			}
			// The oldest place kept is told, and can be followed from.
			oldest, _ := r.Errors[0].Extensions["oldest"].(string)
			s := w.follow(v, fmt.Sprintf("subscription { milestoneChanged(after: %q) %s }", oldest, followed))
			if m := s.message(); m.To != "OUT_FOR_DELIVERY" {
				t.Errorf("from the oldest: %+v", m)
			}
			a := w.ask(v, fmt.Sprintf("{ changes(after: %q) { head } }", c.after), nil)
			if got := a.codes(); !slices.Equal(got, []string{"CURSOR_EXPIRED changes"}) {
				t.Errorf("changes: %v", got)
			}
		})
	}
}

// A reader who is overtaken by the end of the log hears so, and loses nothing
// in silence.
func TestStreamThatFallsBehind(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	w.register(v, "A", "BR1000")
	s := w.follow(v, "subscription { milestoneChanged { cursor to } }")
	for range 130 { // more than is read at once
		w.trade.Advance(time.Hour)
		w.register(v, fmt.Sprint("N", w.trade.Now().Unix()), fmt.Sprint("BR", w.trade.Now().Unix()))
	}
	s.message() // the first page is read by now
	if _, err := w.store.PruneChanges(t.Context(), w.trade.Now(), 1000); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		r := s.next()
		if r == nil {
			t.Fatal("the stream ended in silence")
		}
		if len(r.Errors) == 0 {
			continue
		}
		if r.Errors[0].Extensions["code"] != string(graph.CodeCursorExpired) || r.Errors[0].Extensions["oldest"] == "" {
			t.Errorf("%v", r.Errors)
		}
		if r := s.next(); r != nil {
			t.Errorf("after the end: %+v", r)
		}
		return
	}
	t.Fatal("the stream went on over what was removed")
}

func TestChangesPages(t *testing.T) {
	w := newWorld(t)
	v, other := w.merchant("lantern"), w.merchant("other")
	for n := range 6 {
		w.put(v, n, 18)
		w.put(other, n, 18)
	}
	w.register(v, "A", "BR1000")
	w.report(v, "BR1000", parcel.CodePickedUp, parcel.CodeImportCustomsHeld, parcel.CodeDelivered)
	type page struct {
		Changes struct {
			Edges []struct {
				Cursor string
				Node   struct {
					Typename string `json:"__typename"`
					Cursor   string
					Shipment struct{ ID string }
				}
			}
			PageInfo struct {
				HasNextPage, HasPreviousPage bool
				EndCursor                    *string
			}
			Head, Oldest string
		}
	}
	read := func(arguments string) (p page) {
		t.Helper()
		w.get(v, "{ changes("+arguments+") { edges { cursor node { __typename cursor shipment { id } } } pageInfo { hasNextPage hasPreviousPage endCursor } head oldest } }", nil, &p)
		return p
	}
	seen := map[string]bool{}
	kinds := map[string]int{}
	rows := 0
	for after := ""; ; {
		p := read("first: 7" + after)
		for _, e := range p.Changes.Edges {
			if seen[e.Cursor] || e.Cursor != e.Node.Cursor {
				t.Fatalf("row %s twice, or with another cursor of its own", e.Cursor)
			}
			seen[e.Cursor] = true
			kinds[e.Node.Typename]++
			rows++
		}
		if p.Changes.PageInfo.HasPreviousPage != (after != "") {
			t.Errorf("hasPreviousPage after %q", after)
		}
		if !p.Changes.PageInfo.HasNextPage {
			// The end for now: nothing follows the head, and all follows the oldest.
			if n := len(read(fmt.Sprintf("after: %q", p.Changes.Head)).Changes.Edges); n != 0 {
				t.Errorf("%d rows after the head", n)
			}
			if n := len(read(fmt.Sprintf("first: 100, after: %q", p.Changes.Oldest)).Changes.Edges); n != min(100, rows) {
				t.Errorf("%d rows after the oldest, want %d", n, rows)
			}
			break
		}
		after = fmt.Sprintf(", after: %q", *p.Changes.PageInfo.EndCursor)
	}
	want, err := w.store.Changes(t.Context(), scopeOf(v), 0, 10000, changeFilter{})
	if err != nil {
		t.Fatal(err)
	}
	if rows != len(want) || kinds["MilestoneChange"] == 0 || kinds["LegChange"] == 0 || kinds["ExceptionChange"] == 0 || kinds["PromiseChange"] == 0 {
		t.Errorf("%d rows of %d: %v", rows, len(want), kinds)
	}
}

// truncating removes the whole log just after rows of it were read, as
// retention may on another replica.
type truncating struct {
	reads
	before time.Time
}

func (tr truncating) Changes(ctx context.Context, merchantID string, after int64, limit int, f resolvers.ChangeFilter) ([]parcel.Change, error) {
	if _, err := tr.s.PruneChanges(ctx, tr.before, 1000); err != nil {
		return nil, err
	}
	return tr.reads.Changes(ctx, merchantID, after, limit, f)
}

// A log that is cut between finding the place and reading it tells of the gap.
func TestLogCutWhileRead(t *testing.T) {
	for _, c := range []struct{ name, document string }{
		{"page", "query($after: String) { changes(after: $after) { nodes { cursor } } }"},
		{"stream", "subscription($after: String) { milestoneChanged(after: $after) { cursor } }"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			v := w.merchant("lantern")
			w.register(v, "A", "BR1000")
			w.report(v, "BR1000", parcel.CodePickedUp, parcel.CodeDelivered)
			a := w.ask(v, "{ changes(first: 1) { pageInfo { endCursor } } }", nil)
			var first struct {
				Changes struct{ PageInfo struct{ EndCursor string } }
			}
			if err := json.Unmarshal(a.Data, &first); err != nil {
				t.Fatal(err)
			}
			o := w.r.Options
			o.Store = truncating{reads{w.store}, w.trade.Now().Add(time.Hour)}
			r, err := resolvers.New(o)
			if err != nil {
				t.Fatal(err)
			}
			w.exec = w.executor(r.Schema())
			document := strings.Replace(c.document, "($after: String)", "", 1)
			document = strings.Replace(document, "$after", fmt.Sprintf("%q", first.Changes.PageInfo.EndCursor), 1)
			got := w.follow(v, document).next()
			if got == nil || len(got.Errors) != 1 || got.Errors[0].Extensions["code"] != string(graph.CodeCursorExpired) {
				t.Errorf("%+v", got)
			}
		})
	}
}
