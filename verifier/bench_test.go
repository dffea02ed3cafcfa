package verifier_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
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

// A handler with the check, and without, for tokens that were seen before: for one, and for many, which no processor
// has all in its cache. The processor time is that of the garbage collector too, which follows what is remembered.
func BenchmarkHandler(b *testing.B) {
	v, signer := loaded(b)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, n := range []int{1, 10_000} {
		list := tokensOf(b, signer, n)
		for _, of := range []struct {
			name    string
			handler http.Handler
		}{{"bare", bare}, {"checked", v.Handler(bare)}} {
			b.Run(fmt.Sprintf("%s/%d", of.name, n), func(b *testing.B) {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
				serve := func(i int) {
					r.Header["Authorization"] = []string{"Bearer " + list[i%n]} // in memory of its own, as from a connection
					w := httptest.NewRecorder()
					if of.handler.ServeHTTP(w, r); w.Code != http.StatusNoContent {
						b.Fatal(w.Code)
					}
				}
				for i := range n {
					serve(i)
				}
				b.ReportAllocs()
				before := processorTime()
				b.ResetTimer()
				for i := range b.N {
					serve(i)
				}
				b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // it cannot fail for a process that asks for itself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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
