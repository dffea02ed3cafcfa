//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"strings"
)

// forgetLibpq takes libpq's variables (PGSERVICE, PGOPTIONS, PGTARGETSESSIONATTRS) out of this process's environment.
// They are about some other server, and whoever opens a URL with pgx has them too: a URL cannot overrule all of them.
func forgetLibpq() error {
	for _, variable := range os.Environ() { //nolint:forbidigo // they are removed; none is obeyed
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "PG") {
			continue
		}
		if err := os.Unsetenv(name); err != nil {
			return fmt.Errorf("pgserver: %w", err)
		}
	}

	return nil
}
