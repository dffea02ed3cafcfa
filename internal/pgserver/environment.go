//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"strings"
)

// forgetLibpq removes libpq's variables (PGSERVICE, PGOPTIONS, PGTARGETSESSIONATTRS) from this process's environment.
// They refer to some other server, and pgx applies them to every URL that it opens: a URL cannot override all of
// them.
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
