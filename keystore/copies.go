package keystore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// copyTimeout is how long a database with a copy may take.
const copyTimeout = 2 * time.Second

// Copy is a further database with the same schema, which keeps a copy of the keys, sealed as
// they are.
type Copy struct {
	// Name is what the log calls it.
	Name string
	Pool *pgxpool.Pool
}

// keyCopy is a copy, and how it was when it was looked at last.
type keyCopy struct {
	Copy

	primary   primary.Watch
	isFailing bool // guarded by [Store.syncing]
}

// keySet are all keys of a database, as they are in its rows.
type keySet struct {
	version int64
	keys    []storedKey
}

type storedKey struct {
	id, algorithm, sealed string
	createdAt, signsFrom  time.Time
	verifiesUntil         *time.Time
}

func (k storedKey) equal(other storedKey) bool {
	sameEnd := k.verifiesUntil == nil && other.verifiesUntil == nil ||
		k.verifiesUntil != nil && other.verifiesUntil != nil && k.verifiesUntil.Equal(*other.verifiesUntil)
	return sameEnd && k.id == other.id && k.algorithm == other.algorithm && k.sealed == other.sealed &&
		k.createdAt.Equal(other.createdAt) && k.signsFrom.Equal(other.signsFrom)
}

func (s keySet) equal(other keySet) bool {
	return s.version == other.version && slices.EqualFunc(s.keys, other.keys, storedKey.equal)
}

// setQuery has one row without a key where there is none.
const setQuery = `
SELECT v."version", k."id", k."algorithm", k."sealed", k."createdAt", k."signsFrom", k."verifiesUntil"
FROM (SELECT COALESCE(max("version"), 0) AS "version" FROM "sessionStoreSigningKeySet") v
LEFT JOIN "sessionStoreSigningKey" k ON true
WHERE ` + primary.Only + ` ORDER BY k."id"`

// querier is a pool, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readSet(ctx context.Context, db querier) (set keySet, err error) {
	rows, _ := db.Query(ctx, setQuery) // rows have its error
	var id, algorithm, sealed *string
	var createdAt, signsFrom, verifiesUntil *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&set.version, &id, &algorithm, &sealed, &createdAt, &signsFrom, &verifiesUntil}, func() error {
		if id != nil {
			set.keys = append(set.keys, storedKey{*id, *algorithm, *sealed, *createdAt, *signsFrom, verifiesUntil})
		}
		return nil
	}); err != nil {
		return keySet{}, fmt.Errorf("read the signing keys: %w", err)
	}
	return set, nil
}

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

const (
	bumpQuery = `
INSERT INTO "sessionStoreSigningKeySet" ("version") VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT ("one") DO UPDATE SET "version" = GREATEST("sessionStoreSigningKeySet"."version" + 1, EXCLUDED."version")`

	setVersionQuery = `
INSERT INTO "sessionStoreSigningKeySet" ("version") VALUES ($1) ON CONFLICT ("one") DO UPDATE SET "version" = EXCLUDED."version"`

	deleteOthersQuery = `DELETE FROM "sessionStoreSigningKey" WHERE "id" <> ALL ($1::text[])`

	// storeQuery leaves "storedAt" of a key as it is, unless the key's time to sign was changed.
	storeQuery = `
INSERT INTO "sessionStoreSigningKey" AS k ("id", "algorithm", "sealed", "createdAt", "signsFrom", "verifiesUntil") VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT ("id") DO UPDATE SET "algorithm" = EXCLUDED."algorithm", "sealed" = EXCLUDED."sealed", "createdAt" = EXCLUDED."createdAt",
  "signsFrom" = EXCLUDED."signsFrom", "verifiesUntil" = EXCLUDED."verifiesUntil",
  "storedAt" = CASE WHEN k."signsFrom" = EXCLUDED."signsFrom" THEN k."storedAt" ELSE EXCLUDED."storedAt" END`
)

// replace has the rows be those of the set, for whoever holds the lock.
func replace(ctx context.Context, tx pgx.Tx, set keySet) error {
	ids := make([]string, len(set.keys))
	for i, k := range set.keys {
		ids[i] = k.id
	}
	if _, err := tx.Exec(ctx, deleteOthersQuery, ids); err != nil {
		return err
	}
	for _, k := range set.keys {
		if _, err := tx.Exec(ctx, storeQuery, k.id, k.algorithm, k.sealed, k.createdAt, k.signsFrom, k.verifiesUntil); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, setVersionQuery, set.version)
	return err
}

// adopt takes over the newest copy, if it is newer than the keys: the database has lost its
// latest commits, or was restored. A key that was revoked stays so, and one that has signed
// for sessions in other databases goes on verifying.
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

var errNotOpened = errors.New("it is newer than the keys, and this sealing key does not open it")

// sync has keys that are older than a copy replaced by it, and then the copies written that
// differ from the keys. What cannot be reached is done at a later call.
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
		return // whoever reads the keys tells of it
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

// loadCopy reads the keys from the newest copy that can be read, while their own database cannot
// be. An older copy never replaces what is in use already.
func (s *Store) loadCopy(ctx context.Context) error {
	copies, errs := s.readCopies(ctx)
	i, found := s.newer(s.version-1, copies)
	if !found {
		return errors.Join(append(errs, ErrNoKeys)...)
	}
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	version, rows, err := readRows(ctx, s.copies[i].Pool)
	if err == nil && version < s.version {
		err = errors.New("the copy was replaced meanwhile")
	}
	if err == nil {
		err = s.take(ctx, version, rows)
	}
	if err != nil {
		return err
	}
	if !s.isCopy {
		s.cfg.Logger.WarnContext(ctx, "the database with the signing keys does not answer: they are taken from a copy", "copy", s.copies[i].Name)
		s.isCopy = true
	}
	return nil
}

// elsewhereQuery returns from when on the newest of a copy's keys signs that everybody who reads the
// copy has had for $1, and the day on which the last refresh token expires.
const elsewhereQuery = `
SELECT (SELECT max("signsFrom") FROM "sessionStoreSigningKey" WHERE "verifiesUntil" IS NULL AND GREATEST("signsFrom", "storedAt") <= clock_timestamp() - $1::interval),
  (SELECT max("expiresOn") FROM "sessionStoreToken" WHERE "expiresOn" IS NOT NULL)
WHERE ` + primary.Only + `
`

// elsewhere is what the databases of the copies say about replaced keys.
type elsewhere struct {
	// signs is since when a key signs that all replicas have, whichever copy they read: nobody signs
	// with an earlier one. Nil without copies.
	signs *time.Time
	// last is the day on which the last of the refresh tokens expires whose sessions are there, nil for none.
	last *time.Time
}

// askCopies is known where all databases of copies answer, and have had a copy for long enough. A
// replica that reaches one of them and not the keys' own signs with what is in the copy.
func (s *Store) askCopies(ctx context.Context) (e elsewhere, isKnown bool) {
	signs, days, errs := make([]*time.Time, len(s.copies)), make([]*time.Time, len(s.copies)), make([]error, len(s.copies))
	s.eachCopy(ctx, func(ctx context.Context, i int, c *keyCopy) {
		errs[i] = c.Pool.QueryRow(ctx, elsewhereQuery, settleAfter).Scan(&signs[i], &days[i])
	})
	if err := errors.Join(errs...); err != nil {
		s.cfg.Logger.WarnContext(ctx, "nobody can tell until when replaced signing keys are needed: they stay", "error", err)
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
