package keystore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// copyTimeout is how long a database with a copy may take.
const copyTimeout = 2 * time.Second

// copiesTimeout is how long it may take to find and to read the newest copy, if there are any.
func (s *Store) copiesTimeout() time.Duration {
	if len(s.copies) == 0 {
		return 0
	}
	return 2 * copyTimeout
}

// eachCopy calls do for all copies at once, with their places in s.copies.
func (s *Store) eachCopy(ctx context.Context, do func(ctx context.Context, i int, c *keyCopy)) {
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	var all sync.WaitGroup
	for i, c := range s.copies {
		all.Go(func() { do(ctx, i, c) })
	}
	all.Wait()
}

// readCopies returns the copies that can be read, and the errors of those that cannot, at their
// places in s.copies.
func (s *Store) readCopies(ctx context.Context) ([]keySet, []error) {
	sets, errs := make([]keySet, len(s.copies)), make([]error, len(s.copies))
	s.eachCopy(ctx, func(ctx context.Context, i int, c *keyCopy) {
		sets[i], errs[i] = readSet(ctx, c.Pool)
		c.primary.See(ctx, c.Pool, errs[i])
	})
	return sets, errs
}

// newer is the newest of the copies, if it is newer than a version. One whose keys do not all
// open is none.
func (s *Store) newer(version int64, copies []keySet) (newest int, found bool) {
	for i, set := range copies {
		if set.version <= version || len(set.keys) == 0 || s.opens(set) != nil {
			continue
		}
		newest, version, found = i, set.version, true
	}
	return newest, found
}

func (s *Store) opens(set keySet) error {
	for _, k := range set.keys {
		if _, _, err := s.open(k.sealed, k.id); err != nil {
			return err
		}
	}
	return nil
}

// adopt takes over the newest copy, if it is newer than the keys: the database has lost its
// latest commits, or was restored. A key that was revoked stays so, and one that has signed for sessions in other
// databases continues to verify.
func (s *Store) adopt(ctx context.Context, tx pgx.Tx, copies []keySet) (adopted bool, err error) {
	if len(copies) == 0 {
		return false, nil
	}
	own, err := readSet(ctx, tx)
	if err != nil {
		return false, err
	}
	i, found := s.newer(own.version, copies)
	if !found {
		return false, nil
	}
	if err := replace(ctx, tx, copies[i]); err != nil {
		return false, err
	}
	s.cfg.Logger.WarnContext(ctx, "the signing keys in the database were older than a copy of them, and were replaced by it", "copy", s.copies[i].Name)
	return true, nil
}

// settleAfter is how long after its replacement a key has certainly signed its
// last token: replicas change over within a [Config].Poll. With copies, it is also
// how long after each of these has got the replacement.
const settleAfter = time.Hour

// elsewhereQuery returns since when the newest of the copy's keys signs that all readers of the
// copy have had for $1, and the day on which the last refresh token expires.
const elsewhereQuery = `
SELECT (SELECT max("signsFrom") FROM "sessionStoreSigningKey" WHERE "verifiesUntil" IS NULL AND GREATEST("signsFrom", "storedAt") <= clock_timestamp() - $1::interval),
  (SELECT max("expiresOn") FROM "sessionStoreToken" WHERE "expiresOn" IS NOT NULL)
WHERE ` + primary.Only

// elsewhere is what the databases of the copies say about replaced keys.
type elsewhere struct {
	// signs is since when a key signs that all replicas have, whichever copy they read: no replica
	// signs with an earlier one. Nil without copies.
	signs *time.Time
	// last is the day on which the last refresh token of the sessions there expires, nil for none.
	last *time.Time
}

// askCopies reports a result as known if all databases with copies answer, and have had a copy for long
// enough. A replica that reaches one of them and not the keys' own signs with a key in the copy.
func (s *Store) askCopies(ctx context.Context) (e elsewhere, isKnown bool) {
	signs, days, errs := make([]*time.Time, len(s.copies)), make([]*time.Time, len(s.copies)), make([]error, len(s.copies))
	s.eachCopy(ctx, func(ctx context.Context, i int, c *keyCopy) {
		errs[i] = c.Pool.QueryRow(ctx, elsewhereQuery, settleAfter).Scan(&signs[i], &days[i])
	})
	if err := errors.Join(errs...); err != nil {
		s.cfg.Logger.WarnContext(ctx, "it is not known until when replaced signing keys are needed: they stay", "error", err)
		return elsewhere{}, false
	}
	for i := range s.copies {
		if signs[i] == nil {
			return elsewhere{}, false // the copy is young
		}
		if e.signs == nil || signs[i].Before(*e.signs) {
			e.signs = signs[i]
		}
		if days[i] != nil && (e.last == nil || days[i].After(*e.last)) {
			e.last = days[i]
		}
	}
	return e, true
}
