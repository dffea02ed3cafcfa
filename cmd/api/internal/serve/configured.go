package serve

import (
	"context"
	"errors"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// onConfigured serves on the database of LATCHKEY_DATABASE_URL. It does not migrate the schema: with many replicas, an
// operator decides when that happens.
func (s *service) onConfigured(ctx context.Context) error {
	id, err := s.identify("", "")
	if err != nil {
		return err
	}
	db, err := database.Open(ctx,
		database.Source{URL: string(s.DatabaseURL), Pooled: s.Pooled(), Again: s.environment.Again("LATCHKEY_DATABASE_URL"), Share: s.share(string(s.DatabaseURL))},
		database.Source{URL: string(s.DirectDatabaseURL), Again: s.environment.Again("LATCHKEY_DIRECT_DATABASE_URL")},
		s.traces.database())
	if err != nil {
		return err
	}
	defer db.Close()
	// A database that cannot be used, or is not migrated, is detected before anything is
	// served.
	err = s.awaitDatabase(ctx, func() error {
		err := migrations.Check(ctx, db.Requests)
		if err != nil && mayCome(err) && s.canStartWithout(ctx, db, id) {
			s.log.WarnContext(ctx, "the first shard does not answer: starting on the others", "error", err)
			return nil
		}
		return err
	})
	if errors.Is(err, migrations.ErrBehind) || errors.Is(err, migrations.ErrSchema) {
		return err
	} else if err != nil {
		return unusable(err)
	}
	if s.away == nil {
		if err := s.checkRights(ctx, db); err != nil {
			return err
		}
	}
	return s.serve(ctx, db, id, func() error {
		s.log.InfoContext(ctx, "ready", "version", s.version, "issuer", s.publicURL(),
			"public", s.public.Addr().String(), "internal", s.internal.Addr().String())
		return nil
	})
}

// checkRights finds out what requests would fail at.
func (s *service) checkRights(ctx context.Context, db database.Pools) error {
	if err := migrations.CheckRights(ctx, db.Requests); errors.Is(err, migrations.ErrNoRight) {
		return err
	} else if err != nil {
		return unusable(err)
	}
	if newer, err := migrations.Newer(ctx, db.Requests); err != nil {
		return unusable(err)
	} else if newer != 0 {
		s.log.InfoContext(ctx, "the database schema is newer than this program, which works", "schema", newer)
	}
	return nil
}
