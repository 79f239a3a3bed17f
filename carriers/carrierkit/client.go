package carrierkit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/milepost-gateway/milepost/carriers"
	"github.com/milepost-gateway/milepost/internal/clock"
	"github.com/milepost-gateway/milepost/parcel"
)

// What the client holds to, whatever the carrier.
const (
	// MaxBody bounds an answer, after decompression.
	MaxBody = 16 << 20

	defaultTimeout = 10 * time.Second
	tries          = 3
	firstBackoff   = 250 * time.Millisecond
	maxBackoff     = 4 * time.Second
	maxRedirects   = 3
	// maxServerWait is the longest wait that a carrier may ask for and that a
	// call still sits out; a longer one is the planner's business.
	maxServerWait = 5 * time.Second
	// maxErrorBody bounds what a StatusError keeps of an answer.
	maxErrorBody = 64 << 10
)

// Options shape a Client. The zero value suits a carrier with no published
// limit that is asked by GET.
type Options struct {
	// Quota paces calls, retries included. Zero is unlimited.
	Quota carriers.Quota
	// Timeout bounds one try; 0 gives 10 s.
	Timeout time.Duration
	// RetryPOST says that this carrier's POST calls only read, so that one may
	// be sent again. GET and HEAD always may.
	RetryPOST bool
	// AnyContent lets web pages through. Otherwise an HTML answer is taken for
	// what it is, a proxy's or a firewall's page: ErrUnavailable.
	AnyContent bool
}

// Client calls one carrier for one account: it paces by the quota, bounds
// time and size, retries what may be retried, and stops calling a carrier
// that keeps failing. Errors and logs name method and host, never path or
// query: keys travel there. It is safe for concurrent use.
type Client struct {
	http    *http.Client // nil: every call fails
	wall    carriers.Clock
	log     *slog.Logger
	opts    Options
	pacer   *pacer
	gate    carriers.Gate // nil: the pacer alone holds to the quota
	breaker breaker
}

