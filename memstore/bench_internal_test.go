//go:build unix

package memstore

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const benchSessions = 1_000_000

// benchStore has a million sessions of as many subjects, whose tokens have an HMAC. Each call of
// later lets an hour pass.
func benchStore(b *testing.B) (s *Store, ids []uuid.UUID, later func()) {
	b.Helper()
	began := time.Now()
	var passed atomic.Int64
	jwk, _, err := tokens.GenerateKey("HS256")
	if err != nil {
		b.Fatal(err)
	}
	keys, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		b.Fatal(err)
	}
	s, err = New(keys, sessionstore.Config{Tokens: tokens.Config{
		Issuer: DefaultIssuer, Audience: DefaultAudience, Now: func() time.Time { return began.Add(time.Duration(passed.Load())) },
	}})
	if err != nil {
		b.Fatal(err)
	}
	ids = make([]uuid.UUID, benchSessions)
	for i := range ids {
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
		ids[i] = made.session.ID
	}
	return s, ids, func() { passed.Add(int64(time.Hour)) }
}

// token is the session's newest refresh token.
func (s *Store) token(b *testing.B, id uuid.UUID) string {
	b.Helper()
	pair, err := s.core.Sign(s.rows[id].pair, s.Now())
	if err != nil {
		b.Fatal(err)
	}
	return string(pair.RefreshToken)
}

// processor is the processor time of this process, which other programs do not add to.
func processor() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it cannot fail for a process that asks for itself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkExchange is a refresh without its JWTs: find one of a million sessions, decide, keep
// the pair. Each is a rotation. An operation is several of them, with verified tokens.
func BenchmarkExchange(b *testing.B) {
	const some = 20_000
	s, ids, later := benchStore(b)
	presented := make([]sessionstore.Presented, some)
	var took, worked time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		later()
		for i := range presented {
			var err error
			id := ids[rand.N(len(ids))]
			if presented[i], err = s.core.Present(b.Context(), s.token(b, id), sessionstore.RefreshOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC() // of what that has left
		began, before := time.Now(), processor()
		b.StartTimer()
		for _, p := range presented {
			if _, _, err := s.exchange(p); err != nil {
				b.Fatal(err)
			}
		}
		took, worked = took+time.Since(began), worked+processor()-before
		n += some
	}
	b.ReportMetric(float64(took.Nanoseconds())/float64(n), "ns/refresh")
	b.ReportMetric(float64(worked.Nanoseconds())/float64(n), "cpu-ns/refresh")
}

// BenchmarkRefresh is a whole refresh: it verifies one JWT and signs two.
func BenchmarkRefresh(b *testing.B) {
	s, ids, later := benchStore(b)
	presented := make([]string, 10_000)
	for i := range presented {
		presented[i] = s.token(b, ids[i])
	}
	n, before := 0, processor()
	for b.Loop() {
		i := n % len(presented)
		if i == 0 {
			later()
		}
		got, err := s.RefreshTokens(b.Context(), presented[i], sessionstore.Client{})
		if err != nil || got.Outcome != sessionstore.Rotated {
			b.Fatalf("%v, %v", got.Outcome, err)
		}
		presented[i] = string(got.Pair.RefreshToken)
		n++
	}
	b.ReportMetric(float64((processor()-before).Nanoseconds())/float64(n), "cpu-ns/op")
}
