package command

import (
	"fmt"
	"runtime"
)

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run prints the version.
func (c *versionCmd) Run(a *app) error {
	if c.JSON {
		return a.printJSON(struct {
			Version string `json:"version"`
			Go      string `json:"go"`
		}{a.version, runtime.Version()})
	}
	_, err := fmt.Fprintln(a.stdout, a.version)
	return err
}
