package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

// The public listener has two limits of the same kind: per client address, and per
// session. The remaining requests are in the headers of each response
// (draft-ietf-httpapi-ratelimit-headers-10). A request above a limit costs the
// database nothing, and its refusal reveals nothing about its token.

const (
	rateWindow = time.Minute

	// rateMemory is how many clients a limit remembers: some 30 MB. If there are
	// more, the least frequent ones start over.
	rateMemory = 1 << 17

	ratePolicyHeader = "RateLimit-Policy"
	rateHeader       = "RateLimit"
)

// rateLimit lets each client send a number of requests per minute: that many at once,
// and then one whenever its share of the minute has passed. So a refused client only
// has to wait for that share, and a refresh gets through while its token is still
// valid.
type rateLimit[K comparable] struct {
	name      string // of the policy
	perMinute int
	share     time.Duration
	now       func() time.Time
	// buckets are those of recent clients: any other's is full. They are in otter, behind an interface so that no package which
	// imports this one compiles it again.
	buckets interface {
		ComputeIfAbsent(client K, full func() (*rate.Limiter, bool)) (*rate.Limiter, bool)
	}
	full func() (*rate.Limiter, bool)
}

// newRateLimit returns nil for no limit.
func newRateLimit[K comparable](name string, perMinute, memory int) (*rateLimit[K], error) {
	if perMinute == 0 {
		return nil, nil
	}
	// It does not expire entries by age, which would need a goroutine.
	buckets, err := otter.New(&otter.Options[K, *rate.Limiter]{MaximumSize: memory})
	if err != nil {
		return nil, fmt.Errorf("httpapi: memory of the rate limit: %w", err)
	}
	share := rateWindow / time.Duration(perMinute)
	full := func() (*rate.Limiter, bool) { return rate.NewLimiter(rate.Every(share), perMinute), false }
	return &rateLimit[K]{name, perMinute, share, time.Now, buckets, full}, nil
}

// take counts a request of a client, and sets the headers. It fails with a problem
// if the request exceeds the limit.
func (l *rateLimit[K]) take(h http.Header, client K) error {
	bucket, _ := l.buckets.ComputeIfAbsent(client, l.full)
	now := l.now()
	allowed := bucket.AllowN(now, 1)
	tokens := max(0, bucket.TokensAt(now))
	left := math.Floor(tokens)
	wait := strconv.Itoa(max(1, int(math.Ceil((left+1-tokens)*l.share.Seconds()))))

	name := strconv.Quote(l.name)
	h.Add(ratePolicyHeader, name+";q="+strconv.Itoa(l.perMinute)+";w="+strconv.Itoa(int(rateWindow.Seconds())))
	h.Add(rateHeader, name+";r="+strconv.Itoa(int(left))+";t="+wait)
	if allowed {
		return nil
	}
	h.Set("Retry-After", wait)
	return &problem{
		code: codeRateLimited, reason: l.name,
		detail: fmt.Sprintf("One %s may send %d a minute.", l.name, l.perMinute),
	}
}

// limitAddresses limits the requests of each client address.
func limitAddresses(limit *rateLimit[netip.Prefix]) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return respond(func(w http.ResponseWriter, r *http.Request) error {
			// Clients with unknown addresses are not one client: they are not counted. Nor is a
			// load balancer that checks whether the process is alive.
			if ip := infoOf(r).address; ip.IsValid() && r.URL.Path != livenessPath {
				if err := limit.take(w.Header(), networkOf(ip)); err != nil {
					return err
				}
			}
			next.ServeHTTP(w, r)
			return nil
		})
	}
}

// networkOf is a client's address or, for IPv6, its network of /64, which has more
// addresses than anyone can count.
func networkOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	network, _ := ip.Prefix(min(ip.BitLen(), 64)) // no address has any other length
	return network
}
