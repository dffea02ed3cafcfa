package sessionstore

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// args are the arguments $19 to $22 of mayReplace.
func (r replaced) args() []any {
	return []any{r.idOrNull(), pgvalue.OrNull(r.tokenExpiresAt), pgvalue.OrNull(r.checksum), r.keepsData}
}

func (r replaced) idOrNull() pgtype.UUID { return pgtype.UUID{Bytes: r.id, Valid: r.id != uuid.Nil} }

// A replacement is one transaction. Its statements lock the session that ends, so that it does not change, make the new
// one if the old one can be replaced, and end the old one if the new one was made.

// lockReplacedSubjectQuery excludes a sign-out of all of a subject's sessions. That
// would find that the session has ended, and could not see the one in its place, which
// was made after its snapshot. It comes before all row locks: see lockSubjectQuery.
const lockReplacedSubjectQuery = `
SELECT pg_advisory_xact_lock_shared(hashtextextended("subject", ` + subjectLocks + `))
FROM "sessionStore" WHERE "id" = $1 AND "subject" = COALESCE($2::text, "subject")`

// lockReplacedQuery is a separate statement: after waiting for the locks, the
// decision is based on what is then there.
const lockReplacedQuery = `
SELECT 1 FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1
FOR NO KEY UPDATE OF s, r`

// mayReplace continues a statement that makes a session: it may take the place of the
// session that it names, if it names one.
const mayReplace = `($19::uuid IS NULL OR EXISTS (
    SELECT FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
    WHERE s."id" = $19 AND ` + live + ` AND ($20::timestamptz IS NULL OR now() < $20) AND ($21::text IS NULL OR s."checksum" = $21)
      AND NOT ($22::boolean AND ` + isSealedData + `)))`

const inheritQuery = `
UPDATE "sessionStore" n SET "subject" = COALESCE(n."subject", o."subject"), "clientLabel" = COALESCE(n."clientLabel", o."clientLabel"),
  "data" = CASE WHEN $3::boolean THEN o."data" ELSE n."data" END, "checksum" = CASE WHEN $3 THEN o."checksum" ELSE n."checksum" END
FROM "sessionStore" o
WHERE n."id" = $1 AND o."id" = $2
RETURNING n."subject", n."clientLabel", n."checksum", CASE WHEN $3 THEN n."data" END, o."subject",
  (SELECT r."client" FROM "sessionStoreToken" r WHERE r."session" = o."id" AND r."refreshToken" IS NULL LIMIT 1)`

const endReplacedQuery = `
WITH "own" AS MATERIALIZED (
  SELECT ` + ownXid + ` FROM "sessionStore" WHERE "id" = $1
), "session" AS (
  UPDATE "sessionStore" s SET "revokedAt" = ` + revocationTime + `, "revokedXid" = (SELECT "xid" FROM "own"),
    "endReason" = '` + string(ReasonReplaced) + `', "endedBy" = $2::uuid::text
  WHERE "id" = $1 AND "revokedAt" IS NULL AND EXISTS (SELECT FROM "sessionStore" WHERE "id" = $2)
  RETURNING "id"
), ` + tellVerifiers + `
SELECT count(*) FROM "told"`

// lockReplaced begins a batch that makes a session without a limit.
func (c *creation) lockReplaced(batch *pgx.Batch) {
	if c.replaced.id == uuid.Nil {
		return
	}
	id := pgvalue.UUID(c.replaced.id)
	batch.Queue(lockReplacedSubjectQuery, id, pgvalue.OrNull(c.session.Subject))
	batch.Queue(lockReplacedQuery, id)
}

// inherited is what the database gave a session that takes another's place.
type inherited struct {
	subject, label *string
	checksum       string // empty if the session was not made
	data           []byte // nil if data was given

	oldSubject, oldClient *string
}

// endReplaced continues a batch that makes a session. The result is for [creation.got].
func (c *creation) endReplaced(batch *pgx.Batch) *inherited {
	if c.replaced.id == uuid.Nil {
		return nil
	}
	id, old := pgvalue.UUID(c.session.ID), pgvalue.UUID(c.replaced.id)
	from := &inherited{}
	batch.Queue(inheritQuery, id, old, c.replaced.keepsData).QueryRow(func(row pgx.Row) error {
		if err := row.Scan(&from.subject, &from.label, &from.checksum, &from.data, &from.oldSubject, &from.oldClient); !pgvalue.IsNoRows(err) {
			return err
		}
		return nil
	})
	batch.Queue(endReplacedQuery, old, id)
	batch.Queue(revokeTokensQuery)
	return from
}

// got notes what the session inherited, if it has taken another's place.
func (c *creation) got(from *inherited) {
	if from == nil {
		return
	}
	c.session.Subject, c.session.Client.Label, c.session.Checksum = pgvalue.OrZero(from.subject), pgvalue.OrZero(from.label), from.checksum
	c.pair.Subject = c.session.Subject
	c.replaced.subject, c.replaced.clientID = pgvalue.OrZero(from.oldSubject), pgvalue.OrZero(from.oldClient)
	if from.data != nil {
		c.session.Data = from.data
	}
}
