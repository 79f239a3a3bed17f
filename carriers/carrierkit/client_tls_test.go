package carrierkit_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/carriers/carrierkit"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// certificate makes one that signs itself, for a name or an address, and the
// pool of those who trust it.
func certificate(t *testing.T, from, until time.Time, dns string, ip net.IP) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "carrier"}, NotBefore: from, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if dns != "" {
		form.DNSNames = []string{dns}
	}
	if ip != nil {
		form.IPAddresses = []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// door is a carrier's server that counts who comes in.
type door struct {
	*httptest.Server
	calls atomic.Int32
}

func opened(t *testing.T, secure *tls.Certificate, answer http.HandlerFunc) *door {
	t.Helper()
	d := &door{}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.calls.Add(1)
		answer(w, r)
	}))
	d.Config.ErrorLog = log.New(io.Discard, "", 0) // broken handshakes are the point
	if secure != nil {
		d.TLS = &tls.Config{Certificates: []tls.Certificate{*secure}}
		d.StartTLS()
	} else {
		d.Start()
	}
	t.Cleanup(d.Close)
	return d
}

// caller is a client as an adapter has it, and what it logs. A nil pool trusts
// whom the machine trusts.
func caller(t *testing.T, pool *x509.CertPool, opts carrierkit.Options) (*carrierkit.Client, *bytes.Buffer) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	var logged bytes.Buffer
	return carrierkit.NewClient(carriers.Env{HTTP: &http.Client{Transport: transport}, Wall: clock.Wall(),
		Log: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))}, opts), &logged
}

// secretly asks a server with a key wherever a key can stand. A POST is sent
// once.
func secretly(base string) func() (*http.Request, error) {
	return func() (*http.Request, error) {
		req, err := http.NewRequest(http.MethodPost, base+"/track/SECRETKEY?key=SECRETKEY", strings.NewReader("SECRETKEY"))
		if err == nil {
			req.Header.Set("Authorization", "Bearer SECRETKEY")
		}
		return req, err
	}
}

// quiet fails the test where an error or a log shows a key.
func quiet(t *testing.T, err error, logged *bytes.Buffer) {
	t.Helper()
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "SECRETKEY") || strings.Contains(logged.String(), "SECRETKEY") {
		t.Errorf("shows the key: %v\n%s", err, logged)
	}
}

