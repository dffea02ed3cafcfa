package keystore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

var errNotOpened = errors.New("it is newer than the keys, and this sealing key does not open it")

// sync has keys that are older than a copy replaced by it, and then the copies written that
// differ from the keys. Databases that cannot be reached are updated by a later call.
func (s *Store) sync(ctx context.Context) {
	if len(s.copies) == 0 {
		return
	}
	select {
	case s.syncing <- struct{}{}:
		defer func() { <-s.syncing }()
	case <-ctx.Done():
		return
	}
	copies, errs := s.readCopies(ctx)
	own, err := s.readOwn(ctx, copies)
	if err != nil || len(own.keys) == 0 {
		return // the reader of the keys reports it
	}
	s.eachCopy(ctx, func(ctx context.Context, i int, c *keyCopy) {
		switch {
		case errs[i] != nil:
		case copies[i].version > own.version: // and it was read before
			errs[i] = errNotOpened
		case !copies[i].equal(own):
			errs[i] = writeCopy(ctx, c, own)
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return // which says nothing of the copy
		}
		switch isFailing := errs[i] != nil; {
		case isFailing && !c.isFailing:
			s.cfg.Logger.WarnContext(ctx, "a copy of the signing keys cannot be brought up to date yet", "copy", c.Name, "error", errs[i])
		case !isFailing && c.isFailing:
			s.cfg.Logger.InfoContext(ctx, "a copy of the signing keys is up to date again", "copy", c.Name)
		}
		c.isFailing = errs[i] != nil
	})
}

// readOwn returns the keys, after they were replaced by a copy that is newer.
func (s *Store) readOwn(ctx context.Context, copies []keySet) (keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	own, err := readSet(ctx, s.pool)
	if err != nil {
		return keySet{}, err
	}
	if _, found := s.newer(own.version, copies); !found {
		return own, nil
	}
	if err := s.changeOwn(ctx, copies, func(pgx.Tx) (bool, error) { return false, nil }); err != nil {
		return keySet{}, err
	}
	return readSet(ctx, s.pool)
}

// writeCopy replaces a copy, unless it is newer: then another replica has read the keys later.
func writeCopy(ctx context.Context, c *keyCopy, own keySet) error {
	return pgx.BeginFunc(ctx, isolation.Pool{Pool: c.Pool}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockQuery); err != nil {
			return err
		}
		now, err := readSet(ctx, tx)
		if err != nil || now.version > own.version {
			return err
		}
		return replace(ctx, tx, own)
	})
}
