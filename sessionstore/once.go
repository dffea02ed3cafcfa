package sessionstore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// A creation with an idempotency key is one transaction and one round trip: a session
// is made unless one has the key, and then gets the key. Of two at once, the second
// waits for the first, violates the index, and makes nothing. Creations without a key
// are not affected.
const (
	createOnceQuery = `
WITH "new" AS (
  ` + newSession + `
  WHERE NOT EXISTS (SELECT FROM "sessionStore" WHERE "creationKey" = $18) AND ` + mayReplace + `
), ` + createRows

	nameCreationQuery = `UPDATE "sessionStore" SET "creationKey" = $2, "creationDigest" = $3 WHERE "id" = $1`

	creationKeyIndex = "sessionStoreCreationKeyIdx"

	uniqueViolation = "23505"
)

var (
	// errCreatedBefore says that a session has the creation's key, or that the one that
	// it replaces cannot be replaced.
	errCreatedBefore = errors.New("the session was created before")

	// errNotBefore says that no session has a replacement's key.
	errNotBefore = errors.New("the session was not created before")
)

// newOnce is zero without a key. The content is that of the data, the claims are those
// that the pair's row gets, both in canonical form, which has no line break.
// A new parameter must be left out of the request if it is zero, or a creation would
// no longer match itself after an upgrade.
func newOnce(checked checkedParams, was replaced) once {
	params, replaces := checked.params, was.id != uuid.Nil
	if params.IdempotencyKey == "" && !replaces {
		return once{}
	}
	own, client := params.Lifetimes, params.Client.clean()
	request := fmt.Appendf(nil, "%q %q %q %q %q %d %d %d ", params.Subject, client.Label, client.UserAgent, client.IP, params.KeyThumbprint,
		own.AccessToken, own.RefreshToken, own.Session)
	request = append(request, checked.content...)
	if checked.claims != "" {
		request = append(append(request, '\n'), checked.claims...)
	}
	if params.ClientID != "" {
		request = fmt.Appendf(request, "\nclient %q", params.ClientID)
	}
	if params.NoRefresh {
		request = append(request, "\nno refresh token"...)
	}
	if replaces {
		request = fmt.Appendf(request, "\nreplaces %s %t", was.id, was.keepsData)
	}
	key := sha256.Sum256([]byte(params.IdempotencyKey))
	if params.IdempotencyKey == "" {
		return once{slices.Clone(was.id[:]), request, replaces} // no hash is as short
	}
	return once{key[:], request, replaces}
}

// isImplicit reports whether the key is not its caller's.
func (o once) isImplicit() bool { return len(o.key) == len(uuid.Nil) }

// name continues a batch that makes a session, and gives the session the key.
func (s sealing) name(batch *pgx.Batch, c *creation) {
	batch.Queue(nameCreationQuery, pgvalue.UUID(c.session.ID), c.once.key, s.sum(c.session.ID, c.once.request))
}

// isSame reports whether the digest of a session is that of the request. Like a
// checksum, it cannot be made without a key if data is sealed.
func (s sealing) isSame(session uuid.UUID, request []byte, digest string) bool {
	if canonical.Sum(request) == digest {
		return true
	}
	sum, err := canonical.SumEncoding.DecodeString(digest)
	return err == nil && s.Sealer != nil && s.IsSum(session, request, sum)
}

// isTaken reports whether a session that was being made at the same time took the key.
func isTaken(err error) bool {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (answer.ConstraintName == creationKeyIndex ||
		answer.Code == uniqueViolation && strings.Contains(answer.Message, `"`+creationKeyIndex)) // Citus passes only the message on
}
