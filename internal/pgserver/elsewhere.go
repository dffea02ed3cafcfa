//go:build !unix

package pgserver

import (
	"context"
	"errors"
	"log/slog"
)

// ErrNotRunning is never returned here.
var ErrNotRunning = errors.New("no server runs in the folder")

var errElsewhere = errors.New("the private PostgreSQL needs Linux or macOS")

// Config says which server to run.
type Config struct {
	Dir    string
	Logger *slog.Logger
}

// Address is where a server listens.
type Address struct{}

// URL is empty.
func (Address) URL(string) string { return "" }

// Server is a running server, which does not exist on this
// platform.
type Server struct{ Address }

// Start fails: it needs Unix sockets, signals and locks.
func Start(context.Context, Config) (*Server, error) { return nil, errElsewhere }

// Attach fails as [Start] does.
func Attach(context.Context, string) (Address, error) { return Address{}, errElsewhere }

// Done is never closed.
func (*Server) Done() <-chan struct{} { return nil }

// Stop does nothing.
func (*Server) Stop(context.Context) error { return nil }
