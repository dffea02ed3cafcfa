package verifier_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// loaded is a verifier whose set has a million sessions, and is never too old.
func loaded(b *testing.B) (*verifier.Verifier, *tokens.Signer) {
	b.Helper()
	ring := newRing(b)
	checker, err := tokens.NewVerifier(ring, tokenConfig())
	if err != nil {
		b.Fatal(err)
	}
	signer, err := tokens.NewSigner(ring, tokenConfig())
	if err != nil {
		b.Fatal(err)
	}
	source := byHand{make(chan *verifier.Set, 1)}
	v, err := verifier.New(checker, source, verifier.Config{Bound: time.Hour, Strict: nobody, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = v.Run(b.Context()) }()
	set, until := <-source.sets, time.Now().Add(time.Hour).Unix()
	batch := verifier.Batch{Reset: true, Sessions: make([]verifier.Revocation, 1_000_000)}
	for i := range batch.Sessions {
		batch.Sessions[i] = verifier.Revocation{SessionID: uuid.Must(uuid.NewV7()), Until: until}
	}
	batch.Proof, batch.Cursor = set.Now(), "loaded"
	set.Apply(batch)
	return v, signer
}

func tokensOf(b *testing.B, signer *tokens.Signer, n int) []string {
	b.Helper()
	list := make([]string, n)
	for i := range list {
		_, list[i] = sign(b, signer, time.Now(), time.Hour)
	}
	return list
}

// The price of a request, with a million revoked sessions: for a token that was
// verified before, and for one that was not.
func BenchmarkVerify(b *testing.B) {
	v, signer := loaded(b)
	b.Run("seen", func(b *testing.B) {
		list := tokensOf(b, signer, 1000)
		for _, token := range list {
			if _, err := v.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := v.Verify(b.Context(), list[i%len(list)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("never seen", func(b *testing.B) {
		list := tokensOf(b, signer, b.N)
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			if _, err := v.Verify(b.Context(), list[i]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A handler with the check, and without.
func BenchmarkHandler(b *testing.B) {
	v, signer := loaded(b)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	token := tokensOf(b, signer, 1)[0]
	for name, handler := range map[string]http.Handler{"bare": bare, "checked": v.Handler(bare)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+token)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if handler.ServeHTTP(w, r); w.Code != http.StatusNoContent {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// The memory of a set, and how long it takes to fill it.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		before := heapOf()
		v, _ := loaded(b)
		b.ReportMetric(float64(heapOf()-before)/(1<<20), "MiB")
		runtime.KeepAlive(v)
	}
}

func heapOf() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
