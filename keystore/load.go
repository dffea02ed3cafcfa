package keystore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

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

// row is the part of a key that a ring needs.
type row struct {
	id, sealed string
	state      State
}

const loadQuery = `
SELECT k."id", k."state", s."sealed"
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
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s.ring, nil
}

// Refresh is for [tokens.Config].MissingKey: after it, the ring is no older than
// its call. Concurrent calls share a read.
func (s *Store) Refresh() error {
	called := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun.After(called) {
		return s.failed
	}
	time.Sleep(refreshRest - time.Since(s.begun))
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	return s.load(ctx)
}

func (s *Store) load(ctx context.Context) error {
	s.begun = time.Now()
	s.failed = s.read(ctx)
	s.primary.See(ctx, s.pool, s.failed)
	return s.failed
}

func (s *Store) read(ctx context.Context) error {
	result, err := s.pool.Query(ctx, loadQuery)
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	rows, err := pgx.CollectRows(result, func(r pgx.CollectableRow) (k row, err error) {
		return k, r.Scan(&k.id, &k.state, &k.sealed)
	})
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	if len(rows) == 0 || rows[0].state != Signing {
		return ErrNoKeys
	}
	if slices.Equal(rows, s.rows) {
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
	s.ring, s.rows = ring, rows
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
