// Command api runs the Latchkey session service and the tasks around it: migrations, cleanup, keys, and an
// operator's view of the sessions. It is the only part of Latchkey that reads the environment.
package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	_ "golang.org/x/crypto/x509roots/fallback" // root certificates where the machine has none, as in an image

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/command"
)

// unstamped is the version of a program that was built without -ldflags "-X main.version=…".
const unstamped = "dev"

var version = unstamped

func main() {
	os.Exit(command.Run(name(), currentVersion(), os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// name is what the program is called: packages install it as latchkey.
func name() string { return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") }

// currentVersion is the stamped version, or what `go install module@version` recorded.
func currentVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == unstamped && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
