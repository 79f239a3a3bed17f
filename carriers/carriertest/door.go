package carriertest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/milepost-gateway/milepost/carriers"
)

// doorURL is the only address that the exam's client reaches.
const (
	doorHost = "carrier.test"
	doorURL  = "http://" + doorHost
)

// door is the exam's network: one host, the adapter's own fake, without a
// socket. Whoever calls another host is remembered.
type door struct {
	fake http.Handler

	mu sync.Mutex
	// weather, if set, answers in the fake's place; next asks the fake.
	weather func(req *http.Request, next http.RoundTripper) (*http.Response, error)
	calls   int
	strayed []string
}

// errElsewhere is what a call to any other host meets.
var errElsewhere = errors.New("the exam has no network")

func newDoor(f carriers.Fake) *door { return &door{fake: f.Handler()} }

func (d *door) client() *http.Client { return &http.Client{Transport: d} }

// RoundTrip implements http.RoundTripper.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err // as a real transport: nothing goes out
	}
	if req.URL.Host != doorHost {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.strayed = append(d.strayed, req.URL.Host)
		return nil, errElsewhere
	}
	d.mu.Lock()
	d.calls++
	weather := d.weather
	d.mu.Unlock()
	if weather != nil {
		return weather(req, fakeDoor{d.fake})
	}
	return fakeDoor{d.fake}.RoundTrip(req)
}

func (d *door) setWeather(w func(*http.Request, http.RoundTripper) (*http.Response, error)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.weather, d.calls = w, 0
}

func (d *door) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

func (d *door) elsewhere() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.strayed
}

// fakeDoor carries a request to a handler as a server would see it.
type fakeDoor struct{ handler http.Handler }

func (f fakeDoor) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.Host = req.URL.Host
	in.RemoteAddr = "192.0.2.1:1234"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	_ = in.Body.Close()
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.URL.Scheme, in.URL.Host = "", ""
	rec := httptest.NewRecorder()
	f.handler.ServeHTTP(rec, in)
	resp := rec.Result()
	resp.Request = req
	return resp, nil
}

// answer makes a response of the weather's own.
func answer(req *http.Request, status int, contentType, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {contentType}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewBufferString(body)), ContentLength: int64(len(body)), Request: req,
	}
}
