package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// unstamped is the version of a program that was built without -ldflags "-X main.version=…".
const unstamped = "dev"

var version = unstamped

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the version.
func (c *versionCmd) Run(a *app) error {
	if c.JSON {
		return a.printJSON(struct {
			Version string `json:"version"`
			Go      string `json:"go"`
		}{currentVersion(), runtime.Version()})
	}
	_, err := fmt.Fprintln(a.stdout, currentVersion())
	return err
}

// currentVersion is the stamped version, or what `go install module@version` recorded.
func currentVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == unstamped && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