func fine(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true}`)
}

// TestCertificates: no call is made over a connection that cannot be trusted.
func TestCertificates(t *testing.T) {
	today := clock.Wall().Now()
	loopback := net.IPv4(127, 0, 0, 1)
	for _, tt := range []struct {
		name        string
		from, until time.Duration
		dns         string
		ip          net.IP
		stranger    bool // nobody trusts who signed it
		words       string
	}{
		{"in order", -time.Hour, time.Hour, "", loopback, false, ""},
		{"expired", -48 * time.Hour, -time.Minute, "", loopback, false, "expired"},
		{"not yet valid", time.Hour, 48 * time.Hour, "", loopback, false, "not yet valid"},
		{"of another address", -time.Hour, time.Hour, "", net.IPv4(127, 0, 0, 9), false, "127.0.0.1"},
		{"of a name", -time.Hour, time.Hour, "carrier.example", nil, false, "127.0.0.1"},
		{"signed by nobody known", -time.Hour, time.Hour, "", loopback, true, "unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cert, pool := certificate(t, today.Add(tt.from), today.Add(tt.until), tt.dns, tt.ip)
			if tt.stranger {
				pool = x509.NewCertPool()
			}
			d := opened(t, &cert, fine)
			c, logged := caller(t, pool, carrierkit.Options{})
			resp, err := c.Do(t.Context(), secretly(d.URL))
			quiet(t, err, logged)
			if tt.words == "" {
				if err != nil || string(resp.Body) != `{"ok":true}` {
					t.Errorf("%v", err)
				}
				return
			}
			if !errors.Is(err, parcel.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), tt.words) {
				t.Errorf("got %v, want ErrUnavailable with %q", err, tt.words)
			}
			if n := d.calls.Load(); n != 0 {
				t.Errorf("%d requests were sent all the same", n)
			}
		})
	}
}

// TestPlainAnswerToTLS: a server that does not speak TLS, and one that speaks
// nothing else, are told as unreachable.
func TestPlainAnswerToTLS(t *testing.T) {
	plain := opened(t, nil, fine)
	c, logged := caller(t, nil, carrierkit.Options{})
	_, err := c.Do(t.Context(), secretly(strings.Replace(plain.URL, "http:", "https:", 1)))
	quiet(t, err, logged)
	if !errors.Is(err, parcel.ErrUnavailable) || plain.calls.Load() != 0 {
		t.Errorf("%d calls, %v", plain.calls.Load(), err)
	}
}

// TestRedirects follows to the host that the credentials were given for, by the
// same scheme and port, and nowhere else.
func TestRedirects(t *testing.T) {
	today := clock.Wall().Now()
	cert, pool := certificate(t, today.Add(-time.Hour), today.Add(time.Hour), "localhost", net.IPv4(127, 0, 0, 1))
	other, otherPlain := opened(t, &cert, fine), opened(t, nil, fine)
	var d *door
	for _, tt := range []struct {
		name     string
		to       func() string
		followed bool
	}{
		{"same host, another path", func() string { return "/v2/track" }, true},
		{"same host, written out", func() string { return d.URL + "/v2/track" }, true},
		{"another port", func() string { return other.URL + "/v2/track" }, false},
		{"another scheme and port", func() string { return otherPlain.URL + "/v2/track" }, false},
		{"another scheme, same port", func() string { return strings.Replace(d.URL, "https:", "http:", 1) + "/v2/track" }, false},
		{"another name of the same address", func() string { return strings.Replace(d.URL, "127.0.0.1", "localhost", 1) + "/v2/track" }, false},
		{"another host without a scheme", func() string { return strings.TrimPrefix(other.URL, "https:") + "/v2/track" }, false},
		{"no address at all", func() string { return "://" }, false},
		{"a file of this machine", func() string { return "file:///etc/hostname" }, false},
	} {
		for _, status := range []int{http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
			t.Run(fmt.Sprintf("%s/%d", tt.name, status), func(t *testing.T) {
				var key atomic.Value
				d = opened(t, &cert, func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/v2/") {
						key.Store(r.Header.Get("Authorization"))
						fine(w, r)
						return
					}
					w.Header().Set("Location", tt.to())
					w.WriteHeader(status)
				})
				c, logged := caller(t, pool, carrierkit.Options{})
				before := other.calls.Load() + otherPlain.calls.Load()
				resp, err := c.Do(t.Context(), secretly(d.URL))
				quiet(t, err, logged)
				if tt.followed {
					if err != nil || string(resp.Body) != `{"ok":true}` || key.Load() != "Bearer SECRETKEY" {
						t.Errorf("%v, with the key %v", err, key.Load())
					}
					return
				}
				if !errors.Is(err, parcel.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
				if n := other.calls.Load() + otherPlain.calls.Load() - before; n != 0 || d.calls.Load() != 1 {
					t.Errorf("%d calls elsewhere, %d here", n, d.calls.Load())
				}
			})
		}
	}
}

// TestAddressesInAnswersAreNotAsked: whatever an answer names is data.
func TestAddressesInAnswersAreNotAsked(t *testing.T) {
	other := opened(t, nil, fine)
	for _, status := range []int{http.StatusOK, http.StatusAccepted, http.StatusMultipleChoices, http.StatusNotModified, http.StatusUseProxy, http.StatusBadRequest, http.StatusUnauthorized} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			d := opened(t, nil, func(w http.ResponseWriter, r *http.Request) {
				h := w.Header()
				h.Set("Content-Type", "application/json")
				h.Set("Link", "<"+other.URL+`/next>; rel="next"`)
				h.Set("Refresh", "0; url="+other.URL)
				h.Set("Content-Location", other.URL)
				h.Set("Alt-Svc", `h2="`+strings.TrimPrefix(other.URL, "http://")+`"`)
				if status != http.StatusMultipleChoices { // there a Location is a redirect by another name
					h.Set("Location", other.URL)
				}
				w.WriteHeader(status)
				if status != http.StatusNotModified {
					_, _ = fmt.Fprintf(w, `{"next":%q,"@odata.nextLink":%q,"href":%q,"$schema":%q}`, other.URL, other.URL, other.URL, other.URL)
				}
			})
			c, logged := caller(t, nil, carrierkit.Options{})
			for range 2 { // a promise kept for the second call counts too
				_, err := c.Do(t.Context(), secretly(d.URL))
				quiet(t, err, logged)
				if (err == nil) != (status < 300) {
					t.Errorf("%v", err)
				}
			}
			if n := other.calls.Load(); n != 0 || d.calls.Load() != 2 {
				t.Errorf("%d calls to the address named, %d to the carrier", n, d.calls.Load())
			}
		})
	}
}

