package httpapi

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

const memoryInTests = 2000

// stopped is a limit whose clock the test sets.
func stopped(t *testing.T, perMinute int) (limit *rateLimit[int], now *time.Time) {
	t.Helper()
	limit, err := newRateLimit[int]("test", perMinute, memoryInTests)
	if err != nil {
		t.Fatal(err)
	}
	now = new(time.Time)
	*now = time.Now()
	limit.now = func() time.Time { return *now }
	return limit, now
}

// Whatever the limit, a refused client is admitted after the time that the answer gives, and not a whole second sooner.
func TestWhoWaitsComesThrough(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 3, 5, 7, 11, 59, 60, 61, 600, 1009} {
		limit, now := stopped(t, perMinute)
		for range perMinute {
			if err := limit.take(http.Header{}, 1); err != nil {
				t.Fatalf("%d a minute: %v", perMinute, err)
			}
		}
		for range 20 {
			h := http.Header{}
			if limit.take(h, 1) == nil {
				t.Fatalf("%d a minute: one more comes through", perMinute)
			}
			wait, err := strconv.Atoi(h.Get("Retry-After"))
			if want := max(1, (60+perMinute-1)/perMinute); err != nil || wait > want {
				t.Fatalf("%d a minute: Retry-After %q, want %d", perMinute, h.Get("Retry-After"), want)
			}
			*now = now.Add(time.Duration(wait) * time.Second)
			if err := limit.take(h, 1); err != nil {
				t.Fatalf("%d a minute: after %d s it is refused once more", perMinute, wait)
			}
			for range perMinute { // what came meanwhile
				_ = limit.take(http.Header{}, 1)
			}
		}
	}
}

// The headers say what is left, and when there is one more (draft-ietf-httpapi-ratelimit-headers-10).
func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	limit, now := stopped(t, 3)
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{0, `"test";r=2;t=20`}, {0, `"test";r=1;t=20`}, {5 * time.Second, `"test";r=0;t=15`}, {0, `"test";r=0;t=15`}, {15 * time.Second, `"test";r=0;t=20`}} {
		h := http.Header{}
		*now = now.Add(test.after)
		err := limit.take(h, 1)
		p := asProblem(t, err)
		if err != nil && (p.code != codeRateLimited || p.reason != "test" || p.detail != "One test may send 3 a minute.") {
			t.Errorf("%+v", p)
		}
		if h.Get(rateHeader) != test.want || h.Get(ratePolicyHeader) != `"test";q=3;w=60` || (err != nil) != (h.Get("Retry-After") != "") {
			t.Errorf("%v, %v; want %s", h, err, test.want)
		}
	}
	if none, err := newRateLimit[int]("test", 0, memoryInTests); none != nil || err != nil {
		t.Errorf("no limit: %v, %v", none, err)
	}
	running, err := newRateLimit[int]("test", 1, memoryInTests)
	if err != nil || running.take(http.Header{}, 1) != nil || codeOf(t, running.take(http.Header{}, 1)) != codeRateLimited {
		t.Errorf("with a clock that runs: %v", err)
	}
}

// Requests at once are counted one by one.
func TestRateLimitIsExact(t *testing.T) {
	t.Parallel()
	const perMinute, requests = 50, 400
	limit, _ := stopped(t, perMinute)
	var allowed atomic.Int64
	var all sync.WaitGroup
	for range requests {
		all.Go(func() {
			if limit.take(http.Header{}, 1) == nil {
				allowed.Add(1)
			}
		})
	}
	all.Wait()
	if n := allowed.Load(); n != perMinute {
		t.Errorf("%d requests were allowed, want %d", n, perMinute)
	}
}

// However many clients there are, only a fixed number is remembered; and one that comes all the
// time is not forgotten for those that come once.
func TestRateLimitIsBounded(t *testing.T) {
	t.Parallel()
	limit, _ := stopped(t, 2)
	const wild = -1
	for range 100 {
		_ = limit.take(http.Header{}, wild)
	}
	for client := range 5 * memoryInTests {
		_ = limit.take(http.Header{}, client)
		if client%100 == 0 && limit.take(http.Header{}, wild) == nil {
			t.Fatalf("after %d others the wild client was forgotten", client)
		}
	}
	buckets, ok := limit.buckets.(*otter.Cache[int, *rate.Limiter])
	if !ok {
		t.Fatalf("the buckets are in a %T", limit.buckets)
	}
	buckets.CleanUp()
	if n := buckets.EstimatedSize(); n > memoryInTests {
		t.Errorf("%d clients are remembered, at most %d may be", n, memoryInTests)
	}
}

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.7":          "203.0.113.7/32",
		"::ffff:203.0.113.7":   "203.0.113.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::9":      "2001:db8:1:2::/64",
		"2001:db8:1:3::9":      "2001:db8:1:3::/64",
		"0.0.0.0":              "0.0.0.0/32",
	} {
		if got := networkOf(netip.MustParseAddr(address)); got.String() != want || got != (netip.Prefix{}) && got.Masked() != got {
			t.Errorf("%q is %v, want %s", address, got, want)
		}
	}
}
