package sessionstore

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Both rows of a session are made by one statement: one round trip, and either
// all of them or none. Lifetimes are stored only if they are the session's own.
const (
	newSession = `SELECT $1::uuid AS "id", $2::text AS "checksum", $3::jsonb AS "data", $4::text AS "subject", $5::text AS "label", $6::text AS "userAgent", $7::text AS "ip",
    $8::integer AS "length", $9::uuid AS "pair", $10::integer AS "access", $11::integer AS "refresh", $12::integer AS "accessTtl", $13::integer AS "refreshTtl", $14::text AS "jkt", $15::text AS "audience", $16::text AS "claims", $17::text AS "client", ` + toldBy + ` AS "toldBy", ` + era.Current + ` AS "era"`

	// toldBy is the transaction that creates a session, by which events find it: see
	// internal/events. If there are no events, nothing is recorded, and no index is written.
	toldBy = `CASE WHEN EXISTS (SELECT FROM "sessionStoreEventsBegan") THEN pg_current_xact_id() END`

	// createRows continues the CTE "new", and makes nothing if that is empty. It counts
	// first what it made: changes that a statement does not read happen after its last
	// row, and would be missing from the time that it reports.
	createRows = `"made" AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject",
    "clientLabel", "clientUserAgent", "clientIp", "createdXid")
  SELECT "id", "checksum", "data", now(), now(), "subject", "label", "userAgent", "ip"::inet, "toldBy" FROM "new"
  RETURNING 1
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn",
  "accessExpiresAt", "sessionExpiresAt", "accessTokenTtl", "refreshTokenTtl", "dpopJkt", "audience", "claims", "client", "era")
SELECT "pair", "id", now(), LEAST(now() + "refresh" * interval '1 s', "end"), (LEAST(now() + "refresh" * interval '1 s', "end") AT TIME ZONE 'UTC')::date,
  LEAST(now() + "access" * interval '1 s', "end"), "end", "accessTtl", "refreshTtl", "jkt", "audience", "claims", "client", "era"
FROM (SELECT *, now() + "length" * interval '1 s' AS "end" FROM "new" WHERE (SELECT count(*) FROM "made") >= 0) n
RETURNING "id", "createdAt", "expiresAt", "accessExpiresAt", COALESCE("era", 0) AS "era"`

	createQuery = `
WITH "new" AS (
  ` + newSession + `
), ` + createRows + `, ` + worked

	// createTogetherQuery is the same for several sessions. Its arrays are read as those of
	// rotateTogetherQuery.
	createTogetherQuery = `
WITH "new" AS (
  SELECT "id", ($2::text[])["n"] AS "checksum", ($3::jsonb[])["n"] AS "data", ($4::text[])["n"] AS "subject", ($5::text[])["n"] AS "label", ($6::text[])["n"] AS "userAgent", ($7::text[])["n"] AS "ip",
    ($8::integer[])["n"] AS "length", ($9::uuid[])["n"] AS "pair", ($10::integer[])["n"] AS "access", ($11::integer[])["n"] AS "refresh", ($12::integer[])["n"] AS "accessTtl", ($13::integer[])["n"] AS "refreshTtl", ($14::text[])["n"] AS "jkt", ($15::text[])["n"] AS "audience", ($16::text[])["n"] AS "claims", ($17::text[])["n"] AS "client", ` + toldBy + ` AS "toldBy", ` + era.Current + ` AS "era"
  FROM unnest((SELECT $1::uuid[])) WITH ORDINALITY AS u("id", "n")
), ` + createRows + `, ` + worked
)

// maxIdempotencyKeyBytes leaves a caller room for the name of the key's owner.
const maxIdempotencyKeyBytes = 1024

// checkedParams are parameters that can be stored.
type checkedParams struct {
	params  CreateParams
	content []byte // the data in its canonical form
	claims  string
	once    once
}

func (s *core) checkParams(params CreateParams) (checkedParams, error) {
	fail := func(err error) (checkedParams, error) { return checkedParams{}, err }
	if err := checkText("subject", params.Subject, maxSubjectBytes); err != nil {
		return fail(err)
	}
	if len(params.IdempotencyKey) > maxIdempotencyKeyBytes {
		return fail(argumentError("idempotency_key", "longer than %d bytes", maxIdempotencyKeyBytes))
	}
	if params.KeyThumbprint != "" && !tokens.IsThumbprint(params.KeyThumbprint) {
		return fail(argumentError("dpop_jkt", "not a SHA-256 thumbprint in base64url without padding"))
	}
	if len(params.Data) == 0 {
		params.Data = []byte("{}")
	}
	content, err := canonicalForm(params.Data)
	if err != nil {
		return fail(err)
	}
	claims, err := claimsOf(params, s.clock.now())
	if err != nil {
		return fail(err)
	}
	return checkedParams{params: params, content: content, claims: claims}, nil
}

// once is what identifies a creation if its caller gave it a key. A replacement always
// has one: without a key from its caller, it is the id of the session
// that it replaces.
type once struct {
	key      []byte // hashed, so that it has one length and reveals nothing; or an id
	request  []byte // the request in canonical form
	replaces bool
}

// replaced is a session whose place another takes. The zero value is none.
type replaced struct {
	id             uuid.UUID
	tokenExpiresAt time.Time // that of the token that names it; zero for none
	checksum       string    // what its data must match; empty for any
	keepsData      bool      // the new session gets its data as stored
	told           *string   // the subject, if one of our tokens gave it; empty for none

	subject, clientID string // what is finally read of it
}

