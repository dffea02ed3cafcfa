package sessionstore

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// sessionColumns are what scanSession reads, of "sessionStore" as s and of its
// token row as r.
const sessionColumns = `s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp"), r."client"`

// live is true of s and r if the session has not ended. The refresh token's
// expiry is never later than the session's absolute end.
const live = `(` + liveInItsEra + ` AND ` + ofThisEra + `)`

const liveInItsEra = `s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now()`

type scanner interface{ Scan(dest ...any) error }

// appendSession appends the places that sessionColumns are read to.
func appendSession(places []any, s *Session, client *clientScanner) []any {
	return append(places,
		(*[16]byte)(&s.ID), pgvalue.TextTo(&s.Subject), &s.Checksum, pgvalue.TextTo(&s.Client.Label), pgvalue.TextTo(&s.Client.UserAgent), pgvalue.TextTo(&s.Client.IP),
		pgvalue.TimeTo(&s.CreatedAt), pgvalue.TimeTo(&s.UpdatedAt), pgvalue.TimeTo(&s.RefreshedAt), pgvalue.TimeTo(&s.ExpiresAt), pgvalue.TimeTo(&s.RevokedAt),
		pgvalue.TextTo(&s.LastClient.UserAgent), pgvalue.TextTo(&s.LastClient.IP), client,
	)
}

// scanSession reads sessionColumns and what follows them. A session that names no client
// belongs to the first.
func scanSession(firstClient string, row scanner, more ...any) (Session, error) {
	var read struct { // in one struct, it is one allocation
		Session

		client clientScanner
		places [32]any
	}
	read.client.first = firstClient
	places := append(appendSession(read.places[:0], &read.Session, &read.client), more...)
	if err := row.Scan(places...); err != nil {
		return Session{}, err
	}
	read.ClientID = read.client.id
	return read.Session, nil
}

// noteEnding notes how a session ended. The row of one that ended with everyone's does not say that it
// was revoked.
func (s *Session) noteEnding(e Ending) {
	s.Ended = e
	if s.RevokedAt.IsZero() && e.Reason != ReasonIdle && e.Reason != ReasonExpired {
		s.RevokedAt = e.At
	}
}

// clientScanner reads the column "client". The first client's id, the usual one,
// is not copied.
type clientScanner struct{ first, id string }

// ScanBytes takes null for the first client.
func (c *clientScanner) ScanBytes(text []byte) error {
	if c.id = c.first; text != nil && string(text) != c.first {
		c.id = string(text)
	}
	return nil
}

// best orders token rows, of which a session that Compas began may have several,
// the longest-lived first.
const best = `ORDER BY r."revokedAt" IS NOT NULL, r."expiresAt" DESC LIMIT 1`

// statements are the statements that calls share: see package groupcommit.
type statements struct {
	pool  isolation.Pool
	rules refresh.Rules
	// The clients' columns to read, as arguments: see [Config.lookup].
	firstClient, clients any
	// And about the rules.
	accessTTL, refreshTTL, grace any
	forPair                      bool // [Config].PairFor is set

	saysApart *atomic.Bool // see statements.change
}

func newStatements(pool isolation.Pool, cfg Config) statements {
	rules := cfg.rules()
	return statements{
		pool: pool, rules: rules, firstClient: cfg.Tokens.ClientID, clients: cfg.lookup(), forPair: cfg.PairFor != nil,
		saysApart: new(atomic.Bool), accessTTL: pgvalue.Integer(pgvalue.Seconds(rules.Defaults.AccessToken)), refreshTTL: pgvalue.Integer(pgvalue.Seconds(rules.Defaults.RefreshToken)), grace: rules.Grace,
	}
}

// worked is how many microseconds the server has spent on a statement, from which its
// queue decides when to send the next.
const worked = `(date_part('epoch', clock_timestamp() - now()) * 1e6)::bigint`

// noteWorked notes worked for the call that got the row.
func noteWorked[T any](c *groupcommit.Call[T], micros int64) {
	c.Worked(time.Duration(micros) * time.Microsecond)
}

// column gathers one argument of each call, for a shared statement.
func column[T, V any](all []*groupcommit.Call[T], value func(*T) V) pgvalue.Array[V] {
	values := make(pgvalue.Array[V], len(all))
	for i, c := range all {
		values[i] = value(&c.Of)
	}
	return values
}

