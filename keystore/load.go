package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// refreshRest is the minimum time between two reads for tokens with unknown
	// keys: nothing can make a replica read more often.
	refreshRest    = 100 * time.Millisecond
	refreshTimeout = 2 * time.Second
)

// ErrNoKeys says that no key signs.
var ErrNoKeys = errors.New("there is no signing key")

const loadQuery = `
SELECT (SELECT COALESCE(max("version"), 0) FROM "sessionStoreSigningKeySet"), k."id", k."state", s."sealed"
FROM (SELECT ` + keyColumns + ` AS "state" FROM "sessionStoreSigningKey") k
JOIN "sessionStoreSigningKey" s USING ("id")
WHERE (k."verifiesUntil" IS NULL OR k."verifiesUntil" > clock_timestamp()) AND ` + primary.Only + `
ORDER BY k."state" = 'signs' DESC, k."signsFrom" DESC, k."id" DESC`

// Load reads the keys and returns their ring, whose first key signs. If they
// have changed, the function of [Store.OnChange] is called first. It fails with
// [ErrNoKeys] if there are none, and with [tokens.ErrSealed] if one does not
// open.
func (s *Store) Load(ctx context.Context) (*tokens.KeyRing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx, pollTimeout); err != nil {
		return nil, err
	}
	return s.ring, nil
}

// Refresh is for [tokens.Config].MissingKey: after it, the ring is no older than
// its call. Calls at the same time share a read. It fails while the keys' own database does
// not answer: another replica may have read a newer key there than the copies have.
func (s *Store) Refresh() error {
	called := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun.After(called) {
		return s.failed
	}
	time.Sleep(refreshRest - time.Since(s.begun))
	s.syncWithin(refreshTimeout / 2) // a database that has lost a key may get it back
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout+s.copiesTimeout())
	defer cancel()
	_ = s.load(ctx, refreshTimeout) // what it notes of the database decides
	return s.failed
}

func (s *Store) syncWithin(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s.sync(ctx)
}

// load reads the keys from their database or, where that does not answer within the patience, from
// a copy. Without copies the patience is ctx's.
func (s *Store) load(ctx context.Context, patience time.Duration) error {
	s.begun = time.Now()
	own, cancel := context.WithCancel(ctx)
	if len(s.copies) > 0 {
		own, cancel = context.WithTimeout(ctx, patience)
	}
	defer cancel()
	version, rows, err := readRows(own, s.pool)
	if err == nil && version < s.version {
		s.sync(own) // it has lost its latest commits
		version, rows, err = readRows(own, s.pool)
	}
	s.primary.See(ctx, s.pool, err)
	if s.failed = err; err != nil {
		if len(s.copies) > 0 && s.loadCopy(ctx) == nil {
			return nil
		}
		return err
	}
	if s.failed = s.take(ctx, version, rows); s.failed == nil && s.isCopy {
		s.cfg.Logger.InfoContext(ctx, "the database with the signing keys answers again")
		s.isCopy = false
	}
	return s.failed
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

func readRows(ctx context.Context, pool *pgxpool.Pool) (version int64, rows []row, err error) {
	result, _ := pool.Query(ctx, loadQuery) // rows have its error
	rows, err = pgx.CollectRows(result, func(r pgx.CollectableRow) (k row, err error) {
		return k, r.Scan(&version, &k.id, &k.state, &k.sealed)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("read the signing keys: %w", err)
	}
	return version, rows, nil
}

// take has the rows' keys be those in use.
func (s *Store) take(ctx context.Context, version int64, rows []row) error {
	if len(rows) == 0 || rows[0].state != Signing {
		return ErrNoKeys
	}
	if slices.Equal(rows, s.rows) {
		s.version = version
		return nil
	}
	ring, err := s.ringOf(rows)
	if err != nil {
		return err
	}
	for _, f := range s.onChange {
		if err := f(ring); err != nil {
			return err
		}
	}
	if s.rows != nil {
		s.cfg.Logger.InfoContext(ctx, "the signing keys changed", "signs", rows[0].id, "keys", len(rows))
	}
	s.ring, s.rows, s.version = ring, rows, version
	return nil
}

// ringOf opens the keys.
func (s *Store) ringOf(rows []row) (*tokens.KeyRing, error) {
	keys := make([]json.RawMessage, len(rows))
	for i, r := range rows {
		jwk, _, err := s.open(r.sealed, r.id)
		if err != nil {
			return nil, err
		}
		keys[i] = json.RawMessage(jwk)
	}
	set, err := jwkSet(keys...)
	if err != nil {
		return nil, err
	}
	return tokens.ParseKeyRing(set)
}

func jwkSet(keys ...json.RawMessage) ([]byte, error) {
	set, err := json.Marshal(map[string][]json.RawMessage{"keys": keys})
	if err != nil {
		return nil, errors.New("a signing key is not a JWK") // the error could quote it
	}
	return set, nil
}

const listQuery = `
SELECT ` + keyColumns + ` FROM "sessionStoreSigningKey"
WHERE "verifiesUntil" IS NULL OR "verifiesUntil" > clock_timestamp()
ORDER BY "signsFrom" DESC, "id" DESC`

// List returns the keys, the newest first. It opens none.
func (s *Store) List(ctx context.Context) ([]Key, error) {
	rows, err := s.pool.Query(ctx, listQuery)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, scanKey)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	return keys, nil
}
