package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/storage"
	"github.com/milepost-gateway/milepost/storage/storagetest"
)

// front is a whole server on a database of its own, for tests of what comes in
// through its door.
type front struct {
	t      *testing.T
	server *server
	url    string
}

func openFront(t *testing.T) *front {
	t.Helper()
	c := storagetest.SQLite(t)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := newServer(t.Context(), serverParts{store: c.Store, trade: clock.Wall(), wall: clock.Wall(), log: log})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(srv.gateway.Handler())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.gateway.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		h.Close()
		if err := srv.ingest.Close(); err != nil {
			t.Error(err)
		}
	})
	return &front{t, srv, h.URL}
}

// merchant makes a merchant with a key of all scopes but those that cross
// merchants.
func (f *front) merchant(name string) (secret, keyID, merchantID string) {
	f.t.Helper()
	now := time.Now()
	m, _, err := merchantNamed(f.t.Context(), f.server.store, clock.Wall(), name, true)
	if err != nil {
		f.t.Fatal(err)
	}
	secret, prefix, hash := gateway.NewKey()
	k := storage.Key{ID: newID(now), MerchantID: m.ID, Name: name, Prefix: prefix, Hash: hash, CreatedAt: now}
	for _, s := range scopes() {
		if s != "admin" {
			k.Scopes = append(k.Scopes, s)
		}
	}
	if err := f.server.store.PutKey(f.t.Context(), k); err != nil {
		f.t.Fatal(err)
	}
	return secret, k.ID, m.ID
}

