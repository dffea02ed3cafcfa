package testdb

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
)

const (
	defaultImage = "postgres:18-alpine"
	// containerPassword is one that tests can look for in logs.
	containerPassword = "the-password-of-a-test-database"

	portTries = 5
	pollPause = 20 * time.Millisecond
)

// boxed is a server in a container.
type boxed struct {
	container *postgres.PostgresContainer
	base      string
}

func startContainer(ctx context.Context, settings map[string]string, more ...testcontainers.ContainerCustomizer) (server, error) {
	image := cmp.Or(os.Getenv("TEST_POSTGRES_IMAGE"), defaultImage)
	for try := 1; ; try++ {
		b, err := runContainer(ctx, image, settings, more)
		if err == nil {
			return b, nil
		}
		taken := strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
		if !taken || try == portTries {
			return nil, fmt.Errorf("container %s: %w", image, err)
		}
	}
}

func runContainer(ctx context.Context, image string, settings map[string]string, more []testcontainers.ContainerCustomizer) (*boxed, error) {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// Docker chooses another port at each start, where it may choose. Below the ports that systems hand out to
	// connections, one that is free stays free while the server is stopped.
	port := strconv.Itoa(20000 + rand.IntN(12000))

	c, err := postgres.Run(ctx, image, append([]testcontainers.ContainerCustomizer{
		postgres.BasicWaitStrategies(),
		postgres.WithPassword(containerPassword),
		testcontainers.WithCmdArgs(args...),
		testcontainers.WithConfigModifier(func(config *container.Config) {
			config.StopSignal = "SIGINT" // as the official image has it: do not wait for clients to go
		}),
		testcontainers.WithHostConfigModifier(func(config *container.HostConfig) {
			config.PortBindings = network.PortMap{
				network.MustParsePort("5432/tcp"): {{HostIP: netip.IPv4Unspecified(), HostPort: port}},
			}
		}),
		testcontainers.WithLogger(tclog.NewNoopLogger()),
	}, more...)...)
	b := &boxed{container: c}
	if err == nil {
		b.base, err = c.ConnectionString(ctx, "sslmode=disable")
	}
	if err == nil {
		err = b.awaitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, testcontainers.TerminateContainer(c))
	}

	return b, nil
}

func (b *boxed) URL(database string) string {
	return withDatabase(b.base, database)
}

func (b *boxed) Start(ctx context.Context) error {
	if err := b.container.Start(ctx); err != nil {
		return err
	}

	return b.awaitReady(ctx)
}

func (b *boxed) Stop(ctx context.Context) error {
	return b.container.Stop(ctx, nil)
}

func (b *boxed) Kill(ctx context.Context) error {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return err
	}
	_, err = docker.ContainerKill(ctx, b.container.GetContainerID(), client.ContainerKillOptions{Signal: "KILL"})

	return errors.Join(err, docker.Close())
}

func (b *boxed) Remove(ctx context.Context) error {
	return b.container.Terminate(ctx, testcontainers.StopTimeout(0))
}

// awaitReady connects until the server answers. What it logged says nothing after the first start, and the port is
// open before that.
func (b *boxed) awaitReady(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, b.base)
		if err == nil {
			return conn.Close(ctx)
		}
		if !b.container.IsRunning() {
			return fmt.Errorf("the server ended: %w", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, b.logs(ctx))
		case <-time.After(pollPause):
		}
	}
}

// logs returns what the container said, as an error.
func (b *boxed) logs(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	reader, err := b.container.Logs(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // it was only read
	text, err := io.ReadAll(reader)

	return errors.Join(err, errors.New(string(text)))
}
