// Package memstore keeps sessions in memory, for tests and examples: handlers that use package
// sessionhttp run on it without PostgreSQL. It decides as package sessionstore does, by the same
// code: what a refresh token does, what a creation may ask for, what tokens say. Package
// sessiontest holds both to the same suite.
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
// The store's clock is the Now of [tokens.Config]: a test lets sessions expire by setting it on.
// In a bubble of testing/synctest time.Now will do. The store starts no goroutine.
//
// # Limits
//
// Sessions are gone when the process ends, and no other process sees them. What has ended is
// dropped when there are twice as many sessions as lived when that was last done. With a million
// of them a refresh takes 1.6 µs of a processor, apart from verifying one JWT and signing two
// (BenchmarkExchange).
package memstore
