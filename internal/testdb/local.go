package testdb

import (
	"context"
	"errors"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// local is a server from the machine's own programs.
type local struct {
	*pgserver.Server
	dir         string
	environment []string // the server's, and its standby's
}

// startLocal starts a server with the schema in its database postgres.
func startLocal(ctx context.Context, programs pgserver.Programs, settings map[string]string, environment []string) (server, error) {
	from, err := madeData(ctx, programs)
	if err != nil {
		return nil, err
	}
	root, err := filesDir(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := newFolder(root, "server-")
	if err != nil {
		return nil, err
	}
	srv, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Loopback: true, Programs: programs, Settings: settings, Environment: environment, From: from})
	if err != nil {
		return nil, errors.Join(err, pgserver.Remove(dir))
	}

	return &local{Server: srv, dir: dir, environment: environment}, nil
}

// Remove ends the server quickly: the data is no longer needed.
func (l *local) Remove(ctx context.Context) error {
	return errors.Join(l.Quit(), l.Stop(ctx), pgserver.Remove(l.dir))
}
