// Package memstore keeps sessions in memory, for tests and examples: handlers that use package
// sessionhttp run on it without PostgreSQL. It uses the same code as package sessionstore to decide
// what happens to a refresh token, what a creation may request, and what tokens contain. Package
// sessiontest runs the same suite against both.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"net/http"
//		"net/http/httptest"
//
//		"github.com/latchkey-sessions/latchkey/memstore"
//		"github.com/latchkey-sessions/latchkey/sessionhttp"
//		"github.com/latchkey-sessions/latchkey/sessionstore"
//	)
//
//	type visitor struct{ Visits int }
//
//	func main() {
//		store := memstore.MustNew(sessionstore.Config{})
//		sessions := sessionhttp.New[visitor](store, sessionhttp.Config{})
//		handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
//			session := sessions.From(r.Context())
//			if err := session.Update(r.Context(), func(v *visitor) error { v.Visits++; return nil }); err != nil {
//				sessionhttp.Error(w, r, err)
//				return
//			}
//			fmt.Fprintf(w, "hello %s, visit %d", session.Info.Subject, session.Read().Visits)
//		}))
//
//		_, pair, err := store.Create(context.Background(), sessionstore.CreateParams{Subject: "ann"})
//		if err != nil {
//			panic(err)
//		}
//		r := httptest.NewRequest("GET", "/", nil)
//		r.Header.Set("Authorization", "Bearer "+string(pair.AccessToken))
//		w := httptest.NewRecorder()
//		handler.ServeHTTP(w, r)
//		fmt.Println(w.Code, w.Body) // 200 hello ann, visit 1
//	}
//
// # Time
//
// The store's clock is the Now of [tokens.Config]: a test moves it forward to make sessions expire.
// In a bubble of testing/synctest, time.Now works. The store starts no goroutine.
//
// # Limits
//
// Sessions are gone when the process ends, and no other process sees them. Ended sessions are
// dropped when there are twice as many sessions as were live the last time. With a million
// sessions a refresh takes 1.6 µs of a processor, apart from verifying one JWT and signing two
// (BenchmarkExchange).
package memstore
