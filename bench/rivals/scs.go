package rivals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/rivals/internal/handshake"
)

// SCSName is the name of alexedwards/scs with its pgxstore in results.
const SCSName = "alexedwards/scs"

// SCSPath is where [StartSCS]'s server has its sessions: GET reads one and answers with its data, and POST writes it as
// well.
const SCSPath = handshake.SessionPath

const (
	serverPackage = "github.com/latchkey-sessions/latchkey/bench/rivals/scsserver"
	readyPatience = 5 * time.Minute // to make the sessions
	stopPatience  = 10 * time.Second
)

// SCS measures requests to a server with scs' middleware LoadAndSave: one that reads the session, and one that writes
// it too.
func SCS(ctx context.Context, cfg Config) ([]Result, error) {
	results, err := scs(ctx, cfg)
	if err != nil {
		return results, fmt.Errorf("%s: %w", SCSName, err)
	}

	return results, nil
}

func scs(ctx context.Context, cfg Config) (_ []Result, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return nil, err
	}
	if err := requireDurable(ctx, cfg.DatabaseURL); err != nil {
		return nil, err
	}
	cfg.Log(SCSName + ": go build, and making the sessions")
	server, err := startSCS(ctx, handshake.Start{
		DatabaseURL: cfg.DatabaseURL, Connections: cfg.Connections, Sessions: cfg.Sessions, Data: cfg.Data,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()

	var results []Result
	for _, operation := range []struct{ name, method string }{
		{"read over HTTP", http.MethodGet},
		{"read and write over HTTP", http.MethodPost},
	} {
		result, err := server.measure(ctx, cfg, operation.method)
		if err != nil {
			return results, fmt.Errorf("%s: %w", operation.name, err)
		}
		result.Name, result.Operation = SCSName, operation.name
		result.log(cfg.Log)
		results = append(results, result)
	}

	return results, nil
}

// StartSCS starts a server with scs in a process of its own, for a caller that brings its own load: it answers at
// [SCSPath]. cookies has a value for the header Cookie for each session, whose data is [DefaultData]. The server has as
// many connections to PostgreSQL as the URL's pool_max_conns says. The caller has to stop it.
//
// It is built with the go command, which has to be called from inside this module.
func StartSCS(ctx context.Context, databaseURL string, sessions int) (baseURL string, cookies []string, stop func(), err error) {
	server, err := startSCS(ctx, handshake.Start{DatabaseURL: databaseURL, Sessions: sessions, Data: DefaultData})
	if err != nil {
		return "", nil, nil, fmt.Errorf("%s: %w", SCSName, err)
	}

	return server.URL, server.Cookies, func() { _ = server.stop() }, nil
}

// scsServer is a running server.
type scsServer struct {
	handshake.Ready
	pid  int
	stop func() error
}

func startSCS(ctx context.Context, start handshake.Start) (*scsServer, error) {
	dir, err := os.MkdirTemp("", "latchkey-bench-scs-")
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "scsserver")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, serverPackage) //nolint:gosec // a folder of our own
	if output, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("go build, from inside the module bench: %w: %s", err, tail(output)), os.RemoveAll(dir))
	}

	server, err := launchSCS(ctx, binary, start)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	end := server.stop
	server.stop = sync.OnceValue(func() error { return errors.Join(end(), os.RemoveAll(dir)) })

	return server, nil
}

func launchSCS(ctx context.Context, binary string, start handshake.Start) (*scsServer, error) {
	input, err := json.Marshal(start)
	if err != nil {
		return nil, err
	}

	// It is killed with ctx, or where it does not end by itself.
	ctx, kill := context.WithCancel(ctx)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, binary)
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		kill()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		kill()
		return nil, err
	}

	slow := time.AfterFunc(readyPatience, kill)
	server := &scsServer{pid: cmd.Process.Pid}
	_, err = stdin.Write(input)
	if err == nil {
		err = json.NewDecoder(stdout).Decode(&server.Ready)
	}
	slow.Stop()
	if err != nil {
		kill()
		_ = cmd.Wait() // what it said is the reason
		return nil, errors.Join(err, errors.New(tail(stderr.Bytes())))
	}
	server.stop = func() error {
		defer kill()
		defer time.AfterFunc(stopPatience, kill).Stop()
		err := stdin.Close()
		if waitErr := cmd.Wait(); waitErr != nil {
			err = errors.Join(err, waitErr, errors.New(tail(stderr.Bytes())))
		}

		return err
	}

	return server, nil
}