const getColumns = sessionColumns + `, s."data", now(), r."accessGeneration", COALESCE(r."issuedAt", r."createdAt"), r."accessExpiresAt", COALESCE(date_part('epoch', r."grace") * 1e6, 0)::bigint, COALESCE(r."audience", ''), COALESCE(r."claims", ''),
  r."confirmedAt" IS NULL AND (r."settledAt" IS NULL OR r."settledAt" <= now()), ` + liveInItsEra + `, ` + ofThisEra + `,
  s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL OR COALESCE(r."sessionExpiresAt" <= now(), false)`

const getQuery = `
SELECT ` + getColumns + `, 1::bigint, ` + worked + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND r."id" = $2 AND ` + primary.Only

// getTogetherQuery is the same for several. Each array is a subquery's, so that the
// planner treats every length alike and need not plan again.
const getTogetherQuery = `
SELECT ` + getColumns + `, a."n", ` + worked + `
FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[])) WITH ORDINALITY AS a("session", "id", "n")
JOIN "sessionStore" s ON s."id" = a."session"
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."id" = a."id" AND r."refreshToken" IS NULL
WHERE ` + primary.Only

// GetOptions are what a strict check may depend on in addition to the token.
type GetOptions struct {
	// Check, if set, is called once the token and its session have been checked,
	// before anything is recorded, to check a proof of possession, for example. Its
	// error is the answer.
	Check func(tokens.Claims) error
	// Unconfirmed does not record that the token has reached its client. It is for a server
	// that refreshes on a client's behalf and uses the new token immediately, before the
	// client has stored it: if that counted as the client's own use, and the response were
	// lost, the client's next refresh would look like a theft.
	Unconfirmed bool
}

// reading is a presented access token, and what is stored of its session.
type reading struct {
	asked struct { // stays: the statement may have to be sent again
		sessionID, tokenID pgtype.UUID
		args               [2]any // these, for one alone
	}

	found            bool
	session          Session
	data             []byte
	current          accessVersion
	countsAsFirstUse bool
	isLive, hasEnded bool // neither if only the idle time is over
	isOfThisEra      bool // else it has ended, whatever these say
	now              time.Time
	graceMicros      int64  // the row's; zero where an earlier release wrote it
	audience         string // the row's; empty where an earlier release wrote it
	claims           string // the row's: they are parsed once the calls are separate again
}

func newReading(claims tokens.Claims) (r reading) {
	r.asked.sessionID, r.asked.tokenID = pgvalue.UUID(claims.SessionID), pgvalue.UUID(claims.TokenID)
	return r
}

// grace is the pair's. It is read as a number, which allocates nothing.
func (r *reading) grace() time.Duration { return time.Duration(r.graceMicros) * time.Microsecond }

func (s statements) read(ctx context.Context, all []*groupcommit.Call[reading]) error {
	read := func(rows pgx.Rows) error { return s.scanReadings(rows, all) }
	if len(all) == 1 {
		asked := &all[0].Of.asked
		asked.args = [...]any{&asked.sessionID, &asked.tokenID}
		return s.pool.Read(ctx, read, getQuery, asked.args[:]...)
	}
	return s.pool.Read(ctx, read, getTogetherQuery,
		column(all, func(r *reading) pgtype.UUID { return r.asked.sessionID }),
		column(all, func(r *reading) pgtype.UUID { return r.asked.tokenID }))
}

// readingRow is where rows of getColumns are read to. Each connection has one.
type readingRow struct {
	reading

	client clientScanner
	n      int64
	worked int64
	row    pgvalue.Row
}

func newReadingRow() *readingRow {
	r := new(readingRow)
	r.row = pgvalue.NewRow(append(appendSession(nil, &r.session, &r.client),
		&r.data, pgvalue.TimeTo(&r.now), &r.current.generation, pgvalue.TimeTo(&r.current.mintedAt), pgvalue.TimeTo(&r.current.expiresAt), &r.graceMicros, &r.audience, &r.claims,
		&r.countsAsFirstUse, &r.isLive, &r.isOfThisEra, &r.hasEnded, &r.n, &r.worked))
	return r
}

// scanReadings notes what was found.
func (s statements) scanReadings(rows pgx.Rows, all []*groupcommit.Call[reading]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.found = false
	}
	for rows.Next() {
		r := pgvalue.Kept(rows, "latchkey reading", newReadingRow)
		r.client.first = s.rules.FirstClient
		err := r.row.Read(rows)
		found := r.reading
		r.reading = reading{} // nobody's session is kept
		if err != nil {
			return err
		}
		c := all[r.n-1]
		found.asked, found.found, found.session.ClientID = c.Of.asked, true, r.client.id
		c.Of = found
		noteWorked(c, r.worked)
	}
	return rows.Err()
}
