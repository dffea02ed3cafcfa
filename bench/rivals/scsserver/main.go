// Command scsserver serves sessions of alexedwards/scs over HTTP, to be measured: it reads what to do from its standard
// input, says on its standard output that it is ready, and ends with its standard input. Package rivals starts it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/rivals/internal/handshake"
)

func main() {
	if err := run(context.Background(), os.Stdin, os.Stdout); err != nil {
		slog.New(slog.NewTextHandler(os.Stderr, nil)).Error("scsserver ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, in io.Reader, out io.Writer) error {
	var start handshake.Start
	if err := json.NewDecoder(in).Decode(&start); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(start.DatabaseURL)
	if err != nil {
		return err
	}
	if start.Connections > 0 {
		config.MaxConns = int32(min(start.Connections, 10_000))
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()

	manager := newManager(pool)
	cookies, err := makeSessions(ctx, pool, manager, start.Sessions, []byte(start.Data))
	if err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(manager, []byte(start.Data)), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	ready := handshake.Ready{URL: "http://" + listener.Addr().String(), Cookies: cookies, Versions: versions()}
	if err := json.NewEncoder(out).Encode(ready); err != nil {
		return errors.Join(err, server.Close())
	}

	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	select {
	case err = <-served:
		return err
	case err = <-ended:
		return errors.Join(err, server.Close())
	}
}

// versions names what is measured, as this program was built from it.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version"
	}
	var names []string
	for _, module := range info.Deps {
		if name, ok := strings.CutPrefix(module.Path, "github.com/alexedwards/"); ok {
			names = append(names, name+" "+module.Version)
		}
	}

	return strings.Join(names, ", ")
}
