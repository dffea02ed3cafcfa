package testdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// newServer starts a server with the schema in its database postgres: from the machine's own programs, with more
// variables, or else in a container.
func newServer(ctx context.Context, settings map[string]string, environment []string) (server, error) {
	all := baseSettings()
	maps.Copy(all, settings)

	switch want := os.Getenv("TEST_POSTGRES"); want {
	case "container":
		return startEquipped(ctx, all)
	case "":
	default:
		return nil, fmt.Errorf("TEST_POSTGRES is %q: it must be container, or unset", want)
	}

	programs, err := pgserver.Find(ctx)
	if errors.Is(err, pgserver.ErrNoPrograms) {
		srv, err := startEquipped(ctx, all)
		if err != nil {
			return nil, fmt.Errorf("%w, and no container either: %w\n"+
				"Install PostgreSQL (apt install postgresql, brew install postgresql), or start Docker, or set TEST_DATABASE_URL", pgserver.ErrNoPrograms, err)
		}
		return srv, nil
	}
	if err != nil {
		return nil, err
	}

	return startLocal(ctx, programs, all, environment)
}

// startEquipped starts a container with what servers of the machine's own programs begin with.
func startEquipped(ctx context.Context, settings map[string]string) (server, error) {
	srv, err := startContainer(ctx, settings, "")
	if err != nil {
		return nil, err
	}
	if err := equip(ctx, srv.URL("postgres")); err != nil {
		return nil, errors.Join(err, srv.Remove(ctx))
	}

	return srv, nil
}
