package testdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// standbySignal is the file whose presence in the data makes a server a standby.
const standbySignal = "standby.signal"

// Standby keeps the copy within this server's own folder, which is one that the server's user can enter.
func (l *local) Standby(ctx context.Context) (server, error) {
	home, err := filepath.EvalSymlinks(filepath.Join(l.dir, "postgres"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(home, "standby")
	data := filepath.Join(dir, "postgres", "data")
	for _, folder := range []string{dir, filepath.Dir(data)} {
		// As root, another user runs the server, and passes through, whatever the umask.
		if err := errors.Join(os.Mkdir(folder, 0o711), os.Chmod(folder, 0o711)); err != nil {
			return nil, err
		}
	}
	if err := copyFolder(ctx, filepath.Join(home, "data"), data); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(data, standbySignal), nil, 0o644); err != nil {
		return nil, err
	}
	srv, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Loopback: true, Settings: standbySettings(), Environment: l.environment})
	if err != nil {
		return nil, err
	}

	return &local{Server: srv, dir: dir, environment: l.environment}, nil
}

// PeerURL returns the URL that everything on the machine uses.
func (l *local) PeerURL(context.Context) (string, error) {
	return l.URL("postgres"), nil
}