// ask posts a query with a key, or as nobody.
func (f *front) ask(secret, query string, variables map[string]any) (status int, body string) {
	f.t.Helper()
	encoded, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.url+"/graphql", bytes.NewReader(encoded))
	if err != nil {
		f.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

// data posts a query that must succeed, and decodes its data.
func (f *front) data(secret, query string, variables map[string]any, into any) {
	f.t.Helper()
	status, body := f.ask(secret, query, variables)
	var answer struct {
		Data   json.RawMessage
		Errors json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.Errors != nil {
		f.t.Fatalf("status %d, %v: %s", status, err, body)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		f.t.Fatalf("%v: %s", err, body)
	}
}

const registerMutation = `mutation($input: [RegisterShipmentInput!]!) { registerShipments(input: $input) { created results { outcome userErrors { code path message { value } } shipment { id legs { id } } } userErrors { code } } }`

// registration is the input for one shipment.
func registration(reference, number string) map[string]any {
	return map[string]any{
		"reference": reference, "order": "order of " + reference,
		"parcel": map[string]any{
			"origin": map[string]any{"country": "CN", "city": "Yiwu"}, "destination": map[string]any{"country": "RU", "city": "Kazan", "postcode": "420000"},
			"description": "goods of " + reference, "weightGrams": 450,
		},
		"legs":      []any{map[string]any{"stage": "LAST_MILE", "carrier": "russian-post", "trackingNumber": number}},
		"recipient": map[string]any{"name": "recipient of " + reference, "phone": "+7 000"},
		"tags":      []any{"tag of " + reference},
	}
}

// seeded registers a shipment with an event and returns their ids.
func (f *front) seeded(secret, reference, number string) (shipment, leg, event string) {
	f.t.Helper()
	var made struct {
		RegisterShipments struct {
			Results []struct {
				Outcome    string
				UserErrors []any
				Shipment   struct {
					ID   string
					Legs []struct{ ID string }
				}
			}
		}
	}
	f.data(secret, registerMutation, map[string]any{"input": []any{registration(reference, number)}}, &made)
	if len(made.RegisterShipments.Results) != 1 || made.RegisterShipments.Results[0].Outcome != "CREATED" {
		f.t.Fatalf("%+v", made)
	}
	s := made.RegisterShipments.Results[0].Shipment
	var reported struct {
		ReportEvents struct {
			Results []struct {
				Outcome string
				Event   struct{ ID string }
			}
		}
	}
	f.data(secret, `mutation($input: [ReportEventInput!]!) { reportEvents(input: $input) { results { outcome event { id } } } }`, map[string]any{"input": []any{map[string]any{
		"shipment": s.ID, "carrier": "russian-post", "trackingNumber": number, "code": "DELIVERY_OFFICE_ARRIVED",
		"localTime": time.Now().AddDate(0, 0, -1).Format("2006-01-02 15:04"), "offset": "+03:00", "text": "words of " + reference,
	}}}, &reported)
	if len(reported.ReportEvents.Results) != 1 || reported.ReportEvents.Results[0].Outcome != "CREATED" {
		f.t.Fatalf("%+v", reported)
	}
	return s.ID, s.Legs[0].ID, reported.ReportEvents.Results[0].Event.ID
}

// TestFrontTenants asks for everything of one merchant as another, and as
// nobody: by every id, by reference, by number, in every list, by mutation. No
// answer holds anything of the first.
func TestFrontTenants(t *testing.T) {
	f := openFront(t)
	ours, _, _ := f.merchant("ours")
	others, _, _ := f.merchant("others")
	shipment, leg, event := f.seeded(ours, "SECRET-1", "RK123456785CN")
	f.seeded(others, "OPEN-1", "RK000000005CN")
	var changes struct {
		Changes struct{ Nodes []struct{ Cursor string } }
	}
	f.data(ours, `{ changes(first: 100) { nodes { cursor } } }`, nil, &changes)
	if len(changes.Changes.Nodes) == 0 {
		t.Fatal("the owner has no changes")
	}

	const shipmentFields = `id reference order { reference shipments(first: 5) { nodes { id reference } } } tags recipient { name phone } goods { description }
		legs { id trackingNumber } timeline(first: 20) { nodes { id original { text } sources { receivedAt } } } latestEvent { id original { text } }
		handovers { gapHours } exceptions(first: 5) { nodes { id } } changes(first: 10) { nodes { cursor shipment { reference } } } custody { state }`
	queries := []struct {
		name, query string
		variables   map[string]any
	}{
		{"shipment by id", `query($id: ID!) { shipment(id: $id) { ` + shipmentFields + ` } }`, map[string]any{"id": shipment}},
		{"shipment by reference", `{ shipment(reference: "SECRET-1") { ` + shipmentFields + ` } }`, nil},
		{"shipment as of a time", `query($id: ID!) { shipment(id: $id, asOf: "2027-01-01T00:00:00Z") { ` + shipmentFields + ` } }`, map[string]any{"id": shipment}},
		{"a shipment as a node", `query($id: ID!) { node(id: $id) { id ... on Shipment { ` + shipmentFields + ` } } }`, map[string]any{"id": shipment}},
		{"a leg as a node", `query($id: ID!) { node(id: $id) { id ... on Leg { trackingNumber shipment { reference } } } }`, map[string]any{"id": leg}},
		{"an event as a node", `query($id: ID!) { node(id: $id) { id ... on TrackingEvent { original { text } shipment { reference } } } }`, map[string]any{"id": event}},
		{"all as nodes", `query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }`, map[string]any{"ids": []any{shipment, leg, event}}},
		{"all shipments", `{ shipments(first: 5) { nodes { ` + shipmentFields + ` } count { value } } }`, nil},
		{"shipments by reference", `{ shipments(filter: { references: ["SECRET-1"] }, first: 10) { nodes { reference } } }`, nil},
		{"shipments by order", `{ shipments(filter: { orders: ["order of SECRET-1"] }, first: 10) { nodes { reference } } }`, nil},
		{"shipments by tag", `{ shipments(filter: { tags: ["tag of SECRET-1"] }, first: 10) { nodes { reference } } }`, nil},
		{"all changes", `{ changes(first: 20) { nodes { cursor kind shipment { reference legs { trackingNumber } } } } }`, nil},
		{"routes", `{ routes(first: 20) { nodes { code name } } }`, nil},
		{"scores", `{ carrierScores(filter: {}, groupBy: [CARRIER], first: 20) { nodes { n underWay } } }`, nil},
		{"the public door, by number", `{ track(number: "RK123456785CN") { __typename ... on TrackFound { shipment { id reference legs { trackingNumber } } } } }`, nil},
		{"the public door, by number and postcode that is wrong", `{ track(number: "RK123456785CN", postcode: "101000") { __typename ... on TrackFound { shipment { id reference } } } }`, nil},
		{"retracting an event", `mutation($id: ID!) { retractEvent(input: { event: $id, kind: DID_NOT_OCCUR }) { event { id } userErrors { code } } }`, map[string]any{"id": event}},
		{"changing a number", `mutation($id: ID!) { changeTrackingNumber(input: { leg: $id, trackingNumber: "RK987654321CN" }) { leg { id } userErrors { code } } }`, map[string]any{"id": leg}},
		{"refreshing", `mutation($id: ID!) { refreshShipment(input: { shipment: $id, waitMs: 0 }) { shipment { reference } userErrors { code } } }`, map[string]any{"id": shipment}},
		{"reporting an event", `mutation($id: ID!) { reportEvents(input: [{ shipment: $id, code: DELIVERED, localTime: "2026-11-22 10:00", offset: "+03:00" }]) { results { outcome event { id } userErrors { code } } } }`, map[string]any{"id": shipment}},
	}
	before, told := f.ask(ours, `query($id: ID!) { shipment(id: $id) { `+shipmentFields+` } }`, map[string]any{"id": shipment})
	if before != http.StatusOK {
		t.Fatalf("the owner's question: status %d: %s", before, told)
	}
	_, owned := f.ask(ours, `query($id: ID!) { shipment(id: $id) { id reference legs { trackingNumber } timeline(first: 20) { nodes { id } } } }`, map[string]any{"id": shipment})
	if !strings.Contains(owned, "SECRET-1") {
		t.Fatalf("the owner does not see its own: %s", owned)
	}
	secrets := []string{"SECRET-1", event, leg}
	for _, asker := range []struct{ name, secret string }{{"another merchant", others}, {"nobody", ""}} {
		for _, q := range queries {
			t.Run(asker.name+"/"+q.name, func(t *testing.T) {
				status, body := f.ask(asker.secret, q.query, q.variables)
				if status >= 500 || strings.Contains(body, `"INTERNAL"`) {
					t.Errorf("status %d: %s", status, body)
				}
				if status == http.StatusBadRequest {
					t.Errorf("the question itself is refused: %s", body)
				}
				for _, s := range append(secrets, "RK123456785CN") {
					if strings.Contains(body, s) && !strings.Contains(q.query, s) {
						t.Errorf("the answer holds %s: %s", s, body)
					}
				}
				for _, s := range []string{`"CREATED"`, `"UPDATED"`, shipment} {
					if strings.Contains(body, s) {
						t.Errorf("the answer holds %s: %s", s, body)
					}
				}
				if asker.secret == "" && status != http.StatusUnauthorized && !strings.HasPrefix(q.name, "the public door") {
					t.Errorf("status %d: %s", status, body)
				}
			})
		}
	}
	if _, after := f.ask(ours, `query($id: ID!) { shipment(id: $id) { id reference legs { trackingNumber } timeline(first: 20) { nodes { id } } } }`, map[string]any{"id": shipment}); after != owned {
		t.Errorf("the shipment has changed:\n%s\n%s", owned, after)
	}
}

// TestFrontLargestRegistration registers as many shipments as the schema
// allows in one request.
func TestFrontLargestRegistration(t *testing.T) {
	f := openFront(t)
	secret, _, _ := f.merchant("large")
	input := make([]any, 1000)
	for i := range input {
		r := registration(fmt.Sprintf("%s-%04d", strings.Repeat("R", 100), i), fmt.Sprintf("BULK%010d", i))
		r["recipient"] = map[string]any{"name": strings.Repeat("n", 100), "email": "a@shop.example", "phone": "+7 000", "addressLines": []any{strings.Repeat("a", 200), strings.Repeat("b", 200)}}
		parcel := r["parcel"].(map[string]any)
		parcel["description"] = strings.Repeat("d", 200)
		r["tags"] = []any{strings.Repeat("t", 40)}
		legs := make([]any, 5)
		for l := range legs {
			legs[l] = map[string]any{"stage": "LINEHAUL", "carrier": "yunexpress", "serviceLevel": strings.Repeat("s", 40), "trackingNumber": fmt.Sprintf("BULK%d%010d", l, i)}
		}
		r["legs"] = legs
		input[i] = r
	}
	var made struct {
		RegisterShipments struct {
			Created int
			Results []struct{ UserErrors []struct{ Code, Path any } }
		}
	}
	f.data(secret, `mutation($input: [RegisterShipmentInput!]!) { registerShipments(input: $input) { created results { userErrors { code path } } } }`, map[string]any{"input": input}, &made)
	if made.RegisterShipments.Created != 1000 {
		t.Errorf("%d were created; the first: %+v", made.RegisterShipments.Created, made.RegisterShipments.Results[:1])
	}
}

// TestFrontHostileDocuments asks documents that are small, and made to be dear.
func TestFrontHostileDocuments(t *testing.T) {
	f := openFront(t)
	secret, _, _ := f.merchant("hostile")
	chain := func(root, on, leaf string, n int) string {
		var b strings.Builder
		b.WriteString("{" + root + "{...f0}" + strings.Repeat("}", strings.Count(root, "{")+1))
		for i := range n - 1 {
			fmt.Fprintf(&b, "fragment f%d on %s{...f%d ...f%d}", i, on, i+1, i+1)
		}
		fmt.Fprintf(&b, "fragment f%d on %s{%s}", n-1, on, leaf)
		return b.String()
	}
	for name, query := range map[string]string{
		"28 chained fragments":         chain("shipments(first:1){nodes", "Shipment", "id", 28),
		"chained about the schema":     chain("__schema{types", "__Type", "name", 28),
		"lists in lists in lists":      `{shipments(first:100){nodes{order{shipments(first:100){nodes{timeline(first:100){nodes{id}}}}}}}}`,
		"a length in a variable":       `query($n:Int=100){shipments(first:$n){nodes{timeline(first:$n){nodes{id}}}}}`,
		"one field many times":         "{viewer{" + strings.Repeat("__typename ", 5000) + "}}",
		"many aliases":                 "{" + strings.Repeat("a:viewer{__typename}", 21) + "}",
		"inline fragments, many times": "{viewer{" + strings.Repeat("...{__typename}", 3000) + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			status, body := f.ask(secret, query, nil)
			if took := time.Since(began); took > time.Second {
				t.Errorf("%d bytes took %v", len(query), took)
			}
			if status != http.StatusBadRequest || !strings.Contains(body, "QUERY_TOO_COSTLY") {
				t.Errorf("status %d: %.300s", status, body)
			}
		})
	}
}

