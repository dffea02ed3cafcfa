// Package servers runs this program once more, as the servers that the service is compared with: a program that is
// measured as a server must be a separate process, as the service is.
package servers

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// Argument makes this program such a server, as its only argument: it has to call [Serve] then.
const Argument = "bench-server"

// Kind is what a server is: one of [Limits], [Edge] and [SCS].
type Kind interface {
	handler(ctx context.Context, about *About) http.Handler
}

func init() {
	for _, kind := range []Kind{Limits{}, Edge{}, SCS{}} {
		gob.Register(kind)
	}
}

// Server is such a process, with a client of it. It ends with its standard input, so that none outlives this program.
type Server struct {
	*load.Client
	About

	cmd   *exec.Cmd
	input io.Closer
	said  strings.Builder // what it complains of
}

// About is what the process says of itself.
type About struct {
	// Listens is at which address it does.
	Listens string
	// Tokens are what [Limits]' paths accept.
	Tokens map[string]string
	// Cookies are one for each session of [SCS], as in the header Cookie, and Versions those of its modules.
	Cookies  []string
	Versions string
}

// Start runs a server.
func Start(ctx context.Context, kind Kind) *Server {
	s := &Server{cmd: exec.CommandContext(context.WithoutCancel(ctx), must.Get(os.Executable()), Argument)} //nolint:gosec // it is this program
	s.cmd.Stderr = &s.said
	input, output := must.Get(s.cmd.StdinPipe()), must.Get(s.cmd.StdoutPipe())
	must.Do(s.cmd.Start())
	s.input = input
	must.Do(gob.NewEncoder(input).Encode(&kind))
	err := gob.NewDecoder(output).Decode(&s.About)
	s.Client = load.NewClient(s.Listens)
	if err != nil {
		must.Do(errors.Join(fmt.Errorf("the server does not say where it is: %w", err), must.Run(s.Stop)))
	}
	return s
}

// Pid returns the process' number.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Stop ends it.
func (s *Server) Stop() {
	s.Close()
	err := errors.Join(s.input.Close(), s.cmd.Wait())
	must.Hold(err == nil, "%w: %s", err, strings.TrimSpace(s.said.String()))
}

// Serve is the process: it reads its [Kind], says what it is, and serves until its standard input ends.
func Serve() {
	ctx := context.Background() // the end of the process ends it all
	var kind Kind
	must.Do(gob.NewDecoder(os.Stdin).Decode(&kind))
	listener := must.Get(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"))
	about := About{Listens: listener.Addr().String()}
	server := &http.Server{Handler: kind.handler(ctx, &about), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with the process
	must.Do(gob.NewEncoder(os.Stdout).Encode(about))
	must.Get(io.Copy(io.Discard, os.Stdin))
}

func answer(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body) // the client has gone away
}
