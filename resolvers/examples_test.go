package resolvers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/milepost-gateway/milepost/gateway"
	"github.com/milepost-gateway/milepost/graph"
	"github.com/milepost-gateway/milepost/parcel"
)

// oneKey is a key store with one key in it.
type oneKey struct {
	hash []byte
	key  gateway.Key
}

func (k oneKey) KeyByHash(_ context.Context, hash []byte) (gateway.Key, error) {
	if !bytes.Equal(hash, k.hash) {
		return gateway.Key{}, parcel.ErrNotFound
	}
	return k.key, nil
}

func (oneKey) TouchKey(context.Context, string, time.Time) error { return nil }

// Every example answers in full, through the front door and within its limits.
func TestExamples(t *testing.T) {
	w := newWorld(t)
	v := w.merchant("lantern")
	for n := range 60 {
		w.put(v, n, n%23)
	}
	w.register(v, "A", "BR1000")
	w.report(v, "BR1000", parcel.CodePickedUp, parcel.CodeDelivered)
	w.register(v, "B", "BR2000", parcel.DeclaredLeg{Carrier: "cainiao", Number: "LP2000"})
	w.reportOf(v, key("cainiao", "LP2000"), parcel.CodePickedUp, parcel.CodeOriginCountryDeparted)
	w.report(v, "BR2000", parcel.CodeDeliveryOfficeArrived)
	secret, _, hash := gateway.NewKey()
	scopes := make([]string, 0, len(v.Scopes))
	for _, s := range v.Scopes {
		scopes = append(scopes, string(s))
	}
	door, err := gateway.New(gateway.Options{Schema: w.r.Schema(), Loaders: w.r.WithLoaders, Keys: oneKey{hash, gateway.Key{ID: "K", MerchantID: v.MerchantID, Scopes: scopes}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := door.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	files, err := filepath.Glob("../examples/*.graphql")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		document, errs := gqlparser.LoadQueryWithRules(w.r.Schema().Schema(), string(source), nil)
		if errs != nil {
			t.Errorf("%s: %v", file, errs)
			continue
		}
		for _, op := range document.Operations {
			t.Run(filepath.Base(file)+" "+op.Name, func(t *testing.T) {
				if op.Operation == ast.Subscription {
					w.runStream(t, v, string(source), op.Name)
					return
				}
				body, err := json.Marshal(map[string]any{"query": string(source), "operationName": op.Name})
				if err != nil {
					t.Fatal(err)
				}
				r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+secret)
				rec := httptest.NewRecorder()
				door.Handler().ServeHTTP(rec, r)
				var got struct {
					Data       map[string]json.RawMessage
					Errors     []any
					Extensions struct{ Cost struct{ Requested float64 } }
				}
				if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
					t.Fatalf("%v: %.500s", err, rec.Body)
				}
				if rec.Code != http.StatusOK || len(got.Errors) > 0 || len(got.Data) == 0 {
					t.Fatalf("status %d: %.1000s", rec.Code, rec.Body)
				}
				for name, value := range got.Data {
					if string(value) == "null" || strings.Contains(string(value), `"nodes":[]`) && !strings.Contains(string(value), `"nodes":[{`) {
						t.Errorf("%s is empty: %.300s", name, value)
					}
				}
				t.Logf("%v points, %d bytes", got.Extensions.Cost.Requested, rec.Body.Len())
			})
		}
	}
}

// runStream reads the first message of an example's subscription.
func (w *world) runStream(t *testing.T, v graph.Viewer, source, name string) {
	t.Helper()
	s := w.followNamed(v, source, name)
	s.t = t
	w.put(v, 1000, 12)
	r := s.next()
	if r == nil || len(r.Errors) > 0 || !strings.Contains(string(r.Data), `"reference":"R-001000"`) {
		t.Fatalf("%+v", r)
	}
	s.stop()
	for s.next() != nil { // the end of the stream
	}
	t.Logf("%d bytes", len(r.Data))
}
