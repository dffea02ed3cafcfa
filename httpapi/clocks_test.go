package httpapi_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// A replica whose clock is wrong passes on the database's time, and checks proofs by
// it.
func TestWrongClockOfAReplica(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-24 * time.Hour, 20 * time.Minute} {
		pool := testdb.Pool(t)
		wrong := func(c *verifier.Config) {
			c.Now = func() verifier.Moment {
				m := verifier.Now()
				m.Wall = m.Wall.Add(off)
				return m
			}
		}
		var replica *verifier.Verifier
		s := setupOn(t, pool, func(_ *httpapi.Config, storeCfg *sessionstore.Config) {
			storeCfg.Tokens.Now = func() time.Time { return time.Now().Add(off) }
		}, withBound(t, pool, feedBound, wrong), func(cfg *httpapi.Config, _ *sessionstore.Config) { replica = cfg.Verifier })
		d := newDevice(t)
		session := s.createBound(t, d)
		refresh := func() response {
			return s.refreshWith(t, session.refresh, header("DPoP", d.Proof(t, "POST", testIssuer+"/oauth2/token", "", "")))
		}
		refresh().wantProblem(t, 400, "use_dpop_nonce") // the time is not known yet

		var cfg verifier.Config
		wrong(&cfg)
		v, err := s.store.Verifier(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.internal(t, "GET", "/readyz").want(t, 200) // which reads the database's time
		clock, known := v.Clock()
		if !known || (clock.Offset-off).Abs() > clock.Uncertainty+time.Second {
			t.Errorf("the offset is %v, want %v", clock.Offset, off)
		}
		refresh().want(t, 200)

		// As exactly as the replica knows it: the busier the machine, the less.
		uncertainty := func() time.Duration {
			clock, _ := replica.Clock()
			return clock.Uncertainty
		}
		unsure := uncertainty()
		var before, after time.Time
		one := func(to *time.Time) {
			if err := pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(to); err != nil {
				t.Fatal(err)
			}
		}
		one(&before)
		told := at[float64](t, feed{s, pool}.next(t, ""), "now")
		one(&after)
		unsure = max(unsure, uncertainty()) + time.Millisecond // the feed gives milliseconds
		if now := time.UnixMilli(int64(told)); now.Before(before.Add(-unsure)) || now.After(after.Add(unsure)) {
			t.Errorf("the feed tells that it is %v, which is between %v and %v, give or take %v", now, before, after, unsure)
		}
	}
}

// A replica that does not know the database's time well enough is not ready, and
// says why. Requests are still answered.
func TestNotReadyWithoutTheDatabasesTime(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	pool := testdb.Pool(t)
	var v *verifier.Verifier // that of another store: no readiness check gives it the time
	s := setupOn(t, pool, func(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
		keys, err := tokens.ParseKeyRing([]byte(testKeys))
		if err != nil {
			t.Fatal(err)
		}
		store, err := sessionstore.New(pool, keys, *storeCfg)
		if err != nil {
			t.Fatal(err)
		}
		if v, err = store.Verifier(verifier.Config{Now: func() verifier.Moment {
			return verifier.Now().Add(time.Duration(later.Load()))
		}}); err != nil {
			t.Fatal(err)
		}
		cfg.Verifier = v
	})
	ready := func(want string) {
		t.Helper()
		answer := s.internal(t, "GET", "/readyz")
		if want == "" {
			answer.want(t, 200)
			return
		}
		if detail := at[string](t, answer.wantProblem(t, 503, "unavailable"), "detail"); !strings.Contains(detail, want) || s.log.last(t)["reason"] != "clock" {
			t.Errorf("it says %q, want %q", detail, want)
		}
		s.refresh(t, s.create(t, "ann").refresh).want(t, 200)
	}
	ready("") // nothing follows the database's clock
	asked := v.Moment()
	v.Learn(time.Now(), asked)
	ready("")
	later.Store(int64(2 * time.Minute))
	ready("The database has not reported its time for 2m")
	v.Learn(time.Now(), v.Moment())
	ready("")
	asked = v.Moment()
	later.Store(int64(2*time.Minute + 20*time.Second))
	v.Learn(time.Now().Add(48*time.Hour), asked) // it was set, and answered late
	ready("The database's time is known only to within 10")
}
