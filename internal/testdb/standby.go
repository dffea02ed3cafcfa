package testdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// standbySignal is the file whose presence in the data makes a server a standby.
const standbySignal = "standby.signal"

func standbySettings() map[string]string {
	settings := baseSettings()
	settings["wal_retrieve_retry_interval"] = "100ms" // how soon it looks for its primary again
	return settings
}

// Standby keeps the copy within this server's own folder, which is one that the server's user can enter.
func (l *local) Standby(ctx context.Context) (server, error) {
	home, err := filepath.EvalSymlinks(filepath.Join(l.dir, "postgres"))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(home, "standby")
	data := filepath.Join(dir, "postgres", "data")
	for _, folder := range []string{dir, filepath.Dir(data)} {
		// As root, another user runs the server, and passes through, whatever our umask is.
		if err := errors.Join(os.Mkdir(folder, 0o711), os.Chmod(folder, 0o711)); err != nil {
			return nil, err
		}
	}
	// Unlike Go's own, this copy keeps owners and modes, which PostgreSQL looks at.
	if output, err := exec.CommandContext(ctx, "cp", "-Rp", filepath.Join(home, "data"), data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("copy the data: %w: %s", err, output)
	}
	if err := os.WriteFile(filepath.Join(data, standbySignal), nil, 0o644); err != nil {
		return nil, err
	}
	srv, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Settings: standbySettings()})
	if err != nil {
		return nil, err
	}

	return &local{Server: srv, dir: dir}, nil
}

// PeerURL returns what everybody on the machine uses.
func (l *local) PeerURL(context.Context) (string, error) {
	return l.URL("postgres"), nil
}

// standbyScript runs in a new container that shares the primary's volume: it copies the data, and hands over to the
// image's own way to start.
const standbyScript = `cp -Rp "$PGDATA" /standby && touch /standby/` + standbySignal + ` && export PGDATA=/standby && exec docker-entrypoint.sh "$@"`

// Standby copies the data from one container into another.
func (b *boxed) Standby(ctx context.Context) (server, error) {
	return startContainer(ctx, standbySettings(),
		testcontainers.WithEntrypoint("/bin/sh", "-c", standbyScript, "sh"),
		testcontainers.WithHostConfigModifier(func(config *container.HostConfig) {
			config.VolumesFrom = []string{b.container.GetContainerID()}
		}),
		// It says it is ready in other words than a primary, and once.
		testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp")),
	)
}

// PeerURL names the address within Docker's network: whether a container reaches the ports of its host is up to
// firewalls, and to where the test itself runs. The address may be another one after each start.
func (b *boxed) PeerURL(ctx context.Context) (string, error) {
	u, err := url.Parse(b.base)
	if err != nil {
		return "", err
	}
	if u.Host, err = b.container.ContainerIP(ctx); err != nil {
		return "", err
	}

	return u.String(), nil
}
