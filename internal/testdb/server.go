package testdb

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

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