// creation is a session to create, and the times that the database gave it.
type creation struct {
	session   Session
	stored    []byte // the session's data as the database gets it
	pair      refresh.Pair
	own       Lifetimes // where they are not the store's
	lifetimes Lifetimes
	once      once
	replaced  replaced
	clientID  any // the pair's, as an argument
	elsewhere int // the subject's live sessions on other shards
}

// args are the arguments of a statement that makes one session. Strings are not copied.
func (c *creation) args() []any {
	return []any{
		pgvalue.UUID(c.session.ID), &c.session.Checksum, c.stored, pgvalue.ThereOrNull(&c.session.Subject),
		pgvalue.ThereOrNull(&c.session.Client.Label), pgvalue.ThereOrNull(&c.session.Client.UserAgent), pgvalue.ThereOrNull(&c.session.Client.IP),
		pgvalue.OrNull(pgvalue.Seconds(c.lifetimes.Session)), pgvalue.UUID(c.pair.ID), pgvalue.Seconds(c.lifetimes.AccessToken), pgvalue.Seconds(c.lifetimes.RefreshToken),
		pgvalue.OrNull(pgvalue.Seconds(c.own.AccessToken)), pgvalue.OrNull(pgvalue.Seconds(c.own.RefreshToken)), pgvalue.ThereOrNull(&c.pair.BoundTo),
		&c.pair.Audience, pgvalue.ThereOrNull(&c.pair.Claims), c.clientID,
	}
}

func (s statements) createAtOnce(ctx context.Context, all []*groupcommit.Call[*creation]) error {
	read := func(rows pgx.Rows) error { return readCreated(rows, all) }
	if len(all) == 1 {
		return s.pool.Read(ctx, read, createQuery, all[0].Of.args()...)
	}
	return s.pool.Read(ctx, read, createTogetherQuery,
		ofEach(all, func(c *creation) pgtype.UUID { return pgvalue.UUID(c.session.ID) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.session.Checksum) }),
		ofEach(all, func(c *creation) []byte { return c.stored }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.session.Subject) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.session.Client.Label) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.session.Client.UserAgent) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.session.Client.IP) }),
		ofEach(all, func(c *creation) pgtype.Int8 { return pgvalue.IntegerOrNull(pgvalue.Seconds(c.lifetimes.Session)) }),
		ofEach(all, func(c *creation) pgtype.UUID { return pgvalue.UUID(c.pair.ID) }),
		ofEach(all, func(c *creation) pgtype.Int8 { return pgvalue.Integer(pgvalue.Seconds(c.lifetimes.AccessToken)) }),
		ofEach(all, func(c *creation) pgtype.Int8 { return pgvalue.Integer(pgvalue.Seconds(c.lifetimes.RefreshToken)) }),
		ofEach(all, func(c *creation) pgtype.Int8 { return pgvalue.IntegerOrNull(pgvalue.Seconds(c.own.AccessToken)) }),
		ofEach(all, func(c *creation) pgtype.Int8 { return pgvalue.IntegerOrNull(pgvalue.Seconds(c.own.RefreshToken)) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.pair.BoundTo) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.pair.Audience) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.pair.Claims) }),
		ofEach(all, func(c *creation) pgtype.Text { return pgvalue.Text(c.pair.Client) }))
}

// ofEach is column for creations, which are large, so statements hold pointers to them.
// The next statement overwrites what a failed one noted in them.
func ofEach[V any](all []*groupcommit.Call[*creation], value func(*creation) V) pgvalue.Array[V] {
	return column(all, func(c **creation) V { return value(*c) })
}

// granted is what the database gave a new session and its pair.
type granted struct {
	now, expiresAt, accessExpiresAt time.Time
	era                             int64
}

// dest is where the columns of madePair after the first are read to.
func (g *granted) dest() []any {
	return []any{pgvalue.TimeTo(&g.now), pgvalue.TimeTo(&g.expiresAt), pgvalue.TimeTo(&g.accessExpiresAt), &g.era}
}

// is notes what the database gave the session and its pair.
func (c *creation) is(g granted) {
	c.pair.CreatedAt, c.pair.ExpiresAt, c.pair.AccessExpiresAt, c.pair.Era = g.now, g.expiresAt, g.accessExpiresAt, g.era
	c.session.CreatedAt, c.session.UpdatedAt, c.session.ExpiresAt = g.now, g.now, g.expiresAt
}

// createdRow is where rows of what was created are read to. Each connection has one.
type createdRow struct {
	pair    [16]byte
	granted granted
	worked  int64
	row     pgvalue.Row
}

func newCreatedRow() *createdRow {
	r := new(createdRow)
	r.row = pgvalue.NewRow(append(append([]any{&r.pair}, r.granted.dest()...), &r.worked))
	return r
}

// readCreated notes what the database gave the sessions that were made.
func readCreated(rows pgx.Rows, all []*groupcommit.Call[*creation]) error {
	defer rows.Close()
	for rows.Next() {
		row := pgvalue.Kept(rows, "latchkey creation", newCreatedRow)
		if err := row.row.Read(rows); err != nil {
			return err
		}
		made := slices.IndexFunc(all, func(c *groupcommit.Call[*creation]) bool { return c.Of.pair.ID == row.pair })
		all[made].Of.is(row.granted)
		noteWorked(all[made], row.worked)
	}
	return rows.Err()
}
