package keystore

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound says that there is no such key.
var ErrNotFound = errors.New("no such signing key")

// State is what a key is used for.
type State string

// The states of a key, in the order in which it passes through them.
const (
	// Published keys verify, and do not sign yet.
	Published State = "published"
	// Signing is the state of the one key that signs.
	Signing State = "signs"
	// Verifying keys have been replaced, and only verify.
	Verifying State = "verifies"
)

// Key describes a key without its secret.
type Key struct {
	ID        string
	Algorithm string
	State     State
	CreatedAt time.Time
	// SignsFrom is when it begins to sign, or began.
	SignsFrom time.Time
	// VerifiesUntil is when the last token that it signed has expired. Zero: not
	// known yet.
	VerifiesUntil time.Time
}

// row is the part of a key that a ring needs.
type row struct {
	id, sealed string
	state      State
}

// The youngest of those whose time has come signs. An expired key counts as removed.
const keyColumns = `"id", "algorithm", "createdAt", "signsFrom", "verifiesUntil",
  CASE WHEN "signsFrom" > clock_timestamp() THEN 'published'
    WHEN "id" = (SELECT "id" FROM "sessionStoreSigningKey" WHERE "signsFrom" <= clock_timestamp() AND "verifiesUntil" IS NULL
      ORDER BY "signsFrom" DESC, "id" DESC LIMIT 1) THEN 'signs'
    ELSE 'verifies' END`

func scanKey(r pgx.CollectableRow) (Key, error) {
	var k Key
	var until *time.Time
	err := r.Scan(&k.ID, &k.Algorithm, &k.CreatedAt, &k.SignsFrom, &until, &k.State)
	if until != nil {
		k.VerifiesUntil = *until
	}
	return k, err
}
