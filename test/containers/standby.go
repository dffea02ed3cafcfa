package main

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// standbySignal is the file whose presence in the data makes a server a standby.
const standbySignal = "standby.signal"

// asStandby is what makes a new container the standby of another, whose data it copies; it then starts as the image always
// does. Docker itself copies: not every image has a cp, or its data in a volume.
func asStandby(ctx context.Context, primary string) (_ []testcontainers.ContainerCustomizer, err error) {
	docker, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, docker.Close()) }()
	inspected, err := docker.ContainerInspect(ctx, primary, client.ContainerInspectOptions{})
	if err != nil {
		return nil, err
	}
	var data string
	for _, variable := range inspected.Container.Config.Env {
		if value, found := strings.CutPrefix(variable, "PGDATA="); found {
			data = value
		}
	}
	if data == "" {
		return nil, errors.New("the image does not say where its data is: it has no PGDATA")
	}
	copyData := func(ctx context.Context, standby testcontainers.Container) error {
		return copyAsStandby(ctx, primary, data, standby.GetContainerID())
	}

	return []testcontainers.ContainerCustomizer{
		testcontainers.WithEnv(map[string]string{"PGDATA": "/" + path.Base(data)}),
		testcontainers.WithAdditionalLifecycleHooks(testcontainers.ContainerLifecycleHooks{
			PostCreates: []testcontainers.ContainerHook{copyData},
		}),
		// It reports readiness in words other than a primary's, and only once.
		testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp")),
	}, nil
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

// peerURL is the server's URL within Docker's network.
func (s *server) peerURL(ctx context.Context) (string, error) {
	u, err := url.Parse(s.url)
	if err != nil {
		return "", err
	}
	if u.Host, err = s.container.ContainerIP(ctx); err != nil {
		return "", err
	}

	return u.String(), nil
}
