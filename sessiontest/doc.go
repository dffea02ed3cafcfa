// Package sessiontest holds stores of sessions to what package sessionhttp, and whoever uses
// it, relies on. Whoever writes a [sessionhttp.Store], or wraps one, runs it in a test:
//
//	package mystore_test
//
//	import (
//		"testing"
//
//		"github.com/latchkey-sessions/latchkey/memstore"
//		"github.com/latchkey-sessions/latchkey/sessionhttp"
//		"github.com/latchkey-sessions/latchkey/sessionstore"
//		"github.com/latchkey-sessions/latchkey/sessiontest"
//	)
//
//	// myStore counts calls, or whatever yours does.
//	type myStore struct{ sessionhttp.Store }
//
//	func TestStore(t *testing.T) {
//		sessiontest.Run(t, func(t *testing.T) sessiontest.Harness {
//			clock := sessiontest.NewClock()
//			cfg := sessionstore.Config{}
//			cfg.Tokens.Now = clock.Now
//			return sessiontest.Harness{Store: myStore{memstore.MustNew(cfg)}, Advance: clock.Advance}
//		})
//	}
//
// [sessionstore.Store] and memstore's Store pass it. What they offer beside the interface,
// such as lists of a user's sessions, is tested where a store has it.
package sessiontest
