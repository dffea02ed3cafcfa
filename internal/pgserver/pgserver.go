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
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
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

// Done is closed when the server has ended, for whatever reason. A server that is started again has a new one.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.process.done
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
		unlock(s.lock)
		s.lock = nil
	}
	if err := s.socket.remove(); err != nil {
		s.cfg.Logger.Warn("the folder of the server's socket is left behind", "error", err)
	}
}
