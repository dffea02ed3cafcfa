package sessionstore

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// core is the part of a store that does not depend on where sessions are kept: it checks
// its input, makes tokens, and verifies them.
type core struct {
	tokens *signing
	clock  *clock
	cfg    Config
	rules  refresh.Rules
	// provers are the clients that must prove possession of a key.
	provers []string
	data    sealing
}

func newCore(keys *tokens.KeyRing, cfg Config) (core, error) {
	if keys == nil {
		return core{}, errors.New("sessionstore: a key ring is required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return core{}, err
	}
	if cfg.Tokens.Now == nil {
		cfg.Tokens.Now = time.Now
	}
	told := &clock{own: cfg.Tokens.Now}
	cfg.Tokens.Now = told.now
	signing, err := newSigning(keys, cfg.Tokens)
	if err != nil {
		return core{}, err
	}
	return core{
		tokens: signing, clock: told, cfg: cfg, rules: cfg.rules(), provers: cfg.provers(),
		data: sealing{cfg.Sealer, cfg.SealedOnly, new(atomic.Int64)},
	}, nil
}

// Pair is the state of a session's token pair: what a store keeps in addition to the
// [Session]. Only a Core changes it.
type Pair = refresh.Pair

// Decision is the verdict about a refresh token: its Outcome, and in Next the pair to
// store and return.
type Decision = refresh.Decision

// Core is the part that all stores of sessions share, wherever they keep them: it checks
// parameters, makes and verifies tokens, and decides what they allow. It stores nothing and
// locks nothing. [Store] is built on one, for PostgreSQL; package memstore is another store.
// Package sessiontest checks that a store keeps its promises.
//
// The time that its methods are given is the store's, and the same for all users of the
// store.
type Core struct{ core core }

// NewCore fails if [New] would, and if cfg sets anything that is only for PostgreSQL.
func NewCore(keys *tokens.KeyRing, cfg Config) (*Core, error) {
	switch {
	case cfg.Sealer != nil, cfg.SealedOnly, cfg.CompasSigningKey != "", cfg.Direct != nil, cfg.Leaks != nil, len(cfg.Observers) > 0:
		return nil, errors.New("sessionstore: Sealer, SealedOnly, CompasSigningKey, Direct, Leaks and Observers are for sessions in PostgreSQL: leave them out")
	}
	core, err := newCore(keys, cfg)
	if err != nil {
		return nil, err
	}
	return &Core{core}, nil
}

// Config is the configuration, with defaults.
func (c *Core) Config() Config { return c.core.cfg }

// Sign makes the pair's tokens. The same pair gives the same tokens.
func (c *Core) Sign(p Pair, now time.Time) (TokenPair, error) { return c.core.tokens.sign(p, now) }

// Verify returns the claims of a token that was issued here, of either type, and does not
// compare its times: the pair decides.
func (c *Core) Verify(token string) (tokens.Claims, error) { return c.core.tokens.verifyAny(token) }

// VerifyAccess is [Core.Verify] for an access token.
func (c *Core) VerifyAccess(token string) (tokens.Claims, error) {
	return c.core.tokens.verify(token, tokens.AccessToken)
}