// TestBodiesThatAreTooMuch: an answer is read to its bound and no further,
// however little of it came over the wire.
func TestBodiesThatAreTooMuch(t *testing.T) {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	if _, err := z.Write(make([]byte, carrierkit.MaxBody)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const bomb = 64 // members: a gigabyte, in a megabyte
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		fits   bool
	}{
		{"exactly the bound, compressed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(member.Bytes())
		}, true},
		{"longer, as announced", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(carrierkit.MaxBody+1))
			for range carrierkit.MaxBody / len(piece) {
				_, _ = w.Write(piece)
			}
			_, _ = w.Write(piece[:1])
		}, false},
		{"without an end", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}, false},
		{"a compressed bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			for range bomb {
				if _, err := w.Write(member.Bytes()); err != nil {
					return
				}
			}
		}, false},
		{"a compressed bomb as an error", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusBadRequest)
			for range bomb {
				if _, err := w.Write(member.Bytes()); err != nil {
					return
				}
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := opened(t, nil, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				tt.answer(w, r)
			})
			c, logged := caller(t, nil, carrierkit.Options{RetryPOST: true})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := c.Do(t.Context(), secretly(d.URL))
			runtime.ReadMemStats(&after)
			quiet(t, err, logged)
			if tt.fits {
				if err != nil || len(resp.Body) != carrierkit.MaxBody {
					t.Errorf("%v", err)
				}
			} else if !errors.Is(err, parcel.ErrMalformed) || !strings.Contains(err.Error(), "16 MiB") {
				t.Errorf("got %v, want ErrMalformed with the bound", err)
			}
			// Both sides of the wire, and a buffer that grows by doubling.
			if took := after.TotalAlloc - before.TotalAlloc; took > 12*carrierkit.MaxBody {
				t.Errorf("%d MiB were allocated", took>>20)
			}
			if n := d.calls.Load(); n != 1 {
				t.Errorf("asked %d times for what is too much", n)
			}
		})
	}
	for name, body := range map[string]string{"not compressed at all": "{}", "cut off": member.String()[:member.Len()/2]} {
		t.Run("said to be compressed, and "+name, func(t *testing.T) {
			d := opened(t, nil, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = io.WriteString(w, body)
			})
			c, logged := caller(t, nil, carrierkit.Options{})
			_, err := c.Do(t.Context(), secretly(d.URL))
			quiet(t, err, logged)
			if !errors.Is(err, parcel.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		})
	}
}

// TestSlowAnswers: time is bounded from the first byte to the last, and the
// caller's own end comes first.
func TestSlowAnswers(t *testing.T) {
	trickle := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			_ = clock.Wall().Sleep(r.Context(), 5*time.Millisecond)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"byte by byte": trickle,
		"a head and no more": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"nothing": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"an error, and slow": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			trickle(w, r)
		},
		"a redirect to itself, slowly": func(w http.ResponseWriter, r *http.Request) {
			_ = clock.Wall().Sleep(r.Context(), 60*time.Millisecond)
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := opened(t, nil, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // or the end of the connection is not noticed
				answer(w, r)
			})
			c, logged := caller(t, nil, carrierkit.Options{Timeout: 100 * time.Millisecond})
			began := clock.Wall().Now()
			_, err := c.Do(t.Context(), secretly(d.URL))
			quiet(t, err, logged)
			if !errors.Is(err, parcel.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), "no answer within 100ms") {
				t.Errorf("got %v, want ErrUnavailable with the time", err)
			}
			if took := clock.Wall().Now().Sub(began); took > 5*time.Second {
				t.Errorf("held up for %s", took)
			}

			patient, _ := caller(t, nil, carrierkit.Options{Timeout: time.Minute})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := patient.Do(ctx, secretly(d.URL)); name != "a redirect to itself, slowly" && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the caller's end: %v", err)
			}
		})
	}
}
