package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	tclog "github.com/testcontainers/testcontainers-go/log"
	"github.com/testcontainers/testcontainers-go/modules/postgres"

	"github.com/latchkey-sessions/latchkey/internal/testdb/containers"
)

const (
	defaultImage = "postgres:18-alpine"

	portTries = 5
	pollPause = 20 * time.Millisecond
)

// server is a PostgreSQL server in a container.
type server struct {
	container *postgres.PostgresContainer // nil: not started yet
	url       string
}

// start starts the server for the first time, or again.
func (s *server) start(ctx context.Context, order containers.Order) error {
	if s.container != nil {
		if err := s.container.Start(ctx); err != nil {
			return err
		}
		return s.awaitReady(ctx)
	}
	var more []testcontainers.ContainerCustomizer
	if order.Primary != "" {
		var err error
		if more, err = asStandby(ctx, order.Primary); err != nil {
			return err
		}
	}
	image := cmp.Or(os.Getenv("TEST_POSTGRES_IMAGE"), defaultImage) //nolint:forbidigo // a separate program, for tests
	for try := 1; ; try++ {
		err := s.run(ctx, image, order.Settings, more)
		if err == nil {
			return nil
		}
		taken := strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
		if !taken || try == portTries {
			return fmt.Errorf("container %s: %w", image, err)
		}
	}
}

// run runs a new container. The remains of one that fails are removed.
func (s *server) run(ctx context.Context, image string, settings map[string]string, more []testcontainers.ContainerCustomizer) error {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// If Docker may choose the port, it changes at each start. Below the range that systems use for outgoing
	// connections, a free port stays free while the server is stopped.
	port := strconv.Itoa(20000 + rand.IntN(12000)) //nolint:gosec // any free port will do

	c, err := postgres.Run(ctx, image, append([]testcontainers.ContainerCustomizer{
		postgres.BasicWaitStrategies(),
		postgres.WithPassword(containers.Password),
		testcontainers.WithCmdArgs(args...),
		testcontainers.WithConfigModifier(func(config *container.Config) {
			config.StopSignal = "SIGINT" // as in the official image: do not wait for clients to disconnect
		}),
		testcontainers.WithHostConfigModifier(func(config *container.HostConfig) {
			config.PortBindings = network.PortMap{
				network.MustParsePort("5432/tcp"): {{HostIP: netip.IPv4Unspecified(), HostPort: port}},
			}
		}),
		testcontainers.WithLogger(tclog.NewNoopLogger()),
	}, more...)...)
	started := server{container: c}
	if err == nil {
		started.url, err = c.ConnectionString(ctx, "sslmode=disable")
	}
	if err == nil {
		err = started.awaitReady(ctx)
	}
	if err != nil {
		return errors.Join(err, testcontainers.TerminateContainer(c))
	}
	*s = started

	return nil
}

func (s *server) kill(ctx context.Context) error {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	_, err = docker.ContainerKill(ctx, s.container.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})

	return errors.Join(err, docker.Close())
}

// remove removes the container, if there is one.
func (s *server) remove(ctx context.Context) error {
	if s.container == nil {
		return nil
	}

	return s.container.Terminate(ctx, testcontainers.StopTimeout(0))
}

// awaitReady connects until the server answers. Its log is of no use after the first start, and the port is
// open before that.
func (s *server) awaitReady(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, s.url)
		if err == nil {
			return conn.Close(ctx)
		}
		if !s.container.IsRunning() {
			return fmt.Errorf("the server ended: %w", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, s.logs(ctx))
		case <-time.After(pollPause):
		}
	}
}

// logs returns the container's output as an error.
func (s *server) logs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	reader, err := s.container.Logs(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // it was only read
	text, err := io.ReadAll(reader)

	return errors.Join(err, errors.New(string(text)))
}
