// Package sessiontest checks that a store of sessions behaves as package sessionhttp and its
// users expect. If you write a [sessionhttp.Store], or wrap one, run it in a test:
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
// [sessionstore.Store] and memstore's Store pass it. Methods beyond the interface,
// such as lists of a user's sessions, are tested if a store has them.
package sessiontest