// NewClient makes the client of an account. It does no I/O.
func NewClient(env carriers.Env, opts Options) *Client {
	opts.Timeout = cmp.Or(opts.Timeout, defaultTimeout)
	c := &Client{wall: env.Wall, log: env.Log, opts: opts}
	if c.wall == nil {
		c.wall = clock.Wall()
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if env.HTTP != nil {
		guarded := *env.HTTP
		guarded.CheckRedirect = sameHost
		// The time-out is this client's: one of the shared client's would cut
		// tries short without a word why.
		guarded.Timeout = 0
		c.http = &guarded
	}
	if c.gate = env.Gate; c.gate != nil {
		c.pacer = newPacer(carriers.Quota{})
	} else {
		c.pacer = newPacer(opts.Quota)
	}
	return c
}

// Response is an answer with status 2xx, read to its end.
type Response struct {
	Status      int
	Header      http.Header
	ContentType string
	Body        []byte
}

// StatusError is an answer with another status. It unwraps to the kind:
// ErrDenied for 401 and 403, *parcel.Throttled for 429, ErrUnavailable for
// 5xx, 408, 3xx, 404 and 410, ErrMalformed for the other 4xx. Where 404 or 400
// is how a carrier says that it does not know a number, the adapter looks at
// Status and Body and makes a payload of them.
type StatusError struct {
	Status int
	Header http.Header
	// Body is at most 64 KiB of the answer.
	Body []byte
	kind error
}

// Error names the status alone: bodies may hold what was asked.
func (e *StatusError) Error() string {
	return fmt.Sprintf("status %d: %v", e.Status, e.kind)
}

// Unwrap gives the kind.
func (e *StatusError) Unwrap() error { return e.kind }

// Do makes a call. The request is built anew for each try, so that bodies can
// be read again and signatures carry the time of their sending; an error of
// build is returned as it is. The context bounds all tries and waits together.
//
// An answer of status 2xx comes back as a Response, any other as a
// *StatusError. Other errors are of kind parcel.ErrUnavailable (no answer, a
// web page, a carrier at rest after failures), parcel.ErrThrottled (the quota
// is used up, or the carrier said when to come again), parcel.ErrMalformed (an
// answer beyond MaxBody), carriers.ErrNoAccount, or the context's own.
func (c *Client) Do(ctx context.Context, build func() (*http.Request, error)) (*Response, error) {
	if c.http == nil {
		return nil, carriers.ErrNoAccount
	}
	for try := 1; ; try++ {
		resp, again, err := c.try(ctx, build)
		if err == nil || !again || try == tries {
			return resp, err
		}
		wait := backoff(try)
		if asked := c.pacer.barred(c.wall.Now()); asked > wait {
			wait = asked
		}
		if wait > maxServerWait || !enough(ctx, wait) {
			return nil, err
		}
		if sleepErr := c.wall.Sleep(ctx, wait); sleepErr != nil {
			return nil, err
		}
	}
}

// try makes one call; again tells whether another may help.
func (c *Client) try(ctx context.Context, build func() (*http.Request, error)) (resp *Response, again bool, err error) {
	permit, ok := c.breaker.enter(c.wall.Now())
	if !ok {
		return nil, false, carriers.ErrResting
	}
	req, err := c.turn(ctx, build)
	if err != nil {
		permit.leave(neither, c.wall.Now())
		return nil, false, err
	}
	started := c.wall.Now()
	resp, verdict, err := c.send(ctx, req)
	opened, closed := permit.leave(verdict, c.wall.Now())
	if c.gate != nil && opened {
		c.gate.Rest(c.wall.Now().Add(breakerRest))
	} else if c.gate != nil && closed {
		c.gate.Rest(time.Time{})
	}
	if opened && !permit.trial {
		c.log.WarnContext(ctx, "carrier keeps failing, calls rest", "host", req.URL.Host, "rest", breakerRest, "error", err)
	}
	attrs := []any{"method", cmp.Or(req.Method, http.MethodGet), "host", req.URL.Host, "took", c.wall.Now().Sub(started)}
	if err != nil {
		c.log.DebugContext(ctx, "carrier call failed", append(attrs, "error", err)...)
		again = verdict == failed && c.repeatable(req) && !errors.Is(err, errPage) && !errors.Is(err, parcel.ErrMalformed)
		return nil, again, err
	}
	c.log.DebugContext(ctx, "carrier call", append(attrs, "status", resp.Status, "bytes", len(resp.Body))...)
	return resp, false, nil
}

// turn waits for the quota's leave and then builds the request.
func (c *Client) turn(ctx context.Context, build func() (*http.Request, error)) (*http.Request, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wait, ok := c.pacer.reserve(c.wall.Now(), longestWait(ctx))
	if !ok {
		return nil, &parcel.Throttled{RetryAfter: wait}
	}
	if c.gate != nil {
		if err := c.gate.Enter(ctx, c.opts.Quota); err != nil {
			return nil, err
		}
	}
	if err := c.wall.Sleep(ctx, wait); err != nil {
		return nil, err
	}
	return build()
}

// repeatable tells whether sending a request twice does no more than once.
func (c *Client) repeatable(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
		return true
	default:
		return req.Method == http.MethodPost && c.opts.RetryPOST
	}
}