// TestFrontQueries asks what pages and partners ask.
func TestFrontQueries(t *testing.T) {
	f := openFront(t)
	secret, _, _ := f.merchant("queries")
	f.seeded(secret, "Q-1", "RK123456785CN")
	names, err := filepath.Glob("testdata/queries/*.graphql")
	if err != nil || len(names) == 0 {
		t.Fatal("no queries", err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			query, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			status, body := f.ask(secret, string(query), nil)
			var answer struct {
				Errors     json.RawMessage
				Extensions struct{ Cost struct{ Requested float64 } }
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK || answer.Errors != nil {
				t.Fatalf("status %d, %v: %s", status, err, body)
			}
			t.Logf("%v points", answer.Extensions.Cost.Requested)
		})
	}
}

// TestFrontSubscription follows a shipment over a socket, leaves, comes back
// with the last cursor and misses nothing, until its key is revoked.
func TestFrontSubscription(t *testing.T) {
	f := openFront(t)
	secret, keyID, merchantID := f.merchant("follower")
	stranger, _, _ := f.merchant("stranger")
	type event struct{ Cursor, Kind, To, Reference string }
	open := func(after string) *websocket.Conn {
		t.Helper()
		conn, _, err := websocket.Dial(t.Context(), f.url+"/graphql", &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseNow() })
		write := func(v any) {
			encoded, _ := json.Marshal(v)
			if err := conn.Write(t.Context(), websocket.MessageText, encoded); err != nil {
				t.Fatal(err)
			}
		}
		write(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + secret}})
		variables := map[string]any{}
		if after != "" {
			variables["after"] = after
		}
		write(map[string]any{"type": "subscribe", "id": "1", "payload": map[string]any{
			"query": `subscription($after: String) { milestoneChanged(after: $after) { cursor kind to shipment { reference } } }`, "variables": variables}})
		if _, data, err := conn.Read(t.Context()); err != nil || string(data) != `{"type":"connection_ack"}` {
			t.Fatalf("%s, %v", data, err)
		}
		return conn
	}
	next := func(conn *websocket.Conn) (event, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, data, err := conn.Read(ctx)
		if err != nil {
			return event{}, err
		}
		var message struct {
			Type    string
			Payload struct {
				Data struct {
					MilestoneChanged struct {
						Cursor, Kind, To string
						Shipment         struct{ Reference string }
					}
				}
				Errors json.RawMessage
			}
		}
		if err := json.Unmarshal(data, &message); err != nil || message.Type != "next" || message.Payload.Errors != nil {
			t.Fatalf("%s, %v", data, err)
		}
		m := message.Payload.Data.MilestoneChanged
		return event{m.Cursor, m.Kind, m.To, m.Shipment.Reference}, nil
	}

	conn := open("")
	// The subscription begins where the log ends when it is read: wait until
	// it is under way.
	for deadline := time.Now().Add(10 * time.Second); f.server.gateway.Stats().Subs == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no subscription is under way")
		}
		time.Sleep(time.Millisecond)
	}
	f.seeded(stranger, "NOT-FOR-YOU", "RK000000005CN")
	f.seeded(secret, "S-1", "RK123456785CN")
	var last event
	for last.To != "LAST_MILE" {
		var err error
		if last, err = next(conn); err != nil {
			t.Fatal(err)
		}
		if last.Reference != "S-1" {
			t.Fatalf("%+v", last)
		}
	}
	conn.Close(websocket.StatusNormalClosure, "")

	f.seeded(secret, "S-2", "RK111111111CN") // while nobody listens
	conn = open(last.Cursor)
	for last.To = ""; last.To != "LAST_MILE"; {
		var err error
		if last, err = next(conn); err != nil {
			t.Fatal(err)
		}
		if last.Reference != "S-2" {
			t.Fatalf("after the cursor: %+v", last)
		}
	}
	if err := f.server.store.RevokeKey(t.Context(), storage.OfMerchant(merchantID), keyID, time.Now()); err != nil {
		t.Fatal(err)
	}
	// Another key of the same merchant makes the next event.
	again, _, _ := f.merchant("follower")
	f.seeded(again, "S-3", "RK222222222CN")
	got, err := next(conn)
	if websocket.CloseStatus(err) != 4411 {
		t.Errorf("after the key was revoked: %+v, %v", got, err)
	}
}
