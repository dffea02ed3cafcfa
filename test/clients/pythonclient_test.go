package clients_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// examples/python, with what Debian packages for it.
func TestPythonExample(t *testing.T) {
	t.Parallel()
	need(t, python)
	s := start(t, severalKeys)
	example, err := filepath.Abs("../../examples/python")
	if err != nil {
		t.Fatal(err)
	}
	sharded := startSharded(t)
	for _, test := range []string{"python/test_latchkey.py", "python/test_django.py"} {
		out := run(t, ".", testservice.Env{
			"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "PYTHONDONTWRITEBYTECODE": "1", "EXAMPLE": example,
			"ISSUER": s.Public, "INTERNAL": s.Internal, "SERVICE_KEY": testservice.Key, "OTHER_KEY": otherKey, "AUDIENCE": audience,
		}.With(sharded).List(), python, test)
		t.Logf("%s", out)
	}
}
