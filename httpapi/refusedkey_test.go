package httpapi_test

import (
	"strings"
	"testing"
)

// Attempts with wrong keys at introspection are logged, however the keys are
// presented; the keys are not.
func TestRefusedServiceKeysAreLogged(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]option{
		"Basic":  basic("backend", "not-the-secret-of-anyone"),
		"bearer": bearer("not-the-secret-of-anyone"),
	} {
		s := setup(t)
		s.do(t, s.server.Internal(), "POST", "/oauth2/introspect", credentials, form("token", "x")).want(t, 401)
		log := s.log.String()
		if n := strings.Count(log, `"service key refused"`); n != 1 {
			t.Errorf("%s: it is logged %d times:\n%s", name, n, log)
		}
		if strings.Contains(log, "not-the-secret") {
			t.Errorf("%s: the log has the secret", name)
		}
	}
}
