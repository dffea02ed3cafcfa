//go:build unix

package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

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
