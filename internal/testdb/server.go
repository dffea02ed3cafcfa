package testdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// server is a PostgreSQL server that we run.
type server interface {
	// URL stays the same when the server is stopped and started again.
	URL(database string) string
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	// Kill ends it without any warning.
	Kill(ctx context.Context) error
	// Remove ends it, if it still runs, and removes its data.
	Remove(ctx context.Context) error
	// Standby starts a server that does not follow any yet, from a copy of this one, which must be
	// stopped.
	Standby(ctx context.Context) (server, error)
	// PeerURL is the server's URL for its standby.
	PeerURL(ctx context.Context) (string, error)
}

// Server is a PostgreSQL server that belongs to the test alone, to see what an outage or a crash does. Committed
// data survives a crash. Its methods may be called from any goroutine of the test; their failures fail the test.
type Server struct {
	tb     testing.TB
	server server
}

// NewServer starts a server with the schema in one database. It is removed when the test ends.
func NewServer(tb testing.TB) *Server {
	tb.Helper()

	return NewServerBy(tb, nil)
}

// NewServerBy is [NewServer] with a server that uses the given clock; nil is the machine's.
func NewServerBy(tb testing.TB, clock *Clock) *Server {
	tb.Helper()

	ctx, cancel := context.WithTimeout(tb.Context(), startPatience)
	defer cancel()
	srv, err := newServer(ctx, nil, clock.environment())
	if err != nil {
		tb.Fatalf("no database for tests: %v", err)
	}
	removeAfter(tb, srv)

	return &Server{tb: tb, server: srv}
}

// removeAfter removes the server when the test ends.
func removeAfter(tb testing.TB, srv server) {
	tb.Helper()

	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), endPatience)
		defer cancel()
		if err := srv.Remove(ctx); err != nil {
			tb.Errorf("testdb: %v", err)
		}
	})
}

// URL returns the database's libpq URL, which stays the same when the server is started again.
func (s *Server) URL() string {
	return s.server.URL("postgres")
}

// Pool returns connections to the database. They break when the server ends, and the pool makes new ones after that.
func (s *Server) Pool() *pgxpool.Pool {
	s.tb.Helper()

	return open(s.tb, s.URL())
}

// Stop shuts down the server: transactions under way are rolled back.
func (s *Server) Stop() {
	s.tb.Helper()
	s.do("stop", s.server.Stop)
}

// Kill ends the server without any warning.
func (s *Server) Kill() {
	s.tb.Helper()
	s.do("kill", s.server.Kill)
}

// Start starts the server again and waits until it answers.
func (s *Server) Start() {
	s.tb.Helper()
	s.do("start", s.server.Start)
}

func (s *Server) do(what string, action func(context.Context) error) {
	s.tb.Helper()

	ctx, cancel := context.WithTimeout(s.tb.Context(), endPatience)
	defer cancel()
	if err := action(ctx); err != nil {
		s.tb.Errorf("testdb: %s the server: %v", what, err)
	}
}

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

// equip gives a new server what tests need.
func equip(ctx context.Context, url string) error {
	if err := speedUp(ctx, url); err != nil {
		return err
	}

	return migrate(ctx, url)
}

func baseSettings() map[string]string {
	return map[string]string{
		"fsync":            "off", // the machine may not crash, the server may
		"full_page_writes": "off",
		"max_connections":  "300",
		// Shared memory lies next to the data, and is removed with it: nothing removes what a killed server leaves
		// elsewhere.
		"dynamic_shared_memory_type": "mmap",
	}
}
