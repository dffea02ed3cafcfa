package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/keyfiles"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// errServerEnded ends the service instead of restarting the private PostgreSQL: something is wrong that a person or a
// supervisor should see, and the service's next start recovers the database.
var errServerEnded = errors.New("the private PostgreSQL exited unexpectedly: see postgres/postgres.log in LATCHKEY_VAR_DIR, and start again")

// onPrivate serves on a private PostgreSQL, which it starts, migrates and stops.
func (s *service) onPrivate(ctx context.Context, stdout io.Writer) (err error) {
	dir := string(s.VarDir)
	server, err := database.StartServer(ctx, dir, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.StopServer(ctx, server)) }()
	if _, err := keyfiles.Init(dir, s.KeyAlgorithm.OfFirst()); err != nil {
		return err
	}
	id, err := s.identify(filepath.Join(dir, keyfiles.SigningKeys), filepath.Join(dir, keyfiles.ServiceKey))
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, database.Source{URL: server.URL(database.Embedded)}, database.Source{}, s.traces.database())
	if err != nil {
		return err
	}
	defer db.Close()
	if err := migrate(ctx, db); err != nil {
		return err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go cancelWhenEnded(ctx, cancel, server)
	err = s.serve(ctx, db, id, func() error { return s.greet(stdout) })
	if errors.Is(context.Cause(ctx), errServerEnded) {
		return errServerEnded
	}
	return err
}

func cancelWhenEnded(ctx context.Context, cancel context.CancelCauseFunc, server *pgserver.Server) {
	select {
	case <-server.Done():
		cancel(errServerEnded)
	case <-ctx.Done():
	}
}

// migrate first checks whether it is necessary: that is one query, and nearly always enough.
func migrate(ctx context.Context, db database.Pools) error {
	err := migrations.Check(ctx, db.Requests)
	if errors.Is(err, migrations.ErrBehind) {
		_, err = migrations.Up(ctx, db.Tasks)
	}
	if err != nil {
		return fmt.Errorf("the private database cannot be used: %w", err)
	}
	return nil
}