func (c *Client) send(ctx context.Context, req *http.Request) (*Response, verdict, error) {
	tryCtx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	host := req.URL.Host
	answer, err := c.http.Do(req.WithContext(tryCtx))
	if err != nil {
		return c.noAnswer(ctx, tryCtx, host, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	if err != nil {
		return c.noAnswer(ctx, tryCtx, host, err)
	}
	if len(body) > MaxBody {
		return nil, failed, fmt.Errorf("%s: answer of more than %d MiB: %w", host, MaxBody>>20, parcel.ErrMalformed)
	}
	resp := &Response{Status: answer.StatusCode, Header: answer.Header, ContentType: answer.Header.Get("Content-Type"), Body: body}
	return c.judge(resp, host)
}

// judge reads the status of an answer.
func (c *Client) judge(r *Response, host string) (*Response, verdict, error) {
	page := !c.opts.AnyContent && IsHTML(r.ContentType, r.Body)
	refuse := func(v verdict, kind error) (*Response, verdict, error) {
		body := r.Body[:min(len(r.Body), maxErrorBody)]
		return nil, v, fmt.Errorf("%s: %w", host, &StatusError{Status: r.Status, Header: r.Header, Body: bytes.Clone(body), kind: kind})
	}
	retryAfter := retryAfter(r.Header, c.wall.Now())
	switch {
	case r.Status == http.StatusTooManyRequests:
		c.pacer.bar(c.wall.Now(), retryAfter)
		if c.gate != nil {
			c.gate.Bar(retryAfter)
		}
		return refuse(neither, &parcel.Throttled{RetryAfter: retryAfter})
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden && !page:
		return refuse(neither, parcel.ErrDenied)
	case r.Status >= 500, r.Status == http.StatusRequestTimeout:
		c.pacer.bar(c.wall.Now(), retryAfter)
		if c.gate != nil && retryAfter > 0 {
			c.gate.Bar(retryAfter)
		}
		return refuse(failed, parcel.ErrUnavailable)
	case page:
		return nil, failed, fmt.Errorf("%s: status %d: %w: %w", host, r.Status, errPage, parcel.ErrUnavailable)
	case r.Status == http.StatusNotFound, r.Status == http.StatusGone:
		return refuse(worked, parcel.ErrUnavailable)
	case r.Status >= 400:
		return refuse(worked, parcel.ErrMalformed)
	case r.Status >= 300, r.Status < 200:
		return refuse(neither, parcel.ErrUnavailable)
	}
	return r, worked, nil
}

// noAnswer words a call that brought none.
func (c *Client) noAnswer(ctx, tryCtx context.Context, host string, err error) (*Response, verdict, error) {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return nil, neither, fmt.Errorf("%s: %w", host, ctxErr)
	}
	if errors.Is(err, errRedirect) {
		return nil, neither, fmt.Errorf("%s: %w: %w", host, errRedirect, parcel.ErrUnavailable)
	}
	if tryCtx.Err() != nil {
		return nil, failed, fmt.Errorf("%s: no answer within %s: %w", host, c.opts.Timeout, parcel.ErrUnavailable)
	}
	// A url.Error prints the whole address, keys included; what it wraps does not.
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err
	}
	return nil, failed, fmt.Errorf("%s: %v: %w", host, err, parcel.ErrUnavailable)
}

// errPage is an answer that a proxy, a firewall or a sleeping site gave in the
// carrier's stead. Asking again at once makes firewalls angrier.
var errPage = errors.New("web page instead of data")

// errRedirect is a redirect that is not followed: credentials go to the host
// they were given for and to no other.
var errRedirect = errors.New("redirect to another host refused")

func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme || len(via) > maxRedirects {
		return errRedirect
	}
	return nil
}

// backoff is the wait after a try: doubling, and at random within its second
// half so that askers who failed together do not come back together.
func backoff(try int) time.Duration {
	d := min(firstBackoff<<(try-1), maxBackoff)
	return d/2 + rand.N(d/2+1)
}

// enough tells whether a wait leaves the context time to act. Contexts end by
// the machine's clock whatever clock the client runs on.
func enough(ctx context.Context, wait time.Duration) bool {
	return wait < longestWait(ctx)
}

// longestWait is how long a call may wait for its turn.
func longestWait(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return maxPaceWait
	}
	return max(0, min(maxPaceWait, clock.Until(clock.Wall(), deadline)))
}

// retryAfter reads the header in both its forms (RFC 9110, 10.2.3); 0 if it
// says nothing or nonsense.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(v); err == nil {
		return min(max(time.Duration(seconds), 0)*time.Second, maxBar)
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxBar)
	}
	return 0
}
