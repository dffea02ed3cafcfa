// Package child runs this program once more as a server: what is measured as a server has to be a process of its own,
// as the service is.
package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Process is a child. It ends with its standard input, so that none outlives this program.
type Process struct {
	cmd   *exec.Cmd
	input io.Closer
	said  strings.Builder // what it complains of
}

// Start runs this program with the one argument, which has it call [Serve], tells it in, and reads out from it.
func Start(ctx context.Context, argument string, in, out any) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: exec.CommandContext(ctx, self, argument)} //nolint:gosec // it is this program
	p.cmd.Stderr = &p.said
	input, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.input = input
	if err := json.NewEncoder(input).Encode(in); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	if err := json.NewDecoder(bufio.NewReader(output)).Decode(out); err != nil {
		return nil, errors.Join(fmt.Errorf("the %s does not say where it is: %w", argument, err), p.Stop())
	}

	return p, nil
}

// Pid returns the process' number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop ends it.
func (p *Process) Stop() error {
	err := errors.Join(p.input.Close(), p.cmd.Wait())
	if err != nil {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(p.said.String()))
	}

	return err
}

// Serve is what the child does: it calls start with what it was told, says what that returns, and waits for the end of
// its input.
func Serve[In, Out any](start func(In) (Out, error)) error {
	decoder := json.NewDecoder(os.Stdin)
	var in In
	if err := decoder.Decode(&in); err != nil {
		return err
	}
	out, err := start(in)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)

	return err
}

// Listen serves the handler on the loopback interface until the process ends, and returns the address.
func Listen(handler http.Handler) (string, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // it ends with the process

	return listener.Addr().String(), nil
}
