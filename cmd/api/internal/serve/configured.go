package serve

import (
	"context"
	"errors"
	"log/slog"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
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

// canStartWithout reports whether the service can start while the first shard does not answer: copies of the list of shards
// have all that the settings name and no other, and copies of the signing keys have those, if they are in PostgreSQL. It
// fills in [service.away].
func (s *service) canStartWithout(ctx context.Context, db database.Pools, id identity) bool {
	if !s.Sharded() {
		return false
	}
	entries := database.CopiedShards(ctx, s.Database)
	further, err := s.openShards(ctx, entries)
	if err != nil {
		return false
	}
	defer further.close()
	quiet := *s
	quiet.log = slog.New(slog.DiscardHandler) // the keys are opened once more
	if _, err := quiet.openKeys(ctx, db, further.copies(), &id, &sessionstore.Config{}); err != nil {
		return false
	}
	s.away = entries
	return true
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
