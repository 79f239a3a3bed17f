package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/milepost-gateway/milepost/parcel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// keyring is a KeyStore in memory.
type keyring struct {
	mu      sync.Mutex
	keys    map[string]Key // by hash
	asked   int
	touched []string
	err     error
}

func (k *keyring) KeyByHash(_ context.Context, hash []byte) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if k.err != nil {
		return Key{}, k.err
	}
	key, ok := k.keys[string(hash)]
	if !ok {
		return Key{}, fmt.Errorf("key: %w", parcel.ErrNotFound)
	}
	return key, nil
}

func (k *keyring) TouchKey(_ context.Context, id string, _ time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.touched = append(k.touched, id)
	return nil
}

// add puts a key in and returns its secret.
func (k *keyring) add(key Key) string {
	secret, _, hash := NewKey()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[string]Key{}
	}
	k.keys[string(hash)] = key
	return secret
}

func (k *keyring) change(secret string, change func(*Key)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := k.keys[string(HashKey(secret))]
	change(&key)
	k.keys[string(HashKey(secret))] = key
}

// testGateway is a gateway on a real server.
type testGateway struct {
	*Gateway
	t      *testing.T
	url    string
	schema *testSchema
	keys   *keyring
	secret string // of a merchant's key that may introspect
	log    *bytes.Buffer
	peers  []*peer
}

func start(t *testing.T, change func(*Options)) *testGateway {
	t.Helper()
	tg := &testGateway{t: t, schema: newTestSchema(), keys: &keyring{}, log: &bytes.Buffer{}}
	tg.secret = tg.keys.add(Key{ID: "K1", MerchantID: "M1", Scopes: []string{"SHIPMENTS_READ", "introspect"}, Locale: "de"})
	o := Options{
		Schema: tg.schema, Keys: tg.keys, DrainTime: time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: tg.log}, nil)),
		Loaders: func(ctx context.Context) context.Context {
			return context.WithValue(ctx, loaderKey{}, "loaders are here")
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if tg.Gateway, err = New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(tg.Handler())
	server.Config = tg.NewServer(tg.Handler())
	server.Start()
	tg.url = server.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tg.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return tg
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is the code of the first error, "" if there is none.
func (a answer) code() string {
	var body struct {
		Errors []struct {
			Extensions struct{ Code string }
		}
	}
	if json.Unmarshal([]byte(a.body), &body) != nil || len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Extensions.Code
}

func (tg *testGateway) do(r *http.Request) answer {
	tg.t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		tg.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tg.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// request makes a request with headers given as "Name: value"; one of ""
// removes a default.
func (tg *testGateway) request(method, path, body string, headers ...string) *http.Request {
	tg.t.Helper()
	r, err := http.NewRequest(method, tg.url+path, strings.NewReader(body))
	if err != nil {
		tg.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+tg.secret)
	r.Header.Set("Accept", mediaResponse)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		if value = strings.TrimSpace(value); value == "" {
			r.Header.Del(name)
		} else {
			r.Header.Set(name, value)
		}
	}
	return r
}

// ask posts a query.
func (tg *testGateway) ask(query string, variables map[string]any, headers ...string) answer {
	tg.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		tg.t.Fatal(err)
	}
	return tg.do(tg.request(http.MethodPost, "/graphql", string(body), headers...))
}

// until polls a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
