//go:build unix

// Package pgserver runs a private PostgreSQL server below a folder of the caller: for a service without its own
// database, and for tests.
//
// It promises that
//   - one process at a time owns the folder; a second one gets [ErrRunning], and may [Attach];
//   - whatever ended the last owner or its server (Ctrl-C, SIGKILL, a power cut, an interrupted first start), the next
//     [Start] finds the data and runs;
//   - the server listens only on a Unix socket, in a folder that only its own user can enter, and admits nobody
//     without the password that is stored with its data, in a file that only that user can read;
//   - no process that takes the server's place gets the password, or is taken for the server;
//   - no variable of libpq's (PGSERVICE, PGOPTIONS) has any effect: [Start] and [Attach] remove them from the
//     environment;
//   - the server ends with its owner, even if the owner is killed.
//
// PostgreSQL refuses to run as root. Started by root, it runs as the machine's `postgres` user, or else as `nobody`.
package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Config says which server to run.
type Config struct {
	// Dir is the folder that the caller owns; it is made if it is missing. The server's files are in Dir/postgres. If
	// the server runs as another user who cannot enter Dir, Dir/postgres is a link to a folder of its own below
	// /var/lib/latchkey. Required.
	Dir string

	// Loopback makes the server also listen on 127.0.0.1, and Address name that: for tests and benchmarks with something
	// between a client and its server. Any user of the machine can take such a port while the server is stopped.
	Loopback bool

	// Port is the port on 127.0.0.1, with Loopback. Zero means a free one, which the server keeps until the
	// process ends.
	Port int

	// From is the data of a server that was stopped, of the same version: where there is no database yet, a copy of it is
	// the beginning, with its password. For tests: a new one takes ten times as long.
	From string

	// Settings are PostgreSQL's own (`max_connections`), by name. They win over this package's.
	Settings map[string]string

	// Environment has more variables (`NAME=value`) for the server: for tests, which change its view of the machine.
	Environment []string

	// Programs are the PostgreSQL programs to use. Zero: the newest that [Find] finds, of the version that made the
	// data; where there are none, downloaded ones.
	Programs Programs

	// Logger logs slow operations and failures. Nil disables it. PostgreSQL's own log is Dir/postgres/postgres.log.
	Logger *slog.Logger
}

// Server is a running server, or one that was stopped and can be started again at the same address.
type Server struct {
	Address

	cfg      Config
	account  account
	programs Programs
	home     string // the real folder behind Dir/postgres

	mu      sync.Mutex // guards what follows
	lock    *os.File   // nil: not the owner of Dir
	process *process   // the latest one; nil before the first
}

// Start makes a database if there is none, starts the server and waits until it answers. ctx limits the start, not
// the server's lifetime.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("pgserver: Config.Dir is required")
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if err := forgetLibpq(); err != nil {
		return nil, err
	}

	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // another user runs the server; its data is 0700
		return nil, fmt.Errorf("pgserver: %w", err)
	}

	s := &Server{cfg: cfg}
	if s.lock, err = acquire(ctx, dir); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.release()
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}

	return s, nil
}

// Start starts the server again, at its former address, after [Server.Stop], [Server.Kill] or a crash. Starting a
// running server does nothing.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.process != nil && !s.process.ended() {
		return nil
	}
	if s.lock == nil {
		lock, err := acquire(ctx, s.cfg.Dir)
		if err != nil {
			return err
		}
		s.lock = lock
	}
	if err := s.launch(ctx); err != nil {
		s.release()
		return err
	}

	return nil
}

// Done is closed when the server has ended, for whatever reason. A server that is started again has a new one.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.process.done
}

// prepare decides who runs the server, where and from which programs, and makes the database if there is none.
func (s *Server) prepare(ctx context.Context) error {
	var err error
	if s.account, err = accountFor(filepath.Join(s.cfg.Dir, homeName, dataName)); err != nil {
		return err
	}
	if s.home, err = openHome(ctx, s.cfg.Dir, s.account); err != nil {
		return err
	}
	if s.programs, err = s.choosePrograms(ctx); err != nil {
		return err
	}

	removeUnfinished(s.home)
	data := filepath.Join(s.home, dataName)
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		began := time.Now()
		if err := makeCluster(ctx, s.home, s.initialise()); err != nil {
			return err
		}
		s.cfg.Logger.InfoContext(ctx, "made a PostgreSQL database", "dir", s.home, "version", s.programs.Version(), "took_seconds", float64(time.Since(began).Milliseconds())/1000)
	}
	if s.password, err = readPassword(data); err != nil {
		return err
	}
	s.port, s.loopback = s.cfg.Port, s.cfg.Loopback
	if !s.loopback {
		s.port = socketPort
	}
	s.socket, err = chooseSocketDir(ctx, s.home, s.account)

	return err
}

// initialise returns the way to make the data of a new database.
func (s *Server) initialise() func(context.Context, string) error {
	if s.cfg.From != "" {
		return copyOf(s.cfg.From)
	}

	return initCluster(s.account, s.programs, s.cfg.Settings["fsync"] == "off")
}

// choosePrograms returns programs that can run the existing data. A data folder belongs to one major version.
func (s *Server) choosePrograms(ctx context.Context) (Programs, error) {
	major, err := clusterMajor(filepath.Join(s.home, dataName))
	if err != nil {
		return Programs{}, err
	}

	have := []Programs{s.cfg.Programs}
	if s.cfg.Programs.Bin == "" {
		cache := cacheDir(s.account, s.home)
		have, err = obtain(ctx, s.account, search{patterns: installed(cache), path: "postgres"}, download{cache: cache, logger: s.cfg.Logger}, major)
		if err != nil {
			return Programs{}, err
		}
	}
	for _, p := range have {
		if major == 0 || p.Major == major {
			return p, nil
		}
	}

	return Programs{}, fmt.Errorf("pgserver: the database in %s was made by PostgreSQL %d, and there is only PostgreSQL %s here: "+
		"install PostgreSQL %d, or delete the folder to begin with an empty database", filepath.Join(s.cfg.Dir, homeName), major, versions(have), major)
}

// settings returns the command line's -c options, sorted, so that a start can be repeated from the process list.
func (s *Server) settings() []string {
	all := map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": s.socket.path,
		"unix_socket_permissions": "0700",
		"log_checkpoints":         "off",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
	}
	if s.loopback {
		all["listen_addresses"] = "127.0.0.1"
	}
	maps.Copy(all, s.cfg.Settings)

	options := make([]string, 0, 2*len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		options = append(options, "-c", name+"="+all[name])
	}

	return options
}

// release gives up ownership of Dir.
func (s *Server) release() {
	if s.lock != nil {
		_ = s.lock.Close() // closing is what unlocks; nothing was written that could be lost
		s.lock = nil
	}
	if err := s.socket.remove(); err != nil {
		s.cfg.Logger.Warn("the folder of the server's socket is left behind", "error", err)
	}
}
