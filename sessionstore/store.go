package sessionstore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Store creates, reads, changes, refreshes and ends sessions. It may be used
// by many goroutines.
type Store struct {
	pool     *pgxpool.Pool
	signer   atomic.Pointer[tokens.Signer]
	verifier *tokens.Verifier
	compas   *tokens.CompasVerifier // nil where no session of Compas was taken over
	cfg      Config
	seen     confirmations
	turns    turns

	creations together[creation]
	readings  together[reading]
	rotations together[rotation]
}

// New returns a store on the caller's pool, whose schema must have been
// migrated. It asks the database nothing and starts no goroutine.
func New(pool *pgxpool.Pool, keys *tokens.KeyRing, cfg Config) (*Store, error) {
	if pool == nil || keys == nil {
		return nil, errors.New("sessionstore: a pool and a key ring are required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	signer, err := tokens.NewSigner(keys, cfg.Tokens)
	if err != nil {
		return nil, err
	}
	verifier, err := tokens.NewVerifier(keys, cfg.Tokens)
	if err != nil {
		return nil, err
	}
	store := &Store{pool: pool, verifier: verifier, cfg: cfg}
	store.creations.statement, store.readings.statement, store.rotations.statement = store.create, store.read, store.rotate
	store.signer.Store(signer)
	if cfg.CompasSigningKey != "" {
		if store.compas, err = tokens.NewCompasVerifier(cfg.CompasSigningKey, cfg.Tokens); err != nil {
			return nil, err
		}
	}
	return store, nil
}

const pingQuery = `SELECT count(*) FROM (SELECT "generation" FROM "sessionStoreToken" LIMIT 0) t`

// Ping asks the database whether it answers and has the tables.
func (s *Store) Ping(ctx context.Context) error {
	var n int
	if err := s.pool.QueryRow(ctx, pingQuery).Scan(&n); err != nil {
		return unavailable("ping", err)
	}
	return nil
}

// sign makes the pair's two JWTs. Their claims come from the row alone, so that
// the same row gives the same tokens. The refresh token has the subject, which
// no refresh then has to look up: it never changes.
func (s *Store) sign(p refresh.Pair, answeredAt time.Time) (TokenPair, error) {
	signer := s.signer.Load() // one for both tokens
	accessToken, err := signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: p.Subject, SessionID: p.SessionID,
		TokenID: p.ID, Generation: p.AccessGeneration,
		IssuedAt: p.MintedAt(), ExpiresAt: p.AccessExpiresAt, KeyThumbprint: p.BoundTo,
	})
	if err != nil {
		return TokenPair{}, err
	}
	refreshToken, err := signer.Sign(tokens.Claims{
		Type: tokens.RefreshToken, Subject: p.Subject, SessionID: p.SessionID,
		TokenID: p.ID, Generation: p.Generation,
		IssuedAt: p.CreatedAt, ExpiresAt: p.ExpiresAt, KeyThumbprint: p.BoundTo,
	})
	if err != nil {
		return TokenPair{}, err
	}
	return TokenPair{
		AccessToken: accessToken, RefreshToken: refreshToken,
		AccessTokenExpiresAt: p.AccessExpiresAt, RefreshTokenExpiresAt: p.ExpiresAt,
		AnsweredAt: answeredAt, KeyThumbprint: p.BoundTo,
	}, nil
}

// arg is an id as pgx encodes it directly: the type of the library would go
// through driver.Valuer and its text, which costs more than all other arguments.
func arg(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

func isNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

func seconds(d time.Duration) int { return int(d / time.Second) }

// orNull gives a column that is null where Go has the zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	there := v // so that only what is there is allocated
	return &there
}

func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
