package clients_test

import (
	"os"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

func TestMain(m *testing.M) { os.Exit(testservice.Main(func() int { return testdb.Main(m) })) }
