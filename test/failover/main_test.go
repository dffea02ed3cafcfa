//go:build linux

package failover_test

import (
	"flag"
	"os"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

var (
	long   = flag.Bool("long", false, "run every fault on every kind of address")
	update = flag.Bool("update", false, "write the figures into docs/failover.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testservice.Main(m.Run))
}
