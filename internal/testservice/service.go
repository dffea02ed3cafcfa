package testservice

import (
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
