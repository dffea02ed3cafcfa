package keystore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func TestAnotherSealingKeyOpensNothing(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	begun(t, pool, config(t))

	cfg := config(t)
	cfg.Sealer = sealer(t, sealingKey(2))
	other := newStore(t, pool, cfg)
	if _, err := other.Begin(t.Context(), ""); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("Begin: %v", err)
	}
	// Nor must it leave a key that no other replica can open.
	if _, _, err := other.Rotate(t.Context(), true); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("Rotate: %v", err)
	}
	if err := other.Maintain(t.Context()); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("Maintain: %v", err)
	}
	if n := count(t, pool); n != 1 {
		t.Errorf("%d keys, want 1", n)
	}
}

// Someone who can write to the table cannot put one key in another's
// place.
func TestSealedKeysCannotBeSwapped(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	s, _ := begun(t, pool, config(t))
	rotate(t, s, true)
	exec(t, pool, `UPDATE "sessionStoreSigningKey" k SET "sealed" = other."sealed" FROM "sessionStoreSigningKey" other WHERE other."id" <> k."id"`)
	if _, err := newStore(t, pool, config(t)).Load(t.Context()); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("swapped: %v", err)
	}
}

func TestSealedAnew(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	first, ring := begun(t, pool, config(t))
	rotate(t, first, false)

	cfg := config(t)
	cfg.Sealer = sealer(t, sealingKey(2), sealingKey(1))
	both, _ := begun(t, pool, cfg)
	maintain(t, both)
	cfg.Sealer = sealer(t, sealingKey(2))
	_, alone := begun(t, pool, cfg)
	if len(alone.Keys()) != 2 || alone.Keys()[0] != ring.Keys()[0] {
		t.Errorf("the keys are %v", alone.Keys())
	}
	if _, err := newStore(t, pool, config(t)).Load(t.Context()); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("the earlier sealing key: %v", err)
	}
}

// A dump of the table has no private part of a key in it.
func TestRowsHoldNoSecret(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	jwk, _, err := tokens.GenerateKey("HS256")
	if err != nil {
		t.Fatal(err)
	}
	set, err := tokens.AppendKey("", jwk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newStore(t, pool, config(t)).Begin(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	var dump string
	if err := pool.QueryRow(t.Context(), `SELECT string_agg(k::text, '') FROM "sessionStoreSigningKey" k`).Scan(&dump); err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(string(jwk), `"k":"`)
	secret, _, _ = strings.Cut(secret, `"`)
	if len(secret) < 40 || strings.Contains(dump, secret) || strings.Contains(dump, `"k"`) {
		t.Errorf("the table holds %s", dump)
	}
}
