//go:build unix

package memstore

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const benchSessions = 1_000_000

// benchStore has a million sessions of as many subjects, whose tokens have an HMAC. The time is
// what the test sets.
func benchStore(b *testing.B) (*Store, []tokens.Claims, *atomic.Pointer[time.Time]) {
	b.Helper()
	var clock atomic.Pointer[time.Time]
	now := time.Now()
	clock.Store(&now)
	jwk, _, err := tokens.GenerateKey("HS256")
	if err != nil {
		b.Fatal(err)
	}
	keys, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(keys, sessionstore.Config{Tokens: tokens.Config{
		Issuer: DefaultIssuer, Audience: DefaultAudience, Now: func() time.Time { return *clock.Load() },
	}})
	if err != nil {
		b.Fatal(err)
	}
	claims := make([]tokens.Claims, benchSessions)
	for i := range claims {
		request, err := s.core.Check(sessionstore.CreateParams{Subject: fmt.Sprint("user-", i), Data: []byte(`{"cart":["tea","milk"]}`)}, sessionstore.Replaced{})
		if err != nil {
			b.Fatal(err)
		}
		draft, err := s.core.Draft(b.Context(), request, sessionstore.Session{})
		if err != nil {
			b.Fatal(err)
		}
		made, _, err := s.put(request, draft, sessionstore.Session{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		claims[i] = tokens.Claims{
			Type: tokens.RefreshToken, SessionID: made.pair.SessionID, TokenID: made.pair.ID, ExpiresAt: made.pair.ExpiresAt,
		}
	}
	return s, claims, &clock
}

// processor is the processor time of this process, which other programs do not add to.
func processor() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it cannot fail for a process that asks for itself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// report tells the processor time of n operations.
func report(b *testing.B, before time.Duration, n int) {
	b.Helper()
	b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(n), "cpu-ns/op")
}

// BenchmarkExchange is a refresh without its JWTs: find the session, decide, keep the pair.
// Each is a rotation.
func BenchmarkExchange(b *testing.B) {
	s, claims, clock := benchStore(b)
	n, before := 0, processor()
	for b.Loop() {
		i := n % benchSessions
		if i == 0 {
			later := clock.Load().Add(time.Hour)
			clock.Store(&later)
		}
		d, _, err := s.exchange(claims[i], sessionstore.RefreshOptions{})
		if err != nil || d.Outcome != sessionstore.Rotated {
			b.Fatalf("%v, %v", d.Outcome, err)
		}
		claims[i].Generation, claims[i].ExpiresAt = d.Next.Generation, d.Next.ExpiresAt
		n++
	}
	report(b, before, n)
}

// BenchmarkRefresh is a whole refresh: it verifies one JWT and signs two.
func BenchmarkRefresh(b *testing.B) {
	s, claims, clock := benchStore(b)
	presented := make([]string, 10_000)
	for i := range presented {
		pair, err := s.core.Sign(s.rows[claims[i].SessionID].pair, s.Now())
		if err != nil {
			b.Fatal(err)
		}
		presented[i] = string(pair.RefreshToken)
	}
	n, before := 0, processor()
	for b.Loop() {
		i := n % len(presented)
		if i == 0 {
			later := clock.Load().Add(time.Hour)
			clock.Store(&later)
		}
		got, err := s.RefreshTokens(b.Context(), presented[i], sessionstore.Client{})
		if err != nil || got.Outcome != sessionstore.Rotated {
			b.Fatalf("%v, %v", got.Outcome, err)
		}
		presented[i] = string(got.Pair.RefreshToken)
		n++
	}
	report(b, before, n)
}
