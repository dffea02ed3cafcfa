package testservice

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"testing"
)

var (
	greetedURLs = regexp.MustCompile(`(?s)public +(http://\S+) .*internal +(http://\S+) `)
	loggedURLs  = regexp.MustCompile(`"msg":"ready".*"public":"([^"]+)","internal":"([^"]+)"`)
)

// Start starts the service on ports that the system chooses, and waits until it is ready. It requires a JSON log.
func Start(t *testing.T, dir string, settings Env) *Service {
	t.Helper()
	s := Launch(t, dir, settings.With(Env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}))
	s.Await("addresses", func() bool {
		if m := greetedURLs.FindStringSubmatch(s.Stdout.String()); m != nil {
			s.Public, s.Internal = m[1], m[2]
		} else if m := loggedURLs.FindStringSubmatch(s.Stderr.String()); m != nil {
			s.Public, s.Internal = "http://"+m[1], "http://"+m[2]
		}
		return s.Public != ""
	})
	s.AwaitReady()
	return s
}

// StartWithoutDatabase starts the service where its database does not answer, and waits until its internal listener does.
func StartWithoutDatabase(t *testing.T) *Service {
	t.Helper()
	public, internal := FreeAddress(t), FreeAddress(t)
	s := Launch(t, t.TempDir(), OnDatabase(t, "postgres://nobody@"+FreeAddress(t)+"/none").With(Env{
		"LATCHKEY_PUBLIC_ADDR": public, "LATCHKEY_INTERNAL_ADDR": internal,
	}))
	s.Public, s.Internal = "http://"+public, "http://"+internal
	s.Await("an answer", func() bool {
		status, _ := s.Send(http.MethodGet, s.Internal+"/livez", "", nil)
		return status == http.StatusOK
	})
	return s
}

// AwaitReady waits until the service says that it is ready.
func (s *Service) AwaitReady() {
	s.t.Helper()
	s.Await("readiness", func() bool {
		status, _ := s.Send(http.MethodGet, s.Internal+"/readyz", "", nil)
		return status == http.StatusOK
	})
}

// Await is [Await] for something that can only happen while the service runs.
func (s *Service) Await(what string, done func() bool) {
	s.t.Helper()
	Await(s.t, what, func() bool {
		if done() {
			return true
		}
		select {
		case <-s.Ended:
			s.t.Fatalf("the service ended before its %s", what)
		default:
		}
		return false
	})
}

// Await waits until done reports true.
func Await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > Patience {
			t.Fatalf("%s: not after %v", what, Patience)
		}
	}
}

// FreeAddress returns an address that nothing listens on: of a port below the range that systems use for outgoing
// connections, one of which could otherwise take it before its listener does, and below those of the tests' PostgreSQL.
func FreeAddress(t *testing.T) string {
	t.Helper()
	const first, last = 10000, 20000
	for range last - first {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatalf("no port is free between %d and %d", first, last)
	return ""
}
