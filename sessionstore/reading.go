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
)

// sessionColumns are what scanSession reads, of "sessionStore" as s and of its
// token row as r.
const sessionColumns = `s."id", s."subject", s."checksum", s."clientLabel", s."clientUserAgent", host(s."clientIp"),
  s."createdAt", s."updatedAt", r."issuedAt", r."expiresAt", s."revokedAt", r."clientUserAgent", host(r."clientIp"), r."client"`

// live tells for s and r whether the session has not ended. The refresh token's
// expiry is never later than the session's absolute end.
const live = `(s."revokedAt" IS NULL AND r."revokedAt" IS NULL AND r."expiresAt" > now())`

type scanner interface{ Scan(dest ...any) error }

// scanSession reads sessionColumns and what follows them. A session that names no client
// is of the first.
func scanSession(firstClient string, row scanner, more ...any) (Session, error) {
	var read struct { // here it is one allocation
		Session

		client clientScanner
		dest   [32]any
	}
	read.client.first = firstClient
	s := &read.Session
	dest := append(append(read.dest[:0],
		(*[16]byte)(&s.ID), pgvalue.TextTo(&s.Subject), &s.Checksum, pgvalue.TextTo(&s.Client.Label), pgvalue.TextTo(&s.Client.UserAgent), pgvalue.TextTo(&s.Client.IP),
		pgvalue.TimeTo(&s.CreatedAt), pgvalue.TimeTo(&s.UpdatedAt), pgvalue.TimeTo(&s.RefreshedAt), pgvalue.TimeTo(&s.ExpiresAt), pgvalue.TimeTo(&s.RevokedAt),
		pgvalue.TextTo(&s.LastClient.UserAgent), pgvalue.TextTo(&s.LastClient.IP), &read.client,
	), more...)
	if err := row.Scan(dest...); err != nil {
		return Session{}, err
	}
	s.ClientID = read.client.id
	return *s, nil
}

// best orders token rows, of which a session that Compas began may have several:
// the one that lives longest comes first.
const best = `ORDER BY r."revokedAt" IS NOT NULL, r."expiresAt" DESC LIMIT 1`

// statements are those that calls share: see package groupcommit.
type statements struct {
	pool  isolation.Pool
	rules refresh.Rules
	// What to read of clients, as arguments: see [Config.lookup].
	firstClient, clients any
	// And of the rules.
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

// worked is for how many microseconds the server has worked for a statement, which tells
// its queue when to send the next.
const worked = `(date_part('epoch', clock_timestamp() - now()) * 1e6)::bigint`

// noteWorked is for the call that got a row with worked.
func noteWorked[T any](c *groupcommit.Call[T], micros int64) {
	c.Worked(time.Duration(micros) * time.Microsecond)
}

// column gathers one argument of each call, for a statement of several.
func column[T, V any](all []*groupcommit.Call[T], value func(*T) V) pgvalue.Array[V] {
	return groupcommit.Column(all, value)
}

const getColumns = sessionColumns + `, s."data", now(), r."accessGeneration", COALESCE(r."issuedAt", r."createdAt"), r."accessExpiresAt", COALESCE(date_part('epoch', r."grace") * 1e6, 0)::bigint, COALESCE(r."audience", ''), COALESCE(r."claims", ''),
  r."confirmedAt" IS NULL AND (r."settledAt" IS NULL OR r."settledAt" <= now()), ` + live + `,
  s."revokedAt" IS NOT NULL OR r."revokedAt" IS NOT NULL OR COALESCE(r."sessionExpiresAt" <= now(), false)`

const getQuery = `
SELECT ` + getColumns + `, 1::bigint, ` + worked + `
FROM "sessionStore" s
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."refreshToken" IS NULL
WHERE s."id" = $1 AND r."id" = $2 AND ` + primary.Only

// getTogetherQuery is the same for several. Each array is a subquery's, so that the
// planner takes every number of them for the same and need not plan again.
const getTogetherQuery = `
SELECT ` + getColumns + `, a."n", ` + worked + `
FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[])) WITH ORDINALITY AS a("session", "id", "n")
JOIN "sessionStore" s ON s."id" = a."session"
JOIN "sessionStoreToken" r ON r."session" = s."id" AND r."id" = a."id" AND r."refreshToken" IS NULL
WHERE ` + primary.Only

// reading is an access token that was presented, and what is stored of its session.
type reading struct {
	sessionID, tokenID pgtype.UUID

	found            bool
	session          Session
	data             []byte
	current          accessVersion
	countsAsFirstUse bool
	isLive, hasEnded bool // neither where only the idle time is over
	now              time.Time
	graceMicros      int64  // the row's; zero where an earlier release wrote it
	audience         string // the row's; empty where an earlier release wrote it
	claims           string // the row's: they are read once the calls are apart
}

// grace is that of the pair. It is read as a number, which allocates nothing.
func (r *reading) grace() time.Duration { return time.Duration(r.graceMicros) * time.Microsecond }

func (s statements) read(ctx context.Context, all []*groupcommit.Call[reading]) error {
	read := func(rows pgx.Rows) error { return s.scanReadings(rows, all) }
	if len(all) == 1 {
		return s.pool.Read(ctx, read, getQuery, &all[0].Of.sessionID, &all[0].Of.tokenID)
	}
	return s.pool.Read(ctx, read, getTogetherQuery,
		column(all, func(r *reading) pgtype.UUID { return r.sessionID }),
		column(all, func(r *reading) pgtype.UUID { return r.tokenID }))
}

// scanReadings notes what was found.
func (s statements) scanReadings(rows pgx.Rows, all []*groupcommit.Call[reading]) error {
	defer rows.Close()
	for _, c := range all {
		c.Of.found = false
	}
	var r struct {
		reading

		n      int
		worked int64
	}
	for rows.Next() {
		var err error
		if r.session, err = scanSession(s.rules.FirstClient, rows, &r.data, pgvalue.TimeTo(&r.now), &r.current.generation, pgvalue.TimeTo(&r.current.mintedAt), pgvalue.TimeTo(&r.current.expiresAt), &r.graceMicros, &r.audience, &r.claims, &r.countsAsFirstUse, &r.isLive, &r.hasEnded, &r.n, &r.worked); err != nil {
			return err
		}
		r.found = true
		all[r.n-1].Of = r.reading
		noteWorked(all[r.n-1], r.worked)
	}
	rows.Close()
	return rows.Err()
}
