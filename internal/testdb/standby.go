package testdb

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// standbySignal is the file whose presence in the data makes a server a standby.
const standbySignal = "standby.signal"

// standbySlot is the replication slot for which the primary keeps what the standby has not received.
const standbySlot = "standby"

func standbySettings() map[string]string {
	settings := baseSettings()
	settings["wal_retrieve_retry_interval"] = "100ms" // how soon it looks for its primary again
	settings["primary_slot_name"] = standbySlot
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

// PeerURL returns what everybody on the machine uses.
func (l *local) PeerURL(context.Context) (string, error) {
	return l.URL("postgres"), nil
}

// Standby copies the data from one container into another, which then starts as the image always does. Docker itself
// copies: not every image has a cp, or its data in a volume.
func (b *boxed) Standby(ctx context.Context) (server, error) {
	primary, err := b.container.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	var data string
	for _, variable := range primary.Config.Env {
		if value, found := strings.CutPrefix(variable, "PGDATA="); found {
			data = value
		}
	}
	if data == "" {
		return nil, errors.New("the image does not say where its data is: it has no PGDATA")
	}
	copyData := func(ctx context.Context, standby testcontainers.Container) error {
		return copyAsStandby(ctx, b.container.GetContainerID(), data, standby.GetContainerID())
	}

	return startContainer(ctx, standbySettings(),
		testcontainers.WithEnv(map[string]string{"PGDATA": "/" + path.Base(data)}),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PostCreates: []testcontainers.ContainerHook{copyData},
		}),
		// It says it is ready in other words than a primary, and once.
		testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp")),
	)
}

// copyAsStandby copies the data folder into the root of another container, and makes a standby of it.
func copyAsStandby(ctx context.Context, from, data, to string) (err error) {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, docker.Close()) }()
	source, err := docker.CopyFromContainer(ctx, from, client.CopyFromContainerOptions{SourcePath: data})
	if err != nil {
		return err
	}
	defer func() { _ = source.Content.Close() }() // it was only read

	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(addStandbySignal(tar.NewWriter(writer), tar.NewReader(source.Content), path.Base(data)))
	}()
	_, err = docker.CopyToContainer(ctx, to, client.CopyToContainerOptions{DestinationPath: "/", Content: reader, CopyUIDGID: true})
	_ = reader.Close() // or the writer would wait forever after an error

	return err
}

// addStandbySignal passes an archive of the data folder on, with the file that makes it a standby's.
func addStandbySignal(to *tar.Writer, from *tar.Reader, folder string) error {
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			return to.Close()
		}
		if err != nil {
			return err
		}
		if err := to.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(to, from); err != nil {
			return err
		}
		if strings.TrimSuffix(header.Name, "/") != folder {
			continue
		}
		signal := &tar.Header{Name: path.Join(folder, standbySignal), Mode: 0o600, Uid: header.Uid, Gid: header.Gid}
		if err := to.WriteHeader(signal); err != nil {
			return err
		}
	}
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
